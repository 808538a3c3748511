# SPDX-License-Identifier: Apache-2.0
"""The package `comm` where it is not installed: same classes, same calls, nothing else."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("Comm")


class BaseComm:
    """One end of a pair of objects, here and in the client, that send each other messages."""

    def __init__(
        self, target_name: str = "comm", data: Any = None, metadata: Any = None, buffers: Any = None,
        comm_id: str | None = None, primary: bool = True, target_module: str | None = None, topic: bytes | None = None,
        _open_data: Any = None, _close_data: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.comm_id = comm_id or uuid.uuid4().hex
        self.primary = primary
        self.target_name = target_name
        self.target_module = target_module
        self.topic = topic or f"comm-{self.comm_id}".encode("ascii", "replace")
        self._open_data = _open_data or {}
        self._close_data = _close_data or {}
        self._msg_callback: Callable[[dict[str, Any]], Any] | None = None
        self._close_callback: Callable[[dict[str, Any]], Any] | None = None
        self._closed = True
        if primary:
            self.open(data=data, metadata=metadata, buffers=buffers)
        else:
            self._closed = False

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        """Sends a message; a subclass says how."""
        raise NotImplementedError("publish_msg Comm method is not implemented")

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close(deleting=True)

    def open(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        """Opens the client's end."""
        from husk_worker import comms

        manager = comms.get_comm_manager()
        manager.register_comm(self)
        try:
            self.publish_msg(
                "comm_open",
                data=self._open_data if data is None else data,
                metadata=metadata,
                buffers=buffers,
                target_name=self.target_name,
                target_module=self.target_module,
            )
            self._closed = False
        except Exception:
            manager.unregister_comm(self)
            raise

    def close(self, data: Any = None, metadata: Any = None, buffers: Any = None, deleting: bool = False) -> None:
        """Closes both ends; only the first call does something."""
        if self._closed:
            return
        self._closed = True
        self.publish_msg(
            "comm_close", data=self._close_data if data is None else data, metadata=metadata, buffers=buffers
        )
        if not deleting:
            from husk_worker import comms

            comms.get_comm_manager().unregister_comm(self)

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        """Sends a message to the client's end."""
        self.publish_msg("comm_msg", data=data, metadata=metadata, buffers=buffers)

    def on_close(self, callback: Callable[[dict[str, Any]], Any] | None) -> None:
        """callback(msg) is called when the client closes the comm; None for none."""
        self._close_callback = callback

    def on_msg(self, callback: Callable[[dict[str, Any]], Any] | None) -> None:
        """callback(msg) is called for each message of the client; None for none."""
        self._msg_callback = callback

    def handle_close(self, msg: dict[str, Any]) -> None:
        """Called for a comm_close of the client."""
        if self._close_callback:
            self._close_callback(msg)

    def handle_msg(self, msg: dict[str, Any]) -> None:
        """Called for a comm_msg of the client."""
        if self._msg_callback:
            self._msg_callback(msg)


class CommManager:
    """The open comms by id and the targets by name."""

    def __init__(self) -> None:
        self.comms: dict[str, Any] = {}
        self.targets: dict[str, Any] = {}

    def register_target(self, target_name: str, f: Callable[..., Any] | str) -> None:
        """f(comm, open_message), or the import name of such a function, serves comms of that target."""
        if isinstance(f, str):
            import importlib

            module, _, name = f.rpartition(".")
            target: Any = importlib.import_module(module or name)
            f = getattr(target, name) if module else target
        self.targets[target_name] = f

    def unregister_target(self, target_name: str, f: Any) -> Any:
        """Forgets a target; returns what served it. Raises KeyError."""
        return self.targets.pop(target_name)

    def register_comm(self, comm: Any) -> str:
        """Makes a comm known; returns its id."""
        self.comms[comm.comm_id] = comm
        return comm.comm_id

    def unregister_comm(self, comm: Any) -> None:
        """Forgets a comm. Raises KeyError when it is unknown."""
        self.comms.pop(comm.comm_id)

    def get_comm(self, comm_id: str) -> Any:
        """The comm of that id, None (with a log line) when there is none."""
        comm = self.comms.get(comm_id)
        if comm is None:
            logger.warning("No such comm: %s", comm_id)
        return comm

    def comm_msg(self, stream: Any, ident: Any, msg: dict[str, Any]) -> None:
        """Handler for comm_msg messages."""
        comm_id = msg["content"]["comm_id"]
        comm = self.get_comm(comm_id)
        if comm is not None:
            try:
                comm.handle_msg(msg)
            except Exception:
                logger.exception("Exception in comm_msg for %s", comm_id)

    def comm_close(self, stream: Any, ident: Any, msg: dict[str, Any]) -> None:
        """Handler for comm_close messages."""
        comm_id = msg["content"]["comm_id"]
        comm = self.get_comm(comm_id)
        if comm is not None:
            comm._closed = True
            del self.comms[comm_id]
            try:
                comm.handle_close(msg)
            except Exception:
                logger.exception("Exception in comm_close for %s", comm_id)
