"""A value that is reckoned when somebody first asks for it, and kept.

What a person reads beside a plan (the next best plan, the delta hedge, the cost of waiting) is no part of
what is sent: it must not stand between a mark and its orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """A pure function without arguments, called at most once; it keeps alive what it is made of until then.

    >>> asked = []
    >>> later = Later(lambda: asked.append("once") or 7)
    >>> later.get(), later.get(), asked
    (7, 7, ['once'])
    """

    __slots__ = ("_found", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] | None = make
        self._found: list[T] = []

    @classmethod
    def known(cls, value: T) -> Later[T]:
        """One that needs no reckoning."""
        later = cls(lambda: value)
        later.get()
        return later

    def get(self) -> T:
        """The value; what its function raises, it raises, and may be asked again."""
        if self._make is not None:
            self._found = [self._make()]
            self._make = None
        return self._found[0]
