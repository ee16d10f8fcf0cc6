"""What takes real time: other processes and threads. Virtual time would jump over the time that they need.

A database answers through a descriptor, a subprocess or a bare thread ends in a thread. While there is one of these,
something that the app waits for may still come by itself, and it is given real seconds to do so. The jobs of
executors need none: settling waits for them. What was once waited for in vain is not waited for again.
"""

import threading
import time
from collections.abc import Callable, Sequence

from ..errors import NotSettled
from ..patience import DEFAULT_GRACE
from ..simulation.clock import Clock
from ..simulation.settle import Settling

__all__ = ["Outside", "thread_name"]

_MOST = 2.0
"""Real seconds that something outside may take."""
_HOLD = 0.1
"""Real seconds without a sign from another process, after which time may jump."""
_STEP = 0.01


class Outside:
    """Waits for what is outside one loop.

    :arg settling: of the loop
    :arg patience: real seconds in which the app has to settle
    """

    def __init__(self, settling: Settling, clock: Clock | None, *, patience: float) -> None:
        self._settling = settling
        self._patience = patience
        self._before = set(threading.enumerate())
        self._in_vain: set[str] = set()
        if clock is not None:
            clock.grace = _HOLD

    def threads(self) -> list[threading.Thread]:
        """Return the threads that were started since, but for those of executors."""
        return [
            thread
            for thread in threading.enumerate()
            if thread.is_alive() and thread not in self._before and not _is_of_executor(thread)
        ]

    async def wait(self, pending: Callable[[], Sequence[str]]) -> bool:
        """Return when nothing is pending any more, nothing is outside, or it has taken too long. Has something come?

        :arg pending: returns what is waited for, in words
        """
        until = time.monotonic() + _MOST
        before = pending()
        while not self._in_vain.issuperset(waited := pending()):
            if time.monotonic() > until:
                self._in_vain.update(waited)
                break
            threads = self.threads()
            if threads:
                threads[0].join(_STEP)
            try:
                await self._settling.settle(timeout=self._patience, grace=DEFAULT_GRACE)
            except NotSettled:
                break
            # A thread that has ended a moment ago has left its result to the loop: so this is asked last.
            if not (threads or self.threads() or self._settling.has_foreign):
                break
        return bool(before) and not pending()


def thread_name(thread: threading.Thread) -> str:
    """Return a name for what a thread does; `Thread.name` has a number."""
    function = getattr(thread, "_target", None)
    return f"the thread {getattr(function, '__qualname__', type(thread).__qualname__)}"


def _is_of_executor(thread: threading.Thread) -> bool:
    return getattr(getattr(thread, "_target", None), "__module__", "") == "concurrent.futures.thread"
