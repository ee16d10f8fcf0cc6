"""Orders of delivery: what is sent on one connection arrives sooner or later than what is sent on another.

TCP keeps the order within a connection, and promises nothing between two. asyncio calls ready callbacks first
in, first out, and code relies on it. So what a network is free to choose is this: when the bytes for an end of
a connection arrive, in how many pieces, and which of the connections that are ready is reported first.

`Orders` makes these choices from a seed. What is sent to an end arrives at once, some turns of the loop later,
or is held until everything else has settled; whole, up to the end of a write, or up to a byte inside one. Small
delays find windows of one turn (check, ``await``, take), long ones find connections that overtake each other; each
alone misses the other kind. And what is held for ever finds the app at rest, never in the middle of something: so
what is held for the server also loses its patience when so many deliveries have been made to it on other
connections, and comes just before, with or after the last of them.

Runs that are extreme each in their own way find more than runs that are alike. So each end has a temper (prompt,
slow, mixed), the first two connections in the pairs that find most, seed by seed; and each run its own patience,
and its own liking for pieces. Each end draws from a random generator of its own, so that a byte more on one
connection moves nothing on the others.
"""

import collections
import contextvars
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from .memory import END, Endpoint, MemoryListener
from .selector import Servable, WatchingSelector

__all__ = ["PLAIN", "Orders", "exploring"]

PLAIN = 0
"""The seed whose order is that of a plain run: all arrives at once."""

exploring: contextvars.ContextVar["Orders | None"] = contextvars.ContextVar("tornado_wstest.exploring", default=None)
"""The order of delivery of servers that start now."""


class _Temper(NamedTuple):
    """How often what is sent arrives at once, and how often at once or some turns later; else it is held."""

    at_once: float
    later: float


_PROMPT = _Temper(1.0, 1.0)
_MIXED = _Temper(0.3, 0.5)
_SLOW = _Temper(0.0, 0.0)

_FIRST_TWO = (
    (_PROMPT, _SLOW),
    (_SLOW, _PROMPT),
    (_PROMPT, _MIXED),
    (_MIXED, _PROMPT),
    (_PROMPT, _SLOW),
    (_SLOW, _PROMPT),
    (_SLOW, _SLOW),
    (_MIXED, _MIXED),
)
_OTHERS = (_PROMPT, _PROMPT, _SLOW, _MIXED)
_TO_CLIENT = (_PROMPT, _PROMPT, _PROMPT, _PROMPT, _SLOW, _MIXED)
"""What a client gets later only lets the test do its next step later."""

_PATIENCE = (2, 3, 5)
"""Deliveries on other connections, at most, that something held for the server waits for."""

_SPREAD = (0.0, 2.0, 4.0)
"""Turns within which those arrive that arrive together."""

_PIECES = (0.0, 0.1, 0.4)
"""How often what arrives does not arrive whole."""

_MOST_TURNS = 24
_LATEST = 500
"""Turns after which something arrives though the app has not settled: one that goes round for ever never does."""


