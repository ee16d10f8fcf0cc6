"""`IsolatedWebSocketTestCase`: what the other bases can, and what the standard library's test case can.

The test modules of the other bases are loaded once more, with this one in the place of `WebSocketTestCase`.
"""

import asyncio
import contextlib
import contextvars
import gc
import importlib.util
import os
import signal
import sys
import time
import types
import unittest
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.testing import gen_test
from tornado.web import Application

import tests
import tornado_wstest
from tests import (
    test_auth,
    test_client,
    test_clock,
    test_group,
    test_handshake,
    test_playing,
    test_session,
    test_testcase,
    test_watch,
)
from tests.apps.handlers import Echo, make_app
from tests.running import run_test
from tornado_wstest import IsolatedWebSocketTestCase, NothingCanHappen

MODULES = (
    test_auth,
    test_client,
    test_clock,
    test_group,
    test_handshake,
    test_playing,
    test_session,
    test_testcase,
    test_watch,
)
OVER_MEMORY = {"ws_transport": "memory", "ws_virtual_time": True}
room = contextvars.ContextVar("room", default=None)


def load(module):
    """Return a second copy of a test module, over this base."""
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_isolated", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = copy
    setattr(tests, spec.name.rpartition(".")[2], copy)
    with mock.patch.object(tornado_wstest, "WebSocketTestCase", IsolatedWebSocketTestCase):
        spec.loader.exec_module(copy)
    return copy


def cases_of(module):
    """Return the test cases that a module defines."""
    found = (value for value in vars(module).values() if isinstance(value, type))
    return [cls for cls in found if issubclass(cls, unittest.TestCase) and cls.__module__ == module.__name__]


def suites():
    """Yield names and test cases: those of the modules, and the client's over memory in virtual time, too."""
    for module in MODULES:
        for cls in cases_of(load(module)):
            name = f"{module.__name__.rpartition('_')[2].title()}{cls.__name__}"
            yield name, cls
            if module is test_client and issubclass(cls, IsolatedWebSocketTestCase):
                yield f"{name}OverMemory", type(f"{cls.__name__}OverMemory", (cls,), {**OVER_MEMORY})


globals().update(suites())


class SuitesTest(unittest.TestCase):
    """What this module is made of."""

    def test_most_of_it_runs_on_this_base(self):
        """The copies' test cases are of this base."""
        ours = [value for value in globals().values() if isinstance(value, type)]
        self.assertGreater(sum(issubclass(value, IsolatedWebSocketTestCase) for value in ours), 40)


class IsolatedTestCase(IsolatedWebSocketTestCase):
    """An echo."""

    def get_app(self):
        return make_app()


