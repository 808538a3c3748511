# SPDX-License-Identifier: Apache-2.0
"""The worker's end of one link: requests, mailboxes for answers of the front, attribution of output to turns.

One `Link` belongs to one descriptor. Any thread may send. Frames are read by whichever thread waits for one (`_await`):
it puts what is not for itself where it belongs and wakes the others, so that `input()` in a thread works whether or
not the main thread is reading, and nothing polls.
"""

import _contextvars
import _thread

import _husk

# Which turn the code of this context belongs to. asyncio tasks copy it, so they keep the cell that made them; a new
# thread has none and writes to whatever turn is current (_husk.set_turn).
TURN = _contextvars.ContextVar("husk_turn")

_RECENT_TURNS = 512  # parents that set_parent() can still name


def loads(raw):
    """Dict of a JSON text (bytes or str); empty for anything else than an object."""
    if not raw:
        return {}
    import json

    value = json.loads(raw)
    return value if isinstance(value, dict) else {}


class Request:
    """One EXECUTE or REQUEST: the raw JSON parts are parsed when somebody looks at them.

    turn: int; header_raw, metadata_raw, content_raw: bytes; identities, buffers: list of bytes.
    flags, code, expressions_raw, count, memory: of an EXECUTE (flags None for others).
    """

    __slots__ = (
        "turn", "header_raw", "identities", "metadata_raw", "content_raw", "buffers", "flags", "code",
        "expressions_raw", "count", "memory", "asked", "answered", "_header", "_metadata", "_content", "_parent",
    )  # fmt: skip

    def __init__(self, turn, header_raw, identities, metadata_raw, content_raw=b"", buffers=()):
        self.turn = turn
        self.header_raw = header_raw
        self.identities = identities
        self.metadata_raw = metadata_raw
        self.content_raw = content_raw
        self.buffers = buffers
        self.flags = None
        self.code = ""
        self.expressions_raw = None
        self.count = 0
        self.memory = None
        self.asked = self.answered = 0
        self._header = self._metadata = self._content = self._parent = None

    @classmethod
    def from_execute(cls, fields):
        """A Request of the fields of an EXECUTE frame."""
        self = cls(fields[0], fields[1], fields[2], fields[3])
        self.flags = fields[4]
        self.code = fields[5]
        self.expressions_raw = fields[6]
        self.count = fields[7]
        if len(fields) > 8:
            self.memory = fields[8]
        return self

    @classmethod
    def from_request(cls, fields):
        """A Request of the fields of a REQUEST frame."""
        return cls(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5])

    @property
    def header(self):
        """The request's header as a dict."""
        if self._header is None:
            self._header = loads(self.header_raw)
        return self._header

    @property
    def metadata(self):
        """The request's metadata as a dict."""
        if self._metadata is None:
            self._metadata = loads(self.metadata_raw)
        return self._metadata

    @property
    def content(self):
        """The request's content as a dict; of an EXECUTE it is built from the frame's fields."""
        if self._content is None:
            if self.flags is None:
                self._content = loads(self.content_raw)
            else:
                self._content = {
                    "code": self.code,
                    "silent": bool(self.flags & _husk.EXEC_SILENT),
                    "store_history": bool(self.flags & _husk.EXEC_STORE_HISTORY),
                    "user_expressions": loads(self.expressions_raw),
                    "allow_stdin": bool(self.flags & _husk.EXEC_ALLOW_STDIN),
                    "stop_on_error": bool(self.flags & _husk.EXEC_STOP_ON_ERROR),
                }
        return self._content

    @property
    def msg_type(self):
        """The request's message type, e.g. "execute_request"."""
        return "execute_request" if self.flags is not None else self.header.get("msg_type", "")

    @property
    def parent(self):
        """The whole message as libraries know it from `get_parent()`; one dict per request."""
        if self._parent is None:
            header = self.header
            self._parent = {
                "header": header,
                "msg_id": header.get("msg_id", ""),
                "msg_type": header.get("msg_type", ""),
                "parent_header": {},
                "metadata": self.metadata,
                "content": self.content,
                "buffers": list(self.buffers),
            }
        return self._parent


class _Box:
    """What one thread waits for: `done` and `value` are set by the thread that reads the link."""

    __slots__ = ("done", "value", "lock")

    def __init__(self):
        self.done = False
        self.value = None
        self.lock = _thread.allocate_lock()
        self.lock.acquire()

    def wake(self):
        try:
            self.lock.release()
        except RuntimeError:
            pass  # is awake already


class InputEnded(Exception):
    """The front ended an input request without a value."""


