"""Tests under many orders of delivery."""

import asyncio
import contextlib
import logging
import os
import pathlib
import re
import sys
import tempfile
import textwrap
import threading
import unittest

import hypothesis
from hypothesis import strategies
from tornado.testing import gen_test
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import Echo
from tests.apps.races import RACES, Commands, HastyNames, Names, make_app, one_name
from tests.forked import run_module
from tests.running import run_test
from tornado_wstest import (
    ConnectionClosed,
    UsageError,
    WebSocketHTTPTestCase,
    WebSocketTestCase,
    WebSocketTester,
    explore,
)

ROOT = pathlib.Path(__file__).parent.parent
RUNS = int(os.environ.get("WSTEST_EXPLORE_RUNS", "60"))
"""In how many orders what is right is played here; .ci/run asks for 1,000."""


class MemoryTestCase(WebSocketTestCase):
    """The base of the small test cases."""

    ws_transport = "memory"
    ws_virtual_time = True
    handler = Names

    def get_app(self):
        return make_app(self.handler)


def case_of(test, *decorators, **attributes):
    """Return a test case whose test ``test_it`` is decorated so, the last first."""
    for decorate in reversed(decorators):
        test = decorate(test)
    return type("SmallTest", (MemoryTestCase,), {"test_it": test, **attributes})


def race(handler, test, **how):
    """Return a test case that plays ``test`` against ``handler``, explored if it is said how."""

    async def test_it(self):
        await test(self)

    return case_of(test_it, *([explore(**how)] if how else []), handler=handler)


class ExploreTestCase(unittest.TestCase):
    """Nothing of what the small test cases provoke is logged."""

    def setUp(self):
        for name in ("tornado", "asyncio"):
            logger = logging.getLogger(name)
            logger.propagate, before = False, logger.propagate
            self.addCleanup(setattr, logger, "propagate", before)
            handler = logging.NullHandler()
            logger.addHandler(handler)
            self.addCleanup(logger.removeHandler, handler)

    def assert_passes(self, case):
        """The test of the small test case passes."""
        self.assertEqual(run_test(case).text, "")


class RacesTest(ExploreTestCase):
    """Apps that depend on the order, and apps that do not."""

    def test_a_plain_run_never_finds_them(self):
        """Each race is green in a plain run, 20 times of 20."""
        for name, (wrong, _, test) in RACES.items():
            with self.subTest(name):
                self.assertTrue(all(run_test(race(wrong, test)).was_successful for _ in range(20)))

    def test_found_and_repeated(self):
        """Each is found within 100 runs, from whatever seed they start, and fails alike 20 times of 20 from its own."""
        for name, (wrong, _, test) in RACES.items():
            for start in (0, 1000, 2000, 3000):
                with self.subTest(name, start=start):
                    text = run_test(race(wrong, test, runs=100, start=start)).text
                    (seed,) = re.findall(r"^to play it alone: @explore\(seed=(\d+)\)$", text, re.MULTILINE)
            texts = {run_test(race(wrong, test, seed=int(seed))).text for _ in range(20)}
            self.assertEqual(len(texts), 1)
            self.assertIn(f"explore: played in the order of delivery of seed {seed}", texts.pop())

    def test_what_is_right_stays_green(self):
        """The better half of each passes in every order."""
        for name, (_, right, test) in RACES.items():
            with self.subTest(name):
                self.assert_passes(race(right, test, runs=RUNS))

    def test_in_real_time(self):
        """It needs no virtual time where the app sets no timers."""
        case = race(HastyNames, one_name, runs=100)
        case.ws_virtual_time = False
        self.assertRegex(run_test(case).text, "explore: run .* of 100 failed")


class Talkative(Echo):
    """Echoes, and lets see what it is; raises where it is asked to."""

    def on_message(self, message):
        if message == "last words":
            self.write_message("goodbye")
            self.ws_connection.stream.close()
            return
        super().on_message(message)


