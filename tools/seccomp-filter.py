#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes kernel/sandbox/seccomp-filter.c: the filters of kernel/sandbox/seccomp.def as BPF for each architecture.

usage: seccomp-filter.py SECCOMP_DEF OUTPUT

The numbers of the calls are cut into ranges with the same answer, and the ranges are found by a balanced tree of comparisons. So a
filter has about a third of the instructions of one comparison per call, and is quickly installed: the kernel runs it once for each
number, to learn which calls are always allowed. Programs are written from their end, for all jumps go forward.
"""

import errno
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

LOAD, JUMP, JEQ, JGE, JGT, JSET, AND, RETURN = 0x20, 0x05, 0x15, 0x35, 0x25, 0x45, 0x54, 0x06
KILL_PROCESS, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data, little endian
MAX_JUMP = 255
MAX_NUMBER = 0xFFFFFFFF
X32 = 0x40000000  # this bit of a number asks for the x32 interface
UNKNOWN = ERRNO | errno.ENOSYS

FILTERS = ("OWN", "SHARED", "OFFLINE")
APPLIES = {"ANY": FILTERS, "SHARED": ("SHARED", "OFFLINE"), "OFFLINE": ("OFFLINE",)}

CALL_ROW = re.compile(r'CALL\((\w+), (-?\d+), (-?\d+), ([^"]+), "([^"]+)"\)')
WHEN_ROW = re.compile(r'WHEN\((\w+), (\w+), (.+), (\w+(?:\(\w+\))?), "([^"]+)"\)')
TEST = re.compile(r"(EQ|HIGH|BITS|IN)\(([0-5])(?: & (\w+))?, (.+)\)")


class Architecture(NamedTuple):
    """What differs between processors; the macro is the compiler's."""

    macro: str
    audit_name: str
    audit: int
    column: int
    has_x32: bool


ARCHITECTURES = (
    Architecture("__x86_64__", "AUDIT_ARCH_X86_64", 0xC000003E, 0, True),
    Architecture("__aarch64__", "AUDIT_ARCH_AARCH64", 0xC00000B7, 1, False),
)


class Test(NamedTuple):
    """One comparison of 32 bits of an argument."""

    kind: str  # EQ, BITS or IN
    offset: int
    mask: int
    values: tuple[int, ...]


class Rule(NamedTuple):
    filter: str
    tests: tuple[Test, ...]
    answer: int


@dataclass
class Call:
    numbers: tuple[int, int]
    answer: int
    rules: list[Rule] = field(default_factory=list)


class Definition(NamedTuple):
    calls: dict[str, Call]
    constants: dict[str, int]  # names in conditions


