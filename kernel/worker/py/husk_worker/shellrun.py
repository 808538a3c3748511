# SPDX-License-Identifier: Apache-2.0
"""Cells with IPython: the lean path and run_cell's path, equal in everything but the time they take."""

import sys
import types
import warnings
from _thread import get_ident

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

import _husk
from husk_worker import errors, jsonable, lean, link
from husk_worker.shell import ZMQInteractiveShell
from husk_worker.shellinfo import put

_NEWEST = sys.version_info >= (3, 14)
_ORIGINALS = tuple(
    (name, getattr(ZMQInteractiveShell, name))
    for name in ("run_cell", "run_cell_async", "run_ast_nodes", "run_code", "transform_cell", "transform_ast")
)
_MAX_OUTPUTS = 100  # cells whose outputs and exceptions IPython 9 keeps for %notebook

_NAMES = frozenset(name for name, _ in _ORIGINALS)


def _is_patched(shell: ZMQInteractiveShell) -> bool:
    """Whether somebody has put a function of their own between us and IPython's way to run a cell."""
    kind = type(shell)
    return not _NAMES.isdisjoint(shell.__dict__) or any(getattr(kind, name) is not first for name, first in _ORIGINALS)


class _Warned(Exception):
    """Compiling a cell wants to warn: IPython's path does it in its own way."""


def _refuse_warning(message: object) -> None:
    if get_ident() == _compiling:
        raise _Warned
    _show_warning(message)


_compiling = 0
_show_warning = warnings._showwarnmsg


def _silently(func: object, *args: object) -> object:
    """func(*args), which compiles. Raises _Warned when Python has something to say about the code."""
    global _compiling, _show_warning
    _show_warning = warnings._showwarnmsg
    _compiling = get_ident()
    warnings._showwarnmsg = _refuse_warning
    try:
        return func(*args)
    finally:
        warnings._showwarnmsg = _show_warning
        _compiling = 0


class _Codes(list):
    """Code objects of a cell, run in order; value: the last one when it is the one that shows the cell's value."""

    __slots__ = ("value",)


def _compile(text: str, name: str, flags: int, silent: bool) -> "_Codes | None":
    """Code objects of a cell that mean what IPython makes of it, the last one that of its value; None: there are none."""
    ast = lean._ast
    body = lean.parse(text, name, flags).body
    value = body[-1:] if body and not silent and type(body[-1]) is ast.Expr else []
    rest = body[:-1] if value else body
    if not lean.splits_whole(rest, _NEWEST):
        return None
    codes = _Codes([compile(ast.Module(rest, []), name, "exec", flags, True)] if rest else [])
    codes.value = compile(ast.Interactive(value), name, "single", flags, True) if value else None
    if value:
        codes.append(codes.value)
    return codes


