"""What users inherit: the mixin, and its ready-made bases."""

import functools
import unittest
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from tornado.httpclient import HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import AsyncHTTPTestCase, AsyncTestCase
from tornado.websocket import WebSocketClientConnection

from .client import WebSocketTestClient
from .codec import Codec
from .errors import UsageError
from .expectations import ErrorTypes, ExpectedServerError
from .explore import play_all
from .group import CapturedMessages, ClientGroup, ExpectedBroadcast
from .handshake import Handshake
from .lifecycle import (
    ExplainedSubTest,
    begin,
    check_bases,
    check_settings,
    checked_app,
    close_app,
    configured_tester,
    end,
    explain,
    resolved,
    run,
    run_example,
    set_up_base,
    tester_of,
    wrap_test,
)
from .matching import Expected
from .opening import Opening
from .patience import DEFAULT_GRACE
from .raw import RawConnection
from .scenario import Scenario
from .server import AppServer
from .session import Session
from .simulation.clock import Clock
from .simulation.network import Network
from .tester import CLASS_HANDSHAKE, WebSocketTester
from .text import show
from .transcript import Transcript

if TYPE_CHECKING:
    import re

    _Base = unittest.TestCase
else:
    _Base = object

__all__ = ["WebSocketHTTPTestCase", "WebSocketTestCase", "WebSocketTestMixin"]

__unittest = True

T = TypeVar("T")

_SETTINGS = ("ws_path", "ws_timeout", "ws_transport", "ws_virtual_time", "ws_codec", "ws_grace", "ws_network")
_OTHER_NAMES = ("ws_server", "ws_connect", "ws_client", "ws_clients", "ws_raw", "ws_session")


class _Forwarded:
    """A name of the tester's, on the test case. No data descriptor: a test case may have its own."""

    def __init__(self, name: str, doc: str) -> None:
        self._name = name
        self.__doc__ = doc

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else getattr(tester_of(instance), self._name)


