"""The list of alerts is all of them, and each says what to do."""

from __future__ import annotations

import re

import pytest

from docs.making.scanning import said
from hedger.cli import build_parser
from hedger.core.events import Verb
from hedger.desk.alert_kinds import ALERTS, BY_CODE, own
from hedger.desk.alert_kinds.kind import AlertKind

#: What an action begins with that asks a person for something, or for nothing, where it names no command.
ASKS = re.compile(r"(Ask|Check|Compare|Do|Find|Hedge|Look|Make|Mend|Nothing|Read|See|Start)\b")


def test_every_alert_of_the_engine_is_in_the_list_and_the_list_has_no_others() -> None:
    """Of what the deciding half tells, read off its source as for the page of codes."""
    told = {x.code for x in said() if x.how == "alert" and x.file.startswith("hedger/core/")}
    codes = {kind.code for kind in ALERTS if not kind.own}
    assert told == codes
    assert len(codes) > 40


def test_every_alert_of_the_watch_is_in_the_list_and_the_list_has_no_others() -> None:
    told = {x.code for x in said() if x.how == "notice" and x.file.startswith("hedger/alerts/")}
    assert told - {"ALL_WELL"} == {kind.code for kind in own.KINDS}  # which is a word and no alert


def test_each_stands_once() -> None:
    assert len(BY_CODE) == len(ALERTS)
    assert {kind.code for kind in own.KINDS} == {kind.code for kind in ALERTS if kind.own}


@pytest.mark.parametrize("kind", ALERTS, ids=lambda kind: kind.code)
def test_each_says_what_it_means_and_what_to_do(kind: AlertKind) -> None:
    for text in (kind.meaning, kind.action):
        assert text.endswith(".")
        assert text[0].isupper() or text[0] == "`"
    for code in kind.ends:
        assert BY_CODE[code].stands
        assert BY_CODE[code].subject == kind.subject
    assert re.search(r"`hedger [a-z]", kind.action) or ASKS.match(kind.action)


def test_commands_that_are_named_are_commands() -> None:
    help_text = build_parser().format_help()
    named = {word for kind in ALERTS for word in re.findall(r"`hedger ([a-z]+)", kind.action)}
    assert len(named) > 8
    assert {word for word in named if f" {word} " not in help_text} == set()
    assert {str(verb) for verb in (Verb.ARM, Verb.RESUME, Verb.UNKILL)} <= named
