"""What a fuzzer does to an app: visits of one client, one after the other. And how it is kept in a file."""

import base64
import binascii
import dataclasses
from typing import Any

from ..codec import Message
from ..errors import UsageError
from ..faults import faults
from ..text import show

__all__ = ["Case", "Visit"]

_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Visit:
    """One connection: from the opening handshake to its end."""

    path: str = "/"
    """With its query."""
    messages: tuple[Message, ...] = ()
    ping: bytes = b""
    """What a ping carries that is sent after the messages."""
    ending: int | None = 1000
    """The code of the client's close frame; None to vanish without one."""
    pipelined: bool = False
    """Are the messages sent at once, and not one by one with the app at rest in between?"""
    origin: str | None = None
    subprotocols: tuple[str, ...] = ()
    declared_size: int = 0
    """If not 0: the head of a text frame of so many bytes is sent after the messages."""
    fault: str = ""
    """The name of a violation of the protocol that follows the messages: one of `tornado_wstest.faults`."""

    @property
    def size(self) -> tuple[int, int, int]:
        """How much there is to read: what is smaller makes a better example."""
        length = sum(map(len, self.messages)) + len(self.path) + len(self.ping)
        special = self.pipelined + (self.ending != 1000) + (self.origin is not None) + bool(self.subprotocols)
        return len(self.messages), special, length


@dataclasses.dataclass(frozen=True)
class Case:
    """Some visits to one app."""

    visits: tuple[Visit, ...]

    @property
    def size(self) -> tuple[int, list[tuple[int, int, int]], str]:
        """The order of cases: the least is told."""
        return len(self.visits), [visit.size for visit in self.visits], repr(self)

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages of all visits."""
        return tuple(message for visit in self.visits for message in visit.messages)

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        return {"version": _VERSION, "visits": [_visit_to_json(visit) for visit in self.visits]}

    @classmethod
    def from_json(cls, value: Any) -> "Case":
        """Return what `to_json` made a value of. Raises `UsageError` for any other."""
        if not isinstance(value, dict) or value.get("version") != _VERSION or not isinstance(value.get("visits"), list):
            raise UsageError(f"{show(value, 80)} is no saved case of version {_VERSION}")
        try:
            return cls(tuple(_visit_from_json(visit) for visit in value["visits"]))
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise UsageError(f"this saved case cannot be read: {type(error).__name__}: {error}") from error


def _visit_to_json(visit: Visit) -> dict[str, Any]:
    found = {
        field.name: getattr(visit, field.name)
        for field in dataclasses.fields(Visit)
        if field.name == "path" or getattr(visit, field.name) != field.default
    }
    if "messages" in found:
        found["messages"] = [_message_to_json(message) for message in visit.messages]
    if "ping" in found:
        found["ping"] = base64.b64encode(visit.ping).decode()
    if "subprotocols" in found:
        found["subprotocols"] = list(visit.subprotocols)
    return found


def _visit_from_json(value: dict[str, Any]) -> Visit:
    given = dict(value)
    unknown = set(given) - {field.name for field in dataclasses.fields(Visit)}
    if unknown or not isinstance(given["path"], str):
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}" if unknown else "a path is a str")
    given["messages"] = tuple(_message_from_json(message) for message in given.get("messages", ()))
    given["ping"] = base64.b64decode(given.get("ping", ""), validate=True)
    given["subprotocols"] = tuple(map(str, given.get("subprotocols", ())))
    ending, size = given.get("ending"), given.get("declared_size", 0)
    if not (ending is None or type(ending) is int) or type(size) is not int:
        raise ValueError("ending and declared_size are numbers")
    if given.get("fault", "") not in ("", *faults.names):
        raise ValueError(f"there is no fault {show(given['fault'])}")
    return Visit(**given)


def _message_to_json(message: Message) -> dict[str, str]:
    return {"text": message} if isinstance(message, str) else {"base64": base64.b64encode(message).decode()}


def _message_from_json(value: dict[str, str]) -> Message:
    if set(value) == {"text"} and isinstance(value["text"], str):
        return value["text"]
    (encoded,) = (value[name] for name in ("base64",))
    return base64.b64decode(encoded, validate=True)
