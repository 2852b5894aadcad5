"""Every test of the hedger runs in an empty folder, without the desk's own settings in the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hedger.command_line import make_book, make_tape


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("HEDGER__"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated market on two coins, three batches a minute apart."""
    return make_tape(tmp_path_factory.mktemp("market") / "tape")


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Out of its bands on both coins: short options, coins, dollars."""
    rows = [
        ("BTC-27MAR26-68000-C", -40),
        ("BTC-24APR26-65000-P", "-35.5"),
        ("BTC-3MAR26-69500-C", "-3"),
        ("ETH-27MAR26-2100-P", -500),
        ("ETH-26JUN26-2200-C", 200),
        ("BTC-PERPETUAL", -250_000),
        ("BTC", "12.5"),
        ("ETH", 100),
        ("USDC", 1_000_000),
    ]
    return make_book(tmp_path_factory.mktemp("book") / "book.csv", rows)
