# SPDX-License-Identifier: Apache-2.0
"""The place into which a session may install packages, where its environment is read-only.

The front names a directory (link.md, START package_prefix) and gives it to pip as PIP_PREFIX. Modules below it are found
by the session, before the environment's own, and by the processes it starts; but not when the interpreter itself starts,
because what lies there was made by tenant code.
"""

import contextlib
import os
import sys


def _first_site_directory() -> int:
    for index, path in enumerate(sys.path):
        if path.endswith(("site-packages", "dist-packages")):
            return index
    return len(sys.path)


def use(prefix: str) -> None:
    """Puts the directories where pip leaves modules below `prefix` on the search paths; Debian's pip has a place of its own."""
    python = "python%d.%d" % sys.version_info[:2]
    directories = [f"{prefix}/lib/{python}/site-packages", f"{prefix}/local/lib/{python}/dist-packages"]
    for directory in directories:
        with contextlib.suppress(OSError):
            os.makedirs(directory, exist_ok=True)  # what is missing now would be taken for missing later too
    at = _first_site_directory()
    sys.path[at:at] = directories
    os.environ["PYTHONPATH"] = os.pathsep.join(directories)
