# SPDX-License-Identifier: Apache-2.0
"""Limits and verdicts as specs/limits.md has them, of kernels without a sandbox: those of a profile of level "none", and those that a
request's metadata asks for. What needs a sandbox is in tests/hostile."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from husk import Client, Kernel, Turn, descendants, megabytes, memory, wait_until

jsonschema = pytest.importorskip("jsonschema")

pytestmark = pytest.mark.husk

KILLED = (r"did not (end|free memory) within \d+ ms, killing the worker", "the worker was killed by signal 9")
SWALLOW = """
import time
until = time.monotonic() + {seconds}
while time.monotonic() < until:
    try:
        while time.monotonic() < until: pass
    except BaseException: pass
"""


@functools.cache
def schema() -> Any:
    """The schema of specs/limits.md 2."""
    text = Path(__file__).parents[2].joinpath("specs", "limits.md").read_text()
    found = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert found
    validator = jsonschema.Draft202012Validator
    validator.check_schema(json.loads(found[1]))
    return validator(json.loads(found[1]))


def husk(turn: Turn) -> dict[str, Any]:
    """metadata.husk of a turn, valid."""
    value = turn.reply.metadata["husk"]
    schema().validate(value)
    return value


def assert_ended(turn: Turn, ename: str, verdict: str, state: str = "kept") -> Turn:
    """The turn has that error, that verdict and that state; iopub has the error too."""
    turn.failed(ename)
    value = husk(turn)
    assert (value["verdict"], value["state"]) == (verdict, state), value
    assert turn.error is not None
    assert turn.error["ename"] == ename
    return turn


def run(client: Client, code: str, *, timeout: float = 30, husk: Any = None, **limits: Any) -> Turn:
    """A cell with limits of its own."""
    return client.execute(code, metadata={"husk": husk or {"limits": limits}}, timeout=timeout)


def send(client: Client, code: str, limits: dict[str, Any], **more: Any) -> str:
    return client.send_code(code, metadata={"husk": {"limits": limits}}, **more)


StartLimited = Callable[..., Kernel]


def connect(kernel: Kernel) -> Client:
    """A client of a kernel that has its shell already: its making would be the first cell's time."""
    client = kernel.connect()
    client.execute("%time 1")
    client.execute("import time").ok()
    return client


@pytest.fixture
def client(kernel: Kernel) -> Client:
    """A client of `kernel`."""
    return connect(kernel)


@pytest.fixture
def start_limited(start_kernel: Callable[..., Kernel], tmp_path: Path) -> StartLimited:
    """Starts kernels of level "none" with these limits."""

    def start(*, expect_stderr: Any = (), on_output: str = "truncate", **limits: str) -> Kernel:
        values = "\n".join(f'\t{name} = "{value}";' for name, value in limits.items())
        file = tmp_path / "limited.conf"
        file.write_text(
            'sandbox = { level = "none"; minimum = "none"; };\nnetwork = { policy = "host"; };\n'
            f'on_output = "{on_output}";\nlimits = {{\n{values}\n}};\n'
        )
        return start_kernel(args=["--profile", str(file)], expect_stderr=expect_stderr)

    return start


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
        ({"nix": 1}, ("nix",)),
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


def test_shared_memory_is_found_by_a_look(client: Client) -> None:
    client.execute("import mmap, time; kept = 5").ok()
    code = "m = mmap.mmap(-1, 400 << 20)\nfor i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(30)"
    assert_ended(run(client, code, memory="64 MiB"), "MemoryError", "memory_limit")
    client.execute("m.close()").ok()
    assert client.execute("kept").ok().result == "5"


# --- output -----------------------------------------------------------------------------------------------------------


