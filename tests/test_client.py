"""`WebSocketTestClient` over a real server."""

import asyncio
import json
import re
import time
from unittest import mock

from tests.apps.handlers import Echo, make_app
from tornado_wstest import (
    Codec,
    ConnectionClosed,
    MessageTimeout,
    UnexpectedMessage,
    UsageError,
    WebSocketTestCase,
    WebSocketTester,
    as_json,
    containing,
    discard,
    discard_all,
    field,
)


class ClientTestCase(WebSocketTestCase):
    """A client of the app with all handlers."""

    def get_app(self):
        return make_app()

    async def commands(self, *messages, **command):
        """Return a client whose handler has been told to send ``messages``."""
        client = await self.ws_client("/commands", name="ann")
        await client.send_json({"send": list(messages), **command})
        return client


class SendTest(ClientTestCase):
    """What is sent, and as what."""

    async def test_text_travels_as_text(self):
        """A str arrives as a str."""
        client = await self.ws_client()
        await client.send("foo")
        await self.settle()
        self.assertEqual(client.handler.received, ["foo"])

    async def test_bytes_travel_as_binary(self):
        """Bytes arrive as bytes."""
        client = await self.ws_client()
        await client.send(b"\x00\xff")
        self.assertEqual(await client.receive(), b"\x00\xff")

    async def test_compressed_messages_travel_compressed(self):
        """Where both sides have agreed to compress, a long text is short on the way."""

        class Compressed(Echo):
            def get_compression_options(self):
                return {}

        self.ws_server.app.add_handlers(".*", [("/compressed", Compressed)])
        client = await self.ws_client("/compressed", compression_options={})
        await client.send("a" * 10_000)
        await client.expect("a" * 10_000)
        self.assertLess(client.connection.protocol._wire_bytes_out, 200)

    async def test_without_what_is_private(self):
        """A Tornado that frames its messages elsewhere sends them all the same."""
        for message in ("foo", b"\x00"):
            client = await self.ws_client()
            client._end.wire._write_frame = None
            await client.send(message)
            self.assertEqual(await client.receive(), message)
            client.connection.protocol.stream.close()
            with self.assertRaises(ConnectionClosed):
                await client.send(message)

    async def test_no_answer_after_the_close_frame(self):
        """An automatic reply to what arrives while the connection closes is not sent any more."""
        client = await self.ws_client("/commands")
        client.answer("question", "reply")
        protocol = client.connection.protocol
        await client.send_json({"send": ["question", "question"]})
        before = protocol._wire_bytes_out
        await client.close()
        self.assertEqual([event.payload for event in self.transcript if event.kind == "received"], ["question"] * 2)
        self.assertEqual(protocol._wire_bytes_out - before, 8)  # a masked frame with a code

    async def test_empty_messages_travel(self):
        """An empty text and an empty binary message are messages."""
        client = await self.ws_client()
        await client.send("")
        await client.send(b"")
        self.assertEqual([await client.receive(), await client.receive()], ["", b""])

    async def test_values_travel_as_json(self):
        """What is neither str nor bytes goes through the codec."""
        client = await self.ws_client()
        await client.send({"a": [1, None]})
        self.assertEqual(await client.receive(), '{"a": [1, null]}')

    async def test_send_json_quotes_a_text(self):
        """send_json sends a str as JSON, not as it is."""
        client = await self.ws_client()
        await client.send_json("foo")
        self.assertEqual(await client.receive(), '"foo"')

    async def test_write_message_is_tornados(self):
        """write_message sends a dict as JSON, and bytes as text unless told otherwise."""
        client = await self.ws_client()
        await client.write_message({"a": 1})
        await client.write_message(b"foo")
        await client.write_message("bar", binary=True)
        self.assertEqual([await client.receive() for _ in range(3)], ['{"a": 1}', "foo", b"bar"])

    async def test_send_on_a_client_closed_by_the_test(self):
        """Sending after close() says that the test closed it."""
        client = await self.ws_client(name="ann")
        await client.close()
        with self.assertRaisesRegex(ConnectionClosed, "closed by the test with 1000"):
            await client.send("foo")

    async def test_send_to_a_server_that_does_not_read_times_out(self):
        """A server that reads nothing holds the sender back, and the wait says so."""
        client = await self.ws_client("/stuck", timeout=0.05)
        await client.send("first")
        with self.assertRaisesRegex(MessageTimeout, "for the server to read"):
            for _ in range(100):
                await client.send(b"x" * 1_000_000)

    async def test_fragments_make_one_message(self):
        """Frames sent one by one arrive as one message."""
        client = await self.ws_client()
        await client.send_frame(1, b"hel", fin=False)
        await client.send_frame(0, b"lo")
        await client.expect("hello")

    async def test_raw_bytes_are_no_frame(self):
        """A frame with a reserved opcode makes Tornado drop the connection."""
        client = await self.ws_client()
        await client.send_raw(bytes([0x83, 0x80, 0, 0, 0, 0]))
        await client.expect_closed(1006)


