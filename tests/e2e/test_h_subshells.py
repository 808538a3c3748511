# SPDX-License-Identifier: Apache-2.0
"""Subshells: items 91 to 93."""

from __future__ import annotations

import re
from typing import Any

import pytest

from husk import IS_HUSK, Client, Kernel, Turn


def create(client: Client) -> str:
    return client.request("create_subshell_request", {}, channel="control").ok().content["subshell_id"]


def listed(client: Client) -> list[str]:
    return client.request("list_subshell_request", {}, channel="control").ok().content["subshell_id"]


def delete(client: Client, subshell: str) -> Turn:
    return client.request("delete_subshell_request", {"subshell_id": subshell}, channel="control")


def send_code(client: Client, subshell: str | None, code: str, **content: Any) -> str:
    header = {"subshell_id": subshell}
    full = {"code": code, "allow_stdin": False} | content
    return client.send("execute_request", full, header=header)


def execute(client: Client, subshell: str | None, code: str, **content: Any) -> Turn:
    return client.finish(send_code(client, subshell, code, **content))


@pytest.fixture
def subshell(client: Client) -> str:
    """A subshell of the kernel under test."""
    features = client.request("kernel_info_request").content["supported_features"]
    assert "kernel subshells" in features
    return create(client)


def test_91_create_list_delete(client: Client) -> None:
    assert listed(client) == []
    ids = [create(client) for _ in range(3)]
    assert len(set(ids)) == 3
    assert sorted(listed(client)) == sorted(ids)
    delete(client, ids[1]).ok()
    assert sorted(listed(client)) == sorted([ids[0], ids[2]])
    for subshell in (ids[0], ids[2]):
        delete(client, subshell).ok()
    assert listed(client) == []
    assert client.execute("1").ok().result == "1"


def test_91_execute_while_the_main_shell_sleeps(client: Client, subshell: str) -> None:
    client.execute("import threading; go = threading.Event(); x = 1").ok()
    msg_id = client.send_code("print('started', flush=True)\ngo.wait(20)")
    client.stream(msg_id, "started")
    turn = execute(client, subshell, "print('in subshell'); x += 1; x").ok()
    assert turn.stdout == "in subshell\n"
    assert turn.result == "2"
    for m in [turn.reply, *turn.iopub]:
        assert m.parent == client.sent[turn.msg_id]
        assert m.parent["subshell_id"] == subshell
    assert turn.types == ["busy", "execute_input", "stdout", "execute_result", "idle"]
    assert [m for m in client.of(msg_id) if m.channel == "shell"] == []
    execute(client, subshell, "go.set()").ok()
    assert client.finish(msg_id).ok().result == "True"


FIRST_CELLS = {
    "loop": ("n = 0\nwhile go: n += 1\nn > 0", "True"),
    "sleep": ("import time\nwhile go: time.sleep(0.01)\n'end'", "'end'"),
    "no value": ("while go: pass", None),
    "function": ("def wait():\n    while go: pass\n    return [1]\nwait()", "[1]"),
}


@pytest.mark.parametrize("kind", sorted(FIRST_CELLS))
def test_91_a_subshell_does_not_wait_for_the_very_first_cell(client: Client, kind: str) -> None:
    code, result = FIRST_CELLS[kind]
    first = client.send_code("go = 1\n" + code)
    client.state(first, "busy")
    subshell = create(client)
    turn = execute(client, subshell, "go + 1")
    assert turn.ok().result == "2"
    execute(client, subshell, "other = 5; go = 0").ok()
    turn = client.finish(first).ok()
    assert turn.result == result
    assert turn.content["execution_count"] == 1
    if kind == "no value":
        assert client.execute("other").ok().result == "5"
        assert client.execute("In[1]").ok().result == repr("go = 1\n" + code)
        assert client.execute("Out").ok().result is not None
        numbers = [client.execute("1").content["execution_count"] for _ in range(3)]
        assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_91_a_first_cell_that_raises_beside_a_subshell(client: Client) -> None:
    first = client.send_code("go = 1\nwhile go: pass\n1/0")
    client.state(first, "busy")
    subshell = create(client)
    execute(client, subshell, "go = 0").ok()
    turn = client.finish(first).failed("ZeroDivisionError")
    text = re.sub("\x1b[^m]*m", "", "\n".join(turn.content["traceback"]))
    assert "----> 3 1/0" in text or "line 3" in text  # with IPython, and without
    assert execute(client, subshell, "2").ok().result == "2"


