# SPDX-License-Identifier: Apache-2.0
"""A Python side of a few lines, for tests of the core alone."""
