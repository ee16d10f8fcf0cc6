"""Starlette's ``TestClient``: synchronous, the app in a thread."""

import contextlib
import unittest

from starlette.testclient import TestClient

from benchmarks.work import GREETING, TEXT, Player, asgi_app, expect


class Echo(unittest.TestCase):
    """The whole test."""

    def test_echo(self):
        """What is said comes back."""
        with TestClient(asgi_app).websocket_connect("/") as socket:
            self.assertEqual(socket.receive_text(), GREETING)
            socket.send_text(TEXT)
            self.assertEqual(socket.receive_text(), TEXT)


class Peer(Player):
    """A session of the test client."""

    name = "Starlette"
    case = Echo

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.client = stack.enter_context(TestClient(asgi_app))
            self.socket = stack.enter_context(self.client.websocket_connect("/"))
            expect(GREETING, self.socket.receive_text())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def connections(self, count):
        """Connect, be greeted, close."""
        for _ in range(count):
            with self.client.websocket_connect("/") as socket:
                expect(GREETING, socket.receive_text())

    def round_trips(self, count):
        """Send, and receive."""
        socket = self.socket
        for _ in range(count):
            socket.send_text(TEXT)
            expect(TEXT, socket.receive_text())
