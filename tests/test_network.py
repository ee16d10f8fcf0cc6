"""Links: latency, jitter, bandwidth, stalls and cuts, in virtual and in real time."""

import asyncio
import time
import unittest

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from tests.running import run_test
from tornado_wstest import ConnectionClosed, MessageTimeout, Network, UsageError, WebSocketTestCase, WebSocketTester
from tornado_wstest.frames import Opcode, encode_frame

HALF_A_KILOBYTE = "x" * 496
"""A message of the server's that is 500 bytes with its frame's header."""

CUT_IN_THE_OPENING = "Stream closed|[Cc]onnection (was )?(reset|closed)"


class Echo(WebSocketHandler):
    """Echoes what it is asked to, and keeps what came when, and how it was closed when."""

    def initialize(self):
        self.received = []
        self.ended = None
        self.failed = None

    def on_message(self, message):
        self.received.append((now(), message))
        if message == "quiet ticks":
            return self.tick()
        if not message.startswith("quiet"):
            self.write_message(message)
        return None

    async def tick(self):
        """Write ten times a second until that fails."""
        while self.failed is None:
            await asyncio.sleep(0.1)
            try:
                await self.write_message("tick")
            except WebSocketClosedError:
                self.failed = now()

    def on_close(self):
        self.ended = (now(), self.close_code)


class Page(RequestHandler):
    """HTTP."""

    def get(self):
        self.write("page")


def now():
    """Return the loop's time; under virtual time, what the clock makes of it."""
    return asyncio.get_running_loop().time()


class NetworkTestCase(WebSocketTestCase):
    """An echo over links, in virtual time."""

    ws_transport = "memory"
    ws_virtual_time = True

    def get_app(self):
        return Application([("/", Echo), ("/page", Page)])

    async def asyncSetUp(self):
        self.start = now()

    def since(self, moment=None):
        """Return the seconds since the start, or until a moment of the loop's, to the microsecond."""
        return round((now() if moment is None else moment) - self.start, 6)

    async def slow_client(self, **conditions):
        """Return a client whose link is made slow when it is connected, at 0 s."""
        client = await self.ws_client()
        for name, value in conditions.items():
            setattr(client.link, name, value)
        return client

    def received(self, client):
        """Return what the client's handler got, and when."""
        return [(self.since(moment), message) for moment, message in client.handler.received]


class LatencyTest(NetworkTestCase):
    """Each byte travels for so long."""

    async def test_one_way(self):
        """A message over a link of 0.2 s arrives at 0.2 s."""
        client = await self.slow_client(latency=0.2)
        await client.send("quiet")
        await self.clock.advance(1)
        self.assertEqual(self.received(client), [(0.2, "quiet")])

    async def test_there_and_back(self):
        """A round trip takes twice as long."""
        client = await self.slow_client(latency=0.2)
        await client.send("hello")
        await client.expect("hello")
        self.assertEqual(self.clock.time(), 0.4)

    async def test_ping(self):
        """The seconds of a ping are a round trip."""
        client = await self.slow_client(latency=0.2)
        self.assertEqual(round(await client.ping(), 6), 0.4)

    async def test_many_trips_stay_exact(self):
        """A thousand round trips take a thousand times as long, to the microsecond."""
        client = await self.slow_client(latency=0.0123)
        for _ in range(1000):
            await client.send("hello")
            await client.expect("hello")
        self.assertEqual(self.clock.time(), 24.6)

    async def test_what_is_sent_together_arrives_together(self):
        """Latency is no bandwidth: messages do not wait for each other."""
        client = await self.slow_client(latency=0.2)
        for number in range(100):
            await client.send(f"quiet {number}")
        await self.clock.advance(1)
        self.assertEqual(self.received(client), [(0.2, f"quiet {number}") for number in range(100)])

    async def test_what_is_under_way_has_not_arrived(self):
        """The app settles, and nothing comes, while bytes are under way."""
        client = await self.slow_client(latency=0.2)
        await client.send("hello")
        await client.expect_nothing()
        self.assertEqual((self.received(client), client.link.bytes_under_way), ([], 11))
        self.assertEqual(self.clock.time(), 0)

    async def test_expect_nothing_notes_what_is_under_way(self):
        """The transcript says how far the silence reaches: to the next arrival."""
        client = await self.slow_client(latency=0.2)
        await client.send("hello")
        await client.expect_nothing()
        self.assertEqual(self.transcript[-1].payload, "nothing; the next timer is due in 0.2 s")

    async def test_expect_nothing_over_seconds(self):
        """A silence of some seconds sees what comes in them."""
        client = await self.slow_client(latency=0.2)
        await client.send("hello")
        await client.expect_nothing(seconds=0.399)
        with self.assertRaisesRegex(AssertionError, "hello"):
            await client.expect_nothing(seconds=0.002)

    async def test_shorter_latency_overtakes_nothing(self):
        """What is sent over a link that has become faster arrives after what was sent before."""
        client = await self.slow_client(latency=1)
        await client.send("quiet first")
        client.link.latency = 0.1
        await client.send("quiet second")
        await self.clock.advance(2)
        self.assertEqual(self.received(client), [(1, "quiet first"), (1, "quiet second")])

    async def test_a_link_that_is_fast_again(self):
        """A latency of 0 is none."""
        client = await self.slow_client(latency=1)
        await client.send("hello")
        await client.expect("hello")
        client.link.latency = 0
        await client.send("hello")
        await client.expect("hello")
        self.assertEqual(self.clock.time(), 2)

    async def test_other_clients_are_not_slowed_down(self):
        """A link is one client's."""
        await self.slow_client(latency=0.2)
        other = await self.ws_client()
        await other.send("hello")
        await other.expect("hello")
        self.assertEqual(self.clock.time(), 0)


