"""The transcript as JSON."""

import json
import unittest

from tornado_wstest.portable import close_parts, stack_of, to_json
from tornado_wstest.transcript import Event


class RudeError(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise KeyError("no")


def raised():
    """Return an exception with a traceback and a cause."""
    try:
        try:
            {}["den"]
        except KeyError as error:
            raise ValueError("no room") from error
    except ValueError as error:
        return error


class ToJsonTest(unittest.TestCase):
    """A list of events that a reader in any language takes."""

    def read(self, *events, sender="client"):
        """Return the objects that are written for ``events``."""
        return json.loads(to_json(events, lambda event: sender))

    def payload(self, kind, payload):
        """Return what is written for the payload of one event."""
        (event,) = self.read(Event(0, "ann", kind, payload))
        return event["payload"]

    def test_event(self):
        """An event has its time, client, kind and payload, and the side it came from."""
        self.assertEqual(
            self.read(Event(0.5, "ann", "sent", "hi")),
            [{"time": 0.5, "client": "ann", "kind": "sent", "from": "client", "payload": "hi"}],
        )

    def test_events_in_order_each_on_its_line(self):
        """A line of the file is an event, so that line tools work, too."""
        lines = to_json([Event(n, "ann", "sent", "a\nb") for n in range(3)], lambda event: "client").splitlines()
        self.assertEqual((lines[0], lines[-1], len(lines)), ("[", "]", 5))
        self.assertEqual([json.loads(line.rstrip(","))["time"] for line in lines[1:-1]], [0, 1, 2])

    def test_no_event(self):
        """Nothing is an empty list."""
        self.assertEqual(self.read(), [])

    def test_bytes(self):
        """Bytes are Base64, and say so; a text that looks like it does not."""
        message, text = self.read(Event(0, "ann", "received", b"\x00\xff"), Event(0, "ann", "received", "AP8="))
        self.assertEqual((message["payload"], message["encoding"]), ("AP8=", "base64"))
        self.assertEqual((text["payload"], "encoding" in text), ("AP8=", False))

    def test_text_of_any_characters(self):
        """Every text comes back as it was, and the file is ASCII."""
        text = 'é \U0001f600 \x00 </script> "\\ \u2028'
        self.assertEqual(self.payload("received", text), text)
        self.assertTrue(to_json([Event(0, "", "sent", text)], lambda event: "").isascii())

    def test_mark_came_from_nobody(self):
        """A mark is neither the client's nor the server's."""
        (mark,) = self.read(Event(0, "", "mark", "all in"), sender="")
        self.assertEqual((mark["from"], mark["client"], mark["payload"]), (None, "", "all in"))

    def test_close_has_code_and_reason(self):
        """Code and reason of a close need not be cut out of a text."""
        for text, code, reason in (
            ("4001 'who are you?'", 4001, "who are you?"),
            ("1006 (no close frame)", 1006, ""),
            ('1009 (message too big) "it\'s (too) long"', 1009, "it's (too) long"),
            ("dropped", None, ""),
            ("no code", None, ""),
        ):
            with self.subTest(text=text):
                self.assertEqual(self.payload("close", text), {"code": code, "reason": reason, "text": text})
                self.assertEqual(close_parts(text), (code, reason))

    def test_error_has_its_traceback(self):
        """An exception is its type, its message, and the traceback with the causes."""
        payload = self.payload("error", raised())
        self.assertEqual((payload["type"], payload["message"]), ("ValueError", "no room"))
        self.assertRegex(payload["traceback"], r"(?s)^Traceback.*KeyError: 'den'.*direct cause.*ValueError: no room\n$")

    def test_error_that_cannot_be_printed(self):
        """An exception whose str raises is written all the same."""
        payload = self.payload("error", RudeError())
        self.assertEqual(payload["message"], "RudeError whose str raised KeyError")
        self.assertIn("RudeError", payload["traceback"])

    def test_payload_of_another_kind(self):
        """What is no text and no bytes is written as Python shows it."""
        self.assertEqual(self.payload("sent", {1, 2}), "{1, 2}")
        self.assertIsNone(self.payload("reject", None))

    def test_stack_of_an_error_that_cannot_be_formatted(self):
        """Where Python cannot print a traceback there is the exception's name."""
        self.assertTrue(stack_of(SyntaxError("no", ("chat.py", 1, 1, 5))).startswith("SyntaxError: no"))

    def test_stack_of_an_error_without_one(self):
        """An exception that was never raised is its last line."""
        self.assertEqual(stack_of(ValueError("no")), "ValueError: no\n")
