"""What a paper venue is told before it opens: fees, latencies, queue, margin, and the venue's own rules.

Four things decide whether paper flatters: what a trade costs, how late everything is, who stands before us
in the queue, and whether margin would have said no. None has a default. Each must be stated, zero and "not
modelled" included, or the venue does not open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Final

import numpy as np

from pricing.contracts import Listing
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from pricing.market import Market
from risk.book import Book

#: A latency above this is a fault, not a latency.
LATENCY_NS_MAX = 3600 * NS_PER_SECOND


class Unstated(Enum):
    """The mark of a term that nobody has stated."""

    TOKEN = "unstated"


UNSTATED: Final = Unstated.TOKEN


def _refuse(code: str, what: str, observed: object, allowed: str) -> InputError:
    return InputError(
        code, what, where="paper venue", observed=observed, allowed=allowed, not_done="nothing was started"
    )


def _check_latency(*values: int) -> None:
    if not all(0 <= value <= LATENCY_NS_MAX for value in values):
        raise _refuse("PAPER_LATENCY", "a latency is out of range", values, "0 ns to one hour")


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same, nanoseconds; 0 is a statement, too.

    >>> Constant(5).draw(np.random.default_rng(1))
    5
    """

    ns: int

    def __post_init__(self) -> None:
        _check_latency(self.ns)

    def draw(self, dice: np.random.Generator) -> int:
        """One latency, ns."""
        return self.ns