class BandwidthTest(NetworkTestCase):
    """So many bytes a second, each way."""

    async def test_from_the_server(self):
        """Over 1,000 bytes a second, 500 bytes take 0.5 s."""
        client = await self.slow_client(bandwidth=1000)
        client.handler.write_message(HALF_A_KILOBYTE)
        await client.receive()
        self.assertEqual(self.clock.time(), 0.5)

    async def test_to_the_server(self):
        """The same the other way: 492 bytes of text and 8 of a client's header."""
        client = await self.slow_client(bandwidth=1000)
        await client.send("quiet".ljust(492))
        await self.clock.advance(1)
        self.assertEqual([when for when, _ in self.received(client)], [0.5])

    async def test_one_after_the_other(self):
        """Two messages take twice as long as one."""
        client = await self.slow_client(bandwidth=1000)
        for _ in range(2):
            client.handler.write_message(HALF_A_KILOBYTE)
        times = []
        for _ in range(2):
            await client.receive()
            times.append(self.clock.time())
        self.assertEqual(times, [0.5, 1])

    async def test_each_way_by_itself(self):
        """What goes up does not wait for what comes down."""
        client = await self.slow_client(bandwidth=1000)
        client.handler.write_message("x" * 60_000)
        await client.send("quiet".ljust(492))
        await self.clock.advance(1)
        self.assertEqual([when for when, _ in self.received(client)], [0.5])

    async def test_latency_comes_on_top(self):
        """Bytes leave at the bandwidth, and travel for the latency."""
        client = await self.slow_client(bandwidth=1000, latency=0.2)
        client.handler.write_message(HALF_A_KILOBYTE)
        await client.receive()
        self.assertEqual(self.clock.time(), 0.7)

    async def test_a_long_message_comes_in_segments(self):
        """What is longer than a packet arrives packet by packet."""
        client = await self.slow_client(bandwidth=1460)
        client.handler.write_message("x" * (4 * 1460 - 4))
        left = []
        for _ in range(5):
            left.append(client.link.bytes_under_way)
            await self.clock.advance(1)
        self.assertEqual(left, [5840, 4380, 2920, 1460, 0])

    async def test_a_new_bandwidth_is_for_what_has_not_left(self):
        """Half of a message leaves at 1,000 bytes a second and the other half at 100, also of one that waits."""
        client = await self.slow_client(bandwidth=1000)
        for _ in range(2):
            client.handler.write_message(HALF_A_KILOBYTE)
        await self.clock.advance(0.25)
        client.link.bandwidth = 100
        await client.receive()
        self.assertEqual(self.clock.time(), 0.25 + 2.5)
        await client.receive()
        self.assertEqual(self.clock.time(), 0.25 + 7.5)

    async def test_no_limit_any_more(self):
        """What has not left when the limit goes leaves at once."""
        client = await self.slow_client(bandwidth=1)
        client.handler.write_message(HALF_A_KILOBYTE)
        await self.clock.advance(0.25)
        client.link.bandwidth = None
        await client.receive()
        self.assertEqual(self.clock.time(), 0.25)

    async def test_what_has_left_keeps_its_time(self):
        """A new bandwidth does not bring back what is travelling already."""
        client = await self.slow_client(bandwidth=1000, latency=1)
        client.handler.write_message(HALF_A_KILOBYTE)
        await self.clock.advance(0.75)
        client.link.bandwidth = 1
        await client.receive()
        self.assertEqual(self.clock.time(), 1.5)

    async def test_the_end_comes_after_the_last_byte(self):
        """A connection that the server drops is over for the client when all that was sent has come."""
        client = await self.slow_client(bandwidth=1000)
        client.handler.write_message(HALF_A_KILOBYTE)
        client.handler.ws_connection.stream.close()
        await client.receive()
        await client.expect_closed(1006)
        self.assertEqual(self.clock.time(), 0.5)


