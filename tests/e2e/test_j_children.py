# SPDX-License-Identifier: Apache-2.0
"""What a session has running beside its worker when a limit is reached (specs/limits.md 5.5, 5.6), at each level."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from husk import OPEN_PYTHON, wait_until

pytestmark = pytest.mark.husk

LEVELS = ("none", "full", "full-nocg", "restricted")
NAMESPACED = ("full", "full-nocg")
RELIEVED = pytest.mark.stderr("the processes beside the worker have [0-9]+ MiB of the kernel's memory, .*killing")
# Processes that a session sees; those that it has not waited for do not count. An error: one has just gone.
N_ALIVE = "import glob; sum(open(p).read().rpartition(')')[2].split()[0] != 'Z' for p in glob.glob('/proc/[0-9]*/stat'))"
HOLD = """
import sys
def hold(mib):
    code = f"import sys; x = bytearray(b'x') * ({mib} << 20); print(1, flush=True); sys.stdin.read()"
    p = subprocess.Popen([sys.executable, '-c', code], stdin=-1, stdout=-1)
    p.stdout.readline()
    return p
"""
STUBBORN = """
script = "trap '' INT TERM; echo 1; while :; do sleep 9; done"
new = subprocess.Popen(["sh", "-c", script], stdout=-1, start_new_session=True)
new.stdout.readline()
"""


@pytest.fixture
def limited_at(start_kernel: Any, tmp_path: Path, possible: dict[str, Any]) -> Callable[..., Any]:
    """A client of a kernel of exactly that level with these limits, that has its shell and a variable."""

    def begin(level: str, **limits: str) -> Any:
        if level != "none" and not possible[level]["possible"]:
            pytest.skip(f"level {level} cannot be had here: {possible[level]['reason']}")
        values = " ".join(f'{name} = "{value}";' for name, value in limits.items())
        file = tmp_path / "limited.conf"
        network = 'network = { policy = "host"; };\n' if level == "none" else ""
        file.write_text(f'sandbox = {{ level = "{level}"; minimum = "{level}"; }};\n{network}limits = {{ {values} }};\n')
        file.chmod(0o644)
        client = start_kernel(args=["--profile", str(file), "--python", OPEN_PYTHON]).connect()
        client.execute("%time 1")
        client.execute("import os, subprocess, time; kept = 5").ok()
        return client

    return begin


def assert_kept(client: Any, turn: Any, ename: str) -> None:
    turn.failed(ename)
    assert turn.reply.metadata["husk"]["state"] == "kept"
    assert client.execute("kept").ok().result == "5"


@pytest.mark.parametrize("level", LEVELS)
def test_a_limit_ends_what_its_turn_has_started(limited_at: Callable[..., Any], level: str) -> None:
    """In a session of its own too; what an earlier turn has started goes on."""
    client = limited_at(level, wall="2 s", cpu="500 ms")
    client.execute("old = subprocess.Popen(['sleep', '99']); time.sleep(0.1)").ok()
    assert_kept(client, client.execute(STUBBORN + "time.sleep(30)"), "WallTimeLimitExceeded")
    assert client.execute("new.wait(10), old.poll()").ok().result == "(-9, None)"
    assert_kept(client, client.execute(STUBBORN + "while True: pass"), "CpuTimeLimitExceeded")
    assert client.execute("new.wait(10), old.poll()").ok().result == "(-9, None)"
    client.execute("old.kill(); old.wait()").ok()


@pytest.mark.parametrize("level", LEVELS)
def test_processes_of_a_turn_that_ends_by_itself_go_on(limited_at: Callable[..., Any], level: str) -> None:
    client = limited_at(level)
    client.execute("p = subprocess.Popen(['sleep', '99'])").ok()
    client.execute("q = subprocess.Popen(['sleep', '99']); 1/0").failed("ZeroDivisionError")
    assert client.execute("p.poll(), q.poll()").ok().result == "(None, None)"
    client.execute("p.kill(); q.kill(); p.wait(), q.wait()").ok()


@pytest.mark.parametrize("level", NAMESPACED)
def test_what_forks_for_ever_is_ended_beside_the_worker(limited_at: Callable[..., Any], level: str) -> None:
    """Each process has forked again before it is found."""
    client = limited_at(level, wall="1 s", cpu="60 s", processes="40")
    code = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    while True:
        try:
            if os.fork(): os._exit(0)
        except OSError: pass
time.sleep(30)
"""
    assert_kept(client, client.execute(code), "WallTimeLimitExceeded")
    client.execute("signal.signal(signal.SIGCHLD, signal.SIG_DFL)").ok()
    wait_until(lambda: client.execute(N_ALIVE).result == "1", "the worker alone")


@pytest.mark.parametrize("level", NAMESPACED)
def test_a_fork_bomb_does_not_outlive_its_error(limited_at: Callable[..., Any], level: str) -> None:
    """Each of its processes would fork again, as soon as another one ends."""
    client = limited_at(level, processes="40", memory="256 MiB")
    assert_kept(client, client.execute("for n in range(10**5): os.fork()", timeout=60), "BlockingIOError")
    wait_until(lambda: client.execute(N_ALIVE).result == "1", "the worker alone")


@RELIEVED
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("old", "new", "left"), [(60, 150, None), (250, 20, -9)])
def test_processes_that_have_most_of_the_memory_are_ended(
    limited_at: Callable[..., Any], level: str, old: int, new: int, left: int | None
) -> None:
    """Those of the turn, if that is enough, else all."""
    limits = {"husk": {"limits": {"memory": "200 MiB"}}}
    client = limited_at(level, memory="400 MiB")
    client.execute(HOLD).ok()
    client.execute(f"new = None; old = hold({old}); time.sleep(0.1)").ok()
    assert_kept(client, client.execute(f"new = hold({new}); time.sleep(30)", metadata=limits), "MemoryError")
    client.execute("if new: print(new.wait(10))").ok()
    assert client.execute(f"old.wait(10) if {left} else old.poll()").ok().result == (None if left is None else str(left))
    client.execute("y = bytearray(b'y') * (30 << 20)", metadata=limits).ok()
    client.execute("old.kill(); old.wait()").ok()


@RELIEVED
@pytest.mark.parametrize("level", LEVELS)
def test_forked_children_that_have_the_memory_are_ended(limited_at: Callable[..., Any], level: str) -> None:
    """Their turn is told, the next one has the memory again."""
    client = limited_at(level, memory="128 MiB")
    code = """
children = []
for _ in range(4):
    children.append(os.fork())
    if children[-1] == 0:
        held = bytearray(b"x") * (100 << 20)
        time.sleep(99)
time.sleep(30)
"""
    assert_kept(client, client.execute(code), "MemoryError")
    client.execute("ends = [os.waitpid(c, 0)[1] for c in children]").ok()
    assert set(client.execute("print(*ends)").ok().stdout.split()) <= {"9"}
    client.execute("mine = bytearray(b'x') * (60 << 20)").ok()
