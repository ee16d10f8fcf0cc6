"""A finding's case in a file."""

import json
import os
import pathlib
import tempfile
import unittest
import unittest.mock

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import UsageError
from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.checks import Problem
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.saved import SavedCase
from tornado_wstest.fuzzing.settings import FuzzSettings
from tornado_wstest.handshake import discard

CASE = Case((Visit("/chat/a?b=c", ("hello", b"\x00\xff", "\n\u2028"), ping=b"x", ending=None, pipelined=True), Visit()))
PROBLEM = Problem("server-error", "it raised", "no handler raises", "KeyError", place="chat.py:6 in on_message")


async def login(client):
    """Say nothing."""


greeting = discard(1)


def saved(*, route="/chat/(.*)", problem=PROBLEM, target="chat:make_app", **settings):
    """Return a case as it is saved."""
    (found,) = websocket_routes(Application([(route, WebSocketHandler)]))
    return SavedCase.of(CASE, problem, target=target, route=found, settings=FuzzSettings(**settings), seed=7)


class SavedTestCase(unittest.TestCase):
    """Has a folder."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))


class FileTest(SavedTestCase):
    """To a file and back."""

    def test_round_trip(self):
        """What is loaded is what was saved."""
        one = saved(headers={"X-Shop": "7"}, checks=("+isolation",), message_timeout=2.5, transport="tcp")
        self.assertEqual(SavedCase.load(one.save(self.folder / "new")).to_json(), one.to_json())

    def test_same_bug_same_file(self):
        """A bug has one file, however often it is found; another bug, route or app has another."""
        other = Problem("server-error", "it raised", "", "", place="chat.py:7 in on_message")
        again = Problem("server-error", "it raised something else", "", "", place=PROBLEM.place)
        names = [
            one.file_name
            for one in (
                saved(),
                saved(problem=again, message_timeout=1.0),
                saved(problem=other),
                saved(route="/b"),
                saved(target="b:b"),
            )
        ]
        self.assertEqual(names[0], names[1])
        self.assertEqual(len(set(names)), 4)

    def test_name(self):
        """The name has the route and the check, and nothing that a file system would mind."""
        self.assertRegex(saved().file_name, r"^chat-server-error-[0-9a-f]{8}\.json$")
        self.assertRegex(saved(route="/").file_name, r"^root-server-error-")
        self.assertLess(len(saved(route="/" + "long/" * 99).file_name), 100)

    def test_folder_that_cannot_be(self):
        """What the system says is told."""
        (self.folder / "file").write_text("")
        with self.assertRaisesRegex(UsageError, "the case cannot be saved to .*: "):
            saved().save(self.folder / "file")


class SettingsTest(SavedTestCase):
    """What is kept of the settings."""

    def test_defaults(self):
        """What is as by default is not kept, so that a later default counts."""
        self.assertEqual((saved().settings, saved().left_out), ({}, ()))

    def test_changed(self):
        """What matters for a replay is kept; how many examples there were does not."""
        one = saved(origin="http://a.example", subprotocols=("v1",), virtual_time=False, examples=7, seed=1)
        self.assertEqual(one.settings, {"origin": "http://a.example", "subprotocols": ["v1"], "virtual_time": False})

    def test_secrets(self):
        """No secret is written, and the file says what it lacks."""
        given = {
            "headers": {"X-Api-Key": "s3cret1", "X-Shop": "7"},
            "cookies": {"session": "s3cret2", "colour": "blue"},
            "auth": "bearer:s3cret3",
        }
        file = saved(**given).save(self.folder)
        self.assertNotIn("s3cret", file.read_text())
        one = SavedCase.load(file)
        self.assertEqual(one.settings, {"headers": {"X-Shop": "7"}, "cookies": {"colour": "blue"}})
        self.assertEqual(one.left_out, ("headers: X-Api-Key", "cookies: session", "auth"))

    def test_secret_by_its_name(self):
        """What names a secret of the environment is none."""
        for auth in ("bearer:$TOKEN", "basic:ann:$PASSWORD"):
            self.assertEqual(saved(auth=auth).settings, {"auth": auth})
        self.assertEqual(saved(auth="basic:$NAME:secret").left_out, ("auth",))

    def test_signed_cookies(self):
        """They are signed anew each time: their values are no secret."""
        self.assertEqual(saved(signed_cookies={"session": "ann"}).settings, {"signed_cookies": {"session": "ann"}})

    def test_handshake(self):
        """It is kept by its name, and missed if it has none."""
        self.assertEqual(saved(handshake=login).settings, {"handshake": f"{__name__}:login"})
        self.assertEqual(saved(handshake=greeting).settings, {"handshake": f"{__name__}:greeting"})
        self.assertEqual(saved(handshake=discard(3)).left_out, ("handshake",))


class CorruptTest(SavedTestCase):
    """A file that is none says what is wrong, in one sentence that names it."""

    def assert_refused(self, text, pattern):
        """Loading a file with this text raises."""
        file = self.folder / "case.json"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with self.assertRaisesRegex(UsageError, f"^{file}(:| ).*{pattern}"):
            SavedCase.load(file)

    def test_no_json(self):
        """Half a file, an empty one, bytes, and one so deep that Python gives up."""
        whole = json.dumps(saved().to_json())
        for text in (whole[: len(whole) // 2], "", b"\xff\xfe\x00", "[" * 200_000):
            with self.subTest(text=text[:10]):
                self.assert_refused(text, "is no saved case: it is no JSON")

    def test_other_json(self):
        """Any other JSON is no case of ours."""
        for value in ([], 1, None, {}, {"format": "postman"}):
            with self.subTest(value=value):
                self.assert_refused(json.dumps(value), "this is no saved case")

    def test_another_version(self):
        """A file of a later release is told from a broken one."""
        self.assert_refused(json.dumps({**saved().to_json(), "version": 99}), "version 99; version 1 can be read")

    def test_members(self):
        """Each member is looked at, when it is missing and when it is of another type."""
        whole = saved().to_json()
        for name in sorted(set(whole) - {"format", "version"}):
            with self.subTest(name):
                self.assert_refused(json.dumps({**whole, name: 1.5}), f"{name} of a saved case is ")
                self.assert_refused(json.dumps({k: v for k, v in whole.items() if k != name}), f"{name} of a saved ")

    def test_values(self):
        """What is of the right type may still be nothing that can be played."""
        for changed, text in (
            ({"check": "speed"}, "there is no check 'speed'"),
            ({"key": ["a"]}, "key of a saved case is two texts"),
            ({"left_out": [1]}, "left_out is texts"),
            ({"settings": {"exampels": 7}}, "there is no setting 'exampels': did you mean 'examples'?"),
            ({"settings": {"headers": 7}}, "headers is a table of texts, not 7"),
            ({"case": {"version": 1, "visits": []}}, "has no visits"),
            ({"case": {"version": 1, "visits": [{"path": 7}]}}, "this saved case cannot be read"),
            ({"case": {"version": 1, "visits": [{"path": "/", "messages": [{"base64": "%"}]}]}}, "cannot be read"),
        ):
            with self.subTest(changed):
                self.assert_refused(json.dumps({**saved().to_json(), **changed}), text)

    def test_no_file(self):
        """A file that is not there, a folder, and one that cannot be read."""
        for file, text in ((self.folder / "none.json", "No such file"), (self.folder, "Is a directory")):
            with self.subTest(text), self.assertRaisesRegex(UsageError, f"^{file} cannot be read: {text}"):
                SavedCase.load(file)

    def test_environment_is_not_read(self):
        """A file names secrets of the environment; loading it looks none of them up."""
        with unittest.mock.patch.dict(os.environ, {}, clear=True):
            SavedCase.load(saved(auth="bearer:$TOKEN").save(self.folder))
