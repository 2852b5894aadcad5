"""Changes of order books laid over them from the bytes of a frame, in machine code.

Most of what a venue sends are changes that follow on a book that is known. `follow` reads one, level by
level, and lays it over the book's arrays without making a single object of it. It takes a frame only where
every byte is as the venue nearly always writes it; at anything else it stops, with the book untouched, and
the frame is for the readers that also say what is wrong with one:

- another order of the outer keys, a key told twice, white space, escapes, an exponent, a sign, a level of
  another form, a snapshot, a change that does not follow on the book's last
- figures of more than 18 digits, whose digits make 10^15 or more, or with more than 17 places. Those that are
  left are whole numbers below 2^53 over a power of ten that is exact as a float, so that the one division
  rounds once, and correctly: what the digits say, to the bit (W. D. Clinger, How to Read Floating Point
  Numbers Accurately, 1990)

No byte is read beyond the end: a frame ends in a brace, and no loop here steps over a brace unless it has
looked how much is left.

A book is two arrays. levels, rows by `BIDS` and `ASKS`: keys and sizes of both sides, then the same of the
change that is being read. A key is the price of a bid and minus the price of an ask, rising, so that the best
level is the last on both sides, and most changes move little. state: by the names below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from pricing.compiled import compiled, inlined
from venues.wire.fields import NS_PER_MS, STAMP_MS_MAX, STAMP_MS_MIN

#: Of `state`: the last message and its stamp, levels of each side, and levels of each that the change has.
CHANGE_ID, VENUE_NS, HELD, TOLD, STATES = 0, 1, 2, 4, 6
#: Sides, as first rows of `levels`: keys, and sizes in the next; TOLD_ROWS further on, those of a change.
BIDS, ASKS, TOLD_ROWS, ROWS = 0, 2, 4, 8
#: Venues' forms of a change.
DERIBIT, OKX, BYBIT, BINANCE = 0, 1, 2, 3  # the first two in whole words
#: What became of a frame: it is for another reader; it was laid over the book; and now the sides meet.
LEFT, LAID, CROSSED = 0, 1, 2

BYTES: Any = types.Bytes(types.uint8, 1, "C", readonly=True)
LEVELS = types.float64[:, ::1]
STATE = types.int64[::1]

_MANTISSA_MAX = 10**15
_DIGITS_MAX = 18  # an int64 holds them all
_PLACES_MAX = 17
#: Of a change that is followed, and of the one that it follows on.
ID_MAX = 2**53
_TENS = np.array([float(10**n) for n in range(_PLACES_MAX + 1)])

# What a key tells, as bits: what was told is one number.
_SYMBOL, _STAMP, _ID, _PREVIOUS, _BIDS_TOLD, _ASKS_TOLD, _KIND, _OTHER, _NEVER = (1 << n for n in range(9))
_SIDES = _BIDS_TOLD | _ASKS_TOLD
_NEEDED = (
    _SYMBOL | _STAMP | _ID | _PREVIOUS | _SIDES | _KIND,
    _STAMP | _ID | _PREVIOUS | _SIDES,
    _SYMBOL | _ID | _SIDES,
    _SYMBOL | _STAMP | _ID | _PREVIOUS | _SIDES,
)
_QUOTE, _COMMA, _COLON, _DOT, _DASH, _ZERO, _NINE = (ord(x) for x in '",:.-09')
_OPEN, _SHUT, _BRACE, _BACKSLASH = (ord(x) for x in "[]}\\")
#: What a text may hold: all that can be seen of ASCII but what ends or escapes it, and the brace (see above).
_PLAIN = np.array([33 <= c <= 126 and chr(c) not in '"\\}' for c in range(256)])


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8).copy()


def _key(text: str) -> NDArray[np.uint8]:
    return _text(f'{text}":')


_K_BIDS, _K_ASKS, _K_B, _K_A, _K_U, _K_PU = (_key(x) for x in ("bids", "asks", "b", "a", "u", "pu"))
_K_CHANGE_ID, _K_PREV_CHANGE_ID = _key("change_id"), _key("prev_change_id")
_K_SEQ_ID, _K_PREV_SEQ_ID = _key("seqId"), _key("prevSeqId")
_K_NAME, _K_S = _key("instrument_name"), _key("s")
_K_TIMESTAMP, _K_TS, _K_T, _K_TYPE, _K_E = (_key(x) for x in ("timestamp", "ts", "T", "type", "e"))
_K_DATA, _K_TOPIC = _key("data"), _key("topic")

DERIBIT_HEAD = '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.'
OKX_HEAD = '{"arg":{"channel":"books","instId":"'
BYBIT_HEAD = '{"topic":"orderbook.'
BINANCE_HEAD = '{"e":"depthUpdate",'
_HEADS = tuple(len(x) for x in (DERIBIT_HEAD, OKX_HEAD, BYBIT_HEAD, BINANCE_HEAD))
_DERIBIT_DATA, _BYBIT_DATA = _text('","data":{'), _text(',"data":{')
_BYBIT_KIND = _text('","type":"delta","ts":')
_OKX_DATA = _text('"},"action":"update","data":[{')
_NEW, _CHANGED, _DELETED = _text('new",'), _text('change",'), _text('delete",')
_KIND_CHANGE = _text('"change"')
_TRUE, _FALSE, _NULL = _text("true"), _text("false"), _text("null")
_DERIBIT_END, _OKX_END = _text("}}"), _text("]}")


@inlined
def _after(raw: bytes, i: int, words: NDArray[np.uint8]) -> int:
    """Behind these words; -1: they do not stand there."""
    end = i + len(words)
    if i < 0 or end > len(raw):
        return -1
    for k in range(len(words)):
        if raw[i + k] != words[k]:
            end = -1
            break
    return end


@inlined
def _text_end(raw: bytes, i: int) -> int:
    """Of a text that begins there: where its closing quote is; -1: it is none as usual."""
    while _PLAIN[raw[i]]:
        i += 1
    return i if raw[i] == _QUOTE else -1


@inlined
def _whole(raw: bytes, i: int) -> tuple[int, int]:
    """(number, behind it) of a whole number below 2^53; -1 behind: it is none as usual."""
    start, number = i, 0
    c = raw[i]
    if c == _ZERO:
        return 0, i + 1
    while _ZERO <= c <= _NINE and i - start < _DIGITS_MAX:
        number = number * 10 + (c - _ZERO)
        i += 1
        c = raw[i]
    if i == start or number >= ID_MAX:
        return 0, -1
    return number, i


@inlined
def _decimal(raw: bytes, i: int) -> tuple[float, int]:
    """(number, behind it); -1 behind: it is none as usual."""
    start, number, places = i, 0, 0
    c = raw[i]
    while _ZERO <= c <= _NINE and i - start <= _DIGITS_MAX:
        number = number * 10 + (c - _ZERO)
        i += 1
        c = raw[i]
    digits = i - start
    if digits == 0 or digits > _DIGITS_MAX or (digits > 1 and raw[start] == _ZERO):
        return 0.0, -1
    if c == _DOT:
        i += 1
        start = i
        c = raw[i]
        while _ZERO <= c <= _NINE and i - start <= _PLACES_MAX:
            number = number * 10 + (c - _ZERO)
            i += 1
            c = raw[i]
        places = i - start
        if places == 0 or places > _PLACES_MAX or digits + places > _DIGITS_MAX:
            return 0.0, -1
    if number >= _MANTISSA_MAX:
        return 0.0, -1
    return number / _TENS[places], i


@compiled((BYTES, types.int64))
def _scalar_end(raw: bytes, i: int) -> int:
    """Behind a value that nobody needs: a text, a number, true, false, null; -1: it is none as usual."""
    c = raw[i]
    if c == _QUOTE:
        end = _text_end(raw, i + 1)
        return -1 if end < 0 else end + 1
    if c == _TRUE[0]:
        return _after(raw, i, _TRUE)
    if c == _FALSE[0]:
        return _after(raw, i, _FALSE)
    if c == _NULL[0]:
        return _after(raw, i, _NULL)
    if c == _DASH:
        i += 1
    return _decimal(raw, i)[1]


@compiled((BYTES, types.int64, types.int64, LEVELS, STATE, types.int64))
def _read_side(raw: bytes, i: int, shape: int, levels: NDArray[Any], state: NDArray[Any], row: int) -> int:
    """Take the levels of a side down; behind them, -1: not as usual, or no room for them."""
    count, most, to = 0, levels.shape[1], row + TOLD_ROWS
    if raw[i] != _OPEN:
        return -1
    i += 1
    if raw[i] == _SHUT:
        state[TOLD + row // 2] = 0
        return i + 1
    while True:
        if raw[i] != _OPEN or count >= most:
            return -1
        i += 1
        deleted = False
        if raw[i] != _QUOTE:
            return -1
        i += 1
        if shape == DERIBIT:  # ["change",price,size]
            if raw[i] == _CHANGED[0]:
                i = _after(raw, i, _CHANGED)
            elif raw[i] == _DELETED[0]:
                i, deleted = _after(raw, i, _DELETED), True
            else:
                i = _after(raw, i, _NEW)
            if i < 0:
                return -1
        price, i = _decimal(raw, i)
        if i < 0 or price <= 0.0:
            return -1
        if shape != DERIBIT:  # ["price","size"], with ,"0","3" behind on OKX
            if raw[i] != _QUOTE:
                return -1
            i += 1
        if raw[i] != _COMMA:
            return -1
        i += 1
        if shape != DERIBIT:
            if raw[i] != _QUOTE:
                return -1
            i += 1
        size, i = _decimal(raw, i)
        if i < 0:
            return -1
        if shape != DERIBIT:
            if raw[i] != _QUOTE:
                return -1
            i += 1
        if shape == OKX:
            for _ in range(2):
                if raw[i] != _COMMA:
                    return -1
                i += 1
                if raw[i] != _QUOTE:
                    return -1
                i = _text_end(raw, i + 1)
                if i < 0:
                    return -1
                i += 1
        if raw[i] != _SHUT:
            return -1
        levels[to, count] = price if row == BIDS else -price
        levels[to + 1, count] = 0.0 if deleted else size
        count += 1
        i += 1
        c = raw[i]
        if c == _SHUT:
            state[TOLD + row // 2] = count
            return i + 1
        if c != _COMMA:
            return -1
        i += 1


@inlined
def _known_key(raw: bytes, i: int, shape: int) -> tuple[int, int]:
    """(what it tells, at its value) of a key behind its quote; -1: it is none that matters.

    The first character, and the second of two keys that begin alike, leave one to be looked at in whole.
    """
    c = raw[i]
    if shape == DERIBIT:
        if c == _K_BIDS[0]:
            return _BIDS_TOLD, _after(raw, i, _K_BIDS)
        if c == _K_ASKS[0]:
            return _ASKS_TOLD, _after(raw, i, _K_ASKS)
        if c == _K_TYPE[0]:
            if raw[i + 1] == _K_TYPE[1]:
                return _KIND, _after(raw, i, _K_TYPE)
            return _STAMP, _after(raw, i, _K_TIMESTAMP)
        if c == _K_CHANGE_ID[0]:
            return _ID, _after(raw, i, _K_CHANGE_ID)
        if c == _K_PREV_CHANGE_ID[0]:
            return _PREVIOUS, _after(raw, i, _K_PREV_CHANGE_ID)
        return _SYMBOL, _after(raw, i, _K_NAME)
    if shape == OKX:
        if c == _K_BIDS[0]:
            return _BIDS_TOLD, _after(raw, i, _K_BIDS)
        if c == _K_ASKS[0]:
            return _ASKS_TOLD, _after(raw, i, _K_ASKS)
        if c == _K_TS[0]:
            return _STAMP, _after(raw, i, _K_TS)
        if c == _K_SEQ_ID[0]:
            return _ID, _after(raw, i, _K_SEQ_ID)
        return _PREVIOUS, _after(raw, i, _K_PREV_SEQ_ID)
    if c == _K_B[0]:
        return _BIDS_TOLD, _after(raw, i, _K_B)
    if c == _K_A[0]:
        return _ASKS_TOLD, _after(raw, i, _K_A)
    if c == _K_U[0]:
        return _ID, _after(raw, i, _K_U)
    if c == _K_S[0]:
        return _SYMBOL, _after(raw, i, _K_S)
    if shape == BINANCE:
        if c == _K_PU[0]:
            return _PREVIOUS, _after(raw, i, _K_PU)
        if c == _K_T[0]:
            return _STAMP, _after(raw, i, _K_T)
        return _NEVER, _after(raw, i, _K_E)  # the head has told it
    return _OTHER, -1


@inlined
def _value_at(raw: bytes, i: int) -> int:
    """Behind a key and its colon; -1: it is none as usual."""
    end = _text_end(raw, i)
    return end + 2 if end >= 0 and raw[end + 1] == _COLON else -1


@inlined
def _insert(levels: NDArray[Any], state: NDArray[Any], row: int) -> None:
    """Each level of a side that was told, in its order, now holds its size; 0 takes it away."""
    side = row // 2
    n = state[HELD + side]
    for k in range(state[TOLD + side]):
        key, size = levels[row + TOLD_ROWS, k], levels[row + TOLD_ROWS + 1, k]
        low, high = 0, n
        while low < high:
            middle = (low + high) >> 1
            if levels[row, middle] < key:
                low = middle + 1
            else:
                high = middle
        known = low < n and levels[row, low] == key
        if size > 0.0:
            if not known:
                for j in range(n, low, -1):
                    levels[row, j] = levels[row, j - 1]
                    levels[row + 1, j] = levels[row + 1, j - 1]
                levels[row, low] = key
                n += 1
            levels[row + 1, low] = size
        elif known:
            n -= 1
            for j in range(low, n):
                levels[row, j] = levels[row, j + 1]
                levels[row + 1, j] = levels[row + 1, j + 1]
    state[HELD + side] = n


@compiled((LEVELS, STATE))
def lay(levels: NDArray[Any], state: NDArray[Any]) -> int:
    """Lay a change, which stands in its rows, over both sides of a book; `LAID`, or `CROSSED` where its sides
    meet now, or `LEFT` where there is no room, and nothing was done."""
    most = levels.shape[1]
    for side in range(2):
        if state[HELD + side] + state[TOLD + side] > most:
            return LEFT
    _insert(levels, state, BIDS)
    _insert(levels, state, ASKS)
    bids, asks = state[HELD], state[HELD + 1]
    if bids and asks and levels[BIDS, bids - 1] >= -levels[ASKS, asks - 1]:
        return CROSSED
    return LAID


@inlined
def _same(raw: bytes, i: int, at: int) -> int:
    """Length of a text that begins there, if it stands elsewhere as well and has no dot; -1: else."""
    size = 0
    if at >= i + 1:  # it was found behind its own key, or not at all
        return -1
    while _PLAIN[raw[i + size]] and raw[i + size] == raw[at + size] and raw[i + size] != _DOT:
        size += 1
    return size if raw[i + size] == _QUOTE else -1


@inlined
def _dashed(raw: bytes, at: int) -> bool:
    """Whether a text that begins there, and is known to end, has a dash in it."""
    while raw[at] != _QUOTE and raw[at] != _DASH:
        at += 1
    return raw[at] == _DASH


@inlined
def _bybit_end(raw: bytes, i: int) -> int:
    """Behind what is told after the data, which nobody needs; -1: it is not as usual."""
    n = len(raw)
    while i < n and raw[i] == _COMMA:
        i += 1
        if i >= n or raw[i] != _QUOTE:
            return -1
        i += 1
        for key in (_K_TYPE, _K_TS, _K_DATA, _K_TOPIC):
            if _after(raw, i, key) >= 0:
                return -1
        i = _value_at(raw, i)
        if i < 0:
            return -1
        i = _scalar_end(raw, i)
        if i < 0:
            return -1
    if i == n - 1 and raw[i] == _BRACE:
        return n
    return -1


@inlined
def _head_end(raw: bytes, shape: int, at: int) -> tuple[int, int]:
    """(stamp where it stands before the change, at the change's first key); -1: it is not as usual."""
    i = _HEADS[shape]
    stamp = 0
    if shape == OKX:
        i = _after(raw, _text_end(raw, i), _OKX_DATA) if at == i else -1
    elif shape != BINANCE:
        i = _text_end(raw, i)
        if i >= 0 and shape == BYBIT:
            i = _after(raw, i, _BYBIT_KIND)
            if i >= 0:
                stamp, i = _whole(raw, i)
                i = _after(raw, i, _BYBIT_DATA)
        elif i >= 0:
            i = _after(raw, i, _DERIBIT_DATA)
    return stamp, i


@inlined
def _tail_end(raw: bytes, i: int, shape: int, at: int) -> int:
    """Behind what stands after the change; -1: it is not as usual, or the change is for another reader."""
    if shape == DERIBIT:
        return _after(raw, i, _DERIBIT_END)
    if shape == OKX:
        return _after(raw, i, _OKX_END)
    if shape == BYBIT:
        return _bybit_end(raw, i)
    return -1 if _dashed(raw, at) else i  # options have a dash, and books that are told by another rule


@compiled((types.int64, BYTES, types.int64, LEVELS, STATE))
def follow(shape: int, raw: bytes, at: int, levels: NDArray[Any], state: NDArray[Any]) -> int:
    """Lay a frame over a book if it is a change of it as usual that follows on its last.

    shape: of the venue, whose head the frame begins with; at: where in the frame the symbol of that book
    was found, which ends at the next quote, on Deribit at the next dot. `LEFT`: it is for another reader, and
    the book is as it was.
    """
    n = len(raw)
    if n <= _HEADS[shape] or raw[n - 1] != _BRACE or not 0 < at < n:
        return LEFT
    stamp, i = _head_end(raw, shape, at)
    if i < 0:
        return LEFT
    change_id, previous_id, size, seen = 0, 0, 0, 0
    while True:
        if raw[i] != _QUOTE:
            return LEFT
        told, value = _known_key(raw, i + 1, shape)
        if value < 0:  # a key of which nobody needs to know
            value = _value_at(raw, i + 1)
            if value < 0:
                return LEFT
            i = _scalar_end(raw, value)
        elif told == _NEVER or seen & told:
            return LEFT
        else:
            seen |= told
            i = value
            if told == _BIDS_TOLD:
                i = _read_side(raw, i, shape, levels, state, BIDS)
            elif told == _ASKS_TOLD:
                i = _read_side(raw, i, shape, levels, state, ASKS)
            elif told == _ID:
                change_id, i = _whole(raw, i)
            elif told == _PREVIOUS:
                previous_id, i = _whole(raw, i)
            elif told == _STAMP:
                if shape == OKX:
                    if raw[i] != _QUOTE:
                        return LEFT
                    i += 1
                stamp, i = _whole(raw, i)
                if i >= 0 and shape == OKX:
                    if raw[i] != _QUOTE:
                        return LEFT
                    i += 1
            elif told == _SYMBOL:
                if raw[i] != _QUOTE:
                    return LEFT
                size = _same(raw, i + 1, at)
                if size < 0 or raw[at + size] != (_DOT if shape == DERIBIT else _QUOTE):
                    return LEFT
                i += size + 2
            else:
                i = _after(raw, i, _KIND_CHANGE)
        if i < 0:
            return LEFT
        c = raw[i]
        i += 1
        if c == _BRACE:
            break
        if c != _COMMA:
            return LEFT
    if seen != _NEEDED[shape] or not STAMP_MS_MIN <= stamp <= STAMP_MS_MAX:
        return LEFT
    if shape == BYBIT:
        previous_id = change_id - 1
        if change_id <= 1:  # the venue has begun anew, and this is the whole book
            return LEFT
    if previous_id != state[CHANGE_ID] or _tail_end(raw, i, shape, at) != n:
        return LEFT
    laid = lay(levels, state)
    if laid != LEFT:
        state[CHANGE_ID], state[VENUE_NS] = change_id, stamp * NS_PER_MS
    return laid
