"""The others, one a module, each in the words of its own documentation."""

import importlib

NAMES = {
    "by_hand": "Tornado",
    "http_test_case": "Tornado",
    "channels": "channels",
    "starlette": "starlette",
    "httpx_ws": "httpx-ws",
    "aiohttp": "aiohttp",
    "websockets": "websockets",
    "pywsitest": "pywsitest",
}


def players():
    """Return a player for each peer that is installed, and the modules that miss something."""
    found, missing = [], {}
    for name in NAMES:
        try:
            found.append(importlib.import_module(f"benchmarks.peers.{name}").Peer())
        except ImportError as error:
            missing[name] = str(error)
    return found, missing
