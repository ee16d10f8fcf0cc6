"""Plays scenarios: one task a user, the marks between them, and who was where when one fails."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPResponse

from .client import WebSocketTestClient
from .codec import Codec
from .endpoint import Surroundings
from .errors import ScenarioFailed, UnexpectedMessage, UsageError, WSTestFailure
from .matching import Expected
from .request import check_timeout
from .scenario import NOTHING, Scenario, Step
from .session import Session
from .text import elide, nearest, plural, show

__all__ = ["Play"]

__unittest = True

_MOST_USERS = 8
_OF_THE_CLIENT = ("timeout", "codec", "handshake", "handshake_kwargs")
_OF_THE_USER = ("headers", "cookies", "signed_cookies")


class Play:
    """Some scenarios, played once.

    :arg new_session: makes the session of a user
    :arg timeout: seconds for the whole play; by default twice as long as a wait, and what the scenarios `wait`
    """

    def __init__(
        self,
        new_session: Callable[..., Session],
        around: Surroundings,
        scenarios: Sequence[Scenario],
        timeout: float | None,
    ) -> None:
        if not scenarios or not all(isinstance(scenario, Scenario) for scenario in scenarios):
            raise UsageError(f"play() takes one Scenario or more, not {show(scenarios)}")
        _check_names(scenarios)
        _check_marks(scenarios)
        self.around = around
        self.users = [
            _User(self, new_session, scenario.name or f"user {number}", scenario)
            for number, scenario in enumerate(scenarios, 1)
        ]
        self._seconds = _default_seconds(around, scenarios) if timeout is None else check_timeout(timeout)
        self._due: dict[str, set[str]] = {}
        """For each mark, the users who have not come to it yet."""
        for user in self.users:
            for mark in user.scenario.marks():
                self._due.setdefault(mark, set()).add(user.name)
        self.failures: list[Exception] = []
        self._waiting: dict[_User, tuple[Sequence[str], asyncio.Future[None]]] = {}

    async def run(self) -> None:
        """Play to the end; raise what the first user raised that failed, or `ScenarioFailed` when time is out."""
        __tracebackhide__ = True
        tasks = [asyncio.ensure_future(user.run()) for user in self.users]
        settling = self.around.settling
        late: asyncio.Future[None] = settling.loop.create_future()
        timer = None if self._seconds is None else settling.call_later(self._seconds, lambda: late.set_result(None))
        over = asyncio.ensure_future(asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))
        ends: list[asyncio.Future[Any]] = [over, late]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if timer is not None:
                settling.cancel(timer)
            over.cancel()
            await self._stop(tasks)
        if self.failures:
            raise self.failures[0]
        if late.done():
            seconds = self._seconds or 0
            raise ScenarioFailed(
                f"the play was not over after {seconds:g} s\n"
                f"{self.positions()}\n"
                "let it take longer with play(timeout=), or look into the transcript for what is missing"
            )

    async def _stop(self, tasks: Iterable["asyncio.Task[None]"]) -> None:
        """Leave no task, and no client that a failed play has opened."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for user in self.users:
            if user.client is not None:
                user.client.silence()
        for user in self.users:
            if user.client is not None:
                await user.client.end()

    def positions(self, without: "_User | None" = None) -> str:
        """Say where every user is, those first who are not through."""
        users = sorted((user for user in self.users if user is not without), key=lambda user: user.is_through)
        lines = [f"  {user.position()}" for user in users[:_MOST_USERS]]
        return "\n".join(lines + ([f"  and {len(users) - len(lines)} more"] if len(users) > len(lines) else []))

    # Marks

    def set(self, mark: str, user: "_User") -> None:
        """A user has come to a mark."""
        self._due[mark].discard(user.name)
        for marks, future in self._waiting.values():
            if not self._missing(marks) and not future.done():
                future.set_result(None)

    async def wait_for(self, marks: Sequence[str], user: "_User") -> None:
        """Wait until all ``marks`` are set."""
        __tracebackhide__ = True
        if not self._missing(marks):
            return
        settling = self.around.settling
        future: asyncio.Future[None] = settling.loop.create_future()
        self._waiting[user] = marks, future
        settling.default_waits[future] = f"{user.name} waits for the mark {', '.join(map(repr, marks))}"
        try:
            self.look_for_deadlock()
            await future
        finally:
            del settling.default_waits[future]
            del self._waiting[user]

    def look_for_deadlock(self) -> None:
        """Let someone fail if everyone who is not through waits for a mark."""
        # Whose mark has just been set still waits for its turn, but is free to go on.
        stuck = {user for user, (_, future) in self._waiting.items() if not future.done()}
        if stuck and all(user.is_through or user in stuck for user in self.users):
            missing = {mark: sorted(self._due[mark]) for marks, _ in self._waiting.values() for mark in marks}
            lines = [f"  {mark!r} is to be set by {_listed(names)}" for mark, names in missing.items() if names]
            future = next(future for _, future in self._waiting.values())
            if lines and not future.done():
                future.set_exception(ScenarioFailed("\n".join(["everyone waits for a mark", *lines])))

    def _missing(self, marks: Sequence[str]) -> list[str]:
        return [mark for mark in marks if self._due[mark]]


