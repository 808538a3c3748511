# SPDX-License-Identifier: Apache-2.0
"""Introspection, history, comms, display libraries, debugger, usage: items 79 to 90."""

from __future__ import annotations

import base64
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from husk import CHANNELS, IS_HUSK, Client, Kernel, Turn, wait_until


def complete(client: Client, code: str, cursor: int | None = None) -> dict[str, Any]:
    return client.request("complete_request", {"code": code, "cursor_pos": cursor}).ok().content


# 79


def test_79_offsets_are_code_points(client: Client) -> None:
    client.execute("some_name = 1; \U0001d4b3value = 2").ok()
    for before in ("", "'\U0001f600\U0001f600'; ", "'世界'; ", "'e\u0301'; ", "# \U0001f9ea\n"):
        code = before + "some_na"
        content = complete(client, code, len(code))
        assert "some_name" in content["matches"]
        assert (content["cursor_start"], content["cursor_end"]) == (len(before), len(code))


def test_79_cursor_in_the_middle_and_null_cursor(client: Client) -> None:
    client.execute("alpha_one = 1; alpha_two = 2").ok()
    code = "x = alpha_\ny = 5"
    content = complete(client, code, len("x = alpha_"))
    assert {"alpha_one", "alpha_two"} <= set(content["matches"])
    assert (content["cursor_start"], content["cursor_end"]) == (4, 10)
    assert set(complete(client, "alpha_")["matches"]) == set(complete(client, "alpha_", 6)["matches"])


def test_79_attributes_and_keyword_arguments(client: Client) -> None:
    client.execute(
        "class A:\n  first_attr = 1\n  def method(self): pass\na = A()\ndef fun(first_arg, second_arg=2): pass"
    )
    assert {"first_attr", "method"} <= {m.split(".")[-1] for m in complete(client, "a.")["matches"]}
    assert any(m.endswith("bit_length") for m in complete(client, "(5).bit_l")["matches"])
    assert any("second_arg=" in m for m in complete(client, "fun(sec")["matches"])
    assert "print" in complete(client, "prin")["matches"]
    assert "import" in complete(client, "impor")["matches"]


@pytest.mark.ipython
def test_79_dict_keys_files_and_magics(kernel: Kernel, client: Client) -> None:
    (kernel.directory / "a file.txt").write_text("")
    (kernel.directory / "plain_file.txt").write_text("")
    client.execute("d = {'key_one': 1, 'key_two': 2}").ok()
    assert {"key_one", "key_two"} <= {m.strip("'\"]") for m in complete(client, "d['key")["matches"]}
    assert any("plain_file.txt" in m for m in complete(client, "open('plain_")["matches"])
    assert "%timeit" in complete(client, "%timei")["matches"]
    assert "%%timeit" in complete(client, "%%timei")["matches"]


def test_79_experimental_types(client: Client) -> None:
    client.execute("class A:\n  attr = 1\n  def method(self, x): pass\na = A()")
    for code in ("a.", "pri", "impor", "a.meth"):
        content = complete(client, code)
        types = content["metadata"]["_jupyter_types_experimental"]
        assert len(types) == len(content["matches"])
        for entry, match in zip(types, content["matches"], strict=True):
            assert entry["text"] == match
            assert entry["start"] == content["cursor_start"]
            assert entry["end"] == content["cursor_end"]
            assert isinstance(entry["type"], str)
    assert {"print": "function"}.items() <= {
        e["text"]: e["type"] for e in complete(client, "pri")["metadata"]["_jupyter_types_experimental"]
    }.items()


@pytest.mark.differs("does not answer a completion that fails")
def test_79_completion_of_hostile_objects(client: Client) -> None:
    code = """
class Bad:
    def __dir__(self): raise RuntimeError
    def __getattr__(self, name): raise RuntimeError(name)
class Wrong:
    def __dir__(self): return [1, None, "fine"]
bad, wrong = Bad(), Wrong()
"""
    client.execute(code).ok()
    for text in ("bad.", "wrong.", "bad.x.", "((((", "", "\x00", "'", "\ud83d\ude00."):
        turn = client.request("complete_request", {"code": text, "cursor_pos": len(text)})
        assert turn.status == "ok" or turn.content["ename"], text
    assert client.execute("1").ok().result == "1"


# 80


def inspect(client: Client, code: str, cursor: int | None = None, **more: Any) -> dict[str, Any]:
    content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor, "detail_level": 0} | more
    return client.request("inspect_request", content).ok().content