class JitterTest(NetworkTestCase):
    """The latency, more or less."""

    async def delays(self, seed, count=50, *, others=False):
        """Return how long each of some messages took, far apart, over a new client's link."""
        network = Network(latency=0.5, jitter=0.5, seed=seed)
        app = Application([("/", Echo)])
        async with WebSocketTester(app, transport="memory", virtual_time=True, network=network) as wstest:
            client, other = await wstest.client(), await wstest.client()
            delays = []
            for _ in range(count):
                sent = now()
                await client.send("quiet")
                if others:
                    await other.send("quiet")
                await wstest.clock.advance(10)
                delays.append(round(client.handler.received[-1][0] - sent, 6))
            return delays

    async def test_within_bounds(self):
        """No delay is more than the latency and the jitter, none less than their difference, and they differ."""
        delays = await self.delays(1, 200)
        self.assertTrue(all(0 <= delay <= 1 for delay in delays), delays)
        self.assertTrue(min(delays) < 0.1 and max(delays) > 0.9, delays)

    async def test_a_seed_repeats_the_delays(self):
        """The same seed gives the same delays, another one others."""
        self.assertEqual(await self.delays(1), await self.delays(1))
        self.assertNotEqual(await self.delays(1), await self.delays(2))

    async def test_others_change_nothing(self):
        """What one client's link does depends on nobody else's traffic."""
        self.assertEqual(await self.delays(1), await self.delays(1, others=True))

    async def test_links_differ(self):
        """Two links of one network have delays of their own."""
        self.network.latency = self.network.jitter = 0.5
        clients = await self.ws_clients(2)
        self.assertNotEqual(*[await client.ping() for client in clients])

    async def test_order_is_kept(self):
        """However late each piece is, none overtakes another, either way."""
        client = await self.slow_client(latency=0.5, jitter=0.5)
        for number in range(200):
            await client.send(str(number))
            await self.clock.advance(0.01)
        self.assertEqual([int(await client.receive()) for _ in range(200)], list(range(200)))
        self.assertEqual([int(message) for _, message in self.received(client)], list(range(200)))


class OpeningTest(NetworkTestCase):
    """The opening handshake over a slow link."""

    ws_network = Network(latency=0.2)

    async def test_two_round_trips(self):
        """As over TCP: one to connect, one for the opening handshake."""
        await self.ws_client()
        self.assertEqual(self.clock.time(), 0.8)

    async def test_a_plain_connection(self):
        """Tornado's own connection goes over a link, too."""
        connection = await self.ws_connect()
        await connection.write_message("hello")
        self.assertEqual((await connection.read_message(), self.clock.time()), ("hello", 1.2))

    async def test_http(self):
        """So does HTTP."""
        self.assertEqual(((await self.http_fetch("/page")).body, self.clock.time()), (b"page", 0.8))

    async def test_a_refusal(self):
        """A refusal takes as long as an answer."""
        await self.expect_rejected("/nowhere", status=404)
        self.assertEqual(self.clock.time(), 0.8)

    async def test_many_at_once(self):
        """Links do not wait for each other."""
        await self.ws_clients(100)
        self.assertEqual(self.clock.time(), 0.8)

    async def test_a_network_that_is_down(self):
        """Over a stalled network nobody connects, and the failure says why."""
        self.network.stall()
        with self.assertRaisesRegex(MessageTimeout, "(?s)within 5 s.*its link is stalled"):
            await self.ws_client(timeout=5)
        self.assertEqual(self.clock.time(), 5)
        self.network.resume()
        client = await self.ws_client()
        await client.send("hello")
        await client.expect("hello")

    async def test_a_stall_while_it_is_opened(self):
        """An opening handshake that a stall interrupts goes on after it."""
        opening = asyncio.ensure_future(self._client())
        await self.clock.advance(0.3)
        self.network.stall()
        await self.clock.advance(100)
        self.network.resume()
        await opening
        self.assertEqual(self.clock.time(), 100.8)

    async def _client(self):
        return await self.ws_client()

    async def test_a_cut_while_it_connects(self):
        """A connection that is cut before there is one is refused, and nothing is left of it."""
        opening = asyncio.ensure_future(self._client())
        await self.clock.advance(0.1)
        self.network.cut()
        with self.assertRaisesRegex(ConnectionClosed, "before the connection was established"):
            await opening
        self.assertEqual(self.ws_server.handlers, [])

    async def test_a_cut_while_it_is_answered(self):
        """One that is cut within the opening handshake fails as Tornado has it."""
        opening = asyncio.ensure_future(self._client())
        await self.clock.advance(0.7)
        self.network.cut()
        with self.assertRaisesRegex(Exception, CUT_IN_THE_OPENING):
            await opening
        await self.settle()
        self.assertEqual(self.ws_server.handlers, [])


