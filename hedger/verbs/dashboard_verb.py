"""`hedger dashboard`: the traders' terminal on an engine's journal."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from hedger.dashboard.panel_table import in_json
from hedger.verbs.flags import Commands, add_journal
from pricing.errors import Exit, InputError


def declare(commands: Commands) -> None:
    """The words of `dashboard`."""
    text = "the traders' terminal; closing it changes nothing"
    words = add_journal(commands.add("dashboard", dashboard, text))
    words.add_argument("--control", action="store_true", help="with keys that steer; without it only looks")
    words.add_argument("--keys", type=Path, metavar="FILE", help="other keys: a TOML file, see `?` there")
    text = "of a replay's journal: where its marks lie"
    words.add_argument("--tape", type=Path, metavar="TAPE", help=text)


def dashboard(arguments: argparse.Namespace) -> Exit:
    """Show it until it is left; the engine goes on."""
    _refuse_json(arguments)
    from hedger.dashboard.app import terminal
    from hedger.dashboard.control import Control
    from hedger.dashboard.feed import Feed
    from hedger.dashboard.keys import load_keys
    from hedger.dashboard.ports import Ports
    from hedger.engine.heartbeat import last_beat
    from hedger.journal.lock import holder
    from hedger.verbs.journals import fetch_of
    from hedger.verbs.reading import settings_of
    from pricing.compiled import warm_up

    keys = load_keys(arguments.keys)
    settings = settings_of(arguments)
    fetch = fetch_of(arguments.tape, needed=False)
    ports = Ports(beat=partial(last_beat, arguments.journal), fetch=fetch)
    feed = Feed(arguments.journal, settings, ports)
    try:
        _refuse_no_terminal()
        warm_up()
        app = terminal(feed, Control(arguments.journal, arguments.control, opened=feed.opened), keys)
        failed = app.show()
    finally:
        feed.close()
    if failed is not None:
        raise failed
    runs = holder(arguments.journal) is not None
    print("engine still running" if runs else "the screen is closed; no engine writes this journal")
    return Exit.DONE


def _refuse_json(arguments: argparse.Namespace) -> None:
    if arguments.json:
        raise InputError(
            "DASHBOARD_JSON",
            "a screen is no JSON document",
            where="hedger dashboard --json",
            observed="--json",
            allowed="no --json",
            not_done="nothing was shown",
            fix=f"its panels in JSON: {in_json()}, each with --json",
        )


def _refuse_no_terminal() -> None:
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise InputError(
            "DASHBOARD_TERMINAL",
            "the dashboard needs a terminal",
            where="hedger dashboard",
            observed="standard input, output or error is none",
            allowed="a terminal of at least 80 x 24",
            not_done="nothing was shown",
            fix=f"without one use {in_json()}, each with --json",
        )
