"""The mixin and its ready-made bases: set-up, run, tear-down, and what tests may look like."""

import asyncio
import contextlib
import gc
import os
import unittest
import warnings
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from tornado import testing
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.testing import gen_test
from tornado.web import Application

from tests.apps.handlers import Echo, make_app
from tests.running import run_test
from tornado_wstest import (
    MessageTimeout,
    UsageError,
    WebSocketHTTPTestCase,
    WebSocketTestCase,
    WebSocketTestMixin,
    discard,
)


class KindsOfTestsTest(WebSocketTestCase):
    """What a test method may be."""

    def get_app(self):
        return make_app()

    @gen_test
    async def test_gen_test_and_await(self):
        """A native coroutine under @gen_test."""
        client = await self.ws_client()
        await client.send("a")
        await client.expect("a")

    @gen_test
    def test_gen_test_and_yield(self):
        """A generator under @gen_test."""
        client = yield self.ws_client()
        yield client.send("a")
        yield client.expect("a")

    async def test_a_plain_coroutine(self):
        """An async test without a decorator runs."""
        client = await self.ws_client()
        await client.send("a")
        await client.expect("a")

    def test_a_plain_function(self):
        """A test that is no coroutine has the server, too."""
        self.assertEqual(self.ws_server.url("/x"), f"http://127.0.0.1:{self.ws_server.port}/x")

    async def test_gather_and_create_task_take_a_client(self):
        """ws_client() is a coroutine in every respect."""
        task = asyncio.create_task(self.ws_client())
        clients = [await task, *await asyncio.gather(self.ws_client(), self.ws_client())]
        self.assertEqual(len(self.ws_server.handlers), len(clients))

    def test_an_async_test_really_runs(self):
        """A failing async test without a decorator fails."""

        class Case(type(self)):
            async def test_it(self):
                await self.ws_client()
                self.fail("it ran")

        self.assertIn("it ran", run_test(Case).text)

    def test_a_generator_without_decorator_is_refused(self):
        """A generator test without @gen_test would never run: an error."""

        class Case(type(self)):
            def test_it(self):
                yield self.ws_client

        self.assertIn("decorate it with tornado.testing.gen_test", run_test(Case).text)

    def test_a_test_inherited_from_a_plain_class_runs(self):
        """An async test that a plain class defines runs as well."""

        class Plain:
            async def test_it(self):
                self.ran.append(await self.ws_client())

        class Case(Plain, type(self)):
            ran: list = []

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        self.assertEqual(len(Case.ran), 1)

    def test_one_test_may_be_named(self):
        """`python -m unittest module.Class.test` finds a test."""
        name = f"{__name__}.KindsOfTestsTest.test_a_plain_coroutine"
        (test,) = unittest.defaultTestLoader.loadTestsFromName(name)
        self.assertEqual(test.id().rpartition(".")[2], "test_a_plain_coroutine")

    def test_skips_and_expected_failures_are_left_alone(self):
        """SkipTest inside an async test is a skip; expectedFailure an expected failure."""

        class Skips(type(self)):
            async def test_it(self):
                self.skipTest("not today")

        class Fails(type(self)):
            @unittest.expectedFailure
            async def test_it(self):
                self.fail("as expected")

        self.assertEqual(run_test(Skips).skipped, ["not today"])
        self.assertEqual(run_test(Fails).expected_failures, 1)


