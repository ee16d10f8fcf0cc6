"""The chat example's tests: ``python -m tornado.testing discover`` in this folder runs them.

No test sleeps, and none asks twice: when nothing is on its way any more, a test knows.
"""

from app import MAX_MESSAGE, MAX_TEXT, make_app

from tornado_wstest import Scenario, WebSocketTestCase, containing


class LoginTest(WebSocketTestCase):
    """What HTTP and websockets share: the user's cookies."""

    def get_app(self):
        return make_app()

    async def test_login(self):
        """The form sets a cookie, the page that follows knows the user, and so does the websocket."""
        ann = self.ws_session("ann")
        page = await ann.fetch("/login", method="POST", data={"name": "ann"}, xsrf=True)
        self.assertIn(b"Hello, ann", page.body)
        client = await ann.ws_client("/chat/den")
        await client.expect({"type": "people", "names": ["ann"]})

    async def test_login_on_the_way_to_a_room(self):
        """A stranger is sent to the form, and from there to the room."""
        ann = self.ws_session("ann")
        for path in ("/", "/room/den"):
            self.assertIn(b"Who are you?", (await ann.fetch(path)).body)
        page = await ann.fetch("/login?next=/room/den", method="POST", data={"name": "ann"}, xsrf=True)
        self.assertIn(b'<ol id="log">', page.body)

    async def test_login_leads_to_no_other_site(self):
        """Whatever the link to the form says, it leads to a page of ours."""
        ann = self.ws_session("ann")
        for page in ("https://evil.example/", "//evil.example/", "/\\evil.example/"):
            with self.subTest(page=page):
                form = {"name": "ann", "next": page}
                response = await ann.fetch("/login", method="POST", data=form, xsrf=True, follow_redirects=False)
                self.assertEqual(response.headers["Location"], "/")

    async def test_cookie(self):
        """No script can read it, and no other site's form is sent with it."""
        ann = self.ws_session("ann")
        response = await ann.fetch("/login", method="POST", data={"name": "ann"}, xsrf=True, follow_redirects=False)
        self.assertRegex(response.headers["Set-Cookie"], "HttpOnly.*SameSite=Lax")

    async def test_login_without_token(self):
        """Another site's page cannot log a user in: XSRF tokens are demanded."""
        ann = self.ws_session("ann")
        response = await ann.fetch("/login", method="POST", data={"name": "ann"})
        self.assertEqual((response.code, dict(ann.cookies)), (403, {}))

    async def test_login_without_a_good_name(self):
        """The form asks again, and nobody is logged in."""
        ann = self.ws_session("ann")
        for name in ("", "  ", "a" * 21):
            with self.subTest(name=name):
                response = await ann.fetch("/login", method="POST", data={"name": name}, xsrf=True)
                self.assertEqual((response.code, list(ann.cookies)), (400, ["_xsrf"]))

    async def test_room_that_does_not_exist(self):
        """It has no page and no websocket, and the next visitor does not find it either."""
        ann = self.ws_session("ann", signed_cookies={"name": "ann"})
        self.assertEqual((await ann.fetch("/room/attic")).code, 404)
        await ann.expect_rejected("/chat/attic", status=404)
        self.assertNotIn(b"attic", (await ann.fetch("/")).body)

    async def test_stranger(self):
        """Without a login the opening handshake is refused; with a cookie that the app did not sign, too."""
        await self.expect_rejected("/chat/den", status=403)
        await self.expect_rejected("/chat/den", status=403, cookies={"name": "ann"})

    async def test_websocket_of_another_site(self):
        """A foreign page may open a websocket with ann's cookies; it is refused."""
        ann = self.ws_session("ann", signed_cookies={"name": "ann"})
        await ann.expect_rejected("/chat/den", origin="https://evil.example")