class ClosingTest(NetworkTestCase):
    """Closes over a slow link."""

    async def test_the_closing_handshake(self):
        """The server has the close frame after the latency, the client its answer after a round trip."""
        client = await self.slow_client(latency=0.2)
        await client.close(1000)
        self.assertEqual(self.clock.time(), 0.4)
        self.assertEqual((self.since(client.handler.ended[0]), client.handler.ended[1]), (0.2, 1000))

    async def test_the_servers_close(self):
        """A close by the server is seen after the latency."""
        client = await self.slow_client(latency=0.2)
        client.handler.close(4001)
        await client.expect_closed(4001)
        self.assertEqual(self.clock.time(), 0.2)

    async def test_an_abort(self):
        """A connection that the client drops is over for the server after the last byte, and the latency."""
        client = await self.slow_client(latency=0.2)
        await client.send("quiet last")
        await client.abort()
        self.assertEqual(self.received(client), [(0.2, "quiet last")])
        self.assertEqual((self.since(client.handler.ended[0]), client.handler.ended[1]), (0.2, None))

    async def test_bytes_for_a_client_that_has_gone(self):
        """They are answered with a reset: the server, which awaits and sees no end, can write for a round trip."""
        client = await self.slow_client(latency=0.22)
        handler = client.handler
        await client.send("quiet ticks")
        client.connection.protocol.stream.close()
        await self.clock.advance(5)
        # Ticks at 0.32 s, 0.42 s, ...; the first is there at 0.54 s, and the reset at 0.76 s.
        self.assertEqual(self.since(handler.failed), 0.82)

    async def test_unread_bytes_reset_the_connection(self):
        """A client that is closed with bytes unread resets it: the server sees it after the latency."""
        client = await self.slow_client(latency=0.2)
        stream = client.handler.ws_connection.stream
        client.pause_reading()
        client.handler.write_message("never read")
        await self.clock.advance(0.2)
        client.connection.protocol.stream.close()
        await self.clock.advance(0.199)
        self.assertFalse(stream.closed())
        await self.clock.advance(0.001)
        self.assertIsInstance(stream.error, ConnectionResetError)

    async def test_nothing_is_under_way_between_closed_ends(self):
        """When both ends are closed, what nobody will read is forgotten, and sets no timer."""
        client = await self.slow_client(latency=0.2)
        client.handler.write_message("late")
        client.connection.protocol.stream.close()
        client.handler.ws_connection.stream.close()
        await self.settle()
        await client.expect_closed(1006)
        self.assertEqual(client.link.bytes_under_way, 0)
        with self.assertRaisesRegex(UsageError, "no connection to cut"):
            client.link.cut()

    async def test_over_a_stalled_link(self):
        """The server sees no close; the failure says so. It sees it when the link goes on."""
        client = await self.slow_client(latency=0.2)
        client.link.stall()
        with self.assertRaisesRegex(MessageTimeout, r"(?s)on_close did not run within 10 s\n.*stalled link"):
            await client.close(timeout=10)
        self.assertIsNone(client.handler.ended)
        client.link.resume()
        await self.clock.advance(0.2)
        self.assertEqual((self.since(client.handler.ended[0]), client.handler.ended[1]), (10.2, 1000))


class StallTest(NetworkTestCase):
    """A link that stands still."""

    async def test_nothing_arrives(self):
        """Neither way, and for as long as one likes."""
        client = await self.ws_client()
        client.link.stall()
        await client.send("quiet")
        client.handler.write_message("hello")
        await self.clock.advance(3600)
        self.assertEqual((client.unread, self.received(client)), ((), []))

    async def test_all_arrives_when_it_goes_on(self):
        """What was sent meanwhile arrives, in order."""
        client = await self.ws_client()
        client.link.stall()
        for number in range(10):
            await client.send(f"quiet {number}")
        await self.clock.advance(60)
        client.link.resume()
        await self.settle()
        self.assertEqual(self.received(client), [(60, f"quiet {number}") for number in range(10)])

    async def test_it_goes_on_from_where_it_was(self):
        """Half of the way before the stall, half of it after."""
        client = await self.slow_client(latency=0.2)
        await client.send("quiet")
        for _ in range(2):
            await self.clock.advance(0.05)
            client.link.stall()
            await self.clock.advance(60)
            client.link.resume()
        await self.clock.advance(1)
        self.assertEqual(self.received(client), [(120.2, "quiet")])

    async def test_it_sets_no_timer(self):
        """What is under way over a stalled link is due at no time."""
        client = await self.slow_client(latency=0.2)
        await client.send("quiet")
        client.link.stall()
        await client.expect_nothing()
        self.assertEqual(self.transcript[-1].payload, "nothing")

    async def test_a_new_bandwidth_while_it_stands(self):
        """What is set meanwhile counts when it goes on."""
        client = await self.slow_client(bandwidth=1)
        client.handler.write_message(HALF_A_KILOBYTE)
        client.link.stall()
        client.link.bandwidth = 1000
        await self.clock.advance(60)
        self.assertEqual(client.unread, ())
        client.link.resume()
        await client.receive()
        self.assertEqual(self.clock.time(), 60.5)

    async def test_a_wait_says_that_the_link_is_stalled(self):
        """Whoever waits in vain is told why."""
        client = await self.ws_client()
        client.link.stall()
        with self.assertRaisesRegex(MessageTimeout, r"a message \(its link is stalled\)"):
            await client.receive(timeout=2)
        with self.assertRaisesRegex(AssertionError, r"(?s)nothing can ever happen again.*\(its link is stalled\)"):
            await client.receive()

    async def test_the_transcript_has_it(self):
        """What the test did to the link stands between the messages."""
        client = await self.ws_client(name="ann")
        client.link.stall()
        client.link.resume()
        client.link.cut_after(100)
        client.link.cut()
        marks = [(event.client, event.payload) for event in self.transcript if event.kind == "mark"]
        texts = ["link stalled", "link resumed", "link to be cut after 100 bytes", "link cut"]
        self.assertEqual(marks, [("ann", text) for text in texts])

    async def test_the_server_is_held_back(self):
        """The buffers on the way are bounded: beyond them, the server's own grows."""
        self.ws_server.buffer_size = 4096
        client = await self.ws_client()
        client.link.stall()
        for _ in range(100):
            client.handler.write_message("x" * 996)
        self.assertEqual((client.link.bytes_under_way, client.server_buffer), (4096, 100_000 - 4096))
        client.link.resume()
        self.assertEqual((len(await client.receive_all()), client.server_buffer), (100, 0))

    async def test_the_client_is_held_back(self):
        """A client that sends more than the buffers hold is held back, and says so."""
        client = await self.ws_client()
        client.link.stall()
        await client.send("x" * 60_000)
        with self.assertRaisesRegex(MessageTimeout, "its link is stalled"):
            await client.send("y" * 60_000, timeout=1)


