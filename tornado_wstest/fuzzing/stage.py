"""Where cases are played: one route's app on a server of its own, in a loop of its own.

The parts are those that a test has: a real `HTTPServer`, real clients, settling, and time that is the stage's, so
that a handler may take its seconds and a heartbeat its hours. Each case gets a fresh app, if the target makes one.
"""

import asyncio
import base64
import contextlib
import gc
import os
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from tornado.httpclient import HTTPClientError
from tornado.ioloop import IOLoop

from ..client import WebSocketTestClient
from ..codec import JSON
from ..endpoint import Surroundings
from ..errors import NotSettled, UsageError, WSTestFailure
from ..hooks import owner_of
from ..patience import DEFAULT_GRACE, default_timeout
from ..plan import Plan
from ..request import HandshakeRequest, build_request
from ..server import AppServer
from ..simulation.clock import Clock
from ..simulation.settle import Settling
from ..simulation.tasks import describe_handle, describe_task
from ..transcript import Transcript
from ..watch import Served
from ..wire import LoopResolver
from .blocking import BlockWatch
from .case import Case
from .guest import Guest
from .holding import Holders
from .observation import Observation
from .outside import Outside, thread_name
from .routes import Route
from .settings import FuzzSettings
from .target import App, Target, make_app

__all__ = ["Stage"]

_STACK = 1000
"""How many calls deep Python goes by default."""
_ROUNDS = 20
_A_WHILE = 900.0
"""How many timers, and how many seconds, what a connection leaves behind has to come to its end."""


