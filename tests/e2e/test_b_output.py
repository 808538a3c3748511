# SPDX-License-Identifier: Apache-2.0
"""Output: items 16 to 32 (33, the output limit, comes with the quotas)."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

import pytest
import zmq

from husk import IS_HUSK, Client, Kernel, megabytes, memory, wait_until


def test_16_many_lines_arrive_complete_and_coalesced(client: Client) -> None:
    n = 200_000
    turn = client.execute(f"for i in range({n}): print(i)").ok()
    assert turn.stdout == "".join(f"{i}\n" for i in range(n))
    assert len(turn.of("stream")) < 2000


@pytest.mark.husk
def test_16_flushing_each_line_stays_bounded(client: Client) -> None:
    turn = client.execute("for i in range(20_000): print(i, flush=True)").ok()
    assert turn.stdout == "".join(f"{i}\n" for i in range(20_000))


@pytest.mark.husk
def test_16_large_writes_and_tiny_writes(client: Client) -> None:
    turn = client.execute("import sys\nfor c in 'abcdef': n = sys.stdout.write(c * 3_000_000)\nn").ok()
    assert turn.stdout == "".join(c * 3_000_000 for c in "abcdef")
    assert turn.result == "3000000"
    turn = client.execute("for i in range(300_000): _ = sys.stdout.write(chr(97 + i % 26))").ok()
    assert turn.stdout == "".join(chr(97 + i % 26) for i in range(300_000))


def test_17_stdout_and_stderr_keep_their_order_across_flushes(client: Client) -> None:
    code = "import sys\nfor i in range(50):\n print('o', i, flush=True)\n print('e', i, file=sys.stderr, flush=True)"
    turn = client.execute(code).ok()
    text = "".join(m.content["text"] for m in turn.of("stream"))
    assert text == "".join(f"o {i}\ne {i}\n" for i in range(50))


@pytest.mark.differs("keeps order only across flushes")
def test_17_order_without_flush(client: Client) -> None:
    code = "import sys\nfor i in range(50):\n print('o', i)\n print('e', i, file=sys.stderr)"
    turn = client.execute(code).ok()
    assert "".join(m.content["text"] for m in turn.of("stream")) == "".join(f"o {i}\ne {i}\n" for i in range(50))


def test_17_text_display_text(client: Client) -> None:
    turn = client.execute("for i in range(5):\n print(i)\n display(i)").ok()
    assert turn.types == ["busy", "execute_input", *["stdout", "display_data"] * 5, "idle"]


@pytest.mark.parametrize("pause", ["pass", "time.sleep(0.0005)", "sum(range(20_000))"])
def test_17_text_and_display_never_overtake_each_other(client: Client, pause: str) -> None:
    code = f"import time\nfor i in range(1000):\n print('t', i)\n {pause}\n display(i)\n print('u', i)"
    turn = client.execute(code).ok()
    seen = ""  # one text: what is sent after 20 ms may end in the middle of a line
    for m in turn.of("stream", "display_data"):
        seen += m.content["text"] if m.type == "stream" else f"d {m.content['data']['text/plain']}\n"
    assert seen.splitlines() == [f"{kind} {i}" for i in range(1000) for kind in "tdu"]


@pytest.mark.parametrize("end", ["1/0", "raise SystemExit(2)", "raise KeyboardInterrupt", "x = = 1"])
def test_18_output_comes_before_the_error(client: Client, end: str) -> None:
    turn = client.execute(f"print('last words', end='')\n{end}")
    assert turn.status == "error"
    expected = ["error"] if "= =" in end else ["stdout", "error"]
    types = [t for t in turn.types if t != "stderr"]
    assert types == ["busy", "execute_input", *expected, "idle"]


@pytest.mark.parametrize(
    "code",
    [
        "import os; _ = os.system('echo x')",
        "import subprocess; _ = subprocess.run(['echo', 'x'])",
        "import os; _ = os.write(1, b'x\\n')",
        "import subprocess, sys; _ = subprocess.run([sys.executable, '-c', 'print(chr(120))'])",
        "import subprocess; p = subprocess.Popen(['sh', '-c', 'echo x']); _ = p.wait()",
    ],
)
def test_19_output_of_children_belongs_to_the_cell(client: Client, code: str) -> None:
    for _ in range(3):
        turn = client.execute(code).ok()
        assert turn.stdout == "x\n"


def test_19_standard_error_of_children(client: Client) -> None:
    turn = client.execute("import os; _ = os.system('echo e >&2')").ok()
    assert (turn.stdout, turn.stderr) == ("", "e\n")


@pytest.mark.differs("fileno() is the original fd 1")
def test_19_child_given_sys_stdout(client: Client) -> None:
    turn = client.execute("import subprocess, sys; _ = subprocess.run(['echo', 'x'], stdout=sys.stdout)").ok()
    assert turn.stdout == "x\n"


@pytest.mark.differs("no order between pipes and Python text")
def test_19_children_and_prints_keep_their_order(client: Client) -> None:
    code = """
