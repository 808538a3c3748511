# SPDX-License-Identifier: Apache-2.0
"""Wire and session: items 1 to 15."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest
import zmq

from husk import DELIMITER, IS_HUSK, Client, Kernel, Signer

DROPPED = r"dropp"  # what the kernel logs for a message that it does not answer


def assert_unheard(client: Client, msg_id: str, channel: str = "shell") -> None:
    """No message of any kind belongs to msg_id, although later ones have been answered."""
    client.barrier(channel)
    assert client.of(msg_id) == []


@pytest.mark.stderr(DROPPED)
@pytest.mark.parametrize("signature", [b"0" * 64, b"0" * 63, b"0" * 128, b"\xff" * 64, b"x"])
def test_01_wrong_hmac_is_dropped(client: Client, signature: bytes) -> None:
    for channel in ("shell", "control"):
        msg_id = client.send("kernel_info_request", channel=channel, signature=signature)
        assert_unheard(client, msg_id, channel)


@pytest.mark.stderr(DROPPED)
def test_01_changed_frame_is_dropped(client: Client) -> None:
    for at in range(2, 6):
        header = client.header("kernel_info_request")
        frames = client.frames(header, {"a": 1}, parent={"a": 1}, metadata={"a": 1})
        frames[at] = frames[at].replace(b"{", b"{ ", 1)
        client.send_frames("shell", frames)
        assert_unheard(client, header["msg_id"])


@pytest.mark.stderr(DROPPED)
def test_01_upper_case_digest_or_other_key_is_dropped(client: Client) -> None:
    header = client.header("kernel_info_request")
    frames = client.frames(header)
    client.send_frames("shell", [frames[0], Signer(b"other").sign(frames[2:]), *frames[2:]])
    assert_unheard(client, header["msg_id"])


@pytest.mark.stderr(DROPPED)
def test_02_empty_signature_is_dropped_when_there_is_a_key(client: Client) -> None:
    msg_id = client.send("kernel_info_request", signature=b"")
    assert_unheard(client, msg_id)


@pytest.mark.stderr(r"key")
@pytest.mark.kernel(members={"key": ""})
def test_02_empty_key_signs_nothing_and_checks_nothing(client: Client) -> None:
    for signature in (b"", b"anything", b"\x00\xff", b"0" * 64):
        turn = client.request("kernel_info_request", signature=signature)
        assert turn.reply.frames[turn.reply.frames.index(DELIMITER) + 1] == b""
    assert client.execute("1+1").ok().result == "2"


@pytest.mark.stderr(DROPPED)
def test_03_the_same_signed_message_is_served_once(client: Client) -> None:
    client.execute("n = 0")
    header = client.header("execute_request")
    frames = client.frames(header, {"code": "n += 1"})
    for _ in range(3):
        client.send_frames("shell", frames)
    client.finish(header["msg_id"])
    assert client.execute("n").result == "1"
    client.finish(header["msg_id"])  # still one reply, one busy, one idle


@pytest.mark.stderr(DROPPED)
def test_03_replay_on_another_channel_is_not_served(client: Client) -> None:
    client.execute("n = 0")
    header = client.header("execute_request")
    frames = client.frames(header, {"code": "n += 1"})
    client.send_frames("shell", frames)
    client.finish(header["msg_id"])
    with client.kernel.connect() as other:
        other.send_frames("shell", frames)
        other.barrier()
    assert client.execute("n").result == "1"


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512", "md5"])
def test_04_signature_schemes(start_kernel: Any, digest: str) -> None:
    client = start_kernel(members={"signature_scheme": f"hmac-{digest}"}).connect()
    assert len(client.barrier().reply.frames[-5]) == hashlib.new(digest).digest_size * 2
    assert client.execute("6*7").ok().result == "42"


@pytest.mark.stderr(r".")
@pytest.mark.exit(1)
@pytest.mark.parametrize("scheme", ["hmac-nonsense", "sha256", "hmac-", "x" * 5000])
def test_04_unknown_scheme_is_refused_at_start(start_kernel: Any, scheme: str) -> None:
    kernel: Kernel = start_kernel(members={"signature_scheme": scheme}, wait=False)
    assert kernel.wait_exit() != 0
    assert "scheme" in kernel.stderr()
    if IS_HUSK:
        assert len(kernel.stderr().splitlines()) == 1, kernel.stderr()


def test_05_parent_header_equals_request_header(client: Client) -> None:
    strange = {
        "colab": {"path": ["nested", None, True, 1.5e300, -0.0]},
        "notebook": '\U0001f9ea \u202e\u0000\u2028 "quoted\\" \u00fc',
        "ключ": "значение",
        "": "",
        "number": 12345678901234567890,
        "deep": [[[[[]]]]],
    }
    for channel, msg_type, content in (
        ("shell", "execute_request", {"code": "print(1); 2"}),
        ("shell", "kernel_info_request", {}),
        ("control", "kernel_info_request", {}),
        ("shell", "complete_request", {"code": "pri", "cursor_pos": 3}),
        ("shell", "execute_request", {"code": "1/0"}),
    ):
        msg_id = client.send(msg_type, content, channel=channel, header=strange)
        turn = client.finish(msg_id)
        assert len(turn.iopub) >= 2
        for message in [turn.reply, *turn.iopub]:
            assert message.parent == client.sent[msg_id]


def test_06_one_session_id_on_all_channels(kernel: Kernel, start_kernel: Any) -> None:
    client = kernel.connect()
    client.barrier("control")
    msg_id = client.send_code("print(input('?'))", allow_stdin=True)
    client.answer(client.asked(msg_id), "x")
    client.finish(msg_id)
    other = kernel.connect()
    other.barrier()
    sessions = {m.header["session"] for m in client.log + other.log}
    assert len(sessions) == 1
    channels = {m.channel for m in client.log}
    assert channels == {"shell", "iopub", "stdin", "control"}
    if IS_HUSK:
        assert client.log[0].type == other.log[0].type == "iopub_welcome"
    restarted = start_kernel(file=kernel.file) if kernel.shut_down() == 0 or not IS_HUSK else kernel
    fresh = restarted.connect()
    fresh.barrier()
    assert not sessions & {m.header["session"] for m in fresh.log}


@pytest.mark.bound(120)
def test_07_message_ids_never_repeat(client: Client) -> None:
    n = 33_400 if IS_HUSK else 1_000  # three messages each
    ids: set[str] = set()
    n_seen = n_sent = 0
    deadline = time.monotonic() + 100
    while n_seen < 3 * n:
        while n_sent < n and n_sent * 3 - n_seen < 1500:
            client.send_frames("shell", client.frames(client.header("kernel_info_request"), {}))
            n_sent += 1
        assert dict(client.poller.poll(5000)), f"{n_seen} of {3 * n} messages"
        assert time.monotonic() < deadline
        for channel in ("shell", "iopub"):
            while client.sockets[channel].poll(0):
                frames = client.sockets[channel].recv_multipart()
                ids.add(json.loads(frames[frames.index(DELIMITER) + 2])["msg_id"])
                n_seen += 1
    assert len(ids) == n_seen == 3 * n


@pytest.mark.differs("several threads make headers")
def test_07_dates_have_a_zone_and_grow(client: Client) -> None:
    for _ in range(20):
        client.execute("print(1)\n2")
    dates = [m.date for m in client.log if m.channel == "iopub"]
    assert dates == sorted(dates)
    assert all(d.tzinfo is not None for d in dates)


def test_08_identity_frames_come_back(client: Client) -> None:
    for prefix in ([b"one"], [b"one", b"\x00\xff", b"three"], [b"x" * 255, b"y"], [b"same", b"same"]):
        for channel, msg_type, content in (
            ("shell", "execute_request", {"code": "1"}),
            ("shell", "kernel_info_request", {}),
            ("control", "kernel_info_request", {}),
        ):
            turn = client.request(msg_type, content, channel=channel, prefix=prefix)
            assert turn.reply.identities == prefix


def test_08_identity_frames_on_stdin(client: Client) -> None:
    msg_id = client.send("execute_request", {"code": "input('?')", "allow_stdin": True}, prefix=[b"proxy", b"\x01"])
    asked = client.asked(msg_id)
    assert asked.identities == [b"proxy", b"\x01"]
    client.send("input_reply", {"value": "done"}, channel="stdin", parent=asked.header, prefix=asked.identities)
    assert client.finish(msg_id).result == "'done'"


COMM = """
import hashlib
def opened(comm, message):
    def heard(message):
        buffers = message["buffers"]
        print([type(b).__name__ for b in buffers], [hashlib.sha1(b).hexdigest()[:8] for b in buffers])
        comm.send({"n": len(buffers)}, buffers=buffers)
    comm.on_msg(heard)
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""