class OrderTest(unittest.TestCase):
    """Everything is called in the standard library's order, and the clients are closed last."""

    def test_the_order(self):
        """setUp, asyncSetUp, test, asyncTearDown, tearDown, clean-ups of both kinds, on_close, close_app."""
        calls = []

        @contextlib.asynccontextmanager
        async def context():
            yield
            calls.append("exit")

        class Handler(Echo):
            def on_close(self):
                calls.append("on_close")

        class Case(IsolatedWebSocketTestCase):
            def get_app(self):
                calls.append("get_app")
                return Application([("/", Handler)])

            async def close_app(self, app):
                calls.append("close_app")

            def setUp(self):
                super().setUp()
                calls.append("setUp")

            async def asyncSetUp(self):
                calls.append("asyncSetUp")
                self.addCleanup(calls.append, "first")
                self.addAsyncCleanup(self.second)
                await self.enterAsyncContext(context())
                self.addCleanup(self.second)

            async def second(self):
                calls.append("second")

            async def test_it(self):
                await self.ws_client()
                calls.append("test")

            async def asyncTearDown(self):
                calls.append("asyncTearDown")

            def tearDown(self):
                calls.append("tearDown")
                super().tearDown()

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        self.assertEqual(
            " ".join(calls),
            "get_app setUp asyncSetUp test asyncTearDown tearDown second exit second first on_close close_app",
        )

    def test_a_failing_set_up_undoes_what_was_done(self):
        """After an asyncSetUp or a get_app that raises, everything is closed, and the test is not run."""
        for hook in ("asyncSetUp", "get_app", "setUp"):
            closed = []

            def close_app(case, app, closed=closed):
                closed.append(app)

            async def fail(case):
                raise KeyError(hook)  # noqa: B023

            def fail_early(case):
                IsolatedTestCase.setUp(case)
                raise KeyError("setUp")

            namespace = {hook: fail_early if hook == "setUp" else fail, "close_app": close_app}
            Case = type("Case", (IsolatedTestCase,), {**namespace, "test_it": lambda case: self.fail("it ran")})  # noqa: N806
            with self.subTest(hook=hook):
                outcome = run_test(Case)
                self.assertEqual((outcome.text.count(f"KeyError: '{hook}'"), len(outcome.errors)), (1, 1))
                self.assertEqual((outcome.failures, len(closed)), ([], 0 if hook == "get_app" else 1))

    def test_a_failing_async_set_up_carries_the_transcript(self):
        """What fails around the test is explained, too."""

        class Case(IsolatedTestCase):
            async def asyncSetUp(self):
                await (await self.ws_client(name="ann")).send("a")
                raise KeyError("set-up")

            async def test_it(self):
                pass

        self.assertIn("ann --> 'a'", run_test(Case).text)

    def test_an_error_after_the_test(self):
        """What a handler raises in asyncTearDown or in a clean-up fails the test."""
        for where in ("asyncTearDown", "clean"):

            async def crash(case):
                await (await case.ws_client("/commands")).send("no JSON")

            async def test(case, where=where):
                if where == "clean":
                    case.addAsyncCleanup(case.clean)

            outcome = run_test(type("Case", (IsolatedTestCase,), {where: crash, "test_it": test}))
            with self.subTest(where=where):
                self.assertIn("Commands raised JSONDecodeError", outcome.text)


class LoopTest(IsolatedTestCase):
    """One loop and one context, from asyncSetUp to the last clean-up."""

    async def asyncSetUp(self):
        room.set("den")
        self.loop = asyncio.get_running_loop()

    async def asyncTearDown(self):
        self.assertEqual((room.get(), asyncio.get_running_loop()), ("hall", self.loop))

    async def test_context_variables(self):
        """The test shares its context variables with asyncSetUp and asyncTearDown, and its loop with the server."""
        self.assertEqual(room.get(), "den")
        room.set("hall")
        self.assertIs(self.ws_server.settling.loop, asyncio.get_running_loop())
        self.assertIs(self.io_loop.asyncio_loop, self.loop)

    async def test_debug_mode(self):
        """asyncio's debug mode is on if it was asked for, and only then."""
        room.set("hall")
        self.assertFalse(self.loop.get_debug())

        class Case(IsolatedTestCase):
            async def test_it(self):
                assert asyncio.get_running_loop().get_debug()

        with mock.patch.dict(os.environ, PYTHONASYNCIODEBUG="1"):
            outcome = await asyncio.to_thread(run_test, Case)
        self.assertTrue(outcome.was_successful, outcome.text)


class LimitTest(unittest.TestCase):
    """What does not end."""

    def run_limited(self, hook, test, base=IsolatedTestCase):
        """Return the text of a test case's failure, within 0.2 s."""
        namespace = {hook: test, **({} if hook == "test_it" else {"test_it": lambda case: None})}
        with mock.patch.dict(os.environ, ASYNC_TEST_TIMEOUT="0.2"):
            return run_test(type("Case", (base,), namespace)).text

    def test_every_part_ends_at_the_limit(self):
        """The test and the hooks around it say where they waited."""

        async def hang(case):
            await asyncio.Event().wait()

        for hook in ("test_it", "asyncSetUp", "asyncTearDown"):
            with self.subTest(hook=hook):
                text = self.run_limited(hook, hang)
                name = "hang"
                self.assertIn(f"TimeoutError: {name}() did not end within 0.2 s of real time", text)
                self.assertRegex(text, r"waited at test_isolated.py:\d+: await asyncio.Event\(\).wait\(\)")

    def test_every_part_ends_where_nothing_can_happen(self):
        """Under virtual time the same parts fail at once, direct clean-ups as well."""

        class Case(IsolatedTestCase):
            ws_virtual_time = True

        async def hang(case):
            await asyncio.Event().wait()

        async def test(case):
            case.addCleanup(hang, case)

        for hook, method in ("test_it", hang), ("asyncSetUp", hang), ("asyncTearDown", hang), ("test_it", test):
            with self.subTest(hook=hook):
                start = time.monotonic()
                outcome = run_test(type("Hangs", (Case,), {"test_it": lambda case: None, hook: method}))
                self.assertLess(time.monotonic() - start, 3)
                self.assertIn(f"{NothingCanHappen.__name__}: nothing can ever happen again", outcome.text)

    def test_gen_test_sets_another_limit(self):
        """gen_test works as on Tornado's bases."""

        @gen_test(timeout=0.1)
        async def test(case):
            await asyncio.Event().wait()

        text = self.run_limited("test_it", test)
        self.assertRegex(text, r"Operation timed out after 0.1 seconds\nthe test waited at test_isolated.py:\d+")

    def test_a_test_that_is_cancelled_by_itself(self):
        """A CancelledError of the test's own is no limit."""

        async def test(case):
            raise asyncio.CancelledError("mine")

        self.assertIn("CancelledError: mine", self.run_limited("test_it", test))


