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


def install() -> None:
    """Puts the stand-ins into sys.modules and makes the package `comm` the kernel's, whenever it is imported."""
    modules = sys.modules
    if "comm" in modules:
        from husk_worker import comms

        comms.take_over(modules["comm"])
    elif CommFinder not in sys.meta_path:  # type: ignore[comparison-overlap]
        sys.meta_path.insert(0, CommFinder)  # type: ignore[arg-type]
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
