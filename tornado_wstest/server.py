"""The app under test on an unused port, from bind to the last `on_close`.

What is watched is replaced on the `HTTPServer`'s instance: `handle_stream`, `start_request`, `on_close`.
Private parts (Tornado 6.3 to 6.6): the ``handler`` and ``delegate`` of Tornado's own delegates lead to the
handler of a request (where they are missing, a client has no ``handler``, and errors are not seen);
``TCPServer._sockets`` are the listening sockets, ``TCPServer._handlers`` what stops accepting on each (`restart` needs
both, because a Tornado server that was stopped cannot start again); ``HTTP1ServerConnection._serving_future``, a task,
is let go of when it is over, because ``asyncio.all_tasks`` looks at it until the garbage is collected;
``IOStream._write_buffer``, what was written and not sent, is what `AppServer.buffered` measures, because Tornado tells
nobody how far behind a client is; where it is missing, that is refused.
"""

import asyncio
import contextlib
import errno
import functools
import inspect
import os
import socket
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPInputError, HTTPServerConnectionDelegate
from tornado.iostream import IOStream
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from .errors import NotSettled, UsageError
from .hooks import LoopHooks
from .request import check_seconds
from .simulation.memory import MemoryListener, MemoryStream
from .simulation.network import Link
from .simulation.orders import exploring
from .simulation.settle import Settling
from .simulation.tasks import describe_task
from .text import show
from .transcript import Transcript
from .watch import Served, ServerWatch, current, run_as

__all__ = ["AppServer", "check_app"]

_BACKLOG = 65_535
_LEAST_BUFFER = 1024
_MOST_UNCLAIMED = 1000
_MEMORY_PORT = 1
"""The port in the URLs of a server over memory, where nothing listens."""

App = Application | HTTPServerConnectionDelegate | Callable[..., Any]


