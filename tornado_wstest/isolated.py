"""What users inherit who come from the standard library's `unittest.IsolatedAsyncioTestCase`.

The standard library runs `asyncSetUp`, the test, `asyncTearDown` and the clean-ups here, each in its turn, and
all in one loop. The server is up from `setUp` on; closing the clients and stopping the server is the clean-up
that was added first, and so the last one to be called.

Private parts (CPython 3.11 to 3.13): ``_asyncioRunner`` runs the loop of a test; ``_tearDownAsyncioRunner`` is
called at its end, also after Ctrl-C, when no clean-up is (where it has another name, an interrupted test leaves
its sockets to the collector).
"""

import asyncio
import contextlib
import inspect
import os
import sys
import unittest
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from tornado.ioloop import IOLoop

from .lifecycle import end, limited, run, start
from .testcase import WebSocketTestMixin

__all__ = ["IsolatedWebSocketTestCase"]

__unittest = True

T = TypeVar("T")


class IsolatedWebSocketTestCase(WebSocketTestMixin, unittest.IsolatedAsyncioTestCase):
    """`WebSocketTestMixin` over `unittest.IsolatedAsyncioTestCase`.

    ::

        class EchoTest(IsolatedWebSocketTestCase):
            handshake = discard(1)                          # the "hello"

            def get_app(self):
                return make_app()

            async def test_echo(self):
                client = await self.ws_client("/echo")      # after the handshake
                await client.send("foo")
                await client.expect("foo")

    Everything of the mixin is there, and the rest is as the standard library has it: the test shares its
    context variables with `asyncSetUp` and `asyncTearDown`, clean-ups of both kinds are called in one order, last
    in, first out, and then the clients are closed. But ``asyncio``'s debug mode, in which connections take ten times
    as long, is off unless it is asked for by ``python -X dev`` or ``PYTHONASYNCIODEBUG=1``.

    A test, and each part around it, ends after ``ASYNC_TEST_TIMEOUT`` seconds (5) with the line that it waited
    at; ``@gen_test(timeout=30)`` gives one test another limit, and is not needed for anything else.
    """

    io_loop: IOLoop
    """Tornado's loop over the one of the test."""

    _asyncioRunner: asyncio.Runner  # noqa: N815
    _ws_is_isolated = True

    def __init__(self, methodName: str = "runTest", *args: Any, **kwargs: Any) -> None:
        super().__init__(methodName, *args, **kwargs)
        self._ws_is_property = hasattr(getattr(self, methodName), "hypothesis")
        # On the instance, so that it does not matter whether the user's own call super().
        if inspect.iscoroutinefunction(self.asyncSetUp):
            setattr(self, "asyncSetUp", limited(self, self.asyncSetUp))  # noqa: B010
        if inspect.iscoroutinefunction(self.asyncTearDown):
            setattr(self, "asyncTearDown", _unless_over(self, limited(self, self.asyncTearDown)))  # noqa: B010

    def setUp(self) -> None:
        """Start the server. `asyncSetUp` is called next."""
        super(WebSocketTestMixin, self).setUp()
        loop = self._asyncioRunner.get_loop()
        loop.set_debug(_is_debug_mode())
        self.io_loop = loop.run_until_complete(_current_io_loop())
        super().addCleanup(limited(self, _end, "what runs before and after the test"), self)
        run(self, start(self))

    def tearDown(self) -> None:
        """Called after `asyncTearDown`, before the clean-ups."""
        super(WebSocketTestMixin, self).tearDown()

    def addCleanup(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """As in `unittest.IsolatedAsyncioTestCase`: the function may be async."""
        if inspect.iscoroutinefunction(function):
            function = limited(self, function)
        super().addCleanup(function, *args, **kwargs)

    def addAsyncCleanup(self, function: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> None:
        """Call an async function after `asyncTearDown`, before the clients are closed; last in, first out."""
        if self._ws_is_property or not callable(function):
            super().addAsyncCleanup(function, *args, **kwargs)  # each example has its own
        else:
            self.addCleanup(limited(self, function), *args, **kwargs)

    async def enterAsyncContext(self, cm: AbstractAsyncContextManager[T]) -> T:
        """Enter an async context manager, and leave it after `asyncTearDown`."""
        return await unittest.IsolatedAsyncioTestCase.enterAsyncContext(self, cm)

    def _tearDownAsyncioRunner(self) -> None:
        if "wstest" in vars(self):
            with contextlib.suppress(Exception):  # what has interrupted the test is told
                self._asyncioRunner.run(_end(self))
        super()._tearDownAsyncioRunner()  # type: ignore[misc]


def _is_debug_mode() -> bool:
    """Was asyncio's debug mode asked for? The standard library's test case turns it on for all."""
    asked = not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG"))
    return sys.flags.dev_mode or asked


async def _current_io_loop() -> IOLoop:
    return IOLoop.current()


async def _end(case: Any) -> None:
    """Close the clients, stop the server: the last clean-up."""
    await end(case, tear_down=False)


def _unless_over(case: Any, tear_down: Callable[..., Any]) -> Callable[..., Any]:
    """Call `asyncTearDown`, unless the examples of a property have had theirs."""

    async def async_tear_down() -> None:
        if "wstest" in vars(case):
            await tear_down()

    return async_tear_down
