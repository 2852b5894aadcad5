"""A wish is left for the engine that its sender means, or refused with the reason: the box has none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hedger.build import this_build
from hedger.core.events import Verb
from hedger.journal.commands_file import CommandBox, commands_path
from hedger.journal.identity import Opened
from hedger.journal.journal import Journal
from hedger.journal.lock import lock_path
from hedger.journal.wishes import WishRefused, leave
from tests.hedger.journal_words import NAME, opening

ONLY_STOPS = {Verb.PAUSE, Verb.KILL}


@contextmanager
def held(path: Path, says: str = "") -> Iterator[None]:
    """A journal that somebody writes. says: what stands in his lock file, "": as this build writes it."""
    journal = Journal.open(path, NAME)
    journal.append(*opening())
    if says:
        lock_path(path).write_text(says)
    yield
    journal.close()


def lying(path: Path) -> list[tuple[Verb, str, str, str]]:
    """What lies in the box."""
    if not commands_path(path).exists():
        return []
    box = CommandBox(path)
    found = [(c.verb, c.argument, c.reason, c.user) for c in box.left_over().commands]
    box.close()
    return found


def test_it_is_left_as_it_was_asked_for(tmp_path: Path) -> None:
    with held(tmp_path / "j"):
        id = leave(tmp_path / "j", Verb.BANDS, "delta:BTC=", "over", "ann")
        other = leave(tmp_path / "j", Verb.ARM, user="ann")
    assert (
        lying(tmp_path / "j")
        == [
            (Verb.BANDS, "delta:BTC=", "over", "ann"),
            (Verb.ARM, "", "", "ann"),
        ]
        and len({id, other}) == 2
    )


@pytest.mark.parametrize("verb", Verb)
def test_what_trades_or_frees_is_left_with_its_last_moment(verb: Verb, tmp_path: Path) -> None:
    box = CommandBox(tmp_path / "j")
    with held(tmp_path / "j"):
        before_ns = time.time_ns()
        leave(tmp_path / "j", verb, patience_s=7.0)
        after_ns = time.time_ns()
    (command,) = box.poll().commands
    box.close()
    if verb in (Verb.PAUSE, Verb.KILL, Verb.REDUCE, Verb.UNKILL, Verb.PREVIEW):
        assert command.not_after_ns is None
    else:
        assert command.not_after_ns is not None
        assert before_ns <= command.not_after_ns - 7 * 10**9 <= after_ns


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("verb", Verb)
def test_nothing_is_left_for_nobody(verb: Verb, waits: bool, tmp_path: Path) -> None:
    with held(tmp_path / "j"):
        pass
    with pytest.raises(WishRefused, match=r"^ENGINE_ABSENT") as raised:
        leave(tmp_path / "j", verb, waits=waits)
    assert raised.value.exit_code == 3 and lying(tmp_path / "j") == []


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    ("says", "code", "to_who_waits"),
    [
        ('{"pid": 7, "build": "0.0.9+ab"}', "OTHER_BUILD", ""),  # which refuses by itself, on record
        ('{"pid": 7}', "ENGINE_OLDER", "ENGINE_OLDER"),  # which would obey
        ("{}", "OTHER_BUILD", ""),  # only starting: it has not said yet
    ],
)
def test_of_another_build_goes_only_what_stops(
    says: str, code: str, to_who_waits: str, waits: bool, tmp_path: Path
) -> None:
    code = to_who_waits if waits else code
    with held(tmp_path / "j", says):
        for verb in Verb:
            if verb in ONLY_STOPS or not code:
                leave(tmp_path / "j", verb, waits=waits)
                continue
            with pytest.raises(WishRefused, match=f"^{code}"):
                leave(tmp_path / "j", verb, waits=waits)
    assert {verb for verb, *_ in lying(tmp_path / "j")} == (ONLY_STOPS if code else set(Verb))


def test_to_another_journal_s_engine_goes_a_kill_alone(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with held(path):
        pass
    opened = Opened(path)
    for file in list(tmp_path.glob("j*")):
        file.rename(tmp_path / f"old-{file.name}")
    with held(path):
        for verb in set(Verb) - {Verb.KILL}:
            with pytest.raises(WishRefused, match=r"^JOURNAL_EXCHANGED: .*another journal"):
                leave(path, verb, opened=opened, waits=True)
        leave(path, Verb.KILL, opened=opened, waits=True)
    assert [verb for verb, *_ in lying(path)] == [Verb.KILL]


def test_this_build_is_the_one_that_its_lock_names(tmp_path: Path) -> None:
    with held(tmp_path / "j", f'{{"pid": 7, "build": "{this_build()}"}}'):
        leave(tmp_path / "j", Verb.FLATTEN)
    assert [verb for verb, *_ in lying(tmp_path / "j")] == [Verb.FLATTEN]
