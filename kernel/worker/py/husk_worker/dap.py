# SPDX-License-Identifier: Apache-2.0
"""A client of the Debug Adapter Protocol over TCP: requests wait for their response, events go to a callback.

Source of the framing: Debug Adapter Protocol specification, "Base Protocol" (HTTP-like header, JSON body).
"""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

MAX_MESSAGE = 64 << 20  # bytes of one message from the adapter
MAX_HEADER = 4096
CONNECT_SECONDS = 30.0
REQUEST_SECONDS = 600.0


class Disconnected(Exception):
    """The adapter is gone or said something that is not the protocol."""


def encode(message: dict[str, Any]) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are complete with `data`. Raises Disconnected for what is not the protocol."""
        self._data += data
        messages: list[dict[str, Any]] = []
        while True:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > MAX_HEADER:
                    raise Disconnected(f"a header of more than {MAX_HEADER} bytes")
                return messages
            size = _length(bytes(self._data[:end]))
            if len(self._data) < end + 4 + size:
                return messages
            body = bytes(self._data[end + 4 : end + 4 + size])
            del self._data[: end + 4 + size]
            message = json.loads(body)
            if not isinstance(message, dict):
                raise Disconnected("a message that is no object")
            messages.append(message)


def _length(header: bytes) -> int:
    """Content-Length of a header. Raises Disconnected."""
    for line in header.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit() and int(value) <= MAX_MESSAGE:
            return int(value)
    raise Disconnected(f"a header without a length of 0 to {MAX_MESSAGE}: {header[:80]!r}")


class Client:
    """One connection. Its own numbers stand for the caller's while a request is under way."""

    def __init__(self, address: tuple[str, int], on_event: Callable[[dict[str, Any]], None]) -> None:
        """Connects. on_event is called in the reading thread. Raises OSError."""
        self._socket = socket.create_connection(address, CONNECT_SECONDS)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_event = on_event
        self._lock = threading.Lock()
        self._seq = 0
        self._waiting: dict[int, Callable[[dict[str, Any] | None], None]] = {}
        self.closed = False
        self._thread = threading.Thread(target=self._read, name="Debug adapter", daemon=True)
        self._thread.pydev_do_not_trace = True  # type: ignore[attr-defined]
        self._thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
        self._thread.start()

    def post(self, message: dict[str, Any], on_response: Callable[[dict[str, Any] | None], None]) -> None:
        """Sends a request; on_response(response, or None when the adapter is gone) is called once, in the reading thread.

        Raises Disconnected.
        """
        with self._lock:
            if self.closed:
                raise Disconnected("the connection to the debug adapter is closed")
            self._seq += 1
            seq = self._seq
            self._waiting[seq] = on_response
        try:
            self._socket.sendall(encode({**message, "seq": seq}))
        except OSError as error:
            self._waiting.pop(seq, None)
            raise Disconnected(str(error)) from None

    def start(self, message: dict[str, Any]) -> queue.SimpleQueue[dict[str, Any] | None]:
        """Sends a request; its response (None: gone) will be in the queue. Raises Disconnected."""
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.post(message, answers.put)
        return answers

    def finish(self, message: dict[str, Any], answers: queue.SimpleQueue[dict[str, Any] | None]) -> dict[str, Any]:
        """The response to a request of start(), with the caller's number. Raises Disconnected, TimeoutError."""
        try:
            response = answers.get(timeout=REQUEST_SECONDS)
        except queue.Empty:
            raise TimeoutError(f"no response to {message.get('command')!r} in {REQUEST_SECONDS:g} s") from None
        if response is None:
            raise Disconnected(f"the debug adapter ended before it answered {message.get('command')!r}")
        response["request_seq"] = message.get("seq", 0)
        return response

    def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """The response to a request. Raises Disconnected, TimeoutError."""
        return self.finish(message, self.start(message))

    def close(self) -> None:
        """Ends the connection and its thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if threading.current_thread() is not self._thread:
            self._thread.join(5)
        self._socket.close()

    def _read(self) -> None:
        decoder = Decoder()
        try:
            while True:
                data = self._socket.recv(1 << 16)
                if not data:
                    break
                for message in decoder.feed(data):
                    self._dispatch(message)
        except (OSError, ValueError, Disconnected):
            pass
        finally:
            with self._lock:
                self.closed = True
                waiting, self._waiting = self._waiting, {}
            for on_response in waiting.values():
                on_response(None)

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message.get("type") == "event":
            self._on_event(message)
        elif message.get("type") == "response":
            on_response = self._waiting.pop(message.get("request_seq", 0), None)
            if on_response is not None:
                on_response(message)