class ReceiveTest(ClientTestCase):
    """What is taken, and what stays."""

    async def test_receive_takes_in_order(self):
        """Messages come out as they came in."""
        client = await self.commands("a", "b")
        self.assertEqual([await client.receive(), await client.receive()], ["a", "b"])

    async def test_receive_expected_leaves_the_others(self):
        """The first that matches is taken out of turn; the others stay, in order."""
        client = await self.commands("a", "b", "c")
        self.assertEqual(await client.receive("b"), "b")
        self.assertEqual(client.unread, ("a", "c"))

    async def test_receive_expected_waits_for_a_later_one(self):
        """A match that has not come yet is waited for, past messages that do not match."""
        client = await self.ws_client()
        await client.send("a")
        waiting = asyncio.ensure_future(client.receive("b"))
        await self.settle()
        await client.send("b")
        self.assertEqual(await waiting, "b")
        self.assertEqual(client.unread, ("a",))

    async def test_two_wait_at_once(self):
        """Two waits for different messages each get theirs, whatever the order."""
        client = await self.ws_client()
        waits = asyncio.gather(client.receive("a"), client.receive("b"))
        await client.send("b")
        await client.send("a")
        self.assertEqual(await waits, ["a", "b"])

    async def test_a_wait_that_times_out_takes_nothing(self):
        """What does not match is still there after the time-out."""
        client = await self.commands("a")
        await self.settle()
        with self.assertRaises(MessageTimeout):
            await client.receive("b", timeout=0.02)
        self.assertEqual(client.unread, ("a",))

    async def test_a_wait_leaves_no_timer(self):
        """When a wait is over, its time-out is no longer set."""
        client = await self.ws_client()
        waiting = asyncio.ensure_future(client.receive(timeout=77))
        await client.send("a")
        await waiting
        timers = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]
        self.assertEqual([handle for handle in timers if "_ring" in repr(handle)], [])

    async def test_each_wait_has_its_whole_time(self):
        """A wait that begins late in the time of another one, which was over at once, is as long."""
        client = await self.ws_client(timeout=0.1)
        await client.send("a")
        await client.receive()
        await asyncio.sleep(0.06)
        loop = asyncio.get_running_loop()
        started = loop.time()
        with self.assertRaises(MessageTimeout):
            await client.receive()
        self.assertGreaterEqual(loop.time() - started, 0.0999)

    async def test_the_shortest_of_waits_ends_first(self):
        """Each of several waits ends in its own time, whichever began first."""
        client = await self.ws_client()
        ended = []

        async def wait(seconds):
            with self.assertRaises(MessageTimeout):
                await client.receive("never", timeout=seconds)
            ended.append(seconds)

        await asyncio.gather(wait(0.06), wait(0.02), wait(0.04))
        self.assertEqual(ended, [0.02, 0.04, 0.06])

    async def test_a_client_that_is_over_leaves_no_timer(self):
        """What was set for the usual time-out is taken back with the client."""
        async with WebSocketTester(make_app()) as wstest:
            client = await wstest.client()
            await client.send("a")
            await client.receive()
        timers = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]
        self.assertEqual([handle for handle in timers if "_ring" in repr(handle)], [])

    async def test_a_cancelled_wait_loses_nothing(self):
        """A message that comes as the wait for it is cancelled stays."""
        client = await self.ws_client()
        waiting = asyncio.ensure_future(client.receive())
        await client.send("a")
        await client.ping()
        waiting.cancel()
        await self.settle()
        self.assertEqual(client.unread, () if not waiting.cancelled() else ("a",))
        if waiting.cancelled():
            self.assertEqual(await client.receive(), "a")

    async def test_timeout_names_what_came(self):
        """A time-out shows what it waited for and what came instead."""
        client = await self.commands("a")
        with self.assertRaisesRegex(MessageTimeout, r"ann waited 0.02 s for .*'b'; 1 other message came: 'a'"):
            await client.receive("b", timeout=0.02)

    async def test_receive_text_refuses_binary(self):
        """receive_text fails on a binary message, which stays unread."""
        client = await self.commands({"hex": "00"})
        with self.assertRaisesRegex(UnexpectedMessage, "a text message"):
            await client.receive_text()
        self.assertEqual(await client.receive_bytes(), b"\x00")

    async def test_receive_bytes_refuses_text(self):
        """receive_bytes fails on a text message, which stays unread."""
        client = await self.commands("a")
        with self.assertRaisesRegex(UnexpectedMessage, "a binary message"):
            await client.receive_bytes()
        self.assertEqual(await client.receive_text(), "a")

    async def test_receive_json_decodes_any_json(self):
        """receive_json decodes objects, bare strings and null."""
        client = await self.commands('{"a": 1}', '"b"', "null")
        self.assertEqual([await client.receive_json() for _ in range(3)], [{"a": 1}, "b", None])

    async def test_receive_json_refuses_other_text(self):
        """receive_json fails on text that is no JSON, which stays unread."""
        client = await self.commands("a")
        with self.assertRaisesRegex(UnexpectedMessage, "JSON"):
            await client.receive_json()
        self.assertEqual(client.unread, ("a",))

    async def test_receive_until_takes_up_to_the_match(self):
        """receive_until returns all messages up to the match, and takes them."""
        client = await self.commands("a", "b", "c")
        self.assertEqual(await client.receive_until("b"), ["a", "b"])
        self.assertEqual(client.unread, ("c",))

    async def test_receive_until_exclusive_leaves_the_match(self):
        """With inclusive=False the match stays unread."""
        client = await self.commands("a", "b", "c")
        self.assertEqual(await client.receive_until("b", inclusive=False), ["a"])
        self.assertEqual(client.unread, ("b", "c"))

    async def test_receive_until_takes_nothing_without_a_match(self):
        """A receive_until that times out takes nothing."""
        client = await self.commands("a")
        with self.assertRaises(MessageTimeout):
            await client.receive_until("b", timeout=0.02)
        self.assertEqual(client.unread, ("a",))

    async def test_receive_all_takes_what_is_in_flight(self):
        """receive_all returns what arrives until the app has settled."""
        client = await self.commands("a", "b")
        self.assertEqual(await client.receive_all(), ["a", "b"])
        self.assertEqual(await client.receive_all(), [])

    async def test_receive_all_does_not_raise_for_a_close(self):
        """receive_all returns what came before a close."""
        client = await self.commands("a", close=[4001])
        self.assertEqual(await client.receive_all(), ["a"])

    async def test_iteration_ends_with_the_close(self):
        """`async for` ends where the server closes normally."""
        client = await self.commands("a", "b", close=[1000])
        self.assertEqual([message async for message in client], ["a", "b"])

    async def test_iteration_raises_for_another_close(self):
        """`async for` raises where the server closes with an error."""
        client = await self.commands("a", close=[1011, "broken"])
        with self.assertRaises(ConnectionClosed) as caught:
            [message async for message in client]
        self.assertEqual((caught.exception.code, caught.exception.reason), (1011, "broken"))

    async def test_read_message_is_tornados(self):
        """read_message returns None after the close, again and again."""
        client = await self.commands("a", close=[1000])
        self.assertEqual([await client.read_message() for _ in range(3)], ["a", None, None])

    async def test_messages_stay_readable_after_the_close(self):
        """What came before the close is read after it; then receive raises."""
        client = await self.commands("a", close=[4001, "go"])
        await self.settle()
        self.assertTrue(client.closed)
        self.assertEqual(await client.receive(), "a")
        with self.assertRaises(ConnectionClosed) as caught:
            await client.receive()
        self.assertEqual((caught.exception.code, caught.exception.reason), (4001, "go"))


