# SPDX-License-Identifier: Apache-2.0
"""A kernel process and raw signed clients, independent of jupyter_client, for end-to-end tests.

`Kernel` starts a kernel from argv with a connection file of its own and knows how to look at its processes.
`Client` speaks the five channels over pyzmq, verifies and records every message in order of arrival, and can also
send what no honest client sends. Nothing here sleeps to synchronise: everything waits for a condition with a bound.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)")
HEADER_FIELDS = ("msg_id", "session", "username", "date", "msg_type", "version")
WAIT = float(os.environ.get("HUSK_TEST_WAIT", "20"))  # seconds; bound of one wait, not an expectation
UNDER_TEST = os.environ.get("HUSK_UNDER_TEST", "husk")
IS_HUSK = UNDER_TEST != "ipykernel"
TEST_PYTHON = os.environ.get("HUSK_TEST_PYTHON", sys.executable)
# At level restricted a tenant of root has no root of its own file system: its interpreter must be open to all users.
OPEN_PYTHON = "/usr/bin/python3" if os.geteuid() == 0 else TEST_PYTHON


def is_sanitized() -> bool:
    """Whether husk-kernel was built with AddressSanitizer: its memory is then several times as large."""
    program = os.environ.get("HUSK_KERNEL")
    return bool(IS_HUSK and program and b"__asan_init" in Path(program).read_bytes())


SANITIZED = is_sanitized()


def megabytes(n: int) -> int:
    """A bound on a kernel's memory in bytes, with room for what a sanitizer adds."""
    return (n << 20) * (4 if SANITIZED else 1)


class KernelDied(AssertionError):
    """The kernel process ended while a test waited for a message."""


def wait_until(claim: Callable[[], Any], what: str, timeout: float = WAIT) -> Any:
    """Returns the first true value of claim(), asked every few ms; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = claim()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for: {what}")
        select.select([], [], [], pause)
        pause = min(pause * 1.5, 0.05)


def strict_json(frame: bytes) -> Any:
    """Parses as a browser would: UTF-8, no NaN, no Infinity."""

    def refuse(token: str) -> None:
        raise AssertionError(f"not strict JSON: bare {token}")

    return json.loads(frame.decode("utf-8", "strict"), parse_constant=refuse)


# --- /proc -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    name: str
    state: str
    ppid: int
    pgrp: int
    session: int


def processes() -> list[Process]:
    """Every process of the machine, zombies included."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                text = Path("/proc", entry, "stat").read_text(errors="replace")
                head, _, tail = text.rpartition(")")
                rest = tail.split()
                name = head.partition("(")[2]
                found.append(Process(int(entry), name, rest[0], int(rest[1]), int(rest[2]), int(rest[3])))
    return found


def descendants(pid: int) -> list[Process]:
    """Living children of pid, their children, and so on."""
    everything = processes()
    found: list[Process] = []
    parents = {pid}
    while parents:
        fresh = [p for p in everything if p.ppid in parents and p.state != "Z"]
        found += fresh
        parents = {p.pid for p in fresh}
    return found


