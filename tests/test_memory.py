"""The memory transport beside TCP: bad frames, closes, buffers, HTTP."""

import asyncio
import logging
import os
import struct
import unittest
from unittest import mock

import tornado
from tornado import testing
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.apps.handlers import make_app
from tests.running import run_test
from tornado_wstest import (
    NotSettled,
    UsageError,
    WebSocketHTTPTestCase,
    WebSocketTestCase,
    WebSocketTester,
    WebSocketTestMixin,
)
from tornado_wstest.frames import Opcode, encode_frame
from tornado_wstest.simulation.memory import BUFFER_SIZE, Endpoint, MemoryStream


class Echo(WebSocketHandler):
    """Echoes, and keeps how it was closed."""

    def initialize(self):
        self.ended = None
        self.received = []

    def on_message(self, message):
        self.received.append(message)
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        self.ended = (self.close_code, self.close_reason)


def close_frame(code, reason=b""):
    """Return a close frame as a client sends it."""
    return encode_frame(Opcode.CLOSE, struct.pack("!H", code) + reason)


TEXT = encode_frame(Opcode.TEXT, b"hello")
FRAGMENTS = encode_frame(Opcode.TEXT, b"he", fin=False), encode_frame(Opcode.CONTINUATION, b"llo")
PING = encode_frame(Opcode.PING, b"p")

ECHOED = {
    "fragmented text": b"".join(FRAGMENTS),
    "a ping inside fragments": PING.join(FRAGMENTS),
    "an unmasked frame": encode_frame(Opcode.TEXT, b"hello", masked=False),
}

DROPPED = {
    "invalid UTF-8": encode_frame(Opcode.TEXT, b"\xff"),
    "RSV1 without an extension": encode_frame(Opcode.TEXT, b"hello", rsv=4),
    "a reserved opcode": encode_frame(3, b"hello"),
    "a control frame over 125 bytes": encode_frame(Opcode.PING, b"x" * 126),
    "a fragmented ping": encode_frame(Opcode.PING, b"p", fin=False),
    "a lone continuation": encode_frame(Opcode.CONTINUATION, b"hello"),
    "new data inside fragments": FRAGMENTS[0] + TEXT,
}

TOO_BIG = {
    "a message over the limit": encode_frame(Opcode.TEXT, b"x" * 2000),
    "a declared length of 10**12": encode_frame(Opcode.TEXT, b"", length=10**12),
}

CLOSED = {
    # name: (bytes, the client's code, the handler's code)
    "a close without a code": (encode_frame(Opcode.CLOSE), 1005, None),
    "a close with a payload of one byte": (encode_frame(Opcode.CLOSE, b"\x03"), 1005, None),
    "a close with 999": (close_frame(999), 999, 999),
    "a close with 1005": (close_frame(1005), 1005, 1005),
    "data after a close": (close_frame(1000) + TEXT, 1000, 1000),
}


