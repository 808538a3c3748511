# SPDX-License-Identifier: Apache-2.0
"""Limits of output (specs/limits.md 6), of kernels without a sandbox."""

from __future__ import annotations

import pytest

from husk import Client, Kernel, Turn, megabytes, memory
from limited import KILLED, StartLimited, assert_ended, connect, husk, run, send

pytestmark = pytest.mark.husk


@pytest.fixture
def client(kernel: Kernel) -> Client:
    """A client of `kernel`."""
    return connect(kernel)


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


def test_below_the_limit_nothing_is_missing(client: Client) -> None:
    """Nor said to be, though the last quarter leaves at the end; no character is cut in two."""
    for start in ("", "x"):
        turn = run(client, f"print('{start}' + '\u20ac' * 2600)\n7", output="8 KiB").ok()
        assert (turn.stdout, turn.stderr, turn.result) == (start + "\u20ac" * 2600 + "\n", "", "7")
        assert husk(turn)["truncated"] is False
    turn = run(client, "print('x' * 7000)\n[0] * 2000", output="8 KiB").ok()
    assert (turn.stdout, husk(turn)["truncated"]) == ("x" * 7000 + "\n", True)
    assert "1 message left out" in turn.stderr


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
        "import threading\nend = threading.Event()\ndef f():\n    while not end.wait(0.001): print('x' * 1000)"
    ).ok()
    first = client.send_code("threading.Thread(target=f).start()")
    client.finish(first)
    client.wait(lambda m: m.type == "stream" and "between two cells" in m.content["text"], "the notice")
    turn = client.execute("end.set(); 5", timeout=60)
    assert turn.ok().result == "5"
    assert client.execute("6").ok().result == "6"


def test_what_waited_between_turns_is_not_the_next_ones(start_limited: StartLimited) -> None:
    client = start_limited(output="64 KiB").connect()
    client.execute("import threading").ok()
    client.finish(client.send_code("threading.Timer(1, print, ['x' * 4_000_000]).start()"))
    client.wait(lambda m: m.type == "stream" and "between two cells" in m.content["text"], "the notice")
    turn = client.execute("5").ok()
    assert turn.result == "5" and husk(turn)["usage"]["output_bytes"] < 64 << 10


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


def test_a_turn_that_has_lowered_its_limit_keeps_its_variables_too(client: Client) -> None:
    client.execute("from IPython.display import display\nkept = 5").ok()
    code = "for _ in range(20): display({'text/plain': 'x' * 40_000_000}, raw=True)"
    assert_ended(run(client, code, output="64 KiB"), "OutputLimitExceeded", "output_limit")
    subshell = client.request("create_subshell_request", channel="control").content["subshell_id"]
    limits = {"husk": {"limits": {"output": "64 KiB"}}}
    msg_id = client.send("execute_request", {"code": code}, header={"subshell_id": subshell}, metadata=limits)
    assert_ended(client.finish(msg_id, timeout=30), "OutputLimitExceeded", "output_limit")
    assert client.execute("kept").ok().result == "5"
    client.request("delete_subshell_request", {"subshell_id": subshell}, channel="control")


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


def test_a_large_message_between_turns_waits_and_goes(start_limited: StartLimited) -> None:
    client = connect(start_limited(output="64 KiB"))
    code = "import threading\nfrom IPython.display import display\nkept, done = 5, threading.Event()\ndef f():\n    done.wait()\n    display({'t': 'x' * 30_000_000}, raw=True)\nt = threading.Thread(target=f); t.start()"
    client.execute(code).ok()
    client.execute("threading.Timer(0.2, done.set).start()").ok()
    client.wait(lambda m: m.type == "stream" and "between two cells" in m.content["text"], "the notice")
    client.execute("t.join()", timeout=60)
    assert client.execute("kept").ok().result == "5"


def test_a_reply_that_only_a_lie_makes_so_large(start_limited: StartLimited) -> None:
    kernel = start_limited(
        output="64 KiB", expect_stderr=("rules of its link", "broke the link's rules"), args=["--on-crash=respawn"]
    )
    client = connect(kernel)
    code = "import os, struct\nos.write(3, struct.pack('<IBBHQ', 500 << 20, 1, 70, 0, 0))\ntime.sleep(30)"
    turn = assert_ended(client.execute(code), "WorkerCrashed", "crashed", "lost")
    assert "65536" not in turn.content["evalue"]
    assert "1048576 are allowed" in turn.content["evalue"]


def test_without_limits_large_messages_arrive_whole(client: Client) -> None:
    client.execute("from IPython.display import display").ok()
    turn = client.execute("display({'text/plain': 'x' * 100_000_000}, raw=True)", timeout=60).ok()
    (shown,) = turn.of("display_data")
    assert len(shown.content["data"]["text/plain"]) == 100_000_000
    turn = client.execute("1", user_expressions={"a": "'x' * 20_000_000"}, timeout=60).ok()
    assert len(turn.content["user_expressions"]["a"]["data"]["text/plain"]) == 20_000_002
