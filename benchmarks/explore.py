"""What an explored run costs: ``python -m benchmarks.explore``.

A test of two clients (connect both, each sends three messages, and gets them back) is played

- ``plain``: 100 times by itself, over the memory transport
- ``plain, virtual``: so, in virtual time
- ``explored``: under 100 orders of delivery
- ``explored, virtual``: so, in virtual time

All take turns in one process, with the garbage collector off; each figure is the median of its rounds, in
seconds for 100 runs.
"""

import gc
import statistics
import time
import unittest

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import WebSocketTestCase, explore

RUNS = 100
ROUNDS = 7


class Echo(WebSocketHandler):
    """Echoes."""

    def on_message(self, message):
        """Send it back."""
        self.write_message(message)


class TwoClients(WebSocketTestCase):
    """The test, plain and explored."""

    ws_transport = "memory"

    def get_app(self):
        """Return an app that echoes."""
        return Application([("/", Echo)], log_function=lambda handler: None)

    async def test_plain(self):
        """Two clients are echoed."""
        ann, bob = await self.ws_clients(["ann", "bob"])
        for message in ("one", "two", "three"):
            await ann.send(message)
            await bob.send(message)
            await ann.expect(message)
            await bob.expect(message)

    test_explored = explore(runs=RUNS)(test_plain)


class TwoClientsInVirtualTime(TwoClients):
    """The same, in virtual time."""

    ws_virtual_time = True


WAYS = {
    "plain": (TwoClients, "test_plain", RUNS),
    "plain, virtual": (TwoClientsInVirtualTime, "test_plain", RUNS),
    "explored": (TwoClients, "test_explored", 1),
    "explored, virtual": (TwoClientsInVirtualTime, "test_explored", 1),
}


def measure(case, name, times):
    """Return the seconds that 100 runs take."""
    started = time.perf_counter()
    for _ in range(times):
        result = unittest.TestResult()
        case(name).run(result)
        assert result.wasSuccessful(), result.failures + result.errors
    return time.perf_counter() - started


def main():
    """Print the table: seconds for 100 runs, and beside a plain test."""
    gc.disable()
    took = {way: [] for way in WAYS}
    for number in range(ROUNDS + 1):
        for way, what in WAYS.items():
            seconds = measure(*what)
            if number:  # the first round warms up
                took[way].append(seconds)
        gc.collect()
    print(f"{RUNS} runs of a test of two clients, s, and beside a plain one")
    plain = statistics.median(took["plain"])
    for way, times in took.items():
        median = statistics.median(times)
        print(f"    {way:<20} {median:8.3f} {median / plain:6.2f}")


if __name__ == "__main__":
    main()