class ExpectTest(ClientTestCase):
    """The next message, and what it should be."""

    async def test_expect_returns_the_value(self):
        """expect returns the decoded value of the message."""
        client = await self.commands('{"a": 1}')
        self.assertEqual(await client.expect(containing(a=1)), {"a": 1})

    async def test_expect_is_about_the_next_message(self):
        """A later match does not help: the next message must match, and stays unread if not."""
        client = await self.commands("a", "b")
        with self.assertRaisesRegex(UnexpectedMessage, "number 2 matches"):
            await client.expect("b")
        self.assertEqual(await client.receive_all(), ["a", "b"])

    async def test_expect_takes_each_kind(self):
        """Texts, patterns, predicates, JSON, fields, mock.ANY: each is an expectation."""
        client = await self.commands("a", "abc", '{"n": 2}', "null", '{"a": [{"b": 1}]}', "whatever")
        await client.expect("a")
        await client.expect(re.compile("b"))
        await client.expect(lambda value: value["n"] == 2)
        await client.expect(as_json(None))
        await client.expect(field("a//b", 1))
        await client.expect(mock.ANY)

    async def test_expect_in_any_order_returns_in_the_order_asked(self):
        """The values come back as they were asked for, not as they came."""
        client = await self.commands('{"n": 1}', "b")
        self.assertEqual(await client.expect_in_any_order("b", containing(n=1)), ["b", {"n": 1}])

    async def test_expect_in_any_order_gives_way(self):
        """A message that fits two expectations gives way to one that fits only one of them."""
        client = await self.commands("ab", "a")
        self.assertEqual(await client.expect_in_any_order(re.compile("a"), "ab"), ["a", "ab"])

    async def test_expect_in_any_order_fails_at_the_first_misfit(self):
        """A message that fits nothing fails at once, and all stay unread."""
        client = await self.commands("a", "x")
        with self.assertRaisesRegex(UnexpectedMessage, "'x' fits none"):
            await client.expect_in_any_order("b", "a")
        self.assertEqual(client.unread, ("a", "x"))

    async def test_expect_in_any_order_leaves_what_comes_after(self):
        """Only as many messages as expected are looked at."""
        client = await self.commands("b", "a", "c")
        await client.expect_in_any_order("a", "b")
        self.assertEqual(await client.receive_all(), ["c"])

    async def test_expect_nothing_sees_a_message_in_flight(self):
        """A message that is on its way when expect_nothing is called is seen."""
        client = await self.commands("a")
        with self.assertRaisesRegex(UnexpectedMessage, "'a'"):
            await client.expect_nothing()
        self.assertEqual(client.unread, ("a",))

    async def test_expect_nothing_matching_lets_others_pass(self):
        """Only messages that match break a silence about them."""
        client = await self.commands("a")
        await client.expect_nothing("b")
        with self.assertRaises(UnexpectedMessage):
            await client.expect_nothing("a")

    async def test_expect_nothing_is_no_silence_if_the_server_closed(self):
        """A connection that was closed meanwhile is not silent."""
        client = await self.commands(close=[1011])
        with self.assertRaisesRegex(ConnectionClosed, "1011"):
            await client.expect_nothing()

    async def test_expect_nothing_after_the_tests_own_close(self):
        """A client that the test closed is silent."""
        client = await self.ws_client()
        await client.close()
        await client.expect_nothing()

    async def test_expect_nothing_seconds_lets_timers_fire(self):
        """With seconds= a message of a timer that is due meanwhile is seen."""
        client = await self.ws_client()
        asyncio.get_running_loop().call_later(0.01, client.handler.write_message, "late")
        await client.expect_nothing()
        with self.assertRaisesRegex(UnexpectedMessage, "'late'"):
            await client.expect_nothing(seconds=0.02)

    async def test_expect_nothing_notes_how_far_it_reaches(self):
        """The transcript says when the app's next timer is due."""
        client = await self.ws_client()
        timer = asyncio.get_running_loop().call_later(30, lambda: None)
        await client.expect_nothing()
        timer.cancel()
        self.assertRegex(self.transcript[-1].payload, r"nothing; the next timer is due in (30|29\.9\d*) s")

    async def test_expect_nothing_costs_no_sleep(self):
        """A hundred silences take far less than one sleep of 100 ms."""
        client = await self.ws_client()
        started = time.perf_counter()
        for _ in range(100):
            await client.expect_nothing()
        self.assertLess(time.perf_counter() - started, 0.1)

    async def test_ignored_messages_go_to_the_transcript_only(self):
        """ignore() keeps messages out of every wait, and in the transcript."""
        client = await self.ws_client()
        client.ignore("tick", containing(type="tick"))
        for message in ("tick", {"type": "tick"}, "tock"):
            await client.send(message)
        await client.expect("tock")
        received = [event.payload for event in self.transcript if event.kind == "received"]
        self.assertEqual(received, ["tick", '{"type": "tick"}', "tock"])

    async def test_answered_messages_are_answered(self):
        """answer() replies by itself, with a value or with a function of the value."""
        client = await self.ws_client("/commands")
        client.answer("ping", {"send": []})
        client.answer(containing(ask=mock.ANY), lambda value: {"answer": value["ask"]})
        await client.send({"send": ["ping", '{"ask": 7}']})
        await self.settle()
        self.assertEqual(client.unread, ())
        self.assertEqual([json.loads(m) for m in client.handler.received[1:]], [{"send": []}, {"answer": 7}])

    async def test_a_reply_that_raises_is_told_by_the_next_wait(self):
        """An exception of the test's own reply function does not vanish in the loop."""
        client = await self.ws_client()
        client.answer("a", lambda value: 1 / 0)
        await client.send("a")
        with self.assertRaises(ZeroDivisionError):
            await client.receive()


