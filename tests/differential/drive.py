# SPDX-License-Identifier: Apache-2.0
"""Runs a session in a kernel and records every message of every channel."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from cells import Cell
from jupyter_client.session import Session

sys.path.append(str(Path(__file__).resolve().parents[1] / "sandbox"))

import inside  # noqa: E402

START_TIMEOUT = 30.0
REPLY_TIMEOUT = 60.0
# After the last idle of a session, for what still comes unasked.
LATE = 0.3

# Label of the requests that find out whether a kernel is ready; how many there are is chance.
GREETING = "(greeting)"

CHANNELS = ("shell", "control", "stdin", "iopub")
FILES = {
    "data.csv": "name,value\nalpha,1\nbeta,2\ngamma,3\n",
    "script.py": "import sys\nvalue = 42\nprint('script', sys.argv[1:])\n",
    "module_of_ours.py": '"""A module for the cells."""\n\ndef double(x):\n    """Twice x."""\n    return 2 * x\n',
    "broken.py": "def f():\n    return 1 / 0\n\nf()\n",
}


@dataclass
class Message:
    """One message as it came: where, and all its parts. `parent` is the label of the cell it belongs to."""

    channel: str
    parent: str
    msg_type: str
    content: dict[str, Any]
    metadata: dict[str, Any]
    topic: str = ""
    buffers: list[bytes] = field(default_factory=list)


Transcript = dict[str, list[Message]]  # label of the cell ("" for none) -> its messages


@dataclass
class Flavour:
    """A kind of kernel: argv with {connection_file}."""

    name: str
    argv: list[str]
    is_inside: bool = False  # in the sandbox of HUSK_TEST_PROFILE


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Kernel:
    """A running kernel with one client. A context manager; leaves no process and no file."""

    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self.directory = Path(tempfile.mkdtemp(prefix="husk-diff-"))
        self.work, self.home, self.scratch = (self.directory / name for name in ("work", "home", "tmp"))
        for place in (self.work, self.home, self.scratch):
            place.mkdir()
        for name, text in FILES.items():
            (self.work / name).write_text(text)
        self.session = Session(key=uuid.uuid4().hex.encode(), username="tester")
        self.context = zmq.Context()
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        self.poller = zmq.Poller()
        self.labels: dict[str, str] = {}  # message id -> label
        self.transcript: Transcript = {}
        self.sessions_seen: set[str] = set()

    def __enter__(self) -> Kernel:
        ports = _free_ports(5)
        connection = dict(zip(("shell_port", "control_port", "stdin_port", "iopub_port", "hb_port"), ports))
        file = self.directory / "connection.json"
        text = json.dumps(
            connection
            | {"transport": "tcp", "ip": "127.0.0.1", "key": self.session.key.decode()}
            | {"signature_scheme": "hmac-sha256", "kernel_name": ""}
        )
        file.write_text(text)
        file.chmod(0o600)
        for channel, port in zip(CHANNELS, ports):
            s = self.context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
            s.setsockopt(zmq.LINGER, 0)
            s.setsockopt(zmq.RCVHWM, 0)
            if channel == "iopub":
                s.setsockopt(zmq.SUBSCRIBE, b"")
            else:
                s.setsockopt(zmq.ROUTING_ID, self.session.bsession)
            s.connect(f"tcp://127.0.0.1:{port}")
            self.sockets[channel] = s
            self.poller.register(s, zmq.POLLIN)
        self.log = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            [str(file) if arg == "{connection_file}" else arg for arg in self.flavour.argv] + self._profile(),
            cwd=self.work,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.session.send(self.sockets["control"], "shutdown_request", {"restart": False})
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()
        for s in self.sockets.values():
            s.close()
        self.context.term()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        keep = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")
        env = {k: v for k, v in os.environ.items() if k in keep} | (inside.VARIABLES if inside.NAME else {})
        home = str(self.home)
        fixed = {"HOME": home, "MPLCONFIGDIR": home + "/.config/matplotlib", "PYTHONHASHSEED": "0", "TZ": "UTC"}
        return env | fixed | {"JPY_PARENT_PID": str(os.getpid()), "TMPDIR": str(self.scratch)}

    def _profile(self) -> list[str]:
        if not self.flavour.is_inside:
            return []
        return ["--profile", inside.write_profile(self.directory / "tested.conf", self.work, {"TZ": "UTC"})]

    def places(self) -> dict[str, str]:
        """What the cells see of where they run: path -> name."""
        outside = {self.work: "WORKDIR", self.home: "HOME", self.scratch: "TMPDIR", self.directory: "DIRECTORY"}
        outside |= {Path(inside.SCRATCH): "TMPDIR"} if inside.NAME else {}
        shut_in = {inside.WORKSPACE: "WORKDIR", inside.HOME: "HOME", inside.SCRATCH: "TMPDIR"}
        return {str(path): name for path, name in (shut_in if self.flavour.is_inside else outside).items()}

    def log_tail(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    def _wait_ready(self) -> None:
        """Until both shell and the subscription surely work."""
        deadline = time.monotonic() + START_TIMEOUT
        shell_ready = iopub_ready = False
        while not (shell_ready and iopub_ready):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.flavour.name} did not start: {self.log_tail()}")
            request = self.session.send(self.sockets["shell"], "kernel_info_request", {})
            self.labels[request["header"]["msg_id"]] = GREETING
            quiet = time.monotonic() + 1.0
            while time.monotonic() < quiet and not (shell_ready and iopub_ready):
                for message, header, parent in self._receive(100):
                    ours = parent.get("msg_id") == request["header"]["msg_id"]
                    shell_ready |= message.channel == "shell"
                    idle = message.channel == "iopub" and message.content.get("execution_state") == "idle"
                    iopub_ready |= ours and idle
                    self.sessions_seen.add(header["session"])

    def _receive(self, timeout_ms: int) -> list[tuple[Message, dict[str, Any], dict[str, Any]]]:
        """What has come: (message, header, parent header), iopub in its order."""
        result = []
        for s, _ in self.poller.poll(timeout_ms):
            channel = next(name for name, candidate in self.sockets.items() if candidate is s)
            frames, parts = self.session.feed_identities(s.recv_multipart())
            got = self.session.deserialize(parts)
            topic = frames[0].decode(errors="replace") if channel == "iopub" and frames else ""
            label = self.labels.get(got["parent_header"].get("msg_id", ""), "")
            message = Message(
                channel, label, got["header"]["msg_type"], got["content"], got["metadata"], topic,
                [bytes(b) for b in got["buffers"]],
            )  # fmt: skip
            result.append((message, got["header"], got["parent_header"]))
        return result

    def _send(self, channel: str, msg_type: str, content: dict[str, Any], label: str, metadata: Any = None) -> None:
        message = self.session.msg(msg_type, content, metadata=metadata)
        self.labels[message["header"]["msg_id"]] = label
        self.session.send(self.sockets[channel], message)

    def _take(self, timeout_ms: int, waiting: dict[str, set[str]], answers: list[str]) -> None:
        """Records what has come; removes "reply" and "idle" from what each cell still waits for."""
        for message, header, _ in self._receive(timeout_ms):
            self.sessions_seen.add(header["session"])
            if message.msg_type == "iopub_welcome" or message.content.get("execution_state") == "starting":
                continue
            if message.parent == GREETING:
                continue
            self.transcript.setdefault(message.parent, []).append(message)
            pending = waiting.get(message.parent, set())
            if message.channel == "stdin":
                reply = {"value": answers.pop(0) if answers else "\x04"}
                self.session.send(self.sockets["stdin"], "input_reply", reply, parent=header)
            elif message.channel != "iopub":
                pending.discard("reply")
            elif message.content.get("execution_state") == "idle":
                pending.discard("idle")

    def run(self, cells: list[Cell]) -> Transcript:
        """All cells in turn. A cell that is never answered ends the session with a message of type "(no answer)"."""
        waiting: dict[str, set[str]] = {}
        for cell in cells:
            channel, msg_type, content = cell.message()
            no_reply = msg_type.startswith("comm_") and msg_type != "comm_info_request"
            waiting[cell.label] = {"idle"} if no_reply else {"reply", "idle"}
            self.transcript.setdefault(cell.label, [])
            self._send(channel, msg_type, content, cell.label, cell.options.get("metadata"))
            if not cell.options.get("queue") and not self._finish(cell, waiting):
                return self.transcript
        late = time.monotonic() + LATE
        while time.monotonic() < late:
            self._take(50, waiting, [])
        if len(self.sessions_seen) != 1:
            self.transcript[""] = [Message("", "", "(several session ids)", {}, {})]
        return self.transcript

    def _finish(self, cell: Cell, waiting: dict[str, set[str]]) -> bool:
        """Waits until all that was sent is answered. False: it was not."""
        deadline = time.monotonic() + cell.options.get("timeout", REPLY_TIMEOUT)
        interrupt = time.monotonic() + cell.options["interrupt"] if "interrupt" in cell.options else None
        answers = list(cell.options.get("stdin", []))
        while any(waiting.values()):
            now = time.monotonic()
            if interrupt and now >= interrupt:
                self._send("control", "interrupt_request", {}, cell.label + "+interrupt")
                waiting[cell.label + "+interrupt"] = {"reply", "idle"}
                interrupt = None
            if now > deadline or self.process.poll() is not None:
                left = sorted(label for label, what in waiting.items() if what)
                why = "(no answer)" if self.process.poll() is None else "(the kernel ended)"
                self.transcript[cell.label].append(Message("", "", why, {"unfinished": left}, {}))
                return False
            self._take(50 if interrupt else 200, waiting, answers)
        waiting.clear()
        return True


def record(flavour: Flavour, cells: list[Cell]) -> tuple[Transcript, dict[str, str]]:
    """The transcript of a session in a fresh kernel, and the words to normalise: what was, what it is to be called."""
    with Kernel(flavour) as kernel:
        words = kernel.places() | {kernel.session.session: "CLIENTSESSION"}
        transcript = kernel.run(cells)
        return transcript, words | {msg_id: f"REQUEST {label}" for msg_id, label in kernel.labels.items()}
