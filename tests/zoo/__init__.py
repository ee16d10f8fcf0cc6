"""The zoo: small apps, each with one planted bug or with none, on which a fuzzer is judged.

Each app is a factory that can be given to a command by its name, such as ``tests.zoo.parsing:missing_key``. A
call makes a fresh app: its state is in the `Application` and its handlers, never in the module. Beside its bug
an app takes whatever it gets, so that a fuzzer finds the bug or nothing.
"""

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Callable

from tornado.web import Application

CODES = (
    "server-error",  # a handler raised
    "dropped",  # the connection was dropped without a close frame
    "close-code",  # a close code that is none of those allowed
    "unresponsive",  # the server answers no more: a ping gets no pong
    "blocked-loop",  # the loop stood still for more than half a second
    "unclean-close",  # the closing handshake was not completed, or on_close did not run
    "leak",  # a handler, a task or a timer of the connection stayed behind
    "origin",  # a foreign origin is welcome where the handler reads cookies
    "oversize",  # a message over the limit is not refused with 1009
    "subprotocol",  # one that the client did not offer
    "isolation",  # a bystander got what was not for it
)
"""What a check calls what it finds."""

NEEDS = (
    "",  # messages alone
    "path",  # an argument in the path
    "query",  # an argument in the query
    "time",  # some seconds
    "ping",  # a ping or pong of the client's, with a payload
    "close",  # a close without the messages that come first as a rule
    "abort",  # a connection that ends without a close frame
    "frame",  # a frame by hand
    "origin",  # a header: Origin
    "subprotocols",  # what is offered in the opening handshake
    "bystander",  # a second client
)
"""What, beside messages, shows a bug."""


@dataclasses.dataclass(frozen=True)
class Specimen:
    """One app of the zoo."""

    name: str
    """Where it is: ``parsing:missing_key``."""
    make_app: Callable[[], Application]
    code: str | None
    """What a check says of it, one of `CODES`, or None for a healthy app."""
    needs: str = ""
    """What, beside messages, shows its bug: one of `NEEDS`."""

    def __str__(self) -> str:
        return self.name

    @property
    def target(self) -> str:
        """Return what a command is given."""
        return f"{__name__}.{self.name}"


_specimens: dict[str, Specimen] = {}


def buggy(code, needs=""):
    """Register the decorated factory of an app with one bug."""

    def register(make_app):
        return _add(make_app, code, needs)

    return register


def harmless(make_app):
    """Register the decorated factory of an app without a bug."""
    return _add(make_app, None, "")


def specimens():
    """Return all that live here, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(_specimens)


def as_object(message):
    """Return the JSON object that a message is, and an empty one for any other message."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _add(make_app, code, needs):
    name = f"{make_app.__module__.removeprefix(__name__ + '.')}:{make_app.__name__}"
    assert name not in _specimens, f"there are two of {name}"
    _specimens[name] = Specimen(name, make_app, code, needs)
    return make_app
