"""Apps that are right as long as users come in a polite order, and beside each one that is always right.

Each handler that is wrong has the same commands as its better half. `elsewhere` stands for what every real app
awaits: a database, a cache, another service.
"""

import asyncio
import json

from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler


async def elsewhere():
    """Take three turns of the loop, as an answer over loopback does."""
    for _ in range(3):
        await asyncio.sleep(0)


class Commands(WebSocketHandler):
    """Calls ``do_<first word>`` with the rest of the message; greets whoever asks."""

    @property
    def state(self):
        """What the handlers of an app share."""
        return self.settings["state"]

    async def on_message(self, message):
        """Do what it says."""
        command, _, argument = message.partition(" ")
        result = getattr(self, f"do_{command}")(argument)
        if result is not None:
            await result

    def do_hello(self, _):
        """Answer at once."""
        self.write_message("hello")


def make_app(handler):
    """Return a fresh app with one handler, and a state of its own."""
    return Application([("/", handler)], state={})


# One name, two users


class HastyNames(Commands):
    """Checks, awaits, takes."""

    async def do_take(self, name):
        """Take a name that is free."""
        if name in self.state:
            self.write_message("taken")
            return
        await elsewhere()
        self.state[name] = self
        self.write_message("yours")


class Names(HastyNames):
    """Takes before it awaits."""

    async def do_take(self, name):
        """Take a name that is free."""
        if self.state.setdefault(name, self) is not self:
            self.write_message("taken")
            return
        await elsewhere()
        self.write_message("yours")


# A sum that two users add to


class HastySum(Commands):
    """Reads, awaits, writes."""

    async def do_add(self, number):
        """Add to the sum."""
        total = self.state.get("total", 0)
        await elsewhere()
        self.state["total"] = total + int(number)
        self.write_message("added")

    def do_total(self, _):
        """Tell the sum."""
        self.write_message(str(self.state.get("total", 0)))


class Sum(HastySum):
    """One after the other."""

    async def do_add(self, number):
        """Add to the sum."""
        async with self.state.setdefault("lock", asyncio.Lock()):
            await super().do_add(number)


# Members who are told something


class HastyNews(Commands):
    """Goes through its members while they come and go."""

    def open(self):
        """Come."""
        self.members()[self] = None

    def on_close(self):
        """Go."""
        self.members().pop(self, None)

    def members(self):
        """Return those who are there, oldest first."""
        return self.state.setdefault("members", {})

    async def do_tell(self, text):
        """Tell everybody, one after the other."""
        for member in self.members():
            await member.write_message(text)
        self.write_message("told")


class News(HastyNews):
    """Goes through those who are there when it begins, and are there when it comes to them."""

    async def do_tell(self, text):
        """Tell everybody, one after the other."""
        for member in list(self.members()):
            try:
                await member.write_message(text)
            except WebSocketClosedError:
                continue
        self.write_message("told")


# Those who leave


class HastyLeave(Commands):
    """Says goodbye first, and forgets the user later."""

    def open(self):
        """Come."""
        self.state[self] = None

    def on_close(self):
        """Go."""
        self.state.pop(self, None)

    async def do_leave(self, _):
        """Hear no more."""
        self.write_message("goodbye")
        await elsewhere()
        self.state.pop(self, None)

    def do_say(self, text):
        """Tell everybody."""
        for member in list(self.state):
            member.write_message(text)


class Leave(HastyLeave):
    """Forgets the user first."""

    async def do_leave(self, _):
        """Hear no more."""
        self.state.pop(self, None)
        await elsewhere()
        self.write_message("goodbye")


# Who asked


class HastyAnswers(Commands):
    """Remembers the last who asked."""

    async def do_ask(self, question):
        """Look the answer up."""
        self.state["asker"] = self
        await elsewhere()
        self.state["asker"].write_message(f"answer to {question}")


class Answers(HastyAnswers):
    """Answers who asked."""

    async def do_ask(self, question):
        """Look the answer up."""
        await elsewhere()
        self.write_message(f"answer to {question}")


# Who is there, by name


class HastyPresence(Commands):
    """Whoever goes takes the name away, also from a newer connection of the same user."""

    def open(self):
        """Come."""
        self.name = self.get_argument("name")
        self.state[self.name] = self

    def on_close(self):
        """Go."""
        self.state.pop(self.name, None)

    def do_who(self, _):
        """Tell who is there."""
        self.write_message(json.dumps(sorted(self.state)))


class Presence(HastyPresence):
    """Whoever goes takes away what is theirs."""

    def on_close(self):
        """Go."""
        if self.state.get(self.name) is self:
            del self.state[self.name]


# A price that changes


class HastyPrice(Commands):
    """Reads what is, and only then asks to hear of changes."""

    def readers(self):
        """Return those who hear of changes."""
        return self.state.setdefault("readers", {})

    def on_close(self):
        """Go."""
        self.readers().pop(self, None)

    async def do_follow(self, _):
        """Tell what is, and from now on what changes."""
        price = self.state.get("price", "1")
        await elsewhere()
        self.write_message(price)
        self.readers()[self] = None

    def do_set(self, price):
        """Change the price, and tell everybody."""
        self.state["price"] = price
        for reader in self.readers():
            reader.write_message(price)


class Price(HastyPrice):
    """Asks to hear of changes first."""

    async def do_follow(self, _):
        """Tell what is, and from now on what changes."""
        self.readers()[self] = None
        await elsewhere()
        self.write_message(self.state.get("price", "1"))


# A game that is made for its first player