class FramesOverTCPTest(WebSocketTestCase):
    """What Tornado does with good and bad frames, the same over each transport."""

    ws_transport = "tcp"

    def get_app(self):
        return Application([("/", Echo)], websocket_max_message_size=1000)

    async def test_echoed(self):
        """Unusual frames that are echoed all the same."""
        for name, data in ECHOED.items():
            with self.subTest(name):
                client = await self.ws_client()
                await client.send_raw(data)
                await client.expect("hello")

    async def test_byte_by_byte(self):
        """A frame that comes byte by byte is echoed."""
        client = await self.ws_client()
        for byte in TEXT:
            await client.send_raw(bytes([byte]))
            await self.settle()
        await client.expect("hello")

    async def test_dropped(self):
        """Violations of the protocol drop the connection without a close frame; on_message is not called."""
        for name, data in DROPPED.items():
            with self.subTest(name):
                client = await self.ws_client()
                await client.send_raw(data)
                await client.expect_closed(1006)
                await self.settle()
                self.assertEqual((client.handler.ended, client.handler.received), ((None, None), []))

    async def test_too_big(self):
        """What is too big is closed with 1009."""
        for name, data in TOO_BIG.items():
            with self.subTest(name):
                client = await self.ws_client()
                await client.send_raw(data)
                await client.expect_closed(1009)
                await self.settle()
                self.assertEqual((client.handler.ended, client.handler.received), ((None, None), []))

    async def test_closed(self):
        """Close frames of all kinds, as both sides see them."""
        for name, (data, client_code, handler_code) in CLOSED.items():
            with self.subTest(name):
                client = await self.ws_client()
                await client.send_raw(data)
                await client.expect_closed(client_code)
                await self.settle()
                self.assertEqual((client.handler.ended[0], client.handler.received), (handler_code, []))

    async def test_a_reason_that_is_no_text(self):
        """A close whose reason is no UTF-8 drops the connection; up to 6.4 on_close never runs."""
        client = await self.ws_client()
        level, logger = logging.CRITICAL, logging.getLogger("tornado.application")
        before, logger.level = logger.level, level
        try:
            await client.send_raw(close_frame(1000, b"\xff\xff"))
            await self.settle()
        finally:
            logger.level = before
        expected = (1000, None) if tornado.version_info >= (6, 6) else client.handler.ended
        self.assertEqual((client.handler.ended, client.handler.received), (expected, []))

    async def test_half_a_frame_and_the_end(self):
        """A connection that ends inside a frame reads as no close."""
        client = await self.ws_client()
        await client.send_raw(TEXT[:4])
        await client.abort()
        self.assertEqual((client.close_code, client.handler.ended, client.handler.received), (1006, (None, None), []))

    async def test_the_end_without_a_close(self):
        """A connection that just ends reads as no close."""
        client = await self.ws_client()
        await client.abort()
        self.assertEqual((client.close_code, client.handler.ended), (1006, (None, None)))

    async def test_a_reset(self):
        """A connection that is reset, with bytes unread, reads as no close."""
        client = await self.ws_client()
        handler = client.handler
        stream = handler.ws_connection.stream
        client.pause_reading()
        handler.write_message("never read")
        await self.settle()
        client.connection.protocol.stream.close()
        await self.settle()
        self.assertEqual((client.close_code, handler.ended), (1006, (None, None)))
        self.assertIsInstance(stream.error, ConnectionResetError)

    async def test_a_server_that_drops_with_bytes_unsent(self):
        """What the server had written before it dropped the connection arrives before the end."""
        client = await self.ws_client()
        client.handler.write_message("last words")
        client.handler.ws_connection.stream.close()
        await client.expect("last words")
        await client.expect_closed(1006)


class FramesOverMemoryTest(FramesOverTCPTest):
    """The same over memory."""

    ws_transport = "memory"

    async def test_a_half_close(self):
        """An end that sends no more still reads what comes."""
        client = await self.ws_client()
        client.connection.protocol.stream.shut_down_writing()
        await self.settle()
        self.assertEqual(client.handler.ended, (None, None))
        self.assertEqual(client.close_code, 1006)


class Sender(WebSocketHandler):
    """Sends 4 MB, message by message, and waits for each."""

    def initialize(self):
        self.sent = 0

    async def on_message(self, message):
        for _ in range(400):
            await self.write_message(b"x" * 10_000, binary=True)
            self.sent += 10_000


class SlowReaderTest(WebSocketTestCase):
    """A reader that pauses holds the writer back."""

    ws_transport = "memory"

    def get_app(self):
        return Application([("/", Sender)])

    async def test_a_writer_is_held_back(self):
        """A handler that awaits its writes stops before 1 MB, and goes on when the client reads."""
        client = await self.ws_client()
        client.pause_reading()
        await client.send("go")
        await self.settle()
        self.assertTrue(0 < client.handler.sent < 1_000_000, client.handler.sent)
        client.resume_reading()
        messages = await client.receive_all()
        self.assertEqual((client.handler.sent, sum(map(len, messages))), (4_000_000, 4_000_000))

    async def test_the_buffer_may_be_set(self):
        """ws_server.buffer_size says how many bytes each direction holds."""
        self.ws_server.buffer_size = 1024
        client = await self.ws_client()
        client.pause_reading()
        await client.send("go")
        await self.settle()
        self.assertEqual(client.handler.sent, 0)
        self.assertGreater(client.server_buffer, 8_000)


class HTTPTest(WebSocketHTTPTestCase):
    """HTTP over memory."""

    ws_transport = "memory"

    def get_app(self):
        return make_app()

    async def test_fetch(self):
        """http_fetch goes over memory, with a body in each direction."""
        body = b"x" * 300_000
        self.assertEqual((await self.http_fetch("/ping", method="POST", body=body)).body, body)

    def test_fetch_of_the_base_is_over_tcp(self):
        """The base's own fetch meets the same app over TCP."""
        self.assertEqual(self.fetch("/ping").code, 200)

    async def test_a_connection_of_the_tests_own_is_over_tcp(self):
        """websocket_connect called by the test itself is Tornado's."""
        connection = await websocket_connect(self.ws_server.ws_url("/greeter"))
        self.assertEqual(await connection.read_message(), "hello")
        connection.close()


