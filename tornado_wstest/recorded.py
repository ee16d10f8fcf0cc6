"""A recorded conversation as the code of scenarios.

A recording is one line of time; scenarios run side by side. What a user did, happened after all that others had
said and got before it. In the code that is a mark of theirs and an ``after`` of the user's, and it is left out
where another mark implies it: each user has a clock that counts, for each of the others, how many of their
events are known to be over (a vector clock), and whoever waits for a mark learns all that its setter knows.

A message after which nobody got anything may not have been read when its sender goes on. Where the app is known to
have settled after it, the code lets it settle, too.

Those who are still connected when the recording ends, or closed with nothing after it, close together: what a
server says to those who stay is not in the recording.
"""

import ast
import builtins
import dataclasses
import keyword
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from .errors import UsageError
from .layout import Chain, Code, Group, Link, call, comment, quote
from .portable import close_parts
from .recorded_message import Received, Reply, Values
from .text import elide, one_line, show_error

if TYPE_CHECKING:
    from .transcript import Event

__all__ = ["as_scenario"]

_LAST_MARK = "over"
_TAKEN = ("is_object", "is_timestamp", "re", "self", "time")
_PLAIN = re.compile(r"connection \d+")


@dataclasses.dataclass
class _Step:
    """One call of a scenario."""

    kind: str
    arguments: Sequence[Code] = ()
    then: Code | None = None
    """What is sent next, of the ``value`` that came."""
    comments: list[str] = dataclasses.field(default_factory=list)
    received: Received | None = None
    """What came, if a reply may be made of it."""

    def link(self) -> Link:
        items = [("", argument) for argument in self.arguments]
        then = [("then=lambda value: ", self.then)] if self.then is not None else []
        return Link(Group(f".{self.kind}(", items + then, ")"), self.comments)


@dataclasses.dataclass(eq=False)
class _User:
    """One connection of one client, and the steps of its scenario."""

    name: str
    address: str
    variable: str = ""
    steps: list[_Step] = dataclasses.field(default_factory=list)
    pending: list[str] = dataclasses.field(default_factory=list)
    """Comments for the step that comes next."""
    happened: int = 0
    """How many things it has done and got."""
    latest: int = 0
    """The place of the last of them among those of all users."""
    knows: dict["_User", int] = dataclasses.field(default_factory=dict)
    """How many of the others' it knows to be over."""
    marks: int = 0
    is_closing: bool = False
    is_over: bool = False

    def add(self, step: _Step) -> None:
        step.comments += self.pending
        self.pending = []
        self.steps.append(step)


@dataclasses.dataclass
class _Fact:
    """What one user did or got: connect, sent, received, closed (by the server), close, note."""

    user: _User
    kind: str
    payload: Any = None
    at_rest: bool = False
    """Had the app settled before the next one?"""


def as_scenario(
    events: Iterable["Event"], is_ours: Callable[["Event"], bool], rests: Collection[int], now: float
) -> str:
    """Return the code of the scenarios that replay ``events``.

    :arg is_ours: of a close: was it the client that closed?
    :arg rests: after how many events the app is known to have settled
    :arg now: seconds since 1970; numbers near it are times
    """
    recording = _Recording(events, is_ours, rests)
    users = [user for user in recording.users if not recording.is_plain(user)]
    if not users:
        raise UsageError(
            "there is nothing to replay: the transcript has no connection whose messages are recorded\n"
            "let ws_client() connect, and ask for the scenario when the conversation is over"
        )
    _name(users)
    facts = [fact for fact in recording.facts if fact.user in users]
    writer = _Writer(users, Values(now))
    writer.write(facts)
    notes = [f"{user.name} is a plain connection, of which no message is recorded" for user in recording.users
             if user not in users]  # fmt: skip
    return _module(writer.values, users, notes + recording.notes)


