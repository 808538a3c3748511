# SPDX-License-Identifier: Apache-2.0
"""Interrupts by a limit (specs/link.md 5.6): class, message, attributes, and how IPython and the plain shell show them."""

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from link_peer import AT_SEEN, HEADER, NAMES, REASONS, TYPES, Worker, msgpack, reasons

WALL = (REASONS["WALL"], 2_000_000, 2_004_000)
WALL_TEXT = (
    "wall time of this turn: 2 s allowed, 2.004 s used; to have more, ask for a larger limits.wall in the request or the kernel's profile"
)
MEMORY = (REASONS["MEMORY"], 64 << 20, 65 << 20)
MEMORY_TEXT = (
    "memory of this kernel: 64 MiB allowed, 65 MiB used; to have more, ask for a larger limits.memory in the request or the kernel's profile"
)
SWALLOW = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def end_turn(worker: Worker, why: tuple[int, int, int]) -> list:
    """Interrupts as a front does (specs/link.md 5.2); the fields of the REPLY."""
    began = time.monotonic()
    seen = worker.ring.u32(AT_SEEN)
    step = 0
    while time.monotonic() < began + 60:
        if step == 0 or worker.ring.u32(AT_SEEN) == seen or time.monotonic() > began + 3:
            worker.interrupt(1 if step < 3 else 2, why=why)
            step = step + 1 if worker.ring.u32(AT_SEEN) == seen else 3
        try:
            fields = worker.reply(timeout=0.06 if step < 3 else 0.1)
        except TimeoutError:
            continue
        worker.clear_interrupt()
        return fields
    raise AssertionError("not unwound within 60 s")


@pytest.mark.parametrize("row", reasons()[1:], ids=lambda row: row[0])
@pytest.mark.parametrize("cell", ["while True: pass", SWALLOW], ids=["loop", "swallow"])
def test_each_reason_raises_its_class(worker: Worker, row: tuple[str, str, str, str, str], cell: str) -> None:
    name, cls, sentence, _, _ = row
    worker.execute("print('go')\n" + cell)
    worker.wait_text("go")
    fields = end_turn(worker, (REASONS[name], 1_000_000, 2_000_000))
    assert fields[6][0] == cls
    begin = "[Errno 28] No space left on device: " if cls == "OSError" else ""
    assert fields[6][1].startswith(f"{begin}{sentence}: ") and f"limits.{name.lower()} " in fields[6][1]
    assert worker.ok("print('alive')") == "alive\n"


def test_user_code_can_name_and_read_it(worker: Worker) -> None:
    worker.execute(
        "import husk_limits, pickle, copy\ntry:\n    print('go')\n    while True: pass\n"
        "except husk_limits.WallTimeLimitExceeded as e:\n"
        "    for x in (e, pickle.loads(pickle.dumps(e)), copy.copy(e)):\n"
        "        print(type(x) is husk_limits.WallTimeLimitExceeded, x.what, x.limit, x.used, str(x) == str(e))\n"
        "    print(isinstance(e, husk_limits.LimitExceeded), isinstance(e, KeyboardInterrupt), isinstance(e, Exception))"
    )
    worker.wait_text("go\n")
    worker.interrupt(why=WALL)
    assert worker.reply()[1] == 0
    worker.clear_interrupt()
    assert worker.text() == "go\n" + "True wall 2.0 2.004 True\n" * 3 + "True True False\n"


def test_the_module_is_complete(worker: Worker) -> None:
    named = {row[1] for row in reasons()} - {"KeyboardInterrupt", "MemoryError", "OSError"}
    text = worker.ok(
        "import husk_limits as m\nprint(hasattr(m, '__file__'), bool(m.__doc__), sorted(m.__all__))\n"
        "for n in m.__all__:\n    c = getattr(m, n)\n"
        "    assert issubclass(c, m.LimitExceeded) and c.__doc__ and c.__module__ == 'husk_limits' and c.__name__ == n\n"
        "e = m.CpuTimeLimitExceeded('mine')\nprint(e, e.what, e.limit, e.used)"
    )
    assert text == f"False True {sorted(named | {'LimitExceeded', 'MemoryLimitExceeded'})}\nmine None None None\n"


