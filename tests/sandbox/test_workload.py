# SPDX-License-Identifier: Apache-2.0
"""The ordinary work of tests/workloads does not notice the filter of system calls."""

import subprocess
from pathlib import Path

import pytest
from ordinary import SECONDS, WORKLOADS, skip_unless_possible, workload_python

FILTERS = {"own": "full", "offline": "restricted"}
SHARED_MEMORY = Path("/dev/shm")


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("which", FILTERS)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda path: path.stem)
def test_workload(build: Path, workload: Path, which: str, tmp_path: Path) -> None:
    skip_unless_possible(workload, FILTERS[which])
    before = set(SHARED_MEMORY.iterdir())
    run = subprocess.run(
        [build / "tests/sandbox/confined", which, workload_python(), workload],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    # Names that Python gives; other programs of the machine may make their own meanwhile.
    left = [path for path in set(SHARED_MEMORY.iterdir()) - before if path.name.startswith(("psm_", "sem.mp-"))]
    assert not left
