# SPDX-License-Identifier: Apache-2.0
"""Somebody else's kernel beside the one that is attacked: how long its `1 + 1` takes, from a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

PAUSE = 0.03  # seconds between two cells


def quantile(values: list[float], q: float) -> float:
    """The q-th quantile; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


@dataclass
class Meter:
    """The measuring process and what it has written so far."""

    connection: Path
    out: Path
    process: subprocess.Popen[bytes] | None = None
    samples: list[tuple[float, float]] = field(default_factory=list)  # moment, seconds
    _read: int = 0

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, __file__, str(self.connection), str(self.out)])

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def update(self) -> None:
        if self.out.exists():
            text = self.out.read_bytes()[self._read :]
            whole = text[: text.rfind(b"\n") + 1]
            self._read += len(whole)
            self.samples += [tuple(map(float, line.split())) for line in whole.decode().splitlines()]  # type: ignore[misc]

    def between(self, begin: float, end: float) -> list[float]:
        """Durations of the cells that were running in that time."""
        self.update()
        return [seconds for moment, seconds in self.samples if moment + seconds >= begin and moment <= end]

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def main() -> int:
    connection, out = sys.argv[1:3]
    import zmq
    from jupyter_client.session import Session

    info = json.loads(Path(connection).read_text())
    session = Session(key=info["key"].encode(), username="neighbour")
    shell = zmq.Context().socket(zmq.DEALER)
    shell.connect(f"tcp://{info['ip']}:{info['shell_port']}")
    content = {"code": "1 + 1", "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    with Path(out).open("a", buffering=1) as file:
        while True:
            begin = time.monotonic()
            session.send(shell, "execute_request", content)
            shell.poll(30_000)
            end = time.monotonic()
            if shell.poll(0):
                shell.recv_multipart()
            file.write(f"{begin} {end - begin}\n")
            time.sleep(PAUSE)


if __name__ == "__main__":
    sys.exit(main())
