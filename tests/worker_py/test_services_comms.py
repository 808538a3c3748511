# SPDX-License-Identifier: Apache-2.0
"""Comms and the session façade, with the package comm or the stand-in for it, whatever this environment has."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import services

wire = services.install()
HAS_COMM = importlib.util.find_spec("comm") is not None

from husk_worker import comms  # noqa: E402


class Events:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def trigger(self, name: str, *args: Any) -> None:
        self.seen.append(name)


class Shell(services.PlainShell):
    def __init__(self) -> None:
        super().__init__({})
        self.events = Events()


@pytest.fixture
def kernel() -> Any:
    kernel = services.make_kernel(Shell())
    kernel.comm_manager.targets.clear()
    wire.take()
    return kernel


def test_the_package_is_taken_over(kernel: Any) -> None:
    import comm

    assert comm.create_comm is comms.create_comm
    assert comm.get_comm_manager() is kernel.comm_manager
    assert isinstance(comm.create_comm(target_name="t"), comm.base_comm.BaseComm)
    assert hasattr(comm, "__version__") is HAS_COMM


def test_open_send_close_with_buffers(kernel: Any) -> None:
    import comm

    one = comm.create_comm(
        target_name="jupyter.widget", comm_id="own-id", data={"x": 1}, metadata={"version": "2.1.0"}, buffers=[b"ab"]
    )
    one.send({"y": 2}, buffers=[memoryview(b"cd"), bytearray(b"")])
    one.close({"z": 3})
    assert wire.published() == [
        (
            "comm_open",
            {"data": {"x": 1}, "comm_id": "own-id", "target_name": "jupyter.widget", "target_module": None},
            {"version": "2.1.0"},
            "comm-own-id",
            [b"ab"],
        ),
        ("comm_msg", {"data": {"y": 2}, "comm_id": "own-id"}, None, "comm-own-id", [b"cd", b""]),
        ("comm_close", {"data": {"z": 3}, "comm_id": "own-id"}, None, "comm-own-id", []),
    ]
    assert "own-id" not in kernel.comm_manager.comms


def test_parent_is_the_callers_request(kernel: Any) -> None:
    import comm

    services.ask(kernel, "comm_info_request", {}, turn=41)
    comm.create_comm(target_name="t").send({})
    assert {fields[0] for name, fields in wire.take() if name == "PUBLISH"} == {41}


def test_client_opens_and_talks(kernel: Any) -> None:
    seen: list[Any] = []

    def target(comm: Any, message: dict[str, Any]) -> None:
        seen.append(message)
        comm.on_msg(lambda msg: (seen.append(msg), comm.send({"echo": msg["content"]["data"]}, buffers=msg["buffers"])))
        comm.on_close(seen.append)

    kernel.comm_manager.register_target("mine", target)
    content = {"comm_id": "c1", "target_name": "mine", "data": {"a": 1}}
    assert services.ask(kernel, "comm_open", content, [b"raw"]) == ({}, None, [])
    assert seen[0]["content"] == content and bytes(seen[0]["buffers"][0]) == b"raw"
    assert isinstance(seen[0]["buffers"][0], memoryview)
    assert services.ask(kernel, "comm_info_request", {})[0]["comms"]["c1"] == {"target_name": "mine"}
    assert services.ask(kernel, "comm_info_request", {"target_name": "mine"})[0] == {
        "status": "ok",
        "comms": {"c1": {"target_name": "mine"}},
    }
    assert services.ask(kernel, "comm_info_request", {"target_name": "other"})[0]["comms"] == {}
    services.ask(kernel, "comm_msg", {"comm_id": "c1", "data": 5}, [b"x"])
    assert wire.published() == [("comm_msg", {"data": {"echo": 5}, "comm_id": "c1"}, None, "comm-c1", [b"x"])]
    assert kernel.shell.events.seen == ["pre_execute", "post_execute"]
    services.ask(kernel, "comm_close", {"comm_id": "c1", "data": {}})
    assert seen[-1]["header"]["msg_type"] == "comm_close"
    assert "c1" not in kernel.comm_manager.comms and wire.published() == []


def test_unknown_target_is_closed_at_once(kernel: Any, caplog: Any) -> None:
    services.ask(kernel, "comm_open", {"comm_id": "c2", "target_name": "nobody", "data": {}})
    assert wire.published() == [("comm_close", {"data": {}, "comm_id": "c2"}, None, "comm-c2", [])]
    assert "No such comm target registered: nobody" in caplog.text


def test_exceptions_of_handlers_are_logged(kernel: Any, caplog: Any) -> None:
    def broken(comm: Any, message: dict[str, Any]) -> None:
        raise ZeroDivisionError("in open")

    kernel.comm_manager.register_target("broken", broken)
    services.ask(kernel, "comm_open", {"comm_id": "c3", "target_name": "broken", "data": {}})
    assert wire.published()[0][0] == "comm_close" and "in open" in caplog.text
    kernel.comm_manager.register_target("fine", lambda comm, message: comm.on_msg(lambda msg: 1 / 0))
    services.ask(kernel, "comm_open", {"comm_id": "c4", "target_name": "fine", "data": {}})
    services.ask(kernel, "comm_msg", {"comm_id": "c4", "data": {}})
    assert "Exception in comm_msg for c4" in caplog.text
    services.ask(kernel, "comm_msg", {"comm_id": "unknown", "data": {}})
    assert "No such comm: unknown" in caplog.text


@pytest.mark.parametrize(
    ("msg_type", "content"), [("comm_open", {"comm_id": "x"}), ("comm_msg", {}), ("comm_close", {"data": {}})]
)
def test_missing_fields_are_errors(kernel: Any, msg_type: str, content: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match="without"):
        services.ask(kernel, msg_type, content)


def test_string_targets_and_unregister(kernel: Any) -> None:
    kernel.comm_manager.register_target("s", "os.path.join")
    import os

    assert kernel.comm_manager.targets["s"] is os.path.join
    assert kernel.comm_manager.unregister_target("s", os.path.join) is os.path.join
    with pytest.raises((ImportError, AttributeError)):
        kernel.comm_manager.register_target("s", "os.nosuchthing")


def test_session_sends_displays_as_displays(kernel: Any) -> None:
    kernel.send_response(kernel.iopub_socket, "display_data", {"data": {"text/plain": "x"}, "metadata": {}})
    kernel.session.send(kernel.iopub_socket, "clear_output", {"wait": True}, ident=b"display_data")
    message = kernel.session.msg("custom", {"k": 1})
    kernel.session.send(kernel.iopub_socket, message, buffers=[b"z"])
    frames = wire.take()
    assert [name for name, _ in frames] == ["DISPLAY", "PUBLISH", "PUBLISH"]
    assert frames[0][1][1:] == [0, None, [("text/plain", 0, "x")], None, None, []]
    assert frames[1][1][1] == "clear_output" and frames[1][1][4] == "display_data"
    assert frames[2][1][1] == "custom" and [bytes(b) for b in frames[2][1][5]] == [b"z"]


@pytest.mark.parametrize("msg_type", ["status", "execute_input", "execute_reply", "input_request"])
def test_session_refuses_what_is_the_fronts(kernel: Any, msg_type: str) -> None:
    kernel.session.send(kernel.iopub_socket, msg_type, {})
    assert wire.take() == []


def test_session_has_no_key_and_names_itself(kernel: Any) -> None:
    session = kernel.session
    assert session.key == b"" and session.session == "s-1" and session.clone().session == "s-1"
    assert session.msg("x")["header"]["session"] == "s-1"
    assert len({session.msg_id for _ in range(1000)}) == 1000
    with pytest.raises(TypeError):
        session.send(kernel.iopub_socket, "x", {}, buffers=["text"])
    with pytest.raises(ValueError, match="contiguous"):
        session.send(kernel.iopub_socket, "x", {}, buffers=[memoryview(b"abcd")[::2]])


def test_legacy_comm_class(kernel: Any) -> None:
    with pytest.warns(DeprecationWarning):
        comm = comms.classes()["Comm"](target_name="old", data={"a": 1})
    assert comm.kernel is kernel and wire.published()[0][1]["target_name"] == "old"


def test_ipywidgets_slider_round_trip(kernel: Any) -> None:
    widgets = pytest.importorskip("ipywidgets")
    slider = widgets.IntSlider(value=3)
    opened = [entry for entry in wire.published() if entry[0] == "comm_open"]
    assert {entry[1]["target_name"] for entry in opened} == {"jupyter.widget"}
    assert all(entry[2] == {"version": "2.1.0"} for entry in opened)
    changes: list[Any] = []
    slider.observe(lambda change: changes.append(change["new"]), "value")
    services.ask(
        kernel, "comm_msg", {"comm_id": slider.comm.comm_id, "data": {"method": "update", "state": {"value": 9}}}
    )
    assert changes == [9] and slider.value == 9
    slider.value = 4
    sent = wire.published()
    assert any(entry[1]["data"].get("state") == {"value": 4} for entry in sent)
