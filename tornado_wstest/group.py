"""Several clients as one, and who of them got what."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NoReturn, overload

from .client import WebSocketTestClient
from .codec import Message
from .endpoint import Surroundings
from .errors import BroadcastMismatch, MessageTimeout, UsageError, WSTestFailure
from .inbox import Received
from .matching import Expected, check_expected, describe
from .request import check_seconds
from .text import plural, show

__all__ = ["CapturedMessages", "ClientGroup", "ExpectedBroadcast"]

__unittest = True

_MOST_NAMES = 8

Settle = Callable[[], Awaitable[None]]


class ClientGroup(Sequence[WebSocketTestClient]):
    """Clients in order, by index, by slice, or by name.

    ::

        users = await self.ws_clients(["ann", "bob", "cat"], "/chat")
        await users["ann"].send({"say": "hi"})
        await users[1:].expect({"said": "hi"})

    What a group expects, it expects of all of its clients. A wait lasts as long as messages keep arriving:
    ``timeout`` is for the silence after that, so that ten thousand clients need no longer one than two.
    """

    def __init__(self, clients: Iterable[WebSocketTestClient], around: Surroundings) -> None:
        self._clients = list(clients)
        self._around = around

    @overload
    def __getitem__(self, index: int | str) -> WebSocketTestClient: ...
    @overload
    def __getitem__(self, index: slice) -> "ClientGroup": ...
    def __getitem__(self, index: int | str | slice) -> "WebSocketTestClient | ClientGroup":
        if isinstance(index, slice):
            return ClientGroup(self._clients[index], self._around)
        if isinstance(index, str):
            for client in self._clients:
                if client.name == index:
                    return client
            raise KeyError(f"there is no {index!r} in this group; there are {_names(self._clients)}")
        return self._clients[index]

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[WebSocketTestClient]:
        return iter(self._clients)

    def __repr__(self) -> str:
        return f"<ClientGroup of {plural(len(self), 'client')}: {_names(self._clients)}>"

    async def send(self, message: Any, *, timeout: float | None = None) -> None:
        """Each client sends ``message``, one after the other."""
        __tracebackhide__ = True
        for client in self._clients:
            await client.send(message, timeout=timeout)

    async def expect(self, expected: Expected, *, timeout: float | None = None) -> list[Any]:
        """The next message of each client is as expected; returns their values, in the order of the clients.

        Raises what `WebSocketTestClient.expect` raises for the first client that fails, and names the others.
        Those that did not fail have taken their message.
        """
        __tracebackhide__ = True
        return await self._each(lambda client: client.expect(expected, timeout=timeout), _has_something)

    async def expect_nothing(self, matching: Expected = None, *, seconds: float = 0) -> None:
        """Nothing is unread at any client when the app has settled; see `WebSocketTestClient.expect_nothing`."""
        __tracebackhide__ = True
        if check_seconds(seconds):
            await asyncio.sleep(seconds)
        await self._each(lambda client: client.expect_nothing(matching), lambda client: True)

    async def expect_closed(
        self, code: int | None = None, reason: str | None = None, *, timeout: float | None = None
    ) -> list[int]:
        """The server closes each connection; returns their codes. See `WebSocketTestClient.expect_closed`."""
        __tracebackhide__ = True
        return await self._each(lambda client: client.expect_closed(code, reason, timeout=timeout), _has_something)

    async def receive_all(self, *, timeout: float | None = None) -> list[list[Message]]:
        """Take what arrives until the app has settled: a list a client, in their order."""
        __tracebackhide__ = True
        return [await client.receive_all(timeout=timeout) for client in self._clients]

    async def close(self, code: int | None = 1000, reason: str = "", *, timeout: float | None = None) -> None:
        """Close each connection, in their order; returns when each `on_close` has run."""
        __tracebackhide__ = True
        for client in self._clients:
            await client.close(code, reason, timeout=timeout)

    async def __aenter__(self) -> "ClientGroup":
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        for client in self._clients:
            await client.__aexit__(exc_type, exc, tb)

    async def _each(
        self,
        call: Callable[[WebSocketTestClient], Awaitable[Any]],
        needs_no_wait: Callable[[WebSocketTestClient], bool],
    ) -> list[Any]:
        """Make a call of each client; raise the first failure, with the names of all that failed."""
        __tracebackhide__ = True
        if not self._clients:
            raise UsageError("this group has no clients, and nobody to expect it of: is it a slice past the end?")
        results = []
        failures: list[WSTestFailure] = []
        for client in self._clients:
            try:
                # The silence after the last message is waited for once; what is there then is all there is.
                if failures and not needs_no_wait(client):
                    raise MessageTimeout(f"{client.name} got nothing either", client=client.name)
                results.append(await self._while_messages_arrive(call, client))
            except WSTestFailure as failure:
                failures.append(failure)
        if failures:
            raise self._with_names(failures)
        return results

    async def _while_messages_arrive(
        self, call: Callable[[WebSocketTestClient], Awaitable[Any]], client: WebSocketTestClient
    ) -> Any:
        __tracebackhide__ = True
        while True:
            before = self._around.settling.activity
            try:
                return await call(client)
            except MessageTimeout:
                if self._around.settling.activity == before:
                    raise

    def _with_names(self, failures: list[WSTestFailure]) -> WSTestFailure:
        if len(failures) > 1:
            names = [failure.client or "?" for failure in failures]
            failures[0].args = (
                f"{failures[0]}\n{len(failures)} of the {len(self)} clients of the group failed: {_listed(names)}",
            )
        return failures[0]


class _Arrivals:
    """The messages that arrive at any client while it listens."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.messages: list[tuple[WebSocketTestClient, Received]] = []

    def start(self) -> None:
        self.messages = []
        self._around.listeners.append(self.add)

    def stop(self) -> None:
        self._around.listeners.remove(self.add)

    def add(self, client: Any, received: Received) -> None:
        self.messages.append((client, received))


