"""The page on JSON documents: what each verb prints with --json, learned by letting it print."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from docs.making.command_line import verbs
from docs.making.markdown import cell, code, page, table
from docs.making.printed import NONE, printed

#: What each key means.
WORDS = Path(__file__).with_name("json_words.toml")
#: Names that a market or a desk gives, not the program: a key like one of these stands for all of its kind.
_GIVEN = re.compile(r"[A-Z*]|.*[:*/]|\d|.*\.toml|simulated$|deribit$|tape\.json$|.*\.parquet$")
#: Objects whose keys are such names although they look like ours.
_TABLES = frozenset(
    [
        "refused", "alerts", "rows", "listings", "violations", "occasions", "counts", "statuses",
        "flags", "drift", "excess", "failed", "rejected", "faults", "greeks", "reasons", "tables",
        "tickets", "kill_s", "parameters", "stages_ms", "timings_ms", "model_parameters",
        "forward_candidates", "kinds", "happened", "drawn", "lineage",
    ]
)  # fmt: skip
#: Parts that have a page of their own, by verb: told as one key.
APART: Mapping[str, tuple[str, str]] = {
    "config schema": ("", "a JSON Schema of the configuration: [Configuration](configuration.md)"),
    "journal show": ("records[].body", ""),
}
#: An object under one of those names whose keys are ours all the same: why an engine did not obey.
_REFUSAL = frozenset(["code", "text"])
#: Keys that are null on the small examples, by verb: what else they are, and what it would take.
UNSEEN: tuple[tuple[str, str, str, str], ...] = (
    ("risk", "rows[].band.refused", "text", "a book whose gammas have both signs"),
    ("plan", "rows[].band.refused", "text", "a book whose gammas have both signs"),
    ("risk", "underlyings[].index_sources[].refused", "text", "an index that strays"),
    ("risk", "venue_check.flags[].amount", "number", "Greeks that a known reason sets apart"),
    ("plan", "trigger.answers[].until", "text", "an engine that hedged before"),
    ("replay", "followed", "object", "the tape of a run on a venue's market"),
    ("journal verify", "compared", "object", "the tape of a run on a venue's market"),
    ("status", "ended", "text", "an engine that nobody killed before its end"),
    ("orders", "orders[].level_size", "number", "an order that rests"),
    ("run", "before_first_mark", "object", "a position without a quote at the start"),
    ("replay", "before_first_mark", "object", "a position without a quote at the start"),
    ("pnl", "before_first_mark", "object", "a position without a quote at the start"),
    ("report", "pnl.before_first_mark", "object", "a position without a quote at the start"),
    ("report", "seed_unknown", "text", "a run on venues"),
    ("report", "limits_unknown", "text", "a journal of another release"),
    ("report", "pnl.unknown_since", "text", "something held that is worth nothing known"),
    ("report", "frontier", "object", "a study of many paths"),
    ("study delta", "rows[].low", "number", "a tape of days"),
    ("study delta", "rows[].high", "number", "a tape of days"),
    *(
        ("study chain", f"{of}[].{name}", "object" if name == "shares" else "number", "a tape of days")
        for of in ("rows", "books")
        for name in (
            "mean_cost", "mean_pnl", "sd_gross", "sd_net", "es5_net", "worst_day", "trades", "shares",
        )
    ),
    ("tape import", "options.perp", "text", "a chain with its bars"),
    ("study greeks", "rows[].index_move_worst", "number", "two stamps that are compared"),
    ("init", "checks[].code", "text", "a desk where something is wrong"),
    ("demo", "report_fault", "text", "a report that could not be made"),
    *(
        ("venues", f"venues[].answer_s.order.{name}", "number", "an order that was asked after")
        for name in ("p50", "p99", "max")
    ),
    ("venues", "venues[].failed_s", "number", "a request that failed"),
    ("venues", "venues[].dead_man.last_fired_s", "number", "a timer that ran out"),
    *(
        ("venues", f"venues[].dead_man.{name}", kind, "a venue with a timer")
        for name, kind in (
            ("timer_s", "number"), ("refreshed_s", "number"), ("fires_at", "text"), ("left_s", "number"),
        )
    ),
    ("venues", "venues[].dead_man.told", "text", "a venue with a timer"),
    ("venues", "venues[].dead_man.told_s", "number", "a venue with a timer"),
    ("resume", "refused", "object", "an engine of another build"),
    ("preview", "refused", "object", "an engine of another build"),
    ("unkill", "refused", "object", "an order that may still be open"),
    *(
        ("run", f"paper.{name}", "number", "a run of hours beside recorded trades")
        for name in (
            "maker_edge_bps", "calibration.optimism_bps", "calibration.taker_bps",
            "calibration.maker_markout_bps.NAME", "calibration.recorded_markout_bps.NAME",
        )
    ),
    ("simulate", "commit", "text", "a source tree under git"),
    ("simulate", "known_bugs", "object", "a run of minutes over planted bugs"),
)  # fmt: skip
#: Keys that are never anything but null, and why they are there.
EMPTY: Mapping[str, str] = {
    "venues:venues[].mmp.state": "no venue is asked for it; `unknown` beside it says why",
    "pause:refused": "of all that steers, a pause alone is always obeyed",
}
#: What these are is told by the verb that they begin with.
_VERB_SAYS = {"arm": ("reduce", "pause", "resume", "hedge", "flatten", "bands"), "doctor": ("init",)}


def paths(document: Any, at: str = "", whole: str | None = None) -> Iterator[tuple[str, str]]:
    """Every key of a document with the type of what is there. whole: a part that is told as one key.

    >>> list(paths({"a": [{"b": 1}], "c": {"delta:BTC": None}}))
    [('a[].b', 'number'), ('c.NAME', 'null')]
    """
    match document:
        case dict() | list() if at == whole:
            yield at or "(whole)", _type(document)
        case dict() if document:
            for key, value in document.items():
                last = at.rsplit(".", 1)[-1]
                given = last in _TABLES and document.keys() != _REFUSAL
                named = "NAME" if _GIVEN.match(key) or given else key
                yield from paths(value, f"{at}.{named}" if at else named, whole)
        case list() if document:
            for value in document:
                yield from paths(value, f"{at}[]", whole)
        case _:
            yield at or "(whole)", _type(document)


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "number"
        case str():
            return "text"
    return "list" if isinstance(value, list) else "object"


def table_of(documents: Sequence[Any], verb: str = "") -> dict[str, str]:
    """Keys with all types that were seen; a list or object that was empty somewhere tells nothing more."""
    types: dict[str, set[str]] = {}
    whole = APART[verb][0] if verb in APART else None
    for document in documents:
        for path, kind in paths(document, whole=whole):
            types.setdefault(path, set()).add(kind)
    longer = {p for path in types for p in above(path)}
    return {path: " or ".join(sorted(kinds)) for path, kinds in types.items() if path not in longer}


def types_of(documents: Sequence[Any], verb: str) -> dict[str, str]:
    """The same with what else a key is that was null on every example."""
    unseen = {key: kind for of, key, kind, _ in UNSEEN if of == verb}
    seen = table_of(documents, verb)
    return {key: f"null or {unseen[key]}" if key in unseen else kind for key, kind in seen.items()}


def above(path: str) -> Iterator[str]:
    """What a path goes on from.

    >>> list(above("a[].b"))
    ['a', 'a[]']
    """
    for end, letter in enumerate(path):
        if letter == "." or path[end : end + 2] == "[]":
            yield path[:end]


@cache
def _words() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Entries with the pattern of what they speak of, the one that says most first."""
    entries: dict[str, str] = tomllib.loads(WORDS.read_text("utf-8"))
    found = [(entry, _pattern(entry), text) for entry, text in entries.items()]
    return tuple(sorted(found, key=lambda x: (-x[0].count("."), ":" not in x[0], x[0].count("*"))))


