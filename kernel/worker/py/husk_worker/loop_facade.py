# SPDX-License-Identifier: Apache-2.0
"""`kernel.io_loop`: the asyncio loop that goes on between cells, with the names that tornado's IOLoop gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_tasks: set[Any] = set()


class LoopFacade:
    """The calls of tornado's IOLoop that libraries use on a kernel's loop."""

    @property
    def asyncio_loop(self) -> Any:
        """The main thread's loop."""
        from husk_worker import aio

        return aio.loop()

    def add_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Calls callback(*args, **kwargs) on the loop; from any thread. A coroutine it returns becomes a task."""
        self.asyncio_loop.call_soon_threadsafe(self._call, callback, args, kwargs)

    add_callback_from_signal = spawn_callback = add_callback

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As add_callback() after `delay` seconds; returns a handle with cancel()."""
        return self.asyncio_loop.call_later(delay, self._call, callback, args, kwargs)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As add_callback() at the time `when` of time()."""
        return self.asyncio_loop.call_at(when, self._call, callback, args, kwargs)

    def remove_timeout(self, handle: Any) -> None:
        """Undoes call_later()."""
        handle.cancel()

    def time(self) -> float:
        """The loop's clock in seconds."""
        return self.asyncio_loop.time()

    def stop(self) -> None:
        """Does nothing: the worker's end is the front's decision."""

    @staticmethod
    def _call(callback: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        result = callback(*args, **kwargs)
        if hasattr(result, "__await__"):
            import asyncio

            task = asyncio.ensure_future(result)
            _tasks.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(_tasks.discard)


def run_now(awaitable: Awaitable[Any]) -> Any:
    """Result of an awaitable, to its end before anything else. Raises RuntimeError when the loop is running already."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a handler of this kernel waited for something; only handlers that do not wait are supported")