class ChatTestCase(WebSocketTestCase):
    """People who are logged in; every one has been told who is there when a test begins."""

    def get_app(self):
        return make_app()

    async def handshake(self, client):
        """Take the greeting, once for all tests; who is there is ``client.handshake_result``."""
        greeting = await client.expect(containing(type="people"))
        return greeting["names"]

    def enter(self, name, room="den"):
        """One person enters a room, logged in by a cookie that the app would have set."""
        return self.ws_client(f"/chat/{room}", name=name, signed_cookies={"name": name})

    async def people(self, *names, room="den"):
        """Several enter at the same time, each with a cookie of their own, and have heard of each other."""
        users = {name: {"signed_cookies": {"name": name}} for name in names}
        group = await self.ws_clients(users, f"/chat/{room}")
        await group.receive_all()
        return group


class TalkTest(ChatTestCase):
    """Who hears what is said."""

    async def test_said(self):
        """Everyone in the room hears it once, the one who said it included, and nothing else."""
        people = await self.people("ann", "bob", "cat")
        async with self.expect_broadcast({"type": "said", "name": "ann", "text": "hi"}, to=people, only=True):
            await people["ann"].send({"type": "say", "text": "hi"})

    async def test_other_room(self):
        """What is said in the den stays in the den."""
        den, hall = await self.people("ann", "bob"), await self.people("cat", "dan", room="hall")
        async with self.expect_broadcast(containing(text="psst"), to=den):
            await den["ann"].send({"type": "say", "text": "psst"})
        await hall.expect_nothing()

    async def test_longest_text(self):
        """A text may have `MAX_TEXT` characters, whatever they are."""
        ann = await self.enter("ann")
        await ann.send({"type": "say", "text": "é" * MAX_TEXT})
        await ann.expect({"type": "said", "name": "ann", "text": "é" * MAX_TEXT})

    async def test_bad_messages(self):
        """Whoever sends one is told what is wrong, and nobody else hears of it."""
        people = await self.people("ann", "bob")
        for message, reason in (
            ("hi", "a message is JSON"),
            (b"\xff", "a message is JSON"),
            ("[" * 10_000, "a message is JSON"),
            ([], "a message is an object"),
            ({"text": "hi"}, "the type of a message is 'say'"),
            ({"type": ["say"], "text": "hi"}, "the type of a message is 'say'"),
            ({"type": "say"}, "there is no text"),
            ({"type": "say", "text": 7}, "there is no text"),
            ({"type": "say", "text": " \n"}, "there is no text"),
            ({"type": "say", "text": "x" * (MAX_TEXT + 1)}, f"a text has up to {MAX_TEXT} characters"),
        ):
            with self.subTest(message=message):
                async with self.capture_messages() as captured:
                    await people["ann"].send(message)
                self.assertEqual(captured, [(people["ann"], {"type": "error", "reason": reason})])

    async def test_message_that_is_much_too_long(self):
        """It ends the connection, and the others hear that ann has left."""
        people = await self.people("ann", "bob")
        await people["ann"].send("x" * (MAX_MESSAGE + 1))
        await people["ann"].expect_closed(1009)
        await people["bob"].expect({"type": "left", "name": "ann"})


