"""Names in Deribit's recordings: of instruments, and of the forwards beside them."""

from __future__ import annotations

from pricing.contracts import Contract, Option
from pricing.errors import InputError
from pricing.market import ForwardKind
from venues.deribit_names import forward_kind, parse_name
from venues.listing_book import contract_named


def check_names(name: str, where: str) -> Contract:
    """`parse_name`, with the place of the name in its file in the error."""
    return contract_named(parse_name, name, where)


def check_forward_name(name: str | None, currency: str, where: str) -> None:
    """Refuse a forward's name unless null, `index_price`, or a (`SYN.`) future of the currency."""
    if name is None or forward_kind(name) is ForwardKind.INDEX:
        return
    contract = check_names(name.removeprefix("SYN."), where)
    if isinstance(contract, Option) or contract.underlying != currency:
        raise InputError(
            "SOURCE_NAME",
            "not a forward of this currency",
            where=where,
            observed=name,
            allowed=f"index_price, or a future such as {currency}-27MAR26 or SYN.{currency}-7FEB26",
            not_done="nothing was written",
            fix="correct the row at its source",
        )
