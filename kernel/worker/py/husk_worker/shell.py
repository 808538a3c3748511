# SPDX-License-Identifier: Apache-2.0
"""The InteractiveShell of a worker: everything of it that a front without terminal does in its own way."""

import os
import sys

from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.compilerop import CachingCompiler
from IPython.core.interactiveshell import InteractiveShell, InteractiveShellABC
from traitlets import Any, CBool, Instance, Type, default, observe

import _husk
from husk_worker import cellname, connection, errors, interactive_pdb, startup, tracebacks
from husk_worker import link as links
from husk_worker.attribution import adopt
from husk_worker.display import ZMQDisplayPublisher, ZMQShellDisplayHook
from husk_worker.printers import Printers
from husk_worker.shellinfo import ShellInfo

ENVIRONMENT = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}


class XCachingCompiler(CachingCompiler):
    """Names the files of cells so that a debugger's client can know them."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.log = None
        self._last = ("", "")

    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        """File name of a cell with this raw text."""
        last, name = self._last
        if raw_code is not last:  # the same object: the same cell, asked about a second time
            name = cellname.file_name(raw_code)
            self._last = (raw_code, name)
        return name


class _NoTee:
    """Stands for IPython 9's tee of the streams, which keeps all printed text and slows every write."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


_NO_TEE = _NoTee()


class ZMQInteractiveShell(InteractiveShell):
    """IPython's shell behind a link. The name is what libraries look for."""

    displayhook_class = Type(ZMQShellDisplayHook)
    display_pub_class = Type(ZMQDisplayPublisher)
    data_pub_class = Any()
    compiler_class = Type(XCachingCompiler)
    kernel = Any()
    readline_use = CBool(False)
    autoindent = CBool(False)
    exiter = Instance(ZMQExitAutocall)
    keepkernel_on_exit = None
    counts_first = True
    stores_values = True
    _last_traceback = None
    _last_traceback_during_displayhook = False
    _last_error = ("Exception", "")
    _last_refused = False
    _shown = None
    _info = None
    _printers = None

    @default("banner1")
    def _default_banner1(self) -> str:
        from IPython.core.usage import default_banner

        return default_banner

    @default("exiter")
    def _default_exiter(self) -> ZMQExitAutocall:
        return ZMQExitAutocall(self)

    @observe("exit_now")
    def _exit_now_changed(self, change: dict) -> None:
        """The end of the worker follows the reply of the current request (execute.py); GUI loops are left at once."""
        hook = getattr(getattr(self.kernel, "eventloop", None), "exit_hook", None)
        if change["new"] and hook is not None:
            hook(self.kernel)

    # Parts that are made in another way than in a terminal

    def init_environment(self) -> None:
        """Tells children that their output is coloured text without a pager."""
        os.environ.update(ENVIRONMENT)

    def init_virtualenv(self) -> None:
        """The worker runs the environment's own interpreter: nothing to adapt."""

    def init_hooks(self) -> None:
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(self.payloadpage_page), 99)

    def init_traceback_handlers(self, custom_exceptions: tuple) -> None:
        super().init_traceback_handlers(custom_exceptions)
        tracebacks.install(self)

    def init_history(self) -> None:
        """A history manager without a database: the front has the file."""
        from husk_worker.history import HistoryManager

        self.history_manager = HistoryManager(shell=self, parent=self)
        self.configurables.append(self.history_manager)

    def init_display_pub(self) -> None:
        super().init_display_pub()
        self.display_pub.session = self.kernel.session
        self.display_pub.pub_socket = self.kernel.iopub_socket

    def init_displayhook(self) -> None:
        super().init_displayhook()
        hook = self.displayhook
        hook.session = self.kernel.session
        hook.pub_socket = self.kernel.iopub_socket
        hook.topic = self.kernel._topic("execute_result")

    def init_data_pub(self) -> None:
        """Made at the first look: it is deprecated."""

    @property
    def data_pub(self) -> object:
        """The legacy data publisher of ipyparallel, None where there is no class for it."""
        if not hasattr(self, "_data_pub"):
            import warnings

            warnings.warn(
                "InteractiveShell.data_pub is deprecated outside IPython parallel.", DeprecationWarning, stacklevel=2
            )
            self._data_pub = self.data_pub_class(parent=self) if self.data_pub_class else None
        return self._data_pub

    @data_pub.setter
    def data_pub(self, publisher: object) -> None:
        self._data_pub = publisher

    def init_magics(self) -> None:
        super().init_magics()
        from husk_worker.magics import KernelMagics

        self.register_magics(KernelMagics)
        self.magics_manager.register_alias("ed", "edit")

    def enable_gui(self, gui: object = None) -> None:
        """Integrates the event loop of a GUI toolkit by its IPython name. Raises UsageError for an unknown one."""
        from IPython.core.error import UsageError

        from husk_worker.gui import enable_gui

        try:
            enable_gui(gui, self.kernel)
            self.active_eventloop = gui
        except ValueError as error:
            raise UsageError(str(error)) from error

    # Payloads

    def payloadpage_page(
        self, strg: object, start: int = 0, screen_lines: int = 0, pager_cmd: "str | None" = None
    ) -> None:
        """Shows text (str, or a dict by MIME type) in the client's pager."""
        data = strg if isinstance(strg, dict) else {"text/plain": strg}
        self.payload_manager.write_payload({"source": "page", "data": data, "start": max(0, start)})

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Asks the client to put text into the next cell, or into this one (replace)."""
        self.payload_manager.write_payload({"source": "set_next_input", "text": text, "replace": replace})

    def ask_exit(self) -> None:
        """Ends the kernel after this cell's reply."""
        self.exit_now = not self.keepkernel_on_exit
        self.payload_manager.write_payload({"source": "ask_exit", "keepkernel": self.keepkernel_on_exit})

    # Parents

    @property
    def parent_header(self) -> dict:
        """The message that the calling code belongs to."""
        return links.here().parent()

    @parent_header.setter
    def parent_header(self, parent: dict) -> None:
        self.set_parent(parent)

    def get_parent(self) -> dict:
        """The message (dict) that the calling code belongs to."""
        return links.here().parent()

    def set_parent(self, parent: dict) -> None:
        """Makes `parent` the one of all output without a context of its own."""
        adopt(links.here(), parent)

    def set_thread_parent(self, parent: dict) -> tuple:
        """Makes `parent` the one of this thread's or task's output; returns what reset_thread_parent() takes."""
        return ((links.TURN.reset, links.TURN.set(links.here().turn_of(parent))),)

    def reset_thread_parent(self, tokens: tuple) -> None:
        """Undoes set_thread_parent()."""
        for reset, token in reversed(tokens):
            reset(token)

    # Running and errors

    def transform_cell(self, raw_cell: str) -> str:
        """A cell in Python's own syntax. Magics ask for it too, of lines that have it mostly."""
        info = self._info
        if info is not None and type(raw_cell) is str and info.leaves_alone(raw_cell):
            return raw_cell if raw_cell[-1] == "\n" else raw_cell + "\n"
        return super().transform_cell(raw_cell)

    def run_cell(self, *args: object, **kwargs: object) -> object:
        self._last_traceback = None
        self._last_traceback_during_displayhook = False
        return super().run_cell(*args, **kwargs)

    def _tee(self, channel: str) -> _NoTee:
        return _NO_TEE

    def showtraceback(self, exc_tuple: "tuple | None" = None, *args: object, **kwargs: object) -> None:
        """As IPython's, with the memory that it takes; in a forked child plainly: each of many would take that memory.

        Beside many busy threads it is brief: IPython's would take seconds then.
        """
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        errors.make_room(error)
        if _husk.in_child():
            self._showtraceback(type(error), error, errors.report(errors.without_machinery(error))[2])
            return
        if errors.is_crowded():
            error = errors.without_machinery(error)
            sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
            self._showtraceback(type(error), error, errors.brief_traceback(error))
            return
        super().showtraceback(exc_tuple, *args, **kwargs)

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list) -> None:
        """Publishes an error and keeps it for the reply."""
        stb = [str(line) for line in stb]
        self._last_error = (errors.name_of(etype), errors.text_of(evalue))
        self._last_refused = errors.was_refused(evalue)
        if getattr(self.displayhook, "msg", None) is not None:
            self._last_traceback_during_displayhook = True
        link = links.here()
        link.send(_husk.ERROR, link.turn(), *self._last_error, stb)
        self._last_traceback = stb
        self._shown = (evalue, stb)

    def _format_exception_for_storage(
        self, exception: BaseException, filename: "str | None" = None, running_compiled_code: bool = False
    ) -> dict:
        """As IPython's, but what has just been shown is not formatted again."""
        shown, self._shown = self._shown, None
        if shown is not None and shown[0] is exception and not isinstance(exception, SyntaxError):
            return {"ename": errors.name_of(exception), "evalue": errors.text_of(exception), "traceback": shown[1]}
        return super()._format_exception_for_storage(exception, filename, running_compiled_code)

    def shows_plainly(self, kind: type) -> bool:
        """Whether values of this built-in type are shown as lean.simple_text() says."""
        printers = self._printers
        return printers is not None and printers.owner is self.display_formatter and printers.are_plain_for(kind)

    def system_piped(self, cmd: str) -> None:
        """Runs a shell command, its output to the cell; the exit code goes to `_exit_code`. Raises OSError for `cmd &`."""
        if cmd.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")
        from IPython.utils.process import system

        code = system(self.var_expand(cmd, depth=1))
        self.user_ns["_exit_code"] = code
        if getattr(self, "system_raise_on_error", False) and code != 0:
            from subprocess import CalledProcessError

            raise CalledProcessError(code, cmd)

    system = system_piped


