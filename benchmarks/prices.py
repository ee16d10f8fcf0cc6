"""What each part of the toolkit costs: a round trip with it, and one without."""

import contextlib

from benchmarks import ours
from benchmarks.measure import Measure
from benchmarks.peers import by_hand
from benchmarks.work import GREETING, TEXT, expect, make_app
from tornado_wstest import Event, WebSocketTester, discard

__all__ = ["Prices"]


class Tested(ours.Ours):
    """A round trip of the client, with one thing switched on or off."""

    def __init__(self, transport, *, virtual_time=False, has_transcript=True):
        self.transport = transport
        self._virtual_time = virtual_time
        self._has_transcript = has_transcript

    @contextlib.asynccontextmanager
    async def up(self):
        """A tester, and a client that has been greeted."""
        app = make_app()
        async with WebSocketTester(app, transport=self.transport, virtual_time=self._virtual_time) as self.tester:
            if not self._has_transcript:
                event = Event(0, "", "mark", None)
                self.tester.transcript.record = lambda *args, **kwargs: event
            self.client = await self.tester.client(handshake=discard(1))
            yield


class Settled(Tested):
    """A round trip, after which the app settles."""

    async def round_trips(self, count):
        """Send, receive, and settle."""
        for _ in range(count):
            await self.client.send(TEXT)
            expect(TEXT, await self.client.receive())
            await self.tester.settle()


class TornadosClient(Tested):
    """Tornado's own connection, to a server that is watched."""

    @contextlib.asynccontextmanager
    async def up(self):
        """A tester, and a connection that has been greeted."""
        async with WebSocketTester(make_app(), transport=self.transport) as self.tester:
            self.connection = await self.tester.connect()
            expect(GREETING, await self.connection.read_message())
            yield

    round_trips = by_hand.Peer.round_trips


class Prices(Measure):
    """A round trip with and without the transcript, settling, virtual time, and with Tornado's own client."""

    name = "prices"
    title = "round trip"

    def ways(self, stack):
        """Each on and off."""
        made = {"by hand": by_hand.Peer()}
        for transport, name in (("tcp", "TCP"), ("memory", "memory")):
            made |= {
                name: Tested(transport),
                f"{name}, no transcript": Tested(transport, has_transcript=False),
                f"{name}, settled": Settled(transport),
                f"{name}, virtual time": Tested(transport, virtual_time=True),
                f"{name}, Tornado's client": TornadosClient(transport),
            }
        return {name: _way(stack.enter_context(player)) for name, player in made.items()}, []


def _way(player):
    return lambda count: player.run(player.round_trips, count)
