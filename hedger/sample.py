"""A seeded market maker's book on a real or simulated chain, for the demo and for studies."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from pricing.contracts import Kind
from pricing.market import Flag, Market
from pricing.valuation import MarkStatus, Valuation
from risk.book import Book, CashKey, Position
from risk.exposures import DAYS_PER_YEAR


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """positions: options per underlying. notional_usd: typical size of one, USD of underlying.
    delta, days: the chain's part it is drawn from. coin_usd, stable_usd: cash, USD."""

    positions: int = 40
    notional_usd: float = 300_000.0
    delta: tuple[float, float] = (0.05, 0.95)
    days: tuple[float, float] = (0.5, 200.0)
    coin_usd: float = 2_000_000.0
    stable_usd: float = 1_000_000.0


#: The book of the demo, and of whoever runs without one of his own.
DEMO_BOOK = SampleSettings(positions=24, notional_usd=1_500_000.0)


def market_maker_book(
    market: Market, valuation: Valuation, seed: int, age_s_max: float, settings: SampleSettings | None = None
) -> Book:
    """Random short and long options on every underlying, coin balances, and a perpetual against their delta.

    A market maker sells more than he buys: six positions of ten are short. Sizes are lognormal around
    the typical size, in whole lots. The perpetual is drawn around the options' delta, so that delta is
    near its band rather than at the mercy of the draw.
    """
    chosen = settings or SampleSettings()
    rng = np.random.default_rng(seed)
    universe = market.universe
    venue = universe.listings[0].venue if len(universe) else ""
    sound = (market.flags(age_s_max) == Flag.OK) & (valuation.status == MarkStatus.OK)
    with np.errstate(invalid="ignore"):
        delta = np.abs(valuation.usd.delta / universe.size)
        days = valuation.years * DAYS_PER_YEAR
        fit = (delta >= chosen.delta[0]) & (delta <= chosen.delta[1])
        fit &= (days >= chosen.days[0]) & (days <= chosen.days[1])
    positions: list[Position] = []
    cash: dict[CashKey, Decimal] = {}
    for u, name in enumerate(universe.underlyings):
        mine = sound & (universe.underlying == u)
        options = np.flatnonzero(mine & universe.is_option & fit)
        perps = np.flatnonzero(mine & (universe.kind == Kind.PERPETUAL) & universe.inverse)
        if options.size == 0 or perps.size == 0:
            continue
        spot = float(valuation.spot[u])
        picked = np.sort(rng.choice(options, size=min(chosen.positions, options.size), replace=False))
        side = np.where(rng.random(picked.size) < 0.6, -1.0, 1.0)
        coins = chosen.notional_usd / spot * rng.lognormal(-0.25, 0.7, picked.size)
        total = 0.0
        for i, amount in zip(picked.tolist(), (side * coins).tolist(), strict=True):
            listing = universe.listings[i]
            lots = max(round(abs(amount) / float(listing.lot)), int(listing.minimum / listing.lot), 1)
            quantity = listing.lot * lots * (1 if amount > 0 else -1)
            positions.append(Position(listing, "", quantity))
            total += float(quantity) * float(valuation.usd.delta[i])
        balance = Decimal(repr(round(chosen.coin_usd / spot, 4)))
        cash[(venue, "", name)] = balance
        wanted = -(total + float(balance)) * rng.uniform(0.7, 1.3)
        perp = universe.listings[int(perps[0])]
        dollars = perp.quantize_quantity(round(wanted / float(valuation.usd.delta[perps[0]])))
        if dollars:
            positions.append(Position(perp, "", dollars))
    cash[(venue, "", "USDC")] = Decimal(repr(round(chosen.stable_usd, 2)))
    return Book.of(positions, cash)
