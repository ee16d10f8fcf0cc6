"""Where a failure is shown: at a line of the test, and its cause at a line of the app.

Between the two lie frames that run the test and carry the failure to it: the runner's, ours, Tornado's, asyncio's. They
tell the reader nothing, and some runners print the source of each.
"""

import ast
import inspect
import types
from collections.abc import Callable
from typing import Any

from .text import is_library, is_own

__all__ = ["begin_at_the_test", "begin_cause_at_the_app", "end_at_the_test", "show_at_the_end"]


def begin_at_the_test(error: BaseException) -> bool:
    """Leave out the frames that run the test: ours, Tornado's, asyncio's. Return False where there are no others."""
    traceback = error.__traceback__
    while traceback is not None and is_library(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    if traceback is not None:
        error.__traceback__ = traceback
    return traceback is not None


def begin_cause_at_the_app(error: BaseException) -> None:
    """Leave out, of the server's exception behind ``error``, the frames that called the handler."""
    if error.__cause__ is not None:
        begin_at_the_test(error.__cause__)


def end_at_the_test(error: BaseException) -> None:
    """Leave out the frames of this package behind the line of the test that called it.

    unittest does this for exceptions whose class is `AssertionError` itself, not for its subclasses.
    """
    last = None
    traceback = error.__traceback__
    while traceback is not None:
        if not is_own(traceback.tb_frame.f_code.co_filename):
            last = traceback
        traceback = traceback.tb_next
    if last is not None:
        last.tb_next = None


def show_at_the_end(error: BaseException, test: Callable[..., Any]) -> None:
    """Have what was raised after a test shown at the test's last line, as if its body had ended with it."""
    code = getattr(inspect.unwrap(test), "__code__", None)
    if code is None or is_library(code.co_filename):
        return
    try:
        exec(_raising_at_the_end(code), {"error": error.with_traceback(None)})
    except BaseException:
        assert error.__traceback__ is not None
        error.__traceback__ = error.__traceback__.tb_next


def _raising_at_the_end(code: types.CodeType) -> types.CodeType:
    """Return code that raises ``error``, for all that a traceback tells in the last line of ``code``."""
    line = 1 + max(line for *_, line in code.co_lines() if line is not None) - code.co_firstlineno
    tree = ast.parse("raise error")
    for node in ast.walk(tree):
        # The whole line, so that no part of it is underlined.
        vars(node).update(lineno=line, end_lineno=line, col_offset=0, end_col_offset=1000)
    raising = compile(tree, code.co_filename, "exec")
    # pytest looks for the first line of the test's code.
    return raising.replace(co_firstlineno=code.co_firstlineno, co_name=code.co_name, co_qualname=code.co_qualname)
