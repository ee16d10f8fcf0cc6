"""Connections that end as they should not."""

import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("dropped")
def stream_closed():
    """Closes its stream instead of the connection."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "quit":
                self.ws_connection.stream.close()
            else:
                self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("dropped")
def hangs_up_on_binary():
    """Hangs up on a user who speaks binary, without 1003 or any other word."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, bytes):
                self.ws_connection._abort()
            else:
                self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("dropped")
def three_strikes():
    """Drops a user whose third message is no object either."""

    class Handler(WebSocketHandler):
        strikes = 0

        def on_message(self, message):
            self.strikes += not as_object(message)
            if self.strikes == 3:
                self.ws_connection.stream.close()

    return Application([("/", Handler)])


@buggy("dropped", needs="query")
def dropped_in_open():
    """Drops who comes with a version that it no longer speaks."""

    class Handler(WebSocketHandler):
        def open(self):
            if self.get_query_argument("version", "2") != "2":
                self.ws_connection.stream.close()

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("close-code")
def internal_error():
    """Calls what a user did wrong an internal error."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if as_object(message).get("type") in ("get", "set"):
                self.write_message({"ok": True})
            else:
                self.close(1011, "unknown type")

    return Application([("/", Handler)])


@buggy("close-code")
def protocol_error():
    """Calls text where it wants an object an error of the protocol."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if not as_object(message):
                self.close(1002, "an object, please")

    return Application([("/", Handler)])


@buggy("close-code")
def http_status():
    """Closes with a status of HTTP."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and len(message) > 100:
                self.close(413, "too large")

    return Application([("/", Handler)])


@buggy("close-code")
def reserved_code():
    """Sends a code of its own from the range that is reserved for the protocol."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "transfer", "to": str(to)}:
                    self.close(2000, "moved") if to.startswith("/") else self.write_message({"error": "to where?"})

    return Application([("/", Handler)])


@buggy("close-code")
def code_of_the_user():
    """Closes with the code that its user wishes, if that is a number in the right range."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"close": int(code)} if 1010 <= code < 5000:
                    self.close(code)

    return Application([("/", Handler)])


@buggy("close-code")
def never_on_the_wire():
    """Sends 1015, which an endpoint says to itself only."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "/disconnect":
                self.close(1015)

    return Application([("/", Handler)])


@buggy("server-error")
def long_reason():
    """Puts into a close reason, of 123 bytes at most, whatever it did not know."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"command": str(command)} if command != "help":
                    self.close(4000, "unknown command: " + command.encode("ascii", "replace").decode())

    return Application([("/", Handler)])


@buggy("server-error")
def reason_in_characters():
    """Cuts a close reason after 100 characters, which may be 400 bytes."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str) and message.startswith("bye "):
                self.close(1000, message[4:][:100])

    return Application([("/", Handler)])


@buggy("server-error")
def writes_after_close():
    """Closes in a method that the caller takes for a check, and answers all the same."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "login", "name": name}:
                    self.check(name)
                    self.write_message({"type": "welcome"})

        def check(self, name):
            if not isinstance(name, str) or not name.isidentifier():
                self.close(4001, "that is no name")

    return Application([("/", Handler)])


@buggy("server-error")
def ping_after_close():
    """Has a last look whether its user is there, after it has closed."""

    class Handler(WebSocketHandler):
        asked = 0

        def on_message(self, message):
            self.asked += 1
            if self.asked > 4:
                self.close(4008, "enough")
            self.ping(b"there?")

    return Application([("/", Handler)])


@buggy("unclean-close")
def closes_then_waits():
    """Closes, and waits for its jobs, which are never done: it sees no answer to its close frame."""

    class Handler(WebSocketHandler):
        async def on_message(self, message):
            if message == "stop":
                self.close(1000, "stopped")
                await asyncio.Event().wait()

    return Application([("/", Handler)])


@buggy("unclean-close")
def own_connection_close():
    """Has an `on_connection_close` of its own, which goes on to Tornado's (and so to `on_close`) when idle only."""

    class Handler(WebSocketHandler):
        job = None

        def on_message(self, message):
            match as_object(message):
                case {"run": str(job)}:
                    self.job = job
                case {"stop": _}:
                    self.job = None

        def on_connection_close(self):
            if self.job is None:
                super().on_connection_close()

        def on_close(self):
            self.settings["closed"] = True

    return Application([("/", Handler)])
