"""What simulated runs came to: counted, for people and as a document."""

from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hedger.simulator.drills import CALM, SIZES, Drilled
from hedger.simulator.examination import Examined
from hedger.simulator.history import BY_TEST, INVARIANTS, REPEATED, counted
from hedger.simulator.history_lines import Violation

#: The packages whose sources make a run what it is.
PACKAGES = ("hedger", "pricing", "risk", "venues")


@dataclass(frozen=True, slots=True)
class Run:
    """One run judged. sent: orders that left the engine; orders: that came to a venue; settled: positions
    that expired; hours: of venue time, each venue's; happened: faults by id; digest: the hash of the
    journal's last record, which hangs on all before it; missed: why the other faults that were drawn, and
    orders where there were none, did not happen."""

    seed: int
    kinds: tuple[str, ...]
    violations: tuple[Violation, ...]
    sent: int
    orders: int
    fills: int
    settled: int
    crashes: int
    starts: int
    steps: int
    events: int
    hours: float
    happened: dict[str, int]
    digest: str
    missed: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What all runs came to. commit: of the sources, "" where there is none; sources: SHA-256 of them.
    steps: of the run whose crashes are enumerated. repeated, alike: runs made twice, with the same record."""

    faults: tuple[str, ...]
    commit: str = ""
    sources: str = ""
    runs: list[Run] = field(default_factory=list)
    steps: int = 0
    enumerated: list[Run] = field(default_factory=list)
    drills: list[Drilled] = field(default_factory=list)
    examined: list[Examined] | None = None
    repeated: int = 0
    alike: int = 0

    def document(self) -> dict[str, Any]:
        """As `simulate --json` prints it."""
        every = [*self.runs, *self.enumerated]
        judged = [(run.seed, run.violations) for run in every]
        judged += [(drill.seed, drill.violations) for drill in self.drills]
        violations = counted(v for _, found in judged for v in found)
        violations[REPEATED] = self.repeated - self.alike
        happened: dict[str, int] = {}
        for run in every:
            for name, n in run.happened.items():
                happened[name] = happened.get(name, 0) + n
        return {
            "commit": self.commit or None,
            "sources_sha256": self.sources,
            "runs": len(self.runs),
            "seeds": [run.seed for run in self.runs],
            "faults": list(self.faults),
            "drawn": {name: sum(name in run.kinds for run in self.runs) for name in self.faults},
            "happened": dict(sorted(happened.items(), key=lambda item: int(item[0][1:]))),
            "drawn_and_never_happened": self._idle_draws(),
            "why_never_happened": {str(run.seed): run.missed for run in self.runs if run.missed},
            "seeds_without_orders": self._idle(),
            "violations": violations,
            "checked_by": _checked_by(),
            "crash_steps": self.steps,
            "crash_points": len(self.enumerated),
            "crash_points_survived": sum(not run.violations for run in self.enumerated),
            "crashes": sum(run.crashes for run in every),
            "starts": sum(run.starts for run in every),
            "orders": sum(run.orders for run in every),
            "fills": sum(run.fills for run in every),
            "settled": sum(run.settled for run in every),
            "events": sum(run.events for run in every),
            "venue_hours": round(sum(run.hours for run in every), 4),
            "drills": len(self.drills),
            "kill_s": {name: self._kills(name) for name in (CALM, *self.faults) if self._of(name)},
            "known_bugs": None if self.examined is None else self._bugs(self.examined),
            "digests": {str(run.seed): run.digest for run in self.runs},
            "repeated": self.repeated,
            "repeated_alike": self.alike,
            "failing_seeds": sorted({seed for seed, found in judged if found}),
        }

    @property
    def failed(self) -> bool:
        """Whether an invariant did not hold, or a known bug was not found."""
        broken = any(run.violations for run in (*self.runs, *self.enumerated))
        broken |= any(drill.violations for drill in self.drills)
        missed = any(not x.caught for x in self.examined or ())
        left = any(not math.isfinite(x.ended_s + x.confirmed_s) for x in self.drills)
        return broken or missed or left or self.alike < self.repeated

    def _idle(self) -> list[int]:
        """Seeds of which not one order left the engine: their runs tried little."""
        return [run.seed for run in self.runs if not run.sent]

    def _idle_draws(self) -> dict[str, list[int]]:
        """By fault, the seeds that drew it and in which it never came to happen."""
        idle = {
            name: [run.seed for run in self.runs if name in run.kinds and not run.happened.get(name)]
            for name in self.faults
        }
        return {name: seeds for name, seeds in idle.items() if seeds}

    def _of(self, fault: str) -> list[Drilled]:
        return [drill for drill in self.drills if drill.fault == fault]

    def _kills(self, fault: str) -> dict[str, Any]:
        """Of one fault, by the number of resting orders; s."""
        found = {}
        for n in SIZES:
            drills = [drill for drill in self._of(fault) if drill.orders == n]
            found[str(n)] = {
                "ended": _quantiles([x.ended_s for x in drills]),
                "after_fault": _quantiles([x.after_s for x in drills]),
                "confirmed": _quantiles([x.confirmed_s for x in drills]),
            }
        return found

    @staticmethod
    def _bugs(examined: Sequence[Examined]) -> dict[str, Any]:
        return {
            "caught": sum(x.caught for x in examined),
            "of": len(examined),
            "found_by": {x.bug: sorted(x.found) for x in examined},
        }

    def text(self) -> str:
        """For people."""
        shown = self.document()
        broken = {name: n for name, n in shown["violations"].items() if n}
        lines = [
            f"sources {self.sources[:16]}, commit {self.commit or 'unknown'}; "
            f"seeds {', '.join(_spans(shown['seeds']))}",
            f"{shown['runs']} seeds x {len(self.faults)} kinds of fault: "
            f"{sum(shown['drawn'].values())} drawn, "
            f"{sum(shown['happened'].values())} happened",
            *self._idle_lines(),
            f"violations of {', '.join((*INVARIANTS, REPEATED))}: "
            + (", ".join(f"{name} {n}" for name, n in broken.items()) or "none"),
            f"of I1 to I18 the history checker judges {', '.join(INVARIANTS)}; a second run {REPEATED}; "
            f"not judged here but by named tests: {', '.join(BY_TEST)}",
            f"crash points: {shown['crash_points']} of {shown['crash_steps']} enumerated, "
            f"{shown['crash_points_survived']} survived; "
            f"{shown['crashes']} crashes and {shown['starts']} starts in all",
            f"{shown['orders']} orders, {shown['fills']} fills, {shown['settled']} positions expired, "
            f"{shown['events']} events in {shown['venue_hours']:.2f} venue-hours",
            f"{self.alike} of {self.repeated} runs made twice left the same record",
        ]
        if self.examined is not None:
            bugs = shown["known_bugs"]
            lines.append(f"known bugs caught: {bugs['caught']} of {bugs['of']}")
            lines += [f"missed: {x.bug}, found {sorted(x.found)}" for x in self.examined if not x.caught]
        lines += self._kill_lines()
        for name, part in (("", self.runs), ("crash points, ", self.enumerated)):
            for run in part:
                for violation in run.violations:
                    lines += _told(f"{name}seed {run.seed} ({', '.join(run.kinds) or 'calm'})", violation)
        for drill in self.drills:
            for violation in drill.violations:
                lines += _told(f"kill of {drill.orders} under {drill.fault}, seed {drill.seed}", violation)
        for run in self.runs:
            lines.append(f"seed {run.seed}: record {run.digest[:16]}")
        return "\n".join(lines)

    def _idle_lines(self) -> list[str]:
        """What the runs did not try."""
        lines = []
        if idle := self._idle():
            which = ", ".join(_spans(idle))
            lines.append(f"SEEDS_WITHOUT_ORDERS: {len(idle)} of {len(self.runs)} sent none: {which}")
        lines += [
            f"FAULT_NEVER_HAPPENED: {name} drawn and without an occasion in {', '.join(_spans(seeds))}"
            for name, seeds in self._idle_draws().items()
        ]
        for run in self.runs:
            lines += [f"    seed {run.seed}, {name}: {why}" for name, why in run.missed.items()]
        return lines

    def _kill_lines(self) -> list[str]:
        """A table: from the kill to the last order's end, and to the second reading of none."""
        if not self.drills:
            return []
        sizes = " | ".join(f"{n} orders: p50, p99" for n in SIZES)
        lines = [
            f"kill to the last order's end: {sizes} | after the venue and the engine were back: p99 | "
            "to the second reading of none: p99"
        ]
        for name in (CALM, *self.faults):
            kills = self._kills(name) if self._of(name) else None
            if kills is None:
                continue
            parts = [
                f"{_seconds(kills[str(n)]['ended']['p50'])}, {_seconds(kills[str(n)]['ended']['p99'])}"
                for n in SIZES
            ]
            most = kills[str(SIZES[-1])]
            parts += [_seconds(most["after_fault"]["p99"]), _seconds(most["confirmed"]["p99"])]
            lines.append(f"{name:>4}: {' | '.join(parts)}")
        return lines


