# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: the option --cov, which some of ipykernel's tests read, where pytest-cov is not installed."""

from __future__ import annotations

import contextlib

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option is never set."""
    with contextlib.suppress(ValueError):  # pytest-cov has it
        parser.addoption("--cov", default=None)
