"""The app in a thread of its own: `LiveServer` and `LiveServerTestCase`."""

import asyncio
import gc
import http.client
import os
import re
import socket
import ssl
import threading
import time
import unittest
import urllib.request
from unittest import mock

from tornado import testing
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.apps.handlers import Echo, Ping
from tests.running import run_test
from tornado_wstest import (
    LiveServer,
    LiveServerTestCase,
    MessageTimeout,
    NotSettled,
    ServerError,
    UsageError,
    connect,
)


class Crashes(RequestHandler):
    """Raises."""

    def get(self):
        raise KeyError("page")


class Strange(Echo):
    """Does not bear everything."""

    def on_message(self, message):
        self.write_message({"length": len(message)})
        if message == "boom":
            raise KeyError("boom")


class Bytes(Echo):
    """Writes bytes."""

    def on_message(self, message):
        self.write_message("é".encode())
        self.write_message("b", binary=True)


class Sleepy(Echo):
    """Its ``on_close`` blocks the loop."""

    def on_close(self):
        time.sleep(self.settings["seconds"])  # a blocked loop is the subject


def make_live_app(**settings):
    """Return an app with these handlers."""
    handlers = [
        ("/", Echo),
        ("/crash", Crashes),
        ("/strange", Strange),
        ("/bytes", Bytes),
        ("/ping", Ping),
        ("/sleepy", Sleepy),
    ]
    return Application(handlers, **settings)