class CloseTest(ClientTestCase):
    """Close codes as RFC 6455 has them, and both sides' knowledge of the end."""

    async def test_close_returns_when_on_close_ran(self):
        """After close() the handler's on_close has run, with the client's code."""
        client = await self.ws_client()
        handler = client.handler
        await client.close(4000, "bye")
        self.assertTrue(handler.on_close_ran)
        self.assertEqual((handler.close_code, handler.close_reason), (4000, "bye"))

    async def test_close_again_is_nothing(self):
        """Closing a closed client does nothing."""
        client = await self.ws_client()
        await client.close()
        await client.close(4000)
        self.assertEqual(client.close_code, 1000)

    async def test_abort_reads_1006(self):
        """After abort() on_close has run, without a code."""
        client = await self.ws_client()
        handler = client.handler
        await client.abort()
        self.assertTrue(handler.on_close_ran)
        self.assertEqual((client.close_code, handler.close_code), (1006, None))

    async def test_close_without_a_code_reads_1005(self):
        """A close frame of the server's without a code is 1005, not 1006."""
        client = await self.commands(close=[])
        self.assertEqual(await client.expect_closed(), 1005)

    async def test_a_drop_reads_1006(self):
        """A server that drops the connection sends no close frame: 1006."""
        client = await self.commands(drop=True)
        await client.expect_closed(1006)

    async def test_an_oversized_message_is_closed_with_1009(self):
        """A message over the limit is refused with 1009."""
        self.ws_server.app.settings["websocket_max_message_size"] = 100
        client = await self.ws_client()
        await client.send("x" * 101)
        await client.expect_closed(1009)

    async def test_expect_closed_checks_code_and_reason(self):
        """Another code or reason is a failure that carries them."""
        client = await self.commands(close=[4001, "who?"])
        with self.assertRaisesRegex(ConnectionClosed, "4002") as caught:
            await client.expect_closed(4002)
        self.assertEqual((caught.exception.code, caught.exception.reason), (4001, "who?"))
        await client.expect_closed(4001, "who?")

    async def test_expect_closed_fails_on_unread_messages(self):
        """A message before the close is shown, and stays."""
        client = await self.commands("a", close=[1000])
        with self.assertRaisesRegex(UnexpectedMessage, "1 message came before: 'a'"):
            await client.expect_closed()
        self.assertEqual(client.unread, ("a",))

    async def test_expect_closed_on_an_open_connection(self):
        """A connection that stays open is a time-out."""
        client = await self.ws_client()
        with self.assertRaisesRegex(MessageTimeout, "a close"):
            await client.expect_closed(timeout=0.02)

    async def test_facts_survive_the_close(self):
        """Subprotocol, headers and handler are known after the close, too."""
        client = await self.ws_client("/commands", subprotocols=["v1", "v2"])
        await client.close()
        self.assertEqual(client.subprotocol, "v1")
        self.assertEqual(client.response_headers["Upgrade"], "websocket")
        self.assertTrue(client.handler.on_close_ran)

    async def test_close_of_a_stuck_handler_says_where_it_waits(self):
        """A handler that awaits sees no close frame; close() says which and where."""
        client = await self.ws_client("/stuck", name="ann", timeout=0.05)
        await client.send("a")
        with self.assertRaisesRegex(MessageTimeout, r"Stuck.on_close did not run \(it awaits at handlers.py:\d+"):
            await client.close()

    async def test_the_context_manager_closes(self):
        """Leaving `async with` closes the client, with on_close run."""
        async with self.ws_client() as client:
            handler = client.handler
            await client.send("a")
        self.assertTrue(handler.on_close_ran)