@dataclass(frozen=True, slots=True)
class Empirical:
    """Drawn from recorded samples, nanoseconds, each as likely as the others."""

    samples_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.samples_ns:
            raise _refuse("PAPER_LATENCY", "there are no samples", "none", "one sample or more")
        _check_latency(*self.samples_ns)

    def __str__(self) -> str:
        middle = sorted(self.samples_ns)[len(self.samples_ns) // 2]
        return f"drawn from {len(self.samples_ns)} samples, median {middle} ns"

    def draw(self, dice: np.random.Generator) -> int:
        """One latency, ns."""
        return int(self.samples_ns[int(dice.integers(len(self.samples_ns)))])


@dataclass(frozen=True, slots=True)
class LogNormal:
    """least_ns + exp(N(ln median_ns, sigma^2)): a floor of wire, and a tail."""

    median_ns: int
    sigma: float
    least_ns: int = 0

    def __post_init__(self) -> None:
        _check_latency(self.median_ns, self.least_ns)
        if not (self.median_ns > 0 and 0 <= self.sigma < 5):
            raise _refuse(
                "PAPER_LATENCY",
                "the distribution has no sense",
                f"median {self.median_ns} ns, sigma {self.sigma}",
                "median > 0, sigma in [0, 5)",
            )

    def draw(self, dice: np.random.Generator) -> int:
        """One latency, ns, at most an hour."""
        tail = self.median_ns * math.exp(self.sigma * float(dice.standard_normal()))
        return min(self.least_ns + round(tail), LATENCY_NS_MAX)


Latency = Constant | Empirical | LogNormal


@dataclass(frozen=True, slots=True)
class Latencies:
    """feed: from the venue's book to us. order_entry: from us to the venue's matching. response: back."""

    feed: Latency
    order_entry: Latency
    response: Latency

    @classmethod
    def none(cls) -> Latencies:
        """No latency at all: for a feed whose stamps hold it already, and for tests."""
        return cls(Constant(0), Constant(0), Constant(0))


class FeeModel(StrEnum):
    """LISTING: the listing's maker and taker rates with its cap, rebates included. ZERO: no fees."""

    LISTING = "listing"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Queue:
    """How a resting order comes to the front.

    It joins behind all that is displayed at its price. Trades at the price use up what stands ahead; so does
    the plain bound that no more can be ahead than is displayed. cancels_ahead: the part of every unexplained
    decrease of the displayed size that was ahead of us; 0, the default, is the risk-averse model.
    refresh_s: liquidity that we took counts as renewed after so long even where the display never changed;
    None: only a change of the display renews it.
    """

    cancels_ahead: Decimal = Decimal(0)
    refresh_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.cancels_ahead <= 1 or (self.refresh_s is not None and not self.refresh_s > 0):
            raise _refuse(
                "PAPER_QUEUE", "the queue model has no sense", self, "cancels_ahead in [0, 1], refresh_s > 0"
            )


@dataclass(frozen=True, slots=True)
class PriceBand:
    """How far through the reference price (mark, else mid) an order may be priced: the larger of both."""

    fraction: Decimal
    ticks: int = 0

    def __post_init__(self) -> None:
        if self.fraction < 0 or self.ticks < 0:
            raise _refuse("PAPER_BAND", "the price band is negative", self, "fraction and ticks >= 0")

    def width(self, reference: Decimal, tick: Decimal) -> Decimal:
        """The distance allowed, in the venue's quotation."""
        return max(self.fraction * reference, self.ticks * tick)


#: Headroom of the account in USD (equity less initial margin) were the given trades done as well, signed
#: order units by listing, worst case; None: it cannot be told, and the order passes with a warning counted.
Margin = Callable[[Book, Sequence[tuple[Listing, Decimal]], Market], float | None]


class Duplicates(StrEnum):
    """What a client id seen before does: it is refused, as on most venues, or a second order stands beside
    the first under one label, as on Deribit."""

    REFUSED = "refused"
    SECOND_ORDER = "second_order"


@dataclass(frozen=True, slots=True)
class PaperTerms:
    """All that the paper venue is told. fees, latency, queue and margin must be stated.

    margin: a `Margin`, or None, said aloud: not modelled; margin_unknown: the model that was asked for and
    cannot be had, for the report.
    price_band: None: prices are not banded. duplicates: as there. combos: it takes `ComboOrder`s.
    order_rate, order_burst: new orders a second for long, and at once; cancels are free.
    dead_man_s: all orders are cancelled when `refresh` was not heard for so long; None: there is no timer.
    cancel_on_disconnect: a lost session cancels all orders. timeout_s: after it a request has no answer.
    gap_s: a feed silent for longer than this while orders rest is declared a gap.
    quote_age_s_max: what was quoted longer ago, by the venue's stamp, is no book to take from.
    """

    fees: FeeModel | Unstated = UNSTATED
    latency: Latencies | Unstated = UNSTATED
    queue: Queue | Unstated = UNSTATED
    margin: Margin | Unstated | None = UNSTATED
    margin_unknown: str = ""
    price_band: PriceBand | None = None
    combos: bool = False
    duplicates: Duplicates = Duplicates.REFUSED
    order_rate: float = 5.0
    order_burst: int = 20
    dead_man_s: float | None = None
    cancel_on_disconnect: bool = False
    timeout_s: float = 5.0
    gap_s: float = 60.0
    quote_age_s_max: float = 600.0

    def stated(self) -> StatedTerms:
        """The terms, once everything that must be stated is.

        Raises:
            InputError: a term is missing, or a number is out of range.
        """
        missing = [f.name for f in fields(self) if getattr(self, f.name) is UNSTATED]
        if (
            isinstance(self.fees, Unstated)
            or isinstance(self.latency, Unstated)
            or isinstance(self.queue, Unstated)
            or isinstance(self.margin, Unstated)
        ):
            raise InputError(
                "PAPER_TERMS_UNSTATED",
                "the paper venue was not told everything it must know",
                where="paper venue",
                observed=f"not stated: {', '.join(missing)}",
                allowed="a fee, a latency, a queue and a margin model, or an explicit zero or none",
                not_done="nothing was started",
                fix="state each of them",
            )
        dead_man_s = 1.0 if self.dead_man_s is None else self.dead_man_s
        numbers = (self.order_rate, self.timeout_s, self.gap_s, self.quote_age_s_max, dead_man_s)
        if not all(0 < x < math.inf for x in numbers) or self.order_burst < 1:
            raise _refuse(
                "PAPER_TERMS",
                "a term is out of range",
                f"order_rate {self.order_rate}, order_burst {self.order_burst}, timeout_s {self.timeout_s}, "
                f"gap_s {self.gap_s}, quote_age_s_max {self.quote_age_s_max}, dead_man_s {self.dead_man_s}",
                "positive numbers, order_burst >= 1",
            )
        return StatedTerms(self.fees, self.latency, self.queue, self.margin, self)


@dataclass(frozen=True, slots=True)
class StatedTerms:
    """`PaperTerms` with everything stated; only `PaperTerms.stated` makes it."""

    fees: FeeModel
    latency: Latencies
    queue: Queue
    margin: Margin | None
    rules: PaperTerms
