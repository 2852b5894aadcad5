"""The report's charts of a study: cost against risk of hedging policies."""

from __future__ import annotations

from collections.abc import Iterator

from hedger.report.drawing import Absent, Chart, Drawn, Json, Tables


def frontier_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """Cost against risk of the policies of a study, if one was named."""
    from hedger.studies.frontier_report import caption, figures

    study = document["frontier"]
    if study is None:
        why = "No study was named: --frontier FILE takes what `hedger study frontier --json` prints."
        yield Absent("frontier", "Cost against risk of hedging policies", why)
        return
    for number, (heading, text, figure) in enumerate(figures(study)):
        title = f"What risk each policy leaves at what cost, {heading}"
        told = f"{caption(study)} {text}" if number == 0 else text
        figure.update_layout(height=440)
        yield Chart(f"frontier-{number}", title, told, figure)
