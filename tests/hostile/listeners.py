# SPDX-License-Identifier: Apache-2.0
"""Sockets of the tester's that no tenant may reach."""

from __future__ import annotations

import contextlib
import socket
import uuid
from pathlib import Path


class Listeners:
    """One of each kind; reached() says which have heard from somebody."""

    def __init__(self, directory: Path) -> None:
        self.abstract = "hostile-" + uuid.uuid4().hex[:12]
        self.path = directory / f"listener-{self.abstract}"
        self.sockets: dict[str, socket.socket] = {}

    def __enter__(self) -> Listeners:
        self._open("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._open("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._open("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract)
        self._open("path", socket.AF_UNIX, socket.SOCK_STREAM, str(self.path))
        self.path.chmod(0o666)
        return self

    def _open(self, name: str, family: int, kind: int, address: object) -> None:
        s = self.sockets[name] = socket.socket(family, kind)
        s.setblocking(False)
        s.bind(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_STREAM:
            s.listen(64)

    def __exit__(self, *_: object) -> None:
        for s in self.sockets.values():
            s.close()
        self.path.unlink(missing_ok=True)

    def facts(self) -> dict[str, str]:
        return {
            "TCP_PORT": str(self.sockets["tcp"].getsockname()[1]),
            "UDP_PORT": str(self.sockets["udp"].getsockname()[1]),
            "ABSTRACT": self.abstract,
            "SOCKET_PATH": str(self.path),
        }

    def reached(self) -> list[str]:
        """The names of those that somebody has connected to or sent to."""
        found = []
        for name, s in self.sockets.items():
            with contextlib.suppress(BlockingIOError):
                if s.type == socket.SOCK_DGRAM:
                    s.recv(100)
                else:
                    s.accept()[0].close()
                found.append(name)
        return found
