"""The reference pages say what the code does: current, and complete by another way than they are made by."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

from docs import make_reference
from docs.make_reference import FOLDER, PAGES
from docs.making import alerts, codes, command_line, configuration, documents, printed
from docs.making.scanning import PACKAGES, ROOT, error_classes, trees
from hedger.config import load, origins
from hedger.core.actions import Severity
from hedger.desk.alert_kinds import BY_CODE
from hedger.engine.metrics import samples_of
from hedger.engine.metrics_table import METRICS
from pricing.errors import Exit, HedgerError
from risk.limit_codes import Code
from tests.hedger.rig import Rig

#: Words in capitals that are no codes of ours: of venues, of the operating system, of SQL.
FOREIGN = frozenset(
    [
        "CURRENT_QUARTER",
        "NEXT_QUARTER",
        "EXPIRED_IN_MATCH",
        "EXPIRE_TAKER",
        "LIMIT_MAKER",
        "LOT_SIZE",
        "PRICE_FILTER",
        "BTCUSD_PERP",
        "ORDER_TRADE_UPDATE",
        "PARTIALLY_FILLED",
        "PENDING_CANCEL",
        "PENDING_NEW",
        "COMMAND_RESP",
        "REGULAR_MARGIN",
        "PORTFOLIO_MARGIN",
        "NO_COLOR",
        "SC_PAGE_SIZE",
    ]
)
#: Words of one part that a call begins with and that are no codes: of SQL, of environments, of venues, of
#: what a screen shows.
FOREIGN_FIRST = frozenset(
    ["BEGIN", "COMMIT", "ROLLBACK", "TERM", "COLUMNS", "BUGS", "TRIALS", "USDT", "EXPIRED", "WARNING",
     "PAPER", "KILL", "HALTED", "UNEXPLAINED"]
)  # fmt: skip
#: Texts of the venues' package of two words and more that no order carries: kinds of contracts, events.
NO_ORDER_WORDS = frozenset(
    ["linear_future", "linear_option", "linear_perpetual", "inverse_future", "inverse_perpetual",
     "inverse_option", "inverse_weekly_future", "dead_man", "amend_received", "cancel_received", "feed_gap",
     "second_order", "no_snapshot", "listing_unread"]
)  # fmt: skip
#: Pages whose making runs the program: they are compared by a test of their own.
SLOW = "reference/json.md"


@pytest.mark.parametrize("name", sorted(set(PAGES) - {SLOW}))
def test_page_is_current(name: str) -> None:
    made = PAGES[name]()
    assert (FOLDER / name).read_text("utf-8") == made, "run `python -m docs.make_reference`"


@pytest.fixture(scope="module")
def given() -> printed.Documents:
    """What every verb prints."""
    return printed.printed()


@pytest.fixture(scope="module")
def found(given: printed.Documents) -> dict[str, set[str]]:
    """The keys of it, by the verb."""
    return {verb: set(documents.table_of(made, verb)) for verb, made in given.items()}


def test_documents_are_current(found: dict[str, set[str]]) -> None:
    """Every key that a verb prints stands on the page, under that verb, and no other does."""
    told = documents.told((FOLDER / SLOW).read_text("utf-8"))
    assert set(told) == set(found)
    for verb, keys in found.items():
        assert documents.agree({verb: told[verb]}, {verb: keys}), (verb, keys ^ told[verb])


def test_every_verb_with_json_has_its_document(found: dict[str, set[str]]) -> None:
    with_json = {
        name
        for name, _, parser in command_line.verbs()
        if any("--json" in action.option_strings for action in parser._actions)
    }
    assert with_json - set(printed.NONE) == set(found)
    assert all(len(why) > 10 for why in printed.NONE.values())


def test_every_key_has_a_type_and_only_what_no_example_shows_has_it_by_hand(
    given: printed.Documents,
) -> None:
    seen = {(verb, key): kind for verb, made in given.items()
            for key, kind in documents.table_of(made, verb).items()}  # fmt: skip
    by_hand = {(verb, key): kind for verb, key, kind, why in documents.UNSEEN if why}
    empty = {tuple(name.split(":")) for name, why in documents.EMPTY.items() if why}
    null = {at for at, kind in seen.items() if kind == "null"}
    assert null - by_hand.keys() - empty == set(), "run it in printed.py, or say it in UNSEEN"
    # an entry that a run shows by now has to go; a longer run may show what a short one does not
    assert all(seen[at] in ("null", kind, f"null or {kind}") for at, kind in by_hand.items())
    assert {at for at in by_hand if at[0] != "run"} | empty <= null
    page = (FOLDER / SLOW).read_text("utf-8")
    assert len(re.findall(r"^\| `[^`]+` \| null \|", page, re.MULTILINE)) == len(empty) < 5


def test_what_scripts_read_of_a_refusal_and_of_rows_outside_stands_on_the_page() -> None:
    told = documents.told((FOLDER / SLOW).read_text("utf-8"))
    assert all(
        {"refused.code", "refused.text"} <= told[verb] for verb in ("arm", "flatten", "bands", "reload")
    )
    assert {"outside.rows[]", "outside.why", "outside.since_ns", "lifted.user"} <= told["status"]


def test_every_key_says_what_it_is() -> None:
    told = documents.told((FOLDER / SLOW).read_text("utf-8"))
    bare = {
        f"{verb}:{key}" for verb, keys in told.items() for key in keys if not documents.meaning(verb, key)[1]
    }
    assert not bare, "say what they are in docs/making/json_words.toml"


def test_every_word_is_of_a_key() -> None:
    """NAME may be of an object that was empty when the page was made."""
    told = documents.told((FOLDER / SLOW).read_text("utf-8"))
    every = {(verb, key) for verb, keys in told.items() for key in keys}
    every |= {(verb, part) for verb, key in every for part in documents.above(key)}
    every |= {(verb, f"{key}.NAME") for verb, key in every}
    assert documents.entries() <= {documents.meaning(verb, key)[0] for verb, key in every}


def test_a_key_too_few_or_too_many_is_found_and_an_empty_list_is_not() -> None:
    told = {"status": {"mode", "orders[].id", "pid"}}
    assert documents.agree(told, {"status": {"mode", "orders", "pid"}})
    assert documents.agree({"status": {"mode", "orders", "pid"}}, told)
    for keys in (
        {"mode", "orders[].id"},
        {"mode", "orders[].id", "pid", "new"},
        {"mode", "orders[].side", "pid"},
    ):
        assert not documents.agree(told, {"status": keys})
    assert not documents.agree(told, {"status": told["status"], "orders": {"orders"}})


def test_check_says_which_page_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "reference/limit-codes.md"
    (tmp_path / page).parent.mkdir()
    (tmp_path / page).write_text((FOLDER / page).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(make_reference, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_reference", "--check", page])
    assert (make_reference.main(), capsys.readouterr().err) == (0, "every page is current\n")
    (tmp_path / page).write_text("old", "utf-8")
    assert (make_reference.main(), capsys.readouterr().err) == (1, f"{page}\n")
    assert (tmp_path / page).read_text("utf-8") == "old"


_CAPITALS = re.compile(r"""f?["']([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:["']|: )""")
#: A word of one part is one where a call begins with it, alone or at the head of a message.
_FIRST = re.compile(r"""\w\(\s*f?["']([A-Z][A-Z0-9]{3,})(?:["']|: )""")
#: An example of a docstring: what it names is made up.
_EXAMPLE = re.compile(r"^ *>>> .*$", re.MULTILINE)


def capitals() -> dict[str, set[str]]:
    """Every word in capitals that may be a code, with the files that it stands in as a text."""
    found: dict[str, set[str]] = {}
    for package in ("pricing", "risk", "venues", "hedger"):
        for file in (ROOT / package).rglob("*.py"):
            source = _EXAMPLE.sub("", file.read_text("utf-8"))
            for text in _CAPITALS.findall(source) + _FIRST.findall(source):
                found.setdefault(text, set()).add(file.relative_to(ROOT).as_posix())
    return found


def test_every_code_in_the_source_is_listed() -> None:
    listed = codes.every_code() | {code.name for code in Code} | set(BY_CODE)
    listed |= FOREIGN | FOREIGN_FIRST
    unknown = {code: files for code, files in capitals().items() if code not in listed}
    assert not unknown, "say them as codes, or put them into FOREIGN"
    page = (FOLDER / "reference/error-codes.md").read_text("utf-8")
    assert {"UNTRADABLE", "REDUCING", "PROBLEM"} <= set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))


