# SPDX-License-Identifier: Apache-2.0
"""Compares two JUnit reports of ipykernel's tests, the first of ipykernel itself: a table of counts per file, and each test
whose outcome differs, with the reason that ipykernel-suite.toml gives.

Exit code 1 when a test that passed in the first did not in the second, and nothing explains it.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUTCOMES = ("passed", "failed", "skipped")
TABLE = Path(__file__).with_name("ipykernel-suite.toml")


@dataclass
class Known:
    """A row of the table. test: FILE::NAME with wildcards."""

    test: str
    reason: str
    used: bool = False


def outcomes(path: str) -> dict[str, tuple[str, str]]:
    """FILE::NAME -> (outcome, first line of the reason)."""
    found: dict[str, tuple[str, str]] = {}
    for case in ET.parse(path).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        result = ("passed", "")
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = "skipped" if child.tag == "skipped" else "failed"
                result = (outcome, (child.get("message") or "").splitlines()[0][:150] if child.get("message") else "")
        if found.get(name, ("passed",))[0] != "failed":  # an error at teardown counts
            found[name] = result
    return found


def files(suite: Path, table: dict[str, Any]) -> list[str]:
    """Names of the suite's test files that are not left out. Raises ValueError for a row that names no file."""
    there = sorted(path.stem for path in suite.glob("test_*.py"))
    left_out = {row["file"]: row["reason"] for row in table["left_out"]}
    for name in left_out:
        if name not in there:
            raise ValueError(f"{TABLE.name}: the suite has no file {name}")
    return [name for name in there if name not in left_out]


def print_counts(names: list[str], first: dict[str, tuple[str, str]], second: dict[str, tuple[str, str]]) -> None:
    """One line per file, and their sum."""
    counts: dict[str, list[Counter[str]]] = {}
    for i, results in enumerate((first, second)):
        for test, (outcome, _) in results.items():
            for file in (test.split("::")[0], "all"):
                counts.setdefault(file, [Counter(), Counter()])[i][outcome] += 1
    print(f"{'':28}" + "".join(f"{name:>27}" for name in names))
    print(f"{'':28}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES) * 2)
    for file in [*sorted(counts.keys() - {"all"}), "all"]:
        print(f"{file:28}" + "".join(f"{count[outcome]:9}" for count in counts[file] for outcome in OUTCOMES))


def main() -> int:
    """Prints the comparison, or (--files) the files that take part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, metavar="SUITE", help="print the test files in SUITE that take part, and stop")
    parser.add_argument("reports", nargs="*", metavar="REPORT.xml")
    options = parser.parse_args()
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    if options.files:
        print("\n".join(files(options.files, table)))
        return 0
    known = [Known(row["test"], row["reason"]) for row in table.get("difference", ())]
    names = [Path(path).stem for path in options.reports]
    first, second = (outcomes(path) for path in options.reports)
    n_unexplained = 0
    for test in sorted(first.keys() | second.keys()):
        one, two = (results.get(test, ("not run", "")) for results in (first, second))
        row = next((k for k in known if fnmatch.fnmatchcase(test, k.test)), None)
        if one[0] == two[0]:
            if row and not row.used and not any(c in row.test for c in "*?["):
                print(f"unused row: {row.test}")
            continue
        for name, (outcome, reason) in zip(names, (one, two), strict=True):
            print(f"{test:70} {name:10} {outcome:8} {reason}".rstrip())
        if row:
            row.used = True
            print(f"    explained: {row.reason}")
        elif two[0] != "passed":
            n_unexplained += 1
            print("    not explained")
    print_counts(names, first, second)
    print(f"{n_unexplained} not explained")
    return int(n_unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
