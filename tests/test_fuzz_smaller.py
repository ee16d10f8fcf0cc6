"""What is left out of a conversation that shows a bug."""

import unittest

from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.smaller import smallest


def smallest_with(shows_it, *visits):
    """Return the visits of the smallest case, and how many were tried."""
    tried = []

    def look(case):
        tried.append(case)
        return shows_it(case)

    return smallest(Case(visits), look).visits, len(tried)


class SmallestTest(unittest.TestCase):
    """Everything that can go, goes."""

    def test_visit(self):
        """A visit that does not matter is left out, before or after the one that does."""
        bad = Visit("/b", ("x",))
        for visits in [(Visit("/a"), bad), (bad, Visit("/a")), (Visit("/a"), bad, Visit("/c"))]:
            with self.subTest(visits=visits):
                self.assertEqual(smallest_with(lambda case: "x" in case.messages, *visits)[0], (bad,))

    def test_both_visits(self):
        """Two visits stay where it takes two."""
        visits = (Visit("/a", ("x", "y")), Visit("/a", ("x",)))
        found, _ = smallest_with(lambda case: case.messages.count("x") == 2, *visits)
        self.assertEqual(found, (Visit("/a", ("x",)), Visit("/a", ("x",))))

    def test_messages(self):
        """Messages that are only on the way go, the others keep their order."""
        visit = Visit("/", tuple("abcdefghij"))
        found, _ = smallest_with(lambda case: {"c", "h"} <= set(case.messages), visit)
        self.assertEqual(found, (Visit("/", ("c", "h")),))

    def test_all_messages(self):
        """Where the path alone shows it, no message stays."""
        found, tried = smallest_with(lambda case: True, Visit("/", tuple("abcdefghij")))
        self.assertEqual((found, tried), ((Visit("/"),), 1))

    def test_parts_of_messages(self):
        """What of a message does not matter goes, of a text and of bytes."""
        found, _ = smallest_with(lambda case: any("ab" in one for one in case.messages), Visit("/", ("xyzabuvw",)))
        self.assertEqual(found, (Visit("/", ("ab",)),))
        found, tried = smallest_with(lambda case: bool(case.messages), Visit("/", (b"xyz" * 99,)))
        self.assertEqual((found, tried), ((Visit("/", (b"",)),), 3))  # without it, an empty one, without that

    def test_messages_that_stay_as_long(self):
        """Where it is asked for, messages become fewer, and none shorter."""
        visit = Visit("/", ("xyz", "abc"))
        found = smallest(Case((visit,)), lambda case: any("a" in one for one in case.messages), shorten=False)
        self.assertEqual(found, Case((Visit("/", ("abc",)),)))

    def test_query(self):
        """Arguments of the query go one by one."""
        found, _ = smallest_with(lambda case: "b=2" in case.visits[0].path, Visit("/p?a=1&b=2&c=3"))
        self.assertEqual(found, (Visit("/p?b=2"),))
        found, _ = smallest_with(lambda case: True, Visit("/p?a=1"))
        self.assertEqual(found, (Visit("/p"),))

    def test_manner(self):
        """How the messages were sent, and how the client left, is told only where it matters."""
        odd = Visit("/", ("x",), ping=b"p", ending=None, pipelined=True, subprotocols=("s",))
        found, _ = smallest_with(lambda case: "x" in case.messages, odd)
        self.assertEqual(found, (Visit("/", ("x",)),))
        found, _ = smallest_with(lambda case: "x" in case.messages and case.visits[0].ending is None, odd)
        self.assertEqual(found, (Visit("/", ("x",), ending=None),))

    def test_origin(self):
        """Where a connection comes from stays: it is what is shown."""
        visit = Visit("/", origin="http://foreign.example")
        self.assertEqual(smallest_with(lambda case: True, visit)[0], (visit,))

    def test_nothing_to_leave_out(self):
        """A case that needs all it has stays as it is."""
        visit = Visit("/?a=1", ("x",), ping=b"p")
        self.assertEqual(smallest_with(lambda case: False, visit)[0], (visit,))


if __name__ == "__main__":
    unittest.main()
