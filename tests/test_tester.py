"""`WebSocketTester` without a base class, `connect` to a server elsewhere, `AppServer` by itself."""

import asyncio
import gc
import os
import subprocess
import sys
import unittest

from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect

from tests.apps.handlers import make_app
from tornado_wstest import (
    AppServer,
    MessageTimeout,
    NotRejected,
    UsageError,
    WebSocketTester,
    WSTestFailure,
    connect,
    discard,
)


class TesterTest(unittest.IsolatedAsyncioTestCase):
    """In the loop that runs."""

    async def test_a_client_in_a_block(self):
        """The tester serves the app and gives clients that have gone through the handshake."""
        async with WebSocketTester(make_app(), path="/greeter", handshake=discard(1)) as wstest:
            client = await wstest.client()
            await client.send("a")
            await client.expect("a")

    async def test_after_the_block_it_is_over(self):
        """A tester whose block has ended refuses to be used."""
        async with WebSocketTester(make_app()) as wstest:
            client = await wstest.client()
        self.assertTrue(client.closed)
        with self.assertRaisesRegex(UsageError, "not running"):
            wstest.client()

    async def test_an_exception_of_the_block_is_explained(self):
        """What leaves the block carries the transcript."""
        with self.assertRaises(KeyError) as caught:
            async with WebSocketTester(make_app()) as wstest:
                await wstest.client(name="ann")
                raise KeyError("mine")
        self.assertIn("ann --> connect /", caught.exception.__notes__[0])

    async def test_options_of_the_tester_and_of_the_call_are_joined(self):
        """Headers, cookies and query of a call are added to the tester's; subprotocols replace them."""
        options = {"headers": {"X-A": "1"}, "cookies": {"a": "1"}, "query": {"q": "1"}, "subprotocols": ["v1"]}
        async with WebSocketTester(make_app(), path="/query", options=options) as wstest:
            client = await wstest.client(headers={"X-B": "2"}, cookies={"b": "2"}, query={"r": "2"})
            seen = await client.receive_json()
            self.assertEqual((seen["headers"]["X-A"], seen["headers"]["X-B"]), ("1", "2"))
            self.assertEqual((seen["cookies"], seen["query"]), ({"a": "1", "b": "2"}, {"q": ["1"], "r": ["2"]}))

    async def test_a_task_of_the_app_is_left_alone(self):
        """What no handler started is not the tester's to cancel."""
        task = asyncio.ensure_future(asyncio.Event().wait())
        async with WebSocketTester(make_app()) as wstest:
            await wstest.client()
        self.assertFalse(task.done())
        task.cancel()

    async def test_expect_rejected_of_an_accepted_connection(self):
        """A connection that is accepted is NotRejected, and closed."""
        async with WebSocketTester(make_app()) as wstest:
            with self.assertRaisesRegex(NotRejected, "/ accepted the opening handshake"):
                await wstest.expect_rejected()
            self.assertEqual(wstest.server.handlers, [])

    async def test_an_expected_refusal_is_not_logged(self):
        """What expect_rejected expects leaves no line in the access log."""
        async with WebSocketTester(make_app(), path="/rejecting") as wstest:
            with self.assertNoLogs("tornado.access", "WARNING"):
                await wstest.expect_rejected()

    async def test_expect_rejected_with_another_status(self):
        """Another status is a failure that shows it."""
        async with WebSocketTester(make_app(), path="/rejecting") as wstest:
            with self.assertRaisesRegex(WSTestFailure, "rejected with 403 Forbidden, expected 401"):
                await wstest.expect_rejected(status=401)

    async def test_fetch_times_out(self):
        """A request that is never answered is told within the tester's timeout."""
        async with WebSocketTester(make_app(), timeout=0.05) as wstest:
            with self.assertRaisesRegex(MessageTimeout, "GET /never-answers was not answered within 0.05 s"):
                await wstest.fetch("/never-answers")

    async def test_fetch_raises_for_a_status_if_asked(self):
        """raise_error=True is Tornado's."""
        async with WebSocketTester(make_app()) as wstest:
            self.assertEqual((await wstest.fetch("/none")).code, 404)
            with self.assertRaises(HTTPClientError):
                await wstest.fetch("/none", raise_error=True)

    async def test_nothing_is_left_behind(self):
        """No task and no descriptor remains after the block."""
        before = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
        async with WebSocketTester(make_app()) as wstest:
            for path in ("/", "/stuck", "/never-open"):
                await (await wstest.client(path)).send("a")
            await wstest.connect("/greeter")
        gc.collect()
        self.assertEqual((len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))), before)


