"""A frozen value with some fields changed: `dataclasses.replace` in half its time, for what a mark makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def changer(kind: type[T]) -> Callable[..., T]:
    """The function that makes a value of a dataclass from another, some fields given by name.

    All fields must be arguments of its constructor, in their order.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Point:
    ...     x: int
    ...     y: int
    >>> changer(Point)(Point(1, 2), y=5)
    Point(x=1, y=5)
    >>> changer(Point)(Point(1, 2), z=5)
    Traceback (most recent call last):
    KeyError: 'z'
    """
    names = tuple(field.name for field in fields(kind))
    values_of, place = attrgetter(*names), {name: i for i, name in enumerate(names)}

    def changed(value: T, **changes: Any) -> T:
        values = list(values_of(value))
        for name, new in changes.items():
            values[place[name]] = new
        return kind(*values)

    return changed