class _Recording:
    """The facts of a transcript: who was connected, and what each did and got."""

    def __init__(self, events: Iterable["Event"], is_ours: Callable[["Event"], bool], rests: Collection[int]) -> None:
        self.users: list[_User] = []
        self.facts: list[_Fact] = []
        self.notes: list[str] = []
        self._latest: dict[str, _User] = {}
        for count, event in enumerate(events, 1):
            self._take(event, is_ours(event))
            if count in rests and self.facts:
                self.facts[-1].at_rest = True

    def is_plain(self, user: _User) -> bool:
        """Is this a connection of which nothing is recorded but that it was opened?"""
        kinds = {fact.kind for fact in self.facts if fact.user is user}
        return _PLAIN.fullmatch(user.name) is not None and kinds <= {"connect", "note"}

    def _take(self, event: "Event", is_ours: bool) -> None:
        user = self._latest.get(event.client)
        if event.kind == "connect":
            user = self._latest[event.client] = _User(event.client, event.payload)
            self.users.append(user)
            self.facts.append(_Fact(user, "connect"))
        elif event.kind == "error":
            self._take_error(user, event.payload)
        elif user is None or user.is_over:
            return
        elif event.kind == "reject":
            self._take_reject(user, event.payload)
        elif event.kind == "close":
            self._take_close(user, event.payload, is_ours)
        elif event.kind in ("sent", "received"):
            self._insert(_Fact(user, event.kind, event.payload))

    def _take_error(self, user: _User | None, error: BaseException) -> None:
        text = f"the server raised {one_line(show_error(error, 80))}: play it in expect_server_error()"
        if user is None:
            self.notes.append(text)
        else:
            self.facts.append(_Fact(user, "note", f"here {text}"))

    def _take_reject(self, user: _User, status: str) -> None:
        self.users.remove(user)
        self.facts = [fact for fact in self.facts if fact.user is not user]
        self.notes.append(f"{user.name} was refused with {status} at {user.address}")
        user.is_over = True

    def _take_close(self, user: _User, payload: str, is_ours: bool) -> None:
        if is_ours:
            user.is_closing = True
            self.facts.append(_Fact(user, "close", payload))
            return
        user.is_over = True
        if not user.is_closing:
            self.facts.append(_Fact(user, "closed", payload))

    def _insert(self, fact: _Fact) -> None:
        """Add a message; one that came when the client was closing was sent before the server knew of it."""
        place = len(self.facts)
        if fact.user.is_closing:
            place = next(i for i, f in enumerate(self.facts) if f.user is fact.user and f.kind == "close")
        self.facts.insert(place, fact)


class _Writer:
    """Writes the steps of all users, fact by fact."""

    def __init__(self, users: Sequence[_User], values: Values) -> None:
        self.users = users
        self.values = values
        self._observed = -1
        """The place of the latest fact that shows what the app has done."""
        self._rested = -1
        """The place of the latest fact after which the app had settled."""

    def write(self, facts: Sequence[_Fact]) -> None:
        """Write the steps that replay ``facts``."""
        tail = len(facts)
        while tail and facts[tail - 1].kind in ("close", "note"):
            tail -= 1
        for place, fact in enumerate(facts[:tail]):
            getattr(self, f"_{fact.kind}")(fact.user, fact.payload)
            if fact.kind != "note":
                fact.user.happened += 1
                fact.user.latest = place
            if fact.kind in ("received", "closed"):
                self._observed = place
            if fact.at_rest:
                self._rested = place
        early = {fact.user for fact in facts[:tail] if fact.kind in ("close", "closed")}
        self._end_together([user for user in self.users if user not in early])
        for fact in facts[tail:]:
            if fact.kind == "note":
                self._note(fact.user, fact.payload)
            else:
                self._last_close(fact.user, fact.payload)

    # The kinds of facts

    def _connect(self, user: _User, _: None) -> None:
        self._wait(user)
        user.add(_Step("connect"))
        self.values.note_sent(user.address.partition(" (")[0])

    def _sent(self, user: _User, message: str | bytes) -> None:
        carried = self.values.carried(message)
        self.values.note_sent(message)
        last = user.steps[-1]
        reply = Reply(message, carried, last.received if last.then is None else None, self.values)
        if reply.is_made:
            at = len(user.steps) - 1
            last.then = reply.code
            last.comments += user.pending + _changing(reply.rest)
            user.pending = []
            self._wait(user, at)
        else:
            self._wait(user)
            user.add(_Step("send", [reply.code], comments=_changing(reply.rest)))

    def _received(self, user: _User, message: str | bytes) -> None:
        received = Received(message, self.values)
        user.add(_Step("expect", [received.code], received=received))

    def _closed(self, user: _User, payload: str) -> None:
        user.add(_Step("expect_closed", _close_arguments(payload)))

    def _close(self, user: _User, payload: str) -> None:
        self._wait(user)
        self._add_close(user, payload)

    def _last_close(self, user: _User, payload: str) -> None:
        if payload == "1000":
            return  # as a scenario ends anyway
        self._add_close(user, payload)

    def _note(self, user: _User, text: str) -> None:
        user.pending.append(text)

    def _add_close(self, user: _User, payload: str) -> None:
        if payload == "dropped":
            user.pending.append("here the connection was dropped, without a close frame")
        arguments = [] if payload == "1000" else _close_arguments(payload)
        user.add(_Step("close", arguments))

    # The order

    def _wait(self, user: _User, at: int | None = None) -> None:
        """Let ``user`` go on, at the step ``at``, when all that has happened to others is over."""
        marks = []
        for other in self._behind(user):
            if user.knows.get(other, 0) < other.happened:
                marks.append(self._mark(other))
                _learn(user, other)
        if marks:
            place = len(user.steps) if at is None else at
            user.steps.insert(place, _Step("after", [quote(mark) for mark in reversed(marks)]))

    def _behind(self, user: _User) -> list[_User]:
        """Return the other users, the latest first: only they can know of what the earlier ones did."""
        others = [other for other in self.users if other is not user and other.happened]
        return sorted(others, key=lambda other: -other.latest)

    def _mark(self, user: _User) -> str:
        last = user.steps[-1]
        if last.kind != "mark":
            is_said = last.kind == "send" or last.then is not None
            if is_said and self._observed < user.latest <= self._rested:
                user.add(_Step("settle"))  # no message shows that the app has read it, but it had
            user.marks += 1
            last = _Step("mark", [quote(f"{user.name} {user.marks}")])
            user.add(last)
        (mark,) = last.arguments
        name: str = ast.literal_eval(str(mark))
        return name

    def _end_together(self, last: Sequence[_User]) -> None:
        """Let the users who are connected to the end close when all is over for all."""
        unknown = {
            user: [other for other in self.users if other is not user and user.knows.get(other, 0) < other.happened]
            for user in last
        }
        setters = {other for others in unknown.values() for other in others}
        for user in self.users:
            if user in setters:
                user.add(_Step("mark", [quote(_LAST_MARK)]))
            if unknown.get(user):
                user.add(_Step("after", [quote(_LAST_MARK)]))


