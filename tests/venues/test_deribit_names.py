"""Deribit's names against ccxt, an independent reference, and against themselves."""

from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Contract, Future, Option, Perpetual, Right, Spot
from pricing.errors import InputError
from pricing.market import ForwardKind
from venues.deribit_names import forward_kind, instrument_name, parse_name, unified_symbol

DAY_NS = 86_400 * 10**9
#: Samples of nautilus_trader with an invented expiry at noon.
HAND_MADE = {"BTC-27DEC24", "BTC-27DEC24-100000-C"}
EXAMPLES: list[tuple[str, str, Contract]] = [
    (
        "BTC-27MAR26-70000-C",
        "BTC/USD:BTC-260327-70000-C",
        Option("BTC", "BTC", True, 1774598400 * 10**9, 70000.0, Right.CALL),
    ),
    (
        "ETH-1FEB26-2300-P",
        "ETH/USD:ETH-260201-2300-P",
        Option("ETH", "ETH", True, 1769932800 * 10**9, 2300.0, Right.PUT),
    ),
    (
        "BTC_USDC-25DEC26-60000-C",
        "BTC/USDC:USDC-261225-60000-C",
        Option("BTC", "USDC", False, 1798185600 * 10**9, 60000.0, Right.CALL),
    ),
    (
        "XRP_USDC-30JUN23-0d5-C",
        "XRP/USDC:USDC-230630-0.5-C",
        Option("XRP", "USDC", False, 1688112000 * 10**9, 0.5, Right.CALL),
    ),
    ("BTC-PERPETUAL", "BTC/USD:BTC", Perpetual("BTC", "BTC", True)),
    ("BTC_USDC-PERPETUAL", "BTC/USDC:USDC", Perpetual("BTC", "USDC", False)),
    ("BTC-27MAR26", "BTC/USD:BTC-260327", Future("BTC", "BTC", True, 1774598400 * 10**9)),
    ("BTC_USDC-27MAR26", "BTC/USDC:USDC-260327", Future("BTC", "USDC", False, 1774598400 * 10**9)),
    ("BTC_USDC", "BTC/USDC", Spot("BTC", "USDC")),
]


@pytest.mark.parametrize(("name", "symbol", "contract"), EXAMPLES)
def test_examples(name: str, symbol: str, contract: Contract) -> None:
    assert parse_name(name) == contract
    assert instrument_name(contract) == name
    assert unified_symbol(contract) == symbol


@pytest.mark.parametrize(
    "name",
    [
        "", "BTC", "btc-perpetual", "BTC-PERP", "BTC-PERPETUAL-C", " BTC-PERPETUAL", "BTC-PERPETUAL\n",
        "BTC_",
        "BTC_BTC", "BTC-31FEB26", "BTC-29FEB26", "BTC-0MAR26", "BTC-32MAR26", "BTC-07FEB26", "BTC-7XXX26",
        "BTC-7FEB2026", "BTC-7FEB26-70000", "BTC-7FEB26-70000-X", "BTC-7FEB26-0-C", "BTC-7FEB26-070000-C",
        "BTC-7FEB26-0d50-C", "BTC-7FEB26-1.5-C", "BTC-7FEB26-1d-C", "BTC-7FEB26--5-C", "BTC-7FEB26-NaN-C",
        "BTC-7FEB26-1234567890123456-C", "SYN.BTC-7FEB26", "BTC-FS-27MAR26_PERP", "BTC-CS-7FEB26-70000_72000",
        "BTC-7FEB26-\u0667-C", "BTC-\u0667FEB26", "\ud800",
    ],
)  # fmt: skip
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="not a Deribit instrument name") as caught:
        parse_name(name)
    assert "BTC-27MAR26-70000-C" in caught.value.allowed and caught.value.exit_code == 2


def test_a_contract_deribit_cannot_name_is_refused() -> None:
    for contract in (
        Future("BTC", "BTC", True, 1774598400 * 10**9 + 1),
        Option("BTC", "ETH", True, 1774598400 * 10**9, 1.0, Right.CALL),
        Option("BTC", "BTC", True, 1774598400 * 10**9, 0.1 + 0.2, Right.CALL),
    ):
        with pytest.raises(InputError):
            instrument_name(contract)


