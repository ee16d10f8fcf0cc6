"""How Sphinx builds these pages: ``python -m sphinx -W docs docs/_build``. It asks no other site for anything."""

import pathlib
import re
import sys
from importlib.util import find_spec

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

project = "tornado-wstest"
author = "the authors of tornado-wstest"
release = re.search(r'__version__ = "(.+)"', (ROOT / "tornado_wstest" / "__init__.py").read_text("utf-8")).group(1)

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo" if find_spec("furo") else "alabaster"

# `name` in a docstring is a link where the name is one of the reference's, and code where it is another's.
default_role = "py:obj"
# The types in signatures are those of the source, and told there in words.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# On every page, `Scenario` is the one of this package.
rst_prolog = ".. currentmodule:: tornado_wstest\n"
