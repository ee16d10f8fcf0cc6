"""Settling: exact where both ends are in this loop, patient where they are not."""

import asyncio
import concurrent.futures
import contextlib
import gc
import itertools
import os
import selectors
import socket
import subprocess
import sys
import time
import unittest
import unittest.mock

from tornado.concurrent import run_on_executor
from tornado.ioloop import IOLoop
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import make_app
from tornado_wstest import MessageTimeout, NotSettled, WebSocketTestCase, WebSocketTester
from tornado_wstest.simulation.selector import WatchingSelector


class SettleTestCase(WebSocketTestCase):
    """An app, and its loop."""

    def get_app(self):
        return make_app()

    @property
    def loop(self):
        return asyncio.get_running_loop()


class SettleTest(SettleTestCase):
    """What counts as in flight."""

    async def test_a_frame_in_flight_counts(self):
        """After settle() the handler has had the message, and the client the answer."""
        client = await self.ws_client()
        await client.send("a")
        await self.settle()
        self.assertEqual((client.handler.received, client.unread), (["a"], ("a",)))

    async def test_a_chain_of_callbacks_counts(self):
        """Callbacks that schedule callbacks are followed to the end."""
        steps = []

        def step():
            steps.append(1)
            if len(steps) < 100:
                self.loop.call_soon(step)

        step()
        await self.settle()
        self.assertEqual(len(steps), 100)

    async def test_a_later_timer_does_not_count(self):
        """A timer that is due later is not waited for."""
        fired = []
        timer = self.loop.call_later(30, fired.append, 1)
        await self.settle()
        timer.cancel()
        self.assertEqual(fired, [])

    async def test_many_may_settle_at_once(self):
        """Several tasks may wait for the same rest."""
        client = await self.ws_client()
        await client.send("a")
        await asyncio.gather(*(self.settle() for _ in range(5)))
        self.assertEqual(client.unread, ("a",))

    async def test_silence_is_never_wrong(self):
        """Alternating with a real message, expect_nothing is right every time."""
        client = await self.ws_client()
        for number in range(1000):
            await client.expect_nothing()
            await client.send(str(number))
            self.assertEqual(await client.receive_all(), [str(number)])

    async def test_three_hundred_may_connect_at_once(self):
        """More clients than a listening socket usually holds are all connected when the app has settled."""
        tasks = [asyncio.ensure_future(self.ws_client(timeout=30)) for _ in range(300)]
        await asyncio.sleep(0)
        await self.settle()
        self.assertEqual(len(self.ws_server.handlers), 300)
        await asyncio.gather(*tasks)

    async def test_a_cancelled_settle_leaves_nothing(self):
        """A settle() that is cancelled does not disturb the next one."""
        task = asyncio.ensure_future(self.settle())
        await asyncio.sleep(0)
        task.cancel()
        await self.settle()
        self.assertTrue(task.done())


def wait_until(predicate):
    """Block until another thread has done something."""
    while not predicate():
        time.sleep(0.0001)


