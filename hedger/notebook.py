"""The desk from a notebook: the documents of the verbs as polars frames.

    import hedger as hg
    plan = hg.plan("book.csv", "tape")
    plan.trades

Every call reads what the verb of the same name reads, settings of `./config.toml` included, and its
`document` is what that verb prints with --json: the frames are that, a row a line, nested numbers in columns
of their own. What is unknown or open is null. Nothing here sends anything.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from hedger.arguments import needed_path, no_argument, numbers, path_or_none, texts, word_or_none, yes_or_no
from hedger.desk.ladder_metrics import METRICS
from hedger.verbs.flags import axis

Json = dict[str, Any]
#: A column's type, and where its value stands in a row of the document.
Column = tuple[type[pl.DataType], tuple[str | int, ...]]
Columns = Mapping[str, Column]
_TEXT, _NUMBER, _TRUTH = pl.String, pl.Float64, pl.Boolean
_GREEKS = ("delta", "gamma", "vega", "theta")
_COSTS = ("spread", "depth", "fee", "carry", "fixed")


def _plain(kind: type[pl.DataType], *names: str) -> dict[str, Column]:
    return {name: (kind, (name,)) for name in names}


def _interval(name: str) -> dict[str, Column]:
    return {f"{name}_lower": (_NUMBER, (name, 0)), f"{name}_upper": (_NUMBER, (name, 1))}


_BOOK_ROWS: Columns = {
    **_plain(_TEXT, "venue", "symbol", "account"),
    **_plain(_NUMBER, "quantity", "average_price"),
}
_RISK_ROWS: Columns = {
    **_plain(_TEXT, "row", "unit"),
    **_plain(_NUMBER, "value"),
    **_interval("trigger"),
    **_plain(_TRUTH, "breached"),
}
_UNDERLYINGS: Columns = {
    **_plain(_TEXT, "underlying"),
    **_plain(_NUMBER, "index"),
    **_plain(_TEXT, "index_verdict"),
    **_plain(_NUMBER, *_GREEKS),
    **_plain(_TRUTH, "incomplete"),
}
_EXPIRIES: Columns = {
    **_plain(_TEXT, "underlying", "expiry"),
    **_plain(_NUMBER, "forward"),
    **_plain(_TEXT, "forward_source", "forward_confidence"),
    **_plain(_NUMBER, *_GREEKS),
}
_POSITIONS: Columns = {
    **_plain(_TEXT, "venue", "symbol", "account"),
    **_plain(_NUMBER, "quantity"),
    **_plain(_TEXT, "unit"),
    **_plain(_NUMBER, "mark", "vol"),
    **_plain(_TEXT, "vol_source"),
    **_plain(_NUMBER, "age_s", *_GREEKS),
}
_MISSING: Columns = {**_plain(_TEXT, "venue", "symbol", "reason"), **_plain(_NUMBER, "age_s")}
_PLAN_ROWS: Columns = {
    **_plain(_TEXT, "row", "unit"),
    **_plain(_NUMBER, "before", "after"),
    **_interval("trigger"),
    **_interval("landing"),
    **_interval("required"),
    **_plain(_TRUTH, "breached"),
    **_plain(_NUMBER, "shadow_price_usd", "slack"),
    **_plain(_TEXT, "binding"),
}
_TRADES: Columns = {
    **_plain(_TEXT, "venue", "symbol", "side", "quantity", "unit", "limit_price"),
    **_plain(_NUMBER, "expected_price"),
    **{f"{name}_usd": (_NUMBER, ("cost_usd", name)) for name in _COSTS},
}
_STRESSES: Columns = {
    **_plain(_TEXT, "name", "title", "from", "to", "underlying"),
    **_plain(_NUMBER, "unhedged", "hedged"),
}
_LADDER = {
    "underlying": pl.String,
    "days": pl.Float64,
    "vol_points": pl.Float64,
    "spot_pct": pl.Float64,
    "unhedged": pl.Float64,
    "hedged": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Risk:
    """What `hedger risk` says. rows: exposures and their bands; positions: totals, balances among them."""

    document: Json
    rows: pl.DataFrame
    underlyings: pl.DataFrame
    expiries: pl.DataFrame
    positions: pl.DataFrame
    missing: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Plan:
    """What `hedger plan` says. trades: quantities and limit prices as exact text, costs by part in USD;
    effects: (row, symbol, effect) of every trade on every row."""

    document: Json
    rows: pl.DataFrame
    trades: pl.DataFrame
    effects: pl.DataFrame
    missing: pl.DataFrame

    @property
    def cost_usd(self) -> float:
        """Of all trades; NaN where the plan is blocked: nothing was planned, which is not a hedge for
        nothing."""
        cost = self.document["cost_usd"]
        return math.nan if cost is None else float(cost)

    @property
    def status(self) -> str:
        """hedge, no_trade, relaxed or blocked."""
        return str(self.document["status"])


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What `hedger whatif` says. ladder: a row a cell; hedged is null where no plan was asked for.

    underlying: whose cell or stress it is. In USD they are of the whole book, and it is null; in coin each is
    of one coin, for there is no sum of several.
    """

    document: Json
    ladder: pl.DataFrame
    stresses: pl.DataFrame
    missing: pl.DataFrame


