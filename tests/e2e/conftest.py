# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: kernels that are checked for leftovers after every test.

- HUSK_KERNEL: path of husk-kernel (required unless ipykernel is tested)
- HUSK_KERNEL_ARGS: further arguments for it
- HUSK_TEST_PYTHON: the interpreter it serves (default: the one that runs pytest)
- HUSK_UNDER_TEST: "ipykernel" calibrates the tests on ipykernel instead
- HUSK_TEST_CYCLES: how often the start-stop test starts a kernel (default 20)
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from husk import IS_HUSK, OPEN_PYTHON, TEST_PYTHON, Client, Kernel, descriptors, husk_argv, processes, wait_until

BOUND = 60  # seconds a test may take unless it says otherwise by @pytest.mark.bound(n)
TROUBLE = re.compile(r"Sanitizer|runtime error:|assert|[Ll]eak|double free|corrupt")


def pytest_configure(config: pytest.Config) -> None:
    lines = (
        "bound(seconds): the longest this test may take",
        "kernel(**options): options of the Kernel that the fixture `kernel` starts",
        "stderr(pattern, ...): lines that the kernel may write on stderr in this test",
        "exit(code, ...): exit codes that are right for this test",
        "differs(reason): ipykernel is known to fail this; only matters with HUSK_UNDER_TEST=ipykernel",
        "ipython: needs IPython in the kernel's environment",
        "needs(module, ...): needs these modules in the kernel's environment",
        "husk: about husk's own interface; not for ipykernel",
    )
    for line in lines:
        config.addinivalue_line("markers", line)
    # Orphans of a kernel become our children, so that none can hide.
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0


@functools.cache
def has_module(name: str) -> bool:
    """Whether the kernel's interpreter finds a module (not imported)."""
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return subprocess.run([TEST_PYTHON, "-c", code, name], check=False, timeout=60).returncode == 0


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = [name for mark in item.iter_markers("needs") for name in mark.args]
    if item.get_closest_marker("ipython"):
        needed.append("IPython")
    for name in needed:
        if not has_module(name):
            pytest.skip(f"{TEST_PYTHON} has no {name}")
    if not IS_HUSK and item.get_closest_marker("husk"):
        pytest.skip("about husk's own interface")
    if not IS_HUSK and (mark := item.get_closest_marker("differs")):
        item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=False))


def bound_of(item: pytest.Item) -> int:
    mark = item.get_closest_marker("bound")
    return mark.args[0] if mark else BOUND


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test is bounded, whatever it waits for: by pytest-timeout where it is installed."""
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            item.add_marker(pytest.mark.timeout(bound_of(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    if item.config.pluginmanager.hasplugin("timeout"):
        return (yield)
    bound = bound_of(item)

    def expired(*_: object) -> None:
        raise AssertionError(f"the test took longer than {bound} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(bound)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.excinfo is not None and call.excinfo.typename != "Skipped":
        for kernel in getattr(item, "husk_kernels", ()):
            if kernel.process is not None:
                report.sections.extend(kernel.report())
    return report


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HOME of all kernels, so that what is made once (profile, bytecode caches) is made once."""
    home = tmp_path_factory.mktemp("home")
    os.environ.update(
        HOME=str(home), IPYTHONDIR=str(home / "ipython"), XDG_CACHE_HOME=str(home / "cache"), MPLCONFIGDIR=str(home)
    )
    os.environ.pop("JUPYTER_PATH", None)
    return home


def strays(known: set[int]) -> list[str]:
    """Children of this process (adopted orphans included) that are not in `known`; zombies of orphans are reaped."""
    found = []
    for p in processes():
        if p.ppid == os.getpid() and p.pid not in known:
            if p.state == "Z":
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(p.pid, os.WNOHANG)
            else:
                found.append(f"{p.pid} ({p.name})")
    return found


def leftovers(directory: Path) -> list[str]:
    """What kernels that have ended should not leave behind."""
    found = []
    for path in sorted((directory / "tmp").rglob("*")):
        found.append(f"left in TMPDIR: {path}")
    for path in directory.rglob("*"):
        if path.is_socket() or path.is_fifo():
            found.append(f"left behind: {path}")
    return found


