# SPDX-License-Identifier: Apache-2.0
"""Frames of the link, made by the tenant (specs/link.md 2.1, 3 and protocol/link/link.def)."""

import ctypes
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time

LINK, RING, DOORBELL, OUT, ERR = 3, 4, 5, 6, 7
HELLO, READY, FATAL, DISPLAY, PUBLISH, ERROR, REPLY, ANSWER, ASK_INPUT, ASK, EXIT, AWAIT = range(64, 76)


def header(length, kind, ring=0, version=1, reserved=0):
    return struct.pack("<IBBHQ", length, version, kind, reserved, ring)


def frame(kind, body, **more):
    return header(len(body), kind, **more) + body


def tell(data, fd=LINK):
    while data:
        data = data[os.write(fd, data) :]


def u32(n):
    return b"\xce" + struct.pack(">I", n)


def text(s):
    b = s if isinstance(s, bytes) else s.encode()
    return b"\xdb" + struct.pack(">I", len(b)) + b


def publish(kind, content, turn=0, ring=0):
    return frame(PUBLISH, b"\x96" + u32(turn) + text(kind) + text(content) + b"\xc0\xc0\x90", ring=ring)


def reply(turn, status=0, count=1):
    """A REPLY that says ok: turn, status, count, next count, payload, expressions, error, history."""
    return frame(REPLY, b"\x98" + u32(turn) + bytes([status]) + u32(count) + u32(count + 1) + b"\xc0\xc0\xc0\xc0")
