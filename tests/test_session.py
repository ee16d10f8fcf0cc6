"""One user: cookies shared by HTTP and websockets."""

import email.utils
import json
import os
import time
import unittest
from urllib.parse import urlencode

import tornado.test
from tornado.httpclient import HTTPClientError
from tornado.httputil import HTTPHeaders
from tornado.web import Application, HTTPError, RequestHandler, authenticated
from tornado.websocket import WebSocketHandler

from tornado_wstest import UsageError, WebSocketTester
from tornado_wstest.cookies import CookieJar

CERTIFICATE, KEY = (os.path.join(os.path.dirname(tornado.test.__file__), name) for name in ("test.crt", "test.key"))


class Seen(RequestHandler):
    """Tells what it was asked."""

    def answer(self):
        for line in self.get_arguments("set"):
            self.add_header("Set-Cookie", line)
        if self.get_argument("to", None):
            self.redirect(self.get_argument("to"), status=int(self.get_argument("status", "302")))
            return
        self.write(
            {
                "method": self.request.method,
                "uri": self.request.uri,
                "cookie": self.request.headers.get("Cookie"),
                "cookies": {name: morsel.value for name, morsel in self.cookies.items()},
                "headers": dict(self.request.headers),
                "body": self.request.body.decode(),
                "user": (self.get_signed_cookie("user") or b"").decode(),
            }
        )

    get = head = post = put = patch = answer


class Chat(WebSocketHandler):
    """Sets cookies in its opening handshake, and tells what it was asked."""

    async def get(self, *args, **kwargs):
        for line in self.get_arguments("set"):
            self.add_header("Set-Cookie", line)
        if self.get_argument("refuse", None):
            self.set_status(403)
            self.finish("no")
            return
        await super().get(*args, **kwargs)

    def open(self, *args):
        self.write_message(
            {
                "cookie": self.request.headers.get("Cookie"),
                "cookies": {name: morsel.value for name, morsel in self.cookies.items()},
                "headers": dict(self.request.headers),
                "user": (self.get_signed_cookie("user") or b"").decode(),
            }
        )


class Protected(RequestHandler):
    """Demands a token where the app demands tokens."""

    def post(self):
        self.write(self.get_body_argument("name", ""))

    put = post


class Token(RequestHandler):
    """Sets the ``_xsrf`` cookie."""

    def get(self):
        self.write(self.xsrf_token)


class Login(RequestHandler):
    """Sets a signed cookie, and leads home."""

    def post(self):
        self.set_signed_cookie("user", self.get_body_argument("name"))
        self.redirect("/home")


class Home(RequestHandler):
    """Knows whom it greets."""

    def get_current_user(self):
        return self.get_signed_cookie("user")

    @authenticated
    def get(self):
        self.write(b"hello, " + self.current_user)


class Forbidden(RequestHandler):
    """Refuses, and sets a cookie all the same."""

    def get(self):
        self.set_cookie("tried", "1")
        raise HTTPError(403)

    def write_error(self, status_code, **kwargs):
        self.set_cookie("tried", "1")
        self.finish("no")


class Nowhere(RequestHandler):
    """A redirect without a location."""

    def get(self):
        self.set_status(302)


class Rooms(RequestHandler):
    """Opens a room, and says where it is."""

    def post(self):
        rooms = self.settings.setdefault("rooms", [])
        rooms.append(self.request.uri)
        self.set_status(201)
        self.set_header("Location", "/rooms")


def make_app(**settings):
    """Return the app that these tests drive."""
    routes = [
        ("/login", Login),
        ("/home", Home),
        ("/protected", Protected),
        ("/token", Token),
        ("/forbidden", Forbidden),
        ("/nowhere", Nowhere),
        ("/rooms", Rooms),
        ("/ws(?:/.*)?", Chat),
        ("/.*", Seen),
    ]
    return Application(routes, cookie_secret="for tests only", login_url="/login", **settings)


