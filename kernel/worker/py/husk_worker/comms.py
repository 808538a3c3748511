# SPDX-License-Identifier: Apache-2.0
"""Comms: messages between kernel code and widgets of a client.

With the package `comm` its two functions create_comm and get_comm_manager are replaced and everything else of it stays; without it
a stand-in of the same shape is importable as `comm`. The hook on the import costs nothing until somebody imports it.
"""

from __future__ import annotations

import logging
import sys
import types
from importlib import abc, machinery, util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from husk_worker.kernel import Kernel
    from husk_worker.link import Request

logger = logging.getLogger("ipykernel.comm")

_classes: dict[str, type] = {}
_manager: Any = None


def find_spec() -> machinery.ModuleSpec | None:
    """What an import of `comm` gets: the installed package, taken over right after its import, or else the stand-in."""
    spec = machinery.PathFinder.find_spec("comm", None)
    if spec is None or spec.loader is None:
        return util.spec_from_loader("comm", _StandInLoader(), is_package=True)
    spec.loader = _TakingLoader(spec.loader)
    return spec


def _kernel() -> Any:
    """The kernel of this process, None when there is none."""
    from husk_worker.kernel import Kernel

    return Kernel._instance


class _TakingLoader(abc.Loader):
    """The package's own loader, and then take_over()."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        take_over(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _StandInLoader(abc.Loader):
    """Makes `comm` and `comm.base_comm` of the stand-in."""

    def exec_module(self, module: types.ModuleType) -> None:
        from husk_worker import comm_stand_in

        base = types.ModuleType("comm.base_comm", comm_stand_in.__doc__)
        base.BaseComm = comm_stand_in.BaseComm  # type: ignore[attr-defined]
        base.CommManager = comm_stand_in.CommManager  # type: ignore[attr-defined]
        sys.modules["comm.base_comm"] = module.base_comm = base  # type: ignore[attr-defined]
        module.BaseComm = base.BaseComm  # type: ignore[attr-defined]
        module.CommManager = base.CommManager  # type: ignore[attr-defined]
        take_over(module)


def take_over(module: types.ModuleType) -> None:
    """Makes the package's two functions this kernel's. A module of that name that is something else is left alone."""
    if hasattr(module, "create_comm") or hasattr(module, "BaseComm"):
        module.create_comm = create_comm  # type: ignore[attr-defined]
        module.get_comm_manager = get_comm_manager  # type: ignore[attr-defined]


def _base() -> Any:
    """The module with BaseComm and CommManager: comm.base_comm, ours when something else is called comm."""
    import comm

    if comm.__dict__.get("create_comm") is not create_comm:
        take_over(comm)
    try:
        from comm import base_comm

        return base_comm
    except ImportError:
        from husk_worker import comm_stand_in

        return comm_stand_in


def _make_classes() -> dict[str, type]:
    """The comm classes of this kernel; made at the first use since their bases are the package's."""
    base = _base()

    class BaseComm(base.BaseComm):  # type: ignore[misc, name-defined]
        """A comm of this kernel."""

        kernel: Any = None

        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            """Sends comm_open, comm_msg or comm_close; its parent is the request that the caller belongs to."""
            kernel = _kernel()
            if kernel is None:
                return
            self.kernel = kernel
            content = {"data": {} if data is None else data, "comm_id": self.comm_id, **keys}
            kernel.session.send(
                kernel.iopub_socket,
                msg_type,
                content,
                metadata={} if metadata is None else metadata,
                parent=kernel.get_parent(),
                ident=self.topic,
                buffers=buffers,
            )

        def handle_msg(self, msg: dict[str, Any]) -> None:
            """Calls the comm's callback between IPython's events, so that plots made in it appear."""
            callback = self._msg_callback
            if callback is None:
                return
            trigger = _trigger()
            trigger("pre_execute")
            callback(msg)
            trigger("post_execute")

    class Comm(BaseComm):
        """What `ipykernel.comm.Comm` is: the older way to make a comm."""

        def __init__(
            self, target_name: str = "", data: Any = None, metadata: Any = None, buffers: Any = None,
            show_warning: bool = True, **kwargs: Any,
        ) -> None:  # fmt: skip
            if show_warning:
                import warnings

                text = "The `ipykernel.comm.Comm` class has been deprecated. Please use the `comm` module instead."
                warnings.warn(
                    text + "For creating comms, use the function `from comm import create_comm`.", DeprecationWarning, 2
                )
            self.kernel = kwargs.pop("kernel", None) or _kernel()
            if target_name:
                kwargs["target_name"] = target_name
            super().__init__(data=data, metadata=metadata, buffers=buffers, **kwargs)

    class CommManager(base.CommManager):  # type: ignore[misc, name-defined]
        """The comm manager of this kernel."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__()
            self.kernel = kwargs.get("kernel") or _kernel()

        def comm_open(self, stream: Any, ident: Any, msg: dict[str, Any]) -> None:
            """Opens a comm from the client's side; closes it at once when nobody wants it."""
            content = msg["content"]
            comm_id, target_name = str(content["comm_id"]), content["target_name"]
            target = self.targets.get(target_name, None)
            comm = Comm(comm_id=comm_id, primary=False, target_name=target_name, show_warning=False)
            self.register_comm(comm)
            if target is None:
                logger.error("No such comm target registered: %s", target_name)
            else:
                try:
                    target(comm, msg)
                    return
                except Exception:
                    logger.exception("Exception opening comm with target: %s", target_name)
            try:
                comm.close()
            except Exception:
                logger.exception("Could not close comm %s, which may not have been opened", comm_id)

    made: dict[str, type] = {"BaseComm": BaseComm, "Comm": Comm, "CommManager": CommManager}
    for name, cls in made.items():
        cls.__qualname__ = name
        cls.__module__ = "ipykernel.comm.manager" if name == "CommManager" else "ipykernel.comm.comm"
    return made


