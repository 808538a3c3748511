# SPDX-License-Identifier: Apache-2.0
"""The Python side of a worker: `boot.main()` serves the link until it ends (specs/link.md).

What runs before the first cell imports nothing that the interpreter has not loaded already: each import there is paid
by every cold start. Heavy modules are imported inside the functions that need them.
"""
