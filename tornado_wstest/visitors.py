"""What clients that are none of ours send and receive, as the server sees it: browsers, other programs.

The transcript of a live server is made here. What a client received is what the handler wrote; that it has
arrived cannot be seen.
"""

import functools
import http.client
import itertools
from collections.abc import Callable
from typing import Any

from tornado.escape import json_encode
from tornado.websocket import WebSocketHandler

from .transcript import Transcript, mask_query
from .watch import Served
from .wording import close_text

__all__ = ["Visitors"]


class Visitors:
    """Gives each websocket connection a name, and records what happens on it."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._numbers = itertools.count(1)

    def add(self, served: Served) -> None:
        """A connection has its handler now, which has run nothing yet."""
        handler = served.handler
        if not isinstance(handler, WebSocketHandler):
            return
        name = f"client {next(self._numbers)}"
        served.watch.name(served, name)
        record = functools.partial(self._transcript.record, name)
        record("connect", mask_query(handler.request.uri or ""))
        before: dict[str, Callable[..., Any]] = {
            "on_message": lambda message: record("sent", message),
            "on_finish": functools.partial(_refused, handler, record),
            "on_close": lambda: record(
                "close",
                close_text(handler.close_code, handler.close_reason),
                outgoing=not served.closed_itself,
            ),
        }
        for callback, note in before.items():
            setattr(handler, callback, _preceded(getattr(handler, callback), note))
        setattr(handler, "write_message", _written(handler.write_message, record))  # noqa: B010


def _refused(handler: WebSocketHandler, record: Callable[..., Any]) -> None:
    """The answer to the opening handshake is through; record it if it was none of 101."""
    status = handler.get_status()
    if status != 101:
        record("reject", f"{status} {http.client.responses.get(status, '')}".strip())


def _preceded(method: Callable[..., Any], note: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        note(*args)
        return method(*args)

    return noted


def _written(write_message: Callable[..., Any], record: Callable[..., Any]) -> Callable[..., Any]:
    """Record what `WebSocketHandler.write_message` has taken."""

    def noted(message: Any, binary: bool = False) -> Any:
        result = write_message(message, binary)
        text = json_encode(message) if isinstance(message, dict) else message
        if isinstance(text, bytes) and not binary:
            text = text.decode("utf-8", "replace")
        record("received", text.encode() if binary and isinstance(text, str) else text)
        return result

    return noted
