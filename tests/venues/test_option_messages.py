"""Messages of venues as rows of a tape: recorded ones to the last digit, hostile ones refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Option
from pricing.errors import InputError
from tests.venues.sources import imported
from venues.import_options import ImportOptions
from venues.option_messages import OptionMessages
from venues.option_names import binance_option, bybit_option, okx_option
from venues.tape import Tape
from venues.tape_import import import_tape

OKX: Any = {
    "arg": {"channel": "opt-summary", "uly": "ETH-USD"},
    "data": [
        {
            "instId": "ETH-USD-211222-4000-C", "uly": "ETH-USD", "delta": "0.1975745164",
            "gamma": "4.7290833601", "vega": "0.0002005415", "theta": "-0.004262964",
            "markVol": "0.7794507758", "bidVol": "", "realVol": "", "deltaBS": "0.2038286081",
            "gammaBS": "0.0013437829",
            "thetaBS": "-16.4798150221", "vegaBS": "0.7647227087", "ts": "1640001659301",
        }
    ],
}  # fmt: skip
OKX_INDEX: Any = {
    "arg": {"channel": "index-tickers", "instId": "ETH-USD"},
    "data": [{"instId": "ETH-USD", "idxPx": "3814.05", "ts": "1640001659508"}],
}
OKX_2020: Any = {
    "table": "option/summary",
    "data": [
        {
            "instrument_id": "BTC-USD-200605-9250-P", "underlying": "BTC-USD", "best_ask": "0.018",
            "best_bid": "0.0165", "best_ask_size": "4", "best_bid_size": "50", "delta": "-0.3860939252",
            "gamma": "5.6271994199", "mark_vol": "0.6595", "mark_price": "0.01886752",
            "theta": "-0.0031224769", "vega": "0.0004103337", "timestamp": "2020-06-01T00:00:39.117Z",
        }
    ],
}  # fmt: skip
BYBIT: Any = {
    "topic": "tickers.BTC-6JAN23-17500-C",
    "ts": 1672917511074,
    "data": {
        "symbol": "BTC-6JAN23-17500-C", "bidPrice": "0", "bidSize": "0", "askPrice": "10", "askSize": "5.1",
        "markPrice": "7.86976724", "indexPrice": "16823.73", "markPriceIv": "0.4896",
        "underlyingPrice": "16815.1", "openInterest": "49.85", "delta": "0.047831", "gamma": "0.00021453",
        "vega": "0.81351067", "theta": "-19.9115368",
    },
}  # fmt: skip
BINANCE: Any = {
    "stream": "BTC-240927-25000-P@ticker",
    "data": {
        "e": "24hrTicker", "E": 1696118400043, "s": "BTC-240927-25000-P", "bo": "3000", "ao": "3950",
        "bq": "2.55", "aq": "5.8", "d": "-0.34807987", "t": "-5.86856986", "g": "0.00003213",
        "v": "99.30558193", "vo": "0.42824954", "mp": "3475",
    },
}  # fmt: skip
BINANCE_INDEX = {
    "stream": "BTCUSDT@index",
    "data": {"e": "index", "E": 1696118400040, "s": "BTCUSDT", "p": "26963.13461538"},
}
DERIBIT: Any = {
    "jsonrpc": "2.0",
    "method": "subscription",
    "params": {
        "channel": "ticker.ETH-30JUL21-2800-C.raw",
        "data": {
            "underlying_price": 2003.61, "underlying_index": "ETH-30JUL21", "timestamp": 1626993723632,
            "state": "open", "open_interest": 12685.0, "mark_price": 0.001972, "mark_iv": 120.74,
            "instrument_name": "ETH-30JUL21-2800-C", "index_price": 2006.72,
            "greeks": {"vega": 0.20072, "theta": -1.64029, "rho": 0.01188, "gamma": 0.0002, "delta": 0.03127},
            "best_bid_price": 0.0015, "best_bid_amount": 4714.0, "best_ask_price": 0.0025,
            "best_ask_amount": 873.0,
        },
    },
}  # fmt: skip


def rows(*messages: object) -> list[dict[str, Any]]:
    reader = OptionMessages(ImportOptions())
    return [row for i, message in enumerate(messages) for row in reader.rows(message, f"message {i}")]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says, without its place and contract."""
    return {k: v for k, v in row.items() if v is not None and k not in ("where", "contract")}