def comm_turn(client: Client, msg_type: str, content: dict[str, Any], **more: Any) -> list[Any]:
    msg_id = client.send(msg_type, content, **more)
    client.state(msg_id, "idle", 60)
    return client.of(msg_id)


@pytest.mark.ipython
def test_09_buffers_are_byte_exact(client: Client) -> None:
    client.execute(COMM).ok()
    comm_turn(client, "comm_open", {"comm_id": "c1", "target_name": "echo", "data": {}})
    sets = [[], [b""], [b"", b"\x00", b"\xff" * 10], [bytes(range(256)) * 1000], [b"<IDS|MSG>", b"{}"]]
    for buffers in [*sets, [b"0123456789" * 10_000_000]]:
        got = comm_turn(client, "comm_msg", {"comm_id": "c1", "data": {}}, buffers=buffers)
        text = "".join(m.content["text"] for m in got if m.type == "stream")
        digests = [hashlib.sha1(b, usedforsecurity=False).hexdigest()[:8] for b in buffers]
        assert text == f"{['memoryview'] * len(buffers)} {digests}\n"
        echo = [m for m in got if m.type == "comm_msg"]
        assert len(echo) == 1
        assert echo[0].buffers == buffers
        del client.log[:]


@pytest.mark.ipython
def test_09_buffers_are_not_signed(client: Client) -> None:
    client.execute(COMM).ok()
    comm_turn(client, "comm_open", {"comm_id": "c1", "target_name": "echo", "data": {}})
    header = client.header("comm_msg")
    frames = client.frames(header, {"comm_id": "c1", "data": {}}, buffers=[b"one"])
    client.send_frames("shell", [*frames[:-1], b"two", b"three"])
    client.state(header["msg_id"], "idle")
    echo = [m for m in client.of(header["msg_id"]) if m.type == "comm_msg"]
    assert echo[0].buffers == [b"two", b"three"]


