# SPDX-License-Identifier: Apache-2.0
"""What may skip IPython: the judgement of cells by their syntax tree, and the text of plain values.

Before IPython exists a cell runs without it only if it is *provably plain* (`plain_tree`): whatever it does, no name,
attribute or import in it can reach the shell or anything that the shell changes. With IPython there the conditions
are weaker (`keeps_text`, `splits_whole`): the cell may use the shell, but the shell would hand its text on unchanged.
"""

import _ast
import builtins

_PURE_TEXT = """
abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float format
frozenset hash hex id int isinstance issubclass iter len list map max min next object oct ord pow print property range
repr reversed round set slice sorted staticmethod str sum super tuple type zip Ellipsis NotImplemented True False None"""
_RESERVED_TEXT = "get_ipython display In Out exit quit open SystemExit GeneratorExit"
_KEYWORD_TEXT = "assert class def del for from if import lambda match not pass raise try while with"
_NODE_TEXT = """
Module Expr Constant Name Load Store Del BinOp UnaryOp BoolOp Compare IfExp Call keyword Starred
Add Sub Mult Div FloorDiv Mod Pow MatMult LShift RShift BitAnd BitOr BitXor Invert Not UAdd USub And Or
Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn List Tuple Dict Set Subscript Slice Attribute JoinedStr FormattedValue
ListComp SetComp DictComp GeneratorExp comprehension NamedExpr Lambda Assign AugAssign Delete Pass Break Continue
If For While Try ExceptHandler With withitem Raise Assert FunctionDef arguments arg Return ClassDef Global
Nonlocal Import ImportFrom alias Yield YieldFrom Match match_case MatchValue MatchSingleton MatchSequence
MatchMapping MatchClass MatchStar MatchAs MatchOr"""

