"""Is a hedge due? Triggers joined by any, all and not; each answers with its reason, also when it is "no".

The policy is asked for each underlying by itself: "all of breach and a calm hour" means a breach of BTC and a
calm hour of BTC. A trigger that lacks what it needs to know says so: its answer is neither yes nor no, and
joins the others as in Kleene's logic (any: one yes is enough, whatever is unknown; all: one no is enough;
not: unknown stays unknown). What is unknown in the end does not trade.

Which rows a hedge must bring inside their landing interval follows from the answers:

- breach and projected_breach name their rows;
- calendar, realised_move, age and expiry are gates: alone they call every row of the underlying;
- all: the rows that its parts name, or every row if none names any, less what cost_benefit leaves out;
- any: the rows of all parts that said yes; not: every row.

Rows that are called and inside their landing interval already are left where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from hedger.moment import Answer, Decision, Memory, Moment, Scope, UnderlyingMoment, Verdict
from hedger.policy.pace import guards
from hedger.policy.triggers import (
    age,
    breach,
    calendar,
    cost_benefit,
    expiry,
    projected_breach,
    realised_move,
)
from hedger.sections.policy import Condition, PolicyConfig

#: cost_benefit before there is a plan: taken as met.
ASSUMED = Verdict(reason="its worth is not reckoned yet")


def due(moment: Moment, policy: PolicyConfig, memory: Memory, verdict: Verdict = ASSUMED) -> Decision:
    """Whether a hedge is due now, of which rows, and why (or why not).

    Args:
        moment: the book as it stands. policy: triggers and guards. memory: the pace kept so far.
        verdict: what cost_benefit found, once there are plans with their costs.

    Returns:
        Decision; `called` holds the rows outside their landing interval that are to be brought in, and is
        empty where nothing is due, or where every row called is inside already.
    """
    answers = tuple(_answer(policy.when, u, moment.now_ns, memory, verdict) for u in moment.underlyings)
    yes = [(u, a) for u, a in zip(moment.underlyings, answers, strict=True) if a.yes]
    called = frozenset(row for u, a in yes for row in a.rows if row in u.outside_landing())
    reason = reason_of([a for _, a in yes] or answers) or "the book has no rows"
    sticky = tuple(s for s in verdict.sticky if any(s.rows[0] in u.rows for u in moment.underlyings))
    if sticky and not yes:
        reason = "; ".join(s.sentence for s in sticky)
    if not yes:
        return Decision(False, frozenset(), reason, answers, sticky=sticky)
    held = guards(moment, called, policy, memory)
    allowed = called.difference(*(g.rows for g in held))
    if held and not allowed:
        reason = f"{reason}; held: {'; '.join(g.sentence for g in held)}"
        return Decision(False, frozenset(), reason, answers, held, sticky)
    if held:
        reason = f"{reason}; held back: {'; '.join(g.sentence for g in held)}"
    if sticky:
        reason = f"{reason}; {'; '.join(s.sentence for s in sticky)}"
    return Decision(True, allowed, reason, answers, held, sticky)


def reason_of(answers: Sequence[Answer]) -> str:
    """One sentence for the answers of several underlyings: what is said alike is said once."""
    subjects: dict[str, list[str]] = {}
    for answer in answers:
        subjects.setdefault(answer.text, []).extend(answer.subject)
    return "; ".join(f"{', '.join(rows)} {text}" if rows else text for text, rows in subjects.items())


def _answer(c: Condition, u: UnderlyingMoment, now_ns: int, memory: Memory, verdict: Verdict) -> Answer:
    """The answer of a condition about one underlying."""
    if c.any_of is not None:
        return any_of([_answer(part, u, now_ns, memory, verdict) for part in c.any_of])
    if c.all_of is not None:
        return all_of([_answer(part, u, now_ns, memory, verdict) for part in c.all_of])
    if c.negated is not None:
        return negated(_answer(c.negated, u, now_ns, memory, verdict), u.rows)
    if c.breach is not None:
        return breach(c.breach, u, memory)
    if c.calendar is not None:
        return calendar(c.calendar, u, now_ns, memory)
    if c.projected_breach is not None:
        return projected_breach(c.projected_breach, u)
    if c.realised_move is not None:
        return realised_move(c.realised_move, u, now_ns)
    if c.age is not None:
        return age(c.age, u, now_ns, memory)
    if c.expiry is not None:
        return expiry(c.expiry, u)
    return cost_benefit(u, verdict)


# ------------------------------------------------------------------------------------------------- joining


def any_of(parts: Sequence[Answer]) -> Answer:
    """Yes if a part says yes; unknown if none does and one is unknown."""
    said = [p.yes for p in parts]
    yes = True if True in said else None if None in said else False
    telling = [p for p in parts if p.yes is yes]
    rows = tuple(dict.fromkeys(row for p in telling for row in p.rows)) if yes else ()
    named = all(p.scope is Scope.NAMED for p in telling)
    return _joined("any", yes, telling, rows, Scope.NAMED if named else Scope.GATE, parts)


def all_of(parts: Sequence[Answer]) -> Answer:
    """Yes if every part says yes; unknown if none says no and one is unknown."""
    said = [p.yes for p in parts]
    yes = False if False in said else None if None in said else True
    telling = [p for p in parts if p.yes is yes]
    if not yes:
        return _joined("all", yes, telling, (), Scope.GATE, parts)
    named = [p for p in parts if p.scope is Scope.NAMED]
    filters = [p for p in parts if p.scope is Scope.FILTER]
    source = named or [p for p in parts if p.scope is Scope.GATE] or filters
    allowed = [set(p.rows) for p in filters]
    rows = dict.fromkeys(row for p in source for row in p.rows if all(row in a for a in allowed))
    scope = Scope.NAMED if named else Scope.FILTER if filters else Scope.GATE
    if filters and not rows:
        return _joined("all", False, filters, (), scope, parts)
    return _joined("all", True, telling, tuple(rows), scope, parts)


def negated(part: Answer, rows: tuple[str, ...]) -> Answer:
    """The opposite; the sentence states the same fact. It calls every row of the underlying."""
    yes = None if part.yes is None else not part.yes
    return Answer("not", yes, part.text, rows if yes else (), part.subject, Scope.GATE, None, (part,))


def _joined(
    name: str,
    yes: bool | None,
    telling: Sequence[Answer],
    rows: tuple[str, ...],
    scope: Scope,
    parts: Sequence[Answer],
) -> Answer:
    """An answer made of others; its sentence is that of the parts that decided it."""
    waits = [p.until_ns for p in telling if p.until_ns is not None]
    until = None
    if yes is False and waits:
        # one part is enough for any; all waits for the last of them, if all of them wait for time alone
        until = min(waits) if name == "any" else max(waits) if len(waits) == len(telling) else None
    said = [p for i, p in enumerate(telling) if not _told_already(telling, i)]
    one = said[0] if len(said) == 1 else None
    text = one.text if one else " and ".join(p.sentence for p in said)
    return Answer(name, yes, text, rows, one.subject if one else (), scope, until, tuple(parts))


def _told_already(parts: Sequence[Answer], i: int) -> bool:
    """Whether another part says the same of more rows, or an earlier one of the same rows."""
    mine = set(parts[i].subject)
    for j, other in enumerate(parts):
        more = set(other.subject)
        if other.text == parts[i].text and (mine < more or (mine == more and j < i)):
            return True
    return False
