"""What a venue's secrets look like, looked at where they are read: one of another shape signs nothing.

A key with a digit too many, with its quotes, a list of words in its place or a PEM that lost a line would
fail in the middle of a signature, where whatever fails is taken for a fault of the program. What is refused
here is named by its place; no byte of it is told, not even how long it is.

    hyperliquid   a private key of secp256k1 (32 bytes in hexadecimal, not 0 and less than the curve's order:
                  SEC 2, section 2.4.1), and the address of a wallet (20 bytes in hexadecimal)
    the others    ASCII, as headers are; where the secret is a private key, a PEM without a passphrase, of a
                  kind that the library signs with at that venue: Ed25519 or RSA on Binance, RSA on Bybit
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pricing.errors import InputError
from venues.secrets import Secret

_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_PRIVATE_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_BINANCE = (Ed25519PrivateKey, RSAPrivateKey)
#: Kinds of private keys that a venue's requests are signed with; elsewhere a secret is a text.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "binance": _BINANCE,
    "binanceusdm": _BINANCE,
    "binancecoinm": _BINANCE,
    "bybit": (RSAPrivateKey,),
}
#: The library takes a PEM of at most so many characters on Binance for Ed25519, and a longer one for RSA.
_ED25519_CHARS_MAX = 120


def check_shapes(venue: str, secrets: Mapping[str, Secret], refs: Mapping[str, str]) -> None:
    """Return where each of a venue's secrets has its shape. refs: where each lies, by what it is.

    Raises:
        InputError: one has another; nothing of it is told.
    """
    for name, secret in secrets.items():
        allowed = _wrong(venue, name, secret.reveal())
        if allowed:
            _refuse(refs.get(name, f"venues.{venue}.{name}"), allowed)


def _wrong(venue: str, name: str, text: str) -> str:
    """What a secret must be that is something else; "" where it is that."""
    if venue == "hyperliquid":
        if name == "wallet":
            return "" if _ADDRESS.fullmatch(text) else "an address: 0x and 40 hexadecimal digits"
        known = _PRIVATE_KEY.fullmatch(text) and 0 < int(text, 16) < _ORDER
        return "" if known else "a private key: 64 hexadecimal digits, with 0x before them or without"
    if not text.isascii():
        return "letters, digits and signs of ASCII"
    if "PRIVATE KEY" not in text and "-----" not in text:
        return ""
    kinds = _KINDS.get(venue, ()) if name == "secret" else ()
    if not kinds:
        return "a text of one line: no private key is taken there"
    key = _loaded(text)
    fits = isinstance(key, kinds)
    if venue != "bybit":
        fits = fits and isinstance(key, Ed25519PrivateKey) == (len(text) <= _ED25519_CHARS_MAX)
    words = " or ".join("Ed25519" if kind is Ed25519PrivateKey else "RSA" for kind in kinds)
    return "" if fits else f"a text of one line, or a whole private key in PEM, {words}, without a passphrase"


def _loaded(text: str) -> object:
    """The private key in a PEM; None: there is none that can be read."""
    try:
        return load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _refuse(where: str, allowed: str) -> NoReturn:
    raise InputError(
        "SECRET",
        "what is there is no secret of this kind",
        where=where,
        allowed=allowed,
        not_done="no venue was called; nothing of it was shown",
        fix="copy it once more, whole, without quotes",
    ) from None
