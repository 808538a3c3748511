# SPDX-License-Identifier: Apache-2.0
"""Notebooks with real libraries give the same outputs on husk as on ipykernel."""

from __future__ import annotations

from pathlib import Path

import books
import pytest


def test_there_are_at_least_12_notebooks() -> None:
    assert len(books.BOOKS) >= 12


@pytest.mark.parametrize("name", books.BOOKS)
def test_outputs_equal_those_of_ipykernel(name: str, home: Path, tmp_path: Path) -> None:
    executed, folders = [], []
    for kernel in ("peer", "husk"):
        folder = tmp_path / f"{kernel}-work"
        folder.mkdir()
        executed.append(books.execute(books.load(name), kernel, folder))
        folders.append(folder)
    found = books.differences(executed[0], executed[1], folders)
    assert not found, "\n" + "\n".join(found)
