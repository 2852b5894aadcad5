"""What a desk builds without us: one tick from ticker bytes to order bytes, out of libraries off the shelf.

Peers of the engine's benchmark. Each takes one Deribit ticker message and does the same work: decode; Greeks
of every position and instrument on the new spot; delta, gamma and vega of the book; are they in their bands;
if not, the matrix and costs of the hedge instruments, the linear program over every displayed level, and the
order of its largest leg as the bytes of a JSON-RPC call.

- `Naive`: json, one numpy pass with scipy's ndtr, scipy.optimize.linprog, json.
- `NaiveVollib`: the same with a loop over vollib's scalar functions for the Greeks.
- `OffTheShelf`: the fastest of what is to be had: orjson, the same numpy pass with what does not move kept
  (logs of strikes, roots of time), highspy with the model passed anew and the last basis put back, orjson.

They have no journal, no order state, no limits, no ages, no whole lots in the program: what they leave out is
ours to pay for. Time to expiry stands still within a run, as the engine's does between marks of one second.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import highspy
import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import ndtr
from vollib.black.greeks.analytical import delta as vollib_delta
from vollib.black.greeks.analytical import gamma as vollib_gamma
from vollib.black.greeks.analytical import theta as vollib_theta
from vollib.black.greeks.analytical import vega as vollib_vega

Floats = NDArray[np.float64]
ROWS = 3  # delta, gamma, vega
LEVELS = 5
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
#: USD per unit of a row outside its landing interval, times the row's scale: dearer than any hedge.
BREACH_COST = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """A book and its hedge instruments, as arrays; the last instrument is the perpetual.

    quantity (positions,). Options, positions first and then instruments: strike USD, years, vol, sign,
    ratio of forward to spot. names (instruments,). cost, size: (instruments, 2 LEVELS), buys and then sells,
    best first; cost as a fraction of spot per coin over the reference, size in coins. lot: coins.
    trigger, landing: (ROWS, 2). spot: the one it was made at.
    """

    quantity: Floats
    strike: Floats
    years: Floats
    vol: Floats
    sign: Floats
    ratio: Floats
    names: tuple[str, ...]
    cost: Floats
    size: Floats
    lot: Floats
    trigger: Floats
    landing: Floats
    spot: float

    @property
    def positions(self) -> int:
        """How many positions the book has."""
        return len(self.quantity)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of a tick. exposure (ROWS,). cost: optimum of the program, USD, 0 without one. order: bytes,
    none where nothing is due. unmet: of that cost, what no hedge could mend."""

    exposure: Floats
    cost: float
    order: bytes
    unmet: float = 0.0


class Chain(Protocol):
    """One way from ticker bytes to order bytes."""

    def tick(self, message: bytes) -> Answer:
        """Take in one message."""
        ...


def make_desk(positions: int, seed: int = 7, *, instruments: int = 50, breached: bool = True) -> Desk:
    """A seeded book whose gamma and vega are outside their bands, or with `breached` False well inside."""
    rng = np.random.default_rng(seed)
    spot, options = 70_000.0, positions + instruments - 1
    years = rng.choice([3, 10, 17, 24, 45, 73, 108, 136, 199, 290], options) / 365
    vol = 0.45 + 0.1 * rng.random(options)
    strike = np.round(spot * np.exp(rng.normal(0.0, 0.6, options) * vol * np.sqrt(years)), -2)
    sign = rng.choice([-1.0, 1.0], options)
    ratio = 1.0 + 0.03 * years
    quantity = np.round(rng.normal(-0.3, 5.0, positions), 1)
    rising = np.cumsum(rng.uniform(0.5, 1.5, (instruments, 2, LEVELS)), axis=2).reshape(instruments, -1)
    cost = rising * rng.uniform(2e-4, 6e-4, (instruments, 1))
    cost[-1] = rising[-1] * 5e-6 + 5e-4
    size = rng.integers(10, 200, (instruments, 2 * LEVELS)) / 10.0 * max(1.0, positions / 1_000) ** 0.5
    size[-1] *= 10.0
    names = tuple(f"BTC-{27 + i % 3}MAR26-{int(k)}-{'CP'[int(s < 0)]}" for i, (k, s) in enumerate(
        zip(strike[positions:], sign[positions:], strict=True)
    ))  # fmt: skip
    lot = np.full(instruments, 0.1)
    desk = Desk(
        quantity, strike, years, vol, sign, ratio, (*names, "BTC-PERPETUAL"), cost, size, lot,
        np.zeros((ROWS, 2)), np.zeros((ROWS, 2)), spot,
    )  # fmt: skip
    exposure = np.abs(_exposure(desk, _greeks(desk, spot)))
    half = exposure * np.array([0.5, 0.7, 0.7]) if breached else np.maximum(exposure, 1e-6) * 3.0
    trigger = np.column_stack([-half, half])
    return replace(desk, trigger=trigger, landing=0.8 * trigger)


