# SPDX-License-Identifier: Apache-2.0
"""Comm messages while a cell awaits, and the shell that they belong to (specs/wire.md 7.4, 7.15)."""

from __future__ import annotations

from typing import Any

import pytest

from husk import Client, Kernel

AWAIT = """
import asyncio
future = asyncio.get_running_loop().create_future()
comm = __import__("comm").create_comm(target_name="t", comm_id="c")
def on_reply(message):
    print("handler")
    future.set_result(message["content"]["data"]["value"])
comm.on_msg(on_reply)
print("awaiting", flush=True)
print("got", await future)
"""


def reply(client: Client, value: Any, **header: Any) -> str:
    return client.send("comm_msg", {"comm_id": "c", "data": {"value": value}}, header=header)


def create(client: Client) -> str:
    return client.request("create_subshell_request", {}, channel="control").ok().content["subshell_id"]


def test_a_cell_awaits_the_answer_to_its_comm(client: Client) -> None:
    cell = client.send_code(AWAIT)
    client.stream(cell, "awaiting")
    following = client.send_code("'next'")
    message = reply(client, 42)
    turn = client.finish(cell).ok()
    assert turn.stdout == "awaiting\ngot 42\n"
    assert client.finish(following).ok().result == "'next'"
    assert [m.content["text"] for m in client.of(message) if m.type == "stream"] == ["handler\n"]
    assert not [m for m in client.of(message) if m.channel == "shell"]


@pytest.mark.husk
def test_both_requests_have_their_busy_and_idle(client: Client) -> None:
    cell = client.send_code(AWAIT)
    client.stream(cell, "awaiting")
    message = reply(client, 1)
    client.finish(cell).ok()
    states = [m for m in client.log if m.type == "status" and m.parent_id in (cell, message)]
    found = [(m.parent_id, m.content["execution_state"]) for m in states]
    assert found == [(cell, "busy"), (message, "busy"), (message, "idle"), (cell, "idle")]


def test_other_requests_wait_for_the_cell(client: Client) -> None:
    cell = client.send_code(AWAIT)
    client.stream(cell, "awaiting")
    others = [client.send("complete_request", {"code": "futur", "cursor_pos": 5}), client.send("comm_info_request", {})]
    reply(client, 1)
    client.finish(cell).ok()
    for other in others:
        client.finish(other).ok()
        assert client.reply(other).number > client.reply(cell).number


@pytest.mark.parametrize("interrupts", ["the await", "the handler"])
@pytest.mark.husk
def test_an_interrupt_ends_the_cell_and_the_handler(client: Client, interrupts: str) -> None:
    code = AWAIT.replace('print("handler")', 'print("handler", flush=True)\n    while True: pass')
    cell = client.send_code(code)
    client.stream(cell, "awaiting")
    if interrupts == "the handler":
        client.stream(reply(client, 1), "handler")
    client.request("interrupt_request", {}, channel="control").ok()
    assert client.finish(cell).failed("KeyboardInterrupt").verdict == "interrupted"
    assert client.execute("1").ok().result == "1"


@pytest.mark.husk
def test_a_handler_that_kills_the_worker_answers_both(kernel: Kernel, client: Client) -> None:
    kernel.expect_exit, kernel.expect_stderr = (3,), ["ended with exit code 3"]
    client.execute("import os").ok()
    cell = client.send_code(AWAIT.replace('print("handler")', "os._exit(3)"))
    client.stream(cell, "awaiting")
    message = reply(client, 1)
    client.finish(cell).failed("WorkerCrashed")
    client.state(message, "idle")


def test_a_subshell_awaits_too(client: Client) -> None:
    subshell = create(client)
    cell = client.send("execute_request", {"code": AWAIT}, header={"subshell_id": subshell})
    client.stream(cell, "awaiting")
    reply(client, 5, subshell_id=subshell)
    assert client.finish(cell).ok().stdout == "awaiting\ngot 5\n"


def test_an_answer_goes_to_the_shell_that_asked(client: Client) -> None:
    client.execute(AWAIT.replace('print("got", await future)', "future.set_result(0)")).ok()
    subshell = create(client)
    code = "import threading\ndef on_reply(m): future.set_result(threading.get_ident())\ncomm.on_msg(on_reply)\n"
    code += "future = asyncio.get_running_loop().create_future()\ncomm.send({})\nprint('asked', flush=True)\n"
    code += "await future == threading.get_ident()"
    for asks, names in ((subshell, None), (None, subshell)):
        cell = client.send("execute_request", {"code": code}, header={"subshell_id": asks})
        client.stream(cell, "asked")
        reply(client, 1, subshell_id=names)
        assert client.finish(cell).ok().result == "True"


def test_the_parent_of_control_is_its_last_request(client: Client) -> None:
    asked = {"command": "debugInfo", "seq": 1, "type": "request"}
    for kind, content in (("kernel_info_request", {}), ("list_subshell_request", {}), ("debug_request", asked)):
        turn = client.request(kind, content, channel="control")
        code = "k = get_ipython().kernel; p = k.get_parent('control'); print(p['header']['msg_id'], p['header']['msg_type'])"
        assert client.execute(code).ok().stdout.split() == [turn.msg_id, kind]
        assert client.execute("print(k._parent_ident['control'] == k._parent_ident['shell'])").ok().stdout == "True\n"
