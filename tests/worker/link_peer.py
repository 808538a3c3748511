# SPDX-License-Identifier: Apache-2.0
"""The front's end of a link (specs/link.md), for tests that drive a bare worker.

Independent of husk's C code: frames by struct and msgpack, the ring by its layout in protocol/link/ring.h.
"""

import array
import ctypes
import fcntl
import mmap
import os
import platform
import re
import select
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any

import msgpack

ROOT = Path(__file__).resolve().parents[2]
HEADER = struct.Struct("<IBBHQ")
VERSION = 1
DATA_SIZE = 2 << 20
N_MARKS = 1024
MAGIC = 0x6B737568
# Offsets of struct ring_shared.
AT_MAGIC, AT_WRITER_WAITS, AT_HEAD, AT_MARK_HEAD, AT_SEEN = 0, 4, 8, 16, 24
AT_TAIL, AT_MARK_TAIL, AT_WAKE, AT_SEQ, AT_TURN, AT_STAGE, AT_REASON = 64, 72, 80, 88, 92, 96, 100
AT_LIMIT, AT_USED = 104, 112
AT_MARKS = 128
AT_DATA = (AT_MARKS + 16 * N_MARKS + 4095) // 4096 * 4096
SHARED_SIZE = AT_DATA + DATA_SIZE
FUTEX = {"x86_64": 202, "aarch64": 98}[platform.machine()]
RESERVED_SIGNAL = signal.SIGRTMIN + 5
TIMEOUT = 60.0


def frame_types() -> dict[str, int]:
    """Names and numbers of link.def."""
    text = (ROOT / "protocol/link/link.def").read_text()
    return {name: int(number) for name, number in re.findall(r"^LINK\((\w+), (\d+),", text, re.M)}


TYPES = frame_types()
NAMES = {number: name for name, number in TYPES.items()}


def reasons() -> list[tuple[str, str, str, str, str]]:
    """(name, class, sentence, unit, asked) of each row of reason.def; its number is its place."""
    text = (ROOT / "protocol/link/reason.def").read_text()
    return re.findall(r'^REASON\((\w+), "(\w+)", "(.*)", (\w+), (\w+)\)', text, re.M)


REASONS = {name: number for number, (name, *_) in enumerate(reasons())}


class WorkerGone(Exception):
    """The worker's end of the link is closed."""