def test_a_finite_flood_ends_as_it_would_have(client: Client) -> None:
    turn = run(client, "for i in range(10000): print(i)", output="8 KiB").ok()
    value = husk(turn)
    assert (value["verdict"], value["truncated"]) == ("ok", True)
    assert value["usage"]["output_bytes"] == 48890
    whole = "".join(f"{i}\n" for i in range(10000))
    assert len(turn.stdout) <= 8192
    assert turn.stdout.startswith(whole[:6144])
    assert whole.endswith(turn.stdout[6144:])
    assert turn.stderr.count("[husk:") == 1
    assert f"{48890 - len(turn.stdout)} bytes of text" in turn.stderr
    assert turn.types == ["busy", "execute_input", "stdout", "stderr", "stdout", "idle"]
    assert husk(client.execute("print(1)").ok())["truncated"] is False


def test_results_and_errors_come_after_the_end_of_the_text(client: Client) -> None:
    client.execute("1").ok()
    turn = run(client, "print('x' * 30000)\n7", output="8 KiB").ok()
    assert turn.result == "7"
    assert turn.types == ["busy", "execute_input", "stdout", "stderr", "stdout", "execute_result", "idle"]
    turn = run(client, "print('x' * 30000)\n1/0", output="8 KiB").failed("ZeroDivisionError")
    assert turn.types == ["busy", "execute_input", "stdout", "stderr", "stdout", "error", "idle"]
    assert husk(turn)["verdict"] == "error"


def test_messages_are_counted_over_all_channels(client: Client) -> None:
    client.execute("from IPython.display import display, clear_output").ok()
    turn = run(client, "for i in range(50): display(i); clear_output()", output_messages=16).ok()
    value = husk(turn)
    assert value["truncated"] is True
    assert value["usage"]["output_messages"] == 100
    assert len(turn.of("display_data", "clear_output")) <= 16
    assert "messages left out" in turn.stderr


@pytest.mark.parametrize(
    "code",
    [
        "while True: print('x' * 100)",
        "while True: display('x' * 100)",
        "import subprocess\nsubprocess.run(['yes'])",
        "import os\nwhile True: os.write(1, b'x' * 1000)",
    ],
    ids=["print", "display", "child", "descriptor"],
)
def test_an_endless_flood_is_ended(client: Client, code: str) -> None:
    client.execute("from IPython.display import display; kept = 5").ok()
    turn = assert_ended(run(client, code, output="64 KiB"), "OutputLimitExceeded", "output_limit")
    assert husk(turn)["truncated"] is True
    assert sum(len(m.frames[-1]) for m in turn.iopub) < 200_000
    assert client.execute("kept").ok().result == "5"


@pytest.mark.kernel(expect_stderr=KILLED)
@pytest.mark.bound(120)
def test_a_flood_with_every_signal_masked_is_ended(client: Client) -> None:
    code = """
import ctypes, os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
libc = ctypes.PyDLL(None)
text = b"x" * 4096
list(map(lambda n: libc.write(1, text, 4096), iter(int, 1)))
"""
    client.execute("import threading").ok()
    turn = run(client, code, output="64 KiB", timeout=60)
    assert turn.status == "error"
    assert husk(turn)["verdict"] == "output_limit"
    assert client.execute("1").ok().result == "1"


def test_a_profile_can_have_floods_interrupted(start_limited: StartLimited) -> None:
    client = connect(start_limited(output="64 KiB", on_output="interrupt"))
    client.execute("1").ok()
    turn = client.execute("print('x' * 70000)\nimport time; time.sleep(30)")
    assert_ended(turn, "OutputLimitExceeded", "output_limit")
    assert husk(client.execute("print('x' * 60000)").ok())["verdict"] == "ok"


def test_a_flood_between_turns_waits_for_the_next_one(start_limited: StartLimited) -> None:
    kernel = start_limited(output="64 KiB")
    client = kernel.connect()
    client.execute(
        "import threading, time\nend = threading.Event()\ndef f():\n    while not end.is_set(): print('x' * 1000)"
    ).ok()
    first = client.send_code("threading.Thread(target=f).start()")
    client.finish(first)
    client.wait(lambda m: m.type == "stream" and "between two cells" in m.content["text"], "the notice")
    turn = client.execute("end.set(); 5", timeout=60)
    assert turn.status in ("ok", "error")
    assert client.execute("6").ok().result == "6"