class FactsTest(ClientTestCase):
    """What a client knows."""

    async def test_the_handler_is_the_one_of_this_connection(self):
        """Each client has the server's handler of its own connection."""
        ann, bob = await asyncio.gather(self.ws_client(name="ann"), self.ws_client(name="bob"))
        await bob.send("I am bob")
        await bob.expect("I am bob")
        self.assertIsInstance(ann.handler, Echo)
        self.assertEqual((ann.handler.received, bob.handler.received), ([], ["I am bob"]))

    async def test_unread_takes_nothing(self):
        """Looking at the unread messages leaves them."""
        client = await self.commands("a")
        await self.settle()
        self.assertEqual((client.unread, client.unread), (("a",), ("a",)))

    async def test_ping_is_a_barrier(self):
        """When ping() returns, the handler has processed all that was sent before."""
        client = await self.ws_client("/commands")
        await client.send({"sleep": 0.02, "send": ["a"]})
        elapsed = await client.ping()
        self.assertEqual(client.unread, ("a",))
        self.assertGreater(elapsed, 0.01)

    async def test_pings_at_once_are_all_answered(self):
        """Pings of one client go one after the other, so that none is lost."""
        client = await self.ws_client()
        self.assertEqual(len(await asyncio.gather(*(client.ping() for _ in range(20)))), 20)

    async def test_ping_carries_data(self):
        """The payload of a ping comes back in the pong."""
        client = await self.ws_client()
        await client.ping(b"abc")
        pongs = [event.payload for event in self.transcript if event.kind == "pong"]
        self.assertEqual(pongs, [b"abc"])

    async def test_pings_of_the_server_are_in_the_transcript(self):
        """A ping that the handler sent is recorded, with its data."""
        client = await self.commands(ping="abc")
        await client.ping()
        self.assertIn(b"abc", [event.payload for event in self.transcript if event.kind == "ping"])

    async def test_names_are_given_if_not_asked_for(self):
        """Clients without a name are numbered."""
        self.assertEqual([(await self.ws_client()).name for _ in range(2)], ["client 1", "client 2"])

    async def test_an_open_name_is_taken(self):
        """Two open clients cannot have one name; after the close it is free."""
        ann = await self.ws_client(name="ann")
        with self.assertRaisesRegex(UsageError, "'ann'"):
            await self.ws_client(name="ann")
        await ann.close()
        await self.ws_client(name="ann")

    async def test_a_codec_of_its_own(self):
        """A client may have another codec than its test case."""
        codec = Codec(lambda value: f"<{value}>", lambda message: message[1:-1])
        client = await self.ws_client(codec=codec)
        await client.send(7)
        self.assertEqual(await client.expect(lambda value: value == "7"), "7")
        self.assertEqual(client.handler.received, ["<7>"])

    async def test_server_buffer_grows_while_the_client_does_not_read(self):
        """What the kernel does not take stays in the server, and is counted there."""
        client = await self.ws_client()
        self.assertEqual(client.server_buffer, 0)
        client.pause_reading()
        for _ in range(20):
            client.handler.write_message(b"x" * 1_000_000, binary=True)
        await self.settle()
        self.assertGreater(client.server_buffer, 1_000_000)
        client.resume_reading()
        await self.until(lambda: len(client.unread) == 20)
        self.assertEqual(client.server_buffer, 0)

    async def test_a_paused_client_reads_nothing(self):
        """Between pause and resume no message arrives, and none is lost."""
        client = await self.ws_client()
        client.pause_reading()
        await client.send("a")
        await self.settle()
        self.assertEqual(client.unread, ())
        client.resume_reading()
        await client.expect("a")

    async def test_a_paused_client_may_still_send_much(self):
        """Writing does not start the reading again."""
        client = await self.ws_client("/commands")
        client.pause_reading()
        await client.send({"send": ["a"], "pad": "x" * 3_000_000})
        await self.settle()
        self.assertEqual((len(client.handler.received), client.unread), (1, ()))

    async def test_reconnect_after_a_drop(self):
        """reconnect() is the same client on a new connection, with the same handshake."""
        client = await self.ws_client("/greeter", name="ann", handshake=discard(1))
        first = client.handler
        await client.abort()
        await client.reconnect()
        self.assertIsNot(client.handler, first)
        self.assertEqual((client.closed, client.handshake_messages), (False, ("hello",)))
        await client.send("a")
        await client.expect("a")

    async def test_reconnect_keeps_unread_messages(self):
        """What was unread before a cut is still there after the reconnect."""
        client = await self.commands("a", drop=True)
        await self.settle()
        await client.reconnect("/")
        self.assertEqual(client.unread, ("a",))

    async def test_reconnect_while_connected(self):
        """A client that is connected cannot reconnect."""
        client = await self.ws_client()
        with self.assertRaisesRegex(UsageError, "is connected"):
            await client.reconnect()


