"""What an app's source says about its messages, and what its server says."""

import json
import textwrap
import unittest

from tornado.websocket import WebSocketHandler

from tests.apps import games
from tornado_wstest.fuzzing.reading import read_source
from tornado_wstest.fuzzing.syntax import LIST, PATH, QUERY
from tornado_wstest.fuzzing.vocabulary import Vocabulary


def read(source):
    """Return the facts of a function that takes ``message``, given by its body."""
    return read_source(["def on_message(self, message):\n" + textwrap.indent(textwrap.dedent(source), "    ")])


def shapes(source):
    """Return the shapes, with dots in their paths."""
    return [{".".join(path): value for path, value in shape.items()} for shape in read(source).shapes]


class ShapesTest(unittest.TestCase):
    """Objects that lead somewhere."""

    def assert_shape(self, expected, source):
        self.assertIn(expected, shapes(source))

    def test_members_that_are_looked_up(self):
        """A subscript, get, pop, setdefault and a test with ``in`` each name a member."""
        for lookup in (
            'm["a"]',
            'm.get("a")',
            'm.pop("a", 1)',
            'm.setdefault("a", 1)',
            '"a" in m',
            'm["a"]["b"] and 0',
        ):
            with self.subTest(lookup=lookup):
                paths = {path for shape in read(f"m = json.loads(message)\nx = {lookup}").shapes for path in shape}
                self.assertIn(("a",), paths)

    def test_members_of_members(self):
        """A part that has a name keeps its place, also as an item of a list."""
        self.assert_shape(
            {"a": None, "a.b": None, f"a.b.{LIST}.c": None},
            """
            part = json.loads(message)["a"]
            for item in part["b"]:
                item["c"]
            """,
        )

    def test_branch_of_a_constant(self):
        """What a branch reads belongs to its constant, and to no other."""
        for first, second in (
            ("if m['t'] == 'x':", "elif m['t'] == 'y':"),
            ("if 'x' == (k := m.get('t')):", "elif k in ('y',):"),
            ("if m['t'] in {'x'} and True:", "elif m['t'] == 'y' or m['t'] == 'z':"),
        ):
            with self.subTest(first=first):
                found = shapes(f"m = json.loads(message)\n{first}\n    m['a']\n{second}\n    m['b']")
                self.assertIn({"t": "x", "a": None}, found)
                self.assertIn({"t": "y", "b": None}, found)

    def test_branch_that_was_not_asked(self):
        """What the test of a later branch looks up does not belong to an earlier one."""
        source = "if message['t'] == 'x':\n    message['a']\nelif message['b'] == 1:\n    pass"
        self.assertIn({"t": "x", "a": None}, shapes(source))

    def test_branch_of_a_match(self):
        """A case of a value, of one of several, and of a mapping says what must be so."""
        source = """
            m = json.loads(message)
            match m["t"]:
                case "x" | "y":
                    m["a"]
            match m:
                case {"op": "add", "n": int(n)} if n > 3:
                    pass
        """
        self.assert_shape({"t": "y", "a": None}, source)
        self.assertTrue(any(shape.get("op") == "add" and "n" in shape for shape in shapes(source)))
        self.assertEqual(read(source).kinds[("n",)], {"number"})

    def test_branch_in_a_function_that_is_called(self):
        """A function's members belong to where it is called, with the conditions there."""
        source = """
            def play(self, data):
                if data["op"] == "add":
                    data["n"]
            def on_message(self, message):
                m = json.loads(message)
                if m["t"] == "x":
                    self.play(m["data"])
        """
        found = read_source([textwrap.dedent(source)]).shapes
        self.assertIn({("t",): "x", ("data", "op"): "add", ("data",): None, ("data", "n"): None}, found)

    def test_functions_that_call_each_other(self):
        """Functions that call each other in a circle are read to an end."""
        source = "def a(m):\n    m['x']\n    b(m)\ndef b(m):\n    m['y']\n    a(m)\n"
        self.assertIn({("x",): None, ("y",): None}, read_source([source]).shapes)

    def test_dispatch_by_a_table(self):
        """The keys of a table are constants, each with its function's members."""
        source = (
            "def f(m):\n    m['a']\nT = {'x': f, 'y': None}\n"
            "def g(m):\n    T[m['t']](m)\ndef h(m):\n    T.get(m['u'])(m)\n"
        )
        found = read_source([source]).shapes
        self.assertIn({("t",): "x", ("a",): None}, found)
        self.assertIn({("u",): "x", ("a",): None}, found)
        self.assertIn({("t",): "y"}, found)

    def test_dispatch_by_a_methods_name(self):
        """The rest of a method's name is a constant, with its arguments as members if they are unpacked."""
        for name in ("'do_' + m['t']", "f\"do_{m['t']}\""):
            source = (
                f"class A:\n    def on(self, m):\n        getattr(self, {name})(**m['args'])\n"
                "    def do_x(self, user): pass\n"
            )
            with self.subTest(name=name):
                self.assertIn({("t",): "x", ("args",): None, ("args", "user"): None}, read_source([source]).shapes)

    def test_branch_behind_a_guard(self):
        """What is behind ``if ...: return`` is under the other condition."""
        for guard in ("m['t'] != 'x'", "m['t'] not in ('x',)", "not m['t'] == 'x'", "m['u'] or m['t'] != 'x'"):
            with self.subTest(guard=guard):
                found = shapes(f"m = json.loads(message)\nif {guard}:\n    return\nm['a']")
                self.assertTrue(any(shape.get("t") == "x" and "a" in shape for shape in found), found)

    def test_items_with_places(self):
        """The items of a list, and the words of a line, are known by their places."""
        for source in (
            "match json.loads(message):\n    case ['x', int(n), who]:\n        n + 1",
            "m = json.loads(message)\nif m[0] == 'x':\n    int(m[1]), m[2]",
            "command, *rest = message.split()\nif command == 'x':\n    n, who = rest\n    int(rest[0]), rest[1]",
            "a, _, b = message.partition(' ') if message else ''\nif a == 'x':\n    int(b), b.split()[1]",
            "words = message.split()\nif words[0] == 'x':\n    rest = words[1:]\n    int(rest[0]), rest[1]",
        ):
            with self.subTest(source=source):
                facts = read(source)
                self.assertIn({("[0]",): "x", ("[1]",): None, ("[2]",): None}, facts.shapes)
                self.assertIn("number", facts.kinds[("[1]",)])

    def test_several_names_at_once(self):
        """``a, b = x, y`` gives each name its part."""
        self.assert_shape({"x": None, "y": None, "y.z": None}, "a, b = message['x'], message['y']\nb['z']")

    def test_parts_of_comprehensions(self):
        """What a comprehension goes through is a list, with its items' members."""
        self.assert_shape({"a": None, f"a.{LIST}.b": None}, "[one['b'] for one in message['a']]")

    def test_what_passes_through(self):
        """A function that nothing is known of returns what it gets; one that measures it does not."""
        self.assert_shape({"a": None, "a.b": None}, "cast(Join, message['a'])['b']")
        self.assertEqual(shapes("len(message['a'])['b']"), [{"a": None}])

    def test_attributes_that_keep_a_part(self):
        """What one method puts into an attribute, another one takes out of it."""
        source = "def f(self, m):\n    self.at = m['at']\ndef g(self):\n    self.at['x']\n"
        self.assertIn({("at", "x"): None}, read_source([source]).shapes)

    def test_objects_that_are_made(self):
        """What a class is called with is what it is made of."""
        source = "class A:\n    def __init__(self, b):\n        b['x']\ndef f(m):\n    A(m['a'])\n"
        self.assertIn({("a",): None, ("a", "x"): None}, read_source([source]).shapes)

    def test_classes_that_are_registered(self):
        """A decorator with a text names a class as it does a function."""
        source = (
            "@event('x')\nclass A:\n    def __init__(self, b):\n        b['n']\n"
            "def f(m):\n    cls = TABLE[m['t']]\n    cls(m)\n"
        )
        self.assertIn({("t",): "x", ("n",): None}, read_source([source]).shapes)

    def test_arguments_of_the_url(self):
        """What a path's argument, and one of the query, is used for is known; they are no members."""
        facts = read_source(
            ["def open(self, room, n):\n    room == 'a'\n    int(n)\n    int(self.get_argument('q'))\n"]
        )
        self.assertEqual(facts.values, {(PATH, "0"): ["a"]})
        self.assertEqual((facts.kinds[(PATH, "1")], facts.kinds[(QUERY, "q")]), ({"int", "number"},) * 2)
        self.assertEqual(facts.shapes, [])

    def test_constants_with_names(self):
        """Constants of a module, of a class and of an enumeration are known by their values."""
        source = (
            "A = 'a'\nS = frozenset(('s', 't'))\nclass E(Enum):\n    B = 'b'\n"
            "def f(m):\n    m['x'] == A\n    m['x'] in S\n    m['x'] == E.B.value\n    m[A]\n"
        )
        facts = read_source([source])
        self.assertEqual(facts.values[("x",)], ["a", "s", "t", "b"])
        self.assertIn(("a",), {path for shape in facts.shapes for path in shape})

    def test_fields_of_a_class(self):
        """Annotated fields are members; one of a literal is its constant."""
        facts = read_source(["class Join(BaseModel):\n    type: Literal['join']\n    room: str\n    n: int | None\n"])
        self.assertEqual(facts.shapes, [{("type",): "join", ("room",): None, ("n",): None}])
        self.assertEqual((facts.kinds[("room",)], facts.kinds[("n",)]), ({"string"}, {"number"}))

    def test_what_is_sent(self):
        """An object that the app sends is known by its members."""
        facts = read("self.write_message({'type': 'x', 'data': {'n': n}})")
        self.assertEqual(facts.sent, [{("type",): "x", ("data", "n"): None}])

    def test_what_is_no_message(self):
        """A lookup in something else is no member."""
        self.assertEqual(shapes("os.environ['HOME']\nx = self.rooms['a']\nx['b']"), [])

    def test_source_that_is_huge(self):
        """However many branches there are, some are enough."""
        facts = read("\n".join(f"if message['t'] == 'x{n}':\n    message['a{n}']" for n in range(2000)))
        self.assertLess(len(facts.shapes), 300)


