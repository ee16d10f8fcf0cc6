"""Connections without sockets: in-process streams under the same server and the same client code.

A connection over memory is a pair of `MemoryStream`s. They are streams as Tornado defines them, a
`BaseIOStream` with its documented methods, so that all of Tornado above them is what runs in production. No
descriptor is used: the number that a stream calls its ``fileno`` is one that the system never gives out, and
`tornado_wstest.simulation.selector` answers for it.

What TCP does is done here, too: buffers are bounded, so that a reader that pauses holds the writer back;
a close is seen after the last byte; bytes that come to an end that is closed are lost and answered with a reset;
an end that is closed with unread bytes resets the connection at once; what has arrived before a reset is still read,
as on Linux. What brings the bytes from one end to the other, and when, is a `Carrier`: by default they are
there as soon as they are sent.

``websocket_connect`` makes its `TCPClient` while it is being called, by a name of its module. `connecting`
puts another in its place for just that call (Tornado 6.3 to 6.6).
"""

import asyncio
import contextlib
import errno
import itertools
import selectors
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from tornado import websocket as _websocket
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
        selector.attach(self)

    @property
    def is_over(self) -> bool:
        """Are both ends closed?"""
        return self._is_closed and self.peer._is_closed

    def ready(self, events: int) -> int:
        mask = 0
        if events & selectors.EVENT_READ and (self._arrived or self._has_ended or self._was_reset):
            mask |= selectors.EVENT_READ
        if events & selectors.EVENT_WRITE and (self._was_reset or self.peer._has_room()):
            mask |= selectors.EVENT_WRITE
        return mask

    def takes(self, count: int) -> bool:
        """Has the other end room for so many bytes at once?"""
        peer = self.peer
        return not self._was_reset and 0 < count <= peer._size - peer.under_way - len(peer._arrived)

    def send(self, data: bytes | memoryview) -> int:
        """Hand over as many bytes as the other end has room for."""
        if self._was_reset:
            raise BrokenPipeError(errno.EPIPE, "the other end is closed")
        peer = self.peer
        room = peer._size - peer.under_way - len(peer._arrived)
        if room <= 0:
            raise BlockingIOError(errno.EWOULDBLOCK, "the other end has no room")
        count = min(len(data), room)
        if peer.carrier is None and not peer._is_closed:
            peer._arrived += data[:count]
            peer._selector.wake(peer)
        else:
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
            held = len(self._arrived)
            count = min(len(buffer), held)
            buffer[:count] = self._arrived[:count]
            del self._arrived[:count]
            if held + self.under_way >= self._size:
                self.peer._selector.wake(self.peer)  # there was no room, and is some now
            return count
        if self._was_reset:
            raise ConnectionResetError(errno.ECONNRESET, "the connection was reset")
        return 0 if self._has_ended else None

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
    selector, and not through the readers and writers of `IOLoop` and asyncio; all else goes to the `IOLoop`.
    """

    READ, WRITE, ERROR = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR

    def __init__(self, io_loop: Any, selector: WatchingSelector) -> None:
        self._io_loop = io_loop
        self._selector = selector
        self._reader: asyncio.Handle | None = None
        self._writer: asyncio.Handle | None = None
        self._events = 0
        self.is_paused = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._io_loop, name)

    def add_handler(self, fd: int, handler: Callable[[int, int], None], events: int) -> None:
        self._handler = handler
        self.update_handler(fd, events)

    def update_handler(self, fd: int, events: int) -> None:
        self._events = events
        self._reader = self._changed(self._reader, fd, 0 if self.is_paused else events & self.READ)
        self._writer = self._changed(self._writer, fd, events & self.WRITE)
        self._selector.watch(fd, self._reader, self._writer)

    def remove_handler(self, fd: int) -> None:
        self._reader = self._changed(self._reader, fd, 0)
        self._writer = self._changed(self._writer, fd, 0)
        self._selector.watch(fd, None, None)

    def pause(self, fd: int, is_paused: bool) -> None:
        self.is_paused = is_paused
        self.update_handler(fd, self._events)

    def _changed(self, handle: asyncio.Handle | None, fd: int, events: int) -> asyncio.Handle | None:
        """As asyncio does: each listening has a handle of its own, which is cancelled with it."""
        if events:
            return handle or asyncio.Handle(self._handler, (fd, events), self._io_loop.asyncio_loop)
        if handle is not None:
            handle.cancel()
        return None


class MemoryStream(BaseIOStream):
    """One end of a connection over memory."""

    def __init__(self, endpoint: Endpoint, **options: Any) -> None:
        self._endpoint = endpoint
        super().__init__(**options)
        self.socket: _Socket | None = _Socket(endpoint)
        self.io_loop: Any = _LoopOfStream(self.io_loop, endpoint._selector)

    @property
    def read_chunk_size(self) -> int:
        """How many bytes to read at once: Tornado fills as many with zeros before, so no more than there are."""
        return min(len(self._endpoint._arrived), self._most_at_once) or 1

    @read_chunk_size.setter
    def read_chunk_size(self, size: int) -> None:
        self._most_at_once = size

    def pause(self, is_paused: bool) -> None:
        """Listen no more to what arrives, whatever Tornado believes; or listen again."""
        self.io_loop.pause(self.fileno(), is_paused)

    def fileno(self) -> int:
        """The number by which the loop knows the stream; no descriptor of the system's."""
        return self._endpoint.fd

    def write(self, data: "bytes | memoryview") -> "asyncio.Future[None]":
        """As every stream. What the other end has room for is there at once, and is in no buffer of Tornado's."""
        if self.closed() or self.writing() or isinstance(data, memoryview) or not self._endpoint.takes(len(data)):
            return super().write(data)
        self._endpoint.send(data)
        written: asyncio.Future[None] = asyncio.Future()
        written.set_result(None)
        return written

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
        """Return the client's end of a new connection; the server has its own a turn later."""
        ours = Endpoint(self._selector, self.buffer_size, ("127.0.0.1", 1024 + next(_ports) % 60_000))
        theirs = Endpoint(self._selector, self.buffer_size, ("127.0.0.1", self.port))
        ours.peer, theirs.peer = theirs, ours
        if self.on_connect is not None:
            self.on_connect(ours, theirs)
        if attach is not None:
            try:
                async with asyncio.timeout(timeout):
                    await attach(ours, theirs)
            except BaseException as error:
                ours.close()
                theirs.close()
                if isinstance(error, TimeoutError):
                    raise ConnectTimeout("Timeout while connecting") from None
                raise
        asyncio.get_running_loop().call_soon(self._handle_stream, MemoryStream(theirs), ours.name)
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
