# SPDX-License-Identifier: Apache-2.0
"""What is in the stand-ins of shims.py."""

from __future__ import annotations

import os
import sys
from importlib import machinery, util
from types import ModuleType
from typing import Any

from husk_worker.kernel import Kernel
from husk_worker.shims import PACKAGES

VERSION = "7.4.0"  # the release whose behaviour the kernel shows
_filled: set[str] = set()
_package_dir: list[str | None] = []
_loading: set[str] = set()


def look_up(module: ModuleType, name: str) -> Any:
    """A name that a stand-in does not have yet. Raises AttributeError."""
    modname = module.__name__
    if name == "__path__" and modname in PACKAGES:
        path = _real_path(modname)
        return [] if path is None else [os.path.dirname(path)]
    if name == "__file__":
        path = _real_path(modname)
        if path is not None:
            return path
    elif not (name.startswith("__") and name != "__version__" and name != "__all__"):
        fill(module)
        if name in module.__dict__:
            return module.__dict__[name]
        if not name.startswith("_") or modname not in _loading:
            return _from_real(module, name)
    raise AttributeError(f"module {modname!r} has no attribute {name!r}")


def fill(module: ModuleType) -> None:
    """Gives a stand-in its content."""
    name = module.__name__
    if name not in _filled:
        _filled.add(name)
        maker = globals().get("_fill_" + name.replace("ipykernel", "").replace(".", "_").strip("_"), None)
        if maker is not None:
            for key, value in maker().items():
                module.__dict__.setdefault(key, value)
        module.__dict__.setdefault("__all__", [key for key in module.__dict__ if key[:1] != "_"])


# The installed package


def _real_path(modname: str) -> str | None:
    """File of a module of the installed ipykernel; None without it."""
    if not _package_dir:
        spec = machinery.PathFinder.find_spec("ipykernel", None)
        origin = None if spec is None else spec.origin
        _package_dir.append(None if origin is None else os.path.dirname(origin))
    base = _package_dir[0]
    if base is None:
        return None
    tail = modname.split(".")[1:]
    if modname in PACKAGES:
        tail.append("__init__")
    path = os.path.join(base, *tail) + ".py"
    return path if os.path.exists(path) else None


def _from_real(module: ModuleType, name: str) -> Any:
    """A name of the installed module, which is run under a name of its own. Raises AttributeError."""
    modname = module.__name__
    path = _real_path(modname)
    if path is None or modname in _loading or name.startswith("_ipython_"):
        raise AttributeError(f"module {modname!r} has no attribute {name!r}")
    private = f"{modname}{'.' if modname in PACKAGES else ''}_installed"
    real = sys.modules.get(private)
    if real is None:
        spec = util.spec_from_file_location(private, path)
        if spec is None or spec.loader is None:
            raise AttributeError(f"module {modname!r} has no attribute {name!r}")
        real = util.module_from_spec(spec)
        real.__package__ = module.__package__ or ""
        sys.modules[private] = real
        _loading.add(modname)
        try:
            spec.loader.exec_module(real)
        except Exception as error:
            del sys.modules[private]
            raise AttributeError(f"module {modname!r} has no attribute {name!r} ({error})") from error
        finally:
            _loading.discard(modname)
            _keep_comm()
    return getattr(real, name)


def _keep_comm() -> None:
    """ipykernel.ipkernel replaces comm's functions when it is imported; they are this kernel's."""
    module = sys.modules.get("comm")
    if module is not None:
        from husk_worker import comms

        comms.take_over(module)


# Contents, by module


def _fill_() -> dict[str, Any]:
    from husk_worker import connection

    names = _fill__version()
    names.update({name: getattr(connection, name) for name in connection.__all__})
    names["__all__"] = [*connection.__all__]
    return names


def _fill__version() -> dict[str, Any]:
    version = VERSION
    if _real_path("ipykernel") is not None:
        from importlib import metadata

        try:
            version = metadata.version("ipykernel")
        except metadata.PackageNotFoundError:
            pass
    numbers = [int(part) if part.isdigit() else part for part in version.split(".")]
    return {
        "__version__": version,
        "version_info": tuple(numbers),
        "kernel_protocol_version_info": (5, 5),
        "kernel_protocol_version": "5.5",
    }


def _fill_connect() -> dict[str, Any]:
    from husk_worker import connection

    return {"__all__": list(connection.__all__), **{name: getattr(connection, name) for name in connection.__all__}}


def _fill_comm() -> dict[str, Any]:
    from husk_worker import comms

    made = comms.classes()
    return {"Comm": made["Comm"], "CommManager": made["CommManager"], "__all__": ["Comm", "CommManager"]}


def _fill_comm_comm() -> dict[str, Any]:
    from husk_worker import comms

    made = comms.classes()
    return {"BaseComm": made["BaseComm"], "Comm": made["Comm"], "__all__": ["Comm"]}


def _fill_comm_manager() -> dict[str, Any]:
    from husk_worker import comms

    return {"CommManager": comms.classes()["CommManager"]}


def _fill_compiler() -> dict[str, Any]:
    from husk_worker import cellname

    def get_tmp_directory() -> str:
        return cellname.prefix().rstrip("/")

    def get_tmp_hash_seed() -> int:
        return cellname.SEED

    def murmur2_x86(data: str, seed: int) -> int:
        return cellname.murmur2(data.encode("utf-8"), seed)

    return {
        "get_file_name": cellname.file_name,
        "get_tmp_directory": get_tmp_directory,
        "get_tmp_hash_seed": get_tmp_hash_seed,
        "murmur2_x86": murmur2_x86,
    }


def _fill_eventloops() -> dict[str, Any]:
    from husk_worker import gui

    return {
        "loop_map": gui.LOOPS,
        "register_integration": gui.register_integration,
        "enable_gui": gui.enable_gui,
    }


def _fill_iostream() -> dict[str, Any]:
    from husk_worker.streams import OutStream

    return {"OutStream": OutStream}


def _fill_jsonutil() -> dict[str, Any]:
    from husk_worker import jsonable

    return {"json_clean": jsonable.clean, "encode_images": lambda format_dict: format_dict}


def _fill_kernelbase() -> dict[str, Any]:
    return {"Kernel": Kernel}


def _fill_ipkernel() -> dict[str, Any]:
    return {"IPythonKernel": Kernel, "Kernel": Kernel}


def _fill_zmqshell() -> dict[str, Any]:
    shell = Kernel.instance().shell
    found = {"ZMQInteractiveShell": type(shell)}
    if hasattr(shell, "display_pub"):
        from husk_worker.magics import KernelMagics

        found["ZMQDisplayPublisher"] = type(shell.display_pub)
        found["KernelMagics"] = KernelMagics
    return found


def _fill_displayhook() -> dict[str, Any]:
    shell = Kernel.instance().shell
    return {"ZMQShellDisplayHook": type(shell.displayhook)} if hasattr(shell, "displayhook") else {}


def _fill_kernelapp() -> dict[str, Any]:
    from husk_worker import connection

    return {"IPKernelApp": connection.app_class()}
