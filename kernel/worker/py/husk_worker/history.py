# SPDX-License-Identifier: Apache-2.0
"""IPython's history manager without a database: this session is in memory, older ones are asked of the front.

The front stores a cell when it gets the cell's reply, so the cell that is running is not known there yet; it is added here.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from IPython.core import history as ipython
from traitlets import default, observe

from husk_worker import originals, shellinfo

_DEFAULT_N = 10


class HistoryManager(ipython.HistoryManager):
    """In and Out of this session; get_tail(), get_range() and search() reach all of them. No thread, no file."""

    def __init__(self, shell: Any = None, config: Any = None, **traits: Any) -> None:
        self._running: tuple[int, str, str] | None = None
        self._number = 0
        # IPython starts its writing thread only for a file.
        super().__init__(shell=shell, config=config, hist_file=":memory:", **traits)
        options = shell.kernel.options
        self.hist_file = str(self._configured_file() or options.get("hist_file") or self._get_hist_file_name())
        self._number = options.get("history_session") or 0
        originals.traits(self, ["input_hist_parsed", "input_hist_raw", "_i00", "_i", "_ii", "_iii", "shell"])

    @property
    def session_number(self) -> int:
        """Number of this session; asked of the front when somebody wants to know. 0 when it does not say."""
        return self._session()

    @session_number.setter
    def session_number(self, number: int) -> None:
        self._number = number

    def _configured_file(self) -> Any:
        section = getattr(self.config, "HistoryManager", None)
        return section.get("hist_file") if section else None

    def _get_hist_file_name(self, profile: str | None = None) -> Any:
        try:
            return super()._get_hist_file_name()
        except AttributeError:  # the shell has no profile directory
            return ":memory:"

    # There is no database

    @default("enabled")
    def _default_enabled(self) -> bool:
        """IPython would import sqlite3 to find this out; the front needs none of Python's."""
        return True

    def init_db(self) -> None:
        """Makes a database that swallows everything."""
        self.db = ipython.DummyDB()

    @observe("db")
    def _db_changed(self, change: Any) -> None:
        """Any object may stand for a database here."""

    def new_session(self, conn: Any = None) -> None:
        """The front counts sessions."""

    def end_session(self) -> None:
        """The front notes the session's end."""

    def name_session(self, name: str) -> None:
        """Sessions have no names here."""

    def writeout_cache(self, conn: Any = None) -> None:
        """Nothing waits to be written."""

    def close(self) -> None:
        """Nothing is open."""

    def get_session_info(self, session: int = 0) -> Any:
        """(number, start, end, cells, remark) of this session; None for others."""
        if session not in (0, self.session_number):
            return None
        return (self.session_number, None, None, len(self.input_hist_parsed) - 1, "")

    # Storing

    def store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        """Records a cell: In, _i, _ii, _iii and _i<number>."""
        source = source.rstrip("\n")
        source_raw = source if source_raw is None else source_raw.rstrip("\n")
        if self._exit_re.match(source_raw.strip()):
            return
        values = self._trait_values  # a cell needs a dozen of them, and traitlets takes its time for each
        values["input_hist_parsed"].append(source)
        values["input_hist_raw"].append(source_raw)
        self._running = (line_num, source, source_raw)
        names = {"_i": values["_i00"], "_ii": values["_i"], "_iii": values["_ii"]}
        shellinfo.put(self, {"_i00": source_raw, **names})
        shell = values["shell"]
        if shell is not None:
            names[f"_i{line_num}"] = source_raw
            shell.user_ns.update(names)
            shell.user_ns_hidden.update(names)

    def store_output(self, line_num: int) -> None:
        """The output travels in the cell's reply."""

    def reset(self, new_session: bool = True) -> None:
        """Forgets inputs (new_session) and outputs of this session."""
        super().reset(new_session)
        if new_session:
            self._running = None

    # Asking

    def _ask(self, **content: Any) -> list[tuple[int, int, Any]]:
        """Rows of the front's answer to a history_request of that content."""
        answer = self.shell.kernel.link_here().ask("history", content)
        rows = answer.get("history") if isinstance(answer, dict) else answer
        output = bool(content.get("output"))
        found = []
        for row in rows or ():
            session, line, text = row
            found.append((session, line, tuple(text) if output else text))
        return found

    def _session(self) -> int:
        """Number of this session, 0 when the front does not say."""
        if not self._number:
            rows = self._ask(hist_access_type="session", raw=True, output=False)
            if rows:
                self._number = rows[0][0]
        return self._number

    def _with_running(self, rows: list[Any], raw: bool, output: bool, accepts: Any = None) -> list[Any]:
        """rows and, behind them, the cell that is running if the front does not have it yet."""
        if self._running is None:
            return rows
        line, source, source_raw = self._running
        session = self._session()
        text = source_raw if raw else source
        if (accepts is not None and not accepts(text)) or any(row[:2] == (session, line) for row in rows):
            return rows
        return [*rows, (session, line, (text, None) if output else text)]

    def get_tail(
        self, n: int | None = _DEFAULT_N, raw: bool = True, output: bool = False, include_latest: bool = False
    ) -> list[Any]:
        """The last n cells as (session, line, input or (input, output)); without the running one unless include_latest."""
        n = _DEFAULT_N if n is None else max(0, n)
        rows = self._ask(hist_access_type="tail", n=n + 1, raw=raw, output=output)
        rows = self._with_running(rows, raw, output)
        if not include_latest:
            rows = rows[:-1]
        return rows[-n:] if n else []

    def search(
        self,
        pattern: str = "*",
        raw: bool = True,
        search_raw: bool = True,
        output: bool = False,
        n: int | None = None,
        unique: bool = False,
    ) -> list[Any]:
        """Cells whose text matches the glob pattern (* and ?), oldest first; at most n of the newest, or all."""
        content: dict[str, Any] = {"pattern": pattern, "raw": raw, "output": output, "unique": unique}
        if n is not None:
            content["n"] = n
        if not search_raw:
            content["search_raw"] = False
        rows = self._ask(hist_access_type="search", **content)
        rows = self._with_running(rows, raw, output, lambda text: fnmatchcase(text, pattern))
        if unique:
            last = {row[2][0] if output else row[2]: row for row in rows}
            rows = [row for row in rows if last[row[2][0] if output else row[2]] is row]
        return rows if n is None else rows[-n:] if n > 0 else []

    def get_range(
        self, session: int = 0, start: int = 1, stop: int | None = None, raw: bool = True, output: bool = False
    ) -> Any:
        """Cells start to stop (exclusive) of a session: 0 is this one, -1 the one before, a positive number that session."""
        if session == 0 or (session > 0 and session == self._session()):
            return self._get_range_session(start, stop, raw, output)
        content: dict[str, Any] = {"session": session, "start": start, "raw": raw, "output": output}
        if stop:
            content["stop"] = stop
        return self._ask(hist_access_type="range", **content)

    def get_last_session_id(self) -> int | None:
        """Number of the newest session with a cell."""
        rows = self._ask(hist_access_type="tail", n=1, raw=True, output=False)
        return rows[-1][0] if rows else None
