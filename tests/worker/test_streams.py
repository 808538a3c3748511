# SPDX-License-Identifier: Apache-2.0
"""The C text stream, the ring and the pipes (specs/link.md 4)."""

import os
import time

import pytest
from conftest import Start
from link_peer import AT_HEAD, DATA_SIZE, TIMEOUT, Worker


def test_text_of_both_streams_keeps_its_order(worker: Worker) -> None:
    worker.ok("import sys\nfor i in range(3): print(i); print('e', i, file=sys.stderr)")
    assert b"".join(t for _, _, t in worker.texts) == b"0\ne 0\n1\ne 1\n2\ne 2\n"
    assert worker.text(stream=0) == "0\n1\n2\n"


def test_write_returns_the_length_in_characters(worker: Worker) -> None:
    assert worker.ok("import sys; n = sys.stdout.write('äö€𝄞'); print(n)") == "äö€𝄞4\n"


def test_other_types_are_refused_as_by_a_text_file(worker: Worker) -> None:
    text = worker.ok("import sys\ntry:\n    sys.stdout.write(b'x')\nexcept TypeError as e:\n    print(e)")
    assert text == "write() argument must be str, not bytes\n"


def test_lone_surrogates_are_replaced(worker: Worker) -> None:
    assert worker.ok(r"print('a\udc80b\ud800', end='')") == "a\ufffdb\ufffd"
    assert worker.ok(r"print('\ud7ff\ue000', end='')") == "\ud7ff\ue000"


def test_stream_is_a_text_io_base_and_takes_attributes(worker: Worker) -> None:
    text = worker.ok(
        "import io, sys\n"
        "print(isinstance(sys.stdout, io.TextIOBase), isinstance(sys.stdout, io.IOBase))\n"
        "seen = []\n"
        "old = sys.stdout.write\n"
        "sys.stdout.write = lambda s: (seen.append(s), old(s))[1]\n"
        "print('tee')\n"
        "sys.stdout.write = old\n"
        "del sys.stdout.write\n"
        "print(seen, sys.stdout.writable(), sys.stdout.closed)\n"
    )
    assert text == "True True\ntee\n['tee', '\\n'] True False\n"


def test_stream_number_is_checked(worker: Worker) -> None:
    text = worker.ok("import _husk\ntry:\n    _husk.Stream(2)\nexcept ValueError as e:\n    print(e)")
    assert text == "stream number 2 is not 0 (stdout) or 1 (stderr)\n"


def test_text_larger_than_the_ring_arrives_whole(worker: Worker) -> None:
    size = 3 * DATA_SIZE + 17
    text = worker.ok(f"print('é' + 'x' * {size} + 'end')")
    assert len(text) == size + 5
    assert text == "é" + "x" * size + "end\n"


def test_pages_of_the_ring_go_back_when_the_worker_is_idle(worker: Worker) -> None:
    worker.ok(f"print('x' * {3 * DATA_SIZE})")
    deadline = time.monotonic() + TIMEOUT
    while os.fstat(worker.ring.fd).st_blocks * 512 > DATA_SIZE // 4:
        assert time.monotonic() < deadline, os.fstat(worker.ring.fd).st_blocks
        worker.pump(0.01)
    assert worker.ok("print('and on')") == "and on\n"


def test_a_held_frame_leaves_before_the_next_one(worker: Worker) -> None:
    turn = worker.execute("import _husk; _husk.hold(_husk.ERROR, (1, 'held', '', [])); print('x' * 100)")
    assert worker.expect("ERROR")[1] == "held"
    assert worker.reply()[0] == turn


def test_many_marks_do_not_lose_text(worker: Worker) -> None:
    text = worker.ok("import sys\nfor i in range(3000): print(i, file=(sys.stdout, sys.stderr)[i % 2])")
    assert text == "".join(f"{i}\n" for i in range(3000))


