"""Clients that come again, servers that come again, and sends that meet the end of a connection."""

import asyncio
import unittest

from tornado import testing
from tornado.httpclient import HTTPClientError
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.apps.handlers import Echo, Greeter, NeverOpen, Ping, Query, Recorder, Stuck
from tornado_wstest import (
    AppServer,
    Codec,
    ConnectionClosed,
    HandshakeFailed,
    MessageTimeout,
    UsageError,
    WebSocketHTTPTestCase,
    WebSocketTestCase,
    WebSocketTester,
    WebSocketTestMixin,
    connect,
    discard,
    discard_all,
    exchange,
)


class Drop(Recorder):
    """Drops the connection at the first message."""

    def on_message(self, message):
        super().on_message(message)
        self.ws_connection.stream.close()


class SayAndClose(Recorder):
    """Says good-bye at the first message, and closes with a code."""

    def on_message(self, message):
        if not self.received:
            self.write_message("bye")
            self.close(4001, "enough")
        super().on_message(message)


class Beat(Recorder):
    """Asks for a heartbeat."""

    def on_message(self, message):
        self.write_message("beat")


class Doorman(Echo):
    """Lets in who knows the word."""

    def prepare(self):
        if self.get_argument("word", "") != "sesame":
            raise HTTPError(403)


class Forget(RequestHandler):
    """Drops the connection in the place of an answer to the opening handshake."""

    def get(self):
        self.request.connection.stream.close()


class Feed(WebSocketHandler):
    """Numbered messages, and those that were missed for who names the last one."""

    def open(self):
        last = int(self.get_argument("last", "0"))
        self.write_message({"hello": last})
        for number in range(last + 1, self.settings["count"] + 1):
            self.write_message({"id": number})


def make_app():
    """Return an app with all of these."""
    return Application(
        [
            ("/", Echo),
            ("/greeter", Greeter),
            ("/query", Query),
            ("/drop", Drop),
            ("/say-and-close", SayAndClose),
            ("/beat", Beat),
            ("/doorman", Doorman),
            ("/forget", Forget),
            ("/feed", Feed),
            ("/stuck", Stuck),
            ("/never-open", NeverOpen),
            ("/ping", Ping),
        ],
        count=3,
        cookie_secret="a secret of the tests",
    )


class ReconnectTestCase(WebSocketTestCase):
    """The app with all handlers."""

    ws_transport = "tcp"

    def get_app(self):
        return make_app()


