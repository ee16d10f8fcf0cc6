"""Several users' conversations, declared. What plays them is `tornado_wstest.playing`.

A `Scenario` says what one user does and what must come back, step by step. It holds no connection and knows no
loop: it is a value, that can be kept in a module, extended, and played as often as one likes.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, NoReturn

from .codec import Codec
from .errors import UsageError
from .handshake import check_handshake
from .matching import Expected, check_expected, describe
from .request import (
    CLIENT_OPTIONS,
    build_request,
    check_close,
    check_fetch,
    check_pairs,
    check_path,
    check_seconds,
    check_timeout,
)
from .text import elide, show

__all__ = ["NOTHING", "Scenario", "Step"]

_UNCONNECTED = ("after", "mark", "wait", "settle", "fetch")
"""Steps that need no connection."""
_ENDS = ("close", "expect_closed")
_OF_THE_CLIENT = ("handshake", "handshake_kwargs", "codec")
"""Options that `build_request` knows nothing of."""

NOTHING: Any = type("_Nothing", (), {"__repr__": lambda self: "nothing"})()
"""Stands for: there is no ``then=``."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a scenario, as it was declared: which, and with what."""

    kind: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        expected = self.arguments[: _EXPECTING.get(self.kind, 0)]
        parts = [describe(argument) for argument in expected]
        parts += [_face(argument, 200) for argument in self.arguments[len(expected) :]]
        parts += [f"{name}={_face(value)}" for name, value in self.options.items()]
        return f".{self.kind}({elide(', '.join(parts), 160)})"


_EXPECTING = {"expect": 1, "expect_in_any_order": None, "expect_nothing": 1, "ignore": None, "answer": 1}
"""How many of the arguments are expectations; None for all."""


