"""A plain connection to the app's server: bytes out, bytes in, no handshake and no frames.

For what a websocket client cannot send: an opening handshake that is wrong, headers that never end. What follows
an opening handshake that was right is `WebSocketTestClient.send_raw`'s.
"""

import asyncio
import re
import ssl
from types import TracebackType
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as TornadoTimeoutError
from tornado.web import RequestHandler

from .endpoint import Surroundings
from .errors import ConnectionClosed, MessageTimeout, UsageError
from .inbox import NOT_YET, Inbox, NotYet
from .request import check_timeout
from .server import AppServer
from .simulation.memory import MemoryTCPClient
from .text import show
from .watch import Served
from .wording import not_connected

__all__ = ["RawConnection", "open_raw"]

__unittest = True

_CHUNK = 65_536
_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d) ")


class RawConnection:
    """A plain connection to the app's server, over its transport.

    ::

        raw = await self.ws_raw()
        await raw.send(faults.opening["no key"].data)
        answer = await raw.receive_all()
        self.assertEqual(raw.status, 400)

    What comes is bytes in a row: where a message begins is for the test to find out. It is closed when the test ends.
    """

    def __init__(self, name: str, stream: IOStream, around: Surroundings, served: Served | None) -> None:
        self.name = name
        """How failures and the transcript call it."""
        self._stream = stream
        self._around = around
        self._served = served
        self._unread = bytearray()
        self._beginning = b""
        self._is_closed = False
        self._waiting = Inbox(around.settling)
        stream.set_close_callback(self._on_close)
        self._read()

    @property
    def status(self) -> int | None:
        """The status of the answer that came first, such as 101 or 400; None if none has come."""
        found = _STATUS.match(self._beginning)
        return int(found[1]) if found else None

    @property
    def closed(self) -> bool:
        """Is the connection closed?"""
        return self._is_closed

    @property
    def handler(self) -> RequestHandler | None:
        """The server's handler of what was sent, if it has made one."""
        return self._served.handler if self._served is not None else None

    async def send(self, data: bytes, *, timeout: float | None = None) -> None:
        """Send bytes as they are.

        Returns when the kernel has them, not when the server has. Raises `ConnectionClosed` where the connection is
        closed, `MessageTimeout` if the server does not read for ``timeout`` seconds.
        """
        __tracebackhide__ = True
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise UsageError(f"send() of a plain connection takes bytes, not {show(data)}")
        data = bytes(data)
        seconds = self._seconds(timeout)
        self._record(f"raw bytes sent: {show(data, 60)}")
        try:
            future: Any = asyncio.ensure_future(self._stream.write(data))
            future.add_done_callback(self._on_written)
            await self._wait(future.done, seconds, f"the server to read {show(data, 60)}")
        except StreamClosedError:
            pass
        if self._stream.closed():
            raise ConnectionClosed(
                f"{self.name} cannot send {show(data, 60)}: the connection is closed\n"
                "if it should be: await raw.expect_closed()",
                client=self.name,
            )

    async def receive_all(self, *, timeout: float | None = None) -> bytes:
        """Take and return what arrives until the app has settled; empty if nothing does. Never raises for a close."""
        __tracebackhide__ = True
        await self._around.settle(timeout)
        return self._take()

    async def expect_closed(self, *, timeout: float | None = None) -> bytes:
        """The server closes the connection; returns the bytes that came before and nobody has taken.

        Raises `MessageTimeout` if it stays open for ``timeout`` seconds.
        """
        __tracebackhide__ = True
        await self._wait(lambda: self.closed, self._seconds(timeout), "a close")
        return self._take()

    async def close(self) -> None:
        """Close, and return when the server has seen it. Closing again is nothing."""
        __tracebackhide__ = True
        if not self._is_closed:
            self._record("closed by the test")
            self.end()
            await self._around.settle()

    async def __aenter__(self) -> "RawConnection":
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if exc is None:
            await self.close()
        else:
            self.end()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<RawConnection {self.name} {state}, {len(self._unread)} bytes unread>"

    def end(self) -> None:
        """Close without a word: the test is over, or has failed."""
        self._waiting.abandon()
        self._is_closed = True
        self._stream.close()

    # Inside

    def _read(self) -> None:
        if not self._stream.closed():
            reading: Any = self._stream.read_bytes(_CHUNK, partial=True)
            reading.add_done_callback(self._on_bytes)

    def _on_bytes(self, reading: "asyncio.Future[bytes]") -> None:
        if reading.cancelled() or reading.exception() is not None:
            return  # the close is told by its callback
        data = reading.result()
        self._around.settling.activity += 1
        self._unread += data
        self._beginning += data[: 16 - len(self._beginning)]
        self._record(f"raw bytes received: {show(data, 60)}")
        self._waiting.wake()
        self._read()

    def _on_close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._around.settling.activity += 1
            self._record("closed by the server")
            self._waiting.wake()

    def _on_written(self, future: "asyncio.Future[None]") -> None:
        if not future.cancelled():
            future.exception()  # looked at; the closed connection tells it
        self._waiting.wake()

    def _record(self, text: str) -> None:
        self._around.transcript.record(self.name, "mark", text)

    def _seconds(self, timeout: float | None) -> float | None:
        return self._around.timeout if timeout is None else check_timeout(timeout)

    def _take(self) -> bytes:
        data, self._unread = bytes(self._unread), bytearray()
        return data

    async def _wait(self, is_so: Any, seconds: float | None, wanted: str) -> None:
        __tracebackhide__ = True

        def attempt() -> bool | NotYet:
            return True if is_so() else NOT_YET

        def late() -> MessageTimeout:
            came = f"{show(bytes(self._unread), 80)} is unread" if self._unread else "no byte is unread"
            return MessageTimeout(
                f"{self.name} waited {seconds or 0:g} s for {wanted}; {came}\n"
                "raise the wait with timeout= if the server is only slow",
                client=self.name,
            )

        await self._waiting.wait_for(attempt, seconds, lambda: f"{self.name} waits for {wanted}", late)


async def open_raw(name: str, around: Surroundings, server: AppServer) -> RawConnection:
    """Connect to ``server`` over its transport."""
    __tracebackhide__ = True
    memory, resolver = server.memory, around.resolver
    client = TCPClient(resolver=resolver) if memory is None else MemoryTCPClient(memory, resolver)
    tls = {"cert_reqs": ssl.CERT_NONE} if server.protocol == "https" else None
    try:
        stream = await client.connect("127.0.0.1", server.port, ssl_options=tls, timeout=around.timeout)
    except TornadoTimeoutError:
        raise MessageTimeout(f"{name} was not connected within {around.timeout:g} s", client=name) from None
    except OSError as error:
        raise not_connected(name, server.url(), error) from error
    stream.set_nodelay(True)
    around.transcript.record(name, "mark", "a plain connection was opened")
    await around.settle()  # then the server has accepted it
    served = server.at_the_other_end(stream)
    if served is not None:
        served.is_raw = True
        served.watch.name(served, name)
    return RawConnection(name, stream, around, served)
