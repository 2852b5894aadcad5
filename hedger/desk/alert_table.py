"""Every alert there is: how grave it is, what it means, and what a person does about it.

The one list behind `hedger alerts`, the runbooks in the docs and the tests: a code that the engine tells and
that is not here fails a test. What a code means is said for the trader who is woken by it.

`subject` says of what there can be several at once: a venue, an order, or "": the text without its figures.
`ends` names the alerts that this one takes back. An alert that something takes back, or that is looked at
directly, *stands* until then: it is told again while it does, and its end is told. All others *happen*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hedger.core.actions import Severity

Subject = Literal["", "venue", "order"]

NOTE, WARNING, CRITICAL = Severity.NOTE, Severity.WARNING, Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class AlertKind:
    """One kind of alert. severity: the gravest it is told with. own: found by `hedger alerts` itself, not
    told by the engine. stands: until something takes it back. repeats: told again while it stands."""

    code: str
    severity: Severity
    meaning: str
    action: str
    subject: Subject = ""
    ends: tuple[str, ...] = ()
    own: bool = False
    stands: bool = False
    repeats: bool = True


def _own(code: str, severity: Severity, meaning: str, action: str, *, repeats: bool = True) -> AlertKind:
    return AlertKind(code, severity, meaning, action, own=True, stands=True, repeats=repeats)


#: What `hedger alerts` sees by itself: the process, its files, its mode, its marks, the sinks.
OWN = (
    _own(
        "ENGINE_DEAD",
        CRITICAL,
        "The engine's process is gone and did not end in order. Orders may rest at venues until their dead "
        "man's switch fires; nothing hedges.",
        "Look at the venue's own screen for open orders. Start the engine again: it recovers from the "
        "journal and reconciles before it may be armed. Do not start a second journal.",
    ),
    _own(
        "ENGINE_SILENT",
        CRITICAL,
        "The engine holds its journal and gives no sign of life: its loop hangs or the process is stopped.",
        "`hedger kill` sets the latch; a hanging engine cancels nothing. End its process and `hedger kill` "
        "once more: then it cancels on the venues by a session of its own. Look at its log, start again.",
    ),
    _own(
        "ENGINE_ENDED",
        WARNING,
        "The engine has ended in order. Nothing hedges from now on.",
        "If nobody meant it, start it again. Live it arms itself once the accounts agree; on paper it "
        "observes until `hedger arm`, or arms at once with `--arm`.",
        repeats=False,
    ),
    _own(
        "ENGINE_ABSENT",
        WARNING,
        "No engine writes this journal, and none has left a sign of life beside it.",
        "Start the engine, or name the right file with --journal.",
        repeats=False,
    ),
    _own(
        "KILLED",
        CRITICAL,
        "The kill latch is set: nothing new leaves, everything open is cancelled. It outlives restarts.",
        "Find out why (`hedger status` says who set it). Check that `hedger orders` and the venue show "
        "nothing open. Then `hedger unkill --reason ...` and `hedger arm`.",
    ),
    _own(
        "MODE_HALTED",
        CRITICAL,
        "The engine has stopped sending by itself. It goes on watching, cancelling and reconciling.",
        "`hedger status` gives the reason. Mend it, then `hedger arm`; the book is not hedged until then.",
    ),
    _own(
        "MODE_REDUCING",
        WARNING,
        "The engine sends only orders that reduce what is held.",
        "`hedger status` gives the reason. `hedger arm` lifts it.",
    ),
    _own(
        "MODE_PAUSED",
        WARNING,
        "Paused: no new hedges. Checks and cancels go on.",
        "`hedger resume` when it is safe; `hedger status` says who paused it and why.",
    ),
    _own(
        "JOURNAL_UNREADABLE",
        CRITICAL,
        "The journal cannot be read any further; what the engine tells from here on is not seen.",
        "`hedger journal verify` says how far it is sound. Keep the file and its -wal. Check the disk.",
    ),
    _own(
        "JOURNAL_REPLACED",
        CRITICAL,
        "The journal was moved or replaced while it was read: nothing that a new one holds is seen.",
        "Start `hedger alerts` again on the journal that the engine writes. Never move one that is in use.",
    ),
    _own(
        "MARKS_OLD",
        CRITICAL,
        "The market has not been heard of for longer than marks_s_max: the book is not valued, hedges wait.",
        "`hedger venues` shows which feed is silent. Check the venue's status page and the network; hedge by "
        "hand if the market moves.",
    ),
    _own(
        "PNL_NOT_WATCHED",
        WARNING,
        "The book cannot be valued here, so `hedger alerts` tells neither P&L without a cause nor old marks.",
        "The text says why. The engine's own breaker on P&L goes on. `alerts.unexplained = false` says that "
        "this is meant, as for a replay, whose marks lie on a tape.",
        repeats=False,
    ),
    _own(
        "DISK_LOW",
        CRITICAL,
        "Little space is left beside the journal. An engine that cannot write stops sending.",
        "Make room on that disk; old journals and reports may be moved away, never the one in use.",
    ),
    _own(
        "SINK_DOWN",
        WARNING,
        "One of the places that alerts go to does not take them.",
        "Check its address and the service behind it. What waits is sent as soon as it answers.",
        repeats=False,
    ),
)

#: Told by the engine: orders and fills.
ORDERS = (
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
        "Compare with the venue's trade history at once; pause if it happens again.",
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
        "The account is read again; if DRIFT follows, compare positions and adopt the venue's by hand.",
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

#: Told by the engine: venues, accounts and keys.
VENUES = (
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
        "Dust: nothing. More than dust: move it out, or name it among the underlyings of its venue in the "
        "configuration, so that it has an index.",
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

#: Told by the engine: marks, plans, hedges, P&L and commands.
HEDGING = (
    AlertKind(
        "MARKS_INVALID",
        WARNING,
        "A batch of marks was thrown away: it was not sound.",
        "If it comes often, look at that feed: `hedger venues`.",
    ),
    AlertKind(
        "BOOK_NOT_VALUED",
        CRITICAL,
        "The book cannot be valued; an armed engine halts.",
        "`hedger risk` names the position and why. Mend its mark or the book, then `hedger arm`.",
        stands=True,
    ),
    AlertKind(
        "ROW_HELD",
        WARNING,
        "Several attempts on a row did not bring it in (`policy.attempts_max`). It stays outside its band, "
        "and no other is made before the time that the text says.",
        "Read why the last one ended, in the text or by `hedger status`, and mend that. Hedge by hand if the "
        "market moves.",
    ),
    AlertKind(
        "NOT_HEDGED",
        WARNING,
        "A hedge is due and none is made.",
        "The text says why. Hedge by hand if it lasts and the market moves.",
    ),
    AlertKind(
        "PLAN_FAILED",
        CRITICAL,
        "No plan could be made: a fault of the data or the program.",
        "Hedge by hand meanwhile; keep the journal, it holds everything that led there.",
    ),
    AlertKind(
        "LEGS_LEFT",
        CRITICAL,
        "A hedge ended in the middle: legs are done that leave the book further out than before.",
        "Do the way back or the rest by hand, or `hedger flatten`. The text lists the legs.",
    ),
    AlertKind(
        "HEDGED",
        NOTE,
        "What was asked for is done: every row is inside its landing.",
        "Nothing.",
    ),
    AlertKind(
        "HEDGE_INCOMPLETE",
        WARNING,
        "A hedge that a person asked for could not be finished.",
        "The text says why.",
    ),
    AlertKind(
        "FLATTEN_INCOMPLETE",
        WARNING,
        "A flatten came as near as whole lots or the rules allow; the text lists what is left.",
        "Ask again later, or close the rest by hand.",
    ),
    AlertKind("FLATTENED", NOTE, "A flatten is done: every row is flat.", "Nothing."),
    AlertKind(
        "PNL_UNEXPLAINED",
        CRITICAL,
        "A part of the day's P&L has no cause. Beyond what [pnl] bears it is a warning; beyond "
        "[execution.watch] the engine reduces, and at the next look halts.",
        "`hedger pnl` shows the day by cause. Look for trades not booked, a wrong mark, a wrong position: "
        "`hedger book fetch` and compare. If the engine has halted, `hedger arm` begins its sum anew.",
        stands=True,
    ),
    AlertKind(
        "PNL_EXPLAINED",
        NOTE,
        "The P&L that nothing explains is back within bounds.",
        "Nothing.",
        ends=("PNL_UNEXPLAINED",),
    ),
    AlertKind(
        "PNL_NOT_TAKEN_APART",
        WARNING,
        "A stretch of P&L could not be taken apart and is not watched.",
        "The text names what is not known, such as a fee in a currency without an index.",
    ),
    AlertKind(
        "BUILD_REFUSED",
        WARNING,
        "A command of another build of the program than the engine's was not obeyed; nothing has changed.",
        "`hedger status` names the engine's build: send it from that one. `pause` and `kill` work from any.",
    ),
    AlertKind(
        "BAND_BY_HAND",
        NOTE,
        "The engine has started and a band that a person set stands; the text names both, it and the file's.",
        "Nothing, if it is still wanted; `hedger bands ROW=` takes the file's again.",
    ),
    AlertKind(
        "BAND_BY_FILE",
        WARNING,
        "The settings file says something else of a row than when a person set its band: the file is "
        "followed again. The text names all three.",
        "Set it anew by `hedger bands` where the file is not what is wanted.",
    ),
    AlertKind(
        "BAND_NARROW",
        WARNING,
        "The engine was armed, or took settings anew, with a band whose landing lies less than one smallest "
        "trade inside its trigger: what was hedged may be outside again at once.",
        "Widen the trigger or narrow the landing in the settings file, then `hedger reload`.",
    ),
    AlertKind("RELOADED", NOTE, "The settings were taken anew; the text lists what changed.", "Nothing."),
    *(
        AlertKind(
            f"{verb}_REFUSED",
            WARNING,
            f"The engine did not obey the command `{verb.lower()}`; nothing has changed.",
            "The text says why, and what would help.",
        )
        for verb in ("ARM", "HEDGE", "FLATTEN", "UNKILL", "BANDS", "RELOAD")
    ),
)

#: Every alert, in the order in which the docs list them.
ALERTS: tuple[AlertKind, ...] = (*OWN, *ORDERS, *VENUES, *HEDGING)
BY_CODE = {kind.code: kind for kind in ALERTS}

#: What a code is taken for that a newer engine tells and this list does not know.
UNKNOWN_ACTION = "This release does not know the code: read the text, and `hedger status`."


def kind_of(code: str) -> AlertKind:
    """The kind of a code; of one that is not in the list its name alone.

    >>> kind_of("KILLED").severity.value, kind_of("NEW_ONE").stands
    ('critical', False)
    """
    return BY_CODE.get(code) or AlertKind(code, CRITICAL, "", UNKNOWN_ACTION)
