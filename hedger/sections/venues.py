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


def _address(text: str) -> str:
    """An address without a user or a password in it: it is shown, and a secret is never written here."""
    if "@" in text:
        raise ValueError("an address without user and password; keys go under key, secret and passphrase")
    return text


#: Seconds. Options that nobody subscribes to are asked for every 5 s: less would never know them.
FieldAge = Annotated[Number, Field(ge=6, le=3600)]
SecretReference = Annotated[str, AfterValidator(_reference)]


class VenueConfig(Section):
    """One account on one venue. sandbox: its test network. url: another address of its API than its own, such
    as a loopback exchange; hosts: what else its session may reach. request_pause_ms: between two requests of
    weight 1, where the venue counts by weight (Deribit has credits). A rate or time that is left out is the
    venue's own default. NAME_age_s_max: what a quote tells of NAME is not known any more once it is older,
    unless it is told anew; a channel that is silent for so long is joined again. margin: by what C9 watches a
    live account: the venue's own figures, or a model of the package's table."""

    sandbox: bool = False
    url: Annotated[str, AfterValidator(_address)] = ""
    hosts: tuple[Annotated[str, AfterValidator(_address)], ...] = ()
    account: str = ""
    key: SecretReference = ""
    secret: SecretReference = ""
    passphrase: SecretReference = ""
    wallet: SecretReference = ""
    order_rate: Number | None = Field(default=None, gt=0, le=1e4)
    order_burst: Whole | None = Field(default=None, ge=1, le=100_000)
    request_pause_ms: Number | None = Field(default=None, gt=0, le=10_000)
    answer_s_max: Number = Field(default=5.0, gt=0, le=60)
    margin: Literal["reported", "standard", "portfolio"] = "reported"
    dead_man_s: Number = Field(default=45.0, ge=5, le=600)
    levels: Whole = Field(default=20, ge=1, le=1000)
    mark_age_s_max: FieldAge | None = None
    vol_age_s_max: FieldAge | None = None
    forward_age_s_max: FieldAge | None = None
    index_age_s_max: FieldAge | None = None
    funding_age_s_max: FieldAge | None = None

    @property
    def keyed(self) -> bool:
        """Whether any part of a key is named."""
        return bool(self.key or self.secret or self.passphrase or self.wallet)
