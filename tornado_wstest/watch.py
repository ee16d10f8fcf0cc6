"""What leaves the callbacks of the app's handlers: the errors that Tornado only logs, or does not even log.

An exception in a websocket handler closes the connection and becomes a log line; the test that caused it
passes. So every callback of a handler is watched where it is called, on the handler's instance: `open`,
`on_message`, `on_ping`, `on_pong`, `on_close`, `select_subprotocol`, `on_finish`, `log_exception`. What the
callbacks start (tasks, callbacks, timers) is recognised by a context variable that lives in the context of
the connection and that asyncio hands on by itself; see `tornado_wstest.hooks` for where they are seen.

Private parts (CPython 3.11 to 3.13): ``asyncio.Task._log_traceback`` tells whether anybody took a task's
exception; where it is missing, a task's exception always counts.
"""

import asyncio
import contextvars
import functools
import inspect
import traceback
import types
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from .text import is_own, show, show_error
from .transcript import Event, Transcript

__all__ = ["Caught", "Expectation", "ServerWatch", "Served", "current", "open_watches", "run_as"]

current: contextvars.ContextVar["Served | None"] = contextvars.ContextVar("tornado_wstest.served", default=None)
"""The connection to which the code that runs belongs."""

_CALLBACKS = (
    "open",
    "on_message",
    "on_ping",
    "on_pong",
    "on_close",
    "on_connection_close",
    "on_ws_connection_close",
    "select_subprotocol",
    "on_finish",
)


_TOLD = ("open", "on_message", "on_close")
"""Callbacks whose calls show in which order the server got what was sent."""