def _pattern(entry: str) -> re.Pattern[str]:
    verb, _, path = entry.rpartition(":")
    parts = path.replace("[]", "").lstrip(".").split(".")
    middle = [r"[^.]+" if part == "*" else re.escape(part) for part in parts]
    if parts[-1] == "*":
        middle[-1] = ".+"
    return re.compile((re.escape(verb) if verb else "[^:]+") + r":(?:.*\.)?" + r"\.".join(middle))


def meaning(verb: str, path: str) -> tuple[str, str]:
    """The entry that tells what a key means, and its words; both "" where nothing does.

    >>> meaning("status", "age_s")
    ('status:age_s', 'since then, s')
    """
    if verb in APART and path == "(whole)":
        return "", APART[verb][1]
    verbs = [verb, *(first for first, others in _VERB_SAYS.items() if verb in others)]
    plain = path.replace("[]", "").lstrip(".")
    for entry, pattern, text in _words():
        if any(pattern.fullmatch(f"{name}:{plain}") for name in verbs):
            return entry, text
    return "", ""


def entries() -> frozenset[str]:
    """Every entry of the words."""
    return frozenset(entry for entry, _, _ in _words())


def agree(told: Mapping[str, set[str]], found: Mapping[str, set[str]]) -> bool:
    """Whether a page tells the keys that were printed. What was empty in one may have more in the other; a
    key of one alone is a difference."""
    return set(told) == set(found) and all(
        _within(told[verb], found[verb]) and _within(found[verb], told[verb]) for verb in told
    )


def _within(keys: set[str], others: set[str]) -> bool:
    """Whether each key is one of the others, goes on from one, or is gone on from."""
    shorter = {part for key in others for part in above(key)}
    return all(key in others or key in shorter or others.intersection(above(key)) for key in keys)


def told(text: str) -> dict[str, set[str]]:
    """The keys of a page, by verb."""
    return {
        part.partition("`")[0].removesuffix(" --json"): set(
            re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)
        )
        for part in text.split("\n## `hedger ")[1:]
    }


def same(old: str, new: str) -> bool:
    """Whether two versions of the page tell the same keys in the same words; types are what was seen."""
    return agree(told(old), told(new)) and _meanings(old) >= _meanings(new)


def _meanings(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^\| (`[^`]+`) \| [^|]* \| (.*) \|$", text, re.MULTILINE))


def make() -> str:
    """The page."""
    parts = [
        "With `--json` a verb prints one document on stdout. Computed values are numbers, quantities and "
        "prices that go to a venue are decimal texts; `null` is open or unknown, never zero and never "
        "infinity. NAME stands for names that a market or a desk gives, `[]` for each of a list. Keys may "
        "be added, and are only renamed or removed with a line in the change log.\n\nThe keys below were "
        "printed by the program on small examples; the types are those that were seen there, or can be "
        "elsewhere. A list or object that was empty there says no more. A unit stands at the end of a name "
        "(`_usd`, `_s`, `_ns`, `_bps`) or in the words.",
        "No document: " + "; ".join(f"`hedger {verb}`: {why}" for verb, why in NONE.items()) + ".",
    ]
    documents = printed()
    for verb in [name for name, _, _ in verbs() if name in documents]:
        found = types_of(documents[verb], verb)
        rows = [(code(path), kind, cell(meaning(verb, path)[1])) for path, kind in found.items()]
        parts.append(f"## `hedger {verb} --json`\n\n" + table(("key", "type", "what it is"), rows))
    return page("JSON documents", *parts)
