# SPDX-License-Identifier: Apache-2.0
"""What programs ask of the system that they run on, and of the interpreter."""

import ctypes
import getpass
import importlib.metadata
import locale
import os
import pathlib
import platform
import random
import resource
import secrets
import ssl
import sys
import sysconfig
import threading
import time
import uuid
import warnings
import zoneinfo

assert platform.system() == "Linux" and platform.release() and platform.python_version()
assert getpass.getuser()
assert pathlib.Path.home().is_absolute()
assert os.cpu_count() >= 1
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert ctypes.CDLL(None).getpid() == os.getpid()
assert len(secrets.token_bytes(32)) == len(os.urandom(32)) == 32
assert uuid.uuid1() != uuid.uuid4()
random.seed()
assert zoneinfo.ZoneInfo("UTC").key == "UTC"
assert time.localtime().tm_year >= 2026
assert locale.setlocale(locale.LC_ALL, "C.UTF-8")
assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
assert sysconfig.get_path("stdlib")
list(importlib.metadata.distributions())
assert os.path.exists(f"/proc/self/task/{threading.get_native_id()}") or not os.path.exists("/proc/self/task")
assert sys.getswitchinterval() > 0
try:
    import psutil

    open("/proc/meminfo").close()
except (ImportError, OSError):
    psutil = None  # not there, or nothing for it to read
with warnings.catch_warnings():
    warnings.simplefilter("error")
    if psutil:
        assert abs(psutil.Process().create_time() - time.time()) < 1000
        assert psutil.virtual_memory().total > 0 and psutil.swap_memory().total >= 0
        assert psutil.cpu_percent() >= 0 and psutil.cpu_count() >= 1 and psutil.boot_time() > 0
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(30)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("ready", flush=True)
