# SPDX-License-Identifier: Apache-2.0
"""The debugger behind debug_request: Jupyter's additions to the Debug Adapter Protocol here, the rest passed on to debugpy.

Served by the thread of the debug link, one request at a time; the main thread only starts debugpy's listening. Source of the
additions: jupyter-client messaging.rst, "Additions to the DAP", and JEP 47.
"""

from __future__ import annotations

import atexit
import os
import re
import stat
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from husk_worker import cellname
from husk_worker.dap import Client, Disconnected

if TYPE_CHECKING:
    from husk_worker.kernel import Kernel

MAIN_SECONDS = 3600.0  # a running cell may keep the main thread busy as long before starting is given up
INIT_SECONDS = 60.0
_HIDDEN = frozenset((
    "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__annotations__", "__builtins__", "__builtin__",
    "__display__", "get_ipython", "debugpy", "exit", "quit", "In", "Out", "_oh", "_dh", "_", "__", "___",
))  # fmt: skip
_NUMBERED = re.compile(r"_\d")
_ANY_TIME = ("debugInfo", "inspectVariables", "richInspectVariables", "modules", "copyToGlobals")
_STARTED = ("dumpCell", "setBreakpoints", "source", "variables", "attach", "configurationDone")
_RESUMING = ("continue", "next", "stepIn", "stepOut")
_debugger: Debugger | None = None
_lock = threading.Lock()
_available = False
_written: set[str] = set()  # cell files


def is_available() -> bool:
    """Whether debugpy can be imported here."""
    global _available
    if not _available:
        _available = "debugpy" in sys.modules or find_spec("debugpy") is not None
    return _available


def instance(kernel: Kernel) -> Debugger:
    """The one debugger of this process."""
    global _debugger
    with _lock:
        if _debugger is None:
            _debugger = Debugger(kernel)
        return _debugger


def accepts(name: str) -> bool:
    """Whether a variable is the user's, not IPython's."""
    return name not in _HIDDEN and not _NUMBERED.match(name) and name[:2] != "_i"


def _reply(
    message: dict[str, Any], body: dict[str, Any], success: bool = True, text: str | None = None
) -> dict[str, Any]:
    """A response to a request."""
    reply = {
        "seq": message["seq"],
        "type": "response",
        "request_seq": message["seq"],
        "success": success,
        "command": message["command"],
        "body": body,
    }
    if text is not None:
        reply["message"] = text
    return reply


