"""The error a user mends: every part in its place, nothing empty, the exit code of its kind."""

from __future__ import annotations

import pytest

from pricing.errors import Exit, HedgerError, InputError


def test_all_parts_in_order() -> None:
    error = InputError(
        "BOOK_NUMBER",
        "not a number",
        where="book.csv, line 3",
        observed="ten",
        allowed="a number",
        not_done="no book was read",
        fix="correct the cell",
    )
    assert str(error) == (
        "BOOK_NUMBER: not a number, where: book.csv, line 3, observed: ten, allowed: a number; "
        "no book was read; fix: correct the cell"
    )
    assert str(error) == error.text()


def test_parts_without_content_are_left_out() -> None:
    assert str(HedgerError("X", "it broke")) == "X: it broke; nothing was done"
    assert "observed: 0" in str(HedgerError("X", "zero is an observation", observed=0))


def test_a_long_observation_is_cut() -> None:
    assert len(str(InputError("X", "garbage", observed="g" * 10**6))) < 300


def test_no_part_steers_a_terminal_or_breaks_the_line() -> None:
    error = InputError("X", "a\x1b[2J", where="b\r", observed="c\nd", allowed="\x07e", fix="\u202ef")
    assert str(error) == "X: a [2J, where: b , observed: c d, allowed:  e; nothing was done; fix:  f"


@pytest.mark.parametrize(("kind", "code"), [(HedgerError, 70), (InputError, 2)])
def test_the_exit_codes_of_errors(kind: type[HedgerError], code: int) -> None:
    assert kind("X", "y").exit_code == code
    assert isinstance(kind("X", "y"), HedgerError)


def test_every_exit_code() -> None:
    assert {e.name: int(e) for e in Exit} == {
        "DONE": 0,
        "NEGATIVE": 1,
        "INVALID": 2,
        "REFUSED": 3,
        "UNAVAILABLE": 4,
        "UNRECONCILED": 5,
        "INTERNAL": 70,
        "OUTPUT": 74,
        "INTERRUPTED": 130,
        "TERMINATED": 143,
    }
