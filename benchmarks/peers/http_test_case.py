"""Tornado's ``AsyncHTTPTestCase``, which starts the server, with Tornado's client."""

from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.websocket import websocket_connect

from benchmarks.work import GREETING, TEXT, Player, make_app


class Echo(AsyncHTTPTestCase):
    """The whole test."""

    def get_app(self):
        """Return the app."""
        return make_app()

    @gen_test
    async def test_echo(self):
        """What is said comes back."""
        connection = await websocket_connect(f"ws://127.0.0.1:{self.get_http_port()}/")
        self.assertEqual(await connection.read_message(), GREETING)
        connection.write_message(TEXT)
        self.assertEqual(await connection.read_message(), TEXT)


class Peer(Player):
    """Only the whole test differs from Tornado by hand."""

    name = "AsyncHTTPTestCase"
    case = Echo