@pytest.mark.husk
def test_91_an_interrupt_while_a_subshell_is_opened_is_not_lost(client: Client) -> None:
    first = client.send_code("go = 1\nwhile go: pass")
    client.state(first, "busy")
    create(client)
    client.request("interrupt_request", channel="control").ok()
    client.finish(first).failed("KeyboardInterrupt")
    assert client.execute("1").ok().result == "1"


def test_91_other_requests_in_a_subshell(client: Client, subshell: str) -> None:
    client.execute("import threading; go = threading.Event(); some_name = 5").ok()
    msg_id = client.send_code("print('started', flush=True)\ngo.wait(20)")
    client.stream(msg_id, "started")
    header = {"subshell_id": subshell}
    content = {"code": "some_na", "cursor_pos": 7}
    assert "some_name" in client.request("complete_request", content, header=header).content["matches"]
    turn = client.request("inspect_request", {"code": "some_name", "cursor_pos": 3, "detail_level": 0}, header=header)
    assert turn.content["found"] is True
    assert client.request("is_complete_request", {"code": "1"}, header=header).content["status"] == "complete"
    assert client.request("kernel_info_request", {}, header=header).status == "ok"
    execute(client, subshell, "go.set()").ok()
    client.finish(msg_id).ok()


def test_91_errors_and_output_in_a_subshell(client: Client, subshell: str) -> None:
    turn = execute(client, subshell, "import sys\nprint('o'); print('e', file=sys.stderr)\n1/0")
    turn.failed("ZeroDivisionError")
    assert turn.error is not None
    assert turn.stdout == "o\n"
    assert turn.stderr == "e\n"
    assert execute(client, subshell, "display('shown')").ok().of("display_data")
    assert execute(client, subshell, "").ok()
    assert client.execute("1").ok().result == "1"


def test_91_several_subshells_at_once(client: Client) -> None:
    client.execute("import threading; barrier = threading.Barrier(4)").ok()
    shells = [create(client) for _ in range(3)]
    ids = [send_code(client, s, "print('at', barrier.wait(20) >= 0)") for s in [*shells, None]]
    for msg_id in ids:
        assert client.finish(msg_id).ok().stdout == "at True\n"


@pytest.mark.ipython
def test_91_comm_in_a_subshell(client: Client, subshell: str) -> None:
    code = """
import threading
go = threading.Event()
def opened(comm, message):
    comm.on_msg(lambda m: comm.send({"thread": threading.current_thread() is threading.main_thread()}))
get_ipython().kernel.comm_manager.register_target("t", opened)
"""
    client.execute(code).ok()
    msg_id = client.send_code("print('started', flush=True)\ngo.wait(20)")
    client.stream(msg_id, "started")
    header = {"subshell_id": subshell}
    opened = client.send("comm_open", {"comm_id": "c", "target_name": "t", "data": {}}, header=header)
    client.state(opened, "idle")
    told = client.send("comm_msg", {"comm_id": "c", "data": {}}, header=header)
    client.state(told, "idle")
    (answer,) = [m for m in client.of(told) if m.type == "comm_msg"]
    assert answer.content["data"] == {"thread": False}
    assert answer.parent["subshell_id"] == subshell
    execute(client, subshell, "go.set()").ok()
    client.finish(msg_id).ok()


def test_91_input_in_a_subshell(client: Client, subshell: str) -> None:
    msg_id = send_code(client, subshell, "input('sub? ')", allow_stdin=True)
    request = client.asked(msg_id)
    assert request.parent["subshell_id"] == subshell
    client.answer(request, "yes")
    assert client.finish(msg_id).ok().result == "'yes'"


@pytest.mark.ipython
def test_91_subshell_magic_and_await(client: Client, subshell: str) -> None:
    turn = execute(client, subshell, "%subshell").ok()
    assert subshell in turn.stdout
    assert execute(client, subshell, "import asyncio\nawait asyncio.sleep(0, 'slept')").ok().result == "'slept'"


@pytest.mark.parametrize("request_type", ["execute_request", "complete_request", "kernel_info_request"])
def test_92_unknown_subshell(client: Client, request_type: str) -> None:
    content = {"code": "1", "cursor_pos": 1}
    turn = client.request(request_type, content, header={"subshell_id": "no-such-subshell"})
    assert turn.status == "error"
    assert turn.content["ename"] == "UnknownSubshellError"
    assert turn.types == ["busy", "idle"]
    assert client.execute("1").ok().result == "1"


