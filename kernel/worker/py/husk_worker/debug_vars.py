# SPDX-License-Identifier: Apache-2.0
"""Variables of the namespace as a debugger shows them, while nothing is being debugged."""

from __future__ import annotations

import importlib
from typing import Any

from husk_worker import cellname


class _Code:
    """What pydevd looks at of a frame's code."""

    co_name = "<module>"
    co_flags = 0
    co_firstlineno = 1

    def __init__(self, filename: str) -> None:
        self.co_filename = filename


class _Frame:
    """A frame that is none: the namespace as its globals and locals."""

    f_back = None
    f_lineno = 1
    f_lasti = 0

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.f_code = _Code(cellname.file_name("<namespace>"))
        self.f_globals = self.f_locals = namespace


class _Debugger:
    """What pydevd wants of a debugger to present variables."""

    def __init__(self) -> None:
        from _pydevd_bundle.pydevd_api import PyDevdAPI

        self.variable_presentation = PyDevdAPI.VariablePresentation()


class Explorer:
    """Variables of one moment; references to nested ones stay valid as long as the explorer lives."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        importlib.import_module("debugpy.server.api")  # puts debugpy's own pydevd on the path
        from _pydevd_bundle import pydevd_frame_utils
        from _pydevd_bundle.pydevd_suspended_frames import SuspendedFramesManager, _FramesTracker

        self._manager = SuspendedFramesManager()
        self._frame = _Frame(namespace)
        self._tracker = _FramesTracker(self._manager, _Debugger())
        self._tracker.track("thread1", pydevd_frame_utils.create_frames_list_from_frame(self._frame))

    def children(self, reference: int = 0) -> list[dict[str, Any]]:
        """Variables (DAP) below a reference, 0 for the namespace. Raises KeyError for an unknown one."""
        variable = self._manager.get_variable(reference or id(self._frame))
        return [child.get_var_data() for child in variable.get_children_variables()]
