"""The same sorts of bugs in apps that are written in other ways: tables, classes of messages, lines, records."""

import collections
import datetime
import itertools
import json
import re
import struct

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy

DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})$", re.ASCII)
HEADER = struct.Struct(">BBH")


@buggy("server-error")
def list_of_arguments():
    """Takes JSON lists with a command in front, and any place on the board."""

    class Handler(WebSocketHandler):
        def open(self):
            self.cells = [["."] * 8 for _ in range(8)]

        def on_message(self, message):
            match as_list(message):
                case ["place", int(x), int(y), str(mark)]:
                    self.cells[y][x] = mark[:1]
                    self.write_message(json.dumps(["placed", x, y]))
                case ["clear"]:
                    self.open()
                case _:
                    self.write_message(json.dumps(["error"]))

    return Application([("/", Handler)])


@buggy("server-error")
def base_class_dispatches():
    """Looks up its methods by their names in a base class, and does not look at an amount."""

    class Actions(WebSocketHandler):
        def on_message(self, message):
            body = as_object(message)
            names = {name.removeprefix("action_"): name for name in dir(self) if name.startswith("action_")}
            name = body.get("action")
            if not isinstance(name, str) or name not in names:
                return self.write_message({"error": "action"})
            return getattr(self, names[name])(body)

    class Bank(Actions):
        def action_balance(self, body):
            self.write_message({"balance": 100})

        def action_transfer(self, body):
            self.write_message({"done": body.get("amount", 0) <= 100})

    return Application([("/", Bank)])


@buggy("server-error")
def registered_classes():
    """Has a class for each event, and adds up counts that it never looked at."""
    events = {}

    def event(name):
        return lambda cls: events.setdefault(name, cls)

    @event("cart.add")
    class Add:
        def __init__(self, body):
            self.item = str(body.get("item"))
            self.count = body.get("count", 1)

        def apply(self, cart):
            cart[self.item] += self.count

    @event("cart.clear")
    class Clear:
        def __init__(self, body):
            pass

        def apply(self, cart):
            cart.clear()

    class Handler(WebSocketHandler):
        def open(self):
            self.cart = collections.Counter()

        def on_message(self, message):
            body = as_object(message)
            cls = events.get(body.get("event")) if isinstance(body.get("event"), str) else None
            if cls is not None:
                cls(body).apply(self.cart)
            self.write_message({"lines": len(self.cart)})

    return Application([("/", Handler)])


@buggy("server-error")
def day_of_a_pattern():
    """Thinks that whatever looks like a day is one."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            verb, _, rest = message.partition(" ") if isinstance(message, str) else ("", "", "")
            if verb not in {"free", "busy"}:
                self.write_message("free DAY | busy DAY")
                return
            if (match := DAY.match(rest)) is None:
                self.write_message("no day")
                return
            day = datetime.date(*map(int, match.groups()))
            self.write_message(f"{verb} on {day:%A}")

    return Application([("/", Handler)])


@buggy("server-error")
def open_range():
    """Reads pages such as ``1-3,7``, and forgets that a range may have no end."""

    def pages_of(text):
        for part in text.split(","):
            if "-" in part:
                first, last = part.split("-", 1)
                if first.isdecimal() and len(part) < 8:
                    yield from range(int(first), int(last) + 1)
            elif part.isdecimal():
                yield part

    class Handler(WebSocketHandler):
        def on_message(self, message):
            pages = as_object(message).get("pages")
            if isinstance(pages, str) and len(pages) < 30:
                self.write_message({"pages": len(list(pages_of(pages)))})
            else:
                self.write_message({"pages": 0})

    return Application([("/", Handler)])


@buggy("server-error")
def three_words():
    """Counts the words of a command, and takes the second one for seconds."""

    class Handler(WebSocketHandler):
        def open(self):
            self.values = {}

        def on_message(self, message):
            words = message.split() if isinstance(message, str) else []
            command, arguments = "".join(words[:1]).upper(), words[1:]
            if command == "SETEX" and len(arguments) == 3:
                key, seconds, value = arguments
                self.values[key] = value, int(seconds)
                self.write_message("OK")
            elif command == "GET" and len(arguments) == 1:
                self.write_message(self.values.get(arguments[0], ("none", 0))[0])
            else:
                self.write_message("ERR")

    return Application([("/", Handler)])


@buggy("server-error")
def record_behind_a_header():
    """Reads a header with care, and what stands behind it without."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if not isinstance(message, bytes) or len(message) < HEADER.size:
                return self.close(1003)
            version, code, _ = HEADER.unpack_from(message)
            if version != 1:
                return self.close(1008)
            if code == 2:
                slot, value = struct.unpack(">Hi", message[HEADER.size :])
                return self.write_message({"slot": slot, "value": value})
            return self.write_message(HEADER.pack(1, 1, 0), binary=True)

    return Application([("/", Handler)])


