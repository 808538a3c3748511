# SPDX-License-Identifier: Apache-2.0
"""Where hostile programs may run: namespaces and control groups around the whole runner, a group for each kernel.

As root the runner executes itself again as pid 1 of a pid namespace of its own, with a read-only root, private /run, /tmp and
/dev/shm, a network of loopback alone, and at most MEMORY bytes and TASKS tasks. So a sandbox that does not hold, and peers that
have none, harm nothing but the run. As an ordinary user there is only what the user was given (a scope of systemd's).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MEMORY = 4 << 30
TASKS = 2000
LEAF = "husk-leaf"  # where a kernel's own processes are in a group of v2 that it was given
INSIDE = "HUSK_HOSTILE_INSIDE"  # in the environment of the runner inside: path of the upper layer of /tmp
_ROOT = Path("/sys/fs/cgroup")
_V1 = ("memory", "pids", "cpu", "cpuacct")


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _own_groups() -> dict[str, Path]:
    """Hierarchies that matter, and this process' directory in each: "unified" alone with cgroup v2."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if names == "":
            if (_ROOT / "cgroup.controllers").exists():
                return {"unified": _ROOT / path.lstrip("/")}
            continue
        for name in names.split(","):
            if name in _V1:
                found[name] = _ROOT / name / path.lstrip("/")
    return {name: path for name, path in found.items() if path.is_dir()}


def _processes(path: Path) -> set[int]:
    with contextlib.suppress(OSError):
        return {int(pid) for pid in (path / "cgroup.procs").read_text().split()}
    return set()


class Groups:
    """A group in each hierarchy, with groups of kernels below."""

    def __init__(self, directories: dict[str, Path]) -> None:
        self.directories = directories

    @classmethod
    def make(cls, name: str) -> Groups:
        """Below this process' own group; with cgroup v2 and as root, below the root of the hierarchy."""
        own = _own_groups()
        if "unified" in own and os.geteuid() == 0:
            own["unified"] = _ROOT
        made = {h: path / name for h, path in own.items()}
        for path in made.values():
            path.mkdir()
        groups = cls(made)
        groups.bound(MEMORY, TASKS)
        return groups

    @classmethod
    def own(cls) -> Groups:
        """Those that this process is in, as far as it may make groups there."""
        return cls({h: path for h, path in _own_groups().items() if os.access(path, os.W_OK)})

    def bound(self, memory: int, tasks: int) -> None:
        for hierarchy, path in self.directories.items():
            with contextlib.suppress(OSError):
                if hierarchy == "memory":
                    _write(path / "memory.limit_in_bytes", str(memory))
                elif hierarchy == "pids":
                    _write(path / "pids.max", str(tasks))
                elif hierarchy == "unified":
                    _write(path / "memory.max", str(memory))
                    _write(path / "pids.max", str(tasks))

    def enter(self) -> None:
        """Puts the calling process into the groups."""
        for path in self.directories.values():
            tasks = path / "tasks"
            _write(tasks if tasks.exists() else path / "cgroup.procs", "0")

    def open_up(self) -> None:
        """With cgroup v2: lets groups be made below, for which this process has to leave for one of them."""
        path = self.directories.get("unified")
        if path:
            (path / "runner").mkdir(exist_ok=True)
            _write(path / "runner" / "cgroup.procs", "0")
            with contextlib.suppress(OSError):
                _write(path / "cgroup.subtree_control", "+memory +pids +cpu")

    def below(self, name: str) -> Groups:
        made = {h: path / name for h, path in self.directories.items()}
        for path in made.values():
            path.mkdir(exist_ok=True)
        return Groups(made)

    def give_to(self, uid: int, gid: int) -> None:
        for path in self.directories.values():
            for file in (path, path / "cgroup.procs", path / "cgroup.subtree_control"):
                with contextlib.suppress(OSError):
                    os.chown(file, uid, gid)

    def pids(self) -> set[int]:
        found = set()
        for path in self.directories.values():
            for file in path.rglob("cgroup.procs"):
                found |= _processes(file.parent)
        return found

    def _below(self) -> list[Path]:
        found = []
        for path in self.directories.values():
            with contextlib.suppress(OSError):
                found += [p for p in path.rglob("*") if p.is_dir()]
        return found

    def children(self) -> list[Path]:
        """Groups below these: what a kernel has made and not removed. It cannot leave the group into which it went to make others."""
        return [p for p in self._below() if p.name != LEAF or _processes(p)]

    def remove(self, seconds: float = 5.0) -> list[str]:
        """Kills what is in them and removes them; what could not be removed."""
        deadline = time.monotonic() + seconds
        left: list[str] = []
        while True:
            for pid in self.pids() - {0, os.getpid()}:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            left = []
            for path in sorted([*self._below(), *self.directories.values()], key=lambda p: -len(p.parts)):
                try:
                    path.rmdir()
                except FileNotFoundError:
                    pass
                except OSError as problem:
                    left.append(f"{path}: {problem.strerror}")
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.02)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _inside() -> None:
    """What pid 1 of the runner's namespaces does first. No harm is possible outside of what is mounted here."""
    _mount("-t", "proc", "proc", "/proc")
    layers = Path("/run")
    _mount("-t", "tmpfs", "-o", "mode=755,size=2g", "tmpfs", str(layers))
    for name in ("upper", "work"):
        (layers / name).mkdir()
    (layers / "upper").chmod(0o1777)
    options = f"lowerdir=/tmp,upperdir={layers}/upper,workdir={layers}/work"
    _mount("-t", "overlay", "-o", options, "overlay", "/tmp")
    _mount("-t", "tmpfs", "-o", "mode=1777,size=1g", "tmpfs", "/dev/shm")
    _mount("-t", "tmpfs", "-o", "mode=1777,size=1g", "tmpfs", "/var/tmp")
    _mount("-o", "remount,bind,ro", "/")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False) if _has("ip") else _loopback_up()
    os.environ[INSIDE] = str(layers / "upper")


