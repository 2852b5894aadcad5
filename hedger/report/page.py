"""The report as one page that needs nothing from elsewhere: plotly and its data stand inside it.

Made for a light screen and for paper: charts keep the width of a landscape sheet, and no chart is cut by the
end of a page. Whatever comes from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from hedger.amounts import counted
from hedger.report.drawing import Absent, Chart, Drawn
from hedger.report.words import moment, percent, span, usd

Json = dict[str, Any]
WIDTH_PX = 980
HASH_SHOWN = 16
#: A longer word is broken at the end of a line: no code is so long, hashes and JSON are.
WORD_MAX = 36
SECTIONS = {
    "exposures": "Exposures",
    "tenors": "Exposures",
    "hedges": "Hedges",
    "costs": "Hedges",
    "attribution": "P&L",
    "profit": "P&L",
    "turnover": "Turnover",
    "limits": "Limits",
    "hours": "Worst hours",
    "gaps": "Data",
    "frontier": "Frontier",
}

_STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#e3e7ec;--tint:#f5f7f9;--warn:#fff4e0;--edge:#d98b00}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:#fff;
 margin:0}
main{width:980px;max-width:100%;margin:0 auto;padding:32px 0 64px}
header h1{font-size:26px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}
header p{color:var(--soft);margin:0}
nav{margin:14px 0 0;font-size:13px}nav a{color:#0072b2;text-decoration:none;margin-right:14px}
.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:24px 0}
.card{border:1px solid var(--line);border-radius:8px;padding:12px 14px;background:var(--tint)}
.card b{display:block;font-size:20px;line-height:1.3;font-variant-numeric:tabular-nums}
.card span{color:var(--soft);font-size:12.5px;display:block}
.warn{background:var(--warn);border-left:4px solid var(--edge);padding:10px 14px;margin:8px 0;
 border-radius:4px}
h2{font-size:13px;text-transform:uppercase;letter-spacing:.08em;color:var(--soft);margin:44px 0 0;
 padding-top:14px;border-top:1px solid var(--line)}
section{break-inside:avoid;margin:18px 0 28px}
h3{font-size:18px;line-height:1.35;margin:0 0 2px;font-weight:600}
.how{color:var(--soft);font-size:13.5px;margin:0 0 6px;max-width:88ch}
.none{background:var(--tint);border-radius:6px;padding:12px 14px;color:var(--soft);margin:8px 0 0}
table{border-collapse:collapse;width:100%;margin:10px 0;font-size:13px;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:500;text-align:right;border-bottom:1px solid #c9d0d8;padding:4px 8px}
td{text-align:right;border-bottom:1px solid var(--line);padding:4px 8px;vertical-align:top}
td.long{overflow-wrap:anywhere}
th:first-child,td:first-child{text-align:left;white-space:nowrap}
td.text,th.text{text-align:left}
code{font:12px ui-monospace,Menlo,Consolas,monospace}
ul{padding-left:20px;margin:8px 0}li{margin:3px 0}
@page{size:A4 landscape;margin:12mm}
@media print{nav{display:none}main{padding:0}h2{break-after:avoid}tr{break-inside:avoid}
 *{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
STEERED, MADE = "Who steered", "How it was made"
#: So many commands stand on the page, the last ones; all of them in the document.
COMMANDS_MAX = 200
#: A drag zooms in, a double click out: no buttons are needed over the legend.
_CONFIG = {"displayModeBar": False}


def page(document: Json, drawn: Sequence[Drawn], files: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page. files: rows and sha256 of each table beside it."""
    journal = document["journal"]
    name = f"{journal['trading'].capitalize()} report"
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<link rel=icon href='data:,'>",  # or a browser asks the page's server for one
        f"<title>{escape(name)}: {escape(journal['file'])}</title><style>{_STYLE}</style></head><body><main>",
        _header(document, drawn, name),
        _cards(document),
        *(f"<div class=warn>{escape(text)}</div>" for text in document["warnings"]),
    ]
    heading, library = "", True
    for one in drawn:
        section = SECTIONS[one.name.split("-")[0]]
        if section != heading:
            parts.append(f"<h2 id='{_anchor(section)}'>{escape(section)}</h2>")
            heading = section
        parts.append(_section(one, library=library and isinstance(one, Chart)))
        library = library and not isinstance(one, Chart)
        parts += _beside(one.name, document)
    parts += [_steering(document["steering"]), _about(document, files), "</main></body></html>\n"]
    return "\n".join(parts)


def _anchor(section: str) -> str:
    return "".join(c for c in section.lower() if c.isalnum())


