# SPDX-License-Identifier: Apache-2.0
"""The ordinary work of tests/workloads, as cells of kernels with the profiles that are shipped, and without namespaces."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sandbox"))

from ordinary import SECONDS, WORKLOADS, skip_unless_possible, workload_python

pytestmark = [
    pytest.mark.husk,
    pytest.mark.bound(SECONDS + 60),
    pytest.mark.stderr(r"the sandbox has level full-nocg"),
]

# A working directory of its own, for in one of these profiles it is the one that the kernel was started in.
PREFACE = "import os, tempfile; os.chdir(tempfile.mkdtemp()); del os, tempfile\n"
# Longer limits than a profile's own: on a busy machine, not for what they are about.
LIMITS = 'limits = { wall = "170 s"; cpu = "170 s"; processes = 128; };\n'


def without_namespaces(directory: Path) -> str:
    file = directory / "restricted.conf"
    file.write_text(f'sandbox = {{ level = "restricted"; minimum = "restricted"; }};\n{LIMITS}')
    file.chmod(0o644)
    return str(file)


@pytest.mark.parametrize("profile", ["default", "strict", "restricted"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda path: path.stem)
def test_workload(start_kernel: Any, workload: Path, profile: str, tmp_path: Path) -> None:
    if profile == "restricted" and os.geteuid() == 0:
        pytest.skip("without namespaces a tenant of root cannot read an interpreter in root's home")
    skip_unless_possible(workload, "restricted" if profile == "restricted" else "full")
    name = without_namespaces(tmp_path) if profile == "restricted" else profile
    client = start_kernel(args=["--profile", name, "--python", workload_python()]).connect()
    turn = client.execute(PREFACE + workload.read_text("utf-8"), timeout=SECONDS).ok()
    assert turn.stderr == ""
    assert turn.reply.content["status"] == "ok"
