# SPDX-License-Identifier: Apache-2.0
"""Cells before IPython exists: the user's `__main__`, the few things IPython would have recorded, and plain cells.

`Cold` holds what a shell holds; when the shell is built it takes all of it over (`Cold.hand_over_*`), so that nobody can
tell which cells ran before.
"""

import builtins
import sys

import _husk
from husk_worker import cellname, lean

DOC = "Automatically created module for IPython interactive environment"
_MAX_SKIPPED = 1 << 20  # cells that a worker's predecessors may have run
_MAX_CELLS = 200  # as many plain cells may run before the shell is built at the latest


class Cold:
    """State of a session without a shell.

    module, ns: the user's `__main__` and its dict. count: number of the next stored cell. parsed, raw: the histories
    behind In (with the empty entry 0). out, texts: values and text/plain by cell number. under: `_`, `__`, `___`.
    running: a cell whose input is recorded runs; the shell may be built in the middle of it.
    """

    __slots__ = (
        "module", "ns", "count", "parsed", "raw", "out", "texts", "under", "recent", "cells", "value", "running", "_base",
    )  # fmt: skip

    def __init__(self) -> None:
        self.module = type(sys)("__main__", DOC)
        self.ns = ns = self.module.__dict__
        ns["__builtin__"] = ns["__builtins__"] = builtins
        sys.modules["__main__"] = self.module
        self._base = frozenset(ns)
        self.count = 1
        self.parsed = [""]
        self.raw = [""]
        self.out = {}
        self.texts = {}
        self.under = ["", "", ""]
        self.recent = ["", "", "", ""]
        self.cells = []
        self.value = None
        self.running = False

    def go_on_at(self, count: int) -> None:
        """Takes the number of the next cell from the front: a worker that replaces another goes on counting (wire.md 7.10)."""
        if self.count == 1 and not self.cells and 1 < count < _MAX_SKIPPED:
            self.count = count
            self.parsed = [""] * count
            self.raw = [""] * count

    def compile(self, code: str) -> "list | None":
        """Code objects of a provably plain cell, the last one that of its value if there is one; None if it is not plain."""
        if len(self.cells) >= _MAX_CELLS:
            return None
        name = cellname.file_name(code)
        tree = lean.plain_tree(code, name, self.ns)
        if tree is None:
            return None
        body = tree.body
        rest = body[:-1] if body and type(body[-1]) is lean._ast.Expr else body
        if not lean.splits_whole(rest, sys.version_info >= (3, 14)):
            return None
        parts = []
        try:
            if body and type(body[-1]) is lean._ast.Expr:
                if len(body) > 1:
                    parts.append(compile(lean._ast.Module(body[:-1], []), name, "exec", lean.NO_IMPLIED_DEDENT, True))
                parts.append(compile(lean._ast.Interactive(body[-1:]), name, "single", lean.NO_IMPLIED_DEDENT, True))
            elif body:
                parts.append(compile(tree, name, "exec", lean.NO_IMPLIED_DEDENT, True))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None
        return parts

    def store_input(self, code: str) -> None:
        """Records the text of cell `count` as IPython's history manager does."""
        text = code.rstrip("\n")
        self.parsed.append(text)
        self.raw.append(text)
        self.cells.append((self.count, code if code.endswith("\n") else code + "\n", code))
        recent = [text, *self.recent[:3]]
        self.recent = recent
        ns = self.ns
        ns["_i"], ns["_ii"], ns["_iii"] = recent[1:]
        ns[f"_i{self.count}"] = text

    def run(self, parts: list) -> None:
        """Runs what compile() gave; the value of the cell is in `value` afterwards. Raises what the cell raises."""
        __tracebackhide__ = "__ipython_bottom__"
        self.value = None
        ns = self.ns
        hook = sys.displayhook
        sys.displayhook = self._keep
        try:
            for part in parts:
                exec(part, ns, ns)
        finally:
            sys.displayhook = hook

    def _keep(self, value: object) -> None:
        self.value = value

    def store_value(self, value: object, text: str) -> None:
        """Records the value of cell `count` and its text/plain as IPython's display hook does."""
        under = [value, *self.under[:2]]
        self.under = under
        ns = self.ns
        ns["_"], ns["__"], ns["___"] = under
        ns[f"_{self.count}"] = value
        self.out[self.count] = value
        self.texts[self.count] = text

    def take_names(self) -> dict:
        """Empties the namespace but for what every module has; the names are given back in their order."""
        ns = self.ns
        names = {name: value for name, value in ns.items() if name not in self._base}
        for name in names:
            del ns[name]
        return names


def semicolon(code: str) -> "bool | None":
    """Whether a plain cell ends in a semicolon, which suppresses its value; None when that takes a tokenizer to tell."""
    if ";" not in code:
        return False
    if "#" in code[code.rindex(";") :]:
        return None
    return code.rstrip().endswith(";")


def send_text(link: object, count: int, text: str) -> None:
    """Sends a value that has only text/plain."""
    link.hold(
        _husk.DISPLAY, link.turn(), _husk.DISPLAY_RESULT, count, [("text/plain", _husk.MIME_TEXT, text)], None, None, []
    )
