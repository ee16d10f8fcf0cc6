"""Connections without sockets: in-process streams under the same server and the same client code.

A connection over memory is a pair of `MemoryStream`s. They are streams as Tornado defines them, a `BaseIOStream`, so
that all of Tornado above them is what runs in production. No descriptor is used: the number that a stream calls its
``fileno`` is one that the system never gives out; `tornado_wstest.simulation.selector` calls those who listen.

What TCP does is done here, too: buffers are bounded, so that a reader that pauses holds the writer back;
a close is seen after the last byte; bytes that come to an end that is closed are lost and answered with a reset;
an end that is closed with unread bytes resets the connection at once; what has arrived before a reset is still read,
as on Linux. What brings the bytes from one end to the other, and when, is a `Carrier`: by default they are
there as soon as they are sent.

A frame is read in up to four steps, and Tornado's streams make a dozen calls for each. So `MemoryStream` reads a given
number of bytes itself, from Tornado's buffer; between two reads it listens to the end when Tornado would. For that it
uses private parts of `BaseIOStream` (`_READING`, Tornado 6.3 to 6.6); where one is missing, Tornado reads.

``websocket_connect`` makes its `TCPClient` while it is being called, by a name of its module. `connecting`
puts another in its place for just that call (Tornado 6.3 to 6.6).
"""

import asyncio
import contextlib
import contextvars
import errno
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from tornado import websocket as _websocket
from tornado.concurrent import future_set_result_unless_cancelled
from tornado.ioloop import IOLoop
from tornado.iostream import BaseIOStream
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as ConnectTimeout

from ..errors import UsageError
from .selector import WatchingSelector

__all__ = ["Attach", "Carrier", "Endpoint", "MemoryListener", "MemoryStream", "MemoryTCPClient"]

BUFFER_SIZE = 64 * 1024
"""Bytes that each direction of a connection holds, by default."""

END = None
"""What is carried, besides bytes: the end of a direction (FIN or RST). No byte follows it; a second one may."""

Attach = Callable[["Endpoint", "Endpoint"], Awaitable[None]]
"""Gets the client's and the server's end of a new connection; returns when the client may know of it."""


class Carrier(Protocol):
    """Brings what was sent to one end of a connection to it, in order; some time, or at once."""

    def carry(self, data: bytes | None) -> None:
        """Take what was sent: bytes, or `END`. Each is handed over with `Endpoint.arrive`, whole or in pieces."""

    def drop(self) -> None:
        """Forget what is under way: the connection was reset, or is over at both ends."""


_descriptors = itertools.count(1 << 30)
_ports = itertools.count(1)


