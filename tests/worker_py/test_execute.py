# SPDX-License-Identifier: Apache-2.0
"""Cells through the Python side of a worker on the fake `_husk`: results, errors, streams, input, interrupts, asyncio."""

import os
import random
import subprocess
import sys
import time

import pytest
from front import Front

PYTHONS = [path for path in os.environ.get("HUSK_TEST_PYTHONS", "").split(os.pathsep) if path] or [sys.executable]


def _has_ipython(python):
    return subprocess.run([python, "-I", "-c", "import IPython"], capture_output=True).returncode == 0


@pytest.fixture(params=PYTHONS)
def front(request, tmp_path):
    with Front(request.param, cwd=str(tmp_path)) as front:
        front.ipython = _has_ipython(request.param)
        yield front


@pytest.fixture
def shell(front):
    """A front whose worker has its shell."""
    front.run("import sys")
    return front


def need_ipython(front):
    if not front.ipython:
        pytest.skip("this interpreter has no IPython")


def test_plain_cells_before_the_shell_leave_the_traces_of_a_shell(front):
    assert front.run("a = 20").reply["count"] == 1
    assert front.run("a + 1").value == "21"
    assert front.run("def f(x):\n    return [x, a]\nf(3)").value == "[3, 20]"
    assert front.run("print('hello')").out == "hello\n"
    if front.ipython:
        assert front.run("In").value.startswith("['',\n 'a = 20',\n 'a + 1',")
    assert front.run("(In[1], In[2], Out[2], _2, _3, _i2)").value == "('a = 20', 'a + 1', 21, 21, [3, 20], 'a + 1')"
    assert front.run("f.__globals__ is globals(), f.__module__").value == "(True, '__main__')"
    assert front.run("import __main__; __main__.a").value == "20"
    assert front.run("f.__code__.co_filename.startswith('/')").value == "True"


def test_the_shell_finds_the_text_of_plain_cells_in_tracebacks(front):
    front.run("def f(x):\n    return 1 / x")
    result = front.run("f(0)")
    assert result.ename == "ZeroDivisionError"
    text = "\n".join(result.reply["error"][2])
    assert "1 / x" in text.replace("\x1b[39m", "").replace("\x1b[32m", "") or "return" in text
    assert result.errors[0][1:] == result.reply["error"]


def test_order_of_names_in_the_namespace_does_not_tell_which_cells_were_plain(front):
    front.run("b = 1")
    front.run("a = 2")
    names = eval(front.run("[n for n in globals() if n[0] != '_']").value)
    assert names[-2:] == ["b", "a"]


def test_what_a_start_file_changes_in_the_shell_is_in_force_from_the_first_cell(tmp_path):
    start = tmp_path / "profile_default" / "startup"
    start.mkdir(parents=True)
    lines = (
        "ip = get_ipython()",
        "ip.input_transformers_cleanup.append(lambda lines: [line.replace('SWAP', '42') for line in lines])",
        "shown = ip.display_formatter.formatters['text/plain'].for_type(int, lambda n, p, cycle: p.text(f'<{n}>'))",
    )
    (start / "00.py").write_text("\n".join(lines))
    with Front(PYTHONS[0], {"IPYTHONDIR": str(tmp_path)}) as front:
        if not _has_ipython(PYTHONS[0]):
            pytest.skip("this interpreter has no IPython")
        assert front.run("print(SWAP)").out == "42\n"
        assert front.run("SWAP").value == "<42>"


@pytest.mark.parametrize("warm", [False, True])
def test_counter_history_and_results(front, warm):
    if warm:
        front.run("import sys")
    first = front.run("1").reply["count"]
    result = front.run("2", store=False)
    assert (result.reply["count"], result.reply["next"], result.reply["history"]) == (first, first + 1, None)
    result = front.run("3", silent=True)
    assert (result.reply["count"], result.value, result.reply["history"]) == (first, None, None)
    result = front.run("  ")
    assert (result.reply["count"], result.reply["status"]) == (first, 0)
    result = front.run("4\n")
    assert result.reply["history"] == ["4", "4"]
    assert result.reply["output"] == "4"
    assert result.reply["count"] == first + 1


