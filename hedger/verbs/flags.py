"""How verbs are declared, and what their flags accept: each verb's module says its own words with these."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pricing.errors import Exit

Verb = Callable[[argparse.Namespace], Exit]

#: Where a journal is when nobody says otherwise.
JOURNAL_FILE = Path("hedger.journal")


@dataclass(frozen=True, slots=True)
class Commands:
    """The verbs of one level of the command line. common: the flags that each of them takes."""

    subparsers: Any  # argparse has no public name for it
    common: argparse.ArgumentParser

    def add(self, name: str, verb: Verb, text: str) -> argparse.ArgumentParser:
        """A verb, and where its flags are put."""
        made: argparse.ArgumentParser = self.subparsers.add_parser(
            name, parents=[self.common], help=text, description=text
        )
        made.set_defaults(verb=verb)
        return made

    def group(self, name: str, text: str) -> Commands:
        """A word that only has verbs of its own, such as `tape`."""
        group = self.subparsers.add_parser(name, help=text, description=text)
        return Commands(group.add_subparsers(title="verbs", metavar="VERB", required=True), self.common)


def add_journal(
    parser: argparse.ArgumentParser, what: str = "the engine's record"
) -> argparse.ArgumentParser:
    """--journal, with its default."""
    text = f"{what} (default ./{JOURNAL_FILE})"
    parser.add_argument("--journal", type=journal_file, default=JOURNAL_FILE, metavar="FILE", help=text)
    return parser


def journal_file(text: str) -> Path:
    """Where a journal is or will be: a file, beside which others lie that bear its name."""
    path = Path(text)
    if not path.name or os.path.isdir(path):  # Path.is_dir raises of what may not be looked at
        raise argparse.ArgumentTypeError(f"{text!r} is a folder, and a journal is a file")
    return path


def coin(text: str) -> str:
    """A coin's name: an empty one, as of a script's variable that is not set, is no word for all of them."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty: name a coin, or leave the argument out for all")
    return text


def positive(text: str) -> float:
    """A number above 0."""
    return _bounded(text, lambda x: x > 0, "above 0")


def not_negative(text: str) -> float:
    """A number from 0 on."""
    return _bounded(text, lambda x: x >= 0, "at least 0")


def factor(text: str) -> float:
    """A number from 1 to a million."""
    return _bounded(text, lambda x: 1 <= x <= 1e6, "from 1 to a million")


def axis(low: float, reached: bool) -> Callable[[str], tuple[float, ...]]:
    """What reads up to 50 different numbers above `low` (from it on where `reached`), and puts them in order.

    >>> axis(-100.0, False)("5,-20,0")
    (-20.0, 0.0, 5.0)
    """

    def read(text: str) -> tuple[float, ...]:
        try:
            found = sorted(float(part) + 0.0 for part in text.split(","))  # a minus in front of 0 is none
        except ValueError:
            found = []
        good = all((low <= x if reached else low < x) and x <= 1e4 for x in found)
        if not (1 <= len(found) <= 50 and len(set(found)) == len(found) and good):
            words = "from" if reached else "above"
            raise argparse.ArgumentTypeError(
                f"{text!r} is not up to 50 different numbers {words} {low:g} to 10000 between commas"
            )
        return tuple(found)

    return read


def costs(text: str) -> tuple[float, ...]:
    """Up to ten different costs, basis points.

    >>> costs("1,5,20")
    (1.0, 5.0, 20.0)
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not 1 <= len(set(found)) == len(found) <= 10 or not all(0 <= bps <= 1000 for bps in found):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not up to ten different costs from 0 to 1000 basis points, such as 1,5,20,50"
        )
    return found


def legs(text: str) -> tuple[tuple[float, float], ...]:
    """Legs of a book: signed coins, and strike in per cent of spot.

    >>> legs("short:1@100,long:0.8@105")
    ((-1.0, 100.0), (0.8, 105.0))
    """
    found = []
    for part in text.split(","):
        side, _, rest = part.strip().partition(":")
        size, _, strike = rest.partition("@")
        try:
            coins, per_cent = float(size), float(strike)
        except ValueError:
            coins = per_cent = float("nan")
        if side not in ("short", "long") or not (1e-6 <= coins <= 1e6 and 1 <= per_cent <= 10_000):
            raise argparse.ArgumentTypeError(
                f"{part!r} is not SIDE:COINS@STRIKE, such as short:1@100: side short or long, coins "
                "from 1e-6 to 1e6, strike in per cent of spot from 1 to 10000"
            )
        found.append((-coins if side == "short" else coins, per_cent))
    return tuple(found)


def step(text: str) -> int:
    """A whole number from 1 on."""
    return _whole(text, 1)


def count(text: str) -> int:
    """A whole number from 0 on."""
    return _whole(text, 0)


def _bounded(text: str, good: Callable[[float], bool], words: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (good(value) and value < 1e15):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number {words}")
    return value


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= least):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)
