# SPDX-License-Identifier: Apache-2.0
"""Comm messages beside a cell that awaits (specs/link.md 2.4), and the shell that they belong to (specs/wire.md 7.15)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from husk import Client, Kernel, wait_until

StartFront = Callable[..., Kernel]
RESPAWN = "--on-crash=respawn"
HANG = "time.sleep(1000)"
# A cell that awaits, and serves one comm message before it replies.
TAKE = "kind, beside = w.recv(); assert kind == REQUEST, kind\n"
SERVE_ONE = "w.send(AWAIT, [w.turn])\n" + TAKE + "w.answer(turn=beside[0])\n"


def comm(client: Client, content: Any = None, subshell: str | None = None, kind: str = "comm_msg") -> str:
    header = {} if subshell is None else {"subshell_id": subshell}
    return client.send(kind, {"comm_id": "c", "data": {}} | (content or {}), header=header)


def create(client: Client) -> str:
    return client.request("create_subshell_request", {}, channel="control").ok().content["subshell_id"]


def all_arrived(client: Client) -> None:
    client.request("execute_request", {"code": ""}, header={"subshell_id": "none"}).failed("UnknownSubshellError")


def states(client: Client, *ids: str) -> list[tuple[str, str]]:
    """Status messages of these requests in the order of their arrival."""
    found = [m for m in client.log if m.type == "status" and m.parent_id in ids]
    return [(m.parent_id, m.content["execution_state"]) for m in found]


def test_a_comm_message_is_served_while_a_cell_awaits_and_before_what_waits(start: StartFront) -> None:
    client = start().connect()
    cell = client.send_code(SERVE_ONE + "w.result(beside[4].decode()); w.reply()")
    client.state(cell, "busy")
    later = client.send_code("")
    message = comm(client, {"data": {"x": 1}})
    turn = client.finish(cell).ok()
    client.finish(later).ok()
    assert turn.result is not None and json.loads(turn.result)["data"] == {"x": 1}
    assert not [m for m in client.of(message) if m.channel == "shell"]
    assert states(client, cell, later, message) == [
        (cell, "busy"), (message, "busy"), (message, "idle"), (cell, "idle"), (later, "busy"), (later, "idle"),
    ]  # fmt: skip


def test_one_that_comes_on_control_is_served_too(start: StartFront) -> None:
    client = start().connect()
    cell = client.send_code(SERVE_ONE + "w.reply()")
    client.state(cell, "busy")
    message = client.send("comm_msg", {"comm_id": "c", "data": {}}, channel="control")
    client.finish(cell).ok()
    assert states(client, cell, message)[-2:] == [(message, "idle"), (cell, "idle")]


def test_a_cell_that_does_not_await_is_waited_for_in_order(start: StartFront) -> None:
    client = start().connect()
    cell = client.send_code("w.until_interrupted(); w.error()", stop_on_error=False)
    client.state(cell, "busy")
    later = client.send_code("")
    message = comm(client)
    all_arrived(client)
    client.request("interrupt_request", {}, channel="control").ok()
    client.state(message, "idle")
    assert [who for who, state in states(client, cell, later, message) if state == "idle"] == [cell, later, message]


def test_the_next_cell_has_to_say_for_itself_that_it_awaits(start: StartFront) -> None:
    client = start().connect()
    client.execute("w.send(AWAIT, [w.turn]); w.reply()").ok()
    cell = client.send_code("w.until_interrupted(); w.error()", stop_on_error=False)
    client.state(cell, "busy")
    message = comm(client)
    all_arrived(client)
    client.request("interrupt_request", {}, channel="control").ok()
    client.state(message, "idle")
    assert states(client, cell, message)[1] == (cell, "idle")


def test_other_requests_wait_for_the_cell(start: StartFront) -> None:
    client = start().connect()
    cell = client.send_code(SERVE_ONE + "w.result(str(beside[4].decode())); w.reply()")
    client.state(cell, "busy")
    others = [client.send(kind, {"code": "", "cursor_pos": 0}) for kind in ("complete_request", "comm_info_request")]
    message = comm(client, {"data": "this one"})
    result = client.finish(cell).ok().result
    assert result is not None and "this one" in result
    for other in others:
        client.finish(other)
    assert [who for who, state in states(client, cell, message, *others) if state == "idle"] == [message, cell, *others]


def test_comm_messages_are_given_one_at_a_time_in_order(start: StartFront) -> None:
    client = start().connect()
    take = "w.link.settimeout(0.2)\ntry:\n w.recv(); early = True\nexcept TimeoutError:\n early = False\nw.link.settimeout(None)\n"
    code = "w.send(AWAIT, [w.turn])\nseen = []\nfor _ in range(3):\n kind, f = w.recv()\n seen.append(f[4])\n"
    code += "".join(f" {line}\n" for line in take.splitlines()) + " seen.append(early)\n w.answer(turn=f[0])\n"
    cell = client.send_code(code + "w.result(repr(seen)); w.reply()")
    client.state(cell, "busy")
    for i in range(3):
        comm(client, {"data": i})
    result = client.finish(cell).ok().result
    assert result is not None
    assert [("early", e) if isinstance(e, bool) else json.loads(e)["data"] for e in eval(result)] == [  # noqa: S307
        0, ("early", False), 1, ("early", False), 2, ("early", False),
    ]  # fmt: skip


def test_a_message_that_is_still_served_after_the_reply_is_waited_for(start: StartFront) -> None:
    client = start().connect()
    code = "w.send(AWAIT, [w.turn])\n" + TAKE + "w.reply(); until = w.until_interrupted(); assert until == beside[0]\n"
    cell = client.send_code(code + "w.kept['signals'] = 0; w.answer(turn=beside[0])")
    client.state(cell, "busy")
    later = client.send_code("")
    message = comm(client)
    client.finish(cell).ok()
    client.state(message, "busy")
    client.request("interrupt_request", {}, channel="control").ok()
    client.finish(later).ok()
    assert [who for who, state in states(client, cell, later, message) if state == "idle"] == [cell, message, later]


def test_an_interrupt_names_the_cell_while_a_message_is_beside_it(start: StartFront) -> None:
    client = start().connect()
    code = "w.send(AWAIT, [w.turn])\n" + TAKE + "assert w.until_interrupted() == w.turn\nw.answer(turn=beside[0])\n"
    cell = client.send_code(code + "w.error('KeyboardInterrupt')")
    message = comm(client)
    client.state(message, "busy")
    client.request("interrupt_request", {}, channel="control").ok()
    assert client.finish(cell).failed("KeyboardInterrupt").verdict == "interrupted"
    assert states(client, cell, message)[-2:] == [(message, "idle"), (cell, "idle")]


def test_a_message_that_is_no_object_or_too_large_ends_without_the_worker(start: StartFront) -> None:
    client = start().connect()
    cell = client.send_code(SERVE_ONE + "w.reply()")
    client.state(cell, "busy")
    bad = client.send("comm_msg", [1])
    good = comm(client)
    client.finish(cell).ok()
    assert [who for who, state in states(client, cell, bad, good) if state == "idle"] == [bad, good, cell]


@pytest.mark.parametrize("how", ["os._exit(5)", "w.raw(b'x' * 100); time.sleep(1000)", "w.link.shutdown(2); time.sleep(1000)"])
@pytest.mark.parametrize("where", ["main", "subshell"])
def test_a_worker_that_dies_beside_answers_both_once(start: StartFront, how: str, where: str) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    subshell = create(client) if where == "subshell" else None
    header = {"subshell_id": subshell}
    code = "w.send(AWAIT, [w.turn])\n" + TAKE + how
    cell = client.send("execute_request", {"code": code}, header=header)
    client.state(cell, "busy")
    message = comm(client, subshell=subshell)
    later = client.send("execute_request", {"code": ""}, header=header)
    client.finish(cell).failed("WorkerCrashed")
    client.state(message, "idle")
    assert client.finish(later).status in ("aborted", "ok")
    client.request("execute_request", {"code": ""}, header=header).ok()
    for msg_id in (cell, message):
        assert [state for who, state in states(client, msg_id)] == ["busy", "idle"]
    assert len([m for m in client.log if m.channel == "shell" and m.parent_id == cell]) == 1


LIES = {
    "await_of_no_turn": "w.send(AWAIT, [w.turn + 1])",
    "await_of_a_message": "w.send(AWAIT, [w.turn])\n" + TAKE + "w.send(AWAIT, [beside[0]])",
    "reply_to_a_message": "w.send(AWAIT, [w.turn])\n" + TAKE + "w.reply(turn=beside[0])",
    "two_answers": "w.send(AWAIT, [w.turn])\n" + TAKE + "w.answer(turn=beside[0]); w.answer(turn=beside[0])",
    "answer_for_a_cell": "w.send(AWAIT, [w.turn]); w.answer()",
    "await_without_turn": "w.send(AWAIT, ['x'])",
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_ends_the_worker_and_all_are_answered(start: StartFront, lie: str) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    cell = client.send_code(f"{LIES[lie]}\nw.answered = True; {HANG}")
    client.state(cell, "busy")
    message = comm(client)
    client.finish(cell).failed("WorkerCrashed")
    client.state(message, "idle")
    wait_until(lambda: "broke the link's rules" in kernel.stderr(), "the reason")
    client.execute("").ok()


def test_the_end_answers_both(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    cell = client.send_code("w.send(AWAIT, [w.turn])\n" + TAKE + HANG)
    message = comm(client)
    client.state(message, "busy")
    client.request("shutdown_request", {"restart": False}, channel="control").ok()
    client.finish(cell).failed("KernelShutdown")
    client.state(message, "idle")
    assert kernel.wait_exit() == 0


def test_deleting_a_subshell_answers_both(start: StartFront) -> None:
    client = start().connect()
    subshell = create(client)
    code = "w.send(AWAIT, [w.turn])\n" + TAKE + HANG
    cell = client.send("execute_request", {"code": code}, header={"subshell_id": subshell})
    message = comm(client, subshell=subshell)
    client.state(message, "busy")
    client.request("delete_subshell_request", {"subshell_id": subshell}, channel="control").ok()
    client.finish(cell).failed("SubshellDeleted")
    client.state(message, "idle")
    client.execute("").ok()


# --- which shell -----------------------------------------------------------------------------------------------------

WHERE = "w.send(PUBLISH, [w.turn, 'seen', b'{\"main\":%s}' % (b'false' if w.parent else b'true'), None, None, []])"


def publish(kind: str, content: Any) -> str:
    return f"w.send(PUBLISH, [w.turn, {kind!r}, {json.dumps(content).encode()!r}, None, None, []])"


def served_in_main(client: Client, subshell: str | None, content: Any = None) -> bool:
    """Where a comm_msg that names this subshell is served."""
    message = comm(client, {"script": WHERE} | (content or {}), subshell)
    client.state(message, "idle")
    (seen,) = [m for m in client.of(message) if m.type == "seen"]
    return seen.content["main"]


def test_answers_go_to_the_shell_that_published_last(start: StartFront) -> None:
    client = start().connect()
    subshell = create(client)
    header = {"subshell_id": subshell}
    assert served_in_main(client, None) and not served_in_main(client, subshell)
    client.execute(publish("comm_open", {"comm_id": "c", "data": {}})).ok()
    assert served_in_main(client, subshell)
    client.request("execute_request", {"code": publish("comm_msg", {"comm_id": "c", "data": {}})}, header=header).ok()
    assert not served_in_main(client, None) and not served_in_main(client, subshell)
    asks = publish("comm_msg", {"comm_id": "c", "data": {"content": {"id": "q"}}})
    client.execute(asks).ok()
    client.request("execute_request", {"code": publish("comm_msg", {"comm_id": "c", "data": {}})}, header=header).ok()
    answer = {"data": {"content": {"id": "q"}}}
    assert served_in_main(client, subshell, answer) and not served_in_main(client, subshell, answer)
    client.execute(publish("comm_close", {"comm_id": "c", "data": {}})).ok()
    assert served_in_main(client, None) and not served_in_main(client, subshell)


def test_a_route_to_a_deleted_subshell_counts_no_more(start: StartFront) -> None:
    client = start().connect()
    first, second = create(client), create(client)
    code = publish("comm_open", {"comm_id": "c", "data": {}})
    client.request("execute_request", {"code": code}, header={"subshell_id": first}).ok()
    client.request("delete_subshell_request", {"subshell_id": first}, channel="control").ok()
    third = create(client)  # has the first one's place
    assert served_in_main(client, None)
    assert not served_in_main(client, second) and not served_in_main(client, third)


# --- what code asks of the front ---------------------------------------------------------------------------------------

ASK_CONTROL = "w.send(ASK, [1, 'control', b'{}']); w.result(w.wait_for(TOLD)[1].decode())"


def test_the_last_request_on_control_is_told(start: StartFront) -> None:
    client = start().connect()

    def told() -> Any:
        result = client.execute(ASK_CONTROL).ok().result
        assert result is not None
        return json.loads(result)

    assert told() == {}
    client.request("kernel_info_request", {"a": 1}, channel="control").ok()
    info = told()
    assert info["header"]["msg_type"] == "kernel_info_request" and info["content"] == {"a": 1}
    assert bytes.fromhex(info["identities"][0])
    client.request("debug_request", {"command": "x" * 100000}, channel="control")
    last = told()
    assert (last["header"]["msg_type"], last["content"]) == ("debug_request", {})
