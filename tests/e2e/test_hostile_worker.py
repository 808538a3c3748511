# SPDX-License-Identifier: Apache-2.0
"""Workers that flood, lie, break and die: the front answers, stays bounded and ends them (specs/link.md 1.2)."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from husk import Client, Kernel, Turn, megabytes, memory, wait_until

pytestmark = [pytest.mark.husk, pytest.mark.stderr(".")]

BOUND = megabytes(400)  # bytes of RSS that the front never exceeds, whatever its worker does

# Run in the worker before the lie. Numbers of specs/link.md 2.1 and protocol/link/link.def.
PRELUDE = """
import os, struct, mmap, ctypes, signal, sys, time, threading
LINK, RING, DOORBELL, OUT, ERR = 3, 4, 5, 6, 7
def header(length, kind, ring=0, version=1, reserved=0):
    return struct.pack("<IBBHQ", length, version, kind, reserved, ring)
def frame(kind, body, **more):
    return header(len(body), kind, **more) + body
def tell(data):
    while data:
        data = data[os.write(LINK, data):]
HELLO, READY, FATAL, DISPLAY, PUBLISH, ERROR, REPLY, ANSWER, ASK_INPUT, ASK, EXIT = range(64, 75)
def u32(n):
    return b"\\xce" + struct.pack(">I", n)
def text(s):
    b = s.encode()
    return b"\\xdb" + struct.pack(">I", len(b)) + b
