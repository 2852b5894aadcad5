"""The verbs that leave a command for an engine: what they print, exit codes, no traceback."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hedger.cli import build_parser
from hedger.core.events import Verb
from hedger.dashboard.keys import ACTIONS
from hedger.journal.acknowledged import acknowledged, place_of
from hedger.journal.commands_file import commands_path
from hedger.journal.recovery import recover
from hedger.journal.sqlite import read_sqlite
from hedger.journal.user import user_name
from tests.hedger.command_line import hedger, strict_json
from tests.hedger.dashboard.made import Recorded
from tests.hedger.verbs.steered import answering, engine


@pytest.mark.parametrize("verb", ["pause", "resume", "reduce", "hedge", "flatten"])
def test_a_command_is_done_when_the_journal_has_it(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["BTC"] if verb in ("hedge", "flatten") else []
    with engine(file) as taken:
        ran = hedger(capsys, verb, *words, "--reason", "lunch", "--json")
    document = strict_json(ran.out)
    assert (ran.code, document["taken"], document["seq"]) == (0, True, 14)
    assert [(c.verb, c.reason, c.argument, c.id) for c in taken] == [
        (verb, "lunch", "".join(words), document["id"])
    ]
    storage = read_sqlite(file)
    assert document["id"] in recover(storage).commands
    storage.close()


@pytest.mark.parametrize("arms", [True, False])
def test_arm_is_done_when_the_engine_is_armed(
    arms: bool, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file, arms=arms):
        ran = hedger(capsys, "arm", "--json")
        status = strict_json(hedger(capsys, "status", "--json").out)
    assert (ran.code, strict_json(ran.out)["taken"]) == (0 if arms else 3, True)
    assert (status["running"], status["pid"]) == (True, os.getpid())
    assert status["mode"] == strict_json(ran.out)["mode"] == ("armed" if arms else "observe")


def test_arm_accept_is_a_person_s_word_with_its_reason(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file) as taken:
        without = hedger(capsys, "arm", "--accept")
        assert (without.code, taken) == (2, []) and without.err.startswith("REASON_NEEDED")
        ran = hedger(capsys, "arm", "--accept", "--reason", "sold 5 by hand", "--json")
    assert ran.code == 0
    assert [(c.verb, c.argument, c.reason) for c in taken] == [(Verb.ARM, "accept", "sold 5 by hand")]


def test_a_band_is_set_and_given_back_with_a_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = "delta:BTC=-2,2/-1,1"
    with engine(file) as taken:
        assert hedger(capsys, "bands", wish).code == 2  # without a reason
        assert hedger(capsys, "bands", wish, "--reason", "calm week", "--json").code == 0
        assert hedger(capsys, "bands", "delta:BTC=", "--reason", "over", "--json").code == 0
    assert [(c.verb, c.argument, c.reason) for c in taken] == [
        (Verb.BANDS, wish, "calm week"),
        (Verb.BANDS, "delta:BTC=", "over"),
    ]


def test_an_engine_that_does_not_answer(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file, answers=False):
        ran = hedger(capsys, "pause", "--wait-s", "0.1", "--json")
    assert (ran.code, strict_json(ran.out)["taken"]) == (1, False)


@pytest.mark.parametrize("verb", ["arm", "reduce", "pause", "resume", "preview", "hedge", "flatten"])
def test_without_an_engine_nothing_is_left_for_a_later_one(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, verb)
    assert (ran.code, ran.out) == (3, "") and ran.err.startswith("ENGINE_ABSENT")
    assert not commands_path(file).exists()


@pytest.mark.parametrize("reason", ["x" * 501, "two\nlines", "\x1b[2J"])
def test_texts_that_do_not_fit(reason: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file):
        ran = hedger(capsys, "pause", "--reason", reason)
    assert ran.code == 2 and ran.err.startswith("COMMAND_TEXT")


#: What of the keys that steer has another name in a shell.
NAMED = {"send": ("hedge",), "acknowledge": ("alerts", "--seen", "1", "0"), "preview": ("preview",)}
WORDS = {"bands": ("delta:BTC=", "--reason", "over"), "flatten": ("BTC",)}


@pytest.mark.parametrize("action", [action.name for action in ACTIONS if action.control])
def test_every_key_that_steers_is_a_verb_too(action: str) -> None:
    words = NAMED.get(action, (action, *WORDS.get(action, ())))
    arguments = build_parser().parse_args([*words, "--json"])
    assert arguments.json and (action == "acknowledge" or arguments.wish == words[0])
    assert action == "acknowledge" or Verb(arguments.wish)


@pytest.mark.parametrize(
    ("words", "argument"), [((), ""), (("BTC",), "BTC"), (("BTC", "--flatten"), "flatten BTC")]
)
def test_a_preview_waits_for_the_engine_and_prints_its_answer(
    words: tuple[str, ...], argument: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(tmp_path / "hedger.journal") as taken:
        ran = hedger(capsys, "preview", *words, "--json")
        text = hedger(capsys, "preview", *words).out
    assert [(c.verb, c.argument) for c, _ in taken] == [(Verb.PREVIEW, argument)] * 2
    shown, told = ran.json["preview"], taken[0][1].preview
    assert (ran.code, ran.json["taken"], ran.json["refused"]) == (0, True, None)
    assert told is not None and told.ticket is not None
    assert shown["scope"] == argument and shown["against"] == "the engine only observes"
    assert [leg["symbol"] for leg in shown["ticket"]["legs"]] == [leg.symbol for leg in told.ticket.legs]
    (leg,) = told.ticket.legs
    assert ran.json["notional_usd"] == pytest.approx(
        float(leg.quantity)
    )  # an inverse perpetual counts in USD
    assert text.startswith("IT WOULD NOT LEAVE: the engine only observes") and leg.symbol in text


@pytest.mark.parametrize("words", [("hedge",), ("flatten",), ("preview",), ("preview", "--flatten")])
def test_a_coin_that_the_market_does_not_have_is_refused_before_anything_is_sent(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(tmp_path / "hedger.journal") as taken:
        ran = hedger(capsys, *words, "DOGE")
        again = hedger(capsys, *words, "btc")
    assert (ran.code, again.code, ran.out, taken) == (2, 2, "", [])
    assert ran.err.startswith("COIN_UNKNOWN") and "allowed: BTC, ETH; nothing was sent" in ran.err


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize(
    "words", [("flatten",), ("hedge",), ("preview",), ("preview", "--flatten"), ("bands", "--reason", "x")]
)
def test_a_variable_that_is_not_set_is_no_word_for_everything(
    words: tuple[str, ...], blank: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file) as taken:
        ran = hedger(capsys, *words, blank)
    assert (ran.code, ran.out, taken) == (2, "", []) and ran.err.startswith("USAGE: argument ")


@pytest.mark.parametrize(
    "wish",
    ["delta:BTC=nan,1/0,0", "=5,1/2,3", "delta:BTC=1e400,1/0,0", "delta:BTC=-1,1/-2,2", "delta:BTC", "d= "],
)
def test_a_band_that_is_none_is_refused_before_it_is_sent(
    wish: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file) as taken:
        ran = hedger(capsys, "bands", wish, "--reason", "x")
    assert (ran.code, ran.out, taken) == (2, "", [])
    assert repr(wish) in ran.err and "for example delta:BTC=-1.5,1.5/-0.7,0.7" in ran.err


def test_what_trades_is_asked_for_as_long_as_the_verb_waits(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file) as taken:
        before_ns = time.time_ns()
        for words in (("hedge", "--wait-s", "7"), ("hedge",), ("hedge", "--wait-s", "0"), ("reduce",)):
            hedger(capsys, *words)
        until_s = time.monotonic() + 30.0
        while len(taken) < 4 and time.monotonic() < until_s:  # the third has not waited
            time.sleep(0.01)  # a thread takes them: nothing tells of it
        after_ns = time.time_ns()
    assert len(taken) == 4
    for command, seconds in zip(taken, (7, 10, 10), strict=False):
        assert command.not_after_ns is not None
        assert before_ns <= command.not_after_ns - seconds * 10**9 <= after_ns
    assert taken[3].not_after_ns is None


def test_a_verb_that_gave_up_says_what_becomes_of_its_command(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file, answers=False):
        hedge, pause = (hedger(capsys, verb, "--wait-s", "0.01").out for verb in ("hedge", "pause"))
    assert hedge.endswith("within 0.01 s; taken later it is refused (COMMAND_LATE)\n")
    assert pause.endswith("within 0.01 s; it stays asked for\n")


def test_a_command_that_is_taken_late_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The engine's own time is of another day than the verb's: what was sent today is late in ten years."""
    with answering(tmp_path / "hedger.journal", ahead_ns=10 * 365 * 86_400 * 10**9) as taken:
        ran = hedger(capsys, "flatten", "--json")
    assert (ran.code, ran.json["refused"]["code"]) == (3, "COMMAND_LATE")
    assert "nothing was done; send it again" in ran.json["refused"]["text"]
    assert taken[0][1].orders == ()


