# SPDX-License-Identifier: Apache-2.0
"""Makes jedi's completions cheaper without changing them, while one of the kernel's own requests is served.

Two things cost most of the time for objects with many attributes: jedi prepares a name for every attribute and drops those that do
not begin with what was typed afterwards; and it computes the same facts about the same classes for each of them. So attributes are
chosen by their beginning first, and the facts are kept for the length of the request.
A jedi that does not look as expected is left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_absent = object()
_prefix = threading.local()  # .text: beginning of the names that are wanted by this thread, None for all


@contextmanager
def boost() -> Iterator[None]:
    """Context in which one completion request is computed. A second one at the same time goes without."""
    if not _lock.acquire(blocking=False):
        yield
        return
    try:
        changes = _changes()
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
        for owner, name, value in changes:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in before:
                setattr(owner, name, value)
    finally:
        _lock.release()


def _changes() -> list[tuple[Any, str, Any]]:
    """(owner, attribute, replacement) for the jedi that has been imported; empty when it is none that is known."""
    try:
        import jedi.settings as settings
        from jedi.api.completion import Completion
        from jedi.inference import filters
        from jedi.inference.compiled import access, getattr_static

        direct = access.DirectObjectAccess
        changes: list[tuple[Any, str, Any]] = [
            (getattr_static, "_shadowed_dict", _remember(getattr_static._shadowed_dict)),
            (getattr_static, "_check_class", _class_check(getattr_static)),
        ]
        if callable(direct.is_allowed_getattr) and callable(direct.dir) and callable(direct.needs_type_completions):
            any_case = bool(settings.case_insensitive_completion)
            changes.append((direct, "get_dir_infos", _chosen_infos(direct.get_dir_infos, any_case)))
            tree = filters._AbstractUsedNamesFilter
            changes.append((tree, "values", _chosen_names(tree.values, any_case)))
            for name in ("_complete_trailer_for_values", "_complete_global_scope"):
                changes.append((Completion, name, _with_prefix(getattr(Completion, name))))
        return changes
    except (ImportError, AttributeError):
        return []


def _remember(func: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """func with its results by argument, of one request."""
    known: dict[Any, Any] = {}

    def remembered(key: Any) -> Any:
        try:
            return known[key]
        except KeyError:
            return known.setdefault(key, func(key))
        except TypeError:  # a class whose metaclass makes it unhashable
            return func(key)

    return remembered


def _class_check(module: Any) -> Callable[[Any, str], Any]:
    """jedi's look-up of a class attribute without descriptors, with the searched namespaces of each class kept."""
    sentinel, get_mro, shadowed = module._sentinel, module._static_getmro, module._shadowed_dict

    def namespaces(klass: Any) -> list[Any]:
        return [entry.__dict__ for entry in get_mro(klass) if shadowed(type(entry)) is sentinel]

    remembered = _remember(namespaces)

    def check(klass: Any, attr: str) -> Any:
        for namespace in remembered(klass):
            value = namespace.get(attr, _absent)
            if value is not _absent:
                return value
        return sentinel

    return check


def _matcher(any_case: bool) -> Callable[[str], bool] | None:
    """What tells whether a name can be a completion; None when all can. any_case: upper and lower case are the same."""
    wanted = getattr(_prefix, "text", None)
    if not wanted:
        return None
    if not any_case:
        return lambda name: name.startswith(wanted)
    lower = wanted.lower()
    return lambda name: name.lower().startswith(lower)


def _chosen_infos(original: Callable[[Any], Any], any_case: bool) -> Callable[[Any], Any]:
    """get_dir_infos() of a living object, for the names that can be completions."""

    def infos(self: Any) -> Any:
        matches = _matcher(any_case)
        if matches is None:
            return original(self)
        found = {name: self.is_allowed_getattr(name) for name in self.dir() if matches(name)}
        return self.needs_type_completions(), found

    return infos


def _chosen_names(original: Callable[[Any], Any], any_case: bool) -> Callable[[Any], Any]:
    """values() of a scope of source text, for the names that can be completions."""

    def values(self: Any) -> Any:
        matches = _matcher(any_case)
        every = getattr(self, "_used_names", None)
        if matches is None or every is None:
            return original(self)
        wanted, _prefix.text = _prefix.text, None  # what jedi looks up to judge these names is not chosen
        self._used_names = {name: nodes for name, nodes in every.items() if matches(name)}
        try:
            return original(self)
        finally:
            self._used_names = every
            _prefix.text = wanted

    return values


def _with_prefix(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method that gathers names for a Completion, which will keep only those that begin with what was typed."""

    def gather(self: Any, *args: Any) -> Any:
        before = getattr(_prefix, "text", None)
        _prefix.text = None if self._fuzzy else self._like_name
        try:
            return original(self, *args)
        finally:
            _prefix.text = before

    return gather
