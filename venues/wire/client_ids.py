"""Our client order id in the form that each venue takes, and back: `hk3x9-1742-0-2`.

OKX takes letters and digits alone: the dashes become Z, which our ids do not have. Hyperliquid takes 128 bits
in hex: mark, tag, decision, leg and part packed into them. Deribit, Bybit and Binance take it as it is. What
is not ours is passed on unchanged: somebody else's order keeps its own name.
"""

from __future__ import annotations

from venues.orders import client_order_id, parse_client_id

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MARK = 0x4847  # "HG": the first 16 of the 128 bits
_TAG_BITS, _SEQ_BITS, _LEG_BITS, _PART_BITS = 44, 40, 14, 14


def to_wire(venue: str, client_id: str) -> str:
    """Our id as a venue takes it.

    >>> to_wire("okx", "hk3x9-1742-0-2"), to_wire("hyperliquid", "hk3x9-1742-0-2")
    ('hk3x9Z1742Z0Z2', '0x48470000010557900000006ce0000002')

    Raises:
        ValueError: not one of our ids, or its numbers are too large for the venue's form.
    """
    parsed = parse_client_id(client_id)
    if parsed is None:
        raise ValueError(f"client order id {client_id!r} is not one of ours")
    if venue == "okx":
        return client_id.replace("-", "Z")
    return _packed(*parsed) if venue == "hyperliquid" else client_id


def from_wire(venue: str, text: str) -> str:
    """A venue's client id as ours where it is ours, unchanged where it is somebody else's.

    >>> from_wire("okx", "hk3x9Z1742Z0Z2"), from_wire("okx", "web123")
    ('hk3x9-1742-0-2', 'web123')
    """
    if venue == "okx":
        ours = text.replace("Z", "-")
        return ours if parse_client_id(ours) is not None else text
    if venue == "hyperliquid":
        return _unpacked(text) or text
    return text


def _packed(tag: str, seq: int, leg: int, part: int) -> str:
    number = 0
    for character in tag:  # base 37 with no digit for nothing, so that "0abc" and "abc" differ
        number = number * 37 + _DIGITS.index(character) + 1
    bits = _MARK
    for value, width in ((number, _TAG_BITS), (seq, _SEQ_BITS), (leg, _LEG_BITS), (part, _PART_BITS)):
        if not 0 <= value < 1 << width:
            raise ValueError(f"{value} does not fit into {width} bits of a client order id")
        bits = bits << width | value
    return f"0x{bits:032x}"


def _unpacked(text: str) -> str | None:
    if len(text) != 34 or not text.startswith("0x"):
        return None
    try:
        bits = int(text, 16)
    except ValueError:
        return None
    values = []
    for width in (_PART_BITS, _LEG_BITS, _SEQ_BITS, _TAG_BITS):
        values.append(bits & ((1 << width) - 1))
        bits >>= width
    part, leg, seq, number = values
    tag = ""
    while number:
        number, digit = divmod(number - 1, 37)
        if digit > 35:
            return None
        tag = _DIGITS[digit] + tag
    try:
        ours = client_order_id(tag, seq, leg, part)
    except ValueError:
        return None
    return ours if bits == _MARK and to_wire("hyperliquid", ours) == text.lower() else None