class _Block:
    """An ``async with`` that looks at the messages which it caused."""

    _name = ""

    def __init__(self, around: Surroundings, settle: Settle) -> None:
        self._settle = settle
        self._arrivals = _Arrivals(around)

    def __enter__(self) -> NoReturn:
        raise UsageError(f"{self._name}() needs 'async with': a generator test cannot use it, an async one can")

    def __exit__(self, *exc_info: object) -> None:
        """Never reached: see `__enter__`."""

    async def _listen(self) -> None:
        # What is on its way already was not caused by the block.
        await self._settle()
        self._arrivals.start()

    async def _hear(self, exc: BaseException | None) -> list[tuple[WebSocketTestClient, Received]]:
        try:
            if exc is None:
                await self._settle()
        finally:
            self._arrivals.stop()
        return self._arrivals.messages


class ExpectedBroadcast(_Block):
    """What `WebSocketTester.expect_broadcast` returns."""

    _name = "expect_broadcast"

    def __init__(
        self, around: Surroundings, settle: Settle, expected: Expected, to: Any, *, only: bool = False
    ) -> None:
        super().__init__(around, settle)
        check_expected(expected)
        self._expected = expected
        self._to = [to] if isinstance(to, WebSocketTestClient) else list(to) if isinstance(to, Iterable) else [to]
        if not self._to or not all(isinstance(client, WebSocketTestClient) for client in self._to):
            raise UsageError(f"expect_broadcast(to=) is a group of clients, or clients, not {show(to)}")
        if not isinstance(only, bool):
            raise UsageError(f"only is True or False, not {show(only)}")
        self._only = only

    async def __aenter__(self) -> None:
        __tracebackhide__ = True
        await self._listen()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        messages = await self._hear(exc)
        if exc is not None:
            return
        matching = [(client, received) for client, received in messages if received.is_as(self._expected)]
        problems = self._problems(matching)
        if self._only:
            expected = {id(received) for _, received in matching}
            problems += self._others([pair for pair in messages if id(pair[1]) not in expected])
        if problems:
            raise BroadcastMismatch(
                f"expected {describe(self._expected)} to reach {_listed([client.name for client in self._to])},"
                f" each once{', and nothing else to anyone' if self._only else ', and nobody else'}\n"
                + "\n".join(f"  {problem}" for problem in problems)
                + "\nno message was taken; what each of them got is in the transcript",
                client=self._to[0].name,
            )
        for client, received in matching:
            client.discard_received(received)

    def _problems(self, matching: list[tuple[WebSocketTestClient, Received]]) -> list[str]:
        to = set(self._to)
        counts: dict[WebSocketTestClient, int] = {}
        for client, _ in matching:
            counts[client] = counts.get(client, 0) + 1
        missing = [client.name for client in self._to if client not in counts]
        often = [f"{client.name} ({count} times)" for client, count in counts.items() if client in to and count > 1]
        strangers = [client.name for client in counts if client not in to]
        return [
            f"{label}: {_listed(names)}"
            for label, names in (
                ("did not get it", missing),
                ("got it more than once", often),
                ("got it, and should not", strangers),
            )
            if names
        ]

    def _others(self, others: list[tuple[WebSocketTestClient, Received]]) -> list[str]:
        shown = [f"{client.name} got {show(received.message, 80)}" for client, received in others[:5]]
        more = f", and {plural(len(others) - 5, 'other message')}" if len(others) > 5 else ""
        return [f"something else came: {', '.join(shown)}{more}"] if others else []


class CapturedMessages(_Block, Sequence[tuple[WebSocketTestClient, Any]]):
    """What `WebSocketTester.capture_messages` returns: (client, value) pairs, in the order of their arrival."""

    _name = "capture_messages"

    def __init__(self, around: Surroundings, settle: Settle) -> None:
        super().__init__(around, settle)
        self._pairs: list[tuple[WebSocketTestClient, Any]] = []

    async def __aenter__(self) -> "CapturedMessages":
        __tracebackhide__ = True
        await self._listen()
        self._pairs = []
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        for client, received in await self._hear(exc):
            client.discard_received(received)
            self._pairs.append((client, received.value_or_message))

    @overload
    def __getitem__(self, index: int) -> tuple[WebSocketTestClient, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[WebSocketTestClient, Any]]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._pairs[index]

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return self._pairs == (list(other) if isinstance(other, Sequence) else other)

    def __repr__(self) -> str:
        return repr([(client.name, value) for client, value in self._pairs])


def _has_something(client: WebSocketTestClient) -> bool:
    return bool(client.unread) or client.closed


def _names(clients: Iterable[WebSocketTestClient]) -> str:
    return _listed([client.name for client in clients])


def _listed(names: Sequence[str]) -> str:
    """Return names by commas, not too many of them."""
    shown = ", ".join(itertools.islice(names, _MOST_NAMES))
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"
