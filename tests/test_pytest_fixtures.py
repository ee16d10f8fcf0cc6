"""The fixtures for pytest, on small projects of their own."""

import importlib.util
import re
import textwrap
import unittest

from tests.test_pytest_plugin import PLUGIN, ROOT, PluginTest
from tornado_wstest import UsageError
from tornado_wstest.pytest_call import FixtureTester, page_name

APP = """
    import tornado.web
    from tornado.websocket import WebSocketHandler

    class Chat(WebSocketHandler):
        def open(self):
            self.write_message("hello")

        def on_message(self, message):
            if message == "crash":
                raise LookupError("no such room")
            self.write_message(message)

    def make_app():
        return tornado.web.Application([("/chat", Chat)])

    async def make_async():
        return make_app()
"""
CONFTEST = """
    import chat, pytest

    @pytest.fixture
    def ws_app():
        return chat.make_app
"""
BODY = """
    client = await ws_client("/chat", name="ann")
    await client.expect("hello")
    await client.send("foo")
    await client.expect("foo")
"""
needs_asyncio = unittest.skipUnless(importlib.util.find_spec("pytest_asyncio"), "needs pytest-asyncio")
needs_anyio = unittest.skipUnless(importlib.util.find_spec("anyio"), "needs anyio")


class FixtureTest(PluginTest):
    """Runs pytest on a project with an app and the fixture ws_app."""

    def setUp(self):
        super().setUp()
        self.write("chat.py", APP)
        self.write("conftest.py", CONFTEST)

    def project(self, body=BODY, *, head="", arguments="ws_client", name="test_it.py"):
        """Write a file with one async test."""
        test = f"async def test_it({arguments}):\n{textwrap.indent(textwrap.dedent(body), '    ')}"
        (self.folder / name).write_text(f"import pytest\n{textwrap.dedent(head)}\n{test}", "utf-8")

    def auto(self, *arguments, mode="auto", plugins=(), **more):
        """Run pytest with pytest-asyncio."""
        settings = (f"-oasyncio_mode={mode}", "-oasyncio_default_fixture_loop_scope=function")
        return self.pytest(*settings, *arguments, plugins=(PLUGIN, "pytest_asyncio.plugin", *plugins), **more)

    def anyio(self, *arguments):
        """Run pytest with anyio's plugin."""
        return self.pytest(*arguments, plugins=(PLUGIN, "anyio.pytest_plugin"))


FIXTURES = """
    import {module}

    @{module}.fixture
    async def ann(ws_client):
        return await ws_client("/chat", name="ann")

    @{module}.fixture
    async def bob(ws_client):
        async with ws_client("/chat", name="bob") as bob:
            yield bob
"""
BOTH = """
    await ann.expect("hello")
    await bob.expect("hello")
    assert len(wstest.server.handlers) == 2
"""
ANYIO = """
    pytestmark = pytest.mark.anyio

    @pytest.fixture(scope="session")
    def anyio_backend():
        return "asyncio"
"""


