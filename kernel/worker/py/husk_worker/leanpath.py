# SPDX-License-Identifier: Apache-2.0
"""Cells with IPython that need nothing of run_cell() but what is written here, and their code objects."""

import opcode
import sys
import warnings
from _thread import get_ident

from IPython.core.events import EventManager
from IPython.core.inputtransformer2 import EscapedCommand
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

from husk_worker import lean, originals
from husk_worker.shell import ZMQInteractiveShell, ZMQShellDisplayHook
from husk_worker.shellinfo import FIRST_WORDS, put

_NEWEST = sys.version_info >= (3, 14)
_REPLACED = "run_cell run_cell_async run_ast_nodes run_code transform_cell transform_ast"
_NAMES = frozenset(_REPLACED.split())
_code_is_original = originals.watch((ZMQInteractiveShell, _REPLACED), (EventManager, "trigger"))
_SETUP_ANNOTATIONS = opcode.opmap.get("SETUP_ANNOTATIONS", 0)
_NO_PYTHON = frozenset("%!?,;/")


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
    # From 3.13.4 on the compiler says the same about the same line once in a module; here it is to be heard each time.
    for names in (globals(), lean.__dict__):
        names.pop("__warningregistry__", None)
    _show_warning = warnings._showwarnmsg
    _compiling = get_ident()
    warnings._showwarnmsg = _refuse_warning
    try:
        return func(*args)
    finally:
        warnings._showwarnmsg = _show_warning
        _compiling = 0


class Codes(list):
    """Code objects of a cell, run in order.

    value: the last one when it may be the one that shows the cell's value. cell: the text that they were made of.
    """

    __slots__ = ("value", "cell")


def _is_one_line(code: str) -> bool:
    return "\n" not in code or "\n" not in code.rstrip("\n")


def compile_line(text: str, name: str, flags: int) -> "Codes | None":
    """Code object of a cell for which lean.is_simple_line() holds: the same as compile_cell() gives, without a tree."""
    code = compile(text, name, "single", flags, True)
    if ":" in text and _SETUP_ANNOTATIONS in code.co_code:
        return compile_cell(text, name, flags, False)  # a module sets its annotations up in a line of its own
    codes = Codes((code,))
    codes.value = code
    return codes


def compile_cell(text: str, name: str, flags: int, silent: bool) -> "Codes | None":
    """Code objects of a cell that mean what IPython makes of it, the last one that of its value; None: there are none."""
    ast = lean._ast
    body = lean.parse(text, name, flags).body
    value = body[-1:] if body and not silent and type(body[-1]) is ast.Expr else []
    rest = body[:-1] if value else body
    if not lean.splits_whole(rest, _NEWEST):
        return None
    codes = Codes([compile(ast.Module(rest, []), name, "exec", flags, True)] if rest else [])
    codes.value = compile(ast.Interactive(value), name, "single", flags, True) if value else None
    if value:
        codes.append(codes.value)
    return codes


def finish(coro: object) -> object:
    """Value of a coroutine that has nothing to wait for. Raises what it raises, RuntimeError when it does wait."""
    try:
        coro.send(None)
    except StopIteration as end:
        return end.value
    coro.close()
    raise RuntimeError(f"{coro.__name__!r} needs a real async loop")