class PingTimeoutTest(NetworkTestCase):
    """Tornado's heartbeats over a stalled link."""

    def get_app(self):
        return Application([("/", Echo)], websocket_ping_interval=30, websocket_ping_timeout=30)

    async def test_a_stalled_client_is_dropped(self):
        """The server gives a silent client up after a minute, and its connection five seconds later."""
        client = await self.ws_client()
        client.link.stall()
        await self.clock.advance(100)
        self.assertEqual(self.since(client.handler.ended[0]), 65)
        self.assertFalse(client.closed)

    async def test_a_short_stall_does_no_harm(self):
        """A tunnel of twenty seconds is survived."""
        client = await self.ws_client()
        for _ in range(20):
            client.link.stall()
            await self.clock.advance(20)
            client.link.resume()
            await self.clock.advance(40)
        self.assertFalse(client.closed)


class CutTest(NetworkTestCase):
    """A reset at both ends."""

    async def test_both_ends_see_it(self):
        """At once, however slow the link is, as no close."""
        client = await self.slow_client(latency=10)
        client.link.cut()
        await client.expect_closed(1006)
        await self.settle()
        self.assertEqual((self.since(client.handler.ended[0]), client.handler.ended[1]), (0, None))

    async def test_it_is_a_reset(self):
        """Both streams end with an error."""
        client = await self.ws_client()
        streams = client.handler.ws_connection.stream, client.connection.protocol.stream
        client.link.cut()
        await self.settle()
        self.assertEqual([type(stream.error) for stream in streams], [ConnectionResetError] * 2)

    async def test_what_is_under_way_is_lost(self):
        """Nothing of it ever arrives, either way."""
        client = await self.slow_client(latency=0.2)
        handler = client.handler
        await client.send("quiet")
        handler.write_message("hello")
        client.link.cut()
        await self.clock.advance(10)
        self.assertEqual((handler.received, client.unread, client.link.bytes_under_way), ([], (), 0))

    async def test_what_has_arrived_is_read(self):
        """A message that came before the cut is there."""
        client = await self.ws_client()
        client.handler.write_message("last words")
        client.link.cut()
        await client.expect("last words")
        await client.expect_closed(1006)

    async def test_a_stalled_link_may_be_cut(self):
        """The network is found again, and the connection is not."""
        client = await self.ws_client()
        client.link.stall()
        await client.send("quiet")
        client.link.cut()
        await client.expect_closed(1006)
        await self.settle()
        self.assertEqual(client.handler.received, [])

    async def test_the_server_hears_of_a_client_that_left_over_a_stalled_link(self):
        """A cut also ends the half of a connection whose other half is closed."""
        client = await self.ws_client()
        client.link.stall()
        client.connection.protocol.stream.close()
        await self.settle()
        self.assertIsNone(client.handler.ended)
        client.link.cut()
        await self.settle()
        self.assertEqual(client.handler.ended[1], None)

    async def test_the_test_knows(self):
        """A cut is the test's own doing: silence after it is silence, and closing is nothing new."""
        client = await self.ws_client()
        client.link.cut()
        await client.expect_nothing()
        await client.close()
        with self.assertRaisesRegex(ConnectionClosed, "closed by the test with 1006"):
            await client.receive()

    async def test_closing_waits_for_the_server(self):
        """A close right after a cut returns when on_close has run."""
        client = await self.ws_client()
        client.link.cut()
        await client.close()
        self.assertIsNotNone(client.handler.ended)

    async def test_the_next_connection_is_as_slow(self):
        """The link is the client's: after a reconnect it has the same latency, and works."""
        client = await self.slow_client(latency=0.2)
        client.link.cut()
        await client.expect_closed()
        await client.reconnect()
        self.assertEqual(self.clock.time(), 0.8)
        self.assertEqual(round(await client.ping(), 6), 0.4)

    async def test_a_reconnect_over_a_stalled_link_waits(self):
        """It goes through when the link goes on."""
        client = await self.ws_client()
        await client.close()
        client.link.stall()
        reconnecting = asyncio.ensure_future(client.reconnect())
        await self.clock.advance(60)
        self.assertFalse(reconnecting.done())
        client.link.resume()
        await reconnecting
        self.assertEqual(round(await client.ping(), 6), 0)

    async def test_a_reconnect_that_fails_leaves_nothing(self):
        """A connection that was not established in time is none, also when the link goes on."""
        client = await self.ws_client()
        await client.close()
        client.link.stall()
        with self.assertRaisesRegex(MessageTimeout, "its link is stalled"):
            await client.reconnect(timeout=1)
        client.link.resume()
        await self.settle()
        self.assertFalse(client.link.is_connected)


