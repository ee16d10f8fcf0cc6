"""The transcript as a page: a sequence diagram that stands in one file, and asks nobody for anything.

The page is HTML with a small SVG in each row: one lane for each client, the last one for the server, and an arrow for
what went from one to the other. Rows are HTML so that messages unfold, long texts wrap, and paper breaks between them;
places are shares of the width, so that the lanes move together where the window is narrow.

It is whole without its script, which brings the filter and the buttons. Whatever comes from a message is escaped, and a
policy forbids the page to load anything, and to run any script but its own, which it knows by its hash.
"""

import base64
import hashlib
import html
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from .portable import stack_of
from .readable import hex_dump, laid_out
from .text import elide, one_line, plural, show

if TYPE_CHECKING:
    from .transcript import Event

__all__ = ["page"]

_ROOM = 10_000_000
"""How many characters of messages a page shows whole, the newest first; a browser is slow with more."""
_ENDS = 1000
"""How many characters, or bytes, are left at each end of a message that is cut."""
_MAX_NAME = 16
_MAX_ONE_LINE = 200
_MAX_STACK = 200_000
_GAP = 0.1
"""Seconds without an event that get a row of their own. The script knows the same number."""

_SERVER = "server"
_HIDDEN = re.compile(
    r"[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Characters that cannot be seen, or turn the text around them."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{summary}</p>
{errors}{filter}</header>
<main>
{diagram}</main>
<script>{script}</script>
</body>
</html>
"""

_HEADS = """\
<svg class="shapes" aria-hidden="true"><defs>{heads}</defs></svg>
<template id="gap">{gap}</template>
<div class="names line" data-size="{size}" data-longest="{longest}"><span class="time">seconds</span>\
<svg aria-hidden="true">{names}</svg></div>
"""
_ARROW_HEAD = """\
<marker id="{name}" class="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" \
markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker>"""
_GAP_ROW = """\
<div class="gap line"><span class="time"></span><svg aria-hidden="true"><rect width="100%" height="100%"/></svg>\
<span class="later">{later}</span></div>
"""


def page(
    events: Sequence["Event"],
    sender: Callable[["Event"], str],
    describe: Callable[["Event"], str],
    *,
    title: str = "",
) -> str:
    """Return the page of ``events``.

    :arg sender: of an event: ``"client"``, ``"server"`` or ``""``
    :arg describe: what to say of an event that is no message, in one line
    """
    lanes = list(dict.fromkeys(event.client for event in events if event.client))
    filling = _Filling(events, lanes, sender, describe)
    style = _resource("diagram.css") + f":root {{ --lanes: {len(lanes) + 1}; --longest: {_longest(lanes)} }}\n"
    script = _resource("diagram.js") if events else ""
    return _PAGE.format(
        policy=_policy(style, script),
        title=html.escape(_HIDDEN.sub(_code, one_line(title) or "Transcript")),
        style=style,
        script=script,
        summary=_summary(events, len(lanes)),
        errors=filling.errors(),
        filter=_filter(lanes) if events else "",
        diagram=filling.diagram(),
    )


def _resource(name: str) -> str:
    return pathlib.Path(__file__).with_name(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy that allows this style and this script, and nothing else."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _summary(events: Sequence["Event"], clients: int) -> str:
    if not events:
        return "Nothing happened on any connection."
    errors = sum(event.kind == "error" for event in events)
    parts = [plural(clients, "client"), plural(len(events), "event"), _seconds(events[-1].time - events[0].time)]
    if errors:
        parts.append(f"<strong>{plural(errors, 'server exception')}</strong>")
    return " · ".join(parts)


def _filter(lanes: Sequence[str]) -> str:
    """Return the form that the script shows: which clients, and what is unfolded."""
    boxes = "\n".join(
        f'<label><input type="checkbox" checked data-lane="{lane}"> {_escaped(elide(one_line(name), 40))}</label>'
        for lane, name in enumerate(lanes)
    )
    buttons = (("all", "all clients"), ("none", "no client"), ("unfold", "unfold all"), ("fold", "fold all"))
    return (
        f'<form hidden>\n<fieldset class="clients">\n{boxes}\n</fieldset>\n<fieldset class="buttons">\n'
        + "\n".join(f'<button type="button" id="{name}">{text}</button>' for name, text in buttons)
        + "\n</fieldset>\n</form>\n"
    )


class _Filling:
    """Writes what is in the page: the lanes, and a row for each event."""

    def __init__(
        self,
        events: Sequence["Event"],
        lanes: Sequence[str],
        sender: Callable[["Event"], str],
        describe: Callable[["Event"], str],
    ) -> None:
        self.events = events
        self.lanes = lanes
        self.sender = sender
        self.describe = describe
        self._lane_of = {name: str(lane) for lane, name in enumerate(lanes)}
        self._cut = _too_much(events)

    def errors(self) -> str:
        """Return the list of what the server raised, each with a link to its row."""
        items = [
            f'<li><a href="#e{number}">{event.time:.3f}</a> '
            f"{_escaped(': '.join(filter(None, [one_line(event.client), self.describe(event)])))}</li>"
            for number, event in enumerate(self.events)
            if event.kind == "error"
        ]
        return f'<ul class="errors">\n{chr(10).join(items)}\n</ul>\n' if items else ""

    def diagram(self) -> str:
        """Return the names of the lanes, and the rows above the lines of the lanes."""
        if not self.events:
            return ""
        names = "".join(
            f'<svg {self._at("x", lane)} y="100%"><text>{_escaped(elide(one_line(name), _MAX_NAME))}</text></svg>'
            for lane, name in self._all_lanes()
        )
        lines = "".join(f'<line {self._at("x1 x2", lane)} y2="100%"/>' for lane, _ in self._all_lanes())
        heads = "".join(_ARROW_HEAD.format(name=f"{name}-head") for name in ("sent", "received", "control", "bad"))
        gap = _GAP_ROW.format(later="").strip()
        longest = _longest(self.lanes)
        top = _HEADS.format(
            heads=heads, names=names, gap=gap, longest=longest, size=_size_of(len(self.lanes) + 1, longest)
        )
        rows = "".join(self._rows())
        return f'{top}<div class="rows">\n<svg class="lifelines" aria-hidden="true">{lines}</svg>\n{rows}</div>\n'

    def _all_lanes(self) -> list[tuple[str, str]]:
        return [*((lane, name) for name, lane in self._lane_of.items()), (_SERVER, _SERVER)]

    def _at(self, attributes: str, lane: str) -> str:
        """Return attributes that place something on a lane; the script reads which, and moves it."""
        count = len(self.lanes) + 1
        number = len(self.lanes) if lane == _SERVER else int(lane)
        x = f"{(number + 0.5) / count * 100:.5g}%"
        return " ".join(f'{name}="{x}" data-{name}="{lane}"' for name in attributes.split())

    def _rows(self) -> Iterator[str]:
        before = self.events[0].time
        for number, event in enumerate(self.events):
            gap = event.time - before
            before = event.time
            if gap >= _GAP:
                yield _GAP_ROW.format(later=f"{_seconds(gap)} later")
            yield self._row(number, event)

    def _row(self, number: int, event: "Event") -> str:
        lane = self._lane_of.get(event.client)
        of_lane = f' data-lane="{lane}"' if lane is not None else ""
        row = f'id="e{number}" class="row {event.kind}" data-time="{event.time!r}"{of_lane}'
        line = (
            f'<span class="time">{event.time:.3f}</span> '
            f'<svg aria-hidden="true">{self._picture(event, lane)}</svg><span class="text">{self._text(event)}</span>'
        )
        body = self._body(number, event)
        if not body:
            return f'<div {row}><div class="line">{line}</div></div>\n'
        is_open = " open" if event.kind == "error" else ""
        folded = f'<summary class="line">{line}</summary>\n<div class="body">{body}</div>'
        return f"<details {row}{is_open}>{folded}</details>\n"

    def _picture(self, event: "Event", lane: str | None) -> str:
        """Return the arrow between the lanes of the client and the server, or what stands in its place."""
        if event.kind == "mark":
            return '<line x2="100%" y1="50%" y2="50%"/>' + (self._dot(lane) if lane is not None else "")
        if event.kind == "error":
            return f'<svg {self._at("x", _SERVER)} y="50%"><path d="M-6-6L6 6M6-6L-6 6"/></svg>'
        if lane is None:
            return self._dot(_SERVER)
        is_ours = self.sender(event) == "client"
        start, end = (lane, _SERVER) if is_ours else (_SERVER, lane)
        head = {"sent": "sent", "received": "received", "reject": "bad"}.get(event.kind, "control")
        arrow = (
            f'<line {self._at("x1", start)} y1="50%" {self._at("x2", end)} y2="50%" marker-end="url(#{head}-head)"/>'
        )
        return arrow + self._dot(start)

    def _dot(self, lane: str) -> str:
        return f'<circle {self._at("cx", lane)} cy="50%" r="3"/>'

    def _text(self, event: "Event") -> str:
        """Return what the row says: whose it is, which way it went, and what it was."""
        arrow = {"client": "→", "server": "←"}.get(self.sender(event), "") if event.kind != "error" else ""
        who = f'<b>{_escaped(elide(one_line(event.client), 40))}</b> <span class="way">{arrow}</span> '
        what = f"<code>{_first_look(event.payload)}</code>" if _is_message(event) else _escaped(self._words(event))
        return (who if event.client else "") + what

    def _words(self, event: "Event") -> str:
        return one_line(str(event.payload)) if event.kind == "mark" else self.describe(event)

    def _body(self, number: int, event: "Event") -> str:
        """Return what unfolds: the whole message, or the traceback."""
        if event.kind == "error":
            return _pre(elide(stack_of(event.payload), _MAX_STACK))
        if not _is_message(event):
            return ""
        return _whole(event.payload) if number not in self._cut else _both_ends(event.payload)


def _longest(lanes: Sequence[str]) -> int:
    """Return how many characters the longest name of a lane has."""
    return min(_MAX_NAME, max(len(name) for name in [*lanes, _SERVER]))


def _size_of(count: int, longest: int) -> str:
    """Return how the names of the lanes stand: side by side, turned, or only in the rows. The script has the same."""
    if count * longest <= 40:
        return "few"
    return "many" if count <= 40 else "crowd"


def _is_message(event: "Event") -> bool:
    return event.kind in ("sent", "received")


def _too_much(events: Sequence["Event"]) -> set[int]:
    """Return the numbers of the messages that are cut because newer ones have taken the room."""
    room = _ROOM
    cut = set()
    for number in range(len(events) - 1, -1, -1):
        payload = events[number].payload
        if _is_message(events[number]) and isinstance(payload, (str, bytes)):
            room -= len(payload) * (5 if isinstance(payload, bytes) else 1)
            if room < 0 and len(payload) > 2 * _ENDS:
                cut.add(number)
    return cut


def _first_look(payload: object) -> str:
    """Return a message in one line, cut where it is long."""
    if not isinstance(payload, str):
        return _escaped(show(payload, _MAX_ONE_LINE))
    if len(payload) > 4 * _MAX_ONE_LINE:
        payload = payload[: 2 * _MAX_ONE_LINE] + payload[-2 * _MAX_ONE_LINE :]
    return _escaped(elide(" ".join(payload.split()), _MAX_ONE_LINE)) or "(empty)"


def _whole(payload: object) -> str:
    if isinstance(payload, bytes):
        return _note(f"binary, {plural(len(payload), 'byte')}") + _pre(hex_dump(payload))
    if not isinstance(payload, str):
        return _pre(show(payload, _ENDS))
    size = f"text, {plural(len(payload), 'character')}"
    json = laid_out(payload)
    return _note(size if json is None else f"{size} of JSON, laid out") + _pre(payload if json is None else json)


def _both_ends(payload: str | bytes) -> str:
    size = f"{len(payload):,} {'bytes' if isinstance(payload, bytes) else 'characters'}"
    note = _note(
        f"{size}, of which the first and the last {_ENDS:,} are here: the page has room for "
        f"{_ROOM:,} characters, and newer messages have taken it. transcript.save() as .json has them all."
    )
    if isinstance(payload, bytes):
        start = len(payload) - _ENDS
        return note + _pre(f"{hex_dump(payload[:_ENDS])}\n...\n{hex_dump(payload[start:], start)}")
    return note + _pre(f"{payload[:_ENDS]}\n...\n{payload[-_ENDS:]}")


def _note(text: str) -> str:
    return f"<p>{text}</p>"


def _pre(text: str) -> str:
    return f"<pre>\n{_escaped(text)}</pre>"  # a line break after <pre> is none of the text's


def _escaped(text: str) -> str:
    """Return ``text`` as HTML that shows it, with a code in place of each character that cannot be seen."""
    return _HIDDEN.sub(lambda match: f"<i>{_code(match)}</i>", html.escape(text))


def _code(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _seconds(seconds: float) -> str:
    """Return ``"0.25 s"``, ``"3,600 s"``."""
    digits = 3 if seconds < 1 else 1
    text = f"{seconds:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.')} s"
