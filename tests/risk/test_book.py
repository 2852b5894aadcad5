"""The ledger: exact in any order, gains of inverse and linear futures, settlement, the doors to floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Kind, Listing, Option, Side
from pricing.errors import InputError
from pricing.universe import Universe
from risk.book import Book, Fill, Position, PositionKey, as_decimal
from tests.builders import future, listing, option, perpetual, spot

D = Decimal
PERP = listing(perpetual())
LINEAR = listing(perpetual(inverse=False))
COIN_FUTURE = listing(future(30), venue="okx", size="100")
DOLLAR_FUTURE = listing(future(30, inverse=False), venue="okx", size="0.001")
CALL = listing(option(60_000, "C", 30))
PUT = listing(option(60_000, "P", 30, inverse=False), venue="okx", size="0.01")
SPOT = listing(spot())
LISTINGS = (PERP, LINEAR, COIN_FUTURE, DOLLAR_FUTURE, CALL, PUT, SPOT)
FUTURES = (PERP, LINEAR, COIN_FUTURE, DOLLAR_FUTURE)


def fill(
    item: Listing,
    side: Side,
    quantity: str,
    price: str,
    fee: str = "0",
    currency: str = "USDC",
    account: str = "",
) -> Fill:
    return Fill(item, side, D(quantity), D(price), D(fee), currency, account)


def buy(item: Listing, quantity: str, price: str) -> Fill:
    return fill(item, Side.BUY, quantity, price)


def sell(item: Listing, quantity: str, price: str) -> Fill:
    return fill(item, Side.SELL, quantity, price)


def booked(*fills: Fill, start: Book | None = None) -> Book:
    book = start or Book()
    for one in fills:
        book = book.apply(one)
    return book


PRICES: dict[tuple[str, str], float] = {item.key: 61_234.5 for item in FUTURES}

DRAWN_FILLS = st.lists(
    st.builds(
        Fill,
        listing=st.sampled_from(LISTINGS),
        side=st.sampled_from(Side),
        quantity=st.decimals("0.001", "5000", places=3),
        price=st.decimals("0.0001", "99999", places=4),
        fee=st.decimals("-5", "5", places=8),
        fee_currency=st.sampled_from(["BTC", "USDC", "BNB"]),
        account=st.sampled_from(["", "hedges"]),
    ),
    max_size=8,
)
DRAWN_PRICES = st.fixed_dictionaries({item.key: st.floats(1.0, 1e6) for item in FUTURES})


def exact_state(book: Book) -> tuple[object, ...]:
    """Everything but the average price, which is for display and depends on the order."""
    positions = {k: (p.listing, p.quantity, p.paid) for k, p in book.positions.items()}
    return positions, {k: v for k, v in book.cash.items() if v}


# ------------------------------------------------------------------------------------------------ any order
@given(DRAWN_FILLS, st.randoms(use_true_random=False), DRAWN_PRICES)
def test_fills_in_any_order_give_the_same_book(
    fills: list[Fill], random: object, prices: dict[tuple[str, str], float]
) -> None:
    """Position, cash and total P&L to the last digit: no float is near."""
    shuffled = list(fills)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = booked(*fills), booked(*shuffled)
    assert exact_state(one) == exact_state(other)
    assert one.balances(prices) == other.balances(prices)


@given(DRAWN_FILLS, DRAWN_PRICES)
def test_the_ledger_against_a_plain_sum_over_fills(
    fills: list[Fill], prices: dict[tuple[str, str], float]
) -> None:
    """Theory 1.4 fill by fill: inverse Q (1/p - 1/F) coin, linear q (F - p); premiums and fees as paid."""
    totals: dict[str, Fraction] = {}
    held: dict[PositionKey, Fraction] = {}

    def add(currency: str, amount: Fraction) -> None:
        totals[currency] = totals.get(currency, Fraction(0)) + amount

    for f in fills:
        contract = f.listing.contract
        units = f.side.sign * Fraction(f.quantity)
        natural, price = units * Fraction(f.listing.size), Fraction(f.price)
        key = (f.listing.venue, f.listing.symbol, f.account)
        add(f.fee_currency, -Fraction(f.fee))
        if contract.kind in (Kind.PERPETUAL, Kind.FUTURE):
            mark = Fraction(D(repr(prices[f.listing.key])))
            add(contract.settlement, natural * (1 / price - 1 / mark if contract.inverse else mark - price))
            held[key] = held.get(key, Fraction(0)) + units
        elif contract.kind is Kind.OPTION:
            add(contract.settlement, -natural * price)
            held[key] = held.get(key, Fraction(0)) + units
        else:
            add("USDC", -natural * price)
            add("BTC", natural)
    book = booked(*fills)
    balances = book.balances(prices)
    assert {c: x for c, x in balances.items() if x} == {c: x for c, x in totals.items() if x}
    assert {k: p.quantity for k, p in book.positions.items() if p.quantity} == {
        k: q for k, q in held.items() if q
    }


@given(DRAWN_FILLS, st.lists(DRAWN_PRICES, max_size=3), DRAWN_PRICES, st.data())
def test_total_gain_does_not_depend_on_when_it_was_marked(
    fills: list[Fill],
    markings: list[dict[tuple[str, str], float]],
    last: dict[tuple[str, str], float],
    data: st.DataObject,
) -> None:
    """Daily settlement at any prices, at any moments, moves gains into cash and creates none."""
    events: list[Fill | Mapping[tuple[str, str], float]] = list(fills)
    for prices in markings:
        events.insert(data.draw(st.integers(0, len(events))), prices)
    book = Book()
    for event in events:
        book = book.apply(event) if isinstance(event, Fill) else book.marked(event)
    plain = booked(*fills).balances(last)
    assert {c: x for c, x in book.balances(last).items() if x} == {c: x for c, x in plain.items() if x}


@given(DRAWN_FILLS, DRAWN_PRICES)
def test_marking_leaves_no_gain_behind(fills: list[Fill], prices: dict[tuple[str, str], float]) -> None:
    marked = booked(*fills).marked(prices)
    assert marked.balances(prices) == marked.balances()
    assert all(p.quantity for p in marked.positions.values())
    assert marked.marked(prices) == marked


# ------------------------------------------------------------------------------------------- numbers by hand
@pytest.mark.parametrize(
    ("item", "side", "gain", "currency"),
    [
        (PERP, Side.BUY, Fraction(10_000, 50_000) - Fraction(10_000, 62_500), "BTC"),
        (PERP, Side.SELL, Fraction(10_000, 62_500) - Fraction(10_000, 50_000), "BTC"),
        (COIN_FUTURE, Side.BUY, Fraction(1_000_000, 50_000) - Fraction(1_000_000, 62_500), "BTC"),
        (LINEAR, Side.BUY, Fraction(10_000 * 12_500), "USDC"),
        (LINEAR, Side.SELL, Fraction(-10_000 * 12_500), "USDC"),
        (DOLLAR_FUTURE, Side.BUY, Fraction(10 * 12_500), "USDC"),
    ],
)
def test_gains_of_futures(item: Listing, side: Side, gain: Fraction, currency: str) -> None:
    """10,000 order units from 50,000 to 62,500: Q (1/F0 - 1/F) coin; the first line is 0.04 BTC."""
    book = booked(fill(item, side, "10000", "50000"))
    assert book.balances({item.key: 62_500.0}) == {currency: gain}
    assert book.balances({item.key: 50_000.0}) == {currency: 0}
    assert book.cash == {}


def test_the_gain_in_dollars_is_that_of_the_notional() -> None:
    """P&L [USD at F] = Q (F/F0 - 1)."""
    book = booked(buy(PERP, "10000", "48000"))
    gain = book.balances({PERP.key: 51_000.0})["BTC"]
    assert gain * 51_000 == Fraction(10_000) * (Fraction(51_000, 48_000) - 1) == 625


def test_a_round_trip_realises_its_gain_and_keeps_it() -> None:
    """Closed, the row stays until it is settled; no price is asked for it."""
    book = booked(buy(PERP, "10000", "50000"), sell(PERP, "10000", "62500"))
    (position,) = book.positions.values()
    assert position.quantity == 0
    assert position.average_price is None
    assert book.balances({}) == {"BTC": Fraction(1, 25)}
    assert book.marked({}) == Book.of([], {("deribit", "", "BTC"): Fraction(1, 25)})
    reopened = booked(buy(PERP, "5000", "62500"), start=book)
    assert reopened.balances({PERP.key: 62_500.0}) == {"BTC": Fraction(1, 25)}
    assert reopened.positions[position.key].average_price == 62_500


def test_a_flat_round_trip_leaves_nothing() -> None:
    for item in LISTINGS:
        book = booked(buy(item, "3", "50000"), sell(item, "3", "50000"))
        assert not any(book.cash.values())
        assert book.positions == {}


def test_premiums_are_paid_in_the_settlement_currency() -> None:
    """0.2 coin options at 0.05; 30 contracts of 0.01 coin at 1,500 USD."""
    book = booked(
        fill(CALL, Side.BUY, "0.2", "0.05", "0.00006", "BTC"),
        fill(PUT, Side.SELL, "30", "1500", "0.9", "USDC"),
    )
    assert book.cash == {
        ("deribit", "", "BTC"): Fraction("-0.01006"),
        ("okx", "", "USDC"): Fraction("449.1"),
    }
    assert book.balances() == {"BTC": Fraction("-0.01006"), "USDC": Fraction("449.1")}


def test_coins_are_cash_and_not_also_a_position() -> None:
    book = booked(fill(SPOT, Side.BUY, "2", "60000", "0.001", "BTC"), fill(SPOT, Side.SELL, "0.5", "61000"))
    assert book.positions == {}
    assert book.balances() == {"BTC": Fraction("1.499"), "USDC": Fraction(-89_500)}


def test_fees_leave_the_balance_of_their_own_currency_and_account() -> None:
    book = booked(
        fill(PERP, Side.BUY, "10", "50000", "0.5", "BNB", "a"),
        fill(PERP, Side.BUY, "10", "50000", "-0.25", "BNB", "b"),
    )
    assert book.cash == {("deribit", "a", "BNB"): Fraction(-1, 2), ("deribit", "b", "BNB"): Fraction(1, 4)}
    assert set(book.positions) == {("deribit", PERP.symbol, "a"), ("deribit", PERP.symbol, "b")}


def test_payments_that_are_no_trades() -> None:
    """Funding paid is positive, received negative."""
    book = Book.of([], {("deribit", "", "BTC"): D("1")}).pay("deribit", "", "BTC", D("0.1"))
    assert book.pay("deribit", "", "USDC", D("-5")).balances() == {"BTC": Fraction("0.9"), "USDC": 5}


# --------------------------------------------------------------------------------------------------- settling
@pytest.mark.parametrize(
    ("right", "inverse", "quantity", "settled_at", "received"),
    [
        ("C", True, "2", "80000", Fraction(2 * 20_000, 80_000)),
        ("C", True, "-2", "80000", Fraction(-2 * 20_000, 80_000)),
        ("C", True, "2", "60000", Fraction(0)),
        ("P", True, "3", "40000", Fraction(3 * 20_000, 40_000)),
        ("P", True, "3", "60000.01", Fraction(0)),
        ("C", False, "2", "80000", Fraction(40_000)),
        ("P", False, "-3", "40000", Fraction(-60_000)),
    ],
)
@pytest.mark.parametrize("size", ["1", "0.01"])
def test_options_pay_at_expiry(
    right: str, inverse: bool, quantity: str, settled_at: str, received: Fraction, size: str
) -> None:
    """max(sign (S - 60000), 0), in coin divided by S."""
    item = listing(option(60_000, right, 30, inverse=inverse), size=size)
    position = Position(item, "", D(quantity))
    book = Book.of([position], {}).settle(position.key, D(settled_at))
    assert book.positions == {}
    assert book.balances() == {"BTC" if inverse else "USDC": received * Fraction(size)}


@given(DRAWN_FILLS, st.decimals("1", "99999", places=2))
def test_settling_a_future_is_its_gain_and_nothing_else(fills: list[Fill], price: Decimal) -> None:
    futures = [f for f in fills if f.listing.contract.kind is Kind.FUTURE]
    book = booked(*futures)
    expected = book.balances({item.key: float(price) for item in FUTURES})
    for key in list(book.positions):
        book = book.settle(key, price)
    assert book.positions == {}
    assert {c: x for c, x in book.balances().items() if x} == {c: x for c, x in expected.items() if x}


@pytest.mark.parametrize("item", [PERP, LINEAR])
def test_a_perpetual_does_not_expire(item: Listing) -> None:
    book = booked(buy(item, "10", "50000"))
    with pytest.raises(ValueError, match=r"PERPETUAL cannot settle"):
        book.settle(next(iter(book.positions)), D("50000"))


@pytest.mark.parametrize("price", ["0", "-1", "NaN"])
def test_nothing_settles_at_no_price(price: str) -> None:
    book = booked(buy(COIN_FUTURE, "10", "50000"))
    with pytest.raises((ValueError, ArithmeticError)):
        book.settle(next(iter(book.positions)), D(price))
    with pytest.raises(KeyError):
        book.settle(("deribit", "no such", ""), D("1"))


# --------------------------------------------------------------------------------------------- from a file
@given(
    st.dictionaries(
        st.sampled_from(FUTURES), st.decimals("-9999", "9999", places=2).filter(lambda q: q != 0), min_size=1
    ),
    DRAWN_PRICES,
    DRAWN_PRICES,
)
def test_a_book_from_a_file_gains_from_its_first_mark_on(
    held: dict[Listing, Decimal], first: dict[tuple[str, str], float], then: dict[tuple[str, str], float]
) -> None:
    """Its cash holds all gains up to that mark, whatever its average prices say."""
    cash = {("deribit", "", "BTC"): D("1.5"), ("okx", "", "USDC"): D("-7")}
    read = Book.of([Position(x, "", q, average_price=D(1)) for x, q in held.items()], cash)
    opened = read.opened_at(first)
    assert opened.balances(first) == read.balances()
    gains: dict[str, Fraction] = {"BTC": Fraction("1.5"), "USDC": Fraction(-7)}
    for item, q in held.items():
        a, b = (Fraction(D(repr(p[item.key]))) for p in (first, then))
        natural = Fraction(q) * Fraction(item.size)
        gains[item.contract.settlement] += natural * (1 / a - 1 / b if item.contract.inverse else b - a)
    assert opened.balances(then) == gains


def test_without_prices_gains_are_left_out() -> None:
    book = booked(buy(PERP, "10000", "50000"), start=Book.of([], {("deribit", "", "BTC"): D("1")}))
    assert book.balances() == {"BTC": 1}


USES: list[Callable[[Book, dict[tuple[str, str], float]], object]] = [
    Book.balances,
    Book.marked,
    Book.opened_at,
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
@pytest.mark.parametrize("item", [PERP, LINEAR])
def test_a_gain_at_an_unknown_price_is_refused_by_name(
    use: Callable[[Book, dict[tuple[str, str], float]], object], bad: float, item: Listing
) -> None:
    book = booked(buy(item, "10", "50000"))
    with pytest.raises(ValueError, match=rf"deribit {item.symbol}: gains cannot be reckoned"):
        use(book, {item.key: bad})
    with pytest.raises(KeyError):
        use(book, {})


def test_prices_may_be_of_any_float_kind() -> None:
    book = booked(buy(PERP, "10000", "50000"))
    assert book.balances({PERP.key: np.float64(62_500.0)}) == {"BTC": Fraction(1, 25)}
    contract = (
        replace(CALL.contract, strike=np.float64(60_000.0)) if isinstance(CALL.contract, Option) else None
    )
    assert contract is not None
    position = Position(listing(contract), "", D(1))
    assert Book.of([position], {}).settle(position.key, D(80_000)).balances() == {"BTC": Fraction(1, 4)}


# ------------------------------------------------------------------------------------------- average, display
def averages(item: Listing, *trades: tuple[str, str]) -> Decimal | None:
    book = booked(*(buy(item, q, p) if D(q) > 0 else sell(item, q[1:], p) for q, p in trades))
    (position,) = book.positions.values()
    return position.average_price


def test_the_average_of_entries() -> None:
    assert averages(LINEAR, ("1", "100"), ("3", "200")) == 175
    assert averages(LINEAR, ("-1", "100"), ("-3", "200")) == 175
    assert averages(LINEAR, ("4", "100"), ("-3", "500")) == 100
    assert averages(LINEAR, ("4", "100"), ("-3", "500"), ("1", "300")) == 200
    assert averages(LINEAR, ("1", "100"), ("-3", "500")) == 500
    assert averages(CALL, ("1", "0.01"), ("1", "0.03")) == D("0.02")


def test_the_average_of_an_inverse_position_is_harmonic() -> None:
    """Else Q (1/average - 1/F) would not be its gain: 10,000 at 40,000 and at 60,000 average to 48,000."""
    assert averages(PERP, ("10000", "40000"), ("10000", "60000")) == 48_000
    book = booked(buy(PERP, "10000", "40000"), buy(PERP, "10000", "60000"))
    assert book.balances({PERP.key: 48_000.0}) == {"BTC": 0}


@pytest.mark.parametrize("item", [PERP, CALL])
def test_an_unknown_average_stays_unknown(item: Listing) -> None:
    start = Book.of([Position(item, "", D(10))], {})
    (position,) = booked(buy(item, "5", "100"), start=start).positions.values()
    assert position.average_price is None
    nought = Book.of([Position(PERP, "", D(10), average_price=D(0))], {})
    (position,) = booked(buy(PERP, "5", "100"), start=nought).positions.values()
    assert position.average_price is None


def test_averages_do_not_touch_the_sums() -> None:
    fills = [buy(PERP, "10", "40000"), sell(PERP, "30", "50000"), buy(PERP, "5", "60000")]
    states = {repr(exact_state(booked(*order))) for order in permutations(fills)}
    assert len(states) == 1


# ---------------------------------------------------------------------------------------------- doors, faults
def test_quantities_sum_accounts_and_keep_signs() -> None:
    universe = Universe.of(LISTINGS)
    book = Book.of(
        [Position(PERP, "a", D("0.1")), Position(PERP, "b", D("0.2")), Position(PUT, "", D(-7))],
        {},
    )
    assert book.quantities(universe).tolist() == [0.3, 0, 0, 0, 0, -7, 0]


def test_a_position_outside_the_universe_is_an_error_and_not_zero() -> None:
    book = Book.of([Position(CALL, "", D(1))], {})
    with pytest.raises(InputError, match=r"BOOK_UNKNOWN_SYMBOL.*deribit BTC-BTC-OPTION"):
        book.quantities(Universe.of([PERP]))


def test_a_closed_future_may_leave_the_universe() -> None:
    """Its gain waits for settlement, its listing is gone: its quantity is known, and zero."""
    book = booked(buy(COIN_FUTURE, "10", "50000"), sell(COIN_FUTURE, "10", "60000"), buy(PERP, "10", "50000"))
    assert book.quantities(Universe.of([PERP])).tolist() == [10.0]


def test_a_position_twice_is_refused() -> None:
    with pytest.raises(InputError, match="BOOK_DUPLICATE"):
        Book.of([Position(CALL, "", D(1)), Position(CALL, "", D(2))], {})


@pytest.mark.parametrize(
    "news",
    [
        {"quantity": D(0)},
        {"quantity": D(-1)},
        {"quantity": D("NaN")},
        {"price": D(0)},
        {"price": D(-1)},
        {"price": D("Infinity")},
        {"fee": D("NaN")},
    ],
)
def test_fills_that_make_no_sense(news: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        replace(buy(PERP, "10", "50000"), **news)  # type: ignore[arg-type]


def test_more_digits_than_can_be_added_exactly_are_refused() -> None:
    """40 digits are added as they are; beyond 60 the ledger raises and does not round."""
    tiny, huge = "0." + "0" * 19 + "1", "1" + "0" * 19
    (position,) = booked(buy(PERP, huge, "1"), buy(PERP, tiny, "1")).positions.values()
    assert Fraction(position.quantity) == Fraction(D(huge)) + Fraction(D(tiny))
    with pytest.raises(ArithmeticError):
        booked(buy(PERP, "1e60", "1"), buy(PERP, tiny, "1"))


def test_books_are_values() -> None:
    """A fill makes a new book; the old one is as before and cannot be written to."""
    old = booked(buy(PERP, "10", "50000"))
    before = exact_state(old)
    booked(sell(PERP, "99", "51000"), buy(CALL, "1", "0.05"), start=old)
    assert exact_state(old) == before
    with pytest.raises(TypeError):
        old.cash[("deribit", "", "BTC")] = Fraction(1)  # type: ignore[index]


@given(st.integers(-(10**40), 10**40), st.integers(0, 32))
def test_an_amount_that_is_a_decimal_is_told_to_its_last_digit(top: int, places: int) -> None:
    amount = Fraction(top, 10**places)
    told = as_decimal(amount)
    assert Fraction(told) == amount
    assert "E+" not in str(told)
    assert "." not in f"{told:f}" or f"{told:f}"[-1] != "0", "no idle zeros"


def test_an_amount_that_is_no_decimal_is_the_nearest_of_28_digits() -> None:
    assert as_decimal(Fraction(2, 3)) == Decimal("0." + "6" * 27 + "7")
