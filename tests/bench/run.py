#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares husk with ipykernel and xeus-python, interleaved in one run, and prints the table."""

from __future__ import annotations

import argparse
import datetime
import fcntl
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantities import COUNTS, QUANTITIES, Goal, Quantity

SOURCE = Path(__file__).resolve().parents[2]
KERNELS = ("ipykernel", "xeus-python", "xeus-raw", "husk")
# A message for every write: 48 s and 100 s each. Once is enough to know.
ONCE = {"xeus-python": {"print", "lines"}, "xeus-raw": {"print", "lines"}}
# Without IPython there is nothing to measure here.
NEVER = {"xeus-raw": {"spawn_ipython", "magic", "idle"}}

Samples = dict[str, dict[str, list[float]]]  # kernel -> series -> values


@dataclass
class Kernel:
    """A peer: its name, its version as it says itself, and how it is started."""

    name: str
    version: str
    argv: list[str]


def output_of(argv: list[str]) -> str:
    """First line that a program prints; empty when it cannot be run."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout.strip() or done.stderr.strip()).split("\n")[0]


def package_version(python: str, package: str) -> str:
    return output_of([python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"])


def find_kernels(names: Iterable[str], python: str, husk: str | None) -> list[Kernel]:
    """The kernels to measure; one that cannot be run is named on stderr and left out."""
    kernels = []
    for name in names:
        if name == "ipykernel":
            version = package_version(python, "ipykernel")
            argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        elif name.startswith("xeus"):
            version = package_version(python, "xeus-python")
            argv = [python, "-m", "xpython_launcher", "-f", "{connection_file}"]
            argv += ["--raw"] if name == "xeus-raw" else []
        else:
            version = output_of([husk, "--version"]).split(" ")[-1] if husk else ""
            argv = [husk or "", "--python", python, "-f", "{connection_file}"]
        if version:
            kernels.append(Kernel(name, version, argv))
        else:
            print(f"bench: {name} cannot be run here; left out", file=sys.stderr)
    return kernels


def measure(client: str, kernel: Kernel, todo: list[str], cpus: tuple[int, int] | None) -> dict[str, Any]:
    """One round of one kernel: series name -> values, and under "failed" measurement -> sentence."""
    result: dict[str, Any] = {"failed": {}}
    with tempfile.TemporaryDirectory(prefix="husk-bench-") as directory:
        argv = [client, "--directory", directory]
        if cpus:
            argv += ["--client-cpu", str(cpus[0]), "--kernel-cpu", str(cpus[1])]
        done = subprocess.run([*argv, *todo, "--", *kernel.argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: bench-client ended with {done.returncode}: {done.stderr.strip()}")
    for line in done.stdout.splitlines():
        item = json.loads(line)
        if "failed" in item:
            result["failed"][item["name"]] = item["failed"]
        else:
            result[item["name"]] = item["samples"]
            result.setdefault("units", {})[item["name"]] = item["unit"]
    return result


def number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def better(quantity: Quantity, husk: float, peer: float) -> float:
    """How many times better husk is."""
    up, down = (husk, peer) if quantity.higher_is_better else (peer, husk)
    return up / down if down else float("inf")


def judge(quantity: Quantity, goal: Goal, medians: dict[str, float]) -> str:
    """A goal, what was reached, and a verdict."""
    sign = ">=" if quantity.higher_is_better or goal.peer else "<="
    bound = f"{goal.value:.3g}" + ("x " + goal.peer if goal.peer else "")
    text = f"goal {sign} {bound}" + (f" (stretch {goal.stretch:.3g}x)" if goal.stretch else "")
    if "husk" not in medians or (goal.peer and goal.peer not in medians):
        return text + ": not measured"
    if goal.peer:
        reached = better(quantity, medians["husk"], medians[goal.peer])
        return f"{text}: {reached:.2f}x {'reached' if reached >= goal.value else 'MISSED'}"
    value = medians["husk"]
    good = value >= goal.value if quantity.higher_is_better else value <= goal.value
    return f"{text}: {number(value)} {'reached' if good else 'MISSED'}"


def table(kernels: list[Kernel], samples: Samples, failed: dict[str, dict[str, str]], units: dict[str, str]) -> str:
    lines = [f"{'':44}{'min':>10}{'median':>10}{'max':>10}{'n':>6}   husk is"]
    for quantity in QUANTITIES:
        rows = []
        medians = {k.name: statistics.median(v) for k in kernels if (v := samples[k.name].get(quantity.name))}
        for kernel in kernels:
            values = samples[kernel.name].get(quantity.name)
            if not values:
                reason = failed[kernel.name].get(quantity.measurement)
                if reason:
                    rows.append(f"    {kernel.name:40}   {reason}")
                continue
            row = f"    {kernel.name:40}{number(min(values)):>10}{number(medians[kernel.name]):>10}"
            row += f"{number(max(values)):>10}{len(values):>6}"
            if kernel.name != "husk" and "husk" in medians and quantity.goals:
                row += f"   {better(quantity, medians['husk'], medians[kernel.name]):.2f}x"
            rows.append(row)
        if rows:
            unit = units.get(quantity.name)
            lines += ["", quantity.label + (f" ({unit})" if unit else ""), *rows]
            lines += [f"      {judge(quantity, goal, medians)}" for goal in quantity.goals]
    return "\n".join(lines)


def conditions(kernels: list[Kernel], python: str, cpus: tuple[int, int] | None, rounds: int) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs",
        "load": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version() if python == sys.executable else output_of([python, "--version"]),
        "ipython": package_version(python, "ipython"),
        "versions": {k.name: k.version for k in kernels},
        "pinned": f"client on CPU {cpus[0]}, kernel on CPU {cpus[1]}" if cpus else "not pinned",
        "rounds": rounds,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", default=None, help="bench-client (default: of the build directory)")
    parser.add_argument("--build", type=Path, default=Path.cwd(), help="build directory (default: the current one)")
    parser.add_argument("--husk", default=None, help="husk-kernel (default: of the build directory, else on PATH)")
    parser.add_argument("--python", default=None, help="interpreter with the peers (default: of tools/venv bench)")
    parser.add_argument("--kernels", default=",".join(KERNELS), help="default: %(default)s")
    parser.add_argument("--only", default=None, help=f"measurements, of: {', '.join(COUNTS)}")
    parser.add_argument("--rounds", type=int, default=None, help="default: 3, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="fewer samples, one round")
    parser.add_argument("--cpus", default="0,1", help="client's,kernel's CPU; empty: not pinned (default %(default)s)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write all samples there")
    parser.add_argument("--output", type=Path, default=None, metavar="FILE", help="also write the table there")
    return parser.parse_args()


def find_program(given: str | None, build: Path, places: list[str], name: str) -> str | None:
    if given:
        return given
    for place in places:
        if (build / place).is_file():
            return str(build / place)
    return shutil.which(name)


def run(
    options: argparse.Namespace, client: str, kernels: list[Kernel], todo: list[str], rounds: int
) -> dict[str, Any]:
    """All rounds, kernels interleaved."""
    cpus = tuple(int(x) for x in options.cpus.split(",")) if options.cpus else None
    samples: Samples = {k.name: {} for k in kernels}
    failed: dict[str, dict[str, str]] = {k.name: {} for k in kernels}
    units: dict[str, str] = {}
    for i in range(rounds):
        for kernel in kernels:
            skip = NEVER.get(kernel.name, set()) | (ONCE.get(kernel.name, set()) if i or options.quick else set())
            counts = [f"{name}={COUNTS[name][options.quick]}" for name in todo if name not in skip]
            if not counts:
                continue
            print(f"bench: round {i + 1} of {rounds}: {kernel.name} ...", file=sys.stderr)
            result = measure(client, kernel, counts, cpus)
            units |= result.pop("units", {})
            failed[kernel.name] |= result.pop("failed")
            for name, values in result.items():
                samples[kernel.name].setdefault(name, []).extend(values)
    return {"samples": samples, "failed": failed, "units": units, "cpus": cpus}


def main() -> int:
    options = arguments()
    client = find_program(options.client, options.build, ["tests/bench/bench-client"], "bench-client")
    if not client:
        raise SystemExit("bench: no bench-client; run 'make tests/bench/bench-client' in the build directory")
    python = options.python
    if not python:
        python = output_of([str(SOURCE / "tools/venv"), "bench"]) + "/bin/python"
    husk = find_program(options.husk, options.build, ["kernel/front/husk-kernel"], "husk-kernel")
    kernels = find_kernels(options.kernels.split(","), python, husk)
    todo = options.only.split(",") if options.only else list(COUNTS)
    unknown = [name for name in todo if name not in COUNTS]
    if unknown:
        raise SystemExit(f"bench: no measurement named {', '.join(unknown)}; there are: {', '.join(COUNTS)}")
    rounds = options.rounds or (1 if options.quick else 3)
    with open(Path(tempfile.gettempdir()) / "husk-bench.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two benchmarks at once measure each other
        before = os.getloadavg()[0]
        result = run(options, client, kernels, todo, rounds)
    about = conditions(kernels, python, result["cpus"], rounds) | {"load_before": round(before, 2)}
    text = "\n".join(f"{k + ':':14}{v}" for k, v in about.items())
    text += "\n\n" + table(kernels, result["samples"], result["failed"], result["units"])
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    if options.json:
        options.json.write_text(json.dumps({"conditions": about, **result}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
