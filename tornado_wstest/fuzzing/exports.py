"""A fuzz run as a file: JSON for programs, JUnit XML for a build server, a page for people. Pure: it returns texts."""

import html
import json
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ..errors import UsageError
from .report import (
    Repeat,
    Report,
    RouteReport,
    app_traceback,
    finding_block,
    finished_line,
    left_out_line,
    printable,
    summary,
)
from .routes import Route

if TYPE_CHECKING:
    from .engine import Finding

__all__ = ["EXPORTS", "check_report_file", "routes_to_json", "save_report", "to_html", "to_json", "to_junit"]

_VERSION = 1


def routes_to_json(routes: Iterable[Route]) -> str:
    """Return a list of routes."""
    return json.dumps([{**_route(route), **_whereabouts(route)} for route in routes], indent=2)


def to_json(report: Report) -> str:
    """Return everything, under names that stay."""
    value = {
        "version": _VERSION,
        "target": report.target,
        "command": report.command,
        "interrupted": report.interrupted,
        "routes": [_route_report(each) for each in report.routes],
        "left_out": [{**_route(route), "unreachable": route.unreachable} for route in report.left_out],
    }
    return json.dumps(value, indent=2) + "\n"


def _route(route: Route) -> dict[str, Any]:
    return {
        "pattern": route.pattern,
        "label": route.label,
        "handler": f"{route.handler.__module__}.{route.handler.__qualname__}",
        "host": route.host,
        "name": route.name,
    }


def _whereabouts(route: Route) -> dict[str, Any]:
    return {
        "arguments": list(route.arguments),
        "within": list(route.within),
        "conditions": list(route.conditions),
        "example_path": route.example_path,
        "unreachable": route.unreachable or None,
    }


def _route_report(each: RouteReport) -> dict[str, Any]:
    done = each.finished
    return {
        **_route(each.route),
        "seed": each.started.seed,
        "finished": done is not None and not done.interrupted,
        "sequences": done.sequences if done else None,
        "sent": done.sent if done else None,
        "received": done.received if done else None,
        "connections": done.connections if done else None,
        "seconds": round(done.seconds, 3) if done else None,
        "warnings": list(each.warnings),
        "findings": [_finding(finding, repeat) for finding, repeat in each.findings],
    }


def _finding(finding: "Finding", repeat: Repeat) -> dict[str, Any]:
    problem, seen = finding.problem, finding.seen
    return {
        "check": problem.code,
        "title": problem.title,
        "expected": problem.expected,
        "actual": problem.actual,
        "place": problem.place,
        "traceback": app_traceback(problem.traceback),
        "flaky": finding.is_flaky,
        "message_index": seen.index,
        "accepted": seen.accepted,
        "status": seen.status,
        "closed_by_server": seen.closed_by_server,
        "close_code": seen.close_code,
        "close_reason": seen.close_reason,
        "received": len(seen.received),
        "elapsed": round(seen.seconds, 6),
        "transcript": seen.transcript,
        "case": finding.case.to_json(),
        "saved_as": repeat.file,
        "command": repeat.command,
        "replay": repeat.replay,
        "test": repeat.test,
    }


def to_junit(report: Report) -> str:
    """Return JUnit XML: a test case a route, a failure a finding (what does not count is told in the output alone)."""
    failures = sum(len(each.counted) + len(each.warnings if each.strict else ()) for each in report.routes)
    seconds = sum(each.finished.seconds for each in report.routes if each.finished)
    suite = ET.Element(
        "testsuite",
        name=f"fuzz {printable(report.target)}",
        tests=str(len(report.routes) + len(report.left_out)),
        failures=str(failures),
        errors="0",
        skipped=str(sum(each.finished is None for each in report.routes) + len(report.left_out)),
        time=f"{seconds:.3f}",
    )
    for each in report.routes:
        _junit_case(suite, report, each)
    for route in report.left_out:
        case = _case(suite, report, route, 0)
        ET.SubElement(case, "skipped", message=printable(left_out_line(route)))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _junit_case(suite: ET.Element, report: Report, each: RouteReport) -> None:
    done = each.finished
    case = _case(suite, report, each.route, done.seconds if done else 0)
    properties = ET.SubElement(case, "properties")
    facts: dict[str, Any] = {"handler": each.route.handler.__qualname__, "seed": each.started.seed}
    if done is not None:
        facts |= {name: getattr(done, name) for name in ("sequences", "sent", "received", "connections")}
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=printable(str(value)))
    output = []
    for finding, repeat in each.findings:
        block = finding_block(finding, repeat)
        if finding in each.counted:
            title = printable(f"{finding.problem.code}: {finding.problem.title}")
            ET.SubElement(case, "failure", type=finding.problem.code, message=title).text = block
        else:
            output.append(block)
    for warning in each.warnings:
        if each.strict:
            ET.SubElement(case, "failure", type="warning", message=printable(warning))
        else:
            output.append(f"warning: {warning}")
    if done is None:
        ET.SubElement(case, "skipped", message="broken off")
    if output:
        ET.SubElement(case, "system-out").text = printable("\n".join(output))


