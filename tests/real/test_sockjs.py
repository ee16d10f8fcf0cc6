"""sockjs-tornado: a protocol of its own on top of websockets, with a greeting, heartbeats and envelopes.

On its websocket endpoint the server says ``o`` when a session opens, ``h`` when nothing else is to be said,
``a["..."]`` for messages and ``c[code,"reason"]`` before it closes.
"""

import json
import unittest
import warnings

from tornado import testing
from tornado.testing import ExpectLog
from tornado.web import Application

from tornado_wstest import Codec, WebSocketTestCase, WebSocketTestMixin, discard, discard_until

with warnings.catch_warnings():
    # sockjs-tornado decorates its polling handlers with a copy of @asynchronous, which Tornado 6 dropped; the
    # copy still warns when the module is imported.
    warnings.filterwarnings("ignore", "@asynchronous is deprecated", DeprecationWarning)
    try:
        from sockjs.tornado import SockJSConnection, SockJSRouter
    except ImportError:
        raise unittest.SkipTest("sockjs-tornado is not installed: pip install tornado-wstest[real]") from None


def decode(message):
    """Decode ``a["foo"]`` to the list of its messages; what else the server says is its own value."""
    return json.loads(message[1:]) if message[0] == "a" else message


class Echo(SockJSConnection):
    """Echoes, tells everybody, leaves, or fails, as it is told."""

    def on_open(self, request):
        self.room = self.session.server.room
        self.room.add(self)

    def on_message(self, message):
        if message == "leave":
            self.close()
        elif message == "fail":
            raise ValueError("told to fail")
        elif message.startswith("all: "):
            self.broadcast(self.room, message.removeprefix("all: "))
        else:
            self.send(message)

    def on_close(self):
        self.room.remove(self)


class SockJSMixin(WebSocketTestMixin):
    """An echo at ``/echo``."""

    heartbeat_delay = 25

    def get_app(self):
        router = SockJSRouter(Echo, "/echo", {"heartbeat_delay": self.heartbeat_delay})
        self.room = router.room = set()
        return Application(router.urls)


class SessionTests(SockJSMixin):
    """What holds over ws and over wss."""

    handshake = discard_until("o")
    ws_path = "/echo/000/session/websocket"
    ws_codec = Codec(json.dumps, decode)

    async def test_hello(self):
        """The first message is the opening frame, and it is the only one."""
        client = await self.ws_client(handshake=None)
        await client.expect("o")
        await client.expect_nothing()

    async def test_handshake_takes_the_hello(self):
        """After the handshake nothing of it is left."""
        client = await self.ws_client()
        self.assertEqual(client.handshake_messages, ("o",))
        await client.expect_nothing()

    async def test_hello_discarded_by_number(self):
        """One message is one message, whatever it says."""
        client = await self.ws_client(handshake=discard(1))
        self.assertEqual(client.handshake_result, ["o"])

    async def test_echo(self):
        """A message comes back in an envelope, which the codec takes off."""
        client = await self.ws_client()
        await client.send(["foo"])
        await client.expect(["foo"])
        await client.expect_nothing()

    async def test_envelope(self):
        """A text that is expected is the message itself, envelope and all."""
        client = await self.ws_client()
        await client.send('["foo"]')
        await client.expect('a["foo"]')

    async def test_several_messages_in_one(self):
        """Messages that are sent together come back one by one."""
        client = await self.ws_client()
        await client.send(["foo", "bar"])
        await client.expect(["foo"])
        await client.expect(["bar"])

    async def test_empty_message(self):
        """An empty message is ignored, as SockJS wants it."""
        client = await self.ws_client()
        await client.send("")
        await client.expect_nothing()

    async def test_broadcast(self):
        """What is for all reaches each once."""
        clients = [await self.ws_client(f"/echo/000/{name}/websocket", name=name) for name in ("ann", "bob", "eve")]
        await clients[0].send(["all: hi"])
        for client in clients:
            await client.expect(["hi"])
            await client.expect_nothing()

    async def test_close_by_the_server(self):
        """The server says why it closes in a message of its own; its close frame has no code."""
        client = await self.ws_client()
        await client.send(["leave"])
        await client.expect('c[3000,"Go away!"]')
        await client.expect_closed(1005)

    async def test_on_close_of_the_connection_after_close(self):
        """When `close` returns, the connection's on_close has run."""
        client = await self.ws_client()
        self.assertEqual(len(self.room), 1)
        await client.close()
        self.assertEqual(self.room, set())

    async def test_on_close_of_the_connection_after_abort(self):
        """When `abort` returns, too."""
        client = await self.ws_client()
        await client.abort()
        self.assertEqual(self.room, set())

    async def test_exception_of_the_connection(self):
        """sockjs-tornado keeps an exception of on_message to its own log, and drops the websocket."""
        client = await self.ws_client()
        # No server error: it never reaches Tornado.
        with ExpectLog("tornado.general", "WebSocket"):
            await client.send(["fail"])
            await client.expect_closed(1006)

    async def test_info(self):
        """The info page tells that there are websockets."""
        response = await self.http_fetch("/echo/info")
        self.assertEqual(response.code, 200)
        self.assertIs(json.loads(response.body)["websocket"], True)

    async def test_endpoint_without_upgrade(self):
        """A plain request to the websocket's path is refused."""
        with ExpectLog("tornado.access", "400 GET /echo/000/session/websocket"):
            response = await self.http_fetch(self.ws_path)
        self.assertIn(b'Can "Upgrade" only', response.body)

    async def test_path_outside_the_router(self):
        """Where no endpoint is, the opening handshake is refused."""
        with ExpectLog("tornado.access", "404 GET /echo/000/websocket/"):
            await self.expect_rejected("/echo/000/websocket/", status=404)