def test_a_spent_total_of_output(start_limited: StartLimited) -> None:
    client = connect(start_limited(output_total="1 MiB", output="none"))
    client.execute("kept = 5").ok()
    turn = assert_ended(client.execute("while True: print('x' * 1000)"), "OutputLimitExceeded", "output_limit")
    assert "limits.output_total" in turn.content["evalue"]
    assert len(turn.stdout) < (1 << 20) + (1 << 19)
    assert_ended(client.execute("1"), "OutputLimitExceeded", "output_limit")


def answer_all(client: Client, msg_id: str) -> Turn:
    """The turn, each of its questions answered."""
    start = 0
    while True:
        message = client.wait(
            lambda m: m.type == "input_request" or (m.parent_id == msg_id and m.channel == "shell"),
            "the end",
            30,
            start,
        )
        if message.type != "input_request":
            return client.finish(msg_id)
        start = message.number + 1
        client.answer(message, "x")


def questions(client: Client) -> int:
    return sum(m.type == "input_request" for m in client.log)


@pytest.mark.parametrize("code", ["while True: input('p' * 4000)", "while True: input('p')"], ids=["bytes", "messages"])
@pytest.mark.parametrize("on_output", ["truncate", "interrupt"])
def test_questions_without_end_are_ended(start_limited: StartLimited, code: str, on_output: str) -> None:
    client = connect(start_limited(output="64 KiB", output_messages="100", on_output=on_output))
    client.execute("kept = 5").ok()
    turn = answer_all(client, client.send_code(code, allow_stdin=True))
    assert_ended(turn, "OutputLimitExceeded", "output_limit")
    assert questions(client) <= (101 if on_output == "interrupt" else 801)
    assert client.execute("kept").ok().result == "5"


def test_a_question_after_the_limit_is_still_asked(client: Client) -> None:
    code = "print('x' * 30000)\nanswers = [input(str(n)) for n in range(5)]\nlen(answers)"
    turn = answer_all(client, send(client, code, {"output": "8 KiB"}, allow_stdin=True)).ok()
    assert (turn.result, husk(turn)["truncated"]) == ("5", True)
    large = answer_all(
        client, send(client, "print('x' * 9000)\ninput('x' * 2049)", {"output": "8 KiB"}, allow_stdin=True)
    )
    large.failed("KeyboardInterrupt")


@pytest.mark.kernel(args=["--on-crash=respawn"], expect_stderr=(r"broke the (link's rules|rules of its link)", *KILLED))
def test_questions_that_nobody_waits_for_are_a_flood(client: Client) -> None:
    code = """
import os, struct
body = b"\\x93\\x01\\xa1?\\xc2"
flood = (struct.pack("<IBBHQ", len(body), 1, 72, 0, 0) + body) * 10000
while flood: flood = flood[os.write(3, flood):]
"""
    msg_id = send(client, code, {"output_messages": 16, "input": "1 s"}, allow_stdin=True)
    turn = client.finish(msg_id, timeout=30)
    assert husk(turn)["verdict"] in ("output_limit", "crashed", "wall_limit")
    assert questions(client) <= 16


@pytest.mark.parametrize("on_output", ["truncate", "interrupt"])
@pytest.mark.parametrize(
    "code",
    [
        "for _ in range(20): display({'text/plain': large}, raw=True)",
        "type('R', (), {'__repr__': lambda self: large})()",
        "display(Audio())",
        "comm.send({'large': large})",
    ],
    ids=["display", "result", "html", "comm"],
)
def test_a_message_above_the_limit_costs_no_variables(start_limited: StartLimited, code: str, on_output: str) -> None:
    client = connect(start_limited(output="64 KiB", on_output=on_output, grace="2 s"))
    client.execute(
        "from IPython.display import display\nfrom comm import create_comm\nlarge = 'x' * 40_000_000\nkept = 5\n"
        "comm = create_comm(target_name='t', data={})\n"
        "class Audio:\n    def _repr_html_(self): return large"
    ).ok()
    assert_ended(client.execute(code, timeout=30), "OutputLimitExceeded", "output_limit")
    assert client.execute("kept").ok().result == "5"
    assert memory(client.kernel.pid, "VmHWM") < megabytes(60)


