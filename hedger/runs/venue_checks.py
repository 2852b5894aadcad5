"""The doctor at a venue: reachable, its clock, what the key may do, how the account is set up.

A venue is asked, and its dead man's timer set once, where no order rests: that it takes it is the only proof
that it would. A key that can move money out is refused here, however well the rest stands.
"""

from __future__ import annotations

import asyncio
import time

from hedger.runs.checks import Check, Finding, bad, from_error
from hedger.runs.venue_margin import check_margin
from hedger.runs.venue_market import started, venue_config
from hedger.runs.venue_setup import Adapter, adapter
from hedger.runs.venue_wallet import wallet_notes
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from pricing.errors import HedgerError
from venues.errors import Locked, NotTheVenue, VenueError
from venues.key_scopes import KeyScopes, read_scopes
from venues.orders import AccountReport

#: A quote's age, and a signature's, are told by both clocks.
OFFSET_S_MAX = 1.0
ANSWERS = 3
_UNKNOWN = "REFUSED: what the key can do is not known"


async def examine_venues(settings: Settings) -> tuple[Check, ...]:
    """Every venue of the configuration, each by an adapter of its own."""
    if not settings.venues:
        return (Check("venues", Finding.GOOD, "none configured: paper only, nothing can be sent"),)
    found = await asyncio.gather(*(_venue(settings, name) for name in sorted(settings.venues)))
    return tuple(check for checks in found for check in checks)


async def _venue(settings: Settings, name: VenueName) -> list[Check]:
    try:
        config = venue_config(settings, name, keys=True)
        venue = adapter(name, config, start_s_max=settings.run.start_s_max)
    except HedgerError as error:
        return [from_error(f"{name}, {'address' if error.code == 'VENUE_HOST' else 'keys'}", error)]
    try:
        await started(venue, settings.run.start_s_max)
        return await examine_venue(settings, name, venue)
    except Locked as error:
        return [_locked(settings, name, error)]
    except NotTheVenue as error:
        return [from_error(f"{name}, address", error)]
    except VenueError as error:
        return [_unreached(settings, name, "reachable", error)]
    finally:
        await venue.close()


async def examine_venue(settings: Settings, name: VenueName, venue: Adapter) -> list[Check]:
    """An adapter that has been started: reachable, its clock, its key, the account, its dead man's switch."""
    found: list[Check] = []
    try:
        begun = time.perf_counter()
        await venue.time_ns()
        took_s = time.perf_counter() - begun
        unread = len(getattr(venue, "refused", {}))
        text = f"{network(settings, name)}, answers in {took_s:.3f} s"
        text += f", {unread} listings unread" if unread else ""
        found.append(Check(f"{name}, reachable", Finding.GOOD, text, (("answer_s", took_s),)))
        found.append(await _offset(name, venue))
        found += await _key(settings, name, venue)
    except Locked as error:
        found.append(_locked(settings, name, error))
    except VenueError as error:
        found.append(_unreached(settings, name, "answers", error))
    return found


def network(settings: Settings, name: VenueName) -> str:
    """Which of its networks a venue is reached on, and by which address if not its own."""
    config = settings.venues[name]
    net = "TESTNET, no real money" if config.sandbox else "live"
    return f"{net}, at {config.url}" if config.url else net


def _unreached(settings: Settings, name: VenueName, what: str, error: VenueError) -> Check:
    """A venue that does not answer, or not what was asked; a stamp that it refuses is our clock's fault."""
    fix = "see whether the venue is open, the way to it, and its address in the configuration"
    if error.code == "CLOCK_REFUSED":
        what, fix = "clock", "let this machine's time service set the clock"
    return bad(
        f"{name}, {what}", error.code, error.what, where=error.where or f"venues.{name}",
        observed=error.observed or "no answer", fix=error.fix or fix,
        allowed=error.allowed or f"an answer of the venue ({network(settings, name)})",
    )  # fmt: skip


def _locked(settings: Settings, name: VenueName, error: Locked) -> Check:
    """A key that is refused; where nobody says what is wanted instead it may be one of the other network."""
    if error.allowed:
        return from_error(f"{name}, key", error)
    sandbox = settings.venues[name].sandbox
    here, other = ("test", "live") if sandbox else ("live", "test")
    return bad(
        f"{name}, key", error.code, error.what, where=f"venues.{name}", observed=error.observed,
        allowed=f"a valid key of the {here} network that may read and trade, used from an address it is for",
        fix=f"check it at the venue; a key of the {other} network goes with venues.{name}.sandbox = "
        f"{str(not sandbox).lower()}",
    )  # fmt: skip


async def _offset(name: str, venue: Adapter) -> Check:
    """The venue's clock less ours: of some answers that which came fastest, as known as half of its time."""
    best: tuple[float, float] | None = None
    for _ in range(ANSWERS):
        sent = time.time_ns()
        told = await venue.time_ns()
        back = time.time_ns()
        half_s = (back - sent) / 2 / NS_PER_SECOND
        offset_s = (told - (sent + back) / 2) / NS_PER_SECOND
        if best is None or half_s < best[1]:
            best = offset_s, half_s
    assert best is not None
    offset_s, half_s = best
    text, figures = f"{offset_s:+z.3f} s, +- {half_s:.3f} s", (("offset_s", offset_s),)
    if abs(offset_s) - half_s <= OFFSET_S_MAX:
        return Check(f"{name}, clock", Finding.GOOD, f"the venue's clock less ours: {text}", figures)
    return bad(
        f"{name}, clock", "CLOCK_OFFSET", "ages of quotes and stamps of signatures would be wrong",
        where="the venue's clock less ours", observed=text, allowed=f"at most {OFFSET_S_MAX:g} s",
        fix="let this machine's time service set the clock", figures=figures,
    )  # fmt: skip


