# SPDX-License-Identifier: Apache-2.0
"""The debugger: framing of the protocol, and sessions with debugpy in a worker process on the fake `_husk`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import pytest
import services
from front import Channel, Front

services.install()

from husk_worker import dap  # noqa: E402

HAS_IPYTHON = importlib.util.find_spec("IPython") is not None
HAS_DEBUGPY = importlib.util.find_spec("debugpy") is not None
needs_debugpy = pytest.mark.skipif(not (HAS_DEBUGPY and HAS_IPYTHON), reason="needs debugpy and IPython")
INITIALIZE = {"clientID": "t", "adapterID": "", "pathFormat": "path", "linesStartAt1": True, "columnsStartAt1": True}
FUNCTION = "def f(a, b):\n    c = a + b\n    return c\n\nf(2, 3)"


def test_frames_are_cut_anywhere() -> None:
    messages = [{"type": "event", "text": "\u540d" * 50}, {"type": "response"}, {"a": []}]
    data = b"".join(dap.encode(message) for message in messages)
    for size in (1, 3, 7, len(data)):
        decoder = dap.Decoder()
        found = []
        for start in range(0, len(data), size):
            found += decoder.feed(data[start : start + size])
        assert found == messages


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: x\r\n\r\n",
        b"Content-Length: 999999999999\r\n\r\n",
        b"Nothing: 1\r\n\r\n",
        b"\r\n\r\n",
        b"x" * 5000,
        b"Content-Length: 2\r\n\r\n[]",
    ],
)
def test_what_is_not_the_protocol_ends_the_connection(data: bytes) -> None:
    with pytest.raises(dap.Disconnected):
        dap.Decoder().feed(data)


class Session:
    """A client's debugging session."""

    def __init__(self, front: Front, channel: Channel) -> None:
        self.front = front
        self.channel = channel
        self.seq = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        self.seq += 1
        content = {"type": "request", "seq": self.seq, "command": command, "arguments": arguments or {}}
        reply, frames = self.front.request("debug_request", content, self.channel)
        self.keep(frames)
        if "request_seq" in reply:
            assert reply["request_seq"] == self.seq
        return reply

    def keep(self, frames: list[Any]) -> None:
        for name, fields in frames:
            if name == "PUBLISH" and fields[1] == "debug_event":
                self.events.append(json.loads(fields[2]))

    def wait_for(self, event: str) -> dict[str, Any]:
        while True:
            for number, seen in enumerate(self.events):
                if seen["event"] == event:
                    del self.events[: number + 1]
                    return seen
            self.keep([self.channel.recv(60)])

    def start(self) -> None:
        assert self.ask("initialize", INITIALIZE)["success"]
        assert self.ask("attach")["success"]

    def break_at(self, code: str, line: int) -> str:
        path = self.ask("dumpCell", {"code": code})["body"]["sourcePath"]
        reply = self.ask(
            "setBreakpoints", {"breakpoints": [{"line": line}], "source": {"path": path}, "sourceModified": False}
        )
        assert reply["success"] and reply["body"]["breakpoints"][0]["verified"]
        assert self.ask("configurationDone")["success"]
        return path

    def frame(self) -> dict[str, Any]:
        return self.ask("stackTrace", {"threadId": 1})["body"]["stackFrames"][0]

    def variables(self, scope: str) -> dict[str, Any]:
        scopes = self.ask("scopes", {"frameId": self.frame()["id"]})["body"]["scopes"]
        reference = next(item["variablesReference"] for item in scopes if item["name"] == scope)
        return {
            item["name"]: item for item in self.ask("variables", {"variablesReference": reference})["body"]["variables"]
        }


@pytest.fixture
def session() -> Iterator[Session]:
    with Front() as front:
        front.run("pass")  # a front attaches nothing before the worker is ready
        session = Session(front, front.attach("debug", "d"))
        yield session
        session.ask("disconnect", {"restart": False, "terminateDebuggee": True})


@pytest.mark.skipif(not HAS_IPYTHON, reason="needs IPython")
def test_info_without_a_started_debugger(session: Session) -> None:
    reply = session.ask("debugInfo")
    if not HAS_DEBUGPY:
        assert reply == {}
        return
    body = reply["body"]
    assert reply["success"] and body["isStarted"] is False and body["breakpoints"] == body["stoppedThreads"] == []
    assert body["hashMethod"] == "Murmur2" and body["hashSeed"] == 0xC70F6907
    assert body["tmpFilePrefix"] == f"/tmp/ipykernel_{session.front.process.pid}/" and body["tmpFileSuffix"] == ".py"
    assert session.ask("stackTrace", {"threadId": 1}) == {}


