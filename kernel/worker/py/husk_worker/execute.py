# SPDX-License-Identifier: Apache-2.0
"""One EXECUTE from frame to REPLY: which path a cell takes, and one reply whatever happens on it."""

import _contextvars
import _thread

import _husk
from husk_worker import cold, errors, lean
from husk_worker.aio import Aio
from husk_worker.link import TURN, Request


class Outcome:
    """What a cell's REPLY will say. status: _husk.STATUS_*; error: (ename, evalue, traceback lines) or None.

    history: None, True or (source, source_raw); payload, expressions: JSON text or None; output: text/plain or None.
    refused: whether the error comes from a refusal of memory.
    """

    __slots__ = (
        "status",
        "error",
        "count",
        "next_count",
        "payload",
        "expressions",
        "history",
        "output",
        "exit",
        "published",
        "refused",
    )

    def __init__(self) -> None:
        self.status = _husk.STATUS_OK
        self.error = None
        self.count = self.next_count = None
        self.payload = self.expressions = self.history = self.output = None
        self.exit = False
        self.published = self.refused = False

    def fail(self, ename: str, evalue: str, lines: list, error: "BaseException | None" = None) -> None:
        """Makes it an error reply, when the report has been made. error: the exception itself."""
        self.refused = error is not None and errors.was_refused(error)
        if self.refused:
            errors.let_go(error)
        self.status = _husk.STATUS_ERROR
        self.error = (ename, evalue, [str(line) for line in lines])


