"""Stories by the hundred: `python -m tests.exchanges.story --exchange deribit --seeds 200`.

A seed tells the same schedule again (`--first-seed N --seeds 1`); what the engine does in it depends on the
machine's time as well. Exit code 1 where an invariant did not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.exchanges.story.places import CASTS, second
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import Schedule, draw
from tests.exchanges.story.stage import Told


async def many(
    schedules: Sequence[Schedule], exchange: str, at_once: int, keep: Path | None, verbose: bool
) -> list[Told]:
    """Tell them, so many at a time."""
    waiting, found = list(schedules), []
    cast = CASTS[exchange]

    async def teller() -> None:
        while waiting:
            schedule = waiting.pop(0)
            folder = Path(tempfile.mkdtemp(prefix=f"story-{schedule.seed}-"))
            try:
                one = await told(schedule, cast, folder)
                if keep is not None and one.violations:
                    shutil.copytree(folder, keep / f"{exchange}-{schedule.seed}", dirs_exist_ok=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            found.append(one)
            if verbose or one.violations:
                print(line(one), flush=True)

    await asyncio.gather(*(teller() for _ in range(at_once)))
    return found


def line(one: Told) -> str:
    """A story in a line, and its violations."""
    struck = ", ".join(f"{k} {n}" for k, n in sorted(one.struck.items()) if not k.startswith("act"))
    fails = f" at {one.schedule.fails}" if one.schedule.pair else ""
    rows = [
        f"seed {one.schedule.seed} [{' '.join(one.schedule.kinds)}]{fails}: {one.orders} orders, "
        f"{one.fills} fills, {one.elsewhere} elsewhere, {one.starts} starts, {one.crashes} crashes, "
        f"struck {struck or 'none'}, {one.seconds:.1f} s, {len(one.violations)} violations"
    ]
    for violation in one.violations[:12]:
        rows += [f"    {violation}", *(f"        {text[-1500:]}" for text in violation.evidence[:3])]
    if one.violations:
        rows += [f"    at {deed}" for deed in one.schedule.deeds]
    return "\n".join(rows)


def summary(found: Sequence[Told]) -> str:
    """Counts over all."""
    struck: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for one in found:
        struck.update({k: n for k, n in one.struck.items() if not k.startswith("act")})
        broken.update(v.invariant for v in one.violations)
    idle = sum(not one.orders for one in found)
    return "\n".join(
        (
            f"{len(found)} stories, {idle} of them without an order",
            "faults struck: " + ", ".join(f"{k} {n}" for k, n in sorted(struck.items(), key=_number)),
            f"{sum(x.orders for x in found)} orders, {sum(x.fills for x in found)} fills "
            f"({sum(x.elsewhere for x in found)} on another venue while one failed), "
            f"{sum(x.starts for x in found)} starts, {sum(x.crashes for x in found)} crashes",
            f"violations: {sum(broken.values())}" + "".join(f", {k} {n}" for k, n in sorted(broken.items())),
        )
    )


def _number(item: tuple[str, int]) -> int:
    return int(item[0][1:])


def main() -> int:
    """Tell and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchange", choices=sorted(CASTS), default="deribit")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--faults", default="", help="only these, such as F1,F7; all of them in every story")
    parser.add_argument("--fails", type=int, choices=(0, 1), help="which of a pair; else by lot")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for what broken stories left behind")
    parser.add_argument("--verbose", action="store_true")
    chosen = parser.parse_args()
    only = tuple(x for x in chosen.faults.split(",") if x)
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    cast = CASTS[chosen.exchange]
    other = second(cast)
    schedules = [draw(seed, cast[0], only, second=other, fails=chosen.fails) for seed in seeds]
    begun_s = time.monotonic()
    found = asyncio.run(many(schedules, chosen.exchange, chosen.at_once, chosen.keep, chosen.verbose))
    print(summary(found))
    print(f"{time.monotonic() - begun_s:.0f} s")
    return 1 if any(one.violations for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
