# SPDX-License-Identifier: Apache-2.0
"""Imports the modules that the core carries (husk_worker and below), before any path is searched.

Run by the core once, before husk_worker.boot. Imports nothing that is not there already when Python is up.
"""

import sys
from _frozen_importlib import ModuleSpec  # type: ignore[import-not-found]

import _husk

PREFIX = "<husk>/"


class EmbeddedLoader:
    """Finder and loader in one; stateless, so the class itself stands on sys.meta_path."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Spec of an embedded module, else None."""
        found = _husk.embedded_info(name) if name.startswith("husk_worker") else None
        if found is None:
            return None
        file, is_package = found
        spec = ModuleSpec(name, EmbeddedLoader, origin=file, is_package=is_package)
        spec.has_location = True
        return spec

    @staticmethod
    def create_module(spec: "ModuleSpec") -> None:
        """None: the default module object."""

    @staticmethod
    def exec_module(module: object) -> None:
        """Runs the module's code in its namespace."""
        exec(_husk.embedded_code(module.__name__), module.__dict__)  # type: ignore[attr-defined]

    @staticmethod
    def get_code(name: str) -> object:
        """Code object of a module."""
        return _husk.embedded_code(name)

    @staticmethod
    def get_source(name: str) -> str | None:
        """Source text, for linecache and inspect."""
        source = _husk.embedded_source(name)
        return None if source is None else source.decode()

    @staticmethod
    def is_package(name: str) -> bool:
        """Whether a module is a package."""
        found = _husk.embedded_info(name)
        return found is not None and found[1]


sys.meta_path.insert(0, EmbeddedLoader)  # type: ignore[arg-type]
