"""Bugs that the messages before make: order, repetition, numbers."""

import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("server-error")
def leave_twice():
    """Leaves a room in which it need not be."""

    class Handler(WebSocketHandler):
        def open(self):
            self.rooms = {"lobby"}

        def on_message(self, message):
            match as_object(message):
                case {"join": str(room)}:
                    self.rooms.add(room)
                case {"leave": str(room)}:
                    self.rooms.remove(room)
                    self.write_message({"rooms": len(self.rooms)})

    return Application([("/", Handler)])


@buggy("server-error")
def ready_twice():
    """Sets the result of a future each time a user says to be ready."""

    class Handler(WebSocketHandler):
        def open(self):
            self.ready = asyncio.get_running_loop().create_future()

        def on_message(self, message):
            if message == "ready":
                self.ready.set_result(None)
                self.write_message("go")

    return Application([("/", Handler)])


@buggy("server-error")
def after_the_last_question():
    """Asks three questions, and looks for a fourth."""

    class Handler(WebSocketHandler):
        def open(self):
            self.questions = iter(["who?", "what?", "where?"])
            self.write_message(next(self.questions))

        def on_message(self, message):
            if message:
                self.write_message(next(self.questions))

    return Application([("/", Handler)])


@buggy("server-error")
def move_before_start():
    """Has no board before somebody has said start."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "start"}:
                    self.board = [None] * 9
                    self.write_message({"type": "started"})
                case {"type": "move"}:
                    self.write_message({"free": self.board.count(None)})

    return Application([("/", Handler)])


@buggy("server-error")
def move_after_end():
    """Takes a move when the game is over: start, resign, move."""

    class Handler(WebSocketHandler):
        moves = None

        def on_message(self, message):
            match as_object(message).get("type"):
                case "start":
                    self.moves, self.started = [], True
                case "resign" if self.moves is not None:
                    self.moves = None
                case "move" if hasattr(self, "started"):
                    self.moves.append("e4")
                    self.write_message({"moves": len(self.moves)})

    return Application([("/", Handler)])


@buggy("server-error")
def ninth_message():
    """Has eight places for what was said, and never begins again."""

    class Handler(WebSocketHandler):
        def open(self):
            self.last, self.count = [None] * 8, 0

        def on_message(self, message):
            self.last[self.count] = message
            self.count += 1

    return Application([("/", Handler)])


@buggy("server-error")
def undo_of_nothing():
    """Undoes what was not done."""

    class Handler(WebSocketHandler):
        def open(self):
            self.done = []

        def on_message(self, message):
            if message == "undo":
                self.done.pop()
            else:
                self.done.append(len(message))
            self.write_message({"done": len(self.done)})

    return Application([("/", Handler)])


@buggy("server-error")
def shared_settings():
    """Keeps its settings in a dict of the class, where a value of any type is taken, and used much later."""

    class Handler(WebSocketHandler):
        limits = {"length": 100}

        def on_message(self, message):
            data = as_object(message)
            if "limit" in data:
                self.limits["length"] = data["limit"]
            elif len(message) > self.limits["length"]:
                self.write_message({"error": "too long"})

    return Application([("/", Handler)])


@buggy("server-error")
def quit_in_a_loop():
    """Takes a user out of the set that it goes through."""

    class Handler(WebSocketHandler):
        def open(self):
            self.settings["users"].add(self)

        def on_message(self, message):
            if message == "/quit":
                for user in self.settings["users"]:
                    if user is self:
                        self.settings["users"].remove(user)

        def on_close(self):
            self.settings["users"].discard(self)

    return Application([("/", Handler)], users=set())


@buggy("server-error")
def answer_to_another():
    """Answers a question by its number, which need not be one that was asked."""

    class Handler(WebSocketHandler):
        def open(self):
            self.asked = {}

        def on_message(self, message):
            match as_object(message):
                case {"ask": int(number)}:
                    self.asked[number] = True
                case {"answer": int(number)} if self.asked:
                    del self.asked[number]
                    self.write_message({"open": len(self.asked)})

    return Application([("/", Handler)])
