# SPDX-License-Identifier: Apache-2.0
"""A husk-kernel with tests/front/fakeworker.py below it, checked for leftovers when its test has ended.

HUSK_KERNEL: path of husk-kernel (required). It is copied, and the fake worker put where it looks for its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

from husk import Kernel, descendants, processes, wait_until  # noqa: E402

TROUBLE = ("Sanitizer", "runtime error:", "Assertion", "double free")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of husk-kernel whose launcher starts the fake worker."""
    top = tmp_path_factory.mktemp("husk")
    (top / "front").mkdir()
    (top / "worker").mkdir()
    shutil.copy2(os.environ["HUSK_KERNEL"], top / "front" / "husk-kernel")
    launcher = top / "worker" / "husk-worker"
    fake = Path(__file__).with_name("fakeworker.py")
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S -B {fake}\n")
    launcher.chmod(0o755)
    return top / "front" / "husk-kernel"


StartFront = Callable[..., Kernel]


@pytest.fixture
def start(program: Path, tmp_path: Path) -> Iterator[StartFront]:
    """Starts fronts: arguments, boot and hello scripts of the worker, exit codes that are right."""
    kernels: list[Kernel] = []

    def start_front(*args: str, boot: str = "", hello: str = "", wait: bool = True, **options: Any) -> Kernel:
        kernel = Kernel(tmp_path, env={"FAKE_BOOT": boot, "FAKE_HELLO": hello, **options.pop("env", {})}, **options)
        history = () if any("hist" in a for a in args) else ("--history-file", ":memory:")
        kernel.argv = [str(program), "-f", str(kernel.file), *history, *args]
        kernels.append(kernel)
        return kernel.start(wait=wait)

    yield start_front
    wrong: list[str] = []
    for kernel in kernels:
        below = [p.pid for p in descendants(kernel.pid)] if kernel.exit_code() is None else []
        try:
            code = kernel.shut_down()
            if code not in kernel.expect_exit:
                wrong.append(f"exit code {code}, expected {list(kernel.expect_exit)}")
            wait_until(lambda k=kernel, b=below: not [p for p in processes() if p.pid in b or p.session == k.pid], "no process left")
        except AssertionError as problem:
            wrong.append(str(problem))
        kernel.kill()
        for p in processes():
            if p.session == kernel.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(p.pid, signal.SIGKILL)
        kernel.close_clients()
        wrong += [f"on stderr: {line}" for line in kernel.stderr().splitlines() if any(t in line for t in TROUBLE)]
        sys.stdout.writelines(f"{title}:\n{text}\n" for title, text in kernel.report())
    assert not wrong, "\n".join(wrong)
