"""Channels' ``WebsocketCommunicator``, with a consumer of Channels in front of it."""

import asyncio
import contextlib
import unittest

import django.conf

django.conf.settings.configure()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.testing import WebsocketCommunicator  # noqa: E402

from benchmarks.work import GREETING, TEXT, AsyncPlayer, expect  # noqa: E402


class Greeter(AsyncWebsocketConsumer):
    """Greets, and echoes."""

    async def connect(self):
        """Greet."""
        await self.accept()
        await self.send(text_data=GREETING)

    async def receive(self, text_data=None, bytes_data=None):
        """Send it back."""
        await self.send(text_data=text_data)


APP = Greeter.as_asgi()


async def connect():
    """Return a communicator that has been greeted."""
    communicator = WebsocketCommunicator(APP, "/")
    connected, _ = await communicator.connect()
    expect(True, connected)
    expect(GREETING, await communicator.receive_from())
    return communicator


class Echo(unittest.TestCase):
    """The whole test, in a loop of its own."""

    def test_echo(self):
        """What is said comes back."""
        asyncio.run(self.play())

    async def play(self):
        """The test itself."""
        communicator = await connect()
        await communicator.send_to(text_data=TEXT)
        self.assertEqual(await communicator.receive_from(), TEXT)
        await communicator.disconnect()


class Peer(AsyncPlayer):
    """The communicator."""

    name = "Channels"
    case = Echo

    @contextlib.asynccontextmanager
    async def up(self):
        """A communicator."""
        self.communicator = await connect()
        yield
        await self.communicator.disconnect()

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            await (await connect()).disconnect()

    async def round_trips(self, count):
        """Send, and receive."""
        communicator = self.communicator
        for _ in range(count):
            await communicator.send_to(text_data=TEXT)
            expect(TEXT, await communicator.receive_from())

    async def silences(self, count):
        """Nothing arrives."""
        for _ in range(count):
            expect(True, await self.communicator.receive_nothing())
