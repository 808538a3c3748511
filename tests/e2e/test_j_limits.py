# SPDX-License-Identifier: Apache-2.0
"""Limits and verdicts as specs/limits.md has them, of kernels without a sandbox: those of a profile of level "none", and those that a
request's metadata asks for. What needs a sandbox is in tests/hostile."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from husk import Client, Kernel, descendants, wait_until
from limited import KILLED, StartLimited, assert_ended, connect, husk, run, send

pytestmark = pytest.mark.husk

SWALLOW = """
import time
until = time.monotonic() + {seconds}
while time.monotonic() < until:
    try:
        while time.monotonic() < until: pass
    except BaseException: pass
"""


@pytest.fixture
def client(kernel: Kernel) -> Client:
    """A client of `kernel`."""
    return connect(kernel)


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_every_reply_has_valid_metadata(client: Client) -> None:
    assert husk(client.execute("x = 1").ok())["verdict"] == "ok"
    assert husk(client.execute("1/0"))["verdict"] == "error"
    assert husk(client.execute("", silent=True).ok())["verdict"] == "ok"
    assert husk(client.request("execute_request", {}))["verdict"] == "error"  # no code
    assert husk(client.request("execute_request", 5))["verdict"] == "error"
    refused = client.request("execute_request", {"code": "1"}, header={"subshell_id": "nobody"})
    assert husk(refused)["verdict"] == "error"
    failing = client.send_code("import time; time.sleep(0.2); 1/0")
    queued = client.send_code("1")
    client.finish(failing)
    aborted = client.finish(queued)
    assert aborted.status == "aborted"
    assert husk(aborted)["verdict"] == "aborted"


def test_usage_is_measured(client: Client) -> None:
    client.execute("import time, os").ok()
    idle = husk(client.execute("time.sleep(0.2)").ok())["usage"]
    assert idle["wall_usec"] >= 200_000
    busy = husk(client.execute("until = time.process_time() + 0.2\nwhile time.process_time() < until: pass").ok())[
        "usage"
    ]
    assert busy["cpu_user_usec"] + busy["cpu_system_usec"] >= 190_000
    assert idle["cpu_user_usec"] + idle["cpu_system_usec"] < busy["cpu_user_usec"] + busy["cpu_system_usec"]
    big = husk(client.execute("keep = b'x' * (64 << 20)").ok())["usage"]
    assert big["memory_bytes"] > busy["memory_bytes"] + (50 << 20)
    assert big["memory_peak_bytes"] >= big["memory_bytes"]
    assert husk(
        client.execute("import threading; e = threading.Event(); t = threading.Thread(target=e.wait); t.start()")
    )
    threads = husk(client.execute("sum(range(10**5))").ok())["usage"]
    assert threads["processes"] >= 1
    client.execute("e.set(); t.join()").ok()
    output = husk(client.execute("print('x' * 999)").ok())["usage"]
    assert (output["output_bytes"], output["output_messages"]) == (1000, 1)


def test_memory_counts_all_processes_where_it_is_limited(start_limited: StartLimited) -> None:
    client = connect(start_limited(memory="1 GiB"))
    client.execute("1").ok()
    before = husk(client.execute("1").ok())["usage"]
    client.execute("import subprocess, sys").ok()
    code = "import sys; x = b'x' * (50 << 20); print(1, flush=True); sys.stdin.read()"
    client.execute(
        f"p = subprocess.Popen([sys.executable, '-c', {code!r}], stdin=-1, stdout=-1); p.stdout.readline()"
    ).ok()
    after = husk(client.execute("1").ok())["usage"]
    assert after["memory_bytes"] > before["memory_bytes"] + (40 << 20)
    assert after["processes"] > before["processes"]
    client.execute("p.communicate()").ok()


def test_limits_in_force_are_told(start_limited: StartLimited) -> None:
    client = connect(start_limited(wall="60 s", cpu="none", memory="none"))
    limits = husk(client.execute("1").ok())["limits"]
    assert limits["wall"] == 60_000_000
    assert limits["output"] == 16 << 20
    assert not {"cpu", "memory"} & set(limits)
    assert husk(run(client, "1", wall="10 s").ok())["limits"]["wall"] == 10_000_000
    assert husk(run(client, "1", wall=10_000_000).ok())["limits"]["wall"] == 10_000_000
    assert husk(client.execute("1").ok())["limits"]["wall"] == 60_000_000


@pytest.mark.parametrize(
    ("limits", "parts"),
    [
        ({"wall": "61 s"}, ("wall", "61 s", "60 s")),
        ({"wall": "none"}, ("wall", "none", "60 s")),
        ({"wall": "5"}, ("wall", '"5"')),
        ({"wall": "5 MiB"}, ("wall", "5 MiB")),
        ({"wall": 1}, ("wall", "10000")),
        ({"wall": True}, ("wall",)),
        ({"grace": "1 s"}, ("grace", "kernel")),
        ({"nix": 1}, ("nix", "wall, cpu, memory, output")),
        ({"wall": "1 s", "memory": "100 GiB"}, ("memory", "100 GiB", "1 GiB")),
        ([], ("object",)),
    ],
)
def test_limits_that_cannot_be_had_are_refused(
    start_limited: StartLimited, limits: Any, parts: tuple[str, ...]
) -> None:
    client = connect(start_limited(wall="60 s", memory="1 GiB"))
    turn = run(client, "ran = True", husk={"limits": limits}).failed("InvalidRequest")
    assert husk(turn)["verdict"] == "error"
    for part in parts:
        assert part in turn.content["evalue"]
    client.execute("ran").failed("NameError")


def test_a_refused_cell_stops_what_is_queued_behind_it(start_limited: StartLimited) -> None:
    client = connect(start_limited(wall="60 s"))
    for more, status in (({}, "aborted"), ({"stop_on_error": False}, "ok"), ({"silent": True}, "ok")):
        first = client.send_code("time.sleep(0.3)")
        refused = send(client, "1", {"wall": "61 s"}, **more)
        behind = client.send_code("2")
        client.finish(first).ok()
        client.finish(refused).failed("InvalidRequest")
        assert client.finish(behind).status == status


HOLDS_UP = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(1000)",
    "swallow": "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    "library": "import queue; queue.Queue().get()",
}


def hold_up(client: Client, how: str) -> None:
    """A task of an earlier cell does not give the event loop back."""
    client.execute("import asyncio; kept = 5").ok()
    client.execute(f"async def hold():\n    print('held')\n    {how}\ntask = asyncio.create_task(hold())").ok()
    client.wait(lambda m: m.type == "stream" and "held" in m.content["text"], "the task")


@pytest.mark.parametrize("how", HOLDS_UP.values(), ids=HOLDS_UP)
def test_a_task_that_holds_up_the_next_turn(client: Client, how: str) -> None:
    """It gets the exception, the turn too, and the variables are kept."""
    hold_up(client, how)
    assert_ended(run(client, "1", wall="300 ms"), "WallTimeLimitExceeded", "wall_limit")
    assert client.execute("kept, task.done()").ok().result == "(5, True)"


def test_an_interrupt_of_a_turn_that_is_held_up(client: Client) -> None:
    hold_up(client, HOLDS_UP["loop"])
    turn = client.send_code("1")
    client.wait(lambda m: m.type == "execute_input" and m.parent_id == turn, "the turn")
    client.request("interrupt_request", {}, channel="control")
    value = husk(client.finish(turn).failed("KeyboardInterrupt"))
    assert (value["verdict"], value["state"]) == ("interrupted", "kept")
    assert client.execute("kept").ok().result == "5"


# --- wall time --------------------------------------------------------------------------------------------------------


def test_wall_time_keeps_the_variables(client: Client) -> None:
    client.execute("kept = 5").ok()
    turn = assert_ended(run(client, "while True: pass", wall="200 ms"), "WallTimeLimitExceeded", "wall_limit")
    for part in ("wall time", "0.2 s", "limits.wall"):
        assert part in turn.content["evalue"]
    assert "while True: pass" in re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(turn.content["traceback"]))
    assert husk(turn)["usage"]["wall_usec"] >= 200_000
    assert client.execute("kept").ok().result == "5"


def test_the_exception_is_one_that_code_can_name_and_use(client: Client) -> None:
    code = "import husk_limits, time\ntry: time.sleep(30)\nexcept husk_limits.WallTimeLimitExceeded as e: print(e.what, e.limit)"
    turn = run(client, code, wall="200 ms")
    assert turn.stdout == "wall 0.2\n"
    assert_ended(turn, "WallTimeLimitExceeded", "wall_limit")


@pytest.mark.parametrize(
    "code",
    [
        "try: time.sleep(30)\nexcept BaseException: pass",
        SWALLOW.format(seconds=1),
        "class C:\n    def __del__(self):\n        while True: pass\nc = C(); del c",
        "import gc\ndef f(*_):\n    while True: pass\ngc.callbacks.append(f)\ntry: gc.collect()\nfinally: gc.callbacks.remove(f)",
    ],
    ids=["caught", "in a loop", "in __del__", "in a gc callback"],
)
def test_a_swallowed_exception_is_an_error_all_the_same(client: Client, code: str) -> None:
    client.execute("kept = 5").ok()
    turn = run(client, code, wall="200 ms")
    assert turn.status == "error"
    value = husk(turn)
    assert (value["verdict"], value["state"]) == ("wall_limit", "kept")
    assert client.execute("kept").ok().result == "5"


def test_a_callback_that_drops_each_exception_is_left_within_the_grace(start_limited: StartLimited) -> None:
    """It is called again and again while the cell is left, and while its error is shown."""
    client = connect(start_limited(grace="3 s"))
    code = "import gc\ndone = False\ndef f(*_):\n    while not done: pass\ngc.callbacks.append(f)\ngc.collect()"
    turn = run(client, code, wall="200 ms")
    assert (husk(turn)["verdict"], husk(turn)["state"]) == ("wall_limit", "kept")
    wait_until(lambda: run(client, "done = True", wall="200 ms").status == "ok", "a cell that runs")
    client.execute("gc.callbacks.clear()").ok()


def test_code_that_raises_something_else_has_its_own_name(client: Client) -> None:
    code = "try: time.sleep(30)\nexcept BaseException: raise ValueError('mine') from None"
    assert_ended(run(client, code, wall="200 ms"), "ValueError", "wall_limit")


@pytest.mark.kernel(expect_stderr=KILLED)
def test_what_cannot_be_unwound_is_killed_and_replaced(client: Client, kernel: Kernel) -> None:
    client.execute("gone = 5").ok()
    turn = assert_ended(run(client, "sum(range(10**12))", wall="200 ms"), "WallTimeLimitExceeded", "wall_limit", "lost")
    assert "variables are lost" in turn.content["evalue"]
    client.execute("gone").failed("NameError")
    assert kernel.exit_code() is None


def test_the_grace_is_the_profiles(start_limited: StartLimited) -> None:
    client = connect(start_limited(wall="20 s", grace="300 ms", expect_stderr=KILLED))
    client.execute("1").ok()
    turn = assert_ended(run(client, "sum(range(10**12))", wall="200 ms"), "WallTimeLimitExceeded", "wall_limit", "lost")
    assert 500_000 <= husk(turn)["usage"]["wall_usec"] < 5_000_000


def test_a_first_reason_counts(client: Client) -> None:
    msg_id = send(client, SWALLOW.format(seconds=1.5) + "print('x')", {"wall": "300 ms"})
    client.state(msg_id, "busy")
    turn = client.finish(msg_id)
    assert husk(turn)["verdict"] == "wall_limit"
    msg_id = client.send_code(
        "import time\nprint('started', flush=True)\ntime.sleep(60)", metadata={"husk": {"limits": {"wall": "30 s"}}}
    )
    client.stream(msg_id, "started")
    client.send("interrupt_request", {}, channel="control")
    assert husk(client.finish(msg_id).failed("KeyboardInterrupt"))["verdict"] == "interrupted"


def test_a_subshell_has_limits_too(client: Client) -> None:
    shell = client.request("create_subshell_request", {}, channel="control").content["subshell_id"]
    in_shell = {"subshell_id": shell}
    client.request("execute_request", {"code": "1"}, header=in_shell)
    msg_id = client.send(
        "execute_request",
        {"code": "while True: pass"},
        header=in_shell,
        metadata={"husk": {"limits": {"wall": "300 ms"}}},
    )
    assert_ended(client.finish(msg_id), "WallTimeLimitExceeded", "wall_limit")
    client.request("delete_subshell_request", {"subshell_id": shell}, channel="control")


@pytest.mark.kernel(expect_stderr=KILLED)
def test_another_cell_of_a_killed_worker_says_so(client: Client) -> None:
    shell = client.request("create_subshell_request", {}, channel="control").content["subshell_id"]
    beside = client.send(
        "execute_request",
        {"code": "print('started', flush=True)\nimport time\nwhile True: time.sleep(0.01)"},
        header={"subshell_id": shell},
    )
    client.stream(beside, "started")
    assert_ended(run(client, "sum(range(10**12))", wall="200 ms"), "WallTimeLimitExceeded", "wall_limit", "lost")
    assert_ended(client.finish(beside), "WorkerCrashed", "killed", "lost")


def test_queued_cells_are_aborted_or_run(client: Client) -> None:
    first = send(client, "import time\nprint('started', flush=True)\ntime.sleep(30)", {"wall": "500 ms"})
    client.stream(first, "started")
    queued = client.send_code("1")
    client.finish(first)
    assert husk(client.finish(queued))["verdict"] == "aborted"
    first = send(client, "print('started', flush=True)\ntime.sleep(30)", {"wall": "500 ms"}, stop_on_error=False)
    client.stream(first, "started")
    queued = client.send_code("2")
    client.finish(first)
    assert client.finish(queued).ok().result == "2"


def test_an_awaiting_cell_is_ended_too(client: Client) -> None:
    turn = run(client, "import asyncio\nawait asyncio.sleep(60)", wall="300 ms")
    assert turn.status == "error"
    assert husk(turn)["verdict"] == "wall_limit"


@pytest.mark.ipython
@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        ("get_ipython().events.register('post_run_cell', lambda result: spin())", "on = True"),
        ("get_ipython().events.register('pre_run_cell', lambda info: spin(info.raw_cell))", "'spin'"),
        ("get_ipython().input_transformers_post.append(lambda lines: spin(str(lines)) or lines)", "'spin'"),
        ("class Shown:\n    def _repr_html_(self): spin('spin')", "Shown()"),
    ],
    ids=["callback after", "callback before", "transformer", "formatter"],
)
def test_what_the_shell_runs_for_a_cell_is_part_of_it(client: Client, prepare: str, code: str) -> None:
    client.execute("on = False\ndef spin(why=''):\n    while on or 'spin' in why: pass").ok()
    client.execute(prepare).ok()
    turn = run(client, code, wall="500 ms")
    assert turn.status == "error"
    value = husk(turn)
    assert (value["verdict"], value["state"]) == ("wall_limit", "kept")


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_the_clock_stands_still_while_a_cell_waits_for_input(client: Client) -> None:
    msg_id = send(
        client, "import time\ninput('?')\ntime.sleep(0.1)\nprint('on')", {"wall": "1500 ms"}, allow_stdin=True
    )
    question = client.asked(msg_id)
    started = time.monotonic()
    wait_until(lambda: time.monotonic() > started + 2, "more than the limit")
    client.answer(question, "x")
    turn = client.finish(msg_id).ok()
    assert husk(turn)["usage"]["wall_usec"] < 1_500_000
    assert turn.stdout.endswith("on\n")


def test_waiting_for_input_has_a_limit_of_its_own(client: Client) -> None:
    msg_id = send(client, "input('?')", {"input": "1 s", "wall": "20 s"}, allow_stdin=True)
    client.asked(msg_id)
    turn = client.finish(msg_id)
    assert_ended(turn, "WallTimeLimitExceeded", "wall_limit")
    assert "waited for input" in turn.content["evalue"]


@pytest.mark.needs("debugpy")
@pytest.mark.ipython
@pytest.mark.bound(120)
def test_the_clock_stands_still_in_the_debugger(client: Client) -> None:
    def debug(seq: int, command: str, **arguments: Any) -> dict[str, Any]:
        content = {"type": "request", "seq": seq, "command": command, "arguments": arguments}
        return client.request("debug_request", content, channel="control", timeout=60).content

    code = "a = 1\nb = 2"
    debug(1, "initialize", clientID="t", adapterID="", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")
    assert debug(2, "attach")["success"] is True
    path = debug(3, "dumpCell", code=code)["body"]["sourcePath"]
    debug(4, "setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}], sourceModified=False)
    debug(5, "configurationDone")
    msg_id = send(client, code, {"wall": "5 s"})
    stopped = client.wait(lambda m: m.type == "debug_event" and m.content["event"] == "stopped", "a stop", 30)
    since = time.monotonic()
    wait_until(lambda: time.monotonic() > since + 5.5, "more than the limit")
    assert debug(6, "continue", threadId=stopped.content["body"]["threadId"])["success"] is True
    assert husk(client.finish(msg_id).ok())["usage"]["wall_usec"] < 5_000_000
    debug(7, "disconnect", restart=False, terminateDebuggee=True)


# --- CPU time ---------------------------------------------------------------------------------------------------------


def test_cpu_time_is_not_wall_time(client: Client) -> None:
    client.execute("import time").ok()
    assert run(client, "time.sleep(0.5); 1", cpu="300 ms").ok().result == "1"
    turn = assert_ended(run(client, "while True: pass", cpu="300 ms"), "CpuTimeLimitExceeded", "cpu_limit")
    assert "limits.cpu" in turn.content["evalue"]
    usage = husk(turn)["usage"]
    assert usage["cpu_user_usec"] + usage["cpu_system_usec"] >= 300_000


def test_cpu_time_of_children_and_threads_counts(client: Client) -> None:
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'while True: pass'])"
    assert_ended(run(client, code, cpu="500 ms"), "CpuTimeLimitExceeded", "cpu_limit")
    code = "import threading\ne = threading.Event()\ndef f():\n    while not e.is_set(): pass\nt = threading.Thread(target=f); t.start(); t.join()"
    assert_ended(run(client, code, cpu="300 ms"), "CpuTimeLimitExceeded", "cpu_limit")
    client.execute("e.set(); t.join()").ok()


def test_a_spent_total_refuses_turns_and_nothing_else(start_limited: StartLimited) -> None:
    kernel = start_limited(cpu_total="2 s")
    client = connect(kernel)
    client.execute("kept = 5").ok()
    turn = client.execute("while True: pass", timeout=60)
    assert_ended(turn, "CpuTimeLimitExceeded", "cpu_limit")
    assert "limits.cpu_total" in turn.content["evalue"]
    for _ in range(3):
        refused = client.execute("ran = 1")
        assert_ended(refused, "CpuTimeLimitExceeded", "cpu_limit")
    assert client.request("kernel_info_request").content["status"] == "ok"
    assert client.request("kernel_info_request", channel="control").content["status"] == "ok"
    matches = client.request("complete_request", {"code": "kep", "cursor_pos": 3}).content
    assert "kept" in matches.get("matches", ["kept"])  # or it took longer than its own limit
    assert client.request("interrupt_request", {}, channel="control").content["status"] == "ok"
    assert kernel.exit_code() is None


@pytest.mark.bound(120)
def test_work_between_turns_spends_the_total_and_is_ended(start_limited: StartLimited) -> None:
    stderr = ("CPU time is used up and its processes go on", "the worker was killed by signal 9")
    kernel = start_limited(cpu_total="2 s", grace="1 s", expect_stderr=stderr)
    client = kernel.connect()
    client.execute("import threading\ndef f():\n    while True: pass").ok()
    before = {p.pid for p in descendants(kernel.pid)}
    client.execute("threading.Thread(target=f, daemon=True).start()").ok()
    wait_until(lambda: not before & {p.pid for p in descendants(kernel.pid)}, "the end of the worker", 60)
    turn = client.execute("1")
    assert_ended(turn, "CpuTimeLimitExceeded", "cpu_limit", "lost")
    assert husk(client.execute("1"))["state"] == "kept"


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_error_of_the_quota_and_of_the_code(client: Client) -> None:
    client.execute("kept = 5").ok()
    turn = run(client, "x = bytearray(1 << 40)", memory="64 MiB")
    assert turn.failed("MemoryError")
    assert husk(client.execute("raise MemoryError('mine')").failed("MemoryError"))["verdict"] == "error"
    assert client.execute("kept").ok().result == "5"


def test_memory_of_the_shell_is_not_the_tenants(start_limited: StartLimited) -> None:
    client = start_limited(memory="48 MiB").connect()
    client.execute("1").ok()  # before there is a shell
    client.execute("import time, IPython\nlen(In)").ok()
    run(client, "b = bytearray(44 << 20)\ntime.sleep(0.5)").ok()  # looks are 0.1 s apart
    assert_ended(run(client, "c = bytearray(8 << 20)"), "MemoryError", "memory_limit")


def test_a_turn_that_has_made_room_is_left_alone(start_limited: StartLimited) -> None:
    client = connect(start_limited(grace="2 s"))
    client.execute("import mmap, time").ok()
    code = (
        "try:\n    m = mmap.mmap(-1, 400 << 20)\n    for i in range(0, 400 << 20, 4096): m[i] = 1\n    time.sleep(30)\n"
        "except MemoryError: m.close()\ntime.sleep(4)\nprint('went on')"
    )
    turn = run(client, code, memory="64 MiB")
    turn.ok()
    assert turn.stdout == "went on\n"
    assert (husk(turn)["verdict"], husk(turn)["state"]) == ("ok", "kept")
    assert_ended(run(client, code.replace("m.close()", "pass"), memory="64 MiB"), "MemoryError", "memory_limit")


def test_shared_memory_is_found_by_a_look(client: Client) -> None:
    client.execute("import mmap, time; kept = 5").ok()
    code = "m = mmap.mmap(-1, 400 << 20)\nfor i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(30)"
    assert_ended(run(client, code, memory="64 MiB"), "MemoryError", "memory_limit")
    client.execute("m.close()").ok()
    assert client.execute("kept").ok().result == "5"


# --- requests that are no turns ---------------------------------------------------------------------------------------


@pytest.mark.ipython
def test_services_have_a_time_of_their_own(start_limited: StartLimited) -> None:
    client = connect(start_limited(service="2 s", wall="60 s"))
    client.execute(
        "import time\nclass Slow:\n    def __dir__(self): time.sleep(60)\n    def __getattr__(self, name):\n        if on: time.sleep(60)\n        raise AttributeError(name)\non = False\ns = Slow(); kept = 5"
    ).ok()
    client.execute("get_ipython().Completer.use_jedi = False").ok()
    turn = client.request("complete_request", {"code": "s.", "cursor_pos": 2}, timeout=60)
    assert (turn.content["status"], turn.content["ename"]) == ("error", "WallTimeLimitExceeded")
    assert "limits.service" in turn.content["evalue"]
    assert turn.stderr == ""
    assert client.execute("kept").ok().result == "5"


def test_a_comm_message_has_the_time_of_a_turn(start_limited: StartLimited) -> None:
    client = connect(start_limited(wall="1 s", grace="2 s"))
    client.execute(
        "import time\nfrom comm import get_comm_manager\n"
        "get_comm_manager().register_target('slow', lambda comm, message: time.sleep(60))\nkept = 5"
    ).ok()
    opened = client.send("comm_open", {"comm_id": "a", "target_name": "slow", "data": {}})
    client.state(opened, "idle", 30)
    assert client.execute("kept").ok().result == "5"


# --- the end of a worker ----------------------------------------------------------------------------------------------


@pytest.mark.kernel(args=["--on-crash=respawn"], expect_stderr=("the worker (was killed by|ended with)",))
@pytest.mark.parametrize(
    ("code", "part"),
    [("import os; os._exit(3)", "exit code 3"), ("import os; os.kill(os.getpid(), 11)", "SIGSEGV")],
    ids=["exit", "signal"],
)
def test_a_worker_that_dies_by_itself_has_crashed(client: Client, code: str, part: str) -> None:
    turn = assert_ended(client.execute(code), "WorkerCrashed", "crashed", "lost")
    assert part in turn.content["evalue"]


@pytest.mark.kernel(args=["--on-crash=respawn"], expect_stderr=("the worker was killed by",))
def test_a_worker_that_dies_between_turns_is_told_by_the_next_reply(client: Client, kernel: Kernel) -> None:
    pid = int(client.execute("import os; x = 5; os.getpid()").ok().result or 0)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in {p.pid for p in descendants(kernel.pid)}, "the worker's end")
    value = husk(client.execute("1").ok())
    assert (value["verdict"], value["state"]) == ("ok", "lost")
    assert husk(client.execute("1").ok())["state"] == "kept"


def test_an_idle_kernel_is_not_woken(start_limited: StartLimited) -> None:
    kernel = start_limited(memory="1 GiB", cpu="60 s")
    client = kernel.connect()
    client.execute("1").ok()

    def switches() -> int:
        text = Path(f"/proc/{kernel.pid}/status").read_text()
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]

    def rests() -> bool:
        before = switches()
        since = time.monotonic()
        wait_until(lambda: time.monotonic() > since + 1, "a second")
        return switches() == before

    wait_until(rests, "a second without a wake-up", 20)
