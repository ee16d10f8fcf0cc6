"""Test Tornado websocket applications: real handlers, a real server, real connections.

Inherit `WebSocketTestCase`, write ``get_app``, and talk to your app.
"""

from .client import WebSocketTestClient
from .codec import Codec
from .elsewhere import connect, play
from .errors import (
    BroadcastMismatch,
    ConnectionClosed,
    HandshakeFailed,
    MessageTimeout,
    NothingCanHappen,
    NotRejected,
    NotSettled,
    ScenarioFailed,
    ServerError,
    UnexpectedMessage,
    UsageError,
    WSTestFailure,
)
from .group import ClientGroup
from .handshake import discard, discard_all, discard_until, exchange, sequence
from .matching import as_json, containing, field
from .scenario import Scenario
from .server import AppServer
from .testcase import WebSocketHTTPTestCase, WebSocketTestCase, WebSocketTestMixin
from .tester import WebSocketTester
from .transcript import Event, Transcript

__version__ = "0.1.0"

__all__ = [
    "AppServer",
    "BroadcastMismatch",
    "ClientGroup",
    "Codec",
    "ConnectionClosed",
    "Event",
    "HandshakeFailed",
    "MessageTimeout",
    "NotRejected",
    "NotSettled",
    "NothingCanHappen",
    "Scenario",
    "ScenarioFailed",
    "ServerError",
    "Transcript",
    "UnexpectedMessage",
    "UsageError",
    "WSTestFailure",
    "WebSocketHTTPTestCase",
    "WebSocketTestCase",
    "WebSocketTestClient",
    "WebSocketTestMixin",
    "WebSocketTester",
    "as_json",
    "connect",
    "containing",
    "discard",
    "discard_all",
    "discard_until",
    "exchange",
    "field",
    "play",
    "sequence",
]
