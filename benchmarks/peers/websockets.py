"""The client of ``websockets``, against the Tornado app."""

import asyncio
import contextlib
import unittest

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from websockets.asyncio.client import connect

from benchmarks.work import GREETING, TEXT, AsyncPlayer, expect, make_app


@contextlib.contextmanager
def served():
    """Serve the app; yield its URL."""
    server = HTTPServer(make_app())
    socket, port = bind_unused_port()
    server.add_socket(socket)
    yield f"ws://127.0.0.1:{port}/"
    server.stop()


class Echo(unittest.TestCase):
    """The whole test, in a loop of its own."""

    def test_echo(self):
        """What is said comes back."""
        asyncio.run(self.play())

    async def play(self):
        """The test itself."""
        with served() as url:
            async with connect(url) as socket:
                self.assertEqual(await socket.recv(), GREETING)
                await socket.send(TEXT)
                self.assertEqual(await socket.recv(), TEXT)


class Peer(AsyncPlayer):
    """A connection of ``websockets``."""

    name = "websockets"
    case = Echo

    @contextlib.asynccontextmanager
    async def up(self):
        """A server, and a connection that has been greeted."""
        with served() as self.url:
            async with connect(self.url) as self.socket:
                expect(GREETING, await self.socket.recv())
                yield

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            async with connect(self.url) as socket:
                expect(GREETING, await socket.recv())

    async def round_trips(self, count):
        """Send, and receive."""
        socket = self.socket
        for _ in range(count):
            await socket.send(TEXT)
            expect(TEXT, await socket.recv())
