#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random hostile programs on several kernels at once: every cell is answered, nothing is left, others' cells stay quick.

    tests/hostile/soak.py --mode root-full --minutes 60 --husk build/kernel/front/husk-kernel --python VENV/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import contain

LIMITS = {"wall": "2 s", "cpu": "4 s", "grace": "1 s", "input": "2 s"}
ANSWER_SECONDS = 25.0  # wall, grace, a fresh worker, on a busy machine
REPORT_SECONDS = 30.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", default="root-full")
    parser.add_argument("--husk", default=os.environ.get("HUSK_KERNEL") or shutil.which("husk-kernel") or "")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kernels", type=int, default=3, help="attacked at the same time")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run (default: a new one, printed)")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


class Attacker:
    """One kernel after the other, each with a random number of random programs."""

    def __init__(self, options: argparse.Namespace, number: int) -> None:
        import programs
        from attack import skipped

        self.options, self.number = options, number
        self.rng = random.Random(f"{options.seed}-{number}")
        self.place = make_place(options, Path(options.worker))
        self.place.count = number * 100_000
        loaded = [p for p in programs.load() if p.action in ("attack", "listen_after", "background", "ignore_input") and not p.settings.get("network.policy")]
        self.programs = [p for p in loaded if not skipped(self.place, p)]
        self.n_kernels = self.n_programs = 0

    def say(self, kind: str, text: str = "") -> None:
        print(json.dumps({"kind": kind, "attacker": self.number, "text": text}), flush=True)

    def run(self) -> None:
        end = time.monotonic() + self.options.minutes * 60
        while time.monotonic() < end:
            self.one_kernel(end)
        self.say("done", f"{self.n_kernels} kernels, {self.n_programs} programs")

    def one_kernel(self, end: float) -> None:
        """Starts a kernel, attacks it some times, and ends it in one of several ways."""
        from attack import Result, start
        from kernels import remove_tree, settle, trouble
        from listeners import Listeners
        from programs import Expect, Program

        program = Program(0, "soak", "a kernel", limits=LIMITS, settings={"on_output": self.rng.choice(("interrupt", "truncate"))}, attack="1",
                          expect=Expect(("ok",), ("kept",)))
        self.n_kernels += 1
        what = "start"
        with Listeners(self.place.directory) as listeners:
            attack = start(self.place, program, listeners, Result(0, "", "", ""))
            kernel = attack.kernel
            try:
                kernel.start()
                attack.client = kernel.watch()
                for _ in range(self.rng.randint(1, 12)):
                    if time.monotonic() > end:
                        break
                    victim = self.rng.choice(self.programs)
                    what = victim.label
                    self.one_program(attack, victim)
                    if kernel.exit_code() is not None:
                        raise AssertionError(f"the kernel ended with {kernel.exit_code()}")
                if self.rng.random() < 0.7:
                    what += ", shutdown"
                    kernel.shut_down()
            except Exception as problem:  # a fault is what this program looks for
                self.say("fault", f"{what}: {type(problem).__name__}: {problem}"[:500])
            kernel.kill()
            kernel.close_clients()
            if kernel.groups:
                if not settle(lambda: not kernel.groups.children(), 3):
                    self.say("fault", f"{what}: groups left")
                kernel.groups.remove()
            for line in trouble(kernel.stderr())[:3]:
                self.say("fault", f"{what}: the front's log: {line}")
            remove_tree(kernel.directory)

    def one_program(self, attack: Any, program: Any) -> None:
        from dataclasses import replace

        self.n_programs += 1
        client = attack.client
        client.room = 1 << 20
        attack.program = replace(program, limits={}, settings={})
        for text in filter(None, (program.setup, program.attack)):
            client.execute(attack.code(text), timeout=ANSWER_SECONDS, allow_stdin=False)
            client.log.clear()
        turn = client.execute("6 * 7", timeout=ANSWER_SECONDS)
        if turn.status == "aborted":
            self.say("fault", f"{program.label}: the next cell was {turn.status}")


def make_place(options: argparse.Namespace, directory: Path) -> Any:
    from attack import Place
    from kernels import MODES
    from run import modules_of

    groups = contain.Groups.own()
    if groups.directories.get("unified") and groups.directories["unified"].name == "runner":
        groups = contain.Groups({"unified": groups.directories["unified"].parent})
    return Place(MODES[options.mode], directory, options.husk, options.python, modules_of(options.python), groups)


def report(place: Any, begin: float, faults: list[str]) -> None:
    from neighbour import quantile

    place.meter.update()
    times = [t for _, t in place.meter.samples]
    print(f"soak: {time.monotonic() - begin:5.0f} s, {len(faults)} faults; another kernel's 1 + 1: n {len(times)}, p50 {quantile(times, 0.5) * 1000:.1f} ms, "
          f"p99 {quantile(times, 0.99) * 1000:.1f} ms, max {max(times, default=0) * 1000:.0f} ms", flush=True)


def listen(workers: list[subprocess.Popen[bytes]], place: Any, begin: float) -> list[str]:
    """Collects what the attackers say until all have ended."""
    import selectors

    faults: list[str] = []
    selector = selectors.DefaultSelector()
    for worker in workers:
        assert worker.stdout
        selector.register(worker.stdout, selectors.EVENT_READ)
    next_report = begin + REPORT_SECONDS
    while selector.get_map():
        for key, _ in selector.select(1.0):
            line = key.fileobj.readline()  # type: ignore[union-attr]
            if not line:
                selector.unregister(key.fileobj)
                continue
            said = json.loads(line)
            print(f"soak: {said['attacker']}: {said['kind']}: {said['text']}", flush=True)
            if said["kind"] == "fault":
                faults.append(said["text"])
        if time.monotonic() > next_report:
            report(place, begin, faults)
            next_report += REPORT_SECONDS
    return faults


def main() -> int:
    options = arguments()
    os.environ["HUSK_TEST_PYTHON"] = options.python
    os.environ["HUSK_KERNEL"] = options.husk = str(Path(options.husk).absolute())
    if options.worker:
        Attacker(options, int(os.environ["HUSK_SOAK_NUMBER"])).run()
        return 0
    options.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    contain.enter(options.minutes * 60 + 300)
    import attack
    import kernels
    import run

    options.no_neighbour = False
    directory = Path(tempfile.mkdtemp(prefix="hostile-run-"))
    directory.chmod(0o755)
    place = make_place(options, directory)
    known = {p.pid for p in attack.descendants(os.getpid())}
    before = kernels.Snapshot.take(contain.upper_of_tmp())
    run.revive(place, options)
    print(f"soak: {options.mode}, {options.minutes} minutes, {options.kernels} kernels at once, seed {options.seed}", flush=True)
    begin = time.monotonic()
    workers = []
    for number in range(options.kernels):
        command = [sys.executable, *sys.argv, "--worker", str(directory), "--seed", str(options.seed)]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"HUSK_SOAK_NUMBER": str(number + 1)}))
    faults = listen(workers, place, begin)
    faults += [f"an attacker ended with {w.returncode}" for w in workers if w.wait()]
    report(place, begin, faults)
    faults += run.end_place(place)
    if not kernels.settle(lambda: not attack.strays(known), 5):
        faults.append("processes left: " + ", ".join(kernels.described(p) for p in attack.strays(known)[:5]))
    kernels.remove_tree(directory)
    faults += before.differences(kernels.Snapshot.take(contain.upper_of_tmp()))
    for fault in faults:
        print(f"soak: FAULT: {fault}")
    print(f"soak: {len(faults)} faults, seed {options.seed}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