def play(coroutine_function):
    """Run a coroutine function in a loop of its own; not in debug mode, as `IsolatedAsyncioTestCase` does."""

    def test(self):
        asyncio.run(coroutine_function(self))

    test.__doc__ = coroutine_function.__doc__
    return test


class Everyone(WebSocketHandler):
    """Tells everyone."""

    def open(self):
        self.settings["members"].append(self)

    def on_message(self, message):
        for member in self.settings["members"]:
            member.write_message(message)


class NoDescriptorTest(unittest.TestCase):
    """A connection over memory uses no descriptor."""

    @play
    async def test_a_broadcast_to_five_thousand(self):
        """Five thousand clients get one broadcast each, and then nothing; no descriptor is used."""
        app = Application([("/", Everyone)], members=[])
        # A full garbage collection takes its time with so many, and more on a busy machine.
        async with WebSocketTester(app, transport="memory", timeout=30) as wstest:
            before = len(os.listdir("/proc/self/fd"))
            clients = [await wstest.client() for _ in range(5000)]
            await clients[0].send("to all")
            for client in clients:
                await client.expect("to all")
            for client in clients:
                await client.expect_nothing()
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    @play
    async def test_silence_is_never_wrong(self):
        """Alternating with a real message, expect_nothing is right three thousand times."""
        async with WebSocketTester(make_app(), transport="memory") as wstest:
            client = await wstest.client()
            for number in range(3000):
                await client.expect_nothing()
                await client.send(str(number))
                self.assertEqual(await client.receive_all(), [str(number)])


class BusyTest(WebSocketTestCase):
    """While memory is busy, what the system has is not forgotten."""

    ws_transport = "memory"

    def get_app(self):
        return make_app()

    async def test_a_pipe_is_heard_meanwhile(self):
        """A descriptor that is ready is reported within some turns of the loop, though messages never cease."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        client = await self.ws_client()
        loop.add_reader(read, heard.set)
        os.write(write, b"x")
        for _ in range(20):
            await client.send("foo")
            await client.receive()
        loop.remove_reader(read)
        self.assertTrue(heard.is_set())

    async def test_streams_that_never_rest(self):
        """Two that write to each other for ever keep settle() for as long as it may take, and no longer."""
        selector = asyncio.get_running_loop()._selector
        ends = [Endpoint(selector, BUFFER_SIZE, ("127.0.0.1", port)) for port in (1, 2)]
        ends[0].peer, ends[1].peer = ends[1], ends[0]
        streams = [MemoryStream(end) for end in ends]

        async def answer(stream):
            while True:
                await stream.read_bytes(2)
                stream.write(b"ab")

        tasks = [asyncio.ensure_future(answer(stream)) for stream in streams]
        streams[0].write(b"ab")
        with self.assertRaises(NotSettled):
            await self.settle(timeout=0.05)
        for task, stream in zip(tasks, streams, strict=True):
            task.cancel()
            stream.close()

    async def test_a_server_that_cannot_take_a_connection(self):
        """Both ends are closed again."""
        streams = asyncio.get_running_loop()._selector._streams
        with (
            mock.patch.object(self.ws_server.memory, "_handle_stream", side_effect=ValueError("full")),
            self.assertRaisesRegex(ValueError, "full"),
        ):
            await self.ws_client()
        self.assertEqual(streams, set())


class RefusedTest(unittest.TestCase):
    """What there is not."""

    def test_tls(self):
        """TLS over memory is refused with a sentence."""

        class Case(WebSocketTestMixin, testing.AsyncHTTPSTestCase):
            ws_transport = "memory"

            def get_app(self):
                return make_app()

            async def test_it(self):
                await self.ws_client()

        self.assertIn("there is no TLS over the memory transport", run_test(Case).text)

    def test_a_buffer_size_over_tcp(self):
        """The kernel's buffers are not ours to set."""

        async def main():
            async with WebSocketTester(make_app()) as wstest:
                with self.assertRaisesRegex(UsageError, "for the memory transport"):
                    wstest.server.buffer_size = 10

        asyncio.run(main())

    def test_a_buffer_size_that_is_none(self):
        """A buffer holds a response's headers at least."""

        async def main():
            async with WebSocketTester(make_app(), transport="memory") as wstest:
                for wrong in (0, -1, 1023, "4096", True, None):
                    with self.assertRaisesRegex(UsageError, "a number of bytes"):
                        wstest.server.buffer_size = wrong

        asyncio.run(main())
