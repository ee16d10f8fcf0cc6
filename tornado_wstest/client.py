"""One connection under test: send, receive, expect, close."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClientConnection

from .codec import Codec, Message
from .endpoint import Endpoint, Surroundings
from .errors import ConnectionClosed, UsageError
from .frames import encode_frame
from .handshake import run_handshake
from .inbox import NOT_YET, NotYet, Received, assign, fitting
from .matching import Expected, check_expected, describe
from .plan import Plan
from .request import check_close, check_seconds, check_timeout
from .simulation.network import Link
from .text import plural, show
from .transcript import Event
from .watch import Served
from .wire import Wire
from .wording import (
    came_instead,
    close_text,
    fits_none,
    kind_name,
    listed,
    mismatch,
    not_silent,
    unread_before_close,
    what,
)

__all__ = ["WebSocketTestClient"]

__unittest = True

T = TypeVar("T")

_ENDED_WELL = (1000, 1001, 1005)


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

    def __init__(self, name: str, around: Surroundings, *, codec: Codec | None, timeout: float | None) -> None:
        self.handshake_result: Any = None
        """What the handshake returned."""
        seconds = around.timeout if timeout is None else check_timeout(timeout)
        self._end = Endpoint(name, around, codec or around.codec, seconds)
        self._inbox = self._end.inbox
        self._taken_in_handshake: list[Message] = []
        self._end.owner = self
        self._plan: Plan | None = None
        self._ping_numbers = itertools.count(1)

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
        await self._end.write(self.codec.to_message(message), timeout)

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
        await self._end.write_raw(bytes(data), timeout)

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

        Raises `ConnectionClosed`, or `MessageTimeout` if no pong comes: a handler that awaits in `on_message`
        answers no ping until it returns.

        :arg data: up to 125 bytes to carry
        """
        __tracebackhide__ = True
        payload = data.encode() if isinstance(data, str) else data
        if payload is not None and (not isinstance(payload, bytes) or len(payload) > 125):
            raise UsageError(f"a ping carries up to 125 bytes, not {show(data)}")
        end = self._end
        loop = end.around.settling.loop
        started = loop.time()
        # Of many pings under way only the last may be answered: one at a time.
        await end.wait(lambda: NOT_YET if end.pongs else True, timeout, lambda: "the pong of another ping")
        payload = b"%d" % next(self._ping_numbers) if payload is None else payload
        pong = end.pongs[payload] = loop.create_future()
        try:
            await end.write_ping(payload)
            await end.wait(lambda: True if pong.done() else NOT_YET, timeout, lambda: "a pong")
        finally:
            del end.pongs[payload]
            self._inbox.wake()
        return loop.time() - started

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
                raise came_instead(self.name, "JSON", received, f": {error}") from None

        check_expected(expected)
        return await self._end.wait(
            lambda: self._take_checked(expected, decode), timeout, lambda: what(expected, "a message of JSON")
        )

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

        return await self._end.wait(attempt, timeout, lambda: f"a message like {describe(expected)}")

    async def receive_all(self, *, timeout: float | None = None) -> list[Message]:
        """Take and return what arrives until the app has settled; empty if nothing does.

        It never raises for a close; `NotSettled` if the app does not come to rest. Of a server in another
        process it cannot know what is still to come.
        """
        __tracebackhide__ = True
        await self._end.settle(timeout)
        self._end.raise_failure()
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
                raise mismatch(self.name, expected, received, self._inbox)
            return self._taken(self._inbox.waiting.popleft())

        return (await self._end.wait(attempt, timeout, lambda: describe(expected))).value_or_message

    async def expect_in_any_order(self, *expected: Expected, timeout: float | None = None) -> list[Any]:
        """Take the next messages, one for each ``expected``, in whatever order they come.

        Returns their values in the order of ``expected``. If some message fits none of them, this is an
        `UnexpectedMessage`, and all stay unread.
        """
        __tracebackhide__ = True
        if not expected:
            raise UsageError("expect_in_any_order() takes what to expect: one expectation or more")
        for one in expected:
            check_expected(one)
        return await self.take_in_any_order(expected, timeout)

    async def expect_nothing(
        self, matching: Expected = None, *, seconds: float = 0, timeout: float | None = None
    ) -> None:
        """Nothing is unread when the app has settled.

        ::

            await client.expect_nothing()
            await client.expect_nothing(containing(type="alarm"))       # others may come
            await client.expect_nothing(seconds=30)             # with ws_virtual_time: in no time

        This is exact and takes microseconds, not a sleep: see `tornado_wstest.simulation.settle` for what
        it can see. Raises `UnexpectedMessage`, `ConnectionClosed` if the server closed meanwhile, or `NotSettled`
        if the app does not come to rest.

        :arg seconds: let this time pass first, for what timers do
        """
        __tracebackhide__ = True
        if matching is not None:
            check_expected(matching)
        check_seconds(seconds)
        if seconds:
            await asyncio.sleep(seconds)
        await self._end.settle(timeout)
        self._end.raise_failure()
        for received in self._inbox:
            if matching is None or received.is_as(matching):
                raise not_silent(self.name, matching, received, self._inbox.waiting)
        if self.closed and not self._end.ending_is_known and not self._end.closed_by_test:
            raise self._end.closed_error("expected nothing")
        due = self._end.around.settling.next_timer()
        reach = f"; the next timer is due in {due:.3g} s" if due is not None and due < 60 else ""
        self._end.record("mark", f"nothing{'' if matching is None else ' like ' + describe(matching)}{reach}")

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

        if code is not None and type(code) is not int:
            raise UsageError(f"a close code is a number, not {show(code)}")
        if reason is not None and not isinstance(reason, str):
            raise UsageError(f"a close reason is a str, not {show(reason)}")

        def attempt() -> bool | NotYet:
            if self._inbox.waiting:
                raise unread_before_close(self.name, self._inbox)
            return True if self.closed else NOT_YET

        wanted = "a close" if code is None else f"a close with {close_text(code, reason)}"
        await self._end.wait(attempt, timeout, lambda: wanted, even_closed=True)
        actual_code, actual_reason = self._end.code_and_reason()
        if (code is not None and actual_code != code) or (reason is not None and actual_reason != reason):
            raise self._end.closed_error(f"expected a close with {close_text(code, reason)}")
        self._end.ending_is_known = True
        return actual_code

    def ignore(self, *expected: Expected) -> None:
        """From now on, messages like these go to the transcript only.

        ::

            client.ignore(containing(type="heartbeat"))
        """
        if not expected:
            raise UsageError("ignore() takes what to ignore: one expectation or more")
        for one in expected:
            check_expected(one)
        self._end.filters.extend((one, None) for one in expected)

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

        self._end.filters.append((expected, respond))

    # Closing

    async def close(self, code: int | None = 1000, reason: str = "", *, timeout: float | None = None) -> None:
        """Close with a closing handshake, and return when the server's `on_close` has run.

        Closing again is nothing. Raises `MessageTimeout` if the server does not answer within ``timeout``
        seconds, or its `on_close` does not run (a handler that awaits sees no close frame): the connection
        is dropped then. The code may be any of 1000 to 4999 that a peer may send (RFC 6455, section 7.4), or
        None for a close frame without one.
        """
        __tracebackhide__ = True
        check_close(code, reason)
        await self._end.close(lambda wire: wire.close(code, reason or None), close_text(code, reason), timeout)

    async def abort(self, *, timeout: float | None = None) -> None:
        """Drop the connection without a close frame, and return when the server's `on_close` has run."""
        __tracebackhide__ = True
        await self._end.close(Wire.drop, "dropped", timeout)

    async def reconnect(self, path: str | None = None, **changes: Any) -> "WebSocketTestClient":
        """Connect again after a close, a cut or a restart of the server: for resume protocols.

        ::

            await client.abort()
            await client.reconnect(query={"resume": last_id})

        Path and options are those of the last connection, but for what is given: what `ws_client` takes, and each
        in place of what there was (``query=`` replaces the whole query). The opening handshake is made anew, with what
        a session's cookie jar holds by then, and so is the handshake, which meets only what the new connection brings.

        What is the client's stays: its name, its place in groups, its transcript, its unread messages (they come before
        the new ones), what it ignores and answers. What is the connection's is new: ``connection``, ``handler``,
        ``subprotocol``, ``close_code``, ``handshake_messages``, ``handshake_result``. Changes are kept once the
        server has accepted them; after a failure the client is closed, and may try again.

        Raises `UsageError` while it is connected, and after its test; `ConnectionClosed` if no server listens;
        Tornado's `HTTPClientError` if the opening handshake is refused.
        """
        __tracebackhide__ = True
        await self._end.check_reconnect()
        assert self._plan is not None
        await self.open(self._plan.changed(path, changes))
        return self

    def pause_reading(self) -> None:
        """Read nothing more from the socket, so that the server is held back when the buffers are full.

        Pings go unanswered and a close is not seen, until `resume_reading`.
        """
        wire = self._end.open_wire("pause")
        if wire.is_paused:
            raise UsageError(f"{self.name} has paused reading already; resume_reading() first")
        wire.pause()
        self._end.record("mark", "reading paused")

    def resume_reading(self) -> None:
        """Read again, after `pause_reading`."""
        wire = self._end.open_wire("resume")
        if not wire.is_paused:
            raise UsageError(f"{self.name} has not paused reading; pause_reading() first")
        wire.resume()
        self._end.record("mark", "reading resumed")

    # Facts

    @property
    def name(self) -> str:
        """The client's name, as failures and the transcript show it."""
        return self._end.name

    @property
    def codec(self) -> Codec:
        """What encodes and decodes this client's messages."""
        return self._end.codec

    @property
    def connection(self) -> WebSocketClientConnection:
        """Tornado's connection."""
        return self._end.some_wire().connection

    @property
    def handler(self) -> RequestHandler | None:
        """The server's handler of this very connection; None for a server elsewhere."""
        return self._end.served.handler if self._end.served is not None else None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, or None."""
        return self._end.some_wire().subprotocol

    @property
    def response_headers(self) -> HTTPHeaders:
        """The headers of the server's answer to the opening handshake."""
        headers = self._end.some_wire().headers
        assert headers is not None
        return headers

    @property
    def closed(self) -> bool:
        """Is the connection closed?"""
        return self._end.ended.done()

    @property
    def close_code(self) -> int | None:
        """The close code (RFC 6455, section 7.1.5: 1005 for none, 1006 for no close frame); None while open."""
        return self._end.code_and_reason()[0] if self.closed else None

    @property
    def close_reason(self) -> str | None:
        """The reason of the server's close frame, or an empty text; None while open."""
        return self._end.code_and_reason()[1] if self.closed else None

    @property
    def unread(self) -> tuple[Message, ...]:
        """The messages that nobody has taken yet, oldest first. Looking takes nothing."""
        return tuple(received.message for received in self._inbox)

    @property
    def handshake_messages(self) -> tuple[Message, ...]:
        """The messages that the handshake took."""
        return tuple(self._taken_in_handshake)

    @property
    def link(self) -> Link:
        """The way to the server, over the memory transport: its latency, stalls and cuts. See `Link`."""
        if self._end.link is None:
            raise UsageError(
                f"{self.name} has no link to simulate: its network is a real one\n"
                "set ws_transport = 'memory' (transport='memory') for links that a test can slow down and cut"
            )
        return self._end.link

    @property
    def server_buffer(self) -> int:
        """How many bytes the server holds for this client, because the client does not read as fast as it writes.

        ::

            client.pause_reading()                          # or client.link.stall()
            ...
            self.assertLess(client.server_buffer, 100_000)

        This is what ``write_message`` has taken and Tornado could not send; the buffers on the way (the kernel's,
        or ``ws_server.buffer_size`` over memory) are not counted. 0 for a connection that is closed. Raises
        `UsageError` for a server elsewhere.
        """
        server, served = self._end.around.server, self._end.served
        if server is None or served is None:
            raise UsageError(f"the server of {self.name} is elsewhere: its buffers cannot be seen")
        return server.buffered(served)

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
        self._taken_in_handshake = []
        self.handshake_result = None
        older = list(self._inbox)
        self._inbox.waiting.clear()  # a handshake meets what its own connection brings
        self._end.in_handshake = True
        try:
            await self._end.open(plan)
            self._plan = plan
            await self._begin(plan)
        finally:
            self._end.in_handshake = False
            self._inbox.waiting.extendleft(reversed(older))

    async def _begin(self, plan: Plan) -> None:
        __tracebackhide__ = True
        try:
            if plan.handshake is not None:
                self.handshake_result = await run_handshake(plan.handshake, self, plan.handshake_kwargs)
            self._end.in_handshake = False
            served = self._end.served
            if served is not None and not served.open_finished:
                # An open() that awaits is given until it has finished, or waits for something itself.
                await self._end.settle(None)
        except BaseException:
            self._end.is_silent = True
            await self.end()
            raise

    async def end(self) -> None:
        """Close without a word, whatever the state: when a test is over, or has failed."""
        self._inbox.abandon()
        await self._end.end()

    def closed_error(self, wanted: str) -> ConnectionClosed:
        """Return what to raise where the connection is closed, and the client ``wanted`` something."""
        return self._end.closed_error(wanted)

    def discard_received(self, received: Received) -> None:
        """Take a message that somebody else has looked at, if it is still unread."""
        if received in self._inbox.waiting:
            self._inbox.waiting.remove(received)

    @property
    def served(self) -> Served | None:
        """What the server knows of this connection; None for a server elsewhere."""
        return self._end.served

    # For scenarios

    async def take_in_any_order(
        self, expected: Sequence[Expected], timeout: float | None, *, passing_over: bool = False
    ) -> list[Any]:
        """Do what `expect_in_any_order` does.

        :arg passing_over: take messages between them that fit none, and forget them
        """
        __tracebackhide__ = True

        def attempt() -> list[Received] | NotYet:
            candidates = list(itertools.islice(self._inbox, None if passing_over else len(expected)))
            if passing_over:
                candidates = fitting(candidates, expected)
            assigned = assign(candidates, expected)
            if assigned is None:
                raise fits_none(self.name, expected, candidates)
            if -1 in assigned:
                return NOT_YET
            found = [candidates[index] for index in assigned]
            while any(received in self._inbox.waiting for received in found):
                self._taken(self._inbox.waiting.popleft())
            return found

        found = await self._end.wait(attempt, timeout, lambda: f"{listed(expected)}, in any order")
        return [received.value_or_message for received in found]

    def unread_like(self, *expected: Expected) -> list[Received]:
        """Return the unread messages that are as one of ``expected``."""
        return [received for received in self._inbox if any(received.is_as(one) for one in expected)]

    @property
    def ending_is_known(self) -> bool:
        """Does the test know that the connection is closed: by its own doing, or by `expect_closed`?"""
        return self._end.ending_is_known

    @property
    def met_no_utf8(self) -> bool:
        """Did it give up the connection because a text message was no UTF-8?"""
        return self._end.wire is not None and self._end.wire.met_no_utf8

    async def settle(self, *, timeout: float | None = None) -> None:
        """Let the app settle."""
        __tracebackhide__ = True
        await self._end.settle(timeout)
        self._end.raise_failure()

    def silence(self) -> None:
        """Leave out of the transcript what is still to come: the play has failed, and it concerns nobody."""
        self._end.is_silent = True

    def unread_events(self) -> list[Event]:
        """Return the transcript's events of the messages that nobody has taken."""
        return [received.event for received in self._inbox]

    # Taking

    def _take(
        self, expected: Expected, timeout: float | None, kind: type[Message] | None = None
    ) -> Awaitable[Received]:
        __tracebackhide__ = True
        if expected is None and kind is None:
            return self._end.wait(self._take_next, timeout, _a_message)

        def check(received: Received) -> Received:
            if kind is not None and not isinstance(received.message, kind):
                raise came_instead(self.name, kind_name(kind), received)
            return received

        check_expected(expected)
        return self._end.wait(
            lambda: self._take_checked(expected, check), timeout, lambda: what(expected, kind_name(kind))
        )

    def _take_next(self) -> Received | NotYet:
        return self._taken(self._inbox.waiting.popleft()) if self._inbox.waiting else NOT_YET

    def _take_checked(self, expected: Expected, check: Callable[[Received], T]) -> T | NotYet:
        """Take the message that is due, if ``check`` lets it pass."""
        if expected is None:
            received = self._inbox.waiting[0] if self._inbox.waiting else None
        else:
            received = next((candidate for candidate in self._inbox if candidate.is_as(expected)), None)
        if received is None:
            return NOT_YET
        result = check(received)
        self._inbox.waiting.remove(received)
        self._taken(received)
        return result

    def _taken(self, received: Received) -> Received:
        if self._end.in_handshake:
            self._taken_in_handshake.append(received.message)
        return received


def _a_message() -> str:
    return "a message"
