"""`hedger reload` from another shell: a running engine takes a good settings file, and no bad one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pricing.errors import Exit
from tests.story.test_processes import count, engine, judged, lines, one, wait_for

BAND = '[bands."*".delta_usd]\ntarget = 0\ntrigger = [{0}, {1}]\nlanding = [{2}, {3}]\n'


def reloads(journal: Path) -> list[dict[str, Any]]:
    """The decisions that a `reload` made, in order."""
    text, _ = lines(journal)
    documents = [json.loads(line) for line in text]
    commands = [d for d in documents if d["kind"] == "command"]
    seqs = {d["seq"] for d in commands if d["body"]["what"]["verb"] == "reload"}
    return [d["body"]["document"] for d in documents if d["kind"] == "decision" and d["seq"] in seqs]


def told(decision: dict[str, Any]) -> set[str]:
    return {str(action["code"]) for action in decision["actions"] if "code" in action}


def test_a_running_engine_takes_a_good_file_and_no_bad_one(tmp_path: Path) -> None:
    journal, config = tmp_path / "j", tmp_path / "config.toml"
    config.write_text(BAND.format(-50_000, 50_000, -20_000, 20_000))
    more = ("--config", str(config))
    with engine(journal, "--no-watchdog", *more) as process:
        wait_for(lambda: count(journal, "decision") >= 1)

        config.write_text(BAND.format(-40_000, 40_000, -10_000, 10_000))
        good = one(journal, "reload", *more, "--reason", "tighter", "--json")
        assert good.returncode == Exit.DONE, good.stderr
        assert json.loads(good.stdout)["taken"] is True
        (first,) = reloads(journal)
        assert told(first) == {"RELOADED"} and "40000" in first["reason"].replace("_", "").replace(",", "")

        config.write_text('numeraire = "coin"\n' + BAND.format(-30_000, 30_000, -10_000, 10_000))
        restart = one(journal, "reload", *more)  # a good file, and a key that only a restart may change
        assert restart.returncode == Exit.REFUSED and "Traceback" not in restart.stderr
        assert told(reloads(journal)[1]) == {"RELOAD_REFUSED"}

        commands = count(journal, "command")
        for bad in (BAND.format(5, 1, 2, 3), '[bands."*"', "no_such_key = 1\n"):
            config.write_text(bad)
            refused = one(journal, "reload", *more)
            assert refused.returncode == Exit.INVALID and refused.stdout == ""
            assert refused.stderr.split(":")[0].isupper() and "Traceback" not in refused.stderr
        config.unlink()
        assert one(journal, "reload", *more).returncode == Exit.INVALID
        assert count(journal, "command") == commands  # nothing of it was even asked
        assert process.poll() is None
        decisions = count(journal, "decision")
        wait_for(lambda: count(journal, "decision") > decisions)
    assert judged(journal) == []
