"""The tree of errors, and what each carries."""

import builtins
import copy
import pickle
import re
import unittest

from tornado_wstest import errors
from tornado_wstest.errors import (
    ConnectionClosed,
    HandshakeFailed,
    MessageTimeout,
    ServerError,
    UnexpectedMessage,
    UsageError,
    WSTestFailure,
)

FAILURES = [getattr(errors, name) for name in errors.__all__ if name != "UsageError"]


def drawn():
    """Yield each class of the drawing in the module's docstring, and the class it is drawn below."""
    path = []
    for indent, name in re.findall(r"^( *)(?:\+-- )?([A-Z]\w+)(?:  .*)?$", errors.__doc__, re.MULTILINE):
        above = path[: len(indent) // 5]
        path = [*above, name]
        if above:
            yield name, above[-1]


class TreeTest(unittest.TestCase):
    """The tree is the one that the module's docstring draws."""

    def test_tree_shows_every_error(self):
        """The drawing leaves no error out, and invents none."""
        self.assertEqual(sorted(name for name, _ in drawn()), sorted(errors.__all__))

    def test_tree_as_drawn(self):
        """Each error's first base is the one it is drawn below."""
        for name, above in drawn():
            with self.subTest(error=name):
                base = getattr(errors, above, None) or getattr(builtins, above)
                self.assertIs(getattr(errors, name).__bases__[0], base)

    def test_failures_are_assertion_errors(self):
        """A runner counts each failure as a failed test; a misuse is an error."""
        for failure in FAILURES:
            self.assertTrue(issubclass(failure, AssertionError))
        self.assertFalse(issubclass(UsageError, AssertionError))

    def test_every_error_says_what_it_means(self):
        """Each class has a docstring of its own."""
        for name in errors.__all__:
            self.assertTrue(vars(getattr(errors, name)).get("__doc__"), name)


class FailureTest(unittest.TestCase):
    """What a failure carries."""

    def test_failure_carries_its_details(self):
        """The client's name and the details are attributes."""
        failure = ConnectionClosed("gone", client="ann", code=4001, reason="who are you")
        self.assertEqual((failure.client, failure.code, failure.reason), ("ann", 4001, "who are you"))

    def test_failure_without_details(self):
        """What was not said has a value all the same."""
        self.assertEqual((ConnectionClosed().code, ConnectionClosed().reason), (1006, ""))
        self.assertEqual((HandshakeFailed().step, HandshakeFailed().messages), ("", ()))
        self.assertIsNone(UnexpectedMessage().message)
        self.assertIsNone(ServerError().exception)
        self.assertIsNone(WSTestFailure().client)

    def test_failure_reads_as_its_text(self):
        """str() of every failure is its text and nothing else."""
        for failure in FAILURES:
            self.assertEqual(str(failure("ann waited", client="ann")), "ann waited")

    def test_failure_survives_pickling(self):
        """A runner that tests in several processes gets the failure whole, with its notes."""
        for failure in FAILURES:
            with self.subTest(failure=failure.__name__):
                before = failure("ann waited", client="ann", code=4001)
                before.add_note("transcript")
                after = pickle.loads(pickle.dumps(before))
                self.assertIs(type(after), failure)
                self.assertEqual(str(after), "ann waited")
                self.assertEqual(vars(after), {"client": "ann", "code": 4001, "__notes__": ["transcript"]})

    def test_failure_can_be_copied(self):
        """A copy has the same text and details."""
        after = copy.copy(MessageTimeout("ann waited", client="ann"))
        self.assertEqual((str(after), after.client), ("ann waited", "ann"))


class MessageTimeoutTest(unittest.TestCase):
    """`MessageTimeout` is a time-out of the standard library's, too."""

    def test_message_timeout_is_a_timeout_error(self):
        """Who catches TimeoutError catches it."""
        with self.assertRaises(TimeoutError):
            raise MessageTimeout("ann waited 2 s", client="ann")

    def test_message_timeout_has_no_errno(self):
        """It reads as its text, not as an OSError with a number."""
        error = MessageTimeout("ann waited 2 s", client="ann")
        self.assertEqual(str(error), "ann waited 2 s")
        self.assertIsNone(error.errno)
