# SPDX-License-Identifier: Apache-2.0
"""limits.disk and limits.disk_files of a workspace that is a directory of the host (specs/limits.md 9)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from husk import OPEN_PYTHON, wait_until

pytestmark = [pytest.mark.husk, pytest.mark.stderr(r"the sandbox has level full-nocg")]

LEVELS = ["full", "full-nocg", "restricted"]
MIB = 1 << 20
# Slow enough that a busy machine looks in time, and with an end of its own.
GROW = """
import os, time
def grow(mebibytes=300, name="grown"):
    with open(name, "ab", 0) as f:
        for _ in range(mebibytes):
            f.write(os.urandom(1 << 20))
            time.sleep(0.02)
"""
KILLED = r"the worker was killed by signal 9"
FULL = "[Errno 28] No space left on device: "


@pytest.fixture
def work(open_directory: Path) -> Path:
    """A directory that the tenant may fill at each level."""
    open_directory.chmod(0o777)
    return open_directory


Start = Callable[..., Any]


@pytest.fixture
def start(start_kernel: Any, tmp_path: Path, possible: Any) -> Start:
    """A client of a kernel with that workspace (None: one that the kernel makes) and those limits."""

    def begin(directory: Path | None, level: str = "full", **limits: Any) -> Any:
        if not possible[level]["possible"]:
            if level != "full" or not possible["full-nocg"]["possible"]:
                pytest.skip(f"level {level} cannot be had here: {possible[level]['reason']}")
            level = "full-nocg"
        text = f'sandbox = {{ level = "{level}"; minimum = "{level}"; }};\n'
        if directory:
            text += f'workspace = {{ directory = "{directory}"; }};\n'
        text += f"limits = {{ {' '.join(f'{k} = {json.dumps(v)};' for k, v in limits.items())} }};\n"
        profile = tmp_path / "tested.conf"
        profile.write_text(text)
        profile.chmod(0o644)
        return start_kernel(args=["--profile", str(profile), "--python", OPEN_PYTHON]).connect()

    return begin


def husk(turn: Any) -> dict[str, Any]:
    return turn.reply.metadata["husk"]


@pytest.mark.parametrize("level", LEVELS)
def test_what_grows_beyond_the_limit_gets_the_systems_error(start: Start, work: Path, level: str) -> None:
    client = start(work, level, disk="20 MiB")
    client.execute(GROW + "kept = 1").ok()
    turn = client.execute("grow()").failed("OSError")
    said = turn.reply.content["evalue"]
    assert said.startswith(FULL + "disk space of the workspace: 20 MiB allowed, ")
    assert said.endswith(" used; to have more, ask for a larger limits.disk in the kernel's profile")
    assert husk(turn)["verdict"] == "error" and husk(turn)["state"] == "kept"
    assert husk(turn)["usage"]["disk_bytes"] > 20 * MIB
    assert (work / "grown").stat().st_size < 300 * MIB
    assert client.execute("kept").ok().result == "1"


def test_a_workspace_that_the_kernel_makes_is_bounded_too(start: Start) -> None:
    client = start(None, "restricted", disk="20 MiB")
    client.execute(GROW).ok()
    turn = client.execute("grow()").failed("OSError")
    assert "limits.disk " in turn.reply.content["evalue"]


def test_many_files(start: Start, work: Path) -> None:
    client = start(work, disk_files=200)
    code = "import time\nfor n in range(20000):\n    open(f'f{n}', 'x').close(); time.sleep(0.001)"
    turn = client.execute(code).failed("OSError")
    assert turn.reply.content["evalue"].startswith(FULL + "files in the workspace: 200 allowed, ")
    assert husk(turn)["verdict"] == "error"
    assert len(list(work.iterdir())) < 20000


def test_deep_directories_count(start: Start, work: Path) -> None:
    client = start(work, disk_files=2000)
    code = """
import os, time
fd = os.open(".", os.O_RDONLY)
for n in range(20000):
    os.mkdir("d", dir_fd=fd)
    above, fd = fd, os.open("d", os.O_RDONLY, dir_fd=fd)
    os.close(above)
    time.sleep(0.0005)
"""
    turn = client.execute(code).failed("OSError")
    assert "limits.disk_files " in turn.reply.content["evalue"]
    subprocess.run(["rm", "-rf", work / "d"], check=True, timeout=60)


def test_code_may_handle_it(start: Start, work: Path) -> None:
    client = start(work, disk="20 MiB")
    client.execute(GROW).ok()
    code = """
try:
    grow()
except OSError as e:
    os.remove("grown")
    print(type(e) is OSError, e.errno, e.what, e.limit, e.used > e.limit)
