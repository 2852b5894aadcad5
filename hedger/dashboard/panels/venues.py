"""Panel 5: how each venue is doing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hedger.amounts import counted, delay
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.desk.views import account_text, credits_text, switch_text
from hedger.figures import age, usd

Json = Mapping[str, Any]
_COLUMNS = (Column("what", 20, left=True), Column("", 0, left=True))


def sheet(document: Json) -> Sheet:
    """document: of `hedger venues`."""
    then = "" if document["running"] else ", and all ages, as of the engine's end"
    found = [_venue(venue, then) for venue in document["venues"]]
    budgets = document["budgets"]
    lines = [_line("journal", f"last record {age(document['journal_lag_s'])} ago")]
    engine = document["engine"]
    if engine is None:
        lines.append(_line("engine", "no sign of life beside the journal", Tone.WARN))
    else:
        told = f"process {engine['pid']}, {engine['mode']}, beat {age(engine['beat_s'])} ago"
        told += f", clock moved by {engine['clock_stepped_s']:z.3f} s since its start"
        lines.append(_line("engine", told + (", ended in order" if engine["closed"] else "")))
    if budgets is None:
        lines.append(_line("budgets", "nothing was written down yet", Tone.DIM))
    else:
        lines.append(
            _line(
                f"day {budgets['day']}",
                f"{counted(budgets['executions'], 'hedge')} begun, {counted(budgets['fills'], 'fill')}, fees "
                f"{usd(budgets['fees_usd'])} USD; of those that ended: turnover "
                f"{usd(budgets['turnover_usd'])}, slippage {usd(budgets['slippage_usd'])}",
            )
        )
    return (*found, Section("engine and the day's budgets", _COLUMNS, tuple(lines)))


def _venue(venue: Json, then: str) -> Section:
    orders, dead = venue["orders"], venue["dead_man"]
    down = venue["link"] != "up"
    lines = [
        _line(
            "link",
            f"{venue['link'] or 'never told of'} for {age(venue['link_s'])}, down "
            f"{counted(venue['downs'], 'time')}, {counted(venue['reconnects'], 'reconnect')} {venue['text']}",
            Tone.BAD if down else Tone.GOOD,
        ),
        *_feed(venue["feed"]),
        _line(
            "gaps",
            f"{', '.join(venue['gaps']) or 'none open'}, {venue['gaps_seen']} seen",
            Tone.BAD if venue["gaps"] else Tone.PLAIN,
        ),
        _line(
            "account",
            f"read {age(venue['account_s'])} ago, {account_text(venue['account'])}",
            Tone.PLAIN if venue["account"]["result"] in ("agrees", None) else Tone.BAD,
        ),
        _line(
            "orders",
            f"{orders['sent']} sent ({orders['last_minute']}/min, {orders['last_hour']}/h), "
            f"{orders['open']} open, {orders['unknown']} UNKNOWN, {counted(orders['fills'], 'fill')}",
            Tone.BAD if orders["unknown"] else Tone.PLAIN,
        ),
        _line("first word after", _spread(orders["first_word_s"])),
        _line("answers after", "; ".join(f"{name} {_delay(x)}" for name, x in venue["answer_s"].items())),
        _line("rejected", _counts(orders["rejected"])),
        _line("failed questions", _counts(venue["failed"])),
        _line(
            "maintenance",
            "; ".join(f"{a[:16]} to {b[:16]}" for a, b in venue["maintenance"]) or "none told of",
        ),
        _line(
            "dead man's switch",
            ("" if dead["told"] is None else f"{dead['told']} {age(dead['told_s'])} ago, ")
            + f"{switch_text(dead)}; fired {counted(dead['fired'], 'time')}"
            + (f", last {age(dead['last_fired_s'])} ago" if dead["fired"] else ""),
            _switch_tone(dead),
        ),
        *([_line("", dead["text"], Tone.DIM if dead["armed"] else Tone.BAD)] if dead["text"] else []),
        _line("credits left", credits_text(venue["credits"]), _credit_tone(venue["credits"])),
        _line("maker protection", f"- ({venue['mmp']['unknown']})", Tone.DIM),
    ]
    lines = [Line(f"{venue['venue']} {i} {x.key}", x.cells, x.tone, x.more) for i, x in enumerate(lines)]
    title = f"{venue['venue']}: link {(venue['link'] or 'unknown').upper()}{then}"
    return Section(title, _COLUMNS, tuple(lines))


def _feed(feed: Json) -> Iterator[Line]:
    if feed["unknown"]:
        yield _line("feed", f"- ({feed['unknown']})", Tone.WARN)
        return
    oldest = feed["oldest_held"]
    batch, quote = age(feed["last_batch_s"]), age(feed["newest_quote_s"])
    yield _line("feed", f"last batch {batch} ago, newest quote {quote} old")
    held = "nothing is held here" if oldest is None else f"{oldest['symbol']} {age(oldest['age_s'])}"
    yield _line("oldest held", held)
    yield _line("late by", _spread(feed["lag_s"]))


def _switch_tone(dead: Json) -> Tone:
    """Bad where it should be armed and is not."""
    wanted = dead["timer_s"] is not None or dead["told"] is not None
    if dead["armed"] is False and wanted:
        return Tone.BAD
    return Tone.WARN if dead["fired"] else Tone.PLAIN


def _credit_tone(credits: Json) -> Tone:
    """New orders wait once only what is kept for cancels is left."""
    if credits["left"] is None:
        return Tone.DIM
    return Tone.WARN if credits["left"] < credits["kept_for_cancels"] + 1.0 else Tone.PLAIN


def _line(what: str, text: str, tone: Tone = Tone.PLAIN) -> Line:
    return Line(what, (what, text), tone, (f"{what}: {text}",))


def _spread(spread: Json) -> str:
    if not spread["count"]:
        return "unknown: none was seen"
    return f"median {delay(spread['p50'])}, 99 % {delay(spread['p99'])}, of the last {spread['count']}"


def _delay(spread: Json) -> str:
    """Of questions, of which many a venue is never asked."""
    return _spread(spread) if spread["count"] else "-"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {n}" for code, n in counts.items()) or "none"