class FactsTest(unittest.TestCase):
    """Constants, and what is done with members."""

    def test_texts_that_are_compared(self):
        """What the message itself is compared with, is a command; what it is split at, a separator."""
        facts = read(
            "if message == 'ping': pass\nif message.startswith('/x'): pass\na, b = message.split(':')\nb == 'c'"
        )
        self.assertEqual(facts.values[()], ["ping", "/x"])
        self.assertEqual(facts.values[("[1]",)], ["c"])
        self.assertEqual(list(facts.separators), [":"])

    def test_kinds(self):
        """How a member is used says what it is."""
        for use, kind in (
            ("int(message['a'])", "number"), ("message['a'] > 3", "number"), ("message['a'] * 2", "number"),
            ("isinstance(message['a'], (str, int))", "string"), ("message['a'].lower()", "string"),
            ("message['a'].items()", "object"),
            ("for x in message['a']: pass", "list"), ("isinstance(message['a'], bool)", "bool"),
        ):  # fmt: skip
            with self.subTest(use=use):
                self.assertIn(kind, read(use).kinds[("a",)])

    def test_patterns(self):
        """What a text is matched with, by its module's function or by a pattern with a name."""
        body = "    int(P.match(m['x'])[1])\n    re.search('b+', m['y'])\n"
        source = f"P = re.compile('a+')\ndef f(m):\n{body}"
        facts = read_source([source])
        self.assertEqual(facts.patterns, {("x",): {"a+": None}, ("y",): {"b+": None}})
        self.assertIn("int", facts.kinds[("x",)])

    def test_pieces(self):
        """What a text is asked for, or split at, with what is done with its parts."""
        facts = read("'-' in message['a']\nfor part in message['b'].split(','):\n    int(part)")
        self.assertEqual(facts.pieces, {("a",): {"-": None}, ("b",): {",": None}})
        self.assertIn("int", facts.kinds[("b",)])

    def test_uses(self):
        """What is divided by, closed with, gone into, and looked up among words that are not known."""
        for source, path, kind in (
            ("1 / message['a']", ("a",), "divisor"),
            ("self.close(message['a'], message['b'])", ("a",), "close"),
            ("self.close(message['a'], message['b'])", ("b",), "reason"),
            ("[on_message(self, one) for one in message['a']]", ("a",), "deep"),
            ("message['a'] in self.words", ("a",), "word"),
            ("list(map(int, message['a']))", ("a",), "int"),
            ("json.loads(message)", (), "loads"),
        ):
            with self.subTest(source=source):
                self.assertIn(kind, read(source).kinds[path])

    def test_objects_with_any_members(self):
        """An object whose members are gone through is noted."""
        self.assertEqual([*read("for a, b in message['x'].items(): pass").open], [("x",)])

    def test_numbers_and_lengths(self):
        """A number that a member is compared with is told from one that a length is."""
        facts = read("message['a'] > 90\nlen(message['b']) > 20")
        self.assertEqual((list(facts.numbers), list(facts.lengths), facts.values[("a",)]), ([90], [20], [90]))

    def test_query_arguments(self):
        """The names that a handler asks its request for."""
        self.assertEqual(list(read("self.get_argument('a')\nself.get_query_argument('b', None)").arguments), ["a", "b"])

    def test_source_that_is_no_python(self):
        """What cannot be read says nothing."""
        self.assertEqual(read_source(["def", "\0", "x = " + "(" * 1000 + ")" * 1000]).shapes, [])


