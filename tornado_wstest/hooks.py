"""What is hung into a loop and into Tornado's loggers, to see what a handler's callbacks have started.

- tasks are seen by a task factory; one whose exception nobody took is an error of the server
- callbacks and timers of asyncio are seen by the loop's exception handler
- callbacks of Tornado's `IOLoop` and `PeriodicCallback` are caught by Tornado itself, which calls ``error``
  of its logger ``tornado.application``: that method is replaced on the logger, so that it is seen with
  logging disabled as well

Logs are consulted for one thing only: an error whose log record was dropped by a filter of the logger (an
`tornado.testing.ExpectLog`) was expected by the test in Tornado's own way. For that, ``filter`` of four
loggers is replaced; it also keeps out of the log what the test expects.

Private parts, Tornado 6.3 to 6.6 and CPython 3.11 to 3.13: ``asyncio.Handle._context`` tells which connection
a callback belongs to (where it is missing, none); ``asyncio.Task._log_traceback`` as in
`tornado_wstest.watch`; ``RequestHandler._execute`` is the task that runs a handler, and the ``wrapper`` in
``WebSocketProtocol13.write_message`` one whose failure only says that the client has gone (where they have
other names, `on_close` is waited for in vain after a crash on old versions, and asyncio logs such a failure).
"""

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError

from .watch import Served, current, open_watches

__all__ = ["LoopHooks", "owner_of"]

_LOGGERS = tuple(map(logging.getLogger, ("tornado.application", "asyncio", "tornado.access", "tornado.general")))
_WRITE_WRAPPER = "WebSocketProtocol13.write_message.<locals>.wrapper"


class LoopHooks:
    """What is hung into one loop and the loggers while at least one app in it is watched."""

    _installed: dict[asyncio.AbstractEventLoop, "LoopHooks"] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._users = 0
        self._task_factory: Any = loop.get_task_factory()
        self._exception_handler: Any = loop.get_exception_handler()
        # Kept, because each access to a bound method makes a new one.
        self._our_task_factory: Any = self._make_task
        self._our_exception_handler: Any = self._on_exception
        loop.set_task_factory(self._our_task_factory)
        loop.set_exception_handler(self._our_exception_handler)

    @classmethod
    def acquire(cls, loop: asyncio.AbstractEventLoop) -> None:
        """See what happens in ``loop``, from now on. Undone by `release`."""
        if not cls._installed:
            _hook_loggers()
        hooks = cls._installed.get(loop)
        if hooks is None:
            hooks = cls._installed[loop] = cls(loop)
        hooks._users += 1

    @classmethod
    def release(cls, loop: asyncio.AbstractEventLoop) -> None:
        """Undo one `acquire`; the last one leaves loop and loggers as they were."""
        hooks = cls._installed[loop]
        hooks._users -= 1
        if not hooks._users:
            del cls._installed[loop]
            if loop.get_task_factory() is hooks._our_task_factory:
                loop.set_task_factory(hooks._task_factory)
            if loop.get_exception_handler() is hooks._our_exception_handler:
                loop.set_exception_handler(hooks._exception_handler)
        if not cls._installed:
            _unhook_loggers()

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> Any:
        if self._task_factory is None:
            task = asyncio.Task(coro, loop=loop, **kwargs)
        else:
            task = self._task_factory(loop, coro, **kwargs)
        context = kwargs.get("context") if kwargs else None
        served = current.get() if context is None else context.get(current)
        if served is not None and getattr(coro, "__qualname__", "") != _WRITE_WRAPPER:
            served.tasks.add(task)
            is_main = getattr(coro, "cr_code", None) is RequestHandler._execute.__code__
            task.add_done_callback(functools.partial(_main_task_done if is_main else _task_done, served))
        return task

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        served = _served_of(context)
        if error is not None and served is not None:
            served.judge(error)
            if served.is_harmless(error) or served.being_cancelled:
                return
        elif isinstance(error, WebSocketClosedError) and _is_write_wrapper(context.get("future")):
            return
        if self._exception_handler is not None:
            self._exception_handler(loop, context)
        else:
            loop.default_exception_handler(context)


def owner_of(handle: asyncio.Handle) -> Served | None:
    """Return the connection to which a callback or a timer belongs, or None."""
    context = getattr(handle, "_context", None)
    return None if context is None else context.get(current)


def _main_task_done(served: Served, task: "asyncio.Task[Any]") -> None:
    """The task that runs a handler from `prepare` to `on_close` is over: no `on_close` will come any more.

    Up to Tornado 6.5.2 it never runs after an exception in an async `on_message`.
    """
    served.tasks.discard(task)
    served.finish()


def _task_done(served: Served, task: "asyncio.Task[Any]") -> None:
    served.tasks.discard(task)
    served.forget_if_over()
    if not task.cancelled() and getattr(task, "_log_traceback", True):
        served.watch.suspect(served, task)


def _served_of(context: dict[str, Any]) -> Served | None:
    handle = context.get("handle")
    if handle is not None:
        return owner_of(handle)
    # A future that nobody looks at any more dies where its last user ends; a task may die anywhere.
    return None if isinstance(context.get("future"), asyncio.Task) else current.get()


def _is_write_wrapper(future: Any) -> bool:
    coro = future.get_coro() if isinstance(future, asyncio.Task) else None
    return getattr(coro, "__qualname__", "") == _WRITE_WRAPPER


def _hook_loggers() -> None:
    for logger in _LOGGERS:
        logger.filter = functools.partial(_filter, logger.filter)  # type: ignore[method-assign]
    application = _LOGGERS[0]
    application.error = functools.partial(_error, application.error)  # type: ignore[method-assign]


def _unhook_loggers() -> None:
    for logger in _LOGGERS:
        for method in ("filter", "error"):
            vars(logger).pop(method, None)


def _filter(original: Callable[[logging.LogRecord], Any], record: logging.LogRecord) -> Any:
    """Ask the logger's filters; see which error they drop, and drop what the test expects."""
    verdict = original(record)
    error = record.exc_info[1] if record.exc_info else None
    served = current.get()
    if served is not None and (served.being_cancelled or (error is not None and served.is_harmless(error))):
        return False
    if error is None:
        if served is None or record.name != "tornado.access" or not isinstance(record.args, tuple):
            return verdict
        return False if served.is_raw or record.args[0] in served.watch.expected_statuses else verdict
    for watch in list(open_watches):
        if (caught := watch.of_exception(error)) is not None:
            caught.was_excused = caught.was_excused or not verdict
            return False if caught.was_excused else verdict
    return verdict


def _error(original: Callable[..., None], message: object, *args: Any, **kwargs: Any) -> None:
    """See what the IOLoop caught from a callback that a handler started, then log it as ever."""
    served = current.get()
    error = sys.exc_info()[1]
    if served is not None and error is not None and kwargs.get("exc_info"):
        caller = sys._getframe(1).f_globals.get("__name__")
        if caller == "tornado.ioloop":
            served.judge(error)
    kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
    original(message, *args, **kwargs)
