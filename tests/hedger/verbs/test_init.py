"""`hedger init` by flags, over a pseudo-terminal and over a pipe that ends: what it writes and what not."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from hedger.config import load
from hedger.limits_file import load_limits
from hedger.runs.agreement import agreed
from hedger.verbs import init_files
from hedger.verbs.init_files import Answers, config_text, limits_text, questions, references
from pricing.errors import Exit
from tests.hedger.command_line import Ran, hedger, strict_json
from tests.warm import command

PATIENCE_S = 60.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, with nothing in it."""
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def piped(folder: Path, text: str, *more: str) -> Ran:
    """Answers over a pipe that ends."""
    done = subprocess.run(
        [command(), "init", *more], input=text, capture_output=True, text=True, cwd=folder, timeout=PATIENCE_S
    )
    assert "Traceback" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def test_flags_alone_write_both_files_and_the_doctor_looks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--underlyings", "eth", "--band-usd", "75,000", "--order-usd-max", "40000", "--defaults")
    ran = hedger(capsys, "init", *flags)
    assert ran.code == Exit.DONE, ran.out + ran.err
    found = tomllib.loads((folder / "config.toml").read_text())
    assert found["run"] == {"mode": "paper", "feed": [], "underlyings": ["ETH"]}
    band = found["bands"]["*"]["delta_usd"]
    assert (band["trigger"], band["landing"]) == ([-75000, 75000], [-37500, 37500])
    limits = tomllib.loads((folder / "limits.toml").read_text())
    assert limits == {"order": {"notional_usd_max": 40000}}
    assert load_limits(folder / "limits.toml").limits.order.notional_usd_max == 40000.0
    assert "PAPER" in ran.out and "hedger run" in ran.out and "configuration" in ran.out
    assert "bad" not in ran.out
    assert {p.name for p in folder.iterdir()} == {"config.toml", "limits.toml"}
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}


def test_json_is_one_document_and_says_what_is_next(folder: Path) -> None:
    ran = piped(folder, "", "--defaults", "--json", "--venue", "deribit")
    assert ran.code == Exit.DONE
    document = strict_json(ran.out)
    assert (document["mode"], document["bad"]) == ("paper", [])
    assert any("hedger run" in line for line in document["next"])
    text = (folder / "config.toml").read_text()
    assert "venues" not in tomllib.loads(text) and "# [venues.deribit]" in text
    assert load(folder / "config.toml").settings.run.feed == ("deribit",)


def test_over_a_terminal_bad_answers_are_asked_again(folder: Path) -> None:
    """What is typed at a terminal: every question once wrong where it can be."""
    typed = [
        "mtgox", "deribit", "b t c", "btc,eth", "demo", "live", "none", "sk_live_4711", "env:DESK",
        "-5", "50000", "1", "",
    ]  # fmt: skip
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [command(), "init", "--json"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=folder
    )
    os.close(theirs)
    heard, end = "", time.monotonic() + PATIENCE_S
    waiting = list(typed)
    while process.poll() is None and time.monotonic() < end:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            heard += os.read(ours, 65536).decode()
        except OSError:
            break
        if waiting and heard.rstrip().endswith("]:"):
            os.write(ours, f"{waiting.pop(0)}\n".encode())
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    process.wait(PATIENCE_S)
    os.close(ours)
    assert not waiting, heard
    assert heard.count("allowed:") == 7
    assert "one of simulated, deribit" in heard and "one of paper, live" in heard
    assert heard.count("[250000]:") == 2 and "live needs keys" in heard
    assert process.returncode == Exit.NEGATIVE  # no such keys on this machine: the doctor says so
    assert json.loads(out)["mode"] == "live"
    found = tomllib.loads((folder / "config.toml").read_text())
    assert found["venues"] == {
        "deribit": {"key": "env:DESK_KEY", "secret": "env:DESK_SECRET", "sandbox": False}
    }
    assert found["run"] == {"mode": "live", "feed": ["deribit"], "underlyings": ["BTC", "ETH"]}
    assert "sk_live_4711" not in (folder / "config.toml").read_text() + out.decode()


@pytest.mark.parametrize("answers", ["", "deribit\nBTC\npaper\n100000\n"])
def test_the_end_of_the_answers_writes_nothing(folder: Path, answers: str) -> None:
    ran = piped(folder, answers)
    assert ran.code == Exit.INVALID and "INIT_UNANSWERED" in ran.err and not ran.out
    assert not list(folder.iterdir())