"""
WAIT_FOREVER = "\ntime.sleep(60)\n"

LIES = {
    "garbage": "tell(os.urandom(100_000))",
    "zeros": "tell(bytes(100_000))",
    "text": "tell(b'hello world, this is no frame' * 10)",
    "frame of 2 GB": "tell(header(2 << 30, DISPLAY))",
    "frame of 4 GB": "tell(header(0xffffffff, REPLY))",
    "frame above its maximum": "tell(header(1 << 17, HELLO))",
    "unknown type": "tell(frame(200, b'\\x90'))",
    "type 0": "tell(frame(0, b'\\x90'))",
    "down frame": "tell(frame(2, b'\\x98' + b'\\x01' * 8))",
    "wrong version": "tell(frame(REPLY, b'\\x90', version=9))",
    "reserved bits": "tell(frame(REPLY, b'\\x90', reserved=7))",
    "empty body": "tell(frame(REPLY, b''))",
    "body is no array": "tell(frame(REPLY, b'\\x01'))",
    "too few fields": "tell(frame(REPLY, b'\\x92\\x01\\x00'))",
    "trailing bytes": "tell(frame(EXIT, b'\\x91\\x00\\x00\\x00'))",
    "huge array count": "tell(frame(REPLY, b'\\xdd\\xff\\xff\\xff\\xff'))",
    "deep msgpack": "tell(frame(DISPLAY, b'\\x91' * 1_000_000 + b'\\x01'))",
    "string beyond the body": "tell(frame(FATAL, b'\\x92\\xdb\\xff\\xff\\xff\\xffab'))",
    "reply for another turn": "tell(frame(REPLY, b'\\x98' + u32(4_000_000) + b'\\x00\\x01\\x02\\xc0\\xc0\\xc0\\xc0'))",
    "answer that was not asked for": "tell(frame(ANSWER, b'\\x94' + u32(1) + text('{}') + b'\\xc0\\xc0'))",
    "second hello": "tell(frame(HELLO, b'\\x92\\x01\\x80'))",
    "says that it has failed": "tell(frame(FATAL, b'\\x92' + text('internal') + text('no more')))",
    "second ready": "tell(frame(READY, b'\\x91\\x80'))",
    "json that is none": "tell(frame(PUBLISH, b'\\x96' + b'\\x00' + text('comm_msg') + text('{\"a\": NaN}') + b'\\xc0\\xc0\\x90'))",
    "content that is no object": "tell(frame(PUBLISH, b'\\x96' + b'\\x00' + text('comm_msg') + text('[1]') + b'\\xc0\\xc0\\x90'))",
    "publishes a status": (
        "tell(frame(PUBLISH, b'\\x96' + b'\\x00' + text('status') + text('{\"execution_state\": \"idle\"}') + b'\\xc0\\xc0\\x90'))"
    ),
    "publishes a reply": "tell(frame(PUBLISH, b'\\x96' + b'\\x00' + text('execute_reply') + text('{}') + b'\\xc0\\xc0\\x90'))",
    "half a header, then silence and death": "tell(header(100, REPLY)[:7]); os._exit(0)",
    "half a body, then death": "tell(header(100, REPLY) + b'\\x98'); os._exit(0)",
}


def assert_crashed(turn: Turn) -> None:
    turn.failed("WorkerCrashed")
    assert turn.verdict == "crashed"
    assert turn.reply.metadata["husk"]["state"] == "lost"
    assert turn.content["evalue"]
    assert turn.error is not None
    assert turn.error["ename"] == "WorkerCrashed"
    assert turn.error["evalue"] == turn.content["evalue"]
    assert turn.types[0] == "busy"
    assert turn.types[-1] == "idle"


@pytest.fixture
def respawning(start_kernel: Any) -> Client:
    """A client of a kernel that makes a new worker when one has died."""
    client = start_kernel(args=["--on-crash=respawn"]).connect()
    client.execute("x = 'before'").ok()
    return client


def survives(client: Client) -> None:
    """The kernel goes on with a fresh worker; the one that died has left nothing."""
    client.execute("x").failed("NameError")
    assert client.execute("print('text'); 6*7").ok().result == "42"
    assert client.request("kernel_info_request", channel="control").status == "ok"
    assert memory(client.kernel.pid, "VmHWM") < BOUND
    wait_until(lambda: len(client.kernel.workers()) == 1, "one worker")


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_is_ended(respawning: Client, lie: str) -> None:
    workers = {p.pid for p in respawning.kernel.workers()}
    turn = respawning.execute(PRELUDE + LIES[lie] + WAIT_FOREVER)
    assert_crashed(turn)
    survives(respawning)
    assert not workers & {p.pid for p in respawning.kernel.workers()}


DEATHS = {
    "os._exit(3)": ("import os; os._exit(3)", "3"),
    "os._exit(0)": ("import os; os._exit(0)", "0"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "abort": ("import os; os.abort()", "SIGABRT"),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    "SIGTERM": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(5)", "SIGTERM"),
    "SIGXCPU": ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU); import time; time.sleep(5)", "SIGXCPU"),
    "thread": ("import threading, os, time; threading.Thread(target=os._exit, args=(4,)).start(); time.sleep(60)", "4"),
    "exec": ("import os; os.execv('/bin/true', ['true'])", ""),
    "exec that lingers": ("import os; os.execv('/bin/sleep', ['sleep', '60'])", ""),
    "atexit thread": ("import sys, os; sys.stdout.flush(); os._exit(255)", "255"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_death_is_reported_with_its_cause(respawning: Client, death: str) -> None:
    code, cause = DEATHS[death]
    turn = respawning.execute("print('printed before')\n" + code)
    assert_crashed(turn)
    assert cause in turn.content["evalue"]
    if "execv" not in code:
        assert turn.stdout == "printed before\n"
        assert [t for t in turn.types if t != "stderr"] == ["busy", "execute_input", "stdout", "error", "idle"]
    survives(respawning)


def test_the_last_words_on_stderr_are_in_the_traceback(respawning: Client) -> None:
    code = "import os, sys\nprint('python words', file=sys.stderr)\nos.write(2, b'raw words\\n')\nos._exit(3)"
    turn = respawning.execute(code)
    assert_crashed(turn)
    assert "words" in "".join(turn.content["traceback"])
    assert "raw words" in turn.stderr
    assert "python words" in turn.stderr
    survives(respawning)


def test_requests_behind_a_crash(respawning: Client) -> None:
    first = respawning.send_code("print('started', flush=True)\nimport time, os; time.sleep(0.3); os._exit(3)")
    respawning.stream(first, "started")
    aborted = respawning.send_code("1")
    complete = respawning.send("complete_request", {"code": "prin", "cursor_pos": 4})
    info = respawning.send("kernel_info_request")
    assert_crashed(respawning.finish(first))
    assert respawning.finish(aborted).status == "aborted"
    assert "print" in respawning.finish(complete).ok().content["matches"]
    assert respawning.finish(info).ok()
    survives(respawning)


def test_requests_behind_a_crash_run_when_told_so(respawning: Client) -> None:
    first = respawning.send_code(
        "print('started', flush=True)\nimport time, os; time.sleep(0.3); os._exit(3)", stop_on_error=False
    )
    respawning.stream(first, "started")
    second = respawning.send_code("1+1")
    assert_crashed(respawning.finish(first))
    assert respawning.finish(second).ok().result == "2"


def test_a_crash_outside_of_a_cell(respawning: Client) -> None:
    code = "class Bad:\n  def __dir__(self):\n    import os; os._exit(9)\nbad = Bad()"
    respawning.execute(code).ok()
    turn = respawning.request("complete_request", {"code": "bad.", "cursor_pos": 4})
    assert turn.status == "error"
    assert turn.content["ename"] == "WorkerCrashed"
    survives(respawning)


def test_a_crash_while_idle(respawning: Client) -> None:
    respawning.execute("import threading, os; threading.Timer(0.1, os._exit, [5]).start()").ok()
    first = {p.pid for p in respawning.kernel.workers()}
    wait_until(lambda: not first & {p.pid for p in respawning.kernel.workers()}, "the worker's death")
    survives(respawning)


@pytest.mark.parametrize("reaction", ["raise BaseException(name)", "while True: pass"])
def test_a_stream_is_not_asked_whether_it_works(respawning: Client, reaction: str) -> None:
    """Replacing sys.stdout by an object that does this to whoever looks at it costs nobody anything."""
    code = f"class Trap:\n  def __getattr__(self, name):\n    {reaction}\nimport sys\nsys.stdout = sys.stderr = Trap()"
    respawning.execute(code).ok()
    assert respawning.execute("x").ok().result == "'before'"


REPLACED = {
    "StringIO": ("import io, sys; sys.stdout = io.StringIO()", "sys.stdout.getvalue()", "'text\\n'"),
    "namespace": ("import sys, types; said = []; sys.stdout = types.SimpleNamespace(write=said.append)", "''.join(said)", "'text\\n'"),
    "wrapper": (
        "import io, sys\nclass W:\n  def __init__(self, f): self.f = f\n  def __getattr__(self, n): return getattr(self.f, n)\n"
        "sys.stdout = W(io.StringIO())",
        "sys.stdout.getvalue()",
        "'text\\n'",
    ),
    "nothing": ("import sys; sys.stdout = None", "sys.stdout is sys.__stdout__", "True"),
    "no stream": ("import sys; sys.stdout = object()", "sys.stdout is sys.__stdout__", "True"),
}


@pytest.mark.parametrize("how", REPLACED)
def test_a_stream_that_was_replaced_stays_if_it_can_be_written(respawning: Client, how: str) -> None:
    replace, ask, answer = REPLACED[how]
    respawning.execute(replace).ok()
    respawning.execute("print('text')").ok()
    assert respawning.execute(ask).ok().result == answer


WRECKED = {
    "sys.stderr": "import sys\nclass No:\n  def __getattr__(self, name): raise BaseException(name)\nsys.stdout = sys.stderr = No()",
    "sys.modules": "import sys; sys.modules.clear()",
    "builtins": "import builtins; builtins.__dict__.clear()",
}


@pytest.mark.parametrize("what", WRECKED)
def test_an_interpreter_that_was_wrecked_costs_the_worker_alone(respawning: Client, what: str) -> None:
    """Whether a request still works in what is left, or ends the worker: each is answered, and the kernel goes on."""
    respawning.execute(WRECKED[what])
    for _ in range(3):
        respawning.execute("1/0")
        assert respawning.request("is_complete_request", {"code": "1"}).reply
        assert respawning.request("complete_request", {"code": "pri", "cursor_pos": 3}).reply
    assert respawning.request("kernel_info_request", channel="control").ok()
    assert respawning.kernel.exit_code() is None


def test_ten_crashes_in_a_row(respawning: Client) -> None:
    for n in range(10):
        assert_crashed(respawning.execute(f"import os; os._exit({n})"))
    survives(respawning)


def test_the_execution_count_agrees_with_the_fresh_worker(respawning: Client) -> None:
    respawning.execute("import os; os._exit(1)")
    after = respawning.execute("len(In)").ok()
    assert after.result == str(after.content["execution_count"] + 1)
    assert respawning.execute("2").content["execution_count"] == after.content["execution_count"] + 1


@pytest.mark.parametrize("position", ["2**63", "2**64 - 1", "0"])
def test_a_ring_position_that_is_wrong_is_clamped(respawning: Client, position: str) -> None:
    content = "text('{\"wait\": false}')"
    lie = f"tell(frame(PUBLISH, b'\\x96' + b'\\x00' + text('clear_output') + {content} + b'\\xc0\\xc0\\x90', ring={position}))"
    turn = respawning.execute(PRELUDE + "print('before')\n" + lie + "\nprint('after')")
    if turn.status == "ok":
        assert turn.stdout == "before\nafter\n"
    else:
        assert_crashed(turn)
        survives(respawning)


CLOSES = {
    "link": "os.close(LINK)",
    "ring": "os.close(RING)",
    "doorbell": "os.close(DOORBELL)",
    "pipes": "os.close(OUT); os.close(ERR)",
    "everything": "os.closerange(3, 100)",
    "all": "os.closerange(0, 100)",
    "link replaced": "os.dup2(os.open('/dev/null', os.O_RDWR), LINK)",
    "link replaced by a pipe": "r, w = os.pipe(); os.dup2(w, LINK)",
    "shutdown": "import socket; s = socket.socket(fileno=os.dup(LINK)); s.shutdown(socket.SHUT_RDWR)",
    "half shutdown": "import socket; s = socket.socket(fileno=os.dup(LINK)); s.shutdown(socket.SHUT_WR)",
    "nonblocking": "os.set_blocking(LINK, False)",
}


@pytest.mark.parametrize("what", CLOSES)
def test_closed_descriptors(respawning: Client, what: str) -> None:
    """Whatever is closed: one reply; then either the worker still works or a new one does."""
    turn = respawning.execute(PRELUDE + CLOSES[what])
    if turn.status != "ok":
        assert_crashed(turn)
    for _ in range(3):
        turn = respawning.execute("print('x'); 1+1")
        if turn.status == "ok" and turn.result == "2":
            break
        assert_crashed(turn)
    assert respawning.execute("print('text'); 6*7").ok().result == "42"
    wait_until(lambda: len(respawning.kernel.workers()) == 1, "one worker")


RING = """
size = os.fstat(RING).st_size
ring = mmap.mmap(RING, size)
"""
SCRIBBLES = {
    "truncate": "try: os.ftruncate(RING, 0)\nexcept OSError as e: print(e.errno)",
    "grow": "try: os.ftruncate(RING, size * 100)\nexcept OSError as e: print(e.errno)",
    "zero everything": "ring[:] = bytes(size)",
    "ones everywhere": "ring[:] = b'\\xff' * size",
    "random": "ring[:] = os.urandom(size)",
    "random header": "ring[:256] = os.urandom(256)",
    "head in the future": "ring[8:16] = struct.pack('<Q', 2**63)",
    "head in the past": "ring[8:16] = struct.pack('<Q', 0)",
    "marks in the future": "ring[16:24] = struct.pack('<Q', 2**64 - 1)",
    "tail of the reader": "ring[64:80] = b'\\xff' * 16",
    "magic": "ring[:4] = b'evil'",
    "interrupt words": "ring[88:112] = b'\\x01' * 24",
    "scribbling thread": (
        "def scribble():\n"
        "    for n in range(200): ring[:200] = os.urandom(200); time.sleep(0.001)\n"
        "t = threading.Thread(target=scribble, daemon=True); t.start(); t.join()"
    ),
}


@pytest.mark.parametrize("what", SCRIBBLES)
def test_scribbled_ring(respawning: Client, what: str) -> None:
    """A ring that makes no sense may cost the worker its life, and its own text, but nothing else."""
    turn = respawning.execute(PRELUDE + RING + SCRIBBLES[what] + "\nprint('text')")
    if turn.status != "ok":
        assert_crashed(turn)
    assert respawning.request("kernel_info_request", channel="control").status == "ok"
    assert memory(respawning.kernel.pid, "VmHWM") < BOUND
    for _ in range(4):
        turn = respawning.execute("6*7")
        if turn.status == "ok" and turn.result == "42":
            break
    else:
        respawning.execute("import os; os._exit(1)")
    last = respawning.execute("import os; os._exit(1)")
    assert_crashed(last)
    survives(respawning)


QUESTIONS = {
    "control": "frame(ASK, b'\\x93' + u32(1) + text('control') + text('{}'))",
    "history": "frame(ASK, b'\\x93' + u32(1) + text('history') + text('{\"hist_access_type\": \"tail\", \"n\": 1000}'))",
    "input": "frame(ASK_INPUT, b'\\x93' + u32(1) + text('?') + b'\\xc2')",
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_answers_that_nobody_reads_are_bounded(respawning: Client, what: str) -> None:
    respawning.request("debug_request", {"padding": "x" * 60_000}, channel="control")
    code = f"one = {QUESTIONS[what]}\nuntil = time.monotonic() + 3\nwhile time.monotonic() < until: tell(one * 100)\nos._exit(0)"
    assert_crashed(respawning.execute(PRELUDE + code, timeout=60))
    survives(respawning)


FLOODS = {
    "prints": "while True: print('x' * 1000)",
    "fd 1": "while True: os.write(1, b'x' * 65536)",
    "displays": "while True: display('x' * 10000)",
    "big displays": "while True: display('x' * 50_000_000)",
    "small publishes": (
        "f = frame(PUBLISH, b'\\x96' + b'\\x00' + text('clear_output') + text('{\"wait\": false}') + b'\\xc0\\xc0\\x90') * 100\n"
        "while True: tell(f)"
    ),
    "asks": "f = frame(ASK, b'\\x93\\x01' + text('history') + text('{}')) * 100\nwhile True: tell(f)",
    "questions": "f = frame(ASK_INPUT, b'\\x93\\x00\\xa0\\xc2') * 100\nwhile True: tell(f)",
    "buffers": "import comm\nc = comm.create_comm(target_name='t', data={})\nwhile True: c.send({}, buffers=[bytes(10_000_000)])",
}


@pytest.mark.parametrize("what", FLOODS)
def test_floods_are_bounded_and_can_be_interrupted(respawning: Client, what: str) -> None:
    """One client reads, another does not; the front stays below its limit, control answers, an interrupt ends it."""
    if "comm" in FLOODS[what] and respawning.execute("import comm").status != "ok":
        pytest.skip("the kernel's environment has no comm")
    reader = respawning.kernel.connect(ready=False, subscribe=None)
    msg_id = reader.send_code(PRELUDE + FLOODS[what], allow_stdin=True)
    for _ in range(8):
        assert reader.reply(reader.send("kernel_info_request", channel="control")).content["status"] == "ok"
        reader.pump(0.01)
    high = memory(respawning.kernel.pid, "VmHWM")
    assert not [m for m in reader.log if m.parent_id == msg_id and m.channel == "shell"], reader.log[-1]
    reader.send("interrupt_request", channel="control")
    socket = respawning.sockets["iopub"]
    while not [m for m in reader.log if m.parent_id == msg_id and m.channel == "shell"]:
        reader.pump(0.01)
        for _ in range(1000):
            if not socket.poll(0):
                break
            socket.recv_multipart(copy=False)
    (reply,) = [m for m in reader.log if m.parent_id == msg_id and m.channel == "shell"]
    assert reply.content["status"] == "error"
    assert max(high, memory(respawning.kernel.pid, "VmHWM")) < BOUND, f"front grew to {high >> 20} MB"
    fresh = respawning.kernel.connect()
    turn = fresh.execute("6*7")
    if turn.status == "aborted":
        turn = fresh.execute("6*7")
    assert turn.result == "42"


def test_stopped_worker(respawning: Client) -> None:
    """SIGSTOP: nothing but an interrupt that ends in a kill helps, and it does."""
    msg_id = respawning.send_code(
        "print('started', flush=True)\nimport os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    )
    respawning.stream(msg_id, "started")
    assert respawning.request("kernel_info_request", channel="control").status == "ok"
    assert respawning.heartbeat() == b"ping"
    respawning.request("interrupt_request", channel="control")
    turn = respawning.finish(msg_id)
    assert turn.status == "error"
    assert turn.verdict in ("interrupted", "crashed")
    assert turn.reply.metadata["husk"]["state"] == "lost"
    survives(respawning)


def test_stopped_worker_at_shutdown(start_kernel: Any) -> None:
    kernel: Kernel = start_kernel()
    client = kernel.connect()
    client.send_code("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    wait_until(lambda: any(p.state == "T" for p in kernel.workers()), "a stopped worker")
    assert kernel.shut_down() == 0


def test_gil_held_for_ever_ends_in_a_kill(respawning: Client) -> None:
    msg_id = respawning.send_code("print('started', flush=True)\nimport itertools; 1 in itertools.repeat(0)")
    respawning.stream(msg_id, "started")
    respawning.request("interrupt_request", channel="control")
    turn = respawning.finish(msg_id)
    assert turn.status == "error"
    assert turn.verdict == "interrupted"
    assert turn.reply.metadata["husk"]["state"] == "lost"
    survives(respawning)


FORKS = {
    "child exits": "pid = os.fork()\nif pid == 0: os._exit(0)\n_ = os.waitpid(pid, 0)",
    "child lies on the link": "pid = os.fork()\nif pid == 0:\n    tell(os.urandom(1000)); os._exit(0)\n_ = os.waitpid(pid, 0)",
    "child holds everything open": "pid = os.fork()\nif pid == 0:\n    time.sleep(60); os._exit(0)\nos._exit(3)",
    "child in a session of its own": "pid = os.fork()\nif pid == 0:\n    os.setsid(); time.sleep(60); os._exit(0)\nos._exit(3)",
    "parent dies": "pid = os.fork()\nif pid != 0: os._exit(3)\ntime.sleep(60)",
    "grandchildren": "for _ in range(8): os.fork()\nif os.getpid() != me: os._exit(0)",
}


@pytest.mark.parametrize("what", FORKS)
def test_forks(respawning: Client, what: str) -> None:
    turn = respawning.execute(PRELUDE + "me = os.getpid()\n" + FORKS[what])
    if turn.status != "ok":
        assert_crashed(turn)
    for _ in range(3):
        turn = respawning.execute("6*7")
        if turn.status == "ok":
            break
        assert_crashed(turn)
    assert turn.result == "42"
    wait_until(lambda: len(respawning.kernel.workers()) == 1, "one worker")


@pytest.mark.exit(*range(1, 256))
@pytest.mark.parametrize(
    "code", ["import os; os._exit(0)", "import os; os._exit(3)", "import ctypes; ctypes.string_at(0)"]
)
def test_by_default_the_kernel_ends_with_its_worker(kernel: Kernel, client: Client, code: str) -> None:
    """As jupyter_client's restarter expects: the request is answered, then the process ends with a code that is not 0."""
    assert_crashed(client.execute(code))
    assert kernel.wait_exit(10) != 0
    assert kernel.stderr().strip(), "the cause is not logged"