@pytest.mark.needs("numpy")
def test_10_display_of_what_is_not_json(client: Client) -> None:
    code = """
import datetime, numpy
value = {"nan": float("nan"), "inf": float("-inf"), "b": bytes([0, 255]), "s": {1}, "n": numpy.int64(3), 5: (1, 2),
         "t": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), "d": datetime.date(2026, 1, 2)}
display({"application/json": value}, raw=True)
"""
    turn = client.execute(code).ok()
    data = turn.of("display_data")[0].content["data"]["application/json"]
    assert data["nan"] in ("nan", None)
    assert data["inf"] in ("-inf", None)
    assert data["b"].rstrip("\n") == "AP8="
    assert data["s"] == [1]
    assert data["n"] == 3
    assert data["5"] == [1, 2]
    assert data["t"].startswith("2026-01-02T03:04:05")
    assert data["d"].startswith("2026-01-02")


@pytest.mark.needs("numpy")
def test_10_user_expressions_and_comm_data_are_strict_json(client: Client) -> None:
    client.execute("import numpy").ok()
    turn = client.execute("", user_expressions={"x": "float('nan')", "y": "'\\ud800'"})
    assert turn.status == "ok"  # strictness is checked by the client for every message


@pytest.mark.differs("loses the whole pending output")
def test_11_lone_surrogate_does_not_lose_output(client: Client) -> None:
    turn = client.execute(r'print("before"); print("\ud800"); print("after")').ok()
    before, middle, after = turn.stdout.splitlines()
    assert (before, after) == ("before", "after")
    assert len(middle) >= 1