def _trigger() -> Any:
    """events.trigger of the shell when there is one."""
    kernel = _kernel()
    shell = kernel.shell_if_built() if kernel is not None else None
    events = getattr(shell, "events", None)
    return events.trigger if events is not None else lambda name: None


def classes() -> dict[str, type]:
    """BaseComm, Comm and CommManager of this kernel by name."""
    if not _classes:
        _classes.update(_make_classes())
    return _classes


def create_comm(*args: Any, **kwargs: Any) -> Any:
    """A new comm; parameters as of comm.base_comm.BaseComm."""
    return classes()["BaseComm"](*args, **kwargs)


def get_comm_manager(*args: Any, **kwargs: Any) -> Any:
    """The one comm manager of this process."""
    global _manager
    if _manager is None:
        _manager = classes()["CommManager"](*args, **kwargs)
    return _manager


# Requests


def handle(kernel: Kernel, request: Request) -> tuple[dict[str, Any], None, list[Any]]:
    """comm_open, comm_msg, comm_close: calls the manager's method of that name. Raises KeyError for a missing field."""
    message = dict(request.parent)
    message["buffers"] = [memoryview(buffer) for buffer in request.buffers]
    content = message["content"]
    for name in ("comm_id", "target_name")[: 2 if request.msg_type == "comm_open" else 1]:
        if name not in content:
            raise KeyError(f"{request.msg_type} without {name}")
    content.setdefault("data", {})
    manager = kernel.comm_manager
    getattr(manager, request.msg_type)(None, request.identities, message)
    return {}, None, []


def handle_info(kernel: Kernel, request: Request) -> tuple[dict[str, Any], None, list[Any]]:
    """comm_info_request: the open comms, all or those of target_name."""
    wanted = request.content.get("target_name")
    comms = {}
    if _manager is not None:
        for comm_id, comm in list(_manager.comms.items()):
            if wanted is None or comm.target_name == wanted:
                comms[comm_id] = {"target_name": comm.target_name}
    return {"status": "ok", "comms": comms}, None, []
