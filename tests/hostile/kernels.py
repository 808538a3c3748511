# SPDX-License-Identifier: Apache-2.0
"""Kernels to attack: how each mode starts one, with what planted, and what of it can be seen from outside."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

from contain import Groups
from husk import Client, Kernel, Message, Process, descriptors, memory, processes

SLOW = float(os.environ.get("HUSK_HOSTILE_SLOW", "1"))  # a machine that is emulated: all times are so many times as long
TICKS = os.sysconf("SC_CLK_TCK")
KEPT_TEXT = 4 << 20  # bytes of output that a client keeps; the rest is counted
# Small enough that each attack ends soon, large enough that those which are not about it do not meet it on a busy machine.
LIMITS = {
    "wall": "12 s",
    "cpu": "12 s",
    "memory": "256 MiB",
    "output": "1 MiB",
    "output_messages": "2000",
    "processes": "64",
    "descriptors": "256",
    "file_size": "64 MiB",
    "disk": "32 MiB",
    "disk_files": "4000",
    "scratch": "32 MiB",
    "grace": "3 s",
    "input": "5 s",
    "service": "1 s",
}


@dataclass(frozen=True)
class Mode:
    """Who starts a kernel, and how it is confined."""

    name: str
    user: str = ""  # "": as the runner
    level: str = ""  # of the sandbox; "": a peer without one
    program: str = "husk"  # or ipykernel

    @property
    def has_verdicts(self) -> bool:
        return self.program == "husk"


MODES = {
    m.name: m
    for m in (
        Mode("root-full", level="full"),
        Mode("root-full-nocg", level="full-nocg"),
        Mode("root-restricted", level="restricted"),
        Mode("user-full", user="huskuser", level="full"),
        Mode("user-nocg", user="huskuser", level="full-nocg"),
        Mode("user-restricted", user="huskuser", level="restricted"),
        Mode("none"),
        Mode("ipykernel", user="huskuser", program="ipykernel"),
    )
}


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "( " + ", ".join(_setting(v) for v in value) + " )"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def scaled(limit: str) -> str:
    """A limit of time, on a slow machine."""
    number, _, unit = limit.partition(" ")
    return f"{float(number) * SLOW * (1000 if unit == 's' else 1):.0f} ms" if unit in ("s", "ms") and SLOW != 1 else limit


def profile_text(level: str, limits: dict[str, str], settings: dict[str, Any]) -> str:
    """A profile (husk-profile(5)) with these limits above the suite's own. Settings are named "section.name"; those outside of all
    sections have no dot."""
    sections: dict[str, dict[str, Any]] = {"sandbox": {"level": level, "minimum": level}, "": {}}
    for name, value in settings.items():
        section, _, rest = name.rpartition(".")
        sections.setdefault(section, {})[rest] = value
    sections["limits"] = {name: scaled(value) for name, value in (LIMITS | limits).items()}
    lines = []
    for section, values in sections.items():
        lines += [f"{section} = {{"] if section else []
        for name, value in values.items():
            plain = section == "limits" and value.isdigit()
            lines.append(f"{name} = {value if plain else _setting(value)};")
        lines += ["};"] if section else []
    return "\n".join([*lines, ""])


@dataclass
class Canaries:
    """Secrets of the tester's that no tenant may see."""

    environment: str = field(default_factory=lambda: "HUSKCANARY-" + uuid.uuid4().hex)
    file: str = field(default_factory=lambda: "HUSKCANARY-" + uuid.uuid4().hex)
    previous: str = field(default_factory=lambda: "HUSKCANARY-" + uuid.uuid4().hex)
    own: str = field(default_factory=lambda: uuid.uuid4().hex)  # the tenant's: found by a scan that works


