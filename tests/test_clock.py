"""Virtual time: everything that sets a timer follows it, and nothing hangs."""

import asyncio
import concurrent.futures
import gc
import os
import threading
import time
import unittest
from unittest import mock

import tornado
from tornado import gen
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.testing import gen_test
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import Echo, make_app
from tests.running import run_test
from tornado_wstest import (
    MessageTimeout,
    NothingCanHappen,
    NotSettled,
    UnexpectedMessage,
    UsageError,
    WebSocketHTTPTestCase,
    WebSocketTestCase,
    WebSocketTester,
)

OLD_PINGS = tornado.version_info < (6, 5)
"""Until 6.5 Tornado waited for three pings, or thirty seconds."""


class ClockTestCase(WebSocketTestCase):
    """An app in virtual time."""

    ws_virtual_time = True

    def get_app(self):
        return make_app()


class FollowingTest(ClockTestCase):
    """Who follows the clock."""

    async def test_it_starts_at_zero(self):
        """A test begins at 0, and the clock stands still while things happen."""
        client = await self.ws_client()
        await client.send("a")
        await client.expect("a")
        self.assertEqual(self.clock.time(), 0)

    async def test_sleep(self):
        """asyncio.sleep takes its time on the clock, and none outside."""
        started = time.monotonic()
        await asyncio.sleep(3600)
        self.assertEqual(self.clock.time(), 3600)
        self.assertLess(time.monotonic() - started, 0.5)

    async def test_both_times_move_together(self):
        """loop.time and IOLoop.time go on from where they were, by the same seconds."""
        before = asyncio.get_running_loop().time(), IOLoop.current().time()
        self.assertAlmostEqual(before[1], time.time(), delta=5)
        await self.clock.advance(100)
        after = asyncio.get_running_loop().time(), IOLoop.current().time()
        self.assertEqual([round(b - a, 6) for a, b in zip(before, after, strict=True)], [100, 100])

    async def test_timers_fire_in_order(self):
        """advance() fires what is due on its way, in order, at its time."""
        fired = []
        for seconds in (3, 1, 2, 2.5):
            asyncio.get_running_loop().call_later(seconds, lambda: fired.append(self.clock.time()))
        await self.clock.advance(2.5)
        self.assertEqual(fired, [1, 2, 2.5])
        await self.clock.advance(0.5)
        self.assertEqual(fired, [1, 2, 2.5, 3])

    async def test_timers_at_one_time_fire_in_the_order_they_were_set(self):
        """Of timers that are due at the same time, which is rare in real time only, the first set is the first."""
        fired = []
        for number in range(50):
            asyncio.get_running_loop().call_later(1, fired.append, number)
        await self.clock.advance(1)
        self.assertEqual(fired, list(range(50)))

    async def test_periodic_callbacks_lose_no_tick(self):
        """A PeriodicCallback ticks as often as it should, whatever its period."""
        for milliseconds in (150, 200, 400, 700, 1):
            ticks = []
            ticker = PeriodicCallback(lambda ticks=ticks: ticks.append(1), milliseconds)
            ticker.start()
            await self.clock.advance(milliseconds)
            ticker.stop()
            with self.subTest(milliseconds=milliseconds):
                self.assertEqual(len(ticks), 1000)

    async def test_asyncio_timeout(self):
        """asyncio.timeout and wait_for end on the clock."""
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        self.assertEqual(self.clock.time(), 60)

    async def test_tornados_own(self):
        """gen.sleep, gen.with_timeout and IOLoop.call_later follow it."""
        await gen.sleep(10)
        with self.assertRaises(gen.TimeoutError):
            await gen.with_timeout(IOLoop.current().time() + 10, asyncio.Future())
        fired = []
        IOLoop.current().call_later(10, fired.append, 1)
        await self.clock.advance(10)
        self.assertEqual((fired, self.clock.time()), ([1], 30))

    async def test_whole_seconds_stay_whole(self):
        """A long chain of timers of a second each ends on the second."""
        fired = []

        def again():
            fired.append(1)
            if len(fired) < 1000:
                IOLoop.current().call_later(1, again)

        IOLoop.current().call_later(1, again)
        await self.until(lambda: len(fired) == 1000)
        self.assertAlmostEqual(self.clock._passed, 1000, places=9)

    async def test_our_own_timeouts(self):
        """timeout= is on the clock."""
        client = await self.ws_client()
        with self.assertRaisesRegex(MessageTimeout, "waited 100 s"):
            await client.receive(timeout=100)
        self.assertEqual(self.clock.time(), 100)

    async def test_expect_nothing_seconds(self):
        """expect_nothing(seconds=) lets timers fire, in no time."""
        client = await self.ws_client()
        asyncio.get_running_loop().call_later(59, client.handler.write_message, "late")
        await client.expect_nothing(seconds=58)
        with self.assertRaises(UnexpectedMessage):
            await client.expect_nothing(seconds=1)

    async def test_settle_outranks_the_jump(self):
        """Whoever settles goes on before time does."""
        asyncio.get_running_loop().call_later(1, lambda: None)
        for _ in range(5):
            await self.settle()
        self.assertEqual(self.clock.time(), 0)

    async def test_what_a_timer_starts_has_settled_when_advance_returns(self):
        """A message that a timer sends has arrived when advance() returns."""
        client = await self.ws_client()
        asyncio.get_running_loop().call_later(5, client.handler.write_message, "five")
        await self.clock.advance(5)
        self.assertEqual(client.unread, ("five",))

    async def test_two_may_advance_at_once(self):
        """Of two advances each returns at its own time."""
        times = []

        async def advance(seconds):
            await self.clock.advance(seconds)
            times.append(self.clock.time())

        await asyncio.gather(advance(20), advance(10))
        self.assertEqual(times, [10, 20])

    async def test_until_lets_time_pass(self):
        """until() waits for what timers do, in no time."""
        done = []
        asyncio.get_running_loop().call_later(1000, done.append, 1)
        await self.until(lambda: done)
        self.assertEqual(self.clock.time(), 1000)

    async def test_until_has_its_timeout_on_the_clock(self):
        """until(timeout=) ends after so many virtual seconds."""
        with self.assertRaisesRegex(MessageTimeout, "after 30 s"):
            await self.until(lambda: False, timeout=30)
        self.assertEqual(self.clock.time(), 30)

    async def test_the_transcript_has_the_tests_clock(self):
        """Events carry the virtual time."""
        client = await self.ws_client()
        await self.clock.advance(7)
        await client.send("a")
        self.assertEqual(self.transcript[-1].time, 7)


