"""An app whose branches lie deep: what a fuzzer must find out by itself."""

import dataclasses
import enum
import json
from typing import Literal, TypedDict

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

LEVEL = "level"
COLOURS = {"red", "black"}


class Kind(enum.Enum):
    """Constants with names."""

    BET = "bet"


class Card(TypedDict):
    """A message as a type."""

    kind: Literal["card"]
    suit: str
    value: int


@dataclasses.dataclass
class Refund:
    """Another."""

    amount: float


class Game(WebSocketHandler):
    """Keeps the names of the branches that its messages reached."""

    def initialize(self, reached=None):
        self.reached = reached

    def reach(self, name):
        self.reached.add(name)

    def open(self, room=None):
        self.get_argument("token", None)
        self.write_message({"type": "welcome", "room": "lobby", "players": [{"name": "ann"}]})

    def on_message(self, message):
        if message == "ping":
            return self.reach("ping")
        if isinstance(message, str) and message.startswith("/join"):
            _, _, room = message.partition(" ")
            return self.reach("command with argument" if room else "command")
        data = json.loads(message)
        kind = data.get("type")
        if kind == "join":
            self.join(data)
        elif kind in ("leave", "part") and data["confirm"] is True:
            self.reach("leave")
        elif kind == Kind.BET.value:
            self.bet(data["bet"])
        elif kind == "move":
            self.move(data["move"])
        elif kind in TABLE:
            TABLE[kind](self, data)
        else:
            getattr(self, f"do_{data['type']}")(**data["args"])
        return None

    def join(self, data):
        if len(data["name"]) > 20:
            self.reach("long name")
        if data[LEVEL] > 90:
            self.reach("high level")
        for item in data["items"]:
            if item["count"] * 2 == 0:
                self.reach("no items")

    def bet(self, bet):
        if bet["colour"] in COLOURS and int(bet["amount"]) < 0:
            self.reach("negative bet")

    def move(self, move):
        match move:
            case {"piece": "king" | "queen", "to": [_, *_]}:
                self.reach("king")
            case {"piece": "pawn", "by": int(_)}:
                self.reach("pawn")

    def do_kick(self, user, why="no reason"):
        self.reach("kick" if user == "ann" else "kick somebody")


def reset(game, data):
    if "hard" in data:
        game.reach("hard reset")


TABLE = {"reset": reset}


class Other(WebSocketHandler):
    """A handler that has nothing to do with it."""

    def on_message(self, message):
        if message == "nothing to do with games":
            self.close()


class Page(RequestHandler):
    """Plain HTTP."""


BRANCHES = {
    "ping", "command", "command with argument", "leave", "long name", "high level", "no items", "negative bet", "king",
    "pawn", "kick", "kick somebody", "hard reset",
}  # fmt: skip


def make_app():
    """Return the app."""
    return Application([("/game/([^/]+)", Game, {"reached": set()}), ("/other", Other), ("/page", Page)])


async def make_app_later():
    """Return the app, as an async function does."""
    return make_app()


def make_app_of(settings):
    """Need an argument."""


def make_nothing():
    """Return no app."""
    return 42


def make_trouble():
    """Raise."""
    raise RuntimeError("no database")


app = make_app()
number = 42
