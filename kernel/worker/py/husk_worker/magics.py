# SPDX-License-Identifier: Apache-2.0
"""Line magics that a kernel has besides IPython's own, or in another way than a terminal."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path
from typing import Any

from IPython.core import page
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magics import CodeMagics

try:
    from IPython.core.magics import MacroToEdit
except ImportError:
    from IPython.core.magics.code import MacroToEdit


@magics_class
class KernelMagics(Magics):
    """%edit, %clear, %less, %more, %man, %connect_info, %qtconsole, %autosave, %subshell."""

    _find_edit_target = CodeMagics._find_edit_target

    @line_magic
    def edit(self, parameter_s: str = "", last_call: Any = None) -> None:
        """Open a file, or the source of an object or of earlier cells, in an editor of the client.

        Usage: %edit [options] [args]

        Options:
          -n NUMBER  open at this line
          -p         edit what was edited last
          -r         earlier cells as they were typed, instead of translated to plain Python

        args are numbers or ranges of cells (1 4:8 9), the name of a variable that holds text, of an object whose source file
        can be found, or of a file. The file is not run when the editor is closed: the kernel does not learn of that.
        """
        opts, args = self.parse_options(parameter_s, "prn:")
        try:
            filename, lineno, _ = CodeMagics._find_edit_target(self.shell, args, opts, last_call or ["", ""])
        except MacroToEdit:
            print("Macro editing not yet implemented in 2-process model.")
            return
        payload = {"source": "edit_magic", "filename": str(Path(filename).resolve()), "line_number": lineno}
        self.shell.payload_manager.write_payload(payload)

    @line_magic
    def clear(self, arg_s: str) -> None:
        """Clear the terminal."""
        self.shell.system("clear")

    @line_magic
    def less(self, arg_s: str) -> None:
        """Show a file in the client's pager; Python files with colours."""
        if not arg_s:
            raise UsageError("Missing filename.")
        if arg_s.endswith(".py"):
            from IPython.utils import openpy

            text = self.shell.pycolorize(openpy.read_py_file(arg_s, skip_encoding_cookie=False))
        else:
            with open(arg_s) as file:
                text = file.read()
        page.page(text)

    more = line_magic("more")(less)

    @line_magic
    def man(self, arg_s: str) -> None:
        """Show the manual page of a command in the client's pager."""
        page.page(self.shell.getoutput(f"man {arg_s} | col -b", split=False))

    @line_magic
    def connect_info(self, arg_s: str) -> None:
        """Print what other clients need to connect to this kernel; the key is in the connection file alone."""
        from husk_worker import connection

        try:
            path = connection.get_connection_file()
            info = connection.get_connection_info()
        except Exception as error:
            warnings.warn(f"Could not get connection info: {error!r}", stacklevel=2)
            return
        if os.path.dirname(path) == _runtime_dir():
            path = os.path.basename(path)
        print(f"{info}\n")
        print(
            "Paste the above JSON into a file, and connect with:\n"
            "    $> jupyter <app> --existing <file>\n"
            "or, if you are local, you can connect with just:\n"
            f"    $> jupyter <app> --existing {path}\n"
            "or even just:\n"
            "    $> jupyter <app> --existing\n"
            "if this is the most recent Jupyter kernel you have started."
        )

    @line_magic
    def qtconsole(self, arg_s: str) -> None:
        """Open a Qt console on this kernel."""
        from IPython.utils.process import arg_split

        from husk_worker import connection

        try:
            connection.connect_qtconsole(argv=arg_split(arg_s, True))
        except Exception as error:
            warnings.warn(f"Could not start qtconsole: {error!r}", stacklevel=2)

    @line_magic
    def autosave(self, arg_s: str) -> None:
        """Set the interval, in seconds, at which the notebook saves itself; 0 for never."""
        from IPython.display import Javascript, display

        try:
            interval = int(arg_s)
        except ValueError:
            raise UsageError(f"%autosave requires an integer, got {arg_s!r}") from None
        script = f"IPython.notebook.set_autosave_interval({1000 * interval})"
        display(Javascript(script), include=["application/javascript"])
        print(f"Autosaving every {interval} seconds" if interval else "Autosave disabled")

    @line_magic
    def subshell(self, arg_s: str) -> None:
        """List the open subshells."""
        prefix = "subshell-"
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]
        own = threading.current_thread()
        mine = own.name[len(prefix) :] if own.name.startswith(prefix) else None
        print(f"subshell id: {mine}")
        print(f"thread id: {own.ident}")
        print(f"main thread id: {threading.main_thread().ident}")
        print(f"pid: {os.getpid()}")
        print(f"thread count: {threading.active_count()}")
        print(f"subshell list: {[name[len(prefix) :] for name in names]}")


def _runtime_dir() -> str:
    """Where Jupyter puts connection files."""
    explicit = os.environ.get("JUPYTER_RUNTIME_DIR")
    if explicit:
        return explicit
    data = os.environ.get("JUPYTER_DATA_DIR") or os.path.join(
        os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "jupyter"
    )
    return os.path.join(data, "runtime")
