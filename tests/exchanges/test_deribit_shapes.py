"""The loopback Deribit against recorded messages: the same fields, the same types, the same grammar.

Recorded: REST and WebSocket payloads of 2023 to 2026, and 139 raw frames of ten options of 2021 (the data
README names the sources). A field we lack, or one of another type, fails; so does one of ours that no
recorded message has, unless it is named here with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.rpc import connect, get
from tests.exchanges.server import Host
from tests.exchanges.test_deribit_protocol import PERP, buy, quiet, run
from tests.exchanges.words import Side

#: Only accounts under cross margin show these.
CROSS = {
    "total_maintenance_margin_usd", "total_delta_total_usd", "total_initial_margin_usd", "total_equity_usd",
    "total_margin_balance_usd",
}  # fmt: skip
#: Keys of the maps by currency pair.
PAIRS = {"btc_usd", "eth_usd", "usdc_usd"}
#: Documented, newer than the recording or left out of it.
NEWER = {
    "state", "volume_notional", "locked_balance", "additional_reserve", "options_theta_map",
    "projected_delta_total", "delta_total_map",
}  # fmt: skip


@pytest.fixture(scope="module")
def wire(shared_data: Path) -> Path:
    """The recorded messages."""
    return shared_data / "wire"


def recorded(wire: Path, name: str) -> Any:
    """One of the single-message recordings."""
    return json.loads((wire / "nautilus" / "deribit" / name).read_text())


def differences(theirs: Any, ours: Any, at: str = "") -> Iterator[str]:
    """Where ours is not of their shape. Lists are compared by their first items; null fits anything."""
    if theirs is None or ours is None:
        return
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            yield f"{at}: {type(ours).__name__} for an object"
            return
        yield from (f"{at}.{k} is missing" for k in theirs.keys() - ours.keys())
        yield from (f"{at}.{k} is ours alone" for k in ours.keys() - theirs.keys())
        for key in theirs.keys() & ours.keys():
            yield from differences(theirs[key], ours[key], f"{at}.{key}")
    elif isinstance(theirs, list):
        if not isinstance(ours, list):
            yield f"{at}: {type(ours).__name__} for an array"
        elif theirs and ours:
            yield from differences(theirs[0], ours[0], f"{at}[0]")
    elif _sort(theirs) != _sort(ours):
        yield f"{at}: {ours!r} for {theirs!r}"


def _sort(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def unlike(theirs: Any, ours: Any, *, but: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """The differences, those in fields named by `but` left out."""
    return sorted(
        x for x in differences(theirs, ours) if not but & set(x.split(" ")[0].rstrip(":").split("."))
    )


def test_instruments(wire: Path) -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            perp = await rpc.call("public/get_instrument", instrument_name=PERP)
            theirs = recorded(wire, "http_get_instrument.json")
            assert not unlike(theirs, perp, but=NEWER)
            same = set(theirs["result"]) - {
                "instrument_id",
                "block_trade_min_trade_amount",
                "block_trade_tick_size",
            }
            assert {k: perp["result"][k] for k in same} == {k: theirs["result"][k] for k in same}
            options = await rpc.call("public/get_instruments", currency="BTC", kind="option")
            theirs = recorded(wire, "http_get_instrument_option.json")
            assert not unlike(theirs["result"], options["result"][0], but=NEWER)
            for row in options["result"]:
                assert row["contract_size"] == theirs["result"]["contract_size"]
                assert row["min_trade_amount"] == theirs["result"]["min_trade_amount"]
                assert row["taker_commission"] == theirs["result"]["taker_commission"]
                assert row["quote_currency"] == "BTC" and row["counter_currency"] == "USD"

    run(scene)


def test_tickers_books_and_quotes(wire: Path) -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            channels = [
                f"ticker.{PERP}.100ms",
                f"quote.{PERP}",
                f"book.{PERP}.none.10.100ms",
                f"book.{PERP}.100ms",
            ]
            answer = await rpc.call("public/subscribe", channels=channels)
            theirs = recorded(wire, "ws_subscribe_response.json")
            assert not unlike(theirs, answer)
            await rpc.hush()
            host.exchange.trade(PERP, Side.SELL, host.exchange.instruments[PERP].lot * 10)
            await rpc.until(channels[3], 2)
            names = ("ws_ticker", "ws_quote", "ws_book_grouped_snapshot", "ws_book_snapshot")
            for name, channel in zip(names, channels, strict=True):
                theirs = recorded(wire, f"{name}.json")
                ours = next(m for m in rpc.told if m["params"].get("channel") == channel)
                assert not unlike(theirs, ours, but={"prev_change_id"}), name
            change = [m for m in rpc.told if m["params"].get("channel") == channels[3]][1]
            assert not unlike(recorded(wire, "ws_book_delta.json"), change)
            book = await rpc.call("public/get_order_book", instrument_name=PERP, depth=20)
            assert not unlike(recorded(wire, "http_get_order_book.json"), book)

    run(scene)


def test_public_trades(wire: Path) -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=[f"trades.{PERP}.raw"])
            host.exchange.trade(PERP, Side.SELL, host.exchange.instruments[PERP].lot)
            await rpc.until(f"trades.{PERP}.raw")
            theirs = recorded(wire, "ws_trades.json")
            assert not unlike(
                theirs["params"]["data"], rpc.data(f"trades.{PERP}.raw")[0], but={"combo_trade_id"}
            )
            asked = await rpc.call("public/get_last_trades_by_instrument", instrument_name=PERP)
            assert not unlike(recorded(wire, "http_get_last_trades.json"), asked)

    run(scene)


def test_an_order_from_birth_to_death(wire: Path) -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            terms = {
                "instrument_name": PERP,
                "amount": 10,
                "type": "limit",
                "label": "one",
                "post_only": True,
            }
            bought = await rpc.call("private/buy", **terms, price=59_500)
            assert not unlike(recorded(wire, "ws_order_buy_response.json"), bought)
            ours = await rpc.call("private/sell", **terms, price=60_500)
            assert not unlike(recorded(wire, "ws_order_sell_response.json"), ours)
            number = ours["result"]["order"]["order_id"]
            edited = await rpc.call("private/edit", order_id=number, amount=20, price=60_600)
            assert not unlike(recorded(wire, "ws_order_edit_response.json"), edited)
            assert edited["result"]["order"]["replaced"] is True
            ended = await rpc.call("private/cancel", order_id=number)
            theirs = recorded(wire, "ws_order_cancel_response.json")
            assert not unlike(theirs, ended)
            for key in ("order_state", "cancel_reason", "time_in_force", "order_type", "replaced"):
                assert ended["result"][key] == theirs["result"][key]

    run(scene)


def test_accounts(wire: Path) -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=["user.portfolio.any"])
            await buy(rpc, 60_000.0, 1000)
            ours = await rpc.call("private/get_account_summaries", extended=True)
            theirs = recorded(wire, "http_get_account_summaries.json")
            assert not unlike(theirs, ours, but=NEWER | PAIRS)
            await rpc.until("user.portfolio.any", 4)
            theirs = recorded(wire, "ws_portfolio.json")["params"]["data"]
            but = CROSS | NEWER | {"estimated_liquidation_ratio", "estimated_liquidation_ratio_map"}
            assert not unlike(theirs, rpc.data("user.portfolio.any")[-1], but=but)
            for row in theirs_summaries(wire):
                session = row["futures_session_rpl"] + row["futures_session_upl"]
                assert row["margin_balance"] == pytest.approx(row["balance"] + session, abs=2e-8)
            for row in ours["result"]["summaries"]:
                session = row["futures_session_rpl"] + row["futures_session_upl"]
                assert row["margin_balance"] == pytest.approx(row["balance"] + session, abs=2e-8)
                assert row["equity"] == pytest.approx(row["margin_balance"] + row["options_value"], abs=2e-8)

    run(scene)


def theirs_summaries(wire: Path) -> list[dict[str, Any]]:
    """The recorded currencies."""
    rows: list[dict[str, Any]] = recorded(wire, "http_get_account_summaries.json")["result"]["summaries"]
    return rows


def test_small_talk(wire: Path) -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            assert await rpc.result("public/test") == recorded(wire, "http_test.json")["result"]
            _, body = await get(host, "/api/v2/public/get_time")
            assert not unlike(recorded(wire, "http_get_time.json")["result"], json.loads(body)["result"])
            host.faults.add("rate", "public/test")
            reply = await rpc.call("public/test")
            theirs = recorded(wire, "ws_error.json")["error"]
            assert {k: reply["error"].get(k) for k in theirs} == theirs
            await rpc.result("public/set_heartbeat", interval=0.1)
            await rpc.next()
            await rpc.next()
            assert recorded(wire, "ws_test_request.json") in rpc.told

    run(scene, heartbeat_s_min=0.01)


# ---- the frames of 2021


def frames(wire: Path) -> list[dict[str, Any]]:
    """Subscriptions as they came."""
    rows = []
    for line in (wire / "cryptofeed" / "DERIBIT.ws.1.0.txt").read_text().splitlines():
        _, _, text = line.partition(": ")
        if text.startswith("{") and '"subscription"' in text:
            rows.append(json.loads(text)["params"])
    return rows


def grammar(told: list[dict[str, Any]]) -> dict[str, dict[tuple[str, float], float]]:
    """Apply book messages, holding them to the rules; the books they give.

    Raises:
        AssertionError: a change that does not follow, or an act that does not fit what stands at its price.
    """
    books: dict[str, dict[tuple[str, float], float]] = {}
    last: dict[str, int] = {}
    for row in told:
        name = row["instrument_name"]
        if row["type"] == "snapshot":
            books[name] = {}
            assert "prev_change_id" not in row
        else:
            assert row["prev_change_id"] == last[name]
        last[name] = row["change_id"]
        for side in ("bids", "asks"):
            for act, price, amount in row[side]:
                stood = (side, price) in books[name]
                assert stood == (act != "new") and (amount == 0) == (act == "delete")
                if act == "delete":
                    del books[name][side, price]
                else:
                    books[name][side, price] = amount
    return books


def test_recorded_books_and_ours_obey_one_grammar(wire: Path) -> None:
    recorded_books = [f["data"] for f in frames(wire) if f["channel"].startswith("book")]
    assert len(recorded_books) == 46 and len(grammar(recorded_books)) == 10

    async def scene(host: Host) -> None:
        options = [i.symbol for i in host.exchange.instruments.values() if i.right][:10]
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=[f"book.{x}.raw" for x in options])
            await rpc.hush()
            for symbol in options:
                host.exchange.trade(symbol, Side.BUY, host.exchange.instruments[symbol].lot * 70)
                host.exchange.quote(symbol, [], [])
            await rpc.hush()
            ours = grammar([row for x in options for row in rpc.data(f"book.{x}.raw")])
            assert len(ours) == 10 and not any(ours.values())
            theirs = recorded_books[0]
            assert not unlike(theirs, rpc.data(f"book.{options[0]}.raw")[0])

    run(scene)


def test_an_options_ticker(wire: Path) -> None:
    theirs = [f["data"] for f in frames(wire) if f["channel"].startswith("ticker")]
    assert len(theirs) == 89

    async def scene(host: Host) -> None:
        option = next(i for i in host.exchange.instruments.values() if i.right and i.inverse)
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=[f"ticker.{option.symbol}.raw"])
            (ours,) = await rpc.until(f"ticker.{option.symbol}.raw")
            for row in theirs:
                assert not unlike(row, ours, but=NEWER | {"volume_usd"})
            host.exchange.quote(option.symbol, [], [])
            await rpc.hush()
            bare = rpc.data(f"ticker.{option.symbol}.raw")[-1]
            empty = [r for r in theirs if not r["best_bid_amount"] and not r["best_ask_amount"]]
            for key in ("best_bid_price", "best_bid_amount", "best_ask_price", "best_ask_amount", "bid_iv"):
                assert {r[key] for r in empty} == {bare[key]} == {0.0}

    run(scene)


def test_the_comparison_itself_sees() -> None:
    assert unlike({"a": 1}, {}) == [".a is missing"]
    assert unlike({"a": 1}, {"a": "1"}) == [".a: '1' for 1"]
    assert unlike({"a": [{"b": True}]}, {"a": [{"b": 1}]}) == [".a[0].b: 1 for True"]
    assert unlike({}, {"a": 1}) == [".a is ours alone"]
    assert not unlike({"a": None}, {"a": 2}) and not unlike({}, {"a": 1}, but={"a"})
