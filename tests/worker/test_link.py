# SPDX-License-Identifier: Apache-2.0
"""Frames of the link (specs/link.md 3), from the worker's side."""

import os
import socket
import threading

import msgpack
import pytest
from link_peer import HEADER, NAMES, TYPES, VERSION, Worker

VALUES = [
    None, True, False, 0, 1, -1, 127, 128, -33, 2**31, -(2**63), 2**63, 2**64 - 1, 0.5, float("inf"), "", "äö€𝄞", "x" * 70000,
    b"", b"\x00\xff" * 40000, [], [[[]]], list(range(20)), {}, {"a": [1, {"b": None}]}, {1: b"x", "y": 2.5},
]  # fmt: skip


def echo(worker: Worker, value: object) -> object:
    """`value` as it comes back from Python."""
    worker.turn += 1
    worker.send("REQUEST", [worker.turn, b"{}", [b"id"], b"{}", value, [b"buffer"]])
    turn, content, metadata, buffers = worker.expect("ANSWER")
    assert (turn, metadata, buffers) == (worker.turn, None, [b"buffer"])
    return content


def test_values_survive_both_ways(worker: Worker) -> None:
    for value in VALUES:
        assert echo(worker, value) == value


def test_a_frame_of_many_megabytes_survives(worker: Worker) -> None:
    value = os.urandom(1 << 16) * 1024
    sender = threading.Thread(target=worker.send, args=("REQUEST", [1, b"{}", [], b"{}", value, [b"buffer"]]))
    sender.start()
    assert worker.expect("ANSWER")[1] == value
    sender.join()


def test_frames_that_come_in_pieces_are_put_together(worker: Worker) -> None:
    body = msgpack.packb([5, b"{}", [], b"{}", "content", []])
    frame = HEADER.pack(len(body), VERSION, TYPES["REQUEST"], 0, 0) + body
    for byte in frame + frame:
        worker.sock.send(bytes([byte]))
    assert worker.expect("ANSWER")[1] == "content"
    assert worker.expect("ANSWER")[1] == "content"


def test_bad_utf8_of_the_front_is_replaced(worker: Worker) -> None:
    body = msgpack.packb([5, b"{}", [], b"{}"])[1:] + b"\xa3a\xffb" + msgpack.packb([])
    worker.sock.sendall(HEADER.pack(len(body) + 1, VERSION, TYPES["REQUEST"], 0, 0) + b"\x96" + body)
    assert worker.expect("ANSWER")[1] == "a\ufffdb"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(1, 'a\\udc80', None)", "a\ufffd"),
        ("(1, memoryview(b'abc'), None)", b"abc"),
        ("(1, bytearray(b'abc'), None)", b"abc"),
        ("(1, ('t', [2]), None)", ["t", [2]]),
        ("(1, type('D', (dict,), {})(a=1), None)", {"a": 1}),
        ("(1, type('S', (str,), {})('s'), None)", "s"),
        ("(1, type('I', (int,), {})(7), None)", 7),
    ],
)
def test_send_takes_what_it_says(worker: Worker, expression: str, value: object) -> None:
    worker.execute(f"import _husk; _husk.send(_husk.ASK, {expression})")
    assert worker.expect("ASK")[1] == value
    assert worker.reply()[1] == 0


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("(1, object(), None)", "TypeError: a frame cannot hold an object of type <class 'object'>"),
        ("(1, {1, 2}, None)", "TypeError: a frame cannot hold an object of type <class 'set'>"),
        ("(1, 2**64, None)", "OverflowError: "),
        ("(1, -2**63 - 1, None)", "OverflowError: "),
        ("'abc'", "TypeError: the fields of a frame must be a tuple or a list"),
        ("(1, NESTED, None)", "ValueError: a frame is nested deeper than 32 levels"),
        ("(1, 'x' * (1 << 21), None)", "TooLarge: a frame of type ASK (73) with 20"),
    ],
)
def test_what_cannot_be_sent_is_an_error_and_nothing_is_sent(worker: Worker, expression: str, error: str) -> None:
    worker.ok("NESTED = []\nfor i in range(50): NESTED = [NESTED]")
    kind, text, _ = worker.run(f"import _husk; _husk.send(_husk.ASK, {expression})")[6]
    assert f"{kind}: {text}".startswith(error)
    assert worker.ok("print(1)") == "1\n"


def test_an_unknown_type_is_refused(worker: Worker) -> None:
    for number in (0, 2, 63, 200, -1, 1 << 20):
        fields = worker.run(f"import _husk; _husk.send({number}, ())")
        assert fields[1] == 1 and "is none that a worker sends" in fields[6][1], (number, fields)


def test_frames_of_threads_do_not_interleave(worker: Worker) -> None:
    worker.execute(
        "import _husk, threading\n"
        "def f(i):\n"
        "    for n in range(50): _husk.send(_husk.PUBLISH, (1, 'x', bytes([i]) * (n * 3000), None, None, []))\n"
        "ts = [threading.Thread(target=f, args=(i,)) for i in range(8)]\n"
        "for t in ts: t.start()\n"
        "for t in ts: t.join()"
    )
    seen = {i: 0 for i in range(8)}
    while sum(seen.values()) < 400:
        fields = worker.expect("PUBLISH")
        if fields[2]:
            assert fields[2] == bytes([fields[2][0]]) * len(fields[2])
            seen[fields[2][0]] += 1
        else:
            seen[0] += 1
    assert worker.reply()[1] == 0


