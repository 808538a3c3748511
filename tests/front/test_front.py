# SPDX-License-Identifier: Apache-2.0
"""The front with a scripted worker below it: every phase in which a worker can die, lie or hang, and a client can vanish."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq
from husk import Client, Kernel, Turn, descriptors, memory, wait_until

StartFront = Callable[..., Kernel]
RESPAWN = "--on-crash=respawn"
HANG = "time.sleep(1000)"


def cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_quiet(pid: int) -> None:
    """Nothing spins: over half a second hardly any processor time is used."""
    before = cpu(pid)
    time.sleep(0.5)
    assert cpu(pid) - before <= 0.1


def control(client: Client, kind: str = "kernel_info_request", content: Any = None) -> Turn:
    return client.request(kind, content, channel="control")


def assert_serves(client: Client) -> None:
    assert client.execute("w.result('2')").ok().result == "2"


def all_arrived(client: Client) -> None:
    """Whatever this client has sent on shell so far is in the front's queues: what no queue takes is answered at once."""
    client.request("execute_request", {"code": ""}, header={"subshell_id": "none"}).failed("UnknownSubshellError")


# --- death of the worker, in each phase ------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["boot", "hello"])
def test_a_worker_that_dies_before_it_is_ready_is_reported_and_ends_the_kernel(start: StartFront, phase: str) -> None:
    kernel = start(expect_exit=(3,), **{phase: "time.sleep(0.5); os.write(2, b'last words'); os._exit(3)"})
    client = kernel.connect(ready=False)
    ids = [client.send_code("1"), client.send("complete_request", {"code": ""}), client.send("history_request", {})]
    for msg_id in ids:
        assert client.finish(msg_id).status in ("aborted", "error")
    assert kernel.wait_exit() == 3
    assert "exit code 3" in kernel.stderr() and "last words" in kernel.stderr()


@pytest.mark.parametrize("phase", ["boot", "hello"])
def test_workers_that_never_get_ready_are_not_respawned_for_ever(start: StartFront, phase: str) -> None:
    kernel = start(RESPAWN, expect_exit=(3,), **{phase: "os._exit(3)"})
    assert kernel.wait_exit() == 3
    assert kernel.stderr().count("before Python was up") == 3


@pytest.mark.parametrize("phase", ["boot", "hello"])
def test_a_worker_that_never_gets_ready_is_ended_and_everything_answered(start: StartFront, phase: str) -> None:
    kernel = start("--start-timeout=1", expect_exit=(1,), **{phase: HANG})
    client = kernel.connect(ready=False)
    ids = [client.send_code("1"), client.send("complete_request", {"code": ""})]
    for msg_id in ids:
        assert "--start-timeout" in client.finish(msg_id).failed("WorkerCrashed").content["evalue"]
    assert kernel.wait_exit() == 1
    (line,) = kernel.stderr().splitlines()
    assert "not started after 1 s" in line and "before Python was up" in line


