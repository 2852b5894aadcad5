"""The venues that a desk trades on: the keys of `[venues.NAME]`. Pure data, and no secret is ever in it.

Keys are named by reference: `env:NAME`, `file:PATH` (mode 0600) or `keyring:SERVICE/USER`. What stands in a
key's place and is no reference is refused without being shown, since it may be the key itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hedger.sections.section import Number, Section, Whole

VenueName = Literal["deribit", "okx", "bybit", "binance", "binanceusdm", "binancecoinm", "hyperliquid"]

_PLACES = ("env:", "file:", "keyring:")


def _reference(text: str) -> str:
    """A reference to a secret, or nothing."""
    if text and not any(text.startswith(place) and len(text) > len(place) for place in _PLACES):
        raise ValueError("env:NAME, file:PATH or keyring:SERVICE/USER; the secret itself never stands here")
    return text


SecretReference = Annotated[str, AfterValidator(_reference)]


class VenueConfig(Section):
    """One account on one venue. sandbox: its test network. url: another address of its API than its own, such
    as a loopback exchange; hosts: what else its session may reach. request_pause_ms: between two requests of
    weight 1, where the venue counts by weight (Deribit has credits). A rate or time that is left out is the
    venue's own default."""

    sandbox: bool = False
    url: str = ""
    hosts: tuple[str, ...] = ()
    account: str = ""
    key: SecretReference = ""
    secret: SecretReference = ""
    passphrase: SecretReference = ""
    wallet: SecretReference = ""
    order_rate: Number | None = Field(default=None, gt=0, le=1e4)
    order_burst: Whole | None = Field(default=None, ge=1, le=100_000)
    request_pause_ms: Number | None = Field(default=None, gt=0, le=10_000)
    answer_s_max: Number = Field(default=5.0, gt=0, le=60)
    dead_man_s: Number = Field(default=45.0, ge=5, le=600)
    levels: Whole = Field(default=20, ge=1, le=1000)
