"""The trials of every venue on each product of each: options, perpetuals, futures and spot."""

from __future__ import annotations

import pytest

from tests.venues.cex_desk import run
from tests.venues.products import FUTURE, OPTION, PRODUCTS, Product, staged
from tests.venues.trials import (
    LAST,
    TRIALS,
    a_settlement_ends_the_position_and_tells_its_price,
    another_process_finds_what_the_first_left,
    perform,
    perform_all,
)


@pytest.mark.parametrize("product", PRODUCTS, ids=str)
def test_every_trial_passes(product: Product) -> None:
    async def work() -> None:
        async with staged(product) as stage:
            shared = [trial for trial in TRIALS if trial not in LAST]
            if stage.settle is not None:  # each of these is the last on its listing
                shared.append(a_settlement_ends_the_position_and_tells_its_price)
                stage.again = None
            await perform_all([*shared, another_process_finds_what_the_first_left], stage)

    run(work(), 30.0)


@pytest.mark.parametrize("product", [p for p in PRODUCTS if p.kind in (OPTION, FUTURE)], ids=str)
def test_what_expires_is_found_again_after_a_restart(product: Product) -> None:
    """On a stage of its own: above, the settlement is the last that such a listing sees."""

    async def work() -> None:
        async with staged(product) as stage:
            await perform(another_process_finds_what_the_first_left, stage)

    run(work(), 30.0)
