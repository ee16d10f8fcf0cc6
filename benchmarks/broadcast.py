"""A broadcast: one of many clients says something, the app tells everyone, and each receives it.

Over TCP, every client takes two descriptors of this process; where there are too few, those are left out. The memory
a client is that of a fresh process, before and after they connect: ``python -m benchmarks.broadcast memory 1000``.
"""

import contextlib
import json
import resource
import subprocess
import sys

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from benchmarks.measure import Measure, Result
from benchmarks.rounds import alternate
from benchmarks.work import TEXT, AsyncPlayer, expect
from tornado_wstest import WebSocketTester

__all__ = ["Broadcast", "Memory", "Proof", "make_app"]

COUNTS = (10, 100, 1_000, 10_000)


class Everyone(WebSocketHandler):
    """Tells everyone."""

    def open(self):
        """Join."""
        self.settings["members"][self] = None

    def on_close(self):
        """Leave."""
        del self.settings["members"][self]

    def on_message(self, message):
        """Send it to all."""
        for member in self.settings["members"]:
            member.write_message(message)


def make_app():
    """Return an app with a room of its own."""
    return Application([("/", Everyone)], members={})


class Crowd(AsyncPlayer):
    """So many clients of one tool."""

    descriptors = 2
    """How many a client takes."""

    def __init__(self, count):
        self.count = count

    def fits(self):
        """Are there descriptors enough?"""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return self.count * self.descriptors + 100 < most


class Ours(Crowd):
    """Clients of this toolkit."""

    name = "TCP"
    transport = "tcp"

    @contextlib.asynccontextmanager
    async def up(self):
        """Connect all."""
        async with WebSocketTester(make_app(), transport=self.transport, timeout=60) as self.tester:
            self.clients = await self.tester.clients(self.count)
            yield

    async def broadcasts(self, count):
        """Tell everyone."""
        for _ in range(count):
            await self.clients[0].send(TEXT)
            for client in self.clients:
                expect(TEXT, await client.receive())


class OursOverMemory(Ours):
    """Without sockets."""

    name = "memory"
    transport = "memory"
    descriptors = 0


class ByHand(Crowd):
    """Tornado's own client."""

    name = "by hand"

    @contextlib.asynccontextmanager
    async def up(self):
        """Connect all."""
        server = HTTPServer(make_app())
        socket, port = bind_unused_port()
        server.add_socket(socket)
        self.connections = [await websocket_connect(f"ws://127.0.0.1:{port}/") for _ in range(self.count)]
        yield
        for connection in self.connections:
            connection.close()
            expect(None, await connection.read_message())
        server.stop()

    async def broadcasts(self, count):
        """Tell everyone."""
        for _ in range(count):
            self.connections[0].write_message(TEXT)
            for connection in self.connections:
                expect(TEXT, await connection.read_message())


