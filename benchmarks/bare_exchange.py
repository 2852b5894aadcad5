"""A WebSocket that answers each order with the same two frames and knows nothing: what any exchange costs.

`python -m benchmarks.bare_exchange` prints its port. The frames are as long as Deribit's for an order that
rests: the answer, and the news of it. Nothing is matched, checked or remembered.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
from aiohttp import WSMsgType, web

ORDER = {
    "is_liquidation": False, "risk_reducing": False, "order_type": "limit", "order_state": "open",
    "creation_timestamp": 1795273770966, "last_update_timestamp": 1795273770966, "contracts": 10.0,
    "average_price": 0.0, "reduce_only": False, "post_only": False, "filled_amount": 0.0, "replaced": False,
    "mmp": False, "web": False, "api": True, "instrument_name": "BTC-PERPETUAL", "max_show": 100.0,
    "time_in_force": "good_til_cancelled", "direction": "buy", "amount": 100.0, "order_id": "BTC-123456789",
    "price": 59000.0, "label": "desk-1-0-0",
}  # fmt: skip
_NEWS = orjson.dumps(
    {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {"channel": "user.orders.any.any.raw", "data": ORDER},
    }
).decode()


async def _answer(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            break
        number = orjson.loads(message.data).get("id")
        result = {"trades": [], "order": ORDER}
        told = {"jsonrpc": "2.0", "id": number, "result": result, "usIn": 1, "usOut": 2, "usDiff": 1}
        await socket.send_str(orjson.dumps(told).decode())
        await socket.send_str(_NEWS)
    return socket


async def main() -> None:
    """Serve until interrupted."""
    app = web.Application()
    app.router.add_get("/", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