def memory(pid: int, what: str = "VmRSS") -> int:
    """A memory figure of /proc/PID/status in bytes (VmRSS, VmHWM, ...); 0 when the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path("/proc", str(pid), "status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
    return 0


def descriptors(pid: int | str = "self") -> dict[int, str]:
    """Open descriptors of a process and what they point to."""
    found = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
    return found


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass
class Message:
    """One received message, verified."""

    channel: str
    identities: list[bytes]  # what came before the delimiter: the topic on iopub
    header: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    buffers: list[bytes]
    frames: list[bytes]
    number: int  # order of arrival at this client

    @property
    def type(self) -> str:
        return self.header["msg_type"]

    @property
    def topic(self) -> bytes:
        return self.identities[0] if self.identities else b""

    @property
    def parent_id(self) -> str:
        return self.parent.get("msg_id", "")

    @property
    def date(self) -> datetime:
        return datetime.fromisoformat(self.header["date"].replace("Z", "+00:00"))

    def __str__(self) -> str:
        return f"{self.number:4} {self.channel:7} {self.type:20} <- {self.parent_id[-12:]:12} {str(self.content)[:300]}"


class Signer:
    """HMAC over the four JSON frames."""

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        self.key = key
        self.digest = scheme.partition("-")[2]
        getattr(hashlib, self.digest)

    def sign(self, frames: Iterable[bytes]) -> bytes:
        """Lower-case hex digest; empty when the key is empty."""
        if not self.key:
            return b""
        mac = hmac.new(self.key, digestmod=self.digest)
        for frame in frames:
            mac.update(frame)
        return mac.hexdigest().encode()


@dataclass
class Turn:
    """Everything that came back for one request."""

    msg_id: str
    reply: Message
    iopub: list[Message]

    @property
    def content(self) -> dict[str, Any]:
        return self.reply.content

    @property
    def status(self) -> str:
        return self.reply.content.get("status", "")

    @property
    def verdict(self) -> str:
        return self.reply.metadata.get("husk", {}).get("verdict", "")

    def of(self, *types: str) -> list[Message]:
        return [m for m in self.iopub if m.type in types]

    @property
    def types(self) -> list[str]:
        """Types on iopub in order; states instead of "status"; neighbouring pieces of one stream as one."""
        names: list[str] = []
        for m in self.iopub:
            name = m.content["execution_state"] if m.type == "status" else m.type
            name = m.content["name"] if m.type == "stream" else name
            if not (m.type == "stream" and names and names[-1] == name):
                names.append(name)
        return names

    def text(self, stream: str) -> str:
        return "".join(m.content["text"] for m in self.of("stream") if m.content["name"] == stream)

    @property
    def stdout(self) -> str:
        return self.text("stdout")

    @property
    def stderr(self) -> str:
        return self.text("stderr")

    @property
    def result(self) -> str | None:
        """text/plain of the execute_result."""
        found = self.of("execute_result")
        assert len(found) <= 1, found
        return found[0].content["data"]["text/plain"] if found else None

    @property
    def error(self) -> dict[str, Any] | None:
        found = self.of("error")
        assert len(found) <= 1, found
        return found[0].content if found else None

    def ok(self) -> Turn:
        assert self.status == "ok", self.content
        return self

    def failed(self, ename: str) -> Turn:
        assert (self.status, self.content.get("ename")) == ("error", ename), self.content
        return self


def use_curve(socket: zmq.Socket, server_key: bytes) -> None:
    """Makes the socket a CURVE client, with keys of its own, of a server with this public key."""
    socket.curve_serverkey = server_key
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()


class Client:
    """A raw client of one kernel. Reads and verifies everything, in order; keeps it in `log`."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        identity: bytes | None = None,
        subscribe: bytes | None = b"",
        session: str | None = None,
        options: dict[str, dict[int, Any]] | None = None,
    ) -> None:
        self.kernel = kernel
        self.info = kernel.connection
        self.signer = Signer(self.info["key"].encode(), self.info["signature_scheme"])
        self.session = session or uuid.uuid4().hex
        self.identity = identity if identity is not None else uuid.uuid4().hex.encode()
        self.log: list[Message] = []
        self.ids: set[str] = set()
        self.sent: dict[str, dict[str, Any]] = {}  # msg_id -> header as sent
        self.serial = 0
        self.context = zmq.Context()
        self.sockets: dict[str, zmq.Socket] = {}
        self.poller = zmq.Poller()
        kinds = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB, "hb": zmq.REQ}
        for channel, kind in kinds.items():
            socket = self.context.socket(kind)
            socket.linger = 0
            socket.rcvhwm = socket.sndhwm = 0
            if kind == zmq.DEALER:
                socket.identity = self.identity
            if server_key := self.info.get("curve_publickey"):
                use_curve(socket, server_key.encode())
            for option, value in (options or {}).get(channel, {}).items():
                socket.setsockopt(option, value)
            socket.connect(kernel.endpoint(channel))
            if channel == "iopub" and subscribe is not None:
                socket.subscribe(subscribe)
            self.sockets[channel] = socket
            if channel != "hb":
                self.poller.register(socket, zmq.POLLIN)

    # sending

    def header(self, msg_type: str, **extra: Any) -> dict[str, Any]:
        """A fresh header."""
        self.serial += 1
        header = {
            "msg_id": f"{self.session}_{self.serial}",
            "session": self.session,
            "username": "tester",
            "date": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "msg_type": msg_type,
            "version": "5.4",
        }
        header.update(extra)
        return header

    def frames(
        self,
        header: dict[str, Any] | bytes,
        content: Any = None,
        *,
        parent: Any = None,
        metadata: Any = None,
        buffers: Sequence[bytes] = (),
        signature: bytes | None = None,
    ) -> list[bytes]:
        """Signed frames from the delimiter on. Bytes are taken as they are; `signature` replaces the right one."""
        parts = [
            part if isinstance(part, bytes) else json.dumps(part if part is not None else {}).encode()
            for part in (header, parent, metadata, content)
        ]
        sig = self.signer.sign(parts) if signature is None else signature
        return [DELIMITER, sig, *parts, *buffers]

    def send_frames(self, channel: str, frames: Sequence[bytes]) -> None:
        self.sockets[channel].send_multipart(list(frames))

    def send(
        self,
        msg_type: str,
        content: Any = None,
        *,
        channel: str = "shell",
        header: dict[str, Any] | None = None,
        prefix: Sequence[bytes] = (),
        **more: Any,
    ) -> str:
        """Sends a signed message and returns its msg_id. `header` adds or replaces header fields."""
        full = self.header(msg_type, **(header or {}))
        self.sent[full["msg_id"]] = full
        self.send_frames(channel, [*prefix, *self.frames(full, content, **more)])
        return full["msg_id"]

    # receiving

    def _accept(self, channel: str, frames: list[bytes]) -> Message:
        where = f"{channel}: {[f[:200] for f in frames]}"
        assert DELIMITER in frames, f"no delimiter: {where}"
        at = frames.index(DELIMITER)
        assert len(frames) >= at + 6, f"too few frames: {where}"
        signature, *parts = frames[at + 1 : at + 6]
        assert signature == self.signer.sign(parts), f"wrong signature: {where}"
        header, parent, metadata, content = (strict_json(part) for part in parts)
        for part in (header, parent, metadata, content):
            assert isinstance(part, dict), f"not an object: {where}"
        for name in HEADER_FIELDS:
            assert isinstance(header.get(name), str) and header[name], f"header.{name}: {where}"
        assert DATE.fullmatch(header["date"]), f"header.date {header['date']!r}: {where}"
        assert header["msg_id"] not in self.ids, f"msg_id came twice: {where}"
        self.ids.add(header["msg_id"])
        message = Message(
            channel, frames[:at], header, parent, metadata, content, frames[at + 6 :], frames, len(self.log)
        )
        self.log.append(message)
        return message

    def pump(self, timeout: float = 0.0) -> int:
        """Takes in what is there (of a flood, a part), waiting up to timeout seconds for the first; returns how many."""
        taken = 0
        wait = int(timeout * 1000)
        for _ in range(20):
            ready = dict(self.poller.poll(wait))
            wait = 0
            if not ready:
                break
            for channel in ("iopub", "stdin", "control", "shell"):
                socket = self.sockets[channel]
                if socket not in ready:
                    continue
                with contextlib.suppress(zmq.Again):
                    for _ in range(1000):  # a flood on one channel must not hide the others
                        frames = socket.recv_multipart(zmq.NOBLOCK)
                        self._accept(channel, frames)
                        taken += 1
        return taken

    def wait(self, claim: Callable[[Message], Any], what: str, timeout: float = WAIT, start: int = 0) -> Message:
        """The first message from number `start` on for which claim() holds."""
        deadline = time.monotonic() + timeout
        at = start
        while True:
            while at < len(self.log):
                if claim(self.log[at]):
                    return self.log[at]
                at += 1
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"waited {timeout} s in vain for: {what}")
            if not self.pump(min(left, 0.2)) and self.kernel.exit_code() is not None and not self.pump(0.1):
                raise KernelDied(f"kernel ended ({self.kernel.exit_code()}) while waiting for: {what}")

    def reply(self, msg_id: str, timeout: float = WAIT) -> Message:
        return self.wait(
            lambda m: m.channel in ("shell", "control") and m.parent_id == msg_id, f"reply to {msg_id}", timeout
        )

    def state(self, msg_id: str, state: str, timeout: float = WAIT) -> Message:
        return self.wait(
            lambda m: m.type == "status" and m.parent_id == msg_id and m.content["execution_state"] == state,
            f"{state} of {msg_id}",
            timeout,
        )

    def finish(self, msg_id: str, timeout: float = WAIT) -> Turn:
        """Waits for reply and idle, checks that there is one of each and one busy."""
        reply = self.reply(msg_id, timeout)
        self.state(msg_id, "idle", timeout)
        iopub = [m for m in self.log if m.channel == "iopub" and m.parent_id == msg_id]
        replies = [m for m in self.log if m.channel in ("shell", "control") and m.parent_id == msg_id]
        states = [m.content["execution_state"] for m in iopub if m.type == "status"]
        assert len(replies) == 1, [str(m) for m in replies]
        assert states == ["busy", "idle"], states
        assert iopub[0].type == "status", [str(m) for m in iopub]
        return Turn(msg_id, reply, iopub)

    def request(self, msg_type: str, content: Any = None, *, timeout: float = WAIT, **more: Any) -> Turn:
        """Sends, and waits for reply and idle."""
        return self.finish(self.send(msg_type, content, **more), timeout)

    def send_code(self, code: str, *, channel: str = "shell", metadata: Any = None, **content: Any) -> str:
        full = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        full.update(content)
        return self.send("execute_request", full, channel=channel, metadata=metadata)

    def execute(self, code: str, *, timeout: float = WAIT, **more: Any) -> Turn:
        """Runs a cell, and waits for reply and idle."""
        return self.finish(self.send_code(code, **more), timeout)

    def stream(self, msg_id: str, text: str, timeout: float = WAIT) -> Message:
        """Waits until the streams of a request hold `text` somewhere."""
        seen: list[str] = []

        def claim(m: Message) -> bool:
            if m.type == "stream" and m.parent_id == msg_id:
                seen.append(m.content["text"])
            return text in "".join(seen)

        return self.wait(claim, f"{text!r} in the output of {msg_id}", timeout)

    def asked(self, msg_id: str, timeout: float = WAIT, start: int = 0) -> Message:
        """Waits for the input_request of a cell."""
        return self.wait(lambda m: m.type == "input_request" and m.parent_id == msg_id, "input_request", timeout, start)

    def answer(self, request: Message, value: str) -> str:
        return self.send("input_reply", {"value": value}, channel="stdin", parent=request.header)

    def barrier(self, channel: str = "shell") -> Turn:
        """A kernel_info round trip on the channel: whatever was sent before it has been judged when it returns."""
        return self.request("kernel_info_request", channel=channel)

    def heartbeat(self, payload: bytes = b"ping", timeout: float = WAIT) -> bytes:
        socket = self.sockets["hb"]
        socket.send(payload)
        assert socket.poll(int(timeout * 1000)), "no heartbeat"
        return socket.recv()

    def of(self, msg_id: str) -> list[Message]:
        return [m for m in self.log if m.parent_id == msg_id]

    def close(self) -> None:
        if not self.context.closed:
            self.context.destroy(linger=0)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- the kernel process ----------------------------------------------------------------------------------------------