class Endpoint:
    """One end of a connection: what has arrived, and what may be sent."""

    def __init__(self, selector: WatchingSelector, size: int, name: tuple[str, int]) -> None:
        self.fd: int = next(_descriptors)
        self.name = name
        self.peer: Endpoint = self
        self._selector = selector
        self._size = size
        self.carrier: Carrier | None = None
        """What brings bytes to this end; None if they are there as soon as they are sent."""
        self.under_way: int = 0
        """Bytes that were sent to this end and have not arrived."""
        self._arrived = bytearray()
        self._is_closed = False
        self._has_ended = False
        self._was_reset = False
        self._ends: list[bool] = []
        """The ends that are under way, in order: is it a reset?"""
        self._is_paused = False
        """Is what arrives left lying?"""
        self.reader: Callable[[], None] | None = None
        """Called in place of the listener when something has arrived, or nothing more will."""
        self._events = 0
        self._listener: Callable[[int], None] | None = None
        selector.attach(self)

    @property
    def is_over(self) -> bool:
        """Are both ends closed?"""
        return self._is_closed and self.peer._is_closed

    def listen(self, listener: Callable[[int], None] | None, events: int) -> None:
        """Have ``listener`` called with those events (of `IOLoop.READ` and `IOLoop.WRITE`) that would not block."""
        is_more = events & ~self._events
        self._listener = listener
        self._events = events
        if is_more:
            self._wake()

    def serve(self) -> bool:
        """Call the reader or the listener, if this end is ready for what they want; return whether it was."""
        ready = 0
        is_read = False
        if (self._arrived or self._has_ended or self._was_reset) and not self._is_paused:
            if self.reader is not None:
                self.reader()
                is_read = True
            else:
                ready = self._events & IOLoop.READ
        if self._events & IOLoop.WRITE and (self._was_reset or self.peer._has_room()):
            ready |= IOLoop.WRITE
        if ready and self._listener is not None:
            self._listener(ready)
        return is_read or ready != 0

    def pause(self, is_paused: bool) -> None:
        """Leave what arrives lying, or not any more."""
        self._is_paused = is_paused
        self._wake()

    @property
    def is_at_end(self) -> bool:
        """Will nothing more arrive?"""
        return self._has_ended or self._was_reset

    def send_whole(self, data: bytes) -> bool:
        """Hand it over if the other end has room for all of it now; return whether it had."""
        peer = self.peer
        if self._was_reset or not data or len(data) > peer._size - peer.under_way - len(peer._arrived):
            return False
        if peer.carrier is None and not peer._is_closed:
            peer._arrived += data
            peer._selector.wake(peer)
        else:
            peer._carry(data)
        return True

    def send(self, data: bytes | memoryview) -> int:
        """Hand over as many bytes as the other end has room for."""
        if self._was_reset:
            raise BrokenPipeError(errno.EPIPE, "the other end is closed")
        peer = self.peer
        room = peer._size - peer.under_way - len(peer._arrived)
        if room <= 0:
            raise BlockingIOError(errno.EWOULDBLOCK, "the other end has no room")
        count = min(len(data), room)
        peer._carry(bytes(data[:count]))
        return count

    def _carry(self, data: bytes | None) -> None:
        self.under_way += len(data or b"")
        if self.carrier is None:
            self.arrive(data)
        else:
            self.carrier.carry(data)

    def arrive(self, data: bytes | None) -> None:
        """What was sent to this end is here: bytes, or the `END`."""
        if data is END:
            self._was_reset |= self._ends.pop(0)
            self._has_ended = True
        else:
            self.under_way -= len(data)
            if self._is_closed:
                # As TCP does: what comes to a closed end is lost, and answered with a reset.
                self._send_end(is_reset=True)
            else:
                self._arrived += data
        self._wake()

    def reset(self) -> None:
        """The connection is lost (RST), and with it what is under way to this end. What has arrived is still read."""
        self._was_reset = True
        self._drop()
        self._wake()

    def _drop(self) -> None:
        self.under_way = 0
        self._ends.clear()
        if self.carrier is not None:
            self.carrier.drop()

    def _wake(self) -> None:
        if not self._is_closed:
            self._selector.wake(self)

    def receive_into(self, buffer: bytearray | memoryview) -> int | None:
        """Take what has arrived; 0 at the end, None if there is nothing yet."""
        if self._arrived:
            data = self.take(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        if self._was_reset:
            raise ConnectionResetError(errno.ECONNRESET, "the connection was reset")
        return 0 if self._has_ended else None

    def take(self, most: int) -> bytearray:
        """Take what has arrived, so many bytes at most."""
        arrived = self._arrived
        if len(arrived) + self.under_way >= self._size:
            self.peer._wake()  # there was no room, and is some now
        if len(arrived) <= most:
            self._arrived = bytearray()
            return arrived
        data = arrived[:most]
        del arrived[:most]
        return data

    def close(self) -> None:
        """Close this end: the other sees the end, or a reset if something was left unread here."""
        self._is_closed = True
        self._selector.detach(self)
        is_reset = bool(self._arrived)
        self._arrived.clear()
        if self.peer._is_closed:
            self._drop()
            self.peer._drop()
        elif not self._was_reset:
            self._send_end(is_reset=is_reset)

    def end(self) -> None:
        """Send no more (a half-close): the other end sees the end after the last byte."""
        self._send_end(is_reset=False)

    def _send_end(self, *, is_reset: bool) -> None:
        self.peer._ends.append(is_reset)
        self.peer._carry(END)

    def _has_room(self) -> bool:
        return len(self._arrived) + self.under_way < self._size


class _Socket:
    """What Tornado asks of a stream's socket: who is at its ends."""

    family = socket.AF_INET

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def getsockname(self) -> tuple[str, int]:
        return self._endpoint.name

    def getpeername(self) -> tuple[str, int]:
        return self._endpoint.peer.name


class _LoopOfStream:
    """What a memory stream takes for its `IOLoop`.

    Streams begin and end to listen several times a message. What concerns the descriptor goes straight to the
    connection's end, and not through the readers and writers of `IOLoop` and asyncio; all else goes to the `IOLoop`.
    """

    READ, WRITE, ERROR = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR

    def __init__(self, io_loop: Any, endpoint: Endpoint) -> None:
        self._io_loop = io_loop
        self._endpoint = endpoint
        self._events = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._io_loop, name)

    def add_handler(self, fd: int, handler: Callable[[int, int], None], events: int) -> None:
        self._handler = handler
        self._events = 0
        self.update_handler(fd, events)

    def update_handler(self, fd: int, events: int) -> None:
        if events & ~self._events:
            self._context = contextvars.copy_context()  # as asyncio does when it begins to listen
        self._events = events
        self._endpoint.listen(self.call, events)

    def remove_handler(self, fd: int) -> None:
        self._endpoint.listen(None, 0)

    def call(self, events: int) -> None:
        """Call who listens, in the context in which it began to."""
        try:
            self._context.run(self._handler, self._endpoint.fd, events)
        except Exception as error:
            loop = self._io_loop.asyncio_loop
            handle = asyncio.Handle(self._handler, (self._endpoint.fd, events), loop, self._context)
            message = f"Exception in callback {self._handler}"
            loop.call_exception_handler({"message": message, "exception": error, "handle": handle})


