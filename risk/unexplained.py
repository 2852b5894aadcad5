"""How much of a P&L may stay without a cause: beyond it the attribution is wrong, or a mark is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from risk.attribution import Parts


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much of a P&L may stay without a cause: usd, or a share of the parts' sizes, whichever is more."""

    usd: float = 1_000.0
    share: float = 0.1

    def allowed_usd(self, parts: Parts) -> float:
        """The most for these parts; NaN where they are not known."""
        sizes = [abs(getattr(parts, name)) for name in Parts.__slots__ if name != "residual"]
        return max(self.usd, self.share * math.fsum(sizes)) if all(map(math.isfinite, sizes)) else math.nan


def unexplained(parts: Parts, tolerance: Tolerance) -> bool:
    """Whether the residual is more than is borne; what is not known is not explained either.

    >>> unexplained(Parts(delta=5e4, residual=4_900.0), Tolerance(1_000.0, 0.1)), unexplained(
    ...     Parts(delta=5e4, residual=-5_100.0), Tolerance(1_000.0, 0.1))
    (False, True)
    """
    return not abs(parts.residual) <= tolerance.allowed_usd(parts)