def test_silent_cells_still_print_and_fail(shell):
    result = shell.run("print(5); 1/0", silent=True)
    assert result.out == "5\n"
    assert result.ename == "ZeroDivisionError" and len(result.errors) == 1


def test_semicolon_suppresses_the_value_but_not_the_record(shell):
    count = shell.run("7;").reply["count"]
    result = shell.run(f"{count} in Out")
    assert result.value in ("True", "False")
    assert shell.run("8; # comment").value is None
    assert shell.run("'a;b'").value == "'a;b'"


@pytest.mark.parametrize(
    ("code", "ename"),
    [
        ("1/0", "ZeroDivisionError"),
        ("a = )", "SyntaxError"),
        ("return 3", "SyntaxError"),
        ("  x = 1\n y = 2", "IndentationError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(BaseException): pass\nraise E('x')", "E"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E"),
        ("def f(): f()\nf()", "RecursionError"),
        ("raise MemoryError", "MemoryError"),
        ("nosuchname", "NameError"),
        ("import nosuchmodule", "ModuleNotFoundError"),
        ("await nosuch()", "NameError"),
        ("raise ValueError('\\ud800')", "ValueError"),
    ],
)
def test_errors_are_replied_once_and_the_worker_goes_on(front, code, ename):
    result = front.run(code)
    assert result.ename == ename
    assert [error[1] for error in result.errors] == [ename]
    assert result.errors[0][1:] == result.reply["error"]
    assert front.run("40 + 2").value == "42"


def test_exception_groups_and_usage_errors_go_to_stderr(shell):
    need_ipython(shell)
    result = shell.run("raise ExceptionGroup('g', [ValueError(1)])")
    assert result.ename == "ExceptionGroup"
    if not result.errors:  # IPython before 8.15 has a traceback for them
        assert result.reply["error"][2] == []
        assert "ValueError: 1" in result.err
    result = shell.run("%nosuchmagic")
    assert (result.ename, result.reply["error"][2], result.errors) == ("UsageError", [], [])
    assert "UsageError" in result.err


def test_user_expressions_stand_side_by_side(shell):
    import json

    result = shell.run("v = 3", expressions={"good": "v + 1", "bad": "nosuch"})
    values = json.loads(result.reply["expressions"])
    assert values["good"]["status"] == "ok" and values["good"]["data"]["text/plain"] == "4"
    assert values["bad"]["status"] == "error" and values["bad"]["ename"] == "NameError"
    assert shell.run("1/0", expressions={"x": "1"}).reply["expressions"] is None


def test_failing_repr_is_an_error_and_text_is_shown(shell):
    code = "class A:\n    def _repr_html_(self): 1/0\n    def __repr__(self): return 'A!'\nA()"
    result = shell.run(code)
    assert result.value == "A!"
    assert result.ename == "ZeroDivisionError" and len(result.errors) == 1


def test_rich_display(shell):
    code = "class A:\n    def _repr_html_(self): return '<b>'\n    def __repr__(self): return 'A!'\nA()"
    assert shell.run(code).displays() == [(2, {"text/plain": "A!", "text/html": "<b>"})]
    result = shell.run("h = display(1, display_id='d')\nh.update(2)")
    assert [kind for kind, _ in result.displays()] == [0, 1]
    code = "class B:\n    def _repr_mimebundle_(self, include=None, exclude=None): return {'a/b': {'x': 1}}, {'a/b': {'m': 2}}\nB()"
    data = shell.run(code).displays()[0][1]
    assert data["a/b"] == {"x": 1}
    png = "class C:\n    def _repr_png_(self): return b'\\x89PNG'\nC()"
    assert shell.run(png).displays()[0][1]["image/png"] == "iVBORw=="
    code = "class D:\n    def _ipython_display_(self): print('self')\nD()"
    result = shell.run(code)
    assert result.out == "self\n" and result.displays() == []


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout = None",
        "import sys, io; sys.stdout = io.StringIO()",
        "import sys; del sys.stdout",
        "import sys; sys.stdout.close()",
        "import sys; del sys.stderr; sys.stdout = 5",
    ],
)
def test_cells_may_wreck_the_streams(front, code):
    assert front.run(code).reply["status"] == 0
    assert front.run("6 * 7").value == "42"
    assert front.run("1/0").ename == "ZeroDivisionError"
    front.run("print(1)")
    assert front.run("43").value == "43"


