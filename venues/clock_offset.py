"""How far our clock and a venue's are apart, by asking the venue for the time.

The venue's stamp is taken somewhere between a question's leaving and its answer's coming, in the middle as
far as anybody knows: the offset is known to half of the way there and back. A long way, such as behind a
program that was busy, is asked again, and the shortest counts.

Source: D. L. Mills, RFC 5905, section 8 (offset and delay of one exchange; here the venue stamps once).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

#: A way there and back that is asked again, ns, and how often at most.
_LONG_NS, _TRIES = 200_000_000, 3


async def offset_ns(ask: Callable[[], Awaitable[int]], now_ns: Callable[[], int]) -> int:
    """Our clock less the venue's, ns. ask: the venue's clock, UTC ns, by a question that leaves at once; what
    it raises passes through."""
    best: tuple[int, int] | None = None
    for _ in range(_TRIES):
        left_ns = now_ns()
        told_ns = await ask()
        way_ns = max(now_ns() - left_ns, 0)
        found = (way_ns, left_ns + way_ns // 2 - told_ns)
        best = found if best is None else min(best, found)
        if way_ns <= _LONG_NS:
            break
    assert best is not None
    return best[1]
