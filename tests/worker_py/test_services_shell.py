# SPDX-License-Identifier: Apache-2.0
"""What cells find around them: idioms by which libraries recognise a kernel, ipykernel's modules, magics, GUI names, history.

Each test drives a worker process on the fake `_husk`; the cells assert.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front import REPLY_FIELDS, Front, Result

pytestmark = pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="needs IPython")
OPTIONS = {
    "connection_file": "/run/user/1/kernel-77.json",
    "connection": {"ip": "127.0.0.1", "shell_port": 5, "transport": "tcp"},
}


class Asked(Front):
    """A front that answers questions for history from `rows`, by access type."""

    rows: dict[str, Any] = {}
    asked: list[dict[str, Any]]

    def run(self, code: str, inputs: tuple[str, ...] = (), **options: Any) -> Result:
        turn = self.begin(code, **options)
        frames: list[Any] = []
        self.asked = []
        while True:
            name, fields = self.main.recv(60)
            if name == "REPLY":
                return Result(frames, dict(zip(REPLY_FIELDS, fields, strict=False)))
            if name == "ASK":
                question = json.loads(fields[2])
                self.asked.append(question)
                rows = self.rows.get(question["hist_access_type"], [])
                if question.get("output"):
                    rows = [[session, line, [text, None]] for session, line, text in rows]
                self.main.send("TOLD", fields[0], json.dumps({"status": "ok", "history": rows}).encode())
            frames.append((name, fields))
            assert turn == fields[0] or name in ("ASK", "TEXT")


@pytest.fixture(scope="module")
def front(tmp_path_factory: Any) -> Iterator[Asked]:
    with Asked(options=OPTIONS, cwd=str(tmp_path_factory.mktemp("cells"))) as front:
        yield front


def ok(front: Asked, code: str) -> Result:
    result = front.run(code)
    assert result.ok, (code, result.reply["error"] and "\n".join(result.reply["error"][2]))
    return result


IDIOMS = [
    "get_ipython().__class__.__name__ == 'ZMQInteractiveShell'",
    "'zmq' in str(type(get_ipython())).lower()",
    "get_ipython().has_trait('kernel') and hasattr(get_ipython(), 'kernel')",
    "'IPKernelApp' in get_ipython().config",
    "'ipykernel' in __import__('sys').modules",
    "__import__('importlib.util').util.find_spec('ipykernel') is not None",
    "__import__('ipykernel.kernelapp').kernelapp.IPKernelApp.initialized()",
    "__import__('ipykernel.kernelapp').kernelapp.IPKernelApp.instance().kernel is get_ipython().kernel",
    "__import__('traitlets.config').config.Application.instance().kernel is get_ipython().kernel",
    "__import__('ipykernel').get_connection_file() == '/run/user/1/kernel-77.json'",
    "__import__('ipykernel.connect').connect.get_connection_file() == '/run/user/1/kernel-77.json'",
    "__import__('ipykernel').connect.get_connection_info(unpack=True)['shell_port'] == 5",
    "'key' not in __import__('ipykernel').get_connection_info(unpack=True) or not __import__('ipykernel').get_connection_info(unpack=True)['key']",
    "isinstance(get_ipython(), __import__('ipykernel.zmqshell').zmqshell.ZMQInteractiveShell)",
    "isinstance(get_ipython().display_pub, __import__('ipykernel.zmqshell').zmqshell.ZMQDisplayPublisher)",
    "isinstance(get_ipython().displayhook, __import__('ipykernel.displayhook').displayhook.ZMQShellDisplayHook)",
    "isinstance(__import__('sys').stdout, __import__('ipykernel.iostream').iostream.OutStream)",
    "isinstance(get_ipython().kernel, __import__('ipykernel.ipkernel').ipkernel.IPythonKernel)",
    "__import__('ipykernel.kernelbase').kernelbase.Kernel.initialized()",
    "__import__('ipykernel.kernelbase').kernelbase.Kernel.instance() is get_ipython().kernel",
    "__import__('ipykernel.compiler').compiler.get_file_name('x').startswith('/')",
    "__import__('ipykernel').__version__[0] in '678'",
    "__import__('ipykernel').version_info[0] in (6, 7, 8)",
    "__import__('ipykernel.jsonutil').jsonutil.json_clean({1: (2,)}) == {'1': [2]}",
    "not hasattr(__import__('ipykernel'), 'nosuchname')",
    "__import__('ipykernel.comm').comm.Comm.__name__ == 'Comm'",
    "__import__('comm').get_comm_manager() is get_ipython().kernel.comm_manager",
    "callable(get_ipython().kernel.comm_manager.register_target)",
    "callable(get_ipython().kernel.session.send) and get_ipython().kernel.session.session == 's'",
    "get_ipython().kernel.iopub_socket is get_ipython().display_pub.pub_socket",
    "get_ipython().kernel.get_parent()['header']['msg_type'] == 'execute_request'",
    "get_ipython().kernel.get_parent('shell')['header'] == get_ipython().parent_header['header']",
    "get_ipython().kernel._parent_header['header']['msg_id'] == get_ipython().kernel.get_parent()['header']['msg_id']",
    "get_ipython().kernel._parent_ident['shell'] == [b'client'] and 'control' in get_ipython().kernel._parent_ident",
    "{'execute_request', 'comm_open'} <= set(get_ipython().kernel.shell_handlers)",
    "'debug_request' in get_ipython().kernel.control_handlers",
    "get_ipython().kernel.execution_count == get_ipython().execution_count",
    "get_ipython().kernel.language_info['name'] == 'python'",
    "get_ipython().kernel.implementation == 'ipython' and get_ipython().kernel.implementation_version == __import__('IPython').__version__",
    "get_ipython().kernel.banner.startswith('Python')",
    "get_ipython().kernel.shell is get_ipython() and get_ipython().kernel.user_ns is get_ipython().user_ns",
    "callable(get_ipython().kernel.io_loop.add_callback) and get_ipython().kernel.io_loop.asyncio_loop.is_running()",
    "get_ipython().kernel.log.name and callable(get_ipython().kernel.do_shutdown)",
    "get_ipython().kernel.kernel_info['language_info']['file_extension'] == '.py'",
    "__import__('os').environ['MPLBACKEND'] == 'module://matplotlib_inline.backend_inline'",
]


@pytest.mark.parametrize("idiom", IDIOMS)
def test_idiom(front: Asked, idiom: str) -> None:
    assert ok(front, f"import warnings; warnings.simplefilter('ignore')\n{idiom}").value == "True"


def test_send_response_and_stream(front: Asked) -> None:
    result = ok(
        front,
        "k = get_ipython().kernel\nk.send_response(k.iopub_socket, 'stream', {'name': 'stderr', 'text': 'seen'});",
    )
    assert result.err == "seen"
    result = ok(
        front, "k.send_response(k.iopub_socket, 'display_data', {'data': {'text/plain': 'x'}, 'metadata': {}});"
    )
    assert result.displays() == [(0, {"text/plain": "x"})]


def test_shims_of_an_installed_ipykernel_still_have_its_other_names(front: Asked) -> None:
    if importlib.machinery.PathFinder.find_spec("ipykernel") is None:
        result = front.run("import ipykernel.kernelspec")
        assert result.ename == "ModuleNotFoundError"
        return
    ok(front, "import ipykernel.kernelspec, ipykernel.kernelapp; ipykernel.kernelspec.make_ipkernel_cmd")
    assert ok(front, "callable(ipykernel.kernelapp.launch_new_instance)").value == "True"
    assert ok(front, "import comm; comm.get_comm_manager() is get_ipython().kernel.comm_manager").value == "True"
    assert ok(front, "ipykernel.__file__.endswith('__init__.py')").value == "True"


def test_star_import(front: Asked) -> None:
    ok(front, "from ipykernel.connect import *\nget_connection_file()")


def payload(result: Result) -> list[dict[str, Any]]:
    return json.loads(result.reply["payload"] or b"[]")


def test_magics(front: Asked, tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("value = 1\n")
    [entry] = payload(ok(front, f"%edit {source}"))
    assert entry == {"source": "edit_magic", "filename": str(source), "line_number": None}
    assert payload(ok(front, f"%ed -n 4 {source}"))[0]["line_number"] in (4, "4")
    text = tmp_path / "b.txt"
    text.write_text("some text\n")
    assert payload(ok(front, f"%less {text}"))[0]["data"] == {"text/plain": "some text\n"}
    assert payload(ok(front, f"%more {text}"))[0]["source"] == "page"
    assert "value" in payload(ok(front, f"%less {source}"))[0]["data"]["text/plain"]
    assert "Missing filename" in front.run("%less").err
    result = ok(front, "%autosave 30")
    assert result.out == "Autosaving every 30 seconds\n"
    assert result.displays()[0][1] == {"application/javascript": "IPython.notebook.set_autosave_interval(30000)"}
    assert ok(front, "%autosave 0").out == "Autosave disabled\n"
    assert "requires an integer" in front.run("%autosave x").err
    assert "subshell id: None" in ok(front, "%subshell").out
    assert ok(front, "%man nosuchpage").ok


def test_connect_info_has_no_key(front: Asked) -> None:
    out = ok(front, "%connect_info").out
    assert '"shell_port": 5' in out and "--existing /run/user/1/kernel-77.json" in out
    assert '"key": ""' in out


@pytest.mark.parametrize("name", ["inline", "nbagg", "webagg", "notebook", "ipympl", "widget", "asyncio", ""])
def test_gui_names_without_a_loop_are_silent(front: Asked, name: str) -> None:
    result = ok(front, f"%gui {name}")
    assert result.out == result.err == ""


def test_unknown_gui_is_a_usage_error(front: Asked) -> None:
    result = front.run("%gui nosuch")
    assert "Invalid GUI request" in result.err + result.out
    result = front.run("get_ipython().enable_gui('nosuch')")
    assert not result.ok and "Invalid GUI request" in result.err


def test_gui_without_a_display_is_refused(front: Asked) -> None:
    ok(front, "import os; os.environ.pop('DISPLAY', None); os.environ.pop('WAYLAND_DISPLAY', None)")
    assert not front.run("get_ipython().enable_gui('wx')").ok
    assert ok(front, "get_ipython().kernel.eventloop").value is None


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_matplotlib_inline(front: Asked) -> None:
    result = ok(front, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('text')")
    kinds = [name for name, _ in result.frames]
    assert result.displays()[-1][1]["image/png"].startswith("iVBOR")
    assert kinds.index("TEXT") < len(kinds) - 1 - kinds[::-1].index("DISPLAY")
    result = ok(front, "plt.plot([1]); plt.show(); print('after')")
    kinds = [name for name, _ in result.frames]
    assert kinds.index("DISPLAY") < kinds.index("TEXT")
    ok(front, "%matplotlib inline")
    ok(front, "%config InlineBackend.figure_formats = ['svg', 'retina']")
    data = ok(front, "plt.plot([1]);").displays()[0][1]
    assert {"image/svg+xml", "image/png"} <= set(data)
    ok(front, "%config InlineBackend.figure_formats = ['png']")


# History


def test_history_of_this_session(front: Asked) -> None:
    line = ok(front, "marked_one = 1").reply["count"]
    assert f"{line}: marked_one = 1" in ok(front, f"%history -n {line}").out
    assert all(question["hist_access_type"] == "session" for question in front.asked), "its cells are in memory"
    assert ok(front, "_i").value == repr(f"%history -n {line}")
    assert ok(front, "In[-2]").value == "'_i'"


def test_history_of_older_sessions_is_asked(front: Asked) -> None:
    front.rows = {
        "session": [[9, 0, ""]],
        "search": [[3, 1, "old = 1"], [5, 2, "older = 2"]],
        "tail": [[8, 1, "from_tail = 1"], [8, 2, "from_tail = 2"]],
        "range": [[8, 4, "ranged = 'yes'"]],
    }
    result = ok(front, "%history -g old*")
    assert "3/1: old = 1" in result.out and "5/2: older = 2" in result.out
    assert front.asked[0] == {
        "hist_access_type": "search",
        "pattern": "*old**",
        "raw": True,
        "output": False,
        "unique": False,
    }
    assert "%history -g old*" in result.out, "the running cell is part of the history"
    assert ok(front, "%history ~1/4").out == "ranged = 'yes'\n"
    assert front.asked[0]["session"] == -1 and front.asked[0]["start"] == 4
    assert ok(front, "%history -o 8/4").out == "ranged = 'yes'\n"
    ok(front, "%rerun ~1/4")
    assert ok(front, "ranged").value == "'yes'"
    assert payload(ok(front, "%recall 8/4"))[0]["text"] == "ranged = 'yes'"
    rows = ok(front, "get_ipython().history_manager.get_tail(2)").value
    assert rows == "[(8, 1, 'from_tail = 1'), (8, 2, 'from_tail = 2')]"
    rows = ok(front, "list(get_ipython().history_manager.get_tail(2, include_latest=True, output=True))").value
    assert rows is not None and "9," in rows and rows.startswith("[(8, 2, ('from_tail = 2', None)),")
    front.rows = {}


def test_history_writes_nothing(front: Asked) -> None:
    ok(front, "hm = get_ipython().history_manager; hm.writeout_cache(); hm.end_session()")
    assert (
        ok(
            front,
            "hm.save_thread is None and not any('History' in t.name for t in __import__('threading').enumerate())",
        ).value
        == "True"
    )
    assert ok(front, "len(hm.db_input_cache)").value == "0"
    assert ok(front, "hm.get_session_info()[0]").value is not None


def test_reset_forgets_inputs(front: Asked) -> None:
    ok(front, "before_reset = 1")
    ok(front, "%reset -f")
    assert front.run("before_reset").ename == "NameError"
    ok(front, "get_ipython().reset(new_session=True)")
    assert ok(front, "len(In) < 3").value == "True"
