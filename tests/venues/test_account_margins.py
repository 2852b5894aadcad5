"""The margin in an account's report, at each exchange on loopback, against the exchange's own books: after a
position, by the currency or in USD of all of them, and used up when the balance is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.exchanges.binance_words import wallet
from tests.venues.cex_desk import Desk, opened, run
from tests.venues.products import EXCHANGES
from venues.orders import EVERY_CURRENCY, OrderState

#: Symbol, quantity, what the margin stands under, and which of the exchange's accounts it is.
CASES: dict[str, tuple[str, str, str, str]] = {
    "okx": ("BTC-USDT-SWAP", "50", EVERY_CURRENCY, ""),
    "bybit": ("BTCUSDT", "0.5", EVERY_CURRENCY, ""),
    "binanceusdm": ("BTCUSDT", "0.5", "USDT", "linear"),
    "binancecoinm": ("BTCUSD_PERP", "200", "BTC", "inverse"),
    "hyperliquid": ("BTC", "0.5", "USDC", ""),
}
EVERY = pytest.mark.parametrize("name", list(CASES))


@asynccontextmanager
async def holding(name: str, **modes: Any) -> AsyncIterator[Desk]:
    """An adapter on an account that has bought."""
    make, dialect, addresses = EXCHANGES[name]
    assert dialect is not None
    symbol, quantity, _, _ = CASES[name]
    async with opened(dialect(), make()[0], addresses, symbol) as found:
        found.host.exchange.modes.update(modes)
        order = found.order(quantity, marketable=True)
        assert (await found.venue.submit(order)).state in (OrderState.FILLED, OrderState.OPEN)
        yield found


def books(found: Desk, name: str) -> tuple[str, Mapping[str, Any]]:
    """The exchange's account, and its own summaries by currency."""
    exchange, part = found.host.exchange, CASES[name][3]
    account = next(iter(exchange.keys.values())).account
    account = wallet(account, part) if part else account
    return account, {c: exchange.summary(account, c) for c in exchange.account(account).balances}


def in_usd(found: Desk, figures: Iterable[tuple[str, Decimal]]) -> float:
    return float(sum(x * found.host.exchange.indices.get(c, Decimal(1)) for c, x in figures))


@EVERY
def test_a_report_holds_the_exchanges_own_margin(name: str) -> None:
    async def work() -> None:
        async with holding(name) as found:
            told = (await found.venue.account(0)).margins[CASES[name][2]]
            _, held = books(found, name)
            if CASES[name][2] == EVERY_CURRENCY:
                balance = in_usd(found, ((c, s.margin_balance) for c, s in held.items()))
                initial = in_usd(found, ((c, s.initial_margin + s.order_margin) for c, s in held.items()))
                maintenance = in_usd(found, ((c, s.maintenance_margin) for c, s in held.items()))
            else:
                one = held[CASES[name][2]]
                balance, maintenance = float(one.margin_balance), float(one.maintenance_margin)
                initial = float(one.initial_margin + one.order_margin)
            assert initial > maintenance > 0
            assert (told.balance, told.initial, told.maintenance) == pytest.approx(
                (balance, initial, maintenance), rel=1e-6, abs=1e-8
            )
            assert told.by_position

    run(work())


@EVERY
def test_the_margin_of_an_account_that_has_lost_its_money_is_used_up(name: str) -> None:
    async def work() -> None:
        async with holding(name) as found:
            account, _ = books(found, name)
            money = found.host.exchange.account(account).balances
            for currency in money:
                money[currency] = Decimal("0.0001")
            told = (await found.venue.account(0)).margins[CASES[name][2]]
            assert told.initial > 0.8 * told.balance

    run(work())


def test_okx_tells_each_currency_by_itself_in_futures_mode_and_none_of_it_without_derivatives() -> None:
    async def work() -> None:
        async with holding("okx") as found:
            found.host.exchange.modes["acctLv"] = "2"
            told = (await found.venue.account(0)).margins
            usdt = books(found, "okx")[1]["USDT"]
            assert EVERY_CURRENCY not in told and {"USDT", "BTC"} <= told.keys()
            assert told["USDT"].initial == pytest.approx(float(usdt.initial_margin), rel=1e-6)
            assert told["BTC"].initial == told["BTC"].maintenance == 0.0
            found.host.exchange.modes["acctLv"] = "1"
            assert (await found.venue.account(0)).margins == {}

    run(work())


def test_isolated_margin_of_bybit_and_multi_assets_of_binance_are_told_as_they_are() -> None:
    async def work() -> None:
        async with holding("bybit") as found:
            found.host.exchange.modes["marginMode"] = "ISOLATED_MARGIN"
            assert (await found.venue.account(0)).margins == {}
        async with holding("binanceusdm") as found:
            found.host.exchange.modes["multiAssetsMargin"] = True
            assert (await found.venue.account(0)).margins.keys() == {EVERY_CURRENCY}

    run(work())


def test_spot_of_binance_tells_what_is_free_and_its_options_their_margin() -> None:
    async def work() -> None:
        make, dialect, addresses = EXCHANGES["binance"]
        assert dialect is not None
        async with opened(dialect(), make()[0], addresses, "BTCUSDT", key="spot:BTCUSDT") as found:
            exchange = found.host.exchange
            account = next(iter(exchange.keys.values())).account
            order = found.order("0.5", post_only=True)
            assert (await found.venue.submit(order)).state is OrderState.OPEN
            report = await found.venue.account(0)
            had = float(exchange.account(wallet(account, "spot")).balances["USDT"])
            assert report.cash is not None
            assert report.cash["USDT"] == pytest.approx(had - 0.5 * float(order.price), rel=1e-9)
            options = exchange.summary(wallet(account, "option"), "USDT")
            assert report.margins["USDT"].balance == pytest.approx(float(options.margin_balance), rel=1e-9)
            assert report.margins["USDT"].initial == 0.0

    run(work())
