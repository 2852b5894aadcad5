"""The shipped venue table: dates, numbers and refusals."""

from __future__ import annotations

import gzip
import json
import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest

from pricing.contracts import ComboRule, Fees, TickSteps
from pricing.errors import InputError
from venues.deribit_names import parse_name
from venues.venue_table import Product, VenueTable, product_of


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


DERIBIT = VenueTable.load("deribit")


def test_options_of_february_2026() -> None:
    terms = DERIBIT.terms("inverse_option", "BTC", at("2026-02-05"))
    assert terms.fees == Fees(
        Decimal("0.0003"), Decimal("0.0003"), Decimal("0.125"), ComboRule.CHEAPER_SIDE_FREE
    )
    assert terms.tick_steps == TickSteps.parse("0:0.0001;0.005:0.0005")
    assert (terms.lot, terms.minimum, terms.size) == (Decimal("0.1"), Decimal("0.1"), Decimal(1))
    assert terms.confirmed and terms.note is None and terms.source
    assert DERIBIT.terms("inverse_option", "ETH", at("2026-02-05")).lot == 1


@pytest.mark.parametrize(
    ("product", "currency", "day", "ticks"),
    [
        ("inverse_option", "BTC", "2023-07-05T23:59:59", "0:0.0005"),
        ("inverse_option", "BTC", "2023-07-06T00:00:00", "0:0.0001;0.005:0.0005"),
        ("inverse_perpetual", "BTC", "2026-02-05", "0:0.5"),
        ("inverse_perpetual", "ETH", "2026-02-05", "0:0.05"),
        ("inverse_future", "BTC", "2026-02-05", "0:2.5"),
        ("inverse_future", "ETH", "2026-02-05", "0:0.25"),
        ("inverse_future", "BTC", "2021-07-22", "0:0.5"),
        ("inverse_future", "ETH", "2021-07-22", "0:0.05"),
        ("spot", "BTC", "2026-02-05", "0:1"),
        ("spot", "ETH", "2026-02-05", "0:0.05"),
    ],
)
def test_ticks_by_day(product: str, currency: str, day: str, ticks: str) -> None:
    assert DERIBIT.terms(product, currency, at(day)).tick_steps == TickSteps.parse(ticks)


def test_fees_of_the_other_products() -> None:
    def fees(product: Product, currency: str = "BTC") -> Fees:
        return DERIBIT.terms(product, currency, at("2026-02-05")).fees

    half = Decimal("0.0005")
    assert fees(Product.INVERSE_PERPETUAL) == fees(Product.INVERSE_FUTURE) == Fees(Decimal(0), half)
    assert fees(Product.INVERSE_WEEKLY_FUTURE) == Fees(Decimal("-0.0001"), half)
    assert fees(Product.LINEAR_PERPETUAL, "ETH") == Fees(Decimal(0), half)
    assert fees(Product.LINEAR_OPTION) == Fees(Decimal("0.0001"), half, Decimal("0.125"))
    assert fees(Product.SPOT) == Fees(Decimal(0), Decimal(0))


def test_units_of_inverse_futures_are_usd() -> None:
    for currency, lot in (("BTC", 10), ("ETH", 1)):
        for product in ("inverse_perpetual", "inverse_future"):
            terms = DERIBIT.terms(product, currency, at("2026-02-05"))
            assert terms.lot == terms.minimum == lot and terms.size == 1


def test_the_recorded_testnet_and_mainnet_days_of_2020_and_2021_have_terms() -> None:
    for day in ("2020-09-12", "2021-02-11"):
        terms = DERIBIT.terms("inverse_option", "BTC", at(day))
        assert terms.fees.cap == Decimal("0.125") and not terms.confirmed


def test_after_the_unknown_schedule_the_last_known_terms_come_with_a_note() -> None:
    before = DERIBIT.terms("inverse_perpetual", "BTC", at("2026-07-31T23:59:59"))
    after = DERIBIT.terms("inverse_perpetual", "BTC", at("2026-08-01"))
    assert before.note is None
    assert after.fees == before.fees
    assert after.note is not None and "2026-08-01" in after.note and not after.confirmed
    rebate = DERIBIT.terms("inverse_weekly_future", "BTC", at("2026-08-01")).fees.maker
    assert rebate == 0  # the new schedule does not split futures by expiry: the dearer of the two


