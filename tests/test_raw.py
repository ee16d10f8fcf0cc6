"""Plain connections to the app's server."""

import asyncio

from tornado import testing
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import Echo
from tests.running import run_test
from tornado_wstest import ConnectionClosed, MessageTimeout, UsageError, WebSocketTestCase, WebSocketTestMixin
from tornado_wstest.faults import opening_request
from tornado_wstest.frames import Opcode, encode_frame


class Crash(WebSocketHandler):
    """Raises in open()."""

    def open(self):
        raise KeyError("crash")


class Never(RequestHandler):
    """Never answers."""

    async def get(self):
        await asyncio.Event().wait()


def make_app():
    """Return an app with these."""
    return Application([("/", Echo), ("/crash", Crash), ("/never", Never)])


class RawOverTCPTest(WebSocketTestCase):
    """Bytes out, bytes in."""

    ws_transport = "tcp"

    def get_app(self):
        return make_app()

    async def test_a_whole_conversation(self):
        """An opening handshake and a frame, by hand; the answers come as they are."""
        raw = await self.ws_raw()
        await raw.send(opening_request())
        answer = await raw.receive_all()
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "))
        self.assertIn(b"Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".lower(), answer.lower())
        await raw.send(encode_frame(Opcode.TEXT, b"hello"))
        self.assertEqual(await raw.receive_all(), b"\x81\x05hello")
        self.assertEqual((raw.status, raw.closed), (101, False))
        self.assertEqual(raw.handler.received, ["hello"])

    async def test_in_pieces(self):
        """The status is known as soon as its line is there, and belongs to the first answer."""
        raw = await self.ws_raw()
        data = opening_request()
        await raw.send(data[:20])
        self.assertEqual((await raw.receive_all(), raw.status, raw.handler), (b"", None, None))
        await raw.send(data[20:])
        await raw.receive_all()
        self.assertEqual((raw.status, await raw.receive_all()), (101, b""))

    async def test_expect_closed(self):
        """expect_closed() returns what came before the close."""
        raw = await self.ws_raw()
        await raw.send(b"hello\r\n\r\n")
        self.assertEqual(await raw.expect_closed(), b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(raw.closed)

    async def test_expect_closed_but_open(self):
        """One that stays open is told with what came."""
        raw = await self.ws_raw("eve")
        with self.assertRaisesRegex(MessageTimeout, r"^eve waited 0.01 s for a close; no byte is unread\n"):
            await raw.expect_closed(timeout=0.01)
        await raw.send(opening_request())
        with self.assertRaisesRegex(MessageTimeout, r"for a close; b'HTTP/1.1 101 .* is unread\n"):
            await raw.expect_closed(timeout=0.01)
        self.assertTrue(await raw.receive_all())

    async def test_a_server_that_does_not_read(self):
        """What the server does not read is a time-out."""
        raw = await self.ws_raw()
        await raw.send(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        with self.assertRaisesRegex(MessageTimeout, "for the server to read b'x"):
            await raw.send(b"x" * 20_000_000, timeout=0.05)

    async def test_send_after_a_close(self):
        """A connection that is closed sends nothing."""
        raw = await self.ws_raw()
        await raw.send(b"hello\r\n\r\n")
        await raw.expect_closed()
        with self.assertRaisesRegex(ConnectionClosed, "plain connection 1 cannot send b'x': the connection is closed"):
            await raw.send(b"x")

    async def test_close(self):
        """close() returns when the server has seen it; again is nothing."""
        raw = await self.ws_raw()
        await raw.send(opening_request())
        await raw.receive_all()
        handler = raw.handler
        await raw.close()
        await raw.close()
        self.assertEqual((raw.closed, handler.on_close_ran), (True, True))

    async def test_async_with(self):
        """A block closes it, also one that fails."""
        with self.assertRaises(KeyError):
            async with self.ws_raw() as raw:
                raise KeyError
        self.assertTrue(raw.closed)
        async with self.ws_raw() as raw:
            self.assertFalse(raw.closed)
        self.assertTrue(raw.closed)

    async def test_left_open(self):
        """One that is left open is closed when the test ends, and its handler's on_close has run by then."""
        kept = []

        class LeftOpenTest(type(self)):
            async def test_it(self):
                raw = await self.ws_raw()
                await raw.send(opening_request())
                await raw.receive_all()
                kept.extend([raw, raw.handler, self.transcript])

        outcome = await asyncio.to_thread(run_test, LeftOpenTest)
        self.assertEqual(outcome.text, "")
        raw, handler, transcript = kept
        self.assertEqual((raw.closed, handler.on_close_ran), (True, True))
        self.assertNotIn("closed by the server", [event.payload for event in transcript])

    async def test_a_handler_that_crashes(self):
        """An error of a handler is told with the plain connection's name."""
        raw = await self.ws_raw("eve")
        async with self.expect_server_error(KeyError):
            await raw.send(opening_request("/crash"))
        self.assertEqual([event.client for event in self.transcript if event.kind == "error"], ["eve"])

    async def test_refusals_are_not_logged(self):
        """A test that asks for a refusal does not fill the access log with it."""
        raw = await self.ws_raw()
        with self.assertNoLogs("tornado.access"):
            await raw.send(opening_request(method="POST"))
            await raw.receive_all()
        self.assertEqual(raw.status, 405)

    async def test_transcript(self):
        """The transcript has what was sent, what came, and the end."""
        raw = await self.ws_raw("eve")
        await raw.send(b"hello\r\n\r\n")
        await raw.expect_closed()
        self.assertEqual(
            [event.payload for event in self.transcript if event.client == "eve"],
            [
                "a plain connection was opened",
                r"raw bytes sent: b'hello\r\n\r\n'",
                r"raw bytes received: b'HTTP/1.1 400 Bad Request\r\n\r\n'",
                "closed by the server",
            ],
        )

    async def test_bad_input(self):
        """Bytes are bytes, names are names, seconds are seconds."""
        raw = await self.ws_raw("eve")
        with self.assertRaisesRegex(UsageError, r"send\(\) of a plain connection takes bytes, not 'hello'"):
            await raw.send("hello")
        with self.assertRaisesRegex(UsageError, "timeout is a number of seconds above 0, not 0"):
            await raw.send(b"hello", timeout=0)
        with self.assertRaisesRegex(UsageError, "a client's name is a str, not 5"):
            self.ws_raw(5)
        with self.assertRaisesRegex(UsageError, "there is an open client named 'eve' already"):
            self.ws_raw("eve")
        self.assertEqual(await raw.receive_all(), b"")

    async def test_server_that_is_down(self):
        """While the server is down, a plain connection is refused with a sentence, too."""
        restarting = asyncio.create_task(self.ws_server.restart(downtime=0.05))
        await asyncio.sleep(0)
        with self.assertRaisesRegex(ConnectionClosed, "plain connection 1 cannot connect: nothing listens at http://"):
            await self.ws_raw()
        await restarting
        self.assertFalse((await self.ws_raw()).closed)


class RawOverMemoryTest(RawOverTCPTest):
    """The same over memory."""

    ws_transport = "memory"


class RawOverTLSTest(WebSocketTestMixin, testing.AsyncHTTPSTestCase):
    """A plain connection to a server with TLS is inside of TLS."""

    def get_app(self):
        return make_app()

    async def test_status(self):
        """Bytes are encrypted on the way."""
        raw = await self.ws_raw()
        await raw.send(opening_request())
        await raw.receive_all()
        self.assertEqual(raw.status, 101)
