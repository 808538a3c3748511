# SPDX-License-Identifier: Apache-2.0
"""asyncio around the cells of one thread: a loop that is running during every cell and goes on between them.

asyncio is never imported for its own sake. Once the user's code has imported it, cells see a running loop (asked for by
its two internal marks, so a plain cell pays nothing for it); top-level await drives it; while the worker waits for
frames it serves the loop's descriptors and timers.
"""

import _thread
import sys

import _husk
from husk_worker import errors

_main = None
_lost = []  # loops without descriptors: __del__ would close those that others have under the same numbers by now


def loop() -> object:
    """The main thread's asyncio loop; imports asyncio."""
    if _main.loop is None:
        import asyncio  # noqa: F401  for its hook
    if _main.loop is None:
        _main.load()
    return _main.loop


class Aio:
    """The loop of one serving thread.

    link: the Link of the thread; main: whether interrupts reach it; loop: None until asyncio has been imported.
    on_frame: called with a frame that arrives during a top-level await (the serving loop cannot see it then), where no
    interrupt reaches.
    """

    __slots__ = (
        "link",
        "main",
        "loop",
        "on_frame",
        "_thread_id",
        "_inside",
        "_task",
        "_turn",
        "_closed",
        "_set_running",
        "_get_running",
    )

    def __init__(self, link: object, main: bool, on_frame: object) -> None:
        self.link = link
        self.main = main
        self.loop = None
        self.on_frame = on_frame
        self._thread_id = _thread.get_ident()
        self._inside = False
        self._task = None
        self._turn = 0
        self._closed = False

    def watch(self) -> None:
        """Makes the loop as soon as asyncio has been imported; for the main thread."""
        global _main
        _main = self
        if "asyncio" in sys.modules:
            self.load()
        else:
            sys.meta_path.insert(0, _Watch(self))

    def load(self) -> None:
        """Makes the loop, and starts it when a cell of this thread is running now."""
        if self.loop is None or self.loop.is_closed():
            import asyncio

            self._set_running = asyncio._set_running_loop
            self._get_running = asyncio._get_running_loop
            self.loop = asyncio.SelectorEventLoop()
            if _thread.get_ident() == self._thread_id:
                asyncio.set_event_loop(self.loop)
        if self._inside and _thread.get_ident() == self._thread_id and self._get_running() is None:
            self._mark()

    def enter(self) -> None:
        """A cell begins."""
        self._inside = True
        if self.loop is None:
            if self.main or "asyncio" not in sys.modules:
                return
            self.load()
        elif self.loop.is_closed():
            self.load()
        self._mark()

    def leave(self) -> None:
        """A cell has ended."""
        self._inside = False
        if self.loop is not None:
            self._unmark()

    def close(self) -> None:
        """Gives the loop back; for a thread that ends."""
        if self.loop is not None and not self.loop.is_closed():
            self._unmark()
            self.loop.close()

    def _mark(self) -> None:
        self.loop._thread_id = self._thread_id
        self._set_running(self.loop)

    def _unmark(self) -> None:
        self.loop._thread_id = None
        self._set_running(None)

    # Between cells

    def recv(self) -> "tuple | None":
        """Next frame for the thread's serving loop; the asyncio loop runs as long as none is there."""
        link = self.link
        while self.loop is not None and not self.loop.is_closed():
            loop = self.loop
            timeout = None
            if loop._ready or loop._stopping:
                timeout = 0.0
            elif loop._scheduled:
                timeout = max(0.0, loop._scheduled[0]._when - loop.time())
            # Never without the loop's descriptor: what is pending may be a frame that is served on the way, as an ATTACH is.
            if timeout != 0.0 or link.pending():
                frame = link.recv(timeout, loop._selector.fileno())
                if frame is not None:
                    return frame
            self._turn_once()
        return link.recv()

    def _replace(self) -> None:
        """Begins anew: somebody has closed the loop's descriptors. Without new ones there is none until it is asked for again."""
        _lost.append(self.loop)
        self.loop = None
        try:
            self.load()
        except OSError:
            self.loop = None

    def _turn_once(self) -> None:
        """Runs what is ready. A task's exception is its own affair; SystemExit and the like must not end the worker.

        An interrupt of a turn that waits for this is raised in what holds it up. An OSError is the loop's own.
        """
        loop = self.loop
        loop.call_soon(loop.stop)
        try:
            if self.main:
                _husk.between(loop.run_forever)
            else:
                loop.run_forever()
        except OSError:
            self._replace()
        except BaseException as error:
            if isinstance(error, _husk.Closed):
                raise
            loop.call_exception_handler({"message": "exception in a callback between cells", "exception": error})

    # Top-level await

    def drive(self, turn: int, context: object, coro: object) -> object:
        """Runs a cell's coroutine to its end and returns its value; raises what it raises.

        context: the contextvars.Context that it runs in. An interrupt is thrown into the coroutine where it waits.
        Raises _husk.Closed when the link ends meanwhile.
        """
        self.load()
        self._unmark()
        loop = self.loop
        self._turn = turn
        self._task = loop.create_task(_cell_class()(coro), context=context)
        loop.call_soon(self._say_await)
        loop.add_reader(self.link.fd, self._readable)
        self.link.on_backlog = self._look_again
        try:
            while not self._task.done():
                if self._closed:
                    self._task._log_destroy_pending = False  # nobody waits for it any more
                    raise _husk.Closed
                self._step(context)
            return self._task.result()
        finally:
            self._task = self.link.on_backlog = None
            loop.remove_reader(self.link.fd)
            self._mark()

    def _step(self, context: object) -> None:
        """Runs the loop until the cell has ended or something has stopped it."""
        try:
            if self.main:
                _husk.guard(self._turn, self._run_until, self._task)
            else:
                self._run_until(self._task)
        except errors.INTERRUPTS as error:
            if not self._task.done():
                self._task = self._interrupt(self._task, getattr(error, "instead", error), context)
        except SystemExit:
            pass  # of another task, which keeps it; the cell's own is in its task

    def _say_await(self) -> None:
        """Tells the front, after the first step of a cell that has not ended with it (specs/link.md 2.4)."""
        if self._task is not None and not self._task.done():
            self.link.send(_husk.AWAIT, self._turn)

    def _interrupt(self, task: object, error: BaseException, context: object) -> object:
        """Goes on with the cell of `task` in a new task, whose first step throws the interrupt into it.

        The old one cannot be trusted to be woken: the interrupt may have hit the loop just when it had taken the wake-up
        from its queue.
        """
        cell = task.get_coro()
        waiter = task._fut_waiter
        heir = type(cell)(cell.inherit(task), error.with_traceback(None))
        if waiter is not None:
            waiter.cancel()
        return self.loop.create_task(heir, context=context)

    def interrupt(self, *why: int) -> bool:
        """Interrupts a cell that the loop of another thread is running. False: there is none, or it is not waiting.

        why: arguments of _husk.interruption().
        """
        loop = self.loop
        if self._task is None or loop is None:
            return False
        loop.call_soon_threadsafe(_raise_interrupt, *why)
        return True

    def _run_until(self, task: object) -> None:
        task.add_done_callback(self._stop)
        try:
            self.loop.run_forever()
        finally:
            task.remove_done_callback(self._stop)

    def _stop(self, task: object) -> None:
        self.loop.stop()

    def _readable(self) -> None:
        """A frame arrives during an await: answers find their mailbox, the others go to on_frame."""
        if self.main:
            _husk.disarm()
        try:
            frame = self.link.recv(0.0)
            if frame is not None:
                self.on_frame(frame)
        except _husk.Closed:
            self._closed = True
            self.loop.remove_reader(self.link.fd)
            self.loop.stop()
        finally:
            if self.main:
                _husk.arm(self._turn)

    def _look_again(self) -> None:
        """A frame has been put into the backlog, where the loop does not see it."""
        self.loop.call_soon_threadsafe(self._take_backlog)

    def _take_backlog(self) -> None:
        if self._task is not None and self.link.has_backlog():
            self._readable()