class Busy(Commands):
    """Never comes to rest while somebody is connected, and works in threads."""

    async def do_spin(self, _):
        """Go round."""
        self.task = asyncio.ensure_future(self.spin())

    async def spin(self):
        """Go round until it is stopped."""
        while "stopped" not in self.state:
            await asyncio.sleep(0)

    def do_stop(self, _):
        """Let whoever goes round stop."""
        self.state["stopped"] = True
        self.write_message("stopped")

    async def do_wait(self, _):
        """Wait in a thread until another client tells."""
        was_told = await asyncio.get_running_loop().run_in_executor(None, self.told().wait, 5)
        self.write_message("told" if was_told else "never told")

    def do_tell(self, _):
        """End the wait."""
        self.told().set()

    def told(self):
        """Return what is set when it has been told."""
        return self.state.setdefault("told", threading.Event())


class WhatIsKeptTest(ExploreTestCase):
    """What no order may break."""

    def test_order_within_a_connection(self):
        """Messages arrive as they were sent, both ways."""

        async def test(self):
            clients = await self.ws_clients(3)
            numbers = [str(number) for number in range(20)]
            for number in numbers:
                for client in clients:
                    await client.send(number)
            for client in clients:
                for number in numbers:
                    await client.expect(number)

        self.assert_passes(race(Echo, test, runs=40))

    def test_settling_waits_for_what_is_under_way(self):
        """What was sent has been processed when the app has settled, and silence is exact."""

        async def test(self):
            clients = await self.ws_clients(2)
            for client in clients:
                await client.send("hi")
            await self.settle()
            self.assertEqual([client.handler.received for client in clients], [["hi"], ["hi"]])
            self.assertEqual([client.unread for client in clients], [("hi",), ("hi",)])

        self.assert_passes(race(Echo, test, runs=100))

    def test_a_message_larger_than_the_buffers(self):
        """What does not fit into a buffer comes through whole."""

        async def test(self):
            client = await self.ws_client()
            await client.send("x" * 300_000)
            await client.expect("x" * 300_000)

        self.assert_passes(race(Echo, test, runs=40))

    def test_what_came_before_a_reset(self):
        """A server that drops the connection with something unread is heard to its last word."""

        async def test(self):
            client, other = await self.ws_clients(2)
            await client.send("last words")
            for message in ("one", "two"):
                await other.send(message)
                await other.expect(message)
                with contextlib.suppress(ConnectionClosed):
                    await client.send(message)
            await client.expect("goodbye")
            await client.expect_closed(1006)

        self.assert_passes(race(Talkative, test, runs=100))

    def test_an_app_that_never_settles(self):
        """What is held for when the app settles arrives in one that never does."""

        async def test(self):
            spinning, other = await self.ws_clients(2)
            await spinning.send("spin")
            await other.send("stop")
            await other.expect("stopped")

        self.assert_passes(race(Busy, test, runs=20))

    def test_a_job_that_waits_for_what_is_held(self):
        """A job in an executor holds back only for so long what it waits for itself."""

        async def test(self):
            ann, bob = await self.ws_clients(2)
            await ann.send("wait")
            await bob.send("tell")
            await ann.expect("told")

        self.assert_passes(race(Busy, test, runs=6))

    def test_virtual_time_waits_for_what_is_held(self):
        """The clock does not jump over what is under way."""

        async def test(self):
            client = await self.ws_client()
            await client.send("hi")
            await self.clock.advance(10)
            self.assertEqual([event.time for event in self.transcript if event.kind == "received"], [0])

        self.assert_passes(race(Echo, test, runs=50))

    def test_all_kinds_of_delivery(self):
        """There are orders in which a message arrives whole and in pieces, and one user before and after another."""
        sizes, orders = set(), set()

        async def test(self):
            clients = await self.ws_clients(["ann", "bob"])
            arrived = []
            for client in clients:
                endpoint = client.handler.ws_connection.stream._endpoint
                arrive = endpoint.arrive

                def note(data, client=client, arrive=arrive):
                    if data is not None:
                        arrived.append((client.name, len(data)))
                    arrive(data)

                endpoint.arrive = note
            for client in clients:
                await client.send("message")
            await self.settle()
            if arrived:  # in the plain order nothing is carried: it is there as it is sent
                sizes.add(tuple(size for name, size in arrived if name == "ann"))
                orders.add(tuple(dict.fromkeys(name for name, _ in arrived)))

        self.assert_passes(race(Echo, test, runs=100))
        self.assertEqual(orders, {("ann", "bob"), ("bob", "ann")})
        self.assertIn((13,), sizes)
        self.assertTrue({size for size in sizes if len(size) > 1 and all(size) and sum(size) == 13})