def _header(document: Json, drawn: Sequence[Drawn], name: str) -> str:
    journal = document["journal"]
    sections = dict.fromkeys(SECTIONS[one.name.split("-")[0]] for one in drawn)
    links = "".join(f"<a href='#{_anchor(s)}'>{escape(s)}</a>" for s in [*sections, STEERED, MADE])
    begin, end = (str(journal[key])[:19].replace("T", " ") for key in ("from", "to"))
    seconds = journal["hours"] * 3600
    return (
        f"<header><h1>{escape(name)}: {escape(journal['file'])}</h1>"
        f"<p>{begin} to {end} UTC, {span(seconds)}; engine {escape(journal['engine'])}, "
        f"{counted(document['events'], 'event')}, {counted(document['orders'], 'order')}, "
        f"{counted(document['fills']['count'], 'fill')}</p><nav>{links}</nav></header>"
    )


def _cards(document: Json) -> str:
    """The four figures that one asks for first."""
    hedges, pnl = document["hedges"], document["pnl"]["pnl_usd"]
    banded = [row for row in document["rows"] if row["trigger"] is not None and row["known_s"] > 0]
    worst = max(banded, key=lambda row: row["outside_share"], default=None)
    gaps = document["gaps"]["kinds"]
    longest = document["gaps"]["longest"][:1]
    cards = [
        ("P&L", usd(pnl, signed=True), _since(document["pnl"])),
        (
            "Hedging",
            usd(hedges["cost_usd"]),
            f"{counted(hedges['count'], 'hedge')}; tickets said {usd(hedges['expected_usd'])}",
        ),
        (
            "Outside a band",
            "unknown" if worst is None else percent(worst["outside_share"]),
            "no row was known" if worst is None else f"of the time: {worst['row']}, the most of all rows",
        ),
        (
            "Data gaps",
            f"{sum(kind['count'] for kind in gaps):,}",
            f"the longest {span(longest[0]['seconds'])}, {longest[0]['kind']}" if longest else "none",
        ),
    ]
    shown = "".join(
        f"<div class=card><span>{escape(head)}</span><b>{escape(figure)}</b><span>{escape(text)}</span></div>"
        for head, figure, text in cards
    )
    return f"<div class=cards>{shown}</div>"


def _since(pnl: Json) -> str:
    """What a P&L is of: only what could be valued as a whole is in it."""
    if pnl["from"] is None:
        return "no two marks value the whole book"
    begin, end = (str(pnl[name])[:16].replace("T", " ") for name in ("from", "to"))
    if pnl["unknown_since"] is None:
        return f"of the whole book since {begin}"
    end = end[11:] if end[:10] == begin[:10] else end
    return f"of the whole book from {begin} to {end}; unknown since"


def _section(one: Drawn, *, library: bool) -> str:
    head = f"<h3>{escape(one.title)}</h3>"
    if isinstance(one, Absent):
        return f"<section>{head}<div class=none>{escape(one.why)}</div></section>"
    return f"<section>{head}<p class=how>{escape(one.caption)}</p>{_chart(one, library=library)}</section>"


def _chart(one: Chart, *, library: bool) -> str:
    from plotly.io import to_html

    figure = one.figure
    figure.update_layout(
        template="plotly_white",
        width=WIDTH_PX,
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#1c2430"},
        margin={"l": 80, "r": figure.layout.margin.r or 24, "t": 44, "b": 44},
    )
    if figure.layout.legend.orientation is None:  # a chart with its own place for it keeps it
        right = {} if figure.layout.legend.x == 0 else {"x": 1, "xanchor": "right"}
        figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, **right})
    figure.update_yaxes(automargin=True)
    html: str = to_html(
        figure, full_html=False, include_plotlyjs=library, div_id=f"chart-{one.name}", config=_CONFIG
    )
    return html