def end(kernel: Kernel, known: set[int]) -> list[str]:
    """Ends a kernel and says what is wrong with how it ended."""
    wrong: list[str] = []
    assert kernel.process is not None
    try:
        code = kernel.shut_down()
        if IS_HUSK and code not in kernel.expect_exit:
            wrong.append(f"exit code {code}, expected {list(kernel.expect_exit)}")
    except AssertionError as problem:
        wrong.append(f"does not end: {problem}")
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not kernel.members_of_session() and not strays(known), "no stray process", 2)
    wrong += [f"stray process {p.pid} ({p.name})" for p in kernel.members_of_session()]
    wrong += [f"stray process {s}" for s in strays(known)]
    kernel.kill()
    for p in kernel.members_of_session():
        with contextlib.suppress(ProcessLookupError):
            os.kill(p.pid, signal.SIGKILL)
    if IS_HUSK:
        wrong += [f"on stderr: {line}" for line in kernel.unexpected_stderr()]
    wrong += [f"on stderr: {line}" for line in kernel.stderr().splitlines() if IS_HUSK and TROUBLE.search(line)]
    return wrong


StartKernel = Callable[..., Kernel]


@pytest.fixture
def start_kernel(request: pytest.FixtureRequest, tmp_path: Path, shared_home: Path) -> Iterator[StartKernel]:
    """Starts kernels with the options of class Kernel; all are ended and checked after the test."""
    item: Any = request.node
    item.husk_kernels = []
    defaults: dict[str, Any] = {}
    if mark := item.get_closest_marker("kernel"):
        defaults.update(mark.kwargs)
    if mark := item.get_closest_marker("stderr"):
        defaults["expect_stderr"] = mark.args
    if mark := item.get_closest_marker("exit"):
        defaults["expect_exit"] = mark.args
    known = {p.pid for p in processes() if p.ppid == os.getpid()}
    before = descriptors()

    def start(*, wait: bool = True, **options: Any) -> Kernel:
        kernel = Kernel(tmp_path, **(defaults | options))
        item.husk_kernels.append(kernel)
        known_pid = kernel.start(wait=wait).pid
        known.add(known_pid)
        return kernel

    yield start

    wrong: list[str] = []
    for kernel in item.husk_kernels:
        if kernel.process is not None:
            wrong += end(kernel, known)
        kernel.close_clients()
    if IS_HUSK and item.husk_kernels:
        wrong += leftovers(item.husk_kernels[0].directory)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: len(descriptors()) <= len(before), "descriptors closed", 2)
    after = descriptors()
    if len(after) > len(before):
        wrong.append(f"the test leaks descriptors: {sorted(set(after.items()) - set(before.items()))}")
    if wrong:
        pytest.fail("after the test: " + "\n".join(wrong), pytrace=False)


@pytest.fixture
def kernel(start_kernel: StartKernel) -> Kernel:
    """A running kernel."""
    return start_kernel()


@pytest.fixture
def client(kernel: Kernel) -> Client:
    """A client of `kernel` whose subscription is in force."""
    return kernel.connect()


@pytest.fixture
def start_limited(start_kernel: Callable[..., Kernel], tmp_path: Path) -> Callable[..., Kernel]:
    """Starts kernels of level "none" with these limits."""

    def start(*, args: Any = (), expect_stderr: Any = (), on_output: str = "truncate", **limits: str) -> Kernel:
        values = "\n".join(f'\t{name} = "{value}";' for name, value in limits.items())
        file = tmp_path / "limited.conf"
        file.write_text(
            'sandbox = { level = "none"; minimum = "none"; };\nnetwork = { policy = "host"; };\n'
            f'on_output = "{on_output}";\nlimits = {{\n{values}\n}};\n'
        )
        return start_kernel(args=["--profile", str(file), *args], expect_stderr=expect_stderr)

    return start


@pytest.fixture(scope="session")
def possible() -> dict[str, Any]:
    """By level of a sandbox, what the doctor has found here: "possible", "steps", "reason"."""
    command = [*husk_argv(), "doctor", "--json", "--python", OPEN_PYTHON]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout)["levels"]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that all users may enter."""
    directory = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="husk-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