class SessionTestCase(unittest.IsolatedAsyncioTestCase):
    """A served app, and a user."""

    app_settings = {}
    tester_settings = {}

    async def asyncSetUp(self):
        self.wstest = await self.enterAsyncContext(
            WebSocketTester(make_app(**self.app_settings), path="/ws", **self.tester_settings)
        )
        self.ann = self.wstest.session("ann")

    async def seen(self, path="/", **options):
        """Return what a page saw of ann's request."""
        return json.loads((await self.ann.fetch(path, **options)).body)

    async def set(self, *lines, path="/", **options):
        """Let a page set cookies."""
        return await self.ann.fetch(f"{path}?{query(*lines)}", **options)


def query(*lines, **others):
    """Return a query that has the app set cookies."""

    return urlencode({"set": lines, **others}, doseq=True)


class SharedTest(SessionTestCase):
    """The jar is the user's, whoever fills it."""

    async def test_cookie_of_a_page_goes_with_a_websocket(self):
        """What a page sets, the opening handshake sends."""
        await self.set("a=1; Path=/")
        client = await self.ann.ws_client()
        self.assertEqual((await client.receive_json())["cookies"], {"a": "1"})

    async def test_cookie_of_a_page_goes_with_a_plain_connection(self):
        """Tornado's own connection sends it, too."""
        await self.set("a=1; Path=/")
        connection = await self.ann.ws_connect()
        self.assertEqual(json.loads(await connection.read_message())["cookies"], {"a": "1"})

    async def test_cookie_of_an_opening_handshake(self):
        """What the 101 of a websocket sets goes with the next request."""
        await self.ann.ws_client(f"/ws?{query('a=1; Path=/')}")
        self.assertEqual((await self.seen())["cookies"], {"a": "1"})

    async def test_cookie_of_a_plain_connection(self):
        """So does what the 101 of Tornado's own connection sets."""
        await self.ann.ws_connect(query={"set": "a=1; Path=/"})
        self.assertEqual((await self.seen())["cookies"], {"a": "1"})

    async def test_cookie_of_a_refused_opening_handshake(self):
        """A refusal may set cookies."""
        await self.ann.expect_rejected(f"/ws?{query('a=1; Path=/', refuse='yes')}")
        self.assertEqual(self.ann.cookies, {"a": "1"})

    async def test_cookie_of_a_refusal_of_a_client(self):
        """The same where the client did not expect it."""
        with self.assertRaises(HTTPClientError):
            await self.ann.ws_client(f"/ws?{query('a=1; Path=/', refuse='yes')}")
        self.assertEqual(self.ann.cookies, {"a": "1"})

    async def test_cookie_of_an_error_page(self):
        """A page that refuses may set cookies."""
        await self.ann.fetch("/forbidden")
        self.assertEqual(self.ann.cookies, {"tried": "1"})

    async def test_reconnect_sends_what_the_jar_holds_by_then(self):
        """A client that connects again has the cookies of now, not of its first time."""
        await self.set("a=1; Path=/")
        client = await self.ann.ws_client()
        await self.set("a=2; Path=/")
        await client.abort()
        await client.reconnect()
        seen = [json.loads(message)["cookies"] for message in await client.receive_all()]
        self.assertEqual(seen, [{"a": "1"}, {"a": "2"}])

    async def test_sessions_share_nothing(self):
        """Another user has no cookie of this one's."""
        bob = self.wstest.session("bob")
        await self.set("a=1; Path=/")
        await bob.ws_client()
        self.assertEqual((bob.cookies, self.ann.cookies), ({}, {"a": "1"}))

    async def test_requests_without_a_session_have_no_cookies(self):
        """The tester's own requests know of no session."""
        await self.set("a=1; Path=/")
        self.assertIsNone(json.loads((await self.wstest.fetch("/")).body)["cookie"])

    async def test_clients_are_named_for_the_user(self):
        """The first client has the user's name, the next one a number."""
        clients = [await self.ann.ws_client(), await self.ann.ws_client(), await self.ann.ws_client(name="phone")]
        self.assertEqual([client.name for client in clients], ["ann", "ann 2", "phone"])

    async def test_clients_of_a_user_without_a_name(self):
        """They are called as the tester's are."""
        client = await self.wstest.session().ws_client()
        self.assertEqual(client.name, "client 1")

    async def test_client_in_a_block(self):
        """``async with`` closes it."""
        async with self.ann.ws_client() as client:
            await client.receive()
        self.assertTrue(client.closed)

    async def test_repr(self):
        """The names of the cookies, and no value."""
        await self.set("a=secret; Path=/")
        self.assertEqual(repr(self.ann), "<Session ann, cookies: a>")


