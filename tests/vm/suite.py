#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is to be shown of the sandbox on a machine, in steps: for tests/vm/run, and for any other machine.

    tests/vm/suite.py [STEP...]      units, doctor, kernels, hostile; default: those of the mode

A step that fails does not keep the next ones from being run. A line for each is in HUSK_VM_RESULTS/summary.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(os.environ["top_srcdir"])
BUILD = Path(os.environ["HUSK_BUILD_DIR"])
KERNEL = os.environ["HUSK_KERNEL"]
PYTHON = os.environ.get("HUSK_TEST_PYTHON", sys.executable)
MODE = os.environ.get("HUSK_VM_MODE", "root" if os.geteuid() == 0 else "user")
SLOW = float(os.environ.get("HUSK_VM_SLOW", "1"))  # times are so many times as long
UNIT_SECONDS, KERNELS_SECONDS, HOSTILE_SECONDS = 300, 900, 3600

Outcome = tuple[bool, str]  # whether it is as it should be, and what was found


def tests_of(binary: Path) -> tuple[bool, list[str]]:
    """Runs one program of tests; its name with what was left out, or all that it said."""
    try:
        done = subprocess.run([binary], capture_output=True, text=True, errors="replace", timeout=UNIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False, [f"FAIL {binary.name}: not done in {UNIT_SECONDS} s"]
    said = (done.stdout + done.stderr).splitlines()
    if done.returncode != 0:
        return False, [f"FAIL {binary.name}", *("    | " + line for line in said)]
    passed = sum("[       OK" in line for line in said)
    reasons = {line.removeprefix("skipped: ") for line in said if line.startswith("skipped: ")}
    return True, [f"PASS {binary.name}: {passed} tests", *("    left out: " + reason for reason in sorted(reasons))]


def units(_results: Path) -> Outcome:
    """tests/sandbox, as they were built."""
    binaries = [p for p in sorted((BUILD / "tests/sandbox").glob("test-*")) if p.is_file() and os.access(p, os.X_OK) and not p.suffix]
    n_passed = 0
    for binary in binaries:
        passed, lines = tests_of(binary)
        n_passed += passed
        print("\n".join(lines), flush=True)
    return bool(binaries) and n_passed == len(binaries), f"{n_passed} of {len(binaries)} programs of tests passed"


def doctor(results: Path) -> Outcome:
    """Every level is there that the mode can have; a plain user has been given no control groups."""
    command = [KERNEL, "doctor", "--python", PYTHON]
    subprocess.run(command, check=False, timeout=120)
    said = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, text=True, check=False, timeout=120).stdout
    (results / "doctor.json").write_text(said)
    levels = json.loads(said)["levels"]
    wanted = {"full": MODE != "plain", "full-nocg": True, "restricted": True}
    steps = [state for level in levels.values() if level["possible"] for state in level["steps"].values()]
    found = ", ".join(f"{name} {'yes' if level['possible'] else 'no'}" for name, level in levels.items())
    good = {name: level["possible"] for name, level in levels.items()} == wanted and not {"FAILED", "MISSING"} & set(steps)
    return good, f"{found}; {steps.count('done')} steps done"


def shown(command: list[str], seconds: float, **env: str) -> tuple[int, str]:
    """Runs a command of bounded time; its exit code and last line, and all of it is seen."""
    last = ""
    with subprocess.Popen(
        ["timeout", "--kill-after=10", f"{seconds:.0f}", *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=SOURCE, env=os.environ | env,
    ) as process:  # fmt: skip
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode, last


def kernels(_results: Path) -> Outcome:
    """Kernels in their sandboxes, from a client's side."""
    command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "--timeout", f"{120 * SLOW:.0f}"]
    code, last = shown([*command, "tests/e2e/test_k_sandbox.py"], KERNELS_SECONDS, HUSK_TEST_WAIT=f"{20 * SLOW:.0f}")
    return code == 0, last


def hostile(results: Path) -> Outcome:
    """All that tenants try. The neighbour, which takes a third of an emulated machine, is timed as root alone."""
    out = results / "hostile.json"
    is_root = os.geteuid() == 0
    command = [sys.executable, "tests/hostile/run.py", "--mode", "root-full" if is_root else "user-full", "--python", PYTHON]
    command += ["--slow", str(SLOW), "--json", str(out), *([] if is_root else ["--no-neighbour"])]
    code, last = shown([*command, "--seconds", str(HOSTILE_SECONDS)], HOSTILE_SECONDS + 60)
    try:
        table = json.loads(out.read_text())["summary"]
    except (OSError, ValueError):
        return False, f"ended with {code}: {last}"
    parts = []
    for name, label in (("stated", "of the suite"), ("further", "of our own")):
        row = table[name]
        wrong = f" (not {', '.join(map(str, row['not_as_stated']))})" if row["not_as_stated"] else ""
        parts.append(f"{row['as_stated']} of {row['of']} {label}{wrong}")
    if table["not_reached_from"]:
        parts.append(f"ended before {table['not_reached_from']}, after {table['seconds']} s")
    return code == 0, "; ".join(parts)


STEPS: dict[str, Callable[[Path], Outcome]] = {f.__name__: f for f in (units, doctor, kernels, hostile)}
OF_MODE = {"plain": ("doctor",), "delegated": ("units", "doctor")}  # the others: all


def main() -> int:
    chosen = sys.argv[1:] or OF_MODE.get(MODE, tuple(STEPS))
    if unknown := set(chosen) - set(STEPS):
        raise SystemExit(f"suite: no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    with tempfile.TemporaryDirectory() as directory:
        results = Path(os.environ.get("HUSK_VM_RESULTS", directory))
        all_good = True
        for name in chosen:
            begin = time.monotonic()
            print(f"-- {name}", flush=True)
            try:
                good, found = STEPS[name](results)
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
                good, found = False, f"{type(problem).__name__}: {problem}"
            all_good &= good
            line = f"{'ok ' if good else 'NOT'} {MODE:9} {name:8} {time.monotonic() - begin:5.0f} s  {found}"
            print(line, flush=True)
            with (results / "summary").open("a") as summary:
                summary.write(line + "\n")
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
