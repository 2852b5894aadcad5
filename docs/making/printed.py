"""What every verb prints with --json: each is run on something small, and what it prints is kept.

Most run in this process, one after the other, in a folder of their own: a tape of the simulated market, a
book, a replay. Those that steer an engine or ask a venue have one: an engine on paper, an exchange on the
loopback. Where a document has more in other circumstances the verb is run again there, and both are kept.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hedger.cli import main
from hedger.journal.acknowledged import acknowledge
from hedger.simulator.drills import CALM, SIZES, kill_drill
from hedger.simulator.faults import fault_ids, mix_of
from hedger.simulator.market import Setting
from hedger.simulator.report import Report
from hedger.simulator.simulate import judged
from hedger.simulator.world import World
from pricing.daycount import NS_PER_SECOND
from tests.hedger.verbs.loopback import environment
from tests.hedger.verbs.places import PLACES
from tests.venues.sources import json_file, ticker_list
from tests.warm import command

Documents = dict[str, list[Any]]

BOOK = """venue,symbol,quantity,average_price
simulated,BTC,12,
simulated,USDC,500000,
simulated,BTC-6MAR26-72000-C,-60,0.009
simulated,BTC-20MAR26-68000-P,-25,0.02
simulated,BTC-PERPETUAL,250000,70000
"""
#: Balances alone: a study of Greeks needs no position.
CASH = "venue,symbol,quantity,average_price\nderibit,BTC,1,\nderibit,USDC,1000,\n"
#: What a plan that weighs cost against risk says besides.
UTILITY = '[objective]\nmode = "utility"\n'
#: Bands that follow what moving delta costs; the third rule's does not hold for this book.
RULES = {
    name: f'[bands.BTC]\ndelta_usd = {{ width = "{width}", {by} }}\n'
    for name, width, by in (
        ("rule.toml", "zakamouline", "risk_aversion = 1e-5"),
        ("budget.toml", "risk_budget", "error_usd_per_day = 5000"),
    )
}
#: Hard limits under which nothing leaves: what is outside stays there.
TIGHT = "[order]\nnotional_usd_max = 1.0\n"
PRICES = "\n".join(
    ["ts,open,symbol", *(f"2026-02-{day:02}T00:00:00Z,{70_000 + day % 5 * 900},BTC" for day in range(1, 20))]
)
RETURNS = "\n".join(["time,BTC"] + [f"2026-01-{day:02},{-0.01 + day % 7 * 0.004}" for day in range(1, 29)])
FILES = {
    "book.csv": BOOK,
    "cash.csv": CASH,
    "returns.csv": RETURNS,
    "prices.csv": PRICES,
    "reload.toml": "",
    "utility.toml": UTILITY,
    **RULES,
    "tight.toml": 'limits_file = "tight-limits.toml"\n',
    "tight-limits.toml": TIGHT,
    "loose.toml": "[order]\nnotional_usd_max = 3000000.0\nopen_max = 3\n",
    "broken.toml": "what = 1\n",
    "crash.toml": '[[scenarios]]\nname = "crash"\nspot = -0.3\n',
}
_MARKET = ("--book", "book.csv", "--market", "tape")
_RECORD = ("--journal", "trial.journal")
_LIVE = ("--journal", "live.journal")
_TIGHT = ("--journal", "tight.journal")
_SHOCKS = ("--spot=-20,0,20", "--vol=0,10", "--days", "0,1")

#: Verbs that print no document, and why.
NONE: Mapping[str, str] = {"dashboard": "it is a screen; what it shows, `status`, `risk` and others print"}

#: In this order, in one folder.
RUNS: tuple[tuple[str, ...], ...] = (
    ("tape", "simulate", "--out", "tape", "--minutes", "3"),
    ("tape", "info", "tape"),
    ("tape", "verify", "tape"),
    ("risk", *_MARKET),
    ("risk", *_MARKET, "--config", "rule.toml"),
    ("plan", *_MARKET),
    ("plan", *_MARKET, "--config", "utility.toml"),
    ("plan", *_MARKET, "--config", "rule.toml"),
    ("plan", *_MARKET, "--config", "budget.toml"),
    ("risk", *_MARKET, "--config", "budget.toml"),
    ("whatif", *_MARKET, *_SHOCKS, "--stress", "all", "--config", "crash.toml"),
    ("whatif", *_MARKET, *_SHOCKS, "--stress", "all", "--hedged", "--returns", "prices.csv"),
    ("whatif", *_MARKET, *_SHOCKS, "--hedged", "--liquidity", "3", "--returns", "returns.csv"),
    ("replay", "tape", "--book", "book.csv", *_RECORD),
    ("replay", "tape", "--book", "book.csv", *_TIGHT, "--config", "tight.toml"),
    ("status", *_TIGHT),
    ("journal", "verify", *_RECORD),
    ("journal", "verify", *_RECORD, "--replay", "--tape", "tape"),
    ("journal", "show", *_RECORD),
    ("journal", "export", *_RECORD, "--out", "tables"),
    ("pnl", *_RECORD, "--tape", "tape"),
    ("report", *_RECORD, "--tape", "tape", "--out", "report"),
    ("status", *_RECORD),
    ("status", *_RECORD, "--hedge", "--tape", "tape"),
    ("orders", *_RECORD, "--all", "--tape", "tape"),
    ("demo", "--minutes", "1"),
    ("study", "plans", "tape"),
    ("study", "surface", "tape"),
    ("study", "delta", "tape"),
    ("study", "frontier", "--paths", "200", "--days", "5"),
    ("study", "chain", "tape"),
    ("tape", "import", "tickers.json", "--format", "deribit-tickers", "--out", "imported"),
    ("study", "greeks", "imported"),
    ("risk", "--book", "cash.csv", "--market", "imported", "--check-venue"),
    ("config", "show"),
    ("config", "schema"),
    ("config", "validate"),
    ("config", "validate", "--config", "broken.toml"),
    ("limits", "show"),
    ("limits", "codes"),
    ("limits", "validate", "limits.toml"),
    ("limits", "validate", "broken.toml"),
    ("limits", "compare", "limits.toml", "loose.toml"),
    ("completion", "bash"),
    ("completion", "coins", *_RECORD),
    ("alerts", "--list"),
    ("init", "--defaults", "--out", "desk/config.toml"),
    ("doctor",),
    ("doctor", "--journal", "book.csv/a.journal"),
)
#: While an engine runs on paper.
STEERING: tuple[tuple[str, ...], ...] = (
    ("status", *_LIVE),
    ("venues", *_LIVE),
    ("risk", *_LIVE),
    ("alerts", "--once", *_LIVE),
    ("pause", *_LIVE),
    ("preview", *_LIVE),
    ("preview", "BTC", "--flatten", *_LIVE),
    ("reduce", *_LIVE),
    ("resume", *_LIVE),
    ("reload", *_LIVE, "--config", "reload.toml"),
    ("arm", *_LIVE),
    ("bands", "delta:BTC=-900,900/-400,400", *_LIVE, "--reason", "calm"),
    ("bands", "delta:DOGE=-900,900/-400,400", *_LIVE, "--reason", "calm"),
    ("hedge", "BTC", *_LIVE),
    ("flatten", "BTC", *_LIVE),
    ("kill", *_LIVE, "--reason", "a look"),
    ("hedge", "BTC", *_LIVE),
    ("flatten", "BTC", *_LIVE),
    ("status", *_LIVE),
    ("alerts", "--told", *_LIVE),
    ("arm", *_LIVE),
    ("reduce", *_LIVE),
    ("resume", *_LIVE),
    ("pause", *_LIVE),
    ("unkill", *_LIVE, "--reason", "seen"),
    ("alerts", "--told", *_LIVE),
    ("kill", *_LIVE, "--reason", "a second look"),
)
#: When it has ended, and its alerts were seen.
AFTER: tuple[tuple[str, ...], ...] = (
    ("alerts", "--told", *_LIVE),
    ("unkill", *_LIVE, "--reason", "seen"),
    ("status", *_LIVE),
)
#: With an exchange on the loopback.
ASKING: tuple[tuple[str, ...], ...] = (
    ("doctor",),
    ("book", "fetch", "--venue", "deribit", "--out", "fetched.csv"),
    ("record", "--venue", "deribit", "--out", "recorded", "--minutes", "0.03", "--underlying", "BTC"),
)
#: Until an engine has filled something, and until it has ended.
PATIENCE_S = 60.0


def printed() -> Documents:
    """Every document that a verb printed, by the verb."""
    found: Documents = {}
    command()  # others use it when this folder is gone: it must not lie in it
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        patch.object(tempfile, "tempdir", folder),  # what the demo leaves goes with it
    ):
        json_file(Path(), ticker_list())
        for name, text in FILES.items():
            Path(name).write_text(text)
        Path("desk").mkdir()
        Path("limits.toml").write_text(_said("limits", "show")[0])
        with _engine(found):
            _keep(found, RUNS)
            _keep(found, STEERING)
        for alert in found["alerts"][-1]["alerts"]:
            acknowledge(Path("live.journal"), (alert["record"], alert["place"]), "ann", time.time_ns())
        last = found["alerts"][-1]["alerts"][-1]
        _keep(found, (("alerts", "--seen", str(last["record"]), str(last["place"]), *_LIVE),))
        _keep(found, AFTER)
        with PLACES["deribit"].opened() as exchange:
            url = PLACES["deribit"].address(exchange.host)
            PLACES["deribit"].settings(Path.cwd(), url)
            for run in ASKING:
                words = [command(), *run, "--json", "--config", "config.toml"]
                ran = subprocess.run(words, env=environment(), capture_output=True, text=True)
                _add(found, run, ran.stdout, ran.stderr)
    found["simulate"] = [_simulated()]
    return found


def verb_of(run: tuple[str, ...]) -> str:
    """The verb of a command line.

    >>> verb_of(("tape", "info", "tape")), verb_of(("status", "--journal", "x"))
    ('tape info', 'status')
    """
    groups = ("tape", "journal", "study", "limits", "config", "book")
    return " ".join(run[:2]) if run[0] in groups else run[0]


def _keep(found: Documents, runs: Sequence[tuple[str, ...]]) -> None:
    for run in runs:
        _add(found, run, *_said(*run, "--json"))


def _add(found: Documents, run: tuple[str, ...], text: str, errors: str) -> None:
    if not text:
        raise RuntimeError(f"hedger {' '.join(run)} printed nothing: {errors[-500:]}")
    found.setdefault(verb_of(run), []).append(json.loads(text))


def _said(*words: str) -> tuple[str, str]:
    """What a verb wrote to its output and its errors."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        main(list(words))
    return out.getvalue(), errors.getvalue()