@needs_debugpy
def test_a_request_that_is_none_is_an_error(session: Session) -> None:
    reply, _ = session.front.request("debug_request", {"command": 3}, session.channel)
    assert reply["status"] == "error" and "command" in reply["evalue"]


@needs_debugpy
def test_breakpoint_variables_steps_and_end(session: Session) -> None:
    session.start()
    path = session.break_at(FUNCTION, 2)
    assert path in [item["source"] for item in session.ask("debugInfo")["body"]["breakpoints"]]
    turn = session.front.begin(FUNCTION)
    assert session.wait_for("stopped")["body"]["reason"] == "breakpoint"
    assert session.ask("debugInfo")["body"]["stoppedThreads"]
    assert session.frame()["line"] == 2 and session.frame()["source"]["path"] == path
    assert set(session.variables("Locals")) == {"a", "b"}
    reply = session.ask("richInspectVariables", {"variableName": "a", "frameId": session.frame()["id"]})
    assert reply["body"]["data"] == {"text/plain": "2"}
    session.ask(
        "copyToGlobals", {"srcVariableName": "b", "dstVariableName": "b_copy", "srcFrameId": session.frame()["id"]}
    )
    assert session.variables("Globals")["b_copy"]["value"] == "3"
    assert session.ask("next", {"threadId": 1})["success"]
    session.wait_for("stopped")
    assert session.frame()["line"] == 3
    assert session.variables("Locals")["c"]["value"] == "5"
    assert session.ask("evaluate", {"expression": "c + 1", "frameId": session.frame()["id"]})["body"]["result"] == "6"
    assert session.ask("continue", {"threadId": 1})["success"]
    assert session.front.end(turn).value == "5"
    assert session.ask("debugInfo")["body"]["stoppedThreads"] == []


@needs_debugpy
def test_stepping_off_the_end_of_a_cell_stays_out_of_the_kernel(session: Session) -> None:
    session.start()
    path = session.break_at("x = 1\ny = 2", 2)
    turn = session.front.begin("x = 1\ny = 2")
    session.wait_for("stopped")
    assert session.frame()["source"]["path"] == path
    session.ask("next", {"threadId": 1})
    assert session.front.end(turn).ok


@needs_debugpy
def test_leading_empty_lines_count(session: Session) -> None:
    session.start()
    code = "\n" + FUNCTION
    session.break_at(code, 6)
    turn = session.front.begin(code)
    assert session.wait_for("stopped")["body"]["reason"] == "breakpoint"
    session.ask("continue", {"threadId": 1})
    assert session.front.end(turn).ok


@needs_debugpy
def test_variables_without_a_stop(session: Session) -> None:
    session.front.run("text = 'Hello'; nested = {'k': [1, 2]}; _hidden = 3")
    names = {item["name"]: item for item in session.ask("inspectVariables")["body"]["variables"]}
    assert names["text"]["value"] == "'Hello'" and "In" not in names and "_i1" not in names and "_hidden" in names
    inner = session.ask("variables", {"variablesReference": names["nested"]["variablesReference"]})
    assert inner == {} or any("k" in item["name"] for item in inner["body"]["variables"])
    session.start()
    session.ask("inspectVariables")
    assert session.ask("richInspectVariables", {"variableName": "text"})["body"]["data"] == {"text/plain": "'Hello'"}
    assert session.ask("richInspectVariables", {"variableName": "nosuch"})["body"]["data"] == {}
    assert session.ask("richInspectVariables", {"variableName": "special variables"})["success"]
    assert session.ask("richInspectVariables", {"variableName": "a b"})["success"] is False


@needs_debugpy
def test_requests_of_the_client_do_not_become_code(session: Session) -> None:
    session.start()
    arguments = {"srcVariableName": "s", "dstVariableName": "x'] or 1 or globals()['y", "srcFrameId": 0}
    reply = session.ask("copyToGlobals", arguments)
    assert reply["success"] is False and reply["command"] == "copyToGlobals"
    assert session.ask("source", {"source": {"path": "/nonexistent"}})["success"] is False
    assert session.ask("modules")["body"]["totalModules"] > 50


@needs_debugpy
def test_a_second_session_after_disconnect(session: Session) -> None:
    for _ in range(2):
        session.start()
        session.break_at(FUNCTION, 2)
        turn = session.front.begin(FUNCTION)
        session.wait_for("stopped")
        session.ask("continue", {"threadId": 1})
        assert session.front.end(turn).ok
        session.ask("disconnect", {"restart": False, "terminateDebuggee": False})
        assert session.ask("debugInfo")["body"]["isStarted"] is False
        session.events.clear()
    assert session.front.run("\n\n1/0").ename == "ZeroDivisionError"