class WholeTestTest(ExploreTestCase):
    """The whole test is played, and the runner hears of one."""

    def test_each_run_is_a_fresh_test_case(self):
        """Set-up, app, test, tear-down and cleanups belong to a test case of their own."""
        seen = []

        class Case(MemoryTestCase):
            def setUp(self):
                self.told = [id(self)]
                self.addCleanup(lambda: seen.append(self.told))
                super().setUp()

            def get_app(self):
                self.told.append("app")
                return super().get_app()

            async def asyncSetUp(self):
                self.told.append("set up")

            async def asyncTearDown(self):
                self.told.append("tear down")

            @explore(runs=5)
            async def test_it(self):
                self.told.append("test")

        self.assert_passes(Case)
        self.assertEqual([told[1:] for told in seen], 5 * [["app", "set up", "test", "tear down"]])

    def test_the_first_failure_ends_it(self):
        """No run is played after one that fails, and the runner hears of one test."""
        played = []

        async def test(self):
            played.append(self)
            self.assertLess(len(played), 3)

        result = unittest.TestResult()
        race(Names, test, runs=10)("test_it").run(result)
        self.assertEqual((len(played), result.testsRun, len(result.failures)), (3, 1, 1))
        self.assertIn("explore: run 3 of 10 failed, in the order of delivery of seed 2", result.failures[0][1])

    def test_what_the_runner_hears(self):
        """It begins, it fails, it is over: all of the test case that the runner has."""
        heard = []

        class Result(unittest.TestResult):
            def startTest(self, test):
                heard.append(("start", test))

            def addFailure(self, test, error):
                heard.append(("failure", test))

            def stopTest(self, test):
                heard.append(("stop", test))

        case = race(HastyNames, one_name, runs=100, start=1000)("test_it")
        case.run(Result())
        self.assertEqual([what for what, _ in heard], ["start", "failure", "stop"])
        self.assertTrue(all(test is case for _, test in heard))

    def test_the_first_run_is_a_plain_one(self):
        """A test that fails in any order fails in that of a plain run, and it is said."""

        async def test(self):
            raise AssertionError

        text = run_test(race(Names, test, runs=10)).text
        self.assertIn("explore: run 1 of 10 failed, a plain run", text)

    def test_failures_outside_of_the_test(self):
        """A failure of set-up, tear-down or a cleanup ends it, and names its seed."""

        def fail(self):
            raise AssertionError("here")

        async def test(self):
            pass

        def clean_up(self):
            self.addCleanup(fail, self)
            MemoryTestCase.setUp(self)

        for name, hook in (("setUp", fail), ("get_app", fail), ("asyncTearDown", fail), ("setUp", clean_up)):
            with self.subTest(name):
                outcome = run_test(case_of(test, explore(runs=3), **{name: hook}))
                self.assertEqual(len(outcome.failures), 1)
                self.assertIn("here", outcome.text)
                self.assertIn("run 1 of 3 failed", outcome.text)

    def test_sub_tests(self):
        """Sub-tests that fail in one run are told as they are, with its seed; skipped ones end nothing."""
        played = []

        async def test(self):
            played.append(self)
            for number in range(3):
                with self.subTest(number=number):
                    if number == 0:
                        self.skipTest("not this one")
                    self.assertLess(len(played), 4)

        outcome = run_test(race(Names, test, runs=10))
        self.assertEqual((len(played), len(outcome.failures), outcome.skipped), (4, 2, ["not this one"]))
        for text in outcome.failures:
            self.assertIn("run 4 of 10 failed", text)

    def test_skipped(self):
        """A test that is skipped is so once, by a decorator or from inside."""
        played = []

        async def test(self):
            played.append(self)
            self.skipTest("not today")

        outcome = run_test(race(Names, test, runs=10))
        self.assertEqual((len(played), outcome.skipped, outcome.text), (1, ["not today"], ""))
        decorated = case_of(test, unittest.skip("never"), explore(runs=10))
        self.assertEqual(run_test(decorated).skipped, ["never"])
        self.assertEqual(len(played), 1)

    def test_expected_failure(self):
        """An expected failure is one if any run fails, and a success where none is expected if none does."""

        async def test(self):
            await one_name(self)

        how = unittest.expectedFailure, explore(runs=100)
        self.assertEqual(run_test(case_of(test, *how, handler=HastyNames)).expected_failures, 1)
        result = unittest.TestResult()
        case_of(test, *how)("test_it").run(result)
        self.assertEqual(len(result.unexpectedSuccesses), 1)

    def test_durations_add_up(self):
        """The runner is told once how long all runs took (Python 3.12)."""
        told = []

        class Result(unittest.TestResult):
            def addDuration(self, test, seconds):
                told.append(seconds)

        race(Names, one_name, runs=20)("test_it").run(Result())
        if sys.version_info >= (3, 12):
            self.assertEqual(len(told), 1)
            self.assertGreater(told[0], 0.005)

    def test_without_a_result(self):
        """A test case that is called makes its own result, as ever."""
        heard = []

        class Result(unittest.TestResult):
            def startTestRun(self):
                heard.append("start")

            def stopTestRun(self):
                heard.append("stop")

        case = race(Names, one_name, runs=3)("test_it")
        case.defaultTestResult = Result
        result = case.run()
        self.assertEqual((result.testsRun, result.wasSuccessful(), heard), (1, True, ["start", "stop"]))

    def test_what_was_put_on_the_test_case(self):
        """What something outside has put on the test case is there in each run, and no run's own."""

        async def test(self):
            self.assertEqual(self.given, "by a fixture")
            self.assertFalse(hasattr(self, "own"))
            self.own = True

        case = race(Names, test, runs=3)("test_it")
        case.given = "by a fixture"
        result = unittest.TestResult()
        case.run(result)
        self.assertEqual(result.failures + result.errors, [])

    def test_a_test_case_that_takes_more(self):
        """A test case that cannot be made of a test's name is refused with a sentence."""

        def init(self, name, browser):
            MemoryTestCase.__init__(self, name)

        async def test(self):
            pass

        result = unittest.TestResult()
        case_of(test, explore(runs=3), __init__=init)("test_it", "firefox").run(result)
        self.assertIn("with the test's name as the only argument", result.errors[0][1])

    def test_generators_and_gen_test(self):
        """Above gen_test or below it, on coroutines and generators."""
        played = []

        async def coroutine(self):
            played.append(await self.ws_client())

        def generator(self):
            played.append((yield self.ws_client()))

        for test, *how in (
            (coroutine, explore(runs=3), gen_test),
            (coroutine, gen_test, explore(runs=3)),
            (coroutine, explore(runs=3), gen_test(timeout=3)),
            (generator, explore(runs=3), gen_test),
            (generator, gen_test, explore(runs=3)),
        ):
            played.clear()
            self.assert_passes(case_of(test, *how))
            self.assertEqual(len(played), 3)

    def test_over_an_http_server(self):
        """The server of AsyncHTTPTestCase's is explored, too."""

        class Case(WebSocketHTTPTestCase):
            ws_transport = "memory"

            def get_app(self):
                return make_app(HastyNames)

            @explore(runs=100)
            async def test_it(self):
                await one_name(self)

        self.assertRegex(run_test(Case).text, "explore: run .* of 100 failed")

    def test_a_run_of_their_own(self):
        """A test case may have a run() of its own, which surrounds them all, and each of the others."""

        def run(self, result=None):
            with contextlib.suppress(ZeroDivisionError):
                return MemoryTestCase.run(self, result)

        self.assert_passes(race_with(run))

    def test_the_transcript_shows_the_order(self):
        """In an explored run, the transcript says when the app gets what was sent."""
        text = run_test(race(HastyNames, one_name, runs=100)).text
        self.assertRegex(text, r"ann +-- HastyNames\.open\(\)")
        self.assertRegex(text, r"bob +-- HastyNames\.on_message\('take rob'\)")