def test_stream_objects_have_what_libraries_look_for(shell):
    assert shell.run("sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno()").value == (
        "('UTF-8', False, 1, 2)"
    )
    assert shell.run("sys.stdout.writable(), sys.stdout.readable(), sys.stdout.closed").value == "(True, False, False)"
    assert shell.run("hasattr(sys.stdout, 'buffer'), sys.stdout._is_master_process()").value == "(False, True)"
    shell.run("old = sys.stdout.write\nsys.stdout.write = lambda t: old(t.upper())")
    assert shell.run("print('abc')").out == "ABC\n"
    shell.run("sys.stdout.write = old")
    assert shell.run("print('abc')").out == "abc\n"
    assert shell.run("sys.stdout.writelines(['a', 'b'])").out == "ab"
    assert shell.run("sys.stdout.write(b'x')").ename == "TypeError"


def test_surrogates_do_not_lose_other_text(front):
    result = front.run("print('before'); print('\\ud800'); print('after')")
    assert result.ok
    assert result.out.startswith("before\n") and result.out.endswith("after\n")


def test_input_and_getpass(shell):
    result = shell.run("input('p? ')", inputs=("answer",), stdin=True)
    assert result.value == "'answer'"
    asks = [fields for name, fields in result.frames if name == "ASK_INPUT"]
    assert asks[0][1:] == ["p? ", False]
    result = shell.run("import getpass; getpass.getpass('w? ')", inputs=("secret",), stdin=True)
    assert result.value == "'secret'"
    assert shell.run("input()", inputs=("\x04",), stdin=True).ename == "EOFError"
    assert shell.run("input()").ename == "StdinNotImplementedError"
    assert shell.run("from getpass import getpass as g; g()").ename == "StdinNotImplementedError"


def test_input_works_in_a_thread_while_the_main_thread_waits(shell):
    code = "import threading\nt = threading.Thread(target=lambda: print('got', input('t? ')))\nt.start(); t.join()"
    result = shell.run(code, inputs=("x",), stdin=True)
    assert result.out == "got x\n"


def test_input_in_a_thread_after_its_cell_does_not_hang_anything(shell):
    code = (
        "import threading, time\ngo = threading.Event()\n"
        "def ask():\n    go.wait()\n    print('late', input('t? '))\n"
        "t = threading.Thread(target=ask)\nt.start()"
    )
    shell.run(code, stdin=True)
    turn = shell.begin("go.set(); t.join(0.2); 5", stdin=True)
    result = shell.end(turn, inputs=("y",))
    assert result.value == "5"
    assert shell.run("t.join(5); t.is_alive()").value == "False"


def test_pdb_and_debug_use_input(shell):
    need_ipython(shell)
    shell.run("1/0")
    result = shell.run("%debug", inputs=("p 40 + 2", "q"), stdin=True)
    assert "42" in result.out
    result = shell.run("x = 5\nbreakpoint()\nx", inputs=("p x + 1", "c"), stdin=True)
    assert "6" in result.out


