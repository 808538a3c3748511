# SPDX-License-Identifier: Apache-2.0
"""The worker's own memory limit (specs/link.md 6). All bombs, many times: tests/bench/bombs.py."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from link_peer import ROOT, Worker

sys.path.insert(0, str(ROOT / "tests/bench"))

import bombs

MIB = 1 << 20
LIMIT = 40 * MIB
TEXT = "to have more, ask for a larger limits.memory in the request or the kernel's profile"
StartWhole = Callable[..., Worker]


def limits_of(pid: int) -> tuple[int, int]:
    """Soft and hard RLIMIT_DATA of a process, -1 for none."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max data size"):
            return tuple(-1 if word == "unlimited" else int(word) for word in line.split()[3:5])
    raise AssertionError("no such limit")


def data_of(pid: int) -> int:
    """VmData in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmData")


def refused(worker: Worker, code: str, **options: object) -> list:
    """Runs a cell that the limit must refuse; the fields of its REPLY."""
    worker.execute(code, **options)
    fields = worker.reply()
    assert fields[1] == 1 and fields[6][0] == "MemoryError", (fields, worker.text())
    assert fields[9] & 1 and fields[6][1].endswith(TEXT), fields
    return fields


@pytest.mark.parametrize("built", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("name", [*bombs.BOMBS, *bombs.MORE])
def test_a_bomb_is_clean(start_whole: StartWhole, name: str, built: bool) -> None:
    assert bombs.run(start_whole(memory_limit=LIMIT), {**bombs.BOMBS, **bombs.MORE}[name], built) == ""


@pytest.mark.parametrize("name", ["dict", "swallowing loop", "list(count())", "bytearray"])
def test_a_bomb_is_clean_in_the_plain_shell(start_whole: StartWhole, venv: Path, name: str) -> None:
    worker = start_whole(str(venv / "bin/python"), memory_limit=LIMIT)
    assert bombs.run(worker, bombs.BOMBS[name], False) == ""


@pytest.mark.parametrize("name", bombs.LIBRARIES)
def test_a_bomb_in_a_library_is_clean(start_whole: StartWhole, name: str) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("pandas")
    assert bombs.run(start_whole(memory_limit=200 * MIB), bombs.LIBRARIES[name], True) == ""


def test_without_a_limit_nothing_is_limited(start_whole: StartWhole) -> None:
    worker = start_whole()
    fields = worker.run("raise MemoryError")
    assert fields[6][:2] == ["MemoryError", ""] and fields[9] == 0
    fields = worker.run("bytearray(1 << 60)")
    assert fields[6][:2] == ["MemoryError", ""] and fields[9] == 0
    assert limits_of(worker.pid) == limits_of(os.getpid())


def test_the_limit_is_measured_from_what_python_has(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=LIMIT)
    worker.ok("get_ipython()")
    assert LIMIT < limits_of(worker.pid)[0] < data_of(worker.pid) + LIMIT + 16 * MIB
    worker.ok("b = bytearray(30 << 20)")
    refused(worker, "c = bytearray(20 << 20)")
    worker.ok("b = None\nc = bytearray(30 << 20)")


def test_what_the_shell_takes_is_not_the_tenants(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=32 * MIB)
    worker.ok("x = 1")
    before = data_of(worker.pid)
    worker.ok("get_ipython()")
    assert data_of(worker.pid) > before
    worker.ok("b = bytearray(24 << 20)")


@pytest.mark.parametrize("limit", [0, 1000, 1 << 60, -1, "many"])
def test_a_limit_that_cannot_be_kept_ends_the_worker(start_whole: StartWhole, limit: object) -> None:
    worker = start_whole(memory_limit=limit)
    name, fields = worker.recv()
    assert name == "FATAL" and fields[0] == "internal"
    assert worker.wait() == 1


def test_another_allocator_is_refused(start_whole: StartWhole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    worker = start_whole(memory_limit=LIMIT)
    name, fields = worker.recv()
    assert name == "FATAL" and "PYTHONMALLOC" in fields[1]
    assert worker.wait() == 1


def test_one_turn_may_have_less(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=64 * MIB)
    worker.ok("get_ipython()")
    fields = refused(worker, "b = bytearray(30 << 20)", memory=16 * MIB)
    assert "16 MiB allowed" in fields[6][1]
    worker.ok("b = bytearray(30 << 20)")
    refused(worker, "c = bytearray(40 << 20)", memory=1 << 40)


@pytest.mark.parametrize(
    "code",
    [
        "raise MemoryError",
        "raise MemoryError('mine')",
        "def f(): raise MemoryError('mine')\nf()",
        "try:\n    raise MemoryError\nexcept MemoryError as e:\n    raise",
        "try:\n    [].x\nexcept AttributeError as e:\n    raise MemoryError from e",
        "try:\n    bytearray(1 << 40)\nexcept MemoryError:\n    raise ValueError",
    ],
)
def test_a_raise_statement_is_no_refusal(start_whole: StartWhole, code: str) -> None:
    worker = start_whole(memory_limit=LIMIT)
    worker.ok("get_ipython()")
    fields = worker.run(code)
    assert fields[1] == 1 and fields[9] == 0
    assert TEXT not in fields[6][1]


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    bytearray(1 << 40)\nexcept MemoryError:\n    raise",
        "try:\n    bytearray(1 << 40)\nexcept MemoryError as e:\n    raise e",
        "try:\n    bytearray(1 << 40)\nfinally:\n    x = 1",
        "import concurrent.futures as c\nwith c.ThreadPoolExecutor(1) as p: p.submit(bytearray, 1 << 40).result()",
        "import asyncio\nasync def f(): return bytearray(1 << 40)\nawait f()",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return [str(i) for i in range(10**9)]\nawait f()",
        "class R:\n    def __repr__(self): return 'x' * (1 << 40)\nR()",
    ],
)
def test_a_refusal_is_known_wherever_it_is_seen(start_whole: StartWhole, code: str) -> None:
    worker = start_whole(memory_limit=LIMIT)
    worker.ok("get_ipython()")
    refused(worker, code)


def test_children_and_tenants_limits(start_whole: StartWhole) -> None:
    """A fork is limited too; who lowers the limits of the process harms himself alone."""
    worker = start_whole(memory_limit=LIMIT)
    worker.ok("get_ipython()")
    text = worker.ok(
        "import os\npid = os.fork()\nif not pid:\n    try:\n        K = []\n        while True: K.append([None])\n"
        "    except MemoryError as e:\n        K = None\n        os.write(1, type(e).__name__.encode())\n    os._exit(0)\n"
        "_ = os.waitpid(pid, 0)"
    )
    assert text == "MemoryError"
    worker.ok("import resource\nresource.setrlimit(resource.RLIMIT_DATA, resource.getrlimit(resource.RLIMIT_DATA)[1:] * 2)")
    refused(worker, "b = bytearray(150 << 20)")
    worker.ok(
        "now = int(open('/proc/self/status').read().split('VmData:')[1].split()[0]) << 10\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (now + (20 << 20), now + (20 << 20)))"
    )
    refused(worker, "b = bytearray(30 << 20)")
    worker.ok("b = bytearray(5 << 20)")


def test_a_program_runs_under_the_limit(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=LIMIT)
    code = "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(1); bytearray(10**9)'], "
    code += "capture_output=True, text=True))"
    text = worker.ok(code)
    assert "stdout='1\\n'" in text and "MemoryError" in text


def test_memory_that_c_code_loses_is_gone(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=LIMIT)
    worker.ok("import ctypes\nm = ctypes.CDLL(None).malloc\nm.restype = ctypes.c_void_p\nn = 0\nwhile m(1 << 18): n += 1\nprint(n)")
    assert 100 < int(worker.text()) < 300
    worker.ok("print('alive')")


def test_threads_are_refused_and_the_worker_goes_on(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=64 * MIB)
    fields = worker.run(
        "import threading\ngo = threading.Event()\nts = []\n"
        "for i in range(100):\n    t = threading.Thread(target=go.wait); t.start(); ts.append(t)"
    )
    assert fields[6][0] == "RuntimeError"
    assert worker.ok("go.set()\nfor t in ts: t.join() if t.is_alive() else None\nprint('alive')").endswith("alive\n")


def test_a_thread_between_turns_is_refused_itself(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=LIMIT)
    worker.ok(
        "import threading\ngo = threading.Event()\n"
        "def f():\n    go.wait()\n    n = None\n    while True: n = (n, 1.5)\n"
        "threading.excepthook = lambda a: print(a.exc_type.__name__)\nt = threading.Thread(target=f); t.start()\ngo.set()"
    )
    assert worker.ok("t.join()\nprint('alive')").endswith("alive\n")


def test_the_tool_for_many_runs_works(build: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/bench/bombs.py"), str(build), "-n", "1", "--bomb", "set", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout.endswith("1 of 1 clean\n"), done


NEARLY_FULL = (
    "import numpy as np, threading\na = np.ones((500, 500))\nhoard = []\n"
    "try:\n    while True: hoard.append(bytearray(1 << 20))\nexcept MemoryError:\n    del hoard[-24:]"
)


@pytest.fixture(params=["1", "2", None], ids=["1 thread", "2 threads", "default"])
def blas_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy")
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if request.param is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", request.param)


@pytest.mark.usefixtures("blas_threads")
def test_matrices_are_multiplied_where_the_limit_is_nearly_reached(start_whole: StartWhole) -> None:
    """OpenBLAS would exit, or ask for ever, without its buffer for each thread and caller."""
    worker = start_whole(memory_limit=128 * MIB)
    worker.ok(NEARLY_FULL)
    assert worker.ok("print((a @ a)[0, 0])") == "500.0\n"
    worker.ok(
        "both = []\nts = [threading.Thread(target=lambda: both.append(float((a @ a)[0, 0]))) for _ in range(2)]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()"
    )
    assert worker.ok("print(both, len(hoard) > 50)") == "[500.0, 500.0] True\n"
    refused(worker, "c = bytearray(64 << 20)")


@pytest.mark.usefixtures("blas_threads")
def test_numpy_is_imported_with_the_least_memory(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=32 * MIB)
    assert worker.ok("import numpy as np\na = np.ones((300, 300))\nprint((a @ a)[0, 0])") == "300.0\n"
    refused(worker, "b = bytearray(32 << 20)")


@pytest.mark.usefixtures("blas_threads")
@pytest.mark.parametrize("n_free", [0, 2, 6, 12])
def test_an_import_of_numpy_without_room_leaves_the_variables(start_whole: StartWhole, n_free: int) -> None:
    worker = start_whole(memory_limit=64 * MIB)
    fill = "    while True: hoard.append(bytearray(1 << 20))\nexcept MemoryError:\n"
    worker.ok(f"keep = 1\nhoard = []\ntry:\n{fill}    del hoard[len(hoard) - {n_free} :]")
    fields = worker.run("import numpy")
    # Some extension modules of it fail without saying why.
    assert fields[1] == 0 or fields[6][0] in ("MemoryError", "ImportError", "SystemError"), fields
    assert worker.ok("hoard = None\nprint(keep)") == "1\n"


def test_what_openblas_is_lent_others_are_not(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=LIMIT)
    fields = worker.run("import mmap\nm = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)")
    assert fields[1] == 1 and fields[6][0] == "OSError", fields
    worker.ok("m = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)")


@pytest.mark.usefixtures("blas_threads")
def test_a_forked_process_calculates_in_buffers_of_its_own(start_whole: StartWhole) -> None:
    worker = start_whole(memory_limit=64 * MIB)
    worker.ok(
        "import os, numpy as np\n"
        "def check(n):\n"
        "    a = np.full((300, 300), float(n))\n"
        "    return all(((a @ a) == 300.0 * n * n).all() for _ in range(50))\n"
        "check(1)"
    )
    worker.ok("pid = os.fork()\nright = check(2 if pid else 3)\nif not pid: os._exit(not right)")
    assert worker.ok("print(right, os.waitpid(pid, 0)[1])") == "True 0\n"
