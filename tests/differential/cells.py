# SPDX-License-Identifier: Apache-2.0
"""The format of the session files.

A file is one session, run in one kernel from its first cell to its last. A line `#%% KIND NAME {OPTIONS}` begins a
cell; what follows is its code. KIND says which request is made of it:

    execute      execute_request; options silent, store_history, user_expressions, allow_stdin, stop_on_error, metadata;
                 stdin: answers to input requests; interrupt: seconds after which an interrupt_request is sent;
                 queue: true sends the request without waiting for its end
    complete     complete_request; cursor (default: the end)
    inspect      inspect_request; cursor, detail
    is_complete  is_complete_request
    request      any request: type, channel (default shell), content; code is ignored
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("execute", "complete", "inspect", "is_complete", "request")
_HEAD = re.compile(r"^#%% +(?P<kind>\w+) +(?P<name>[\w.-]+) *(?P<options>\{.*\})? *$")


@dataclass(frozen=True)
class Cell:
    """One request: its place, and what to send."""

    session: str
    name: str
    kind: str
    code: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.session}/{self.name}" if self.kind == "execute" else f"{self.session}/{self.kind}:{self.name}"

    def message(self) -> tuple[str, str, dict[str, Any]]:
        """Channel, message type and content of the request."""
        options = self.options
        cursor = options.get("cursor", len(self.code))
        if self.kind == "execute":
            content = {
                "code": self.code,
                "silent": options.get("silent", False),
                "store_history": options.get("store_history", True),
                "user_expressions": options.get("user_expressions", {}),
                "allow_stdin": options.get("allow_stdin", "stdin" in options),
                "stop_on_error": options.get("stop_on_error", True),
            }
            return options.get("channel", "shell"), "execute_request", content
        if self.kind == "complete":
            return "shell", "complete_request", {"code": self.code, "cursor_pos": cursor}
        if self.kind == "inspect":
            content = {"code": self.code, "cursor_pos": cursor, "detail_level": options.get("detail", 0)}
            return "shell", "inspect_request", content
        if self.kind == "is_complete":
            return "shell", "is_complete_request", {"code": self.code}
        return options.get("channel", "shell"), options["type"], options.get("content", {})


def read_session(path: Path) -> list[Cell]:
    """The cells of a file. Raises ValueError naming the line that is wrong."""
    cells: list[Cell] = []
    names: set[str] = set()
    head: re.Match[str] | None = None
    code: list[str] = []

    def finish() -> None:
        if head:
            options = json.loads(head["options"] or "{}")
            cells.append(Cell(path.stem, head["name"], head["kind"], "\n".join(code).strip("\n"), options))

    for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.startswith("#%%"):
            code.append(line)
            continue
        finish()
        head, code = _HEAD.match(line), []
        if not head or head["kind"] not in KINDS:
            raise ValueError(f"{path.name}:{i}: expected '#%% KIND NAME {{OPTIONS}}' with KIND of {', '.join(KINDS)}")
        name = f"{head['kind']} {head['name']}"
        if name in names:
            raise ValueError(f"{path.name}:{i}: there is a '{name}' already")
        names.add(name)
    finish()
    return cells


def read_sessions(folder: Path, pattern: str = "*") -> dict[str, list[Cell]]:
    """All sessions of a folder whose name matches the pattern."""
    return {path.stem: read_session(path) for path in sorted(folder.glob(f"{pattern}.cells"))}
