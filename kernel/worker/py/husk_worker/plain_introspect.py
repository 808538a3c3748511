# SPDX-License-Identifier: Apache-2.0
"""Completion, inspection and is_complete of the shell without IPython.

Nothing of the user's is called: attributes are looked up without running properties or __getattr__.
"""

from __future__ import annotations

import builtins
import inspect as pyinspect
import keyword
import re
from typing import Any

_NAME = re.compile(r"[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*")
_TAIL = re.compile(r"((?:[^\W\d]\w*\s*\.\s*)*)([^\W\d]\w*)?$")
_IMPORT = re.compile(r"^\s*(?:import|from)\s+(?:[\w.]+\s*,\s*)*(\w*)$")
_RED, _END = "\x1b[31m", "\x1b[39m"
_MISSING = object()
_MAX_LITERAL = 200  # characters


def _static(owner: Any, name: str) -> Any:
    """Attribute `name` of owner without running code of the user's; _MISSING when that is impossible."""
    try:
        found = pyinspect.getattr_static(owner, name)
    except (AttributeError, TypeError):
        return _MISSING
    if isinstance(found, property) or type(found).__name__ == "cached_property":
        return _MISSING
    if isinstance(found, staticmethod):
        return found.__func__
    if isinstance(found, (pyinspect.types.FunctionType, classmethod)) or not hasattr(type(found), "__get__"):  # type: ignore[attr-defined]
        try:
            return getattr(owner, name)
        except Exception:
            return _MISSING
    if isinstance(found, (pyinspect.types.MethodDescriptorType, pyinspect.types.WrapperDescriptorType)):  # type: ignore[attr-defined]
        return getattr(owner, name, _MISSING)
    return getattr(owner, name, _MISSING) if isinstance(owner, (type, pyinspect.types.ModuleType)) else _MISSING  # type: ignore[attr-defined]


def resolve(namespace: dict[str, Any], dotted: str) -> Any:
    """The object of a dotted name, _MISSING when there is none or finding it would run code."""
    first, *rest = [part.strip() for part in dotted.split(".")]
    value = namespace.get(first, _MISSING)
    if value is _MISSING:
        value = vars(builtins).get(first, _MISSING)
    for name in rest:
        if value is _MISSING:
            break
        value = _static(value, name)
    return value


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return "class"
    if pyinspect.ismodule(value):
        return "module"
    return "function" if callable(value) else "instance"


def _attributes(owner: Any) -> dict[str, str]:
    """Names and kinds of an object's attributes."""
    try:
        names = dir(owner)
    except Exception:
        names = dir(type(owner))
    return {name: _kind(_static(owner, name)) for name in names if isinstance(name, str)}


def _names(namespace: dict[str, Any]) -> dict[str, str]:
    """Names and kinds of what can stand alone."""
    found = dict.fromkeys(keyword.kwlist, "keyword")
    for scope in (vars(builtins), namespace):
        found.update({name: _kind(value) for name, value in list(scope.items()) if isinstance(name, str)})
    return found


def _literal(text: str) -> Any:
    """The value of the literal that a line ends with, _MISSING when it ends with something else."""
    import ast

    for start in range(max(0, len(text) - _MAX_LITERAL), len(text)):
        try:
            return ast.literal_eval(text[start:].strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return _MISSING


def _keywords(namespace: dict[str, Any], before: str) -> dict[str, str]:
    """Keyword arguments of the call that the text ends inside of."""
    if not before.rstrip().endswith(("(", ",")):
        return {}
    name = _call_around(before)
    value = resolve(namespace, name) if name else _MISSING
    if value is _MISSING or not callable(value):
        return {}
    try:
        parameters = pyinspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        f"{item.name}=": "param" for item in parameters if item.kind in (item.KEYWORD_ONLY, item.POSITIONAL_OR_KEYWORD)
    }


def _modules() -> dict[str, str]:
    import pkgutil
    import sys

    found = dict.fromkeys(sys.builtin_module_names, "module")
    found.update({module.name: "module" for module in pkgutil.iter_modules()})
    return found


