# SPDX-License-Identifier: Apache-2.0
"""What the benchmark reports: the quantities, which way is better, and the goals."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A bound: on the ratio of medians to a peer (how many times better), or on husk's own median when peer is None."""

    value: float
    peer: str | None = "ipykernel"
    stretch: float | None = None


@dataclass(frozen=True)
class Quantity:
    """One row of the table. `measurement` is the name that bench-client knows; `name` the series that it prints."""

    name: str
    label: str
    measurement: str
    higher_is_better: bool = False
    goals: tuple[Goal, ...] = ()


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("spawn_info", "cold spawn to kernel_info_reply", "spawn_plain", goals=(Goal(20),)),
    Quantity("spawn_plain", "cold spawn to the reply of 1+1", "spawn_plain", goals=(Goal(12, stretch=16),)),
    Quantity("spawn_plain_cpu", "  CPU time of it", "spawn_plain"),
    Quantity(
        "spawn_ipython",
        "cold spawn to the reply of %time 1",
        "spawn_ipython",
        goals=(Goal(2.2, stretch=2.6), Goal(1, "xeus-python")),
    ),
    Quantity("spawn_ipython_cpu", "  CPU time of it", "spawn_ipython"),
    Quantity("plain", "1+1 to reply and idle", "plain", goals=(Goal(15, stretch=18), Goal(2, "xeus-raw"))),
    Quantity("plain_cpu", "  CPU time of it, per request", "plain"),
    Quantity("magic", "%time 1 to reply and idle", "magic", goals=(Goal(6),)),
    Quantity("magic_cpu", "  CPU time of it, per request", "magic"),
    Quantity("dataframe", "small DataFrame to reply and idle", "dataframe", goals=(Goal(2),)),
    Quantity("dataframe_cpu", "  CPU time of it, per request", "dataframe"),
    Quantity("error", "1/0 with its traceback", "error", goals=(Goal(3),)),
    Quantity("error_cpu", "  CPU time of it, per request", "error"),
    Quantity("complete", "complete df.co", "complete", goals=(Goal(1.5),)),
    Quantity("complete_cpu", "  CPU time of it, per request", "complete"),
    Quantity("inspect", "inspect print", "inspect", goals=(Goal(2),)),
    Quantity("inspect_cpu", "  CPU time of it, per request", "inspect"),
    Quantity("kernel_info", "kernel_info on shell", "kernel_info", goals=(Goal(15),)),
    Quantity("kernel_info_cpu", "  CPU time of it, per request", "kernel_info"),
    Quantity("print", "1,000,000 times print(i)", "print", goals=(Goal(12),)),
    Quantity("print_messages", "  messages of it", "print"),
    Quantity("lines", "100 MB in 100-byte lines", "lines", higher_is_better=True, goals=(Goal(250, None),)),
    Quantity("lines_messages", "  messages of it", "lines"),
    Quantity("chunks", "100 MB in writes of 1 MB", "chunks", higher_is_better=True, goals=(Goal(250, None),)),
    Quantity("chunks_messages", "  messages of it", "chunks"),
    Quantity("interrupt_signal", "interrupt of Python code by signal", "interrupt_signal", goals=(Goal(2, None),)),
    Quantity("interrupt_message", "interrupt of Python code by message", "interrupt_message", goals=(Goal(2, None),)),
    Quantity("fanout", "8 clients: 2 MB of prints seen by all", "fanout", goals=(Goal(4),)),
    Quantity("shutdown", "shutdown_request to all processes gone", "shutdown", goals=(Goal(20, None),)),
    Quantity("idle_pss", "PSS, idle, IPython used once", "idle", goals=(Goal(1 / 0.8),)),
    Quantity("idle_rss", "  RSS of it", "idle"),
    Quantity("idle_threads", "  threads of it", "idle"),
    Quantity("idle_wakeups", "wake-ups while idle", "idle", goals=(Goal(0, None),)),
)

# Counts of one round; (full, quick).
COUNTS: dict[str, tuple[int, int]] = {
    "spawn_plain": (6, 3),
    "spawn_ipython": (6, 3),
    "plain": (300, 100),
    "magic": (200, 60),
    "dataframe": (60, 20),
    "error": (60, 20),
    "complete": (30, 10),
    "inspect": (60, 20),
    "kernel_info": (200, 60),
    "print": (1, 1),
    "lines": (1, 1),
    "chunks": (2, 1),
    "interrupt_signal": (10, 5),
    "interrupt_message": (10, 5),
    "fanout": (3, 1),
    "shutdown": (3, 2),
    "idle": (1, 1),
}
