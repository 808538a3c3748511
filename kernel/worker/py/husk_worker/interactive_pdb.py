# SPDX-License-Identifier: Apache-2.0
"""Makes `pdb` IPython's debugger, as in ipykernel, at the moment when somebody imports it: neither is loaded before."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_DEBUGGER = "IPython.core.debugger"
_NAMES = ("pdb", _DEBUGGER)


def _replace() -> None:
    """Puts IPython's classes and functions into pdb; both modules are complete."""
    import pdb

    debugger = sys.modules[_DEBUGGER]
    if hasattr(debugger, "InterruptiblePdb"):
        debugger.Pdb = debugger.InterruptiblePdb  # type: ignore[attr-defined]
    pdb.Pdb = debugger.Pdb  # type: ignore[attr-defined,misc]
    pdb.set_trace = debugger.set_trace  # type: ignore[attr-defined]


def _loaded(name: str) -> None:
    """A module of _NAMES is complete. IPython's takes its base class from pdb, so it comes second in any order."""
    if name == _DEBUGGER:
        _replace()
    elif _DEBUGGER not in sys.modules:
        try:
            import IPython.core.debugger  # noqa: F401
        except ImportError:
            pass


class _Loader:
    """Loads a module as its own loader would, then says that it is there."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The module object, or None for the usual one."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module's code."""
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        _loaded(module.__name__)


class Finder:
    """Finds the modules of _NAMES where they are, and watches their import."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that tells."""
        if name not in _NAMES:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None and finder is not Finder else None
            if spec is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None

    @staticmethod
    def invalidate_caches() -> None:
        """Nothing is cached."""


def install() -> None:
    """Called when the shell is new."""
    if _DEBUGGER in sys.modules:
        _replace()
    elif "pdb" in sys.modules:
        _loaded("pdb")
    else:
        sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
