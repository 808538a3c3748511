# SPDX-License-Identifier: Apache-2.0
"""File names of cells: made of a hash of the text, so that a debugger's client can know them beforehand."""

import os

import _husk

SEED = 0xC70F6907
SUFFIX = ".py"
_VARIABLE = "IPYKERNEL_CELL_NAME"
_VARIABLE_BYTES = _VARIABLE.encode()
_prefix = ""
murmur2 = _husk.murmur2


def _temp_dir() -> str:
    """What tempfile.gettempdir() answers, without importing it where the answer is plain."""
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")) or not os.access("/tmp", os.W_OK | os.X_OK):
        import tempfile

        return tempfile.gettempdir()
    return "/tmp"


def prefix() -> str:
    """Directory part of cell names with its slash: /tmp/ipykernel_<pid>/."""
    global _prefix
    if not _prefix:
        _prefix = f"{_temp_dir()}/ipykernel_{os.getpid()}/"
    return _prefix


def _forget_prefix() -> None:
    global _prefix
    _prefix = ""


os.register_at_fork(after_in_child=_forget_prefix)


def file_name(code: str) -> str:
    """The name that the code object of a cell with this text gets."""
    # The environment takes its time to say that it has no such variable; its bytes say it at once.
    known = getattr(os.environ, "_data", None)
    if known is None or _VARIABLE_BYTES in known:
        name = os.environ.get(_VARIABLE)
        if name is not None:
            return name
    return f"{prefix()}{murmur2(code.encode('utf-8', 'surrogatepass'), SEED)}{SUFFIX}"
