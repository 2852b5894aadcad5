"""The unified library's failures in our words, and the parsers of the venues that are reached through it.

A class of ccxt proves nothing about an order: unclassified answers come as a bare `ExchangeError`, HTTP 400
and 404 as network errors, a repeated client id as `InvalidOrder`. So what became of a request is judged by
the venue's own code inside the answer, against the allow-list of `venues.wire.rejects`; the class says only
whether anything came back at all, and what to do about a question.

The text of these exceptions holds the address of the request, with its signature, and is never passed on:
only the code and the venue's sentence are taken out of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import ModuleType

import ccxt

from venues.errors import Ambiguous, Locked, Malformed, Refused, Unreachable, Untrusted, VenueError
from venues.net import tls_refused
from venues.orders import OrderState
from venues.wire import binance, bybit, hyperliquid, okx
from venues.wire.rejects import (
    UNLISTED,
    Verdict,
    clock_refused,
    judge_submit,
    key_refused,
    known_sentence,
    says_not_found,
    too_fast,
)

#: Which module reads the raw messages of a venue, by ccxt's name of it.
PARSERS: Mapping[str, ModuleType] = {
    "okx": okx,
    "bybit": bybit,
    "binance": binance,
    "binanceusdm": binance,
    "binancecoinm": binance,
    "hyperliquid": hyperliquid,
}


class Answered(StrEnum):
    """What an exception of the library says about the way, not about the order."""

    BY_VENUE = "by_venue"  # there is an answer of the venue in it: its code decides
    NOBODY = "nobody"  # timeouts, broken connections, 5xx, answers that are no JSON
    NOT_SENT = "not_sent"  # the library refused before anything left
    SLOWER = "slower"  # rate limits
    KEY = "key"  # the venue does not know the key


#: Every exception of the library. A new one fails a test until somebody has thought about it.
ANSWERED: Mapping[type[Exception], Answered] = {
    ccxt.BaseError: Answered.NOBODY,
    ccxt.ExchangeError: Answered.BY_VENUE,
    ccxt.AuthenticationError: Answered.KEY,
    ccxt.PermissionDenied: Answered.KEY,
    ccxt.AccountNotEnabled: Answered.KEY,
    ccxt.AccountSuspended: Answered.KEY,
    ccxt.ArgumentsRequired: Answered.NOT_SENT,
    ccxt.BadRequest: Answered.BY_VENUE,
    ccxt.BadSymbol: Answered.BY_VENUE,
    ccxt.OperationRejected: Answered.BY_VENUE,
    ccxt.NoChange: Answered.BY_VENUE,
    ccxt.MarginModeAlreadySet: Answered.BY_VENUE,
    ccxt.MarketClosed: Answered.BY_VENUE,
    ccxt.ManualInteractionNeeded: Answered.BY_VENUE,
    ccxt.RestrictedLocation: Answered.BY_VENUE,
    ccxt.InsufficientFunds: Answered.BY_VENUE,
    ccxt.InvalidAddress: Answered.BY_VENUE,
    ccxt.AddressPending: Answered.BY_VENUE,
    ccxt.InvalidOrder: Answered.BY_VENUE,
    ccxt.OrderNotFound: Answered.BY_VENUE,
    ccxt.OrderNotCached: Answered.BY_VENUE,
    ccxt.OrderImmediatelyFillable: Answered.BY_VENUE,
    ccxt.OrderNotFillable: Answered.BY_VENUE,
    ccxt.DuplicateOrderId: Answered.BY_VENUE,
    ccxt.ContractUnavailable: Answered.BY_VENUE,
    ccxt.NotSupported: Answered.NOT_SENT,
    ccxt.InvalidProxySettings: Answered.NOT_SENT,
    ccxt.ExchangeClosedByUser: Answered.NOBODY,
    ccxt.OperationFailed: Answered.NOBODY,
    ccxt.NetworkError: Answered.NOBODY,
    ccxt.DDoSProtection: Answered.SLOWER,
    ccxt.RateLimitExceeded: Answered.SLOWER,
    ccxt.ExchangeNotAvailable: Answered.NOBODY,
    ccxt.OnMaintenance: Answered.NOBODY,
    ccxt.InvalidNonce: Answered.BY_VENUE,
    ccxt.ChecksumError: Answered.NOBODY,
    ccxt.RequestTimeout: Answered.NOBODY,
    ccxt.BadResponse: Answered.NOBODY,
    ccxt.NullResponse: Answered.NOBODY,
    ccxt.CancelPending: Answered.BY_VENUE,
    ccxt.UnsubscribeError: Answered.NOBODY,
}


def answered(error: BaseException) -> Answered:
    """What an exception says about the way. One that nobody has thought about says nothing."""
    return ANSWERED.get(type(error), Answered.NOBODY) if isinstance(error, Exception) else Answered.NOBODY


def said(venue: str, error: BaseException) -> tuple[str, str]:
    """The venue's code and sentence inside an exception; empty where no answer of the venue is in it.

    Of some of Binance's answers the library hands on the sentence alone: it counts where it is one of those
    that are known.
    """
    text = str(error)
    bare = text.removeprefix(f"{venue} ")
    if isinstance(error, ccxt.ExchangeError) and bare != text and known_sentence(venue, bare):
        return "", bare[:200]
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end <= start or len(text) > 100_000:
        return "", ""
    try:
        payload = json.loads(text[start : end + 1])
        found = PARSERS[venue].error_of(payload)
    except (ValueError, RecursionError, Malformed):
        return "", ""
    return ("", "") if found is None else (found[0][:40], found[1][:200])


def judge_order(venue: str, error: BaseException) -> tuple[Verdict, str]:
    """What a failed submit proves about the order, and the venue's words.

    REJECTED by a code on the venue's allow-list, or where the library refused before anything left; UNKNOWN
    otherwise, whatever the class of the exception.
    """
    code, sentence = said(venue, error)
    words = f"{venue} {code} {sentence}".strip()
    if code or sentence:
        return judge_submit(venue, code, sentence), words
    way = answered(error)
    if way is Answered.NOT_SENT and "{" not in str(error):  # else an answer that could not be read
        return Verdict(OrderState.REJECTED, "not_sent"), f"{venue}: the library sent nothing"
    return Verdict(OrderState.UNKNOWN, f"{UNLISTED}:{way.value}"), f"{venue}: {type(error).__name__}"


def not_found(venue: str, error: BaseException) -> bool:
    """Whether the venue says that there is no such order."""
    return says_not_found(venue, *said(venue, error))


def failed_question(venue: str, what: str, error: BaseException) -> VenueError:
    """The error for a question, which had no effect, whatever became of it."""
    code, sentence = said(venue, error)
    refused = None if code else tls_refused(error, f"{venue} {what}")
    if refused is not None:
        return refused
    observed = f"{code} {sentence}".strip() or type(error).__name__
    way = answered(error)
    if way is Answered.KEY and not code:
        return _error(Locked, "KEY_REFUSED", "the venue does not let this key in", venue, what, observed)
    if way is Answered.SLOWER and not (key_refused(venue, code) or clock_refused(venue, code)):
        return _error(Unreachable, "TOO_FAST", "we ask too much", venue, what, observed)
    if code or sentence:
        return refused_question(venue, what, code, sentence)
    if isinstance(error, ccxt.BadResponse):
        return _error(Untrusted, "BAD_ANSWER", "an answer that makes no sense", venue, what, observed)
    return Unreachable(
        "NO_ANSWER",
        "no answer",
        where=f"{venue} {what}",
        observed=observed,
        allowed="an answer of the venue's within its answer_s_max",
        not_done="nothing was booked",
        fix=f"see whether the venue is up and its address right (`venues.{venue}.url`), then try again",
    )


def refused_question(venue: str, what: str, code: str, sentence: str) -> VenueError:
    """The error for a question to which the venue says no, by its own code and sentence."""
    observed = f"{code} {sentence}".strip()
    if key_refused(venue, code):
        return _error(Locked, "KEY_REFUSED", "the venue does not let this key in", venue, what, observed)
    if clock_refused(venue, code):
        told = "our clock is too far from the venue's: no signature passes"
        return _error(Refused, "CLOCK_REFUSED", told, venue, what, observed)
    if too_fast(venue, code):
        return _error(Unreachable, "TOO_FAST", "we ask too much", venue, what, observed)
    return _error(Refused, "QUESTION_REFUSED", "the venue does not say", venue, what, observed)


def failed_effect(venue: str, what: str, error: BaseException) -> VenueError:
    """The error for a request other than an order that may have had an effect, such as a mass cancel."""
    question = failed_question(venue, what, error)
    if isinstance(question, Locked):
        return question
    return _error(Ambiguous, "MAY_BE_DONE", "nobody can say", venue, what, question.text()[:120])


def _error(
    kind: Callable[..., VenueError], code: str, text: str, venue: str, what: str, observed: str
) -> VenueError:
    return kind(code, text, where=f"{venue} {what}", observed=observed, not_done="nothing was booked")
