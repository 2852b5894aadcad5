"""Faults on demand: what a paper venue can be told to do wrong, at a time, by chance, or by script.

Each kind has its own dice, so that adding one kind of fault does not move the others. A fault's chance is
taken at every opportunity of its kind: an order, a cancel, a message, a batch of quotes, a question. Every
fault that happened is written into the venue's own log with its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError


class FaultKind(StrEnum):
    """What can go wrong; the numbers are those of the fault catalogue that `simulate --faults` takes."""

    ACK_LOST = "F1"  # accepted, and no answer
    LATE = "F2"  # reaches the venue after its time-out, and is not found for the next `count` questions
    REQUEST_LOST = "F3"  # never reaches the venue
    SHUFFLED = "F6"  # a message comes twice, or after later ones
    FILL_DROPPED = "F7"  # a fill is missing in the stream; the account has it
    SESSION_KILLED = "F8"  # the rate limit answered by ending the session for `seconds`
    SERVER_ERROR = "F9"  # 5xx, the order accepted or not
    DUPLICATE = "F10"  # the request arrives twice, and the answer is to the second
    CANCEL_RACE = "F11"  # filled, wholly or in part, while the cancel was on its way
    EXTERNAL = "F12"  # auto-deleveraging, liquidation, a manual trade, a trade taken back
    MAINTENANCE = "F13"  # the venue takes nothing for `seconds`
    RELISTED = "F14"  # a listing's tick and lot change, or it is taken off
    BROKEN_BOOK = "F15"  # a gap, a crossed, an empty or a one-sided book in the feed
    LATE_FEED = "F16"  # the feed ticks on, `seconds` late
    POISON = "F17"  # numbers that make no sense in the feed
    SKEWED = "F18"  # the venue's stamps are off by `seconds`, ahead or behind
    DEAD_MAN = "F27"  # the venue's timer fires though it was refreshed
    LYING_ACCOUNT = "F31"  # the account's page is empty, stale, cut short, or the question fails


#: Ways in which a kind can happen; where none is asked for, one is drawn.
VARIANTS: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.SHUFFLED: ("duplicated", "reordered"),
    FaultKind.SERVER_ERROR: ("accepted", "not_accepted"),
    FaultKind.CANCEL_RACE: ("whole", "part"),
    FaultKind.EXTERNAL: ("adl", "liquidation", "manual", "bust"),
    FaultKind.RELISTED: ("spec_changed", "delisted"),
    FaultKind.BROKEN_BOOK: ("gap", "crossed", "empty", "one_sided"),
    FaultKind.POISON: ("spot_x10", "vol_zero", "vol_900", "nan", "huge", "negative_size"),
    FaultKind.SKEWED: ("ahead", "behind"),
    FaultKind.LYING_ACCOUNT: ("empty", "stale", "partial", "failed"),
}

#: Seconds that a fault lasts, or shifts by, where nobody says.
SECONDS_DEFAULT: dict[FaultKind, float] = {
    FaultKind.LATE: 10.0,
    FaultKind.SESSION_KILLED: 5.0,
    FaultKind.MAINTENANCE: 30.0,
    FaultKind.LATE_FEED: 20.0,
    FaultKind.SKEWED: 300.0,
    FaultKind.SHUFFLED: 1.0,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan: by chance at every opportunity, or once, at the first opportunity from `at_ns` on.

    seconds: how long or how much, None: the kind's own. count: LATE: questions that do not find the order.
    by: the id of the catalogue that asked for it, where that is another than the kind's.
    """

    kind: FaultKind
    probability: float = 0.0
    at_ns: int | None = None
    variant: str = ""
    seconds: float | None = None
    count: int = 2
    by: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or (self.probability > 0) == (self.at_ns is not None):
            raise ValueError(f"fault {self.kind}: a probability in (0, 1] or a time, one of both")
        if self.variant and self.variant not in VARIANTS.get(self.kind, ()):
            raise ValueError(f"fault {self.kind}: no variant {self.variant!r}")

    @property
    def id(self) -> str:
        """The id that it is counted under."""
        return self.by or str(self.kind)

    @property
    def duration_ns(self) -> int:
        """`seconds`, or the kind's own, ns."""
        seconds = SECONDS_DEFAULT.get(self.kind, 0.0) if self.seconds is None else self.seconds
        return round(seconds * NS_PER_SECOND)


