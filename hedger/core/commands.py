"""What a person, a script or a watchdog asks for: each command once, by its id, with an answer in the record.

Modes only get freer by a command: `arm` from whatever is not killed, once every venue's account agrees with
the book; `unkill` from killed to observing, once every venue has shown no open orders twice. They get tighter
at once and from anywhere. Of another build of the program (R11) nothing is obeyed but what only stops: what
it shows, and what it means by a word, may be something else. Nor is what was meant for a moment that is over.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.aside import try_again
from hedger.core.by_hand import ByHand, HandBand, change_words
from hedger.core.by_hand_file import file_band
from hedger.core.by_hand_told import spot_of, tell_tight
from hedger.core.by_whom import by_whom
from hedger.core.disowned import told_disowned
from hedger.core.events import FROM_ANY_BUILD, Command, Verb
from hedger.core.marking import value_book
from hedger.core.other_engines import alive, told_others
from hedger.core.previewed import Previewed, parse_previewed, scope_of
from hedger.core.reconcile import DRIFT_HALTS, accept, kill_confirmed
from hedger.core.reload import reload
from hedger.core.residual import accept_residual
from hedger.core.state import Mode, State, VenueState
from hedger.core.turn import Turn
from hedger.problem.band_room import too_tight
from hedger.problem.snapshot import Snapshot
from pricing.daycount import NS_PER_SECOND
from risk.bands import BandSpec, Interval, target_of
from risk.interval_words import parse_edges
from venues.orders import Link, OrderState


def obey(turn: Turn, command: Command) -> None:
    """Do what a command asks, or say why not."""
    if command.id in turn.state.commands:
        return
    turn.state = replace(turn.state, commands=turn.state.commands | {command.id})
    turn.note(f"{command.verb} by {by_whom(command.user, command.reason)}")
    if command.build and command.verb not in FROM_ANY_BUILD:
        told = f"it was sent by build {command.build}, and this engine is of another"
        _refuse(turn, "BUILD_REFUSED", f"no {command.verb}: {told}; send it from the engine's own build")
        return
    if command.not_after_ns is not None and turn.event.now_ns > command.not_after_ns:
        late_s = (turn.event.now_ns - command.not_after_ns) / NS_PER_SECOND
        told = f"it was taken {late_s:.1f} s after its sender had stopped waiting; nothing was done"
        _refuse(turn, "COMMAND_LATE", f"no {command.verb}: {told}; send it again if it is still wanted")
        return
    if command.verb in (Verb.ARM, Verb.RESUME, Verb.HEDGE, Verb.FLATTEN):
        try_again(turn)
    state, by = turn.state, f"{command.verb} by {command.user}"
    match command.verb:
        case Verb.ARM:
            if command.argument == "accept":
                accept(turn)
            _enter(turn, Mode.ARMED, by)
        case Verb.REDUCE:
            if state.mode is Mode.ARMED:
                turn.turn_to(Mode.REDUCING, by)
            else:
                _enter(turn, Mode.REDUCING, by)
        case Verb.PAUSE:
            turn.state = replace(state, paused=True)
        case Verb.RESUME:  # a person has looked: hedges to no effect are counted afresh
            turn.state = replace(state, paused=False, hedges=())
        case Verb.HEDGE | Verb.FLATTEN:
            _ask_for(turn, command)
        case Verb.PREVIEW:
            turn.shown = command.argument
        case Verb.KILL:
            _kill(turn, by)
        case Verb.UNKILL:
            _unkill(turn, by)
        case Verb.BANDS:
            _set_bands(turn, command)
        case Verb.RELOAD:
            reload(turn, command.argument)


def _refuse(turn: Turn, code: str, text: str) -> None:
    turn.alert(Severity.WARNING, code, text)
    turn.note(text)


def _enter(turn: Turn, mode: Mode, by: str) -> None:
    against = why_not_arm(turn.state)
    if against:
        _refuse(turn, "ARM_REFUSED", f"not armed: {'; '.join(against)}")
        return
    accept_residual(turn)
    turn.turn_to(mode, by)
    tell_tight(turn)


def why_not_arm(state: State) -> tuple[str, ...]:
    """Everything that stands against sending orders, none if nothing does."""
    found = []
    if state.mode is Mode.KILLED:
        found.append("killed: unkill it first")
    if state.snapshot is None:
        found.append(state.fault or "no mark has come yet")
    for name, venue in state.venues.items():
        if venue.drift:
            found.append(told_difference(name, venue))
        elif not venue.takes_orders:
            why = venue.frozen or (
                "its account is not read yet" if venue.link is venue.link.UP else venue.link
            )
            found.append(f"{name}: {why}")
    found += told_others(state)
    unknown = [c for c, r in state.orders.items() if r.state is OrderState.UNKNOWN]
    if unknown:
        found.append(f"unknown orders: {', '.join(sorted(unknown))}")
    return tuple(found)


def told_difference(name: str, venue: VenueState) -> str:
    """What a venue's account differs in, its figures less ours."""
    told = ", ".join(f"{x} {d:+f}" for x, d in (*venue.differences, *venue.cash_differences))
    return f"{name} differs from the book: {told}"


