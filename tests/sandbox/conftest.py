# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the build tree, HUSK_BUILD_DIR (after `make check` or `make check_PROGRAMS`)."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def build() -> Path:
    """The build tree."""
    path = Path(os.environ.get("HUSK_BUILD_DIR") or os.environ.get("top_builddir") or "build")
    assert (path / "kernel/sandbox").exists(), f"{path} is no build tree; set HUSK_BUILD_DIR"
    return path.resolve()
