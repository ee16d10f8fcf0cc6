"""Imports run one way: up."""

import ast
import pathlib
import unittest

PACKAGE = pathlib.Path(__file__).parent.parent / "tornado_wstest"

# Lowest first. Modules on one line are of one layer, and do not import each other.
LAYERS = """
    text
    shown
    errors fuzzing.screen
    codec frames
    faults
    matching
    layout volatile readable portable
    recorded_message
    recorded diagram
    transcript
    simulation.tasks
    simulation.jobs simulation.descriptors
    simulation.selector
    simulation.settle simulation.memory
    simulation.clock simulation.limits simulation.lanes simulation.orders
    simulation.network
    cookies
    request
    handshake
    plan scenario
    watch
    hooks
    server
    inbox
    wire
    wording
    endpoint
    opening
    client raw
    expectations patience group
    session
    playing
    fuzzing.regexes fuzzing.target fuzzing.syntax fuzzing.tape fuzzing.oddities fuzzing.uses fuzzing.scope
    fuzzing.routes fuzzing.parts
    fuzzing.looking
    fuzzing.following
    fuzzing.reading
    fuzzing.vocabulary
    fuzzing.lines fuzzing.registry
    fuzzing.making
    fuzzing.graphql fuzzing.paths
    fuzzing.strategies
    tester elsewhere
    lifecycle explore
    fuzzing.settings fuzzing.case fuzzing.blocking
    fuzzing.observation fuzzing.smaller fuzzing.holding fuzzing.outside
    fuzzing.checks
    fuzzing.guest
    fuzzing.stage
    fuzzing.engine fuzzing.config
    fuzzing.paste fuzzing.broadcasts fuzzing.rules
    fuzzing.report fuzzing.saved
    fuzzing.exports fuzzing.running fuzzing.stateful
    fuzzing.command
    testcase visitors pytest_call
    isolated live
    fuzzing.unit pytest_live pytest_fuzz
    pytest_plugin
    __init__
    cli
    __main__
"""
HEIGHT = {name: height for height, line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}


def modules():
    """Return the names and files of the package's modules."""
    files = sorted(PACKAGE.rglob("*.py"))
    names = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in files}
    return {name: file for name, file in names.items() if name not in ("simulation.__init__", "fuzzing.__init__")}


def imported(name, source):
    """Yield the modules of the package that module ``name`` imports when it runs."""
    nodes = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes += node.orelse
        elif isinstance(node, ast.Import):
            yield from (
                a.name.partition(".")[2] or "__init__" for a in node.names if a.name.split(".")[0] == PACKAGE.name
            )
        elif isinstance(node, ast.ImportFrom):
            here = [PACKAGE.name, *name.split(".")]
            base = ".".join([*here[: len(here) - node.level], node.module or ""]) if node.level else node.module
            top, _, module = base.rstrip(".").partition(".")
            if top == PACKAGE.name:
                inside = [".".join(filter(None, [module, alias.name])) for alias in node.names]
                yield from (path if path in HEIGHT else module or "__init__" for path in inside)
        else:
            nodes += ast.iter_child_nodes(node)


def offences(name, source):
    """Yield whoever breaks the order, and how."""
    for other in imported(name, source):
        if HEIGHT.get(other, len(HEIGHT)) >= HEIGHT[name]:
            yield f"{name} imports {other}, which is no layer below it"


class LayersTest(unittest.TestCase):
    """The order of the modules."""

    def test_every_module_has_a_layer(self):
        """A new module says where it belongs, and a module that is gone leaves no name behind."""
        self.assertEqual(sorted(modules()), sorted(HEIGHT))

    def test_modules_import_from_below(self):
        """No module imports one of its own layer or above."""
        broken = [text for name, file in modules().items() for text in offences(name, file.read_text("utf-8"))]
        self.assertEqual(broken, [])

    def test_every_form_of_import_is_seen(self):
        """Whoever breaks the order is named, however the import is written, also inside a function."""
        for source, other in (
            ("from .client import x", "client"),
            ("from . import client", "client"),
            ("from . import __version__", "__init__"),
            ("from .simulation.settle import x", "simulation.settle"),
            ("from .simulation import settle", "simulation.settle"),
            ("import tornado_wstest.client", "client"),
            ("import tornado_wstest", "__init__"),
            ("from tornado_wstest.client import x", "client"),
            ("from tornado_wstest import client", "client"),
            ("def f():\n    from .client import x", "client"),
            ("if TYPE_CHECKING:\n    pass\nelse:\n    from .client import x", "client"),
        ):
            with self.subTest(source=source):
                self.assertEqual(
                    list(offences("codec", source)), [f"codec imports {other}, which is no layer below it"]
                )
        self.assertIn("errors", set(imported("simulation.settle", "from ..errors import x")))

    def test_imports_that_are_allowed(self):
        """What is below, what is not ours, and what only a type checker reads is no offence."""
        for source in (
            "from .errors import x",
            "import tornado.web, json",
            "from tornado import web",
            "if TYPE_CHECKING:\n    from .client import x",
            "if typing.TYPE_CHECKING:\n    from .client import x",
        ):
            self.assertEqual(list(offences("codec", source)), [])
