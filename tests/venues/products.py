"""Every product of every venue on its loopback exchange, as a stage for the trials.

Sizes and units stand here as the venues' own documents have them, not as the adapters find them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from pricing.contracts import Kind, Listing, Option, Side
from tests.exchanges.binance import binance
from tests.exchanges.binance_words import wallet
from tests.exchanges.bybit import bybit
from tests.exchanges.deribit import deribit
from tests.exchanges.deribit_auth import Credits
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.okx import okx
from tests.exchanges.server import Dialect as Served
from tests.exchanges.server import Host, serve
from tests.exchanges.words import Side as There
from tests.exchanges.world import World
from tests.venues import cex_desk, deribit_desk
from tests.venues.trials import Stage
from venues import cex_binance, cex_bybit, cex_hyperliquid, cex_okx
from venues.cex import CexVenue
from venues.deribit import DeribitVenue
from venues.orders import Order

#: At what a product is settled in the trials, USD per coin.
SETTLED_AT = Decimal("61234.5")
Adapter = CexVenue | DeribitVenue


@dataclass(frozen=True, slots=True)
class Product:
    """What is traded, all of it on BTC. size and unit: natural units per order unit, and what is counted.
    lots: of a trial's orders."""

    venue: str
    kind: Kind
    settlement: str
    inverse: bool
    size: str
    unit: str
    lots: int = 2

    def __str__(self) -> str:
        return f"{self.venue}-{self.kind.name.lower()}-{self.settlement}"

    def is_it(self, listing: Listing) -> bool:
        """Whether a listing is one."""
        contract = listing.contract
        return (contract.underlying, contract.kind, contract.settlement, contract.inverse) == (
            "BTC",
            self.kind,
            self.settlement,
            self.inverse,
        )


def _rows(venue: str, *rows: tuple[Kind, str, bool, str, str]) -> tuple[Product, ...]:
    return tuple(Product(venue, *row) for row in rows)


SPOT, PERPETUAL, FUTURE, OPTION = Kind.SPOT, Kind.PERPETUAL, Kind.FUTURE, Kind.OPTION
PRODUCTS = (
    *_rows(
        "deribit",
        (OPTION, "BTC", True, "1", "BTC"),
        (OPTION, "USDC", False, "1", "BTC"),
        (PERPETUAL, "BTC", True, "1", "USD"),
        (PERPETUAL, "USDC", False, "1", "BTC"),
        (FUTURE, "BTC", True, "1", "USD"),
        (SPOT, "USDC", False, "1", "BTC"),
    ),
    *_rows(
        "okx",
        (OPTION, "BTC", True, "0.01", "contracts"),
        (PERPETUAL, "BTC", True, "100", "contracts"),
        (PERPETUAL, "USDT", False, "0.01", "contracts"),
        (FUTURE, "BTC", True, "100", "contracts"),
        (SPOT, "USDT", False, "1", "BTC"),
    ),
    *_rows(
        "bybit",
        (OPTION, "USDT", False, "1", "BTC"),
        (OPTION, "USDC", False, "1", "BTC"),
        (PERPETUAL, "BTC", True, "1", "USD"),
        (PERPETUAL, "USDT", False, "1", "BTC"),
        (FUTURE, "BTC", True, "1", "USD"),
        (SPOT, "USDT", False, "1", "BTC"),
    ),
    *_rows("binance", (OPTION, "USDT", False, "1", "BTC"), (SPOT, "USDT", False, "1", "BTC")),
    *_rows("binanceusdm", (PERPETUAL, "USDT", False, "1", "BTC"), (FUTURE, "USDT", False, "1", "BTC")),
    *_rows(
        "binancecoinm",
        (PERPETUAL, "BTC", True, "100", "contracts"),
        (FUTURE, "BTC", True, "100", "contracts"),
    ),
    Product("hyperliquid", PERPETUAL, "USDC", False, "1", "BTC", lots=200),  # at least 10 USD
)


_Make = Callable[[], tuple[Served, World]]
#: The loopback exchange of a venue, its dialect here, and where the library finds it; Deribit has no library.
EXCHANGES: dict[str, tuple[_Make, Callable[[], Any] | None, Callable[[str], dict[str, Any]]]] = {
    "deribit": (lambda: deribit(credits=Credits(matching_burst=1000)), None, lambda _: {}),
    "okx": (lambda: okx(limits={}), cex_okx.Okx, cex_okx.addresses),
    "bybit": (lambda: bybit(limits={}), cex_bybit.Bybit, cex_bybit.addresses),
    "hyperliquid": (
        lambda: hyperliquid(limits={}),
        cex_hyperliquid.Hyperliquid,
        cex_hyperliquid.addresses,
    ),
    **{
        name: (lambda: binance(limits={}), partial(cex_binance.Binance, name), cex_binance.addresses)
        for name in ("binance", "binanceusdm", "binancecoinm")
    },
}


def adapter_at(name: str, host: Host, *, signed: bool = True, trades: bool = False) -> Adapter:
    """An adapter of a venue on its exchange, not started."""
    _, dialect, addresses = EXCHANGES[name]
    if dialect is None:
        return deribit_desk.venue_at(host, signed=signed, trades=trades)
    settings = replace(cex_desk.QUICK, trades=trades)
    return cex_desk.adapter_on(dialect(), host, addresses, settings=settings, signed=signed)


