"""What an app is fuzzed with."""

import json
import random
import re
import subprocess
import sys
import unittest
import warnings
from urllib.parse import unquote_to_bytes

from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps import games
from tornado_wstest.errors import UsageError
from tornado_wstest.fuzzing.graphql import SUBPROTOCOLS
from tornado_wstest.fuzzing.making import MessageMaker
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.strategies import (
    Vocabulary,
    binary_messages,
    cases,
    graphql_sequences,
    json_messages,
    paths,
    query_arguments,
    register_message_strategy,
    sequences,
    text_messages,
    unregister_message_strategy,
)
from tornado_wstest.fuzzing.tape import Tape

GAME = websocket_routes(games.make_app())[0]
QUICK = settings(max_examples=200, database=None, deadline=None, suppress_health_check=list(HealthCheck))


class Handler(WebSocketHandler):
    """A handler of which nothing can be known."""


def route_of(pattern):
    """Return the route of a pattern."""
    return websocket_routes(Application([(pattern, Handler)]))[0]


def drawn(strategy, count=400):
    """Return what a strategy draws."""
    found = []

    @settings(QUICK, max_examples=count, derandomize=True)
    @given(strategy)
    def draw(value):
        found.append(value)

    draw()
    return found


def made(kind, vocabulary=None, *, max_size=65536, count=10_000):
    """Return messages of a kind, made without Hypothesis, which takes a hundred times as long."""
    make = getattr(MessageMaker(vocabulary or Vocabulary(), max_size), kind)
    dice = random.Random(1)
    return [make(Tape(dice.randbytes(40))) for _ in range(count)]


def simplest(strategy, is_wanted):
    """Return what Hypothesis shrinks to."""
    return find(strategy, is_wanted, settings=settings(QUICK, max_examples=5000, derandomize=True))


def decoded(message):
    """Return the value of a message, or None."""
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


class TapeTest(unittest.TestCase):
    """Choices that are read off bytes."""

    def test_choices(self):
        """Each choice reads on; where the tape ends, the first one is taken."""
        tape = Tape(bytes([0, 3, 1, 2, 9]), 1, 4)
        self.assertEqual(
            [tape.below(3), tape.choose("abc"), tape.byte(), tape.byte(), tape.below(1000)], [0, "b", 2, 0, 0]
        )

    def test_choices_of_many(self):
        """Of more than 256 all can be chosen."""
        self.assertEqual(Tape(bytes([1, 2])).below(1000), 258)


class TextTest(unittest.TestCase):
    """Text messages."""

    def test_texts_of_every_sort(self):
        """There is nothing, controls, every plane, numbers, formats, nearly JSON, and as much as is allowed."""
        texts = made("text", max_size=1000)
        planes = {ord(char) >> 16 for text in texts for char in text}
        self.assertEqual(planes, set(range(17)))
        self.assertTrue({"", "\x00", "%s", "{0}", "-1", '{"a":'} <= set(texts))
        self.assertEqual(max(len(text.encode()) for text in texts), 1000)

    def test_texts_can_travel(self):
        """Each is UTF-8, whatever the vocabulary has in it, and no longer than a message may be."""
        vocabulary = Vocabulary()
        vocabulary.saw({"\ud800": "\udfff", "a": "é" * 150})
        for size in (1, 10, 70_000):
            with self.subTest(size=size):
                self.assertLessEqual(
                    max(len(text.encode()) for text in drawn(text_messages(vocabulary, max_message_size=size))), size
                )

    def test_commands_of_the_app(self):
        """What messages are compared with comes alone, and with arguments."""
        texts = set(drawn(text_messages(Vocabulary.of_handler(games.Game)), 1000))
        self.assertTrue({"ping", "/join", "/join a"} <= texts)