class Stage:
    """One route, ready to be visited.

    ::

        with Stage(make_app, route, settings) as stage:
            seen = stage.play(case)

    :arg target: an app, or what makes one
    :arg bystander: is there another client, that only listens?
    """

    def __init__(self, target: Target, route: Route, settings: FuzzSettings, *, bystander: bool = False) -> None:
        self._target = target
        self._route = route
        self._settings = settings
        self._has_bystander = bystander
        self._runner = asyncio.Runner()
        self._is_fresh = True
        self._was_interrupted = False
        self._warned: set[str] = set()
        self._holders = Holders()
        self._singletons: set[str] = set()
        """What stays behind once, however many connections there are."""

    # Life

    def __enter__(self) -> "Stage":
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._runner.close)
        try:
            self._runner.run(self._start())
            self._stack.callback(self._end)
            self._watch = BlockWatch(self._settling.selector, limit=self._settings.blocked)
            self._stack.enter_context(self._watch.looking())
            self._stack.enter_context(_collecting_by_hand())
            if self._clock is not None:
                self._stack.enter_context(_time_of_day(self._io_loop_time))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    async def _start(self) -> None:
        app = await make_app(self._target)
        settings = self._settings
        loop = asyncio.get_running_loop()
        self._started_at = loop.time()
        self._transcript = Transcript(lambda: loop.time() - self._started_at)
        self.server: AppServer = AppServer(app, transport=settings.transport, transcript=self._transcript)
        await self.server.start()
        self._settling: Settling = self.server.settling
        if self._settling.selector is None:
            await self.server.stop()
            raise UsageError("fuzzing needs a loop whose selector can be looked into: asyncio's own")
        self._clock = Clock.of(self._settling) if settings.virtual_time else None
        self._io_loop_time = IOLoop.current().time
        self._resolver = LoopResolver()
        self._around = Surroundings(
            settling=self._settling,
            transcript=self._transcript,
            codec=JSON,
            timeout=settings.connection_timeout,
            patience=default_timeout(),
            grace=0 if settings.transport == "memory" else DEFAULT_GRACE,
            resolver=self._resolver,
            through=self.server.connecting,
            server=self.server,
            plan=self._plan,
        )
        self._own_tasks = asyncio.all_tasks()
        self._outside = Outside(self._settling, self._clock, patience=self._around.patience)

    def _end(self) -> None:
        """Stop, and let no Ctrl-C hinder it: Tornado raises once more what a handler was interrupted with."""
        loop = self._runner.get_loop()
        stopping = loop.create_task(self._stop())
        again = None
        while not stopping.done():
            try:
                loop.run_until_complete(stopping)
            except KeyboardInterrupt as error:
                again = error
        if again is not None and not self._was_interrupted:
            raise again

    async def _stop(self) -> None:
        await self._clean_up()
        self._resolver.close()
        with contextlib.suppress(NotSettled):
            await self.server.stop(timeout=self._around.patience, grace=0)
        if self._clock is not None:
            self._clock.release()

    async def _refresh(self) -> None:
        """Serve a fresh app, if there is one to be had."""
        if not self._is_fresh and not isinstance(self._target, App):
            self.server.serve(await make_app(self._target))
        self._is_fresh = False

    def _plan(self, path: str | None, options: Any) -> tuple[str, HandshakeRequest]:
        settings = self._settings
        headers = {**authorization(settings.auth), **settings.headers}
        if self._route.host is not None or "origin" in options:
            headers.setdefault("Host", self._route.example_host)
        common: dict[str, Any] = {
            "headers": headers,
            "cookies": settings.cookies,
            "signed_cookies": settings.signed_cookies,
        }
        if settings.origin is not None:
            common["origin"] = settings.origin
        request = build_request(path or "/", common, options, app=self.server.app, callbacks=False)
        return self.server.ws_url(request.path), request

    # Playing

    def play(self, case: Case) -> Observation:
        """Play a case to a fresh app, and return what was seen."""
        self._watch.reset()
        with warnings.catch_warnings(record=True) as caught, _stack_of_a_server():
            try:
                seen = self._runner.run(self._play(case))
            except KeyboardInterrupt:
                self._was_interrupted = True
                raise
        self._watch.pause()
        self._warn_once(caught)
        return seen

    def _warn_once(self, caught: list[warnings.WarningMessage]) -> None:
        """Show what Python warned of (a coroutine that was never awaited), once and not with each case."""
        for warning in caught:
            text = str(warning.message)
            if text not in self._warned:
                self._warned.add(text)
                warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)

    async def _play(self, case: Case) -> Observation:
        await self._refresh()
        seen = await self._play_once(case)
        await self._clean_up()
        if seen.left:
            seen.left = await self._without_singletons(case, seen.left)
        return seen

    async def _without_singletons(self, case: Case, left: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out what the app starts with its first connection, and keeps for all that follow."""
        if self._singletons.issuperset(left):
            return ()
        await self._refresh()
        if not isinstance(self._target, App):
            await self._play_once(case)
        seen = await self._play_once(case)
        await self._clean_up()
        if seen.errors or seen.unclean or seen.unanswered or seen.restless:
            return left  # it was not looked for what stays behind: the first has left it in the way
        again = seen.left
        self._singletons.update(what for what in left if what not in again)
        return tuple(what for what in left if what in again)

    async def _play_once(self, case: Case) -> Observation:
        """Play a case to the app as it is."""
        seen = Observation(case)
        self._transcript.clear()
        watch = self.server.watch
        watch.errors.clear()
        self._started_at = asyncio.get_running_loop().time()
        bystanders: list[WebSocketTestClient] = []
        await self._open_bystander(bystanders)
        served = await self._make_visits(seen, bystanders)
        for bystander in bystanders:
            seen.bystander += await bystander.receive_all()
            if seen.fault and not seen.others_unserved:
                seen.others_unserved = await self._what_is_unserved(bystander)
            await bystander.end()
        try:
            await self._settling.settle(timeout=self._around.patience, grace=self._around.grace)
        except NotSettled as error:
            seen.restless = str(error)
        seen.errors = watch.untold()
        seen.seconds = asyncio.get_running_loop().time() - self._started_at
        seen.blocked, seen.blocked_at = self._watch.longest, self._watch.place
        seen.transcript = self._transcript.render(first="client")
        if not (seen.errors or seen.unclean or seen.unanswered or seen.restless):
            seen.left = await self._what_runs(served)
            seen.errors = watch.untold()  # what has run meanwhile may have raised
        if not (seen.errors or seen.left or seen.unclean or seen.unanswered or seen.restless):
            seen.left = self._what_lives(served)
        return seen

    async def _make_visits(self, seen: Observation, bystanders: list[WebSocketTestClient]) -> list[Served]:
        found: list[Served] = []
        for visit in seen.case.visits:
            guest = Guest(self._around, self._clock, self._outside, self._settings, seen)
            # One bystander was there before, and one comes later: apps take the first or the last for somebody else.
            served = await guest.visit(visit, meanwhile=lambda: self._open_bystander(bystanders, most=2))
            if served is None:
                break
            found.append(served)
            if self.server.watch.untold() or seen.unanswered or seen.unclean or seen.restless:
                break
        return found

    async def _open_bystander(self, bystanders: list[WebSocketTestClient], most: int = 1) -> None:
        if not self._has_bystander or len(bystanders) >= most:
            return
        client = WebSocketTestClient(f"bystander {len(bystanders) + 1}", self._around, codec=None, timeout=None)
        try:
            await client.open(Plan(self._route.example_path, {}, self._settings.handshake, {}))
            await client.receive_all()
        except (HTTPClientError, WSTestFailure):
            return
        bystanders.append(client)

    async def _what_is_unserved(self, bystander: WebSocketTestClient) -> str:
        try:
            await bystander.ping(timeout=self._settings.message_timeout)
        except WSTestFailure as error:
            return str(error).partition("\n")[0]
        return ""

    # What stays behind

    async def _what_runs(self, served: list[Served]) -> tuple[str, ...]:
        """Say which tasks and timers of connections that are over go on and on.

        What is done once, however late, does not stay behind: time passes until it has happened.
        """
        await self._outside.wait(lambda: [*map(thread_name, self._outside.threads()), *self._tasks_of(served)])
        loop = asyncio.get_running_loop()
        started = loop.time()
        first = timers = self._timers_of(served)
        known = set(map(id, first))
        for _ in range(_ROUNDS):
            left = started + _A_WHILE - loop.time()
            if not timers or self._clock is None or left <= 0:
                break
            await self._clock.advance(min(left, max(0.0, timers[0].when() - loop.time())))
            timers = self._timers_of(served)
        tasks = self._tasks_of(served)
        if tasks:
            return tuple(tasks)
        again = [timer for timer in timers if id(timer) not in known]
        return tuple(dict.fromkeys(f"the timer {describe_handle(timer)}" for timer in again))

    def _what_lives(self, served: list[Served]) -> tuple[str, ...]:
        """Say which handlers are still held by somebody. Forgets the connections for that."""
        handlers = [weakref.ref(one.handler) for one in served if one.handler is not None]
        while served:
            served.pop().forget_handler()  # the contexts of timers that were cancelled know it for a while
        gc.collect(0)
        if any(ref() is not None for ref in handlers):
            gc.collect()
        alive = [handler for ref in handlers if (handler := ref()) is not None]
        return tuple(dict.fromkeys(map(self._describe_handler, alive)))

    def _describe_handler(self, handler: Any) -> str:
        holder = self._holders.find(handler, self.server.app)
        return f"{type(handler).__name__} (the handler{f', held by {holder}' if holder else ''})"

    def _tasks_of(self, served: list[Served]) -> list[str]:
        tasks = [describe_task(task) for one in served for task in one.tasks if not task.done()]
        return list(dict.fromkeys(f"the task {task}" for task in tasks))

    def _timers_of(self, served: list[Served]) -> list[asyncio.TimerHandle]:
        return [timer for timer in self._settling.timers() if owner_of(timer) in served]

    async def _clean_up(self) -> None:
        """Leave nothing to the next case that the last one has begun."""
        for task in asyncio.all_tasks() - self._own_tasks - {asyncio.current_task()}:
            if not isinstance(self._target, App):
                task.cancel()
        for timer in self._settling.timers():
            if owner_of(timer) is not None or not isinstance(self._target, App):
                timer.cancel()
        for served in list(self.server.served):
            served.stream.close()
        with contextlib.suppress(NotSettled):
            await self.server.end_handlers(timeout=self._around.patience, grace=0)
        self.server.watch.errors.clear()


@contextlib.contextmanager
def _time_of_day(time_of_day: Callable[[], float]) -> Iterator[None]:
    """In this block, ``time.time()`` is as virtual as `IOLoop.time`.

    Apps take the one for the other: ``add_timeout(time.time() + 25, ...)`` would come at once, again and again, where
    only the loop's time has moved.
    """
    real = time.time
    time.time = time_of_day
    try:
        yield
    finally:
        time.time = real


@contextlib.contextmanager
def _stack_of_a_server() -> Iterator[None]:
    """In this block there is as much room on the stack as a server has by default: Hypothesis asks for more."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + _STACK)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextlib.contextmanager
def _collecting_by_hand() -> Iterator[None]:
    """In this block garbage is collected where it is looked for, and what was there before is passed over."""
    was_enabled, was_frozen = gc.isenabled(), gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()
        if was_enabled:
            gc.enable()


def authorization(auth: str | None) -> dict[str, str]:
    """Return the header for ``bearer:TOKEN`` or ``basic:USER:PASSWORD``; ``$NAME`` is taken from the environment."""
    if auth is None:
        return {}
    kind, parts = auth_parts(auth)
    values = [_from_environment(part) for part in parts]
    if kind == "bearer":
        return {"Authorization": f"Bearer {values[0]}"}
    return {"Authorization": "Basic " + base64.b64encode(":".join(values).encode()).decode()}


def auth_parts(auth: str) -> tuple[str, list[str]]:
    """Return the kind, and the token or the user and password. Raises `UsageError`, which does not tell the secret."""
    kind, _, rest = auth.partition(":")
    parts = rest.split(":")
    if not all(parts) or (kind, len(parts)) not in (("bearer", 1), ("basic", 2)):
        raise UsageError(
            "auth is 'bearer:TOKEN' or 'basic:USER:PASSWORD', where each part may be $NAME of the environment"
        )
    return kind, parts


def _from_environment(part: str) -> str:
    if not part.startswith("$"):
        return part
    value = os.environ.get(part[1:])
    if value is None:
        raise UsageError(f"auth wants {part} of the environment, which is not set")
    return value
