"""How long one waits, and for what: the default time-outs, and the pauses between two looks."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

from tornado.testing import get_async_test_timeout

from .errors import MessageTimeout
from .simulation.clock import Clock
from .text import show

__all__ = ["AN_HOUR", "DEFAULT_GRACE", "Patience", "default_timeout"]

__unittest = True

DEFAULT_GRACE = 0.02
"""Real seconds for what settling cannot see."""

AN_HOUR = 3600.0


def default_timeout() -> float:
    """Return how long a wait lasts by default, in seconds: two fifths of ``ASYNC_TEST_TIMEOUT``."""
    return 0.4 * get_async_test_timeout()


class Patience:
    """Waits until a predicate is true.

    :arg clock: the clock, under virtual time
    :arg seconds: how long to wait, by the loop's time; None for as long as the clock moves
    :arg patience: real seconds for which the clock may stand still, where there are no ``seconds``
    """

    def __init__(self, clock: Clock | None, seconds: float | None, patience: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._deadline = None if seconds is None else self._loop.time() + seconds
        self._next_pause = 0.001
        self._last_move = time.monotonic()

    async def until(self, predicate: Callable[[], Any]) -> Any:
        """Return what ``predicate`` returned when it was true; raise `MessageTimeout` if that is never so."""
        __tracebackhide__ = True
        while True:
            was = await self._ask(predicate)
            if was and not isinstance(was, _Raised):
                return was
            if self._is_over():
                break
            await self._pause()
        lasted = (
            f"{self._seconds:g} s"
            if self._seconds is not None
            else (f"{self._patience:g} s of real time in which the clock stood still")
        )
        raise MessageTimeout(
            f"{_source_of(predicate)} was still {show(was)} after {lasted}\n"
            "raise the wait with timeout=, or look into the transcript for what the server did"
        )

    async def _ask(self, predicate: Callable[[], Any]) -> Any:
        try:
            answer = predicate()
            if inspect.isawaitable(answer):
                async with asyncio.timeout(self._seconds):
                    answer = await answer
            return answer
        except Exception as error:
            return _Raised(error)

    def _is_over(self) -> bool:
        if self._deadline is not None:
            return self._loop.time() >= self._deadline
        return time.monotonic() - self._last_move > self._patience

    async def _pause(self) -> None:
        """Pause until it may be worth looking again."""
        if self._clock is None:
            await asyncio.sleep(self._next_pause)
            self._next_pause = min(2 * self._next_pause, 0.02)
            return
        before = self._clock.time()
        await self._clock.move(self._deadline)
        if self._clock.time() != before:
            self._last_move = time.monotonic()


class _Raised:
    """What a predicate was that raised."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __repr__(self) -> str:
        return f"raising {show(self._error)}"


def _source_of(predicate: Callable[[], Any]) -> str:
    code = getattr(predicate, "__code__", None)
    name = getattr(predicate, "__name__", show(predicate))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else name
