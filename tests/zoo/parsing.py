"""Bugs in how a message is read: what is text, what is JSON, what is in it."""

import ast
import base64
import json
import struct
import urllib.parse
import xml.etree.ElementTree as ET
import zlib

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("server-error")
def not_json():
    """Takes every message for JSON."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"type": type(json.loads(message)).__name__})

    return Application([("/", Handler)])


@buggy("server-error")
def bare_value():
    """Takes every JSON text for an object; a number or a list is JSON, too."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            try:
                data = json.loads(message)
            except (ValueError, RecursionError):
                self.close(1007, "that is no JSON")
            else:
                self.write_message({"has_type": data.get("type") is not None})

    return Application([("/", Handler)])


@buggy("server-error")
def deep_json():
    """Catches what is no JSON, but not what is nested too deeply for the parser."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            try:
                json.loads(message)
            except ValueError:
                self.write_message({"error": "no JSON"})
            else:
                self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error")
def missing_key():
    """Reads a member that an object need not have."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            try:
                data = json.loads(message)
            except (ValueError, RecursionError):
                data = None
            if not isinstance(data, dict):
                self.write_message({"error": "an object, please"})
            elif data["type"] == "ping":
                self.write_message({"type": "pong"})

    return Application([("/", Handler)])


@buggy("server-error")
def missing_member():
    """Answers an unknown type politely, but one of the known ones has a member that it takes for granted."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if data.get("type") == "hello":
                self.write_message({"type": "welcome"})
            elif data.get("type") == "subscribe":
                self.write_message({"type": "subscribed", "is_text": isinstance(data["channel"], str)})
            else:
                self.write_message({"type": "error"})

    return Application([("/", Handler)])


@buggy("server-error")
def nested_member():
    """Of a nested object it checks the outer member only."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if "cursor" in data:
                self.write_message({"moved": data["cursor"]["x"] is not None})

    return Application([("/", Handler)])


@buggy("server-error")
def unknown_type():
    """Looks a type up in its table of what it can do, which has not everything."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if isinstance(data.get("op"), str):
                {"echo": self.echo, "bye": self.bye}[data["op"]](data)

        def echo(self, data):
            self.write_message({"op": "echo"})

        def bye(self, data):
            self.close(1000, "bye")

    return Application([("/", Handler)])


@buggy("server-error")
def method_by_name():
    """Calls the method that the message names, which need not be there."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"method": str(method)}:
                    self.write_message({"result": getattr(self, f"do_{method}")()})

        def do_count(self):
            return 1

    return Application([("/", Handler)])


@buggy("server-error")
def keywords():
    """Calls a method with the parameters of the message as its keyword arguments."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"method": "title", "params": dict(params)}:
                    self.write_message({"result": self.title(**params)})

        def title(self, text="", upper=False):
            return f"{len(str(text)) if not isinstance(text, (dict, list)) else 0}{upper is True}"

    return Application([("/", Handler)])


@buggy("server-error")
def first_of_batch():
    """Looks at the first call of a batch, and a batch may be empty."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            try:
                data = json.loads(message)
            except (ValueError, RecursionError):
                data = {}
            if isinstance(data, list):
                self.write_message({"batch": len(data), "objects": isinstance(data[0], dict)})

    return Application([("/", Handler)])


@buggy("server-error")
def text_assumed():
    """Puts a message behind a text, and a binary one is no text."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message("you said: " + message)

    return Application([("/", Handler)])


@buggy("server-error")
def binary_as_text():
    """Reads binary messages as text in UTF-8."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            text = message.decode() if isinstance(message, bytes) else message
            self.write_message(text.upper())

    return Application([("/", Handler)])


@buggy("server-error")
def fixed_record():
    """Unpacks each binary message, whatever its length."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.close(1003, "binary, please")
            else:
                x, y = struct.unpack("!hh", message)
                self.write_message({"x": x, "y": y})

    return Application([("/", Handler)])


@buggy("server-error")
def length_prefix():
    """Believes the number of items that a binary message begins with."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) or not message:
                self.close(1003, "binary, please")
            else:
                self.write_message({"sum": sum(message[1 + index] for index in range(message[0]))})

    return Application([("/", Handler)])


@buggy("server-error")
def deflated():
    """Inflates binary messages that need not be deflated."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, bytes):
                self.write_message({"size": len(zlib.decompressobj().decompress(message, 1_000_000))})

    return Application([("/", Handler)])


@buggy("server-error")
def base64_image():
    """Decodes what comes behind the known beginning of a data URL."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and message.startswith("data:image/png;base64,"):
                self.write_message({"size": len(base64.b64decode(message.partition(",")[2]))})

    return Application([("/", Handler)])


@buggy("server-error")
def two_words():
    """Splits a line into a command and its argument, and a line may be one word."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                command, argument = message.split(" ", 1)
                self.write_message({"command": command, "argument": argument})

    return Application([("/", Handler)])


@buggy("server-error")
def missing_word():
    """Wants a name behind its command ``/nick``; other lines are just talk."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            words = message.split() if isinstance(message, str) else []
            if words and words[0] == "/nick":
                self.write_message({"nick": words[1]})
            else:
                self.write_message({"words": len(words)})

    return Application([("/", Handler)])


@buggy("server-error")
def empty_message():
    """Looks at the first character of a text that may have none."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.write_message({"command": message[0] == "/"})

    return Application([("/", Handler)])


@buggy("server-error")
def forgotten_command():
    """A command for its developers calls what was renamed long ago."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "/debug":
                self.write_message({"state": self.dump_state()})
            else:
                self.write_message({"length": len(message)})

    return Application([("/", Handler)])


@buggy("server-error")
def ascii_only():
    """Encodes text as ASCII for a device that knows no other."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.write_message(message.encode("ascii"), binary=True)

    return Application([("/", Handler)])


@buggy("server-error")
def cut_character():
    """Cuts a long text after 16 bytes, which may be in the middle of a character."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.write_message(message.encode()[:16].decode())

    return Application([("/", Handler)])


@buggy("server-error")
def lone_surrogate():
    """Sends a text from JSON as it is; JSON can write half a character, UTF-8 cannot."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"say": str(text)}:
                    self.write_message(text)

    return Application([("/", Handler)])


@buggy("server-error")
def template():
    """Takes the user's text for a template."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.write_message(message.replace("$name", "{name}").format(name="guest"))

    return Application([("/", Handler)])


@buggy("server-error")
def literal():
    """Evaluates what looks like a sum."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and message.startswith("="):
                self.write_message({"type": type(ast.literal_eval(message[1:].strip())).__name__})

    return Application([("/", Handler)])


@buggy("server-error")
def markup():
    """Parses what begins like XML."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and message.startswith("<") and "<!" not in message:
                self.write_message({"tag": ET.fromstring(message).tag})

    return Application([("/", Handler)])


@buggy("server-error")
def link():
    """Takes a link apart; not everything behind ``http://`` is one."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and message.startswith("http://"):
                self.write_message({"host": urllib.parse.urlsplit(message).hostname})

    return Application([("/", Handler)])
