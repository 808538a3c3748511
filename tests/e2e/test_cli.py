# SPDX-License-Identifier: Apache-2.0
"""The command line: running, installing, and refusing bad input in one clear sentence."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import stat
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from husk import CHANNELS, TEST_PYTHON, Kernel, husk_argv, wait_until

pytestmark = pytest.mark.husk


def run(*args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """husk-kernel with these arguments alone."""
    return subprocess.run(
        [*husk_argv(), *args],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=dict(os.environ) | (env or {}),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Non-zero exit, and one line on stderr that names what is wrong."""
    assert done.returncode > 0, (done.returncode, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].count("connection file") <= 1, lines[0]
    for word in words:
        assert word in lines[0], lines[0]
    assert done.stdout == ""


def connection(directory: Path, **members: Any) -> Path:
    """A good connection file, but for `members`; None removes one."""
    info: dict[str, Any] = {f"{c}_port": 0 for c in CHANNELS}
    info |= {"transport": "tcp", "ip": "127.0.0.1", "key": "k" * 32, "signature_scheme": "hmac-sha256"} | members
    file = directory / "connection.json"
    file.write_text(json.dumps({k: v for k, v in info.items() if v is not None}))
    return file


# Help


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"husk-kernel \d+\.\d+\S*.*\n", done.stdout)
    assert done.stderr == ""


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["install", "--help"]])
def test_help(args: list[str]) -> None:
    done = run(*args)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: husk-kernel")
    for word in ("install", "profile", "--python", "--user", "--sys-prefix", "--on-crash"):
        assert word in done.stdout
    assert all(len(line) <= 110 for line in done.stdout.splitlines())


def test_profile_sample_is_a_profile(tmp_path: Path) -> None:
    done = run("profile", "--sample")
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "sample.conf").write_text(done.stdout)
    (tmp_path / "sample.conf").chmod(0o644)
    done = run("profile", "--check", "./sample.conf", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/./sample.conf: good on this machine (level full, minimum full)\n"


@pytest.mark.parametrize("name", ["trusted", "default", "strict"])
def test_profiles_of_husk_are_found_by_name(name: str) -> None:
    done = run("profile", "--check", name)
    assert (done.returncode, done.stderr) == (0, "")


def test_profile_check_tells_all_errors_at_once(tmp_path: Path) -> None:
    file = tmp_path / "wrong.conf"
    file.write_text('limits = {\n wall = "1 GiB";\n memory = "9999 TiB";\n};\nmounts = ( "/nosuch:/x:ro" );\nx = 1;\n')
    file.chmod(0o644)
    done = run("profile", "--check", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"{file}:{n}" for n in (2, 3, 5, 6)]
    refused(run("profile", "--check", "nosuch"), "nosuch", "/etc/husk/profiles")
    refused(run("profile"), "--sample", "--check")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["nonsense"], "nonsense"),
        (["install", "nonsense"], "nonsense"),
        (["install", "--nonsense"], "--nonsense"),
        (["install", "--python", "/usr"], "/usr/bin/python"),
        (["-f"], "-f"),
        (["--on-crash=maybe", "-f", "x"], "maybe"),
        (["--python"], "--python"),
        (["install", "--name", "bad/name"], "bad/name"),
        (["install", "--name", ""], "--name"),
        (["install", "--name", "x" * 500], "--name"),
        (["install", "--env", "NOVALUE"], "NOVALUE"),
    ],
)
def test_bad_command_lines(args: list[str], word: str, tmp_path: Path) -> None:
    refused(run(*args, env={"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}), word)


# Connection files


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"transport": "udp"}, "udp"),
        ({"transport": "carrier-pigeon"}, "accepted are tcp and ipc"),
        ({"transport": 5}, "transport"),
        ({"shell_port": 70000}, "70000"),
        ({"shell_port": -1}, "-1"),
        ({"hb_port": "x"}, "hb_port"),
        ({"hb_port": 1.5}, "hb_port"),
        ({"iopub_port": 5000, "shell_port": 5000}, "5000"),
        ({"ip": "no.such.host.invalid"}, "no.such.host.invalid"),
        ({"ip": "1.2.3.4"}, "1.2.3.4"),
        ({"ip": "x" * 1000}, "ip"),
        ({"key": 5}, "key"),
        ({"key": "x" * 5000}, "key"),
        ({"key": None}, "key"),
        ({"signature_scheme": "hmac-rot13"}, "hmac-rot13"),
        ({"curve_publickey": "x" * 40}, "curve"),
        ({"curve_publickey": "short", "curve_secretkey": "short"}, "curve"),
        ({"transport": "ipc", "ip": "/nonexistent/directory/k"}, "/nonexistent/directory/k"),
        ({"transport": "ipc", "ip": "/tmp/" + "x" * 200}, "ip"),
    ],
)
def test_bad_members_of_the_connection_file(tmp_path: Path, members: dict[str, Any], word: str) -> None:
    done = run("--python", TEST_PYTHON, "-f", str(connection(tmp_path, **members)))
    refused(done, word)
    assert "kkkkkkkk" not in done.stderr
    assert (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" not in done.stderr or "key" not in members
    )


