"""Nobody wrote these conversations: Hypothesis looks for the one that the chat gets wrong.

Needs Hypothesis: ``pip install 'tornado-wstest[fuzz]'``. Without it the test is skipped.
"""

import unittest

try:
    from hypothesis import settings
    from hypothesis import strategies as st
    from hypothesis.stateful import invariant, rule
except ImportError:
    raise unittest.SkipTest("Hypothesis is not installed: pip install 'tornado-wstest[fuzz]'") from None

from app import make_app

from tornado_wstest import WebSocketStateMachine

TABS = st.sampled_from(["ann", "bob", "cat", "ann's other tab"])
ROOMS = st.sampled_from(["den", "hall"])
TEXTS = st.lists(st.text(min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=3)


class ChatMachine(WebSocketStateMachine):
    """Three people come and go, and talk; ann may have two tabs open."""

    def get_app(self):
        self.app = make_app()
        return self.app

    def broadcast_key(self, value):
        """A text, said in a room, reaches all who are there. (Rooms are paths, so `room_of` is as it should be.)"""
        return value["text"] if value["type"] in ("say", "said") else None

    @rule(tabs=st.lists(TABS, min_size=1, unique=True), room=ROOMS)
    async def come(self, tabs, room):
        for tab in tabs:
            if tab not in self.clients:
                await self.connect(tab, f"/chat/{room}", signed_cookies={"name": person_at(tab)})

    @rule(tab=TABS, texts=TEXTS)
    async def say(self, tab, texts):
        for text in texts:
            if tab in self.clients:
                await self.send(tab, {"type": "say", "text": text})

    @rule(tab=TABS)
    async def hang_up(self, tab):
        if tab in self.clients:
            await self.leave(tab)

    @rule(tab=TABS)
    async def lose_the_connection(self, tab):
        if tab in self.clients:
            await self.cut(tab)

    @rule(minutes=st.integers(1, 60))
    async def wait(self, minutes):
        await self.wstest.clock.advance(60 * minutes)

    @invariant()
    def everyone_is_where_they_should_be(self):
        """A room knows those who have come and not left, in the order in which they came."""
        for name, room in self.app.settings["rooms"].items():
            there = [tab for tab in self.clients if self.room_of(tab) == f"/chat/{name}"]
            assert room.names == list(dict.fromkeys(person_at(tab) for tab in there))


def person_at(tab):
    """Return whose tab this is."""
    return tab.partition("'")[0]


ChatMachineTest = ChatMachine.TestCase
ChatMachineTest.settings = settings(max_examples=50, stateful_step_count=20, deadline=None, database=None)
