#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory bombs against the worker's own limit, without a sandbox (specs/link.md 6).

usage: bombs.py BUILD [-n RUNS] [--python PATH] [--libraries] [--bomb NAME]...

Each run is a worker of its own with a limit that differs from run to run. It is clean when the bomb ends in MemoryError,
known as a refusal and with the text of the limit; when a variable of before is intact; and when after the bomb's memory has been
given up 20,000 strings and 10 MB can be made. Odd runs have the shell built before the bomb, even ones after it.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "worker"))

from link_peer import Worker, WorkerGone

MIB = 1 << 20
HANG = 60.0  # seconds: what takes longer is one

BOMBS = {
    "dict": "K = {}\nfor i in range(10**9): K[i] = str(i)",
    "list of lists": "K = []\nwhile True: K.append([None])",
    "tuples": "K = []\nfor i in range(10**9): K.append((i, i))",
    "strings": "K = []\nfor i in range(10**9): K.append('x%d' % i)",
    "instances": "class C:\n    def __init__(self, i): self.i = i\nK = []\nfor i in range(10**9): K.append(C(i))",
    "linked list": "K = []\nn = None\nwhile True:\n    n = (n, 1.5)\n    K[:] = [n]",
    "comprehension": "K = []\n[str(i) for i in range(10**9)]",
    "set": "K = set()\nfor i in range(10**9): K.add(i * 3)",
    "dict of dicts": "K = {}\nfor i in range(10**9): K[i] = {i: i}",
    "function": "K = []\ndef f():\n    for i in range(10**9): K.append(str(i))\nf()",
    "with": "import threading\nK = []\nl = threading.Lock()\nwith l:\n    for i in range(10**9): K.append(str(i))",
    "try": "K = []\ntry:\n    for i in range(10**9): K.append(str(i))\nexcept ZeroDivisionError: pass\nfinally: n = len(K)",
    "swallowing loop": (
        "K = []\ni = 0\nwhile True:\n    try:\n        while True:\n            i += 1\n            K.append(str(i))\n"
        "    except MemoryError: pass"
    ),
    "bytearray": "K = bytearray()\nwhile True: K += bytes(1 << 20)",
    "doubling string": "K = []\ns = 'x' * 1000\nwhile True: s = s + s",
    "list(count())": "import itertools\nK = []\nlist(itertools.count())",
}

# Those of a session that has more than one turn and more than one thread.
MORE = {
    "extend": "import itertools\nK = []\nK.extend(itertools.count())",
    "swallowed list(count())": (
        "import itertools\nK = []\nfor n in range(3):\n    try:\n        list(itertools.count())\n    except MemoryError: pass\n"
        "K.append(bytearray(1 << 40))"
    ),
    "thread": (
        "import threading\nK = []\ndef f():\n    try:\n        for i in range(10**9): K.append(str(i))\n"
        "    except MemoryError as e:\n        K.clear()\n        K.append(e)\nt = threading.Thread(target=f); t.start(); t.join()\nraise K[0]"
    ),
    "nested handlers": (
        "K = []\ndef f(n):\n    try:\n        if n: f(n - 1)\n        while True: K.append([n])\n    finally:\n        K.append(n)\nf(50)"
    ),
    "generator": "K = []\ndef g():\n    i = 0\n    while True:\n        i += 1\n        yield [i]\nfor x in g(): K.append(x)",
    "big string": "K = []\n'a' * 10**11",
    "big int": "K = []\n1 << (8 * 10**11)",
    "BytesIO": "import io\nK = io.BytesIO()\nwhile True: K.write(bytes(1 << 20))",
    "doubling list": "K = [0] * 1000\nwhile True: K = K + K",
    "cycles": "K = []\nwhile True:\n    a = []\n    a.append(a)\n    K.append(a)",
    "locals of functions": "K = []\ndef f(x): return f(x + x)\nf('x' * (1 << 16))",
    "sorted": "import itertools\nK = []\nsorted(iter(lambda: object(), 0))",
    "json": "import json\nK = []\njson.loads('[' + '[1.5],' * 10**7 + '1]')",
    "recursion": "import sys\nK = []\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
    "huge": "K = []\nbytearray(10**11)",
}


