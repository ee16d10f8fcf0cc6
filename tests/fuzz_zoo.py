"""Fuzz the zoo, many times over: ``python -m tests.fuzz_zoo [NAME ...] [--seeds 1-20] [--without stuck]``.

It is split over the processors of a machine with ``--workers 8``, and over machines with ``--share 2/5``, the second
fifth of the specimens, each with all its seeds: five machines together have played what one plays without it.

With default settings each planted bug is to be found with 19 of 20 seeds, and nothing in the healthy apps. A line
for each specimen of which that is not so, then a summary; exit status 1 if there is such a line. The ``stuck`` ones
take a minute each: whatever they are sent, they block.
"""

import argparse
import collections
import concurrent.futures
import logging
import multiprocessing
import re
import sys

from tests.zoo import specimens
from tornado_wstest.fuzzing.engine import Finding, fuzz_route
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings

SHARE = 0.95
"""With how many of the seeds a bug is to be found."""


def codes(name, seed):
    """Return the codes of what is found in one specimen with one seed; flaky findings have a question mark."""
    logging.disable(logging.CRITICAL)
    specimen = specimens()[name]
    checks = ("isolation",) if specimen.code == "isolation" else ()
    settings = FuzzSettings(seed=seed, database=None, checks=checks)
    found = []
    for route in websocket_routes(specimen.make_app()):
        for event in fuzz_route(specimen.make_app, route, settings):
            if isinstance(event, Finding):
                found.append(event.problem.code + "?" * event.is_flaky)
    return name, seed, found


def judge(name, found):
    """Return whether all is as it should be with a specimen, and a line about it."""
    code = specimens()[name].code
    strange = collections.Counter(one for _, each in found for one in each if one != code and not one.endswith("?"))
    hits = sum(code in each for _, each in found)
    missed = [str(seed) for seed, each in found if code is not None and code not in each]
    parts = [f"{code} found {hits} times of {len(found)}, missed with the seeds {', '.join(missed)}"] if missed else []
    parts += [f"{one} {count} times" for one, count in strange.items()]
    return not strange and (code is None or hits >= SHARE * len(found)), f"{name}: {'; '.join(parts) or 'ok'}"


def share(text):
    """Return ``"2/5"`` as a slice: every fifth, from the second on. Shares differ by one specimen at most."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share: 2/5 is the second of five")
    return slice(int(found[1]) - 1, None, int(found[2]))


def chosen(options):
    """Return the names of the specimens to play."""
    names = [name for name in specimens() if options.without not in name]
    return [name for name in names if not options.names or any(part in name for part in options.names)][options.share]


def parsed(arguments=None):
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_zoo", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of the names of those to play")
    parser.add_argument("--seeds", default="1", metavar="FIRST-LAST")
    parser.add_argument("--without", default=" ", metavar="PART", help="leave out those with this in their names")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="how many processes play (default: 2)")
    parser.add_argument(
        "--share", type=share, default="1/1", metavar="K/N", help="the part for this machine of several"
    )
    return parser.parse_args(arguments)


def main():
    """Play, and print what is not as it should be."""
    options = parsed()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    names = chosen(options)
    found = collections.defaultdict(list)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.workers, mp_context=spawn) as pool:
        jobs = [pool.submit(codes, name, seed) for seed in seeds for name in names]
        for job in concurrent.futures.as_completed(jobs):
            name, seed, each = job.result()
            found[name].append((seed, each))
    judged = [judge(name, sorted(found[name])) for name in names]
    for is_right, line in judged:
        if not is_right or not line.endswith(": ok"):
            print("ok  " if is_right else "BAD ", line)
    wrong = sum(not is_right for is_right, _ in judged)
    print(f"{len(names)} specimens, {len(seeds)} seeds: {len(names) - wrong} as they should be, {wrong} not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
