"""What the loopback exchanges speak of: instruments, orders, fills, marks, refusals, and the news of them.

Nothing here or in the other modules of the core imports the project: an exchange that shared its arithmetic
with the engine would repeat the engine's mistakes. Quantities are in the venue's own order unit (Deribit
inverse futures: USD; OKX: contracts), money is Decimal, times are integer ns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)
ONE = Decimal(1)

#: The rest of the market: it quotes, it trades, it is never short of funds.
HOUSE = "house"


class Kind(StrEnum):
    """What an instrument is."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"


class Side(StrEnum):
    """Of an order or of a trade's taker."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for buy."""
        return 1 if self is Side.BUY else -1

    @property
    def other(self) -> Side:
        """Whom it trades with."""
        return Side.SELL if self is Side.BUY else Side.BUY


class Life(StrEnum):
    """Where an order stands. A refused order never lives: `Exchange.submit` raises."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"


class TimeInForce(StrEnum):
    """How long an order stands."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class PostOnly(StrEnum):
    """What becomes of an order that must not take and would."""

    OFF = "off"
    REJECT = "reject"  # the exchange refuses it
    REPRICE = "reprice"  # one tick off the touch
    CANCEL = "cancel"  # accepted, and cancelled at once (OKX, Bybit)


class DuplicateRule(StrEnum):
    """What a client order id that was seen before means."""

    ALLOWED = "allowed"  # Deribit labels
    OPEN = "open"  # refused while the first is open (Binance)
    EVER = "ever"  # refused for good (OKX, Bybit)


class Reason(StrEnum):
    """Why an exchange says no; each dialect has its own code for each."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    NOT_TRADING = "not_trading"  # not yet, no longer, or book closed
    BAD_TICK = "bad_tick"
    BAD_LOT = "bad_lot"
    TOO_SMALL = "too_small"
    BAD_PRICE = "bad_price"  # missing, not positive, not a number
    PRICE_TOO_HIGH = "price_too_high"
    PRICE_TOO_LOW = "price_too_low"
    NO_FUNDS = "no_funds"
    WOULD_TAKE = "would_take"  # post-only
    NOT_REDUCING = "not_reducing"
    DUPLICATE = "duplicate"
    NOT_FOUND = "not_found"
    ALREADY_CLOSED = "already_closed"
    TOO_MANY_ORDERS = "too_many_orders"
    MAINTENANCE = "maintenance"
    SETTLING = "settling"


class Refusal(Exception):
    """The exchange says no, and nothing has happened."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        super().__init__(text or reason.value)
        self.reason = reason
        self.text = text


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract as the exchange lists it.

    multiplier: base coins per unit of quantity; for inverse futures and perpetuals USD per unit of quantity.
    inverse: futures: value is quantity x multiplier / price coins; options: price and premium in coins.
    ticks: (from price, tick) rising; the first begins at 0. fee_cap: share of an option's premium.
    fee_of_index: an option's fee rate applies to the underlying, not the premium.
    index: name of the underlying's index, such as "BTC" or "BTC_USDC"; the key of `Exchange.indices`.
    """

    symbol: str
    kind: Kind
    base: str
    quote: str
    settle: str
    index: str
    ticks: tuple[tuple[Decimal, Decimal], ...]
    lot: Decimal
    minimum: Decimal
    multiplier: Decimal = ONE
    inverse: bool = False
    maker_fee: Decimal = ZERO
    taker_fee: Decimal = ZERO
    fee_cap: Decimal | None = None
    initial_margin: Decimal = Decimal("0.02")
    maintenance_margin: Decimal = Decimal("0.01")
    expiry_ns: int | None = None
    strike: Decimal | None = None
    right: str = ""  # "C" or "P"
    created_ns: int = 0
    active: bool = True
    number: int = 0  # the venue's own numeric id, where it has one

    def tick_at(self, price: Decimal) -> Decimal:
        """The tick that holds at a price."""
        return next(tick for start, tick in reversed(self.ticks) if price >= start or start == 0)

    def value(self, quantity: Decimal, price: Decimal) -> Decimal:
        """What a quantity is worth at a price, in the settlement currency; signed as the quantity."""
        if self.inverse and self.kind in (Kind.PERPETUAL, Kind.FUTURE):
            return quantity * self.multiplier / price
        return quantity * self.multiplier * price


@dataclass(frozen=True, slots=True)
class Mark:
    """What the exchange publishes of an instrument beside its book; Greeks in USD, vega per vol point.

    iv: 1.0 = 100 %. None where it does not apply.
    """

    price: Decimal
    forward: Decimal | None = None
    forward_name: str = ""
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    rho: float | None = None
    funding_rate: Decimal | None = None  # per 8 hours
    open_interest: Decimal = ZERO


@dataclass(slots=True, eq=False)
class Order:
    """An order the exchange has accepted. `price` None: market. Mutable: the exchange's own record."""

    order_id: int
    account: str
    client_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    post_only: PostOnly
    reduce_only: bool
    created_ns: int
    updated_ns: int
    filled: Decimal = ZERO
    filled_value: Decimal = ZERO  # sum of quantity x price, for the average
    fee: Decimal = ZERO
    life: Life = Life.OPEN
    why: str = ""  # why it ended: "user", "ioc", "fok", "disconnect", "countdown", "expiry", ...
    replaced: bool = False
    session: str = ""  # the connection that made it
    tag: str = ""  # the dialect's own note
    queue: int = 0  # rank in time at its price: lower first

    @property
    def symbol(self) -> str:
        """Of its instrument."""
        return self.instrument.symbol

    @property
    def remaining(self) -> Decimal:
        """What may still fill."""
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal | None:
        """Average price of what has filled."""
        return self.filled_value / self.filled if self.filled else None


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution as one account sees it."""

    trade_id: int
    trade_seq: int
    order_id: int
    account: str
    client_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    maker: bool
    fee: Decimal
    fee_currency: str
    ns: int
    mark: Decimal
    index: Decimal
    why: str = "trade"  # or "liquidation", "adl", "settlement"
    realised: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One execution as everybody sees it; side is the taker's."""

    trade_id: int
    trade_seq: int
    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    ns: int
    mark: Decimal
    index: Decimal
    tick_direction: int = 0


