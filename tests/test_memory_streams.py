"""A memory stream beside Tornado's own over TCP: the same reads, the same ends, heard of at the same time."""

import asyncio
import contextvars
import socket
import unittest

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, StreamBufferFullError, StreamClosedError

from tornado_wstest.simulation.memory import BUFFER_SIZE, Endpoint, MemoryStream
from tornado_wstest.simulation.selector import WatchingSelector


class StreamsOverTCPTest(unittest.IsolatedAsyncioTestCase):
    """What Tornado's streams do."""

    async def asyncSetUp(self):
        self.ours, self.theirs = self.connect()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        late = asyncio.get_running_loop().call_later(10, self.give_up)
        self.addCleanup(late.cancel)

    def give_up(self):
        """End a read that would wait for ever: it fails, and the test with it."""
        self.ours.close()
        self.theirs.close()

    def connect(self, **options):
        """Return both ends of a connection."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
        return IOStream(ours, **options), IOStream(theirs)

    async def pass_turns(self):
        """Let whatever is ready happen."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def waiting(self, count):
        """Return a read that waits."""
        reading = asyncio.ensure_future(self.ours.read_bytes(count))
        await self.pass_turns()
        self.assertFalse(reading.done())
        return reading

    async def test_what_comes_in_pieces(self):
        """A read waits for its last byte."""
        reading = await self.waiting(4)
        self.assertTrue(self.ours.reading())
        await self.theirs.write(b"ab")
        await self.pass_turns()
        self.assertFalse(reading.done())
        await self.theirs.write(b"cdef")
        self.assertEqual(await reading, b"abcd")
        self.assertFalse(self.ours.reading())
        self.assertEqual(await self.ours.read_bytes(2), b"ef")

    async def test_what_is_there(self):
        """What has arrived is read without a turn of the loop; nothing is always there."""
        await self.theirs.write(b"abcdef")
        await self.pass_turns()
        for count, expected in ((2, b"ab"), (0, b""), (4, b"cdef"), (0, b"")):
            reading = self.ours.read_bytes(count)
            self.assertTrue(reading.done())
            self.assertEqual(await reading, expected)

    async def test_a_part(self):
        """``partial`` takes what there is."""
        reading = asyncio.ensure_future(self.ours.read_bytes(10, partial=True))
        await self.pass_turns()
        await self.theirs.write(b"ab")
        self.assertEqual(await reading, b"ab")

    async def test_more_than_the_buffers_hold(self):
        """A read may be longer than what is on the way at any time."""
        sent = bytes(range(256)) * 2000
        writing = self.theirs.write(sent)
        self.assertEqual(await self.ours.read_bytes(len(sent)), sent)
        await writing

    async def test_more_than_is_read_at_once(self):
        """What has arrived and was not read yet is not forgotten."""
        sent = bytes(range(256)) * 2400
        reading = await self.waiting(2)
        writing = self.theirs.write(sent)
        await reading
        await self.pass_turns()
        await self.ours.read_bytes(300_000)
        self.assertEqual(await self.ours.read_bytes(len(sent) - 300_002), sent[300_002:])
        await writing

    async def test_with_other_reads(self):
        """What one read has left is there for the next one, of whatever kind."""
        reading = await self.waiting(1)
        await self.theirs.write(b"ab\r\ncdef")
        self.assertEqual(await reading, b"a")
        self.assertEqual(await self.ours.read_until(b"\r\n"), b"b\r\n")
        self.assertEqual(await self.ours.read_bytes(1), b"c")
        buffer = bytearray(2)
        self.assertEqual(await self.ours.read_into(buffer), 2)
        self.assertEqual(bytes(buffer), b"de")
        reading = asyncio.ensure_future(self.ours.read_until_close())
        await self.pass_turns()
        self.theirs.close()
        self.assertEqual(await reading, b"f")

    async def test_two_reads_at_once(self):
        """The second one is an error, and the first goes on; also if nobody waits for it any more."""
        reading = await self.waiting(2)
        with self.assertRaisesRegex(AssertionError, "Already reading"):
            await self.ours.read_bytes(1)
        with self.assertRaisesRegex(AssertionError, "Already reading"):
            await self.ours.read_until(b"x")
        reading.cancel()
        await self.pass_turns()
        await self.theirs.write(b"abcd")
        await self.pass_turns()
        self.assertEqual(await self.ours.read_bytes(2), b"cd")

    async def test_an_end_inside(self):
        """A read that the end comes into fails; what came before it is gone with the stream."""
        reading = await self.waiting(4)
        await self.theirs.write(b"ab")
        self.theirs.close()
        with self.assertRaises(StreamClosedError):
            await reading
        self.assertTrue(self.ours.closed())

    async def test_an_end_before(self):
        """What has arrived before the end is read, and then there is the end."""
        await self.theirs.write(b"ab")
        self.theirs.close()
        await self.pass_turns()
        self.assertEqual(await self.ours.read_bytes(2), b"ab")
        with self.assertRaises(StreamClosedError):
            await self.ours.read_bytes(1)
        self.assertTrue(self.ours.closed())

    async def test_a_reset(self):
        """A read that a reset comes into fails."""
        reading = await self.waiting(4)
        await self.ours.write(b"unread")
        await self.pass_turns()
        self.theirs.close()
        with self.assertRaises(StreamClosedError):
            await reading

    async def test_own_close(self):
        """A read that waits ends with the stream."""
        reading = await self.waiting(4)
        self.ours.close()
        with self.assertRaises(StreamClosedError):
            await reading
        with self.assertRaises(StreamClosedError):
            await self.ours.read_bytes(1)

    async def test_what_was_there_at_the_own_close(self):
        """What came together with what somebody waited for can be read after the stream is closed."""
        reading = await self.waiting(2)
        await self.theirs.write(b"abcdef")
        self.assertEqual(await reading, b"ab")
        self.ours.close()
        self.assertEqual(await self.ours.read_bytes(4), b"cdef")
        with self.assertRaises(StreamClosedError):
            await self.ours.read_bytes(1)

    async def test_nobody_reads_on(self):
        """As long as something is left to read, the end is not heard of; who reads on hears of it."""
        reading = await self.waiting(2)
        await self.theirs.write(b"abcd")
        self.assertEqual(await reading, b"ab")
        self.theirs.close()
        await self.pass_turns()
        self.assertFalse(self.ours.closed())
        self.assertEqual(await self.ours.read_bytes(2), b"cd")
        await self.pass_turns()
        self.assertFalse(self.ours.closed())
        with self.assertRaises(StreamClosedError):
            await self.ours.read_bytes(1)

    async def test_nothing_is_left(self):
        """A stream that has given all there was hears of the end at once."""
        reading = await self.waiting(2)
        await self.theirs.write(b"ab")
        self.assertEqual(await reading, b"ab")
        self.theirs.close()
        await self.pass_turns()
        self.assertTrue(self.ours.closed())

    async def test_a_close_callback(self):
        """Where somebody wants to know, the end is listened for as soon as nothing is left to read."""
        ended = []
        self.ours.set_close_callback(lambda: ended.append("ours"))
        reading = await self.waiting(2)
        await self.theirs.write(b"abcd")
        self.assertEqual(await reading, b"ab")
        self.theirs.close()
        await self.pass_turns()
        self.assertEqual(ended, [])
        self.assertEqual(await self.ours.read_bytes(2), b"cd")
        await self.pass_turns()
        self.assertEqual(ended, ["ours"])

    async def test_the_context_of_a_close_callback(self):
        """It runs where the stream began to listen."""
        place = contextvars.ContextVar("place")
        ended = []
        place.set("here")
        reading = await self.waiting(2)
        place.set("elsewhere")
        self.ours.set_close_callback(lambda: ended.append(place.get()))
        self.theirs.close()
        with self.assertRaises(StreamClosedError):
            await reading
        await self.pass_turns()
        self.assertEqual(ended, ["here"])

    async def test_while_something_is_written(self):
        """Bytes come and go at the same time."""
        sent = b"x" * 4_000_000
        writing = self.ours.write(sent)
        self.assertTrue(self.ours.writing())
        reading = await self.waiting(2)
        await self.theirs.write(b"abc")
        self.assertEqual(await reading, b"ab")
        self.assertEqual(await self.theirs.read_bytes(len(sent)), sent)
        await writing
        self.assertEqual(await self.ours.read_bytes(1), b"c")

    async def test_a_limit_of_the_buffer(self):
        """Who reads more than a stream may hold loses it."""
        ours, theirs = self.connect(max_buffer_size=1000)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        with self.assertLogs("tornado.general", "ERROR"):
            theirs.write(b"x" * 4000)
            with self.assertRaises((StreamBufferFullError, StreamClosedError)):
                await ours.read_bytes(3000)
        self.assertTrue(ours.closed())