class Served:
    """One connection as the server sees it, from the request to the end of `on_close`."""

    def __init__(self, watch: "ServerWatch", stream: IOStream, on_finish: Callable[["Served"], None]) -> None:
        self.watch = watch
        self.stream = stream
        self._on_finish = on_finish
        self.handler: RequestHandler | None = None
        self.key: str = ""
        self.client = ""
        """The name of the client at the other end, once it is known."""
        self.is_open: bool = False
        self.open_finished: bool = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when `on_close` has run, or will never run because `open` raised."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.is_raw = False
        """Does the test speak to it without a client? Then nobody needs to read of refusals in the access log."""
        self.closed_itself = False
        self.busy = 0
        """How many callbacks are awaiting something."""
        self.on_close_ran = False
        self.being_cancelled: bool = False
        self._harmless: BaseException | None = None

    def attach(self, handler: RequestHandler) -> None:
        """Watch the callbacks of ``handler``, which has just been made and has run nothing yet."""
        self.handler = handler
        self.key = handler.request.headers.get("Sec-WebSocket-Key", "")
        self._wrap("log_exception", self._watch_log_exception)
        if isinstance(handler, WebSocketHandler):
            for name in _CALLBACKS:
                if name in ("open", "on_close") or getattr(type(handler), name) is not getattr(WebSocketHandler, name):
                    self._wrap(name, functools.partial(_Callback, self, name))
            self._wrap("close", self._note_own_close)
        if self.watch.on_handler is not None:
            self.watch.on_handler(self)

    def finish(self) -> None:
        """The connection is over, as far as the app is concerned."""
        self.is_open = False
        self.open_finished = True
        if not self.closed.done():
            self.closed.set_result(None)
        self.forget_if_over()

    def forget_handler(self) -> None:
        """Let go of the handler, and of what leads to it."""
        self.handler = None
        self._harmless = None

    def forget_if_over(self) -> None:
        """Leave the server's list when the connection is over and nothing of it runs any more."""
        if self.closed.done() and not self.tasks:
            self._on_finish(self)

    def cancel(self) -> None:
        """Cancel all that the handler has under way, in silence."""
        self.being_cancelled = True
        for task in self.tasks:
            task.cancel()

    def judge(self, error: BaseException, *, closed_in_this_call: bool = False) -> None:
        """An exception has left something of this connection's: is it an error of the server?

        It is none if it only says that the client has gone: even a correct echo handler raises
        `WebSocketClosedError` when its client vanishes with messages under way. Nor is it one if Tornado itself
        could not decompress what the client sent.
        """
        if error is self._harmless:
            return
        if _is_bad_deflate(error):
            self._harmless = error
            return
        only_left = isinstance(error, (WebSocketClosedError, StreamClosedError)) and self.client_is_gone()
        if only_left and not closed_in_this_call:
            self._harmless = error
        else:
            self.watch.catch(self, error)

    def is_harmless(self, error: BaseException) -> bool:
        """Does ``error`` only say that the client has gone?"""
        return error is self._harmless

    def client_is_gone(self) -> bool:
        """Is the connection closing or closed?"""
        protocol = getattr(self.handler, "ws_connection", None)
        return protocol is None or protocol.is_closing()

    def _wrap(self, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        setattr(self.handler, name, wrapper(getattr(self.handler, name)))

    def _watch_log_exception(self, log_exception: Callable[..., Any]) -> Callable[..., Any]:
        def watched(typ: Any, value: BaseException | None, tb: Any) -> Any:
            if value is not None and not isinstance(value, (HTTPError, Finish)):
                self.judge(value)
            _leave_out_our_frames(tb)
            return log_exception(typ, value, tb)

        return watched

    def _note_own_close(self, close: Callable[..., None]) -> Callable[..., None]:
        def noted(*args: Any, **kwargs: Any) -> None:
            self.closed_itself = True
            close(*args, **kwargs)

        return noted


def _leave_out_our_frames(tb: types.TracebackType | None) -> None:
    """Have the log show the lines of Tornado and of the app: ours between them tell its reader nothing."""
    while tb is not None:
        between = tb.tb_next
        while between is not None and between.tb_next is not None and is_own(between.tb_frame.f_code.co_filename):
            between = between.tb_next
        tb.tb_next = between
        tb = between


class _Callback:
    """A callback of a handler, called in its place: sees what leaves it, and when it is over."""

    def __init__(self, served: Served, name: str, method: Callable[..., Any]) -> None:
        self._served = served
        self._name = name
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        served = self._served
        closed_before = served.closed_itself
        if self._name == "open":
            served.is_open = True
        elif self._name == "on_close":
            served.on_close_ran = True
        if served.watch.notes_calls and self._name in _TOLD:
            served.watch.note_call(served, self._name, args)
        try:
            result = self._method(*args, **kwargs)
        except SystemExit as error:
            self._failed(error, closed_before)
            raise _as_exception(error) from error
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error, closed_before)
            raise
        if result is not None and inspect.isawaitable(result):
            if self._name == "on_close":
                # Tornado does not await on_close; a coroutine in it warns by itself, a Future tells us.
                if isinstance(result, asyncio.Future):
                    result.add_done_callback(self._on_close_done)
            else:
                later: Any = self._finish_later(result, closed_before)
                # What keeps running is named by its coroutine.
                later.__qualname__ = getattr(self._method, "__qualname__", later.__qualname__)
                return later
        self._finished()
        return result

    async def _finish_later(self, result: Awaitable[Any], closed_before: bool) -> Any:
        self._served.busy += 1
        try:
            value = await result
        except SystemExit as error:
            self._failed(error, closed_before)
            raise _as_exception(error) from error
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error, closed_before)
            raise
        finally:
            self._served.busy -= 1
        self._finished()
        return value

    def _on_close_done(self, future: "asyncio.Future[Any]") -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._served.judge(error)

    def _finished(self) -> None:
        if self._name == "open":
            self._served.open_finished = True
        elif self._name == "on_close":
            self._served.finish()

    def _failed(self, error: BaseException, closed_before: bool) -> None:
        served = self._served
        served.judge(error, closed_in_this_call=served.closed_itself and not closed_before)
        if self._name in ("open", "on_close"):
            served.finish()


def _as_exception(error: SystemExit) -> Exception:
    """Return what is raised in place of a handler's ``sys.exit()``, which would end the test run and not the server."""
    return RuntimeError(f"a handler called sys.exit({error.code!r}), which ends the server for everybody")


class Caught:
    """An exception that left a callback of a handler."""

    def __init__(self, served: Served, exception: BaseException, event: Event) -> None:
        self.served = served
        self.exception = exception
        self.event = event
        self.was_told = False
        """Does a failure of the test show it already?"""
        self.was_excused = False
        """Did a filter drop its log record, as `ExpectLog` does?"""

    def with_client(self) -> str:
        """Return it as text, with the client on whose connection it was."""
        return f"{self} on the connection of {self.served.client}" if self.served.client else str(self)

    def __str__(self) -> str:
        handler = type(self.served.handler).__name__ if self.served.handler is not None else "the app"
        return f"{handler} raised {show_error(self.exception)}"


