"""A finding's case in a file, with what it takes to play it again. Secrets are none of it."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..text import nearest, show
from ..transcript import is_secret
from .case import Case
from .checks import CHECKS, Problem
from .paste import name_of_object
from .routes import Route
from .settings import FuzzSettings, options

__all__ = ["SavedCase"]

_VERSION = 1
_FORMAT = "tornado-wstest case"
_PLAIN = (
    "origin",
    "transport",
    "virtual_time",
    "message_timeout",
    "connection_timeout",
    "blocked",
    "validate_subprotocols",
)
"""Settings that are kept as they are."""
_TUPLES = ("subprotocols", "allowed_close_codes", "checks")
_TABLES = ("headers", "cookies", "signed_cookies")


@dataclasses.dataclass(frozen=True)
class SavedCase:
    """What a file of ``.tornado-wstest/`` holds.

    ::

        saved = SavedCase.of(case, problem, target="chat:make_app", route=route, settings=settings, seed=1)
        file = saved.save(".tornado-wstest")
        again = SavedCase.load(file)
    """

    target: str
    route: str
    """The route's pattern."""
    host: str | None
    """The pattern of its host."""
    check: str
    title: str
    key: tuple[str, str]
    seed: int
    case: Case
    settings: Mapping[str, Any]
    """Those that matter for a replay, as keyword arguments for `Config.load`."""
    left_out: tuple[str, ...] = ()
    """What is secret, and must come from ``pyproject.toml`` or the command line: ``"auth"``, ``"cookies: token"``."""

    @classmethod
    def of(
        cls, case: Case, problem: Problem, *, target: str, route: Route, settings: FuzzSettings, seed: int
    ) -> "SavedCase":
        """Return what is to be saved."""
        kept, left_out = _kept(settings)
        return cls(
            target, route.pattern, route.host, problem.code, problem.title, problem.key, seed, case, kept, left_out
        )

    @property
    def file_name(self) -> str:
        """The same for the same bug: ``chat-server-error-1f3a5c7e.json``."""
        words = re.sub(r"[^0-9A-Za-z]+", "-", self.route).strip("-")[:40].strip("-") or "root"
        bug = repr((self.target, self.route, self.host, self.key))
        return f"{words}-{self.check}-{hashlib.sha256(bug.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}.json"

    def save(self, folder: str | pathlib.Path) -> pathlib.Path:
        """Write the file, and return where it is. Raises `UsageError` where nothing can be written."""
        file = pathlib.Path(folder) / self.file_name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"the case cannot be saved to {file}: {error.strerror or error}") from error
        return file

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "target": self.target,
            "route": self.route,
            "host": self.host,
            "check": self.check,
            "title": self.title,
            "key": list(self.key),
            "seed": self.seed,
            "settings": dict(self.settings),
            "left_out": list(self.left_out),
            "case": self.case.to_json(),
        }

    @classmethod
    def load(cls, file: str | pathlib.Path) -> "SavedCase":
        """Read a file. Raises `UsageError`, with what is wrong, for any that `save` has not written."""
        try:
            value = json.loads(pathlib.Path(file).read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{file} is no saved case: it is no JSON ({error})") from error
        try:
            return cls.from_json(value)
        except UsageError as error:
            raise UsageError(f"{file}: {error}") from error

    @classmethod
    def from_json(cls, value: Any) -> "SavedCase":
        """Return what `to_json` made a value of. Raises `UsageError` for any other."""
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise UsageError("this is no saved case: its format is not " + repr(_FORMAT))
        if value.get("version") != _VERSION:
            raise UsageError(f"this is a case of version {show(value.get('version'))}; version {_VERSION} can be read")
        for name, kind in _KINDS.items():
            if name not in value or not isinstance(value[name], kind):
                raise UsageError(f"{name} of a saved case is {_WORDS[kind]}, not {show(value.get(name), 80)}")
        if value["check"] not in CHECKS:
            raise UsageError(f"there is no check {show(value['check'], 80)}")
        if len(value["key"]) != 2 or not all(isinstance(part, str) for part in [*value["key"], *value["left_out"]]):
            raise UsageError("key of a saved case is two texts, left_out is texts")
        case = Case.from_json(value["case"])
        if not case.visits:
            raise UsageError("the case of a saved case has no visits")
        _check_settings(value["settings"])
        return cls(
            **{name: value[name] for name in ("target", "route", "host", "check", "title", "seed", "settings")},
            key=(value["key"][0], value["key"][1]),
            case=case,
            left_out=tuple(value["left_out"]),
        )


def _check_settings(settings: Mapping[str, Any]) -> None:
    valid = {option.name: option for option in options()}
    for name, value in settings.items():
        if name not in valid:
            raise UsageError(f"there is no setting {show(name, 80)}: {nearest(name, valid)}")
        valid[name].check(value)


_KINDS: dict[str, Any] = {
    "target": str,
    "route": str,
    "host": (str, type(None)),
    "check": str,
    "title": str,
    "key": list,
    "seed": int,
    "settings": dict,
    "left_out": list,
    "case": dict,
}
_WORDS = {str: "a text", (str, type(None)): "a text or null", list: "a list", int: "a number", dict: "an object"}


def _kept(settings: FuzzSettings) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what may stand in a file, and the names of what may not."""
    default = FuzzSettings()
    kept = {name: getattr(settings, name) for name in _PLAIN if getattr(settings, name) != getattr(default, name)}
    kept |= {
        name: list(getattr(settings, name)) for name in _TUPLES if getattr(settings, name) != getattr(default, name)
    }
    left_out = []
    for table in _TABLES:
        values = dict(getattr(settings, table))
        # The app signs these itself: they are plain text, and no secret.
        secret = [] if table == "signed_cookies" else [name for name in values if is_secret(name)]
        left_out += [f"{table}: {name}" for name in secret]
        public = {name: value for name, value in values.items() if name not in secret}
        kept |= {table: public} if public else {}
    if settings.auth is not None:
        if _is_written_by_names(settings.auth):
            kept["auth"] = settings.auth
        else:
            left_out.append("auth")
    if settings.handshake is not None:
        name = name_of_object(settings.handshake)
        if name is None:
            left_out.append("handshake")
        else:
            kept["handshake"] = name
    return kept, tuple(left_out)


def _is_written_by_names(auth: str) -> bool:
    """Does it name its secret, the last part, by ``$NAME``?"""
    return auth.rsplit(":", maxsplit=1)[-1].startswith("$")
