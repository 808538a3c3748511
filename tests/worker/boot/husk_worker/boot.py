# SPDX-License-Identifier: Apache-2.0
"""Runs cells with exec() and nothing else. How a cell runs is said by its EXECUTE's metadata: guard (default), loop, report."""

import contextlib
import contextvars
import sys

import _husk

TURN = contextvars.ContextVar("turn")
NAMESPACE: dict = {"__name__": "__main__", "TURN": TURN}


class Out(_husk.Stream):
    """sys.stdout and sys.stderr of the tests."""

    encoding = "utf-8"


def run_cell(code):
    """Executes source text as the user's module."""
    exec(compile(code, "<cell>", "exec"), NAMESPACE)


def run_in_loop(turn, code):
    """Defines `async def cell()` from the source text and runs it on a loop that is entered by run_forever()."""
    import asyncio

    run_cell(code)
    loop = NAMESPACE.setdefault("LOOP", asyncio.new_event_loop())
    task = None
    try:
        _husk.arm(turn)
        task = loop.create_task(NAMESPACE["cell"]())
        task.add_done_callback(lambda done: loop.stop())
        loop.run_forever()
    finally:
        _husk.disarm()
        # What an interrupt has left to do, the callback that stops the loop included.
        for _ in range(4):
            loop.call_soon(loop.stop)
            with contextlib.suppress(KeyboardInterrupt):
                loop.run_forever()
    if task is not None and task.done():
        task.result()


def execute(turn, metadata, code):
    """Status and error fields of a cell's REPLY."""
    try:
        if metadata == b"loop":
            run_in_loop(turn, code)
        elif metadata == b"report":
            _husk.guard(turn, NAMESPACE["LIBRARY"]["report"], run_cell, code)
        else:
            _husk.guard(turn, run_cell, code)
    except BaseException as error:
        return _husk.STATUS_ERROR, [type(error).__name__, str(error), []]
    return _husk.STATUS_OK, None


def serve(fd=_husk.FD):
    """Serves one link until SHUTDOWN or its end."""
    while True:
        kind, fields, descriptors = _husk.recv(fd)
        if kind == _husk.SHUTDOWN:
            return 0
        if kind == _husk.EXECUTE:
            turn = fields[0]
            _husk.set_turn(turn)
            status, error = execute(turn, fields[3], fields[5])
            if _husk.in_child():
                return 0
            _husk.drain()
            _husk.send(_husk.REPLY, (turn, status, 1, 2, None, None, error, True), fd)
        elif kind == _husk.REQUEST:
            _husk.send(_husk.ANSWER, (fields[0], fields[4], None, fields[5]), fd)
        elif kind == _husk.ATTACH:
            _husk.send(_husk.ASK, (1, fields[2], fields[:2]), descriptors[0])


def main():
    """Entry point, as husk_worker.boot.main()."""
    sys.stdout, sys.stderr = Out(0), Out(1)
    _husk.set_context_var(TURN)
    NAMESPACE["serve"] = serve
    return serve()