def test_the_classes_survive_a_wrecked_sys_modules(worker: Worker) -> None:
    worker.execute(
        "import husk_limits, sys\nold = husk_limits.WallTimeLimitExceeded\nsys.modules.clear()\nhusk_limits.__dict__.clear()\n"
        "try:\n    print('go')\n    while True: pass\nexcept old as e: print(e.what)"
    )
    worker.wait_text("go\n")
    worker.interrupt(why=WALL)
    assert worker.reply()[1] == 0
    assert worker.text() == "go\nwall\n"


def test_memory_is_pythons_own_error(worker: Worker) -> None:
    worker.execute("try:\n    print('go')\n    while True: pass\nexcept MemoryError as e: print(e, e.what, e.limit, e.used)")
    worker.wait_text("go\n")
    worker.interrupt(why=MEMORY)
    assert worker.reply()[1] == 0
    worker.clear_interrupt()
    assert worker.text() == f"go\n{MEMORY_TEXT} memory {64 << 20} {65 << 20}\n"


def test_the_disk_is_the_systems_error(worker: Worker) -> None:
    worker.execute("try:\n    print('go')\n    while True: pass\nexcept OSError as e:\n    print(type(e), e.errno, e.what, e.used)")
    worker.wait_text("go\n")
    worker.interrupt(why=(REASONS["DISK"], 1 << 20, 2 << 20))
    assert worker.reply()[1] == 0
    worker.clear_interrupt()
    assert worker.text() == f"go\n<class 'OSError'> 28 disk {2 << 20}\n"


def test_a_reason_that_is_none_is_an_interrupt(worker: Worker) -> None:
    worker.execute("print('go')\nwhile True: pass")
    worker.wait_text("go\n")
    assert end_turn(worker, (4_000_000_000, 1, 2))[6][:2] == ["KeyboardInterrupt", ""]


# With IPython

CELLS = {
    "plain": "print('go')\nwhile True: pass",
    "function": "def f():\n    print('go')\n    while True: pass\nf()",
    "sleep": "import time\nprint('go')\ntime.sleep(1000)",
    "while handling": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    print('go')\n    while True: pass",
    "swallow": "print('go')\n" + SWALLOW,
    "%time": "%time print('go'), [None for _ in iter(int, 1)]",
    "%%time": "%%time\nprint('go')\nwhile True: pass",
    "%timeit": "%timeit -n1 -r1 print('go'); [None for _ in iter(int, 1)]",
    "%prun": "%prun print('go'); [None for _ in iter(int, 1)]",
    "await": "import asyncio\nprint('go')\nawait asyncio.sleep(1000)",
    "await busy": "import asyncio\nprint('go')\nwhile True: await asyncio.sleep(0)",
    "await swallow": (
        "import asyncio\nprint('go')\nwhile True:\n    try:\n        await asyncio.sleep(1000)\n    except BaseException: pass"
    ),
    "gather": "import asyncio\nprint('go')\nawait asyncio.gather(asyncio.sleep(1000), asyncio.sleep(2000))",
    "repr": "class R:\n    def __repr__(self):\n        print('go')\n        while True: pass\nR()",
    "traced": "import bdb\nb = bdb.Bdb()\nb.set_step = b.set_continue\nprint('go')\nb.run('while True: pass', globals())",
}


def check_report(worker: Worker, fields: list, name: str, text: str) -> None:
    """One ERROR and the REPLY say the same: class, message, and a traceback that leads to the cell and ends in both."""
    errors = [frame for kind, frame in worker.frames if kind == "ERROR"]
    assert [error[1:3] for error in errors] == [[name, text]]
    trace = COLOURS.sub("", "\n".join(errors[0][3]))
    if fields[1] == 0:
        # %time of IPython 8 shows what it catches and goes on; the front knows better (specs/limits.md 3.1).
        assert worker.run("%time 1/0")[1] == 0
    else:
        assert fields[1] == 1 and fields[6][:2] == [name, text]
        assert COLOURS.sub("", "\n".join(fields[6][2])) == trace
    assert trace.rstrip().endswith(f"{name}: {text}"), trace
    assert "Cell In[" in trace or "<husk" not in trace, trace


