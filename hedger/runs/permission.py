"""What live trading needs before anything is connected or written, each thing that is missing by its name."""

from __future__ import annotations

from collections.abc import Sequence

from hedger.engine.logs import Log
from hedger.runs.doctor import Check, Finding, examine_machine
from hedger.runs.launch import RunOptions, RunRefused
from hedger.settings import Settings


def permitted(options: RunOptions, settings: Settings, log: Log) -> None:
    """Everything that live trading needs and that no venue must be asked for.

    Raises:
        RunRefused: naming all that is missing.
    """
    missing = []
    if not options.arm_live:
        missing.append("--arm-live on the command line")
    if not settings.limits_file:
        missing.append("limits_file, a file of hard limits")
    if not settings.venues:
        missing.append("a section [venues.NAME] with keys")
    missing += [
        f"references to the keys of venues.{name}"
        for name, config in sorted(settings.venues.items())
        if not (config.key or config.wallet)
    ]
    if not missing:
        checks = examine_machine(settings, options.journal)
        missing += [f"{check.what}: {check.text}" for check in bad_ones(checks, log)]
    if missing:
        raise refused(missing)


def refused(missing: Sequence[str]) -> RunRefused:
    """The refusal that names all that is missing (exit 3)."""
    return RunRefused(
        "LIVE_REFUSED",
        "live trading is not begun",
        where="run.mode = 'live'",
        observed=f"{len(missing)} against it",
        allowed=f"first: {'; '.join(missing)}"[:1500],
        not_done="nothing was started, nothing was sent",
        fix="see `hedger doctor`, or set run.mode = 'paper'",
    )


def bad_ones(checks: Sequence[Check], log: Log) -> list[Check]:
    """Those that are bad; all of them are told."""
    for check in checks:
        log.say("doctor", text=f"{check.what}: {check.finding}: {check.text}")
    return [check for check in checks if check.finding is Finding.BAD]
