# SPDX-License-Identifier: Apache-2.0
"""Building the shell in a session that has begun without it: what was recorded so far becomes the shell's."""

import contextlib
import os
import sys

import _husk
from husk_worker import shims


def build(runtime: object, cell: "int | None") -> None:
    """Sets runtime.shell: IPython's when it can be had, else the plain one.

    cell: number of the plain cell that is still running, whose input is recorded already.
    """
    cold = runtime.cold
    runtime.kernel.options = runtime.options
    shims.install()
    names = cold.take_names()
    try:
        shell = _ipython(runtime)
    except ModuleNotFoundError as error:
        if error.name != "IPython":
            _give_up(runtime, error)
        shell = None
    except Exception as error:
        _give_up(runtime, error)
    if shell is None:
        cold.ns.update(names)
        from husk_worker.plain import PlainShell

        runtime.shell = PlainShell(runtime, cold, cell)
        runtime.cold = None
        _drop_inline_backend()
        runtime.forward_input()
        runtime.executor.aio.watch()
        return
    runtime.shell = shell
    _hand_over(cold, shell, names, cell)
    runtime.forward_input()
    runtime.executor.aio.watch()
    if runtime.must_build():
        from husk_worker import startup

        startup.run(runtime, shell)
    runtime.cold = None


def _drop_inline_backend() -> None:
    """matplotlib's inline backend needs IPython: without it matplotlib chooses for itself."""
    if os.environ.get("MPLBACKEND") == "module://matplotlib_inline.backend_inline":
        del os.environ["MPLBACKEND"]


def _ipython(runtime: object) -> object:
    """A new IPython shell. Raises ImportError, and whatever a broken IPython raises."""
    place = _leave_what_is_gone()
    try:
        with _careful(runtime.options):
            from husk_worker import shell, startup

            if runtime.must_build():
                startup.load_config(runtime)
            built = shell.build(runtime)
        startup.add_working_directory()
        return built
    finally:
        if place is not None:
            os.fchdir(place)
            os.close(place)


def _careful(options: dict) -> "contextlib.AbstractContextManager[None]":
    """A module that cells have left to end the worker that imports it must not end each one that makes its shell."""
    if not options.get("is_replacement"):
        return contextlib.nullcontext()
    from husk_worker import prefix

    return prefix.behind(options.get("package_prefix"))


def _leave_what_is_gone() -> "int | None":
    """IPython asks for its directory when it begins, and a cell may have removed it: then a descriptor of that, and / instead."""
    try:
        os.getcwd()
    except FileNotFoundError:
        place = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chdir("/")
        return place
    return None


def _give_up(runtime: object, error: BaseException) -> None:
    """IPython is there but cannot be used: the environment is to be mended, not served in another way than it looks."""
    reason = " ".join(str(error).split())[:300]
    sentence = f"IPython in {sys.prefix} cannot be used: {type(error).__name__}: {reason}"
    runtime.link.send(_husk.FATAL, "ipython-broken", sentence)
    _husk.exit(1)


def _hand_over(cold: object, shell: object, names: dict, cell: "int | None") -> None:
    """Gives the shell what plain cells have left: names, histories, values, file names."""
    own = {name: value for name, value in names.items() if name[0] != "_"}
    hidden = {name: value for name, value in names.items() if name[0] == "_"}
    shell.user_ns.update(names)
    for name in own:
        shell.user_ns_hidden.pop(name, None)
    shell.user_ns_hidden.update(hidden)
    if cold.count == 1 and not cold.cells:
        return
    manager = shell.history_manager
    manager.input_hist_parsed[:] = cold.parsed
    manager.input_hist_raw[:] = cold.raw
    manager._i00, manager._i, manager._ii, manager._iii = cold.recent
    manager.output_hist.update(cold.out)
    manager.output_hist_reprs.update(cold.texts)
    hook = shell.displayhook
    hook._, hook.__, hook.___ = cold.under
    outputs = getattr(manager, "outputs", None)
    if outputs is not None:
        from IPython.core.history import HistoryOutput

        for number, text in cold.texts.items():
            outputs[number].append(HistoryOutput(output_type="execute_result", bundle={"text/plain": text}))
    for number, text, raw in cold.cells:
        shell.compile.cache(text, number, raw_code=raw)
    shell.execution_count = cold.count
    if cold.cells:
        _remember_last(cold, shell)
    if cell is not None and type(shell).counts_first:
        shell.execution_count = cell + 1


def _remember_last(cold: object, shell: object) -> None:
    """The result object of the last plain cell."""
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

    from husk_worker import link

    number, text, raw = cold.cells[-1]
    nothing = link.Request(0, b"", [], b"")
    info = shell._info.execution_info(ExecutionInfo, raw, True, False, nothing, text)
    result = ExecutionResult(info)
    result.execution_count = number
    result.result = cold.out.get(number)
    shell.last_execution_result = result
    shell.last_execution_succeeded = True
