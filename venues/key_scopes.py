"""What a key may do, from the venue's own words for it: read, trade, move money out.

A key that can withdraw or transfer turns a leaked secret into a loss of everything; the engine never needs
it. What a word means stands in a list here; a word that is on none may mean anything, so a key that carries
it is not known to be unable to move money.

Sources: docs.deribit.com, "access scope"; okx.com/docs-v5, "get account configuration", field perm;
bybit-exchange.github.io v5, "get API key information"; developers.binance.com, "get API key permission";
hyperliquid.gitbook.io, "API wallets": an agent signs orders and cannot withdraw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """A venue's words by what they let a key do."""

    trade: frozenset[str]
    moves_money: frozenset[str]
    harmless: frozenset[str]
    #: words that let a key make other keys, and change what they may do
    manages_keys: frozenset[str] = frozenset()
    #: words that begin so name the session or the account, not a right
    passed_over: tuple[str, ...] = ()


_AREAS = ("account", "trade", "wallet", "block_trade", "block_rfq", "custody")
KNOWN = {
    "deribit": Words(
        trade=frozenset({"trade:read_write"}),
        moves_money=frozenset({"wallet:read_write", "custody:read_write"}),
        harmless=frozenset(
            {
                *(f"{area}:{right}" for area in _AREAS for right in ("none", "read")),
                "block_trade:read_write", "block_rfq:read_write",
                "connection", "mainaccount", "verified_address", "security_keys_authorized",
            }
        ),
        # private/create_api_key, private/change_scope_in_api_key, and private/enable_cancel_on_disconnect as
        # well, which the engine needs: such a key cannot be refused
        manages_keys=frozenset({"account:read_write"}),
        passed_over=("session:", "name:", "ip:", "expires:"),
    ),
    "okx": Words(
        trade=frozenset({"trade"}), moves_money=frozenset({"withdraw"}), harmless=frozenset({"read_only"})
    ),
    "bybit": Words(
        trade=frozenset(
            {"ContractTrade:Order", "Spot:SpotTrade", "Options:OptionsTrade", "Derivatives:DerivativesTrade"}
        ),
        moves_money=frozenset(
            f"Wallet:{right}"
            for right in ("Withdraw", "AccountTransfer", "SubMemberTransfer", "SubMemberTransferList")
        ),
        harmless=frozenset({"read_only", "ContractTrade:Position", "Exchange:ExchangeHistory"}),
    ),
    **dict.fromkeys(
        ("binance", "binanceusdm", "binancecoinm"),
        Words(
            trade=frozenset({"enableSpotAndMarginTrading", "enableFutures", "enableVanillaOptions"}),
            moves_money=frozenset(
                {"enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer"}
            ),
            harmless=frozenset({"enableReading", "ipRestrict"}),
        ),
    ),
    "hyperliquid": Words(
        trade=frozenset({"agent", "owner"}), moves_money=frozenset({"owner"}), harmless=frozenset()
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyScopes:
    """A key's rights. moves_money: the words by which it can withdraw or transfer; unknown: words that
    nobody has looked up; manages_keys: those by which it can make other keys, or give itself rights."""

    words: tuple[str, ...]
    trades: bool
    moves_money: tuple[str, ...]
    unknown: tuple[str, ...]
    manages_keys: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether it is known that no money can be moved with it."""
        return bool(self.words) and not self.moves_money and not self.unknown


def read_scopes(venue: str, words: Iterable[str]) -> KeyScopes:
    """The rights behind a venue's words.

    >>> read_scopes("deribit", ["trade:read_write", "wallet:read_write"]).moves_money
    ('wallet:read_write',)
    >>> read_scopes("okx", ["read_only", "trade"]).safe, read_scopes("okx", ["read_only", "rule"]).safe
    (True, False)
    >>> read_scopes("deribit", ["account:read_write"]).manages_keys
    ('account:read_write',)
    """
    given = tuple(sorted({word for word in words if word}))
    known = KNOWN.get(venue)
    if known is None:
        return KeyScopes(given, False, (), given)
    own = [word for word in given if not word.startswith(known.passed_over or ("\0",))]
    listed = known.trade | known.moves_money | known.harmless | known.manages_keys
    return KeyScopes(
        given,
        trades=any(word in known.trade for word in own),
        moves_money=tuple(word for word in own if word in known.moves_money),
        unknown=tuple(word for word in own if word not in listed),
        manages_keys=tuple(word for word in own if word in known.manages_keys),
    )
