"""Which of a venue's codes prove that an order was refused: an allow-list. What is not on it proves nothing.

A reject releases what was reserved for an order, so it must be certain. A code stands here only where the
venue documents that the order was not taken: funds, ticks, lots, minimum, post-only, reduce-only, permission,
an instrument that does not trade. Timeouts, overload, rate limits, "internal error", "duplicate client id"
and every code that nobody has looked up leave an order UNKNOWN, to be asked after.

Sources: the venues' public lists of error codes (docs.deribit.com "RPC error codes"; OKX v5 "error code";
Bybit v5 "error codes"; Binance "error codes" of the four APIs), read against the classes that ccxt 4.5.90
gives them. Hyperliquid sends sentences, not codes: they are matched by their beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from venues.orders import OrderState


class Reason(StrEnum):
    """Why a venue said no, in the words that `OrderUpdate.code` uses for all venues."""

    FUNDS = "insufficient_margin"
    TICK = "price_not_on_tick"
    LOT = "quantity_not_in_lots"
    MINIMUM = "below_minimum"
    MAXIMUM = "above_maximum"
    BAND = "outside_price_band"
    POST_ONLY = "post_only_would_take"
    REDUCE_ONLY = "reduce_only_would_not_reduce"
    SELF_TRADE = "would_trade_with_own_order"
    NOT_LISTED = "not_listed"
    CLOSED = "market_closed"
    RISK_LIMIT = "venue_risk_limit"
    PERMISSION = "no_permission"
    KEY = "key_refused"
    CLOCK = "clock_skew"
    ARGUMENTS = "arguments_refused"
    OTHER = "refused"


#: "There is such an order already": it says that the first one exists, not that this one was refused.
DUPLICATE = "duplicate_client_id"
NOT_FOUND = "not_found"
UNLISTED = "unlisted"


def _by_code(*groups: tuple[Reason, str]) -> Mapping[str, Reason]:
    found: dict[str, Reason] = {}
    for reason, codes in groups:
        for code in codes.split():
            assert code not in found, f"code {code} stands twice"
            found[code] = reason
    return found


_DERIBIT = _by_code(
    (Reason.MINIMUM, "10002 10032"),
    (Reason.SELF_TRADE, "10003"),
    (Reason.BAND, "10005 10006 10007 10008 10011"),
    (Reason.FUNDS, "10009"),
    (Reason.CLOSED, "10012 10041 13019"),
    (Reason.RISK_LIMIT, "10013 10014 10015 10016 10017 10018"),
    (Reason.PERMISSION, "10019 11042 13012 13021"),
    (Reason.NOT_LISTED, "10020 11046"),
    (Reason.LOT, "10021 10022 10027"),
    (Reason.TICK, "10023 10026 10043"),
    (Reason.KEY, "10000 13004 13009"),
    (Reason.ARGUMENTS, "10031 11029 11043 11047 11049 11050 -32600 -32601 -32602"),
    (Reason.OTHER, "11030"),
    (Reason.POST_ONLY, "11054 11055"),
)

_OKX = _by_code(
    (Reason.ARGUMENTS, "50000 50002 50006 50014 51000 51003 51010 51018 51500 51512 51514 51536 51537"),
    (Reason.CLOCK, "50102 50112 60004 60006"),
    (Reason.KEY, "50100 50101 50103 50104 50105 50106 50107 50110 50111 50113 50119"),
    (Reason.KEY, "60001 60002 60003 60005 60007 60009 60024 60032"),  # of signing in on a socket
    (Reason.PERMISSION, "50007 50009 50027 50030 50120 51009 51024 51155"),
    (Reason.NOT_LISTED, "51001 51002 51014 51015 51021 51022 51027"),
    (Reason.CLOSED, "51028 51029 51030 51508"),
    (Reason.MAXIMUM, "51004 51005 51101 51102 51103 51104 51105 51106 51107 51108 51109 51174 51202 51203"),
    (Reason.BAND, "51006 51116 51122 51137 51138 51250"),
    (Reason.MINIMUM, "51007 51020 51120"),
    (Reason.FUNDS, "51008 51119 51127 51131 51502"),
    (Reason.LOT, "51121"),
    (Reason.REDUCE_ONLY, "51023 51112 51125 51126 51139 51169 51205 51521 51522"),
    (Reason.POST_ONLY, "51511"),  # of an amendment: without `cxlOnFail` the order stands as it was
    (Reason.OTHER, "51506 51513 54071"),  # amendments: not of this type; three are in work; not of this order
)

_BYBIT = _by_code(
    (Reason.ARGUMENTS, "10001"),
    (Reason.CLOCK, "10002"),
    (Reason.KEY, "10003 10004 10007 10009 10010 33004"),
    (Reason.PERMISSION, "10005 10008 10024 10027 10028 10029 110066 110067 170201 170224"),
    (Reason.FUNDS, "110004 110006 110007 110012 110044 110045 110051 110052 110053 170033 170131"),
    (Reason.MAXIMUM, "110020 110022 170124 170135"),
    (Reason.RISK_LIMIT, "110016 110021 110040 110090"),
    (Reason.REDUCE_ONLY, "110017 110023 110042"),
    (Reason.BAND, "110003 170132 170133 170193 170194"),
    (Reason.NOT_LISTED, "110074 170121"),
    (Reason.MINIMUM, "110094 170136 170140"),
    (Reason.TICK, "170134"),
    (Reason.LOT, "170137"),
    (Reason.POST_ONLY, "170218"),
)

_BINANCE = _by_code(
    (Reason.ARGUMENTS, "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1114 -1115 -1116 -1117 -1130 -4061"),
    (Reason.CLOCK, "-1021"),
    (Reason.KEY, "-1002 -1022 -2014 -2015"),
    (Reason.TICK, "-1111 -4014"),
    (Reason.NOT_LISTED, "-1121 -4141"),
    (Reason.FUNDS, "-2018 -2019 -4050 -4051"),
    (Reason.REDUCE_ONLY, "-2022 -4118"),
    (Reason.RISK_LIMIT, "-2025 -2027 -2028 -4045 -4400"),
    (Reason.MINIMUM, "-4003 -4004 -4164"),
    (Reason.MAXIMUM, "-4005"),
    (Reason.LOT, "-4023"),
    (Reason.BAND, "-4002 -4013 -4016 -4024 -4131"),
    (Reason.POST_ONLY, "-5022"),
)

#: -2010 "new order rejected" of Binance's spot: the sentence says why, and must be one of these.
_BINANCE_SENTENCES = {
    "Account has insufficient balance for requested action": Reason.FUNDS,
    "Order would immediately match and take": Reason.POST_ONLY,
    "Filter failure: PRICE_FILTER": Reason.TICK,
    "Filter failure: LOT_SIZE": Reason.LOT,
    "Filter failure: MIN_NOTIONAL": Reason.MINIMUM,
    "Filter failure: NOTIONAL": Reason.MINIMUM,
    "Filter failure: PERCENT_PRICE": Reason.BAND,
    "Market is closed": Reason.CLOSED,
    "This symbol is not permitted for this account": Reason.PERMISSION,
}

_HYPERLIQUID_SENTENCES = {
    "Insufficient margin to place order": Reason.FUNDS,
    "Price must be divisible by tick size": Reason.TICK,
    "Order has invalid price": Reason.TICK,
    "Order has invalid size": Reason.LOT,
    "Order must have minimum value": Reason.MINIMUM,
    "Reduce only order would increase position": Reason.REDUCE_ONLY,
    "Post only order would have immediately matched": Reason.POST_ONLY,
    "Order price cannot be more than": Reason.BAND,
    "Order would exceed margin tier limit": Reason.RISK_LIMIT,
    "Cannot place order more than": Reason.BAND,
}

_REJECTS: Mapping[str, Mapping[str, Reason]] = {
    "deribit": _DERIBIT,
    "okx": _OKX,
    "bybit": _BYBIT,
    "binance": _BINANCE,
    "binanceusdm": _BINANCE,
    "binancecoinm": _BINANCE,
    "hyperliquid": {},
}
_SENTENCES: Mapping[str, Mapping[str, Reason]] = {
    "binance": _BINANCE_SENTENCES,
    "hyperliquid": _HYPERLIQUID_SENTENCES,
}
#: Codes whose sentence decides.
_BY_SENTENCE = {"binance": frozenset({"-2010", "-1013", ""}), "hyperliquid": frozenset({""})}

_DUPLICATES: Mapping[str, frozenset[str]] = {
    "okx": frozenset({"51011", "51016"}),
    "bybit": frozenset({"10014", "110030", "110072", "170141"}),
    "binance": frozenset({"-4116"}),
    "binanceusdm": frozenset({"-4116"}),
    "binancecoinm": frozenset({"-4116"}),
}
_DUPLICATE_SENTENCES = ("Duplicate order sent", "ClientOrderId is duplicated")

#: The venue has no such order that could be cancelled or shown: never had it, or is done with it.
_NOT_FOUND: Mapping[str, frozenset[str]] = {
    "deribit": frozenset({"10004", "10010", "11044"}),
    "okx": frozenset({"51400", "51401", "51402", "51503", "51509", "51510", "51603"}),
    "bybit": frozenset({"110001", "110008", "110010", "170142", "170143", "170213", "20001"}),
    "binance": frozenset({"-2011", "-2013"}),
    "binanceusdm": frozenset({"-2011", "-2013"}),
    "binancecoinm": frozenset({"-2011", "-2013"}),
}

#: Words of a refused sign-in, in this order, and the code of the same meaning. "error:USVC1111" is in ccxt's
#: own samples of messages, "error:request expired" in hummingbot's pull request 3930.
_SIGN_IN: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "bybit": (
        (("request expired", "timestamp", "recv_window"), "10002"),
        (("usvc1111", "sign", "api key", "api_key", "apikey", "not authorized", "auth fail"), "10003"),
    ),
}

#: Codes of load and rate limits: ask later, slower.
_SLOWER: Mapping[str, frozenset[str]] = {
    "deribit": frozenset({"10028", "10047", "10066"}),
    "okx": frozenset({"50011", "50013", "50026", "50040", "50061", "51113"}),
    "bybit": frozenset({"10006", "10018", "170222"}),
    "binance": frozenset({"-1003", "-1015"}),
    "binanceusdm": frozenset({"-1003", "-1015", "-1008"}),
    "binancecoinm": frozenset({"-1003", "-1015", "-1008"}),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error answer proves about an order: REJECTED, or nothing (UNKNOWN), and the code to tell."""

    state: OrderState
    code: str


