# SPDX-License-Identifier: Apache-2.0
"""The notebooks: books/*.py in percent format become .ipynb, are executed, and their outputs made comparable."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "differential"), str(HERE.parent / "sandbox")]

import compare  # noqa: E402
import inside  # noqa: E402
import normalise  # noqa: E402

BOOKS = sorted(path.stem for path in (HERE / "books").glob("*.py"))
_MARK = re.compile(r'^# %%(?P<markdown> \[markdown\])?(?: tags=\["(?P<tag>\w+)"\])?\n', re.MULTILINE)


def load(name: str) -> nbformat.NotebookNode:
    """A fresh notebook of a book."""
    text = (HERE / "books" / f"{name}.py").read_text(encoding="utf-8")
    marks = list(_MARK.finditer(text))
    notebook = nbformat.v4.new_notebook()
    for mark, following in zip(marks, [*marks[1:], None]):
        source = text[mark.end() : following.start() if following else len(text)].strip("\n")
        if mark["markdown"]:
            cell = nbformat.v4.new_markdown_cell(re.sub(r"^# ?", "", source, flags=re.MULTILINE))
        else:
            cell = nbformat.v4.new_code_cell(source)
        cell.id = f"{name}-{len(notebook.cells)}".replace("_", "-")
        cell.metadata.tags = [mark["tag"]] if mark["tag"] else []
        notebook.cells.append(cell)
    return notebook


def execute(notebook: nbformat.NotebookNode, kernel: str, folder: Path) -> nbformat.NotebookNode:
    """Runs all cells, errors included, with the folder as working directory."""
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, kernel_name=kernel, timeout=180, allow_errors=True, resources=resources)
    return client.execute()


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adjacent text as one stdout, then one stderr, as in tests/differential."""
    result: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for output in [*outputs, None]:
        if output and output["output_type"] == "stream":
            texts[output["name"]] = texts.get(output["name"], "") + output["text"]
            continue
        result += [{"output_type": "stream", "name": n, "text": texts[n]} for n in sorted(texts, reverse=True)]
        texts.clear()
        if output:
            result.append(output)
    return result


def outputs(notebook: nbformat.NotebookNode, folder: str) -> dict[str, list[dict[str, Any]]]:
    """Normalised outputs of each code cell, in the shape that tests/differential compares."""
    normaliser = normalise.Normaliser({folder: "WORKDIR"})
    result = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            raw = [dict(output) for output in cell.outputs]
            values = [normaliser.value(output) for output in _joined(raw)]
            count = {"output_type": "count", "value": cell.execution_count}
            result[cell.id] = [
                {"msg_type": v["output_type"], "content": v} for v in [*values, count]
            ]
    return result


def differences(expected: nbformat.NotebookNode, found: nbformat.NotebookNode, folders: list[Path]) -> list[str]:
    """What differs between two executed copies of a notebook."""
    places = [str(folders[0]), inside.WORKSPACE if inside.NAME else str(folders[1])]
    found_differences = compare.compare(outputs(expected, places[0]), outputs(found, places[1]))
    return [d.show() for d in found_differences]