def ticker_message(spot: float, n: int = 0) -> bytes:
    """A ticker notification of the perpetual in Deribit's form, at a spot."""
    data = {
        "timestamp": 1_770_000_000_000 + n, "state": "open", "settlement_price": round(spot * 1.001, 2),
        "stats": {
            "volume_usd": 1_214_930_320.0, "volume": 17_356.12, "price_change": -0.5213, "low": spot * 0.98,
            "high": spot * 1.02,
        },
        "open_interest": 980_122_310.0, "min_price": spot * 0.985, "max_price": spot * 1.015,
        "mark_price": round(spot * 1.0001, 2), "last_price": round(spot, 1), "interest_value": 0.0123,
        "instrument_name": "BTC-PERPETUAL", "index_price": round(spot, 2), "funding_8h": 1.234e-05,
        "estimated_delivery_price": round(spot, 2), "current_funding": 0.0, "best_bid_price": round(spot, 1),
        "best_bid_amount": 120_340.0, "best_ask_price": round(spot + 0.5, 1), "best_ask_amount": 98_760.0,
    }  # fmt: skip
    document = {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {"channel": "ticker.BTC-PERPETUAL.raw", "data": data},
    }
    return json.dumps(document, separators=(",", ":")).encode()


# ------------------------------------------------------------------------------------------------ Greeks


@dataclass(slots=True, eq=False)
class _Kept:
    """What of a desk does not move with the spot."""

    log_strike: Floats
    deviation: Floats
    root: Floats
    half: Floats


def _kept(desk: Desk) -> _Kept:
    root = np.sqrt(desk.years)
    deviation = desk.vol * root
    return _Kept(np.log(desk.strike), deviation, root, 0.5 * deviation)


def _greeks(desk: Desk, spot: float, kept: _Kept | None = None) -> Floats:
    """(delta, gamma, vega, theta, price) of every option, (5, options), in one numpy pass."""
    k = _kept(desk) if kept is None else kept
    forward = spot * desk.ratio
    d1 = (np.log(forward) - k.log_strike) / k.deviation + k.half
    density = _DENSITY * np.exp(-0.5 * d1 * d1)
    upper = desk.sign * ndtr(desk.sign * d1)
    gamma = density / (forward * k.deviation)
    vega = forward * density * k.root
    theta = -0.5 * desk.vol * vega / desk.years
    price = forward * upper - desk.strike * desk.sign * ndtr(desk.sign * (d1 - k.deviation))
    return np.stack([upper, gamma, vega, theta, price])


def _vollib_greeks(desk: Desk, spot: float) -> Floats:
    """The same by vollib's scalar functions; its units: vega per point, theta per day."""
    found = np.empty((5, len(desk.strike)))
    columns = (desk.sign, spot * desk.ratio, desk.strike, desk.years, desk.vol)
    for i, (sign, f, strike, years, vol) in enumerate(zip(*(x.tolist() for x in columns), strict=True)):
        flag = "c" if sign > 0 else "p"
        arguments = flag, f, strike, years, 0.0, vol
        found[0, i] = vollib_delta(*arguments)
        found[1, i] = vollib_gamma(*arguments)
        found[2, i] = vollib_vega(*arguments) * 100.0
        found[3, i] = vollib_theta(*arguments) * 365.0
        found[4, i] = math.nan
    return found


def _exposure(desk: Desk, greeks: Floats) -> Floats:
    """Delta, gamma, vega of the book, (ROWS,)."""
    return np.asarray(greeks[:ROWS, : desk.positions] @ desk.quantity)


