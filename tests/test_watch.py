"""An exception that leaves a handler fails the test, whatever it looked at."""

import asyncio
import contextlib
import gc
import logging
import sys
import unittest

from tornado import gen
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.testing import ExpectLog
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.running import run_test
from tornado_wstest import ConnectionClosed, ServerError, WebSocketTestCase, WebSocketTester, WSTestFailure


class Quiet(WebSocketHandler):
    """Ignores what it gets."""

    def on_message(self, message):
        pass


class Boom(ValueError):
    """What the handlers here raise. A ValueError, because Tornado swallows some of these."""


def raises(*args, **kwargs):
    raise Boom("boom")


async def raises_later(*args):
    await asyncio.sleep(0)
    raise Boom("boom")


class OpenRaises(Quiet):
    open = raises


class AsyncOpenRaises(Quiet):
    open = raises_later


class OnMessageRaises(Quiet):
    on_message = raises


class AsyncOnMessageRaises(Quiet):
    on_message = raises_later


class GeneratorOnMessageRaises(Quiet):
    @gen.coroutine
    def on_message(self, message):
        yield gen.sleep(0)
        raise Boom("boom")


class Exits(Quiet):
    def on_message(self, message):
        sys.exit(3)


class AsyncExits(Quiet):
    async def on_message(self, message):
        await asyncio.sleep(0)
        sys.exit(3)


class OnPingRaises(Quiet):
    on_ping = raises


class OnPongRaises(Quiet):
    def on_message(self, message):
        self.ping(b"x")

    on_pong = raises


class OnCloseRaises(Quiet):
    on_close = raises


class OnWSConnectionCloseRaises(Quiet):
    on_ws_connection_close = raises


class OnConnectionCloseRaises(Quiet):
    on_connection_close = raises


class PrepareRaises(Quiet):
    prepare = raises


class SelectSubprotocolRaises(Quiet):
    select_subprotocol = raises


class InitializeRaises(Quiet):
    initialize = raises


class TaskRaises(Quiet):
    def on_message(self, message):
        self.task = asyncio.ensure_future(raises_later())


class CallbackRaises(Quiet):
    def on_message(self, message):
        asyncio.get_running_loop().call_soon(raises)


class TimerRaises(Quiet):
    def on_message(self, message):
        asyncio.get_running_loop().call_later(0, raises)


class IOLoopCallbackRaises(Quiet):
    def on_message(self, message):
        IOLoop.current().add_callback(raises)


class IOLoopSpawnRaises(Quiet):
    def on_message(self, message):
        IOLoop.current().spawn_callback(raises_later)


class IOLoopTimerRaises(Quiet):
    def on_message(self, message):
        IOLoop.current().call_later(0, raises)


class PeriodicCallbackRaises(Quiet):
    def on_message(self, message):
        self.ticker = PeriodicCallback(self.tick, 1)
        self.ticker.start()

    def tick(self):
        self.ticker.stop()
        self.settings["ticked"] = True
        raise Boom("boom")


class OwnLogException(OnMessageRaises):
    def log_exception(self, *exc_info):
        pass


HANDLERS = [
    OpenRaises,
    AsyncOpenRaises,
    OnMessageRaises,
    AsyncOnMessageRaises,
    GeneratorOnMessageRaises,
    OnPingRaises,
    OnPongRaises,
    OnCloseRaises,
    OnWSConnectionCloseRaises,
    OnConnectionCloseRaises,
    PrepareRaises,
    SelectSubprotocolRaises,
    InitializeRaises,
    TaskRaises,
    CallbackRaises,
    TimerRaises,
    IOLoopCallbackRaises,
    IOLoopSpawnRaises,
    IOLoopTimerRaises,
    PeriodicCallbackRaises,
    OwnLogException,
]


async def provoke(case, path="/"):
    """Do what makes each of the handlers raise, and look at nothing."""
    try:
        client = await case.ws_client(path)
    except Exception:
        return
    with contextlib.suppress(ConnectionClosed):
        await client.send("a")
        await client.ping()
        if "Periodic" in type(client.handler).__name__:
            await case.until(lambda: case.ws_server.app.settings.get("ticked"))
    await case.settle()
    await client.close()


def case_for(handler, **attributes):
    """Return a test case class whose one test provokes ``handler``."""

    class Case(WebSocketTestCase):
        def get_app(self):
            return Application([("/", handler)])

        async def test_it(self):
            await provoke(self)

    for name, value in attributes.items():
        setattr(Case, name, value)
    return Case