def _learn(user: _User, other: _User) -> None:
    """``user`` has waited for all that ``other`` has done and got."""
    for third, count in {**other.knows, other: other.happened}.items():
        user.knows[third] = max(user.knows.get(third, 0), count)


def _close_arguments(payload: str) -> list[Code]:
    """Return code and reason of a close as the transcript has it: ``4001 'who are you?'``."""
    code, reason = close_parts(payload)
    if code is None:
        return []
    return [str(code), quote(reason)] if reason else [str(code)]


def _changing(values: Sequence[str]) -> list[str]:
    return [f"{elide(value, 60)} came from the server before, and changes from run to run" for value in values]


# The module


def _module(values: Values, users: Sequence[_User], notes: Sequence[str]) -> str:
    """Return the whole code: imports, matchers, users, and how to play them."""
    chains = "\n\n".join(str(_chain(user)) for user in users)
    play = f"await self.play({', '.join(user.variable for user in users)})"
    return "\n".join([values.preamble(), chains, "", *map(comment, notes), comment(play), ""])


def _chain(user: _User) -> Chain:
    above, head = _head(user)
    steps = user.steps
    place = next(i for i, step in enumerate(steps) if step.kind == "connect")
    rest = steps[place + 1 :]
    comments = steps[place].comments
    if rest and rest[0].kind != "after":
        steps = steps[:place] + rest  # connects there by itself
    chain = Chain(user.variable, head, [step.link() for step in steps], [*comments, *above], user.pending)
    if len(steps) == 1 and steps[0].kind != "connect" and "\n" in str(chain):
        # A chain of one call is laid out in another way; one of two is not.
        return chain._replace(links=[_Step("connect").link(), *chain.links])
    return chain


def _head(user: _User) -> tuple[list[str], Group]:
    """Return what the user must know about the connection, and how the scenario begins."""
    address, _, headers = user.address.partition(" (")
    path, _, query = address.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    above = [f"{user.name}: fill in {quote(name)}, which a transcript masks" for name, value in pairs if value == "***"]
    if headers:
        above.append(f"{user.name}: fill in headers= and cookies=; sent were {headers.removesuffix(')')}")
    if urlencode(pairs).replace("%2A%2A%2A", "***") != query:
        path, pairs = address, []
    named: dict[str, Code] = {"name": quote(user.name)}
    if pairs:
        named["query"] = _query(pairs)
    return above, call("Scenario", [quote(path)], **named, handshake="None")


def _query(pairs: Sequence[tuple[str, str]]) -> Group:
    if len(dict(pairs)) == len(pairs):
        return Group("{", [(f"{quote(name)}: ", quote(value)) for name, value in pairs], "}")
    return Group("[", [("", f"({quote(name)}, {quote(value)})") for name, value in pairs], "]")


def _name(users: Sequence[_User]) -> None:
    """Give each user a name and a variable that no other has."""
    names: set[str] = {user.name for user in users}
    variables = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *_TAKEN}
    first: set[str] = set()
    for user in users:
        if user.name in first:
            user.name = _free(user.name, names, " ")
        first.add(user.name)
        names.add(user.name)
        word = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", user.name)).strip("_").lower()
        user.variable = _free(word if word.isidentifier() else f"user_{word}".rstrip("_"), variables, "_")
        variables.add(user.variable)


def _free(name: str, taken: set[str], space: str) -> str:
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name}{space}{number}"
    return candidate
