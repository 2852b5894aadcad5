"""What of a P&L may stay without a cause: the keys of `[pnl]`. Pure data."""

from __future__ import annotations

from pydantic import Field

from hedger.sections.section import Number, Section
from risk.unexplained import Tolerance


class ProfitConfig(Section):
    """A day's P&L is unexplained where its residual is more than the larger of the two: USD, and a share of
    the sizes of all parts together."""

    unexplained_usd: Number = Field(default=1_000.0, ge=0, le=1e12)
    unexplained_share: Number = Field(default=0.1, ge=0, le=1)

    def tolerance(self) -> Tolerance:
        """As `risk.unexplained` takes it."""
        return Tolerance(self.unexplained_usd, self.unexplained_share)
