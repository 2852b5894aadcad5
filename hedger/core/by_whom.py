"""Who did something and why, in words; nobody need be named, and no reason given."""

from __future__ import annotations


def reason_given(reason: str) -> str:
    """The reason.

    >>> reason_given("calm"), reason_given("")
    ('calm', 'no reason given')
    """
    return reason or "no reason given"


def by_whom(user: str, reason: str) -> str:
    """Who, and why.

    >>> by_whom("ann", "calm"), by_whom("", "")
    ('ann: calm', 'nobody named: no reason given')
    """
    return f"{user or 'nobody named'}: {reason_given(reason)}"