class GivenTest(SessionTestCase):
    """What a user has from the start, and what a call adds."""

    tester_settings = {"options": {"cookies": {"a": "tester's", "t": "1"}, "headers": {"X-Who": "tester"}}}

    async def test_signed_cookie(self):
        """A handler reads it with get_signed_cookie."""
        self.ann = self.wstest.session(signed_cookies={"user": "ann"})
        client = await self.ann.ws_client()
        self.assertEqual(((await self.seen())["user"], (await client.receive_json())["user"]), ("ann", "ann"))

    async def test_value_with_characters_that_need_quotes(self):
        """It arrives as it was given."""
        self.ann = self.wstest.session(cookies={"a": 'x "y"; z'})
        self.assertEqual((await self.seen())["cookies"], {"a": 'x "y"; z'})
        self.assertEqual(self.ann.cookies, {"a": 'x "y"; z'})

    async def test_headers_go_with_every_request(self):
        """Pages and websockets get them, in place of the tester's."""
        self.ann = self.wstest.session(headers={"X-Who": "ann"})
        client = await self.ann.ws_client()
        headers = [(await self.seen())["headers"], (await client.receive_json())["headers"]]
        self.assertEqual([one["X-Who"] for one in headers], ["ann", "ann"])

    async def test_header_of_a_call(self):
        """It counts more than the session's."""
        self.ann = self.wstest.session(headers={"X-Who": "ann"})
        client = await self.ann.ws_client(headers={"x-who": "call"})
        headers = [(await self.seen(headers={"x-who": "call"}))["headers"], (await client.receive_json())["headers"]]
        self.assertEqual([one["X-Who"] for one in headers], ["call", "call"])

    async def test_cookie_of_a_call(self):
        """It goes with that call only, in place of the session's."""
        self.ann = self.wstest.session(cookies={"a": "ann's"})
        client = await self.ann.ws_client(cookies={"a": "call's"})
        self.assertEqual((await client.receive_json())["cookie"], "t=1; a=call's")
        self.assertEqual(self.ann.cookies, {"a": "ann's"})

    async def test_cookie_of_all_connections(self):
        """The session's counts more."""
        self.ann = self.wstest.session(cookies={"a": "ann's"})
        client = await self.ann.ws_client()
        self.assertEqual((await client.receive_json())["cookies"], {"a": "ann's", "t": "1"})

    async def test_cookie_header_of_a_call(self):
        """It is sent together with the jar's."""
        self.ann = self.wstest.session(cookies={"a": "1"})
        self.assertEqual((await self.seen(headers={"Cookie": "b=2"}))["cookies"], {"a": "1", "b": "2"})

    async def test_cookies_cannot_be_written(self):
        """They are the server's to set."""
        with self.assertRaises(TypeError):
            self.ann.cookies["a"] = "1"


