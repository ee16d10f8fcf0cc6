"""Who holds a handler that should be gone."""

import unittest
from collections import deque

from tornado.web import Application

from tornado_wstest.fuzzing.holding import Holders

people = []


class Handler:
    """A handler, as far as this goes."""

    here = set()

    def later(self):
        """Do something, some time."""


class App(Application):
    """An app with an attribute of its own."""

    rooms = None


class HoldingTest(unittest.TestCase):
    """The name of the holder is told."""

    def setUp(self):
        self.handler = Handler()
        self.app = App(members={})

    def assert_held_by(self, name):
        self.assertEqual(Holders().find(self.handler, self.app), name)

    def test_nobody(self):
        """What only the test holds has no name."""
        self.assert_held_by("")

    def test_setting(self):
        """In a setting of the app, however deep."""
        self.app.settings["members"]["ann"] = deque([(1, self.handler)])
        self.assert_held_by("the app's setting 'members'")

    def test_attribute_of_the_app(self):
        """In an attribute of the app's own."""
        self.app.rooms = {"lobby": [self.handler]}
        self.assert_held_by("the app's rooms")

    def test_class(self):
        """In a class attribute of the handler's."""
        Handler.here.add(self.handler)
        self.addCleanup(Handler.here.clear)
        self.assert_held_by("Handler.here")

    def test_module(self):
        """In a variable of a module, here by a bound method."""
        people.append(self.handler.later)
        self.addCleanup(people.clear)
        self.assert_held_by(f"{__name__}.people")

    def test_closure(self):
        """In a variable around the handler's methods."""
        listeners = []

        class Around(Handler):
            def listen(self):
                listeners.append(self)

        self.handler = Around()
        self.handler.listen()
        self.assert_held_by("the variable listeners of HoldingTest.test_closure.<locals>.Around.listen")

    def test_looked_for_once(self):
        """Where nobody is found, nobody is looked for again; who was found before, is looked at first."""
        holders = Holders()
        self.assertEqual(holders.find(self.handler, self.app), "")
        self.app.settings["members"]["ann"] = self.handler
        self.assertEqual(holders.find(self.handler, self.app), "")
        holders = Holders()
        self.assertEqual(holders.find(self.handler, self.app), "the app's setting 'members'")
        Handler.here.add(self.handler)
        self.addCleanup(Handler.here.clear)
        self.assertEqual(holders.find(self.handler, self.app), "the app's setting 'members'")


if __name__ == "__main__":
    unittest.main()