def test_a_worker_that_hangs_once_is_replaced_and_what_waits_is_served(start: StartFront, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    once = f"if not os.path.exists({mark!r}):\n open({mark!r}, 'w')\n {HANG}"
    kernel = start(RESPAWN, "--start-timeout=1", boot=once)
    client = kernel.connect(ready=False)
    assert_serves(client)


def test_workers_that_die_right_after_ready_are_not_respawned_for_ever(start: StartFront) -> None:
    boot = "import threading; threading.Timer(0.05, lambda: os._exit(4)).start()"
    kernel = start(RESPAWN, expect_exit=(4,), boot=boot)
    assert kernel.wait_exit() == 4


def test_crashes_of_requests_are_respawned_as_often_as_they_come(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    for how, what in [("os.kill(os.getpid(), 11)", "SIGSEGV"), ("os._exit(7)", "exit code 7")] * 3:
        turn = client.execute(f"w.write('before'); {how}").failed("WorkerCrashed")
        assert what in turn.content["evalue"]
        assert turn.types == ["busy", "execute_input", "stdout", "error", "idle"]
        assert turn.verdict == "crashed"
    assert_serves(client)


def test_a_fatal_launcher_ends_the_kernel_with_its_sentence(start: StartFront) -> None:
    kernel = start(expect_exit=(1,), wait=False, boot="w.send(FATAL, ['python-missing', 'there is no Python']); os._exit(1)")
    assert kernel.wait_exit() == 1
    assert "there is no Python" in kernel.stderr()


def test_death_during_attach_answers_the_subshell(start: StartFront) -> None:
    kernel = start(RESPAWN, boot="Worker.serve = lambda self, old=Worker.serve: os._exit(5) if self.parent else old(self)")
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    turn = client.finish(client.send("execute_request", {"code": "1"}, header={"subshell_id": sub}))
    assert "exit code 5" in turn.failed("WorkerCrashed").content["evalue"]
    assert_serves(client)


def test_death_during_input_answers_once(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    cell = client.send_code("w.send(ASK_INPUT, [w.turn, 'p', False]); w.wait_for(INPUT_REPLY); os._exit(6)", allow_stdin=True)
    asked = client.asked(cell)
    client.send("input_reply", {"value": "x"}, channel="stdin", parent=asked.header)
    client.finish(cell).failed("WorkerCrashed")
    client.send("input_reply", {"value": "again"}, channel="stdin")
    assert_serves(client)


def test_death_with_requests_on_several_lanes_answers_all(start: StartFront, tmp_path: Path) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    subs = [control(client, "create_subshell_request").content["subshell_id"] for _ in range(4)]
    ids = [client.send("execute_request", {"code": HANG}, header={"subshell_id": s}) for s in subs]
    ids += [client.send("execute_request", {"code": "1"}, header={"subshell_id": s}) for s in subs]
    for msg_id in ids[:4]:
        client.state(msg_id, "busy")
    go = tmp_path / "go"
    die = f"while not os.path.exists({str(go)!r}): time.sleep(0.001)\nos._exit(9)"
    ids += [client.send("debug_request", {"script": HANG}, channel="control"), client.send_code(die)]
    ids += [client.send("complete_request", {"code": ""}), client.send_code("1")]
    all_arrived(client)
    client.state(ids[8], "busy")
    go.touch()
    statuses = [client.finish(msg_id).status for msg_id in ids]
    assert statuses[:4] == ["error"] * 4 and statuses[8:10] == ["error"] * 2
    assert statuses[10] == "ok" and statuses[11] == "aborted"
    for s in subs:
        client.request("execute_request", {"code": ""}, header={"subshell_id": s}).ok()


def test_death_while_a_subscriber_is_stalled_answers_at_once(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    stalled = Client(kernel, options={"iopub": {zmq.RCVHWM: 1, zmq.RCVBUF: 8192}})
    kernel.clients.append(stalled)
    client.execute("").ok()
    cell = client.send_code("w.flood(stop=lambda: w.head > 150 << 20); os._exit(8)")
    assert "exit code 8" in client.finish(cell, 60).failed("WorkerCrashed").content["evalue"]
    assert memory(kernel.pid) < 1 << 30


# --- lies ------------------------------------------------------------------------------------------------------------

LIES = {
    "garbage": "w.raw(b'x' * 100)",
    "two_gigabytes": "w.raw(struct.pack('<IBBHQ', 2 << 30, 1, REPLY, 0, 0))",
    "wrong_turn": "w.reply(turn=w.turn + 1)",
    "answer_for_a_cell": "w.answer()",
    "two_replies": "w.reply(); w.reply()",
    "hello_again": "w.send(HELLO, [1, {}])",
    "down_frame": "w.send(EXECUTE, [1] * 8)",
    "bad_json": "w.send(PUBLISH, [w.turn, 'x', b'{\"a\": NaN}', None, None, []])",
    "payload_of_no_list": "w.send(REPLY, [w.turn, 0, 1, 2, b'{}', None, None, None])",
    "expressions_of_no_object": "w.send(REPLY, [w.turn, 0, 1, 2, None, b'[]', None, None])",
    "status_of_its_own": "w.send(PUBLISH, [w.turn, 'status', b'{}', None, None, []])",
    "reply_of_its_own": "w.send(PUBLISH, [w.turn, 'execute_reply', b'{}', None, None, []])",
    "ring_head": "w.put(8, 1 << 60); os.write(5, struct.pack('=Q', 1))",
    "ring_back": "w.write('abc'); w.send(PUBLISH, [w.turn, 'x', b'{}', None, None, []]); w.put(8, 0); os.write(5, struct.pack('=Q', 1))",
    "link_closed": "w.link.shutdown(2)",
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_ends_the_worker_and_the_request_is_answered_once(start: StartFront, lie: str) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    turn = client.execute(f"{LIES[lie]}; w.answered = True; {HANG}")
    if lie == "two_replies":
        turn.ok()
        wait_until(lambda: "not outstanding" in kernel.stderr(), "the end of the worker")
    else:
        turn.failed("WorkerCrashed")
    assert_serves(client)


def test_a_subshell_whose_thread_closes_its_link_is_answered(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    client.request("execute_request", {"code": "w.link.shutdown(2); w.answered = True"}, header={"subshell_id": sub}).failed(
        "WorkerCrashed"
    )
    client.request("execute_request", {"code": ""}, header={"subshell_id": sub}).ok()


def test_a_reply_that_is_too_large_is_replaced_by_one_that_says_so(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    turn = client.execute("w.reply(1, error=['E', '\\x01' * (200 << 20), []])", timeout=60)
    assert turn.content["ename"] == "ReplyTooLarge"
    assert_serves(client)


# --- floods ----------------------------------------------------------------------------------------------------------

FLOODS = {
    "ring": "w.flood(1 << 20)",
    "pipe": "b = b'x' * 65536\nwhile True: os.write(1, b)",
    "publish": "while True: w.send(PUBLISH, [w.turn, 'x', b'{}', None, None, []])",
    "error": "while True: w.send(ERROR, [w.turn, 'E', 'v' * 10000, []])",
    "questions": "while True: w.send(ASK, [1, 'history', b'{}'])",
}


@pytest.mark.parametrize("flood", sorted(FLOODS))
@pytest.mark.parametrize("reader", ["none", "stalled"])
def test_control_is_answered_during_any_flood_and_memory_is_bounded(start: StartFront, flood: str, reader: str) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect(ready=False, subscribe=None)
    client.reply(client.send_code(""))
    if reader == "stalled":
        stalled = Client(kernel, options={"iopub": {zmq.RCVHWM: 1, zmq.RCVBUF: 8192}})
        kernel.clients.append(stalled)
    cell = client.send_code(FLOODS[flood])
    end = time.monotonic() + 4
    while time.monotonic() < end:
        client.reply(client.send("kernel_info_request", channel="control"), 10)
        assert memory(kernel.pid) < 1 << 30
    client.reply(client.send("interrupt_request", channel="control"), 10)
    assert client.reply(cell, 30).content["status"] == "error"
    client.reply(client.send_code(""), 30)


# --- interrupts and the end, in each phase ---------------------------------------------------------------------------


def test_an_interrupt_is_for_the_turn_that_runs(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    cell = client.send_code("assert w.until_interrupted() == w.turn; w.error('KeyboardInterrupt')")
    client.state(cell, "busy")
    control(client, "interrupt_request").ok()
    turn = client.finish(cell).failed("KeyboardInterrupt")
    assert turn.verdict == "interrupted"
    assert client.execute("w.result(str(w.word(92, '<I')))").ok().result == "0"


def test_interrupts_without_anything_to_interrupt_change_nothing(start: StartFront) -> None:
    kernel = start(hello="time.sleep(0.5)")
    client = kernel.connect()
    control(client, "interrupt_request").ok()
    os.kill(kernel.pid, signal.SIGINT)
    client.execute("w.result(str(w.kept.get('signals')))").ok()
    control(client, "interrupt_request").ok()
    assert client.execute("w.result(str(w.kept.get('signals')))").ok().result == "None"


def test_a_storm_of_sigint_ends_the_cell_once(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    cell = client.send_code("w.until_interrupted(); time.sleep(0.2); w.error('KeyboardInterrupt')")
    client.state(cell, "busy")
    for _ in range(500):
        os.kill(kernel.pid, signal.SIGINT)
    client.finish(cell).failed("KeyboardInterrupt")
    assert_serves(client)


def test_a_cell_that_ignores_interrupts_is_killed_and_named(start: StartFront) -> None:
    kernel = start()  # replaced whatever --on-crash says
    client = kernel.connect()
    cell = client.send_code(HANG + "\n" + HANG)
    client.state(cell, "busy")
    control(client, "interrupt_request").ok()
    turn = client.finish(cell, 30).failed("KeyboardInterrupt")
    assert (turn.verdict, turn.reply.metadata["husk"]["state"]) == ("interrupted", "lost")
    assert_serves(client)


def test_a_subshells_cell_that_ignores_interrupts_is_killed_and_named(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    subs = [control(client, "create_subshell_request").content["subshell_id"] for _ in range(2)]
    stuck = client.send("execute_request", {"code": HANG}, header={"subshell_id": subs[0]})
    client.state(stuck, "busy")
    control(client, "interrupt_request").ok()
    others = [client.send("execute_request", {"code": HANG}, header={"subshell_id": subs[1]}), client.send_code(HANG)]
    for cell in others:
        client.state(cell, "busy")
    turn = client.finish(stuck, 30).failed("KeyboardInterrupt")
    assert (turn.verdict, turn.reply.metadata["husk"]["state"]) == ("interrupted", "lost")
    for cell in others:
        assert "another cell" in client.finish(cell).failed("WorkerCrashed").content["evalue"]
    assert_serves(client)
    client.request("execute_request", {"code": ""}, header={"subshell_id": subs[0]}).ok()


def test_an_interrupt_of_a_subshell_is_repeated_until_its_cell_ends(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    count = "while w.parent.kept.get('interrupts', 0) < 5: time.sleep(0.01)\nw.result('5')"
    cell = client.send("execute_request", {"code": count}, header={"subshell_id": sub})
    client.state(cell, "busy")
    control(client, "interrupt_request").ok()
    assert client.finish(cell).ok().result == "5"
    assert_serves(client)


def test_input_again_after_a_caught_interrupt_gets_the_new_answer(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    code = "w.send(ASK_INPUT, [w.turn, 'one', False]); w.until_interrupted(); w.send(ASK_INPUT, [w.turn, 'two', False])\n"
    code += "w.result(repr([w.wait_for(INPUT_REPLY), w.wait_for(INPUT_REPLY)]))"
    cell = client.send_code(code, allow_stdin=True)
    first = client.asked(cell)
    control(client, "interrupt_request").ok()
    client.asked(cell, start=first.number + 1)
    client.send("input_reply", {"value": "answer"}, channel="stdin")
    result = client.finish(cell).ok().result
    assert result is not None and "None" in result and result.index("None") < result.index("'answer'")


def test_an_input_reply_without_a_value_is_an_empty_line(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    cell = client.send_code("w.result(repr(w.ask()))", allow_stdin=True)
    client.asked(cell)
    client.send("input_reply", {"status": "error"}, channel="stdin")
    assert client.finish(cell).ok().result == "''"


def test_stdin_that_is_not_allowed_is_refused_without_asking(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    assert client.execute("w.result(repr(w.ask()))").ok().result == "None"


PHASES = {
    "before_hello": {"boot": HANG},
    "before_ready": {"hello": HANG},
    "idle": {},
}


@pytest.mark.parametrize("how", ["request", "SIGTERM"])
@pytest.mark.parametrize("phase", sorted(PHASES))
def test_the_end_comes_in_each_phase_and_everything_is_answered(start: StartFront, phase: str, how: str) -> None:
    kernel = start(**PHASES[phase])
    client = kernel.connect()
    ids = [client.send_code("", stop_on_error=False), client.send("complete_request", {"code": ""})]
    ids.append(client.send("comm_msg", {"comm_id": "x", "data": {}}))
    for msg_id in ids[:1] if phase == "idle" else []:
        client.finish(msg_id)
    all_arrived(client)
    if how == "request":
        control(client, "shutdown_request", {"restart": False}).ok()
    else:
        kernel.process.send_signal(signal.SIGTERM)
    for msg_id in ids[:2]:
        client.finish(msg_id)
    client.state(ids[2], "idle")
    assert not [m for m in client.log if m.channel == "shell" and m.parent_id == ids[2]]
    assert kernel.wait_exit() == 0


def test_the_end_does_not_run_what_waits_and_answers_it(start: StartFront, tmp_path: Path) -> None:
    kernel = start()
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    touch = f"open({str(tmp_path / 'ran')!r}, 'w')"
    ids = [client.send_code("w.until_interrupted(); w.error()", stop_on_error=False)]
    client.state(ids[0], "busy")
    ids += [client.send_code(touch, stop_on_error=False) for _ in range(3)]
    ids.append(client.send("execute_request", {"code": HANG}, header={"subshell_id": sub}))
    client.state(ids[-1], "busy")
    all_arrived(client)
    control(client, "shutdown_request", {"restart": True}).ok()
    assert {client.finish(i).status for i in ids} <= {"error", "aborted"}
    assert kernel.wait_exit() == 0
    assert not (tmp_path / "ran").exists()


def test_a_worker_that_ignores_the_shutdown_is_killed(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    cell = client.send_code("w.answered = True\nwhile True: time.sleep(1000)")
    client.state(cell, "busy")
    control(client, "shutdown_request").ok()
    client.finish(cell).failed("KernelShutdown")
    assert kernel.wait_exit() == 0


def test_exit_ends_the_kernel_with_0_and_respawn_replaces_a_worker_that_lingers(start: StartFront) -> None:
    code = "w.send(EXIT, [0]); w.reply(); time.sleep(1000)"
    kernel = start()
    kernel.connect().execute(code).ok()
    assert kernel.wait_exit() == 0
    kernel = start(RESPAWN)
    client = kernel.connect()
    client.execute(code).ok()
    assert_serves(client)


@pytest.mark.parametrize("lane", ["main", "subshell"])
def test_what_arrives_while_a_worker_leaves_waits_for_the_next(start: StartFront, tmp_path: Path, lane: str) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"] if lane == "subshell" else None
    go = str(tmp_path / "go")
    leave = f"w.send(EXIT, [0]); w.reply()\nwhile not os.path.exists({go!r}): time.sleep(0.001)\nos._exit(0)"
    client.finish(client.send("execute_request", {"code": leave}, header={"subshell_id": sub})).ok()
    ids = [client.send_code("w.result('2')"), client.send("complete_request", {"code": ""})]
    if sub:
        ids.append(client.send("execute_request", {"code": ""}, header={"subshell_id": sub}))
    all_arrived(client)
    Path(go).touch()
    for msg_id in ids:
        client.finish(msg_id).ok()


def test_a_worker_that_says_it_leaves_and_does_not_is_killed(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    client.execute(f"w.send(EXIT, [0]); {HANG}").failed("WorkerCrashed")
    assert_serves(client)


def test_history_questions_at_the_end_are_answered(start: StartFront, tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        kernel = start("--history-file", str(file))
        client = kernel.connect()
        client.execute("").ok()
        asked = client.send("history_request", {"hist_access_type": "tail", "n": 5})
        client.state(asked, "busy")
        control(client).ok()
        control(client, "shutdown_request").ok()
        client.finish(asked).failed("KernelShutdown")
        assert kernel.wait_exit() == 0


# --- order, lanes, history -------------------------------------------------------------------------------------------


def test_pairs_of_requests_are_never_left_lying(start: StartFront) -> None:
    """The second one arrives while the first one is answered: its arrival must not be lost."""
    kernel = start()
    client = kernel.connect(subscribe=None, ready=False)
    client.reply(client.send("kernel_info_request"))
    for i in range(3000):
        first = client.send("kernel_info_request")
        for _ in range(i % 40 * 10):
            pass
        client.reply(client.send("kernel_info_request"), 5)
        client.reply(first, 5)
        client.log.clear()


def test_equal_msg_ids_are_two_requests(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    for n in range(2):
        client.send("execute_request", {"code": f"w.result('{n}')"}, header={"msg_id": "same"})
    wait_until(lambda: client.pump(0.1) >= 0 and sum(m.channel == "shell" for m in client.log) == 2, "two replies")
    client.wait(lambda m: m.type == "status" and sum(x.type == "status" for x in client.log) == 4, "four states")


def test_output_keeps_its_parent_however_many_requests_come_meanwhile(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect(ready=False)
    cell = client.send_code("w.until_interrupted(); w.write('late'); w.error()")
    client.state(cell, "busy")
    for _ in range(4200):
        client.send("connect_request", channel="control")
    control(client, "interrupt_request")
    assert client.finish(cell).stdout == "late"


def test_each_lane_stores_its_own_code(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    client.request("execute_request", {"code": "0"}, header={"subshell_id": sub}).ok()  # its link is made while main is free
    code = "w.until_interrupted(); 'main'"
    cell = client.send_code(code)
    client.state(cell, "busy")
    client.request("execute_request", {"code": "'sub'"}, header={"subshell_id": sub}).ok()
    control(client, "interrupt_request")
    client.finish(cell).ok()
    rows = client.request("history_request", {"hist_access_type": "tail", "n": 1}).content["history"]
    assert rows[0][2] == code


def test_a_subshell_asks_for_history_on_its_own_link(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    question = b'{"hist_access_type":"tail"}'
    code = f"w.send(ASK, [1, 'history', {question!r}]); assert w.wait_for(TOLD)[0] == 1"
    client.request("execute_request", {"code": code}, header={"subshell_id": sub}).ok()
    client.execute(code).ok()


def test_a_subshell_can_be_deleted_while_it_runs(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    running = client.send("execute_request", {"code": HANG}, header={"subshell_id": sub})
    client.state(running, "busy")
    waiting = [client.send(t, {"code": ""}, header={"subshell_id": sub}) for t in ("execute_request", "complete_request")]
    comm = client.send("comm_msg", {"comm_id": "x", "data": {}}, header={"subshell_id": sub})
    all_arrived(client)
    control(client, "delete_subshell_request", {"subshell_id": sub}).ok()
    for msg_id in [running, *waiting]:
        client.finish(msg_id).failed("SubshellDeleted")
    client.state(comm, "idle")
    assert not [m for m in client.log if m.channel == "shell" and m.parent_id == comm]
    assert control(client, "list_subshell_request").content["subshell_id"] == []
    assert_serves(client)


def test_replies_in_a_subshell_say_so(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    assert client.request("execute_request", {"code": ""}, header={"subshell_id": sub}).reply.header["subshell_id"] == sub


def test_clients_that_vanish_do_not_hold_anything_up(start: StartFront) -> None:
    kernel = start()
    gone = kernel.connect()
    cell = gone.send_code("time.sleep(0.3); w.write('x' * 100000)")
    gone.state(cell, "busy")
    gone.close()
    client = kernel.connect()
    assert_serves(client)
    assert len(kernel.stderr()) == 0


def test_a_message_type_of_any_name_gets_a_readable_reply(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    for name in ("foo_request", "\u20ac" * 60, "x" * 3000, 'a"b', "", "comm_msg_reply", "status"):
        turn = client.request(name, {})
        assert turn.content["ename"] and turn.reply.type.endswith("_reply")


def test_a_long_topic_gets_its_welcome(start: StartFront) -> None:
    kernel = start()
    topic = b"t" * 250
    client = kernel.connect(subscribe=topic)
    assert client.log[0].topic == topic


# --- resources -------------------------------------------------------------------------------------------------------


def test_an_idle_front_uses_no_processor(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    client.execute("w.write('x'); os.write(1, b'y')").ok()
    assert_quiet(kernel.pid)
    client.execute("os.close(1); os.close(2)").ok()
    os.kill(kernel.workers()[0].pid, signal.SIGSTOP)
    cell = client.send_code("")
    client.state(cell, "busy")
    assert_quiet(kernel.pid)
    os.kill(kernel.workers()[0].pid, signal.SIGCONT)
    client.finish(cell).ok()


def test_a_stalled_subscriber_does_not_make_the_front_spin_and_gets_a_notice(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect(ready=False, subscribe=None)
    stalled = Client(kernel, options={"iopub": {zmq.RCVHWM: 1, zmq.RCVBUF: 8192}})
    kernel.clients.append(stalled)
    client.reply(client.send_code(""))
    cell = client.send_code("w.flood(stop=lambda: w.head > 200 << 20)")
    client.reply(cell, 60)
    assert_quiet(kernel.pid)
    stalled.state(cell, "idle", 60)
    stalled.wait(lambda m: m.type == "stream" and "dropped" in m.content["text"][:200], "the notice")
    assert sum(len(m.content["text"]) for m in stalled.log if m.type == "stream") < 160 << 20


def test_respawning_leaves_no_descriptors_and_no_memory(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    sub = control(client, "create_subshell_request").content["subshell_id"]
    before = 0
    for n in range(60):
        client.request("execute_request", {"code": ""}, header={"subshell_id": sub}).ok()
        client.execute("os._exit(1)").failed("WorkerCrashed")
        if n == 5:
            before = len(descriptors(kernel.pid))
    client.request("execute_request", {"code": ""}, header={"subshell_id": sub}).ok()
    assert len(descriptors(kernel.pid)) <= before + 1


def test_a_respawned_worker_has_the_memory_limit_of_the_first(start: StartFront) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    code = "import resource; w.result(repr(resource.getrlimit(resource.RLIMIT_DATA)))"
    first = client.execute(code).result
    client.execute("os._exit(1)").failed("WorkerCrashed")
    assert client.execute(code).result == first


def test_what_the_tenant_left_running_ends_with_the_kernel(start: StartFront) -> None:
    kernel = start()
    client = kernel.connect()
    code = "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  signal.signal(15, signal.SIG_IGN)\n  time.sleep(1000)\n os._exit(0)"
    client.execute(code).ok()
    control(client, "shutdown_request").ok()
    assert kernel.wait_exit() == 0


def test_control_is_answered_while_the_last_workers_children_are_ended(start: StartFront, tmp_path: Path) -> None:
    kernel = start(RESPAWN)
    client = kernel.connect()
    asked, ready = tmp_path / "asked", tmp_path / "ready"
    child = f"signal.signal(15, lambda *_: open({str(asked)!r}, 'w')); open({str(ready)!r}, 'w')\n while True: time.sleep(1000)"
    parent = f"while not os.path.exists({str(ready)!r}): time.sleep(0.001)\nos._exit(1)"
    client.execute(f"if os.fork() == 0:\n {child}\n{parent}").failed("WorkerCrashed")
    wait_until(asked.exists, "SIGTERM")
    control(client).ok()
    client.heartbeat()
    assert_serves(client)
    assert len(kernel.workers()) == 1


def test_an_ordinary_user_gets_usage(program: Path) -> None:
    """Being undumpable must not keep the front from its own files in /proc."""

    def become_nobody() -> None:
        os.setgid(65534)
        os.setuid(65534)

    with tempfile.TemporaryDirectory() as top:
        for part in ("front/husk-kernel", "worker/husk-worker"):
            Path(top, part).parent.mkdir()
            shutil.copy2(program.parent.parent / part, Path(top, part))
        shutil.copy2(Path(__file__).with_name("fakeworker.py"), top)
        launcher = Path(top, "worker", "husk-worker")
        launcher.write_text(f"#!/bin/sh\nexec /usr/bin/python3 -I -S -B {top}/fakeworker.py\n")
        home = Path(top, "home")
        home.mkdir()
        for path in (Path(top), *Path(top).rglob("*")):
            path.chmod(0o755)
        try:
            os.chown(home, 65534, 65534)
        except OSError as error:
            pytest.skip(f"this user namespace has no second user: {error}")
        kernel = Kernel(home, env={"FAKE_BOOT": "", "FAKE_HELLO": ""})
        kernel.argv = [f"{top}/front/husk-kernel", "-f", str(kernel.file), "--history-file", ":memory:"]
        if os.getuid() == 0:
            os.chown(kernel.file, 65534, 65534)
            kernel.prepare = become_nobody
        kernel.start()
        try:
            client = kernel.connect()
            usage = control(client, "usage_request").content
            client.close()
        finally:
            assert kernel.shut_down() == 0
            kernel.close_clients()
    assert usage["kernel_memory"] > 1 << 20


def test_a_made_connection_file_goes_with_the_kernel(program: Path, tmp_path: Path) -> None:
    for how in (signal.SIGTERM, signal.SIGHUP):
        file = tmp_path / f"made-{how}.json"
        process = subprocess.Popen([program, "-f", file, "--history-file", ":memory:"], stderr=subprocess.PIPE)
        wait_until(lambda f=file: f.exists() and f.stat().st_size, "the connection file")
        assert file.stat().st_mode & 0o777 == 0o600
        assert json.loads(file.read_text())["key"]
        wait_until(lambda p=process: Path(f"/proc/{p.pid}/status").read_text().find("SigBlk:\t0000000000000000") < 0, "signals")
        process.send_signal(how)
        _, said = process.communicate(timeout=20)
        assert not file.exists()
        assert process.returncode == 0
        assert b"ended by" in said


def test_history_of_ipython_itself_is_read_and_continued(start: StartFront, tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    file = tmp_path / "history.sqlite"
    make = (
        "from IPython.core.interactiveshell import InteractiveShell; from traitlets.config import Config; c = Config()\n"
        f"c.HistoryManager.hist_file = {str(file)!r}; s = InteractiveShell(config=c); s.run_cell('a = 1', store_history=True)\n"
        "s.history_manager.writeout_cache(); s.history_manager.end_session()"
    )
    subprocess.run([sys.executable, "-c", make], check=True, env={**os.environ, "HOME": str(tmp_path)})
    kernel = start("--history-file", str(file))
    client = kernel.connect()
    client.execute("w.reply(output='2')").ok()
    rows = client.request("history_request", {"hist_access_type": "tail", "n": 5}).ok().content["history"]
    assert rows == [[1, 1, "a = 1"], [2, 1, "w.reply(output='2')"]]
    kernel.shut_down()
    read = f"from IPython.core.history import HistoryAccessor as H; print([r for r in H(hist_file={str(file)!r}).get_tail(9, include_latest=True)])"
    said = subprocess.run([sys.executable, "-c", read], check=True, capture_output=True, text=True).stdout
    assert "w.reply" in said and "a = 1" in said