class FetchTest(SessionTestCase):
    """Bodies and redirects."""

    async def test_form(self):
        """A mapping is sent urlencoded; a list is several values."""
        seen = await self.seen(method="POST", data={"name": "ann & bob", "room": ["a", "b"]})
        self.assertEqual(seen["body"], "name=ann+%26+bob&room=a&room=b")
        self.assertEqual(seen["headers"]["Content-Type"], "application/x-www-form-urlencoded")

    async def test_json(self):
        """A value is sent as JSON."""
        seen = await self.seen(method="PUT", json={"a": [1]})
        self.assertEqual((seen["body"], seen["headers"]["Content-Type"]), ('{"a": [1]}', "application/json"))

    async def test_body(self):
        """HTTPRequest's own body is sent as it is, with a content type of one's own."""
        seen = await self.seen(method="PATCH", body="x", headers={"Content-Type": "text/x"})
        self.assertEqual((seen["body"], seen["headers"]["Content-Type"]), ("x", "text/x"))

    async def test_post_of_nothing(self):
        """A POST needs no body."""
        self.assertEqual((await self.seen(method="POST"))["body"], "")

    async def test_login(self):
        """The cookie that a redirect sets is there at the next hop."""
        response = await self.ann.fetch("/login", method="POST", data={"name": "ann"})
        self.assertEqual((response.code, response.body), (200, b"hello, ann"))

    async def test_redirect_after_a_post_is_a_get(self):
        """As in browsers: without the body and its headers."""
        for status in (301, 302, 303):
            with self.subTest(status=status):
                seen = await self.seen(f"/?{query(to='/there', status=status)}", method="POST", data={"a": "1"})
                self.assertEqual((seen["method"], seen["uri"], seen["body"]), ("GET", "/there", ""))
                self.assertNotIn("Content-Type", seen["headers"])

    async def test_redirect_that_keeps_the_method(self):
        """307 and 308 repeat the request; so does a 302 of a PUT."""
        for method, status in (("POST", 307), ("POST", 308), ("PUT", 302)):
            with self.subTest(method=method, status=status):
                seen = await self.seen(f"/?{query(to='/there', status=status)}", method=method, data={"a": "1"})
                self.assertEqual((seen["method"], seen["uri"], seen["body"]), (method, "/there", "a=1"))

    async def test_redirect_of_a_head(self):
        """It stays one, even where any other method becomes a GET."""
        response = await self.ann.fetch(f"/?{query(to='/there', status=303)}", method="HEAD")
        self.assertEqual((response.request.method, response.effective_url[-6:]), ("HEAD", "/there"))

    async def test_redirect_that_is_not_followed(self):
        """Its own response is returned, and its cookies are kept."""
        response = await self.ann.fetch(f"/?{query('a=1; Path=/', to='/there')}", follow_redirects=False)
        self.assertEqual((response.code, response.headers["Location"]), (302, "/there"))
        self.assertEqual(self.ann.cookies, {"a": "1"})

    async def test_redirect_to_a_relative_url(self):
        """It is resolved as browsers do; the fragment is theirs."""
        seen = await self.seen(f"/a/b?{query(to='../c?d=é f#top')}")
        self.assertEqual(seen["uri"], "/c?d=%C3%A9%20f")

    async def test_redirect_to_the_apps_own_url(self):
        """A whole URL of the app is followed."""
        self.assertEqual((await self.seen(f"/?{query(to=self.wstest.server.url('/c'))}"))["uri"], "/c")

    async def test_redirect_to_the_host_of_the_request(self):
        """The app is where the Host header says that it is."""
        seen = await self.seen(f"/?{query(to='http://chat.example/c')}", headers={"Host": "chat.example"})
        self.assertEqual((seen["uri"], seen["headers"]["Host"]), ("/c", "chat.example"))

    async def test_redirect_that_leads_elsewhere(self):
        """Nobody is asked; the redirect is returned."""
        https = self.wstest.server.url("/").replace("http:", "https:")
        for elsewhere in ("https://example.com/login", "//example.com", https, "http://[", "mailto:ann@example.com"):
            with self.subTest(elsewhere=elsewhere):
                response = await self.ann.fetch(f"/?{query(to=elsewhere)}")
                self.assertEqual((response.code, response.headers["Location"]), (302, elsewhere))

    async def test_redirect_without_a_path(self):
        """It leads to the root."""
        self.assertEqual((await self.seen(f"/?{query(to=self.wstest.server.url(''))}"))["uri"], "/")

    async def test_status_of_a_redirect_without_a_location(self):
        """It leads nowhere."""
        self.assertEqual((await self.ann.fetch("/nowhere")).code, 302)

    async def test_location_of_what_was_made(self):
        """A location in an answer that is no redirect is not followed: the request is made once."""
        self.assertEqual((await self.ann.fetch("/rooms", method="POST")).code, 201)
        self.assertEqual(self.wstest.server.app.settings["rooms"], ["/rooms"])

    async def test_redirects_without_end(self):
        """They are followed as often as HTTPRequest says."""
        target = "/"
        for _ in range(3):
            target = f"/?{query(to=target)}"
        self.assertEqual((await self.ann.fetch(target, max_redirects=3)).code, 200)
        self.assertEqual((await self.ann.fetch(target, max_redirects=2)).code, 302)

    async def test_error_is_raised_if_asked(self):
        """As in http_fetch."""
        with self.assertRaises(HTTPClientError):
            await self.ann.fetch("/forbidden", raise_error=True)
        self.assertEqual(self.ann.cookies, {"tried": "1"})


