"""Plays scenarios: one task a user, the marks between them, and who was where when one fails."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPResponse

from .client import WebSocketTestClient
from .codec import Codec
from .endpoint import Surroundings
from .errors import ConnectionClosed, ScenarioFailed, UnexpectedMessage, UsageError, WSTestFailure
from .matching import Expected
from .request import check_timeout
from .scenario import NOTHING, Scenario, Step
from .session import Session
from .text import elide, nearest, plural, show

__all__ = ["Play"]

__unittest = True

_MOST_USERS = 8
_OF_THE_USER = ("headers", "cookies", "signed_cookies")
_ADVICE = {
    "expect": "expect_in_any_order() takes them in any order; ignore() or ignore_others=True pass others over",
    "expect_in_any_order": "expect() it, too, or pass it over with ignore() or ignore_others=True",
    "expect_nothing": "if it is welcome, expect() it before, or ignore() its kind",
    "expect_closed": "if it is welcome, expect() it before, or ignore() its kind",
}
"""What a step can do about a message that it does not expect; a client has other means."""


class Play:
    """Some scenarios, played once.

    :arg new_session: makes the session of a user
    :arg timeout: seconds for the whole play; by default twice as long as a wait, and what the scenarios `wait`
    :arg prefix: stands before each path of the scenarios
    """

    def __init__(
        self,
        new_session: Callable[..., Session],
        around: Surroundings,
        scenarios: Sequence[Scenario],
        timeout: float | None,
        prefix: str = "",
    ) -> None:
        if not scenarios or not all(isinstance(scenario, Scenario) for scenario in scenarios):
            raise UsageError(f"play() takes one Scenario or more, not {show(scenarios)}: play(rob, ann)")
        named = _named(scenarios)
        _check_marks(named)
        self.around = around
        self.prefix = prefix
        self.users: list[_User] = [_User(self, new_session, name, scenario) for name, scenario in named.items()]
        self.seconds: float | None = _default_seconds(around, scenarios) if timeout is None else check_timeout(timeout)
        self._due: dict[str, set[str]] = {}
        """For each mark, the users who have not come to it yet."""
        for user in self.users:
            for mark in user.scenario.marks():
                self._due.setdefault(mark, set()).add(user.name)
        self._failures: list[BaseException] = []
        self._waiting: dict[_User, tuple[Sequence[str], asyncio.Future[None]]] = {}

    async def run(self) -> None:
        """Play to the end; raise what the first user raised that failed, or `ScenarioFailed` when time is out."""
        __tracebackhide__ = True
        settling = self.around.settling
        over: asyncio.Future[str] = settling.loop.create_future()

        def end(how: str) -> None:
            if not over.done():
                over.set_result(how)

        def look(_: object) -> None:
            if self._failures or all(task.done() for task in tasks):
                end("over")

        tasks = [settling.loop.create_task(user.run(), name=user.name) for user in self.users]
        for task in tasks:
            task.add_done_callback(look)
        timer = None if self.seconds is None else settling.call_later(self.seconds, lambda: end("late"))
        try:
            how = await over
            positions = self.positions()
        finally:
            if timer is not None:
                settling.cancel(timer)
            await self._stop(tasks)
        if self._failures:
            raise self._failures[0]
        if how == "late":
            raise ScenarioFailed(
                f"the play was not over after {self.seconds:g} s\n"
                f"{positions}\n"
                "let it take longer with play(timeout=), or look into the transcript for what is missing"
            )
        if not all(user.is_through for user in self.users):
            raise asyncio.CancelledError  # somebody has cancelled a user: the end of the test

    def fail(self, failure: BaseException) -> None:
        """A user has failed, and with it the play."""
        self._failures.append(failure)

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
        missing = ", ".join(map(repr, self._missing(marks)))
        settling.default_waits[future] = lambda: f"{user.name} waits for the mark {missing}"
        try:
            self.look_for_deadlock()
            await future
        finally:
            del settling.default_waits[future]
            del self._waiting[user]

    def look_for_deadlock(self) -> None:
        """Let someone fail if everyone who is not through waits for a mark."""
        # Whose mark has just been set still waits for its turn, but is free to go on.
        waiting = {user: wait for user, wait in self._waiting.items() if not wait[1].done()}
        if waiting and all(user.is_through or user in waiting for user in self.users):
            missing = {mark: sorted(self._due[mark]) for marks, _ in waiting.values() for mark in self._missing(marks)}
            lines = [f"  {mark!r} is to be set by {_listed(names)}" for mark, names in missing.items()]
            _, future = next(iter(waiting.values()))
            future.set_exception(
                ScenarioFailed(
                    "\n".join(
                        [
                            "nobody can go on: each user who is not through waits for a mark",
                            *lines,
                            "does one of them wait after() before its own mark()?",
                        ]
                    )
                )
            )

    def _missing(self, marks: Sequence[str]) -> list[str]:
        return [mark for mark in marks if self._due[mark]]


class _User:
    """One user of a play: the scenario, how far it has come, and the connection."""

    def __init__(self, play: Play, new_session: Callable[..., Session], name: str, scenario: Scenario) -> None:
        self.name = name
        self.scenario = scenario
        self.client: WebSocketTestClient | None = None
        self.is_through: bool = False
        self._play = play
        self._index = 0
        self._is_connecting = False
        self._is_ending = False
        self._codec: Codec = scenario.options.get("codec") or play.around.codec
        self._path = None if scenario.path is None else play.prefix + scenario.path
        self._options = {option: value for option, value in scenario.options.items() if option not in _OF_THE_USER}
        own = {option: value for option, value in scenario.options.items() if option in _OF_THE_USER}
        try:
            self._session = new_session(name, **own)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
        self._check_messages()

    def _check_messages(self) -> None:
        """Raise `UsageError` for what cannot be sent, before anybody connects."""
        for index, step in enumerate(self.scenario.steps):
            self._index = index
            sent = step.arguments[-1] if step.kind in ("send", "answer") else step.options.get("then", NOTHING)
            if sent is not NOTHING and not callable(sent):
                try:
                    self._codec.to_message(sent)
                except UsageError as error:
                    raise self._explained(error) from error.__cause__
        self._index = 0

    async def run(self) -> None:
        """Go through all steps."""
        __tracebackhide__ = True
        try:
            await self._go()
            self.is_through = True
            self._play.look_for_deadlock()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # pytest.fail() in a user's function is no Exception
            self._play.fail(self._explained(error))

    async def _go(self) -> None:
        __tracebackhide__ = True
        for index, step in enumerate(self.scenario.steps):
            self._index = index
            if index == self.scenario.connects_before:
                await self._connect()
            await getattr(self, f"_{step.kind}")(*step.arguments, **step.options)
        self._is_ending = True
        await self._connect()
        await self._end()

    # The steps, by their names

    async def _connect(self) -> None:
        __tracebackhide__ = True
        if self.client is not None:
            return
        self._is_connecting = True
        self.client = await self._session.ws_client(self._path, timeout=self.scenario.timeout, **self._options)
        self._is_connecting = False

    async def _send(self, message: Any) -> None:
        __tracebackhide__ = True
        await self._open_client.send(message)

    async def _expect(self, expected: Expected, *, then: Any = NOTHING, timeout: float | None = None) -> None:
        __tracebackhide__ = True
        client = self._open_client
        if self.scenario.ignore_others:
            messages = await client.receive_until(expected, timeout=timeout)
            value = client.codec.to_value_or_message(messages[-1])
        else:
            value = await client.expect(expected, timeout=timeout)
        await self._then(then, value, timeout)

    async def _expect_in_any_order(
        self, *expected: Expected, then: Any = NOTHING, timeout: float | None = None
    ) -> None:
        __tracebackhide__ = True
        values = await self._open_client.take_in_any_order(expected, timeout, passing_over=self.scenario.ignore_others)
        await self._then(then, values, timeout)

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
        place = self._where()

        def reply_to(value: Any) -> Any:
            try:
                return _sendable(reply, reply(value)) if callable(reply) else reply
            except Exception as error:
                error.add_note(f"raised by the reply of {place}")
                raise

        client.answer(expected, reply_to)
        for received in client.unread_like(expected):
            client.discard_received(received)
            await client.send(reply_to(received.value))

    async def _fetch(self, path: str, *, status: int | None = None, then: Any = NOTHING, **options: Any) -> None:
        __tracebackhide__ = True
        if self.scenario.timeout is not None:
            options = {"connect_timeout": self.scenario.timeout, "request_timeout": self.scenario.timeout, **options}
        response: HTTPResponse = await self._session.fetch(self._play.prefix + path, **options)
        if response.code != status and (status is not None or response.code >= 400):
            expected = status if status is not None else "a status below 400"
            raise WSTestFailure(
                f"{path} was answered with {response.code} {response.reason}, expected {expected}\n"
                f"its body: {elide(response.body.decode(errors='replace'), 400)!r}\n"
                f"if that is as it should be: .fetch({path!r}, status={response.code})"
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
        if client.ending_is_known:
            return
        await client.settle(timeout=self._play.seconds)
        if client.unread and not self.scenario.ignore_others:
            raise UnexpectedMessage(
                f"{self.name} got what no step takes: {show(client.unread[0], 400)}"
                f"{_and_others(len(client.unread) - 1)}\n"
                "expect() it, ignore() its kind, or let the whole Scenario(ignore_others=True)",
                client=self.name,
            )
        if client.closed:
            raise client.closed_error("was to close the connection after its last step")
        await client.close(code, reason)

    async def _then(self, then: Any, value: Any, timeout: float | None = None) -> None:
        """Send what ``then`` is, or makes of the value that came."""
        __tracebackhide__ = True
        if then is NOTHING:
            return
        message = then
        if callable(then):
            message = then(value)
            if inspect.isawaitable(message):
                message = await self._in_time(then, message, timeout)
            message = _sendable(then, message)
        await self._open_client.send(message)

    async def _in_time(self, then: Any, awaitable: Awaitable[Any], timeout: float | None) -> Any:
        """Return what an async function of the user's returns, within the time that the step may wait."""
        __tracebackhide__ = True
        seconds = timeout or self.scenario.timeout or self._play.around.timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                return await awaitable
        except TimeoutError:
            if not limit.expired():
                raise  # the function's own
        assert seconds is not None
        raise WSTestFailure(
            f"{_name_of(then)} did not return within {seconds:g} s\n"
            "what does it await? give the step more time with timeout="
        )

    def _explained(self, error: BaseException) -> BaseException:
        """Return the failure of a step with the place where it happened, and where the others were."""
        where = self._where()
        if isinstance(error, HTTPClientError) and self._is_connecting:
            why = f"{self.name} could not connect: {error}\nif it should be refused: await expect_rejected()"
            return self._failed(f"{where}: {why}", why, error)
        if isinstance(error, WSTestFailure):
            why = self._advised(error)
            return self._failed(f"{where}: {why}", why, error.__cause__)
        if isinstance(error, UsageError):
            explained = UsageError(f"{where}: {error}")
            explained.__cause__ = error.__cause__
            return explained
        error.add_note(f"raised at {where}")
        return error

    def _advised(self, error: WSTestFailure) -> str:
        """Return the text of a failure, with what a scenario can do where it says what a client can."""
        if not error.advice:
            return str(error)
        if isinstance(error, ConnectionClosed):
            return str(error).replace(error.advice, f"if it should close: .expect_closed({error.code})")
        return str(error).replace(error.advice, _ADVICE[self.scenario.steps[self._index].kind])

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
        if self.is_through:
            return f"{self.name} was through"
        if self._is_connecting:
            return f"{self.name} was connecting"
        if self._is_ending:
            return f"{self.name} had done {plural(len(self.scenario.steps), 'step')}, and waited for its end"
        return f"{self.name} was at {self._step()}"


