"""The command line: every verb, each with --json. Nothing heavy is imported before a verb needs it.

The words of a verb stand beside it, in `hedger.verbs`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO

from hedger.verbs import (
    alerts_verb,
    completion_verb,
    config_verbs,
    dashboard_verb,
    demo_verb,
    desk_verbs,
    engine_verbs,
    init_verb,
    journal_verbs,
    limits_verbs,
    plan_verbs,
    report_verb,
    simulate_verb,
    steering,
    streams,
    study_verbs,
    tape_verbs,
    venue_verbs,
)
from hedger.verbs.flags import Commands, Verb
from pricing.errors import Exit, HedgerError, InputError, printable

#: What declares verbs, in the order of `hedger --help`.
VERBS = (
    demo_verb,
    init_verb,
    plan_verbs,
    tape_verbs,
    config_verbs,
    limits_verbs,
    study_verbs,
    journal_verbs,
    steering,
    engine_verbs,
    desk_verbs,
    dashboard_verb,
    alerts_verb,
    report_verb,
    simulate_verb,
    venue_verbs,
    completion_verb,
)


class Parser(argparse.ArgumentParser):
    """A parser whose faults read like every other fault; no abbreviated flags: `--mark` is not --market."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; the words are kept for what `error` says of them."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(
            "USAGE",
            message,
            where=self.prog,
            allowed=self._rule(message),
            not_done="nothing was started",
            fix=self._with_equals(message) or f"see `{self.prog} --help`",
        )

    def _rule(self, message: str) -> str:
        """What the argument that is wrong, or those that are missing, stand for; the rest is in the help."""
        told, _, missing = message.partition("the following arguments are required: ")
        names = missing.split(", ") if missing else [told.removeprefix("argument ").partition(": ")[0]]
        found = []
        for action in self._actions:
            name = "/".join(action.option_strings) or str(action.metavar or action.dest)
            if name in names:
                values = action.metavar if isinstance(action.metavar, tuple) else (action.metavar or "",)
                form = " ".join((name, *values)) if action.option_strings else name
                text = (action.help or "").replace("%%", "%")
                found.append(f"{form.strip()}: {text}" if text else form.strip())
        return ", ".join(found)

    def _with_equals(self, message: str) -> str:
        """How to write a list that begins with a negative number, which argparse takes for a flag."""
        flag, _, rest = message.removeprefix("argument ").partition(": ")
        for word, after in pairwise(self._words):
            if rest == "expected one argument" and word == flag and re.match(r"-\.?\d", after):
                return f"write `{flag}={after}`"
        return ""


class _Version(argparse.Action):
    """--version: the build, which is only taken when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it and end."""
        from hedger.build import this_build

        print(f"hedger {this_build()}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code. An error a person can mend is one line on stderr, no traceback."""
    arguments, code = argparse.Namespace(debug=False), Exit.DONE
    try:
        streams.guard()
        parser = build_parser()
        try:
            arguments = parser.parse_args(argv)
        except SystemExit as end:  # -h and --version print, and end
            code = Exit(int(end.code or 0))
        else:
            code = _run(parser, arguments)
        streams.check_output()  # here, where a reader that went away is no fault
        return int(code)
    except streams.OutputFailed as error:
        print(error, file=sys.stderr)
        return int(code or error.exit_code)
    except HedgerError as error:
        if arguments.debug:
            raise
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except BrokenPipeError:
        # The reader went away (`hedger risk ... | head`): not a fault of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except KeyboardInterrupt:
        print("INTERRUPTED: stopped by the user; nothing was left running", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    except Exception as error:
        # The last resort of the program: a fault of ours, said in one line; --debug shows where.
        if arguments.debug:
            raise
        print(
            f"INTERNAL: {type(error).__name__}: {printable(str(error))}; this is a fault of the program, "
            "please report it; --debug prints the traceback",
            file=sys.stderr,
        )
        return int(Exit.INTERNAL)


def _run(parser: Parser, arguments: argparse.Namespace) -> Exit:
    """The verb that was asked for, or the help where none was."""
    verb: Verb | None = getattr(arguments, "verb", None)
    if verb is None:
        parser.print_help()
        return Exit.INVALID
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return verb(arguments)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as a line for people, without the place in our code that gave it."""
    print(f"WARNING: {printable(str(message))}", file=sys.stderr)


def build_parser() -> Parser:
    """The whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (default ./config.toml, else built-in)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = Parser(
        prog="hedger",
        description="The cheapest mix of spot, perpetual, future and option trades that brings an options "
        "book back inside its bands.",
    )
    parser.set_defaults(debug=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="which build this is")
    commands = Commands(parser.add_subparsers(title="verbs", metavar="VERB"), common)
    for verbs in VERBS:
        verbs.declare(commands)
    return parser
