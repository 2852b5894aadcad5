"""A value as a key of what is worked out from it: known again by being the very same one, not by its content.

A book of thousands of positions, or a table of settings, stays the same object over thousands of marks; to
compare it with itself by content would cost more than what is worked out.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Same(Generic[T]):
    """A value that nobody changes; equal only to the very same one. It is kept alive, so that its id is its
    own.

    >>> one, other = [1], [1]
    >>> Same(one) == Same(one), Same(one) == Same(other), one == other
    (True, False, True)
    """

    __slots__ = ("of",)

    def __init__(self, of: T) -> None:
        self.of = of

    def __hash__(self) -> int:
        return id(self.of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.of is other.of
