# SPDX-License-Identifier: Apache-2.0
"""What code inside the kernel may know about it from outside: the application object, the connection file without its key."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from husk_worker.kernel import Kernel

__all__ = ["connect_qtconsole", "get_connection_file", "get_connection_info", "write_connection_file"]

_made: dict[str, Any] = {}


def _option(name: str) -> Any:
    """An option of START; None when it was not given."""
    return None if Kernel._instance is None else Kernel._instance.options.get(name)


def get_connection_file(app: Any = None) -> str:
    """Absolute path of this kernel's connection file. Raises RuntimeError when the front did not tell it."""
    path = _option("connection_file") if app is None else getattr(app, "connection_file", None)
    if not path:
        raise RuntimeError("the connection file of this kernel is not known to its worker")
    return os.path.abspath(path)


def get_connection_info(connection_file: str | None = None, unpack: bool = False) -> str | dict[str, Any]:
    """Content of a connection file, as text or (unpack) as a dict; of this kernel's own without the key.

    Raises RuntimeError when it is not known, OSError or ValueError for another file that cannot be read.
    """
    if connection_file is not None and os.path.abspath(connection_file) != _option("connection_file"):
        with open(connection_file, encoding="utf-8") as file:
            text = file.read()
        if not unpack:
            return text
        info = json.loads(text)
        info["key"] = info.get("key", "").encode()
        return info
    own: dict[str, Any] = dict(_option("connection") or {})
    if not own:
        raise RuntimeError("the connection of this kernel is not known to its worker")
    own["key"] = b"" if unpack else ""
    return own if unpack else json.dumps(own, indent=2)


def connect_qtconsole(connection_file: str | None = None, argv: list[str] | None = None) -> Any:
    """Starts a Qt console on a kernel (default: this one); returns its subprocess.Popen. Raises RuntimeError, OSError."""
    from subprocess import PIPE, Popen

    path = get_connection_file() if connection_file is None else connection_file
    program = "from qtconsole import qtconsoleapp; qtconsoleapp.main()"
    command = [sys.executable, "-c", program, "--existing", path, *(argv or [])]
    return Popen(command, stdout=PIPE, stderr=PIPE, start_new_session=True)


def write_connection_file(*args: Any, **kwargs: Any) -> Any:
    """jupyter_client's function of that name. Raises ImportError where it is not installed."""
    from jupyter_client import write_connection_file as write

    return write(*args, **kwargs)


class _Facts:
    """What an application object tells about the kernel."""

    @property
    def kernel(self) -> Any:
        return Kernel._instance

    @property
    def shell(self) -> Any:
        return Kernel.instance().shell

    @property
    def session(self) -> Any:
        return Kernel.instance().session

    @property
    def iopub_socket(self) -> Any:
        return Kernel.instance().iopub_socket

    @property
    def user_ns(self) -> Any:
        return Kernel.instance().user_ns

    @property
    def profile_dir(self) -> Any:
        return getattr(Kernel.instance().shell, "profile_dir", None)

    @property
    def connection_file(self) -> str:
        """Path of the connection file; "" when it is not known."""
        return str(_option("connection_file") or "")

    @property
    def abs_connection_file(self) -> str:
        return self.connection_file and os.path.abspath(self.connection_file)

    @property
    def connection_dir(self) -> str:
        return os.path.dirname(self.abs_connection_file)

    def get_connection_info(self, session: bool = False) -> dict[str, Any]:
        """Transport, address and ports; without the key."""
        return dict(_option("connection") or {})

    def __getattr__(self, name: str) -> Any:
        info = _option("connection") or {}
        if name in info and name != "key":
            return info[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class _PlainApp(_Facts):
    """The application object where traitlets is not used."""

    name = "ipython-kernel"
    config: dict[str, Any] = {}

    def __init__(self, **kwargs: Any) -> None:
        pass

    @classmethod
    def initialized(cls) -> bool:
        """Whether a kernel is running here."""
        return Kernel.initialized()

    @classmethod
    def instance(cls, *args: Any, **kwargs: Any) -> Any:
        """The one application."""
        return _made.setdefault("plain", _made.get("plain") or cls())


def app_class() -> type:
    """The class `IPKernelApp`; a traitlets application where traitlets has been imported."""
    if "class" not in _made:
        _made["class"] = _traits_class() if "traitlets.config" in sys.modules else _PlainApp
        _made["class"].__name__ = _made["class"].__qualname__ = "IPKernelApp"
    return _made["class"]


def _traits_class() -> type:
    from traitlets.config.application import Application

    class IPKernelApp(_Facts, Application):  # type: ignore[misc]
        """What `Application.instance()` is inside a kernel."""

        name = "ipython-kernel"

        def _load_config(self, *args: Any, **kwargs: Any) -> None:
            """Applies nothing: startup.py's application has, and has warned of what nobody knows."""

        @classmethod
        def initialized(cls) -> bool:
            """Whether a kernel is running here."""
            return Kernel.initialized()

        @classmethod
        def instance(cls, *args: Any, **kwargs: Any) -> Any:
            """The one application."""
            return register_app()

    return IPKernelApp


def modules_at_start() -> frozenset[str]:
    """Names of what had been imported when the shell was new: it belongs to the kernel, not to the user."""
    return _made.get("modules", frozenset())


def register_app(config: Any = None) -> Any:
    """Makes the application object, once, and the one that traitlets' Application.instance() gives."""
    if "app" not in _made:
        _made["modules"] = frozenset(sys.modules)
        cls = app_class()
        app = _made["app"] = cls()
        if cls is not _PlainApp:
            from traitlets.config.application import Application

            if config is not None:
                app.config = config
            if Application._instance is None:
                Application._instance = app
    return _made["app"]
