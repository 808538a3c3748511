# SPDX-License-Identifier: Apache-2.0
"""A front for tests of the Python side alone: starts a worker on the fake `_husk` and speaks the link with it."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from typing import Any

import mpack
from fake_husk import EXEC_ALLOW_STDIN, EXEC_SILENT, EXEC_STORE_HISTORY, FRAMES, TEXT

NAMES = {number: name for name, number in FRAMES.items()} | {TEXT: "TEXT"}
HERE = os.path.dirname(os.path.abspath(__file__))
REPLY_FIELDS = (
    "turn", "status", "count", "next", "payload", "expressions", "error", "history", "output",
)  # fmt: skip


_IPYTHON = tempfile.TemporaryDirectory(prefix="husk-ipython-")  # without configuration, and writable


class Channel:
    """One link, front's side. Frames are (name, fields)."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = bytearray()

    def send(self, name: str, *fields: Any, fds: tuple[int, ...] = ()) -> None:
        body = mpack.pack(list(fields))
        data = struct.pack("<IB", len(body), FRAMES[name]) + body
        if fds:
            socket.send_fds(self.sock, [data], list(fds))
        else:
            self.sock.sendall(data)

    def recv(self, timeout: float = 60.0) -> tuple[str, list[Any]]:
        """Next frame. Raises TimeoutError, EOFError."""
        while True:
            if len(self.data) >= 5:
                size, kind = struct.unpack_from("<IB", self.data)
                if len(self.data) >= 5 + size:
                    body = bytes(self.data[5 : 5 + size])
                    del self.data[: 5 + size]
                    return NAMES[kind], mpack.unpack(body)
            if not select.select([self.sock], [], [], timeout)[0]:
                raise TimeoutError("no frame from the worker")
            piece = self.sock.recv(1 << 20)
            if not piece:
                raise EOFError("the worker has closed the link")
            self.data += piece


class Result:
    """What one cell gave. frames: (name, fields) before the reply; reply: dict by REPLY_FIELDS."""

    def __init__(self, frames: list, reply: dict) -> None:
        self.frames = frames
        self.reply = reply

    def text(self, stream: int = 0, turn: int | None = None) -> str:
        return "".join(f[2] for name, f in self.frames if name == "TEXT" and f[0] == stream and turn in (None, f[1]))

    @property
    def out(self) -> str:
        return self.text(0)

    @property
    def err(self) -> str:
        return self.text(1)

    def displays(self) -> list[tuple[int, dict]]:
        """(kind, data) of each DISPLAY."""
        return [
            (f[1], {mime: json.loads(value) if how else value for mime, how, value in f[3]})
            for name, f in self.frames
            if name == "DISPLAY"
        ]

    @property
    def value(self) -> str | None:
        """text/plain of the execute_result."""
        for kind, data in self.displays():
            if kind == 2:
                return data.get("text/plain")
        return None

    @property
    def errors(self) -> list:
        return [f for name, f in self.frames if name == "ERROR"]

    @property
    def ok(self) -> bool:
        return self.reply["status"] == 0

    @property
    def ename(self) -> str | None:
        return self.reply["error"][0] if self.reply["error"] else None


class Front:
    """A worker process and its main link. Use as a context manager."""

    def __init__(self, python: str = sys.executable, env: dict[str, str] | None = None, cwd: str | None = None,
                 options: dict[str, Any] | None = None) -> None:  # fmt: skip
        ours, theirs = socket.socketpair()
        environ = dict(os.environ, **(env or {}))
        environ.setdefault("IPYTHONDIR", _IPYTHON.name)
        argv = [python, "-s", "-P", "-X", "utf8", "-c", f"import sys; sys.path.insert(0, {HERE!r}); "
                "sys.argv = ['fake_husk', sys.argv[1]]; import runpy; "
                f"runpy.run_path({HERE + '/fake_husk.py'!r}, run_name='__main__')", str(theirs.fileno())]  # fmt: skip
        self.process = subprocess.Popen(
            argv, pass_fds=[theirs.fileno()], env=environ, cwd=cwd, stdin=subprocess.DEVNULL
        )
        theirs.close()
        self.main = Channel(ours)
        self.turn = 0
        self.channels: dict[str, Channel] = {}
        self.main.send("START", {"session": "s", "ident": "i", **(options or {})})
        assert self.main.recv()[0] == "READY"

    def __enter__(self) -> "Front":
        return self

    def __exit__(self, *exc: object) -> None:
        for channel in (self.main, *self.channels.values()):
            channel.sock.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def header(self, msg_type: str, turn: int) -> bytes:
        return json.dumps({"msg_id": f"m{turn}", "msg_type": msg_type, "session": "c", "username": "u",
                           "version": "5.4", "date": "2026-01-01T00:00:00Z"}).encode()  # fmt: skip

    def begin(self, code: str, *, silent: bool = False, store: bool = True, stdin: bool = False, count: int = 0,
              expressions: dict | None = None, metadata: dict | None = None, channel: Channel | None = None) -> int:  # fmt: skip
        """Sends an EXECUTE; its turn."""
        self.turn += 1
        flags = EXEC_SILENT * silent + EXEC_STORE_HISTORY * (store and not silent) + EXEC_ALLOW_STDIN * stdin
        (channel or self.main).send(
            "EXECUTE", self.turn, self.header("execute_request", self.turn), [b"client"],
            json.dumps(metadata or {}).encode(), flags, code,
            json.dumps(expressions).encode() if expressions else None, count,
        )  # fmt: skip
        return self.turn

    def end(self, turn: int, inputs: tuple = (), channel: Channel | None = None, timeout: float = 60.0) -> Result:
        """Frames up to the REPLY of a turn; input requests are answered from `inputs`."""
        channel = channel or self.main
        frames = []
        answers = list(inputs)
        while True:
            name, fields = channel.recv(timeout)
            if name == "REPLY":
                assert fields[0] == turn, "reply of another turn"
                return Result(frames, dict(zip(REPLY_FIELDS, fields)))
            if name == "ASK_INPUT":
                channel.send("INPUT_REPLY", fields[0], answers.pop(0) if answers else None)
            if name == "ASK":
                channel.send("TOLD", fields[0], json.dumps({"status": "ok", "history": []}).encode())
            frames.append((name, fields))

    def run(self, code: str, inputs: tuple = (), **options: Any) -> Result:
        """Runs a cell to its end."""
        channel = options.get("channel")
        return self.end(self.begin(code, **options), inputs, channel)

    def request(self, msg_type: str, content: dict, channel: Channel | None = None) -> tuple[dict, list]:
        """Sends a REQUEST; content of its ANSWER, and the frames before it."""
        self.turn += 1
        channel = channel or self.main
        channel.send("REQUEST", self.turn, self.header(msg_type, self.turn), [b"client"], b"{}",
                     json.dumps(content).encode(), [])  # fmt: skip
        frames = []
        while True:
            name, fields = channel.recv()
            if name == "ANSWER":
                assert fields[0] == self.turn
                return json.loads(fields[1]), frames
            if name == "ASK":
                channel.send("TOLD", fields[0], json.dumps({"status": "ok", "history": []}).encode())
            frames.append((name, fields))

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def attach(self, kind: str, ident: str, attention: bool = True) -> Channel:
        """A further link. attention: with the signal that makes a busy worker look."""
        ours, theirs = socket.socketpair()
        self.main.send("ATTACH", len(self.channels) + 1, kind, ident, fds=(theirs.fileno(),))
        if attention:
            self.process.send_signal(signal.SIGUSR2)
        theirs.close()
        channel = self.channels[ident] = Channel(ours)
        return channel