class Debugger:
    """State of the debugger between requests.

    is_started: between initialize and disconnect. breakpoints: lines by source path. stopped: ids of stopped threads.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.is_started = False
        self.breakpoints: dict[str, list[dict[str, Any]]] = {}
        self.stopped: set[int] = set()
        self._client: Client | None = None
        self._address: tuple[str, int] | None = None
        self._link: Any = None
        self._turn = 0
        self._initialized = threading.Event()
        self._attached = False
        self._explorer: Any = None
        self._transforms: Any = None

    # Requests

    def process(self, message: dict[str, Any]) -> dict[str, Any]:
        """Content of the debug_reply to a request (DAP). Raises KeyError, TypeError for what is none."""
        if not isinstance(message.get("command"), str) or not isinstance(message.get("seq"), int):
            raise TypeError("a debug request has a string 'command' and an integer 'seq'")
        self._remember_request()
        command = message["command"]
        if not is_available():
            return {}  # as ipykernel; kernel_info does not offer a debugger then
        message.setdefault("arguments", {})
        try:
            return self._serve(command, message)
        except (Disconnected, TimeoutError) as error:
            return _reply(message, {}, False, str(error))
        finally:
            if command == "disconnect":
                self._stop()

    def _remember_request(self) -> None:
        """Events belong to the last debug request."""
        self._link = self.kernel.link_here()
        request = self._link.current
        if request is not None:
            self._turn = request.turn

    def _serve(self, command: str, message: dict[str, Any]) -> dict[str, Any]:
        if command == "initialize" and not self.is_started:
            try:
                self._start()
            except Exception as error:
                return _reply(message, {}, False, f"the debugger cannot be started: {error}")
        if command in _ANY_TIME or (self.is_started and command in _STARTED):
            return getattr(self, f"_on_{command}")(message)
        return self._forward(message) if self.is_started else {}

    def _forward(self, message: dict[str, Any]) -> dict[str, Any]:
        """debugpy's response."""
        if self._client is None:
            raise Disconnected("there is no connection to debugpy")
        stopped = self.stopped
        if message["command"] in _RESUMING:
            # No event tells it; the next stop may be told before the response is here.
            self.stopped = set()
        reply = self._client.request(message)
        if not reply.get("success") and not self.stopped:
            self.stopped = stopped
        return reply

    # Start and end

    def _start(self) -> None:
        """Makes debugpy listen (once per process) and connects to it. Raises OSError, RuntimeError."""
        _make_directory()
        if self._address is None:
            self._address = call_in_main(_listen)
        self._initialized.clear()
        self._attached = False
        self._client = Client(self._address, self._on_event)
        self._keep_empty_lines(True)
        self.is_started = True

    def _stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
        self._keep_empty_lines(False)
        self.breakpoints = {}
        self.stopped = set()
        self.is_started = False

    def _keep_empty_lines(self, keep: bool) -> None:
        """IPython strips empty lines at a cell's start, which would move all breakpoints: not while debugging."""
        manager = getattr(self.kernel.shell, "input_transformer_manager", None)
        if manager is None:
            return
        transforms = manager.cleanup_transforms
        if keep and self._transforms is None:
            for index, transform in enumerate(transforms):
                if getattr(transform, "__name__", "") == "leading_empty_lines":
                    self._transforms = (index, transforms.pop(index))
                    break
        elif not keep and self._transforms is not None:
            transforms.insert(*self._transforms)
            self._transforms = None

    # Events; called by the reading thread of the client

    def _on_event(self, event: dict[str, Any]) -> None:
        body = event.get("body") or {}
        name = event.get("event")
        if name == "initialized":
            self._initialized.set()
        elif name == "stopped" and body.get("allThreadsStopped"):
            client = self._client
            if client is not None:
                try:
                    client.post(
                        {"type": "request", "command": "threads"}, lambda reply: self._all_stopped(event, reply)
                    )
                except Disconnected:
                    pass
            return
        elif name == "stopped":
            self.stopped.add(body.get("threadId", 0))
        elif name == "continued":
            if body.get("allThreadsContinued"):
                self.stopped = set()
            else:
                self.stopped.discard(body.get("threadId", 0))
        self._publish(event)

    def _all_stopped(self, event: dict[str, Any], reply: dict[str, Any] | None) -> None:
        """Which threads have stopped is known; the event may go out."""
        for thread in ((reply or {}).get("body") or {}).get("threads", ()):
            self.stopped.add(thread["id"])
        self._publish(event)

    def _publish(self, event: dict[str, Any]) -> None:
        link = self._link
        if link is not None:
            try:
                link.publish("debug_event", event, None, self.kernel._topic("debug_event").decode(), (), self._turn)
            except Exception:
                pass  # the front is gone; the reading thread must go on until the connection ends

    # Jupyter's own requests

    def _on_debugInfo(self, message: dict[str, Any]) -> dict[str, Any]:
        breakpoints = [{"source": path, "breakpoints": lines} for path, lines in self.breakpoints.items()]
        body = {
            "isStarted": self.is_started,
            "hashMethod": "Murmur2",
            "hashSeed": cellname.SEED,
            "tmpFilePrefix": cellname.prefix(),
            "tmpFileSuffix": cellname.SUFFIX,
            "breakpoints": breakpoints,
            "stoppedThreads": list(self.stopped),
            "richRendering": True,
            "exceptionPaths": ["Python Exceptions"],
            "copyToGlobals": True,
        }
        return _reply(message, body)

    def _on_dumpCell(self, message: dict[str, Any]) -> dict[str, Any]:
        code = message["arguments"]["code"]
        path = cellname.file_name(code)
        _make_directory()
        _written.add(path)
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(code)
        return _reply(message, {"sourcePath": path})

    def _on_setBreakpoints(self, message: dict[str, Any]) -> dict[str, Any]:
        path = message["arguments"]["source"]["path"]
        self.breakpoints[path] = message["arguments"].get("breakpoints") or []
        reply = self._forward(message)
        if reply.get("success"):
            # debugpy may have moved them.
            self.breakpoints[path] = [{"line": item["line"]} for item in reply["body"]["breakpoints"] if "line" in item]
        return reply

    def _on_source(self, message: dict[str, Any]) -> dict[str, Any]:
        path = message["arguments"]["source"]["path"]
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return _reply(message, {"content": file.read()})
        except OSError:
            return _reply(message, {}, False, "source unavailable")

    def _on_variables(self, message: dict[str, Any]) -> dict[str, Any]:
        if not self.stopped:
            found = self._explore().children(message["arguments"]["variablesReference"])
            return _reply(message, {"variables": [item for item in found if accepts(item["name"])]})
        reply = self._forward(message)
        if reply.get("success"):
            reply["body"]["variables"] = [item for item in reply["body"]["variables"] if accepts(item["name"])]
        return reply

    def _on_attach(self, message: dict[str, Any]) -> dict[str, Any]:
        """debugpy answers it only after configurationDone, which clients send when they have the answer."""
        assert self._address is not None and self._client is not None  # is_started
        arguments = message["arguments"]
        host, port = self._address
        arguments["connect"] = {"host": host, "port": port}
        arguments["logToFile"] = True
        if not self.kernel.debug_just_my_code:
            arguments["debugOptions"] = ["DebugStdLib"]
        if self.kernel.filter_internal_frames:
            arguments["rules"] = [{"path": path, "include": False} for path in _internal_files()]
        if self._attached:
            return self._forward(message)
        answers = self._client.start(message)
        if self._initialized.wait(INIT_SECONDS):
            self._client.request({"type": "request", "command": "configurationDone"})
            self._attached = True
        return self._client.finish(message, answers)

    def _on_configurationDone(self, message: dict[str, Any]) -> dict[str, Any]:
        return _reply(message, {})

    def _explore(self) -> Any:
        if self._explorer is None:
            from husk_worker import debug_vars

            _quiet_debugpy()
            self._explorer = debug_vars.Explorer(self.kernel.user_ns or {})
        return self._explorer

    def _on_inspectVariables(self, message: dict[str, Any]) -> dict[str, Any]:
        self._explorer = None
        found = self._explore().children()
        return _reply(message, {"variables": [item for item in found if accepts(item["name"])]})

    def _on_richInspectVariables(self, message: dict[str, Any]) -> dict[str, Any]:
        name = message["arguments"]["variableName"]
        if not str.isidentifier(name):
            folder = name in ("special variables", "function variables")
            return _reply(message, {"data": {}, "metadata": {}}, folder)
        if self.stopped:
            data, metadata = self._format_in_frame(name, message)
        else:
            data, metadata = self._format_here(name)
        return _reply(
            message, {"data": data, "metadata": {key: value for key, value in metadata.items() if key in data}}
        )

    def _format_here(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """MIME bundle and metadata of a variable of the namespace; empty when it has none."""
        result = self.kernel.shell.user_expressions({name: name})[name]
        if result.get("status") != "ok":
            return {}, {}
        return result.get("data") or {}, result.get("metadata") or {}

    def _format_in_frame(self, name: str, message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """As _format_here() for a variable of the frame that the request names."""
        arguments = {
            "expression": f"get_ipython().display_formatter.format({name})",
            "frameId": message["arguments"].get("frameId"),
            "context": "clipboard",
        }
        reply = self._forward({"type": "request", "command": "evaluate", "seq": message["seq"], "arguments": arguments})
        if reply.get("success"):
            import ast

            try:
                data, metadata = ast.literal_eval(reply["body"]["result"])
                return data, metadata
            except (ValueError, SyntaxError, TypeError):
                pass
        return {}, {}

    def _on_copyToGlobals(self, message: dict[str, Any]) -> dict[str, Any]:
        arguments = message["arguments"]
        target, source = arguments["dstVariableName"], arguments["srcVariableName"]
        if not str.isidentifier(target) or not str.isidentifier(source):
            text = "dstVariableName and srcVariableName must be valid identifiers"
            return _reply(message, {}, False, text)
        request = {
            "type": "request",
            "command": "setExpression",
            "seq": message["seq"],
            "arguments": {
                "expression": f"globals()['{target}']",
                "value": source,
                "frameId": arguments["srcFrameId"],
            },
        }
        return self._forward(request)

    def _on_modules(self, message: dict[str, Any]) -> dict[str, Any]:
        arguments = message["arguments"]
        modules = list(sys.modules.copy().items())
        first = int(arguments.get("startModule") or 0)
        count = int(arguments.get("moduleCount") or 0) or len(modules)
        found = []
        for number, (name, module) in enumerate(modules[first : first + count], first):
            path = getattr(getattr(module, "__spec__", None), "origin", None)
            if isinstance(path, str) and path.endswith(".py"):
                found.append({"id": number, "name": name, "path": path})
        return _reply(message, {"modules": found, "totalModules": len(modules)})


def _quiet_debugpy() -> None:
    """debugpy warns on stderr about frozen modules of the standard library, which nobody steps into here."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")


def _listen() -> tuple[str, int]:
    """Makes debugpy listen on a free port. Raises RuntimeError."""
    _quiet_debugpy()
    import debugpy

    host, port = debugpy.listen(("127.0.0.1", 0))
    return str(host), int(port)


def call_in_main(func: Any) -> Any:
    """Result of func() in the main thread, as soon as it has no cell to run. Raises what func raises, TimeoutError."""
    if threading.current_thread() is threading.main_thread():
        return func()
    from concurrent.futures import Future

    from husk_worker import aio

    future: Future[Any] = Future()

    def call() -> None:
        try:
            future.set_result(func())
        except BaseException as error:
            future.set_exception(error)

    loop: Any = aio.loop()
    loop.call_soon_threadsafe(call)
    return future.result(MAIN_SECONDS)


def _internal_files() -> list[str]:
    """Files and patterns of the kernel's own code, which a debugger steps over."""
    from husk_worker import connection

    files = [os.path.dirname(__file__) + "/**"]
    for name in connection.modules_at_start():
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and path:
            files.append(path)
    return files


def _make_directory() -> None:
    """The directory of cell files. Raises PermissionError when it is somebody else's."""
    path = os.path.dirname(cellname.file_name(""))
    try:
        os.makedirs(path, 0o700)
        atexit.register(_remove_directory, path, os.getpid())
    except FileExistsError:
        if os.environ.get("IPYKERNEL_CELL_NAME") is not None:
            return
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
            raise PermissionError(f"{path} is not a directory that only this user can write to") from None


def _remove_directory(path: str, pid: int) -> None:
    """Removes the cell files at the kernel's end (not in a forked child)."""
    if os.getpid() != pid:
        return
    try:
        for name in _written:
            if os.path.dirname(name) == path:
                os.unlink(name)
        os.rmdir(path)
    except OSError:
        pass  # somebody else has removed or added something
