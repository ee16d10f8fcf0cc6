"""One client of the fuzzer's: it makes a visit, and notes what it sees."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpclient import HTTPClientError
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler

from ..client import WebSocketTestClient
from ..endpoint import Surroundings
from ..errors import ConnectionClosed, HandshakeFailed, MessageTimeout, NotSettled, WSTestFailure
from ..faults import faults
from ..frames import Opcode, encode_frame
from ..hooks import owner_of
from ..plan import Plan
from ..simulation.clock import Clock
from ..simulation.tasks import place
from ..watch import Served
from .case import Visit
from .observation import Observation
from .outside import Outside
from .settings import FuzzSettings

__all__ = ["Guest"]

_LARGEST = 1 << 30
"""How many bytes of one message the client takes: the server's is the limit to look at."""
_LINGER = 3
"""How many timers of its connection a guest waits for before it leaves."""

_GONE = (ConnectionClosed, StreamClosedError)


class Guest:
    """Makes visits, and writes what happens into an `Observation`."""

    def __init__(
        self, around: Surroundings, clock: Clock | None, outside: Outside, settings: FuzzSettings, seen: Observation
    ) -> None:
        self._around = around
        self._clock = clock
        self._outside = outside
        self._settings = settings
        self._seen = seen
        self._client = WebSocketTestClient("client", around, codec=None, timeout=None)

    async def visit(self, visit: Visit, *, meanwhile: Callable[[], Awaitable[None]]) -> Served | None:
        """Connect, say what there is to say, and leave. Return the connection as the server saw it.

        :arg meanwhile: what happens between the opening handshake and the first message
        """
        if not await self._connect(visit):
            return None
        served = self._client.served
        try:
            await meanwhile()
            await self._talk(visit)
            await self._leave(visit)
        except _GONE:
            pass  # the server has closed: that is told by what follows
        finally:
            await self._end(served)
        return served

    # Beginning

    async def _connect(self, visit: Visit) -> bool:
        seen = self._seen
        options: dict[str, Any] = {
            "subprotocols": visit.subprotocols or self._settings.subprotocols,
            "max_message_size": _LARGEST,
        }
        if visit.origin is not None:
            options["origin"] = visit.origin
        seen.accepted = False
        seen.offered = tuple(options["subprotocols"])
        handshake = self._settings.handshake
        try:
            await self._client.open(Plan(visit.path, options, handshake, {}))
        except HTTPClientError as error:
            if error.code == 599:
                seen.unanswered = f"the opening handshake was not answered\n{error.message}"
            seen.status = error.code
            return False
        except HandshakeFailed as error:
            seen.handshake_failure = str(error)
            return False
        except (WSTestFailure, StreamClosedError) as error:
            if handshake is not None:
                seen.handshake_failure = str(error)
            return False
        seen.accepted = True
        seen.connections += 1
        seen.subprotocol = self._client.subprotocol
        if visit.origin is not None and visit.origin != self._settings.origin:
            seen.foreign_origin = visit.origin
        handler = self._client.handler
        if isinstance(handler, WebSocketHandler):
            seen.size_limit = handler.max_message_size
        return True

    # Talking

    async def _talk(self, visit: Visit) -> None:
        seen, client = self._seen, self._client
        await self._rest()
        for message in visit.messages:
            if self._has_failed():
                return
            seen.sent += 1
            await client.send(message)
            if not visit.pipelined and not await self._after(message):
                return
        if visit.fault:
            await self._violate(visit.fault)
            return
        if visit.declared_size:
            if not await self._answers(b"", 1):
                return
            await client.send_raw(encode_frame(Opcode.TEXT, b"", length=visit.declared_size))
            try:
                # The server reads this ping as part of what was announced, or has closed.
                await client.ping(timeout=self._settings.message_timeout)
            except MessageTimeout:
                seen.takes_any_size = True
            return
        if visit.ping:
            # A pong that nobody asked for is allowed, too (RFC 6455, section 5.5.3).
            await client.send_frame(Opcode.PONG, visit.ping)
        if await self._answers(visit.ping, len(visit.messages) if visit.pipelined else 1):
            await self._linger()

    async def _violate(self, fault: str) -> None:
        """Do what no well-behaved client does. How Tornado ends that is not the app's doing."""
        self._seen.fault = fault
        await self._client.send_raw(faults[fault].data)
        await self._rest()

    async def _after(self, message: Any) -> bool:
        """Let the handler do what it does with a message. Is all well?"""
        seen = self._seen
        before = len(seen.received)
        await self._rest()
        if self._busy():
            await self._answers(b"", 1)
        if len(seen.received) > before:
            seen.answered.append(message)
        if self._has_failed():
            seen.index = seen.sent - 1
            return False
        return True

    async def _rest(self) -> None:
        """Let the app settle, and take what has come."""
        try:
            self._seen.received += await self._client.receive_all()
        except NotSettled as error:
            self._seen.restless = str(error)

    async def _answers(self, data: bytes, messages: int) -> bool:
        """Is a ping answered?"""
        seconds = self._settings.message_timeout * max(messages, 1)
        await self._outside.wait(self._busy)
        try:
            await self._client.ping(data or None, timeout=seconds)
        except MessageTimeout:
            if await self._outside.wait(self._busy):
                return await self._answers(data, messages)
            self._seen.unanswered = (
                f"a ping was not answered within {seconds:g} s{self._where()}\n"
                "no pong came: the handler has not come back from what it does, and sees no message, ping or close"
            )
            return False
        self._seen.received += await self._client.receive_all()
        return True

    def _busy(self) -> list[str]:
        """Return where the handler is, if it is not through with a message."""
        served = self._client.served
        return [f"a handler{self._where()}"] if served is not None and served.busy and not self._client.closed else []

    async def _linger(self) -> None:
        """Wait for what the connection's next timers do."""
        served = self._client.served
        for _ in range(_LINGER if self._clock is not None else 0):
            timers = [timer for timer in self._around.settling.timers() if owner_of(timer) is served]
            if not timers or self._has_failed():
                break
            assert self._clock is not None
            await self._clock.advance(max(0.0, timers[0].when() - asyncio.get_running_loop().time()))
            await self._rest()

    def _has_failed(self) -> bool:
        watch = self._client.served.watch if self._client.served is not None else None
        seen = self._seen
        return bool(self._client.closed or seen.unanswered or seen.restless or (watch and watch.untold()))

    def _where(self) -> str:
        served = self._client.served
        places = [place(task.get_coro()) for task in served.tasks] if served is not None else []
        found = ", ".join(filter(None, places))
        return f" (it awaits at {found})" if found else ""

    # Leaving

    async def _leave(self, visit: Visit) -> None:
        client, seen = self._client, self._seen
        if client.closed or seen.unanswered:
            return
        try:
            if visit.ending is None:
                await client.abort(timeout=self._settings.connection_timeout)
            else:
                await client.close(visit.ending, timeout=self._settings.connection_timeout)
        except MessageTimeout as error:
            seen.unclean = str(error).rpartition("\n")[0]

    async def _end(self, served: Served | None) -> None:
        """The visit is over, one way or the other: note how."""
        client, seen = self._client, self._seen
        if client.closed and not client.ending_is_known:
            seen.closed_by_server = True
            seen.close_code, seen.close_reason = client.close_code, client.close_reason or ""
        elif client.closed and served is not None and served.closed_itself and client.close_code is not None:
            seen.close_code, seen.close_reason = client.close_code, client.close_reason or ""
        seen.received += client.unread
        seen.sent_no_utf8 = seen.sent_no_utf8 or client.met_no_utf8
        if client.closed and served is not None and not (served.on_close_ran or seen.unclean or seen.unanswered):
            # A handler that is not through with a message has its time, and then its on_close.
            await asyncio.wait({served.closed}, timeout=self._settings.connection_timeout)
            if not served.on_close_ran:
                name = type(served.handler).__name__
                seen.unclean = f"{name}.on_close did not run{self._where()}\nthe connection is over since long"
        await client.end()
        if served is not None and served.handler is not None:
            seen.reads_cookies = seen.reads_cookies or hasattr(served.handler.request, "_cookies")
