# SPDX-License-Identifier: Apache-2.0
"""A Jupyter client that keeps account of what it asked and of what came back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import zmq
from jupyter_client.session import Session

CHANNELS = ("shell", "control", "stdin", "iopub")


@dataclass
class Request:
    """One request and its account. `wants`: what has to come once each, "reply" and "idle"."""

    what: str
    msg_type: str
    wants: set[str]
    sent: float = field(default_factory=time.monotonic)
    replies: list[dict[str, Any]] = field(default_factory=list)
    n_idle: int = 0
    text: int = 0

    def is_done(self) -> bool:
        return ("reply" not in self.wants or bool(self.replies)) and ("idle" not in self.wants or self.n_idle > 0)

    def status(self) -> str:
        return str(self.replies[0].get("status")) if self.replies else "none"


class Client:
    """Sockets of one client. Everything that arrives is filed under the request it belongs to."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self.connection = connection
        self.session = Session(key=connection["key"].encode(), username="soak")
        self.context = zmq.Context()
        self.poller = zmq.Poller()
        self.requests: dict[str, Request] = {}
        self.answers: list[str] = []
        self.faults: list[str] = []
        self.sockets = {channel: self.open(channel) for channel in CHANNELS}
        for socket in self.sockets.values():
            self.poller.register(socket, zmq.POLLIN)

    def open(self, channel: str) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 200)  # floods are faster than this client: they have to wait at the kernel
        if channel == "iopub":
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        else:
            socket.setsockopt(zmq.ROUTING_ID, self.session.bsession)
        socket.connect(f"tcp://{self.connection['ip']}:{self.connection[channel + '_port']}")
        return socket

    def close(self) -> None:
        for socket in self.sockets.values():
            socket.close()
        self.context.term()

    def ask(self, what: str, msg_type: str, content: dict[str, Any], channel: str = "shell", **header: Any) -> Request:
        """Sends a request that has to be answered."""
        message = self.session.msg(msg_type, content)
        message["header"].update(header)
        no_reply = msg_type in ("comm_open", "comm_msg", "comm_close")
        request = Request(what, msg_type, {"idle"} if no_reply else {"reply", "idle"})
        self.requests[message["header"]["msg_id"]] = request
        self.session.send(self.sockets[channel], message)
        return request

    def execute(self, what: str, code: str, channel: str = "shell", **options: Any) -> Request:
        header = options.pop("header", {})
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": True, "stop_on_error": False} | options
        return self.ask(what, "execute_request", content, channel, **header)

    def pump(self, timeout_ms: int) -> None:
        """Files what has come."""
        for socket, _ in self.poller.poll(timeout_ms):
            channel = next(name for name, candidate in self.sockets.items() if candidate is socket)
            for _ in range(100):
                if not socket.poll(0):
                    break
                self._file(channel, socket.recv_multipart())

    def _file(self, channel: str, frames: list[bytes]) -> None:
        _, parts = self.session.feed_identities(frames)
        message = self.session.deserialize(parts)
        msg_type, content = message["header"]["msg_type"], message["content"]
        if channel == "stdin":
            value = self.answers.pop(0) if self.answers else "answer"
            self.session.send(self.sockets["stdin"], "input_reply", {"value": value}, parent=message["header"])
            return
        request = self.requests.get(message["parent_header"].get("msg_id", ""))
        if not request:
            return
        if channel != "iopub":
            request.replies.append(content)
            if len(request.replies) > 1:
                self.faults.append(f"{request.what}: {len(request.replies)} replies")
        elif msg_type == "status" and content["execution_state"] == "idle":
            request.n_idle += 1
            if request.n_idle > 1:
                self.faults.append(f"{request.what}: {request.n_idle} times idle")
        elif msg_type == "stream":
            request.text += len(content["text"])

    def wait(self, requests: list[Request], seconds: float) -> bool:
        """Until all are answered; False and a fault for each that is not."""
        deadline = time.monotonic() + seconds
        while not all(r.is_done() for r in requests):
            if time.monotonic() > deadline:
                for r in requests:
                    if not r.is_done():
                        self.faults.append(f"{r.what}: no answer in {seconds:.0f} s: reply {r.status()}, idle {r.n_idle}")
                return False
            self.pump(100)
        return True

    def forget_done(self) -> None:
        """Answered requests older than ten seconds: what would come twice has come."""
        old = time.monotonic() - 10
        self.requests = {k: r for k, r in self.requests.items() if not (r.is_done() and r.sent < old)}
