# SPDX-License-Identifier: Apache-2.0
"""The module `_husk` in Python: what the C core does, over a plain socketpair, for tests of the Python side alone.

Text takes a frame type of its own (TEXT: stream number, turn, text) instead of the ring, at once and in order. The
interrupt is SIGUSR1. Run as a program it becomes a worker: python fake_husk.py FD.
"""

import io
import os
import select
import signal
import socket
import struct
import sys
import threading

import mpack

TEXT = 200
FRAMES = {
    "START": 1, "EXECUTE": 2, "REQUEST": 3, "INPUT_REPLY": 4, "TOLD": 5, "SHUTDOWN": 6, "ATTACH": 7, "INTERRUPT": 8, "HELLO": 64,
    "READY": 65, "FATAL": 66, "DISPLAY": 67, "PUBLISH": 68, "ERROR": 69, "REPLY": 70, "ANSWER": 71, "ASK_INPUT": 72,
    "ASK": 73, "EXIT": 74, "AWAIT": 75,
}  # fmt: skip
globals().update(FRAMES)
EXEC_SILENT, EXEC_STORE_HISTORY, EXEC_ALLOW_STDIN, EXEC_STOP_ON_ERROR = 1, 2, 4, 8
DISPLAY_DATA, DISPLAY_UPDATE, DISPLAY_RESULT = 0, 1, 2
MIME_TEXT, MIME_JSON = 0, 1
STATUS_OK, STATUS_ERROR, STATUS_ABORTED = 0, 1, 2
REPLY_MEMORY_REFUSED = 1
FD = 3
INTERRUPT_SIGNAL = signal.SIGUSR1

_master = os.getpid()
_turn = 0
_context_var = None
_armed = 0
_buffers: dict[int, bytearray] = {}
_descriptors: dict[int, list[int]] = {}
_send_lock = threading.RLock()


class Closed(Exception):
    """The other end of a link is gone."""


class TooLarge(ValueError):
    """A frame has more bytes than it may have."""


def _frame(fd: int) -> "tuple | None":
    data = _buffers.setdefault(fd, bytearray())
    if len(data) < 5:
        return None
    size, kind = struct.unpack_from("<IB", data)
    if len(data) < 5 + size:
        return None
    body = bytes(data[5 : 5 + size])
    del data[: 5 + size]
    fds = _descriptors.pop(fd, []) if kind == FRAMES["ATTACH"] else []
    return kind, mpack.unpack(body), fds


def _read(fd: int) -> None:
    sock = socket.socket(fileno=os.dup(fd))
    try:
        data, fds, _, _ = socket.recv_fds(sock, 1 << 20, 4)
    except OSError as error:
        raise Closed(str(error)) from None
    finally:
        sock.close()
    _descriptors.setdefault(fd, []).extend(fds)
    if not data:
        raise Closed("link closed")
    _buffers.setdefault(fd, bytearray()).extend(data)


def recv(fd: int = FD, timeout: "float | None" = None, also: int = -1) -> "tuple | None":
    """As the C function."""
    while True:
        frame = _frame(fd)
        if frame is not None:
            return frame
        wanted = [fd] if also < 0 else [fd, also]
        ready, _, _ = select.select(wanted, [], [], timeout)
        if fd in ready:
            _read(fd)
        elif not ready or also in ready:
            return None


def pending(fd: int = FD) -> bool:
    """As the C function."""
    return bool(_buffers.get(fd)) or bool(select.select([fd], [], [], 0)[0])


def send(type: int, fields: "tuple | list", fd: int = FD) -> None:
    """As the C function."""
    if in_child():
        raise Closed("the link belongs to the parent")
    body = mpack.pack(list(fields))
    data = memoryview(struct.pack("<IB", len(body), type) + body)
    with _send_lock:
        while data:
            try:
                data = data[os.write(fd, data) :]
            except OSError as error:
                raise Closed(str(error)) from None


hold = send  # a real one may let the frame wait for the next


def set_turn(turn: int) -> None:
    """As the C function."""
    global _turn
    _turn = turn


def get_turn() -> int:
    """As the C function."""
    return _turn


def set_context_var(var: object) -> None:
    """As the C function."""
    global _context_var
    _context_var = var


def drain() -> None:
    """As the C function; there are no pipes here."""


def guard(turn: int, func: object, *args: object) -> object:
    """As the C function."""
    global _armed
    outer, _armed = _armed, turn
    try:
        return func(*args)
    finally:
        _armed = outer


def between(func: object) -> object:
    """As the C function; no interrupt comes."""
    return func()


def arm(turn: int) -> None:
    """As the C function."""
    global _armed
    _armed = turn


def disarm() -> None:
    """As the C function."""
    global _armed
    _armed = 0


