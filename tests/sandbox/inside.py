# SPDX-License-Identifier: Apache-2.0
"""Other folders' tests inside a sandbox.

HUSK_TEST_PROFILE: the profile of the kernels of tests/conformance, tests/differential and tests/notebooks, a name in
specs/profiles ("default"). Not set: no profile.
"""

from __future__ import annotations

import os
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
NAME = os.environ.get("HUSK_TEST_PROFILE", "")
WORKSPACE, HOME, SCRATCH = "/workspace", "/home/user", "/tmp"
# What a sandbox gives its processes, for a peer that is to have the same conditions.
VARIABLES = {"USER": "user", "LOGNAME": "user", "LANG": "C.UTF-8", "SHELL": "/bin/sh"}


def write_profile(file: Path, workspace: Path, environment: dict[str, str] | None = None) -> str:
    """Path of a new file: the profile that is tested, to its letter, with a directory of the machine as workspace."""
    text = (TOP / f"specs/profiles/{NAME}.conf").read_text("utf-8")
    text += f'\nworkspace = {{ directory = "{workspace}"; }};\n'
    if environment:
        text += "environment = { " + "".join(f'{name} = "{value}"; ' for name, value in environment.items()) + "};\n"
    file.write_text(text, "utf-8")
    file.chmod(0o644)
    return str(file)
