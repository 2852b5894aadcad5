"""The site is built without a warning, every page is in its menu, and nothing comes from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.making.scanning import ROOT
from tests.hedger.report.browser import opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, env=env)
    assert ran.returncode == 0, ran.stderr
    return out


def test_every_page_is_built(site: Path) -> None:
    pages = {p.relative_to(ROOT / "docs").with_suffix("").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    built = {p.relative_to(site).with_suffix("").as_posix() for p in site.rglob("*.html")} - {"404"}
    assert built == pages
    assert not list(site.rglob("*.py"))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """No page, style or picture loads anything over the network; links that a reader may follow are fine."""
    loads = re.compile(r"""(?:<(?:script|img|iframe|source)[^>]*\ssrc=|url\()["']?(?:https?:)?//[^"')\s]+""")
    styles = re.compile(r"""<link[^>]*\shref=["'](?:https?:)?//[^"']+["'][^>]*>""")
    for file in (f for f in site.rglob("*") if f.suffix in (".html", ".css", ".svg")):
        text = file.read_text("utf-8")
        found = loads.findall(text) + [
            x for x in styles.findall(text) if "stylesheet" in x or "preconnect" in x
        ]
        assert not found, (file.name, found[:3])


def test_search_finds_a_word_on_a_site_opened_from_the_disk(site: Path, tmp_path: Path) -> None:
    """Without a server, where a browser starts no worker and fetches nothing."""
    page = opened(f"{(site / 'reference/json.html').as_uri()}?q=zakamouline", tmp_path).stdout
    found = re.findall(r'<a href="([^"]*)" class="md-search-result__link', page)
    assert (site / "explanation/models.html").as_uri() in found


def test_pictures_are_there_and_drawn(site: Path) -> None:
    named = {
        m
        for page in (ROOT / "docs").rglob("*.md")
        for m in re.findall(r"pictures/(\w+)\.svg", page.read_text())
    }
    assert named
    for name in named:
        svg = (site / f"pictures/{name}.svg").read_text("utf-8")
        assert svg.count("<text") > 50
        assert "PAPER" in svg