class Orders:
    """One order of delivery, of all connections over memory in a run: what a seed says.

    For the selector it is what is still to be delivered.
    """

    def __init__(self, seed: int) -> None:
        generator = random.Random(seed)
        self.seed = seed
        self.is_used: bool = False
        """Has a server been started in this order?"""
        self.patience: float = generator.choice(_PATIENCE)
        self.pieces: float = generator.choice(_PIECES)
        self._spread = generator.choice(_SPREAD)
        self._turn = 0
        self._ways: dict[int, _Way] = {}
        self._later: dict[_Way, int] = {}
        """Those that deliver next in which turn."""
        self._held: dict[_Way, int] = {}
        """Those that wait until everything else has settled, and the turn in which they do no longer."""

    def install(self, selector: WatchingSelector, listener: MemoryListener) -> None:
        """Order what is sent over the connections of ``listener``."""
        self.is_used = True
        if self.seed != PLAIN:
            selector.deliveries = self
            listener.on_connect = self._connect

    def _connect(self, client: Endpoint, server: Endpoint) -> None:
        number = len(self._ways) // 2
        to_server = [_FIRST_TWO[self.seed % len(_FIRST_TWO)][number]] if number < 2 else _OTHERS
        for endpoint, tempers in ((client, _TO_CLIENT), (server, to_server)):
            generator = random.Random(f"{self.seed}/{len(self._ways)}")
            way = _Way(self, endpoint, generator, tempers[int(generator.random() * len(tempers))], endpoint is server)
            endpoint.carrier = self._ways[endpoint.fd] = way

    # For the selector

    def pass_turn(self) -> bool:
        """Deliver what is due in this turn of the loop; return whether more is due in one of the next."""
        self._turn += 1
        for way in [way for way, turn in self._later.items() if turn <= self._turn]:
            self.deliver(way)
        overdue = next((way for way, turn in self._held.items() if turn <= self._turn), None)
        if overdue is not None:
            self.deliver(overdue)
        return bool(self._later)

    def is_holding(self) -> bool:
        """Is there anything that waits until everything else has settled?"""
        return bool(self._held)

    def release(self) -> None:
        """Everything else has settled: deliver to one of the ends that wait."""
        way = max(self._held, key=lambda way: way.rank)
        way.rank = way.random.random()
        self.deliver(way)

    def sort(self, endpoints: Sequence[Servable]) -> Sequence[Servable]:
        """Return what may be ready in the order in which it is served."""
        return sorted(endpoints, key=lambda endpoint: self._ways[endpoint.fd].rank if endpoint.fd in self._ways else 0)

    # For the ways

    def deliver(self, way: "_Way") -> None:
        """Deliver to an end, and just before, with or after it to those that have lost their patience."""
        together = [way, *(self._impatient(way) if way.is_to_server else ())]
        for one in together:
            self.forget(one)
        for one in together:
            turns = int(one.random.random() * self._spread)
            if turns and len(together) > 1:
                self.deliver_later(one, turns)
            else:
                one.deliver()

    def _impatient(self, way: "_Way") -> list["_Way"]:
        """Return those that have waited for the last delivery that they wait for, which is to ``way``."""
        others = [other for other in self._held if other.is_to_server and other is not way]
        for other in others:
            other.patience -= 1
        return [other for other in others if other.patience == 0]

    def deliver_later(self, way: "_Way", turns: int) -> None:
        """Let ``way`` deliver in so many turns."""
        self._later[way] = self._turn + turns

    def hold(self, way: "_Way") -> None:
        """Let ``way`` deliver when everything else has settled."""
        self._held[way] = self._turn + _LATEST

    def forget(self, way: "_Way") -> None:
        """Let ``way`` wait no longer."""
        self._later.pop(way, None)
        self._held.pop(way, None)


class _Way:
    """Brings what is sent to one end of a connection: its `Carrier`."""

    def __init__(
        self, orders: Orders, endpoint: Endpoint, generator: random.Random, temper: _Temper, is_to_server: bool
    ) -> None:
        self.random = generator
        self.rank: float = generator.random()
        """Among those that are ready, the least is reported first; among those that are held, it comes last."""
        self.patience: int = 0
        self.is_to_server = is_to_server
        self._orders = orders
        self._endpoint = endpoint
        self._temper = temper
        self._writes: collections.deque[bytes | None] = collections.deque()

    def carry(self, data: bytes | None) -> None:
        """Take what was sent."""
        self._writes.append(data)
        if len(self._writes) == 1:
            self._choose_when()

    def drop(self) -> None:
        """Forget what is under way."""
        self._writes.clear()
        self._orders.forget(self)

    def deliver(self) -> None:
        """Hand over all that waits, one write, or a part of it; then choose when the rest arrives."""
        how, where = self.random.random(), self.random.random()
        if how >= self._orders.pieces:
            while self._writes:
                self._endpoint.arrive(self._writes.popleft())
            return
        first: Any = self._writes.popleft()
        if how < self._orders.pieces / 2 and first is not END and len(first) > 1:
            cut = 1 + int(where * (len(first) - 1))
            self._writes.appendleft(first[cut:])
            first = first[:cut]
        self._endpoint.arrive(first)
        if self._writes:
            self._choose_when()

    def _choose_when(self) -> None:
        # Always as many numbers, whatever comes of them.
        when, turns, patience = self.random.random(), self.random.random(), self.random.random()
        if when < self._temper.at_once:
            self._orders.deliver(self)
        elif when < self._temper.later:
            self._orders.deliver_later(self, 1 + int(turns * turns * _MOST_TURNS))
        else:
            self.patience = 1 + int(patience * self._orders.patience)
            self._orders.hold(self)