def complete(namespace: dict[str, Any], code: str, cursor: int) -> dict[str, Any]:
    """Content of a complete_reply. cursor: code points, inside of the code."""
    line = code[:cursor].rsplit("\n", 1)[-1]
    match = _TAIL.search(line)
    assert match is not None  # every part of the pattern is optional
    path, stem = match.group(1), match.group(2) or ""
    before = line[: match.start()].rstrip()
    if path:
        owner = resolve(namespace, path.strip().rstrip("."))
        candidates = {} if owner is _MISSING else _attributes(owner)
    elif before.endswith("."):
        owner = _literal(before[:-1])
        candidates = {} if owner is _MISSING else _attributes(owner)
    elif _IMPORT.match(line):
        candidates = _modules()
    else:
        candidates = {**(_names(namespace) if stem else {}), **_keywords(namespace, code[: cursor - len(stem)])}
    matches = sorted(name for name in candidates if name.startswith(stem) and (stem[:1] == "_" or name[:1] != "_"))
    start = cursor - len(stem)
    types = [
        {"start": start, "end": cursor, "text": name, "type": candidates[name], "signature": ""} for name in matches
    ]
    return {
        "matches": matches,
        "cursor_end": cursor,
        "cursor_start": start,
        "metadata": {"_jupyter_types_experimental": types},
        "status": "ok",
    }


def name_at(code: str, cursor: int) -> str:
    """Dotted name at the cursor, cut after the part that the cursor is on; else that of the call around it; else ''."""
    for match in _NAME.finditer(code):
        if match.start() <= cursor <= match.end() and not keyword.iskeyword(match.group()):
            tail = re.match(r"\w*", code[cursor:])
            return code[match.start() : cursor + (tail.end() if tail else 0)].strip()
    return _call_around(code[:cursor])


def _call_around(before: str) -> str:
    """Dotted name of the call that the text ends inside of, '' when it does not."""
    depth = 0
    for position in range(len(before) - 1, -1, -1):
        if before[position] == ")":
            depth += 1
        elif before[position] == "(":
            if depth == 0:
                name = re.search(r"([\w.]+)\s*$", before[:position])
                return name.group(1) if name else ""
            depth -= 1
    return ""


def _sections(name: str, value: Any, detail_level: int) -> list[tuple[str, str]]:
    """Headings and texts about an object."""
    sections = []
    short = name.rsplit(".", 1)[-1]
    if callable(value):
        try:
            title = "Init signature:" if isinstance(value, type) else "Signature:"
            sections.append((title, f"{short}{pyinspect.signature(value)}"))
        except (TypeError, ValueError):
            pass
    else:
        sections.append(("Type:", type(value).__name__))
        text = _safe_repr(value)
        sections.append(("String form:", text if len(text) <= 200 else f"{text[:200]}..."))
    source = _source(value) if detail_level else None
    if source:
        sections.append(("Source:", source))
    else:
        sections.append(("Docstring:", pyinspect.getdoc(value) or "<no docstring>"))
    try:
        sections.append(("File:", pyinspect.getfile(value)))
    except TypeError:
        pass
    if callable(value):
        sections.append(("Type:", type(value).__name__))
    return sections


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<repr() raised {type(error).__name__}>"


def _source(value: Any) -> str | None:
    try:
        return pyinspect.getsource(value)
    except (OSError, TypeError):
        return None


def inspect(namespace: dict[str, Any], code: str, cursor: int, detail_level: int) -> dict[str, Any]:
    """Content of an inspect_reply. cursor: code points, inside of the code."""
    reply: dict[str, Any] = {"status": "ok", "found": False, "data": {}, "metadata": {}}
    name = name_at(code, cursor)
    value = resolve(namespace, name) if name else _MISSING
    if value is _MISSING:
        return reply
    parts = []
    for title, text in _sections(name, value, detail_level):
        gap = "\n" if "\n" in text else " " * max(1, 15 - len(title))
        parts.append(f"{_RED}{title}{_END}{gap}{text}")
    reply["found"] = True
    reply["data"] = {"text/plain": "\n".join(parts)}
    return reply


def check_complete(code: str) -> tuple[str, int | None]:
    """("complete" | "incomplete" | "invalid", indent of the next line in spaces or None)."""
    import ast
    import codeop
    import warnings

    lines = code.rstrip(" \t").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    indent = len(last) - len(last.lstrip())
    if last.rstrip().endswith(":") and not last.lstrip().startswith("#"):
        indent += 4
    if code.rstrip(" \t").endswith("\\"):
        return "incomplete", indent
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = compiler(code, "<input>", "exec")
    except (SyntaxError, ValueError, OverflowError):
        return "invalid", None
    # A block goes on until an empty line ends it.
    open_block = last[:1] in (" ", "\t") and bool(lines[-1].strip())
    if whole is None or open_block:
        return "incomplete", indent
    return "complete", None
