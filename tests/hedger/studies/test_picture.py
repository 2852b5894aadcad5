"""A study's page: everything in one file, nothing fetched from elsewhere, no text taken for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.graph_objects import Figure

from hedger.studies.picture import COLOURS, write_page
from pricing.errors import InputError


class Page(HTMLParser):
    """Headings, cells and charts of a page; scripts' sources and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: dict[str, list[str]] = {"title": [], "h1": [], "h2": [], "p": [], "th": [], "td": []}
        self.charts: list[str] = []
        self.fetched: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "plotly-graph-div" in found.get("class", ""):
            self.charts.append(found["id"])
        if tag in ("script", "img", "iframe", "link") and (found.get("src") or found.get("href")):
            self.fetched.append(found.get("src") or found["href"])
        if tag in self.text:
            self.text[tag].append("")
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self.text.get(self._open):
            self.text[self._open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def chart(name: str = "a") -> Figure:
    figure = Figure()
    figure.add_scatter(x=[1, 2], y=[3, 4], name=name)
    return figure


def test_a_page_holds_its_tables_and_charts_and_needs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(
        path,
        "Title",
        "What it shows.",
        [("First", "One caption.", chart()), ("Second", "Another.", chart())],
        [("Summary", ["", "p50"], [["BTC", "0.13"], ["ETH", "0.10"]])],
    )
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.text["title"] == page.text["h1"] == ["Title"]
    assert page.text["h2"] == ["Summary", "First", "Second"]
    assert page.text["p"] == ["What it shows.", "One caption.", "Another."]
    assert (page.text["th"], page.text["td"]) == (["", "p50"], ["BTC", "0.13", "ETH", "0.10"])
    assert len(page.charts) == len(set(page.charts)) == 2
    assert page.fetched == []
    assert 3_000_000 < len(text) < 8_000_000  # the library once, not twice


@pytest.mark.parametrize("words", ["<script>alert(1)</script>", "a & b", 'x" onload="y', "</table>"])
def test_words_are_words(words: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, words, words, [(words, words, chart())], [(words, [words], [[words]])])
    page = Page(path.read_text(encoding="utf-8"))
    assert page.text["h1"] == page.text["td"] == page.text["th"] == [words]
    assert page.text["h2"] == page.text["p"] == [words, words]


def test_a_page_without_charts_or_tables(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, "Nothing", "No snapshot had anything to show: σ √T.", [])
    page = Page(path.read_text(encoding="utf-8"))
    assert (page.charts, page.text["h2"]) == ([], [])
    assert page.text["p"] == ["No snapshot had anything to show: σ √T."]


def test_a_page_that_cannot_be_written_says_where_and_what_to_do(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "page.html", tmp_path):
        with pytest.raises(InputError) as refusal:
            write_page(path, "Title", "", [])
        assert refusal.value.code == "PICTURE_NOT_WRITTEN"
        assert str(path) in str(refusal.value)


def test_every_colour_is_another() -> None:
    assert len(set(COLOURS)) == len(COLOURS) >= 6  # a study draws up to six lines
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS)
