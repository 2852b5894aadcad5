"""What the engine's sign of life says of a venue, as `hedger venues` tells it: credits, the dead man's
switch, the account. What is not known is null, with the reason beside it: an engine that has ended has no
credits, and nobody restarts its timers.
"""

from __future__ import annotations

from typing import Any

from hedger.documents import number
from hedger.engine.heartbeat import Heartbeat, VenueSign
from pricing.daycount import NS_PER_SECOND, iso

Json = dict[str, Any]
NO_BEAT = "the engine's sign of life tells nothing of it"
NOT_RUNNING = "no engine runs"
NOT_ASKED = "no answer for the account yet"
NO_TIMER, NOT_SET = "the venue has no such timer", "none is set"
REFUSED = "the venue has not said that it cancels"
NOT_REFRESHED = "the venue has taken no refresh yet"
MMP = "no order of ours is placed under it, and no venue is asked for it"


def sign_of(beat: Heartbeat | None, venue: str, started_ns: int) -> VenueSign | None:
    """Of a venue; None where the last beat is older than the engine's start, or does not tell of it."""
    if beat is None or beat.now_ns < started_ns:
        return None
    return next((sign for sign in beat.venues if sign.venue == venue), None)


def credits(sign: VenueSign | None, runs: bool) -> Json:
    """Messages that may leave at once, as the engine counts them."""
    if sign is None or not runs:
        unknown: Json = {"left": None, "of": None, "per_s": None, "kept_for_cancels": None, "paces": []}
        return unknown | {"unknown": _lacking(runs)}
    return {
        "left": number(sign.credits),
        "of": number(sign.burst),
        "per_s": number(sign.per_s),
        "kept_for_cancels": number(sign.kept),
        "paces": [{"kind": kind, "left": number(left), "of": number(of)} for kind, left, of in sign.paces],
        "unknown": "",
    }


def switch(sign: VenueSign | None, runs: bool, at_ns: int) -> Json:
    """The dead man's switch as it stands. at_ns: UTC, until when the seconds that are left count down."""
    if sign is None:
        unknown: Json = dict.fromkeys(("armed", "timer_s", "refreshed_s", "fires_at", "left_s"))
        return unknown | {"unknown": _lacking(runs)}
    fires_ns = None
    if sign.timer_s is not None and sign.refreshed_ns is not None:
        fires_ns = sign.refreshed_ns + round(sign.timer_s * NS_PER_SECOND)
    counts = runs and sign.armed and fires_ns is not None
    return {
        "armed": sign.armed if runs else None,
        "timer_s": None if sign.timer_s is None else number(sign.timer_s),
        "refreshed_s": None if sign.refreshed_ns is None else (at_ns - sign.refreshed_ns) / NS_PER_SECOND,
        "fires_at": None if fires_ns is None else iso(fires_ns),
        "left_s": max(fires_ns - at_ns, 0) / NS_PER_SECOND if counts and fires_ns is not None else None,
        "unknown": _why_not(sign, runs),
    }


def _why_not(sign: VenueSign, runs: bool) -> str:
    """Why nobody can say how many seconds are left; "" where it is known."""
    if not sign.timer:
        return NO_TIMER
    if sign.timer_s is None:
        return NOT_SET
    if not runs:
        return NOT_RUNNING
    if not sign.armed:
        return REFUSED
    return "" if sign.refreshed_ns is not None else NOT_REFRESHED


def account(sign: VenueSign | None, runs: bool, at_ns: int) -> Json:
    """What came of the last question for the account, and since when it last agreed with the book."""
    known = sign is not None and sign.reconciled != ""
    lacking = _lacking(runs) if sign is None else NOT_ASKED
    return {
        "result": sign.reconciled if sign is not None and known else None,
        "agreed_s": None
        if sign is None or sign.agreed_ns is None
        else (at_ns - sign.agreed_ns) / NS_PER_SECOND,
        "unknown": "" if known else lacking,
    }


def _lacking(runs: bool) -> str:
    """Why nothing is told."""
    return NO_BEAT if runs else NOT_RUNNING
