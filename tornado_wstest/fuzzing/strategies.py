"""What an app is fuzzed with, as Hypothesis strategies.

::

    route = websocket_routes(app)[0]
    vocabulary = Vocabulary.of_handler(route.handler)

    @given(paths(route, vocabulary), sequences(route, vocabulary, max_messages=5))
    def test(path, messages): ...

Messages are plain `str` and `bytes`, as they travel. Each strategy puts together what it chooses from when it is
made: make one for a route, not for an example. What the vocabulary learns later counts for the next one.

This module needs Hypothesis: ``pip install tornado-wstest[fuzz]``.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

try:
    from hypothesis import strategies as st
except ImportError as _error:
    raise ImportError("fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'") from _error

from ..codec import Message
from ..errors import UsageError
from ..text import show
from .graphql import SUBPROTOCOLS, GraphQLMaker
from .making import MessageMaker
from .paths import PathMaker, QueryMaker
from .registry import (
    KINDS,
    Kind,
    check_kind,
    register_message_strategy,
    registered_messages,
    unregister_message_strategy,
)
from .routes import Route
from .tape import Tape
from .vocabulary import Vocabulary

__all__ = [
    "KINDS",
    "MANNER",
    "Draft",
    "Kind",
    "Vocabulary",
    "binary_messages",
    "cases",
    "graphql_sequences",
    "json_messages",
    "paths",
    "query_arguments",
    "register_message_strategy",
    "registered_messages",
    "sequences",
    "text_messages",
    "unregister_message_strategy",
]


_SLOT = 40  # bytes of tape for one message
_HEAD = 8  # and for the manner of all of them
_MOSTLY_LONG = 112  # of 256: a conversation of any length
MANNER = 6
_PATH = 32
_QUERY = 16
_SAME = 112  # of 256: a valid message with the values that others have
_KEPT = 240  # of 256: a frame of a conversation that is not left out
_MOST_MESSAGES = 150  # as many as Hypothesis has room for in one example


def text_messages(vocabulary: Vocabulary | None = None, *, max_message_size: int = 65536) -> st.SearchStrategy[str]:
    """Return a strategy of text messages.

    Empty and long ones, what the app knows (commands, with arguments), controls, every plane of Unicode, numbers,
    format strings, and what is nearly JSON. Never longer than ``max_message_size`` bytes.
    """
    return _from_tape(_maker(vocabulary, max_message_size).text, _SLOT)


def json_messages(vocabulary: Vocabulary | None = None, *, max_message_size: int = 65536) -> st.SearchStrategy[str]:
    """Return a strategy of text messages that are JSON, or nearly.

    Objects of the shapes that the app's source looks for, and like those that it sent; a share of them with one
    mutation (a member missing, renamed, twice, null, of another type, in a list, ...). Bare values, deep nesting,
    huge numbers, ``NaN`` and ``1e400``, and text that is cut off.
    """
    return _from_tape(_maker(vocabulary, max_message_size).json, _SLOT)


def binary_messages(vocabulary: Vocabulary | None = None, *, max_message_size: int = 65536) -> st.SearchStrategy[bytes]:
    """Return a strategy of binary messages: none and many bytes, broken UTF-8, text and JSON as bytes, any bytes."""
    return _from_tape(_maker(vocabulary, max_message_size).binary, _SLOT)


def sequences(
    route: Route | None = None,
    vocabulary: Vocabulary | None = None,
    *,
    kinds: Iterable[Kind] = KINDS,
    max_messages: int = 10,
    max_message_size: int = 65536,
    subprotocol: str | None = None,
) -> st.SearchStrategy[list[Message]]:
    """Return a strategy of what one client sends: lists of messages of all kinds, often with one sent again.

    Where messages are registered for the route (`register_message_strategy`), they are half of what is sent.

    :arg route: whose registered messages are sent
    :arg vocabulary: the handler's, if none is given and there is a route
    :arg kinds: of the messages that are made; registered ones are sent whatever their kind
    :arg max_messages: of one list, from 1 to 150
    :arg max_message_size: bytes of the longest
    :arg subprotocol: where it is one of GraphQL's (``graphql-transport-ws``, ``graphql-ws``), two thirds of the
        lists are conversations of it

    Raises `UsageError` for a number or a kind that cannot be.
    """
    return _strategy(_sequences(route, vocabulary, kinds, max_messages, max_message_size, subprotocol))


def graphql_sequences(
    subprotocol: str, vocabulary: Vocabulary | None = None, *, max_messages: int = 10
) -> st.SearchStrategy[list[str]]:
    """Return a strategy of conversations of GraphQL over websockets, in the right order, and in wrong ones.

    :arg subprotocol: ``graphql-transport-ws``, or the legacy ``graphql-ws``; anything else is a `UsageError`
    """
    return _strategy(_graphql(subprotocol, vocabulary or Vocabulary(), max_messages))


class Draft(NamedTuple):
    """What one client does: the path it connects to, its query, and what it sends."""

    path: str
    query: tuple[tuple[str, str], ...]
    messages: list[Message]
    manner: bytes
    """`MANNER` bytes to choose by how it is done."""


def cases(
    route: Route,
    vocabulary: Vocabulary | None = None,
    *,
    kinds: Iterable[Kind] = KINDS,
    max_messages: int = 10,
    max_message_size: int = 65536,
    subprotocol: str | None = None,
) -> st.SearchStrategy[Draft]:
    """Return a strategy of `Draft`: `paths`, `query_arguments`, `sequences` and bytes in one draw.

    That is twice as fast, and no constant that Hypothesis finds in the modules there are takes the place of such a long
    text: a seed means the same wherever it is played.
    """
    vocabulary = Vocabulary.of_handler(route.handler) if vocabulary is None else vocabulary
    messages = _sequences(route, vocabulary, kinds, max_messages, max_message_size, subprotocol)
    queries = QueryMaker(vocabulary)
    maker = PathMaker(route, vocabulary)
    if maker.simplest is None:
        manners = st.binary(min_size=MANNER, max_size=MANNER)
        return st.builds(Draft, paths(route), query_arguments(vocabulary), _strategy(messages), manners)
    first, second, third = MANNER, MANNER + _PATH, MANNER + _PATH + _QUERY

    def make(data: bytes, draw: _Draw) -> Draft:
        path = maker.make(Tape(data, first, second))
        query = queries.make(Tape(data, second, third))
        return Draft(path, query, messages.make(data[third:], draw), data[:first])

    return _strategy(messages._replace(size=third + messages.size, make=make))


def paths(route: Route, vocabulary: Vocabulary | None = None) -> st.SearchStrategy[str]:
    """Return a strategy of paths that lead to ``route``, as they stand in a request line.

    The simplest is ``route.example_path``; the arguments are words of the vocabulary, numbers of all sizes, and
    text of any sort, percent-encoded. Where no path is known, Hypothesis looks for one, which may take it long.
    """
    maker = PathMaker(route, Vocabulary() if vocabulary is None else vocabulary)
    if maker.simplest is None and route.regex is not None:
        return st.from_regex(route.regex).filter(route.accepts)
    return _from_tape(maker.make, _PATH)


def query_arguments(vocabulary: Vocabulary | None = None) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Return a strategy of query arguments: pairs of a name and a value. Names are those that the handler asks for."""
    return _from_tape(QueryMaker(vocabulary or Vocabulary()).make, _QUERY)


