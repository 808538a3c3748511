# SPDX-License-Identifier: Apache-2.0
"""A kernel in its sandbox: what it shows, what outlives a worker, what is left at the end, and that no layer is skipped."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from husk import OPEN_PYTHON, SANITIZED, processes, wait_until

pytestmark = [
    pytest.mark.husk,
    pytest.mark.stderr(r"the sandbox has level full-nocg", r"the worker ended with exit code [03]$"),
]

MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
CLONE_NEWNS = 0x20000
KERNEL = os.environ.get("HUSK_KERNEL", "husk-kernel")
# What must be there, by level; the doctor's table has the same names.
NAMESPACED = ["namespaces", "id_map", "root", "proc", "workspace", "network", "session", "rlimits", "user"]
FILTERS = ["no_new_privs", "seccomp"]
RESTRICTED = ["workspace", "session", "rlimits", "no_new_privs", "landlock", "seccomp"]


def write_profile(directory: Path, text: str = "", level: str = "full", minimum: str = "full-nocg") -> str:
    """A profile of that level with further sections."""
    file = directory / "tested.conf"
    file.write_text(f'sandbox = {{ level = "{level}"; minimum = "{minimum}"; }};\n{text}\n')
    file.chmod(0o644)
    return str(file)


def sandbox_of(client: Any) -> dict[str, Any]:
    return client.request("kernel_info_request").reply.content["husk"]["sandbox"]


def need(possible: dict[str, Any], level: str) -> None:
    """Skips what asks for a level that cannot be had here."""
    if not possible[level]["possible"]:
        pytest.skip(f"level {level} cannot be had here: {possible[level]['reason']}")


@pytest.fixture
def client_at(start_kernel: Any, tmp_path: Path, possible: dict[str, Any]) -> Callable[[str], Any]:
    """A client of a kernel of exactly that level."""

    def begin(level: str) -> Any:
        need(possible, level)
        args = ["--profile", write_profile(tmp_path, level=level, minimum=level), "--python", OPEN_PYTHON]
        return start_kernel(args=args).connect()

    return begin


@pytest.fixture
def client(start_kernel: Any, tmp_path: Path) -> Any:
    return start_kernel(args=["--profile", write_profile(tmp_path)]).connect()


def control_groups() -> list[str]:
    """Directories of kernels below this process' own control groups, and beside them."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        roots = [f"/sys/fs/cgroup/{controllers or 'unified'}{path}", f"/sys/fs/cgroup{path}" if not controllers else ""]
        found += [str(p) for root in roots if root for p in Path(root).glob("husk-k*")]
    return found


