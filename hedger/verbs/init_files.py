"""What `hedger init` asks, and the two files it makes of the answers. Pure: answers in, text out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: The market that needs no venue, no keys and no internet.
SIMULATED = "simulated"
SIMULATED_COINS = ("BTC", "ETH")
MODES = ("paper", "live")
NO_KEY = "none"
#: What each venue signs with, where that is other than a key and its secret.
_SECRETS = {"okx": ("key", "secret", "passphrase"), "hyperliquid": ("wallet", "secret")}
_USD_MIN, _USD_MAX = 100.0, 1e9


class BadAnswer(ValueError):
    """An answer that will not do; its text says what will, and never shows what might be a key."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What is to be written. venue: an exchange, or "simulated". key: where its keys lie, "none" without.
    band_usd: of delta, either side of nothing, per coin. order_usd_max: the largest single order."""

    venue: str = SIMULATED
    underlyings: tuple[str, ...] = SIMULATED_COINS
    mode: str = "paper"
    key: str = NO_KEY
    band_usd: float = 100_000.0
    order_usd_max: float = 250_000.0


@dataclass(frozen=True, slots=True)
class Question:
    """name: of the answer and of the flag. ask: in one line. read: text to a value, raises BadAnswer. asked:
    False where it keeps its default unless a flag says otherwise."""

    name: str
    ask: str
    default: str
    read: Callable[[str], object]
    asked: bool = True


def questions(
    venues: Sequence[str], answered: Mapping[str, object], *, replacing: bool = False
) -> list[Question]:
    """What is still to be answered, in order, at most six with the one about files that are there. answered:
    by name; what they make needless is not asked: the simulated market has no keys and no live mode, and
    paper needs none. replacing: a person was asked about the files, and is not asked about keys as well."""
    venue = str(answered.get("venue", SIMULATED))
    here = venue == SIMULATED
    live = answered.get("mode") == "live"
    found = [
        Question(
            "venue", f"venue ({', '.join((SIMULATED, *venues))})", SIMULATED, one_of((SIMULATED, *venues))
        ),
        Question("underlyings", "underlyings, between commas", ",".join(SIMULATED_COINS), coins(here)),
    ]
    if not here:
        default = f"env:{venue.upper()}" if live else NO_KEY
        found += [
            Question("mode", "mode (paper, live); begin on paper", "paper", one_of(MODES)),
            Question(
                "key",
                f"where the keys lie ({KEY_ALLOWED})",
                default,
                key_place(live),
                asked=live and not replacing,
            ),
        ]
    found += [
        Question("band_usd", "band of delta per coin, USD either side", "100000", usd),
        Question("order_usd_max", "largest single order, USD", "250000", usd),
    ]
    return [question for question in found if question.name not in answered]


KEY_ALLOWED = "env:NAME, file:FOLDER, keyring:SERVICE; none on paper"


def one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """Reads one of some words.

    >>> one_of(("paper", "live"))(" Paper ")
    'paper'
    """

    def read(text: str) -> str:
        word = text.strip().casefold()
        if word not in allowed:
            raise BadAnswer(f"one of {', '.join(allowed)}")
        return word

    return read


def coins(simulated: bool) -> Callable[[str], tuple[str, ...]]:
    """Reads coins between commas.

    >>> coins(False)("btc, ETH")
    ('BTC', 'ETH')
    """

    def read(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
        good = all(coin.isascii() and coin.isalnum() and len(coin) <= 12 for coin in found)
        if not found or not good or len(found) > 20:
            raise BadAnswer("up to 20 coins between commas, such as BTC,ETH")
        if simulated and not set(found) <= set(SIMULATED_COINS):
            raise BadAnswer(f"of the simulated market: {', '.join(SIMULATED_COINS)}")
        return found

    return read


def key_place(live: bool) -> Callable[[str], str]:
    """Reads where keys lie; a key itself is refused and never shown again."""

    def read(text: str) -> str:
        word = text.strip()
        if word.casefold() == NO_KEY and not live:
            return NO_KEY
        kind, _, name = word.partition(":")
        plain = name.isprintable() and not set(name) & set("\"'\\\n")
        if kind not in ("env", "file", "keyring") or not name or not plain:
            need = " (live needs keys)" if live and word.casefold() == NO_KEY else ""
            raise BadAnswer(f"{KEY_ALLOWED}{need}; a key itself is never written down")
        if kind == "env" and not (name.isascii() and name.replace("_", "").isalnum()):
            raise BadAnswer("env:NAME with letters, digits and _")
        return word

    return read


def usd(text: str) -> float:
    """Reads an amount of USD.

    >>> usd("100,000"), usd("2.5e5")
    (100000.0, 250000.0)
    """
    try:
        value = float(text.strip().replace(",", "")) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        value = float("nan")
    if not _USD_MIN <= value <= _USD_MAX:
        raise BadAnswer(f"an amount in USD from {_USD_MIN:g} to {_USD_MAX:z,.0f}, such as 100000")
    return value


def references(venue: str, place: str) -> dict[str, str]:
    """Each secret of a venue by reference.

    >>> references("deribit", "env:DERIBIT")
    {'key': 'env:DERIBIT_KEY', 'secret': 'env:DERIBIT_SECRET'}
    """
    kind, _, name = place.partition(":")
    names = _SECRETS.get(venue, ("key", "secret"))
    if kind == "env":
        return {secret: f"env:{name}_{secret.upper()}" for secret in names}
    return {secret: f"{kind}:{name.rstrip('/')}/{secret}" for secret in names}


def config_text(answers: Answers, limits_file: str) -> str:
    """The settings as a commented file."""
    band, inner = _number(answers.band_usd), _number(answers.band_usd / 2)
    simulated = answers.venue == SIMULATED
    feed = "" if simulated else f'"{answers.venue}"'
    names = ", ".join(f'"{coin}"' for coin in answers.underlyings)
    lines = [
        "# Settings of the hedger, written by `hedger init`. Every other key keeps its default: `hedger",
        "# config show` lists them all with their values, `hedger config schema` with their ranges.",
        "",
        'numeraire = "USD"          # the currency wealth is counted in: "USD" or "coin"',
        f"limits_file = {json.dumps(limits_file)}    # the hard limits: what no order may exceed",
        "",
        "# Bands: distances from the target. A row outside its trigger is brought inside its landing. Gamma",
        "# and vega keep their default bands. [bands.BTC] changes one coin.",
        '[bands."*"]',
        f"delta_usd = {{ target = 0, trigger = [-{band}, {band}], landing = [-{inner}, {inner}] }}    # USD",
        "",
        "[run]",
        f'mode = "{answers.mode}"'.ljust(27)
        + '# "paper": nothing leaves this machine; "live": real orders, by',
        " " * 27 + "# `hedger run --arm-live` and with a doctor who has nothing against it",
        f"feed = [{feed}]".ljust(27) + "# on paper: whose public market is traded on, without keys; none:",
        " " * 27 + "# the simulated one",
        f"underlyings = [{names}]    # whose market is watched",
        "",
    ]
    if not simulated:
        lines += _venue(answers)
    return "\n".join(lines) + "\n"


def _venue(answers: Answers) -> list[str]:
    """The section of the account. Without keys it is a comment: on paper no venue needs to be configured."""
    place = answers.key if answers.key != NO_KEY else f"env:{answers.venue.upper()}"
    found = references(answers.venue, place)
    mark = "# " if answers.key == NO_KEY else ""
    lines = [
        "# The account. Keys stand here by reference alone; they need the rights to read and to trade, and",
        "# one that can withdraw is refused. On paper none is read.",
        f"{mark}[venues.{answers.venue}]",
    ]
    lines += [f'{mark}{name} = "{reference}"' for name, reference in found.items()]
    return [
        *lines,
        f"{mark}sandbox = false          # true: the venue's test network, with a key of that network",
    ]


def limits_text(answers: Answers) -> str:
    """The hard limits as a file of their own."""
    return "\n".join(
        (
            "# Hard limits, written by `hedger init`: what no order may exceed. Every other key keeps its",
            "# cautious default: `hedger limits show` prints them all. Tightening holds at the next start;",
            "# loosening needs `hedger run --reason`.",
            "[order]",
            f"notional_usd_max = {_number(answers.order_usd_max)}    # USD; notional of one order",
            "",
        )
    )


def _number(x: float) -> str:
    """As it is read back, without an exponent."""
    return f"{x:.2f}".rstrip("0").rstrip(".")