def _maker(vocabulary: Vocabulary | None, max_message_size: int) -> MessageMaker:
    _check_number("max_message_size", max_message_size, 1 << 30)
    return MessageMaker(Vocabulary() if vocabulary is None else vocabulary, max_message_size)


_Draw = Callable[[st.SearchStrategy[Any]], Any]


class _Plan(NamedTuple):
    """How something is made: off so many bytes, and with further draws where messages are registered."""

    size: int
    make: Callable[[bytes, _Draw], Any]
    draws: bool = False


def _strategy(plan: _Plan) -> st.SearchStrategy[Any]:
    tapes = st.binary(min_size=plan.size, max_size=plan.size)
    if not plan.draws:
        return tapes.map(lambda data: plan.make(data, _no_draw))

    @st.composite
    def made(draw: Any) -> Any:
        return plan.make(draw(tapes), draw)

    return made()


def _no_draw(strategy: st.SearchStrategy[Any]) -> Any:
    raise AssertionError(f"{strategy} is drawn from where nothing is registered")


def _from_tape(make: Callable[[Tape], Any], size: int) -> st.SearchStrategy[Any]:
    return _strategy(_Plan(size, lambda data, draw: make(Tape(data))))


def _slot(data: bytes, place: int) -> Tape:
    start = _HEAD + place * _SLOT
    return Tape(data, start, start + _SLOT)


