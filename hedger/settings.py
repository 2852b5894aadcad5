"""The settings of a desk: frozen, every key with its unit and range; unknown keys refused.

Pure data. `hedger.config` reads them from file and environment; defaults are the repository's config.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hedger.sections.alerts import AlertsConfig
from hedger.sections.bands import (
    DELTA_USD_DEFAULT,
    BandConfig,
    CostAwareConfig,
    DeltaBandConfig,
    RowBandConfig,
    UnderlyingBandsConfig,
)
from hedger.sections.execution import ExecutionConfig
from hedger.sections.limits import (
    KindName,
    LimitsConfig,
    MarginConfig,
    RobustConfig,
    ScenarioList,
    UniverseConfig,
    distinct_scenarios,
)
from hedger.sections.objective import ObjectiveConfig, RiskTermConfig
from hedger.sections.paper import PaperConfig, RunConfig
from hedger.sections.policy import PolicyConfig
from hedger.sections.profit import ProfitConfig
from hedger.sections.section import Number, Section, Whole
from hedger.sections.venues import VenueConfig, VenueName
from hedger.solver.hedge_problem import SolverSettings
from pricing.contracts import Fees, Kind, Listing
from pricing.delta_rules import DeltaRule, WindowSettings
from pricing.identity import Same
from pricing.oracle import OracleSettings
from pricing.universe import Universe
from pricing.valuation import VOL_ORDER, Numeraire, VolSource
from risk.band_rules import RowRule
from risk.bands import FIELD_OF_ROW, UnderlyingBands
from risk.costs import CostSettings
from risk.exposures import ExposureSettings
from risk.missing import MissingSettings

EVERY = "*"


class CostsConfig(Section):
    """Parameters of the cost model that no listing carries."""

    holding_h: Number = Field(default=24.0, ge=0, allow_inf_nan=False)
    fixed_usd: Number = Field(default=0.0, ge=0, allow_inf_nan=False)
    fixed_usd_of: dict[str, Annotated[Number, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    margin: MarginConfig = MarginConfig()


class FeeConfig(Section):
    """Fee tier of a desk, replacing the listing's rates; a key left out keeps the listing's."""

    maker: Decimal | None = Field(default=None, gt=-1, lt=1)
    taker: Decimal | None = Field(default=None, ge=0, lt=1)
    cap: Decimal | None = Field(default=None, ge=0, le=1)


class SolverConfig(Section):
    """Limits of the lot problem."""

    time_limit_s: Number = Field(default=1.0, gt=0, allow_inf_nan=False)
    gap: Number = Field(default=1e-3, ge=0, lt=1)
    columns: Whole = Field(default=60, ge=1)


class MissingConfig(Section):
    """Ranges assumed for a position without a usable mark."""

    forward_ratio_min: Number = Field(default=0.8, gt=0, allow_inf_nan=False)
    forward_ratio_max: Number = Field(default=1.25, gt=0, allow_inf_nan=False)
    vol_min: Number = Field(default=0.10, gt=0, allow_inf_nan=False)
    vol_max: Number = Field(default=3.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> MissingConfig:
        for name in ("forward_ratio", "vol"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if low > high:
                raise ValueError(f"{name}_min {low:g} must not exceed {name}_max {high:g}")
        return self


class MinimumVarianceConfig(Section):
    """The window that the minimum-variance delta learns from."""

    window_days: Number = Field(default=30.0, gt=0, allow_inf_nan=False)
    pairs_min: Whole = Field(default=500, ge=3)
    snapshots_min: Whole = Field(default=20, ge=1)

    def window(self) -> WindowSettings:
        """As the regression takes it."""
        return WindowSettings(self.window_days, self.pairs_min, self.snapshots_min)


class OracleConfig(Section):
    """Limits of the index; `age_s_max` is that of the quotes unless given."""

    age_s_max: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    sources_min: Whole = Field(default=2, ge=1)
    deviation_max: Number = Field(default=0.01, gt=0, lt=1)
    forward_deviation_max: Number = Field(default=0.02, gt=0, lt=1)
    jump_max: Number = Field(default=0.03, gt=0, lt=1)


def _vol_source(value: Any) -> Any:
    """A source by its name in the file."""
    names = {source.label: source for source in VolSource if source is not VolSource.NONE}
    if isinstance(value, str) and value in names:
        return names[value]
    if isinstance(value, VolSource):
        return value
    raise ValueError(f"one of {', '.join(names)}")


VolSourceName = Annotated[
    VolSource,
    BeforeValidator(
        _vol_source, json_schema_input_type=Literal["venue_mark", "implied_mark", "implied_mid", "surface"]
    ),
    PlainSerializer(lambda source: VolSource(source).label, return_type=str),
]


def _default_bands() -> dict[str, UnderlyingBandsConfig]:
    def band(trigger: float, landing: float) -> BandConfig:
        return BandConfig(trigger=(-trigger, trigger), landing=(-landing, landing))

    trigger, landing = DELTA_USD_DEFAULT
    return {
        EVERY: UnderlyingBandsConfig(
            delta_usd=DeltaBandConfig(trigger=(-trigger, trigger), landing=(-landing, landing)),
            gamma_usd_per_1pct=band(100_000.0, 75_000.0),
            vega_usd_per_point=band(5_000.0, 4_000.0),
            vega_bucket_multiple=2.0,
        )
    }


class Settings(Section):
    """All settings; defaults are those of the repository's config.toml."""

    numeraire: Numeraire = Numeraire.USD
    age_s_max: Number = Field(default=600.0, gt=0, allow_inf_nan=False)
    gamma_days_min: Number = Field(default=2.0, ge=0, allow_inf_nan=False)
    stable_underlying: str = ""
    vol_order: tuple[VolSourceName, ...] = Field(
        default=VOL_ORDER, min_length=1, json_schema_extra={"default": [source.label for source in VOL_ORDER]}
    )
    delta_rule: DeltaRule = DeltaRule.BLACK_SCHOLES
    minimum_variance: MinimumVarianceConfig = MinimumVarianceConfig()
    oracle: OracleConfig = OracleConfig()
    bands: dict[str, UnderlyingBandsConfig] = Field(default_factory=_default_bands)
    universe: UniverseConfig = UniverseConfig()
    costs: CostsConfig = CostsConfig()
    fees: dict[str, dict[KindName, FeeConfig]] = Field(default_factory=dict)
    solver: SolverConfig = SolverConfig()
    missing: MissingConfig = MissingConfig()
    objective: ObjectiveConfig = ObjectiveConfig()  # before the policy, which asks for its risk aversion
    policy: PolicyConfig = Field(default=PolicyConfig(), validate_default=True)
    risk_term: RiskTermConfig = RiskTermConfig()
    scenarios: ScenarioList = ()
    limits: LimitsConfig = LimitsConfig()
    robust: RobustConfig = RobustConfig()
    limits_file: str = ""
    execution: ExecutionConfig = ExecutionConfig()
    paper: PaperConfig = PaperConfig()
    run: RunConfig = RunConfig()
    pnl: ProfitConfig = ProfitConfig()
    alerts: AlertsConfig = AlertsConfig()
    venues: dict[VenueName, VenueConfig] = Field(default_factory=dict)

    @field_validator("vol_order")
    @classmethod
    def _each_once(cls, order: tuple[VolSource, ...]) -> tuple[VolSource, ...]:
        if len(set(order)) < len(order) or VolSource.NONE in order:
            raise ValueError("each source once, of venue_mark, implied_mark, implied_mid, surface")
        return order

    @field_validator("policy")
    @classmethod
    def _one_risk_aversion(cls, policy: PolicyConfig, others: ValidationInfo) -> PolicyConfig:
        """What a trigger takes risk to cost is what the objective does, unless the desk says otherwise."""
        if "risk_aversion" in policy.risk.model_fields_set or "objective" not in others.data:
            return policy
        risk = policy.risk.model_copy(update={"risk_aversion": others.data["objective"].risk_aversion})
        return policy.model_copy(update={"risk": risk})

    @field_validator("scenarios")
    @classmethod
    def _each_its_own_name(cls, given: ScenarioList) -> ScenarioList:
        return distinct_scenarios(given)

    @field_validator("bands")
    @classmethod
    def _over_the_defaults(cls, given: dict[str, UnderlyingBandsConfig]) -> dict[str, UnderlyingBandsConfig]:
        """Keys left out of "*" keep their defaults: a file that only changes BTC does not unband ETH."""
        every, own = _default_bands()[EVERY], given.get(EVERY, UnderlyingBandsConfig())
        merged = every.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
        return {**given, EVERY: merged}

    def merged_bands(self, underlying: str) -> dict[str, Any]:
        """What the file says of one underlying's bands: its own keys over those of "*"."""
        return _merged(self.bands, underlying)

    def bands_of(self, underlying: str) -> UnderlyingBands:
        """Bands of one underlying as fixed intervals; of one that follows its cost, what stands in for it."""
        merged = self.merged_bands(underlying)  # its keys are UnderlyingBands' fields
        specs: dict[str, Any] = {
            k: v.spec() if isinstance(v, BandConfig | CostAwareConfig) else v for k, v in merged.items()
        }
        own = merged.get("vega_buckets_usd_per_point") or {}
        specs["vega_buckets_usd_per_point"] = {name: band.spec() for name, band in own.items()}
        return UnderlyingBands(**specs)

    def band_rules_of(self, underlying: str) -> dict[str, RowRule]:
        """What moves the bands of one underlying, by Greek; none of a band that is fixed as it stands."""
        robust = self.robust
        return dict(_rules_of(Same(self.bands), underlying, robust.vol_error, robust.forward_error_bps))

    def vol_window_h(self) -> float:
        """Hours of index before now that the bands ask for; 0 where none follows the realised vol."""
        rules = (rule for name in {EVERY, *self.bands} for rule in self.band_rules_of(name).values())
        return max((rule.regime.window_h for rule in rules if rule.regime is not None), default=0.0)

    def look_back_h(self) -> float:
        """Hours of index before now that bands and triggers ask for; 0 where none looks back."""
        return max(self.vol_window_h(), self.policy.window_h())

    def traded_age_s_max(self) -> float:
        """Age of the oldest quote that is traded on."""
        age = self.execution.book_age_s_max
        return self.age_s_max if age is None else age

    def exposure_settings(self) -> ExposureSettings:
        """What a row means."""
        return ExposureSettings(self.numeraire, self.gamma_days_min, self.stable_underlying)

    def cost_settings(self) -> CostSettings:
        """Parameters of the cost model."""
        c = self.costs
        return CostSettings(c.holding_h, c.fixed_usd, dict(c.fixed_usd_of), c.margin.rates())

    def solver_settings(self) -> SolverSettings:
        """Limits of the lot problem."""
        return SolverSettings(self.solver.time_limit_s, self.solver.gap, self.solver.columns)

    def missing_settings(self) -> MissingSettings:
        """Ranges assumed for a leg without a mark."""
        m = self.missing
        return MissingSettings((m.forward_ratio_min, m.forward_ratio_max), (m.vol_min, m.vol_max))

    def oracle_settings(self) -> OracleSettings:
        """Limits of the index."""
        given = self.oracle
        age = self.age_s_max if given.age_s_max is None else given.age_s_max
        return OracleSettings(
            age, given.sources_min, given.deviation_max, given.forward_deviation_max, given.jump_max
        )

    def with_fees(self, universe: Universe) -> Universe:
        """The universe with the desk's own fee tiers; the same object where there are none."""
        if not self.fees:
            return universe
        return Universe.of(self._listing_with_fees(listing) for listing in universe.listings)

    def _listing_with_fees(self, listing: Listing) -> Listing:
        tiers = {str(kind): tier for kind, tier in self.fees.get(listing.venue, {}).items()}
        tier = tiers.get(Kind(listing.contract.kind).name.lower())
        if tier is None:
            return listing
        old = listing.fees
        new = Fees(
            old.maker if tier.maker is None else tier.maker,
            old.taker if tier.taker is None else tier.taker,
            old.cap if tier.cap is None else tier.cap,
            old.combo,
        )
        return replace(listing, fees=new)


def _merged(bands: Mapping[str, UnderlyingBandsConfig], underlying: str) -> dict[str, Any]:
    """An underlying's own keys over those of "*"."""
    merged: dict[str, Any] = {}
    for name in (EVERY, underlying):
        if name in bands:
            own = bands[name]
            merged |= {key: getattr(own, key) for key in own.model_fields_set}
    return merged


@lru_cache(maxsize=64)
def _rules_of(
    bands: Same[dict[str, UnderlyingBandsConfig]], underlying: str, vol_error: float, forward_error_bps: float
) -> Mapping[str, RowRule]:
    """`Settings.band_rules_of`: asked for several times a mark, and the same as long as the settings are."""
    merged, forward_error = _merged(bands.of, underlying), forward_error_bps * 1e-4
    rules = {
        greek: replace(merged[key].rule(), vol_error=vol_error, forward_error=forward_error)
        for greek, key in FIELD_OF_ROW.items()
        if isinstance(merged.get(key), RowBandConfig)
    }
    return {greek: rule for greek, rule in rules.items() if not rule.plain}
