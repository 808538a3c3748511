# SPDX-License-Identifier: Apache-2.0
"""Completion, inspection and is_complete: IPython's own where there is IPython, else those of plain_introspect.py."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from husk_worker.kernel import Kernel

TYPES_KEY = "_jupyter_types_experimental"


def _check_code(code: object) -> str:
    """code itself. Raises TypeError when it is no str."""
    if not isinstance(code, str):
        raise TypeError(f"code must be a string, not {type(code).__name__}")
    return code


def _check_cursor(cursor_pos: object, code: str) -> int:
    """The cursor as a number of code points; null is the end. Raises TypeError, ValueError when it lies outside of the code."""
    if cursor_pos is None:
        return len(code)
    if not isinstance(cursor_pos, int) or isinstance(cursor_pos, bool):
        raise TypeError(f"cursor_pos must be an integer or null, not {type(cursor_pos).__name__}")
    if not 0 <= cursor_pos <= len(code):
        raise ValueError(f"cursor_pos {cursor_pos} is out of range: the code has positions 0 to {len(code)}")
    return cursor_pos


def complete(kernel: Kernel, code: str, cursor_pos: int | None) -> dict[str, Any]:
    """Content of a complete_reply. cursor_pos: code points, None for the end. Raises TypeError, ValueError."""
    code = _check_code(code)
    cursor = _check_cursor(cursor_pos, code)
    shell = kernel.shell
    if not hasattr(shell, "Completer"):
        from husk_worker import plain_introspect

        return plain_introspect.complete(shell.user_ns, code, cursor)
    found = _completions(shell, code, cursor)
    if found:
        start, end = found[0]["start"], found[0]["end"]
    else:
        start = end = cursor
    return {
        "matches": [item["text"] for item in found],
        "cursor_end": end,
        "cursor_start": start,
        "metadata": {TYPES_KEY: found},
        "status": "ok",
    }


@contextlib.contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """IPython gives whatever a matcher raises to sys.excepthook and asks the next one; an interrupt, or a limit, is for us."""
    original, thread = sys.excepthook, threading.get_ident()

    def hook(kind: type[BaseException], value: BaseException, traceback: Any) -> None:
        if isinstance(value, KeyboardInterrupt) and threading.get_ident() == thread:
            raise value
        original(kind, value, traceback)

    sys.excepthook = hook
    try:
        yield
    finally:
        if sys.excepthook is hook:
            sys.excepthook = original


def _completions(shell: Any, code: str, cursor: int) -> list[dict[str, Any]]:
    """Completions of IPython as dicts of start, end, text, type, signature, all with the same start and end."""
    from IPython.core.completer import provisionalcompleter, rectify_completions

    from husk_worker import jedi_speed

    with provisionalcompleter(), jedi_speed.boost(), _ended_by_interrupts():
        raw = shell.Completer.completions(code, cursor)
        return [
            {"start": item.start, "end": item.end, "text": item.text, "type": item.type, "signature": item.signature}
            for item in rectify_completions(code, raw)
        ]


@contextlib.contextmanager
def _without_html(shell: Any) -> Iterator[None]:
    """Keeps IPython from making the HTML that inspect() drops: half of its work. A pylight() of somebody else's is called."""
    from IPython.core import oinspect

    original = getattr(oinspect, "pylight", None)
    if shell.enable_html_pager or getattr(original, "__module__", "") != oinspect.__name__:
        yield
        return
    thread = threading.get_ident()

    def pylight(code: str) -> str:
        return "" if threading.get_ident() == thread else original(code)

    oinspect.pylight = pylight
    try:
        yield
    finally:
        if oinspect.pylight is pylight:
            oinspect.pylight = original


def inspect(
    kernel: Kernel, code: str, cursor_pos: int | None, detail_level: int = 0, omit_sections: Any = ()
) -> dict[str, Any]:
    """Content of an inspect_reply. A cursor outside of the code counts as the nearest end. Raises TypeError, ValueError."""
    code = _check_code(code)
    cursor = _check_cursor(cursor_pos if not isinstance(cursor_pos, int) else min(max(cursor_pos, 0), len(code)), code)
    if detail_level not in (0, 1):
        raise ValueError(f"detail_level {detail_level!r} is out of range: 0 or 1")
    shell = kernel.shell
    if not hasattr(shell, "object_inspect_mime"):
        from husk_worker import plain_introspect

        return plain_introspect.inspect(shell.user_ns, code, cursor, detail_level)
    from IPython.utils.tokenutil import token_at_cursor

    reply: dict[str, Any] = {"status": "ok", "found": False, "data": {}, "metadata": {}}
    try:
        with _without_html(shell):
            data = shell.object_inspect_mime(
                token_at_cursor(code, cursor), detail_level=detail_level, omit_sections=set(omit_sections or ())
            )
    except KeyError:
        return reply
    if not shell.enable_html_pager:
        data.pop("text/html", None)
    reply["data"] = data
    reply["found"] = True
    return reply


def is_complete(kernel: Kernel, code: str) -> dict[str, Any]:
    """Content of an is_complete_reply. Raises TypeError."""
    code = _check_code(code)
    shell = kernel.shell
    manager = getattr(shell, "input_transformer_manager", None)
    if manager is None:
        from husk_worker import plain_introspect

        status, indent = plain_introspect.check_complete(code)
    else:
        status, indent = manager.check_complete(code)
    if status != "incomplete":
        return {"status": status}
    return {"status": status, "indent": " " * (indent or 0)}
