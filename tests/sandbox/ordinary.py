# SPDX-License-Identifier: Apache-2.0
"""The programs of tests/workloads, and the interpreter that has what they need.

HUSK_WORKLOAD_PYTHON: the interpreter; default: that of `tools/venv data-science`.
"""

import functools
import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
WORKLOADS = sorted((TOP / "tests/workloads").glob("*.py"))
ENVIRONMENT = dict(os.environ)  # tests of kernels change HOME later, where environments are kept
SECONDS = 180  # each takes a few on an idle machine


def marked(workload: Path, word: str) -> list[str]:
    """What the line "# word: a, b (why)" of a program lists."""
    line = re.search(rf"^# {word}: ([^(\n]+)", workload.read_text("utf-8"), re.MULTILINE)
    return re.findall(r"\w+", line[1]) if line else []


@functools.cache
def workload_python() -> str:
    """The interpreter with the packages of today."""
    if named := os.environ.get("HUSK_WORKLOAD_PYTHON"):
        return named
    made = subprocess.run(
        [TOP / "tools/venv", "data-science"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return f"{made.stdout.strip()}/bin/python"


@functools.cache
def is_importable(module: str) -> bool:
    run = subprocess.run([workload_python(), "-c", f"import {module}"], capture_output=True, check=False)
    return run.returncode == 0


def skip_unless_possible(workload: Path, level: str) -> None:
    """Skips what cannot work at that level of a sandbox, or for want of a package."""
    if level in marked(workload, "without"):
        pytest.skip(f"{workload.stem} cannot work at level {level}, as it says")
    for module in marked(workload, "needs"):
        if not is_importable(module):
            pytest.skip(f"{workload_python()} has no {module}")
