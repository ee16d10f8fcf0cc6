"""What a fuzz run has to say, as text: routes, findings, a summary. Pure: whoever wants to see it prints it."""

import dataclasses
import re
import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..frames import NO_FRAME
from ..text import elide, is_library, one_line, plural, show
from ..wording import close_text
from .case import Visit
from .observation import Observation
from .routes import Route

if TYPE_CHECKING:  # the engine needs Hypothesis, a list of routes does not
    from .engine import Finding, Played, RouteFinished, RouteStarted

__all__ = [
    "PROG",
    "Repeat",
    "Report",
    "RouteReport",
    "app_traceback",
    "cause_text",
    "conversation",
    "finding_block",
    "finished_line",
    "left_out_line",
    "printable",
    "routes_table",
    "started_line",
    "summary",
]

PROG = "python -m tornado_wstest"
"""How the commands are called."""
_LAST = 5
"""How many of the received messages are shown."""
_MANY = 20
"""How many of a visit's are."""
_FRAME = re.compile(r'(\s+)(?:\|\s+)?File "(.*?)", line \d+')
_LABEL = 12
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclasses.dataclass(frozen=True)
class Repeat:
    """Three ways to see a finding again."""

    command: str
    """The whole run, with its seed."""
    replay: str
    """The saved case alone, or why it is not saved; empty if it was not to be."""
    test: str
    """A test module; empty where none can be written."""
    file: str = ""
    """Where the case is saved."""


@dataclasses.dataclass
class RouteReport:
    """One route's part."""

    started: "RouteStarted"
    findings: "list[tuple[Finding, Repeat]]" = dataclasses.field(default_factory=list)
    finished: "RouteFinished | None" = None
    """None where it was broken off."""
    strict: bool = False
    """Do warnings and flaky findings count?"""

    @property
    def route(self) -> Route:
        """The route."""
        return self.started.route

    @property
    def counted(self) -> "list[Finding]":
        """The findings for which the run fails."""
        return [finding for finding, _ in self.findings if self.strict or not finding.is_flaky]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the route lacks; nothing where that may be because something was found, or because of Ctrl-C."""
        done = self.finished
        return () if done is None or done.interrupted or self.counted else done.warnings


@dataclasses.dataclass
class Report:
    """A run, as far as it has come."""

    target: str
    command: str = ""
    routes: list[RouteReport] = dataclasses.field(default_factory=list)
    left_out: list[Route] = dataclasses.field(default_factory=list)
    """The routes that no request reaches."""
    interrupted: bool = False

    @property
    def findings(self) -> "list[tuple[Finding, Repeat]]":
        """Those of all routes."""
        return [found for each in self.routes for found in each.findings]

    @property
    def failed(self) -> bool:
        """Is there anything for which the run fails?"""
        return any(each.counted or (each.strict and each.warnings) for each in self.routes)


def printable(text: str) -> str:
    """Return ``text`` with an escape for each character that a terminal or an XML file would not take."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), text)


# Routes


def routes_table(routes: Iterable[Route]) -> str:
    """Return the table of routes."""
    rows = [
        (
            route.pattern,
            f"{route.handler.__module__}.{route.handler.__qualname__}",
            ", ".join(map(str, route.arguments)),
            route.name or "",
            route.host or "",
            _note(route),
        )
        for route in routes
    ]
    return _table(("route", "handler", "arguments", "name", "host", "note"), rows)


