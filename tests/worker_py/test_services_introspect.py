# SPDX-License-Identifier: Apache-2.0
"""Completion, inspection and is_complete: equal to those of ipykernel over the same namespace."""

from __future__ import annotations

from typing import Any

import pytest
import services

services.install()

SETUP = """
import os, sys, json
class Box:
    "A box."
    side = 3
    @property
    def trap(self):
        raise SystemExit("a property was run")
    def open(self, how: int = 1) -> str:
        "Opens the box."
        return ""
box = Box()
table = {"apple": 1, "apricot": 2, "pear": 3}
\u540d\u524d = box
def func(alpha, beta=2):
    '''Does it.'''
    return alpha
"""
CODES = [
    "box.", "box.op", "os.pa", "pri", "table['ap", "%tim", "%%ti", "import js", "from json import lo",
    "func(al", "func(alpha, be",
    "x = 1\nbox.si", "'\U0001f600'; box.o", "\u540d\u524d.si", "", "   ", "box.open(", "open('/et", "!ls", "1 + bo", "def f():\n    box.o\n",
    "for i in ", "nosuchname.", "json.dumps(", "lambda q: q.", "\\alpha", "table[", "class A(Bo", "with op", "@prop",
]  # fmt: skip
SAMPLES = [
    "for i in x:", "a = )", "1", "%%time\n1", "%%time\n1\n", '"""', "", "\n", "x = 1\\", "def f():\n    return 1",
    "def f():\n    return 1\n", "if x:\n    y\nelse:", "print(", "await x", "async def f():\n  pass\n", "%time", "!ls", "x?", "  1",
]  # fmt: skip


@pytest.fixture(scope="module")
def shell() -> Any:
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    shell = interactive.InteractiveShell.instance()
    shell.run_cell(SETUP)
    shell.Completer.jedi_compute_type_timeout = 60_000  # types are left out on a slow machine otherwise
    return shell


@pytest.fixture(scope="module")
def plain() -> Any:
    namespace: dict[str, Any] = {}
    exec(SETUP, namespace)
    return services.make_kernel(services.PlainShell(namespace))


def reference_complete(shell: Any, code: str, cursor: int) -> dict[str, Any]:
    from IPython.core.completer import provisionalcompleter, rectify_completions

    with provisionalcompleter():
        found = list(rectify_completions(code, shell.Completer.completions(code, cursor)))
    return {
        "matches": [item.text for item in found],
        "cursor_start": found[0].start if found else cursor,
        "cursor_end": found[0].end if found else cursor,
        "metadata": {
            "_jupyter_types_experimental": [
                {"start": c.start, "end": c.end, "text": c.text, "type": c.type, "signature": c.signature}
                for c in found
            ]
        },
        "status": "ok",
    }


@pytest.mark.parametrize("code", CODES)
def test_complete_equals_ipython(shell: Any, code: str) -> None:
    kernel = services.make_kernel(shell)
    content, metadata, buffers = services.ask(kernel, "complete_request", {"code": code, "cursor_pos": None})
    assert content == reference_complete(shell, code, len(code))
    assert metadata is None and buffers == []
    assert len(content["metadata"]["_jupyter_types_experimental"]) == len(content["matches"])


def test_complete_in_the_middle_counts_code_points(shell: Any) -> None:
    kernel = services.make_kernel(shell)
    code = "'\U0001f600\u540d'; box.o + 1"
    content = services.ask(kernel, "complete_request", {"code": code, "cursor_pos": 11})[0]
    assert content == reference_complete(shell, code, 11)
    assert "open" in content["matches"] and (content["cursor_start"], content["cursor_end"]) == (10, 11)


@pytest.mark.parametrize("content", [
    {"code": "x", "cursor_pos": 2}, {"code": "x", "cursor_pos": -1}, {"code": "x", "cursor_pos": "1"}, {"code": 3, "cursor_pos": 1},
    {"code": "x"}, {"cursor_pos": 1}, {"code": None, "cursor_pos": None}, {"code": "x", "cursor_pos": True},
])  # fmt: skip
def test_complete_refuses_what_is_out_of_range_by_name(shell: Any, content: dict[str, Any]) -> None:
    kernel = services.make_kernel(shell)
    with pytest.raises((ValueError, TypeError, KeyError), match=r"cursor_pos|code"):
        services.ask(kernel, "complete_request", content)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(
    "code", ["box", "Box", "box.open", "func(1, ", "os.path.join", "nosuch", "print(", "%timeit", "table", "", "1"]
)
def test_inspect_equals_ipython(shell: Any, code: str, level: int) -> None:
    from IPython.utils.tokenutil import token_at_cursor

    kernel = services.make_kernel(shell)
    request = {"code": code, "cursor_pos": len(code), "detail_level": level}
    content = services.ask(kernel, "inspect_request", request)[0]
    try:
        data = shell.object_inspect_mime(token_at_cursor(code, len(code)), detail_level=level)
        data.pop("text/html", None)
        assert content == {"status": "ok", "found": True, "data": data, "metadata": {}}
    except KeyError:
        assert content == {"status": "ok", "found": False, "data": {}, "metadata": {}}


