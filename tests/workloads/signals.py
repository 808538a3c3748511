# SPDX-License-Identifier: Apache-2.0
"""Signals, timers, and what faulthandler does with them. Handlers are the main thread's."""

import faulthandler
import signal
import tempfile
import threading
import time

seen = []
if threading.current_thread() is threading.main_thread():
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    signal.raise_signal(signal.SIGUSR1)
    assert seen == [signal.SIGUSR1]
    signal.signal(signal.SIGUSR1, before)
    before = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while signal.SIGALRM not in seen:
        time.sleep(0.001)
    signal.signal(signal.SIGALRM, before)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
assert signal.sigtimedwait({signal.SIGUSR2}, 30).si_signo == signal.SIGUSR2
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
with tempfile.TemporaryFile() as file:
    faulthandler.dump_traceback(file)
    file.seek(0)
    assert b"most recent call first" in file.read()
    faulthandler.dump_traceback_later(60, file=file)
    faulthandler.cancel_dump_traceback_later()
