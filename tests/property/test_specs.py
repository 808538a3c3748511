# SPDX-License-Identifier: Apache-2.0
"""The limits that specs/wire.md 10 promises are those of the headers, the front's included."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
UNITS = {"USEC_PER_SEC": 1_000_000, "USEC_PER_MSEC": 1_000}


def limits() -> list[tuple[str, int]]:
    """Name and value of each row of the table."""
    section = (TOP / "specs/wire.md").read_text().split("## 10. Limits")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| (\d+) \| `(\w+)` \|$", section, re.MULTILINE)
    return [(name, int(value)) for value, name in rows]


def defined(name: str) -> int:
    """The value of a #define in protocol/ or kernel/front/; it has to be there exactly once."""
    texts = [p.read_text() for folder in ("protocol", "kernel/front") for p in sorted((TOP / folder).rglob("*.h"))]
    found = [m for text in texts for m in re.findall(rf"^#define {name} (.+)$", text, re.MULTILINE)]
    assert len(found) == 1, f"{name}: {found}"
    expression = re.sub(r"/\*.*?\*/|\((?:size_t|uint32_t|uint64_t)\)", "", found[0])
    expression = re.sub(r"(\d+)(?:[uU]?[lL]*)\b", r"\1", expression)
    assert re.fullmatch(r"[\d\s()*<|+-]*(?:USEC_PER_M?SEC)?[\d\s()*<|+-]*", expression), expression
    return int(eval(expression, {"__builtins__": {}}, UNITS))


def test_the_table_is_read() -> None:
    assert len(limits()) >= 17


@pytest.mark.parametrize(("name", "value"), limits())
def test_a_limit_is_the_headers(name: str, value: int) -> None:
    assert defined(name) == value
