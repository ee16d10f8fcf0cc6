"""A guard against growing dearer: how many calls it takes to send a message and to receive its echo.

Times are noisy; calls are not. Counted are the functions of this package that are called (a coroutine once more each
time that it goes on), and the built-in ones that they call, so that Tornado's version does not matter. The bounds stand
in ``guard.json``, with the calls that they were made of, so that a failure names those that are new::

    python -m benchmarks.guard              # count, compare, and show what is new
    python -m benchmarks.guard --write      # make what is counted now the bound
"""

import asyncio
import collections
import gc
import json
import pathlib
import sys

import tornado_wstest
from benchmarks.work import TEXT, expect, make_app
from tornado_wstest import WebSocketTester, discard

__all__ = ["BOUNDS", "WORK", "allowed", "count", "judge"]

PACKAGE = pathlib.Path(tornado_wstest.__file__).parent
FILE = pathlib.Path(__file__).parent / "guard.json"
TIMES = 20

BOUNDS = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
"""For each transport and kind of work, how often each function is called in it; and the Python that counted."""
ALLOWANCE = 0.05
"""What another Python may need more: asyncio calls the selector otherwise, and comprehensions are calls or none."""


async def round_trip(client):
    """Send, and receive."""
    await client.send(TEXT)
    expect(TEXT, await client.receive())


async def silence(client):
    """Nothing arrives."""
    await client.expect_nothing()


WORK = {
    f"{transport}, {name}": (transport, work)
    for transport in ("tcp", "memory")
    for name, work in (("send and receive", round_trip), ("nothing arrives", silence))
}


class Counter:
    """Counts calls while it is the profile function of the thread."""

    def __init__(self):
        self.calls = collections.Counter()
        self._names = {}

    def __call__(self, frame, event, arg):
        if event in ("call", "c_call"):
            name = self._name(frame.f_code)
            if name is not None:
                self.calls[name if event == "call" else f"{name}: {arg.__qualname__}()"] += 1

    def _name(self, code):
        """Return what a function is called in the listing; None for one that is not ours."""
        if code not in self._names:
            file = pathlib.Path(code.co_filename)
            is_ours = file.is_relative_to(PACKAGE)
            self._names[code] = f"{file.relative_to(PACKAGE).as_posix()} {code.co_qualname}" if is_ours else None
        return self._names[code]


def count(name):
    """Return how often each function is called in one piece of work, on average over some."""
    return asyncio.run(_count(*WORK[name]))


async def _count(transport, work):
    async with WebSocketTester(make_app(), transport=transport) as wstest:
        client = await wstest.client(handshake=discard(1))
        for _ in range(5):
            await work(client)
        counter = Counter()
        before, was_on = sys.getprofile(), gc.isenabled()
        gc.disable()  # what is collected may call something
        sys.setprofile(counter)
        try:
            for _ in range(TIMES):
                await work(client)
        finally:
            sys.setprofile(before)
            if was_on:
                gc.enable()
    return {name: calls / TIMES for name, calls in sorted(counter.calls.items())}


def allowed(name):
    """Return how many calls a piece of work may take: exactly what was counted, where the same Python counts."""
    most = sum(BOUNDS["work"][name].values())
    return most if BOUNDS["python"] == _python() else most * (1 + ALLOWANCE)


def _python():
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def judge(name, calls):
    """Return None, or a sentence on what is more than it may be, with the calls that are new."""
    bound, most, now = BOUNDS["work"][name], allowed(name), sum(calls.values())
    if now <= most:
        return None
    grown = {call: (bound.get(call, 0), times) for call, times in calls.items() if times > bound.get(call, 0)}
    lines = "".join(f"\n  {before:g} -> {times:g}  {call}" for call, (before, times) in grown.items())
    return (
        f"{name} takes {now:g} calls, at most {most:g} are allowed; more than before are:{lines}\n"
        "make it as cheap as it was, or, if it is worth its price: python -m benchmarks.guard --write"
    )


def main():
    """Count everything, and compare it or keep it."""
    counted = {name: count(name) for name in WORK}
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(json.dumps({"python": _python(), "work": counted}, indent=1) + "\n", "utf-8")
        return
    for name, calls in counted.items():
        print(f"{name}: {sum(calls.values()):g} calls, {allowed(name):g} allowed")
    sys.exit("\n".join(filter(None, (judge(name, calls) for name, calls in counted.items()))) or None)


if __name__ == "__main__":
    main()
