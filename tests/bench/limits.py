#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a sandbox and its limits cost and how soon they act: each figure beside the same kernel without a profile, in one run.

usage: tests/bench/limits.py --build BUILD [--python PATH] [--profile default] [--samples N] [--user NAME]

Prints min, median and max in milliseconds, and the differences and ratios that the goals are about. On a quiet machine only.
--user: as that user instead (needs root; the build and the interpreter must be open to all users).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "e2e"))

CELLS = {
    "1+1": ("", "1+1"),
    "100,000 file operations": (
        "import os, tempfile; d = tempfile.mkdtemp()",
        "for i in range(25000):\n p = f'{d}/{i % 100}'\n f = os.open(p, os.O_CREAT | os.O_RDWR)\n os.write(f, b'x'); os.close(f); os.stat(p)",
    ),
    "pandas describe": (
        "import numpy as np, pandas as pd; f = pd.DataFrame(np.random.default_rng(1).random((200000, 8)))",
        "f.describe(); None",
    ),
}
QUICK = 'sandbox = { minimum = "full-nocg"; };\nlimits = { wall = "1 s"; grace = "500 ms"; output = "1 MiB"; };\n'


def milliseconds(values: list[float]) -> str:
    scaled = [v * 1000 for v in values]
    return f"{min(scaled):10.2f}{statistics.median(scaled):10.2f}{max(scaled):10.2f}{len(scaled):6}"


class Bench:
    """Kernels of one build, with and without a profile."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        import husk

        self.husk = husk
        self.options = options
        self.directory = directory
        account = pwd.getpwnam(options.user) if options.user else None
        self.prepare: Callable[[], None] | None = None
        if account:
            os.chown(directory, account.pw_uid, account.pw_gid)

            def become() -> None:
                os.setgroups([])
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
                os.environ["HOME"] = account.pw_dir

            self.prepare = become
            self.home = account.pw_dir

    @contextlib.contextmanager
    def kernel(self, profile: str | None) -> Iterator[Any]:
        """A kernel that has been started, and the moment before it was."""
        args = ["--profile", profile] if profile else []
        kernel = self.husk.Kernel(self.directory, args=args, prepare=self.prepare)
        if self.prepare:
            os.chown(kernel.file, os.stat(self.directory).st_uid, -1)
            kernel.env["HOME"] = self.home
        try:
            yield kernel
        finally:
            kernel.shut_down()
            kernel.close_clients()

    def first_answer(self, profile: str | None) -> float:
        """Seconds from the start of the process to the reply of the first cell."""
        with self.kernel(profile) as kernel:
            begin = time.perf_counter()
            kernel.start()
            kernel.connect().execute("1+1").ok()
            return time.perf_counter() - begin

    def cells(self, profile: str, setup: str, code: str, rounds: int, batch: int) -> tuple[list[float], list[float]]:
        """Seconds of a cell to the client, without a profile and with it: by two kernels that take turns, so that a slower
        minute of the machine is both's."""
        with self.kernel(None) as free, self.kernel(profile) as shut_in:
            clients = []
            for kernel in (free, shut_in):
                kernel.start()
                clients.append(kernel.connect())
                clients[-1].execute(setup, timeout=60).ok()
                clients[-1].execute(code, timeout=60).ok()
            walls: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                for client, seen in zip(clients, walls, strict=True):
                    for _ in range(batch):
                        begin = time.perf_counter()
                        client.execute(code, timeout=60).ok()
                        seen.append(time.perf_counter() - begin)
            return walls

    def limit(self, profile: str, code: str, ename: str, state: str, n: int) -> list[float]:
        """Seconds of a turn that a limit ends."""
        walls = []
        with self.kernel(profile) as kernel:
            kernel.start()
            client = kernel.connect()
            client.execute("1").ok()
            for _ in range(n):
                turn = client.execute(code, timeout=60)
                told = turn.reply.metadata["husk"]
                assert (turn.reply.content["ename"], told["state"]) == (ename, state), turn.reply.content
                walls.append(told["usage"]["wall_usec"] / 1e6)
                client.execute("1", timeout=60).ok()
        return walls

    def flood(self, profile: str) -> float:
        """Share of a core that the front uses while a flood goes on that has passed its limit."""
        with self.kernel(profile) as kernel:
            kernel.start()
            client = kernel.connect()
            client.execute("import os, threading; block = b'x' * 65536").ok()
            # A child writes for ever, so that the end of the turn does not end it.
            client.execute("import subprocess; p = subprocess.Popen(['yes'])").ok()
            time.sleep(1)
            ticks = self.cpu(kernel.process.pid)
            time.sleep(2)
            used = (self.cpu(kernel.process.pid) - ticks) / os.sysconf("SC_CLK_TCK")
            client.execute("p.kill()", timeout=60)
            return used / 2

    @staticmethod
    def cpu(pid: int) -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


def starts(bench: Bench, n: int, profile: str) -> None:
    without: list[float] = []
    shut_in: list[float] = []
    for _ in range(n):
        without.append(bench.first_answer(None))
        shut_in.append(bench.first_answer(profile))
    print(f"{'start to the reply of 1+1, no profile':46}{milliseconds(without)}")
    print(f"{f'start to the reply of 1+1, {profile}':46}{milliseconds(shut_in)}")
    added = (statistics.median(shut_in) - statistics.median(without)) * 1000
    print(f"    added by the sandbox: {added:.2f} ms (goal <= 6)")


def cells(bench: Bench, n: int, profile: str) -> None:
    for name, (setup, code) in CELLS.items():
        without, shut_in = bench.cells(profile, setup, code, n, 30 if name == "1+1" else 1)
        print(f"{name + ', no profile':46}{milliseconds(without)}")
        print(f"{name + ', ' + profile:46}{milliseconds(shut_in)}")
        ratio = statistics.median(shut_in) / statistics.median(without) - 1
        print(f"    overhead: {ratio * 100:+.1f} % (goal <= 3 %)")


def limits(bench: Bench, n: int, profile: str) -> None:
    named = bench.limit(profile, "while True: pass", "WallTimeLimitExceeded", "kept", n)
    late = [w - 1.0 for w in named]
    print(f"{'named exception after the deadline':46}{milliseconds(late)}   (goal: median <= 5)")
    killed = bench.limit(profile, "sum(range(10**12))", "WallTimeLimitExceeded", "lost", max(3, n // 5))
    late = [w - 1.5 for w in killed]
    print(f"{'anything ended, after deadline and grace':46}{milliseconds(late)}   (goal <= 50)")
    print(f"{'front under a flood past its limit':46}{bench.flood(profile) * 100:10.1f} % of a core (goal < 10)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--user")
    options = parser.parse_args()
    os.environ["HUSK_KERNEL"] = str(options.build / "kernel/front/husk-kernel")
    os.environ["HUSK_TEST_PYTHON"] = options.python
    with tempfile.TemporaryDirectory(prefix="husk-bench-", dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        quick = directory / "quick.conf"
        quick.write_text(QUICK)
        quick.chmod(0o644)
        bench = Bench(options, directory)
        print(f"{'':46}{'min':>10}{'median':>10}{'max':>10}{'n':>6}   ms")
        starts(bench, options.samples, options.profile)
        cells(bench, options.samples, options.profile)
        limits(bench, options.samples, str(quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
