"""Test Tornado websocket applications: real handlers, a real server, real connections.

Inherit `WebSocketTestCase`, write ``get_app``, and talk to your app.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
from .explore import explore
from .faults import faults
from .group import ClientGroup
from .handshake import discard, discard_all, discard_until, exchange, sequence
from .isolated import IsolatedWebSocketTestCase
from .matching import as_json, containing, field
from .scenario import Scenario
from .server import AppServer
from .simulation.network import Network
from .testcase import WebSocketHTTPTestCase, WebSocketTestCase, WebSocketTestMixin
from .tester import WebSocketTester
from .transcript import Event, Transcript

if TYPE_CHECKING:
    from .fuzzing.registry import register_message_strategy
    from .fuzzing.stateful import WebSocketStateMachine
    from .fuzzing.unit import WebSocketFuzzMixin
    from .live import LiveServer, LiveServerTestCase

__version__ = "0.1.0"

__all__ = [
    "AppServer",
    "BroadcastMismatch",
    "ClientGroup",
    "Codec",
    "ConnectionClosed",
    "Event",
    "HandshakeFailed",
    "IsolatedWebSocketTestCase",
    "LiveServer",
    "LiveServerTestCase",
    "MessageTimeout",
    "Network",
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
    "WebSocketFuzzMixin",
    "WebSocketHTTPTestCase",
    "WebSocketStateMachine",
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
    "explore",
    "faults",
    "field",
    "play",
    "register_message_strategy",
    "sequence",
]


_LAZY = {
    "LiveServer": "live",
    "LiveServerTestCase": "live",
    "WebSocketFuzzMixin": "fuzzing.unit",
    "WebSocketStateMachine": "fuzzing.stateful",
    "register_message_strategy": "fuzzing.registry",
}


def __getattr__(name: str) -> Any:
    """Load what needs Hypothesis, or a thread, when it is first touched."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
