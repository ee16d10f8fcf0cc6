"""What happens around a test of `WebSocketTestMixin`: its set-up, its run, its end.

Functions of the test case instead of methods, so that no name of ours can meet one of the user's; what they
keep on the test case starts with ``_ws_``.
"""

import asyncio
import contextlib
import functools
import inspect
import types
import unittest
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, NoReturn, TypeVar

from tornado.testing import AsyncHTTPTestCase, AsyncTestCase, get_async_test_timeout
from tornado.util import TimeoutError as LimitError

from .errors import UsageError, WSTestFailure
from .handshake import Handshake, check_handshake
from .server import check_app
from .shown import begin_at_the_test, begin_cause_at_the_app, show_at_the_end
from .simulation.limits import TestLimit
from .tester import WebSocketTester
from .text import nearest, show

__all__ = [
    "ExplainedSubTest",
    "begin",
    "check_bases",
    "check_settings",
    "close_app",
    "checked_app",
    "end",
    "explain",
    "handshake_of",
    "limited",
    "resolved",
    "run",
    "run_example",
    "set_up_base",
    "start",
    "tester_of",
    "configured_tester",
    "wrap_test",
]

__unittest = True

T = TypeVar("T")


def tester_of(case: Any) -> WebSocketTester:
    """Return the tester of a test case, whatever names the test case has of its own."""
    tester = vars(case).get("wstest")
    if tester is None:
        raise UsageError("the server is not up yet: is super().setUp() called, and called first?")
    assert isinstance(tester, WebSocketTester)
    return tester


def configured_tester(case: Any) -> WebSocketTester:
    """Return the tester, with the handshake and the options that the test case has now."""
    tester = tester_of(case)
    tester.handshake = handshake_of(case)
    tester.options = checked_mapping(case, "get_ws_options", case.get_ws_options())
    return tester


def run(case: Any, coroutine: Coroutine[Any, Any, T], what: str = "what runs before and after the test") -> T:
    """Run a part of a test's life to its end, within the limit that the test itself has.

    :arg what: how a failure calls it
    """
    # Not IOLoop.run_sync, which builds a class at each call.
    limit = limit_of(case)
    loop: asyncio.AbstractEventLoop = case.io_loop.asyncio_loop
    task = loop.create_task(coroutine)
    seconds = get_async_test_timeout()
    timer = limit.set(seconds, task.cancel)
    try:
        return _run_to_its_end(loop, task)
    except asyncio.CancelledError:
        if limit.error is not None:
            raise limit.error from None
        if limit.report is not None:
            raise WSTestFailure(f"{what} did not end within {seconds:g} s of real time\n{limit.report}") from None
        raise
    finally:
        timer.cancel()


