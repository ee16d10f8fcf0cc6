"""One direction of a connection over a link: what is under way, and when it arrives.

Bytes leave one after the other, as fast as the bandwidth has it, and travel for the delay. What is behind something
that is late waits for it, as TCP has it, so that one timer for the first is enough. Times are those of the link, which
stand still while it is stalled.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from .memory import END, Endpoint

__all__ = ["Lane", "Way"]

_SEGMENT = 1460
"""Bytes that leave together, where there is a bandwidth: what a packet carries over Ethernet."""

_RESOLUTION = 1e-6
"""Seconds within which two times are the same; see `tornado_wstest.simulation.clock`."""


class Way(Protocol):
    """What a lane wants to know of its link."""

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second; None for no limit."""
        ...

    @property
    def is_stalled(self) -> bool:
        """Does it stand still?"""
        ...

    def time(self) -> float:
        """Return the link's own time, in seconds. It stands still while the link is stalled."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call ``callback`` at this time of the link's, if it is not stalled until then."""
        ...

    def delay(self, direction: str) -> float:
        """Return for how many seconds the next piece travels."""
        ...

    def pass_bytes(self, data: bytes) -> tuple[bytes, bool]:
        """Return what of ``data`` arrives before a cut, and whether the cut comes then."""
        ...

    def cut_here(self) -> None:
        """So many bytes have arrived: cut."""
        ...


class Lane:
    """One direction of a connection over a link: a `Carrier`."""

    def __init__(self, link: Way, end: Endpoint, direction: str) -> None:
        self._link = link
        self._end = end
        self._direction = direction
        # Whatever carries bytes to this end already goes on with what has come over the link.
        self._next = end.carrier
        end.carrier = self
        self._queue: deque[_Segment] = deque()
        self._free_at = 0.0
        """When what was sent before has left."""
        self._timer: asyncio.TimerHandle | None = None

    # For the endpoint

    def carry(self, data: bytes | None) -> None:
        """Take what was sent."""
        is_first = not self._queue
        if data is END:
            self._put(END, 0)
        else:
            step = len(data) if self._link.bandwidth is None else _SEGMENT
            for start in range(0, len(data), step):
                piece = data[start : start + step]
                self._put(piece, len(piece))
        if is_first:
            self.move()

    def drop(self) -> None:
        """Forget what is under way."""
        self._queue.clear()
        self.rearm()
        if self._next is not None:
            self._next.drop()

    # For the link

    def pass_on(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when a packet without bytes would arrive."""
        is_first = not self._queue
        self._put(callback, 0)
        if is_first:
            self.move()

    def move(self) -> None:
        """Hand over what is due. What is behind something that is late waits for it, as TCP has it."""
        while self._queue and not self._link.is_stalled and self._queue[0].arrives <= self._link.time() + _RESOLUTION:
            self._hand_over(self._queue.popleft().item)
        self.rearm()

    def flush(self) -> None:
        """Hand over everything, due or not."""
        while self._queue:
            self._hand_over(self._queue.popleft().item)
        self._free_at = 0.0
        self.rearm()

    def reschedule(self) -> None:
        """There is a new bandwidth: what has not left yet leaves at it."""
        now = self._link.time()
        self._free_at = now
        for segment in self._queue:
            if segment.leaves > now:
                if segment.starts < now:
                    segment.left *= (segment.leaves - now) / (segment.leaves - segment.starts)
                self._schedule(segment, now)
        self.move()

    def rearm(self) -> None:
        """Set the timer for the first thing to arrive, if there is one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue and not self._link.is_stalled:
            self._timer = self._link.call_at(self._queue[0].arrives, self.move)

    # Inside

    def _put(self, item: Any, size: int) -> None:
        segment = _Segment(item, size, self._link.delay(self._direction))
        self._schedule(segment, self._link.time())
        self._queue.append(segment)

    def _schedule(self, segment: "_Segment", now: float) -> None:
        bandwidth = self._link.bandwidth
        segment.starts = max(now, self._free_at)
        segment.leaves = self._free_at = segment.starts + (segment.left / bandwidth if bandwidth else 0.0)
        segment.arrives = segment.leaves + segment.delay

    def _hand_over(self, item: Any) -> None:
        if callable(item):
            item()
            return
        is_last = False
        if item is not END:
            item, is_last = self._link.pass_bytes(item)
        if self._next is None:
            self._end.arrive(item)
        else:
            self._next.carry(item)
        if is_last:
            self._link.cut_here()


class _Segment:
    """Something that travels: bytes, the `END` of a direction, or a function that is called when it has arrived.

    Times are the link's own.
    """

    __slots__ = ("arrives", "delay", "item", "leaves", "left", "starts")

    def __init__(self, item: Any, size: int, delay: float) -> None:
        self.item = item
        self.delay = delay
        self.left: float = size
        """Bytes that have not left when it ``starts``."""
        self.starts = self.leaves = self.arrives = 0.0
