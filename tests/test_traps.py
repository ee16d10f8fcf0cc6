"""The traps of Tornado's plain client and server, each with the test that guards against it.

Some are shown elsewhere in full (what fails a test in `tests.test_watch`, what settling sees in
`tests.test_settle`); what stands here is the shortest proof of each, beside what Tornado does.
"""

import asyncio
import socket
import subprocess
import sys
import time
import unittest
import unittest.mock

from tornado.httpclient import HTTPClientError
from tornado.ioloop import IOLoop
from tornado.testing import gen_test
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import Echo, make_app
from tests.running import run_test
from tornado_wstest import ConnectionClosed, MessageTimeout, WebSocketTestCase
from tornado_wstest.wire import LoopResolver


class TrapTestCase(WebSocketTestCase):
    """The app with all handlers."""

    def get_app(self):
        return make_app()


class ReadingTrapsTest(TrapTestCase):
    """Traps of reading from Tornado's connection."""

    async def test_a_crashed_handler_does_not_read_as_none(self):
        """Tornado's client reads None after a crash, and the test passes; ours raises, caused by it."""

        class Crashes(Echo):
            def on_message(self, message):
                raise KeyError("crash")

        self.ws_server.app.add_handlers(".*", [("/crashes", Crashes)])
        client = await self.ws_client("/crashes")
        async with self.expect_server_error(KeyError):
            await client.send("a")
        with self.assertRaises(ConnectionClosed) as caught:
            await client.receive()
        self.assertIsInstance(caught.exception.__cause__, KeyError)

    async def test_reading_again_after_the_close_returns(self):
        """A second read_message() after the close never returns in Tornado; ours does, each time."""
        client = await self.ws_client("/commands")
        await client.send({"close": [1000]})
        self.assertEqual([await client.read_message(), await client.read_message()], [None, None])

    async def test_a_timed_out_wait_does_not_lose_the_next_message(self):
        """gen.with_timeout over read_message() loses the next message; our time-outs lose none."""
        client = await self.ws_client()
        with self.assertRaises(MessageTimeout):
            await client.receive(timeout=0.01)
        await client.send("a")
        await client.expect("a")

    async def test_unread_messages_do_not_hide_a_close(self):
        """With an unread message Tornado's client sees no close frame; ours knows the code."""
        client = await self.ws_client("/commands")
        await client.send({"send": ["a", "b", "c"], "close": [4001]})
        await self.settle()
        self.assertEqual((client.closed, client.close_code, len(client.unread)), (True, 4001, 3))

    async def test_unread_messages_do_not_keep_pings_from_being_answered(self):
        """With an unread message Tornado's client answers no ping; ours does."""
        pongs = []
        client = await self.ws_client("/commands")
        client.handler.on_pong = pongs.append
        await client.send({"send": ["a", "b", "c"], "ping": "x"})
        await self.settle()
        self.assertEqual((pongs, len(client.unread)), ([b"x"], 3))

    async def test_no_code_is_told_from_no_close_frame(self):
        """A close without a code and a drop both read None in Tornado; ours are 1005 and 1006."""
        codes = []
        for command in ({"close": []}, {"drop": True}):
            client = await self.ws_client("/commands")
            await client.send(command)
            codes.append(await client.expect_closed())
        self.assertEqual(codes, [1005, 1006])

    async def test_a_close_frame_without_a_code_in_the_turn_that_opened(self):
        """A handler that closes in open(), with or without a code, is told from one that drops there."""

        class ClosesAtOnce(WebSocketHandler):
            def open(self, how):
                if how == "drop":
                    self.ws_connection.stream.close()
                else:
                    self.close(*([4000] if how == "code" else []))

        self.ws_server.app.add_handlers(".*", [("/(code|none|drop)", ClosesAtOnce)])
        codes = [await (await self.ws_client(f"/{how}")).expect_closed() for how in ("code", "none", "drop")]
        self.assertEqual(codes, [4000, 1005, 1006])


class ClosingTrapsTest(TrapTestCase):
    """Traps of closing."""

    async def test_the_end_of_a_test_ends_the_handlers(self):
        """HTTPServer.stop() leaves websockets alive; the end of a test does not."""
        for connect in (self.ws_client, self.ws_connect):
            await connect()
        handlers = self.ws_server.handlers
        await self.wstest.close()
        self.assertEqual([handler.on_close_ran for handler in handlers], [True, True])

    async def test_a_plain_connection_with_unread_messages_is_ended(self):
        """A connection of Tornado's whose queue of one is full is closed all the same."""
        connection = await self.ws_connect("/commands")
        await connection.write_message('{"send": ["a", "b", "c"]}')
        await self.settle()
        handler = self.ws_server.handlers[0]
        await self.wstest.close()
        self.assertEqual((handler.on_close_ran, connection.protocol), (True, None))

    async def test_the_subprotocol_survives_the_close(self):
        """conn.selected_subprotocol raises after conn.close(); ours does not."""
        client = await self.ws_client("/commands", subprotocols=["v1"])
        await client.close()
        self.assertEqual(client.subprotocol, "v1")

    async def test_on_close_is_not_waited_for_after_open_raised(self):
        """After an exception in open() there is no on_close; close() knows."""

        class Raises(Echo):
            def open(self):
                raise KeyError("open")

        self.ws_server.app.add_handlers(".*", [("/raises", Raises)])
        started = time.monotonic()
        async with self.expect_server_error(KeyError):
            client = await self.ws_client("/raises")
            await client.close()
        self.assertLess(time.monotonic() - started, 1)

    def test_on_close_runs_where_the_handlers_task_is_cancelled(self):
        """Tornado runs on_close after a cancelling on some versions only; at the end of a test it runs on all."""
        closed = []

        class Stuck(Echo):
            async def on_message(self, message):
                await asyncio.Event().wait()

            def on_close(self):
                closed.append(self)

        class Case(WebSocketTestCase):
            def get_app(self):
                return Application([("/", Stuck)])

            async def test_it(self):
                await (await self.ws_client()).send("a")

        with self.assertNoLogs(level="WARNING"):
            outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        self.assertEqual(len(closed), 1)