@buggy("server-error")
def ragged_rows():
    """Turns a table around whose rows may differ in length."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            rows = data.get("rows")
            if data.get("op") != "transpose" or not isinstance(rows, list) or not rows:
                return self.write_message({"error": "rows"})
            if not all(isinstance(row, list) for row in rows):
                return self.write_message({"error": "row"})
            columns = [[row[place] for row in rows] for place in range(len(rows[0]))]
            return self.write_message({"columns": len(columns)})

    return Application([("/", Handler)])


@buggy("server-error")
def any_member():
    """Goes through the members of an object, whatever they are called."""

    class Handler(WebSocketHandler):
        def open(self):
            self.config = {"ui": {"theme": "dark"}, "mail": {"daily": True}}

        def on_message(self, message):
            for section, changes in as_object(message).items():
                if section in self.config:
                    self.config[section].update(changes)
            self.write_message({"sections": sorted(self.config)})

    return Application([("/", Handler)])


@buggy("server-error")
def missing_part():
    """Puts together parts with numbers, of which one may never have come."""

    class Handler(WebSocketHandler):
        def open(self):
            self.parts, self.total = {}, 0

        def on_message(self, message):
            match as_object(message):
                case {"t": "start", "total": int(total)} if 0 < total <= 4:
                    self.parts, self.total = {}, total
                case {"t": "part", "n": int(n), "data": str(data)} if self.total:
                    self.parts[n] = data[:50]
                case {"t": "finish"} if self.total:
                    text = "".join(self.parts[n] for n in range(self.total))
                    self.write_message({"size": len(text)})
                case _:
                    self.write_message({"t": "error"})

    return Application([("/", Handler)])


@buggy("server-error")
def lock_of_another():
    """Releases a lock that was never acquired."""

    class Handler(WebSocketHandler):
        def open(self):
            self.held = []

        def on_message(self, message):
            data = as_object(message)
            name = str(data.get("lock"))
            if data.get("do") == "acquire":
                self.held.append(name)
            elif data.get("do") == "release":
                self.held.remove(name)
            self.write_message({"held": len(self.held)})

    return Application([("/", Handler)])


@buggy("server-error", needs="query")
def two_parts_of_a_token():
    """Splits a token in two, which may have one part, or three."""

    class Handler(WebSocketHandler):
        def open(self):
            token = self.get_argument("token", None)
            user, _ = token.split(".") if token is not None else ("guest", "")
            self.write_message({"characters": len(user)})

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error")
def unknown_subscription():
    """Ends a subscription by a number that it may never have given."""

    class Handler(WebSocketHandler):
        def open(self):
            self.numbers, self.topics = itertools.count(1), {}

        def on_message(self, message):
            data = as_object(message)
            if data.get("method") == "subscribe":
                number = next(self.numbers)
                self.topics[number] = str(data.get("topic"))
                self.write_message({"id": number})
            elif data.get("method") == "unsubscribe" and isinstance(data.get("id"), int):
                del self.topics[data["id"]]
                self.write_message({"ok": True})

    return Application([("/", Handler)])


def as_list(message):
    """Return the JSON list that a message is, and an empty one for any other message."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []
