# SPDX-License-Identifier: Apache-2.0
"""What the tester does beside running the attack's cell. Each action sets the attack's turn, and names what it finds wrong."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from attack import Attack, Result, client_wait, start
from husk import KernelDied
from kernels import SLOW, described, settle

MANY = 12  # kernels at once
SOURCE = Path(__file__).parents[2]
ACTIONS: dict[str, Callable[[Attack], None]] = {}


def action(function: Callable[[Attack], None]) -> Callable[[Attack], None]:
    ACTIONS[function.__name__] = function
    return function


@action
def attack(a: Attack) -> None:
    """Nothing else."""
    a.run()


@action
def shut_down(a: Attack) -> None:
    """A shutdown is answered within 2 s, and everything ends."""
    a.run()
    begin = time.monotonic()
    a.client.reply(a.client.send("shutdown_request", {"restart": False}, channel="control"), 10 * SLOW)
    answered = time.monotonic() - begin
    a.kernel.wait_exit(10 * SLOW)
    a.ended = True
    a.result.seen["shutdown_seconds"] = [round(answered, 3), round(time.monotonic() - begin, 3)]
    if answered > 2 * SLOW:
        a.fault(f"shutdown was answered after {answered:.1f} s")
    if time.monotonic() - begin > 4 * SLOW:
        a.fault(f"the kernel ended {time.monotonic() - begin:.1f} s after the request")


@action
def background(a: Attack) -> None:
    """What goes on after the turn ends by itself."""
    a.run()
    deadline = time.monotonic() + a.expect.idle_within * SLOW
    begin = time.monotonic()
    while time.monotonic() < deadline:
        pids = {p.pid for p in a.kernel.tree()}
        used = {p: a.kernel.cpu_seconds(p) for p in pids}
        client_wait(a.client, 0.5)
        if sum(max(0.0, a.kernel.cpu_seconds(p) - used[p]) for p in pids) < 0.1:
            a.result.seen["idle_after"] = round(time.monotonic() - begin, 1)
            return
    a.fault(f"computes on {a.expect.idle_within * SLOW} s after its turn")


@action
def interrupt_between(a: Attack) -> None:
    """Interrupts while nothing runs."""
    a.run()
    for _ in range(3):
        if a.kernel.mode.has_verdicts:
            a.client.finish(a.client.send("interrupt_request", {}, channel="control"))
        a.kernel.process.send_signal(signal.SIGINT)
    client_wait(a.client, 0.2)


@action
def end_with_daemon(a: Attack) -> None:
    """A process that the attack has left behind ends with the kernel."""
    a.run()
    if not settle(lambda: any(a.expect.gone in described(p) for p in a.kernel.tree()), 2):
        a.fault(f"no process {a.expect.gone} was seen before the end")
    pids = [p.pid for p in a.kernel.tree() if a.expect.gone in described(p)]
    a.client.send("shutdown_request", {"restart": False}, channel="control")
    a.kernel.wait_exit(10 * SLOW)
    a.ended = True
    begin = time.monotonic()
    settle(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 2)
    a.result.seen["gone_after"] = round(time.monotonic() - begin, 3)


@action
def watch_outside(a: Attack) -> None:
    """Nothing outside of the workspace is written, and the front answers meanwhile."""
    msg_id = a.send()
    if a.kernel.mode.has_verdicts:
        begin = time.monotonic()
        a.client.finish(a.client.send("kernel_info_request", {}, channel="control"))
        if time.monotonic() - begin > 1 * SLOW:
            a.fault(f"control was answered after {time.monotonic() - begin:.1f} s")
    a.finish(msg_id)
    outside = a.kernel.directory / "outside"
    for path in outside.iterdir():
        if path.name not in ("output", "output-1", "output-2", "output-3", "output.txt") or path.read_text() != "untouched":
            a.fault(f"written outside of the workspace: {path.name}")


@action
def neighbour_imports(a: Attack) -> None:
    """Another kernel imports as before."""
    a.run()
    assert a.place.companion_client is not None
    begin = time.monotonic()
    turn = a.place.companion_client.execute("import sys\nfor n in ('wave', 'json.tool', 'colorsys'): sys.modules.pop(n, None)\nimport wave, json.tool, colorsys")
    if turn.status != "ok" or time.monotonic() - begin > 3 * SLOW:
        a.fault(f"the neighbour's imports: {turn.content.get('ename', 'ok')} after {time.monotonic() - begin:.1f} s")


@action
def neighbour_draws(a: Attack) -> None:
    """Another kernel draws other numbers."""
    mine = a.run().stdout.split()[1:4]
    assert a.place.companion_client is not None
    theirs = a.place.companion_client.execute(a.code(a.program.attack), timeout=30 * SLOW).stdout.split()[1:4]
    if len(theirs) != 3 or any(x == y for x, y in zip(mine, theirs, strict=False)):
        a.fault(f"two kernels drew {mine} and {theirs}")


@action
def second_client(a: Attack) -> None:
    """Another client of the same kernel gets nothing on its own channels."""
    other = a.kernel.watch()
    a.run()
    client_wait(other, 0.3)
    if wrong := [m for m in other.log if m.channel in ("shell", "control", "stdin")]:
        a.fault(f"another client got {wrong[0]}")
    sent = set(a.client.sent) | set(other.sent)
    if wrong := [m for m in other.log if m.channel == "iopub" and m.parent_id and m.parent_id not in sent]:
        a.fault(f"another client saw {wrong[0]}")


@action
def listen_after(a: Attack) -> None:
    """What comes after the reply is counted too."""
    a.run()
    client_wait(a.client, 3.0)
    a.result.seen["n_bytes_late"] = a.client.n_bytes


@action
def answer_input(a: Attack) -> None:
    """Every input_request is answered at once."""
    msg_id = a.send(allow_stdin=True)
    answered = 0
    deadline = time.monotonic() + a.timeout
    while time.monotonic() < deadline:
        a.client.pump(0.1)
        for message in [m for m in a.client.log if m.type == "input_request"][answered:]:
            a.client.answer(message, "x")
            answered += 1
        if any(m.parent_id == msg_id and m.channel == "shell" for m in a.client.log):
            break
    a.result.seen["n_prompts"] = answered
    a.finish(msg_id)


@action
def ignore_input(a: Attack) -> None:
    """No input_request is answered."""
    a.finish(a.send(allow_stdin=True))


@action
def restart(a: Attack) -> None:
    """Every later request gets its one reply, and the kernel ends when told to."""
    a.run()
    turn = a.client.execute("1 + 1", timeout=10 * SLOW)
    a.result.seen["then"] = turn.content.get("ename", turn.result)
    for kind, content in (("complete_request", {"code": "pri", "cursor_pos": 3}), ("inspect_request", {"code": "int", "cursor_pos": 3, "detail_level": 0}),
            ("is_complete_request", {"code": "1"}), ("history_request", {"hist_access_type": "tail", "n": 3, "raw": True, "output": False}),
            ("kernel_info_request", {})):
        a.client.reply(a.client.send(kind, content), 10 * SLOW)
    a.client.reply(a.client.send("shutdown_request", {"restart": True}, channel="control"), 10 * SLOW)
    a.kernel.wait_exit(10 * SLOW)
    a.ended = True


@action
def listen(a: Attack) -> None:
    """Sockets of the tester's are not reached."""
    turn = a.run()
    reached = a.listeners.reached()
    if extra := set(reached) - set(a.expect.reached or ()):
        a.fault(f"reached: {', '.join(sorted(extra))}")
    if a.expect.statuses_403 and turn.stdout.count("403") < a.expect.statuses_403:
        a.fault(f"{turn.stdout.count('403')} requests were refused with 403")


