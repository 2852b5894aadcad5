"""`hedger status orders arm pause resume flatten bands reload kill unkill`: steer a running engine.

They read its journal, leave commands beside it, and set its kill latch. None of them talks to a venue, and
none writes the journal while an engine does. A command is done when the engine's journal has it: they wait.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.flags import Commands, add_journal, not_negative
from hedger.verbs.printing import say, show_json
from pricing.errors import Exit, HedgerError, InputError

if TYPE_CHECKING:
    from hedger.desk.settings_in_force import InForce
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.recovery import Recovered
    from hedger.journal.storage import Storage

#: Between two looks at a journal that another process writes; this one has nothing else to do.
_LOOK_S = 0.05


class EngineAbsent(HedgerError):
    """Nobody is there to obey (exit 3)."""

    exit_code = Exit.REFUSED


def declare(commands: Commands) -> None:
    """The words of `status`, `orders` and of every command."""
    add_journal(commands.add("status", status, "whether an engine runs, what it may do, where it stands"))
    words = add_journal(commands.add("orders", orders, "orders that may still be filled"))
    words.add_argument("--all", action="store_true", help="every order ever intended")
    words.add_argument("--unknown", action="store_true", help="only those whose fate nobody knows")
    for name, verb, text in (
        ("arm", command, "let a running engine send orders"),
        ("pause", command, "no new hedges; checks and cancels go on"),
        ("resume", command, "end a pause"),
        ("flatten", command, "plan the whole book, or one underlying, to zero"),
        ("bands", command, "set a row's band by hand; it stands over restarts until the file's own changes"),
        (
            "reload",
            reload,
            "let a running engine take its settings file anew; hard limits only change at a start",
        ),
        ("kill", kill, "stop sending at once and cancel everything; stays until unkill, over restarts"),
        ("unkill", unkill, "remove the kill latch; the engine then observes until it is armed"),
    ):
        words = add_journal(commands.add(name, verb, text))
        words.set_defaults(wish=name)
        words.add_argument(
            "--reason",
            required=name in ("unkill", "bands"),
            default="",
            metavar="TEXT",
            help="why: kept in the record",
        )
        words.add_argument(
            "--wait-s", type=not_negative, default=10.0, metavar="S", help="for the answer (default 10)"
        )
        if name == "arm":
            words.add_argument(
                "--accept", dest="argument", action="store_const", const="accept",
                help="take the venues' word where their accounts differ from the book; needs --reason",
            )  # fmt: skip
        if name == "flatten":
            words.add_argument("argument", nargs="?", metavar="UNDERLYING", help="one coin alone")
        if name == "bands":
            words.add_argument(
                "argument", metavar="ROW=LOW,HIGH/LOW,HIGH",
                help="a row, its trigger and the landing inside it, in the row's unit; ROW= takes the "
                "settings file's own again",
            )  # fmt: skip


def status(arguments: argparse.Namespace) -> Exit:
    """Whether an engine runs, what it may do, where it stands."""
    from hedger.build import this_build
    from hedger.core.by_hand import band_words
    from hedger.journal.entries import ENDING
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.lock import build_of, holder
    from pricing.daycount import iso

    held, ours = holder(arguments.journal), this_build()
    recovered = _summary(arguments.journal, running=held is not None)
    latched = FileLatch(arguments.journal).found()
    live = [order for order in recovered.orders.values() if order.live]
    states = Counter(str(order.state) for order in live)
    age_s = (time.time_ns() - recovered.last_now_ns) / 1e9 if recovered.head.number else None
    mode, configuration = recovered.mode, recovered.configuration
    in_force, differences = _in_force(arguments.journal), _differences(recovered)
    build = build_of(held) if held is not None else configuration.version if configuration else ""
    # The record's last mode is the engine's last word; the latch may have been lifted since, from outside.
    lifted = held is None and latched is None and mode is not None and mode.mode == "killed"
    by = recovered.latch if lifted and recovered.latch is not None and not recovered.latch.set else None
    document = {
        "journal": str(arguments.journal),
        "trading": recovered.name.trading,
        "engine": recovered.name.engine,
        "running": held is not None,
        "pid": _pid(held),
        "mode": "killed" if latched else "observe" if lifted else mode.mode if mode else None,
        "paused": mode.paused and not mode.ending if mode else None,
        "ended": mode.reason.removeprefix(ENDING) if mode and mode.ending and held is None else None,
        "killed": None
        if latched is None
        else {"set_ns": latched.set_ns, "user": latched.user, "reason": latched.reason},
        "latch_lifted": lifted,
        "lifted": None if by is None else {"user": by.user, "reason": by.reason},
        "head": str(recovered.head),
        "last_seq": recovered.last_seq,
        "last_ns": recovered.last_now_ns,
        "age_s": age_s,
        "build": build or None,
        "this_build": ours,
        "settings_sha256": in_force.told if in_force else None,
        "settings_from_ns": in_force.now_ns if in_force else None,
        "limits_sha256": configuration.limits_sha256 if configuration else None,
        "orders": {state: states[state] for state in sorted(states)},
        "unknown": states["unknown"],
        "fills": len(recovered.fills),
        "differences": differences,
        "outside": _outside(recovered),
        "by_hand": _by_hand(recovered),
        "traded": [
            {"venue": venue, "symbol": symbol, "account": account, "quantity": str(quantity)}
            for (venue, symbol, account), quantity in sorted(recovered.traded().items())
        ],
    }
    if arguments.json:
        show_json(document)
        return Exit.DONE
    runs = f"running, process {document['pid']}" if held is not None else "not running"
    say(f"{recovered.name.trading.upper()} engine {recovered.name.engine}: {runs}")
    if held is not None and build != ours:
        say(f"it is of build {build or 'unknown'}, this is {ours}: from here it takes pause and kill alone")
    paused = ", paused" if document["paused"] else ""
    if lifted:
        who = f" by {by.user or 'nobody named'}: {by.reason or 'no reason given'}" if by else ""
        say(f"it was killed, and the kill latch is lifted{who}")
        say("no engine runs; the next start only observes until `hedger arm`")
    else:
        why = f": {mode.reason}" if mode and not mode.ending else ""
        say(f"mode {document['mode'] or 'never started'}{paused}{why}")
    if document["ended"]:
        say(f"it ended in order: {document['ended']}")
    if held is None and not lifted and document["mode"] not in (None, "killed"):
        say("that was its mode when it stopped; the next start only observes until `hedger arm`")
    if latched is not None:
        say(f"KILLED by {latched.user or 'nobody named'}: {latched.reason or 'no reason given'}")
    at = iso(recovered.last_now_ns) if recovered.head.number else "never"
    say(f"last event {recovered.last_seq} at {at}, record {recovered.head.number}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none live"
    say(f"orders: {counts}; fills: {len(recovered.fills)}")
    for line in differences:
        say(_difference_text(line))
    if out := _outside(recovered):
        since = iso(out["since_ns"])
        say(f"OUTSIDE {', '.join(out['rows'])} since {since}: {out['why']}")
    for band in recovered.by_hand.bands:
        say(f"BY HAND {band_words(band)}; the file says {band.file}")
    return Exit.DONE


def _in_force(journal: Path) -> InForce | None:
    """The settings since the last start or reload; None where no engine has begun."""
    from hedger.desk.settings_in_force import turns_of
    from hedger.journal.journal import open_to_read

    storage = open_to_read(journal)
    try:
        with storage.steady():
            found = turns_of(storage)
    finally:
        storage.close()
    return found[-1] if found else None


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
    from hedger.documents import number

    return [
        {
            "row": band.row,
            "trigger": [number(edge) for edge in band.trigger],
            "landing": [number(edge) for edge in band.landing],
            "user": band.user,
            "reason": band.reason,
            "set_ns": band.now_ns,
            "file": band.file,
        }
        for band in recovered.by_hand.bands
    ]


def _difference_text(line: dict[str, Any]) -> str:
    times = "once" if line["reports"] == 1 else f"{line['reports']} times in a row"
    return (
        f"DIFFERS {line['venue']} {line['what']} {line['of']}: {Decimal(line['difference']):+f} (its figure "
        f"less the book's), found {times}"
    )


def orders(arguments: argparse.Namespace) -> Exit:
    """Orders that may still do something; --unknown those alone, --all every one ever intended."""
    from hedger.journal.export import order_row
    from hedger.journal.lock import holder
    from venues.orders import OrderState

    recovered = _summary(arguments.journal, running=holder(arguments.journal) is not None)
    found = [
        order
        for order in recovered.orders.values()
        if (order.state is OrderState.UNKNOWN if arguments.unknown else arguments.all or not order.settled)
    ]
    rows = [order_row(order) | {"reserved": str(order.reserved)} for order in found]
    if arguments.json:
        show_json({"orders": rows})
        return Exit.DONE
    for row in rows:
        code = f" ({row['code']})" if row["code"] else ""
        say(
            f"{row['client_id']} {row['state']}{code}: {row['side']} {row['quantity']} {row['symbol']} on "
            f"{row['venue']} at {row['price']}, filled {row['filled']}, may still fill {row['reserved']}"
        )
    if not rows:
        say("no orders")
    return Exit.DONE


def command(arguments: argparse.Namespace) -> Exit:
    """Leave a command for the engine, and wait until its journal has it and what it decided."""
    from hedger.core.events import Verb
    from hedger.journal.identity import fingerprint_of
    from hedger.journal.journal import open_to_read

    verb = Verb(arguments.wish)
    if verb is Verb.ARM and arguments.argument and not arguments.reason:
        raise InputError(
            "REASON_NEEDED",
            "the book is changed to the venues' accounts by a person's word, which is kept with its reason",
            where="hedger arm --accept",
            observed="no --reason",
            allowed="a sentence",
            not_done="nothing was accepted, and the engine was not armed",
            fix="add --reason TEXT",
        )
    try:
        storage = open_to_read(arguments.journal)
    except HedgerError as error:
        if verb is not Verb.PAUSE:
            raise
        return _paused_unread(arguments, error)
    try:
        _refuse_absent(arguments.journal, verb)
        first = storage.head().number + 1  # before it is sent: the engine may be quick
        id = _send(arguments, verb, fingerprint_of(storage))
        seq, decision = _taken(storage, id, first, arguments.wait_s)
    finally:
        storage.close()
    refused = _refused(decision, verb)
    mode = None if decision is None else decision.get("mode")
    reason = "" if decision is None else str(decision.get("reason", ""))
    document = {"command": str(verb), "id": id, "taken": seq is not None, "seq": seq}
    document |= {"mode": mode, "reason": reason, "refused": refused}
    if arguments.json:
        show_json(document)
    elif seq is None:
        print(f"{verb}: left for the engine, which has not taken it within {arguments.wait_s:g} s")
    else:
        stands = "not told yet" if decision is None else f"{mode}{', paused' * bool(decision.get('paused'))}"
        print(f"{verb}: taken as event {seq}; mode {stands}" + (f": {reason}" * bool(reason)))
    if refused and not arguments.json:
        print(f"{refused['code']}: {refused['text']}", file=sys.stderr)
    if seq is None:
        return Exit.NEGATIVE
    not_armed = verb is Verb.ARM and mode not in (None, "armed")
    return Exit.REFUSED if not_armed or refused else Exit.DONE


def _paused_unread(arguments: argparse.Namespace, why: HedgerError) -> Exit:
    """A pause for an engine whose journal cannot be read here, as one of a newer build: it is left, and what
    became of it cannot be seen."""
    from hedger.core.events import Verb

    _refuse_absent(arguments.journal, Verb.PAUSE)
    document = {"command": "pause", "id": _send(arguments, Verb.PAUSE), "taken": False, "seq": None}
    if arguments.json:
        show_json(document | {"mode": None, "reason": why.text(), "refused": None})
    else:
        print(f"pause: left for the engine; whether it was taken cannot be seen from here: {why}")
    return Exit.NEGATIVE


def _refused(decision: dict[str, Any] | None, verb: str) -> dict[str, str] | None:
    """Why the engine did not obey: the alert's code and text; None where it did, or has not answered."""
    codes = ("BUILD_REFUSED", f"{verb.upper()}_REFUSED")
    for action in (decision or {}).get("actions", ()):
        if action.get("code") in codes and action.get("action") == "alert":
            return {"code": str(action["code"]), "text": str(action.get("text", ""))}
    return None