def kernel_argv(connection_file: Path | str, *args: str) -> list[str]:
    """The command that starts the kernel under test."""
    if not IS_HUSK:
        return [TEST_PYTHON, "-m", "ipykernel_launcher", "-f", str(connection_file), *args]
    return [*husk_argv(), "--python", TEST_PYTHON, "-f", str(connection_file), *args]


def husk_argv() -> list[str]:
    """husk-kernel alone."""
    program = os.environ.get("HUSK_KERNEL")
    assert program, "HUSK_KERNEL must name the husk-kernel to test"
    return [program, *shlex.split(os.environ.get("HUSK_KERNEL_ARGS", ""))]


@dataclass
class Kernel:
    """One kernel process with a connection file of its own below `directory`."""

    directory: Path
    args: Sequence[str] = ()
    members: dict[str, Any] = field(default_factory=dict)  # added to or replacing members of the connection file
    env: dict[str, str | None] = field(default_factory=dict)  # None removes
    expect_stderr: Sequence[str] = ()  # patterns of lines that may appear
    expect_exit: Sequence[int] = (0,)
    argv: Sequence[str] | None = None
    prepare: Callable[[], None] | None = None  # runs in the child before exec
    file: Path | None = None
    new_session: bool = True

    def __post_init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[Client] = []
        self.key = uuid.uuid4().hex
        self.connection: dict[str, Any] = {}
        self.stderr_path = self.directory / f"stderr-{self.key[:8]}"
        if self.file is None:
            self.file = self.directory / f"kernel-{self.key[:8]}.json"
            self.write_connection()

    def write_connection(self) -> None:
        assert self.file is not None
        info: dict[str, Any] = {f"{channel}_port": 0 for channel in CHANNELS}
        info |= {"transport": "tcp", "ip": "127.0.0.1", "key": self.key, "signature_scheme": "hmac-sha256"}
        info |= {"kernel_name": "husk"} | self.members
        self.file.write_text(json.dumps(info))
        self.file.chmod(0o600)

    def environment(self) -> dict[str, str]:
        env = dict(os.environ)
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "JPY_PARENT_PID", "PYTEST_CURRENT_TEST"):
            env.pop(name, None)
        env["TMPDIR"] = str(self.directory / "tmp")
        env["JUPYTER_RUNTIME_DIR"] = str(self.directory / "runtime")
        for name, value in self.env.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        return env

    def start(self, *, wait: bool = True) -> Kernel:
        """Starts the process; with wait, until the connection file names real ports."""
        (self.directory / "tmp").mkdir(exist_ok=True)
        command = list(self.argv) if self.argv is not None else kernel_argv(self.file, *self.args)
        with self.stderr_path.open("ab") as stderr:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                cwd=self.directory,
                env=self.environment(),
                start_new_session=self.new_session,
                preexec_fn=self.prepare,
            )
        if wait:
            wait_until(self._ports, "ports in the connection file")
        return self

    def _ports(self) -> bool:
        assert self.file is not None
        assert self.exit_code() is None, f"kernel ended at start: {self.exit_code()}\n{self.stderr()}"
        try:
            self.connection = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return False
        return all(int(self.connection.get(f"{channel}_port", 0)) for channel in CHANNELS)

    def endpoint(self, channel: str) -> str:
        info = self.connection
        glue = "-" if info["transport"] == "ipc" else ":"
        ip = "127.0.0.1" if info["ip"] in ("*", "0.0.0.0") else info["ip"]
        return f"{info['transport']}://{ip}{glue}{info[channel + '_port']}"

    def connect(self, *, ready: bool = True, **more: Any) -> Client:
        """A new client; with ready, one whose subscription is known to be in force (nothing is in its log then but
        the welcome)."""
        client = Client(self, **more)
        self.clients.append(client)
        if ready and IS_HUSK:
            client.wait(lambda m: m.type == "iopub_welcome", "iopub_welcome")
        elif ready:
            self._nudge(client)
        return client

    @staticmethod
    def _nudge(client: Client) -> None:
        """ipykernel welcomes only the first subscriber: ask until something arrives on iopub, then forget it."""
        asked = []
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            asked.append(client.send("kernel_info_request"))
            with contextlib.suppress(AssertionError):
                client.state(asked[-1], "idle", 0.3)
                break
        for msg_id in asked:
            client.reply(msg_id)
        client.state(asked[-1], "idle")
        client.log = [m for m in client.log if m.type == "iopub_welcome"]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def exit_code(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def wait_exit(self, timeout: float = WAIT) -> int:
        """Waits for the process to end by its pidfd."""
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            return code
        pidfd = os.pidfd_open(self.pid)
        try:
            ready, _, _ = select.select([pidfd], [], [], timeout)
        finally:
            os.close(pidfd)
        assert ready, f"kernel still there after {timeout} s\n{self.stderr()}"
        return self.process.wait()

    def interrupt(self) -> None:
        """As jupyter_client does: SIGINT to the group."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def unexpected_stderr(self) -> list[str]:
        patterns = [re.compile(p) for p in self.expect_stderr]
        return [line for line in self.stderr().splitlines() if line and not any(p.search(line) for p in patterns)]

    def members_of_session(self) -> list[Process]:
        """Living processes of the kernel's session or group, the kernel included."""
        return [p for p in processes() if self.pid in (p.session, p.pgrp, p.pid) and p.state != "Z"]

    def workers(self) -> list[Process]:
        """Direct children of the kernel process."""
        return [p for p in processes() if p.ppid == self.pid and p.state != "Z"]

    def shut_down(self) -> int:
        """Ends the kernel by a shutdown_request on control; returns its exit code."""
        if self.exit_code() is None:
            client = self.connect(ready=False, subscribe=None)
            client.send("shutdown_request", {"restart": False}, channel="control")
        return self.wait_exit()

    def close_clients(self) -> None:
        for client in self.clients:
            client.close()

    def report(self) -> Iterator[tuple[str, str]]:
        """What helps to understand a failure: titles and texts."""
        yield "kernel", f"pid {self.pid}, exit code {self.exit_code()}"
        if self.stderr():
            yield "kernel stderr", self.stderr()[-4000:]
        for n, client in enumerate(self.clients):
            yield f"client {n} received", "\n".join(map(str, client.log[-60:]))
