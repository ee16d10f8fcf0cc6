"""An hour of heartbeats: the app sends one a second, and the test has all of them, in virtual time."""

import contextlib

from tornado.ioloop import PeriodicCallback
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from benchmarks.measure import Measure
from benchmarks.work import AsyncPlayer, expect
from tornado_wstest import WebSocketTester

__all__ = ["Heartbeats"]

HOUR = 3600


class Heart(WebSocketHandler):
    """Beats once a second."""

    def open(self):
        """Begin."""
        self.beat = PeriodicCallback(lambda: self.write_message("beat"), 1000)
        self.beat.start()

    def on_close(self):
        """End."""
        self.beat.stop()


class Listener(AsyncPlayer):
    """A client, for an hour."""

    def __init__(self, transport):
        self.name = self.transport = transport

    @contextlib.asynccontextmanager
    async def up(self):
        """A client, in virtual time."""
        app = Application([("/", Heart)])
        async with WebSocketTester(app, transport=self.transport, virtual_time=True) as self.tester:
            self.client = await self.tester.client()
            yield

    async def hours(self, count):
        """Let hours pass."""
        for _ in range(count):
            await self.tester.clock.advance(HOUR)
            expect(["beat"] * HOUR, await self.client.receive_all())


class Heartbeats(Measure):
    """3,600 heartbeats, a second apart, in virtual time. (By hand, this takes an hour.)"""

    name = "heartbeats"
    title = "an hour of heartbeats"
    unit = "ms"
    most_rounds = 5

    def ways(self, stack):
        """Over memory and over TCP."""
        made = {"TCP": Listener("tcp"), "memory": Listener("memory")}
        return {name: _way(stack.enter_context(listener)) for name, listener in made.items()}, []


def _way(listener):
    return lambda count: listener.run(listener.hours, count)
