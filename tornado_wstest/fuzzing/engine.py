"""The fuzzer: it draws conversations, plays them, and makes findings of what the checks say.

::

    for event in fuzz(make_app, settings):
        print(event)

Hypothesis draws, keeps what it found before, and makes failing conversations small. A route is fuzzed in rounds: in
each one the messages are made from what the app's source says and from what the app has sent by then. Within a
round nothing changes, so that the same choices always make the same conversation.

This module prints nothing; it yields what happened. It needs Hypothesis: ``pip install tornado-wstest[fuzz]``.
"""

import dataclasses
import json
import random
import re
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import hypothesis
from hypothesis import Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.errors import HypothesisException, HypothesisWarning

from ..errors import UsageError
from ..faults import faults
from ..text import plural
from .blocking import ALMOST
from .case import Case, Visit
from .checks import Problem, chosen_checks, first_problem, needs_bystander
from .observation import Observation
from .routes import Route
from .settings import FuzzSettings
from .smaller import smallest
from .stage import Stage
from .strategies import Draft, cases
from .target import Target
from .vocabulary import Vocabulary

__all__ = ["Event", "Finding", "Played", "RouteFinished", "RouteStarted", "fuzz_route", "replay"]

_ROUNDS = (0.25, 0.25, 0.5)
"""The share of the examples that each round has."""
_DRAWS = 3
"""How many times as many conversations may be drawn as are played."""
_DRAWING = 0.9
"""The share of the time that may be drawn in; what is left is for making findings smaller."""
_SHRINKING = 0.1
"""The share of the time in which a round may go on after its first failure."""
_IN_VAIN = 40
"""How many conversations in a row may bring nothing new and nothing smaller, before a round that has failed ends."""
_LONG = ("a" * 40, "1" * 40, "a" * 20_000)
"""For a pattern that tries every way to cut a text, and for what compares all characters with all."""
_OFTEN = 0.25
"""The share of conversations that the server ends early, from which on messages are tried one by one, too."""
_VISITS = 5
_REPLAYS = 3
_FOREIGN = ("http://foreign.example", "http://127.0.0.1.foreign.example", "null")
_STRANGER = "tornado-wstest.unknown"
_LARGE = 10 * 1024 * 1024
"""Tornado's own limit of a message, in bytes."""
_NO_LIMIT = 256 * 1024 * 1024
"""Bytes from which on a limit is none."""


@dataclasses.dataclass(frozen=True)
class RouteStarted:
    """A route's turn has come."""

    route: Route
    seed: int


@dataclasses.dataclass(frozen=True)
class Played:
    """A conversation was played."""

    route: Route
    seen: Observation
    problem: Problem | None


@dataclasses.dataclass(frozen=True)
class Finding:
    """A bug, with the smallest conversation that shows it."""

    route: Route
    problem: Problem
    seen: Observation
    seed: int
    is_flaky: bool = False
    """Did it show in some replays only?"""

    @property
    def case(self) -> Case:
        """What to play to see it."""
        return self.seen.case


@dataclasses.dataclass(frozen=True)
class RouteFinished:
    """A route is through."""

    route: Route
    seed: int
    sequences: int
    sent: int
    received: int
    connections: int
    findings: int
    seconds: float
    warnings: tuple[str, ...] = ()
    interrupted: bool = False


Event = RouteStarted | Played | Finding | RouteFinished


def fuzz_route(
    target: Target, route: Route, settings: FuzzSettings, *, listen: Callable[[Played], None] | None = None
) -> Iterator[Event]:
    """Fuzz one route, and yield what happens: its start, findings, its end.

    A conversation is no event of its own, because Hypothesis plays them all in one call: ``listen`` hears of each.
    ``KeyboardInterrupt`` ends it early, with the findings so far and ``interrupted`` set.
    """
    seed = random.SystemRandom().randrange(2**32) if settings.seed is None else settings.seed
    yield RouteStarted(route, seed)
    run = _Run(target, route, settings, seed, listen)
    yield from run.findings()
    yield run.summary()


def replay(target: Target, route: Route, settings: FuzzSettings, case: Case, seed: int) -> list[Finding | None]:
    """Play a case three times, each to a server of its own, and return what is found each time.

    :arg seed: that of the run in which the case was found
    """
    checks = chosen_checks(settings.checks)
    found: list[Finding | None] = []
    for _ in range(_REPLAYS):
        with Stage(target, route, settings, bystander=needs_bystander(checks)) as stage:
            seen = stage.play(case)
        problem = first_problem(seen, checks, settings)
        found.append(None if problem is None else Finding(route, problem, seen, seed))
    return found


