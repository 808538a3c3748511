# SPDX-License-Identifier: Apache-2.0
"""One program against one kernel: what is done, what came of it, and what of that is not as stated."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contain import Groups, upper_of_tmp
from kernels import (
    KEPT_TEXT, SLOW, Canaries, HostileKernel, Mode, Sampler, Snapshot, Watcher, described, n_descriptors, remove_tree, settle,
    trouble,
)
from husk import SANITIZED, KernelDied, Turn, descendants
from listeners import Listeners
from neighbour import Meter, quantile
from programs import Expect, Program, prelude

NEXT_SECONDS = 2.0  # the cell after an attack is answered within
NOTICE = re.compile(r"output.{0,80}(limit|truncat|omitted|left out|cut)", re.IGNORECASE | re.DOTALL)


@dataclass
class Result:
    """What is printed and kept of one attack."""

    number: int
    title: str
    variant: str
    partial: str
    skipped: str = ""  # why it was not run
    faults: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def as_stated(self) -> bool:
        return not self.faults and not self.skipped


@dataclass
class Place:
    """What all attacks of a run share."""

    mode: Mode
    directory: Path
    husk: str
    python: str
    modules: set[str]
    groups: Groups | None
    previous: str = ""  # a secret that was in a kernel which has ended
    meter: Meter | None = None
    neighbour: HostileKernel | None = None
    companion: HostileKernel | None = None  # one more, for what a test does with another kernel
    companion_client: Watcher | None = None
    count: int = 0


@dataclass
class Attack:
    """The attack that is going on."""

    place: Place
    program: Program
    expect: Expect
    kernel: HostileKernel
    listeners: Listeners
    result: Result
    client: Any = None
    turn: Turn | None = None
    ended: bool = False  # the action has ended the kernel
    n_before: int = 0  # processes of the kernel before the attack
    begun: float = 0.0

    def fault(self, text: str) -> None:
        self.result.faults.append(text)

    @property
    def timeout(self) -> float:
        return SLOW * (min(self.expect.within + 3, 12) if not self.place.mode.level else self.expect.within + 8)

    def code(self, text: str) -> str:
        """A cell with the program's preludes and the tester's facts filled in."""
        return self.fill("\n".join([*(prelude(name) for name in self.program.prelude), text]))

    def fill(self, text: str) -> str:
        facts = {
            "CANARY_FILE": str(self.kernel.directory / "canary"),
            "HOME": str(self.kernel.directory.parent / "home"),
            "OUTSIDE": str(self.kernel.directory / "outside"),
            "OWN": self.kernel.canaries.own,
            "FRONT_PORT": str(self.kernel.connection.get("shell_port", 0)),
            "FRONT_PID": str(self.kernel.pid if self.kernel.process else 0),
        } | self.listeners.facts()
        return re.sub(r"@([A-Z_]+)@", lambda m: facts.get(m[1], m[0]), text)

    def send(self, **more: Any) -> str:
        self.begun = time.monotonic()
        return self.client.send_code(self.code(self.program.attack), **more)

    def finish(self, msg_id: str) -> Turn:
        self.turn = self.client.finish(msg_id, self.timeout)
        self.result.seen["seconds"] = round(time.monotonic() - self.begun, 3)
        return self.turn

    def run(self) -> Turn:
        """The attack's cell, to its end."""
        return self.finish(self.send())


