"""Settling: to know that everything in flight has been processed, without a sleep.

An app whose clients live in the same process and the same loop is at rest when three things hold: no
callback is ready, no descriptor is ready to be read or written, and no executor job is running. The
place where all of that is known is the loop's selector: asyncio calls ``select`` once a turn, and with a
timeout of zero while callbacks are ready. So a selector of ours stands in front of the real one. When
someone wants to settle and the loop would sleep, it looks twice whether the real selector has anything; if
not, the app has settled. What the kernel carries over loopback arrives before ``send`` returns, as long as
TCP_NODELAY is set at both ends, which the clients and the server of this package see to.

Timers that are due later do not count. Descriptors whose other end is not in this loop (a database, a
subprocess) could become ready at any moment; they are given a grace, in real seconds, to stay quiet.

asyncio keeps its selector in ``loop._selector``, and what is ready in ``loop._ready``; both are private
and only touched here (CPython 3.11 to 3.13). A loop without a selector (uvloop, Windows' proactor) cannot
be looked into: there, settling means that nothing of ours happened for the length of the grace.
"""

import asyncio
import contextlib
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import NotSettled
from .jobs import Jobs
from .tasks import describe_callback

__all__ = ["Settling"]

_Events = list[tuple[selectors.SelectorKey, int]]


class _Waiter:
    """Someone who waits for the app to come to rest. Times are real seconds."""

    __slots__ = ("deadline", "future", "grace", "started", "timeout")

    def __init__(self, future: "asyncio.Future[None]", timeout: float, grace: float) -> None:
        self.future = future
        self.timeout = timeout
        self.grace = grace
        self.started = time.monotonic()
        self.deadline = self.started + timeout

    def stop(self, _: object = None) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Settling:
    """What is known about the rest and unrest of one loop. Shared by all testers in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ports: set[int] = set()
        """Ports on loopback whose connections have both ends in this loop."""
        self.activity = 0
        """Counts what happened on our connections; how a loop without a selector is judged."""
        self._users = 0
        self._own_timers: set[asyncio.TimerHandle] = set()
        self._jobs = Jobs(loop)
        self._selector: _WatchingSelector | None = None
        if isinstance(getattr(loop, "_selector", None), selectors.BaseSelector):
            self._selector = _WatchingSelector(loop, self._jobs, self.ports)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Settling":
        """Return the one of ``loop``, and install it there first if need be. Undone by `release`."""
        settling = _settlings.get(loop)
        if settling is None:
            settling = _settlings[loop] = cls(loop)
        settling._users += 1
        return settling

    def release(self) -> None:
        """Undo one `of`; the last one leaves the loop as it was."""
        self._users -= 1
        if self._users == 0:
            _settlings.pop(self.loop, None)
            self._jobs.close()
            if self._selector is not None:
                self._selector.uninstall()

    @property
    def is_exact(self) -> bool:
        """Can this loop be looked into?"""
        return self._selector is not None

    async def settle(self, *, timeout: float, grace: float, unless: "asyncio.Future[Any] | None" = None) -> None:
        """Return when everything in flight has been processed.

        :arg timeout: real seconds after which `NotSettled` says what keeps running
        :arg grace: real seconds for which descriptors that are not ours must stay quiet
        :arg unless: return as soon as this is done
        """
        __tracebackhide__ = True
        if unless is not None and unless.done():
            return
        if self._selector is not None:
            await self._selector.wait_until_quiet(timeout, grace, unless)
        else:
            await self._settle_blindly(timeout, grace, unless)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Set a timer of the toolkit's own, which is no sign of life of the app."""
        handle = self.loop.call_later(seconds, callback)
        self._own_timers.add(handle)
        return handle

    def cancel(self, handle: asyncio.TimerHandle) -> None:
        """Cancel a timer that `call_later` set, or forget one that has fired."""
        handle.cancel()
        self._own_timers.discard(handle)

    def next_timer(self) -> float | None:
        """Return in how many seconds the app's next timer is due; None if there is none, or none can be seen."""
        due = [
            handle.when()
            for handle in getattr(self.loop, "_scheduled", ())
            if not handle.cancelled() and handle not in self._own_timers and not _is_test_limit(handle)
        ]
        return max(0.0, min(due) - self.loop.time()) if due else None

    async def _settle_blindly(self, timeout: float, grace: float, unless: "asyncio.Future[Any] | None") -> None:
        deadline = time.monotonic() + timeout
        while unless is None or not unless.done():
            before = self.activity
            await asyncio.sleep(grace)
            if self.activity == before and not self._jobs:
                return
            if time.monotonic() > deadline:
                running = self._jobs.describe() or ["messages keep moving on the connections of this test"]
                raise _not_settled(timeout, running)


_settlings: dict[asyncio.AbstractEventLoop, Settling] = {}


