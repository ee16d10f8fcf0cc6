"""Virtual time: a clock that stands still while anything happens, and jumps when nothing does.

While a clock is installed, `loop.time` and `IOLoop.time` go on from where they were, but only as the clock
says. So everything that sets a timer follows it: `asyncio.sleep`, ``asyncio.timeout``, ``call_later``,
`PeriodicCallback`, ``websocket_ping_interval``, and the time-outs of this package. As soon as the app has
settled the clock jumps to the next timer, so that an hour takes as long as what happens in it.

What it cannot see: ``time.time()`` and ``time.sleep()`` in the app's own code, other processes, and threads
that are no executor's. A job in an executor holds the clock; a descriptor that leads elsewhere gets its
grace, in real seconds, before each jump.

The limit of the test itself (``gen_test(timeout=)``) stays in real seconds: Tornado sets it with
``IOLoop.add_timeout``, where it is recognised.

Private parts (CPython 3.11 to 3.13, Tornado 6.3 to 6.6): ``loop._scheduled`` and a handle's ``_when``, to give
the timers that are left their real time back; ``PeriodicCallback._next_timeout``, to keep its ticks exact.
"""

import asyncio
import itertools
from typing import Any

from tornado.ioloop import IOLoop, PeriodicCallback

from ..errors import NothingCanHappen, UsageError
from ..text import show
from .settle import Settling, is_test_limit
from .tasks import describe_callback, describe_task, place

__all__ = ["Clock"]

_RESOLUTION = 1e-6
"""Seconds within which two times are the same: `IOLoop.time` counts from 1970, where floats are no finer."""


class _Time(float):
    """The time of a timer. Among equal ones, which only exist where time stands still, the first set is the least.

    asyncio keeps its timers in a heap, which has no order among equal times.
    """

    number: int

    def __new__(cls, when: float, number: int) -> "_Time":
        self = super().__new__(cls, when)
        self.number = number
        return self

    def __lt__(self, other: float) -> bool:
        if float.__eq__(self, other):
            return self.number < getattr(other, "number", 0)
        return float.__lt__(self, other)


