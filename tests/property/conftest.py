# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the property tests: the C codec behind one helper process."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("husk", max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("husk")

SOURCE_DIR = Path(__file__).resolve().parents[2]


class Codec:
    """The C codec: one JSON object per line to `codec-helper`, one back."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Runs one operation; bytes values are sent as hexadecimal digits. RuntimeError when the helper died."""
        request = {"op": op} | {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"codec-helper ended with {self._process.wait()} over {request}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> int:
        """Ends the helper; its exit code says whether a sanitizer found something."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()


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