class HeldTest(ClockTestCase):
    """What holds the clock."""

    async def test_a_job_in_an_executor(self):
        """While a job runs, no time passes, however it was submitted."""
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for job in (
                lambda: asyncio.to_thread(time.sleep, 0.01),
                lambda: loop.run_in_executor(None, time.sleep, 0.01),
                lambda: IOLoop.current().run_in_executor(pool, time.sleep, 0.01),
                lambda: asyncio.wrap_future(pool.submit(time.sleep, 0.01)),
            ):
                timer = loop.call_later(1, lambda: None)
                await job()
                timer.cancel()
                self.assertEqual(self.clock.time(), 0)

    async def test_an_executor_class_that_is_made_in_the_test(self):
        """An executor class that did not exist before holds the clock as well."""

        class Late(concurrent.futures.ThreadPoolExecutor):
            def submit(self, fn, /, *args, **kwargs):
                return super().submit(fn, *args, **kwargs)

        with Late(1) as pool:
            timer = asyncio.get_running_loop().call_later(1, lambda: None)
            await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.01)
            timer.cancel()
        self.assertEqual(self.clock.time(), 0)

    async def test_until_waits_for_a_bare_thread(self):
        """What a bare thread does cannot be seen; until() gives it real time."""
        done = threading.Event()
        thread = threading.Timer(0.05, done.set)
        thread.start()
        await self.until(done.is_set)
        thread.join()
        self.assertEqual(self.clock.time(), 0)

    async def test_a_subprocess_gets_its_grace(self):
        """A pipe to another process gets the grace before each jump, and does not hold it for ever."""
        self.wstest.clock.grace = 0.5
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        process.stdin.write(b"hello\n")
        self.assertEqual(await asyncio.wait_for(process.stdout.readline(), 1), b"hello\n")
        self.wstest.clock.grace = 0.01
        await asyncio.sleep(3600)
        self.assertEqual(self.clock.time(), 3600)
        process.stdin.close()
        await process.wait()
        process._transport.close()


