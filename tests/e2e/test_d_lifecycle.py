# SPDX-License-Identifier: Apache-2.0
"""Interrupts and life cycle: items 52 to 68 (63 and 64, the quota part of 61, and the manager's part of 68 belong to
later programs)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from husk import CHANNELS, IS_HUSK, Client, Kernel, Turn, descendants, descriptors, kernel_argv, processes, wait_until

Interrupt = Any


@pytest.fixture(params=["signal", "message"])
def interrupt(request: pytest.FixtureRequest, kernel: Kernel, client: Client) -> Interrupt:
    """Interrupts `kernel` either way."""

    def by_signal() -> None:
        kernel.interrupt()

    def by_message() -> None:
        reply = client.reply(client.send("interrupt_request", {}, channel="control"))
        assert reply.type == "interrupt_reply"
        assert reply.content["status"] == "ok"

    return by_signal if request.param == "signal" else by_message


def interrupted(client: Client, interrupt: Interrupt, code: str, *, asks: bool = False, **more: Any) -> Turn:
    """Starts a cell, interrupts it when it says so (or asks for input), and returns its turn."""
    msg_id = client.send_code(f"kept = 5\nprint('started', flush=True)\n{code}", **more)
    client.stream(msg_id, "started")
    if asks:
        client.asked(msg_id)
    interrupt()
    turn = client.finish(msg_id).failed("KeyboardInterrupt")
    assert turn.error is not None
    assert turn.error["ename"] == "KeyboardInterrupt"
    if IS_HUSK:
        assert turn.verdict == "interrupted"
        assert turn.reply.metadata["husk"]["state"] == "kept"
    assert client.execute("kept").ok().result == "5"
    return turn


STUCK = {
    "loop": "while True: pass",
    "call": "def f():\n  while True: pass\nf()",
    "sleep": "import time; time.sleep(60)",
    "lock": "import threading\nl = threading.Lock(); l.acquire(); l.acquire()",
    "queue": "import queue; queue.Queue().get()",
    "event": "import threading; threading.Event().wait()",
    "join": "import threading, time\nt = threading.Thread(target=time.sleep, args=(3,), daemon=True); t.start(); t.join()",
    "select": "import select; select.select([], [], [], 60)",
    "pipe": "import os; r, w = os.pipe(); os.read(r, 1)",
    "comprehension": "sum(1 for _ in iter(int, 1))",
    "subprocess": "import subprocess; subprocess.run('sleep 60', shell=True)",
    "child": "import subprocess; subprocess.run(['sleep', '60'])",
    "swallow": "import time\nfor _ in range(2):\n  try: time.sleep(60)\n  except ValueError: pass",
}


@pytest.mark.parametrize("what", STUCK)
def test_52_interrupt(client: Client, interrupt: Interrupt, what: str) -> None:
    interrupted(client, interrupt, STUCK[what])


@pytest.mark.differs("no stage after the first")
@pytest.mark.parametrize(
    "code",
    [
        "import time\nfor _ in range(5):\n  try: time.sleep(60)\n  except BaseException: pass",
        "while True:\n  try:\n    while True: pass\n  except KeyboardInterrupt: pass",
        "while True:\n  try:\n    while True: pass\n  except: pass",
    ],
)
def test_52_interrupt_of_code_that_swallows_it(client: Client, interrupt: Interrupt, code: str) -> None:
    interrupted(client, interrupt, code)


def test_52_interrupt_of_input(client: Client, interrupt: Interrupt) -> None:
    interrupted(client, interrupt, "input('wait for it')", asks=True, allow_stdin=True)


def test_52_interrupt_twice_and_again(client: Client, interrupt: Interrupt) -> None:
    for _ in range(5):
        interrupted(client, interrupt, "while True: pass")


@pytest.mark.ipython
@pytest.mark.parametrize(
    "code", ["!sleep 60", "%%bash\nsleep 60", "%time while True: pass", "%timeit -n1 -r1 __import__('time').sleep(60)"]
)
def test_52_interrupt_of_magics(client: Client, kernel: Kernel, code: str) -> None:
    client.execute("import time; time.sleep(0)").ok()
    msg_id = client.send_code(code)
    client.wait(lambda m: m.type == "execute_input" and m.parent_id == msg_id, "execute_input")
    if "sleep" in code and "time" not in code:
        wait_until(lambda: any(p.name == "sleep" for p in descendants(kernel.pid)), "the child")
    kernel.interrupt()
    turn = client.finish(msg_id)
    assert turn.status == ("error" if "%time" in code else turn.status)
    assert client.execute("1").ok().result == "1"


@pytest.mark.differs("takes effect only at the loop's next wake-up")
def test_53_interrupt_of_await(client: Client, interrupt: Interrupt) -> None:
    client.execute("import asyncio")
    interrupted(client, interrupt, "await asyncio.sleep(60)")
    interrupted(client, interrupt, "await asyncio.Event().wait()")
    interrupted(client, interrupt, "await asyncio.gather(asyncio.sleep(60), asyncio.sleep(61))")
    client.execute("async def busy():\n  while True: await asyncio.sleep(0)")
    interrupted(client, interrupt, "await busy()")


def test_54_sigint_to_an_idle_kernel_does_nothing(kernel: Kernel, client: Client) -> None:
    client.execute("x = 1")
    for _ in range(10):
        kernel.interrupt()
        turn = client.execute("x")
        if turn.status != "ok":  # the signal may still land in the cell that follows at once
            turn.failed("KeyboardInterrupt")
    client.barrier()
    assert client.execute("x").ok().result == "1"
    if IS_HUSK:
        for p in kernel.members_of_session():
            os.kill(p.pid, signal.SIGINT)
        client.barrier("control")
        assert client.execute("x + 1").result in ("2", None)


def ignore_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_54_interrupt_of_a_kernel_started_with_sigint_ignored(start_kernel: Any) -> None:
    kernel = start_kernel(prepare=ignore_sigint)
    client = kernel.connect()
    interrupted(client, kernel.interrupt, "import time; time.sleep(60)")


@pytest.mark.husk
def test_54_interrupt_when_every_signal_is_blocked_at_start(start_kernel: Any) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))

    kernel = start_kernel(prepare=block)
    client = kernel.connect()
    interrupted(client, kernel.interrupt, "import time; time.sleep(60)")
    assert client.execute("import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [])").ok().result == "set()"


def test_55_interrupt_reply_comes_at_once(client: Client) -> None:
    turn = client.request("interrupt_request", {}, channel="control")
    assert turn.content["status"] == "ok"
    assert turn.reply.type == "interrupt_reply"
    msg_id = client.send_code("print('started', flush=True)\nimport time; time.sleep(60)")
    client.stream(msg_id, "started")
    turn = client.request("interrupt_request", {}, channel="control")
    cell = client.finish(msg_id).failed("KeyboardInterrupt")
    if IS_HUSK:
        assert turn.reply.date <= cell.reply.date


def test_55_interrupt_request_on_shell_is_answered(client: Client) -> None:
    turn = client.request("interrupt_request", {})
    assert turn.reply.type == "interrupt_reply"
    assert turn.reply.channel == "shell"


def test_55_interrupt_aborts_the_queue_and_later_requests_run(client: Client, interrupt: Interrupt) -> None:
    msg_id = client.send_code("print('started', flush=True)\nwhile True: pass")
    queued = [client.send_code("'queued'") for _ in range(3)]
    client.stream(msg_id, "started")
    client.barrier("control")
    interrupt()
    client.finish(msg_id).failed("KeyboardInterrupt")
    assert client.execute("'later'").status in ("ok", "aborted")
    assert [client.finish(m).status for m in queued] == ["aborted"] * 3
    assert client.execute("'last'").ok().result == "'last'"


def test_56_interrupt_stops_a_flood(client: Client, interrupt: Interrupt) -> None:
    msg_id = client.send_code("while True: print('x' * 100)")
    client.stream(msg_id, "x")
    interrupt()
    turn = client.finish(msg_id).failed("KeyboardInterrupt")
    assert turn.types[-1] == "idle"
    assert client.execute("1").ok().result == "1"


DEAF = "import itertools; 1 in itertools.repeat(0)"  # holds the GIL for ever, and never looks for signals


@pytest.mark.differs("its control thread needs the GIL")
def test_57_control_and_heartbeat_during_a_call_that_holds_the_gil(client: Client) -> None:
    msg_id = client.send_code("print('started', flush=True)\n" + "import ctypes; _ = ctypes.PyDLL(None).sleep(2)")
    client.stream(msg_id, "started")
    for n in range(10):
        assert client.heartbeat(b"beat %d" % n) == b"beat %d" % n
        client.request("kernel_info_request", channel="control")
    assert client.request("usage_request", channel="control").reply.type == "usage_reply"
    done = [m for m in client.of(msg_id) if m.channel == "shell"]
    assert done == [], "the cell ended too early to show anything"
    client.finish(msg_id).ok()


@pytest.mark.husk
@pytest.mark.stderr("did not end within", "SIGKILL")
def test_57_interrupt_of_a_call_that_never_returns_ends_in_a_kill(kernel: Kernel, client: Client) -> None:
    """Nothing but SIGKILL helps: the client gets a clear reply, and the kernel goes on with a fresh worker."""
    msg_id = client.send_code("print('started', flush=True)\n" + DEAF)
    client.stream(msg_id, "started")
    client.request("interrupt_request", channel="control")
    turn = client.finish(msg_id).failed("KeyboardInterrupt")
    assert turn.verdict == "interrupted"
    assert turn.reply.metadata["husk"]["state"] == "lost"
    assert "killed" in turn.content["evalue"]
    assert client.execute("6*7").ok().result == "42"


@pytest.mark.parametrize("restart", [False, True])
def test_58_shutdown(start_kernel: Any, restart: bool) -> None:
    kernel = start_kernel()
    client = kernel.connect()
    marker = kernel.directory / "atexit-ran"
    client.execute(f"import atexit; atexit.register(lambda: open({str(marker)!r}, 'w').close())").ok()
    turn = client.request("shutdown_request", {"restart": restart}, channel="control")
    assert turn.reply.type == "shutdown_reply"
    assert turn.content == {"status": "ok", "restart": restart}
    (copy,) = turn.of("shutdown_reply")
    assert copy.content == turn.content
    assert copy.header["msg_id"] != turn.reply.header["msg_id"]
    assert turn.types[0] == "busy"
    assert kernel.wait_exit(10) == 0
    assert marker.exists()
    assert kernel.file.exists()


def test_58_shutdown_on_shell_is_answered(kernel: Kernel, client: Client) -> None:
    msg_id = client.send("shutdown_request", {"restart": False})
    assert client.reply(msg_id).content["restart"] is False
    assert kernel.wait_exit(10) == 0


def test_58_a_file_that_the_kernel_made_is_removed(start_kernel: Any, tmp_path: Path) -> None:
    made = tmp_path / "new" / "made-by-kernel.json"
    kernel = start_kernel(file=made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    info = json.loads(made.read_text())
    assert len(info["key"]) >= 16
    assert info["signature_scheme"] == "hmac-sha256"
    assert kernel.connect().execute("1+1").ok().result == "2"
    assert kernel.shut_down() == 0
    assert not made.exists()


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)", "input('?')", DEAF])
@pytest.mark.differs("waits for the cell")
def test_59_shutdown_during_a_busy_cell(kernel: Kernel, client: Client, code: str) -> None:
    msg_id = client.send_code("print('started', flush=True)\n" + code, allow_stdin=True)
    client.stream(msg_id, "started")
    turn_id = client.send("shutdown_request", {"restart": False}, channel="control")
    assert client.reply(turn_id).content["status"] == "ok"
    assert kernel.wait_exit(10) == 0
    client.finish(msg_id)
    assert [m.content["status"] for m in client.of(msg_id) if m.channel == "shell"] == ["error"], "invariant 2"


@pytest.mark.husk
def test_59_queued_requests_are_answered_at_shutdown(kernel: Kernel, client: Client) -> None:
    msg_id = client.send_code("print('started', flush=True)\nimport time; time.sleep(60)")
    queued = [client.send_code("1"), client.send("complete_request", {"code": "a", "cursor_pos": 1})]
    client.stream(msg_id, "started")
    client.send("shutdown_request", {"restart": False}, channel="control")
    kernel.wait_exit(10)
    for m in [msg_id, *queued]:
        client.finish(m)  # sent, but perhaps not read by the client's own thread yet
        replies = [r for r in client.of(m) if r.channel == "shell"]
        assert len(replies) == 1, f"{len(replies)} replies"
        states = [s.content["execution_state"] for s in client.of(m) if s.type == "status"]
        assert states == ["busy", "idle"]


@pytest.mark.parametrize(
    "code",
    [
        "p = [subprocess.Popen(['sleep', '600']) for _ in range(3)]",
        "p = [subprocess.Popen(['sh', '-c', 'exit 0']) for _ in range(3)]",
        "p = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; while :; do sleep 1; done'])",
        "p = subprocess.Popen(['sh', '-c', 'sleep 600 & sleep 600'])",
        "import multiprocessing; p = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,)); p.start()",
        "import threading; t = threading.Thread(target=time.sleep, args=(600,)); t.start()",
    ],
)
def test_60_shutdown_with_children(kernel: Kernel, client: Client, code: str) -> None:
    client.execute(f"import subprocess, time\n{code}").ok()
    client.send("shutdown_request", {"restart": False}, channel="control")
    kernel.wait_exit(15)
    wait_until(lambda: not kernel.members_of_session(), "no process in the group", 5)


@pytest.mark.husk
def test_61_sigterm_ends_in_order(start_kernel: Any) -> None:
    kernel = start_kernel(expect_stderr=["SIGTERM|[Tt]erminat"], expect_exit=(0, 143, -15))
    client = kernel.connect()
    marker = kernel.directory / "atexit-ran"
    client.execute(f"import atexit; atexit.register(lambda: open({str(marker)!r}, 'w').close())").ok()
    os.kill(kernel.pid, signal.SIGTERM)
    kernel.wait_exit(10)
    assert marker.exists()
    assert "TERM" in kernel.stderr() or "erminat" in kernel.stderr(), "the reason is not logged"


@pytest.mark.husk
@pytest.mark.parametrize("code", ["while True: pass", DEAF, "input('?')"])
def test_61_sigterm_during_a_cell(start_kernel: Any, code: str) -> None:
    kernel = start_kernel(expect_stderr=["."], expect_exit=(0, 143, -15))
    client = kernel.connect()
    msg_id = client.send_code("print('started', flush=True)\n" + code, allow_stdin=True)
    client.stream(msg_id, "started")
    os.kill(kernel.pid, signal.SIGTERM)
    kernel.wait_exit(10)


@pytest.mark.husk
def test_61_sigkill_of_the_front_takes_the_worker(start_kernel: Any) -> None:
    kernel = start_kernel(expect_exit=(-9,))
    client = kernel.connect()
    msg_id = client.send_code("print('started', flush=True)\nwhile True: pass")
    client.stream(msg_id, "started")
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.wait_exit()
    wait_until(lambda: not kernel.members_of_session(), "the worker's end", 5)


PARENT = """
import os, signal, subprocess, sys
if sys.argv[1] == "env":
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
p = subprocess.Popen(sys.argv[2:], start_new_session=True)
print(p.pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("how", ["env", "plain"])
def test_62_parent_death(start_kernel: Any, tmp_path: Path, how: str) -> None:
    """The tests are a subreaper, so the kernel does not fall to pid 1 when its parent dies."""
    shell = Kernel(tmp_path)
    (tmp_path / "tmp").mkdir(exist_ok=True)
    with shell.stderr_path.open("ab") as stderr:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, how, *kernel_argv(shell.file)],
            env=shell.environment(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=tmp_path,
        )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())

        def ports() -> bool:
            try:
                return all(json.loads(shell.file.read_text()).get(f"{c}_port") for c in CHANNELS)
            except ValueError:
                return False

        wait_until(ports, "ports")
        everything = {pid, *(p.pid for p in descendants(pid))}
        parent.kill()
        parent.wait()
        if how == "env":
            wait_until(
                lambda: not [p for p in processes() if p.pid in everything and p.state != "Z"], "the kernel's end", 5
            )
        else:
            assert any(p.pid == pid for p in processes())
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for p in processes():
            if p.session == pid:
                os.kill(p.pid, signal.SIGKILL)
        wait_until(lambda: reaped(pid), "the kernel to be reaped")


def reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


@pytest.mark.kernel(members={"jupyter_session": "note.ipynb", "unknown": {"kept": [1, None]}})
def test_65_port_0_is_written_back(kernel: Kernel, client: Client) -> None:
    info = json.loads(kernel.file.read_text())
    assert stat.S_IMODE(kernel.file.stat().st_mode) == 0o600
    assert info["jupyter_session"] == "note.ipynb"
    assert info["unknown"] == {"kept": [1, None]}
    assert info["key"] == kernel.key
    ports = {info[f"{c}_port"] for c in CHANNELS}
    assert len(ports) == 5
    assert all(isinstance(p, int) and 0 < p < 65536 for p in ports)
    assert os.listdir(kernel.file.parent).count(kernel.file.name) == 1
    assert client.execute("1").ok().result == "1"


def test_65_ipc(start_kernel: Any, tmp_path: Path) -> None:
    prefix = tmp_path / "kernel-ipc"
    ports = {f"{c}_port": n for n, c in enumerate(CHANNELS, 1)}
    kernel = start_kernel(members={"transport": "ipc", "ip": str(prefix), **ports})
    wait_until(lambda: Path(f"{prefix}-1").is_socket(), "sockets")
    client = kernel.connect()
    assert client.execute("6*7").ok().result == "42"
    assert client.heartbeat() == b"ping"
    assert all(Path(f"{prefix}-{n}").is_socket() for n in range(1, 6))
    kernel.shut_down()
    assert [p for p in tmp_path.iterdir() if p.is_socket()] == []


