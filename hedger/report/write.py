"""The report's folder: a page, a document and a table each, all of them or none."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from hedger.report import book_charts, frontier_charts, limit_charts, profit_charts, time_charts
from hedger.report.document import Around, report_document
from hedger.report.drawing import Absent, Drawn
from hedger.report.page import page
from hedger.report.tables import tables
from hedger.report.walk import ReadJournal
from pricing.errors import InputError

Json = dict[str, Any]
PAGE, DOCUMENT = "report.html", "report.json"
CHARTS = (
    book_charts.exposure_charts,
    book_charts.price_charts,
    book_charts.cost_charts,
    profit_charts.profit_charts,
    profit_charts.turnover_charts,
    limit_charts.limit_charts,
    limit_charts.limit_time_charts,
    time_charts.hour_charts,
    time_charts.gap_charts,
    frontier_charts.frontier_charts,
)


def check_out(out: Path) -> None:
    """Refuse a place that cannot be written before a long journal is read.

    Raises:
        InputError: it is taken, or stands in no folder.
    """
    if os.path.lexists(out):
        taken = "something of that name"
        raise _refusal(
            "REPORT_EXISTS", "the place to write is taken", out, taken, "rename --out, or remove it"
        )
    if not out.parent.is_dir():
        seen = f"{out.parent} is no folder" if os.path.lexists(out.parent) else f"there is no {out.parent}"
        fix = "make that folder first"
        raise _refusal("REPORT_WRITE", "the report cannot be written", out, seen, fix)


def write_report(journal: ReadJournal, around: Around, out: Path) -> Json:
    """Write a journal's report into a new folder; returns the document as it was written.

    Raises:
        InputError: the place is taken or cannot be written.
    """
    check_out(out)
    made = tables(journal, around.limits.limits)
    document = report_document(journal, made, around)
    drawn: list[Drawn] = [one for chart in CHARTS for one in chart(document, made)]
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            files = {name: _write_table(temporary, name, frame) for name, frame in made.items()}
            text = page(document, drawn, files)
            (temporary / PAGE).write_text(text, encoding="utf-8")
            document = document | {
                "page": {"file": PAGE, "sha256": hashlib.sha256(text.encode()).hexdigest()},
                "charts": [_told(one) for one in drawn],
                "tables": files,
            }
            written = json.dumps(document, allow_nan=False, indent=1)
            (temporary / DOCUMENT).write_text(written + "\n", encoding="utf-8")
            temporary.rename(out)
        finally:
            with suppress(FileNotFoundError):  # renamed: nothing is left to remove
                shutil.rmtree(temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        fix = "check rights and free space"
        raise _refusal("REPORT_WRITE", "the report cannot be written", out, str(error), fix) from error
    return document


def _write_table(folder: Path, name: str, frame: pl.DataFrame) -> Json:
    path = folder / f"{name}.parquet"
    frame.write_parquet(path, compression="zstd")
    return {
        "file": path.name,
        "rows": frame.height,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _told(one: Drawn) -> Json:
    """A chart in words, for whoever checks that all of them are there."""
    if isinstance(one, Absent):
        return {"name": one.name, "title": one.title, "traces": 0, "absent": one.why}
    return {"name": one.name, "title": one.title, "traces": one.traces, "absent": None}


def _refusal(code: str, what: str, out: Path, observed: str, fix: str) -> InputError:
    return InputError(
        code,
        what,
        where=f"--out {out}",
        observed=observed,
        allowed="a new folder in one that is there",
        not_done="nothing was written",
        fix=fix,
    )
