# SPDX-License-Identifier: Apache-2.0
"""The C codec behind one helper process (codec-helper.c)."""

import json
import subprocess
from pathlib import Path
from typing import Any


class Codec:
    """The C codec: one JSON object per line to `codec-helper`, one back."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Runs one operation; bytes values are sent as hexadecimal digits. RuntimeError when the helper died."""
        request = {"op": op} | {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"codec-helper ended with {self._process.wait()} over {request}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> int:
        """Ends the helper; its exit code says whether a sanitizer found something."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()
