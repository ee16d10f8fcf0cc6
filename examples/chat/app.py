"""A chat with rooms, and a login page. ``python app.py`` serves it on port 8888.

A client sends ``{"type": "say", "text": ...}``, and hears, as JSON objects with a ``type``:

- ``people``, with ``names``: who is in the room, told to each newcomer;
- ``joined`` and ``left``, with ``name``: told to the others;
- ``said``, with ``name`` and ``text``: told to all, the one who said it included;
- ``error``, with ``reason``: told to whoever sent what is not valid; the connection stays open.

One name may be in a room many times: somebody with two tabs open is one person, who comes with the first tab and leaves
with the last. There are no passwords, so whoever logs in as ann is ann.
"""

import asyncio
import json
import pathlib
import re
import secrets
from contextlib import suppress

from tornado.web import Application, HTTPError, RequestHandler, authenticated, url
from tornado.websocket import WebSocketClosedError, WebSocketHandler

MAX_NAME = 20  # characters
MAX_TEXT = 500  # characters
MAX_MESSAGE = 16 * 1024  # bytes; Tornado closes a websocket that sends more


class Room:
    """The open websockets of one room, in the order in which they came."""

    def __init__(self):
        self.members = []

    @property
    def names(self):
        """Each person once, whoever came first in front."""
        return list(dict.fromkeys(member.current_user for member in self.members))

    def join(self, newcomer):
        """Let somebody in, and tell everyone who needs to know."""
        if newcomer.current_user not in self.names:
            self.tell({"type": "joined", "name": newcomer.current_user})
        self.members.append(newcomer)
        newcomer.tell({"type": "people", "names": self.names})

    def leave(self, member):
        """Let somebody out; the others hear of it when this was the last tab."""
        self.members.remove(member)
        if member.current_user not in self.names:
            self.tell({"type": "left", "name": member.current_user})

    def tell(self, message):
        """Send a message to everyone in the room."""
        for member in self.members:
            member.tell(message)


class UserMixin:
    """Knows the user by the cookie that `LoginHandler` sets."""

    def get_current_user(self):
        name = self.get_signed_cookie("name")
        return name.decode() if name else None


class LoginHandler(UserMixin, RequestHandler):
    """Asks for a name, and leads to where the user wanted to go."""

    def get(self):
        self.ask()

    def post(self):
        name = self.get_body_argument("name", "")
        if not 0 < len(name) <= MAX_NAME:
            self.set_status(400)
            self.ask(error=f"A name has 1 to {MAX_NAME} characters.")
            return
        self.set_signed_cookie("name", name, httponly=True, samesite="Lax")
        page = self.get_argument("next", "/")
        self.redirect(page if re.fullmatch(r"/(room/\w+)?", page) else "/")  # and to no other site

    def ask(self, error=""):
        self.render("login.html", error=error, max_name=MAX_NAME)


class IndexHandler(UserMixin, RequestHandler):
    """Lists the rooms."""

    @authenticated
    def get(self):
        self.render("index.html", rooms=self.settings["rooms"])


class RoomHandler(UserMixin, RequestHandler):
    """The page of one room; its script talks to `ChatHandler`."""

    @authenticated
    def get(self, name):
        if name not in self.settings["rooms"]:
            raise HTTPError(404)
        self.render("room.html", name=name, max_text=MAX_TEXT)


class ChatHandler(UserMixin, WebSocketHandler):
    """The websocket of one room. The opening handshake is refused to strangers, and for rooms that do not exist."""

    def prepare(self):
        if self.current_user is None:
            raise HTTPError(403)  # a script cannot follow @authenticated to the login page
        self.room = self.settings["rooms"].get(self.path_args[0])
        if self.room is None:
            raise HTTPError(404)

    def open(self, name):
        self.room.join(self)

    def on_message(self, message):
        try:
            text = read_text(message)
        except ValueError as error:
            self.tell({"type": "error", "reason": str(error)})
        else:
            self.room.tell({"type": "said", "name": self.current_user, "text": text})

    def on_close(self):
        self.room.leave(self)

    def tell(self, message):
        """Send a message to this client, and wait neither for a slow reader nor for one who is just leaving."""
        with suppress(WebSocketClosedError):
            sent = self.write_message(message)
            # Who leaves with messages under way fails their writes: looked at, asyncio does not log each of them.
            sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())


def read_text(message):
    """Return the text that a client's message says; `ValueError`, with words for the client, if it says none."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        raise ValueError("a message is JSON") from None
    if not isinstance(value, dict):
        raise ValueError("a message is an object")
    if value.get("type") != "say":
        raise ValueError("the type of a message is 'say'")
    text = value.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("there is no text")
    if len(text) > MAX_TEXT:
        raise ValueError(f"a text has up to {MAX_TEXT} characters")
    return text


def make_app(rooms=("den", "hall"), cookie_secret=None):
    """Return the application, with rooms of its own. Without a ``cookie_secret``, logins end with the application."""
    return Application(
        [
            ("/", IndexHandler),
            ("/login", LoginHandler),
            url(r"/room/(\w+)", RoomHandler, name="room"),
            url(r"/chat/(\w+)", ChatHandler, name="chat"),
        ],
        rooms={name: Room() for name in rooms},
        cookie_secret=cookie_secret or secrets.token_hex(32),
        login_url="/login",
        template_path=str(pathlib.Path(__file__).parent / "templates"),
        websocket_max_message_size=MAX_MESSAGE,
        websocket_ping_interval=30,  # seconds; who does not answer is disconnected
        xsrf_cookies=True,
    )


async def main():
    """Serve the application until interrupted."""
    make_app().listen(8888, address="127.0.0.1")
    print("listening on http://127.0.0.1:8888/")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