@needs_asyncio
class AsyncioTest(FixtureTest):
    """With pytest-asyncio."""

    def test_auto(self):
        """An async test needs no mark."""
        self.project()
        self.assertEqual(self.auto(), 0, self.text)
        self.assert_told("1 passed")

    def test_strict(self):
        """A test with pytest-asyncio's mark passes; one without is told what is missing."""
        self.project(head="pytestmark = pytest.mark.asyncio")
        self.assertEqual(self.auto(mode="strict"), 0, self.text)
        self.project()
        both = ["anyio.pytest_plugin"] if importlib.util.find_spec("anyio") else []
        self.assertEqual(self.auto(mode="strict", plugins=both), 1, self.text)
        self.assert_told(
            "test_it is async, and no plugin runs it\nmark it with @pytest.mark.asyncio, or set asyncio_mode = auto"
        )

    def test_every_fixture(self):
        """The tester and its factories are those of one server."""
        self.project(
            """
            connection = await ws_connect("/chat")
            assert await connection.read_message() == "hello"
            ann = await ws_client("/chat", name="ann")
            users = await ws_clients(["bob", "cat"], "/chat")
            await users.expect("hello")
            assert len(wstest.server.handlers) == 4
            """,
            arguments="ws_connect, ws_client, ws_clients, wstest",
        )
        self.assertEqual(self.auto(), 0, self.text)

    def test_in_async_fixtures(self):
        """An async fixture that connects starts the server, in the loop of the test."""
        self.project(BOTH, head=FIXTURES.format(module="pytest_asyncio"), arguments="ann, bob, wstest")
        self.assertEqual(self.auto(), 0, self.text)

    def test_wstest_in_an_async_fixture(self):
        """A fixture that uses the tester itself starts it first; one that does not is told so."""
        head = """
            import pytest_asyncio

            @pytest_asyncio.fixture
            async def ann(wstest):
                await wstest.start()
                return await wstest.client("/chat")
        """
        self.project('await ann.expect("hello")', head=head, arguments="ann")
        self.assertEqual(self.auto(), 0, self.text)
        self.project(head=head.replace("await wstest.start()", ""), arguments="ann")
        self.assertEqual(self.auto(), 1, self.text)
        self.assert_told("an async fixture that needs it sooner begins with await wstest.start()")

    def test_fixture_of_another_loop(self):
        """A fixture in a loop of its own is told, and nothing of it hangs."""
        head = FIXTURES.format(module="pytest_asyncio").replace(".fixture\n", '.fixture(loop_scope="session")\n')
        self.project(BOTH, head=head, arguments="ann, bob, wstest")
        self.assertEqual(self.auto(), 1, self.text)
        self.assert_told(
            "the server runs in another event loop than this", "give the fixture and the test one loop_scope"
        )

    def test_two_at_once_in_a_fixture(self):
        """Clients that connect at the same time, before the test, meet one server."""
        turn = "import asyncio; await asyncio.sleep(0); return make_app()"
        self.write("chat.py", APP.replace("return make_app()", turn))
        head = """
            import asyncio, pytest_asyncio

            @pytest_asyncio.fixture
            async def users(ws_client):
                return await asyncio.gather(ws_client("/chat"), ws_client("/chat"))
        """
        self.write("conftest.py", CONFTEST.replace("make_app", "make_async"))
        self.project("assert len(wstest.server.handlers) == len(users)", head=head, arguments="users, wstest")
        self.assertEqual(self.auto(), 0, self.text)

    def test_after_the_test(self):
        """A fixture that connects when the test is over is told, and starts no server."""
        head = """
            import pytest_asyncio

            @pytest_asyncio.fixture
            async def late(ws_client):
                yield
                await ws_client("/chat")
        """
        self.project("pass", head=head, arguments="late")
        self.assertEqual(self.auto(), 1, self.text)
        self.assert_told("UsageError: this test is over: its server ended with its call", "1 passed, 1 error")

    def test_again(self):
        """A plugin that runs a test again gets a fresh server for it."""
        again = """
            from _pytest.runner import runtestprotocol

            def pytest_runtest_protocol(item, nextitem):
                runtestprotocol(item, nextitem=nextitem)
        """
        self.write("conftest.py", textwrap.dedent(CONFTEST) + textwrap.dedent(again))
        self.project()
        self.assertEqual(self.auto(), 0, self.text)
        self.assert_told("2 passed")

    def test_method_of_a_class(self):
        """Tests may be methods."""
        self.write(
            "test_it.py",
            """
            class TestChat:
                async def test_it(self, ws_client):
                    await (await ws_client("/chat")).expect("hello")
            """,
        )
        self.assertEqual(self.auto(), 0, self.text)

    def test_app_of_each_kind(self):
        """ws_app is an Application, or a function that makes one, async or not."""
        self.project()
        for app in ("chat.make_app()", "chat.make_async", "lambda: chat.make_async()"):
            with self.subTest(app=app):
                self.write("conftest.py", CONFTEST.replace("chat.make_app", app))
                self.assertEqual(self.auto(), 0, self.text)

    def test_settings_and_marker(self):
        """ws_settings holds for all; a marker goes over it, and the nearest over those farther away."""
        self.write(
            "conftest.py", CONFTEST + '\n    @pytest.fixture\n    def ws_settings():\n        return {"timeout": 7}'
        )
        self.write(
            "test_it.py",
            """
            import pytest
            pytestmark = pytest.mark.wstest(transport="memory", virtual_time=True, path="/far")

            @pytest.mark.wstest(path="/chat")
            async def test_it(ws_client, wstest):
                await (await ws_client()).expect("hello")
                await wstest.clock.advance(3600)
                assert (wstest.timeout, wstest.server.memory is None) == (7, False)
            """,
        )
        self.assertEqual(self.auto("--strict-markers"), 0, self.text)

    def test_names_that_a_project_has_already(self):
        """A project's own ws_client breaks no other fixture, and may ask for ours."""
        self.write(
            "conftest.py",
            CONFTEST
            + """
    @pytest.fixture
    def ws_client(ws_client):
        return lambda name: ws_client("/chat", name=name)

    @pytest.fixture
    def wstest():
        return None
            """,
        )
        self.project(
            """
            await (await ws_client("ann")).expect("hello")
            await (await ws_clients(2, "/chat")).expect("hello")
            """,
            arguments="ws_client, ws_clients, wstest",
        )
        self.assertEqual(self.auto(), 0, self.text)

    @unittest.skipUnless(importlib.util.find_spec("xdist"), "needs pytest-xdist")
    def test_xdist(self):
        """Workers run the tests, and write the pages where the run began."""
        self.project("assert await ws_client('/chat') is None")
        self.assertEqual(self.auto("-n2", "--ws-report=pages", plugins=["xdist.plugin"]), 1, self.text)
        self.assertEqual([page.name for page in (self.folder / "pages").iterdir()], ["test_it.py-test_it.html"])

    def test_nothing_is_loaded_before_a_fixture_is_used(self):
        """Without a fixture of ours neither the fixtures' own module nor the fuzzer is loaded."""
        self.write(
            "test_it.py",
            """
            import sys
            async def test_loaded():
                assert not {"tornado_wstest.pytest_call", "tornado_wstest.fuzzing.report"} & {*sys.modules}
            """,
        )
        self.assertEqual(self.auto(fresh=True), 0, self.text)


