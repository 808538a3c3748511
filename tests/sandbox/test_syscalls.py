# SPDX-License-Identifier: Apache-2.0
"""Every system call, made under each filter, answers what syscalls.golden says."""

import platform
import subprocess
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("syscalls.golden")
FILTERS = ("own", "shared", "offline")

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="syscalls.golden has the numbers of x86_64")


def kernel() -> tuple[int, ...]:
    """Version of the running kernel, two numbers."""
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def golden(which: str) -> dict[tuple[str, str], list[str]]:
    """Number and name of each call in the file: the answers that it may give."""
    expected = {}
    for line in GOLDEN.read_text("utf-8").splitlines():
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        number, name, *answers = fields
        expected[number, name] = answers[FILTERS.index(which)].split("|")
        if answers[3:] and kernel() < tuple(int(part) for part in answers[3].split(".")):
            expected[number, name] = ["ENOSYS"]
    return expected


@pytest.mark.parametrize("which", FILTERS)
def test_every_call_answers_as_written(build: Path, which: str) -> None:
    run = subprocess.run(
        [build / "tests/sandbox/try-syscall", which], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    expected = golden(which)
    seen = set()
    wrong = []
    for line in run.stdout.splitlines():
        number, name, answer = line.split()
        seen.add((number, name))
        allowed = expected.get((number, name), ["ENOSYS"])
        if answer not in allowed:
            wrong.append(f"{number} {name}: {answer}, not {'|'.join(allowed)}")
    assert not wrong, "\n".join(wrong)
    assert seen >= set(expected), set(expected) - seen
    assert len(seen) >= 1024