# Where numpy and pandas are; the limit is larger by what they and their BLAS take.
LIBRARIES = {
    "np.ones": "K = []\nnp.ones(10**10)",
    "np.empty": "K = []\nnp.empty(10**10)",
    "np.ones list": "K = []\nwhile True: K.append(np.ones(1 << 17))",
    "small arrays": "K = []\nwhile True: K.append(np.ones(10))",
    "np.load": (
        "import io\nK = io.BytesIO()\nhead = {'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}\n"
        "np.lib.format.write_array_header_1_0(K, head)\nK.seek(0)\nnp.load(K)"
    ),
    "pd.concat": "K = pd.DataFrame({'a': range(1000)})\nwhile True: K = pd.concat([K, K])",
    "svd": "K = []\nnp.linalg.svd(np.ones((6000, 6000)))",
}
ALL = {**BOMBS, **MORE, **LIBRARIES}


def fail(fields: list, worker: Worker) -> str:
    """Why a bomb's end is not clean; "" when it is."""
    if fields[1] != 1:
        return "no error"
    if not fields[6][0].endswith("MemoryError"):
        return f"{fields[6][0]}: {fields[6][1][:60]}"
    if not fields[9] & 1:
        return "not known as a refusal"
    if "limits.memory" not in fields[6][1] and not fields[6][1].startswith("Unable to allocate"):
        return f"text {fields[6][1]!r}"
    return ""


def run(worker: Worker, code: str, built: bool) -> str:
    """One run in a worker that is ready; "" when it was clean, else what was not."""
    if code in LIBRARIES.values():
        worker.ok("import numpy as np, pandas as pd\na = np.ones((300, 300))\na = a @ a")
    worker.ok("keep = list(range(1000))" + ("\nlen(In)" if built else ""))  # only a shell has In
    worker.execute(code)
    why = fail(worker.reply(HANG), worker)
    if why:
        return why
    fields = worker.run("K = n = s = None\nimport gc, sys\nsys.last_traceback = sys.last_value = sys.last_exc = None\ngc.collect()\nprint(sum(keep))")
    if fields[1] != 0 or worker.text(stream=0) != "499500\n":
        return f"keep: {fields[6]}"
    fields = worker.run("L = [str(i) for i in range(20000)]\nb = bytearray(10 << 20)\nprint(len(L), len(b))")
    return "" if fields[1] == 0 and worker.text(stream=0) == "20000 10485760\n" else f"work: {fields[6]}"


def one(launcher: Path, arguments: list[str], limit: int, code: str, built: bool) -> str:
    """One run in a worker of its own."""
    with Worker(str(launcher), *arguments) as worker:
        worker.start()
        worker.send("START", [{"session": "s", "ident": "k", "history_session": 1, "memory_limit": limit}])
        try:
            return run(worker, code, built)
        except TimeoutError:
            return "HANG"
        except WorkerGone:
            return f"death {worker.wait()}: {worker.text(stream=1)[-300:]}"


def main() -> int:
    """Prints a line for each bomb; 1 when a run was not clean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("-n", type=int, default=30, metavar="RUNS")
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--bomb", action="append", choices=ALL)
    parser.add_argument("--libraries", action="store_true", help="those that need numpy and pandas, and no others")
    options = parser.parse_args()
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # as in a sandbox: Arrow's own takes 128 MiB to begin with
    total = clean = 0
    with tempfile.TemporaryDirectory(prefix="husk-bombs-") as cache:
        for name in options.bomb or (LIBRARIES if options.libraries else [*BOMBS, *MORE]):
            code = ALL[name]
            results = []
            began = time.monotonic()
            for i in range(options.n):
                limit = int((24 + 1.4 * i + (160 if name in LIBRARIES else 0)) * MIB)
                arguments = ["--cache-dir", cache, "--python", options.python]
                results.append(one(options.build / "kernel/worker/husk-worker", arguments, limit, code, i % 2 == 1))
            good = results.count("")
            bad = {why: results.count(why) for why in results if why}
            print(f"{name:26} {good:3} of {options.n} clean  {time.monotonic() - began:6.1f} s  {bad or ''}", flush=True)
            total, clean = total + options.n, clean + good
    print(f"{clean} of {total} clean")
    return 0 if clean == total else 1


if __name__ == "__main__":
    sys.exit(main())