def test_okx_with_both_sets_and_the_index_beside_it() -> None:
    (row,) = rows(OKX_INDEX, OKX)
    stamp = 1640001659301_000_000
    assert shown(row) == {
        "venue": "okx", "symbol": "ETH-USD-211222-4000-C", "venue_ns": stamp, "local_ns": stamp,
        "index": 3814.05, "mark_iv": 0.7794507758,
        "venue_delta": 0.1975745164, "venue_gamma": 4.7290833601, "venue_vega": 0.0002005415,
        "venue_theta": -0.004262964, "venue_delta_bs": 0.2038286081, "venue_gamma_bs": 0.0013437829,
        "venue_vega_bs": 0.7647227087, "venue_theta_bs": -16.4798150221,
    }  # fmt: skip
    assert row["contract"] == okx_option("ETH-USD-211222-4000-C")
    late = {**OKX_INDEX, "data": [{**OKX_INDEX["data"][0], "ts": "1640001599000"}]}
    assert rows(late, OKX)[0]["index"] is None  # a minute and more before the Greeks


def test_bybit_and_binance_and_deribit() -> None:
    (bybit,) = rows(BYBIT)
    assert (bybit["bid"], bybit["bid_size"]) == (None, None)  # 0 is nobody
    assert (bybit["ask"], bybit["ask_size"], bybit["mark"]) == (10.0, 5.1, 7.86976724)
    assert (bybit["forward"], bybit["index"], bybit["mark_iv"]) == (16815.1, 16823.73, 0.4896)
    assert (bybit["venue_gamma"], bybit["venue_theta"]) == (0.00021453, -19.9115368)
    (binance,) = rows(BINANCE_INDEX, BINANCE)
    assert (binance["index"], binance["bid"], binance["ask_size"]) == (26963.13461538, 3000.0, 5.8)
    assert (binance["venue_delta"], binance["venue_vega"]) == (-0.34807987, 99.30558193)
    (deribit,) = rows(DERIBIT)
    assert (deribit["mark_iv"], deribit["forward_name"]) == (1.2074, "ETH-30JUL21")
    assert (deribit["bid_size"], deribit["venue_rho"]) == (4714.0, 0.01188)


def test_prices_per_hundred_coins_are_left_out() -> None:
    data = {**BINANCE["data"], "s": "XRP-251219-2.05-P", "mp": "19.0314"}
    (row,) = rows({"stream": "x", "data": [data]})
    assert [row.get(name) for name in ("mark", "bid", "ask")] == [None] * 3
    assert row["venue_delta"] == -0.34807987


def test_other_streams_give_no_row() -> None:
    for message in (
        {"jsonrpc": "2.0", "id": 0, "result": ["x"]},
        {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "book.X.raw", "data": {}}},
        {"arg": {"channel": "trades", "instId": "BTC-USD-211224-56000-C"}, "data": [{"px": "1"}]},
        {"topic": "publicTrade.BTC", "data": []},
        {"success": True, "conn_id": "x", "ret_msg": ""},
        {"stream": "btc@optionTrade", "data": {"e": "trade", "s": "BTC-251219-89000-C"}},
    ):
        assert rows(message) == []


def test_an_index_in_another_coin_is_no_price_in_dollars() -> None:
    other = {**OKX_INDEX, "data": [{"instId": "ETH-BTC", "idxPx": "0.0279", "ts": "1640001659300"}]}
    assert rows(OKX_INDEX, other, OKX)[0]["index"] == 3814.05
    assert rows(other, OKX)[0]["index"] is None


