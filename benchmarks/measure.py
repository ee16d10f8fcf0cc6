"""What a measure is: some ways that take turns, or figures that it takes by itself."""

import contextlib
import dataclasses

from benchmarks.rounds import Spread, alternate

__all__ = ["Measure", "Plan", "Result"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How thoroughly to measure."""

    rounds: int = 15
    share: float = 1.0
    """How long a round lasts, as a share of what it lasts in a whole run."""
    collected_rounds: int = 5
    """How many rounds are played once more, with the garbage collector on."""
    is_quick: bool = False


class Result:
    """What a measure has found: for each way the seconds (or bytes) of a piece of work, round by round."""

    def __init__(self, rounds, *, collected=None, notes=()):
        self.rounds = rounds
        self.collected = collected or {}
        self.notes = list(notes)

    def to_json(self):
        """Return it as JSON has it."""
        return {
            "ways": {name: Spread(figures).to_json() for name, figures in self.rounds.items()},
            "collected": {name: Spread(figures).to_json() for name, figures in self.collected.items()},
            "notes": self.notes,
        }


class Measure:
    """One measure.

    :arg name: as on the command line
    :arg title: as in the table
    :arg unit: in which a figure is told
    """

    name = ""
    title = ""
    unit = "µs"
    seconds = 0.05
    """How long each way plays in a round."""
    most_rounds = 1_000
    """Less where a piece of work takes its time."""

    def run(self, plan):
        """Measure; return a `Result`."""
        with contextlib.ExitStack() as stack:
            ways, notes = self.ways(stack)
            most, seconds = self.most_rounds, self.seconds * plan.share
            rounds = alternate(ways, rounds=min(plan.rounds, most), seconds=seconds)
            collected = alternate(ways, rounds=min(plan.collected_rounds, most), seconds=seconds, collect=True)
            return Result(rounds, collected=collected, notes=notes)

    def ways(self, stack):
        """Return a function of how often for each way, and notes; what they need is closed by ``stack``."""
        raise NotImplementedError
