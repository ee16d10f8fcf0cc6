"""The selector that stands in front of a loop's own, and sees when the loop would sleep.

asyncio calls ``select`` once a turn: with a timeout of zero while callbacks are ready, and else with the
time until the next timer. So this one place knows when an app is at rest, and it decides what happens
then, in this order:

1. bytes in the memory streams, and whatever the real selector has, are delivered; those who listen to a memory stream
   are called at once, so that what they start runs in this turn
2. while a job runs in an executor, nothing happens but its end
3. under an order of delivery (`tornado_wstest.simulation.orders`), what it has held back is delivered, one by one
4. descriptors that lead elsewhere get their grace, in real seconds
5. those who wait for the app to settle go on
6. under virtual time the clock jumps to the next timer, or to what an ``advance`` asks for
7. if nothing at all is left, nothing can ever happen again, and those who wait are told

While a loop has sockets only and nobody waits, there is nothing to decide, and asyncio is given the real selector's own
methods. While memory streams are busy, the real one is asked in one turn of some only.

asyncio keeps its selector in ``loop._selector``, and what is ready in ``loop._ready`` and
``loop._scheduled``; all three are private, and touched in this package only here and in
`tornado_wstest.simulation.settle` (CPython 3.11 to 3.13).
"""

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..errors import NotSettled
from .descriptors import ForeignDescriptors
from .jobs import Jobs
from .tasks import describe_callback

__all__ = ["AtRest", "Deliveries", "Events", "Servable", "Waiter", "WatchingSelector"]

Events = list[tuple[selectors.SelectorKey, int]]

_LATE = 0.25
"""Real seconds that a bare thread gets to show itself before nothing can happen."""
_LAST_CHANCE = 0.1
"""Real seconds that an app gets when its time is over: the machine may have stood still, and not the app."""

_SELDOM = 16
"""In one of so many turns the system's descriptors are looked at while memory streams are busy."""

_JOBS_PATIENCE = 0.1
"""Real seconds that a job in an executor holds back what is held: it may be what the job waits for."""


class Servable(Protocol):
    """What a memory stream shows of itself."""

    fd: int

    def serve(self) -> bool:
        """Call who listens, if the stream is ready for what they listen to; return whether it was."""
        ...


class AtRest(Protocol):
    """What decides what happens when the app is at rest: the clock."""

    def rest(self, until_next_timer: float | None) -> bool:
        """The app is at rest; return whether something will happen now."""
        ...

    def nothing_can_happen(self) -> None:
        """Nothing is left that could end any wait: tell those who wait."""
        ...


class Deliveries(Protocol):
    """What is still to arrive on memory streams, in an order of delivery."""

    def pass_turn(self) -> bool:
        """Deliver what is due in this turn of the loop; return whether more is due in one of the next."""
        ...

    def is_holding(self) -> bool:
        """Is there anything that waits until everything else has settled?"""
        ...

    def release(self) -> None:
        """Everything else has settled: deliver one thing that waits for it."""
        ...

    def sort(self, endpoints: Sequence[Servable]) -> Sequence[Servable]:
        """Return what may be ready in the order in which it is served."""
        ...


class Waiter:
    """Someone who waits for the app to come to rest. Times are real seconds."""

    __slots__ = ("deadline", "future", "grace", "is_late", "started", "timeout")

    def __init__(self, future: "asyncio.Future[None]", timeout: float, grace: float) -> None:
        self.future: asyncio.Future[None] = future
        self.timeout: float = timeout
        self.grace: float = grace
        self.started: float = time.monotonic()
        self.deadline: float = self.started + timeout
        self.is_late: bool = False

    def stop(self, _: object = None) -> None:
        """Wait no longer."""
        if not self.future.done():
            self.future.set_result(None)