@pytest.mark.exit(*range(1, 256))
def test_by_default_what_waits_behind_a_crash_is_answered(kernel: Kernel, client: Client) -> None:
    first = client.send_code("print('started', flush=True)\nimport time, os; time.sleep(0.3); os._exit(3)")
    client.stream(first, "started")
    behind = [client.send_code("1"), client.send("complete_request", {"code": "a", "cursor_pos": 1})]
    assert_crashed(client.finish(first))
    for msg_id in behind:
        assert client.reply(msg_id).content["status"] in ("aborted", "error")
        client.state(msg_id, "idle")
    assert kernel.wait_exit(10) != 0


@pytest.mark.exit(*range(1, 256))
def test_a_worker_killed_from_outside(kernel: Kernel, client: Client) -> None:
    msg_id = client.send_code("print('started', flush=True)\nwhile True: pass")
    client.stream(msg_id, "started")
    (worker,) = kernel.workers()
    os.kill(worker.pid, signal.SIGKILL)
    turn = client.finish(msg_id)
    assert_crashed(turn)
    assert "SIGKILL" in turn.content["evalue"]
    assert kernel.wait_exit(10) != 0


def test_a_worker_never_held_the_key(kernel: Kernel, client: Client) -> None:
    """Not in its memory, environment or argv (ARCHITECTURE.md 1); searched from outside."""
    client.execute("1+1").ok()
    key = kernel.key.encode()
    for worker in kernel.workers():
        proc = Path("/proc", str(worker.pid))
        assert key not in (proc / "environ").read_bytes()
        assert key not in (proc / "cmdline").read_bytes()
        n_read = 0
        with (proc / "mem").open("rb", 0) as mem:
            for line in (proc / "maps").read_text().splitlines():
                span, mode, *_ = line.split()
                start, end = (int(x, 16) for x in span.split("-"))
                if "r" in mode and "[v" not in line:
                    with contextlib.suppress(OSError):
                        mem.seek(start)
                        data = mem.read(end - start)
                        n_read += len(data)
                        assert key not in data, line
        assert n_read > 1 << 20
