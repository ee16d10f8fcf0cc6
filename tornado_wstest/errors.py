"""Everything that can go wrong, in two families.

::

    AssertionError
     +-- WSTestFailure               the app did not do what the test expects
          +-- MessageTimeout         nothing that matches came in time (a TimeoutError, too)
          +-- UnexpectedMessage      another message came, or one came where none should
          +-- ConnectionClosed       closed: code, reason
          +-- HandshakeFailed        a handshake did not go through: step, messages
          +-- NotRejected            an opening handshake was accepted that should not be
          +-- BroadcastMismatch      who got it, who did not, who got it twice
          +-- ScenarioFailed         which step of whom
          +-- ServerError            a handler raised; its exception is the cause
          +-- NotSettled             what keeps running
          +-- NothingCanHappen       virtual time: what every task waits for
    ValueError
     +-- UsageError                  the toolkit was called wrongly: what is valid

A test runner counts the first family as a failed test. Each message says what happened, what was
expected, and what to do next, with the values in it; the transcript of the test travels as a note
(``__notes__``). An opening handshake that the server refuses is none of these: it stays Tornado's own
`tornado.httpclient.HTTPClientError`.
"""

from typing import Any

__all__ = [
    "BroadcastMismatch",
    "ConnectionClosed",
    "HandshakeFailed",
    "MessageTimeout",
    "NotRejected",
    "NotSettled",
    "NothingCanHappen",
    "ScenarioFailed",
    "ServerError",
    "UnexpectedMessage",
    "UsageError",
    "WSTestFailure",
]


class WSTestFailure(AssertionError):
    """The app did not do what the test expects. Base of every failure of this package.

    ``client`` is the name of the client whose call failed, where there is one.
    """

    advice: str = ""
    """The part of the text that says what a client could do instead, if a scenario cannot do the same."""

    def __init__(self, text: str = "", *, client: str | None = None, **details: Any) -> None:
        super().__init__(text)
        self.client = client
        for name, value in details.items():
            setattr(self, name, value)


class MessageTimeout(WSTestFailure, TimeoutError):
    """Nothing that matches came in time. ``except TimeoutError`` catches it as well."""


class UnexpectedMessage(WSTestFailure):
    """Another message came than the one expected, or one came where none should.

    ``message`` is the one that came. It stays unread.
    """

    message: str | bytes | None = None


class ConnectionClosed(WSTestFailure):
    """The connection is closed, with this ``code`` and ``reason``.

    The code is as RFC 6455, section 7.1.5 has it: 1005 for a close frame that carried none, 1006 where
    no close frame came. If a handler of the server raised, its exception is the ``__cause__``.
    """

    code: int = 1006
    reason: str = ""


class HandshakeFailed(WSTestFailure):
    """A handshake of `tornado_wstest.handshake` did not go through.

    ``step`` says where it was, ``why`` what happened there, ``messages`` holds what it had received until then.
    """

    step: str = ""
    why: str = ""
    messages: tuple[str | bytes, ...] = ()


class NotRejected(WSTestFailure):
    """An opening handshake was accepted that should have been refused."""


class BroadcastMismatch(WSTestFailure):
    """A broadcast did not reach exactly those that it should."""


class ScenarioFailed(WSTestFailure):
    """A step of a scenario did not go as declared.

    ``client`` is whose it was, ``step`` its number (from 1), ``why`` what happened there.
    """

    step: int = 0
    why: str = ""


class ServerError(WSTestFailure):
    """A handler of the app under test raised. Its exception is the ``__cause__`` and ``exception``."""

    exception: BaseException | None = None


class NotSettled(WSTestFailure):
    """The app did not come to rest in time; the message says what keeps running."""


class NothingCanHappen(WSTestFailure):
    """Under virtual time: nothing is left that could end the wait of any task."""


class UsageError(ValueError):
    """The toolkit was called wrongly. The message says what is valid."""
