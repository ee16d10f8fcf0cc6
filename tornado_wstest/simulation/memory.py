"""Connections without sockets: in-process streams under the same server and the same client code.

A connection over memory is a pair of `MemoryStream`s. They are streams as Tornado defines them, a
`BaseIOStream` with its documented methods, so that all of Tornado above them is what runs in production. No
descriptor is used: the number that a stream calls its ``fileno`` is one that the system never gives out, and
`tornado_wstest.simulation.selector` answers for it.

What TCP does is done here, too: buffers are bounded, so that a reader that pauses holds the writer back;
a close is seen after the last byte; bytes sent to an end that is closed are lost and reset the connection;
an end that is closed with unread bytes resets it at once.

``websocket_connect`` makes its `TCPClient` while it is being called, by a name of its module. `connecting`
puts another in its place for just that call (Tornado 6.3 to 6.6).
"""

import asyncio
import contextlib
import errno
import itertools
import selectors
import socket
from collections.abc import Callable, Iterator
from typing import Any

from tornado import websocket as _websocket
from tornado.iostream import BaseIOStream
from tornado.tcpclient import TCPClient

from ..errors import UsageError
from .selector import WatchingSelector

__all__ = ["MemoryListener", "MemoryStream", "MemoryTCPClient"]

BUFFER_SIZE = 64 * 1024
"""Bytes that each direction of a connection holds, by default."""

_descriptors = itertools.count(1 << 30)
_ports = itertools.count(1)


class _Endpoint:
    """One end of a connection: what has arrived, and what may be sent."""

    def __init__(self, selector: WatchingSelector, size: int, name: tuple[str, int]) -> None:
        self.fd = next(_descriptors)
        self.name = name
        self.peer: _Endpoint = self
        self._selector = selector
        self._size = size
        self._arrived = bytearray()
        self._is_closed = False
        self._has_ended = False
        self._was_reset = False
        selector.attach(self)

    def ready(self) -> int:
        mask = 0
        if self._arrived or self._has_ended or self._was_reset:
            mask |= selectors.EVENT_READ
        if self._was_reset or self.peer._is_closed or self.peer._has_room():
            mask |= selectors.EVENT_WRITE
        return mask

    def send(self, data: memoryview) -> int:
        """Hand over as many bytes as the other end has room for."""
        if self._was_reset:
            raise BrokenPipeError(errno.EPIPE, "the other end is closed")
        peer = self.peer
        if peer._is_closed:
            # As TCP does: what is sent to a closed end is lost, and answered with a reset.
            self._was_reset = True
            self._selector.wake(self)
            return len(data)
        if not peer._has_room():
            raise BlockingIOError(errno.EWOULDBLOCK, "the other end has no room")
        count = min(len(data), peer._size - len(peer._arrived))
        peer._arrived += data[:count]
        peer._selector.wake(peer)
        return count

    def receive_into(self, buffer: bytearray | memoryview) -> int | None:
        """Take what has arrived; 0 at the end, None if there is nothing yet."""
        if self._arrived:
            count = min(len(buffer), len(self._arrived))
            buffer[:count] = self._arrived[:count]
            had_room = self._has_room()
            del self._arrived[:count]
            if not had_room:
                self.peer._selector.wake(self.peer)
            return count
        if self._was_reset:
            raise ConnectionResetError(errno.ECONNRESET, "the connection was reset")
        return 0 if self._has_ended else None

    def close(self) -> None:
        """Close this end: the other sees the end, or a reset if something was left unread here."""
        self._is_closed = True
        self._selector.detach(self)
        if self._arrived:
            self.peer._was_reset = True
        self.end()

    def end(self) -> None:
        """Send no more (a half-close): the other end sees the end after the last byte."""
        self.peer._has_ended = True
        self._selector.wake(self.peer)

    def _has_room(self) -> bool:
        return len(self._arrived) < self._size


class _Socket:
    """What Tornado asks of a stream's socket: who is at its ends."""

    family = socket.AF_INET

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint

    def getsockname(self) -> tuple[str, int]:
        return self._endpoint.name

    def getpeername(self) -> tuple[str, int]:
        return self._endpoint.peer.name


class MemoryStream(BaseIOStream):
    """One end of a connection over memory."""

    def __init__(self, endpoint: _Endpoint, **options: Any) -> None:
        super().__init__(**options)
        self.socket: _Socket | None = _Socket(endpoint)
        self._endpoint = endpoint

    def fileno(self) -> int:
        """The number by which the loop knows the stream; no descriptor of the system's."""
        return self._endpoint.fd

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
        self._selector = selector
        self._handle_stream = handle_stream

    def connect(self, *, max_buffer_size: int | None = None) -> MemoryStream:
        """Return the client's end of a new connection; the server has its own a turn later."""
        ours = _Endpoint(self._selector, self.buffer_size, ("127.0.0.1", 1024 + next(_ports) % 60_000))
        theirs = _Endpoint(self._selector, self.buffer_size, ("127.0.0.1", self.port))
        ours.peer, theirs.peer = theirs, ours
        asyncio.get_running_loop().call_soon(self._handle_stream, MemoryStream(theirs), ours.name)
        return MemoryStream(ours, max_buffer_size=max_buffer_size)

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """In this block, ``websocket_connect`` makes its connection here if it is meant for this server."""
        module: Any = _websocket
        original = module.TCPClient

        def make_client(resolver: Any = None) -> MemoryTCPClient:
            return MemoryTCPClient(self, resolver)

        module.TCPClient = make_client
        try:
            yield
        finally:
            module.TCPClient = original


class MemoryTCPClient(TCPClient):
    """Stands in for Tornado's `TCPClient`: connects over memory to one server, and over TCP to all others."""

    def __init__(self, listener: MemoryListener, resolver: Any = None) -> None:
        super().__init__(resolver=resolver)
        self._listener = listener

    def connect(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        """As `TCPClient.connect`."""
        if host == "127.0.0.1" and port == self._listener.port:
            return self._connect(**kwargs)
        return super().connect(host, port, *args, **kwargs)

    async def _connect(self, *, ssl_options: Any = None, max_buffer_size: int | None = None, **_: Any) -> MemoryStream:
        if ssl_options is not None:
            raise UsageError("there is no TLS over the memory transport: use ws_transport = 'tcp' for wss")
        return self._listener.connect(max_buffer_size=max_buffer_size)
