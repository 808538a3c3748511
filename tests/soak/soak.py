#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Minutes of random valid and invalid traffic on one kernel: no lost reply, descriptors and memory flat."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from client import Client
from traffic import Soak, step

SAMPLE_SECONDS = 5.0
# Of this program; a flood that it takes in whole must not be the machine's end.
CLIENT_MEMORY = 2 << 30
# Growth of the front between the second and the last fifth of the run that is still "flat".
RSS_SLACK_KIB = 16 * 1024
# What a log must not contain.
_BAD = re.compile(r"ERROR: \w*Sanitizer|runtime error:|LeakSanitizer|assert", re.IGNORECASE)


@dataclass
class Sample:
    """The front at one moment."""

    rss_kib: int
    n_fds: int
    n_threads: int
    n_children: int


def sample(pid: int) -> Sample:
    proc = Path(f"/proc/{pid}")
    status = (proc / "status").read_text()
    rss = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    children = sum(len((t / "children").read_text().split()) for t in (proc / "task").iterdir())
    return Sample(rss, len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())), children)


class Kernel:
    """husk-kernel with --on-crash=respawn, its files in a folder of their own."""

    def __init__(self, husk: str, python: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="husk-soak-"))
        file = self.folder / "connection.json"
        blank = {f"{c}_port": 0 for c in ("shell", "control", "stdin", "iopub", "hb")}
        key = os.urandom(16).hex()
        file.write_text(json.dumps(blank | {"transport": "tcp", "ip": "127.0.0.1", "key": key}))
        file.chmod(0o600)
        self.log = self.folder / "log"
        sanitizers = {"ASAN_OPTIONS": "quarantine_size_mb=8:detect_leaks=1:" + os.environ.get("ASAN_OPTIONS", "")}
        home = {"HOME": str(self.folder), "IPYTHONDIR": str(self.folder / "ipython"), "JPY_PARENT_PID": str(os.getpid())}
        self.process = subprocess.Popen(
            [husk, "-f", str(file), "--python", python, "--on-crash=respawn"],
            cwd=self.folder,
            env=dict(os.environ) | sanitizers | home,
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
        )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(ValueError):
                self.connection = json.loads(file.read_text())
                if self.connection["shell_port"]:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"soak: the kernel did not start: {self.log.read_text(errors='replace')}")
            time.sleep(0.02)

    def bad_lines(self) -> list[str]:
        return [line for line in self.log.read_text(errors="replace").split("\n") if _BAD.search(line)]

    def end(self, client: Client) -> list[str]:
        """Shuts it down; what went wrong with that."""
        client.ask("shutdown", "shutdown_request", {"restart": False}, "control")
        faults = []
        try:
            code = self.process.wait(30)
            faults += [f"exit code {code} after a shutdown"] if code else []
        except subprocess.TimeoutExpired:
            faults.append("alive 30 s after a shutdown_request")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return faults

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def judge(samples: list[Sample]) -> list[str]:
    """Whether memory and descriptors were flat: the second fifth of the run against the last."""
    if len(samples) < 10:
        return []
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    faults = []
    rss = [statistics.median(s.rss_kib for s in part) for part in (early, late)]
    if rss[1] > rss[0] * 1.1 + RSS_SLACK_KIB:
        faults.append(f"RSS of the front grew from {rss[0]:.0f} to {rss[1]:.0f} KiB")
    for name in ("n_fds", "n_threads", "n_children"):
        values = [statistics.median(getattr(s, name) for s in part) for part in (early, late)]
        if values[1] > values[0] + 1:
            faults.append(f"{name} of the front grew from {values[0]:.0f} to {values[1]:.0f}")
    return faults


def run(kernel: Kernel, minutes: float, seed: int) -> list[str]:
    """The traffic; all faults found."""
    soak = Soak(kernel.connection, random.Random(seed), [Client(kernel.connection) for _ in range(3)])
    samples: list[Sample] = []
    faults: list[str] = []
    start = time.monotonic()
    next_sample = next_report = start
    n_steps = 0
    for c in soak.clients:
        c.wait([c.ask("first", "kernel_info_request", {})], 60)
    while time.monotonic() < start + minutes * 60 and kernel.process.poll() is None and len(faults) < 20:
        step(soak)
        n_steps += 1
        for c in soak.clients:
            c.pump(0)
            c.forget_done()
            faults += c.faults
            for fault in c.faults:
                print(f"soak: FAULT after {n_steps} steps: {fault}", flush=True)
            c.faults.clear()
        now = time.monotonic()
        if now >= next_sample and kernel.process.poll() is None:
            samples.append(sample(kernel.process.pid))
            next_sample = now + SAMPLE_SECONDS
        if now >= next_report and samples:
            print(f"soak: {now - start:5.0f} s, {n_steps} steps, {len(faults)} faults, {samples[-1]}", flush=True)
            next_report = now + 30
    if kernel.process.poll() is not None:
        faults.append(f"the kernel ended with {kernel.process.returncode}")
    else:
        faults += kernel.end(soak.clients[0])
    for c in soak.clients:
        c.close()
    faults += judge(samples) + kernel.bad_lines()
    print(f"soak: {n_steps} steps: {dict(sorted(soak.counts.items()))}")
    if samples:
        print(f"soak: first {samples[0]}, last {samples[-1]}, highest RSS {max(s.rss_kib for s in samples)} KiB")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--husk", default=os.environ.get("HUSK_KERNEL") or shutil.which("husk-kernel"))
    parser.add_argument("--python", default=sys.executable, help="interpreter to serve (default: this one)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run (default: a new one, printed)")
    options = parser.parse_args()
    if not options.husk:
        raise SystemExit("soak: no husk-kernel; name it with --husk")
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    resource.setrlimit(resource.RLIMIT_DATA, (CLIENT_MEMORY, resource.RLIM_INFINITY))
    kernel = Kernel(options.husk, options.python)
    print(f"soak: {options.minutes} minutes, seed {seed}, log {kernel.log}", flush=True)
    faults = run(kernel, options.minutes, seed)
    for fault in faults:
        print(f"soak: FAULT: {fault}")
    if not faults:
        kernel.remove()
    print(f"soak: {len(faults)} faults, seed {seed}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
