# SPDX-License-Identifier: Apache-2.0
"""asyncio: subprocesses, servers of both kinds, threads, timeouts."""
# without: restricted (it serves on sockets)

import asyncio
import sys
import threading


async def serve_and_ask(start, connect):
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await start(answer)
    async with server:
        reader, writer = await connect(server)
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        writer.close()
        await writer.wait_closed()


async def main():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(input()[::-1])", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(b"abc\n")
    assert out == b"cba\n" and process.returncode == 0
    shell = await asyncio.create_subprocess_shell("exec sleep 60")
    shell.kill()
    assert await shell.wait() == -9
    await serve_and_ask(
        lambda f: asyncio.start_server(f, "127.0.0.1", 0),
        lambda s: asyncio.open_connection(*s.sockets[0].getsockname()),
    )
    await serve_and_ask(
        lambda f: asyncio.start_unix_server(f, "server.sock"), lambda s: asyncio.open_unix_connection("server.sock")
    )
    assert await asyncio.to_thread(sum, [1, 2, 3]) == 6
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        pass
    else:
        raise AssertionError("no timeout")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0.001, i)) for i in range(100)]
    assert sum(t.result() for t in tasks) == 4950


# In a thread, for a cell may run in a loop of its own.
failures = []


def run():
    try:
        asyncio.run(main())
    except BaseException as e:
        failures.append(e)


thread = threading.Thread(target=run)
thread.start()
thread.join()
if failures:
    raise failures[0]
