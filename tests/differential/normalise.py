# SPDX-License-Identifier: Apache-2.0
"""Makes transcripts comparable: what differs from run to run gets a name, streams are joined."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import Any

from drive import Message, Transcript

_TIME = r"[\d.,e+]+ ?(?:ns|[µμu]s|ms|s|min|h)\b"
# In order. Everything here differs between two runs of one kernel.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"ipykernel_\d+/\d+\.py", "ipykernel_PID/HASH.py"),
        (r"0x[0-9a-fA-F]{5,}", "0xADDRESS"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "DATE"),
        (rf"CPU times: .*?total: {_TIME}", "CPU times: ..."),
        (rf"Wall time: {_TIME}", "Wall time: ..."),
        (rf"{_TIME} ± {_TIME} per loop \(mean ± std\. dev\. of (\d+) runs?, ([\d,]+) loops? each\)", r"... per loop"),
        (r"The slowest run took [\d.]+ times longer.*\n.*\n", ""),
        (r'_port": \d+', '_port": PORT'),
        (r"thread id: \d+", "thread id: N"),
        (r"skipping \d+ hidden frame\(s\)", "skipping N hidden frame(s)"),
        (r"\bTip: .*", "Tip: ..."),
        (r"Compiler +: .*", "Compiler: ..."),
        (r"Thread-\d+", "Thread-N"),
        (r"\bpid(: |[ =:])\d+", r"pid\1N"),
        (r"(in|after) [\d.]+ seconds", r"\1 N seconds"),
    )
)
_HEX = "[0-9a-f]"
_UUID = re.compile(
    rf"(?<!{_HEX})(?:{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}|{_HEX}{{16}})(?!{_HEX})"
)
# Frames of the kernels' own source: each has its own.
_OWN_FRAME = re.compile(r"^[^ ]*File [^ ]*(/site-packages/ipykernel/|<husk>/)")
_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_IMAGES = ("image/png", "image/jpeg")


class Normaliser:
    """Of one transcript: identifiers are numbered in the order in which they appear."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = sorted(words.items(), key=lambda item: -len(item[0]))
        self._uuids: dict[str, str] = {}

    def _uuid(self, match: re.Match[str]) -> str:
        return self._uuids.setdefault(match[0], f"UUID{len(self._uuids) + 1}")

    def text(self, text: str) -> str:
        for word, name in self._words:
            text = text.replace(word, name)
        text = _UUID.sub(self._uuid, text)
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            if key in _IMAGES:
                return describe_image(value)
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(k): "PORT" if k in _PORTS else self.value(v, k) for k, v in value.items()}
        if isinstance(value, list):
            if key == "traceback":
                value = [frame for frame in value if not _OWN_FRAME.search(frame)]
            return [self.value(v, key) for v in value]
        return value

    def message(self, message: Message) -> dict[str, Any]:
        result = {
            "channel": message.channel,
            "msg_type": message.msg_type,
            "content": self.value(message.content),
            "metadata": self.value(message.metadata),
        }
        if message.channel == "iopub":
            result["topic"] = self.text(message.topic)
        if message.buffers:
            result["buffers"] = [hashlib.sha256(b).hexdigest()[:16] for b in message.buffers]
        return result


def describe_image(text: str) -> str:
    """Base64 images are long; their hash, and for PNG their size, say the same."""
    try:
        data = base64.b64decode(text)
    except ValueError:
        return "(not base64)"
    size = f" {int.from_bytes(data[16:20])}x{int.from_bytes(data[20:24])}" if data.startswith(b"\x89PNG") else ""
    newline = " with line ends" if "\n" in text.strip() else ""
    return f"image{size}{newline} sha256 {hashlib.sha256(data).hexdigest()[:16]}"


def join_streams(messages: list[Message]) -> list[Message]:
    """Between two other messages: one stdout, then one stderr. How text is cut, and how the two streams interleave, is
    a matter of buffers and timers in ipykernel."""
    result: list[Message] = []
    texts: dict[str, str] = {}
    first: dict[str, Message] = {}

    def finish() -> None:
        for name in sorted(texts, reverse=True):
            result.append(replace(first[name], content=first[name].content | {"text": texts[name]}))
        texts.clear()

    for message in messages:
        if message.msg_type != "stream":
            finish()
            result.append(message)
            continue
        name = message.content["name"]
        if name not in texts:
            first[name] = message
        texts[name] = texts.get(name, "") + message.content["text"]
    finish()
    return result


def normalise(transcript: Transcript, words: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """For each cell its messages: iopub in order, then the others (their order against iopub is no one's to know)."""
    normaliser = Normaliser(words)
    result = {}
    for label, messages in transcript.items():
        iopub = join_streams([m for m in messages if m.channel == "iopub"])
        others = sorted((m for m in messages if m.channel != "iopub"), key=lambda m: m.channel)
        result[label] = [normaliser.message(m) for m in iopub + others]
    return result