class ReconnectTest(ReconnectTestCase):
    """client.reconnect()."""

    async def test_after_a_close_a_drop_and_the_servers_close(self):
        """However a connection has ended, its client may come again, as itself."""
        client = await self.ws_client(name="ann")
        handlers = [client.handler]
        for end in (client.close, client.abort, lambda: client.handler.close(4000), client.close):
            ending = end()
            if ending is not None:
                await ending
            self.assertIs(await client.reconnect(), client)
            handlers.append(client.handler)
            await client.send("a")
            await client.expect("a")
        self.assertEqual((len(set(handlers)), client.name), (5, "ann"))
        self.assertEqual([event.client for event in self.transcript if event.kind == "connect"], ["ann"] * 5)

    async def test_facts_of_the_connection_are_new(self):
        """What is told of a connection is told of the new one."""
        client = await self.ws_client()
        await client.close(4002, "once")
        first = client.connection
        await client.reconnect()
        self.assertEqual((client.closed, client.close_code, client.close_reason), (False, None, None))
        self.assertIsNot(client.connection, first)
        await client.expect_nothing()

    async def test_the_old_connection_is_heard_no_longer(self):
        """What an old connection still has to say, its end included, is not taken for the new one's."""
        client = await self.ws_client()
        first = client.connection
        await client.abort()
        await client.reconnect()
        first._on_message("late")
        first._on_message(None)
        self.assertEqual((client.unread, client.closed), ((), False))

    async def test_a_resume_protocol(self):
        """What was missed comes after the cut, and only that."""
        client = await self.ws_client("/feed", handshake=exchange_hello)
        await client.receive_all()
        await client.abort()
        self.ws_server.app.settings["count"] = 5
        await client.reconnect(query={"last": "3"})
        self.assertEqual((client.handshake_result, client.handshake_messages), (3, ('{"hello": 3}',)))
        self.assertEqual(await client.receive_all(), ['{"id": 4}', '{"id": 5}'])

    async def test_options_as_before(self):
        """Path, query, headers and subprotocols are those of the first connection."""
        client = await self.ws_client("/query", query={"room": "den"}, headers={"X-User": "ann"})
        before = (await client.expect(dict_with_query))["query"]
        await client.abort()
        await client.reconnect()
        again = await client.expect(dict_with_query)
        self.assertEqual((again["query"], again["headers"]["X-User"], again["path"]), (before, "ann", "/query"))

    async def test_options_given_anew(self):
        """What is given takes the place of what there was, whole; and the next reconnect goes on from there."""
        client = await self.ws_client("/query", query={"room": "den", "seat": "1"}, headers={"X-User": "ann"})
        await client.receive()
        for changes in ({"query": {"room": "hall"}}, {}):
            await client.abort()
            await client.reconnect(**changes)
            told = await client.expect(dict_with_query)
            self.assertEqual((told["query"], told["headers"]["X-User"]), ({"room": ["hall"]}, "ann"))
        await client.abort()
        await client.reconnect("/")
        self.assertIsInstance(client.handler, Echo)

    async def test_unread_messages_come_first(self):
        """What was unread stays, before what the new connection brings."""
        client = await self.ws_client("/greeter", handshake=None)
        await client.send("old")
        await self.settle()
        await client.abort()
        await client.reconnect()
        await self.settle()
        self.assertEqual(client.unread, ("hello", "old", "hello"))

    async def test_the_handshake_meets_only_the_new_connection(self):
        """Unread messages of before are not taken for the greeting."""
        client = await self.ws_client("/greeter", handshake=discard(1))
        await client.send("old")
        await self.settle()
        await client.abort()
        for handshake in (discard(1), discard_all()):
            await client.reconnect(handshake=handshake)
            self.assertEqual((client.unread, client.handshake_messages), (("old",), ("hello",)))
            await client.abort()

    async def test_a_handshake_that_fails(self):
        """It leaves the client closed, with its unread messages, and free to try again."""
        client = await self.ws_client("/greeter", handshake=discard(1))
        await client.send("old")
        await self.settle()
        await client.abort()
        with self.assertRaises(HandshakeFailed):
            await client.reconnect(handshake=exchange("x", "y"))
        self.assertEqual((client.closed, client.unread[0], client.handshake_result), (True, "old", None))
        await client.reconnect(handshake=discard(1))
        self.assertEqual((client.closed, client.handshake_messages), (False, ("hello",)))

    async def test_keyword_arguments_of_the_handshake(self):
        """They stay with their handshake: kept with it, gone with it."""
        told = []

        async def handshake(client, **kwargs):
            told.append(kwargs)

        client = await self.ws_client(handshake=handshake, handshake_kwargs={"user": "ann"})
        for changes in ({}, {"handshake_kwargs": {"user": "bob"}}, {"handshake": handshake}):
            await client.abort()
            await client.reconnect(**changes)
        self.assertEqual(told, [{"user": "ann"}, {"user": "ann"}, {"user": "bob"}, {}])

    async def test_ignored_and_answered(self):
        """What is ignored and answered stays so."""
        client = await self.ws_client("/greeter", handshake=discard(1))
        client.ignore("hello")
        await client.abort()
        await client.reconnect(handshake=None)
        await client.expect_nothing()

    async def test_member_of_its_group(self):
        """A client that came again is in its group as before."""
        users = await self.ws_clients(["ann", "bob"])
        await users["ann"].abort()
        await users["ann"].reconnect()
        await users.send("a")
        self.assertEqual(await users.expect("a"), ["a", "a"])

    async def test_timeout_and_codec(self):
        """Both may be given anew, and stay otherwise."""
        client = await self.ws_client(name="ann")
        shout = Codec(lambda value: str(value).upper(), str)
        for changes in ({"timeout": 0.01, "codec": shout}, {}):
            await client.abort()
            await client.reconnect(**changes)
            self.assertIs(client.codec, shout)
            with self.assertRaisesRegex(MessageTimeout, "ann waited 0.01 s for a message"):
                await client.receive()

    async def test_refused_and_then_accepted(self):
        """A refusal leaves the client closed; what was refused is not kept."""
        client = await self.ws_client("/doorman", query={"word": "sesame"})
        await client.abort()
        with self.assertRaises(HTTPClientError), self.assertLogs("tornado.access", "WARNING"):
            await client.reconnect(query={"word": "barley"})
        self.assertTrue(client.closed)
        await client.reconnect()
        self.assertFalse(client.closed)

    async def test_while_connected(self):
        """A client that is connected has nothing to come back to."""
        client = await self.ws_client(name="ann")
        with self.assertRaisesRegex(UsageError, r"^ann is connected; close\(\) or abort\(\) it before reconnect\(\)$"):
            await client.reconnect()
        self.assertFalse(client.closed)

    async def test_twice_at_the_same_time(self):
        """Of two reconnects at once, one is refused."""
        client = await self.ws_client(name="ann")
        await client.abort()
        results = await asyncio.gather(client.reconnect(), client.reconnect(), return_exceptions=True)
        self.assertEqual([type(result).__name__ for result in results], ["WebSocketTestClient", "UsageError"])

    async def test_a_name_that_was_taken_meanwhile(self):
        """Names tell clients apart, also those that come again."""
        ann = await self.ws_client(name="ann")
        await ann.close()
        other = await self.ws_client(name="ann")
        with self.assertRaisesRegex(UsageError, "there is an open client named 'ann' by now"):
            await ann.reconnect()
        await other.close()
        await ann.reconnect()
        self.assertFalse(ann.closed)

    async def test_bad_input(self):
        """What ws_client refuses, reconnect refuses, and nothing has changed then."""
        client = await self.ws_client(name="ann")
        await client.abort()
        for changes, text in (
            ({"name": "bob"}, r"a client keeps its name; reconnect\(\) takes no name='bob'"),
            ({"timeout": 0}, "timeout is a number of seconds above 0"),
            ({"codec": 5}, r"codec is a Codec\(encode, decode\), not 5"),
            ({"handshake": 5}, "5 is no handshake"),
            ({"handshake_kwargs": {"a": 1}}, "handshake_kwargs without a handshake"),
            ({"hedaers": {}}, "unknown option 'hedaers': did you mean 'headers'"),
            ({"path": "chat"}, "does not start with a slash"),
        ):
            with self.subTest(changes):
                with self.assertRaisesRegex(UsageError, text):
                    await client.reconnect(**changes)
                self.assertEqual((client.closed, client.close_code), (True, 1006))
        await client.reconnect()
        self.assertFalse(client.closed)

    async def test_a_handler_that_drops_the_opening_handshake(self):
        """A server that goes away before it answers is told in a sentence."""
        client = await self.ws_client(name="ann")
        await client.abort()
        with self.assertRaises((ConnectionClosed, HTTPClientError)) as caught:
            await client.reconnect("/forget")
        self.assertTrue(client.closed)
        if isinstance(caught.exception, ConnectionClosed):
            self.assertIn("closed before it answered the opening handshake", str(caught.exception))