def start(place: Place, program: Program, listeners: Listeners, result: Result, env: dict[str, str] | None = None) -> Attack:
    """A kernel for the program, not started yet."""
    place.count += 1
    directory = place.directory / f"{program.number:03}-{place.count}"
    (directory / "outside").mkdir(parents=True)
    for name in ("output", "output-1", "output-2", "output-3", "output.txt"):
        (directory / "outside" / name).write_text("untouched")
    groups = place.groups.below(f"k-{place.count}") if place.groups and place.groups.directories else None
    if groups:
        groups.bound(2 << 30 if place.mode.level else 1 << 30, 1000 if place.mode.level else 300)
    canaries = Canaries(previous=place.previous or Canaries().previous)
    attack = Attack(place, program, program.expected(place.mode.level), None, listeners, result)  # type: ignore[arg-type]
    facts = listeners.facts()
    settings = {k: [_filled(x, facts) for x in v] if isinstance(v, (list, tuple)) else _filled(v, facts) for k, v in program.settings.items()}
    attack.kernel = HostileKernel.make(
        place.mode, directory, husk=place.husk, python=place.python, limits=dict(program.limits), settings=settings, groups=groups,
        canaries=canaries, env=env,
    )
    return attack


def _filled(value: Any, facts: dict[str, str]) -> Any:
    return re.sub(r"@([A-Z_]+)@", lambda m: facts.get(m[1], m[0]), value) if isinstance(value, str) else value


def verdict_of(turn: Turn, mode: Mode) -> str:
    return turn.verdict if mode.has_verdicts else turn.status


def judge_turn(a: Attack) -> None:
    """The attack's own reply."""
    turn, expect, seen = a.turn, a.expect, a.result.seen
    assert turn is not None
    metadata = turn.reply.metadata.get("husk", {})
    seen["verdict"] = verdict_of(turn, a.place.mode)
    seen["state"] = metadata.get("state", "")
    seen["ename"] = turn.content.get("ename", "")
    seen["evalue"] = str(turn.content.get("evalue", ""))[:200]
    if turn.status == "error" and seen["verdict"] in ("error", ""):
        seen["traceback"] = "\n".join(turn.content.get("traceback", []))[-600:]
    seen["stdout"] = a.fill(turn.stdout)[:1500]
    if turn.stderr:
        seen["stderr"] = turn.stderr[-400:]
    seen["n_bytes"], seen["n_messages"] = a.client.n_bytes, a.client.n_messages
    if usage := metadata.get("usage"):
        seen["usage"] = usage
    if seen["verdict"] not in expect.verdict:
        a.fault(f"verdict {seen['verdict'] or 'none'} instead of {' or '.join(expect.verdict)}")
    if expect.ename and not re.fullmatch(expect.ename, seen["ename"]):
        a.fault(f"ename {seen['ename'] or 'none'} instead of {expect.ename}")
    if expect.evalue and not re.search(expect.evalue, str(turn.content.get("evalue", ""))):
        a.fault(f"evalue {seen['evalue']!r} without {expect.evalue}")
    if expect.stdout and not re.search(a.fill(expect.stdout), turn.stdout):
        a.fault(f"stdout {turn.stdout[:160]!r} without {expect.stdout!r}")
    if expect.no_stdout and re.search(expect.no_stdout, turn.stdout):
        a.fault(f"stdout {turn.stdout[:160]!r} with {expect.no_stdout!r}")
    if seen.get("seconds", 0) > expect.within * SLOW:
        a.fault(f"took {seen['seconds']} s instead of {expect.within} s")
    if expect.truncated and not metadata.get("truncated"):
        a.fault("not said to be truncated")
    if expect.notices:
        n = sum(1 for m in turn.of("stream") if NOTICE.search(m.content["text"][-2000:]) or NOTICE.search(m.content["text"][:2000]))
        if n != expect.notices:
            a.fault(f"{n} notices of cut output instead of {expect.notices}")
    if expect.cpu_per_wall and metadata.get("usage"):
        usage = metadata["usage"]
        used = usage.get("cpu_usec") or usage.get("cpu_user_usec", 0) + usage.get("cpu_system_usec", 0)
        seen["cpu_per_wall"] = round(used / max(1, usage.get("wall_usec", 1)), 2)
        if seen["cpu_per_wall"] > expect.cpu_per_wall:
            a.fault(f"{seen['cpu_per_wall']} processors used, with a share of {expect.cpu_per_wall}")