def judge_submit(venue: str, code: str, sentence: str = "") -> Verdict:
    """What an error answer to a submit proves.

    >>> [judge_submit(*x).state.value for x in (("deribit", "10009"), ("okx", "51016"), ("okx", "50004"))]
    ['rejected', 'unknown', 'unknown']
    """
    if code in _DUPLICATES.get(venue, ()) or sentence.startswith(_DUPLICATE_SENTENCES):
        return Verdict(OrderState.UNKNOWN, DUPLICATE)
    reason = _REJECTS.get(venue, {}).get(code)
    if reason is None and code in _BY_SENTENCE.get(venue, ()):
        reason = _by_sentence(sentence, _SENTENCES[venue])
    if reason is None:
        return Verdict(OrderState.UNKNOWN, f"{UNLISTED}:{code or 'none'}"[:64])
    return Verdict(OrderState.REJECTED, reason)


def says_not_found(venue: str, code: str, sentence: str = "") -> bool:
    """Whether an error answer says that there is no such order to be cancelled or shown."""
    if venue == "hyperliquid":
        return sentence.startswith(("Order was never placed", "unknownOid"))
    return code in _NOT_FOUND.get(venue, ())


def key_refused(venue: str, code: str) -> bool:
    """Whether an error answer says that the key is not valid (any more), or may not do this."""
    return _REJECTS.get(venue, {}).get(code) in (Reason.KEY, Reason.PERMISSION)


