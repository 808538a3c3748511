# SPDX-License-Identifier: Apache-2.0
"""Finds the differences of two normalised transcripts and takes out the known ones."""

from __future__ import annotations

import difflib
import fnmatch
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Difference:
    """One place where two kernels differ. `where` is a path such as execute_reply.content.status."""

    cell: str
    where: str
    expected: Any
    found: Any

    def show(self) -> str:
        lines = [f"{self.cell}: {self.where}"]
        if isinstance(self.expected, str) and isinstance(self.found, str) and "\n" in self.expected + self.found:
            diff = difflib.ndiff(self.expected.split("\n"), self.found.split("\n"))
            lines += ["    " + line[:300] for line in diff if line[0] in "+-"][:24]
        else:
            lines += [f"    - {json.dumps(self.expected, ensure_ascii=False)[:700]}"]
            lines += [f"    + {json.dumps(self.found, ensure_ascii=False)[:700]}"]
        return "\n".join(lines)


@dataclass
class Known:
    """A row of the table of known differences: patterns of cell and place, and why it is right."""

    cell: str
    where: str
    reason: str
    n_used: int = 0

    def covers(self, difference: Difference) -> bool:
        return fnmatch.fnmatchcase(difference.cell, self.cell) and fnmatch.fnmatchcase(difference.where, self.where)




ABSENT = "(absent)"


def _without_time_limited(a: dict[str, Any], b: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """IPython gives jedi 0.4 s for the types of all completions; how many names get one is a matter of speed."""
    if "<unknown>" not in (a.get("type"), b.get("type")) or "text" not in a:
        return a, b
    return tuple({k: v for k, v in x.items() if k not in ("type", "signature")} for x in (a, b))


def _deep(expected: Any, found: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        expected, found = _without_time_limited(expected, found)
        for key in sorted(expected.keys() | found.keys()):
            yield from _deep(expected.get(key, ABSENT), found.get(key, ABSENT), f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (a, b) in enumerate(zip(expected, found)):
            yield from _deep(a, b, f"{where}.{i}")
    elif expected != found or type(expected) is not type(found):
        if where.endswith(".traceback"):
            expected, found = "\n".join(expected or []), "\n".join(found or [])
        yield where, expected, found


def _kind(message: dict[str, Any]) -> str:
    name = message["msg_type"]
    if name == "status":
        return f"status {message['content'].get('execution_state')}"
    return f"stream {message['content'].get('name')}" if name == "stream" else str(name)


def _kinds(messages: Messages) -> list[str]:
    return [_kind(m) for m in messages]


def compare_cell(cell: str, expected: Messages, found: Messages) -> list[Difference]:
    """Messages are matched by type, in order; matched ones are compared in depth, others are absent on one side."""
    result = []
    matcher = difflib.SequenceMatcher(None, _kinds(expected), _kinds(found), autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            for a, b in zip(expected[a1:a2], found[b1:b2]):
                result += [Difference(cell, *d) for d in _deep(a, b, _kind(a))]
            continue
        result += [Difference(cell, _kind(m), m["content"], ABSENT) for m in expected[a1:a2]]
        result += [Difference(cell, _kind(m), ABSENT, m["content"]) for m in found[b1:b2]]
    return result


def compare(expected: dict[str, Messages], found: dict[str, Messages]) -> list[Difference]:
    result = []
    for cell in [*expected, *(label for label in found if label not in expected)]:
        result += compare_cell(cell or "(unasked)", expected.get(cell, []), found.get(cell, []))
    return result


def read_known(path: Path) -> list[Known]:
    """The table: [[difference]] with cell, where (both with wildcards) and reason."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["difference"]
    return [Known(row["cell"], row["where"], row["reason"]) for row in rows]


def take_known(differences: list[Difference], known: list[Known]) -> list[Difference]:
    """What is left when the known differences are taken out; counts what each row was good for."""
    left = []
    for difference in differences:
        row = next((k for k in known if k.covers(difference)), None)
        if row:
            row.n_used += 1
        else:
            left.append(difference)
    return left
