"""A sender of another build beside a running engine (F24); and the judge of it judged."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from hedger.core.events import Command, Verb
from hedger.journal.journal import open_to_read
from tests.exchanges.story.builds import BUILD, LETTERS, NAMED, on_record, what_came_of_them
from tests.exchanges.story.place_deribit import DERIBIT
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import draw
from tests.hedger.dashboard.made import Recorded


def test_an_engine_beside_another_build_takes_only_its_pause(tmp_path: Path) -> None:
    story = asyncio.run(told(draw(1, DERIBIT, ("F24",)), (DERIBIT,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0 and story.struck["F24"] > 0
    taken = {id.rpartition("-")[2] for id in on_record(tmp_path / "j") if id.startswith(NAMED)}
    assert taken == {str(verb) for verb, _ in LETTERS}


@pytest.mark.parametrize(
    ("verb", "argument", "says"),
    [
        (Verb.ARM, "accept", "made the engine armed that was halted"),
        (Verb.RESUME, "", "ended a pause"),
        (Verb.FLATTEN, "", "was planned for"),
        (Verb.BANDS, "delta:BTC=-9,9/-8,8", "was not refused"),
    ],
    ids=lambda word: str(word).partition("=")[0],
)
def test_an_engine_that_obeys_another_build_is_found(
    tmp_path: Path, verb: Verb, argument: str, says: str
) -> None:
    """The same letter twice to an engine in the same state: named, it is refused; taken for its own, it is
    obeyed, and the judge finds that."""
    found = {}
    for build in (BUILD, ""):
        rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / f"j{build}")
        rig.answer(rig.mark())
        rig.command(Verb.ARM)
        if verb is Verb.RESUME:
            rig.command(Verb.PAUSE)
        if verb is Verb.ARM:
            rig.truth.positions["BTC-PERPETUAL"] += 5000
            rig.send(rig.report())
            rig.send(rig.report(), 1.0)
        rig.send(Command(f"{NAMED}1-{verb}", verb, "stranger", "why not", argument, build))
        rig.journal.close()
        with closing(open_to_read(tmp_path / f"j{build}")) as storage:
            found[build] = [violation.text for violation in what_came_of_them(storage)]
    assert found[BUILD] == []
    assert any(says in text for text in found[""]) and any("engine itself" in text for text in found[""])
    assert any("was not refused" in text for text in found[""])


def test_a_pause_that_is_not_obeyed_is_found(tmp_path: Path) -> None:
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "j")
    rig.answer(rig.mark())
    rig.send(Command(f"{NAMED}1-pause", Verb.PAUSE, "stranger", "stop", "", BUILD))
    rig.send(Command("ours", Verb.RESUME, "desk", ""))
    rig.state = rig.state.having(commands=rig.state.commands | {f"{NAMED}2-pause"})  # taken for done already
    rig.send(Command(f"{NAMED}2-pause", Verb.PAUSE, "stranger", "stop", "", BUILD))
    rig.journal.close()
    with closing(open_to_read(tmp_path / "j")) as storage:
        texts = [violation.text for violation in what_came_of_them(storage)]
    assert len(texts) == 1 and "pause of another build was not obeyed" in texts[0]
