"""From a world that has run to what the history checker says of it."""

from __future__ import annotations

from decimal import Decimal

from hedger.simulator.history import check, history_of
from hedger.simulator.history_lines import Terms, Violation
from hedger.simulator.market import TAG
from hedger.simulator.world import World
from venues.orders import client_order_id

#: What a venue's balance may differ by: funding that runs, and the marks of one moment against another's.
CASH_MAX = {"BTC": Decimal("0.005"), "USDC": Decimal(50)}
#: The engine goes by the venue's stamp; a quote reaches us later than it was made.
QUOTE_SLACK_S = 1.0


def check_world(world: World) -> tuple[Violation, ...]:
    """Every violation of the invariants in a run."""
    setting = world.setting
    age = setting.settings.execution.book_age_s_max
    terms = Terms(
        position_max=setting.position_max(),
        quote_age_s_max=None if age is None else age + QUOTE_SLACK_S,
        cash_difference_max=CASH_MAX,
        ours=client_order_id(TAG, 0, 0, 0).removesuffix("0-0-0"),
    )
    history = history_of(
        {name: exchange.log.json_lines() for name, exchange in world.exchanges.items()},
        world.wire_lines,
        world.journal_lines(),
        world.claims,
        world.disk.name.genesis.hex(),
        terms,
    )
    return check(history)
