"""Clients of a server elsewhere: staging, a live server, another process."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from .client import WebSocketTestClient
from .codec import JSON, Codec
from .endpoint import Surroundings
from .errors import UsageError
from .handshake import Handshake
from .opening import Opening
from .patience import DEFAULT_GRACE, default_timeout
from .plan import Plan, check_client_options
from .playing import Play
from .request import CLIENT_OPTIONS, HandshakeRequest, build_request, check_path, check_timeout
from .scenario import Scenario
from .session import Session
from .simulation.settle import Settling
from .text import show
from .transcript import Transcript
from .wire import LoopResolver, fetch

__all__ = ["connect", "play"]

__unittest = True


def connect(url: str, **options: Any) -> contextlib.AbstractAsyncContextManager[WebSocketTestClient]:
    """Connect a client to a server elsewhere: staging, a live server, another process.

    ::

        async with connect("wss://staging.example.org/chat", handshake=discard(1)) as client:
            await client.send("foo")
            await client.expect("foo")

    Takes what `WebSocketTester.client` takes, and a URL for the path. What another process does cannot be
    seen: ``handler`` is None, and silence means that nothing came for a moment (20 ms).
    """
    _check_url("connect", url)
    check_client_options(**{name: options.get(name) for name in ("handshake", "handshake_kwargs", "codec")})
    return _connected(url, **options)


async def play(*scenarios: Scenario, url: str, timeout: float | None = None) -> None:
    """Play the conversations of several users against a server elsewhere. See `Scenario`.

    ::

        await play(rob, ann, url="wss://staging.example.org")

    :arg url: where the server is; the scenarios' paths are appended to it, also those that they `fetch`
    :arg timeout: seconds for the whole play; by default four fifths of ``ASYNC_TEST_TIMEOUT`` (4), and what the
        scenarios `wait` in between

    Raises what `WebSocketTester.play` raises, with the transcript as a note.
    """
    __tracebackhide__ = True
    _check_url("play", url)
    _check_paths(url, scenarios)
    async with _Elsewhere(url, default_timeout()) as there:
        await Play(there.session, there.around, scenarios, timeout, prefix=there.prefix).run()


@contextlib.asynccontextmanager
async def _connected(
    url: str, *, name: str = "client", timeout: float | None = None, **options: Any
) -> AsyncIterator[WebSocketTestClient]:
    async with _Elsewhere(url, default_timeout() if timeout is None else check_timeout(timeout)) as there:
        client = await there.client(name=name, **options)
        yield client
        await client.close()


class _Elsewhere:
    """What stands for a `WebSocketTester` where the server is elsewhere: clients, HTTP, sessions, a transcript."""

    app = None

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._ws_base = f"{parts.scheme}://{parts.netloc}"
        self.prefix = parts.path.rstrip("/")
        self._whole_path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._numbers = itertools.count(1)
        self._clients: list[WebSocketTestClient] = []
        self._http_client: SimpleAsyncHTTPClient | None = None
        loop = asyncio.get_running_loop()
        self._started_at = loop.time()
        self.protocol = "https" if parts.scheme == "wss" else "http"
        self.around = Surroundings(
            settling=Settling.of(loop),
            transcript=Transcript(self._now),
            codec=JSON,
            timeout=timeout,
            patience=default_timeout(),
            grace=DEFAULT_GRACE,
            resolver=LoopResolver(),
            through=contextlib.nullcontext,
            server=None,
            plan=self._plan,
            clients=self._clients,
        )

    async def __aenter__(self) -> "_Elsewhere":
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, tb: object) -> None:
        __tracebackhide__ = True
        if exc is not None and self.around.transcript:
            unread = [event for client in self._clients for event in client.unread_events()]
            first = getattr(exc, "client", None) or (self._clients[0].name if self._clients else None)
            exc.add_note(self.around.transcript.render(first=first, unread=unread))
        self.around.is_over = True
        for client in self._clients:
            await client.end()
        if self._http_client is not None:
            self._http_client.close()
        self.around.resolver.close()
        self.around.settling.release()

    @property
    def server(self) -> "_Elsewhere":
        """What a session wants to know of the server, this knows."""
        return self

    def url(self, path: str) -> str:
        """Return the HTTP URL of a path."""
        return f"{self.protocol}{self._ws_base[self._ws_base.index(':') :]}{path}"

    def client(
        self,
        path: str | None = None,
        *,
        name: str | None = None,
        handshake: Handshake | None = None,
        handshake_kwargs: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        codec: Codec | None = None,
        **options: Any,
    ) -> Opening[WebSocketTestClient]:
        """Connect a client, and take it through the handshake. See `WebSocketTester.client`."""
        check_client_options(handshake=handshake, handshake_kwargs=handshake_kwargs, codec=codec)
        client = WebSocketTestClient(name or f"client {next(self._numbers)}", self.around, codec=codec, timeout=timeout)
        return Opening(self._open(client, Plan(path, options, handshake, handshake_kwargs or {})))

    async def fetch(self, path: str, *, method: str = "GET", raise_error: bool = False, **options: Any) -> HTTPResponse:
        """Fetch a path over HTTP."""
        if self._http_client is None:
            self._http_client = SimpleAsyncHTTPClient(force_instance=True, max_clients=10_000)
        timeout = self.around.timeout
        return await fetch(
            self._http_client, self.url(path), path, method=method, timeout=timeout, raise_error=raise_error, **options
        )

    def session(self, name: str | None = None, **options: Any) -> Session:
        """One user, whose cookies HTTP requests and websockets share. See `Session`."""
        here: Any = self  # all that a play asks of a session: fetch() and ws_client()
        return Session(here, name, now=self._now, **options)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._started_at

    def _plan(self, path: str | None, options: Mapping[str, Any]) -> tuple[str, HandshakeRequest]:
        checked = check_path(path or self._whole_path)
        request = build_request(checked, {}, options, callbacks=False, also=CLIENT_OPTIONS)
        return self._ws_base + request.path, request

    async def _open(self, client: WebSocketTestClient, plan: Plan) -> WebSocketTestClient:
        __tracebackhide__ = True
        self._clients.append(client)
        await client.open(plan)
        return client


def _check_url(function: str, url: object) -> None:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        _ = parts.port  # raises for what is none
    except ValueError as error:
        raise UsageError(f"{function}() cannot connect to {show(url)}: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.netloc:
        raise UsageError(f"{function}() takes a URL such as 'ws://127.0.0.1:8888/chat', not {show(url)}")
    if parts.fragment:
        raise UsageError(f"the URL {show(url)} has a fragment, which no server gets to see (RFC 6455, section 3)")


def _check_paths(url: str, scenarios: Sequence[Scenario]) -> None:
    """Raise `UsageError` for a path that would have to stand behind a query."""
    for scenario in scenarios if urlsplit(url).query else ():
        if isinstance(scenario, Scenario) and scenario.path is not None:
            raise UsageError(
                f"the URL {show(url)} has a query, and the path {scenario.path!r} cannot be appended to it\n"
                "what goes with each connection of a user: Scenario(path, query=...)"
            )