class HastyGame(Commands):
    """Makes a game for whoever finds none."""

    async def do_join(self, name):
        """Join the game, and tell its players."""
        if "game" not in self.state:
            await elsewhere()
            self.state["game"] = []
        self.enter(name)

    def enter(self, name):
        """Take a seat."""
        self.game = self.state["game"]
        self.game.append(name)
        self.write_message("joined")

    def do_players(self, _):
        """Tell who plays."""
        self.write_message(json.dumps(sorted(self.game)))


class Game(HastyGame):
    """Lets only one make it."""

    async def do_join(self, name):
        """Join the game, and tell its players."""
        async with self.state.setdefault("lock", asyncio.Lock()):
            if "game" not in self.state:
                await elsewhere()
                self.state["game"] = []
        self.enter(name)


# A room that is given up when its last user goes


class HastyRoom(Commands):
    """Looks whether a room is empty, awaits, gives it up."""

    def do_enter(self, _):
        """Come."""
        self.room = self.state.setdefault("den", {})
        self.room[self] = None
        self.write_message("entered")

    async def do_leave(self, _):
        """Go; the last one puts out the light."""
        del self.room[self]
        if not self.room:
            await elsewhere()
            self.state.pop("den", None)

    def do_say(self, text):
        """Tell everybody in the room."""
        for member in self.room:
            member.write_message(text)


class Room(HastyRoom):
    """Looks again after it has awaited."""

    async def do_leave(self, _):
        """Go; the last one puts out the light."""
        del self.room[self]
        if not self.room:
            await elsewhere()
            if not self.room and self.state.get("den") is self.room:
                del self.state["den"]


# What the tests do with them: functions of a test case, each true in whatever order things arrive.


async def one_name(case):
    """Two users take one name; it goes to one of them."""
    ann, bob = await case.ws_clients(["ann", "bob"])
    await ann.send("take rob")
    await bob.send("hello")
    await bob.expect("hello")
    await bob.send("take rob")
    answers = [await ann.receive(), await bob.receive()]
    case.assertEqual(sorted(answers), ["taken", "yours"])


async def one_sum(case):
    """Two users add one each; that makes two."""
    ann, bob = await case.ws_clients(["ann", "bob"])
    await ann.send("add 1")
    await bob.send("hello")
    await bob.expect("hello")
    await bob.send("add 1")
    await ann.expect("added")
    await bob.expect("added")
    await bob.send("total")
    await bob.expect("2")


async def news_while_one_goes(case):
    """News are told while somebody goes."""
    ann, bob, *_ = await case.ws_clients(["ann", "bob", "cat"])
    await ann.send("tell it")
    for _ in range(2):
        await bob.send("hello")
        await bob.receive("hello")
    await bob.close()
    await ann.receive("told")


async def nothing_after_goodbye(case):
    """Whoever has left hears nothing after the goodbye."""
    ann, bob = await case.ws_clients(["ann", "bob"])
    await ann.send("leave")
    await bob.send("hello")
    await bob.expect("hello")
    await bob.send("say hi")
    heard = await ann.receive_all()
    case.assertEqual(heard[-1], "goodbye")


async def each_their_answer(case):
    """Each gets the answer to their own question."""
    ann, bob = await case.ws_clients(["ann", "bob"])
    await ann.send("ask a")
    await bob.send("hello")
    await bob.receive("hello")
    await bob.send("ask b")
    case.assertEqual(await ann.receive_all(), ["answer to a"])
    case.assertEqual(await bob.receive_all(), ["answer to b"])


async def away_and_back(case):
    """A user who goes and comes back is there."""
    bob = await case.ws_client(name="bob", query={"name": "bob"})
    old = await case.ws_client(name="ann", query={"name": "ann"})
    going = asyncio.ensure_future(old.close())
    await case.ws_client(name="ann again", query={"name": "ann"})
    await going
    await bob.send("who")
    await bob.expect(["ann", "bob"])


async def last_price(case):
    """Whoever follows a price has heard the last one in the end."""
    ann, bob = await case.ws_clients(["ann", "bob"])
    await bob.send("follow")
    await ann.send("hello")
    await ann.expect("hello")
    await ann.send("set 2")
    heard = await bob.receive_all()
    case.assertEqual(heard[-1], "2")


async def one_game(case):
    """Two players are in one game."""
    ann, bob = await case.ws_clients(["ann", "bob"])
    await ann.send("join ann")
    await bob.send("hello")
    await bob.expect("hello")
    await bob.send("join bob")
    await ann.expect("joined")
    await bob.expect("joined")
    await ann.send("players")
    await ann.expect(["ann", "bob"])


async def in_one_room(case):
    """Whoever comes when the last one goes is in the room that others find."""
    ann, bob, cat = await case.ws_clients(["ann", "bob", "cat"])
    await ann.send("enter")
    await ann.expect("entered")
    await ann.send("leave")
    for client in (bob, cat):
        await client.send("hello")
        await client.expect("hello")
        await client.send("enter")
        await client.expect("entered")
    await bob.send("say hi")
    case.assertEqual(await cat.receive_all(), ["hi"])


RACES = {
    "one name": (HastyNames, Names, one_name),
    "lost update": (HastySum, Sum, one_sum),
    "changed while iterated": (HastyNews, News, news_while_one_goes),
    "message after leaving": (HastyLeave, Leave, nothing_after_goodbye),
    "answer to the wrong request": (HastyAnswers, Answers, each_their_answer),
    "join overtakes leave": (HastyPresence, Presence, away_and_back),
    "missed between read and follow": (HastyPrice, Price, last_price),
    "made twice": (HastyGame, Game, one_game),
    "room given up": (HastyRoom, Room, in_one_room),
}
"""The wrong handler, the right one, and what a test does with either."""
