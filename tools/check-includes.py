#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-includes: the folder rules of ARCHITECTURE.md section 2, judged by the #include lines of the tree.

usage: tools/check-includes.py [SOURCE_DIR]
"""

import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
FOLDERS = ("protocol/", "kernel/", "manager/", "tools/", "tests/")

# folder: (prefixes of "..." it may include, prefixes of <...> it must not)
RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "protocol/base/": (("protocol/base/",), ("Python.h", "zmq", "nettle/", "sodium", "sqlite3")),
    "protocol/wire/": (("protocol/base/", "protocol/wire/"), ("Python.h", "zmq", "msgpack", "sqlite3")),
    "protocol/zmtp/": (("protocol/base/", "protocol/zmtp/"), ("Python.h", "zmq", "nettle/", "msgpack", "sqlite3")),
    "protocol/link/": (("protocol/base/", "protocol/link/"), ("Python.h", "zmq", "nettle/", "sodium", "sqlite3")),
    "kernel/sandbox/": (("protocol/base/", "kernel/sandbox/"), ("Python.h", "zmq", "nettle/", "sodium", "sqlite3")),
    "kernel/front/": (("protocol/", "kernel/sandbox/", "kernel/front/"), ("Python.h", "zmq")),
    "kernel/worker/": (
        ("protocol/base/", "protocol/link/", "kernel/worker/"),
        ("zmq", "nettle/", "sodium", "sqlite3"),
    ),
    "manager/": (("protocol/", "kernel/sandbox/", "manager/"), ("Python.h",)),
    "tools/": (("protocol/", "tools/"), ("Python.h",)),
    "tests/": (FOLDERS, ()),
}
LOG_HEADER = "protocol/base/log.h"
MAY_LOG = ("kernel/", "manager/", "tools/", "tests/", "protocol/base/log.")


def judge(path: str, bracket: str, target: str) -> str | None:
    """What is wrong with one include, or None."""
    rule = next((RULES[folder] for folder in RULES if path.startswith(folder)), None)
    if rule is None:
        return "lies in a folder without a rule"
    allowed, forbidden = rule
    if bracket == "<":
        if target.startswith(forbidden):
            return f"<{target}> is not for this folder"
        return None
    if not target.startswith(FOLDERS):
        return f'"{target}" does not start with a folder of the tree'
    if not target.startswith(allowed):
        return f'"{target}" is not for this folder, which may include {", ".join(allowed)}'
    if target == LOG_HEADER and not path.startswith(MAY_LOG):
        return "only programs log; library code returns"
    return None


def main() -> int:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    files = [p for folder in FOLDERS for p in sorted((top / folder).rglob("*")) if p.suffix in (".c", ".h", ".def")]
    wrong = 0
    for file in files:
        path = file.relative_to(top).as_posix()
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            problem = judge(path, match[1], match[2]) if match else None
            if problem:
                print(f"{path}:{number}: {problem}", file=sys.stderr)
                wrong += 1
    print(f"check-includes: {len(files)} files, {wrong} problems")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
