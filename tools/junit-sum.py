#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""junit-sum: prints "N passed, N failed, N skipped" of a JUnit XML file.

usage: tools/junit-sum.py FILE STATUS

STATUS is the exit code of the runner: when it says failure and the file names none, one failure is counted; so it is
when nothing ran, unless something was skipped (a release without what a folder tests against).
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

NOTHING_RAN = 5  # pytest's exit code


def main() -> int:
    file, status = Path(sys.argv[1]), int(sys.argv[2])
    total = failed = skipped = 0
    if file.is_file():
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):
            total += int(suite.get("tests", "0"))
            failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
            skipped += int(suite.get("skipped", "0"))
    passed = max(0, total - failed - skipped)
    left_out = status == NOTHING_RAN and skipped > 0
    if failed == 0 and (status != 0 or passed == 0) and not left_out:
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
