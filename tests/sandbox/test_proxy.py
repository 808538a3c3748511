# SPDX-License-Identifier: Apache-2.0
"""The network proxy with real clients: what it lets through, what it refuses and says, and what it bounds."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

MAX_CONNECTIONS = 128
TIMEOUT = 20
MIB = 1 << 20
IDLE_DESCRIPTORS = [0, 1, 2, 3, 4, 5, 6]  # standard ones, listener, lifeline, epoll and resolver


class Server(BaseHTTPRequestHandler):
    """Answers with what it was asked; remembers requests."""

    protocol_version = "HTTP/1.1"
    requests: list[str]

    def _answer(self, body: bytes) -> None:
        self.server.requests.append(f"{self.command} {self.path}")  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Seen-Host", self.headers["Host"])
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(bytes(range(256)) * (32 * MIB // 256) if self.path == "/large" else b"hello")

    def do_POST(self) -> None:
        if self.headers["Transfer-Encoding"] == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(body)

    def log_message(self, *_args: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """An HTTP server on the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.requests = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Proxy:
    """A running proxy."""

    def __init__(self, program: Path, profile: Path) -> None:
        self.process = subprocess.Popen(
            [program, profile], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=TIMEOUT)[1]
        self.port, self.pid = (int(word) for word in line.split())
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self) -> str:
        """Ends its lifeline; what it has logged."""
        _, log = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0, log
        return log

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT)

    def talk(self, text: str | bytes) -> bytes:
        """All that it answers to that."""
        with self.connect() as s:
            s.sendall(text.encode() if isinstance(text, str) else text)
            return read_all(s)

    def descriptors(self) -> list[int]:
        """Numbers of its open files."""
        return sorted(int(fd) for fd in os.listdir(f"/proc/{self.pid}/fd"))

    def status(self) -> dict[str, str]:
        """/proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def read_all(s: socket.socket) -> bytes:
    """Until the end."""
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


StartProxy = Callable[..., Proxy]


@pytest.fixture
def start(build: Path, tmp_path: Path) -> Iterator[StartProxy]:
    """Starts a proxy that allows these targets."""
    proxies: list[Proxy] = []

    def start_proxy(*allow: str) -> Proxy:
        profile = tmp_path / "tested.conf"
        targets = ", ".join(f'"{target}"' for target in allow)
        profile.write_text(f'network = {{ policy = "proxy"; allow = ( {targets} ); }};\n')
        profile.chmod(0o644)
        proxies.append(Proxy(build / "tests/sandbox/proxied", profile))
        return proxies[-1]

    yield start_proxy
    for proxy in proxies:
        if proxy.process.returncode is None:
            proxy.end()
        assert not Path(f"/proc/{proxy.pid}").exists()


@pytest.fixture
def proxy(start: StartProxy, server: ThreadingHTTPServer) -> Proxy:
    """A proxy that allows the server, by its address and by a name."""
    return start(
        f"127.0.0.1:{server.server_port}", f"localhost:{server.server_port}", "nosuch.invalid:80", "127.0.0.1:1"
    )


def fetch(proxy: Proxy, url: str, **options: Any) -> tuple[int, str, bytes]:
    """Status, reason and body of a request through the proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy.url, "https": proxy.url}))
    try:
        with opener.open(urllib.request.Request(url, **options), timeout=TIMEOUT) as answer:
            return answer.status, answer.reason, answer.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.reason, e.read()


