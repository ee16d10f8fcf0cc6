"""Tornado's client connection, and the few places where we look behind its front.

A `Wire` is one `tornado.websocket.WebSocketClientConnection`, opened with `websocket_connect`. The private
parts that the client's side needs (Tornado 6.3 to 6.6):

- ``WebSocketProtocol._abort`` is wrapped, because without it a close frame that carries no code cannot be
  told from no close frame at all. Where it is missing, both read 1006. ``_wire_bytes_out`` tells the same of
  a connection that ended in the turn that opened it.
- ``WebSocketProtocol13._write_frame`` and ``_compressor``, because Tornado's ``write_message`` makes a task for each
  message, only to name an exception otherwise. Where one is missing, and for compressed messages, it is called itself.
- ``IOLoop.readers`` and ``IOLoop.selector_loop``, to stop reading from a socket for a while: Tornado has no
  way to pause a stream. Where they are missing, `pause` raises `UsageError`.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.netutil import Resolver, is_valid_ip
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from .codec import Message
from .errors import MessageTimeout, UsageError
from .frames import NO_CODE, NO_FRAME, Opcode
from .request import HandshakeRequest
from .simulation.memory import MemoryStream

__all__ = ["LoopResolver", "Wire", "fetch", "open_connection"]


class LoopResolver(Resolver):
    """Answers for IP addresses at once; asks a thread for names only.

    Tornado's own resolves even 127.0.0.1 in a thread: 0.3 ms a connection, and a loop that seems to be
    at rest while the thread works.
    """

    _fallback: Resolver | None = None

    def initialize(self) -> None:
        """Called by Tornado in place of ``__init__``."""

    def resolve(self, host: str, port: int, family: Any = 0) -> Awaitable[list[tuple[int, Any]]]:
        """Return the addresses of ``host``; they are there already if it is an address."""
        if is_valid_ip(host) and ":" not in host:
            known: asyncio.Future[list[tuple[int, Any]]] = asyncio.Future()
            known.set_result([(socket.AF_INET, (host, port))])
            return known
        if self._fallback is None:
            self._fallback = Resolver()
        return self._fallback.resolve(host, port, family)

    def close(self) -> None:
        """Give the thread back, if there was one."""
        if self._fallback is not None:
            self._fallback.close()


async def open_connection(
    url: str,
    request: HandshakeRequest,
    *,
    timeout: float | None,
    resolver: Resolver,
    through: contextlib.AbstractContextManager[None],
    **connect_options: Any,
) -> WebSocketClientConnection:
    """Open a connection with `websocket_connect`, within ``timeout`` seconds (None for no limit).

    :arg through: entered while `websocket_connect` is called: over which transport it connects

    A refused opening handshake is Tornado's `HTTPClientError`; none that is answered in time is a
    `MessageTimeout`.
    """
    # For Tornado, 0 is no limit.
    options = {"connect_timeout": timeout or 0, "request_timeout": timeout or 0, **request.request_options}
    http_request = HTTPRequest(url, headers=request.headers, **options)
    connect_options = {"resolver": resolver, **request.connect_options, **connect_options}
    try:
        with through:
            opening: Any = websocket_connect(http_request, **connect_options)
        # Shielded, because a connection whose opening is cancelled comes to be all the same, unknown to anybody.
        connection: WebSocketClientConnection = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_discard)
        raise
    except HTTPTimeoutError as error:
        raise MessageTimeout(
            f"no answer to the opening handshake of {request.path} within {options['request_timeout']:g} s ({error})\n"
            "is the handler's prepare() or get() still waiting for something? raise the wait with request_timeout="
        ) from None
    except HTTPClientError as error:
        request.keep_cookies(error.response.headers if error.response is not None else None)
        raise
    request.keep_cookies(connection.headers)
    stream: Any = getattr(connection.protocol, "stream", None)
    if stream is not None and not stream.closed():
        stream.set_nodelay(True)
        # The receive loop begins a turn or two later; a pause could not hold it back before.
        for _ in range(4):
            if stream.reading() or stream.closed():
                break
            await asyncio.sleep(0)
    return connection


async def fetch(
    http_client: SimpleAsyncHTTPClient, url: str, path: str, *, method: str, timeout: float | None, **options: Any
) -> HTTPResponse:
    """Fetch a URL within ``timeout`` seconds (None for no limit); `MessageTimeout` if it is not answered in time."""
    __tracebackhide__ = True
    options = {"connect_timeout": timeout or 0, "request_timeout": timeout or 0, **options}
    fetching = http_client.fetch(url, method=method, **options)
    try:
        # Shielded, because Tornado logs the end of a request whose future is cancelled.
        return await asyncio.shield(fetching)
    except asyncio.CancelledError:
        fetching.add_done_callback(_forget)
        raise
    except HTTPTimeoutError as error:
        raise MessageTimeout(
            f"{method} {path} was not answered within {options['request_timeout']:g} s ({error})\n"
            "is the handler still waiting for something? raise the wait with request_timeout="
        ) from None


def _forget(fetching: "asyncio.Future[HTTPResponse]") -> None:
    """Look at an answer that nobody waits for any more."""
    if not fetching.cancelled():
        fetching.exception()


def _discard(opening: "asyncio.Future[WebSocketClientConnection]") -> None:
    """Close a connection that nobody waits for any more."""
    if opening.cancelled() or opening.exception() is not None:
        return
    connection = opening.result()
    connection.on_message = _ignore  # type: ignore[method-assign]
    connection.close()


def _ignore(message: Any) -> None:
    pass


class Wire:
    """An open connection, and what only the connection knows."""

    def __init__(self, connection: WebSocketClientConnection, *, closed_already: bool) -> None:
        protocol: Any = connection.protocol
        self.connection = connection
        self.protocol = protocol
        self.stream: IOStream = protocol.stream
        # Both are gone from the connection as soon as close() is called.
        self.subprotocol: str | None = connection.selected_subprotocol
        self.headers: HTTPHeaders | None = connection.headers
        # A connection that ended in the turn that opened it answered a close frame, or there was none.
        self._no_frame = closed_already and not getattr(protocol, "_wire_bytes_out", 0)
        self._abort: Callable[[], None] | None = getattr(protocol, "_abort", None)
        if self._abort is not None:
            protocol._abort = self._note_abort
        is_plain = getattr(protocol, "_compressor", self) is None
        self._write_frame: Any = getattr(protocol, "_write_frame", None) if is_plain else None
        self.met_no_utf8: bool = False
        """Was the connection given up because a text message was no UTF-8 (RFC 6455, section 8.1)?"""
        self._is_paused = False

    @property
    def key(self) -> str:
        """The connection's ``Sec-WebSocket-Key``."""
        key = self.connection.key
        return key.decode("ascii") if isinstance(key, bytes) else key

    @property
    def close_code(self) -> int:
        """The close code as RFC 6455, section 7.1.5 has it, once the connection is closed."""
        code = self.connection.close_code
        if code is not None:
            return code
        return NO_FRAME if self._no_frame or self._abort is None else NO_CODE

    def close(self, code: int | None, reason: str | None) -> None:
        """Start the closing handshake."""
        if not self.stream.closed():
            self.resume()
        self.connection.close(code, reason)

    def drop(self) -> None:
        """Close the TCP connection without a close frame."""
        if not self.stream.closed():
            self.resume()
        self.stream.close()
        # The connection warns when it is collected with a protocol.
        self.connection.protocol = None

    def write_message(self, message: Message) -> "asyncio.Future[None]":
        """Send a message; the future is done when no buffer of Tornado's holds it any more."""
        if self._write_frame is None or self.connection.protocol is None:
            return self.connection.write_message(message, binary=isinstance(message, bytes))
        opcode, payload = (Opcode.BINARY, message) if isinstance(message, bytes) else (Opcode.TEXT, message.encode())
        writing: asyncio.Future[None] = self._write_frame(True, opcode, payload)
        return writing

    def write(self, data: bytes) -> "asyncio.Future[None]":
        """Send bytes as they are."""
        return self.stream.write(data)

    @property
    def is_paused(self) -> bool:
        """Has reading been stopped?"""
        return self._is_paused

    def pause(self) -> None:
        """Read no more from the socket, so that the kernel's buffers fill and hold the server back."""
        if isinstance(self.stream, MemoryStream):
            self.stream.pause(True)
        else:
            self._stop_listening()
        self._is_paused = True

    def resume(self) -> None:
        """Read again."""
        if self._is_paused and not self.stream.closed():
            if isinstance(self.stream, MemoryStream):
                self.stream.pause(False)
            else:
                self._listen_again()
        self._is_paused = False

    def _stop_listening(self) -> None:
        io_loop: Any = IOLoop.current()
        if not hasattr(io_loop, "readers") or not hasattr(io_loop, "selector_loop"):
            raise UsageError("this version of Tornado hides the readers of its loop: reading cannot be paused")
        # Tornado goes on believing that it listens, and so does not listen again by itself.
        io_loop.selector_loop.remove_reader(self._fd())
        io_loop.readers.add(self._fd())

    def _listen_again(self) -> None:
        io_loop: Any = IOLoop.current()
        fd = self._fd()
        io_loop.readers.discard(fd)
        events = IOLoop.READ | IOLoop.ERROR | (IOLoop.WRITE if self.stream.writing() else 0)
        io_loop.update_handler(fd, events)

    def _fd(self) -> int:
        fileno: Any = self.stream.fileno()
        return fileno if isinstance(fileno, int) else int(fileno.fileno())

    def _note_abort(self) -> None:
        # client_terminated: a close frame has come, and what is dropped is dropped after it.
        if not self.protocol.client_terminated:
            self._no_frame = True
        # Tornado's client calls this where it handles the exception.
        self.met_no_utf8 = self.met_no_utf8 or isinstance(sys.exception(), UnicodeDecodeError)
        assert self._abort is not None
        self._abort()
