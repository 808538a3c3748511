# SPDX-License-Identifier: Apache-2.0
"""Execute semantics: items 34 to 51."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest

from husk import IS_HUSK, Client, Kernel, Turn, wait_until


def count(client: Client) -> int:
    """The number of the last stored cell."""
    return client.execute("", silent=True).content["execution_count"]


def random_cell(r: random.Random) -> tuple[str, list[str]]:
    """A cell and what it publishes between execute_input and idle."""
    code: list[str] = []
    types: list[str] = []
    for _ in range(r.randrange(4)):
        what = r.choice(["print", "err", "display"])
        line, name = {
            "print": ("print('p' * 5)", "stdout"),
            "err": ("print('e', file=sys.stderr, flush=True)", "stderr"),
            "display": ("display(1)", "display_data"),
        }[what]
        if not IS_HUSK:
            line += "; sys.stdout.flush()"
        code.append(line)
        if not (types and types[-1] == name and name != "display_data"):
            types.append(name)
    end = r.choice(["", "7", "1/0", "x = 5", "await asyncio.sleep(0)", "None"])
    code.append(end)
    types += {"7": ["execute_result"], "1/0": ["error"]}.get(end, [])
    return "\n".join(code), types


@pytest.mark.bound(120)
def test_34_order_of_messages(client: Client) -> None:
    client.execute("import sys, asyncio").ok()
    r = random.Random(34)
    for _ in range(1000 if IS_HUSK else 60):
        code, types = random_cell(r)
        turn = client.execute(code)
        assert turn.types == ["busy", "execute_input", *types, "idle"], code
        last = turn.iopub[-1]
        assert all(m.date <= turn.reply.date for m in turn.iopub[:-1]), "output is dated after the reply"
        assert turn.reply.date <= last.date, "idle is dated before the reply"
        del client.log[:]


def test_34_nothing_follows_idle(client: Client) -> None:
    turns = [client.execute("print(1); display(2); 3") for _ in range(20)]
    client.barrier()
    for turn in turns:
        iopub = [m for m in client.of(turn.msg_id) if m.channel == "iopub"]
        assert iopub[-1].content == {"execution_state": "idle"}


def test_35_silent(client: Client) -> None:
    client.execute("x = 41")
    before = count(client)
    code = "print('text'); display('shown'); x += 1; x"
    turn = client.execute(code, silent=True, store_history=True).ok()
    assert turn.types == ["busy", "stdout", "display_data", "idle"]
    assert turn.content["execution_count"] == before
    turn = client.execute("1/0", silent=True).failed("ZeroDivisionError")
    assert turn.types == ["busy", "error", "idle"]
    assert count(client) == before
    assert client.execute("x").result == "42"
    assert client.execute("len(In), [s for s in In if 'text' in s][1:], _i").result == f"({before + 3}, [], 'x')"


def test_36_store_history_false(client: Client) -> None:
    before = client.execute("'kept'").content["execution_count"]
    for _ in range(2):
        turn = client.execute("'other'", store_history=False).ok()
        assert turn.of("execute_input")[0].content["execution_count"] == before + 1
        assert turn.of("execute_result")[0].content["execution_count"] == before
        assert turn.content["execution_count"] == before
    assert client.execute("len(In), list(Out)", store_history=False).result == f"({before + 1}, [{before}])"
    assert client.execute("1").content["execution_count"] == before + 1


@pytest.mark.differs("overwrites _ and Out[N]")
def test_36_store_history_false_does_not_touch_out(client: Client) -> None:
    client.execute("'kept'")
    client.execute("'other'", store_history=False).ok()
    assert client.execute("_, Out[1], _1, In[1:2]", store_history=False).result == (
        "('kept', 'kept', 'kept', [\"'kept'\"])"
    )


@pytest.mark.parametrize("code", ["", " ", "\n\n", "\t \n  "])
def test_37_empty_code(client: Client, code: str) -> None:
    before = client.execute("1").content["execution_count"]
    turn = client.execute(code).ok()
    assert turn.content["execution_count"] == before
    assert turn.types == ["busy", "execute_input", "idle"]
    assert turn.of("execute_input")[0].content == {"code": code, "execution_count": before + 1}
    assert client.execute("2").content["execution_count"] == before + 1


def test_37_only_comment_counts_as_a_cell(client: Client) -> None:
    before = client.execute("1").content["execution_count"]
    assert client.execute("# nothing").ok().content["execution_count"] == before + 1


def test_38_user_expressions(client: Client) -> None:
    client.execute("y = 5\nclass H:\n def _repr_html_(self): return '<b>h</b>'\n def __repr__(self): return 'H'")
    wanted = {
        "good": "y + 1",
        "bad": "1/0",
        "syntax": "1 +",
        "undefined": "nope",
        "html": "H()",
        "big": "'x' * 1000000",
    }
    turn = client.execute("y = 6", user_expressions=wanted).ok()
    got = turn.content["user_expressions"]
    assert set(got) == set(wanted)
    assert got["good"]["status"] == "ok"
    assert got["good"]["data"] == {"text/plain": "7"}
    assert got["good"]["metadata"] == {}
    assert (got["bad"]["status"], got["bad"]["ename"]) == ("error", "ZeroDivisionError")
    assert got["bad"]["evalue"] == "division by zero"
    assert isinstance(got["bad"]["traceback"], list)
    assert got["syntax"]["ename"] == "SyntaxError"
    assert got["undefined"]["ename"] == "NameError"
    assert got["html"]["data"] == {"text/plain": "H", "text/html": "<b>h</b>"}
    assert len(got["big"]["data"]["text/plain"]) == 1000002
    assert turn.of("error", "stream", "execute_result") == []


def test_38_user_expressions_are_not_evaluated_after_an_error(client: Client) -> None:
    turn = client.execute("1/0", user_expressions={"x": "seen = 1"}).failed("ZeroDivisionError")
    assert not turn.content.get("user_expressions")
    turn = client.execute("", user_expressions={"x": "1+1"}).ok()
    assert turn.content["user_expressions"]["x"]["data"] == {"text/plain": "2"}
    turn = client.execute("3", user_expressions={"x": "6*7"}, silent=True).ok()
    assert turn.content["user_expressions"]["x"]["data"] == {"text/plain": "42"}


def queue_behind(client: Client, cell: str, requests: list[tuple[str, dict[str, Any]]], **more: Any) -> list[Turn]:
    """Queues requests behind a cell that does not end before they have arrived. Returns all turns."""
    client.execute("import threading, time; released = False").ok()
    first = client.send_code(f"print('started', flush=True)\nopen('go-{client.serial}', 'w').close()\n{cell}", **more)
    ids = [client.send(msg_type, content) for msg_type, content in requests]
    return [client.finish(msg_id) for msg_id in [first, *ids]]


FAILING = "time.sleep(0.3); 1/0"


def test_39_stop_on_error_aborts_what_is_queued(client: Client) -> None:
    turns = queue_behind(
        client,
        FAILING,
        [
            ("execute_request", {"code": "a = 1"}),
            ("kernel_info_request", {}),
            ("execute_request", {"code": "b = 1", "silent": True}),
            ("complete_request", {"code": "pri", "cursor_pos": 3}),
            ("execute_request", {"code": "c = 1", "stop_on_error": False}),
        ],
        stop_on_error=True,
    )
    assert [t.status for t in turns] == ["error", "aborted", "ok", "aborted", "ok", "aborted"]
    client.execute("a").failed("NameError")
    assert client.execute("1+1").ok().result == "2"


def test_39_a_request_after_the_abort_runs(client: Client) -> None:
    for _ in range(20):
        first = client.send_code("1/0")
        second = client.send_code("'queued'")
        client.reply(first)
        client.reply(second)
        assert client.execute("'later'").ok().result == "'later'"
        client.finish(second)


def test_39_a_silent_error_does_not_abort(client: Client) -> None:
    turns = queue_behind(client, FAILING, [("execute_request", {"code": "1"})], silent=True)
    assert [t.status for t in turns] == ["error", "ok"]


def test_40_stop_on_error_false_runs_the_queue(client: Client) -> None:
    turns = queue_behind(client, FAILING, [("execute_request", {"code": "5"})] * 3, stop_on_error=False)
    assert [t.status for t in turns] == ["error", "ok", "ok", "ok"]


def test_40_missing_fields(client: Client) -> None:
    client.execute("import time")
    first = client.send("execute_request", {"code": "time.sleep(0.3); input('?')"})
    second = client.send("execute_request", {"code": "1"})
    client.finish(first).failed("StdinNotImplementedError")
    assert client.finish(second).status == "aborted"
    turn = client.request("execute_request", {"code": "6*7"}).ok()  # everything else is optional
    assert turn.result == "42"
    assert turn.content["execution_count"] == 3
    assert client.execute("In[-2]").result == "'6*7'"


def test_41_an_aborted_request(client: Client) -> None:
    turns = queue_behind(client, FAILING, [("execute_request", {"code": "1"})])
    aborted = turns[1]
    assert aborted.reply.type == "execute_reply"
    assert aborted.status == "aborted"
    assert aborted.types == ["busy", "idle"]
    expected = turns[0].content["execution_count"] + 1
    assert client.execute("1").content["execution_count"] == expected
    if IS_HUSK:
        assert aborted.content["execution_count"] == expected - 1
        assert aborted.verdict == "aborted"


FAILURES = {
    "SyntaxError": "x = = 1",
    "IndentationError": "if 1:\nx",
    "ZeroDivisionError": "def f():\n  1/0\nf()",
    "ValueError": "try:\n  1/0\nexcept Exception as e:\n  raise ValueError('chained') from e",
    "RecursionError": "def f(): f()\nf()",
    "MemoryError": "raise MemoryError('none left')",
    "Custom": "class Custom(BaseException): pass\nraise Custom('base')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "NameError": "undefined_name",
    "UnicodeDecodeError": "b'\\xff'.decode()",
    "AssertionError": "assert 1 == 2, 'not equal'",
    "StopIteration": "next(iter([]))",
    "StopAsyncIteration": "raise StopAsyncIteration",
    "CancelledError": "import asyncio\nraise asyncio.CancelledError",
}


@pytest.mark.parametrize("ename", FAILURES)
def test_42_errors(client: Client, ename: str) -> None:
    turn = client.execute(FAILURES[ename]).failed(ename)
    assert turn.error is not None
    for name in ("ename", "evalue", "traceback"):
        assert turn.error[name] == turn.content[name]
    assert turn.content["traceback"]
    assert all(isinstance(line, str) for line in turn.content["traceback"])
    assert isinstance(turn.content["execution_count"], int)
    assert client.execute("1+1").ok().result == "2"


def test_42_str_that_raises(client: Client) -> None:
    turn = client.execute("class Bad(Exception):\n  def __str__(self): raise RuntimeError('no text')\nraise Bad")
    assert turn.status == "error"
    assert turn.error is not None
    assert turn.error["ename"] == turn.content["ename"]
    assert turn.content["ename"] in ("Bad", "RuntimeError")
    assert turn.error["traceback"] == turn.content["traceback"] != []
    assert client.execute("1+1").ok().result == "2"


def test_42_exception_group(client: Client) -> None:
    turn = client.execute("raise ExceptionGroup('several', [ValueError(1), TypeError('two')])")
    turn.failed("ExceptionGroup")
    assert "ValueError" in turn.stderr + "\n".join(turn.content["traceback"])
    assert client.execute("1").ok().result == "1"


def test_42_deep_recursion_in_a_repr_and_huge_messages(client: Client) -> None:
    client.execute("class R:\n def __repr__(self): return repr(self)\nR()")
    assert client.execute("1").ok().result == "1"
    turn = client.execute("raise ValueError('x' * 3_000_000)").failed("ValueError")
    assert len(turn.content["evalue"]) == 3_000_000


def test_42_traceback_names_the_cells(client: Client) -> None:
    client.execute("def inner(x):\n    return 1 / x")
    text = "\n".join(client.execute("inner(0)").content["traceback"])
    assert "ZeroDivisionError" in text
    assert "return" in text
    assert "inner" in text


def test_43_raise_system_exit(client: Client) -> None:
    turn = client.execute("raise SystemExit(3)").failed("SystemExit")
    assert turn.content["evalue"] == "3"
    client.execute("import sys; sys.exit()").failed("SystemExit")
    assert client.execute("'alive'").ok().result == "'alive'"


@pytest.mark.parametrize("code", ["exit()", "quit()", "exit", "quit", "get_ipython().ask_exit()"])
def test_43_exit_ends_the_process(kernel: Kernel, client: Client, code: str) -> None:
    turn = client.execute(code).ok()
    assert [p["source"] for p in turn.content["payload"]] == ["ask_exit"]
    assert not turn.content["payload"][0]["keepkernel"]
    assert kernel.wait_exit(10) == 0
    client.pump(0.1)
    assert [m.type for m in client.log if m.channel == "iopub"][-1] in ("shutdown_reply", "status")


@pytest.mark.husk
def test_43_what_follows_exit_runs_in_the_next_worker(start_kernel: Any) -> None:
    client = start_kernel(args=["--on-crash=respawn"]).connect()
    for _ in range(5):
        ids = [client.send_code(code) for code in ("x = 1", "exit()", "'x' in globals()")]
        assert client.finish(ids[1]).ok()
        assert client.finish(ids[2]).ok().result == "False"


@pytest.mark.ipython
@pytest.mark.parametrize("code", ["?print", "print?", "print??", "x = 5\n%page x", "import os\nos.path?"])
def test_44_one_page_payload(client: Client, code: str) -> None:
    turn = client.execute(code).ok()
    assert [p["source"] for p in turn.content["payload"]] == ["page"]
    page = turn.content["payload"][0]
    assert page["data"]["text/plain"]
    assert page["start"] == 0


@pytest.mark.ipython
def test_44_set_next_input_overwrites(client: Client) -> None:
    turn = client.execute("s = get_ipython().set_next_input; s('one'); s('two', replace=True)").ok()
    (payload,) = turn.content["payload"]
    assert payload == {"source": "set_next_input", "text": "two", "replace": True}
    assert client.execute("1").content["payload"] == []


@pytest.mark.ipython
def test_44_load_and_payload_on_error(kernel: Kernel, client: Client) -> None:
    (kernel.directory / "snippet.py").write_text("loaded = 1\n")
    turn = client.execute("%load snippet.py").ok()
    (payload,) = turn.content["payload"]
    assert payload["source"] == "set_next_input"
    assert payload["replace"] is True
    assert "loaded = 1" in payload["text"]
    turn = client.execute("get_ipython().set_next_input('x')\n1/0").failed("ZeroDivisionError")
    assert [p["text"] for p in turn.content["payload"]] == ["x"]


def test_45_reply_metadata(client: Client) -> None:
    metadata = {"cellId": "abc-1", "deletedCells": ["x"], "recordTiming": True, "unknown": [1]}
    for code, status in (("1", "ok"), ("1/0", "error")):
        turn = client.execute(code, metadata=metadata)
        meta = turn.reply.metadata
        assert datetime.fromisoformat(meta["started"].replace("Z", "+00:00")).tzinfo is not None
        assert meta["status"] == status
        assert meta["dependencies_met"] is True
        assert isinstance(meta["engine"], str)
        assert turn.of("execute_input")[0].metadata in ({}, metadata)
        if IS_HUSK:
            assert meta["husk"]["verdict"] == status
            assert meta["husk"]["state"] == "kept"


LAST = [
    ("1", "1"),
    ("1;", None),
    ("1 ;  # comment", None),
    ("x = 1", None),
    ("None", None),
    ("x", "1"),
    ("x;", None),
    ("2\n3", "3"),
    ("if True:\n    5", None),
    ("def f(): pass", None),
    ("'a;b'", "'a;b'"),
    ("...", "Ellipsis"),
    ("[1,\n 2]", "[1, 2]"),
    ("lambda: 0;", None),
    ("print", "<function print(*args, sep=' ', end='\\n', file=None, flush=False)>"),
    ("(y := 7)", "7"),
    ("1; 2", "2"),
    ('"""a\nb"""', "'a\\nb'"),
]


@pytest.mark.ipython
def test_46_last_expression(client: Client) -> None:
    for code, expected in LAST:
        turn = client.execute(code).ok()
        if expected and not expected.startswith("<"):
            assert turn.result == expected, code
        else:
            assert (turn.result is None) == (expected is None), code


def test_46_underscores(client: Client) -> None:
    for value in ("'a'", "'b'", "'c'"):
        client.execute(value)
    assert client.execute("_, __, ___, _2, Out[3], In[3], _i, _ii, _i1").result == (
        "('c', 'b', 'a', 'b', 'c', \"'c'\", \"'c'\", \"'b'\", \"'a'\")"
    )
    assert client.execute("sorted(Out)[:4], len(In), _oh is Out, _ih is In").result == "([1, 2, 3, 4], 6, True, True)"
    client.execute("_ = 5")
    client.execute("'new'")
    assert client.execute("_").result == "5"


REPRS = """
class Html:
    def _repr_html_(self): return "<i>html</i>"
    def __repr__(self): return "plain"
