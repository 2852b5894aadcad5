"""One table of ratios from a pytest-benchmark run: every peer against ours, within its group.

In each group the benchmark whose name contains "ours" is the baseline; the other rows say how many times as
long they took, percentile to percentile. A group without a baseline shows its times alone, which prove
nothing. A benchmark that states how many options it works on (`extra_info["options"]`) is shown per option.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

BASELINE = "ours"


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark; ratios are its percentiles over the baseline's, None where the group has no baseline."""

    group: str
    name: str
    p50_s: float
    p99_s: float
    rounds: int
    ratio: float | None
    ratio_p99: float | None


def rows(run: Mapping[str, Any]) -> list[Row]:
    """The rows of a pytest-benchmark JSON document, groups in order of name, baseline first, then by ratio.

    Times are divided by `extra_info["options"]` where a benchmark states it.

    >>> timed = lambda name, *s: {"group": "g", "name": name, "stats": {"data": list(s), "rounds": len(s)}}
    >>> run = {"benchmarks": [timed("test_peer", 3.0, 3.0), timed("test_ours", 1.5, 1.5)]}
    >>> [(row.name, row.ratio) for row in rows(run)]
    [('ours', 1.0), ('peer', 2.0)]
    """
    groups: defaultdict[str, list[tuple[str, float, float, int]]] = defaultdict(list)
    for benchmark in run["benchmarks"]:
        seconds = np.array(benchmark["stats"]["data"]) / benchmark.get("extra_info", {}).get("options", 1)
        p50_s, p99_s = (float(value) for value in np.percentile(seconds, [50, 99]))
        name = benchmark["name"].removeprefix("test_").removeprefix("bench_")
        rounds = int(benchmark["stats"]["rounds"])
        groups[benchmark["group"] or "(no group)"].append((name, p50_s, p99_s, rounds))

    result = []
    for group in sorted(groups):
        members = sorted(groups[group], key=lambda member: (BASELINE not in member[0], member[1]))
        first_name, baseline_s, baseline_p99_s, _ = members[0]
        has_baseline = BASELINE in first_name
        for name, p50_s, p99_s, rounds in members:
            ratios = (p50_s / baseline_s, p99_s / baseline_p99_s) if has_baseline else (None, None)
            result.append(Row(group, name, p50_s, p99_s, rounds, *ratios))
    return result


def absent_peers() -> list[str]:
    """The peers of the optional extra `bench` that are not installed, by name."""
    absent = []
    for requirement in importlib.metadata.requires("hedger") or []:
        if "extra == 'bench'" in requirement.replace('"', "'"):
            name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                absent.append(name)
    return absent


def duration(seconds: float) -> str:
    """A time with the unit that fits.

    >>> duration(0.00123), duration(4.2e-8), duration(12.0)
    ('1.23 ms', '42 ns', '12 s')
    """
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main(arguments: Sequence[str]) -> int:
    """Print the table of the JSON file named first; 2 when it holds no benchmark."""
    run = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    timed = rows(run)
    machine = run["machine_info"]
    title = f"{machine['cpu'].get('brand_raw', 'unknown CPU')}, Python {machine['python_version']}"
    table = Table(title=title, title_justify="left")
    table.add_column("benchmark", no_wrap=True)
    for heading in ("p50", "p99", "rounds", "ratio p50", "ratio p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    group = None
    for row in timed:
        if row.group != group:
            group = row.group
            table.add_section()
            table.add_row(f"[bold]{escape(group)}[/bold]")
        ratio = "no baseline" if row.ratio is None else f"{row.ratio:.3g}"
        ratio_p99 = "" if row.ratio_p99 is None else f"{row.ratio_p99:.3g}"
        times = (duration(row.p50_s), duration(row.p99_s))
        table.add_row(f"  {escape(row.name)}", *times, str(row.rounds), ratio, ratio_p99)
    # Without a terminal Rich assumes 80 columns, which cut the figures.
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print(
        f"ratio: over the same percentile of the group's '{BASELINE}'; above 1 the peer is slower",
        soft_wrap=True,
    )
    if absent := absent_peers():
        names = ", ".join(absent)
        console.print(f"not installed, skipped: {names} (make bench PEERS=1 installs them)", soft_wrap=True)
    return 0 if timed else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
