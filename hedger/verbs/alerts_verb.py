"""`hedger alerts`: tell people what an engine tells, and when it tells nothing any more.

`--told` only prints what it has told since its start: the screen's panel of alerts as text or JSON. `--seen`
notes that somebody has seen one of these.
"""

from __future__ import annotations

import argparse
import signal
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from hedger.amounts import counted
from hedger.verbs.flags import Commands, add_journal, count, positive
from hedger.verbs.printing import show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.alerts.alert_loop import Watch
    from hedger.alerts.sinks import Sink
    from hedger.desk.alert_log import Json
    from hedger.journal.sqlite import SqliteStorage
    from hedger.settings import Settings

#: Looks of `--once` go on for so long at most, until the journal was read to its end.
ONCE_S_MAX = 60.0


def declare(commands: Commands) -> None:
    """The words of `alerts`."""
    words = commands.add(
        "alerts", alerts, "tell people what an engine tells, and that it lives; steers nothing"
    )
    add_journal(words)
    text = (
        "a sink beside those of [alerts]: env:NAME, file:PATH, keyring:SERVICE/USER, or an apprise address "
        "as it is, which other users of this machine can then see; may be repeated"
    )
    words.add_argument("--url", action="append", default=[], metavar="SINK", help=text)
    text = (
        "look once, print what stands, and end: 1 where something critical does, 4 where a sink failed; "
        "sinks are told what an earlier look has not told them, again after `again_min` minutes, and the end "
        "of it; one look at a time: another is waited for up to a minute"
    )
    words.add_argument("--once", action="store_true", help=text)
    text = "tell the sinks everything that stands, whatever an earlier look or process has told them"
    words.add_argument("--again", action="store_true", help=text)
    text = "print what the engine has told since its start and who has seen it, and end: the panel of alerts"
    words.add_argument("--told", action="store_true", help=text)
    text = "note that an alert was seen, by its record and its place there as --told prints them, and end"
    words.add_argument("--seen", nargs=2, type=count, metavar=("RECORD", "PLACE"), help=text)
    words.add_argument("--minutes", type=positive, metavar="N", help="end after so many (default: run on)")
    text = "print every alert there is, with what it means and what to do, and end"
    words.add_argument("--list", action="store_true", help=text)


def alerts(arguments: argparse.Namespace) -> Exit:
    """Watch an engine's journal and tell people."""
    if arguments.list:
        return _list(arguments)
    if arguments.seen is not None:
        return _seen(arguments)
    if arguments.told:
        return _told(arguments)
    from hedger.alerts.addresses import addresses
    from hedger.verbs.journals import followed
    from hedger.verbs.reading import settings_of

    settings = settings_of(arguments)
    sinks = addresses(settings.alerts, arguments.url)
    if not sinks and not arguments.once:
        raise InputError(
            "ALERT_NO_SINK",
            "there is nobody to tell",
            where="[[alerts.sinks]] and --url",
            observed="none",
            allowed="at least one sink, or --once, which prints",
            not_done="nothing is watched",
            fix='name a sink: [[alerts.sinks]] url = "file:PATH", or --url env:NAME',
        )
    from hedger.alerts.one_teller import only_teller
    from hedger.alerts.sinks import Sink

    path, not_done = arguments.journal, "nothing is watched"
    with followed(path, not_done) as storage, followed(path, not_done) as again:
        whom = [Sink(address, storage.name, settings.alerts) for address in sinks]
        alone = only_teller(path, looks=arguments.once) if sinks else nullcontext()
        with alone:
            watching = _watch(arguments, (storage, again), settings, whom)
            return _once(arguments, watching) if arguments.once else _follow(arguments, watching)


def _watch(
    arguments: argparse.Namespace,
    storages: tuple[SqliteStorage, SqliteStorage],
    settings: Settings,
    sinks: list[Sink],
) -> Watch:
    """What watches. storages: the journal opened twice, since the two readings are at different places."""
    from hedger.alerts.alert_loop import Watch, WatchParts
    from hedger.alerts.memory import MemoryFile, knows
    from hedger.alerts.profit_watch import ProfitWatch
    from hedger.alerts.tail import AlertTail
    from hedger.engine.logs import Log
    from hedger.journal.acknowledged import acknowledged
    from hedger.journal.entries import Head
    from pricing.compiled import warm_up

    first, second = storages
    config = settings.alerts
    profit = None
    if config.unexplained:
        warm_up()
        profit = ProfitWatch(second, settings)
    # looks print what stands; without a sink nobody is told, and there is nothing to remember
    memory = MemoryFile(arguments.journal, looks=arguments.once) if sinks else None
    found = None if memory is None or arguments.again else memory.read(first)
    if found is not None and not knows(found, [sink.address.mark(found.salt) for sink in sinks]):
        found = None
    told = None if found is None else Head.parse(found.head)
    tail = AlertTail(first, round(config.again_min * 60e9), told, acknowledged(arguments.journal))
    log = Log(name="hedger.alerts")
    return Watch(WatchParts(arguments.journal, first.name, tail, profit, sinks, config, log, memory, found))


