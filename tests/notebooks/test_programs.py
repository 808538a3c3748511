# SPDX-License-Identifier: Apache-2.0
"""Programs that people run kernels with, unmodified, on the kernelspec that husk-kernel installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import books
import nbformat
import pexpect
import pytest


def run(*argv: str, folder: Path) -> str:
    """Runs a program of this environment; its output on failure is the failure's text."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def write(name: str, folder: Path) -> Path:
    """The notebook of a book as a file that asks for husk."""
    notebook = books.load(name)
    notebook.metadata.kernelspec = {"name": "husk", "display_name": "husk", "language": "python"}
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def text_of(cell: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)


def test_nbconvert_executes_to_a_notebook(home: Path, tmp_path: Path) -> None:
    write("parameters", tmp_path)
    run("jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "out", "parameters.ipynb", folder=tmp_path)
    result = nbformat.read(tmp_path / "out.ipynb", 4)
    assert text_of(result.cells[1]) == "default 3\n"
    assert result.metadata.language_info.name == "python"


def test_nbconvert_executes_to_html_with_the_pictures(home: Path, tmp_path: Path) -> None:
    write("matplotlib_plots", tmp_path)
    run("jupyter", "nbconvert", "--to", "html", "--execute", "matplotlib_plots.ipynb", folder=tmp_path)
    html = (tmp_path / "matplotlib_plots.html").read_text()
    assert html.count("data:image/png;base64,") >= 5
    assert html.count("image/svg+xml") or html.count("<svg")


def test_nbconvert_stops_at_an_error(home: Path, tmp_path: Path) -> None:
    write("numpy_arrays", tmp_path)
    argv = ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "out", "numpy_arrays.ipynb"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "index 5 is out of bounds" in done.stderr


def test_papermill_passes_parameters(home: Path, tmp_path: Path) -> None:
    write("parameters", tmp_path)
    run("papermill", "-k", "husk", "-p", "count", "5", "-p", "name", "given", "parameters.ipynb", "out.ipynb", folder=tmp_path)
    result = nbformat.read(tmp_path / "out.ipynb", 4)
    assert [text_of(c) for c in result.cells] == ["", "", "given 10\n", "{'count': 5, 'name': 'given'}"]
    assert result.metadata.papermill.exception is None


def test_papermill_reports_the_failing_cell(home: Path, tmp_path: Path) -> None:
    write("numpy_arrays", tmp_path)
    argv = ["papermill", "-k", "husk", "numpy_arrays.ipynb", "out.ipynb"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "PapermillExecutionError" in done.stderr
    assert nbformat.read(tmp_path / "out.ipynb", 4).metadata.papermill.exception is True


def test_jupyter_execute(home: Path, tmp_path: Path) -> None:
    path = write("parameters", tmp_path)
    run("jupyter", "execute", "--inplace", path.name, folder=tmp_path)
    assert text_of(nbformat.read(path, 4).cells[1]) == "default 3\n"


def test_jupytext_executes_a_script(home: Path, tmp_path: Path) -> None:
    source = (books.HERE / "books/sqlite_queries.py").read_text().rsplit("# %%", 1)[0]
    (tmp_path / "script.py").write_text(source)
    run("jupytext", "--to", "ipynb", "--set-kernel", "husk", "--execute", "script.py", folder=tmp_path)
    result = nbformat.read(tmp_path / "script.ipynb", 4)
    assert text_of(result.cells[0]) == "(3, 3210)"


def test_nbmake_runs_a_notebook_as_a_test(home: Path, tmp_path: Path) -> None:
    write("parameters", tmp_path)
    out = run(sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "parameters.ipynb", folder=tmp_path)
    assert "1 passed" in out


@pytest.fixture
def console(home: Path, tmp_path: Path):
    """jupyter console on a pseudo-terminal."""
    argv = ["console", "--kernel", "husk", "--ZMQTerminalInteractiveShell.simple_prompt=True"]
    env = None
    child = pexpect.spawn("jupyter", argv, cwd=str(tmp_path), env=env, encoding="utf-8", timeout=60, dimensions=(40, 160))
    yield child
    child.close(force=True)


def test_jupyter_console(console: pexpect.spawn) -> None:
    console.expect_exact("In [1]: ")
    console.sendline("6 * 7")
    console.expect(r"Out\[1\]: ?42")
    console.expect_exact("In [2]: ")
    console.sendline("print('printed ' * 2)")
    console.expect_exact("printed printed")
    console.expect_exact("In [3]: ")
    console.sendline("1/0")
    console.expect_exact("ZeroDivisionError")
    console.expect_exact("In [4]: ")
    console.sendline("name = input('who? ')")
    console.expect_exact("who? ")
    console.sendline("reader")
    console.expect_exact("In [5]: ")
    console.sendline("name[::-1]")
    console.expect_exact("redaer")
    console.expect_exact("In [6]: ")
    console.sendline("len?")
    console.expect_exact("number of items")
    console.expect_exact("In [7]: ")
    console.sendline("import time; print('sleeping'); time.sleep(60)")
    console.expect_exact("sleeping\r\n")
    console.sendintr()
    console.expect_exact("KeyboardInterrupt")
    console.expect_exact("In [8]: ")
    console.sendline("'alive'")
    console.expect(r"Out\[8\]: ?'alive'")
    console.expect_exact("In [9]: ")
    console.sendline("exit")
    console.expect(pexpect.EOF)