class HourTest(unittest.TestCase):
    """An hour of heartbeats."""

    def play(self, **settings):
        ticks = []

        class Case(WebSocketTestCase):
            ws_virtual_time = True

            def get_app(self):
                return make_app(websocket_ping_interval=30)

            @gen_test
            async def test_it(self):
                ticker = PeriodicCallback(lambda: ticks.append(self.clock.time()), 60_000)
                ticker.start()
                client = await self.ws_client()
                started = time.perf_counter()
                await self.clock.advance(3600)
                self.elapsed = time.perf_counter() - started
                ticker.stop()
                assert not client.closed
                pings = [event for event in self.transcript if event.kind == "ping"]
                assert len(pings) == 120, len(pings)

        for name, value in settings.items():
            setattr(Case, name, value)
        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        return ticks

    def test_an_hour_has_sixty_minutes(self):
        """A PeriodicCallback of a minute ticks sixty times in an hour, on the minute, and no ping fails."""
        for transport in ("tcp", "memory"):
            with self.subTest(transport):
                self.assertEqual(self.play(ws_transport=transport), [60.0 * minute for minute in range(1, 61)])


class PingTimeoutTest(unittest.TestCase):
    """A client that stops answering pings is closed when Tornado says, exactly."""

    TABLE = {
        # (interval, timeout): (close, on_close) before 6.5, and since
        (30, 30): ((60, 65), (60, 65)),
        (30, None): ((120, 125), (60, 65)),
        (10, 30): ((40, 45), (20, 25)),
        (30, 10): ((30, 35), (40, 45)),
    }

    def closing_times(self, transport, interval, timeout):
        times = {}

        class Handler(WebSocketHandler):
            def on_message(self, message):
                pass

            def on_close(self):
                times.setdefault("on_close", self.settings["clock"].time())

        class Case(WebSocketTestCase):
            ws_virtual_time = True
            ws_transport = transport

            def get_app(self):
                settings = {"websocket_ping_interval": interval, "websocket_ping_timeout": timeout}
                return Application([("/", Handler)], **settings)

            async def test_it(self):
                self.ws_server.app.settings["clock"] = self.clock
                client = await self.ws_client()
                protocol = client.handler.ws_connection
                close = protocol.close
                protocol.close = lambda *args, **kwargs: (
                    times.setdefault("close", self.clock.time()),
                    close(*args, **kwargs),
                )
                client.pause_reading()
                await self.clock.advance(200)

        with self.assertNoLogs(level="ERROR"):
            outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        return times["close"], times["on_close"]

    def test_the_times_of_a_ping_timeout(self):
        """The seconds until close() and on_close are those of this version, over both transports."""
        for (interval, timeout), (before, since) in self.TABLE.items():
            for transport in ("tcp", "memory"):
                with self.subTest(interval=interval, timeout=timeout, transport=transport):
                    expected = before if OLD_PINGS else since
                    self.assertEqual(self.closing_times(transport, interval, timeout), expected)


class SlowHandlerTest(ClockTestCase):
    """An on_message that awaits for longer than the ping timeout."""

    def get_app(self):
        class Slow(Echo):
            async def on_message(self, message):
                await asyncio.sleep(300)
                self.write_message("done")

        return Application([("/", Slow)], websocket_ping_interval=20, websocket_ping_timeout=20)

    async def test_a_handler_that_awaits_reads_no_pongs(self):
        """Tornado reads no pong while on_message awaits, and closes a healthy peer."""
        client = await self.ws_client()
        await client.send("work")
        await self.clock.advance(290)
        self.assertTrue(client.closed)


