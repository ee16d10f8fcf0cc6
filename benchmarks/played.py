"""The work that every player does: a whole test, a connection, a round trip, and nothing that arrives."""

from benchmarks import ours, peers
from benchmarks.measure import Measure

__all__ = ["Connection", "RoundTrip", "Silence", "WholeTest"]


class Played(Measure):
    """A kind of work, by all who can do it."""

    kind = ""
    """The players' method."""

    def ways(self, stack):
        """Let each player have ready what its work needs."""
        others, missing = peers.players()
        notes = [f"{name} is left out: {reason}" for name, reason in missing.items()]
        able = [player for player in (ours.OverTCP(), ours.OverMemory(), *others) if hasattr(player, self.kind)]
        return {player.name: self.way(player, stack) for player in able}, notes

    def way(self, player, stack):
        """Return the work of one player, as a function of how often."""
        stack.enter_context(player)
        return lambda count: player.run(getattr(player, self.kind), count)


class WholeTest(Played):
    """A test as a runner runs it, from its set-up to its tear-down."""

    name = "test"
    title = "whole test"
    kind = "whole_tests"

    def way(self, player, stack):
        """A test brings what it needs."""
        return player.whole_tests


class Connection(Played):
    """Connect, be greeted, close."""

    name = "connection"
    title = "connection"
    kind = "connections"


class RoundTrip(Played):
    """Send a short text, and receive it."""

    name = "round_trip"
    title = "round trip"
    kind = "round_trips"


class Silence(Played):
    """To know that nothing arrives. Most others have nothing for it but a wait."""

    name = "nothing"
    title = "nothing arrives"
    kind = "silences"
