"""The commands: ``python -m tornado_wstest routes``, ``fuzz`` and ``replay``.

They print what `tornado_wstest.fuzzing.report` makes of an engine's events. Exit codes: 0 nothing found, 1 findings,
2 a command that cannot be carried out, 130 after Ctrl-C.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .errors import UsageError
from .fuzzing.exports import check_report_file, routes_to_json, save_report
from .fuzzing.report import PROG, cause_text, printable, routes_table, summary
from .fuzzing.routes import find_routes, load_target
from .fuzzing.screen import say, screen
from .fuzzing.settings import Option, options
from .text import nearest
from .transcript import is_secret

__all__ = ["main"]

_CLEAN, _FOUND, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_FOLDER = ".tornado-wstest"
_METAVARS = {int: "N", float: "SECONDS", str: "TEXT", tuple: "A,B", dict: "NAME=VALUE", object: "MODULE:NAME"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command, and return its exit code.

    ::

        sys.exit(main(["fuzz", "chat:make_app", "--seed", "1"]))

    :arg arguments: those of the command line by default
    """
    try:
        given = _parse(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        _complain(error)
        return _USAGE
    except SystemExit as error:  # argparse's, which has printed its help or its complaint
        return error.code if isinstance(error.code, int) else _USAGE
    try:
        with _silence():
            code: int = given.run(given)
    except UsageError as error:
        _complain(error)
        return _USAGE
    except ImportError as error:
        if error.name != "hypothesis" and "tornado-wstest[fuzz]" not in str(error):
            raise
        _complain(UsageError("fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'"))
        return _USAGE
    except KeyboardInterrupt:
        say("interrupted", to=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on (| head): what is still buffered is for nobody, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _USAGE
    except (SystemExit, asyncio.CancelledError):
        # 0 would be a lie, whatever the app says: nothing has come to its end.
        _complain(UsageError("the app has ended the run, by sys.exit() or the like"))
        return _USAGE
    return code


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the app's log lines and warnings from the screen: what goes wrong is told as a finding."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _complain(error: UsageError) -> None:
    """Print the app's own traceback, if that is the reason, and one line."""
    text = cause_text(error)
    if text:
        say(text, to=sys.stderr)
    say(printable(f"{PROG}: error: {'; '.join(str(error).splitlines())}"), to=sys.stderr)


# The command line


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(PROG, description="Look at the websockets of a Tornado app.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    routes = _command(commands, "routes", _routes, "list the websocket routes", "TARGET [--json]")
    routes.add_argument("target", metavar="TARGET", help="the app, such as chat:make_app")
    routes.add_argument("--json", action="store_true", help="as JSON")
    fuzz = _command(
        commands, "fuzz", _fuzz, "look for bugs, with conversations that are made up", "[TARGET] [OPTION ...]"
    )
    fuzz.add_argument("target", metavar="TARGET", nargs="?", help="the app; by default, what pyproject.toml names")
    fuzz.add_argument("--report", metavar="FILE", action="append", default=[], help="ends in .html, .json or .xml")
    fuzz.add_argument("--save-to", metavar="FOLDER", default=_FOLDER, help=f"for the cases found (default: {_FOLDER})")
    _add_settings(fuzz, [option for option in options() if option.name != "enabled"])
    replay = _command(
        commands, "replay", _replay, "play a saved case three times: FIXED, FAILED or FLAKY", "FILE [OPTION ...]"
    )
    replay.add_argument("file", metavar="FILE", help="what fuzz has saved")
    _add_settings(replay, [option for option in options() if option.name in _FOR_REPLAY])
    given, unknown = parser.parse_known_args(_joined(arguments))
    if unknown:
        _refuse(unknown[0], commands.choices[given.command])
    return given


_FOR_REPLAY = ("headers", "cookies", "signed_cookies", "auth", "handshake", "strict")
"""What a saved case may lack, and how its answer counts."""


def _joined(arguments: Sequence[str]) -> list[str]:
    """Write ``--checks -leak`` as ``--checks=-leak``: argparse takes ``-leak`` for an option."""
    flags = {option.flag() for option in options() if option.type is not bool}
    found: list[str] = []
    for word in arguments:
        if found and found[-1] in flags and word[:1] == "-" and word[:2] != "--":
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _command(commands: Any, name: str, run: Callable[..., int], text: str, usage: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, usage=f"{PROG} {name} {usage}", allow_abbrev=False
    )
    added.set_defaults(run=run, command=name)
    return added


def _add_settings(parser: argparse.ArgumentParser, settings: Sequence[Option]) -> None:
    """Add an option for each setting. What is not given is None, so that it overrides nothing."""
    for option in settings:
        if option.type is bool:
            more: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            more = {"action": "append", "metavar": _metavar(option)}
        text = f"{option.help.replace('``', '')}{_default(option)}".replace("%", "%%")
        parser.add_argument(option.flag(), dest=option.name, default=None, help=text, **more)


def _metavar(option: Option) -> str:
    if option.choices or not option.commas:
        return "|".join(option.choices) or "PATTERN"
    return _METAVARS[option.type]


def _default(option: Option) -> str:
    """Return what there is to say of a default."""
    if not option.default:
        return ""
    default = option.default if option.type is tuple else [option.default]
    return f" (default: {','.join(f'{one:g}' if option.type is float else str(one) for one in default).lower()})"


def _refuse(unknown: str, parser: argparse.ArgumentParser) -> None:
    flag = unknown.partition("=")[0]
    known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    hint = f": {nearest(flag, known)}" if flag.startswith("-") else ""
    raise UsageError(f"{unknown!r} is nothing that {parser.prog.rpartition(' ')[2]} takes{hint}")


def _overrides(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line says."""
    return {
        option.name: texts if option.type is bool else option.parse(texts)
        for option in options()
        if (texts := getattr(given, option.name, None)) is not None
    }


# routes


def _routes(given: argparse.Namespace) -> int:
    routes = find_routes(load_target(given.target))
    say(routes_to_json(routes) if given.json else routes_table(routes))
    return _CLEAN


# fuzz


def _fuzz(given: argparse.Namespace) -> int:
    from .fuzzing.command import FuzzCommand

    for file in given.report:
        check_report_file(file)
    command = FuzzCommand(_overrides(given), lambda **more: _written(given, **more), save_to=given.save_to)
    with screen() as shown:
        report = command.run(given.target, shown)
    say(summary(report))
    for file in given.report:
        save_report(report, file)
    if report.interrupted:
        return _INTERRUPTED
    return _FOUND if report.failed else _CLEAN


def _written(given: argparse.Namespace, **settings: str) -> str:
    """Return the command as it is to be typed, with ``settings`` instead of those given, and without secrets."""
    words = ["fuzz", *([given.target] if given.target else [])]
    words += ["--save-to", given.save_to] if given.save_to != _FOLDER else []
    for option in options():
        value = settings.get(option.name, getattr(given, option.name, None))
        if isinstance(value, bool):
            words.append(option.flag() if value else f"--no-{option.flag()[2:]}")
        elif value is not None:
            for text in [value] if isinstance(value, str) else value:
                words += [option.flag(), _masked(option.name, text)]
    return f"{PROG} {shlex.join(words)}"


def _masked(name: str, text: str) -> str:
    if name == "auth":
        kind, _, secret = text.rpartition(":")
        return text if secret.startswith("$") else f"{kind}:***"
    first, equals, _ = text.partition("=")
    return f"{first}=***" if name in ("headers", "cookies") and equals and is_secret(first) else text


# replay


def _replay(given: argparse.Namespace) -> int:
    from .fuzzing.command import replay_saved

    text, failed = replay_saved(given.file, _overrides(given))
    say(text)
    return _FOUND if failed else _CLEAN
