"""What `decide` is told on real venues, paper and live, apart from the settings of a person.

It follows from the settings, the hard limits, the venues' names and the time of the start alone, so that a
journal is decided again with what its engine decided with.
"""

from __future__ import annotations

from collections.abc import Sequence

from hedger.core.gate import EngineSettings
from hedger.engine.limit_gate import LimitGate
from hedger.limits_file import LoadedLimits
from hedger.margin_models import margin_models, reports_margin, venue_models
from hedger.runs.paper_setup import engine_settings, paper_limits
from hedger.settings import Settings


def settings_on_venues(
    desk: Settings, tag: str, limits: LoadedLimits, names: Sequence[str], now_ns: int, live: bool
) -> EngineSettings:
    """What an engine decides with. now_ns: when it was started, UTC nanoseconds.

    Live the hard limits are as they stand: a margin that is not known is not excused. That no two orders of
    ours can trade with each other, the doctor has heard from every venue, or that it has no such prevention,
    and the comparison of our own orders stands alone (C16).
    """
    if not live:
        models = margin_models(desk.paper, names, now_ns)
        return engine_settings(desk, tag, paper_limits(limits.limits, names), names, models)
    reported = frozenset(name for name in names if reports_margin(desk, name))
    models = venue_models(desk, names, now_ns)
    own = dict.fromkeys(names, True)
    gate = LimitGate(limits.limits, own, models, reported, assumed=desk.missing_settings())
    accounts = {str(name): config.account for name, config in desk.venues.items()}
    return EngineSettings(
        desk, tag, gate, accounts=accounts, margin=models, largest=gate.largest, shut=gate.shut
    )
