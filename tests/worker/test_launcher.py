# SPDX-License-Identifier: Apache-2.0
"""The launcher: which interpreter it takes, what it refuses, what it says, what it leaves behind."""

import os
import select
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Start
from link_peer import Worker, WorkerGone


def fatal(worker: Worker) -> tuple[str, str]:
    """Code and sentence of the FATAL frame of a worker that must end with exit code 1."""
    code, sentence = worker.expect("FATAL")
    assert worker.wait() == 1
    assert sentence in worker.text(stream=1)
    return code, sentence


def script(path: Path, text: str) -> str:
    """An executable shell script."""
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def fake_python(tmp_path: Path, python: str, **changes: str) -> str:
    """An interpreter that answers the probe as `python` would, but for some fields."""
    probe = Path(__file__).parents[2] / "kernel/worker/probe/husk_probe.py"
    fields = subprocess.run([python, "-I", "-c", probe.read_text()], check=True, capture_output=True).stdout.split(b"\0")
    places = {"implementation": 1, "hexversion": 2, "version": 3, "debug": 5, "free_threaded": 6, "bits64": 15}
    for name, value in changes.items():
        fields[places[name]] = value.encode()
    answer = tmp_path / "answer"
    answer.write_bytes(b"\0".join(fields))
    return script(tmp_path / "fake-python", f"cat '{answer}'\n")


def test_hello_says_what_the_interpreter_is(start: Start, python: str) -> None:
    worker = start(ready=False)
    version, facts = worker.start()
    run = [python, "-c", "import sys; print(sys.executable, sys.prefix, sys.version, sep='\\n')"]
    executable, prefix, text = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split("\n", 2)
    assert version == 1
    assert facts["executable"] == executable
    assert facts["prefix"] == prefix
    assert facts["version_text"] == text.rstrip("\n")
    assert text.startswith(facts["version"])
    assert facts["cache_tag"] == "cpython-" + "".join(facts["version"].split(".")[:2])
    assert facts["ipython"] is None or facts["ipython"][0].isdigit()
    assert isinstance(facts["debugpy"], bool)


FACTS = (
    "import sys, os, site\n"
    "print(sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix, sys.version, sorted(sys.path), sys.flags, "
    "sys.getfilesystemencoding(), site.ENABLE_USER_SITE, __import__('locale').getlocale(), sep='\\n')"
)


@pytest.mark.parametrize("system_site", [False, True])
def test_a_virtual_environment_is_served_as_itself(start: Start, python: str, venv: Path, system_site: bool) -> None:
    config = venv / "pyvenv.cfg"
    text = config.read_text()
    path = str(venv / "bin/python")
    try:
        config.write_text(text.replace("packages = false", f"packages = {str(system_site).lower()}"))
        expected = subprocess.run([path, "-c", FACTS], check=True, capture_output=True, text=True).stdout.splitlines()
        seen = start("--python", path).ok(FACTS).splitlines()
    finally:
        config.write_text(text)
    # `-c` puts "" before the path; of a kernel the Python side does.
    expected[5] = expected[5].replace("'', ", "")
    assert seen == expected


def test_the_environment_acts_as_on_python(start: Start, python: str, tmp_path: Path) -> None:
    (tmp_path / "husk_on_path.py").write_text("x = 1\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "7"}
    worker = start(env=env)
    code = "import sys, husk_on_path; print(husk_on_path.x, sys.warnoptions, hash('abc'), sys.flags.hash_randomization)"
    expected = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, env=env).stdout
    assert worker.ok(code) == expected


def test_default_is_the_active_virtual_environment(start: Start, venv: Path, launcher: str, core: str) -> None:
    env = {**os.environ, "VIRTUAL_ENV": str(venv)}
    with Worker(launcher, "--core", core, env=env) as worker:
        assert worker.start()[1]["executable"] == str(venv / "bin/python")


def test_default_without_one_is_python3_on_path(launcher: str, core: str, tmp_path: Path, python: str) -> None:
    (tmp_path / "python3").symlink_to(python)
    env = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"PATH": f"relative:{tmp_path}:/nowhere"}
    with Worker(launcher, "--core", core, env=env) as worker:
        assert worker.start()[1]["executable"] == str(tmp_path / "python3")


