"""Clients that read slowly, and what the server holds for them."""

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import WebSocketTestCase


class News(WebSocketHandler):
    """Tells everyone, and does not look who listens."""

    def open(self):
        self.settings["readers"][self] = None

    def on_message(self, message):
        for reader in list(self.settings["readers"]):
            reader.tell("x" * int(message))

    def tell(self, message):
        """Send without an await: Tornado keeps what cannot be sent."""
        self.write_message(message)

    def on_close(self):
        self.settings["readers"].pop(self, None)


class GuardedNews(News):
    """Counts what is not sent yet, and closes the connection of a reader who is ten messages behind."""

    unsent = 0

    def tell(self, message):
        if self.unsent == 10:
            self.settings["readers"].pop(self, None)
            self.close(1013, "reads too slowly")
            return
        self.unsent += 1
        self.write_message(message).add_done_callback(self.has_been_sent)

    def has_been_sent(self, _):
        self.unsent -= 1


class SlowConsumerTest(WebSocketTestCase):
    """A client that does not read, and what the server holds for it. Over TCP."""

    def get_app(self):
        return Application([("/", News), ("/guarded", GuardedNews)], readers={})

    async def broadcast(self, path, times):
        """Tell two clients 100,000 bytes so many times, while one of them does not read; return both."""
        slow, other = await self.ws_clients(["slow", "other"], path)
        slow.pause_reading()
        for _ in range(times):
            await other.send("100000")
            await other.expect("x" * 100_000)
        return slow, other

    async def test_nothing_is_held_for_a_client_that_reads(self):
        """A buffer is empty when the client keeps up."""
        _, other = await self.broadcast("/", 10)
        self.assertEqual(other.server_buffer, 0)

    async def test_the_buffer_grows(self):
        """A handler that writes without an await lets Tornado keep everything that a client does not read."""
        slow, _ = await self.broadcast("/", 200)
        self.assertGreater(slow.server_buffer, 10_000_000)

    async def test_the_buffer_is_emptied(self):
        """When the client reads again, it gets all of it."""
        slow, _ = await self.broadcast("/", 100)
        slow.resume_reading()
        self.assertEqual((len(await slow.receive_all()), slow.server_buffer), (100, 0))

    async def test_the_buffer_of_a_closed_connection(self):
        """It holds nothing any more."""
        slow, _ = await self.broadcast("/", 100)
        slow.handler.ws_connection.stream.close()
        await self.settle()
        self.assertEqual(slow.server_buffer, 0)

    async def test_a_handler_that_guards_against_it(self):
        """A handler that counts what is not sent holds ten messages for a slow client, however much it is told."""
        slow, other = await self.broadcast("/guarded", 200)
        self.assertLess(slow.server_buffer, 1_100_000)
        self.assertEqual(other.server_buffer, 0)

    async def test_the_slow_client_is_dropped(self):
        """It reads what was sent in time, and then the close with its reason."""
        slow, _ = await self.broadcast("/guarded", 200)
        slow.resume_reading()
        messages = [await slow.receive() for _ in range(len(await self.all_of(slow)))]
        self.assertTrue(0 < len(messages) < 200, len(messages))
        await slow.expect_closed(1013, "reads too slowly")

    async def all_of(self, client):
        """Let everything come to a client, and return it, still unread."""
        await self.settle()
        return client.unread


class SlowConsumerOverMemoryTest(SlowConsumerTest):
    """The same over memory."""

    ws_transport = "memory"


class HundredClientsTest(WebSocketTestCase):
    """A broadcast to 100 clients, one of which is in a tunnel."""

    ws_transport = "memory"
    ws_virtual_time = True

    def get_app(self):
        return Application([("/", News), ("/guarded", GuardedNews)], readers={})

    async def broadcast(self, path):
        """Tell 100 clients 10,000 bytes thirty times over; return the stalled one and the others."""
        clients = await self.ws_clients(100, path)
        stalled, others = clients[0], clients[1:]
        stalled.link.stall()
        for _ in range(30):
            await others[0].send("10000")
            await others.expect("x" * 10_000)
        return stalled, others

    async def test_the_buffer_grows(self):
        """Ninety-nine hear everything; for the hundredth Tornado keeps all but what is on its way."""
        stalled, others = await self.broadcast("/")
        under_way = self.ws_server.buffer_size
        self.assertEqual(stalled.server_buffer, 30 * 10_004 - under_way)
        self.assertEqual({client.server_buffer for client in others}, {0})
        stalled.link.resume()
        self.assertEqual(len(await stalled.receive_all()), 30)

    async def test_a_handler_that_guards_against_it(self):
        """Ninety-nine hear everything; of the hundredth the server is rid a few seconds after it fell behind."""
        stalled, others = await self.broadcast("/guarded")
        self.assertLess(stalled.server_buffer, 11 * 10_004)
        self.assertEqual({client.server_buffer for client in others}, {0})
        self.assertIn(stalled.handler, self.ws_server.handlers)
        await self.clock.advance(5)
        self.assertEqual(self.ws_server.handlers, [client.handler for client in others])
