# SPDX-License-Identifier: Apache-2.0
"""The session that libraries find at `get_ipython().kernel.session`: it builds messages and sends them over the link.

A worker has no sockets and no key. What is sent "to iopub" becomes a frame of the link; everything else is refused with a log
line, because replies and status are the front's.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import _husk
from husk_worker import jsonable

if TYPE_CHECKING:
    from husk_worker.kernel import Kernel

PROTOCOL_VERSION = "5.5"
_DISPLAYS = {
    "display_data": "DISPLAY_DATA",
    "update_display_data": "DISPLAY_UPDATE",
    "execute_result": "DISPLAY_RESULT",
}
_FRONTS = ("status", "execute_input", "iopub_welcome")

logger = logging.getLogger("husk.session")


def extract_header(msg_or_header: dict[str, Any] | None) -> dict[str, Any]:
    """The header of a message, or the header itself; {} for nothing."""
    if not msg_or_header:
        return {}
    return msg_or_header.get("header", msg_or_header)


class Socket:
    """Stands where libraries expect a ZeroMQ socket. Only its identity matters: `session.send(socket, ...)`."""

    closed = False

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<husk {self.name} socket>"

    def flush(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: frames of the link leave at once."""

    def send_multipart(self, parts: list[Any], *args: Any, **kwargs: Any) -> None:
        """Refuses: raw frames cannot be signed here. Raises NotImplementedError."""
        raise NotImplementedError("a husk worker has no sockets: use session.send(socket, msg_type, content)")


class Session:
    """What `jupyter_client.session.Session` is for libraries inside a kernel."""

    key = b""
    signature_scheme = "hmac-sha256"
    auth = None
    check_pid = True
    debug = False

    def __init__(self, kernel: Kernel, ident: str, username: str = "") -> None:
        self.kernel = kernel
        self.session = ident
        self.bsession = ident.encode("ascii", "replace")
        self.username = username or os.environ.get("USER", "username")
        self.metadata: dict[str, Any] = {}
        self.pid = os.getpid()
        self.message_count = 0
        self.pack = lambda value: jsonable.dumps(value).encode("utf-8", "replace")
        self.unpack = jsonable.loads

    @property
    def msg_id(self) -> str:
        """A new message id at each look."""
        self.message_count += 1
        return f"{self.session}_{os.getpid()}_{self.message_count}_{os.urandom(6).hex()}"

    def msg_header(self, msg_type: str) -> dict[str, Any]:
        """A new header for a message of this session."""
        from datetime import UTC, datetime

        return {
            "msg_id": self.msg_id,
            "msg_type": msg_type,
            "username": self.username,
            "session": self.session,
            "date": datetime.now(UTC),
            "version": PROTOCOL_VERSION,
        }

    def msg(
        self,
        msg_type: str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A message dict, not sent."""
        header = self.msg_header(msg_type) if header is None else header
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": extract_header(parent),
            "content": {} if content is None else content,
            "metadata": {**self.metadata, **(metadata or {})},
        }

    def send(
        self,
        stream: Any,
        msg_or_type: dict[str, Any] | str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: Any = None,
        buffers: list[Any] | None = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Sends a message on iopub; returns it as a dict, None in a forked child.

        stream: the kernel's iopub_socket; msg_or_type: a message of msg(), or a type with the other parameters; ident: topic;
        buffers: objects with a contiguous buffer. Raises TypeError or ValueError for content without a JSON form and buffers that
        are not contiguous.
        """
        if isinstance(msg_or_type, dict):
            message = dict(msg_or_type)
            buffers = buffers or message.get("buffers")
        else:
            message = self.msg(msg_or_type, content, parent, header, metadata)
        if _husk.in_child():
            return None
        message["buffers"] = _contiguous(buffers)
        self._route(stream, message, parent or message["parent_header"], _topic(ident))
        return message

    def _route(self, stream: Any, message: dict[str, Any], parent: dict[str, Any] | None, topic: str | None) -> None:
        """Sends a message as the frame that its type asks for."""
        msg_type, content = message["header"]["msg_type"], message["content"]
        if (
            getattr(stream, "name", "iopub") != "iopub"
            or msg_type in _FRONTS
            or msg_type.endswith(("_reply", "_request"))
        ):
            logger.warning("Not sent: %s is not a message that a kernel's code may send", msg_type)
            return
        link = self.kernel.link_here()
        turn = link.turn_of(parent) if parent else 0
        turn = turn or link.turn()
        if msg_type == "stream":
            self.kernel.write_stream(content.get("name", "stdout"), str(content.get("text", "")), turn)
        elif msg_type in _DISPLAYS:
            link.send(_husk.DISPLAY, turn, getattr(_husk, _DISPLAYS[msg_type]), *_display_fields(message))
        elif msg_type == "error":
            trace = [str(line) for line in content.get("traceback") or ()]
            link.send(_husk.ERROR, turn, str(content.get("ename", "")), str(content.get("evalue", "")), trace)
        else:
            metadata = message["metadata"] or None
            link.publish(msg_type, content, metadata, topic, message["buffers"], turn)

    def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
        """The four parts of a message without a signature (there is no key here)."""
        parts = [self.pack(msg.get(name) or {}) for name in ("header", "parent_header", "metadata", "content")]
        return [b"<IDS|MSG>", b"", *parts]

    def clone(self) -> Session:
        """A session with the same id."""
        return type(self)(self.kernel, self.session, self.username)


def _topic(ident: Any) -> str | None:
    if isinstance(ident, (list, tuple)):
        ident = ident[0] if ident else None
    if isinstance(ident, (bytes, bytearray, memoryview)):
        return bytes(ident).decode("utf-8", "replace")
    return ident or None


def _contiguous(buffers: list[Any] | None) -> list[memoryview]:
    """Views of the buffers. Raises ValueError for one that is not contiguous, TypeError for an object without a buffer."""
    views = []
    for number, buffer in enumerate(buffers or ()):
        view = memoryview(buffer)
        if not view.contiguous:
            raise ValueError(f"Buffer {number} ({buffer!r:.80}) is not contiguous")
        views.append(view)
    return views


def _display_fields(message: dict[str, Any]) -> list[Any]:
    """Fields of a DISPLAY frame after the kind (specs/link.md 3.2)."""
    content = message["content"]
    metadata, transient = content.get("metadata"), content.get("transient")
    return [
        content.get("execution_count"),
        jsonable.mime_rows(content.get("data") or {}),
        jsonable.dumps(metadata) if metadata else None,
        jsonable.dumps(transient) if transient else None,
        message["buffers"],
    ]
