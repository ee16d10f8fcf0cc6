"""A scenario as a value: how it is declared, compared, joined and shown, and what is refused."""

import copy
import pickle
import unittest
from unittest.mock import ANY

from tornado_wstest import Codec, Scenario, UsageError, containing, discard
from tornado_wstest.scenario import Step


async def shout(value):
    """Answer, but as a coroutine."""


def answer(value):
    """Answer."""
    return "yes"


class StepTest(unittest.TestCase):
    """Each step."""

    def test_each_step_is_kept_as_declared(self):
        """A step has its kind, its arguments and those options that were given."""
        for scenario, step in (
            (Scenario().send({"a": 1}), Step("send", ({"a": 1},))),
            (Scenario().send(None), Step("send", (None,))),
            (Scenario().expect("a"), Step("expect", ("a",))),
            (Scenario().expect("a", then="b", timeout=3), Step("expect", ("a",), {"then": "b", "timeout": 3})),
            (Scenario().expect(None), Step("expect", (None,))),
            (Scenario().expect_in_any_order("a", "b"), Step("expect_in_any_order", ("a", "b"))),
            (
                Scenario().expect_in_any_order("a", then=answer, timeout=1),
                Step("expect_in_any_order", ("a",), {"then": answer, "timeout": 1}),
            ),
            (Scenario().expect_nothing(), Step("expect_nothing")),
            (Scenario().expect_nothing("a", seconds=2), Step("expect_nothing", ("a",), {"seconds": 2})),
            (Scenario().expect_closed(), Step("expect_closed")),
            (
                Scenario().expect_closed(4001, "", timeout=1),
                Step("expect_closed", (), {"code": 4001, "reason": "", "timeout": 1}),
            ),
            (Scenario().ignore("a", "b"), Step("ignore", ("a", "b"))),
            (Scenario().answer("a", "b"), Step("answer", ("a", "b"))),
            (Scenario().connect(), Step("connect")),
            (Scenario().close(), Step("close")),
            (Scenario().close(4000, "bye"), Step("close", (), {"code": 4000, "reason": "bye"})),
            (
                Scenario().fetch("/a", status=403, then="b", method="POST"),
                Step("fetch", ("/a",), {"status": 403, "then": "b", "method": "POST"}),
            ),
            (Scenario().wait(0.5), Step("wait", (0.5,))),
            (Scenario().mark("a"), Step("mark", ("a",))),
            (Scenario().after("a", "b"), Step("after", ("a", "b"))),
        ):
            with self.subTest(str(step)):
                self.assertEqual(scenario.steps, (step,))

    def test_a_step_returns_a_new_scenario(self):
        """What a step is called on stays as it is."""
        common = Scenario("/chat", name="ann").expect("hello")
        one, other = common.send("a"), common.send("b")
        self.assertEqual([step.kind for step in common.steps], ["expect"])
        self.assertEqual([step.arguments for step in one.steps + other.steps], [("hello",), ("a",), ("hello",), ("b",)])

    def test_a_new_scenario_keeps_its_settings(self):
        """Path, name and options go from step to step."""
        scenario = Scenario("/a", name="b", ignore_others=True, timeout=3, query={"c": 1}).send("d").send("e")
        self.assertEqual(
            (scenario.path, scenario.name, scenario.ignore_others, scenario.timeout, dict(scenario.options)),
            ("/a", "b", True, 3, {"query": {"c": 1}}),
        )

    def test_a_value_is_not_changed(self):
        """An attribute that is set would change what others share, and is refused."""
        scenario = Scenario(name="ann").send("a")
        for name in ("name", "steps", "nmae"):
            with self.assertRaisesRegex(UsageError, f"a Scenario is a value, and its {name} stays"):
                setattr(scenario, name, "bob")
        self.assertEqual(scenario.name, "ann")

    def test_a_value_is_copied(self):
        """copy, deepcopy and pickle give an equal one."""
        scenario = Scenario("/a", name="ann", query={"a": 1}).send("b").expect("c", then="d").mark("e")
        for copied in (copy.copy(scenario), copy.deepcopy(scenario), pickle.loads(pickle.dumps(scenario))):
            self.assertEqual(copied, scenario)

    def test_a_sub_class_stays_one(self):
        """The steps of a user's own sub-class return that class."""

        class Polite(Scenario):
            def greet(self):
                return self.send("hello")

        self.assertIsInstance(Polite("/a").greet().expect("hello"), Polite)


