"""When to hedge, as a desk writes it: triggers joined by any, all and not, and the guards that hold them.

    [policy]
    when = { any = [ { breach = {} },
                     { all = [ { calendar = { every_min = 30 } }, { not = { age = { mark_s = 60 } } } ] } ] }

Pure data; `hedger.policy.policy` says what each trigger means. A condition holds exactly one key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, field_validator, model_serializer, model_validator

from hedger.moment import Memory
from hedger.sections.schedule import Schedule
from hedger.sections.section import RISK_AVERSION, Number, RiskAversion, Section, Whole

#: How deep conditions may be nested, and how many of them there may be.
DEPTH_MAX = 8
CONDITIONS_MAX = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A pattern of row names: `*` stands for anything, as in `delta:*` or `vega:BTC:*`.
RowPattern = Annotated[str, Field(min_length=1, max_length=60)]
Rows = Annotated[tuple[RowPattern, ...], Field(min_length=1)]


def _schedule(text: str) -> str:
    Schedule.parse(text)
    return text


class Breach(Section):
    """A row is outside its trigger interval."""

    rows: Rows = ("*",)
    side: Literal["both", "below", "above"] = "both"
    beyond: Number = Field(default=0.0, ge=0, le=100)
    until_landing: bool = False


class Calendar(Section):
    """A time of the calendar, UTC, has come: every so many minutes, or at the times of a schedule."""

    every_min: Whole | None = Field(default=None, ge=1, le=10080)
    at: Annotated[str, AfterValidator(_schedule)] | None = None
    grace_s: Number = Field(default=60.0, ge=0, le=86_400)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _check_one(self, "every_min", "at")
        return self


class ProjectedBreach(Section):
    """A move of the spot by so many sigmas within the horizon would take a delta row outside its trigger."""

    rows: Rows = ("delta:*",)
    sigmas: Number = Field(default=1.0, gt=0, le=20)
    horizon_h: Number = Field(default=1.0, gt=0, le=8760)


class RealisedMove(Section):
    """The spot has moved so far from where it was within the window."""

    window_min: Number = Field(gt=0, le=525_600)
    move: Number | None = Field(default=None, gt=0, lt=1)
    sigmas: Number | None = Field(default=None, gt=0, le=20)
    then: Literal["act", "hold"] = "act"

    @model_validator(mode="after")
    def _one(self) -> Self:
        _check_one(self, "move", "sigmas")
        return self


class Age(Section):
    """The oldest mark of the book, or the last hedge, is older than this."""

    mark_s: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    hedge_h: Number | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _check_one(self, "mark_s", "hedge_h")
        return self


class Expiry(Section):
    """An option held is near its strike shortly before it expires, or its settlement is being averaged."""

    within_h: Number = Field(default=24.0, gt=0, le=8760)
    pin: Number = Field(default=0.02, gt=0, lt=1)
    settlement: bool = True


class CostBenefit(Section):
    """The risk that the hedge removes is worth more than it costs, by the figures of [policy.risk]."""


class Condition(Section):
    """Exactly one of: any, all, not, and the triggers."""

    any_of: tuple[Condition, ...] | None = Field(default=None, alias="any", min_length=1)
    all_of: tuple[Condition, ...] | None = Field(default=None, alias="all", min_length=1)
    negated: Condition | None = Field(default=None, alias="not")
    breach: Breach | None = None
    calendar: Calendar | None = None
    projected_breach: ProjectedBreach | None = None
    realised_move: RealisedMove | None = None
    age: Age | None = None
    expiry: Expiry | None = None
    cost_benefit: CostBenefit | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        names = {name: field.alias or name for name, field in type(self).model_fields.items()}
        given = [alias for name, alias in names.items() if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "nothing"
            raise ValueError(f"a condition holds one of {', '.join(names.values())}; here is {found}")
        if self.negated is not None and any(c.cost_benefit is not None for c in self.negated.each()):
            raise ValueError(
                "cost_benefit may not stand under not: a hedge is not made because it does not pay"
            )
        return self

    @model_serializer
    def _only_what_is_given(self) -> dict[str, Any]:
        """As it was written: the one key."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None:
                many = isinstance(value, tuple)
                shown = [c.model_dump(mode="json") for c in value] if many else value.model_dump(mode="json")
                return {field.alias or name: shown}
        raise AssertionError("a condition holds one key")

    def each(self) -> Iterator[Condition]:
        """This condition and all below it."""
        yield self
        below = (*(self.any_of or ()), *(self.all_of or ()), *((self.negated,) if self.negated else ()))
        for condition in below:
            yield from condition.each()


class RiskConfig(Section):
    """What risk costs: penalty = risk_aversion / 2 x variance of the P&L over the holding time.

    risk_aversion: left out, `Settings` puts that of [objective] here.
    """

    risk_aversion: RiskAversion = RISK_AVERSION
    delta_holding_h: Number = Field(default=24.0, gt=0, le=8760)
    option_holding_h: Number = Field(default=168.0, gt=0, le=8760)
    vol_sd_points_per_day: Number = Field(default=3.0, ge=0, le=100)
    benefit_min: Number = Field(default=1.0, gt=0, allow_inf_nan=False)


class PolicyConfig(Section):
    """When a hedge is due, and what holds it."""

    when: Condition = Condition(breach=Breach())
    cooldown_s: Number = Field(default=0.0, ge=0, le=86_400)
    attempts_max: Whole = Field(default=5, ge=1)
    attempt_pause_s: Number = Field(default=5.0, ge=0, le=3600)
    attempts_window_s: Number = Field(default=900.0, gt=0, le=86_400)
    turnover_usd_per_h: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    hysteresis: Number = Field(default=0.1, ge=0, le=10)
    last_hedge: AwareDatetime | None = None
    waiting_h: Number = Field(default=24.0, gt=0, le=8760)
    risk: RiskConfig = RiskConfig()

    def window_h(self) -> float:
        """Hours of index before now that the triggers ask for; 0 where none looks back."""
        moves = (c.realised_move for c in self.when.each())
        return max((move.window_min / 60.0 for move in moves if move is not None), default=0.0)

    def memory(self) -> Memory:
        """What is remembered before anything has happened: the last hedge, if the desk says when it was."""
        at = self.last_hedge
        if at is None:
            return Memory()
        whole = (at - EPOCH) // timedelta(microseconds=1)
        return Memory(hedged_ns=whole * 1000)

    @field_validator("when", mode="before")
    @classmethod
    def _not_too_deep(cls, when: Any) -> Any:
        """Refuse what is nested too deep before it is read: no desk can follow it, and a parser might not."""
        below, depth, count = [when], 0, 0
        while below:
            depth, count = depth + 1, count + sum(isinstance(c, Mapping) for c in below)
            if depth > DEPTH_MAX or count > CONDITIONS_MAX:
                raise ValueError(f"at most {CONDITIONS_MAX} conditions, nested at most {DEPTH_MAX} deep")
            below = [part for c in below if isinstance(c, Mapping) for part in _parts(c)]
        return when


def _parts(condition: Mapping[Any, Any]) -> list[Any]:
    """What stands below a condition as written, right or wrong."""
    found: list[Any] = [condition["not"]] if "not" in condition else []
    for name in ("any", "all"):
        listed = condition.get(name)
        found += listed if isinstance(listed, list | tuple) else []
    return found


def _check_one(section: Section, *names: str) -> None:
    if sum(getattr(section, name) is not None for name in names) != 1:
        raise ValueError(f"give one of {' and '.join(names)}, not both or none")
