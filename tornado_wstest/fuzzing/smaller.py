"""What may be left out of a conversation: the last steps to the smallest one that shows a bug.

Hypothesis makes each message small, as far as that goes fast. What it cannot see is that a whole visit, or a message
that was only on the way, does not matter.
"""

import dataclasses
from collections.abc import Callable, Iterator

from ..codec import Message
from .case import Case, Visit

__all__ = ["smallest"]


def smallest(case: Case, shows_it: Callable[[Case], bool], *, shorten: bool = True) -> Case:
    """Leave out of ``case`` whatever can be left out so that ``shows_it`` is still true, one thing after the other.

    :arg shorten: may messages become shorter, and not only fewer?
    """
    while True:
        found = next((smaller for smaller in _smaller(case, shorten) if shows_it(smaller)), None)
        if found is None:
            return case
        case = found


def _smaller(case: Case, shorten: bool) -> Iterator[Case]:
    """Yield cases that lack something, those that lack most first."""
    visits = case.visits
    if len(visits) > 1:
        for index in range(len(visits)):
            yield Case(visits[:index] + visits[index + 1 :])
    for index, visit in enumerate(visits):
        for smaller in _smaller_visits(visit, shorten):
            yield Case((*visits[:index], smaller, *visits[index + 1 :]))


def _smaller_visits(visit: Visit, shorten: bool) -> Iterator[Visit]:
    simplest = Visit(visit.path)
    size = len(visit.messages)
    while size:
        for start in range(0, len(visit.messages), size):
            yield dataclasses.replace(visit, messages=visit.messages[:start] + visit.messages[start + size :])
        size //= 2
    for index, message in enumerate(visit.messages if shorten else ()):
        for shorter in _shorter(message):
            yield dataclasses.replace(visit, messages=(*visit.messages[:index], shorter, *visit.messages[index + 1 :]))
    path, _, query = visit.path.partition("?")
    arguments = query.split("&") if query else []
    for index in range(len(arguments)):
        kept = "&".join(arguments[:index] + arguments[index + 1 :])
        yield dataclasses.replace(visit, path=f"{path}?{kept}" if kept else path)
    for name in ("ping", "ending", "pipelined", "subprotocols", "declared_size"):
        if getattr(visit, name) != getattr(simplest, name):
            yield dataclasses.replace(visit, **{name: getattr(simplest, name)})


def _shorter(message: Message) -> Iterator[Message]:
    half = len(message) // 2
    for shorter in dict.fromkeys((message[:0], message[:half], message[half:], message[:-1], message[1:])):
        if len(shorter) < len(message):
            yield shorter