def _per_unit(desk: Desk, greeks: Floats) -> Floats:
    """The same of one coin of each instrument, (ROWS, instruments); the perpetual is delta alone."""
    last = np.array([[1.0], [0.0], [0.0]])
    return np.concatenate([greeks[:ROWS, desk.positions :], last], axis=1)


def _outside(desk: Desk, exposure: Floats) -> bool:
    return bool(((exposure < desk.trigger[:, 0]) | (exposure > desk.trigger[:, 1])).any())


def breached(desk: Desk) -> bool:
    """Whether a row of the book is outside its trigger, from scratch: Greeks, rows, comparison."""
    return _outside(desk, _exposure(desk, _greeks(desk, desk.spot)))


# --------------------------------------------------------------------------------------------- the program


@dataclass(slots=True, eq=False)
class _Program:
    """min cost x with lower <= matrix x <= upper, 0 <= x <= size; rows scaled to 1.

    One column per level (buys positive, sells negative), then per row one for what stays below its landing
    interval and one for what stays above.
    """

    cost: Floats
    size: Floats
    matrix: Floats
    lower: Floats
    upper: Floats


def _program(desk: Desk, exposure: Floats, per_unit: Floats, spot: float) -> _Program:
    scale = 1.0 / desk.landing[:, 1]
    levels = np.concatenate(
        [np.repeat(per_unit, LEVELS, axis=1), np.repeat(-per_unit, LEVELS, axis=1)], axis=1
    )
    buys, sells = desk.cost[:, :LEVELS].ravel(), desk.cost[:, LEVELS:].ravel()
    return _Program(
        cost=np.concatenate([spot * buys, spot * sells, np.full(2 * ROWS, BREACH_COST)]),
        size=np.concatenate(
            [desk.size[:, :LEVELS].ravel(), desk.size[:, LEVELS:].ravel(), np.full(2 * ROWS, np.inf)]
        ),
        matrix=np.concatenate([levels * scale[:, None], np.eye(ROWS), -np.eye(ROWS)], axis=1),
        lower=(desk.landing[:, 0] - exposure) * scale,
        upper=(desk.landing[:, 1] - exposure) * scale,
    )


def _order(desk: Desk, x: Floats, n: int) -> dict[str, Any]:
    """The largest leg by coins, in whole lots, as the call that sends it."""
    m = len(desk.names) * LEVELS
    net = x[:m].reshape(-1, LEVELS).sum(axis=1) - x[m : 2 * m].reshape(-1, LEVELS).sum(axis=1)
    at = int(np.abs(net).argmax())
    amount = round(round(abs(float(net[at])) / float(desk.lot[at])) * float(desk.lot[at]), 10)
    return {
        "jsonrpc": "2.0",
        "id": n,
        "method": "private/buy" if net[at] > 0 else "private/sell",
        "params": {
            "instrument_name": desk.names[at],
            "amount": amount,
            "type": "limit",
            "time_in_force": "immediate_or_cancel",
            "label": f"h0000-{n}-0-0",
        },
    }


def _unmet(x: Floats) -> float:
    return float(x[-2 * ROWS :].sum()) * BREACH_COST


# ---------------------------------------------------------------------------------------------- the chains


class Naive:
    """json, numpy with ndtr from scratch, linprog, json."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._n = 0

    def greeks(self, spot: float) -> Floats:
        """Greeks of every option."""
        return _greeks(self._desk, spot)

    def tick(self, message: bytes) -> Answer:
        """Take in one message."""
        desk, self._n = self._desk, self._n + 1
        spot = float(json.loads(message)["params"]["data"]["index_price"])
        greeks = self.greeks(spot)
        exposure = _exposure(desk, greeks)
        if not _outside(desk, exposure):
            return Answer(exposure, 0.0, b"")
        program = _program(desk, exposure, _per_unit(desk, greeks), spot)
        found = linprog(
            program.cost,
            A_ub=np.concatenate([program.matrix, -program.matrix]),
            b_ub=np.concatenate([program.upper, -program.lower]),
            bounds=np.column_stack([np.zeros_like(program.size), program.size]),
        )
        if found.status != 0:
            raise RuntimeError(f"linprog: {found.message}")
        order = json.dumps(_order(desk, found.x, self._n)).encode()
        return Answer(exposure, float(found.fun), order, _unmet(found.x))


class NaiveVollib(Naive):
    """As `Naive`, the Greeks by vollib's scalar functions one option at a time."""

    def greeks(self, spot: float) -> Floats:
        """Greeks of every option."""
        return _vollib_greeks(self._desk, spot)