class ServerErrorTest(unittest.TestCase):
    """Each place where a handler's exception can leave it."""

    def setUp(self):
        super().setUp()
        # What Tornado logs of all this is not the subject.
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def test_every_place_fails_the_test(self):
        """An exception in any callback, task, callback or timer of a handler fails the test, once."""
        for handler in HANDLERS:
            with self.subTest(handler.__name__):
                outcome = run_test(case_for(handler))
                self.assertEqual((len(outcome.failures), outcome.errors), (1, []))
                self.assertIn("Boom: boom", outcome.failures[0])

    def test_the_exception_is_told_once(self):
        """The traceback of the handler's exception stands in the failure once, as its cause."""
        text = run_test(case_for(OnMessageRaises)).text
        self.assertEqual(text.count("direct cause"), 1)
        self.assertEqual(text.count('raise Boom("boom")'), 1)
        self.assertIn("OnMessageRaises raised Boom: boom", text)

    def test_fail_on_server_error_false_lets_it_pass(self):
        """With fail_on_server_error = False only the test's own assertions count."""
        for handler in HANDLERS:
            with self.subTest(handler.__name__):
                outcome = run_test(case_for(handler, fail_on_server_error=False))
                self.assertTrue(outcome.was_successful, outcome.text)

    def test_expect_server_error_takes_it(self):
        """Inside expect_server_error any of these is as expected."""
        for handler in HANDLERS:

            class Case(case_for(handler)):
                async def test_it(self):
                    async with self.expect_server_error(ValueError, match="boom") as caught:
                        await provoke(self)
                    self.assertIsInstance(caught.exception, Boom)

            with self.subTest(handler.__name__):
                outcome = run_test(Case)
                self.assertTrue(outcome.was_successful, outcome.text)

    def test_an_expected_failure_may_be_a_server_error(self):
        """The error belongs to the test's body, so that expectedFailure sees it."""

        class Case(case_for(OnMessageRaises)):
            test_it = unittest.expectedFailure(case_for(OnMessageRaises).test_it)

        outcome = run_test(Case)
        self.assertEqual((outcome.expected_failures, outcome.text), (1, ""))

    def test_a_failing_assertion_is_caused_by_it(self):
        """A test that fails for another reason shows the handler's exception as the cause, and fails once."""

        class Case(case_for(OnMessageRaises)):
            async def test_it(self):
                client = await self.ws_client()
                await client.send("a")
                await self.settle()
                self.assertEqual(client.unread, ("a",))

        outcome = run_test(Case)
        self.assertEqual((len(outcome.failures), outcome.errors), (1, []))
        self.assertIn("Boom: boom", outcome.text)

    def test_an_exit_ends_the_test_and_not_the_run(self):
        """A handler that calls sys.exit() fails its test like any other exception."""
        for handler in (Exits, AsyncExits):
            with self.subTest(handler.__name__):
                outcome = run_test(case_for(handler))
                self.assertEqual((len(outcome.failures), outcome.errors), (1, []))
                self.assertIn("SystemExit: 3", outcome.text)

    def test_the_next_test_starts_afresh(self):
        """An error of one test is none of the next one."""
        case = case_for(OnMessageRaises)
        run_test(case)

        class Next(case):
            async def test_it(self):
                await self.ws_client()

        self.assertTrue(run_test(Next).was_successful)


class LogTest(unittest.TestCase):
    """What the logs have to do with it."""

    def test_expect_log_excuses(self):
        """An ExpectLog that swallows the record of an exception expects the exception."""

        class Case(case_for(OnMessageRaises)):
            async def test_it(self):
                with ExpectLog("tornado.application", "Uncaught exception"):
                    await provoke(self)

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_an_expect_log_for_something_else_excuses_nothing(self):
        """An ExpectLog that lets the record pass does not excuse the exception."""

        class Case(case_for(OnMessageRaises)):
            async def test_it(self):
                with ExpectLog("tornado.application", "something else", required=False):
                    await provoke(self)

        with self.assertLogs("tornado.application", "ERROR"):
            self.assertEqual(len(run_test(Case).failures), 1)

    def test_an_expected_error_is_not_logged(self):
        """What expect_server_error takes leaves no line in the log."""

        class Case(case_for(OnMessageRaises)):
            async def test_it(self):
                async with self.expect_server_error(Boom):
                    await provoke(self)

        with self.assertNoLogs("tornado.application", "ERROR"):
            self.assertTrue(run_test(Case).was_successful)

    def test_an_exception_that_the_app_logs_itself_is_none(self):
        """A handler that catches and logs on Tornado's logger has not raised."""

        class Logs(Quiet):
            def on_message(self, message):
                try:
                    raises()
                except Boom:
                    logging.getLogger("tornado.application").exception("handled")

        with self.assertLogs("tornado.application", "ERROR"):
            self.assertTrue(run_test(case_for(Logs)).was_successful)

    def test_a_log_line_names_its_own_place(self):
        """What Tornado logs through a method of ours is said to come from Tornado."""
        with self.assertLogs("tornado.application", "ERROR") as logs:
            run_test(case_for(IOLoopCallbackRaises))
        self.assertEqual(logs.records[0].filename, "ioloop.py")

    def test_the_loggers_are_left_as_they_were(self):
        """After a test the loggers have no method of ours."""
        run_test(case_for(Quiet))
        for name in ("tornado.application", "asyncio"):
            self.assertEqual({"filter", "error"} & set(vars(logging.getLogger(name))), set())