class AppServer:
    """An app, served by a real `tornado.httpserver.HTTPServer` on 127.0.0.1.

    ::

        async with AppServer(make_app()) as server:
            connection = await websocket_connect(server.ws_url("/chat"))

    `WebSocketTester` and the test cases have one already (``self.ws_server``); by itself it is for those
    who bring clients of their own.

    :arg app: an `Application`, or whatever else `HTTPServer` takes
    :arg transport: ``"tcp"`` or ``"memory"``, over which nothing listens
    :arg httpserver_options: keyword arguments for `HTTPServer`
    """

    def __init__(
        self,
        app: App,
        *,
        transport: str = "tcp",
        httpserver_options: Mapping[str, Any] | None = None,
        transcript: Transcript | None = None,
    ) -> None:
        check_app(app, "AppServer()")
        self.app = app
        self.port: int = 0
        """The port that it listens on; 0 before it has started."""
        self.protocol: str = "http"
        self.served: dict[Served, None] = {}
        """What the server knows of each connection that has not ended, oldest first."""
        self._streams: weakref.WeakSet[IOStream] = weakref.WeakSet()
        """All that were accepted: one that is kept alive for more HTTP requests is open, and belongs to no handler."""
        self.memory: MemoryListener | None = None
        """Where connections over memory arrive."""
        self._transport = transport
        self._by_key: dict[str, Served] = {}
        self._unclaimed: dict[str, Served] = {}
        self._options = dict(httpserver_options or {})
        self._transcript = transcript
        self._http_server: HTTPServer | None = None
        self._owns_http_server = True
        self._is_down = False

    def serve(self, app: App) -> None:
        """Serve another app from now on, to connections that are still to come."""
        check_app(app, "serve()")
        self.app = app
        if self._http_server is not None:
            self._http_server.request_callback = app

    @property
    def handlers(self) -> list[RequestHandler]:
        """The open websocket handlers, in the order in which they connected."""
        return [served.handler for served in self.served if served.is_open and served.handler is not None]

    def url(self, path: str = "/") -> str:
        """Return the URL of ``path`` for HTTP."""
        return f"{self.protocol}://127.0.0.1:{self.port}{path}"

    def ws_url(self, path: str = "/") -> str:
        """Return the URL of ``path`` for websockets."""
        return f"{'wss' if self.protocol == 'https' else 'ws'}://127.0.0.1:{self.port}{path}"

    async def start(self) -> None:
        """Bind an unused port and serve the app there."""
        if self._http_server is not None:
            raise UsageError("this server is running already")
        self._check_order()
        http_server = HTTPServer(self.app, **self._options)
        if self._transport == "memory":
            self.adopt(http_server, _MEMORY_PORT)
            self._owns_http_server = True
            return
        sock, port = bind_unused_port()
        self.adopt(http_server, port)
        self._owns_http_server = True
        try:
            http_server.add_sockets([sock])
            self._widen_backlog()
        except BaseException:
            sock.close()
            self._release()
            raise

    def adopt(self, http_server: HTTPServer, port: int) -> None:
        """Watch a server that somebody else has started, and will stop."""
        self._owns_http_server = False
        self._check_order()
        if self._transport == "memory" and http_server.ssl_options is not None:
            raise UsageError("there is no TLS over the memory transport: use ws_transport = 'tcp' for wss")
        self._http_server = http_server
        self.port = port
        self.protocol = "https" if http_server.ssl_options is not None else "http"
        self._loop = asyncio.get_event_loop()
        self.settling: Settling = Settling.of(self._loop)
        self.settling.ports.add(port)
        transcript = Transcript(self._loop.time) if self._transcript is None else self._transcript
        self.watch: ServerWatch = ServerWatch(transcript)
        LoopHooks.acquire(self._loop)
        self._handle_stream = http_server.handle_stream
        self._start_request = http_server.start_request
        self._on_close = http_server.on_close
        http_server.handle_stream = self._watch_stream  # type: ignore[method-assign, assignment]
        http_server.start_request = self._watch_request  # type: ignore[method-assign]
        http_server.on_close = self._watch_http_end  # type: ignore[method-assign]
        self._widen_backlog()
        if self._transport == "memory":
            if self.settling.selector is None:
                self._release()
                raise UsageError(
                    f"the memory transport needs a loop whose selector can be looked into;"
                    f" {type(self._loop).__name__} has none\nuse ws_transport = 'tcp' here"
                )
            self.memory = MemoryListener(self.settling.selector, port, self._accept)
            orders = exploring.get()
            if orders is not None:
                orders.install(self.settling.selector, self.memory)
                self.watch.notes_calls = True
                # A line a connection and a run on the access log would bury what failed.
                self.watch.expected_statuses.append(101)

    def _check_order(self) -> None:
        if self._transport != "memory" and exploring.get() is not None:
            raise UsageError(
                "explore() orders what is delivered over the memory transport, and this server is one over TCP:"
                " the kernel's order is not ours to choose\n"
                "set ws_transport = 'memory' on the test case, or WebSocketTester(app, transport='memory')"
            )

    def _widen_backlog(self) -> None:
        """Let more than 128 clients connect at once: the kernel lets those beyond try again a second later."""
        for sock in getattr(self._http_server, "_sockets", {}).values():
            sock.listen(_BACKLOG)

    async def stop(self, *, timeout: float = 2, grace: float = 0.02) -> None:
        """Close what is still open, wait for each `on_close`, stop listening.

        A handler that still awaits something when the app has settled is cancelled in silence. Raises
        `NotSettled`, after everything has been stopped, if the app does not come to rest within
        ``timeout`` seconds.
        """
        http_server = self._http_server
        if http_server is None:
            return
        unsettled = None
        try:
            if self._owns_http_server:
                http_server.stop()
            # Tornado's own stop leaves websockets and their handlers alive.
            for stream in list(self._streams):
                stream.close()
            unsettled = await self.end_handlers(timeout=timeout, grace=grace)
            if self._owns_http_server:
                with contextlib.suppress(TimeoutError):  # what does not end has been named above
                    await asyncio.wait_for(http_server.close_all_connections(), timeout)
        finally:
            self._release()
        if unsettled is not None:
            raise unsettled

    async def restart(self, *, downtime: float = 0, timeout: float = 2, grace: float = 0.02) -> None:
        """Go down as a process that is killed, and come up again: the same port, the same app.

        ::

            await self.ws_server.restart()
            await client.expect_closed(1006)
            await client.reconnect()

        Every connection is dropped without a close frame, each `on_close` runs, what handlers still have under way is
        cancelled in silence. What the app keeps in memory stays, because the app is the same object: a test of what
        survives a restart clears that by itself. While the server is down, whoever connects is refused. It returns
        when the server listens again. (A server that says good-bye first: ``for handler in self.ws_server.handlers:
        handler.close(1001)`` and ``await self.settle()``.)

        :arg downtime: seconds for which nothing listens, by the loop's time: virtual ones under virtual time

        Raises `NotSettled`, when the server is up again, if the app does not come to rest within ``timeout`` seconds.
        """
        __tracebackhide__ = True
        check_seconds(downtime, "downtime")
        if self._http_server is None:
            raise UsageError("this server is not running: start() it")
        if self._is_down:
            raise UsageError("this server is restarting already")
        sock = self._go_down()
        try:
            unsettled = await self.end_handlers(timeout=timeout, grace=grace)
            if downtime:
                await asyncio.sleep(downtime)
        finally:
            self._come_up(sock)
        if unsettled is not None:
            raise unsettled

    def _go_down(self) -> socket.socket | None:
        """Stop listening, and drop every connection; return a socket that keeps the port, but does not listen."""
        self._is_down = True
        sock = None
        server: Any = self._http_server
        for fd, listening in list(server._sockets.items()):
            server._handlers.pop(fd)()
            del server._sockets[fd]
            address = listening.getsockname()
            listening.close()
            if address[:2] == ("127.0.0.1", self.port):
                sock = _bind_again(address)
        if self.memory is not None:
            self.memory.connect = _refuse  # type: ignore[method-assign]
        for served in list(self.served):
            served.stream.close()
        return sock

    def _come_up(self, sock: socket.socket | None) -> None:
        self._is_down = False
        if self.memory is not None:
            del self.memory.connect
        if sock is not None and self._http_server is None:
            sock.close()  # the test has ended meanwhile
        elif sock is not None and self._http_server is not None:
            sock.listen(_BACKLOG)
            self._http_server.add_sockets([sock])

    async def end_handlers(self, *, timeout: float, grace: float) -> NotSettled | None:
        """Settle, then cancel what the handlers of closed connections still have under way."""
        unsettled = None
        try:
            await self.settling.settle(timeout=timeout, grace=grace)
        except NotSettled as error:
            unsettled = error
        over = [served for served in self.served if served.stream.closed() or served.closed.done()]
        still_open = [served for served in over if served.is_open]
        tasks = [task for served in over for task in served.tasks]
        for served in over:
            served.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=timeout)
            if pending:
                lines = "".join(f"\n  {describe_task(task)}" for task in pending)
                await _close_coroutines(pending)
                unsettled = unsettled or NotSettled(
                    f"a handler did not end within {timeout:g} s when it was cancelled:{lines}\n"
                    "does it catch CancelledError and go on?"
                )
        for served in still_open:
            _run_on_close(served)
        for served in over:
            self._forget(served)
        return unsettled

    @property
    def buffer_size(self) -> int:
        """Over memory, how many bytes each direction of a connection holds: 64 KiB unless set otherwise."""
        return self._memory_listener().buffer_size

    @buffer_size.setter
    def buffer_size(self, size: int) -> None:
        listener = self._memory_listener()
        if isinstance(size, bool) or not isinstance(size, int) or size < _LEAST_BUFFER:
            raise UsageError(
                f"buffer_size is a number of bytes, {_LEAST_BUFFER} or more, not {show(size)}:"
                " Tornado counts on the headers of a response to fit in"
            )
        listener.buffer_size = size

    def connecting(self, link: Link | None = None) -> contextlib.AbstractContextManager[None]:
        """In this block, `websocket_connect` connects over this server's transport.

        :arg link: and over this link, if the transport is memory
        """
        if self.memory is None:
            return contextlib.nullcontext()
        return self.memory.connecting(None if link is None else link.attach)

    def _memory_listener(self) -> MemoryListener:
        if self.memory is None:
            raise UsageError("buffer_size is for the memory transport: the kernel has its own over TCP")
        return self.memory

    def _accept(self, stream: MemoryStream, address: tuple[str, int]) -> None:
        """A connection over memory has arrived."""
        if self._http_server is None or self._is_down:
            stream.close()
        else:
            self._http_server.handle_stream(stream, address)  # type: ignore[arg-type]

    def find(self, key: str) -> Served | None:
        """Return the connection whose opening handshake had this ``Sec-WebSocket-Key``."""
        return self._by_key.get(key) or self._unclaimed.pop(key, None)

    def at_the_other_end(self, stream: IOStream) -> Served | None:
        """Return what the server knows of a connection, by the addresses of its ends."""
        name = stream.socket.getsockname()
        here = (served for served in self.served if served.stream.socket is not None)
        return next((served for served in here if _peer(served.stream) == name), None)

    def buffered(self, served: Served) -> int:
        """Return how many bytes the server holds for one client, the kernel's own buffers not counted."""
        if served.stream.closed():
            return 0
        buffer = getattr(served.stream, "_write_buffer", None)
        if buffer is None:
            raise UsageError("this version of Tornado hides what its streams hold: server_buffer cannot be known")
        return len(buffer)

    async def __aenter__(self) -> "AppServer":
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def _release(self) -> None:
        http_server, self._http_server = self._http_server, None
        if http_server is not None:
            del http_server.handle_stream
            del http_server.start_request
            del http_server.on_close
            self.settling.ports.discard(self.port)
            self.watch.close()
            LoopHooks.release(self._loop)
            self.settling.release()

    def _watch_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
        """Stands for `HTTPServer.handle_stream`."""
        served = Served(self.watch, stream, self._forget)
        self.served[served] = None
        self._streams.add(stream)
        stream.set_nodelay(True)
        # http1connection turns Nagle's algorithm on again after each response, the 101 included; two small
        # frames back to back could then wait 40 ms for a delayed acknowledgement.
        stream.set_nodelay = _keep_nodelay  # type: ignore[method-assign]
        result: Awaitable[None] | None = run_as(served, self._handle_stream, stream, address)
        return result

    def _watch_request(self, server_conn: object, request_conn: Any) -> Any:
        """Stands for `HTTPServer.start_request`."""
        delegate = self._start_request(server_conn, request_conn)
        served = current.get()
        if served is not None:
            for name in ("headers_received", "finish"):
                method = getattr(delegate, name)
                setattr(delegate, name, functools.partial(_attach_after, self._by_key, served, delegate, method))
        return delegate

    def _watch_http_end(self, server_conn: object) -> None:
        """Stands for `HTTPServer.on_close`: the connection is closed, or has become a websocket."""
        served = current.get()
        if served is not None and not served.is_open and not served.tasks:
            self._forget(served)
        self._on_close(server_conn)
        if hasattr(server_conn, "_serving_future"):
            # What it waits for is over; a task that is over and not collected slows asyncio.all_tasks() down.
            server_conn._serving_future = None

    def _forget(self, served: Served) -> None:
        self.served.pop(served, None)
        if self._by_key.get(served.key) is served:
            del self._by_key[served.key]
        if served.key and not served.client:
            # Its client may still come and ask: the connection ended while it was being opened.
            self._unclaimed[served.key] = served
            if len(self._unclaimed) > _MOST_UNCLAIMED:
                del self._unclaimed[next(iter(self._unclaimed))]


