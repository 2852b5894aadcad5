"""`hedger simulate`: read the arguments, run, print."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from hedger.verbs.flags import Commands, count, step
from pricing.errors import Exit, InputError

SEEDS_MAX = 1_000_000


def declare(commands: Commands) -> None:
    """The words of `simulate`."""
    text = "the engine under seeded faults in virtual time, judged by the history checker"
    words = commands.add("simulate", simulate, text)
    words.add_argument("--seeds", required=True, type=step, metavar="N", help="how many runs")
    words.add_argument(
        "--first-seed", type=count, default=0, metavar="K", help="of them (default 0): repeats a failing run"
    )
    words.add_argument(
        "--faults", required=True, metavar="all|F1,F7,..", help="which faults; each run draws some of them"
    )
    text = "planted bugs that the checker must find: tests/story/bugs.py of the source tree"
    words.add_argument("--bugs", type=Path, metavar="FILE", help=text)


def simulate(arguments: argparse.Namespace) -> Exit:
    """The engine under seeded faults; exit 1 where an invariant did not hold, an order outlived its kill, or
    a planted bug was not found."""
    from hedger.simulator.examination import examine, load_bugs
    from hedger.simulator.faults import fault_ids
    from hedger.simulator.simulate import simulate as run

    faults = fault_ids(arguments.faults)
    if not 1 <= arguments.seeds <= SEEDS_MAX:
        raise InputError(
            "SEEDS",
            "the number of runs is out of range",
            where="--seeds",
            observed=arguments.seeds,
            allowed=f"1 to {SEEDS_MAX}",
            not_done="nothing was started",
            fix="give another number",
        )
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    examination = None
    if arguments.bugs is not None:
        examination = partial(examine, *load_bugs(arguments.bugs))
    report = run(seeds, faults, _told, examination)
    print(json.dumps(report.document(), allow_nan=False) if arguments.json else report.text())
    return Exit.NEGATIVE if report.failed else Exit.DONE


def _told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
