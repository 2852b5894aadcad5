"""The library's exceptions, all of them; and that no class of them alone ever ends an order."""

from __future__ import annotations

import ccxt
import pytest
from ccxt.base import errors

from venues.cex_parse import (
    ANSWERED,
    PARSERS,
    Answered,
    failed_effect,
    failed_question,
    judge_order,
    not_found,
)
from venues.errors import Ambiguous, Locked, Refused, Unreachable
from venues.orders import OrderState
from venues.wire.rejects import DUPLICATE, Reason, judge_submit, reject_codes

SIGNED = "okx POST https://www.okx.com/api/v5/trade/order?apiKey=CANARYKEY&signature=CANARYSIGN"


def _all(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(_all(sub) for sub in kind.__subclasses__() if sub.__module__ == errors.__name__))


def test_every_exception_of_the_library_is_thought_about_and_none_is_gone() -> None:
    assert _all(errors.BaseError) == set(ANSWERED)


@pytest.mark.parametrize("kind", list(ANSWERED), ids=lambda k: k.__name__)
@pytest.mark.parametrize("venue", list(PARSERS))
def test_no_class_alone_ends_an_order_that_may_have_left(kind: type[Exception], venue: str) -> None:
    for text in ("", SIGNED, f"{venue} 502 Bad Gateway <html>", f'{venue} {{"code"', f"{venue} {{}}"):
        verdict, words = judge_order(venue, kind(text))
        never_left = ANSWERED[kind] is Answered.NOT_SENT and "{" not in text
        expected = OrderState.REJECTED if never_left else OrderState.UNKNOWN
        assert verdict.state is expected and "CANARY" not in words


@pytest.mark.parametrize(
    ("venue", "body", "state", "code"),
    [
        ("okx", '{"code":"1","data":[{"sCode":"51008","sMsg":"x"}],"msg":""}', "rejected", Reason.FUNDS),
        ("okx", '{"code":"1","data":[{"sCode":"51016","sMsg":"x"}],"msg":""}', "unknown", DUPLICATE),
        ("okx", '{"code":"50011","data":[],"msg":"too fast"}', "unknown", "unlisted:50011"),
        ("okx", '{"code":"50004","data":[],"msg":"timeout"}', "unknown", "unlisted:50004"),
        ("bybit", '{"retCode":110007,"retMsg":"x"}', "rejected", Reason.FUNDS),
        ("bybit", '{"retCode":110072,"retMsg":"x"}', "unknown", DUPLICATE),
        ("bybit", '{"retCode":10016,"retMsg":"x"}', "unknown", "unlisted:10016"),
        ("bybit", '{"retCode":10014,"retMsg":"Request is duplicate"}', "unknown", DUPLICATE),
        ("binance", '{"code":-2010,"msg":"Account has insufficient balance for requested action."}',
         "rejected", Reason.FUNDS),
        ("binance", '{"code":-2010,"msg":"Duplicate order sent."}', "unknown", DUPLICATE),
        ("binance", '{"code":-2010,"msg":"Something new."}', "unknown", "unlisted:-2010"),
        ("binanceusdm", '{"code":-4116,"msg":"ClientOrderId is duplicated."}', "unknown", DUPLICATE),
        ("binanceusdm", '{"code":-1007,"msg":"Timeout waiting for response"}', "unknown", "unlisted:-1007"),
        ("hyperliquid", '{"status":"err","response":"Insufficient margin to place order. asset=1"}',
         "rejected", Reason.FUNDS),
        ("hyperliquid", '{"status":"err","response":"Who knows"}', "unknown", "unlisted:none"),
    ],
)  # fmt: skip
def test_an_order_is_judged_by_the_venues_own_code(venue: str, body: str, state: str, code: str) -> None:
    for kind in (ccxt.ExchangeError, ccxt.InvalidOrder, ccxt.NetworkError, ccxt.InsufficientFunds):
        verdict, words = judge_order(venue, kind(f"{venue} {body}"))
        assert (verdict.state, verdict.code) == (OrderState(state), code)
        assert words.startswith(venue)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Order would immediately match and take.", Reason.POST_ONLY),
        ("Account has insufficient balance for requested action.", Reason.FUNDS),
    ],
)
def test_a_sentence_that_the_library_hands_on_without_its_code_still_counts(
    sentence: str, reason: str
) -> None:
    verdict, words = judge_order("binance", ccxt.OrderImmediatelyFillable(f"binance {sentence}"))
    assert (verdict.state, verdict.code) == (OrderState.REJECTED, reason) and sentence in words
    for doubtful in (
        ccxt.NetworkError(f"binance {sentence}"),
        ccxt.ExchangeError(f"binance GET https://x {sentence}"),
        ccxt.ExchangeError("binance Something new."),
    ):
        assert judge_order("binance", doubtful)[0].state is OrderState.UNKNOWN