def _run_to_its_end(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[T]") -> T:
    while True:
        try:
            return loop.run_until_complete(task)
        except RuntimeError:
            # A stop of the loop that the test has left behind (IOLoop.run_sync queues one) has come here.
            if task.done() or loop.is_running() or loop.is_closed():
                raise


def limit_of(case: Any) -> TestLimit:
    """Return what watches for the limit of the test."""
    if "io_loop" not in vars(case):
        raise UsageError(f"{type(case).__name__}.setUp() does not call super().setUp()")
    limit: TestLimit | None = vars(case).get("_ws_limit")
    if limit is None or limit.io_loop is not case.io_loop:
        limit = case._ws_limit = TestLimit(case.io_loop, lambda: vars(case).get("_test_generator"))
    return limit


async def resolved(value: Any) -> Any:
    """Return ``value``, awaited if it is to be: what a hook returned that may be async."""
    return await value if inspect.isawaitable(value) else value


def set_up_base(case: Any, set_up: Callable[[], None]) -> None:
    """Call the base's ``setUp``; if it fails half-way, close what it has opened."""
    try:
        set_up()
    except BaseException as error:
        # AsyncHTTPTestCase.setUp binds a socket before it calls get_app(), and keeps it in a local variable.
        traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code is AsyncHTTPTestCase.setUp.__code__ and "sock" in traceback.tb_frame.f_locals:
                traceback.tb_frame.f_locals["sock"].close()
            traceback = traceback.tb_next
        http_client = vars(case).get("http_client")
        if http_client is not None:
            http_client.close()
        io_loop = vars(case).get("io_loop")
        if io_loop is not None:
            asyncio.set_event_loop(None)
            io_loop.close(all_fds=True)
        raise


def checked_mapping(case: Any, name: str, options: Any) -> Mapping[str, Any]:
    """Return what a hook returned if it is a mapping of keyword arguments."""
    if not isinstance(options, Mapping):
        raise UsageError(f"{type(case).__name__}.{name}() returns a mapping of options, not {show(options)}")
    return options


def checked_app(case: Any, app: Any) -> Any:
    """Return what ``get_app`` returned, if a server can serve it."""
    check_app(app, f"{type(case).__name__}.get_app()")
    return app


async def begin(case: Any) -> None:
    """Start the server, then call `asyncSetUp`."""
    await start(case)
    await case.asyncSetUp()


async def start(case: Any) -> None:
    """Start the server."""
    http_server = vars(case).get("http_server")
    app = case._app if http_server is not None else checked_app(case, await resolved(case.get_app()))
    case._ws_app = app
    case.wstest = tester = WebSocketTester(
        app,
        path=case.ws_path,
        timeout=case.ws_timeout,
        transport=case.ws_transport,
        virtual_time=case.ws_virtual_time,
        codec=case.ws_codec,
        grace=case.ws_grace,
        network=case.ws_network,
        fail_on_server_error=case.fail_on_server_error,
        httpserver_options=None
        if http_server is not None
        else checked_mapping(case, "get_httpserver_options", case.get_httpserver_options()),
    )
    configured_tester(case)
    adopt = (http_server, case.get_http_port()) if http_server is not None else None
    await tester.start(adopt=adopt)
    if tester.virtual_time:
        tester.clock.add_victim(tester, limit_of(case).strike)
    case._ws_example_is_fresh = True


async def end(case: Any, *, tear_down: bool) -> None:
    """Undo `begin`: all of it, whatever part of it fails.

    The last failure is raised, with the earlier ones as its context.

    :arg tear_down: call `asyncTearDown` first
    """
    tester: WebSocketTester | None = vars(case).get("wstest")
    app = vars(case).pop("_ws_app", None)
    stack, case._ws_exit_stack = case._ws_exit_stack, AsyncExitStack()
    async with AsyncExitStack() as closing:
        if app is not None:
            closing.push_async_callback(close_app, case, app)
        if tester is not None:
            closing.push_async_callback(_close_tester, case, tester)
        closing.callback(vars(case).pop, "wstest", None)
        closing.push_async_exit(stack)
        if tear_down and tester is not None:
            closing.push_async_callback(case.asyncTearDown)


async def _close_tester(case: Any, tester: WebSocketTester) -> None:
    if case._ws_body_failed:
        # The test has told what went wrong: what came of it is no news.
        tester.fail_on_server_error = False
    try:
        await tester.close()
    except AssertionError as error:
        if case._ws_body_failed:
            return
        tester.explain(error)
        raise


async def close_app(case: Any, app: Any) -> None:
    """Call the test case's `close_app`, async or not."""
    await resolved(case.close_app(app))


def handshake_of(case: Any) -> Handshake | None:
    """Return the class's handshake, ready to be called with a client."""
    for cls in type(case).__mro__:
        if "handshake" in vars(cls):
            found = vars(cls)["handshake"]
            break
    if "handshake" in vars(case):
        found = vars(case)["handshake"]
    if isinstance(found, staticmethod):
        found = found.__func__
    elif isinstance(found, classmethod) or (isinstance(found, types.FunctionType) and _is_method(found)):
        found = found.__get__(case, type(case))
    if found is not None:
        check_handshake(found)
    handshake: Handshake | None = found
    return handshake


def _is_method(function: types.FunctionType) -> bool:
    """Was this function defined in the body of a class, and not at the top of a module?"""
    return not function.__qualname__.rpartition(".")[0].endswith("<locals>") and "." in function.__qualname__


def wrap_test(case: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a test method on its instance: run it if it is async, and explain its failure.

    On the instance, because this reaches tests that are inherited from a plain class, and works with every
    runner.
    """
    # Tornado 6.3 has put a wrapper there that refuses coroutines.
    method = getattr(method, "orig_method", method)
    is_async = inspect.iscoroutinefunction(method) and not hasattr(method, "hypothesis")
    if is_async and isinstance(case, unittest.IsolatedAsyncioTestCase):
        return types.MethodType(limited(case, _checked(method)), case)
    runnable = _checked(method) if is_async else None

    @functools.wraps(method)
    def test(_: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            if runnable is not None:
                return _run_test(case, functools.partial(runnable, case, *args, **kwargs))
            result = method(*args, **kwargs)
            if inspect.iscoroutine(result) or isinstance(result, Generator):
                result.close()
                raise UsageError(f"{method.__name__} is a generator: decorate it with tornado.testing.gen_test")
            if vars(case).get("wstest") is not None:
                run(case, tester_of(case).check())
            return result
        except unittest.SkipTest:
            raise
        except BaseException as error:
            limit = limit_of(case)
            if limit.error is not None and not isinstance(error, WSTestFailure):
                case._ws_body_failed = True
                explain_and_raise(case, limit.error)
            if limit.report is not None and type(error) is TimeoutError:
                error.args = (f"{error}\n{limit.report}",)
            _failed(case, error, method)
            raise

    # A method, as it was: unittest takes a function on an instance for a static method, and calls it.
    return types.MethodType(test, case)


def _run_test(case: Any, test: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run an async test as `gen_test` does."""
    __tracebackhide__ = True
    limit, seconds = limit_of(case), get_async_test_timeout()
    loop: asyncio.AbstractEventLoop = case.io_loop.asyncio_loop
    case._test_generator = test()
    task: asyncio.Task[T] = loop.create_task(case._test_generator)
    timer = limit.set(seconds, task.cancel)
    try:
        return _run_to_its_end(loop, task)
    except asyncio.CancelledError:
        if limit.report is None or limit.error is not None:
            raise
        raise LimitError(f"Operation timed out after {seconds} seconds") from None
    finally:
        timer.cancel()
        case._test_generator = None


def _checked(method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a test that fails when a handler has raised."""

    @functools.wraps(method)
    async def test(case: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        result = await method(*args, **kwargs)
        if vars(case).get("wstest") is not None:
            await tester_of(case).check()
        return result

    return test


def limited(case: Any, function: Callable[..., Any], name: str = "") -> Callable[..., Coroutine[Any, Any, Any]]:
    """Wrap an async part of a test: it runs within the test's limit, and its failure is explained.

    For parts that somebody else runs: the standard library's test case.

    :arg name: how its failure calls it
    """
    name = name or f"{getattr(function, '__name__', show(function))}()"

    @functools.wraps(function)
    async def part(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            with _within_limit(case, name):
                return await function(*args, **kwargs)
        except unittest.SkipTest:
            raise
        except BaseException as error:
            _failed(case, error, function)
            raise

    return part


@contextlib.contextmanager
def _within_limit(case: Any, name: str) -> Iterator[None]:
    """End the task that runs this block when its real limit comes, or when nothing can happen any more."""
    limit, seconds = limit_of(case), get_async_test_timeout()
    task: Any = asyncio.current_task()
    strikes: list[int] = []

    def strike() -> None:
        strikes.append(task.cancelling())
        task.cancel()

    case._test_generator = task.get_coro()
    timer = limit.set(seconds, strike)
    try:
        yield
    except asyncio.CancelledError:
        if not strikes or task.uncancel() > strikes[0]:
            raise  # somebody else has cancelled it as well: Ctrl-C
        raise limit.error or TimeoutError(
            f"{name} did not end within {seconds:g} s of real time; ASYNC_TEST_TIMEOUT sets another limit\n"
            f"{limit.report}"
        ) from None
    finally:
        timer.cancel()
        case._test_generator = None


def _failed(case: Any, error: BaseException, part: Callable[..., Any]) -> None:
    """A part of the test has failed: show it there, and add what is known to its exception."""
    case._ws_body_failed = True
    if not begin_at_the_test(error):
        show_at_the_end(error, part)
    explain(case, error)
    begin_cause_at_the_app(error)


def explain(case: Any, error: BaseException) -> None:
    """Add to an exception what is known, if the server is up."""
    if (tester := vars(case).get("wstest")) is not None:
        tester.explain(error)


def explain_and_raise(case: Any, error: BaseException) -> NoReturn:
    """Raise ``error`` in place of what ended the test."""
    explain(case, error)
    raise error from None


def run_example(case: Any, function: Callable[[], Any]) -> Any:
    """Play one example of a property: its own app, `asyncSetUp`, clients and `asyncTearDown`."""
    loop: asyncio.AbstractEventLoop = case.io_loop.asyncio_loop
    if loop.is_running():
        raise UsageError("@given runs inside @gen_test: put @given above it")
    if not case._ws_example_is_fresh:
        run(case, _begin_example(case))
    case._ws_example_is_fresh = False
    try:
        result = function()
        if inspect.isawaitable(result):
            result = run(case, resolved(result))
        run(case, tester_of(case).check())
    except BaseException as error:
        tester_of(case).explain(error)
        run(case, _end_example(case, failed=True))
        raise
    run(case, _end_example(case, failed=False))
    return result


async def _begin_example(case: Any) -> None:
    http_server = vars(case).get("http_server")
    if http_server is not None:
        case._app = http_server.request_callback = checked_app(case, await resolved(case.get_app()))
    await begin(case)


async def _end_example(case: Any, *, failed: bool) -> None:
    before, case._ws_body_failed = case._ws_body_failed, failed
    try:
        await end(case, tear_down=True)
    finally:
        case._ws_body_failed = before


class ExplainedSubTest:
    """A sub-test whose failure carries the transcript."""

    def __init__(self, explain: Callable[[BaseException], None], context: Any) -> None:
        self._explain = explain
        self._context = context

    def __enter__(self) -> None:
        self._context.__enter__()

    def __exit__(self, exc_type: Any, exc: BaseException | None, tb: Any) -> Any:
        if exc is not None and not isinstance(exc, unittest.SkipTest):
            self._explain(exc)
        return self._context.__exit__(exc_type, exc, tb)


def check_bases(cls: type, mixin: type) -> None:
    """Raise `UsageError` if a test case stands before the mixin: its ``setUp`` would hide ours."""
    mro = cls.__mro__
    if unittest.IsolatedAsyncioTestCase in mro and not cls._ws_is_isolated:  # type: ignore[attr-defined]
        raise UsageError(
            f"{cls.__name__}: over unittest.IsolatedAsyncioTestCase the mixin is IsolatedWebSocketTestCase:"
            f" class {cls.__name__}(IsolatedWebSocketTestCase)"
        )
    if unittest.TestCase in mro and not {AsyncTestCase, unittest.IsolatedAsyncioTestCase} & set(mro):
        raise UsageError(
            f"{cls.__name__}: WebSocketTestMixin goes over a test case of tornado.testing (AsyncTestCase,"
            " AsyncHTTPTestCase, AsyncHTTPSTestCase)\n"
            "in another test case, use WebSocketTester: async with WebSocketTester(make_app()) as wstest"
        )
    before = [base for base in mro[1 : mro.index(mixin)] if not issubclass(base, mixin)]
    test_case = next((base for base in before if issubclass(base, unittest.TestCase)), None)
    if test_case is not None:
        raise UsageError(
            f"WebSocketTestMixin must stand before {test_case.__name__} in the bases of {cls.__name__}:"
            f" class {cls.__name__}(WebSocketTestMixin, {test_case.__name__})"
        )


def check_settings(cls: type, mixin: type, settings: Iterable[str], others: Iterable[str]) -> None:
    """Raise `UsageError` for a class attribute that looks like a setting of ours, and is none."""
    for base in cls.__mro__:
        if base is mixin:
            continue
        for name, value in vars(base).items():
            if name.startswith("ws_") and name not in (*settings, *others) and not _is_behaviour(value):
                raise UsageError(f"{cls.__name__}.{name} is no setting: {nearest(name, settings)}")


def _is_behaviour(value: Any) -> bool:
    """Is it a method, a property, a nested class: anything but a value?"""
    return callable(value) or hasattr(type(value), "__get__")
