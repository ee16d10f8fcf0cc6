"""GraphQL over websockets, in both of its subprotocols: in the right order, and in others."""

import json
from typing import Any

from ..errors import UsageError
from ..text import nearest
from .tape import Tape
from .vocabulary import Vocabulary

__all__ = ["SUBPROTOCOLS", "GraphQLMaker"]

SUBPROTOCOLS = ("graphql-transport-ws", "graphql-ws")
"""The one of today, and the legacy one."""

_ODD_QUERIES = ("", "{", "{ __typename }", "query { a }", "{ __schema { types { name } } }", "{ a { a { a { a } } } }")
_ODD_PAYLOADS: tuple[Any, ...] = (
    None,
    {},
    [],
    "",
    0,
    {"query": None},
    {"query": ""},
    {"variables": []},
    {"query": "{ a", "x": 1},
)
_IDS: tuple[Any, ...] = ("1", "1", "1", "2", "", 1, None)

_FLOWS = {
    "graphql-transport-ws": (
        ("connection_init",),
        ("connection_init", "subscribe", "complete"),
        ("connection_init", "ping", "pong", "subscribe", "ping", "complete"),
        ("connection_init", "subscribe", "subscribe", "complete", "complete"),
        ("subscribe", "connection_init", "complete"),
        ("connection_init", "connection_init"),
        ("pong", "ping", "complete", "connection_init"),
    ),
    "graphql-ws": (
        ("connection_init",),
        ("connection_init", "start", "stop", "connection_terminate"),
        ("connection_init", "start", "start", "stop", "stop"),
        ("start", "connection_init", "stop"),
        ("connection_init", "connection_init"),
        ("connection_terminate", "start"),
    ),
}
_FROM_SERVER = ("connection_ack", "next", "error", "data", "ka")
_BELONGS = 232  # of 256: a frame that belongs here


class GraphQLMaker:
    """Makes the frames of a conversation, one by one.

    :arg subprotocol: one of `SUBPROTOCOLS`; anything else is a `UsageError`
    :arg vocabulary: operations of its schema are subscribed to, if there is one
    """

    def __init__(self, subprotocol: str, vocabulary: Vocabulary) -> None:
        if subprotocol not in _FLOWS:
            raise UsageError(f"no GraphQL subprotocol {subprotocol!r}: {nearest(str(subprotocol), SUBPROTOCOLS)}")
        self.flows: tuple[tuple[str, ...], ...] = _FLOWS[subprotocol]
        self._types = [*dict.fromkeys(frame for flow in self.flows for frame in flow), *_FROM_SERVER, "", None]
        self._queries = [f"{kind} {{ {name} }}" for kind, name in vocabulary.operations] or ["subscription { a }"]

    def message(self, flow: tuple[str, ...], place: int, tape: Tape) -> str:
        """Make frame number ``place`` of a flow, or one that does not belong there."""
        kind = flow[place] if place < len(flow) and tape.byte() < _BELONGS else tape.choose(self._types)
        frame: dict[str, Any] = {}
        if kind in ("subscribe", "start", "stop", "complete", "next", "data"):
            frame["id"] = tape.choose(_IDS)
        frame["type"] = kind
        byte = tape.byte()
        if kind in ("subscribe", "start"):
            frame["payload"] = {"query": tape.choose(self._queries)} if byte < 192 else self._odd_payload(tape)
        elif byte >= 208:
            frame["payload"] = self._odd_payload(tape)
        if byte >= 248:
            frame.pop(tape.choose(list(frame)))
        return json.dumps(frame)

    def _odd_payload(self, tape: Tape) -> Any:
        payload = tape.choose((*_ODD_PAYLOADS, None, None))
        return {"query": tape.choose(_ODD_QUERIES), "variables": {"a": payload}} if tape.byte() % 2 else payload
