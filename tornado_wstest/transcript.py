"""What happened on every connection, in order.

One `Transcript` serves all clients of a test, so that a failure can show who said what to whom. It only
remembers and draws; who writes into it is the business of the clients and of the server's watch.
"""

import os
import re
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

from .errors import UsageError
from .recorded import as_scenario
from .text import elide, is_library, one_line, show, show_error

__all__ = ["KINDS", "Event", "Transcript", "is_secret", "mask_headers", "mask_query"]

KINDS = ("connect", "reject", "sent", "received", "ping", "pong", "close", "error", "mark")

_MAX_EVENTS = 40
_MAX_PAYLOAD = 100

_SECRET = re.compile(r"auth|cookie|credential|jwt|key|passw|pwd|secret|session|sig|token|xsrf", re.IGNORECASE)
_ARROWS = {"connect": "-->", "sent": "-->", "received": "<--", "reject": "<--"}


class Event(NamedTuple):
    """One thing that happened.

    :arg time: seconds since the test's server started, by the test's clock
    :arg client: the client's name; empty where it concerns none
    :arg kind: one of ``connect reject sent received ping pong close error mark``
    :arg payload: the message, the path, the close code and reason, the exception, ...
    """

    time: float
    client: str
    kind: str
    payload: Any

    def __str__(self) -> str:
        return f"{self.time:.3f} {self.client} {self.kind} {_payload_text(self)}".rstrip()


class _Outgoing(Event):
    """A ping, a pong or a close that the client sent. (Those of the server are drawn the other way.)"""

    __slots__ = ()


class Transcript(Sequence[Event]):
    """The events of a test, oldest first: a sequence of `Event`.

    ::

        sent = [event.payload for event in self.transcript if event.kind == "sent"]
        self.transcript.mark("everyone is in the room")
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._events: list[Event] = []
        self._rests: set[int] = set()
        """After how many events the app is known to have settled."""

    def record(self, client: str, kind: str, payload: Any = None, *, outgoing: bool = False) -> Event:
        """Append an event that happens now, and return it."""
        event = (_Outgoing if outgoing else Event)(self._now(), client, kind, payload)
        self._events.append(event)
        return event

    def rename(self, event: Event, client: str) -> Event:
        """Say whose event it was, which was not known when it was recorded."""
        renamed = event._replace(client=client)
        for index in range(len(self._events) - 1, -1, -1):
            if self._events[index] is event:
                self._events[index] = renamed
                break
        return renamed

    def note_rest(self) -> None:
        """Note that the app has settled."""
        self._rests.add(len(self._events))

    def mark(self, text: str, *, client: str = "") -> Event:
        """Leave a note of the test's own between the events."""
        if not isinstance(text, str):
            raise UsageError(f"a mark is a str, not {show(text)}")
        return self.record(client, "mark", text)

    def clear(self) -> None:
        """Forget what has happened until now."""
        self._events.clear()
        self._rests.clear()

    def as_scenario(self) -> str:
        """Return Python code that plays this conversation again: a `Scenario` for each connection.

        ::

            print(self.transcript.as_scenario())

        What was sent is sent, what came is expected, in an order that marks keep where users depend on each
        other. Ids, times and tokens that the server made up are matchers at the top of the code (``UUID``,
        ``is_timestamp``, ...), to be widened where they are too narrow; one that the client sends back at once
        is taken from the message that came. The code is laid out as formatters do it, in lines of up to 100
        characters where it can be.

        Objects and arrays in JSON are written as values; any other message stands as it is. Let the app settle
        before, and between what two users send: what is sent into the same moment may be taken in either order.
        Read what you keep: messages are not masked. Not in a transcript, and so not in the code,
        are HTTP requests, the values of headers and secret query parameters (a comment says where to fill them
        in), subprotocols, pauses (``wait``), and the messages of plain connections. Query and headers that all
        clients share (`get_ws_options`) stand in the code, too, and would be sent twice.

        Raises `UsageError` if there is no connection to replay.
        """
        return as_scenario(self._events, lambda event: isinstance(event, _Outgoing), self._rests, time.time())

    def __len__(self) -> int:
        return len(self._events)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        return self._events[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __str__(self) -> str:
        return self.render()

    def render(self, *, first: str | None = None, unread: Iterable[Event] = ()) -> str:
        """Draw the events as text, at most some 40 of them.

        :arg first: the client whose events are kept if there are too many
        :arg unread: events of messages that no one has taken; they are marked with ``*``
        """
        if not self._events:
            return "transcript: nothing happened on any connection"
        chosen = _choose(self._events, first)
        marked = {id(event) for event in unread}
        width = min(max((len(e.client) for e in chosen if e is not None), default=0), 24)
        lines = ["transcript (seconds, client, --> to the server, <-- from it, * unread):"]
        for event in chosen:
            lines.append("   ..." if event is None else _line(event, width, id(event) in marked))
        left_out = len(self._events) - sum(event is not None for event in chosen)
        if left_out:
            lines.append(f"   ({left_out} of {len(self._events)} events left out)")
        return "\n".join(lines)


def is_secret(name: str) -> bool:
    """Is what has this name (a header, a cookie, an argument) shown to nobody?"""
    return bool(_SECRET.search(name))


def mask_query(path: str) -> str:
    """Hide the values in ``path``'s query whose names sound like secrets."""
    base, mark, query = path.partition("?")
    parts = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}=***" if equals and _SECRET.search(name) else part)
    return base + mark + "&".join(parts)


def mask_headers(headers: Iterable[tuple[str, str]]) -> str:
    """Return ``headers`` on one line, with the values hidden whose names sound like secrets."""
    return ", ".join(f"{name}: {'***' if _SECRET.search(name) else elide(value, 60)}" for name, value in headers)


def _choose(events: list[Event], first: str | None) -> list[Event | None]:
    """Pick at most `_MAX_EVENTS` events, in order; None stands for a gap."""
    if len(events) <= _MAX_EVENTS:
        return list(events)
    ours = [i for i, e in enumerate(events) if first is not None and e.client == first]
    errors = [i for i, e in enumerate(events) if e.kind == "error"]
    # Half of the room is for the end of the failing client's story; the end of all stories fills the rest.
    picked = set(errors[-4:]) | set(ours[-_MAX_EVENTS // 2 :])
    others = [i for i in range(len(events)) if i not in picked]
    picked |= set(others[len(picked) - _MAX_EVENTS :])
    chosen: list[Event | None] = []
    previous = -1
    for i in sorted(picked):
        if i != previous + 1:
            chosen.append(None)
        chosen.append(events[i])
        previous = i
    return chosen


def _line(event: Event, width: int, unread: bool) -> str:
    client = elide(event.client, width) if width >= 8 else event.client
    arrow = _ARROWS.get(event.kind) or _control_arrow(event)
    text = _payload_text(event)
    return f"{event.time:9.3f}  {client:<{width}} {arrow}{'*' if unread else ' '}{text}".rstrip()


def _control_arrow(event: Event) -> str:
    if event.kind == "error":
        return "!!!"
    if event.kind == "mark":
        return "   "
    return "-->" if isinstance(event, _Outgoing) else "<--"


def _payload_text(event: Event) -> str:
    payload = event.payload
    if event.kind in ("sent", "received"):
        return show(payload, _MAX_PAYLOAD)
    if event.kind == "error":
        return _error_text(payload)
    if event.kind == "mark":
        return f"-- {elide(one_line(payload), 2 * _MAX_PAYLOAD)}"
    if event.kind in ("ping", "pong"):
        return f"{event.kind} {show(payload, 40)}" if payload else event.kind
    return f"{event.kind} {elide(one_line(str(payload)), _MAX_PAYLOAD)}" if payload is not None else event.kind


def _error_text(error: BaseException) -> str:
    """Name the exception and the innermost line of the user's own code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not is_library(frame.filename)] or frames
    place = f" ({os.path.basename(ours[-1].filename)}:{ours[-1].lineno} in {ours[-1].name})" if ours else ""
    return f"the server raised {one_line(show_error(error, _MAX_PAYLOAD))}{place}"
