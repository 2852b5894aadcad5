"""What exchanges say of an account's margin, by what draws on it.

Where a venue counts all currencies together the figures are of the pool, in USD, under `EVERY_CURRENCY`. What
is not told whole is left out: unknown, never zero. Where an answer can be read in two ways the larger
requirement and the smaller balance are taken.

Sources: docs.deribit.com "private/get_account_summaries"; okx.com/docs-v5 "Get balance";
bybit-exchange.github.io/docs/v5/account/wallet-balance;
developers.binance.com "Account Information" of each product and "Option Margin Account Information";
hyperliquid.gitbook.io "Retrieve user's perpetuals account summary"; the recorded answers that the tests read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from venues.orders import EVERY_CURRENCY, AccountMargin
from venues.wire.fields import NAN, Wire, items, only

Margins = dict[str, AccountMargin]
#: OKX, `acctLv`: where each currency stands by itself, and where all are one pool. 1 holds spot alone.
_OKX_APART, _OKX_POOLED, _OKX_PORTFOLIO = "2", ("3", "4"), "4"
_BYBIT_BY_POSITION = "REGULAR_MARGIN"
#: Deribit's models by which each position stands by itself.
_DERIBIT_BY_POSITION = ("segregated_sm", "cross_sm")


def deribit(summaries: object) -> Margins:
    """The `summaries` of `private/get_account_summaries`, by currency. Where coins back each other the venue
    gives each figure for all of them, in this currency, and beside it in USD: then these, of all together. A
    currency beside them that is not told whole is named, with NaN: it is no part of that pool.

    Raises:
        Malformed: a field is not as it must be.
    """
    found = Margins()
    names = ("margin_balance", "initial_margin", "maintenance_margin")
    pooled: list[tuple[bool, list[float]]] = []
    apart: list[str] = []
    for item in items(summaries, "summaries"):
        model, crossed = item.text_or("margin_model", ""), item.raw("cross_collateral_enabled")
        by_position = model in _DERIBIT_BY_POSITION
        if crossed is True or model.startswith("cross_"):
            pooled.append((by_position, [item.number(f"total_{name}_usd") for name in names]))
        else:
            apart.append(currency := item.text("currency"))
            if crossed is False:
                _put(found, currency, *(item.number(name) for name in names), by_position=by_position)
    if pooled:
        balances, initials, maintenances = zip(*(told for _, told in pooled), strict=True)
        most = (-_least(*(-x for x in each)) for each in (initials, maintenances))
        found = {currency: found.get(currency, AccountMargin(NAN, NAN, NAN)) for currency in apart}
        _put(found, EVERY_CURRENCY, _least(*balances), *most, by_position=all(each for each, _ in pooled))
    return found


def okx(account: object, balances: Mapping[str, Decimal], level: str) -> Margins:
    """The `data` of `account/balance`.

    balances: margin balance by currency, as read of the same answer. level: `acctLv` of `account/config`.

    Futures mode: by currency. `eq` holds the value of options, which backs nothing there, so the smaller of
    it and the margin balance; whether `imr` holds open orders is not told, so what they freeze is added.
    Multi-currency and portfolio: the account's, in USD, with orders; `adjEq` is what discounts leave.

    Raises:
        Malformed: a field is not as it must be.
    """
    row, found = only(account, "balance"), Margins()
    by_position = level != _OKX_PORTFOLIO
    if level in _OKX_POOLED:
        figures = (row.number("adjEq"), row.number("imr"), row.number("mmr"))
        _put(found, EVERY_CURRENCY, *figures, by_position=by_position)
    elif level == _OKX_APART:
        for item in row.items("details"):
            currency = item.text("ccy")
            balance = _least(item.number("eq"), float(balances.get(currency, NAN)))
            initial = item.number("imr") + item.number("ordFrozen")
            _put(found, currency, balance, initial, item.number("mmr"), by_position=by_position)
    return found


def bybit(wallet: object, mode: str) -> Margins:
    """The `list` of `account/wallet-balance` of a unified account, in USD.

    mode: `marginMode` of `account/info`.
    totalAvailableBalance = totalMarginBalance (of a portfolio: totalEquity) - haircut of collateral -
    totalInitialMargin; the haircut is told nowhere else. Isolated margin has none of these: texts are empty.

    Raises:
        Malformed: a field is not as it must be.
    """
    row, found = only(wallet, "wallet"), Margins()
    initial = row.number("totalInitialMargin")
    balance = _least(row.number("totalMarginBalance"), row.number("totalAvailableBalance") + initial)
    maintenance = row.number("totalMaintenanceMargin")
    by_position = mode == _BYBIT_BY_POSITION
    _put(found, EVERY_CURRENCY, balance, initial, maintenance, by_position=by_position)
    return found


def binance_usdm(account: object) -> Margins:
    """`/fapi/v2/account`: by asset, or in multi-assets mode of all of them in USD, after their haircuts.

    Raises:
        Malformed: a field is not as it must be.
    """
    item, found = Wire(account, "account"), Margins()
    pooled = item.raw("multiAssetsMargin")
    if pooled is False:
        return _by_asset(item)
    if pooled is True:
        initial = item.number("totalInitialMargin")
        balance = _least(item.number("totalMarginBalance"), item.number("availableBalance") + initial)
        _put(found, EVERY_CURRENCY, balance, initial, item.number("totalMaintMargin"), by_position=True)
    return found


def binance_coinm(account: object) -> Margins:
    """`/dapi/v1/account`: by coin, in coins.

    Raises:
        Malformed: a field is not as it must be.
    """
    return _by_asset(Wire(account, "account"))


def _by_asset(account: Wire) -> Margins:
    """initialMargin: of positions and of open orders. One symbol's margin knows nothing of another's."""
    found = Margins()
    for item in account.items("assets"):
        figures = (item.number("marginBalance"), item.number("initialMargin"), item.number("maintMargin"))
        _put(found, item.text("asset"), *figures, by_position=True)
    return found


def binance_options(assets: object) -> Margins:
    """The `asset` of the options' `marginAccount`.

    `equity` is `marginBalance` with the open gain of options: the smaller. `available` lacks more than
    initialMargin, what open orders bind among it: that which is not available counts as used. Whether
    positions are margined one by one is not told.

    Raises:
        Malformed: a field is not as it must be.
    """
    found = Margins()
    for item in items(assets, "asset"):
        balance = _least(item.number("marginBalance"), item.number("equity"))
        initial = -_least(-item.number("initialMargin"), item.number("available") - balance)
        _put(found, item.text("asset"), balance, initial, item.number("maintMargin"), by_position=False)
    return found


def binance_cash(balances: object) -> dict[str, float]:
    """The `balances` of spot's `account`: what is free, by asset, zeros as well.

    Raises:
        Malformed: a field is not as it must be.
    """
    told = {item.text("asset"): item.number("free") for item in items(balances, "balances")}
    return {asset: free for asset, free in told.items() if free >= 0.0}


def hyperliquid(state: object) -> Margins:
    """`clearinghouseState`, of cross margin, in USDC: what an isolated position holds backs no other.

    Of an account whose perpetuals are paid from its spot balances the venue tells too little here, which
    lets nothing out.

    Raises:
        Malformed: a field is not as it must be.
    """
    item, found = Wire(state, "clearinghouseState"), Margins()
    cross, whole = item.nested("crossMarginSummary"), item.nested("marginSummary")
    balance = _least(cross.number("accountValue"), whole.number("accountValue"))
    figures = (balance, cross.number("totalMarginUsed"), item.number("crossMaintenanceMarginUsed"))
    _put(found, "USDC", *figures, by_position=True)
    return found


def _put(
    found: Margins, what: str, balance: float, initial: float, maintenance: float, *, by_position: bool
) -> None:
    """What is told whole; a requirement below zero is none."""
    if math.isfinite(balance) and initial >= 0.0 and maintenance >= 0.0:
        found[what] = AccountMargin(balance, initial, maintenance, by_position)


def _least(*figures: float) -> float:
    """The smallest, NaN where one is unknown; `min` would drop it."""
    return NAN if any(map(math.isnan, figures)) else min(figures)