class Aiohttp(Crowd):
    """aiohttp's test client."""

    name = "aiohttp"

    @contextlib.asynccontextmanager
    async def up(self):
        """Connect all."""
        from aiohttp import TCPConnector, web
        from aiohttp.test_utils import TestClient, TestServer

        members = {}

        async def everyone(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            members[socket] = None
            async for message in socket:
                for member in members:
                    await member.send_str(message.data)
            del members[socket]
            return socket

        app = web.Application()
        app.router.add_get("/", everyone)
        server = TestServer(app)
        async with TestClient(server, connector=TCPConnector(limit=0)) as client:
            self.sockets = [await client.ws_connect("/") for _ in range(self.count)]
            yield
            for socket in self.sockets:
                await socket.close()

    async def broadcasts(self, count):
        """Tell everyone."""
        for _ in range(count):
            await self.sockets[0].send_str(TEXT)
            for socket in self.sockets:
                expect(TEXT, await socket.receive_str())


CROWDS = {crowd.name: crowd for crowd in (OursOverMemory, Ours, ByHand, Aiohttp)}


def crowds(count):
    """Return a crowd of each tool for which there are descriptors, and a note on the others."""
    made = [crowd(count) for crowd in CROWDS.values()]
    notes = [f"{crowd.name}: too few descriptors for {count:,} clients" for crowd in made if not crowd.fits()]
    return [crowd for crowd in made if crowd.fits()], notes


def label(crowd):
    """Return a crowd's name in the table."""
    return f"{crowd.name}, {crowd.count:,} clients"


class Broadcast(Measure):
    """A message to all of 10 to 10,000 clients, received by each: a client's share of the time."""

    name = "broadcast"
    title = "broadcast, a client"
    seconds = 0.1

    def run(self, plan):
        """Measure crowd by crowd, those of one size in turns."""
        took, collected, notes = {}, {}, []
        for count in COUNTS[: 3 if plan.is_quick else None]:
            made, left_out = crowds(count)
            notes += left_out
            with contextlib.ExitStack() as stack:
                ways = {label(crowd): _way(stack.enter_context(crowd)) for crowd in made}
                seconds = self.seconds * plan.share
                most = 5 if count > 1_000 else plan.rounds
                passes = ((took, min(plan.rounds, most), False), (collected, min(plan.collected_rounds, 2), True))
                for figures, rounds, collect in passes:
                    for name, times in alternate(ways, rounds=rounds, seconds=seconds, collect=collect).items():
                        figures[name] = [time / count for time in times]
        return Result(took, collected=collected, notes=notes)


def _way(crowd):
    return lambda count: crowd.run(crowd.broadcasts, count)


class Memory(Measure):
    """The memory of a client that has got one broadcast, with the server's end of it: in fresh processes."""

    name = "client_memory"
    title = "memory, a client"
    unit = "KiB"

    def run(self, plan):
        """Measure each crowd by itself."""
        took, notes = {}, []
        counts = [count for count in COUNTS if count >= 100][: 2 if plan.is_quick else None]
        for count in counts:
            made, left_out = crowds(count)
            notes += left_out
            for _ in range(3 if count <= 100 else 1):
                for crowd in made:
                    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.broadcast", crowd.name, str(count)]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    took.setdefault(label(crowd), []).append(json.loads(done.stdout))
        return Result(took, notes=notes)


class Proof(Measure):
    """What it costs to be sure of a broadcast to 1,000 clients over memory: to know who else got what.

    All clients receive a message, whatever it is; or the group expects this one; or a block proves that it reached
    each once and nobody else, and, with ``only=True``, that nothing else did. ``nobody looks`` is the app's own part.
    """

    name = "proof"
    title = "a proven broadcast, 1,000 clients"
    unit = "ms"
    seconds = 0.1
    most_rounds = 5

    def ways(self, stack):
        """Connect a crowd, and look at it in several ways."""
        crowd = stack.enter_context(OursOverMemory(1_000))
        looks = {
            "nobody looks": _settled,
            "receive": _received,
            "expect": _expected,
            "expect_broadcast": _proven,
            "expect_broadcast, only": _proven_alone,
        }
        return {name: _looking(crowd, look) for name, look in looks.items()}, []


def _looking(crowd, look):
    async def again(count):
        for _ in range(count):
            await look(crowd.tester, crowd.clients)

    return lambda count: crowd.run(again, count)


async def _settled(tester, clients):
    await clients[0].send(TEXT)
    await clients.receive_all()


async def _received(tester, clients):
    await clients[0].send(TEXT)
    for client in clients:
        await client.receive()


async def _expected(tester, clients):
    await clients[0].send(TEXT)
    await clients.expect(TEXT)


async def _proven(tester, clients):
    async with tester.expect_broadcast(TEXT, to=clients):
        await clients[0].send(TEXT)


async def _proven_alone(tester, clients):
    async with tester.expect_broadcast(TEXT, to=clients, only=True):
        await clients[0].send(TEXT)


def _resident():
    """Return the KiB that this process has in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024


def main():
    """Print the KiB of a client, in this process."""
    name, count = sys.argv[1], int(sys.argv[2])
    with CROWDS[name](10) as crowd:  # what is loaded for the first client is not the others'
        crowd.run(crowd.broadcasts, 1)
    crowd = CROWDS[name](count)
    crowd.fits()
    before = _resident()
    with crowd:
        crowd.run(crowd.broadcasts, 1)
        print(json.dumps((_resident() - before) / count))


if __name__ == "__main__":
    main()