class WatchingSelector:
    """Stands in ``loop._selector`` before the real one."""

    def __init__(self, loop: Any, jobs: Jobs, ports: set[int]) -> None:
        self.grace: float = 0.0
        """Real seconds of grace before the clock moves."""
        self.select: Callable[[float | None], Events]
        """What asyncio calls once a turn; a timeout of zero means that callbacks or timers are ready."""
        self._around_select: Callable[..., Events] | None = None
        self._clock: AtRest | None = None
        self._deliveries: Deliveries | None = None
        self._loop = loop
        self._jobs = jobs
        self._real: selectors.BaseSelector = loop._selector
        self._waiters: list[Waiter] = []
        self._foreign = ForeignDescriptors(loop, self._real, ports)
        self._foreign_seen = 0.0
        self._quiet_since: float | None = None
        self._turn = 0
        self._streams: set[Servable] = set()
        self._awake: dict[Servable, None] = {}
        """The memory streams that may be ready, in the order in which something happened to them."""
        self._limits: list[_RealTimer] = []
        self.get_map: Callable[[], Mapping[Any, selectors.SelectorKey] | None] = self._real.get_map
        self.get_key: Callable[[Any], selectors.SelectorKey] = self._real.get_key
        self.modify: Callable[..., selectors.SelectorKey] = self._real.modify
        self.unregister: Callable[[Any], selectors.SelectorKey] = self._real.unregister
        self.close: Callable[[], None] = self._real.close
        self._look_where_needed()
        loop._selector = self

    def _look_where_needed(self) -> None:
        """Stand aside while there is nothing to see: a loop that only has sockets is as fast as it always is."""
        is_waiting = bool(self._waiters or self._limits)
        is_watching = is_waiting or bool(self._streams) or self._clock is not None or self._deliveries is not None
        select = self._select if is_watching else self._real.select
        self.select = select if self._around_select is None else functools.partial(self._around_select, select)

    @property
    def clock(self) -> AtRest | None:
        """What decides what happens when the app is at rest, under virtual time."""
        return self._clock

    @clock.setter
    def clock(self, clock: AtRest | None) -> None:
        self._clock = clock
        self._look_where_needed()

    @property
    def deliveries(self) -> Deliveries | None:
        """What is still to arrive, under an order of delivery."""
        return self._deliveries

    @deliveries.setter
    def deliveries(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._look_where_needed()

    def uninstall(self) -> None:
        """Put the real selector back."""
        if self._loop._selector is self:
            self._loop._selector = self._real
        # Limits that are still to come go on as timers of the loop, whose time is real again.
        now = time.monotonic()
        for timer in self._limits:
            timer.hand_over(self._loop, now)
        self._limits.clear()

    # What is watched

    def attach(self, endpoint: Servable) -> None:
        """Look after a memory stream, of which the system knows nothing."""
        self._streams.add(endpoint)
        self._look_where_needed()

    def detach(self, endpoint: Servable) -> None:
        """The memory stream is closed."""
        self._streams.discard(endpoint)
        self._awake.pop(endpoint, None)
        self._look_where_needed()

    def wake(self, endpoint: Servable) -> None:
        """Something about a memory stream has changed: look at it."""
        self._awake[endpoint] = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As a selector does."""
        key = self._real.register(fileobj, events, data)
        self._foreign.add(key.fd)
        return key

    @property
    def has_foreign(self) -> bool:
        """Is there a descriptor that leads elsewhere?"""
        return bool(self._foreign)

    def wrap_select(self, around: Callable[..., Events] | None) -> None:
        """Have ``around(select, timeout)`` called in place of ``select(timeout)``; None for nobody."""
        self._around_select = around
        self._look_where_needed()

    # Time that stays real

    def call_real(self, seconds: float, callback: Callable[[], None]) -> "_RealTimer":
        """Call ``callback`` after so many real seconds, whatever the loop's clock says."""
        timer = _RealTimer(time.monotonic() + seconds, callback)
        self._limits.append(timer)
        self._look_where_needed()
        return timer

    # Waiting for rest

    async def wait_until_quiet(self, timeout: float, grace: float, unless: "asyncio.Future[Any] | None") -> None:
        """Return when the app is at rest, or ``unless`` is done."""
        waiter = Waiter(self._loop.create_future(), timeout, grace)
        self._waiters.append(waiter)
        self._look_where_needed()
        if unless is not None:
            unless.add_done_callback(waiter.stop)
        try:
            await waiter.future
        finally:
            self._waiters.remove(waiter)
            self._look_where_needed()
            if unless is not None:
                unless.remove_done_callback(waiter.stop)

    def _select(self, timeout: float | None = None) -> Events:
        if self._limits:
            self._call_due_limits()
        deliveries = self._deliveries
        is_due = deliveries is not None and deliveries.pass_turn()
        was_any = bool(self._awake) and self._serve_streams()
        if timeout is not None and timeout <= 0:
            self._quiet_since = None
            if self._waiters:
                self._give_up_late_waiters()
            return self._glance()
        if was_any or is_due:
            self._quiet_since = None
            if self._waiters:
                self._give_up_late_waiters()
            return self._glance() if was_any else self._real.select(0)
        if self._waiters or self._clock is not None or (deliveries is not None and deliveries.is_holding()):
            return self._select_at_rest(timeout)
        if self._limits:
            timeout = min(self._until_next_limit(), self._until_next_limit() if timeout is None else timeout)
        return self._real.select(timeout)

    def _glance(self) -> Events:
        """Between two callbacks, look at the descriptors; seldom, if what happens is in memory: a look takes longer."""
        self._turn += 1
        return [] if self._turn % _SELDOM and self._streams else self._real.select(0)

    def _serve_streams(self) -> bool:
        """Call those who listen to memory streams that are ready: what they start runs in this turn already."""
        was_any = False
        awake: Sequence[Servable] = [*self._awake]
        for endpoint in self._deliveries.sort(awake) if self._deliveries is not None and len(awake) > 1 else awake:
            if endpoint.serve():
                was_any = True
            else:
                self._awake.pop(endpoint, None)
        return was_any

    def _select_at_rest(self, timeout: float | None) -> Events:
        """The loop would sleep: is the app at rest, and what happens then?"""
        # Asked first: a job that ends between the two looks has its result in the selector by then.
        has_jobs = bool(self._jobs)
        events = self._real.select(0) or self._real.select(0)
        if events:
            self._note_foreign(events)
            self._quiet_since = None
            return events
        self._give_up_late_waiters()
        now = time.monotonic()
        if self._quiet_since is None:
            self._quiet_since = now
        held_for = self._deliver_held(now, has_jobs)
        if held_for is not None and held_for <= 0:
            self._quiet_since = None
            return []
        patience = self._let_waiters_go(now, has_jobs)
        if patience is not None and patience <= 0:
            return []
        if patience is None and self._clock is not None and not has_jobs:
            patience = self._let_time_pass(now, timeout)
            if patience <= 0:
                return []
            timeout = None  # virtual seconds are nothing to sleep for
        elif self._clock is not None:
            timeout = None
        limits = [seconds for seconds in (patience, timeout, held_for) if seconds is not None]
        if self._limits:
            limits.append(self._until_next_limit())
        events = self._real.select(max(0.0, min(limits)) if limits else None)
        self._note_foreign(events)
        return events

    def _deliver_held(self, now: float, has_jobs: bool) -> float | None:
        """At rest: deliver something that was held back for it. Return how long to sleep first, None for nothing."""
        if self._deliveries is None or not self._deliveries.is_holding():
            return None
        assert self._quiet_since is not None
        rest = self._quiet_since + _JOBS_PATIENCE - now if has_jobs else 0.0
        if rest <= 0:
            self._deliveries.release()
        return rest

    def _let_waiters_go(self, now: float, has_jobs: bool) -> float | None:
        """Let those go on for whom the app has settled; return how long to sleep for the others, None for none."""
        waiters = [waiter for waiter in self._waiters if not waiter.future.done()]
        if not waiters:
            return 0 if self._waiters else None
        patience = min(waiter.deadline for waiter in waiters) - now
        if has_jobs:
            return patience
        is_foreign = bool(self._foreign)
        for waiter in waiters:
            rest = max(waiter.started, self._foreign_seen) + waiter.grace - now if is_foreign else 0.0
            if rest <= 0:
                waiter.stop()
            patience = min(patience, rest)
        return patience

    def _let_time_pass(self, now: float, timeout: float | None) -> float:
        """Under virtual time, at rest: let the clock jump. Return how long to sleep first, in real seconds."""
        assert self._clock is not None
        assert self._quiet_since is not None
        if self._foreign:
            rest = max(self._quiet_since, self._foreign_seen) + self.grace - now
            if rest > 0:
                return rest
        if self._clock.rest(timeout):
            self._quiet_since = None
            return 0
        rest = self._quiet_since + _LATE - now
        if rest <= 0:
            self._quiet_since = None
            self._clock.nothing_can_happen()
        return rest

    def _note_foreign(self, events: Events) -> None:
        if any(key.fd in self._foreign for key, _ in events):
            self._foreign_seen = time.monotonic()

    def _give_up_late_waiters(self) -> None:
        now = time.monotonic()
        for waiter in self._waiters:
            if now < waiter.deadline or waiter.future.done():
                continue
            if waiter.is_late:
                waiter.future.set_exception(_not_settled(waiter.timeout, self.what_runs()))
            else:
                waiter.is_late = True
                waiter.deadline = now + _LAST_CHANCE

    def what_runs(self) -> list[str]:
        """Return a line for each thing that keeps the loop busy now."""
        found = self._jobs.describe()
        now = self._loop.time()
        handles = [*self._loop._ready, *(h for h in self._loop._scheduled if h.when() <= now)]
        for handle in handles:
            if not handle.cancelled() and handle._callback is not None:
                found.append(describe_callback(handle._callback, handle._args or ()))
        found.extend(self._foreign.describe())
        return found

    def _call_due_limits(self) -> None:
        now = time.monotonic()
        for timer in [timer for timer in self._limits if timer.is_over(now)]:
            self._limits.remove(timer)
            if timer.callback is not None:
                self._loop.call_soon(timer.callback)

    def _until_next_limit(self) -> float:
        return max(0.0, min(timer.when for timer in self._limits) - time.monotonic())


class _RealTimer:
    """A timer in real seconds. Cancelled like one of asyncio's."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback
        self._handle: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        self.callback = None
        if self._handle is not None:
            self._handle.cancel()

    def hand_over(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Become a timer of the loop's."""
        if self.callback is not None:
            self._handle = loop.call_later(max(0.0, self.when - now), self.callback)

    def is_over(self, now: float) -> bool:
        return self.callback is None or now >= self.when


def _not_settled(timeout: float, running: list[str]) -> NotSettled:
    unique = list(dict.fromkeys(running)) or ["(nothing that can be seen: callbacks came and went)"]
    tasks = "\n".join(f"  {line}" for line in unique[:10])
    return NotSettled(
        f"the app did not come to rest within {timeout:g} s; still running:\n{tasks}\n"
        "end what runs in circles, or wait for the app's own state with until(predicate)"
    )
