"""Where tasks and callbacks are, in words: for failures that name what keeps running, or what waits."""

import asyncio
import functools
import linecache
import os
import re
import types
from typing import Any

from ..text import is_library

__all__ = ["describe_callback", "describe_handle", "describe_task", "fail_task", "main_task", "place"]

_AUTOMATIC_NAME = re.compile(r"Task-\d+|None")


def describe_task(task: "asyncio.Task[Any]") -> str:
    """Return a task's name, its coroutine and the line of the user's code that it waits at."""
    coro = task.get_coro()
    name = getattr(coro, "__qualname__", None) or type(coro).__name__
    where = place(coro, with_source=True)
    own_name = "" if _AUTOMATIC_NAME.fullmatch(task.get_name()) else f"{task.get_name()} in "
    return f"{own_name}{name}{f' at {where}' if where else ''}"


def describe_callback(callback: Any, args: tuple[Any, ...] = ()) -> str:
    """Return what a loop's handle will call: a task's next step by its task, a function by its name."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return describe_task(owner)
    # A sleep: what it wakes is what matters.
    if args and isinstance(args[0], asyncio.Future):
        for waiting, _ in getattr(args[0], "_callbacks", None) or ():
            if isinstance(getattr(waiting, "__self__", None), asyncio.Task):
                return describe_task(waiting.__self__)
    # Tornado's IOLoop wraps every callback: IOLoop._run_callback(partial(callback, ...)).
    if getattr(callback, "__name__", "") == "_run_callback" and args:
        callback = args[0]
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None) or repr(callback)
    code = getattr(callback, "__code__", None)
    return f"{name} ({_location(code.co_filename, code.co_firstlineno)})" if code else name


def describe_handle(handle: Any) -> str:
    """Return what a callback or a timer of asyncio's will call."""
    return describe_callback(getattr(handle, "_callback", None), getattr(handle, "_args", None) or ())


def main_task(loop: Any) -> "asyncio.Task[Any] | None":
    """Return the task that ``run_until_complete`` runs to its end, if there is one."""
    for task in asyncio.all_tasks(loop):
        for callback, _ in getattr(task, "_callbacks", None) or ():
            if getattr(callback, "__name__", "") == "_run_until_complete_cb":
                return task
    return None


def fail_task(task: "asyncio.Task[Any]", error: BaseException) -> None:
    """Raise ``error`` at the line at which a task waits; where that cannot be, cancel it."""
    waiter = getattr(task, "_fut_waiter", None)
    while isinstance(waiter, asyncio.Task):
        task, waiter = waiter, getattr(waiter, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Future) and not waiter.done():
        waiter.set_exception(error)
    else:
        task.cancel()


def place(coro: Any, *, with_source: bool = False) -> str:
    """Return ``file:line`` of the innermost frame of user code that a coroutine is suspended in.

    :arg with_source: and that line itself
    """
    found = ""
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
        if isinstance(frame, types.FrameType) and not is_library(frame.f_code.co_filename):
            found = _location(frame.f_code.co_filename, frame.f_lineno)
            if with_source:
                found += f": {linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()}"
        inner = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
        if isinstance(inner, asyncio.Task):
            inner = inner.get_coro()
        coro = inner
    return found


def _location(file_name: str, line: int) -> str:
    return f"{os.path.basename(file_name)}:{line}"
