"""The limit of a test, in real seconds: where it waited when the limit came.

``gen_test(timeout=)`` ends a test with the loop's internals in the traceback. Tornado sets that limit with
`IOLoop.add_timeout` (in ``IOLoop.run_sync`` and ``AsyncTestCase.wait``), where it is recognised by its
callback's name (Tornado 6.3 to 6.6); just before it strikes, the lines at which the test and its tasks wait
are noted. Under virtual time the limit is taken out of the loop's timers, and stays in real seconds.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from .settle import Settling, is_test_limit
from .tasks import describe_task, place

__all__ = ["TestLimit"]


class TestLimit:
    """Watches for the limit of a test on one `IOLoop`."""

    __test__ = False

    def __init__(self, io_loop: Any, test: Callable[[], Any]) -> None:
        self.report: str | None = None
        """Where the test waited when its limit came."""
        self.error: BaseException | None = None
        """What to raise in its place: nothing can happen any more."""
        self.io_loop = io_loop
        self._loop: asyncio.AbstractEventLoop = io_loop.asyncio_loop
        self._test = test
        self._strikes: dict[Callable[[], None], Any] = {}
        self._add_timeout = io_loop.add_timeout
        io_loop.add_timeout = self._watch_add_timeout

    def remove(self) -> None:
        """Watch no longer."""
        vars(self.io_loop).pop("add_timeout", None)

    def set(self, seconds: float, callback: Callable[[], Any]) -> Any:
        """Call ``callback`` after so many real seconds; return a handle that can be cancelled."""

        def test_limit() -> None:
            if self._strikes.pop(test_limit, None) is None:
                return  # it was taken back after a clock had turned it into a real one
            self.report = self._describe()
            callback()

        settling = Settling.existing(self._loop)
        if settling is not None and settling.clock is not None:
            handle: Any = settling.clock.call_real(seconds, test_limit)
        else:
            handle = self._loop.call_later(seconds, test_limit)
        self._strikes[test_limit] = handle
        return _Handle(self, test_limit, handle)

    def strike(self, error: BaseException) -> None:
        """End the test now, because of ``error``."""
        self.error = error
        for strike, handle in list(self._strikes.items()):
            handle.cancel()
            self._loop.call_soon(strike)

    def forget(self, strike: Callable[[], None]) -> None:
        """The limit was taken back."""
        self._strikes.pop(strike, None)

    def _watch_add_timeout(self, deadline: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
        """Stands for `IOLoop.add_timeout`."""
        if isinstance(deadline, (int, float)) and is_test_limit(callback):
            return self.set(deadline - self.io_loop.time(), callback)
        return self._add_timeout(deadline, callback, *args, **kwargs)

    def _describe(self) -> str:
        test = self._test()
        where = place(test, with_source=True) if test is not None else ""
        lines = [f"the test waited at {where}"] if where else []
        tasks = [
            task for task in asyncio.all_tasks(self._loop) if task.get_coro() is not test and place(task.get_coro())
        ]
        if tasks:
            lines.append("these tasks waited as well:")
            lines.extend(sorted(f"  {describe_task(task)}" for task in tasks))
        settling = Settling.existing(self._loop)
        if settling is not None and settling.clock is not None:
            lines.append(settling.clock.describe_limit())
        return "\n".join(lines)


class _Handle:
    """What `IOLoop.remove_timeout` cancels."""

    def __init__(self, limit: TestLimit, strike: Callable[[], None], handle: Any) -> None:
        self._limit = limit
        self._strike = strike
        self._handle = handle

    def cancel(self) -> None:
        self._limit.forget(self._strike)
        self._handle.cancel()
