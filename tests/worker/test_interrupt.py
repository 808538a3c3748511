# SPDX-License-Identifier: Apache-2.0
"""Interrupts (specs/link.md 5): each kind of cell is unwound, the interpreter stays usable."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from link_peer import AT_SEEN, RESERVED_SIGNAL, Worker

GRACE = 30.0  # of a loaded machine; the front's own is shorter

BLOCKED = {
    "loop": "while True: pass",
    "float loop": "x = 1.0\nwhile True: x = x * 1.0000001 + 1e-9",
    "calls": "def f(): pass\nwhile True: f()",
    "except Exception": "while True:\n    try:\n        while True: pass\n    except Exception: pass",
    "finally": "try:\n    while True: pass\nfinally:\n    y = 1",
    "sleep": "import time; time.sleep(1000)",
    "lock": "import threading; l = threading.Lock(); l.acquire(); l.acquire()",
    "queue": "import queue; queue.Queue().get()",
    "recv": "import socket; a, b = socket.socketpair(); a.recv(1)",
    "join": "import threading, time; t = threading.Thread(target=time.sleep, args=(1000,), daemon=True); t.start(); t.join()",
    "regex": "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')",
    "power": "x = 9 ** 9 ** 7",
    "asyncio sleep": "import asyncio; asyncio.new_event_loop().run_until_complete(asyncio.sleep(1000))",
    "asyncio busy": (
        "import asyncio\nasync def f():\n    while True: await asyncio.sleep(0)\n"
        "async def g(): await asyncio.gather(f(), f())\nasyncio.new_event_loop().run_until_complete(g())"
    ),
    "asyncio.run": "import asyncio; asyncio.run(asyncio.sleep(1000))",
    "subprocess": "import subprocess; subprocess.run(['sleep', '1000'])",
    "input on a pipe": "import os; r, w = os.pipe(); os.read(r, 1)",
    "select": "import select; select.select([], [], [])",
}

HOSTILE = {
    "handler replaced": (
        "import signal\n"
        "for n in signal.valid_signals():\n"
        "    try: signal.signal(n, lambda *a: None)\n"
        "    except (OSError, ValueError, RuntimeError): pass\n"
        "while True: pass"
    ),
    "all ignored": (
        "import signal\n"
        "for n in signal.valid_signals() - {signal.SIGCHLD}:\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError, RuntimeError): pass\n"
        "while True: pass"
    ),
    "all masked, loop": (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: pass"
    ),
    "all masked, sleep": (
        "import signal, time; signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65)); time.sleep(1000)"
    ),
    "ignored by C": (
        "import ctypes; c = ctypes.CDLL(None); c.signal.restype = ctypes.c_void_p\n"
        "for n in range(1, 65): c.signal(n, ctypes.c_void_p(1)); c.sigignore(n)\n"
        "while True: pass"
    ),
    "swallow in module": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "swallow in function": (
        "def f():\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass\nf()"
    ),
    "swallow nested": (
        "def f():\n    while True:\n        try:\n            while True:\n                try:\n"
        "                    while True: pass\n                except BaseException: pass\n"
        "        except BaseException: pass\nf()"
    ),
    "swallow in generator": (
        "def g():\n    while True:\n        try:\n            while True: yield 1\n        except BaseException: pass\n"
        "while True:\n    try:\n        for x in g(): pass\n    except BaseException: pass"
    ),
    "suppress": "import contextlib\nwhile True:\n    with contextlib.suppress(BaseException):\n        while True: pass",
    "swallow in exec": (
        "exec('while True:\\n    try:\\n        while True: pass\\n    except BaseException: pass')"
    ),
    "swallow and sleep": (
        "import time\nwhile True:\n    try:\n        time.sleep(1000)\n    except BaseException: pass"
    ),
    "finally 20 deep": (
        "def f(n):\n    try:\n        if n: f(n - 1)\n        while True: pass\n    finally:\n"
        "        while n < 20 and GO: pass\nGO = 1\nf(20)"
    ),
    "gc callback": (
        "import gc\ndef cb(*a):\n    try:\n        for i in range(10**6): pass\n    except BaseException: pass\n"
        "gc.callbacks.append(cb)\ntry:\n    while True: gc.collect()\nfinally:\n    gc.callbacks.remove(cb)"
    ),
    "__del__": (
        "class D:\n    def __del__(self):\n        try:\n            for i in range(10**5): pass\n"
        "        except BaseException: pass\nwhile True: D()"
    ),
    "weakref callback": (
        "import weakref\nclass W: pass\ndef cb(r):\n    try:\n        for i in range(10**5): pass\n"
        "    except BaseException: pass\nwhile True:\n    w = W(); r = weakref.ref(w, cb); del w"
    ),
    "settrace(None)": (
        "import sys\nwhile True:\n    try:\n        while True: sys.settrace(None)\n    except BaseException: pass"
    ),
    "own tracer": (
        "import sys\ndef t(*a): return t\nsys.settrace(t)\n"
        "while True:\n    try:\n        while True: sys.settrace(t)\n    except BaseException: pass"
    ),
    "clears sys.monitoring": (
        "import sys\nm = getattr(sys, 'monitoring', None)\n"
        "while True:\n    try:\n        while True:\n            if m: m.set_events(7, 0) if m.get_tool(7) else None\n"
        "    except BaseException: pass"
    ),
    "sort key": (
        "def k(x):\n    try:\n        for i in range(100): pass\n    except BaseException: pass\n    return x\n"
        "while True:\n    try:\n        sorted(range(10**6), key=k)\n    except BaseException: pass"
    ),
    "comprehension": (
        "def f(x):\n    try:\n        return x\n    except BaseException: pass\n"
        "while True:\n    try:\n        [f(x) for x in range(10**8)]\n    except BaseException: pass"
    ),
}

LOOP_CELLS = {
    "await sleep": "import asyncio\nasync def cell():\n    print('go'); await asyncio.sleep(1000)",
    "busy task": "import asyncio\nasync def cell():\n    print('go')\n    while True: pass",
    "swallowing task": (
        "import asyncio\nasync def cell():\n    print('go')\n    while True:\n        try:\n"
        "            while True: await asyncio.sleep(0)\n        except BaseException: pass"
    ),
    "gather": (
        "import asyncio\nasync def f():\n    while True: await asyncio.sleep(0)\n"
        "async def cell():\n    print('go'); await asyncio.gather(f(), f())"
    ),
}


def end_turn(worker: Worker) -> list:
    """What a front does from the interrupt on: stage 1 three times, then stage 2, until the reply."""
    step = 0
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        worker.interrupt(1 if step < 3 else 2)
        step += 1
        try:
            fields = worker.reply(timeout=0.06 if step < 3 else 0.1)
        except TimeoutError:
            continue
        worker.clear_interrupt()
        return fields
    raise AssertionError(f"not unwound within {GRACE} s")


def check_usable(worker: Worker) -> None:
    """The variables are there, Python computes, and nothing is traced but by the cell's own tracer."""
    text = worker.ok("import sys\nt = sys.gettrace(); sys.settrace(None)\nprint(keep, sum(range(10)), getattr(t, '__name__', ''))")
    assert text in ("kept 45 \n", "kept 45 t\n")


