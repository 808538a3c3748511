# SPDX-License-Identifier: Apache-2.0
"""Each session on ipykernel and on husk: no difference but those of differences.toml."""

from __future__ import annotations

import sys

import compare
import pytest
from cells import read_sessions
from run import HERE, compare_session, find_husk, flavours

SESSIONS = read_sessions(HERE / "sessions")


def test_there_are_at_least_300_cells() -> None:
    assert sum(len(cells) for cells in SESSIONS.values()) >= 300


@pytest.mark.parametrize("name", SESSIONS)
def test_session_equals_ipykernel(name: str) -> None:
    husk = find_husk(None)
    assert husk, "no husk-kernel: set HUSK_KERNEL or HUSK_BUILD_DIR"
    kernels = flavours(sys.executable, husk)
    differences = compare_session(kernels["ipykernel"], kernels["husk"], SESSIONS[name])
    left = compare.take_known(differences, compare.read_known(HERE / "differences.toml"))
    assert not left, "\n" + "\n".join(d.show() for d in left)