class CutAfterTest(NetworkTestCase):
    """A reset within a message."""

    async def test_half_a_frame_to_the_server(self):
        """The handler gets no message of which a byte is missing."""
        client = await self.ws_client()
        client.link.cut_after(99)
        await client.send("quiet".ljust(94))
        await client.expect_closed(1006)
        await self.settle()
        self.assertEqual(client.handler.received, [])

    async def test_a_whole_frame_to_the_server(self):
        """It gets the one whose last byte is the last that arrives."""
        client = await self.ws_client()
        client.link.cut_after(100)
        await client.send("quiet".ljust(94))
        await client.expect_closed(1006)
        await self.settle()
        self.assertEqual(len(client.handler.received), 1)

    async def test_from_the_server(self):
        """Both directions count: of three messages, one and a half arrive."""
        client = await self.ws_client()
        client.link.cut_after(750)
        for _ in range(3):
            client.handler.write_message(HALF_A_KILOBYTE)
        await client.expect(HALF_A_KILOBYTE)
        await client.expect_closed(1006)

    async def test_bytes_count_when_they_arrive(self):
        """Over a slow link the cut comes when the last byte does."""
        client = await self.slow_client(bandwidth=1000)
        client.link.cut_after(500)
        for _ in range(2):
            client.handler.write_message(HALF_A_KILOBYTE)
        await client.expect(HALF_A_KILOBYTE)
        await client.expect_closed(1006)
        self.assertEqual(self.clock.time(), 0.5)

    async def test_a_cut_is_the_end_of_it(self):
        """What was to be cut and has been is not cut again after a reconnect."""
        client = await self.ws_client()
        client.link.cut_after(1000)
        client.link.cut()
        await client.expect_closed(1006)
        await client.reconnect()
        for _ in range(10):
            await client.send("hello".ljust(200))
            await client.receive()

    async def test_without_a_connection_it_is_for_the_next(self):
        """A connection to come may be cut within its opening handshake."""
        client = await self.ws_client()
        await client.close()
        client.link.cut_after(50)
        with self.assertRaisesRegex(Exception, CUT_IN_THE_OPENING):
            await client.reconnect()
        self.assertEqual(self.ws_server.handlers, [])

    async def test_bytes_of_before_do_not_count(self):
        """The count begins with the call, and the last call counts."""
        client = await self.ws_client()
        await client.ping()
        client.link.cut_after(5)
        client.link.cut_after(12)
        await client.send_raw(encode_frame(Opcode.TEXT, b"quiet."))
        await client.expect_closed(1006)
        await self.settle()
        self.assertEqual(len(client.handler.received), 1)


class NetworkTest(NetworkTestCase):
    """All links at once."""

    ws_network = Network(latency=0.1, jitter=0.01, bandwidth=10**6, seed=7)

    async def test_links_begin_as_the_network_is(self):
        """What the class says holds for each client."""
        client = await self.ws_client()
        self.assertEqual((client.link.latency, client.link.jitter, client.link.bandwidth), (0.1, 0.01, 10**6))

    async def test_it_is_changed_for_all(self):
        """What is set at the network is set at each link, also at those to come."""
        before = await self.ws_client()
        self.network.jitter = 0
        self.network.latency = 0.5
        self.network.bandwidth = None
        after = await self.ws_client()
        for client in before, after:
            self.assertEqual(round(await client.ping(), 6), 1)

    async def test_a_test_changes_nothing_for_the_next(self):
        """The class's network is a value: a test has its own."""
        self.network.latency = 0.5
        self.assertEqual((type(self).ws_network.latency, self.network.seed), (0.1, 7))

    async def test_a_change_that_one_link_cannot_take_changes_none(self):
        """A latency below the jitter of some link is refused for all."""
        one, other = await self.ws_clients(2)
        other.link.latency = other.link.jitter = 0.2
        with self.assertRaisesRegex(UsageError, "0.2 s is more than 0.15 s"):
            self.network.latency = 0.15
        self.assertEqual(one.link.latency, 0.1)

    async def test_everybody_is_cut(self):
        """All connections are reset, those that are closed already left alone."""
        clients = await self.ws_clients(3)
        await clients[0].close()
        self.network.cut()
        for client in clients[1:]:
            await client.expect_closed(1006)
        self.assertEqual(clients[0].close_code, 1000)

    async def test_everybody_is_stalled(self):
        """No link moves until the network does."""
        clients = await self.ws_clients(3)
        clients[0].link.stall()
        self.network.stall()
        for client in clients:
            await client.send("hello")
        await self.clock.advance(60)
        self.assertEqual([client.unread for client in clients], [()] * 3)
        self.network.resume()
        for client in clients:
            await client.expect("hello")

    def test_the_text(self):
        """A network is shown as the call that makes it."""
        self.assertEqual(repr(type(self).ws_network), "Network(latency=0.1, jitter=0.01, bandwidth=1000000, seed=7)")


