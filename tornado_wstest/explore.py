"""A test under many orders of delivery: finds what goes wrong only when users come in another order.

How a run is one order is the business of `tornado_wstest.simulation.orders`; here is how a whole test is played
again and again. Each run is the ``run`` of a test case of its own, before a result of our own that keeps what the
runner would be told. The runner is told of one run, the first that fails or is skipped, else the last.
"""

import contextlib
import functools
import inspect
import unittest
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .errors import UsageError
from .simulation.orders import PLAIN, Orders, exploring
from .text import show

__all__ = ["explore", "play_all"]

__unittest = True

F = TypeVar("F", bound=Callable[..., Any])

_RUNS = 100
_MARK = "_ws_explored"
_OUTCOMES = (
    "addSuccess",
    "addError",
    "addFailure",
    "addSkip",
    "addExpectedFailure",
    "addUnexpectedSuccess",
    "addSubTest",
    "addDuration",
)


def explore(
    *misplaced: Any, runs: int | None = None, seed: int | None = None, start: int | None = None
) -> Callable[[F], F]:
    """Play an async test, set-up and all, under many orders of delivery between its connections.

    ::

        class DenTest(WebSocketTestCase):
            ws_transport = "memory"
            ws_virtual_time = True

            @explore(runs=100)
            async def test_one_name_one_user(self):
                users = await self.ws_clients(["ann", "bob"], "/den")
                await users.send("call me rob")
                ...

    What is sent on one connection arrives sooner or later than what is sent on another: at once, some turns of
    the loop later, or when everything else has settled, whole or in pieces. The order within a connection is kept,
    as TCP keeps it, and so is asyncio's (first come, first called). Settling waits for all that is under way. The
    first run is a plain one. Each run has a fresh test case with its own `setUp`, app, clients, `tearDown` and
    cleanups; ``setUpClass`` and pytest's fixtures come once. The first run that fails ends the test, and its failure
    names the seed of its order. The same seeds come each time, so that a test which passes will pass again.

    It also decorates an ``async`` function that opens a `WebSocketTester` over memory itself::

        @explore(runs=100)
        async def test_one_name_one_user():
            async with WebSocketTester(make_app(), transport="memory") as wstest:
                ...

    :arg runs: in how many orders the test is played; 100 by default
    :arg seed: play once, in this order: what a failure has named
    :arg start: the seed of the first run, 0 by default; others go on from there: for a nightly run that looks further

    Its order is all that a seed says. It cannot repeat what else differs from run to run: threads and jobs in
    executors, other processes and sockets, real time (use ``ws_virtual_time``), random numbers of the app's, and the
    order of sets: that of strings follows ``PYTHONHASHSEED``, that of handlers their place in memory (a dict keeps
    order). What outlives the app, as a module's or a class's variable, is not set back.

    Raises `UsageError` for what is no async test; a test over TCP gets one when it runs.
    """
    seeds = _check(misplaced, runs, seed, start)

    def decorate(function: F) -> F:
        _check_test(function)
        played: F = _played(function, seeds)
        setattr(played, _MARK, seeds)
        return played

    return decorate


def play_all(case: Any, run: Callable[[Any], Any], result: Any) -> Any:
    """Run a test case, or if its test is explored, one after the other for each seed.

    :arg run: the ``run`` of the test case's base
    """
    seeds = getattr(getattr(case, case._testMethodName, None), _MARK, None)
    if seeds is None or exploring.get() is not None:
        return run(result)
    started_here = result is None
    if started_here:
        result = case.defaultTestResult()
        getattr(result, "startTestRun", _nothing)()
    result.startTest(case)
    try:
        _play_runs(case, run, result, seeds)
    finally:
        result.stopTest(case)
        if started_here:
            getattr(result, "stopTestRun", _nothing)()
    return result


def _play_runs(case: Any, run: Callable[[Any], Any], result: Any, seeds: Sequence[int]) -> None:
    # What a fixture of pytest's has put on the test case is for all of them.
    given = dict(vars(case))
    duration = 0.0
    for seed in seeds:
        outcome = _Outcome(result)
        if seed == seeds[0]:
            one = case
        else:
            try:
                one = _fresh(case, given)
            except UsageError as error:
                result.addError(case, (UsageError, error, error.__traceback__))
                return
        with _in_order(Orders(seed)):
            (run if one is case else one.run)(outcome)
        duration += outcome.duration
        if seed == seeds[-1] or not outcome.may_go_on(one):
            outcome.tell(one, case, _note(seed, seeds), duration)
            return


def _fresh(case: Any, given: dict[str, Any]) -> Any:
    """Return a test case of the same test, with what it was given from outside."""
    try:
        fresh = type(case)(case._testMethodName)
    except TypeError as error:
        raise UsageError(
            f"explore() makes a fresh {type(case).__name__} for each run, with the test's name as the only argument:"
            f" {error}"
        ) from None
    for name, value in given.items():
        if name not in vars(fresh) and name != "tearDown":  # pytest --pdb puts one off, but not those of other runs
            setattr(fresh, name, value)
    return fresh