@pytest.mark.parametrize("name", [*BLOCKED, *HOSTILE])
def test_cell_is_unwound(worker: Worker, name: str) -> None:
    worker.ok("keep = 'kept'")
    worker.execute("print('go')\n" + {**BLOCKED, **HOSTILE}[name])
    worker.wait_text("go")
    fields = end_turn(worker)
    assert fields[1] == 1
    assert fields[6][0] in ("KeyboardInterrupt", "NameError"), fields
    check_usable(worker)


@pytest.mark.parametrize("name", LOOP_CELLS)
def test_cell_on_a_loop_is_unwound_and_the_loop_goes_on(worker: Worker, name: str) -> None:
    worker.ok("keep = 'kept'")
    worker.execute(LOOP_CELLS[name], metadata=b"loop")
    worker.wait_text("go")
    fields = end_turn(worker)
    assert fields[6][0] == "KeyboardInterrupt"
    check_usable(worker)
    worker.ok("import asyncio\nasync def cell():\n    await asyncio.sleep(0); print('on')", metadata=b"loop")
    assert worker.text() == "on\n"


REPORT = """
import signal
released = []
signal.signal(signal.SIGUSR1, lambda *unused: released.append(1))
def report(run, code):
    try:
        run(code)
    except KeyboardInterrupt:
        print('formatting')
        while not released: pass
        print('formatted')
"""


