"""The page: every chart drawn in a real browser without a complaint, nothing fetched, no words for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hedger.core.events import Command, Verb
from hedger.journal.entries import Configuration, configuration_entry
from tests.builders import NOW_NS
from tests.hedger.journal_words import turn
from tests.hedger.report.browser import look
from tests.hedger.report.made import Made, report, told

HOSTILE = "</script><script>console.error('taken for markup')</script><img src=x onerror=console.error(1)>"


class Outside(HTMLParser):
    """Whatever a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "data", "action") and not (value or "").startswith(("#", "data:,")):
                self.found.append(f"{tag} {name}={value}")


def test_every_chart_is_drawn_and_the_console_stays_empty(made: Made, tmp_path: Path) -> None:
    drawn = {f"chart-{c['name']}": c["traces"] for c in made.document["charts"] if not c["absent"]}
    names = {name.split("-")[1] for name in drawn}
    assert names >= {"exposures", "hedges", "costs", "attribution", "profit", "turnover", "limits", "hours"}
    looked = look(made.out / "report.html", tmp_path)
    assert looked.complaints == []
    assert set(looked.svgs) == set(drawn)
    for name, traces in drawn.items():
        assert looked.svgs[name] >= 1, name
        assert looked.traces[name] >= traces > 0, name


def test_a_page_that_fails_would_be_seen_to(tmp_path: Path) -> None:
    """The look itself: an error of a script, and a chart that was never drawn."""
    page = tmp_path / "page.html"
    page.write_text(
        "<div class='plotly-graph-div' id='chart-a'></div><script>Plotly.newPlot('chart-a')</script>"
    )
    looked = look(page, tmp_path)
    assert any("Plotly is not defined" in line for line in looked.complaints)
    assert looked.svgs == {"chart-a": 0} and looked.traces == {"chart-a": 0}


def test_the_page_needs_nothing_from_elsewhere(made: Made) -> None:
    text = (made.out / "report.html").read_text(encoding="utf-8")
    assert Outside(text).found == []
    assert len(re.findall(r"<script[^>]*>/\*\*\s*\n?\* plotly\.js", text)) <= 1
    assert text.count("plotly.js v") == 1  # the library once


def test_titles_hold_the_figures_of_the_document(made: Made) -> None:
    titles = {c["name"]: c["title"] for c in made.document["charts"]}
    hedges, pnl = made.document["hedges"], made.document["pnl"]["pnl_usd"]
    assert f"{hedges['count']} hedge" in titles["costs"]
    assert ("lost" in titles["attribution"]) == (pnl < 0)
    assert figure(titles["attribution"]) == pytest.approx(abs(pnl), abs=0.5)
    worst = made.document["worst_hours"][0]
    assert worst["hour"][:10] in titles["hours"]
    assert figure(titles["hours"]) == pytest.approx(-worst["pnl_usd"], abs=0.5)


def figure(title: str) -> float:
    """The first amount in a title."""
    found = re.search(r"([\d,.]+) USD", title)
    assert found is not None, title
    return float(found[1].replace(",", ""))


def test_words_from_outside_are_words(tmp_path: Path) -> None:
    start = Configuration("1", "ab" * 32, user=HOSTILE, reason=HOSTILE)
    journal = told(
        tmp_path / HOSTILE.replace("/", "_")[:40],
        [configuration_entry(-1, NOW_NS, start)],
        turn(0, Command("c0", Verb.ARM, HOSTILE, HOSTILE)),
    )
    report(journal, tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "console.error" not in text.replace("console.error(&#x27;", "").replace("console.error(1)&gt;", "")
    assert "<img" not in text


def test_hostile_words_in_a_chart_stay_in_it(made: Made) -> None:
    """What a chart shows on hovering is inside a script: its end is not to be written by a symbol."""
    from plotly.graph_objects import Figure

    from hedger.report.drawing import Chart
    from hedger.report.page import page

    figure = Figure().add_scatter(x=[1], y=[1], text=[HOSTILE])
    document = {key: value for key, value in made.document.items() if key != "out"}
    text = page(document, [Chart("costs", HOSTILE, HOSTILE, figure)], {})
    assert "</script><script>console" not in text and "<img" not in text
