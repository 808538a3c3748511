# SPDX-License-Identifier: Apache-2.0
"""Whether code of the user has put something of its own in the place of IPython's: what a quick way leaves out is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSENT = object()


def watch(*rows: tuple[type, str]) -> Callable[[], bool]:
    """A function that says whether the named attributes of classes are the objects that they are now.

    rows: (class, names separated by spaces); what a class does not have is left out. The function is made of source text,
    because it is asked several times in each cell and a loop would take six times as long.
    """
    places: dict[str, Any] = {}
    claims = []
    for number, (owner, names) in enumerate(rows):
        places[f"owner{number}"] = owner
        for name in names.split():
            value = getattr(owner, name, _ABSENT)
            if value is not _ABSENT:
                places[f"value{len(claims)}"] = value
                claims.append(f"owner{number}.{name} is value{len(claims)}")
    return eval(f"lambda: {' and '.join(claims) or True}", places)


def has_own(thing: object, names: frozenset[str]) -> bool:
    """Whether an object has attributes of these names itself, in front of those of its class."""
    return not thing.__dict__.keys().isdisjoint(names)


def traits(owner: Any, names: list[str]) -> dict[str, Any]:
    """The dict that holds an object's traits, each of the named ones in it: traitlets puts it there at the first look.

    It is for looking only: assignments have to reach those who observe (shellinfo.put).
    """
    for name in names:
        getattr(owner, name)
    values: dict[str, Any] = owner._trait_values
    return values