@needs_asyncio
class FailureTest(FixtureTest):
    """What a failure looks like."""

    def test_failure(self):
        """A failure shows the transcript, the line of the test, and no line of the package."""
        self.project('client = await ws_client("/chat", name="ann")\nawait client.expect("bye")')
        self.assertEqual(self.auto(), 1, self.text)
        self.assert_told(
            '>       await client.expect("bye")\n',
            "UnexpectedMessage: ann expected 'bye'",
            "ann <--*'hello'",
            "1 failed",
        )
        self.assertNotIn("pytest_call.py", self.text)

    def test_assertion(self):
        """A bare assert has the transcript, too."""
        self.project('client = await ws_client("/chat", name="ann")\nassert client.closed')
        self.assertEqual(self.auto(), 1, self.text)
        self.assert_told(">       assert client.closed", "ann <--*'hello'")

    def test_crash(self):
        """A crash that nobody looked at fails the test itself, shown in the app and at the test's last line."""
        self.project(BODY + '    await client.send("crash")')
        self.assertEqual(self.auto("--show-capture=no"), 1, self.text)
        self.assert_told(
            '>           raise LookupError("no such room")\n',
            '>       await client.send("crash")\n',
            "ServerError: Chat raised LookupError: no such room on the connection of ann",
            "1 failed in",
        )
        for part in ("run_until_complete", "_run_callback", "pytest_asyncio/plugin.py"):
            self.assertNotIn(part, self.text)

    def test_xfail(self):
        """What closing finds is seen by xfail(raises=)."""
        head = "from tornado_wstest import ServerError\npytestmark = pytest.mark.xfail(raises=ServerError, strict=True)"
        self.project(BODY + '    await client.send("crash")', head=head)
        self.assertEqual(self.auto(), 0, self.text)
        self.assert_told("1 xfailed")

    def test_skip(self):
        """A test that skips itself is skipped, although its client crashed the server."""
        self.project('client = await ws_client("/chat")\nawait client.send("crash")\npytest.skip("not today")')
        self.assertEqual(self.auto("-rs"), 0, self.text)
        self.assert_told("1 skipped", "not today")

    def test_failing_fixture(self):
        """A fixture that fails shows the transcript, and its server is closed: handlers hear of it."""
        head = """
            import pytest_asyncio

            @pytest_asyncio.fixture
            async def ann(ws_client):
                await (await ws_client("/chat", name="ann")).expect("bye")
        """
        closing = "def on_close(self):\n            print('gone', self.close_code)\n\n        def open"
        self.write("chat.py", APP.replace("def open", closing))
        self.project(head=head, arguments="ann")
        self.assertEqual(self.auto("-s"), 1, self.text)
        self.assert_told("UnexpectedMessage: ann expected 'bye'", "ann <--*'hello'", "1 error in", "gone 1000\n")

    def test_report(self):
        """--ws-report writes a page for each failed test, which is named, and none for others."""
        self.project('await ws_client("/chat", name="ann")\nassert not 1')
        self.project(name="test_good.py")
        self.assertEqual(self.auto("--ws-report=made/pages"), 1, self.text)
        page = self.folder / "made" / "pages" / "test_it.py-test_it.html"
        self.assertEqual(list(page.parent.iterdir()), [page])
        self.assertIn("<title>test_it.py::test_it", page.read_text("utf-8"))
        self.assert_told(f"tornado-wstest: report={page.parent}\n", f"transcript of the websockets -----\n{page}"[-40:])

    def test_page_names(self):
        """Tests whose names differ only in signs have pages of their own; a plain name is kept."""
        self.assertEqual(page_name("tests/test_a.py::test_b"), "tests-test_a.py-test_b.html")
        names = {page_name(f"test_a.py::test_b[{key}]") for key in ("a/b", "a b", "a-b", "ä", "x" * 300, "x" * 301)}
        self.assertEqual(len(names), 6)
        self.assertLessEqual({len(re.sub(r"[\w.-]", "", name)) for name in names}, {0})
        self.assertLess(max(map(len, names)), 150)


