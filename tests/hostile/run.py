#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the hostile programs against kernels of one mode and says what is not as stated.

    tests/hostile/run.py --mode root-full --husk build/kernel/front/husk-kernel --python VENV/bin/python
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import contain

RESULTS_FD = "HUSK_HOSTILE_RESULTS_FD"
PLAIN = re.compile(r"\x1b\[[0-9;]*m")
MODULES = ("IPython", "numpy", "pandas", "matplotlib")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", default="root-full", help="root-full, root-restricted, user-nocg, ..., none, ipykernel")
    parser.add_argument("--husk", default=os.environ.get("HUSK_KERNEL") or shutil.which("husk-kernel") or "", help="the husk-kernel to attack")
    parser.add_argument("--python", default=sys.executable, help="the interpreter it serves (default: this one)")
    parser.add_argument("--only", default="", help="numbers and ranges: 1,7,36-47")
    parser.add_argument("--folder", choices=("programs", "further", "both"), default="both", help="the suite, our own further attacks, or both")
    parser.add_argument("--json", type=Path, help="write all results there")
    parser.add_argument("--no-neighbour", action="store_true", help="no second kernel beside it")
    parser.add_argument("--slow", default="1", help="times are so many times as long: for an emulated machine")
    parser.add_argument("--verbose", action="store_true", help="show what was seen of every program")
    parser.add_argument("--seconds", type=float, default=3600, help="end the whole run after so long (default: 3600)")
    return parser.parse_args()


