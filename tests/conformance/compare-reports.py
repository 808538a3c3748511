# SPDX-License-Identifier: Apache-2.0
"""Compares two JUnit reports of one test suite: prints each test whose outcome differs, and a table of counts.

Usage: compare-reports.py FIRST.xml SECOND.xml. Exit code 1 when fewer tests passed in the second.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

OUTCOMES = ("passed", "failed", "skipped")


def outcomes(path: str) -> dict[str, tuple[str, str]]:
    """Test name -> (outcome, first line of the reason)."""
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


def main(first_path: str, second_path: str) -> int:
    """Prints the comparison."""
    names = [Path(p).stem for p in (first_path, second_path)]
    first, second = outcomes(first_path), outcomes(second_path)
    differing = sorted(n for n in first.keys() | second.keys() if first.get(n, ("-",))[0] != second.get(n, ("-",))[0])
    for name in differing:
        for who, result in zip(names, (first, second), strict=True):
            outcome, reason = result.get(name, ("not run", ""))
            print(f"{name:70} {who:10} {outcome:8} {reason}".rstrip())
    counts = [Counter(outcome for outcome, _ in result.values()) for result in (first, second)]
    print(f"{'':10}" + "".join(f"{o:>9}" for o in OUTCOMES))
    for who, count in zip(names, counts, strict=True):
        print(f"{who:10}" + "".join(f"{count[o]:9}" for o in OUTCOMES))
    return int(counts[1]["passed"] < counts[0]["passed"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