def book(
    book: str | Path,
    market: str | Path | None = None,
    *,
    at: str | None = None,
    numeraire: str | None = None,
    config: str | Path | None = None,
) -> pl.DataFrame:
    """The positions and balances of a book file with their worth, a row each: `risk(..).positions`.

    Without a market the rows as they stand in the file, each checked by itself: venue, symbol, account,
    quantity, average_price.

    Raises:
        InputError: as `hedger risk`.
    """
    if market is None:
        from hedger.inputs import read_rows

        file = needed_path("book", book)
        _time(at)
        path_or_none("config", config)
        _numeraire(numeraire)
        rows = [{name: getattr(row, name) for name in _BOOK_ROWS} for row in read_rows(file)]
        return _frame(
            [{k: float(v) if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows],
            _BOOK_ROWS,
        )
    return risk(book, market, at=at, numeraire=numeraire, config=config).positions


def risk(
    book: str | Path,
    market: str | Path,
    *,
    at: str | None = None,
    numeraire: str | None = None,
    config: str | Path | None = None,
) -> Risk:
    """Exposures of a book file in the market of a tape, by underlying, expiry and position.

    Args:
        at: ISO 8601 UTC or nanoseconds; the last batch where left out. numeraire: "USD" or "coin".

    Raises:
        InputError: as `hedger risk`.
    """
    from hedger.documents import risk_document
    from hedger.verbs.reading import Stages, settings_from, snapshot_at
    from venues.tape import Tape

    file, tape, time = needed_path("book", book), needed_path("market", market), _time(at)
    settings = settings_from(path_or_none("config", config), _numeraire(numeraire))
    snapshot, _ = snapshot_at(Tape.open(tape), file, time, settings, Stages())
    document = risk_document(snapshot)
    return Risk(
        document,
        _frame(document["rows"], _RISK_ROWS),
        _frame(document["underlyings"], _UNDERLYINGS),
        _frame(document["expiries"], _EXPIRIES),
        _frame(document["positions"], _POSITIONS),
        _frame(document["missing"], _MISSING),
    )


def plan(
    book: str | Path,
    market: str | Path,
    *,
    at: str | None = None,
    numeraire: str | None = None,
    config: str | Path | None = None,
    band: Sequence[str] = (),
) -> Plan:
    """The hedge ticket of a book file in the market of a tape; nothing is sent.

    Args:
        at, numeraire: as `risk`. band: `ROW=LO,HI/LO,HI` for a trial, as `hedger plan --band`.

    Raises:
        InputError: as `hedger plan`.
    """
    from hedger.documents import plan_document
    from hedger.verbs.plan_verbs import planned
    from hedger.verbs.reading import settings_from

    file, tape, time = needed_path("book", book), needed_path("market", market), _time(at)
    bands = texts("band", band, "a list of texts: ROW=LO,HI/LO,HI")
    found, stages = planned(
        file, tape, time, settings_from(path_or_none("config", config), _numeraire(numeraire)), bands
    )
    document = plan_document(found, stages.ms)
    effects = [
        {"row": row, "symbol": trade["symbol"], "effect": effect}
        for trade in document["trades"]
        for row, effect in trade["effect"].items()
    ]
    return Plan(
        document,
        _frame(document["rows"], _PLAN_ROWS),
        _frame(document["trades"], _TRADES),
        _frame(effects, {**_plain(_TEXT, "row", "symbol"), **_plain(_NUMBER, "effect")}),
        _frame(document["missing"], _MISSING),
    )


def whatif(
    book: str | Path | None = None,
    market: str | Path | None = None,
    *,
    journal: str | Path | None = None,
    at: str | None = None,
    numeraire: str | None = None,
    config: str | Path | None = None,
    spot_pct: Iterable[float] = (),
    vol_points: Iterable[float] = (),
    days: Iterable[float] = (),
    metric: str = "pnl",
    hedged: bool = False,
    stress: str | None = None,
) -> WhatIf:
    """A book under shocks, every cell by full revaluation: a file's in the market of a tape, or a journal's.

    Args:
        spot_pct, vol_points, days: the ladder's axes, those of the verb where left out. metric: pnl, delta,
            gamma, vega or margin. hedged: plan, and show the book after it too. stress: "all" or a name,
            of the past or of the settings' scenarios.

    Raises:
        InputError: as `hedger whatif`.
    """
    from hedger.desk.ladder import Axes
    from hedger.desk.whatif import Question
    from hedger.verbs.looking import Source, whatif_of
    from hedger.verbs.reading import settings_from

    axes = Axes.of(
        _axis("spot_pct", spot_pct, -100.0, reached=False),
        _axis("vol_points", vol_points, -500.0, reached=True),
        _axis("days", days, 0.0, reached=True),
    )
    source = Source(
        book=path_or_none("book", book),
        market=path_or_none("market", market),
        at=_time(at),
        journal=path_or_none("journal", journal),
        numeraire=_numeraire(numeraire),
    )
    asked = word_or_none("stress", stress, '"all", or the name of a stress')
    question = Question(_metric(metric), axes, yes_or_no("hedged", hedged), asked)
    document = whatif_of(source, question, settings_from(path_or_none("config", config), source.numeraire))
    return WhatIf(
        document,
        _ladder(document),
        _frame(
            [stress | one for stress in document["stresses"] for one in _shown(document, stress)], _STRESSES
        ),
        _frame(document["missing"], _MISSING),
    )


# --------------------------------------------------------------------------------------------------- inside


def _numeraire(given: object) -> str | None:
    """A numeraire that may be left out; the settings say whether there is one of that name."""
    return word_or_none("numeraire", given, '"USD" or "coin"')


def _time(at: object) -> str | None:
    """A time in words.

    Raises:
        InputError: it is none.
    """
    if at is not None and (isinstance(at, bool) or not isinstance(at, (str, int))):
        raise no_argument("at", at, "text: ISO 8601 UTC, or nanoseconds", "TIME_INVALID")
    return None if at is None else str(at)


def _metric(given: object) -> str:
    """A metric of the ladder; raises as `_time`."""
    if not isinstance(given, str) or given not in METRICS:
        raise no_argument("metric", given, ", ".join(METRICS))
    return given


def _axis(name: str, given: object, low: float, *, reached: bool) -> tuple[float, ...]:
    """An axis of the ladder, as the command line takes it; () where none is given. Raises as `_time`."""
    words = "from" if reached else "above"
    allowed = f"a list of up to 50 different numbers {words} {low:g} to 10000"
    found = numbers(name, given, allowed)
    if not found:
        return ()
    try:
        return axis(low, reached)(",".join(map(repr, found)))
    except argparse.ArgumentTypeError:
        raise no_argument(name, given, allowed) from None


def _frame(rows: Sequence[Json], columns: Columns) -> pl.DataFrame:
    """Rows of a document as a frame with these columns, also where there are no rows."""
    found = {name: [_at(row, path) for row in rows] for name, (_, path) in columns.items()}
    return pl.DataFrame(found, schema={name: kind for name, (kind, _) in columns.items()})


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at a place of a row; None where the way there ends in null or is not there."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            return None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _shown(document: Json, part: Json) -> list[Json]:
    """What of a ladder or a stress stands in a frame: the whole, or in coin what it says of each coin."""
    return list(part["underlyings"]) if document["numeraire"] == "coin" else [part]


def _ladder(document: Json) -> pl.DataFrame:
    """The cells of a ladder, a row each."""
    ladder = document["ladder"]
    rows = [
        (one.get("underlying"), cell["days"], cell["vol_points"], spot, unhedged, hedged)
        for one in _shown(document, ladder)
        for cell in one["cells"]
        for spot, unhedged, hedged in zip(
            ladder["spot_pct"],
            cell["unhedged"],
            cell["hedged"] or [None] * len(ladder["spot_pct"]),
            strict=True,
        )
    ]
    return pl.DataFrame(rows, schema=_LADDER, orient="row")
