"""The work that all do: be greeted, and have a short text echoed. The apps, and who plays.

A *player* does it with one tool. It has a method for each kind of work that the tool can do: ``whole_tests``,
``connections``, ``round_trips``, ``silences``; each does it ``count`` times. What comes back is compared, so
that nobody is fast by doing nothing.
"""

import asyncio
import contextlib
import unittest

from tornado.web import Application
from tornado.websocket import WebSocketHandler

GREETING = "hello"
TEXT = "What is said is echoed."


class Greeter(WebSocketHandler):
    """Greets, and echoes."""

    def open(self):
        """Greet."""
        self.write_message(GREETING)

    def on_message(self, message):
        """Send it back."""
        self.write_message(message)


def make_app():
    """Return the app of all who test Tornado."""
    return Application([("/", Greeter)])


async def asgi_app(scope, receive, send):
    """The same for those who test ASGI, in no framework."""
    await receive()
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": GREETING})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


def expect(expected, message):
    """What came is what should come."""
    if message != expected:
        raise AssertionError(f"{message!r} came, and {expected!r} was expected")


class Player:
    """Somebody who does the work. A context manager: inside, what the work needs is up."""

    name = ""
    case: type[unittest.TestCase] | None = None
    """A test case whose ``test_echo`` is a whole test."""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def run(self, work, count):
        """Do one kind of work so many times."""
        work(count)

    def whole_tests(self, count):
        """Run the test as a runner does."""
        for _ in range(count):
            result = unittest.TestResult()
            self.case("test_echo").run(result)
            if not result.wasSuccessful():
                raise AssertionError(f"{self.name}: {result.failures + result.errors}")


class AsyncPlayer(Player):
    """One whose work is asynchronous: it has a loop of its own, and ``up()`` is what its work needs."""

    def __enter__(self):
        self._runner = asyncio.Runner()
        self._runner.run(self._begin())
        return self

    def __exit__(self, *exc_info):
        self._runner.run(self._end())
        self._runner.close()

    def run(self, work, count):
        """Do one kind of work so many times, in the loop."""
        self._runner.run(work(count))

    @contextlib.asynccontextmanager
    async def up(self):
        """Have ready what the work needs."""
        yield

    async def _begin(self):
        # In a task of its own: some tools must be closed by the task that opened them.
        self._is_up, self._over = asyncio.Event(), asyncio.Event()
        self._life = asyncio.create_task(self._live())
        is_up = asyncio.create_task(self._is_up.wait())
        await asyncio.wait([self._life, is_up], return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            is_up.cancel()
            self._life.result()

    async def _live(self):
        async with self.up():
            self._is_up.set()
            await self._over.wait()

    async def _end(self):
        self._over.set()
        await self._life