def test_80_inspect(client: Client) -> None:
    client.execute('def fun(a, b=5):\n    """The doc text."""\n    return "source line"').ok()
    level0 = inspect(client, "fun")
    assert level0["found"] is True
    text = level0["data"]["text/plain"]
    assert "The doc text." in text
    assert "fun(a, b=5)" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "source line" not in text
    assert isinstance(level0["metadata"], dict)
    assert "source line" in inspect(client, "fun", detail_level=1)["data"]["text/plain"]


def test_80_inspect_inside_a_call_and_unknown_names(client: Client) -> None:
    client.execute('def fun(a):\n    """The doc text."""')
    assert "The doc text." in inspect(client, "fun(1, ", 6)["data"]["text/plain"]
    assert "The doc text." in inspect(client, "x = fun(3)\ny", 6)["data"]["text/plain"]
    unknown = inspect(client, "no_such_name")
    assert (unknown["found"], unknown["data"], unknown["metadata"]) == (False, {}, {})
    assert inspect(client, "")["found"] is False
    assert inspect(client, "'\U0001f600'; fun", 8)["found"] is True


@pytest.mark.ipython
def test_80_omit_sections(client: Client) -> None:
    client.execute('def fun(a):\n    """The doc text."""')
    assert inspect(client, "fun", omit_sections=[])["found"] is True


# 81


@pytest.mark.parametrize(
    ("code", "status", "indent"),
    [
        ("1", "complete", None),
        ("for i in x:", "incomplete", "    "),
        ("def f():\n    if a:", "incomplete", "        "),
        ("a = )", "invalid", None),
        ('"""', "incomplete", ""),
        ("x = (1,", "incomplete", None),
        ("%%time\n1", "incomplete", ""),
        ("%%time\n1\n\n", "complete", None),
        ("", "complete", None),
        ("async def f():\n    await g()\n", "complete", None),
        ("raise = 2", "invalid", None),
        ("a = [1,\n2,", "incomplete", None),
        ("if True:\n  pass\n\n", "complete", None),
        ("import os;", "complete", None),
        ("!ls", "complete", None),
    ],
)
def test_81_is_complete(client: Client, code: str, status: str, indent: str | None) -> None:
    if ("%" in code or "!" in code) and not client.execute(
        "len(__import__('sys').modules.get('IPython').__name__)"
    ).result:
        pytest.skip("needs IPython")
    content = client.request("is_complete_request", {"code": code}).content
    assert content["status"] == status
    assert ("indent" in content) == (status == "incomplete")
    if indent is not None:
        assert content["indent"] == indent


# 82


def history(client: Client, **content: Any) -> list[Any]:
    full = {"raw": True, "output": False} | content
    return client.request("history_request", full).ok().content["history"]


def history_file(kernel: Kernel) -> Path:
    return kernel.directory / "history.sqlite"


@pytest.fixture
def historian(start_kernel: Any, tmp_path: Path) -> Client:
    """A client of a kernel with a history file of its own, in which an earlier session left three lines."""
    for _ in range(2):
        kernel: Kernel = start_kernel(args=[f"--HistoryManager.hist_file={tmp_path / 'history.sqlite'}"])
        client = kernel.connect()
        if len(kernel.connection) and not getattr(client, "second", False) and not (tmp_path / "seen").exists():
            for code in ("old_one = 1", "old_two = 2", "print('old three')"):
                client.execute(code).ok()
            assert kernel.shut_down() == 0
            (tmp_path / "seen").touch()
    return client


def test_82_tail_and_range(historian: Client) -> None:
    historian.execute("new_one = 1")
    historian.execute("'result'")
    session = wait_until(lambda: history(historian, hist_access_type="tail", n=2), "history")[0][0]
    tail = history(historian, hist_access_type="tail", n=3)
    assert [line for _, _, line in tail] == ["print('old three')", "new_one = 1", "'result'"]
    assert [number for _, number, _ in tail] == [3, 1, 2]
    assert tail[0][0] == session - 1
    here = history(historian, hist_access_type="range", session=0, start=1, stop=3)
    assert [[0, 1, "new_one = 1"], [0, 2, "'result'"]] == here
    assert history(historian, hist_access_type="range", session=0, start=1, stop=2) == here[:1]
    old = history(historian, hist_access_type="range", session=-1, start=1, stop=3)
    assert [line for _, _, line in old] == ["old_one = 1", "old_two = 2"]
    assert history(historian, hist_access_type="range", session=session - 1, start=2, stop=3)[0][2] == "old_two = 2"
    pairs = history(historian, hist_access_type="range", session=0, start=1, stop=3, output=True)
    assert [[0, 1, ["new_one = 1", None]], [0, 2, ["'result'", "'result'"]]] == pairs
    pairs = history(historian, hist_access_type="tail", n=1, output=True)
    assert pairs[0][2][0] == "'result'"