def judge_floods(a: Attack) -> None:
    """What the client got and what the front used."""
    expect, client = a.expect, a.client
    if expect.bytes_at_most and client.n_bytes > expect.bytes_at_most:
        a.fault(f"{client.n_bytes} bytes of output came, {expect.bytes_at_most} are the most")
    if expect.messages_at_most and client.n_messages > expect.messages_at_most:
        a.fault(f"{client.n_messages} messages of output came, {expect.messages_at_most} are the most")
    if expect.front_cpu_after:
        before = a.kernel.cpu_seconds(a.kernel.pid)
        client_wait(client, 1.0)
        used = a.kernel.cpu_seconds(a.kernel.pid) - before
        a.result.seen["front_cpu_after"] = round(used, 3)
        if used > expect.front_cpu_after:
            a.fault(f"the front used {used:.2f} of a processor after the turn")


def client_wait(client: Watcher, seconds: float) -> None:
    """Takes in what comes in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.pump(min(0.1, max(0.0, end - time.monotonic())))


def run_after(a: Attack) -> None:
    """The program's second cell."""
    if not a.program.after:
        return
    turn = a.client.execute(a.code(a.program.after), timeout=10 * SLOW)
    a.result.seen["after"] = (turn.stdout or turn.result or turn.content.get("ename", ""))[:300]
    expect = a.expect
    if expect.after_stdout and not re.search(expect.after_stdout, turn.stdout):
        a.fault(f"the cell after it printed {turn.stdout[:100]!r}, {turn.content.get('ename', '')} {turn.content.get('evalue', '')}")
    if expect.after_result and turn.result != expect.after_result:
        a.fault(f"the cell after it gave {turn.result!r}, {turn.content.get('ename', '')} {turn.content.get('evalue', '')}")
    if expect.after_ename and not re.fullmatch(expect.after_ename, turn.content.get("ename", "")):
        a.fault(f"the cell after it gave {turn.content.get('ename', 'no error')} instead of {expect.after_ename}")


def run_next(a: Attack) -> None:
    """The next cell asks for the variable of before."""
    wanted = repr(f"canary-{a.program.number}")
    said = a.result.seen.get("state", "")
    tries = a.expect.tries if SLOW == 1 else max(a.expect.tries, 4)
    for n in range(tries):
        begin = time.monotonic()
        turn = a.client.execute("canary if 'canary' in globals() else 'none'", timeout=15 * SLOW)
        took = time.monotonic() - begin
        a.result.seen["next_seconds"] = round(took, 3)
        name = turn.content.get("ename", "")
        # A fresh worker's first cell makes the shell: on an emulated machine that takes longer than the shortest limits.
        is_slow = name in ("WallTimeLimitExceeded", "CpuTimeLimitExceeded") and a.expect.tries == 1
        if turn.result in (wanted, "'none'") or (a.expect.tries == 1 and not is_slow):
            break
    found = "kept" if turn.result == wanted else "lost" if turn.result == "'none'" else f"unclear ({turn.status} {name})"
    a.result.seen["found"] = found
    if took > NEXT_SECONDS * SLOW:
        a.fault(f"the next cell took {took:.1f} s")
    if a.expect.next == "any":
        if found == "kept" and said in ("lost", "restored"):
            a.fault(f"variables kept, but the reply said {said}")
        return
    allowed = {"kept"} if "kept" in a.expect.state else set()
    allowed |= {"lost"} if "restored_or_lost" in a.expect.state else set()
    if found not in allowed:
        a.fault(f"variables {found} instead of {' or '.join(a.expect.state)}")
    if said and found in ("kept", "lost") and said != found and not (a.program.after and said == "kept"):
        a.fault(f"the reply said {said}, the variables are {found}")


def check_processes(a: Attack) -> None:
    """What the attack has left running while the kernel goes on."""
    expect = a.expect
    if expect.gone and not settle(lambda: not _marked(a), 1.0):
        a.fault(f"still there a second later: {_marked(a)[:3]}")
    if expect.alone and not settle(lambda: len(a.kernel.tree()) <= a.n_before, expect.alone):
        a.fault(f"{len(a.kernel.tree()) - a.n_before} more processes than before")


