"""What the fuzzer prints, in files beside this one.

After an intended change, write the files anew and read them::

    UPDATE_FAILURES=1 python -m unittest tests.test_fuzz_report tests.test_fuzz_cli
"""

import os
import pathlib
import re

__all__ = ["TextTestCase"]

FOLDER = pathlib.Path(__file__).parent


class TextTestCase:
    """Compares a text with the file that is named as the test is; goes before ``TestCase``."""

    maxDiff = None

    def assert_text(self, text, suffix=".txt"):
        """``text``, with what changes from run to run masked, is what the file has."""
        text = f"{masked(text).rstrip()}\n"
        file = FOLDER / f"{self._testMethodName.removeprefix('test_')}{suffix}"
        if os.environ.get("UPDATE_FAILURES"):
            file.write_text(text, "utf-8")
        self.assertEqual(text, file.read_text("utf-8"))


def masked(text):
    """Replace paths, lines of files, and times of a clock that really runs."""
    text = re.sub(r'(["\s])/\S*/(\w+\.py)', r"\1<folder>/\2", text)
    text = re.sub(r'\.py(:|\\?", line )\d+', r".py\g<1><n>", text)
    # Python 3.11 and 3.13 mark other parts of a line.
    text = re.sub(r"(\n|\\n) *[~^]+(?=\n|\\n)", "", text)
    text = re.sub(r"(raw bytes sent): b'.*'", r"\1: <bytes>", text)  # masked by a key, as RFC 6455 wants it
    text = re.sub(r"\b\d+\.\d s\b", "<t> s", text)
    return re.sub(r"(?<= )\d+\.\d$", "<t>", text, flags=re.MULTILINE)