class JsonTest(unittest.TestCase):
    """JSON messages."""

    def test_json_of_every_sort(self):
        """There are bare values, numbers that are none, huge ones, names twice, deep nesting, and what is cut off."""
        messages = made("json")
        for pattern in (
            r"^null$",
            r"NaN",
            r"1e400",
            r"-Infinity",
            r"9{400}",
            r'("\w+"):.*\1:',
            r"^\[{20000}",
            r'^\[{"',
            r'^"{',
            r'^{"[^}]*$',
        ):
            with self.subTest(pattern=pattern):
                self.assertTrue(any(re.search(pattern, message) for message in messages))

    def test_json_is_bounded(self):
        """No message is longer than it may be, nested ones included."""
        self.assertLessEqual(max(len(message.encode()) for message in made("json", max_size=300)), 300)

    def test_near_misses_of_what_was_sent(self):
        """What the app sent comes again, with one thing changed."""
        vocabulary = Vocabulary()
        vocabulary.saw({"type": "move", "at": {"x": 3}, "who": ["ann"]})
        values = [decoded(message) for message in made("json", vocabulary, count=30_000)]
        for value in (
            {"type": "move", "at": {"x": 3}, "who": ["ann"]},
            {"at": {"x": 3}, "who": ["ann"]},
            {"type": None, "at": {"x": 3}, "who": ["ann"]},
            {"type": "move", "at": None, "who": ["ann"]},
            {"type": "move", "at": {}, "who": ["ann"]},
            {"type": "move", "at": {"x": 3}, "who": []},
            {"type": ["move"], "at": {"x": 3}, "who": ["ann"]},
            {"type": {"a": "move"}, "at": {"x": 3}, "who": ["ann"]},
            {"TYPE": "move", "at": {"x": 3}, "who": ["ann"]},
            {"type": "ann", "at": {"x": 3}, "who": ["ann"]},
            [{"type": "move", "at": {"x": 3}, "who": ["ann"]}],
        ):
            with self.subTest(value=value):
                self.assertIn(value, values)

    def test_an_app_never_seen_is_driven_deep(self):
        """Each branch of a handler is reached within some thousand messages, none of which anybody wrote."""
        vocabulary, reached = Vocabulary.of_handler(games.Game), set()
        for message in made("json", vocabulary, count=2500) + made("text", vocabulary, count=500):
            play(reached, message)
        self.assertEqual(games.BRANCHES - reached, set())


def play(reached, message):
    """Send a message to a game that has no connection."""
    game = games.Game.__new__(games.Game)
    game.reached = reached
    try:
        game.on_message(message)
    except Exception:
        return


class BinaryTest(unittest.TestCase):
    """Binary messages."""

    def test_binary_messages(self):
        """They are drawn with Hypothesis, no longer than they may be."""
        messages = drawn(binary_messages(max_message_size=100), 200)
        self.assertTrue(all(isinstance(message, bytes) for message in messages))
        self.assertEqual(max(map(len, messages)), 100)

    def test_binary_of_every_sort(self):
        """There is nothing, broken UTF-8, text and JSON as bytes, and as much as is allowed."""
        vocabulary = Vocabulary()
        vocabulary.saw({"type": "move"})
        messages = made("binary", vocabulary, max_size=2000)
        self.assertTrue({b"", b"\xff", b"move"} <= set(messages))
        self.assertTrue(any(message.startswith(b'{"type":"move"') for message in messages))
        self.assertEqual(max(map(len, messages)), 2000)