InteractiveShellABC.register(ZMQInteractiveShell)
ZMQInteractiveShell.__module__ = "ipykernel.zmqshell"


def find_out_counting() -> None:
    """Learns whether this IPython's counter is ahead of the cell that runs."""

    class Probe:
        shell = type("S", (), {"execution_count": 1})

    from IPython.core.displayhook import DisplayHook

    ZMQInteractiveShell.counts_first = DisplayHook.prompt_count.fget(Probe) == 0


def build(runtime: object) -> ZMQInteractiveShell:
    """Makes the one shell of the worker, in the user's `__main__`."""
    from traitlets.config import Config

    find_out_counting()
    config = runtime.config if runtime.config is not None else Config()
    config.setdefault("IPKernelApp", Config())
    shell = ZMQInteractiveShell.instance(
        config=config,
        kernel=runtime.kernel,
        user_module=runtime.cold.module,
        profile_dir=runtime.profile_dir,
    )
    shell.default_user_namespaces = True
    connection.register_app(config)
    session_name = os.environ.get("JPY_SESSION_NAME")
    if session_name:
        shell.user_ns["__session__"] = session_name
    # What is there now is how IPython comes: nothing of the user's has run yet.
    shell._info = ShellInfo(shell)
    shell._printers = Printers(shell.display_formatter)
    startup.add_working_directory()
    interactive_pdb.install()
    shell.extension_manager.load_extension("storemagic")  # ipykernel's default_extensions
    return shell