import os, subprocess
for i in range(5):
    print("print", i)
    subprocess.run(["echo", "child", str(i)])
    print("between", i)
    _ = os.system(f"echo system {i}")
    _ = os.write(1, b"write %d\\n" % i)
"""
    turn = client.execute(code).ok()
    assert turn.stdout == "".join(f"print {i}\nchild {i}\nbetween {i}\nsystem {i}\nwrite {i}\n" for i in range(5))


@pytest.mark.husk
def test_19_a_large_child_output_is_complete(client: Client) -> None:
    turn = client.execute("import subprocess; _ = subprocess.run(['seq', '300000'])").ok()
    assert turn.stdout == "".join(f"{i}\n" for i in range(1, 300_001))


@pytest.mark.differs("leaves it in libc's buffer")
def test_20_printf_without_newline_or_fflush(client: Client) -> None:
    turn = client.execute("import ctypes; _ = ctypes.CDLL(None).printf(b'from C %d', 7)").ok()
    assert turn.stdout == "from C 7"


@pytest.mark.husk
def test_20_printf_between_cells_goes_to_its_cell(client: Client) -> None:
    client.execute("import ctypes; libc = ctypes.CDLL(None)")
    for i in range(5):
        assert client.execute(f"print('a'); _ = libc.printf(b'{i} ')").ok().stdout in (f"a\n{i} ", f"{i} a\n")


@pytest.mark.differs("deadlocks")
def test_21_a_megabyte_to_fd_1_with_the_gil_held(client: Client) -> None:
    code = """
import ctypes
libc = ctypes.PyDLL(None)   # keeps the GIL
data = (b"0123456789abcde\\n" * 65536)
at = 0
while at < len(data):
    n = libc.write(1, data[at:], len(data) - at)
    assert n > 0
    at += n
"""
    turn = client.execute(code, timeout=15).ok()
    assert turn.stdout == "0123456789abcde\n" * 65536


def test_22_split_utf8_is_not_damaged(client: Client) -> None:
    code = """
import os
data = "a\\u00fc\\u4e16\\U0001f600z".encode() * 50
for i in range(len(data)):
    os.write(1, data[i:i + 1])
"""
    assert client.execute(code).ok().stdout == "aü世\U0001f600z" * 50


def test_22_invalid_bytes_are_replaced(client: Client) -> None:
    turn = client.execute("import os; _ = os.write(1, b'a\\xff\\xfeb\\xe4\\xb8'); _ = os.write(1, b'c\\n')").ok()
    assert turn.stdout[0] == "a"
    assert turn.stdout[-2:] == "c\n"
    assert "b" in turn.stdout
    assert "\ufffd" in turn.stdout


@pytest.mark.husk
def test_22_split_utf8_in_writes_of_a_large_ring(client: Client) -> None:
    text = "世界\U0001f600é" * 400_000
    assert client.execute("print('世界\\U0001f600é' * 400_000, end='')").ok().stdout == text


THREAD = """
import threading
go = threading.Event()
parent = get_ipython().get_parent()
def work():
    go.wait(20)
    {before}
    print("from thread")
    display("shown")
    {after}
    done.set()