def _has(program: str) -> bool:
    return any(os.access(Path(d, program), os.X_OK) for d in os.environ.get("PATH", "").split(":"))


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running


def is_inside() -> bool:
    return INSIDE in os.environ


def upper_of_tmp() -> Path | None:
    """The layer in which all that was made in /tmp can be seen, and nothing else."""
    return Path(os.environ[INSIDE]) if os.environ.get(INSIDE) else None


def enter(seconds: float, keep: tuple[int, ...] = ()) -> None:
    """
    Executes the program again inside, with the descriptors `keep`, waits little longer than that, removes everything, and exits with
    its code. Returns inside. As an ordinary user it returns at once, with the groups that the user has been given opened for kernels.
    """
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # orphans of kernels become ours, so that none can hide
    if os.environ.get(INSIDE) == "begin":
        _inside()
        Groups.own().open_up()
        return
    if os.geteuid() != 0:
        os.environ[INSIDE] = ""
        Groups.own().open_up()
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    groups = Groups.make(f"hostile-{os.getpid()}")
    try:
        command = ["unshare", "--mount", "--pid", "--fork", "--ipc", "--net", "--propagation", "private", "--kill-child"]
        command += [sys.executable, *sys.argv]
        process = subprocess.Popen(command, env=os.environ | {INSIDE: "begin"}, preexec_fn=groups.enter, pass_fds=keep)
        try:
            code = process.wait(seconds + 30)  # it ends itself in time
        except subprocess.TimeoutExpired:
            print(f"hostile: not done in {seconds:.0f} s, ended", file=sys.stderr)
            code = 124
            process.kill()
            process.wait()
        except KeyboardInterrupt:
            process.kill()
            process.wait()
            code = 130
    finally:
        for problem in groups.remove():
            print(f"hostile: left behind: {problem}", file=sys.stderr)
    sys.exit(code)
