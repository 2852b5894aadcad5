"""Deribit's instruments in small: inverse and USDC options, perpetuals, a dated future, spot.

Terms (ticks and their steps, lots, fees, contract sizes) are those of recorded `get_instruments` answers:
inverse perpetuals are sized in USD, options and linear products in coins; inverse options cost coins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.exchanges.clock import NS
from tests.exchanges.words import ONE, ZERO, Instrument, Kind

D = Decimal
_FUTURE_TAKER = D("0.0005")
_OPTION_FEE = D("0.0003")
_OPTION_CAP = D("0.125")
_CREATED_NS = 1_534_167_754 * NS

#: Inverse: tick of futures, USD per contract, option tick steps, least option amount.
_INVERSE = {
    "BTC": (D("0.5"), D(10), ((ZERO, D("0.0001")), (D("0.005"), D("0.0005"))), D("0.1")),
    "ETH": (D("0.05"), ONE, ((ZERO, D("0.0001")), (D("0.005"), D("0.0005"))), ONE),
}
#: Linear (USDC): tick of the perpetual, its least amount, option tick steps, least option amount.
_LINEAR = {
    "BTC": (D("0.5"), D("0.0001"), ((ZERO, D(5)), (D(1000), D(10))), D("0.01")),
    "ETH": (D("0.05"), D("0.001"), ((ZERO, D("0.2")), (D(100), D("0.5"))), D("0.1")),
}


def expiries_after(now_ns: int, days: Sequence[int]) -> list[int]:
    """The 08:00 UTC so many days after today's midnight, in ns."""
    midnight = datetime.fromtimestamp(now_ns // NS, tz=UTC).replace(hour=0, minute=0, second=0)
    return [int((midnight + timedelta(days=n, hours=8)).timestamp()) * NS for n in days]


def expiry_name(expiry_ns: int) -> str:
    """As in instrument names.

    >>> expiry_name(1_735_286_400_000_000_000)
    '27DEC24'
    """
    return datetime.fromtimestamp(expiry_ns // NS, tz=UTC).strftime("%-d%b%y").upper()


def perpetual(base: str, *, inverse: bool = True) -> Instrument:
    """BTC-PERPETUAL (USD, BTC-settled) or BTC_USDC-PERPETUAL (coins)."""
    if inverse:
        tick, contract, _, _ = _INVERSE[base]
        return Instrument(
            f"{base}-PERPETUAL", Kind.PERPETUAL, base, "USD", base, base, ((ZERO, tick),), contract, contract,
            inverse=True, created_ns=_CREATED_NS, number=124_972, taker_fee=_FUTURE_TAKER,
        )  # fmt: skip
    tick, lot, _, _ = _LINEAR[base]
    return Instrument(
        f"{base}_USDC-PERPETUAL", Kind.PERPETUAL, base, "USDC", "USDC", base, ((ZERO, tick),), lot, lot,
        created_ns=_CREATED_NS, number=124_973, taker_fee=_FUTURE_TAKER,
    )  # fmt: skip


def future(base: str, expiry_ns: int) -> Instrument:
    """A dated inverse future."""
    tick, contract, _, _ = _INVERSE[base]
    return Instrument(
        f"{base}-{expiry_name(expiry_ns)}", Kind.FUTURE, base, "USD", base, base, ((ZERO, tick),), contract,
        contract, inverse=True, created_ns=_CREATED_NS, expiry_ns=expiry_ns, taker_fee=_FUTURE_TAKER,
    )  # fmt: skip


def option(base: str, expiry_ns: int, strike: int, right: str, *, inverse: bool = True) -> Instrument:
    """BTC-27DEC24-100000-C, or BTC_USDC-27DEC24-100000-C."""
    _, _, steps, least = (_INVERSE if inverse else _LINEAR)[base]
    name = f"{base if inverse else base + '_USDC'}-{expiry_name(expiry_ns)}-{strike}-{right}"
    settle = base if inverse else "USDC"
    return Instrument(
        name, Kind.OPTION, base, settle, settle, base, steps, least, least, inverse=inverse,
        created_ns=_CREATED_NS, expiry_ns=expiry_ns, strike=D(strike), right=right, maker_fee=_OPTION_FEE,
        taker_fee=_OPTION_FEE, fee_cap=_OPTION_CAP,
    )  # fmt: skip


def spot(base: str) -> Instrument:
    """BTC_USDC, free of fees."""
    lot, tick = (D("0.0001"), D("0.5")) if base == "BTC" else (D("0.001"), D("0.05"))
    return Instrument(
        f"{base}_USDC", Kind.SPOT, base, "USDC", "USDC", base, ((ZERO, tick),), lot, lot,
        created_ns=_CREATED_NS,
    )  # fmt: skip


def listing(
    now_ns: int,
    spots: dict[str, float],
    *,
    days: Sequence[int] = (2, 9, 37),
    strikes: int = 5,
    linear: bool = True,
) -> list[Instrument]:
    """Per base a perpetual, a future, an option chain of so many strikes, their USDC twins, spot."""
    rows: list[Instrument] = []
    expiries = expiries_after(now_ns, days)
    for base, price in spots.items():
        rows += [perpetual(base), future(base, expiries[-1]), spot(base)]
        step = 1000 if price > 10_000 else 50
        middle = round(price / step) * step
        ladder = [middle + step * (k - strikes // 2) for k in range(strikes)]
        for inverse in (True, False) if linear else (True,):
            if not inverse:
                rows.append(perpetual(base, inverse=False))
            for expiry in expiries:
                for strike in ladder:
                    rows += [option(base, expiry, strike, right, inverse=inverse) for right in "CP"]
    return rows