class EqualityTest(unittest.TestCase):
    """Which scenarios are equal."""

    def test_equal(self):
        """Two that were declared with equal things are equal."""
        one, other = (Scenario("/a", name="b", query={"c": 1}).send({"d": 1}).expect("e", then="f") for _ in range(2))
        self.assertEqual(one, other)

    def test_different(self):
        """One setting, argument or option that differs makes a difference."""
        scenario = Scenario("/a", name="b", query={"c": 1}).expect("e", then="f")
        for other in (
            Scenario("/b", name="b", query={"c": 1}).expect("e", then="f"),
            Scenario("/a", name="c", query={"c": 1}).expect("e", then="f"),
            Scenario("/a", name="b", query={"c": 2}).expect("e", then="f"),
            Scenario("/a", name="b", query={"c": 1}, timeout=1).expect("e", then="f"),
            Scenario("/a", name="b", query={"c": 1}, ignore_others=True).expect("e", then="f"),
            Scenario("/a", name="b", query={"c": 1}).expect("x", then="f"),
            Scenario("/a", name="b", query={"c": 1}).expect("e", then="x"),
            Scenario("/a", name="b", query={"c": 1}).expect("e"),
            Scenario("/a", name="b", query={"c": 1}).expect("e", then="f").close(),
            "a str",
        ):
            self.assertNotEqual(scenario, other)

    def test_what_repr_elides_counts(self):
        """Long values that look the same in a repr are different all the same."""
        one, other = (Scenario(headers={"X-A": "a" * 200 + middle + "a" * 200}).send("b") for middle in "bc")
        self.assertEqual(repr(one), repr(other))
        self.assertNotEqual(one, other)

    def test_two_functions_of_one_name_are_different(self):
        """A function is itself, and no other of its name."""
        self.assertNotEqual(Scenario().expect("a", then=lambda _: "b"), Scenario().expect("a", then=lambda _: "c"))

    def test_no_hash(self):
        """It holds what has no hash, and has none."""
        with self.assertRaises(TypeError):
            hash(Scenario())


class ReprTest(unittest.TestCase):
    """How a scenario looks."""

    def test_code(self):
        """The repr is the code that makes an equal one."""
        for scenario in (
            Scenario(),
            Scenario("/chat", name="ann", ignore_others=True, timeout=2.5, query={"a": "b"}, headers={"X": "y"}),
            Scenario().send({"a": [1]}).send(b"b").send("c"),
            Scenario().expect({"a": 1}, then={"b": 2}, timeout=3).expect("c", then=answer),
            Scenario().expect_in_any_order("a", {"b": 1}, then="c").expect_nothing().expect_nothing("a", seconds=2),
            Scenario().ignore("a", "b").answer("c", "d").answer("e", answer),
            Scenario().fetch("/a", status=201, method="POST", data={"a": "b"}).connect().mark("a").after("b", "c"),
            Scenario().wait(3).close(4000, "bye"),
            Scenario().expect_closed(4000, "bye").mark("over"),
        ):
            with self.subTest(repr(scenario)):
                self.assertEqual(eval(repr(scenario)), scenario)

    def test_functions_by_their_names(self):
        """A predicate is shown with its place, an answer with its name."""
        self.assertRegex(
            repr(Scenario().expect(lambda value: True, then=answer)),
            r"^Scenario\(\)\.expect\(<lambda> \(test_scenario\.py:\d+\), then=answer\)$",
        )

    def test_what_is_long_is_elided(self):
        """A step takes a line, whatever it holds."""
        text = repr(Scenario().expect({"a": "b" * 1000}, then="c" * 1000))
        self.assertLess(len(text), 200)
        self.assertIn(" ... ", text)


class JoinTest(unittest.TestCase):
    """``|``."""

    def test_steps_are_appended(self):
        """The steps of the second come after those of the first, whose settings hold."""
        login = Scenario().send("login").expect("welcome")
        ann = Scenario("/chat", name="ann").send("hello") | login | Scenario().close()
        self.assertEqual(ann, Scenario("/chat", name="ann").send("hello").send("login").expect("welcome").close())

    def test_what_is_joined_stays(self):
        """Neither side changes."""
        one, other = Scenario(name="ann").send("a"), Scenario().send("b")
        one | other
        self.assertEqual((len(one.steps), len(other.steps)), (1, 1))

    def test_two_of_the_same_settings(self):
        """Two parts of one user's conversation may both have its settings."""
        one, other = (Scenario("/chat", name="ann").send(text) for text in "ab")
        self.assertEqual(one | other, Scenario("/chat", name="ann").send("a").send("b"))

    def test_settings_that_would_be_lost(self):
        """What stands behind has steps only."""
        with self.assertRaisesRegex(UsageError, r"is Scenario\('/chat', name='bob'\), and all but its steps"):
            Scenario("/chat", name="ann").send("a") | Scenario("/chat", name="bob").send("b")

    def test_what_is_no_scenario(self):
        """Only a scenario is appended."""
        with self.assertRaises(TypeError):
            Scenario() | "a"

    def test_rules_hold_for_what_is_appended(self):
        """What a step may not do where it stands, it may not do by being appended."""
        for one, other, text in (
            (Scenario().close(), Scenario().send("a"), r"\.send\('a'\) after \.close\(\)"),
            (Scenario().send("a"), Scenario().connect(), "connect"),
            (Scenario().mark("a"), Scenario().mark("a"), "the mark 'a' is set twice"),
            (Scenario(ignore_others=True), Scenario().expect_nothing(), "ignores others needs to know"),
        ):
            with self.subTest(text), self.assertRaisesRegex(UsageError, text):
                one | other


