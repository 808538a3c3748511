# SPDX-License-Identifier: Apache-2.0
"""The user's own settings for IPython: configuration files, start-up files, options of the command line."""

import os
import sys

_HARMLESS = ("--HistoryManager.", "--IPKernelApp.connection_file", "--Session.", "--no-stdout", "--no-stderr", "--ip=")


def add_working_directory() -> None:
    """Puts '' into sys.path behind the standard library, where IPython's applications put it."""
    if "" in sys.path or getattr(sys.flags, "safe_path", False):
        return
    for at, path in enumerate(sys.path):
        if path.rpartition("/")[2] in ("site-packages", "dist-packages"):
            sys.path.insert(at, "")
            return
    sys.path.insert(0, "")


def ipython_dir() -> str:
    """IPython's directory: $IPYTHONDIR or ~/.ipython."""
    return os.environ.get("IPYTHONDIR") or os.path.expanduser("~/.ipython")


def arguments(options: dict) -> list[str]:
    """Options of the command line that mean something to IPython; a value may be an element of its own."""
    found: list[str] = []
    wanted = False
    for text in options.get("ipython_args") or ():
        if text.startswith("-"):
            wanted = not text.startswith(_HARMLESS)
        if wanted:
            found.append(text)
    return found


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _has_config(place: str) -> bool:
    return any(name.startswith("ipython") and "config." in name for name in _names(place))


def _has_scripts(place: str) -> bool:
    return any(name.endswith((".py", ".ipy")) for name in _names(place))


def _is_writable(place: str) -> bool:
    """Whether its file system can be written: modes say nothing, because the owner can change them."""
    try:
        return not os.statvfs(place).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _is_planted() -> bool:
    """Whether cells may have written what would run here. One that ends the worker would end each that follows."""
    profile = os.path.join(ipython_dir(), "profile_default")
    scripts = os.path.join(profile, "startup")
    found = [place for place in (profile, os.getcwd()) if _has_config(place)] + ([scripts] if _has_scripts(scripts) else [])
    return any(map(_is_writable, found))


def wants_shell(options: dict) -> bool:
    """Whether something of the user's has to run, or to be read, before the first cell. A few stat calls."""
    if options.get("is_replacement") and _is_planted():
        return False
    if arguments(options) or os.environ.get("PYTHONSTARTUP"):
        return True
    profile = os.path.join(ipython_dir(), "profile_default")
    system = ["/usr/local/etc/ipython", "/etc/ipython", os.path.join(sys.prefix, "etc", "ipython")]
    return any(map(_has_config, [profile, *system, os.getcwd()])) or _has_scripts(os.path.join(profile, "startup"))


_apps = {}


def load_config(runtime: object) -> None:
    """Reads configuration files and options into runtime.config and runtime.profile_dir. Errors go to stderr."""
    app = _make_app()
    _apps["app"] = app
    app.initialize(arguments(runtime.options))
    runtime.config = app.config
    runtime.profile_dir = app.profile_dir


def run(runtime: object, shell: object) -> None:
    """Runs extensions, start-up files, exec_lines and the like in the new shell."""
    app = _apps.pop("app", None)
    if app is None:
        return
    app.shell = shell
    shell.configurables.append(app)
    app.run_start()


def _make_app() -> object:
    from IPython.core.application import BaseIPythonApplication
    from IPython.core.shellapp import InteractiveShellApp

    class IPKernelApp(BaseIPythonApplication, InteractiveShellApp):
        """Reads IPython's configuration as ipykernel does; exists for a shell's start only."""

        name = "ipython-kernel"

        def run_start(self) -> None:
            """In ipykernel's order: GUI, extensions, code. What fails is reported on stderr and does not end the start."""
            shown = self.shell._showtraceback
            self.shell._showtraceback = self._print_traceback
            try:
                for step in (self.init_path, self.init_gui_pylab, self.init_extensions, self.init_code):
                    step()
            finally:
                del self.shell._showtraceback
                assert shown == self.shell._showtraceback
            sys.stdout.flush()
            sys.stderr.flush()

        def _print_traceback(self, etype: type, evalue: BaseException, stb: list) -> None:
            print(self.shell.InteractiveTB.stb2text(stb), file=sys.stderr)

    return IPKernelApp()
