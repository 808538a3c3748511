# SPDX-License-Identifier: Apache-2.0
"""IPython's display publisher and display hook, publishing over the link."""

import builtins
import sys
import threading

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from traitlets import Any, CBytes

import _husk
from husk_worker import jsonable
from husk_worker.lean import simple_text
from husk_worker.link import TURN, here
from husk_worker.streams import adopt

try:
    from IPython.core.history import HistoryOutput
except ImportError:  # IPython before 9
    HistoryOutput = None


class _Attributed:
    """What publisher and hook share: parents, and message hooks of a thread."""

    @property
    def parent_header(self) -> dict:
        """Header of the request that the calling code belongs to."""
        return here().parent().get("header", {})

    @parent_header.setter
    def parent_header(self, header: dict) -> None:
        adopt(here(), header)

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
        try:
            return self._thread_local.hooks
        except AttributeError:
            self._thread_local.hooks = hooks = []
            return hooks

    def register_hook(self, hook: object) -> None:
        """Adds a function of this thread: it gets each message (dict), returns it, or None to keep it back."""
        self._hooks.append(hook)

    def unregister_hook(self, hook: object) -> bool:
        """Removes a hook of this thread; False when it was not there."""
        try:
            self._hooks.remove(hook)
        except ValueError:
            return False
        return True

    def _through_hooks(self, msg_type: str, content: dict) -> "dict | None":
        """The content after this thread's hooks; None when one of them kept the message."""
        hooks = self._hooks
        if not hooks:
            return content
        message = self.session.msg(msg_type, content, parent=here().parent())
        for hook in list(hooks):
            message = hook(message)
            if message is None:
                return None
        return message["content"]


def send_display(link: object, kind: int, content: dict, count: "int | None" = None, hold: bool = False) -> None:
    """Sends one DISPLAY frame. content: data, metadata and transient as in the Jupyter message.

    hold: it may leave together with what comes next, which is known to be near.
    """
    metadata = content.get("metadata")
    transient = content.get("transient")
    send = link.hold if hold else link.send
    send(
        _husk.DISPLAY,
        link.turn(),
        kind,
        count,
        jsonable.mime_rows(content["data"]),
        jsonable.dumps(metadata) if metadata else None,
        jsonable.dumps(transient) if transient else None,
        [],
    )


class ZMQDisplayPublisher(_Attributed, DisplayPublisher):
    """Publishes display_data, update_display_data and clear_output."""

    session = Any(allow_none=True)
    pub_socket = Any(allow_none=True)
    topic = CBytes(b"display_data")
    store_display_history = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._thread_local = threading.local()
        super().__init__(*args, **kwargs)

    def _flush_streams(self) -> None:
        """Text needs no flushing: each frame carries the position of the text before it."""

    def publish(
        self,
        data: dict,
        metadata: "dict | None" = None,
        source: object = None,
        *,
        transient: "dict | None" = None,
        update: bool = False,
        **kwargs: object,
    ) -> None:
        """Publishes a MIME bundle. data, metadata, transient: dicts as in display_data; update: change a shown one.

        Raises TypeError for a bundle that is no dict or holds what has no JSON form.
        """
        if metadata is None:
            metadata = {}
        self._validate_data(data, metadata)
        content = {"data": data, "metadata": metadata, "transient": {} if transient is None else transient}
        content = self._through_hooks("update_display_data" if update else "display_data", content)
        if content is not None:
            send_display(here(), _husk.DISPLAY_UPDATE if update else _husk.DISPLAY_DATA, content)

    def clear_output(self, wait: bool = False) -> None:
        """Clears what the current cell has shown; wait: only when the next output comes."""
        content = self._through_hooks("clear_output", {"wait": bool(wait)})
        if content is not None:
            here().publish("clear_output", content, topic="display_data")


class ZMQShellDisplayHook(_Attributed, DisplayHook):
    """Publishes the value of a cell as execute_result."""

    session = Any(allow_none=True)
    pub_socket = Any(allow_none=True)
    topic = None
    msg = None
    value_code = None  # of the lean cell that runs, the part that shows its value
    _ends_cell = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._thread_local = threading.local()
        super().__init__(*args, **kwargs)

    def quiet(self) -> bool:
        """Whether the cell ends in a semicolon; tokenizes only cells that have one at all."""
        try:
            cell = self.shell.history_manager.input_hist_parsed[-1]
        except IndexError:
            return False
        return ";" in cell and super().quiet()

    def compute_format_data(self, result: object) -> tuple[dict, dict]:
        """(data, metadata) of a value; exact built-in scalars and flat containers skip the formatters."""
        text = simple_text(result)
        if text is not None and self.shell.shows_plainly(type(result)):
            return {"text/plain": text}, {}
        return super().compute_format_data(result)

    def update_user_ns(self, result: object) -> None:
        """Records the value in `_` and Out, unless the cell is not to be stored."""
        shell = self.shell
        if not shell.stores_values:
            return
        ns = shell.user_ns
        out = ns["_oh"]
        if (
            "_" in builtins.__dict__
            or not self.do_full_cache
            or result is out
            or len(out) >= self.cache_size
            or ns.get("_", out) is not self._
            or ns.get("__", out) is not self.__
            or ns.get("___", out) is not self.___
        ):
            super().update_user_ns(result)
            return
        # The usual case, in which IPython does just this.
        count = self.prompt_count
        self.___, self.__, self._ = self.__, self._, result
        names = {"_": result, "__": self.__, "___": self.___, f"_{count}": result}
        ns.update(names)
        shell.user_ns_hidden.update(names)
        out[count] = result

    def log_output(self, format_dict: dict) -> None:
        """Keeps the value's text for the history, unless the cell is not to be stored."""
        shell = self.shell
        if not shell.stores_values:
            return
        logger = getattr(shell, "_logger", shell)
        if logger is not None or "text/plain" not in format_dict:  # there is a log of the session, or always one
            super().log_output(format_dict)
            return
        count = self.prompt_count
        manager = shell.history_manager
        manager.outputs[count].append(HistoryOutput(output_type="execute_result", bundle=format_dict))
        manager.output_hist_reprs[count] = format_dict["text/plain"]

    def start_displayhook(self) -> None:
        self._is_active = True
        self.msg = {"content": {"data": {}, "metadata": {}}}

    def write_output_prompt(self) -> None:
        """The number shown: that of the newest stored cell, also for a value that is not stored (IPython 8 is one ahead)."""
        shell = self.shell
        ahead = not shell.stores_values and not shell.counts_first
        self.msg["content"]["execution_count"] = self.prompt_count - ahead

    def write_format_data(self, format_dict: dict, md_dict: "dict | None" = None) -> None:
        content = self.msg["content"]
        content["data"] = format_dict
        content["metadata"] = md_dict

    def finish_displayhook(self) -> None:
        """Sends the message that has been gathered; nothing when it has no data."""
        message, self.msg = self.msg, None
        self._is_active = False
        if message is None or not message["content"]["data"]:
            return
        content = message["content"]
        if self._hooks:
            content = self._through_hooks("execute_result", content)
            if content is None:
                return
        send_display(here(), _husk.DISPLAY_RESULT, content, content.get("execution_count"), self._ends_cell)

    def __call__(self, result: object = None) -> None:
        # Called by the last thing that a lean cell does: the REPLY follows at once.
        self._ends_cell = self.value_code is not None and sys._getframe(1).f_code is self.value_code
        try:
            super().__call__(result)
        finally:
            # A formatter that raised leaves the message of its own behind.
            self.msg = None
            self._is_active = False
