"""From a snapshot to the hedge plan: price the universe, solve, compare with the alternatives.

Pure functions; the order of a plan is on one page in `hedger.planning.making`. The plan holds numbers and
names only: `hedger.documents` turns it into JSON, `hedger.ticket` into what a trader reads.
"""

from __future__ import annotations

from hedger.planning.hedge_plan import HedgePlan, PlanStatus
from hedger.planning.making import make_plan, read_beside
from hedger.planning.safeguards import check_promise

__all__ = ["HedgePlan", "PlanStatus", "check_promise", "make_plan", "read_beside"]