async def exchange_hello(client):
    """Take the hello, and return what it says."""
    return (await client.expect({"hello": lambda last: True}))["hello"]


def dict_with_query(value):
    """Is it what `Query` tells?"""
    return "query" in value


class RestartTest(ReconnectTestCase):
    """ws_server.restart()."""

    async def test_same_port_and_same_app(self):
        """The server is where it was, with the app it had."""
        before = (self.ws_server.port, self.ws_server.app, self.ws_server.ws_url("/"))
        await self.ws_server.restart()
        self.assertEqual((self.ws_server.port, self.ws_server.app, self.ws_server.ws_url("/")), before)
        client = await self.ws_client()
        await client.send("a")
        await client.expect("a")

    async def test_clients_are_dropped_and_come_again(self):
        """Every connection reads as cut, and each client may come again."""
        users = await self.ws_clients(["ann", "bob"])
        await self.ws_server.restart()
        self.assertEqual([client.closed for client in users], [True, True])
        self.assertEqual(await users.expect_closed(1006), [1006, 1006])
        for client in users:
            await client.reconnect()
        await users.send("a")
        await users.expect("a")

    async def test_on_close_runs(self):
        """When restart() returns, each on_close has run, and no handler is open."""
        handlers = [(await self.ws_client()).handler for _ in range(3)]
        await self.ws_server.restart()
        self.assertEqual(([handler.on_close_ran for handler in handlers], self.ws_server.handlers), ([True] * 3, []))

    async def test_handlers_that_await(self):
        """What a handler has under way is cancelled in silence, as when a process ends."""
        client = await self.ws_client("/stuck")
        await client.send("a")
        await self.ws_client("/never-open", handshake=None)
        await self.settle()
        await self.ws_server.restart()
        await client.reconnect("/")
        await client.send("b")
        await client.expect("b")

    async def test_again_and_again(self):
        """A server may restart as often as it likes."""
        client = await self.ws_client()
        for _ in range(5):
            await self.ws_server.restart()
            await client.reconnect()
        await client.send("a")
        await client.expect("a")

    async def test_plain_connections_and_http(self):
        """Tornado's own connections are cut, too, and HTTP is served again."""
        connection = await self.ws_connect()
        await self.ws_server.restart()
        self.assertIsNone(await connection.read_message())
        self.assertEqual((await self.http_fetch("/ping")).body, b'{"pong": null}')

    async def test_reconnect_while_the_server_is_down(self):
        """Nobody listens: the client says so, stays closed, and may try again when the server is up."""
        client = await self.ws_client(name="ann")
        restarting = asyncio.create_task(self.ws_server.restart(downtime=0.05))
        await client.expect_closed(1006)
        text = (
            r"^ann cannot connect: nothing listens at ws://127.0.0.1:\d+/\nthe server is down: try again when it is up"
        )
        for _ in range(2):
            with self.assertRaisesRegex(ConnectionClosed, text) as caught:
                await client.reconnect()
            self.assertIsInstance(caught.exception.__cause__, OSError)
            self.assertTrue(client.closed)
        await restarting
        await client.reconnect()
        await client.send("a")
        await client.expect("a")

    async def test_a_connection_that_is_just_being_made(self):
        """A client whose opening handshake is under way when the server goes down is not left hanging."""
        for turns in range(6):
            with self.subTest(turns):
                connecting = asyncio.create_task(self.connect_somehow())
                for _ in range(turns):
                    await asyncio.sleep(0)
                await self.ws_server.restart(downtime=0.01)
                await connecting
                self.assertEqual(self.ws_server.handlers, [])

    async def connect_somehow(self):
        """Connect, or not: both are right."""
        try:
            client = await self.ws_client()
            await client.expect_closed()
        except (ConnectionClosed, HTTPClientError):
            pass

    async def test_restarting_already(self):
        """A server that is down cannot go down."""
        restarting = asyncio.create_task(self.ws_server.restart(downtime=0.01))
        await asyncio.sleep(0)
        with self.assertRaisesRegex(UsageError, "this server is restarting already"):
            await self.ws_server.restart()
        await restarting

    async def test_bad_input(self):
        """Seconds are seconds; nothing has gone down then."""
        client = await self.ws_client()
        with self.assertRaisesRegex(UsageError, "downtime is a number of seconds, 0 or more, not -1"):
            await self.ws_server.restart(downtime=-1)
        self.assertFalse(client.closed)

    async def test_a_test_that_ends_while_the_server_is_down(self):
        """Nothing is left behind by a restart that was never awaited to its end."""
        async with WebSocketTester(make_app(), transport=self.ws_transport) as wstest:
            task = asyncio.create_task(wstest.server.restart(downtime=60))
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def test_a_good_bye_first(self):
        """Handlers may close with a code of theirs before the server goes down."""
        client = await self.ws_client()
        for handler in self.ws_server.handlers:
            handler.close(1001, "restart")
        await client.expect_closed(1001, "restart")
        await self.ws_server.restart()
        await client.reconnect()
        self.assertFalse(client.closed)