class JobTest(SettleTestCase):
    """Jobs in executors, however they were submitted."""

    executor = None

    async def asyncSetUp(self):
        self.executor = concurrent.futures.ThreadPoolExecutor(2)
        self.addCleanup(self.executor.shutdown)
        self.results = []

    def work(self, value="done"):
        time.sleep(0.01)  # the job's own time: it is what settle() waits for
        return value

    @run_on_executor
    def run_on_executor_work(self):
        return self.work()

    async def collect(self, awaitable):
        self.results.append(await awaitable)

    async def with_work_after(self, awaitable):
        result = await awaitable
        for _ in range(5):
            await asyncio.sleep(0)
        return result

    async def assert_settles_after(self, awaitable):
        task = asyncio.ensure_future(self.collect(awaitable))
        await self.settle()
        self.assertEqual((self.results, task.done()), (["done"], True))

    async def test_to_thread(self):
        """asyncio.to_thread holds settle()."""
        await self.assert_settles_after(asyncio.to_thread(self.work))

    async def test_loop_run_in_executor(self):
        """loop.run_in_executor holds settle()."""
        await self.assert_settles_after(self.loop.run_in_executor(None, self.work))

    async def test_ioloop_run_in_executor(self):
        """IOLoop.run_in_executor holds settle()."""
        await self.assert_settles_after(IOLoop.current().run_in_executor(self.executor, self.work))

    async def test_run_on_executor(self):
        """@run_on_executor holds settle()."""
        await self.assert_settles_after(self.run_on_executor_work())

    async def test_submit(self):
        """A pool's own submit, wrapped as a future, holds settle()."""
        await self.assert_settles_after(asyncio.wrap_future(self.executor.submit(self.work)))

    async def test_a_job_of_an_executor_of_the_apps_own_class(self):
        """An executor class with a submit of its own is seen, and counted once."""
        await self.assert_settles_after(asyncio.wrap_future(OwnExecutor(1).submit(self.work)))

    async def test_a_job_that_ends_between_two_looks(self):
        """A job that ends just when the selector has been asked has its result still under way."""
        go = concurrent.futures.Future()
        settling = self.ws_server.settling
        let_waiters_go = settling.selector._let_waiters_go

        def let_it_end_first(*args):
            if not go.done():
                go.set_result("done")
                wait_until(lambda: not settling._jobs)
            return let_waiters_go(*args)

        with unittest.mock.patch.object(settling.selector, "_let_waiters_go", let_it_end_first):
            await self.assert_settles_after(self.with_work_after(self.loop.run_in_executor(self.executor, go.result)))

    async def test_a_job_that_does_not_end(self):
        """A job that outlasts the time-out is named."""
        event = asyncio.Event()
        self.addCleanup(event.set)
        blocker = concurrent.futures.Future()
        future = self.executor.submit(blocker.result)
        with self.assertRaisesRegex(NotSettled, "a job in an executor: Future.result"):
            await self.settle(timeout=0.02)
        blocker.set_result(None)
        await self.settle()
        self.assertTrue(future.done())

    def test_submit_is_itself_again_afterwards(self):
        """When no tester runs, the executor classes are as they were."""
        self.tearDown()
        self.assertEqual(concurrent.futures.ThreadPoolExecutor.submit.__module__, "concurrent.futures.thread")
        self.assertEqual(concurrent.futures.ThreadPoolExecutor.submit.__name__, "submit")
        self.setUp()


class OwnExecutor(concurrent.futures.ThreadPoolExecutor):
    """Overrides submit, as some do."""

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self.shutdown(wait=False))
        return future


class ForeignTest(SettleTestCase):
    """Descriptors whose other end is not in this loop."""

    ws_grace = 0.05

    async def test_a_foreign_descriptor_gets_its_grace(self):
        """What arrives on it within the grace is processed before settle() returns."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        received = []
        self.loop.add_reader(ours, lambda: received.append(ours.recv(10)))
        self.addCleanup(theirs.close)
        await asyncio.gather(self.settle(), asyncio.to_thread(theirs.send, b"late"))
        self.loop.remove_reader(ours)
        self.assertEqual(received, [b"late"])

    async def test_a_quiet_foreign_descriptor_does_not_hold_for_ever(self):
        """An idle one costs the grace, no more."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.loop.add_reader(ours, lambda: None)
        started = time.monotonic()
        await self.settle()
        elapsed = time.monotonic() - started
        self.loop.remove_reader(ours)
        self.assertTrue(0.05 <= elapsed < 1, elapsed)

    async def test_a_grace_of_zero_does_not_look(self):
        """With ws_grace = 0 foreign descriptors do not count."""
        self.wstest.grace = 0
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.loop.add_reader(ours, lambda: None)
        started = time.monotonic()
        await self.settle()
        self.loop.remove_reader(ours)
        self.assertLess(time.monotonic() - started, 0.04)

    async def test_the_same_number_of_another_protocol(self):
        """A port of UDP is not the server's, though it has the same number."""
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(other.close)
        other.bind(("127.0.0.1", self.ws_server.port))
        self.loop.add_reader(other, lambda: None)
        started = time.monotonic()
        await self.settle()
        self.loop.remove_reader(other)
        self.assertGreaterEqual(time.monotonic() - started, 0.05)

    async def test_our_own_connections_cost_no_grace(self):
        """Clients, the server's ends and the listening socket are ours."""
        self.clients = [await self.ws_client() for _ in range(5)]
        started = time.monotonic()
        for _ in range(5):
            await self.settle()
        self.assertLess(time.monotonic() - started, 0.05)