class Executor:
    """Runs the cells of one link. runtime: boot's Runtime; main: whether on the main thread, where interrupts reach."""

    __slots__ = ("runtime", "link", "context", "main", "aio", "runner", "running", "thread", "_lock")

    def __init__(self, runtime: object, link: object, main: bool = True) -> None:
        self.runtime = runtime
        self.link = link
        self.main = main
        # All cells run in one context, so that a ContextVar set in one is seen in the next, async ones included.
        self.context = _contextvars.copy_context()
        self.aio = Aio(link, main, self._on_frame)
        self.runner = None
        self.running = 0
        self.thread = _thread.get_ident()
        self._lock = _thread.allocate_lock()  # of `running`, when others may interrupt

    def execute(self, request: object) -> None:
        """Serves one EXECUTE: its outputs, then exactly one REPLY."""
        outcome = Outcome()
        self.link.begin(request)
        self.running = request.turn
        if request.memory is not None and self.main:
            _husk.limit_turn(request.turn, request.memory)
        escaped = None
        try:
            try:
                self.context.run(TURN.set, request.turn)
                self._run(request, outcome)
            except _husk.Closed:
                raise
            except BaseException as error:
                escaped = error
            self._retire()
        except errors.INTERRUPTS as error:  # was on its way when the cell ended
            self._retire()
            escaped = escaped or error
        if escaped is not None:
            self._escaped(escaped, outcome)
        if _husk.in_child():
            self.runtime.end_child(outcome)
        self._finish(request, outcome)

    def guard(self, request: object, func: object, *args: object) -> object:
        """func(*args) as tenant code of the request, in the cells' context."""
        if self.main:
            return _husk.guard(request.turn, self.context.run, func, *args)
        return self.context.run(func, *args)

    def shell_runner(self) -> object:
        """What runs cells in the shell that there is."""
        if self.runner is None:
            self.runner = self.runtime.make_runner(self)
        return self.runner

    def _on_frame(self, frame: tuple) -> None:
        """Serves a frame that arrives while a cell awaits: a REQUEST beside it, or what only the main link carries."""
        if frame[0] == _husk.REQUEST:
            self.runtime.answer_beside(self, Request.from_request(frame[1]))
        elif self.main:
            self.runtime.on_frame(frame)

    def interrupt(self, turn: int, *why: int) -> None:
        """Interrupts the cell of that turn if this executor's thread still runs it; called by another thread.

        why: arguments of _husk.interruption().
        """
        with self._lock:
            if self.running == turn and not self.aio.interrupt(*why):
                _husk.interrupt_thread(self.thread, *why)

    def _retire(self) -> None:
        """The cell has ended: nothing interrupts this thread any more, so that the reply is whole.

        An exception that another thread has set is raised at the next step of the loop, not later.
        """
        if self.main:
            self.running = 0
            return
        with self._lock:
            self.running = 0
        for _ in (1, 2):
            pass

    def unguarded(self, request: object, func: object, *args: object) -> object:
        """func(*args) in the cells' context, where no interrupt reaches it."""
        return self.context.run(func, *args)

    def _run(self, request: object, outcome: Outcome) -> None:
        runtime = self.runtime
        if runtime.shell is None:
            if self._run_cold(request, outcome):
                return
            runtime.need_shell()
        self.shell_runner().run(request, outcome)

    def _run_cold(self, request: object, outcome: Outcome) -> bool:
        """Runs a plain cell without a shell. False: it was not plain, nothing has happened."""
        runtime, state, code = self.runtime, self.runtime.cold, request.code
        if state is None:
            return False
        if (
            not self.main
            or request.flags & (_husk.EXEC_SILENT | _husk.EXEC_STORE_HISTORY) != _husk.EXEC_STORE_HISTORY
            or (request.expressions_raw and len(request.expressions_raw) > 2)
            or runtime.must_build()
        ):
            return False
        if not code or code.isspace():
            return True
        parts = state.compile(code)
        quiet = cold.semicolon(code)
        if parts is None or quiet is None:
            return False
        count = state.count
        state.store_input(code)
        outcome.history = True if code[-1] != "\n" else (state.parsed[-1], state.raw[-1])
        try:
            state.running = True
            try:
                runtime.attach_now()
                self.guard(request, state.run, parts)
            finally:
                state.running = False
            value = None if quiet else state.value
            text = None if value is None or runtime.shell is not None else self.guard(request, lean.simple_text, value)
        except BaseException as error:
            self._cold_failed(request, error, outcome, count)
            return True
        if value is not None or runtime.shell is not None:
            if text is None:
                self._cold_display(request, value, outcome, count)
                return True
            state.store_value(value, text)
            cold.send_text(self.link, count, text)
            outcome.output = text
        state.value = None
        state.count = outcome.next_count = count + 1
        outcome.count = count
        return True

    def _cold_failed(self, request: object, error: BaseException, outcome: Outcome, count: int) -> None:
        """A plain cell raised: the shell is built to show it, but not where many busy threads would make that take seconds."""
        error = errors.without_machinery(error)
        if self.runtime.shell is None and errors.is_crowded():
            errors.make_room(error)
            outcome.fail(errors.name_of(error), errors.text_of(error), errors.brief_traceback(error), error)
            self.runtime.cold.count = outcome.next_count = count + 1
            outcome.count = count
            return
        self.runtime.need_shell(cell=count)
        runner = self.shell_runner()
        # An interrupt goes on to be repeated while the shell is built and the report made: neither can stand that.
        guard = self.unguarded if isinstance(error, errors.INTERRUPTS) else self.guard
        runner.guarded(request, outcome, runner.show_late, error, guard=guard)
        runner.end_late(outcome, error)

    def _cold_display(self, request: object, value: object, outcome: Outcome, count: int) -> None:
        """A plain cell has a value that only the shell can show, or the shell came while it ran: then value may be None."""
        self.runtime.need_shell(cell=count)
        runner = self.shell_runner()
        if value is not None:
            runner.guarded(request, outcome, runner.display_late, value)
        runner.end_late(outcome, None)

    def _escaped(self, error: BaseException, outcome: Outcome) -> None:
        """Something left the machinery: an interrupt between two steps, or a defect. It becomes the reply's error."""
        if outcome.error is not None:
            return
        report = None
        shell = self.runtime.shell
        if shell is not None:
            try:
                report = self.shell_runner().report_escaped(error)
            except BaseException:
                report = None
        if report is None:
            report = errors.report(errors.without_machinery(error))
        ename, evalue, lines = report
        outcome.fail(ename, evalue, lines, error)

    def _finish(self, request: object, outcome: Outcome) -> None:
        """Restores what a cell may have broken and sends the REPLY."""
        self.runtime.streams.repair()
        if self.main:
            _husk.drain()
        shell = self.runtime.shell
        if outcome.next_count is None:
            outcome.next_count = shell.execution_count if shell is not None else self.runtime.cold.count
        if outcome.count is None:
            outcome.count = outcome.next_count - 1
        if outcome.error is not None and not outcome.published and outcome.error[2]:
            self.link.send(_husk.ERROR, request.turn, *outcome.error)
        if outcome.exit:
            self.link.hold(_husk.EXIT, 0)  # before the reply, so that the front gives this worker nothing more
        self.link.send(
            _husk.REPLY,
            request.turn,
            outcome.status,
            outcome.count,
            outcome.next_count,
            outcome.payload,
            outcome.expressions,
            outcome.error,
            outcome.history,
            outcome.output,
            _husk.REPLY_MEMORY_REFUSED if outcome.refused else 0,
        )
        if outcome.exit:
            self.runtime.exit(0)