_READING = (
    "_add_io_state",
    "_consume",
    "_handle_read",
    "_maybe_add_error_listener",
    "_read_buffer",
    "_read_buffer_size",
    "_read_bytes",
    "_read_future",
    "_state",
)


class MemoryStream(BaseIOStream):
    """One end of a connection over memory."""

    __slots__ = ("_endpoint", "_most_at_once")

    _is_as_known: bool | None = None

    def __init__(self, endpoint: Endpoint, **options: Any) -> None:
        self._endpoint = endpoint
        super().__init__(**options)
        self.socket: _Socket | None = _Socket(endpoint)
        self.io_loop: Any = _LoopOfStream(self.io_loop, endpoint)
        if MemoryStream._is_as_known is None:
            MemoryStream._is_as_known = all(hasattr(self, name) for name in _READING)

    @property
    def read_chunk_size(self) -> int:
        """How many bytes to read at once: Tornado fills as many with zeros before, so no more than there are."""
        return min(len(self._endpoint._arrived), self._most_at_once) or 1

    @read_chunk_size.setter
    def read_chunk_size(self, size: int) -> None:
        self._most_at_once = size

    def pause(self, is_paused: bool) -> None:
        """Listen no more to what arrives, whatever Tornado believes; or listen again."""
        self._endpoint.pause(is_paused)

    def fileno(self) -> int:
        """The number by which the loop knows the stream; no descriptor of the system's."""
        return self._endpoint.fd

    def write(self, data: "bytes | memoryview") -> "asyncio.Future[None]":
        """As every stream. What the other end has room for is there at once, and is in no buffer of Tornado's."""
        is_free = not self.closed() and not self.writing()
        if not isinstance(data, bytes) or not is_free or not self._endpoint.send_whole(data):
            return super().write(data)
        written: asyncio.Future[None] = asyncio.Future()
        written.set_result(None)
        return written

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Awaitable[bytes]:
        """As every stream, with fewer calls."""
        is_simple = self._is_as_known and not partial and 2 * num_bytes <= self.max_buffer_size
        if not is_simple or self._read_future is not None:
            return super().read_bytes(num_bytes, partial)
        future: asyncio.Future[bytes] = asyncio.Future()
        while self._read_buffer_size < num_bytes and self._fill():
            pass
        if self._read_buffer_size >= num_bytes:
            future.set_result(self._consume(num_bytes))
            if not self._read_buffer_size:
                self._maybe_add_error_listener()
            return future
        if self._endpoint.is_at_end or self.closed():
            return super().read_bytes(num_bytes)
        self._read_future = future
        self._read_bytes = num_bytes
        self._endpoint.reader = self._read_on
        if self._state is None:
            self._add_io_state(IOLoop.READ)
        return future

    def _fill(self) -> bool:
        """Put what has arrived into Tornado's buffer; return whether it was anything."""
        data = self._endpoint.take(self._most_at_once)
        self._read_buffer += data
        self._read_buffer_size += len(data)
        return bool(data)

    def _read_on(self) -> None:
        """Something has arrived, or nothing more will, while somebody waits for bytes."""
        if not self._fill():
            self._endpoint.reader = None
            self.io_loop.call(IOLoop.READ)  # Tornado finds the end
            return
        count, future = self._read_bytes, self._read_future
        if future is not None and count is not None and self._read_buffer_size >= count:
            self._endpoint.reader = self._read_future = self._read_bytes = None
            future_set_result_unless_cancelled(future, self._consume(count))
            # As in _handle_events: until somebody reads again, the end is listened for only if nothing is left to read.
            rest = IOLoop.WRITE if self.writing() else 0 if self._read_buffer_size else IOLoop.READ
            if self._state not in (None, IOLoop.ERROR | rest):
                self._state = IOLoop.ERROR | rest
                self.io_loop.update_handler(self.fileno(), self._state)

    def close_fd(self) -> None:
        """Close this end."""
        self._endpoint.close()
        self.socket = None

    def write_to_fd(self, data: memoryview) -> int:
        """Hand bytes to the other end."""
        return self._endpoint.send(data)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Take what has arrived."""
        return self._endpoint.receive_into(buf)

    def get_fd_error(self) -> Exception | None:
        """Errors are raised where they happen."""
        return None

    def shut_down_writing(self) -> None:
        """Send no more, but go on reading: a half-close."""
        self._endpoint.end()


class MemoryListener:
    """Where connections over memory arrive: an `HTTPServer`, at a port that nothing listens on."""

    def __init__(
        self, selector: WatchingSelector, port: int, handle_stream: Callable[[Any, tuple[str, int]], Any]
    ) -> None:
        self.port = port
        self.buffer_size = BUFFER_SIZE
        """Bytes that each direction of a connection holds, from the next one on."""
        self.on_connect: Callable[[Endpoint, Endpoint], None] | None = None
        """Called with the two ends of each new connection, the client's first: to give them carriers."""
        self._selector = selector
        self._handle_stream = handle_stream

    async def connect(
        self, *, max_buffer_size: int | None = None, attach: Attach | None = None, timeout: float | None = None
    ) -> MemoryStream:
        """Return the client's end of a new connection; the server has its own by then."""
        ours = Endpoint(self._selector, self.buffer_size, ("127.0.0.1", 1024 + next(_ports) % 60_000))
        theirs = Endpoint(self._selector, self.buffer_size, ("127.0.0.1", self.port))
        ours.peer, theirs.peer = theirs, ours
        if self.on_connect is not None:
            self.on_connect(ours, theirs)
        try:
            if attach is not None:
                async with asyncio.timeout(timeout):
                    await attach(ours, theirs)
            self._handle_stream(MemoryStream(theirs), ours.name)
        except BaseException as error:
            ours.close()
            theirs.close()
            if isinstance(error, TimeoutError):
                raise ConnectTimeout("Timeout while connecting") from None
            raise
        return MemoryStream(ours, max_buffer_size=max_buffer_size)

    @contextlib.contextmanager
    def connecting(self, attach: Attach | None = None) -> Iterator[None]:
        """In this block, ``websocket_connect`` makes its connection here if it is meant for this server."""
        module: Any = _websocket
        original = module.TCPClient

        def make_client(resolver: Any = None) -> MemoryTCPClient:
            return MemoryTCPClient(self, resolver, attach)

        module.TCPClient = make_client
        try:
            yield
        finally:
            module.TCPClient = original


class MemoryTCPClient(TCPClient):
    """Stands in for Tornado's `TCPClient`: connects over memory to one server, and over TCP to all others.

    :arg attach: what each connection's ends are given to before it is used
    """

    def __init__(self, listener: MemoryListener, resolver: Any = None, attach: Attach | None = None) -> None:
        super().__init__(resolver=resolver)
        self._listener = listener
        self._attach = attach

    def connect(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        """As `TCPClient.connect`."""
        if host == "127.0.0.1" and port == self._listener.port:
            return self._connect(**kwargs)
        return super().connect(host, port, *args, **kwargs)

    async def _connect(
        self, *, ssl_options: Any = None, max_buffer_size: int | None = None, timeout: Any = None, **_: Any
    ) -> MemoryStream:
        if ssl_options is not None:
            raise UsageError("there is no TLS over the memory transport: use ws_transport = 'tcp' for wss")
        return await self._listener.connect(max_buffer_size=max_buffer_size, attach=self._attach, timeout=timeout)
