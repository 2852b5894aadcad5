"""The reference pages say what the code does: current, and complete by another way than they are made by."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.make_reference import FOLDER, PAGES
from docs.making import alerts, codes, command_line, configuration, documents
from docs.making.scanning import ROOT
from hedger.alerts.table import BY_CODE
from hedger.config import load, origins
from hedger.engine.metrics import samples_of
from hedger.engine.metrics_table import METRICS
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
        "NO_COLOR",
        "SC_PAGE_SIZE",
    ]
)
#: Pages whose making runs the program: they are compared by a test of their own.
SLOW = "reference/json.md"


@pytest.mark.parametrize("name", sorted(set(PAGES) - {SLOW}))
def test_page_is_current(name: str) -> None:
    made = PAGES[name]()
    assert (FOLDER / name).read_text("utf-8") == made, "run `python -m docs.make_reference`"


def test_documents_are_current() -> None:
    """Every key that a verb prints stands on the page, under that verb, and no other does."""
    page = (FOLDER / SLOW).read_text("utf-8")
    told = {
        part.partition("`")[0].removesuffix(" --json"): set(
            re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)
        )
        for part in page.split("\n## `hedger ")[1:]
    }
    found = {verb: set(documents.table_of(document)) for verb, document in documents.documents().items()}
    assert found == told, "run `python -m docs.make_reference`"


def test_check_says_which_page_is_old(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "docs.make_reference", "--check", "reference/limit-codes.md"]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, timeout=60).returncode == 0


_CAPITALS = re.compile(r"""f?["']([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:["']|: )""")
#: An example of a docstring: what it names is made up.
_EXAMPLE = re.compile(r"^ *>>> .*$", re.MULTILINE)


def capitals() -> dict[str, set[str]]:
    """Every word in capitals of two parts or more that stands in the source as a text, with its files."""
    found: dict[str, set[str]] = {}
    for package in ("pricing", "risk", "venues", "hedger"):
        for file in (ROOT / package).rglob("*.py"):
            for text in _CAPITALS.findall(_EXAMPLE.sub("", file.read_text("utf-8"))):
                found.setdefault(text, set()).add(file.relative_to(ROOT).as_posix())
    return found


def test_every_code_in_the_source_is_listed() -> None:
    listed = codes.every_code() | {code.name for code in Code} | set(BY_CODE)
    unknown = {code: files for code, files in capitals().items() if code not in listed | FOREIGN}
    assert not unknown, "say them as codes, or put them into FOREIGN"


def test_every_listed_code_stands_in_the_source() -> None:
    computed = {"LINK_UP", "LINK_DOWN", "LINK_DEGRADED", "HEDGE_REFUSED", "FLATTEN_REFUSED"}
    texts = "\n".join(
        file.read_text("utf-8")
        for p in ("pricing", "risk", "venues", "hedger")
        for file in (ROOT / p).rglob("*.py")
    )
    lacking = {c for c in codes.every_code() - computed if not re.search(rf"""["'`]{c}(["']|: )""", texts)}
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
        assert any(code in text for code in held), name


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