currencies = st.from_regex(r"[A-Z][A-Z0-9]{0,6}", fullmatch=True)
expiries = st.integers(0, 36_524).map(
    lambda n: (date(2000, 1, 1) + timedelta(n) - date(1970, 1, 1)).days * DAY_NS + DAY_NS // 3
)
strikes = st.one_of(st.integers(1, 10**9).map(float), st.decimals("0.0001", "999999", places=4).map(float))


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    base = draw(currencies)
    quote = draw(st.one_of(st.none(), currencies.filter(lambda c: c != base)))
    inverse, settlement = quote is None, quote or base
    kind = draw(st.sampled_from(["spot", "perpetual", "future", "option"]))
    if kind == "spot" and quote is not None:
        return Spot(base, quote)
    if kind == "future":
        return Future(base, settlement, inverse, draw(expiries))
    if kind == "option":
        strike = draw(strikes)
        return Option(base, settlement, inverse, draw(expiries), strike, draw(st.sampled_from(Right)))
    return Perpetual(base, settlement, inverse)


@given(contracts())
def test_contract_to_name_and_back(contract: Contract) -> None:
    name = instrument_name(contract)
    assert parse_name(name) == contract
    assert instrument_name(parse_name(name)) == name


@given(st.one_of(st.text(), st.from_regex(r"[A-Z_]{1,8}-[0-9]{1,2}[A-Z]{3}[0-9]{2}(-[0-9d.]{1,8}-[CPX])?")))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        contract = parse_name(text)
    except InputError:
        return
    assert instrument_name(contract) == text  # what parses has this one spelling


class RecordedDeribit(ccxt.deribit):  # type: ignore[misc]
    """ccxt's Deribit with recorded answers: its own parsing, no network."""

    recorded: list[dict[str, Any]]

    def __init__(self, instruments: list[dict[str, Any]]) -> None:
        super().__init__()
        self.recorded = instruments

    def public_get_get_instruments(self, params: object = None) -> dict[str, Any]:
        return {"result": self.recorded}

    def public_get_get_currencies(self, params: object = None) -> dict[str, Any]:
        return {"result": [{"currency": "BTC"}]}


def recorded_instruments(shared_data: Path) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((shared_data / "wire/nautilus/deribit").glob("http_get_instrument*.json")):
        result = json.loads(path.read_text())["result"]
        for item in result if isinstance(result, list) else [result]:
            found[item["instrument_name"]] = item
    with gzip.open(shared_data / "wire/cryptofeed/DERIBIT.0.txt.gz", "rt") as lines:
        for line in lines:
            if "get_instruments" in line:
                for item in json.loads(line.split(": ", 1)[1])["result"]:
                    found[item["instrument_name"]] = item
    return list(found.values())


def test_every_recorded_instrument_has_ccxts_unified_symbol(shared_data: Path) -> None:
    instruments = []
    for item in recorded_instruments(shared_data):
        if "combo" in item["kind"]:
            with pytest.raises(InputError):
                parse_name(item["instrument_name"])
            continue
        # the 2021 answers carry no settlement or counter currency: Deribit had inverse contracts only
        inverse = item["quote_currency"] in (item["base_currency"], "USD")
        item.setdefault("counter_currency", "USD" if inverse else item["quote_currency"])
        item.setdefault("settlement_currency", item["base_currency"] if inverse else item["quote_currency"])
        instruments.append(item)
    assert len(instruments) > 900
    markets = RecordedDeribit(instruments).fetch_markets()
    assert len(markets) == len(instruments)
    for market in markets:
        contract = parse_name(market["id"])
        assert unified_symbol(contract) == market["symbol"], market["id"]
        assert contract.inverse == bool(market["inverse"])
        assert (contract.underlying, contract.settlement) == (market["base"], market["settle"])
        if isinstance(contract, Option | Future) and market["id"] not in HAND_MADE:
            assert contract.expiry_ns == market["expiry"] * 10**6
        if isinstance(contract, Option):
            assert contract.strike == market["strike"]
            assert contract.right.value == ("C" if market["optionType"] == "call" else "P")


def test_unified_symbols_ccxt_makes_of_names_it_has_not_seen() -> None:
    exchange = ccxt.deribit()
    for name in ("BTC-27MAR26-70000-C", "ETH-1FEB26-2300-P", "BTC_USDC-25DEC26-60000-C"):
        assert unified_symbol(parse_name(name)) == exchange.safe_market(name)["symbol"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (None, ForwardKind.NONE),
        ("", ForwardKind.NONE),
        ("index_price", ForwardKind.INDEX),
        ("SYN.BTC-7FEB26", ForwardKind.SYNTHETIC),
        ("BTC-27MAR26", ForwardKind.LISTED_FUTURE),
    ],
)
def test_names_of_forwards(name: str | None, kind: ForwardKind) -> None:
    assert forward_kind(name) is kind