def race_with(run):
    """Return an explored test case with a ``run`` of its own."""

    async def test(self):
        await one_name(self)

    return case_of(test, explore(runs=3), run=run)


class AloneTest(ExploreTestCase):
    """An async function without a test case."""

    def test_a_function(self):
        """It is played under as many orders, and its failure names the seed."""
        played = []

        @explore(runs=100)
        async def test(handler, *, timeout):
            played.append(handler)
            async with WebSocketTester(make_app(handler), transport="memory", timeout=timeout) as wstest:
                wstest.ws_clients, wstest.assertEqual = wstest.clients, self.assertEqual
                await one_name(wstest)

        asyncio.run(test(Names, timeout=1))
        self.assertEqual(len(played), 100)
        with self.assertRaises(AssertionError) as caught:
            asyncio.run(test(HastyNames, timeout=1))
        self.assertRegex(caught.exception.__notes__[-1], r"run \d+ of 100 failed.*\n.*@explore\(seed=\d+\)")
        self.assertIn("transcript", caught.exception.__notes__[0])

    def test_a_function_that_starts_no_server(self):
        """Where there is nothing to order, a test that passes proves nothing."""

        @explore()
        async def test():
            pass

        with self.assertRaisesRegex(UsageError, r"nothing to order: test\(\) has not started a server over memory"):
            asyncio.run(test())


