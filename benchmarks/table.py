"""What was measured, as text."""

__all__ = ["HEAD", "aligned", "amount", "cells", "figures", "summary", "text"]

HEAD = ("measure", "ours", "against", "ratio", "middle half", "with gc", "at most", "")

UNITS = {"µs": 1e6, "ms": 1e3, "KiB": 1.0}
"""How many there are in a second; kibibytes are told as they are."""


def cells(row):
    """Return a row's cells."""
    ratio, low, high, at_most, collected = (
        "" if row[name] is None else amount(row[name], row["unit"])
        for name in ("ratio", "low", "high", "at_most", "collected")
    )
    verdict = {True: "reached", False: "NOT reached", None: ""}[row["reached"]]
    return (row["title"], row["ours"], row["against"] or "-", ratio, f"{low} to {high}", collected, at_most, verdict)


def amount(value, unit=None):
    """Return a figure in its unit, or a ratio with as many places as tell something."""
    if unit is not None:
        return f"{value * UNITS[unit]:,.1f} {unit}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def figures(measure):
    """Return for each way of a measure its name, the median of its figures, and their middle half."""
    unit = measure["unit"]
    for name, way in measure["ways"].items():
        yield name, amount(way["median"], unit), f"{way['low'] * UNITS[unit]:,.1f} to {way['high'] * UNITS[unit]:,.1f}"


def text(found):
    """Return what was found as one table, and below it each measure's figures."""
    lines = [*aligned([HEAD, *map(cells, found["ratios"])]), ""]
    for measure in found["measures"].values():
        lines += [measure["title"], *(f"    {line}" for line in aligned(list(figures(measure))))]
        lines += [f"    ({note})" for note in measure["notes"]]
    return "\n".join([*lines, "", summary(found)])


def summary(found):
    """Return how many bounds were reached."""
    bounded = [row for row in found["ratios"] if row["reached"] is not None]
    return f"{sum(row['reached'] for row in bounded)} of {len(bounded)} bounds reached"


def aligned(rows):
    """Return rows as lines, each column as wide as it must be."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
