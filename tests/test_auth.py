"""Who is let in: every way in which an app tells its users from strangers, with one small app that has them all."""

import json

from tornado.web import Application, HTTPError, RequestHandler, authenticated
from tornado.websocket import WebSocketHandler

from tests.running import run_test
from tornado_wstest import ConnectionClosed, HandshakeFailed, WebSocketTestCase, containing, exchange

TOKENS = {"t0p": "ann", "s3t": "bob"}


class Users:
    """Knows a user by a signed cookie, or by a bearer token."""

    def get_current_user(self):
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            return TOKENS.get(token)
        return (self.get_signed_cookie("user") or b"").decode() or None


class Login(RequestHandler):
    """The form, with its XSRF token."""

    def post(self):
        if self.get_body_argument("password") != "secret":
            raise HTTPError(403, "wrong password")
        self.set_signed_cookie("user", self.get_body_argument("name"))
        self.redirect("/me")


class Logout(RequestHandler):
    """Forgets who one is."""

    def post(self):
        self.clear_cookie("user")


class Me(Users, RequestHandler):
    """A page for users."""

    @authenticated
    def get(self):
        self.write(self.current_user)


class Chat(Users, WebSocketHandler):
    """Lets users in, and refuses others in the opening handshake."""

    @authenticated
    async def get(self, *args, **kwargs):
        await super().get(*args, **kwargs)

    def open(self):
        self.write_message(f"hello, {self.current_user}")


class API(Users, WebSocketHandler):
    """Refuses with 401 who has no token."""

    def prepare(self):
        if self.current_user is None:
            raise HTTPError(401)

    def open(self):
        self.write_message(f"hello, {self.current_user}")


class Door(Users, WebSocketHandler):
    """Lets everyone in, and closes on strangers: a browser's script sees a close code, and no status."""

    def open(self):
        if self.current_user is None:
            self.close(4001, "who are you?")
        else:
            self.write_message(f"hello, {self.current_user}")


class FirstMessage(WebSocketHandler):
    """Wants to hear who one is, before anything else."""

    user = None

    def on_message(self, message):
        if self.user is not None:
            self.write_message(f"{self.user}: {message}")
            return
        self.user = TOKENS.get(json.loads(message)["token"])
        if self.user is None:
            self.close(4001, "who are you?")
        else:
            self.write_message({"type": "welcome", "user": self.user})


class AuthTestCase(WebSocketTestCase):
    """The app."""

    def get_app(self):
        routes = [
            ("/login", Login),
            ("/logout", Logout),
            ("/me", Me),
            ("/chat", Chat),
            ("/api", API),
            ("/door", Door),
            ("/first-message", FirstMessage),
        ]
        return Application(routes, cookie_secret="for tests", login_url="/login", xsrf_cookies=True)

    async def log_in(self, name, password="secret", *, xsrf=True):
        """Return a user who has been at the form, and what it answered."""
        user = self.ws_session(name)
        form = {"name": name, "password": password}
        return user, await user.fetch("/login", method="POST", data=form, xsrf=xsrf)


class AuthenticatedTest(AuthTestCase):
    """``@authenticated``."""

    async def test_stranger(self):
        """A stranger is sent to the login page: 302, with the way back."""
        response = await self.expect_rejected("/chat", status=302)
        self.assertEqual(response.headers["Location"], "/login?next=%2Fchat")

    async def test_forged_cookie(self):
        """A cookie that the app has not signed is that of a stranger."""
        await self.expect_rejected("/chat", status=302, cookies={"user": "ann"})

    async def test_user(self):
        """A user is let in."""
        client = await self.ws_client("/chat", signed_cookies={"user": "ann"})
        await client.expect("hello, ann")

    def test_handler_without_the_decorator(self):
        """A handler that lets everybody in fails the test that expects it not to."""

        class Case(AuthTestCase):
            async def test_it(self):
                await self.expect_rejected("/door", status=302)

        self.assertIn("/door accepted the opening handshake, expected it to be rejected with 302", run_test(Case).text)


class CookieLoginTest(AuthTestCase):
    """A login form."""

    async def test_login(self):
        """Who has logged in has the cookie, for pages and websockets."""
        ann, response = await self.log_in("ann")
        self.assertEqual((response.code, response.body), (200, b"ann"))
        await (await ann.ws_client("/chat")).expect("hello, ann")

    async def test_wrong_password(self):
        """Who has not is refused."""
        ann, response = await self.log_in("ann", "?")
        self.assertEqual(response.code, 403)
        await ann.expect_rejected("/chat", status=302)

    async def test_logout(self):
        """Who has logged out is a stranger for the next websocket; the one that is open stays."""
        ann, _ = await self.log_in("ann")
        client = await ann.ws_client("/chat")
        await ann.fetch("/logout", method="POST", xsrf=True)
        await ann.expect_rejected("/chat", status=302)
        self.assertFalse(client.closed)

    async def test_two_users(self):
        """Each has a cookie of their own."""
        for name in ("ann", "bob"):
            user, _ = await self.log_in(name)
            await (await user.ws_client("/chat")).expect(f"hello, {name}")