class SequencesTest(unittest.TestCase):
    """What one client sends."""

    def test_sequences_of_all_kinds(self):
        """There are one message and as many as allowed, texts and bytes, and one sent again and again."""
        found = drawn(sequences(max_messages=4))
        self.assertEqual({len(messages) for messages in found}, {1, 2, 3, 4})
        self.assertEqual({type(message) for messages in found for message in messages}, {str, bytes})
        self.assertGreater(sum(messages[1:2] == messages[:1] for messages in found), len(found) / 30)

    def test_sequences_of_one_kind(self):
        """Only the kinds that were asked for are made."""
        self.assertTrue(
            all(isinstance(message, bytes) for messages in drawn(sequences(kinds=["binary"])) for message in messages)
        )

    def test_sequences_shrink(self):
        """What a failure needs is left, and nothing else."""
        vocabulary = Vocabulary.of_handler(games.Game)
        strategy = sequences(GAME, vocabulary, max_messages=5)
        self.assertEqual(simplest(strategy, lambda messages: True), [""])
        self.assertEqual(simplest(strategy, lambda messages: len(messages) > 2), ["", "", ""])
        self.assertEqual(simplest(strategy, lambda messages: b"" in messages), [b""])

        def is_played(*branches):
            def is_wanted(messages):
                reached = set()
                for message in messages:
                    play(reached, message)
                return reached.issuperset(branches)

            return is_wanted

        (message,) = simplest(strategy, is_played("pawn"))
        self.assertEqual(json.loads(message)["move"], {"piece": "pawn", "by": 0})
        command, ping = sorted(simplest(strategy, is_played("ping", "command")))
        self.assertEqual((command[:5], ping), ("/join", "ping"))

    def test_sequences_are_fast(self):
        """A sequence is one draw, however many messages it has."""
        found = []

        @settings(QUICK, max_examples=50)
        @given(st.data())
        def count(data):
            data.draw(cases(GAME, Vocabulary(), max_messages=5))
            found.append(len(data.conjecture_data.nodes))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonInteractiveExampleWarning)
            count()
        self.assertEqual(set(found), {1})

    def test_what_is_learned_later(self):
        """A strategy does not change under Hypothesis: what its vocabulary learns counts for the next one."""
        vocabulary = Vocabulary()
        strategy = json_messages(vocabulary)
        vocabulary.saw({"xyzzy": 1})
        self.assertFalse(any("xyzzy" in message for message in drawn(strategy)))
        self.assertTrue(any("xyzzy" in message for message in drawn(json_messages(vocabulary))))

    def test_misuse(self):
        """Numbers and kinds that cannot be are refused when the strategy is made."""
        for options, text in (
            ({"max_messages": 0}, "max_messages= is a number from 1 to 150, not 0"),
            ({"max_messages": 151}, "max_messages= is a number from 1 to 150, not 151"),
            ({"max_messages": True}, "max_messages= .* not True"),
            ({"max_message_size": 1.5}, "max_message_size= .* not 1.5"),
            ({"kinds": ["jsn"]}, "no kind of message 'jsn': did you mean 'json'?"),
            ({"kinds": []}, "kinds= names at least one of text, json, binary"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(UsageError, text):
                sequences(**options)


class GraphQLTest(unittest.TestCase):
    """GraphQL over websockets."""

    def test_conversations(self):
        """In both subprotocols there are whole conversations in the right order, and others."""
        for subprotocol, right in (
            ("graphql-transport-ws", ["connection_init", "subscribe", "complete"]),
            ("graphql-ws", ["connection_init", "start", "stop", "connection_terminate"]),
        ):
            with self.subTest(subprotocol=subprotocol):
                found = [
                    [json.loads(frame).get("type") for frame in frames]
                    for frames in drawn(graphql_sequences(subprotocol), 600)
                ]
                self.assertIn(right, found)
                self.assertTrue(any(types[0] != "connection_init" for types in found))
                self.assertEqual(
                    simplest(graphql_sequences(subprotocol), lambda frames: True), ['{"type": "connection_init"}']
                )

    def test_operations_of_the_schema(self):
        """A subscription of the app's schema is started."""
        vocabulary = Vocabulary()
        vocabulary.facts.texts.append("type Subscription {\n counter: Int\n}")
        frames = [frame for frames in drawn(graphql_sequences("graphql-ws", vocabulary)) for frame in frames]
        self.assertTrue(any("subscription { counter }" in frame for frame in frames))

    def test_sequences_of_a_subprotocol(self):
        """Where a client speaks GraphQL, most of what it sends is, and some is not."""
        for subprotocol in SUBPROTOCOLS:
            found = drawn(sequences(subprotocol=subprotocol, max_messages=3))
            share = sum("connection_init" in str(messages) for messages in found) / len(found)
            self.assertTrue(0.3 < share < 0.9, share)

    def test_subprotocol_that_is_unknown(self):
        """Another subprotocol is refused."""
        with self.assertRaisesRegex(UsageError, "no GraphQL subprotocol 'graphql-w': did you mean 'graphql-ws'"):
            graphql_sequences("graphql-w")


class PathsTest(unittest.TestCase):
    """Paths that lead to a route."""

    def test_paths_match(self):
        """Each path can be sent, and leads to the route; the simplest is the route's example."""
        for pattern in (
            "/",
            "/chat/([^/]+)",
            r"/n/(\d+)",
            "/d/([0-9]{4})/(?P<x>a|b)?".replace("?P<x>", ""),
            "/opt(?:/(.*))?",
            "/w/.*",
            r"/(\w)\1",
        ):
            with self.subTest(pattern=pattern):
                route = route_of(pattern)
                self.assertTrue(all(route.accepts(path) for path in drawn(paths(route), 200)))
                self.assertEqual(simplest(paths(route), lambda path: True), route.example_path)

    def test_values_of_arguments(self):
        """Arguments are numbers of all sizes, text of any sort, and words of the vocabulary."""
        self.assertTrue({"/0", "/1", "/00", "/9223372036854775808"} <= set(drawn(paths(route_of(r"/(\d+)")), 600)))
        vocabulary = Vocabulary()
        vocabulary.saw({"room": "lobby 7"})
        found = set(drawn(paths(route_of("/([^/]+)"), vocabulary), 2000))
        self.assertTrue({"/0", "/-1", "/lobby%207", "/%00", "/%FF", "/.."} <= found)
        planes = {ord(char) >> 16 for path in found for char in unquote_to_bytes(path).decode("utf-8", "ignore")}
        self.assertGreater(len(planes), 10)

    def test_several_arguments(self):
        """Each argument has values of its own."""
        found = drawn(paths(route_of("/([a-z]+)/([0-9]+)")), 400)
        self.assertGreater(len({path.split("/")[1] for path in found}), 3)
        self.assertGreater(len({path.split("/")[2] for path in found}), 5)

    def test_path_that_is_not_known(self):
        """Where no example is known, Hypothesis finds one."""
        route = route_of("/(?!a)[ab](?![ab])[abc](?!a)[ab]")
        self.assertIsNone(route.example_path)
        self.assertRegex(simplest(paths(route), lambda path: True), "^/bcb$")

    def test_query_arguments(self):
        """The names are those that the handler asks for, and now and then another."""
        found = drawn(query_arguments(Vocabulary.of_handler(games.Game)), 600)
        self.assertTrue({(), (("token", ""),), (("token", "1"),)} <= set(found))
        self.assertIn("room", {name for query in found for name, _ in query})

    def test_cases(self):
        """A case is a path, a query and messages; the simplest is the simplest of all."""
        strategy = cases(GAME, max_messages=3)
        self.assertEqual(simplest(strategy, lambda case: True)[:3], ("/game/a", (), [""]))
        found = drawn(strategy)
        self.assertTrue(all(GAME.accepts(case.path) and 1 <= len(case.messages) <= 3 for case in found))
        self.assertTrue(any(case.query for case in found))

    def test_cases_without_a_known_path(self):
        """Where no path is known, there are cases all the same."""
        self.assertRegex(drawn(cases(route_of("/(?!a)[ab](?![ab])[abc](?!a)[ab]")), 5)[0].path, "^/bcb$")


class RegisterTest(unittest.TestCase):
    """Messages of the user's own."""

    def register(self, *arguments):
        self.addCleanup(unregister_message_strategy, arguments[0], arguments[1])
        return register_message_strategy(*arguments)

    def share(self, route, *wanted, **options):
        """Return which part of the messages to a route these are."""
        messages = [message for messages in drawn(sequences(route, **options)) for message in messages]
        return sum(message in wanted for message in messages) / len(messages)

    def test_registered_messages(self):
        """They are half of what is sent to the routes that match, as they travel, and none of what others get."""
        self.register("/game/*", "text", st.just("xyzzy"))
        self.register("/game/*", "json", st.just({"x": [1]}))
        self.register("/game/*", "binary", st.just(b"xyzzy"))
        wanted = ("xyzzy", '{"x": [1]}', b"xyzzy")
        self.assertTrue(0.3 < self.share(GAME, *wanted) < 0.7)
        for one in wanted:
            self.assertGreater(self.share(GAME, one), 0.05)
        self.assertEqual(self.share(route_of("/other"), *wanted, vocabulary=Vocabulary()), 0)

    def test_patterns(self):
        """A pattern is matched with the route and with its path; a route itself will do."""
        for pattern in ("/game/*", "/game/a", "/game/([^/]+)", "/g?me/*", "*"):
            with self.subTest(pattern=pattern):
                register_message_strategy(pattern, "text", st.just("xyzzy"))
                self.assertGreater(self.share(GAME, "xyzzy"), 0.3)
                unregister_message_strategy(pattern)

    def test_decorator(self):
        """A function that returns a strategy can be decorated, and stays what it is."""

        @self.register("/game/*", "text")
        def commands():
            return st.just("xyzzy")

        self.assertIsInstance(commands(), st.SearchStrategy)
        self.assertGreater(self.share(GAME, "xyzzy"), 0.3)

    def test_registered_again(self):
        """The same pattern and kind again replace the former."""
        self.register("/game/*", "text", st.just("old"))
        register_message_strategy("/game/*", "text", st.just("new"))
        self.assertEqual(self.share(GAME, "old"), 0)

    def test_unregistered(self):
        """One kind is taken back, or all."""
        for kind in ("text", "json"):
            register_message_strategy("/game/*", kind, st.just("xyzzy"))
        unregister_message_strategy("/game/*", "json")
        self.assertEqual(self.share(GAME, '"xyzzy"'), 0)
        self.assertGreater(self.share(GAME, "xyzzy"), 0.3)
        unregister_message_strategy("/game/*")
        self.assertEqual(self.share(GAME, "xyzzy"), 0)

    def test_unregistered_that_never_was(self):
        """What is not registered cannot be taken back; the nearest pattern is named, if there is any."""
        with self.assertRaisesRegex(UsageError, r"^nothing is registered for '/gam/\*', nor for any other pattern$"):
            unregister_message_strategy("/gam/*")
        self.register("/game/*", "text", st.just("xyzzy"))
        with self.assertRaisesRegex(UsageError, r"nothing is registered for '/gam/\*': did you mean '/game/\*'\?"):
            unregister_message_strategy("/gam/*")

    def test_misuse(self):
        """What is no pattern, no kind, no strategy and no function is refused at once."""
        for arguments, text in (
            ((None, "text", st.text()), "a pattern of routes is a str such as '/chat/\\*', not None"),
            (("", "text", st.text()), "not ''"),
            (("/", "txt", st.text()), "no kind of message 'txt': did you mean 'text'?"),
            (("/", "text", "hello"), "strategy is 'hello', which is no Hypothesis strategy"),
            (("/", "text", st.text), "which is no Hypothesis strategy"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(UsageError, text):
                register_message_strategy(*arguments)
        with self.assertRaisesRegex(UsageError, "decorates a function that returns a strategy, not 1"):
            register_message_strategy("/", "text")(1)
        with self.assertRaisesRegex(UsageError, r"what .*<lambda>\(\) returned is 1, which is no Hypothesis strategy"):
            register_message_strategy("/", "text")(lambda: 1)

    def test_strategy_of_another_type(self):
        """A strategy that draws what cannot be sent is told, with its pattern and the value."""
        for kind, value, text in (
            ("text", 1, "as 'text' drew 1; it should draw str"),
            ("text", "\ud800", "it should draw str without surrogates"),
            ("binary", "a", "as 'binary' drew 'a'; it should draw bytes"),
            ("json", {1, 2}, "it should draw values that JSON has"),
        ):
            with self.subTest(kind=kind, value=value):
                self.register("/game/*", kind, st.just(value))
                with self.assertRaisesRegex(UsageError, f"registered for '/game/\\*' {text}|{text}"):
                    drawn(sequences(GAME))
                register_message_strategy("/game/*", kind, st.just("a"))
                self.doCleanups()


class HypothesisTest(unittest.TestCase):
    """The package that this needs."""

    def test_without_hypothesis(self):
        """Without Hypothesis the error says what to install."""
        code = "import sys; sys.modules['hypothesis'] = None; import tornado_wstest.fuzzing.{}"
        for module in ("strategies", "registry"):
            with self.subTest(module=module):
                result = subprocess.run(
                    [sys.executable, "-c", code.format(module)], capture_output=True, text=True, timeout=60, check=False
                )
                self.assertIn("fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'", result.stderr)

    def test_routes_without_hypothesis(self):
        """Routes and vocabulary need nothing but Tornado."""
        names = "tornado_wstest.fuzzing.routes, tornado_wstest.fuzzing.vocabulary"
        code = f"import sys; sys.modules['hypothesis'] = None; import {names}"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
