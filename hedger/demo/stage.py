"""What the demo makes happen while people look on: the market falls, an answer is lost, the venue drops."""

from __future__ import annotations

from hedger.runs.stage import Move, Stage, StagedFault
from venues.paper_faults import FaultKind

#: The first hedge has its time; then BTC falls, and again where no hedge has left over it, for
#: some books have room; of that hedge the first order's answer is lost and the session is ended over it.
DEMO_STAGE = Stage(
    moves=(
        Move(18.0, "BTC", -0.025),
        Move(19.0, "BTC", -0.025, unless=FaultKind.REQUEST_LOST),
    ),
    faults=(
        StagedFault(17.9, FaultKind.REQUEST_LOST),
        StagedFault(21.0, FaultKind.SESSION_KILLED, 5.0),
    ),
)
