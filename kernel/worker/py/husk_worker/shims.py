# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the modules of ipykernel that code inside a kernel asks for.

They are in sys.modules from the start, as they are in ipykernel itself, and are empty until somebody looks into them. They come
before an installed ipykernel, whose modules would think that no kernel is running; names that the stand-ins do not have, and
all its other modules, are taken from the installed package where there is one.
"""

import sys
from _frozen_importlib import ModuleSpec
from types import ModuleType

PACKAGES = ("ipykernel", "ipykernel.comm")
MODULES = (
    *PACKAGES,
    "ipykernel._version",
    "ipykernel.comm.comm",
    "ipykernel.comm.manager",
    "ipykernel.compiler",
    "ipykernel.connect",
    "ipykernel.displayhook",
    "ipykernel.eventloops",
    "ipykernel.iostream",
    "ipykernel.ipkernel",
    "ipykernel.jsonutil",
    "ipykernel.kernelapp",
    "ipykernel.kernelbase",
    "ipykernel.zmqshell",
)


class StandIn(ModuleType):
    """A module that is filled at the first look at a name that it does not have."""

    def __getattr__(self, name: str) -> object:
        from husk_worker import shimmed

        return shimmed.look_up(self, name)

    def __dir__(self) -> list:
        from husk_worker import shimmed

        shimmed.fill(self)
        return sorted(self.__dict__)


class CommFinder:
    """Finds the package `comm`, which belongs to the kernel; see comms.py."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        if name != "comm":
            return None
        from husk_worker import comms

        return comms.find_spec()

    @staticmethod
    def invalidate_caches() -> None:
        """Nothing is cached."""


class DebuggerFinder:
    """Makes pdb that of IPython, whoever imports it: the one of Python cannot be interrupted and shows the kernel's frames."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        if name not in ("pdb", "IPython.core.debugger"):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_replace(module: ModuleType) -> None:
            execute(module)
            _replace_pdb(module)

        spec.loader.exec_module = execute_and_replace  # type: ignore[method-assign]
        return spec

    @staticmethod
    def invalidate_caches() -> None:
        """Nothing is cached."""


def _replace_pdb(module: ModuleType) -> None:
    """Called when pdb or IPython's debugger, which imports pdb, has been loaded."""
    if module.__name__ == "pdb":
        if "IPython.core.debugger" not in sys.modules:
            try:
                __import__("IPython.core.debugger")
            except ImportError:
                pass  # no IPython: pdb stays what it is
        return
    pdb = sys.modules["pdb"]
    module.Pdb = getattr(module, "InterruptiblePdb", module.Pdb)  # type: ignore[attr-defined]
    pdb.Pdb = module.Pdb  # type: ignore[attr-defined]
    pdb.set_trace = module.set_trace  # type: ignore[attr-defined]


def install() -> None:
    """Puts the stand-ins into sys.modules and makes the package `comm` the kernel's, whenever it is imported."""
    modules = sys.modules
    if "comm" in modules:
        from husk_worker import comms

        comms.take_over(modules["comm"])
    elif CommFinder not in sys.meta_path:  # type: ignore[comparison-overlap]
        sys.meta_path.insert(0, CommFinder)  # type: ignore[arg-type]
    if "pdb" not in modules and DebuggerFinder not in sys.meta_path:  # type: ignore[comparison-overlap]
        sys.meta_path.insert(0, DebuggerFinder)  # type: ignore[arg-type]
    for name in MODULES:
        if name in modules:
            continue
        module = StandIn(name)
        module.__spec__ = ModuleSpec(name, None, origin="husk", is_package=name in PACKAGES)
        module.__package__ = name if name in PACKAGES else name.rpartition(".")[0]
        modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            modules[parent].__dict__[last] = module