def test_a_full_ring_lets_other_threads_run(worker: Worker) -> None:
    """A writer that waits for room does not hold the GIL."""
    worker.execute(
        "import threading, sys\n"
        "done = threading.Event()\n"
        "t = threading.Thread(target=lambda: (sys.stdout.write('y' * (5 << 20)), done.set()))\n"
        "t.start()\n"
        "n = 0\n"
        "while not done.is_set(): n += 1\n"
        "t.join()\n"
        "print('turns', n > 0)"
    )
    # The ring fills while nothing is taken: the head moves on to one ring's size and no further.
    while worker.ring.u64(AT_HEAD) < DATA_SIZE:
        pass
    worker.reply()
    assert worker.text().endswith("yturns True\n")
    assert len(worker.text()) == (5 << 20) + len("turns True\n")


def test_an_interrupt_ends_a_write_that_waits_for_room(worker: Worker) -> None:
    worker.execute("import sys\nwhile True: sys.stdout.write('z' * 100000)")
    while worker.ring.u64(AT_HEAD) < DATA_SIZE:
        pass
    worker.interrupt()
    name = worker.reply()[6][0]
    assert name == "KeyboardInterrupt"


def test_text_belongs_to_the_turn_of_its_context(worker: Worker) -> None:
    worker.ok(
        "import threading\n"
        "def other():\n"
        "    TURN.set(77)\n"
        "    print('theirs')\n"
        "t = threading.Thread(target=other); t.start(); t.join()\n"
        "print('ours')"
    )
    assert worker.text(turn=77) == "theirs\n"
    assert worker.text(turn=1) == "ours\n"


@pytest.mark.parametrize(
    "child",
    [
        "import os; os.system('echo child')",
        "import subprocess; subprocess.run(['echo', 'child'])",
        "import subprocess; p = subprocess.Popen(['echo', 'child']); p.wait()",
        "import os; os.write(1, b'child\\n')",
        "import os\npid = os.fork()\nif pid == 0:\n    os.write(1, b'child\\n'); os._exit(0)\nos.waitpid(pid, 0)",
        "import os\npid = os.fork()\nif pid == 0:\n    print('child'); os._exit(0)\nos.waitid(os.P_PID, pid, os.WEXITED)",
        "import os\npid = os.posix_spawn('/bin/echo', ['echo', 'child'], os.environ)\nos.wait()",
        "import asyncio\nasync def f():\n"
        "    p = await asyncio.create_subprocess_exec('echo', 'child'); await p.wait()\nasyncio.run(f())",
    ],
)
def test_what_a_child_wrote_comes_before_what_is_printed_after_it(worker: Worker, child: str) -> None:
    text = worker.ok(f"print('before')\n{child}\nprint('after')")
    assert text == "before\nchild\nafter\n"


def test_text_of_c_code_is_there_at_the_end_of_the_turn(start: Start) -> None:
    worker = start(env={"PATH": "/usr/bin:/bin"})
    text = worker.ok("import ctypes\nlibc = ctypes.CDLL(None)\nlibc.printf(b'from C %d\\n', 7)\nprint('python')")
    assert text == "python\nfrom C 7\n"
    assert worker.texts[-1][0] == 1


def test_a_child_that_floods_does_not_hold_up_the_turn(worker: Worker) -> None:
    text = worker.ok("import subprocess\nsubprocess.run(['head', '-c', '3000000', '/dev/zero'])\nprint('end')")
    assert len(text) == 3000000 + 4


def test_a_forked_child_writes_to_the_pipe_and_never_to_the_link(worker: Worker) -> None:
    text = worker.ok(
        "import os, _husk\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('in child', _husk.in_child())\n"
        "    for call in (lambda: _husk.send(_husk.EXIT, (1,)), _husk.recv, _husk.pending):\n"
        "        try:\n"
        "            call()\n"
        "        except _husk.Closed as e:\n"
        "            print('closed')\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print(_husk.in_child())"
    )
    assert text == "in child True\nclosed\nclosed\nclosed\nFalse\n"