@dataclass(frozen=True, slots=True)
class Market:
    """One product of a venue, an adapter that is up, and what happens there. again: another adapter."""

    venue: Adapter
    listing: Listing
    scene: Scene
    again: Callable[[], AbstractAsyncContextManager[Adapter]]


@asynccontextmanager
async def market_of(product: Product, *, signed: bool = True, trades: bool = False) -> AsyncIterator[Market]:
    """A fresh exchange, an adapter that is up on it, and one listing of the product."""
    dialect, world = EXCHANGES[product.venue][0]()
    async with serve(dialect) as host:

        @asynccontextmanager
        async def started() -> AsyncIterator[Adapter]:
            venue = adapter_at(product.venue, host, signed=signed, trades=trades)
            try:
                await venue.start()
                yield venue
            finally:
                await venue.close()

        async with started() as venue:
            listing = _chosen(product, await venue.listings())
            assert (listing.size, listing.unit) == (Decimal(product.size), product.unit)
            yield Market(venue, listing, Scene(host, world, listing, _key(host, listing)), started)


@asynccontextmanager
async def staged(product: Product) -> AsyncIterator[Stage]:
    """The product as a stage for the trials."""
    async with market_of(product) as market:
        listing, scene = market.listing, market.scene
        yield Stage(
            market.venue,
            listing,
            max(product.lots * listing.lot, 2 * listing.minimum),
            scene.price,
            patience_s=4.0,
            touch=scene.touch,
            others=scene.others,
            again=market.again,
            settle=scene.settle if listing.expiry_ns else None,
            truth=scene.held,
            person=scene.person if market.venue.capabilities.amends else None,
        )


def _chosen(product: Product, listings: Sequence[Listing]) -> Listing:
    """The one nearest the money of the last expiry."""
    found = [x for x in listings if product.is_it(x)]
    last = max(x.expiry_ns or 0 for x in found)
    return min(
        (x for x in found if (x.expiry_ns or 0) == last),
        key=lambda x: (abs(x.contract.strike - 60_000) if isinstance(x.contract, Option) else 0, x.symbol),
    )


def _key(host: Host, listing: Listing) -> str:
    """What the exchange itself calls a listing."""
    spot = f"spot:{listing.symbol.replace('/', '')}"
    is_spot = listing.contract.kind is Kind.SPOT and spot in host.exchange.instruments
    return spot if is_spot else listing.symbol


@dataclass(frozen=True, slots=True)
class Scene:
    """The market of one listing, and what others do in it."""

    host: Host
    world: World
    listing: Listing
    key: str

    def touch(self, side: Side) -> tuple[Decimal, Decimal]:
        """What an order of this side meets first."""
        book = self.host.exchange.books[self.key]
        (best,) = (book.asks if side is Side.BUY else book.bids).levels(1)
        return best

    def price(self, side: Side, marketable: bool) -> Decimal:
        """Through every level, or far from all of them."""
        near, far = self.touch(side)[0], self.touch(Side.SELL if side is Side.BUY else Side.BUY)[0]
        share = Decimal("0.05") if isinstance(self.listing.contract, Option) else Decimal("0.01")
        up = side is Side.BUY
        if marketable:
            return self.listing.quantize_price(near * (1 + share if up else 1 - share), side)
        return self.listing.quantize_price(far * (1 - 2 * share if up else 1 + 2 * share), side)

    def others(self, order: Order, quantity: Decimal) -> None:
        """Everybody else leaves the book, somebody trades with the order, and they come back."""
        exchange = self.host.exchange
        exchange.quote(self.key, (), ())
        taker = There.SELL if order.side is Side.BUY else There.BUY
        exchange.trade(self.key, taker, quantity, order.price)
        exchange.quote(self.key, *self.world.levels(exchange.instruments[self.key]))

    def person(self, order: Order, price: Decimal, quantity: Decimal) -> None:
        """Somebody amends the one order that rests here, by hand."""
        exchange = self.host.exchange
        (found,) = exchange.open_orders(self._account(), lambda x: x.symbol == self.key)
        exchange.amend(found.account, found.order_id, quantity, price)

    def settle(self) -> Decimal:
        """It expires."""
        self.host.exchange.settle(self.key, SETTLED_AT)
        return SETTLED_AT

    def held(self) -> Decimal:
        """What the account has of it by the exchange's own record; of spot what it traded, before fees."""
        exchange, account = self.host.exchange, self._account()
        fills = [f for f in exchange.fills(account) if f.instrument.symbol == self.key]
        traded = sum((f.side.sign * f.quantity for f in fills), Decimal(0))
        if self.listing.contract.kind is not Kind.SPOT:
            position = exchange.account(account).positions.get(self.key)
            assert (Decimal(0) if position is None else position.quantity) == traded
        return traded

    def _account(self) -> str:
        account = next(iter(self.host.exchange.keys.values())).account
        if self.listing.venue.startswith("binance"):
            return wallet(account, _WALLETS[self.listing.contract.kind, self.listing.contract.inverse])
        return str(account)


_WALLETS = {
    (SPOT, False): "spot",
    (OPTION, False): "option",
    (PERPETUAL, False): "linear",
    (FUTURE, False): "linear",
    (PERPETUAL, True): "inverse",
    (FUTURE, True): "inverse",
}
