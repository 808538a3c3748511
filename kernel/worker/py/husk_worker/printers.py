# SPDX-License-Identifier: Apache-2.0
"""Whether a shell would show a value of a built-in type as the same text/plain, and nothing else, as it does at first."""

from __future__ import annotations

from typing import Any

from IPython.core.formatters import BaseFormatter, DisplayFormatter, PlainTextFormatter

from husk_worker import lean, originals

_CONTAINERS = frozenset((list, tuple, dict))
_KINDS = (int, float, bool, str, bytes, complex, type(None), type(...), *_CONTAINERS)
_TEXT = [
    "pprint",
    "max_width",
    "float_format",
    "max_seq_length",
    "type_printers",
    "singleton_printers",
    "deferred_printers",
]
_OTHER = ["type_printers", "singleton_printers", "deferred_printers"]
_OWNER = ["formatters", "active_types", "ipython_display_formatter", "mimebundle_formatter"]
_FORMAT = frozenset(("format",))

_code_is_original = originals.watch(
    (DisplayFormatter, "format"), (BaseFormatter, "__call__ lookup lookup_by_type"), (PlainTextFormatter, "__call__")
)


class Printers:
    """The formatters of a shell as they are at first. They are asked without traitlets' detours: two dozen looks for each value."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self._values = originals.traits(owner, _OWNER)
        self._formatters = dict(owner.formatters)
        self._active = list(owner.active_types)
        self._doors = (owner.ipython_display_formatter, owner.mimebundle_formatter)
        formatter = owner.formatters["text/plain"]
        self._text = text = originals.traits(formatter, _TEXT)
        self._first = [(kind, text["type_printers"].get(kind)) for kind in _KINDS]
        self._printer = dict(self._first)
        self._singles = dict(text["singleton_printers"])
        others = [other for other in self._formatters.values() if other is not formatter]
        self._others = [originals.traits(other, _OTHER) for other in (*others, *self._doors)]

    def are_plain_for(self, kind: type) -> bool:
        """Whether values of this built-in type are shown as lean.simple_text() says, if it says something."""
        return (
            _code_is_original()
            and not originals.has_own(self.owner, _FORMAT)
            and self._doors_are_first()
            and self._text_is_first(kind)
            and not any(
                (other["type_printers"] or other["singleton_printers"] or other["deferred_printers"])
                and _prints(other, kind)
                for other in self._others
            )
        )

    def _doors_are_first(self) -> bool:
        values = self._values
        return (
            values["formatters"] == self._formatters
            and values["active_types"] == self._active
            and values["ipython_display_formatter"] is self._doors[0]
            and values["mimebundle_formatter"] is self._doors[1]
        )

    def _text_is_first(self, kind: type) -> bool:
        text = self._text
        if not (text["pprint"] is True and text["max_width"] == lean.MAX_WIDTH and text["float_format"] == "%r"):
            return False
        if text["singleton_printers"] != self._singles:
            return False
        printers = text["type_printers"]
        if kind not in _CONTAINERS:
            return printers.get(kind) is self._printer.get(kind, self)
        limit = text["max_seq_length"]
        return (not limit or limit >= lean.MAX_ITEMS) and all(printers.get(one) is first for one, first in self._first)


def _prints(formatter: dict[str, Any], kind: type) -> bool:
    """Whether a formatter, given by its traits, has a printer for a type or for a single object that may be of it."""
    if formatter["singleton_printers"]:
        return True
    types, later = formatter["type_printers"], formatter["deferred_printers"]
    return any(base in types or (base.__module__, base.__name__) in later for base in kind.__mro__)