def test_82_search(historian: Client) -> None:
    for code in ("find_me = 1", "find_me = 1", "find_other = 2"):
        historian.execute(code)
    lines = [line for *_, line in history(historian, hist_access_type="search", pattern="find*")]
    assert lines == ["find_me = 1", "find_me = 1", "find_other = 2"]
    unique = [line for *_, line in history(historian, hist_access_type="search", pattern="find*", unique=True)]
    assert sorted(unique) == ["find_me = 1", "find_other = 2"]
    last = [line for *_, line in history(historian, hist_access_type="search", pattern="find*", n=1)]
    assert last == ["find_other = 2"]
    assert [line for *_, line in history(historian, hist_access_type="search", pattern="old_?ne*")] == ["old_one = 1"]
    assert history(historian, hist_access_type="search", pattern="no such line*") == []


@pytest.mark.differs("moves the history file away, or answers nothing")
def test_82_odd_requests_do_no_damage(historian: Client) -> None:
    for content in (
        {"hist_access_type": "tail"},
        {"hist_access_type": "tail", "n": None},
        {"hist_access_type": "tail", "n": -5},
        {"hist_access_type": "tail", "n": 10**30},
        {"hist_access_type": "nonsense"},
        {"hist_access_type": "range"},
        {"hist_access_type": "range", "session": 10**9, "start": 5, "stop": 1},
        {"hist_access_type": "range", "session": None, "start": None, "stop": None},
        {"hist_access_type": "search"},
        {"hist_access_type": "search", "pattern": "[" * 1000},
        {"hist_access_type": "search", "pattern": "*", "n": None, "unknown": 7},
        {"hist_access_type": "search", "pattern": "'; DROP TABLE history; --"},
        {},
        {"hist_access_type": 5},
    ):
        turn = historian.request("history_request", {"raw": True, "output": False} | content)
        assert turn.status in ("ok", "error")
        assert turn.status == "error" or isinstance(turn.content["history"], list)
    lines = [line for *_, line in history(historian, hist_access_type="tail", n=3)]
    assert lines == ["old_one = 1", "old_two = 2", "print('old three')"]
    names = [p.name for p in historian.kernel.directory.iterdir() if "history" in p.name]
    assert not [n for n in names if "corrupt" in n]


def test_82_the_file_is_the_one_that_ipython_writes(historian: Client) -> None:
    historian.execute("stored = 1")
    historian.execute("hidden = 1", store_history=False)
    historian.execute("silent = 1", silent=True)
    historian.execute("def f():\n\treturn '\U0001f600'")
    historian.kernel.shut_down()
    database = sqlite3.connect(history_file(historian.kernel))
    try:
        rows = database.execute("SELECT session, line, source_raw FROM history ORDER BY session, line").fetchall()
        assert [r[2] for r in rows][-2:] == ["stored = 1", "def f():\n\treturn '\U0001f600'"]
        assert [r[:2] for r in rows] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
        sessions = database.execute("SELECT session, start, end, num_cmds FROM sessions ORDER BY session").fetchall()
        assert [s[0] for s in sessions] == [1, 2]
        assert all(s[1] for s in sessions)
        assert sessions[1][3] == 2
    finally:
        database.close()


@pytest.mark.kernel(args=["--HistoryManager.hist_file=:memory:"])
def test_82_memory_history(client: Client) -> None:
    client.execute("in_memory = 1")
    assert [line for *_, line in history(client, hist_access_type="tail", n=5)][-1] == "in_memory = 1"


@pytest.mark.kernel(args=["--HistoryManager.enabled=False"])
def test_82_history_switched_off(client: Client) -> None:
    client.execute("x = 1").ok()
    assert (
        client.request("history_request", {"hist_access_type": "tail", "n": 5, "raw": True, "output": False}).status
        == "ok"
    )


