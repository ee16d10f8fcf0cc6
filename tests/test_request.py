"""The request of an opening handshake."""

import unittest

from tornado.httputil import HTTPHeaders, parse_cookie
from tornado.web import Application, decode_signed_value

from tornado_wstest.errors import UsageError
from tornado_wstest.request import build_request, check_path, check_timeout, cookie_header, join_query, sign

SECRET = "for tests only"


def build(call=None, common=None, *, path="/", app=None, callbacks=True):
    """Return the request for these options."""
    return build_request(path, common or {}, call or {}, app=app, callbacks=callbacks)


def headers(call=None, common=None, **options):
    """Return the headers for these options, as pairs."""
    return list(build(call, common, **options).headers.get_all())


class RequestTestCase(unittest.TestCase):
    """A way to expect a misuse."""

    def assert_misuse(self, text, call, **options):
        """``call`` is refused with an error that matches ``text``, and so it is as the common options."""
        with self.assertRaisesRegex(UsageError, text):
            build(call, **options)
        with self.assertRaisesRegex(UsageError, text):
            build(None, call, **options)


class OptionsTest(RequestTestCase):
    """Which option goes where."""

    def test_options_of_nothing(self):
        """Nothing is sent that was not asked for."""
        request = build(path="/chat")
        self.assertEqual((request.path, list(request.headers.get_all())), ("/chat", []))
        self.assertEqual((request.request_options, request.connect_options), ({}, {}))

    def test_options_of_httprequest(self):
        """What HTTPRequest takes goes there."""
        options = {"auth_username": "ann", "validate_cert": False, "request_timeout": 3}
        self.assertEqual(build(options).request_options, options)
        self.assertEqual(build(options).connect_options, {})

    def test_options_of_websocket_connect(self):
        """What websocket_connect takes goes there."""
        options = {"ping_interval": 1, "max_message_size": 10, "on_message_callback": print}
        self.assertEqual(build(options).connect_options, options)
        self.assertEqual(build(options).request_options, {})

    def test_options_of_the_call_replace(self):
        """Any other option of the call replaces its common one."""
        request = build({"ping_interval": 2}, {"ping_interval": 1, "max_message_size": 10})
        self.assertEqual(request.connect_options, {"ping_interval": 2, "max_message_size": 10})

    def test_options_are_left_alone(self):
        """What the test passed is not changed."""
        common, call = (
            {"headers": {"A": "1"}, "cookies": {"a": "1"}},
            {"headers": HTTPHeaders({"A": "2"}), "origin": "x"},
        )
        build(call, common)
        self.assertEqual(common, {"headers": {"A": "1"}, "cookies": {"a": "1"}})
        self.assertEqual(list(call["headers"].get_all()), [("A", "2")])

    def test_unknown_option(self):
        """An option that nobody knows is refused with the nearest one."""
        self.assert_misuse("unknown option 'heders': did you mean 'headers'", {"heders": {}})
        self.assert_misuse("unknown option 'ping_intervall': did you mean 'ping_interval'", {"ping_intervall": 1})

    def test_option_that_is_no_one_elses(self):
        """Options that would break the opening handshake are unknown."""
        for name in ("url", "self", "method", "body", "callback", "follow_redirects"):
            self.assert_misuse(f"unknown option '{name}'", {name: None})

    def test_callback_that_is_taken(self):
        """A client receives its messages by the callback, so there is none for the test."""
        self.assert_misuse(
            "on_message_callback= is taken.*\nuse ws_connect", {"on_message_callback": print}, callbacks=False
        )
        build({"on_message_callback": None}, callbacks=False)


