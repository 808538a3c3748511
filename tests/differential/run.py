#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the sessions on ipykernel and on husk and prints each difference that differences.toml does not explain.

HUSK_TEST_PROFILE: husk runs in a sandbox of that profile; what must differ there is in sandbox-differences.toml.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compare
from cells import Cell, read_sessions
from drive import Flavour, inside, record
from normalise import normalise

HERE = Path(__file__).resolve().parent


def flavours(python: str, husk: str | None) -> dict[str, Flavour]:
    """The kernels that can be compared. Both run the same interpreter."""
    result = {"ipykernel": Flavour("ipykernel", [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"])}
    if husk:
        result["husk"] = Flavour("husk", [husk, "--python", python, "-f", "{connection_file}"], bool(inside.NAME))
    return result


def find_husk(given: str | None) -> str | None:
    """$HUSK_KERNEL, or the one of $HUSK_BUILD_DIR, or the one on PATH."""
    built = Path(os.environ.get("HUSK_BUILD_DIR", ".")) / "kernel/front/husk-kernel"
    return given or os.environ.get("HUSK_KERNEL") or (str(built) if built.is_file() else shutil.which("husk-kernel"))


def known_differences() -> list[compare.Known]:
    """The rows of differences.toml, and inside a sandbox those of sandbox-differences.toml."""
    files = ["differences.toml", *(["sandbox-differences.toml"] if inside.NAME else [])]
    return [row for name in files for row in compare.read_known(HERE / name)]


def transcripts(a: Flavour, b: Flavour, cells: list[Cell]) -> list[dict[str, compare.Messages]]:
    """Normalised transcripts of both kernels, run at once."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(record, flavour, cells) for flavour in (a, b)]
        return [normalise(*job.result()) for job in jobs]


def compare_session(a: Flavour, b: Flavour, cells: list[Cell]) -> list[compare.Difference]:
    return compare.compare(*transcripts(a, b, cells))


def show(a: Flavour, b: Flavour, cells: list[Cell], pattern: str) -> None:
    """Prints the messages of some cells of a session."""
    for flavour, transcript in zip((a, b), transcripts(a, b, cells)):
        for label, messages in transcript.items():
            if fnmatch.fnmatchcase(label, pattern):
                print(f"{flavour.name}: {label}")
                print("\n".join("    " + json.dumps(m, ensure_ascii=False) for m in messages))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", nargs="*", help="names of sessions, wildcards allowed (default: all)")
    parser.add_argument("--python", default=sys.executable, help="interpreter for both (default: this one)")
    parser.add_argument("--husk", default=None, help="husk-kernel (default: $HUSK_KERNEL, $HUSK_BUILD_DIR, PATH)")
    parser.add_argument("--against", default="husk", choices=("husk", "ipykernel"), help="ipykernel: calibrates the cells")
    parser.add_argument("--show", metavar="CELL", help="print what both send for the cells that match, and stop")
    parser.add_argument("--all-differences", action="store_true", help="show the known ones too")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    sessions: dict[str, list[Cell]] = {}
    for pattern in options.sessions or ["*"]:
        sessions |= read_sessions(HERE / "sessions", pattern)
    kernels = flavours(options.python, find_husk(options.husk))
    if options.against not in kernels:
        raise SystemExit("differential: no husk-kernel; name it with --husk")
    known = [] if options.against == "ipykernel" or options.all_differences else known_differences()
    if options.show:
        for name, cells in sessions.items():
            if fnmatch.fnmatchcase(name, options.show.split("/")[0]):
                show(kernels["ipykernel"], kernels[options.against], cells, options.show)
        return 0
    n_cells = n_left = n_all = 0
    for name, cells in sessions.items():
        start = time.monotonic()
        differences = compare_session(kernels["ipykernel"], kernels[options.against], cells)
        left = compare.take_known(differences, known)
        for difference in left:
            print(difference.show())
        seconds = time.monotonic() - start
        print(f"{name}: {len(cells)} cells, {len(differences)} differences, {len(left)} not explained, {seconds:.1f} s")
        n_cells, n_left, n_all = n_cells + len(cells), n_left + len(left), n_all + len(differences)
    if not options.sessions:
        for row in known:
            if not row.n_used:
                print(f"unused row: {row.cell} {row.where}")
    print(f"total: {len(sessions)} sessions, {n_cells} cells, {n_all} differences, {n_left} not explained")
    return 1 if n_left else 0


if __name__ == "__main__":
    sys.exit(main())
