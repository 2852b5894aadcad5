"""The command line: exit codes, what goes where, and nothing heavy imported before it is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.verbs.reading import parse_band
from pricing.errors import InputError
from risk.exposures import row_names
from tests.hedger.command_line import (
    HEADER,
    exposures,
    hedger,
    make_book,
    make_tape,
    refused,
    strict_json,
    ticket,
)
from tests.warm import command
from venues.simulated_law import SimulationSettings
from venues.tape import Tape

VERBS = (
    ("demo",), ("risk",), ("plan",), ("tape", "import"), ("tape", "info"), ("tape", "verify"),
    ("tape", "simulate"), ("config", "show"), ("config", "validate"), ("config", "schema"),
    ("study", "plans"), ("whatif",), ("pnl",), ("venues",), ("report",),
)  # fmt: skip
HEAVY = {"numpy", "scipy", "polars", "highspy", "pydantic", "rich", "ccxt", "asyncio", "pandas"}
ROWS = row_names(["BTC", "ETH"])


def process(
    *words: object, fresh: bool = False, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, "-m", "hedger") if fresh else (command(),)
    return subprocess.run([*program, *map(str, words)], capture_output=True, text=True, cwd=cwd, env=env)


# ------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("verb", [(), *VERBS], ids=" ".join)
def test_every_verb_explains_itself(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, *verb, "-h")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"usage: {' '.join(('hedger', *verb))}")
    assert "--json" in ran.out or not verb


@pytest.mark.parametrize("words", [["-h"], ["plan", "-h"], ["plan"], ["plan", "--frob"]], ids=" ".join)
def test_help_and_bad_words_import_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from hedger.cli import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0
    assert HEAVY.isdisjoint(ran.stderr.splitlines()[-1].split())


def test_no_verb_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys)
    assert ran.code == 2
    assert "usage: hedger" in ran.out


# ----------------------------------------------------------------------------------------------- usage errors


@pytest.mark.parametrize(
    "words",
    [
        ("frob",),
        ("tape",),
        ("tape", "frob"),
        ("config",),
        ("study",),
        ("plan",),
        ("plan", "--book", "b"),
        ("plan", "--book", "b", "--mark", "m"),
        ("plan", "--book", "b", "--market", "m", "--frob"),
        ("plan", "--book", "b", "--market", "m", "extra"),
        ("plan", "--book", "b", "--market", "m", "--numeraire", "EUR"),
        ("plan", "--book", "b", "--market", "m", "--at"),
        ("risk", "--book", "b", "--market", "m", "--band", "delta:BTC=-1,1/0,0"),
        ("demo", "--seed", "x"),
        ("demo", "--minutes", "1e400"),
        ("study", "plans", "t", "--every", "-1"),
    ],
    ids=" ".join,
)
def test_bad_words_are_refused_on_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, *words, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("USAGE: ") and ran.err.count("\n") == 1
    for part in ("where: hedger", "nothing was started", "fix: see `hedger"):
        assert part in ran.err
    assert "usage:" not in ran.err


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("pause", "--wait-s", "x"), ", allowed: --wait-s S: for the answer (default 10); "),
        (("plan",), ", allowed: --book BOOK: positions and balances (CSV), --market TAPE: tape folder; "),
        (("pause", "extra"), "where: hedger; "),
        (("nosuch",), ", allowed: VERB; "),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_of_what_is_allowed_stands_the_argument_s_own_rule(
    words: tuple[str, ...], allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, *words)
    assert ran.code == 2 and allowed in ran.err


def test_a_list_that_begins_with_a_minus_is_told_how_to_be_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = hedger(capsys, "whatif", "--spot", "-20,0")
    assert ran.code == 2 and ran.err.rstrip().endswith("fix: write `--spot=-20,0`")
    ran = hedger(capsys, "whatif", "--spot", "--hedged")
    assert ran.code == 2 and ran.err.rstrip().endswith("fix: see `hedger whatif --help`")


@pytest.mark.parametrize(
    "words",
    [("status",), ("orders",), ("venues",), ("kill",), ("pause",), ("run",), ("doctor",),
     ("watchdog", "--pid", "1"), ("risk",), ("whatif",), ("replay", "t", "--book", "b"),
     ("journal", "verify")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_folder_is_no_journal(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for place in (".", "/", "", ".."):
        ran = hedger(capsys, *words, "--journal", place)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"USAGE: argument --journal: '{place}' is a folder")


@pytest.mark.parametrize(
    "words",
    [("status", "--journal", "a\x1b[2Jb"), ("config", "show", "--config", "a\x1b[2Jb"), ("frob\x1b[2J\r",)],
)
def test_what_a_person_typed_steers_no_terminal(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, *words)
    assert ran.code == 2
    assert "[2J" in ran.err and ran.err.removesuffix("\n").isprintable()


def test_what_a_file_says_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    for text in ('numeraire = "\\u001b[2J\\u0007"\n', '"\\u001b[2J" = 1\n', '[venues."\\u001b[2J"]\nx = 1\n'):
        config.write_text(text)
        ran = hedger(capsys, "config", "show", "--config", config)
        assert ran.code == 2 and ran.err.removesuffix("\n").isprintable()


@pytest.mark.parametrize(
    "band",
    ["", "delta:BTC", "delta:BTC=", "delta:BTC=-1,1", "delta:BTC=-1,1/-1", "delta:BTC=-1,1/-0.5,0.5/0,0",
     "delta:BTC=1,-1/0,0", "delta:BTC=nan,1/0,0", "delta:BTC=-1,inf/0,0", "delta:BTC=-1,1e400/0,0",
     "delta:BTC=-1_0,1/0,0", "delta:BTC=-\u0661,1/0,0", "delta:BTC=-1,x/0,0", "delta:BTC=-1,1,2/0,0"],
)  # fmt: skip
def test_what_is_no_band(band: str, tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(hedger(capsys, "plan", "--book", book, "--market", tape, "--band", band), "BAND_SYNTAX")


@pytest.mark.parametrize(
    "row", ["delta:SOL", "delta", "Delta:BTC", "vega:BTC:0-8d", "\x1b[2J", "scenario:BTC"]
)
def test_rows_that_are_none(row: str, tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(
        hedger(capsys, "plan", "--book", book, "--market", tape, "--band", f"{row}=-1,1/0,0"), "BAND_ROW"
    )
    assert "delta:BTC" in said and "\x1b" not in said


def test_a_row_the_book_does_not_have(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = make_book(tmp_path / "book.csv", [("BTC", 1)])
    said = refused(
        hedger(capsys, "plan", "--book", book, "--market", tape, "--band", "delta:ETH=-1,1/-0.5,0.5"),
        "BAND_ROW",
    )
    assert "the book has no such row" in said


def test_bands_that_make_no_sense(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for band, code in (
        ("delta:BTC=-1,1/-1,0.5", "BAND_INVALID"),
        ("delta:BTC=-1,1/-2,0.5", "BAND_INVALID"),
        ("delta:BTC=1,1/1,1", "BAND_INVALID"),
        ("delta:BTC=-1,1/-0.999999999,0", "BAND_TOO_NARROW"),
    ):
        refused(hedger(capsys, "plan", "--book", book, "--market", tape, "--band", band), code)


@given(st.sampled_from(ROWS), st.lists(st.none() | st.floats(-1e9, 1e9), min_size=4, max_size=4))
def test_a_band_is_read_as_it_is_written(row: str, ends: list[float | None]) -> None:
    low, high, inner_low, inner_high = ("" if x is None else repr(x) for x in ends)
    text = f"{row}={low},{high}/{inner_low},{inner_high}"
    opened = [
        side if x is None else x
        for x, side in zip(ends, (-float("inf"), float("inf"), -float("inf"), float("inf")), strict=True)
    ]
    try:
        assert parse_band(text, ROWS) == (row, (tuple(opened[:2]), tuple(opened[2:])))
    except InputError as error:
        assert error.code == "BAND_SYNTAX"
        assert opened[0] > opened[1] or opened[2] > opened[3]


@given(st.text() | st.from_regex(r"delta:BTC=[-+.,/0-9a-z]{0,20}"))
def test_any_text_is_a_band_or_an_input_error(text: str) -> None:
    try:
        parse_band(text, ROWS)
    except InputError as error:
        assert error.code in ("BAND_SYNTAX", "BAND_ROW")
        assert "\n" not in str(error)


# ------------------------------------------------------------------------------------------------------ times


def test_the_last_batch_not_after_the_time(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batches at 12:01, 12:02 and 12:03."""
    for at, as_of in (
        ("2026-03-02T12:01:00Z", "2026-03-02T12:01:00Z"),
        ("2026-03-02T12:01:59.999999999Z", "2026-03-02T12:01:00Z"),
        ("2026-03-02T12:02", "2026-03-02T12:02:00Z"),
        ("2026-03-02T13:02:00+01:00", "2026-03-02T12:02:00Z"),
        ("1772452920000000000", "2026-03-02T12:02:00Z"),
        ("1772452919999999999", "2026-03-02T12:01:00Z"),
        ("9223372036854775807", "2026-03-02T12:03:00Z"),
        ("2027-01-01", "2026-03-02T12:03:00Z"),
    ):
        for read in (exposures, ticket):
            assert read(capsys, tape, book, "--at", at)["as_of"] == as_of
    # what a document calls its time is that time
    first = exposures(capsys, tape, book, "--at", "2026-03-02T12:01:30Z")
    assert exposures(capsys, tape, book, "--at", first["as_of"]) == first
    assert exposures(capsys, tape, book)["as_of"] == "2026-03-02T12:03:00Z"


