# SPDX-License-Identifier: Apache-2.0
"""Hostile programs as data (programs/*.toml): what a tenant runs, and what must come of it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDERS = ("programs", "further")
LEVELS = ("full", "full-nocg", "restricted")


@dataclass(frozen=True)
class Expect:
    """What must come of an attack. Texts are regular expressions; sequences are alternatives."""

    verdict: tuple[str, ...] = ()
    state: tuple[str, ...] = ()  # kept, restored_or_lost
    ename: str = ""  # matched whole; when empty and status is ok: nothing is expected
    evalue: str = ""
    stdout: str = ""
    no_stdout: str = ""
    after_stdout: str = ""  # of the cell "after"
    after_result: str = ""
    after_ename: str = ""
    within: float = 20.0  # seconds from the request to its reply
    next: str = "value"  # the next cell: "value" says the canary, "any" is answered, "none": the kernel has ended
    tries: int = 1  # so many next cells until one runs
    gone: str = ""  # a text in the command line or name of no process afterwards
    alone: float = 0.0  # so many seconds later there are no more processes than before the attack; 0: not looked at
    refused: str = ""  # the kernel does not start, and says this
    truncated: bool = False
    notices: int = 0  # so many messages say that output was cut; 0: not looked at
    bytes_at_most: int = 0
    messages_at_most: int = 0
    cpu_per_wall: float = 0.0
    front_cpu_after: float = 0.0  # seconds per second, after the turn
    front_rss: int = 500_000_000  # bytes
    front_fds_constant: bool = False
    no_secrets: bool = False  # no planted secret in anything that came back
    reached: tuple[str, ...] | None = None  # of the tester's listeners
    statuses_403: int = 0
    idle_within: float = 0.0  # seconds after which the sandbox uses no processor any more


@dataclass(frozen=True)
class Program:
    """One attack on one kernel. A file with variants is several of them, which count as one."""

    number: int
    name: str  # of the file
    title: str
    variant: str = ""
    partial: str = ""  # what of the item cannot be tried yet
    needs: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    prelude: tuple[str, ...] = ()
    limits: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    setup: str = ""
    attack: str = ""
    after: str = ""
    beside: str = ""  # a cell of the neighbour's, which must succeed afterwards
    action: str = "attack"
    expect: Expect = field(default_factory=Expect)
    differs: dict[str, Expect] = field(default_factory=dict)

    def expected(self, level: str) -> Expect:
        return self.differs.get(level, self.expect)

    @property
    def label(self) -> str:
        return f"{self.number:03} {self.title}" + (f" [{self.variant}]" if self.variant else "")


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _expect(base: Expect, table: dict[str, Any], where: str) -> Expect:
    known = {f.name for f in fields(Expect)}
    if unknown := set(table) - known:
        raise ValueError(f"{where}: unknown members {sorted(unknown)}")
    for name in ("ename", "evalue", "refused", "stdout", "no_stdout", "after_stdout", "after_ename"):
        re.compile(table.get(name, ""))
    return replace(base, **_tuples(table))


def _programs(path: Path) -> list[Program]:
    table = tomllib.loads(path.read_text())
    number = int(path.name.partition("-")[0])
    known = {f.name for f in fields(Program)} - {"number", "name"} | {"variant"}
    variants = table.pop("variant", [{}])
    base_expect, base_differs = table.pop("expect", {}), table.pop("differs", {})
    found = []
    for variant in variants:
        where = f"{path.name} [{variant.get('name', '')}]"
        own = dict(variant)
        own_name, own_expect, own_differs = own.pop("name", ""), own.pop("expect", {}), own.pop("differs", {})
        members = table | own
        if unknown := set(members) - known:
            raise ValueError(f"{where}: unknown members {sorted(unknown)}")
        if not members.get("title") or not members.get("attack"):
            raise ValueError(f"{where}: title or attack is missing")
        expect = _expect(_expect(Expect(), base_expect, where), own_expect, where)
        differs = {}
        for level in base_differs.keys() | own_differs.keys():
            if level not in LEVELS:
                raise ValueError(f"{where}: unknown level {level}")
            differs[level] = _expect(_expect(expect, base_differs.get(level, {}), where), own_differs.get(level, {}), where)
        if not expect.state or not expect.verdict:
            raise ValueError(f"{where}: what verdict, what state?")
        found.append(Program(number, path.stem, variant=own_name, expect=expect, differs=differs, **_tuples(members)))
    return found


def load(folders: tuple[str, ...] = FOLDERS) -> list[Program]:
    """All of them, in order of their numbers."""
    found: list[Program] = []
    for folder in folders:
        for path in sorted((HERE / folder).glob("*.toml")):
            found += _programs(path)
    return sorted(found, key=lambda p: p.number)


def prelude(name: str) -> str:
    return (HERE / "preludes" / f"{name}.py").read_text()
