"""What happened on every connection, in order.

One `Transcript` serves all clients of a test, so that a failure can show who said what to whom. It only
remembers and draws; who writes into it is the business of the clients and of the server's watch.
"""

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

from .errors import UsageError
from .text import elide, is_library, one_line, plural, show, show_error

__all__ = ["KINDS", "Event", "Transcript", "is_secret", "mask_headers", "mask_query"]

KINDS = ("connect", "reject", "sent", "received", "ping", "pong", "close", "error", "mark")

_MAX_EVENTS = 40
_MAX_NAME = 24
_MAX_PAYLOAD = 100
_MAX_KEPT = 10_000_000
"""Characters and bytes of messages that a transcript keeps; of those that are older, the beginning is left."""
_BEGINNING = 24
_MESSAGES = ("sent", "received")

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


_new_event: Callable[[type[Event], tuple[Any, ...]], Event] = tuple.__new__  # Event() takes twice as long


class Transcript(Sequence[Event]):
    """The events of a test, oldest first: a sequence of `Event`.

    ::

        sent = [event.payload for event in self.transcript if event.kind == "sent"]
        self.transcript.mark("everyone is in the room")

    Every event is kept, and of the messages the last ten million characters: of older ones, the payload is the
    beginning and how long it was, so that a test which sends for hours does not fill the memory.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._events: list[Event] = []
        self._rests: set[int] = set()
        """After how many events the app is known to have settled."""
        self._kept = 0
        self._cut = 0
        """How many events, from the first on, have been looked through for payloads to cut."""

    def record(self, client: str, kind: str, payload: Any = None, *, outgoing: bool = False) -> Event:
        """Append an event that happens now, and return it."""
        event = _new_event(_Outgoing if outgoing else Event, (self._now(), client, kind, payload))
        self._events.append(event)
        if kind in _MESSAGES and isinstance(payload, (str, bytes)):
            self._kept += len(payload)
            if self._kept > _MAX_KEPT:
                self._cut_oldest()
        return event

    def _cut_oldest(self) -> None:
        """Make room for as many messages again as a quarter of those that are kept."""
        while self._kept > _MAX_KEPT * 3 // 4 and self._cut < len(self._events):
            event = self._events[self._cut]
            if event.kind in _MESSAGES and isinstance(event.payload, (str, bytes)):
                self._kept -= len(event.payload)
                self._events[self._cut] = event._replace(payload=_beginning(event.payload))
            self._cut += 1

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
        self._kept = self._cut = 0

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

        Raises `UsageError` if there is no connection to replay, and if messages were too many to be kept whole.
        """
        if self._cut:
            raise UsageError(
                f"the messages among the first {self._cut} of {plural(len(self._events), 'event')} are not kept whole:"
                f" a transcript keeps the last {_MAX_KEPT:,} characters\n"
                "clear() it before the conversation that is to be replayed"
            )
        from .recorded import as_scenario  # seldom asked for

        return as_scenario(self._events, lambda event: isinstance(event, _Outgoing), self._rests, time.time())

    def save(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        """Write the whole transcript to a file, in the format that the ending of its name says.

        ::

            self.transcript.save("chat.html")

        - ``.html`` or ``.htm``: one page with a sequence diagram, for any browser. Messages unfold, clients can be
          chosen, and it asks no server for anything. Of more than ten million characters of messages the oldest
          are cut, and say so.
        - ``.txt``: what `render` draws, with all events and whole payloads.
        - ``.json``: a list of events for other programs, as `tornado_wstest.portable.to_json` says. Bytes are Base64.

        A file that is there already is written over. Messages are not masked: read what you give away.

        :arg title: what stands above the page; nothing in the other formats

        Raises `UsageError` for another ending, and where the folder does not exist.
        """
        from .diagram import page
        from .portable import to_json

        writers: dict[str, Callable[[], str]] = {
            ".html": lambda: page(self._events, _sender, _payload_text, title=title),
            ".htm": lambda: page(self._events, _sender, _payload_text, title=title),
            ".txt": lambda: self._draw(self._events, whole=True) + "\n",
            ".json": lambda: to_json(self._events, _sender),
        }
        ending = _ending(path, writers)
        if not isinstance(title, str):
            raise UsageError(f"title is a str, not {show(title)}")
        text = writers[ending]()
        with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)

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
        chosen = _choose(self._events, first)
        text = self._draw(chosen, {id(event) for event in unread})
        left_out = len(self._events) - sum(event is not None for event in chosen)
        return f"{text}\n   ({left_out} of {len(self._events)} events left out)" if left_out else text

    def _draw(self, chosen: Sequence[Event | None], marked: Collection[int] = (), *, whole: bool = False) -> str:
        """Draw events in lines; ``marked`` holds the ids of those with a ``*``, ``whole`` elides nothing."""
        if not chosen:
            return "transcript: nothing happened on any connection"
        limit, widest = (sys.maxsize, sys.maxsize) if whole else (_MAX_PAYLOAD, _MAX_NAME)
        width = min(max((len(e.client) for e in chosen if e is not None), default=0), widest)
        lines = ["transcript (seconds, client, --> to the server, <-- from it, * unread):"]
        for event in chosen:
            lines.append("   ..." if event is None else _line(event, width, id(event) in marked, limit))
        return "\n".join(lines)


