# %%
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

context = multiprocessing.get_context("fork")
parent = os.getpid()

def square(n):
    return n * n

with context.Pool(2) as pool:
    print(pool.map(square, range(6)))
# %%
with ProcessPoolExecutor(2, mp_context=context) as executor:
    results = list(executor.map(square, range(5)))
results
# %%
def child(queue):
    queue.put(("child", os.getpid() != parent))

queue = context.Queue()
process = context.Process(target=child, args=(queue,))
process.start()
answer = queue.get(timeout=10)
process.join()
answer, process.exitcode
# %%
left, right = context.Pipe()
process = context.Process(target=lambda c: c.send([1, "two"]), args=(right,))
process.start()
received = left.recv()
process.join()
received
# %%
counter = context.Value("i", 0)
def add(n):
    for _ in range(n):
        with counter.get_lock():
            counter.value += 1
workers = [context.Process(target=add, args=(50,)) for _ in range(3)]
[w.start() for w in workers]
[w.join() for w in workers]
counter.value
# %%
def fails(n):
    raise ValueError(f"in child {n}")
with context.Pool(1) as pool:
    try:
        pool.map(fails, [1])
    except ValueError as error:
        print("caught", error)
# %%
with ThreadPoolExecutor(4) as executor:
    print(sum(executor.map(square, range(100))))
# %%
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.map(abs, [-1, -2]))
# %%
import subprocess
subprocess.run(["sh", "-c", "exit 3"]).returncode
