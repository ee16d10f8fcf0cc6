"""What was measured, for the page and the README: all between two markers is written by the command."""

import pathlib
import re
import textwrap

from benchmarks.table import HEAD, aligned, amount, cells, summary

__all__ = ["PAGE", "README", "RESULTS", "block_of", "filled", "page_block", "readme_block", "write"]

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "speed.rst"
CHART = PAGE.with_suffix(".svg")
README = ROOT / "README.rst"
RESULTS = pathlib.Path(__file__).parent / "results.json"

_BLOCK = re.compile(r"(^\.\. benchmarks: begin\n)(.*?)(^\.\. benchmarks: end$)", re.MULTILINE | re.DOTALL)
_PLAYED = ("test", "connection", "round_trip", "nothing")


def write(found):
    """Fill the blocks of the page and of the README, and draw the chart."""
    from benchmarks.chart import draw

    draw(found, CHART)
    for file, block in ((PAGE, page_block(found)), (README, readme_block(found))):
        file.write_text(filled(file.read_text("utf-8"), block), "utf-8")


def filled(text, block):
    """Return ``text`` with ``block`` between its markers."""
    if len(_BLOCK.findall(text)) != 1:
        raise ValueError("the text has no block from '.. benchmarks: begin' to '.. benchmarks: end', or more than one")
    return _BLOCK.sub(lambda match: f"{match[1]}\n{block}\n{match[3]}", text)


def block_of(text):
    """Return what stands between the markers."""
    (found,) = _BLOCK.findall(text)
    return found[1].strip("\n") + "\n"


def page_block(found):
    """Return the tables of the page."""
    told = [row for row in found["ratios"] if row["reached"] is None and row["measure"] not in _PLAYED]
    bounded = [row for row in found["ratios"] if row["reached"] is not None]
    parts = [
        _made(found),
        _FIGURE,
        f"**Bounds.** {summary(found)}.\n",
        _table(HEAD, [cells(row) for row in bounded]),
        "**Everybody.** Medians; TCP and memory are ours.\n",
        _everybody(found),
        "**Parts.** What each costs beside what it is part of, or beside another tool.\n",
        _table(HEAD[:6], [cells(row)[:6] for row in told]),
        "**Figures.** Medians.\n",
        _figures(found),
    ]
    return "\n".join(parts)


_FIGURE = """\
.. figure:: speed.svg
   :alt: What a test, a connection, a round trip, silence and a broadcast cost with each tool

   Medians, with the middle half of the rounds. Blue is this toolkit, over TCP and over memory.
"""


def readme_block(found):
    """Return the short table of the README: the bounds beside others."""
    rows = [row for row in found["ratios"] if row["reached"] is not None and row["measure"] in _SHORT]
    return "\n".join([_table(HEAD[:4], [cells(row)[:4] for row in rows]), _made(found)])


_SHORT = (*_PLAYED, "broadcast", "fuzzing")


def _made(found):
    """Say when, where and with what it was made, and how."""
    made = found["made"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    place = f"{made['machine']}, Python {made['python']}"
    quick = " These are figures of a quick run, for a look." if made["quick"] else ""
    text = f"Measured on {made['date']} with ``{made['command']}``: {place}; {versions}.{quick}"
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _table(heads, rows):
    """Return a table in reStructuredText, where an empty cell is written as a backslash."""
    shown = [[cell or "\\" for cell in row] for row in (heads, *rows)]
    rule = ["=" * max(len(row[place]) for row in shown) for place in range(len(heads))]
    head, *body = aligned([rule, *shown])[1:]
    return "\n".join(["  ".join(rule), head, "  ".join(rule), *body, "  ".join(rule), ""])


def _everybody(found):
    """Return a line for each tool, and a column for each kind of work."""
    measures = [found["measures"][name] for name in _PLAYED if name in found["measures"]]
    tools = dict.fromkeys(name for measure in measures for name in measure["ways"])
    rows = [(tool, *(_median(measure, tool) for measure in measures)) for tool in tools]
    return _table(("tool", *(measure["title"] for measure in measures)), rows)


def _figures(found):
    """Return a table of all that is no work of everybody's."""
    others = [measure for name, measure in found["measures"].items() if name not in _PLAYED]
    rows = [(measure["title"], way, _median(measure, way)) for measure in others for way in measure["ways"]]
    return _table(("measure", "what", "median"), rows)


def _median(measure, name):
    way = measure["ways"].get(name)
    return "" if way is None else amount(way["median"], measure["unit"])
