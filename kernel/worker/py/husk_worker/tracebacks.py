# SPDX-License-Identifier: Apache-2.0
"""Makes IPython's tracebacks faster without changing a byte of them.

Per traceback IPython and stack_data build a lexer class, a style class and a formatter that depend on the theme alone, and
per frame look through all modules for the cell's file. While a traceback is made, the names they call are bound to
versions that remember (`_bindings`); afterwards they are bound as before.
"""

from __future__ import annotations

import sys
from types import FrameType, ModuleType
from typing import Any

_MAX_REMEMBERED = 16  # themes and styles; more than anybody uses


class _Memo:
    """Remembers what a callable gave for its last few argument lists; arguments must be hashable or nothing is kept."""

    def __init__(self, make: Any) -> None:
        self.make = make
        self.known: dict[Any, Any] = {}

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        key = (args, tuple(sorted(keywords.items())))
        try:
            return self.known[key]
        except KeyError:
            value = self.make(*args, **keywords)
        except TypeError:
            return self.make(*args, **keywords)
        if len(self.known) >= _MAX_REMEMBERED:
            self.known.clear()
        self.known[key] = value
        return value


def _make_highlighter() -> Any:
    """stack_data's function that colours code and marks ranges, with one lexer for all calls."""
    import pygments
    from pygments.lexers import get_lexer_by_name

    class Marking(type(get_lexer_by_name("python3"))):  # type: ignore[misc]
        ranges: Any = ()

        def get_tokens(self, text: str, *args: Any, **keywords: Any) -> Any:
            at = 0
            for kind, value in super().get_tokens(text, *args, **keywords):
                if any(start <= at < end for start, end in self.ranges):
                    kind = kind.ExecutingNode
                at += len(value)
                yield kind, value

    lexer = Marking(stripnl=False)

    def highlight(formatter: Any, code: str, ranges: Any) -> list[str]:
        lexer.ranges = ranges
        try:
            coloured = pygments.highlight(code, lexer, formatter)
        except Exception:
            coloured = code  # as stack_data: colours are worth no failure
        return coloured.splitlines()

    return highlight


class Tracebacks:
    """The bindings of one shell; `structured` stands for its InteractiveTB.structured_traceback."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.original = shell.InteractiveTB.structured_traceback
        self.bindings: list[tuple[ModuleType, str, Any]] | None = None
        self.depth = 0

    def structured(self, *args: Any, **keywords: Any) -> Any:
        """structured_traceback() with the fast bindings."""
        if self.bindings is None:
            self.bindings = self._find()
        before = [] if self.depth else [(module, name, getattr(module, name)) for module, name, _ in self.bindings]
        self.depth += 1
        try:
            if before:
                for module, name, value in self.bindings:
                    setattr(module, name, value)
            return self.original(*args, **keywords)
        finally:
            self.depth -= 1
            for module, name, value in before:
                setattr(module, name, value)

    def _find(self) -> list[tuple[ModuleType, str, Any]]:
        """What can be bound in the versions at hand; a name that is missing is left out."""
        found: list[tuple[ModuleType, str, Any]] = []
        try:
            import inspect

            import stack_data
            import stack_data.core
            from pygments.formatters import terminal256
        except ImportError:
            return found
        if hasattr(stack_data.core, "_pygmented_with_ranges"):
            found.append((stack_data.core, "_pygmented_with_ranges", _make_highlighter()))
        if hasattr(stack_data, "style_with_executing_node"):
            found.append((stack_data, "style_with_executing_node", _Memo(stack_data.style_with_executing_node)))
        formatter = _Memo(terminal256.Terminal256Formatter)
        ultratb = sys.modules.get("IPython.core.ultratb")
        for module in (terminal256, ultratb):
            if module is not None and hasattr(module, "Terminal256Formatter"):
                found.append((module, "Terminal256Formatter", formatter))
        found.append((inspect, "getmodule", self._module_finder(inspect.getmodule)))
        return found

    def _module_finder(self, original: Any) -> Any:
        """inspect.getmodule(), which knows at once that a cell's frame has no module."""
        names = getattr(self.shell.compile, "_filename_map", {})

        def getmodule(thing: Any, _filename: Any = None) -> Any:
            if isinstance(thing, FrameType) and thing.f_code.co_filename in names:
                return None
            return original(thing, _filename)

        return getmodule


def install(shell: Any) -> None:
    """Makes the tracebacks of this shell fast. Idempotent."""
    handler = shell.InteractiveTB
    if "structured_traceback" not in vars(handler):
        handler.structured_traceback = Tracebacks(shell).structured
