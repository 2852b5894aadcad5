"""A sink that is dead, slow, or answers with an error holds nobody up, is told once, and is tried again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hedger.alerts.addresses import addresses
from hedger.alerts.letters import LINES_MAX, Letter, letter
from hedger.alerts.notices import Message, Notice, Why
from hedger.alerts.sinks import HANGING_MAX, WAITING_MAX, Address, Sink
from hedger.core.actions import Severity
from hedger.journal.entries import JournalName
from hedger.sections.alerts import AlertsConfig, SinkConfig
from pricing.errors import InputError
from tests.hedger.alerts.places import Place, place, until

NAME = JournalName("paper", "k3x9")
SECOND = 10**9
CONFIG = AlertsConfig(send_s_max=15, retry_s=5, retry_s_max=300)
NOTE, WARNING, CRITICAL = Severity.NOTE, Severity.WARNING, Severity.CRITICAL


def message(text: str = "deribit is down", severity: Severity = WARNING, why: Why = Why.NEW) -> Message:
    return Message(why, Notice("LINK_DOWN", text, severity, text))


class Ear:
    """A sink's other end, without a wire. answers: what it says, one after the other, then always "well"."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.letters = list(answers), list[Letter]()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, text: Letter) -> str:
        self.gate.wait(20)
        self.letters.append(text)
        return self.answers.pop(0) if self.answers else ""


def sink(ear: Ear, severity: Severity = WARNING, *, well: bool = True) -> Sink:
    return Sink(Address("sink 1 (test)", ear, severity, well), NAME, CONFIG)


def settle(one: Sink, now_ns: int) -> None:
    """Send what waits, and hear the answer."""
    one.pump(now_ns)
    attempt = one._attempt
    if attempt is not None:
        until(lambda: attempt.answer is not None)
        one.pump(now_ns)


def test_a_letter_that_fails_is_sent_again_later_and_later_with_what_came_meanwhile() -> None:
    ear = Ear("it answered 500", "it answered 500", "it answered 500")
    one = sink(ear)
    one.offer([message("a")])
    sent_at = []
    for second in range(60):
        before = len(ear.letters)
        settle(one, second * SECOND)
        if len(ear.letters) > before:
            sent_at.append(second)
        if second == 1:
            one.offer([message("b")])
            assert one.down == "it answered 500"
    assert sent_at == [0, 5, 15, 35]
    assert (one.down, one.sent, one.failed, one.waiting) == ("", 1, 3, 0)
    assert ["LINK_DOWN: a" in ear.letters[-1].body, "LINK_DOWN: b" in ear.letters[-1].body] == [True, True]


def test_the_waits_end_at_the_longest() -> None:
    ear = Ear(*["no"] * 12)
    one = sink(ear)
    one.offer([message()])
    now, waits = 0, []
    for _ in range(12):
        settle(one, now)
        waits.append((one._next_ns - now) // SECOND)
        now = one._next_ns
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300]


def test_what_takes_too_long_is_left_to_itself_and_only_so_often() -> None:
    ear = Ear()
    ear.gate.clear()
    one = sink(ear)
    one.offer([message()])
    threads = threading.active_count()
    for second in range(0, 4000, 5):
        one.pump(second * SECOND)
        assert one.waiting == 1
    assert threading.active_count() - threads == HANGING_MAX
    assert one.down == "no answer within 15 s"
    ear.gate.set()
    until(lambda: len(ear.letters) == HANGING_MAX)
    until(lambda: not any(x.answer is None for x in one._hanging))
    settle(one, 4000 * SECOND)
    assert (one.down, one.waiting) == ("", 0)


def test_what_waits_is_bounded_and_the_gravest_are_kept() -> None:
    ear = Ear("no")
    one = sink(ear)
    one.offer([message(f"grave {n}", CRITICAL) for n in range(10)])
    one.offer([message(f"plain {n}") for n in range(1000)])
    assert (one.waiting, one.dropped) == (WAITING_MAX, 810)
    settle(one, 0)
    settle(one, 5 * SECOND)
    body = ear.letters[-1].body
    assert body.count("grave") == 10
    assert f"and {WAITING_MAX - LINES_MAX} more" in body
    assert "810 older ones" in body


