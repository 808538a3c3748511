# SPDX-License-Identifier: Apache-2.0
"""What ends a request and is larger than a frame may be, without its large parts (specs/link.md 3.5)."""

import _husk

_PARTS = 8  # a part above this fraction of the limit is large
_NAME = 512  # characters that are left of a name
_TEXT = 4096  # and of a text


def shortened(kind: int, fields: tuple) -> "tuple | None":
    """The fields of a smaller frame that says the same of the end; None when there is none for this type."""
    make = {_husk.REPLY: _reply, _husk.ERROR: _error, _husk.ANSWER: _answer}.get(kind)
    return None if make is None else make(fields, _husk.limit_frames() // _PARTS)


def _size(text: "str | bytes | None") -> int:
    """Bytes that a text takes at most."""
    if text is None:
        return 0
    return len(text) if isinstance(text, bytes) or text.isascii() else 4 * len(text)


def _short_error(ename: str, evalue: str, lines: list, most: int) -> "tuple[str, str, list, int]":
    """An error and how many bytes it lacks: of a large one the beginnings of its texts, and the end of its traceback."""
    size = _size(ename) + _size(evalue) + sum(map(_size, lines))
    if size <= most:
        return ename, evalue, lines, 0
    room = most // 2
    kept = len(lines)
    while kept > 0 and _size(lines[kept - 1]) < room:
        kept -= 1
        room -= _size(lines[kept])
    lines = lines[kept:]
    ename, evalue = ename[:_NAME], evalue[:_TEXT]
    missing = size - _size(ename) - _size(evalue) - sum(map(_size, lines))
    note = f"[husk: {missing} bytes of this error are beyond the limit of output]"
    return ename, evalue, [note, *lines], missing


def _error(fields: tuple, most: int) -> tuple:
    turn, ename, evalue, lines = fields
    return (turn, *_short_error(ename, evalue, lines, most)[:3])


def _reply(fields: tuple, most: int) -> tuple:
    turn, status, count, next_count, payload, expressions, error, history, output, flags = fields
    missing = 0
    if _size(payload) > most:
        missing += _size(payload)
        payload = None
    if _size(expressions) > most:
        missing += _size(expressions)
        expressions = None
    if error is not None:
        ename, evalue, lines = error
        *error, lacks = _short_error(ename, evalue, lines, most)
        missing += lacks
    if isinstance(history, tuple) and sum(map(_size, history)) > most:
        history = True  # the code as it was sent
    if _size(output) > most:
        output = None
    return turn, status, count, next_count, payload, expressions, error, history, output, flags, missing


def _answer(fields: tuple, most: int) -> tuple:
    text = f"the answer is larger than the {_husk.limit_frames()} bytes that the limit of output allows"
    content = f'{{"status": "error", "ename": "OutputLimitExceeded", "evalue": "{text}", "traceback": []}}'
    return fields[0], content, None, []