def test_the_layers_are_said_and_hold(client: Any) -> None:
    said = sandbox_of(client)
    assert said["level"] in ("full", "full-nocg") and said["profile"] == "tested"
    assert set(NAMESPACED + FILTERS) <= set(said["layers"])
    assert ("cgroup" in said["layers"]) == (said["level"] == "full")
    seen = client.execute("print(open('/proc/self/status').read())").ok().stdout
    status = dict(line.split(":\t", 1) for line in seen.splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and status["Uid"].split() == ["1000"] * 4
    assert {status[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}


def test_the_front_has_given_up_root(client: Any, kernel_process: Any) -> None:
    client.execute("1", store_history=True).ok()
    tasks = list(Path(f"/proc/{kernel_process(client)}/task").iterdir())
    for task in tasks:
        text = (task / "status").read_text()
        lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if os.geteuid() == 0:
            assert "0" not in lines["Uid"].split() and int(lines["CapPrm"], 16) == 0
        else:
            assert lines["Uid"].split() == [str(os.getuid())] * 4
        assert (lines["Seccomp"], lines["NoNewPrivs"]) == ("0" if SANITIZED else "2", "1")


@pytest.fixture
def kernel_process(request: pytest.FixtureRequest) -> Any:
    """The pid of the kernel that a client belongs to."""
    return lambda _client: request.node.husk_kernels[-1].process.pid


def test_what_a_session_sees(client: Any) -> None:
    code = """
import getpass, json, os, socket, tempfile
print(json.dumps({"cwd": os.getcwd(), "home": os.path.expanduser("~"), "user": getpass.getuser(), "tmp": tempfile.gettempdir(),
  "root": sorted(os.listdir("/")), "sys": [name for name, _, _ in os.walk("/sys")][:4] + os.listdir("/sys/devices"), "same": os.path.samefile("/mnt/data", "/workspace"), "host": socket.gethostname(),
  "homes": os.listdir("/home"), "pids": [int(p) for p in os.listdir("/proc") if p.isdigit()],
  "interfaces": [name for _, name in socket.if_nameindex()], "fds": {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")}}))"""
    seen = json.loads(client.execute(code).ok().stdout)
    assert (seen["cwd"], seen["home"], seen["user"], seen["tmp"]) == ("/workspace", "/home/user", "user", "/tmp")
    assert seen["same"] and seen["host"] == "husk" and seen["homes"] == ["user"]
    assert seen["interfaces"] == ["lo"]
    assert max(seen["pids"]) < 1000 and 1 not in seen["pids"]
    assert seen["sys"] == ["/sys", "/sys/devices", "/sys/devices/system", "/sys/devices/system/cpu", "system"]
    assert set(seen["root"]) <= {
        "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "mnt", "opt", "proc", "root", "run", "sbin", "sys",
        "srv", "tmp", "usr", "var", "workspace",
    }  # fmt: skip
    # The link, its ring, its doorbell and the two pipes' read ends are the worker's; IPython's event loop has three when it is there.
    own = {name: target for name, target in seen["fds"].items() if int(name) < 8}
    more = [target.partition(":")[0] for name, target in seen["fds"].items() if int(name) >= 8]
    assert sorted(own) == list("01234567") and own["0"] == "/dev/null" and own["4"].startswith("/memfd:")
    assert set(more) <= {"anon_inode", "socket"} and len(more) <= 3


def test_programs_find_their_settings(client: Any) -> None:
    """What /usr names in /etc is there, where the machine has it and anybody may read it."""
    code = """
import os
for top in ("/usr/lib/jvm", "/usr/share/groff", "/usr/lib/python3", "/usr/lib/R"):
    for folder, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(folder, name)
            if os.path.islink(path) and os.readlink(path).startswith("/etc/") and not os.path.exists(path):
                print(path, os.readlink(path))
print("manpath", os.path.exists("/etc/manpath.config"))"""
    *missing, manpath = client.execute(code).ok().stdout.splitlines()
    assert [line for line in missing if os.access(line.split()[1], os.R_OK)] == []
    assert manpath == f"manpath {os.path.exists('/etc/manpath.config')}"


def test_processes_have_begun_when_they_did(client: Any) -> None:
    """The boot time is that of the clock, from which programs reckon."""
    code = """
import re, time
boot = int(re.search(r"^btime (\\d+)$", open("/proc/stat").read(), re.M)[1])
now = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
print(abs(boot - now) < 60)"""
    assert client.execute(code).ok().stdout == "True\n"


def test_nothing_of_the_fronts_environment_is_seen(start_kernel: Any, tmp_path: Path) -> None:
    text = 'environment = { GREETING = "hello"; };'
    kernel = start_kernel(args=["--profile", write_profile(tmp_path, text)], env={"HUSK_CANARY": "secret"})
    client = kernel.connect()
    seen = client.execute("import os; print(sorted(os.environ))").ok().stdout
    assert "HUSK_CANARY" not in seen and "'GREETING'" in seen
    client.execute(
        "import os\nfor n in os.listdir('/proc/self/fd'):\n  try: os.stat('/proc/self/fd/' + n)\n  except OSError: pass"
    ).ok()


def test_only_places_of_the_session_can_be_written(client: Any) -> None:
    code = """
import os
for place in ("/", "/usr", "/etc", "/dev", "/home", "/proc", "/run", "/sys", "/bin", "/lib"):
    try:
        open(place + "/x", "w")
        print("wrote", place)
    except OSError as e:
        pass
for place in ("/tmp", "/home/user", "/workspace", "/mnt/data", "/dev/shm"):
    open(place + "/x", "w").write("x")
print("done")"""
    assert client.execute(code).ok().stdout == "done\n"


def test_the_workspace_outlives_a_worker_and_the_variables_do_not(client: Any) -> None:
    client.execute("x = 1; open('kept', 'w').write('yes'); open('/tmp/kept', 'w').write('yes')").ok()
    died = client.execute("import os; os._exit(3)")
    assert died.reply.content["ename"] == "WorkerCrashed"
    assert died.reply.metadata["husk"] | {"verdict": "crashed", "state": "lost"} == died.reply.metadata["husk"]
    assert client.execute("print(open('kept').read(), open('/tmp/kept').read(), 'x' in globals())").ok().stdout == (
        "yes yes False\n"
    )


def test_what_a_dead_worker_has_left_is_ended(client: Any) -> None:
    client.execute("import subprocess; subprocess.Popen(['sleep', '7777'], start_new_session=True); None").ok()
    wait_until(lambda: any(p.name == "sleep" for p in processes()), "the sleep runs")
    client.execute("import os; os._exit(0)")
    client.execute("1").ok()
    assert not [p for p in processes() if p.name == "sleep" and is_ours(p.pid)]


def is_ours(pid: int) -> bool:
    try:
        return b"7777" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_directory_as_workspace_and_mounts(start_kernel: Any, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("work", "data", "both")}
    for place in places.values():
        place.mkdir(mode=0o755)
        (place / "file").write_text(place.name)
    text = (
        f'workspace = {{ directory = "{places["work"]}"; }};\n'
        f'mounts = ( "{places["data"]}:/srv/data:ro", "{places["both"]}:/srv/both:rw" );'
    )
    client = start_kernel(args=["--profile", write_profile(tmp_path, text)]).connect()
    code = "[open(p + '/file').read() for p in ('/workspace', '/srv/data', '/srv/both')]"
    assert client.execute(f"print({code})").ok().stdout == "['work', 'data', 'both']\n"
    client.execute("open('made', 'w').write('w'); open('/srv/both/made', 'w').write('b')").ok()
    refused = client.execute("open('/srv/data/made', 'w')")
    assert refused.reply.content["ename"] == "OSError" and "Read-only" in refused.reply.content["evalue"]
    assert (places["work"] / "made").read_text() == "w" and (places["both"] / "made").read_text() == "b"
    assert (places["work"] / "made").stat().st_uid == os.geteuid()


def test_history_is_the_sessions_own(start_kernel: Any, tmp_path: Path) -> None:
    plain = start_kernel(args=["--history-file", str(tmp_path / "history.sqlite")]).connect()
    plain.execute("mine = 'private'", store_history=True).ok()
    shut_in = start_kernel(args=["--profile", write_profile(tmp_path)], env={"IPYTHONDIR": str(tmp_path)}).connect()
    shut_in.execute("x = 1", store_history=True).ok()
    asked = {"hist_access_type": "tail", "n": 100, "raw": True, "output": False}
    found = shut_in.request("history_request", asked).reply.content
    assert "x = 1" in json.dumps(found) and "private" not in json.dumps(found)


def test_exit_does_not_end_the_kernel(client: Any) -> None:
    client.execute("exit()")
    assert client.execute("print('on')").ok().stdout == "on\n"


@pytest.mark.parametrize("level", ["full", "full-nocg", "restricted"])
def test_usage_is_measured(client_at: Callable[[str], Any], level: str) -> None:
    """Whatever it is read from. Where nothing is measured no limit holds."""
    client = client_at(level)
    code = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\nx = b'x' * (30 << 20)"
    usage = client.execute(code).ok().reply.metadata["husk"]["usage"]
    assert usage["cpu_user_usec"] + usage["cpu_system_usec"] >= 90_000
    assert usage["memory_peak_bytes"] > 30 << 20
    assert usage["processes"] >= 1


@pytest.mark.parametrize("level", ["full", "full-nocg", "restricted"])
def test_output_that_is_left_out_is_where_the_notice_says(client_at: Callable[[str], Any], level: str) -> None:
    client = client_at(level)
    limits = {"husk": {"limits": {"output": "8 KiB"}}}
    turn = client.execute("for i in range(10000): print(i)", metadata=limits).ok()
    path = re.search(r" is in (/\S+)\]", turn.stderr)
    assert path, turn.stderr
    whole = "".join(f"{i}\n" for i in range(10000))
    assert client.execute(f"print(len(open({path[1]!r}).read()))").ok().stdout == f"{len(whole) - 6144}\n"


@pytest.mark.parametrize("level", ["full", "full-nocg", "restricted"])
def test_an_interrupt_keeps_the_variables(client_at: Callable[[str], Any], level: str) -> None:
    """At every level it reaches the worker, whatever user ids front and worker have."""
    client = client_at(level)
    client.execute("x = 5").ok()
    running = client.send_code("print('runs', flush=True)\nwhile True: pass")
    client.stream(running, "runs")
    client.request("interrupt_request", channel="control").ok()
    turn = client.finish(running).failed("KeyboardInterrupt")
    assert turn.reply.metadata["husk"]["state"] == "kept"
    assert client.execute("x").ok().result == "5"


@pytest.mark.exit(-signal.SIGKILL)
@pytest.mark.parametrize("level", ["full", "restricted"])
def test_nothing_is_left_of_a_killed_front(start_kernel: Any, tmp_path: Path, possible: Any, level: str) -> None:
    need(possible, level if level == "restricted" else "full-nocg")
    before = set(control_groups())
    minimum = "restricted" if level == "restricted" else "full-nocg"
    args = ["--profile", write_profile(tmp_path, level=level, minimum=minimum), "--python", OPEN_PYTHON]
    kernel = start_kernel(args=args)
    client = kernel.connect()
    client.execute("import subprocess; subprocess.Popen(['sleep', '7777'], start_new_session=True); None").ok()
    place = client.execute("import os; print(os.getcwd())").ok().stdout.strip()
    kernel.process.kill()
    kernel.process.wait()
    wait_until(
        lambda: not [p for p in processes() if p.name == "sleep" and is_ours(p.pid)], "the tenant's processes end"
    )
    wait_until(lambda: set(control_groups()) <= before, "the control groups go")
    wait_until(
        lambda: not [p for p in processes() if p.name.startswith("husk-") and p.ppid == os.getpid() and p.state != "Z"],
        "the keeper ends",
    )
    assert place == "/workspace" or not os.path.exists(place)


def faults() -> list[Any]:
    """Every step at every level that needs it."""
    full = [("full", name) for name in ["cgroup", *NAMESPACED, *FILTERS, "landlock"]]
    without = [("full-nocg", name) for name in [*NAMESPACED, *FILTERS, "landlock"]]
    return full + without + [("restricted", name) for name in RESTRICTED]


def prepare(directory: Path) -> tuple[str, str]:
    """An interpreter and a section of a profile. The tenant's first chance is code that Python runs by itself when it starts."""
    environment, work = directory / "environment", directory / "work"
    subprocess.run([OPEN_PYTHON, "-m", "venv", "--without-pip", "--symlinks", str(environment)], check=True, timeout=60)
    packages = next((environment / "lib").glob("python*/site-packages"))
    (packages / "tenant.pth").write_text("import os; os.getcwd() != '/' and open('ran', 'w').close()\n")
    work.mkdir()
    work.chmod(0o777)
    return str(environment / "bin/python"), f'workspace = {{ directory = "{work}"; }};'


@pytest.mark.parametrize(("level", "layer"), faults())
def test_a_layer_that_fails_stops_the_start(
    tmp_path: Path, open_directory: Path, possible: Any, level: str, layer: str
) -> None:
    need(possible, level)
    python, text = prepare(open_directory)
    command = [KERNEL, "-f", str(tmp_path / "kernel.json"), "--python", python]
    command += ["--profile", write_profile(tmp_path, text, level, level)]
    env = dict(os.environ, HUSK_FAULT_LAYER=layer)
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done.stderr
    assert not (open_directory / "work/ran").exists()
    assert "husk-kernel" in done.stderr
    assert not (tmp_path / "kernel.json").exists()


@pytest.mark.parametrize("level", ["full", "full-nocg", "restricted"])
def test_without_a_fault_the_same_start_runs_it(
    start_kernel: Any, tmp_path: Path, open_directory: Path, possible: Any, level: str
) -> None:
    need(possible, level)
    python, text = prepare(open_directory)
    args = ["--profile", write_profile(tmp_path, text, level, level), "--python", python]
    client = start_kernel(args=args).connect()
    assert sandbox_of(client)["level"] == level
    client.execute("1").ok()
    assert (open_directory / "work/ran").exists()


def test_the_time_zone_of_a_machine_whose_localtime_is_no_link(start_kernel: Any, tmp_path: Path, possible: dict[str, Any]) -> None:
    need(possible, "full-nocg")
    zone = Path("/usr/share/zoneinfo/Asia/Tokyo")
    if os.geteuid() != 0 or not zone.exists():
        pytest.skip("needs root, who may have an /etc of its own, and tzdata")
    etc = tmp_path / "etc"
    etc.mkdir(mode=0o755)
    for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
        (etc / name).write_bytes(Path("/etc", name).read_bytes())
    (etc / "localtime").write_bytes(zone.read_bytes())
    libc = ctypes.CDLL(None, use_errno=True)

    def own_etc() -> None:
        private = MS_REC | MS_PRIVATE
        if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, private, None) or libc.mount(bytes(etc), b"/etc", None, MS_BIND, None):
            raise OSError(ctypes.get_errno(), "mount")

    args = ["--profile", write_profile(tmp_path), "--python", OPEN_PYTHON]
    client = start_kernel(args=args, prepare=own_etc).connect()
    assert client.execute("import time; print(time.strftime('%z'))").stdout == "+0900\n"


INOTIFY = """
import ctypes, os
libc = ctypes.CDLL(None)
made = []
while len(made) < 1000 and (fd := libc.inotify_init1(0)) >= 0:
    made.append(fd)
for fd in made:
    os.close(fd)
print(len(made))
"""


def test_watches_of_files_are_bounded_for_the_sandbox_alone(client_at: Callable[[str], Any]) -> None:
    """The machine counts them by user: one who runs a kernel has 128 for all programs, as Linux comes."""
    assert client_at("full-nocg").execute(INOTIFY).stdout == "32\n"


def test_the_next_lower_level_where_the_first_cannot_be_had(start_kernel: Any, tmp_path: Path, possible: dict[str, Any]) -> None:
    """Whatever this machine allows: the control groups are made to fail."""
    need(possible, "full-nocg")
    profile = write_profile(tmp_path, level="full", minimum="full-nocg")
    options = {"args": ["--profile", profile, "--python", OPEN_PYTHON], "env": {"HUSK_FAULT_LAYER": "cgroup"}}
    client = start_kernel(**options).connect()
    assert sandbox_of(client)["level"] == "full-nocg"
    assert client.execute("1 + 1").ok().result == "2"