class Clock:
    """The test's time. It starts at 0, in seconds.

    ::

        class HeartbeatTest(WebSocketTestCase):
            ws_virtual_time = True

            async def test_an_hour(self):
                client = await self.ws_client()
                await self.clock.advance(3600)
                self.assertFalse(client.closed)
    """

    def __init__(self, settling: Settling) -> None:
        if settling.selector is None:
            raise UsageError(
                "virtual time needs a loop whose selector can be looked into;"
                f" {type(settling.loop).__name__} has none\n"
                "leave ws_virtual_time off, or run the test in asyncio's own selector loop"
            )
        self._settling = settling
        self._selector = settling.selector
        self._loop: Any = settling.loop
        self._io_loop: Any = IOLoop.current()
        self._passed = 0.0
        self._loop_start = self._loop.time()
        # Binary fractions of a second, so that adding whole seconds to a time since 1970 stays exact.
        self._io_loop_start = int(self._io_loop.time() * 64) / 64
        self._advances: list[tuple[float, asyncio.Future[None]]] = []
        self._moves: list[asyncio.Future[None]] = []
        self._has_moved = False
        self._users = 0
        self.grace = 0.0
        self._numbers = itertools.count(1)
        self._victims: dict[Any, Any] = {}

    # Life

    @property
    def grace(self) -> float:
        """Real seconds that a descriptor which leads elsewhere gets before each jump."""
        return self._selector.grace

    @grace.setter
    def grace(self, seconds: float) -> None:
        self._selector.grace = seconds

    @classmethod
    def of(cls, settling: Settling) -> "Clock":
        """Return the clock of a loop, and install it there first if need be. Undone by `release`."""
        if settling.clock is None:
            settling.clock = cls(settling)
            settling.clock._install()
        clock: Clock = settling.clock
        clock._users += 1
        return clock

    def release(self) -> None:
        """Undo one `of`; the last one gives the loop its own time back."""
        self._users -= 1
        if self._users == 0:
            self._uninstall()

    def _install(self) -> None:
        self._loop.time = self._loop_time
        self._call_at, self._io_call_at = self._loop.call_at, self._io_loop.call_at
        self._loop.call_at, self._io_loop.call_at = self._loop_call_at, self._io_loop_call_at
        self._io_loop.time = self._io_loop_time
        self._selector.clock = self
        for handle in list(self._loop._scheduled):
            if not handle.cancelled() and is_test_limit(handle):
                self._convert(handle)

    def _convert(self, handle: Any) -> None:
        """Take the limit of a test, which was set before the clock, out of the loop's timers."""
        seconds = handle.when() - self._loop.time()
        callback, args = handle._callback, handle._args
        handle.cancel()
        self.call_real(seconds, lambda: callback(*args))

    def _uninstall(self) -> None:
        for owner in (self._loop, self._io_loop):
            vars(owner).pop("time", None)
            vars(owner).pop("call_at", None)
        # What is still to come comes as many seconds from now as it would have.
        ahead = self._loop_start + self._passed - self._loop.time()
        for handle in self._loop._scheduled:
            handle._when = _Time(handle._when - ahead, getattr(handle._when, "number", 0))
        self._selector.clock = None
        self._settling.clock = None

    # For the test

    def time(self) -> float:
        """Return how many seconds have passed on this clock."""
        return round(self._passed, 6)

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass: return when all that is due by then has happened, in order, and settled.

        ::

            await self.clock.advance(3600)
        """
        __tracebackhide__ = True
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
            raise UsageError(f"advance() takes a number of seconds, 0 or more, not {show(seconds)}: time goes forward")
        future: asyncio.Future[None] = self._loop.create_future()
        self._advances.append((self._passed + seconds, future))
        await future

    def __repr__(self) -> str:
        return f"<Clock at {self.time():g} s>"

    # For the selector

    def rest(self, until_next_timer: float | None) -> bool:
        """The app is at rest: jump to the next timer, or to where an `advance` goes."""
        self._advances = [(target, future) for target, future in self._advances if not future.done()]
        if self._has_moved:
            self._has_moved = False
            if self._moves:
                self._tell_movers()
                return True
        target = min((target for target, _ in self._advances), default=None)
        if target is not None and (until_next_timer is None or self._passed + until_next_timer > target + _RESOLUTION):
            if self._passed >= target:
                for when, future in self._advances:
                    if when <= target:
                        future.set_result(None)
                return True
            self._jump_to(target)
            return True
        if until_next_timer is None:
            return False
        self._jump_to(self._passed + until_next_timer)
        return True

    def nothing_can_happen(self) -> None:
        """Tell those who wait that nothing will come: first our own waits, then the test itself."""
        if self._moves:
            return
        error_text = self._nothing_text()
        waits = [future for future in self._settling.default_waits if not future.done()]
        for future in waits:
            future.set_exception(NothingCanHappen(error_text))
        if not waits:
            for victim in list(self._victims.values()):
                victim(NothingCanHappen(error_text))

    def add_victim(self, key: Any, end: Any) -> None:
        """Call ``end`` with the failure if nothing can happen any more and no wait of ours is to blame."""
        self._victims[key] = end

    def remove_victim(self, key: Any) -> None:
        """Undo `add_victim`."""
        self._victims.pop(key, None)

    async def move(self, not_after: float | None) -> None:
        """Return when the clock has jumped and the app has settled again, or after 5 ms of real time.

        :arg not_after: a time of the loop's that the clock shall not jump over
        """
        future: asyncio.Future[None] = self._loop.create_future()
        self._moves.append(future)
        timers = [self._selector.call_real(0.005, self._tell_movers)]
        if not_after is not None:
            timers.append(self._loop.call_at(not_after, self._tell_movers))
        try:
            await future
        finally:
            for timer in timers:
                timer.cancel()
            if future in self._moves:
                self._moves.remove(future)

    def call_real(self, seconds: float, callback: Any) -> Any:
        """Call ``callback`` after so many real seconds."""
        return self._selector.call_real(seconds, callback)

    def describe_limit(self) -> str:
        """Say how far the clock has come when the test's real limit strikes."""
        handles = sorted((h for h in self._loop._scheduled if not h.cancelled()), key=lambda handle: handle.when())
        due = [
            f"  {describe_callback(handle._callback, handle._args or ())} is due at"
            f" {handle.when() - self._loop_start:g} s"
            for handle in handles[:5]
        ]
        if not self._passed:
            return "the clock stands at 0 s of virtual time"
        return "\n".join([f"only the app's own timers went round, to {self.time():.12g} s of virtual time", *due])

    # Inside

    def _loop_time(self) -> float:
        return float(self._loop_start + self._passed)

    def _io_loop_time(self) -> float:
        return float(self._io_loop_start + self._passed)

    def _loop_call_at(self, when: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        return self._call_at(_Time(when, next(self._numbers)), callback, *args, **kwargs)

    def _io_loop_call_at(self, when: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        # A PeriodicCallback adds up times since 1970, whose rounding grows with each tick: take it out.
        periodic = getattr(callback, "__self__", None)
        if isinstance(periodic, PeriodicCallback):
            when = self._io_loop_start + round(when - self._io_loop_start, 6)
            periodic._next_timeout = when
        return self._io_call_at(when, callback, *args, **kwargs)

    def _jump_to(self, when: float) -> None:
        self._passed = when
        self._has_moved = True

    def _tell_movers(self) -> None:
        movers, self._moves = self._moves, []
        for future in movers:
            if not future.done():
                future.set_result(None)

    def _nothing_text(self) -> str:
        waits = [f"  {what()}" for future, what in self._settling.default_waits.items() if not future.done()]
        # Where a wait says what for, tasks without a line of the user's say no more.
        tasks = [
            f"  {describe_task(task)}" for task in asyncio.all_tasks(self._loop) if not waits or place(task.get_coro())
        ]
        return (
            f"nothing can ever happen again, at {self.time():.12g} s of virtual time:"
            " no timer is set and nothing is in flight\n"
        ) + "\n".join(
            [
                *(["waited for:", *waits] if waits else []),
                *(["the tasks wait at:", *sorted(tasks)] if tasks else []),
                "if a thread or another process is to answer, wait for it with until(predicate)",
            ]
        )
