"""Completion asked of a real shell, and its words held against the help of each verb."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from hedger.cli import build_parser, main
from hedger.completion import COINS, SHELLS, helps_of, nodes
from hedger.journal.entries import listings_entry
from hedger.journal.journal import Journal
from hedger.verbs.completion_verb import _offers
from tests.builders import NOW_NS, listing, option, perpetual
from tests.hedger.command_line import hedger
from tests.hedger.journal_words import NAME

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="bash is not here")
#: Stands for pressing tab after these words.
ASK = """
{script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
_hedger
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p hedger
"""


@cache
def script(shell: str) -> str:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["completion", shell]) == 0
    return out.getvalue()


def offered(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    assert BASH is not None
    typed = " ".join(f"'{word}'" for word in ("hedger", *words))
    asked = ASK.format(script=script("bash"), words=typed)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        [BASH, "--norc", "-c", asked], capture_output=True, text=True, check=True, env=environment
    )
    *found, bound = done.stdout.splitlines()
    assert bound == "complete -o default -F _hedger hedger" and not done.stderr
    return [word for word in found if word]


@needs_bash
def test_bash_completes_verbs_flags_and_values() -> None:
    assert offered("das") == ["dashboard"]
    assert set(offered("tape", "")) >= {"import", "info", "verify", "simulate"}
    assert offered("tape", "imp") == ["import"]
    assert offered("whatif", "--metric", "") == ["pnl", "delta", "gamma", "vega", "margin"]
    assert offered("whatif", "--metric", "v") == ["vega"]
    assert offered("demo", "--head") == ["--headless"]
    assert offered("completion", "")[:3] == ["bash", "zsh", "fish"]
    assert offered("run", "--journal", "") == []  # a file's name: the shell's own completion
    assert offered("run", "--journal", "tape", "--min") == ["--minutes"]  # a value is no verb


@needs_bash
def test_bash_completes_what_the_program_ships_a_list_of() -> None:
    assert offered("whatif", "--stress", "m") == ["march-2020", "may-2021"]
    assert {"all", "august-2024"} <= set(offered("whatif", "--stress", ""))
    assert offered("book", "fetch", "--venue", "b") == ["bybit", "binance", "binanceusdm", "binancecoinm"]
    assert offered("record", "--venue", "hyp") == ["hyperliquid"]
    assert offered("journal", "show", "--kind", "in") == ["intent"]
    assert offered("journal", "show", "--kind", "fill", "--kind", "fi") == ["fill"]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """One whose market was listed twice, the second time with SOL and without ETH."""
    path = tmp_path / "a b.journal"
    with closing(Journal.open(path, NAME)) as book:
        for seq, names in enumerate((("BTC", "ETH"), ("BTC", "SOL"))):
            found = [listing(perpetual(name), f"{name}-PERPETUAL") for name in names]
            found.append(listing(option(70_000.0, "C", 30.0), "BTC-27MAR26-70000-C"))
            book.append(listings_entry(seq, NOW_NS + seq, found))
    return path


@needs_bash
def test_coins_are_those_of_the_journal_or_of_the_settings(journal: Path, tmp_path: Path) -> None:
    of = ("flatten", "--journal", str(journal))
    assert set(offered(*of, "")) >= {"BTC", "SOL", "--reason"}
    assert offered(*of, "E") == [] and offered(*of, "S") == ["SOL"]
    for verb in ("hedge", "preview"):
        assert offered(verb, "--journal", str(journal), "S") == ["SOL"]
    assert offered("flatten", "--journal", "") == []  # a file's name
    config, none = tmp_path / "config.toml", str(tmp_path / "none.journal")
    config.write_text("[bands.DOGE]\ndelta_usd = {trigger = [-10, 10], landing = [-5, 5]}\n")
    assert offered("flatten", "--config", str(config), "--journal", none, "D") == ["DOGE"]
    assert offered("record", "--config", str(config), "--underlying", "D") == ["DOGE"]
    config.write_text("[bands")
    assert offered("flatten", "--config", str(config), "--journal", none, "D") == []


def test_the_coins_are_a_document_too(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hedger(capsys, "completion", COINS, "--journal", journal, "--json").json == {
        "coins": ["BTC", "SOL"]
    }
    assert hedger(capsys, "completion", COINS, "--journal", journal).out == "BTC\nSOL\n"


def test_every_place_with_words_of_its_own_is_one_of_the_command_line() -> None:
    verbs = build_parser()._subparsers
    assert verbs is not None
    (group,) = verbs._group_actions
    assert isinstance(group.choices, dict)
    places: dict[str, tuple[str, ...]] = {}
    for node in nodes(group.choices, helps_of(group), _offers()):
        places |= {f"{node.key} {flag}": words for flag, words in node.choices}
        places |= {node.key: (COINS,)} if node.coins else {}
    assert {place: tuple(words) for place, words in _offers().items()}.items() <= places.items()


def test_fish_asks_for_coins_where_they_are_wanted() -> None:
    lines = [line for line in script("fish").splitlines() if "__hedger_coins" in line and "complete" in line]
    assert all(any(verb in line for line in lines) for verb in ("preview", "hedge", "flatten"))
    assert any("record" in line and "-l underlying -x" in line for line in lines)


@needs_bash
def test_every_verb_and_flag_of_the_help_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = [verb for verb in offered("") if not verb.startswith("-")]
    assert len(verbs) > 25
    for verb in verbs:
        assert main([verb, "--help"]) == 0
        help = capsys.readouterr().out
        for word in offered(verb, "-"):
            assert word in help, (verb, word)
        written = {w.strip(",[]") for w in help.split() if w.strip(",[]").startswith("--")}
        known = {w for w in written if w.replace("-", "").isalnum()}
        for word in set(offered(verb, "--")):
            assert word in known, (verb, word)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_reads_its_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not here")
    read = ["-n"] if shell != "fish" else ["--no-execute"]
    done = subprocess.run([program, *read], input=script(shell), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_fish_quotes_what_helps_say() -> None:
    text = script("fish")
    assert text.count("complete -c hedger") > 150
    for line in text.splitlines():
        if line.startswith("complete"):
            assert line.replace("\\'", "").count("'") % 2 == 0, line


def test_another_shell_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "completion", "tcsh")
    assert ran.code == 2 and "bash" in ran.err and "Traceback" not in ran.err