def _beginning(payload: str | bytes) -> str | bytes:
    """Return what is left of an old message: a short one whole, of a long one its beginning and its length."""
    if len(payload) <= 2 * _BEGINNING:
        return payload
    if isinstance(payload, str):
        return f"{payload[:_BEGINNING]} ... ({len(payload)} characters)"
    return payload[:_BEGINNING] + f" ... ({len(payload)} bytes)".encode()


def is_secret(name: str) -> bool:
    """Is what has this name (a header, a cookie, an argument) shown to nobody?"""
    return bool(_SECRET.search(name))


def mask_query(path: str) -> str:
    """Hide the values in ``path``'s query whose names sound like secrets."""
    base, mark, query = path.partition("?")
    if not mark:
        return path
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


def _line(event: Event, width: int, unread: bool, limit: int) -> str:
    client = elide(event.client, width) if width >= 8 else event.client
    arrow = _ARROWS.get(event.kind) or _control_arrow(event)
    text = _payload_text(event, limit)
    return f"{event.time:9.3f}  {client:<{width}} {arrow}{'*' if unread else ' '}{text}".rstrip()


def _control_arrow(event: Event) -> str:
    if event.kind == "error":
        return "!!!"
    if event.kind == "mark":
        return "   "
    return "-->" if isinstance(event, _Outgoing) else "<--"


def _payload_text(event: Event, limit: int = _MAX_PAYLOAD) -> str:
    payload = event.payload
    if event.kind in ("sent", "received"):
        return show(payload, limit)
    if event.kind == "error":
        return _error_text(payload, limit)
    if event.kind == "mark":
        return f"-- {elide(one_line(payload), 2 * limit)}"
    if event.kind in ("ping", "pong"):
        return f"{event.kind} {show(payload, limit * 2 // 5)}" if payload else event.kind
    return f"{event.kind} {elide(one_line(str(payload)), limit)}" if payload is not None else event.kind


def _error_text(error: BaseException, limit: int) -> str:
    """Name the exception and the innermost line of the user's own code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not is_library(frame.filename)] or frames
    place = f" ({os.path.basename(ours[-1].filename)}:{ours[-1].lineno} in {ours[-1].name})" if ours else ""
    return f"the server raised {one_line(show_error(error, limit))}{place}"


def _sender(event: Event) -> str:
    """Return from which side the event came: ``"client"``, ``"server"``, or ``""`` for a mark."""
    arrow = _ARROWS.get(event.kind) or _control_arrow(event)
    return {"-->": "client", "<--": "server", "!!!": "server"}.get(arrow, "")


def _ending(path: object, valid: Iterable[str]) -> str:
    """Return the ending of a path that can be written to, in small letters."""
    formats = ", ".join(valid)
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"a transcript is saved to a path with one of these endings: {formats}; not to {show(path)}")
    name = os.fsdecode(path)
    if not name or os.path.isdir(name):
        raise UsageError(
            f"{name!r} is a folder: name the file, with one of these endings: {formats}\n"
            f"for example {os.path.join(name, 'transcript.html')!r}"
        )
    ending = os.path.splitext(name)[1].lower()
    if ending not in valid:
        raise UsageError(
            f"no transcript can be saved as {name!r}: the ending {ending!r} is not known\nvalid endings are: {formats}"
        )
    folder = os.path.dirname(name) or "."
    if not os.path.isdir(folder):
        state = "is a file" if os.path.exists(folder) else "does not exist"
        raise UsageError(
            f"no transcript can be saved as {name!r}: the folder {folder!r} {state}\n"
            f"make it first: os.makedirs({folder!r}), or save into {os.getcwd()!r}"
        )
    return ending
