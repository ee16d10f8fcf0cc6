"""Jobs in executors: a loop that waits for one has not come to rest.

Code hands work to a thread in many ways (`asyncio.to_thread`, ``loop.run_in_executor``,
``IOLoop.run_in_executor``, ``@run_on_executor``, a pool's own ``submit``), and all of them end in
``submit`` of the pool. That is where we look: while a watch is on, ``submit`` of every loaded executor
class reports what the watched loop's thread hands in. Bare threads, and jobs that a job submits, cannot
be seen.

A job is over when its callbacks have returned: only then does the loop know of the result. The callbacks
run in ``concurrent.futures.Future._invoke_callbacks``, which is private, as is ``_condition``, its lock
(CPython 3.11 to 3.13); where they are missing, a job counts as over a moment too early.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
from collections.abc import Callable
from typing import Any

__all__ = ["Jobs"]


class Jobs:
    """The executor jobs that one loop has under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: dict[concurrent.futures.Future[Any], str] = {}
        _watch(loop, self)

    def __bool__(self) -> bool:
        return bool(self._running)

    def describe(self) -> list[str]:
        """Return a line for each job under way."""
        return [f"a job in an executor: {name}" for name in list(self._running.values())]

    def close(self) -> None:
        """Look no longer."""
        _unwatch(self._loop)

    def add(self, future: "concurrent.futures.Future[Any]", function: Callable[..., Any]) -> None:
        """Count ``future`` until its callbacks have run."""
        while isinstance(function, functools.partial):
            function = function.func
        name = getattr(function, "__qualname__", repr(function))
        try:
            with future._condition:
                if future.done() or future in self._running:
                    return
                self._running[future] = name
                invoke = future._invoke_callbacks  # type: ignore[attr-defined]
                future._invoke_callbacks = functools.partial(self._finish, future, invoke)  # type: ignore[attr-defined]
        except AttributeError:
            self._running[future] = name
            future.add_done_callback(lambda future: self._finish(future, lambda: None))

    def _finish(self, future: "concurrent.futures.Future[Any]", run_callbacks: Callable[[], None]) -> None:
        """Run in the job's thread."""
        try:
            run_callbacks()
        finally:
            self._running.pop(future, None)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_nothing)  # it may sleep in its selector: wake it to look again


_watched: dict[asyncio.AbstractEventLoop, Jobs] = {}
_originals: dict[type, Any] = {}
_hooked: list[type] = []


def _watch(loop: asyncio.AbstractEventLoop, jobs: Jobs) -> None:
    _watched[loop] = jobs
    for cls in _executor_classes():
        _watch_class(cls)
    if concurrent.futures.Executor not in _hooked:
        # Classes that are made from now on: concurrent.futures loads its pool of processes when it is asked for.
        _hooked.append(concurrent.futures.Executor)
        concurrent.futures.Executor.__init_subclass__ = classmethod(_watch_new)  # type: ignore[assignment]


def _watch_new(cls: Any, /, **kwargs: Any) -> None:
    super(concurrent.futures.Executor, cls).__init_subclass__(**kwargs)
    if "submit" in cls.__dict__:
        _watch_class(cls)


def _watch_class(cls: type) -> None:
    if cls not in _originals:
        _originals[cls] = cls.__dict__["submit"]
        cls.submit = _reporting(cls.__dict__["submit"])  # type: ignore[attr-defined]


def _unwatch(loop: asyncio.AbstractEventLoop) -> None:
    _watched.pop(loop, None)
    if not _watched:
        for cls, original in _originals.items():
            cls.submit = original  # type: ignore[attr-defined]
        _originals.clear()
        if _hooked:
            _hooked.clear()
            del concurrent.futures.Executor.__init_subclass__


def _executor_classes() -> list[type]:
    """Every loaded executor class that has a ``submit`` of its own."""
    concurrent.futures.ThreadPoolExecutor  # noqa: B018  loaded when first asked for: threads need no import
    found, todo = [], concurrent.futures.Executor.__subclasses__()
    while todo:
        cls = todo.pop()
        todo.extend(cls.__subclasses__())
        if "submit" in cls.__dict__:
            found.append(cls)
    return found


def _reporting(submit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(submit)
    def reporting_submit(self: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = submit(self, function, *args, **kwargs)
        loop = asyncio._get_running_loop()
        jobs = _watched.get(loop) if loop is not None else None
        if jobs is not None and isinstance(future, concurrent.futures.Future):
            jobs.add(future, function)
        return future

    return reporting_submit


def _nothing() -> None:
    pass