class FactsTest(unittest.TestCase):
    """What a play asks."""

    def test_connects_before(self):
        """A user connects at once, after the marks at the beginning, or where it says so."""
        for scenario, index in (
            (Scenario(), 0),
            (Scenario().send("a"), 0),
            (Scenario().mark("a").send("b"), 0),
            (Scenario().wait(1).after("a").send("b"), 0),
            (Scenario().after("a").send("b").after("c"), 1),
            (Scenario().after("a").after("b", "c").send("d"), 2),
            (Scenario().after("a"), 1),
            (Scenario().fetch("/a").connect().send("b"), 1),
            (Scenario().after("a").wait(1).mark("b").connect().send("c"), 3),
        ):
            with self.subTest(repr(scenario)):
                self.assertEqual(scenario.connects_before, index)

    def test_marks(self):
        """Which marks a scenario sets, and which it waits for."""
        scenario = Scenario().mark("a").after("b", "c").send("x").mark("d").after("a")
        self.assertEqual((scenario.marks(), scenario.awaited()), ({"a", "d"}, {"a", "b", "c"}))

    def test_http_after_the_close(self):
        """What needs no connection may come after its end."""
        for ended in (Scenario().close(), Scenario().expect_closed()):
            ended.mark("a").after("b").wait(1).fetch("/log", status=200)

    def test_steps_of_one_who_ignores_others(self):
        """Silence of one kind, and steps that take no argument, are open to those who ignore others."""
        Scenario(ignore_others=True).connect().expect_nothing("a").expect_closed()

    def test_expectations_that_look_odd(self):
        """None, ANY and matchers may be expected."""
        Scenario().expect(None).expect(ANY).expect(containing(a=ANY)).expect_in_any_order({"a": None}, None)