def test_repeated_interrupts_do_not_break_the_report_of_the_first(worker: Worker) -> None:
    """As IPython's formatting of a traceback on a slow machine: between the guard and the cell, not in the user's module."""
    worker.ok(f"LIBRARY = {{'__name__': 'library'}}\nexec({REPORT!r}, LIBRARY)\nkeep = 'kept'")
    worker.execute("print('go')\nwhile True: pass", metadata=b"report")
    worker.wait_text("go\n")
    worker.interrupt()
    worker.wait_text("formatting\n")
    for stage in (1, 1, 2, 2):
        worker.interrupt(stage)
        worker.pump(0.06)
    os.kill(worker.pid, signal.SIGUSR1)
    fields = worker.reply()
    worker.clear_interrupt()
    assert fields[1] == 0, fields
    assert worker.text() == "go\nformatting\nformatted\n"
    check_usable(worker)


def test_an_interrupt_of_another_turn_does_nothing(worker: Worker) -> None:
    worker.execute(WAITS)
    worker.wait_text("go")
    worker.interrupt(turn=worker.turn + 1)
    worker.interrupt(stage=2, turn=0)
    worker.clear_interrupt()
    os.kill(worker.pid, signal.SIGUSR1)
    assert worker.reply()[1] == 0
    assert worker.text() == "go\ndone\n"


WAITS = (
    "import signal, threading\n"
    "e = []\n"
    "signal.signal(signal.SIGUSR1, lambda *a: e.append(1))\n"
    "print('go')\n"
    "while not e: pass\n"
    "print('done')"
)


def test_an_idle_worker_ignores_interrupts(worker: Worker) -> None:
    worker.ok("pass")
    for _ in range(20):
        worker.interrupt()
        os.kill(worker.pid, signal.SIGINT)
    worker.clear_interrupt()
    assert worker.ok("print('alive')") == "alive\n"


def test_an_interrupt_before_the_cell_begins_is_not_lost(worker: Worker) -> None:
    worker.ok("pass")
    worker.interrupt(turn=worker.turn + 1)
    worker.execute("while True: pass")
    assert worker.reply()[6][0] == "KeyboardInterrupt"
    assert worker.ring.u32(AT_SEEN) == 1


def test_sigint_from_outside_counts_as_an_interrupt(worker: Worker) -> None:
    worker.execute("print('go')\nwhile True: pass")
    worker.wait_text("go")
    os.kill(worker.pid, signal.SIGINT)
    assert worker.reply()[6][0] == "KeyboardInterrupt"
    assert worker.ok("print('alive')") == "alive\n"


def test_sigint_from_outside_wins_over_the_cells_handler(worker: Worker) -> None:
    worker.execute("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('go')\nwhile True: pass")
    worker.wait_text("go")
    os.kill(worker.pid, signal.SIGINT)
    assert worker.reply()[6][0] == "KeyboardInterrupt"


def test_sigint_of_the_front_and_from_outside_are_one(worker: Worker) -> None:
    worker.execute(
        "try:\n    print('go')\n    while True: pass\n"
        "except KeyboardInterrupt:\n"
        "    import time; t = time.monotonic()\n"
        "    print('caught')\n"
        "    while time.monotonic() - t < 0.03: pass\n"
        "print('end')"
    )
    worker.wait_text("go")
    worker.interrupt()
    worker.wait_text("caught")
    os.kill(worker.pid, signal.SIGINT)
    fields = worker.reply()
    worker.clear_interrupt()
    # Between the two signals the machine may have been busy for longer than 40 ms.
    assert fields[1] == 0 or worker.ring.u32(AT_SEEN) == 2


def test_a_sigint_of_the_process_itself_goes_to_its_handler(worker: Worker) -> None:
    text = worker.ok(
        "import signal, os\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    for i in range(10**6): pass\n"
        "except KeyboardInterrupt: print('default')\n"
        "old = signal.signal(signal.SIGINT, lambda n, f: print('mine', n))\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, old)\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt: print('default')\n"
    )
    assert text == "True\ndefault\nmine 2\ndefault\n"


