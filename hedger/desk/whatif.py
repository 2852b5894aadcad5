"""`hedger whatif` as one document: ladder, stresses, thin market and tails of a book, hedged and unhedged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hedger.desk.ladder import PLAIN_AXES, Axes, ladder_document
from hedger.desk.look import Look
from hedger.desk.stress_table import chosen
from hedger.desk.stressed import assumed, hedge_document, liquidity_document, stress_documents
from hedger.desk.tail_risk import tail_document
from hedger.documents import missing_list
from pricing.daycount import iso

if TYPE_CHECKING:
    from hedger.desk.returns import Returns

Json = dict[str, Any]
LADDER_ASSUMED = (
    "all coins move by the same share, forwards with their index, vols by the same points at every strike "
    "and tenor, between 1 % and 500 %; hedged is after the whole cost on the ticket"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. hedged: plan, and show the book after it too. stress: "all" or a name, None: not asked;
    those of the desk are the scenarios of the settings that the book is valued with. liquidity: how many
    times as thin; None: not asked."""

    metric: str = "pnl"
    axes: Axes = PLAIN_AXES
    hedged: bool = False
    stress: str | None = None
    liquidity: float | None = None
    returns: Returns | None = None


def whatif_document(look: Look, question: Question) -> Json:
    """The document; null stands for unknown, and what is unknown is named.

    Raises:
        InputError: there is no such stress.
    """
    snapshot = look.snapshot
    own = [scenario.scenario() for scenario in look.settings.scenarios]
    stresses = () if question.stress is None else chosen(question.stress, own)
    plan = look.plan(snapshot) if question.hedged else None
    return {
        "as_of": iso(snapshot.market.now_ns),
        "numeraire": str(snapshot.numeraire),
        "ladder": ladder_document(snapshot, plan, question.metric, question.axes, look.settings),
        "hedge": None if plan is None else hedge_document(plan),
        "stresses": stress_documents(snapshot, plan, stresses),
        "liquidity": None
        if question.liquidity is None
        else liquidity_document(look, question.liquidity, plan),
        "tails": tail_document(snapshot, plan, question.returns),
        "assumed": [LADDER_ASSUMED, *assumed(stresses)],
        "complete": not snapshot.missing and not snapshot.bad_indexes,
        "missing": missing_list(snapshot),
        "bad_indexes": [reading.underlying for reading in snapshot.bad_indexes],
    }
