# SPDX-License-Identifier: Apache-2.0
"""Network policies of profiles: what a cell reaches, and what it is told."""

from __future__ import annotations

import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from husk import descendants, processes, wait_until

pytestmark = pytest.mark.husk

FETCH = """
import os, urllib.error, urllib.request
direct = [os.environ.pop(name, "") for name in ("no_proxy", "NO_PROXY")]  # the loopback is meant to go by the proxy too
def fetch(url, proxies=None):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        return opener.open(url, timeout=10).read().decode()
    except urllib.error.HTTPError as e:
        return f"{e.code} {e.reason}"
    except OSError as e:
        return f"{type(e).__name__}: {e}"
"""


class Server(BaseHTTPRequestHandler):
    """Says hello."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_args: object) -> None:
        """Keeps quiet."""


def serve(handler: Any) -> Iterator[ThreadingHTTPServer]:
    """A web server on the machine's loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """It says hello."""
    yield from serve(Server)


class Files(SimpleHTTPRequestHandler):
    """Files of a directory."""

    def log_message(self, *_args: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """A package index with one package."""
    folder = tmp_path / "index" / "simple" / "proxied-test"
    folder.mkdir(parents=True)
    name, info = "proxied_test-1.0-py3-none-any.whl", "proxied_test-1.0.dist-info"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("proxied_test.py", "value = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: proxied-test\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{name}">{name}</a>')
    yield from serve(lambda *args: Files(*args, directory=str(tmp_path / "index")))


def profile(directory: Path, network: str) -> str:
    """A profile with that section."""
    file = directory / "tested.conf"
    file.write_text(f'sandbox = {{ minimum = "full-nocg"; }};\nnetwork = {{ {network} }};\n')
    file.chmod(0o644)
    return str(file)


@pytest.mark.stderr(r"husk-proxy\[\d+\]: refused: ", r"the sandbox has level full-nocg")
def test_the_proxy_lets_through_what_the_profile_allows(
    start_kernel: Any, tmp_path: Path, server: ThreadingHTTPServer
) -> None:
    place = f"127.0.0.1:{server.server_port}"
    allowed = f'policy = "proxy"; allow = ( "{place}", "localhost:{server.server_port}" );'
    client = start_kernel(args=["--profile", profile(tmp_path, allowed)]).connect()
    client.execute(FETCH).ok()
    assert client.execute("print(direct)").ok().stdout == f"{['localhost,127.0.0.1,::1'] * 2}\n"
    assert client.execute(f"print(fetch('http://{place}/'))").ok().stdout == "hello\n"
    refused = client.execute("print(fetch('http://example.org/'))").ok().stdout
    assert refused == "403 example.org:80 is not in network.allow of the profile tested\n"
    refused = client.execute(f"print(fetch('http://localhost:{server.server_port}/'))").ok().stdout
    assert refused.startswith(f"403 localhost:{server.server_port} leads to a loopback address")
    direct = client.execute(f"print(fetch('http://{place}/', {{}}))").ok().stdout
    assert "Connection refused" in direct
    tunnel = client.execute("print(fetch('https://example.org/'))").ok().stdout
    assert "Tunnel connection failed: 403 example.org:443 is not in network.allow" in tunnel


@pytest.mark.ipython
@pytest.mark.stderr(r"husk-proxy\[\d+\]: refused: ", r"the sandbox has level full-nocg")
def test_pip_installs_where_the_profile_allows_it(
    start_kernel: Any, tmp_path: Path, index: ThreadingHTTPServer
) -> None:
    place = f"127.0.0.1:{index.server_port}"
    client = start_kernel(args=["--profile", profile(tmp_path, f'policy = "proxy"; allow = ( "{place}" );')]).connect()
    client.execute(FETCH).ok()
    if client.execute("import importlib.util as u; print(bool(u.find_spec('pip')))").ok().stdout == "False\n":
        pytest.skip("no pip in this environment")
    pip = "%pip install --retries 0 --disable-pip-version-check --index-url"
    refused = client.execute(f"{pip} http://example.org/simple proxied-test").stdout
    assert "No matching distribution found" in refused
    client.execute(f"{pip} http://{place}/simple proxied-test").ok()
    assert client.execute("import proxied_test; print(proxied_test.value)").ok().stdout == "42\n"


@pytest.mark.parametrize("whose", ["husk-kernel", "husk-keeper"])
@pytest.mark.stderr(r"the sandbox has level full-nocg", r"the sandbox has ended", r"the worker ")
def test_the_proxy_ends_with_its_front_and_with_its_keeper(start_kernel: Any, tmp_path: Path, whose: str) -> None:
    kernel = start_kernel(
        args=["--profile", profile(tmp_path, 'policy = "proxy"; allow = ( "a.example:1" );')], expect_exit=(0, -9)
    )
    kernel.connect().execute("1+1").ok()
    below = {p.name: p.pid for p in descendants(kernel.pid)}
    assert "husk-proxy" in below
    os.kill(kernel.pid if whose == "husk-kernel" else below[whose], signal.SIGKILL)
    wait_until(lambda: all(p.pid != below["husk-proxy"] or p.state == "Z" for p in processes()), "no proxy")


@pytest.mark.stderr(r"the sandbox has level full-nocg")
def test_without_a_network_nothing_is_reached(start_kernel: Any, tmp_path: Path, server: ThreadingHTTPServer) -> None:
    client = start_kernel(args=["--profile", profile(tmp_path, 'policy = "none";')]).connect()
    client.execute(FETCH).ok()
    assert "Connection refused" in client.execute(f"print(fetch('http://127.0.0.1:{server.server_port}/'))").ok().stdout
    assert "URLError" in client.execute("print(fetch('http://1.1.1.1/'))").ok().stdout


@pytest.mark.stderr(r"the sandbox has level full-nocg")
def test_the_network_of_the_host_is_the_hosts(start_kernel: Any, tmp_path: Path, server: ThreadingHTTPServer) -> None:
    client = start_kernel(args=["--profile", profile(tmp_path, 'policy = "host";')]).connect()
    client.execute(FETCH).ok()
    assert client.execute(f"print(fetch('http://127.0.0.1:{server.server_port}/'))").ok().stdout == "hello\n"