class DownTest(ReconnectTestCase):
    """A server that is down for a while."""

    ws_virtual_time = True

    async def test_downtime_is_virtual(self):
        """An hour of downtime takes no time, and ends on the second."""
        client = await self.ws_client()
        await self.ws_server.restart(downtime=3600)
        self.assertEqual(self.clock.time(), 3600)
        await client.reconnect()

    async def test_a_client_that_tries_each_second(self):
        """A client gets in at the first try after the downtime."""
        client = await self.ws_client()
        restarting = asyncio.create_task(self.ws_server.restart(downtime=4.5))
        await client.expect_closed(1006)
        while client.closed:
            try:
                await client.reconnect()
            except ConnectionClosed:
                await asyncio.sleep(1)
        self.assertEqual(self.clock.time(), 5)
        await restarting

    async def test_an_apps_own_client(self):
        """websocket_connect is refused while the server is down, and gets in afterwards."""
        restarting = asyncio.create_task(self.ws_server.restart(downtime=10))
        await asyncio.sleep(0)
        with self.assertRaises(OSError), self.ws_server.connecting():
            await websocket_connect(self.ws_server.ws_url())
        await restarting
        with self.ws_server.connecting():
            connection = await websocket_connect(self.ws_server.ws_url())
        connection.write_message("a")
        self.assertEqual(await connection.read_message(), "a")
        connection.close()


