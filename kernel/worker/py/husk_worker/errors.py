# SPDX-License-Identifier: Apache-2.0
"""Texts of exceptions that may themselves be hostile, and the plain traceback of a shell without IPython."""

import _husk

INTERRUPTS = (KeyboardInterrupt, MemoryError)  # what an interrupt may raise (specs/link.md 5.6)
_MAX_FRAMES = 100  # of a traceback of code that ran out of memory
_MAX_CHAIN = 4  # exceptions that came before it
_MAX_LINKS = 10_000_000  # of such a chain that are looked at
_MAX_EVALUE = 4 << 20  # characters; an error travels in one frame
_CROWD = 8  # threads; fewer leave the report of an error time enough
_PROBE = 0.012  # seconds of processor time: two of the turns that threads take, and a bit
_PART = 4  # of the time is what a report should have


def name_of(error: "BaseException | type[BaseException]") -> str:
    """Class name of an exception or exception class."""
    kind = error if isinstance(error, type) else type(error)
    return type.__getattribute__(kind, "__name__")


def text_of(error: "BaseException | None") -> str:
    """str(error), or a stand-in when `__str__` raises or returns no str."""
    try:
        text = str(error)
    except Exception:
        return "<exception str() failed>"
    return text if len(text) <= _MAX_EVALUE else text[:_MAX_EVALUE]


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception ends the turn: a KeyboardInterrupt, or a MemoryError that the front has asked for."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, MemoryError) and hasattr(error, "what"))


def make_room(error: BaseException) -> None:
    """Called before an exception is reported: one that comes from a refusal of memory gets room for it, and its text."""
    if isinstance(error, MemoryError):
        text = _husk.make_room()
        if text is not None and was_refused(error):
            error.args = error.args or (text,)
            _shorten(error)


def _shorten(error: BaseException) -> None:
    """Drops a long chain of exceptions and the far ends of long tracebacks: memory may have ended in a deep recursion.

    The frames at such an end hold all the others.
    """
    before, n = error, 0
    while before is not None and n <= _MAX_CHAIN:
        trace, depth = before.__traceback__, 1
        while trace is not None and depth < _MAX_FRAMES:
            trace, depth = trace.tb_next, depth + 1
        if trace is not None:
            trace.tb_next = None
        before, n = before.__context__, n + 1
    if before is None:
        return
    # Python has a last MemoryError for all who get no other: it is never freed, nor is what it holds.
    before, error.__cause__, error.__context__ = error.__context__, None, None
    while before is not None and n < _MAX_LINKS:
        after = before.__context__
        before.__traceback__ = before.__cause__ = before.__context__ = None
        before, n = after, n + 1


def let_go(error: BaseException) -> None:
    """After the report of a refusal: what the frames of its traceback hold is often what there was too much of."""
    seen = 0
    before: BaseException | None = error
    while before is not None and seen <= _MAX_CHAIN:
        trace = before.__traceback__
        while trace is not None:
            try:
                trace.tb_frame.clear()
                trace.tb_frame.f_locals  # noqa: B018  up to 3.12 a copy, which is brought up to date
            except RuntimeError:
                pass  # it still runs
            trace = trace.tb_next
        before, seen = before.__context__, seen + 1


def was_refused(error: BaseException) -> bool:
    """Whether an exception says that the limit has refused memory (specs/link.md 6.6): none of a raise statement does."""
    if not isinstance(error, MemoryError):
        return False
    if hasattr(error, "what"):
        return True
    if _husk.make_room() is None:
        return False
    trace = error.__traceback__
    if trace is None:
        return True  # not even that could be had
    while trace.tb_next is not None:
        trace = trace.tb_next
    import opcode

    return trace.tb_frame.f_code.co_code[trace.tb_lasti] != opcode.opmap["RAISE_VARARGS"]


def without_machinery(error: BaseException) -> BaseException:
    """The exception, its traceback shortened by the leading frames that belong to this package."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("husk_worker"):
        trace = trace.tb_next
    return error.with_traceback(trace)


def plain_traceback(error: BaseException) -> list[str]:
    """Lines of a traceback without colours, as Python itself prints it; never raises an Exception."""
    try:
        import traceback

        lines = traceback.format_exception(type(error), error, error.__traceback__)
        return "".join(lines).rstrip("\n").split("\n")
    except Exception:
        return [f"{name_of(error)}: {text_of(error)}"]


def is_crowded() -> bool:
    """Whether many busy threads leave this one so little time that a report with all its colours would take seconds."""
    import _thread
    from time import monotonic, thread_time

    if _thread._count() < _CROWD:
        return False
    end, last = thread_time() + _PROBE, monotonic() + _PART * _PROBE
    while thread_time() < end:
        if monotonic() > last:
            return True
    return False


def brief_traceback(error: BaseException) -> list[str]:
    """Lines of a traceback that are made of what is in memory: each file that is read gives other threads their turn first."""
    import sys

    linecache = sys.modules.get("linecache")
    lines, trace = ["Traceback (most recent call last):"], error.__traceback__
    while trace is not None and len(lines) < 2 * _MAX_FRAMES:
        code, number = trace.tb_frame.f_code, trace.tb_lineno
        lines.append(f'  File "{code.co_filename}", line {number}, in {code.co_name}')
        known = linecache.cache.get(code.co_filename) if linecache is not None else None
        if known is not None and len(known) == 4 and number is not None and 0 < number <= len(known[2]):
            lines.append("    " + known[2][number - 1].strip())
        trace = trace.tb_next
    return [*lines, f"{name_of(error)}: {text_of(error)}"]


def report(error: BaseException) -> tuple[str, str, list[str]]:
    """(ename, evalue, traceback lines) of an exception, as the error field of a REPLY."""
    make_room(error)
    return name_of(error), text_of(error), plain_traceback(error)


class StdinNotImplementedError(NotImplementedError):
    """input() was called where the client does not allow it; used when IPython's class of that name is not there."""


def stdin_error() -> type[Exception]:
    """The class that input() raises when stdin is not allowed: IPython's when IPython has been imported."""
    import sys

    module = sys.modules.get("IPython.core.error")
    return getattr(module, "StdinNotImplementedError", StdinNotImplementedError)