class LifeTest(unittest.TestCase):
    """The order of things."""

    def test_the_order_of_the_hooks(self):
        """get_app, asyncSetUp, test, asyncTearDown, cleanups, on_close, close_app: in this order."""
        calls = []

        @contextlib.asynccontextmanager
        async def context():
            calls.append("enter")
            yield
            calls.append("exit")

        class Handler(Echo):
            def on_close(self):
                calls.append("on_close")

        class Case(WebSocketTestCase):
            async def get_app(self):
                calls.append("get_app")
                return Application([("/", Handler)])

            async def close_app(self, app):
                calls.append("close_app")

            async def asyncSetUp(self):
                calls.append("asyncSetUp")
                await self.enterAsyncContext(context())
                self.addAsyncCleanup(self.clean)

            async def clean(self):
                await self.ws_client()
                calls.append("cleanup")

            async def asyncTearDown(self):
                calls.append("asyncTearDown")
                await self.ws_client()

            async def test_it(self):
                await self.ws_client()
                calls.append("test")

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        order = "get_app asyncSetUp enter test asyncTearDown cleanup exit on_close on_close on_close close_app"
        self.assertEqual(" ".join(calls), order)

    def test_clients_are_closed_in_the_order_they_connected(self):
        """tearDown closes the first client first, and waits for its on_close."""
        closed = []

        class Handler(Echo):
            def on_close(self):
                closed.append(self.get_argument("n"))

        class Case(WebSocketTestCase):
            def get_app(self):
                return Application([("/", Handler)])

            async def test_it(self):
                for number in range(5):
                    await self.ws_client(query={"n": number})

        run_test(Case)
        self.assertEqual(closed, ["0", "1", "2", "3", "4"])

    def test_a_failing_async_set_up_undoes_what_was_done(self):
        """If asyncSetUp raises, the server is stopped, close_app called, and the test not run."""
        calls = []

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def asyncSetUp(self):
                self.addAsyncCleanup(self.clean)
                raise KeyError("set-up")

            async def clean(self):
                calls.append("cleanup")

            def close_app(self, app):
                calls.append("close_app")

            async def test_it(self):
                calls.append("test")

        outcome = run_test(Case)
        self.assertIn("KeyError: 'set-up'", outcome.text)
        self.assertEqual(calls, ["cleanup", "close_app"])

    def test_a_failing_async_tear_down_does_not_keep_the_rest_from_happening(self):
        """If asyncTearDown raises, the clients are closed and close_app is called all the same."""
        calls = []

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def asyncTearDown(self):
                raise KeyError("tear-down")

            def close_app(self, app):
                calls.append(app.settings["closed"][0].on_close_ran)

            async def test_it(self):
                await self.ws_client()

        self.assertIn("KeyError: 'tear-down'", run_test(Case).text)
        self.assertEqual(calls, [True])

    def test_the_settings_of_the_class_are_the_testers(self):
        """What stands on the class reaches the tester."""

        class Case(WebSocketTestCase):
            ws_path = "/greeter"
            ws_timeout = 0.03
            handshake = discard(1)

            def get_app(self):
                return make_app()

            def get_ws_options(self):
                return {"headers": {"X-All": "1"}}

            async def test_it(self):
                client = await self.ws_client()
                assert client.handshake_messages == ("hello",)
                seen = await (await self.ws_client("/query", handshake=None, headers={"X-One": "2"})).receive_json()
                assert (seen["headers"]["X-All"], seen["headers"]["X-One"]) == ("1", "2")
                with self.assertRaisesRegex(MessageTimeout, "0.03 s"):
                    await client.receive()

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_the_timeout_follows_async_test_timeout(self):
        """By default a wait lasts two fifths of ASYNC_TEST_TIMEOUT."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def test_it(self):
                self.assertEqual(self.wstest.timeout, 20)

        with mock.patch.dict(os.environ, ASYNC_TEST_TIMEOUT="50"):
            outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_names_of_the_users_own_are_left_alone(self):
        """A test case may have its own clock, transcript, ws_connect or settle."""

        class Case(WebSocketTestCase):
            clock = "mine"

            def get_app(self):
                return make_app()

            def ws_connect(self):
                return "mine"

            def settle(self):
                return "mine"

            async def test_it(self):
                self.transcript = "mine"
                client = await self.ws_client()
                await client.send("a")
                await client.expect("a")
                assert (self.clock, self.transcript, self.ws_connect(), self.settle()) == ("mine",) * 4

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_an_app_that_is_a_plain_callback(self):
        """Any HTTPServer callback is an app; its connections have no handler to be seen."""

        class Case(WebSocketTestCase):
            def get_app(self):
                def answer(request):
                    start_line = ResponseStartLine("HTTP/1.1", 204, "No Content")
                    request.connection.write_headers(start_line, HTTPHeaders())
                    request.connection.finish()

                return answer

            async def test_it(self):
                self.assertEqual((await self.http_fetch("/")).code, 204)

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_a_stray_stop_of_the_loop_does_not_hurt(self):
        """A stop that a test has left behind in the loop does not interrupt what runs after the test."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def test_it(self):
                await self.ws_client()
                asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
                self.fail("the real failure")

        outcome = run_test(Case)
        self.assertEqual((len(outcome.failures), outcome.errors), (1, []))

    def test_a_wait_that_is_left_behind_is_silent(self):
        """A task of the test's that still waits for a message at the end is cancelled without a word."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def test_it(self):
                client = await self.ws_client()
                self.task = asyncio.ensure_future(client.receive("never"))
                await self.settle()

        with self.assertNoLogs(level="WARNING"):
            outcome = run_test(Case)
            gc.collect()
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_set_up_without_super(self):
        """A setUp that forgets super().setUp() is told so, once."""

        class Case(WebSocketTestCase):
            def setUp(self):
                pass

            def get_app(self):
                return make_app()

            async def test_it(self):
                await self.ws_client()

        outcome = run_test(Case)
        self.assertEqual((len(outcome.errors), outcome.failures), (1, []))
        self.assertIn("Case.setUp() does not call super().setUp()", outcome.text)

    def test_a_handshake_without_self(self):
        """A handshake method that forgets self is told what to write."""

        class Case(WebSocketTestCase):
            async def handshake(client):  # noqa: N805
                pass

            def get_app(self):
                return make_app()

            async def test_it(self):
                await self.ws_client()

        self.assertIn("takes no client", run_test(Case).text)


class HTTPTest(WebSocketHTTPTestCase):
    """Over AsyncHTTPTestCase: one server for fetch and clients."""

    def get_app(self):
        return make_app()

    def test_fetch_is_tornados(self):
        """The base's synchronous fetch works."""
        self.assertEqual(self.fetch("/ping?n=1").body, b'{"pong": "1"}')

    async def test_clients_meet_the_same_server(self):
        """Clients connect to the server that fetch asks."""
        client = await self.ws_client()
        self.assertEqual(client.handler.application, self._app)
        self.assertEqual(self.ws_server.port, self.get_http_port())

    async def test_http_fetch_in_an_async_test(self):
        """http_fetch is the async form."""
        response = await self.http_fetch("/ping", method="POST", body="x")
        self.assertEqual(response.body, b"x")

    def test_an_async_get_app_is_run_to_its_end(self):
        """get_app may be async here, too."""

        class Case(WebSocketHTTPTestCase):
            async def get_app(self):
                await asyncio.sleep(0)
                return make_app()

            def test_it(self):
                assert self.fetch("/ping").code == 200

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_get_app_of_a_second_base_is_found(self):
        """A get_app of a base that stands behind the mixin is the one that is called."""

        class Base(testing.AsyncHTTPTestCase):
            def get_app(self):
                return make_app()

        class Case(WebSocketTestMixin, Base):
            async def test_it(self):
                await self.ws_client()

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)