@action
def kill_front(a: Attack) -> None:
    """SIGKILL for the front: its sandbox is gone within a second."""
    a.run()
    pids = {p.pid for p in a.kernel.tree()}
    a.kernel.process.kill()
    a.kernel.process.wait()
    a.ended = True
    begin = time.monotonic()

    def left() -> list[int]:
        found = []
        for pid in pids:
            try:
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(pid)
            except OSError:
                pass
        return found

    settle(lambda: not left(), 5)
    took = time.monotonic() - begin
    a.result.seen["gone_after"] = round(took, 3)
    if took > 1 * SLOW:
        a.fault(f"gone {took:.1f} s after the front" if not left() else f"{len(left())} processes outlive the front")


@action
def many_kernels(a: Attack) -> None:
    """Kernels that are started and killed in random order leave nothing (checked as for every program)."""
    a.run()
    rng = random.Random(101)
    kernels = []
    try:
        for _ in range(MANY):
            other = start(a.place, a.program, a.listeners, Result(101, "", "", ""))
            other.kernel.start()
            kernels.append(other.kernel)
        rng.shuffle(kernels)
        for kernel in kernels:
            if rng.random() < 0.5:
                client = kernel.watch()
                client.execute("x = 1").ok()
            if rng.random() < 0.5:
                kernel.shut_down()
            kernel.kill()
    finally:
        for kernel in kernels:
            kernel.kill()
            kernel.close_clients()
        for kernel in kernels:
            if kernel.groups:
                if not settle(lambda: not kernel.groups.children(), 2):
                    a.fault(f"groups left: {[str(p) for p in kernel.groups.children()][:2]}")
                kernel.groups.remove()