def known_sentence(venue: str, sentence: str) -> bool:
    """Whether a sentence without a code is one by which the venue refuses an order."""
    return "" in _BY_SENTENCE.get(venue, ()) and _by_sentence(sentence, _SENTENCES[venue]) is not None


def sign_in_code(venue: str, sentence: str) -> str:
    """The code that a refusal of signing in stands for where it comes as a sentence alone, as on Bybit's
    stream; "" where nobody knows.

    >>> [sign_in_code("bybit", x) for x in ("error:USVC1111", "error:request expired", "error:system busy")]
    ['10003', '10002', '']
    """
    said = sentence.lower()
    found = (code for words, code in _SIGN_IN.get(venue, ()) if any(word in said for word in words))
    return next(found, "")


def clock_refused(venue: str, code: str) -> bool:
    """Whether an error answer says that our stamp is too far from the venue's clock."""
    return _REJECTS.get(venue, {}).get(code) is Reason.CLOCK


def too_fast(venue: str, code: str) -> bool:
    """Whether an error answer says that we ask too much."""
    return code in _SLOWER.get(venue, ())


def reject_codes(venue: str) -> frozenset[str]:
    """The codes on a venue's allow-list."""
    return frozenset(_REJECTS.get(venue, ()))


def _by_sentence(sentence: str, known: Mapping[str, Reason]) -> Reason | None:
    matches: Iterable[Reason] = (reason for start, reason in known.items() if sentence.startswith(start))
    return next(iter(matches), None)