# ---- what listeners are told


@dataclass(frozen=True, slots=True)
class OrderNews:
    """An order began, changed or ended."""

    order: Order


@dataclass(frozen=True, slots=True)
class FillNews:
    """An account traded."""

    fill: Fill
    order: Order | None


@dataclass(frozen=True, slots=True)
class TradeNews:
    """Everybody's news of an execution."""

    trade: PublicTrade


@dataclass(frozen=True, slots=True)
class BookNews:
    """What changed in a book. changes: (side, price, quantity now there, quantity before)."""

    symbol: str
    change_id: int
    prev_change_id: int
    changes: tuple[tuple[Side, Decimal, Decimal, Decimal], ...]
    ns: int


@dataclass(frozen=True, slots=True)
class MarkNews:
    """An instrument's mark, index or touch changed."""

    symbol: str


@dataclass(frozen=True, slots=True)
class AccountNews:
    """A balance, position or margin changed. symbol "" where no position did."""

    account: str
    currency: str
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentNews:
    """Listed, changed or gone. state: "created", "changed", "closed", "settled"."""

    instrument: Instrument
    state: str


@dataclass(frozen=True, slots=True)
class PlatformNews:
    """The exchange as a whole: maintenance begins or ends."""

    maintenance: bool


News = OrderNews | FillNews | TradeNews | BookNews | MarkNews | AccountNews | InstrumentNews | PlatformNews


@dataclass(slots=True)
class Position:
    """What an account holds. entry: value when entered, settlement currency, signed as quantity."""

    instrument: Instrument
    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def average(self) -> Decimal:
        """Average entry price; 0 where flat."""
        if not self.quantity or not self.entry:
            return ZERO
        size = self.quantity * self.instrument.multiplier
        if self.instrument.inverse and self.instrument.kind in (Kind.PERPETUAL, Kind.FUTURE):
            return size / self.entry
        return self.entry / size

    def unrealised(self, price: Decimal) -> Decimal:
        """Gain at a price over the entry, settlement currency."""
        worth = self.instrument.value(self.quantity, price)
        if self.instrument.inverse and self.instrument.kind in (Kind.PERPETUAL, Kind.FUTURE):
            return self.entry - worth
        return worth - self.entry


@dataclass(slots=True)
class Account:
    """Whose orders they are. balances: cash by currency; premiums and realised gains are in it. loans: what
    is borrowed on top of it, where the venue lends."""

    name: str
    number: int
    balances: dict[str, Decimal] = field(default_factory=dict)
    loans: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    leverage: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ApiKey:
    """A key to an account. scopes: words of the dialect; revoked keys answer as unknown ones."""

    key: str
    secret: str
    account: str
    passphrase: str = ""
    scopes: tuple[str, ...] = ("read", "trade")
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """An account in one currency: cash, worth and margin, all in that currency."""

    currency: str
    balance: Decimal
    futures_upl: Decimal
    futures_rpl: Decimal
    options_value: Decimal
    options_upl: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    order_margin: Decimal

    @property
    def margin_balance(self) -> Decimal:
        """Cash and the futures' open gain."""
        return self.balance + self.futures_upl

    @property
    def equity(self) -> Decimal:
        """Margin balance and what the options are worth."""
        return self.margin_balance + self.options_value

    @property
    def available(self) -> Decimal:
        """What new orders may bind."""
        return self.margin_balance - self.initial_margin - self.order_margin