@pytest.mark.parametrize("infinite", ["∞", "-∞", ""])
def test_what_the_venue_does_not_know_is_unknown(infinite: str) -> None:
    data = {**OKX["data"][0], "delta": infinite}
    assert rows({**OKX, "data": [data]})[0]["venue_delta"] is None


@pytest.mark.parametrize(
    ("message", "code", "place"),
    [
        ({"what": 1}, "SOURCE_MESSAGE", "message 0"),
        (7, "SOURCE_MESSAGE", "message 0"),
        ({**OKX, "data": "none"}, "SOURCE_MESSAGE", "message 0"),
        ({**OKX, "data": [{**OKX["data"][0], "instId": "ETH-USD-2112-4000-C"}]}, "SOURCE_NAME", "data[0]"),
        ({**OKX, "data": [{**OKX["data"][0], "delta": "0.2x"}]}, "SOURCE_VALUE", "data[0], key delta"),
        ({**OKX, "data": [{**OKX["data"][0], "delta": 0.2}]}, "SOURCE_VALUE", "key delta"),
        ({**OKX, "data": [{**OKX["data"][0], "gamma": "1e999"}]}, "SOURCE_VALUE", "key gamma"),
        ({**OKX, "data": [{**OKX["data"][0], "ts": "yesterday"}]}, "SOURCE_VALUE", "key ts"),
        ({**BYBIT, "ts": 16729175110}, "SOURCE_VALUE", "key ts"),
        ([[[[[OKX]]]]], "SOURCE_MESSAGE", "message 0"),
        (json.loads("[" * 600 + "]" * 600), "SOURCE_MESSAGE", "message 0"),
        (
            {**OKX_2020, "data": [{**OKX_2020["data"][0], "timestamp": "2020-06-08T12:52:00"}]},
            "SOURCE_VALUE",
            "time",
        ),
        (
            {**OKX_2020, "data": [{**OKX_2020["data"][0], "timestamp": "9999-12-31T23:59:59-12:00"}]},
            "SOURCE_VALUE",
            "timestamp",
        ),
        ({**OKX, "data": [{**OKX["data"][0], "gamma": "1e300"}]}, "SOURCE_VALUE", "key gamma"),
        ({**BYBIT, "data": {**BYBIT["data"], "underlyingPrice": "-1"}}, "SOURCE_VALUE", "underlyingPrice"),
        ({**BINANCE, "data": {**BINANCE["data"], "s": "BTC-240931-1-P"}}, "SOURCE_NAME", "[0]"),
    ],
)
def test_a_wrong_message_is_refused_with_its_place(message: object, code: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        rows(message)
    assert caught.value.code == code
    assert place in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["arg", "data", "stream", "topic", "jsonrpc", "params", "channel", "instId", "e", "vo", "ts"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_message_raises_anything_but_a_refusal(message: object) -> None:
    try:
        found = rows(message)
    except InputError:
        return
    assert all(isinstance(row["contract"], Option) for row in found)


def test_names_are_read_by_the_letter() -> None:
    expiry = round(datetime(2023, 1, 6, 8, tzinfo=UTC).timestamp()) * 10**9
    assert bybit_option("BTC-6JAN23-17500-C").expiry_ns == expiry
    assert okx_option("BTC-USD-230106-17500-P").expiry_ns == expiry
    assert binance_option("DOGE-230106-0.06-C").strike == 0.06
    for parse, name in (
        (okx_option, "BTC-USD-230106-17500"), (okx_option, "BTC-USDT-230106-17500-C"),
        (bybit_option, "BTC-06JAN23-17500-C"), (bybit_option, "BTC-30FEB23-17500-C"),
        (binance_option, "BTC-230106-0-C"), (binance_option, "btc-230106-1-C"), (okx_option, ""),
    ):  # fmt: skip
        with pytest.raises(InputError):
            parse(name)


# -------------------------------------------------------------------------------------------- recordings


def test_lines_with_their_local_stamps(tmp_path: Path) -> None:
    source = tmp_path / "recorded.txt"
    lines = [
        "wss://host <-> 1626993723.42",
        'wss://host <- 1626993723.7: {"jsonrpc":"2.0","method":"public/subscribe"}',
        f"1626993723.804855: {json.dumps(DERIBIT)}",
        f"1626993724.5: {json.dumps(DERIBIT)}",  # sent again: counts once, as it first came
    ]
    source.write_text("\n".join(lines))
    frame = imported(source, "venue-messages", tmp_path / "tape")
    assert frame.height == 1
    assert frame["local_ns"].to_list() == [1626993723_804_855_000]
    source.write_text(f"1626993723.8: {json.dumps(DERIBIT)[:-1]}")
    with pytest.raises(InputError, match=r"JSON_INVALID.*line 1"):
        import_tape([source], "venue-messages", tmp_path / "other", ImportOptions())
    assert (
        Tape.open(tmp_path / "tape").description["notes"][0]
        == "recorded.txt: 2 lines passed over, no received messages"
    )
    source.write_text(json.dumps(DERIBIT))  # a bare message a line, whatever the file is called
    assert imported(source, "venue-messages", tmp_path / "bare").height == 1
    source.write_text(f"99999999999: {json.dumps(DERIBIT)}")
    with pytest.raises(InputError, match=r"SOURCE_VALUE.*line 1"):
        import_tape([source], "venue-messages", tmp_path / "other", ImportOptions())
    source.write_text("nothing here\n")
    with pytest.raises(InputError, match="FILE_EMPTY"):
        import_tape([source], "venue-messages", tmp_path / "other", ImportOptions())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("file", "rows_expected", "venue"),
    [
        ("tardis_node/okex-options.json", 9, "okx"),
        ("tardis_node/bybit-options.json", 2, "bybit"),
        ("tardis_node/binance-european-options.json", 2, "binance"),
        ("tardis_node/binance-european-options-v2.json", 2, "binance"),
        ("cryptofeed/DERIBIT.ws.1.0.txt", 89, "deribit"),
    ],
)
def test_recorded_messages(
    shared_data: Path, tmp_path: Path, file: str, rows_expected: int, venue: str
) -> None:
    frame = imported(shared_data / "wire" / file, "venue-messages", tmp_path / "tape")
    assert frame.height == rows_expected
    assert set(frame["venue"]) == {venue}


def test_messages_stand_as_they_came_though_the_venue_stamped_them_otherwise(tmp_path: Path) -> None:
    def at(ms: int) -> str:
        params = DERIBIT["params"]
        return json.dumps({**DERIBIT, "params": {**params, "data": {**params["data"], "timestamp": ms}}})

    source = tmp_path / "recorded.txt"
    stamp = 1626993723
    lines = [f"{stamp + s}.5: {at(stamp * 1000 + i)}" for i, s in enumerate((0, 9, 2))]
    source.write_text("\n".join(lines))
    frame = imported(source, "venue-messages", tmp_path / "tape")
    assert frame["local_ns"].is_sorted()
    assert frame.height == 3


def test_a_message_sent_again_does_not_become_the_newest(tmp_path: Path) -> None:
    later = json.loads(json.dumps(DERIBIT))
    later["params"]["data"]["timestamp"] += 1000
    source = tmp_path / "recorded.txt"
    sent = enumerate((DERIBIT, later, DERIBIT))
    source.write_text("\n".join(f"162699372{5 + i}.5: {json.dumps(message)}" for i, message in sent))
    frame = imported(source, "venue-messages", tmp_path / "tape")
    assert frame["local_ns"].to_list() == [1626993725_500_000_000, 1626993726_500_000_000]
