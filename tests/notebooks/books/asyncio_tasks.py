# %%
import asyncio
import time

async def fetch(n, delay):
    await asyncio.sleep(delay)
    print("done", n)
    return n * n

await asyncio.gather(fetch(1, 0.03), fetch(2, 0.02), fetch(3, 0.01))
# %%
queue = asyncio.Queue()
async def produce():
    for i in range(4):
        await queue.put(i)
        await asyncio.sleep(0.001)
    await queue.put(None)
task = asyncio.create_task(produce())
items = []
while (item := await queue.get()) is not None:
    items.append(item)
items
# %%
background = asyncio.create_task(fetch(9, 0.05))
print("started")
# %%
await background
# %%
async with asyncio.timeout(1):
    result = await asyncio.to_thread(sum, range(100))
result
# %%
async def stream():
    for i in range(3):
        yield i
[i async for i in stream()]
# %%
server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
reader, writer = await asyncio.open_connection("127.0.0.1", port)
data = await reader.read()
writer.close(); server.close()
data
# %%
process = await asyncio.create_subprocess_shell("echo out; echo err >&2", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
await process.communicate()
# %%
try:
    asyncio.run(asyncio.sleep(0).__await__())
except (RuntimeError, ValueError) as error:
    print(type(error).__name__)
# %%
await asyncio.wait_for(asyncio.sleep(10), 0.01)