def _raise_interrupt(*why: int) -> None:
    """A callback that takes the loop to where _interrupt() is called: only a KeyboardInterrupt leaves a loop."""
    carrier = KeyboardInterrupt()
    carrier.instead = _husk.interruption(*why)
    raise carrier


class _Watch:
    """A finder that notices the import of asyncio and is gone afterwards."""

    def __init__(self, aio: Aio) -> None:
        self._aio = aio

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name != "asyncio":
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec("asyncio")
        if spec is not None and spec.loader is not None:
            loader = spec.loader
            execute = loader.exec_module

            def exec_module(module: object) -> None:
                del loader.exec_module
                execute(module)
                self._aio.load()

            loader.exec_module = exec_module
        return spec


_cells = None


def _cell_class() -> type:
    """The class `Cell`; made late because its base is not imported at start."""
    global _cells
    if _cells is not None:
        return _cells
    from collections.abc import Coroutine

    class Cell(Coroutine):
        """A cell's coroutine as a task sees it. pending: an exception to be thrown in at the first step, or None."""

        def __init__(self, coro: object, pending: "BaseException | None" = None) -> None:
            self._coro = coro
            self._pending = pending
            self.__name__ = coro.__name__
            self.__qualname__ = coro.__qualname__

        cr_code = property(lambda self: self._coro.cr_code)
        cr_frame = property(lambda self: self._coro.cr_frame)
        cr_running = property(lambda self: self._coro.cr_running)
        cr_await = property(lambda self: self._coro.cr_await)

        def send(self, value: object) -> object:
            pending, self._pending = self._pending, None
            if pending is not None:
                return self._coro.throw(pending)
            return self._coro.send(value)

        def throw(self, *error: object) -> object:
            if len(error) > 1:
                error = (error[1] if isinstance(error[1], BaseException) else error[0],)
            return self._coro.throw(*error)

        def close(self) -> None:
            self._coro.close()

        def __await__(self) -> object:
            return (yield from self._coro.__await__())

        def inherit(self, task: object) -> object:
            """Gives the coroutine away: a step of the task that may still come ends it at once."""
            coro = self._coro
            self._coro = _Over()
            task._log_destroy_pending = False
            return coro

    class _Over:
        """Stands where a coroutine has been."""

        cr_code = cr_frame = cr_await = None
        cr_running = False

        @staticmethod
        def send(value: object) -> object:
            raise StopIteration(None)

        throw = send

        @staticmethod
        def close() -> None:
            pass

    _cells = Cell
    return Cell