class OfHandlerTest(unittest.TestCase):
    """The vocabulary of a handler."""

    def test_of_a_handler(self):
        """The handler's module is read, other handlers in it are not."""
        vocabulary = Vocabulary.of_handler(games.Game)
        self.assertEqual(vocabulary.texts[:2], ["ping", "/join"])
        self.assertEqual(vocabulary.arguments, ["token"])
        self.assertTrue({"join", "leave", "part", "bet", "move", "reset", "kick"} <= set(vocabulary.words))
        self.assertNotIn("nothing to do with games", vocabulary.words)

    def test_of_a_handler_that_inherits(self):
        """The modules of its bases are read as well, but not Tornado's."""
        child = type("Child", (games.Game,), {"__module__": "tests.test_fuzz_vocabulary"})
        vocabulary = Vocabulary.of_handler(child)
        self.assertIn("join", vocabulary.words)
        self.assertNotIn("Sec-WebSocket-Key", vocabulary.words)

    def test_of_a_handler_without_source(self):
        """Without a source there is nothing, and no error."""
        scope = {"WebSocketHandler": WebSocketHandler, "__name__": "nowhere"}
        exec("class Handler(WebSocketHandler):\n    pass", scope)
        self.assertEqual(Vocabulary.of_handler(scope["Handler"]).words, {})

    def test_subprotocols(self):
        """Words that look like a subprotocol are told."""
        facts = read("message == 'graphql-ws'\nmessage == 'v1.chat'\nmessage == 'hello'")
        self.assertEqual(Vocabulary(facts).subprotocols, ["graphql-ws"])

    def test_operations(self):
        """The fields of a GraphQL schema in the source are told."""
        schema = "SCHEMA = '''\ntype Subscription {\n  counter(to: Int): Int\n}\ntype Query { \n a: Int }'''"
        self.assertEqual(Vocabulary(read_source([schema])).operations, [("subscription", "counter"), ("query", "a")])