class Watcher(Client):
    """A client that counts all output and keeps only the beginning of a flood."""

    def __init__(self, kernel: Kernel, **more: Any) -> None:
        self.n_bytes = 0
        self.n_messages = 0
        self.room = KEPT_TEXT
        super().__init__(kernel, options={"iopub": {zmq.RCVHWM: 200}}, **more)

    def _accept(self, channel: str, frames: list[bytes]) -> Message:
        message = super()._accept(channel, frames)
        if channel == "iopub" and message.type not in ("status", "execute_input", "iopub_welcome"):
            # As a kernel counts them: without the headers, of which a slow machine makes more for the same output.
            size = sum(len(f) for f in frames[len(message.identities) + 4 :])
            self.n_messages += 1
            self.n_bytes += size
            self.room -= size
            if self.room < 0:
                message.frames = message.buffers = []
                if message.type == "stream":
                    message.content["text"] = ""
                elif "data" in message.content:
                    message.content["data"] = {}
        elif channel == "stdin":
            self.n_messages += 1
        return message


class HostileKernel(Kernel):
    """A kernel of some mode, with planted secrets, in groups of its own."""

    mode: Mode
    groups: Groups | None = None
    canaries: Canaries
    profile: Path | None = None
    extra_env: dict[str, str]

    @classmethod
    def make(
        cls,
        mode: Mode,
        directory: Path,
        *,
        husk: str,
        python: str,
        limits: dict[str, str],
        settings: dict[str, Any],
        groups: Groups | None,
        canaries: Canaries,
        env: dict[str, str] | None = None,
    ) -> HostileKernel:
        directory.mkdir(parents=True, exist_ok=True)
        (directory.parent / "home").mkdir(exist_ok=True)  # all kernels of a run are one user's
        for name in ("tmp", "runtime", "work"):
            (directory / name).mkdir(exist_ok=True)
        (directory / "canary").write_text(canaries.file)
        (directory / "canary").chmod(0o600)
        kernel = cls(directory)
        kernel.mode, kernel.groups, kernel.canaries, kernel.extra_env = mode, groups, canaries, env or {}
        if mode.program == "ipykernel":
            kernel.argv = [python, "-m", "ipykernel_launcher", "-f", str(kernel.file)]
        else:
            kernel.argv = [husk, "--python", python, "-f", str(kernel.file), "--on-crash=respawn"]
            if mode.level:
                kernel.profile = directory / "hostile.conf"
                kernel.profile.write_text(profile_text(mode.level, limits, settings))
                kernel.argv = [husk, "--python", python, "-f", str(kernel.file), "--profile", str(kernel.profile)]
        kernel.prepare = kernel._prepare
        if mode.user and os.geteuid() == 0:
            who = pwd.getpwnam(mode.user)
            for path in (directory.parent / "home", directory, *directory.rglob("*")):
                os.chown(path, who.pw_uid, who.pw_gid)
            if groups and mode.level == "full":
                groups.give_to(who.pw_uid, who.pw_gid)
        return kernel

    def environment(self) -> dict[str, str]:
        home = str(self.directory.parent / "home")
        env = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "ASAN_OPTIONS") if name in os.environ}
        env |= {"HOME": home, "IPYTHONDIR": home + "/.ipython", "TMPDIR": str(self.directory / "tmp")}
        env |= {"JUPYTER_RUNTIME_DIR": str(self.directory / "runtime"), "XDG_RUNTIME_DIR": str(self.directory / "runtime")}
        if cache := os.environ.get("HUSK_HOSTILE_CACHE"):
            env["XDG_CACHE_HOME"] = cache
        return env | {"HUSK_TEST_SECRET": self.canaries.environment} | self.extra_env

    def _prepare(self) -> None:
        """In the child, before exec: the groups, then the user."""
        if self.groups:
            self.groups.enter()
        if self.mode.user and os.geteuid() == 0:
            who = pwd.getpwnam(self.mode.user)
            os.initgroups(self.mode.user, who.pw_gid)
            os.setresgid(who.pw_gid, who.pw_gid, who.pw_gid)
            os.setresuid(who.pw_uid, who.pw_uid, who.pw_uid)
        os.chdir(self.directory / "work")

    def watch(self, **more: Any) -> Watcher:
        """A client whose subscription is in force."""
        client = Watcher(self, **more)
        self.clients.append(client)
        if self.mode.program == "ipykernel":
            self._nudge(client)
        else:
            client.wait(lambda m: m.type == "iopub_welcome", "iopub_welcome")
        client.n_bytes = client.n_messages = 0
        return client

    def tree(self) -> list[Process]:
        """The front and all that descends from it, whatever namespace it is in. Zombies do not count."""
        everything = processes()
        found = [p for p in everything if p.pid == self.pid]
        parents = {self.pid}
        while parents:
            fresh = [p for p in everything if p.ppid in parents and p.state != "Z"]
            found += fresh
            parents = {p.pid for p in fresh}
        return found

    def cpu_seconds(self, pid: int | None = None) -> float:
        """Processor time of the front, or of all processes below it."""
        pids = [pid] if pid else [p.pid for p in self.tree() if p.pid != self.pid]
        return sum(process_cpu(p) for p in pids)

    def secrets(self) -> list[str]:
        return [self.key, self.canaries.environment, self.canaries.file, self.canaries.previous]