def test_a_time_to_the_nanosecond_names_its_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = SimulationSettings(tenor_days=(25,), strikes_per_expiry=4, futures=0)
    tape = make_tape(tmp_path / "tape", chain, batches=3, seconds=1.000000001)
    book = make_book(tmp_path / "book.csv", [("BTC", 1)])
    for seconds, as_of in enumerate(("00:01.000000001Z", "00:02.000000002Z", "00:03.000000003Z"), start=1):
        for at in (f"2026-03-02T12:{as_of}", str(1_772_452_800_000_000_000 + seconds * 1_000_000_001)):
            assert exposures(capsys, tape, book, "--at", at)["as_of"] == f"2026-03-02T12:{as_of}"


@pytest.mark.parametrize(
    "at", ["2026-03-02T12:00:59.999999999Z", "1772452859999999999", "0", "1970-01-01", "0001-01-01"]
)
def test_before_the_first_batch_there_is_nothing(
    at: str, tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("risk", "plan"):
        ran = hedger(capsys, verb, "--book", book, "--market", tape, "--at", at, "--json")
        assert "2026-03-02T12:01:00" in refused(ran, "TIME_BEFORE_TAPE")


@pytest.mark.parametrize("at", ["now", "", "2026-02-30", "1e18", "9" * 5_000])
def test_what_is_no_time(at: str, tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(hedger(capsys, "plan", "--book", book, "--market", tape, "--at", at), "TIME_INVALID")


# --------------------------------------------------------------------------------- codes, streams, tracebacks


def test_a_market_that_is_none(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none", tmp_path, book):
        ran = hedger(capsys, "plan", "--book", book, "--market", path, "--json")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("TAPE_MISSING: ")


def test_a_contract_that_expired_by_then_is_refused(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = SimulationSettings(tenor_days=(1, 25), strikes_per_expiry=4, futures=0)
    long = make_tape(tmp_path / "tape", chain, batches=2, seconds=20 * 3600.0)
    symbol = next(x.symbol for x in Tape.open(long).universe.listings if "-3MAR26-" in x.symbol)
    book = make_book(tmp_path / "book.csv", [(symbol, 1), ("BTC", 1)])
    ran = hedger(capsys, "risk", "--book", book, "--market", long, "--at", "2026-03-03T08:00:00Z")
    assert symbol in refused(ran, "BOOK_EXPIRED")


def test_debug_shows_where(tmp_path: Path, tape: Path) -> None:
    words = ("plan", "--book", tmp_path / "none.csv", "--market", tape)
    plain, debug = process(*words), process(*words, "--debug")
    assert plain.returncode == 2
    assert plain.stdout == "" and "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr and "BOOK_UNREADABLE" in debug.stderr


def test_a_process_speaks_json_alone_on_stdout(tape: Path, book: Path) -> None:
    ran = process("plan", "--book", book, "--market", tape, "--json", fresh=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert strict_json(ran.stdout)["status"] == "hedge"
    bad = process("plan", "--book", tape, "--market", tape, "--json")
    assert (bad.returncode, bad.stdout) == (2, "")


def test_settings_come_from_file_environment_and_command_line(tape: Path, book: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('numeraire = "coin"\n')
    words = ("risk", "--book", book, "--market", tape, "--json")
    env = dict(os.environ)
    assert json.loads(process(*words, cwd=tmp_path, env=env).stdout)["numeraire"] == "coin"
    env["HEDGER__NUMERAIRE"] = "USD"
    assert json.loads(process(*words, cwd=tmp_path, env=env).stdout)["numeraire"] == "USD"
    ran = process(*words, "--numeraire", "coin", cwd=tmp_path, env=env)
    assert json.loads(ran.stdout)["numeraire"] == "coin"


@pytest.mark.parametrize(
    "words",
    [("risk", "--json"), ("config", "validate", "--json"), ("risk",), ("plan",), ("whatif",)],
    ids=" ".join,
)
def test_a_reader_that_goes_away_is_no_fault(words: tuple[str, ...], tape: Path, book: Path) -> None:
    """Of much output and of little, which is written last of all; of documents and of tables."""
    more = [] if words[0] == "config" else ["--book", str(book), "--market", str(tape)]
    started = [sys.executable, "-m", "hedger", *words, *more]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        assert ran.stdout is not None and ran.stderr is not None
        ran.stdout.close()
        said = ran.stderr.read()
        assert ran.wait() == 0
    assert said == b""


def test_an_interrupt_ends_orderly() -> None:
    started = [sys.executable, "-m", "hedger", "demo", "--minutes", "100000"]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        assert ran.stdout is not None and ran.stderr is not None
        ran.stdout.readline()
        ran.send_signal(signal.SIGINT)
        ran.stdout.read()
        said = ran.stderr.read()
        assert ran.wait() == 130
    assert said.startswith("INTERRUPTED: ") and "Traceback" not in said


def test_the_book_is_read_in_the_market_it_is_valued_in(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.csv"
    book.write_text(f"{HEADER}\nderibit,BTC-PERPETUAL,1,\n")
    said = refused(hedger(capsys, "risk", "--book", book, "--market", tape), "BOOK_UNKNOWN_SYMBOL")
    assert "line 2" in said and "BTC-PERPETUAL" in said
    book.write_text(f"{HEADER}\nsimulated,BTC/USD:BTC,1,\nsimulated,BTC-PERPETUAL,1,\n")
    assert "line 3" in refused(hedger(capsys, "risk", "--book", book, "--market", tape), "BOOK_DUPLICATE")
