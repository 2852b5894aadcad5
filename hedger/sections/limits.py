"""What a desk allows a plan to do: instruments per side, limits, scenario floors, margin for error in Greeks.

Sections of the configuration; the defaults limit nothing. `hedger.settings` holds them.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, Strict

from hedger.sections.section import Number, Section
from pricing.contracts import Kind
from risk.costs import MarginRates
from risk.scenarios import Scenario, Shock

KindName = Literal["spot", "perpetual", "future", "option"]
Flag = Annotated[bool, Strict()]
#: A limit of so many coins or USD; a limit left out does not exist.
Most = Annotated[Number, Field(ge=0, allow_inf_nan=False)]


class Selection(Section):
    """Instruments by kind, by the venue's own symbol and by venue."""

    kinds: tuple[KindName, ...] = ()
    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()

    def codes(self) -> list[Kind]:
        """The kinds as the universe has them."""
        return [Kind[name.upper()] for name in self.kinds]

    @property
    def empty(self) -> bool:
        """Names nothing."""
        return not (self.kinds or self.symbols or self.venues)


class Preference(Selection):
    """Instruments that win against others which are cheaper by at most so much of the notional."""

    bps: Number = Field(default=1.0, ge=0, le=100)


class UniverseConfig(Section):
    """The instruments a plan may use: every fresh two-sided quote on the book's underlyings, minus what is
    denied, minus what is not allowed where something is; and which of them to take where costs are alike."""

    deny_buy: Selection = Selection()
    deny_sell: Selection = Selection()
    allow_buy: Selection = Selection()
    allow_sell: Selection = Selection()
    prefer_buy: Preference = Preference()
    prefer_sell: Preference = Preference()


class InstrumentLimit(Section):
    """Largest order and position of the instruments that every list given matches; coins of underlying, or
    USD at the index."""

    kinds: tuple[KindName, ...] = ()
    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    underlyings: tuple[str, ...] = ()
    order_coin_max: Most | None = None
    order_usd_max: Most | None = None
    position_coin_max: Most | None = None
    position_usd_max: Most | None = None
    reduce_only: Flag = False


class LimitsConfig(Section):
    """What no plan may exceed. A limit that the book exceeds already is one that no plan makes worse."""

    net_notional_usd_max: Most | None = None
    gross_notional_usd_max: Most | None = None
    net_notional_total_usd_max: Most | None = None
    gross_notional_total_usd_max: Most | None = None
    strike_coin_max: Most | None = None
    expiry_coin_max: Most | None = None
    balance_min: dict[str, dict[str, Annotated[Number, Field(allow_inf_nan=False)]]] = Field(
        default_factory=dict
    )
    instruments: tuple[InstrumentLimit, ...] = ()


class ScenarioConfig(Section):
    """A shock of the market, and the loss that is borne in it, per underlying."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.+-]+$")
    spot: Number = Field(default=0.0, gt=-1, le=10)
    vol: Number = Field(default=0.0, ge=-5, le=5)
    hours: Number = Field(default=0.0, ge=0, le=24 * 365)
    skew: Number = Field(default=0.0, ge=-5, le=5)
    term: Number = Field(default=0.0, ge=-5, le=5)
    floor_usd: Number | None = Field(default=None, lt=0, allow_inf_nan=False)
    landing_share: Number = Field(default=0.9, gt=0, lt=1)

    def scenario(self) -> Scenario:
        """As `risk.scenarios` takes it."""
        floor = -math.inf if self.floor_usd is None else self.floor_usd
        shock = Shock(self.spot, self.vol, self.hours, skew=self.skew, term=self.term)
        return Scenario(self.name, shock, floor, self.landing_share)


class RobustConfig(Section):
    """Room kept for errors of vols and forwards: bands are narrowed by z standard deviations."""

    z: Number = Field(default=0.0, ge=0, le=10)
    vol_error: Number = Field(default=0.01, ge=0, le=1)
    forward_error_bps: Number = Field(default=2.0, ge=0, le=1000)


class MarginConfig(Section):
    """Financing of initial margin: its price, and the margin of an opened position as a share of notional."""

    rate_per_year: Number = Field(default=0.0, ge=0, le=10)
    perpetual: Number = Field(default=0.02, ge=0, le=1)
    future: Number = Field(default=0.02, ge=0, le=1)
    option_sold: Number = Field(default=0.15, ge=0, le=1)

    def rates(self) -> MarginRates:
        """As the cost model takes it."""
        return MarginRates(self.rate_per_year, self.perpetual, self.future, self.option_sold)


ScenarioList = tuple[ScenarioConfig, ...]


def distinct_scenarios(given: ScenarioList) -> ScenarioList:
    """The scenarios, if no two bear the same name.

    Raises:
        ValueError: two do.
    """
    names = [scenario.name for scenario in given]
    if len(set(names)) < len(names):
        raise ValueError("each scenario needs a name of its own")
    return given
