"""The page on the command line: every verb with its flags and exit codes, from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from docs.making.markdown import cell, code, page, table
from hedger.cli import build_parser

#: Exit codes that a verb has beside 0, 2, 70 and 130, and when. A test holds it against the parser.
EXITS: dict[str, str] = {
    "demo": "1 a hedge did not verify",
    "risk": "",
    "plan": "3 the plan is blocked, or decides nothing because an index is bad",
    "tape import": "",
    "tape info": "",
    "tape verify": "1 the tape is not sound",
    "tape simulate": "",
    "config show": "",
    "config validate": "1 not valid",
    "config schema": "",
    "limits show": "",
    "limits validate": "1 not valid",
    "limits compare": "1 something is looser",
    "limits codes": "",
    "study plans": "",
    "study surface": "",
    "study delta": "",
    "study greeks": "",
    "study frontier": "",
    "study chain": "",
    "journal show": "",
    "journal verify": "1 the chain is broken, or deciding again came to something else",
    "journal export": "",
    "status": "",
    "init": "1 written, and the doctor found something bad",
    "alerts": "1 with --once, where something critical stands · 4 with --once, where a sink failed",
    "completion": "",
    "orders": "",
    "arm": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "pause": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "resume": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "flatten": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "reduce": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "hedge": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "preview": "1 the engine has not answered in time, or can plan none · 3 refused, or no engine runs",
    "bands": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "reload": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "kill": "1 the latch is set, and it is not confirmed that nothing is open · 4 nor did every venue answer",
    "unkill": "1 the engine has not taken it in time · 3 refused, or no engine runs",
    "run": "3 not begun: the latch, the lock, live without its conditions · 4 a venue cannot be reached · "
    "5 the accounts and the book do not agree · 143 ended by a signal",
    "replay": "",
    "watchdog": "",
    "whatif": "",
    "pnl": "",
    "venues": "",
    "dashboard": "",
    "report": "",
    "simulate": "1 a violation was found",
    "doctor": "1 something stands against trading",
    "book fetch": "4 the venue cannot be reached, or does not let the key in",
    "record": "4 the venue cannot be reached, or nothing was heard",
}


def verbs() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Every verb with its help, in the order of `hedger --help`."""
    yield from _verbs(build_parser(), "")


def _verbs(parser: argparse.ArgumentParser, above: str) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                full = f"{above} {name}".strip()
                if any(isinstance(a, argparse._SubParsersAction) for a in child._actions):
                    yield from _verbs(child, full)
                else:
                    yield full, child.description or "", child


def _common() -> set[str]:
    """What every verb takes."""
    flags = [{s for a in parser._actions for s in a.option_strings} for _, _, parser in verbs()]
    return set.intersection(*flags)


def _flag(action: argparse.Action) -> tuple[str, str]:
    name = ", ".join(action.option_strings) or (str(action.metavar) if action.metavar else action.dest)
    if action.option_strings and action.nargs != 0:
        shown = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
        name += f" {shown}"
    text = (action.help or "").replace("%%", "%")
    if action.choices and action.metavar:
        text += f"; one of {', '.join(map(str, action.choices))}"
    if action.required and action.option_strings:
        text += " (required)"
    return code(name), cell(text.strip("; "))


def make() -> str:
    """The page."""
    common = _common()
    parts = [
        "Every verb has `--help`, `--config FILE` (default `./config.toml`, else the built-in defaults), "
        "`--debug` "
        "and `--json`: one document on stdout and nothing else there; logs and progress go to stderr. "
        "Times are ISO "
        "8601 UTC or integer nanoseconds. Flags are never abbreviated.\n\n"
        "Every verb may exit with 0 (done), 2 (command, settings or input invalid), 70 (a fault of the "
        "program), 74 (the command was taken, and its output could not be written) and "
        "130 (interrupted); those with more say so below. [All exit codes](error-codes.md#exit-codes).",
    ]
    for name, text, parser in verbs():
        own = [a for a in parser._actions if not set(a.option_strings) & common]
        parts.append(f"## `hedger {name}`\n\n{cell(text)[:1].upper()}{cell(text)[1:]}.\n")
        if own:
            parts.append(table(("flag", "what it is"), [_flag(action) for action in own]))
        if EXITS.get(name):
            parts.append(f"Exit codes besides: {EXITS[name]}.\n")
    return page("Commands", *parts)