def numbers(text: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def modules_of(python: str) -> set[str]:
    """Which of MODULES an environment has."""
    code = "import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if u.find_spec(m)])"
    return set(subprocess.run([python, "-c", code, *MODULES], capture_output=True, text=True, check=True, timeout=60).stdout.split())


def make_place(options: argparse.Namespace, mode: Any, directory: Path) -> Any:
    """What the attacks share: a kernel that has held a secret and is gone, and the neighbour."""
    from attack import Place, Result, start
    from listeners import Listeners

    groups = contain.Groups.own()
    if groups.directories.get("unified") and groups.directories["unified"].name == "runner":
        groups = contain.Groups({"unified": groups.directories["unified"].parent})
    place = Place(mode, directory, options.husk, options.python, modules_of(options.python), groups)
    with Listeners(directory) as listeners:
        before = start(place, calm_program(), listeners, Result(0, "", "", ""))
        before.kernel.start()
        before.kernel.watch().execute(f"secret = {before.kernel.canaries.previous!r}; secrets = [secret + str(n) for n in range(1000)]").ok()
        place.previous = before.kernel.canaries.previous
        before.kernel.shut_down()
        before.kernel.close_clients()
        if before.kernel.groups:
            before.kernel.groups.remove()
    revive(place, options)
    return place


def calm_program() -> Any:
    from programs import Expect, Program

    return Program(0, "neighbour", "a kernel", limits={"wall": "60 s", "memory": "512 MiB"}, attack="1", expect=Expect(("ok",), ("kept",)))


def revive(place: Any, options: argparse.Namespace) -> list[str]:
    """Starts the kernels that nobody attacks, as far as they are not there; says which have ended."""
    from neighbour import Meter

    ended = []
    if place.companion is None or place.companion.exit_code() is not None:
        ended += ["another kernel has ended"] if place.companion else []
        place.companion, place.companion_client = calm_kernel(place)
    if not options.no_neighbour and (place.neighbour is None or place.neighbour.exit_code() is not None or not place.meter.is_alive()):
        ended += ["the neighbour's kernel has ended"] if place.neighbour else []
        before = place.meter.samples if place.meter else []
        if place.meter:
            place.meter.stop()
        place.neighbour, _ = calm_kernel(place)
        place.meter = Meter(place.neighbour.file, place.directory / f"neighbour-{place.count}.times", samples=before)
        place.meter.start()
    return ended


def calm_kernel(place: Any) -> tuple[Any, Any]:
    """A kernel that nobody attacks, and its client."""
    from attack import Result, start
    from listeners import Listeners

    with Listeners(place.directory) as listeners:
        kernel = start(place, calm_program(), listeners, Result(0, "", "", "")).kernel
    kernel.start()
    client = kernel.watch()
    client.execute("1 + 1").ok()
    return kernel, client


def end_place(place: Any) -> list[str]:
    """Ends the kernels that nobody attacked; what was wrong with them."""
    wrong = []
    if place.meter:
        place.meter.stop()
    for kernel in filter(None, (place.neighbour, place.companion)):
        if kernel.exit_code() is None:
            kernel.shut_down()
        else:
            wrong.append(f"a kernel that nobody attacked has ended: {kernel.stderr()[-300:]}")
        kernel.close_clients()
        if kernel.groups:
            wrong += kernel.groups.remove()
    return wrong


def show(result: Any, verbose: bool) -> None:
    label = f"{result.number:03} {result.title}" + (f" [{result.variant}]" if result.variant else "")
    word = "skip" if result.skipped else "ok  " if result.as_stated else "NOT "
    seen = result.seen
    near = seen.get("neighbour", {}).get("p99")
    facts = f"{seen.get('verdict', '')} {seen.get('state', '')} {seen.get('seconds', '')} s" + (f", neighbour p99 {near * 1000:.0f} ms" if near else "")
    print(f"{word} {label:76.76} {facts if not result.skipped else result.skipped}", flush=True)
    for fault in result.faults:
        print(f"       - {fault}", flush=True)
    if verbose or result.faults:
        for name in ("evalue", "stdout", "stderr", "traceback", "after", *(("log",) if seen.get("state") or verbose else ())):
            if lines := PLAIN.sub("", str(seen.get(name, ""))).strip().splitlines():
                print(f"         {name}: " + " | ".join(line[:150] for line in lines[-4:]), flush=True)


def summary(options: argparse.Namespace, results: list[Any], place: Any, seconds: float) -> dict[str, Any]:
    """Counts by program: all variants of one must be as stated."""
    from neighbour import quantile

    groups: dict[int, list[Any]] = {}
    for result in results:
        groups.setdefault(result.number, []).append(result)
    table: dict[str, Any] = {"mode": options.mode, "seconds": round(seconds)}
    for name, low, high in (("stated", 1, 200), ("further", 201, 1000)):
        of = {n: r for n, r in groups.items() if low <= n <= high}
        good = [n for n, r in of.items() if all(x.as_stated for x in r)]
        table[name] = {
            "as_stated": len(good),
            "of": len(of),
            "partial": sorted(n for n, r in of.items() if r[0].partial),
            "skipped": sorted(n for n, r in of.items() if any(x.skipped for x in r)),
            "not_as_stated": sorted(n for n, r in of.items() if n not in good and not all(x.skipped for x in r)),
        }
    if place.meter:
        place.meter.update()
        times = [t for _, t in place.meter.samples]
        table["neighbour"] = {"n": len(times), "p50": quantile(times, 0.5), "p99": quantile(times, 0.99), "max": max(times, default=0.0)}
    return table


def results_file(options: argparse.Namespace) -> int:
    """A descriptor of the file for the results, -1 without one. Inside there is no way to the file by its name."""
    if not options.json:
        return -1
    if RESULTS_FD in os.environ:
        return int(os.environ[RESULTS_FD])
    fd = os.open(options.json, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    os.environ[RESULTS_FD] = str(fd)
    return fd


def main() -> int:
    options = arguments()
    if options.mode != "ipykernel" and not options.husk:
        raise SystemExit("hostile: no husk-kernel; name it with --husk")
    if options.husk:
        options.husk = str(Path(options.husk).absolute())
    os.umask(0o022)  # a user's services may have another, with which profiles are refused
    out = results_file(options)
    contain.enter(options.seconds, (out,) if out >= 0 else ())
    os.environ["HUSK_TEST_PYTHON"] = options.python
    os.environ["HUSK_HOSTILE_SLOW"] = options.slow
    os.environ["HUSK_TEST_WAIT"] = str(20 * float(options.slow))
    if options.mode == "ipykernel":
        os.environ["HUSK_UNDER_TEST"] = "ipykernel"
    else:
        os.environ["HUSK_KERNEL"] = options.husk
    # Only now: these read the environment.
    import attack
    import kernels
    import programs

    wanted = numbers(options.only)
    folders = programs.FOLDERS if options.folder == "both" else (options.folder,)
    chosen = [p for p in programs.load(folders) if not wanted or p.number in wanted]
    directory = Path(tempfile.mkdtemp(prefix="hostile-run-"))
    directory.chmod(0o755)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGALRM, 124)):
        signal.signal(number, lambda *_, code=code: sys.exit(code))
    signal.alarm(int(options.seconds))
    faulthandler.register(signal.SIGUSR1)  # where does it hang?
    begin = time.monotonic()
    results: list[Any] = []
    place = make_place(options, kernels.MODES[options.mode], directory)
    try:
        for program in chosen:
            results.append(attack.run(place, program))
            results[-1].faults += revive(place, options)
            show(results[-1], options.verbose)
    finally:
        signal.alarm(0)
        table = summary(options, results, place, time.monotonic() - begin)
        table["not_reached_from"] = chosen[len(results)].number if len(results) < len(chosen) else None
        table["neighbour_faults"] = end_place(place)
        kernels.remove_tree(directory)
        print(json.dumps(table, indent=1))
        if out >= 0:
            data = {"summary": table, "results": [vars(r) for r in results]}
            with os.fdopen(out, "w") as file:
                json.dump(data, file, indent=1, default=str)
    return 0 if all(r.as_stated or r.skipped for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