def _marked(a: Attack) -> list[str]:
    texts = [described(p) for p in a.kernel.tree()] if not a.ended else [described(p) for p in descendants(os.getpid())]
    return [t for t in texts if a.expect.gone in t]


def check_secrets(a: Attack) -> None:
    if a.expect.no_secrets:
        everything = " ".join(str(m.content) for m in a.client.log if m.type not in ("execute_input",))
        for name, secret in zip(("key", "environment", "file", "previous kernel"), a.kernel.secrets(), strict=True):
            if secret in everything:
                a.fault(f"the tenant has seen the {name} canary")


def end(a: Attack, sampler: Sampler, known: set[int]) -> None:
    """Ends the kernel and looks for what is left."""
    kernel = a.kernel
    begin = time.monotonic()
    if not a.ended:
        try:
            if kernel.exit_code() is None and a.client:
                a.client.send("shutdown_request", {"restart": False}, channel="control")
                kernel.wait_exit((5 if a.turn else 1) * SLOW)
            if kernel.exit_code() not in (0, None) and a.place.mode.has_verdicts:
                a.fault(f"the kernel ended with {kernel.exit_code()}")
        except (AssertionError, OSError):
            a.fault("not ended in time after a shutdown_request")
    kernel.kill()
    a.result.seen["end_seconds"] = round(time.monotonic() - begin, 3)
    sampler.stop()
    a.result.seen["front"] = {"rss": sampler.max_rss, "fds": sampler.max_fds, "first_fds": sampler.first_fds}
    if a.place.mode.has_verdicts and sampler.max_rss > a.expect.front_rss * (4 if SANITIZED else 1):
        a.fault(f"the front used {sampler.max_rss >> 20} MiB")
    if a.place.mode.has_verdicts and sampler.max_fds > sampler.first_fds + (8 if a.expect.front_fds_constant else 64):
        a.fault(f"the front had {sampler.max_fds} descriptors, {sampler.first_fds} at first")
    kernel.close_clients()
    if not settle(lambda: not strays(known), 2.0):
        a.fault("processes left: " + ", ".join(described(p)[:80] for p in strays(known)[:4]))
        for p in strays(known):
            with contextlib.suppress(ProcessLookupError):
                os.kill(p.pid, 9)
        settle(lambda: not strays(known), 5.0)
    if kernel.groups:
        if not settle(lambda: not kernel.groups.children(), 1.0):
            a.fault(f"groups left: {[str(p) for p in kernel.groups.children()][:3]}")
        for text in kernel.groups.remove():
            a.fault(f"cannot be removed: {text}")
    if a.place.mode.has_verdicts:
        for line in trouble(kernel.stderr())[:3]:
            a.fault(f"the front's log: {line[:200]}")
    left = [str(p) for p in (kernel.directory / "tmp").rglob("*")] if a.place.mode.has_verdicts and a.place.mode.level else []
    if left:
        a.fault(f"left in TMPDIR: {left[:3]}")


def strays(known: set[int]) -> list[Any]:
    """Our descendants that were not there before; orphans that are zombies are reaped."""
    from husk import processes

    for p in processes():
        if p.ppid == os.getpid() and p.state == "Z" and p.pid not in known:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(p.pid, os.WNOHANG)
    return [p for p in descendants(os.getpid()) if p.pid not in known]


def skipped(place: Place, program: Program) -> str:
    """Why a program cannot be run here; "" when it can."""
    if program.machines and platform.machine() not in program.machines:
        return f"written for {', '.join(program.machines)}"
    if missing := set(program.needs) - place.modules:
        return f"the environment has no {', '.join(sorted(missing))}"
    return ""