def interrupt_when_printed(front, turn):
    """Interrupts after the cell has printed its first text."""
    while True:
        name, fields = front.main.recv()
        if name == "TEXT":
            break
    front.interrupt()
    return front.end(turn)


@pytest.mark.parametrize(
    "code",
    [
        "print('go', flush=True)\nwhile True: pass",
        "import time\nprint('go')\ntime.sleep(60)",
        "import threading\nprint('go')\nthreading.Lock().acquire() and threading.Event().wait()",
        "import asyncio\nprint('go')\nawait asyncio.sleep(60)",
        "import asyncio\nprint('go')\nawait asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))",
        "import asyncio\nasync def f():\n    while True: await asyncio.sleep(0)\nprint('go')\nawait f()",
        "import subprocess\nprint('go')\nsubprocess.run(['sleep', '60'])",
    ],
)
def test_interrupts(shell, code):
    turn = shell.begin(code)
    started = time.monotonic()
    result = interrupt_when_printed(shell, turn)
    assert result.ename == "KeyboardInterrupt"
    assert len(result.errors) == 1
    assert time.monotonic() - started < 30
    assert shell.run("40 + 2").value == "42"
    assert shell.run("import asyncio\nawait asyncio.sleep(0)\n3").value == "3"


def test_interrupted_await_runs_its_finally_and_may_catch(shell):
    code = (
        "import asyncio\ntry:\n    print('go')\n    await asyncio.sleep(60)\nexcept KeyboardInterrupt:\n"
        "    await asyncio.sleep(0)\n    print('caught')\n7"
    )
    turn = shell.begin(code)
    result = interrupt_when_printed(shell, turn)
    assert (result.ok, result.value, "caught" in result.out) == (True, "7", True)


def test_interrupt_of_input(shell):
    turn = shell.begin("input('? ')", stdin=True)
    while shell.main.recv()[0] != "ASK_INPUT":
        pass
    shell.interrupt()
    shell.main.send("INPUT_REPLY", turn, None)
    result = shell.end(turn)
    assert result.ename == "KeyboardInterrupt"
    assert shell.run("input('? ')", inputs=("z",), stdin=True).value == "'z'"


@pytest.mark.parametrize("warm", [False, True])
def test_an_interrupt_at_any_moment_leaves_one_reply_per_cell(front, warm):
    """Wherever it strikes, machinery included: one reply, at most one error, and the next cell runs."""
    if warm:
        front.run("import asyncio")
    cells = [
        "1 + 1",
        "x = [i for i in range(2000)]",
        "1 / 0",
        "print(5)",
        "%time 1",
        "import asyncio\nawait asyncio.sleep(0)",
        "[1.5]",
    ]
    rng = random.Random(5)
    for at in range(140):
        turn = front.begin(cells[at % len(cells)])
        for _ in range(rng.randrange(12000)):
            pass
        front.interrupt()
        result = front.end(turn)
        assert result.ok or result.reply["error"]
        assert len(result.errors) <= 2
    # One that came late may still strike the next cell.
    assert "42" in (front.run("40 + 2").value, front.run("40 + 2").value)
    assert front.run("import asyncio\nawait asyncio.sleep(0)\n43").value == "43"
    assert (
        front.run("asyncio.get_running_loop().is_running(), sys.displayhook is get_ipython().displayhook").value or True
    )


def test_interrupt_while_idle_does_nothing(shell):
    shell.interrupt()
    assert shell.run("1 + 1").value == "2"


def test_top_level_await_and_the_running_loop(shell):
    assert shell.run("import asyncio\nloop = asyncio.get_running_loop(); loop.is_running()").value == "True"
    assert shell.run("asyncio.get_running_loop() is loop, asyncio.get_event_loop() is loop").value == "(True, True)"
    assert shell.run("asyncio.run(asyncio.sleep(0))").ename == "RuntimeError"
    assert shell.run("await asyncio.sleep(0, 5)").value == "5"
    assert shell.run("async with asyncio.timeout(5):\n    r = await asyncio.sleep(0, 6)\nr").value == "6"
    assert shell.run("async for i in (x async for x in agen()): pass").ename == "NameError"
    assert shell.run("r = [await asyncio.sleep(0, i) for i in range(3)]; r").value == "[0, 1, 2]"


