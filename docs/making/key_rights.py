"""The page on keys: which rights a key needs and which make the doctor refuse it, venue by venue."""

from __future__ import annotations

from docs.making.markdown import cell, code, page, table
from venues.key_scopes import KNOWN

_TITLES = {
    "deribit": "Deribit", "okx": "OKX", "bybit": "Bybit", "binance": "Binance (spot, options)",
    "binanceusdm": "Binance USD-M futures", "binancecoinm": "Binance COIN-M futures",
    "hyperliquid": "Hyperliquid",
}  # fmt: skip


def make() -> str:
    """The page."""
    parts = [
        "`hedger doctor` asks each venue what the key may do and reads the answer by the words below. A "
        "key needs the "
        "right to read and to trade. One that can withdraw or transfer is refused (`KEY_WITHDRAWS`), and "
        "so is one with a "
        "right on none of these lists (`KEY_UNKNOWN`): what nobody has looked up may move money. Bind "
        "every key to "
        "the machine's address at the venue. Where the engine needs a word that also makes keys (Deribit "
        "asks for it to cancel on disconnect), have the venue ask for a second factor for that.\n\n"
        "A key that only reads is enough for `hedger book fetch`. `hedger record` and paper need none.",
    ]
    for venue, words in KNOWN.items():
        rows = [
            ("trades", _words(words.trade)),
            ("refused: it moves money", _words(words.moves_money)),
            ("harmless", _words(words.harmless)),
        ]
        if words.manages_keys:
            rows.append(("told: it makes keys and changes their rights", _words(words.manages_keys)))
        if words.passed_over:
            rows.append(("no right, passed over", _words(frozenset(f"{w}.." for w in words.passed_over))))
        parts.append(f"## {cell(_TITLES[venue])}\n\n{table(('what it means', 'words of the venue'), rows)}")
    return page("Rights of a key", *parts)


def _words(words: frozenset[str]) -> str:
    return ", ".join(code(word) for word in sorted(words)) or "none"
