"""Bugs in what is done with values: their types, their ranges, what they stand for."""

import datetime
import enum
import json
import re

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("server-error")
def number_in_text():
    """Makes a number of the word behind ``roll``."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and message.startswith("roll "):
                self.write_message({"sides": int(message[5:])})

    return Application([("/", Handler)])


@buggy("server-error")
def text_and_number():
    """Adds what it gets to a number."""

    class Handler(WebSocketHandler):
        total = 0

        def on_message(self, message):
            data = as_object(message)
            if "amount" in data:
                self.total = (self.total + data["amount"]) % 1000
                self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error")
def null_name():
    """Expects text where null is possible, too."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if data.get("type") == "login" and isinstance(data.get("name"), (str, type(None))):
                self.write_message({"hello": data.get("name").title()})

    return Application([("/", Handler)])


@buggy("server-error")
def division():
    """Divides by a number that may be zero."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"op": "ratio", "of": int(of), "to": int(to)} if max(abs(of), abs(to)) < 10**6:
                    self.write_message({"ratio": of / to})

    return Application([("/", Handler)])


@buggy("server-error")
def not_finite():
    """Answers in strict JSON, which has no word for infinity; the parser takes it."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"celsius": float(celsius)}:
                    self.write_message(json.dumps({"kelvin": celsius + 273.15}, allow_nan=False))

    return Application([("/", Handler)])


@buggy("server-error")
def rounded():
    """Rounds a number to an integer; there are numbers that have none."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"volume": int() | float() as volume}:
                    self.write_message({"loud": round(volume) > 10})

    return Application([("/", Handler)])


@buggy("server-error")
def unhashable():
    """Looks a value up that may be a list."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if "seat" in data:
                self.write_message({"taken": data["seat"] in {"A1", "A2"}})

    return Application([("/", Handler)])


@buggy("server-error")
def mixed_list():
    """Sorts a list whose members need not compare."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"sort": list(values)} if not any(isinstance(value, (list, dict)) for value in values):
                    self.write_message({"first_is_last": sorted(values)[:1] == values[-1:]})

    return Application([("/", Handler)])


@buggy("server-error")
def largest_of_none():
    """Takes the largest of a list that may be empty."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"max": list(values)} if all(type(value) is int for value in values):
                    self.write_message({"positive": max(values) > 0})

    return Application([("/", Handler)])


@buggy("server-error")
def index_in_list():
    """Believes an index."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"slide": int(number)}:
                    self.write_message({"title": ["start", "middle", "end"][number]})

    return Application([("/", Handler)])


@buggy("server-error")
def iso_date():
    """Reads a date that is only text."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "book", "day": str(day)}:
                    self.write_message({"weekday": datetime.date.fromisoformat(day).weekday()})

    return Application([("/", Handler)])


@buggy("server-error")
def timestamp():
    """Makes a date of seconds that may be far beyond the calendar."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"sent_at": int(seconds)}:
                    self.write_message({"year": datetime.datetime.fromtimestamp(seconds, datetime.UTC).year})

    return Application([("/", Handler)])


@buggy("server-error")
def unknown_colour():
    """Makes a member of an enumeration of whatever it gets."""

    class Colour(enum.Enum):
        RED = "red"
        BLUE = "blue"

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"colour": str(colour)}:
                    self.write_message({"colour": Colour(colour).name})

    return Application([("/", Handler)])


@buggy("server-error")
def users_pattern():
    """Searches with a pattern that the user wrote, and that need not be one."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"find": str(pattern)}:
                    self.write_message({"found": bool(re.search(pattern, "den"))})

    return Application([("/", Handler)])


@buggy("server-error")
def asserted():
    """Checks with an assertion what a client may very well send."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if "version" in data:
                assert data["version"] in (1, 2), "what version is that?"
                self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error")
def nested_tree():
    """Walks through a tree of any depth by recursion."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if "tree" in data:
                self.write_message({"leaves": self.leaves(data["tree"])})

        def leaves(self, tree):
            return sum(self.leaves(branch) for branch in tree) if isinstance(tree, list) else 1

    return Application([("/", Handler)])


@buggy("server-error")
def negative_size():
    """Checks that a size is not too large, and forgets that it may be negative."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "allocate", "bytes": int(size)}:
                    if size > 1024:
                        self.close(1009, "that is too much")
                    else:
                        self.write_message(bytes(size), binary=True)

    return Application([("/", Handler)])