def test_connection_files_that_are_no_regular_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.json"
    os.mkfifo(fifo)
    refused(run("-f", str(fifo)), "fifo.json")
    refused(run("-f", str(tmp_path)), str(tmp_path))
    refused(run("-f", "/dev/zero"), "/dev/zero")
    big = tmp_path / "big.json"
    big.write_text("{" + " " * 70_000 + "}")
    refused(run("-f", str(big)), "big.json", "65536")
    (tmp_path / "loop").symlink_to("loop")
    refused(run("-f", str(tmp_path / "loop")), "loop")
    refused(run("-f", str(tmp_path / "fifo.json" / "below")), "below")


def test_unwritable_places(tmp_path: Path) -> None:
    refused(run("-f", "/proc/nonexistent/connection.json"), "/proc/nonexistent")
    refused(run("-f", ""), "-f")
    refused(run("-f", str(tmp_path / ("x" * 300))), "xxx")


def test_occupied_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--python", TEST_PYTHON, "-f", str(connection(tmp_path, control_port=port)))
    refused(done, str(port), "control")


# Interpreters


def fake_python(directory: Path, script: str) -> Path:
    path = directory / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_missing_python(tmp_path: Path) -> None:
    file = str(connection(tmp_path))
    refused(run("--python", "/nonexistent/python", "-f", file), "/nonexistent/python")
    refused(run("--python", str(tmp_path), "-f", file), str(tmp_path))
    refused(run("--python", "/etc/passwd", "-f", file), "/etc/passwd")
    refused(run("-f", file, env={"PATH": str(tmp_path), "VIRTUAL_ENV": ""}), "python3")


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "exit 7",
        "echo garbage",
        "kill -9 $$",
        "head -c 10000000 /dev/zero",
        "echo 'Python 2.7.18' >&2; exit 1",
    ],
)
def test_a_python_that_is_none(tmp_path: Path, script: str) -> None:
    fake = fake_python(tmp_path, script)
    refused(run("--python", str(fake), "-f", str(connection(tmp_path))), str(fake))


