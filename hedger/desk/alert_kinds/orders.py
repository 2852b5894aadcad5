"""Told by the engine: orders and fills."""

from __future__ import annotations

from hedger.desk.alert_kinds.kind import CRITICAL, NOTE, WARNING, AlertKind

TITLE = "Orders and fills"
KINDS = (
    AlertKind(
        "ORDER_UNKNOWN",
        CRITICAL,
        "Nobody could say what became of an order. It counts at its worst: filled, or not.",
        "Look for it by its id on the venue's own screen. Cancel it there if it is open. The engine goes on "
        "asking and books what it finds; do not send it again by hand.",
        subject="order",
        stands=True,
    ),
    AlertKind(
        "FILLS_OWED",
        CRITICAL,
        "The venue says that an order filled and has not told its executions. The hedge waits for them.",
        "Look at the order's executions on the venue's own screen, and at both clocks. The engine goes on "
        "asking and books them when they are told; do not book them by hand.",
        subject="order",
    ),
    AlertKind(
        "ORDER_LOST",
        WARNING,
        "An order was given up for lost: the venue never had it, by several answers and its account.",
        "Nothing, if the venue's history agrees.",
        subject="order",
    ),
    AlertKind(
        "ORDER_CONTRADICTED",
        CRITICAL,
        "A venue acknowledged an order and denies it now, too soon to have forgotten it. It counts as filled "
        "and as not filled, nothing is sent in its place, and the engine halts.",
        "Look for the order on every account that the key may act for: do the key and the account of the "
        "configuration differ? Cancel or close it there. `hedger arm --accept --reason TEXT` takes the "
        "venue's word that there is none.",
        subject="order",
    ),
    AlertKind(
        "ORDER_BACK",
        WARNING,
        "An order that is over here is open at the venue. It is cancelled.",
        "See that the cancel holds; look for a second engine with the same tag.",
        subject="order",
    ),
    AlertKind(
        "ORDER_NOT_ON_RECORD",
        WARNING,
        "The venue shows an order with our name that the journal does not know. It is cancelled.",
        "Was the journal changed or moved, or does a second engine run? Compare `hedger orders --all` with "
        "the venue.",
    ),
    AlertKind(
        "EXTERNAL_ORDER",
        WARNING,
        "Somebody else trades on this account: an open order is not of this engine. It is left alone.",
        "Find out whose it is. One account, one engine.",
    ),
    AlertKind(
        "ORDER_AMENDED",
        WARNING,
        "Somebody else has given an order of ours another size or price at the venue. The larger size counts "
        "at once; it is cancelled, and what is left to do is planned anew.",
        "See that the cancel holds, and find out who did it. An engine's orders are left to the engine: to "
        "stop one, `hedger pause` or `hedger kill`.",
        subject="order",
    ),
    AlertKind(
        "ORDER_REJECTED",
        NOTE,
        "A venue refused an order.",
        "Look at the code when it comes often: a tick, a size, a price band, funds.",
    ),
    AlertKind(
        "ORDER_DENIED",
        WARNING,
        "Our own hard limits refused an order before it was sent.",
        "`hedger limits codes` explains the code. Do not loosen a limit in a hurry.",
    ),
    AlertKind(
        "ORDER_HELD",
        WARNING,
        "An order waits for a refusal that passes by itself, such as a rate or a wide market.",
        "Nothing at first. If it lasts, the book stays outside its band: `hedger status`.",
    ),
    AlertKind(
        "LISTING_ASIDE",
        WARNING,
        "An order was refused for a reason that lasts (margin, a closed instrument, no permission), or three "
        "in a row for their form: that side of the listing is left out of plans for a while that grows, and "
        "the plan goes by the others.",
        "Mend the reason: funds, rights, limits. `hedger arm`, or asking for a hedge, has it tried at once.",
    ),
    AlertKind(
        "PAUSED",
        CRITICAL,
        "The engine paused itself after a refusal that a person must look at.",
        "Read the reason, mend it, `hedger resume`.",
        stands=True,
    ),
    AlertKind(
        "OVERFILL",
        CRITICAL,
        "More was filled than was ordered. It is booked as told.",
        "Compare with the venue's trade history at once; `hedger pause` if it happens again.",
        subject="order",
    ),
    AlertKind(
        "FILL_BEYOND_ORDER",
        CRITICAL,
        "A fill on the other side, or at a worse price than the order allows. It is booked as told.",
        "Compare with the venue's trade history; raise it with the venue.",
        subject="order",
    ),
    AlertKind(
        "LATE_FILL",
        WARNING,
        "An order that was over has filled more. It is booked.",
        "Nothing by itself; the next look hedges what it changed.",
        subject="order",
    ),
    AlertKind(
        "TRADE_WITHOUT_ID",
        CRITICAL,
        "An execution without a trade id: it cannot be booked once and only once, so it was not booked.",
        "Nothing at first: the account is read again. If DRIFT follows, compare positions, and take the "
        "venue's by `hedger arm --accept --reason TEXT`.",
    ),
    AlertKind(
        "TRADE_TOO_OLD",
        CRITICAL,
        "An execution from before the days that are remembered: it was not booked.",
        "Look whether the book already holds it; if DRIFT follows it does not.",
    ),
    AlertKind(
        "TRADE_MISDATED",
        WARNING,
        "A venue stamps an execution far ahead of our clock (`stamp_s_max`). It is booked, as of now.",
        "Compare this machine's clock with a time server; raise it with the venue if ours is right.",
    ),
    AlertKind(
        "FILL_OF_FORGOTTEN_ORDER",
        WARNING,
        "A fill of an order of ours that is not on record any more. It is booked.",
        "Compare `hedger orders --all` with the venue's history.",
    ),
    AlertKind(
        "EXTERNAL",
        WARNING,
        "A trade on this account that is not of this engine. It is booked as external.",
        "Find out whose it is: a person, a liquidation, another engine.",
    ),
)