class HeadersTest(RequestTestCase):
    """``headers=`` and ``origin=``."""

    def test_headers_in_every_form(self):
        """A mapping, a list of pairs and HTTPHeaders are taken."""
        for given in ({"X-A": "1"}, [("X-A", "1")], (["X-A", "1"],), HTTPHeaders({"X-A": "1"})):
            with self.subTest(headers=given):
                self.assertEqual(headers({"headers": given}), [("X-A", "1")])

    def test_headers_are_added(self):
        """Headers of the call are added to the common ones, and replace those of the same name."""
        merged = headers({"headers": {"x-b": "3", "X-C": "4"}}, {"headers": {"X-A": "1", "X-B": "2"}})
        self.assertEqual(merged, [("X-A", "1"), ("X-B", "3"), ("X-C", "4")])

    def test_headers_several_of_a_name(self):
        """A name given twice is sent twice, and both replace the common one."""
        merged = headers({"headers": [("X-A", "1"), ("X-A", "2")]}, {"headers": {"X-A": "0"}})
        self.assertEqual(merged, [("X-A", "1"), ("X-A", "2")])

    def test_origin(self):
        """The origin of the call replaces the common one; none is sent if there is none."""
        self.assertEqual(headers({"origin": "http://a"}, {"origin": "http://b"}), [("Origin", "http://a")])
        self.assertEqual(headers({"origin": None}, {"origin": "http://b"}), [("Origin", "http://b")])
        self.assertEqual(headers({"origin": None}), [])

    def test_header_of_another_type(self):
        """A header's value is a str; the error names the header."""
        self.assert_misuse("the header X-A is a str, not 1", {"headers": {"X-A": 1}})
        self.assert_misuse("the header Origin is a str, not b'http://a'", {"origin": b"http://a"})

    def test_header_that_is_not_latin(self):
        """A header carries latin-1 and nothing else."""
        self.assertEqual(headers({"headers": {"X-A": "é"}}), [("X-A", "é")])
        self.assert_misuse("the header X-A cannot carry '日': a header is latin-1", {"headers": {"X-A": "日"}})

    def test_header_with_control_characters(self):
        """A line break would smuggle a header in; a tab is fine."""
        for value in ("a\r\nX-B: c", "a\nb", "a\0", "\x7f"):
            self.assert_misuse("the header X-A has a line break or another control", {"headers": {"X-A": value}})
            self.assert_misuse("the header Origin has a line break or another control", {"origin": value})
        self.assertEqual(headers({"headers": {"X-A": "a\tb"}}), [("X-A", "a\tb")])

    def test_header_of_no_name(self):
        """A header's name is a token."""
        for name in ("", "X A", "X:", "é", "X\n"):
            self.assert_misuse("cannot be a header's name", {"headers": {name: "1"}})

    def test_headers_that_are_no_pairs(self):
        """Anything else is refused."""
        for given in ("X-A: 1", [("X-A",)], ["ab"], 1):
            self.assert_misuse("headers= is a mapping or a list of pairs, not", {"headers": given})
        self.assert_misuse("headers= has names that are str, not 1", {"headers": {1: "a"}})


class CookiesTest(RequestTestCase):
    """``cookies=`` and ``signed_cookies=``."""

    def test_cookies_are_added(self):
        """Cookies of the call are added to the common ones, and replace those of the same name."""
        merged = headers({"cookies": {"b": "3", "c": 4}}, {"cookies": {"a": "1", "b": "2"}})
        self.assertEqual(merged, [("Cookie", "a=1; b=3; c=4")])

    def test_cookies_beside_a_header(self):
        """Cookies are added to a Cookie header."""
        merged = headers({"cookies": {"b": "2"}}, {"headers": {"Cookie": "a=1"}})
        self.assertEqual(merged, [("Cookie", "a=1; b=2")])

    def test_no_cookies(self):
        """Without cookies there is no Cookie header."""
        self.assertEqual(headers({"cookies": {}, "signed_cookies": None}), [])

    def test_cookie_that_needs_quotes(self):
        """A value that RFC 6265 does not allow bare comes back as it was."""
        for value in ("a b", 'say "hi"', "a;b", "a,b", "é", ""):
            with self.subTest(value=value):
                self.assertEqual(parse_cookie(cookie_header({"a": value})).get("a"), value)

    def test_cookie_without_a_value(self):
        """None and bytes are no values: they would be sent as their repr."""
        self.assert_misuse("the cookie 'a' is a str, not None", {"cookies": {"a": None}})
        self.assert_misuse("the cookie 'a' is a str, not b'1'", {"cookies": {"a": b"1"}})

    def test_cookie_of_no_name(self):
        """A name that no cookie can have is refused."""
        for name in ("", "a b", "a;", "path"):
            self.assert_misuse(f"'{name}' cannot be a cookie's name", {"cookies": {name: "1"}})

    def test_cookie_that_is_not_latin(self):
        """A header cannot carry every character."""
        self.assert_misuse("the header Cookie cannot carry", {"cookies": {"a": "日"}})

    def test_signed_cookies(self):
        """They are signed as the app signs them, and stand beside the others."""
        app = Application(cookie_secret=SECRET)
        ((name, value),) = headers({"signed_cookies": {"user": "ann"}}, {"cookies": {"a": "1"}}, app=app)
        cookies = parse_cookie(value)
        self.assertEqual((name, cookies["a"]), ("Cookie", "1"))
        self.assertEqual(decode_signed_value(SECRET, "user", cookies["user"]), b"ann")

    def test_sign_with_the_key_of_the_app(self):
        """Of several secrets, the one that the app signs with is used."""
        secrets = {0: "old", 1: SECRET}
        signed = sign(Application(cookie_secret=secrets, key_version=1), "user", b"ann")
        self.assertEqual(decode_signed_value({1: SECRET}, "user", signed), b"ann")

    def test_sign_without_a_secret(self):
        """An app that has no secret, or is no Application, cannot sign."""
        for app in (Application(), None, print):
            self.assert_misuse(
                "the app has no cookie_secret to sign 'user' with", {"signed_cookies": {"user": "a"}}, app=app
            )

    def test_signed_cookie_of_another_type(self):
        """Only str and bytes can be signed."""
        app = Application(cookie_secret=SECRET)
        self.assert_misuse(
            "the signed cookie 'user' is a str or bytes, not 1", {"signed_cookies": {"user": 1}}, app=app
        )

    def test_cookies_that_are_no_pairs(self):
        """Anything else is refused, by the name of its option."""
        self.assert_misuse("^cookies= is a mapping", {"cookies": "a=1"})
        self.assert_misuse("^signed_cookies= is a mapping", {"signed_cookies": "a=1"})