def run(place: Place, program: Program) -> Result:
    """Starts a kernel, attacks it, ends it; never raises for what the kernel did."""
    from actions import ACTIONS

    result = Result(program.number, program.title, program.variant, program.partial, skipped(place, program))
    if result.skipped:
        return result
    upper = upper_of_tmp()
    known = {p.pid for p in descendants(os.getpid())}
    own_fds = len(os.listdir("/proc/self/fd"))
    before = Snapshot.take(upper)
    begin = time.monotonic()
    with Listeners(place.directory) as listeners:
        attack = start(place, program, listeners, result)
        sampler = None
        try:
            if attack.expect.refused:
                check_refused(attack)
                raise Refused
            attack.kernel.start()
            sampler = Sampler(attack.kernel.pid)
            sampler.start()
            attack.client = attack.kernel.watch()
            prepare(attack)
            if program.setup:
                turn = attack.client.execute(attack.code(program.setup), timeout=30 * SLOW)
                if turn.status != "ok":
                    attack.fault(f"setting up failed: {turn.content.get('ename')}: {turn.content.get('evalue')}")
            attack.n_before = len(attack.kernel.tree())
            attack.client.n_bytes = attack.client.n_messages = 0
            sampler.first_fds = n_descriptors(attack.kernel.pid)
            ACTIONS[program.action](attack)
            after_attack(attack)
        except Refused:
            pass
        except KernelDied as problem:
            attack.fault(f"the kernel died: {problem}")
        except AssertionError as problem:
            attack.fault(str(problem)[:400] or "an assertion failed")
        except Exception as problem:  # what a kernel does must not end the run
            attack.fault(f"{type(problem).__name__}: {problem}"[:400])
        except BaseException:  # but the run's own end does
            attack.kernel.kill()
            raise
        attack.result.seen["log"] = attack.kernel.stderr()[-600:]
        if attack.kernel.process:
            end(attack, sampler or Sampler(attack.kernel.pid), known)
        elif attack.kernel.groups:
            attack.kernel.groups.remove()
    finish_time = time.monotonic()
    remove_tree(attack.kernel.directory)
    if attack.kernel.directory.exists():
        result.faults.append("the kernel's directory cannot be removed")
    result.faults += before.differences(Snapshot.take(upper))
    if len(os.listdir("/proc/self/fd")) > own_fds + 2:
        result.seen["own_fds"] = [own_fds, len(os.listdir("/proc/self/fd"))]
    if place.meter:
        times = place.meter.between(begin, finish_time)
        result.seen["neighbour"] = {"n": len(times), "p50": round(quantile(times, 0.5), 4), "p99": round(quantile(times, 0.99), 4)}
    result.seen["total_seconds"] = round(finish_time - begin, 2)
    return result


class Refused(Exception):
    """The kernel has not started, as stated."""


def check_refused(a: Attack) -> None:
    a.kernel.start(wait=False)
    try:
        code = a.kernel.wait_exit(10 * SLOW)
        if code == 0 or not re.search(a.expect.refused, a.kernel.stderr()):
            a.fault(f"refused with {code} and {a.kernel.stderr()[-300:]!r}")
    except AssertionError:
        a.fault("the kernel has started")
    a.ended = True


def prepare(a: Attack) -> None:
    """The variable that is asked for afterwards, and a shell that is there: making it must not be what a short limit meets."""
    a.client.execute(f"canary = 'canary-{a.program.number}'").ok()
    for _ in range(4):
        if a.client.execute("get_ipython()").status == "ok":
            break


def after_attack(a: Attack) -> None:
    """All checks between the attack and the kernel's end."""
    a.client.room = KEPT_TEXT
    if a.turn:
        judge_turn(a)
        judge_floods(a)
    check_processes(a)
    if not a.ended and a.expect.next != "none":
        run_after(a)
        run_next(a)
    check_secrets(a)
    ids = [m.parent_id for m in a.client.log if m.channel in ("shell", "control")]
    if doubled := [i for i in set(ids) if ids.count(i) > 1]:
        a.fault(f"{len(doubled)} requests were answered more than once")
