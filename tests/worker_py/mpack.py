# SPDX-License-Identifier: Apache-2.0
"""A small msgpack codec for tests that must not need a package: pack(value) and unpack(bytes)."""

import struct


def pack(value: object) -> bytes:
    """msgpack bytes of None, bool, int, float, str, bytes-like, list, tuple, dict."""
    out = bytearray()
    _pack(value, out)
    return bytes(out)


def _pack(value: object, out: bytearray) -> None:
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        out += struct.pack(">Bq", 0xD3, value) if value < 0 else struct.pack(">BQ", 0xCF, value)
    elif isinstance(value, float):
        out += struct.pack(">Bd", 0xCB, value)
    elif isinstance(value, str):
        raw = value.encode("utf-8", "replace")
        out += struct.pack(">BI", 0xDB, len(raw)) + raw
    elif isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        out += struct.pack(">BI", 0xC6, len(raw)) + raw
    elif isinstance(value, (list, tuple)):
        out += struct.pack(">BI", 0xDD, len(value))
        for item in value:
            _pack(item, out)
    elif isinstance(value, dict):
        out += struct.pack(">BI", 0xDF, len(value))
        for key, item in value.items():
            _pack(key, out)
            _pack(item, out)
    else:
        raise TypeError(f"cannot be packed: {type(value)}")


_SIMPLE = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {0xD3: ">q", 0xCF: ">Q", 0xCB: ">d"}
_SIZED = {0xDB: "str", 0xC6: "bin", 0xDD: "array", 0xDF: "map"}


def unpack(data: bytes) -> object:
    """The value of bytes made by pack()."""
    value, end = _unpack(data, 0)
    if end != len(data):
        raise ValueError("bytes behind the value")
    return value


def _unpack(data: bytes, at: int) -> tuple[object, int]:
    code = data[at]
    at += 1
    if code in _SIMPLE:
        return _SIMPLE[code], at
    if code in _NUMBERS:
        return struct.unpack_from(_NUMBERS[code], data, at)[0], at + 8
    kind = _SIZED[code]
    size = struct.unpack_from(">I", data, at)[0]
    at += 4
    if kind == "str":
        return data[at : at + size].decode(), at + size
    if kind == "bin":
        return data[at : at + size], at + size
    if kind == "array":
        items = []
        for _ in range(size):
            item, at = _unpack(data, at)
            items.append(item)
        return items, at
    table = {}
    for _ in range(size):
        key, at = _unpack(data, at)
        table[key], at = _unpack(data, at)
    return table, at
