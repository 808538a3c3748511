# SPDX-License-Identifier: Apache-2.0
"""stdin: items 74 to 78."""

from __future__ import annotations

import pytest

from husk import IS_HUSK, Client, Kernel, Turn, wait_until


def ask(client: Client, code: str, *answers: str) -> Turn:
    """Runs a cell and gives it one answer for each input_request."""
    msg_id = client.send_code(code, allow_stdin=True)
    start = len(client.log)
    for answer in answers:
        request = client.asked(msg_id, start=start)
        start = request.number + 1
        client.answer(request, answer)
    return client.finish(msg_id)


def test_74_input(kernel: Kernel, client: Client) -> None:
    other = kernel.connect()
    turn = ask(client, "input('p? ')", "an answer ü\U0001f600")
    assert turn.ok().result == repr("an answer ü\U0001f600")
    (request,) = [m for m in client.log if m.type == "input_request"]
    assert request.channel == "stdin"
    assert request.content == {"prompt": "p? ", "password": False}
    assert request.parent["msg_id"] == turn.msg_id
    assert "p? " not in turn.stdout
    other.barrier()
    assert [m for m in other.log if m.channel == "stdin"] == []


def test_74_getpass(client: Client) -> None:
    turn = ask(client, "import getpass; getpass.getpass('secret: ')", "s3cret")
    assert turn.ok().result == "'s3cret'"
    (request,) = [m for m in client.log if m.type == "input_request"]
    assert request.content == {"prompt": "secret: ", "password": True}
    assert turn.stdout == ""


def test_74_several_questions_in_one_cell(client: Client) -> None:
    turn = ask(client, "[input(str(i)) for i in range(5)]", *"abcde")
    assert turn.ok().result == "['a', 'b', 'c', 'd', 'e']"
    assert [m.content["prompt"] for m in client.log if m.type == "input_request"] == list("01234")


def test_74_prompt_need_not_be_a_string(client: Client) -> None:
    turn = ask(client, "input(5), input()", "x", "")
    assert turn.ok().result == "('x', '')"
    assert [m.content["prompt"] for m in client.log if m.type == "input_request"] == ["5", ""]


@pytest.mark.parametrize(
    "code", ["input('?')", "import getpass; getpass.getpass()", "import builtins; builtins.input()"]
)
def test_75_without_allow_stdin(client: Client, code: str) -> None:
    turn = client.execute(code, allow_stdin=False).failed("StdinNotImplementedError")
    assert [m for m in client.log if m.channel == "stdin"] == []
    check = (
        f"try:\n    {code.splitlines()[-1].split('; ')[-1]}\nexcept NotImplementedError as e: print(type(e).__name__)"
    )
    assert client.execute("import getpass, builtins\n" + check).stdout == "StdinNotImplementedError\n"
    assert turn.types == ["busy", "execute_input", "error", "idle"]


def test_76_a_stale_answer_is_not_taken(client: Client) -> None:
    for value in ("stale 1", "stale 2"):
        client.send("input_reply", {"value": value}, channel="stdin")
    client.barrier()
    client.barrier("control")
    turn = ask(client, "input('?'), input('!')", "fresh", "fresh too")
    assert turn.ok().result == "('fresh', 'fresh too')"


def test_76_end_of_file(client: Client) -> None:
    ask(client, "input('?')", "\x04").failed("EOFError")


@pytest.mark.differs("takes anybody's answer")
def test_76_the_answer_of_another_client_is_ignored(kernel: Kernel, client: Client) -> None:
    other = kernel.connect()
    msg_id = client.send_code("input('?')", allow_stdin=True)
    request = client.asked(msg_id)
    for _ in range(3):
        other.answer(request, "not mine")
    other.barrier("control")
    client.answer(request, "mine")
    assert client.finish(msg_id).ok().result == "'mine'"


@pytest.mark.differs("raises inside the kernel")
@pytest.mark.parametrize("content", [{}, {"value": 5}, {"value": None}, {"value": ["x"]}])
def test_76_a_bad_answer_does_not_hang_the_cell(client: Client, content: dict[str, object]) -> None:
    msg_id = client.send_code("input('?')", allow_stdin=True)
    request = client.asked(msg_id)
    client.send("input_reply", content, channel="stdin", parent=request.header)
    client.barrier("control")
    client.answer(request, "good")  # only needed when the bad one was ignored
    turn = client.finish(msg_id)
    assert turn.result == "'good'" or turn.status in ("ok", "error")
    assert client.execute("1").ok().result == "1"


