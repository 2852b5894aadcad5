"""Times of the week, UTC, written as in cron: which minutes, hours and weekdays.

`"0,30 8-17 mon-fri"` is every half hour from 08:00 to 17:30 on working days. A field is `*`, a number, a
range `8-17`, any of them with a step `*/15`, `8-17/3` or `8/3` (to the end), or a list of those with commas.
Weekdays are mon to sun, or 0 to 7 with Sunday as 0 and 7. Days of the month and months are left out on
purpose: no hedge hangs on them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

NS_PER_MINUTE = 60 * 10**9
MINUTES_PER_DAY = 1440
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
#: The first of January 1970 was a Thursday; the week is counted from Monday.
EPOCH_MINUTE_OF_WEEK = 3 * MINUTES_PER_DAY

_DAYS = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}
#: Name, lowest and highest number of each field, in the order they are written.
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("weekday", 0, 7))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes of a week at which something is due, Monday 00:00 UTC being 0, in rising order."""

    minutes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.minutes:
            raise ValueError("a schedule without a time")

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that a text of three fields names.

        Raises:
            ValueError: says which field, what stands there and what may.

        >>> Schedule.parse("0 8 mon").minutes, len(Schedule.parse("*/15 * *").minutes)
        ((480,), 672)
        """
        fields = text.lower().split()
        if len(fields) != len(_FIELDS):
            raise ValueError(
                f"{text!r} has {len(fields)} fields: allowed are three, minute hour weekday ('0 8 mon-fri')"
            )
        minutes, hours, days = (
            _numbers(field, *limits) for field, limits in zip(fields, _FIELDS, strict=True)
        )
        weekdays = {(day - 1) % 7 for day in days}
        return cls(
            tuple(
                sorted(
                    day * MINUTES_PER_DAY + hour * 60 + m
                    for day in weekdays
                    for hour in hours
                    for m in minutes
                )
            )
        )

    def latest(self, now_ns: int) -> int:
        """The last scheduled time at or before a stamp, ns.

        >>> Schedule.parse("30 * *").latest(3600 * 10**9) // 10**9
        1800
        """
        week, minute = divmod(now_ns // NS_PER_MINUTE + EPOCH_MINUTE_OF_WEEK, MINUTES_PER_WEEK)
        at = bisect_right(self.minutes, minute) - 1
        week, at = (week, at) if at >= 0 else (week - 1, len(self.minutes) - 1)
        return (week * MINUTES_PER_WEEK + self.minutes[at] - EPOCH_MINUTE_OF_WEEK) * NS_PER_MINUTE

    def next(self, now_ns: int) -> int:
        """The first scheduled time after a stamp, ns."""
        week, minute = divmod(now_ns // NS_PER_MINUTE + EPOCH_MINUTE_OF_WEEK, MINUTES_PER_WEEK)
        at = bisect_left(self.minutes, minute + 1)
        week, at = (week, at) if at < len(self.minutes) else (week + 1, 0)
        return (week * MINUTES_PER_WEEK + self.minutes[at] - EPOCH_MINUTE_OF_WEEK) * NS_PER_MINUTE


def _numbers(field: str, name: str, low: int, high: int) -> set[int]:
    """The numbers that a field names."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, part, 1, high - low + 1) if slash else 1
        first, dash, last = span.partition("-")
        if span == "*":
            # for weekdays 0 and 7 are one day: a step counts seven days from Sunday
            start, end = low, high - (name == "weekday")
        else:
            start = _number(first, name, part, low, high)
            end = _number(last, name, part, low, high) if dash else high if slash else start
            if name == "weekday" and dash and end == 0 < start:
                end = 7  # "fri-sun" by number
        if start > end:
            raise ValueError(f"{name} {part!r} runs backwards: write the two parts with a comma")
        found |= set(range(start, end + 1, step))
    return found


def _number(text: str, name: str, part: str, low: int, high: int) -> int:
    """One number of a field."""
    if name == "weekday" and text in _DAYS:
        return _DAYS[text]
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and low <= int(text) <= high):
        days = ", or mon to sun" if name == "weekday" else ""
        raise ValueError(f"{name} {part!r}: {text!r} is not one of {low} to {high}{days}")
    return int(text)
