# SPDX-License-Identifier: Apache-2.0
"""Each session on ipykernel and on husk: no difference but those of differences.toml.

With HUSK_TEST_PROFILE husk runs in a sandbox, and may differ in what sandbox-differences.toml says too.
"""

from __future__ import annotations

import sys

import compare
import pytest
from cells import read_sessions
from run import HERE, compare_session, find_husk, flavours, known_differences

SESSIONS = read_sessions(HERE / "sessions")


def test_there_are_at_least_300_cells() -> None:
    assert sum(len(cells) for cells in SESSIONS.values()) >= 300


def test_a_sandbox_makes_few_differences() -> None:
    assert len(compare.read_known(HERE / "sandbox-differences.toml")) <= 10


@pytest.mark.parametrize("name", SESSIONS)
def test_session_equals_ipykernel(name: str) -> None:
    husk = find_husk(None)
    assert husk, "no husk-kernel: set HUSK_KERNEL or HUSK_BUILD_DIR"
    kernels = flavours(sys.executable, husk)
    differences = compare_session(kernels["ipykernel"], kernels["husk"], SESSIONS[name])
    left = compare.take_known(differences, known_differences())
    assert not left, "\n" + "\n".join(d.show() for d in left)