@pytest.mark.husk
def test_65_ipc_with_port_0_and_leftover_sockets(start_kernel: Any, tmp_path: Path) -> None:
    prefix = tmp_path / "k"
    kernel = start_kernel(members={"transport": "ipc", "ip": str(prefix)})
    assert kernel.connect().execute("1").ok().result == "1"
    kernel.expect_exit = (-9,)
    kernel.kill()
    wait_until(lambda: not kernel.members_of_session(), "the worker's end")
    again = start_kernel(file=kernel.file)  # its sockets are still there
    assert again.connect().execute("2").ok().result == "2"


@pytest.mark.kernel(args=["--HistoryManager.hist_file=:memory:", "--X.y=z", "--IPKernelApp.unknown=1", "--no-stdout"])
def test_66_arguments_of_launchers(client: Client) -> None:
    assert client.execute("1+1").ok().result == "2"


@pytest.mark.ipython
def test_66_a_value_may_be_an_argument_of_its_own(start_kernel: Any, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "first.py").write_text("started = True")
    client = start_kernel(args=["--profile-dir", str(profile), "--HistoryManager.enabled", "False"]).connect()
    assert client.execute("started").ok().result == "True"
    assert client.execute("print(get_ipython().profile_dir.location)").ok().stdout == f"{profile}\n"