def _note(route: Route) -> str:
    notes = [f"within {pattern}" for pattern in route.within] + [f"if {each}" for each in route.conditions]
    return "; ".join(notes + ([f"unreachable: {route.unreachable}"] if route.unreachable else []))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """Return lines with columns, but for those that are empty. ``numbers``: the columns after the first are such."""
    columns = [column for column in zip(head, *(map(one_line, row) for row in rows), strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in zip(*columns, strict=True):
        cells = [
            cell.rjust(width) if numbers and index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


# While it runs


def started_line(event: "RouteStarted") -> str:
    """Return what there is to say at a route's start."""
    return f"{event.route.label} ({event.route.handler.__qualname__}): started, seed {event.seed}"


def left_out_line(route: Route) -> str:
    """Return why a route is not fuzzed."""
    return f"{route.label}: left out, as no request reaches it: {route.unreachable}"


def finished_line(event: "RouteFinished") -> str:
    """Return what there is to say at a route's end."""
    found = plural(event.findings, "finding") if event.findings else "nothing found"
    end = "interrupted, " if event.interrupted else ""
    played = f"{plural(event.sequences, 'conversation')}, {plural(event.sent, 'message')} sent"
    return f"{event.route.label}: {end}{found}, {played}, {event.seconds:.1f} s"


def conversation(event: "Played") -> str:
    """Return one conversation, with what was found in it."""
    problem = event.problem
    found = f"{problem.code}: {one_line(problem.title)}" if problem is not None else "ok"
    return printable(f"{event.route.label}: {found}\n{_indented(event.seen.transcript, 2)}")


# A finding


def finding_block(finding: "Finding", repeat: Repeat | None = None) -> str:
    """Return all that is known of a finding, and how to see it again."""
    problem, seen = finding.problem, finding.seen
    flaky = " (flaky: it did not show in each of three replays)" if finding.is_flaky else ""
    lines = [f"{problem.code}: {one_line(problem.title)}{flaky}"]
    facts = [
        ("route", finding.route.label),
        ("expected", problem.expected),
        ("actual", problem.actual),
        ("message", _message(seen)),
        *_visits(seen),
        ("connection", _connection(seen)),
        ("received", _received(seen)),
        ("elapsed", f"{seen.seconds:.3f} s"),
    ]
    for label, text in facts:
        lines.append(f"    {label:{_LABEL}}{_hanging(text, 4 + _LABEL)}")
    if problem.traceback:
        lines += ["    traceback", _indented(app_traceback(problem.traceback), 8)]
    lines += [_indented(seen.transcript, 4)]
    if repeat is not None:
        lines += _ways(repeat)
    return printable("\n".join(lines))


def _message(seen: Observation) -> str:
    messages = seen.case.messages
    if seen.index is None or seen.index >= len(messages):
        return f"none in particular, after {plural(seen.sent, 'message')}"
    return f"{seen.index + 1} of {len(messages)}: {show(messages[seen.index])}"


def _visits(seen: Observation) -> list[tuple[str, str]]:
    """Say what each visit did."""
    visits = seen.case.visits
    if len(visits) == 1:
        return [("sent", _visit(visits[0]))]
    return [(f"visit {number}", _visit(visit)) for number, visit in enumerate(visits, 1)]


def _visit(visit: Visit) -> str:
    sent = [show(message, 80) for message in visit.messages[:_MANY]]
    if len(visit.messages) > _MANY:
        sent.append(f"and {len(visit.messages) - _MANY} more")
    parts = [f"{visit.path}: {', '.join(sent) or 'no message'}"]
    parts += ["all at once"] if visit.pipelined and len(visit.messages) > 1 else []
    parts += [f"origin {visit.origin}"] if visit.origin is not None else []
    parts += [f"subprotocols {', '.join(visit.subprotocols)}"] if visit.subprotocols else []
    parts += [f"then the fault {visit.fault!r}"] if visit.fault else []
    parts += [f"ping {show(visit.ping, 40)}"] if visit.ping else []
    parts += [f"the head of a message of {visit.declared_size:,} bytes"] if visit.declared_size else []
    parts.append("vanishes without a close frame" if visit.ending is None else f"closes with {visit.ending}")
    return "; ".join(parts)


def _connection(seen: Observation) -> str:
    if not seen.accepted:
        return f"refused with status {seen.status}" if seen.status else "not accepted"
    if seen.closed_by_server and seen.close_code is not None:
        how = "ended without a close frame" if seen.close_code == NO_FRAME else "closed by the server"
        return f"{how}: {close_text(seen.close_code, seen.close_reason)}"
    return "open until the client left"


def _received(seen: Observation) -> str:
    if not seen.received:
        return "nothing"
    last = [show(message, 80) for message in seen.received[-_LAST:]]
    return f"{plural(len(seen.received), 'message')}; the last: {', '.join(last)}"


def _ways(repeat: Repeat) -> list[str]:
    lines = ["    to see it again", f"        {repeat.command}"]
    lines += [f"        {repeat.replay}"] if repeat.replay else []
    test = ["    or as a test, such as test_found.py:", "", repeat.test.rstrip("\n")] if repeat.test else []
    return lines + test


def app_traceback(text: str) -> str:
    """Return a traceback without the lines of Python, Tornado, other packages and this one; printable.

    Where the app itself is an installed package, the lines of packages stay.
    """
    frames = [frame[2] for frame in map(_FRAME.match, text.splitlines()) if frame is not None]
    is_wanted = _is_app_file if any(map(_is_app_file, frames)) else _is_no_library
    kept, keeping, depth = [], True, 0
    for line in text.rstrip("\n").splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            keeping, depth = is_wanted(frame[2]), len(frame[1])
        elif len(line) - len(line.lstrip(" |")) <= depth:
            keeping = True
        if keeping:
            kept.append(line)
    return printable("\n".join(kept))


def cause_text(error: BaseException) -> str:
    """Return the traceback of an exception of the app's that is the cause of ``error``; empty if it is none."""
    cause = error.__cause__
    if cause is None:
        return ""
    files = [frame.filename for frame in traceback.extract_tb(cause.__traceback__)]
    if not isinstance(cause, SyntaxError) and not any(map(_is_no_library, files)):
        return ""
    return app_traceback("".join(traceback.format_exception(cause)))


def _is_app_file(file_name: str) -> bool:
    return _is_no_library(file_name) and "site-packages" not in file_name


def _is_no_library(file_name: str) -> bool:
    return not (is_library(file_name) or file_name.startswith("<frozen "))


def _indented(text: str, width: int) -> str:
    return "\n".join(f"{' ' * width}{line}".rstrip() for line in text.splitlines())


def _hanging(text: str, width: int) -> str:
    return f"\n{' ' * width}".join(elide(text, 4000).splitlines())


# The end


def summary(report: Report) -> str:
    """Return the table of a run, its warnings, and a last line."""
    rows = [
        (
            each.route.label,
            str(done.sequences),
            str(done.sent),
            str(done.received),
            str(done.connections),
            str(len(each.findings)),
            f"{done.seconds:.1f}",
        )
        for each in report.routes
        if (done := each.finished) is not None
    ]
    head = ("route", "sequences", "sent", "received", "connections", "findings", "seconds")
    lines = [_table(head, rows, numbers=True)] if rows else []
    for each in report.routes:
        lines += [f"warning: {each.route.label}: {one_line(warning)}" for warning in each.warnings]
    lines += [f"warning: {left_out_line(route)}" for route in report.left_out]
    return printable("\n".join([*lines, _verdict(report)]))


def _verdict(report: Report) -> str:
    flaky = sum(finding.is_flaky for finding, _ in report.findings)
    count = len(report.findings) - flaky
    found = plural(count, "finding") if count else "nothing found"
    told = f", {plural(flaky, 'flaky one') if flaky > 1 else '1 flaky one'}" if flaky else ""
    end = "interrupted: " if report.interrupted else ""
    return f"{end}{found}{told} in {plural(len(report.routes), 'route')}"
