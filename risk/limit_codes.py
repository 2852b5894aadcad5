"""Why an order was not let out: one code per reason, with its control, in words, and the way out.

Controls are numbered C1 to C20, in the order in which they are checked and reported; the sentence a person
reads is made here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one order. observed, allowed: as a person reads them; detail: what else helps."""

    code: Code
    observed: str = ""
    allowed: str = ""
    detail: str = ""


class Code(Enum):
    """Reason codes: (control, what is wrong, how to mend it). The name is the code, and is held stable."""

    def __init__(self, control: str, what: str, fix: str) -> None:
        self.control = control
        self.what = what
        self.fix = fix

    INPUT_MISSING = (
        "C0",
        "something that a limit needs is not known, and unknown is not zero",
        "wait until it is known again; see `hedger status` for what is missing",
    )
    NOT_ARMED = ("C1", "the engine is not armed", "`hedger arm`, once the account is reconciled")
    KILL_LATCH = ("C1", "the kill latch is set", "`hedger unkill --reason ...` after finding out why")
    ROLE = ("C1", "whoever asks may not trade", "ask with a role that may")
    RAISES_RISK_REDUCING = (
        "C1",
        "the engine only reduces, and the order would raise a risk",
        "make it smaller, or arm again once the reason of the mode is gone",
    )
    VENUE_NOT_ALLOWED = ("C2", "the venue may not be traded on", "name it in permission.venues")
    UNDERLYING_NOT_ALLOWED = ("C2", "the coin may not be traded", "name it in permission.underlyings")
    KIND_NOT_ALLOWED = ("C2", "this kind of contract may not be traded", "name it in permission.kinds")
    SYMBOL_DENIED = ("C2", "the instrument is never to be traded", "see permission.denied_symbols")
    PRICE_FAR_FROM_MID = ("C3", "the price is far from the middle of the book", "plan anew at the market")
    PRICE_FAR_FROM_INDEX = ("C3", "the price is far from what the index implies", "compare book and index")
    PRICE_FAR_FROM_LAST_FILL = ("C3", "the price is far from our last fill", "plan anew; see the last fills")
    PRICE_THROUGH_TOUCH = ("C3", "the price reaches far through the best price", "lower the price limit")
    ORDER_TOO_LARGE = ("C4", "the order is for too many coins", "send it in smaller parts")
    ORDER_NOTIONAL = ("C4", "the order's notional is too large", "send it in smaller parts")
    OFF_TICK = ("C5", "the price is not on the tick", "round it to the instrument's tick")
    OFF_LOT = ("C5", "the quantity is no whole number of lots", "round it to the instrument's lot")
    BELOW_MINIMUM = ("C5", "the quantity is below the instrument's minimum", "leave it out, or trade more")
    POSITION_INSTRUMENT = ("C6", "the instrument's worst-case position is too large", "lower the size")
    POSITION_UNDERLYING = ("C6", "the coin's worst-case positions are too large", "lower the size")
    POSITION_VENUE = ("C6", "the venue's worst-case positions are too large", "lower the size")
    POSITION_FIRM = ("C6", "the worst-case positions of everything are too large", "lower the size")
    LIMIT_DELTA_EXCEEDED = ("C7", "worst-case delta exceeds its limit", "lower the size")
    LIMIT_GAMMA_EXCEEDED = ("C7", "worst-case gamma exceeds its limit", "lower the size")
    LIMIT_GAMMA_EXPIRING_EXCEEDED = (
        "C7",
        "worst-case gamma of expiring options exceeds its limit",
        "lower it",
    )
    LIMIT_VEGA_EXCEEDED = ("C7", "worst-case vega exceeds its limit", "lower the size")
    LIMIT_FIRM_DELTA_EXCEEDED = ("C7", "worst-case deltas of all coins exceed their limit", "lower the size")
    EFFECT_DISAGREES = (
        "C8",
        "the order's effect as planned is not what it comes to when reckoned again",
        "this is a fault of data or program: halt, and compare `hedger risk --check-venue`",
    )
    HEDGE_NO_PROGRESS = (
        "C8",
        "the hedge would not bring back the risk it is for",
        "plan anew with the present positions",
    )
    MARGIN_INITIAL = (
        "C9",
        "initial margin would use too much of the balance",
        "lower the size, or add funds",
    )
    MARGIN_MAINTENANCE = (
        "C9",
        "maintenance margin would use too much of the balance",
        "lower the size, or add funds",
    )
    MARGIN_UNKNOWN = (
        "C9",
        "the venue's margin is not known, and unknown is not zero",
        "name the venue in margin.unproven_venues if a person watches its margin",
    )
    STALE_BOOK = ("C10", "the order book is too old", "wait for a fresh one")
    STALE_INDEX = ("C10", "the index is too old", "wait for a fresh one")
    STALE_VOL = ("C10", "the vol is too old", "wait for a fresh one")
    STALE_POSITIONS = ("C10", "positions were confirmed too long ago", "wait for the reconciliation")
    CLOCK_OFFSET = ("C10", "our clock and the venue's are too far apart", "set the clock")
    BOOK_CROSSED = ("C11", "the book is crossed or locked", "wait for a sound one")
    BOOK_ONE_SIDED = ("C11", "a side of the book is empty", "wait for a sound one")
    BOOK_GAP = ("C11", "the book has lost messages", "wait for a new snapshot")
    BOOK_THIN = ("C11", "the other side shows too little", "wait, or lower book.depth_usd_min")
    DUPLICATE_INTENT = ("C12", "the same order was decided already", "wait for what becomes of the first")
    RATE_CREDITS = ("C13", "the credits left are kept for cancels", "wait a moment")
    RATE_MESSAGES = ("C13", "too many orders within the window", "wait, and find out who sends them")
    FRUITLESS_HEDGES = (
        "C14",
        "hedges were repeated and the risk did not fall",
        "pause, and compare plan, fills and exposures",
    )
    BUDGET_LOSS = ("C15", "the day's loss has reached its budget", "a person decides")
    BUDGET_FEES = ("C15", "the day's fees would exceed their budget", "a person decides")
    BUDGET_SLIPPAGE = ("C15", "the day's slippage would exceed its budget", "a person decides")
    SELF_TRADE_PREVENTION_OFF = (
        "C16",
        "the venue's self-trade prevention is not known to be on",
        "switch it on at the venue and read it back",
    )
    SELF_TRADE = ("C16", "one of our own orders stands on the other side", "cancel that one first")
    STYLE = ("C17", "the flags are not those of what was intended", "a fault of the program: report it")
    MAKER_CROSSES = ("C17", "a maker's price would take", "price it at the touch")
    REDUCE_ONLY_RAISES = ("C17", "a reduce-only order exceeds what it may close", "lower the size")
    TOO_MANY_ORDERS = ("C18", "too many orders are alive", "wait until some have ended")
    ORDER_TOO_OLD = (
        "C18",
        "an order has been alive for too long",
        "find out what became of it, or cancel it",
    )
    CHILD_AGAINST_PARENT = ("C19", "the order trades against what it is part of", "a fault: report it")
    CHILDREN_EXCEED_PARENT = ("C19", "its parts would exceed what was decided", "a fault: report it")
    NEAR_EXPIRY = ("C20", "the instrument is about to expire, or has", "hedge with a later one")
    SETTLEMENT_WINDOW = ("C20", "the venue is settling", "wait until it is over")
    MAINTENANCE = ("C20", "the venue is under maintenance", "wait until it is over")

    def text(self, where: str, observed: str, allowed: str, detail: str = "") -> str:
        """The sentence of a refusal.

        >>> Code.ORDER_NOTIONAL.text("buy 5 BTC-PERPETUAL", "5e6 USD", "at most 1e6 USD")
        "ORDER_NOTIONAL: the order's notional is too large (C4), where: buy 5 BTC-PERPETUAL,
        observed: 5e6 USD, allowed: at most 1e6 USD; nothing was sent; fix: send it in smaller parts"
        """
        parts = [f"{self.name}: {self.what} ({self.control})", f"where: {where}"]
        if observed:
            parts.append(f"observed: {observed}")
        if allowed:
            parts.append(f"allowed: {allowed}")
        if detail:
            parts.append(detail)
        return f"{', '.join(parts)}; nothing was sent; fix: {self.fix}"
