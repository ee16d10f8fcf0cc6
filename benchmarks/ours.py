"""This toolkit, over TCP and over memory."""

import contextlib

from benchmarks.work import GREETING, TEXT, AsyncPlayer, expect, make_app
from tornado_wstest import WebSocketTestCase, WebSocketTester, discard


class Ours(AsyncPlayer):
    """The tester and its client, as users have them: with the transcript, and all checks."""

    transport = ""

    @contextlib.asynccontextmanager
    async def up(self):
        """A tester, and a client that has been greeted."""
        async with WebSocketTester(make_app(), transport=self.transport) as self.tester:
            self.client = await self.tester.client(handshake=discard(1))
            yield

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            client = await self.tester.client()
            expect(GREETING, await client.receive())
            await client.close()

    async def round_trips(self, count):
        """Send, and receive."""
        client = self.client
        for _ in range(count):
            await client.send(TEXT)
            expect(TEXT, await client.receive())

    async def silences(self, count):
        """Nothing arrives."""
        client = self.client
        for _ in range(count):
            await client.expect_nothing()


class EchoOverTCP(WebSocketTestCase):
    """The whole test, as the first page of the documentation has it."""

    handshake = discard(1)

    def get_app(self):
        """Return the app."""
        return make_app()

    async def test_echo(self):
        """What is said comes back."""
        client = await self.ws_client()
        await client.send(TEXT)
        self.assertEqual(await client.receive(), TEXT)


class EchoOverMemory(EchoOverTCP):
    """The same, without sockets."""

    ws_transport = "memory"


class OverTCP(Ours):
    """Over TCP."""

    name = "TCP"
    transport = "tcp"
    case = EchoOverTCP


class OverMemory(Ours):
    """Over memory."""

    name = "memory"
    transport = "memory"
    case = EchoOverMemory