class XSRFTest(SessionTestCase):
    """``xsrf_cookies=True``."""

    app_settings = {"xsrf_cookies": True}

    async def test_without_a_token(self):
        """The app demands one."""
        self.assertEqual((await self.ann.fetch("/protected", method="POST", data={"name": "a"})).code, 403)

    async def test_token_of_a_user_who_has_none(self):
        """It is made."""
        response = await self.ann.fetch("/protected", method="POST", data={"name": "a"}, xsrf=True)
        self.assertEqual((response.code, response.body), (200, b"a"))
        self.assertEqual(list(self.ann.cookies), ["_xsrf"])

    async def test_token_that_the_app_has_set(self):
        """It is the one that is sent."""
        await self.ann.fetch("/token")
        token = self.ann.cookies["_xsrf"]
        self.assertEqual((await self.ann.fetch("/protected", method="PUT", json=1, xsrf=True)).code, 200)
        self.assertEqual(self.ann.cookies["_xsrf"], token)

    async def test_cookie_alone_does_not_do(self):
        """With the cookie but without xsrf=True, the token is still demanded."""
        await self.ann.fetch("/token")
        self.assertEqual((await self.ann.fetch("/protected", method="POST")).code, 403)


class NamedXSRFTest(SessionTestCase):
    """``xsrf_cookie_name``."""

    app_settings = {"xsrf_cookies": True, "xsrf_cookie_name": "__token"}

    async def test_cookie_of_another_name(self):
        """The app's setting is honoured."""
        self.assertEqual((await self.ann.fetch("/protected", method="POST", xsrf=True)).code, 200)
        self.assertEqual(list(self.ann.cookies), ["__token"])


class SecureTest(SessionTestCase):
    """Over https."""

    tester_settings = {"httpserver_options": {"ssl_options": {"certfile": CERTIFICATE, "keyfile": KEY}}}

    async def test_secure_cookie_is_sent(self):
        """The server speaks https."""
        await self.set("a=1; Path=/; Secure")
        client = await self.ann.ws_client()
        self.assertEqual((await client.receive_json())["cookies"], {"a": "1"})


class MemoryTest(SessionTestCase):
    """Over the memory transport."""

    tester_settings = {"transport": "memory"}

    async def test_login(self):
        """It is the same: a form, a redirect, a websocket."""
        response = await self.ann.fetch("/login", method="POST", data={"name": "ann"})
        client = await self.ann.ws_client()
        self.assertEqual((response.body, (await client.receive_json())["user"]), (b"hello, ann", "ann"))


class VirtualTimeTest(SessionTestCase):
    """Expiry by the test's clock."""

    tester_settings = {"virtual_time": True}

    async def test_max_age(self):
        """A cookie of an hour is gone when the clock has moved on by an hour."""
        await self.set("a=1; Path=/; Max-Age=3600")
        await self.wstest.clock.advance(3599)
        self.assertEqual((await self.seen())["cookies"], {"a": "1"})
        await self.wstest.clock.advance(1)
        self.assertEqual((await self.seen())["cookies"], {})

    async def test_login_for_thirty_days(self):
        """Tornado's own expires_days is a date, which is as far away as it was when it was set."""
        await self.ann.fetch("/login", method="POST", data={"name": "ann"})
        await self.wstest.clock.advance(29 * 86400)
        self.assertIn("user", self.ann.cookies)
        await self.wstest.clock.advance(86401)
        self.assertNotIn("user", self.ann.cookies)


