# SPDX-License-Identifier: Apache-2.0
"""A `_husk` without C and a kernel around it, for the tests of what a worker serves besides cells."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[2] / "kernel" / "worker" / "py"
_FRAMES = """START EXECUTE REQUEST INPUT_REPLY TOLD SHUTDOWN ATTACH HELLO READY FATAL DISPLAY PUBLISH ERROR REPLY ANSWER
ASK_INPUT ASK EXIT AWAIT""".split()


class Wire:
    """What the fake `_husk` has sent: frames as (type name, fields)."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, list[Any]]] = []
        self.turn = 1
        self.told: list[Any] = []

    def take(self) -> list[tuple[str, list[Any]]]:
        """All frames since the last call."""
        frames, self.frames = self.frames, []
        return frames

    def published(self) -> list[tuple[str, Any, Any, Any, list[bytes]]]:
        """PUBLISH frames since the last call as (msg_type, content, metadata, topic, buffers)."""
        found = []
        for name, fields in self.take():
            if name == "PUBLISH":
                metadata = None if fields[3] is None else json.loads(fields[3])
                found.append((fields[1], json.loads(fields[2]), metadata, fields[4], [bytes(b) for b in fields[5]]))
        return found


def install() -> Wire:
    """Puts the fake `_husk` into sys.modules (once) and the sources on the path; returns its wire."""
    known = sys.modules.get("_husk")
    if known is not None:
        known.wire.take()
        return known.wire
    sys.path.insert(0, str(SOURCES))
    wire = Wire()
    fake = types.ModuleType("_husk")
    for number, name in enumerate(_FRAMES):
        setattr(fake, name, number)
    for number, name in enumerate(("DISPLAY_DATA", "DISPLAY_UPDATE", "DISPLAY_RESULT")):
        setattr(fake, name, number)
    for bit, name in enumerate(("SILENT", "STORE_HISTORY", "ALLOW_STDIN", "STOP_ON_ERROR")):
        setattr(fake, f"EXEC_{name}", 1 << bit)
    fake.MIME_TEXT, fake.MIME_JSON = 0, 1
    fake.STATUS_OK, fake.STATUS_ERROR, fake.STATUS_ABORTED = 0, 1, 2
    fake.FD = 3
    fake.wire = wire
    fake.Closed = type("Closed", (Exception,), {})
    fake.Stream = type("Stream", (), {"__init__": lambda self, number: None})

    def send(kind: int, fields: Any, fd: int = 3) -> None:
        wire.frames.append((_FRAMES[kind], list(fields)))

    def recv(fd: int = 3, timeout: Any = None, also: int = -1) -> Any:
        if not wire.told:
            raise fake.Closed
        number = next(fields[0] for name, fields in reversed(wire.frames) if name == "ASK")
        return fake.TOLD, [number, json.dumps(wire.told.pop(0)).encode()], []

    fake.send, fake.recv = send, recv
    fake.pending = lambda fd=3: False
    fake.in_child = lambda: False
    fake.set_turn = lambda turn: setattr(wire, "turn", turn)
    fake.get_turn = lambda: wire.turn
    fake.drain = lambda: None
    fake.guard = lambda turn, func, *args: func(*args)
    fake.set_context_var = lambda var: None
    fake.embedded_source = lambda name: None
    sys.modules["_husk"] = fake
    return wire


class PlainShell:
    """The least that services want of a shell without IPython."""

    def __init__(self, user_ns: dict[str, Any]) -> None:
        self.user_ns = user_ns


def make_kernel(shell: Any) -> Any:
    """A Kernel on a fresh Link, with `shell` as its shell."""
    install()
    from husk_worker.kernel import Kernel
    from husk_worker.link import Link

    link = Link()
    kernel = Kernel(link, {"session": "s-1", "ident": "abc"})
    link.kernel = kernel
    link.need_shell = lambda: shell
    kernel.shell_getter = lambda: shell
    return kernel


def ask(kernel: Any, msg_type: str, content: dict[str, Any], buffers: Any = (), turn: int = 7) -> Any:
    """Serves one request; returns its (content, metadata, buffers)."""
    from husk_worker import requests
    from husk_worker.link import Request

    header = {"msg_id": f"m-{turn}", "msg_type": msg_type, "session": "client"}
    request = Request(turn, json.dumps(header).encode(), [b"id"], b"{}", json.dumps(content).encode(), list(buffers))
    kernel.link.begin(request)
    return requests.answer(kernel, request)
