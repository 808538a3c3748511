# SPDX-License-Identifier: Apache-2.0
"""The built-in module `_husk`: what the C core gives to the Python side of a worker (specs/link.md)."""

from collections.abc import Callable
from types import CodeType
from typing import Any, NoReturn

FD: int  # the link's descriptor
INTERRUPT_SIGNAL: int  # the reserved signal, hidden from sigaction and the signal masks

# every frame type of link.def by name, e.g. EXECUTE, REPLY
EXECUTE: int
REQUEST: int
# ... and the constants LINK_EXEC_*, LINK_DISPLAY_*, LINK_MIME_*, LINK_STATUS_* without "LINK_"
EXEC_SILENT: int
DISPLAY_RESULT: int
MIME_TEXT: int
MIME_JSON: int
STATUS_OK: int
REPLY_MEMORY_REFUSED: int

class Closed(Exception):
    """The other end of a link is gone."""

def recv(fd: int = FD, timeout: float | None = None, also: int = -1) -> tuple[int, list[Any], list[int]] | None:
    """Next frame of the link `fd` as (type, fields, descriptors); waits with the GIL released.

    str fields arrive as str, bin and json fields as bytes. None: the timeout (seconds) passed, or descriptor `also` became
    readable first. Signals are handled while waiting (PEP 475); an exception of a handler propagates. Raises Closed.
    """

def pending(fd: int = FD) -> bool:
    """Whether a whole or partial frame waits in the link or its read buffer."""

def send(type: int, fields: tuple[Any, ...] | list[Any], fd: int = FD) -> None:
    """Sends one frame; waits with the GIL released while the socket is full; thread-safe (frames never interleave).

    None, bool, int (64 bit), float, str (surrogates replaced), bytes-like (bin), list/tuple, dict. The ring position is added by C.
    """

def hold(type: int, fields: tuple[Any, ...] | list[Any], fd: int = FD, /) -> None:
    """As send(), but the frame may wait: it leaves with the next frame sent there, or before recv() waits."""

def set_turn(turn: int) -> None:
    """The turn that text without a context of its own belongs to from now on (all threads)."""

def get_turn() -> int: ...
def drain() -> None:
    """fflush(NULL), then copies what the pipes on fd 1 and 2 hold into the ring: the barrier at the end of a turn."""

def guard(turn: int, func: Callable[..., Any], *args: Any) -> Any:
    """Calls func(*args) as tenant code of `turn`: interrupts are armed while it runs and surely disarmed when it has returned.

    Main thread only. An interrupt outside of guard() and between() never raises.
    """

def arm(turn: int) -> None:
    """As entering guard(), for cells that live across calls (top-level await). disarm() ends it."""

def disarm() -> None: ...
def between(func: Callable[[], Any], /) -> Any:
    """Calls func(), which runs what earlier cells have left: an interrupt of a turn that has not begun is raised in that."""

def interrupt_thread(thread: int, reason: int = 0, limit: int = 0, used: int = 0, /) -> bool:
    """Raises what interruption() gives in another thread at its next step of Python code. False: there is no such thread."""

def interruption(reason: int = 0, limit: int = 0, used: int = 0, /) -> BaseException:
    """A new exception of a reason of reason.def; limit and used in its unit. 0: KeyboardInterrupt."""

def limit_memory(limit: int, /) -> None:
    """Limits what the process may take from now on, in bytes (specs/link.md 6). Once. RuntimeError when it cannot be done."""

def limit_turn(turn: int, limit: int, /) -> None:
    """A smaller limit while that turn runs."""

def count_memory(on: bool, /) -> None:
    """False: the shell is being built; what is taken until True is not counted."""

def make_room() -> str | None:
    """Lets the report of an error have all of the reserve. What a refusal is told with, None when nothing is limited."""

def set_attention(callback: Callable[[], Any]) -> None:
    """The function called in the main thread, between two steps of a cell, when the front has sent an ATTACH meanwhile."""

def confine() -> tuple[str, ...]:
    """The one place between "Python is up" and "first tenant byte" where the worker confines itself; for forked workers too.

    The core has called it before husk_worker.boot is imported. Returns the names of the layers that were applied.
    """

class Stream:
    """C text stream into the ring. Subclassable (io.TextIOBase is its base); instances of a Python subclass have a __dict__.

    Stream(number): 0 stdout, 1 stderr. write() accepts str only, returns its length; text belongs to the turn given by the
    module-level context hook (see set_context_hook) or to set_turn(). In a forked child it writes to fd 1 or 2 instead.
    """

    def __init__(self, number: int) -> None: ...
    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...

def set_context_var(var: Any) -> None:
    """A contextvars.ContextVar holding a turn (int): when set in the writing context it wins over set_turn()."""

def in_child() -> bool:
    """True in a process forked by tenant code from this worker. Its links are closed: recv() and send() raise Closed."""

def adopt() -> None:
    """Makes a forked process a worker of its own: descriptors 3 to 7 (specs/link.md 2.1) have been put in place, the ring is
    mapped, read buffers are empty, nothing is armed. confine() comes next. RuntimeError in a process that is no fork.
    """

def exit(code: int) -> NoReturn:
    """Ends the process at once, after drain(): no finalization of Python, no exit handlers of C."""

def murmur2(data: bytes, seed: int) -> int:
    """32-bit MurmurHash2 of the bytes."""

def embedded_source(name: str) -> bytes | None:
    """Source text of a husk_worker module as carried in the binary."""

def embedded_info(name: str) -> tuple[str, bool] | None:
    """File name (`<husk>/...`, no such file exists) of an embedded module and whether it is a package."""

def embedded_code(name: str) -> CodeType:
    """Code object of an embedded module. ImportError when there is none."""

def __getattr__(name: str) -> int: ...  # the other constants