class Ring:
    """The reader's end of the output ring."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, SHARED_SIZE)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.map = mmap.mmap(self.fd, SHARED_SIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.tail = 0
        self.marks: list[tuple[int, int, int]] = []
        self.n_marks = 0
        self.wake = 1  # the doorbell is wanted when so many bytes are there
        self.put64(AT_WAKE, self.wake)

    def close(self) -> None:
        os.close(self.fd)

    def u32(self, offset: int) -> int:
        return ctypes.c_uint32.from_address(self.address + offset).value

    def u64(self, offset: int) -> int:
        return ctypes.c_uint64.from_address(self.address + offset).value  # at once, not byte by byte

    def put32(self, offset: int, value: int) -> None:
        ctypes.c_uint32.from_address(self.address + offset).value = value

    def put64(self, offset: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.address + offset).value = value

    def _take_marks(self) -> None:
        while self.n_marks < self.u64(AT_MARK_HEAD):
            at = AT_MARKS + 16 * (self.n_marks % N_MARKS)
            self.marks.append(struct.unpack_from("<QII", self.map, at))
            self.n_marks += 1

    def take(self, limit: int | None = None) -> list[tuple[int, int, bytes]]:
        """(turn, stream, text) pieces below position `limit`; room is given back to the writer."""
        head = self.u64(AT_HEAD)
        self._take_marks()
        limit = head if limit is None else min(head, limit)
        pieces = []
        while self.tail < limit:
            while len(self.marks) > 1 and self.marks[1][0] <= self.tail:
                self.marks.pop(0)
            end = min(limit, self.marks[1][0]) if len(self.marks) > 1 else limit
            at = self.tail % DATA_SIZE
            end = min(end, self.tail + DATA_SIZE - at)
            text = self.map[AT_DATA + at : AT_DATA + at + end - self.tail]
            pieces.append((self.marks[0][1], self.marks[0][2], text))
            self.tail = end
        self.put64(AT_TAIL, self.tail)
        self.put64(AT_MARK_TAIL, self.n_marks)
        self.put64(AT_WAKE, self.tail + self.wake)
        self.put32(AT_SEQ, self.u32(AT_SEQ) + 1 & 0xFFFFFFFF)
        if self.u32(AT_WRITER_WAITS):
            self.libc.syscall(FUTEX, ctypes.c_void_p(self.address + AT_SEQ), 1, 1, None, None, 0)
        # What was written before the writer could see where it has to ring is not rung for.
        return pieces + self.take() if limit == head != self.u64(AT_HEAD) else pieces


class Worker:
    """A launched worker and the front's end of its link.

    frames: what reply() has passed since the last cell began, the REPLY included.
    texts: (turn, stream, bytes) of the ring and of the pipes, in the order in which a front publishes them.
    """

    def __init__(self, launcher: str, *arguments: str, env: dict[str, str] | None = None):
        self.ring = Ring()
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.out, out_write = os.pipe2(os.O_CLOEXEC)
        self.err, err_write = os.pipe2(os.O_CLOEXEC)
        for fd in (self.out, self.err):
            os.set_blocking(fd, False)
        ends = [os.open(os.devnull, os.O_RDONLY), out_write, err_write]
        self.pid = spawn([launcher, *arguments], env, [*ends, theirs.fileno(), self.ring.fd, self.bell, self.out, self.err])
        self.pidfd = os.pidfd_open(self.pid)
        self.status: int | None = None
        for fd in ends:
            os.close(fd)
        theirs.close()
        self.buffer = bytearray()
        self.eager = True  # take text as soon as it is there, not only with the frames behind it
        self.texts: list[tuple[int, int, bytes]] = []
        self.frames: list[tuple[str, list[Any]]] = []
        self.turn = 0
        self.ends = {self.out: 0, self.err: 1}

    # ---- frames ----

    def send(self, name: str, fields: list[Any], descriptors: tuple[int, ...] = ()) -> None:
        """Sends one frame; `descriptors` ride with its first byte."""
        body = msgpack.packb(fields)
        frame = HEADER.pack(len(body), VERSION, TYPES[name], 0, 0) + body
        if descriptors:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
            self.sock.sendmsg([frame[:1]], [rights])
            frame = frame[1:]
        self.sock.sendall(frame)

    def _frame_in_buffer(self) -> tuple[str, list[Any]] | None:
        if len(self.buffer) < HEADER.size:
            return None
        size, version, number, reserved, position = HEADER.unpack_from(self.buffer)
        assert version == VERSION and reserved == 0 and number >= 64, "bad header"
        if len(self.buffer) < HEADER.size + size:
            return None
        body = bytes(self.buffer[HEADER.size : HEADER.size + size])
        del self.buffer[: HEADER.size + size]
        self.texts += self.ring.take(position)
        return NAMES[number], msgpack.unpackb(body, strict_map_key=False)

    def _take_pipes(self) -> None:
        for fd, stream in list(self.ends.items()):
            while True:
                try:
                    text = os.read(fd, 65536)
                except BlockingIOError:
                    break
                if not text:
                    del self.ends[fd]
                    break
                self.texts.append((self.turn, stream, text))

    def pump(self, timeout: float) -> None:
        """Waits for something and takes it, as a front does: the ring before the pipes before the link."""
        fds = [self.sock, self.bell, *self.ends]
        ready = select.select(fds, [], [], max(0.0, timeout))[0]
        if not ready:
            return
        if self.bell in ready:
            os.read(self.bell, 8)
        if self.eager:
            self.texts += self.ring.take()
        if self.out in ready or self.err in ready:
            self._take_pipes()
        if self.sock in ready:
            more = self.sock.recv(1 << 20)
            if not more:
                raise WorkerGone(self.buffer)
            self.buffer += more

    def recv(self, timeout: float = TIMEOUT) -> tuple[str, list[Any]]:
        """The next frame as (name, fields)."""
        deadline = time.monotonic() + timeout
        while (frame := self._frame_in_buffer()) is None:
            left = deadline - time.monotonic()
            if left < 0:
                raise TimeoutError(f"no frame within {timeout} s; text so far: {self.texts[-5:]}")
            self.pump(left)
        return frame

    def wait_text(self, text: str, timeout: float = TIMEOUT) -> None:
        """Until the worker has printed `text` since the cell began."""
        deadline = time.monotonic() + timeout
        while text not in self.text():
            left = deadline - time.monotonic()
            if left < 0:
                raise TimeoutError(f"no {text!r} within {timeout} s; text so far: {self.texts[-5:]}")
            self.pump(left)

    def expect(self, name: str, timeout: float = TIMEOUT) -> list[Any]:
        """Fields of the next frame, which must be of this type."""
        got, fields = self.recv(timeout)
        assert got == name, f"{got} {fields} instead of {name}; stderr: {self.text(stream=1)!r}"
        return fields

    # ---- conversations ----

    def start(self) -> list[Any]:
        """HELLO and READY; returns the fields of HELLO."""
        hello = self.expect("HELLO")
        self.expect("READY")
        return hello

    def execute(self, code: str, flags: int = 2, metadata: bytes = b"{}", memory: int | None = None) -> int:
        """Sends EXECUTE; returns its turn. The texts of earlier turns are forgotten. memory: its smaller limit."""
        self.turn += 1
        self.texts.clear()
        self.frames.clear()
        header = b'{"msg_id":"%d","session":"s","msg_type":"execute_request","username":"u"}' % self.turn
        self.send("EXECUTE", [self.turn, header, [b"client"], metadata, flags, code, None, self.turn, memory])
        return self.turn

    def reply(self, timeout: float = TIMEOUT) -> list[Any]:
        """Fields of the REPLY that ends the present turn; other frames of the turn are kept in `frames`."""
        while True:
            name, fields = self.recv(timeout)
            self.frames.append((name, fields))
            if name == "REPLY":
                assert fields[0] == self.turn
                return fields

    def run(self, code: str, metadata: bytes = b"{}") -> list[Any]:
        """Executes a cell; returns the fields of its REPLY."""
        self.execute(code, metadata=metadata)
        return self.reply()

    def ok(self, code: str, metadata: bytes = b"{}") -> str:
        """Executes a cell that must end well; returns its text."""
        fields = self.run(code, metadata)
        assert fields[1] == 0, (fields, self.text())
        return self.text()

    def text(self, turn: int | None = None, stream: int | None = None) -> str:
        """Text published so far, of one turn or stream."""
        parts = [t for n, s, t in self.texts if turn in (None, n) and stream in (None, s)]
        return b"".join(parts).decode(errors="replace")

    def interrupt(self, stage: int = 1, turn: int | None = None, why: tuple[int, int, int] = (0, 0, 0)) -> None:
        """What a front does at each step of an interrupt (specs/link.md 5.1). why: reason, limit, used."""
        self.ring.put64(AT_LIMIT, why[1])
        self.ring.put64(AT_USED, why[2])
        self.ring.put32(AT_REASON, why[0])
        self.ring.put32(AT_STAGE, stage)
        self.ring.put32(AT_TURN, self.turn if turn is None else turn)
        os.kill(self.pid, RESERVED_SIGNAL)

    def clear_interrupt(self) -> None:
        """After the end of the interrupted turn."""
        self.ring.put32(AT_TURN, 0)
        self.ring.put32(AT_STAGE, 0)

    # ---- end ----

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Exit code, or minus the signal; the rest of the text is collected."""
        if self.status is None:
            if not select.select([self.pidfd], [], [], timeout)[0]:
                raise TimeoutError(f"the worker has not ended within {timeout} s")
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.texts += self.ring.take()
        self._take_pipes()
        return self.status

    def close(self) -> None:
        """Ends the worker whatever it does, and closes everything."""
        self.sock.close()
        if self.status is None:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            self.wait()
        for fd in (self.pidfd, self.bell, self.out, self.err):
            os.close(fd)
        self.ring.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def spawn(argv: list[str], env: dict[str, str] | None, descriptors: list[int]) -> int:
    """Starts a program with `descriptors` as its 0, 1, 2, ... and no other; returns its pid."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in descriptors]
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)]
    try:
        return os.posix_spawn(argv[0], argv, os.environ if env is None else env, file_actions=actions)
    finally:
        for fd in high:
            os.close(fd)