@needs_anyio
class AnyioTest(FixtureTest):
    """With anyio's plugin."""

    def test_anyio(self):
        """A marked test passes, and its async fixtures share its loop."""
        self.project(BOTH, head=ANYIO + FIXTURES.format(module="pytest"), arguments="ann, bob, wstest")
        self.assertEqual(self.anyio(), 0, self.text)
        self.assert_told("1 passed")

    def test_crash(self):
        """A crash fails the test itself, at its own line."""
        self.project(BODY + '    await client.send("crash")', head=ANYIO)
        self.assertEqual(self.anyio("--show-capture=no"), 1, self.text)
        self.assert_told('>       await client.send("crash")\n', "ServerError: Chat raised LookupError", "1 failed in")
        self.assertNotIn("_call_in_runner_task", self.text)

    def test_hang_in_virtual_time(self):
        """A test in which nothing can happen ends at once, at the line that waits."""
        head = ANYIO + "\n    import asyncio\n    @pytest.mark.wstest(virtual_time=True)"
        self.project("await asyncio.Event().wait()", head=head)
        self.assertEqual(self.anyio(), 1, self.text)
        self.assert_told(">       await asyncio.Event().wait()\n", "NothingCanHappen: nothing can ever happen again")

    def test_no_mark(self):
        """A test without a mark is told what is missing."""
        self.project()
        self.assertEqual(self.anyio(), 1, self.text)
        self.assert_told("no plugin runs it\nmark it with @pytest.mark.anyio, or set anyio_mode = auto")


