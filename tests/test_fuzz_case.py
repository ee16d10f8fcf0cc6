"""A case as values that JSON has, and back."""

import json
import unittest

from tornado_wstest import UsageError
from tornado_wstest.fuzzing.case import Case, Visit

EVERYTHING = Visit(
    path="/chat?room=den",
    messages=("hi", "\x00\U0001f600", b"\xff\x00", ""),
    ping=b"\x01",
    ending=None,
    pipelined=True,
    origin="http://foreign.example",
    subprotocols=("chat.v1",),
    declared_size=10,
)


class JsonTest(unittest.TestCase):
    """How a case is kept."""

    def test_there_and_back(self):
        """Every part of a case comes back as it was, through the text of a file."""
        for case in (Case((EVERYTHING, Visit())), Case((Visit("/"),)), Case(())):
            with self.subTest(case=case):
                self.assertEqual(Case.from_json(json.loads(json.dumps(case.to_json()))), case)

    def test_what_is_as_ever_is_left_out(self):
        """A plain visit is a path and its messages."""
        self.assertEqual(Case((Visit("/", ("a",)),)).to_json()["visits"], [{"path": "/", "messages": [{"text": "a"}]}])

    def test_what_is_no_case(self):
        """Anything else is refused with a sentence."""
        visits = ([{}], [{"path": 3}], [{"path": "/", "x": 1}], [{"path": "/", "messages": [{"base64": "?"}]}], [3])
        values = [None, [], {"version": 2, "visits": []}, {"version": 1}]
        for value in values + [{"version": 1, "visits": one} for one in visits]:
            with self.subTest(value=value), self.assertRaises(UsageError):
                Case.from_json(value)


class SizeTest(unittest.TestCase):
    """What is the smaller example."""

    def test_order(self):
        """Fewer visits, then fewer messages, then an ordinary end, then shorter ones."""
        ordered = [
            Case((Visit("/"),)),
            Case((Visit("/", ("a",)),)),
            Case((Visit("/", ("aa",)),)),
            Case((Visit("/", ("a",), ending=None),)),
            Case((Visit("/", ("a", "b")),)),
            Case((Visit("/"), Visit("/"))),
        ]
        self.assertEqual(sorted(reversed(ordered), key=lambda case: case.size), ordered)

    def test_messages(self):
        """The messages of all visits, in their order."""
        self.assertEqual(Case((Visit("/", ("a",)), Visit("/", (b"b",)))).messages, ("a", b"b"))