class IdleNetworkTest(NetworkTestCase):
    """Links that nobody touches."""

    async def test_the_text(self):
        """A link says how it is."""
        client = await self.ws_client(name="ann")
        client.link.stall()
        await client.send("hello")
        text = "<Link of ann: latency 0 s, jitter 0 s, bandwidth None, stalled, 11 bytes under way>"
        self.assertEqual(repr(client.link), text)

    async def test_there_is_a_network(self):
        """Over memory self.network is there without a ws_network."""
        client = await self.ws_client()
        self.network.latency = 0.2
        self.assertEqual(round(await client.ping(), 6), 0.4)


class EndTest(unittest.TestCase):
    """The end of a test whose links are slow."""

    def play(self, test, **attributes):
        """Run a test, which passes, and return how its handlers ended."""
        ended = []

        class Ending(Echo):
            def on_close(self):
                ended.append((self.close_code, [message for _, message in self.received]))

        class Case(WebSocketTestCase):
            ws_transport = "memory"

            def get_app(self):
                return Application([("/", Ending)])

            async def test_it(self):
                await test(self)

        for name, value in attributes.items():
            setattr(Case, name, value)
        outcome = run_test(Case)
        self.assertEqual(outcome.text, "")
        return ended

    def test_a_slow_link_is_closed_at_once(self):
        """A test over a link of an hour ends in no time, also in real time, and with a closing handshake."""

        async def test(case):
            client = await case.ws_client()
            client.link.latency = 3600
            await client.send("quiet")

        started = time.monotonic()
        for virtual in (True, False):
            self.assertEqual(self.play(test, ws_virtual_time=virtual), [(1000, ["quiet"])])
        self.assertLess(time.monotonic() - started, 60)

    def test_a_narrow_link_is_closed_at_once(self):
        """So is one over which there is more to send than a day is long."""

        async def test(case):
            client = await case.ws_client()
            client.link.bandwidth = 0.001
            await client.send("quiet")

        for virtual in (True, False):
            self.assertEqual(self.play(test, ws_virtual_time=virtual), [(1000, ["quiet"])])

    def test_a_stalled_link_is_cut(self):
        """What was stalled at the end of a test never arrives."""

        async def test(case):
            client = await case.ws_client()
            client.link.stall()
            await client.send("quiet")

        for virtual in (True, False):
            self.assertEqual(self.play(test, ws_virtual_time=virtual), [(None, [])])

    def test_a_stalled_client_with_much_to_read(self):
        """What the server holds for a stalled client does not hold the test."""

        async def test(case):
            client = await case.ws_client()
            client.link.stall()
            client.handler.write_message("x" * 10_000_000)

        self.assertEqual(self.play(test), [(None, [])])

    def test_a_client_that_is_still_connecting(self):
        """A test that ends while a client connects leaves nothing behind."""

        async def test(case):
            case.network.latency = 3600
            with case.assertRaises(MessageTimeout):
                await case.ws_client(timeout=0.01)

        for virtual in (True, False):
            self.assertEqual(self.play(test, ws_virtual_time=virtual), [])


class RealTimeTest(NetworkTestCase):
    """In real time links are as late as they say; only how long something takes at least is looked at."""

    ws_virtual_time = False

    async def test_latency(self):
        """A round trip takes two latencies."""
        client = await self.slow_client(latency=0.02)
        self.assertGreaterEqual(await client.ping(), 0.04 - 1e-5)

    async def test_bandwidth(self):
        """500 bytes over 10,000 bytes a second take 0.05 s."""
        client = await self.slow_client(bandwidth=10_000)
        client.handler.write_message(HALF_A_KILOBYTE)
        await client.expect(HALF_A_KILOBYTE)
        self.assertGreaterEqual(self.since(), 0.05)

    async def test_opening(self):
        """The opening handshake takes two round trips."""
        self.network.latency = 0.01
        await self.ws_client()
        self.assertGreaterEqual(self.since(), 0.04 - 1e-5)

    async def test_order_and_jitter(self):
        """Messages stay in order."""
        client = await self.slow_client(latency=0.005, jitter=0.005)
        for number in range(100):
            await client.send(str(number))
        self.assertEqual([int(await client.receive()) for _ in range(100)], list(range(100)))

    async def test_what_is_under_way_has_not_arrived(self):
        """The app settles without it."""
        client = await self.slow_client(latency=0.2)
        await client.send("hello")
        await self.settle()
        self.assertEqual(client.handler.received, [])

    async def test_a_stall(self):
        """What is under way arrives when the link goes on."""
        client = await self.ws_client()
        client.link.stall()
        await client.send("hello")
        await client.expect_nothing()
        client.link.resume()
        await client.expect("hello")

    async def test_a_cut(self):
        """Both ends see it."""
        client = await self.slow_client(latency=1)
        client.link.cut()
        await client.expect_closed(1006)
        await self.settle()
        self.assertEqual(client.handler.ended[1], None)


WRONG_SECONDS = (-1, -0.001, float("nan"), float("inf"), True, "0.2", None, 1j)
WRONG_BANDWIDTHS = (-1, float("nan"), float("inf"), True, False, "1000", 1j)


