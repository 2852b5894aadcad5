"""The planted words as the key of an adapter under test, so that the search for them means something."""

from __future__ import annotations

from dataclasses import replace

from tests.exchanges.core import Exchange
from tests.exchanges.words import ApiKey
from tests.planted import KEY, PASSPHRASE, SECRET, SIGNING_KEY
from venues.secrets import Secret


def plant(exchange: Exchange) -> ApiKey:
    """The exchange's first key, its words exchanged for the planted ones; once is enough."""
    granted = next(iter(exchange.keys.values()))
    if granted.key == KEY:
        return granted
    del exchange.keys[granted.key]
    phrase = PASSPHRASE if granted.passphrase else ""
    return exchange.grant(replace(granted, key=KEY, secret=SECRET, passphrase=phrase))


def secrets_at(exchange: Exchange, venue: str) -> dict[str, Secret]:
    """What an adapter of the venue signs with. Hyperliquid is given a wallet's name, which is no secret, and
    the key of an agent that the loopback exchange knows as that wallet's."""
    if venue == "hyperliquid":
        wallet = next(iter(exchange.keys.values())).key
        return {"wallet": Secret(wallet), "secret": Secret(SIGNING_KEY)}
    granted = plant(exchange)
    named = {"key": granted.key, "secret": granted.secret}
    if venue == "okx":
        named["passphrase"] = granted.passphrase
    return {name: Secret(value) for name, value in named.items()}