class _Run:
    """One route being fuzzed."""

    def __init__(
        self,
        target: Target,
        route: Route,
        settings: FuzzSettings,
        seed: int,
        listen: Callable[[Played], None] | None,
    ) -> None:
        self._target = target
        self._route = route
        self._settings = settings
        self._seed = seed
        self._listen = listen
        self._checks = chosen_checks(settings.checks)
        self._vocabulary = Vocabulary.of_handler(route.handler)
        self._started = time.monotonic()
        self._best: dict[tuple[str, str], tuple[Problem, Observation]] = {}
        self._told: set[tuple[str, str]] = set()
        self._harmless: set[Case] = set()
        self._totals = {"sequences": 0, "sent": 0, "received": 0, "connections": 0}
        self._improved_at = 0
        """The number of the last conversation that has shown something new, or with less."""
        self._subprotocol: str | None = None
        self._last_subprotocol: str | None = None
        self._interrupted = False
        self._cut_short = 0
        self._talkative: Visit | None = None
        self._statuses: dict[int, int] = {}
        self._handshake_failure = ""
        self._with_cookies: Case | None = None
        self._with_limit: Observation | None = None
        self._database = DirectoryBasedExampleDatabase(settings.database) if settings.database else None
        self._database_key = f"tornado-wstest {route}".encode()

    # Outside

    def findings(self) -> Iterator[Finding]:
        """Play, and yield what was found."""
        bystander = needs_bystander(self._checks)
        with Stage(self._target, self._route, self._settings, bystander=bystander) as stage:
            self._stage = stage
            try:
                self._probe_greeting()
                self._play_known()
                self._probe_lengths()
                yield from self._new_findings()
                for number, share in enumerate(_ROUNDS):
                    self._play_round(number, max(1, round(self._settings.examples * share)))
                    yield from self._new_findings()
                    if self._out_of_time(_DRAWING):
                        break
                self._probe_doors()
                yield from self._new_findings()
            except KeyboardInterrupt:
                self._interrupted = True
                yield from self._new_findings(confirm=False)

    def summary(self) -> RouteFinished:
        """Return what there is to say about the route."""
        return RouteFinished(
            self._route,
            self._seed,
            findings=len(self._told),
            seconds=time.monotonic() - self._started,
            warnings=tuple(self._warnings()),
            interrupted=self._interrupted,
            **self._totals,
        )

    def _warnings(self) -> Iterator[str]:
        if self._handshake_failure:
            yield f"the handshake did not go through: {self._handshake_failure.splitlines()[0]}"
        if not self._totals["connections"]:
            statuses = ", ".join(f"{code} ({count} times)" for code, count in sorted(self._statuses.items()))
            yield (
                f"no connection was ever accepted: {statuses or 'no answer'}; does it need headers, cookies,"
                " signed_cookies or a handshake?"
            )
        elif not self._totals["received"]:
            yield "the server never sent anything: does it need a handshake, or other messages?"
        if (
            self._totals["sequences"] < self._settings.examples
            and self._out_of_time(_DRAWING)
            and not self._interrupted
        ):
            yield (
                f"only {plural(self._totals['sequences'], 'conversation')} of {self._settings.examples} were played in"
                f" {self._settings.time_budget:g} s"
            )

    # Playing

    def _play(self, case: Case) -> Problem | None:
        """Play one case, count it, and remember what it found if that is new and the smallest."""
        seen = self._stage.play(case)
        problem = first_problem(seen, self._checks, self._settings)
        self._count(seen)
        if problem is not None and problem.key not in self._told:
            known = self._best.get(problem.key)
            if known is None or case.size < known[1].case.size:
                self._best[problem.key] = problem, seen
                self._improved_at = self._totals["sequences"]
        if self._listen is not None:
            self._listen(Played(self._route, seen, problem))
        return problem

    def _count(self, seen: Observation) -> None:
        self._last_subprotocol = seen.subprotocol
        self._totals["sequences"] += 1
        self._totals["sent"] += seen.sent
        self._totals["received"] += len(seen.received)
        self._totals["connections"] += seen.connections
        self._handshake_failure = seen.handshake_failure or self._handshake_failure
        if seen.status is not None:
            self._statuses[seen.status] = self._statuses.get(seen.status, 0) + 1
        if seen.size_limit and not seen.closed_by_server:
            self._with_limit = seen
        if seen.answered and self._talkative is None:
            self._talkative = dataclasses.replace(seen.case.visits[-1], ping=b"", pipelined=False)
        if seen.closed_by_server and seen.sent < len(seen.case.messages):
            self._cut_short += 1
        if seen.accepted and seen.reads_cookies and self._with_cookies is None:
            self._with_cookies = seen.case
        for message in seen.received:
            self._vocabulary.saw(message)

    def _out_of_time(self, share: float = 1.0) -> bool:
        return time.monotonic() - self._started > share * self._settings.time_budget

    # Rounds

    def _play_round(self, number: int, examples: int) -> None:
        """Let Hypothesis draw and shrink one round."""
        told = self._told
        until = self._totals["sequences"] + examples
        failed_at: float | None = None

        def test(case: Case) -> None:
            nonlocal failed_at
            if self._out_of_time(_DRAWING) or (self._totals["sequences"] >= until and failed_at is None):
                raise _Enough
            if failed_at is not None and self._shrinks_in_vain(failed_at):
                raise _Enough
            # Different choices often make the same conversation: it counts once.
            if case in self._harmless:
                return
            problem = self._play(case)
            if problem is None:
                self._harmless.add(case)
            elif problem.key not in told and problem.code != "blocked-loop":
                # (What blocks for longer than it may is not made to block for just too long.)
                failed_at = failed_at or time.monotonic()
                raise _failure_of(problem.key)

        # What Hypothesis keeps, it keeps by this name.
        test.__name__ = f"fuzz_{number}_{re.sub(r'[^0-9A-Za-z]', '_', str(self._route))}"
        wrapped = hypothesis.settings(
            max_examples=_DRAWS * examples,
            database=self._database,
            deadline=None,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
        )(hypothesis.seed(len(_ROUNDS) * self._seed + number)(hypothesis.given(self._cases())(test)))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HypothesisWarning)  # long messages have long reprs
                wrapped()
        except* (_Found, _Enough, HypothesisException):
            pass  # what it was is in self._best

    def _shrinks_in_vain(self, since: float) -> bool:
        too_long = time.monotonic() - since > _SHRINKING * self._settings.time_budget
        return too_long or self._totals["sequences"] - self._improved_at > _IN_VAIN

    def _cases(self) -> st.SearchStrategy[Case]:
        settings, offered = self._settings, self._offered()
        drawn = cases(
            self._route,
            self._vocabulary,
            max_messages=settings.max_messages,
            max_message_size=settings.max_message_size,
            subprotocol=offered[0] if offered else None,
        )
        endings = [*settings.test_close_codes, None]

        def visit(one: Draft) -> Visit:
            asked, empty, ping, ending, at_once, _ = one.manner
            return Visit(
                path=_with_query(one.path, one.query) if asked >= _QUERY_FROM else one.path,
                messages=tuple(one.messages) if empty != 255 else (),
                ping=b"" if ping < _PING_FROM else _PINGS[ping % len(_PINGS)],
                ending=endings[ending % len(endings)] if ending >= _ENDING_FROM else endings[0],
                pipelined=at_once >= _PIPELINED_FROM,
                subprotocols=tuple(offered),
            )

        are_cut_short = self._cut_short > _OFTEN * self._totals["sequences"]

        @st.composite
        def case(draw: Any) -> Case:
            first = draw(drawn)
            if are_cut_short and first.manner[-1] % 2:
                return Case(_one_by_one(visit(first)))
            visits = (first, draw(drawn)) if first.manner[-1] >= _TWICE_FROM else (first,)
            return Case(tuple(map(visit, visits)))

        return case()

    def _offered(self) -> tuple[str, ...]:
        return self._settings.subprotocols or ((self._subprotocol,) if self._subprotocol else ())

    # What was found before

    def _play_known(self) -> None:
        """Play what earlier runs have found. Hypothesis keeps choices, which mean something else in a changed app."""
        for data in self._database.fetch(self._database_key) if self._database is not None else ():
            try:
                case = Case.from_json(json.loads(data))
            except (ValueError, UsageError):
                self._forget(data)  # of another version
                continue
            if self._play(case) is None:
                self._forget(data)

    def _keep(self, case: Case) -> None:
        if self._database is not None:
            self._database.save(self._database_key, json.dumps(case.to_json()).encode())

    def _forget(self, data: bytes) -> None:
        assert self._database is not None
        self._database.delete(self._database_key, data)

    # What is tried once

    def _probe_greeting(self) -> None:
        """Connect once and say nothing: what comes teaches what the app speaks."""
        path = self._route.example_path or "/"
        self._play(Case((Visit(path, subprotocols=self._settings.subprotocols),)))
        self._probe_subprotocols(path)

    def _probe_subprotocols(self, path: str) -> None:
        """Offer what the handler may want, and what nobody can want."""
        if self._settings.subprotocols:
            return
        candidates = tuple(self._vocabulary.subprotocols)
        for offered in filter(None, (candidates, (_STRANGER,))):
            self._play(Case((Visit(path, subprotocols=offered),)))
            if self._last_subprotocol in candidates:
                self._subprotocol = self._last_subprotocol

    def _probe_doors(self) -> None:
        """Try what needs one connection only: a foreign page, and a message that is too large."""
        codes = {check.code for check in self._checks}
        if self._with_cookies is not None and "origin" in codes:
            for origin in _FOREIGN:
                visits = tuple(dataclasses.replace(visit, origin=origin) for visit in self._with_cookies.visits)
                if self._play(Case(visits)) is not None:
                    break
        if self._with_limit is not None and "oversize" in codes:
            limit = self._with_limit.size_limit
            size = (_LARGE if limit >= _NO_LIMIT else max(limit, _LARGE)) + 1
            visit = self._with_limit.case.visits[-1]
            self._play(Case((dataclasses.replace(visit, messages=(), ping=b"", ending=1000, declared_size=size),)))
        if "faults" in codes:
            self._probe_faults()

    def _probe_lengths(self) -> None:
        """Send long texts of one letter: what tries all ways to cut them, or all pairs, takes its time now."""
        if all(check.code != "blocked-loop" for check in self._checks):
            return
        for text in _LONG:
            short = text[: self._settings.max_message_size]
            self._play(Case((Visit(self._route.example_path or "/", (short,), subprotocols=self._offered()),)))

    def _probe_faults(self) -> None:
        """Violate the protocol in every way, each time after a conversation that the app has taken part in."""
        known = self._talkative or Visit(self._route.example_path or "/")
        for fault in faults:
            # Where Tornado itself runs no on_close, the app cannot clean up.
            if fault.outcome.on_close and not self._out_of_time():
                self._play(Case((dataclasses.replace(known, fault=fault.name, ending=None),)))

    # Findings

    def _new_findings(self, *, confirm: bool = True) -> Iterator[Finding]:
        """Replay what was found since the last call, and yield it."""
        found, self._best = self._best, {}
        while found:
            key, first = next(iter(found.items()))
            try:
                problem, seen = self._smallest(*first) if confirm else first
                again = [self._stage.play(seen.case) for _ in range(_REPLAYS if confirm else 0)]
            except KeyboardInterrupt:
                self._best = found  # to be told as they are
                raise
            del found[key]
            self._told.add(key)
            is_flaky = not all(self._shows_again(problem, one) for one in again)
            self._keep(seen.case)
            yield Finding(self._route, problem, seen, self._seed, is_flaky=is_flaky)

    def _shows_again(self, problem: Problem, seen: Observation) -> bool:
        """Is it there once more? (A loop may be blocked for a little less than it was: machines are noisy.)"""
        if problem.code == "blocked-loop":
            return seen.blocked >= ALMOST * self._settings.blocked
        found = first_problem(seen, self._checks, self._settings)
        return found is not None and found.code == problem.code

    def _smallest(self, problem: Problem, seen: Observation) -> tuple[Problem, Observation]:
        """Leave out what does not matter, as far as there is time."""
        found = problem, seen

        def shows_it(case: Case) -> bool:
            nonlocal found
            if self._out_of_time():
                return False
            again = self._stage.play(case)
            its_problem = first_problem(again, self._checks, self._settings)
            if its_problem is None or its_problem.key != problem.key:
                return False
            found = its_problem, again
            return True

        smallest(seen.case, shows_it, shorten=problem.code != "blocked-loop")
        return found


