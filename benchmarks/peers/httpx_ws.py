"""httpx-ws, over its transport for ASGI apps."""

import asyncio
import contextlib
import unittest

import httpx
from httpx_ws import aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport

from benchmarks.work import GREETING, TEXT, AsyncPlayer, asgi_app, expect

URL = "http://test/"


class Echo(unittest.TestCase):
    """The whole test, in a loop of its own."""

    def test_echo(self):
        """What is said comes back."""
        asyncio.run(self.play())

    async def play(self):
        """The test itself."""
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(asgi_app)) as client:
            async with aconnect_ws(URL, client) as socket:
                self.assertEqual(await socket.receive_text(), GREETING)
                await socket.send_text(TEXT)
                self.assertEqual(await socket.receive_text(), TEXT)


class Peer(AsyncPlayer):
    """A session of httpx-ws."""

    name = "httpx-ws"
    case = Echo

    @contextlib.asynccontextmanager
    async def up(self):
        """A client, and a session that has been greeted."""
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(asgi_app)) as self.client:
            async with aconnect_ws(URL, self.client) as self.socket:
                expect(GREETING, await self.socket.receive_text())
                yield

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            async with httpx.AsyncClient(transport=ASGIWebSocketTransport(asgi_app)) as client:
                async with aconnect_ws(URL, client) as socket:
                    expect(GREETING, await socket.receive_text())

    async def round_trips(self, count):
        """Send, and receive."""
        socket = self.socket
        for _ in range(count):
            await socket.send_text(TEXT)
            expect(TEXT, await socket.receive_text())