class WebSocketTestMixin(_Base):
    """A test case for `WebSocketHandler` classes, over a real `HTTPServer` on an unused port.

    Goes before a Tornado test case; `WebSocketTestCase` and `WebSocketHTTPTestCase` are ready-made.

    ::

        class EchoTest(WebSocketTestMixin, AsyncTestCase):
            handshake = discard(1)                          # the "hello"

            def get_app(self):
                return make_app()

            async def test_echo(self):
                client = await self.ws_client("/echo")      # after the handshake
                await client.send("foo")
                await client.expect("foo")

    An ``async def test_*`` runs as if it had `tornado.testing.gen_test`; generator tests with ``yield`` work
    as in Tornado. A test fails when a handler raised, whatever else it looked at. Over
    `AsyncHTTPTestCase` the clients meet the server that ``fetch`` meets, over `AsyncHTTPSTestCase` they
    speak ``wss``.
    """

    handshake: Any = None
    """What each client goes through first: an object of `tornado_wstest.handshake`, an ``async`` function
    of the client, or an ``async def`` method."""

    ws_path: str = "/"
    """Where the factories connect when no path is given."""

    ws_timeout: float | None = None
    """Seconds that a wait lasts; by default two fifths of ``ASYNC_TEST_TIMEOUT``: 2.

    Under virtual time these are virtual seconds, and by default a wait ends when nothing can happen any more.
    """

    ws_transport: str = "tcp"
    """How clients reach the server: ``"tcp"``, or ``"memory"`` for in-process streams."""

    ws_virtual_time: bool = False
    """Is time the test's? Then it jumps as soon as the app has settled; see ``clock``."""

    ws_codec: Codec | None = None
    """What encodes and decodes messages; JSON by default."""

    ws_grace: float = DEFAULT_GRACE
    """Real seconds for what settling cannot see; 0 not to look at it."""

    ws_network: Network | None = None
    """A `Network` for the links of all clients, over the memory transport: latency, jitter, bandwidth."""

    fail_on_server_error: bool = True
    """Does an uncaught exception of a handler fail the test?"""

    wstest: WebSocketTester
    """What the test case forwards to."""

    _app: Any
    _ws_is_isolated = False

    ws_server: AppServer = _Forwarded("server", "The app's server: ``.app``, ``.port``, ``.url()``, ``.handlers``.")  # type: ignore[assignment]
    transcript: Transcript = _Forwarded("transcript", "What happened on every connection, in order.")  # type: ignore[assignment]
    clock: Clock = _Forwarded("clock", "The test's time, with `ws_virtual_time`: ``time()``, ``advance(seconds)``.")  # type: ignore[assignment]
    network: Network = _Forwarded("network", "The links of all clients, over the memory transport; see `Network`.")  # type: ignore[assignment]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_bases(cls, WebSocketTestMixin)
        check_settings(cls, WebSocketTestMixin, _SETTINGS, _OTHER_NAMES)

    def __init__(self, methodName: str = "runTest", *args: Any, **kwargs: Any) -> None:
        if methodName == "runTest" and not hasattr(self, methodName):
            # pytest makes a test case of no test to collect its tests; Tornado 6.3 insists on the method.
            self.runTest = _no_test
        super().__init__(methodName, *args, **kwargs)
        self._ws_exit_stack = AsyncExitStack()
        self._ws_example_is_fresh = False
        self._ws_body_failed = False
        method = getattr(self, methodName, None)
        if method is not None:
            setattr(self, methodName, wrap_test(self, method))

    # Hooks

    def get_app(self) -> Any:
        """Return the `Application` (or any `HTTPServer` callback) under test. To be overridden; may be async."""
        inherited = getattr(super(), "get_app", None)
        if inherited is not None and getattr(inherited, "__func__", None) is not AsyncHTTPTestCase.get_app:
            return inherited()
        raise UsageError(f"{type(self).__name__} has no get_app(): define it to return the Application under test")

    def close_app(self, app: Any) -> Any:
        """The counterpart of `get_app`, after the last `on_close`, when the server has stopped. May be async."""

    def get_httpserver_options(self) -> dict[str, Any]:
        """Return keyword arguments for `HTTPServer`."""
        inherited = getattr(super(), "get_httpserver_options", None)
        return inherited() if inherited is not None else {}

    def get_ws_options(self) -> Mapping[str, Any]:
        """Return what every `ws_connect` and `ws_client` is called with: headers, subprotocols, ..."""
        return {}

    async def asyncSetUp(self) -> None:
        """Called when the server is up. As in `unittest.IsolatedAsyncioTestCase`."""

    async def asyncTearDown(self) -> None:
        """Called before the clients are closed."""

    def addAsyncCleanup(self, function: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> None:
        """Call an async function after `asyncTearDown`, before the clients are closed; last in, first out."""
        if not callable(function):
            raise UsageError(f"addAsyncCleanup() takes an async function, not {show(function)}")
        self._ws_exit_stack.push_async_callback(function, *args, **kwargs)

    async def enterAsyncContext(self, cm: AbstractAsyncContextManager[T]) -> T:
        """Enter an async context manager, and leave it after `asyncTearDown`."""
        return await self._ws_exit_stack.enter_async_context(cm)

    # Clients

    def ws_connect(self, path: str | None = None, **options: Any) -> Coroutine[Any, Any, WebSocketClientConnection]:
        """Connect, and return Tornado's own connection: no handshake. See `WebSocketTester.connect`."""
        return configured_tester(self).connect(path, **options)

    def ws_client(
        self,
        path: str | None = None,
        *,
        name: str | None = None,
        handshake: Handshake | None = CLASS_HANDSHAKE,
        handshake_kwargs: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        codec: Codec | None = None,
        **options: Any,
    ) -> Opening[WebSocketTestClient]:
        """Connect a client, and take it through the handshake. See `WebSocketTester.client`."""
        return configured_tester(self).client(
            path,
            name=name,
            handshake=handshake,
            handshake_kwargs=handshake_kwargs,
            timeout=timeout,
            codec=codec,
            **options,
        )

    def ws_clients(
        self, users: int | Iterable[str] | Mapping[str, Mapping[str, Any]], path: str | None = None, **options: Any
    ) -> Opening[ClientGroup]:
        """Connect several clients at the same time. See `WebSocketTester.clients`."""
        return configured_tester(self).clients(users, path, **options)

    def ws_raw(self, name: str | None = None) -> Opening[RawConnection]:
        """Connect without an opening handshake: bytes out, bytes in. See `WebSocketTester.raw`."""
        return configured_tester(self).raw(name)

    def ws_session(
        self,
        name: str | None = None,
        *,
        cookies: Mapping[str, str] | None = None,
        signed_cookies: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Session:
        """One user, whose cookies HTTP requests and websockets share. See `WebSocketTester.session`."""
        return configured_tester(self).session(name, cookies=cookies, signed_cookies=signed_cookies, headers=headers)

    async def expect_rejected(self, path: str | None = None, *, status: int = 403, **options: Any) -> HTTPResponse:
        """The server refuses the opening handshake. See `WebSocketTester.expect_rejected`."""
        __tracebackhide__ = True
        return await configured_tester(self).expect_rejected(path, status=status, **options)

    async def http_fetch(
        self, path: str, *, method: str = "GET", raise_error: bool = False, **options: Any
    ) -> HTTPResponse:
        """Fetch a path of the app over HTTP, in an async test. See `WebSocketTester.fetch`."""
        __tracebackhide__ = True
        return await tester_of(self).fetch(path, method=method, raise_error=raise_error, **options)

    # Waiting and looking

    async def settle(self, *, timeout: float | None = None) -> None:
        """Return when everything in flight has been processed. See `WebSocketTester.settle`."""
        __tracebackhide__ = True
        await tester_of(self).settle(timeout=timeout)

    async def until(self, predicate: Callable[[], Any], *, timeout: float | None = None) -> Any:
        """Return when ``predicate()`` is true of the app's own state. See `WebSocketTester.until`."""
        __tracebackhide__ = True
        return await tester_of(self).until(predicate, timeout=timeout)

    def expect_server_error(
        self, type: ErrorTypes = Exception, match: "str | re.Pattern[str] | None" = None
    ) -> ExpectedServerError:
        """In this block a handler must raise. See `WebSocketTester.expect_server_error`."""
        return tester_of(self).expect_server_error(type, match)

    def expect_broadcast(
        self, expected: Expected, to: ClientGroup | Iterable[WebSocketTestClient], *, only: bool = False
    ) -> ExpectedBroadcast:
        """In this block, a message reaches exactly these. See `WebSocketTester.expect_broadcast`."""
        return tester_of(self).expect_broadcast(expected, to, only=only)

    def capture_messages(self) -> CapturedMessages:
        """Take the messages that a block caused. See `WebSocketTester.capture_messages`."""
        return tester_of(self).capture_messages()

    async def play(self, *scenarios: Scenario, timeout: float | None = None) -> None:
        """Play the conversations of several users, all at once. See `WebSocketTester.play`."""
        __tracebackhide__ = True
        await tester_of(self).play(*scenarios, timeout=timeout)

    # Life

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test; with `explore`, all of it once for each order of delivery."""
        told: unittest.TestResult | None = play_all(self, super().run, result)
        return told

    def setUp(self) -> None:
        """Start the server and call `asyncSetUp`."""
        set_up_base(self, super().setUp)
        try:
            run(self, begin(self))
        except BaseException:
            self._ws_body_failed = True
            try:
                run(self, end(self, tear_down=False))
            finally:
                super().tearDown()
            raise

    def tearDown(self) -> None:
        """Call `asyncTearDown`, close the clients, stop the server."""
        if "io_loop" not in vars(self):
            return  # setUp was not called; the test has said so
        try:
            run(self, end(self, tear_down=True))
        finally:
            super().tearDown()

    def get_http_server(self) -> HTTPServer:
        """Called by `AsyncHTTPTestCase` right after `get_app`; runs an async one to its end."""
        self._app = checked_app(self, run(self, resolved(self._app)))
        try:
            server: HTTPServer = super().get_http_server()  # type: ignore[misc]
        except BaseException:
            run(self, close_app(self, self._app))
            raise
        return server

    def execute_example(self, function: Callable[[], Any]) -> Any:
        """Called by Hypothesis for each example of a test with ``@given``: a fresh app for each."""
        return run_example(self, function)

    def subTest(self, msg: Any = unittest.case._subtest_msg_sentinel, **params: Any) -> Any:  # type: ignore[attr-defined]
        """As in `unittest.TestCase`; a failure of a sub-test carries the transcript, too."""
        return ExplainedSubTest(functools.partial(explain, self), super().subTest(msg, **params))


def _no_test() -> None:
    pass


class WebSocketTestCase(WebSocketTestMixin, AsyncTestCase):
    """`WebSocketTestMixin` over `tornado.testing.AsyncTestCase`."""


class WebSocketHTTPTestCase(WebSocketTestMixin, AsyncHTTPTestCase):
    """`WebSocketTestMixin` over `tornado.testing.AsyncHTTPTestCase`: ``fetch`` and the clients meet one server."""
