"""What each exchange says of an account's margin: figures reckoned by hand, the unit that each is in, and
that one which is missing leaves the margin unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.wire import corpus
from venues.errors import Malformed
from venues.orders import EVERY_CURRENCY, AccountMargin
from venues.wire import margins, okx

Margins = dict[str, AccountMargin]
Read = Callable[[Mapping[str, Any]], Margins]

OKX = {"adjEq": "50000.5", "imr": "1200.25", "mmr": "300", "ordFroz": "200", "details": []}
#: Long options are worth 0.4 of the 10.4 BTC and back nothing; 0.3 is open gain, 9.7 cash.
OKX_BTC = {"ccy": "BTC", "eq": "10.4", "cashBal": "9.7", "imr": "1.25", "mmr": "0.5", "ordFrozen": "0.25"}
BYBIT = {
    "totalMarginBalance": "10000",
    "totalAvailableBalance": "7000.5",  # a haircut of 499.5 is in it
    "totalInitialMargin": "2500",
    "totalMaintenanceMargin": "900",
}
DERIBIT: dict[str, Any] = {
    "currency": "BTC",
    "margin_balance": "99.5",
    "initial_margin": "1.25",
    "maintenance_margin": "0.75",
    "margin_model": "segregated_sm",
    "cross_collateral_enabled": False,
}
#: As recorded: each coin's own figures are the pool's, in that coin.
CROSSED = {
    "currency": "BTC",
    "margin_balance": 0.00031639,
    "initial_margin": 9.92e-06,
    "maintenance_margin": 3.29e-06,
    "margin_model": "cross_sm",
    "cross_collateral_enabled": True,
    "total_margin_balance_usd": 25.710502678,
    "total_initial_margin_usd": 0.806292412,
    "total_maintenance_margin_usd": 0.2671726792,
}
ASSET = {"asset": "BTC", "marginBalance": "2.5", "initialMargin": "0.75", "maintMargin": "0.25"}
POOL = {
    "totalMarginBalance": "10000",
    "availableBalance": "6900",
    "totalInitialMargin": "3000",
    "totalMaintMargin": "1000",
    "multiAssetsMargin": True,
    "assets": [ASSET],
}
#: The venue's own example: 284 of the available is bound by orders beyond the margin of positions.
OPTIONS = {
    "asset": "USDT",
    "marginBalance": "10099.448",
    "equity": "10094.44662",
    "available": "8725.92524",
    "initialMargin": "1084.52138",
    "maintMargin": "151.00138",
}
SUMMARY = {"accountValue": "1736.5", "totalMarginUsed": "963.75"}
STATE = {
    "marginSummary": {"accountValue": "1800", "totalMarginUsed": "1100"},
    "crossMarginSummary": SUMMARY,
    "crossMaintenanceMarginUsed": "481.875",
}
HELD = {"BTC": Decimal("10.0")}


def okx_apart(row: Mapping[str, Any]) -> Margins:
    return margins.okx([{**OKX, "details": [row]}], HELD, "2")


def hyperliquid_with(row: Mapping[str, Any]) -> Margins:
    """A cross summary, and the maintenance margin beside it."""
    cross = {key: value for key, value in row.items() if key != "crossMaintenanceMarginUsed"}
    beside = {"crossMaintenanceMarginUsed": row.get("crossMaintenanceMarginUsed")}
    return margins.hyperliquid({**STATE, "crossMarginSummary": cross, **beside})


CROSS = {**SUMMARY, "crossMaintenanceMarginUsed": "481.875"}
#: Of each answer: its reader, the row, what it means, and the figures in it.
CASES: dict[str, tuple[Read, Mapping[str, Any], Margins, tuple[str, ...]]] = {
    "okx, multi-currency": (
        lambda x: margins.okx([x], HELD, "3"),
        OKX,
        {"*": AccountMargin(50000.5, 1200.25, 300.0, True)},
        ("adjEq", "imr", "mmr"),
    ),
    "okx, portfolio": (
        lambda x: margins.okx([x], HELD, "4"),
        OKX,
        {"*": AccountMargin(50000.5, 1200.25, 300.0, False)},
        ("adjEq", "imr", "mmr"),
    ),
    "okx, futures mode": (
        okx_apart,
        OKX_BTC,
        {"BTC": AccountMargin(10.0, 1.5, 0.5, True)},
        ("eq", "imr", "mmr", "ordFrozen"),
    ),
    "bybit": (
        lambda x: margins.bybit([x], "REGULAR_MARGIN"),
        BYBIT,
        {"*": AccountMargin(9500.5, 2500.0, 900.0, True)},
        tuple(BYBIT),
    ),
    "deribit": (
        lambda x: margins.deribit([x]),
        DERIBIT,
        {"BTC": AccountMargin(99.5, 1.25, 0.75, True)},
        ("margin_balance", "initial_margin", "maintenance_margin"),
    ),
    "deribit, cross": (
        lambda x: margins.deribit([x]),
        CROSSED,
        {"*": AccountMargin(25.710502678, 0.806292412, 0.2671726792, True)},
        ("total_margin_balance_usd", "total_initial_margin_usd", "total_maintenance_margin_usd"),
    ),
    "binanceusdm, single-asset": (
        lambda x: margins.binance_usdm({"multiAssetsMargin": False, "assets": [x]}),
        ASSET,
        {"BTC": AccountMargin(2.5, 0.75, 0.25, True)},
        ("marginBalance", "initialMargin", "maintMargin"),
    ),
    "binanceusdm, multi-assets": (
        margins.binance_usdm,
        POOL,
        {"*": AccountMargin(9900.0, 3000.0, 1000.0, True)},
        ("totalMarginBalance", "availableBalance", "totalInitialMargin", "totalMaintMargin"),
    ),
    "binancecoinm": (
        lambda x: margins.binance_coinm({"assets": [x]}),
        ASSET,
        {"BTC": AccountMargin(2.5, 0.75, 0.25, True)},
        ("marginBalance", "initialMargin", "maintMargin"),
    ),
    "binance, options": (
        lambda x: margins.binance_options([x]),
        OPTIONS,
        {"USDT": AccountMargin(10094.44662, 1368.52138, 151.00138, False)},
        ("marginBalance", "equity", "available", "initialMargin", "maintMargin"),
    ),
    "hyperliquid": (
        hyperliquid_with,
        CROSS,
        {"USDC": AccountMargin(1736.5, 963.75, 481.875, True)},
        ("accountValue", "totalMarginUsed", "crossMaintenanceMarginUsed"),
    ),
}
EVERY = pytest.mark.parametrize("case", list(CASES))


@EVERY
def test_the_figures_are_the_venues_in_the_unit_that_they_are_told_in(case: str) -> None:
    read, row, wanted, _ = CASES[case]
    found = read(row)
    assert found.keys() == wanted.keys()
    for name, told in found.items():
        hand = wanted[name]
        figures = (told.balance, told.initial, told.maintenance)
        assert figures == pytest.approx((hand.balance, hand.initial, hand.maintenance), rel=1e-12)
        assert told.by_position is hand.by_position


@EVERY
@pytest.mark.parametrize("instead", [None, ""])
def test_a_figure_that_is_missing_leaves_the_margin_unknown(case: str, instead: str | None) -> None:
    read, row, _, names = CASES[case]
    for name in names:
        assert read({**row, name: instead}) == {}, name
        assert read({key: value for key, value in row.items() if key != name}) == {}, name


@EVERY
def test_a_figure_that_is_none_is_refused_and_a_requirement_below_zero_is_unknown(case: str) -> None:
    read, row, _, names = CASES[case]
    for name in names:
        with pytest.raises(Malformed):
            read({**row, name: "much"})
    required = [name for name in names if "maint" in name.lower() or name == "mmr"]
    assert len(required) == 1 and read({**row, required[0]: "-5"}) == {}


@pytest.mark.parametrize("figure", ["initial_margin", "maintenance_margin"])
def test_deribits_requirement_below_zero_loosens_nothing_and_leaves_the_others(figure: str) -> None:
    other = DERIBIT | {"currency": "ETH"}
    assert margins.deribit([DERIBIT | {figure: -5.0}, other]).keys() == {"ETH"}


@pytest.mark.parametrize(("model", "by_position"), [("segregated_pm", False), (None, False)])
def test_deribits_model_says_whether_each_position_stands_by_itself(
    model: str | None, by_position: bool
) -> None:
    assert margins.deribit([DERIBIT | {"margin_model": model}])["BTC"].by_position is by_position
    pooled = CROSSED | {"margin_model": None if model is None else "cross_pm"}
    assert not margins.deribit([CROSSED, pooled])[EVERY_CURRENCY].by_position


def test_deribits_coins_that_back_each_other_are_one_pool_in_usd() -> None:
    """What is used of it in one coin is gone in all: under the name of a coin it would be counted anew."""
    ether = CROSSED | {"currency": "ETH", "margin_balance": 0.01089, "total_initial_margin_usd": 0.9}
    pool = {EVERY_CURRENCY: AccountMargin(25.710502678, 0.9, 0.2671726792, True)}
    assert margins.deribit([CROSSED, ether]) == pool
    assert margins.deribit([CROSSED, ether, CROSSED | {"total_margin_balance_usd": None}]) == {}
    (untold := dict(DERIBIT)).pop("cross_collateral_enabled")
    assert margins.deribit([untold]) == {}


@pytest.mark.parametrize("change", [{"initial_margin": -1.0}, {"cross_collateral_enabled": None}])
def test_deribits_coin_beside_a_pool_that_is_not_told_whole_is_unknown_and_not_of_the_pool(
    change: dict[str, Any],
) -> None:
    found = margins.deribit([CROSSED, DERIBIT | {"currency": "SOL"} | change])
    assert found.keys() == {"SOL", EVERY_CURRENCY}
    assert math.isnan(found["SOL"].balance) and found[EVERY_CURRENCY].balance == 25.710502678


def test_a_balance_may_be_below_zero() -> None:
    assert margins.okx([{**OKX, "adjEq": "-3.5"}], HELD, "3")["*"].balance == -3.5


def test_what_says_how_the_account_is_margined_decides_and_is_not_guessed() -> None:
    assert margins.okx([OKX], HELD, "1") == {}  # spot alone
    assert margins.binance_usdm({"assets": [ASSET]}) == {}
    assert margins.binance_usdm({"multiAssetsMargin": "false", "assets": [ASSET]}) == {}
    assert not margins.bybit([BYBIT], "PORTFOLIO_MARGIN")[EVERY_CURRENCY].by_position
    isolated = dict.fromkeys(BYBIT, "")
    assert margins.bybit([isolated], "ISOLATED_MARGIN") == {}
    with pytest.raises(Malformed):
        margins.okx([], HELD, "3")
    with pytest.raises(Malformed):
        margins.bybit([], "REGULAR_MARGIN")


def test_a_currency_whose_cash_is_not_told_is_unknown_in_futures_mode() -> None:
    assert margins.okx([{**OKX, "details": [OKX_BTC]}], {}, "2") == {}


def test_hyperliquid_takes_the_smaller_of_both_accounts() -> None:
    poorer = {**STATE, "marginSummary": {"accountValue": "1700"}}
    assert margins.hyperliquid(poorer)["USDC"].balance == 1700.0
    assert margins.hyperliquid({**STATE, "marginSummary": {}}) == {}


def test_cash_is_what_is_free_and_a_zero_is_told_as_such() -> None:
    rows = [{"asset": "USDT", "free": "12.5", "locked": "7"}, {"asset": "BTC", "free": "0", "locked": "0"}]
    assert margins.binance_cash(rows) == {"USDT": 12.5, "BTC": 0.0}
    assert margins.binance_cash([{"asset": "USDT", "locked": "7"}]) == {}
    with pytest.raises(Malformed):
        margins.binance_cash([{"asset": "USDT", "free": "much"}])


# ------------------------------------------------------------------------------------------ recorded answers


def test_recorded_answers_mean_what_they_say() -> None:
    """Recorded by others on the venues; the figures are read off the files."""
    (row,) = data = corpus.recorded_file("okx", "http_get_account_balance.json")["data"]
    found = margins.okx(data, okx.balances(data, []), "2")
    assert row["adjEq"] == "" and margins.okx(data, {}, "3") == {}
    assert found == {"USDT": AccountMargin(94.42612990333333, 0.0, 0.0, True)}
    wallet = corpus.recorded_file("bybit", "http_get_wallet_balance.json")["result"]["list"]
    assert margins.bybit(wallet, "REGULAR_MARGIN") == {"*": AccountMargin(3.00326056, 0.0, 0.0, True)}
    account = corpus.recorded_file("binance", "futures/http_json/account_info_v2.json")
    assert margins.binance_usdm(account)["USDT"] == AccountMargin(23.72469206, 0.0, 0.0, True)
