# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the property tests: the C codec behind one helper process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from codec import Codec
from hypothesis import HealthCheck, settings

settings.register_profile("husk", max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("husk")

SOURCE_DIR = Path(__file__).resolve().parents[2]


def helper_program() -> Path:
    """The helper of the build tree named by HUSK_BUILD_DIR (default: build/check, build, the source tree)."""
    places = (
        [Path(os.environ["HUSK_BUILD_DIR"])]
        if "HUSK_BUILD_DIR" in os.environ
        else [SOURCE_DIR / "build/check", SOURCE_DIR / "build", SOURCE_DIR]
    )
    for place in places:
        program = place / "tests/property/codec-helper"
        if program.exists():
            return program
    pytest.fail(f"tests/property/codec-helper is in none of {[str(p) for p in places]}; run: make check TESTS=")


@pytest.fixture(scope="session")
def codec() -> Iterator[Codec]:
    """The C codec, for all tests of a run."""
    codec = Codec(helper_program())
    yield codec
    assert codec.close() == 0