def test_a_hedge_that_is_refused_and_a_reduce_before_the_account_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(tmp_path / "hedger.journal", read=False) as taken:
        hedge = hedger(capsys, "hedge", "BTC", "--json")
        reduce = hedger(capsys, "reduce", "--reason", "thin", "--json")
    assert [(c.verb, c.argument, c.reason) for c, _ in taken] == [
        (Verb.HEDGE, "BTC", ""),
        (Verb.REDUCE, "", "thin"),
    ]
    assert (hedge.code, hedge.json["refused"]["code"]) == (3, "HEDGE_REFUSED")
    assert (reduce.code, reduce.json["refused"]["code"]) == (3, "ARM_REFUSED")


def test_an_alert_is_noted_as_seen_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "hedger.journal")
    rig.mark()
    rig.command(Verb.HEDGE)
    rig.journal.close()
    (alert,) = (
        x for x in hedger(capsys, "alerts", "--told", "--json").json["alerts"] if x["code"] == "HEDGE_REFUSED"
    )
    which = (str(alert["record"]), str(alert["place"]))
    assert f"[{' '.join(which)}]" in hedger(capsys, "alerts", "--told").out
    ran = hedger(capsys, "alerts", "--seen", *which, "--json")
    assert (ran.code, ran.json["code"], ran.json["seen_by"]) == (0, "HEDGE_REFUSED", user_name())
    assert list(acknowledged(rig.path)) == [(alert["record"], alert["place"])]
    assert hedger(capsys, "alerts", "--seen", *which).code == 0
    assert len(place_of(rig.path).read_text().splitlines()) == 1
    unknown = hedger(capsys, "alerts", "--seen", "99999", "0")
    assert (unknown.code, unknown.out) == (2, "") and unknown.err.startswith("ALERT_UNKNOWN")