def told_differences(state: State) -> str:
    """What a person can accept: in what all of them differ, which orders they took and deny, which other
    engines were seen; "" where there is nothing."""
    differing = [told_difference(name, venue) for name, venue in state.venues.items() if venue.drift]
    disowned = [f"{r.venue} denies {r.order.client_id}, which it acknowledged" for r in told_disowned(state)]
    return "; ".join((*differing, *disowned, *told_others(state)))


def only_differs(state: State) -> bool:
    """Whether nothing stands against sending orders but what a person can accept: accounts that were read
    and differ from the book at least twice in a row, show another engine, or deny an order that they took.

    An order that nobody knows of counts as none where its venue has said that it has no such order: it has
    not filled before the account was read.
    """
    told = (record.not_found for record in state.orders.values() if record.state is OrderState.UNKNOWN)
    return (
        state.mode is not Mode.KILLED
        and state.snapshot is not None
        and all(told)
        and bool(alive(state) or told_disowned(state) or any(venue.drift for venue in state.venues.values()))
        and all(
            venue.drift >= DRIFT_HALTS and venue.link is Link.UP and not venue.frozen
            if venue.drift
            else venue.takes_orders
            for venue in state.venues.values()
        )
    )


def _ask_for(turn: Turn, command: Command) -> None:
    """A hedge of everything, or a hedge to nothing, now."""
    state, scope = turn.state, command.argument
    previewed: Previewed | None = None
    if command.verb is Verb.HEDGE:
        scope = scope_of(command.argument)
        try:
            previewed = parse_previewed(command.argument)
        except ValueError as error:
            _refuse(turn, "HEDGE_REFUSED", f"no hedge: what was previewed cannot be read: {error}")
            return
    if not state.acting.sends or state.paused:
        why = "is paused" if state.acting.sends else state.acting.said
        _refuse(turn, f"{command.verb.upper()}_REFUSED", f"no {command.verb}: the engine {why}")
        return
    if scope and scope not in state.market.universe.underlyings:
        names = ", ".join(state.market.universe.underlyings)
        _refuse(turn, f"{command.verb.upper()}_REFUSED", f"{scope!r} is none of {names}")
        return
    flattening = state.asked_for == "flatten"
    if flattening and command.verb is Verb.FLATTEN and scope == state.scope:
        turn.note("that is being flattened already")
        return
    if flattening and state.scope and scope != "":
        text = f"no {command.verb} {scope}: {state.scope} is being flattened; ask again when it is"
        _refuse(turn, f"{command.verb.upper()}_REFUSED", text)
        return
    execution = state.execution
    if execution is not None:
        execution = replace(execution.ended(f"{command.verb} was asked for", failed=False), superseded=True)
    turn.state = replace(
        state, asked_for=str(command.verb), scope=scope, previewed=previewed, execution=execution
    )
    value_book(turn)