@pytest.mark.parametrize(
    ("venue", "answer"),
    [
        ("okx", '{"code":"60028","data":[],"msg":"%s"}'),
        ("bybit", '{"retCode":131231,"retMsg":"%s"}'),
        ("binance", '{"code":-1016,"msg":"%s"}'),
    ],
)
def test_an_answer_too_long_to_be_read_proves_nothing(venue: str, answer: str) -> None:
    """ccxt has classes for these codes that it raises over its own arguments as well, where nothing left."""
    for length in (10, 120_000):
        error = ccxt.NotSupported(f"{venue} {answer % ('x' * length)}")
        assert judge_order(venue, error)[0].state is OrderState.UNKNOWN


def test_a_question_that_failed_says_what_to_do_next_and_shows_no_signature() -> None:
    cases: list[tuple[Exception, type[Exception]]] = [
        (ccxt.RequestTimeout(SIGNED), Unreachable),
        (ccxt.RateLimitExceeded(SIGNED), Unreachable),
        (ccxt.AuthenticationError(SIGNED), Locked),
        (ccxt.ExchangeError('okx {"code":"50113","msg":"Invalid Sign","data":[]}'), Locked),
        (ccxt.BadRequest('okx {"code":"51000","msg":"Parameter error","data":[]}'), Refused),
    ]
    for error, kind in cases:
        found = failed_question("okx", "positions", error)
        assert isinstance(found, kind) and "CANARY" not in found.text()
        effect = failed_effect("okx", "cancel_all", error)
        assert isinstance(effect, Locked if kind is Locked else Ambiguous)


def test_an_unknown_order_is_one_only_in_the_venues_words() -> None:
    assert not_found("okx", ccxt.OrderNotFound('okx {"code":"51603","msg":"x","data":[]}'))
    assert not_found(
        "hyperliquid", ccxt.OrderNotFound('{"status":"err","response":"Order was never placed"}')
    )
    assert not not_found("okx", ccxt.OrderNotFound("okx 404 Not Found"))


def test_overload_and_duplicates_are_on_no_allow_list() -> None:
    never = {
        "deribit": ("10001", "10028", "10040", "10047", "10066", "11051", "13028", "13888", "-32000"),
        "okx": ("1", "2", "50001", "50004", "50011", "50013", "50026", "51011", "51016", "51400"),
        "bybit": (
            "10000",
            "10006",
            "10014",
            "10016",
            "10018",
            "110001",
            "110030",
            "110072",
            "170007",
            "170141",
        ),
        "binance": ("-1000", "-1001", "-1003", "-1006", "-1007", "-1008", "-1015", "-2011", "-2013", "-4116"),
    }
    for venue, codes in never.items():
        assert not reject_codes(venue) & set(codes)
        assert all(judge_submit(venue, code).state is OrderState.UNKNOWN for code in codes)
    assert judge_submit("a venue that nobody knows", "51008").state is OrderState.UNKNOWN
