# SPDX-License-Identifier: Apache-2.0
"""System calls by number (x86_64), and the name of what came of a call."""

import ctypes
import errno
import os
import sys
import time

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def name_of(number):
    return errno.errorcode.get(number, str(number))


def call(number, *arguments):
    """ "ok", or the name of the errno. Arguments are numbers, bytes, or ctypes objects."""
    ctypes.set_errno(0)
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    answer = _libc.syscall(ctypes.c_long(number), *given)
    return name_of(ctypes.get_errno()) if answer == -1 else "ok"


def trying(function, *arguments, **named):
    """ "ok", or the name of the errno or of the exception."""
    try:
        function(*arguments, **named)
    except OSError as problem:
        return name_of(problem.errno) if problem.errno else type(problem).__name__
    except Exception as problem:
        return type(problem).__name__
    return "ok"