def test_a_message_above_the_limit_is_left_out(start_limited: StartLimited) -> None:
    client = connect(start_limited(output="1 MiB"))
    client.execute("from IPython.display import display").ok()
    turn = client.execute("display({'text/plain': 'x' * 3_000_000}, raw=True)\nprint('after')").ok()
    value = husk(turn)
    assert (value["verdict"], value["truncated"], turn.of("display_data")) == ("ok", True, [])
    assert 2_990_000 < value["usage"]["output_bytes"] < 3_010_000
    assert value["usage"]["output_messages"] == 1
    assert "1 message left out" in turn.stderr
    assert turn.stdout == "after\n"
    assert husk(client.execute("print(1)").ok())["truncated"] is False


@pytest.mark.parametrize("n", [100_000, 3_000_000])
def test_values_in_the_reply_are_output(start_limited: StartLimited, n: int) -> None:
    ask = {"a": f"'x' * {n}", "b": "1"}
    client = connect(start_limited(output="64 KiB"))
    small = client.execute("1", user_expressions={"b": "1"}).ok()
    assert small.content["user_expressions"]["b"]["data"] == {"text/plain": "1"}
    turn = client.execute("kept = 5", user_expressions=ask)
    if turn.status == "ok":  # not 8 times the limit
        assert husk(turn)["truncated"] is True
        assert {v["ename"] for v in turn.content["user_expressions"].values()} == {"OutputLimitExceeded"}
        assert list(turn.content["user_expressions"]) == ["a", "b"]
    else:
        assert_ended(turn, "OutputLimitExceeded", "output_limit")
    assert (turn.status == "ok") == (n < 8 * 65536)
    assert len(turn.reply.frames[-1]) < 10_000
    assert client.execute("kept").ok().result == "5"
    strict = connect(start_limited(output="64 KiB", on_output="interrupt"))
    assert_ended(strict.execute("1", user_expressions=ask), "OutputLimitExceeded", "output_limit")


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("n", [100_000, 3_000_000])
def test_of_a_large_error_the_beginning_is_told(start_limited: StartLimited, n: int, silent: bool) -> None:
    client = connect(start_limited(output="64 KiB", on_output="truncate"))
    turn = client.execute(f"kept = 5\nraise ValueError('x' * {n})", silent=silent)
    value = husk(turn)
    assert (value["state"], value["truncated"]) == ("kept", True)
    if value["verdict"] == "error":
        turn.failed("ValueError")
        assert turn.content["evalue"].startswith("xxx")
    else:
        assert value["verdict"] == "output_limit"
    assert len(turn.reply.frames[-1]) < 20_000
    assert sum(len(m.frames[-1]) for m in turn.iopub) < 70_000
    assert client.execute("kept").ok().result == "5"


def test_an_answer_that_is_too_large_is_an_error(start_limited: StartLimited) -> None:
    client = connect(start_limited(output="64 KiB"))
    client.execute("def f(): pass\nf.__doc__ = 'x' * 3_000_000").ok()
    answer = client.request("inspect_request", {"code": "f", "cursor_pos": 1, "detail_level": 0})
    assert answer.failed("OutputLimitExceeded").content["evalue"]
    assert client.execute("1").ok().result == "1"


def test_without_limits_large_messages_arrive_whole(client: Client) -> None:
    client.execute("from IPython.display import display").ok()
    turn = client.execute("display({'text/plain': 'x' * 100_000_000}, raw=True)", timeout=60).ok()
    (shown,) = turn.of("display_data")
    assert len(shown.content["data"]["text/plain"]) == 100_000_000
    turn = client.execute("1", user_expressions={"a": "'x' * 20_000_000"}, timeout=60).ok()
    assert len(turn.content["user_expressions"]["a"]["data"]["text/plain"]) == 20_000_002


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