class LeanPath:
    """Runs such cells in a shell."""

    __slots__ = ("shell", "info")

    def __init__(self, shell: ZMQInteractiveShell) -> None:
        self.shell = shell
        self.info = shell._info

    def is_open(self) -> bool:
        """Whether nobody has put a function of their own between us and IPython's way to run a cell."""
        shell = self.shell
        events = shell.events
        return (
            _code_is_original()
            and not originals.has_own(shell, _NAMES)
            and type(shell.displayhook) is ZMQShellDisplayHook
            and type(events) is EventManager
            and "trigger" not in events.__dict__
        )

    def codes(self, code: str, silent: bool) -> "Codes | None":
        """Code objects of a cell when it is plain to see what IPython makes of its text, else None."""
        info = self.info
        if not code or not info.texts_are_default():
            return None
        if code[0] in _NO_PYTHON:
            if not lean.is_magic_line(code) or info.is_command("get_ipython"):
                return None
            text = code if code[-1] == "\n" else code + "\n"
            return self.compile(code, EscapedCommand((1, 0)).transform([text])[0], silent)
        if not lean.keeps_text(code):
            return None
        if _is_one_line(code) and info.is_command(FIRST_WORDS.match(code).group()):
            return None
        return self.compile(code, code if code[-1] == "\n" else code + "\n", silent)

    def compile(self, code: str, cell: str, silent: bool) -> "Codes | None":
        """Code objects of a cell that IPython has transformed into `cell`; None when it needs run_cell()'s care."""
        if "await" in cell or "async" in cell or "__future__" in cell or not self.info.trees_are_default():
            return None
        if "paste" in cell and "get_ipython().run_line_magic(" in cell:
            return None  # what is pasted is stored in the place of this cell
        shell = self.shell
        compiler = shell.compile
        try:
            name = compiler.get_code_name(code, cell, shell.execution_count)
            if (
                not silent
                and _is_one_line(cell)
                and lean.is_simple_line(cell, FIRST_WORDS.match(cell).group(1), _NEWEST)
            ):
                codes = _silently(compile_line, cell, name, compiler.flags)
            else:
                codes = _silently(compile_cell, cell, name, compiler.flags, silent)
        except (_Warned, SyntaxError, ValueError, TypeError, MemoryError, RecursionError, OverflowError):
            return None
        if codes is not None:
            codes.cell = cell
        return codes

    def run(self, request: object, codes: Codes, silent: bool, store: bool) -> object:
        """As InteractiveShell.run_cell(). Returns its ExecutionResult."""
        shell, code, cell = self.shell, request.code, codes.cell
        callbacks = shell.events.callbacks
        result = None
        try:
            try:
                info = self.info.execution_info(ExecutionInfo, code, store, silent, request, cell)
                result = self._run(codes, code, cell, info, silent, store)
            except BaseException as error:
                result = ExecutionResult(self.info.execution_info(ExecutionInfo, code, store, silent, request, cell))
                result.error_in_exec = error
                shell.showtraceback(running_compiled_code=True)
        finally:
            if callbacks["post_execute"]:
                shell.events.trigger("post_execute")
            if not silent and callbacks["post_run_cell"]:
                shell.events.trigger("post_run_cell", result)
        return result

    def _run(self, codes: list, code: str, cell: str, info: object, silent: bool, store: bool) -> object:
        shell, facts = self.shell, self.info
        values = facts.values
        callbacks = shell.events.callbacks
        manager = values["history_manager"]
        result = ExecutionResult(info)
        if code.isspace():
            shell.last_execution_succeeded = True
            shell.last_execution_result = result
            return result
        count = values["execution_count"]
        counts_first = facts.counts_first
        if store or counts_first:
            result.execution_count = count
        if store and counts_first:
            put(shell, {"execution_count": count + 1})
        if callbacks["pre_execute"]:
            shell.events.trigger("pre_execute")
        if not silent and callbacks["pre_run_cell"]:
            shell.events.trigger("pre_run_cell", info)
        if store:
            manager.store_inputs(count, cell, code)
        if not silent:
            facts.log(cell, code)
        with values["builtin_trap"]:
            shell.compile.cache(cell, count, raw_code=code)
            with values["display_trap"]:
                hook = shell.displayhook
                put(hook, {"exec_result": result})
                hook.value_code = codes.value
                failed = False
                for part in codes:
                    # It is a coroutine that never waits for such code; its handling of errors is IPython's own.
                    failed = finish(shell.run_code(part, result, async_=False))
                    if failed:
                        break
                put(shell, {"last_execution_succeeded": not failed, "last_execution_result": result})
                put(hook, {"exec_result": None})
        if store:
            manager.store_output(count)
            if not counts_first:
                shell.execution_count += 1
            elif result.error_in_exec:
                manager.exceptions[count] = shell._format_exception_for_storage(result.error_in_exec)
        return result
