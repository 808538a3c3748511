# SPDX-License-Identifier: Apache-2.0
"""Further links of a worker: a subshell or the debugger's channel, each served by a thread until it is closed."""

import os
import sys

import _husk
from husk_worker import errors
from husk_worker import link as links
from husk_worker.execute import Executor
from husk_worker.link import Link, Request


def start(runtime: object, channel: int, kind: str, ident: str, fd: int) -> None:
    """Serves the link on descriptor `fd` in a new thread. kind: "subshell" or "debug"; others are closed at once."""
    if kind == "debug":
        target = _serve_debug
    elif kind == "subshell":
        target = _serve
    else:
        os.close(fd)
        return
    import threading

    runtime.need_shell()
    if kind == "debug":
        # debugpy has to be started in this thread, which the loop lets others ask for (debugger.call_in_main).
        from husk_worker import aio, debugger

        if debugger.is_available():
            aio.loop()
    name = f"subshell-{ident}" if kind == "subshell" else "Control"
    thread = threading.Thread(target=target, args=(runtime, fd), name=name, daemon=True)
    thread.pydev_do_not_trace = kind == "debug"
    thread.start()


def _serve(runtime: object, fd: int, answer_only: bool = False) -> None:
    """The serving loop of a further link: cells share namespace and counter with the main one."""
    link = Link(fd, main=False)
    link.need_shell = runtime.need_shell
    link.kernel = runtime.kernel
    links.enter(link)
    runtime.kernel.enter_link(link)
    executor = Executor(runtime, link, main=False)
    runtime.subshells.append(executor)
    try:
        while True:
            try:
                _serve_one(runtime, executor, executor.aio.recv())
            except errors.INTERRUPTS:
                pass  # meant for a cell that has ended meanwhile
    except _husk.Closed:
        pass
    except BaseException as error:
        sys.__stderr__.write("\n".join(errors.plain_traceback(error)) + "\n")
    finally:
        links.enter(None)
        runtime.subshells.remove(executor)
        executor.aio.close()
        os.close(fd)


def _serve_one(runtime: object, executor: Executor, frame: "tuple | None") -> None:
    if frame is None:
        return
    kind, fields, descriptors = frame
    for extra in descriptors:
        os.close(extra)
    if kind == _husk.EXECUTE:
        executor.execute(Request.from_execute(fields))
    elif kind == _husk.REQUEST:
        runtime.answer(executor, Request.from_request(fields))


def _serve_debug(runtime: object, fd: int) -> None:
    """As _serve(), for the debugger's requests, which its module may want to serve itself."""
    _serve(runtime, fd)