def get(live, path):
    """Fetch a page with a client that blocks; return its status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", live.server.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def wait_for_connection(live):
    """Return when a client has connected."""
    while not live.server.served:
        await asyncio.sleep(0)


def talk_from(origin, url):
    """Connect from a page of another site."""

    async def main():
        async with connect(url, origin=origin):
            pass

    asyncio.run(main())


def talk(url, *messages):
    """Send messages with a client in a loop of its own, wait for each answer, and return the answers."""

    async def main():
        async with connect(url) as client:
            answers = []
            for message in messages:
                await client.send(message)
                answers.append(await client.receive())
            return answers

    return asyncio.run(main())


class LiveServerTest(unittest.TestCase):
    """What a live server does."""

    def test_a_client_that_blocks(self):
        """A client in the test's own thread, which blocks, gets its answer."""
        with LiveServer(make_live_app) as live:
            with urllib.request.urlopen(live.url("/ping?n=1")) as response:
                self.assertEqual(response.read(), b'{"pong": "1"}')

    def test_a_client_of_ours(self):
        """`connect` reaches it from another loop."""
        with LiveServer(make_live_app) as live:
            self.assertEqual(talk(live.ws_url("/"), "a", "b"), ["a", "b"])

    def test_an_app_in_the_place_of_a_factory(self):
        """The app itself may be given."""
        app = make_live_app()
        with LiveServer(app) as live:
            self.assertIs(live.server.app, app)
            self.assertEqual(get(live, "/ping")[0], 200)

    def test_an_async_factory_is_called_in_the_servers_loop(self):
        """The factory may be async, and runs where the app will."""
        loops = []

        async def make():
            loops.append(asyncio.get_running_loop())
            return make_live_app()

        with LiveServer(make) as live:
            self.assertEqual(live.call(asyncio.get_running_loop), loops[0])

    def test_a_callback_of_an_http_server_is_returned_by_a_factory(self):
        """Whatever else HTTPServer takes is an app, too."""
        with LiveServer(lambda: make_live_app().__call__) as live:
            self.assertEqual(get(live, "/ping")[0], 200)

    def test_close_app_comes_last(self):
        """It is called in the server's loop when every connection is closed, and may be async."""
        closed = []

        async def close_app(app):
            closed.append((len(app.settings["closed"]), asyncio.get_running_loop().is_running()))

        with LiveServer(make_live_app, close_app=close_app) as live:
            talk(live.ws_url("/"), "a")
        self.assertEqual(closed, [(1, True)])

    def test_again(self):
        """A live server may be started again: the factory makes another app."""
        live = LiveServer(make_live_app)
        with live:
            first = live.server.app
        with live:
            self.assertIsNot(live.server.app, first)

    def test_a_port(self):
        """It listens on the port that is asked for."""
        sock, port = bind_unused_port()
        sock.close()
        with LiveServer(make_live_app, port=port) as live:
            self.assertEqual(live.url("/x"), f"http://127.0.0.1:{port}/x")

    def test_tls(self):
        """With ssl_options the URLs are https and wss, and both are answered."""
        options = {"ssl_options": testing.AsyncHTTPSTestCase.default_ssl_options()}
        with LiveServer(make_live_app, httpserver_options=options) as live:
            context = ssl._create_unverified_context()
            with urllib.request.urlopen(live.url("/ping"), context=context) as response:
                self.assertEqual(response.status, 200)

            async def main():
                async with connect(live.ws_url("/"), validate_cert=False) as client:
                    await client.send("a")
                    await client.expect("a")

            self.assertEqual(live.ws_url()[:6], "wss://")
            asyncio.run(main())

    def test_nothing_is_left(self):
        """The thread has ended, the port is free, and no socket waits for the collector."""
        before = threading.active_count()
        with LiveServer(make_live_app) as live:
            port = live.server.port
            talk(live.ws_url("/"), "a")
            self.assertEqual(threading.active_count(), before + 1)
        self.assertEqual(threading.active_count(), before)
        gc.collect()
        with self.assertRaises(ConnectionRefusedError):
            http.client.HTTPConnection("127.0.0.1", port).connect()

    def test_a_connection_that_stays_open_is_closed(self):
        """A client that is still connected at the end is closed, and its on_close runs."""
        with LiveServer(make_live_app) as live:
            app = live.server.app

            async def main():
                async with connect(live.ws_url("/")) as client:
                    await client.send("a")
                    await client.expect("a")
                    live.__exit__(None, None, None)
                    await client.expect_closed()

            asyncio.run(main())
            self.assertTrue(app.settings["closed"][0].on_close_ran)
            live.__enter__()

    def test_a_connection_that_is_kept_alive(self):
        """A connection over which a client could send more HTTP requests is closed at the end."""
        with LiveServer(make_live_app) as live:
            connection = http.client.HTTPConnection("127.0.0.1", live.server.port, timeout=5)
            self.addCleanup(connection.close)
            connection.request("GET", "/ping")
            connection.getresponse().read()
        self.assertEqual(connection.sock.recv(1), b"")


