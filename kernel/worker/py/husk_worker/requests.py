# SPDX-License-Identifier: Apache-2.0
"""Who answers which request: HANDLERS maps a message type to function(kernel, request) -> (content, metadata, buffers).

A handler raises for a request that it cannot serve; the caller turns that into an error reply. Types that are not in the table
never reach a worker: the front answers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from husk_worker.kernel import Kernel
    from husk_worker.link import Request

Answer = tuple[dict[str, Any], "dict[str, Any] | None", list[Any]]


def _field(content: dict[str, Any], name: str) -> Any:
    """A required field. Raises KeyError that names it."""
    if name not in content:
        raise KeyError(f"required field {name!r} is missing")
    return content[name]


def _complete(kernel: Kernel, request: Request) -> Answer:
    content = request.content
    return _finish(kernel.do_complete(_field(content, "code"), _field(content, "cursor_pos")))


def _inspect(kernel: Kernel, request: Request) -> Answer:
    content = request.content
    reply = kernel.do_inspect(
        _field(content, "code"),
        _field(content, "cursor_pos"),
        content.get("detail_level", 0),
        content.get("omit_sections") or (),
    )
    return _finish(reply)


def _is_complete(kernel: Kernel, request: Request) -> Answer:
    return _finish(kernel.do_is_complete(_field(request.content, "code")))


def _comm(kernel: Kernel, request: Request) -> Answer:
    from husk_worker import comms

    return comms.handle(kernel, request)


def _comm_info(kernel: Kernel, request: Request) -> Answer:
    from husk_worker import comms

    return comms.handle_info(kernel, request)


def _debug(kernel: Kernel, request: Request) -> Answer:
    return kernel.do_debug_request(request.content), None, []


def _finish(reply: Any) -> Answer:
    """The answer of a do_* method; one that a library has replaced may be a coroutine."""
    if hasattr(reply, "__await__"):
        from husk_worker.loop_facade import run_now

        reply = run_now(reply)
    return reply, None, []


HANDLERS: dict[str, Callable[[Any, Any], Answer]] = {
    "complete_request": _complete,
    "inspect_request": _inspect,
    "is_complete_request": _is_complete,
    "comm_info_request": _comm_info,
    "comm_open": _comm,
    "comm_msg": _comm,
    "comm_close": _comm,
    "debug_request": _debug,
}


def answer(kernel: Kernel, request: Request) -> Answer:
    """The answer to a request. Raises LookupError for an unknown type, and whatever the handler raises."""
    msg_type = request.msg_type
    own = kernel.handler_for(msg_type)
    if own is not None:
        result = own(None, request.identities, request.parent)
        if hasattr(result, "__await__"):
            _finish(result)
        return {}, None, []
    handler = HANDLERS.get(msg_type)
    if handler is None:
        raise LookupError(f"unknown message type {msg_type!r}")
    return handler(kernel, request)
