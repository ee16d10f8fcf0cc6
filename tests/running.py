"""Running a test case inside a test, to see how it fails."""

import unittest


class Outcome:
    """What became of one test."""

    def __init__(self, result):
        self.failures = [text for _, text in result.failures]
        self.errors = [text for _, text in result.errors]
        self.skipped = [reason for _, reason in result.skipped]
        self.was_successful = result.wasSuccessful()
        self.expected_failures = len(result.expectedFailures)

    @property
    def text(self):
        """All that went wrong, as a runner prints it."""
        return "\n".join([*self.failures, *self.errors])


def run_test(case_class, name="test_it"):
    """Run one test of a test case class, and return its `Outcome`."""
    result = unittest.TestResult()
    case_class(name).run(result)
    return Outcome(result)
