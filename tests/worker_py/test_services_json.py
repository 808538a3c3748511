# SPDX-License-Identifier: Apache-2.0
"""jsonable: strict JSON, equal to what jupyter_client sends where that is strict."""

from __future__ import annotations

import datetime
import json
import warnings
from typing import Any

import pytest
import services

services.install()

from husk_worker import jsonable  # noqa: E402

UTC = datetime.UTC
VALUES = [
    {}, [], {"a": 1}, {"a": [1, 2.5, None, True, "x"]}, {1: "a", None: 2, False: 3, 2.5: 4}, {"s": {1}}, {"t": (1, (2, 3))},
    {"b": b"\x00\xff\x10"}, {"r": range(3)}, {"g": {"x": [{"y": b"z"}]}}, {"d": datetime.datetime(2020, 1, 2, 3, 4, 5, 6, UTC)},
    {"d": datetime.date(2020, 1, 2)}, {"n": float("nan")}, {"n": [float("inf"), -float("inf")]}, {(1, 2): 3}, "text", 7, 1 << 70,
    {"u": "\u540d\u524d\U0001f600"}, {"k": {"a": {"b": {}}}}, frozenset([4]),
]  # fmt: skip


def strict(text: str) -> Any:
    def refuse(token: str) -> Any:
        raise AssertionError(token)

    return json.loads(text, parse_constant=refuse)


def knows_dates(session: Any) -> bool:
    """Whether the rules of this jupyter_client cover dates."""
    try:
        session.json_packer(datetime.date(2020, 1, 2))
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_equals_jupyter_client(value: Any) -> None:
    session = pytest.importorskip("jupyter_client.session")
    if value == {"d": datetime.date(2020, 1, 2)} and not knows_dates(session):
        pytest.skip("this jupyter_client has no rule for dates")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert strict(jsonable.dumps(value)) == strict(session.json_packer(value).decode())


@pytest.mark.parametrize(("value", "plain"), [
    (float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf"), ({1, }, [1]), (b"\xfb\xff" * 60, None), (iter([1, 2]), [1, 2]),
    (memoryview(b"ab"), "YWI="), (bytearray(b"ab"), "YWI="),
])  # fmt: skip
def test_rules(value: Any, plain: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = jsonable.dumps({"v": value})
    assert "\\n" not in text
    assert plain is None or strict(text) == {"v": plain}


def test_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    value = {"i": numpy.int64(3), "f": numpy.float32(0.5), "b": numpy.bool_(True), "a": numpy.arange(3)}
    with pytest.raises(TypeError):
        jsonable.dumps({"b": value.pop("b")})
    assert strict(jsonable.dumps(value)) == {"i": 3, "f": 0.5, "a": [0, 1, 2]}
    with pytest.warns(UserWarning):
        assert strict(jsonable.dumps({"f": numpy.float64("nan")})) == {"f": "nan"}


def test_naive_time_is_local() -> None:
    text = strict(jsonable.dumps(datetime.datetime(2020, 1, 2, 3, 4, 5)))
    assert datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None


def test_nan_warns() -> None:
    with pytest.warns(UserWarning, match="serialization failed"):
        jsonable.dumps({"x": float("nan")})


def test_colliding_keys_of_a_cleaned_dict_are_an_error() -> None:
    with pytest.raises(ValueError, match="collision"):
        jsonable.dumps({(1,): 2, "(1,)": 3})


@pytest.mark.parametrize("value", [object(), {"f": print}, {"c": 1j}])
def test_what_has_no_json_form_is_an_error(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        jsonable.dumps(value)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    assert strict(jsonable.dumps(nested(jsonable.MAX_DEPTH))) == nested(jsonable.MAX_DEPTH)
    for depth in (jsonable.MAX_DEPTH + 2, 5000, 100_000):
        with pytest.raises(ValueError, match="deeper"):
            jsonable.dumps(nested(depth))
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError):
        jsonable.dumps(circle)
    assert jsonable.dumps([[]] * 1000)


def test_mime_rows() -> None:
    rows = jsonable.mime_rows(
        {"text/plain": "x", "image/png": b"\x89P", "application/json": {"a": 1}, "application/x+json": "s"}
    )
    assert rows == [
        ("text/plain", 0, "x"),
        ("image/png", 0, "iVA="),
        ("application/json", 1, '{"a": 1}'),
        ("application/x+json", 0, "s"),
    ]


def test_loads_replaces_invalid_utf8() -> None:
    assert jsonable.loads(b'{"a": "\xff"}') == {"a": "\ufffd"}