@pytest.mark.differs("sends bytes that are not UTF-8")
@pytest.mark.parametrize(
    "code",
    [
        r"raise ValueError('a \ud800 b')",
        r"display('\ud800')",
        r"'\udfff'",
        r"import sys; sys.stderr.write('\udcff'); None",
        r"display({'text/plain': 'x \ud800'}, raw=True)",
        r"display({'application/json': {'k\ud800': ['\ud800']}}, raw=True)",
    ],
)
def test_11_lone_surrogate_elsewhere(client: Client, code: str) -> None:
    turn = client.execute(code)
    assert turn.status == ("error" if "raise" in code else "ok")
    assert client.execute("1").result == "1"


BAD_REQUESTS = [
    ("shell", "nonsense_request", {}),
    ("control", "nonsense_request", {}),
    ("shell", "nonsense", {}),
    ("shell", "x" * 10_000, {}),
    ("shell", "execute_request", {}),
    ("shell", "execute_request", {"code": 5}),
    ("shell", "execute_request", {"code": None}),
    ("shell", "execute_request", {"code": ["1"]}),
    ("shell", "execute_request", {"code": "1", "user_expressions": ["x"]}),
    ("shell", "complete_request", {}),
    ("shell", "complete_request", {"code": {}, "cursor_pos": 0}),
    ("shell", "complete_request", {"code": "a", "cursor_pos": "x"}),
    ("shell", "inspect_request", {}),
    ("shell", "inspect_request", {"code": 1, "cursor_pos": 0}),
    ("shell", "is_complete_request", {}),
    ("shell", "is_complete_request", {"code": 7}),
    ("control", "delete_subshell_request", {}),
    ("control", "delete_subshell_request", {"subshell_id": 4}),
    ("shell", "usage_request", {}),
    ("shell", "execute_reply", {"code": "1"}),
    ("shell", "status", {"execution_state": "idle"}),
]


@pytest.mark.differs("answers nothing")
@pytest.mark.parametrize(("channel", "msg_type", "content"), BAD_REQUESTS)
def test_12_bad_request_gets_an_error_reply(client: Client, channel: str, msg_type: str, content: Any) -> None:
    turn = client.request(msg_type, content, channel=channel)
    assert turn.reply.channel == channel
    assert turn.status == "error", turn.content
    assert turn.content["ename"]
    assert isinstance(turn.content["evalue"], str)
    assert isinstance(turn.content["traceback"], list)
    assert turn.types == ["busy", "idle"]
    assert client.execute("1").result == "1"


@pytest.mark.differs("answers nothing")
@pytest.mark.parametrize("content", [[], [1], "text", 5, None])
def test_12_content_that_is_no_object_gets_an_error_reply(client: Client, content: Any) -> None:
    turn = client.request("execute_request", json.dumps(content).encode())
    assert turn.status == "error"
    assert turn.content["ename"]


@pytest.mark.differs("does not answer a completion")
@pytest.mark.parametrize("msg_type", ["complete_request", "inspect_request"])
@pytest.mark.parametrize("cursor", [-1, -100, 4, 10**6, 2**31, -(2**63), 2**63, 2**70])
def test_12_cursor_out_of_range(client: Client, msg_type: str, cursor: int) -> None:
    turn = client.request(msg_type, {"code": "abs", "cursor_pos": cursor, "detail_level": 0})
    assert turn.status in ("ok", "error")
    if turn.status == "error":
        assert turn.content["ename"]
    elif msg_type == "complete_request":
        assert 0 <= turn.content["cursor_start"] <= turn.content["cursor_end"]


@pytest.mark.parametrize("msg_type", ["comm_open", "comm_msg", "comm_close"])
@pytest.mark.parametrize("content", [{}, {"comm_id": 5}, {"comm_id": "x", "target_name": 7}])
def test_12_bad_comm_message_has_busy_and_idle(client: Client, msg_type: str, content: dict[str, Any]) -> None:
    msg_id = client.send(msg_type, content)
    client.state(msg_id, "busy")
    client.state(msg_id, "idle")
    assert client.execute("1").result == "1"


