"""The transcript in a form that a reader in any language can take: JSON, a list of events."""

import ast
import base64
import json
import re
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .text import show, show_error

if TYPE_CHECKING:
    from .transcript import Event

__all__ = ["close_parts", "stack_of", "to_json"]

_CLOSE = re.compile(r"(?P<code>\d+)(?: \([^)]*\))?(?: (?P<reason>.*))?", re.DOTALL)


def to_json(events: Iterable["Event"], sender: Callable[["Event"], str]) -> str:
    """Return ``events`` as JSON, in ASCII: a list with an object for each event, on a line of its own.

    Each object has these members:

    - ``time``: seconds, a number
    - ``client``: the client's name; ``""`` where the event concerns none
    - ``kind``: ``connect reject sent received ping pong close error mark``
    - ``from``: ``"client"`` or ``"server"``; null for a mark
    - ``payload``: see below
    - ``encoding``: ``"base64"``, only where the payload is bytes, which are then written in Base64

    The payload of ``sent`` and ``received`` is the message; of ``ping`` and ``pong`` it is their bytes; of ``mark`` its
    text; of ``connect`` the path with its query, and the headers; of ``reject`` the status. ``close`` has an object
    with ``code`` (null for a connection that the client dropped), ``reason``, and ``text``, which says both.
    ``error`` has one with ``type``, ``message`` and ``traceback``.

    :arg sender: of an event: ``"client"``, ``"server"`` or ``""``
    """
    lines = [json.dumps(_members(event, sender(event))) for event in events]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def stack_of(error: BaseException) -> str:
    """Return the traceback of ``error`` and of what caused it, as Python prints it."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception:
        return show_error(error)  # its notes, or a line of its source, cannot be read


def close_parts(text: str) -> tuple[int | None, str]:
    """Return code and reason of a close as the transcript has it: ``4001 'who are you?'``. No code is None."""
    match = _CLOSE.fullmatch(text)
    if match is None:
        return None, ""
    return int(match["code"]), ast.literal_eval(match["reason"]) if match["reason"] else ""


def _members(event: "Event", sender: str) -> dict[str, Any]:
    members = {"time": event.time, "client": event.client, "kind": event.kind, "from": sender or None}
    payload = event.payload
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return {**members, "payload": base64.b64encode(payload).decode("ascii"), "encoding": "base64"}
    if event.kind == "close":
        return {**members, "payload": _close(str(payload or ""))}
    if isinstance(payload, BaseException):
        return {**members, "payload": _error(payload)}
    return {**members, "payload": payload if payload is None or isinstance(payload, str) else show(payload)}


def _close(text: str) -> dict[str, Any]:
    code, reason = close_parts(text)
    return {"code": code, "reason": reason, "text": text}


def _error(error: BaseException) -> dict[str, str]:
    try:
        message = str(error)
    except Exception:
        message = show_error(error)
    return {"type": type(error).__name__, "message": message, "traceback": stack_of(error)}