class BadNetworkTest(unittest.TestCase):
    """A network that cannot be, refused where it is made."""

    def assert_refused(self, text, **conditions):
        """A network of these conditions is refused with this sentence."""
        with self.subTest(**conditions), self.assertRaisesRegex(UsageError, text):
            Network(**conditions)

    def test_seconds(self):
        """Latency and jitter are numbers of seconds."""
        for wrong in WRONG_SECONDS:
            self.assert_refused("latency is a number of seconds, 0 or more", latency=wrong)
            self.assert_refused("jitter is a number of seconds, 0 or more", latency=1, jitter=wrong)

    def test_jitter_above_latency(self):
        """Nothing arrives before it is sent."""
        self.assert_refused("at most the latency.*: 0.3 s is more than 0.2 s", latency=0.2, jitter=0.3)
        self.assert_refused("at most the latency.*: 0.3 s is more than 0.0 s", jitter=0.3)

    def test_bandwidth(self):
        """A bandwidth is a number of bytes a second."""
        for wrong in WRONG_BANDWIDTHS:
            self.assert_refused("bandwidth is a number of bytes a second", bandwidth=wrong)

    def test_no_bandwidth_at_all(self):
        """Whoever wants a link that stands still is told what to use."""
        for nothing in (0, 0.0):
            self.assert_refused("stall\\(\\) it", bandwidth=nothing)

    def test_seed(self):
        """A seed is an integer."""
        for wrong in ("seed", 1.0, None, True, float("nan")):
            self.assert_refused("a seed is an integer", seed=wrong)

    def test_a_network_that_does_not_run(self):
        """A class's network is a value: what is done to it would do nothing."""
        network = Network(latency=0.2)
        for do in (
            network.stall,
            network.resume,
            network.cut,
            lambda: setattr(network, "latency", 1),
            lambda: setattr(network, "jitter", 0),
            lambda: setattr(network, "bandwidth", 1),
        ):
            with self.assertRaisesRegex(UsageError, "self.network"):
                do()
        self.assertEqual(network.latency, 0.2)


class BadLinkTest(NetworkTestCase):
    """What a link refuses, at the call that was wrong; the link stays as it was."""

    async def test_conditions(self):
        """The same as a network."""
        client = await self.slow_client(latency=0.2, jitter=0.1, bandwidth=1000)
        link = client.link
        for name, wrongs in (
            ("latency", (*WRONG_SECONDS, 0.05)),
            ("jitter", (*WRONG_SECONDS, 0.3)),
            ("bandwidth", (*WRONG_BANDWIDTHS, 0)),
        ):
            for wrong in wrongs:
                for target in (link, self.network):
                    with self.subTest(name=name, wrong=wrong), self.assertRaises(UsageError):
                        setattr(target, name, wrong)
        self.assertEqual((link.latency, link.jitter, link.bandwidth), (0.2, 0.1, 1000))

    async def test_resume_of_a_link_that_runs(self):
        """There is nothing to resume."""
        client = await self.ws_client(name="ann")
        with self.assertRaisesRegex(UsageError, "link of ann is not stalled"):
            client.link.resume()
        with self.assertRaisesRegex(UsageError, "network is not stalled"):
            self.network.resume()

    async def test_stall_twice(self):
        """A link is stalled once."""
        client = await self.ws_client(name="ann")
        client.link.stall()
        with self.assertRaisesRegex(UsageError, "link of ann is stalled already"):
            client.link.stall()
        self.network.stall()
        with self.assertRaisesRegex(UsageError, "network is stalled already"):
            self.network.stall()

    async def test_cut_of_nothing(self):
        """A connection that is closed, or has been cut, cannot be cut."""
        closed, cut = await self.ws_clients(["closed", "cut"])
        await closed.close()
        cut.link.cut()
        for client in (closed, cut):
            with self.assertRaisesRegex(UsageError, f"{client.name} has no connection to cut"):
                client.link.cut()

    async def test_a_name_that_is_none(self):
        """What a link does not have cannot be set."""
        client = await self.ws_client()
        for target in (client.link, self.network):
            with self.assertRaises(AttributeError):
                target.latancy = 0.2

    async def test_cut_after(self):
        """It takes a number of bytes."""
        client = await self.ws_client()
        for wrong in (0, -1, 1.5, "10", True, None, float("nan")):
            with self.subTest(wrong=wrong), self.assertRaisesRegex(UsageError, "a number of bytes, 1 or more"):
                client.link.cut_after(wrong)


class TCPTest(WebSocketTestCase):
    """Over TCP the network is a real one."""

    def get_app(self):
        return Application([("/", Echo)])

    async def test_a_link(self):
        """There is none, and the sentence says what has."""
        client = await self.ws_client(name="ann")
        with self.assertRaisesRegex(UsageError, "(?s)ann has no link to simulate.*ws_transport = 'memory'"):
            client.link.stall()
        with self.assertRaisesRegex(UsageError, "ws_transport = 'memory'"):
            self.network.stall()

    def test_a_network(self):
        """A network is refused before the test begins, and so is what is none."""
        with self.assertRaisesRegex(UsageError, "(?s)over TCP the network is a real one.*ws_transport = 'memory'"):
            WebSocketTester(self.get_app(), network=Network())
        for wrong in (object(), Network, 0.2, {"latency": 0.2}):
            with self.assertRaisesRegex(UsageError, "is a Network"):
                WebSocketTester(self.get_app(), transport="memory", network=wrong)