done = threading.Event()
threading.Thread(target=work).start()
"""


def thread_output(client: Client, before: str = "", after: str = "") -> tuple[Any, Any]:
    """Cell 1 starts a thread that prints and displays during cell 2. Returns the turns of both."""
    first = client.execute(THREAD.format(before=before or "pass", after=after or "pass")).ok()
    second = client.execute("go.set(); done.wait(20)\nprint('cell 2')").ok()
    client.barrier()
    first.iopub = [m for m in client.log if m.channel == "iopub" and m.parent_id == first.msg_id]
    return first, second


@pytest.mark.ipython
def test_23_a_thread_without_parent_writes_to_the_running_cell(client: Client) -> None:
    first, second = thread_output(client)
    assert first.of("stream", "display_data") == []
    assert second.stdout == "from thread\ncell 2\n"
    assert len(second.of("display_data")) == 1


@pytest.mark.ipython
def test_23_set_thread_parent_writes_to_its_cell(client: Client) -> None:
    first, second = thread_output(
        client, "token = get_ipython().set_thread_parent(parent)", "get_ipython().reset_thread_parent(token)"
    )
    wait_until(lambda: client.pump(0.01) or "from thread" in "".join(map(str, client.of(first.msg_id))), "output")
    first.iopub = [m for m in client.log if m.channel == "iopub" and m.parent_id == first.msg_id]
    assert first.stdout == "from thread\n"
    assert len(first.of("display_data")) == 1
    assert second.stdout == "cell 2\n"
    assert second.of("display_data") == []


@pytest.mark.ipython
def test_23_set_parent_in_a_thread_takes_everything_to_its_cell(client: Client) -> None:
    first, second = thread_output(client, "get_ipython().set_parent(parent)")
    wait_until(lambda: client.pump(0.01) or "cell 2" in "".join(map(str, client.log)), "output")
    first.iopub = [m for m in client.log if m.channel == "iopub" and m.parent_id == first.msg_id]
    assert "from thread\n" in first.stdout
    assert len(first.of("display_data")) == 1
    assert "from thread" not in second.stdout


def test_23_an_asyncio_task_prints_to_the_cell_that_made_it(client: Client) -> None:
    code = """
import asyncio
async def work():
    await event.wait()
    print("from task")
event = asyncio.Event()
task = asyncio.create_task(work())
await asyncio.sleep(0)
"""
    first = client.execute(code).ok()
    second = client.execute("event.set(); await task; print('cell 2')").ok()
    client.wait(lambda m: m.type == "stream" and "from task" in m.content["text"], "output of the task")
    assert "".join(m.content["text"] for m in client.of(first.msg_id) if m.type == "stream") == "from task\n"
    assert second.stdout == "cell 2\n"


def test_23_a_thread_that_prints_between_cells_is_heard(client: Client) -> None:
    code = "import threading; t = threading.Timer(0.2, print, ['late']); t.start()"
    first = client.execute(code).ok()
    late = client.wait(lambda m: m.type == "stream" and "late" in m.content["text"], "late output")
    assert late.parent_id == first.msg_id


def assert_each_once(text: str, pieces: list[str]) -> None:
    """Every piece is in text once, and besides them there are only line ends."""
    for piece in pieces:
        assert text.count(piece) == 1, (piece, text)
        text = text.replace(piece, "")
    assert text == "\n" * len(pieces)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_24_multiprocessing_prints_arrive_once(client: Client, method: str, tmp_path: Any) -> None:
    (tmp_path / "jobs.py").write_text("def work(n):\n    print(f'child {n}', flush=True)\n")
    code = f"""
import multiprocessing, sys
sys.path.insert(0, {str(tmp_path)!r})
import jobs
context = multiprocessing.get_context({method!r})
children = [context.Process(target=jobs.work, args=(n,)) for n in range(4)]
for c in children: c.start()
for c in children: c.join()
print([c.exitcode for c in children])
"""
    msg_id = client.send_code(code)
    client.finish(msg_id, 40)
    wait_until(lambda: client.pump(0.01) or "child 3" in str(client.of(msg_id)), "output of the children")
    text = "".join(m.content["text"] for m in client.of(msg_id) if m.type == "stream")
    assert_each_once(text, ["[0, 0, 0, 0]", *(f"child {n}" for n in range(4))])
    if method == "forkserver":
        client.execute("from multiprocessing import forkserver; forkserver._forkserver._stop()").ok()
        client.execute("from multiprocessing import resource_tracker; resource_tracker._resource_tracker._stop()")
    if method == "spawn":
        client.execute("from multiprocessing import resource_tracker; resource_tracker._resource_tracker._stop()")


def test_24_process_pool_prints_arrive_once(client: Client) -> None:
    code = """
import concurrent.futures, multiprocessing
def work(n):
    print(f"child {n}", flush=True)
    return n * n
with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    print(list(pool.map(work, range(6))))
"""
    turn = client.execute(code, timeout=40).ok()
    text = "".join(m.content["text"] for m in client.of(turn.msg_id) if m.type == "stream")
    assert_each_once(text, ["[0, 1, 4, 9, 16, 25]", *(f"child {n}" for n in range(6))])


@pytest.mark.husk
def test_24_unflushed_text_of_a_forked_child_is_not_doubled(client: Client) -> None:
    code = """
import os, sys
print("before", end=" ")
pid = os.fork()
if pid == 0:
    print("child")
    sys.stdout.flush()
    os._exit(0)
