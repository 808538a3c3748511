# SPDX-License-Identifier: Apache-2.0
"""A program that has a terminal."""
# without: restricted (terminals are the machine's)

import fcntl
import os
import pty
import struct
import sys
import termios

leader, follower = pty.openpty()
fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
assert os.get_terminal_size(follower) == (101, 33)
assert os.isatty(follower) and os.ttyname(follower).startswith("/dev/pts/")
os.write(leader, b"line\n")
assert os.read(follower, 100) == b"line\n"
os.close(leader)
os.close(follower)

pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-c", "import sys; print(sys.stdin.isatty(), sys.stdout.isatty())"])
output = b""
try:
    while chunk := os.read(fd, 1000):
        output += chunk
except OSError:
    pass  # the other side of the terminal is closed
assert os.waitpid(pid, 0)[1] == 0
os.close(fd)
assert output == b"True True\r\n", output
