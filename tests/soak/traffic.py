# SPDX-License-Identifier: Apache-2.0
"""What the soak test does to a kernel: one function per kind of traffic, with a weight."""

from __future__ import annotations

import json
import random
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq
from client import Client

SLOW = 90.0  # seconds for any answer; the machine may be busy, the sanitizers are slow

CELLS = (
    "1 + 1",
    "x = list(range(1000)); sum(x)",
    "print('text ' * 50)",
    "import sys; print('err', file=sys.stderr)",
    "for i in range(20000): print(i)",
    "print('x' * 2_000_000)",
    "1/0",
    "undefined_name",
    "a = )",
    "%time 1",
    "!echo from the shell",
    "import subprocess; subprocess.run(['echo', 'child'])",
    "import os; _ = os.write(1, b'x' * 100_000)",
    "from IPython.display import display, HTML; display(HTML('<b>x</b>')); HTML('y')",
    "import asyncio; await asyncio.sleep(0.01)",
    "task = asyncio.create_task(asyncio.sleep(0.05)) if 'asyncio' in globals() else None",
    "import threading; t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()",
    "len?",
    "%%bash\nfor i in 1 2 3; do echo $i; done",
    "print('\\ud800 \\x00 ☃')",
    "bytes(range(256))",
    "import os\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)",
    "display({'application/json': {'x': float('nan')}}, raw=True)",
    "",
    "'y' * 300_000",
    "import time; time.sleep(0.2)",
    "raise SystemExit(3)",
    "%history -n 1-3",
    "blob = bytearray(20_000_000); del blob",
)
CRASHES = (
    "import os; os._exit(3)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "import ctypes; ctypes.string_at(0)",
    "import os, signal; os.abort()",
    "import os\nfor fd in range(3, 20):\n    try: os.close(fd)\n    except OSError: pass\nos._exit(1)",
    "import os\nfor fd in range(3, 10):\n    try: os.write(fd, b'\\xff' * 64)\n    except OSError: pass\nimport time; time.sleep(1)",
    "print('last words'); import os; os.kill(os.getpid(), 11)",
)
INTERRUPTED = (
    "while True: pass",
    "import time; time.sleep(300)",
    "import threading; l = threading.Lock(); l.acquire(); l.acquire()",
    "import subprocess; subprocess.run(['sleep', '300'])",
    "import asyncio; await asyncio.sleep(300)",
    "while True:\n    print('flood ' * 100)",
    "while True:\n    try: pass\n    except BaseException: pass",
)


@dataclass
class Soak:
    """The kernel under test, as its clients see it."""

    connection: dict[str, object]
    rng: random.Random
    clients: list[Client]
    counts: dict[str, int] = field(default_factory=dict)

    def client(self) -> Client:
        return self.rng.choice(self.clients)


def cells(s: Soak) -> None:
    c = s.client()
    code = s.rng.choice(CELLS)
    c.wait([c.execute(f"cell {code[:40]!r}", code, store_history=s.rng.random() < 0.8, silent=s.rng.random() < 0.1)], SLOW)


def burst(s: Soak) -> None:
    """Queued cells of several clients, errors that abort the rest among them."""
    asked: list[tuple[Client, list]] = []
    for c in s.clients:
        asked.append((c, [c.execute("burst", s.rng.choice(CELLS), stop_on_error=s.rng.random() < 0.5) for _ in range(8)]))
    for c, requests in asked:
        c.wait(requests, SLOW)


def questions(s: Soak) -> None:
    c = s.client()
    code = s.rng.choice(("import os; os.pa", "pri", "x.", "%ti", "for i in range(3):", "😀; len", ""))
    cursor = s.rng.randint(0, len(code) + 3)
    c.wait(
        [
            c.ask("complete", "complete_request", {"code": code, "cursor_pos": cursor}),
            c.ask("inspect", "inspect_request", {"code": code, "cursor_pos": cursor, "detail_level": s.rng.randint(0, 1)}),
            c.ask("is_complete", "is_complete_request", {"code": code}),
            c.ask("info", "kernel_info_request", {}),
            c.ask("info on control", "kernel_info_request", {}, "control"),
            c.ask("usage", "usage_request", {}, "control"),
            c.ask("comms", "comm_info_request", {}),
            c.ask("connect", "connect_request", {}),
            c.ask("history", "history_request", {"hist_access_type": "tail", "n": 5, "raw": True, "output": False}),
        ],
        SLOW,
    )


