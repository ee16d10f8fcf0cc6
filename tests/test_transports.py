"""The client's, the handshakes' and the scenarios' tests, over each transport, in real and in virtual time.

One set of tests: what `tests.test_client`, `tests.test_handshake` and `tests.test_playing` say over TCP in real time
holds over memory and under virtual time as well.
"""

import unittest

from tests import test_client, test_handshake, test_playing
from tornado_wstest import WebSocketTestCase

COMBINATIONS = {
    "OverMemory": {"ws_transport": "memory"},
    "InVirtualTime": {"ws_virtual_time": True},
    "OverMemoryInVirtualTime": {"ws_transport": "memory", "ws_virtual_time": True},
}


def _test_cases():
    for module in (test_client, test_handshake, test_playing):
        for cls in list(vars(module).values()):
            is_ours = isinstance(cls, type) and issubclass(cls, WebSocketTestCase) and cls.__module__ == module.__name__
            if is_ours and any(name.startswith("test") for name in dir(cls)):
                yield cls


for _cls in list(_test_cases()):
    for _suffix, _settings in COMBINATIONS.items():
        _name = f"{_cls.__name__}{_suffix}"
        globals()[_name] = type(_name, (_cls,), {**_settings, "__module__": __name__, "__doc__": _cls.__doc__})
del _cls  # a test case among this module's names is one more to run


class CombinationsTest(unittest.TestCase):
    """What this module is made of."""

    def test_every_test_is_there_three_times_more(self):
        """Each test case of the three suites has its three siblings here."""
        ours = [value for value in globals().values() if isinstance(value, type) and hasattr(value, "ws_transport")]
        self.assertEqual(len(ours) - 1, 3 * len(list(_test_cases())))
