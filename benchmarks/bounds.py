"""The ratios to reach, and those that are only told. One row each: what of ours, beside what, and at most how much."""

from typing import NamedTuple

from benchmarks.rounds import Spread, ratios

__all__ = ["BOUNDS", "Bound", "judge"]


class Bound(NamedTuple):
    """One row.

    :arg against: None where a figure itself is bounded
    :arg at_most: a ratio, or seconds or kibibytes where a figure is bounded; None for what is only told
    """

    measure: str
    ours: str
    against: str | None
    at_most: float | None = None


BOUNDS = (
    Bound("test", "TCP", "by hand", 0.85),
    Bound("test", "memory", "by hand", 0.55),
    Bound("connection", "TCP", "by hand", 0.95),
    Bound("connection", "memory", "by hand", 0.55),
    Bound("connection", "memory", "Channels", 1.3),
    Bound("round_trip", "TCP", "by hand", 1.05),
    Bound("round_trip", "TCP", "Channels", 0.70),
    Bound("round_trip", "memory", "by hand", 0.70),
    Bound("round_trip", "memory", "Channels", 0.40),
    Bound("nothing", "TCP", "Channels", 0.0005),
    Bound("nothing", "memory", "Channels", 0.0003),
    Bound("broadcast", "memory, 1,000 clients", "aiohttp, 1,000 clients", 1.0),
    Bound("broadcast", "memory, 1,000 clients", "by hand, 1,000 clients"),
    Bound("broadcast", "TCP, 1,000 clients", "by hand, 1,000 clients"),
    Bound("client_memory", "memory, 1,000 clients", "by hand, 1,000 clients"),
    Bound("client_memory", "TCP, 1,000 clients", "by hand, 1,000 clients"),
    Bound("client_memory", "TCP, 1,000 clients", "aiohttp, 1,000 clients"),
    Bound("proof", "expect_broadcast", "receive"),
    Bound("proof", "expect_broadcast, only", "receive"),
    Bound("fuzzing", "a sequence", "a sequence of pytest-routes", 1 / 3),
    Bound("fuzzing", "a message", "a message of pytest-routes"),
    *(
        Bound("prices", ours.format(transport), against.format(transport))
        for transport in ("TCP", "memory")
        for ours, against in (
            ("{}", "{}, no transcript"),
            ("{}, settled", "{}"),
            ("{}, virtual time", "{}"),
            ("{}", "{}, Tornado's client"),
        )
    ),
    Bound("prices", "TCP, Tornado's client", "by hand"),
    Bound("explore", "explored", "plain"),
    Bound("explore", "explored, virtual time", "plain, virtual time"),
    Bound("import", "beyond Tornado", None, 0.025),
    Bound("clients", "connect, 10,000", "connect, 100", 1.5),
    Bound("clients", "connect by name, 1,000", "connect by name, 100", 1.5),
    Bound("clients", "broadcast, 10,000", "broadcast, 100", 1.5),
    Bound("clients", "nothing, 10,000", "nothing, 100", 1.5),
    Bound("clients", "close, 10,000", "close, 100", 1.5),
    Bound("messages", "message, 100,000", "message, 100", 1.5),
    Bound("transcript", "100,000 messages", None, 64 * 1024),
)

OURS = ("TCP", "memory")
PLAYED = ("test", "connection", "round_trip", "nothing")
"""Measures where ours is beside everybody."""


def judge(measures):
    """Return a row for each bound, and for each other pair of ours and theirs, as JSON has it.

    :arg measures: what was measured, as JSON has it
    """
    return [
        _row(bound, measure)
        for name, measure in measures.items()
        for bound in _bounds(name, measure)
        if _is_measured(bound, measure["ways"])
    ]


def _bounds(name, measure):
    """Return the bounds of a measure, and what is told besides."""
    bounds = [bound for bound in BOUNDS if bound.measure == name]
    if name not in PLAYED:
        return bounds
    bounded = {(bound.ours, bound.against) for bound in bounds}
    others = [way for way in measure["ways"] if way not in OURS]
    return bounds + [Bound(name, mine, other) for mine in OURS for other in others if (mine, other) not in bounded]


def _is_measured(bound, ways):
    return bound.ours in ways and (bound.against is None or bound.against in ways)


def _row(bound, measure):
    spread = _ratio(bound, measure["ways"])
    collected = _ratio(bound, measure["collected"]) if _is_measured(bound, measure["collected"]) else None
    return {
        **bound._asdict(),
        "title": measure["title"],
        "unit": None if bound.against else measure["unit"],
        "ratio": spread.median,
        "low": spread.low,
        "high": spread.high,
        "collected": collected and collected.median,
        "reached": None if bound.at_most is None else spread.median <= bound.at_most,
    }


def _ratio(bound, ways):
    mine = ways[bound.ours]["rounds"]
    return Spread(mine if bound.against is None else ratios(mine, ways[bound.against]["rounds"]))