_ = os.waitpid(pid, 0)
print("after")
"""
    turn = client.execute(code).ok()
    assert turn.stdout == "before child\nafter\n"


@pytest.mark.differs("the child becomes a second kernel")
@pytest.mark.parametrize("end", ["sys.exit(0)", "sys.exit(7)", "1/0", "pass", "os._exit(5)"])
def test_25_fork_and_exit_in_the_child(client: Client, end: str) -> None:
    client.execute("get_ipython()").ok()
    code = f"""
import os, sys
pid = os.fork()
if pid == 0:
    {end}
else:
    _, status = os.waitpid(pid, 0)
    print("status", os.waitstatus_to_exitcode(status))
"""
    turn = client.execute(code).ok()
    status = {"sys.exit(0)": 0, "sys.exit(7)": 7, "1/0": 1, "pass": 0, "os._exit(5)": 5}[end]
    assert f"status {status}\n" in turn.stdout
    assert ("ZeroDivisionError: division by zero" in turn.stderr) == (end == "1/0")
    assert "---->" not in turn.stderr  # plainly, as at a program's end
    client.barrier()
    assert len([m for m in client.log if m.channel == "shell" and m.parent_id == turn.msg_id]) == 1
    assert client.execute("6*7").ok().result == "42"


@pytest.mark.differs("no reply any more")
@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout = None",
        "import sys, io; sys.stdout = io.StringIO()",
        "import sys; del sys.stdout",
        "import sys; sys.stdout.close()",
        "import sys; sys.stderr = None; sys.stdout = None",
        "import sys; sys.stderr.close()",
        "import sys; sys.stdout = 5",
        "import os; os.close(1); os.close(2)",
    ],
)
def test_26_a_lost_stdout_does_not_brick_the_kernel(client: Client, code: str) -> None:
    client.execute(code)
    for _ in range(3):
        assert client.execute("1+1").ok().result == "2"
    turn = client.execute("1/0")
    assert turn.error is not None
    assert turn.error["ename"] == "ZeroDivisionError"
    client.execute("import sys; sys.stdout = sys.__stdout__ = sys.stdout")


def test_26_redirect_stdout_works(client: Client) -> None:
    code = """
import contextlib, io, sys
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
    print("hidden"); print("hidden too", file=sys.stderr)
print("seen", repr(out.getvalue()), repr(err.getvalue()))
"""
    turn = client.execute(code).ok()
    assert turn.stdout == "seen 'hidden\\n' 'hidden too\\n'\n"
    assert turn.stderr == ""


def test_27_attributes_of_the_streams(client: Client) -> None:
    code = """
import sys
seen = []
write = sys.stdout.write
def tee(text):
    seen.append(text)
    return write(text)
sys.stdout.write = tee
print("through")
sys.stdout.write = write
sys.stdout.anything = 5
print("direct")
fd = sys.stdout.fileno()
answers = (seen, sys.stdout.anything, sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.writable(),
           sys.stdout.readable(), sys.stdout.closed, isinstance(fd, int) and fd >= 0, sys.stdout.name)
"""
    assert client.execute(code).ok().stdout == "through\ndirect\n"
    result = client.execute("answers").ok().result
    assert result == "(['through', '\\n'], 5, 'UTF-8', False, True, False, False, True, 'stdout')"
    result = client.execute("print('x', end='', file=sys.stdout), sys.stdout.write('abc'), sys.stderr.name").result
    assert result == "(None, 3, 'stderr')"


@pytest.mark.husk
def test_27_write_refuses_what_is_no_str(client: Client) -> None:
    client.execute("import sys")
    for value in ("b'x'", "5", "None"):
        client.execute(f"sys.stdout.write({value})").failed("TypeError")


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.ipython
def test_28_clear_output_comes_after_earlier_text(client: Client, wait: bool) -> None:
    code = f"""
