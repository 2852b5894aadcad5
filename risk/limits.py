"""Permission: an item that passed every control, or the reason why not. Only `review` makes the first.

    review(item, request, around, limits) -> Approved[item] | Refused

What leaves must carry an `Approved`; nothing else can make one. All controls are looked at, the first that
refuses names the refusal and the others stand beside it.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Generic, NoReturn, TypeVar

from risk.holdings import Holdings
from risk.limit_checks import CHECKS
from risk.limit_codes import Code, Finding
from risk.limit_findings import missing
from risk.limit_request import Request, Surroundings
from risk.limit_terms import Limits

T = TypeVar("T")

_SEAL = object()


@dataclass(frozen=True, slots=True)
class Approved(Generic[T]):
    """An item that the limits let through. Only `review` makes one; it cannot be copied onto another item.

    >>> Approved("an order")
    Traceback (most recent call last):
        ...
    TypeError: only risk.limits.review approves
    """

    item: T
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only risk.limits.review approves")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a permission holds here and now: it is not copied, stored or sent")


@dataclass(frozen=True, slots=True)
class Refused(Generic[T]):
    """An item that stays, and why. observed, allowed: of the first reason; also: every other reason."""

    item: T
    code: Code
    text: str
    observed: str
    allowed: str
    also: tuple[Code, ...] = ()


def review(item: T, request: Request, around: Surroundings, limits: Limits) -> Approved[T] | Refused[T]:
    """Judge one item by the request that describes it.

    Returns:
        Approved, or Refused with the first control's code in the order C1 to C20. Something unknown refuses.
    """
    found = findings(request, around, limits)
    if not found:
        return Approved(item, _SEAL)
    first = found[0]
    others = tuple(dict.fromkeys(f.code for f in found[1:] if f.code is not first.code))
    text = first.code.text(request.words, first.observed, first.allowed, first.detail)
    return Refused(item, first.code, text, first.observed, first.allowed, others)


def findings(request: Request, around: Surroundings, limits: Limits) -> tuple[Finding, ...]:
    """Every reason why an order may not leave, in the order of the controls; none: it may."""
    amounts = {
        "quantity": request.quantity,
        "price": request.price,
        "parent's quantity": request.parent_quantity,
        "quantity of the parent's earlier parts": request.parent_done,
        **{f"what {order.intent} may still do": order.reserved for order in around.pending},
    }
    # A decimal that is no number compares with nothing: no control could say anything of it.
    names = [name for name, amount in amounts.items() if not amount.is_finite()]
    names += [f"position in {symbol}" for symbol in Holdings.of(around.held).odd]
    odd = tuple(missing(name) for name in names)
    return odd or tuple(finding for check in CHECKS for finding in check(request, around, limits))