class HTTPSTest(WebSocketTestMixin, testing.AsyncHTTPSTestCase):
    """Over AsyncHTTPSTestCase: wss."""

    def get_app(self):
        return make_app()

    async def test_clients_speak_wss(self):
        """Clients connect over TLS; the self-signed certificate is not validated."""
        client = await self.ws_client()
        self.assertEqual((client.handler.request.protocol, self.ws_server.ws_url()[:6]), ("https", "wss://"))
        for number in range(50):
            await client.send(str(number))
            self.assertEqual(await client.receive_all(), [str(number)])
            await client.expect_nothing()

    async def test_the_certificate_is_validated_if_asked(self):
        """validate_cert=True makes the client refuse it."""
        with self.assertRaisesRegex(Exception, "(?i)certificate"):
            with self.assertLogs("tornado.general", "WARNING"):
                await self.ws_client(validate_cert=True)

    async def test_http_fetch_speaks_https(self):
        """http_fetch does the same."""
        self.assertEqual((await self.http_fetch("/ping")).code, 200)


class PropertyTest(WebSocketTestCase):
    """@given: an app, an asyncSetUp and clients of its own for each example."""

    apps: list = []

    def get_app(self):
        app = make_app()
        app.examples = 0
        self.apps.append(app)
        return app

    async def asyncSetUp(self):
        self.client = await self.ws_client()

    @settings(max_examples=20, deadline=None, database=None)
    @given(st.text())
    async def test_a_plain_coroutine(self, text):
        """An async test under @given needs no @gen_test."""
        await self.assert_fresh(text)

    @settings(max_examples=20, deadline=None, database=None)
    @given(st.binary())
    @gen_test
    async def test_gen_test(self, data):
        """@given over @gen_test works, too."""
        await self.assert_fresh(data)

    async def assert_fresh(self, message):
        self.ws_server.app.examples += 1
        self.assertEqual(self.ws_server.app.examples, 1)
        self.assertEqual(len(self.ws_server.handlers), 1)
        await self.client.send(message)
        self.assertEqual(await self.client.receive_all(), [message])

    def test_a_failing_example_carries_its_transcript(self):
        """The failure of the smallest example shows what happened on its connection only."""

        class Case(type(self)):
            @settings(max_examples=50, deadline=None, database=None)
            @given(st.integers(0, 1000))
            async def test_it(self, number):
                await self.client.send(str(number))
                await self.client.expect(lambda value: int(value) < 10)

        text = run_test(Case).text
        self.assertIn("number=10", text)
        self.assertIn("<--*'10'", text)

    def test_given_inside_gen_test_is_refused(self):
        """@gen_test over @given cannot work, and says what does."""

        class Case(type(self)):
            @gen_test
            @settings(max_examples=5, database=None)
            @given(st.integers())
            def test_it(self, number):
                pass

        self.assertIn("put @given above it", run_test(Case).text)


