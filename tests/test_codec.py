"""Messages, and the values they carry."""

import dataclasses
import unittest

from tornado_wstest.codec import JSON, UNDECODABLE, Codec
from tornado_wstest.errors import UsageError


class RudeError(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise KeyError("no")


def refuse(_):
    """Raise what cannot be printed."""
    raise RudeError


class EncodeTest(unittest.TestCase):
    """`Codec.to_message`."""

    def test_messages_stay_as_they_are(self):
        """A str and bytes are messages already; the codec is not asked."""
        codec = Codec(refuse, refuse)
        self.assertEqual([codec.to_message("foo"), codec.to_message(b"foo")], ["foo", b"foo"])

    def test_buffers_become_bytes(self):
        """A bytearray and a memoryview are binary messages."""
        for buffer in (bytearray(b"foo"), memoryview(b"foo")):
            message = JSON.to_message(buffer)
            self.assertEqual((type(message), message), (bytes, b"foo"))

    def test_values_are_encoded(self):
        """Any other value goes through encode."""
        self.assertEqual(JSON.to_message({"a": [1, None]}), '{"a": [1, null]}')

    def test_none_is_a_value(self):
        """None is encoded, too."""
        self.assertEqual(JSON.to_message(None), "null")

    def test_value_that_cannot_be_encoded(self):
        """A value that encode refuses is a misuse that names the value and the reason."""
        with self.assertRaisesRegex(
            UsageError, r"^\{1, 2\} cannot be encoded as a message: TypeError: .*set"
        ) as caught:
            JSON.to_message({1, 2})
        self.assertIsInstance(caught.exception.__cause__, TypeError)

    def test_cycle_cannot_be_encoded(self):
        """A value that holds itself is a misuse, too."""
        cycle = []
        cycle.append(cycle)
        with self.assertRaisesRegex(UsageError, "Circular reference"):
            JSON.to_message(cycle)

    def test_encode_that_raises_what_cannot_be_printed(self):
        """An exception that has no text is still named."""
        with self.assertRaisesRegex(UsageError, "RudeError whose str raised KeyError"):
            Codec(refuse, refuse).to_message(1)

    def test_encode_that_returns_no_message(self):
        """What encode returns must be a str or bytes."""
        with self.assertRaisesRegex(UsageError, "the codec encoded 1 as None; it must return str or bytes"):
            Codec(lambda value: None, refuse).to_message(1)


class DecodeTest(unittest.TestCase):
    """`Codec.to_value`."""

    def test_decode_is_asked_about_text_and_binary(self):
        """Both kinds of messages go through decode."""
        codec = Codec(refuse, len)
        self.assertEqual([codec.to_value("foo"), codec.to_value(b"ab")], [3, 2])

    def test_message_that_cannot_be_decoded(self):
        """A message that decode refuses has no value; nothing is raised."""
        self.assertIs(Codec(refuse, refuse).to_value("foo"), UNDECODABLE)

    def test_undecodable_equals_nothing(self):
        """What has no value equals nothing, not even itself, and has no place in a set."""
        self.assertFalse(UNDECODABLE == UNDECODABLE)  # noqa: PLR0124
        with self.assertRaises(TypeError):
            hash(UNDECODABLE)

    def test_undecodable_has_a_face(self):
        """In a failure it says what it is."""
        self.assertEqual(repr(UNDECODABLE), "<undecodable>")


class JsonTest(unittest.TestCase):
    """The default codec."""

    def test_json_decodes_objects_and_arrays(self):
        """A text that is an object or an array is decoded, also with white space around it."""
        self.assertEqual(JSON.to_value(' \r\n\t{"a": 1} '), {"a": 1})
        self.assertEqual(JSON.to_value("[1, null]"), [1, None])

    def test_json_leaves_other_texts(self):
        """Bare strings, numbers, null and plain words stay texts."""
        for text in ('"foo"', "1", "null", "true", "hello", "", " "):
            self.assertEqual(JSON.to_value(text), text)

    def test_json_leaves_what_only_looks_like_json(self):
        """A text that begins as JSON but is none stays a text."""
        for text in ("{", "[1", "{a: 1}", "[link](url)", "{}{}"):
            self.assertEqual(JSON.to_value(text), text)

    def test_json_leaves_binary_messages(self):
        """Bytes are never decoded."""
        self.assertEqual(JSON.to_value(b'{"a": 1}'), b'{"a": 1}')

    def test_json_leaves_what_is_nested_too_deeply(self):
        """A text that would exhaust the stack stays a text."""
        text = "[" * 100_000 + "]" * 100_000
        self.assertIs(JSON.to_value(text), text)

    def test_json_leaves_a_number_without_end(self):
        """A number of more digits than Python converts makes the message no JSON."""
        text = f"[{'9' * 10_000}]"
        self.assertIs(JSON.to_value(text), text)


class DeclarationTest(unittest.TestCase):
    """How a codec is made."""

    def test_codec_of_what_cannot_be_called(self):
        """Each of both must be a function; the error names which is not."""
        with self.assertRaisesRegex(UsageError, r"Codec\(encode=\) takes a function, not None"):
            Codec(None, refuse)
        with self.assertRaisesRegex(UsageError, r"Codec\(decode=\) takes a function, not 'json'"):
            Codec(refuse, "json")

    def test_codec_is_frozen(self):
        """A codec that several test cases share cannot be changed."""
        with self.assertRaises(dataclasses.FrozenInstanceError):
            JSON.encode = refuse