def malformed(client: Client) -> list[list[bytes]]:
    """Multipart messages that no honest client sends; those with JSON are signed correctly."""

    def signed(*parts: bytes) -> list[bytes]:
        return [DELIMITER, client.signer.sign(parts), *parts]

    header = json.dumps(client.header("kernel_info_request")).encode()
    return [
        [b""],
        [b"", b""],
        [b"", b"", b"", b"", b"", b"", b""],
        [DELIMITER],
        [DELIMITER, b""],
        [DELIMITER] * 50,
        [b"x", b"y"],
        [b"<IDS|MSG", b"", header, b"{}", b"{}", b"{}"],
        signed(header),
        signed(header, b"{}", b"{}"),
        signed(b"", b"", b"", b""),
        signed(b"{", b"{}", b"{}", b"{}"),
        signed(header, b"{", b"{}", b"{}"),
        signed(header, b"{}", b"{]", b"{}"),
        signed(header, b"{}", b"{}", b'{"code": "1"'),
        signed(header, b"{}", b"{}", b"\xff\xfe"),
        signed(header, b"{}", b"{}", b"{}{}"),
        signed(header, b"{}", b"{}", b'{"a": NaN}'),
        signed(b"null", b"{}", b"{}", b"{}"),
        signed(b"[]", b"{}", b"{}", b"{}"),
        signed(b"5", b"{}", b"{}", b"{}"),
        signed(b"{}", b"{}", b"{}", b"{}"),
        signed(b'{"msg_id": 5, "msg_type": 7, "session": []}', b"{}", b"{}", b"{}"),
        signed(b'{"msg_type": "kernel_info_request"}', b"{}", b"{}", b"{}"),
        signed(header, b"[" * 100_000 + b"]" * 100_000, b"{}", b"{}"),
        [b"i" * 300] * 40 + signed(header, b"{}", b"{}", b"{}"),
        [DELIMITER, b"\x00" * 100_000, header, b"{}", b"{}", b"{}"],
        [b"\x00" * 64_000_000],
        [DELIMITER, b"", b"{" * 64_000_000, b"{}", b"{}", b"{}"],
        [b"f"] * 5000,
    ]


@pytest.mark.stderr(DROPPED)
@pytest.mark.parametrize("channel", ["shell", "control", "stdin"])
def test_13_malformed_frames_leave_the_kernel_serving(client: Client, channel: str) -> None:
    for frames in malformed(client):
        client.send_frames(channel, frames)
    client.barrier("control" if channel == "control" else "shell")
    assert client.execute("1+1").ok().result == "2"


def test_14_each_client_gets_its_own_replies_and_all_output(kernel: Kernel) -> None:
    clients = [kernel.connect(), kernel.connect(), kernel.connect()]
    sent = [(c, c.send_code(f"print('from {n}', {k})")) for k in range(10) for n, c in enumerate(clients)]
    for c, msg_id in sent:
        c.finish(msg_id)
    for c in clients:
        own = [msg_id for owner, msg_id in sent if owner is c]
        assert [m.parent_id for m in c.log if m.channel == "shell"] == own
        for _, msg_id in sent:
            c.state(msg_id, "idle")
        texts = "".join(m.content["text"] for m in c.log if m.type == "stream")
        assert sorted(texts.splitlines()) == sorted(f"from {n} {k}" for n in range(3) for k in range(10))


@pytest.mark.bound(90)
def test_15_reconnect_with_the_same_identity_while_busy(kernel: Kernel) -> None:
    lingering = {channel: {zmq.RECONNECT_IVL: -1} for channel in ("shell", "control", "stdin")}
    first = kernel.connect(identity=b"same", options=lingering)
    first.execute("import time").ok()
    msg_id = first.send_code("print('started', flush=True)\nfor _ in range(6000): time.sleep(0.01)")
    first.stream(msg_id, "started")
    second = kernel.connect(identity=b"same", ready=False)  # the first is still connected
    second.wait(lambda m: m.type == "iopub_welcome", "iopub_welcome")  # or the idle may come before its subscription
    assert second.request("kernel_info_request", channel="control").status == "ok"
    queued = second.send_code("2+2")
    kernel.interrupt()
    second.state(msg_id, "idle")
    assert second.finish(queued).status in ("ok", "aborted")
    assert second.execute("3+3").ok().result == "6"