class Bundle:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/x-a": "A", "application/json": {"k": [1]}}, {"text/x-a": {"meta": 1}}
    def __repr__(self): return "plain"
class Display:
    def _ipython_display_(self): print("displayed itself")
class Broken:
    def _repr_html_(self): raise ValueError("broken html")
    def __repr__(self): return "plain"
class Png:
    def _repr_png_(self): return b"\\x89PNG\\r\\n\\x1a\\n" + bytes(10)
    def __repr__(self): return "plain"
class Many:
    def _repr_svg_(self): return "<svg/>"
    def _repr_latex_(self): return "$x$"
    def _repr_markdown_(self): return "**m**", {"isolated": True}
    def _repr_json_(self): return {"a": None}
    def _repr_javascript_(self): return "1"
    def _repr_pretty_(self, p, cycle): p.text("pretty")
"""


def test_47_rich_representations(client: Client) -> None:
    client.execute(REPRS).ok()
    for how in ("{}()", "display({}())"):

        def data(name: str, how: str = how) -> tuple[dict[str, Any], dict[str, Any]]:
            turn = client.execute(how.format(name))
            (message,) = turn.ok().of("execute_result", "display_data")
            return message.content["data"], message.content["metadata"]

        assert data("Html") == ({"text/plain": "plain", "text/html": "<i>html</i>"}, {})
        bundle, metadata = data("Bundle")
        assert bundle == {"text/plain": "plain", "text/x-a": "A", "application/json": {"k": [1]}}
        assert metadata == {"text/x-a": {"meta": 1}}
        png, _ = data("Png")
        assert png["image/png"].strip() == "iVBORw0KGgoAAAAAAAAAAAAA"
        many, metadata = data("Many")
        assert many == {
            "text/plain": "pretty",
            "image/svg+xml": "<svg/>",
            "text/latex": "$x$",
            "text/markdown": "**m**",
            "application/json": {"a": None},
            "application/javascript": "1",
        }
        assert metadata == {"text/markdown": {"isolated": True}}
        turn = client.execute(how.format("Display")).ok()
        assert turn.stdout == "displayed itself\n"
        assert turn.of("execute_result", "display_data") == []


def test_47_a_failing_representation(client: Client) -> None:
    client.execute(REPRS).ok()
    turn = client.execute("Broken()")
    assert turn.error is not None
    assert (turn.error["ename"], turn.error["evalue"]) == ("ValueError", "broken html")
    assert turn.of("execute_result")[0].content["data"] == {"text/plain": "plain"}
    assert turn.status == "error"
    if IS_HUSK:
        assert turn.content["ename"] == "ValueError"
    assert client.execute("1").ok().result == "1"


def test_48_top_level_await(client: Client) -> None:
    client.execute("import asyncio").ok()
    assert client.execute("await asyncio.sleep(0, 'slept')").ok().result == "'slept'"
    code = """