class Ticker(WebSocketHandler):
    """Sends for ever, in a task of its own."""

    def open(self):
        self.task = asyncio.ensure_future(self.tick())

    async def tick(self):
        while True:
            await asyncio.sleep(0.001)
            self.write_message("tick")

    def on_message(self, message):
        pass


class WritesAfterOwnClose(Quiet):
    def on_message(self, message):
        self.close()
        self.write_message("too late")


class Broadcaster(Quiet):
    everyone: list = []

    def open(self):
        self.everyone.append(self)

    def on_message(self, message):
        for handler in self.everyone:
            handler.write_message(message)


class NoErrorTest(unittest.TestCase):
    """What is no server error."""

    def test_a_client_that_leaves_with_messages_under_way(self):
        """An echo handler whose client vanishes has done nothing wrong."""

        class Echo(Quiet):
            async def on_message(self, message):
                await asyncio.sleep(0)
                await self.write_message(message)

        class Case(case_for(Echo)):
            async def test_it(self):
                client = await self.ws_client()
                for _ in range(20):
                    await client.send("x" * 1000)
                await client.abort()

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_a_ticker_whose_client_left(self):
        """A task that still writes when its client has gone is no server error."""

        class Case(case_for(Ticker)):
            async def test_it(self):
                client = await self.ws_client()
                handler = client.handler
                await client.receive()
                await client.close()
                await self.until(handler.task.done)

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_writes_that_nobody_awaited(self):
        """Messages that were on their way to a client that vanished leave no line in the log."""

        class Floods(Quiet):
            def on_message(self, message):
                for _ in range(10):
                    self.write_message("x" * 1_000_000)

        class Case(case_for(Floods)):
            async def test_it(self):
                client = await self.ws_client()
                client.pause_reading()
                await client.send("a")
                await self.settle()
                await client.abort()

        with self.assertNoLogs(level="WARNING"):
            outcome = run_test(Case)
            gc.collect()
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_http_errors_of_an_http_handler(self):
        """HTTPError is how a handler answers, also in prepare()."""

        class Missing(RequestHandler):
            def get(self):
                raise HTTPError(404)

        class Case(case_for(Missing)):
            async def test_it(self):
                self.assertEqual((await self.http_fetch("/")).code, 404)

        self.assertTrue(run_test(Case).was_successful)

    def test_an_exception_that_somebody_took(self):
        """A task whose exception the handler awaited is no server error."""

        class Takes(Quiet):
            async def on_message(self, message):
                task = asyncio.ensure_future(raises_later())
                await asyncio.wait([task])
                task.exception()

        self.assertTrue(run_test(case_for(Takes)).was_successful)

    def test_the_cancelling_at_the_end(self):
        """A handler that still awaits at the end is cancelled in silence."""

        class Awaits(Quiet):
            async def on_message(self, message):
                await asyncio.Event().wait()

        class Case(case_for(Awaits)):
            async def test_it(self):
                await (await self.ws_client()).send("a")

        with self.assertNoLogs(level="WARNING"):
            outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_expect_rejected_500_takes_its_cause(self):
        """expect_rejected(status=500) expects what caused it."""

        class Case(case_for(PrepareRaises)):
            async def test_it(self):
                await self.expect_rejected(status=500)

        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)