class AppServerTest(unittest.IsolatedAsyncioTestCase):
    """The server by itself."""

    async def test_it_serves_any_client(self):
        """A connection of the test's own finds the app, and its end is seen."""
        async with AppServer(make_app()) as server:
            connection = await websocket_connect(server.ws_url("/greeter"))
            self.assertEqual(await connection.read_message(), "hello")
            (handler,) = server.handlers
            connection.close()
        self.assertTrue(handler.on_close_ran)

    async def test_it_listens_on_the_loopback_only(self):
        """Its URLs name 127.0.0.1 and the port it bound."""
        async with AppServer(make_app()) as server:
            self.assertGreater(server.port, 0)
            self.assertEqual(server.url("/a"), f"http://127.0.0.1:{server.port}/a")
            self.assertEqual(server.ws_url("/a"), f"ws://127.0.0.1:{server.port}/a")

    async def test_connections_that_are_over_are_forgotten(self):
        """A server that has many clients in turn keeps nothing of those that have gone."""
        async with WebSocketTester(make_app()) as wstest:
            for _ in range(3):
                client = await wstest.client()
                self.assertIs(wstest.server.find(client.served.key), client.served)
                await client.close()
                self.assertIsNone(wstest.server.find(client.served.key))


ELSEWHERE = """
import asyncio
from tests.apps.handlers import make_app
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

async def main():
    sock, port = bind_unused_port()
    HTTPServer(make_app()).add_sockets([sock])
    print(port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class ConnectTest(unittest.IsolatedAsyncioTestCase):
    """A server in another process."""

    def setUp(self):
        self.process = subprocess.Popen([sys.executable, "-c", ELSEWHERE], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.terminate)
        self.url = f"ws://127.0.0.1:{int(self.process.stdout.readline())}"

    async def test_a_conversation(self):
        """A client of a server elsewhere sends, expects, pings and closes."""
        async with connect(f"{self.url}/greeter?x=1", handshake=discard(1), name="ann") as client:
            await client.send({"a": 1})
            await client.expect({"a": 1})
            self.assertGreater(await client.ping(), 0)
            self.assertIsNone(client.handler)
        self.assertEqual((client.closed, client.close_code), (True, 1000))

    async def test_ping_is_a_barrier_here_too(self):
        """When the pong is there, the answer to what was sent before is, too."""
        async with connect(f"{self.url}/commands") as client:
            await client.send({"sleep": 0.05, "send": ["a"]})
            await client.ping()
            self.assertEqual(client.unread, ("a",))

    async def test_silence_is_a_quiet_moment(self):
        """expect_nothing gives a server elsewhere its grace."""
        async with connect(f"{self.url}/") as client:
            await client.expect_nothing()

    async def test_reconnect(self):
        """A client of a server elsewhere may reconnect."""
        async with connect(f"{self.url}/greeter", handshake=discard(1)) as client:
            await client.abort()
            await client.reconnect()
            await client.send("a")
            await client.expect("a")

    async def test_what_it_cannot_see(self):
        """The buffers of a server elsewhere cannot be seen, and that is said."""
        async with connect(f"{self.url}/") as client:
            with self.assertRaisesRegex(UsageError, "elsewhere"):
                client.server_buffer

    async def test_a_failure_carries_the_transcript(self):
        """What fails in the block carries the transcript."""
        with self.assertRaises(MessageTimeout) as caught:
            async with connect(f"{self.url}/", name="ann") as client:
                await client.expect("a", timeout=0.02)
        self.assertIn("ann --> connect /", caught.exception.__notes__[0])

    async def test_a_refused_handshake(self):
        """A refusal is Tornado's error here as well."""
        with self.assertRaises(HTTPClientError):
            async with connect(f"{self.url}/rejecting"):
                pass

    async def test_what_is_no_url(self):
        """A path is no URL."""
        for url in ("/chat", "http://127.0.0.1/", "ws://", 7):
            with self.assertRaisesRegex(UsageError, "a URL such as"):
                connect(url)
