"""What venues send about options, as rows of a tape: one pure function per message, for recordings and live.

Deribit tickers; OKX `opt-summary` (and `option/summary` of 2020) with the index beside it; Bybit option
tickers; Binance option tickers and marks, old and new. Messages of other streams (trades, books) are known by
name and carry no Greeks: they give no row. What is neither is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NoReturn

from pricing.contracts import Option
from pricing.errors import InputError
from venues.deribit_tickers import ticker_row
from venues.import_options import ImportOptions
from venues.option_names import binance_option, bybit_option, contract_named, okx_option
from venues.ticker_fields import Fields
from venues.ticker_rows import NS_PER_MS, STAMPS_MS, Row

#: An index is put beside an option's Greeks that were stamped at most this much later or earlier, ms.
INDEX_AGE_MS_MAX = 60_000

#: Lists of messages within lists: deeper ones are no recording, and would exhaust the stack.
NESTED_MAX = 3

#: Binance quotes these per so many coins; its prices are not per coin and are left out.
BINANCE_COINS_PER_PRICE = {"XRP": 100, "DOGE": 1000}

_GREEKS = ("delta", "gamma", "vega", "theta")


class OptionMessages:
    """Reads messages in order; remembers the last index of each venue and coin, which comes by itself."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._index: dict[tuple[str, str], tuple[int, float]] = {}

    def rows(self, message: object, where: str, depth: int = 0) -> list[Row]:
        """The rows of one message; empty where it is of a stream without Greeks.

        Raises:
            InputError: no message of a known venue, or one with a field that cannot be what it says.
        """
        if isinstance(message, list) and depth < NESTED_MAX:
            return [
                row for i, item in enumerate(message) for row in self.rows(item, f"{where}[{i}]", depth + 1)
            ]
        if not isinstance(message, dict):
            _unknown(where, type(message).__name__)
        for knows, read in self._readers():
            if knows(message):
                return list(read(message, where))
        _unknown(where, f"keys {', '.join(sorted(map(str, message)))[:60]}")

    def _readers(self) -> list[tuple[Callable[[dict[str, Any]], bool], Callable[..., Iterator[Row]]]]:
        return [
            (lambda m: "jsonrpc" in m, self._deribit),
            (lambda m: "arg" in m or "table" in m or ("instId" in m and "markVol" in m), self._okx),
            (lambda m: "code" in m and "data" in m, self._okx),
            (lambda m: "topic" in m, self._bybit),
            (lambda m: {"success", "conn_id"} <= m.keys(), self._bybit),  # an answer to a request of ours
            (lambda m: "stream" in m, self._binance),
        ]

    # ------------------------------------------------------------------------------------------- Deribit

    def _deribit(self, message: Mapping[str, Any], where: str) -> Iterator[Row]:
        params = message.get("params")
        if not isinstance(params, dict):
            return
        channel = params.get("channel")
        if isinstance(channel, str) and channel.startswith("ticker."):
            yield ticker_row(params.get("data"), f"{where}, {channel}", self._options)

    # ----------------------------------------------------------------------------------------------- OKX

    def _okx(self, message: Mapping[str, Any], where: str) -> Iterator[Row]:
        arg = message.get("arg")
        channel = arg.get("channel") if isinstance(arg, dict) else message.get("table")
        items = message.get("data", [message] if "instId" in message else [])
        if not isinstance(items, list):
            _unknown(where, "data that is no list")
        vol_key = "mark_vol" if channel == "option/summary" else "markVol"
        for i, item in enumerate(items):
            fields = Fields(item, f"{where}, data[{i}]")
            if channel in ("index-tickers", "index/ticker"):
                self._okx_index(fields)
            elif channel in (None, "opt-summary", "option/summary") and fields.has(vol_key):
                yield self._okx_summary(fields)

    def _okx_index(self, fields: Fields) -> None:
        recent = fields.has("instId")
        name = fields.text("instId" if recent else "instrument_id")
        value = fields.written("idxPx" if recent else "last", "positive")
        if value is not None and name.endswith("-USD"):  # ETH-BTC is an index too, and no dollars
            self._index["okx", name.removesuffix("-USD")] = (_okx_stamp_ms(fields), value)

    def _okx_summary(self, fields: Fields) -> Row:
        recent = fields.has("instId")
        name = fields.text("instId" if recent else "instrument_id")
        contract = contract_named(okx_option, name, fields.where)
        row = self._row("okx", name, contract, _okx_stamp_ms(fields), fields)
        row["mark_iv"] = fields.written_known("markVol" if recent else "mark_vol")
        if recent:
            _set_forward(row, fields.written("fwdPx", "positive"))
        else:
            row["mark"] = fields.written("mark_price", "not negative")
            _set_side(row, "bid", fields, "best_bid", "best_bid_size")
            _set_side(row, "ask", fields, "best_ask", "best_ask_size")
        for greek in _GREEKS:
            row[f"venue_{greek}"] = fields.written(greek)
            suffix = "BS" if fields.has(f"{greek}BS") else "Bs"
            row[f"venue_{greek}_bs"] = fields.written(f"{greek}{suffix}")
        return row

    # --------------------------------------------------------------------------------------------- Bybit

    def _bybit(self, message: Mapping[str, Any], where: str) -> Iterator[Row]:
        topic, data = str(message.get("topic")), message.get("data")
        if not topic.startswith("tickers.") or not isinstance(data, dict) or "markPriceIv" not in data:
            return
        fields = Fields(data, f"{where}, {topic}")
        stamp_ms = Fields(message, where).integer("ts", *STAMPS_MS)
        name = fields.text("symbol")
        row = self._row("bybit", name, contract_named(bybit_option, name, fields.where), stamp_ms, fields)
        row["mark"] = fields.written("markPrice", "not negative")
        row["mark_iv"] = fields.written_known("markPriceIv")
        _set_forward(row, fields.written("underlyingPrice", "positive"))
        row["index"] = fields.written("indexPrice", "positive")
        row["open_interest"] = fields.written("openInterest", "not negative")
        _set_side(row, "bid", fields, "bidPrice", "bidSize")
        _set_side(row, "ask", fields, "askPrice", "askSize")
        for greek in _GREEKS:
            row[f"venue_{greek}"] = fields.written(greek)
        yield row

    # ------------------------------------------------------------------------------------------- Binance

    def _binance(self, message: Mapping[str, Any], where: str) -> Iterator[Row]:
        data = message.get("data")
        for i, item in enumerate(data if isinstance(data, list) else [data]):
            fields = Fields(item, f"{where}, {message.get('stream')}[{i}]")
            event = fields.text_or_none("e")
            if event == "index":
                name = fields.text("s")
                value = fields.written("p", "positive")
                if value is not None and name.endswith("USDT"):
                    self._index["binance", name.removesuffix("USDT")] = (
                        fields.integer("E", *STAMPS_MS),
                        value,
                    )
            elif event in ("24hrTicker", "markPrice") and fields.has("vo"):
                yield self._binance_option(fields)

    def _binance_option(self, fields: Fields) -> Row:
        name = fields.text("s")
        contract = contract_named(binance_option, name, fields.where)
        row = self._row("binance", name, contract, fields.integer("E", *STAMPS_MS), fields)
        row["mark_iv"] = fields.written_known("vo")
        if fields.has("i"):
            row["index"] = fields.written("i", "positive")
        if contract.underlying not in BINANCE_COINS_PER_PRICE:
            row["mark"] = fields.written("mp", "not negative")
            _set_side(row, "bid", fields, "bo", "bq")
            _set_side(row, "ask", fields, "ao", "aq")
        for greek in _GREEKS:
            row[f"venue_{greek}"] = fields.written(greek[0])  # d, g, v, t
        return row

    # -------------------------------------------------------------------------------------------- common

    def _row(self, venue: str, name: str, contract: Option, stamp_ms: int, fields: Fields) -> Row:
        """A row with what every message tells; the index where one came near enough in time."""
        at_ms, index = self._index.get((venue, contract.underlying), (0, None))
        return {
            "venue_ns": stamp_ms * NS_PER_MS,
            "local_ns": stamp_ms * NS_PER_MS,
            "venue": venue,
            "symbol": name,
            "index": index if abs(stamp_ms - at_ms) <= INDEX_AGE_MS_MAX else None,
            "contract": contract,
            "where": fields.where,
        }


