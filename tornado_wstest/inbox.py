"""The messages of one client that nobody has taken yet, and those who wait for one.

Tornado's own ``read_queue`` holds one message and stands still until it is read: meanwhile close frames are
not seen and pings are not answered. Here messages wait without limit, in order; a wait that ends without a
match takes nothing, and a cancelled one loses nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .codec import UNDECODABLE, Codec, Message
from .matching import Expected, matches
from .simulation.settle import Settling
from .transcript import Event

__all__ = ["NOT_YET", "Inbox", "NotYet", "Received", "assign", "fitting"]

T = TypeVar("T")


class Received:
    """A message, with its value and its place in the transcript."""

    __slots__ = ("_codec", "_value", "event", "message")

    def __init__(self, message: Message, event: Event, codec: Codec) -> None:
        self.message: Message = message
        self.event: Event = event
        self._codec: Codec | None = codec
        self._value: Any = None

    @property
    def value(self) -> Any:
        """What the codec makes of the message. Decoded when first asked for."""
        if self._codec is not None:
            self._value = self._codec.to_value(self.message)
            self._codec = None
        return self._value

    @property
    def value_or_message(self) -> Any:
        """The value; the message itself if the codec cannot decode it."""
        return self.message if self.value is UNDECODABLE else self.value

    def is_as(self, expected: Expected) -> bool:
        """Is it as expected?"""
        return matches(expected, self.message, self.value)


_RESOLUTION = 1e-6
"""Seconds within which two times are the same: a time that is a sum of steps is no exact one."""


class NotYet:
    """What an attempt returns that must be made again when something has happened."""


NOT_YET = NotYet()


class Inbox:
    """Messages in order, and a way to wait for more."""

    def __init__(self, settling: Settling) -> None:
        self.waiting: deque[Received] = deque()
        self._settling = settling
        self._watchers: list[asyncio.Future[None]] = []
        self._deadlines: list[float] = []
        self._alarm: asyncio.TimerHandle | None = None
        """Rings at the first deadline, or sooner: a wait more often ends than it is late."""

    def __len__(self) -> int:
        return len(self.waiting)

    def __iter__(self) -> Iterator[Received]:
        return iter(self.waiting)

    def add(self, received: Received) -> None:
        """A message has come."""
        self.waiting.append(received)
        self.wake()

    def wake(self) -> None:
        """Something has happened: let those who wait look again."""
        if self._watchers:
            watchers, self._watchers = self._watchers, []
            for watcher in watchers:
                if not watcher.done():
                    watcher.set_result(None)

    def abandon(self) -> None:
        """Cancel those who wait: the test is over, and nobody will hear what they have to say."""
        for watcher in self._watchers:
            watcher.cancel()
        self._watchers.clear()
        self._set_alarm(None)

    async def wait_for(
        self,
        attempt: Callable[[], T | NotYet],
        timeout: float | None,
        wanted: Callable[[], str],
        late: Callable[[], Exception],
        *,
        is_usual: bool = False,
    ) -> T:
        """Make ``attempt`` each time something has happened, until it returns something.

        None as ``timeout`` is for virtual time: no time-out, but `NothingCanHappen` as soon as that is so.

        :arg wanted: returns what is waited for, in words
        :arg late: returns what to raise after ``timeout`` seconds
        :arg is_usual: do most waits have this time-out? Then the timer is left to the next one
        """
        __tracebackhide__ = True
        result = attempt()
        if result is not NOT_YET:
            return result  # type: ignore[return-value]
        settling = self._settling
        deadline = None if timeout is None else settling.loop.time() + timeout
        if deadline is not None:
            self._deadlines.append(deadline)
        try:
            while True:
                if deadline is not None and (self._alarm is None or self._alarm.when() > deadline):
                    self._set_alarm(deadline)
                watcher: asyncio.Future[None] = settling.loop.create_future()
                self._watchers.append(watcher)
                settling.default_waits[watcher] = wanted
                try:
                    await watcher
                finally:
                    del settling.default_waits[watcher]
                result = attempt()
                if result is not NOT_YET:
                    return result  # type: ignore[return-value]
                if deadline is not None and settling.loop.time() >= deadline - _RESOLUTION:
                    raise late()
        finally:
            if deadline is not None:
                self._deadlines.remove(deadline)
                if not is_usual:
                    self._set_alarm(min(self._deadlines, default=None))

    def _set_alarm(self, deadline: float | None) -> None:
        if self._alarm is not None:
            self._settling.cancel(self._alarm)
            self._alarm = None
        if deadline is not None:
            self._alarm = self._settling.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._set_alarm(None)
        self.wake()


def assign(candidates: Sequence[Received], expected: Sequence[Expected]) -> list[int] | None:
    """Find for each candidate an expectation of its own; return the candidate of each, or None.

    Where there are fewer candidates than expectations, the others have -1. (Augmenting paths: a message
    that fits two expectations gives way to one that fits only the first.)
    """
    owner = [-1] * len(expected)
    fits = [[j for j, one in enumerate(expected) if candidate.is_as(one)] for candidate in candidates]

    def place_candidate(index: int, tried: set[int]) -> bool:
        for j in fits[index]:
            if j not in tried:
                tried.add(j)
                if owner[j] < 0 or place_candidate(owner[j], tried):
                    owner[j] = index
                    return True
        return False

    for index in range(len(candidates)):
        if not place_candidate(index, set()):
            return None
    return owner


def fitting(candidates: Sequence[Received], expected: Sequence[Expected]) -> list[Received]:
    """Leave out the candidates that find no expectation of their own, those that came first going first."""
    found: list[Received] = []
    for candidate in candidates:
        if assign([*found, candidate], expected) is not None:
            found.append(candidate)
    return found