def _layers(level: str) -> dict[str, str]:
    """The layers that a level must have, and what they are called (kernel/sandbox/layers.def)."""
    letter = {"full": "F", "full-nocg": "N", "restricted": "R"}[level]
    rows = re.findall(r'^LAYER\((\w+), ([FNRL| ]+), "([^"]*)"', (SOURCE / "kernel/sandbox/layers.def").read_text(), re.MULTILINE)
    return {name: what for name, levels, what in rows if letter in levels}


@action
def faults(a: Attack) -> None:
    """A start in which a layer fails is refused; no cell runs."""
    a.run()
    if not a.kernel.mode.level:
        a.fault("there are no layers")
        return
    refused = {}
    for layer, what in _layers(a.kernel.mode.level).items():
        other = start(a.place, a.program, a.listeners, Result(102, "", "", ""), {"HUSK_FAULT_LAYER": layer})
        try:
            other.kernel.start(wait=False)
            try:
                code = other.kernel.wait_exit(10 * SLOW)
                refused[layer] = other.kernel.stderr().strip().splitlines()[-1:] or [""]
                said = other.kernel.stderr()
                if code == 0 or not (what in said or "HUSK_FAULT_LAYER" in said):
                    a.fault(f"without {layer}: exit code {code}, not named: {refused[layer]}")
            except AssertionError:
                a.fault(f"without {layer}: the kernel has started" + _ran(other))
        finally:
            other.kernel.kill()
            other.kernel.close_clients()
            if other.kernel.groups:
                if not settle(lambda: not other.kernel.groups.children(), 2):
                    a.fault(f"without {layer}: groups left")
                other.kernel.groups.remove()
    a.result.seen["refused"] = refused


def _ran(other: Attack) -> str:
    try:
        other.kernel._ports()
        turn = other.kernel.watch().execute("6 * 7", timeout=5 * SLOW)
        return " and runs cells" if turn.result == "42" else f", a cell gets {turn.content.get('ename')}"
    except (AssertionError, KernelDied, OSError):
        return ""


@action
def attack_or_end(a: Attack) -> None:
    """The kernel may end of it, as it does of exit()."""
    try:
        a.run()
    except KernelDied:
        a.kernel.wait_exit()
        a.ended = True


@action
def neighbour_runs(a: Attack) -> None:
    """The program's cell for the neighbour succeeds after the attack."""
    a.run()
    assert a.place.companion_client is not None
    turn = a.place.companion_client.execute(a.code(a.program.beside), timeout=30 * SLOW)
    if turn.status != "ok":
        a.fault(f"the neighbour: {turn.content.get('ename')}: {turn.content.get('evalue')}")


@action
def repeat(a: Attack) -> None:
    """The cell many times, each followed by one that must not be hit."""
    verdicts: dict[str, int] = {}
    for n in range(15):
        turn = a.run()
        verdict = turn.verdict or turn.status
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
        if a.client.execute(f"{n} + 1").result != str(n + 1):
            a.fault(f"the cell after number {n} was hit")
    a.result.seen["verdicts"] = verdicts


@action
def interrupt_storm(a: Attack) -> None:
    """Interrupts by message and by signal, a hundred of each, while the cell runs."""
    msg_id = a.send()
    client_wait(a.client, 0.2)
    asked = []
    for _ in range(100):
        if a.kernel.mode.has_verdicts:
            asked.append(a.client.send("interrupt_request", {}, channel="control"))
        a.kernel.process.send_signal(signal.SIGINT)
        a.client.pump(0.01)
    a.finish(msg_id)
    for request in asked:
        a.client.finish(request)


@action
def services(a: Attack) -> None:
    """Questions that run the tenant's code end by a limit of their own."""
    a.run()
    for kind, content in (("complete_request", {"code": "trap.x.", "cursor_pos": 7}), ("complete_request", {"code": "trap.", "cursor_pos": 5}),
            ("inspect_request", {"code": "trap.y", "cursor_pos": 6, "detail_level": 1})):
        begin = time.monotonic()
        a.client.finish(a.client.send(kind, content), 10 * SLOW)
        if time.monotonic() - begin > 4 * SLOW:
            a.fault(f"{kind} was answered after {time.monotonic() - begin:.1f} s")


ABOVE = ({"wall": "1 h"}, {"memory": "64 GiB"}, {"wall": -1}, {"wall": 2**70}, {"no_such": 1}, {"wall": None}, {"grace": "100 s"}, [1], "x", {"wall": {"x": []}})


@action
def ask_limits(a: Attack) -> None:
    """Each is refused by an error reply, and no cell has run with it."""
    a.run()
    for limits in ABOVE:
        turn = a.client.execute("asked = globals().get('asked', 0) + 1", metadata={"husk": {"limits": limits}})
        if turn.status != "error":
            a.fault(f"limits {limits!r} were accepted")
    if a.client.execute("globals().get('asked', 0)").result != "0":
        a.fault("a cell ran with limits that had been refused")