def test_every_word_that_an_order_can_carry_is_listed() -> None:
    """What adapters and paper put into `code`, by the texts of the venues' own package."""
    source = "\n".join(file.read_text("utf-8") for file in (ROOT / "venues").rglob("*.py"))
    said = set(re.findall(r"""^ *(?:[A-Z_]+) = "([a-z]+(?:_[a-z]+)+)"$""", source, re.MULTILINE))
    assert {"outside_price_band", "already_done", "timed_out"} <= said
    page = (FOLDER / "reference/error-codes.md").read_text("utf-8")
    lacking = {word for word in said if f"`{word}`" not in page}
    assert lacking <= NO_ORDER_WORDS, lacking - NO_ORDER_WORDS


def section(title: str) -> str:
    """A part of the page of codes, by its heading."""
    page = (FOLDER / "reference/error-codes.md").read_text("utf-8")
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_word_beside_an_order_says_what_it_means() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Words beside an order"), re.MULTILINE))
    assert set(rows) == set(codes.order_words()) == set(codes.words()["orders"])
    assert all(len(text.split()) > 3 for text in rows.values()), rows


def test_what_the_python_interface_alone_says_stands_apart_and_in_sentences() -> None:
    """By the source: codes of one word at the head of a ValueError, and one of two words."""
    found = {
        code
        for file in (ROOT / "hedger").rglob("*.py")
        for code in re.findall(r"""raise ValueError\(\s*f?"([A-Z]{4,}): """, file.read_text("utf-8"))
    }
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Of the Python interface alone"), re.MULTILINE)
    )
    assert {"LADDER", "RISK", "PATHS", "PROBLEM"} <= found
    assert set(rows) == found | {"BAND", "EXTRA_ROWS"}
    assert not any(".." in text for text in rows.values())
    assert not set(re.findall(r"^\| `(\w+)`", section("Errors"), re.MULTILINE)) & set(rows)


