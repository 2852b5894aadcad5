"""What can be traded: contracts, and listings of them on a venue.

A contract says what is owned (Spot, Perpetual, Future, Option; settled in coin, "inverse", or in a
currency, "linear"). A `Listing` adds what a venue says about it: its name, order unit, ticks, lots, fees.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from enum import IntEnum, StrEnum

#: Currencies that count as US dollars in every sum. A depeg is a risk of its own, not a price.
STABLE_CURRENCIES = frozenset({"USD", "USDC", "USDT", "USDE", "BUSD", "DAI", "FDUSD", "PYUSD"})


class Kind(IntEnum):
    """Kind of contract, also the code in a Universe's `kind` column."""

    SPOT = 0
    PERPETUAL = 1
    FUTURE = 2
    OPTION = 3


class Right(StrEnum):
    """Right of an option."""

    CALL = "C"
    PUT = "P"

    @property
    def sign(self) -> int:
        """+1 for a call, -1 for a put."""
        return 1 if self is Right.CALL else -1


class Side(StrEnum):
    """Side of an order or a fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


@dataclass(frozen=True, slots=True)
class Spot:
    """The coin itself against a currency: buying pays `settlement` and receives `underlying`."""

    underlying: str
    settlement: str
    inverse: bool = False

    kind = Kind.SPOT


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A perpetual swap. Inverse: its size is in USD and it settles in the coin."""

    underlying: str
    settlement: str
    inverse: bool

    kind = Kind.PERPETUAL


@dataclass(frozen=True, slots=True)
class Future:
    """A dated future. Inverse: its size is in USD and it settles in the coin."""

    underlying: str
    settlement: str
    inverse: bool
    expiry_ns: int

    kind = Kind.FUTURE


@dataclass(frozen=True, slots=True)
class Option:
    """A European option on one coin. Inverse: premium and payoff are in the coin."""

    underlying: str
    settlement: str
    inverse: bool
    expiry_ns: int
    strike: float
    right: Right

    kind = Kind.OPTION


Contract = Spot | Perpetual | Future | Option


class ComboRule(StrEnum):
    """What a venue does to the fees of legs that trade as one combo."""

    NONE = "none"
    CHEAPER_SIDE_FREE = "cheaper_side_free"


@dataclass(frozen=True, slots=True)
class Fees:
    """Fee rates of a listing.

    maker, taker: options: coin per coin of underlying (0.0003 = 3 bp of the underlying);
        everything else: fraction of the notional. A negative rate is a rebate.
    cap: options only: the fee is at most this fraction of the option's price; None = no cap.
    combo: what happens to the fees of legs that trade as one combo.
    """

    maker: Decimal
    taker: Decimal
    cap: Decimal | None = None
    combo: ComboRule = ComboRule.NONE


