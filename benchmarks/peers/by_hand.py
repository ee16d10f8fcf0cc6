"""Tornado by hand: a test case with a server of its own, and Tornado's client, as one finds it in blog posts.

The test leaves its connection to the end of the loop, as they do, and pays nothing for a closing handshake, nor
for knowing that the handler's ``on_close`` ran.
"""

import asyncio
import contextlib

from tornado.httpserver import HTTPServer
from tornado.testing import AsyncTestCase, bind_unused_port, gen_test
from tornado.websocket import websocket_connect

from benchmarks.work import GREETING, TEXT, AsyncPlayer, expect, make_app


class Echo(AsyncTestCase):
    """The whole test."""

    def setUp(self):
        """Start a server."""
        super().setUp()
        self.server = HTTPServer(make_app())
        socket, self.port = bind_unused_port()
        self.server.add_socket(socket)

    async def connect(self):
        """Connect, and drop the greeting."""
        connection = await websocket_connect(f"ws://127.0.0.1:{self.port}/")
        await connection.read_message()
        return connection

    @gen_test
    async def test_echo(self):
        """What is said comes back."""
        connection = await self.connect()
        connection.write_message(TEXT)
        self.assertEqual(await connection.read_message(), TEXT)


class Peer(AsyncPlayer):
    """``write_message`` and ``read_message``."""

    name = "by hand"
    case = Echo

    @contextlib.asynccontextmanager
    async def up(self):
        """A server, and a connection that has been greeted."""
        server = HTTPServer(make_app())
        socket, port = bind_unused_port()
        server.add_socket(socket)
        self.url = f"ws://127.0.0.1:{port}/"
        self.connection = await websocket_connect(self.url)
        expect(GREETING, await self.connection.read_message())
        yield
        self.connection.close()
        server.stop()
        await asyncio.sleep(0.01)

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            connection = await websocket_connect(self.url)
            expect(GREETING, await connection.read_message())
            connection.close()
            expect(None, await connection.read_message())

    async def round_trips(self, count):
        """Write, and read."""
        connection = self.connection
        for _ in range(count):
            connection.write_message(TEXT)
            expect(TEXT, await connection.read_message())