class ConnectingTrapsTest(TrapTestCase):
    """Traps of connecting."""

    async def test_open_has_finished(self):
        """websocket_connect returns before an async open() has finished; ws_client does not."""
        client = await self.ws_client("/slow-open")
        self.assertTrue(client.handler.open is not None and client.handler.opened)

    async def test_nagle_is_off_at_both_ends(self):
        """TCP_NODELAY is set at both ends, also after the 101 has been sent, which resets it."""
        client = await self.ws_client()
        for stream in (client.connection.protocol.stream, client.handler.ws_connection.stream):
            self.assertTrue(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def test_addresses_are_resolved_in_the_loop(self):
        """127.0.0.1 is not resolved in a thread."""
        with unittest.mock.patch("concurrent.futures.ThreadPoolExecutor.submit") as submit:
            await self.ws_client()
        submit.assert_not_called()
        resolver = LoopResolver()
        self.assertEqual(await resolver.resolve("127.0.0.1", 80), [(socket.AF_INET, ("127.0.0.1", 80))])
        self.assertIn(("127.0.0.1", 80), [address for _, address in await resolver.resolve("localhost", 80)])
        resolver.close()

    async def test_a_cancelled_opening_leaves_no_ghost(self):
        """A ws_client() or ws_connect() that is cancelled on its way leaves no open handler, whenever that was."""
        for turns in range(25):
            for factory in (self.ws_client, self.ws_connect):
                task = asyncio.ensure_future(factory())
                for _ in range(turns):
                    await asyncio.sleep(0)
                if not task.done():
                    task.cancel()
                    await self.settle()
                    self.assertEqual(self.ws_server.handlers, [], f"{turns} turns")
                else:
                    task.result().close() if factory == self.ws_connect else await task.result().close()
                    await self.settle()

    async def test_a_refused_handshake_is_tornados_error(self):
        """A refusal carries status and headers; expect_rejected returns the response."""
        with self.assertRaises(HTTPClientError) as caught:
            await self.ws_client("/rejecting", query={"status": 401})
        self.assertEqual(caught.exception.code, 401)
        response = await self.expect_rejected("/rejecting", status=404, query={"status": 404})
        self.assertEqual(response.code, 404)

    async def test_no_origin_is_sent_unless_asked(self):
        """check_origin is tried only with an Origin header: origin= sends one."""
        await self.ws_client("/query")
        await self.expect_rejected("/query", origin="http://evil.example.com")
        same = await self.ws_client("/query", origin=self.ws_server.url("").rstrip("/"))
        self.assertIn("Origin", (await same.receive_json())["headers"])


class WaitingTrapsTest(TrapTestCase):
    """Traps of waiting."""

    def test_a_wait_says_what_it_waited_for(self):
        """A gen_test time-out shows the loop's internals; our waits end before and say what for."""

        class Case(WebSocketTestCase):
            ws_timeout = 0.02

            def get_app(self):
                return make_app()

            @gen_test(timeout=1)
            async def test_it(self):
                await (await self.ws_client(name="ann")).expect({"type": "pong"})

        self.assertIn("ann waited 0.02 s for {'type': 'pong'}; no message came", run_test(Case).text)

    async def test_one_barrier_at_a_time(self):
        """Pongs coalesce, and only the last ping is answered: our pings wait for each other."""
        client = await self.ws_client()
        await asyncio.gather(*(client.ping() for _ in range(50)))
        sent = [event for event in self.transcript if event.kind in ("ping", "pong")]
        self.assertEqual([event.kind for event in sent], ["ping", "pong"] * 50)

    async def test_a_block_settles_before_it_looks(self):
        """When send() returns the handler has not run; a block that looks for its effect settles first."""
        client = await self.ws_client()
        await client.send("a")
        self.assertEqual(client.handler.received, [])
        await self.settle()
        self.assertEqual(client.handler.received, ["a"])

    async def test_a_job_is_over_when_its_callbacks_have_run(self):
        """Between a job's end and its result in the loop nothing has settled."""
        results = []
        for _ in range(200):
            future = IOLoop.current().run_in_executor(None, int)
            future.add_done_callback(results.append)
            await self.settle()
        self.assertEqual(len(results), 200)


class ImportTrapsTest(unittest.TestCase):
    """What `import tornado_wstest` may cost."""

    def test_unittest_mock_is_not_imported(self):
        """unittest.mock takes 20 ms to import, and nobody needs it here."""
        code = "import sys, tornado_wstest; sys.exit('unittest.mock' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], check=False).returncode, 0)

    def test_no_new_event_loop_is_asked_of_the_test_case(self):
        """get_new_ioloop is deprecated: we do not override it, so that no test warns."""
        from tornado.testing import AsyncTestCase

        self.assertIs(WebSocketTestCase.get_new_ioloop, AsyncTestCase.get_new_ioloop)
