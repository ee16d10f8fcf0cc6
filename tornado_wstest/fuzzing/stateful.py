"""State machines: Hypothesis looks for the sequence of steps, over several clients, that breaks an app.

Each run has an app, a server, a loop and a clock of its own. How rules come to be ``async`` is the business of
`tornado_wstest.fuzzing.rules`.
"""

import asyncio
import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from tornado.ioloop import IOLoop

try:
    from hypothesis import stateful
    from hypothesis.errors import HypothesisException
    from hypothesis.stateful import RuleBasedStateMachine
except ImportError as _error:
    raise ImportError("WebSocketStateMachine needs Hypothesis: pip install 'tornado-wstest[fuzz]'") from _error

from ..client import WebSocketTestClient
from ..codec import Codec, Message
from ..errors import BroadcastMismatch, ServerError, UsageError, WSTestFailure
from ..lifecycle import begin, check_settings, end, resolved, run
from ..matching import Expected
from ..patience import DEFAULT_GRACE
from ..shown import begin_at_the_test
from ..simulation.network import Network
from ..tester import WebSocketTester
from ..text import is_library, nearest, show
from .broadcasts import Broadcasts
from .rules import run_by_the_machine

if TYPE_CHECKING:
    from hypothesis.stateful import Bundle
    from hypothesis.strategies import SearchStrategy

__all__ = ["WebSocketStateMachine", "initialize", "rule"]

__unittest = True

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = ("ws_path", "ws_timeout", "ws_transport", "ws_virtual_time", "ws_codec", "ws_grace", "ws_network")


if TYPE_CHECKING:
    # Hypothesis' own are declared for functions that return None or what goes into the bundle, so none that is async.
    def rule(
        *,
        target: Bundle[Any] | None = None,
        targets: Sequence[Bundle[Any]] = (),
        **arguments: SearchStrategy[Any],
    ) -> Callable[[F], F]:
        """Hypothesis' own `rule`, with a type by which it may be ``async``."""
        ...

    def initialize(
        *,
        target: Bundle[Any] | None = None,
        targets: Sequence[Bundle[Any]] = (),
        **arguments: SearchStrategy[Any],
    ) -> Callable[[F], F]:
        """Hypothesis' own `initialize`, with a type by which it may be ``async``."""
        ...

else:
    rule, initialize = stateful.rule, stateful.initialize