class OffTheShelf:
    """orjson, numpy with ndtr and what stands still kept, highspy from the last basis, orjson."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._kept = desk, _kept(desk)
        self._n = 0
        self._highs = highspy.Highs()
        for option, setting in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            self._highs.setOptionValue(option, setting)
        columns = len(desk.names) * 2 * LEVELS + 2 * ROWS
        self._lower = np.zeros(columns)
        self._starts = np.arange(columns, dtype=np.int32) * ROWS
        self._indices = np.tile(np.arange(ROWS, dtype=np.int32), columns)
        self._basis: Any = None

    def tick(self, message: bytes) -> Answer:
        """Take in one message."""
        desk, self._n = self._desk, self._n + 1
        spot = float(orjson.loads(message)["params"]["data"]["index_price"])
        greeks = _greeks(desk, spot, self._kept)
        exposure = _exposure(desk, greeks)
        if not _outside(desk, exposure):
            return Answer(exposure, 0.0, b"")
        cost, x = self._solve(_program(desk, exposure, _per_unit(desk, greeks), spot))
        return Answer(exposure, cost, orjson.dumps(_order(desk, x, self._n)), _unmet(x))

    def _solve(self, program: _Program) -> tuple[float, Floats]:
        highs, model = self._highs, highspy.HighsLp()
        model.num_col_, model.num_row_ = len(program.cost), ROWS
        model.col_cost_, model.col_lower_, model.col_upper_ = program.cost, self._lower, program.size
        model.row_lower_, model.row_upper_ = program.lower, program.upper
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_ = np.append(self._starts, np.int32(ROWS * len(program.cost)))
        model.a_matrix_.index_ = self._indices
        model.a_matrix_.value_ = program.matrix.T.ravel()
        highs.passModel(model)
        if self._basis is not None:
            highs.setBasis(self._basis)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS: {highs.getModelStatus()}")
        self._basis = highs.getBasis()
        return float(highs.getInfo().objective_function_value), np.array(highs.getSolution().col_value)


CHAINS: dict[str, type[Naive] | type[OffTheShelf]] = {
    "naive": Naive,
    "naive_vollib": NaiveVollib,
    "off_the_shelf": OffTheShelf,
}


# ------------------------------------------------------------------------------------------ replay of a tape


def replay_quotes(
    quotes: pl.DataFrame, quantities: dict[str, float], trigger: Floats, options: pl.DataFrame
) -> tuple[int, int]:
    """The off-the-shelf replay of a tape where no hedge is due: quote rows read, batches outside the trigger.

    quotes: the tape's quotes. options: symbol, strike, years (to the first batch) and sign of the listed
    options; years stand still. Per batch: polars' partition, the newest vol and forward of each option, the
    Greeks of the book in one numpy pass, and the comparison with trigger (ROWS, 2).
    """
    held = options.filter(pl.col("symbol").is_in(list(quantities)))
    symbols = held["symbol"].to_list()
    at = {symbol: i for i, symbol in enumerate(symbols)}
    quantity = np.array([quantities[symbol] for symbol in symbols])
    vol, ratio = np.full(len(symbols), np.nan), np.full(len(symbols), np.nan)
    strike, years, sign = (held[name].to_numpy() for name in ("strike", "years", "sign"))
    empty = np.zeros((ROWS, 2))
    rows = outside = 0
    for batch in quotes.partition_by("seq", maintain_order=True):
        rows += batch.height
        mine = batch.filter(pl.col("symbol").is_in(symbols))
        places = np.array([at[symbol] for symbol in mine["symbol"].to_list()], dtype=np.int64)
        vol[places], ratio[places] = mine["mark_iv"].to_numpy(), mine["forward"].to_numpy()
        desk = Desk(
            quantity,
            strike,
            years,
            vol,
            sign,
            ratio,
            (),
            empty,
            empty,
            empty,
            trigger,
            trigger,
            1.0,
        )
        exposure = _exposure(desk, _greeks(desk, 1.0))
        outside += _outside(desk, exposure)
    return rows, outside