class StreamsOverMemoryTest(StreamsOverTCPTest):
    """A memory stream does the same."""

    size = BUFFER_SIZE

    async def asyncSetUp(self):
        self.selector = WatchingSelector(asyncio.get_running_loop(), [], set())
        self.addCleanup(self.selector.uninstall)
        await super().asyncSetUp()

    def connect(self, **options):
        """Return both ends of a connection."""
        ours, theirs = (Endpoint(self.selector, self.size, ("127.0.0.1", port)) for port in (1, 2))
        ours.peer, theirs.peer = theirs, ours
        return MemoryStream(ours, **options), MemoryStream(theirs)

    async def test_who_listens(self):
        """It runs in the context in which it began to listen; what leaves it goes where asyncio sends it."""
        place = contextvars.ContextVar("place")
        told, heard = [], []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

        def listen(fd, events):
            heard.append((place.get(), events))
            self.ours.io_loop.update_handler(fd, 0)
            raise ValueError("oops")

        place.set("here")
        self.ours.io_loop.add_handler(self.ours.fileno(), listen, IOLoop.READ)
        place.set("elsewhere")
        await self.theirs.write(b"a")
        await self.pass_turns()
        self.assertEqual(heard, [("here", IOLoop.READ)])
        self.assertEqual([str(context["exception"]) for context in told], ["oops"])
        self.assertEqual(told[0]["handle"]._context[place], "here")

    async def test_all_is_known(self):
        """This Tornado's streams have what a memory stream reads with."""
        self.assertTrue(self.ours._is_as_known)


class StreamsOverLargeBuffersTest(StreamsOverMemoryTest):
    """More may be there than a stream reads at once."""

    size = 1 << 20


class StreamsOfAnotherTornadoTest(StreamsOverMemoryTest):
    """Where Tornado's streams are made otherwise, Tornado reads."""

    def connect(self, **options):
        """Return both ends of a connection."""
        streams = super().connect(**options)
        for stream in streams:
            stream._is_as_known = False
        return streams

    test_all_is_known = None


if __name__ == "__main__":
    unittest.main()