class _NotRunning:
    """Stands for what a machine has while it runs. No data descriptor, so that the run puts it in its place."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        raise UsageError(
            f"{type(instance).__name__} is not running: its app is served from the first rule or invariant until"
            " teardown() has returned\nuse it in a rule, an initializer, an invariant or teardown()"
        )


class WebSocketStateMachine(RuleBasedStateMachine):
    """A state machine of Hypothesis', whose rules, initializers and invariants may be ``async def``.

    ::

        from hypothesis import strategies as st
        from hypothesis.stateful import rule

        names = st.sampled_from(["ann", "bob", "cat"])

        class ChatMachine(WebSocketStateMachine):
            ws_path = "/chat"

            def get_app(self):
                return make_app()

            def broadcast_key(self, value):
                return value["text"]

            @rule(name=names)
            async def come(self, name):
                if name not in self.clients:
                    await self.connect(name)

            @rule(name=names, text=st.text(max_size=3))
            async def say(self, name, text):
                if name in self.clients:
                    await self.send(name, {"text": text})

            @rule(name=names)
            async def go(self, name):
                if name in self.clients:
                    await self.leave(name)

        ChatTest = ChatMachine.TestCase

    Everything else is as in Hypothesis: the decorators of `hypothesis.stateful`, ``TestCase``, ``settings``. Rules run
    in a loop of the machine's own, over the memory transport and in virtual time unless told otherwise, with a fresh
    app in each run. After each rule the app settles; an exception of a handler fails the run there and then.
    ``teardown`` may be ``async``, too; after it, whatever happened, the clients are closed in the order they
    connected, and the server stops.

    **Broadcasts.** With `broadcast_key` defined, each rule is followed by a check: what a member sent has reached
    all members of its room (`room_of`), each once and in the sender's order, and nobody else: nobody who left
    before, nobody who came later. Who comes, goes or changes rooms in the very rule in which a message is sent
    may get it or not. If not, `BroadcastMismatch` says who missed what, who got what twice, and so on.

    A failure shows the steps as Hypothesis prints them, and the transcript, in which each step is marked. A rule that
    hangs ends after ``ASYNC_TEST_TIMEOUT`` real seconds, under virtual time at once when nothing can happen any more.

    What it cannot see: under virtual time, what the app does later is not awaited after a rule; see `broadcast_within`,
    or make the passing of time a rule: ``await self.wstest.clock.advance(60)``. Of two equal messages that two members
    send in one rule it cannot tell which came first.
    """

    handshake: Any = None
    """What each client goes through first: an object of `tornado_wstest.handshake`, an ``async`` function
    of the client, or an ``async def`` method."""

    ws_path: str = "/"
    """Where `connect` goes when no path is given."""

    ws_timeout: float | None = None
    """Seconds that a wait lasts; under virtual time a wait ends by default when nothing can happen any more."""

    ws_transport: str = "memory"
    """How clients reach the server: ``"memory"`` for in-process streams, or ``"tcp"``."""

    ws_virtual_time: bool = True
    """Is time the test's? Then it jumps as soon as the app has settled; see ``self.wstest.clock``."""

    ws_codec: Codec | None = None
    """What encodes and decodes messages; JSON by default."""

    ws_grace: float = DEFAULT_GRACE
    """Real seconds for what settling cannot see; 0 not to look at it."""

    ws_network: Network | None = None
    """A `Network` for the links of all clients, over the memory transport: latency, jitter, bandwidth."""

    fail_on_server_error: bool = True
    """Does an uncaught exception of a handler fail the run?"""

    broadcast_to_sender: bool = True
    """Does whoever sends a broadcast get it back?"""

    broadcast_within: float = 0
    """Seconds that the app may take for a broadcast: they pass, on the clock, after a rule in which one was sent."""

    wstest: WebSocketTester = _NotRunning("The tester in which the app is served, for whatever is not here.")  # type: ignore[assignment]

    clients: dict[str, WebSocketTestClient]
    """Who has connected and has not left, by name. One that the server has closed is still in it, ``closed``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_settings(cls, WebSocketStateMachine, _SETTINGS, ())
        for name in ("broadcast_key", "room_of"):
            if inspect.iscoroutinefunction(getattr(cls, name)):
                raise UsageError(f"{cls.__name__}.{name}() is asked between two steps: it is a def, no async def")
        run_by_the_machine(cls, WebSocketStateMachine)

    def __init__(self) -> None:
        super().__init__()
        self.clients = {}
        self._ws_exit_stack = AsyncExitStack()
        self._ws_body_failed = False
        self._ws_error: BaseException | None = None
        self._ws_runner: asyncio.Runner | None = None
        self._ws_told = 0
        self._ws_broadcasts = Broadcasts(to_sender=self.broadcast_to_sender)
        # On the instance, so that a teardown() of the user's needs no super().
        vars(self)["teardown"] = functools.partial(self._ws_end, self.teardown)

    # Hooks

    def get_app(self) -> Any:
        """Return the `Application` (or any `HTTPServer` callback) under test. To be overridden; may be async."""
        raise UsageError(f"{type(self).__name__} has no get_app(): define it to return the Application under test")

    def close_app(self, app: Any) -> Any:
        """The counterpart of `get_app`, after the last `on_close`, when the server has stopped. May be async."""

    def get_httpserver_options(self) -> dict[str, Any]:
        """Return keyword arguments for `HTTPServer`."""
        return {}

    def get_ws_options(self) -> Mapping[str, Any]:
        """Return what every client connects with: headers, subprotocols, ..."""
        return {}

    async def asyncSetUp(self) -> None:
        """Called when the server is up, before the first step."""

    async def asyncTearDown(self) -> None:
        """Called after ``teardown()``, before the clients are closed."""

    def broadcast_key(self, value: Any) -> Any:
        """Return by what a broadcast is recognised, the same for what was sent and for what arrives of it.

        ::

            def broadcast_key(self, value):
                if isinstance(value, dict) and value.get("type") in ("say", "said"):
                    return value["text"]

        It is asked about every message that a client sends or gets; None (also from a function that comes to its
        end) is for what is no broadcast: a greeting, a message to one member, a room's history for newcomers. To
        define it is to switch the check on.

        :arg value: the decoded message: under JSON a dict or a list; any other text as it is
        """

    def room_of(self, name: str) -> Any:
        """Return the room that a connected client is in, now; None for none.

        By default all who connected to one path (the query left out) are in one room. Where a room is
        joined by a message, let the rules keep a dict of who is where, and look there.
        """
        handler = self.clients[name].handler
        return handler.request.path if handler is not None else None

    # For rules

    async def connect(self, name: str, path: str | None = None, **options: Any) -> WebSocketTestClient:
        """Connect a client of this name, take it through the handshake, and return it.

        Takes what `WebSocketTester.client` takes. Raises `UsageError` if the name is in use.
        """
        __tracebackhide__ = True
        tester = self.wstest
        if name in self.clients and not self.clients[name].closed:
            raise UsageError(f"{show(name)} is connected already: a rule can ask 'if name not in self.clients'")
        client = await tester.client(path, name=name, **options)
        self.clients[name] = client
        return client

    async def send(self, name: str, message: Any) -> None:
        """Let a client send a message: `str` as text, `bytes` as binary, anything else through the codec."""
        __tracebackhide__ = True
        await self._ws_client(name).send(message)

    async def receive(self, name: str, expected: Expected = None) -> Message:
        """Take a client's next message, or the first one as ``expected``; see `WebSocketTestClient.receive`."""
        __tracebackhide__ = True
        return await self._ws_client(name).receive(expected)

    async def leave(self, name: str, code: int = 1000, reason: str = "") -> None:
        """Let a client close its connection, with the closing handshake; its name is free then."""
        __tracebackhide__ = True
        await self._ws_client(name).close(code, reason)
        del self.clients[name]

    async def cut(self, name: str) -> None:
        """Break a client's connection, without a close frame; its name is free then."""
        __tracebackhide__ = True
        await self._ws_client(name).abort()
        del self.clients[name]

    def _ws_client(self, name: str) -> WebSocketTestClient:
        if name not in self.clients:
            _ = self.wstest
            known = nearest(name, self.clients) if self.clients and isinstance(name, str) else "nobody is"
            raise UsageError(f"{show(name)} is not connected: {known}\na rule can ask 'if name in self.clients'")
        return self.clients[name]

    # A run

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """Check the invariants, as Hypothesis does; the first time, serve the app."""
        __tracebackhide__ = True
        if self._ws_runner is None:
            # A selector can be looked into, whatever loop the app is served in elsewhere.
            self._ws_runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
            with self._ws_guard():
                self._ws_run(begin(self), "the set-up")
        with self._ws_guard():
            super().check_invariants(*args, **kwargs)

    def _ws_run(self, coroutine: Any, what: str) -> Any:
        """Run a coroutine in the machine's loop, within the limit of a test."""
        assert self._ws_runner is not None
        if "io_loop" not in vars(self):
            self.io_loop: IOLoop = self._ws_runner.get_loop().run_until_complete(_current_io_loop())
        self._test_generator = coroutine
        return run(self, coroutine, what=what)

    def _ws_guard(self) -> "_Guard":
        return _Guard(self)

    def _ws_failed(self, error: BaseException) -> None:
        """Let what fails the run carry the transcript, and a traceback that begins in the user's code."""
        self._ws_body_failed = True
        is_new, self._ws_error = error is not self._ws_error, error
        if isinstance(error, Exception) and not isinstance(error, HypothesisException):
            if is_new:
                _distinguish(error)
            if is_new and "wstest" in vars(self):
                self.wstest.explain(error)
            _shorten_traceback(error)

    def _ws_rule(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Play one step."""
        __tracebackhide__ = True
        step = f"{function.__name__}({', '.join(f'{name}={show(value, 60)}' for name, value in arguments.items())})"
        self.wstest.transcript.mark(step)
        return self._ws_run(self._ws_step(function, arguments), step)

    async def _ws_step(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        result = await resolved(function(self, **arguments))
        await self.wstest.check()
        if type(self).broadcast_key is not WebSocketStateMachine.broadcast_key:
            await self._ws_check_broadcasts()
        return result

    def _ws_invariant(self, function: Callable[..., Any]) -> Any:
        __tracebackhide__ = True
        result = function(self)
        return self._ws_run(resolved(result), function.__name__) if inspect.isawaitable(result) else result

    def _ws_end(self, teardown: Callable[[], Any]) -> None:
        """Stands for ``teardown()``: call it, and undo everything."""
        __tracebackhide__ = True
        runner = self._ws_runner
        try:
            if "wstest" in vars(self):
                self.wstest.transcript.mark("teardown()")
            with self._ws_guard():
                self._ws_teardown(teardown)
        finally:
            try:
                if runner is not None:
                    self._ws_run(end(self, tear_down=True), "the end of the run")
            finally:
                self.clients.clear()
                if runner is not None:
                    runner.close()

    def _ws_teardown(self, teardown: Callable[[], Any]) -> None:
        __tracebackhide__ = True
        if self._ws_runner is None:
            teardown()
            return

        async def tear_down() -> None:
            await resolved(teardown())
            if "wstest" in vars(self) and not self._ws_body_failed:
                await self.wstest.check()

        self._ws_run(tear_down(), "teardown()")

    # Broadcasts

    async def _ws_check_broadcasts(self) -> None:
        __tracebackhide__ = True
        sent = self._ws_keys("sent")
        if sent and self.broadcast_within:
            await asyncio.sleep(self.broadcast_within)
            await self.wstest.check()
        received: dict[str, list[Any]] = {}
        for name, key in self._ws_keys("received"):
            received.setdefault(name, []).append(key)
        self._ws_told = len(self.wstest.transcript)
        rooms = {name: self.room_of(name) for name, client in self.clients.items() if not client.closed}
        problems = self._ws_broadcasts.problems(sent, received, rooms)
        if problems:
            raise BroadcastMismatch(
                "a message reaches everyone in its room once, in the sender's order, and nobody else\n"
                + "\n".join(f"  {problem}" for problem in problems)
                + "\nwhat each of them got is in the transcript; what is no broadcast has no broadcast_key()"
            )

    def _ws_keys(self, kind: str) -> list[tuple[str, Any]]:
        """Return who sent (or received) which broadcast in this step."""
        found = []
        for event in self.wstest.transcript[self._ws_told :]:
            if event.kind == kind:
                value = self.wstest.codec.to_value_or_message(event.payload)
                try:
                    key = self.broadcast_key(value)
                except Exception as error:
                    error.add_note(
                        f"broadcast_key() was asked about {show(value)}, which {event.client} {kind}:"
                        " it returns None for what is no broadcast"
                    )
                    raise
                if key is not None:
                    found.append((event.client, key))
        return found


class _Guard:
    """A block whose exceptions a machine sees. No generator: `contextlib` would restore the whole traceback."""

    def __init__(self, machine: WebSocketStateMachine) -> None:
        self._machine = machine

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            self._machine._ws_failed(error)


def _shorten_traceback(error: Exception) -> None:
    """Let it begin in the user's code; a failure of ours that is in none of it keeps the place of its step alone."""
    before = error.__traceback__
    begin_at_the_test(error)
    traceback = error.__traceback__
    while traceback is not None and is_library(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    if traceback is None and isinstance(error, WSTestFailure) and before is not None:
        error.__traceback__ = types.TracebackType(None, before.tb_frame, before.tb_lasti, before.tb_lineno)


async def _current_io_loop() -> IOLoop:
    return IOLoop.current()


def _distinguish(error: BaseException) -> None:
    """Let Hypothesis see that two errors of the server's are different bugs: it goes by the context."""
    if isinstance(error, ServerError) and error.__context__ is None:
        error.__context__ = error.__cause__