def test_77_text_comes_before_the_question(client: Client) -> None:
    msg_id = client.send_code("import sys; print('before'); print('e', file=sys.stderr); input('?')", allow_stdin=True)
    request = client.asked(msg_id)
    client.stream(msg_id, "before")
    text = [m for m in client.of(msg_id) if m.type == "stream"]
    assert all(m.date <= request.date for m in text)
    client.answer(request, "x")
    assert client.finish(msg_id).ok().result == "'x'"


def test_77_interrupt_ends_the_question(kernel: Kernel, client: Client) -> None:
    msg_id = client.send_code("input('?')", allow_stdin=True)
    request = client.asked(msg_id)
    kernel.interrupt()
    client.finish(msg_id).failed("KeyboardInterrupt")
    client.answer(request, "too late")
    turn = ask(client, "input('again')", "in time")
    assert turn.ok().result == "'in time'"
    assert len([m for m in client.log if m.type == "input_request"]) == 2


@pytest.mark.ipython
def test_77_pdb(client: Client) -> None:
    code = "def f():\n    local = 42\n    import pdb; pdb.set_trace()\n    return local\nf()"
    turn = ask(client, code, "p local + 1", "c")
    assert "43" in turn.ok().stdout
    assert turn.result == "42"


@pytest.mark.ipython
@pytest.mark.differs("does nothing when debugpy is installed")
def test_77_breakpoint(client: Client) -> None:
    turn = ask(client, "def f():\n    local = 41\n    breakpoint()\n    return local\nf()", "p local + 2", "c")
    assert "43" in turn.ok().stdout


@pytest.mark.ipython
def test_77_debug_magic(client: Client) -> None:
    client.execute("def f():\n    deep = 7\n    return deep / 0\nf()").failed("ZeroDivisionError")
    turn = ask(client, "%debug", "p deep * 6", "q")
    assert "42" in turn.ok().stdout
    assert client.execute("1").ok().result == "1"


def test_78_input_from_a_thread(client: Client) -> None:
    code = """
import threading
got = []
def work():
    try:
        got.append(input("from thread"))
    except BaseException as e:
        got.append(type(e).__name__)
t = threading.Thread(target=work)
t.start()
t.join(30)
got
"""
    msg_id = client.send_code(code, allow_stdin=True)
    asked = client.wait(
        lambda m: m.type == "input_request" or (m.parent_id == msg_id and m.channel == "shell"), "a question or the end"
    )
    if asked.type == "input_request":
        client.answer(asked, "answered")
    turn = client.finish(msg_id).ok()
    assert turn.result is not None
    assert "answered" in turn.result or "Error" in turn.result
    assert client.execute("1").ok().result == "1"


def test_78_input_after_its_cell_ended(client: Client) -> None:
    code = """
import threading
got = []
go = threading.Event()
def work():
    go.wait(30)
    try:
        got.append(input("late"))
    except BaseException as e:
        got.append(type(e).__name__)
t = threading.Thread(target=work, daemon=True)
t.start()
"""
    client.execute(code, allow_stdin=True).ok()
    client.execute("go.set()").ok()
    for _ in range(3):
        assert client.execute("1").ok().result == "1"

    def has_asked_or_ended() -> bool:
        client.pump(0.05)
        return any(m.type == "input_request" for m in client.log) or client.execute("len(got)").result == "1"

    if IS_HUSK:
        wait_until(has_asked_or_ended, "the thread's question, or its end")
    for request in [m for m in client.log if m.type == "input_request"]:
        client.answer(request, "answered")
    if IS_HUSK:
        turn = client.execute("t.join(10); t.is_alive(), len(got)").ok()
        assert turn.result == "(False, 1)"


def test_78_standard_input_is_empty(client: Client) -> None:
    assert client.execute("import sys; sys.stdin.readline(), sys.stdin.read()").ok().result == "('', '')"
    assert client.execute("import os; os.read(0, 10)").ok().result == "b''"


@pytest.mark.husk
def test_78_a_client_that_leaves_while_asked(kernel: Kernel, client: Client) -> None:
    leaver = kernel.connect()
    msg_id = leaver.send_code("input('?')", allow_stdin=True)
    leaver.asked(msg_id)
    leaver.close()
    client.barrier("control")
    client.request("interrupt_request", channel="control")
    client.state(msg_id, "idle")
    assert client.execute("1").ok().result == "1"