class NothingTest(unittest.TestCase):
    """A test in which nothing can happen any more."""

    def fail_with(self, test, base=WebSocketTestCase, **settings):
        class Case(base):
            ws_virtual_time = True

            def get_app(self):
                return make_app()

        Case.test_it = test
        for name, value in settings.items():
            setattr(Case, name, value)
        started = time.monotonic()
        outcome = run_test(Case)
        self.assertLess(time.monotonic() - started, 1)
        return outcome.text

    def test_a_message_that_never_comes(self):
        """A wait without a timeout= of its own fails at once, at its line, with the transcript."""

        async def test(case):
            client = await case.ws_client(name="ann")
            await client.send("a")
            await client.receive("b")

        text = self.fail_with(test)
        self.assertIn("NothingCanHappen: nothing can ever happen again, at 0 s of virtual time", text)
        self.assertIn("ann waits for a message like 'b'", text)
        self.assertRegex(text, r"test at test_clock.py:\d+: await client.receive\(\"b\"\)")
        self.assertIn("ann <--*'a'", text)

    def test_an_event_that_nobody_sets(self):
        """A test that waits for something of its own fails as well."""

        async def test(case):
            await asyncio.Event().wait()

        text = self.fail_with(test)
        self.assertRegex(text, r"NothingCanHappen: .*\n.*\n.*test at test_clock.py:\d+: await asyncio.Event")

    def test_a_generator_test(self):
        """A generator test fails as well."""

        @gen_test
        def test(case):
            yield asyncio.Event().wait()

        self.assertIn("NothingCanHappen", self.fail_with(test))

    def test_a_set_up_that_waits_for_ever(self):
        """asyncSetUp is watched, too."""

        async def set_up(case):
            await asyncio.Event().wait()

        async def test(case):
            pass

        self.assertIn("NothingCanHappen", self.fail_with(test, asyncSetUp=set_up))

    def test_named_tasks_are_listed(self):
        """Each task is named with its line."""

        async def wait_for_bob():
            await asyncio.Event().wait()

        async def test(case):
            task = asyncio.create_task(wait_for_bob(), name="bob's task")
            await task

        text = self.fail_with(test)
        self.assertRegex(text, r"bob's task in .*wait_for_bob at test_clock.py:\d+: await asyncio.Event\(\).wait\(\)")

    def test_an_opening_handshake_that_is_never_answered(self):
        """A prepare() that waits for ever fails the test at once."""

        async def test(case):
            await case.ws_client("/never-answers")

        self.assertIn("NothingCanHappen", self.fail_with(test))

    def test_over_async_http_test_case(self):
        """Over AsyncHTTPTestCase it is the same, and its own fetch works."""

        async def test(case):
            case.assertEqual((await case.http_fetch("/ping")).code, 200)
            await asyncio.Event().wait()

        self.assertIn("NothingCanHappen", self.fail_with(test, base=WebSocketHTTPTestCase))

    def test_a_background_wait_is_no_reason_to_fail(self):
        """A task that waits for a message that never comes does not hurt a test that ends."""

        async def test(case):
            client = await case.ws_client()
            task = asyncio.create_task(client.receive())
            await case.clock.advance(10)
            task.cancel()

        self.assertEqual(self.fail_with(test), "")

    def test_a_tester_that_another_task_started(self):
        """A tester that asyncSetUp has entered ends a test that runs in another task."""

        class Case(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.wstest = await self.enterAsyncContext(WebSocketTester(make_app(), virtual_time=True))

            async def test_it(self):
                await asyncio.Event().wait()

        started = time.monotonic()
        text = run_test(Case).text
        self.assertLess(time.monotonic() - started, 2)
        self.assertIn("NothingCanHappen", text)

    def test_without_a_base_class(self):
        """WebSocketTester(virtual_time=True) ends its block."""

        async def main():
            async with WebSocketTester(make_app(), virtual_time=True):
                await asyncio.Event().wait()

        with self.assertRaises(NothingCanHappen):
            asyncio.run(main())


class LimitTest(unittest.TestCase):
    """The test's own limit, in real seconds."""

    def test_an_hour_passes_under_a_plain_gen_test(self):
        """The five seconds of gen_test are not the clock's."""

        class Case(ClockTestCase):
            @gen_test
            async def test_it(self):
                await asyncio.sleep(3600)

        self.assertTrue(run_test(Case).was_successful)

    def test_an_app_that_ticks_for_ever(self):
        """A test in which only the app's timers go round ends at its real limit, and says so."""

        class Case(ClockTestCase):
            @gen_test(timeout=0.3)
            async def test_it(self):
                ticker = PeriodicCallback(lambda: None, 1000)
                ticker.start()
                self.addCleanup(ticker.stop)
                await (await self.ws_client(name="ann")).receive()

        started = time.monotonic()
        text = run_test(Case).text
        self.assertTrue(0.3 <= time.monotonic() - started < 1)
        self.assertIn("TimeoutError: Operation timed out after 0.3 seconds", text)
        self.assertRegex(text, r"the test waited at test_clock.py:\d+: await \(await self.ws_client")
        self.assertRegex(text, r"only the app's own timers went round, to \d{3,} s of virtual time")

    def test_the_limit_in_real_time_shows_the_line_of_the_test(self):
        """Without a clock, too, a gen_test time-out shows where the test waited."""

        class Case(WebSocketTestCase):
            def get_app(self):
                return make_app()

            @gen_test(timeout=0.05)
            async def test_it(self):
                await asyncio.Event().wait()

        text = run_test(Case).text
        self.assertRegex(text, r"the test waited at test_clock.py:\d+: await asyncio.Event\(\).wait\(\)")

    def test_a_callback_that_runs_in_circles(self):
        """A timer without delay that sets itself for ever is NotSettled, by name, in real time."""

        class Case(ClockTestCase):
            ws_timeout = 0.05

            async def test_it(self):
                running = True

                def again():
                    if running:
                        IOLoop.current().call_later(0, again)

                again()
                with self.assertRaisesRegex(NotSettled, "again"):
                    await self.settle()
                running = False

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)

    def test_a_close_app_that_waits_for_ever(self):
        """What runs after the clock is bounded in real seconds."""

        class Case(ClockTestCase):
            async def close_app(self, app):
                await asyncio.Event().wait()

            async def test_it(self):
                pass

        with mock.patch.dict(os.environ, ASYNC_TEST_TIMEOUT="0.3"):
            text = run_test(Case).text
        self.assertIn("what runs before and after the test did not end within 0.3 s of real time", text)

    def test_a_limit_that_was_taken_back_says_nothing(self):
        """A TimeoutError of the test's own is no limit of it."""

        class Case(ClockTestCase):
            @gen_test(timeout=20)
            async def test_it(self):
                await asyncio.to_thread(time.sleep, 0.4)
                raise TimeoutError("mine")

        with mock.patch.dict(os.environ, ASYNC_TEST_TIMEOUT="0.2"):
            text = run_test(Case).text
        self.assertNotIn("the test waited at", text)


