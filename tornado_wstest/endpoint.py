"""A client's end of its connection: how it begins, what arrives, how one waits, how it ends.

`WebSocketTestClient` is made of one of these and of what users call; here is what both sides of a
connection have to know of each other.
"""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tornado.httpclient import HTTPClientError
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from .codec import Codec, Message
from .errors import ConnectionClosed, MessageTimeout, NotSettled, UsageError, WSTestFailure
from .frames import NO_FRAME
from .inbox import NOT_YET, Inbox, NotYet, Received
from .matching import Expected
from .plan import Plan
from .request import HandshakeRequest, check_timeout
from .server import AppServer
from .simulation.network import Link, Network
from .simulation.settle import Settling
from .simulation.tasks import place
from .text import plural, show
from .transcript import Event, Transcript, mask_headers, mask_query
from .watch import Served
from .wire import LoopResolver, Wire, open_connection
from .wording import close_text, not_connected, too_late

__all__ = ["Endpoint", "Surroundings"]

__unittest = True

T = TypeVar("T")

_CLOSED = (WebSocketClosedError, StreamClosedError)
"""What Tornado raises where a connection is closed, as soon as it knows (the latter: before)."""


@dataclasses.dataclass
class Surroundings:
    """What a client shares with the other clients of its test."""

    settling: Settling
    transcript: Transcript
    codec: Codec
    timeout: float | None
    """Seconds that a wait lasts; None under virtual time, where a wait ends when nothing can happen."""
    patience: float
    """Real seconds that the app gets to come to rest."""
    grace: float
    resolver: LoopResolver
    through: Callable[[Link | None], contextlib.AbstractContextManager[Any]]
    """Over which transport, and which link of it, `websocket_connect` connects."""
    server: AppServer | None
    plan: Callable[[str | None, Mapping[str, Any]], tuple[str, HandshakeRequest]]
    """From a path and options of one connection to a URL and its request."""
    network: Network | None = None
    """The links of this test; None where the network is real."""
    listeners: list[Callable[[Any, Received], None]] = dataclasses.field(default_factory=list)
    """Who hears of each message that arrives, with the client that got it."""
    clients: Sequence[Any] = ()
    """All clients of the test, open or closed."""
    is_over: bool = False
    """Has the test ended?"""

    async def settle(self, timeout: float | None = None) -> None:
        """Let the app settle, and let the transcript know.

        :arg timeout: real seconds; by default as many as the app gets
        """
        __tracebackhide__ = True
        seconds = self.patience if timeout is None else check_timeout(timeout)
        await self.settling.settle(timeout=seconds, grace=self.grace)
        self.transcript.note_rest()