async def _key(settings: Settings, name: VenueName, venue: Adapter) -> list[Check]:
    what, live = f"{name}, key", settings.run.mode == "live"
    words = await venue.scopes()
    if not words:
        if settings.venues[name].keyed:  # the venue gives no word of a key that there is
            return [_refused(name, "KEY_UNKNOWN", _UNKNOWN, "no word of it")]
        if live:
            return [_refused(name, "KEY_MISSING", "there is no key", "none")]
        return [Check(what, Finding.NOTE, "no key: its market alone, nothing can be sent")]
    scopes = read_scopes(name, words)
    if (against := _against(name, scopes)) is not None:
        return [against]
    if not scopes.trades:
        if live:
            told = ", ".join(scopes.words)
            return [_refused(name, "KEY_CANNOT_TRADE", "the key can read and not trade", told)]
        return [Check(what, Finding.NOTE, "it can read and not trade" + _of_keys(scopes))]
    good = Check(
        what,
        Finding.NOTE if scopes.manages_keys else Finding.GOOD,
        "it can read and trade, and neither withdraw nor transfer" + _of_keys(scopes),
    )
    now_ns = await venue.time_ns()
    report = await _report(venue)
    return [
        good,
        await _dead_man(name, venue),
        await _own_trades(name, venue),
        await _account(name, venue),
        *check_margin(settings, name, report, now_ns),
        *await wallet_notes(name, venue, report),
    ]


async def _report(venue: Adapter) -> AccountReport | VenueError:
    """What the account holds, asked once for all checks; or why it cannot be read.

    Raises:
        Locked: the key is refused.
    """
    try:
        return await venue.account(None)
    except Locked:
        raise
    except VenueError as error:
        return error


def _of_keys(scopes: KeyScopes) -> str:
    """What is to be done about a key that can give rights, where the engine cannot do without the word."""
    if not scopes.manages_keys:
        return ""
    return (
        f"; by {', '.join(scopes.manages_keys)}, which cancel on disconnect asks for, it may also make keys "
        "and change their rights: have the venue ask for a second factor there, and bind the key to this "
        "machine's address"
    )


def _against(name: VenueName, scopes: KeyScopes) -> Check | None:
    """Why a key is refused whatever it is for; None: it is known to move no money."""
    if scopes.moves_money:
        told = ", ".join(scopes.moves_money)
        return _refused(name, "KEY_WITHDRAWS", "REFUSED: the key can withdraw or transfer", told)
    if not scopes.safe:
        told = ", ".join(scopes.unknown) or "no word of it"
        return _refused(name, "KEY_UNKNOWN", _UNKNOWN, told)
    return None


def _refused(name: VenueName, code: str, fault: str, observed: str) -> Check:
    return bad(
        f"{name}, key", code, fault, where=f"venues.{name}", observed=observed,
        allowed="a key that can read and trade, and nothing else",
        fix="make one at the venue, with these two rights and bound to this machine's address",
    )  # fmt: skip


async def _own_trades(name: str, venue: Adapter) -> Check:
    what, prevents = f"{name}, self-trade prevention", await venue.prevents_self_trades()
    if prevents:
        return Check(what, Finding.GOOD, "the venue says that it is on")
    if prevents is None:
        return Check(
            what,
            Finding.NOTE,
            "the venue, or a part of it, has none: the engine lets no order out that could meet one of its "
            "own (C16); what others send by this account it does not see: give it an account of its own",
        )
    return bad(
        what, "SELF_TRADES", "two orders of ours may trade with each other", where=f"venues.{name}",
        observed="the venue does not say that its prevention is on", allowed="that it says so",
        fix="switch it on at the venue",
    )  # fmt: skip


async def _account(name: str, venue: Adapter) -> Check:
    what, faults = f"{name}, account", await venue.account_faults()
    if not faults:
        return Check(what, Finding.GOOD, "set up as we trade: one signed position an instrument")
    return bad(
        what, "ACCOUNT_MODE", "the account is set up otherwise than we trade", where=f"venues.{name}",
        observed="; ".join(fault.partition(": ")[0] for fault in faults),
        allowed="derivatives, and one signed position an instrument",
        fix="; ".join(fault.partition(": ")[2] for fault in faults),
    )  # fmt: skip


async def _dead_man(name: str, venue: Adapter) -> Check:
    """Good where the venue has said that it will cancel. Its timer is set for that, and runs out if no engine
    goes on setting it: so it is not tried over orders that rest, which it would cancel."""
    what, can, refused = f"{name}, dead man's switch", venue.capabilities, ""
    if can.dead_man_s is None and not can.has_dead_man:
        return Check(
            what,
            Finding.NOTE,
            "the venue has none: orders rest on after we have fallen silent, until `hedger kill`",
        )
    if can.dead_man_s is None and (resting := await venue.resting()):
        return Check(
            what,
            Finding.NOTE,
            f"not tried: {resting} orders rest there, and it would cancel them; an engine sets it by itself, "
            "and tells DEAD_MAN_OFF where the venue does not take it",
        )
    if can.dead_man_s is None:
        try:
            await venue.refresh()
        except Locked:
            raise
        except VenueError as error:
            refused = error.text()
    seconds = venue.capabilities.dead_man_s
    if seconds is None:
        return bad(
            what, "DEAD_MAN", "orders would rest on after we have fallen silent", where=f"venues.{name}",
            observed=refused or "the venue does not promise to cancel them",
            allowed="cancel on disconnect, or a timer",
            fix="give the key the right to set it, or set it for the account",
        )  # fmt: skip
    return Check(
        what,
        Finding.GOOD,
        f"the venue cancels {seconds:g} s after we fall silent",
        (("dead_man_s", seconds),),
    )