def test_inspect_omits_sections(shell: Any) -> None:
    kernel = services.make_kernel(shell)
    request = {"code": "func", "cursor_pos": 4, "omit_sections": ["docstring"]}
    content = services.ask(kernel, "inspect_request", request)[0]
    assert "Does it." not in content["data"]["text/plain"]


def inspect_box(shell: Any) -> dict[str, Any]:
    content = services.ask(services.make_kernel(shell), "inspect_request", {"code": "Box", "cursor_pos": 3})[0]
    return dict(content["data"])


def test_inspect_makes_no_html_to_drop_it(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core import oinspect
    from IPython.core.oinspect import pylight

    def refuse(*args: object) -> None:
        raise AssertionError("HTML was made")

    with monkeypatch.context() as patch:
        patch.setattr("pygments.formatters.html.HtmlFormatter.__init__", refuse)
        assert list(inspect_box(shell)) == ["text/plain"]
    assert oinspect.pylight is pylight
    monkeypatch.setattr(shell, "enable_html_pager", True)
    assert "A box." in inspect_box(shell)["text/html"]


def test_inspect_calls_a_pylight_of_somebody_else(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("IPython.core.oinspect.pylight", lambda code: seen.append(code) or "")
    inspect_box(shell)
    assert seen


@pytest.mark.parametrize("code", SAMPLES)
def test_is_complete_equals_ipython(shell: Any, code: str) -> None:
    kernel = services.make_kernel(shell)
    content = services.ask(kernel, "is_complete_request", {"code": code})[0]
    status, indent = shell.input_transformer_manager.check_complete(code)
    assert content["status"] == status
    assert ("indent" in content) == (status == "incomplete")
    if status == "incomplete":
        assert content["indent"] == " " * indent


def test_plain_complete_runs_no_property(plain: Any) -> None:
    content = services.ask(plain, "complete_request", {"code": "box.", "cursor_pos": 4})[0]
    assert {"open", "side", "trap"} <= set(content["matches"])
    assert services.ask(plain, "complete_request", {"code": "box.trap.", "cursor_pos": 9})[0]["matches"] == []


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("pri", "print"),
        ("os.pa", "path"),
        ("import jso", "json"),
        ("bo", "box"),
        ("whi", "while"),
        ("(5).bit_l", "bit_length"),
        ("'a'.joi", "join"),
        ("[1].app", "append"),
        ("func(be", "beta="),
        ("func(1, ", "alpha="),
    ],
)
def test_plain_complete_finds(plain: Any, code: str, match: str) -> None:
    content = services.ask(plain, "complete_request", {"code": code, "cursor_pos": None})[0]
    assert match in content["matches"]
    assert len(content["metadata"]["_jupyter_types_experimental"]) == len(content["matches"])


def test_plain_inspect(plain: Any) -> None:
    content = services.ask(plain, "inspect_request", {"code": "func(1, ", "cursor_pos": 8})[0]
    assert content["found"] and "func(alpha, beta=2)" in content["data"]["text/plain"]
    assert "Does it." in content["data"]["text/plain"]
    content = services.ask(plain, "inspect_request", {"code": "nosuch", "cursor_pos": 3})[0]
    assert content == {"status": "ok", "found": False, "data": {}, "metadata": {}}


@pytest.mark.parametrize(("code", "status", "indent"), [
    ("for i in x:", "incomplete", "    "), ("a = )", "invalid", None), ("1", "complete", None), ('"""', "incomplete", ""),
    ("def f():\n    return 1", "incomplete", "    "), ("def f():\n    return 1\n", "complete", None), ("await x", "complete", None),
    ("x = \\", "incomplete", ""), ("", "complete", None),
])  # fmt: skip
def test_plain_is_complete(plain: Any, code: str, status: str, indent: str | None) -> None:
    content = services.ask(plain, "is_complete_request", {"code": code})[0]
    assert content == ({"status": status} if indent is None else {"status": status, "indent": indent})


def test_jedi_is_as_before_afterwards(shell: Any) -> None:
    pytest.importorskip("jedi")
    from husk_worker import jedi_speed

    changes = jedi_speed._changes()
    assert len(changes) == 6, "this jedi is not known"
    before = [getattr(owner, name) for owner, name, _ in changes]
    services.ask(services.make_kernel(shell), "complete_request", {"code": "os.pa", "cursor_pos": 5})
    assert [getattr(owner, name) for owner, name, _ in changes] == before
    with jedi_speed.boost():
        assert [getattr(owner, name) for owner, name, _ in changes] != before
        with jedi_speed.boost():
            pass
    assert [getattr(owner, name) for owner, name, _ in changes] == before
