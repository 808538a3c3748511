# SPDX-License-Identifier: Apache-2.0
"""Event loops of GUI toolkits between cells, and what the names say where there is no display."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from husk import Client

pytestmark = [pytest.mark.ipython, pytest.mark.bound(120)]

NO_DISPLAY = {"DISPLAY": None, "WAYLAND_DISPLAY": None}


@pytest.fixture
def display() -> Iterator[str]:
    """Name of an X display of its own; asked for before the kernel, which ends with its display."""
    server = shutil.which("Xvfb")
    if not server:
        pytest.skip("no Xvfb here (Debian: xvfb)")
    reading, writing = os.pipe()
    command = [server, "-displayfd", str(writing), "-nolisten", "tcp", "-screen", "0", "640x480x24"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as process:
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        try:
            assert number, "Xvfb has not started"
            yield f":{number}"
        finally:
            process.terminate()


def printed_when_idle(client: Client, msg_id: str, text: str) -> None:
    """The text comes after the cell has ended, without a further request."""
    ended = client.state(msg_id, "idle").number
    found = client.wait(lambda m: m.type == "stream" and text in m.content["text"], text)
    assert found.number > ended


def test_asyncio_goes_on_between_cells(client: Client) -> None:
    client.execute("%gui asyncio").ok()
    code = """
import asyncio
async def later():
    await asyncio.sleep(0.2)
    print('from the loop')
task = asyncio.get_running_loop().create_task(later())
"""
    cell = client.send_code(code)
    client.finish(cell).ok()
    printed_when_idle(client, cell, "from the loop")
    assert client.execute("task.done()").ok().result == "True"


@pytest.mark.needs("tkinter")
@pytest.mark.differs("does not answer any more")
def test_tk_runs_between_cells(display: str, start_kernel: Any) -> None:
    client = start_kernel(env={"DISPLAY": display}).connect()
    client.execute("%gui tk").ok()
    code = "import tkinter\nwindow = tkinter.Tk()\nwindow.after(200, lambda: print('from Tk')) and None"
    cell = client.send_code(code)
    client.finish(cell).ok()
    printed_when_idle(client, cell, "from Tk")
    for n in range(20):
        assert client.execute(f"{n}").ok().result == str(n)
    cell = client.send_code("print('on', flush=True)\nwhile True: pass")
    client.stream(cell, "on")
    client.request("interrupt_request", channel="control").ok()
    client.finish(cell).failed("KeyboardInterrupt")
    cell = client.send_code("window.after(200, lambda: (print('again'), window.destroy())) and None")
    client.finish(cell).ok()
    printed_when_idle(client, cell, "again")
    client.execute("get_ipython().enable_gui(None)").ok()
    assert client.execute("1").ok().result == "1"


@pytest.mark.needs("tkinter", "matplotlib")
def test_matplotlib_with_tk_draws_into_a_window(display: str, start_kernel: Any) -> None:
    client = start_kernel(env={"DISPLAY": display}).connect()
    client.execute("%matplotlib tk\nimport matplotlib.pyplot as plt", timeout=60).ok()
    assert client.execute("plt.get_backend().lower()").result == "'tkagg'"
    turn = client.execute("f = plt.figure(); plt.plot([1, 2]); f.canvas.manager.window.winfo_exists()").ok()
    assert turn.result in ("1", "True")
    assert not turn.of("display_data")
    client.execute("plt.close('all')").ok()


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize(
    ("name", "ename"),
    [("tk", "ImportError"), ("gtk3", "ImportError"), ("osx", "ImportError"), ("nosuch", "RuntimeError")],
)
def test_matplotlib_names_without_a_display(start_kernel: Any, name: str, ename: str) -> None:
    """As in ipykernel: matplotlib's own error, and what was there goes on."""
    client = start_kernel(env=NO_DISPLAY).connect()
    client.execute(f"%matplotlib {name}", timeout=60).failed(ename)
    assert client.execute("%matplotlib inline\nimport matplotlib.pyplot as plt\n_ = plt.plot([1])").of("display_data")


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize("name", ["agg", "svg", "nbagg", "notebook", "webagg", "inline"])
def test_matplotlib_names_that_need_no_display(start_kernel: Any, name: str) -> None:
    client = start_kernel(env=NO_DISPLAY).connect()
    client.execute(f"%matplotlib {name}", timeout=60).ok()
    assert client.execute("1").ok().result == "1"
