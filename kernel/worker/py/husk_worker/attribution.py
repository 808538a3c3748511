# SPDX-License-Identifier: Apache-2.0
"""Whose output it is: what the streams, the display publisher and the display hook have in common."""

import _husk
from husk_worker.link import TURN, here


def adopt(link: object, parent: dict) -> None:
    """Makes `parent` (message or header dict) the parent of everything without a context of its own, and of this context."""
    turn = link.turn_of(parent)
    if turn:
        TURN.set(turn)
        _husk.set_turn(turn)


class Attributed:
    """The parent of what is sent, and hooks: functions of one thread that get each message (dict) first.

    A hook returns the message, or None to keep it back.
    """

    _hook_lists = None

    @property
    def parent_header(self) -> dict:
        """Header of the request that the calling code belongs to."""
        return here().parent().get("header", {})

    @parent_header.setter
    def parent_header(self, header: dict) -> None:
        self.set_parent(header)

    def set_parent(self, parent: dict) -> None:
        """Makes `parent` (message or header dict) the one of everything without a context of its own."""
        adopt(here(), parent)

    def set_thread_parent(self, parent: dict) -> object:
        """As set_parent() for this thread or task only; returns the token for reset_thread_parent()."""
        return TURN.set(here().turn_of(parent))

    def reset_thread_parent(self, token: object) -> None:
        """Undoes set_thread_parent()."""
        TURN.reset(token)

    @property
    def _hooks(self) -> list:
        """The hooks of the calling thread."""
        if self._hook_lists is None:
            import threading

            self.__dict__.setdefault("_hook_lists", threading.local())
        try:
            return self._hook_lists.hooks
        except AttributeError:
            self._hook_lists.hooks = hooks = []
            return hooks

    def register_hook(self, hook: object) -> None:
        """Adds a hook of the calling thread."""
        self._hooks.append(hook)

    def unregister_hook(self, hook: object) -> bool:
        """Removes a hook of the calling thread; False when it was not there."""
        try:
            self._hooks.remove(hook)
        except ValueError:
            return False
        return True
