"""Hypothesis' rules, made to run in a machine's own loop, so that they may be ``async``.

Hypothesis' own decorators store the function that they decorate in a `hypothesis.stateful.Rule` or
``Invariant``, which they leave on the method under the names that `hypothesis.stateful` keeps in ``RULE_MARKER``,
``INITIALIZE_RULE_MARKER`` and ``INVARIANT_MARKER``. When a machine's class is made, these functions are replaced there
by ones that run the original in the machine's loop; the method itself stays as it is, and a rule may await another
one. (Read from Hypothesis 6.100 to 6.170. ``dataclasses.replace`` copies a rule as Hypothesis itself does it in
``precondition``.)
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from hypothesis import stateful

from ..errors import UsageError

__all__ = ["run_by_the_machine"]

__unittest = True

_RULES = (stateful.RULE_MARKER, stateful.INITIALIZE_RULE_MARKER)


def run_by_the_machine(cls: type, machine: type) -> None:
    """Let the rules, initializers and invariants of ``cls``, inherited ones too, run in the loop of its instances.

    :arg machine: the base that plays them, with ``_ws_rule``, ``_ws_invariant`` and ``_ws_guard``, in which each is
        played; no rule may hide what it has

    Raises `UsageError` for a rule that could never run as it is meant.
    """
    for base in cls.__mro__:
        if base not in machine.__mro__:
            for name, method in list(vars(base).items()):
                _adopt(cls, machine, name, method)


def _adopt(cls: type, machine: type, name: str, method: Any) -> None:
    for marker in (*_RULES, stateful.INVARIANT_MARKER):
        stored = getattr(method, marker, None)
        if stored is None:
            continue
        if name in vars(machine):
            raise UsageError(f"{cls.__name__}.{name}() hides the machine's own {name}(): give the rule another name")
        if hasattr(stored.function, "_ws_original"):
            continue
        _check_function(f"{cls.__name__}.{name}", stored)
        function = _played(stored.function) if marker in _RULES else _looked_at(stored.function)
        function._ws_original = stored.function  # type: ignore[attr-defined]
        setattr(method, marker, dataclasses.replace(stored, function=function))


def _played(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def played(machine: Any, /, **arguments: Any) -> Any:
        __tracebackhide__ = True
        with machine._ws_guard():
            return machine._ws_rule(function, arguments)

    return played


def _looked_at(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def looked_at(machine: Any, /) -> Any:
        __tracebackhide__ = True
        with machine._ws_guard():
            return machine._ws_invariant(function)

    return looked_at


def _check_function(name: str, stored: Any) -> None:
    original = inspect.unwrap(stored.function)
    if inspect.isasyncgenfunction(original) or inspect.isgeneratorfunction(original):
        raise UsageError(f"{name}() has a yield in it, so that it would never run: write it with await and return")
    for asked in stored.preconditions:
        if inspect.iscoroutinefunction(asked):
            raise UsageError(f"the precondition of {name}() is async, so that it would always hold: make it a def")
