"""What an explored run costs beside a plain test: two clients connect, and each has three messages echoed."""

import unittest

from benchmarks import work
from benchmarks.measure import Measure
from tornado_wstest import WebSocketTestCase, discard, explore

__all__ = ["Explored"]

RUNS = 10


class TwoClients(WebSocketTestCase):
    """The test, plain and explored."""

    ws_transport = "memory"
    handshake = discard(1)

    def get_app(self):
        """Return an app that echoes."""
        return work.make_app()

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


class Explored(Measure):
    """Ten runs of a test of two clients: plain, and each under an order of delivery of its own."""

    name = "explore"
    title = "ten runs of a test"
    unit = "ms"
    seconds = 0.2

    def ways(self, stack):
        """Plain and explored, in real and in virtual time."""
        return {
            "plain": _way(TwoClients, "test_plain", RUNS),
            "plain, virtual time": _way(TwoClientsInVirtualTime, "test_plain", RUNS),
            "explored": _way(TwoClients, "test_explored", 1),
            "explored, virtual time": _way(TwoClientsInVirtualTime, "test_explored", 1),
        }, []


def _way(case, name, times):
    def play(count):
        for _ in range(count * times):
            result = unittest.TestResult()
            case(name).run(result)
            if not result.wasSuccessful():
                raise AssertionError(result.failures + result.errors)

    return play