def reload(arguments: argparse.Namespace) -> Exit:
    """Look at the settings file, and ask the engine to take it as it is now; exit 3 where it does not."""
    from hedger.config import load
    from hedger.engine.reloading import sha256_of

    load(arguments.config)  # a file that cannot be read is none to ask for
    arguments.argument = sha256_of(arguments.config)
    return command(arguments)


@dataclass(frozen=True, slots=True)
class _Killing:
    """How a kill went. live: orders that may still fill, None where nobody has said. notes: what went wrong.
    unanswered: venues that did not answer, where anything may be open."""

    live: int | None
    confirmed: bool
    notes: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What went wrong, each once."""
        return "; ".join(dict.fromkeys(self.notes))

    @property
    def exit(self) -> Exit:
        """4 where a venue did not answer, 1 where it is not confirmed all the same."""
        if self.confirmed:
            return Exit.DONE
        return Exit.UNAVAILABLE if self.unanswered else Exit.NEGATIVE


def kill(arguments: argparse.Namespace) -> Exit:
    """Set the latch, first of all; then tell the engine, and wait until every venue has shown twice that
    nothing is open."""
    from hedger.journal.kill_latch import FileLatch, Latched
    from hedger.journal.lock import holder

    journal: Path = arguments.journal
    _refuse_unknown_place(journal)
    reason = arguments.reason or "hedger kill"
    latched = FileLatch(journal).set(Latched(time.time_ns(), _user(), reason))
    # From here on nothing new leaves, whatever else goes wrong: all of it is told, none of it stops us.
    running = holder(journal) is not None
    arguments.reason = reason
    found = _killed_by_engine(arguments) if running else _killed_alone(arguments)
    document = {"killed": True, "set_ns": latched.set_ns, "user": latched.user, "reason": latched.reason}
    document |= {"running": running, "live_orders": found.live, "confirmed": found.confirmed}
    document |= {"unanswered": list(found.unanswered), "note": found.note}
    if arguments.json:
        show_json(document)
    else:
        print(f"KILLED: the latch is set beside {journal.name}; nothing new leaves until `hedger unkill`")
        if running:
            said = (
                "the engine has not answered yet" if found.live is None else f"{found.live} orders are live"
            )
            print(f"{said}{'' if found.confirmed else ': not confirmed'}")
        if found.note:
            print(found.note)
        if found.unanswered:
            print(f"look at {', '.join(found.unanswered)} on the venue's own screen, and cancel there")
    return found.exit


def _killed_by_engine(arguments: argparse.Namespace) -> _Killing:
    """What a running engine has made of it when it is confirmed, or the time is up. One that ends meanwhile
    cancels nothing more: then the orders are cancelled here."""
    from hedger.core.events import Verb
    from hedger.journal.codec import CodecError
    from hedger.journal.journal import open_to_read
    from hedger.journal.kill_answers import KillAnswers
    from hedger.journal.lock import holder
    from hedger.journal.storage import StorageFailed

    journal, end = arguments.journal, time.monotonic() + arguments.wait_s
    try:
        storage = open_to_read(journal)
        try:
            first = storage.head().number + 1
            answers = KillAnswers(storage, _send(arguments, Verb.KILL), first)
            while not answers.confirmed and time.monotonic() < end:
                if holder(journal) is None:
                    return _killed_alone(arguments)
                answers.look()
                if not answers.confirmed:
                    time.sleep(_LOOK_S)  # the engine is another process: its journal is all that tells
        finally:
            storage.close()
        live = _quiet(journal, end)
        may_be_open = [_may_be_open(journal, name) for name in answers.silent]
    except (HedgerError, StorageFailed, CodecError) as error:
        return _Killing(None, False, (str(error),))
    notes = (*answers.against(), *may_be_open)
    return _Killing(live, answers.confirmed and live == 0, notes, answers.silent)


def _may_be_open(journal: Path, venue: str) -> str:
    """What may rest at a venue that has not answered, as far as the journal knows."""
    orders = _summary(journal, running=True).orders.values()
    left = sorted(record.order.client_id for record in orders if record.live and record.venue == venue)
    if left:
        return f"at {venue} these may be open: {', '.join(left)}, and whatever else rests there"
    return f"at {venue} no order of this engine is known to be open; what others have there may be"


def _killed_alone(arguments: argparse.Namespace) -> _Killing:
    """The same where no engine runs: the latch goes on record, and live orders are cancelled at the venues.

    A record that cannot be written keeps no order from being cancelled. A journal that does not say whether
    it is of paper confirms nothing: orders of it may rest on real venues.
    """
    journal: Path = arguments.journal
    notes: list[str] = []
    try:
        _note_latch(journal, set_=True, reason=arguments.reason)
    except HedgerError as error:
        notes.append(str(error))
    try:
        trading = _trades_on(journal)
        if not trading:
            notes.append("no engine runs: on the paper venue its orders died with it")
            return _Killing(None, True, tuple(notes))
        from hedger.config import load
        from hedger.runs.permission import why_others
        from hedger.runs.venue_kill import cancel_at_venues

        settings = load(arguments.config).settings
        if why := why_others(trading, settings):
            notes.append(f"no engine runs, and nothing was cancelled at any venue: {why}")
            return _Killing(None, False, tuple(notes))
        found = cancel_at_venues(settings, arguments.wait_s)
    except HedgerError as error:
        notes.append(str(error))
        return _Killing(None, False, tuple(notes))
    there = "at the others" if found.faults else "there"
    notes += [f"{name}: {fault}" for name, fault in found.faults.items()]
    notes.append(f"no engine runs: cancelled at the venues themselves, {found.live} orders open {there}")
    live = None if found.faults else found.live
    return _Killing(live, live == 0, tuple(notes), found.unanswered)


def _trades_on(journal: Path) -> str:
    """What a journal is of, where its orders rest on venues; nothing where they do not."""
    from hedger.journal.journal import open_to_read

    if not journal.exists() or not journal.stat().st_size:
        return ""
    storage = open_to_read(journal)
    try:
        return storage.name.trading if storage.name.on_venues else ""
    finally:
        storage.close()


def unkill(arguments: argparse.Namespace) -> Exit:
    """Remove the latch, with a record of who and why: by the engine where one runs, else here."""
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.lock import holder

    journal: Path = arguments.journal
    _refuse_unknown_place(journal)
    latch = FileLatch(journal)
    was, refused = latch.found(), None
    if was is not None:
        if holder(journal) is not None:
            refused = _unkilled_by_engine(arguments, latch)
        else:
            _note_latch(journal, set_=False, reason=arguments.reason)
            latch.clear()
    left = latch.found() is not None
    if arguments.json:
        show_json({"killed": left, "was_killed": was is not None, "refused": refused})
    elif was is None:
        print("the kill latch was not set")
    else:
        print("the kill latch is still set" if left else "the kill latch is removed; the engine observes")
        if refused:
            print(f"{refused['code']}: {refused['text']}", file=sys.stderr)
    return Exit.REFUSED if refused else Exit.NEGATIVE if left else Exit.DONE


def _unkilled_by_engine(arguments: argparse.Namespace, latch: FileLatch) -> dict[str, str] | None:
    """Ask the engine, and wait until the latch is gone, or it has said why not."""
    from hedger.core.events import Verb
    from hedger.journal.identity import fingerprint_of
    from hedger.journal.journal import open_to_read

    end = time.monotonic() + arguments.wait_s
    storage = open_to_read(arguments.journal)
    try:
        _refuse_absent(arguments.journal, Verb.UNKILL)
        first = storage.head().number + 1
        id = _send(arguments, Verb.UNKILL, fingerprint_of(storage))
        _, decision = _taken(storage, id, first, arguments.wait_s)
    finally:
        storage.close()
    refused = _refused(decision, Verb.UNKILL)
    while refused is None and latch.found() is not None and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return refused


def _summary(journal: Path, *, running: bool) -> Recovered:
    from hedger.journal.journal import open_to_read
    from hedger.journal.recovery import summary

    storage = open_to_read(journal)
    try:
        with storage.steady():
            return summary(storage, where=journal.name, running=running)
    finally:
        storage.close()


def _send(arguments: argparse.Namespace, verb: Any, fingerprint: str = "") -> str:
    from hedger.core.events import Command
    from hedger.journal.commands_file import send

    id = uuid.uuid4().hex
    argument = getattr(arguments, "argument", None) or ""
    wish = Command(id, verb, _user(), arguments.reason or "", argument)
    send(arguments.journal, wish, time.time_ns(), fingerprint)
    return id


def _taken(storage: Storage, id: str, first: int, wait_s: float) -> tuple[int | None, dict[str, Any] | None]:
    """The event that a command became, and the decision on it; None while there is none."""
    from hedger.journal.entries import DecisionRecord, Kind, read

    seq, end = None, time.monotonic() + wait_s
    while True:
        for record in storage.records(first, [Kind.COMMAND, Kind.DECISION]):
            if record.kind == Kind.COMMAND and record.key == id:
                seq = record.seq
            if record.kind == Kind.DECISION and record.seq == seq:
                found = read(record)
                return seq, dict(found.document) if isinstance(found, DecisionRecord) else None
        if time.monotonic() >= end:
            return seq, None
        time.sleep(_LOOK_S)


def _quiet(journal: Path, end: float) -> int | None:
    """How many orders of a killed engine are live, as soon as none is, or when the time is up.

    None: the engine has not said that it is killed.
    """
    while True:
        recovered = _summary(journal, running=True)
        live = sum(order.live for order in recovered.orders.values())
        killed = recovered.mode is not None and recovered.mode.mode == "killed"
        if (killed and live == 0) or time.monotonic() >= end:
            return live if killed else None
        time.sleep(_LOOK_S)


def _note_latch(journal: Path, *, set_: bool, reason: str) -> None:
    """Write that the latch was set or removed, as the writer that nobody else is."""
    from hedger.journal.entries import LatchChange, latch_entry
    from hedger.journal.journal import Journal
    from hedger.journal.recovery import recover
    from hedger.journal.sqlite import read_sqlite

    storage = read_sqlite(journal)
    try:
        name = storage.name
        with storage.steady():
            last = recover(storage, where=journal.name)
    finally:
        storage.close()
    book = Journal.open(journal, name)
    try:
        now_ns = max(time.time_ns(), last.last_now_ns)
        book.append(latch_entry(last.last_seq, now_ns, LatchChange(set_, _user(), reason)))
    finally:
        book.close()


def _refuse_absent(journal: Path, verb: str) -> None:
    from hedger.journal.lock import build_of, holder

    held = holder(journal)
    if held is None:
        raise EngineAbsent(
            "ENGINE_ABSENT",
            "no engine writes this journal",
            where=journal.name,
            observed=f"hedger {verb}",
            allowed="a running engine",
            not_done="nothing was sent",
            fix="start it with `hedger run`, or name the right --journal",
        )
    if verb not in ("pause", "kill") and _pid(held) is not None and not build_of(held):
        raise EngineAbsent(  # which refuses other builds' commands, this one would obey
            "ENGINE_OLDER",
            "the engine is of a release that does not say which build it is",
            where=journal.name,
            observed=f"hedger {verb}, process {_pid(held)}",
            allowed="an engine of this build; `hedger pause` and `hedger kill` of any",
            not_done="nothing was sent",
            fix="steer it with the release that it was started from, or start it anew from this one",
        )


def _refuse_unknown_place(journal: Path) -> None:
    """A latch beside nothing would stop nobody."""
    beside = [journal.with_name(journal.name + end) for end in (".lock", ".kill", ".commands")]
    if not any(os.path.lexists(path) for path in (journal, *beside)):
        raise InputError(
            "JOURNAL_MISSING",
            "there is no such journal",
            where=str(journal),
            allowed="the file that the engine writes",
            not_done="NOTHING WAS KILLED, nothing was changed",
            fix="name it with --journal FILE",
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process without a name, as in some containers
        return f"uid {os.getuid()}"


def _pid(held: str | None) -> int | None:
    try:
        pid = json.loads(held or "{}").get("pid")
    except (ValueError, AttributeError):
        return None
    return pid if isinstance(pid, int) else None
