"""What the doctor asks of a key and an account, told in ways that cannot be read: never taken for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pricing.contracts import Side
from tests.venues.products import PRODUCTS, market_of
from tests.venues.trials import Stage
from venues.cex_binance import Binance
from venues.cex_bybit import Bybit
from venues.errors import Malformed


class Says:
    """A client that gets one answer, whatever it asks for."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def request(self, *asked: Any, **more: Any) -> object:
        return self.answer

    async def private_get_v5_user_query_api(self) -> object:
        return {"retCode": 0, "result": self.answer}

    async def private_get_v5_account_info(self) -> object:
        return {"retCode": 0, "result": {"unifiedMarginStatus": 6, "marginMode": "REGULAR_MARGIN"}}

    async def private_get_v5_position_list(self, asked: object) -> object:
        return {"retCode": 0, "result": self.answer}


RIGHTS = {
    "ipRestrict": True, "createTime": 1_698_645_219_000, "enableReading": True, "enableFutures": True,
    "enableWithdrawals": False, "enableInternalTransfer": False, "permitsUniversalTransfer": False,
}  # fmt: skip
MOVES_MONEY = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
AREAS = {"ContractTrade": ["Order", "Position"], "Spot": [], "Wallet": []}


def refused(asked: Callable[[Any], Awaitable[object]], answer: object) -> None:
    async def work() -> None:
        await asked(Says(answer))

    with pytest.raises(Malformed):
        asyncio.run(work())


def test_the_words_of_binance_are_those_that_are_true() -> None:
    told = asyncio.run(Binance().scopes(Says({**RIGHTS, "enableWithdrawals": True})))
    assert sorted(told) == ["enableFutures", "enableReading", "enableWithdrawals", "ipRestrict"]


@pytest.mark.parametrize("word", [*MOVES_MONEY, "enableFutures", "enableSomethingNew"])
@pytest.mark.parametrize("value", ["true", "false", 1, 0, None, [], {}])
def test_a_right_of_binance_that_is_neither_true_nor_false_is_not_read(word: str, value: object) -> None:
    refused(Binance().scopes, {**RIGHTS, word: value})


@pytest.mark.parametrize("word", MOVES_MONEY)
def test_a_right_to_move_money_that_binance_does_not_tell_is_not_off(word: str) -> None:
    refused(Binance().scopes, {key: value for key, value in RIGHTS.items() if key != word})


@pytest.mark.parametrize("answer", [{}, [], None, "true"])
def test_no_answer_of_binance_is_no_key(answer: object) -> None:
    refused(Binance().scopes, answer)


def test_the_words_of_bybit_are_area_and_right() -> None:
    told = asyncio.run(
        Bybit().scopes(Says({"readOnly": 0, "permissions": {**AREAS, "Wallet": ["Withdraw"]}}))
    )
    assert told == ("ContractTrade:Order", "ContractTrade:Position", "Wallet:Withdraw")


@pytest.mark.parametrize("area", ["Wallet", "ContractTrade", "New"])
@pytest.mark.parametrize("rights", [None, True, 1, "Withdraw", {"Withdraw": True}, [1], [None]])
@pytest.mark.parametrize("alone", [0, 1])
def test_rights_of_bybit_that_are_no_list_of_texts_are_not_read(
    area: str, rights: object, alone: int
) -> None:
    refused(Bybit().scopes, {"readOnly": alone, "permissions": {**AREAS, area: rights}})


@pytest.mark.parametrize(
    "answer",
    [
        {"readOnly": 0, "permissions": {}},
        {"readOnly": 0, "permissions": {"ContractTrade": ["Order"]}},
        {"readOnly": 0},
        {"readOnly": "1", "permissions": AREAS},
        {"readOnly": 2, "permissions": AREAS},
        {"readOnly": True, "permissions": AREAS},
        {"permissions": AREAS},
    ],
)
def test_a_key_of_bybit_whose_wallet_is_not_told_is_not_read(answer: object) -> None:
    refused(Bybit().scopes, answer)


@pytest.mark.parametrize("rows", [[], None, {}, [{}], [{"positionIdx": "0"}], [{"positionIdx": None}]])
def test_no_word_of_a_position_is_not_one_way_mode(rows: object) -> None:
    refused(Bybit().account_faults, {"list": rows})


@pytest.mark.parametrize("name", ["okx", "binanceusdm", "binancecoinm"])
def test_what_is_held_with_a_margin_of_its_own_is_a_fault_by_name(name: str) -> None:
    """Their balances leave out what such a position gains or loses."""
    product = next(x for x in PRODUCTS if x.venue == name)

    async def work() -> None:
        async with market_of(product) as market:
            modes = market.scene.host.exchange.modes
            assert await market.venue.account_faults() == ()
            symbol = market.listing.symbol
            if name == "okx":
                quantity = 2 * market.listing.minimum
                stage = Stage(market.venue, market.listing, quantity, market.scene.price)
                await market.venue.submit(stage.order(Side.BUY, marketable=True))
                assert (await market.venue.account(0)).positions
                modes["mgnMode"] = "isolated"
            else:  # told of every symbol, where nothing is held, too
                modes["isolated"] = {"linear": [symbol], "inverse": [symbol]}
            (fault,) = await market.venue.account_faults()
            assert symbol in fault and "isolated" in fault
            assert (await market.venue.account(0)).faults == (fault,)  # and every report tells it
            modes.clear()
            assert (await market.venue.account(0)).faults == ()

    asyncio.run(asyncio.wait_for(work(), 20.0))


def test_a_bybit_account_that_turns_isolated_is_told_by_its_next_report() -> None:
    async def work() -> None:
        async with market_of(next(x for x in PRODUCTS if x.venue == "bybit")) as market:
            modes = market.scene.host.exchange.modes
            assert (await market.venue.account(0)).faults == ()
            modes["marginMode"] = "ISOLATED_MARGIN"
            (fault,) = (await market.venue.account(0)).faults
            assert "ISOLATED_MARGIN" in fault
            assert (fault,) == await market.venue.account_faults()

    asyncio.run(asyncio.wait_for(work(), 20.0))
