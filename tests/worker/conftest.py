# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a launcher, the core with the tests' Python side, and workers on each interpreter under test.

HUSK_BUILD_DIR: the build tree (after `make check` or `make check_PROGRAMS`). HUSK_TEST_PYTHONS: interpreters,
separated by colons; default: /usr/bin/python3.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from link_peer import Worker

PYTHONS = os.environ.get("HUSK_TEST_PYTHONS", "/usr/bin/python3").split(":")
Start = Callable[..., Worker]


@pytest.fixture(scope="session")
def build() -> Path:
    """The build tree."""
    path = Path(os.environ.get("HUSK_BUILD_DIR") or os.environ.get("top_builddir") or "build")
    assert (path / "kernel/worker/husk-worker").exists(), f"no husk-worker in {path}; set HUSK_BUILD_DIR"
    return path.resolve()


@pytest.fixture(scope="session")
def launcher(build: Path) -> str:
    return str(build / "kernel/worker/husk-worker")


@pytest.fixture(scope="session")
def core(build: Path) -> str:
    return str(build / "tests/worker/husk-core-test.so")


@pytest.fixture(scope="session", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """Each interpreter under test."""
    return request.param


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory for all workers that do not test the cache."""
    return tmp_path_factory.mktemp("cache", numbered=True) / "husk"


@pytest.fixture
def start(launcher: str, core: str, cache: Path, python: str) -> Iterator[Start]:
    """start(*arguments, env=..., ready=True): a worker, which is ended after the test."""
    workers = []

    def begin(*arguments: str, env: dict[str, str] | None = None, ready: bool = True) -> Worker:
        defaults = ["--core", core, "--cache-dir", str(cache), "--python", python]
        workers.append(Worker(launcher, *defaults, *arguments, env=env))
        if ready:
            workers[-1].start()
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(start: Start) -> Worker:
    """A worker that is ready."""
    return start()


@pytest.fixture(scope="session")
def venv(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the interpreter under test, without pip."""
    path = tmp_path_factory.mktemp("venv") / "env"
    subprocess.run([python, "-m", "venv", "--without-pip", str(path)], check=True)
    return path


@pytest.fixture
def start_whole(launcher: str, build: Path, cache: Path, tmp_path: Path) -> Iterator[Start]:
    """start_whole(python, **options): a worker with husk's own Python side, whose START has these options."""
    workers = []

    def begin(python: str = sys.executable, **options: object) -> Worker:
        env = dict(os.environ, IPYTHONDIR=str(tmp_path / "ipython"))
        core = str(build / "kernel/worker/husk-core.so")
        workers.append(Worker(launcher, "--core", core, "--cache-dir", str(cache), "--python", python, env=env))
        workers[-1].start()
        workers[-1].send("START", [{"session": "s", "ident": "kernel.x", "history_session": 1, **options}])
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


@pytest.fixture
def own_core(core: str, tmp_path: Path) -> Path:
    """A copy of the core in a directory whose name the dynamic loader would split."""
    target = tmp_path / "a b:c" / "husk-core.so"
    target.parent.mkdir()
    shutil.copy(core, target)
    return target
