"""What a message should look like, and why it does not."""

import collections
import decimal
import functools
import json
import math
import operator
import re
import sys
import types
import unittest
from unittest import mock

from dirty_equals import IsInt, IsList, IsPartialDict, IsPositive, IsStr
from hypothesis import given
from hypothesis import strategies as st

from tornado_wstest.codec import JSON, UNDECODABLE
from tornado_wstest.errors import UsageError
from tornado_wstest.matching import as_json, check_expected, containing, describe, explain, field, matches

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=10,
)
SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 0.0, -0.0, 1.0, 1.5, "", "1", "True"])


class RudeError(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise KeyError("no")


class Rude:
    """Can be neither compared nor printed."""

    def __eq__(self, other):
        raise RudeError

    __hash__ = None

    def __repr__(self):
        raise RudeError


class Undecided:
    """Compares like an array of numpy's: the outcome is neither true nor false."""

    def __eq__(self, other):
        return self

    __hash__ = None

    def __bool__(self):
        raise ValueError("ambiguous")


def is_red(value):
    """Say whether the value is red."""
    return value == "red"


def raising(value):
    """Raise what cannot be printed."""
    raise RudeError


def nested(depth):
    """Return a list inside a list, so many times."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


def cycle():
    """Return a list that holds itself."""
    value = []
    value.append(value)
    return value


def fits(expected, value):
    """Does the value match?"""
    return matches(expected, b"", value)


def fits_message(expected, message):
    """Does the message match, decoded as the default codec does?"""
    return matches(expected, message, JSON.to_value(message))


def why(expected, value):
    """Return why the value does not match."""
    return explain(expected, b"", value)


class MessageTest(unittest.TestCase):
    """A str or bytes is the message itself."""

    def test_text_is_the_message(self):
        """A str matches the text message of its characters, whether or not that could be decoded."""
        self.assertTrue(fits_message("foo", "foo"))
        self.assertTrue(fits_message('{"a": 1}', '{"a": 1}'))
        self.assertFalse(fits_message('{"a":1}', '{"a": 1}'))

    def test_binary_is_the_message(self):
        """Bytes match the binary message of these bytes."""
        self.assertTrue(fits_message(b"\x00", b"\x00"))
        self.assertFalse(fits_message(b"\x00", b"\x01"))

    def test_text_is_no_binary(self):
        """A text message is never a binary one."""
        self.assertFalse(fits_message("foo", b"foo"))
        self.assertFalse(fits_message(b"foo", "foo"))

    def test_message_that_cannot_be_decoded(self):
        """The message itself is compared also where the codec fails."""
        self.assertTrue(matches("foo", "foo", UNDECODABLE))

    def test_long_texts_show_where_they_part(self):
        """Of two long texts the failure shows the place where they part, and little else."""
        text = explain("x" * 5000 + "old", "x" * 5000 + "new", None)
        place = f"at character 5000: expected ...'{'x' * 20}old'..., got ...'{'x' * 20}new'..."
        self.assertEqual(text, f"  the texts part {place}")

    def test_long_bytes_show_where_they_part(self):
        """So it is with bytes, which would look alike with their middles cut out."""
        text = explain(b"a" * 200 + b"b" + b"a" * 200, b"a" * 401, None)
        self.assertRegex(text, r"^  the bytes part at byte 200: expected \.\.\.b'a{20}ba{39}'\.\.\., got ")

    def test_long_texts_that_part_at_once(self):
        """Where the first characters differ, the texts are shown from their beginnings."""
        text = explain("abc" + "x" * 200, "adc" + "x" * 200, None)
        self.assertRegex(text, r"at character 1: expected \.\.\.'abcx+'\.\.\., got \.\.\.'adcx+'\.\.\.")

    def test_long_text_that_goes_on(self):
        """Where one text begins with the other, they part at its end."""
        text = explain("x" * 200, "x" * 200 + "!", None)
        self.assertRegex(text, r"at character 200: expected \.\.\.'x{20}'\.\.\., got \.\.\.'x{20}!'\.\.\.")

    def test_long_text_that_is_a_member(self):
        """So it is inside a value."""
        text = why({"text": "x" * 200}, {"text": "x" * 100})
        self.assertRegex(text, r"^  at text: the texts part at character 100: ")

    def test_huge_message(self):
        """A message of megabytes is shown by its ends."""
        self.assertLess(len(explain("foo", "x" * 5_000_000, None)), 250)


class ValueTest(unittest.TestCase):
    """Anything else is compared with the value."""

    @given(VALUES)
    def test_value_matches_itself(self, value):
        """Every JSON value matches a copy of itself, and there is nothing to explain."""
        copy = json.loads(json.dumps(value))
        if not isinstance(value, str):
            self.assertTrue(fits(value, copy))
            self.assertEqual(why(value, copy), "")

    @given(st.lists(SCALARS, max_size=2), st.lists(SCALARS, max_size=2))
    def test_values_match_as_their_json_does(self, one, another):
        """Two values match if, and only if, they are written alike: True is not 1, but 1.0 is."""

        def number(digits):
            return int(float(digits)) if float(digits).is_integer() else float(digits)

        def written(value):
            return json.dumps(json.loads(json.dumps(value), parse_float=number))

        self.assertEqual(fits(one, another), written(one) == written(another))
        self.assertEqual(why(one, another) == "", written(one) == written(another))

    def test_true_is_not_one(self):
        """A bool never matches a number, wherever it stands."""
        for expected, value in ((True, 1), (0, False), ([True], [1]), ({"a": 0.0}, {"a": False}), ((1,), (True,))):
            with self.subTest(expected=expected, value=value):
                self.assertFalse(fits(expected, value))
        self.assertFalse(fits(True, decimal.Decimal(1)))

    def test_true_is_true(self):
        """A bool matches itself, and numbers of different types match if they are equal."""
        for expected, value in ((True, True), (False, False), (1, 1.0), (decimal.Decimal(2), 2)):
            self.assertTrue(fits([expected], [value]))

    def test_nan_is_nothing(self):
        """NaN equals nothing, by ==; the failure says that it only looks the same."""
        self.assertEqual(
            why([math.nan], [math.nan]), "  at 0: expected nan, got nan, which looks the same but is not equal"
        )
        self.assertTrue(fits([math.isnan], [math.nan]))

    def test_none_is_only_none(self):
        """None matches a null inside a value, and nothing that is only false."""
        self.assertTrue(fits({"a": None}, {"a": None}))
        for value in ({"a": False}, {"a": 0}, {"a": ""}, {}):
            self.assertFalse(fits({"a": None}, value))

    def test_unequal_value(self):
        """The failure shows both."""
        self.assertEqual(why(1, 2), "  expected 1, got 2")

    def test_value_that_cannot_be_decoded(self):
        """What the codec cannot decode matches no value; the failure shows the message."""
        self.assertFalse(matches({}, "foo", UNDECODABLE))
        self.assertFalse(matches(mock.ANY, "foo", UNDECODABLE))
        self.assertEqual(explain({}, "foo", UNDECODABLE), "  expected {}, but the codec cannot decode 'foo'")

    def test_equality_of_others(self):
        """mock.ANY and dirty-equals decide for themselves, at the top and inside."""
        self.assertTrue(fits(mock.ANY, {"a": 1}))
        self.assertTrue(fits({"a": mock.ANY, "b": [IsInt(), IsStr]}, {"a": None, "b": [1, "x"]}))
        self.assertTrue(fits(IsPartialDict(a=IsPositive) & ~IsList(), {"a": 1, "b": 2}))
        self.assertFalse(fits({"a": IsInt()}, {"a": "1"}))

    def test_equality_that_raises(self):
        """An object whose == raises is no match; the failure says so, even where nothing can be printed."""
        text = why([Rude()], [1])
        self.assertEqual(
            text,
            "  at 0: comparing <Rude whose repr raised RudeError> with 1 raised RudeError whose str raised KeyError",
        )

    def test_equality_without_an_outcome(self):
        """An outcome of == that is neither true nor false is no match."""
        self.assertRegex(why({"a": Undecided()}, {"a": 1}), r"^  at a: comparing .* raised ValueError: ambiguous$")

    def test_value_whose_equality_raises(self):
        """So it is where the codec made such a value."""
        self.assertFalse(fits([1], [Rude()]))


class MemberTest(unittest.TestCase):
    """Dicts, lists and tuples are compared member by member."""

    def test_members_may_be_any_expectation(self):
        """Predicates, patterns and matchers work inside, at any depth."""
        expected = {"a": [is_red, re.compile("^b"), containing(c=1)], "d": field("e", as_json(None))}
        self.assertTrue(fits(expected, {"a": ["red", "blue", {"c": 1, "x": 2}], "d": {"e": "null"}}))
        self.assertFalse(fits(expected, {"a": ["red", "blue", {"c": 2, "x": 2}], "d": {"e": "null"}}))

    def test_text_inside_is_a_text(self):
        """Inside a value a str is compared with the str that stands there."""
        self.assertTrue(fits({"a": "1"}, {"a": "1"}))
        self.assertFalse(fits({"a": "1"}, {"a": 1}))

    def test_members_that_differ(self):
        """Each difference is named by its path: missing, of another value, not expected."""
        text = why({"a": 1, "b": {"c": [1, 2]}, "d": 4}, {"a": 1, "b": {"c": [1, 3]}, "e": 5})
        self.assertEqual(
            text,
            "  at b/c/1: expected 2, got 3\n  at d: expected 4, but it is missing\n  at e: not expected, got 5",
        )

    def test_list_that_is_too_short(self):
        """A missing item is shown as what was expected."""
        self.assertEqual(why([1, is_red], [1])[:40], "  at 1: expected is_red (test_matching.p")
        self.assertIn("but the list ends before", why([1, 2], [1]))

    def test_list_that_is_too_long(self):
        """An item too many is shown."""
        self.assertEqual(why([1], [1, {"a": 2}]), "  at 1: not expected, got {'a': 2}")

    def test_list_is_no_tuple(self):
        """A list and a tuple differ, as they do by ==."""
        self.assertFalse(fits([1], (1,)))
        self.assertFalse(fits((1,), [1]))

    def test_tuple_of_expectations(self):
        """Inside a tuple, which a codec may yield, members work, too."""
        self.assertTrue(fits((is_red, 1), ("red", 1)))
        self.assertFalse(fits((is_red, 1), ("blue", 1)))

    def test_mapping_is_an_object(self):
        """A codec may yield any mapping."""
        value = types.MappingProxyType({"a": collections.OrderedDict(b="red")})
        self.assertTrue(fits({"a": {"b": is_red}}, value))
        self.assertFalse(fits({"a": {"b": is_red}}, types.MappingProxyType({"a": []})))

    def test_names_that_are_no_texts(self):
        """Names may be numbers or bytes, as in msgpack."""
        self.assertEqual(why({1: "a"}, {1: "b"}), "  at 1: expected 'a', got 'b'")
        self.assertEqual(
            why({1: "a"}, {2: "b"}), "  at 1: expected 'a', but it is missing\n  at 2: not expected, got 'b'"
        )

    def test_many_differences(self):
        """No more than eight differences are shown, and the others counted."""
        lines = why([0] * 11, [1] * 11).splitlines()
        self.assertEqual(len(lines), 9)
        self.assertEqual(lines[-1], "  ... and 3 more differences")
        self.assertEqual(why([0] * 9, [1] * 9).splitlines()[-1], "  ... and 1 more difference")

    def test_name_without_end(self):
        """A name of thousands of characters is elided."""
        self.assertLess(len(why({}, {"x" * 5000: 1})), 300)

    def test_value_nested_too_deeply(self):
        """A value that exhausts the stack is no match, and nothing is raised."""
        self.assertFalse(fits(nested(5000), nested(5000)))
        self.assertRegex(
            explain(nested(5000), "[[]]", nested(5000)), r"'\[\[\]\]' is nested too deeply to be compared$"
        )

    def test_value_nested_deeply(self):
        """A hundred levels are compared."""
        self.assertTrue(fits(nested(100), nested(100)))
        self.assertFalse(fits(nested(100), nested(101)))

    def test_value_that_holds_itself(self):
        """A cycle on one side is a difference, on both sides too deep."""
        self.assertFalse(fits([[]], cycle()))
        self.assertFalse(fits(cycle(), cycle()))


class PatternTest(unittest.TestCase):
    """A compiled pattern is searched."""

    def test_pattern_is_searched_in_text(self):
        """It need not stand at the beginning; it sees the text also where that is JSON."""
        self.assertTrue(fits_message(re.compile("o+"), "foo"))
        self.assertTrue(fits_message(re.compile('"a": 1'), '{"a": 1}'))

    def test_pattern_of_bytes(self):
        """A pattern of bytes is searched in binary messages."""
        self.assertTrue(fits_message(re.compile(b"\xff$"), b"\x00\xff"))

    def test_pattern_that_is_not_found(self):
        """The failure shows the pattern and the text."""
        self.assertEqual(explain(re.compile("^x"), "foo", "foo"), "  expected to find the pattern '^x' in 'foo'")

    def test_pattern_of_another_kind(self):
        """A pattern of text finds nothing in bytes, one of bytes nothing in text; neither raises."""
        self.assertEqual(explain(re.compile("x"), b"x", b"x"), "  expected text in which 'x' is found, got b'x'")
        self.assertEqual(explain(re.compile(b"x"), "x", "x"), "  expected bytes in which b'x' is found, got 'x'")

    def test_pattern_inside(self):
        """A member that is no text holds no pattern."""
        self.assertTrue(fits({"a": re.compile("[0-9]")}, {"a": "x1"}))
        self.assertEqual(why({"a": re.compile("1")}, {"a": 1}), "  at a: expected text in which '1' is found, got 1")


class PredicateTest(unittest.TestCase):
    """A function is a predicate of the value."""

    def test_predicate_sees_the_value(self):
        """It is given the decoded value, not the message."""
        self.assertTrue(fits_message(lambda value: value["a"] == 1, '{"a": 1}'))
        self.assertTrue(fits_message(lambda value: value == "foo", "foo"))

    def test_predicates_of_every_kind(self):
        """Functions, methods, built-in functions, unbound methods and partials are predicates."""
        for predicate in (
            is_red,
            self.is_red,
            {"red": 1}.__contains__,
            ["red"].__contains__,
            "red".__eq__,
            "red!".startswith,
            str.isalpha,
            functools.partial(operator.eq, "red"),
        ):
            with self.subTest(predicate=predicate):
                self.assertTrue(fits([predicate], ["red"]))
                self.assertFalse(fits([predicate], ["1"]))

    def is_red(self, value):
        """Say whether the value is red."""
        return value == "red"

    def test_predicate_that_is_a_slot(self):
        """So is what a type of C has for an operator."""
        check_expected(int.__bool__)
        self.assertTrue(fits([int.__bool__], [2]))
        self.assertFalse(fits([int.__bool__], [0]))

    def test_predicate_that_is_false(self):
        """The failure names the predicate, its place, and the value."""
        line = is_red.__code__.co_firstlineno
        self.assertEqual(why(is_red, "blue"), f"  is_red (test_matching.py:{line}) is False for 'blue'")

    def test_predicate_that_raises(self):
        """An exception is no match, and is shown."""
        self.assertFalse(fits(lambda value: value["a"], []))
        self.assertRegex(why(lambda value: value["a"], {}), r"^  <lambda> \(.*\) raised KeyError: 'a' for \{\}$")

    def test_predicate_that_raises_what_cannot_be_printed(self):
        """Even then nothing is raised."""
        self.assertRegex(
            why({"a": raising}, {"a": 1}), "at a: raising .* raised RudeError whose str raised KeyError for 1"
        )

    def test_predicate_that_asserts(self):
        """A failing assertion in it is no match, either."""
        self.assertFalse(fits(lambda value: self.assertEqual(value, 1), 2))

    def test_predicate_that_is_interrupted(self):
        """What is no Exception is not kept from the test."""
        with self.assertRaises(KeyboardInterrupt):
            fits(mock.Mock(side_effect=KeyboardInterrupt).__call__, 1)

    def test_predicate_without_an_answer(self):
        """What is neither True nor False is a misuse: such a predicate might always be true."""
        for predicate in (lambda value: None, lambda value: value, re.compile("x").search, lambda value: 1):
            with self.assertRaisesRegex(UsageError, "returned .*\na predicate returns True or False"):
                fits([predicate], ["x"])

    def test_predicate_is_not_asked_what_has_no_value(self):
        """A message that the codec cannot decode is no match."""
        self.assertFalse(matches(raising, "foo", UNDECODABLE))


class ContainingTest(unittest.TestCase):
    """`containing`: an object with at least these members."""

    def test_containing_what_is_there(self):
        """Other members do not matter, at any depth."""
        value = {"type": "joined", "user": {"name": "ann", "age": 7}, "time": 1}
        self.assertTrue(fits(containing(type="joined", user={"name": "ann"}), value))

    def test_containing_nothing(self):
        """Without members any object matches, and nothing else does."""
        self.assertTrue(fits(containing(), {"a": 1}))
        self.assertEqual(why(containing(), [1]), "  expected an object with {}, got [1]")
        self.assertEqual(why(containing(a=1), "foo"), "  expected an object with {'a': 1}, got 'foo'")

    def test_containing_a_mapping(self):
        """Names that are no identifiers are given as a mapping."""
        members = types.MappingProxyType({"content-type": "text"})
        self.assertTrue(fits(containing(members, size=1), {"content-type": "text", "size": 1}))
        self.assertFalse(fits(containing(members, size=1), {"content-type": "text", "size": 2}))

    def test_containing_another(self):
        """What is missing or different is named by its path; what is too much is not."""
        text = why(containing(a={"b": 1, "c": 2}, d=3), {"a": {"b": 5, "x": 1}, "y": 1})
        self.assertEqual(
            text,
            "  at a/b: expected 1, got 5\n  at a/c: expected 2, but it is missing\n"
            "  at d: expected 3, but it is missing",
        )

    def test_containing_an_object_where_there_is_none(self):
        """A member that should be an object, and is none, is shown."""
        self.assertEqual(why(containing(a={"b": 1}), {"a": None}), "  at a: expected an object with {'b': 1}, got None")

    def test_containing_null(self):
        """A member that is null is not one that is missing."""
        self.assertTrue(fits(containing(a=None), {"a": None}))
        self.assertFalse(fits(containing(a=None), {}))

    def test_containing_a_list(self):
        """A list has as many items as expected; objects in it may have more members."""
        expected = containing(users=[{"name": "ann"}, {"name": "bob"}])
        self.assertTrue(fits(expected, {"users": [{"name": "ann", "age": 1}, {"name": "bob"}]}))
        self.assertFalse(fits(expected, {"users": [{"name": "ann"}]}))
        self.assertFalse(fits(expected, {"users": None}))

    def test_containing_any_expectation(self):
        """Members may be predicates, patterns and matchers."""
        expected = containing(a=is_red, b=re.compile("x"), c=containing(d=1), e=mock.ANY)
        self.assertTrue(fits(expected, {"a": "red", "b": "xx", "c": {"d": 1, "f": 2}, "e": None}))
        self.assertFalse(fits(expected, {"a": "red", "b": "xx", "c": {"d": True, "f": 2}, "e": None}))

    def test_containing_of_no_mapping(self):
        """What is no mapping is refused."""
        with self.assertRaisesRegex(UsageError, "containing.* takes a mapping or keyword arguments, not 'joined'"):
            containing("joined")

    def test_containing_shows_itself(self):
        """In a failure a function inside is shown by its name."""
        self.assertRegex(
            repr(containing(a=1, b=is_red)), r"^containing\(\{'a': 1, 'b': is_red \(test_matching.py:\d+\)\}\)$"
        )


class FieldTest(unittest.TestCase):
    """`field`: one place inside the value."""

    VALUE = {"body": [{"colour": "red", "size": None}, {"colour": "blue"}], "0": {"x": 1}}

    def test_field_of_names_and_numbers(self):
        """A path goes through members and items; a number is also the name of a member."""
        for path, value in (("body/0/colour", "red"), ("body/-1/colour", "blue"), ("0/x", 1), ("/0/x", 1)):
            with self.subTest(path=path):
                self.assertTrue(fits(field(path, value), self.VALUE))
                self.assertFalse(fits(field(path, "green"), self.VALUE))

    def test_field_of_any_item(self):
        """Nothing between two slashes is any member or item."""
        self.assertTrue(fits(field("body//colour", "blue"), self.VALUE))
        self.assertTrue(fits(field("//colour", "red"), self.VALUE["body"]))
        self.assertTrue(fits(field("///colour", "red"), self.VALUE))
        self.assertTrue(fits(field("0/", 1), self.VALUE))
        self.assertFalse(fits(field("body//colour", "green"), self.VALUE))

    def test_field_that_is_null(self):
        """A place that holds null is there, one that does not exist is not."""
        self.assertTrue(fits(field("body/0/size", None), self.VALUE))
        self.assertTrue(fits(field("body//size", None), self.VALUE))
        self.assertFalse(fits(field("body/1/size", None), self.VALUE))

    def test_field_below_null(self):
        """There is nothing below null, a number or a text."""
        for value in (None, 1, "text", b"bytes"):
            self.assertFalse(fits(field("a/0", mock.ANY), {"a": value}))

    def test_field_that_is_not_there(self):
        """The failure shows the path and the value."""
        for path in ("a/c", "d/2", "d/-3", "d/x", "a//c"):
            with self.subTest(path=path):
                text = why(field(path, 1), {"a": {"b": 1}, "d": [0, 0]})
                place = f"  at {path}: expected 1, but there is no such place in {{'a': {{'b': 1}}, 'd': [0, 0]}}"
                self.assertEqual(text, place)

    def test_field_of_another_value(self):
        """The failure says what is there, also deep inside."""
        self.assertEqual(why(field("a", {"b": 1}), {"a": {"b": 2}}), "  at a/b: expected 1, got 2")

    def test_field_of_several_other_values(self):
        """Of several places all values are shown."""
        text = why(field("body//colour", "green"), self.VALUE)
        self.assertEqual(text, "  at body//colour: expected 'green' in one of ['red', 'blue']")

    def test_field_inside(self):
        """Inside another expectation its path goes on from there."""
        self.assertEqual(why({"x": field("a", 1)}, {"x": {"a": 2}}), "  at x/a: expected 1, got 2")

    def test_field_in_a_text(self):
        """A message that is no object has no such place."""
        self.assertFalse(fits_message(field("a", mock.ANY), "hello"))

    def test_field_without_a_path(self):
        """A path has a name in it."""
        for path in ("", "/", "//", None, 0):
            with self.assertRaisesRegex(UsageError, "field.* takes a path such as 'body/0/colour', not"):
                field(path, 1)

    def test_field_along_a_path_without_end(self):
        """A path that exhausts the stack is no match, and nothing is raised."""
        value = cycle()
        self.assertFalse(fits(field("/".join(["0"] * 5000), 1), value))

    def test_field_shows_itself(self):
        """In a failure it looks as it is written."""
        self.assertEqual(repr(field("a/b", "red")), "field('a/b', 'red')")


class AsJsonTest(unittest.TestCase):
    """`as_json`: the decoded form of a text."""

    def test_as_json_of_bare_values(self):
        """Bare strings, numbers and null are JSON, too."""
        for value in ("foo", 1, 1.5, None, True, {"a": [1]}):
            self.assertTrue(fits_message(as_json(value), json.dumps(value)))

    def test_as_json_of_another_value(self):
        """The failure says where it differs; True is not 1 here either."""
        self.assertEqual(explain(as_json({"a": 1}), '{"a": 2}', None), "  at a: expected 1, got 2")
        self.assertFalse(fits_message(as_json(True), "1"))

    def test_as_json_of_no_json(self):
        """A text that is no JSON is no match; the failure says why."""
        text = explain(as_json("foo"), "foo", "foo")
        self.assertEqual(text, "  expected JSON, but 'foo' is none: Expecting value: line 1 column 1 (char 0)")

    def test_as_json_of_what_is_no_text(self):
        """Nor does it raise for bytes that are no text, for what is nested too deeply, or inside for a number."""
        self.assertFalse(fits_message(as_json(1), b"\xff"))
        self.assertFalse(fits_message(as_json([]), "[" * 100_000))
        self.assertFalse(fits({"a": as_json(1)}, {"a": 1}))

    def test_as_json_ignores_the_codec(self):
        """It looks at the message, whatever the codec makes of it."""
        self.assertTrue(matches(as_json(None), "null", UNDECODABLE))

    def test_as_json_inside(self):
        """JSON that travels inside JSON can be looked at."""
        self.assertTrue(fits({"body": as_json(containing(a=1))}, {"body": '{"a": 1, "b": 2}'}))
        self.assertEqual(why({"body": as_json([1])}, {"body": "[2]"}), "  at body/0: expected 1, got 2")

    def test_as_json_shows_itself(self):
        """In a failure it looks as it is written."""
        self.assertEqual(repr(as_json(None)), "as_json(None)")


class CheckTest(unittest.TestCase):
    """`check_expected`: what can never be meant."""

    def test_check_accepts_every_expectation(self):
        """Whatever the module's docstring lists is accepted, and what compares for itself."""
        for expected in (
            *("foo", b"foo", None, True, 1, {"a": [1, (2,)]}, re.compile("x"), is_red, str.isalpha, mock.ANY),
            *(containing(a=1), field("a", 1), as_json(1), IsInt, IsInt(), functools.partial(is_red), {1, 2}),
        ):
            check_expected(expected)

    def test_check_refuses_a_class(self):
        """No message is a class."""
        with self.assertRaisesRegex(
            UsageError, r"the class int is no .*\nuse .*: lambda value: isinstance\(value, int\)"
        ):
            check_expected(int)

    def test_check_refuses_a_mock(self):
        """A mock used as a predicate would always be true."""
        for fake in (mock.Mock(), mock.MagicMock(), mock.AsyncMock(), mock.NonCallableMock()):
            with self.assertRaisesRegex(UsageError, "a mock used as a predicate is always true"):
                check_expected(fake)

    def test_check_does_without_the_mock_module(self):
        """Where nobody has imported unittest.mock there are no mocks, and it is not imported."""
        with mock.patch.dict("sys.modules"):
            del sys.modules["unittest.mock"]
            check_expected(1)
            self.assertNotIn("unittest.mock", sys.modules)

    def test_check_refuses_an_async_function(self):
        """The coroutine that it returns would always be true; also as a method or a partial."""

        async def predicate(value):
            return True

        for expected in (predicate, functools.partial(predicate), types.MethodType(predicate, 1)):
            with self.assertRaisesRegex(UsageError, "is async; it must return True or False"):
                check_expected(expected)

    def test_check_refuses_what_was_not_awaited(self):
        """A coroutine as an expectation is a forgotten await."""

        async def receive():
            return "foo"

        coroutine = receive()
        self.addCleanup(coroutine.close)
        with self.assertRaisesRegex(UsageError, "it must be awaited first"):
            check_expected(coroutine)

    def test_check_refuses_other_callables(self):
        """What can be called, but is no function, would be compared, and equal nothing."""
        for expected in (operator.itemgetter("a"), functools.lru_cache(is_red)):
            with self.assertRaisesRegex(UsageError, "it can be called, but is no function"):
                check_expected(expected)

    def test_check_looks_inside(self):
        """The same is refused inside dicts, lists, tuples and matchers."""
        for build in (
            lambda bad: {"a": bad},
            lambda bad: [1, bad],
            lambda bad: {"a": [({"b": bad},)]},
            lambda bad: containing(a=bad),
            lambda bad: containing({"a": [bad]}),
            lambda bad: field("a", bad),
            as_json,
        ):
            with self.assertRaises(UsageError):
                check_expected(build(int))

    def test_check_refuses_what_has_no_end(self):
        """An expectation that holds itself is refused."""
        with self.assertRaisesRegex(UsageError, r"the expectation \[\[\.\.\.\]\] is nested too deeply"):
            check_expected(cycle())


class DescribeTest(unittest.TestCase):
    """`describe`: an expectation in a failure."""

    def test_describe_a_function(self):
        """A function is shown by its name and place."""
        self.assertEqual(describe(is_red), f"is_red (test_matching.py:{is_red.__code__.co_firstlineno})")

    def test_describe_a_method_and_a_partial(self):
        """So are a method and a partial of a function."""
        method = types.MethodType(is_red, 1)
        self.assertEqual([describe(method), describe(functools.partial(is_red))], [describe(is_red)] * 2)

    def test_describe_what_has_no_source(self):
        """A built-in function and a partial of one are shown by their repr."""
        self.assertEqual(describe(math.isnan), "<built-in function isnan>")
        self.assertEqual(describe(functools.partial(operator.eq, 1)), "functools.partial(<built-in function eq>, 1)")

    def test_describe_a_value(self):
        """Anything else is shown by its repr, elided, and without ever raising."""
        self.assertEqual(describe({"a": 1}), "{'a': 1}")
        self.assertEqual(len(describe("x" * 1000)), 200)
        self.assertEqual(describe(Rude()), "<Rude whose repr raised RudeError>")
