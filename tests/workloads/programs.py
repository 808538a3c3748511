# SPDX-License-Identifier: Apache-2.0
"""Other programs, in all the ways that Python starts them."""

import os
import shlex
import signal
import subprocess
import sys

assert subprocess.run(["echo", "word"], capture_output=True, text=True, check=True).stdout == "word\n"
assert subprocess.check_output("seq 5 | sort -r | head -1", shell=True, text=True) == "5\n"
assert os.system("exit 3") == 3 << 8
assert os.popen("echo popen").read() == "popen\n"
with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
    assert cat.communicate(b"x" * 200_000)[0] == b"x" * 200_000
quiet = subprocess.Popen(["sleep", "60"], start_new_session=True, cwd="/", umask=0o77, close_fds=True)
os.killpg(quiet.pid, signal.SIGTERM)
assert quiet.wait(30) == -signal.SIGTERM
assert subprocess.call(["sh", "-c", "exit $CODE"], env={"CODE": "4", "PATH": os.environ["PATH"]}) == 4
try:
    subprocess.run(["sleep", "60"], timeout=0.05)
except subprocess.TimeoutExpired:
    pass
else:
    raise AssertionError("no timeout")
pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "raise SystemExit(5)"], os.environ)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
pid = os.posix_spawnp("true", ["true"], os.environ, setsigmask=[], file_actions=[(os.POSIX_SPAWN_CLOSE, 0)])
assert os.waitpid(pid, 0)[1] == 0
fd = os.pidfd_open(os.getpid())
signal.pidfd_send_signal(fd, 0)
os.close(fd)
assert os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 6") == 6
code = "import os; os.fork() or os._exit(0); os.wait()"
assert subprocess.run(shlex.split(f"{sys.executable} -c {shlex.quote(code)}")).returncode == 0
os.nice(1)
assert os.sched_getaffinity(0)
os.sched_setaffinity(0, os.sched_getaffinity(0))
