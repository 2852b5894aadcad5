"""`hedger init`: at most six questions, a commented config.toml and its hard limits, and the doctor's word.

Nothing is written before everything is answered, and no file is replaced without being asked about. Heavy
imports stand inside.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.flags import JOURNAL_FILE, Commands
from hedger.verbs.init_files import Answers, BadAnswer, Question, config_text, limits_text, questions
from hedger.verbs.printing import show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.runs.checks import Check

LIMITS_NAME = "limits.toml"
_FLAGS = {
    "venue": ("--venue", "V", "an exchange such as deribit, or simulated"),
    "underlyings": ("--underlyings", "A,B", "coins, such as BTC,ETH"),
    "mode": ("--mode", "paper|live", "begin on paper"),
    "key": ("--key", "PLACE", "where the keys lie: env:NAME, file:FOLDER, keyring:SERVICE, or none"),
    "band_usd": ("--band-usd", "X", "band of delta per coin, USD either side"),
    "order_usd_max": ("--order-usd-max", "X", "largest single order, USD"),
}


def declare(commands: Commands) -> None:
    """The words of `init`."""
    text = "write a commented config.toml, and look whether all is well"
    words = commands.add("init", init, text)
    for name, (flag, metavar, help) in _FLAGS.items():
        words.add_argument(flag, dest=name, metavar=metavar, help=f"{help}; not asked then")
    words.add_argument("--defaults", action="store_true", help="ask nothing: the rest keeps its default")
    words.add_argument("--force", action="store_true", help="replace files that are there, without asking")
    text = f"the file to write (default: --config, else ./config.toml); {LIMITS_NAME} comes beside it"
    words.add_argument("--out", type=Path, metavar="FILE", help=text)


def init(arguments: argparse.Namespace) -> Exit:
    """Ask, write, and let the doctor look."""
    out: Path = arguments.out or arguments.config or Path("config.toml")
    _refuse_place(out)
    limits = out.with_name(LIMITS_NAME)
    answers = _answers(arguments, replacing=_may_replace((out, limits), arguments))
    settings = _sound(answers, out, limits)
    _write(limits, limits_text(answers))
    _write(out, config_text(answers, str(limits)))
    journal = out.with_name(JOURNAL_FILE.name)
    if not arguments.json:
        print(f"written: {out} and {limits}")
        print(
            "PAPER: nothing leaves this machine" if answers.mode == "paper" else "LIVE: not before --arm-live"
        )
    checks = _doctor(settings, journal)
    bad = [check.what for check in checks if check.finding.value == "bad"]
    after = _next(answers, out)
    if arguments.json:
        document = {
            "config": str(out),
            "limits": str(limits),
            "mode": answers.mode,
            "bad": bad,
            "next": after,
        }
        show_json(document | {"checks": [check.document() for check in checks]})
    else:
        for check in checks:
            print(f"{check.finding.value:4}  {check.what}: {check.text}")
        print("Paper first. Next:")
        for line in after:
            print(f"  {line}")
    return Exit.NEGATIVE if bad else Exit.DONE


# ---------------------------------------------------------------------------------------------------- answers


def _answers(arguments: argparse.Namespace, *, replacing: bool) -> Answers:
    """Flags first, then what is asked. replacing: a person was asked about the files that are there.

    Raises:
        InputError: a flag that will not do, or the answers end before the questions.
    """
    from hedger.runs.venue_setup import CONNECTED

    found: dict[str, Any] = {}
    asked: set[str] = set()
    while left := [q for q in questions(CONNECTED, found, replacing=replacing) if q.name not in asked]:
        question = left[0]
        asked.add(question.name)
        given: str | None = getattr(arguments, question.name)
        if given is not None:
            found[question.name] = _of_flag(question, given)
        elif arguments.defaults or not question.asked:
            found[question.name] = question.read(question.default)
            if question.name == "key" and found.get("mode") == "live":
                print(f"keys: {question.default}; --key names another place", file=sys.stderr)
        else:
            found[question.name] = _ask(question)
    for name, (flag, *_) in _FLAGS.items():
        if getattr(arguments, name) is not None and name not in found:
            raise InputError(
                "INIT_NEEDLESS",
                f"{flag} is not for the simulated market",
                where=flag,
                observed=f"--venue {found['venue']}",
                allowed="an exchange",
                not_done="nothing was written",
                fix="leave it out, or name a --venue",
            )
    return Answers(**found)


def _of_flag(question: Question, given: str) -> object:
    try:
        return question.read(given)
    except BadAnswer as error:
        flag = _FLAGS[question.name][0]
        raise InputError(
            "INIT_ANSWER",
            f"{flag} will not do",
            where=flag,
            observed="not shown" if question.name == "key" else given,
            allowed=str(error),
            not_done="nothing was written",
            fix="give another, or leave it out to be asked",
        ) from None


def _ask(question: Question) -> object:
    """Ask until the answer will do; nothing typed is the default."""
    while True:
        text = _line(f"{question.ask} [{question.default}]: ")
        try:
            return question.read(text.strip() or question.default)
        except BadAnswer as error:
            print(f"  not that; allowed: {error}", file=sys.stderr)


def _line(prompt: str) -> str:
    """A line from standard input; what is asked stands on standard error, which no reader of --json reads.

    Raises:
        InputError: there is none any more.
    """
    print(prompt, end="", file=sys.stderr, flush=True)
    text = sys.stdin.readline()
    if not text:
        print(file=sys.stderr)
        raise InputError(
            "INIT_UNANSWERED",
            "the answers ended before the questions",
            where="standard input",
            observed=f"no answer to: {prompt.partition(' [')[0]}",
            allowed="an answer to each, or its flag",
            not_done="nothing was written",
            fix="answer, or use the flags of `hedger init --help`; --defaults asks nothing",
        )
    return text


# ------------------------------------------------------------------------------------------------------ files


def _refuse_place(out: Path) -> None:
    """Before anything is asked: a folder that is not there, or a place that is one."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise InputError(
            "INIT_PLACE",
            "the settings cannot be written there",
            where="--out",
            observed=out,
            allowed="a file in a folder that exists",
            not_done="nothing was written",
            fix="make the folder, or name another file",
        )


