# SPDX-License-Identifier: Apache-2.0
"""A worker can be forked: each copy, with a link of its own, is a worker."""

import array
import os
import socket

from link_peer import Ring, Worker

FORKS = 200

ADOPT = """
import _husk, os, socket, array
sock = socket.socket(fileno=os.dup(CONTROL))
data, rights, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(4 * 7))
fds = array.array('i', rights[0][2])
pid = os.fork()
if pid == 0:
    for number, fd in zip((3, 4, 5, 6, 7, 1, 2), fds):
        os.dup2(fd, number, inheritable=number < 3)
        os.close(fd)
    sock.close()
    _husk.adopt()
    _husk.confine()
    serve()
    _husk.exit(0)
for fd in fds: os.close(fd)
sock.close()
print('forked', pid)
"""


class Child(Worker):
    """The front's end of a worker that was forked from another."""

    def __init__(self, parent: Worker, control: socket.socket):
        self.ring = Ring()
        self.sock, theirs = socket.socketpair()
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.out, out_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.err, err_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        fds = [theirs.fileno(), self.ring.fd, self.bell, self.out, self.err, out_write, err_write]
        control.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        self.pid = int(parent.ok(ADOPT).split()[1])
        self.pidfd = os.pidfd_open(self.pid)
        self.status = None
        for fd in (out_write, err_write):
            os.close(fd)
        theirs.close()
        self.buffer = bytearray()
        self.eager = True
        self.texts = []
        self.frames = []
        self.turn = 1000
        self.ends = {self.out: 0, self.err: 1}

    def wait(self, timeout: float = 60.0) -> int:
        raise NotImplementedError("its parent is the worker that it was forked from")


def test_each_of_200_forks_runs_cells(worker: Worker) -> None:
    ours, theirs = socket.socketpair()
    worker.ok("import json, asyncio, decimal; x = 41; keep = list(range(10000))")
    control = attach(worker, theirs)
    worker.ok(f"CONTROL = {control}")
    for i in range(FORKS):
        child = Child(worker, ours)
        try:
            assert child.ok(f"x += 1; print('child', x, len(keep), {i})") == f"child 42 10000 {i}\n"
            if i % 20 == 0:
                child.execute("print('go')\nwhile True: pass")
                child.wait_text("go")
                child.interrupt()
                assert child.reply()[6][0] == "KeyboardInterrupt"
                child.clear_interrupt()
                assert child.ok("import os; os.system('echo from a child')") == "from a child\n"
            child.send("SHUTDOWN", [False])
        finally:
            child.sock.close()
            for fd in (child.pidfd, child.bell, child.out, child.err):
                os.close(fd)
            child.ring.close()
        assert worker.ok(f"print(os.waitpid({child.pid}, 0)[1], x)") == "0 41\n"
    assert len(os.listdir(f"/proc/{worker.pid}/task")) == 1
    ours.close()


def attach(worker: Worker, sock: socket.socket) -> int:
    """Hands a socket to the worker; returns its number there."""
    worker.send("ATTACH", [1, "subshell", "control"], (sock.fileno(),))
    sock.close()
    return int(worker.ok("import os\nprint(max(int(n) for n in os.listdir('/proc/self/fd') if int(n) < 100) - 1)"))


def test_a_fork_that_is_no_worker_cannot_be_made_one_twice(worker: Worker) -> None:
    fields = worker.run("import _husk; _husk.adopt()")
    assert fields[6][:2] == ["RuntimeError", "only a forked process can be made a worker"]
