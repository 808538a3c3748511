# SPDX-License-Identifier: Apache-2.0
"""What husk has to know of an interpreter, as NUL-ended fields on stdout (kernel/worker/interpreter.c reads them).

Run by the launcher as `PYTHON -I -c <this text>`, once per interpreter. It has to run on whatever calls itself Python 3,
so that a version that is too old is refused by its number.
"""

import os
import sys


def search_paths():
    """Directories that modules would come from in a kernel: those of -I, and what the environment adds."""
    paths = [path for path in sys.path if path]
    paths += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if not os.environ.get("PYTHONNOUSERSITE"):
        import site

        # A virtual environment sees the user's packages when it sees the system's.
        system = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        if any(path.startswith(sys.base_prefix + os.sep) for path in system):
            paths.append(site.getusersitepackages())
    return list(dict.fromkeys(paths))


def find_version(name, paths):
    """Version of an installed distribution, None when its package cannot be imported."""
    from importlib.machinery import PathFinder

    if PathFinder.find_spec(name, paths) is None:
        return None
    try:
        from importlib.metadata import distributions

        for found in distributions(name=name, path=paths):
            return found.version
    except Exception:
        pass
    return "0"


def mtime(path):
    """Modification time in nanoseconds, -1 when there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def main():
    import sysconfig

    paths = search_paths()
    variables = sysconfig.get_config_vars()
    fields = [
        "husk-probe-1",
        sys.implementation.name,
        sys.hexversion,
        "%d.%d.%d" % sys.version_info[:3],
        sys.version,
        int(hasattr(sys, "gettotalrefcount") or bool(variables.get("Py_DEBUG"))),
        int(bool(variables.get("Py_GIL_DISABLED"))),
        int(bool(variables.get("Py_ENABLE_SHARED"))),
        sys.executable,
        getattr(sys, "_base_executable", ""),
        os.readlink("/proc/self/exe"),
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.implementation.cache_tag or "",
        int(sys.maxsize > 2**32),
        find_version("IPython", paths) or "",
        int(find_version("debugpy", paths) is not None),
    ]
    for path in paths:
        if not path.endswith(".zip"):
            fields += [path, mtime(path)]
    sys.stdout.buffer.write(b"".join(os.fsencode(str(field)) + b"\0" for field in fields))


main()
