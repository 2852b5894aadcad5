"""Told by the engine: venues, accounts and keys."""

from __future__ import annotations

from hedger.desk.alert_kinds.kind import CRITICAL, NOTE, WARNING, AlertKind

TITLE = "Venues, accounts and keys"
KINDS = (
    AlertKind(
        "LINK_DOWN",
        WARNING,
        "A venue cannot be reached. Resting orders there end by the dead man's switch; nothing is sent.",
        "`hedger venues`. If it lasts, check the venue's status page and the network, and think about "
        "hedging elsewhere.",
        subject="venue",
        stands=True,
    ),
    AlertKind(
        "LINK_DEGRADED",
        WARNING,
        "A venue answers late or in parts. Resting orders there are cancelled.",
        "`hedger venues` shows delays; wait, or pause.",
        subject="venue",
        stands=True,
    ),
    AlertKind(
        "LINK_UP",
        NOTE,
        "A venue can be reached again; its account is read before anything is sent there.",
        "Nothing.",
        subject="venue",
        ends=("LINK_DOWN", "LINK_DEGRADED"),
    ),
    AlertKind(
        "VENUE_EVENT",
        WARNING,
        "A venue did something by itself, such as firing the dead man's switch.",
        "Read which. The account is read again before anything is sent there.",
    ),
    AlertKind(
        "DEAD_MAN_OFF",
        WARNING,
        "A venue did not take a refresh of its dead man's switch: orders there may outlive the engine.",
        "Read the venue's words. The engine goes on trying. If it lasts, mend the key's rights or the way "
        "there, or `hedger pause`, which takes back what rests.",
        subject="venue",
        stands=True,
    ),
    AlertKind(
        "DEAD_MAN_ON",
        NOTE,
        "A venue takes refreshes of its dead man's switch again.",
        "Nothing.",
        subject="venue",
        ends=("DEAD_MAN_OFF",),
    ),
    AlertKind(
        "ACCOUNT_UNANSWERED",
        CRITICAL,
        "An account did not answer several questions in a row: positions there are not confirmed.",
        "Check the venue and the key. Nothing is sent there until it agrees with the book.",
    ),
    AlertKind(
        "KEY_REFUSED",
        CRITICAL,
        "A venue does not let our key in any more. The engine has halted; it does not try again and again.",
        "Look at the key on the venue (revoked, expired, address list, scopes). `hedger doctor`, then "
        "`hedger arm`.",
        stands=True,
    ),
    AlertKind(
        "DRIFT",
        CRITICAL,
        "A venue's positions or balances differ from the book without a reason; twice in a row halts.",
        "Compare `hedger status` with the venue. A trade by hand, a transfer, a settlement? Mend the book or "
        "the account, then `hedger arm`.",
        subject="venue",
        stands=True,
    ),
    AlertKind(
        "DRIFT_OVER",
        NOTE,
        "A venue agrees with the book again.",
        "Nothing, or `hedger arm` if it had halted.",
        subject="venue",
        ends=("DRIFT",),
    ),
    AlertKind(
        "LISTING_CHANGED",
        CRITICAL,
        "A venue lists another contract under the same name (`critical`), or something no more (`warning`). "
        "It is left out of plans, and what rests there is cancelled; a plan goes by the others.",
        "Read the venue's announcement. Another contract of which nothing is held is taken up by the next "
        "start; one that is held needs a new journal, with what the account says.",
    ),
    AlertKind(
        "LISTING_TERMS",
        NOTE,
        "A venue trades something in other ticks, lots or smallest orders than before: they are taken up.",
        "Nothing.",
    ),
    AlertKind(
        "BALANCE_UNPRICED",
        WARNING,
        "A coin that no underlying here is lies in the wallet, or differs from the book there: nothing tells "
        "what it is worth. It is in no row and no equity; fees paid with it count as the most that they can "
        "be.",
        "Nothing, if it is dust. Move more than that out, or name it among the underlyings of its venue in "
        "the configuration, so that it has an index.",
    ),
    AlertKind(
        "ACCOUNT_MISDATED",
        CRITICAL,
        "A venue stamps its account far from our clock (`stamp_s_max`). The report is not taken, and nothing "
        "is sent there until one is.",
        "Compare this machine's clock with a time server, and the venue's status page. Once the clocks agree "
        "the account is read by itself.",
        subject="venue",
    ),
    AlertKind(
        "ACCOUNT_MODE",
        CRITICAL,
        "A venue's account is set up otherwise than the engine trades, as with a position that was made "
        "isolated: no balance shows what it gains or loses. Nothing is sent there.",
        "Do what the alert says at the venue: close the position, or set it to cross margin. The venue is "
        "traded on again once its account shows that.",
        subject="venue",
        stands=True,
    ),
    AlertKind(
        "ACCOUNT_MODE_OVER",
        NOTE,
        "A venue's account is set up as the engine trades again; orders may be sent there.",
        "Nothing.",
        subject="venue",
        ends=("ACCOUNT_MODE",),
    ),
    AlertKind(
        "OTHER_ENGINE",
        CRITICAL,
        "Another engine trades on our account: an order or a fill has an id of our kind with another tag. An "
        "engine that was sending has halted.",
        "One account, one engine. End the other one (`hedger kill` on its journal), see that its orders are "
        "gone, then `hedger arm`; at once, or where its journal was thrown away, "
        "`hedger arm --accept --reason TEXT`.",
    ),
    AlertKind(
        "NOT_ACCEPTED",
        CRITICAL,
        "Something the venue shows cannot be taken into the book: no such listing, or no price for it.",
        "Start with a book that names it, or close it on the venue.",
    ),
    AlertKind(
        "DELIVERY_ABSURD",
        CRITICAL,
        "A venue tells a settlement price that is none: zero, below it, or no number. It was not used.",
        "Compare with the venue's published delivery price.",
    ),
    AlertKind(
        "KILL_CONFIRMED",
        NOTE,
        "After a kill every venue has shown no open orders twice in a row.",
        "Nothing open is left. The latch stays until `hedger unkill`.",
    ),
)