def test_a_shell_script_that_execs_an_interpreter_is_served(start: Start, python: str, tmp_path: Path) -> None:
    path = script(tmp_path / "shim", f'exec {python} "$@"\n')
    worker = start("--python", path)
    assert worker.ok("import sys; print(sys.executable)") == python + "\n"


def test_a_core_in_a_path_with_separators_is_loaded(start: Start, own_core: Path) -> None:
    worker = start("--core", str(own_core))
    assert worker.ok("import os; print(os.environ.get('LD_PRELOAD'), os.listdir('/proc/self/fd').__len__())") == "None 9\n"


def test_the_users_own_preload_is_kept(start: Start) -> None:
    preload = "/lib/x86_64-linux-gnu/libpthread.so.0"
    if not Path(preload).exists():
        preload = "libpthread.so.0"
    # A launcher that was built with AddressSanitizer wants to be the first to be loaded.
    worker = start(env={**os.environ, "LD_PRELOAD": preload, "ASAN_OPTIONS": "verify_asan_link_order=0"})
    assert worker.ok("import os; print(os.environ['LD_PRELOAD'])") == preload + "\n"


# ---- what is refused ----


def test_a_missing_interpreter_is_named(start: Start, tmp_path: Path) -> None:
    code, sentence = fatal(start("--python", str(tmp_path / "none"), ready=False))
    assert code == "python-missing"
    assert sentence == f"there is no Python interpreter at {tmp_path}/none"
    assert fatal(start("--python", "no-such-python", ready=False)) == ("python-missing", "no no-such-python is on PATH")


def test_a_virtual_environment_without_python_is_named(launcher: str, core: str, tmp_path: Path) -> None:
    with Worker(launcher, "--core", core, env={**os.environ, "VIRTUAL_ENV": str(tmp_path)}) as worker:
        assert fatal(worker) == ("python-missing", f"there is no Python interpreter at {tmp_path}/bin/python")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"implementation": "pypy"}, "is pypy"),
        ({"hexversion": str(0x030A0DF0), "version": "3.10.13"}, "CPython 3.10.13, which is too old"),
        ({"hexversion": str(0x03630000), "version": "3.99.0"}, "3.99.0, a minor version that is not known yet"),
        ({"free_threaded": "1"}, "a free-threaded build"),
        ({"debug": "1"}, "a debug build"),
        ({"bits64": "0"}, "a 32-bit build"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    start: Start, python: str, tmp_path: Path, changes: dict[str, str], part: str
) -> None:
    code, sentence = fatal(start("--python", fake_python(tmp_path, python, **changes), ready=False))
    assert code == "python-unsupported"
    assert part in sentence
    assert "husk serves CPython 3.11, 3.12" in sentence


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("exit 3", "cannot be run as Python 3: exit code 3"),
        ("kill -9 $$", "cannot be run as Python 3: signal 9"),
        ("echo hello", "does not behave as a Python interpreter"),
        ("true", "does not behave as a Python interpreter"),
        ("yes", "wrote more than 262144 bytes when asked what it is"),
        ("printf 'husk-probe-1\\0cpython\\0'", "does not behave as a Python interpreter"),
    ],
)
def test_a_program_that_is_no_python_is_refused(start: Start, tmp_path: Path, text: str, part: str) -> None:
    code, sentence = fatal(start("--python", script(tmp_path / "fake", text + "\n"), ready=False))
    assert code == "python-unsupported"
    assert part in sentence


def test_an_interpreter_that_hangs_is_ended_with_its_children(start: Start, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    path = script(tmp_path / "fake", f"sleep 1000 &\necho $! > '{pid_file}'\nwait\n")
    code, sentence = fatal(start("--python", path, ready=False))
    assert (code, "within 10 s" in sentence) == ("python-unsupported", True)
    # Killed, and perhaps not yet reaped by whoever adopted it.
    state = Path(f"/proc/{int(pid_file.read_text())}/stat")
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] in "ZX"


def test_a_missing_core_is_named(start: Start, tmp_path: Path) -> None:
    code, sentence = fatal(start("--core", str(tmp_path / "none.so"), ready=False))
    assert (code, sentence) == ("internal", f"there is no worker core at {tmp_path}/none.so")


