"""aiohttp's test client and server, over TCP."""

import asyncio
import contextlib
import unittest

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from benchmarks.work import GREETING, TEXT, AsyncPlayer, expect


async def greeter(request):
    """Greet, and echo."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str(GREETING)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


def client_of_app():
    """Return a client of an app on an unused port."""
    app = web.Application()
    app.router.add_get("/", greeter)
    return TestClient(TestServer(app))


class Echo(unittest.TestCase):
    """The whole test, in a loop of its own."""

    def test_echo(self):
        """What is said comes back."""
        asyncio.run(self.play())

    async def play(self):
        """The test itself."""
        async with client_of_app() as client:
            socket = await client.ws_connect("/")
            self.assertEqual(await socket.receive_str(), GREETING)
            await socket.send_str(TEXT)
            self.assertEqual(await socket.receive_str(), TEXT)
            await socket.close()


class Peer(AsyncPlayer):
    """The test client's websocket."""

    name = "aiohttp"
    case = Echo

    @contextlib.asynccontextmanager
    async def up(self):
        """A client, and a websocket that has been greeted."""
        async with client_of_app() as self.client:
            self.socket = await self.client.ws_connect("/")
            expect(GREETING, await self.socket.receive_str())
            yield
            await self.socket.close()

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            socket = await self.client.ws_connect("/")
            expect(GREETING, await socket.receive_str())
            await socket.close()

    async def round_trips(self, count):
        """Send, and receive."""
        socket = self.socket
        for _ in range(count):
            await socket.send_str(TEXT)
            expect(TEXT, await socket.receive_str())