class Program:
    """A filter that is written from its last instruction to its first. A place is an index from the end."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []  # reversed
        self._returns: dict[int, int] = {}

    def emit(self, code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> int:
        self.code.append((code, jump_true, jump_false, k))
        return len(self.code) - 1

    def answer(self, value: int) -> int:
        """The place of a return of `value` that the next instructions can jump to."""
        place = self._returns.get(value)
        if place is None or not self._is_near(place):
            place = self._returns[value] = self.emit(RETURN, value)
        return place

    def _is_near(self, place: int) -> bool:
        return len(self.code) + 4 - place <= MAX_JUMP  # some of the four may be instructions that have to come between

    def _near(self, place: int) -> int:
        """`place`, or one that leads there."""
        if self._is_near(place):
            return place
        return self.emit(JUMP, len(self.code) - place - 1)

    def branch(self, code: int, k: int, if_true: int, if_false: int) -> int:
        if_true, if_false = self._near(if_true), self._near(if_false)
        here = len(self.code)
        return self.emit(code, k, here - if_true - 1, here - if_false - 1)

    def forward(self) -> list[tuple[int, int, int, int]]:
        return self.code[::-1]


def action(text: str) -> int:
    """The return value of a filter for an answer of the table."""
    if text == "ALLOW":
        return ALLOW
    if text == "SUCCEED":
        return ERRNO
    name = re.fullmatch(r"ERRNO\((\w+)\)", text)
    if name is None or not hasattr(errno, name[1]):
        raise ValueError(f"{text} is not an answer")
    return ERRNO | getattr(errno, name[1])


def named_values(text: str, separator: str, constants: dict[str, int]) -> Iterator[int]:
    for part in text.split(separator):
        name, _, value = part.strip().partition("=")
        number = int(value, 0)
        if constants.setdefault(name, number) != number:
            raise ValueError(f"{name} has two values")
        yield number


def conditions(text: str, constants: dict[str, int]) -> Iterator[Test]:
    if text == "ALWAYS":
        return
    for part in text.split(" && "):
        match = TEST.fullmatch(part)
        if match is None:
            raise ValueError(f"{part} is not a condition")
        kind, argument, mask, values = match.groups()
        offset = ARGUMENTS + 8 * int(argument) + (4 if kind == "HIGH" else 0)
        if kind == "IN":
            least, most = (int(v, 0) for v in values.split(","))
            yield Test(kind, offset, 0, (least, most))
        elif kind == "BITS":
            bits = 0
            for value in named_values(values, "|", constants):
                bits |= value
            yield Test(kind, offset, 0, (bits,))
        else:
            yield Test("EQ", offset, int(mask or "0", 0), tuple(named_values(values, ",", constants)))


def read(path: Path) -> Definition:
    """Every row of the table; ValueError names the first line that is wrong."""
    found = Definition({}, {})
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text("utf-8"), flags=re.DOTALL)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            read_row(line, found)
        except (KeyError, ValueError) as e:
            raise ValueError(f"{path}:{number}: {e}") from None
    for column in range(len(ARCHITECTURES)):
        numbers = [c.numbers[column] for c in found.calls.values() if c.numbers[column] >= 0]
        if len(numbers) != len(set(numbers)):
            raise ValueError(f"{path}: two calls have the same number on {ARCHITECTURES[column].macro}")
    return found


def read_row(line: str, found: Definition) -> None:
    if not line.strip():
        return
    if call := CALL_ROW.fullmatch(line):
        name, x86_64, arm64, answer, _ = call.groups()
        if name in found.calls:
            raise ValueError(f"{name} stands twice")
        found.calls[name] = Call((int(x86_64), int(arm64)), action(answer))
    elif when := WHEN_ROW.fullmatch(line):
        name, which, condition, answer, _ = when.groups()
        tests = tuple(conditions(condition, found.constants))
        for one in APPLIES[which]:
            found.calls[name].rules.append(Rule(one, tests, action(answer)))
    else:
        raise ValueError("neither CALL nor WHEN, or without a reason")


def write_test(program: Program, test: Test, if_true: int, if_false: int) -> int:
    if test.kind == "IN":
        program.branch(JGT, test.values[1], if_false, if_true)
        place = program.branch(JGE, test.values[0], len(program.code) - 1, if_false)
    elif test.kind == "BITS":
        place = program.branch(JSET, test.values[0], if_true, if_false)
    else:
        place = if_false
        for value in reversed(test.values):
            place = program.branch(JEQ, value, if_true, place)
    if test.mask:
        place = program.emit(AND, test.mask)
    return program.emit(LOAD, test.offset)


def write_rules(program: Program, call: Call, rules: list[Rule]) -> int:
    """The place where a call with rules is judged."""
    next_rule = program.answer(call.answer)
    for rule in reversed(rules):
        place = program.answer(rule.answer)
        for test in reversed(rule.tests):
            place = write_test(program, test, place, next_rule)
        next_rule = place
    return next_rule


def leaves(definition: Definition, arch: Architecture, which: str, program: Program) -> list[tuple[int, int, bool]]:
    """(first number of a range, answer or place, is a place), so that they cover all numbers."""
    known: dict[int, tuple[int, bool]] = {}
    for call in definition.calls.values():
        number = call.numbers[arch.column]
        rules = [r for r in call.rules if r.filter == which]
        if number < 0:
            continue
        if rules and rules[0].tests:
            known[number] = (write_rules(program, call, rules), True)
        else:
            known[number] = (rules[0].answer if rules else call.answer, False)
    cuts = {0, *known, *(n + 1 for n in known)}
    if arch.has_x32:
        # -1 is what a debugger leaves behind in place of a call: no interface's number.
        cuts |= {X32, MAX_NUMBER}
    ranges: list[tuple[int, int, bool]] = []
    for number in sorted(cuts):
        default = KILL_PROCESS if arch.has_x32 and X32 <= number < MAX_NUMBER else UNKNOWN
        value, is_place = known.get(number, (default, False))
        if not ranges or ranges[-1][1:] != (value, is_place):
            ranges.append((number, value, is_place))
    return ranges


def write_tree(program: Program, ranges: list[tuple[int, int, bool]]) -> int:
    if len(ranges) == 1:
        _, value, is_place = ranges[0]
        return value if is_place else program.answer(value)
    middle = len(ranges) // 2
    above = write_tree(program, ranges[middle:])
    below = write_tree(program, ranges[:middle])
    return program.branch(JGE, ranges[middle][0], above, below)


def compile_filter(definition: Definition, arch: Architecture, which: str) -> list[tuple[int, int, int, int]]:
    program = Program()
    root = write_tree(program, leaves(definition, arch, which, program))
    if root != len(program.code) - 1:
        program.emit(JUMP, len(program.code) - root - 1)
    start = program.emit(LOAD, NUMBER)
    program.branch(JEQ, arch.audit, start, program.answer(KILL_PROCESS))
    program.emit(LOAD, ARCHITECTURE)
    return program.forward()


HEAD = """\
/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp-filter: made from kernel/sandbox/seccomp.def by tools/seccomp-filter.py; do not edit. */
#include "kernel/sandbox/seccomp.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
"""


def same(name: str, value: int) -> str:
    return f'#ifdef {name}\n_Static_assert({name} == {value:#x}, "{name}");\n#endif\n'


def write_architecture(definition: Definition, arch: Architecture) -> str:
    out = [f'_Static_assert({arch.audit_name} == {arch.audit:#x}u, "{arch.audit_name}");\n']
    for name, call in definition.calls.items():
        number = call.numbers[arch.column]
        if number >= 0:
            out.append(same(f"__NR_{name}", number))
        else:
            out.append(f'#ifdef __NR_{name}\n#error "seccomp.def says that {name} is not there"\n#endif\n')
    for which in FILTERS:
        out.append(f"static const struct sock_filter filter_{which.lower()}[] = {{\n")
        for code, jump_true, jump_false, k in compile_filter(definition, arch, which):
            out.append(f"\t{{ {code:#04x}, {jump_true}, {jump_false}, {k:#x} }},\n")
        out.append("};\n")
    return "".join(out)


def write(definition: Definition) -> str:
    out = [HEAD, *(same(name, value) for name, value in definition.constants.items())]
    for i, arch in enumerate(ARCHITECTURES):
        out.append(f"\n#{'el' if i else ''}if defined({arch.macro})\n{write_architecture(definition, arch)}")
    out.append('\n#else\n#error "kernel/sandbox/seccomp.def has no numbers for this processor"\n#endif\n\n')
    out.append("const struct seccomp_filter seccomp_filters[SECCOMP_FILTER_COUNT] = {\n")
    for which in FILTERS:
        array = f"filter_{which.lower()}"
        out.append(f"\t[SECCOMP_FILTER_{which}] = {{ {array}, sizeof({array}) / sizeof({array}[0]) }},\n")
    out.append("};\n")
    return "".join(out)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        text = write(read(Path(sys.argv[1])))
    except ValueError as e:
        print(e, file=sys.stderr)
        return 1
    Path(sys.argv[2]).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
