# SPDX-License-Identifier: Apache-2.0
"""File names of cells: made of a hash of the text, so that a debugger's client can know them beforehand."""

import os

import _husk

SEED = 0xC70F6907
SUFFIX = ".py"
_MASK = 0xFFFFFFFF
_FACTOR = 0x5BD1E995


def murmur2(data: bytes, seed: int = SEED) -> int:
    """32-bit MurmurHash2 of the bytes."""
    size = len(data)
    whole = size & ~3
    hash_ = seed ^ size
    for word in memoryview(data)[:whole].cast("I"):
        word = word * _FACTOR & _MASK
        hash_ = (hash_ * _FACTOR & _MASK) ^ ((word ^ word >> 24) * _FACTOR & _MASK)
    if size > whole:
        hash_ = (hash_ ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _MASK
    hash_ = (hash_ ^ hash_ >> 13) * _FACTOR & _MASK
    return hash_ ^ hash_ >> 15


murmur2 = getattr(_husk, "murmur2", murmur2)
_prefix = ""
_prefix_pid = 0


def _temp_dir() -> str:
    """What tempfile.gettempdir() answers, without importing it where the answer is plain."""
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")) or not os.access("/tmp", os.W_OK | os.X_OK):
        import tempfile

        return tempfile.gettempdir()
    return "/tmp"


def prefix() -> str:
    """Directory part of cell names with its slash: /tmp/ipykernel_<pid>/."""
    global _prefix, _prefix_pid
    pid = os.getpid()
    if pid != _prefix_pid:
        _prefix = f"{_temp_dir()}/ipykernel_{pid}/"
        _prefix_pid = pid
    return _prefix


def file_name(code: str) -> str:
    """The name that the code object of a cell with this text gets."""
    name = os.environ.get("IPYKERNEL_CELL_NAME")
    if name is not None:
        return name
    return f"{prefix()}{murmur2(code.encode('utf-8', 'surrogatepass'))}{SUFFIX}"