time.sleep(10)
print("on")
"""
    turn = client.execute(code).ok()
    assert turn.stdout == f"True 28 disk {20 * MIB} True\non\n"
    assert husk(turn)["verdict"] == "ok"
    assert client.execute("1").ok().result == "1"


def test_a_turn_above_the_limit_may_tidy_up_and_not_add(start: Start, work: Path) -> None:
    (work / "large").write_bytes(os.urandom(30 * MIB))
    (work / "large").chmod(0o666)
    client = start(work, disk="20 MiB")
    client.execute(GROW + "time.sleep(2)").ok()
    assert husk(client.execute("x = 1").ok())["usage"]["disk_bytes"] >= 30 * MIB
    client.execute("open('note', 'w').write('small'); time.sleep(1)").ok()
    turn = client.execute("grow()").failed("OSError")
    assert turn.reply.content["evalue"].startswith(FULL)
    client.execute("time.sleep(1); os.remove('large'); os.remove('grown'); time.sleep(1)").ok()
    client.execute("grow(10)").ok()


@pytest.mark.stderr(r"the interrupted cell did not end within 1000 ms, killing the worker \(disk space of", KILLED)
def test_who_does_not_stop_is_ended(start: Start, work: Path) -> None:
    client = start(work, disk="20 MiB", grace="1 s")
    writer = "while :; do head -c 1048576 /dev/urandom >> grown; sleep 0.02; done"
    code = f"import subprocess; p = subprocess.Popen(['sh', '-c', {writer!r}]); sum(range(10**13))"
    turn = client.execute(code).failed("OSError")
    assert husk(turn)["verdict"] == "error" and husk(turn)["state"] == "lost"
    assert "limits.disk " in turn.reply.content["evalue"] and "variables are lost" in turn.reply.content["evalue"]
    assert client.execute("'p' in globals()").ok().result == "False"
    assert not growing(work / "grown")


@pytest.mark.stderr(r"its processes go on to fill it between turns, killing them", KILLED)
def test_who_grows_between_turns_is_ended(start: Start, work: Path) -> None:
    client = start(work, disk="20 MiB")
    client.execute(GROW).ok()
    client.execute("import threading; threading.Thread(target=grow, args=(100_000,), daemon=True).start()").ok()
    wait_until((work / "grown").exists, "the writer begins")
    wait_until(lambda: not growing(work / "grown"), "the writer ends", timeout=60)
    turn = client.execute("'grow' in globals()").ok()
    assert turn.result == "False" and husk(turn)["state"] == "lost"


def growing(path: Path) -> bool:
    """Whether it grows within a second."""
    size = path.stat().st_size
    try:
        wait_until(lambda: path.stat().st_size > size, "it grows", timeout=1)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_shut_does_not_hide_it(start: Start, work: Path, level: str) -> None:
    client = start(work, level, disk="20 MiB")
    client.execute(GROW + "os.mkdir('shut'); f = open('shut/grown', 'wb', 0); os.chmod('shut', 0)").ok()
    turn = client.execute("for n in range(300): f.write(os.urandom(1 << 20)); time.sleep(0.02)").failed("OSError")
    assert turn.reply.content["evalue"].startswith(FULL)
    assert client.execute("f.tell() < 300 << 20").ok().result == "True"
    (work / "shut").chmod(0o700)


def test_links_and_foreign_places_do_not_count(start: Start, work: Path) -> None:
    client = start(work, disk="20 MiB")
    client.execute(GROW).ok()
    code = "grow(8)\nfor n in range(20): os.link('grown', f'name{n}'); os.symlink('/usr', f'usr{n}')\ntime.sleep(1)"
    client.execute(code).ok()
    assert husk(client.execute("time.sleep(1)").ok())["usage"]["disk_bytes"] < 20 * MIB


def test_without_a_limit_nothing_is_measured(start: Start, work: Path) -> None:
    client = start(work, disk="none", disk_files="none")
    client.execute("1").ok()
    assert "disk_bytes" not in husk(client.execute("import time; time.sleep(0.5)").ok())["usage"]


def test_a_workspace_in_memory_is_exact(start: Start) -> None:
    client = start(None, disk="8 MiB")
    turn = client.execute("open('a', 'wb', 0).write(bytes(6 << 20))").ok()
    assert 6 * MIB <= husk(turn)["usage"]["disk_bytes"] <= 8 * MIB
    turn = client.execute(
        "open('b', 'wb', 0).write(bytes(1 << 20)); open('c', 'wb', 0).write(bytes(2 << 20)) < 2 << 20"
    )
    assert turn.ok().result == "True" and husk(turn)["usage"]["disk_bytes"] == 8 * MIB
    client.execute("open('d', 'wb', 0).write(bytes(1 << 20))").failed("OSError")
