"""Does the cost grow in line with the work? From 10 to 10,000 clients, and to 100,000 messages in one transcript.

Each size is measured in a process of its own, all sizes in turns: ``python -m benchmarks.scaling clients 1000``. What
grows linearly costs the same a piece, whatever the size.
"""

import asyncio
import gc
import json
import subprocess
import sys
import time
import tracemalloc

from benchmarks import broadcast
from benchmarks.measure import Measure, Result
from benchmarks.work import expect, make_app
from tornado_wstest import WebSocketTester, discard

__all__ = ["Clients", "Messages", "TranscriptMemory"]

LENGTH = 1_000
"""Characters of a message in a long transcript. All messages differ."""


async def clients(count):
    """Return the seconds a client that it takes to connect, to get a broadcast, to be silent, and to close.

    Clients with names connect beside up to 1,000 others.
    """
    seconds = {}
    async with WebSocketTester(broadcast.make_app(), transport="memory", timeout=60) as wstest:
        await (await wstest.client()).close()
        lap = _Lap(seconds, count)
        all_clients = [await wstest.client() for _ in range(count)]
        lap("connect")
        await all_clients[0].send("to all")
        for client in all_clients:
            await client.expect("to all")
        lap("broadcast")
        for client in all_clients:
            await client.expect_nothing()
        lap("nothing")
        for client in all_clients:
            await client.close()
        lap("close")
        for number in range(count):
            await wstest.client(name=f"user {number}")
        lap("connect by name")
    return seconds


async def messages(count):
    """Return the seconds a message of so many, sent and received."""
    seconds = {}
    async with WebSocketTester(make_app(), transport="memory", timeout=60) as wstest:
        client = await wstest.client(handshake=discard(1))
        await _echo(client, 10)
        lap = _Lap(seconds, count)
        await _echo(client, count)
        lap("message")
    return seconds


async def memory(count):
    """Return the bytes that stay in memory after so many messages."""
    async with WebSocketTester(make_app(), transport="memory", timeout=60) as wstest:
        client = await wstest.client(handshake=discard(1))
        await _echo(client, 10)
        gc.collect()
        tracemalloc.start()
        await _echo(client, count)
        gc.collect()
        return {"memory": tracemalloc.get_traced_memory()[0]}


async def _echo(client, count):
    for number in range(count):
        text = f"{number:0{LENGTH}}"
        await client.send(text)
        expect(text, await client.receive())


class _Lap:
    def __init__(self, seconds, count):
        self._seconds = seconds
        self._count = count
        self._started = time.perf_counter()

    def __call__(self, name):
        now = time.perf_counter()
        self._seconds[name] = (now - self._started) / self._count
        self._started = now


class Scaled(Measure):
    """Some sizes, each in processes of its own."""

    what = ""
    counts = ()
    rounds = 5

    def run(self, plan):
        """Measure the sizes in turns, with the garbage collector off, and once with it on."""
        took, collected = {}, {}
        counts = self.counts[:-1] if plan.is_quick else self.counts
        # The round before the first is with the collector on.
        for number in range((2 if plan.is_quick else self.rounds) + 1):
            figures, collector = (collected, "on") if number == 0 else (took, "off")
            for count in counts:
                for name, figure in _in_process(self.what, count, collector).items():
                    figures.setdefault(self.label(name, count), []).append(figure)
        return Result(dict(sorted(took.items(), key=_kind)), collected=collected)

    def label(self, name, count):
        """Return the name of a figure."""
        return f"{name}, {count:,}"


def _kind(item):
    return item[0].rpartition(", ")[0]


def _in_process(what, count, collector):
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scaling", what, str(count), collector]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Clients(Scaled):
    """10 to 10,000 clients over memory in one test: what each costs."""

    name = "clients"
    title = "a client of so many"
    what = "clients"
    counts = (10, 100, 1_000, 10_000)
    rounds = 3


class Messages(Scaled):
    """10 to 100,000 messages in one transcript: what each costs, sent, echoed and received."""

    name = "messages"
    title = "a message of so many"
    what = "messages"
    counts = (10, 100, 1_000, 10_000, 100_000)
    rounds = 3


class TranscriptMemory(Scaled):
    """The memory that stays after 10 to 100,000 messages of 1,000 characters, sent and received."""

    name = "transcript"
    title = "memory after so many messages"
    unit = "KiB"
    what = "memory"
    counts = (10, 100, 1_000, 10_000, 100_000)
    rounds = 1

    def run(self, plan):
        """Bytes are counted, and so are the same each time: one process a size."""
        counts = self.counts[:-1] if plan.is_quick else self.counts
        found = {f"{count:,} messages": _in_process(self.what, count, "on")["memory"] / 1024 for count in counts}
        return Result({name: [kilobytes] for name, kilobytes in found.items()})


def main():
    """Measure one size in this process."""
    what = {"clients": clients, "messages": messages, "memory": memory}[sys.argv[1]]
    if sys.argv[3:] != ["on"]:
        gc.disable()
    print(json.dumps(asyncio.run(what(int(sys.argv[2])))))


if __name__ == "__main__":
    main()
