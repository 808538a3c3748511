# SPDX-License-Identifier: Apache-2.0
"""ZMTP by hand, for clients with bad manners: nothing here checks what it sends."""

from __future__ import annotations

import socket
import struct

from husk import Kernel

MORE, LONG, COMMAND = 1, 2, 4


def greeting(minor: int = 1, mechanism: bytes = b"NULL") -> bytes:
    return b"\xff" + bytes(8) + b"\x7f\x03" + bytes([minor]) + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body: bytes, flags: int = 0) -> bytes:
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def ready(kind: bytes, identity: bytes = b"") -> bytes:
    body = b"\x05READY"
    for name, value in ((b"Socket-Type", kind), (b"Identity", identity)):
        body += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return frame(body, COMMAND)


class Raw(socket.socket):
    """A connection to one of a kernel's sockets."""

    def __init__(self, kernel: Kernel, channel: str, receive_buffer: int = 0) -> None:
        super().__init__()
        if receive_buffer:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.settimeout(30)
        self.connect(("127.0.0.1", kernel.connection[f"{channel}_port"]))

    def read(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            piece = self.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read_frame(self) -> tuple[int, bytes]:
        flags = self.read(1)[0]
        size = struct.unpack(">Q", self.read(8))[0] if flags & LONG else self.read(1)[0]
        return flags & ~LONG, self.read(size)

    def read_message(self) -> list[bytes]:
        """The next message; commands before it are passed over."""
        frames = []
        while True:
            flags, body = self.read_frame()
            if flags & COMMAND:
                continue
            frames.append(body)
            if not flags & MORE:
                return frames

    def open(self, kind: bytes = b"DEALER", identity: bytes = b"", minor: int = 1) -> Raw:
        self.sendall(greeting(minor) + ready(kind, identity))
        assert self.read(64)[9:12] == b"\x7f\x03\x01"
        flags, body = self.read_frame()
        assert flags == COMMAND
        assert body.startswith(b"\x05READY")
        return self

    def send_message(self, frames: list[bytes]) -> None:
        self.sendall(b"".join(frame(f, MORE if i + 1 < len(frames) else 0) for i, f in enumerate(frames)))

    def is_closed(self) -> bool:
        """Waits until the kernel has closed it; what it sent before is thrown away."""
        try:
            while self.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True
