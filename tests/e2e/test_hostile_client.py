# SPDX-License-Identifier: Apache-2.0
"""Clients without the key, or with it and without manners: the front stays bounded and goes on serving."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from husk import CHANNELS, SANITIZED, Client, Kernel, descriptors, megabytes, memory, wait_until

pytestmark = [pytest.mark.husk, pytest.mark.stderr("dropp|refus|descriptor|accept|limit|was closed")]

ROUTERS = ("shell", "control", "stdin")


def answers(kernel: Kernel) -> None:
    """A new client is served on every channel."""
    client = kernel.connect()
    assert client.request("kernel_info_request").status == "ok"
    assert client.request("kernel_info_request", channel="control").status == "ok"
    assert client.heartbeat() == b"ping"
    assert client.execute("6*7").ok().result == "42"
    client.close()


@contextlib.contextmanager
def raw(kernel: Kernel, channel: str) -> Iterator[socket.socket]:
    """A TCP connection without any ZeroMQ."""
    port = kernel.connection[f"{channel}_port"]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        yield s


GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)


def ready(kind: bytes, identity: bytes = b"") -> bytes:
    """The READY command of ZMTP 3."""
    properties = b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    properties += b"\x08Identity" + struct.pack(">I", len(identity)) + identity
    body = b"\x05READY" + properties
    return b"\x04" + bytes([len(body)]) + body


def long_frame(size: int, *, more: bool = False) -> bytes:
    """Head of a ZMTP frame of `size` bytes."""
    return bytes([2 | more]) + struct.pack(">Q", size)


JUNK = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(10_000),
    "random": random.Random(1).randbytes(100_000),
    "greeting only": GREETING,
    "half a greeting": GREETING[:20],
    "old version": b"\xff" + bytes(8) + b"\x01",
    "unknown mechanism": b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"EVIL".ljust(20, b"\0") + bytes(32),
    "frame of 2**63 bytes": GREETING + ready(b"DEALER") + b"\x02\x7f" + b"\xff" * 7,
    "frame of 100 GB": GREETING + ready(b"DEALER") + long_frame(100 << 30) + b"x" * 1000,
    "wrong socket type": GREETING + ready(b"PUSH") + b"\x00\x01x",
    "huge command": GREETING + b"\x06" + struct.pack(">Q", 1 << 40),
    "huge property": GREETING + b"\x04\x15\x05READY\x0bSocket-Type\xff\xff\xff\xff",
    "identity that starts with zero": GREETING + ready(b"DEALER", b"\0evil") + b"\x00\x01x",
}


@pytest.mark.parametrize("what", JUNK)
def test_junk_on_the_raw_port(kernel: Kernel, what: str) -> None:
    for channel in CHANNELS:
        for _ in range(5):
            with raw(kernel, channel) as s:
                s.sendall(JUNK[what])
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
    answers(kernel)
    assert memory(kernel.pid, "VmHWM") < megabytes(200)


@pytest.mark.bound(120)
def test_thousands_of_connections(kernel: Kernel) -> None:
    """They come and stay; then they go. What they cost is given back."""
    answers(kernel)
    before = len(descriptors(kernel.pid))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = 2000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, n + 500)), hard))
    held: list[socket.socket] = []
    try:
        for at in range(n):
            s = socket.create_connection(("127.0.0.1", kernel.connection[f"{CHANNELS[at % 5]}_port"]), timeout=5)
            held.append(s)
            if at % 2:
                s.sendall(GREETING + ready(b"DEALER"))
        control = kernel.connect()
        assert control.execute("6*7").ok().result == "42"
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: len(descriptors(kernel.pid)) <= before + 20, "descriptors given back")
    answers(kernel)


def set_few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))


@pytest.mark.stderr(".")
def test_out_of_descriptors_is_survived(start_kernel: Any) -> None:
    kernel = start_kernel(prepare=set_few_descriptors)
    client = kernel.connect()
    held: list[socket.socket] = []
    try:
        for _ in range(200):
            s = socket.socket()
            s.settimeout(0.02)
            held.append(s)
            with contextlib.suppress(OSError):
                s.connect(("127.0.0.1", kernel.connection["shell_port"]))
        assert client.execute("6*7").ok().result == "42"
    finally:
        for s in held:
            s.close()
    wait_until(lambda: len(descriptors(kernel.pid)) < 60, "descriptors given back")
    answers(kernel)


LIMIT = 512 << 20


def set_memory_limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs more address space than the limit")
@pytest.mark.stderr(".")
@pytest.mark.bound(120)
@pytest.mark.parametrize("frame_size", [1 << 20, 1000])
def test_unfinished_multipart_message_of_a_peer_without_the_key(start_kernel: Any, frame_size: int) -> None:
    """Frame after frame with "more" set, never an end. The front goes on below its limit, and serves who has the key."""
    kernel: Kernel = start_kernel(prepare=set_memory_limit)
    frame = long_frame(frame_size, more=True) + bytes(frame_size)
    block = frame * max(1, (1 << 20) // frame_size)
    sent = 0
    deadline = time.monotonic() + 60
    with raw(kernel, "shell") as s, contextlib.suppress(OSError):
        s.sendall(GREETING + ready(b"DEALER"))
        while sent < 10 << 30 and time.monotonic() < deadline and kernel.exit_code() is None:
            s.sendall(block)
            sent += len(block)
            assert memory(kernel.pid) < LIMIT * 1.2
            if sent > 3 * LIMIT:
                break
        answers(kernel)
    answers(kernel)


@pytest.mark.parametrize("channel", ROUTERS)
def test_a_finished_message_above_the_maximum_is_dropped(kernel: Kernel, channel: str) -> None:
    """More than 1024 frames, more than 64 MiB in one JSON frame (specs/wire.md 2.3)."""
    client = kernel.connect()
    client.send_frames(channel, [b"x"] * 3000)
    header = client.header("kernel_info_request")
    client.send_frames(channel, client.frames(header, b'{"a": "' + b"x" * (65 << 20) + b'"}'))
    big = client.header("kernel_info_request", padding="x" * 70_000)
    client.send_frames(channel, client.frames(big))
    client.barrier("control" if channel == "control" else "shell")
    assert client.of(header["msg_id"]) == client.of(big["msg_id"]) == []
    assert client.execute("6*7").ok().result == "42"


def test_replays_of_everything(kernel: Kernel) -> None:
    client = kernel.connect()
    client.execute("n = 0")
    frames = []
    for _ in range(20):
        header = client.header("execute_request")
        frames.append((header["msg_id"], client.frames(header, {"code": "n += 1"})))
    for _ in range(50):
        for _, f in frames:
            client.send_frames("shell", f)
    for msg_id, _ in frames:
        client.finish(msg_id)
    client.barrier()
    assert client.execute("n").ok().result == "20"


def deep(n: int) -> bytes:
    return b'{"a":' * n + b"1" + b"}" * n


@pytest.mark.parametrize("depth", [200, 256, 257, 10_000, 1_000_000])
def test_deep_json(kernel: Kernel, depth: int) -> None:
    """Nesting up to 256 is served, deeper is dropped (specs/wire.md 4.1); in each of the four frames."""
    client = kernel.connect()
    for where in ("parent", "metadata", "content"):
        header = client.header("kernel_info_request")
        parts: dict[str, Any] = {where: deep(depth)}
        client.send_frames("shell", client.frames(header, parts.pop("content", {}), **parts))
        if depth <= 256:
            assert client.finish(header["msg_id"]).status == "ok"
        else:
            client.barrier()
            assert client.of(header["msg_id"]) == []
    answers(kernel)


def test_large_parts_that_are_legal(kernel: Kernel) -> None:
    client = kernel.connect()
    turn = client.request("kernel_info_request", header={"padding": "x" * 60_000})
    assert turn.reply.parent == client.sent[turn.msg_id]
    turn = client.execute("len('" + "x" * 20_000_000 + "')", timeout=60, store_history=False).ok()
    assert turn.result == "20000000"
    turn = client.request("kernel_info_request", metadata={"a": "\U0001f600" * 1_000_000}, buffers=[b"x"] * 900)
    assert turn.status == "ok"


def mutations(client: Client, r: random.Random) -> list[bytes]:
    """A valid request, damaged somewhere; signed again in half of the cases."""
    content = {"code": "x = 1", "cursor_pos": 2, "hist_access_type": "tail", "n": 5, "comm_id": "c", "target_name": "t"}
    kind = r.choice(["kernel_info_request", "execute_request", "complete_request", "history_request", "comm_open", "x"])
    frames = client.frames(client.header(kind), content, parent={"p": 1}, metadata={"m": [1, 2]}, buffers=[b"b"])
    for _ in range(r.randrange(1, 4)):
        at = r.randrange(len(frames))
        data = bytearray(frames[at])
        what = r.randrange(6)
        if what == 0 and data:
            data[r.randrange(len(data))] = r.randrange(256)
        elif what == 1:
            del data[r.randrange(len(data) + 1) :]
        elif what == 2:
            data += r.randbytes(r.randrange(50))
        elif what == 3 and data:
            start = r.randrange(len(data))
            data[start : start + r.randrange(8)] = r.choice(
                [b'"', b"{", b"}", b"[", b"\\", b"\\ud800", b"1e999", b"null"]
            )
        elif what == 4:
            data = bytearray(r.choice([b"", b"{}", b"null", b"[]", b'"\\u0000"', b"\xff\xff"]))
        frames[at] = bytes(data)
        if what == 5 and len(frames) > 2:
            del frames[at]
    if len(frames) >= 6 and r.random() < 0.5:
        frames[1] = client.signer.sign(frames[2:6])
    return frames


@pytest.mark.bound(120)
@pytest.mark.parametrize("seed", range(3))
def test_mutated_messages(kernel: Kernel, seed: int) -> None:
    client = kernel.connect()
    r = random.Random(seed)
    for n in range(600):
        channel = r.choice(ROUTERS)
        frames = mutations(client, r)
        if any(b"shutdown" in f for f in frames):
            continue
        client.send_frames(channel, frames)
        if n % 100 == 99:
            with kernel.connect() as other:
                other.barrier()
                other.barrier("control")
    other = kernel.connect()
    assert other.execute("6*7").result == "42" or other.execute("6*7").ok().result == "42"


def test_a_publisher_at_the_iopub_port(kernel: Kernel) -> None:
    """An XSUB peer may send arbitrary frames to an XPUB socket."""
    client = kernel.connect()
    context = zmq.Context()
    try:
        xsub = context.socket(zmq.XSUB)
        xsub.linger = 0
        xsub.connect(kernel.endpoint("iopub"))
        r = random.Random(3)
        for n in range(300):
            xsub.send_multipart([r.randbytes(r.randrange(40)) for _ in range(r.randrange(1, 5))])
            if n % 50 == 0:
                xsub.send(b"\x01" + b"t" * 100_000)
                xsub.send(b"\x01" + r.randbytes(10))
        xsub.send(b"\x01")
        assert client.execute("print('x'); 6*7").ok().result == "42"
        wait_until(lambda: xsub.poll(10), "the flooder gets output too")
    finally:
        context.destroy(linger=0)
    answers(kernel)


def test_many_subscriptions(kernel: Kernel) -> None:
    client = kernel.connect(ready=False, subscribe=None)
    for n in range(20_000):
        client.sockets["iopub"].subscribe(b"topic %d" % n)
    other = kernel.connect()
    assert other.execute("6*7").ok().result == "42"
    assert memory(kernel.pid, "VmHWM") < megabytes(200)


@pytest.mark.bound(120)
def test_a_client_that_never_reads_replies(kernel: Kernel) -> None:
    """Requests without end, replies unread: the front stays bounded, others are served."""
    small = {c: {zmq.RCVHWM: 1, zmq.RCVBUF: 4096} for c in ROUTERS}
    greedy = kernel.connect(ready=False, subscribe=None, options=small)
    greedy.sockets["shell"].sndhwm = 0
    for _ in range(20_000):
        header = greedy.header("kernel_info_request", padding="x" * 1000)
        greedy.send_frames("shell", greedy.frames(header, {}))
    other = kernel.connect()
    assert other.request("kernel_info_request", channel="control").status == "ok"
    other.request("kernel_info_request", timeout=60)
    assert memory(kernel.pid, "VmHWM") < megabytes(400), f"{memory(kernel.pid, 'VmHWM') >> 20} MB"


@pytest.mark.bound(120)
def test_a_full_queue_holds_its_senders_back(kernel: Kernel) -> None:
    """4096 requests or 64 MiB wait in the front, the rest in ZeroMQ; control goes on; all are answered in the end."""
    client = kernel.connect(subscribe=None, ready=False)
    first = client.send_code("import time; time.sleep(1.5)")
    pad = "#" + "x" * 100_000
    queued = [client.send("execute_request", {"code": pad, "silent": True}) for _ in range(800)]
    for _ in range(10):
        assert client.reply(client.send("kernel_info_request", channel="control")).content["status"] == "ok"
    assert memory(kernel.pid, "VmHWM") < megabytes(400), f"{memory(kernel.pid, 'VmHWM') >> 20} MB"
    client.reply(first)
    replies = {m: client.reply(m, 60).content["status"] for m in queued}
    assert set(replies.values()) == {"ok"}


def test_heartbeat_of_any_shape(kernel: Kernel) -> None:
    client = kernel.connect()
    for payload in (b"", b"\x00", os.urandom(1000), b"x" * 10_000_000):
        assert client.heartbeat(payload) == payload
    context = zmq.Context()
    try:
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(kernel.endpoint("hb"))
        parts = [b"", b"one", b"", b"three"]
        dealer.send_multipart(parts)
        assert dealer.poll(5000)
        assert dealer.recv_multipart() == parts
        dealer.send_multipart([b"no delimiter"])
    finally:
        context.destroy(linger=0)
    assert client.heartbeat() == b"ping"


def test_two_clients_with_one_identity(kernel: Kernel) -> None:
    """The later one takes the identity; nobody else is hurt."""
    first = kernel.connect(identity=b"same", options={c: {zmq.RECONNECT_IVL: -1} for c in ROUTERS})
    second = kernel.connect(identity=b"same")
    assert second.execute("6*7").ok().result == "42"
    first.close()
    assert second.execute("7*7").ok().result == "49"