PROJECT = """
    import pytest
    from tornado_wstest import WebSocketTestCase, explore
    from tests.apps.races import HastyNames, Names, make_app, one_name

    class DenTest(WebSocketTestCase):
        ws_transport = "memory"
        handler = Names

        def get_app(self):
            return make_app(self.handler)

        def close_app(self, app):
            print("<app closed>")

        @explore(runs=20)
        async def test_right(self):
            await one_name(self)

    class HastyTest(DenTest):
        handler = HastyNames

        @pytest.fixture(autouse=True)
        def give(self):
            self.given = True

        @explore(runs=100)
        async def test_wrong(self):
            await one_name(self)

        @pytest.mark.xfail(strict=True)
        @explore(runs=100)
        async def test_known(self):
            await one_name(self)

        @explore(runs=3)
        async def test_right(self):
            pass
"""


class RunnersTest(unittest.TestCase):
    """Whatever runs the tests."""

    def run_project(self, *command):
        """Run a runner in a folder with the project, and return its output."""
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "test_den.py").write_text(textwrap.dedent(PROJECT), encoding="utf-8")
            process = run_module(*command, folder=folder, **os.environ)
        return process.stdout + process.stderr

    def test_pytest(self):
        """pytest counts each test once, knows its marks, and shows the seed."""
        output = self.run_project("pytest", "-p", "no:cacheprovider")
        self.assertRegex(output, "1 failed, 2 passed, 1 xfailed")
        self.assertRegex(output, r"explore: run \d+ of 100 failed")
        self.assertRegex(output, r"bob +-- HastyNames\.on_message\('take rob'\)")

    def test_pytest_with_its_debugger(self):
        """``--pdb`` puts off the tear-down of the one test case that pytest knows, not of the others."""
        output = self.run_project("pytest", "-p", "no:cacheprovider", "-s", "--pdb", "-k", "test_right")
        self.assertRegex(output, "2 passed")
        self.assertEqual(output.count("<app closed>"), 20 + 3)

    def test_unittest(self):
        """So does unittest, which knows no marks of pytest's."""
        output = self.run_project("unittest", "test_den")
        self.assertRegex(output, r"Ran 4 tests .*\n\nFAILED \(failures=2\)")
        self.assertRegex(output, r"explore: run \d+ of 100 failed")

    def test_tornado(self):
        """So does Tornado's runner, whose log is not flooded by the runs that passed."""
        output = self.run_project("tornado.testing", "test_den.DenTest")
        self.assertIn("Ran 1 test", output)
        self.assertNotIn("101 GET", output)


