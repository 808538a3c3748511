# SPDX-License-Identifier: Apache-2.0
"""Memory that is shared by name, by file, and with children."""
# needs: numpy
# without: restricted (its names are in /dev/shm, which is the machine's)

import mmap
import os
from multiprocessing.shared_memory import ShareableList, SharedMemory

import numpy as np

block = SharedMemory(create=True, size=1 << 20)
array = np.ndarray((1000,), dtype="f8", buffer=block.buf)
array[:] = 1.5
other = SharedMemory(name=block.name)
assert np.ndarray((1000,), dtype="f8", buffer=other.buf).sum() == 1500
del array
other.close()
block.close()
block.unlink()

items = ShareableList([1, "two", 3.0, None])
assert items[1] == "two"
items.shm.close()
items.shm.unlink()

mapped = np.memmap("mapped.bin", dtype="i4", mode="w+", shape=(1000, 1000))
mapped[500] = 7
mapped.flush()
assert np.memmap("mapped.bin", dtype="i4", mode="r", shape=(1000, 1000))[500, 3] == 7

anonymous = mmap.mmap(-1, 8192)
child = os.fork()
if child == 0:
    anonymous[:5] = b"child"
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert anonymous[:5] == b"child"

fd = os.memfd_create("memory")
os.ftruncate(fd, 4096)
with mmap.mmap(fd, 4096) as memory:
    memory[:3] = b"abc"
assert os.pread(fd, 3, 0) == b"abc"
os.close(fd)
