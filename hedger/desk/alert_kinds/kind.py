"""What an alert of the list is: its code, how grave it is, what it means, and what a person does about it.

`subject` says of what there can be several at once: a venue, an order, or "": the text without its figures.
`ends` names the alerts that this one takes back. An alert that something takes back, or that is looked at
directly, *stands* until then: it is told again while it does, and its end is told. All others *happen*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hedger.core.actions import Severity

Subject = Literal["", "venue", "order"]

NOTE, WARNING, CRITICAL = Severity.NOTE, Severity.WARNING, Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class AlertKind:
    """One kind of alert. severity: the gravest it is told with. own: found by `hedger alerts` itself, not
    told by the engine. stands: until something takes it back. repeats: told again while it stands."""

    code: str
    severity: Severity
    meaning: str
    action: str
    subject: Subject = ""
    ends: tuple[str, ...] = ()
    own: bool = False
    stands: bool = False
    repeats: bool = True
