#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times a bare worker (no front): start, turn, output, interrupt. Figures are for comparison within one run.

usage: taskset -c 1 measure.py LAUNCHER [-n RUNS] [--python PATH] [--core PATH]
"""

import argparse
import statistics
import time
from collections.abc import Iterator

from link_peer import Worker


def report(name: str, seconds: list[float]) -> None:
    """One line: minimum and median in milliseconds."""
    print(f"{name:28} min {min(seconds) * 1e3:8.3f}  median {statistics.median(seconds) * 1e3:8.3f} ms")


def starts(begin: "Begin", runs: int) -> None:
    """exec of the launcher to HELLO, READY, and the first reply."""
    times: list[tuple[float, ...]] = []
    for _ in range(runs + 2):
        at = time.perf_counter()
        with begin() as worker:
            worker.expect("HELLO")
            hello = time.perf_counter()
            worker.expect("READY")
            ready = time.perf_counter()
            worker.send("START", START)
            worker.ok("1+1")
            times.append((hello - at, ready - at, time.perf_counter() - at))
    for name, column in zip(("HELLO", "READY", "first reply"), zip(*times[2:], strict=True), strict=True):
        report("start to " + name, list(column))


START = [
    {
        "session": "s",
        "ipython_args": [],
        "history_session": 1,
        "stdin_allowed": True,
        "ident": "kernel.x",
        "hist_file": None,
    }
]


class Begin:
    """Makes workers with the arguments of the command line."""

    def __init__(self, launcher: str, arguments: list[str]):
        self.launcher = launcher
        self.arguments = arguments

    def __call__(self) -> Worker:
        return Worker(self.launcher, *self.arguments)


def ready(begin: Begin) -> Worker:
    worker = begin()
    worker.start()
    worker.ring.wake = 1 << 18
    worker.send("START", START)
    worker.ok("import sys")
    return worker


def timed(count: int, func: object) -> Iterator[float]:
    for _ in range(count):
        at = time.perf_counter()
        func()  # type: ignore[operator]
        yield time.perf_counter() - at


def interrupted(worker: Worker) -> float:
    """Signal to reply."""
    worker.ring.wake = 1
    worker.ring.take()
    worker.execute("print('go')\nwhile True: pass")
    worker.wait_text("go\n")
    at = time.perf_counter()
    worker.interrupt()
    worker.reply()
    seconds = time.perf_counter() - at
    worker.clear_interrupt()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launcher")
    parser.add_argument("-n", type=int, default=30, metavar="RUNS")
    parser.add_argument("--python")
    parser.add_argument("--core")
    options = parser.parse_args()
    arguments = [f"--{name}={value}" for name in ("python", "core") if (value := getattr(options, name))]
    begin = Begin(options.launcher, arguments)
    starts(begin, options.n)
    with ready(begin) as worker:
        report("turn of 1+1", list(timed(options.n * 20, lambda: worker.run("1+1"))))
        report("1M print(i)", list(timed(3, lambda: worker.run("for i in range(1000000): print(i)"))))
        report("100 MB in lines of 100", list(timed(3, lambda: worker.run("for i in range(1000000): print('x' * 99)"))))
        report("100 MB in writes of 1 MB", list(timed(3, lambda: worker.run("for i in range(100): print('x' * 1000000)"))))
        report("interrupt of a loop", [interrupted(worker) for _ in range(options.n)])


if __name__ == "__main__":
    main()
