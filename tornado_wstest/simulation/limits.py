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
        self._strikes: dict[_Strike, None] = {}
        self._add_timeout = io_loop.add_timeout
        io_loop.add_timeout = self._watch_add_timeout

    def remove(self) -> None:
        """Watch no longer."""
        vars(self.io_loop).pop("add_timeout", None)

    def set(self, seconds: float, callback: Callable[[], Any]) -> Any:
        """Call ``callback`` after so many real seconds; return a handle that can be cancelled."""
        strike = _Strike(self, callback)
        settling = Settling.existing(self._loop)
        if settling is not None and settling.clock is not None:
            strike.handle = settling.clock.call_real(seconds, strike.fall)
        else:
            strike.handle = self._loop.call_later(seconds, strike.fall)
        self._strikes[strike] = None
        return strike

    def strike(self, error: BaseException) -> None:
        """End the test now, because of ``error``."""
        self.error = error
        for strike in list(self._strikes):
            strike.handle.cancel()
            self._loop.call_soon(strike.fall)

    def forget(self, strike: "_Strike") -> bool:
        """The limit has come, or was taken back; return whether it was still to come."""
        return self._strikes.pop(strike, strike) is None

    def note(self) -> None:
        """The limit has come: note where the test waits."""
        self.report = self._describe()

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


class _Strike:
    """What happens when a limit comes, and what `IOLoop.remove_timeout` cancels."""

    def __init__(self, limit: TestLimit, callback: Callable[[], Any]) -> None:
        self.handle: Any = None
        self._limit = limit
        self._callback = callback

    def fall(self) -> None:
        """The limit has come."""
        if self._limit.forget(self):  # else it was taken back after a clock had turned it into a real one
            self._limit.note()
            self._callback()

    def cancel(self) -> None:
        """Take it back."""
        self._limit.forget(self)
        self.handle.cancel()
