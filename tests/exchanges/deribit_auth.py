"""Who may call Deribit: keys, tokens, signed headers, scopes, and the credits a request costs."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

from tests.exchanges import deribit_errors as errors
from tests.exchanges.clock import NS
from tests.exchanges.core import Exchange
from tests.exchanges.deribit_errors import Wrong, invalid
from tests.exchanges.deribit_params import text
from tests.exchanges.server import Call
from tests.exchanges.words import ApiKey

_STALE_MS = 60_000  # how far a signature's time may be from ours
_MATCHING = ("buy", "sell", "edit", "cancel", "close_position", "mass_quote")


@dataclass(slots=True)
class Grant:
    """A token: whose, with which scopes, until when."""

    token: str
    key: ApiKey
    scopes: tuple[str, ...]
    until_ns: int


@dataclass(slots=True)
class Bucket:
    """Credits of one account: `burst` at most, `rate` back a second, one a request."""

    rate: float
    burst: float
    left: float = 0.0
    at_ns: int = 0

    def take(self, now_ns: int) -> bool:
        """Spend one; False where none is left."""
        if self.at_ns == 0:
            self.left = self.burst
        else:
            self.left = min(self.burst, self.left + self.rate * (now_ns - self.at_ns) / NS)
        self.at_ns = now_ns
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class Credits:
    """Of the matching engine and of everything else; the recorded account's own."""

    matching_rate: float = 200.0
    matching_burst: float = 250.0
    other_rate: float = 1000.0
    other_burst: float = 1500.0
    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)

    def take(self, account: str, operation: str, now_ns: int) -> bool:
        """Spend what a request costs."""
        name = operation.removeprefix("private/")
        pool = "cancel_all" if name.startswith("cancel_all") else "other"
        if pool == "other" and name.startswith(_MATCHING):
            pool = "matching"
        terms = (
            (self.other_rate, self.other_burst)
            if pool == "other"
            else (self.matching_rate, self.matching_burst)
        )
        return self.buckets.setdefault((account, pool), Bucket(*terms)).take(now_ns)


class Auth:
    """Keys and tokens of one exchange."""

    def __init__(self, exchange: Exchange, token_life_s: float) -> None:
        self.exchange = exchange
        self.token_life_s = token_life_s
        self._grants: dict[str, Grant] = {}
        self._made = 0

    def grant_of(self, call: Call) -> Grant:
        """The token, header or session that a call is made under.

        Raises:
            Wrong: none, or no longer valid.
        """
        if "grant" in call.note:
            found: Grant = call.note["grant"]
            return found
        header = call.headers.get("authorization", "")
        token = call.params.get("access_token") or header.removeprefix("Bearer ")
        grant: Grant | None = None
        if header.startswith("deri-hmac-sha256"):
            grant = self._signed(call, header)
        elif token:
            grant = self._grants.get(str(token))
        elif call.session is not None:
            grant = call.session.state.get("grant")
        if grant is None or grant.key.revoked or self.exchange.steady_ns > grant.until_ns:
            raise Wrong(errors.UNAUTHORIZED)
        call.note["grant"] = grant
        return grant

    def _signed(self, call: Call, header: str) -> Grant:
        """The deri-hmac-sha256 header: over time, nonce, verb, path with query, and body."""
        terms = dict(part.split("=", 1) for part in header.split(" ", 1)[1].split(",") if "=" in part)
        key = self._key(terms.get("id", ""))
        uri = call.path + (f"?{call.query}" if call.query else "")
        stamp, nonce = terms.get("ts", ""), terms.get("nonce", "")
        data = f"{stamp}\n{nonce}\n{call.verb}\n{uri}\n{call.body.decode()}\n"
        self._check(key, stamp, data, terms.get("sig", ""))
        return Grant("", key, key.scopes, 1 << 62)

    def _key(self, name: str) -> ApiKey:
        key = self.exchange.keys.get(name)
        if key is None or key.revoked:
            raise Wrong(errors.BAD_KEY)
        return key

    def _check(self, key: ApiKey, stamp: str, data: str, signature: str) -> None:
        wanted = hmac.new(key.secret.encode(), data.encode(), hashlib.sha256).hexdigest()
        late = not stamp.isdigit() or abs(int(stamp) - self.exchange.clock.now_ms()) > _STALE_MS
        if late or not hmac.compare_digest(wanted, signature):
            raise Wrong(errors.BAD_KEY)

    def sign_in(self, call: Call) -> tuple[Grant, dict[str, Any]]:
        """`public/auth`: a token, and what is told of it."""
        kind = text(call, "grant_type")
        if kind == "refresh_token":
            old = self._grants.get(text(call, "refresh_token").removeprefix("r"))
            if old is None or old.key.revoked:
                raise Wrong(errors.BAD_KEY)
            key = old.key
        elif kind == "client_credentials":
            key = self._key(text(call, "client_id"))
            if not hmac.compare_digest(key.secret, text(call, "client_secret")):
                raise Wrong(errors.BAD_KEY)
        elif kind == "client_signature":
            key = self._key(text(call, "client_id"))
            stamp, nonce = str(call.params.get("timestamp", "")), str(call.params.get("nonce", ""))
            data = f"{stamp}\n{nonce}\n{call.params.get('data', '')}"
            self._check(key, stamp, data, text(call, "signature"))
        else:
            raise invalid("grant_type", "value not allowed")
        self._made += 1
        seed = f"{key.key}{self._made}".encode()
        token = hashlib.sha256(seed).hexdigest()
        grant = Grant(token, key, key.scopes, self.exchange.steady_ns + int(self.token_life_s * NS))
        self._grants[token] = grant
        return grant, {
            "access_token": token, "refresh_token": f"r{token}", "token_type": "bearer",
            "expires_in": int(self.token_life_s), "enabled_features": [],
            "scope": " ".join(("connection", "mainaccount", *key.scopes)),
        }  # fmt: skip

    def revoke(self, token: str) -> None:
        """Forget a token."""
        self._grants.pop(token, None)


def allowed(held: tuple[str, ...], needed: str) -> bool:
    """read_write includes read."""
    return needed in held or (needed.endswith(":read") and f"{needed}_write" in held)
