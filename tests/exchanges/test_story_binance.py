"""Whole stories on a loopback Binance: USD-M or COIN-M hedge options held on Deribit, options are traded with
USD-M for their delta, and coins hedge options held on Deribit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.exchanges.story.places import CASTS
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import OF_LIVES, OF_THE_WIRE, draw, kinds_of

CAST = CASTS["binanceusdm"]


def test_the_record_is_what_both_exchanges_say(tmp_path: Path) -> None:
    """Replies and executions are lost, doubled and late, and somebody takes the address of the venue."""
    story = asyncio.run(told(draw(2, CAST[0], OF_THE_WIRE), CAST, tmp_path))
    assert story.violations == ()
    assert story.orders > 0
    assert story.struck["act redirect"] > 0 and story.struck["act stranger met"] > 0


def test_it_is_so_after_crashes_a_kill_and_a_revoked_key(tmp_path: Path) -> None:
    """Others trade meanwhile, clocks are wrong, and a second engine and another build ask for things."""
    story = asyncio.run(told(draw(2, CAST[0], OF_LIVES), CAST, tmp_path))
    assert story.violations == ()
    assert story.starts > 1 and story.struck["F28"] > 0


@pytest.mark.parametrize(("name", "seed"), [("binance", 6), ("binance-spot", 6), ("binancecoinm", 6)])
def test_executions_that_nobody_told_of_are_found_in_options_and_coins_and_contracts_of_coins(
    name: str, seed: int, tmp_path: Path
) -> None:
    cast = CASTS[name]
    drawn = draw(seed, cast[0], ("F1", "F7"))
    from_the_start = tuple(replace(deed, at_s=0.0) for deed in drawn.deeds)  # the first hedge may be the last
    story = asyncio.run(told(replace(drawn, deeds=from_the_start), cast, tmp_path))
    assert story.violations == ()
    assert story.fills > 0 and story.struck["F7"] > 0


@pytest.mark.parametrize("name", ["binance", "binance-spot", "binancecoinm", "binanceusdm"])
def test_the_two_have_every_kind(name: str) -> None:
    assert {*OF_THE_WIRE, *OF_LIVES} >= set(kinds_of(CASTS[name][0]))