def test_each_sink_gets_what_it_asked_for() -> None:
    pager, mail = sink(Ear(), CRITICAL, well=False), sink(Ear(), NOTE)
    everything = [message("n", NOTE), message("w"), message("c", CRITICAL), message("x", NOTE, Why.WELL)]
    for one in (pager, mail):
        one.offer(everything)
    assert (pager.waiting, mail.waiting) == (1, 4)


def test_whatever_a_library_raises_is_a_failure_and_its_words_are_not_repeated() -> None:
    def broken(_: Letter) -> str:
        raise ValueError("https://user:hunter2@example.com")

    one = Sink(Address("sink 1 (test)", broken), NAME, CONFIG)
    one.offer([message()])
    settle(one, 0)
    assert one.down == "it failed with ValueError"
    assert "hunter2" not in repr(one.address)


def test_a_letter_says_which_engine_and_the_gravest_first() -> None:
    found = letter(
        JournalName("live", "k3x9"), [message("w"), message("c", CRITICAL), message("o", why=Why.OVER)]
    )
    assert found.title == "hedger LIVE k3x9: 1 critical, 1 warning, 1 over"
    assert found.severity is CRITICAL
    assert found.body.splitlines()[0] == "CRITICAL LINK_DOWN: c"
    assert letter(NAME, [message("x", NOTE, Why.WELL)]).title == "hedger PAPER k3x9: all well"


# ------------------------------------------------------------------------------- through apprise, on a wire


@pytest.fixture
def desk() -> Iterator[Place]:
    with place("/desk/token-4711") as found:
        yield found


def real(found: Place) -> Sink:
    (address,) = addresses(CONFIG, [found.url])
    return Sink(address, NAME, CONFIG)


def test_a_letter_arrives_as_it_was_written(desk: Place) -> None:
    one = real(desk)
    one.offer([message("deribit is <down> & *out*_", CRITICAL)])
    settle(one, 0)
    (taken,) = desk.taken
    assert taken["title"] == "hedger PAPER k3x9: 1 critical"
    assert taken["type"] == "failure"
    assert taken["message"].startswith(
        "CRITICAL LINK_DOWN: deribit is <down> & *out*_\n  do: `hedger venues`."
    )
    assert one.address.name == "sink 1 (JSON)"


def test_an_answer_500_and_a_place_that_is_not_there_are_told_without_the_address(
    desk: Place, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    one = real(desk)
    desk.status = 500
    one.offer([message()])
    settle(one, 0)
    assert one.down == "it answered 500"
    with place("/desk/token-4711") as gone:
        other = real(gone)
    other.offer([message()])
    settle(other, 0)
    assert other.down == "it could not be reached"
    desk.status = 200
    settle(one, 5 * SECOND)
    assert (one.down, len(desk.taken)) == ("", 1)
    said = "".join(capfd.readouterr()) + caplog.text + repr((one.address, other.address))
    assert "token-4711" not in said


def test_addresses_are_named_by_reference(
    tmp_path: Path, desk: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pager"
    file.write_text(desk.url + "\n")
    file.chmod(0o600)
    monkeypatch.setenv("DESK_PAGER", desk.url)
    sinks = (SinkConfig(url=f"file:{file}", severity_min="critical", well=False),)
    found = addresses(AlertsConfig(sinks=sinks), ["env:DESK_PAGER"])
    assert [(a.severity_min, a.well) for a in found] == [(CRITICAL, False), (WARNING, True)]
    file.chmod(0o644)
    with pytest.raises(InputError, match="others can read"):
        addresses(AlertsConfig(sinks=sinks), [])
    with pytest.raises(InputError) as refused:
        addresses(CONFIG, ["nonsense://desk/token-4711"])
    assert refused.value.code == "ALERT_ADDRESS"
    assert "token-4711" not in refused.value.text()


def test_an_address_that_stands_in_the_settings_is_refused_without_being_shown(tmp_path: Path) -> None:
    from hedger.config import load

    path = tmp_path / "config.toml"
    path.write_text('[[alerts.sinks]]\nurl = "tgram://token-4711/chat"\n')
    with pytest.raises(InputError) as refused:
        load(path)
    assert "token-4711" not in refused.value.text()
    assert "env:NAME" in refused.value.text()
