"""Payloads as a person reads them."""

import json
import unittest

from tornado_wstest.readable import hex_dump, laid_out


class LaidOutTest(unittest.TestCase):
    """JSON, each member on a line of its own."""

    def test_laid_out_members(self):
        """Objects and arrays are indented; empty ones stay on their line."""
        self.assertEqual(
            laid_out('{"a":[1,{"b" :null}], "c":{},"d":[ ]}'),
            '{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "c": {},\n  "d": []\n}',
        )

    def test_laid_out_is_how_python_does_it(self):
        """What `json.dumps` writes with an indent is how it looks."""
        value = {"type": "said", "to": ["ann", {"x": [[], {}, [0.5, -1, True]]}], "text": 'a "quote", a \\ and [x]'}
        self.assertEqual(laid_out(json.dumps(value)), json.dumps(value, indent=2))

    def test_laid_out_keeps_each_token(self):
        """Numbers, escapes and doubled names stand as they came."""
        self.assertEqual(
            laid_out('{"a": 1.10, "a": "\\u00e9\\"{,}", "b": NaN}'),
            '{\n  "a": 1.10,\n  "a": "\\u00e9\\"{,}",\n  "b": NaN\n}',
        )

    def test_laid_out_of_what_is_no_object_or_array(self):
        """Other texts, JSON or not, are no matter of it."""
        for text in ("", "hello", '"a"', "1", "null", "{", '{"a": }', "[1,]", "[" * 100_000):
            with self.subTest(text=text[:20]):
                self.assertIsNone(laid_out(text))

    def test_laid_out_of_what_would_get_too_long(self):
        """What is nested deep, and long there, comes back as it is."""
        text = "[" * 300 + "1," * 1000 + "1" + "]" * 300
        self.assertEqual(laid_out(text), text)


class HexDumpTest(unittest.TestCase):
    """Bytes in hexadecimal."""

    def test_hex_dump_rows(self):
        """Sixteen bytes a row, after their offset, before their ASCII characters."""
        self.assertEqual(
            hex_dump(bytes(range(60, 80))),
            "00000000  3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK\n"
            "00000010  4c 4d 4e 4f                                      LMNO",
        )

    def test_hex_dump_of_what_is_no_letter(self):
        """A byte that is no visible ASCII character is a dot."""
        self.assertTrue(hex_dump(b"\x00\x1f ~\x7f\xff").endswith("  .. ~.."))

    def test_hex_dump_from_an_offset(self):
        """The first offset may be another than 0."""
        self.assertTrue(hex_dump(b"x", 1000).startswith("000003e8  78 "))

    def test_hex_dump_of_nothing(self):
        """No bytes are no rows."""
        self.assertEqual(hex_dump(b""), "")