def _kill(turn: Turn, by: str) -> None:
    """Nothing new; every order of every account goes, again and again until the venues show none. Pressed
    again it does all of that again: an order may have come there since."""
    turn.turn_to(Mode.KILLED, by)
    turn.state = replace(turn.state, asked_for="", scope="")
    for name in turn.state.venues:
        turn.state = turn.state.with_venue(name, zero_reads=0, next_ns=turn.now)
        turn.cancel_all(name)
        turn.ask_account(name)


def _unkill(turn: Turn, by: str) -> None:
    if turn.state.mode is not Mode.KILLED:
        _refuse(turn, "UNKILL_REFUSED", f"it is {turn.state.mode}, not killed")
    elif not kill_confirmed(turn.state):
        left = [n for n, v in turn.state.venues.items() if v.zero_reads < 2]
        text = f"{', '.join(left)} has not shown twice that no order is open"
        _refuse(turn, "UNKILL_REFUSED", f"not unkilled: {text}")
    else:
        turn.turn_to(Mode.OBSERVE, by)
        for name in turn.state.venues:
            turn.state = turn.state.with_venue(name, reconciled_ns=None, next_ns=turn.now)


def _set_bands(turn: Turn, command: Command) -> None:
    """ROW=LOW,HIGH/LOW,HIGH sets trigger and landing of a row; ROW= goes back to the settings'."""
    row, sets, text = command.argument.partition("=")
    snapshot, others = turn.state.snapshot, turn.state.by_hand.without(row)
    taken_back = not text and others != turn.state.by_hand  # of a row that is gone by now as well
    if not taken_back and (snapshot is None or row not in snapshot.exposure.rows):
        known = ", ".join(snapshot.exposure.rows) if snapshot is not None else "unknown before the first mark"
        _refuse(turn, "BANDS_REFUSED", f"{row!r} is no row of the book; its rows are {known}")
        return
    if not sets:
        fix = f"{row}=LOW,HIGH/LOW,HIGH sets a band, {row}= takes the settings file's own again"
        _refuse(turn, "BANDS_REFUSED", f"{row!r} says nothing of a band; {fix}")
        return
    file, band = file_band(turn.settings.desk, row), None
    if text:
        assert snapshot is not None
        bands = parse_bands(text)
        against = _against_band(turn, snapshot, row, text, bands)
        if bands is None or against:
            _refuse(turn, "BANDS_REFUSED", against)
            return
        band = HandBand(row, *bands, command.user, command.reason, turn.event.now_ns, file)
        others = ByHand.of((*others.bands, band))
    old = next((each for each in turn.state.by_hand.bands if each.row == row), None)
    turn.note(change_words(row, old, band, file, spot_of(turn.state, row)))
    turn.state = replace(turn.state, by_hand=others)
    if snapshot is not None:
        value_book(turn)


def _against_band(
    turn: Turn, snapshot: Snapshot, row: str, text: str, bands: tuple[Interval, Interval] | None
) -> str:
    """Why a band by hand is refused, "" where it is not."""
    if bands is None:
        return f"{text!r} is no landing inside a trigger; for example delta:BTC=-1.5,1.5/-0.7,0.7"
    tight = too_tight(snapshot, turn.settings.desk, row, *bands)
    if tight is None:
        return ""
    return f"{row}={text} would be hedged without end: {tight.words}"


def parse_bands(text: str) -> tuple[Interval, Interval] | None:
    """LOW,HIGH/LOW,HIGH as (trigger, landing); a side left out is open. None where it makes no sense.

    >>> parse_bands("-1.5,1.5/-0.7,0.7"), parse_bands("-1,1/-2,2"), parse_bands("-1_5,15/-5,5")
    (((-1.5, 1.5), (-0.7, 0.7)), None, None)
    """
    edges = parse_edges(text)
    if edges is None:
        return None
    trigger, landing = edges
    target = target_of(landing)
    if not math.isfinite(target):
        return None
    try:
        BandSpec(
            target,
            (trigger[0] - target, trigger[1] - target),
            (landing[0] - target, landing[1] - target),
        )
    except ValueError:
        return None
    return trigger, landing