def _set_forward(row: Row, forward: float | None) -> None:
    """A forward that the venue computes for the expiry; named as Deribit names its own of that kind."""
    row["forward"] = forward
    row["forward_name"] = None if forward is None else f"SYN.{row['symbol'].rsplit('-', 2)[0]}"


def _set_side(row: Row, side: str, fields: Fields, price_key: str, size_key: str) -> None:
    """The best price of a side and its size; no size where nobody quotes."""
    row[side] = fields.written_known(price_key)
    row[f"{side}_size"] = None if row[side] is None else fields.written_known(size_key)


def _okx_stamp_ms(fields: Fields) -> int:
    """Milliseconds as text, or a time in words (2020)."""
    if fields.has("ts"):
        return fields.written_stamp("ts", *STAMPS_MS, "milliseconds")
    text = fields.text("timestamp")
    try:
        moment = datetime.fromisoformat(text)
        stamp_ms = round(moment.timestamp() * 1000) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        stamp_ms = None
    if stamp_ms is None or not STAMPS_MS[0] <= stamp_ms <= STAMPS_MS[1]:
        fields.refuse("timestamp", "not a time", text, "a time with its zone, 2020-06-08T12:52:00.000Z")
    return stamp_ms


def _unknown(where: str, observed: str) -> NoReturn:
    raise InputError(
        "SOURCE_MESSAGE",
        "not a message of a known venue",
        where=where,
        observed=observed,
        allowed="messages of Deribit (jsonrpc), OKX (arg or table), Bybit (topic), Binance (stream)",
        not_done="nothing was written",
        fix="drop the message at its source",
    )