def process_cpu(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(rest[11]) + int(rest[12])) / TICKS
    return 0.0


def described(process: Process) -> str:
    """Name and command line of a process."""
    with contextlib.suppress(OSError):
        return process.name + " " + Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return process.name


def n_descriptors(pid: int) -> int:
    """How many a process has open. An ordinary user may not list those of a front, but Linux 6.2 and later say their number."""
    return len(descriptors(pid)) or os.stat(f"/proc/{pid}/fd").st_size


class Sampler(threading.Thread):
    """Watches a front from outside: memory, descriptors, processor."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.over = threading.Event()
        self.max_rss = 0
        self.max_fds = 0
        self.look()
        self.first_fds = self.max_fds

    def run(self) -> None:
        while not self.over.wait(0.05):
            self.look()

    def look(self) -> None:
        self.max_rss = max(self.max_rss, memory(self.pid))
        with contextlib.suppress(OSError):
            self.max_fds = max(self.max_fds, n_descriptors(self.pid))

    def stop(self) -> None:
        self.look()
        self.over.set()
        if self.is_alive():
            self.join()


@dataclass
class Snapshot:
    """What the machine has that a kernel could leave behind."""

    mounts: int
    files: frozenset[str]
    ipc: int

    @classmethod
    def take(cls, upper: Path | None) -> Snapshot:
        places = [Path("/dev/shm"), Path("/dev/mqueue"), Path("/var/tmp"), Path("/run/user")]
        files: set[str] = set()
        for place in [*places, *([upper] if upper else [])]:
            if place == upper:
                files |= {str(p) for p in place.iterdir() if not p.name.startswith("hostile-run-")}
            else:
                with contextlib.suppress(OSError):
                    files |= {str(p) for p in place.rglob("*")}
        ipc = 0
        for kind in ("shm", "sem", "msg"):
            with contextlib.suppress(OSError):
                ipc += len(Path("/proc/sysvipc", kind).read_text().splitlines()) - 1
        return cls(len(Path("/proc/self/mountinfo").read_text().splitlines()), frozenset(files), ipc)

    def differences(self, later: Snapshot) -> list[str]:
        found = []
        if later.mounts > self.mounts:
            found.append(f"{later.mounts - self.mounts} mounts left")
        if later.ipc > self.ipc:
            found.append(f"{later.ipc - self.ipc} System V objects left")
        return found + [f"file left: {name}" for name in sorted(later.files - self.files)[:5]]


TROUBLE = re.compile(r"Sanitizer|runtime error:|assert|[Ll]eak|double free|corrupt|invariant|internal error|unexpected", re.IGNORECASE)


def trouble(log: str) -> list[str]:
    """Lines of a front's log that a tenant must not be able to cause."""
    return [line for line in log.splitlines() if TROUBLE.search(line)]


def settle(claim: Any, seconds: float) -> bool:
    """Whether claim() became true in that time (longer on a slow machine)."""
    deadline = time.monotonic() + seconds * SLOW
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def remove_tree(path: Path) -> None:
    """Removes what a tenant has made, however deep it is."""
    subprocess.run(["rm", "-rf", str(path)], check=False, capture_output=True)