class Scenario:
    """What one user says, and what must come back.

    ::

        rob = (
            Scenario("/chat", name="rob", query={"name": "rob"})
            .expect({"message": "rob has connected"})
            .mark("rob is in")
            .expect({"message": "ann has connected"}, then={"message": "hello, ann"})
        )
        ann = (
            Scenario("/chat", name="ann", query={"name": "ann"})
            .after("rob is in")                                         # connects no sooner
            .expect({"message": "ann has connected"})
            .expect({"message": "hello, ann"})
        )
        await self.play(rob, ann)

    Each step returns a new `Scenario`. A user connects at once, or after the marks with which the scenario
    begins, or where it says `connect`; does one step after the other; and closes after the last. Before that
    the app settles, and a message that no step has taken fails the play.

    :arg path: where to connect; by default where the tester's clients do
    :arg name: how failures call the user; names of one play are different
    :arg ignore_others: messages that come between those that are expected are passed over
    :arg timeout: seconds that one step may wait; by default as long as any wait of the test
    :arg options: as for ``ws_client``: ``query``, ``headers``, ``handshake``, ``codec``, ... Headers and cookies
        go with the user's HTTP requests, too

    Two scenarios are equal if they were declared with equal things. `repr` shows the declaration.
    """

    path: str | None
    name: str | None
    ignore_others: bool
    timeout: float | None
    options: Mapping[str, Any]
    steps: tuple[Step, ...]

    def __init__(
        self,
        path: str | None = None,
        *,
        name: str | None = None,
        ignore_others: bool = False,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        if path is not None:
            check_path(path)
        if name is not None and (not isinstance(name, str) or not name):
            raise UsageError(f"a scenario's name is a str, not {show(name)}")
        if not isinstance(ignore_others, bool):
            raise UsageError(f"ignore_others is True or False, not {show(ignore_others)}")
        if timeout is not None:
            check_timeout(timeout)
        _check_options(options)
        vars(self).update(
            path=path,
            name=name,
            ignore_others=ignore_others,
            timeout=timeout,
            options=options,
            steps=(),
        )

    # Messages

    def send(self, message: Any) -> "Scenario":
        """Send a message: `str` as text, `bytes` as binary, anything else through the codec."""
        if callable(message):
            raise UsageError(
                f"send() takes a message, not {show(message)}\nwhat depends on a message that came: expect(..., then=)"
            )
        return self._with("send", message)

    def expect(self, expected: Expected, *, then: Any = NOTHING, timeout: float | None = None) -> "Scenario":
        """The next message is as ``expected``; what may be expected is told in `tornado_wstest.matching`.

        ::

            .expect(field("room/id", is_number), then=lambda value: {"join": value["room"]["id"]})

        With ``ignore_others``, the next that matches is; those before it are passed over.

        :arg then: what to send next: a message, or a function of the value that came which returns it. It may be
            async, and must return within the time that the step may wait
        """
        check_expected(expected)
        return self._with("expect", expected, **_given(then=then, timeout=timeout))

    def expect_in_any_order(self, *expected: Expected, then: Any = NOTHING, timeout: float | None = None) -> "Scenario":
        """The next messages are these, one each, in whatever order they come.

        :arg then: what to send next, or a function of their values (a list, in the order of ``expected``)
        """
        if not expected:
            raise UsageError("expect_in_any_order() takes what to expect: one expectation or more")
        for one in expected:
            check_expected(one)
        return self._with("expect_in_any_order", *expected, **_given(then=then, timeout=timeout))

    def expect_nothing(self, matching: Expected = None, *, seconds: float = 0) -> "Scenario":
        """Nothing (like ``matching``) is unread when the app has settled, after so many ``seconds``."""
        check_expected(matching)
        check_seconds(seconds)
        arguments = () if matching is None else (matching,)
        return self._with("expect_nothing", *arguments, **_given(seconds=seconds or None))

    def expect_closed(
        self, code: int | None = None, reason: str | None = None, *, timeout: float | None = None
    ) -> "Scenario":
        """The server closes the connection, with this ``code`` and ``reason`` if they are given."""
        if code is not None and type(code) is not int:
            raise UsageError(f"a close code is a number, not {show(code)}")
        if reason is not None and not isinstance(reason, str):
            raise UsageError(f"a close reason is a str, not {show(reason)}")
        return self._with("expect_closed", **_given(code=code, reason=reason, timeout=timeout))

    def ignore(self, *expected: Expected) -> "Scenario":
        """From here on, messages like these are passed over, also those that wait already."""
        if not expected:
            raise UsageError("ignore() takes what to ignore: one expectation or more")
        for one in expected:
            check_expected(one)
        return self._with("ignore", *expected)

    def answer(self, expected: Expected, reply: Any) -> "Scenario":
        """From here on, messages like this are answered and passed over: heartbeats.

        :arg reply: what to send, or a function of the value that came which returns it
        """
        check_expected(expected)
        _check_then("reply", reply)
        return self._with("answer", expected, reply)

    # Connection

    def connect(self) -> "Scenario":
        """Connect here, and not at the beginning: after a login by HTTP.

        ::

            Scenario("/chat", name="ann").fetch("/login", method="POST", data={"name": "ann"}).connect()
        """
        return self._with("connect")

    def close(self, code: int = 1000, reason: str = "") -> "Scenario":
        """Close the connection; done when the server's `on_close` has run. As at the end, nothing may be unread."""
        check_close(code, reason)
        return self._with("close", **_given(code=None if code == 1000 else code, reason=reason or None))

    # Others

    def fetch(self, path: str, *, status: int | None = None, then: Any = NOTHING, **options: Any) -> "Scenario":
        """Fetch a path over HTTP, as this user: cookies are shared with the websocket. See `Session.fetch`.

        ::

            .fetch("/token", then=lambda response: {"token": response.body.decode()})

        :arg status: what the status must be; by default anything below 400
        :arg then: what to send next, or a function of the response which returns it
        :arg options: ``method``, ``data``, ``json``, ``xsrf``, ``headers``, ``body``, ``request_timeout``, ...
        """
        check_path(path)
        check_fetch(**{"method": "GET", "xsrf": False, **options})
        if status is not None and type(status) is not int:
            raise UsageError(f"status is a number such as 403, not {show(status)}")
        return self._with("fetch", path, **_given(status=status, then=then), **options)

    def wait(self, seconds: float) -> "Scenario":
        """Let so many seconds pass, by the test's clock. To wait for another user there is `after`."""
        check_seconds(seconds)
        return self._with("wait", seconds)

    def settle(self) -> "Scenario":
        """Let the app settle: what was sent so far has been processed, though nobody is told of it.

        ::

            .send({"do": "write this down"}).settle().mark("it is written")
        """
        return self._with("settle")

    def mark(self, name: str) -> "Scenario":
        """This user has come so far: those go on who wait `after` this mark.

        A mark that several users have is set when all of them have come to it.
        """
        _check_mark(name)
        return self._with("mark", name)

    def after(self, *marks: str) -> "Scenario":
        """Go on when these marks are set. As a first step: connect no sooner."""
        if not marks:
            raise UsageError("after() takes the names of marks: one or more")
        for mark in marks:
            _check_mark(mark)
        return self._with("after", *marks)

    # As a value

    def __or__(self, other: object) -> "Scenario":
        """Append the steps of another scenario, which has nothing but steps."""
        if not isinstance(other, Scenario):
            return NotImplemented
        if other._given() not in ({}, self._given()):
            raise UsageError(
                f"what stands behind | is Scenario({other._face()}), and all but its steps would be lost\n"
                "append what has steps only: Scenario().send(...).expect(...)"
            )
        result = self
        for step in other.steps:
            result = result._appended(step)
        return result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and (self._given(), self.steps) == (other._given(), other.steps)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise UsageError(f"a Scenario is a value, and its {name} stays as it is: Scenario(...) | steps makes another")

    def __repr__(self) -> str:
        return f"Scenario({self._face()})" + "".join(map(str, self.steps))

    def _given(self) -> dict[str, Any]:
        """Return all but the steps, as far as it was given."""
        own = {"path": self.path, "name": self.name, "ignore_others": self.ignore_others or None}
        return {**_given(**own, timeout=self.timeout), **self.options}

    def _face(self) -> str:
        """Return all but the steps, as it was written."""
        given = self._given()
        parts = [repr(given.pop("path"))] if self.path is not None else []
        return ", ".join(parts + [f"{name}={_face(value)}" for name, value in given.items()])

    def _with(self, kind: str, *arguments: Any, **options: Any) -> "Scenario":
        if "then" in options:
            _check_then("then", options["then"])
        if options.get("timeout") is not None:
            check_timeout(options["timeout"])
        return self._appended(Step(kind, arguments, options))

    def _appended(self, step: Step) -> "Scenario":
        self._check_place(step)
        result = object.__new__(type(self))
        vars(result).update(vars(self), steps=(*self.steps, step))
        return result

    def _check_place(self, step: Step) -> None:
        """Raise `UsageError` for a step that cannot stand here."""
        if step.kind == "connect" and any(_needs_connection(earlier) for earlier in self.steps):
            raise UsageError("connect() comes before all that needs the connection, and once")
        ended = [earlier.kind for earlier in self.steps if earlier.kind in _ENDS]
        if ended and _needs_connection(step):
            raise UsageError(f"{step} after .{ended[0]}(): the connection is closed there")
        if step.kind == "mark" and step.arguments[0] in self.marks():
            raise UsageError(f"the mark {step.arguments[0]!r} is set twice by one scenario: marks are set once a play")
        if step.kind == "expect_nothing" and not step.arguments and self.ignore_others:
            raise UsageError("expect_nothing() of a scenario that ignores others needs to know what must not come")

    # For those who play it

    @property
    def connects_before(self) -> int:
        """The index of the step before which the user connects."""
        for index, step in enumerate(self.steps):
            if step.kind == "connect":
                return index
        return next((index for index, step in enumerate(self.steps) if step.kind != "after"), len(self.steps))

    def marks(self) -> set[str]:
        """The marks that this scenario sets."""
        return {step.arguments[0] for step in self.steps if step.kind == "mark"}

    def awaited(self) -> set[str]:
        """The marks that this scenario waits for."""
        return {mark for step in self.steps if step.kind == "after" for mark in step.arguments}


def _needs_connection(step: Step) -> bool:
    return step.kind not in _UNCONNECTED or "then" in step.options


def _given(**options: Any) -> dict[str, Any]:
    """Return those options that were given."""
    return {
        name: value for name, value in options.items() if value is not NOTHING and (value is not None or name == "then")
    }


def _check_then(name: str, then: Any) -> None:
    """Raise `UsageError` for what can be no answer to a message."""
    if then is None:
        raise UsageError(f"{name}=None: leave it out to send nothing, or send JSON's null as 'null'")
    if name == "reply" and inspect.iscoroutinefunction(then):
        raise UsageError(f"{name}= is a plain function, and {show(then)} is async")
    if inspect.iscoroutine(then):
        then.close()
        raise UsageError(f"{name}= takes a function, and {show(then)} is what an async one has returned")


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise `UsageError` for what no ``ws_client`` takes. What only the app can tell (a secret), a play checks."""
    if options.get("handshake") is not None:
        check_handshake(options["handshake"])
    codec = options.get("codec")
    if codec is not None and not isinstance(codec, Codec):
        raise UsageError(f"codec is a Codec(encode, decode), not {show(codec)}")
    check_pairs("handshake_kwargs", options.get("handshake_kwargs"))
    check_pairs("signed_cookies", options.get("signed_cookies"))
    others = (*_OF_THE_CLIENT, "signed_cookies")
    rest = {name: value for name, value in options.items() if name not in others}
    build_request("/", {}, rest, callbacks=False, also=("ignore_others", *CLIENT_OPTIONS))


def _check_mark(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise UsageError(f"a mark is a str such as 'rob is in', not {show(name)}")


def _face(value: Any, width: int = 60) -> str:
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else show(value, width)