def test_a_file_that_is_there_is_asked_about_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = folder / "limits.toml"
    old.write_text("# mine\n")
    refused = [piped(folder, "\n"), piped(folder, ""), hedger(capsys, "init", "--defaults")]
    for ran, code in zip(refused, ("INIT_EXISTS", "INIT_UNANSWERED", "INIT_EXISTS"), strict=True):
        assert ran.code == Exit.INVALID and not ran.out and code in ran.err
        assert old.read_text() == "# mine\n" and [p.name for p in folder.iterdir()] == ["limits.toml"]
    assert piped(folder, "yes\n\n\n\n\n").code == Exit.DONE
    assert "mine" not in old.read_text()
    assert hedger(capsys, "init", "--defaults", "--force").code == Exit.DONE


@pytest.mark.parametrize(
    ("typed", "keys"),
    [("yes\nokx\nETH\npaper\n5000\n6000\n", None), ("yes\nokx\nETH\nlive\n5000\n6000\n", "env:OKX_KEY")],
)
def test_both_files_are_one_question_and_six_are_asked_in_all(
    folder: Path, typed: str, keys: str | None
) -> None:
    """Six lines are all that is typed; a seventh question would end with INIT_UNANSWERED."""
    for name in ("config.toml", "limits.toml"):
        (folder / name).write_text("# mine\n")
    ran = piped(folder, typed, "--json")
    assert "config.toml and limits.toml are there already; replace both?" in ran.err
    assert ran.err.count("]: ") == 6 and "where the keys lie" not in ran.err
    assert ("keys: env:OKX; --key names another place" in ran.err) == (keys is not None)
    found = tomllib.loads((folder / "config.toml").read_text())
    assert found.get("venues", {}).get("okx", {}).get("key") == keys
    assert found["run"]["underlyings"] == ["ETH"]
    assert tomllib.loads((folder / "limits.toml").read_text())["order"]["notional_usd_max"] == 6000


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--venue", "mtgox"), "INIT_ANSWER"),
        (("--band-usd", "nan"), "INIT_ANSWER"),
        (("--order-usd-max", "1e400"), "INIT_ANSWER"),
        (("--underlyings", ","), "INIT_ANSWER"),
        (("--underlyings", "SOL"), "INIT_ANSWER"),
        (("--mode", "live"), "INIT_NEEDLESS"),
        (("--venue", "deribit", "--key", "4711secret"), "INIT_ANSWER"),
        (("--venue", "deribit", "--mode", "live", "--key", "none"), "INIT_ANSWER"),
        (("--out", "no/such/config.toml"), "INIT_PLACE"),
    ],
)
def test_what_will_not_do_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], code: str
) -> None:
    ran = hedger(capsys, "init", "--defaults", *flags)
    assert ran.code == Exit.INVALID and ran.err.startswith(code), ran.err
    assert "4711" not in ran.err + ran.out
    assert not list(folder.iterdir())


@pytest.mark.parametrize("out", [".", "/", "..", ""])
def test_a_folder_is_no_file_to_write(folder: Path, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "init", "--defaults", "--force", "--out", out)
    assert (ran.code, ran.err.partition(":")[0]) == (2, "INIT_PLACE")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("venue", ["simulated", "deribit", "okx", "bybit", "binance", "hyperliquid"])
def test_at_most_six_questions_and_what_is_written_is_read(folder: Path, venue: str) -> None:
    for mode in ("paper", "live"):
        for replacing in (False, True):
            left = questions(
                ("deribit", "okx", "bybit", "binance", "hyperliquid"),
                {"venue": venue, "mode": mode},
                replacing=replacing,
            )
            assert sum(question.asked for question in left) + 2 + replacing <= 6
    answers = Answers(venue=venue, mode="paper" if venue == "simulated" else "live", key="keyring:desk")
    (folder / "limits.toml").write_text(limits_text(answers))
    (folder / "config.toml").write_text(config_text(answers, "limits.toml"))
    loaded = load(folder / "config.toml")
    agreed(loaded.settings, load_limits(folder / "limits.toml"), loaded.origin)
    assert set(loaded.settings.venues) == ({venue} - {"simulated"})
    assert all(len(line) <= 110 for line in config_text(answers, "limits.toml").splitlines())


def test_the_secrets_of_a_venue_are_those_that_its_adapter_signs_with() -> None:
    from hedger.runs import venue_setup

    assert init_files._SECRETS == venue_setup._SECRETS
    assert references("okx", "file:~/keys/") == {
        "key": "file:~/keys/key", "secret": "file:~/keys/secret", "passphrase": "file:~/keys/passphrase",
    }  # fmt: skip
