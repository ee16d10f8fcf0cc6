"""The app in a thread of its own, for browsers and for clients that block.

A browser under Selenium, `urllib`, a program of another language: whoever blocks the test cannot share a loop with
the server. So here the server has a thread, with a loop that is its own, and the test goes on in the thread where
it is.

A handler's exception fails the block all the same, with the transcript of what each client sent and received, as
the server saw it. What cannot be seen: what another process has still to send. Wait for an effect (in the page, or
in the app through `LiveServer.call`) before the block ends.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import linecache
import os
import re
import socket
import sys
import threading
import types
import unittest
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar, overload

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.testing import get_async_test_timeout

from .errors import MessageTimeout, NotSettled, UsageError
from .expectations import ErrorTypes, ExpectedServerError
from .lifecycle import ExplainedSubTest, resolved
from .request import check_path, check_timeout
from .server import AppServer, check_app
from .shown import begin_at_the_test, begin_cause_at_the_app, show_at_the_end
from .simulation.tasks import place
from .tester import WebSocketTester
from .text import is_library, show, show_error
from .transcript import Transcript
from .visitors import Visitors

__all__ = ["LiveServer", "LiveServerTestCase"]

__unittest = True

T = TypeVar("T")


class LiveServer:
    """An app, served in a thread of its own.

    ::

        with LiveServer(make_app) as live:
            page = urllib.request.urlopen(live.url("/")).read()
            assert live.call(lambda: len(live.server.handlers)) == 0

    The block fails with `ServerError` if a handler raised.

    :arg app: an `Application`, or a function, sync or async, that returns the app; it is called in the server's loop
    :arg port: where to listen on 127.0.0.1; 0 for an unused port
    :arg timeout: seconds that the start, the stop and each `call` may last; ``ASYNC_TEST_TIMEOUT`` by default (5)
    :arg fail_on_server_error: does an uncaught exception of a handler fail the block?
    :arg httpserver_options: keyword arguments for `HTTPServer`; with ``ssl_options`` the URLs are https and wss
    :arg close_app: called with the app when the server has stopped, in the server's loop; may be async
    """

    def __init__(
        self,
        app: Any,
        *,
        port: int = 0,
        timeout: float | None = None,
        fail_on_server_error: bool = True,
        httpserver_options: Mapping[str, Any] | None = None,
        close_app: Callable[[Any], Any] | None = None,
    ) -> None:
        if not isinstance(app, HTTPServerConnectionDelegate) and not callable(app):
            check_app(app, "LiveServer()")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
            raise UsageError(f"port is a number from 0 (any unused port) to 65535, not {show(port)}")
        self._app = app
        self._port = port
        self._timeout = get_async_test_timeout() if timeout is None else check_timeout(timeout)
        self._fail_on_server_error = fail_on_server_error
        self._options = dict(httpserver_options or {})
        self._close_app = close_app
        self._thread: threading.Thread | None = None
        self._is_ready = threading.Event()
        self._tester: WebSocketTester | None = None
        self._transcript: Transcript | None = None
        self._main: asyncio.Task[None] | None = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<LiveServer at {self.url()[:-1]}>" if self._tester is not None else "<LiveServer that is not running>"

    # For the test

    def url(self, path: str = "/") -> str:
        """Return the URL of ``path`` for HTTP."""
        return self.server.url(check_path(path))

    def ws_url(self, path: str = "/") -> str:
        """Return the URL of ``path`` for websockets."""
        return self.server.ws_url(check_path(path))

    @property
    def server(self) -> AppServer:
        """The app's server: ``.app``, ``.port``, ``.handlers``. What it holds belongs to its loop: see `call`."""
        return self._running().server

    @property
    def transcript(self) -> Transcript:
        """What happened on every websocket, as the server saw it: ``client 1`` is the first that connected.

        It can be read and saved after the end, too.
        """
        return self._transcript if self._transcript is not None else self._running().transcript

    @overload
    def call(self, function: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T: ...

    @overload
    def call(self, function: Callable[[], T], *, timeout: float | None = None) -> T: ...

    def call(self, function: Callable[[], Any], *, timeout: float | None = None) -> Any:
        """Call a function in the server's loop, and return what it returned; a coroutine function is awaited.

        ::

            live.call(lambda: rooms["den"].tell("closing time"))

        What the app has must be touched there, and nowhere else. What the function raises is raised here;
        `MessageTimeout` says where it was after ``timeout`` seconds. A loop that is blocked is left as it is.
        """
        __tracebackhide__ = True
        self._running()
        seconds = self._timeout if timeout is None else check_timeout(timeout)
        if inspect.iscoroutine(function):
            function.close()
            raise UsageError("call() takes a function, not a coroutine: live.call(lambda: ...), so that it runs there")
        if not callable(function):
            raise UsageError(f"call() takes a function, not {show(function)}")
        if threading.current_thread() is self._thread:
            raise UsageError(
                "call() from the server's own thread would wait for itself for ever: call the function as it is"
            )
        return self._call(function, seconds)

    def check(self) -> None:
        """Let the app settle, then raise `ServerError` if a handler raised that nobody has told of."""
        __tracebackhide__ = True
        self.call(self._running().check)

    def explain(self, error: BaseException) -> None:
        """Add to an exception that fails the test what is known: the transcript, and the server's exception."""
        with contextlib.suppress(MessageTimeout):  # a loop that is blocked is told when it does not stop
            self.call(functools.partial(self._running().explain, error))

    @contextlib.contextmanager
    def expect_server_error(
        self, type: ErrorTypes = Exception, match: str | re.Pattern[str] | None = None
    ) -> Iterator[ExpectedServerError]:
        """In this block a handler must raise an exception of this ``type``. See `WebSocketTester.expect_server_error`.

        ::

            with live.expect_server_error(KeyError):
                button.click()
                wait.until(lambda driver: "disconnected" in driver.page_source)
        """
        expected = self._running().expect_server_error(type, match)
        self.call(expected.__aenter__)
        try:
            yield expected
        except BaseException as error:
            self.call(functools.partial(expected.__aexit__, error.__class__, error, error.__traceback__))
            raise
        self.call(functools.partial(expected.__aexit__, None, None, None))

    # Life

    def __enter__(self) -> "LiveServer":
        if self._thread is not None:
            raise UsageError("this live server is running already")
        self._is_ready.clear()
        self._error = None
        self._thread = threading.Thread(target=self._run, name="LiveServer", daemon=True)
        self._thread.start()
        if not self._is_ready.wait(self._timeout):
            failure = NotSettled(f"the live server did not start within {self._timeout:g} s{self._where(self._main)}")
            self._cancel()
            self._thread = None
            raise failure
        if self._error is not None:
            self._join()
            raise self._error
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        with contextlib.suppress(RuntimeError):  # the app has ended the loop, and that is the failure
            self._loop.call_soon_threadsafe(self._end.set_result, exc)
        failure = self._join() or self._error
        if exc is None and failure is not None:
            raise failure
        if exc is not None and failure is not None:
            exc.add_note(f"and when the live server stopped: {show_error(failure)}")

    def _join(self) -> NotSettled | None:
        """Wait until the thread has ended; return a failure if it does not."""
        assert self._thread is not None
        self._thread.join(3 * self._timeout)
        failure = None
        if self._thread.is_alive():
            failure = NotSettled(
                f"the live server did not stop within {3 * self._timeout:g} s{self._where(self._main)}"
            )
            self._cancel()
        self._thread = None
        return failure

    def _cancel(self) -> None:
        """What does not end by itself may still listen to this, once its loop runs again."""
        main = self._main
        if main is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(main.cancel)

    def _running(self) -> WebSocketTester:
        if self._tester is None:
            raise UsageError("this live server is not running: it has not been started, or it is over")
        return self._tester

    # In the server's thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._is_ready.set()

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[BaseException | None] = self._loop.create_future()
        is_app = isinstance(self._app, HTTPServerConnectionDelegate)
        app = self._app if is_app else await resolved(self._app())
        check_app(app, "LiveServer()" if is_app else f"LiveServer(): {show(self._app)}")
        try:
            await self._serve_app(app)
        finally:
            if self._close_app is not None:
                await resolved(self._close_app(app))

    async def _serve_app(self, app: Any) -> None:
        tester = WebSocketTester(app, timeout=0.4 * self._timeout, fail_on_server_error=self._fail_on_server_error)
        tester._expecting = "with live.expect_server_error"
        http_server = HTTPServer(app, **self._options)
        sock = _bind(self._port)
        port = sock.getsockname()[1]
        http_server.add_socket(sock)
        await tester.start(adopt=(http_server, port))
        # The other ends of the connections are not in this loop: give what they send its grace.
        tester.server.settling.ports.discard(port)
        tester.server.watch.on_handler = Visitors(tester.transcript).add
        self._tester = tester
        self._transcript = tester.transcript
        self._is_ready.set()
        error: BaseException | None = None
        try:
            error = await self._end
        finally:
            self._tester = None
            http_server.stop()
            await tester.__aexit__(type(error) if error is not None else None, error, None)

    # In the test's thread

    def _call(self, function: Callable[[], Any], seconds: float) -> Any:
        __tracebackhide__ = True
        tasks: list[asyncio.Task[Any] | None] = []

        async def called() -> Any:
            tasks.append(asyncio.current_task())
            return await resolved(function())

        future = asyncio.run_coroutine_threadsafe(called(), self._loop)
        try:
            return future.result(seconds)
        except BaseException as error:
            if future.done():  # it is what the function raised
                if not begin_at_the_test(error):
                    error.__traceback__ = None
                raise
            if not isinstance(error, concurrent.futures.TimeoutError):
                raise
        where = self._where(tasks[0] if tasks else None)
        future.cancel()
        name = getattr(function, "__qualname__", None) or show(function)
        raise MessageTimeout(f"call() of {name} did not return within {seconds:g} s{where}")

    def _where(self, task: "asyncio.Task[Any] | None") -> str:
        """Say at which line of the user's the thread stands, or else a task of it waits."""
        frame = sys._current_frames().get(self._thread.ident or 0) if self._thread is not None else None
        while frame is not None and is_library(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None:
            source = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            line = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}: {source}"
            return f"\nits loop is blocked at {line}"
        waits = place(task.get_coro(), with_source=True) if task is not None else ""
        return f"\nit waits at {waits}" if waits else ""


def _bind(port: int) -> socket.socket:
    try:
        sock = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(f"cannot listen on port {port}: {error}\nport=0 takes one that is not in use") from error
    sock.setblocking(False)
    return sock


class LiveServerTestCase(unittest.TestCase):
    """A test case whose app runs in a thread of its own, for browsers and for clients that block.

    ::

        class PageTest(LiveServerTestCase):
            def get_app(self):
                return make_app()

            def test_page(self):
                page = urllib.request.urlopen(f"{self.live_server_url}/").read()
                self.assertIn(b"Hello", page)

    Each test has its own app and server, on a port of its own, from `setUp` until the last clean-up has been
    called; starting one takes some milliseconds. (A browser takes longer: start it in ``setUpClass``, and let it
    go to `live_server_url` in each test.) A test fails when a handler raised, whatever else it looked at.

    With `unittest.IsolatedAsyncioTestCase` as a second base, tests may be async, for clients of `connect`.
    """

    fail_on_server_error: bool = True
    """Does an uncaught exception of a handler fail the test?"""

    live_server: LiveServer
    """The `LiveServer`: ``.url(path)``, ``.ws_url(path)``, ``.call(function)``, ``.transcript``."""

    live_server_url: str
    """Where the server is for HTTP, such as ``http://127.0.0.1:43210``."""

    live_server_ws_url: str
    """Where it is for websockets, such as ``ws://127.0.0.1:43210``."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        method = getattr(self, methodName, None)
        if method is not None:
            setattr(self, methodName, _wrap_test(self, method))

    # Hooks

    def get_app(self) -> Any:
        """Return the `Application` under test. To be overridden; may be async. Called in the server's loop."""
        raise UsageError(f"{type(self).__name__} has no get_app(): define it to return the Application under test")

    def close_app(self, app: Any) -> Any:
        """The counterpart of `get_app`, when the server has stopped. May be async. Called in the server's loop."""

    def get_httpserver_options(self) -> dict[str, Any]:
        """Return keyword arguments for `HTTPServer`."""
        return {}

    def on_failure(self, error: BaseException) -> None:
        """Called with what failed the test, while the server is still up: keep a screenshot, add a note.

        ::

            def on_failure(self, error):
                self.browser.save_screenshot("failed.png")
                error.add_note("screenshot: failed.png")
        """

    # Life

    def setUp(self) -> None:
        """Start the server."""
        super().setUp()
        live = LiveServer(
            self.get_app,
            fail_on_server_error=self.fail_on_server_error,
            httpserver_options=self.get_httpserver_options(),
            close_app=self.close_app,
        )
        live.__enter__()
        self.addCleanup(live.__exit__, None, None, None)
        self.live_server = live
        self.live_server_url = live.url()[:-1]
        self.live_server_ws_url = live.ws_url()[:-1]

    def subTest(self, msg: Any = unittest.case._subtest_msg_sentinel, **params: Any) -> Any:  # type: ignore[attr-defined]
        """As in `unittest.TestCase`; a failure of a sub-test carries the transcript, too."""
        return ExplainedSubTest(self.live_server.explain, super().subTest(msg, **params))


def _wrap_test(case: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a test on its instance: it fails when a handler raised, and its failure is explained."""
    is_async = inspect.iscoroutinefunction(method)
    if is_async and not isinstance(case, unittest.IsolatedAsyncioTestCase):
        return types.MethodType(_refuse(method), case)

    @functools.wraps(method)
    def test(_: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        _check_set_up(case)
        try:
            result = method(*args, **kwargs)
            case.live_server.check()
            return result
        except unittest.SkipTest:
            raise
        except BaseException as error:
            _failed(case, error, method)
            raise

    @functools.wraps(method)
    async def async_test(_: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        _check_set_up(case)
        try:
            result = await method(*args, **kwargs)
            case.live_server.check()
            return result
        except unittest.SkipTest:
            raise
        except BaseException as error:
            _failed(case, error, method)
            raise

    return types.MethodType(async_test if is_async else test, case)


def _refuse(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def test(case: Any) -> None:
        raise UsageError(
            f"{method.__name__} is async, and {type(case).__name__} has no loop to run it in:"
            f" class {type(case).__name__}(LiveServerTestCase, unittest.IsolatedAsyncioTestCase)"
        )

    return test


def _check_set_up(case: Any) -> None:
    if "live_server" not in vars(case):
        raise UsageError(f"{type(case).__name__}.setUp() does not call super().setUp()")


def _failed(case: Any, error: BaseException, method: Callable[..., Any]) -> None:
    """The test has failed: show it there, and add what is known to its exception."""
    if not begin_at_the_test(error):
        show_at_the_end(error, method)
    case.live_server.explain(error)
    begin_cause_at_the_app(error)
    case.on_failure(error)
    if case.live_server._tester is not None:
        # The test has told what went wrong: what came of it is no news.
        case.live_server._tester.fail_on_server_error = False