import sys
from IPython.display import clear_output
print("a"); print("b", file=sys.stderr)
clear_output(wait={wait})
print("c")
"""
    turn = client.execute(code).ok()
    assert turn.of("clear_output")[0].content == {"wait": wait}
    at = turn.types.index("clear_output")
    assert set(turn.types[2:at]) == {"stdout", "stderr"}
    assert turn.types[at + 1 :] == ["stdout", "idle"]


@pytest.mark.ipython
def test_29_display_id_and_update(client: Client) -> None:
    first = client.execute("h = display('one', display_id=True); h2 = display('named', display_id='n')").ok()
    second = client.execute(
        "h.update('two')\nfrom IPython.display import update_display\nupdate_display(3, display_id='n')"
    )
    one, named = first.of("display_data")
    two, three = second.ok().of("update_display_data")
    assert one.content["transient"]["display_id"] == two.content["transient"]["display_id"] != ""
    assert named.content["transient"] == three.content["transient"] == {"display_id": "n"}
    assert two.parent_id == second.msg_id
    assert two.content["data"] == {"text/plain": "'two'"}
    assert one.content["metadata"] == {}


def test_30_control_characters_are_kept(client: Client) -> None:
    text = "a\rb\x08c\x1b[31mred\x1b[0m\x00\x07\x7f\u2028\ufeff\u0085end"
    assert client.execute(f"print({text!r}, end='')").ok().stdout == text
    every = "".join(chr(i) for i in range(0x250))
    assert client.execute("print(''.join(chr(i) for i in range(0x250)), end='')").ok().stdout == every


@pytest.mark.husk
@pytest.mark.bound(120)
def test_31_a_stalled_subscriber_still_gets_reply_and_idle(kernel: Kernel) -> None:
    """The subscriber stops reading while 150 MB are printed; it reads only after the other client has seen the end,
    or, where the kernel holds back for it, after a while."""
    small = {"iopub": {zmq.RCVHWM: 1, zmq.RCVBUF: 65536}}
    stalled = kernel.connect(options=small)
    lively = kernel.connect()
    msg_id = lively.send_code("for i in range(1500): print('x' * 99_999)")
    high = 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lively.pump(0.2)
        high = max(high, memory(kernel.pid))
        if any(m.type == "status" and m.content["execution_state"] == "idle" for m in lively.of(msg_id)):
            break
    assert high < megabytes(300), f"front grew to {high >> 20} MB"
    stalled.state(msg_id, "idle", 60)
    lively.finish(msg_id, 60)
    for c in (stalled, lively):
        texts = [m.content["text"] for m in c.of(msg_id) if m.type == "stream"]
        size = sum(map(len, texts))
        if size < 150_000_000:
            notice = c.wait(
                lambda m: m.type == "stream" and "dropped" in m.content["text"], f"notice; got {size} bytes"
            )
            (n_dropped,) = re.findall(r"(\d+) bytes", notice.content["text"])
            assert size + int(n_dropped) >= 150_000_000
    assert lively.execute("1+1").ok().result == "2"


@pytest.mark.husk
@pytest.mark.bound(120)
def test_31_control_answers_while_a_subscriber_stalls(kernel: Kernel) -> None:
    stalled = kernel.connect(options={"iopub": {zmq.RCVHWM: 1, zmq.RCVBUF: 65536}})
    other = kernel.connect(subscribe=None, ready=False)
    msg_id = other.send_code("while True: print('x' * 9999)")
    wait_until(lambda: stalled.sockets["iopub"].poll(0), "the flood")
    for _ in range(20):
        reply = other.reply(other.send("kernel_info_request", channel="control"), 10)
        assert reply.content["status"] == "ok"
    assert memory(kernel.pid) < megabytes(300)
    other.reply(other.send("interrupt_request", channel="control"), 10)
    drainer = threading.Thread(target=drain, args=(stalled,))
    drainer.start()
    try:
        assert other.reply(msg_id, 30).content["status"] == "error"
    finally:
        drainer.join()


def drain(client: Client) -> None:
    """Reads iopub without keeping it, until an idle."""
    socket = client.sockets["iopub"]
    while socket.poll(3000):
        frames = socket.recv_multipart()
        if b'"idle"' in frames[-1] and json.loads(frames[-4])["msg_type"] == "status":
            parent = json.loads(frames[-3])
            if parent.get("msg_type") == "execute_request":
                return


@pytest.mark.bound(120)
@pytest.mark.differs("keeps all printed text")
def test_32_printed_text_does_not_stay_in_memory(kernel: Kernel) -> None:
    client = kernel.connect()
    client.execute("print('x' * 1_000_000)\n%time 1" if IS_HUSK else "1")
    pids = [kernel.pid, *(p.pid for p in kernel.workers())]
    before = sum(map(memory, pids))
    for _ in range(3):
        turn = client.execute("for i in range(500): print('0123456789' * 10_000)", timeout=60).ok()
        assert sum(len(m.content["text"]) for m in turn.of("stream")) == 500 * 100_001
        del client.log[:], turn
    after = sum(map(memory, pids))
    assert after - before < 40 << 20, f"grew by {(after - before) >> 20} MB"
