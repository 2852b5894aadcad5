"""What a trade does to the Greeks, reckoned a second time on a path of its own.

The plan's effects come from one matrix, made by compiled kernels and many array operations; a sign turned
there turns every hedge into its opposite. Here the same numbers come from one contract at a time, by bumping
a price: no code is shared with `pricing.black76` and `risk.exposures`. It is slower and less exact, and is
asked before an order leaves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pricing.contracts import Kind, Listing, Option
from pricing.valuation import Numeraire
from risk.limit_request import Facts

#: Days and buckets as the rows have them (README, "What a row means"), written out anew.
_BUCKETS = ((180.0, "180d+"), (90.0, "90-180d"), (30.0, "30-90d"), (7.0, "7-30d"), (0.0, "0-7d"))
_VOL_STEP = 1e-4


def independent_effect(
    listing: Listing, quantity: float, facts: Facts, numeraire: Numeraire, gamma_days_min: float
) -> Mapping[str, float]:
    """Change of the rows when `quantity` signed order units are bought and paid for at their value.

    USD numeraire: of an option paid in coin delta - V/F per coin, of one paid in dollars delta F/S; gamma and
    vega plain. Coin numeraire: the same of v = V/F in coin, per relative move; what settles in dollars is
    left out there, and so is spot. Perpetuals and futures: size/F, or F/S per coin.

    Returns:
        row name -> row units; NaN where a fact is missing; only the rows that this path can tell.
    """
    contract = listing.contract
    coins = quantity * float(listing.size)
    name = contract.underlying
    in_coin = numeraire is Numeraire.COIN
    if in_coin and not contract.inverse:
        return {}  # what a dollar counts against which coin is the desk's choice (`stable_underlying`)
    if isinstance(contract, Option):
        return _of_option(contract, coins, facts, in_coin, gamma_days_min)
    gamma = 0.0
    if contract.kind is Kind.SPOT:
        delta = coins * (facts.index / facts.index)  # not known where the index is not
    elif contract.inverse:
        delta = coins / facts.forward if facts.forward > 0 else math.nan
        gamma = -2.0 * delta if in_coin else 0.0
    else:
        delta = coins * facts.forward / facts.index if facts.index > 0 else math.nan
    return {
        f"delta:{name}": delta,
        f"gamma:{name}": gamma,
        f"gamma_expiring:{name}": 0.0,
        f"vega:{name}": 0.0,
    }


def _of_option(
    contract: Option, coins: float, facts: Facts, in_coin: bool, gamma_days_min: float
) -> dict[str, float]:
    """Price bumps: forward by a twentieth of a standard deviation, vol by 1e-4."""
    name = contract.underlying
    days = facts.years * 365.0
    expiring = days < gamma_days_min
    bucket = next((label for first, label in _BUCKETS if days >= first), _BUCKETS[-1][1])
    f, deviation = facts.forward, facts.vol * math.sqrt(max(facts.years, 0.0))
    if not (f > 0 and facts.index > 0 and deviation > 0):
        rows = ("delta", "gamma", "gamma_expiring", "vega")
        return {f"{row}:{name}": math.nan for row in rows} | {f"vega:{name}:{bucket}": math.nan}

    def worth(forward: float, vol: float) -> float:
        usd = _black(forward, contract.strike, facts.years, vol, contract.right.sign)
        return usd / forward if in_coin else usd

    step = 0.05 * deviation * f
    down, here, up = (worth(x, facts.vol) for x in (f - step, f, f + step))
    slope, bend = (up - down) / (2.0 * step), (up - 2.0 * here + down) / step**2
    vega = (worth(f, facts.vol + _VOL_STEP) - worth(f, facts.vol - _VOL_STEP)) / (2.0 * _VOL_STEP)
    if in_coin:
        delta, gamma = f * slope, f * f * bend
    else:
        delta, gamma = (slope - here / f if contract.inverse else slope * f / facts.index), bend
    return {
        f"delta:{name}": coins * delta,
        f"gamma:{name}": 0.0 if expiring else coins * gamma,
        f"gamma_expiring:{name}": coins * gamma if expiring else 0.0,
        f"vega:{name}": coins * vega,
        f"vega:{name}:{bucket}": coins * vega,
    }


def _black(forward: float, strike: float, years: float, vol: float, sign: int) -> float:
    """Black-76 through the error function, USD, undiscounted.

    >>> print(f"{_black(100.0, 100.0, 1.0, 0.2, 1):.6f}")
    7.965567
    """
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    return sign * (forward * _normal(sign * d1) - strike * _normal(sign * d2))


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))
