"""Secrets of another shape than the venue's: refused where they are read, and nothing of them shown."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from hedger.runs.venue_setup import adapter
from hedger.sections.venues import VenueConfig, VenueName
from pricing.errors import Exit, InputError
from venues.secret_shapes import check_shapes
from venues.secrets import Secret

DIGITS = "5c3a9d17" * 8
WALLET = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
#: The order of secp256k1, as SEC 2 prints it.
ORDER = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141"
BEFORE_IT = ORDER[:-1] + "0"


def pem(
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    locked: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked or NoEncryption()).decode().strip()


ED25519 = pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RSA = pem(rsa.generate_private_key(65537, 1024))
CURVE = pem(ec.derive_private_key(7, ec.SECP256R1()))
LOCKED = pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))), BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    ("venue", "name", "text"),
    [
        ("hyperliquid", "secret", DIGITS),
        ("hyperliquid", "secret", "0x" + DIGITS.upper()),
        ("hyperliquid", "secret", BEFORE_IT),
        ("hyperliquid", "secret", "0" * 63 + "1"),
        ("hyperliquid", "wallet", WALLET),
        ("hyperliquid", "wallet", WALLET.lower()),
        ("binance", "secret", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"),
        ("binance", "secret", ED25519),
        ("binanceusdm", "secret", RSA),
        ("bybit", "secret", RSA),
        ("okx", "passphrase", "a+b/c='\"\\ !#"),
        ("deribit", "secret", "AMANDASECRECT-_="),
    ],
)
def test_what_has_its_shape_passes(venue: str, name: str, text: str) -> None:
    check_shapes(venue, {name: Secret(text)}, {})


@pytest.mark.parametrize(
    ("venue", "name", "text"),
    [
        *(
            ("hyperliquid", "secret", text)
            for text in (
                DIGITS[:-1], DIGITS + "a", "0x" + DIGITS + "ab", "0X" + DIGITS, f'"{DIGITS}"',
                "g" + DIGITS[1:], "0" * 64, ORDER, "ff" * 32,
                DIGITS[:-1] + "\N{ARABIC-INDIC DIGIT ONE}", "_".join(DIGITS[:32]),
                "legal winner thank year wave sausage worth useful legal winner thank yellow",
            )
        ),
        *(("hyperliquid", "wallet", text) for text in (WALLET[:-1], WALLET[2:], "0X" + WALLET[2:], DIGITS)),
        *(
            ("binance", "secret", text)
            for text in (
                "-----BEGIN PRIVATE KEY-----\ncanaryABCDEFGHIJ\n-----END PRIVATE KEY-----",
                "-----BEGIN RSA PRIVATE KEY-----canary", ED25519.partition("\n")[2], RSA[:-40], LOCKED, CURVE,
            )
        ),
        ("bybit", "secret", ED25519),
        ("okx", "secret", RSA),
        ("deribit", "secret", ED25519),
        *((venue, "key", f"{DIGITS}\u2603") for venue in ("okx", "bybit", "binance", "deribit")),
        *((venue, "secret", f"{DIGITS}\u2603") for venue in ("okx", "bybit", "binance", "deribit")),
        ("okx", "passphrase", f"{DIGITS}\u00e9"),
    ],
)  # fmt: skip
def test_what_has_another_shape_is_refused_and_not_shown(venue: str, name: str, text: str) -> None:
    with pytest.raises(InputError, match=f"SECRET: .*env:DESK_{name}") as caught:
        check_shapes(venue, {name: Secret(text)}, {name: f"env:DESK_{name}"})
    assert caught.value.exit_code is Exit.INVALID
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    told = str(caught.value).lower()
    assert not any(
        text[at : at + 6].lower() in told for at in range(len(text) - 5) if "priv" not in text.lower()
    )


@pytest.mark.parametrize(
    ("venue", "words"),
    [
        ("hyperliquid", {"wallet": WALLET, "secret": DIGITS[:-1]}),
        ("binance", {"key": "key", "secret": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"}),
        ("deribit", {"key": "key", "secret": "secret\u2603"}),
    ],
)
def test_no_adapter_is_made_with_one(venue: VenueName, words: dict[str, str]) -> None:
    config = VenueConfig.model_validate({name: f"env:DESK_{name}" for name in words})
    with pytest.raises(InputError, match="SECRET"):
        adapter(venue, config, {f"DESK_{name}": text for name, text in words.items()}, start_s_max=30.0)
