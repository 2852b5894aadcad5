"""Schedules against a calendar that is asked minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.sections.schedule import NS_PER_MINUTE, Schedule

START = datetime(2026, 2, 27, tzinfo=UTC)  # a Friday; the days after it cross a month
Field = tuple[str, set[int]]


def ns(at: datetime) -> int:
    return int(at.timestamp()) * 10**9


def field(low: int, high: int) -> st.SearchStrategy[Field]:
    """A field as written, and the numbers it means; 0 to 6 are weekdays."""
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(sorted)
    steps = st.integers(1, high - low + 1)
    part = st.one_of(
        number.map(lambda x: (str(x), {x})),
        ranges.map(lambda r: (f"{r[0]}-{r[1]}", set(range(r[0], r[1] + 1)))),
        st.tuples(ranges, steps).map(
            lambda x: (f"{x[0][0]}-{x[0][1]}/{x[1]}", set(range(x[0][0], x[0][1] + 1, x[1])))
        ),
        st.just(("*", set(range(low, high + 1)))),
        steps.map(lambda s: (f"*/{s}", set(range(low, high + 1, s)))),
        # weekdays count on to Sunday, the seventh
        st.tuples(number, steps).map(
            lambda x: (
                f"{x[0]}/{x[1]}",
                {n % 7 if high == 6 else n for n in range(x[0], high + 1 + (high == 6), x[1])},
            )
        ),
    )
    return st.lists(part, min_size=1, max_size=3).map(
        lambda parts: (",".join(t for t, _ in parts), set().union(*(s for _, s in parts)))
    )


@settings(deadline=None, max_examples=60)
@given(field(0, 59), field(0, 23), field(0, 6), st.integers(0, 10080), st.integers(0, 59))
def test_latest_and_next_are_those_found_by_asking_every_minute(
    minute: Field, hour: Field, day: Field, after: int, seconds: int
) -> None:
    """Weekdays 0 to 6 from Sunday, as `datetime.isoweekday` modulo 7 counts them."""
    schedule = Schedule.parse(f"{minute[0]} {hour[0]} {day[0]}")

    def due(at: datetime) -> bool:
        return at.minute in minute[1] and at.hour in hour[1] and at.isoweekday() % 7 in day[1]

    now = START + timedelta(minutes=after, seconds=seconds)
    at = now.replace(second=0)
    while not due(at):
        at -= timedelta(minutes=1)
    assert schedule.latest(ns(now)) == ns(at)
    at = now.replace(second=0) + timedelta(minutes=1)
    while not due(at):
        at += timedelta(minutes=1)
    assert schedule.next(ns(now)) == ns(at)


def test_every_minute_of_two_weeks() -> None:
    """Funding times on working days, and half past eight on Sundays: counted by the calendar."""
    schedule = Schedule.parse("0 0,8,16 mon-fri")
    found = []
    at = schedule.next(ns(START) - 1)
    while at < ns(START + timedelta(days=14)):
        found.append(datetime.fromtimestamp(at / 1e9, UTC))
        at = schedule.next(at)
    every = [START + timedelta(minutes=m) for m in range(14 * 1440)]
    assert found == [t for t in every if t.minute == 0 and t.hour % 8 == 0 and t.weekday() < 5]
    assert len(found) == 30


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 8 0", "0 8 7"),
        ("0 8 sun", "0 8 0"),
        ("0 8 fri-sun", "0 8 5-7"),
        ("0 8 5-0", "0 8 5,6,0"),
        ("0 8 MON-Fri", "0 8 1-5"),
        ("* * *", "0-59 0-23 0-6"),
        ("0  8\tmon", "0 8 mon"),
        ("0 8 */1", "0 8 *"),
    ],
)
def test_several_ways_to_write_the_same(one: str, other: str) -> None:
    assert Schedule.parse(one) == Schedule.parse(other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 fields"),
        ("0 8", "2 fields"),
        ("0 8 * * *", "5 fields"),
        ("60 8 *", "minute '60'"),
        ("0 24 *", "hour '24'"),
        ("0 8 8", "weekday '8'"),
        ("0 8 monday", "mon to sun"),
        ("-1 8 *", "minute '-1'"),
        ("30-10 8 *", "runs backwards"),
        ("*/0 8 *", "minute '*/0'"),
        ("*/61 8 *", "minute '*/61'"),
        ("0,,5 8 *", "minute ''"),
        ("1.5 8 *", "minute '1.5'"),
        ("٣ 8 *", "minute '٣'"),
        ("0 8 */", "weekday '*/'"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field_that_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        Schedule.parse(text)
    assert said in str(refused.value)


def test_times_before_1970_and_on_the_edge_of_the_week() -> None:
    schedule = Schedule.parse("0 0 mon")
    monday = ns(datetime(2026, 3, 2, tzinfo=UTC))
    assert schedule.latest(monday) == monday
    assert schedule.latest(monday - 1) == monday - 7 * 1440 * NS_PER_MINUTE
    assert schedule.next(monday) == monday + 7 * 1440 * NS_PER_MINUTE
    assert schedule.latest(-1) == ns(datetime(1969, 12, 29, tzinfo=UTC))
