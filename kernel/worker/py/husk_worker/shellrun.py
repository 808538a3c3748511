# SPDX-License-Identifier: Apache-2.0
"""Cells with IPython: the lean path and run_cell's path, equal in everything but the time they take."""

import sys
import types

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

import _husk
from husk_worker import errors, jsonable, link, shellinfo
from husk_worker.leanpath import LeanPath, finish
from husk_worker.shell import ZMQInteractiveShell

_MAX_OUTPUTS = 100  # cells whose outputs and exceptions IPython 9 keeps for %notebook


class ShellRunner:
    """Runs cells of one executor in the shell.

    late: result object of the plain cell that was running when the shell came.
    """

    __slots__ = ("executor", "runtime", "shell", "aio", "info", "values", "lean", "late")

    def __init__(self, executor: object, shell: ZMQInteractiveShell) -> None:
        self.executor = executor
        self.runtime = executor.runtime
        self.shell = shell
        self.aio = executor.aio
        self.info = shell._info
        self.values = shell._info.values
        self.lean = LeanPath(shell)
        self.late = shell.last_execution_result

    def run(self, request: object, outcome: object) -> None:
        """Serves an EXECUTE up to its reply, which `outcome` then tells."""
        stored = len(shellinfo.inputs(self.values["history_manager"])[0])
        outcome.published = True
        try:
            result = self.executor.guard(request, self._cell, request, outcome)
            if type(result) is types.CoroutineType:
                result = self._drive(request, result)
                self.executor.guard(request, self._judge, request, outcome, result)
        finally:
            self._leave()
            if request.flags & _husk.EXEC_STORE_HISTORY:
                self._stored(request, outcome, stored)
            self._collect(outcome)

    def guarded(self, request: object, outcome: object, func: object, *args: object, guard: object = None) -> None:
        """func(*args) as tenant code, in the shell's traps; what it raises becomes the error of the reply."""
        outcome.published = True
        try:
            (guard or self.executor.guard)(request, self._trapped, func, *args)
        except BaseException as error:
            outcome.fail(*self.report_escaped(error), error)
        finally:
            self._leave()
            self._collect(outcome)

    def _trapped(self, func: object, *args: object) -> None:
        self._enter()
        with self.shell.builtin_trap, self.shell.display_trap:
            func(*args)

    def _enter(self) -> None:
        shell = self.shell
        shell.stores_values = True
        shell._last_traceback = None
        shell._last_traceback_during_displayhook = False
        self.runtime.forward_input()
        self.aio.enter()

    def _leave(self) -> None:
        self.aio.leave()
        if self.values["execution_count"] & 15 == 0:
            self._trim()

    def _trim(self) -> None:
        """Bounds what IPython 9 keeps of every cell for %notebook."""
        manager = self.shell.history_manager
        for kept in (getattr(manager, "outputs", None), getattr(manager, "exceptions", None)):
            while kept is not None and len(kept) > _MAX_OUTPUTS:
                del kept[next(iter(kept))]

    def _cell(self, request: object, outcome: object) -> object:
        """The part of a cell that is synchronous; a coroutine when the cell has to be awaited."""
        self._enter()
        shell, code, flags = self.shell, request.code, request.flags
        silent = bool(flags & _husk.EXEC_SILENT)
        store = bool(flags & _husk.EXEC_STORE_HISTORY) and not silent
        shell.stores_values = store
        lean = self.lean
        if not lean.is_open():
            result = self._foreign(request, silent, store)
        else:
            codes = lean.codes(code, silent)
            if codes is not None:
                result = lean.run(request, codes, silent, store)
            else:
                result = self._full(request, silent, store)
                if type(result) is types.CoroutineType:
                    return result
        self._judge(request, outcome, result)
        return None

    # The whole path

    def _full(self, request: object, silent: bool, store: bool) -> object:
        """As run_cell(), with one transformation of the text only. An awaited cell gives a coroutine."""
        shell, code = self.shell, request.code
        if shell.trio_runner or not self.info.runs_on_asyncio():
            return self._foreign(request, silent, store)
        failure = None
        try:
            cell = shell.transform_cell(code)
        except Exception:
            cell = code
            failure = sys.exc_info()
        else:
            codes = self.lean.compile(code, cell, silent) if code else None
            if codes is not None:
                return self.lean.run(request, codes, silent, store)
        extra = self.info.cell_arguments(request)
        coro = shell.run_cell_async(
            code,
            store_history=store,
            silent=silent,
            transformed_cell=cell,
            preprocessing_exc_tuple=failure,
            **extra,
        )
        if shell.should_run_async(code, transformed_cell=cell, preprocessing_exc_tuple=failure):
            return coro
        result = None
        try:
            try:
                result = finish(coro)
            except BaseException as error:
                result = self._crashed(request, silent, store, cell, error)
        finally:
            shell.events.trigger("post_execute")
            if not silent:
                shell.events.trigger("post_run_cell", result)
        return result

    def _crashed(self, request: object, silent: bool, store: bool, cell: str, error: BaseException) -> object:
        """What run_cell() does when its own machinery raised: an interrupt, mostly."""
        info = self.info.execution_info(ExecutionInfo, request.code, store, silent, request, cell)
        result = ExecutionResult(info)
        result.error_in_exec = error = errors.without_machinery(error)
        self.shell.showtraceback((type(error), error, error.__traceback__), running_compiled_code=True)
        return result

    def _foreign(self, request: object, silent: bool, store: bool) -> object:
        """Somebody has changed the shell: everything through its front door."""
        extra = self.info.cell_arguments(request)
        return self.shell.run_cell(request.code, store_history=store, silent=silent, **extra)

    def _drive(self, request: object, coro: object) -> object:
        """Runs an awaited cell on the loop. Returns its ExecutionResult."""
        silent = bool(request.flags & _husk.EXEC_SILENT)
        result = None
        try:
            result = self.aio.drive(request.turn, self.executor.context, coro)
        except _husk.Closed:
            raise
        except BaseException as error:
            store = bool(request.flags & _husk.EXEC_STORE_HISTORY) and not silent
            result = self._crashed(request, silent, store, request.code, error)
        finally:
            self.executor.guard(request, self._after, silent, result)
        return result

    def _after(self, silent: bool, result: object) -> None:
        self.shell.events.trigger("post_execute")
        if not silent:
            self.shell.events.trigger("post_run_cell", result)

    # What the reply says

    def _judge(self, request: object, outcome: object, result: object) -> None:
        """Takes over how the cell ended; evaluates user_expressions after success."""
        shell = self.shell
        error = result.error_before_exec if result.error_before_exec is not None else result.error_in_exec
        if error is not None:
            outcome.fail(errors.name_of(error), errors.text_of(error), shell._last_traceback or [], error)
        elif shell._last_traceback_during_displayhook:
            outcome.fail(*shell._last_error, shell._last_traceback or [])
            outcome.refused = shell._last_refused
        elif request.expressions_raw and request.expressions_raw != b"{}":
            wanted = link.loads(request.expressions_raw)
            if wanted:
                outcome.expressions = _expressions_json(shell.user_expressions(wanted))

    def _stored(self, request: object, outcome: object, before: int) -> None:
        """Tells the front what belongs into the history, from what the shell stored first."""
        parsed, typed = shellinfo.inputs(self.values["history_manager"])
        if len(parsed) <= before:
            return
        source, raw = parsed[before], typed[before]
        outcome.history = True if source == raw == request.code else (source, raw)

    def _collect(self, outcome: object) -> None:
        """Payload, counters and the wish to end."""
        values = self.values
        payload = values["payload_manager"].read_payload()
        if payload:
            values["payload_manager"].clear_payload()
            try:
                outcome.payload = jsonable.dumps(payload)
            except (TypeError, ValueError, RecursionError):
                outcome.payload = None
        count = values["execution_count"]
        if isinstance(count, int) and count > 0:
            outcome.next_count = count
            outcome.count = count - 1
            if outcome.history is not None:
                outcome.output = values["history_manager"].output_hist_reprs.get(count - 1)
        outcome.exit = bool(values["exit_now"])

    def report_escaped(self, error: BaseException) -> tuple:
        """Shows an exception that left the machinery; (ename, evalue, traceback) of it."""
        shell = self.shell
        shell._last_traceback = None
        error = errors.without_machinery(error)
        shell.showtraceback((type(error), error, error.__traceback__))
        return errors.name_of(error), errors.text_of(error), shell._last_traceback or []

    # Cells that began before there was a shell

    def show_late(self, error: BaseException) -> None:
        """Shows the exception of a plain cell as run_code() would have, with a frame of run_code() in front of the cell's."""
        frame, instruction, line = self._run_code_frame()
        trace = types.TracebackType(error.__traceback__, frame, instruction, line)
        error.__traceback__ = trace
        self.shell.showtraceback((type(error), error, trace), running_compiled_code=True)

    def _run_code_frame(self) -> tuple:
        """A frame of InteractiveShell.run_code(), its instruction and line, caught while it runs something."""
        caught = []

        def hook(value: object) -> None:
            frame = sys._getframe(2)
            caught.extend((frame, frame.f_lasti, frame.f_lineno))

        before, sys.displayhook = sys.displayhook, hook
        try:
            finish(self.shell.run_code(compile("0", "<husk>", "single")))
        finally:
            sys.displayhook = before
        return tuple(caught)

    def display_late(self, value: object) -> None:
        """Displays the value of a plain cell."""
        hook = self.shell.displayhook
        hook.exec_result = self.late
        hook(value)
        hook.exec_result = None

    def end_late(self, outcome: object, error: "BaseException | None") -> None:
        """Ends a cell that began before there was a shell: the counter, and what the shell remembers of it."""
        shell = self.shell
        result = self.late
        count = result.execution_count
        if error is not None:
            result.error_in_exec = error
            outcome.fail(errors.name_of(error), errors.text_of(error), shell._last_traceback or [], error)
            kept = getattr(shell.history_manager, "exceptions", None)
            if kept is not None:
                kept[count] = shell._format_exception_for_storage(error)
        elif shell._last_traceback_during_displayhook:
            outcome.fail(*shell._last_error, shell._last_traceback or [])
            outcome.refused = shell._last_refused
        shell.last_execution_succeeded = error is None
        shell.last_execution_result = result
        shell.execution_count = outcome.next_count = max(shell.execution_count, count + 1)
        outcome.count = count
        outcome.output = shell.history_manager.output_hist_reprs.get(count)


def _expressions_json(values: dict) -> str:
    """JSON text of user_expressions' results; an entry that has none becomes an error of its own."""
    try:
        return jsonable.dumps(values)
    except (TypeError, ValueError, RecursionError):
        pass
    clean = {}
    for name, value in values.items():
        try:
            clean[name] = jsonable.clean(value)
        except (TypeError, ValueError, RecursionError) as error:
            ename, evalue, lines = errors.report(error)
            clean[name] = {"status": "error", "ename": ename, "evalue": evalue, "traceback": lines}
    return jsonable.dumps(clean)