class ErrorTest(unittest.TestCase):
    """A handler that raises."""

    def test_it_fails_the_block(self):
        """The block fails, caused by the handler's exception, with what the client sent and received."""
        with self.assertRaises(ServerError) as caught:
            with LiveServer(make_live_app) as live:
                talk(live.ws_url("/strange?token=abc"), "a", "boom")
        self.assertIsInstance(caught.exception.__cause__, KeyError)
        (note,) = caught.exception.__notes__
        for line in (
            r"client 1 --> connect /strange\?token=\*\*\*\n",
            r"client 1 --> 'a'\n",
            r"""client 1 <-- '\{"length": 1\}'\n""",
            r"client 1 --> 'boom'\n",
            r"client 1 !!! the server raised KeyError: 'boom' \(test_live.py:\d+ in on_message\)",
        ):
            self.assertRegex(note, line)

    def test_a_page(self):
        """An exception of an HTTP handler does the same."""
        with self.assertRaisesRegex(ServerError, "Crashes raised KeyError: 'page'"):
            with LiveServer(make_live_app) as live:
                self.assertEqual(get(live, "/crash")[0], 500)

    def test_the_blocks_own_exception_stays(self):
        """What failed the block is raised, with the handler's exception as its cause."""
        with self.assertRaisesRegex(ValueError, "mine") as caught:
            with LiveServer(make_live_app) as live:
                get(live, "/crash")
                raise ValueError("mine")
        self.assertIsInstance(caught.exception.__cause__, KeyError)

    def test_expect_server_error(self):
        """A block that provokes it says so."""
        with LiveServer(make_live_app) as live:
            with live.expect_server_error(KeyError, match="page") as caught:
                get(live, "/crash")
            self.assertEqual(caught.exception.args, ("page",))

    def test_expect_server_error_that_does_not_come(self):
        """Where none is raised, the block fails."""
        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(AssertionError, "no handler raised KeyError in this block"):
                with live.expect_server_error(KeyError):
                    get(live, "/ping")

    def test_fail_on_server_error_false(self):
        """It passes if asked for."""
        with LiveServer(make_live_app, fail_on_server_error=False) as live:
            self.assertEqual(get(live, "/crash")[0], 500)

    def test_what_is_under_way_has_its_grace(self):
        """While a client is connected, the end waits for a moment: its bytes cannot be seen before they are here."""
        with LiveServer(make_live_app) as live:
            with socket.create_connection(("127.0.0.1", live.server.port)):
                live.call(lambda: wait_for_connection(live))
                start = time.monotonic()
                live.check()
                self.assertGreaterEqual(time.monotonic() - start, 0.02)

    def test_the_transcript(self):
        """It has refused handshakes, text that the handler wrote as bytes, and how a connection ended."""
        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(Exception, "403"):
                talk_from("http://evil.example", live.ws_url("/"))
            talk(live.ws_url("/bytes"), "a")
            live.check()
            events = [(event.client, event.kind, event.payload) for event in live.transcript]
        first, second = ([event[1:] for event in events if event[0] == f"client {n}"] for n in (1, 2))
        self.assertEqual(first, [("connect", "/"), ("reject", "403 Forbidden")])
        expected = [("connect", "/bytes"), ("sent", "a"), ("received", "é"), ("received", b"b")]
        self.assertEqual(second, [*expected, ("close", "1000")])

    def test_the_transcript_afterwards(self):
        """It can be read when the server has stopped; what pytest shows of the server says where it is."""
        with LiveServer(make_live_app) as live:
            talk(live.ws_url("/bytes"), "a")
            self.assertEqual(repr(live), f"<LiveServer at {live.url()[:-1]}>")
        self.assertEqual(live.transcript[0].kind, "connect")
        self.assertEqual(repr(live), "<LiveServer that is not running>")

    def test_check(self):
        """check() raises it before the block ends, and it is told once."""
        with LiveServer(make_live_app) as live:
            get(live, "/crash")
            with self.assertRaises(ServerError):
                live.check()


class CallTest(unittest.TestCase):
    """call()"""

    def test_a_function(self):
        """It is called in the server's thread, and its result is returned."""
        with LiveServer(make_live_app) as live:
            thread = live.call(threading.current_thread)
        self.assertEqual((thread.name, thread.is_alive()), ("LiveServer", False))

    def test_a_coroutine_function(self):
        """It is awaited there; Tornado's loop is the current one."""

        async def look():
            await asyncio.sleep(0)
            return IOLoop.current().asyncio_loop is asyncio.get_running_loop()

        with LiveServer(make_live_app) as live:
            self.assertIs(live.call(look), True)

    def test_what_it_raises(self):
        """An exception of the function is raised here, a TimeoutError too."""

        def fail():
            raise TimeoutError("of its own")

        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(TimeoutError, "^of its own$"):
                live.call(fail)

    def test_a_coroutine_that_waits_for_ever(self):
        """It ends with the line that it waits at, and is cancelled."""
        ended = threading.Event()

        async def hang():
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(
                MessageTimeout, r"hang did not return within 0.05 s\nit waits at test_live.py:\d+: await asyncio.Event"
            ):
                live.call(hang, timeout=0.05)
            self.assertTrue(ended.wait(5))

    def test_a_function_that_blocks_the_loop(self):
        """The line at which the loop is blocked is named."""
        release = threading.Event()

        def block():
            release.wait(5)

        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(MessageTimeout, r"its loop is blocked at test_live.py:\d+: release.wait"):
                live.call(block, timeout=0.05)
            release.set()


