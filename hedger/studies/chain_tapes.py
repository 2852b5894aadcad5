"""Tapes walked for the chain study: snapshots in order of time, with the hours, the customers and the book.

Tapes are read one snapshot after the other; what `hedger.studies.chain_walk` is given of a moment is made
from what lies before it (`hedger.studies.chain_market`), so that a study of half a tape is the first half of
the study of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.inputs import read_book
from hedger.settings import Settings
from hedger.solver.hedge_problem import HedgeProblem, RiskTerm
from hedger.solver.utility_fraction import solve_fractions
from hedger.studies.chain_inputs import (
    NO_SERIES,
    Series,
    check_priced,
    read_dvol,
    read_flow,
    read_perp,
    start_of,
)
from hedger.studies.chain_market import ChainReader, Contracts, Deals, View, contracts_of
from hedger.studies.chain_mix import MixSettings, Solver
from hedger.studies.chain_walk import Fills, Start, Walk
from hedger.studies.flow import BTC_A_DAY, Customers, RecordedFlow, customer_deals
from pricing.errors import InputError
from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import value
from venues.tape import Tape

if TYPE_CHECKING:
    import argparse

#: Where no tape tells the price of a bitcoin, customers deal in this many USD a day.
USD_A_DAY = 5e6
#: One choice for all books and coins.
MIX = MixSettings()


@dataclass(frozen=True, slots=True)
class Question:
    """What is studied. flow: None = seeded customers of every kind, `seeds` of them from `seed` on."""

    underlyings: tuple[str, ...]
    seed: int = 7
    seeds: int = 4
    book: Path | None = None
    flow: RecordedFlow | None = None
    perp: Mapping[str, Series] | None = None
    dvol: Mapping[str, Series] | None = None
    mix: MixSettings = MIX


@dataclass(slots=True, eq=False)
class Coin:
    """One coin's walk with what feeds it. books: (customers, seed) of each."""

    contracts: Contracts
    reader: ChainReader
    walk: Walk
    books: list[tuple[str, int | None]]
    perp: Series
    dvol: Series
    last_ns: int = 0
    first_ns: int = 0
    rates: list[float] = field(default_factory=list)
    deals: int = 0


def question_of(arguments: argparse.Namespace, tapes: Sequence[Tape]) -> Question:
    """What the command line asks for.

    Errors: InputError where a file is at fault or a coin is on no tape.
    """
    names = [name for tape in tapes for name in tape.universe.underlyings]
    known = tuple(dict.fromkeys(names))
    if arguments.underlying is not None and arguments.underlying not in known:
        raise _nothing(arguments.underlying, f"on the tapes are {', '.join(known)}")
    wanted = known if arguments.underlying is None else (arguments.underlying,)
    universes = [tape.universe for tape in tapes]
    if arguments.underlying is None:  # a coin without a chain of its own is left out, unless it is asked for
        chains = {name: contracts_of(universes, name) for name in known}
        wanted = tuple(n for n, c in chains.items() if c.symbols and math.isfinite(c.perp_lot)) or wanted
    flow = None
    if arguments.flow is not None:
        flow = read_flow(arguments.flow, [contracts_of(universes, name) for name in known])
    return Question(
        underlyings=wanted,
        seed=arguments.seed,
        seeds=arguments.seeds,
        book=arguments.book,
        flow=flow,
        perp=read_perp(arguments.perp, wanted) if arguments.perp is not None else None,
        dvol=read_dvol(arguments.dvol) if arguments.dvol is not None else None,
    )


def in_fractions(problem: HedgeProblem, risk: RiskTerm) -> FloatArray:
    """The study's solver: the optimum in fractions of a lot, which the policy rounds."""
    return solve_fractions(problem, risk).quantity