def _case(suite: ET.Element, report: Report, route: Route, seconds: float) -> ET.Element:
    name, target = printable(route.label), printable(report.target)
    return ET.SubElement(suite, "testcase", classname=target, name=name, time=f"{seconds:.3f}")


def to_html(report: Report) -> str:
    """Return one page that asks nobody for anything."""
    parts = [f"<h1>{_escaped(report.target)}</h1>", f"<p><code>{_escaped(report.command)}</code></p>"]
    parts.append(f"<pre class='summary'>{_escaped(summary(report))}</pre>")
    for each in report.routes:
        parts.append(f"<h2>{_escaped(each.route.label)}</h2>")
        parts.append(f"<p>{_escaped(finished_line(each.finished) if each.finished else 'broken off')}</p>")
        parts += [f"<p class='warning'>{_escaped(warning)}</p>" for warning in each.warnings]
        parts += [_article(finding, repeat) for finding, repeat in each.findings]
    head, tail = _PAGE.split("BODY")
    return head.replace("TITLE", f"Fuzzing {_escaped(report.target)}") + "\n".join(parts) + tail


def _article(finding: "Finding", repeat: Repeat) -> str:
    problem = finding.problem
    flaky = " <em>flaky</em>" if finding.is_flaky else ""
    ways = "\n".join(filter(None, [repeat.command, repeat.replay]))
    return (
        f"<article><h3><b>{_escaped(problem.code)}</b> {_escaped(problem.title)}{flaky}</h3>"
        f"<pre>{_escaped(finding_block(finding))}</pre>"
        f"<h4>To see it again</h4><pre>{_escaped(ways)}</pre>"
        f"<details open><summary>As a test</summary><pre>{_escaped(repeat.test)}</pre></details></article>"
    )


def _escaped(text: str) -> str:
    return html.escape(printable(text))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>TITLE</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --box: #f3f4f6; --bad: #b42318; --dim: #8a6100; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --box: #23262c; --bad: #ff8a7a; --dim: #e5b45a; }
}
@media print {
  :root { --ink: #000; --paper: #fff; --box: #fff; --bad: #000; --dim: #000; }
  pre { border: 1px solid #999; }
  article { break-inside: avoid-page; }
}
body { color: var(--ink); background: var(--paper); font: 16px/1.5 sans-serif; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }
pre, code { font: 13px/1.45 monospace; }
pre { background: var(--box); padding: .75rem; border-radius: .3rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.summary { white-space: pre; overflow-x: auto; }
article { border-left: .25rem solid var(--bad); padding-left: 1rem; margin: 1.5rem 0; }
h3 b { color: var(--bad); }
h3 em, .warning { color: var(--dim); }
</style>
</head>
<body>
BODY
</body>
</html>
"""

EXPORTS = {".html": to_html, ".json": to_json, ".xml": to_junit}
"""By the suffix of a file."""


def check_report_file(file: str) -> str:
    """Return ``file`` if a report can be written there. Raises `UsageError` for another suffix, or no such folder."""
    path = pathlib.Path(file)
    if path.suffix.lower() not in EXPORTS:
        raise UsageError(f"a report ends in {', '.join(EXPORTS)}, not as {file!r} does")
    if not path.parent.is_dir():
        raise UsageError(f"the report cannot be written to {file}: there is no folder {str(path.parent)!r}")
    return file


def save_report(report: Report, file: str) -> None:
    """Write a report as its suffix says. Raises `UsageError` where it cannot be written."""
    text = EXPORTS[pathlib.Path(file).suffix.lower()](report)
    try:
        pathlib.Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"the report cannot be written to {file}: {error.strerror or error}") from error
