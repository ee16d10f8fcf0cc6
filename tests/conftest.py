"""What pytest does around the tests."""

import gc


def pytest_collection_finish():
    """Let the garbage collector pass over what has been loaded: some tests collect everything there is."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    """Let it see everything again: Hypothesis looks for who refers to its random numbers."""
    gc.unfreeze()
