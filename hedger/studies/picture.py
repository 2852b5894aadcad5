"""Charts as one self-contained page: what a study ends in."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pricing.errors import InputError

#: Told apart by colour-blind readers too (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}p{line-height:1.45}"
    "table{border-collapse:collapse;margin:1em 0;font-size:.92em}"
    "td,th{border-bottom:1px solid #ddd;padding:.3em .8em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}"
)


def write_page(
    path: Path,
    title: str,
    introduction: str,
    figures: Sequence[tuple[str, str, Any]],
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = (),
) -> None:
    """Write a page with tables and plotly figures that needs nothing from elsewhere.

    Args:
        figures: (heading, caption, plotly figure). tables: (heading, column names, rows of text).

    Errors: InputError if the file cannot be written.
    """
    from plotly.io import to_html

    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(introduction)}</p>",
    ]
    for heading, columns, rows in tables:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        parts.append(f"<h2>{html.escape(heading)}</h2><table><tr>{head}</tr>{body}</table>")
    for number, (heading, caption, figure) in enumerate(figures):
        figure.update_layout(template="plotly_white", height=460, margin={"l": 60, "r": 20, "t": 20, "b": 50})
        chart = to_html(
            figure,
            full_html=False,
            include_plotlyjs=number == 0,  # the library once, inside the page
            div_id=f"chart-{number}",
            config={"displaylogo": False},
        )
        parts.append(f"<h2>{html.escape(heading)}</h2><p>{html.escape(caption)}</p>{chart}")
    try:
        path.write_text("\n".join(parts), encoding="utf-8")
    except OSError as problem:
        raise _not_written(path, problem.strerror or str(problem), "no picture was made") from None


def check_page(path: Path) -> None:
    """Refuse, before a study begins, a page that could not be written or would not be what its name says.

    Errors: InputError where the name does not end in .html or .htm, or no such folder exists.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise _not_written(path, f"a name ending in {path.suffix or 'nothing'}", "nothing was started")
    if path.is_dir():
        raise _not_written(path, "a folder", "nothing was started")
    if not path.parent.is_dir():
        raise _not_written(path, f"no folder {path.parent}", "nothing was started")


def _not_written(path: Path, observed: str, not_done: str) -> InputError:
    return InputError(
        "PICTURE_NOT_WRITTEN",
        "the page cannot be written",
        where=str(path),
        observed=observed,
        allowed="a file ending in .html in a folder that exists and may be written to",
        not_done=not_done,
        fix="name another file",
    )
