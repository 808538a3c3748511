# SPDX-License-Identifier: Apache-2.0
"""The place into which a session may install packages, where its environment is read-only.

The front names a directory (link.md, START package_prefix) and gives it to pip as PIP_PREFIX. Modules below it are found
by the session, before the environment's own, and by the processes it starts; but not when the interpreter itself starts,
because what lies there was made by tenant code.
"""

import contextlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def _first_site_directory() -> int:
    for index, path in enumerate(sys.path):
        if path.endswith(("site-packages", "dist-packages")):
            return index
    return len(sys.path)


def _directories(prefix: str) -> list[str]:
    python = "python%d.%d" % sys.version_info[:2]
    return [f"{prefix}/lib/{python}/site-packages", f"{prefix}/local/lib/{python}/dist-packages"]


@contextlib.contextmanager
def behind(prefix: "str | None") -> "Iterator[None]":
    """Meanwhile modules below `prefix` and in the working directory are found where the environment has none of that name."""
    doubtful = [path for path in sys.path if path == "" or (prefix and path in _directories(prefix))]
    before = list(sys.path)
    sys.path[:] = [path for path in before if path not in doubtful] + doubtful
    try:
        yield
    finally:
        sys.path[:] = before + [path for path in sys.path if path and path not in before]


def use(prefix: str) -> None:
    """Puts the directories where pip leaves modules below `prefix` on the search paths; Debian's pip has a place of its own."""
    directories = _directories(prefix)
    for directory in directories:
        with contextlib.suppress(OSError):
            os.makedirs(directory, exist_ok=True)  # what is missing now would be taken for missing later too
    at = _first_site_directory()
    sys.path[at:at] = directories
    os.environ["PYTHONPATH"] = os.pathsep.join(directories)