def walk_tapes(
    tapes: Sequence[Tape],
    settings: Settings,
    question: Question,
    on_progress: Callable[[str], None] = lambda text: None,
    solve: Solver = in_fractions,
    on_fills: Callable[[str, Fills], None] | None = None,
) -> list[Coin]:
    """Carry the books of every coin over the tapes, in order of time.

    Raises:
        InputError: a coin is on no tape, the tapes overlap nowhere in time, or a book or flow does not fit.
    """
    ordered = sorted(tapes, key=lambda tape: int(tape.batches.now_ns[0]))
    coins = _coins(ordered, settings, question, solve, on_fills)
    last_ns = 0
    for tape in ordered:
        on_progress(f"{tape.path.name}: {len(tape.batches.seq)} snapshots ...")
        market = Market.empty(settings.with_fees(tape.universe))
        for marks in tape.marks():
            market = market.apply(marks)
            if market.now_ns <= last_ns:  # tapes overlap: each moment once
                continue
            last_ns = market.now_ns
            _moment(market, settings, question, coins)
    for coin in coins:
        if coin.walk.snapshots < 2:
            found = f"{coin.walk.snapshots} snapshots with options and a perpetual"
            raise _nothing(coin.contracts.underlying, found)
    return coins


def _coins(
    tapes: Sequence[Tape],
    settings: Settings,
    question: Question,
    solve: Solver,
    on_fills: Callable[[str, Fills], None] | None,
) -> list[Coin]:
    coins = []
    for name in question.underlyings:
        contracts = contracts_of([tape.universe for tape in tapes], name)
        if not contracts.symbols or not math.isfinite(contracts.perp_lot):
            raise _nothing(name, "no option settled in coin, or no inverse perpetual")
        start = Start()
        if question.book is not None:
            first = tapes[0]
            book = read_book(question.book, first.universe, int(first.batches.now_ns[0]))
            start = start_of(book, contracts)
        books: list[tuple[str, int | None]] = [("file", None)]
        if question.flow is None:
            seeds = range(question.seed, question.seed + question.seeds)
            books = [(str(kind), seed) for kind in Customers for seed in seeds]
        hear = None if on_fills is None else (lambda fills, name=name: on_fills(name, fills))
        walk = Walk(contracts, [start for _ in books], question.mix, solve, hear)
        coins.append(
            Coin(
                contracts,
                ChainReader(contracts),
                walk,
                books,
                (question.perp or {}).get(name, NO_SERIES),
                (question.dvol or {}).get(name, NO_SERIES),
            )
        )
    return coins


def _moment(market: Market, settings: Settings, question: Question, coins: list[Coin]) -> None:
    """One snapshot for every coin, after the hours that led to it."""
    valuation = value(market, settings.age_s_max)
    bitcoin = _bitcoin(market, settings)
    for coin in coins:
        walk = coin.walk
        if coin.last_ns:
            for at_ns, price in coin.perp.within(coin.last_ns, market.now_ns):
                between = coin.reader.between(at_ns, price, coin.dvol.until(at_ns))
                if between is not None:
                    walk.step(between, [])
        view = coin.reader.snapshot(market, valuation, settings.age_s_max, coin.dvol.until(market.now_ns))
        if view is None:
            continue
        hours = (view.now_ns - coin.last_ns) / 3.6e12 if coin.last_ns else 0.0
        deals = _deals(question, coin, view, hours, bitcoin)
        walk.step(view, deals)
        coin.deals += sum(len(deal.at) for deal in deals)
        coin.first_ns = coin.first_ns or view.now_ns
        coin.last_ns = view.now_ns
        coin.rates.append(view.perp_rate)


def _bitcoin(market: Market, settings: Settings) -> float:
    """USD a bitcoin, NaN where the tape has none."""
    names = market.universe.underlyings
    return float(market.spot(settings.age_s_max)[names.index("BTC")]) if "BTC" in names else math.nan


def _deals(question: Question, coin: Coin, view: View, hours: float, bitcoin: float) -> list[Deals]:
    if question.flow is not None:
        check_priced(question.flow, coin.last_ns, view.now_ns, view, coin.contracts)
        return [question.flow.between(coin.last_ns, view.now_ns, view, coin.contracts)]
    coins = 1.0 if coin.contracts.underlying == "BTC" else bitcoin / view.spot
    if not coins > 0:
        coins = USD_A_DAY / BTC_A_DAY / view.spot
    return [
        customer_deals(view, coin.contracts, Customers(kind), int(seed or 0), hours, coins)
        for kind, seed in coin.books
    ]


def _nothing(name: str, observed: str) -> InputError:
    return InputError(
        "TAPE_WITHOUT_CHAIN", "the tapes hold no chain of this coin", where="--underlying, TAPE",
        observed=f"{name}: {observed}",
        allowed="a coin with options settled in it and its perpetual, at two snapshots or more",
        not_done="nothing was walked", fix="name another coin or other tapes",
    )  # fmt: skip