@pytest.mark.kernel(args=["file.py", "--HistoryManager.hist_file=:memory:", "another.py"])
def test_66_words_that_jupyter_run_hands_on(client: Client) -> None:
    assert client.execute("1+1").ok().result == "2"


@pytest.mark.ipython
def test_66_a_profile_by_name(start_kernel: Any, tmp_path: Path) -> None:
    """What `install --ipython-profile` writes names a profile of IPython's, and nothing complains about it."""
    profile = tmp_path / "ipython" / "profile_small"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "first.py").write_text("started = True")
    env = {"IPYTHONDIR": str(tmp_path / "ipython")}
    client = start_kernel(args=["--ipython-profile", "small"], env=env).connect()
    turn = client.execute("print(started, get_ipython().profile_dir.location)").ok()
    assert (turn.stdout, turn.stderr) == (f"True {profile}\n", "")


def test_66_f_with_equals_sign(start_kernel: Any, tmp_path: Path) -> None:
    plain = Kernel(tmp_path)
    argv = kernel_argv(plain.file)
    at = argv.index("-f")
    argv[at : at + 2] = [f"--f={plain.file}"]
    kernel = start_kernel(argv=argv, file=plain.file)
    assert kernel.connect().execute("1").ok().result == "1"


@pytest.mark.stderr(".")
@pytest.mark.exit(1)
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"shell_port": "x"}', "\x00\x01", '{"key": 5}', "{" * 100000])
def test_66_bad_connection_file(start_kernel: Any, tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    kernel = start_kernel(file=file, wait=False)
    assert kernel.wait_exit() != 0
    assert kernel.stderr().strip()
    if IS_HUSK:
        assert len(kernel.stderr().splitlines()) == 1
        assert "bad.json" in kernel.stderr()


def test_67_restart_with_the_same_ports_right_after_a_kill(start_kernel: Any) -> None:
    kernel = start_kernel()
    for n in range(5):
        client = kernel.connect()
        assert client.execute(f"{n}").ok().result == f"{n}"
        info = kernel.connection
        kernel.expect_exit = (-9,)
        os.killpg(kernel.pid, signal.SIGKILL)
        kernel.wait_exit()
        wait_until(lambda k=kernel: not k.members_of_session(), "the group's end")
        kernel = start_kernel(file=kernel.file)
        assert kernel.connection == info
    assert kernel.connect().execute("'up'").ok().result == "'up'"


@pytest.mark.husk
@pytest.mark.bound(600)
def test_68_start_and_stop_leave_nothing(start_kernel: Any, tmp_path: Path) -> None:
    """HUSK_TEST_CYCLES makes it 1000; every cycle is checked as every test is."""
    cycles = int(os.environ.get("HUSK_TEST_CYCLES", "20"))
    files = None
    for n in range(cycles):
        kernel = start_kernel()
        client = kernel.connect()
        if n % 3:
            assert client.execute(f"{n} + 1").ok().result == f"{n + 1}"
        assert kernel.shut_down() == 0
        kernel.close_clients()
        wait_until(lambda k=kernel: not k.members_of_session(), "no process of the kernel")
        kernel.file.unlink()
        kernel.stderr_path.unlink()
        names = sorted(str(p) for p in tmp_path.rglob("*"))
        files = files or names
        assert names == files
    assert len(descriptors()) < 60


def settled(client: Client) -> None:
    """All of this client's connections are accepted, and the history file is open: what a kernel does late it has done."""
    client.heartbeat()
    asked = client.send_code("input()", allow_stdin=True)
    client.answer(client.asked(asked), "")
    client.finish(asked).ok()
    client.request("history_request", {"hist_access_type": "tail", "n": 1}, channel="control").ok()


@pytest.mark.husk
def test_68_many_turns_leave_the_front_as_it_was(kernel: Kernel, client: Client) -> None:
    client.execute("x = 1")
    settled(client)
    before = descriptors(kernel.pid)
    threads = len(os.listdir(f"/proc/{kernel.pid}/task"))
    for n in range(300):
        if n % 3 == 0:
            client.execute("print(1)\n1/0")
        elif n % 3 == 1:
            with kernel.connect() as other:
                other.execute("x")
        else:
            client.request("complete_request", {"code": "pri", "cursor_pos": 3})
    left: dict[int, str] = {}

    def as_before() -> bool:
        left.clear()
        left.update(descriptors(kernel.pid))
        return len(left) <= len(before)

    try:
        wait_until(as_before, "descriptors closed", 5)
    except AssertionError:
        pytest.fail(f"before: {sorted(before.values())}\nnow: {sorted(left.values())}")
    assert len(os.listdir(f"/proc/{kernel.pid}/task")) == threads