LIVE_CONFTEST = """
    import asyncio, chat, contextlib, pytest, tornado_wstest

    @pytest.fixture
    def ws_app():
        return chat.make_async

    @pytest.fixture
    def talk(ws_live_server):
        # A client that blocks, as a browser does: it has another loop, in another thread.
        async def conversation(messages):
            async with tornado_wstest.connect(ws_live_server.ws_url("/chat")) as client:
                with contextlib.suppress(tornado_wstest.ConnectionClosed):
                    return [await client.receive()] + [await said(client, text) for text in messages]

        async def said(client, text):
            await client.send(text)
            return await client.receive()

        return lambda *messages: asyncio.run(conversation(messages))
"""
LIVE = """
    import pytest, urllib.error, urllib.request
    from tornado_wstest import ServerError, connect

    def test_answer(talk, ws_live_server):
        assert talk("foo") == ["hello", "foo"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(ws_live_server.url("/nowhere"))

    class TestIt:
        def test_crash(self, talk):
            talk("crash")
            # the end

    def test_mismatch(talk):
        assert talk() == ["bye"]

    def test_report(talk):
        talk("bar")
        pytest.fail("not like this", pytrace=False)

    @pytest.mark.xfail(raises=ServerError, strict=True)
    def test_crash_that_is_known(talk):
        talk("crash")

    def test_crash_that_should_be(talk, ws_live_server):
        with ws_live_server.expect_server_error(LookupError):
            talk("crash")

    def test_skip(talk):
        talk("crash")
        pytest.skip("not today")

    @pytest.mark.wstest(fail_on_server_error=False, timeout=3)
    def test_settings(talk, ws_live_server):
        talk("crash")
        assert ws_live_server.call(lambda: 3) == 3

    @pytest.fixture
    def page(ws_live_server):
        # A browser's fixture, which keeps a screenshot when the test has failed, or has passed.
        yield
        print("handlers:", ws_live_server.transcript[-1].kind, ws_live_server._thread is not None)

    def test_page_of_a_failure(page, talk):
        talk()
        assert not 1
"""
LIVE_ASYNC = """
    import pytest
    from tornado_wstest import connect

    {mark}

    async def test_both(ws_live_server, ws_client):
        ann = await ws_client("/chat", name="ann")
        await ann.expect("hello")
        async with connect(ws_live_server.ws_url("/chat"), name="bob") as bob:
            await bob.expect("hello")
            assert ws_live_server.call(lambda: len(ws_live_server.server.handlers)) == 1

    async def test_crash(ws_live_server):
        async with connect(ws_live_server.ws_url("/chat"), name="bob") as bob:
            await bob.send("crash")
            await bob.expect("hello")
            await bob.expect_closed()

    async def test_crash_of_the_other(ws_live_server, ws_client):
        await (await ws_client("/chat", name="ann")).send("crash")

    @pytest.mark.wstest(path="/chat", close_app=lambda app: print("closed", app.settings))
    async def test_settings_of_each(ws_live_server, ws_client):
        await (await ws_client()).expect("hello")
"""


