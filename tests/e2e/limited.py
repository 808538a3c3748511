# SPDX-License-Identifier: Apache-2.0
"""What the tests of limits share: cells with limits, and what metadata.husk must be."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from husk import Client, Kernel, Turn

jsonschema = pytest.importorskip("jsonschema")

KILLED = (r"did not (end|free memory) within \d+ ms, killing the worker", "the worker was killed by signal 9")


@functools.cache
def schema() -> Any:
    """The schema of specs/limits.md 2."""
    text = Path(__file__).parents[2].joinpath("specs", "limits.md").read_text()
    found = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert found
    validator = jsonschema.Draft202012Validator
    validator.check_schema(json.loads(found[1]))
    return validator(json.loads(found[1]))


def husk(turn: Turn) -> dict[str, Any]:
    """metadata.husk of a turn, valid."""
    value = turn.reply.metadata["husk"]
    schema().validate(value)
    return value


def assert_ended(turn: Turn, ename: str, verdict: str, state: str = "kept") -> Turn:
    """The turn has that error, that verdict and that state; iopub has the error too."""
    turn.failed(ename)
    value = husk(turn)
    assert (value["verdict"], value["state"]) == (verdict, state), value
    assert turn.error is not None
    assert turn.error["ename"] == ename
    return turn


def run(client: Client, code: str, *, timeout: float = 30, husk: Any = None, **limits: Any) -> Turn:
    """A cell with limits of its own."""
    return client.execute(code, metadata={"husk": husk or {"limits": limits}}, timeout=timeout)


def send(client: Client, code: str, limits: dict[str, Any], **more: Any) -> str:
    return client.send_code(code, metadata={"husk": {"limits": limits}}, **more)


StartLimited = Callable[..., Kernel]


def connect(kernel: Kernel) -> Client:
    """A client of a kernel that has its shell already: its making would be the first cell's time."""
    client = kernel.connect()
    client.execute("%time 1")
    client.execute("import time").ok()
    return client
