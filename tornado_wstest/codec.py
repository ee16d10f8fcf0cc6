"""Messages, and the values they carry.

A *message* is what travels: `str` (a text message) or `bytes` (a binary one). Its *value* is what a test
wants to talk about: what the codec makes of the message.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from .errors import UsageError
from .text import show, show_error

__all__ = ["JSON", "UNDECODABLE", "Codec", "Message"]

Message = str | bytes


class _Undecodable:
    """The value of a message that the codec could not decode. Nothing equals it."""

    def __repr__(self) -> str:
        return "<undecodable>"

    def __eq__(self, other: object) -> bool:
        return False


UNDECODABLE = _Undecodable()


@dataclasses.dataclass(frozen=True)
class Codec:
    """Turns values into messages and messages into values.

    ::

        class MsgpackTest(WebSocketTestCase):
            ws_codec = Codec(msgpack.packb, msgpack.unpackb)

    :arg encode: a function of a value that returns the message, `str` or `bytes`. It is not asked about
        values that are `str` or `bytes` already: they are messages.
    :arg decode: a function of a message that returns its value. Where it raises, the message has no value,
        and matches only an expectation of the message itself.
    """

    encode: Callable[[Any], Message]
    decode: Callable[[Message], Any]

    def __post_init__(self) -> None:
        for name in ("encode", "decode"):
            if not callable(getattr(self, name)):
                raise UsageError(f"Codec({name}=) takes a function, not {show(getattr(self, name))}")

    def to_message(self, value: Any) -> Message:
        """Return the message that carries ``value``: itself, if it is `str` or `bytes`.

        Raises `UsageError` for a value that cannot be encoded.
        """
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return _checked_text(value)
        if isinstance(value, (bytearray, memoryview)):
            return bytes(value)
        try:
            message = self.encode(value)
        except Exception as error:
            raise UsageError(
                f"{show(value)} cannot be encoded as a message: {show_error(error)}\n"
                "send a str, bytes, or a value that the codec encodes (JSON unless ws_codec says otherwise)"
            ) from error
        if not isinstance(message, (str, bytes)):
            raise UsageError(f"the codec encoded {show(value)} as {show(message)}; it must return str or bytes")
        return _checked_text(message) if isinstance(message, str) else message

    def to_value(self, message: Message) -> Any:
        """Return the value of ``message``, or `UNDECODABLE`. Never raises."""
        try:
            return self.decode(message)
        except Exception:
            return UNDECODABLE

    def to_value_or_message(self, message: Message) -> Any:
        """Return the value of ``message``; itself if it has none."""
        value = self.to_value(message)
        return message if value is UNDECODABLE else value


def _checked_text(text: str) -> str:
    """Return ``text`` if it can travel: a text message is UTF-8 (RFC 6455, section 5.6)."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{show(text)} cannot be sent as text: it is no UTF-8 ({error.reason})") from None
    return text


def _decode_json(message: Message) -> Any:
    """Decode a text that is a JSON object or array; leave any other message as it is."""
    if isinstance(message, str) and message.lstrip(" \t\r\n")[:1] in ("{", "["):
        try:
            return json.loads(message)
        except (ValueError, RecursionError):
            return message
    return message


JSON = Codec(json.dumps, _decode_json)
