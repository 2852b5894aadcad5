"""How far our clock and a venue's are apart, by asking the venue for the time.

The venue's stamp is taken somewhere between a question's leaving and its answer's coming, nobody knows where:
the offset is known to half of the way there and back. Told is the most it can be, for it is held against a
limit: with the stamp taken at the one end of the way or at the other. After a long way, such as behind a
program that was busy, it is asked again, and the least counts.

Source: D. L. Mills, RFC 5905, section 8 (offset and delay of one exchange; here the venue stamps once).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

#: A way there and back that is asked again, ns, and how often at most.
_LONG_NS, _TRIES = 200_000_000, 3


async def offset_ns(ask: Callable[[], Awaitable[int]], now_ns: Callable[[], int]) -> tuple[int, int]:
    """(our clock less the venue's at the most, the venue's as it was last told), ns. ask: the venue's clock,
    UTC ns, by a question that leaves at once; what it raises passes through."""
    found: list[int] = []
    told_ns = 0
    for _ in range(_TRIES):
        left_ns = now_ns()
        told_ns = await ask()
        way_ns = max(now_ns() - left_ns, 0)
        found.append(max(left_ns - told_ns, left_ns + way_ns - told_ns, key=abs))
        if way_ns <= _LONG_NS:
            break
    return min(found, key=abs), told_ns
