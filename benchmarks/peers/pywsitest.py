"""pywsitest, against a Tornado app that speaks JSON, as it can read nothing else.

A play of pywsitest connects, plays and closes, so that there is no round trip apart from a connection.
"""

import asyncio
import contextlib
import unittest

from pywsitest import WSMessage, WSResponse, WSTest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from benchmarks import work
from benchmarks.work import GREETING, TEXT, AsyncPlayer, expect


class Greeter(work.Greeter):
    """Greets with an object."""

    def open(self):
        """Greet."""
        self.write_message({"said": GREETING})


@contextlib.contextmanager
def served():
    """Serve the app; yield its URL."""
    server = HTTPServer(Application([("/", Greeter)]))
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
            test = (
                WSTest(url)
                .with_response(
                    WSResponse().with_attribute("said", GREETING).with_trigger(WSMessage().with_attribute("said", TEXT))
                )
                .with_response(WSResponse().with_attribute("said", TEXT))
            )
            await test.run()
            self.assertTrue(test.is_complete())


class Peer(AsyncPlayer):
    """A play of pywsitest."""

    name = "pywsitest"
    case = Echo

    @contextlib.asynccontextmanager
    async def up(self):
        """A server."""
        with served() as self.url:
            yield

    async def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            test = WSTest(self.url).with_response(WSResponse().with_attribute("said", GREETING))
            await test.run()
            expect(True, test.is_complete())
