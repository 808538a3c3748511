# SPDX-License-Identifier: Apache-2.0
"""Exceptions by which a limit of the kernel ends a cell; made by the core (kernel/worker/exceptions.c)."""

class LimitExceeded(KeyboardInterrupt):
    """A limit of the kernel has been reached.

    what: the limit's name in the kernel's profile, e.g. "wall"; limit, used: seconds, bytes or a number. None in one that the
    kernel has not raised.
    """

    what: str | None
    limit: float | None
    used: float | None

class WallTimeLimitExceeded(LimitExceeded):
    """The cell has run, or waited for input, for as long as it may."""

class CpuTimeLimitExceeded(LimitExceeded):
    """The cell, or the kernel in all its life, has computed for as long as it may."""

class MemoryLimitExceeded(LimitExceeded):
    """The name under which a kernel reports that memory has cost its variables; code gets a MemoryError."""

class OutputLimitExceeded(LimitExceeded):
    """The cell, or the kernel in all its life, has written as much as it may."""
