"""What a client says when a wait does not end as expected. Pure: from facts to exceptions."""

import itertools
from collections.abc import Collection, Sequence
from typing import Any

from .errors import ConnectionClosed, MessageTimeout, UnexpectedMessage
from .inbox import Inbox, Received
from .matching import Expected, describe, explain
from .text import elide, plural, show, show_error

__all__ = ["came_instead", "close_text", "fits_none", "kind_name", "listed", "mismatch", "not_connected", "not_silent",
           "too_late", "unread_before_close", "what"]  # fmt: skip

_CLOSE_CODES: dict[Any, str] = {
    1002: "protocol error",
    1003: "unsupported data",
    1005: "a close frame without a code",
    1006: "no close frame",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1011: "internal error",
}
"""RFC 6455, section 7.4.1: those that a reader may not know by heart."""

_KINDS: dict[Any, str] = {str: "a text message", bytes: "a binary message"}


def kind_name(kind: Any) -> str:
    """Return ``"a text message"`` for `str`, ``"a binary message"`` for `bytes`, ``"a message"`` for None."""
    return _KINDS.get(kind, "a message")


def what(expected: Expected, kind: str) -> str:
    """Return what a receive waits for."""
    return kind if expected is None else f"{kind} like {describe(expected)}"


def listed(expected: Sequence[Expected]) -> str:
    """Return several expectations, by commas."""
    return ", ".join(describe(one) for one in expected)


def close_text(code: int | None, reason: str | None) -> str:
    """Return a close code and its reason, as failures and the transcript show them."""
    known = f" ({_CLOSE_CODES[code]})" if code in _CLOSE_CODES else ""
    parts = [f"{code}{known}" if code is not None else "", repr(reason) if reason else ""]
    return " ".join(filter(None, parts)) or "no code"


def too_late(name: str, seconds: float, wanted: str, inbox: Inbox) -> MessageTimeout:
    """A wait has lasted for too long."""
    others = [show(received.message, 80) for received in itertools.islice(inbox, 5)]
    if others:
        more = ", ..." if len(inbox) > len(others) else ""
        came = f"{plural(len(inbox), 'other message')} came: {', '.join(others)}{more}"
        advice = "what came stays unread; raise the wait with timeout= if the one that is missing is only late"
    else:
        came = "no message came"
        advice = "what the server did is in the transcript; raise the wait with timeout= if it is only slow"
    return MessageTimeout(f"{name} waited {seconds:g} s for {wanted}; {came}\n{advice}", client=name)


def mismatch(name: str, expected: Expected, received: Received, inbox: Inbox) -> UnexpectedMessage:
    """The next message is not as expected."""
    later = [index for index, other in enumerate(inbox) if index and other.is_as(expected)]
    if later:
        advice = f"the unread message number {later[0] + 1} matches: receive(expected) takes it out of turn"
    elif len(inbox) > 1:
        advice = f"no later unread message matches ({len(inbox) - 1} looked at); receive(expected) waits for one"
    else:
        advice = "no other message is unread; receive(expected) waits for one that matches"
    differences = explain(expected, received.message, received.value)
    if differences == f"  expected {show(expected)}, got {show(received.message)}":
        differences = ""  # the two lines above it say as much
    return UnexpectedMessage(
        "\n".join(
            filter(
                None,
                (
                    f"{name} expected {elide(describe(expected), 400)}",
                    f"but the next message is {show(received.message, 400)}",
                    differences,
                    advice,
                ),
            )
        ),
        client=name,
        message=received.message,
        advice=advice,
    )


def not_connected(name: str, url: str, error: OSError) -> ConnectionClosed:
    """There is no server where one should be, or it went away before it answered."""
    error = getattr(error, "real_error", None) or error
    if isinstance(error, ConnectionRefusedError):
        why = f"nothing listens at {url}"
        advice = "the server is down: try again when it is up (when restart() has returned)"
    else:
        why = f"{url} closed before it answered the opening handshake ({show_error(error)})"
        advice = "does the server restart, or the handler drop the connection? what it raised is in the transcript"
    return ConnectionClosed(f"{name} cannot connect: {why}\n{advice}", client=name)


def came_instead(name: str, wanted: str, received: Received, why: str = "") -> UnexpectedMessage:
    """The next message is of another kind than the one asked for."""
    return UnexpectedMessage(
        f"{name} expected {wanted}, but got {show(received.message)}{why}\n"
        "it stays unread; receive() takes a message of any kind",
        client=name,
        message=received.message,
    )


def fits_none(name: str, expected: Sequence[Expected], candidates: Sequence[Received]) -> UnexpectedMessage:
    """Of the messages that should fit, in any order, one does not."""
    came = ", ".join(show(candidate.message, 80) for candidate in candidates)
    strangers = [candidate for candidate in candidates if not any(candidate.is_as(one) for one in expected)]
    culprit = strangers[0] if strangers else candidates[-1]
    # Where each fits some, two or more claim the same.
    why = f"{show(culprit.message)} fits none of them" if strangers else "what came does not fit them one to one"
    advice = "all stay unread, and receive_all() takes them"
    return UnexpectedMessage(
        f"{name} expected, in any order, {listed(expected)}\nbut {why}\ncame: {came}; {advice}",
        client=name,
        message=culprit.message,
        advice=advice,
    )


def not_silent(name: str, matching: Expected, received: Received, unread: Collection[object]) -> UnexpectedMessage:
    """A message came where none should."""
    wanted = "" if matching is None else f" like {describe(matching)}"
    others = f", and {plural(len(unread) - 1, 'other message')}" if len(unread) > 1 else ""
    advice = "if it is welcome, take it first (receive, expect) or ignore() its kind"
    return UnexpectedMessage(
        f"{name} expected nothing{wanted}, but {show(received.message)} came{others}\n{advice}",
        client=name,
        message=received.message,
        advice=advice,
    )


def unread_before_close(name: str, inbox: Inbox) -> UnexpectedMessage:
    """Messages are unread where only a close should come."""
    unread = ", ".join(show(received.message, 80) for received in itertools.islice(inbox, 5))
    advice = "take what is welcome first (receive, receive_all)"
    return UnexpectedMessage(
        f"{name} expected a close, but {plural(len(inbox), 'message')} came before: {unread}\n{advice}",
        client=name,
        message=inbox.waiting[0].message,
        advice=advice,
    )
