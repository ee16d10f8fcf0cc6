"""``benchmarks/``: what is told of a measurement is what was measured."""

import json
import unittest

from benchmarks import page
from benchmarks.bounds import BOUNDS, judge
from benchmarks.chart import fingerprint
from benchmarks.command import MEASURES
from benchmarks.rounds import Spread, alternate, ratios
from benchmarks.table import text

FOUND = json.loads(page.RESULTS.read_text("utf-8"))


def measure(**ways):
    """Return a measure as JSON has it, with the rounds of some ways."""
    spreads = {name: Spread(rounds).to_json() for name, rounds in ways.items()}
    return {"title": "round trip", "unit": "µs", "ways": spreads, "collected": {}, "notes": []}


class PageTest(unittest.TestCase):
    """Nothing in the tables is typed by hand."""

    def test_page_has_what_was_measured(self):
        """The tables of the page are those that the kept figures give."""
        self.assertEqual(page.block_of(page.PAGE.read_text("utf-8")), page.page_block(FOUND).strip("\n") + "\n")

    def test_readme_has_what_was_measured(self):
        """So is the README's."""
        self.assertEqual(page.block_of(page.README.read_text("utf-8")), page.readme_block(FOUND).strip("\n") + "\n")

    def test_chart_shows_what_was_measured(self):
        """The chart beside the page was drawn from the same figures."""
        self.assertIn(fingerprint(FOUND), page.CHART.read_text("utf-8"))

    def test_verdicts_are_those_of_the_bounds(self):
        """A bound that was changed is looked at anew."""
        self.assertEqual(FOUND["ratios"], judge(FOUND["measures"]))

    def test_all_was_measured(self):
        """No measure is left out."""
        self.assertEqual(list(FOUND["measures"]), list(MEASURES))

    def test_text_between_the_markers_is_replaced(self):
        """What stands around them stays."""
        before = "one\n.. benchmarks: begin\nold\n.. benchmarks: end\ntwo\n"
        self.assertEqual(page.filled(before, "new\n"), "one\n.. benchmarks: begin\n\nnew\n\n.. benchmarks: end\ntwo\n")

    def test_a_text_without_markers_is_refused(self):
        """A table is not lost in silence."""
        with self.assertRaisesRegex(ValueError, "no block"):
            page.filled("one\n", "new\n")


class JudgingTest(unittest.TestCase):
    """Ratios and bounds."""

    def test_ratio_is_the_median_of_the_rounds_ratios(self):
        """A round in which the machine was slow for both counts as any other."""
        rows = judge({"round_trip": measure(TCP=[1, 10, 3], **{"by hand": [1, 10, 1]})})
        self.assertEqual((rows[0]["ratio"], rows[0]["at_most"], rows[0]["reached"]), (1.0, 1.05, True))

    def test_bound_that_is_missed(self):
        """It is told, and in words."""
        rows = judge({"round_trip": measure(TCP=[2, 2, 2], **{"by hand": [1, 1, 1]})})
        self.assertIs(rows[0]["reached"], False)
        shown = text({"ratios": rows, "measures": {}})
        self.assertIn("NOT reached", shown)
        self.assertIn("0 of 1 bounds reached", shown)

    def test_every_bound_is_of_a_measure(self):
        """A bound on what nobody measures could never be missed."""
        self.assertLessEqual({bound.measure for bound in BOUNDS}, set(MEASURES))

    def test_spread_is_the_middle_half(self):
        """One slow round of five moves neither the median nor the spread."""
        spread = Spread([1, 2, 3, 4, 100])
        self.assertEqual((spread.low, spread.median, spread.high), (2, 3, 4))

    def test_ratios_are_taken_within_rounds(self):
        """Each of our rounds is beside theirs."""
        self.assertEqual(ratios([2, 9], [1, 3]), [2, 3])


class RoundsTest(unittest.TestCase):
    """Taking turns."""

    def test_all_play_in_every_round(self):
        """Each way has as many figures as there are rounds."""
        played = []
        ways = {"a": lambda count: played.append("a"), "b": lambda count: played.append("b")}
        took = alternate(ways, rounds=3, seconds=0)
        self.assertEqual({name: len(times) for name, times in took.items()}, {"a": 3, "b": 3})
        self.assertEqual("".join(played)[-18:], "ababab" + "bababa" + "ababab")