class NotSettledTest(SettleTestCase):
    """An app that does not come to rest."""

    async def test_a_task_that_runs_in_circles_is_named(self):
        """A task that never sleeps is named, with its line."""

        async def in_circles():
            while True:
                await asyncio.sleep(0)

        task = asyncio.ensure_future(in_circles())
        with self.assertRaisesRegex(NotSettled, r"in_circles at test_settle.py:\d+"):
            await self.settle(timeout=0.02)
        task.cancel()

    async def test_a_callback_that_runs_in_circles_is_named(self):
        """A callback that schedules itself for ever is named."""
        running = True

        def again():
            if running:
                self.loop.call_soon(again)

        again()
        with self.assertRaisesRegex(NotSettled, r"again \(test_settle.py:\d+\)"):
            await self.settle(timeout=0.02)
        running = False

    async def test_a_timer_of_zero_that_runs_in_circles_is_named(self):
        """A timer with no delay that sets itself for ever is named."""
        running = True

        def again():
            if running:
                IOLoop.current().call_later(0, again)

        again()
        with self.assertRaisesRegex(NotSettled, "again"):
            await self.settle(timeout=0.02)
        running = False

    async def test_a_machine_that_stands_still_is_not_the_app(self):
        """Where the time is over although the app had no turn in it, the app gets a last chance to come to rest."""
        client = await self.ws_client()
        await client.send("a")
        self.loop.call_soon(time.sleep, 0.05)
        await self.settle(timeout=0.02)
        self.assertEqual(client.unread, ("a",))


class UntilTest(SettleTestCase):
    """The app's own state."""

    async def test_until_waits_for_what_settle_cannot_see(self):
        """until() looks again until the predicate is true, and returns what it returned."""
        state = []
        self.loop.call_later(0.01, state.append, 7)
        self.assertEqual(await self.until(lambda: state), [7])

    async def test_until_takes_an_async_predicate(self):
        """The predicate may be async."""

        async def ready():
            return True

        self.assertTrue(await self.until(ready))

    async def test_until_says_what_it_was(self):
        """A time-out says what the predicate returned last, and where it stands."""
        with self.assertRaisesRegex(MessageTimeout, r"<lambda> \(.*test_settle.py:\d+\) was still 0 after 0.02 s"):
            await self.until(lambda: 0, timeout=0.02)

    async def test_until_takes_an_exception_for_not_yet(self):
        """A predicate that raises is asked again, and its exception told at the end."""
        state = {}
        self.loop.call_later(0.01, state.update, {"a": 1})
        self.assertEqual(await self.until(lambda: state["a"]), 1)
        with self.assertRaisesRegex(MessageTimeout, r"raising KeyError\('b'\)"):
            await self.until(lambda: state["b"], timeout=0.02)