def test_no_row_says_its_code_or_itself_again() -> None:
    page = (FOLDER / "reference/error-codes.md").read_text("utf-8")
    for code, text in re.findall(r"^\| `([A-Z_]+)` \|.* \| (.*) \|$", page, re.MULTILINE):
        parts = text.split("; ")
        assert f"{code}: " not in text and len(parts) == len(set(parts)), (code, text)


def test_every_listed_code_stands_in_the_source() -> None:
    computed = {"LINK_UP", "LINK_DOWN", "LINK_DEGRADED", "HEDGE_REFUSED", "FLATTEN_REFUSED"}
    texts = "\n".join(
        file.read_text("utf-8")
        for p in ("pricing", "risk", "venues", "hedger")
        for file in (ROOT / p).rglob("*.py")
    )
    standing = set(re.findall(r"""(?<=["'`])[A-Z][A-Z0-9_]*(?=["']|: )""", texts))
    lacking = codes.every_code() - computed - standing
    assert lacking <= {"HEDGE_INCOMPLETE"}


def test_every_alert_of_the_engine_has_its_lines() -> None:
    told = {said.code for said in codes.alerts()}
    assert told
    assert told <= set(BY_CODE)
    page = (FOLDER / "runbook/index.md").read_text("utf-8")
    assert all(f"`{code}`" in page for code in BY_CODE)


def test_steps_are_of_alerts_and_their_pages_name_them() -> None:
    for name, held in alerts.STEPS.items():
        text = (FOLDER / f"runbook/{name}.md").read_text("utf-8")
        assert set(held) <= set(BY_CODE), name
        assert all(f"`{code}`" in text for code in held), (name, [x for x in held if f"`{x}`" not in text])


