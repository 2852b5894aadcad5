"""What live trading needs before anything is connected or written, each thing that is missing by its name."""

from __future__ import annotations

from collections.abc import Sequence

from hedger.engine.logs import Log
from hedger.runs.checks import Check, Finding
from hedger.runs.doctor import examine_machine
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
    networks = {config.sandbox for config in settings.venues.values()}
    if len(networks) > 1:
        on_test = ", ".join(name for name, config in sorted(settings.venues.items()) if config.sandbox)
        missing.append(f"one network: sandbox is set for {on_test} and not for the others")
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


def trading_of(settings: Settings) -> str:
    """What a run is in one word, for its journal: "paper", "live", or "testnet" where venues are sandboxes.

    A journal of one is never gone on with as another: what was traded on a test network is no position.
    """
    return _network(settings) if settings.run.mode == "live" else "paper"


def _network(settings: Settings) -> str:
    return "testnet" if any(config.sandbox for config in settings.venues.values()) else "live"


def why_others(trading: str, settings: Settings) -> str:
    """Why a configuration's venues cannot be those that a journal of `trading` has orders on; nothing where
    they may be. A kill that asks the wrong ones finds no order there, and must not take that for done."""
    if not settings.venues:
        return "the configuration names no venue; give the engine's own by --config"
    if _network(settings) != trading:
        return (
            f"the journal is of {trading}, and the configuration of {_network(settings)}; mend sandbox in it"
        )
    return ""


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
