# SPDX-License-Identifier: Apache-2.0
"""Pools of processes by each start method, of threads, and what is shared between processes by managers and queues."""
# without: restricted (semaphores have names in /dev/shm, forkserver and managers listen on unix sockets)

import math
import multiprocessing
import operator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def main():
    expected = [math.sqrt(i) for i in range(50)]
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            assert pool.map(math.sqrt, range(50)) == expected
            assert pool.apply_async(operator.add, (1, 2)).get(30) == 3
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(math.sqrt, range(50))) == expected
        queue = context.Queue()
        process = context.Process(target=queue.put, args=("hello",))
        process.start()
        assert queue.get(timeout=30) == "hello"
        process.join(30)
        assert process.exitcode == 0
        with context.Lock(), context.Semaphore(2), context.RLock():
            value = context.Value("i", 3)
            array = context.Array("d", [1.0, 2.0])
            assert value.value == 3 and sum(array) == 3.0
    with ThreadPoolExecutor(8) as executor:
        assert list(executor.map(math.sqrt, range(50))) == expected
    with multiprocessing.Manager() as manager:
        shared = manager.dict(a=1)
        process = multiprocessing.Process(target=shared.update, args=({"b": 2},))
        process.start()
        process.join(30)
        assert dict(shared) == {"a": 1, "b": 2}
    here, there = multiprocessing.Pipe()
    there.send([1, 2, 3])
    assert here.recv() == [1, 2, 3]


if __name__ == "__main__":
    main()
