# SPDX-License-Identifier: Apache-2.0
"""Sockets of all common kinds, within the machine."""
# without: restricted (no sockets but pairs)

import array
import os
import selectors
import socket

for family, kind in (
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_SEQPACKET),
):
    with socket.socket(family, kind) as server, socket.socket(family, kind) as client:
        server.bind(("127.0.0.1", 0) if family == socket.AF_INET else f"{kind}.sock")
        server.settimeout(30)
        client.settimeout(30)
        if kind != socket.SOCK_DGRAM:
            server.listen()
        client.connect(server.getsockname())
        client.send(b"hello")
        end = server if kind == socket.SOCK_DGRAM else server.accept()[0]
        assert end.recv(100) == b"hello"
        end.close()

a, b = socket.socketpair()
read_end, write_end = os.pipe()
socket.send_fds(a, [b"x"], [write_end])
_, fds, _, _ = socket.recv_fds(b, 1, 1)
os.write(fds[0], b"passed")
assert os.read(read_end, 10) == b"passed"
for fd in (read_end, write_end, *fds):
    os.close(fd)
with selectors.DefaultSelector() as selector:
    selector.register(b, selectors.EVENT_READ)
    a.sendall(array.array("i", range(1000)).tobytes())
    assert selector.select(30)
a.close()
b.close()
assert socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4] == ("127.0.0.1", 80)
assert socket.gethostname()
assert "lo" in [name for _, name in socket.if_nameindex()]
