# SPDX-License-Identifier: Apache-2.0
"""sys.stdout and sys.stderr of a worker: C text streams into the ring, with the attributes that libraries look for."""

import sys
import types

import _husk
from husk_worker.attribution import Attributed
from husk_worker.link import here


class OutStream(Attributed, _husk.Stream):
    """One of the two output streams. write() and flush() are C; a turn's text is kept in order with its messages.

    As in ipykernel: no `buffer`, isatty() False, attributes may be set on it, hooks of a thread see its messages
    first. Different from ipykernel: fileno() is the captured descriptor, so children that get it are seen too.
    """

    encoding = "UTF-8"
    errors = None
    newlines = None
    flush_interval = 0.2
    flush_timeout = 10
    _exc = None
    _is_closed = False
    echo = None

    def __init__(self, number: int, link: object) -> None:
        """number: 1 stdout, 2 stderr (the descriptor that it stands for)."""
        super().__init__(number - 1)
        self._fd = number
        self._link = link
        self.name = ("stdout", "stderr")[number - 1]
        self.topic = b"stream." + self.name.encode()
        self._original_stdstream_copy = number

    def fileno(self) -> int:
        """Descriptor 1 or 2, which is captured."""
        return self._fd

    def isatty(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writelines(self, lines: object) -> None:
        """Writes each string of an iterable."""
        self._check_open()
        for line in lines:
            self.write(line)

    @property
    def closed(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        """Ends this stream object: later writes to it raise ValueError. The descriptor stays as it is."""
        if not self._is_closed:
            self.flush()
            self._is_closed = True
            self.write = self._write_closed

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("I/O operation on closed file")

    def _write_closed(self, text: str) -> int:
        raise ValueError("I/O operation on closed file")

    def _is_master_process(self) -> bool:
        return not _husk.in_child()

    @property
    def session(self) -> object:
        return getattr(self._link.kernel, "session", None)

    @property
    def pub_thread(self) -> object:
        return None if self._is_closed else getattr(self._link.kernel, "iopub_thread", self._link)

    def register_hook(self, hook: object) -> None:
        super().register_hook(hook)
        self.__dict__.setdefault("write", self._write_hooked)

    def _write_hooked(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        hooks = self._hooks
        session = self.session
        if not hooks or session is None:
            return _husk.Stream.write(self, text)
        message = session.msg("stream", {"name": self.name, "text": text}, parent=here().parent())
        for hook in hooks:
            message = hook(message)
            if message is None:
                return len(text)
        _husk.Stream.write(self, message["content"]["text"])
        return len(text)


_classes_of = type.__dict__["__mro__"].__get__
_names_of = type.__dict__["__dict__"].__get__
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)


def _can_be_written(stream: object) -> bool:
    """Whether it has a method write, or may make one up, told without a step of its own code: nothing could interrupt that here."""
    try:
        for kind in _classes_of(type(stream)):
            names = _names_of(kind)
            if "write" in names or "__getattr__" in names:
                return True
            slot = names.get("__dict__")
            if type(slot) in _SLOTS and "write" in slot.__get__(stream):
                return True
    except BaseException:
        pass
    return False


class Streams:
    """The worker's two streams, kept apart from sys so that a cell cannot lose them."""

    __slots__ = ("out", "err")

    def __init__(self, link: object) -> None:
        self.out = OutStream(1, link)
        self.err = OutStream(2, link)

    def install(self) -> None:
        """Puts the streams where Python code looks for them."""
        sys.stdout = sys.__stdout__ = self.out
        sys.stderr = sys.__stderr__ = self.err

    def repair(self) -> None:
        """Puts a stream back where a cell left none (None, deleted, or an object that cannot be written to).

        A replacement that works, a StringIO say, stays: that is the user's wish. A closed stream stays closed.
        """
        for name, stream in (("stdout", self.out), ("stderr", self.err)):
            current = sys.__dict__.get(name)
            if current is not stream and not _can_be_written(current):
                setattr(sys, name, stream)