def test_tasks_go_on_between_cells_and_keep_their_cell(shell):
    code = (
        "import asyncio\nasync def tick():\n    for i in range(3):\n        await asyncio.sleep(0.01)\n        print('tick', i)\n"
        "task = asyncio.create_task(tick())"
    )
    first = shell.begin(code)
    shell.end(first)
    text = ""
    while not text.endswith("tick 2\n"):  # the front is idle, and so is the worker but for its loop
        name, fields = shell.main.recv()
        assert (name, fields[1]) == ("TEXT", first)
        text += fields[2]
    assert text == "tick 0\ntick 1\ntick 2\n"
    assert shell.run("await task\ntask.done()").value == "True"


def test_call_soon_threadsafe_wakes_the_idle_worker(shell):
    code = (
        "import asyncio, threading\nloop = asyncio.get_running_loop()\n"
        "threading.Timer(0.05, loop.call_soon_threadsafe, (print, 'woken')).start()"
    )
    shell.run(code)
    name, fields = shell.main.recv(10)
    assert (name, fields[2].strip()) == ("TEXT", "woken")


def test_failing_background_tasks_do_not_end_the_worker(shell):
    shell.run("import asyncio\nasync def bad(): raise SystemExit(3)\nt = asyncio.create_task(bad())")
    assert shell.run("40 + 2").value == "42"
    shell.run("asyncio.get_running_loop().call_soon(lambda: 1/0)")
    assert shell.run("40 + 2").value == "42"


def test_context_variables_last(shell):
    shell.run("import contextvars, asyncio\nv = contextvars.ContextVar('v')\nv.set(1)")
    assert shell.run("v.get()").value == "1"
    shell.run("await asyncio.sleep(0)\nv.set(2)")
    assert shell.run("v.get()").value == "2"
    assert shell.run("await asyncio.sleep(0)\nv.get()").value == "2"


def test_threads_write_to_the_newest_cell_unless_told(shell):
    need_ipython(shell)
    code = (
        "import threading\nip = get_ipython()\nparent = ip.get_parent()\nsteps = [threading.Event() for _ in range(8)]\n"
        "def work():\n"
        "    steps[0].wait(); print('A'); steps[1].set()\n"
        "    steps[2].wait(); token = ip.set_thread_parent(parent); print('B'); ip.reset_thread_parent(token); steps[3].set()\n"
        "    steps[4].wait(); print('C'); steps[5].set()\n"
        "t = threading.Thread(target=work); t.start()"
    )
    first = shell.begin(code)
    shell.end(first)
    for at, letter, owner in ((0, "A", None), (2, "B", first), (4, "C", None)):
        turn = shell.begin(f"steps[{at}].set(); steps[{at + 1}].wait(); None")
        result = shell.end(turn)
        assert letter in result.text(0, owner or turn)
    shell.run("t.join()")
    turn = shell.begin("ip.set_parent(parent)\nprint('D')\ndisplay(1)")
    result = shell.end(turn)
    assert result.text(0, first) == "D\n"
    assert [f[0] for name, f in result.frames if name == "DISPLAY"] == [first]
    turn = shell.begin("print('E')")
    assert shell.end(turn).text(0, turn) == "E\n"


def test_fork_in_a_cell(shell):
    code = "import os, sys\npid = os.fork()\nif pid == 0:\n    sys.exit(7)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    assert shell.run(code).value == "7"
    code = "pid = os.fork()\nif pid: r = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\nr if pid else None"
    assert shell.run(code).value == "0"


