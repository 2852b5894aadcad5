"""Every alert there is: how grave it is, what it means, and what a person does about it.

The one list behind `hedger alerts`, the runbooks in the docs and the tests: a code that the engine tells and
that is not here fails a test. What a code means is said for the trader who is woken by it.
"""

from __future__ import annotations

from hedger.desk.alert_kinds import hedging, orders, own, venues
from hedger.desk.alert_kinds.kind import CRITICAL, AlertKind

#: The groups by their titles, in the order in which the docs list them.
GROUPS: dict[str, tuple[AlertKind, ...]] = {
    group.TITLE: group.KINDS for group in (own, orders, venues, hedging)
}
ALERTS: tuple[AlertKind, ...] = tuple(kind for kinds in GROUPS.values() for kind in kinds)
BY_CODE = {kind.code: kind for kind in ALERTS}

#: What a code is taken for that a newer engine tells and this list does not know.
UNKNOWN_ACTION = "This release does not know the code: read the text, and `hedger status`."


def kind_of(code: str) -> AlertKind:
    """The kind of a code; of one that is not in the list its name alone.

    >>> kind_of("KILLED").severity.value, kind_of("NEW_ONE").stands
    ('critical', False)
    """
    return BY_CODE.get(code) or AlertKind(code, CRITICAL, "", UNKNOWN_ACTION)
