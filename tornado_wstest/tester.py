"""Everything that a test needs, without a base class."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any

from tornado.escape import native_str
from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection

from .client import WebSocketTestClient
from .codec import JSON, Codec
from .endpoint import Surroundings
from .errors import NotRejected, NotSettled, ServerError, UsageError, WSTestFailure
from .expectations import ErrorTypes, ExpectedServerError
from .group import CapturedMessages, ClientGroup, ExpectedBroadcast
from .handshake import Handshake
from .matching import Expected
from .opening import Opening
from .patience import AN_HOUR, DEFAULT_GRACE, Patience, default_timeout
from .plan import Plan, check_client_options
from .playing import Play
from .raw import RawConnection, open_raw
from .request import CLIENT_OPTIONS, HandshakeRequest, build_request, check_path, check_seconds, check_timeout
from .scenario import Scenario
from .server import App, AppServer
from .session import Session
from .shown import end_at_the_test
from .simulation.clock import Clock
from .simulation.memory import MemoryTCPClient
from .simulation.network import Network
from .simulation.tasks import fail_task, main_task
from .text import elide, show
from .transcript import Transcript, mask_query
from .watch import Caught
from .wire import LoopResolver, fetch, open_connection

__all__ = ["CLASS_HANDSHAKE", "WebSocketTester"]

__unittest = True

_AT_ONCE = 10
"""How many clients of a group may connect within the time of one; more of them get more time."""
CLASS_HANDSHAKE: Any = object()
"""Stands for the handshake that all clients of a test case have."""


class WebSocketTester:
    """A served app, its clients, and what happened between them.

    ::

        async with WebSocketTester(make_app(), handshake=discard(1)) as wstest:
            client = await wstest.client("/chat")
            await client.send("foo")
            await client.expect("foo")

    It works in the loop that runs, whoever runs it. The test cases of this package have one as
    ``self.wstest`` and forward to it.

    :arg app: the `Application` (or any `HTTPServer` callback) under test
    :arg path: where clients connect when no path is given
    :arg handshake: what each client goes through first; see `tornado_wstest.handshake`
    :arg timeout: seconds that a wait lasts; two fifths of ``ASYNC_TEST_TIMEOUT`` by default (2)
    :arg transport: ``"tcp"`` or ``"memory"``: in-process streams, without a descriptor
    :arg virtual_time: is time the test's? Then it jumps as soon as the app has settled; see `Clock`
    :arg codec: a `Codec`; JSON by default
    :arg grace: real seconds for what settling cannot see; 0 not to look at it
    :arg network: a `Network` for the links of all clients, over the memory transport
    :arg fail_on_server_error: does an uncaught exception of a handler fail the test?
    :arg httpserver_options: keyword arguments for `HTTPServer`
    :arg options: what every `connect` and `client` is called with: headers, subprotocols, ...
    """

    def __init__(
        self,
        app: App,
        *,
        path: str = "/",
        handshake: Handshake | None = None,
        timeout: float | None = None,
        transport: str = "tcp",
        virtual_time: bool = False,
        codec: Codec | None = None,
        grace: float = DEFAULT_GRACE,
        network: Network | None = None,
        fail_on_server_error: bool = True,
        httpserver_options: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        _check_settings(
            handshake=handshake,
            transport=transport,
            virtual_time=virtual_time,
            codec=codec,
            grace=grace,
            network=network,
            fail_on_server_error=fail_on_server_error,
        )
        self.path: str = check_path(path)
        self.handshake = handshake
        self.virtual_time = virtual_time
        self._has_own_timeout = timeout is not None
        self._patience = default_timeout() if timeout is None else check_timeout(timeout)
        self.timeout: float = AN_HOUR if virtual_time and timeout is None else self._patience
        self.codec: Codec = codec or JSON
        self.grace = grace
        self.fail_on_server_error = fail_on_server_error
        self.options: Mapping[str, Any] = options or {}
        build_request(self.path, self.options, {}, app=app)
        self._numbers = itertools.count(1)
        self._clients: list[WebSocketTestClient] = []
        self._connections: list[WebSocketClientConnection] = []
        self._raw: list[RawConnection] = []
        self._by_name: dict[str, WebSocketTestClient | RawConnection] = {}
        self._http_client: SimpleAsyncHTTPClient | None = None
        self._surroundings: Surroundings | None = None
        self._started_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock: Clock | None = None
        self._network_before = network or Network()
        self._network: Network | None = None
        self._main_task: asyncio.Task[Any] | None = None
        self._expecting = "async with expect_server_error"
        self._hang: BaseException | None = None
        self.transcript: Transcript = Transcript(self._now)
        """What happened on every connection, in order."""
        self.server: AppServer = AppServer(
            app, transport=transport, httpserver_options=httpserver_options, transcript=self.transcript
        )
        """The app's server."""

    # Life

    async def start(self, *, adopt: tuple[Any, int] | None = None) -> None:
        """Serve the app. (``async with`` does this.)

        :arg adopt: an `HTTPServer` and its port, if somebody else has started it, and will stop it
        """
        if self._surroundings is not None:
            raise UsageError("this tester is running already")
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        if adopt is not None:
            self.server.adopt(*adopt)
        else:
            await self.server.start()
        if self.virtual_time:
            await self._start_clock()
        if self.server.memory is not None:
            self._network = self._network_before.started(self._loop)
        self._surroundings = Surroundings(
            settling=self.server.settling,
            transcript=self.transcript,
            codec=self.codec,
            timeout=None if self._clock is not None and not self._has_own_timeout else self.timeout,
            patience=self._patience,
            grace=self.grace,
            resolver=LoopResolver(),
            through=self.server.connecting,
            server=self.server,
            plan=self._plan,
            network=self._network,
            clients=self._clients,
        )

    async def _start_clock(self) -> None:
        try:
            self._clock = Clock.of(self.server.settling)
        except UsageError:
            await self.server.stop()
            raise
        self._clock.grace = self.grace
        self._clock.add_victim(self, self._give_up)
        self._started_at = self._loop.time() - self._clock.time() if self._loop is not None else 0.0

    async def close(self) -> None:
        """Close every client in the order they connected, wait for each `on_close`, stop the server.

        Raises `ServerError` if a handler raised that nobody has told of, and `NotSettled` if the app does
        not come to rest; everything is closed all the same. Closing again is nothing.
        """
        __tracebackhide__ = True
        if self._surroundings is None:
            return
        unsettled = await self._disconnect()
        self._surroundings.is_over = True
        self._surroundings.resolver.close()
        self._surroundings = None
        if self._http_client is not None:
            self._http_client.close()
            self._http_client = None
        errors = self.server.watch
        try:
            await self.server.stop(timeout=self._patience, grace=self.grace)
        except NotSettled as error:
            unsettled = unsettled or error
        finally:
            if self._clock is not None:
                self._clock.remove_victim(self)
                self._clock.release()
                self._clock = None
        self._raise_server_errors(errors.untold())
        if unsettled is not None:
            raise unsettled

    async def _disconnect(self) -> NotSettled | None:
        """Close every client, in the order they connected, and end what their handlers still do."""
        if self._network is not None:
            self._network.finish()
        for client in self._clients:
            await client.end()
        for connection in self._connections:
            await self._end_connection(connection)
        for raw in self._raw:
            raw.end()
        unsettled = await self.server.end_handlers(timeout=self._patience, grace=self.grace)
        self._clients.clear()
        self._connections.clear()
        self._raw.clear()
        self._by_name.clear()
        return unsettled

    async def check(self) -> None:
        """Let the app settle, then raise `ServerError` if a handler raised that nobody has told of."""
        __tracebackhide__ = True
        if self._surroundings is not None:
            await self.settle()
            self._raise_server_errors(self.server.watch.untold())

    def explain(self, error: BaseException) -> None:
        """Add to an exception that fails the test what is known: the transcript, and the server's exception."""
        if isinstance(error, (WSTestFailure, UsageError)):
            end_at_the_test(error)
        if self._loop is None or any("transcript" in note for note in getattr(error, "__notes__", ())):
            return
        self.server.watch.note_told(error)
        untold = self.server.watch.untold() if self.fail_on_server_error else []
        if untold and error.__cause__ is None and error.__context__ is None:
            untold[0].was_told = True
            error.__cause__ = untold[0].exception
        first = getattr(error, "client", None)
        unread = [event for client in self._clients for event in client.unread_events()]
        if self.transcript:
            error.add_note(self.transcript.render(first=first if isinstance(first, str) else None, unread=unread))

    async def __aenter__(self) -> "WebSocketTester":
        await self.start()
        self._main_task = asyncio.current_task()
        return self

    def _give_up(self, error: BaseException) -> None:
        """Under virtual time: nothing can happen any more, so end the block."""
        task = self._main_task
        if task is None or task.done():
            # Set up by one task, used by another (asyncSetUp, a fixture): the one that the loop runs now.
            task = main_task(self._loop)
            if task is not None:
                fail_task(task, error)
            return
        if self._hang is None:
            self._hang = error
            task.cancel()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        hang = self._hang if isinstance(exc, asyncio.CancelledError) else None
        if hang is not None and self._main_task is not None:
            self._main_task.uncancel()
            exc = hang
        try:
            if exc is None:
                await self.check()
        except BaseException as error:
            exc = error
            raise
        finally:
            await self._close_after(exc)
        if hang is not None:
            raise hang from None

    # Clients

    def client(
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
        """Connect a client, and take it through the handshake.

        ::

            client = await wstest.client("/chat", name="ann", query={"room": "den"})
            async with wstest.client("/chat") as client:
                ...

        It returns when the handshake is through, and the handler's ``open()`` has finished or is itself
        waiting for something.

        :arg path: a path of the app, with or without a query
        :arg name: how failures call it
        :arg handshake: instead of the tester's; None for none
        :arg handshake_kwargs: keyword arguments for the handshake
        :arg timeout: seconds that a wait of this client lasts
        :arg codec: instead of the tester's
        :arg options: ``headers``, ``origin``, ``cookies``, ``signed_cookies``, ``query`` (added to the
            tester's), ``subprotocols`` (in their place), and those of `websocket_connect` and `HTTPRequest`

        A refused opening handshake raises Tornado's `HTTPClientError`.
        """
        here = self._alive()
        if handshake is CLASS_HANDSHAKE:
            handshake = self.handshake
        check_client_options(handshake=handshake, handshake_kwargs=handshake_kwargs, codec=codec)
        self._plan(path, options, callbacks=False)
        client = WebSocketTestClient(self._name(name), here, codec=codec, timeout=timeout)
        plan = Plan(path, options, handshake, handshake_kwargs or {})
        return Opening(self._open(client, plan))

    def clients(
        self, users: int | Iterable[str] | Mapping[str, Mapping[str, Any]], path: str | None = None, **options: Any
    ) -> Opening[ClientGroup]:
        """Connect several clients at the same time, and return them as a `ClientGroup`.

        ::

            users = await wstest.clients(["ann", "bob"], "/chat", query={"room": "den"})
            await users["ann"].send("hi")
            await users.expect("hi")

        :arg users: how many, or their names, or a mapping of names to the keyword arguments of each
        :arg path: as for `client`, which also takes all other arguments

        If one cannot connect, the others are closed, and its failure is raised. More than ten have more time to
        connect, as they share it.
        """
        self._alive()
        if "name" in options:
            raise UsageError("name= is for one client; a group is given its names: ['ann', 'bob']")
        found = _users(users)
        options = {**self._time_to_connect(len(found), options), **options}
        openings = [self.client(each.pop("path", path), **{**options, "name": name, **each}) for name, each in found]
        return Opening(self._open_all(openings))

    def connect(self, path: str | None = None, **options: Any) -> Coroutine[Any, Any, WebSocketClientConnection]:
        """Connect, and return Tornado's own connection; no handshake, and closed when the test ends.

        ::

            connection = await wstest.connect("/echo")
            self.assertEqual(await connection.read_message(), "hello")

        Takes ``options`` as `client` does.
        """
        self._alive()
        return self._connect(*self._plan(path, options))

    def raw(self, name: str | None = None) -> Opening[RawConnection]:
        """Connect without an opening handshake: bytes out, bytes in. See `RawConnection`.

        ::

            raw = await wstest.raw()
            await raw.send(faults.opening["no key"].at("/chat").data)
            await raw.expect_closed()
            assert raw.status == 400
        """
        here = self._alive()
        return Opening(self._open_raw(self._name(name, "plain connection"), here))

    async def expect_rejected(self, path: str | None = None, *, status: int = 403, **options: Any) -> HTTPResponse:
        """The server refuses the opening handshake with this status; returns its response.

        ::

            response = await wstest.expect_rejected("/chat", status=302)
            assert response.headers["Location"] == "/login"

        Redirects are not followed. With ``status=500`` the exception that caused it is expected, too.
        Raises `NotRejected` if the connection is accepted (and closes it), `WSTestFailure` for another status.
        """
        __tracebackhide__ = True
        self._alive()
        if type(status) is not int:
            raise UsageError(f"status is a number such as 403, not {show(status)}")
        url, request = self._plan(path, options)
        expected = self.server.watch.expected_statuses
        expected.append(status)
        try:
            connection = await self._connect(url, request)
        except HTTPClientError as error:
            if error.response is None or error.code == 599:
                raise
            if error.code != status:
                raise WSTestFailure(
                    f"{request.path} was rejected with {error.code} {error.message}, expected {status}\n"
                    f"its body: {elide(error.response.body.decode(errors='replace'), 400)!r}\n"
                    f"if that is as it should be: expect_rejected({request.path!r}, status={error.code})"
                ) from None
            if status == 500:
                key = native_str(error.response.request.headers.get("Sec-WebSocket-Key", ""))
                for caught in self.server.watch.untold():
                    caught.was_excused = caught.was_excused or caught.served.key == key
            return error.response
        finally:
            expected.remove(status)
        self._connections.remove(connection)
        await self._end_connection(connection)
        raise NotRejected(
            f"{request.path} accepted the opening handshake, expected it to be rejected with {status}\n"
            "does the handler check before open(), in prepare() or check_origin()?"
        )

    async def fetch(self, path: str, *, method: str = "GET", raise_error: bool = False, **options: Any) -> HTTPResponse:
        """Fetch a path of the app over HTTP, without blocking the loop.

        ::

            response = await wstest.fetch("/rooms", method="POST", body="name=den")

        :arg raise_error: raise `HTTPClientError` for a status of 400 and more
        :arg options: keyword arguments of `tornado.httpclient.HTTPRequest`
        """
        __tracebackhide__ = True
        here = self._alive()
        url = self.server.url(check_path(path))
        if self._http_client is None:
            self._http_client = SimpleAsyncHTTPClient(
                force_instance=True, max_clients=10_000, resolver=here.resolver, defaults={"validate_cert": False}
            )
            if self.server.memory is not None and self._network is not None:
                attach = self._network.link("HTTP").attach
                self._http_client.tcp_client = MemoryTCPClient(self.server.memory, here.resolver, attach)
        return await fetch(
            self._http_client, url, path, method=method, timeout=here.timeout, raise_error=raise_error, **options
        )

    # Waiting

    async def settle(self, *, timeout: float | None = None) -> None:
        """Return when everything in flight has been processed: see `tornado_wstest.simulation.settle`.

        Raises `NotSettled` if the app does not come to rest within ``timeout`` real seconds.
        """
        __tracebackhide__ = True
        here = self._alive()
        seconds = self._patience if timeout is None else check_timeout(timeout)
        await here.settling.settle(timeout=seconds, grace=self.grace)
        self.transcript.note_rest()

    async def until(self, predicate: Callable[[], Any], *, timeout: float | None = None) -> Any:
        """Return when ``predicate()`` is true of the app's own state, with what it returned.

        ::

            await wstest.until(lambda: len(app.rooms["den"]) == 2)

        The predicate is asked again every 1 to 20 ms; under virtual time whenever the clock has moved. Raises
        `MessageTimeout`, with what it was, after ``timeout`` seconds.

        :arg predicate: a function, may be async; an exception counts as not yet
        """
        __tracebackhide__ = True
        here = self._alive()
        if not callable(predicate) or isinstance(predicate, type):
            raise UsageError(f"until() takes a function that returns True or False, not {show(predicate)}")
        seconds = here.timeout if timeout is None else check_timeout(timeout)
        return await Patience(self._clock, seconds, self._patience).until(predicate)

    @property
    def clock(self) -> Clock:
        """The test's time, if it is virtual: ``clock.time()``, ``await clock.advance(seconds)``."""
        self._alive()
        if self._clock is None:
            raise UsageError("there is no clock: time is real here; set ws_virtual_time = True (virtual_time=True)")
        return self._clock

    # Blocks

    def expect_server_error(
        self, type: ErrorTypes = Exception, match: str | re.Pattern[str] | None = None
    ) -> ExpectedServerError:
        """In this block a handler must raise an exception of this ``type``.

        ::

            async with wstest.expect_server_error(ValueError, match="room") as caught:
                await client.send("join:")
            assert caught.exception.args == ("no room",)

        :arg match: a regular expression that is searched in the exception's text
        """
        self._alive()
        return ExpectedServerError(self.server.watch, type, match, self.settle)

    def expect_broadcast(
        self, expected: Expected, to: ClientGroup | Iterable[WebSocketTestClient], *, only: bool = False
    ) -> ExpectedBroadcast:
        """In this block, a message like ``expected`` reaches each client in ``to`` once, and nobody else.

        ::

            async with wstest.expect_broadcast({"said": "hi"}, to=users):
                await users["ann"].send({"say": "hi"})

        The messages that match are taken; what was unread before, and what does not match, stays unread. Raises
        `BroadcastMismatch`, with who got it, who did not, and who got it twice.

        :arg only: nothing else came to any client
        """
        return ExpectedBroadcast(self._alive(), self.settle, expected, to, only=only)

    def capture_messages(self) -> CapturedMessages:
        """Take the messages that a block caused: pairs of a client and a value, in the order of their arrival.

        ::

            async with wstest.capture_messages() as captured:
                await ann.send({"say": "hi"})
            assert captured == [(ann, {"said": "hi"}), (bob, {"said": "hi"})]

        What was unread before stays unread.
        """
        return CapturedMessages(self._alive(), self.settle)

    # Users

    def session(
        self,
        name: str | None = None,
        *,
        cookies: Mapping[str, str] | None = None,
        signed_cookies: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Session:
        """One user, whose cookies HTTP requests and websockets share. See `Session`.

        ::

            ann = wstest.session("ann")
            await ann.fetch("/login", method="POST", data={"name": "ann"})
            client = await ann.ws_client("/chat")

        :arg name: how failures call the user's clients
        :arg cookies: what the user has from the start
        :arg signed_cookies: the same, signed as the app's `set_signed_cookie` does it
        :arg headers: go with every request of the user
        """
        self._alive()
        return Session(self, name, cookies=cookies, signed_cookies=signed_cookies, headers=headers, now=self._now)

    async def play(self, *scenarios: Scenario, timeout: float | None = None) -> None:
        """Play the conversations of several users, all at once. See `Scenario`.

        ::

            await wstest.play(rob, ann)

        Raises `ScenarioFailed`, with whose step failed, why, and where the others were; `UsageError` for
        scenarios that cannot be played: two of one name, one without steps, a mark that nobody sets.

        :arg timeout: seconds for the whole play; by default twice as long as a wait, and what the scenarios
            `wait` in between. Under virtual time it ends by default when nothing can happen
        """
        __tracebackhide__ = True
        await Play(self.session, self._alive(), scenarios, timeout).run()

    @property
    def network(self) -> Network:
        """The links of all clients, over the memory transport: ``network.stall()``, ``network.latency = 0.2``."""
        self._alive()
        if self._network is None:
            raise UsageError(
                "there is no network to simulate over TCP: set ws_transport = 'memory' (transport='memory')"
            )
        return self._network

    # Inside

    def _alive(self) -> Surroundings:
        if self._surroundings is None:
            raise UsageError("this tester is not running: it has not been started, or its test is over")
        return self._surroundings

    def _now(self) -> float:
        return self._loop.time() - self._started_at if self._loop is not None else 0.0

    def _name(self, name: str | None, kind: str = "client") -> str:
        if name is None:
            return f"{kind} {next(self._numbers)}"
        if not isinstance(name, str) or not name:
            raise UsageError(f"a client's name is a str, not {show(name)}")
        other = self._by_name.get(name)
        if other is not None and not other.closed:
            raise UsageError(f"there is an open client named {name!r} already: names tell clients apart")
        return name

    def _plan(
        self, path: str | None, options: Mapping[str, Any], *, callbacks: bool = True
    ) -> tuple[str, HandshakeRequest]:
        """From a path and options of one connection to a URL and its request."""
        checked = self.path if path is None else check_path(path)
        common = self.options
        if self.server.protocol == "https" and "validate_cert" not in common:
            common = {"validate_cert": False, **common}
        also = () if callbacks else CLIENT_OPTIONS
        request = build_request(checked, common, options, app=self.server.app, callbacks=callbacks, also=also)
        return self.server.ws_url(request.path), request

    async def _open(self, client: WebSocketTestClient, plan: Plan) -> WebSocketTestClient:
        __tracebackhide__ = True
        self._clients.append(client)
        self._by_name[client.name] = client
        await client.open(plan)
        return client

    def _time_to_connect(self, count: int, options: Mapping[str, Any]) -> dict[str, float]:
        """Return the time-outs of so many who connect at the same time: the last needs as long as all together."""
        seconds = options.get("timeout") or self._alive().timeout
        if seconds is None or count <= _AT_ONCE:
            return {}
        names = {"connect_timeout", "request_timeout"} - self.options.keys()
        return dict.fromkeys(names, check_timeout(seconds) * count / _AT_ONCE)

    async def _open_raw(self, name: str, here: Surroundings) -> RawConnection:
        __tracebackhide__ = True
        raw = await open_raw(name, here, self.server)
        self._raw.append(raw)
        self._by_name[name] = raw
        return raw

    async def _open_all(self, openings: list[Opening[WebSocketTestClient]]) -> ClientGroup:
        __tracebackhide__ = True
        results = await asyncio.gather(*openings, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        clients = [result for result in results if isinstance(result, WebSocketTestClient)]
        if failures:
            for client in clients:
                await client.end()
            raise failures[0]
        return ClientGroup(clients, self._alive())

    async def _connect(self, url: str, request: HandshakeRequest) -> WebSocketClientConnection:
        __tracebackhide__ = True
        here = self._alive()
        name = f"connection {next(self._numbers)}"
        self.transcript.record(name, "connect", mask_query(request.path))
        link = None if self._network is None else self._network.link(name)
        try:
            connection = await open_connection(
                url, request, timeout=here.timeout, resolver=here.resolver, through=here.through(link)
            )
        except HTTPClientError as error:
            self.transcript.record(name, "reject", f"{error.code} {error.message or ''}".strip())
            raise
        self._connections.append(connection)
        served = self.server.find(native_str(connection.key))
        if served is not None:
            served.watch.name(served, name)
        return connection

    async def _end_connection(self, connection: WebSocketClientConnection) -> None:
        """Close a plain connection, whether or not somebody reads from it."""
        here = self._alive()
        protocol = connection.protocol
        connection.on_message = _discard  # type: ignore[method-assign]
        # The receive loop may stand still in a queue of one message: make room, once.
        if not connection.read_queue.empty():
            connection.read_queue.get_nowait()
        connection.close()
        with contextlib.suppress(NotSettled):  # the server's own end waits for the same, and says so
            await here.settling.settle(timeout=self._patience, grace=self.grace)
        stream = getattr(protocol, "stream", None)
        if stream is not None:
            stream.close()

    async def _close_after(self, error: BaseException | None) -> None:
        """Close; what closing raises is told only if nothing else has failed."""
        __tracebackhide__ = True
        if error is not None:
            self.explain(error)
        try:
            await self.close()
        except WSTestFailure as closing_error:
            if error is None:
                self.explain(closing_error)
                raise

    def _raise_server_errors(self, errors: list[Caught]) -> None:
        __tracebackhide__ = True
        if not errors or not self.fail_on_server_error:
            return
        for caught in errors:
            caught.was_told = True
        first = errors[0]
        others = "".join(f"\nand then {caught.with_client()}" for caught in errors[1:6])
        raise ServerError(
            f"{first.with_client()}{others}\n"
            f"if this is as it should be, expect it: {self._expecting}({type(first.exception).__name__}): ...",
            client=first.served.client or None,
            exception=first.exception,
        ) from first.exception


def _check_settings(
    *,
    handshake: Any,
    transport: Any,
    virtual_time: Any,
    codec: Any,
    grace: Any,
    network: Any,
    fail_on_server_error: Any,
) -> None:
    check_client_options(handshake=handshake, handshake_kwargs=None, codec=codec)
    check_seconds(grace, "grace")
    if not isinstance(fail_on_server_error, bool):
        raise UsageError(f"fail_on_server_error is True or False, not {show(fail_on_server_error)}")
    if transport not in ("tcp", "memory"):
        raise UsageError(f"transport is 'tcp' or 'memory', not {show(transport)}")
    if not isinstance(virtual_time, bool):
        raise UsageError(f"virtual_time is True or False, not {show(virtual_time)}")
    if network is not None and not isinstance(network, Network):
        raise UsageError(
            f"network (ws_network) is a Network(latency=, jitter=, bandwidth=, seed=), not {show(network)}"
        )
    if network is not None and transport != "memory":
        raise UsageError(
            "network (ws_network) is for the memory transport: over TCP the network is a real one\n"
            "set ws_transport = 'memory' (transport='memory'), or leave the network out"
        )


def _users(users: Any) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the name and the keyword arguments of each user of a group."""
    if isinstance(users, int) and not isinstance(users, bool):
        found: list[tuple[str | None, dict[str, Any]]] = [(None, {}) for _ in range(users)]
    elif isinstance(users, Mapping) and all(isinstance(each, Mapping) for each in users.values()):
        found = [(name, dict(each)) for name, each in users.items()]
    elif isinstance(users, Iterable) and not isinstance(users, (str, bytes, Mapping)):
        found = [(name, {}) for name in users]
    else:
        raise UsageError(f"a group is a number, names, or a mapping of names to keyword arguments, not {show(users)}")
    if not found:
        raise UsageError(f"a group has one client at least, not {show(users)}")
    for name, each in found:
        if "name" in each:
            raise UsageError(f"the group's {name!r} has a name= of its own; the names are those of the mapping")
    names = [name for name, _ in found if name is not None]
    if len(set(names)) != len(names):
        raise UsageError(f"the names of a group are different, not {show(names)}")
    return found


def _discard(message: Any) -> Awaitable[None] | None:
    return None