class PropertyOverHTTPTest(WebSocketHTTPTestCase):
    """@given over AsyncHTTPTestCase: the same server with another app."""

    def get_app(self):
        return make_app(examples=[])

    @settings(max_examples=10, deadline=None, database=None)
    @given(st.integers())
    def test_each_example_has_its_app(self, number):
        """The base's own fetch meets the example's app."""
        self.assertEqual(self.fetch("/ping").code, 200)
        self.ws_server.app.settings["examples"].append(number)
        self.assertEqual((len(self._app.settings["examples"]), self._app), (1, self.ws_server.app))


class NoteTest(unittest.TestCase):
    """The transcript travels with whatever failed the test."""

    def test_a_bare_assertion_carries_it(self):
        """Any exception of a test carries the transcript."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def test_it(self):
                client = await self.ws_client(name="ann")
                await client.send("a")
                await self.settle()
                raise KeyError("mine")

        text = run_test(Case).text
        self.assertRegex(text, r"ann --> 'a'\n.*ann <--\*'a'")

    def test_the_traceback_begins_and_ends_at_the_test(self):
        """A failure shows the lines of the test, and not those that run it or that it calls in the package."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            @gen_test
            async def test_it(self):
                client = await self.ws_client()
                await client.receive(timeout=0.02)

        text = run_test(Case).text
        self.assertIn("await client.receive(timeout=0.02)", text)
        for inside in ("post_coroutine", "endpoint.py", "inbox.py", "lifecycle.py"):
            self.assertNotIn(inside, text)

    def test_a_sub_test_carries_it(self):
        """A failing subTest carries it as well, and the others are run."""
        ran = []

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def test_it(self):
                client = await self.ws_client(name="ann")
                for number in range(3):
                    with self.subTest(number=number):
                        ran.append(number)
                        await client.send(str(number))
                        await client.expect("1")
                await client.receive_all()

        text = run_test(Case).text
        self.assertEqual((ran, text.count("ann <--")), ([0, 1, 2], text.count("ann <--")))
        self.assertIn("<--*'0'", text)

    def test_a_test_without_connections_has_none(self):
        """Where nothing happened, there is no transcript."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            def test_it(self):
                self.fail("plain")

        self.assertNotIn("transcript", run_test(Case).text)


class QuietTest(unittest.TestCase):
    """Nothing is left behind."""

    def test_a_plain_async_test_case_still_works_beside_ours(self):
        """Tornado's own test case is untouched by our tests before it."""

        class Plain(testing.AsyncTestCase):
            @gen_test
            async def test_it(self):
                await asyncio.sleep(0)

        class Ours(WebSocketTestCase):
            def get_app(self):
                return make_app()

            async def test_it(self):
                await self.ws_client()

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for case in (Ours, Plain, Ours):
                self.assertTrue(run_test(case).was_successful)
            gc.collect()

    def test_get_app_is_asked_for(self):
        """A test case without get_app says so."""

        class Case(WebSocketTestCase):
            async def test_it(self):
                pass

        self.assertIn("Case has no get_app()", run_test(Case).text)
        self.assertTrue(issubclass(UsageError, ValueError))