def test_a_frame_carries_the_place_of_the_text_before_it(worker: Worker) -> None:
    worker.eager = False
    worker.execute(
        "import _husk\n"
        "for i in range(5):\n    print('text', i)\n    _husk.send(_husk.PUBLISH, (1, str(i), b'{}', None, None, []))"
    )
    for i in range(5):
        assert worker.expect("PUBLISH")[1] == str(i)
        assert worker.text() == "".join(f"text {n}\n" for n in range(i + 1))
    worker.reply()


def test_a_link_that_is_attached_is_a_link_of_its_own(worker: Worker) -> None:
    ours, theirs = socket.socketpair()
    worker.send("ATTACH", [3, "subshell", "id-1"], (theirs.fileno(),))
    theirs.close()
    header = ours.recv(HEADER.size, socket.MSG_WAITALL)
    size, _, number, _, _ = HEADER.unpack(header)
    assert NAMES[number] == "ASK"
    assert msgpack.unpackb(ours.recv(size, socket.MSG_WAITALL)) == [1, "id-1", [3, "subshell"]]
    ours.close()
    assert worker.ok("print(1)") == "1\n"


def test_recv_sees_timeouts_other_descriptors_and_the_end(worker: Worker) -> None:
    text = worker.ok(
        "import _husk, os, socket, time\n"
        "a, b = socket.socketpair()\n"
        "r, w = os.pipe()\n"
        "print(_husk.recv(a.fileno(), 0), _husk.recv(a.fileno(), timeout=0.01), _husk.pending(a.fileno()))\n"
        "os.write(w, b'x')\n"
        "print(_husk.recv(a.fileno(), None, r), _husk.recv(a.fileno(), 5.0, also=r))\n"
        "b.send(b'\\0')\n"
        "print(_husk.pending(a.fileno()), _husk.recv(a.fileno(), 0.01))\n"
        "b.close()\n"
        "try:\n    _husk.recv(a.fileno())\nexcept _husk.Closed as e:\n    print('Closed')\n"
        "for bad in (-1.0, float('nan'), 1e10):\n"
        "    try:\n        _husk.recv(a.fileno(), bad)\n    except ValueError as e:\n        print(e)\n"
    )
    assert text == (
        "None None False\nNone None\nTrue None\nClosed\n"
        "timeout -1.0 is not between 0 and 1e9 seconds\ntimeout nan is not between 0 and 1e9 seconds\n"
        "timeout 10000000000.0 is not between 0 and 1e9 seconds\n"
    )


def test_recv_runs_signal_handlers_and_passes_their_exceptions_on(worker: Worker) -> None:
    text = worker.ok(
        "import _husk, signal, socket\n"
        "a, b = socket.socketpair()\n"
        "class Mine(Exception): pass\n"
        "def handler(n, f): raise Mine\n"
        "signal.signal(signal.SIGALRM, handler)\n"
        "for timeout in (None, 60.0):\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    try:\n        _husk.recv(a.fileno(), timeout)\n    except Mine:\n        print('handled')\n"
    )
    assert text == "handled\nhandled\n"


@pytest.mark.parametrize(
    "frame",
    [
        HEADER.pack(1, 9, TYPES["REQUEST"], 0, 0) + b"\x90",
        HEADER.pack(1, VERSION, TYPES["REPLY"], 0, 0) + b"\x90",
        HEADER.pack(1, VERSION, 250, 0, 0) + b"\x90",
        HEADER.pack(1, VERSION, TYPES["SHUTDOWN"], 7, 0) + b"\x90",
        HEADER.pack(1 << 30, VERSION, TYPES["REQUEST"], 0, 0),
        HEADER.pack(1, VERSION, TYPES["REQUEST"], 0, 0) + b"\x90",
        HEADER.pack(1, VERSION, TYPES["SHUTDOWN"], 0, 0) + b"\xc1",
        HEADER.pack(5, VERSION, TYPES["SHUTDOWN"], 0, 0) + b"\xdd\xff\xff\xff\xff",
        HEADER.pack(2, VERSION, TYPES["ATTACH"], 0, 0) + b"\x93\x01",
        HEADER.pack(4, VERSION, TYPES["ATTACH"], 0, 0) + b"\x93\x01\x02\x03",
    ],
)
def test_a_front_that_breaks_the_rules_is_refused(worker: Worker, frame: bytes) -> None:
    """A worker may trust its front; that it ends in good order is for whoever debugs one."""
    worker.sock.sendall(frame)
    assert worker.wait() == 1
    assert "broke the protocol" in worker.text(stream=1)


def _murmur2(data: bytes, seed: int) -> int:
    """MurmurHash2 as debuggers' clients compute it, byte by byte."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = seed ^ len(data)
    for at in range(0, len(data), 4):
        piece = data[at : at + 4]
        word = sum(byte << 8 * place for place, byte in enumerate(piece))
        if len(piece) == 4:
            word = word * factor & mask
            value = (value * factor & mask) ^ ((word ^ word >> 24) * factor & mask)
        else:
            value = (value ^ word) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def test_the_hash_of_cell_names(worker: Worker) -> None:
    for data in [*(bytes(range(250 - n, 250)) for n in range(12)), b"\xff" * 7, os.urandom(5000)]:
        for seed in (0, 0xC70F6907, 0xFFFFFFFF):
            assert worker.ok(f"import _husk; print(_husk.murmur2({data!r}, {seed}))") == f"{_murmur2(data, seed)}\n"
