"""Taking turns: how often, in which order, with or without the garbage collector; and what comes of it.

All ways of a measure play in one process, one after the other in each round, each beginning a round in its turn;
what the machine does meanwhile meets them all. In a round each has some turns, of which the fastest counts: the
others were held up by something else. A ratio is taken within a round, and the median over the rounds; its spread is
the middle half of them.
"""

import gc
import statistics
import time

__all__ = ["Spread", "alternate", "ratios"]


TURNS = 3
"""How many turns a way has in a round."""


class Spread:
    """The median of some figures, and the middle half of them."""

    def __init__(self, figures):
        self.figures = list(figures)
        self.median = statistics.median(self.figures)
        quarters = statistics.quantiles(self.figures, n=4, method="inclusive") if len(self.figures) > 1 else None
        self.low, self.high = (quarters[0], quarters[2]) if quarters else (self.median, self.median)

    def to_json(self):
        """Return it as JSON has it."""
        return {"median": self.median, "low": self.low, "high": self.high, "rounds": self.figures}


def ratios(ours, theirs):
    """Return our figures over theirs, round by round."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def alternate(ways, *, rounds, seconds, collect=False):
    """Let the ways take turns; return for each the seconds that a piece of work took in each round.

    :arg ways: a function of how often, for each name
    :arg seconds: about how long a way plays in a round
    :arg collect: leave the garbage collector on
    """
    gc.collect()
    gc.freeze()  # what is there before is no business of a collection in between
    counts = {name: _count(way, seconds / TURNS) for name, way in ways.items()}
    took = {name: [] for name in ways}
    names = list(ways)
    try:
        for number in range(rounds):
            first = number % len(names)
            turns = {name: [] for name in ways}
            for name in (names[first:] + names[:first]) * TURNS:
                turns[name].append(_turn(ways[name], counts[name], collect=collect))
            for name, seconds_of_turns in turns.items():
                took[name].append(min(seconds_of_turns))
    finally:
        gc.unfreeze()
    return took


def _turn(way, count, *, collect):
    """Return the seconds that one piece of work took."""
    gc.collect()
    if not collect:
        gc.disable()
    try:
        started = time.perf_counter()
        way(count)
        return (time.perf_counter() - started) / count
    finally:
        gc.enable()


def _count(way, seconds):
    """Return how often a way does its work in so many seconds; by then it is warm."""
    way(1)
    count = 1
    while True:
        took = _turn(way, count, collect=False) * count
        if took >= seconds / 4 or count >= 1_000_000:
            return max(1, round(count * seconds / took))
        count = max(count * 2, min(count * 20, round(count * seconds / 2 / max(took, 1e-6))))