class ShellRunner:
    """Runs cells of one executor in the shell."""

    __slots__ = ("executor", "runtime", "shell", "aio", "info")

    def __init__(self, executor: object, shell: ZMQInteractiveShell) -> None:
        self.executor = executor
        self.runtime = executor.runtime
        self.shell = shell
        self.aio = executor.aio
        self.info = shell._info

    def run(self, request: object, outcome: object) -> None:
        """Serves an EXECUTE up to its reply, which `outcome` then tells."""
        shell = self.shell
        manager = shell.history_manager
        stored = len(manager.input_hist_parsed)
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
            outcome.fail(*self.report_escaped(error))
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
        if self.shell.execution_count & 15 == 0:
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
        if _is_patched(shell):
            result = self._foreign(request, silent, store)
        else:
            codes = self._lean_codes(code, silent)
            if codes is not None:
                result = self._lean(request, codes, silent, store)
            else:
                result = self._full(request, silent, store)
                if type(result) is types.CoroutineType:
                    return result
        self._judge(request, outcome, result)
        return None

    # The lean path

    def _lean_codes(self, code: str, silent: bool) -> "list | None":
        """Code objects of a cell that IPython would run as it is, else None."""
        shell = self.shell
        if not code or "await" in code or "async" in code or "__future__" in code or not lean.keeps_text(code):
            return None
        if not self.info.transforms_are_default(shell):
            return None
        if "\n" not in code.rstrip("\n") and self.info.is_command(shell, lean.first_word(code)):
            return None
        compiler = shell.compile
        try:
            cell = code if code[-1] == "\n" else code + "\n"
            name = compiler.get_code_name(code, cell, shell.execution_count)
            return _silently(_compile, cell, name, compiler.flags, silent)
        except (_Warned, SyntaxError, ValueError, TypeError, MemoryError, RecursionError, OverflowError):
            return None

    def _lean(self, request: object, codes: list, silent: bool, store: bool) -> object:
        """As InteractiveShell.run_cell() for a cell that needs no transformation. Returns its ExecutionResult."""
        shell, code = self.shell, request.code
        cell = code if code[-1] == "\n" else code + "\n"
        result = None
        try:
            try:
                info = self.info.execution_info(ExecutionInfo, code, store, silent, request, cell)
                result = self._lean_run(codes, code, cell, info, silent, store)
            except BaseException as error:
                result = ExecutionResult(self.info.execution_info(ExecutionInfo, code, store, silent, request, cell))
                result.error_in_exec = error
                shell.showtraceback(running_compiled_code=True)
        finally:
            shell.events.trigger("post_execute")
            if not silent:
                shell.events.trigger("post_run_cell", result)
        return result

    def _lean_run(self, codes: list, code: str, cell: str, info: object, silent: bool, store: bool) -> object:
        shell = self.shell
        result = ExecutionResult(info)
        if code.isspace():
            shell.last_execution_succeeded = True
            shell.last_execution_result = result
            return result
        count = shell.execution_count
        counts_first = self.info.counts_first
        if store or counts_first:
            result.execution_count = count
        if store and counts_first:
            put(shell, "execution_count", count + 1)
        shell.events.trigger("pre_execute")
        if not silent:
            shell.events.trigger("pre_run_cell", info)
        if store:
            shell.history_manager.store_inputs(count, cell, code)
        if not silent:
            self.info.log(shell, cell, code)
        with shell.builtin_trap:
            shell.compile.cache(cell, count, raw_code=code)
            with shell.display_trap:
                hook = shell.displayhook
                put(hook, "exec_result", result)
                hook.value_code = codes.value
                # run_code() is a coroutine that never waits for such code; its handling of errors is IPython's own.
                failed = any(_finish(shell.run_code(part, result, async_=False)) for part in codes)
                put(shell, "last_execution_succeeded", not failed)
                put(shell, "last_execution_result", result)
                put(hook, "exec_result", None)
        if store:
            shell.history_manager.store_output(count)
            if not counts_first:
                shell.execution_count += 1
            elif result.error_in_exec:
                shell.history_manager.exceptions[count] = shell._format_exception_for_storage(result.error_in_exec)
        return result

    # The whole path

    def _full(self, request: object, silent: bool, store: bool) -> object:
        """As run_cell(), with one transformation of the text only. An awaited cell gives a coroutine."""
        shell, code = self.shell, request.code
        if shell.trio_runner or not self.info.runs_on_asyncio(shell):
            return self._foreign(request, silent, store)
        failure = None
        try:
            cell = shell.transform_cell(code)
        except Exception:
            cell = code
            failure = sys.exc_info()
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
                result = _finish(coro)
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
        result.error_in_exec = error
        self.shell.showtraceback(running_compiled_code=True)
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
            outcome.fail(errors.name_of(error), errors.text_of(error), shell._last_traceback or [])
        elif shell._last_traceback_during_displayhook:
            outcome.fail(*shell._last_error, shell._last_traceback or [])
        elif request.expressions_raw:
            wanted = link.loads(request.expressions_raw)
            if wanted:
                outcome.expressions = _expressions_json(shell.user_expressions(wanted))

    def _stored(self, request: object, outcome: object, before: int) -> None:
        """Tells the front what belongs into the history, from what the shell stored first."""
        manager = self.shell.history_manager
        if len(manager.input_hist_parsed) <= before:
            return
        source, raw = manager.input_hist_parsed[before], manager.input_hist_raw[before]
        outcome.history = True if source == raw == request.code else (source, raw)

    def _collect(self, outcome: object) -> None:
        """Payload, counters and the wish to end."""
        shell = self.shell
        payload = shell.payload_manager.read_payload()
        if payload:
            shell.payload_manager.clear_payload()
            try:
                outcome.payload = jsonable.dumps(payload)
            except (TypeError, ValueError, RecursionError):
                outcome.payload = None
        count = shell.execution_count
        if isinstance(count, int) and count > 0:
            outcome.next_count = count
            outcome.count = count - 1
            if outcome.history is not None:
                outcome.output = shell.history_manager.output_hist_reprs.get(count - 1)
        outcome.exit = bool(shell.exit_now)

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
            _finish(self.shell.run_code(compile("0", "<husk>", "single")))
        finally:
            sys.displayhook = before
        return tuple(caught)

    def display_late(self, value: object) -> None:
        """Displays the value of a plain cell."""
        hook = self.shell.displayhook
        hook.exec_result = self.shell.last_execution_result
        hook(value)
        hook.exec_result = None

    def end_late(self, outcome: object, error: "BaseException | None") -> None:
        """Ends a cell that began before there was a shell: the counter, and what the shell remembers of it."""
        shell = self.shell
        result = shell.last_execution_result
        count = result.execution_count
        if error is not None:
            result.error_in_exec = error
            outcome.fail(errors.name_of(error), errors.text_of(error), shell._last_traceback or [])
            kept = getattr(shell.history_manager, "exceptions", None)
            if kept is not None:
                kept[count] = shell._format_exception_for_storage(error)
        elif shell._last_traceback_during_displayhook:
            outcome.fail(*shell._last_error, shell._last_traceback or [])
        shell.last_execution_succeeded = error is None
        shell.execution_count = outcome.next_count = count + 1
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


def _finish(coro: object) -> object:
    """Value of a coroutine that has nothing to wait for. Raises what it raises, RuntimeError when it does wait."""
    try:
        coro.send(None)
    except StopIteration as end:
        return end.value
    coro.close()
    raise RuntimeError(f"{coro.__name__!r} needs a real async loop")
