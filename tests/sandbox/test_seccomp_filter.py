# SPDX-License-Identifier: Apache-2.0
"""The programs that tools/seccomp-filter.py makes say what the rows of seccomp.def say, read one by one."""

import importlib.util
import itertools
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).resolve().parents[2]
MASK32 = 0xFFFFFFFF


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seccomp_filter", TOP / "tools/seccomp-filter.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["seccomp_filter"] = module
    spec.loader.exec_module(module)
    return module


generator = load()
definition = generator.read(TOP / "kernel/sandbox/seccomp.def")
BY_NUMBER = [{call.numbers[column]: call for call in definition.calls.values()} for column in (0, 1)]
CASES = list(itertools.product(generator.ARCHITECTURES, generator.FILTERS))
IDS = [f"{arch.macro.strip('_')}-{which.lower()}" for arch, which in CASES]


def run(program: list[tuple[int, int, int, int]], number: int, audit: int, arguments: tuple[int, ...]) -> int:
    """What the kernel's interpreter of filters would return; it ends, for all jumps go forward."""
    words = [number, audit, 0, 0]
    for argument in arguments:
        words += [argument & MASK32, argument >> 32]
    accumulator = place = 0
    while True:
        code, if_true, if_false, k = program[place]
        place += 1
        if code == generator.LOAD:
            accumulator = words[k // 4]
        elif code == generator.AND:
            accumulator &= k
        elif code == generator.JUMP:
            place += k
        elif code == generator.RETURN:
            return k
        else:
            holds = {
                generator.JEQ: accumulator == k,
                generator.JGE: accumulator >= k,
                generator.JGT: accumulator > k,
                generator.JSET: bool(accumulator & k),
            }[code]
            place += if_true if holds else if_false


def holds(test, arguments: tuple[int, ...]) -> bool:
    index, upper = divmod(test.offset - generator.ARGUMENTS, 8)
    word = arguments[index] >> 32 if upper else arguments[index] & MASK32
    if test.mask:
        word &= test.mask
    if test.kind == "IN":
        return test.values[0] <= word <= test.values[1]
    if test.kind == "BITS":
        return bool(word & test.values[0])
    return word in test.values


def expected(arch, which: str, number: int, arguments: tuple[int, ...]) -> int:
    """The answer by the table alone."""
    if arch.has_x32 and generator.X32 <= number < MASK32:
        return generator.KILL_PROCESS
    call = BY_NUMBER[arch.column].get(number)
    if call is None:
        return generator.UNKNOWN
    for rule in call.rules:
        if rule.filter == which and all(holds(test, arguments) for test in rule.tests):
            return rule.answer
    return call.answer


def interesting(call, random_numbers: random.Random) -> list[tuple[int, ...]]:
    """Arguments at and beside every value that a rule names, with and without upper bits."""
    values: list[set[int]] = [{0, MASK32, 1 << 32, (1 << 64) - 1} for _ in range(6)]
    for rule in call.rules:
        for test in rule.tests:
            index = (test.offset - generator.ARGUMENTS) // 8
            for value in test.values:
                for near in (value - 1, value, value + 1, value | 0x80000, value | 1 << 32, value | 0xABCDEF << 33):
                    values[index].add(near & ((1 << 64) - 1))
    choices = [sorted(v) for v in values]
    chosen = [(0,) * 6]
    for _ in range(2000 if call.rules else 4):
        chosen.append(tuple(random_numbers.choice(v) for v in choices))
    return chosen


@pytest.mark.parametrize(("arch", "which"), CASES, ids=IDS)
def test_program_is_the_table(arch, which: str) -> None:
    program = generator.compile_filter(definition, arch, which)
    random_numbers = random.Random(14)
    for call in definition.calls.values():
        number = call.numbers[arch.column]
        if number < 0:
            continue
        for arguments in interesting(call, random_numbers):
            got = run(program, number, arch.audit, arguments)
            assert got == expected(arch, which, number, arguments), (number, arguments)


@pytest.mark.parametrize(("arch", "which"), CASES, ids=IDS)
def test_every_number_has_an_answer(arch, which: str) -> None:
    program = generator.compile_filter(definition, arch, which)
    edges = [0x7FFFFFFF, 0x80000000, MASK32 - 1, MASK32, generator.X32 - 1, generator.X32, generator.X32 + 520]
    for number in itertools.chain(range(1200), edges):
        assert run(program, number, arch.audit, (0,) * 6) == expected(arch, which, number, (0,) * 6), number


@pytest.mark.parametrize(("arch", "which"), CASES, ids=IDS)
def test_another_architecture_ends_the_process(arch, which: str) -> None:
    program = generator.compile_filter(definition, arch, which)
    for audit in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028, 0, MASK32):
        if audit != arch.audit:
            assert run(program, 0, audit, (0,) * 6) == generator.KILL_PROCESS


@pytest.mark.parametrize(("arch", "which"), CASES, ids=IDS)
def test_programs_are_well_formed(arch, which: str) -> None:
    program = generator.compile_filter(definition, arch, which)
    assert len(program) < 256, "a filter of few instructions is what the tree is for"
    for place, (code, if_true, if_false, k) in enumerate(program):
        assert 0 <= if_true <= 255 and 0 <= if_false <= 255
        assert place + 1 + max(if_true, if_false) < len(program) or code == generator.RETURN
        assert code != generator.JUMP or place + 1 + k < len(program)


def test_every_call_of_the_machine_stands_in_the_table() -> None:
    numbers = {call.numbers[0] for call in definition.calls.values()}
    assert numbers >= set(range(337)) | set(range(424, 470))
    numbers = {call.numbers[1] for call in definition.calls.values()}
    # 244 to 259 are for what single processors have.
    assert numbers >= (set(range(295)) - set(range(244, 260))) | set(range(424, 470)), set(range(295)) - numbers


@pytest.mark.parametrize(
    "line",
    [
        'CALL(read, 0, 63, ALLOW, "")',
        "CALL(read, 0, 63, ALLOW)",
        'CALL(read, 0, 63, PERHAPS, "reason")',
        'CALL(read, 0, 63, ERRNO(ENOTHING), "reason")',
        'CALL(read, 0, 63, ALLOW, "reason")\nCALL(read, 0, 63, ALLOW, "reason")',
        'CALL(read, 0, 63, ALLOW, "reason")\nCALL(write, 0, 64, ALLOW, "reason")',
        'WHEN(read, ANY, ALWAYS, ALLOW, "reason")',
        'CALL(read, 0, 63, ALLOW, "reason")\nWHEN(read, SOME, ALWAYS, ALLOW, "reason")',
        'CALL(read, 0, 63, ALLOW, "reason")\nWHEN(read, ANY, NE(0, A=1), ALLOW, "reason")',
        'CALL(read, 0, 63, ALLOW, "reason")\nWHEN(read, ANY, EQ(6, A=1), ALLOW, "reason")',
        'CALL(read, 0, 63, ALLOW, "reason")\nWHEN(read, ANY, EQ(0, A=1) && EQ(1, A=2), ALLOW, "reason")',
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wrong.def"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"wrong\.def"):
        generator.read(path)