class PresenceTest(ChatTestCase):
    """Who is there."""

    async def test_newcomer(self):
        """A newcomer is told who is there, the others are told of the newcomer."""
        ann = await self.enter("ann")
        bob = await self.enter("bob")
        self.assertEqual(bob.handshake_result, ["ann", "bob"])
        await ann.expect({"type": "joined", "name": "bob"})
        await bob.expect_nothing()

    async def test_close(self):
        """Those who stay hear who has left; people of other rooms do not."""
        den, hall = await self.people("ann", "bob", "cat"), await self.people("dan", room="hall")
        async with self.expect_broadcast({"type": "left", "name": "ann"}, to=den[1:], only=True):
            await den["ann"].close()
        await hall.expect_nothing()

    async def test_lost_connection(self):
        """Somebody whose connection breaks has left, too."""
        people = await self.people("ann", "bob")
        await people["ann"].abort()
        await people["bob"].expect({"type": "left", "name": "ann"})

    async def test_second_tab(self):
        """A second tab of ann's hears what the first one hears; it comes and goes without a word to anyone."""
        bob = await self.enter("bob")
        ann = self.ws_session("ann", signed_cookies={"name": "ann"})
        first = await ann.ws_client("/chat/den")
        await bob.expect({"type": "joined", "name": "ann"})
        second = await ann.ws_client("/chat/den")
        self.assertEqual(second.handshake_result, ["bob", "ann"])
        async with self.expect_broadcast(containing(type="said"), to=[bob, first, second]):
            await second.send({"type": "say", "text": "hi"})
        await second.close()
        await bob.expect_nothing()
        await first.expect_nothing()

    async def test_last_tab(self):
        """Ann has left when she has closed her last tab, whichever that is."""
        bob = await self.enter("bob")
        ann = self.ws_session("ann", signed_cookies={"name": "ann"})
        tabs = [await ann.ws_client("/chat/den"), await ann.ws_client("/chat/den")]
        await bob.expect({"type": "joined", "name": "ann"})
        for tab in tabs:
            await bob.expect_nothing()
            await tab.close()
        await bob.expect({"type": "left", "name": "ann"})

    async def test_list_of_rooms(self):
        """The index page counts people, not tabs, as long as they are there."""
        ann = self.ws_session("ann", signed_cookies={"name": "ann"})
        async with ann.ws_client("/chat/den"), ann.ws_client("/chat/den"):
            self.assertIn(b"den</a> (1)", (await ann.fetch("/")).body)
        self.assertIn(b"den</a> (0)", (await ann.fetch("/")).body)


class SilenceTest(ChatTestCase):
    """Minutes and hours, in milliseconds."""

    ws_virtual_time = True
    ws_transport = "memory"

    async def test_somebody_who_only_listens(self):
        """A browser answers pings by itself: an hour of silence is no reason to go."""
        people = await self.people("ann", "bob")
        await people.expect_nothing(seconds=3600)

    async def test_somebody_whose_machine_sleeps(self):
        """Who answers no ping is disconnected; meanwhile the others go on talking, and they hear of it."""
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.pause_reading()
        for _ in range(40):
            await bob.send({"type": "say", "text": "é" * MAX_TEXT})
            await bob.receive(containing(type="said"))  # by then he may have heard that ann has left
            await self.clock.advance(4)
        await bob.expect({"type": "left", "name": "ann"})


class ConversationTest(WebSocketTestCase):
    """A declared conversation: who says what, and what must come back. Marks stand where others would sleep."""

    ws_path = "/chat/den"

    def get_app(self):
        return make_app()

    async def test_two_users(self):
        """Ann logs in and waits; bob comes, they talk, and she sees him go."""
        ann = (
            Scenario(name="ann")
            .fetch("/login", method="POST", data={"name": "ann"}, xsrf=True)
            .connect()
            .expect({"type": "people", "names": ["ann"]})
            .mark("ann is in")
            .expect({"type": "joined", "name": "bob"}, then=say("hi, bob"))
            .expect({"type": "said", "name": "ann", "text": "hi, bob"})
            .expect(containing(type="said", name="bob"), then=lambda value: say(value["text"].upper()))
            .expect(containing(type="said", text="HI, ANN"))
            .expect({"type": "left", "name": "bob"})
        )
        bob = (
            Scenario(name="bob", signed_cookies={"name": "bob"})
            .after("ann is in")
            .expect({"type": "people", "names": ["ann", "bob"]})
            .expect(containing(text="hi, bob"), then=say("hi, ann"))
            .expect(containing(text="hi, ann"))
            .expect(containing(text="HI, ANN"))
        )
        await self.play(ann, bob)


def say(text):
    """Return what a client sends to say something."""
    return {"type": "say", "text": text}