def comms(s: Soak) -> None:
    c = s.client()
    ident = uuid.uuid4().hex
    c.wait(
        [
            c.ask("comm_open", "comm_open", {"comm_id": ident, "target_name": "nobody", "data": {}}),
            c.ask("comm_msg", "comm_msg", {"comm_id": ident, "data": {"x": "y" * s.rng.randint(0, 20000)}}),
            c.ask("comm_close", "comm_close", {"comm_id": ident, "data": {}}),
        ],
        SLOW,
    )


def stdin(s: Soak) -> None:
    c = s.client()
    c.answers = [s.rng.choice(("yes", "", "\x04", "☃" * 1000))]
    c.wait([c.execute("input", "input('? ')")], SLOW)


def interrupts(s: Soak) -> None:
    c = s.client()
    code = s.rng.choice(INTERRUPTED)
    cell = c.execute(f"interrupted {code[:40]!r}", code)
    until = time.monotonic() + s.rng.uniform(0.05, 0.6)
    while time.monotonic() < until:
        c.pump(20)
    asked = [cell, c.ask("interrupt", "interrupt_request", {}, "control")]
    if not c.wait(asked, SLOW):
        return
    if cell.status() == "ok":
        c.faults.append(f"{cell.what}: ended with ok")


def crashes(s: Soak) -> None:
    """The worker dies; the cell fails, the next one runs in a new worker."""
    c = s.client()
    code = s.rng.choice(CRASHES)
    cell = c.execute(f"crash {code[-40:]!r}", code)
    queued = [other.execute("behind a crash", "1 + 1") for other in s.clients for _ in range(2)]
    c.wait([cell], SLOW)
    for other in s.clients:
        other.wait([r for r in queued if r in other.requests.values()], SLOW)
    if cell.replies and cell.status() != "error":
        c.faults.append(f"{cell.what}: status {cell.status()}")
    again = c.execute("after a crash", "40 + 2")
    if c.wait([again], SLOW) and again.status() != "ok":
        c.faults.append(f"after a crash: {again.replies}")


def subshells(s: Soak) -> None:
    c = s.client()
    made = c.ask("create_subshell", "create_subshell_request", {}, "control")
    if not c.wait([made], SLOW) or made.status() != "ok":
        return
    ident = made.replies[0]["subshell_id"]
    c.wait([c.execute("in a subshell", "2 + 2", header={"subshell_id": ident}), c.execute("beside it", "3 + 3")], SLOW)
    c.wait([c.ask("delete_subshell", "delete_subshell_request", {"subshell_id": ident}, "control")], SLOW)
    c.wait([c.execute("in no subshell", "2 + 2", header={"subshell_id": ident})], SLOW)


def malformed(s: Soak) -> None:
    """Requests that are wrong but signed: each is answered, with an error."""
    c = s.client()
    junk = s.rng.choice(({}, {"code": 5}, {"code": None}, {"code": "x", "cursor_pos": "y"}, {"hist_access_type": 7}))
    types = ("no_such_request", "execute_request", "complete_request", "inspect_request", "history_request")
    msg_type = s.rng.choice((*types, "is_complete_request", "delete_subshell_request", "debug_request"))
    c.wait([c.ask(f"malformed {msg_type}", msg_type, junk, s.rng.choice(("shell", "control")))], SLOW)