def _checked_by() -> dict[str, str]:
    """What shows each invariant: the checker, a second run, or a test by its name; not all are shown here."""
    judged = {**dict.fromkeys(INVARIANTS, "history checker"), REPEATED: "second run"}
    named = {name: f"test {test}" for name, test in BY_TEST.items()}
    return dict(sorted((judged | named).items(), key=lambda item: int(item[0][1:])))


def _told(where: str, violation: Violation) -> list[str]:
    return [f"{where}: {violation}", *(f"    {line}" for line in violation.evidence)]


def _quantiles(found: Sequence[float]) -> dict[str, float | None]:
    """p50, p99 and the largest, s; None where there is none, or an order was left.

    >>> _quantiles([1.0, 3.0, 2.0])
    {'p50': 2.0, 'p99': 3.0, 'max': 3.0}
    """
    ordered = [x if math.isfinite(x) else None for x in sorted(found)]
    if not ordered:
        return {"p50": None, "p99": None, "max": None}
    return {
        "p50": ordered[(len(ordered) - 1) // 2],
        "p99": ordered[-(-99 * len(ordered) // 100) - 1],
        "max": ordered[-1],
    }


def _seconds(x: float | None) -> str:
    return "never" if x is None else f"{x:z.3f} s"


def _spans(numbers: Sequence[int]) -> list[str]:
    """Numbers as spans.

    >>> _spans([1, 2, 3, 7])
    ['1 to 3', '7']
    """
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][1] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return [str(a) if a == b else f"{a} to {b}" for a, b in spans]


def of_sources() -> tuple[str, str]:
    """(commit, SHA-256) of the sources that run: the commit with "+" where they differ from it, "" where it
    is not known."""
    root = Path(__file__).resolve().parents[2]
    total = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return _commit(root), total.hexdigest()


def _commit(root: Path) -> str:
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--", *PACKAGES) else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20.0, check=True
    )
    return done.stdout.strip()