class LiveTest(FixtureTest):
    """The fixture ws_live_server."""

    def setUp(self):
        super().setUp()
        self.write("conftest.py", LIVE_CONFTEST)

    def test_sync_tests(self):
        """A plain test talks to the server, fails itself for what a handler raised, and shows what happened."""
        self.write("test_it.py", LIVE)
        self.assertEqual(self.pytest("-rs", "--ws-report=pages"), 1, self.text)
        self.assert_told(
            "4 failed, 3 passed, 1 skipped, 1 xfailed in",
            '>           raise LookupError("no such room")\n',
            '>       talk("crash")\nE       tornado_wstest.errors.ServerError: Chat raised LookupError',
            "expect it: with live.expect_server_error(LookupError): ...",
            "client 1 !!! the server raised LookupError: no such room (chat.py:",
            '>       assert talk() == ["bye"]\n',
            "client 1 <-- 'hello'",
            "client 1 <-- 'bar'",
            "not today",
        )
        for part in ("concurrent/futures", "watch.py", "visitors.py", "pytest_live.py", "at teardown", "Thread"):
            self.assertNotIn(part, self.text)
        pages = {"TestIt-test_crash", "test_mismatch", "test_report", "test_page_of_a_failure"}
        self.assertEqual({page.stem for page in (self.folder / "pages").iterdir()}, {f"test_it.py-{n}" for n in pages})

    def test_server_goes_on_until_a_failed_test_has_its_screenshot(self):
        """Where the test has failed the server is there for the fixtures that end; where it passed it has ended."""
        more = "".join(
            f"\n    def test_page_of_a_{name}(page, talk):\n        talk({text})\n"
            for name, text in (("success", ""), ("crash", "'crash'"))
        )
        self.write("test_it.py", LIVE + more)
        self.pytest("-s", "-k", "test_page")
        self.assertEqual(re.findall(r"handlers: close (\w+)", self.text), ["True", "False", "True"])

    def assert_async_tests(self, run, mark):
        """Async tests have it, too, beside a tester."""
        self.write("test_it.py", LIVE_ASYNC.format(mark=mark))
        self.assertEqual(run("-s"), 1, self.text)
        self.assert_told(
            "2 failed, 2 passed in",
            ">           await bob.expect_closed()\nE           tornado_wstest.errors.ServerError: Chat raised L",
            '>       await (await ws_client("/chat", name="ann")).send("crash")\n',
            "closed {}",
        )

    @needs_asyncio
    def test_asyncio(self):
        """With pytest-asyncio an async test has a live server beside its tester, each with an app of its own."""
        self.assert_async_tests(self.auto, "")

    @needs_anyio
    def test_anyio(self):
        """With anyio's plugin, too."""
        self.assert_async_tests(self.anyio, textwrap.dedent(ANYIO).replace("\n", "\n    "))

    def test_failing_fixture(self):
        """A fixture that fails shows the transcript, and what a handler raised before is told once, as its cause."""
        self.write(
            "test_it.py",
            """
            import pytest

            @pytest.fixture
            def page(talk):
                assert talk("crash") == "a page"

            def test_it(page):
                pass
            """,
        )
        self.assertEqual(self.pytest(), 1, self.text)
        self.assert_told('>       assert talk("crash") == "a page"\n', "client 1 --> 'crash'", "1 error in")
        self.assert_told("\nE           LookupError: no such room\n")
        self.assertNotIn("def _run_callback", self.text)

    def test_misuse(self):
        """What it cannot serve, and settings that it has not, are told in a sentence."""
        self.write(
            "test_it.py",
            """
            import pytest, unittest
            from hypothesis import given, strategies

            @given(number=strategies.integers())
            def test_given(ws_live_server, number):
                pass

            @pytest.mark.usefixtures("ws_live_server")
            class ItTest(unittest.TestCase):
                def test_case(self):
                    pass

            @pytest.mark.wstest(virtual_time=True)
            def test_setting(ws_live_server):
                pass

            @pytest.mark.wstest(prot=80)
            def test_typing_error(ws_live_server):
                pass

            @pytest.mark.wstest(port=80_000)
            def test_port(ws_live_server):
                pass

            class TestApp:
                @pytest.fixture
                def ws_app(self):
                    return lambda: {}["x"]

                def test_app(self, ws_live_server):
                    pass
            """,
        )
        self.assertEqual(self.pytest(), 1, self.text)
        self.assert_told(
            "ws_live_server cannot serve test_given: @given plays many examples",
            "open a server in the body: with LiveServer(make_app) as live",
            "cannot serve test_case: it is a method of a unittest.TestCase: inherit tornado_wstest.LiveServerTestCase",
            "ws_live_server has no setting 'virtual_time': it takes port, timeout, fail_on_server_error, httpser",
            "there is no setting 'prot': did you mean 'port'?",
            "port is a number from 0 (any unused port) to 65535, not 80000",
            "what ws_app returned raised KeyError: 'x'",
            "6 errors in",
        )
        for part in ("pytest_plugin.py", "During handling of"):
            self.assertNotIn(part, self.text)