class SendingTest(ReconnectTestCase):
    """Sends that meet the end of a connection."""

    async def test_dropped_while_sending(self):
        """Whatever is sent without a pause, a drop is a ConnectionClosed with 1006, and no exception of Tornado's."""
        for name, send in (
            ("send", lambda client: client.send("x" * 10_000)),
            ("send_frame", lambda client: client.send_frame(1, b"x" * 10_000)),
            ("send_raw", lambda client: client.send_raw(b"\x81\x80....\x82\x80...." * 1000)),
        ):
            with self.subTest(name):
                client = await self.ws_client("/drop")
                with self.assertRaises(ConnectionClosed) as caught:
                    for _ in range(100_000):
                        await send(client)
                self.assertEqual((caught.exception.code, client.closed), (1006, True))
                await self.settle()
                self.assertTrue(client.handler.on_close_ran)

    async def test_closed_with_a_code_while_sending(self):
        """A server that says why before it closes is heard: the code is its code, what it said is there to read."""
        client = await self.ws_client("/say-and-close", name="ann")
        await client.send("a")
        await self.ws_server.settling.settle(timeout=1, grace=0)
        with self.assertRaises(ConnectionClosed) as caught:
            await client.send("b")
        self.assertEqual((caught.exception.code, caught.exception.reason, client.unread), (4001, "enough", ("bye",)))

    async def test_an_answer_that_cannot_be_sent(self):
        """A heartbeat whose answer finds the connection closed is no failure of its own; the close tells all."""
        client = await self.ws_client("/beat", name="ann")
        client.answer("beat", lambda value: client.connection.protocol.stream.close() or "yes")
        await client.send("a")
        await client.expect_closed(1006)

    async def test_a_stream_that_is_closed_already(self):
        """A send that is the first to notice says so, before the receive loop has."""
        for name, arguments in (("send", "a"), ("send_raw", b"a"), ("send_frame", 1), ("ping", None)):
            with self.subTest(name):
                client = await self.ws_client(name="ann")
                client.connection.protocol.stream.close()
                with self.assertRaisesRegex(ConnectionClosed, "^ann cannot send .* closed with 1006"):
                    await getattr(client, name)(arguments)
                await client.abort()


