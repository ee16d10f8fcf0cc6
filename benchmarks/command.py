"""The command."""

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import sys

from benchmarks import broadcast, exploring, fuzzing, heartbeats, imports, page, played, prices, scaling, table
from benchmarks.bounds import judge
from benchmarks.measure import Plan

__all__ = ["MEASURES", "main"]

MEASURES = {
    measure.name: measure
    for measure in (
        played.WholeTest(),
        played.Connection(),
        played.RoundTrip(),
        played.Silence(),
        broadcast.Broadcast(),
        broadcast.Memory(),
        broadcast.Proof(),
        heartbeats.Heartbeats(),
        fuzzing.Fuzzing(),
        prices.Prices(),
        exploring.Explored(),
        imports.Imports(),
        scaling.Clients(),
        scaling.Messages(),
        scaling.TranscriptMemory(),
    )
}
PACKAGES = (
    "tornado",
    "channels",
    "starlette",
    "httpx",
    "httpx2",
    "httpx-ws",
    "aiohttp",
    "websockets",
    "pywsitest",
    "pytest-routes",
    "hypothesis",
)


def main():
    """Measure, print, and keep what was found. The exit status is 1 if a bound was not reached."""
    arguments = parsed()
    if arguments.read:
        found = json.loads(arguments.read.read_text("utf-8"))
        found["ratios"] = judge(found["measures"])
    else:
        found = measured(arguments)
    print(table.text(found))
    if arguments.write:
        arguments.json = arguments.json or page.RESULTS
        page.write(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if arguments.chart:
        from benchmarks.chart import draw

        draw(found, arguments.chart)
    return int(any(row["reached"] is False for row in found["ratios"]))


def parsed():
    """Return the arguments of the command."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=sys.modules["benchmarks"].__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"what to measure; all of them are: {', '.join(MEASURES)}")
    add("--rounds", type=int, metavar="N", help="rounds a measure; at least five make a spread")
    add("--quick", action="store_true", help="few and short rounds, for a look")
    add("--json", type=pathlib.Path, metavar="FILE", help="keep what was found")
    add("--chart", type=pathlib.Path, metavar="FILE", help="draw it, as SVG")
    add("--read", type=pathlib.Path, metavar="FILE", help="measure nothing: take what was kept there")
    add("--write", action="store_true", help="bring page, README, chart and kept figures up to date")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MEASURES]
    if unknown:
        parser.error(f"there is no measure {unknown[0]!r}; valid are: {', '.join(MEASURES)}")
    if arguments.names and (arguments.write or arguments.read):
        parser.error("--write and --read are about all measures: name none")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds is 1 or more")
    return arguments


def measured(arguments):
    """Measure what was asked for."""
    plan = Plan(rounds=5, share=0.3, collected_rounds=2, is_quick=True) if arguments.quick else Plan()
    if arguments.rounds:
        plan = dataclasses.replace(plan, rounds=arguments.rounds)
    measures = {}
    for name in arguments.names or MEASURES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        measure = MEASURES[name]
        about = {"title": measure.title, "unit": measure.unit, "about": measure.__doc__.splitlines()[0]}
        measures[name] = about | measure.run(plan).to_json()
    return {"made": made(plan, arguments.names), "measures": measures, "ratios": judge(measures)}


def made(plan, names):
    """Return when, where and with what was measured."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks", *names]),
        "rounds": plan.rounds,
        "quick": plan.is_quick,
        "python": platform.python_version(),
        "machine": f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
