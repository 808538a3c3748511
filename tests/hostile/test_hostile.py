# SPDX-License-Identifier: Apache-2.0
"""A short selection of the hostile programs, in modes that most machines can show, as part of the ordinary tests.

The whole suite is tests/hostile/run.py. It runs in namespaces and control groups of its own, so each selection is one process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT = "1,4,9,19,20,24,38,39,40,42,44,47,48,58,61,66,70,78,80,81,84,86,88,93"
KERNEL = os.environ.get("HUSK_KERNEL", "husk-kernel")
OPEN_PYTHON = "/usr/bin/python3"  # which every user may execute


def possible_levels(python: str) -> dict[str, bool]:
    """The sandboxes that can be had here, found by making each."""
    done = subprocess.run([KERNEL, "doctor", "--json", "--python", python], capture_output=True, text=True, timeout=60, check=False)
    return {name: level["possible"] for name, level in json.loads(done.stdout)["levels"].items()}


@pytest.mark.timeout(500)
@pytest.mark.parametrize("level", ["full", "full-nocg", "restricted"])
def test_short_selection(level: str, tmp_path: Path) -> None:
    """Everything is as stated, and nothing is left behind."""
    is_root = os.geteuid() == 0
    python = OPEN_PYTHON if is_root and level == "restricted" else os.environ.get("HUSK_TEST_PYTHON", sys.executable)
    if not possible_levels(python)[level]:
        pytest.skip(f"level {level} cannot be had here")
    mode = ("root-" if is_root else "user-") + level.replace("full-nocg", "full-nocg" if is_root else "nocg")
    out = tmp_path / "results.json"
    command = [sys.executable, str(HERE / "run.py"), "--mode", mode, "--husk", KERNEL, "--python", python, "--folder", "programs"]
    command += ["--only", SHORT, "--json", str(out), "--seconds", "450"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=480, check=False)
    assert out.exists() and out.read_text(), done.stdout[-2000:] + done.stderr[-2000:]
    results = json.loads(out.read_text())["results"]
    wrong = [f"{r['number']} {r['title']} {r['variant']}: {fault}" for r in results for fault in r["faults"]]
    assert not wrong, "\n".join(wrong)


def test_the_programs_are_well_formed() -> None:
    """The 102 items of the threat list, and more than thirty of our own; each says what must come of it."""
    sys.path.insert(0, str(HERE))
    try:
        import programs

        loaded = programs.load()
    finally:
        sys.path.remove(str(HERE))
    numbers = {p.number for p in loaded}
    assert numbers >= set(range(1, 103))
    assert len([n for n in numbers if n > 200]) >= 30