def _sendable(function: Any, message: Any) -> Any:
    """Return what a user's function has returned, if it may be a message."""
    if message is not None and not inspect.isawaitable(message):
        return message
    if inspect.iscoroutine(message):
        message.close()
    is_plain = "is a plain function, and " if inspect.isawaitable(message) else ""
    raise UsageError(
        f"{_name_of(function)} returned {show(message)}, which cannot be sent\n"
        f"it {is_plain}returns a str, bytes, or a value that the codec encodes"
    )


def _name_of(function: Any) -> str:
    return getattr(function, "__name__", show(function))


def _default_seconds(around: Surroundings, scenarios: Iterable[Scenario]) -> float | None:
    """Return twice the longest wait of the users, and what their steps wait for beyond that."""
    if around.timeout is None:
        return None  # virtual time: it ends when nothing can happen
    steps = [step for scenario in scenarios for step in scenario.steps]
    waits = [step.arguments[0] for step in steps if step.kind == "wait"]
    waits += [step.options.get(name) or 0 for step in steps for name in ("seconds", "timeout", "request_timeout")]
    longest = max(around.timeout, *(scenario.timeout or 0.0 for scenario in scenarios))
    return 2 * longest + float(sum(waits))


def _named(scenarios: Sequence[Scenario]) -> dict[str, Scenario]:
    """Return the scenarios by the names of their users."""
    named: dict[str, Scenario] = {}
    for number, scenario in enumerate(scenarios, 1):
        name = scenario.name or f"user {number}"
        if name in named:
            raise UsageError(f"two scenarios are named {name!r}: the names of one play are different")
        if not scenario.steps:
            raise UsageError(f"the scenario of {name} has no steps: Scenario(...).send(...).expect(...)")
        named[name] = scenario
    return named


def _check_marks(named: Mapping[str, Scenario]) -> None:
    known = {mark for scenario in named.values() for mark in scenario.marks()}
    for name, scenario in named.items():
        for mark in sorted(scenario.awaited() - known):
            hint = nearest(mark, known) if known else "no scenario sets a mark"
            raise UsageError(f"{name} waits after the mark {mark!r}, which nobody sets: {hint}")


def _and_others(count: int) -> str:
    return f", and {plural(count, 'other message')}" if count else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_USERS} more" if len(names) > _MOST_USERS else ""
    return ", ".join(names[:_MOST_USERS]) + more