class Link:
    """The worker's end of the link on descriptor `fd`.

    current: the Request that is being served or was served last, None before the first.
    need_shell: set by boot; returns the shell, building it when there is none yet.
    main: whether this is the worker's first link, served by the main thread.
    on_interrupt: called with the turn of an INTERRUPT and, where it names them, reason, limit and used.
    on_attach: called with the fields and descriptors of an ATTACH that is read while the serving loop is not there; False:
    the loop does it.
    on_backlog: called by whoever has read a frame for the serving loop, from any thread and between any two steps.
    """

    __slots__ = (
        "fd", "main", "current", "need_shell", "kernel", "_recent", "_mutex", "_reading", "_waiters", "_backlog",
        "_asks", "_inputs", "_next_ask", "_input_lock", "_missed", "on_attach", "on_interrupt", "on_backlog",
    )  # fmt: skip

    def __init__(self, fd=None, main=True):
        self.fd = _husk.FD if fd is None else fd
        self.main = main
        self.current = None
        self.need_shell = None
        self.kernel = None
        self._recent = []
        self._mutex = _thread.allocate_lock()
        self._reading = False
        self._missed = False
        self._waiters = []
        self._backlog = []
        self._asks = {}
        self._inputs = {}
        self._next_ask = 1
        self._input_lock = None
        self.on_attach = None
        self.on_interrupt = None
        self.on_backlog = None

    # Reading

    def recv(self, timeout=None, also=-1):
        """Next EXECUTE, REQUEST, START, SHUTDOWN or ATTACH frame as (type, fields, descriptors).

        timeout: seconds or None. None is returned when it has passed or `also` became readable. Raises _husk.Closed.
        """
        if self._backlog:
            return self._backlog.pop(0)
        if not self._take_reading():
            return self._recv_behind(timeout)
        try:
            if self._backlog:  # of a signal between the look above and now
                return self._backlog.pop(0)
            while True:
                frame = _husk.recv(self.fd, timeout, also)
                if frame is None or self._route(frame, False):
                    return frame
        finally:
            self._give_reading()

    def _recv_behind(self, timeout):
        """As recv() while another thread reads: it puts our frames into the backlog."""
        box = _Box()
        while not self._backlog:
            self._waiters.append(box)
            if self._reading or self._backlog:
                # The reader does not watch `also` for us: look again soon rather than miss it.
                box.lock.acquire(True, 0.05 if timeout is None else min(timeout, 0.05))
                if not self._backlog:
                    return None
            else:
                return self.recv(timeout)
        return self._backlog.pop(0)

    def _take_reading(self):
        with self._mutex:
            if self._reading:
                return False
            self._reading = True
            return True

    def _give_reading(self):
        self._reading = False
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for box in waiters:
                box.wake()
        if self._missed:
            self._missed = False
            self.attend()

    def _route(self, frame, away=True):
        """Delivers an answer to its box. True when the frame is one for the serving loop. away: the loop is not there."""
        kind, fields, fds = frame
        if kind == _husk.TOLD:
            box = self._asks.pop(fields[0], None)
            if box is not None:
                box.value = fields[1]
                box.done = True
        elif kind == _husk.INPUT_REPLY:
            request = self.find(fields[0])
            if request is not None:
                request.answered += 1
                box = self._inputs.pop((request.turn, request.answered), None)
                if box is not None:
                    box.value = fields[1]
                    box.done = True
        elif kind == _husk.ATTACH and away and self.on_attach is not None:
            return not self.on_attach(fields, fds)
        elif kind == _husk.INTERRUPT and self.on_interrupt is not None:
            self.on_interrupt(*fields[:4])
        else:
            return True
        return False

    def _put_back(self, frame):
        """Leaves a frame to the serving loop."""
        self._backlog.append(frame)
        on_backlog = self.on_backlog
        if on_backlog is not None:
            on_backlog()

    def has_backlog(self):
        """Whether a frame for the serving loop has been read by somebody else."""
        return bool(self._backlog)

    def attend(self):
        """Reads what has come meanwhile, when nobody is reading. Called between two steps of a cell: must not wait for a lock.

        Who is reading may have what he waits for, and leave the rest: he looks again when he is done.
        """
        if not self._mutex.acquire(False):
            self._missed = True
            return
        try:
            if self._reading:
                self._missed = True
                return
            self._reading = True
        finally:
            self._mutex.release()
        try:
            frame = _husk.recv(self.fd, 0.0)
            while frame is not None:
                if self._route(frame):
                    self._put_back(frame)
                frame = _husk.recv(self.fd, 0.0)
        except _husk.Closed:
            pass  # the main loop will see it
        finally:
            self._give_reading()

    def attach_waits(self):
        """Whether there is an ATTACH that waits for the main loop."""
        return any(frame[0] == _husk.ATTACH for frame in self._backlog)

    def take_attaches(self):
        """Fields and descriptors of each ATTACH that waits for the main loop; they are no longer its."""
        taken = [frame for frame in self._backlog if frame[0] == _husk.ATTACH]
        for frame in taken:
            self._backlog.remove(frame)
        return [frame[1:] for frame in taken]

    def _await(self, box):
        """Blocks until box.done, reading the link if nobody else does. Interruptible; raises _husk.Closed."""
        while not box.done:
            if not self._take_reading():
                self._waiters.append(box)
                if self._reading:
                    box.lock.acquire()
                continue
            try:
                frame = _husk.recv(self.fd)
                if frame is not None and self._route(frame):
                    self._put_back(frame)
            finally:
                self._give_reading()
        return box.value

    def pending(self):
        """Whether there is a frame to serve, so that idle work has to wait."""
        return bool(self._backlog) or _husk.pending(self.fd)

    # Turns

    def begin(self, request):
        """Makes `request` the current one: text and messages without a context of their own belong to it."""
        recent = self._recent
        recent.append(request)
        if len(recent) > _RECENT_TURNS:
            del recent[: _RECENT_TURNS // 2]
        self.resume(request)

    def resume(self, request):
        """Makes one that has begun the current one again."""
        self.current = request
        if self.main:
            _husk.set_turn(request.turn)

    def find(self, turn):
        """The recent Request of a turn, or None."""
        current = self.current
        if current is not None and current.turn == turn:
            return current
        for request in reversed(self._recent):
            if request.turn == turn:
                return request
        return None

    def turn(self):
        """The turn that the calling code belongs to; 0 when there was none yet."""
        return TURN.get(0) or _husk.get_turn()

    def request(self):
        """The Request that the calling code belongs to, or None."""
        return self.find(TURN.get(0) or _husk.get_turn()) or self.current

    def parent(self):
        """Parent message (dict) of the calling code; {} when there is none."""
        request = self.request()
        return {} if request is None else request.parent

    def turn_of(self, parent):
        """Turn of a parent given as message or header dict; 0 when it is unknown or too old."""
        try:
            header = parent.get("header", parent)
            msg_id = header.get("msg_id")
        except AttributeError:
            return 0
        if not msg_id:
            return 0
        for request in reversed(self._recent):
            if request.header.get("msg_id") == msg_id:
                return request.turn
        return 0

    # Sending

    def send(self, kind, *fields):
        """Sends one frame, what ends a turn shortened if it must be; nothing from a forked child, whose link is its parent's."""
        if _husk.in_child():
            return
        try:
            _husk.send(kind, fields, self.fd)
        except _husk.TooLarge:
            from husk_worker import oversize

            fields = oversize.shortened(kind, fields)
            if fields is None:
                raise
            _husk.send(kind, fields, self.fd)

    def hold(self, kind, *fields):
        """Sends one frame together with the next one."""
        if not _husk.in_child():
            _husk.hold(kind, fields, self.fd)

    def publish(self, msg_type, content, metadata=None, topic=None, buffers=(), turn=None):
        """Sends an iopub message. content, metadata: JSON text (bytes or str) or an object for jsonable; topic: str."""
        self.send(
            _husk.PUBLISH,
            self.turn() if turn is None else turn,
            msg_type,
            to_json(content),
            None if metadata is None else to_json(metadata),
            topic,
            list(buffers or ()),
        )

    def answer(self, request, content, metadata=None, buffers=()):
        """Sends the one ANSWER of a REQUEST."""
        self.send(
            _husk.ANSWER,
            request.turn,
            to_json(content),
            None if metadata is None else to_json(metadata),
            list(buffers or ()),
        )

    # Questions to the front

    def ask(self, what, arguments):
        """Asks the front and waits. arguments: object for jsonable. Returns the value it answers with. Raises _husk.Closed."""
        box = _Box()
        with self._mutex:
            number = self._next_ask
            self._next_ask = number + 1
            self._asks[number] = box
        try:
            self.send(_husk.ASK, number, what, to_json(arguments))
            import json

            return json.loads(self._await(box))
        finally:
            self._asks.pop(number, None)

    def ask_input(self, prompt, password):
        """Asks the client of the calling code's turn for a line. Raises InputEnded, _husk.Closed.

        The answer is told from a late one of an interrupted question by counting: each question gets one answer.
        """
        request = self.request()
        if request is None or _husk.in_child():
            raise InputEnded
        if self._input_lock is None:
            self._input_lock = _thread.RLock()
        with self._input_lock:
            box = _Box()
            request.asked += 1
            key = (request.turn, request.asked)
            self._inputs[key] = box
            try:
                if self.main:
                    _husk.drain()
                self.send(_husk.ASK_INPUT, request.turn, prompt, password)
                value = self._await(box)
            finally:
                self._inputs.pop(key, None)
        if value is None:
            raise InputEnded
        return value


def to_json(value):
    """JSON text of a value: bytes and str are taken as they are."""
    if isinstance(value, (bytes, str)):
        return value
    from husk_worker import jsonable

    return jsonable.dumps(value)


_main = None
_by_thread = {}


def set_main(link):
    """Tells which Link is the worker's first one."""
    global _main
    _main = link


def enter(link):
    """The calling thread serves `link` from now on; None: it has ended to do so."""
    if link is None:
        _by_thread.pop(_thread.get_ident(), None)
    else:
        _by_thread[_thread.get_ident()] = link


def here():
    """The Link that the calling thread serves; the main one for threads that serve none."""
    if not _by_thread:
        return _main
    return _by_thread.get(_thread.get_ident(), _main)