class OpeningTest(ClientTestCase):
    """What the opening handshake carries."""

    async def test_open_has_finished_when_ws_client_returns(self):
        """An async open() is awaited."""
        client = await self.ws_client("/slow-open")
        self.assertTrue(client.handler.opened)

    async def test_an_open_that_waits_itself_is_not_waited_for(self):
        """An open() that waits for something else does not hang the factory."""
        client = await self.ws_client("/never-open", handshake=discard_all())
        self.assertEqual(client.handshake_messages, ("waiting",))

    async def test_headers_cookies_and_query_reach_the_handler(self):
        """What is given for a connection is what the handler sees."""
        client = await self.ws_client(
            "/query?a=1",
            headers={"X-Test": "t"},
            cookies={"c": "a b"},
            signed_cookies={"user": "ann"},
            query={"b": "ü&"},
        )
        seen = await client.receive_json()
        self.assertEqual(seen["query"], {"a": ["1"], "b": ["ü&"]})
        self.assertEqual((seen["headers"]["X-Test"], seen["cookies"]["c"], seen["user"]), ("t", "a b", "ann"))

    async def test_no_header_is_sent_that_was_not_asked_for(self):
        """Without options there are only the headers of the opening handshake and Tornado's own."""
        client = await self.ws_client("/query")
        headers = (await client.receive_json())["headers"]
        ours = {"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version"}
        tornados = {"Host", "User-Agent", "Accept-Encoding"}
        self.assertEqual(set(headers), ours | tornados)

    async def test_a_foreign_origin_is_tried(self):
        """origin= makes Tornado's check_origin refuse."""
        response = await self.expect_rejected("/", origin="http://evil.example.com")
        self.assertEqual(response.code, 403)

    async def test_the_remote_ip_is_the_loopback(self):
        """The handler sees 127.0.0.1."""
        client = await self.ws_client("/query")
        self.assertEqual((await client.receive_json())["ip"], "127.0.0.1")

    async def test_an_opening_handshake_without_answer_times_out(self):
        """A prepare() that waits for ever is told within the client's timeout."""
        with self.assertRaisesRegex(MessageTimeout, "no answer to the opening handshake of /never-answers"):
            await self.ws_client("/never-answers", timeout=0.05)
