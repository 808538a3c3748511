# SPDX-License-Identifier: Apache-2.0
"""tests/vectors/ held against Python: hmac, json, jupyter_client's Session, msgpack. The C side: tests/unit/test-vectors.c."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from jupyter_client.session import Session

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def rows(name: str) -> list[Any]:
    """The rows of a file as parameters named by their names."""
    loaded = json.loads((VECTORS / name).read_text())["rows"]
    assert len({row["name"] for row in loaded}) == len(loaded)
    return [pytest.param(row, id=row["name"]) for row in loaded]


@pytest.mark.parametrize("row", rows("signatures.json"))
def test_signatures_are_pythons(row: dict[str, Any]) -> None:
    digest = getattr(hashlib, row["scheme"].removeprefix("hmac-"))
    parts = [part.encode() for part in row["parts"]]
    expected = hmac.new(row["key"].encode(), b"".join(parts), digest).hexdigest() if row["key"] else ""
    assert row["signature"] == expected
    session = Session(key=row["key"].encode(), signature_scheme=row["scheme"])
    assert session.sign(parts).decode() == expected


@pytest.mark.parametrize("row", rows("messages.json"))
def test_a_session_judges_messages_the_same(row: dict[str, Any]) -> None:
    session = Session(key=row["key"].encode(), signature_scheme=row["scheme"])
    frames = [bytes.fromhex(frame) for frame in row["frames"]]
    if row["result"] != "ok" and row.get("python") != "accepts":
        with pytest.raises((ValueError, TypeError, IndexError)):  # the last two: too few frames
            session.deserialize(session.feed_identities(frames)[1])
        return
    idents, rest = session.feed_identities(frames)
    assert session.unpack(rest[1]) is not None
    if row["result"] != "ok":
        return
    msg = session.deserialize(rest)
    assert len(idents) == row["n_identities"]
    assert len(msg["buffers"]) == row["n_buffers"]
    assert msg["header"]["msg_type"] == row["msg_type"]
    assert msg["header"].get("subshell_id") == row.get("subshell_id")


@pytest.mark.parametrize("row", rows("headers.json"))
def test_headers_have_these_members(row: dict[str, Any]) -> None:
    if "error" in row:
        assert "msg_id" not in row
        return
    header = json.loads(row["text"])
    for name in ("msg_id", "session", "msg_type", "subshell_id"):
        assert header.get(name) == row.get(name)


@pytest.mark.parametrize("row", rows("connection-files.json"))
def test_connection_files_have_these_members(row: dict[str, Any]) -> None:
    if "error" in row:
        assert "expect" not in row
        return
    info = {name: value for name, value in json.loads(row["text"]).items() if value is not None}
    expect = row["expect"]
    assert info["key"] == expect["key"]
    for name in ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"):
        assert int(info.get(name, 0)) == expect[name]
    assert info.get("transport", "tcp") == expect["transport"]
    assert info.get("ip", "127.0.0.1") == expect["ip"]
    assert info.get("signature_scheme", "hmac-sha256") == expect["signature_scheme"]
    assert ("curve_secretkey" in info) == expect["curve"]


def plain(value: Any) -> Any:
    """A value of msgpack as link-frames.json writes it."""
    if isinstance(value, bytes):
        return {"$bin": value.hex()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


@pytest.mark.parametrize("row", rows("link-frames.json"))
def test_link_frames_are_what_they_say(row: dict[str, Any]) -> None:
    frame = bytes.fromhex(row["hex"])
    if row["result"] == "more":
        assert len(frame) < 16
        return
    length, version, reserved = int.from_bytes(frame[:4], "little"), frame[4], int.from_bytes(frame[6:8], "little")
    body = frame[16:]
    assert (version == 1) == (row["result"] != "version")
    assert (reserved == 0) == (row["result"] != "reserved")
    assert (length == len(body)) == (row["result"] != "size")
    if row["result"] == "ok":
        assert int.from_bytes(frame[8:16], "little") == row["ring_pos"]
        assert plain(msgpack.unpackb(body)) == row["body"]