def unsigned(s: Soak) -> None:
    """Frames without a right signature: never answered, and the kernel goes on."""
    c = s.client()
    good = c.session.serialize(c.session.msg("kernel_info_request", {}))
    noise = s.rng.randbytes(s.rng.choice((0, 1, 63, 64, 5000)))
    broken = s.rng.choice(
        (
            [b"<IDS|MSG>", b"0" * 64, *good[2:]],
            [b"<IDS|MSG>", b"", *good[2:]],
            [b"<IDS|MSG>"],
            [b"<IDS|MSG>", good[1], good[2]],
            [noise],
            [noise] * 40,
            [b"<IDS|MSG>", good[1], b"{", *good[3:]],
            [b"<IDS|MSG>", noise, noise, noise, noise, noise, noise],
            [b"", b"", b""],
        )
    )
    c.sockets[s.rng.choice(("shell", "control", "stdin"))].send_multipart(broken)
    c.wait([c.ask("info after junk", "kernel_info_request", {})], SLOW)


def signed_junk(s: Soak) -> None:
    """Rightly signed parts that are not what they should be; the kernel goes on."""
    c = s.client()
    deep = b'{"a":' * 2000 + b"1" + b"}" * 2000
    parts = [s.rng.choice((b"{}", b"[]", b"null", b"{", b"\xff", deep, b'{"msg_id":5}', b"1" * 10000)) for _ in range(4)]
    c.sockets["shell"].send_multipart([b"<IDS|MSG>", c.session.sign(parts), *parts])
    c.wait([c.ask("info after signed junk", "kernel_info_request", {})], SLOW)


def replayed(s: Soak) -> None:
    """One signed message sent three times is served once; Client counts."""
    c = s.client()
    message = c.session.msg("execute_request", {"code": "replays = globals().get('replays', 0) + 1", "silent": True})
    request = c.ask("before a replay", "kernel_info_request", {})
    frames = c.session.serialize(message)
    for _ in range(3):
        c.sockets["shell"].send_multipart(frames)
    c.wait([request], SLOW)


def visitors(s: Soak) -> None:
    """Clients that come, ask, and go without a word; some subscribe to odd topics, some send no ZMTP at all."""
    if s.rng.random() < 0.5:
        for channel in ("shell", "iopub", "control", "stdin", "hb"):
            with socket.create_connection((str(s.connection["ip"]), int(str(s.connection[channel + "_port"])))) as raw:
                raw.sendall(s.rng.choice((b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(8) + b"\x01\x7f", s.rng.randbytes(300))))
    visitor = Client(dict(s.connection))
    visitor.sockets["iopub"].setsockopt(zmq.SUBSCRIBE, s.rng.randbytes(3))
    if s.rng.random() < 0.7:
        visitor.execute("left", "5")
    visitor.close()


def heartbeat(s: Soak) -> None:
    c = s.client()
    ping = c.context.socket(zmq.REQ)
    ping.setsockopt(zmq.LINGER, 0)
    ping.connect(f"tcp://{s.connection['ip']}:{s.connection['hb_port']}")
    ping.send(b"ping")
    if not ping.poll(10000) or ping.recv() != b"ping":
        c.faults.append("no heartbeat in 10 s")
    ping.close()


def long_code(s: Soak) -> None:
    c = s.client()
    c.wait([c.execute("1 MB of source", "s = '" + "z" * 1_000_000 + "'")], SLOW)


def metadata(s: Soak) -> None:
    c = s.client()
    message = c.session.msg("kernel_info_request", {}, metadata={"deep": json.loads("[" * 50 + "]" * 50)})
    c.session.send(c.sockets["shell"], message, ident=[s.rng.randbytes(20)])
    c.wait([c.ask("info after identities", "kernel_info_request", {})], SLOW)


TRAFFIC: tuple[tuple[Callable[[Soak], None], int], ...] = (
    (cells, 40),
    (burst, 6),
    (questions, 8),
    (comms, 5),
    (stdin, 4),
    (interrupts, 5),
    (crashes, 4),
    (subshells, 3),
    (malformed, 8),
    (unsigned, 8),
    (signed_junk, 6),
    (replayed, 4),
    (visitors, 5),
    (heartbeat, 3),
    (long_code, 1),
    (metadata, 3),
)


def step(s: Soak) -> str:
    """One piece of traffic; its name."""
    act = s.rng.choices([t[0] for t in TRAFFIC], [t[1] for t in TRAFFIC])[0]
    act(s)
    s.counts[act.__name__] = s.counts.get(act.__name__, 0) + 1
    return act.__name__
