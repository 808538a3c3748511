#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-text: what a program can judge of CONTRIBUTING.md in the text of the tree.

usage: tools/check-text.py [SOURCE_DIR]

Every source file: an SPDX line in its first two lines, at most 800 lines, UTF-8, no trailing space, a last newline.
C: no // comments, functions of at most 100 lines, tabs for indentation, an include guard that ends in the file's name.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 100
MAX_COLUMNS = 160  # hard stop, for rows of tables; the aim is 100 to 120
SPDX = "SPDX-License-Identifier: Apache-2.0"
C_SUFFIXES = (".c", ".h", ".def")
CODE_SUFFIXES = (*C_SUFFIXES, ".py", ".pyi", ".sh", ".am", ".inc", ".ac", ".m4", ".toml", ".1", ".mjs", ".js")
# Text of others, data, and what autoreconf makes.
NOT_JUDGED = (
    *("LICENSE", "tests/fuzz/corpus/", "tests/notebooks/books/", "tests/vectors/"),
    *("_build/", "aclocal.m4", "autom4te.cache/", "build", "config.", "configure"),
)
TOKEN = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*', re.DOTALL)

Problem = tuple[int, str]


def tree_files(top: Path) -> list[Path]:
    """The files of the tree: those git knows or would take, in a tarball all."""
    command = ["git", "-C", str(top), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (top / ".git").exists():
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            names = sorted(set(done.stdout.decode().split("\0")))
            return [top / name for name in names if name and (top / name).is_file()]
    return sorted(p for p in top.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def is_script(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"#!"


def comments_and_literals(text: str) -> Iterator[tuple[int, str]]:
    """Yields (line number, token) of each comment and literal of C text."""
    for match in TOKEN.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[0]


def judge_c(path: str, text: str) -> Iterator[Problem]:
    commented: set[int] = set()
    for number, token in comments_and_literals(text):
        if token.startswith("//"):
            yield number, "// comment; only /* */ here"
        commented.update(range(number, number + token.count("\n") + 1))
    begin = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            begin = number
        elif line == "}" and begin:
            if number - begin + 1 > MAX_FUNCTION_LINES:
                yield begin, f"function of {number - begin + 1} lines, at most {MAX_FUNCTION_LINES}"
            begin = 0
        if line.startswith(" " * 8) and number not in commented:
            yield number, "indented with spaces; tabs here"
    if path.endswith(".h"):
        name = re.sub(r"[^A-Z0-9]", "_", path.rpartition("/")[2].upper())
        if not re.search(rf"^#ifndef HUSK_(?:[A-Z0-9_]+_)?{name}\n#define HUSK_", text, re.MULTILINE):
            yield 1, f"no include guard HUSK_..._{name}"


def judge(path: str, data: bytes) -> Iterator[Problem]:
    """What is wrong with one file, as (line, sentence)."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        yield data.count(b"\n", 0, e.start) + 1, "not UTF-8"
        return
    lines = text.split("\n")
    if not any(SPDX in line for line in lines[:2]):
        yield 1, f"no '{SPDX}' in the first two lines"
    if len(lines) - 1 > MAX_FILE_LINES:
        yield MAX_FILE_LINES, f"{len(lines) - 1} lines, at most {MAX_FILE_LINES}"
    if lines[-1]:
        yield len(lines), "no newline at the end"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "trailing space"
        if len(line) > MAX_COLUMNS and not path.endswith((".py", ".m4", ".ac", ".1")) and not path.startswith("tests/"):
            yield number, f"{len(line)} columns, at most {MAX_COLUMNS}"
    if path.endswith(C_SUFFIXES):
        yield from judge_c(path, text)


def main() -> int:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    judged = wrong = 0
    for file in tree_files(top):
        path = file.relative_to(top).as_posix()
        if (path.startswith(NOT_JUDGED) and path != "configure.ac") or not (file.suffix in CODE_SUFFIXES or is_script(file)):
            continue
        judged += 1
        for number, problem in judge(path, file.read_bytes()):
            print(f"{path}:{number}: {problem}", file=sys.stderr)
            wrong += 1
    print(f"check-text: {judged} files, {wrong} problems")
    return 1 if wrong or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