def _bind_again(address: tuple[str, int]) -> socket.socket:
    """Return a socket that has the address of one that was closed just now."""
    sock = socket.socket()
    sock.setblocking(False)
    if os.name != "nt":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    return sock


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """Stands for `MemoryListener.connect` while the server is down."""
    raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _peer(stream: IOStream) -> Any:
    with contextlib.suppress(OSError):
        return stream.socket.getpeername()
    return None


def check_app(app: object, where: str) -> None:
    """Raise `UsageError` if ``app`` is nothing that `HTTPServer` can serve."""
    if inspect.iscoroutine(app):
        app.close()
        raise UsageError(f"{where} got a coroutine as its app: await it first")
    if isinstance(app, type) or not (isinstance(app, HTTPServerConnectionDelegate) or callable(app)):
        hint = "\nhas get_app() forgotten its return?" if app is None else ""
        raise UsageError(f"{where} got {show(app)} as its app; it must be a tornado.web.Application{hint}")


def _attach_after(
    by_key: dict[str, Served], served: Served, delegate: Any, method: Callable[..., Any], *args: Any
) -> Any:
    """Call a delegate's method, then find the handler that it has made. It has run nothing yet."""
    try:
        result = method(*args)
    except HTTPInputError:
        raise  # the request is malformed, and Tornado answers that
    except Exception as error:
        # Raised by __init__ or initialize of the handler: Tornado logs it and drops the connection.
        served.watch.catch(served, error)
        raise
    handler = _handler_of(delegate)
    if handler is not None and handler is not served.handler:
        served.attach(handler)
        if served.key:
            by_key[served.key] = served
    return result


