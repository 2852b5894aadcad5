"""What the solves of one plan may spend, all of them together.

Work is counted at a fixed rate, so that the same plan comes out on any machine and in any replay: it is what
ends a search. Behind it stands HiGHS' own clock, for what work does not count; a plan that it ended says so,
for a replay may find another. Whoever watches the loop that plans may ask how long one plan lasts at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INF = float("inf")

#: Times the time limit of one solve: the work of all solves of a plan, and of each thing that is compared
#: with it; and HiGHS' clock for them all, which is not below CLOCK_S_MIN.
PLAN_SHARE = 2.0
ASIDE_SHARE = 0.25
ASIDES = 2
CLOCK_SHARE = 1.5
CLOCK_S_MIN = 1.5
#: Of the time limit: what a solve may have where nothing is left. Without it there would be no plan.
LEAST_SHARE = 0.02


def clock_s(limit_s: float) -> float:
    """Seconds of HiGHS' clock for all solves of a plan; `limit_s` of one solve."""
    return max(CLOCK_SHARE * limit_s, CLOCK_S_MIN)


def longest_s(limit_s: float) -> float:
    """Seconds that the solves of one plan last at most, work at its rate; `limit_s` of one solve.

    >>> longest_s(1.0), longest_s(0.5)
    (4.0, 2.75)
    """
    return (PLAN_SHARE + ASIDES * ASIDE_SHARE) * limit_s + clock_s(limit_s)


@dataclass(slots=True)
class Clock:
    """Seconds that HiGHS may run by its own clock. ended: whether that has ended a run, or kept one from
    beginning."""

    left_s: float = INF
    ended: bool = False

    def spend(self, seconds: float) -> None:
        """Take off what a run took."""
        self.left_s -= max(seconds, 0.0)


@dataclass(slots=True)
class Budget:
    """What is left for the solves of one plan. limit_s: for one of them; work_s: for all, seconds of work."""

    limit_s: float
    work_s: float
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def of(cls, limit_s: float) -> Budget:
        """Of a plan, by the time limit of one solve."""
        return cls(limit_s, PLAN_SHARE * limit_s, Clock(clock_s(limit_s)))

    @property
    def allowed_s(self) -> float:
        """For the next solve: half of what is left, so that something always is; the first has its limit."""
        return max(min(self.limit_s, 0.5 * self.work_s), LEAST_SHARE * self.limit_s)

    @property
    def spent(self) -> bool:
        """Whether what need not be tried is not."""
        return 0.5 * self.work_s <= LEAST_SHARE * self.limit_s

    def spend(self, seconds: float) -> None:
        """Take off the work of a solve."""
        self.work_s -= max(seconds, 0.0)

    def aside(self) -> Budget:
        """Of something that is compared with the plan: work of its own, whenever it is asked for, by the same
        clock."""
        return Budget(self.limit_s, ASIDE_SHARE * self.limit_s, self.clock)