def fault_kinds(text: str) -> tuple[FaultKind, ...]:
    """Read a list such as "F1,F7", or "all", or "" for none.

    Raises:
        InputError: an id that the paper venue does not know.

    >>> fault_kinds("F7, F1")
    (<FaultKind.FILL_DROPPED: 'F7'>, <FaultKind.ACK_LOST: 'F1'>)
    """
    if text.strip() == "all":
        return tuple(FaultKind)
    found = []
    for word in (part.strip() for part in text.split(",") if part.strip()):
        if word not in set(FaultKind):
            raise InputError(
                "FAULT_UNKNOWN",
                "the paper venue knows no such fault",
                observed=repr(word),
                allowed=f"all, or some of {', '.join(FaultKind)}",
                not_done="nothing was started",
            )
        found.append(FaultKind(word))
    return tuple(found)


def seeded_faults(
    kinds: Sequence[FaultKind], seed: int, *, often: float = 0.1, rare: float = 0.01
) -> tuple[Fault, ...]:
    """A random mix of these kinds: each by its own rate, log-uniform below `often`, some left out.

    Kinds that come with every batch of quotes have the rate `rare` at most.
    """
    dice = np.random.default_rng([seed, 0xFA17])
    plan = []
    for kind in FaultKind:
        there, share = float(dice.random()), float(dice.random())
        if kind not in kinds or (len(kinds) > 1 and there < 0.25):
            continue
        most = rare if kind in _AT_EVERY_BATCH else often
        plan.append(Fault(kind, most * 10 ** (-2 * share)))
    return tuple(plan)


_AT_EVERY_BATCH = frozenset(
    {
        FaultKind.EXTERNAL,
        FaultKind.MAINTENANCE,
        FaultKind.RELISTED,
        FaultKind.BROKEN_BOOK,
        FaultKind.LATE_FEED,
        FaultKind.POISON,
        FaultKind.SKEWED,
        FaultKind.DEAD_MAN,
    }
)


class FaultDice:
    """Decides at each opportunity whether a fault happens now. Same plan, seed and calls: same faults."""

    def __init__(self, plan: Sequence[Fault], seed: int) -> None:
        self._plans: dict[FaultKind, list[Fault]] = {}
        for fault in plan:
            self._plans.setdefault(fault.kind, []).append(fault)
        streams = np.random.SeedSequence([seed, 0xD1CE]).spawn(len(FaultKind))
        self._dice = {kind: np.random.default_rng(s) for kind, s in zip(FaultKind, streams, strict=True)}

    def hit(self, kind: FaultKind, now_ns: int) -> Fault | None:
        """The fault of this kind that happens now, its variant decided; None: none does."""
        for fault in self._plans.get(kind, ()):
            if fault.at_ns is not None:
                if now_ns < fault.at_ns:
                    continue
                self._plans[kind].remove(fault)
            elif self._dice[kind].random() >= fault.probability:
                continue
            variants = VARIANTS.get(kind)
            if variants and not fault.variant:
                fault = replace(fault, variant=variants[int(self._dice[kind].integers(len(variants)))])
            return fault
        return None

    def again(self, fault: Fault) -> None:
        """There was nothing to do it to: what was to happen once is due at the next opportunity."""
        if fault.at_ns is not None:
            self._plans[fault.kind].append(fault)

    def below(self, kind: FaultKind, n: int) -> int:
        """A number from 0 to n - 1, by the dice of this kind."""
        return int(self._dice[kind].integers(n))

    def times(self) -> list[tuple[int, FaultKind]]:
        """Times at which a fault is due that comes with no order, message or question."""
        return sorted(
            (f.at_ns, kind)
            for kind, faults in self._plans.items()
            for f in faults
            if f.at_ns is not None and kind in _ON_THEIR_OWN
        )


_ON_THEIR_OWN = frozenset(
    {
        FaultKind.EXTERNAL,
        FaultKind.MAINTENANCE,
        FaultKind.RELISTED,
        FaultKind.DEAD_MAN,
        FaultKind.SESSION_KILLED,
    }
)
