"""`hedger demo`: the whole loop on a simulated market, on a screen or as text. Heavy imports stand inside."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.verbs.flags import Commands, count, positive
from hedger.verbs.printing import show_json
from hedger.verbs.reading import settings_of
from pricing.errors import Exit

if TYPE_CHECKING:
    from hedger.dashboard.control import Control
    from hedger.settings import Settings

#: The demo's engine is armed so long after its screen was opened, seconds: what is disarmed can be seen.
ARM_S = 1.5
REPORT_S_MAX = 180.0
#: Kernels that are on disk are loaded in less; compiling them takes a minute or two, once.
COMPILING_S = 3.0


def declare(commands: Commands) -> None:
    """The words of `demo`."""
    words = commands.add("demo", demo, "the whole loop on a simulated market: no keys, no internet")
    text = "plain text, also on a terminal; without a terminal it always is"
    words.add_argument("--headless", action="store_true", help=text)
    text = "market minutes of the text (default 30); the screen stays until it is left"
    words.add_argument("--minutes", type=positive, default=30.0, metavar="N", help=text)
    words.add_argument(
        "--seed", type=count, default=7, metavar="N", help="same seed, same result (default 7)"
    )
    text = "only the engine that the screen looks at, on this journal"
    words.add_argument("--engine", type=Path, metavar="FILE", help=text)


def demo(arguments: argparse.Namespace) -> Exit:
    """The whole loop on a simulated market."""
    if arguments.engine is not None:
        return _engine(arguments)
    if arguments.headless or arguments.json or not _on_a_terminal():
        return _as_text(arguments)
    return _on_a_screen(arguments)


def _on_a_terminal() -> bool:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"


def _staged(settings: Settings, *, quiet: bool = False) -> Settings:
    """The settings with the built-in bands: within a desk's own, made for its own book, nothing may happen.
    quiet: it is not said."""
    from hedger.settings import Settings as Every

    bands = Every().bands
    if settings.bands == bands:
        return settings
    if not quiet:
        print("The demo's book has the built-in bands, not those of the settings file.", flush=True)
    return settings.model_copy(update={"bands": bands})


# ------------------------------------------------------------------------------------------------ on a screen


def _engine(arguments: argparse.Namespace) -> Exit:
    """The process that the screen looks at."""
    from hedger.demo.engine import run_demo_engine
    from hedger.runs.lasting import set_aside

    with set_aside():
        ran = run_demo_engine(arguments.engine, arguments.seed, _staged(settings_of(arguments), quiet=True))
    if arguments.json:
        show_json(ran.document)
    else:
        print(ran.text)
    return ran.exit


def _on_a_screen(arguments: argparse.Namespace) -> Exit:
    """The engine in a process of its own, the dashboard on it, and its report when the dashboard is left."""
    import threading

    from hedger.dashboard.app import terminal
    from hedger.dashboard.control import Control
    from hedger.dashboard.feed import Feed
    from hedger.dashboard.keys import OF_DEMO
    from hedger.dashboard.narrator import Narrator
    from hedger.dashboard.ports import Ports
    from hedger.demo.engine import DemoEngine
    from hedger.engine.heartbeat import last_beat
    from pricing.compiled import warm_up

    settings = _staged(settings_of(arguments))
    _leave_in_order()
    place, journal, report = _place()
    print(f"The demo: an engine on paper, on a simulated market. Its files: {place}", flush=True)
    with _told_if_slow():
        warm_up()  # before the engine starts, which then finds everything compiled
    with DemoEngine(journal, arguments.seed, arguments.config) as engine:
        engine.wait_for(journal.with_name(journal.name + ".heartbeat"))
        feed = Feed(journal, settings, Ports(beat=lambda: last_beat(journal)))
        arming = threading.Timer(ARM_S, _arm, [Control(journal, True, "demo")])
        try:
            control = Control(journal, True, opened=feed.opened)
            app = terminal(feed, control, OF_DEMO, Narrator(str(report)))
            arming.start()
            failed = app.show()
        finally:
            arming.cancel()
            feed.close()
        print("The screen is closed; the demo's engine ends in order.", flush=True)
    if failed is not None:
        raise failed
    _close(journal, report, arguments.config)
    return Exit.DONE


@contextmanager
def _told_if_slow() -> Iterator[None]:
    """What takes long is said: the first start on a machine compiles, and an empty screen looks broken."""
    import threading

    text = "Compiling its numerics for this machine: once, a minute or two; later starts take seconds .."
    timer = threading.Timer(COMPILING_S, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _leave_in_order() -> None:
    """A terminal that is closed, or a SIGTERM, ends the engine as well: both leave through the same door."""
    import signal
    from types import FrameType

    def leave(_: int, __: FrameType | None) -> None:
        raise SystemExit(Exit.TERMINATED)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _arm(control: Control) -> None:
    """What a trader would do with `hedger arm`."""
    from hedger.core.events import Verb

    control.send(Verb.ARM, "", "the demo arms its own engine, on paper", "none")


def _place() -> tuple[Path, Path, Path]:
    """A new folder that stays, and in it the places of the journal and of the report."""
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="hedger-demo-"))
    return place, place / "journal", place / "report"


def _close(journal: Path, report: Path, config: Path | None) -> None:
    """The report, and what to do next."""
    print("Writing the report of what you saw ..", flush=True)
    fault = _write_report(journal, report, config)
    print(f"No report: {fault}" if fault else f"The report: {report / 'report.html'}")
    for line in (
        f"The record: hedger journal show --journal {journal}",
        f"The screen again, without an engine: hedger dashboard --journal {journal}",
        "A kill lasts: `hedger run --journal ..` on a killed journal starts KILLED, until `hedger unkill`.",
        "Next: `hedger init` writes your own config.toml, on paper first.",
    ):
        print(line)


def _write_report(journal: Path, report: Path, config: Path | None) -> str:
    """Make it, in a process of its own; why there is none, "" where there is."""
    words = [sys.executable, "-m", "hedger", "report", "--journal", str(journal), "--out", str(report)]
    words += [] if config is None else ["--config", str(config)]
    try:
        made = subprocess.run(words, capture_output=True, text=True, timeout=REPORT_S_MAX)
    except subprocess.TimeoutExpired:
        return f"not within {REPORT_S_MAX:g} s"
    return made.stderr.strip() if made.returncode else ""


# ---------------------------------------------------------------------------------------------------- as text


def _as_text(arguments: argparse.Namespace) -> Exit:
    """Market minutes as fast as the machine goes: book, tickets, fills, verification, summary, and the story
    of a dropped venue."""
    from hedger.demo.drill import drill
    from hedger.demo.run import run
    from hedger.verbs.demo_text import BarWatcher, TextWatcher, summary_text, tell_the_fault
    from pricing.compiled import warm_up

    with _told_if_slow():
        warm_up()
    quiet, seed, minutes = arguments.json, arguments.seed, arguments.minutes
    settings = _staged(settings_of(arguments), quiet=quiet)
    document = run(seed, minutes, settings, BarWatcher(minutes) if quiet else TextWatcher(minutes, seed))
    _, journal, report = _place()
    if quiet:
        drill(seed, settings, lambda state, decision, fills: None, journal)
        fault = _write_report(journal, report, arguments.config)
        made = {"report": None if fault else str(report), "report_fault": fault or None}
        show_json(document | {"journal": str(journal)} | made)
    else:
        print(summary_text(document), end="\n\n")
        tell_the_fault(seed, settings, journal, report)
        _close(journal, report, arguments.config)
    if (amiss := document["hedges"] - document["verified"]) == 0:
        return Exit.DONE
    text = f"{amiss} of {document['hedges']} hedges did not come to what their tickets promised"
    print(
        f"{text}: exit {Exit.NEGATIVE.value}; the text tells which, by `verification: FAILED`",
        file=sys.stderr,
    )
    return Exit.NEGATIVE
