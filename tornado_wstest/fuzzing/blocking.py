"""For how long a loop stands still, and where: in real seconds, also while time is virtual.

A loop that is blocked cannot tell by itself. So the time between two calls of its selector is measured; and while
the loop is in the main thread of a system that has interval timers (Linux, macOS), a signal looks at the line which
blocks it, and ends it when it lasts too long. A pause in which the signal never met the app's own code is not the
app's doing: another process had the machine. Elsewhere only the length of the pause is known, when it is over.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ..text import is_library

__all__ = ["ALMOST", "BlockWatch", "StillBlocked"]

ALMOST = 0.8
"""The share of a time for which a loop must stand still to be blocked once more: machines are noisy."""

_LOOKS = 10
"""How many times the signal looks while the limit passes: at least once between its `ALMOST` and its end."""
_TICK_LEAST, _TICK_MOST = 0.001, 0.05  # real seconds between two looks
_FORCE = 0.5
_ASYNCIO = os.path.dirname(asyncio.__file__) + os.sep


class StillBlocked(BaseException):
    """Raised in the code that blocks the loop and would not end. No `Exception`, so that a handler lets it pass."""


class BlockWatch:
    """Measures how long a loop stands still while it plays.

    :arg selector: the selector that the loop calls once a turn
    :arg limit: real seconds for which it may. The place is looked for from `ALMOST` of it on; half a second after it
        the loop is freed by force
    """

    def __init__(self, selector: Any, *, limit: float) -> None:
        self.longest: float = 0.0
        """Seconds of the longest pause since `reset`."""
        self.place: tuple[str, ...] = ()
        """Lines of the app's own that the loop stood in then, innermost last."""
        self._selector = selector
        self._limit = limit
        self._most = limit + _FORCE
        self._tick = min(max(limit / _LOOKS, _TICK_LEAST), _TICK_MOST)
        self._busy_since: float | None = None
        self._sees_places = False

    def reset(self) -> None:
        """Forget what was measured until now."""
        self.longest = 0.0
        self.place = ()

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """In this block the selector and the signal are watched."""
        has_signal = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        # Somebody else's alarm is not ours to take.
        has_signal = has_signal and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN, None)
        self._sees_places = has_signal
        self._selector.wrap_select(self._timed_select)
        if has_signal:
            before = signal.signal(signal.SIGALRM, self._on_alarm)
            signal.setitimer(signal.ITIMER_REAL, self._tick, self._tick)
        try:
            yield
        finally:
            if has_signal:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            self._selector.wrap_select(None)

    def pause(self) -> None:
        """The loop stops running for a while: that is no standing still."""
        self._note_turn()
        self._busy_since = None

    def _timed_select(self, select: Callable[[float | None], Any], timeout: float | None = None) -> Any:
        self._note_turn()
        self._busy_since = None
        events = select(timeout)
        self._busy_since = time.monotonic()
        return events

    def _note_turn(self) -> None:
        if self._busy_since is not None and not self._sees_places:
            self.longest = max(self.longest, time.monotonic() - self._busy_since)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if self._busy_since is None:
            return
        seconds = time.monotonic() - self._busy_since
        if seconds <= ALMOST * self._limit or not (place := _place(frame)):
            return
        if seconds > self.longest:
            self.longest, self.place = seconds, place
        if seconds > self._most:
            raise StillBlocked(f"the loop was blocked for {seconds:.1f} s")


def _place(frame: FrameType | None) -> tuple[str, ...]:
    """Return the lines of the app's own on the stack, below the last frame of asyncio's."""
    stack = traceback.extract_stack(frame)
    first = max((index for index, entry in enumerate(stack) if entry.filename.startswith(_ASYNCIO)), default=-1)
    own = [entry for entry in stack[first + 1 :] if not is_library(entry.filename)]
    return tuple(f"{entry.filename.rpartition('/')[2]}:{entry.lineno} in {entry.name}" for entry in own)
