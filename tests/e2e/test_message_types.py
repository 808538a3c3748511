# SPDX-License-Identifier: Apache-2.0
"""Every row of the table in specs/wire.md 6, as a client sees it, and the table against protocol/wire/msgtype.def."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from husk import Client, Kernel

pytestmark = pytest.mark.husk

TOP = Path(__file__).resolve().parents[2]
CONTENT: dict[str, dict[str, Any]] = {
    "execute_request": {"code": "6*7"},
    "inspect_request": {"code": "print", "cursor_pos": 3, "detail_level": 0},
    "complete_request": {"code": "pri", "cursor_pos": 3},
    "history_request": {"hist_access_type": "tail", "n": 1, "raw": True, "output": False},
    "is_complete_request": {"code": "1"},
    "comm_open": {"comm_id": "c", "target_name": "nobody", "data": {}},
    "comm_msg": {"comm_id": "c", "data": {}},
    "comm_close": {"comm_id": "c", "data": {}},
    "debug_request": {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}},
    "delete_subshell_request": {"subshell_id": "no-such-subshell"},
    "input_reply": {"value": "nobody asked"},
}


def rows() -> list[tuple[str, list[str], str | None]]:
    """(type, channels it may come from, its reply) from the table of specs/wire.md 6."""
    found = []
    for line in (TOP / "specs/wire.md").read_text().splitlines():
        m = re.fullmatch(r"\| (\w+) \| ([a-z, ]+) \| ([\w-]+) \| [\w-]+ \| [\w-]+ \| [\w-]+ \|", line)
        if m and m[1] != "type":
            channels = [] if m[2] == "kernel only" else m[2].split(", ")
            found.append((m[1], channels, None if m[3] == "-" else m[3]))
    return found


ROWS = rows()


def test_the_table_is_the_one_of_the_code() -> None:
    code = []
    for m in re.finditer(r"^MSGTYPE\((\w+), ([\w| ]+), (\w+), ", (TOP / "protocol/wire/msgtype.def").read_text(), re.M):
        channels = [] if m[2] == "0" else m[2].lower().split(" | ")
        code.append((m[1], channels, None if m[3] == "none" else m[3]))
    assert len(code) > 40
    assert code == ROWS


@pytest.mark.parametrize(("name", "channels", "reply"), ROWS)
def test_a_type_on_every_channel(
    kernel: Kernel, client: Client, name: str, channels: list[str], reply: str | None
) -> None:
    for channel in ("shell", "control"):
        msg_id = client.send(name, CONTENT.get(name, {"restart": False}), channel=channel)
        if channel in channels and reply is None:
            client.state(msg_id, "idle")
            assert [m for m in client.of(msg_id) if m.channel == channel] == []
        elif channel in channels:
            turn = client.finish(msg_id) if name != "shutdown_request" else None
            answer = turn.reply if turn else client.reply(msg_id)
            assert answer.type == reply
            assert answer.channel == channel
            if name == "shutdown_request":
                assert kernel.wait_exit() == 0
                return
        elif name.startswith("comm_"):
            client.state(msg_id, "idle")
        else:
            turn = client.finish(msg_id)
            assert turn.reply.type == name.removesuffix("_request") + "_reply"
            assert turn.status == "error", turn.content
            assert turn.content["ename"]
            assert turn.content["traceback"] == []
    client.send(name, CONTENT.get(name, {}), channel="stdin")  # never answered, never harmful
    client.barrier()
    assert [m for m in client.log if m.channel == "stdin"] == []
    assert client.execute("1+1").ok().result == "2"
