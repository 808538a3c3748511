#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory bombs against a kernel in its sandbox: how many leave the variables of before as they were.

usage: tests/bench/sandbox_bombs.py --build BUILD --python PATH [--profile FILE] [-n RUNS] [--only NAME]...

Each bomb has a kernel of its own with 512 MiB of memory, 20 s of CPU time for a turn and 200 processes. It is kept when the
turn's reply says so, when a variable of before is intact, and when the next cell can give up what the bomb has left in its
variables and have 10 MB. The interpreter needs numpy and pandas. Inside a sandbox, so on a machine that can have one; as root or as an ordinary user.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

PROFILE = """
sandbox = { minimum = "full-nocg"; };
limits = { memory = "512 MiB"; cpu = "20 s"; wall = "60 s"; processes = 200; scratch = "256 MiB"; };
"""

SHARED = "for i in range(0, len(m), 4096): m[i] = 1"
BOMBS = {
    "bytearray(10**10)": "x = bytearray(10**10)",
    "np.ones(10**9)": "x = np.ones(10**9)",
    "'a' * 10**10": "x = 'a' * 10**10",
    "1 << (8 * 10**10)": "x = 1 << (8 * 10**10)",
    "np.empty(10**9)": "x = np.empty(10**9)",
    "list": "x = []\nwhile True: x.append(object())",
    "doubling list": "x = [0]\nwhile True: x += x",
    "dict": "x = {}\nn = 0\nwhile True:\n    x[n] = str(n)\n    n += 1",
    "BytesIO": "import io\nx = io.BytesIO()\nwhile True: x.write(b'y' * 100_000)",
    "pandas concat": "f = pd.DataFrame(np.ones((10_000, 20)))\nwhile True: f = pd.concat([f, f])",
    "list of np.ones": "x = []\nwhile True: x.append(np.ones(10**6))",
    "small arrays": "x = []\nwhile True: x.append(np.ones(10))",
    "cycles": "import gc\ngc.disable()\nx = []\nwhile True:\n    a = []\n    a.append(a)\n    x.append(a)",
    "svd(6000 x 6000)": "np.linalg.svd(np.ones((6000, 6000)))",
    "shared mmap": f"import mmap\nm = mmap.mmap(-1, 8 * 10**9)\n{SHARED}",
    "memfd": "import os\nf = os.memfd_create('x')\nwhile True: os.write(f, b'y' * 1_000_000)",
    "/dev/shm": "f = open('/dev/shm/x', 'wb')\nwhile True: f.write(b'y' * 1_000_000)",
    "malloc": "import ctypes\nc = ctypes.CDLL(None)\nc.malloc.restype = ctypes.c_void_p\nc.malloc.argtypes = [ctypes.c_size_t]\n"
    "c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]\n"
    "while True:\n    p = c.malloc(1 << 20)\n    if not p: raise MemoryError\n    c.memset(p, 1, 1 << 20)",
    "threads": "import threading\ne = threading.Event()\nt = []\ntry:\n    for i in range(300):\n        t.append(threading.Thread(target=e.wait))\n"
    "        t[-1].start()\nfinally: e.set()",
    "children": "import os, time\nfor i in range(4):\n    if os.fork() == 0:\n        x = bytearray(b'1') * (256 << 20)\n        time.sleep(30)\n"
    "        os._exit(0)\nfor i in range(4): os.wait()",
    "recursion": "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return f(n + 1)\nf(0)",
    "deep repr": "x = []\nfor i in range(10**6): x = [x]\nrepr(x)",
    "squares": "x = 3\nwhile True: x = x * x",
}


def try_bomb(husk: object, directory: Path, profile: str, code: str) -> tuple[bool, str]:
    kernel = husk.Kernel(directory, args=["--profile", profile])  # type: ignore[attr-defined]
    try:
        kernel.start()
        client = kernel.connect()
        client.execute("import numpy as np, pandas as pd; keep = {'a': list(range(1000)), 'b': np.arange(1000)}", timeout=60).ok()
        begin = time.perf_counter()
        reply = client.execute(code, timeout=120).reply
        seconds = time.perf_counter() - begin
        told = reply.metadata["husk"]
        after = client.execute("x = m = f = None; b = bytearray(10_000_000); print(sum(keep['a']), keep['b'].sum(), len(b))", timeout=60)
        kept = told["state"] == "kept" and after.reply.content["status"] == "ok" and after.stdout == "499500 499500 10000000\n"
        peak = told["usage"]["memory_peak_bytes"] >> 20
        return kept, f"{told['verdict']:13} {reply.content.get('ename', ''):22} {told['state']:5} {seconds:6.2f} s  peak {peak} MiB"
    finally:
        kernel.shut_down()
        kernel.close_clients()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--profile", help="(default: one with the limits above)")
    parser.add_argument("-n", type=int, default=1, help="runs of each bomb")
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    import os

    os.environ["HUSK_KERNEL"] = str(options.build / "kernel" / "front" / "husk-kernel")
    os.environ["HUSK_TEST_PYTHON"] = options.python
    import husk

    kept_all = 0
    with tempfile.TemporaryDirectory(prefix="husk-bombs-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        profile = options.profile or str(directory / "bombs.conf")
        (directory / "bombs.conf").write_text(PROFILE)
        bombs = {k: v for k, v in BOMBS.items() if not options.only or k in options.only}
        for title, code in bombs.items():
            results = [try_bomb(husk, directory, profile, code) for _ in range(options.n)]
            kept = sum(r[0] for r in results)
            kept_all += kept == options.n
            print(f"{title:20} kept {kept} of {options.n}   {next((r[1] for r in results if not r[0]), results[0][1])}", flush=True)
    print(f"variables kept in every run: {kept_all} of {len(bombs)} bombs")
    return 0 if kept_all == len(bombs) else 1


if __name__ == "__main__":
    sys.exit(main())