@pytest.mark.parametrize("why", [WALL, MEMORY], ids=["wall", "memory"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("name", CELLS)
def test_ipython_shows_it(start_whole: Callable[..., Worker], name: str, warm: bool, why: tuple[int, int, int]) -> None:
    worker = start_whole()
    worker.run("keep = 'kept'" + ("\nget_ipython()" if warm else ""))
    worker.execute(CELLS[name])
    worker.wait_text("go\n")
    fields = end_turn(worker, why)
    if why is WALL:
        check_report(worker, fields, "WallTimeLimitExceeded", WALL_TEXT)
    else:
        check_report(worker, fields, "MemoryError", MEMORY_TEXT)
    assert worker.ok("print(keep)") == "kept\n"
    assert worker.ok("import asyncio\nawait asyncio.sleep(0)\nprint(keep)") == "kept\n"


@pytest.mark.parametrize("name", ["plain", "function", "await", "swallow"])
def test_the_plain_shell_shows_it(start_whole: Callable[..., Worker], venv: Path, name: str) -> None:
    worker = start_whole(str(venv / "bin/python"))
    worker.execute(CELLS[name])
    worker.wait_text("go\n")
    check_report(worker, end_turn(worker, WALL), "WallTimeLimitExceeded", WALL_TEXT)
    assert worker.ok("print('alive')") == "alive\n"


# In a subshell


class Subshell:
    """A further link of a worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        worker.send("ATTACH", [1, "subshell", "one"], (theirs.fileno(),))
        theirs.close()
        self.turn = 1000

    def begin(self, code: str) -> None:
        body = msgpack.packb([self.turn, b'{"msg_id":"s"}', [b"c"], b"{}", 2, code, None, 1])
        self.sock.sendall(HEADER.pack(len(body), 1, TYPES["EXECUTE"], 0, 0) + body)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            assert more, "the worker has closed the subshell's link"
            data += more
        return data

    def recv(self, timeout: float) -> tuple[str, list] | None:
        """The next frame, None when there is none in time."""
        self.sock.settimeout(timeout)
        try:
            first = self.sock.recv(1)
        except TimeoutError:
            return None
        self.sock.settimeout(30)
        size, _, number, _, _ = HEADER.unpack(first + self._read(HEADER.size - 1))
        return NAMES[number], msgpack.unpackb(self._read(size), strict_map_key=False)


SUBSHELL_CELLS = {
    "loop": "print('go')\nwhile True: pass",
    "short sleeps": "import time\nprint('go')\nwhile True: time.sleep(0.001)",
    "await": "import asyncio\nprint('go')\nawait asyncio.sleep(1000)",
    "await busy": "import asyncio\nprint('go')\nwhile True: await asyncio.sleep(0)",
}


@pytest.mark.parametrize("why", [WALL, MEMORY], ids=["wall", "memory"])
@pytest.mark.parametrize("name", SUBSHELL_CELLS)
def test_a_subshell_gets_the_reason(start_whole: Callable[..., Worker], name: str, why: tuple[int, int, int]) -> None:
    worker = start_whole()
    worker.run("get_ipython()")
    shell = Subshell(worker)
    shell.begin(SUBSHELL_CELLS[name])
    worker.wait_text("go\n")
    worker.send("INTERRUPT", [shell.turn, *why])
    frame = None
    while frame is None or frame[0] != "REPLY":
        frame = shell.recv(30)
        assert frame is not None, "not unwound within 30 s"
    ename, evalue, trace = frame[1][6]
    assert [ename, evalue] == (["WallTimeLimitExceeded", WALL_TEXT] if why is WALL else ["MemoryError", MEMORY_TEXT])
    assert COLOURS.sub("", "\n".join(trace)).rstrip().endswith(f"{ename}: {evalue}")
    assert worker.ok("print('alive')") == "alive\n"
    shell.sock.close()