def interruption(reason: int = 0, limit: int = 0, used: int = 0) -> BaseException:
    """As the C function, which has a class for each reason."""
    return KeyboardInterrupt(reason, limit, used) if reason else KeyboardInterrupt()


def interrupt_thread(thread: int, reason: int = 0, limit: int = 0, used: int = 0) -> bool:
    """As the C function, but for the reason."""
    import ctypes

    return ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt)) > 0


def count_memory(on: bool) -> None:
    """As the C function without a limit."""


def make_room() -> "str | None":
    """As the C function without a limit."""
    return None


def set_attention(callback: object) -> None:
    """As the C function, for SIGUSR2."""
    signal.signal(signal.SIGUSR2, lambda number, frame: callback())


def _interrupted(number: int, frame: object) -> None:
    if _armed:
        raise KeyboardInterrupt


def confine() -> None:
    """As the C function."""


def murmur2(data: bytes, seed: int) -> int:
    """As the C function."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    whole = len(data) & ~3
    hash_ = seed ^ len(data)
    for word in memoryview(data)[:whole].cast("I"):
        word = word * factor & mask
        hash_ = (hash_ * factor & mask) ^ ((word ^ word >> 24) * factor & mask)
    if data[whole:]:
        hash_ = (hash_ ^ int.from_bytes(data[whole:], "little")) * factor & mask
    hash_ = (hash_ ^ hash_ >> 13) * factor & mask
    return hash_ ^ hash_ >> 15


def in_child() -> bool:
    """As the C function."""
    return os.getpid() != _master


def embedded_source(name: str) -> "bytes | None":
    """As the C function: nothing is embedded."""
    return None


class Stream(io.TextIOBase):
    """As the C class."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if in_child():
            os.write(1 + self._number, text.encode("utf-8", "replace"))
        elif text:
            turn = (_context_var.get(0) if _context_var is not None else 0) or _turn
            try:
                send(TEXT, (self._number, turn, text))
            except Closed:
                pass
        return len(text)

    def flush(self) -> None:
        pass


def _only_ipythons_methods() -> None:
    """Makes display hook and transformations work by IPython's own methods alone."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.interactiveshell import InteractiveShell

    from husk_worker.display import ZMQShellDisplayHook as Ours
    from husk_worker.shell import ZMQInteractiveShell

    def if_stored(method: object) -> object:
        return lambda self, *args: method(self, *args) if self.shell.stores_values else None

    def as_before(self: object, result: object = None) -> None:
        try:
            DisplayHook.__call__(self, result)
        finally:
            self.msg = None

    ZMQInteractiveShell.transform_cell = InteractiveShell.transform_cell
    Ours.__call__ = as_before
    Ours.quiet = DisplayHook.quiet
    Ours.compute_format_data = DisplayHook.compute_format_data
    Ours.update_user_ns = if_stored(DisplayHook.update_user_ns)
    Ours.log_output = if_stored(DisplayHook.log_output)


def _only_run_cell(boot: object) -> None:
    """Makes the worker run every cell by IPython's own run_cell() or, when it awaits, run_cell_async()."""
    make = boot.Runtime.make_runner
    boot.Cold.compile = lambda self, code: None

    def make_runner(runtime: object, executor: object) -> object:
        from husk_worker import leanpath, shellrun

        runner = make(runtime, executor)
        _only_ipythons_methods()
        leanpath.LeanPath.is_open = lambda self: True
        leanpath.LeanPath.codes = lambda self, code, silent: None
        full = shellrun.ShellRunner._full

        def whole(self: object, request: object, silent: bool, store: bool) -> object:
            if "await" in request.code or "async" in request.code:
                return full(self, request, silent, store)
            return self._foreign(request, silent, store)

        shellrun.ShellRunner._full = whole
        return runner

    boot.Runtime.make_runner = make_runner


def run() -> None:
    """Becomes a worker on descriptor sys.argv[1]."""
    os.dup2(int(sys.argv[1]), FD)
    sys.modules["_husk"] = sys.modules["__main__"]
    globals()["__name__"] = "husk_worker"  # its frames are machinery; there are none of the C functions
    signal.signal(signal.SIGUSR1, _interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    send(FRAMES["READY"], ({"pid": os.getpid()},))
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path[:1] == [here]:
        del sys.path[0]
    sys.argv = [""]
    sys.path.insert(0, os.path.join(here, "..", "..", "kernel", "worker", "py"))
    from husk_worker import boot

    sys.path.pop(0)
    if os.environ.pop("HUSK_TEST_RUN_CELL", None):
        _only_run_cell(boot)
    sys.modules["husk_worker"].__path__ = [os.path.realpath(path) for path in sys.modules["husk_worker"].__path__]
    try:
        code = boot.main()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
        code = 1
    os._exit(code)


if __name__ == "__main__":
    run()