@contextmanager
def _engine(found: Documents) -> Iterator[None]:
    """An engine on paper beside the block, and what looks after it; both say something when they end."""
    run = (sys.executable, "-m", "hedger", "run", "--arm", "--no-watchdog", "--json", *_LIVE)
    with Path("run.log").open("w") as log:
        engine = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=log, text=True)
    guard = None
    try:
        _until_filled()
        words = (sys.executable, "-m", "hedger", "watchdog", "--json", *_LIVE, "--pid", str(engine.pid))
        guard = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        yield
    finally:
        engine.send_signal(signal.SIGTERM)
        said = engine.communicate(timeout=PATIENCE_S)[0]
        watched = "" if guard is None else guard.communicate(timeout=PATIENCE_S)[0]
    _add(found, ("run",), said, Path("run.log").read_text())
    _add(found, ("watchdog",), watched, "")


def _until_filled() -> None:
    """Until the engine has filled something: then every list of a document has something in it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if Path("live.journal").exists():
            text, _ = _said("status", *_LIVE, "--json")
            if text and json.loads(text)["fills"]:
                return
        time.sleep(0.5)  # the engine is another process: its journal is all that tells
    raise RuntimeError(f"the engine filled nothing: {Path('run.log').read_text()[-500:]}")


def _simulated() -> Any:
    """What `simulate` prints, of shorter runs than its own: no seed of it takes less than twenty seconds."""
    faults = fault_ids("F1")
    report = Report(tuple(faults), "", "0" * 64, repeated=1, alike=1)
    report.runs.append(judged(World(Setting.of(1), mix_of(faults, 1, 5 * NS_PER_SECOND), 5.0, 31.0)))
    report.drills.append(kill_drill(1, CALM, SIZES[0]))
    return report.document()