class _WatchingSelector:
    """Stands in ``loop._selector`` before the real one, and sees when the loop would sleep."""

    def __init__(self, loop: Any, jobs: Jobs, ports: set[int]) -> None:
        self._loop = loop
        self._jobs = jobs
        self._real: selectors.BaseSelector = loop._selector
        self._waiters: list[_Waiter] = []
        self._foreign = _ForeignDescriptors(loop, self._real, ports)
        self._foreign_seen = 0.0
        self.modify = self._real.modify
        self.get_key = self._real.get_key
        self.get_map = self._real.get_map
        self.close = self._real.close
        loop._selector = self

    def uninstall(self) -> None:
        """Put the real selector back."""
        if self._loop._selector is self:
            self._loop._selector = self._real

    async def wait_until_quiet(self, timeout: float, grace: float, unless: "asyncio.Future[Any] | None") -> None:
        waiter = _Waiter(self._loop.create_future(), timeout, grace)
        self._waiters.append(waiter)
        if unless is not None:
            unless.add_done_callback(waiter.stop)
        try:
            await waiter.future
        finally:
            self._waiters.remove(waiter)
            if unless is not None:
                unless.remove_done_callback(waiter.stop)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._real.register(fileobj, events, data)
        self._foreign.add(key.fd)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = self._real.unregister(fileobj)
        self._foreign.discard(key.fd)
        return key

    def select(self, timeout: float | None = None) -> _Events:
        """What asyncio calls once a turn; a ``timeout`` of zero means that callbacks or timers are ready."""
        if not self._waiters:
            return self._real.select(timeout)
        if timeout is not None and timeout <= 0:
            self._give_up_late_waiters()
            return self._real.select(0)
        return self._select_for_waiters(timeout)

    def _select_for_waiters(self, timeout: float | None) -> _Events:
        """The loop would sleep: is it at rest?"""
        events = self._real.select(0) or self._real.select(0)
        if events:
            self._note_foreign(events)
            return events
        self._give_up_late_waiters()
        waiters = [waiter for waiter in self._waiters if not waiter.future.done()]
        if not waiters:
            return []
        now = time.monotonic()
        patience = min(waiter.deadline for waiter in waiters) - now
        if not self._jobs:
            quiet_since = self._foreign_seen if self._foreign else None
            for waiter in waiters:
                rest = 0.0 if quiet_since is None else max(waiter.started, quiet_since) + waiter.grace - now
                if rest <= 0:
                    waiter.stop()
                patience = min(patience, rest)
        if patience <= 0:
            return []
        events = self._real.select(patience if timeout is None else min(patience, timeout))
        self._note_foreign(events)
        return events

    def _note_foreign(self, events: _Events) -> None:
        if any(key.fd in self._foreign for key, _ in events):
            self._foreign_seen = time.monotonic()

    def _give_up_late_waiters(self) -> None:
        now = time.monotonic()
        for waiter in self._waiters:
            if now >= waiter.deadline and not waiter.future.done():
                waiter.future.set_exception(_not_settled(waiter.timeout, self._what_runs()))

    def _what_runs(self) -> list[str]:
        found = self._jobs.describe()
        now = self._loop.time()
        handles = [*self._loop._ready, *(h for h in self._loop._scheduled if h.when() <= now)]
        for handle in handles:
            if not handle.cancelled() and handle._callback is not None:
                found.append(describe_callback(handle._callback, handle._args or ()))
        found.extend(self._foreign.describe())
        return found


class _ForeignDescriptors:
    """Which of the loop's descriptors have an end that we cannot see."""

    def __init__(self, loop: Any, selector: selectors.BaseSelector, ports: set[int]) -> None:
        self._selector = selector
        self._ports = ports
        self._new: set[int] = {key.fd for key in (selector.get_map() or {}).values()}
        self._foreign: set[int] = set()
        # The loop's own pipe, on which other threads wake it.
        self._wake_up = getattr(getattr(loop, "_ssock", None), "fileno", lambda: -1)()

    def __bool__(self) -> bool:
        self._sort_new()
        return bool(self._foreign)

    def __contains__(self, fd: int) -> bool:
        self._sort_new()
        return fd in self._foreign

    def add(self, fd: int) -> None:
        self._new.add(fd)

    def discard(self, fd: int) -> None:
        self._new.discard(fd)
        self._foreign.discard(fd)

    def describe(self) -> list[str]:
        self._sort_new()
        map_ = self._selector.get_map() or {}
        return [f"a descriptor that is not ours: {map_[fd].fileobj!r}" for fd in self._foreign if fd in map_]

    def _sort_new(self) -> None:
        while self._new:
            fd = self._new.pop()
            if fd != self._wake_up and not self._is_ours(fd):
                self._foreign.add(fd)

    def _is_ours(self, fd: int) -> bool:
        """Is this a socket that listens here, or an end of a connection over one of our ports?"""
        # A socket object on a copy of the descriptor asks the kernel for its names, whoever owns it.
        with contextlib.suppress(OSError), _socket_of(fd) as sock:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return True
            names = [sock.getsockname(), sock.getpeername()]
            return any(isinstance(name, tuple) and name[1] in self._ports for name in names)
        return False


def _socket_of(fd: int) -> socket.socket:
    # On Windows a socket's number is a handle, which os.dup does not take.
    if sys.platform == "win32":
        raise OSError("cannot look into a socket here")
    copy = os.dup(fd)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)  # it is a pipe or a terminal
        raise


def _is_test_limit(handle: asyncio.TimerHandle) -> bool:
    """Is this the timer of ``gen_test(timeout=)``? It is one of the test's, not of the app's."""
    callback = (getattr(handle, "_args", None) or (None,))[0]
    function = getattr(callback, "func", callback)
    return "run_sync.<locals>.timeout_callback" in getattr(function, "__qualname__", "")


def _not_settled(timeout: float, running: list[str]) -> NotSettled:
    unique = list(dict.fromkeys(running)) or ["(nothing that can be seen: callbacks came and went)"]
    tasks = "\n".join(f"  {line}" for line in unique[:10])
    return NotSettled(
        f"the app did not come to rest within {timeout:g} s; still running:\n{tasks}\n"
        "end what runs in circles, or wait for the app's own state with until(predicate)"
    )
