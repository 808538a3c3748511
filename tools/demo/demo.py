#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo: runs the cells of a notebook, turn by turn, on an installed kernelspec through jupyter_client.

usage: tools/demo/demo.py [--kernel NAME] [--output DIR] [NOTEBOOK]

Shows of each turn its title, its output and its time, and writes images to DIR. The exit code is 1 when a turn failed
or no image was drawn.
"""

import argparse
import base64
import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

HERE = Path(__file__).resolve().parent
BOLD, DIM, RED, PLAIN = ("\033[1m", "\033[2m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")


def turns(notebook: Path) -> list[tuple[str, str]]:
    """Title (the heading before it) and code of each code cell."""
    found: list[tuple[str, str]] = []
    title = ""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            found.append((title, source))
        elif source.startswith("#"):
            title = source.splitlines()[0].lstrip("# ")
    return found


class Turn:
    """Shows what one turn sends, as it comes, and keeps the images."""

    def __init__(self, number: int, output: Path) -> None:
        self.number = number
        self.output = output
        self.images: list[Path] = []

    def show(self, text: str, mark: str = "  ") -> None:
        print(textwrap.indent(text.rstrip("\n"), f"    {mark}"), flush=True)

    def __call__(self, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            self.show(content["text"])
        elif kind == "error":
            self.show("\n".join(content["traceback"]))
        elif kind in ("display_data", "execute_result"):
            data = content["data"]
            if "image/png" in data:
                path = self.output / f"turn-{self.number}-{len(self.images) + 1}.png"
                path.write_bytes(base64.b64decode(data["image/png"]))
                self.images.append(path)
                self.show(f"image: {path}")
            else:
                self.show(data.get("text/plain", ""))


def run(kernel: str, notebook: Path, output: Path) -> int:
    begin = time.perf_counter()
    manager = KernelManager(kernel_name=kernel)
    manager.start_kernel(cwd=str(notebook.parent))
    client = manager.client()
    client.start_channels()
    images: list[Path] = []
    failed = False
    try:
        client.wait_for_ready(timeout=60)
        print(f"    kernel {kernel} is ready, {(time.perf_counter() - begin) * 1000:.0f} ms after its start")
        for number, (title, code) in enumerate(turns(notebook), 1):
            print(f"\n    {BOLD}Turn {number}: {title}{PLAIN} {DIM}({len(code.splitlines())} lines of code){PLAIN}")
            turn = Turn(number, output)
            begin = time.perf_counter()
            reply = client.execute_interactive(code, timeout=120, allow_stdin=False, output_hook=turn)
            print(f"    {DIM}{(time.perf_counter() - begin) * 1000:.0f} ms{PLAIN}")
            images += turn.images
            if reply["content"]["status"] != "ok":
                failed = True
                print(f"    {RED}turn {number} failed: {reply['content'].get('ename', 'aborted')}{PLAIN}")
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    print()
    return 1 if failed or not images else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the demonstration on an installed kernel.")
    parser.add_argument("--kernel", default="husk-demo", help="name of the kernelspec (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for images (default: %(default)s)")
    parser.add_argument("notebook", type=Path, nargs="?", default=HERE / "bicycles.ipynb")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    return run(arguments.kernel, arguments.notebook.resolve(), arguments.output.resolve())


if __name__ == "__main__":
    sys.exit(main())
