# SPDX-License-Identifier: Apache-2.0
"""Who may connect: CURVE, and identities that somebody else takes over (specs/wire.md 7.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from husk import CHANNELS, Client, Kernel, use_curve, wait_until

pytestmark = pytest.mark.husk

ENDED = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


@pytest.fixture
def curve_kernel(start_kernel: Any) -> Kernel:
    """A kernel whose connection file has CURVE keys."""
    public, secret = zmq.curve_keypair()
    members = {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
    return start_kernel(members=members)


@pytest.fixture
def stranger() -> Iterator[zmq.Socket]:
    """A socket without options, and without the key of any kernel."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        yield socket


def happens(socket: zmq.Socket, events: int, act: Any) -> int:
    """Runs act(); the first of these events that the socket's connection sees after it."""
    monitor = socket.get_monitor_socket(events)
    try:
        act()
        assert monitor.poll(20_000), "nothing happened to the connection"
        return int(recv_monitor_message(monitor)["event"])
    finally:
        socket.disable_monitor()
        monitor.close(0)


def test_curve_with_the_right_key_serves_every_channel(curve_kernel: Kernel) -> None:
    client = curve_kernel.connect()
    assert client.execute("print('text'); 6 * 7").ok().result == "42"
    assert client.heartbeat(b"beat") == b"beat"
    client.request("kernel_info_request", channel="control").ok()
    cell = client.send_code("input('? ')", allow_stdin=True)
    client.answer(client.asked(cell), "yes")
    assert client.finish(cell).ok().result == "'yes'"
    assert client.execute("'x' * 3_000_000").ok().result == repr("x" * 3_000_000)


@pytest.mark.stderr("was closed: .*(CURVE|mechanism)")
@pytest.mark.parametrize("kind", ["no key", "another key"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_curve_refuses_whoever_has_not_the_key(
    curve_kernel: Kernel, stranger: zmq.Socket, channel: str, kind: str
) -> None:
    if kind == "another key":
        use_curve(stranger, zmq.curve_keypair()[0])
    events = ENDED | zmq.EVENT_HANDSHAKE_SUCCEEDED
    event = happens(stranger, events, lambda: stranger.connect(curve_kernel.endpoint(channel)))
    assert event != zmq.EVENT_HANDSHAKE_SUCCEEDED
    stranger.close()
    client = curve_kernel.connect()
    assert client.execute("1").ok().result == "1"


def test_the_secret_key_is_not_shown_to_code(curve_kernel: Kernel) -> None:
    client = curve_kernel.connect()
    secret = curve_kernel.connection["curve_secretkey"]
    worker = curve_kernel.workers()[0]
    assert client.execute("%connect_info").ok()
    assert not any(secret in str(m.content) for m in client.log)
    assert secret.encode() not in Path(f"/proc/{worker.pid}/environ").read_bytes()


# An identity is no secret and no proof. A reply goes to the connection that asked, whoever else has the same one.


@pytest.fixture
def holder(kernel: Kernel) -> Client:
    """A client with an identity that others can guess."""
    return kernel.connect(identity=b"holder")


def waiting(client: Client, path: Path) -> str:
    """Sends a cell that runs until the file is there."""
    cell = client.send_code(f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.005)\n'end'")
    client.state(cell, "busy")
    return cell


def take_over(kernel: Kernel, holder: Client, stranger: zmq.Socket, code: str = "") -> None:
    """The stranger connects with the holder's identity and has sent a cell without the key, which the kernel has judged."""
    stranger.identity = holder.identity
    stranger.connect(kernel.endpoint("shell"))
    stranger.send_multipart(holder.frames(holder.header("execute_request"), {"code": code}, signature=b"0" * 64))
    wait_until(lambda: "was dropped" in kernel.stderr(), "the refusal")


@pytest.mark.stderr("was dropped")
def test_who_takes_an_identity_over_does_not_get_the_replies_of_its_holder(
    kernel: Kernel, holder: Client, stranger: zmq.Socket, tmp_path: Path
) -> None:
    cell = waiting(holder, tmp_path / "go")
    take_over(kernel, holder, stranger)
    (tmp_path / "go").touch()
    assert holder.finish(cell).ok().result == "'end'"
    assert not stranger.poll(0)


@pytest.mark.stderr("was dropped")
def test_who_takes_an_identity_over_cannot_act_in_its_name(
    kernel: Kernel, holder: Client, stranger: zmq.Socket, tmp_path: Path
) -> None:
    other = kernel.connect()
    take_over(kernel, holder, stranger, f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert other.execute("1").ok().result == "1"
    assert holder.request("kernel_info_request", channel="control").status == "ok"
    assert not (tmp_path / "ran").exists()


@pytest.mark.stderr("was dropped")
def test_the_holder_of_an_identity_gets_it_back_with_its_next_connection(
    kernel: Kernel, holder: Client, stranger: zmq.Socket, tmp_path: Path
) -> None:
    cell = waiting(holder, tmp_path / "go")
    take_over(kernel, holder, stranger)
    holder.sockets["shell"].disconnect(kernel.endpoint("shell"))
    holder.sockets["shell"].connect(kernel.endpoint("shell"))
    asked = holder.send("kernel_info_request")  # waits behind the cell; its arrival makes the connection known
    holder.request("execute_request", {"code": ""}, header={"subshell_id": "none"}).failed("UnknownSubshellError")
    (tmp_path / "go").touch()
    assert holder.finish(cell).ok().result == "'end'"
    assert holder.finish(asked).status == "ok"
    assert not stranger.poll(0)
