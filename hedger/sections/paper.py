"""What the paper venue is told, and what watches over a run: the keys of `[paper]` and `[run]`. Pure data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hedger.sections.section import Number, Section, Whole
from hedger.sections.venues import VenueName


class PaperConfig(Section):
    """Fees, latencies and queue of the paper venue. sigma: spread of ln(latency); 0: always the same.
    latency_file: measured latencies to draw from instead; "": none. price_band_bps 0: prices are not banded.
    combos: it takes several options as one order, as no live venue here does yet.
    """

    fees: Literal["listing", "zero"] = "listing"
    feed_ms: Number = Field(default=5.0, ge=0, le=60_000)
    order_ms: Number = Field(default=25.0, ge=0, le=60_000)
    answer_ms: Number = Field(default=25.0, ge=0, le=60_000)
    sigma: Number = Field(default=0.0, ge=0, lt=5)
    latency_file: str = ""
    price_band_bps: Number = Field(default=0.0, ge=0, le=10_000)
    margin: Literal["none", "standard", "portfolio"] = "none"
    combos: bool = False
    cancels_ahead: Number = Field(default=0.0, ge=0, le=1)
    order_rate: Number = Field(default=20.0, gt=0, le=1e4)
    order_burst: Whole = Field(default=50, ge=1, le=100_000)


class WatchdogConfig(Section):
    """When the watchdog stops an engine: it sets the kill latch, and says why. 0 switches a check off."""

    stall_s_max: Number = Field(default=5.0, ge=0, le=3600)
    memory_mb_max: Number = Field(default=4096.0, ge=0, le=1e7)
    disk_mb_min: Number = Field(default=200.0, ge=0, le=1e9)
    journal_mb_per_h_max: Number = Field(default=2000.0, ge=0, le=1e7)
    clock_step_s_max: Number = Field(default=2.0, ge=0, le=3600)


class RunConfig(Section):
    """How `hedger run` runs. feed: on paper, the venues whose public market is traded on; none: the simulated
    one. underlyings: of the market that is watched; none: those of the book. options_followed: subscribed to
    by venue and underlying, nearest the money, beside those held; the others are asked for. start_s_max:
    until the market is known, and again until every account agrees with the book. metrics_port 0: none."""

    mode: Literal["paper", "live"] = "paper"
    feed: tuple[VenueName, ...] = ()
    underlyings: tuple[str, ...] = ()
    options_followed: Whole = Field(default=300, ge=0, le=10_000)
    start_s_max: Number = Field(default=30.0, gt=0, le=600)
    tick_ms: Number = Field(default=250.0, gt=0, le=10_000)
    mark_every_s: Number = Field(default=1.0, gt=0, le=3600)
    heartbeat_s: Number = Field(default=0.5, gt=0, le=60)
    metrics_host: str = "127.0.0.1"
    metrics_port: Whole = Field(default=0, ge=0, le=65_535)
    close_s_max: Number = Field(default=10.0, gt=0, le=600)
    watchdog: WatchdogConfig = WatchdogConfig()
