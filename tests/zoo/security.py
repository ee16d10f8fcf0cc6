"""Doors that stand open: origins, sizes, subprotocols, and other users' messages."""

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy

SECRET = "a secret of the zoo"


@buggy("origin", needs="origin")
def any_origin():
    """Knows its users by a cookie, and lets every page of the web connect for them."""

    class Handler(WebSocketHandler):
        def check_origin(self, origin):
            return True

        def open(self):
            user = self.get_signed_cookie("user")
            self.write_message({"known": user is not None})

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)], cookie_secret=SECRET)


@buggy("origin", needs="origin")
def origin_contains_host():
    """Welcomes each origin that has its own host somewhere in it, such as http://HOST.example."""

    class Handler(WebSocketHandler):
        def prepare(self):
            self.session = self.get_cookie("session", "")

        def check_origin(self, origin):
            return self.request.host in origin

        def on_message(self, message):
            self.write_message({"session": bool(self.session)})

    return Application([("/", Handler)])


@buggy("oversize", needs="frame")
def no_limit():
    """Takes messages of any size, for the sake of one user with large files."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"size": len(message)})

    return Application([("/", Handler)], websocket_max_message_size=2**40)


@buggy("oversize", needs="frame")
def no_limit_for_uploads():
    """Has a small limit for talk, and none at all on another path."""

    class Talk(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"size": len(message)})

    class Upload(Talk):
        @property
        def max_message_size(self):
            return 2**62

    return Application([("/talk", Talk), ("/upload", Upload)], websocket_max_message_size=2**16)


@buggy("subprotocol", needs="subprotocols")
def subprotocol_in_header():
    """Names its subprotocol in a header of its own, to whoever comes."""

    class Handler(WebSocketHandler):
        def prepare(self):
            self.set_header("Sec-WebSocket-Protocol", "chat.v1")

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error", needs="subprotocols")
def subprotocol_by_default():
    """Falls back on a subprotocol whatever was offered, at which Tornado stops it."""

    class Handler(WebSocketHandler):
        def select_subprotocol(self, subprotocols):
            return "graphql-ws" if subprotocols else None

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error", needs="subprotocols")
def first_subprotocol():
    """Takes the first subprotocol that is offered, and a client need not offer one."""

    class Handler(WebSocketHandler):
        def select_subprotocol(self, subprotocols):
            return subprotocols[0]

        def on_message(self, message):
            self.write_message({"subprotocol": self.selected_subprotocol})

    return Application([("/", Handler)])


@buggy("isolation", needs="bystander")
def errors_to_all():
    """Answers to its user, but tells everybody when something was wrong with a message."""

    class Handler(WebSocketHandler):
        def open(self):
            self.settings["users"].add(self)

        def on_message(self, message):
            if as_object(message):
                self.write_message({"ok": True})
            else:
                for user in self.settings["users"]:
                    if user.ws_connection is not None:
                        user.write_message({"error": len(message)})

        def on_close(self):
            self.settings["users"].discard(self)

    return Application([("/", Handler)], users=set())


@buggy("isolation", needs="bystander")
def answers_the_last_one():
    """Answers a secret to the user who connected last."""

    class Handler(WebSocketHandler):
        def open(self):
            self.settings["user"] = self

        def on_message(self, message):
            if as_object(message).get("type") == "balance":
                user = self.settings.get("user") or self
                if user.ws_connection is not None:
                    user.write_message({"balance": 100})
            else:
                self.write_message({"ok": True})

        def on_close(self):
            if self.settings.get("user") is self:
                self.settings["user"] = None

    return Application([("/", Handler)], user=None)
