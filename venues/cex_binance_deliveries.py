"""At what Binance's options and quarterly futures were settled: asked for where an expiry has passed.

All of it is public and names no account: whoever holds nothing of a contract finds nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pricing.contracts import Kind, Listing
from venues.cex_binance_streams import PUBLIC, Part, part_of
from venues.deliveries import delivered_between, told_from
from venues.wire.deliveries import binance_futures, binance_options
from venues.wire.fields import NS_PER_MS

_DATA = {Part.LINEAR: "fapiData", Part.INVERSE: "dapiData"}
_LIMIT = 100


async def deliveries(
    client: Any, part: Part, listings: Mapping[str, Listing], since_ns: int | None, at_ns: int
) -> dict[str, Decimal]:
    """Prices that became known since then, USD per coin by symbol.

    Raises:
        Malformed: an answer makes no sense.
    """
    if since_ns is None or part is Part.SPOT or not delivered_between(since_ns, at_ns):
        return {}
    from_ns = told_from(since_ns)
    dated = [x for x in listings.values() if part_of(x) is part and x.expiry_ns]
    found: dict[str, Decimal] = {}
    if part is Part.OPTION:
        for underlying in sorted({f"{x.contract.underlying}{x.contract.settlement}" for x in dated}):
            asked = {"underlying": underlying, "startTime": str(from_ns // NS_PER_MS), "limit": _LIMIT}
            rows = await client.request("exerciseHistory", [PUBLIC[part]], "GET", asked, config={"cost": 3})
            found |= binance_options(rows, listings)
        return found
    for pair in sorted({x.symbol.partition("_")[0] for x in dated if x.contract.kind is Kind.FUTURE}):
        rows = await client.request(
            "delivery-price", [_DATA[part]], "GET", {"pair": pair}, config={"cost": 1}
        )
        found |= binance_futures(rows, pair, from_ns)
    return found