class BadInputTest(SessionTestCase):
    """What cannot be meant is refused at the call."""

    async def test_session(self):
        """What a session is made of."""
        for options, text in (
            ({"name": ""}, "name is a str, not ''"),
            ({"name": 1}, "name is a str, not 1"),
            ({"cookies": "a=1"}, "cookies= is a mapping"),
            ({"cookies": {"a": None}}, "the cookie 'a' is a str, not None"),
            ({"cookies": {"a b": "1"}}, "'a b' cannot be a cookie's name"),
            ({"signed_cookies": {"a": 1}}, "the signed cookie 'a' is a str or bytes, not 1"),
            ({"headers": {"a b": "1"}}, "'a b' cannot be a header's name"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(UsageError, text):
                self.wstest.session(**options)

    async def test_fetch(self):
        """What a request is made of."""
        for options, text in (
            ({"path": "home"}, "does not start with a slash"),
            ({"data": {}, "json": {}, "method": "POST"}, "data= and json= together"),
            ({"data": {}, "body": "", "method": "POST"}, "data= and body= together"),
            ({"data": {"a": "1"}}, "data= with GET: .* is it method='POST'"),
            ({"data": "a=1", "method": "POST"}, "data= is a mapping"),
            ({"data": {"a": None}, "method": "POST"}, "the field 'a' of data= .* not None"),
            ({"json": {1, 2}, "method": "POST"}, r"json= cannot be \{1, 2\}"),
            ({"method": "post"}, "method is a name such as 'POST', not 'post'"),
            ({"method": None}, "method is a name such as 'POST', not None"),
            ({"xsrf": "token"}, "xsrf is True or False, not 'token'"),
            ({"headers": {"A": 1}}, "the header A is a str, not 1"),
            ({"timeout": 1}, "unknown option 'timeout'"),
            ({"jsn": 1}, "did you mean 'json'"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(UsageError, text):
                await self.ann.fetch(**{"path": "/", **options})

    async def test_websocket(self):
        """The same options as without a session, and none that is ours alone."""
        for options, text in (
            ({"pth": 1}, "unknown option 'pth'"),
            ({"jar": 1}, "unknown option 'jar'"),
            ({"cookies": 1}, "cookies= is a mapping"),
            ({"headers": 1}, "headers= is a mapping"),
        ):
            for call in (self.ann.ws_client, self.ann.ws_connect):
                with self.subTest(options=options, call=call.__name__), self.assertRaisesRegex(UsageError, text):
                    call(**options)

    async def test_failed_call_takes_no_number(self):
        """A client that was never meant does not count."""
        with self.assertRaises(UsageError):
            self.ann.ws_client(pth=1)
        self.assertEqual((await self.ann.ws_client()).name, "ann")

    async def test_after_its_test(self):
        """Its tester is not running any more."""
        await self.wstest.close()
        for call in (self.ann.fetch("/"), self.ann.expect_rejected()):
            with self.assertRaisesRegex(UsageError, "not running"):
                await call
        for connect in (self.ann.ws_client, self.ann.ws_connect, self.wstest.session):
            with self.assertRaisesRegex(UsageError, "not running"):
                connect()


class CookieJarTest(unittest.TestCase):
    """RFC 6265, without a server."""

    def setUp(self):
        self.time = 1000.0
        self.jar = CookieJar(lambda: self.time)

    def set(self, *lines, path="/"):
        """Obey these Set-Cookie headers."""
        headers = HTTPHeaders()
        for line in lines:
            headers.add("Set-Cookie", line)
        self.jar.obey(path, headers)

    def assert_sent(self, expected, path="/"):
        """This is what the Cookie header of a path says."""
        self.assertEqual(self.jar.header(path), expected)

    def test_several_cookies_in_one_response(self):
        """Each is kept, and sent in the order of creation."""
        self.set("b=1", "a=2; HttpOnly")
        self.assert_sent("b=1; a=2")

    def test_replaced_cookie(self):
        """It has the new value, and its old place."""
        self.set("b=1", "a=2", "b=3")
        self.assert_sent("b=3; a=2")

    def test_value_is_sent_as_it_came(self):
        """Quotes and all; read as a handler reads it."""
        self.set('a="x\\054y"', "b = c=d ; x")
        self.assert_sent('a="x\\054y"; b=c=d')
        self.assertEqual(self.jar.read("/"), {"a": "x,y", "b": "c=d"})

    def test_what_is_no_cookie(self):
        """Without a name it is left alone."""
        self.set("", "a", "=1", ";Path=/")
        self.assert_sent("")

    def test_path(self):
        """It is sent to the path and below."""
        self.set("a=1; Path=/chat")
        for path, sent in (("/chat", 1), ("/chat/", 1), ("/chat/a", 1), ("/chat?a=/", 1), ("/chats", 0), ("/", 0)):
            with self.subTest(path=path):
                self.assert_sent("a=1" if sent else "", path)

    def test_path_with_a_slash_at_its_end(self):
        """It is sent below, and not to the path without the slash."""
        self.set("a=1; Path=/chat/")
        self.assert_sent("a=1", "/chat/a")
        self.assert_sent("", "/chat")

    def test_default_path(self):
        """Without a path, or with one that is none, it is the directory of the request."""
        for asked, expected in (("/a/b", "/a"), ("/a/", "/a"), ("/a", "/"), ("/a/b?c=/d/e", "/a")):
            for line in ("x=1", "x=1; Path", "x=1; Path=", "x=1; Path=chat"):
                with self.subTest(asked=asked, line=line):
                    self.set("x=; Path=/a; Max-Age=0", "x=; Path=/; Max-Age=0")
                    self.set(line, path=asked)
                    self.assert_sent("" if expected == "/a" else "x=1", "/")
                    self.assert_sent("x=1", "/a")

    def test_one_name_for_two_paths(self):
        """Both are kept; the longer path is sent first."""
        self.set("a=1; Path=/", "a=2; Path=/chat")
        self.assert_sent("a=2; a=1", "/chat")
        self.assert_sent("a=1", "/")

    def test_last_attribute_counts(self):
        """Attributes have any case, and the last of several counts."""
        self.set("a=1; path=/x; PATH=/y; Partitioned; SameSite=Lax")
        self.assert_sent("a=1", "/y")
        self.assert_sent("", "/x")

    def test_deletion(self):
        """A cookie that expires at once is deleted, with the path that it was set with."""
        for line in ("a=; Max-Age=0", "a=; Max-Age=-1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"):
            with self.subTest(line=line):
                self.set("a=1; Path=/chat", path="/chat/x")
                self.set(line, path="/")
                self.assert_sent("a=1", "/chat")
                self.set(line, path="/chat/y")
                self.assert_sent("", "/chat")

    def test_max_age(self):
        """It counts more than a date, by the jar's clock."""
        self.set("a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
        self.time += 9.9
        self.assert_sent("a=1")
        self.time += 0.1
        self.assert_sent("")

    def test_expires_in_every_format_that_servers_use(self):
        """A date that has passed deletes."""
        for date in (
            "Wed, 09 Feb 1994 22:23:32 GMT",
            "Wednesday, 09-Feb-94 22:23:32 GMT",
            "Wed Feb  9 22:23:32 1994",
            "Wed, 09-Feb-1994 22:23:32 GMT",
            "Wed, 09 Feb 1994 22:23:32 -0000",
        ):
            with self.subTest(date=date):
                self.set("a=1", f"a=1; Expires={date}")
                self.assert_sent("")

    def test_date_is_utc(self):
        """A zone is not looked at: RFC 6265, section 5.1.1."""
        soon = email.utils.formatdate(time.time() + 60)[:-5]
        for zone in ("GMT", "+0500", "-0500"):
            with self.subTest(zone=zone):
                self.set(f"a=1; Expires={soon}{zone}")
                self.assert_sent("a=1")
                self.jar = CookieJar(lambda: self.time)
                self.set(f"a=1; Expires={soon}{zone}")
                self.time += 61
                self.assert_sent("")

    def test_what_is_no_expiry(self):
        """It is left alone: the cookie lasts as long as the session."""
        for attribute in (
            "Max-Age=",
            "Max-Age=x",
            "Max-Age=1.5",
            "Expires=soon",
            "Expires=Wed, 09 Feb 99999 22:23:32 GMT",
        ):
            with self.subTest(attribute=attribute):
                self.set("a=; Max-Age=0", f"a=1; {attribute}")
                self.time += 1e9
                self.assert_sent("a=1")

    def test_age_that_never_ends(self):
        """Any number of digits is a number."""
        self.set(f"a=1; Max-Age={'9' * 5000}")
        self.assert_sent("a=1")

    def test_secure(self):
        """It is not sent where the server speaks http, and sent where it speaks https."""
        self.set("a=1; Secure")
        self.assert_sent("")
        self.jar = CookieJar(lambda: self.time, secure=True)
        self.set("a=1; Secure")
        self.assert_sent("a=1")

    def test_names_left_out(self):
        """Without these."""
        self.set("a=1", "b=2")
        self.assertEqual(self.jar.header("/", without=["a"]), "b=2")