class Expectation:
    """What `expect_server_error` waits for, and what it got."""

    def __init__(self, watch: "ServerWatch", wanted: Callable[[BaseException], bool]) -> None:
        self._watch = watch
        self.wants = wanted
        self.exception: Any = None

    def __enter__(self) -> "Expectation":
        self._watch.expectations.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._watch.judge_tasks()
        self._watch.expectations.remove(self)


class ServerWatch:
    """The errors of one app under test."""

    def __init__(self, transcript: Transcript) -> None:
        self.errors: list[Caught] = []
        self.notes_calls = False
        """Does the transcript show when callbacks of handlers are called?"""
        self._calls: list[tuple[Served, Event]] = []
        """Noted calls on connections whose clients were not known yet."""
        self.expectations: list[Expectation] = []
        self._transcript = transcript
        self.on_handler: Callable[[Served], None] | None = None
        """Called when a connection has its handler."""
        self.expected_statuses: list[int] = []
        """Refusals that a test expects now, of which nobody needs to read in the access log."""
        self._suspects: list[tuple[Served, asyncio.Task[Any], bool]] = []
        open_watches.append(self)

    def close(self) -> None:
        """Look no longer."""
        open_watches.remove(self)

    def catch(self, served: Served, error: BaseException) -> None:
        """Note that ``error`` left a callback of a handler; told again, or as a consequence, it counts once."""
        if served.being_cancelled or self._is_known(error):
            return
        caught = Caught(served, error, self._transcript.record(served.client, "error", error))
        self.errors.append(caught)
        for expectation in reversed(self.expectations):
            if expectation.wants(error):
                expectation.exception = expectation.exception or error
                caught.was_excused = True
                break

    def name(self, served: Served, client: str) -> None:
        """The client of a connection is known now: what it has raised already was on its connection."""
        served.client = client
        for caught in self.errors:
            if caught.served is served:
                caught.event = self._transcript.rename(caught.event, client)
        for event in [event for caller, event in self._calls if caller is served]:
            self._transcript.rename(event, client)
        self._calls = [(caller, event) for caller, event in self._calls if caller is not served]

    def note_call(self, served: Served, name: str, args: tuple[Any, ...]) -> None:
        """Note in the transcript that a callback of a handler is called now."""
        text = f"{type(served.handler).__name__}.{name}({', '.join(show(arg, 60) for arg in args)})"
        event = self._transcript.record(served.client, "mark", text)
        if not served.client:
            self._calls.append((served, event))

    def suspect(self, served: Served, task: "asyncio.Task[Any]") -> None:
        """Remember a task of a handler that failed; someone may still take its exception."""
        self._suspects.append((served, task, served.client_is_gone()))

    def judge_tasks(self) -> None:
        """Count the exceptions of tasks that nobody took."""
        suspects, self._suspects = self._suspects, []
        for served, task, client_was_gone in suspects:
            if not getattr(task, "_log_traceback", True):
                continue  # somebody took it
            error = task.exception()
            only_left = client_was_gone and isinstance(error, (WebSocketClosedError, StreamClosedError))
            if error is not None and not only_left:
                self.catch(served, error)

    def untold(self) -> list[Caught]:
        """Return the errors that no failure has shown and no test has expected."""
        self.judge_tasks()
        return [caught for caught in self.errors if not caught.was_told and not caught.was_excused]

    def first_of(self, served: Served | None) -> Caught | None:
        """Return the first error of one connection, or None."""
        self.judge_tasks()
        return next((caught for caught in self.errors if caught.served is served), None)

    def note_told(self, failure: BaseException) -> None:
        """Count the errors as told that ``failure`` shows as its causes."""
        shown = list(_chain(failure))
        for caught in self.errors:
            caught.was_told = caught.was_told or any(caught.exception is error for error in shown)

    def of_exception(self, error: BaseException) -> Caught | None:
        """Return what is known of ``error``, or None."""
        return next((caught for caught in self.errors if caught.exception is error), None)

    def _is_known(self, error: BaseException) -> bool:
        known = [caught.exception for caught in self.errors]
        return any(cause is exception for cause in _chain(error) for exception in known)


open_watches: list[ServerWatch] = []
"""Those that look now."""


def run_as(served: Served, function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function`` in a context of its own, in which all that is started belongs to ``served``."""

    def run() -> Any:
        current.set(served)
        return function(*args)

    return contextvars.copy_context().run(run)


def _is_bad_deflate(error: BaseException) -> bool:
    """Did Tornado fail to decompress a message, before any code of the app's saw it?"""
    if not isinstance(error, zlib.error):
        return False
    where = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return where[-1:] == ["tornado.websocket"]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield ``error`` and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
