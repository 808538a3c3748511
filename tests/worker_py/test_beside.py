# SPDX-License-Identifier: Apache-2.0
"""Requests that are served while a cell awaits (specs/link.md 2.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front import Channel, Front, Result

REGISTER = """
import asyncio, comm, contextvars, sys, threading
seen = []
def register(handler):
    def target(one, message):
        one.on_msg(handler)
    comm.get_comm_manager().register_target("t", target)
"""


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with Front(cwd=str(tmp_path)) as front:
        assert front.run(REGISTER).ok
        yield front


def open_comm(front: Front, handler: str, name: str = "handler") -> None:
    assert front.run(f"{handler}\nregister({name})").ok
    front.request("comm_open", {"comm_id": "c", "target_name": "t", "data": {}})


def send(front: Front, data: Any, channel: Channel | None = None) -> int:
    """A comm_msg; its turn."""
    front.turn += 1
    content = json.dumps({"comm_id": "c", "data": data}).encode()
    (channel or front.main).send(
        "REQUEST", front.turn, front.header("comm_msg", front.turn), [b"client"], b"{}", content, []
    )
    return front.turn


def until(front: Front, name: str, channel: Channel | None = None) -> list[tuple[str, list[Any]]]:
    """Frames up to the next one of that name."""
    frames = []
    while not frames or frames[-1][0] != name:
        frames.append((channel or front.main).recv())
    return frames


def printed(front: Front, text: str) -> None:
    """Waits for a write of that text."""
    while until(front, "TEXT")[-1][1][2].strip() != text:
        pass


def names(result: Result) -> list[str]:
    return [name for name, _ in result.frames]


SET = "def handler(message): future.set_result(message['content']['data'])"
WAIT = "future = asyncio.get_running_loop().create_future()\nprint('before')\nvalue = await future\nprint('after', value)"


def test_a_comm_message_ends_the_await(front: Front) -> None:
    open_comm(front, SET)
    cell = front.begin(WAIT)
    assert until(front, "AWAIT")[-1][1][0] == cell
    turn = send(front, 42)
    result = front.end(cell)
    assert result.ok and result.text(0, cell).split() == ["after", "42"]
    assert [f[0] for name, f in result.frames if name == "ANSWER"] == [turn]


def test_a_subshell_serves_them_too(front: Front) -> None:
    open_comm(front, SET)
    channel = front.attach("subshell", "one")
    cell = front.begin(WAIT, channel=channel)
    until(front, "AWAIT", channel)
    turn = send(front, 7, channel)
    result = front.end(cell, channel=channel)
    assert result.ok and [f[0] for name, f in result.frames if name == "ANSWER"] == [turn]


@pytest.mark.parametrize(
    "code", ["1", "async def f(): return 5\nawait f()", "import time\nfor i in range(3): print(i)", "await 1", "await nosuch"]
)
def test_a_cell_that_waits_for_nothing_says_nothing(front: Front, code: str) -> None:
    assert "AWAIT" not in names(front.run(code))


def test_a_cell_says_it_once(front: Front) -> None:
    frames = names(front.run("for i in range(5): await asyncio.sleep(0)\nawait asyncio.sleep(0.001)"))
    assert frames.count("AWAIT") == 1


def test_output_belongs_to_the_message_and_then_to_the_cell_again(front: Front) -> None:
    handler = (
        "def handler(message):\n print('handler')\n sys.stderr.write('error')\n"
        " t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        " parents.append(get_ipython().kernel.get_parent()['header']['msg_id'])\n future.set_result(1)"
    )
    open_comm(front, handler)
    front.run("parents = []")
    cell = front.begin(
        "parents.append(get_ipython().kernel.get_parent()['header']['msg_id'])\n" + WAIT
        + "\nt = threading.Thread(target=print, args=('cell thread',)); t.start(); t.join()\n"
        "parents.append(get_ipython().kernel.get_parent()['header']['msg_id'])"
    )  # fmt: skip
    until(front, "AWAIT")
    turn = send(front, 0)
    result = front.end(cell)
    assert result.ok
    assert result.text(0, turn).split() == ["handler", "thread"] and result.text(1, turn) == "error"
    assert result.text(0, cell).split() == ["after", "1", "cell", "thread"]
    assert front.run("parents").value == str([f"m{cell}", f"m{turn}", f"m{cell}"])


def test_a_handler_may_use_the_loop(front: Front) -> None:
    open_comm(
        front, "async def later(): await asyncio.sleep(0); future.set_result(3)\n"
        "def handler(message):\n global task\n task = asyncio.get_running_loop().create_task(later())",
    )  # fmt: skip
    cell = front.begin(WAIT)
    until(front, "AWAIT")
    send(front, 0)
    assert front.end(cell).out.split() == ["after", "3"]


def test_a_context_variable_of_a_handler_is_its_own(front: Front) -> None:
    open_comm(front, "v = contextvars.ContextVar('v', default=0)\ndef handler(message): v.set(5); future.set_result(v.get())")
    cell = front.begin("v.set(1)\n" + WAIT + "\nv.get()")
    until(front, "AWAIT")
    send(front, 0)
    result = front.end(cell)
    assert result.out.split() == ["after", "5"] and result.value == "1"


def test_a_handler_that_raises_is_logged_and_the_cell_goes_on(front: Front) -> None:
    open_comm(front, "def handler(message):\n seen.append(message)\n future.set_result(4)\n 1/0")
    cell = front.begin(WAIT)
    until(front, "AWAIT")
    turn = send(front, 0)
    result = front.end(cell)
    assert result.ok and [f[0] for name, f in result.frames if name == "ANSWER"] == [turn]


def test_several_messages_one_after_the_other(front: Front) -> None:
    open_comm(front, "def handler(message):\n seen.append(message['content']['data'])\n if len(seen) == 20: future.set_result(seen)")
    cell = front.begin(WAIT)
    until(front, "AWAIT")
    for i in range(20):
        send(front, i)
        if i < 19:
            until(front, "ANSWER")
    assert front.end(cell).out.split(None, 1)[1].strip() == str(list(range(20)))


def test_a_message_that_finds_the_cell_busy_waits_for_the_next_await(front: Front) -> None:
    open_comm(front, "def handler(message): seen.append(1)")
    code = "await asyncio.sleep(0)\nimport time, select\nprint('busy', flush=True)\n"
    code += "select.select([3], [], [], 20)\nbusy = list(seen)\nwhile not seen: await asyncio.sleep(0.001)\nbusy"
    cell = front.begin(code)
    printed(front, "busy")
    send(front, 0)
    assert front.end(cell).value == "[]"


def test_one_that_comes_with_the_end_of_the_cell_is_served_once(front: Front) -> None:
    open_comm(front, "def handler(message): seen.append(1)")
    cell = front.begin("await asyncio.sleep(0)\nimport select\nselect.select([3], [], [], 20)\nlen(seen)")
    until(front, "AWAIT")
    turn = send(front, 0)
    result = front.end(cell)
    assert result.value == "0"
    frames = result.frames if "ANSWER" in names(result) else until(front, "ANSWER")
    assert [f[0] for name, f in frames if name == "ANSWER"] == [turn]


def test_one_that_comes_after_the_cell_is_served_as_any_other(front: Front) -> None:
    open_comm(front, "def handler(message): seen.append(1)")
    assert "AWAIT" in names(front.run("await asyncio.sleep(0)"))
    turn = send(front, 0)
    assert until(front, "ANSWER")[-1][1][0] == turn
    assert front.run("seen").value == "[1]"


def test_an_interrupt_of_a_handler_is_the_cells(front: Front) -> None:
    open_comm(front, "def handler(message):\n print('in handler')\n while True: pass")
    cell = front.begin(WAIT)
    until(front, "AWAIT")
    turn = send(front, 0)
    printed(front, "in handler")
    front.interrupt()
    result = front.end(cell)
    assert result.ename == "KeyboardInterrupt" and len(result.errors) == 1
    assert [f[0] for name, f in result.frames if name == "ANSWER"] == [turn]
    assert front.run("40 + 2").value == "42"


def test_a_frame_that_another_thread_reads_reaches_the_loop(front: Front) -> None:
    """A thread that waits for input reads the link too, and leaves to the loop what is not its own."""
    open_comm(front, "def handler(message): seen.append(1); loop.call_soon(future.set_result, 1)")
    code = "loop = asyncio.get_running_loop()\nfuture = loop.create_future()\n"
    code += "asking = loop.run_in_executor(None, contextvars.copy_context().run, input, '? ')\n"
    cell = front.begin(code + "await future\nprint('woken')\nawait asking", stdin=True)
    until(front, "ASK_INPUT")
    send(front, 0)
    printed(front, "woken")
    front.main.send("INPUT_REPLY", cell, "typed")
    assert front.end(cell).value == "'typed'"


def test_a_subshell_that_is_deleted_while_its_cell_awaits_ends(front: Front) -> None:
    front.run("before = threading.active_count()")
    channel = front.attach("subshell", "gone")
    front.begin("await asyncio.sleep(1000)", channel=channel)
    until(front, "AWAIT", channel)
    channel.sock.close()
    code = "import time\nend = time.monotonic() + 20\n"
    code += "while threading.active_count() > before and time.monotonic() < end: time.sleep(0.01)\nthreading.active_count() - before"
    assert front.run(code).value == "0"


def test_a_subshell_that_came_before_a_cell_is_there_when_it_runs(front: Front) -> None:
    before = int(front.run("threading.active_count()").value or 0)
    for i in range(20):
        front.attach("subshell", f"s{i}", attention=False)
        assert front.run("threading.active_count()").value == str(before + i + 1)


def test_one_that_comes_while_a_cell_awaits_works_at_once(front: Front) -> None:
    front.run("future = asyncio.get_event_loop().create_future()")
    cell = front.begin("await future")
    until(front, "AWAIT")
    channel = front.attach("subshell", "one", attention=False)
    assert front.run("future.get_loop().call_soon_threadsafe(future.set_result, 9)\nNone", channel=channel).ok
    assert front.end(cell).value == "9"
