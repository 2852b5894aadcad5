"""How a ticket is worked, how orders are watched, how accounts are reconciled: the keys of `[execution]`.

Pure data; `hedger.core.execution` and `hedger.core.decide` say what each key means.
"""

from __future__ import annotations

from pydantic import Field

from hedger.sections.section import Number, Section, Whole
from pricing.daycount import NS_PER_SECOND


def ns(seconds: float) -> int:
    """Seconds of the configuration as nanoseconds of a timer."""
    return round(seconds * NS_PER_SECOND)


class WatchConfig(Section):
    """An order without an answer is asked after; one that stays too long is cancelled. P&L that nothing
    explains is looked for; what is borne of it is a sum, USD, and a share of the day's turnover."""

    answer_s_max: Number = Field(default=2.0, gt=0, le=600)
    ask_again_s: Number = Field(default=0.5, gt=0, le=60)
    ask_again_s_max: Number = Field(default=8.0, gt=0, le=600)
    alert_s: Number = Field(default=10.0, gt=0, le=3600)
    not_found_min: Whole = Field(default=3, ge=2)
    not_found_s_min: Number = Field(default=15.0, ge=0, le=3600)
    order_age_s_max: Number = Field(default=60.0, gt=0, le=86_400)
    cancel_again_s: Number = Field(default=2.0, gt=0, le=600)
    fills_s_max: Number = Field(default=2.0, gt=0, le=600)
    forget_s: Number = Field(default=3600.0, ge=60, le=7 * 86_400)
    residual_every_s: Number = Field(default=60.0, gt=0, le=86_400)
    residual_usd_max: Number = Field(default=50_000.0, gt=0, allow_inf_nan=False)
    residual_turnover_share_max: Number = Field(default=0.01, ge=0, le=1)


class ReconcileConfig(Section):
    """How often a venue is asked for the account, and what difference is borne. stamp_s_max: from a venue's
    stamp to our clock at most, else its report is not taken."""

    every_s: Number = Field(default=60.0, gt=0, le=3600)
    soon_s: Number = Field(default=1.0, gt=0, le=600)
    overlap_s: Number = Field(default=600.0, ge=0, le=86_400)
    cash_difference_usd_max: Number = Field(default=1000.0, gt=0, allow_inf_nan=False)
    cash_difference_share_max: Number = Field(default=0.02, ge=0, le=1)
    stamp_s_max: Number = Field(default=600.0, gt=0, le=86_400)
    expiry_grace_s: Number = Field(default=900.0, ge=0, le=86_400)
    trade_window_days: Whole = Field(default=3, ge=2, le=60)
    kill_again_s: Number = Field(default=1.0, gt=0, le=60)


class ExecutionConfig(Section):
    """How a ticket becomes orders."""

    participation: Number = Field(default=1.0, gt=0, le=1)
    slice_interval_s: Number = Field(default=1.0, ge=0, le=3600)
    passive_seconds: Number = Field(default=0.0, ge=0, le=3600)
    urgency: Number = Field(default=0.0, ge=0, le=1)
    repeg_ticks: Whole = Field(default=1, ge=1)
    repeg_interval_s: Number = Field(default=1.0, ge=0, le=3600)
    price_limit_bps: Number = Field(default=10.0, ge=0, le=1000)
    index_price_bps: Number = Field(default=10.0, ge=0, le=1000)
    touch_limit_bps: Number = Field(default=50.0, ge=0, le=1000)
    index_limit_bps: Number = Field(default=100.0, gt=0, le=2000)
    landing_tolerance: Number = Field(default=0.5, ge=0, lt=1)
    book_age_s_max: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    execution_s_max: Number = Field(default=600.0, gt=0, le=86_400)
    dry_slices_max: Whole = Field(default=5, ge=1)
    rejects_max: Whole = Field(default=3, ge=1)
    replans_max: Whole = Field(default=5, ge=0)
    replans_all_max: Whole = Field(default=12, ge=0)
    refused_again_s_max: Number = Field(default=30.0, ge=1, le=600)
    aside_s: Number = Field(default=30.0, gt=0, le=86_400)
    aside_s_max: Number = Field(default=600.0, gt=0, le=7 * 86_400)
    flatten_share: Number = Field(default=0.02, gt=0, lt=1)
    flatten_drift_s: Number = Field(default=10.0, ge=0, le=600)
    preview_cost_share_max: Number = Field(default=0.25, ge=0, allow_inf_nan=False)
    preview_cost_usd_max: Number = Field(default=50.0, ge=0, allow_inf_nan=False)
    watch: WatchConfig = WatchConfig()
    reconcile: ReconcileConfig = ReconcileConfig()

    def passive_ns(self) -> int:
        """How long a slice rests at the touch before it takes; none of it at urgency 1."""
        return ns(self.passive_seconds * (1.0 - self.urgency))