def test_an_allowed_address_is_reached(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    place = f"127.0.0.1:{server.server_port}"
    assert fetch(proxy, f"http://{place}/x?y") == (200, "OK", b"hello")
    assert fetch(proxy, f"http://{place}/", data=b"body", method="POST") == (200, "OK", b"body")
    assert server.requests == ["GET /x?y", "POST /"]  # type: ignore[attr-defined]
    assert proxy.end() == ""


def test_curl_reaches_it_by_request_and_by_tunnel(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    url = f"http://127.0.0.1:{server.server_port}/a"
    for how in ([], ["--proxytunnel"], ["--proxytunnel", "--proxy1.0", proxy.url]):
        command = ["curl", "-sS", "--noproxy", "", "-x", proxy.url, *how, "-d", "@-", url]
        done = subprocess.run(command, input=b"z" * 300000, capture_output=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == b"z" * 300000
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "", "-x", proxy.url, "https://example.org/"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode != 0
    assert "403" in done.stderr


def test_what_no_rule_allows_is_refused_before_it_is_looked_up(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    for place in ("example.org:443", "127.0.0.1:22", "10.0.0.1:80", "[::1]:80", f"127.0.0.2:{server.server_port}"):
        status, reason, body = fetch(proxy, f"http://{place}/")
        assert (status, reason) == (403, f"{place} is not in network.allow of the profile tested")
        assert body.decode() == reason + "\n"
        if "[" not in place:  # some releases of http.client leave out the brackets
            with pytest.raises(
                urllib.error.URLError, match=r"Tunnel connection failed: 403 .* is not in network\.allow"
            ):
                fetch(proxy, f"https://{place}/")
    log = proxy.end()
    assert log.count("\n") == 1  # one line in five seconds, and the others counted in the next
    assert re.fullmatch(
        r"husk-proxy\[\d+\]: refused: example\.org:443 is not in network\.allow of the profile tested\n", log
    )


def test_a_name_that_leads_to_this_machine_is_refused(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    status, reason, _ = fetch(proxy, f"http://localhost:{server.server_port}/")
    assert status == 403
    assert re.fullmatch(
        rf"localhost:{server.server_port} leads to a loopback address; network\.allow of the profile tested would have to name .*",
        reason,
    )
    assert server.requests == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "form", ["127.1", "2130706433", "0x7f000001", "017700000001", "[::ffff:127.0.0.1]", "127.0.0.1."]
)
def test_addresses_in_disguise_are_no_names(proxy: Proxy, server: ThreadingHTTPServer, form: str) -> None:
    for text in (
        f"CONNECT {form}:{server.server_port} HTTP/1.1\r\n\r\n",
        f"GET http://{form}:{server.server_port}/ HTTP/1.1\r\n\r\n",
    ):
        assert proxy.talk(text).startswith(b"HTTP/1.1 400 ")


def test_what_cannot_be_reached_says_why(proxy: Proxy) -> None:
    assert fetch(proxy, "http://127.0.0.1:1/")[:2] == (502, "127.0.0.1:1 cannot be reached: Connection refused")
    status, reason, _ = fetch(proxy, "http://nosuch.invalid/")
    assert status == 502
    assert reason.startswith("nosuch.invalid:80 cannot be resolved: ")
    assert proxy.end() == ""


def test_another_host_header_is_refused(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    place = f"127.0.0.1:{server.server_port}"
    for text in (
        f"GET http://{place}/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        f"CONNECT {place} HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    ):
        assert proxy.talk(text).startswith(b"HTTP/1.1 403 the Host header is another place")
    assert server.requests == []  # type: ignore[attr-defined]


def test_one_connection_carries_one_request(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    place = f"127.0.0.1:{server.server_port}"
    answer = proxy.talk(
        f"POST http://{place}/one HTTP/1.1\r\nHost: {place}\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc"
        f"GET http://{place}/two HTTP/1.1\r\nHost: {place}\r\n\r\n"
    )
    assert answer.endswith(b"\r\n\r\nabc")
    assert server.requests == ["POST /one"]  # type: ignore[attr-defined]
    answer = proxy.talk(
        f"POST http://{place}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert answer.endswith(b"\r\n\r\nabcde")
    assert f"X-Seen-Host: {place}\r\n".encode() in answer


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00" * 10, 400, id="tls"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no proxy request"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", 400, id="ssh"),
        pytest.param(b"GET http://a/ HTTP/1.1\nX: y\n\n", 400, id="line feeds"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nX: " + b"x" * 20000, 431, id="long"),
    ],
)
def test_what_is_no_request_gets_an_answer_and_the_end(proxy: Proxy, text: bytes, status: int) -> None:
    answer = proxy.talk(text)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close\r\n" in answer


def test_a_slow_head_and_a_head_byte_by_byte(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    with proxy.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in f"GET http://127.0.0.1:{server.server_port}/ HTTP/1.0\r\n\r\n".encode():
            s.send(bytes([byte]))
        assert read_all(s).endswith(b"hello")


def test_a_client_that_has_gone_takes_its_connection_along(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    for text in (b"", b"GET http://127", b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % server.server_port):
        for _ in range(20):
            with proxy.connect() as s:
                s.sendall(text)
    assert fetch(proxy, f"http://127.0.0.1:{server.server_port}/")[0] == 200
    wait_until(lambda: proxy.descriptors() == IDLE_DESCRIPTORS)


def wait_until(condition: Callable[[], bool]) -> None:
    """Until it holds; fails after a while."""
    event = threading.Event()
    for _ in range(TIMEOUT * 100):
        if condition():
            return
        event.wait(0.01)
    raise AssertionError("it did not come true")


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that sends back what it has got, when it has got all."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            s, _ = listener.accept()
            with s:
                s.sendall(read_all(s))

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    stop.set()
    socket.create_connection(listener.getsockname()).close()
    thread.join()
    listener.close()


def test_a_tunnel_has_two_ends_of_its_own(start: StartProxy, echo: int) -> None:
    proxy = start(f"127.0.0.1:{echo}")
    text = os.urandom(3 * MIB)
    with proxy.connect() as s:
        s.sendall(f"CONNECT 127.0.0.1:{echo} HTTP/1.1\r\nHost: 127.0.0.1:{echo}\r\n\r\n".encode() + text[:100])
        sender = threading.Thread(target=lambda: (s.sendall(text[100:]), s.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = read_all(s)
        sender.join()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 Connection established"
    assert body == text


def test_a_slow_reader_costs_no_memory(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    digest = hashlib.sha256()
    total = 0
    with proxy.connect() as s:
        s.sendall(f"GET http://127.0.0.1:{server.server_port}/large HTTP/1.0\r\n\r\n".encode())
        while part := s.recv(4096):
            total += len(part)
            digest.update(part)
    assert total > 32 * MIB
    if not re.search("lib(a|ub)san", Path(f"/proc/{proxy.process.pid}/maps").read_text("utf-8")):
        assert int(proxy.status()["VmHWM"].split()[0]) < 24 << 10


def test_there_are_so_many_connections_and_no_more(proxy: Proxy, server: ThreadingHTTPServer) -> None:
    idle = [proxy.connect() for _ in range(MAX_CONNECTIONS)]
    with proxy.connect() as s:
        s.sendall(f"GET http://127.0.0.1:{server.server_port}/ HTTP/1.0\r\n\r\n".encode())
        idle.pop().close()
        assert read_all(s).endswith(b"hello")
    for other in idle:
        other.close()


def test_the_proxy_is_confined(proxy: Proxy) -> None:
    status = proxy.status()
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert (status["CapEff"], status["CapPrm"], status["CapInh"], status["CapAmb"]) == ("0" * 16,) * 4
    n_ids = int(Path("/proc/self/uid_map").read_text("utf-8").split()[2])
    if os.geteuid() == 0 and n_ids > 65534:
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
        assert status["Groups"] == ""
    if os.geteuid() == 0:
        wait_until(lambda: proxy.descriptors() == IDLE_DESCRIPTORS)
        assert {os.readlink(f"/proc/{proxy.pid}/fd/{fd}") for fd in (0, 1)} == {"/dev/null"}


def test_the_proxy_ends_with_its_owner(start: StartProxy, server: ThreadingHTTPServer) -> None:
    proxy = start(f"127.0.0.1:{server.server_port}")
    with proxy.connect() as s:
        s.sendall(f"CONNECT 127.0.0.1:{server.server_port} HTTP/1.1\r\n\r\n".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")
        proxy.end()
        assert s.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        proxy.connect()


class Index(SimpleHTTPRequestHandler):
    """A package index of files."""

    def log_message(self, *_args: object) -> None:
        """Keeps quiet."""


def test_pip_installs_from_an_index_that_is_allowed(start: StartProxy, tmp_path: Path) -> None:
    if subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, timeout=60, check=False
    ).returncode:
        pytest.skip("no pip in this environment")
    folder = tmp_path / "index" / "simple" / "proxied-test"
    folder.mkdir(parents=True)
    name = "proxied_test-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        info = "proxied_test-1.0.dist-info"
        wheel.writestr("proxied_test.py", "value = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: proxied-test\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{name}">{name}</a>')
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Index(*args, directory=str(tmp_path / "index")))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def install(proxy: Proxy) -> subprocess.CompletedProcess[str]:
        url = f"http://127.0.0.1:{server.server_port}/simple"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "http_proxy": proxy.url,
            "https_proxy": proxy.url,
        }
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--retries",
            "0",
        ]
        command += ["--no-cache-dir", "--index-url", url, "--target", str(tmp_path / "target"), "proxied-test"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)

    try:
        done = install(start("127.0.0.1:9"))
        assert done.returncode != 0
        assert not (tmp_path / "target").exists()
        done = install(start(f"127.0.0.1:{server.server_port}"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "target" / "proxied_test.py").exists()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Two networks with a public address each, joined by a wire, in namespaces of their own: 93.184.216.1 with the proxy and a name server
# whose first answer for a name is another than all later ones, and 93.184.216.34 with a web server.
TWO_NETWORKS = """
set -eu
ip link set lo up
ip link add near type veth peer name far
unshare --net sleep 60 >/dev/null 2>&1 &
other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link set far netns $other
ip addr add 93.184.216.1/24 dev near
ip link set near up
nsenter --net=/proc/$other/ns/net ip addr add 93.184.216.34/24 dev far
nsenter --net=/proc/$other/ns/net ip link set far up
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
status=0
"$2" -I -B "$1/drive.py" "$3" "$1/tested.conf" $other || status=$?
kill $other
wait $other || true
exit $status
"""

DRIVE = '''
import re, socket, struct, subprocess, sys, threading

SERVE = "import http.server as h; s = h.HTTPServer(('93.184.216.34', 80), h.SimpleHTTPRequestHandler); print('up', flush=True); s.serve_forever()"
queries = []


def answer(question):
    """The first answer for a name is public, all later ones are private."""
    end = question.index(b"\\0", 12) + 5
    kind = struct.unpack(">H", question[end - 4 : end - 2])[0]
    queries.append((question[12 : end - 5], kind))
    address = "93.184.216.34" if queries.count(queries[-1]) == 1 else "10.0.0.1"
    record = b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address) if kind == 1 else b""
    return question[:2] + b"\\x81\\x80\\0\\1" + struct.pack(">H", bool(record)) + b"\\0" * 4 + question[12:end] + record


def serve_names():
    while True:
        question, client = names.recvfrom(512)
        names.sendto(answer(question), client)


def get(place):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(f"CONNECT {place} HTTP/1.1\\r\\n\\r\\n".encode())
        return s.makefile("rb").readline().decode().strip()


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
threading.Thread(target=serve_names, daemon=True).start()
web = subprocess.Popen(["nsenter", f"--net=/proc/{sys.argv[3]}/ns/net", sys.executable, "-I", "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
web.stdout.readline()
proxy = subprocess.Popen(sys.argv[1:3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
port = int(proxy.stdout.readline().split()[0])
for place in ("web.example.org:80", "here.example.org:80", "rebound.example.org:80", "rebound.example.org:80", "mixed.example.org:80", "cgnat.example.org:80"):
    print(get(place))
print(sorted(kind for name, kind in queries))
proxy.stdin.close()
print(proxy.wait())
web.kill()
web.wait()
'''


def test_names_are_judged_by_the_addresses_that_are_connected_to(build: Path, tmp_path: Path) -> None:
    unshare = ["unshare", *(["--map-root-user"] if os.geteuid() else []), "--mount", "--net"]
    if (
        not shutil.which("ip")
        or subprocess.run([*unshare, "true"], capture_output=True, timeout=TIMEOUT, check=False).returncode
    ):
        pytest.skip("no ip(8), or no namespaces for this user")
    (tmp_path / "hosts").write_text(
        "93.184.216.34 web.example.org mixed.example.org\n93.184.216.1 here.example.org\n10.0.0.1 mixed.example.org\n"
        "100.64.0.1 cgnat.example.org\n"
    )
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
    (tmp_path / "drive.py").write_text(textwrap.dedent(DRIVE))
    (tmp_path / "tested.conf").write_text('network = { policy = "proxy"; allow = ( "*.example.org:80" ); };\n')
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    script = [*unshare, "--", "bash", "-c", TWO_NETWORKS, "bash"]
    done = subprocess.run(
        [*script, tmp_path, sys.executable, build / "tests/sandbox/proxied"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    end = "; network.allow of the profile tested would have to name the address itself"
    assert lines == [
        "HTTP/1.1 200 Connection established",
        f"HTTP/1.1 403 here.example.org:80 leads to an address of this machine{end}",
        "HTTP/1.1 200 Connection established",
        f"HTTP/1.1 403 rebound.example.org:80 leads to a private address{end}",
        "HTTP/1.1 200 Connection established",
        f"HTTP/1.1 403 cgnat.example.org:80 leads to an address shared behind a carrier's NAT{end}",
        "[1, 1, 28, 28]",
        "0",
    ]