def _check_number(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError(f"{name}= is a number from 1 to {most}, not {show(value)}")


def _check_kinds(kinds: Iterable[Kind]) -> tuple[Kind, ...]:
    checked = tuple(check_kind(kind) for kind in ((kinds,) if isinstance(kinds, str) else kinds))
    if not checked:
        raise UsageError(f"kinds= names at least one of {', '.join(KINDS)}")
    return checked


def _sequences(  # noqa: PLR0917 - as they come
    route: Route | None,
    vocabulary: Vocabulary | None,
    kinds: Iterable[Kind],
    max_messages: int,
    max_message_size: int,
    subprotocol: str | None,
) -> _Plan:
    if vocabulary is None:
        vocabulary = Vocabulary() if route is None else Vocabulary.of_handler(route.handler)
    checked = _check_kinds(kinds)
    _check_number("max_messages", max_messages, _MOST_MESSAGES)
    registered = registered_messages(route) if route is not None else []
    mixed = _mixed(_maker(vocabulary, max_message_size), checked, max_messages, registered)
    if subprotocol not in SUBPROTOCOLS:
        return mixed
    graphql = _graphql(str(subprotocol), vocabulary, max_messages)

    def make(data: bytes, draw: _Draw) -> Any:
        return (mixed if data[0] % 3 == 2 else graphql).make(data[1:], draw)

    return mixed._replace(size=1 + max(mixed.size, graphql.size), make=make)


def _graphql(subprotocol: str, vocabulary: Vocabulary, max_messages: int) -> _Plan:
    _check_number("max_messages", max_messages, _MOST_MESSAGES)
    maker = GraphQLMaker(subprotocol, vocabulary)

    def make(data: bytes, draw: _Draw) -> list[str]:
        flow = maker.flows[data[0] % len(maker.flows)]
        count = min(max_messages, len(flow) + data[1] % max_messages)
        slots = [(place, _slot(data, place)) for place in range(count)]
        made = [maker.message(flow, place, slot) for place, slot in slots if slot.byte() < _KEPT]
        return made or [maker.message(flow, 0, Tape(b""))]

    return _Plan(_HEAD + max_messages * _SLOT, make)


def _mixed(
    maker: MessageMaker, kinds: tuple[Kind, ...], max_messages: int, registered: list[st.SearchStrategy[Message]]
) -> _Plan:
    """Make lists: some bytes for how many and in which manner, then for each message what to do and with what."""
    templates = [template for template in maker.templates if template[0] in kinds]
    manners = _manners(maker, kinds, templates, registered=bool(registered))
    any_registered = st.one_of(registered)
    simplest = _made(maker, kinds[0], Tape(b""))

    def make(data: bytes, draw: _Draw) -> list[Message]:
        messages: list[Any] = []
        message = manners[data[1]](Tape(data, 2, _HEAD))
        # Long ones show more; what a failure does not need is left out when it is made smaller.
        count = 1 + data[0] % max_messages if data[0] < _MOSTLY_LONG else max_messages
        for place in range(count):
            tape = _slot(data, place)
            action = tape.byte()
            made = message(action, tape) if action else _NOTHING
            if made is _AGAIN:
                messages += messages[-1:] * (1 + tape.below(3))
            elif made is _REGISTERED:
                messages.append(draw(any_registered))
            elif made is not _NOTHING:
                messages.append(made)
        return messages[:max_messages] or [simplest]

    return _Plan(_HEAD + max_messages * _SLOT, make, bool(registered))


_Message = Callable[[int, Tape], Any]
"""What an action (from 1 to 255) makes: a message, or one of these."""
_Manner = Callable[[Tape], _Message]
_NOTHING, _AGAIN, _REGISTERED = object(), object(), object()


def _made(maker: MessageMaker, kind: Kind, tape: Tape) -> Message:
    return maker.binary(tape) if kind == "binary" else maker.json(tape) if kind == "json" else maker.text(tape)


def _manners(
    maker: MessageMaker, kinds: tuple[Kind, ...], templates: list[tuple[str, Any]], *, registered: bool
) -> list[_Manner]:
    """Return what each byte means: the manner of a conversation, chosen once for all its messages.

    Everything of what makes sense; valid messages in any order, few different ones or many; one message that is
    changed again and again; noise.
    """
    actions = _actions(maker, kinds, registered)

    def share(message: _Message) -> _Message:
        return lambda action, tape: _REGISTERED if registered and tape.byte() >= 128 else message(action, tape)

    def mixed(head: Tape) -> _Message:
        def message(action: int, tape: Tape) -> Any:
            what = actions[action]
            if what in ("text", "json", "binary"):
                return _made(maker, cast(Kind, what), tape)
            return {"again": _AGAIN, "registered": _REGISTERED}.get(what, _NOTHING)

        return message

    def noise(head: Tape) -> _Message:
        return share(lambda action, tape: maker.noise(kinds[action % len(kinds)], tape))

    def valid(head: Tape) -> _Message:
        few, value = head.byte(), head.byte()
        chosen = [head.choose(templates) for _ in range(1 + few % 3)] if few < 176 else templates
        same = bytes([value]) * _SLOT

        def message(action: int, tape: Tape) -> Any:
            if action >= 224:
                return _AGAIN
            # What belongs together has the same values: the room that is joined is the one that is left.
            return maker.valid(tape.choose(chosen), Tape(same) if action < _SAME else tape)

        return share(message)

    def changed(head: Tape) -> _Message:
        template = head.choose(templates)

        def message(action: int, tape: Tape) -> Any:
            if action >= 208:
                return maker.valid(template if action % 2 else tape.choose(templates), tape)
            return maker.mutated(template, tape)

        return share(message)

    counts: list[tuple[_Manner, int]] = [(mixed, 56), (valid, 80), (changed, 96), (noise, 24)]
    if not templates:
        counts = [(mixed, 176), (noise, 80)]
    return [manner for manner, count in counts for _ in range(count)]


def _actions(maker: MessageMaker, kinds: tuple[Kind, ...], registered: bool) -> list[str]:
    """Return what each byte means: nothing, then messages of each kind as likely as they make sense, then again."""
    shares = {"text": 3 if maker.speaks_json else 8, "json": 11 if maker.speaks_json else 5, "binary": 2}
    shares["text"] += 4 if maker.speaks_text else 0
    shares = {kind: share for kind, share in shares.items() if kind in kinds}
    total = sum(shares.values())
    if registered:
        shares = {"registered": total, **shares}
        total *= 2
    shares["again"] = max(total // 8, 1)
    scale = 255 / sum(shares.values())
    actions = ["nothing"]
    for action, share in shares.items():
        actions += [action] * max(int(share * scale), 1)
    return (actions + [next(iter(shares))] * 256)[:256]