class BadInputTest(unittest.TestCase):
    """Whoever decorates wrongly is told so, at once where it can be."""

    def assert_refused(self, text, function, *args, **kwargs):
        """The call raises a UsageError with this text."""
        with self.assertRaisesRegex(UsageError, re.escape(text)):
            function(*args, **kwargs)

    def test_runs(self):
        """A test is played once at least."""
        for runs in (0, -1):
            self.assert_refused(
                f"explore(runs={runs}): runs is how many orders are played, 1 or more", explore, runs=runs
            )

    def test_no_integers(self):
        """Numbers are integers."""
        for name in ("runs", "seed", "start"):
            for value in ("7", 7.0, True):
                with self.subTest(name, value=value):
                    text = f"explore({name}={value!r}): {name} is an integer"
                    self.assert_refused(text, explore, **{name: value})

    def test_one_order_and_many(self):
        """A seed is one order, runs are many."""
        self.assert_refused("seed plays one order once, runs is for many", explore, seed=3, runs=100)
        self.assert_refused("seed plays one order once, start is for many", explore, seed=3, start=100)

    def test_without_parentheses_or_names(self):
        """It is called, with its arguments by name."""

        async def test():
            pass

        self.assert_refused("with its parentheses", explore, test)
        self.assert_refused("write by name: @explore(runs=100)", explore, 50)

    def test_what_is_no_test(self):
        """A class, a plain function, or no function at all."""

        def helper():
            pass

        async def generator():
            yield

        self.assert_refused("not on the class MemoryTestCase: decorate each test", explore(), MemoryTestCase)
        self.assert_refused("explore() plays an async test, and helper is none", explore(), helper)
        self.assert_refused("explore() plays an async test, and generator is none", explore(), generator)
        self.assert_refused("explore() plays an async test, and 'test' is none", explore(), "test")

    def test_given(self):
        """Hypothesis draws examples of its own."""

        async def test(self, number):
            await self.ws_client()

        examples = hypothesis.given(strategies.integers())
        self.assert_refused("explore() and @given on test()", explore(), examples(test))
        outcome = run_test(case_of(test, examples, explore(runs=3)))
        self.assertIn("no setUp, no helper, no @given above it", outcome.text)

    def test_over_tcp(self):
        """Over TCP the order is the kernel's, and nothing stays open."""

        async def test(self):
            pass

        for base in (WebSocketTestCase, WebSocketHTTPTestCase):
            body = {"test_it": explore(runs=3)(test), "get_app": lambda self: Application([("/", WebSocketHandler)])}
            outcome = run_test(type("Case", (base,), body))
            self.assertEqual(len(outcome.errors), 1)
            self.assertIn("set ws_transport = 'memory' on the test case", outcome.text)

    def test_a_tester_over_tcp(self):
        """So it is without a test case."""

        @explore()
        async def test():
            async with WebSocketTester(make_app(Names)):
                pass

        self.assert_refused("explore() orders what is delivered over the memory transport", asyncio.run, test())

    def test_what_is_not_run_as_a_test(self):
        """On a hook, on a helper, on the test of another test case, it is refused when it is called."""

        @explore()
        async def decorated(self):
            pass

        async def test(self):
            await decorated(self)

        class Other(unittest.IsolatedAsyncioTestCase):
            test_it = decorated

        text = r"explore\(\) is on decorated\(\), which was called by something that does not play it"
        for case in (case_of(test, asyncSetUp=decorated), case_of(test), Other):
            self.assertRegex(run_test(case).text, text)