# --------------------------------------------------------------------------------------------------- tables


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = ()) -> str:
    """A table; text: columns besides the first that hold words, not figures."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{_class(cell, words=i in text)}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{line(columns, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def _class(cell: str, *, words: bool) -> str:
    """The class of a cell: of words, of one word too long for a line, which alone may be broken, or both."""
    long = max(map(len, cell.split()), default=0) > WORD_MAX
    names = " ".join(("text",) * words + ("long",) * long)
    return f" class='{names}'" if names else ""


def _beside(name: str, document: Json) -> list[str]:
    """The tables that go with a chart."""
    if name == "hours" and document["worst_hours"]:
        return [_hours(document["worst_hours"])]
    if name == "gaps":
        longest = document["gaps"]["longest"]
        return [*([_gaps(longest)] if longest else []), *_alerts(document)]
    return []


def _hours(hours: Sequence[Json]) -> str:
    columns = ("hour, UTC", "P&L", "outside a band", "hedges", "their cost", "turnover", "alerts", "no data")
    rows = (
        (
            *(moment(h["hour_ns"])[:16], usd(h["pnl_usd"], signed=True), span(h["outside_s"])),
            *(str(h["hedges"]), usd(h["cost_usd"]), usd(h["turnover_usd"]), str(h["alerts"])),
            span(h["gap_s"]),
        )
        for h in hours
    )
    return _table(columns, rows)


def _gaps(longest: Sequence[Json]) -> str:
    columns = ("longest gaps", "what", "from, UTC", "to, UTC", "for")
    rows = (
        (
            *(g["kind"], g["what"], moment(g["from_ns"])),
            *("still open" if g["open"] else moment(g["to_ns"]), span(g["seconds"])),
        )
        for g in longest
    )
    return _table(columns, rows, (1,))


def _alerts(document: Json) -> list[str]:
    if not document["alerts"]:
        return []
    columns = ("alert", "severity", "times", "last, UTC", "the last one said")
    rows = (
        (a["code"], a["severity"], f"{a['count']:,}", moment(a["last_ns"]), a["last_text"])
        for a in document["alerts"]
    )
    return [_table(columns, rows, (1, 4))]


def _steering(steering: Sequence[Json]) -> str:
    """Commands, with who, why and what came of them; the last ones where they are many."""
    head = f"<h2 id='{_anchor(STEERED)}'>{STEERED}</h2><section>"
    if not steering:
        return f"{head}<h3>Nobody gave a command</h3></section>"
    people = len({row["user"] for row in steering})
    title = f"{counted(len(steering), 'command')} by {counted(people, 'user')}"
    title += f"; the last {COMMANDS_MAX} of them" * (len(steering) > COMMANDS_MAX)
    columns = ("time, UTC", "command", "by", "reason", "what came of it")
    rows = (
        (moment(row["now_ns"]), row["what"], row["user"] or "-", row["reason"] or "-", row["outcome"])
        for row in steering[-COMMANDS_MAX:]
    )
    return f"{head}<h3>{escape(title)}</h3>{_table(columns, rows, (1, 2, 3, 4))}</section>"


def _about(document: Json, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Assumptions, hashes, starts, and the files that hold the figures."""
    journal, settings = document["journal"], document["settings"]
    same = {True: "as the run had them", False: "NOT all as the run had them", None: "no start is on record"}
    seed = str(document["seed"]) if document["seed_unknown"] is None else document["seed_unknown"]
    facts = [
        (
            "journal",
            f"{counted(journal['records'], 'record')}, chain of hashes sound up to {journal['head']}",
        ),
        ("seed", f"none: {seed}" if document["seed"] is None else seed),
        (
            "settings in force at the end",
            f"{settings['sha256'] or 'unknown'}, {same[settings['same_as_run']]}",
        ),
    ]
    turns = [
        (
            *(moment(turn["now_ns"]), turn["how"], turn["sha256"][:HASH_SHOWN]),
            *("yes" if turn["known"] else "NO", turn["user"] or "-", turn["reason"] or "-"),
            turn["changes"] or "-",
        )
        for turn in settings["in_force"]
    ]
    starts = [
        (
            *(moment(start["now_ns"]), start["version"], start["user"] or "-", start["reason"] or "-"),
            *(
                (start[f"{name}_sha256"] or "-")[:HASH_SHOWN]
                for name in ("settings", "limits", "tape", "book")
            ),
        )
        for start in document["starts"]
    ]
    return "\n".join(
        [
            f"<h2 id='{_anchor(MADE)}'>{MADE}</h2><section><h3>Assumptions</h3><ul>",
            *(f"<li>{escape(text)}</li>" for text in document["assumptions"]),
            "</ul></section><section><h3>Configuration: hashes, seed, settings in force</h3>",
            _table(("what", "value"), facts, (1,)),
            _table(
                ("started, UTC", "version", "by", "reason", "settings", "limits", "tape", "book"),
                starts,
                (1, 2, 3, 4, 5, 6, 7),
            ),
            _table(
                ("in force from, UTC", "by", "settings", "of the run", "who", "reason", "what changed"),
                turns,
                (1, 2, 3, 4, 5, 6),
            ),
            "</section><section><h3>The figures, as files beside this page</h3>",
            _table(
                ("file", "rows", "SHA-256"),
                ((f"{n}.parquet", f"{f['rows']:,}", str(f["sha256"])) for n, f in files.items()),
            ),
            "</section>",
        ]
    )