_PURE = frozenset(_PURE_TEXT.split())
# Names that IPython puts where a cell sees them, or that a cell needs the shell for.
_RESERVED = frozenset(_RESERVED_TEXT.split())
_KEYWORDS = frozenset(_KEYWORD_TEXT.split())
_COMPOUND = frozenset(("async", "class", "def", "for", "if", "match", "try", "while", "with"))
_MODULES = frozenset(("math", "cmath", "time", "itertools"))
_FRAME_ATTRIBUTES = ("f_", "tb_", "gi_", "cr_", "ag_", "co_", "__")
_ALLOWED = frozenset(getattr(_ast, name) for name in _NODE_TEXT.split())
_NAME_FIELDS = {
    _ast.Name: "id",
    _ast.arg: "arg",
    _ast.ExceptHandler: "name",
    _ast.MatchAs: "name",
    _ast.MatchStar: "name",
    _ast.MatchMapping: "rest",
}
# Line ends to str.splitlines(), by which IPython takes a cell apart, but not to Python.
_LINE_ENDS = ("\r", "\f", "\v", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
_ESCAPES = frozenset("\n\\'\"abfnrtv01234567x")
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
NO_IMPLIED_DEDENT = 0x200  # codeop's flag, which IPython's compiler starts with


def parse(text: str, name: str, flags: int = NO_IMPLIED_DEDENT) -> "_ast.Module":
    """Syntax tree of a text. Raises what compile() raises."""
    return compile(text, name, "exec", flags | _ONLY_AST, True)


def _name_is_plain(name: "str | None") -> bool:
    return name is None or (
        name[0] != "_" and name not in _RESERVED and (name in _PURE or not hasattr(builtins, name) or _is_error(name))
    )


def _is_error(name: str) -> bool:
    value = getattr(builtins, name)
    return isinstance(value, type) and issubclass(value, BaseException)


def _import_is_plain(node: "_ast.AST") -> bool:
    """Whether an import statement takes only modules built into the interpreter that lead nowhere."""
    import sys

    names = [node.module] if type(node) is _ast.ImportFrom else [alias.name for alias in node.names]
    if any(alias.name == "*" or not _name_is_plain(alias.asname or alias.name) for alias in node.names):
        return False
    return not getattr(node, "level", 0) and all(
        name in _MODULES and name in sys.builtin_module_names for name in names
    )


def _attribute_is_plain(node: "_ast.Attribute") -> bool:
    attr = node.attr
    if attr.startswith(_FRAME_ATTRIBUTES):
        return False
    if attr == "format" or attr == "format_map":
        return attr == "format" and type(node.value) is _ast.Constant  # its "__" is refused as a constant
    return True


def _node_is_plain(node: "_ast.AST", kind: type, in_class: bool) -> bool:
    """The rules for node types that are not plain always. Also refuses what the compiler warns about."""
    if kind is _ast.Attribute:
        return _attribute_is_plain(node)
    if kind is _ast.Constant:
        value = node.value
        if type(value) is str or type(value) is bytes:
            return (b"__" if type(value) is bytes else "__") not in value
        return True
    if kind is _ast.FunctionDef or kind is _ast.ClassDef:
        if getattr(node, "type_params", None):
            return False
        name = node.name
        return _name_is_plain(name) or (in_class and name[:2] == "__" == name[-2:])
    if kind is _ast.Import or kind is _ast.ImportFrom:
        return _import_is_plain(node)
    if kind is _ast.Call:
        return type(node.func) in (_ast.Name, _ast.Attribute, _ast.Call, _ast.Subscript)
    if kind is _ast.Subscript:
        return type(node.value) is not _ast.Constant or type(node.value.value) is str
    if kind is _ast.Compare:
        return not any(type(op) in (_ast.Is, _ast.IsNot) for op in node.ops) or all(
            type(side) is not _ast.Constant or side.value is None for side in (node.left, *node.comparators)
        )
    if kind is _ast.Assert:
        return type(node.test) is not _ast.Tuple
    if kind is _ast.Try:
        return not node.finalbody
    if kind is _ast.Global or kind is _ast.Nonlocal:
        return all(map(_name_is_plain, node.names))
    return True


def _escapes_are_plain(code: str) -> bool:
    """False when a backslash may start an escape that Python warns about (or one worth no thought here)."""
    at = code.find("\\")
    while at >= 0:
        if code[at + 1 : at + 2] not in _ESCAPES:
            return False
        at = code.find("\\", at + 2)
    return True


def plain_tree(code: str, name: str, ns: dict) -> "_ast.Module | None":
    """The tree of a cell that is provably plain, else None.

    ns: the user's namespace, all of whose names not starting with "_" come from plain cells.
    """
    if not code.isascii() or not keeps_text(code) or "\x00" in code or "await" in code or not _escapes_are_plain(code):
        return None
    try:
        tree = parse(code, name)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    loaded = set()
    stored = set()
    stack = [(tree, False)]
    while stack:
        node, in_class = stack.pop()
        kind = type(node)
        if kind not in _ALLOWED or not _node_is_plain(node, kind, in_class):
            return None
        field = _NAME_FIELDS.get(kind)
        if field is not None:
            text = getattr(node, field)
            if not _name_is_plain(text):
                return None
            (loaded if kind is _ast.Name and type(node.ctx) is _ast.Load else stored).add(text)
        elif kind is _ast.FunctionDef or kind is _ast.ClassDef:
            stored.add(node.name)
        elif kind is _ast.alias:
            stored.add(node.asname or node.name)
        inside = kind is _ast.ClassDef
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                stack.extend((item, inside) for item in value if isinstance(item, _ast.AST))
            elif isinstance(value, _ast.AST):
                stack.append((value, inside))
    for text in loaded:
        if text not in stored and text not in ns and not hasattr(builtins, text):
            return None
    return tree if _no_automagic(tree, code, ns) else None


def _no_automagic(tree: "_ast.Module", code: str, ns: dict) -> bool:
    """False for a one-line cell whose first word could be taken for a magic: a new name that is not assigned at once."""
    if "\n" in code.strip("\n"):
        return True
    word = first_word(code)
    if not word or not word[0].isalpha() or code[len(word) : len(word) + 1] in ("'", '"'):
        return True
    if word in ns or hasattr(builtins, word) or word in _KEYWORDS:
        return True
    first = tree.body[0] if tree.body else None
    if type(first) is _ast.Assign:
        return code[len(word) :].lstrip(" \t")[:1] in ("=", ",")
    return type(first) not in (_ast.Expr, _ast.AugAssign)


def first_word(code: str) -> str:
    """The leading letters, digits, underscores, dots and stars of a cell, as IPython takes a command's name."""
    end = 0
    for char in code:
        if not (char.isalnum() or char in "_.*"):
            break
        end += 1
    return code[:end]


def keeps_text(code: str) -> bool:
    """Whether IPython's static transformations leave the text of this cell alone, given that it parses as Python."""
    if code[:1] in " \t\n\r\f\v" or ">>>" in code or "In [" in code or "...:" in code:
        return False
    for mark in _LINE_ENDS:
        if mark in code:
            return False
    if "\n " in code or "\n\t" in code:
        for line in code.split("\n"):
            if line[:1] in (" ", "\t") and not line.strip(" \t"):
                return False
    return True


def _is_line(code: str) -> bool:
    """Whether a text is one line of nothing but visible characters and blanks, with or without its end."""
    return (code[:-1] if code[-1:] == "\n" else code).isprintable()


def is_untouched_line(code: str) -> bool:
    """Whether IPython's static transformations leave this line alone, whatever it means."""
    return (
        _is_line(code)
        and code[:1] not in ("", ",", ";", "/")
        and not ("%" in code or "!" in code or "?" in code)
        and keeps_text(code)
    )


def is_magic_line(code: str) -> bool:
    """Whether a cell is one line magic, `%name ...`, and nothing else to IPython's static transformations."""
    return (
        code[:1] == "%"
        and (code[1:2].isalpha() or code[1:2] == "_")
        and "?" not in code
        and code.rstrip()[-1:] != "\\"
        and _is_line(code)
    )


def is_simple_line(code: str, word: str, newest: bool) -> bool:
    """Whether a cell of one line is one simple statement, if it compiles: then it means the same to Python's own prompt.

    word: the name or keyword that it begins with; newest: as for splits_whole().
    """
    return ";" not in code and word not in _COMPOUND and code[0] not in "@#" and not (newest and ":" in code)


def splits_whole(body: list, newest: bool) -> bool:
    """Whether statements mean the same compiled as one module as compiled one by one, as IPython does.

    newest: Python 3.14 or later, where annotations belong to the module.
    """
    for node in body:
        kind = type(node)
        if kind is _ast.Expr:
            if type(node.value) is _ast.Constant:
                return False  # each would become the module's __doc__
        elif kind is _ast.ImportFrom:
            if node.module == "__future__":
                return False
        elif kind is _ast.Raise and len(body) > 1:
            return False  # an exception that an earlier statement kept: its traceback names the code object of each
        elif kind is _ast.AnnAssign and newest:
            return False
    return True


MAX_WIDTH = 79  # IPython's PlainTextFormatter.max_width
MAX_ITEMS = 40
_MAX_BITS = 10000  # beyond this str(int) may be refused by the interpreter
_SCALARS = frozenset((int, float, bool, str, bytes, complex, type(None), type(...)))


def _scalar(value: object) -> bool:
    kind = type(value)
    return kind in _SCALARS and (kind is not int or value.bit_length() < _MAX_BITS)


def simple_text(value: object) -> "str | None":
    """text/plain of an exact built-in scalar or a flat container of few of them, as IPython prints it; else None."""
    kind = type(value)
    if kind in _SCALARS:
        return repr(value) if _scalar(value) else None
    if kind is list or kind is tuple:
        if len(value) > MAX_ITEMS or not all(map(_scalar, value)):
            return None
        text = repr(value)
    elif kind is dict:
        if len(value) > MAX_ITEMS // 2 or not all(map(_scalar, value)) or not all(map(_scalar, value.values())):
            return None
        text = repr(value)
    else:
        return None
    return text if len(text) <= MAX_WIDTH else None