def test_without_a_link_it_says_how_it_is_started(launcher: str) -> None:
    done = subprocess.run([launcher], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: husk-worker ")


def test_unknown_options_are_refused(start: Start) -> None:
    assert start("--no-such-option", ready=False).wait() == 2


# ---- what the process is like ----


def test_only_the_documented_descriptors_are_open(start: Start) -> None:
    r, w = os.pipe()
    os.set_inheritable(w, True)
    try:
        worker = start()
        text = worker.ok(
            "import os\nfor fd in range(64):\n    try: print(fd, os.get_inheritable(fd))\n    except OSError: pass"
        )
    finally:
        os.close(r)
        os.close(w)
    assert text == "".join(f"{fd} {fd < 3}\n" for fd in range(8))


def test_inherited_signal_settings_are_reset(launcher: str, core: str, python: str, tmp_path: Path) -> None:
    """A front under nohup, or with blocked signals, has a worker that can be interrupted."""
    # 2 and 39 are interrupts, 13 and 25 are ignored by every Python, 4, 6, 7, 8 and 11 are faulthandler's.
    read = "import signal; print([int(n) for n in signal.valid_signals() if n not in (2, 4, 6, 7, 8, 9, 11, 13, 19, 25, 39) "
    read += "and signal.getsignal(n) != signal.SIG_DFL], signal.pthread_sigmask(0, []))"
    wrapper = script(
        tmp_path / "wrapper",
        f'exec {sys.executable} -c "import os, signal, sys\n'
        "for n in (1, 2, 3, 15, 39): signal.signal(n, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "for fd in range(3, 8): os.set_inheritable(fd, True)\n"
        f"os.execv(sys.argv[1], sys.argv[1:])\" '{launcher}' --core '{core}' --python '{python}'\n",
    )
    with Worker(wrapper) as worker:
        worker.start()
        assert worker.ok(read) == "[] set()\n"
        worker.execute("print('go')\nwhile True: pass")
        worker.wait_text("go")
        os.kill(worker.pid, signal.SIGINT)
        assert worker.reply()[6][0] == "KeyboardInterrupt"


def test_the_worker_dies_with_its_parent(launcher: str, core: str, python: str) -> None:
    """The parent's death by SIGKILL is the worker's, whatever it is doing and whoever holds the link's other end."""
    ours, theirs = socket.socketpair()
    code = (
        "import sys, os; sys.path.insert(0, sys.argv[1]); from link_peer import Worker\n"
        "w = Worker(*sys.argv[3:]); w.start(); w.execute('print(1)\\nwhile True: pass'); w.wait_text('1')\n"
        "os.write(int(sys.argv[2]), b'%d\\n' % w.pid); import signal; signal.pause()"
    )
    here = str(Path(__file__).parent)
    arguments = [sys.executable, "-c", code, here, str(theirs.fileno()), launcher, "--core", core, "--python", python]
    parent = subprocess.Popen(arguments, pass_fds=[theirs.fileno()])
    theirs.close()
    pid = int(ours.makefile().readline())
    pidfd = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    assert select.select([pidfd], [], [], 60)[0]
    os.close(pidfd)
    ours.close()


def test_the_worker_ends_when_the_link_ends(worker: Worker) -> None:
    worker.sock.close()
    assert worker.wait() == 0


def test_shutdown_ends_it_with_0(worker: Worker) -> None:
    worker.send("SHUTDOWN", [False])
    assert worker.wait() == 0
    with pytest.raises((WorkerGone, ConnectionError)):
        worker.recv()


def test_an_idle_worker_has_one_thread_and_does_nothing(worker: Worker) -> None:
    worker.ok("x = 1")
    tasks = os.listdir(f"/proc/{worker.pid}/task")
    assert len(tasks) == 1
    status = Path(f"/proc/{worker.pid}/status").read_text()
    assert "NoNewPrivs" in status


# ---- the cache ----


def cached(cache: Path) -> list[str]:
    """Kinds of files in a cache directory."""
    return sorted(name.split("-")[0] for name in os.listdir(cache))


def begin(launcher: str, core: str, python: str, cache: Path, env: dict[str, str] | None = None) -> Worker:
    worker = Worker(launcher, "--core", core, "--python", python, "--cache-dir", str(cache), env=env)
    worker.start()
    assert worker.ok("print(1)") == "1\n"
    return worker


def test_the_cache_is_made_owner_only(launcher: str, core: str, python: str, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "husk"
    begin(launcher, core, python, cache).close()
    assert cached(cache) == ["code", "python"]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE((cache / name).stat().st_mode) for name in os.listdir(cache)} == {0o600}


def test_a_second_start_changes_nothing_in_the_cache(launcher: str, core: str, python: str, tmp_path: Path) -> None:
    begin(launcher, core, python, tmp_path / "husk").close()
    before = [(e.name, e.stat().st_ino) for e in os.scandir(tmp_path / "husk")]
    begin(launcher, core, python, tmp_path / "husk").close()
    assert [(e.name, e.stat().st_ino) for e in os.scandir(tmp_path / "husk")] == before


DAMAGES = ["mode", "group-writable file", "symlink", "truncated", "scribbled", "empty", "directory", "fifo"]


def test_environments_that_take_turns_are_each_asked_once(launcher: str, core: str, python: str, tmp_path: Path) -> None:
    cache = tmp_path / "husk"
    homes = [dict(os.environ, HOME="/one"), dict(os.environ, HOME="/two")]
    for env in homes:
        begin(launcher, core, python, cache, env).close()
    before = {name: (cache / name).stat().st_mtime_ns for name in os.listdir(cache)}
    assert cached(cache) == ["code", "python", "python"]
    for env in homes:
        begin(launcher, core, python, cache, env).close()
    assert {name: (cache / name).stat().st_mtime_ns for name in os.listdir(cache)} == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_that_is_wrong_is_not_used(launcher: str, core: str, python: str, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "husk"
    begin(launcher, core, python, cache).close()
    files = [cache / name for name in os.listdir(cache)]
    if damage == "mode":
        cache.chmod(0o755)
    for path in files if damage != "mode" else []:
        content = path.read_bytes()
        if damage == "group-writable file":
            path.chmod(0o620)
        elif damage == "symlink":
            path.rename(tmp_path / path.name)
            path.symlink_to(tmp_path / path.name)
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "scribbled":
            path.write_bytes(content[:200] + bytes(255 - b for b in content[200:]))
        elif damage == "empty":
            path.write_bytes(b"")
        else:
            path.unlink()
            (os.mkdir if damage == "directory" else os.mkfifo)(path)
    begin(launcher, core, python, cache).close()


def test_a_cache_in_a_read_only_place_is_no_error(launcher: str, core: str, python: str) -> None:
    begin(launcher, core, python, Path("/proc/husk")).close()


def test_another_owners_cache_is_not_used(launcher: str, core: str, python: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    cache = tmp_path / "husk"
    begin(launcher, core, python, cache).close()
    try:
        os.chown(cache, 12345, 12345)
    except OSError:
        pytest.skip("this user namespace has one user only")
    before = {name: (cache / name).stat().st_mtime_ns for name in os.listdir(cache)}
    (cache / "marker").touch()
    begin(launcher, core, python, cache).close()
    assert {name: (cache / name).stat().st_mtime_ns for name in before} == before


def test_what_is_installed_later_is_seen(launcher: str, core: str, venv: Path, tmp_path: Path) -> None:
    cache = tmp_path / "husk"
    python = str(venv / "bin/python")
    with Worker(launcher, "--core", core, "--python", python, "--cache-dir", str(cache)) as worker:
        assert worker.start()[1]["ipython"] is None
    package = next((venv / "lib").glob("python3.*/site-packages")) / "IPython"
    package.mkdir()
    (package / "__init__.py").touch()
    info = package.parent / "ipython-99.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipython\nVersion: 99.1\n")
    try:
        with Worker(launcher, "--core", core, "--python", python, "--cache-dir", str(cache)) as worker:
            assert worker.start()[1]["ipython"] == "99.1"
    finally:
        subprocess.run(["rm", "-r", str(package), str(info)], check=True)


def test_tracebacks_show_the_source_that_is_carried(worker: Worker) -> None:
    text = worker.ok(
        "import traceback, inspect, husk_worker.boot as b\n"
        "try:\n    b.run_cell('1/0')\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
        "print(b.__file__, inspect.getsource(b.run_cell).splitlines()[0], __import__('husk_worker').__path__)"
    )
    assert 'File "<husk>/husk_worker/boot.py", line' in text
    assert 'exec(compile(code, "<cell>", "exec"), NAMESPACE)' in text
    assert "<husk>/husk_worker/boot.py def run_cell(code): []" in text
