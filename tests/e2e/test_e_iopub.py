# SPDX-License-Identifier: Apache-2.0
"""IOPub and subscriptions: items 69 to 73."""

from __future__ import annotations

import re
from typing import Any

import pytest

from husk import IS_HUSK, Client, Kernel, wait_until


def test_69_the_first_message_is_the_welcome(kernel: Kernel) -> None:
    client = kernel.connect(ready=False)
    first = client.wait(lambda m: m.channel == "iopub", "any message")
    assert first.type == "iopub_welcome"
    assert first.parent == {}
    assert first.content == {"subscription": ""}
    assert first.topic == b""


@pytest.mark.husk
def test_69_the_welcome_comes_first_even_while_a_cell_prints(kernel: Kernel, client: Client) -> None:
    msg_id = client.send_code("import time\nfor i in range(400): print('x' * 1000, flush=True); time.sleep(0.002)")
    client.stream(msg_id, "x")
    for _ in range(5):
        late = kernel.connect(ready=False)
        assert late.wait(lambda m: m.channel == "iopub", "any message").type == "iopub_welcome"
    client.finish(msg_id)


@pytest.mark.parametrize("topic", ["kernel.x", "stream", "ключ", "a" * 1000])
def test_69_a_topic_is_welcomed_by_its_name(kernel: Kernel, topic: str) -> None:
    client = kernel.connect(ready=False, subscribe=topic.encode())
    welcome = client.wait(lambda m: m.channel == "iopub", "any message")
    assert welcome.type == "iopub_welcome"
    assert welcome.content == {"subscription": topic}
    assert welcome.frames[0] == topic.encode()


@pytest.mark.husk
def test_69_odd_subscriptions_are_ignored(kernel: Kernel) -> None:
    client = kernel.connect()
    client.sockets["iopub"].subscribe(b"\xff\xfe")
    client.sockets["iopub"].unsubscribe(b"\xff\xfe")
    client.sockets["iopub"].unsubscribe(b"never subscribed")
    client.sockets["iopub"].subscribe(b"last")
    client.wait(lambda m: m.content.get("subscription") == "last", "the welcome to another topic")
    assert [m.content for m in client.log if m.type == "iopub_welcome"] == [
        {"subscription": ""},
        {"subscription": "last"},
    ]
    assert client.execute("1").ok().result == "1"


@pytest.mark.differs("welcomes only the first subscriber")
def test_70_every_client_is_welcomed(kernel: Kernel) -> None:
    for _ in range(6):
        client = kernel.connect(ready=False)
        first = client.wait(lambda m: m.channel == "iopub", "any message")
        assert first.type == "iopub_welcome"


def test_71_every_busy_has_its_idle(client: Client) -> None:
    requests: list[tuple[str, Any, str]] = [
        ("execute_request", {"code": "1/0", "stop_on_error": False}, "shell"),
        ("execute_request", {"code": "1"}, "shell"),
        ("kernel_info_request", {}, "control"),
        ("complete_request", {"code": "a", "cursor_pos": 1}, "shell"),
        ("inspect_request", {"code": "print", "cursor_pos": 3, "detail_level": 1}, "shell"),
        ("history_request", {"hist_access_type": "tail", "n": 3, "raw": True, "output": False}, "shell"),
        ("comm_info_request", {}, "shell"),
        ("is_complete_request", {"code": "1"}, "shell"),
        ("list_subshell_request", {}, "control"),
        ("comm_msg", {"comm_id": "none", "data": {}}, "shell"),
    ]
    ids = [client.send(t, c, channel=channel) for t, c, channel in requests * 3]
    for msg_id in ids:
        client.state(msg_id, "idle")
    statuses = [m for m in client.log if m.type == "status"]
    assert {m.content["execution_state"] for m in statuses} == {"busy", "idle"}
    for msg_id in ids:
        assert [m.content["execution_state"] for m in statuses if m.parent_id == msg_id] == ["busy", "idle"]
    assert all(set(m.content) == {"execution_state"} for m in statuses)


def test_71_starting_is_said_at_most_once(kernel: Kernel) -> None:
    clients = [kernel.connect() for _ in range(3)]
    for c in clients:
        c.execute("1")
    for c in clients:
        starting = [m for m in c.log if m.type == "status" and m.content["execution_state"] == "starting"]
        assert len(starting) <= 1
        assert all(m.parent == {} for m in starting)


def test_72_control_requests_have_their_own_status(client: Client) -> None:
    msg_id = client.send_code("print('started', flush=True)\nimport time; time.sleep(0.5)\nprint('end')")
    client.stream(msg_id, "started")
    turns = [client.request("kernel_info_request", channel="control") for _ in range(3)]
    for turn in turns:
        assert turn.types == ["busy", "idle"]
        assert {m.parent["msg_type"] for m in turn.iopub} == {"kernel_info_request"}
    cell = client.finish(msg_id).ok()
    assert cell.types == ["busy", "execute_input", "stdout", "idle"]
    assert cell.stdout == "started\nend\n"


def test_73_topics(kernel: Kernel) -> None:
    client = kernel.connect()
    client.execute("import sys; print(1); print(2, file=sys.stderr); display(3); 4").ok()
    client.execute("1/0")
    topics = {}
    for m in client.log:
        name = m.content["name"] if m.type == "stream" else m.type
        topics.setdefault(name, m.topic.decode())
    kernel_id = re.fullmatch(r"kernel\.([0-9a-f-]+)\.status", topics["status"])
    assert kernel_id
    prefix = f"kernel.{kernel_id[1]}."
    assert topics["execute_input"] == prefix + "execute_input"
    assert topics["execute_result"] == prefix + "execute_result"
    assert topics["error"] == prefix + "error"
    assert topics["stdout"] == "stream.stdout"
    assert topics["stderr"] == "stream.stderr"
    assert topics["display_data"] == "display_data"


@pytest.mark.needs("comm")
def test_73_topic_of_a_comm(client: Client) -> None:
    turn = client.execute("import comm; c = comm.create_comm(target_name='t', comm_id='abc', data={})").ok()
    assert turn.of("comm_open")[0].topic == b"comm-abc"


def test_73_a_filtered_client_sees_only_its_topic(kernel: Kernel, client: Client) -> None:
    errors = kernel.connect(ready=False, subscribe=b"stream.stderr")
    errors.wait(lambda m: m.type == "iopub_welcome", "welcome")
    client.execute("import sys; print('out'); print('err', file=sys.stderr)").ok()
    errors.wait(lambda m: m.type == "stream", "stderr")
    seen = [m for m in errors.log if m.type != "iopub_welcome"]
    if IS_HUSK:
        assert {m.content["name"] for m in seen if m.type == "stream"} == {"stderr"}
    assert all(m.topic.startswith(b"stream.stderr") for m in seen)


@pytest.mark.husk
def test_73_a_client_that_comes_and_goes_hurts_nobody(kernel: Kernel, client: Client) -> None:
    for n in range(30):
        visitor = kernel.connect(ready=n % 2 == 0)
        if n % 3 == 0:
            visitor.send_code("print('left behind')")
        visitor.close()
    wait_until(lambda: client.execute("1").result == "1", "an answer")