@pytest.mark.husk
@pytest.mark.stderr(r"history")
def test_82_a_locked_or_broken_file_does_not_stop_cells(start_kernel: Any, tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    file.write_bytes(b"this is no database" * 1000)
    kernel = start_kernel(args=[f"--HistoryManager.hist_file={file}"])
    client = kernel.connect()
    for n in range(5):
        assert client.execute(f"{n}").ok().result == f"{n}"
    kernel.shut_down()
    fresh = tmp_path / "fresh.sqlite"
    kernel = start_kernel(args=[f"--HistoryManager.hist_file={fresh}"])
    client = kernel.connect()
    client.execute("1").ok()
    wait_until(lambda: history(client, hist_access_type="tail", n=1), "history")
    lock = sqlite3.connect(fresh, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        for n in range(5):
            assert client.execute(f"{n}").ok().result == f"{n}"
        client.barrier("control")
    finally:
        lock.close()


@pytest.mark.ipython
def test_82_history_magic(historian: Client) -> None:
    historian.execute("first = 1")
    assert historian.execute("%history -n 1").ok().stdout.strip().endswith("first = 1")
    assert "old_two = 2" in historian.execute("%history -g old_two").ok().stdout


# 83, 84

COMMS = """
log = []
def opened(comm, message):
    comm.on_msg(lambda m: (print("got", m["content"]["data"]), comm.send({"answer": 1}), print("after")))
    comm.on_close(lambda m: log.append("closed"))
    log.append((comm.comm_id, message["content"]["data"], message["metadata"]))
    if message["content"]["data"].get("fail"): raise ValueError("handler failed")
import comm
manager = comm.get_comm_manager()
manager.register_target("t", opened)
"""


def tell(client: Client, msg_type: str, content: dict[str, Any], **more: Any) -> Turn:
    """Sends a comm message and collects what belongs to it."""
    msg_id = client.send(msg_type, content, **more)
    idle = client.state(msg_id, "idle")
    return Turn(msg_id, idle, [m for m in client.of(msg_id) if m.channel == "iopub"])


@pytest.mark.differs("a comm_msg overtakes text")
def test_83_comm_text_and_message_keep_their_order(client: Client) -> None:
    client.execute(COMMS).ok()
    assert tell(
        client, "comm_open", {"comm_id": "id1", "target_name": "t", "data": {"d": 1}}, metadata={"version": "2"}
    )
    turn = tell(client, "comm_msg", {"comm_id": "id1", "data": {"x": "y"}})
    assert turn.types == ["busy", "stdout", "comm_msg", "stdout", "idle"]
    assert turn.stdout == "got {'x': 'y'}\nafter\n"
    assert turn.of("comm_msg")[0].content["data"] == {"answer": 1}
    tell(client, "comm_close", {"comm_id": "id1", "data": {}})
    assert client.execute("log").result == "[('id1', {'d': 1}, {'version': '2'}), 'closed']"


def test_83_unknown_target_is_closed(client: Client) -> None:
    client.execute(COMMS).ok()
    turn = tell(client, "comm_open", {"comm_id": "id2", "target_name": "nobody", "data": {}})
    (close,) = turn.of("comm_close")
    assert close.content["comm_id"] == "id2"
    assert tell(client, "comm_msg", {"comm_id": "unknown", "data": {}}).of("comm_msg", "error") == []


def test_83_an_exception_in_a_handler(client: Client) -> None:
    client.execute(COMMS).ok()
    turn = tell(client, "comm_open", {"comm_id": "id3", "target_name": "t", "data": {"fail": 1}})
    if IS_HUSK:
        assert "handler failed" in turn.stderr
    tell(client, "comm_open", {"comm_id": "id4", "target_name": "t", "data": {}})
    client.execute("manager.comms['id4'].on_msg(lambda m: 1/0)").ok()
    tell(client, "comm_msg", {"comm_id": "id4", "data": {}})
    assert client.execute("1").ok().result == "1"


def test_83_comm_info(client: Client) -> None:
    client.execute(COMMS + "manager.register_target('u', lambda c, m: None)").ok()
    for comm_id, target in (("a", "t"), ("b", "u"), ("c", "u")):
        tell(client, "comm_open", {"comm_id": comm_id, "target_name": target, "data": {}})

    def info(**content: Any) -> Any:
        return client.request("comm_info_request", content).ok().content["comms"]

    assert info() == {"a": {"target_name": "t"}, "b": {"target_name": "u"}, "c": {"target_name": "u"}}
    assert info(target_name="u") == {"b": {"target_name": "u"}, "c": {"target_name": "u"}}
    assert info(target_name="none") == {}


@pytest.mark.needs("comm")
def test_83_comms_of_the_kernel(client: Client) -> None:
    code = "import comm\nprint('text')\nc = comm.create_comm(target_name='front', comm_id='own-id', data={'a': 1}, buffers=[b'xyz'])"
    turn = client.execute(code).ok()
    (opened,) = turn.of("comm_open")
    assert opened.content["comm_id"] == "own-id"
    assert opened.content["target_name"] == "front"
    assert opened.content["data"] == {"a": 1}
    assert opened.buffers == [b"xyz"]
    turn = client.execute(
        "c.send({'n': 1}); c.close({'bye': 1}); c.comm_id, type(comm.get_comm_manager()).__name__"
    ).ok()
    assert turn.of("comm_msg")[0].content["data"] == {"n": 1}
    assert turn.of("comm_close")[0].content["data"] == {"bye": 1}
    assert client.request("comm_info_request", {}).content["comms"] == {}


@pytest.mark.needs("ipywidgets")
def test_84_slider_and_observe(client: Client) -> None:
    code = """
import ipywidgets
slider = ipywidgets.IntSlider(value=3, description="s")
out = ipywidgets.Output()
def changed(change):
    with out:
        print("value", change["new"])
slider.observe(changed, names="value")
display(slider)
"""
    turn = client.execute(code).ok()
    (view,) = turn.of("display_data")
    model = view.content["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
    opened = {m.content["comm_id"]: m for m in turn.of("comm_open")}
    assert opened[model].content["data"]["state"]["_model_name"] == "IntSliderModel"
    assert opened[model].metadata["version"].startswith("2.")
    update = {"method": "update", "state": {"value": 8}, "buffer_paths": []}
    turn = tell(client, "comm_msg", {"comm_id": model, "data": update})
    assert client.execute("slider.value").result == "8"
    states = [m.content["data"].get("state", {}) for m in turn.of("comm_msg")]
    captured = [s["msg_id"] for s in states if "msg_id" in s]
    assert captured == [turn.msg_id, ""]
    at = [m.type for m in turn.iopub if m.type in ("stream", "comm_msg")]
    assert turn.stdout == "value 8\n"
    if IS_HUSK:  # the text lies between the two comm messages that begin and end the capture
        begin, end = (
            n
            for n, m in enumerate(turn.iopub)
            if m.type == "comm_msg" and "msg_id" in m.content["data"].get("state", {})
        )
        assert [m.type for m in turn.iopub[begin + 1 : end]] == ["stream"], at


@pytest.mark.needs("ipywidgets")
def test_84_widget_buffers(client: Client) -> None:
    code = """
import ipywidgets
image = ipywidgets.Image(value=b"\\x89PNG" + bytes(100), format="png")
upload = ipywidgets.FileUpload()
"""
    turn = client.execute(code).ok()
    opened = [m for m in turn.of("comm_open") if m.content["data"]["state"].get("_model_name") == "ImageModel"]
    assert opened[0].buffers == [b"\x89PNG" + bytes(100)]
    assert opened[0].content["data"]["buffer_paths"] == [["value"]]
    update = {"method": "update", "state": {"format": "jpeg"}, "buffer_paths": [["value"]]}
    tell(client, "comm_msg", {"comm_id": opened[0].content["comm_id"], "data": update}, buffers=[b"\xff\xd8new"])
    assert client.execute("bytes(image.value), image.format").result == "(b'\\xff\\xd8new', 'jpeg')"


# 85, 87


@pytest.mark.needs("matplotlib")
@pytest.mark.bound(120)
def test_85_figures(client: Client) -> None:
    turn = client.execute("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('text')", timeout=60).ok()
    assert turn.types[-4:] == ["stdout", "display_data", "idle"][-4:] or turn.types[-3:] == [
        "stdout",
        "display_data",
        "idle",
    ]
    png = base64.b64decode(turn.of("display_data")[0].content["data"]["image/png"])
    assert png.startswith(b"\x89PNG")
    turn = client.execute("plt.plot([1]); plt.show(); print('after show')").ok()
    assert turn.types == ["busy", "execute_input", "display_data", "stdout", "idle"]
    assert client.execute("plt.get_backend()").result in (
        "'module://matplotlib_inline.backend_inline'",
        "'inline'",
    )
    assert client.execute("import os; os.environ['MPLBACKEND']").result == "'module://matplotlib_inline.backend_inline'"


@pytest.mark.needs("matplotlib")
@pytest.mark.ipython
@pytest.mark.bound(120)
def test_85_magic_names_and_formats(client: Client) -> None:
    client.execute("%matplotlib inline\nimport matplotlib.pyplot as plt", timeout=60).ok()
    for formats, mime in (("['svg']", "image/svg+xml"), ("['retina']", "image/png"), ("['jpeg']", "image/jpeg")):
        turn = client.execute(
            f"from matplotlib_inline.backend_inline import set_matplotlib_formats\nset_matplotlib_formats(*{formats})\n"
            "_ = plt.plot([1, 2])"
        ).ok()
        assert mime in turn.of("display_data")[0].content["data"]
    turn = client.execute("%config InlineBackend.close_figures = True\nfig, ax = plt.subplots(); fig").ok()
    assert any(name.startswith("image/") for name in turn.of("execute_result")[0].content["data"])
    for name in ("inline", "agg"):
        client.execute(f"%matplotlib {name}").ok()
    client.execute(
        "get_ipython().enable_gui('widget'); get_ipython().enable_gui('inline'); get_ipython().enable_gui(None)"
    ).ok()
    client.execute("get_ipython().enable_gui('no-such-toolkit')").failed("UsageError")


@pytest.mark.needs("pandas")
@pytest.mark.bound(120)
def test_87_pandas(client: Client) -> None:
    data = client.execute("import pandas as pd; pd.DataFrame({'a': [1, 2]})", timeout=60).ok()
    bundle = data.of("execute_result")[0].content["data"]
    assert "<table" in bundle["text/html"]
    assert bundle["text/plain"].splitlines()[0].strip() == "a"


@pytest.mark.needs("sympy")
@pytest.mark.bound(120)
def test_87_sympy(client: Client) -> None:
    code = "import sympy; sympy.init_printing(); x = sympy.Symbol('x'); sympy.Integral(x**2, x)"
    bundle = client.execute(code, timeout=60).ok().of("execute_result")[0].content["data"]
    assert "int x^{2}" in bundle["text/latex"]


@pytest.mark.needs("tqdm")
def test_87_tqdm(client: Client) -> None:
    turn = client.execute("from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass\ntqdm.__module__", timeout=60).ok()
    assert turn.result in ("'tqdm.notebook'", "'tqdm.asyncio'", "'tqdm.auto'")
    assert turn.of("display_data") or "3/3" in turn.stderr
    if turn.result == "'tqdm.notebook'":
        assert turn.of("comm_open")


@pytest.mark.needs("rich")
def test_87_rich(client: Client) -> None:
    turn = client.execute("import rich\nrich.print('[bold]strong[/bold]')").ok()
    bundle = turn.of("display_data")[0].content["data"]
    assert "strong" in bundle["text/plain"]
    assert "font-weight: bold" in bundle["text/html"]


@pytest.mark.needs("plotly", "nbformat")
@pytest.mark.bound(120)
def test_87_plotly(client: Client) -> None:
    code = "import plotly.graph_objects as go; go.Figure(data=go.Bar(y=[2, 3]))"
    turn = client.execute(code, timeout=60).ok()
    bundle = (turn.of("execute_result") + turn.of("display_data"))[-1].content["data"]
    assert bundle["application/vnd.plotly.v1+json"]["data"][0]["type"] == "bar"


@pytest.mark.needs("altair")
@pytest.mark.bound(120)
def test_87_altair(client: Client) -> None:
    code = "import altair as alt; alt.renderers.enable('mimetype'); alt.Chart(alt.Data(values=[{'a': 1}])).mark_bar().encode(x='a:Q')"
    turn = client.execute(code, timeout=60).ok()
    bundle = turn.of("execute_result")[0].content["data"]
    assert any(name.startswith("application/vnd.vegalite.v") for name in bundle)


# 86

IDIOMS = {
    "get_ipython().__class__.__name__": "'ZMQInteractiveShell'",
    "'zmq' in str(type(get_ipython())).lower()": "True",
    "get_ipython().has_trait('kernel'), hasattr(get_ipython(), 'kernel')": "(True, True)",
    "'IPKernelApp' in get_ipython().config": "True",
    "'ipykernel' in __import__('sys').modules": "True",
    "__import__('ipykernel.kernelapp').kernelapp.IPKernelApp.instance().__class__.__name__": "'IPKernelApp'",
    "__import__('os').path.basename(__import__('ipykernel.connect').connect.get_connection_file())": None,
    "callable(get_ipython().kernel.comm_manager.register_target)": "True",
    "callable(get_ipython().kernel.session.send), get_ipython().kernel.iopub_socket is not None": "(True, True)",
    "callable(get_ipython().kernel.send_response)": "True",
    "get_ipython().kernel.get_parent()['header']['msg_type']": "'execute_request'",
    "get_ipython().kernel._parent_header['header']['msg_type']": "'execute_request'",
    "get_ipython().kernel._parent_ident['shell'][0].__class__.__name__": "'bytes'",
    "get_ipython().get_parent()['content']['code'] == In[-1]": "True",
    "callable(get_ipython().kernel.do_shutdown)": "True",
    "'execute_request' in get_ipython().kernel.shell_handlers": "True",
    "get_ipython().kernel.io_loop is not None": "True",
    "get_ipython().kernel.execution_count == get_ipython().execution_count": "True",
    "get_ipython().kernel.language_info['name'], get_ipython().kernel.implementation": "('python', 'ipython')",
    "isinstance(get_ipython().kernel.banner, str)": "True",
    "get_ipython().kernel.shell is get_ipython()": "True",
    "get_ipython().display_pub.session is get_ipython().kernel.session": "True",
    "callable(get_ipython().display_pub.register_hook), get_ipython().display_pub.parent_header['msg_type']": (
        "(True, 'execute_request')"
    ),
    "get_ipython().display_pub.pub_socket is not None, get_ipython().display_pub.topic is not None": "(True, True)",
    "'' in __import__('sys').path": "True",
    "__import__('os').environ.get('CLICOLOR'), __import__('os').environ.get('PAGER')": "('1', 'cat')",
    "__name__, '__file__' in globals()": "('__main__', False)",
    "__import__('sys').argv[0].__class__.__name__": "'str'",
    "__import__('IPython').get_ipython() is get_ipython()": "True",
    "__import__('asyncio').get_running_loop() is __import__('asyncio').get_event_loop()": "True",
}


@pytest.mark.ipython
@pytest.mark.kernel(env={"JPY_SESSION_NAME": "/some/note.ipynb"})
def test_86_detection_idioms(client: Client) -> None:
    wrong = {}
    for code, expected in IDIOMS.items():
        turn = client.execute(code)
        if turn.status != "ok" or (expected is not None and turn.result != expected):
            wrong[code] = turn.result if turn.status == "ok" else turn.content["evalue"]
    assert wrong == {}
    assert client.execute("__session__").ok().result == "'/some/note.ipynb'"


@pytest.mark.ipython
def test_86_session_send_and_send_response(client: Client) -> None:
    code = """
k = get_ipython().kernel
k.send_response(k.iopub_socket, "stream", {"name": "stdout", "text": "by send_response\\n"})
k.session.send(k.iopub_socket, "display_data", {"data": {"text/plain": "by send"}, "metadata": {}},
               parent=k.get_parent(), ident=b"display_data")
from ipykernel.comm import Comm
c = Comm(target_name="old style")
"""
    turn = client.execute(code).ok()
    assert turn.stdout == "by send_response\n"
    assert [m.content["data"]["text/plain"] for m in turn.of("display_data")] == ["by send"]
    assert turn.of("comm_open")[0].content["target_name"] == "old style"


@pytest.mark.ipython
@pytest.mark.parametrize(
    "code", ["%edit nothing.py", "%clear", "%man ls", "%connect_info", "%autosave 10", "%subshell", "%less conftest.py"]
)
def test_86_kernel_magics_exist(kernel: Kernel, client: Client, code: str) -> None:
    (kernel.directory / "conftest.py").write_text("# paged")
    turn = client.execute(code)
    assert "not found" not in turn.stderr, turn.stderr
    assert "UsageError" not in turn.stderr
    if IS_HUSK:
        assert kernel.key not in "".join(map(str, client.of(turn.msg_id)))


# 88


def debug(client: Client, seq: int, command: str, **arguments: Any) -> dict[str, Any]:
    content = {"type": "request", "seq": seq, "command": command, "arguments": arguments}
    return client.request("debug_request", content, channel="control").content


def test_88_debug_info(client: Client) -> None:
    content = debug(client, 1, "debugInfo")
    features = client.request("kernel_info_request").content.get("supported_features", [])
    if "debugger" not in features:
        assert content == {} or content.get("success") in (True, False)
        return
    assert content["success"] is True
    assert content["command"] == "debugInfo"
    body = content["body"]
    assert body["isStarted"] is False
    assert body["hashMethod"] == "Murmur2"
    assert body["hashSeed"] == 3339675911
    assert body["tmpFileSuffix"] == ".py"
    assert body["tmpFilePrefix"].startswith("/")
    assert body["breakpoints"] == []
    assert body["stoppedThreads"] == []
    assert isinstance(body["exceptionPaths"], list)
    assert body["richRendering"] is True
    assert body["copyToGlobals"] is True


@pytest.mark.needs("debugpy")
@pytest.mark.ipython
@pytest.mark.bound(120)
def test_88_breakpoint_step_variables(client: Client) -> None:
    code = "def f(a):\n    b = a + 1\n    c = b * 2\n    return c\nf(20)"
    started = debug(
        client,
        1,
        "initialize",
        clientID="test",
        adapterID="",
        linesStartAt1=True,
        columnsStartAt1=True,
        pathFormat="path",
    )
    assert started["success"] is True
    assert debug(client, 2, "attach")["success"] is True
    dumped = debug(client, 3, "dumpCell", code=code)
    path = dumped["body"]["sourcePath"]
    info = debug(client, 4, "debugInfo")["body"]
    assert info["isStarted"] is True
    assert path == f"{info['tmpFilePrefix']}{murmur2(code.encode(), info['hashSeed'])}{info['tmpFileSuffix']}"
    set_points = debug(
        client, 5, "setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}], sourceModified=False
    )
    assert set_points["body"]["breakpoints"][0]["verified"] is True
    assert debug(client, 6, "configurationDone")["success"] is True
    msg_id = client.send_code(code)

    def event(name: str, start: int = 0) -> Any:
        return client.wait(lambda m: m.type == "debug_event" and m.content["event"] == name, f"event {name}", 30, start)

    stopped = event("stopped")
    thread = stopped.content["body"]["threadId"]
    frames = debug(client, 7, "stackTrace", threadId=thread)["body"]["stackFrames"]
    assert frames[0]["line"] == 2
    scopes = debug(client, 8, "scopes", frameId=frames[0]["id"])["body"]["scopes"]
    variables = debug(client, 9, "variables", variablesReference=scopes[0]["variablesReference"])["body"]["variables"]
    assert {"a": "20"}.items() <= {v["name"]: v["value"] for v in variables}.items()
    assert debug(client, 10, "next", threadId=thread)["success"] is True
    again = event("stopped", stopped.number + 1)
    frames = debug(client, 11, "stackTrace", threadId=thread)["body"]["stackFrames"]
    assert frames[0]["line"] == 3
    value = debug(client, 12, "evaluate", expression="b + 100", frameId=frames[0]["id"])
    assert value["body"]["result"] == "121"
    assert debug(client, 13, "continue", threadId=thread)["success"] is True
    assert again.number
    assert client.finish(msg_id).ok().result == "42"
    variables = debug(client, 14, "inspectVariables")["body"]["variables"]
    assert {"f", "function variables"} & {v["name"] for v in variables}
    assert debug(client, 15, "disconnect", restart=False, terminateDebuggee=True)["success"] is True
    assert client.execute("f(1)").ok().result == "4"


def murmur2(data: bytes, seed: int) -> int:
    """MurmurHash2, 32 bit, little endian."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = seed ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


# 89, 90


def test_89_usage(client: Client) -> None:
    client.execute("import subprocess, time; data = bytearray(80_000_000)").ok()
    turn = client.request("usage_request", channel="control")
    content = turn.content
    assert turn.reply.type == "usage_reply"
    for name in ("hostname", "pid", "kernel_cpu", "kernel_memory", "cpu_count", "host_virtual_memory"):
        assert name in content, sorted(content)
    assert content["kernel_memory"] > 80_000_000
    assert content["cpu_count"] == os.cpu_count()
    for name in ("total", "available", "percent", "used", "free"):
        assert isinstance(content["host_virtual_memory"][name], int | float)
    child = "import sys, time; data = bytearray(90_000_000); print(1, flush=True); time.sleep(60)"
    code = f"import sys\np = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); p.stdout.readline()"
    client.execute(code).ok()
    more = client.request("usage_request", channel="control").content
    assert more["kernel_memory"] > content["kernel_memory"] + 80_000_000
    client.execute("p.kill(); p.wait(); p.stdout.close()").ok()


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_90_kernel_info(client: Client, channel: str) -> None:
    content = client.request("kernel_info_request", channel=channel).ok().content
    assert content["status"] == "ok"
    assert content["protocol_version"].startswith("5.")
    assert content["implementation"]
    assert content["implementation_version"]
    assert isinstance(content["banner"], str)
    info = content["language_info"]
    version = client.execute("'%d.%d.%d' % __import__('sys').version_info[:3]").result
    assert info["name"] == "python"
    assert repr(info["version"]) == version
    assert info["mimetype"] == "text/x-python"
    assert info["file_extension"] == ".py"
    assert info["pygments_lexer"] in ("ipython3", "python3")
    assert info["nbconvert_exporter"] == "python"
    assert info["codemirror_mode"]["name"] == "ipython" or info["codemirror_mode"] == "python"
    assert all({"text", "url"} <= set(link) for link in content["help_links"])
    if IS_HUSK:
        assert content["protocol_version"] == "5.5"


def test_90_supported_features_match_what_works(client: Client) -> None:
    features = client.request("kernel_info_request").content["supported_features"]
    subshell = client.request("create_subshell_request", channel="control")
    assert (subshell.status == "ok") == ("kernel subshells" in features)
    if subshell.status == "ok":
        client.request("delete_subshell_request", {"subshell_id": subshell.content["subshell_id"]}, channel="control")
    assert debug(client, 1, "debugInfo").get("success", False) == ("debugger" in features)


def test_90_connect_request(kernel: Kernel, client: Client) -> None:
    content = client.request("connect_request").content
    for c in CHANNELS:
        assert content[f"{c}_port"] == kernel.connection[f"{c}_port"]


@pytest.mark.husk
def test_90_kernel_info_before_python_is_up(start_kernel: Any) -> None:
    kernel = start_kernel()
    client = kernel.connect(ready=False)
    first = client.send("kernel_info_request")
    cell = client.send_code("1+1")
    info = client.reply(first)
    reply = client.reply(cell)
    assert info.content["language_info"]["name"] == "python"
    assert info.date <= reply.date
