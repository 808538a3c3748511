# SPDX-License-Identifier: Apache-2.0
"""Texts of exceptions that may themselves be hostile, and the plain traceback of a shell without IPython."""

INTERRUPTS = (KeyboardInterrupt, MemoryError)  # what an interrupt may raise (specs/link.md 5.6)
_MAX_EVALUE = 4 << 20  # characters; an error travels in one frame


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


def report(error: BaseException) -> tuple[str, str, list[str]]:
    """(ename, evalue, traceback lines) of an exception, as the error field of a REPLY."""
    return name_of(error), text_of(error), plain_traceback(error)


class StdinNotImplementedError(NotImplementedError):
    """input() was called where the client does not allow it; used when IPython's class of that name is not there."""


def stdin_error() -> type[Exception]:
    """The class that input() raises when stdin is not allowed: IPython's when IPython has been imported."""
    import sys

    module = sys.modules.get("IPython.core.error")
    return getattr(module, "StdinNotImplementedError", StdinNotImplementedError)