class SawTest(unittest.TestCase):
    """What the server sent."""

    def test_saw_a_message(self):
        """A message of JSON adds its names, its values where they stand, and itself."""
        vocabulary = Vocabulary()
        vocabulary.saw('{"type": "joined", "user": {"id": 7}}')
        self.assertEqual(list(vocabulary.keys), ["type", "id"])
        self.assertEqual(vocabulary.values, {"type": ["joined"], "id": [7]})
        self.assertEqual(vocabulary.samples, [{"type": "joined", "user": {"id": 7}}])

    def test_saw_a_value(self):
        """A value that is decoded already is the same, and a text is a word."""
        vocabulary = Vocabulary()
        vocabulary.saw([{"a": 1}])
        vocabulary.saw("hello")
        vocabulary.saw(b"\xff")
        self.assertEqual((vocabulary.samples, list(vocabulary.words)), ([[{"a": 1}]], ["hello"]))

    def test_saw_the_same_form(self):
        """Of messages of one form one is kept, with all their values."""
        vocabulary = Vocabulary()
        for number in (1, 2, 1):
            vocabulary.saw({"n": number})
        self.assertEqual((vocabulary.samples, vocabulary.values), ([{"n": 1}], {"n": [1, 2]}))

    def test_saw_true_and_one(self):
        """Values of different types are different."""
        vocabulary = Vocabulary()
        for value in (1, True, 1.0):
            vocabulary.saw({"n": value})
        self.assertEqual([repr(value) for value in vocabulary.values["n"]], ["1", "True", "1.0"])

    def test_saw_much(self):
        """However much a server sends, a vocabulary stays small; what is long or cannot travel is left out."""
        vocabulary = Vocabulary()
        for number in range(2000):
            vocabulary.saw({f"k{number}": f"v{number}", "same": number, "deep": json.loads("[" * 900 + "]" * 900)})
        vocabulary.saw({"long": "x" * 10_000, "bad": "\ud800", "\ud800": 1})
        sizes = [len(vocabulary.words), len(vocabulary.samples), len(vocabulary.values["same"])]
        self.assertEqual(sizes, [300, 30, 16])
        self.assertEqual(len(vocabulary.keys), 300)
        self.assertNotIn("\ud800", vocabulary.keys)
        self.assertNotIn("bad", vocabulary.values)

    def test_saw_what_cannot_be_decoded(self):
        """A text that is no JSON, and nesting that is too deep, is no error."""
        vocabulary = Vocabulary()
        vocabulary.saw("[" * 100_000)
        self.assertEqual(vocabulary.samples, [])
