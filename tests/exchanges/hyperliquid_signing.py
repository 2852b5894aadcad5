"""Who signed an action, as Hyperliquid finds it out: from the signature alone, by ECDSA recovery.

The wallet that a client believes it trades for stands in no action. What is signed is an EIP-712 message of a
"phantom agent" whose connection id is the Keccak hash of the packed action, its nonce and the vault; the
encoding is ccxt's, the curve's arithmetic libsecp256k1's (`coincurve`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import ccxt
import coincurve

from tests.planted import SIGNING_KEY

#: Private keys that tests sign with, of agents of the tests' wallet.
AGENT_KEYS = ("0x" + "5c" * 32, SIGNING_KEY)


@cache
def _library() -> Any:
    return ccxt.hyperliquid()


def address_of(private_key: str) -> str:
    """The address of a private key, in lower case.

    >>> address_of("0x" + "11" * 32)
    '0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a'
    """
    return str(_library().eth_get_address_from_private_key(private_key)).lower()


def sign(action: Mapping[str, Any], nonce: int, private_key: str) -> dict[str, Any]:
    """A signature of an action on the live network."""
    own = ccxt.hyperliquid({"privateKey": private_key})
    return dict(own.sign_l1_action(dict(action), nonce))


def signer(action: Mapping[str, Any], nonce: int, signature: Mapping[str, Any]) -> str | None:
    """The address that signed, in lower case; None: no point of the curve fits. Another action than the one
    that was signed has another signer, whom nobody knows.

    >>> key, nonce = "0x" + "22" * 32, 1_700_000_000_000
    >>> signed = sign({"type": "scheduleCancel", "time": 5}, nonce, key)
    >>> signer({"type": "scheduleCancel", "time": 5}, nonce, signed) == address_of(key)
    True
    >>> signer({"type": "scheduleCancel", "time": 6}, nonce, signed) == address_of(key)
    False
    """
    library = _library()
    agent = library.construct_phantom_agent(library.action_hash(dict(action), None, nonce), False)
    domain = {
        "chainId": 1337, "name": "Exchange", "verifyingContract": "0x" + "0" * 40, "version": "1",
    }  # fmt: skip
    fields = [{"name": "source", "type": "string"}, {"name": "connectionId", "type": "bytes32"}]
    message = library.eth_encode_structured_data(domain, {"Agent": fields}, agent)
    digest = bytes.fromhex(library.hash(message, "keccak", "hex"))
    r, s = (int(str(signature[name]), 16).to_bytes(32, "big") for name in "rs")
    try:
        found = coincurve.PublicKey.from_signature_and_message(
            r + s + bytes([signature["v"] - 27]), digest, hasher=None
        )
    except ValueError:
        return None
    return "0x" + str(library.hash(found.format(compressed=False)[1:], "keccak", "hex"))[-40:]
