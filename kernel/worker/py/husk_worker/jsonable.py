# SPDX-License-Identifier: Apache-2.0
"""Strict JSON text of arbitrary Python values, and the rows of a MIME bundle as the link wants them (specs/link.md 3).

The rules are those that Jupyter clients know from ipykernel: NaN and infinities become the strings "nan", "inf" and "-inf" (with a
warning), bytes base64, dates ISO 8601, sets, tuples and other iterables lists, numbers of foreign types int or float.
"""

from __future__ import annotations

import json
import math
import warnings
from binascii import b2a_base64
from typing import Any

import _husk

MAX_DEPTH = 250  # levels of nesting; the front ends a worker that sends more than 256 (protocol/wire/json.h)


def _is_date(value: Any) -> bool:
    from datetime import date

    return isinstance(value, date)


def _date(value: Any) -> str:
    """ISO 8601 text of a datetime or date; naive datetimes are taken as local time, UTC is written Z."""
    if hasattr(value, "hour"):
        if value.tzinfo is None:
            value = value.astimezone()
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat()


def _number(value: Any) -> int | float | None:
    """value as int or float when its type is registered as such a number (numpy's are), else None."""
    import numbers

    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return None


def _foreign(value: Any) -> Any:
    """What json.dumps cannot write, as something it can. Raises TypeError for what has no JSON form."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b2a_base64(value, newline=False).decode("ascii")
    if hasattr(value, "isoformat") and _is_date(value):
        return _date(value)
    if hasattr(value, "__iter__"):
        return list(value)
    number = _number(value)
    if number is None:
        raise TypeError(f"{value!r} is not JSON serializable")
    return number


def clean(value: Any, depth: int = 0) -> Any:
    """A copy of value that json.dumps writes as strict JSON.

    Raises ValueError for keys that collide once they are strings and for nesting deeper than MAX_DEPTH, TypeError for values
    without a JSON form.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"value is nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else float.__repr__(value)
    if isinstance(value, dict):
        out = {str(key): clean(item, depth + 1) for key, item in value.items()}
        if len(out) != len(value):
            raise ValueError("dict cannot be safely converted to JSON: key collision would lead to dropped values")
        return out
    if isinstance(value, (list, tuple)):
        return [clean(item, depth + 1) for item in value]
    return clean(_foreign(value), depth + 1)


def _check_depth(text: str) -> None:
    """Raises ValueError when the JSON text is nested deeper than MAX_DEPTH. Reads it only when it has that many brackets."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level = [json.loads(text)]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner.extend(item.values())
            elif type(item) is list:
                inner.extend(item)
        level = [item for item in inner if type(item) in (dict, list)]
        if not level:
            return
    raise ValueError(f"value is nested deeper than {MAX_DEPTH} levels")


def dumps(value: Any) -> str:
    """Strict JSON text of value (no NaN token). Raises TypeError or ValueError for what cannot be said in JSON.

    Lone surrogates stay in the str; the link replaces them.
    """
    if not value and type(value) is dict:
        return "{}"
    try:
        try:
            text = json.dumps(value, default=_foreign, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            text = json.dumps(clean(value), ensure_ascii=False, allow_nan=False)
            warnings.warn(
                f"Message serialization failed with:\n{error}\nA cleaned copy was sent; please make sure that the message is "
                "JSON-compliant",
                stacklevel=2,
            )
    except RecursionError:
        raise ValueError(f"value is nested deeper than {MAX_DEPTH} levels") from None
    _check_depth(text)
    return text


def loads(text: str | bytes | bytearray | memoryview) -> Any:
    """The value of JSON text from the link; invalid UTF-8 is replaced. Raises ValueError."""
    if not isinstance(text, str):
        text = bytes(text).decode("utf-8", "replace")
    return json.loads(text)


def mime_rows(data: dict[str, Any]) -> list[tuple[str, int, str]]:
    """The MIME bundle as rows (mime, _husk.MIME_TEXT or _husk.MIME_JSON, text) of a DISPLAY frame.

    str values go as text, whatever their type; bytes as base64 text; everything else as JSON text.
    """
    rows: list[tuple[str, int, str]] = []
    for mime, value in data.items():
        if isinstance(value, str):
            rows.append((str(mime), _husk.MIME_TEXT, value))
        elif isinstance(value, (bytes, bytearray, memoryview)):
            rows.append((str(mime), _husk.MIME_TEXT, b2a_base64(value, newline=False).decode("ascii")))
        else:
            rows.append((str(mime), _husk.MIME_JSON, dumps(value)))
    return rows
