# SPDX-License-Identifier: Apache-2.0
"""JupyterLab in a browser on the husk kernelspec: run cells, see a plot, interrupt, restart."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

CELLS = (
    "6 * 7",
    "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);",
    "import ipywidgets\nipywidgets.IntSlider(value=4, description='slide')",
    "kept = 'kept'\nprint('running')\nwhile True: pass",
    "kept",
)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,1600"
)


def wait_until(claim: Callable[[], object], what: str, seconds: float = 60) -> object:
    """The first true answer of the claim; AssertionError with `what` when none comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(StaleElementReferenceException):  # the page was drawn anew meanwhile
            answer = claim()
            if answer:
                return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.fixture
def lab(home: Path, tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab with one notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "husk", "display_name": "husk", "language": "python"}
    nbformat.write(notebook, tmp_path / "book.ipynb")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=t", "--ServerApp.port_retries=0"]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=", "--LabApp.check_for_updates_class="]
    options += ["--ServerApp.quit_button=False"]
    log = (tmp_path / "lab.log").open("wb")
    argv = [sys.executable, "-m", "jupyterlab", *[o for o in options if not o.endswith("=")]]
    server = subprocess.Popen(argv, cwd=tmp_path, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            with urllib.request.urlopen(f"{base}/api/status?token=t", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            assert server.poll() is None, (tmp_path / "lab.log").read_text()[-3000:]
            return False

    try:
        wait_until(is_up, "JupyterLab answers")
        yield base
    finally:
        server.terminate()
        server.wait(20)
        log.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver") or "/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


class Page:
    """The notebook on the screen."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def cells(self) -> list[str]:
        """Text of each code cell's output; empty for none."""
        return [e.text for e in self.driver.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .jp-Cell-outputArea")]

    def prompts(self) -> list[str]:
        return [e.text for e in self.driver.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .jp-InputPrompt")]

    def status(self) -> str:
        found = self.driver.find_elements(By.CSS_SELECTOR, ".jp-NotebookPanel-toolbar .jp-Notebook-ExecutionIndicator")
        return (found[0].get_attribute("data-status") or "") if found else ""

    def run(self, index: int) -> None:
        """Clicks into a cell and presses Shift-Enter."""
        editor = self.driver.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .cm-content")[index]
        ActionChains(self.driver).move_to_element(editor).click().perform()
        ActionChains(self.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()

    def command_mode(self, keys: str) -> None:
        """Presses keys with no editor focused."""
        ActionChains(self.driver).send_keys(Keys.ESCAPE).pause(0.2).send_keys(keys[0]).send_keys(keys[1]).perform()

    def picture(self, name: str) -> None:
        """A screenshot for a human, where $HUSK_SCREENSHOTS says."""
        folder = os.environ.get("HUSK_SCREENSHOTS")
        if folder:
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


def kernels(base: str) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{base}/api/kernels?token=t", timeout=5) as answer:
        return json.load(answer)


def test_jupyterlab(lab: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{lab}/doc/tree/book.ipynb?token=t&reset")
    page = Page(browser)
    wait_until(lambda: len(page.cells()) == len(CELLS), "the notebook is shown")
    wait_until(lambda: page.status() == "idle", "the kernel is idle")
    assert kernels(lab)[0]["name"] == "husk"

    page.run(0)
    wait_until(lambda: "42" in page.cells()[0], "a result")
    page.run(1)
    image = ".jp-CodeCell:nth-of-type(n) .jp-RenderedImage img"
    wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, image), "a plot")
    size = browser.find_element(By.CSS_SELECTOR, image).size
    assert size["width"] > 200 and size["height"] > 200
    page.run(2)
    wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, ".jupyter-widgets.widget-slider"), "a widget")
    page.picture("cells")

    page.run(3)
    wait_until(lambda: "running" in page.cells()[3], "output of the endless cell")
    wait_until(lambda: page.status() == "busy", "the kernel is busy")
    page.command_mode("ii")
    wait_until(lambda: "KeyboardInterrupt" in page.cells()[3], "the interrupt")
    wait_until(lambda: page.status() == "idle", "idle again")
    assert page.cells()[3].count("Traceback (most recent call last)") == 1, page.cells()[3]
    page.run(4)
    wait_until(lambda: "'kept'" in page.cells()[4], "variables kept")
    page.picture("interrupted")

    before = kernels(lab)[0]
    page.command_mode("00")
    accept = wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, ".jp-Dialog .jp-mod-accept"), "the question")
    accept[0].click()
    wait_until(lambda: page.status() == "idle" and not browser.find_elements(By.CSS_SELECTOR, ".jp-Dialog"), "restarted")
    page.run(4)
    wait_until(lambda: "NameError" in page.cells()[4], "variables gone")
    wait_until(lambda: re.search(r"\[1\]", page.prompts()[4]), "a counter that begins anew")
    assert kernels(lab)[0]["id"] == before["id"]
    page.picture("restarted")
