"""What if, P&L and venues as plain text for people: documents in raw units, scaled as they are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from typing import Any

from hedger.amounts import amount, counted, delay, span
from hedger.desk.ladder import NO_MODEL, grids
from hedger.profit import APART_NS
from hedger.profit import table as profit_table
from hedger.text_width import blocks
from pricing.daycount import NS_PER_SECOND

Json = Mapping[str, Any]
UNKNOWN = "?"
#: Characters of a vol before a line of the ladder.
_VOL = 8


def whatif_text(document: Json, room: int | None = None) -> str:
    """Ladder, hedge, stresses, thin market and tails. room: how wide the ladder may be; spots that do not fit
    go on below."""
    ladder = document["ladder"]
    lines = [f"what if, as of {document['as_of']}, numeraire {document['numeraire']}"]
    if document["missing"] or document["bad_indexes"]:
        names = [f"{m['venue']} {m['symbol']} ({m['reason']})" for m in document["missing"]]
        names += [f"the index of {name} is bad" for name in document["bad_indexes"]]
        lines.append(f"INCOMPLETE, in none of these figures: {'; '.join(names)}")
    sides = ["unhedged"] + ["hedged"] * (document["hedge"] is not None)
    for of, one in grids(ladder):
        for side in sides:
            lines += ["", *_ladder(ladder, of, one["cells"], side, room)]
    lines += [f"{ladder['metric']}: {note}" for note in ladder["notes"]]
    for (of, one), side in product(grids(ladder), sides):
        worst, whose = one["worst"][side], f" of {of}" * bool(of)
        lines.append(
            f"worst cell{whose} {side}: unknown"
            if worst is None
            else f"worst cell{whose} {side}: P&L {amount(worst['pnl'], 2)} at spot {worst['spot_pct']:+g} %, "
            f"vol {worst['vol_points']:+g} points, in {worst['days']:g} days"
        )
    if document["hedge"] is not None:
        lines += ["", *_hedge("hedge", document["hedge"])]
    if document["stresses"]:
        lines += ["", *_stresses(document["stresses"], sides)]
    if document["liquidity"] is not None:
        thin = document["liquidity"]
        lines += ["", f"spreads x {thin['factor']:g}, sizes / {thin['factor']:g}"]
        lines += _hedge("now", thin["now"]) + _hedge("then", thin["stressed"])
    lines += ["", *_tails(document["tails"], sides)]
    return "\n".join(lines + [f"assumed: {text}" for text in document["assumed"]])


def _ladder(ladder: Json, of: str, lines: Sequence[Json], side: str, room: int | None) -> Iterator[str]:
    """A grid a day: vols down, spots across; of one scale, so that cells may be compared. of: the coin that
    the lines are of, "" for the whole book."""
    known = [abs(x) for line in lines for x in line[side] if x is not None]
    scale, word = _scale(max(known, default=0.0))
    name = f"{ladder['metric']}{f' of {of}' * bool(of)} {side}"
    yield f"{name}, {word}{ladder['unit']}; spot across in %, vol down in points"
    unknown = NO_MODEL if ladder["metric"] == "margin" else UNKNOWN
    cells = [[_cell(x, scale, unknown) for x in line[side]] for line in lines]
    wide = max((len(cell) for line in cells for cell in line), default=1) + 1
    spots = [f"{spot:+g}" for spot in ladder["spot_pct"]]
    wide = max(wide, *(len(spot) + 1 for spot in spots))
    beside = list(blocks([wide] * len(spots), None if room is None else room - _VOL))
    for day, grid in groupby(zip(lines, cells, strict=True), key=lambda pair: pair[0]["days"]):
        rows = list(grid)
        for part in beside:
            yield f"in {day:g} d".ljust(_VOL) + "".join(spot.rjust(wide) for spot in spots[part])
            for line, row in rows:
                yield (
                    f"{line['vol_points']:+g}".rjust(_VOL - 2)
                    + "  "
                    + "".join(cell.rjust(wide) for cell in row[part])
                )


def _scale(most: float) -> tuple[float, str]:
    """What cells are divided by, so that the largest has four digits at most, and its name."""
    for scale, word in ((1.0, ""), (1e3, "thousand "), (1e6, "million ")):
        if most < 1e4 * scale:
            return scale, word
    return 1e9, "billion "


def _cell(x: float | None, scale: float, unknown: str = UNKNOWN) -> str:
    if x is None:
        return unknown
    scaled = x / scale
    return f"{scaled:z.0f}" if abs(scaled) >= 100 else f"{scaled:z.1f}"


def _hedge(name: str, hedge: Json) -> list[str]:
    possible = "possible" if hedge["possible"] else "NOT possible as asked"
    lines = [
        f"{name}: {hedge['status']}, {possible}, cost {amount(hedge['cost_usd'], 2)} USD: {hedge['reason']}"
    ]
    lines += [
        f"  {t['side']} {t['quantity']} {t['unit']} {t['symbol']} on {t['venue']}, "
        f"{amount(t['cost_usd'], 2)} USD"
        for t in hedge["trades"]
    ]
    return lines + [f"  stays outside: {row['row']}" for row in hedge["outside"]]


def _stresses(stresses: Sequence[Json], sides: Sequence[str]) -> Iterator[str]:
    wide = max(16, *(len(name) for stress in stresses for name, _ in _told_stress(stress)))
    yield "stress".ljust(wide) + "".join(side.rjust(18) for side in sides) + "  moves"
    for stress in stresses:
        moves = [
            f"{u['underlying']} {UNKNOWN if u['fall_pct'] is None else format(u['fall_pct'], '+z.0f')} %"
            for u in stress["underlyings"]
        ]
        points = stress["vol_points_30d"]
        vol = f"vol {UNKNOWN if points is None else format(points, '+z.0f')} points at 30 d"
        beside = f"  {', '.join((*moves, vol))}"
        for name, one in _told_stress(stress):
            cells = "".join(_in_unit(one[side], stress["unit"]).rjust(18) for side in sides)
            yield name.ljust(wide) + cells + beside
            beside = ""
        for note in stress["notes"]:
            yield f"  {note}"


def _told_stress(stress: Json) -> list[tuple[str, Json]]:
    """What of a stress is printed: (name, its numbers). The book, or each coin where there is no sum of
    several."""
    apart = stress["unit"] != "USD" and len(stress["underlyings"]) > 1
    name = stress["name"]
    return [(f"{name} {u['underlying']}", u) for u in stress["underlyings"]] if apart else [(name, stress)]


def _in_unit(x: float | None, unit: str) -> str:
    """An amount and its unit; coins to the fourth digit behind the point."""
    return f"{amount(x, 0 if unit == 'USD' else 4)} {unit}"


def _tails(tails: Json, sides: Sequence[str]) -> Iterator[str]:
    apart = [(one["underlying"], one) for one in tails["underlyings"]]
    if tails["unknown"]:
        yield f"VaR and expected shortfall: unknown, {tails['unknown']}"
        if all(one["unknown"] for _, one in apart):
            return
    over = (
        ""
        if tails["horizon_h"] is None
        else f" of {tails['horizon_h']:g} h, {tails['windows_apart']} of them non-overlapping"
    )
    yield f"{tails['outcomes']} returns{over}, from {tails['source']}"
    for of, one in apart if tails["unknown"] else [("", tails)]:
        if one["unknown"]:
            yield f"VaR and expected shortfall of {of}: unknown, {one['unknown']}"
            continue
        for row, side in product(one["levels"], sides):
            found = row[side]
            var, es = (_in_unit(found[name], tails["unit"]) for name in ("var", "es"))
            told = (
                f"unknown, {found['unknown']}" if found["unknown"] else f"VaR {var}, expected shortfall {es}"
            )
            yield f"{100 * row['level']:g} %{f' of {of}' * bool(of)} {side}: {told}"


def profit_text(document: Json, room: int | None = None) -> str:
    """The P&L by day and cause, and by the ledger. room: how wide its tables may be."""
    if document["pnl_usd"] is None and not document["days"]:
        return "no two marks at which the whole book has a worth: the P&L is unknown"
    lines = [f"P&L from {document['from']} to {document['to']}: {amount(document['pnl_usd'], 2)} USD"]
    if document["attribution_usd"] is not None:
        residual = amount(document["attribution_usd"]["residual"], 2)
        lines += [
            f"of it unexplained {residual} USD, valued at fills and marks {document['apart_s']:g} s or more "
            "apart;",
            "other spacings give another residual "
            f"(a run's closing text: {APART_NS / NS_PER_SECOND:g} s, and each fill)",
        ]
    lines += [profit_table(document, room)]
    lines.append(
        f"ledger less causes: {amount(document['ledger_difference_usd'], 2)} USD (rounding, or a fault)"
    )
    if early := document["before_first_mark"]:
        costs = f"fees {amount(early['fees_usd'], 2)}, slippage {amount(early['slippage_usd'], 2)} USD"
        fills = counted(early["fills"], "fill")
        lines.append(f"before the first mark with a worth, in none of this: {fills}, {costs}")
    if document["marks_passed_over"]:
        lines.append(f"{document['marks_passed_over']} marks passed over: something held had no worth")
    lines.append(f"harvest, gamma + theta: {amount(document['harvest_usd'], 2)} USD")
    since = document["since_hedge"]
    lines.append(
        "since hedge: - (none has ended)"
        if since is None
        else f"since hedge {since['execution']}, from {since['from']}: {amount(since['pnl_usd'], 2)} USD"
    )
    lines += [f"{alert['code']}: {alert['text']}" for alert in document["alerts"]]
    lines += [f"unknown: {text}" for text in document["unknown"]]
    return "\n".join(line for line in lines if line)


def venues_text(document: Json) -> str:
    """Every venue in a few lines."""
    lag = span(document["journal_lag_s"])
    lines = [] if document.get("running", True) else ["NOT RUNNING: ages are those at its end"]
    lines.append(f"as of {document['as_of'] or 'no time at all'}, last record {lag} ago")
    engine = document["engine"]
    if engine is None:
        lines.append("engine: no sign of life beside the journal")
    else:
        ended = ", ended in order" if engine["closed"] else ""
        lines.append(
            f"engine: process {engine['pid']}, {engine['mode']}, beat {span(engine['beat_s'])} ago{ended}"
        )
    budgets = document["budgets"]
    if budgets is not None:
        lines.append(
            f"day {budgets['day']}: {budgets['fills']} fills, fees {amount(budgets['fees_usd'], 2)} USD; "
            f"of hedges that ended: turnover {amount(budgets['turnover_usd'])}, "
            f"slippage {amount(budgets['slippage_usd'], 2)}"
        )
    for venue in document["venues"]:
        lines += ["", *_venue(venue)]
    return "\n".join(lines)


def _venue(venue: Json) -> Iterator[str]:
    link = venue["link"] or "never told of"
    downs, reconnects = counted(venue["downs"], "time"), counted(venue["reconnects"], "reconnect")
    text = f": {venue['text']}" if venue["text"] else ""
    yield (f"{venue['venue']}: link {link} since {span(venue['link_s'])}, down {downs}, {reconnects}{text}")
    feed, oldest = venue["feed"], venue["feed"]["oldest_held"]
    held = "nothing held" if oldest is None else f"oldest held {oldest['symbol']} {span(oldest['age_s'])}"
    yield (
        f"  feed: - ({feed['unknown']})"
        if feed["unknown"]
        else f"  feed: last batch {span(feed['last_batch_s'])} ago, newest quote "
        f"{span(feed['newest_quote_s'])} old, {held}; late by {_spread(feed['lag_s'])}"
    )
    gaps = ", ".join(venue["gaps"]) or "none open"
    yield f"  gaps: {gaps}, {venue['gaps_seen']} seen; account told {span(venue['account_s'])} ago"
    orders = venue["orders"]
    yield (
        f"  orders: {orders['sent']} sent ({orders['last_minute']} in a minute, "
        f"{orders['last_hour']} in an hour), {orders['open']} open, {orders['unknown']} UNKNOWN, "
        f"{counted(orders['fills'], 'fill')}; first word after {_spread(orders['first_word_s'])}"
    )
    delays = (f"{name} {_spread(x) if x['count'] else '-'}" for name, x in venue["answer_s"].items())
    yield f"  answers after: {'; '.join(delays)}"
    for name, counts in (("rejected", orders["rejected"]), ("failed questions", venue["failed"])):
        if counts:
            yield f"  {name}: " + ", ".join(f"{code} {n}" for code, n in counts.items())
    dead = venue["dead_man"]
    last = f", last {span(dead['last_fired_s'])} ago" if dead["fired"] else ""
    word = "" if dead["told"] is None else f"{dead['told']} {span(dead['told_s'])} ago, {dead['text']}; "
    yield f"  dead man's switch: {word}{switch_text(dead)}; fired {counted(dead['fired'], 'time')}{last}"
    yield f"  credits: {credits_text(venue['credits'])}"
    yield f"  account: {account_text(venue['account'])}"
    yield f"  market maker protection: - ({venue['mmp']['unknown']})"


def switch_text(dead: Json) -> str:
    """A dead man's switch in words; "-" for what is not known."""
    if dead["armed"] is False and dead["timer_s"] is None and dead["told"] is None:
        return f"off ({dead['unknown']})"
    armed = "-" if dead["armed"] is None else "armed" if dead["armed"] else "NOT ARMED"
    if dead["left_s"] is not None:
        left, taken = span(dead["left_s"]), span(dead["refreshed_s"])
        return f"{armed}, {left} left of {span(dead['timer_s'])}, refreshed {taken} ago"
    set_to = "" if dead["timer_s"] is None else f", set to {span(dead['timer_s'])}"
    fires = "" if dead["fires_at"] is None else f", by the last refresh it fires at {dead['fires_at'][:19]}Z"
    return f"{armed}{set_to}{fires} ({dead['unknown']})"


def credits_text(credits: Json) -> str:
    """What may leave at once, in words."""
    if credits["left"] is None:
        return f"- ({credits['unknown']})"
    paces = "".join(f"; {pace['kind']} {pace['left']:z.0f} of {pace['of']:.0f}" for pace in credits["paces"])
    return (
        f"{credits['left']:z.1f} of {credits['of']:.0f} messages, {credits['per_s']:g} more a second, the "
        f"last {credits['kept_for_cancels']:g} for cancels{paces}"
    )


def account_text(account: Json) -> str:
    """What came of the last question for an account, in words."""
    if account["result"] is None:
        return f"- ({account['unknown']})"
    if account["agreed_s"] is None:
        return f"{account['result']}, never agreed with the book"
    return f"{account['result']}, agreed with the book {span(account['agreed_s'])} ago"


def _spread(spread: Json) -> str:
    if not spread["count"]:
        return "unknown"
    return f"{delay(spread['p50'])} (99 %: {delay(spread['p99'])}, of {spread['count']})"
