# SPDX-License-Identifier: Apache-2.0
"""The ordinary work of tests/workloads does not notice the filter of system calls.

HUSK_WORKLOAD_PYTHON: the interpreter; default: that of `tools/venv data-science`.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
WORKLOADS = sorted((TOP / "tests/workloads").glob("*.py"))
SECONDS = 180


def mark(text: str, word: str) -> list[str]:
    """What a line "# word: ..." lists."""
    return [part for line in re.findall(rf"^# {word}: (.+)$", text, re.MULTILINE) for part in re.findall(r"\w+", line)]


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter with the packages of today."""
    if named := os.environ.get("HUSK_WORKLOAD_PYTHON"):
        return named
    made = subprocess.run([TOP / "tools/venv", "data-science"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return f"{made.stdout.strip()}/bin/python"


@pytest.fixture
def tidy() -> Iterator[None]:
    """What programs share by name is gone again afterwards."""
    places = [Path("/dev/shm")]
    before = {p: set(p.iterdir()) for p in places}
    yield
    left = {str(f) for p in places for f in set(p.iterdir()) - before[p] if f.owner() == os.environ.get("USER", "root")}
    assert not left


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("which", ["own", "offline"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda path: path.stem)
def test_workload(build: Path, python: str, workload: Path, which: str, tmp_path: Path, tidy: None) -> None:
    text = workload.read_text("utf-8")
    if which != "own" and "restricted" in mark(text, "without"):
        pytest.skip("cannot work without namespaces, as it says")
    for module in mark(text, "needs"):
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode != 0:
            pytest.skip(f"{python} has no {module}")
    run = subprocess.run(
        [build / "tests/sandbox/confined", which, python, workload],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