class ReconnectOverMemoryTest(ReconnectTest):
    """The same over memory."""

    ws_transport = "memory"


class RestartOverMemoryTest(RestartTest):
    """The same over memory."""

    ws_transport = "memory"


class DownOverMemoryTest(DownTest):
    """The same over memory."""

    ws_transport = "memory"


class SendingOverMemoryTest(SendingTest):
    """The same over memory."""

    ws_transport = "memory"


class ElsewhereTest(unittest.IsolatedAsyncioTestCase):
    """Clients outside of a test case."""

    async def test_after_the_test(self):
        """A client whose test is over cannot come again."""
        async with WebSocketTester(make_app()) as wstest:
            client = await wstest.client(name="ann")
        with self.assertRaisesRegex(UsageError, "^ann cannot reconnect: its test is over, and its server has stopped$"):
            await client.reconnect()

    async def test_after_the_block_of_a_server_elsewhere(self):
        """The same is so of a client of a server elsewhere."""
        async with WebSocketTester(make_app()) as wstest:
            async with connect(wstest.server.ws_url("/"), name="ann") as client:
                await client.abort()
                await client.reconnect()
            with self.assertRaisesRegex(UsageError, "^ann cannot reconnect: its test is over"):
                await client.reconnect()

    async def test_a_server_elsewhere_that_has_gone(self):
        """A reconnect to a server elsewhere that listens no longer says so, without the secrets of its URL."""
        async with AppServer(make_app()) as server, connect(server.ws_url("/?token=secret"), name="ann") as client:
            await server.stop()
            await client.expect_closed(1006)
            with self.assertRaisesRegex(ConnectionClosed, r"nothing listens at ws://.*/\?token=\*\*\*\nthe server is"):
                await client.reconnect()

    async def test_a_server_that_has_not_started(self):
        """What does not run cannot restart."""
        with self.assertRaisesRegex(UsageError, r"this server is not running: start\(\) it"):
            await AppServer(make_app()).restart()

    async def test_a_server_without_a_tester(self):
        """A server by itself restarts as well, and stops in the end."""
        async with AppServer(make_app()) as server:
            await server.restart()
            connection = await websocket_connect(server.ws_url())
            connection.close()


class AdoptedServerTest(WebSocketHTTPTestCase):
    """A server that the base class has started, and will stop."""

    def get_app(self):
        return make_app()

    async def test_restart(self):
        """It restarts where it was, for the clients and for the base's own fetch; and the base stops it."""
        client = await self.ws_client()
        port = self.get_http_port()
        await self.ws_server.restart()
        await client.reconnect()
        await client.send("a")
        await client.expect("a")
        response = await self.http_client.fetch(self.get_url("/nowhere"), raise_error=False)
        self.assertEqual((response.code, self.get_http_port()), (404, port))


class AdoptedServerOverMemoryTest(WebSocketTestMixin, testing.AsyncHTTPTestCase):
    """The same, with clients over memory."""

    ws_transport = "memory"

    def get_app(self):
        return make_app()

    async def test_restart(self):
        """The clients come again over memory, fetch over the base's own port."""
        client = await self.ws_client()
        await self.ws_server.restart()
        await client.reconnect()
        await client.send("a")
        await client.expect("a")
        response = await self.http_client.fetch(self.get_url("/nowhere"), raise_error=False)
        self.assertEqual(response.code, 404)
