"""What a client goes through before a test starts: a greeting, a login.

A handshake is written once and run for every client, after the *opening handshake* of RFC 6455. It is an
object of this module, or any ``async`` function of the client::

    class ChatTest(WebSocketTestCase):
        handshake = sequence(discard(1), exchange({"login": "ann"}, {"type": "welcome"}))

        async def handshake(self, client, room="lobby"):        # or: a method
            await client.expect("hello")
            await client.send({"join": room})
            return await client.expect(containing(type="joined"))

What it takes becomes ``client.handshake_messages``, what it returns ``client.handshake_result``. Arguments
come with ``ws_client(handshake_kwargs={"room": "den"})``.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .codec import Message
from .errors import ConnectionClosed, HandshakeFailed, MessageTimeout, UnexpectedMessage, UsageError
from .matching import Expected, check_expected, describe
from .text import elide, plural, show

if TYPE_CHECKING:
    from .client import WebSocketTestClient

__all__ = ["Handshake", "discard", "discard_all", "discard_until", "exchange", "run_handshake", "sequence"]

__unittest = True

Handshake = Callable[..., Awaitable[Any]]


class _Step:
    """A handshake of this module. It raises `HandshakeFailed` where it does not go through."""

    async def __call__(self, client: "WebSocketTestClient", **kwargs: Any) -> Any:
        __tracebackhide__ = True
        before = len(client.handshake_messages)
        try:
            return await self._run(client, kwargs)
        except (MessageTimeout, UnexpectedMessage, ConnectionClosed) as error:
            # Not from the error itself: its text is in this one's.
            raise _failure(client, f"{self!r}{self._where(client, before)}", str(error)) from error.__cause__

    async def _run(self, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def _where(self, client: "WebSocketTestClient", before: int) -> str:
        return ""


class discard(_Step):
    """Take the next ``count`` messages, whatever they are.

    ::

        handshake = discard(1)          # the "hello"

    Its result is the list of these messages.
    """

    def __init__(self, count: int = 1) -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise UsageError(f"discard() takes a number of messages, not {show(count)}")
        self.count = count

    def __repr__(self) -> str:
        return f"discard({self.count})"

    async def _run(self, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> list[Message]:
        return [await client.receive() for _ in range(self.count)]

    def _where(self, client: "WebSocketTestClient", before: int) -> str:
        return f", message {len(client.handshake_messages) - before + 1} of {self.count}"


class discard_until(_Step):
    """Take messages until one is as expected, and that one, too.

    ::

        handshake = discard_until({"type": "ready"})

    Its result is the value of the last one.
    """

    def __init__(self, expected: Expected) -> None:
        check_expected(expected)
        self.expected = expected

    def __repr__(self) -> str:
        return f"discard_until({describe(self.expected)})"

    async def _run(self, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> Any:
        messages = await client.receive_until(self.expected)
        return client.codec.to_value_or_message(messages[-1])


class discard_all(_Step):
    """Take all messages that arrive until the app has settled: a greeting of unknown length.

    What comes from outside the test's process (a shell, a database) may come later than that: `discard_until`
    waits for it.

    ::

        handshake = discard_all()

    Its result is the list of these messages. A server that closes meanwhile fails it.
    """

    def __repr__(self) -> str:
        return "discard_all()"

    async def _run(self, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> list[Message]:
        messages = await client.receive_all()
        if client.closed:
            raise client.closed_error("waited for the messages of the greeting")
        return messages


class exchange(_Step):
    """Send one message, and expect the next to be the answer.

    ::

        handshake = exchange({"login": "ann"}, containing(type="welcome"))

    Its result is the answer's value.
    """

    def __init__(self, send: Any, expected: Expected) -> None:
        check_expected(expected)
        self.send = send
        self.expected = expected

    def __repr__(self) -> str:
        return f"exchange({show(self.send, 60)}, {describe(self.expected)})"

    async def _run(self, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> Any:
        await client.send(self.send)
        return await client.expect(self.expected)


class sequence(_Step):
    """Go through several handshakes, one after the other.

    ::

        handshake = sequence(discard(1), login)         # login: an async function of the client

    Its result is the list of their results. Keyword arguments go to those that name them.
    """

    def __init__(self, *handshakes: Handshake) -> None:
        for handshake in handshakes:
            check_handshake(handshake)
        self.handshakes = handshakes

    def __repr__(self) -> str:
        return f"sequence({', '.join(_name(handshake) for handshake in self.handshakes)})"

    async def __call__(self, client: "WebSocketTestClient", **kwargs: Any) -> list[Any]:
        __tracebackhide__ = True
        results = []
        for number, handshake in enumerate(self.handshakes, 1):
            try:
                results.append(await _call(handshake, client, _arguments_for(handshake, kwargs)))
            except HandshakeFailed as error:
                step = f"step {number} of {len(self.handshakes)}: {error.step}"
                raise _failure(client, step, error.why) from error.__cause__
        return results

    def takes(self) -> set[str] | None:
        """The names of the keyword arguments that some step takes; None for any."""
        names: set[str] = set()
        for handshake in self.handshakes:
            taken = _takes(handshake)
            if taken is None:
                return None
            names |= taken
        return names


def check_handshake(handshake: object) -> None:
    """Raise `UsageError` if ``handshake`` cannot be called."""
    if callable(handshake) and not isinstance(handshake, type) and not _takes_a_client(handshake):
        raise UsageError(
            f"the handshake {_name(handshake)} takes no client: async def {_name(handshake)}(self, client)"
        )
    if isinstance(handshake, type) or not callable(handshake):
        hint = f": did you mean {handshake.__name__}(...)?" if isinstance(handshake, type) else ""
        raise UsageError(
            f"{show(handshake)} is no handshake{hint}\n"
            "a handshake is discard(), discard_until(), discard_all(), exchange(), sequence(),"
            " an async function of the client, or None"
        )


async def run_handshake(handshake: Handshake, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> Any:
    """Take ``client`` through ``handshake``, and return its result."""
    __tracebackhide__ = True
    taken = _takes(handshake)
    if taken is not None and (unknown := sorted(set(kwargs) - taken)):
        raise UsageError(
            f"handshake_kwargs: {_name(handshake)} takes no {', '.join(unknown)}; it takes"
            f" {', '.join(sorted(taken)) or 'no keyword arguments'}"
        )
    return await _call(handshake, client, kwargs)


async def _call(handshake: Handshake, client: "WebSocketTestClient", kwargs: Mapping[str, Any]) -> Any:
    __tracebackhide__ = True
    result = handshake(client, **kwargs)
    if not inspect.isawaitable(result):
        raise UsageError(
            f"the handshake {_name(handshake)} returned {show(result)}; a handshake is an async function of the client"
        )
    return await result


def _arguments_for(handshake: Handshake, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    taken = _takes(handshake)
    return kwargs if taken is None else {name: value for name, value in kwargs.items() if name in taken}


def _takes(handshake: Handshake) -> set[str] | None:
    """Return which keyword arguments ``handshake`` takes; None for any."""
    if isinstance(handshake, sequence):
        return handshake.takes()
    if isinstance(handshake, _Step):
        return set()
    try:
        parameters = list(inspect.signature(handshake).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {p.name for p in parameters[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _takes_a_client(handshake: Callable[..., Any]) -> bool:
    if isinstance(handshake, (_Step, sequence)):
        return True  # without looking at it: a signature takes as long to make as ten messages
    try:
        inspect.signature(handshake).bind_partial(object())
    except TypeError:
        return False
    except ValueError:  # no signature to look at
        return True
    return True


def _name(handshake: Handshake) -> str:
    return repr(handshake) if isinstance(handshake, _Step) else getattr(handshake, "__name__", show(handshake))


def _failure(client: "WebSocketTestClient", step: str, why: str) -> HandshakeFailed:
    messages = client.handshake_messages
    taken = f": {elide(', '.join(map(show, messages)))}" if messages else ""
    return HandshakeFailed(
        f"the handshake of {client.name} did not go through: {step}\n{why}\n"
        f"before that it took {plural(len(messages), 'message') if messages else 'no message'}{taken};"
        " handshake=None connects without it",
        client=client.name,
        step=step,
        why=why,
        messages=messages,
    )
