"""What numpy users pass and expect: any shape, layout, byte order and number type; `out`; one bad element."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from pricing.black76 import Greeks, Inputs, greeks, higher_greeks
from pricing.flat import FloatArray
from pricing.inverse import coin_greeks
from pricing.kernels import BLOCK
from pricing.spot import Totals, book_totals, spot_base, spot_greeks

Fields = Iterable[FloatArray]
FUNCTIONS: list[Callable[..., Fields]] = [greeks, higher_greeks, coin_greeks]
COUNT = 12


def arguments(count: int = COUNT) -> Inputs:
    """Forward, strike, years, vol, sign of options near the money."""
    rng = np.random.default_rng(1)
    return Inputs(
        60_000.0 + rng.uniform(0.0, 100.0, count),
        60_000.0 * np.exp(rng.uniform(-0.3, 0.3, count)),
        rng.uniform(0.01, 1.0, count),
        rng.uniform(0.2, 1.5, count),
        rng.choice([-1.0, 1.0], count),
    )


def strided(array: FloatArray) -> FloatArray:
    wide = np.full((array.size, 3), np.nan)
    wide[:, 1] = array
    return wide[:, 1]


def read_only(array: FloatArray) -> FloatArray:
    copy = array.copy()
    copy.setflags(write=False)
    return copy


LAYOUTS: dict[str, Callable[[FloatArray], Any]] = {
    "list": lambda array: array.tolist(),
    "strided": strided,
    "backward": lambda array: array[::-1].copy()[::-1],
    "read-only": read_only,
    "big-endian": lambda array: array.astype(">f8"),
    "unaligned": lambda array: np.frombuffer(b"x" + array.tobytes(), dtype=np.float64, offset=1),
    "objects": lambda array: array.astype(object),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_makes_no_difference(function: Callable[..., Fields], layout: str) -> None:
    given = arguments()
    kept = [LAYOUTS[layout](array) for array in given]
    for field, wanted in zip(function(*kept), function(*given), strict=True):
        np.testing.assert_array_equal(field, wanted)
        assert field.dtype == np.float64


@pytest.mark.parametrize("function", FUNCTIONS)
def test_more_dimensions_in_either_order(function: Callable[..., Fields]) -> None:
    given = arguments()
    flat = list(function(*given))
    for order in ("C", "F"):
        shaped = [np.array(array.reshape(3, 4), order=order) for array in given]
        for field, wanted in zip(function(*shaped), flat, strict=True):
            np.testing.assert_array_equal(field, wanted.reshape(3, 4))
    transposed = [array.reshape(3, 4).T for array in given]
    for field, wanted in zip(function(*transposed), flat, strict=True):
        np.testing.assert_array_equal(field, wanted.reshape(3, 4).T)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_numbers_of_other_types(function: Callable[..., Fields]) -> None:
    """float32 and integers count as the doubles they stand for; results are doubles."""
    singles = [array.astype(np.float32) for array in arguments()]
    doubles = [array.astype(np.float64) for array in singles]
    for field, wanted in zip(function(*singles), function(*doubles), strict=True):
        np.testing.assert_array_equal(field, wanted)
        assert field.dtype == np.float64
    whole = function(60_000, np.array([50_000, 70_000]), 1, 2, np.array([1, -1], dtype=np.int8))
    for field, wanted in zip(whole, function(6e4, [5e4, 7e4], 1.0, 2.0, [1.0, -1.0]), strict=True):
        np.testing.assert_array_equal(field, wanted)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_scalars_of_every_kind(function: Callable[..., Fields]) -> None:
    plain = list(function(60_000, 70_000, 0.25, 0.5, 1))
    zero_dimensional = function(*(np.array(number) for number in (6e4, 7e4, 0.25, 0.5, 1.0)))
    numpy_scalars = function(
        np.float64(6e4), np.int64(70_000), np.float32(0.25), np.float16(0.5), np.uint8(1)
    )
    one_element = function([6e4], 7e4, 0.25, 0.5, 1)
    for a, b, c, d in zip(plain, zero_dimensional, numpy_scalars, one_element, strict=True):
        assert a.shape == b.shape == c.shape == ()
        assert d.shape == (1,)
        assert float(a) == float(b) == float(c) == d[0]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_broadcasting_equals_spelling_it_out(function: Callable[..., Fields]) -> None:
    forward, strike, vol = (
        np.array([[[5e4]], [[6e4]]]),
        np.linspace(4e4, 9e4, 5),
        np.array([[0.3], [0.6], [2.0]]),
    )
    spelled = [array.copy() for array in np.broadcast_arrays(forward, strike, 0.1, vol, -1.0)]
    wanted = list(function(*spelled))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy warns whoever asks a broadcast array for its flags
        views = function(*np.broadcast_arrays(forward, strike, 0.1, vol, -1.0))
        for mixed, view, field in zip(function(forward, strike, 0.1, vol, -1), views, wanted, strict=True):
            assert mixed.shape == (2, 3, 5)
            np.testing.assert_array_equal(mixed, field)
            np.testing.assert_array_equal(view, field)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_in_nothing_out(function: Callable[..., Fields]) -> None:
    assert all(field.shape == (0,) for field in function([], 1.0, 1.0, 1.0, 1))
    assert all(field.shape == (0,) for field in function([], [], [], [], []))
    assert all(field.shape == (2, 0) for field in function(np.empty((2, 0)), 1.0, 1.0, 1.0, 1))
    with pytest.raises(ValueError, match="broadcast"):
        function([], [1.0, 2.0], 1.0, 1.0, 1)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_inputs_are_left_as_they_were(function: Callable[..., Fields]) -> None:
    given = arguments()
    before = [array.copy() for array in given]
    function(*given)
    for array, wanted in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("place", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 998, 999])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_bad_element_of_a_thousand_leaves_the_others_to_the_bit(
    function: Callable[..., Fields], place: int
) -> None:
    given = arguments(1_000)
    clean = [field.copy() for field in function(*given)]
    others = np.arange(1_000) != place
    for column, value in ((0, math.nan), (1, -1.0), (2, math.nan), (3, -0.5), (4, 0.0), (0, math.inf)):
        bad = [array.copy() for array in given]
        bad[column][place] = value
        for field, wanted in zip(function(*bad), clean, strict=True):
            assert math.isnan(field[place])
            np.testing.assert_array_equal(field[others], wanted[others])


@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, BLOCK + 1, 999])
def test_a_bad_element_after_a_move_of_the_spot(place: int) -> None:
    """In the base or among the new forwards; gone again with the next mark."""
    given = arguments(1_000)
    others = np.arange(1_000) != place
    forward = given[0] * 1.001
    base = spot_base(*given)
    clean = [field.copy() for field in spot_greeks(base, forward)[0]]
    for column, value in ((1, math.nan), (2, -1.0), (3, math.nan), (4, 0.5)):
        bad = [array.copy() for array in given]
        bad[column][place] = value
        moved, _ = spot_greeks(spot_base(*bad), forward)
        for field, wanted in zip(moved, clean, strict=True):
            assert math.isnan(field[place])
            np.testing.assert_array_equal(field[others], wanted[others])
    for value in (math.nan, 0.0, -1.0, math.inf):
        marks = forward.copy()
        marks[place] = value
        wanted_now = greeks(marks, *given[1:])
        moved, after = spot_greeks(base, marks)
        for field, now, wanted in zip(moved, wanted_now, clean, strict=True):
            np.testing.assert_array_equal(field[place], now[place])
            np.testing.assert_array_equal(field[others], wanted[others])
        recovered, _ = spot_greeks(after, forward)
        for field, wanted in zip(recovered, clean, strict=True):
            np.testing.assert_allclose(field, wanted, rtol=1e-13)
        totals, _ = book_totals(base, marks, np.ones(1_000))
        assert math.isnan(totals.price) == math.isnan(wanted_now.price[place])


def test_totals_with_limits_among_the_options() -> None:
    """Settled, worthless and certain options count with what they are worth; hand sum over the elements."""
    forward, strike, years, vol, sign = arguments(700)
    years[[0, 255, 256]] = 0.0
    vol[[1, 257, 699]] = 0.0
    vol[300] = math.inf
    strike[301] = 0.0
    vol[400], years[400] = 3.0, 1.0
    quantity = np.random.default_rng(2).normal(size=700)
    base = spot_base(forward, strike, years, vol, sign)
    totals, after = book_totals(base, forward * 1.002, quantity)
    assert after is base
    for name, total, field in zip(
        Totals._fields, totals, greeks(forward * 1.002, strike, years, vol, sign), strict=True
    ):
        terms = quantity * field
        assert abs(total - math.fsum(terms)) <= 1e-13 * math.fsum(np.abs(terms)), name


@pytest.mark.parametrize("given", [np.ones(3), np.ones((2, 2)), np.ones(0)])
def test_the_spot_path_refuses_what_does_not_fit(given: FloatArray) -> None:
    base = spot_base(6e4, [5e4, 7e4], 0.1, 0.5, 1)
    with pytest.raises(ValueError, match=r"for a base of 2 options"):
        spot_greeks(base, given)
    with pytest.raises(ValueError, match=r"for a base of 2 options"):
        book_totals(base, 6e4, given)
    with pytest.raises(ValueError, match="one dimension"):
        spot_base(np.ones((2, 2)), 1.0, 1.0, 1.0, 1)


def test_the_spot_path_of_nothing_and_of_one() -> None:
    none = spot_base([], [], [], [], [])
    assert all(field.shape == (0,) for field in spot_greeks(none, 6e4)[0])
    assert book_totals(none, 6e4, 1.0)[0] == Totals(0.0, 0.0, 0.0, 0.0, 0.0)
    one = spot_base(6e4, 7e4, 0.1, 0.5, 1)
    assert [field.tolist() for field in spot_greeks(one, 6.05e4)[0]] == [
        field.tolist() for field in spot_greeks(one, strided(np.array([6.05e4])))[0]
    ]


def fresh() -> Greeks:
    return Greeks(*(np.full(COUNT, -7.0) for _ in Greeks._fields))


def filled(out: Greeks, path: str) -> Greeks:
    """Both ways to `out`: anew, and after a move."""
    given = arguments()
    if path == "greeks":
        return greeks(*given, out=out)
    return spot_greeks(spot_base(*given), given[0], out=out)[0]


@pytest.mark.parametrize("path", ["greeks", "spot_greeks"])
def test_out_of_any_layout(path: str) -> None:
    wanted = filled(fresh(), path)
    table = np.full((COUNT, 5), -7.0)
    backward = Greeks(*(np.full(COUNT, -7.0)[::-1] for _ in Greeks._fields))
    mixed = Greeks(np.empty(COUNT), table[:, 0], table[:, 2], table[:, 4], table[:, 3])
    for out in (fresh(), Greeks(*table.T), backward, mixed):
        assert filled(out, path) is out
        for field, value in zip(out, wanted, strict=True):
            np.testing.assert_array_equal(field, value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_of_more_dimensions(order: Any) -> None:
    shaped = Inputs(*(array.reshape(3, 4) for array in arguments()))
    out = Greeks(*(np.empty((3, 4), order=order) for _ in Greeks._fields))
    assert greeks(*shaped, out=out) is out
    for field, value in zip(out, greeks(*shaped), strict=True):
        np.testing.assert_array_equal(field, value)
    single = Greeks(*(np.empty(()) for _ in Greeks._fields))
    assert greeks(6e4, 7e4, 0.25, 0.5, 1, out=single) is single
    assert float(single.price) == float(greeks(6e4, 7e4, 0.25, 0.5, 1).price)


def one_memory(shift: int, whole: int) -> tuple[FloatArray, FloatArray]:
    memory = np.zeros(whole)
    return memory[:COUNT], memory[shift : shift + COUNT]


@pytest.mark.parametrize("path", ["greeks", "spot_greeks"])
@pytest.mark.parametrize("shift", [0, 1, COUNT - 1])
@pytest.mark.parametrize("place", range(5))
def test_out_sharing_memory_with_an_input(path: str, shift: int, place: int) -> None:
    """Wholly or in part: the inputs count as they were before."""
    given = arguments()
    wanted = filled(fresh(), path)
    for field in range(5):
        inputs = [array.copy() for array in given]
        view, target = one_memory(shift, 2 * COUNT)
        view[:] = given[place]
        inputs[place] = view
        out = Greeks(*(target if k == field else np.empty(COUNT) for k in range(5)))
        if path == "greeks":
            greeks(*Inputs(*inputs), out=out)
        else:
            base = spot_base(*given)
            if place == 0:
                spot_greeks(base, view, out=out)
            else:
                base = base._replace(**{base._fields[place]: view})
                spot_greeks(base, given[0], out=out)
        for found, value in zip(out, wanted, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-13)


@pytest.mark.parametrize("path", ["greeks", "spot_greeks"])
@pytest.mark.parametrize("shift", [0, 1, COUNT - 1])
@pytest.mark.parametrize("fields", [(0, 1), (0, 4), (2, 3)])
def test_two_fields_of_out_in_one_memory_are_refused(path: str, shift: int, fields: tuple[int, int]) -> None:
    out = list(fresh())
    out[fields[0]], out[fields[1]] = one_memory(shift, 2 * COUNT)
    with pytest.raises(ValueError, match="two fields of `out` share memory"):
        filled(Greeks(*out), path)
    assert all(set(np.unique(field)) <= {0.0, -7.0} for field in out)  # nothing was written


def test_out_that_cannot_be_used_is_refused_whole() -> None:
    column = np.zeros((COUNT, 2))[:, 0]
    cases: list[tuple[int, Any, str]] = [
        (0, np.zeros(COUNT - 1), r"out\.price is float64 of shape \(11,\)"),
        (1, np.zeros((COUNT, 1)), r"out\.delta is float64 of shape \(12, 1\)"),
        (2, np.zeros(COUNT, dtype=np.float32), r"out\.gamma is float32"),
        (3, np.zeros(COUNT, dtype=">f8"), r"out\.vega is >f8"),
        (4, read_only(np.zeros(COUNT)), r"out\.theta is read-only"),
    ]
    for place, array, message in cases:
        for path in ("greeks", "spot_greeks"):
            out = Greeks(*(array if k == place else field for k, field in enumerate(fresh())))
            with pytest.raises(ValueError, match=message):
                filled(out, path)
            assert all((field == -7.0).all() for k, field in enumerate(out) if k != place)
    with pytest.raises(ValueError, match="share memory"):
        filled(Greeks(column, column, *(np.zeros(COUNT) for _ in range(3))), "greeks")
