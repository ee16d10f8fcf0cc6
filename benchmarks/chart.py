"""What was measured, as a chart."""

import hashlib
import json

__all__ = ["draw", "fingerprint"]

_BARS = ("test", "connection", "round_trip", "nothing")
_LINES = ("broadcast", "client_memory")
_OURS, _THEIRS = "#1f5fbf", "#a8a8a8"
_COLOURS = {"memory": "#1f5fbf", "TCP": "#6f9fe0", "by hand": "#404040", "aiohttp": "#a8a8a8"}
_MILLI = 1e3


def fingerprint(found):
    """Return what tells whether a chart was drawn from these figures."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def draw(found, file):
    """Draw what was found: a bar with its spread for each tool, and a line for each tool over the number of clients."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    measures = found["measures"]
    with mpl.rc_context({"svg.hashsalt": "tornado-wstest", "font.size": 8, "axes.spines.top": False}):
        figure = Figure(figsize=(9, 8), layout="constrained")
        FigureCanvasSVG(figure)
        for place, name in enumerate((*_BARS, *_LINES)):
            axes = figure.add_subplot(3, 2, place + 1)
            if name in measures:
                (_bars if name in _BARS else _lines)(axes, measures[name])
        figure.savefig(file, format="svg", metadata={"Date": None, "Description": fingerprint(found)})


def _bars(axes, measure):
    """Draw a bar a tool, the dearest at the top."""
    ways = sorted(measure["ways"].items(), key=lambda item: item[1]["median"])
    medians = [way["median"] * _MILLI for _, way in ways]
    spread = [
        [(way["median"] - way["low"]) * _MILLI for _, way in ways],
        [(way["high"] - way["median"]) * _MILLI for _, way in ways],
    ]
    colours = [_OURS if name in ("TCP", "memory") else _THEIRS for name, _ in ways]
    axes.barh([name for name, _ in ways], medians, xerr=spread, color=colours, error_kw={"lw": 1, "capsize": 2})
    axes.set_title(measure["title"], loc="left")
    if max(medians) > 100 * min(medians):
        axes.set_xscale("log")
    axes.set_xlabel("ms")


def _lines(axes, measure):
    """Draw a line a tool over the number of clients."""
    scale, unit = (1e6, "µs") if measure["unit"] == "µs" else (1, "KiB")
    tools = {}
    for label, way in measure["ways"].items():
        tool, _, count = label.partition(", ")
        tools.setdefault(tool, []).append((int(count.split()[0].replace(",", "")), way))
    for tool, points in tools.items():
        counts = [count for count, _ in points]
        medians = [way["median"] * scale for _, way in points]
        below = [(way["median"] - way["low"]) * scale for _, way in points]
        above = [(way["high"] - way["median"]) * scale for _, way in points]
        axes.errorbar(counts, medians, [below, above], label=tool, marker=".", capsize=2, color=_COLOURS.get(tool))
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{measure['title']}, by clients", loc="left")
    axes.set_ylabel(unit)
    axes.legend(frameon=False)