class _User:
    """One user of a play: the scenario, how far it has come, and the connection."""

    def __init__(self, play: Play, new_session: Callable[..., Session], name: str, scenario: Scenario) -> None:
        self.name = name
        self.scenario = scenario
        self.client: WebSocketTestClient | None = None
        self.is_through = False
        self._play = play
        self._index = 0
        self._is_connecting = False
        self._is_ending = False
        self._codec: Codec = scenario.options.get("codec") or play.around.codec
        options = dict(scenario.options)
        own = {option: options.pop(option) for option in _OF_THE_USER if option in options}
        self._session = new_session(name, **own)
        self._options = options
        self._check()

    def _check(self) -> None:
        """Raise `UsageError` for what cannot be played, before anybody connects."""
        self._play.around.plan(
            self.scenario.path, {name: value for name, value in self._options.items() if name not in _OF_THE_CLIENT}
        )
        for index, step in enumerate(self.scenario.steps):
            self._index = index
            sent = step.arguments[0] if step.kind == "send" else step.options.get("then", NOTHING)
            if sent is not NOTHING and not callable(sent):
                self._encode(sent)
        self._index = 0

    async def run(self) -> None:
        """Go through all steps."""
        __tracebackhide__ = True
        try:
            await self._go()
        except Exception as error:
            failure = self._explained(error)
            self._play.failures.append(failure)
            raise failure from failure.__cause__
        self.is_through = True
        self._play.look_for_deadlock()

    async def _go(self) -> None:
        __tracebackhide__ = True
        for index, step in enumerate(self.scenario.steps):
            self._index = index
            if index == self.scenario.connects_before:
                await self._connect()
            await getattr(self, f"_{step.kind}")(*step.arguments, **step.options)
        self._is_ending = True
        if self.client is None:
            await self._connect()
        await self._end()

    # The steps, by their names

    async def _connect(self) -> None:
        __tracebackhide__ = True
        if self.client is not None:
            return
        self._is_connecting = True
        timeout = self.scenario.timeout
        self.client = await self._session.ws_client(self.scenario.path, **{"timeout": timeout, **self._options})
        self._is_connecting = False

    async def _send(self, message: Any) -> None:
        __tracebackhide__ = True
        await self._open_client.send(self._encode(message))

    async def _expect(self, expected: Expected, *, then: Any = NOTHING, timeout: float | None = None) -> None:
        __tracebackhide__ = True
        client = self._open_client
        if self.scenario.ignore_others:
            messages = await client.receive_until(expected, timeout=timeout)
            value = client.codec.to_value_or_message(messages[-1])
        else:
            value = await client.expect(expected, timeout=timeout)
        await self._then(then, value)

    async def _expect_in_any_order(
        self, *expected: Expected, then: Any = NOTHING, timeout: float | None = None
    ) -> None:
        __tracebackhide__ = True
        values = await self._open_client.take_in_any_order(expected, timeout, passing_over=self.scenario.ignore_others)
        await self._then(then, values)

    async def _expect_nothing(self, matching: Expected = None, *, seconds: float = 0) -> None:
        __tracebackhide__ = True
        await self._open_client.expect_nothing(matching, seconds=seconds)

    async def _expect_closed(
        self, code: int | None = None, reason: str | None = None, *, timeout: float | None = None
    ) -> None:
        __tracebackhide__ = True
        client = self._open_client
        while True:
            try:
                await client.expect_closed(code, reason, timeout=timeout)
            except UnexpectedMessage:
                if not self.scenario.ignore_others:
                    raise
                for _ in client.unread:
                    await client.receive()
            else:
                return

    async def _ignore(self, *expected: Expected) -> None:
        client = self._open_client
        client.ignore(*expected)
        for received in client.unread_like(*expected):
            client.discard_received(received)

    async def _answer(self, expected: Expected, reply: Any) -> None:
        __tracebackhide__ = True
        client = self._open_client
        client.answer(expected, reply)
        for received in client.unread_like(expected):
            client.discard_received(received)
            await self._then(reply, received.value_or_message)

    async def _fetch(self, path: str, *, status: int | None = None, then: Any = NOTHING, **options: Any) -> None:
        __tracebackhide__ = True
        response: HTTPResponse = await self._session.fetch(path, **options)
        if response.code != status and (status is not None or response.code >= 400):
            expected = status if status is not None else "a status below 400"
            raise WSTestFailure(
                f"{path} was answered with {response.code} {response.reason}, expected {expected}\n"
                f"its body: {elide(response.body.decode(errors='replace'), 400)!r}"
            )
        await self._then(then, response)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _settle(self) -> None:
        __tracebackhide__ = True
        await self._play.around.settle()

    async def _mark(self, name: str) -> None:
        self._play.around.transcript.mark(name, client=self.name)
        self._play.set(name, self)

    async def _after(self, *marks: str) -> None:
        __tracebackhide__ = True
        await self._play.wait_for(marks, self)

    async def _close(self, code: int = 1000, reason: str = "") -> None:
        __tracebackhide__ = True
        await self._end(code, reason)

    # Inside

    @property
    def _open_client(self) -> WebSocketTestClient:
        assert self.client is not None
        return self.client

    async def _end(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, after a look at what nobody has taken."""
        __tracebackhide__ = True
        client = self._open_client
        if not self.scenario.ignore_others and not client.ending_is_known:
            await client.settle()
            if client.unread:
                raise UnexpectedMessage(
                    f"{self.name} got what no step takes: {show(client.unread[0], 400)}"
                    f"{_and_others(len(client.unread) - 1)}\n"
                    "expect() it, ignore() its kind, or let the whole Scenario(ignore_others=True)",
                    client=self.name,
                )
        if client.closed and not client.ending_is_known:
            raise client.closed_error("was to close the connection after its last step")
        await client.close(code, reason)

    async def _then(self, then: Any, value: Any) -> None:
        __tracebackhide__ = True
        if then is NOTHING:
            return
        message = then(value) if callable(then) else then
        if callable(then) and (message is None or inspect.iscoroutine(message)):
            if inspect.iscoroutine(message):
                message.close()
            raise UsageError(
                f"{getattr(then, '__name__', show(then))} returned {show(message)}, which cannot be sent\n"
                "it is a plain function, and returns a str, bytes, or a value that the codec encodes"
            )
        await self._open_client.send(self._encode(message))

    def _encode(self, message: Any) -> Any:
        """Return ``message`` as it travels; raise `UsageError` with the step's place if it cannot."""
        try:
            return self._codec.to_message(message)
        except UsageError as error:
            raise UsageError(f"{self._where()}: {error}") from error.__cause__

    def _explained(self, error: Exception) -> Exception:
        """Return the failure of a step with the place where it happened, and where the others were."""
        where = self._where()
        if isinstance(error, HTTPClientError) and self._is_connecting:
            why = f"{self.name} could not connect: {error}"
            return self._failed(f"{where}: {why}", why, error)
        if isinstance(error, WSTestFailure):
            why = _without_advice(error)
            cause = error.__cause__
            return self._failed(f"{where}: {why}", why, cause)
        if isinstance(error, UsageError):
            explained = error if str(error).startswith(where) else UsageError(f"{where}: {error}")
            explained.__cause__ = error.__cause__
            return explained
        error.add_note(f"raised at {where}")
        return error

    def _failed(self, text: str, why: str, cause: BaseException | None) -> ScenarioFailed:
        others = self._play.positions(without=self)
        failure = ScenarioFailed(
            f"{text}\nmeanwhile:\n{others}" if others else text, client=self.name, step=self._index + 1, why=why
        )
        failure.__cause__ = cause
        return failure

    def _where(self) -> str:
        return f"{self.name}, {self._step()}"

    def _step(self) -> str:
        if self._is_connecting:
            return "connecting"
        if self._is_ending:
            return f"after its {plural(len(self.scenario.steps), 'step')}"
        step: Step = self.scenario.steps[self._index]
        return f"step {self._index + 1} of {len(self.scenario.steps)}, {step}"

    def position(self) -> str:
        """Say how far this user has come."""
        return f"{self.name} was through" if self.is_through else f"{self.name} was at {self._step()}"


def _default_seconds(around: Surroundings, scenarios: Iterable[Scenario]) -> float | None:
    if around.timeout is None:
        return None  # virtual time: it ends when nothing can happen
    waits: float = sum(
        step.arguments[0] if step.kind == "wait" else step.options.get("seconds", 0)
        for scenario in scenarios
        for step in scenario.steps
        if step.kind in ("wait", "expect_nothing")
    )
    return 2 * around.timeout + waits


def _check_names(scenarios: Sequence[Scenario]) -> None:
    names = [scenario.name for scenario in scenarios if scenario.name is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two scenarios are named {twice[0]!r}: the names of one play are different")
    for number, scenario in enumerate(scenarios, 1):
        if not scenario.steps:
            raise UsageError(f"scenario {scenario.name or number!r} has no steps: Scenario(...).send(...).expect(...)")


def _check_marks(scenarios: Sequence[Scenario]) -> None:
    known = set().union(*(scenario.marks() for scenario in scenarios))
    for scenario in scenarios:
        for mark in sorted(scenario.awaited() - known):
            hint = nearest(mark, known) if known else "no scenario sets a mark"
            raise UsageError(f"{scenario.name or 'a scenario'} waits for the mark {mark!r}, which nobody sets: {hint}")


def _without_advice(error: WSTestFailure) -> str:
    """Return the text of a failure; with what a scenario can do, where it says what a client can."""
    text = str(error)
    if isinstance(error, UnexpectedMessage) and error.advice:
        return text.removesuffix(error.advice) + (
            "expect_in_any_order() takes it in another order, ignore() or ignore_others=True pass it over"
        )
    return text


def _and_others(count: int) -> str:
    return f", and {plural(count, 'other message')}" if count else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_USERS} more" if len(names) > _MOST_USERS else ""
    return ", ".join(names[:_MOST_USERS]) + more