def _once(arguments: argparse.Namespace, watch: Watch) -> Exit:
    """What stands now, told and printed."""
    from hedger.core.actions import Severity

    end = time.monotonic() + ONCE_S_MAX
    while True:
        watch.look(time.time_ns(), time.monotonic_ns())
        if watch.caught_up or time.monotonic() > end:
            break
    watch.look(time.time_ns(), time.monotonic_ns())
    watch.pump(time.monotonic_ns())
    watch.finish()
    document = watch.document()
    if arguments.json:
        show_json(document)
    else:
        print(f"{watch.parts.name.trading.upper()} engine {watch.parts.name.engine}")
        for notice in watch.notices.standing:
            print(f"{notice.severity.upper()} {notice.code}: {notice.text}")
        stand, sent = len(document["standing"]), sum(sink.sent for sink in watch.parts.sinks)
        whom = counted(len(document["sinks"]), "sink")
        stands = f"{counted(stand, 'alert')} {'stands' if stand == 1 else 'stand'}"
        print(f"{stands}; {counted(sent, 'message')} sent to {whom}")
    if any(sink.waiting for sink in watch.parts.sinks):
        return Exit.UNAVAILABLE
    grave = any(notice.severity is Severity.CRITICAL for notice in watch.notices.standing)
    return Exit.NEGATIVE if grave else Exit.DONE


def _follow(arguments: argparse.Namespace, watch: Watch) -> Exit:
    """Until the minutes are over or somebody ends it."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda found, _: stopped.append(found))
    end = None if arguments.minutes is None else time.monotonic() + arguments.minutes * 60.0
    watch.run(lambda: bool(stopped) or (end is not None and time.monotonic() >= end))
    if arguments.json:
        show_json(watch.document())
    return Exit(128 + stopped[0]) if stopped else Exit.DONE


def _seen(arguments: argparse.Namespace) -> Exit:
    """Note that the user has seen an alert, as the screen's key does; it needs no engine, and tells none."""
    from hedger.journal.acknowledged import acknowledge
    from hedger.journal.user import user_name

    record, place = arguments.seen
    alert = next(
        (x for x in _alerts(arguments)["alerts"] if (x["record"], x["place"]) == (record, place)), None
    )
    if alert is None:
        raise InputError(
            "ALERT_UNKNOWN",
            "no such alert is told",
            where="--seen",
            observed=f"record {record}, place {place}",
            allowed="the record and the place of one that `hedger alerts --told` prints",
            not_done="nothing was noted",
            fix="look it up there",
        )
    user = alert["seen_by"]
    if user is None:
        user = user_name()
        acknowledge(arguments.journal, (record, place), user, time.time_ns())
    if arguments.json:
        show_json({"record": record, "place": place, "code": alert["code"], "seen_by": user})
    else:
        print(f"{alert['code']} of record {record}: seen by {user}")
    return Exit.DONE


def _told(arguments: argparse.Namespace) -> Exit:
    """What was told since the engine's start, as the screen has it."""
    document = _alerts(arguments)
    if arguments.json:
        show_json(document)
    else:
        _say_told(document)
    return Exit.DONE


def _alerts(arguments: argparse.Namespace) -> Json:
    """The screen's panel of alerts."""
    from hedger.desk.alert_log import alerts_document
    from hedger.journal.acknowledged import acknowledged
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.lock import holder
    from hedger.verbs.journals import opened

    running = holder(arguments.journal) is not None
    now_ns = time.time_ns() if running else None  # ages of an engine that ended are those of its end
    with opened(arguments.journal, "no alert is shown") as storage:
        seen = acknowledged(arguments.journal)
        latched = FileLatch(arguments.journal).found()
        document = alerts_document(storage.name, storage.records(), seen, now_ns, latched)
    return {"running": running, **document}


def _say_told(document: Json) -> None:
    """A line an alert, the newest last, and how many are new."""
    for alert in document["alerts"]:
        seen = "" if alert["seen_by"] is None else f" (seen by {alert['seen_by']})"
        seen = " (before the start, nobody has seen it)" if alert["earlier"] else seen
        over = "" if alert["over_at"] is None else f" (over {alert['over_at']})"
        at = alert["time"] or "time unknown"
        which = "" if alert["record"] is None else f" [{alert['record']} {alert['place']}]"
        print(f"{at} {alert['severity']} {alert['code']}: {alert['text']}{over}{seen}{which}")
    new = document["unseen"]
    dropped = f", {document['dropped']} older ones not kept" * bool(document["dropped"])
    since = document["since"] or "no start is on record"
    print(
        f"{document['trading'].upper()} engine {document['engine']}, since {since}: "
        f"{counted(len(document['alerts']), 'alert')}{dropped}; not seen yet: {new['critical']} critical, "
        f"{counted(new['warning'], 'warning')}"
    )


def _list(arguments: argparse.Namespace) -> Exit:
    """The table of alerts."""
    from hedger.desk.alert_kinds import ALERTS

    if arguments.json:
        rows = [
            {
                "code": kind.code,
                "severity": str(kind.severity),
                "meaning": kind.meaning,
                "action": kind.action,
                "stands": kind.stands,
                "told_by": "alerts" if kind.own else "engine",
            }
            for kind in ALERTS
        ]
        show_json({"alerts": rows})
        return Exit.DONE
    for kind in ALERTS:
        print(f"{kind.code} ({kind.severity}): {kind.meaning}\n    {kind.action}")
    return Exit.DONE
