"""How values look in a failure."""

import os
import unittest

import tornado.websocket

from tornado_wstest import text
from tornado_wstest.text import elide, nearest, one_line, plural, show, show_error


class Rude:
    """Neither its repr nor its str works."""

    def __repr__(self):
        raise KeyError("no")


class Unprintable(str):
    """A text that must not be printed whole."""

    def __repr__(self):
        raise MemoryError


class RudeError(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise KeyError("no")


class ShowTest(unittest.TestCase):
    """`show`: a repr that is short and never raises."""

    def test_show_of_a_short_value(self):
        """A short value is shown by its repr."""
        self.assertEqual(show({"a": "b"}), "{'a': 'b'}")

    def test_show_of_a_long_value(self):
        """A long value is exactly as long as allowed, and whole at both ends."""
        shown = show(["first", *range(1000), "last"], 50)
        self.assertEqual(len(shown), 50)
        self.assertRegex(shown, r"^\['first', 0.* \.\.\. .*'last'\]$")

    def test_show_of_a_huge_text(self):
        """A huge text is shown by its ends, inside one pair of quotes."""
        shown = show("a" + "x" * 10_000_000 + "b", 30)
        self.assertEqual(shown, "'axxxxxxxxxxxxxx ... xxxxxxxb'")

    def test_show_of_huge_bytes(self):
        """Huge bytes are shown by their ends, inside one pair of quotes, also where they begin with b."""
        shown = show(b"b" * 1_000_000, 30)
        self.assertEqual(shown, "b'bbbbbbbbbbbbbb ... bbbbbbbb'")

    def test_show_of_a_huge_text_looks_at_its_ends(self):
        """A huge text is never printed whole, which would take as much memory again."""
        self.assertEqual(show(Unprintable("x" * 1000), 30), show("x" * 1000, 30))

    def test_show_of_a_text_just_short_of_huge(self):
        """A text that is long but not huge looks the same way."""
        self.assertEqual(show("x" * 120, 30), show("x" * 121, 30))

    def test_show_of_a_lone_surrogate(self):
        """A text that no terminal could print is shown escaped."""
        self.assertEqual(show("\ud800"), "'\\ud800'")

    def test_show_of_what_has_no_repr(self):
        """A value whose repr raises is named by its type, and by what was raised."""
        self.assertEqual(show([Rude()]), "<list whose repr raised KeyError>")

    def test_show_of_a_cycle(self):
        """A list that holds itself is shown."""
        cycle = []
        cycle.append(cycle)
        self.assertEqual(show(cycle), "[[...]]")

    def test_show_of_deep_nesting(self):
        """A value that is nested too deeply for its repr is still shown."""
        value = []
        for _ in range(100_000):
            value = [value]
        self.assertIn("RecursionError", show(value))


class ShowErrorTest(unittest.TestCase):
    """`show_error`: the name and the text of an exception."""

    def test_show_error(self):
        """An exception is shown by its name and text."""
        self.assertEqual(show_error(ValueError("bad room")), "ValueError: bad room")

    def test_show_error_with_a_long_text(self):
        """A long text is elided."""
        self.assertEqual(len(show_error(ValueError("x" * 1000), 60)), 60)

    def test_show_error_that_cannot_be_printed(self):
        """An exception whose str raises is named all the same."""
        self.assertEqual(show_error(RudeError()), "RudeError whose str raised KeyError")


class ElideTest(unittest.TestCase):
    """`elide`: the middle is cut out."""

    def test_elide_leaves_what_fits(self):
        """A text of exactly the width stays whole."""
        self.assertEqual(elide("x" * 20, 20), "x" * 20)

    def test_elide_keeps_both_ends(self):
        """Of a longer text, two thirds of the head and one third of the tail stay."""
        self.assertEqual(elide("abcdefghijklmnopqrstuvwxyz", 20), "abcdefghij ... vwxyz")

    def test_elide_fits_every_width(self):
        """The result is as wide as allowed, whatever the width."""
        for width in range(5, 60):
            self.assertEqual(len(elide("x" * 60, width)), width)


class WordsTest(unittest.TestCase):
    """`one_line`, `plural` and `nearest`."""

    def test_one_line(self):
        """Line breaks become spaces."""
        self.assertEqual(one_line("a\nb\r\nc"), "a b c")

    def test_plural(self):
        """One is singular, none and two are plural."""
        self.assertEqual([plural(n, "event") for n in (0, 1, 2)], ["0 events", "1 event", "2 events"])

    def test_nearest_to_a_slip(self):
        """A slip of the pen is answered with the name that was meant."""
        self.assertEqual(nearest("haeders", ["headers", "cookies"]), "did you mean 'headers'?")

    def test_nearest_to_nothing(self):
        """Where no name is close, all of them are listed, in order."""
        self.assertEqual(nearest("xyz", ["query", "cookies"]), "valid are: cookies, query")


class IsLibraryTest(unittest.TestCase):
    """Whose file is it?"""

    def test_files_of_libraries(self):
        """Files of Python, of Tornado and of this package are none of the user's."""
        for module in (os, tornado.websocket, text):
            with self.subTest(module=module.__name__):
                self.assertTrue(text.is_library(module.__file__))

    def test_files_of_the_users(self):
        """A test is the user's, also in a folder that is called like a library."""
        beside_ours = text.__file__.replace("tornado_wstest", "tornado_wstest_demo")
        for name in (__file__, "/home/ann/tornado/test_chat.py", beside_ours):
            with self.subTest(name=name):
                self.assertFalse(text.is_library(name))