class QueryTest(RequestTestCase):
    """``query=``."""

    def test_query_is_added(self):
        """The query of the call comes after the common one, and both after the path's own."""
        request = build({"query": {"c": 3}}, {"query": [("b", "2"), ("b", "x y")]}, path="/chat?a=1")
        self.assertEqual(request.path, "/chat?a=1&b=2&b=x+y&c=3")

    def test_query_of_a_list(self):
        """A list gives its name once an item."""
        self.assertEqual(join_query("/", [("a", ["1", "2"])]), "/?a=1&a=2")

    def test_query_is_encoded(self):
        """Characters that mean something in a URL are encoded."""
        self.assertEqual(build({"query": {"a&b": "é=#"}}).path, "/?a%26b=%C3%A9%3D%23")

    def test_query_that_is_empty(self):
        """An empty query leaves the path as it is."""
        for query in (None, {}, []):
            self.assertEqual(build({"query": query}).path, "/")

    def test_query_that_is_a_text(self):
        """A query written out belongs into the path."""
        self.assert_misuse("query= is a mapping or a list of pairs, not 'a=1'", {"query": "a=1"})


class SubprotocolsTest(RequestTestCase):
    """``subprotocols=``."""

    def test_subprotocols_replace(self):
        """Those of the call replace the common ones; none given leaves them."""
        common = {"subprotocols": ["a", "b"]}
        self.assertEqual(build({"subprotocols": ("c",)}, common).connect_options, {"subprotocols": ["c"]})
        self.assertEqual(build({"subprotocols": []}, common).connect_options, {"subprotocols": []})
        self.assertEqual(build({"subprotocols": None}, common).connect_options, {"subprotocols": ["a", "b"]})

    def test_subprotocols_that_are_no_list(self):
        """A str would be taken apart into its letters."""
        for given in ("chat", 1, ["a", ""], ["a", None]):
            self.assert_misuse("subprotocols= is a list of names, not", {"subprotocols": given})


class CheckTest(unittest.TestCase):
    """`check_path` and `check_timeout`."""

    def test_path_as_it_is(self):
        """A path is returned as it is; a URL may stand inside."""
        for path in ("/", "/chat?to=http://a", "/proxy/http://a", "/%20"):
            self.assertEqual(check_path(path), path)

    def test_path_that_is_a_url(self):
        """A URL is refused, and what takes one is named."""
        with self.assertRaisesRegex(UsageError, r"'ws://a/' is a URL;(.|\n)*connect\(url\)"):
            check_path("ws://a/")

    def test_path_without_a_slash(self):
        """The slash is put in front, as a hint."""
        for path, meant in (("chat", "/chat"), ("", "/"), ("?to=http://a", "/?to=http://a")):
            with self.assertRaises(UsageError) as caught:
                check_path(path)
            self.assertTrue(str(caught.exception).endswith(f"did you mean {meant!r}?"))

    def test_path_with_characters_that_cannot_be(self):
        """What must be percent-encoded is not encoded in silence."""
        for path in ("/a b", "/a\n", "/a#b", "/\x7f"):
            with self.assertRaisesRegex(UsageError, "must be percent-encoded"):
                check_path(path)

    def test_path_of_another_type(self):
        """A path is a str."""
        for path in (None, b"/", 1):
            with self.assertRaisesRegex(UsageError, "a path is a str such as '/chat', not"):
                check_path(path)

    def test_timeout_in_seconds(self):
        """Any number above zero is a time-out, as a float."""
        for timeout in (1, 0.5):
            checked = check_timeout(timeout)
            self.assertEqual((type(checked), checked), (float, timeout))

    def test_timeout_that_is_none(self):
        """Zero, less, NaN, a bool and a text are refused, by the name they came with."""
        for timeout in (0, -1, float("nan"), True, "1", None):
            with self.assertRaisesRegex(UsageError, "ws_timeout is a number of seconds above 0, not"):
                check_timeout(timeout, "ws_timeout")
