# SPDX-License-Identifier: Apache-2.0
"""Raw sockets against a front: ZMTP good, old, broken and endless. Memory stays bounded, and real clients are served."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from husk import Client, Kernel, descriptors, memory, wait_until
from zmtp import COMMAND, LONG, MORE, Raw, frame, greeting, ready

StartFront = Callable[..., Kernel]
MIB = 1 << 20
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
SANITIZED = b"__asan_init" in Path(os.environ["HUSK_KERNEL"]).read_bytes()
ROOM = 3 if SANITIZED else 1  # for the shadow and the quarantine of a sanitizer


def assert_serves(kernel: Kernel) -> None:
    client = kernel.connect()
    assert client.execute("w.result('2')").ok().result == "2"
    assert client.heartbeat() == b"ping"
    client.close()


# --- ZMTP 3.0 and 3.1 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [0, 1, 9])
def test_peers_of_any_zmtp_3_are_served(start: StartFront, minor: int) -> None:
    """3.0: subscriptions are messages; 3.1: commands."""
    kernel = start()
    client = kernel.connect()
    with Raw(kernel, "iopub").open(b"SUB", minor=minor) as sub, Raw(kernel, "shell").open(identity=b"raw", minor=minor) as shell:
        sub.sendall(frame(b"\x01stream") if minor == 0 else frame(b"\x09SUBSCRIBEstream", COMMAND))
        topic, *_, content = sub.read_message()
        assert (topic, json.loads(content)) == (b"stream", {"subscription": "stream"})
        shell.send_message(client.frames(client.header("execute_request"), {"code": "w.write('hello')"}))
        reply = shell.read_message()
        assert reply[0] == b"<IDS|MSG>"
        assert json.loads(reply[5])["status"] == "ok"
        topic, *_, content = sub.read_message()
        assert (topic, json.loads(content)["text"]) == (b"stream.stdout", "hello")
        sub.sendall(frame(b"\x00stream") if minor == 0 else frame(b"\x06CANCELstream", COMMAND))
        sub.sendall(frame(b"\x01kernel.") if minor == 0 else frame(b"\x09SUBSCRIBEkernel.", COMMAND))
        assert sub.read_message()[0] == b"kernel."
        client.execute("w.write('unheard'); w.result('3')").ok()
        topics = [sub.read_message()[0].rpartition(b".")[2] for _ in range(4)]
        assert topics == [b"status", b"execute_input", b"execute_result", b"status"]


def test_a_ping_is_answered_on_each_channel(start: StartFront) -> None:
    kernel = start()
    for channel in CHANNELS:
        with Raw(kernel, channel).open(b"SUB" if channel == "iopub" else b"DEALER") as raw:
            raw.sendall(frame(b"\x04PING\x00\x64context", COMMAND))
            assert raw.read_frame() == (COMMAND, b"\x04PONGcontext")


def test_two_clients_of_one_identity_each_get_their_replies(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    with Raw(kernel, "shell").open(identity=b"same") as a, Raw(kernel, "shell").open(identity=b"same") as b:
        ids = {}
        for raw, name in ((a, "a"), (b, "b"), (a, "c")):
            header = client.header("kernel_info_request")
            ids[name] = header["msg_id"]
            raw.send_message(client.frames(header, {}))
        got = [json.loads(raw.read_message()[3])["msg_id"] for raw in (a, b, a)]
        assert got == [ids["a"], ids["b"], ids["c"]]
        header = client.header("execute_request")
        a.send_message(client.frames(header, {"code": "time.sleep(0.2)"}))
        client.state(header["msg_id"], "busy")
        a.close()
        assert json.loads(b.read_message()[3])["msg_id"] == header["msg_id"]  # its asker has gone


# --- what is no ZMTP -------------------------------------------------------------------------------------------------

BROKEN = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "version_1": b"\x01\x00",
    "version_2": b"\xff" + bytes(8) + b"\x7f\x01",
    "curve": greeting(mechanism=b"CURVE"),
    "message_first": greeting() + frame(b"hello"),
    "push": greeting() + ready(b"PUSH"),
    "no_ready": greeting() + frame(b"\x05HELLO", COMMAND),
    "broken_properties": greeting() + frame(b"\x05READY\x0bSocket-Type\xff\xff\xff\xff", COMMAND),
    "large_handshake": greeting() + bytes([COMMAND | LONG]) + struct.pack(">Q", 1 << 20),
    "reserved_flag": greeting() + ready(b"DEALER") + b"\x80\x00",
    "command_with_more": greeting() + ready(b"DEALER") + b"\x05\x01x",
    "negative_size": greeting() + ready(b"DEALER") + b"\x02" + b"\xff" * 8,
    "2^62_bytes": greeting() + ready(b"DEALER") + b"\x02" + struct.pack(">Q", 1 << 62) + b"x" * 1000,
    "nameless_command": greeting() + ready(b"DEALER") + frame(b"", COMMAND),
    "short_ping": greeting() + ready(b"DEALER") + frame(b"\x04PING\0", COMMAND),
    "error": greeting() + ready(b"DEALER") + frame(b"\x05ERROR\x03bad", COMMAND),
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_what_breaks_the_protocol_is_closed(start: StartFront, what: str) -> None:
    kernel = start()
    for channel in CHANNELS:
        with Raw(kernel, channel) as raw:
            raw.sendall(BROKEN[what])
            assert raw.is_closed()
    assert_serves(kernel)
    assert "was closed" in kernel.stderr()


def test_every_cut_of_a_conversation_ends_quietly(start: StartFront) -> None:
    kernel = start()
    whole = greeting() + ready(b"DEALER") + frame(b"a", MORE) + frame(b"x" * 300)
    before = len(descriptors(kernel.pid))
    for n in range(len(whole)):
        with Raw(kernel, "shell") as raw:
            raw.sendall(whole[:n])
    assert_serves(kernel)
    wait_until(lambda: len(descriptors(kernel.pid)) <= before, "descriptors given back")


# --- without end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [MIB, 1000])
def test_ten_gigabytes_of_an_unfinished_message_cost_no_memory(start: StartFront, size: int) -> None:
    """Beyond what a message may have nothing is kept, however it goes on."""
    kernel = start()
    assert_serves(kernel)
    before = memory(kernel.pid)
    total = (1 if SANITIZED else 10) << 30
    frames = frame(bytes(size), MORE) * max(1, MIB // size)
    with Raw(kernel, "shell").open() as raw:
        for sent in range(0, total, len(frames)):
            raw.sendall(frames)
            if sent % (100 * len(frames)) == 0:
                assert memory(kernel.pid) - before < 600 * MIB * ROOM
        raw.sendall(frame(b"the end"))
        client = kernel.connect()
        header = client.header("kernel_info_request")
        raw.send_message(client.frames(header, {}))  # and it may go on
        assert json.loads(raw.read_message()[3])["msg_id"] == header["msg_id"]
    assert_serves(kernel)
    wait_until(lambda: memory(kernel.pid) - before < 64 * MIB or SANITIZED, "the memory given back")
    assert "it is too large" in kernel.stderr()


def test_unfinished_messages_of_many_clients_share_a_budget(start: StartFront) -> None:
    kernel = start()
    assert_serves(kernel)
    before = memory(kernel.pid)
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(Raw(kernel, "control")).open() for _ in range(12)]
        block = bytes(MIB)
        for raw in raws:
            with contextlib.suppress(ConnectionError):
                raw.sendall(b"\x01" + bytes([1]) + b"x" + b"\x02" + struct.pack(">Q", 400 * MIB))
                for _ in range(150):
                    raw.sendall(block)
        wait_until(lambda: "unfinished messages of all clients" in kernel.stderr(), "the end of some")
        assert memory(kernel.pid) - before < 1300 * MIB * ROOM
        assert_serves(kernel)  # small messages need no budget
    wait_until(lambda: memory(kernel.pid) - before < 128 * MIB or SANITIZED, "the memory given back")
    assert_serves(kernel)


def test_an_announced_size_costs_nothing(start: StartFront) -> None:
    kernel = start()
    assert_serves(kernel)
    before = memory(kernel.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Raw(kernel, "shell")).open().sendall(b"\x02" + struct.pack(">Q", 500 * MIB) + b"x" * 1000)
        assert_serves(kernel)
        assert memory(kernel.pid) - before < 64 * MIB * ROOM


def test_two_thousand_strangers_do_not_keep_a_client_out(start: StartFront) -> None:
    kernel = start()
    before = len(descriptors(kernel.pid))
    held: list[Raw] = []
    try:
        for i in range(2000):
            try:
                held.append(Raw(kernel, CHANNELS[i % 5]))
            except OSError as error:  # this process has no more
                assert error.errno == 24
                held, closed = held[len(held) // 2 :], held[: len(held) // 2]
                for raw in closed:
                    raw.close()
            with contextlib.suppress(OSError):
                held[-1].sendall(greeting()[: i % 64])
            if i % 400 == 399:
                for raw in held[: max(0, len(held) - 1000)]:
                    raw.close()
        for raw in held[:50]:
            raw.close()
        assert_serves(kernel)
    finally:
        for raw in held:
            raw.close()
    wait_until(lambda: len(descriptors(kernel.pid)) <= before + 5, "descriptors given back")
    assert_serves(kernel)


def test_a_slow_conversation_is_heard_and_holds_nobody_up(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    header = client.header("kernel_info_request")
    parts = client.frames(header, {})
    whole = greeting() + ready(b"DEALER") + b"".join(frame(f, MORE if i + 1 < len(parts) else 0) for i, f in enumerate(parts))
    with Raw(kernel, "shell") as raw:
        for i in range(len(whole)):
            raw.sendall(whole[i : i + 1])
            if i % 50 == 0:
                client.request("kernel_info_request").ok()
        raw.read(64)
        assert json.loads(raw.read_message()[3])["msg_id"] == header["msg_id"]


# --- who does not read -----------------------------------------------------------------------------------------------


def test_ten_thousand_requests_whose_replies_are_not_read_for_long(start: StartFront) -> None:
    """At some point the client is not read from any more: its requests wait in its own socket. None is lost."""
    kernel = start()
    client = kernel.connect()
    before = memory(kernel.pid)
    requests = [client.header("execute_request") for _ in range(10_000)]
    code = "w.reply(1, error=['E', 'x' * 20000, []])  # " + "." * 5000  # more than all buffers on the way hold
    sent: list[str] = []
    with Raw(kernel, "shell", receive_buffer=4096).open() as raw:

        def send_all() -> None:
            for header in requests:
                raw.send_message(client.frames(header, {"code": code, "stop_on_error": False, "store_history": False}))
                sent.append(header["msg_id"])

        sender = threading.Thread(target=send_all, daemon=True)
        raw.settimeout(None)
        sender.start()
        seen = -1
        while seen != len(sent) or not sent:  # others are served meanwhile
            seen = len(sent)
            client.execute("").ok()
            client.log.clear()
        assert len(sent) < len(requests)
        assert memory(kernel.pid) - before < 256 * MIB * ROOM
        for header in requests:
            reply = raw.read_message()
            assert json.loads(reply[3])["msg_id"] == header["msg_id"]
            assert len(reply[5]) > 20_000
        sender.join()
    assert_serves(kernel)


def test_of_three_subscribers_two_stall_and_the_third_gets_everything(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    before = memory(kernel.pid)
    with Raw(kernel, "iopub", 8192).open(b"SUB") as one, Raw(kernel, "iopub", 8192).open(b"SUB", minor=0) as two:
        for raw in (one, two):
            raw.sendall(frame(b"\x01"))
            assert raw.read_message()[0] == b""
        cell = client.send_code("w.flood(stop=lambda: w.head > 200 << 20)")
        client.finish(cell, 120).ok()
        healthy = sum(len(m.content["text"]) for m in client.log if m.type == "stream")
        assert healthy >= 200 * MIB
        assert not [m for m in client.log if m.type == "stream" and "were dropped" in m.content["text"][-100:]]
        client.log.clear()
        assert memory(kernel.pid) - before < 400 * MIB * ROOM
        for raw in (one, two):
            seen, states = 0, []
            while True:
                topic, *_, content = raw.read_message()
                if topic.endswith(b".status"):
                    states.append(json.loads(content)["execution_state"])
                if topic == b"stream.stdout":
                    seen += len(json.loads(content)["text"])
                if topic == b"stream.stderr":
                    assert "were dropped, this client did not read" in content.decode()
                    break
            assert 32 * MIB < seen < 160 * MIB
            assert states == ["busy", "idle"]
        client.execute("").ok()
        assert not [m for m in client.log if m.type == "stream"]


def test_a_subscriber_that_only_asks_for_life_signs_is_bounded(start: StartFront) -> None:
    kernel = start()
    assert_serves(kernel)
    before = memory(kernel.pid)
    pings = frame(b"\x04PING\x00\x64" + b"x" * 16, COMMAND) * 20000
    with Raw(kernel, "iopub", 4096).open(b"SUB") as raw:
        for _ in range(200):
            raw.sendall(pings)
        assert_serves(kernel)
        assert memory(kernel.pid) - before < 64 * MIB * ROOM


def test_many_stalled_subscribers_share_a_bound(start: StartFront) -> None:
    """Small messages are copied for each of them: forty times 64 MiB would be too much. Who reads gets everything."""
    kernel = start()
    client = kernel.connect()
    before = memory(kernel.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            raw = stack.enter_context(Raw(kernel, "iopub", 4096)).open(b"SUB")
            raw.sendall(frame(b"\x01"))
            assert raw.read_message()[0] == b""
        code = "for i in range(8000): w.send(PUBLISH, [w.turn, 'x', b'{\"a\":\"' + b'x' * 8000 + b'\"}', None, None, []])"
        turn = client.execute(code, timeout=120).ok()
        assert len(turn.of("x")) == 8000
        assert memory(kernel.pid, "VmHWM") - before < 2300 * MIB * ROOM
        assert "more than for any other" in kernel.stderr()
        assert_serves(kernel)


def test_subscriptions_are_limited_and_welcomed_within_bounds(start: StartFront) -> None:
    kernel = start()
    client: Client = kernel.connect()
    with Raw(kernel, "iopub").open(b"SUB") as raw:
        for i in range(300):
            raw.sendall(frame(b"\x01topic-%d" % i))
        for i in range(256):
            assert raw.read_message()[0] == b"topic-%d" % i
        raw.sendall(frame(b"\x00topic-0") + frame(b"\x01kernel."))
        assert raw.read_message()[0] == b"kernel."
        client.execute("").ok()
        assert raw.read_message()[0].endswith(b".status")
    assert "too many subscriptions" in kernel.stderr()