class Endpoint:
    """One client's end of a connection, and of those that follow it after a reconnect."""

    def __init__(self, name: str, around: Surroundings, codec: Codec, timeout: float | None) -> None:
        self.name = name
        self.around = around
        self.codec: Codec = codec
        self.timeout = timeout
        self.inbox: Inbox = Inbox(around.settling)
        self.filters: list[tuple[Expected, Callable[[Received], Any] | None]] = []
        """What is ignored (None) or answered (a function that makes the reply)."""
        self.pongs: dict[bytes, asyncio.Future[None]] = {}
        self.ended: asyncio.Future[None] = around.settling.loop.create_future()
        self.ending_is_known: bool = False
        """Does the test know of the close: by its own doing, or by `expect_closed`?"""
        self.closed_by_test: bool = False
        self.owner: Any = None
        """The client, for those who listen."""
        self.in_handshake = False
        self.wire: Wire | None = None
        self.served: Served | None = None
        self.is_silent: bool = False
        """Does what happens from now on concern nobody, because the client has failed?"""
        self._was_open = False
        self._failure: Exception | None = None
        self.link: Link | None = None if around.network is None else around.network.link(name, self._on_link)
        """The way to the server; None where the network is real."""

    # Beginning

    async def open(self, plan: Plan) -> None:
        """Make the opening handshake."""
        __tracebackhide__ = True
        around = self.around
        url, request = around.plan(plan.path, plan.options)
        self.is_silent = False
        self.timeout = self.timeout if plan.timeout is None else plan.timeout
        self.codec = plan.codec or self.codec
        if self.wire is not None:
            self._leave_nothing_open(self.wire)
            self.wire = None
        self.ended = around.settling.loop.create_future()
        self.ending_is_known = False
        self.closed_by_test = False
        self.served = None
        headers = mask_headers(request.headers.get_all())
        self.record("connect", mask_query(request.path) + (f" ({headers})" if headers else ""))
        try:
            connection = await open_connection(
                url,
                request,
                timeout=self.timeout,
                resolver=around.resolver,
                through=around.through(self.link),
                on_message_callback=functools.partial(self._on_message, self.ended),
            )
        except BaseException as error:
            if not self.ended.done():
                self.ended.set_result(None)
            if isinstance(error, HTTPClientError):
                self.record("reject", f"{error.code} {error.message or ''}".strip())
            elif isinstance(error, MessageTimeout) and self._link_state():
                stalled = f"{error}\nits link is stalled: resume() lets it through"
                raise MessageTimeout(stalled, client=self.name) from None
            elif isinstance(error, OSError) and not isinstance(error, TimeoutError):
                self.record("reject", "no connection")
                if around.server is None and not self._was_open:
                    raise  # nothing is known of a server elsewhere, but that it is not there
                raise not_connected(self.name, mask_query(url), error) from error
            raise
        self._was_open = True
        self.wire = Wire(connection, closed_already=self.ended.done())
        if self.ended.done():
            self._record_close()  # it ended in the turn that opened it
        connection.on_pong = self._on_pong  # type: ignore[method-assign]
        connection.on_ping = self._on_ping  # type: ignore[method-assign]
        self.served = around.server.find(self.wire.key) if around.server is not None else None
        if self.served is not None:
            self.served.watch.name(self.served, self.name)

    # What arrives

    def _on_message(self, ended: "asyncio.Future[None]", message: Message | None) -> None:
        """Called by Tornado for each message, and with None when the connection is closed.

        :arg ended: tells which connection it is of
        """
        if ended is not self.ended:
            return  # of one before a reconnect
        self.around.settling.activity += 1
        if message is None:
            self._on_close()
            return
        received = Received(message, self.record("received", message), self.codec)
        try:
            if self.filters and self._filter(received):
                return
        except Exception as error:
            # Raised by a predicate or a reply of the test's: the next wait tells it.
            self._failure = error
        if self.owner is not None and not self.in_handshake:
            for listener in self.around.listeners:
                listener(self.owner, received)
        self.inbox.add(received)

    def _on_close(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
            self._record_close()
            self.inbox.wake()

    def _record_close(self) -> None:
        if self.wire is not None:
            self.record("close", close_text(*self.code_and_reason()))

    def _filter(self, received: Received) -> bool:
        for expected, respond in self.filters:
            if received.is_as(expected):
                if respond is not None:
                    reply = self.codec.to_message(respond(received))
                    if self.wire is not None and not self.ended.done():
                        self.record("sent", reply)
                        with contextlib.suppress(*_CLOSED):  # the close itself is still to come
                            self.wire.write_message(reply)
                return True
        return False

    def _on_pong(self, data: bytes) -> None:
        self.record("pong", data)
        pong = self.pongs.get(data)
        if pong is not None and not pong.done():
            pong.set_result(None)
        self.inbox.wake()

    def _on_ping(self, data: bytes) -> None:
        self.record("ping", data)

    def _on_link(self, what: str, is_cut: bool) -> None:
        """The test has done something to the link."""
        if is_cut:
            self.closed_by_test = True
        self.record("mark", what)

    def record(self, kind: str, payload: Any, *, outgoing: bool = False) -> Event:
        """Add to the transcript."""
        if self.is_silent:
            return Event(0, self.name, kind, payload)
        return self.around.transcript.record(self.name, kind, payload, outgoing=outgoing)

    # Waiting

    def wait(
        self,
        attempt: Callable[[], T | NotYet],
        timeout: float | None,
        wanted: Callable[[], str],
        *,
        even_closed: bool = False,
    ) -> Awaitable[T]:
        """Wait until ``attempt`` returns something; raise what says why it never will.

        :arg wanted: returns what is waited for, in words
        :arg even_closed: wait although the connection is closed
        """
        __tracebackhide__ = True
        seconds = self.timeout if timeout is None else check_timeout(timeout)

        def attempt_or_raise() -> "T | NotYet":  # a type in quotes is not made each time
            if self._failure is not None:
                self.raise_failure()
            result = attempt()
            if result is NOT_YET and self.ended.done() and not even_closed:
                raise self.closed_error(f"waited for {wanted()}")
            return result

        return self.inbox.wait_for(
            attempt_or_raise,
            seconds,
            lambda: f"{self.name} waits for {wanted()}{self._link_state()}",
            lambda: too_late(self.name, seconds or 0, f"{wanted()}{self._link_state()}", self.inbox),
            is_usual=timeout is None and self.around.settling.clock is None,
        )

    async def settle(self, timeout: float | None) -> None:
        """Let the app settle."""
        __tracebackhide__ = True
        await self.around.settle(timeout)

    def seconds(self, timeout: float | None) -> float | None:
        """Return a call's ``timeout``, or this client's."""
        return self.timeout if timeout is None else check_timeout(timeout)

    # Facts

    def open_wire(self, purpose: str) -> Wire:
        """Return the connection if it is open; raise what says that it cannot ``purpose``."""
        __tracebackhide__ = True
        self.raise_failure()
        wire = self._wire_if_open()
        if wire is None:
            raise self.closed_error(f"cannot {purpose}")
        return wire

    def _wire_if_open(self) -> Wire | None:
        wire = self.wire
        if self._failure is not None or wire is None or self.ended.done() or wire.connection.protocol is None:
            return None
        return wire

    async def check_reconnect(self) -> None:
        """Raise `UsageError` if this is not the time to connect again."""
        __tracebackhide__ = True
        name = self.name
        if self.around.is_over:
            raise UsageError(f"{name} cannot reconnect: its test is over, and its server has stopped")
        if not self.ended.done():
            await self.settle(None)  # the close may be on its way
        if not self.ended.done():
            raise UsageError(f"{name} is connected; close() or abort() it before reconnect()")
        if any(other.name == name and not other.closed for other in self.around.clients):
            raise UsageError(f"there is an open client named {name!r} by now: close() it before reconnect()")

    def some_wire(self) -> Wire:
        """Return the connection, open or closed."""
        if self.wire is None:
            raise UsageError(f"{self.name} has never been connected")
        return self.wire

    def raise_failure(self) -> None:
        """Raise what a predicate or a reply of the test's raised while messages arrived."""
        if self._failure is not None:
            error, self._failure = self._failure, None
            raise error

    def code_and_reason(self) -> tuple[int, str]:
        """Return how the connection was closed."""
        if self.wire is None:
            return NO_FRAME, ""
        return self.wire.close_code, self.wire.connection.close_reason or ""

    def closed_error(self, wanted: str) -> ConnectionClosed:
        """Return what to raise where the connection is closed.

        :arg wanted: what the client does, as in "waited for a message"
        """
        code, reason = self.code_and_reason()
        caught = self.around.server.watch.first_of(self.served) if self.around.server is not None else None
        by_us = " by the test" if self.closed_by_test else ""
        because = f"\n{caught}" if caught is not None else ""
        advice = f"if it should close: await client.expect_closed({code})"
        unread = f"\n{plural(len(self.inbox), 'message')} unread" if len(self.inbox) else ""
        if caught is None and not self.ending_is_known:
            because = f"\n{advice}"
        if caught is None and self.wire is not None and self.wire.met_no_utf8:
            because = "\nthe server sent text that is no UTF-8: for bytes there is write_message(..., binary=True)"
        error = ConnectionClosed(
            f"{self.name} {wanted}, but the connection was closed{by_us} with {close_text(code, reason)}"
            f"{because}{unread}",
            client=self.name,
            code=code,
            reason=reason,
            advice=advice,
        )
        error.__cause__ = caught.exception if caught is not None else None
        return error

    # Sending

    async def write(self, message: Message, timeout: float | None) -> None:
        """Send a message, and wait until the kernel has it."""
        __tracebackhide__ = True
        if timeout is not None:
            check_timeout(timeout)
        wire = self._wire_if_open() or self.open_wire(f"send {show(message, 80)}")
        self.record("sent", message)
        try:
            writing: Any = wire.write_message(message)
        except _CLOSED:
            writing = None
        stream = wire.stream
        if stream.writing() or stream.closed():
            await self._flush(wire, writing, timeout, show(message, 80))

    async def write_raw(self, data: bytes, timeout: float | None) -> None:
        """Send bytes in no frame, and wait until the kernel has them."""
        __tracebackhide__ = True
        self.seconds(timeout)
        wire = self.open_wire("send raw bytes")
        self.record("mark", f"raw bytes sent: {show(data, 60)}")
        writing: Any = None
        with contextlib.suppress(*_CLOSED):
            writing = wire.write(data)
        await self._flush(wire, writing, timeout, "raw bytes")

    async def write_ping(self, payload: bytes) -> None:
        """Send a ping."""
        __tracebackhide__ = True
        wire = self.open_wire("ping")
        self.record("ping", payload, outgoing=True)
        with contextlib.suppress(*_CLOSED):
            wire.connection.ping(payload)
        await self._flush(wire, None, None, "a ping")

    async def _flush(self, wire: Wire, writing: Any, timeout: float | None, sent: str) -> None:
        """Wait until the kernel has taken what was written.

        :arg writing: the future that tells it, if there is one
        """
        __tracebackhide__ = True
        if writing is not None and (wire.stream.writing() or wire.stream.closed()):
            writing.add_done_callback(self._on_written)
        if writing is not None and wire.stream.writing():
            await self.wait(lambda: True if writing.done() else NOT_YET, timeout, lambda: f"the server to read {sent}")
        if wire.stream.closed():
            # The write has met the end before the receive loop, which may still have messages and a close frame.
            with contextlib.suppress(NotSettled):
                await self.around.settling.settle(
                    timeout=self.around.patience, grace=self.around.grace, unless=self.ended
                )
            raise self.closed_error(f"cannot send {sent}")

    def _on_written(self, writing: "asyncio.Future[None]") -> None:
        if not writing.cancelled():
            writing.exception()  # looked at; the stream is closed then
        self.inbox.wake()

    # Ending

    async def close(self, start: Callable[[Wire], None], payload: str, timeout: float | None) -> None:
        """Begin to close with ``start``, and wait until both sides know that the connection is over."""
        __tracebackhide__ = True
        seconds = self.seconds(timeout)
        if self.wire is None or self.ending_is_known:
            return
        self.ending_is_known = True
        if not self.ended.done():
            self.closed_by_test = True
            self.record("close", payload, outgoing=True)
            start(self.wire)
        await self._wait_for_end(self.wire, seconds)

    async def end(self) -> None:
        """Close without a word, whatever the state: when a test is over, or has failed."""
        if self.wire is None:
            return
        around = self.around
        if not self.ended.done() and not self.ending_is_known:
            self.closed_by_test = True
            self.record("close", close_text(1000, ""), outgoing=True)
            self.wire.close(1000, None)
        self.ending_is_known = True
        try:
            for future in (self.ended, self.served.closed if self.served is not None else self.ended):
                await around.settling.settle(timeout=around.patience, grace=around.grace, unless=future)
        except WSTestFailure:
            pass  # the server's own end waits for the same, and says so
        self._leave_nothing_open(self.wire)

    async def _wait_for_end(self, wire: Wire, seconds: float | None) -> None:
        __tracebackhide__ = True
        served = self.served
        if served is not None:
            # Where the client does not know yet, it will wake us itself.
            served.closed.add_done_callback(lambda _: self.inbox.wake() if self.ended.done() else None)

        def attempt() -> bool | NotYet:
            over = self.ended.done() and (served is None or served.closed.done())
            return True if over else NOT_YET

        def late() -> MessageTimeout:
            advice = "a handler that awaits in open() or on_message() sees no close: let it finish first, or cancel it"
            if self._link_state():
                advice = "over a stalled link the server sees no close: resume() it first, or cut() it"
            return MessageTimeout(
                f"{self.name} closed, but {self._what_is_missing()} within {seconds or 0:g} s\n{advice}",
                client=self.name,
            )

        try:
            await self.inbox.wait_for(
                attempt, seconds, lambda: f"{self.name} waits for its close to be over{self._link_state()}", late
            )
        finally:
            self._leave_nothing_open(wire)

    def _leave_nothing_open(self, wire: Wire) -> None:
        if not self.ended.done():
            wire.drop()
        wire.connection.close()

    def _link_state(self) -> str:
        """Say what keeps everything from coming, if the test has seen to that."""
        return " (its link is stalled)" if self.link is not None and self.link.is_stalled else ""

    def _what_is_missing(self) -> str:
        if self.served is None:
            return "the server did not answer the close frame"
        where = [place(task.get_coro()) for task in self.served.tasks]
        waits = f" (it awaits at {', '.join(filter(None, where))})" if any(where) else ""
        return f"{type(self.served.handler).__name__}.on_close did not run{waits}"
