# SPDX-License-Identifier: Apache-2.0
"""Event loops of GUI toolkits: %gui and %matplotlib.

A loop here is a function of the kernel that runs the toolkit's own loop and comes back when a frame of the link is there; the
main loop calls it instead of waiting (`kernel.eventloop`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from husk_worker.kernel import Kernel

# By the name of %gui; None: there is no loop to run (what shows figures is elsewhere).
LOOPS: dict[str | None, Any] = dict.fromkeys(("inline", "nbagg", "webagg", "notebook", "ipympl", "widget", None))


def register_integration(*names: str) -> Callable[[Any], Any]:
    """Decorator: the function, called with the kernel, is the loop of these names. Gives it `exit`, as in ipykernel."""

    def decorate(func: Any) -> Any:
        for name in names:
            LOOPS[name] = func

        def set_exit(hook: Any) -> Any:
            func.exit_hook = hook
            return hook

        func.exit_hook = lambda kernel: None
        func.exit = set_exit
        return func

    return decorate


def enable_gui(gui: str | None, kernel: Any = None) -> None:
    """Runs the loop of that toolkit between cells from now on; None ends that.

    Raises ValueError for a name that is not known and where there is no display, RuntimeError when another toolkit's loop
    is running already, ImportError where the toolkit is not installed.
    """
    kernel = Kernel.instance() if kernel is None else kernel
    if gui not in LOOPS:
        raise ValueError(f"Invalid GUI request {gui!r}, valid ones are:{LOOPS.keys()}")
    loop = LOOPS[gui]
    if loop is not None and kernel.eventloop is not None and kernel.eventloop is not loop:
        raise RuntimeError("Cannot activate multiple GUI eventloops")
    prepare = getattr(loop, "prepare", None)
    if prepare is not None:
        prepare(gui, kernel)
    kernel.eventloop = loop


def _need_display(gui: str) -> None:
    """Raises ValueError where no window can be shown."""
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        raise ValueError(f"GUI {gui!r} needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set")


def _keep_interrupts() -> None:
    """Some toolkits take SIGINT away when they are imported."""
    if not callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)


@register_integration("asyncio")
def loop_asyncio(kernel: Any) -> None:
    """asyncio runs between cells anyway."""
    kernel.eventloop = None


# Tk


@register_integration("tk")
def loop_tk(kernel: Any) -> None:
    """Tk's loop until a frame arrives."""
    import tkinter

    root = getattr(kernel, "_tk_root", None)
    if root is None:
        root = kernel._tk_root = tkinter.Tk()
        root.withdraw()
    fd = kernel.link.fd

    def leave(*args: Any) -> None:
        root.tk.deletefilehandler(fd)
        root.quit()

    root.tk.createfilehandler(fd, tkinter.READABLE, leave)
    try:
        root.mainloop()
    finally:
        try:
            root.tk.deletefilehandler(fd)
        except tkinter.TclError:
            pass


def _prepare_tk(gui: str, kernel: Any) -> None:

    _need_display(gui)


loop_tk.prepare = _prepare_tk


@loop_tk.exit
def _exit_tk(kernel: Any) -> None:
    root = getattr(kernel, "_tk_root", None)
    if root is not None:
        kernel._tk_root = None
        root.destroy()


# Qt, through IPython's choice among its bindings


@register_integration("qt", "qt5", "qt6")
def loop_qt(kernel: Any) -> None:
    """Qt's loop until a frame arrives."""
    from IPython.external.qt_for_kernel import QtCore

    loop = kernel._qt_loop
    kinds = getattr(QtCore.QSocketNotifier, "Type", QtCore.QSocketNotifier)
    notifier = QtCore.QSocketNotifier(kernel.link.fd, kinds.Read, loop)
    notifier.activated.connect(loop.quit)
    try:
        run = loop.exec if hasattr(loop, "exec") else loop.exec_
        run()
    finally:
        notifier.setEnabled(False)
        notifier.deleteLater()


def _prepare_qt(gui: str, kernel: Any) -> None:
    bindings = {"qt5": ("PyQt5", "PySide2"), "qt6": ("PyQt6", "PySide6")}.get(gui, ())
    if bindings and not os.environ.get("QT_API"):
        from importlib.util import find_spec

        found = [name for name in bindings if find_spec(name) is not None]
        os.environ["QT_API"] = (found or bindings)[0].lower()
    from IPython.external.qt_for_kernel import QtCore
    from IPython.lib.guisupport import get_app_qt4

    if os.environ.get("QT_QPA_PLATFORM", "xcb").split(":")[0] in ("xcb", "wayland"):
        _need_display(gui)
    if getattr(kernel, "_qt_loop", None) is None:
        kernel.app = get_app_qt4([" "])
        kernel._qt_loop = QtCore.QEventLoop(kernel.app)


loop_qt.prepare = _prepare_qt


@loop_qt.exit
def _exit_qt(kernel: Any) -> None:
    kernel._qt_loop.quit()


# GTK


@register_integration("gtk3", "gtk", "gtk4")
def loop_gtk(kernel: Any) -> None:
    """GLib's loop until a frame arrives; GTK 3 and 4 run on it."""
    from gi.repository import GLib

    loop = GLib.MainLoop()

    def leave(*args: Any) -> bool:
        loop.quit()
        return False

    watch = GLib.unix_fd_add_full(
        GLib.PRIORITY_DEFAULT, kernel.link.fd, GLib.IOCondition.IN | GLib.IOCondition.HUP, leave
    )
    try:
        loop.run()
    finally:
        context = GLib.MainContext.default()
        source = context.find_source_by_id(watch)
        if source is not None:
            source.destroy()


def _prepare_gtk(gui: str, kernel: Any) -> None:
    import gi

    _need_display(gui)
    gi.require_version("Gtk", "4.0" if gui == "gtk4" else "3.0")


loop_gtk.prepare = _prepare_gtk


# wx: it cannot watch descriptors, so a timer looks


@register_integration("wx")
def loop_wx(kernel: Any) -> None:
    """wx's loop until a frame arrives, looked for each `kernel._poll_interval` seconds."""
    import wx

    app = kernel.app

    def look(event: Any) -> None:
        if kernel.link.pending():
            app.ExitMainLoop()

    timer = wx.Timer(app)
    app.Bind(wx.EVT_TIMER, look, timer)
    timer.Start(max(1, int(1000 * kernel._poll_interval)))
    try:
        app.MainLoop()
    finally:
        timer.Stop()


def _prepare_wx(gui: str, kernel: Any) -> None:
    import wx

    _need_display(gui)
    if not isinstance(getattr(kernel, "app", None), wx.App):
        kernel.app = wx.App(redirect=False)
        kernel.app.SetExitOnFrameDelete(False)
    _keep_interrupts()


loop_wx.prepare = _prepare_wx


@register_integration("osx", "macosx")
def loop_osx(kernel: Any) -> None:
    """Nothing: there is no such system here."""
    kernel.eventloop = None


def _prepare_osx(gui: str, kernel: Any) -> None:
    raise ValueError(f"GUI {gui!r} exists on macOS only")


loop_osx.prepare = _prepare_osx