def test_every_critical_alert_has_its_steps() -> None:
    """And a page is of no alert twice; every page of the runbook is of some alert."""
    grave = {kind.code for kind in BY_CODE.values() if kind.severity is Severity.CRITICAL}
    assert {code for code in grave if not alerts.steps_of(code)} == set()
    every = [code for held in alerts.STEPS.values() for code in held]
    assert len(every) == len(set(every))
    pages = {page.stem for page in (FOLDER / "runbook").glob("*.md")} - {"index"}
    assert pages == set(alerts.STEPS)


def test_the_readme_tells_every_exit_code() -> None:
    text = (ROOT / "README.md").read_text("utf-8").partition("Exit codes: ")[2].partition("Errors are")[0]
    assert set(map(int, re.findall(r"\b\d+\b", text))) == {int(x) for x in codes.EXITS} == set(map(int, Exit))


def test_every_error_class_leaves_with_the_exit_that_the_page_tells() -> None:
    """By the classes themselves, every module of the program imported."""
    for file in trees():
        importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    found, todo = {}, [HedgerError]
    while todo:
        todo += (one := todo.pop()).__subclasses__()
        if one.__module__.partition(".")[0] in PACKAGES:
            found[one.__name__] = int(one.exit_code)
    assert len(found) > 20
    assert found == {name: code for name, code in error_classes().items() if name in found}


def test_every_verb_has_its_exit_codes() -> None:
    names = [name for name, _, _ in command_line.verbs()]
    assert sorted(names) == sorted(command_line.EXITS)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for name, _, _ in command_line.verbs()])
def test_direct_exits_of_a_verb_are_told(name: str) -> None:
    """What a verb's own function returns besides DONE stands in the table."""
    parser = next(p for n, _, p in command_line.verbs() if n == name)
    function = parser.get_default("verb")
    tree = ast.parse((ROOT / (function.__module__.replace(".", "/") + ".py")).read_text("utf-8"))
    (body,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function.__name__)
    numbers = {"NEGATIVE": "1", "REFUSED": "3", "UNAVAILABLE": "4", "UNRECONCILED": "5"}
    returned = {
        numbers[node.attr]
        for statement in ast.walk(body)
        if isinstance(statement, ast.Return)
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and node.attr in numbers
    }
    assert returned <= set(re.findall(r"\b\d\b", command_line.EXITS[name]))


def test_every_flag_of_every_verb_is_told() -> None:
    page = (FOLDER / "reference/commands.md").read_text("utf-8")
    sections = {part.partition("`")[0]: part for part in page.split("\n## `hedger ")[1:]}
    for name, _, parser in command_line.verbs():
        flags = {
            flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")
        }
        common = {"--help", "--config", "--json", "--debug"}
        assert all(f"{flag}" in sections[name] for flag in flags - common), name
        assert isinstance(parser, argparse.ArgumentParser)


def test_every_setting_is_told() -> None:
    """The keys of the merged settings, as `config show` has them, are keys of the page."""
    told = {".".join(key.path) for key in configuration.all_keys()}
    generic = {re.sub(r"\bCOIN\b", "*", path) for path in told}
    for key, _, _ in origins(load(None)):
        path = re.sub(r'"', "", key)
        row = re.sub(r"^(bands\.\*)\.(?!delta_usd|vega_bucket)\w+", r"\1.ROW", path)
        known = any(
            t == row or t.startswith((f"{row}.", f"{row}[")) or row.startswith(f"{t}.") for t in generic
        )
        assert known, path


def test_every_setting_says_what_it_is() -> None:
    page = (FOLDER / "reference/configuration.md").read_text("utf-8")
    bare = [line for line in page.splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert len(bare) <= 1, bare  # the name of a scenario


def test_every_metric_of_an_engine_is_told() -> None:
    rig = Rig({"BTC-PERPETUAL": "600000"})
    rig.answer(rig.mark())
    named = {sample.name for sample in samples_of(rig.state, {"events": 1.0}, rig.now_ns)}
    assert named <= {metric.name for metric in METRICS}