class LoadTest(unittest.TestCase):
    """A machine that is busy."""

    def test_silence_is_never_wrong_under_load(self):
        """With two busy processes beside it, expect_nothing is right three thousand times, in each combination."""
        command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
                stack.callback(process.kill)
                process.stdout.readline()
            for transport, virtual_time in itertools.product(("tcp", "memory"), (False, True)):
                with self.subTest(transport=transport, virtual_time=virtual_time):
                    asyncio.run(self.alternate(3000, transport=transport, virtual_time=virtual_time))

    async def alternate(self, times, **settings):
        async with WebSocketTester(make_app(), **settings) as wstest:
            client = await wstest.client()
            for number in range(times):
                await client.expect_nothing()
                await client.send(str(number))
                self.assertEqual(await client.receive_all(), [str(number)])


class LateSelector:
    """A selector that shows at the second look what it did not at the first, as a busy kernel's might."""

    def __init__(self, events):
        self.looks = [[], events]

    def select(self, timeout):
        return self.looks.pop(0)

    def get_map(self):
        return {}

    close = get_key = modify = unregister = None


class TwiceTest(unittest.IsolatedAsyncioTestCase):
    """One look is not enough."""

    async def test_it_looks_twice(self):
        """Nobody who settles goes on while the second look shows something."""
        loop, event = asyncio.get_running_loop(), (selectors.SelectorKey(1000, 1000, 1, None), 1)
        own, loop._selector = loop._selector, LateSelector([event])
        try:
            selector = WatchingSelector(loop, [], set())
            waiting = asyncio.ensure_future(selector.wait_until_quiet(1, 0, None))
        finally:
            loop._selector = own
        await asyncio.sleep(0)
        self.assertEqual(selector.select(None), [event])
        self.assertFalse(waiting.done())
        waiting.cancel()


class InstallTest(unittest.IsolatedAsyncioTestCase):
    """What is hung into the loop, and taken out again."""

    async def test_the_selector_is_put_back(self):
        """After the last tester the loop has its own selector."""
        loop = asyncio.get_running_loop()
        selector = loop._selector
        async with WebSocketTester(make_app()):
            async with WebSocketTester(make_app()):
                self.assertIsNot(loop._selector, selector)
            self.assertIsNot(loop._selector, selector)
        self.assertIs(loop._selector, selector)

    async def test_testers_in_one_loop_share_their_settling(self):
        """One loop has one settling, whoever asks."""
        async with WebSocketTester(make_app()) as one, WebSocketTester(make_app()) as other:
            self.assertIs(one.server.settling, other.server.settling)

    async def test_a_loop_without_a_selector_gets_a_grace(self):
        """Where nothing can be looked into, settling is a quiet moment."""
        loop = asyncio.get_running_loop()
        selector, loop._selector = loop._selector, _NotASelector(loop._selector)
        try:
            async with WebSocketTester(make_app()) as wstest:
                self.assertFalse(wstest.server.settling.is_exact)
                client = await wstest.client()
                await client.send("a")
                self.assertEqual(await client.receive_all(), ["a"])
                await client.expect_nothing()
        finally:
            loop._selector = selector


class _NotASelector:
    """What hides a selector from those who look for one."""

    def __init__(self, selector):
        self._hidden = selector

    def __getattr__(self, name):
        return getattr(self._hidden, name)


class LeakTest(unittest.TestCase):
    """What is left after a test: nothing."""

    def test_two_hundred_tests_leave_no_descriptor(self):
        """Tests that leave ten clients open with unread messages end with as many descriptors as they began."""

        class Talker(WebSocketHandler):
            def open(self):
                for number in range(5):
                    self.write_message(str(number))

        class Case(WebSocketTestCase):
            def get_app(self):
                return Application([("/", Talker)])

            async def test_it(self):
                for _ in range(10):
                    await self.ws_client()
                await self.ws_connect()

        gc.collect()  # what other tests have left is not the subject
        counts = []
        with self.assertNoLogs(level="WARNING"):
            for _ in range(200):
                result = unittest.TestResult()
                Case("test_it").run(result)
                self.assertTrue(result.wasSuccessful(), result.errors + result.failures)
                counts.append(len(os.listdir("/proc/self/fd")))
        self.assertEqual(counts[-1], counts[4])