class PlainTest(SessionTests, WebSocketTestCase):
    """Over ws."""


# By its module's name: pytest collects what is imported, and Tornado 6.3's bases cannot be made without a test.
class SecureTest(SessionTests, testing.AsyncHTTPSTestCase):
    """Over wss."""

    async def test_url_is_secure(self):
        """The clients of these tests speak wss, the pages come over https."""
        self.assertTrue(self.ws_server.ws_url(self.ws_path).startswith("wss:"))
        self.assertTrue(self.get_url("/echo/info").startswith("https:"))


class HeartbeatTest(SockJSMixin, WebSocketTestCase):
    """Heartbeats, a hundred in a second."""

    handshake = discard_until("o")
    ws_path = "/echo/000/session/websocket"
    ws_codec = Codec(json.dumps, decode)
    heartbeat_delay = 0.01

    async def test_heartbeat(self):
        """A quiet session has heartbeats."""
        client = await self.ws_client()
        await client.expect("h")
        await client.expect("h")

    async def test_echo_among_heartbeats(self):
        """`receive` takes the message that matters from among them."""
        client = await self.ws_client()
        await client.expect("h")
        await client.send(["foo"])
        self.assertEqual(await client.receive(["foo"]), 'a["foo"]')

    async def test_ignored_heartbeats(self):
        """What is ignored is nothing; the transcript has it all the same."""
        client = await self.ws_client()
        client.ignore("h")
        await self.until(lambda: [event.payload for event in self.transcript].count("h") > 2)
        await client.send(["foo"])
        await client.expect(["foo"])
        await client.expect_nothing()


class RawTest(SockJSMixin, WebSocketTestCase):
    """The raw endpoint: the same connections, without SockJS' protocol."""

    ws_path = "/echo/websocket"

    async def test_no_hello(self):
        """Nothing is said before the client speaks."""
        client = await self.ws_client()
        await client.expect_nothing()

    async def test_echo(self):
        """Messages come back as they are."""
        client = await self.ws_client()
        await client.send("foo")
        await client.expect("foo")

    async def test_close_by_the_server(self):
        """The close frame is all there is."""
        client = await self.ws_client()
        await client.send("leave")
        await client.expect_closed(1005)

    async def test_broadcast_over_both_endpoints(self):
        """Each gets it in the form of its endpoint."""
        raw = await self.ws_client(name="raw")
        session = await self.ws_client("/echo/000/ann/websocket", name="session", handshake=discard(1))
        await raw.send("all: hi")
        await raw.expect("hi")
        await session.expect('a["hi"]')

    async def test_on_close_of_the_connection_after_close(self):
        """When `close` returns, the connection's on_close has run."""
        client = await self.ws_client()
        self.assertEqual(len(self.room), 1)
        await client.close()
        self.assertEqual(self.room, set())
