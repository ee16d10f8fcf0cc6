"""One connection under test: send, receive, expect, close."""

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from tornado.httpclient import HTTPClientError
from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

from .codec import UNDECODABLE, Codec, Message
from .errors import ConnectionClosed, MessageTimeout, UnexpectedMessage, UsageError, WSTestFailure
from .frames import encode_frame
from .handshake import Handshake, run_handshake
from .inbox import NOT_YET, Inbox, NotYet, Received, TimedOut
from .matching import Expected, check_expected, describe, explain
from .request import HandshakeRequest, check_timeout
from .server import AppServer
from .simulation.settle import Settling
from .simulation.tasks import place
from .text import elide, plural, show
from .transcript import Transcript, mask_headers, mask_query
from .watch import Served
from .wire import LoopResolver, Wire, open_connection

__all__ = ["Plan", "Surroundings", "WebSocketTestClient"]

__unittest = True

T = TypeVar("T")

_ENDED_WELL = (1000, 1001, 1005)


@dataclasses.dataclass
class Surroundings:
    """What a client shares with the other clients of its test."""

    settling: Settling
    transcript: Transcript
    codec: Codec
    timeout: float
    grace: float
    resolver: LoopResolver
    server: AppServer | None
    plan: Callable[[str | None, Mapping[str, Any]], tuple[str, HandshakeRequest]]
    """From a path and options of one connection to a URL and its request."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a client is opened, kept for `WebSocketTestClient.reconnect`."""

    path: str | None
    options: Mapping[str, Any]
    handshake: Handshake | None
    handshake_kwargs: Mapping[str, Any]