class HangTest(unittest.TestCase):
    """What does not end."""

    def test_a_loop_that_is_blocked_at_the_end(self):
        """The block fails with the line at which the loop is blocked."""
        with self.assertRaisesRegex(NotSettled, r"did not stop within 0.3 s\nits loop is blocked at .*: time.sleep"):
            with LiveServer(lambda: make_live_app(seconds=2), timeout=0.1) as live:

                async def main():
                    async with connect(live.ws_url("/sleepy")) as client:
                        client.connection.protocol.stream.close()

                thread = live._thread
                asyncio.run(main())
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_a_close_app_that_waits_for_ever(self):
        """The block fails with the line at which it waits, and the thread ends all the same."""

        async def close_app(app):
            await asyncio.Event().wait()

        with self.assertRaisesRegex(NotSettled, "it waits at test_live.py:.*asyncio.Event"):
            with LiveServer(make_live_app, timeout=0.1, close_app=close_app) as live:
                thread = live._thread
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_a_factory_that_waits_for_ever(self):
        """The start fails with the line at which it waits."""

        async def make():
            await asyncio.Event().wait()

        with self.assertRaisesRegex(NotSettled, r"did not start within 0.1 s\nit waits at test_live.py:\d+: await"):
            LiveServer(make, timeout=0.1).__enter__()
        for thread in threading.enumerate():
            if thread.name == "LiveServer":
                thread.join(10)
                self.assertFalse(thread.is_alive())

    def test_an_app_that_stops_the_loop(self):
        """The block fails with what the loop says of it."""
        with self.assertRaisesRegex(RuntimeError, "Event loop stopped"):
            with LiveServer(make_live_app) as live:
                thread = live._thread
                live.call(lambda: asyncio.get_running_loop().stop())
                thread.join(10)

    def test_a_failing_block_says_it_too(self):
        """When the block has failed already, what happened at the stop is a note."""

        async def close_app(app):
            raise OSError("no database")

        with self.assertRaisesRegex(ValueError, "mine") as caught:
            with LiveServer(make_live_app, close_app=close_app):
                raise ValueError("mine")
        self.assertIn("when the live server stopped: OSError: no database", caught.exception.__notes__[-1])


class BadInputTest(unittest.TestCase):
    """What is refused."""

    def test_a_factory_that_raises(self):
        """Its exception is raised by the with statement, and the server may be started again."""
        apps = [None, make_live_app()]

        def make():
            app = apps.pop(0)
            if app is None:
                raise OSError("no database")
            return app

        live = LiveServer(make)
        with self.assertRaisesRegex(OSError, "no database"):
            live.__enter__()
        with live:
            self.assertEqual(get(live, "/ping")[0], 200)

    def test_what_is_no_app(self):
        """A factory that forgets its return, and what is neither an app nor a function."""
        with self.assertRaisesRegex(UsageError, "got None as its app"):
            LiveServer(lambda: None).__enter__()
        with self.assertRaisesRegex(UsageError, r"LiveServer\(\) got 'chat' as its app"):
            LiveServer("chat")

    def test_a_port_in_use(self):
        """A port that is taken is named; a port that is none is refused."""
        with LiveServer(make_live_app) as live:
            port = live.server.port
            with self.assertRaisesRegex(UsageError, f"cannot listen on port {port}: .*\nport=0 takes one"):
                LiveServer(make_live_app, port=port).__enter__()
        for port in (-1, 65_536, "80", True):
            with self.assertRaisesRegex(UsageError, "port is a number from 0"):
                LiveServer(make_live_app, port=port)

    def test_outside_of_the_block(self):
        """Before the start and after the end there is no URL and nothing to call."""
        live = LiveServer(make_live_app)
        for function in (live.url, live.ws_url, live.check, lambda: live.call(len), lambda: live.server):
            with self.assertRaisesRegex(UsageError, "not running"):
                function()
        with live:
            with self.assertRaisesRegex(UsageError, "running already"):
                live.__enter__()
        with self.assertRaisesRegex(UsageError, "not running"):
            live.call(len)

    def test_call_from_its_own_thread(self):
        """It would wait for itself: refused."""
        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(UsageError, "own thread would wait for itself"):
                live.call(lambda: live.call(len))

    def test_call_with_what_is_no_function(self):
        """A coroutine is no function."""
        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(UsageError, "not a coroutine"):
                live.call(asyncio.sleep(0))
            with self.assertRaisesRegex(UsageError, "takes a function, not 3"):
                live.call(3)

    def test_a_path_without_a_slash(self):
        """It is refused with the path that was meant."""
        with LiveServer(make_live_app) as live:
            with self.assertRaisesRegex(UsageError, "did you mean '/chat'"):
                live.ws_url("chat")


