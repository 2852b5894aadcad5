"""`hedger status`: whether an engine runs and where it stands, from its journal."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.journals import NOT_SHOWN, fetch_of, opened, say_at_hand, whole_summary
from hedger.verbs.printing import say, show_json
from pricing.errors import Exit, HedgerError

if TYPE_CHECKING:
    from hedger.desk.settings_in_force import InForce
    from hedger.journal.entries import LatchChange
    from hedger.journal.kill_latch import Latched
    from hedger.journal.recovery import Recovered
    from hedger.journal.sqlite import SqliteStorage


@dataclass(frozen=True, slots=True)
class Seen:
    """What a status is made of. held: what the lock says of the process that writes the journal, None: none
    does. latched: the kill latch, None where it is not set. in_force: the settings since the last start or
    reload, None where no engine has begun. in_order: whether the last engine ended so, None: it runs, or
    nobody can say. build: the engine's, ours: this program's. now_ns: UTC."""

    journal: Path
    recovered: Recovered
    held: str | None
    latched: Latched | None
    in_force: InForce | None
    in_order: bool | None
    build: str
    ours: str
    now_ns: int

    @property
    def lifted(self) -> bool:
        """Whether a kill was lifted from outside since the record's last mode, which is the engine's word."""
        mode = self.recovered.mode
        return self.held is None and self.latched is None and mode is not None and mode.mode == "killed"

    @property
    def lifted_by(self) -> LatchChange | None:
        """Who did, where that is on record."""
        latch = self.recovered.latch
        return latch if self.lifted and latch is not None and not latch.set else None


def status(arguments: argparse.Namespace) -> Exit:
    """Whether an engine runs, what it may do, where it stands."""
    from hedger.desk.hedging_text import hedging_text

    with opened(arguments.journal, NOT_SHOWN) as storage:
        seen = _look(arguments.journal, storage)
        asked = _hedging(arguments, storage, seen) if arguments.hedge else None
    document = {**status_document(seen), "hedge": asked}
    if arguments.json:
        show_json(document)
        return Exit.DONE
    for line in status_text(seen, document):
        say(line)
    if asked is not None:
        say(hedging_text(asked))
    return Exit.DONE


def _look(journal: Path, storage: SqliteStorage) -> Seen:
    from hedger.build import this_build
    from hedger.desk.engine_state import ended_in_order
    from hedger.desk.settings_in_force import turns_of
    from hedger.engine.heartbeat import last_beat
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.lock import build_of, holder

    held = holder(journal)
    recovered = whole_summary(storage, journal, running=held is not None)
    configuration, turns = recovered.configuration, turns_of(storage)
    return Seen(
        journal=journal,
        recovered=recovered,
        held=held,
        latched=FileLatch(journal).found(),
        in_force=turns[-1] if turns else None,
        in_order=None
        if held is not None or recovered.name.trading == "replay"
        else ended_in_order(recovered.mode, last_beat(journal), turns[-1].now_ns if turns else 0),
        build=build_of(held) if held is not None else configuration.version if configuration else "",
        ours=this_build(),
        now_ns=time.time_ns(),
    )


def _hedging(arguments: argparse.Namespace, storage: SqliteStorage, seen: Seen) -> dict[str, Any]:
    """What comes next and why, as the dashboard's second panel shows it.

    Raises:
        StorageFailed, CodecError: the journal cannot be read to its end.
        InputError: they lie on another tape than the one that is named.
    """
    from hedger.desk.decided import document_of, shortened
    from hedger.desk.decision_log import DecisionLog
    from hedger.desk.engine_state import engine_state_of
    from hedger.desk.follow import Follower
    from hedger.desk.hedging import Hedging, hedging_document
    from hedger.desk.order_rows import order_rows
    from hedger.journal.entries import Kind
    from hedger.verbs.reading import settings_of

    fetch, log = fetch_of(arguments.tape, needed=False), DecisionLog()
    follower = Follower(settings_of(arguments), fetch, depth=False)
    for record in storage.records():
        follower.take(record)
        if record.kind == Kind.DECISION:
            log.take(record.number, document_of(shortened(record)))
    say_at_hand(follower)
    snapshot, fault = None, follower.untold
    try:
        snapshot = follower.snapshot(bands=True)
    except HedgerError as error:
        fault = error.text()
    runs, latched = seen.held is not None, seen.latched is not None
    at_ns = seen.now_ns if runs else follower.now_ns
    live = [order for order in seen.recovered.orders.values() if order.live]
    working = order_rows(live, follower, at_ns)
    died = seen.in_order is False
    engine_state = engine_state_of(log.last, follower.mode, latched=latched, runs=runs, died=died)
    return hedging_document(Hedging(log, snapshot, working, at_ns, engine_state, follower.by_hand, fault))


def status_document(seen: Seen) -> dict[str, Any]:
    """It as JSON."""
    from hedger.journal.lock import pid_of

    recovered, latched, in_force, by = seen.recovered, seen.latched, seen.in_force, seen.lifted_by
    configuration = recovered.configuration
    states = Counter(str(order.state) for order in recovered.orders.values() if order.live)
    return {
        "journal": str(seen.journal),
        "trading": recovered.name.trading,
        "engine": recovered.name.engine,
        "running": seen.held is not None,
        "pid": pid_of(seen.held),
        **_mode(seen),
        "killed": None
        if latched is None
        else {"set_ns": latched.set_ns, "user": latched.user, "reason": latched.reason},
        "latch_lifted": seen.lifted,
        "lifted": None if by is None else {"user": by.user, "reason": by.reason},
        "head": str(recovered.head),
        "last_seq": recovered.last_seq,
        "last_ns": recovered.last_now_ns,
        "age_s": (seen.now_ns - recovered.last_now_ns) / 1e9 if recovered.head.number else None,
        "build": seen.build or None,
        "this_build": seen.ours,
        "settings_sha256": in_force.told if in_force else None,
        "settings_from_ns": in_force.now_ns if in_force else None,
        "limits_sha256": configuration.limits_sha256 if configuration else None,
        "orders": {state: states[state] for state in sorted(states)},
        "unknown": states["unknown"],
        "fills": len(recovered.fills),
        "differences": _differences(recovered),
        "outside": _outside(recovered),
        "by_hand": _by_hand(recovered),
        "traded": [
            {"venue": venue, "symbol": symbol, "account": account, "quantity": str(quantity)}
            for (venue, symbol, account), quantity in sorted(recovered.traded().items())
        ],
    }


def _mode(seen: Seen) -> dict[str, Any]:
    """What the engine may do, or could when it ended; the latch stands before its own word."""
    from hedger.journal.entries import ENDING

    mode, pause = seen.recovered.mode, seen.recovered.pause
    return {
        "mode": "killed" if seen.latched else "observe" if seen.lifted else mode.mode if mode else None,
        "paused": mode.paused and not mode.ending if mode else None,
        "pause": None
        if pause is None
        else {"user": pause.user, "reason": pause.reason, "since_ns": pause.now_ns},
        "ended": mode.reason.removeprefix(ENDING) if mode and mode.ending and seen.held is None else None,
        "ended_in_order": seen.in_order,
    }


def _differences(recovered: Recovered) -> list[dict[str, Any]]:
    """What accounts differ in from the book without a reason, as reconciliation found it since the start."""
    return [
        {"venue": venue, "what": kind, "of": of, "difference": str(amount), "reports": word.drift}
        for venue, word in sorted(recovered.differences.items())
        for kind, amounts in (("position", word.positions), ("balance", word.cash))
        for of, amount in amounts
    ]


def _outside(recovered: Recovered) -> dict[str, Any] | None:
    """The rows outside their bands, and why they stay there, as the engine last wrote it; None: none is."""
    found = recovered.outside
    if not found.rows:
        return None
    return {"rows": list(found.rows), "why": found.why, "since_ns": found.since_ns}


def _by_hand(recovered: Recovered) -> list[dict[str, Any]]:
    """The bands that a person has set, who, when and why, and what the settings file says of their rows."""
    from hedger.core.by_hand_file import file_words
    from hedger.documents import number

    return [
        {
            "row": band.row,
            "unit": band.unit,
            "trigger": [number(edge) for edge in band.trigger],
            "landing": [number(edge) for edge in band.landing],
            "user": band.user,
            "reason": band.reason,
            "set_ns": band.now_ns,
            "file": file_words(band.file, band.row),
        }
        for band in recovered.by_hand.bands
    ]


def status_text(seen: Seen, document: dict[str, Any]) -> Iterator[str]:
    """It in lines. document: of the same."""
    from hedger.core.by_hand import beside_file
    from pricing.daycount import iso

    recovered, running = seen.recovered, seen.held is not None
    runs = f"running, process {document['pid']}" if running else "not running"
    yield f"{recovered.name.trading.upper()} engine {recovered.name.engine}: {runs}"
    if running and seen.build != seen.ours:
        build = seen.build or "unknown"
        yield f"it is of build {build}, this is {seen.ours}: from here it takes pause and kill alone"
    yield from _mode_text(seen, document)
    at = iso(recovered.last_now_ns) if recovered.head.number else "never"
    yield f"last event {recovered.last_seq} at {at}, record {recovered.head.number}"
    counts = ", ".join(f"{count} {state}" for state, count in document["orders"].items()) or "none live"
    yield f"orders: {counts}; fills: {document['fills']}"
    for line in document["differences"]:
        yield _difference_text(line)
    if out := document["outside"]:
        yield f"OUTSIDE {', '.join(out['rows'])} since {iso(out['since_ns'])}: {out['why']}"
    for band in recovered.by_hand.bands:
        yield f"BY HAND {beside_file(band)}"


def _mode_text(seen: Seen, document: dict[str, Any]) -> Iterator[str]:
    """What it may do, and why; what comes next where it does not run."""
    from hedger.core.by_whom import by_whom
    from hedger.desk.engine_state import next_start
    from pricing.daycount import iso

    mode, latched, by = seen.recovered.mode, seen.latched, seen.lifted_by
    if seen.lifted:
        who = f" by {by_whom(by.user, by.reason)}" if by else ""
        yield f"it was killed, and the kill latch is lifted{who}"
        yield f"no engine runs; {next_start(document['trading'])}"
    else:
        why = f": {mode.reason}" if mode and not mode.ending else ""
        if pause := seen.recovered.pause:
            why = f", paused since {iso(pause.now_ns)} by {by_whom(pause.user, pause.reason)}"
        yield f"mode {document['mode'] or 'never started'}{why}"
    why = document["ended"]
    if seen.in_order is False:
        yield f"it did not end in order{f', while it was ending: {why}' if why else ''}"
    elif seen.in_order or why:
        yield f"it ended in order{f': {why}' if why else ''}"
    if seen.held is None and not seen.lifted and document["mode"] not in (None, "killed"):
        yield f"that was its mode when it stopped; {next_start(document['trading'])}"
    if latched is not None:
        yield f"KILLED by {by_whom(latched.user, latched.reason)}"


def _difference_text(line: dict[str, Any]) -> str:
    times = "once" if line["reports"] == 1 else f"{line['reports']} times in a row"
    return (
        f"DIFFERS {line['venue']} {line['what']} {line['of']}: {Decimal(line['difference']):+f} (its figure "
        f"less the book's), found {times}"
    )