def test_the_default_action_of_a_sigint_that_is_raised_is_death(worker: Worker) -> None:
    worker.execute("import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nsignal.raise_signal(signal.SIGINT)")
    assert worker.wait() == -signal.SIGINT


def test_asyncio_runner_restores_the_default_handler(worker: Worker) -> None:
    text = worker.ok(
        "import asyncio, signal\n"
        "async def f(): print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
        "asyncio.run(f())\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    assert text == "False\nTrue\n"


def test_the_reserved_signal_is_hidden(worker: Worker) -> None:
    text = worker.ok(
        f"import signal\nn = {int(RESERVED_SIGNAL)}\n"
        "for call in (lambda: signal.signal(n, signal.SIG_IGN), lambda: signal.signal(n, print)):\n"
        "    try:\n        call()\n    except OSError as e:\n        print(e.errno)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [n, signal.SIGUSR2])\n"
        "print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])) == [signal.SIGUSR2])"
    )
    assert text == "22\n22\nTrue\n"


def test_children_get_default_signals_and_no_preload(worker: Worker) -> None:
    text = worker.ok(
        "import subprocess, sys\n"
        "code = 'import os, signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler,'\n"
        "code += ' signal.pthread_sigmask(signal.SIG_BLOCK, []), os.environ.get(\"LD_PRELOAD\"),'\n"
        "code += ' sorted(map(int, os.listdir(\"/proc/self/fd\")))[:3], len(os.listdir(\"/proc/self/fd\")))'\n"
        "subprocess.run([sys.executable, '-c', code])"
    )
    assert text == "True set() None [0, 1, 2] 4\n"


def test_only_the_main_thread_can_be_guarded(worker: Worker) -> None:
    text = worker.ok(
        "import threading, _husk\n"
        "def f():\n    try:\n        _husk.guard(1, print)\n    except RuntimeError as e:\n        print(e)\n"
        "t = threading.Thread(target=f); t.start(); t.join()"
    )
    assert text == "interrupts can be armed in the main thread only\n"


def test_sigterm_ends_the_worker(worker: Worker) -> None:
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait() == -signal.SIGTERM


CROWD = (
    "import hashlib, threading\nstop = False\n"
    "def spin():\n    data = bytes(1 << 20)\n    while not stop: hashlib.sha256(data).digest()\n"
    "ts = [threading.Thread(target=spin, daemon=True) for _ in range(64)]\nfor t in ts: t.start()\n"
    "print('on', flush=True)\nfor t in ts: t.join()"
)


@pytest.mark.parametrize("built", [False, True], ids=["cold", "warm"])
def test_the_report_beside_many_busy_threads_is_brief(start_whole: Callable[..., Worker], built: bool) -> None:
    """IPython's would take so long that the grace is over, and the variables lost."""
    worker = start_whole()
    worker.ok("keep = 1" + ("\nlen(In)" if built else ""))
    turn = worker.execute(CROWD)
    worker.wait_text("on")
    worker.interrupt()
    fields = worker.reply(GRACE)
    worker.clear_interrupt()
    assert fields[1] == 1 and fields[6][0] == "KeyboardInterrupt", fields
    lines = fields[6][2]
    assert lines[0] == "Traceback (most recent call last):" and lines[-1].startswith("KeyboardInterrupt"), lines
    assert any("<module>" in line for line in lines), lines
    assert [fields for name, fields in worker.frames if name == "ERROR"] == [[turn, *fields[6]]]
    assert worker.ok("stop = True\nfor t in ts: t.join()\nprint(keep)") == "1\n"
    assert "\x1b[" in "".join(worker.run("1 / 0")[6][2])


def test_threads_that_wait_leave_the_report_as_it_is(start_whole: Callable[..., Worker]) -> None:
    worker = start_whole()
    worker.ok(
        "import threading\ngo = threading.Event()\n"
        "ts = [threading.Thread(target=go.wait, daemon=True) for _ in range(32)]\nfor t in ts: t.start()"
    )
    assert "\x1b[" in "".join(worker.run("1 / 0")[6][2])
    worker.ok("go.set()\nfor t in ts: t.join()")