async def numbers():
    for i in range(3):
        await asyncio.sleep(0)
        yield i
class Manager:
    async def __aenter__(self): return "entered"
    async def __aexit__(self, *a): print("left")
got = []
async for n in numbers():
    got.append(n)
async with Manager() as m:
    print(m, got)
[n async for n in numbers()]
"""
    turn = client.execute(code).ok()
    assert turn.stdout == "entered [0, 1, 2]\nleft\n"
    assert turn.result == "[0, 1, 2]"
    client.execute("await asyncio.sleep(0); 1/0").failed("ZeroDivisionError")
    client.execute("async def main(): return 1\nasyncio.run(main())").failed("RuntimeError")
    assert client.execute("asyncio.get_running_loop().is_running()").ok().result == "True"


def test_48_a_task_goes_on_between_cells(client: Client) -> None:
    code = """
import asyncio
steps = []
async def work():
    for i in range(30):
        await asyncio.sleep(0.005)
        steps.append(i)
    open("task-done", "w").close()
task = asyncio.create_task(work())
"""
    client.execute(code).ok()
    wait_until((client.kernel.directory / "task-done").exists, "the task while the kernel is idle", 10)
    assert client.execute("len(steps), task.done()").result == "(30, True)"


def test_49_context_variables_persist(client: Client) -> None:
    client.execute("import contextvars, asyncio; v = contextvars.ContextVar('v', default='unset')")
    client.execute("v.set('plain'); None").ok()
    assert client.execute("v.get()").result == "'plain'"
    assert client.execute("await asyncio.sleep(0); v.get()").result == "'plain'"


@pytest.mark.differs("loses what an async cell sets")
def test_49_context_variables_set_in_async_cells_persist(client: Client) -> None:
    client.execute("import contextvars, asyncio; v = contextvars.ContextVar('v', default='unset')")
    client.execute("await asyncio.sleep(0); v.set('async'); None").ok()
    assert client.execute("v.get()").result == "'async'"
    assert client.execute("await asyncio.sleep(0); v.get()").result == "'async'"


ODD_SOURCES = [
    ("x = 1\r\ny = 2\r\nx + y\r\n", "3"),
    ("\n\n\n  \n5", "5"),
    ("if 1:\n\tz = 8\nz", "8"),
    ("\x0c7", "7"),
    ("𝒳 = 4\n𝒳", "4"),
    ("变量 = 'v'\n变量", "'v'"),
    ("'\U0001f600'", "'\U0001f600'"),
    ("# coding: latin-1\n'ü'", "'ü'"),
    ("# -*- coding: utf-8 -*-\n1", "1"),
    ("1 # trailing", "1"),
    ("(\n6\n)", "6"),
    ("x = '''a\r\nb'''\nlen(x)", "3"),
    ("#" + "c" * 1_000_000 + "\n11", "11"),
    ("v = '" + "\u00fc" * 1_000_000 + "'\nlen(v)", "1000000"),
    ("\n".join(f"v{i} = {i}" for i in range(20_000)) + "\nv19999", "19999"),
    ("    3", "3"),
    ("    a = 1\n    a + 1", "2"),
]


@pytest.mark.ipython
@pytest.mark.parametrize("n", range(len(ODD_SOURCES)))
def test_50_odd_sources(client: Client, n: int) -> None:
    code, result = ODD_SOURCES[n]
    turn = client.execute(code, timeout=30).ok()
    assert turn.result == result
    assert turn.of("execute_input")[0].content["code"] == code


def test_50_nul_in_source_is_an_error(client: Client) -> None:
    turn = client.execute("1\x002")
    assert turn.status == "error"
    assert client.execute("1").result == "1"


@pytest.mark.differs("output of control requests has an empty or a wrong parent")
def test_51_execute_on_control(client: Client) -> None:
    turn = client.execute("print('on control'); 6*7", channel="control")
    assert turn.reply.channel == "control"
    if turn.status == "ok":
        assert turn.stdout == "on control\n"
        assert turn.result == "42"
        assert turn.types == ["busy", "execute_input", "stdout", "execute_result", "idle"]
    else:
        assert turn.content["ename"]
    assert client.execute("1").ok().result == "1"


def test_a_working_directory_that_a_cell_has_removed(client: Client) -> None:
    client.execute("import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); kept = 5").ok()
    assert client.execute("%who_ls int").ok().result == "['kept']"
    client.execute("os.getcwd()").failed("FileNotFoundError")
    assert client.execute("kept").ok().result == "5"


def test_a_loop_whose_descriptors_were_closed_is_made_anew(client: Client) -> None:
    close = "import asyncio, os\nloop = asyncio.get_running_loop()\n"
    close += "for fd in (loop._selector.fileno(), loop._ssock.fileno(), loop._csock.fileno()): os.close(fd)"
    client.execute(close).ok()
    assert client.execute("1 + 1").ok().result == "2"
    assert client.execute("await asyncio.sleep(0.01, 'slept')").ok().result == "'slept'"
    assert client.execute("asyncio.get_running_loop() is loop").ok().result == "False"