class XSRFTest(AuthTestCase):
    """``xsrf_cookies=True``."""

    async def test_without_a_token(self):
        """A form without the token is refused, though the password is right."""
        ann, response = await self.log_in("ann", xsrf=False)
        self.assertEqual((response.code, dict(ann.cookies)), (403, {}))

    async def test_token_of_somebody_else(self):
        """A token that is not the one of the cookie is refused."""
        ann = self.ws_session("ann", cookies={"_xsrf": "a" * 32})
        form = {"name": "ann", "password": "secret", "_xsrf": "b" * 32}
        self.assertEqual((await ann.fetch("/login", method="POST", data=form)).code, 403)

    async def test_websocket(self):
        """A websocket needs no token: what protects it is the check of the origin."""
        await (await self.ws_client("/chat", signed_cookies={"user": "ann"})).expect("hello, ann")


class BearerTest(AuthTestCase):
    """A token in a header."""

    async def test_token(self):
        """It goes with a websocket."""
        client = await self.ws_client("/api", headers={"Authorization": "Bearer t0p"})
        await client.expect("hello, ann")

    async def test_token_of_a_user(self):
        """It goes with all that a user asks for."""
        bob = self.ws_session("bob", headers={"Authorization": "Bearer s3t"})
        self.assertEqual((await bob.fetch("/me")).body, b"bob")
        await (await bob.ws_client("/api")).expect("hello, bob")

    async def test_token_of_nobody(self):
        """A wrong token, or another scheme, is refused with 401."""
        for header in ("Bearer ?", "Basic t0p", "t0p"):
            with self.subTest(header=header):
                await self.expect_rejected("/api", status=401, headers={"Authorization": header})

    def test_token_in_a_failure(self):
        """The token is a secret: no failure shows it."""

        class Case(AuthTestCase):
            async def test_it(self):
                client = await self.ws_client("/api", headers={"Authorization": "Bearer t0p"})
                await client.expect("hello, bob")

        text = run_test(Case).text
        self.assertIn("Authorization: ***", text)
        self.assertNotIn("t0p", text.partition("transcript")[2])


class CloseTest(AuthTestCase):
    """A close after ``open()``, in the place of a refusal."""

    async def test_stranger(self):
        """The opening handshake goes through, and the close says who is not welcome."""
        client = await self.ws_client("/door")
        await client.expect_closed(4001, "who are you?")

    async def test_user(self):
        """A user is greeted, and stays."""
        client = await self.ws_client("/door", signed_cookies={"user": "ann"})
        await client.expect("hello, ann")
        await client.expect_nothing()

    async def test_stranger_who_goes_on(self):
        """A test that takes the door for open is told of the close, with its code."""
        client = await self.ws_client("/door")
        with self.assertRaisesRegex(ConnectionClosed, "closed with 4001 'who are you\\?'"):
            await client.receive()


class FirstMessageTest(AuthTestCase):
    """A login as the first message, as the handshake of every client."""

    ws_path = "/first-message"

    async def handshake(self, client, token="t0p"):
        await client.send({"token": token})
        return await client.expect(containing(type="welcome"))

    async def test_user(self):
        """Every client is logged in when its test begins."""
        client = await self.ws_client()
        self.assertEqual(client.handshake_result["user"], "ann")
        await client.send("hi")
        await client.expect("ann: hi")

    async def test_another_user(self):
        """One client may be somebody else."""
        client = await self.ws_client(handshake_kwargs={"token": "s3t"})
        self.assertEqual(client.handshake_result["user"], "bob")

    async def test_stranger(self):
        """A wrong token is answered by a close, which fails the handshake, or is expected by a test of its own."""
        with self.assertRaisesRegex(ConnectionClosed, "4001 'who are you\\?'"):
            await self.ws_client(handshake_kwargs={"token": "?"})
        client = await self.ws_client(handshake=None)
        await client.send({"token": "?"})
        await client.expect_closed(4001, "who are you?")

    async def test_handshake_as_an_object(self):
        """A handshake that is made of `exchange` fails with its step."""
        welcome = containing(type="welcome")
        await self.ws_client(handshake=exchange({"token": "t0p"}, welcome))
        with self.assertRaisesRegex(HandshakeFailed, "4001"):
            await self.ws_client(handshake=exchange({"token": "?"}, welcome))


class OriginTest(AuthTestCase):
    """``check_origin``."""

    async def test_foreign_origin(self):
        """A websocket that a foreign page opens is refused, though the user's cookie goes with it."""
        ann, _ = await self.log_in("ann")
        await ann.expect_rejected("/chat", origin="https://evil.example")

    async def test_own_origin(self):
        """One that the app's own page opens is let in."""
        ann, _ = await self.log_in("ann")
        client = await ann.ws_client("/chat", origin=self.ws_server.url("").rstrip("/"))
        await client.expect("hello, ann")

    def test_handler_that_lets_every_origin_in(self):
        """A handler whose ``check_origin`` says yes to all fails the test."""

        class Open(Chat):
            def check_origin(self, origin):
                return True

        class Case(AuthTestCase):
            def get_app(self):
                return Application([("/chat", Open)], cookie_secret="for tests", login_url="/login")

            async def test_it(self):
                ann = self.ws_session("ann", signed_cookies={"user": "ann"})
                await ann.expect_rejected("/chat", origin="https://evil.example")

        self.assertIn("/chat accepted the opening handshake, expected it to be rejected with 403", run_test(Case).text)