def _may_replace(paths: Sequence[Path], arguments: argparse.Namespace) -> bool:
    """Whether a person was asked about files that are there, in one question, and lets them go.

    Raises:
        InputError: they may not.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if arguments.force or not there:
        return False
    names = " and ".join(map(str, there))
    if not arguments.defaults:
        them = "it" if len(there) == 1 else "both"
        are = "is" if len(there) == 1 else "are"
        answer = _line(f"{names} {are} there already; replace {them}? (yes, no) [no]: ")
        if answer.strip().casefold() in ("y", "yes"):
            return True
    raise InputError(
        "INIT_EXISTS",
        "a file is there already",
        where="--out",
        observed=names,
        allowed="new files, or --force",
        not_done="nothing was written",
        fix="name another file with --out, or replace what is there with --force",
    )


def _sound(answers: Answers, out: Path, limits: Path) -> Any:
    """The settings as they will be read; what would be refused at a start is refused before it is written.

    Raises:
        InputError: the answers do not go together.
    """
    from hedger.config import load
    from hedger.limits_file import load_limits
    from hedger.runs.agreement import agreed

    with tempfile.TemporaryDirectory(prefix="hedger-init-") as folder:
        trial, hard = Path(folder, out.name), Path(folder, LIMITS_NAME)
        hard.write_text(limits_text(answers), "utf-8")
        trial.write_text(config_text(answers, str(limits)), "utf-8")
        loaded = load(trial)
        return agreed(loaded.settings, load_limits(hard), loaded.origin)


def _write(path: Path, text: str) -> None:
    """The whole file or none of it, readable by its user alone."""
    part = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(
            "INIT_WRITE",
            "the file cannot be written",
            where=str(path),
            observed=error.strerror or error,
            allowed="a folder with rights and space",
            not_done="it was not written",
            fix="name another place with --out",
        ) from None


def _doctor(settings: Any, journal: Path) -> tuple[Check, ...]:
    from hedger.runs.doctor import examine

    return examine(settings, journal)


def _next(answers: Answers, out: Path) -> list[str]:
    """What to type next, paper before anything else."""
    from hedger.verbs.init_files import SIMULATED

    config = "" if out == Path("config.toml") else f" --config {out}"
    lines = [f"hedger config show{config}"]
    if answers.mode == "live":
        lines.append(f"hedger doctor{config}    # live begins only where nothing is bad")
        lines.append('paper first: set mode = "paper" in [run] for the first days')
        return lines
    book = "" if answers.venue == SIMULATED else " --book BOOK.csv"
    if answers.venue != SIMULATED:
        lines.append(
            f"hedger book fetch --venue {answers.venue} --out BOOK.csv{config}    # needs keys; or write one"
        )
    lines.append(f"hedger run{config}{book}    # observes until `hedger arm`")
    lines.append(f"hedger dashboard --control{config}    # in another shell")
    return lines
