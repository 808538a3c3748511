# SPDX-License-Identifier: Apache-2.0
"""IPython's display publisher and display hook, publishing over the link."""

import builtins
import sys
import threading

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from traitlets import Any, CBytes

import _husk
from husk_worker import jsonable, originals, shellinfo
from husk_worker.attribution import Attributed
from husk_worker.lean import simple_text
from husk_worker.link import here

try:
    from IPython.core.history import HistoryOutput
except ImportError:  # IPython before 9
    HistoryOutput = None


class _Sender(Attributed):
    """What publisher and hook share besides."""

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


class ZMQDisplayPublisher(_Sender, DisplayPublisher):
    """Publishes display_data, update_display_data and clear_output."""

    session = Any(allow_none=True)
    pub_socket = Any(allow_none=True)
    topic = CBytes(b"display_data")
    store_display_history = False

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


class _Showing(threading.local):
    """What one thread is showing: the message that is gathered, and whether the cell's REPLY follows it at once."""

    msg = None
    ends_cell = False


class ZMQShellDisplayHook(_Sender, DisplayHook):
    """Publishes the value of a cell as execute_result."""

    session = Any(allow_none=True)
    pub_socket = Any(allow_none=True)
    topic = None
    value_code = None  # of the lean cell that runs, the part that shows its value

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._showing = _Showing()
        super().__init__(*args, **kwargs)
        originals.traits(self, ["shell", "exec_result"])

    @property
    def msg(self) -> "dict | None":
        """The execute_result that this thread is gathering; None when it shows nothing. Subshells show theirs meanwhile."""
        return self._showing.msg

    @msg.setter
    def msg(self, message: "dict | None") -> None:
        self._showing.msg = message

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

    def _keeps_usually(self, result: object) -> bool:
        """Whether IPython would record this value without any of its special cases."""
        ns = self._trait_values["shell"].user_ns
        out = ns["_oh"]
        return (
            "_" not in builtins.__dict__
            and self.do_full_cache
            and result is not out
            and len(out) < self.cache_size
            and ns.get("_", out) is self._
            and ns.get("__", out) is self.__
            and ns.get("___", out) is self.___
        )

    def _keep(self, result: object, count: int) -> None:
        """What IPython does with a value for which _keeps_usually() holds."""
        shell = self._trait_values["shell"]
        self.___, self.__, self._ = self.__, self._, result
        names = {"_": result, "__": self.__, "___": self.___, f"_{count}": result}
        ns = shell.user_ns
        ns.update(names)
        shell.user_ns_hidden.update(names)
        ns["_oh"][count] = result

    def update_user_ns(self, result: object) -> None:
        """Records the value in `_` and Out, unless the cell is not to be stored."""
        if not self.shell.stores_values:
            return
        if self._keeps_usually(result):
            self._keep(result, self.prompt_count)
        else:
            super().update_user_ns(result)

    def log_output(self, format_dict: dict) -> None:
        """Keeps the value's text for the history, unless the cell is not to be stored."""
        if self.shell.stores_values:
            super().log_output(format_dict)

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
        send_display(here(), _husk.DISPLAY_RESULT, content, content.get("execution_count"), self._showing.ends_cell)

    def _show_text(self, result: object, text: str) -> bool:
        """Shows a value that has only text, as __call__() would. False: not here, there is something out of the ordinary."""
        mine = self._trait_values
        shell = mine["shell"]
        info = shell._info
        if not (
            shell.stores_values
            and _code_is_original()
            and not originals.has_own(self, _METHODS)
            and shell.shows_plainly(type(result))
            and self._keeps_usually(result)
            and (self._hook_lists is None or not self._hooks)
            and not info.logs_output()
        ):
            return False
        manager = info.values["history_manager"]
        cells = shellinfo.inputs(manager)[0]
        if not cells or ";" in cells[-1]:
            return False
        count = info.values["execution_count"] - info.counts_first
        self._keep(result, count)
        if mine["exec_result"] is not None:
            mine["exec_result"].result = result
        if HistoryOutput is not None:
            output = HistoryOutput(output_type="execute_result", bundle={"text/plain": text})
            manager.outputs[count].append(output)
        manager.output_hist_reprs[count] = text
        link = here()
        rows = [("text/plain", _husk.MIME_TEXT, text)]
        send = link.hold if self._showing.ends_cell else link.send
        send(_husk.DISPLAY, link.turn(), _husk.DISPLAY_RESULT, count, rows, None, None, [])
        return True

    def __call__(self, result: object = None) -> None:
        # Called by the last thing that a lean cell does: the REPLY follows at once.
        showing = self._showing
        showing.ends_cell = self.value_code is not None and sys._getframe(1).f_code is self.value_code
        text = None if result is None else simple_text(result)
        try:
            if text is None or not self._show_text(result, text):
                super().__call__(result)
        finally:
            # A formatter that raised leaves the message of its own behind.
            showing.msg = None
            self._is_active = False


_STEPS = """
check_for_underscore quiet start_displayhook write_output_prompt compute_format_data update_user_ns fill_exec_result
write_format_data log_output finish_displayhook prompt_count"""
_METHODS = frozenset(_STEPS.split())
_code_is_original = originals.watch((DisplayHook, f"__call__ {_STEPS}"), (ZMQShellDisplayHook, _STEPS))