class RefusalTest(unittest.TestCase):
    """What cannot be meant is refused where it is written."""

    def test_settings(self):
        """A bad path, name, option, ..."""
        for arguments, options, text in (
            (("chat",), {}, "does not start with a slash: did you mean '/chat'"),
            (("ws://a/b",), {}, "is a URL"),
            ((7,), {}, "a path is a str"),
            ((), {"name": 7}, "a scenario's name is a str, not 7"),
            ((), {"name": ""}, "a scenario's name is a str, not ''"),
            ((), {"ignore_others": 1}, "ignore_others is True or False, not 1"),
            ((), {"timeout": 0}, "timeout is a number of seconds above 0, not 0"),
            ((), {"timeout": "1"}, "timeout is a number of seconds above 0"),
            ((), {"qurey": {}}, "unknown option 'qurey': did you mean 'query'"),
            ((), {"nmae": "ann"}, "unknown option 'nmae': did you mean 'name'"),
            ((), {"ignore_other": True}, "unknown option 'ignore_other': did you mean 'ignore_others'"),
            ((), {"query": 7}, "query= is a mapping"),
            ((), {"headers": {"a b": "c"}}, "'a b' cannot be a header's name"),
            ((), {"cookies": {"a": None}}, "the cookie 'a' is a str"),
            ((), {"signed_cookies": 7}, "signed_cookies= is a mapping"),
            ((), {"subprotocols": "v1"}, "subprotocols= is a list of names"),
            ((), {"codec": "json"}, r"codec is a Codec\(encode, decode\), not 'json'"),
            ((), {"handshake": discard}, r"no handshake: did you mean discard\(...\)"),
            ((), {"handshake_kwargs": 7}, "handshake_kwargs= is a mapping"),
            ((), {"on_message_callback": print}, "on_message_callback= is taken"),
        ):
            with self.subTest(arguments=arguments, options=options), self.assertRaisesRegex(UsageError, text):
                Scenario(*arguments, **options)

    def test_settings_that_are_right(self):
        """What ``ws_client`` takes, a scenario takes; a secret is the app's, and asked for when it is played."""
        Scenario("/a?b=c", handshake=None, handshake_kwargs={"a": 1}, codec=Codec(str, str), origin="http://a")
        Scenario(handshake=discard(1), signed_cookies={"user": "ann"}, cookies={"a": "b"}, subprotocols=["v1"])

    def test_steps(self):
        """Bad marks, codes, seconds, ..."""
        s = Scenario()
        for number, (step, text) in enumerate(
            (
                (lambda: s.send(answer), r"send\(\) takes a message, not <function"),
                (lambda: s.expect(int), "the class int is no expectation"),
                (lambda: s.expect(shout), "is async"),
                (lambda: s.expect("a", then=None), "then=None: leave it out to send nothing"),
                (lambda: s.answer("a", shout), "reply= is a plain function, and .*shout.* is async"),
                (
                    lambda: s.expect("a", then=shout("a")),
                    "then= takes a function, and <coroutine .* is what an",
                ),
                (lambda: s.expect("a", timeout=-1), "timeout is a number of seconds above 0, not -1"),
                (s.expect_in_any_order, "takes what to expect"),
                (lambda: s.expect_in_any_order("a", int), "the class int"),
                (lambda: s.expect_in_any_order("a", then=None), "then=None"),
                (lambda: s.expect_in_any_order("a", timeout=0), "timeout is"),
                (lambda: s.expect_nothing(int), "the class int"),
                (lambda: s.expect_nothing(seconds=-1), "seconds is a number of seconds, 0 or more, not -1"),
                (lambda: s.expect_nothing(seconds=True), "seconds is"),
                (lambda: Scenario(ignore_others=True).expect_nothing(), "needs to know what must not come"),
                (lambda: s.expect_closed("4001"), "a close code is a number, not '4001'"),
                (lambda: s.expect_closed(True), "a close code is a number"),
                (lambda: s.expect_closed(4001, 7), "a close reason is a str, not 7"),
                (lambda: s.expect_closed(timeout=0), "timeout is"),
                (s.ignore, "takes what to ignore"),
                (lambda: s.ignore(int), "the class int"),
                (lambda: s.answer(int, "a"), "the class int"),
                (lambda: s.answer("a", None), "reply=None: leave it out"),
                (lambda: s.answer("a", shout), "reply= is a plain function"),
                (lambda: s.fetch("login"), "did you mean '/login'"),
                (lambda: s.fetch("/a", status="200"), "status is a number such as 403, not '200'"),
                (lambda: s.fetch("/a", status=True), "status is a number"),
                (lambda: s.fetch("/a", then=None), "then=None"),
                (lambda: s.fetch("/a", metod="POST"), "unknown option 'metod': did you mean 'method'"),
                (lambda: s.fetch("/a", method="post"), "method is a name such as 'POST', not 'post'"),
                (lambda: s.fetch("/a", xsrf=1), "xsrf is True or False"),
                (lambda: s.fetch("/a", timeout=1), "unknown option 'timeout'"),
                (lambda: s.wait(-1), "seconds is a number of seconds, 0 or more"),
                (lambda: s.wait("1"), "seconds is"),
                (lambda: s.mark(""), "a mark is a str such as 'rob is in', not ''"),
                (lambda: s.mark(7), "a mark is a str"),
                (lambda: s.mark("a").send("b").mark("a"), "the mark 'a' is set twice by one scenario"),
                (s.after, "takes the names of marks"),
                (lambda: s.after("a", 7), "a mark is a str such as 'rob is in', not 7"),
                (lambda: s.close(999), "a close code is a number from 1000 to 4999"),
                (lambda: s.close(1006), "a close code is a number from 1000 to 4999"),
                (lambda: s.close(4000, "x" * 124), "a close reason is a str of up to 123 bytes"),
            )
        ):
            with self.subTest(number=number, text=text), self.assertRaisesRegex(UsageError, text):
                step()

    def test_places(self):
        """A step that needs the connection stands where there is one."""
        s = Scenario()
        for number, (step, text) in enumerate(
            (
                (lambda: s.close().send("a"), r"\.send\('a'\) after \.close\(\): the connection is closed there"),
                (lambda: s.expect_closed().expect("a"), r"\.expect\('a'\) after \.expect_closed\(\)"),
                (lambda: s.close().close(), r"after \.close\(\)"),
                (lambda: s.close().connect(), "connect"),
                (lambda: s.close().fetch("/a", then="b"), r"\.fetch\('/a', then='b'\) after \.close\(\)"),
                (lambda: s.send("a").connect(), r"connect\(\) comes before all that needs the connection"),
                (lambda: s.fetch("/a").connect().connect(), "and once"),
                (lambda: s.fetch("/a", then="b").connect(), r"connect\(\) comes before all that needs"),
            )
        ):
            with self.subTest(number=number, text=text), self.assertRaisesRegex(UsageError, text):
                step()
