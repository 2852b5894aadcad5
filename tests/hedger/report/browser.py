"""A page in headless Chromium: what it drew and what it complained of. Skips by name where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

SECONDS_MAX = 100


@dataclass(frozen=True, slots=True)
class Looked:
    """svgs, traces: of each chart by its id. complaints: lines that the page wrote to the console. fetched:
    what it asked for beside itself."""

    svgs: dict[str, int]
    traces: dict[str, int]
    complaints: list[str]


class _Drawn(HTMLParser):
    """Counts drawings inside each chart; void elements of HTML do not nest."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.svgs: dict[str, int] = {}
        self.traces: dict[str, int] = {}
        self._depth = 0
        self._chart: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.VOID:
            return
        self._depth += 1
        found = {name: value or "" for name, value in attrs}
        classes = found.get("class", "").split()
        if "plotly-graph-div" in classes:
            self._chart = found["id"], self._depth
            self.svgs[found["id"]] = self.traces[found["id"]] = 0
        if self._chart is not None:
            self.svgs[self._chart[0]] += "main-svg" in classes
            self.traces[self._chart[0]] += "trace" in classes

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if self._chart is not None and self._depth == self._chart[1]:
            self._chart = None
        self._depth -= 1


def opened(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A page after its scripts have run: its elements, and what it logged. folder: for the browser's own
    files."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium: the page is not looked at in a browser")
    ran = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--no-first-run", f"--user-data-dir={folder / 'profile'}"),
            *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000", "--dump-dom"),
            address,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran


def look(page: Path, folder: Path) -> Looked:
    """Open a page, and read what became of it."""
    ran = opened(page.resolve().as_uri(), folder)
    drawn = _Drawn()
    drawn.feed(ran.stdout)
    complaints = [line for line in ran.stderr.splitlines() if re.search(r":CONSOLE[(:]", line)]
    return Looked(drawn.svgs, drawn.traces, complaints)