class LiveTestCaseTest(LiveServerTestCase):
    """The test case, used as its users do."""

    apps: list = []

    def get_app(self):
        return make_live_app()

    def test_urls(self):
        """The URLs are the server's, without a slash at the end."""
        self.assertEqual(self.live_server_url, f"http://127.0.0.1:{self.live_server.server.port}")
        self.assertEqual(self.live_server_ws_url, f"ws://127.0.0.1:{self.live_server.server.port}")
        with urllib.request.urlopen(f"{self.live_server_url}/ping") as response:
            self.assertEqual(response.status, 200)

    def test_an_app_for_each_test(self):
        """No test meets the app of another."""

        class Case(type(self)):
            def test_it(self):
                self.apps.append(self.live_server.server.app)

        self.assertTrue(run_test(Case).was_successful)
        self.assertTrue(run_test(Case).was_successful)
        self.assertEqual(len(set(map(id, self.apps))), 2)


class LiveTestCaseFailureTest(unittest.TestCase):
    """How tests of `LiveServerTestCase` fail."""

    def case(self, test, **namespace):
        """Return the outcome of a test case with this test."""
        namespace.setdefault("get_app", lambda case: make_live_app())
        return run_test(type("Case", (LiveServerTestCase,), {"test_it": test, **namespace}))

    def test_a_handler_that_raises(self):
        """The test fails, once, whatever it looked at, and may be expected to."""

        def test(case):
            get(case.live_server, "/crash")

        outcome = self.case(test)
        self.assertEqual((len(outcome.failures), outcome.errors), (1, []))
        self.assertIn("Crashes raised KeyError: 'page'", outcome.text)
        self.assertEqual(self.case(unittest.expectedFailure(test)).expected_failures, 1)

    def test_what_a_failure_shows_of_the_stack(self):
        """A crash is shown in the app and at the test's last line, what a called function raised there: no thread."""

        def test(case):
            get(case.live_server, "/crash")
            case.assertTrue(1)

        shown = re.findall(r"in (\S+)\n +(.+)", self.case(test).text)
        self.assertEqual(shown, [("get", 'raise KeyError("page")'), ("test", "case.assertTrue(1)")])

        def test(case):
            case.live_server.call(lambda: {}["x"])

        shown = re.findall(r"in (\S+)\n", self.case(test).text)
        self.assertEqual(shown, ["test", "call", "<lambda>"])

    def test_a_failing_assertion_carries_the_transcript(self):
        """What failed the test shows what was sent, in a sub-test too."""

        def test(case):
            talk(f"{case.live_server_ws_url}/", "a")
            with case.subTest("sub"):
                case.fail("first")
            case.fail("second")

        outcome = self.case(test)
        self.assertEqual([text.count("client 1 --> 'a'") for text in outcome.failures], [1, 1])

    def test_a_failure_is_told_once(self):
        """Crashes behind a failing assertion are no second failure; a close_app that raises is."""

        def test(case):
            for _ in range(2):
                get(case.live_server, "/crash")
            case.fail("mine")

        outcome = self.case(test)
        self.assertEqual((len(outcome.failures), outcome.errors), (1, []))
        self.assertNotIn("_explained", outcome.text)

        def close_app(case, app):
            raise OSError("no database")

        outcome = self.case(test, close_app=close_app)
        self.assertEqual((len(outcome.failures), len(outcome.errors)), (1, 1))

    def test_a_loop_that_is_blocked(self):
        """A test that fails because the loop is blocked says where, and nothing else."""

        def test(case):
            release = threading.Event()
            case.addCleanup(release.set)
            case.live_server.call(lambda: release.wait(5), timeout=0.05)

        with mock.patch.dict(os.environ, ASYNC_TEST_TIMEOUT="0.3"):
            outcome = self.case(test)
        self.assertRegex(outcome.text, "its loop is blocked at test_live.py:.*release.wait")
        self.assertEqual(outcome.text.count("MessageTimeout: call()"), 1)

    def test_on_failure_is_called_while_the_server_is_up(self):
        """The hook hears of the failure, and may add to it; a test that passes or is skipped calls it not."""

        def on_failure(case, error):
            error.add_note(f"the page was {get(case.live_server, '/ping')[0]}")

        def skip(case):
            case.skipTest("not today")

        self.assertIn("the page was 200", self.case(lambda case: case.fail("x"), on_failure=on_failure).text)
        for test in (skip, lambda case: None):
            self.assertEqual(self.case(test, on_failure=lambda case, error: self.fail("called")).text, "")

    def test_clean_ups_are_called_before_the_server_stops(self):
        """What a test has left to clean up still meets the server, after a setUp that failed as well."""
        seen = []

        def set_up(case):
            LiveServerTestCase.setUp(case)
            case.addCleanup(lambda: seen.append(get(case.live_server, "/ping")[0]))
            raise OSError("set-up")

        outcome = self.case(lambda case: None, setUp=set_up)
        self.assertEqual((seen, len(outcome.errors)), ([200], 1))

    def test_without_get_app(self):
        """It is asked for."""
        outcome = run_test(type("Case", (LiveServerTestCase,), {"test_it": lambda case: None}))
        self.assertIn("Case has no get_app()", outcome.text)

    def test_set_up_without_super(self):
        """A setUp that forgets super().setUp() is told so, once."""
        outcome = self.case(lambda case: None, setUp=lambda case: None)
        self.assertEqual(len(outcome.errors), 1)
        self.assertIn("Case.setUp() does not call super().setUp()", outcome.text)

    def test_an_async_test_without_a_loop(self):
        """An async test would never run: it is refused, with the base that it needs."""

        async def test(case):
            pass

        self.assertIn("(LiveServerTestCase, unittest.IsolatedAsyncioTestCase)", self.case(test).text)


class AsyncLiveTest(LiveServerTestCase, unittest.IsolatedAsyncioTestCase):
    """Over the standard library's async test case."""

    def get_app(self):
        return make_live_app()

    async def test_a_client_of_ours(self):
        """Tests may be async, in a loop that is not the server's."""
        async with connect(f"{self.live_server_ws_url}/") as client:
            await client.send("a")
            await client.expect("a")
        self.assertIsNot(self.live_server.call(asyncio.get_running_loop), asyncio.get_running_loop())

    def test_a_failure(self):
        """A handler's exception fails an async test."""

        class Case(type(self)):
            async def test_it(self):
                get(self.live_server, "/crash")

        self.assertIn("Crashes raised KeyError: 'page'", run_test(Case).text)
