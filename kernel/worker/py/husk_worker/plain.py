# SPDX-License-Identifier: Apache-2.0
"""A shell without IPython (under work)."""


class PlainShell:
    is_plain = True

    def __init__(self, runtime: object, cold: object, cell: "int | None") -> None:
        raise NotImplementedError
