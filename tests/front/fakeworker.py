# SPDX-License-Identifier: Apache-2.0
"""A worker for tests of the front: speaks the link, and runs each cell as a script that says what to send.

Run as the launcher would be (descriptors 3 to 7), with nothing but the standard library. The script of a cell sees `w`
(class Worker) and the fields of its frame as `f`; when it has not sent a REPLY or ANSWER itself, a good one follows.
FAKE_BOOT holds a script that runs before HELLO; it may set w.hello, w.ready to False.
"""

from __future__ import annotations

import array
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from typing import Any

START, EXECUTE, REQUEST, INPUT_REPLY, TOLD, SHUTDOWN, ATTACH, INTERRUPT = range(1, 9)
HELLO, READY, FATAL, DISPLAY, PUBLISH, ERROR, REPLY, ANSWER, ASK_INPUT, ASK, EXIT, AWAIT = range(64, 76)
RING_DATA, RING_SIZE, RING_MARKS, N_MARKS = 20480, 2 << 20, 128, 1024


def pack(value: Any) -> bytes:
    """Msgpack of None, bool, int, str, bytes, list, dict."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">Bq", 0xD3, value) if value < 0 else struct.pack(">BQ", 0xCF, value)
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return struct.pack(">BI", 0xDB, len(data)) + data
    if isinstance(value, bytes):
        return struct.pack(">BI", 0xC6, len(value)) + value
    if isinstance(value, dict):
        return struct.pack(">BI", 0xDF, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())
    return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(pack, value))


class Unpacker:
    """Msgpack of what a front sends."""

    FIXED = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    SIZED = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self) -> Any:
        tag = self.take(1)[0]
        if tag < 0x80:
            return tag
        if tag in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[tag]
        if tag in self.FIXED:
            return self.number(self.FIXED[tag])
        if tag in self.SIZED or 0xA0 <= tag < 0xC0:
            raw = self.take(self.number(self.SIZED[tag]) if tag in self.SIZED else tag & 31)
            return raw if tag in (0xC4, 0xC5, 0xC6) else raw.decode("utf-8", "surrogatepass")
        if tag in (0xDC, 0xDD) or 0x90 <= tag < 0xA0:
            n = self.number(">H" if tag == 0xDC else ">I") if tag >= 0xDC else tag & 15
            return [self.value() for _ in range(n)]
        n = self.number(">H" if tag == 0xDE else ">I") if tag >= 0xDE else tag & 15
        return {self.value(): self.value() for _ in range(n)}


class Worker:
    """One link; the first one also has the ring."""

    def __init__(self, fd: int, parent: Worker | None = None) -> None:
        self.link = socket.socket(fileno=fd)
        self.parent = parent
        self.inbox = b""
        self.fds: list[int] = []
        self.lock = threading.Lock()
        self.turn = 0
        self.answered = False
        self.kept: dict[str, Any] = {}  # for scripts
        if parent:
            self.ring, self.head, self.marks = parent.ring, 0, 0
        else:
            self.ring = mmap.mmap(4, RING_DATA + RING_SIZE)
            self.head = self.marks = 0

    # ring

    # In native form a word is read and written at once; struct's "<Q" goes byte by byte, which the front could see.

    def word(self, offset: int, form: str = "<Q") -> int:
        size = struct.calcsize(form)
        with memoryview(self.ring) as view, view[offset : offset + size] as part, part.cast(form[-1]) as word:
            return word[0]

    def put(self, offset: int, value: int, form: str = "<Q") -> None:
        size = struct.calcsize(form)
        with memoryview(self.ring) as view, view[offset : offset + size] as part, part.cast(form[-1]) as word:
            word[0] = value

    def write(self, text: str | bytes, stream: int = 0, turn: int | None = None) -> None:
        """Text into the ring; sleeps while it is full."""
        data = text.encode() if isinstance(text, str) else text
        mark = struct.pack("<QII", self.head, self.turn if turn is None else turn, stream)
        offset = RING_MARKS + self.marks % N_MARKS * 16
        self.ring[offset : offset + 16] = mark
        self.marks += 1
        self.put(16, self.marks)
        while data:
            room = RING_SIZE - (self.head - self.word(64))
            at = self.head % RING_SIZE
            piece = data[: min(room, RING_SIZE - at)]
            self.ring[RING_DATA + at : RING_DATA + at + len(piece)] = piece
            before, self.head = self.head, self.head + len(piece)
            self.put(8, self.head)
            data = data[len(piece) :]
            if data or before < self.word(80) <= self.head:
                os.write(5, struct.pack("=Q", 1))
            if not piece:
                time.sleep(0.0005)

    def flood(self, size: int = 1 << 16, stop: Any = lambda: False) -> None:
        """Writes without end."""
        line = b"x" * (size - 1) + b"\n"
        while not stop():
            self.write(line)

    # link

    def raw(self, data: bytes) -> None:
        with self.lock:
            self.link.sendall(data)

    def send(self, kind: int, fields: Any, ring_pos: int | None = None) -> None:
        self.raw(self.frame(kind, fields, ring_pos))

    def frame(self, kind: int, fields: Any, ring_pos: int | None = None) -> bytes:
        body = pack(fields)
        return struct.pack("<IBBHQ", len(body), 1, kind, 0, self.head if ring_pos is None else ring_pos) + body

    def recv(self) -> tuple[int, Any]:
        """The next frame; ends the process when the front has gone (a subshell: its thread)."""
        while True:
            if len(self.inbox) >= 16:
                size, kind = struct.unpack_from("<IxB", self.inbox)
                if len(self.inbox) >= 16 + size:
                    body, self.inbox = self.inbox[16 : 16 + size], self.inbox[16 + size :]
                    return kind, Unpacker(body).value()
            data, control, _, _ = self.link.recvmsg(1 << 20, 256)
            for _, _, fds in control:
                self.fds += array.array("i", fds[: len(fds) // 4 * 4])
            if not data:
                if self.parent:
                    raise SystemExit
                os._exit(0)
            self.inbox += data

    def wait_for(self, kind: int) -> Any:
        while True:
            got, fields = self.recv()
            if got == kind:
                return fields

    # what scripts say

    def result(self, text: str) -> None:
        self.send(DISPLAY, [self.turn, 2, self.count, [["text/plain", 0, text]], None, None, []])

    def reply(self, status: int = 0, next_count: int | None = None, error: Any = None, history: Any = True, **more: Any) -> None:
        self.answered = True
        turn = more.get("turn", self.turn)
        after = self.count + 1 if next_count is None else next_count
        self.send(REPLY, [turn, status, self.count, after, None, None, error, history, more.get("output")])

    def error(self, name: str = "E", value: str = "v") -> None:
        self.send(ERROR, [self.turn, name, value, ["tb"]])
        self.reply(1, error=[name, value, ["tb"]])

    def answer(self, content: bytes = b'{"status":"ok"}', turn: int | None = None) -> None:
        self.answered = True
        self.send(ANSWER, [self.turn if turn is None else turn, content, None, []])

    def ask(self, prompt: str = "? ") -> Any:
        """The value of INPUT_REPLY, or None."""
        self.send(ASK_INPUT, [self.turn, prompt, False])
        return self.wait_for(INPUT_REPLY)[1]

    def until_interrupted(self) -> int:
        """Waits for the reserved signal with a turn (without one it only says "look at the link"); returns that turn."""
        while not self.kept.get("signals") or not self.word(92, "<I"):
            time.sleep(0.001)
        return self.word(92, "<I")

    def run(self, kind: int, fields: Any) -> None:
        self.turn, self.answered = fields[0], False
        self.count = fields[7] if kind == EXECUTE else 0
        code = fields[5] if kind == EXECUTE else ""
        if kind == REQUEST and b'"script"' in fields[4]:
            import json

            code = json.loads(fields[4])["script"]
        exec(code, {"w": self, "f": fields, "os": os, "sys": sys, "time": time, "signal": signal, **globals()})
        if not self.answered:
            self.reply() if kind == EXECUTE else self.answer()

    def serve(self) -> None:
        while True:
            kind, fields = self.recv()
            if kind in (EXECUTE, REQUEST):
                self.run(kind, fields)
            elif kind == ATTACH:
                threading.Thread(target=Worker(self.fds.pop(0), self).serve, daemon=True).start()
            elif kind == INTERRUPT:
                self.kept["interrupts"] = self.kept.get("interrupts", 0) + 1
            elif kind == SHUTDOWN:
                os._exit(0)


def main() -> None:
    """The first link."""
    w = Worker(3)
    scope = {"w": w, "os": os, "sys": sys, "time": time, "signal": signal, **globals()}
    interpreter = {"executable": "/x", "version": "3.11.2", "version_text": "3", "ipython": "9", "debugpy": False}

    def noted(*_: Any) -> None:
        w.kept["signals"] = w.kept.get("signals", 0) + 1

    signal.signal(signal.SIGRTMIN + 5, noted)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    w.hello = w.ready = True  # type: ignore[attr-defined]
    exec(os.environ.get("FAKE_BOOT", ""), scope)
    if w.hello:  # type: ignore[attr-defined]
        w.send(HELLO, [1, interpreter])
    exec(os.environ.get("FAKE_HELLO", ""), scope)
    if w.ready:  # type: ignore[attr-defined]
        w.send(READY, [{"pid": os.getpid()}])
    w.serve()


if __name__ == "__main__":
    main()
