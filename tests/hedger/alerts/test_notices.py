"""What is told, how often, and how it ends."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hedger.alerts.notices import BEGINNINGS_MAX, OTHERS, SUBJECTS_MAX, Notice, Notices, Why
from hedger.core.actions import Severity

AGAIN = 100
WARNING, CRITICAL, NOTE = Severity.WARNING, Severity.CRITICAL, Severity.NOTE


def down(severity: Severity = WARNING, text: str = "deribit is down", *, repeats: bool = True) -> Notice:
    return Notice("LINK_DOWN", "deribit", severity, text, repeats=repeats)


def why(notices: Notices, now: int, *standing: Notice) -> list[str]:
    return [str(message.why) for message in notices.look(now, standing)]


def test_what_stands_is_told_once_again_after_a_while_and_its_end_is_told() -> None:
    notices = Notices(AGAIN)
    assert why(notices, 1, down()) == ["new"]
    assert why(notices, 2, down(text="deribit is down 2")) == []
    assert why(notices, 100, down()) == []
    assert why(notices, 101, down()) == ["again"]
    assert why(notices, 200, down()) == []
    assert why(notices, 201, down()) == ["again"]
    assert why(notices, 202) == ["over"]
    assert why(notices, 203) == []
    assert notices.standing == []


def test_what_is_not_told_again_still_has_its_end_told() -> None:
    notices = Notices(AGAIN)
    assert why(notices, 1, down(repeats=False)) == ["new"]
    assert why(notices, 500, down(repeats=False)) == []
    assert why(notices, 501) == ["over"]


def test_worse_is_told_at_once_and_its_end_goes_to_whoever_was_told_the_worst() -> None:
    notices = Notices(AGAIN)
    assert why(notices, 1, down()) == ["new"]
    assert why(notices, 2, down(CRITICAL)) == ["worse"]
    assert why(notices, 3, down()) == []  # better is no news
    (over,) = notices.look(4)
    assert (over.why, over.notice.severity, over.since_ns) == (Why.OVER, CRITICAL, 1)


def test_what_happens_is_told_once_and_the_like_of_it_is_counted() -> None:
    notices = Notices(AGAIN)
    like = Notice("LATE_FILL", "", WARNING, "filled 1 more")
    notices.happened(like)
    assert why(notices, 0) == ["new"]
    for now in range(1, 100):
        notices.happened(like)
        assert why(notices, now) == []
    (again,) = notices.look(100)
    assert (again.why, again.count) == (Why.AGAIN, 99)
    assert why(notices, 199) == []
    assert why(notices, 201) == []  # nothing more came: it is forgotten
    notices.happened(like)
    assert why(notices, 202) == ["new"]


def test_what_comes_and_goes_is_told_as_that_and_then_left_until_it_keeps_still() -> None:
    notices = Notices(AGAIN)
    told: list[str] = []
    for now in range(0, 60, 2):
        told += why(notices, now, down())
        told += why(notices, now + 1)
    assert told == ["new", "over"] * BEGINNINGS_MAX + ["unsteady"]
    assert why(notices, 158) == []
    assert why(notices, 159) == ["over"]  # a hundred after it was last there
    assert why(notices, 160, down()) == ["new"]


def test_what_came_and_went_and_then_stays_is_told_as_standing() -> None:
    notices = Notices(AGAIN)
    for now in range(0, 10, 2):
        notices.look(now, [down()])
        notices.look(now + 1)
    told = [word for now in range(10, 300) for word in why(notices, now, down())]
    assert told == ["again", "again"]
    assert why(notices, 300) == ["over"]


def test_too_many_subjects_of_one_code_are_told_together() -> None:
    notices = Notices(AGAIN)
    for n in range(500):
        notices.happened(Notice("ORDER_DENIED", f"order {n}", WARNING, f"text {n}"))
    found = notices.look(0)
    assert len(found) == SUBJECTS_MAX + 1
    assert Counter(m.notice.subject == OTHERS for m in found) == {False: SUBJECTS_MAX, True: 1}
    (again,) = notices.look(AGAIN)
    assert again.count == 500 - SUBJECTS_MAX - 1


def test_the_gravest_comes_first() -> None:
    notices = Notices(AGAIN)
    for code, severity in (("A", NOTE), ("B", CRITICAL), ("C", WARNING)):
        notices.happened(Notice(code, "", severity, ""))
    assert [m.notice.code for m in notices.look(0)] == ["B", "C", "A"]


NOTICE = st.builds(
    Notice, st.sampled_from("AB"), st.sampled_from("xyz"), st.sampled_from(Severity), st.just(""), st.just(0)
)


@given(st.lists(st.tuples(st.integers(1, 60), st.lists(NOTICE, max_size=4), st.booleans()), max_size=60))
def test_everything_that_begins_is_told_and_never_more_than_a_few_times_a_while(
    looks: list[tuple[int, list[Notice], bool]],
) -> None:
    """Whatever comes: one message of one thing a look; each thing at most so often within `again`; whatever
    stands was told since it is known, at a severity no less than its own."""
    notices, now = Notices(AGAIN), 0
    told: dict[tuple[str, str], list[int]] = {}
    for step, found, stands in looks:
        now += step
        if not stands:
            found = [Notice(n.code + "h", n.subject, n.severity, "") for n in found]
            for notice in found:
                notices.happened(notice)
        messages = notices.look(now, found if stands else ())
        keys = [m.notice.key for m in messages]
        assert len(set(keys)) == len(keys)
        for message in messages:
            told.setdefault(message.notice.key, []).append(now)
        if not stands:
            assert all(n.key in told for n in found)
        else:
            assert {n.key for n in found} <= told.keys()
    for stamps in told.values():
        # a beginning and an end each so often, one change to "comes and goes", two changes for the worse a
        # beginning, one "again", one end
        most = max(sum(1 for at in stamps if first <= at < first + AGAIN) for first in stamps)
        assert most <= 4 * BEGINNINGS_MAX + 4