def test_a_python_that_hangs(tmp_path: Path) -> None:
    fake = fake_python(tmp_path, "exec sleep 600")
    refused(run("--python", str(fake), "-f", str(connection(tmp_path))), str(fake))


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.10"])
def test_a_python_that_is_too_old(tmp_path: Path, version: str) -> None:
    """The fake answers every probe in the way of an old interpreter; a real one is used where the machine has it."""
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    real = sorted(Path(os.environ.get("PYENV_ROOT", home / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    if not real:
        pytest.skip(f"no Python {version} here")
    done = run("--python", str(real[0]), "-f", str(connection(tmp_path)))
    refused(done, version)
    assert "3.11" in done.stderr or "Python 3" in done.stderr


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.stderr("SIGSEGV")
def test_every_python_of_the_machine_is_served(start_kernel: Any, version: str) -> None:
    """Without anything installed for it: information, cells, an interrupt, a subshell, a crash."""
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    real = sorted(Path(os.environ.get("PYENV_ROOT", home / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    if not real:
        pytest.skip(f"no Python {version} here")
    client = start_kernel(args=["--python", str(real[0]), "--on-crash=respawn"]).connect()
    info = client.request("kernel_info_request").ok().content
    assert info["language_info"]["version"].startswith(version + ".")
    turn = client.execute("import sys; print('text'); '%d.%d' % sys.version_info[:2]").ok()
    assert (turn.stdout, turn.result) == ("text\n", repr(version))
    for code in ("while True: pass", "import time; time.sleep(1000)", "import asyncio; await asyncio.sleep(1000)"):
        cell = client.send_code(f"print('on', flush=True)\n{code}")
        client.stream(cell, "on")
        client.request("interrupt_request", channel="control").ok()
        assert client.finish(cell).failed("KeyboardInterrupt").verdict == "interrupted"
    assert "print" in client.request("complete_request", {"code": "prin", "cursor_pos": 4}).content["matches"]
    header = {"subshell_id": client.request("create_subshell_request", channel="control").content["subshell_id"]}
    assert client.request("execute_request", {"code": "6 * 7"}, header=header).ok().result == "42"
    turn = client.execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").failed("WorkerCrashed")
    assert turn.verdict == "crashed"
    assert client.execute("1 + 1").ok().result == "2"


def test_broken_ipython_in_the_environment(tmp_path: Path) -> None:
    """IPython is there but cannot be imported: said in one sentence, not hidden."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "IPython").mkdir()
    (site / "IPython" / "__init__.py").write_text("raise RuntimeError('broken on purpose')\n")
    file = connection(tmp_path)
    kernel = Kernel(
        tmp_path, argv=[*husk_argv(), "--python", str(tmp_path / "env/bin/python"), "-f", str(file)], file=file
    )
    kernel.start(wait=False)
    try:
        wait_until(
            lambda: (
                kernel.exit_code() is not None or all(json.loads(file.read_text()).get(f"{c}_port") for c in CHANNELS)
            ),
            "start",
        )
        if kernel.exit_code() is None:
            kernel._ports()
            client = kernel.connect(ready=False)
            turn_id = client.send_code("get_ipython()\n%time 1")
            wait_until(
                lambda: (
                    client.pump(0.01)
                    and any(m.channel == "shell" for m in client.of(turn_id))
                    or kernel.exit_code() is not None
                ),
                "an answer or the end",
            )
            if kernel.exit_code() is None:
                kernel.shut_down()
        assert "broken on purpose" in kernel.stderr() or "IPython" in kernel.stderr()
    finally:
        kernel.close_clients()
        kernel.kill()


# Installing


def spec(path: Path) -> dict[str, Any]:
    return json.loads((path / "kernel.json").read_text())


def test_install_for_the_user(tmp_path: Path) -> None:
    done = run("install", "--user", "--python", TEST_PYTHON, env={"HOME": str(tmp_path), "XDG_DATA_HOME": ""})
    assert done.returncode == 0, done.stderr
    where = tmp_path / ".local/share/jupyter/kernels/husk"
    assert str(where) in done.stdout
    made = spec(where)
    assert made["language"] == "python"
    assert made["display_name"]
    assert made["interrupt_mode"] in ("message", "signal")
    assert made["kernel_protocol_version"] == "5.5"
    assert "{connection_file}" in made["argv"]
    assert Path(made["argv"][0]).is_absolute()
    assert TEST_PYTHON in made["argv"] or os.path.realpath(TEST_PYTHON) in made["argv"]
    assert stat.S_IMODE((where / "kernel.json").stat().st_mode) == 0o644
    assert [p.name for p in where.iterdir() if p.name.startswith(".")] == []


def test_install_default_is_user(tmp_path: Path) -> None:
    done = run("install", "--python", TEST_PYTHON, env={"HOME": str(tmp_path), "XDG_DATA_HOME": ""})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".local/share/jupyter/kernels/husk/kernel.json").exists()


def test_install_with_everything(tmp_path: Path) -> None:
    done = run(
        *(
            "install",
            "--prefix",
            str(tmp_path / "pre fix"),
            "--name",
            "my-kernel.1",
            "--display-name",
            'My "kernel" \u00fc\n',
        ),
        *("--python", TEST_PYTHON, "--env", "A=1", "--env", "B=x=y ${HOME}", "--profile", "strict"),
        *("--ipython-profile", "small"),
    )
    assert done.returncode == 0, done.stderr
    made = spec(tmp_path / "pre fix/share/jupyter/kernels/my-kernel.1")
    assert made["display_name"] == 'My "kernel" \u00fc\n'
    assert made["env"] == {"A": "1", "B": "x=y ${HOME}"}
    assert made["argv"][made["argv"].index("--profile") + 1] == "strict"
    assert made["argv"][made["argv"].index("--ipython-profile") + 1] == "small"


def test_install_judges_the_profile_and_names_its_file_whole(tmp_path: Path) -> None:
    (tmp_path / "own.conf").write_text('limits = { wall = "9 s"; };\n')
    (tmp_path / "bad.conf").write_text('limits = {\n wall = "9 parsec"; };\n')
    prefix = ("install", "--prefix", str(tmp_path / "prefix"), "--python", TEST_PYTHON)
    refused(run(*prefix, "--profile", "./bad.conf", cwd=tmp_path), "bad.conf:2", "9 parsec")
    refused(run(*prefix, "--profile", "nosuch"), "nosuch")
    assert not (tmp_path / "prefix").exists()
    assert run(*prefix, "--profile", "./own.conf", cwd=tmp_path).returncode == 0
    named = Path(spec(tmp_path / "prefix/share/jupyter/kernels/husk")["argv"][-1])
    assert named.is_absolute()
    assert named.samefile(tmp_path / "own.conf")


def test_install_sys_prefix(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    done = run("install", "--sys-prefix", "--python", str(tmp_path / "env/bin/python"))
    assert done.returncode == 0, done.stderr
    made = spec(tmp_path / "env/share/jupyter/kernels/husk")
    assert str(tmp_path / "env/bin/python") in made["argv"]


def test_install_again_replaces(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert (
            run("install", "--prefix", str(tmp_path), "--display-name", name, "--python", TEST_PYTHON).returncode == 0
        )
    assert spec(tmp_path / "share/jupyter/kernels/husk")["display_name"] == "two"


def test_install_has_logos(tmp_path: Path) -> None:
    assert run("install", "--prefix", str(tmp_path), "--python", TEST_PYTHON).returncode == 0
    names = {p.name for p in (tmp_path / "share/jupyter/kernels/husk").iterdir()}
    assert {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"} <= names


def test_install_refusals(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(run("install", "--prefix", str(tmp_path / "file"), "--python", TEST_PYTHON), str(tmp_path / "file"))
    refused(run("install", "--prefix", str(tmp_path), "--python", "/nonexistent/python"), "/nonexistent/python")


def install(prefix: Path, name: str, python: str, *more: str) -> None:
    done = run("install", "--prefix", str(prefix), "--name", name, "--python", python, *more)
    assert done.returncode == 0, done.stderr


def start_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch, prefix: Path
) -> tuple[KernelManager, BlockingKernelClient]:
    monkeypatch.setenv("JUPYTER_PATH", str(prefix / "share/jupyter"))
    manager = KernelManager(kernel_name=name)
    manager.start_kernel(extra_arguments=["--HistoryManager.hist_file=:memory:"])
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=20)
    return manager, client


def run_and_get(client: BlockingKernelClient, code: str) -> str:
    texts: list[str] = []
    reply = client.execute_interactive(
        code, timeout=20, output_hook=lambda m: texts.append(m["content"].get("text", "")), allow_stdin=False
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(texts)


def test_several_kernels_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_home: Path) -> None:
    """Two venvs, two kernelspecs, one installed husk, an unmodified jupyter_client."""
    running = []
    try:
        for n in (1, 2):
            venv.create(tmp_path / f"env{n}", with_pip=False, symlinks=True)
            install(tmp_path, f"husk-{n}", str(tmp_path / f"env{n}/bin/python"), "--env", f"WHICH={n}")
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
        assert {"husk-1", "husk-2"} <= set(KernelSpecManager().find_kernel_specs())
        running = [start_by_name(f"husk-{n}", monkeypatch, tmp_path) for n in (1, 2)]
        for n, (_, client) in enumerate(running, 1):
            code = "import sys, os; print(sys.prefix, sys.executable, os.environ['WHICH'])"
            prefix, executable, which = run_and_get(client, code).split()
            assert prefix == str(tmp_path / f"env{n}")
            assert executable == str(tmp_path / f"env{n}/bin/python")
            assert which == str(n)
        manager, client = running[0]
        run_and_get(client, "x = 5")
        manager.restart_kernel()
        client.wait_for_ready(timeout=20)
        assert run_and_get(client, "print('x' in globals())") == "False\n"
    finally:
        for manager, client in running:
            client.stop_channels()
            manager.shutdown_kernel()
            manager.context.destroy(linger=0)


def test_interrupt_and_death_through_jupyter_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_home: Path
) -> None:
    install(tmp_path, "husk", TEST_PYTHON)
    manager, client = start_by_name("husk", monkeypatch, tmp_path)
    try:
        msg_id = client.execute("print('started', flush=True)\nwhile True: pass")
        while client.get_iopub_msg(timeout=10)["msg_type"] != "stream":
            pass
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=10)
        assert reply["parent_header"]["msg_id"] == msg_id
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        client.execute("import os; os._exit(3)")
        assert client.get_shell_msg(timeout=10)["content"]["ename"] == "WorkerCrashed"
        wait_until(lambda: not manager.is_alive(), "the death that the restarter looks for")
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=20)
        assert run_and_get(client, "print(1)") == "1\n"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.context.destroy(linger=0)


def test_the_environment_decides_without_python_option(tmp_path: Path) -> None:
    """The active venv, else python3 on PATH."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    for env in (
        {"VIRTUAL_ENV": str(tmp_path / "env")},
        {"VIRTUAL_ENV": "", "PATH": f"{tmp_path}/env/bin:/usr/bin:/bin"},
    ):
        file = connection(tmp_path)
        kernel = Kernel(tmp_path, argv=[*husk_argv(), "-f", str(file)], file=file, env=env)
        try:
            client = kernel.start().connect()
            assert client.execute("import sys; sys.prefix").ok().result == repr(str(tmp_path / "env"))
            assert kernel.shut_down() == 0
        finally:
            kernel.close_clients()
            kernel.kill()


def test_without_connection_file(tmp_path: Path, shared_home: Path) -> None:
    """No -f: one is made in Jupyter's runtime directory, and said on stderr or stdout."""
    kernel = Kernel(
        tmp_path, argv=[*husk_argv(), "--python", TEST_PYTHON], env={"JUPYTER_RUNTIME_DIR": str(tmp_path / "run")}
    )
    kernel.start(wait=False)
    try:
        (made,) = wait_until(
            lambda: kernel.exit_code() is not None or list((tmp_path / "run").glob("kernel-*.json")),
            "a connection file",
        )
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        kernel.file = made
        wait_until(kernel._ports, "ports")
        kernel.key = kernel.connection["key"]
        assert kernel.connect().execute("6*7").ok().result == "42"
        assert made.name in kernel.stderr()
        assert kernel.shut_down() == 0
        assert not made.exists()
    finally:
        kernel.close_clients()
        kernel.kill()


def test_install_from_another_directory(tmp_path: Path) -> None:
    """A relative name of the program or the interpreter becomes absolute in the kernelspec."""
    relative = os.path.relpath(TEST_PYTHON, tmp_path)
    done = run("install", "--prefix", str(tmp_path), "--python", relative, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = spec(tmp_path / "share/jupyter/kernels/husk")
    python = made["argv"][made["argv"].index("--python") + 1]
    assert os.path.isabs(python)
    assert os.path.samefile(python, TEST_PYTHON)