@pytest.mark.differs("does not name the error")
def test_92_deleted_subshell(client: Client, subshell: str) -> None:
    delete(client, subshell).ok()
    turn = execute(client, subshell, "1")
    assert turn.status == "error"
    assert turn.content["ename"]
    turn = delete(client, subshell)
    assert turn.status == "error"
    assert turn.content["ename"]
    assert isinstance(turn.content["traceback"], list)


def test_92_abort_is_per_subshell(client: Client, subshell: str) -> None:
    client.execute("import threading, time; go = threading.Event()").ok()
    main = client.send_code("print('started', flush=True)\ngo.wait(20)")
    client.stream(main, "started")
    queued_main = client.send_code("'main runs'")
    failing = send_code(client, subshell, "time.sleep(0.3)\n1/0")
    queued_sub = send_code(client, subshell, "'never'")
    client.finish(failing).failed("ZeroDivisionError")
    assert client.finish(queued_sub).status == "aborted"
    execute(client, subshell, "go.set()").ok()
    assert client.finish(main).ok()
    assert client.finish(queued_main).ok().result == "'main runs'"


def test_92_delete_waits_for_nobody(client: Client, subshell: str) -> None:
    msg_id = send_code(client, subshell, "print('started', flush=True)\nimport time; time.sleep(0.3)")
    client.stream(msg_id, "started")
    delete(client, subshell)
    client.reply(msg_id)
    client.state(msg_id, "idle")
    assert listed(client) == []
    assert client.execute("1").ok().result == "1"


@pytest.mark.differs("waits for the cell")
def test_92_shutdown_ends_all(kernel: Kernel, client: Client, subshell: str) -> None:
    other = create(client)
    for shell in (subshell, other, None):
        msg_id = send_code(client, shell, "print('started', flush=True)\nimport time; time.sleep(60)")
        client.stream(msg_id, "started")
    client.send("shutdown_request", {"restart": False}, channel="control")
    assert kernel.wait_exit(10) == 0


@pytest.mark.husk
def test_93_interrupt_during_a_subshell_cell(client: Client, subshell: str) -> None:
    """interrupt_request reaches every running cell (specs/wire.md); what waits or is idle is unaffected."""
    client.execute("x = 5").ok()
    msg_id = send_code(client, subshell, "print('started', flush=True)\nwhile True: pass")
    client.stream(msg_id, "started")
    assert client.execute("x").ok().result == "5"
    assert client.request("interrupt_request", channel="control").status == "ok"
    turn = client.finish(msg_id)
    turn.failed("KeyboardInterrupt")
    assert client.execute("x").ok().result == "5"
    assert execute(client, subshell, "x").ok().result == "5"


@pytest.mark.husk
@pytest.mark.stderr(r"did not end within|killed by signal 9")
def test_93_interrupt_of_a_blocked_call_in_a_subshell(client: Client, subshell: str) -> None:
    """What does not react within the grace period ends as in the main shell: with the worker."""
    msg_id = send_code(client, subshell, "print('started', flush=True)\nimport ctypes; ctypes.CDLL(None).sleep(1000)")
    client.stream(msg_id, "started")
    client.request("interrupt_request", channel="control").ok()
    turn = client.finish(msg_id, 30).failed("KeyboardInterrupt")
    assert turn.verdict == "interrupted"
    assert turn.reply.metadata["husk"]["state"] == "lost"
    assert client.execute("1").ok().result == "1"
    assert execute(client, subshell, "2").ok().result == "2"


@pytest.mark.husk
def test_93_interrupt_of_a_subshell_that_catches_it_is_repeated(client: Client, subshell: str) -> None:
    code = """
import time
print('started', flush=True)
try:
    while True: time.sleep(0.01)
except KeyboardInterrupt:
    while True: time.sleep(0.01)
"""
    msg_id = send_code(client, subshell, code)
    client.stream(msg_id, "started")
    client.request("interrupt_request", channel="control").ok()
    turn = client.finish(msg_id, 30).failed("KeyboardInterrupt")
    assert turn.reply.metadata["husk"]["state"] == "kept"


def test_93_interrupt_of_the_main_shell_spares_an_idle_subshell(kernel: Kernel, client: Client, subshell: str) -> None:
    msg_id = client.send_code("print('started', flush=True)\nwhile True: pass")
    client.stream(msg_id, "started")
    assert execute(client, subshell, "y = 1").ok()
    kernel.interrupt()
    client.finish(msg_id).failed("KeyboardInterrupt")
    assert execute(client, subshell, "y").ok().result == "1"
    if IS_HUSK:
        assert listed(client) == [subshell]
