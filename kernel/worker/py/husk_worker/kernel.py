# SPDX-License-Identifier: Apache-2.0
"""The object that libraries find as `get_ipython().kernel`: what ipykernel's kernel offers to code inside it.

It is made at the start of every worker, so nothing heavy is imported here; what a cell never touches is never made.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from husk_worker import link as links
from husk_worker import shims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from husk_worker.link import Link, Request
    from husk_worker.session import Session, Socket

_SHELL_TYPES = (
    "execute_request",
    "complete_request",
    "inspect_request",
    "history_request",
    "comm_info_request",
    "kernel_info_request",
    "connect_request",
    "shutdown_request",
    "is_complete_request",
    "interrupt_request",
    "comm_open",
    "comm_msg",
    "comm_close",
)
_CONTROL_TYPES = (
    *_SHELL_TYPES[:10],
    "debug_request",
    "usage_request",
    "create_subshell_request",
    "delete_subshell_request",
    "list_subshell_request",
)
_DOCS = (
    ("Python Reference", f"https://docs.python.org/{sys.version_info[0]}.{sys.version_info[1]}"),
    ("IPython Reference", "https://ipython.readthedocs.io/en/stable/"),
    ("NumPy Reference", "https://docs.scipy.org/doc/numpy/reference/"),
    ("SciPy Reference", "https://docs.scipy.org/doc/scipy/reference/"),
    ("Matplotlib Reference", "https://matplotlib.org/contents.html"),
    ("SymPy Reference", "http://docs.sympy.org/latest/index.html"),
    ("pandas Reference", "https://pandas.pydata.org/pandas-docs/stable/"),
)


class _Identities(Mapping[str, Any]):
    """Identities of requests that are looked for when somebody reads them."""

    def __init__(self, find: dict[str, Callable[[], Request | None]]) -> None:
        self._find = find

    def __getitem__(self, channel: str) -> list[bytes] | bytes:
        request = self._find[channel]()
        return b"" if request is None else list(request.identities)

    def __contains__(self, channel: object) -> bool:
        return channel in self._find

    def __iter__(self) -> Iterator[str]:
        return iter(self._find)

    def __len__(self) -> int:
        return len(self._find)


class Kernel:
    """Façade over one worker.

    link: the main link; options: the map of START; shell_getter: set by boot, returns the shell when there is one
    already, else None; allow_stdin of the current request is read from the request itself.
    """

    _instance: Kernel | None = None
    implementation = "ipython"
    int_id = -1
    eventloop: Any = None
    _poll_interval = 0.01
    _execute_sleep = 0.0
    _supports_kernel_subshells = True
    _aborting = False
    shell_stream = control_stream = debugpy_stream = debug_shell_socket = None
    control_thread = shell_channel_thread = iopub_thread = None
    debug_just_my_code = False
    filter_internal_frames = True
    profile_dir: Any = None
    msg_types = _SHELL_TYPES[:10]
    control_msg_types = _CONTROL_TYPES

    def __init__(self, link: Link, options: dict[str, Any]) -> None:
        self.link = link
        self.options = options
        self.ident = str(options.get("ident") or "")
        self.shell_getter: Callable[[], Any] = lambda: None
        self.processes: dict[int, Any] = {}
        self._lazy: dict[str, Any] = {}
        Kernel._instance = self
        shims.install()

    @classmethod
    def initialized(cls) -> bool:
        """Whether there is a kernel in this process."""
        return Kernel._instance is not None

    @classmethod
    def instance(cls, *args: Any, **kwargs: Any) -> Kernel:
        """The kernel of this process. Raises RuntimeError before there is one."""
        if Kernel._instance is None:
            raise RuntimeError("there is no kernel in this process yet")
        return Kernel._instance

    # Requests and parents

    def link_here(self) -> Link:
        """The link whose requests the calling thread serves; the main one for all other threads."""
        return links.here() or self.link

    def enter_link(self, link: Link) -> None:
        """Tells that the calling thread serves `link` from now on (a subshell's)."""
        links.enter(link)

    def get_parent(self, channel: str | None = None) -> dict[str, Any]:
        """The message (dict) of the request that the calling code belongs to; {} when there is none.

        channel: "control" gives the last request on the control channel.
        """
        if channel == "control":
            request = self._control_request()
            return {} if request is None else request.parent
        return self.link_here().parent()

    def set_parent(self, ident: Any, parent: dict[str, Any], channel: str = "shell") -> None:
        """Makes `parent` the one of all output without a context of its own."""
        if channel == "shell":
            from husk_worker.attribution import adopt

            adopt(self.link_here(), parent)

    def _control_request(self) -> Request | None:
        """The last request on control, None before the first. The front knows it: it answers most of them alone."""
        import json

        told = self.link_here().ask("control", {})
        if not told:
            return None
        header, metadata, content = (json.dumps(told[name]).encode() for name in ("header", "metadata", "content"))
        return links.Request(0, header, [bytes.fromhex(each) for each in told["identities"]], metadata, content)

    @property
    def _parent_header(self) -> dict[str, Any]:
        import warnings

        warnings.warn(
            "Kernel._parent_header is deprecated in ipykernel 6. Use .get_parent()", DeprecationWarning, stacklevel=2
        )
        return self.get_parent()

    @property
    def _parent_ident(self) -> Mapping[str, Any]:
        """Identities (list of bytes) of the current requests by channel; b"" before the first."""
        return _Identities({"shell": self.link_here().request, "control": self._control_request})

    @property
    def _allow_stdin(self) -> bool:
        request = self.link_here().request()
        return bool(request is not None and request.content.get("allow_stdin"))

    # Sending

    @property
    def session(self) -> Session:
        """The session façade (session.py)."""
        return self._once("session", self._make_session)

    def _make_session(self) -> Session:
        from husk_worker.session import Session

        return Session(self, str(self.options.get("session") or ""))

    @property
    def iopub_socket(self) -> Socket:
        """Stands for the iopub socket in `session.send(kernel.iopub_socket, ...)`."""
        return self._once("iopub", lambda: self._socket("iopub"))

    @property
    def shell_socket(self) -> Socket:
        return self._once("shell_socket", lambda: self._socket("shell"))

    @property
    def stdin_socket(self) -> Socket:
        return self._once("stdin", lambda: self._socket("stdin"))

    @staticmethod
    def _socket(name: str) -> Socket:
        from husk_worker.session import Socket

        return Socket(name)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """Value of that name, made at the first use."""
        value = self._lazy.get(name)
        if value is None:
            value = self._lazy.setdefault(name, make())
        return value

    def _topic(self, topic: str) -> bytes:
        return f"kernel.{self.ident}.{topic}".encode()

    def send_response(
        self,
        stream: Any,
        msg_or_type: Any,
        content: dict[str, Any] | None = None,
        ident: Any = None,
        buffers: list[Any] | None = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        channel: str | None = None,
    ) -> dict[str, Any] | None:
        """session.send() with the current request as parent."""
        parent = self.get_parent(channel)
        return self.session.send(stream, msg_or_type, content, parent, ident, buffers, track, header, metadata)

    def write_stream(self, name: str, text: str, turn: int) -> None:
        """Writes text (str) to the output stream `name` ("stdout" or "stderr") as part of `turn`."""
        from husk_worker.link import TURN

        stream = sys.__stderr__ if name == "stderr" else sys.__stdout__
        token = TURN.set(turn)
        try:
            if stream is not None:
                stream.write(text)
        finally:
            TURN.reset(token)

    # Input

    def raw_input(self, prompt: object = "") -> str:
        """A line from the client of the current request. Raises StdinNotImplementedError, EOFError, KeyboardInterrupt."""
        return self._input(str(prompt), False, "raw_input")

    def getpass(self, prompt: str = "", stream: Any = None, *, echo_char: str | None = None) -> str:
        """As raw_input(), not shown while typed. stream and echo_char have no effect (with a warning)."""
        for name, value in (("stream", stream), ("echo_char", echo_char)):
            if value is not None:
                import warnings

                warnings.warn(f"The `{name}` parameter of `getpass.getpass` will have no effect here", stacklevel=2)
        return self._input(str(prompt), True, "getpass")

    def _input(self, prompt: str, password: bool, caller: str) -> str:
        if not self._allow_stdin:
            from husk_worker.errors import stdin_error

            raise stdin_error()(f"{caller} was called, but this frontend does not support input requests.")
        from husk_worker.link import InputEnded

        try:
            value = self.link_here().ask_input(prompt, password)
        except InputEnded:
            raise KeyboardInterrupt("Interrupted by user") from None
        if value == "\x04":
            raise EOFError
        return value

    # The shell and what belongs to it

    def shell_if_built(self) -> Any:
        """The shell, None as long as there is none."""
        return self.shell_getter()

    @property
    def shell(self) -> Any:
        """The shell; it is built when there is none yet."""
        shell = self.shell_getter()
        if shell is None and self.link.need_shell is not None:
            shell = self.link.need_shell()
        return shell

    @property
    def user_ns(self) -> dict[str, Any] | None:
        """The namespace of the cells."""
        return getattr(self.shell, "user_ns", None)

    @property
    def user_module(self) -> Any:
        return getattr(self.shell, "user_module", None)

    @property
    def execution_count(self) -> int | None:
        """Number that the next stored cell gets."""
        return getattr(self.shell, "execution_count", None)

    @execution_count.setter
    def execution_count(self, value: int) -> None:
        pass  # the shell counts; assignments are ignored as in ipykernel

    @property
    def comm_manager(self) -> Any:
        """The one comm manager."""
        from husk_worker import comms

        return comms.get_comm_manager()

    @property
    def log(self) -> Any:
        """A standard logger."""
        import logging

        return self._once("log", lambda: logging.getLogger("ipykernel"))

    @property
    def io_loop(self) -> Any:
        """The loop that runs between cells, with tornado's names for its calls."""
        from husk_worker.loop_facade import LoopFacade

        return self._once("io_loop", LoopFacade)

    # What the kernel says about itself

    @property
    def language_info(self) -> dict[str, Any]:
        return self._once("language", _language_info)

    @property
    def implementation_version(self) -> str:
        release = sys.modules.get("IPython.core.release")
        return getattr(release, "version", None) or str(self.options.get("version") or sys.version.split()[0])

    @property
    def banner(self) -> str | None:
        return getattr(self.shell, "banner", None)

    @property
    def help_links(self) -> list[dict[str, str]]:
        return [{"text": text, "url": url} for text, url in _DOCS]

    @property
    def kernel_info(self) -> dict[str, Any]:
        """Content of a kernel_info_reply, as far as a worker knows it."""
        from husk_worker.session import PROTOCOL_VERSION

        return {
            "protocol_version": PROTOCOL_VERSION,
            "implementation": self.implementation,
            "implementation_version": self.implementation_version,
            "language_info": self.language_info,
            "banner": self.banner,
            "help_links": self.help_links,
            "supported_features": ["kernel subshells", "debugger"] if self._has_debugger() else ["kernel subshells"],
        }

    @staticmethod
    def _has_debugger() -> bool:
        from husk_worker import debugger

        return debugger.is_available()

    # Handlers. Requests reach the worker through requests.HANDLERS; these are for code that looks into the tables.

    @property
    def shell_handlers(self) -> dict[str, Any]:
        return self._once("shell_handlers", self._make_shell_handlers)

    def _make_shell_handlers(self) -> dict[str, Any]:
        handlers: dict[str, Any] = dict.fromkeys(_SHELL_TYPES, self._not_here)
        for name in ("comm_open", "comm_msg", "comm_close"):
            handlers[name] = getattr(self.comm_manager, name)
        self._lazy["comm_handlers"] = [handlers[name] for name in ("comm_open", "comm_msg", "comm_close")]
        return handlers

    @property
    def control_handlers(self) -> dict[str, Any]:
        return self._once("control_handlers", lambda: dict.fromkeys(_CONTROL_TYPES, self._not_here))

    @staticmethod
    def _not_here(stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        raise NotImplementedError("requests are dispatched by husk's front; this handler cannot be called")

    def handler_for(self, msg_type: str) -> Callable[..., Any] | None:
        """A handler that a library has put into shell_handlers for that type, else None."""
        handlers = self._lazy.get("shell_handlers")
        handler = handlers.get(msg_type) if handlers else None
        return (
            None if handler is None or handler == self._not_here or handler in self._lazy["comm_handlers"] else handler
        )

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Asks for the kernel's end after the current cell."""
        shell = self.shell_if_built()
        if shell is not None:
            shell.exit_now = True
        return {"status": "ok", "restart": restart}

    def do_complete(self, code: str, cursor_pos: int | None) -> dict[str, Any]:
        """Content of a complete_reply."""
        from husk_worker import introspect

        return introspect.complete(self, code, cursor_pos)

    def do_inspect(
        self, code: str, cursor_pos: int | None, detail_level: int = 0, omit_sections: Any = ()
    ) -> dict[str, Any]:
        """Content of an inspect_reply."""
        from husk_worker import introspect

        return introspect.inspect(self, code, cursor_pos, detail_level, omit_sections)

    def do_is_complete(self, code: str) -> dict[str, Any]:
        """Content of an is_complete_reply."""
        from husk_worker import introspect

        return introspect.is_complete(self, code)

    def do_history(self, hist_access_type: str, output: bool, raw: bool, **arguments: Any) -> dict[str, Any]:
        """Content of a history_reply."""
        content = {"hist_access_type": hist_access_type, "output": output, "raw": raw, **arguments}
        answer = self.link_here().ask("history", content)
        return answer if isinstance(answer, dict) else {"status": "ok", "history": answer}

    def do_clear(self) -> dict[str, Any]:
        """Clears the namespace."""
        shell = self.shell_if_built()
        if shell is not None:
            shell.reset(False)
        return {"status": "ok"}

    def do_debug_request(self, msg: dict[str, Any]) -> dict[str, Any]:
        """Content of a debug_reply."""
        from husk_worker import debugger

        return debugger.instance(self).process(msg)


def _language_info() -> dict[str, Any]:
    return {
        "name": "python",
        "version": sys.version.split()[0],
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }


# What representations of it show, and some libraries look at.
Kernel.__module__ = "ipykernel.ipkernel"
Kernel.__name__ = Kernel.__qualname__ = "IPythonKernel"
