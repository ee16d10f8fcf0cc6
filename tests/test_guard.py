"""Sending and receiving grow no dearer unnoticed: calls are counted, see ``benchmarks/guard.py``."""

import unittest

from benchmarks.guard import BOUNDS, WORK, allowed, count, judge


class GuardTest(unittest.TestCase):
    """Calls within bounds."""

    def test_work_takes_no_more_calls_than_it_did(self):
        """Over TCP and over memory, a message sent and received, and nothing that arrives."""
        for name in WORK:
            with self.subTest(name):
                complaint = judge(name, count(name))
                if complaint is not None:
                    self.fail(complaint)

    def test_calls_are_the_same_each_time(self):
        """What is counted does not hang on the machine."""
        self.assertEqual(count("tcp, send and receive"), count("tcp, send and receive"))

    def test_bounds_are_those_of_this_work(self):
        """No bound is missing, and none is of work that is gone."""
        self.assertEqual(list(BOUNDS["work"]), list(WORK))

    def test_what_is_new_is_named(self):
        """The sentence has the count, the bound and the calls that are more than before."""
        name = "tcp, send and receive"
        calls = BOUNDS["work"][name] | {"client.py Client.dawdle": 50.0}
        text = judge(name, calls)
        self.assertIn(f"takes {sum(calls.values()):g} calls, at most {allowed(name):g} are allowed", text)
        self.assertEqual(text.count("->"), 1)
        self.assertIn("\n  0 -> 50  client.py Client.dawdle\n", text)
