"""Metadata of the distribution ``tornado-wstest``."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "tornado_wstest" / "__init__.py").read_text("utf-8")).group(1)

# What the tests need beyond the package: the codecs that the how-to pages show, and Hypothesis.
TEST = [
    "coverage>=7.4",
    "dirty-equals>=0.7",
    "docutils>=0.20",
    "hypothesis>=6.100",
    "msgpack>=1.0",
    "protobuf>=5",
    "pydantic>=2.6",
    "pygments>=2.17",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "rich>=13",
    "uvloop>=0.21; platform_system != 'Windows'",
]
# Chromium itself is none of pip's: apt-get install chromium chromium-driver. Playwright's own is not downloaded.
BROWSER = ["playwright>=1.44", "selenium>=4.20"]
DOCS = ["furo>=2024.8.6", "hypothesis>=6.100", "sphinx>=8"]
# Who is measured beside us, each at its newest release; see python -m benchmarks.
BENCH = [
    "aiohttp>=3.14",
    "channels[daphne]>=4.3",
    "httpx2>=2.16",
    "httpx-ws>=0.9",
    "hypothesis>=6.100",
    "litestar>=2.25",
    "matplotlib>=3.11",
    "pytest-routes>=0.4.1",
    "pywsitest>=0.3.8",
    "starlette>=1.10",
    "websockets>=17",
]
RELEASE = ["build>=1.2", "twine>=6"]
# What runs async tests under pytest: apart, as pytest-asyncio warns wherever it is installed and not set up.
PLUGINS = ["anyio>=4.5", "pytest-asyncio>=0.24"]
REAL = ["sockjs-tornado>=1.0.7", "terminado>=0.18"]

README = (HERE / "README.rst").read_text("utf-8")
# The picture stands in the repository: where only this text is shown, there would be a hole.
README = re.sub(r"^\.\. image:: .*\n(?: +.*\n)*\n", "", README, flags=re.MULTILINE)

setup(
    name="tornado-wstest",
    version=VERSION,
    description="The testing toolkit for Tornado websocket applications",
    long_description=README,
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    packages=find_packages(include=["tornado_wstest", "tornado_wstest.*"]),
    package_data={"tornado_wstest": ["py.typed", "diagram.css", "diagram.js"]},
    python_requires=">=3.11",
    install_requires=["tornado>=6.3"],
    extras_require={
        "bench": BENCH,
        "browser": BROWSER,
        "cli": ["rich>=13"],
        "docs": DOCS,
        "fuzz": ["hypothesis>=6.100"],
        "plugins": PLUGINS,
        "real": REAL,
        "release": RELEASE,
        "test": TEST,
        "lint": ["mypy>=1.13", "pyright[nodejs]>=1.1.414", "ruff>=0.8"],
    },
    entry_points={"pytest11": ["tornado_wstest = tornado_wstest.pytest_plugin"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: AsyncIO",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Software Development :: Testing",
        "Typing :: Typed",
    ],
)