def test_before_the_first_terms_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        DERIBIT.terms("inverse_option", "BTC", at("2019-12-31T23:59:59"))
    message = str(caught.value)
    assert "2019-12-31" in message and "2020-01-01" in message and "deribit.toml" in message


@pytest.mark.parametrize(("product", "currency"), [("inverse_option", "SOL"), ("warrant", "BTC")])
def test_unknown_products_are_refused(product: str, currency: str) -> None:
    with pytest.raises(InputError) as caught:
        DERIBIT.terms(product, currency, at("2026-02-05"))
    assert "inverse_option" in caught.value.allowed


@pytest.mark.parametrize("venue", ["kraken", "", "../deribit", "deribit.toml"])
def test_unknown_venues_are_refused(venue: str) -> None:
    with pytest.raises(InputError, match="deribit"):
        VenueTable.load(venue)


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("BTC-23JUL21", Product.INVERSE_WEEKLY_FUTURE),  # settlement_period "week" in the recorded answers
        ("BTC-30JUL21", Product.INVERSE_FUTURE),  # "month"
        ("BTC-24SEP21", Product.INVERSE_FUTURE),
        ("BTC-7SEP26", Product.INVERSE_FUTURE),  # a daily: no rebate is assumed
        ("BTC_USDC-27MAR26", Product.LINEAR_FUTURE),
        ("BTC-27MAR26-70000-C", Product.INVERSE_OPTION),
        ("BTC_USDC-27MAR26-70000-C", Product.LINEAR_OPTION),
        ("BTC-PERPETUAL", Product.INVERSE_PERPETUAL),
        ("BTC_USDC", Product.SPOT),
    ],
)
def test_product_of(name: str, product: Product) -> None:
    assert product_of(parse_name(name)) is product


@pytest.mark.parametrize(
    "venue",
    ["deribit", "simulated", "okx", "bybit", "binance", "binanceusdm", "binancecoinm", "hyperliquid"],
)
def test_every_entry_is_complete_dated_and_sourced(venue: str) -> None:
    text = (resources.files("venues") / "tables" / f"{venue}.toml").read_text("utf-8")
    document = tomllib.loads(text, parse_float=Decimal)
    keys = {
        "product",
        "currencies",
        "effective_from",
        "maker",
        "taker",
        "tick_steps",
        "lot",
        "minimum",
        "size",
    }
    seen = set()
    for entry in document["terms"]:
        assert keys | {"source", "confirmed"} <= set(entry) <= keys | {"source", "confirmed", "cap", "combo"}
        assert ("cap" in entry) == entry["product"].endswith("option")
        assert "combo" not in entry or entry["product"].endswith("option")
        assert type(entry["effective_from"]) is date and entry["source"]
        for currency in entry["currencies"]:
            key = entry["product"], currency, entry["effective_from"]
            assert key not in seen
            seen.add(key)
    assert document["venue"] == venue
    assert venue != "deribit" or {product for product, _, _ in seen} == set(Product)


@pytest.mark.parametrize("currency", ["BTC", "ETH"])
def test_the_simulated_market_trades_on_deribits_terms(currency: str) -> None:
    day = at("2026-03-02")
    for product in ("inverse_option", "inverse_perpetual", "inverse_future", "spot"):
        ours = VenueTable.load("simulated").terms(product, currency, day)
        theirs = DERIBIT.terms(product, currency, day)
        for name in ("fees", "tick_steps", "lot", "minimum", "size"):
            assert getattr(ours, name) == getattr(theirs, name), (product, name)


def test_the_recorded_instruments_of_2021_agree(shared_data: Path) -> None:
    checked = 0
    with gzip.open(shared_data / "wire/cryptofeed/DERIBIT.0.txt.gz", "rt") as lines:
        for line in lines:
            if "currency=BTC" not in line and "currency=ETH" not in line:
                continue
            for item in json.loads(line.split(": ", 1)[1])["result"]:
                contract = parse_name(item["instrument_name"])
                terms = DERIBIT.terms(product_of(contract), contract.underlying, at("2021-07-22"))
                assert float(terms.fees.maker) == item["maker_commission"], item
                assert float(terms.fees.taker) == item["taker_commission"]
                assert float(terms.lot) == float(terms.minimum) == item["min_trade_amount"]
                assert [float(tick) for tick in terms.tick_steps.ticks] == [item["tick_size"]]
                checked += 1
    assert checked > 800