@dataclass(frozen=True, slots=True)
class TickSteps:
    """Price increments: `ticks[i]` holds for prices above `above[i]`, up to and including `above[i + 1]`.

    >>> steps = TickSteps.parse("0:0.0001;0.005:0.0005")
    >>> steps.at(Decimal("0.005")), steps.at(Decimal("0.0051"))
    (Decimal('0.0001'), Decimal('0.0005'))
    """

    above: tuple[Decimal, ...]
    ticks: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        steps_ok = len(self.above) == len(self.ticks) > 0 and self.above[0] == 0
        if not steps_ok or list(self.above) != sorted(set(self.above)) or min(self.ticks) <= 0:
            raise ValueError(f"tick steps must start above 0 and rise, ticks > 0: {self.above} {self.ticks}")

    @classmethod
    def parse(cls, text: str) -> TickSteps:
        """Read the tape's form, `above:tick;above:tick`."""
        pairs = [part.split(":") for part in text.split(";")]
        return cls(tuple(Decimal(a) for a, _ in pairs), tuple(Decimal(t) for _, t in pairs))

    def __str__(self) -> str:
        return ";".join(f"{a}:{t}" for a, t in zip(self.above, self.ticks, strict=True))

    def at(self, price: Decimal) -> Decimal:
        """The tick that holds at a price."""
        return self.ticks[max(bisect_left(self.above, price) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Listing:
    """A contract on a venue.

    symbol: the venue's own name. size: natural units (coins; USD for inverse perpetuals and futures)
    in one order unit: 1 where the venue's order form already takes coins or USD, the contract's
    multiplier where it takes contracts. lot and minimum are in the order unit.
    """

    venue: str
    symbol: str
    contract: Contract
    tick_steps: TickSteps
    lot: Decimal
    minimum: Decimal
    fees: Fees
    size: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if self.lot <= 0 or self.minimum < 0 or self.size <= 0:
            raise ValueError(
                f"{self.symbol}: lot {self.lot}, minimum {self.minimum}, size {self.size}: not positive"
            )

    @property
    def key(self) -> tuple[str, str]:
        """(venue, symbol): what a listing is known by everywhere."""
        return self.venue, self.symbol

    def same_contract(self, other: Listing) -> bool:
        """Whether a unit of both is the same thing."""
        return (self.contract, self.size) == (other.contract, other.size)

    def same_terms(self, other: Listing) -> bool:
        """Whether both trade alike; fees are the account's own, and no matter here."""
        steps = self.tick_steps, self.lot, self.minimum
        return self.same_contract(other) and steps == (other.tick_steps, other.lot, other.minimum)

    @property
    def expiry_ns(self) -> int:
        """UTC nanoseconds when the contract expires, 0 where it never does."""
        return self.contract.expiry_ns if isinstance(self.contract, Option | Future) else 0

    @property
    def unit(self) -> str:
        """What one order unit is, for people: the coin's name, `USD` or `contracts`."""
        if self.size != 1:
            return "contracts"
        dollars = self.contract.inverse and self.contract.kind in (Kind.PERPETUAL, Kind.FUTURE)
        return "USD" if dollars else self.contract.underlying

    def quantize_price(self, price: float | Decimal, side: Side) -> Decimal:
        """The nearest tradable price that is no worse: down for a buy, up for a sell.

        >>> listing = Listing("deribit", "BTC-27MAR26-70000-C",
        ...     Option("BTC", "BTC", True, 0, 70000.0, Right.CALL), TickSteps.parse("0:0.0001;0.005:0.0005"),
        ...     Decimal("0.1"), Decimal("0.1"), Fees(Decimal("0.0003"), Decimal("0.0003"), Decimal("0.125")))
        >>> listing.quantize_price(0.0123, Side.BUY), listing.quantize_price(0.0123, Side.SELL)
        (Decimal('0.0120'), Decimal('0.0125'))
        """
        return self.price_floor(price) if side is Side.BUY else self.price_ceiling(price)

    def price_floor(self, price: float | Decimal) -> Decimal:
        """The highest tradable price that is not above `price`."""
        return self._on_tick(price, ROUND_FLOOR)

    def price_ceiling(self, price: float | Decimal) -> Decimal:
        """The lowest tradable price that is not below `price`."""
        return self._on_tick(price, ROUND_CEILING)

    def _on_tick(self, price: float | Decimal, rounding: str) -> Decimal:
        exact = price if isinstance(price, Decimal) else Decimal(repr(price))
        tick = self.tick_steps.at(exact)
        return (exact / tick).quantize(Decimal(1), rounding=rounding) * tick

    def quantize_quantity(self, quantity: float | Decimal) -> Decimal:
        """The largest whole number of lots that does not exceed `quantity`, sign kept; 0 below the minimum.

        A float within 1e-9 lots of a whole lot counts as that lot: 12.299999999999999 is 12.3.
        """
        exact = quantity if isinstance(quantity, Decimal) else Decimal(repr(quantity))
        lots = exact / self.lot
        nearest = lots.quantize(Decimal(1))
        whole = nearest if abs(lots - nearest) < Decimal("1e-9") else lots.quantize(Decimal(1), ROUND_DOWN)
        quantized = whole * self.lot
        return quantized if abs(quantized) >= self.minimum else Decimal(0)