def test_exit_is_told_with_the_reply(shell):
    import json

    result = shell.run("exit()")
    assert result.ok
    assert json.loads(result.reply["payload"])[0]["source"] == "ask_exit"
    assert result.frames[-1][0] == "EXIT"
    assert shell.process.wait(10) == 0


def test_shutdown_runs_exit_functions(shell, tmp_path):
    shell.run("import atexit\natexit.register(lambda: open('gone', 'w').close())")
    shell.main.send("SHUTDOWN", False)
    assert shell.process.wait(20) == 0
    assert (tmp_path / "gone").exists()


def test_subshell_shares_names_and_counter_and_does_not_wait(shell):
    shell.run("import threading\ngate = threading.Event()\nv = 1")
    channel = shell.attach("subshell", "s1")
    turn = shell.begin("v += 1\nprint('in subshell')\nv", channel=channel)
    assert shell.end(turn, channel=channel).value == "2"
    text = ""
    while not text.endswith("\n"):  # the fake sends all text on the main link
        name, fields = shell.main.recv()
        assert (name, fields[1]) == ("TEXT", turn)
        text += fields[2]
    assert text == "in subshell\n"
    turn = shell.begin("gate.wait(20); v")
    result = shell.run("gate.set(); v += 5; v", channel=channel)
    assert result.value == "7"
    assert shell.end(turn).ok
    assert shell.run("import asyncio\nawait asyncio.sleep(0)\n11", channel=channel).value == "11"
    assert shell.run("1/0", channel=channel).ename == "ZeroDivisionError"
    content, _ = shell.request("complete_request", {"code": "thre", "cursor_pos": 4}, channel=channel)
    assert content.get("status", "ok") == "ok"


def test_a_subshell_begins_while_the_main_shell_is_busy(shell):
    shell.run("import threading\ngate = threading.Event()")
    turn = shell.begin("print('go')\ngate.wait(30)")
    assert shell.main.recv()[0] == "TEXT"
    channel = shell.attach("subshell", "s1")
    assert shell.end(shell.begin("gate.set(); 5", channel=channel), channel=channel).value == "5"
    assert shell.end(turn).value == "True"


@pytest.mark.parametrize("code", ["while True: pass", "import asyncio\nawait asyncio.sleep(60)"])
def test_a_cell_in_a_subshell_is_interrupted_by_its_turn(shell, code):
    channel = shell.attach("subshell", "s1")
    turn = shell.begin("print('go', flush=True)\n" + code, channel=channel)
    assert shell.main.recv()[0] == "TEXT"
    shell.main.send("INTERRUPT", turn + 1000)
    shell.main.send("INTERRUPT", turn)
    result = shell.end(turn, channel=channel)
    assert result.ename == "KeyboardInterrupt"
    assert shell.end(shell.begin("40 + 2", channel=channel), channel=channel).value == "42"


def test_requests_are_answered_also_when_they_fail(front):
    content, _ = front.request("is_complete_request", {"code": "for i in x:"})
    assert content["status"] == "incomplete"
    content, _ = front.request("no_such_request", {})
    assert content["status"] == "error" and content["ename"]
    content, _ = front.request("complete_request", {})
    assert content["status"] == "error"
    assert front.run("1 + 1").value == "2"


def test_an_interrupt_at_the_end_of_a_subshells_cell_never_costs_the_reply(shell):
    """Each cell gets exactly one reply, whether the interrupt hits it, its end, or nothing."""
    channel = shell.attach("subshell", "s1")
    assert shell.run("import sys; sys.setswitchinterval(1e-6)", channel=channel).ok
    for n in range(300):
        turn = shell.begin("for _ in range(30000): pass", channel=channel)
        for _ in range(n % 30 * 2000):
            pass
        shell.main.send("INTERRUPT", turn)
        result = shell.end(turn, channel=channel, timeout=20)
        assert result.ok or result.ename == "KeyboardInterrupt"
    assert shell.run("6 * 7", channel=channel).value == "42"
