"""What pytest does around the tests."""

import contextlib
import gc
import importlib


def pytest_collection_finish():
    """Let the garbage collector pass over what has been loaded: some tests collect everything there is."""
    with contextlib.suppress(ImportError):
        importlib.import_module("hypothesis")  # as it is loaded, it asks the collector for references
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    """Let it see everything again."""
    gc.unfreeze()