class _Outcome:
    """Stands for the runner's result in one run: keeps what it would be told."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._calls: list[tuple[str, tuple[Any, ...]]] = []
        self.duration = 0.0

    def startTest(self, test: Any) -> None:
        """The runner has been told once, before the first run."""

    def stopTest(self, test: Any) -> None:
        """The runner is told once, after the last run."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._result, name)
        return functools.partial(self._keep, name) if name in _OUTCOMES else value

    def _keep(self, name: str, *args: Any) -> None:
        if name == "addDuration":
            self.duration += args[-1]
        self._calls.append((name, args))

    def may_go_on(self, case: Any) -> bool:
        """Has nothing failed, and has the test itself not been skipped?"""
        for name, args in self._calls:
            if name in ("addError", "addFailure", "addExpectedFailure") or (name == "addSkip" and args[0] is case):
                return False
            if name == "addSubTest" and args[-1] is not None:
                return False
        return True

    def tell(self, one: Any, case: Any, note: str, duration: float) -> None:
        """Tell the runner, in the name of the test case that it knows."""
        for name, args in self._calls:
            error = args[-1][1] if args and isinstance(args[-1], tuple) else None
            _add_note(error, note)
            told = [case if arg is one else arg for arg in args]
            getattr(self._result, name)(*(told if name != "addDuration" else [case, duration]))


@contextlib.contextmanager
def _in_order(orders: Orders) -> Iterator[None]:
    """In this block, servers that are started get and give what is sent in this order."""
    token = exploring.set(orders)
    try:
        yield
    finally:
        exploring.reset(token)


def _add_note(error: object, note: str) -> None:
    """Say of a failure in which order it was, once: the same exception may fail several sub-tests."""
    if isinstance(error, UsageError) or not isinstance(error, BaseException):
        return
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _note(seed: int, seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"explore: played in the order of delivery of seed {seed}"
    run = f"explore: run {seeds.index(seed) + 1} of {len(seeds)} failed"
    if seed == PLAIN:
        return f"{run}, a plain run: this needs no other order of delivery\nto play it alone, leave explore() out"
    return f"{run}, in the order of delivery of seed {seed}\nto play it alone: @explore(seed={seed})"


def _played(function: Any, seeds: Sequence[int]) -> Any:
    """Return what stands in the place of a decorated test."""
    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def test(*args: Any, **kwargs: Any) -> Any:
            _check_call(function, args[0] if args else None, is_alone=False)
            return function(*args, **kwargs)

        return test

    @functools.wraps(function)
    async def async_test(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        # Hypothesis hands over self by its name.
        if _check_call(function, args[0] if args else kwargs.get("self"), is_alone=True):
            return await _play_alone(function, args, kwargs, seeds)
        return await function(*args, **kwargs)

    return async_test


async def _play_alone(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seeds: Sequence[int]) -> None:
    """Play a function that is no method of a test case."""
    __tracebackhide__ = True
    for seed in seeds:
        orders = Orders(seed)
        with _in_order(orders):
            try:
                await function(*args, **kwargs)
            except BaseException as error:
                _add_note(error, _note(seed, seeds))
                raise
        if not orders.is_used:
            raise UsageError(
                f"explore() had nothing to order: {function.__name__}() has not started a server over memory\n"
                "open it inside the function: async with WebSocketTester(app, transport='memory') as wstest"
            )


def _check(misplaced: Sequence[Any], runs: int | None, seed: int | None, start: int | None) -> range:
    """Return the seeds of the runs."""
    if misplaced:
        how = "@explore(runs=100), with its parentheses" if callable(misplaced[0]) else "by name: @explore(runs=100)"
        raise UsageError(f"explore() got {show(misplaced[0])}: write {how}")
    for name, value in (("runs", runs), ("seed", seed), ("start", start)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise UsageError(f"explore({name}={show(value)}): {name} is an integer")
    if runs is not None and runs < 1:
        raise UsageError(f"explore(runs={runs}): runs is how many orders are played, 1 or more")
    if seed is None:
        first = start or 0
        return range(first, first + (runs or _RUNS))
    other = "runs" if runs is not None else "start"
    if runs is not None or start is not None:
        raise UsageError(
            f"explore(seed={seed}, {other}=...): seed plays one order once, {other} is for many: leave one of them out"
        )
    return range(seed, seed + 1)


def _check_test(function: Any) -> None:
    if isinstance(function, type):
        raise UsageError(f"explore() goes on a test method, not on the class {function.__name__}: decorate each test")
    if hasattr(function, "hypothesis"):
        raise UsageError(
            f"explore() and @given on {function.__name__}(): each draws its own; let one test play orders,"
            " and another examples"
        )
    inner = inspect.unwrap(function) if callable(function) else function
    if not inspect.iscoroutinefunction(inner) and not inspect.isgeneratorfunction(inner):
        raise UsageError(
            f"explore() plays an async test, and {getattr(function, '__name__', show(function))} is none:"
            " write it as async def, or with yield under gen_test"
        )


def _check_call(function: Any, owner: object, *, is_alone: bool) -> bool:
    """Is this a call of a function that nobody plays yet? Raise `UsageError` if it is one that nobody can."""
    if exploring.get() is not None:
        return False
    if is_alone and not isinstance(owner, unittest.TestCase):
        return True
    raise UsageError(
        f"explore() is on {function.__name__}(), which was called by something that does not play it under orders\n"
        "it goes on a test method of a WebSocketTestCase (no setUp, no helper, no @given above it), or on an async"
        " function that opens a WebSocketTester"
    )


def _nothing() -> None:
    pass
