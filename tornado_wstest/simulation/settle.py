"""Settling: to know that everything in flight has been processed, without a sleep.

An app whose clients live in the same process and the same loop is at rest when three things hold: no
callback is ready, no descriptor is ready to be read or written, and no executor job is running. All of that
is known where asyncio selects; see `tornado_wstest.simulation.selector`. What the kernel carries over
loopback arrives before ``send`` returns, as long as TCP_NODELAY is set at both ends, which the clients and
the server of this package see to.

Timers that are due later do not count. Descriptors whose other end is not in this loop (a database, a
subprocess) could become ready at any moment; they are given a grace, in real seconds, to stay quiet.

Private parts: ``loop._scheduled``, the timers, and what their handles call (CPython 3.11 to 3.13); where they
are missing, no next timer is known. The limit of a test is known by the name of its callback in Tornado.

A loop without a selector (uvloop, Windows' proactor) cannot be looked into: there, settling means that
nothing of ours happened for the length of the grace.
"""

import asyncio
import functools
import selectors
import time
from collections.abc import Callable
from typing import Any

from ..errors import NotSettled
from .jobs import Jobs
from .selector import WatchingSelector

__all__ = ["Settling", "is_test_limit"]


class Settling:
    """What is known about the rest and unrest of one loop. Shared by all testers in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ports: set[int] = set()
        """Ports on loopback whose connections have both ends in this loop."""
        self.activity = 0
        """Counts what happened on our connections; how a loop without a selector is judged."""
        self.default_waits: dict[asyncio.Future[Any], Callable[[], str]] = {}
        """Waits of the test's that have no end of their own, under virtual time, and what each is for."""
        self.clock: Any = None
        """The clock, if time is virtual here; see `tornado_wstest.simulation.clock`."""
        self.selector: WatchingSelector | None = None
        """What stands in the loop's selector; None where the loop has none."""
        self._users = 0
        self._own_timers: dict[int, asyncio.TimerHandle] = {}  # by id: a handle hashes by its time
        self._jobs = Jobs(loop)
        if isinstance(getattr(loop, "_selector", None), selectors.BaseSelector):
            self.selector = WatchingSelector(loop, self._jobs, self.ports)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Settling":
        """Return the one of ``loop``, and install it there first if need be. Undone by `release`."""
        settling = _settlings.get(loop)
        if settling is None:
            settling = _settlings[loop] = cls(loop)
        settling._users += 1
        return settling

    @classmethod
    def existing(cls, loop: asyncio.AbstractEventLoop) -> "Settling | None":
        """Return the one of ``loop``, if there is one."""
        return _settlings.get(loop)

    def release(self) -> None:
        """Undo one `of`; the last one leaves the loop as it was."""
        self._users -= 1
        if self._users == 0:
            _settlings.pop(self.loop, None)
            self._jobs.close()
            if self.selector is not None:
                self.selector.uninstall()

    @property
    def has_foreign(self) -> bool:
        """Is there a descriptor that leads elsewhere? Unknown, and no, where the loop cannot be looked into."""
        return self.selector is not None and self.selector.has_foreign

    @property
    def is_exact(self) -> bool:
        """Can this loop be looked into?"""
        return self.selector is not None

    async def settle(self, *, timeout: float, grace: float, unless: "asyncio.Future[Any] | None" = None) -> None:
        """Return when everything in flight has been processed.

        :arg timeout: real seconds after which `NotSettled` says what keeps running
        :arg grace: real seconds for which descriptors that are not ours must stay quiet
        :arg unless: return as soon as this is done
        """
        __tracebackhide__ = True
        if unless is not None and unless.done():
            return
        if self.selector is not None:
            await self.selector.wait_until_quiet(timeout, grace, unless)
        else:
            await self._settle_blindly(timeout, grace, unless)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Set a timer of the toolkit's own, which is no sign of life of the app."""
        return self.call_at(self.loop.time() + seconds, callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """As `call_later`, at a time of the loop's."""
        handle = self.loop.call_at(when, callback)
        self._own_timers[id(handle)] = handle
        return handle

    def cancel(self, handle: asyncio.TimerHandle) -> None:
        """Cancel a timer that `call_at` set, or forget one that has fired."""
        handle.cancel()
        self._own_timers.pop(id(handle), None)

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return the app's timers, the next one first; none where none can be seen."""
        handles = [
            handle
            for handle in getattr(self.loop, "_scheduled", ())
            if not handle.cancelled() and id(handle) not in self._own_timers and not is_test_limit(handle)
        ]
        return sorted(handles, key=lambda handle: handle.when())

    def next_timer(self) -> float | None:
        """Return in how many seconds the app's next timer is due; None if there is none, or none can be seen."""
        timers = self.timers()
        return max(0.0, timers[0].when() - self.loop.time()) if timers else None

    async def _settle_blindly(self, timeout: float, grace: float, unless: "asyncio.Future[Any] | None") -> None:
        deadline = time.monotonic() + timeout
        grace = max(grace, _LEAST_GRACE)
        while unless is None or not unless.done():
            before = self.activity
            if unless is None:
                await asyncio.sleep(grace)
            else:
                await asyncio.wait({unless}, timeout=grace)
            if self.activity == before and not self._jobs:
                return
            if time.monotonic() > deadline:
                running = self._jobs.describe() or ["messages keep moving on the connections of this test"]
                raise NotSettled(f"the app did not come to rest within {timeout:g} s; still running: {running}")


_LEAST_GRACE = 0.02
"""Real seconds: where a loop cannot be looked into, there must be some."""

_LIMITS = (
    "IOLoop.run_sync.<locals>.timeout_callback",
    "AsyncTestCase.wait.<locals>.timeout_func",
    "_Strike.fall",
)

_settlings: dict[asyncio.AbstractEventLoop, Settling] = {}


def is_test_limit(timer: Any) -> bool:
    """Is this callback, or what this handle will call, the limit of a test? It is none of the app's timers."""
    if isinstance(timer, asyncio.TimerHandle):
        # Tornado's IOLoop wraps every callback: IOLoop._run_callback(partial(callback, ...)).
        args: Any = getattr(timer, "_args", None)
        timer = args[0].func if args and isinstance(args[0], functools.partial) else getattr(timer, "_callback", None)
    return getattr(timer, "__qualname__", "").endswith(_LIMITS)
