# SPDX-License-Identifier: Apache-2.0
"""The C codec and jupyter_client's Session understand each other, whatever is in the messages (specs/wire.md 2 to 5)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from codec import Codec
from hypothesis import example, given
from hypothesis import strategies as st
from jupyter_client.jsonutil import parse_date
from jupyter_client.session import Session

SCHEMES = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-md5")
DELIMITER = b"<IDS|MSG>"

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(texts, values, max_size=5)
keys = texts.filter(lambda key: len(key.encode()) <= 1024)
frames = st.binary(max_size=100)
identities = st.lists(frames.filter(lambda frame: frame != DELIMITER), max_size=16)


def new_session(scheme: str, key: str) -> Session:
    """A Session as a client has it."""
    return Session(key=key.encode(), signature_scheme=scheme, session="client", username="tester", check_pid=False)


@given(
    st.sampled_from(SCHEMES),
    keys,
    st.sampled_from(["execute_request", "comm_msg", "no_such_type"]) | texts,
    objects,
    objects,
    objects,
    identities,
    st.lists(frames, max_size=5),
)
def test_what_a_client_sends_is_accepted(
    codec: Codec,
    scheme: str,
    key: str,
    msg_type: str,
    parent: dict[str, Any],
    metadata: dict[str, Any],
    content: dict[str, Any],
    idents: list[bytes],
    buffers: list[bytes],
) -> None:
    session = new_session(scheme, key)
    msg = session.msg(msg_type, content=content, parent={"header": parent} if parent else None, metadata=metadata)
    sent = session.serialize(msg, idents) + buffers
    got = codec.ask("parse", scheme=scheme, key=key, frames=[frame.hex() for frame in sent])
    assert got["result"] == 0, got
    assert (got["identities"], got["buffers"]) == (len(idents), len(buffers))
    assert bytes.fromhex(got["msg_type"]).decode() == msg_type
    assert json.loads(bytes.fromhex(got["content"])) == content
    assert json.loads(bytes.fromhex(got["metadata"])) == metadata
    header = json.loads(bytes.fromhex(got["header"]))
    assert (header["session"], header["msg_id"]) == ("client", msg["msg_id"])


@given(
    st.sampled_from(SCHEMES),
    keys,
    st.sampled_from(["execute_reply", "stream", "status"]),
    texts,
    objects,
    objects,
    objects,
    st.integers(0, 2**63 - 1),
    st.integers(0, 253402300799999999),
)
def test_what_the_front_sends_is_accepted(
    codec: Codec,
    scheme: str,
    key: str,
    msg_type: str,
    username: str,
    parent: dict[str, Any],
    metadata: dict[str, Any],
    content: dict[str, Any],
    serial: int,
    usec: int,
) -> None:
    while len(username.encode()) > 63 or "\0" in username:
        username = username.replace("\0", "")[:-1]
    got = codec.ask(
        "build",
        scheme=scheme,
        key=key,
        session="2c5ea4c0-4067-11e9-8bad-9b9deafa1c2f",
        username=username,
        msg_type=msg_type,
        serial=serial,
        usec=usec,
        parent=json.dumps(parent).encode() if parent else b"",
        metadata=json.dumps(metadata, ensure_ascii=False).encode(),
        content=json.dumps(content).encode(),
    )
    session = new_session(scheme, key)
    idents, rest = session.feed_identities([b"topic"] + [bytes.fromhex(frame) for frame in got["frames"]])
    msg = session.deserialize(rest)
    assert idents == [b"topic"]
    assert msg["content"] == content
    assert msg["metadata"] == metadata
    assert msg["msg_type"] == msg_type
    header = json.loads(bytes.fromhex(got["frames"][2]))
    assert header["username"] == username
    assert header["msg_id"] == f"2c5ea4c0-4067-11e9-8bad-9b9deafa1c2f_4321_{serial}"
    assert header["version"] == "5.5"
    assert parse_date(header["date"]) == datetime.fromtimestamp(0, UTC) + timedelta(microseconds=usec)
    assert json.loads(bytes.fromhex(got["frames"][3])) == parent


@given(st.sampled_from(SCHEMES), keys.filter(bool), objects, st.data())
def test_one_changed_byte_is_noticed_unless_it_is_a_buffers(
    codec: Codec, scheme: str, key: str, content: dict[str, Any], data: st.DataObject
) -> None:
    session = new_session(scheme, key)
    sent = session.serialize(session.msg("execute_request", content=content), [b"id"])
    which = data.draw(st.integers(2, 6))
    at = data.draw(st.integers(0, len(sent[which]) - 1))
    changed = bytearray(sent[which])
    changed[at] ^= data.draw(st.integers(1, 255))
    spoiled = [*sent[:which], bytes(changed), *sent[which + 1 :]]
    got = codec.ask("parse", scheme=scheme, key=key, frames=[frame.hex() for frame in [*spoiled, b"buffer"]])
    assert got["result"] == 2, got
    with pytest.raises(ValueError):
        session.deserialize(spoiled[2:])
    assert (
        codec.ask("parse", scheme=scheme, key=key, frames=[frame.hex() for frame in [*sent, b"other"]])["result"] == 0
    )


@given(texts)
@example('\0\x01\x1f\x7f"\\/\b\f\n\r\t\u2028\ufffe\U0010ffff')
@example("x" * 20000 + "\u20ac" * 20000)
def test_encoded_text_is_pythons_text(codec: Codec, text: str) -> None:
    token = bytes.fromhex(codec.ask("encode", text=text.encode())["token"])
    assert json.loads(token) == text
    for ascii_only in (True, False):
        python_token = json.dumps(text, ensure_ascii=ascii_only).encode()
        assert bytes.fromhex(codec.ask("decode", token=python_token)["text"]).decode() == text


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [b"\xe2\x82\xac", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xed\xa0\x80", b"a", b"\n", b"\xff"]
        )
    ).map(b"".join)
)
def test_ill_formed_utf8_is_repaired_as_python_does(codec: Codec, raw: bytes) -> None:
    token = bytes.fromhex(codec.ask("encode", text=raw)["token"])
    assert json.loads(token) == raw.decode(errors="replace")


@given(st.text())
def test_escaped_surrogates_decode_to_pairs_or_replacements(codec: Codec, text: str) -> None:
    token = json.dumps(text).encode()
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert bytes.fromhex(codec.ask("decode", token=token)["text"]).decode() == expected


def strict_python(text: bytes) -> bool:
    """Whether Python takes text as strict JSON (no NaN, UTF-8 without byte-order mark)."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        decoded = text.decode("utf-8")
        json.loads(decoded, parse_constant=refuse)
    except ValueError:
        return False
    return not decoded.startswith("\ufeff")


@given(
    values.map(lambda value: json.dumps(value).encode()),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=1)), max_size=3),
)
def test_damaged_json_is_judged_as_by_python(codec: Codec, text: bytes, damages: list[tuple[int, bytes]]) -> None:
    for at, byte in damages:
        at %= len(text) + 1
        text = text[:at] + byte + text[at + 1 :]
    assert codec.ask("valid", text=text)["valid"] == strict_python(text)


ports = st.integers(0, 65535)


@given(st.lists(st.integers(1, 65535), min_size=5, max_size=5, unique=True), keys, objects)
def test_connection_files_keep_what_they_had(
    codec: Codec, numbers: list[int], key: str, others: dict[str, Any]
) -> None:
    names = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
    taken = {*names, "key", "transport", "ip", "signature_scheme", "kernel_name", "curve_publickey", "curve_secretkey"}
    original = (
        {k: v for k, v in others.items() if k not in taken} | dict(zip(names, numbers, strict=True)) | {"key": key}
    )
    got = codec.ask("connection", text=json.dumps(original).encode())
    assert "error" not in got, got
    merged = json.loads(bytes.fromhex(got["merged"]))
    assert merged == original | {"transport": "tcp", "ip": "127.0.0.1", "signature_scheme": "hmac-sha256"}