class ExactTest(unittest.IsolatedAsyncioTestCase):
    """Silence, and what is left behind."""

    async def test_silence_is_never_wrong(self):
        """Alternating with a real message, expect_nothing is right over each transport."""
        for transport in ("tcp", "memory"):
            async with WebSocketTester(make_app(), transport=transport, virtual_time=True) as wstest:
                client = await wstest.client()
                for number in range(300):
                    await client.expect_nothing()
                    await client.send(str(number))
                    self.assertEqual(await client.receive_all(), [str(number)])

    async def test_time_is_real_again_afterwards(self):
        """After the last tester loop.time and IOLoop.time are their own again."""
        loop, io_loop = asyncio.get_running_loop(), IOLoop.current()
        async with WebSocketTester(make_app(), virtual_time=True) as wstest:
            await wstest.clock.advance(1000)
            self.assertIn("time", vars(loop))
        self.assertNotIn("time", vars(loop))
        self.assertNotIn("time", vars(io_loop))
        self.assertAlmostEqual(io_loop.time(), time.time(), delta=1)

    async def test_timers_that_are_left_go_on_in_real_time(self):
        """A timer that was set in virtual time is due as many real seconds after the clock has gone."""
        loop, fired = asyncio.get_running_loop(), asyncio.Event()
        async with WebSocketTester(make_app(), virtual_time=True) as wstest:
            await wstest.clock.advance(1000)
            loop.call_later(0.05, fired.set)
        await asyncio.wait_for(fired.wait(), 2)

    async def test_testers_in_one_loop_share_the_clock(self):
        """One loop has one clock."""
        async with WebSocketTester(make_app(), virtual_time=True) as one:
            async with WebSocketTester(make_app(), virtual_time=True) as other:
                await one.clock.advance(10)
                self.assertEqual(other.clock.time(), 10)
            self.assertEqual(one.clock.time(), 10)


class BadInputTest(unittest.IsolatedAsyncioTestCase):
    """What is refused."""

    async def test_time_does_not_go_backwards(self):
        """advance() takes a number of seconds, 0 or more."""
        async with WebSocketTester(make_app(), virtual_time=True) as wstest:
            for wrong in (-1, "1", None, True, float("nan"), float("inf")):
                with self.assertRaisesRegex(UsageError, "time goes forward"):
                    await wstest.clock.advance(wrong)

    async def test_no_clock_in_real_time(self):
        """Without virtual time there is no clock, and how to get one is said."""
        async with WebSocketTester(make_app()) as wstest:
            with self.assertRaisesRegex(UsageError, "ws_virtual_time = True"):
                await wstest.clock.advance(1)

    async def test_a_loop_without_a_selector(self):
        """A loop that cannot be looked into is refused with a sentence, and nothing is left open."""
        loop = asyncio.get_running_loop()
        selector, loop._selector = loop._selector, _Hidden(loop._selector)
        try:
            for settings in ({"virtual_time": True}, {"transport": "memory"}):
                with self.assertRaisesRegex(UsageError, "needs a loop whose selector can be looked into"):
                    await WebSocketTester(make_app(), **settings).start()
        finally:
            loop._selector = selector
        gc.collect()


class _Hidden:
    def __init__(self, selector):
        self._hidden = selector

    def __getattr__(self, name):
        return getattr(self._hidden, name)
