"""What an exact broadcast costs: ``python -m benchmarks.broadcast``.

One of 1,000 clients over the memory transport says something, the server tells it to everyone, and the test

- ``receive``: has each client receive one message, whatever it is
- ``expect``: expects it of the group
- ``expect_broadcast``: proves that it reached each once and nobody else; with ``only=True``, and nothing else did

``tell`` is the same without a look at the messages. All take turns in one process, with the garbage collector off;
each figure is the median of its rounds. With a number as argument there are so many clients.
"""

import asyncio
import gc
import statistics
import sys
import time

from tornado.web import Application

from benchmarks.clients import Everyone
from tornado_wstest import WebSocketTester

CLIENTS = 1_000
ROUNDS = 15
TEXT, VALUE = "to all", {"said": "to all", "by": "client 1"}


async def tell(wstest, clients, message):
    """It has reached everyone, and is unread."""
    await clients[0].send(message)
    await wstest.settle()


async def receive(wstest, clients, message):
    """Each client receives a message, and nobody looks at it."""
    await clients[0].send(message)
    for client in clients:
        await client.receive()


async def expect(wstest, clients, message):
    """The next message of each client is this."""
    await clients[0].send(message)
    await clients.expect(message)


async def expect_broadcast(wstest, clients, message):
    """This reaches each client once, and nobody else."""
    async with wstest.expect_broadcast(message, to=clients):
        await clients[0].send(message)


async def expect_broadcast_only(wstest, clients, message):
    """And nothing else reaches anybody."""
    async with wstest.expect_broadcast(message, to=clients, only=True):
        await clients[0].send(message)


WAYS = (tell, receive, expect, expect_broadcast, expect_broadcast_only)


async def measure(count, message):
    """Return the median of the milliseconds of each way."""
    took = {way: [] for way in WAYS}
    async with WebSocketTester(Application([("/", Everyone)]), transport="memory", timeout=60) as wstest:
        clients = await wstest.clients(count)
        for number in range(ROUNDS + 1):
            for way in WAYS:
                started = time.perf_counter()
                await way(wstest, clients, message)
                if number:  # the first round warms up
                    took[way].append((time.perf_counter() - started) * 1e3)
                await clients.receive_all()
    return {way.__name__: statistics.median(times) for way, times in took.items()}


def main():
    """Print the table: milliseconds, and how many times as long as receiving."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS
    gc.disable()
    print(f"{count:,} clients, ms, and beside receive()")
    for name, message in (("a text", TEXT), ("a JSON object", VALUE)):
        figures = asyncio.run(measure(count, message))
        print(name)
        for way, median in figures.items():
            print(f"    {way:<24} {median:8.1f} {median / figures['receive']:6.2f}")


if __name__ == "__main__":
    main()