_QUERY_FROM, _PING_FROM, _ENDING_FROM, _PIPELINED_FROM, _TWICE_FROM = 160, 192, 128, 208, 224
"""From which value on a byte of the manner (0 to 255) means it: more than a third of the visits have a query, ..."""
_PINGS = (b"a", b"0", b"\xff\x00", b"{}", b"a" * 125)


class _Found(Exception):
    """A conversation has failed. Hypothesis takes failures of one type for one bug: each bug has a subclass."""


class _Enough(KeyboardInterrupt):
    """Ends a round at once: it is what Hypothesis lets pass."""


_failures: dict[tuple[str, str], type[_Found]] = {}


def _failure_of(key: tuple[str, str]) -> _Found:
    if key not in _failures:
        _failures[key] = type(f"Found{len(_failures)}", (_Found,), {})
    return _failures[key](": ".join(key))


def _one_by_one(visit: Visit) -> tuple[Visit, ...]:
    """Return a visit for each message: for an app that closes the connection when it dislikes one."""
    each = [dataclasses.replace(visit, messages=(message,)) for message in visit.messages[:_VISITS]]
    return tuple(each) or (visit,)


def _with_query(path: str, query: tuple[tuple[str, str], ...]) -> str:
    if not query:
        return path
    return f"{path}?{urlencode(query)}"