class MisuseTest(FixtureTest):
    """A wrong use is told in a sentence, without a line of the package's."""

    def assert_refused(self, *parts, run=None):
        """Pytest reports one failure or error, with these texts."""
        self.assertEqual((run or self.pytest)(), 1, self.text)
        self.assert_told(*parts)
        for part in ("pytest_plugin.py", "During handling of"):
            self.assertNotIn(part, self.text)

    def test_no_plugin(self):
        """Without a plugin for async tests it is said which to install."""
        self.project()
        self.assert_refused("test_it is async, and no plugin runs it\ninstall one: pip install pytest-asyncio")

    def test_no_app(self):
        """Without ws_app it is said how to define it."""
        self.write("conftest.py", "")
        self.project()
        self.assert_refused("there is no app: define the fixture ws_app, in conftest.py or the test's module")

    def test_app_that_does_not_import(self):
        """--ws-app that cannot be had is told with its own traceback."""
        self.write("conftest.py", "")
        self.write("broken.py", "import no_such_thing\n")
        self.project()
        self.assert_refused(
            "import no_such_thing\n",
            "importing 'broken' raised ModuleNotFoundError: No module named 'no_such_thing'",
            run=lambda: self.pytest("--ws-app=broken:make_app"),
        )

    @needs_asyncio
    def test_app_of_the_command(self):
        """--ws-app stands in for a ws_app that is not defined."""
        self.write("conftest.py", "")
        self.project()
        self.assertEqual(self.auto("--ws-app=chat:make_app"), 0, self.text)

    @needs_asyncio
    def test_app_that_is_none(self):
        """What is no app, or makes none, is told when the server starts."""
        self.project()
        for app, text in (
            ("42", "the fixture ws_app got 42 as its app"),
            ("lambda: None", "<lambda>() got None as its app"),
            ("lambda: {}['x']", "what ws_app returned raised KeyError: 'x'"),
            ("chat.make_async()", "which nobody awaited"),
        ):
            with self.subTest(app=app):
                self.write("conftest.py", CONFTEST.replace("chat.make_app", app))
                self.assertEqual(self.auto(), 1, self.text)
                self.assert_told(text)

    def test_given(self):
        """Under @given it is said what to write instead."""
        self.project(
            "pass",
            head="from hypothesis import given, strategies\n@given(number=strategies.integers())",
            arguments="ws_client, number",
        )
        self.assert_refused(
            "ws_client cannot serve test_it: @given plays many examples",
            "open a tester in the body: async with WebSocketTester(make_app()) as wstest",
        )

    def test_no_async_function(self):
        """A test that is not async, and a method of a TestCase, are told."""
        self.write("test_it.py", "def test_it(ws_client):\n    pass\n")
        self.assert_refused("ws_client cannot serve test_it: it is no async function")
        self.write(
            "test_it.py",
            """
            import pytest, unittest
            @pytest.mark.usefixtures("wstest")
            class ItTest(unittest.TestCase):
                def test_it(self):
                    pass
            """,
        )
        self.assert_refused("wstest cannot serve test_it: it is a method of a unittest.TestCase")

    def test_settings(self):
        """A setting that does not exist names the nearest, in the marker and in ws_settings."""
        self.project(head="@pytest.mark.wstest(virtual_tim=True)")
        self.assert_refused("there is no setting 'virtual_tim': did you mean 'virtual_time'?")
        self.project(head="@pytest.mark.wstest('memory')")
        self.assert_refused("pytest.mark.wstest takes keywords, such as virtual_time=True, not 'memory'")
        self.project(head="@pytest.mark.wstest(transport='tpc')")
        self.assert_refused("transport is 'tcp' or 'memory', not 'tpc'")
        self.project(head="@pytest.fixture\ndef ws_settings():\n    return None\n")
        self.assert_refused("the fixture ws_settings returns a dict of WebSocketTester's keywords, not None")

    def test_report_that_is_a_file(self):
        """--ws-report that can be no folder ends the run at once."""
        self.write("pages", "a file")
        self.assertEqual(self.pytest("--ws-report=pages"), 4, self.text)
        self.assertRegex(self.text, r"ERROR: --ws-report: \S+pages cannot be a folder: File exists")


def files_of(page):
    """Return the files that a page shows below their names."""
    return dict(re.findall(r"^``(\S+)``::\n\n((?:(?: {4}.*)?\n)+)", page.read_text("utf-8"), re.MULTILINE))


class PageTest(FixtureTest):
    """``docs/howto/pytest.rst``."""

    def setUp(self):
        super().setUp()
        self.files = files_of(ROOT / "docs" / "howto" / "pytest.rst")
        for name in ("pytest.ini", "room.py", "conftest.py"):
            self.write(name, self.files[name])

    @needs_asyncio
    def test_tests_of_the_page(self):
        """They pass as they stand there."""
        for name in ("test_room.py", "test_property.py", "test_page.py"):
            self.write(name, self.files[name])
        # Hypothesis' plugin has a word on fixtures, too.
        status = self.pytest(plugins=(PLUGIN, "pytest_asyncio.plugin", "_hypothesis_pytestplugin"))
        self.assertEqual(status, 0, self.text)
        self.assert_told("8 passed")

    @needs_anyio
    def test_anyio_of_the_page(self):
        """It passes as it stands there."""
        self.write("pytest.ini", "[pytest]\n")
        self.write("test_it.py", self.files["test_with_anyio.py"])
        self.assertEqual(self.anyio(), 0, self.text)


class WithoutALoopTest(unittest.TestCase):
    """What needs no run of pytest's."""

    def test_start_where_asyncio_does_not_run(self):
        """On another loop than asyncio's, as trio's, it is said what to define."""
        with self.assertRaisesRegex(UsageError, "define the fixture anyio_backend, to return 'asyncio'"):
            FixtureTester(len).start().send(None)