class WebSocketTestClient:
    """A client of the app under test.

    ::

        client = await self.ws_client("/chat")
        await client.send({"say": "hi"})
        await client.expect({"said": "hi"})
        await client.expect_nothing()

    A *message* is `str` or `bytes`, its *value* what the codec makes of it (JSON objects and arrays are
    decoded by default). What may be ``expected`` is told in `tornado_wstest.matching`. Every wait ends
    after ``timeout`` seconds (by default the test case's ``ws_timeout``) with a `MessageTimeout`, and takes
    nothing then. Messages that nobody has taken stay readable after the close; after them, every receiving
    call raises `ConnectionClosed`, caused by the handler's exception if it raised one.
    """

    def __init__(self, name: str, surroundings: Surroundings, *, codec: Codec | None, timeout: float | None) -> None:
        self.name = name
        """The client's name, as failures and the transcript show it."""
        self.codec = codec or surroundings.codec
        """What encodes and decodes this client's messages."""
        self.handshake_result: Any = None
        """What the handshake returned."""
        self._surroundings = surroundings
        self._default_timeout = surroundings.timeout if timeout is None else check_timeout(timeout)
        self._inbox = Inbox(surroundings.settling)
        self._filters: list[tuple[Expected, Callable[[Received], Any] | None]] = []
        self._broken: Exception | None = None
        self._handshake_messages: list[Message] | None = None
        self._taken_in_handshake: tuple[Message, ...] = ()
        self._wire: Wire | None = None
        self._served: Served | None = None
        self._plan: Plan | None = None
        self._ended: asyncio.Future[None] = surroundings.settling.loop.create_future()
        self._close_is_known = False
        self._ping_numbers = itertools.count(1)
        self._ping_lock = asyncio.Lock()
        self._pongs: dict[bytes, asyncio.Future[None]] = {}

    # Sending

    async def send(self, message: Any, *, timeout: float | None = None) -> None:
        """Send a message: `str` as text, `bytes` as binary, anything else through the codec.

        ::

            await client.send("foo")
            await client.send({"type": "join", "room": "den"})

        Returns when the kernel has the message, not when the handler has: see `ping` and
        ``settle()`` for that. Raises `ConnectionClosed` on a closed client, `UsageError` for a value that
        cannot be encoded, `MessageTimeout` if the server does not read for ``timeout`` seconds.
        """
        __tracebackhide__ = True
        encoded = self.codec.to_message(message)
        wire = self._open_wire(f"send {show(encoded, 80)}")
        await self._write(wire, encoded, timeout)

    async def send_json(self, value: Any, *, timeout: float | None = None) -> None:
        """Send ``value`` as JSON text, whatever the codec: ``send_json("foo")`` sends ``"foo"`` with its quotes."""
        __tracebackhide__ = True
        try:
            text = json.dumps(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{show(value)} cannot be encoded as JSON: {error}") from error
        await self.send(text, timeout=timeout)

    async def send_raw(self, data: bytes, *, timeout: float | None = None) -> None:
        """Send bytes as they are, in no frame: what a well-behaved client never does."""
        __tracebackhide__ = True
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise UsageError(f"send_raw() takes bytes, not {show(data)}")
        wire = self._open_wire("send raw bytes")
        self._record("mark", f"raw bytes sent: {show(bytes(data), 60)}")
        await self._flush(wire.write(bytes(data)), timeout, "raw bytes")

    async def send_frame(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool = True,
        length: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """Send one frame, well-formed or not; see `tornado_wstest.frames.encode_frame` for its parts.

        ::

            await client.send_frame(1, b"hel", fin=False)
            await client.send_frame(0, b"lo")
        """
        __tracebackhide__ = True
        data = encode_frame(opcode, payload, fin=fin, rsv=rsv, masked=masked, length=length)
        await self.send_raw(data, timeout=timeout)

    async def ping(self, data: bytes | str | None = None, *, timeout: float | None = None) -> float:
        """Send a ping, wait for its pong, and return the seconds between them.

        This is a barrier: when it returns, all that this client sent before has been processed by the
        handler, also by a server in another process, because a server reads its frames in order. Of many
        pings under way a server may answer the last only (RFC 6455, section 5.5.3), so that a client's
        pings go one after the other.

        :arg data: up to 125 bytes to carry
        """
        __tracebackhide__ = True
        payload = data.encode() if isinstance(data, str) else data
        if payload is not None and (not isinstance(payload, bytes) or len(payload) > 125):
            raise UsageError(f"a ping carries up to 125 bytes, not {show(data)}")
        async with self._ping_lock:
            wire = self._open_wire("ping")
            if payload is None:
                payload = b"%d" % next(self._ping_numbers)
            pong = self._pongs[payload] = self._surroundings.settling.loop.create_future()
            started = self._surroundings.settling.loop.time()
            self._record("ping", payload, outgoing=True)
            try:
                wire.connection.ping(payload)
                await self._wait(lambda: True if pong.done() else NOT_YET, timeout, "a pong")
            except WebSocketClosedError:
                raise self.closed_error("a pong") from None
            finally:
                del self._pongs[payload]
            return self._surroundings.settling.loop.time() - started

    # Receiving

    async def receive(self, expected: Expected = None, *, timeout: float | None = None) -> Message:
        """Take and return the next message; with ``expected``, the first that matches, now or later.

        ::

            await client.receive()
            await client.receive(containing(id=7))      # replies out of order: the others stay unread
        """
        __tracebackhide__ = True
        return (await self._take(expected, timeout)).message

    async def receive_text(self, expected: Expected = None, *, timeout: float | None = None) -> str:
        """Take the next message, as `receive`; `UnexpectedMessage` if it is binary."""
        __tracebackhide__ = True
        received = await self._take(expected, timeout, str)
        assert isinstance(received.message, str)
        return received.message

    async def receive_bytes(self, expected: Expected = None, *, timeout: float | None = None) -> bytes:
        """Take the next message, as `receive`; `UnexpectedMessage` if it is text."""
        __tracebackhide__ = True
        received = await self._take(expected, timeout, bytes)
        assert isinstance(received.message, bytes)
        return received.message

    async def receive_json(self, expected: Expected = None, *, timeout: float | None = None) -> Any:
        """Take the next message, as `receive`, and return it decoded from JSON, whatever the codec.

        Raises `UnexpectedMessage` if it is no JSON; it stays unread then.
        """
        __tracebackhide__ = True

        def decode(received: Received) -> Any:
            try:
                return json.loads(received.message)
            except (ValueError, RecursionError) as error:
                raise self._unexpected(f"{self.name} expected JSON, but got {show(received.message)}: {error}"
                                       "\nreceive() takes any message", received) from None

        return await self._wait(lambda: self._take_checked(expected, decode), timeout, _what(expected, "JSON"))

    async def receive_until(
        self, expected: Expected, *, inclusive: bool = True, timeout: float | None = None
    ) -> list[Message]:
        """Take messages until one is as expected, and return them all.

        :arg inclusive: take the last one, too; if not, it stays unread
        """
        __tracebackhide__ = True
        check_expected(expected)
        waiting = self._inbox.waiting

        def attempt() -> list[Message] | NotYet:
            for index, received in enumerate(waiting):
                if received.is_as(expected):
                    return [self._taken(waiting.popleft()).message for _ in range(index + inclusive)]
            return NOT_YET

        return await self._wait(attempt, timeout, f"a message like {describe(expected)}")

    async def receive_all(self, *, timeout: float | None = None) -> list[Message]:
        """Take and return what arrives until the app has settled; empty if nothing does.

        It never raises for a close. Of a server in another process it cannot know what is still to come.
        """
        __tracebackhide__ = True
        await self._settle(timeout)
        self._raise_broken()
        waiting = self._inbox.waiting
        return [self._taken(waiting.popleft()).message for _ in range(len(waiting))]

    async def expect(self, expected: Expected, *, timeout: float | None = None) -> Any:
        """Take the next message, which must be as expected, and return its value.

        ::

            reply = await client.expect(containing(type="welcome"))

        Raises `UnexpectedMessage` if it is not; it stays unread then.
        """
        __tracebackhide__ = True
        check_expected(expected)

        def attempt() -> Received | NotYet:
            if not self._inbox.waiting:
                return NOT_YET
            received = self._inbox.waiting[0]
            if not received.is_as(expected):
                raise self._mismatch(expected, received)
            return self._taken(self._inbox.waiting.popleft())

        received = await self._wait(attempt, timeout, describe(expected))
        return received.message if received.value is UNDECODABLE else received.value

    async def expect_in_any_order(self, *expected: Expected, timeout: float | None = None) -> list[Any]:
        """Take the next messages, one for each ``expected``, in whatever order they come.

        Returns their values in the order of ``expected``. If some message fits none of them, this is an
        `UnexpectedMessage`, and all stay unread.
        """
        __tracebackhide__ = True
        for one in expected:
            check_expected(one)

        def attempt() -> list[Received] | NotYet:
            candidates = list(itertools.islice(self._inbox, len(expected)))
            assigned = _assign(candidates, expected)
            if assigned is None:
                raise self._unexpected(
                    f"{self.name} expected, in any order, {_listed(expected)},"
                    f" but among the next messages {show(candidates[-1].message)} fits none that is left\n"
                    f"came: {', '.join(show(c.message, 80) for c in candidates)}",
                    candidates[-1],
                )
            if len(candidates) < len(expected):
                return NOT_YET
            for _ in candidates:
                self._taken(self._inbox.waiting.popleft())
            return [candidates[index] for index in assigned]

        found = await self._wait(attempt, timeout, f"in any order: {_listed(expected)}")
        return [received.message if received.value is UNDECODABLE else received.value for received in found]

    async def expect_nothing(
        self, matching: Expected = None, *, seconds: float = 0, timeout: float | None = None
    ) -> None:
        """Nothing is unread when the app has settled.

        ::

            await client.expect_nothing()
            await client.expect_nothing(containing(type="alarm"))       # others may come
            await client.expect_nothing(seconds=30)                     # with ws_virtual_time: in no time

        This is exact and takes microseconds, not a sleep: see `tornado_wstest.simulation.settle` for what
        it can see. Raises `UnexpectedMessage`, or `ConnectionClosed` if the server closed meanwhile.

        :arg seconds: let this time pass first, for what timers do
        """
        __tracebackhide__ = True
        if matching is not None:
            check_expected(matching)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
            raise UsageError(f"seconds is a number of seconds, 0 or more, not {show(seconds)}")
        if seconds:
            await asyncio.sleep(seconds)
        await self._settle(timeout)
        self._raise_broken()
        for received in self._inbox:
            if matching is None or received.is_as(matching):
                wanted = "" if matching is None else f" like {describe(matching)}"
                raise self._unexpected(
                    f"{self.name} expected nothing{wanted}, but {show(received.message)} came"
                    f"{_others(len(self._inbox) - 1)}\n"
                    "if it is welcome, take it first (receive, expect) or ignore() its kind",
                    received,
                )
        if self.closed and not self._close_is_known:
            raise self.closed_error("silence")
        due = self._surroundings.settling.next_timer()
        reach = f"; the next timer is due in {due:.3g} s" if due is not None and due < 60 else ""
        self._record("mark", f"nothing{'' if matching is None else ' like ' + describe(matching)}{reach}")

    async def expect_closed(
        self, code: int | None = None, reason: str | None = None, *, timeout: float | None = None
    ) -> int:
        """The server closes the connection, with this ``code`` and ``reason`` if they are given.

        ::

            await client.expect_closed(4001, "who are you?")

        Returns the code, as RFC 6455 has it: 1005 for a close frame without one, 1006 for no close frame.
        Raises `UnexpectedMessage` if messages are unread, `ConnectionClosed` for another code or reason,
        `MessageTimeout` if the connection stays open.
        """
        __tracebackhide__ = True

        def attempt() -> bool | NotYet:
            self._raise_broken()
            if self._inbox.waiting:
                unread = ", ".join(show(received.message, 80) for received in itertools.islice(self._inbox, 5))
                raise self._unexpected(
                    f"{self.name} expected a close, but {plural(len(self._inbox), 'message')} came before: {unread}\n"
                    "take what is welcome first (receive, receive_all)",
                    self._inbox.waiting[0],
                )
            return True if self._ended.done() else NOT_YET

        await self._wait(attempt, timeout, "a close", even_closed=True)
        actual_code, actual_reason = self._code_and_reason()
        if (code is not None and actual_code != code) or (reason is not None and actual_reason != reason):
            wanted = _close_text(code, reason)
            raise self.closed_error(f"a close with {wanted}")
        self._close_is_known = True
        return actual_code

    def ignore(self, *expected: Expected) -> None:
        """From now on, messages like these go to the transcript only.

        ::

            client.ignore(containing(type="heartbeat"))
        """
        for one in expected:
            check_expected(one)
        self._filters.extend((one, None) for one in expected)

    def answer(self, expected: Expected, reply: Any) -> None:
        """From now on, messages like this are answered, and go to the transcript only: heartbeats.

        ::

            client.answer({"type": "ping"}, {"type": "pong"})
            client.answer(containing(type="ping"), lambda value: {"pong": value["n"]})

        :arg reply: the message or value to send, or a function of the value received that returns it
        """
        check_expected(expected)
        if not callable(reply):
            self.codec.to_message(reply)

        def respond(received: Received) -> Any:
            return reply(received.value) if callable(reply) else reply

        self._filters.append((expected, respond))

    # Closing

    async def close(self, code: int | None = 1000, reason: str = "", *, timeout: float | None = None) -> None:
        """Close with a closing handshake, and return when the server's `on_close` has run.

        Closing again is nothing. Raises `MessageTimeout` if the server does not answer within ``timeout``
        seconds, or its `on_close` does not run (a handler that awaits sees no close frame): the connection
        is dropped then. The code may be any of 1000 to 4999 that a peer may send (RFC 6455, section 7.4), or
        None for a close frame without one.
        """
        __tracebackhide__ = True
        _check_close(code, reason)
        if self._wire is None or self._close_is_known:
            return
        self._close_is_known = True
        if not self._ended.done():
            self._record("close", _close_text(code, reason), outgoing=True)
            self._wire.close(code, reason or None)
        await self._wait_for_end(timeout)

    async def abort(self, *, timeout: float | None = None) -> None:
        """Drop the connection without a close frame, and return when the server's `on_close` has run."""
        __tracebackhide__ = True
        if self._wire is None or self._close_is_known:
            return
        self._close_is_known = True
        if not self._ended.done():
            self._record("close", "dropped", outgoing=True)
            self._wire.drop()
        await self._wait_for_end(timeout)

    async def reconnect(self, path: str | None = None, **changes: Any) -> "WebSocketTestClient":
        """Connect again after a close or a cut, as before but for what is given: for resume protocols.

        Takes the arguments of `ws_client`. The client keeps its name, its unread messages, and what it
        ignores and answers. Raises `UsageError` while it is connected.
        """
        __tracebackhide__ = True
        if not self.closed:
            raise UsageError(f"{self.name} is connected; close() or abort() it before reconnect()")
        assert self._plan is not None
        await self._settle(None)
        handshake = changes.pop("handshake", self._plan.handshake)
        kwargs = changes.pop("handshake_kwargs", None) or self._plan.handshake_kwargs
        options = {**self._plan.options, **changes}
        await self.open(Plan(path or self._plan.path, options, handshake, kwargs))
        return self

    def pause_reading(self) -> None:
        """Read nothing more from the socket, so that the server is held back when the buffers are full.

        Pings go unanswered and a close is not seen, until `resume_reading`.
        """
        wire = self._open_wire("pause")
        if wire.is_paused:
            raise UsageError(f"{self.name} has paused reading already; resume_reading() first")
        wire.pause()
        self._record("mark", "reading paused")

    def resume_reading(self) -> None:
        """Read again, after `pause_reading`."""
        wire = self._open_wire("resume")
        if not wire.is_paused:
            raise UsageError(f"{self.name} has not paused reading; pause_reading() first")
        wire.resume()
        self._record("mark", "reading resumed")

    # Facts

    @property
    def connection(self) -> WebSocketClientConnection:
        """Tornado's connection."""
        return self._some_wire().connection

    @property
    def handler(self) -> RequestHandler | None:
        """The server's handler of this very connection; None for a server elsewhere."""
        return self._served.handler if self._served is not None else None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, or None."""
        return self._some_wire().subprotocol

    @property
    def response_headers(self) -> HTTPHeaders:
        """The headers of the server's answer to the opening handshake."""
        headers = self._some_wire().headers
        assert headers is not None
        return headers

    @property
    def closed(self) -> bool:
        """Is the connection closed?"""
        return self._ended.done()

    @property
    def close_code(self) -> int | None:
        """The close code (RFC 6455, section 7.1.5: 1005 for none, 1006 for no close frame); None while open."""
        return self._code_and_reason()[0] if self.closed else None

    @property
    def close_reason(self) -> str | None:
        """The reason of the server's close frame, or an empty text; None while open."""
        return self._code_and_reason()[1] if self.closed else None

    @property
    def unread(self) -> tuple[Message, ...]:
        """The messages that nobody has taken yet, oldest first. Looking takes nothing."""
        return tuple(received.message for received in self._inbox)

    @property
    def handshake_messages(self) -> tuple[Message, ...]:
        """The messages that the handshake took."""
        return self._taken_in_handshake if self._handshake_messages is None else tuple(self._handshake_messages)

    @property
    def server_buffer(self) -> int:
        """How many bytes the server holds for this client, the kernel's own buffers not counted."""
        if self._served is None or self._surroundings.server is None:
            raise UsageError(f"the server of {self.name} is elsewhere: its buffers cannot be seen")
        return self._surroundings.server.buffered(self._served)

    # For tests that come from Tornado's connection

    async def write_message(self, message: Any, binary: bool = False) -> None:
        """Send as `WebSocketClientConnection.write_message` does: a dict as JSON."""
        __tracebackhide__ = True
        if isinstance(message, dict):
            message = json.dumps(message)
        if binary and isinstance(message, str):
            message = message.encode()
        elif not binary and isinstance(message, bytes):
            message = message.decode()
        await self.send(message)

    async def read_message(self) -> Message | None:
        """Take the next message, or None if the connection is closed, as in Tornado; but with a timeout."""
        __tracebackhide__ = True
        try:
            return await self.receive()
        except ConnectionClosed:
            return None

    async def __aenter__(self) -> "WebSocketTestClient":
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if exc is None:
            await self.close()
        else:
            await self.end()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Take one message after the other; ends with a close of code 1000, 1001 or none, raises for any other."""
        while True:
            try:
                yield await self.receive()
            except ConnectionClosed as error:
                if error.code in _ENDED_WELL:
                    return
                raise

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<WebSocketTestClient {self.name} {state}, {plural(len(self._inbox), 'message')} unread>"

    # For the tester: how a client begins and ends

    async def open(self, plan: Plan) -> None:
        """Connect, and go through the handshake. Leaves nothing open if that fails."""
        __tracebackhide__ = True
        here = self._surroundings
        url, request = here.plan(plan.path, plan.options)
        self._plan = plan
        self._ended = here.settling.loop.create_future()
        self._close_is_known = False
        self._served = None
        shown = mask_query(request.path)
        if headers := mask_headers(request.headers.get_all()):
            shown += f" ({headers})"
        self._record("connect", shown)
        try:
            connection = await open_connection(
                url, request, timeout=self._default_timeout, resolver=here.resolver, on_message_callback=self._on_message
            )
        except HTTPClientError as error:
            self._record("reject", f"{error.code} {error.message or ''}".strip())
            raise
        self._wire = Wire(connection, closed_already=self._ended.done())
        connection.on_pong = self._on_pong  # type: ignore[method-assign]
        connection.on_ping = self._on_ping  # type: ignore[method-assign]
        if here.server is not None and (served := here.server.find(self._wire.key)) is not None:
            self._served = served
            served.client = self.name
        try:
            await self._go_through(plan)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Close without a word, whatever the state: when a test is over, or has failed."""
        if self._wire is None:
            return
        here = self._surroundings
        if not self._ended.done() and not self._close_is_known:
            self._record("close", _close_text(1000, ""), outgoing=True)
            self._wire.close(1000, None)
        self._close_is_known = True
        try:
            for future in (self._ended, self._served.closed if self._served is not None else self._ended):
                await here.settling.settle(timeout=here.timeout, grace=here.grace, unless=future)
        except WSTestFailure:
            pass  # the server's own end waits for the same, and says so
        if not self._ended.done():
            self._wire.drop()
        self._wire.connection.close()

    def closed_error(self, wanted: str) -> ConnectionClosed:
        """Return what to raise where ``wanted`` cannot come, because the connection is closed."""
        code, reason = self._code_and_reason()
        caught = self._surroundings.server.watch.take(self._served) if self._surroundings.server else None
        by_us = " by the test" if self._close_is_known and caught is None else ""
        because = f"\n{caught}" if caught is not None else ""
        unread = f"\n{plural(len(self._inbox), 'message')} unread" if len(self._inbox) else ""
        error = ConnectionClosed(
            f"{self.name} waited for {wanted}, but the connection was closed{by_us}"
            f" with {_close_text(code, reason)}{because}{unread}",
            client=self.name,
            code=code,
            reason=reason,
        )
        error.__cause__ = caught.exception if caught is not None else None
        return error

    async def _go_through(self, plan: Plan) -> None:
        __tracebackhide__ = True
        self._handshake_messages = []
        try:
            if plan.handshake is not None:
                self.handshake_result = await run_handshake(plan.handshake, self, plan.handshake_kwargs)
        finally:
            self._taken_in_handshake = tuple(self._handshake_messages)
            self._handshake_messages = None
        if self._served is not None and not self._served.open_finished:
            # An open() that awaits is given until it has finished, or waits for something itself.
            await self._settle(None)

    # What arrives

    def _on_message(self, message: Message | None) -> None:
        """Called by Tornado for each message, and with None when the connection is closed."""
        self._surroundings.settling.activity += 1
        if message is None:
            if not self._ended.done():
                self._ended.set_result(None)
                # The wire may not be there yet: the connection ended in the turn that opened it.
                self._surroundings.settling.loop.call_soon(self._record_close)
                self._inbox.wake()
            return
        event = self._record("received", message)
        received = Received(message, event, self.codec)
        try:
            if self._filters and self._filter(received):
                return
        except Exception as error:
            self._broken = error
        self._inbox.add(received)

    def _filter(self, received: Received) -> bool:
        for expected, respond in self._filters:
            if received.is_as(expected):
                if respond is not None:
                    reply = self.codec.to_message(respond(received))
                    if not self.closed:
                        self._record("sent", reply)
                        self.connection.write_message(reply, binary=isinstance(reply, bytes))
                return True
        return False

    def _on_pong(self, data: bytes) -> None:
        self._record("pong", data)
        pong = self._pongs.get(data)
        if pong is not None and not pong.done():
            pong.set_result(None)
        self._inbox.wake()

    def _on_ping(self, data: bytes) -> None:
        self._record("ping", data)

    def _record_close(self) -> None:
        if self._wire is not None:
            self._record("close", _close_text(*self._code_and_reason()))

    def _record(self, kind: str, payload: Any, *, outgoing: bool = False) -> Any:
        return self._surroundings.transcript.record(self.name, kind, payload, outgoing=outgoing)

    # Waiting

    async def _wait(
        self,
        attempt: Callable[[], T | NotYet],
        timeout: float | None,
        wanted: str,
        *,
        even_closed: bool = False,
    ) -> T:
        """Wait until ``attempt`` returns something; raise what says why it never will."""
        __tracebackhide__ = True
        seconds = self._default_timeout if timeout is None else check_timeout(timeout)

        def attempt_or_raise() -> T | NotYet:
            self._raise_broken()
            result = attempt()
            if result is NOT_YET and self._ended.done() and not even_closed:
                raise self.closed_error(wanted)
            return result

        try:
            return await self._inbox.wait_for(attempt_or_raise, seconds)
        except TimedOut:
            pass
        raise self._too_late(seconds, wanted)

    async def _take(
        self, expected: Expected, timeout: float | None, kind: type[Message] | None = None
    ) -> Received:
        __tracebackhide__ = True

        def check(received: Received) -> Received:
            if kind is not None and not isinstance(received.message, kind):
                raise self._unexpected(
                    f"{self.name} expected {_KINDS[kind]}, but got {show(received.message)}\nreceive() takes both",
                    received,
                )
            return received

        wanted = _what(expected, "a message" if kind is None else _KINDS[kind])
        return await self._wait(lambda: self._take_checked(expected, check), timeout, wanted)

    def _take_checked(self, expected: Expected, check: Callable[[Received], T]) -> T | NotYet:
        """Take the message that is due, if ``check`` lets it pass."""
        if expected is None:
            received = self._inbox.waiting[0] if self._inbox.waiting else None
        else:
            check_expected(expected)
            received = next((candidate for candidate in self._inbox if candidate.is_as(expected)), None)
        if received is None:
            return NOT_YET
        result = check(received)
        self._inbox.waiting.remove(received)
        self._taken(received)
        return result

    def _taken(self, received: Received) -> Received:
        if self._handshake_messages is not None:
            self._handshake_messages.append(received.message)
        return received

    async def _settle(self, timeout: float | None) -> None:
        __tracebackhide__ = True
        seconds = self._default_timeout if timeout is None else check_timeout(timeout)
        await self._surroundings.settling.settle(timeout=seconds, grace=self._surroundings.grace)

    async def _wait_for_end(self, timeout: float | None) -> None:
        """Wait until both sides know that the connection is over."""
        __tracebackhide__ = True
        served, wire = self._served, self._wire
        assert wire is not None
        if served is not None:
            served.closed.add_done_callback(lambda _: self._inbox.wake())

        def attempt() -> bool | NotYet:
            over = self._ended.done() and (served is None or served.closed.done())
            return True if over else NOT_YET

        seconds = self._default_timeout if timeout is None else check_timeout(timeout)
        try:
            await self._inbox.wait_for(attempt, seconds)
        except TimedOut:
            raise MessageTimeout(
                f"{self.name} closed, but {self._what_is_missing()} within {seconds:g} s\n"
                "while a handler awaits in open() or on_message() it sees no close",
                client=self.name,
            ) from None
        finally:
            if not self._ended.done():
                wire.drop()
            wire.connection.close()

    def _what_is_missing(self) -> str:
        if self._served is None:
            return "the server did not answer the close frame"
        where = [place(task.get_coro()) for task in self._served.tasks]
        waits = f" (it awaits at {', '.join(filter(None, where))})" if any(where) else ""
        return f"{type(self._served.handler).__name__}.on_close did not run{waits}"

    async def _write(self, wire: Wire, message: Message, timeout: float | None) -> None:
        __tracebackhide__ = True
        self._record("sent", message)
        try:
            future = wire.connection.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            raise self.closed_error(f"the server, to send {show(message, 80)}") from None
        if wire.stream.writing():
            await self._flush(future, timeout, show(message, 80))

    async def _flush(self, future: "asyncio.Future[None]", timeout: float | None, what: str) -> None:
        __tracebackhide__ = True
        future.add_done_callback(lambda done: (done.cancelled() or done.exception(), self._inbox.wake()))
        await self._wait(lambda: True if future.done() else NOT_YET, timeout, f"the server to read {what}")

    def _open_wire(self, purpose: str) -> Wire:
        self._raise_broken()
        if self._wire is None or self._ended.done() or self._wire.connection.protocol is None:
            raise self.closed_error(f"the server, to {purpose}")
        return self._wire

    def _some_wire(self) -> Wire:
        if self._wire is None:
            raise UsageError(f"{self.name} has never been connected")
        return self._wire

    def _raise_broken(self) -> None:
        if self._broken is not None:
            error, self._broken = self._broken, None
            raise error

    def _code_and_reason(self) -> tuple[int, str]:
        if self._wire is None:
            return 1006, ""
        return self._wire.close_code, self._wire.connection.close_reason or ""

    # What went wrong

    def _too_late(self, seconds: float, wanted: str) -> MessageTimeout:
        others = [show(received.message, 80) for received in itertools.islice(self._inbox, 5)]
        if others:
            count = len(self._inbox)
            came = f"{plural(count, 'other message')} came: {', '.join(others)}{', ...' if count > 5 else ''}"
            advice = "raise the wait with timeout=, or take it out of turn with receive(expected)"
        else:
            came = "no message came"
            advice = "raise the wait with timeout=, or look into the transcript for what the server did"
        return MessageTimeout(f"{self.name} waited {seconds:g} s for {wanted}; {came}\n{advice}", client=self.name)

    def _mismatch(self, expected: Expected, received: Received) -> UnexpectedMessage:
        why = explain(expected, received.message, received.value)
        later = [index for index, other in enumerate(self._inbox) if index and other.is_as(expected)]
        if later:
            advice = f"the unread message number {later[0] + 1} matches: receive(expected) takes it out of turn"
        elif len(self._inbox) > 1:
            advice = f"none of the {len(self._inbox) - 1} later unread messages matches"
        else:
            advice = "it is the only unread message; what belongs to every connection can go into the handshake"
        text = f"{self.name} expected {elide(describe(expected), 400)}\n"
        return self._unexpected(
            f"{text}but the next message is {show(received.message, 400)}\n{why}\n{advice}", received
        )

    def _unexpected(self, text: str, received: Received) -> UnexpectedMessage:
        return UnexpectedMessage(text, client=self.name, message=received.message)

    def unread_events(self) -> list[Any]:
        """The transcript's events of the messages that nobody has taken."""
        return [received.event for received in self._inbox]


_KINDS: dict[Any, str] = {str: "a text message", bytes: "a binary message"}


def _what(expected: Expected, kind: str) -> str:
    return kind if expected is None else f"{kind} like {describe(expected)}"


def _others(count: int) -> str:
    return f", and {plural(count, 'other message')}" if count else ""


def _listed(expected: tuple[Expected, ...]) -> str:
    return ", ".join(describe(one) for one in expected)


def _close_text(code: int | None, reason: str | None) -> str:
    parts = [str(code) if code is not None else "", repr(reason) if reason else ""]
    return " ".join(filter(None, parts)) or "no code"


def _check_close(code: object, reason: object) -> None:
    if code is not None:
        if isinstance(code, bool) or not isinstance(code, int) or not 1000 <= code <= 4999 or code in (1005, 1006, 1015):
            raise UsageError(
                f"a close code is a number from 1000 to 4999 that a peer may send, not {show(code)}"
                " (send_frame() sends any)"
            )
    if not isinstance(reason, str) or len(reason.encode()) > 123:
        raise UsageError(f"a close reason is a str of up to 123 bytes, not {show(reason)}")
    if reason and code is None:
        raise UsageError("a close reason needs a code")


def _assign(candidates: list[Received], expected: tuple[Expected, ...]) -> list[int] | None:
    """Find for each candidate an expectation of its own; return the candidate of each, or None.

    Where there are fewer candidates than expectations, the others have -1. (Augmenting paths: a message
    that fits two expectations gives way to one that fits only the first.)
    """
    owner = [-1] * len(expected)
    fits = [[j for j, one in enumerate(expected) if candidate.is_as(one)] for candidate in candidates]

    def place_candidate(index: int, tried: set[int]) -> bool:
        for j in fits[index]:
            if j not in tried:
                tried.add(j)
                if owner[j] < 0 or place_candidate(owner[j], tried):
                    owner[j] = index
                    return True
        return False

    for index in range(len(candidates)):
        if not place_candidate(index, set()):
            return None
    return owner