class InterruptTest(unittest.TestCase):
    """Ctrl-C."""

    def test_it_ends_the_test_and_closes_everything(self):
        """KeyboardInterrupt leaves the runner; clients, server and clock are closed first, in the test's loop."""
        closed = []

        class Handler(Echo):
            def on_close(self):
                closed.append("on_close")

        class Case(IsolatedWebSocketTestCase):
            ws_virtual_time = True

            def get_app(self):
                return Application([("/", Handler)])

            async def close_app(self, app):
                closed.append("close_app")

            async def test_it(self):
                await self.ws_client()
                signal.raise_signal(signal.SIGINT)
                await asyncio.sleep(3600)

        with self.assertRaises(KeyboardInterrupt):
            run_test(Case)
        gc.collect()
        self.assertEqual(closed, ["on_close", "close_app"])

    def test_in_a_plain_function(self):
        """A test that is no coroutine is interrupted as well."""
        closed = []

        class Case(IsolatedTestCase):
            def close_app(self, app):
                closed.append("close_app")

            def test_it(self):
                signal.raise_signal(signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            run_test(Case)
        self.assertEqual(closed, ["close_app"])


class ExamplesTest(unittest.TestCase):
    """@given: an asyncSetUp, an asyncTearDown and clean-ups of its own for each example."""

    def test_each_example_has_its_own(self):
        """Each hook is called once an example, in order, and the app is a fresh one."""
        calls = []

        class Case(IsolatedTestCase):
            async def asyncSetUp(self):
                calls.append("up")
                self.addAsyncCleanup(self.clean)
                self.client = await self.ws_client()

            async def clean(self):
                calls.append(f"clean {len(self.ws_server.handlers)}")

            async def asyncTearDown(self):
                calls.append("down")

            @settings(max_examples=5, deadline=None, database=None)
            @given(st.text())
            async def test_it(self, text):
                await self.client.send(text)
                await self.client.expect(text)

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        self.assertEqual(calls, ["up", "down", "clean 1"] * (len(calls) // 3))
        self.assertGreater(len(calls), 6)


class MixedBasesTest(unittest.TestCase):
    """A test case of the user's own below ours."""

    def test_a_base_of_the_users(self):
        """Its hooks are called, whether or not they know of ours."""
        calls = []

        class Base(unittest.IsolatedAsyncioTestCase):
            def setUp(self):
                calls.append("setUp")

            async def asyncSetUp(self):
                calls.append("asyncSetUp")

        class Case(IsolatedTestCase, Base):
            asyncSetUp = Base.asyncSetUp

            async def test_it(self):
                await self.ws_client()

        outcome = run_test(Case)
        self.assertTrue(outcome.was_successful, outcome.text)
        self.assertEqual(calls, ["setUp", "asyncSetUp"])

    def test_it_is_a_method(self):
        """unittest takes a plain function on an instance for a static method: the test stays a method."""
        case = type("Case", (IsolatedTestCase,), {"test_it": LoopTest.test_debug_mode})("test_it")
        self.assertIsInstance(case.test_it, types.MethodType)