def _handler_of(delegate: Any) -> RequestHandler | None:
    """Follow nested routers and adapters to the handler, if there is one yet."""
    while delegate is not None:
        handler = vars(delegate).get("handler")
        if isinstance(handler, RequestHandler):
            return handler
        delegate = vars(delegate).get("delegate")
    return None


async def _close_coroutines(tasks: "set[asyncio.Task[Any]]") -> None:
    """End tasks that go on when they are cancelled: whoever waits for all tasks of the loop would wait for ever."""
    for task in tasks:
        coroutine = task.get_coro()
        with contextlib.suppress(Exception):
            if coroutine is not None:
                coroutine.close()
        task.cancel()
    done, _ = await asyncio.wait(tasks, timeout=1)
    for task in done:
        if not task.cancelled():
            task.exception()  # that a closed coroutine cannot go on is no news


def _run_on_close(served: Served) -> None:
    """Run `on_close` where Tornado (up to 6.5) never does: for a handler whose task was cancelled."""
    assert served.handler is not None
    with contextlib.suppress(Exception):
        # Does nothing where on_close has been called already.
        served.handler.on_connection_close()
    served.finish()


def _keep_nodelay(value: bool) -> None:
    """Stands for `IOStream.set_nodelay` on the server's streams: it is on, and stays on."""