class IsErrorTest(unittest.TestCase):
    """What is one, although it looks like less."""

    def setUp(self):
        super().setUp()
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def test_a_write_after_the_handlers_own_close(self):
        """A handler that writes after it closed in the same call is wrong."""
        self.assertIn("WebSocketClosedError", run_test(case_for(WritesAfterOwnClose)).text)

    def test_a_broadcast_to_somebody_who_left(self):
        """A handler whose own client is there, and that fails on another's, is wrong."""

        class Case(case_for(Broadcaster)):
            def get_app(self):
                Broadcaster.everyone = []
                return super().get_app()

            async def test_it(self):
                ann, bob = await self.ws_client(), await self.ws_client()
                await ann.close()
                await bob.send("hello")

        self.assertIn("WebSocketClosedError", run_test(Case).text)

    def test_a_plain_http_handler(self):
        """An exception in an HTTP handler fails the test, too."""

        class Crashes(RequestHandler):
            get = raises

        class Case(case_for(Crashes)):
            async def test_it(self):
                self.assertEqual((await self.http_fetch("/")).code, 500)

        self.assertIn("Crashes raised Boom: boom", run_test(Case).text)

    def test_a_crash_beside_an_expected_refusal(self):
        """expect_rejected(status=500) expects its own connection's exception, and no other's."""

        class Case(case_for(OnMessageRaises)):
            def get_app(self):
                return Application([("/", OnMessageRaises), ("/refused", PrepareRaises)])

            async def test_it(self):
                client = await self.ws_client()
                await client.send("a")
                await self.settle()
                await self.expect_rejected("/refused", status=500)

        self.assertIn("OnMessageRaises raised Boom", run_test(Case).text)

    def test_several_errors_are_all_told(self):
        """The failure names the errors of all connections."""

        class Case(case_for(OnMessageRaises)):
            async def test_it(self):
                for name in ("ann", "bob"):
                    await (await self.ws_client(name=name)).send("a")

        text = run_test(Case).text
        self.assertIn("on the connection of ann", text)
        self.assertIn("and then OnMessageRaises raised Boom: boom", text)


class ExpectServerErrorTest(WebSocketTestCase):
    """The block itself."""

    def get_app(self):
        return Application([("/", OnMessageRaises), ("/quiet", Quiet), ("/task", TaskRaises)])

    async def test_with_looks_when_the_block_ends(self):
        """The plain form is enough for a block that waits itself."""
        client = await self.ws_client()
        with self.expect_server_error(Boom) as caught:
            await client.send("a")
            await client.expect_closed(1006)
        self.assertEqual(str(caught.exception), "boom")

    async def test_async_with_settles_first(self):
        """The async form lets the handler run before it looks."""
        client = await self.ws_client()
        async with self.expect_server_error(Boom):
            await client.send("a")

    async def test_nothing_raised_is_a_failure(self):
        """A block in which no handler raises fails."""
        client = await self.ws_client("/quiet")
        with self.assertRaisesRegex(WSTestFailure, "no handler raised Boom in this block; none raised anything"):
            async with self.expect_server_error(Boom):
                await client.send("a")

    async def test_an_earlier_error_does_not_count(self):
        """What a task raised before the block, and nobody has looked at yet, is none of the block's."""
        client = await self.ws_client("/task")
        with self.expect_server_error(Boom):
            await client.send("a")
            await self.settle()
            with self.assertRaisesRegex(WSTestFailure, "none raised anything"):
                with self.expect_server_error(Boom):
                    pass

    async def test_another_exception_is_a_failure_caused_by_it(self):
        """A block in which a handler raises something else fails, and shows that."""
        client = await self.ws_client()
        with self.expect_server_error(Boom):
            with self.assertRaisesRegex(WSTestFailure, "but OnMessageRaises raised Boom") as caught:
                async with self.expect_server_error(KeyError):
                    await client.send("a")
        self.assertIsInstance(caught.exception.__cause__, Boom)

    async def test_a_receive_after_a_crash_is_caused_by_it(self):
        """ConnectionClosed carries the handler's exception as its cause."""
        client = await self.ws_client()
        async with self.expect_server_error(Boom) as expected:
            await client.send("a")
        with self.assertRaises(ConnectionClosed) as caught:
            await client.receive()
        self.assertIs(caught.exception.__cause__, expected.exception)


class TesterTest(unittest.IsolatedAsyncioTestCase):
    """Without a base class."""

    async def test_the_block_fails_with_the_servers_error(self):
        """Leaving `async with WebSocketTester(...)` raises what a handler raised."""
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        with self.assertRaises(ServerError) as caught:
            async with WebSocketTester(Application([("/", OnMessageRaises)])) as wstest:
                await (await wstest.client()).send("a")
        self.assertIsInstance(caught.exception.exception, Boom)

    async def test_two_testers_in_one_loop(self):
        """The errors of one app are none of another's in the same loop."""
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        async with WebSocketTester(Application([("/", Quiet)])) as quiet:
            await quiet.client()
            with self.assertRaises(ServerError):
                async with WebSocketTester(Application([("/", OnMessageRaises)])) as wstest:
                    await (await wstest.client()).send("a")
