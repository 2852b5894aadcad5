"""A batch of marks as few bytes: what a journal keeps of a market that it alone has seen.

    frame = version byte || zlib( every column of the batch, one after the other, each by itself decodable )

Whole numbers (rows, stamps) are kept as differences to the one before; numbers with few decimals, as venues
quote, as whole numbers of their last decimal; all others as they are, byte plane by byte plane, since
neighbours share sign and exponent. A number that is not exactly what its short form reads back as is kept
beside it as it is: every bit comes back, a NaN's payload and the sign of a zero too.

Each frame stands alone: a record that is lost or cut off costs itself and no other. A frame's bytes are the
writer's: the chain is over them as they were written, another zlib may write others for the same batch.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedger.journal.codec import CodecError
from pricing.market import QUOTE_FIELDS, Depth, Marks
from pricing.universe import BoolArray, FloatArray, IntArray

_VERSION = b"\x01"
_FLOATS = QUOTE_FIELDS
#: Speed before size: a mark waits for it.
_LEVEL = 1
#: What a frame may unpack to: far above any batch, far below a machine's memory.
PAYLOAD_BYTES_MAX = 256 * 2**20
#: Fewer numbers than this are as short in plain JSON.
NUMBERS_MIN = 8
_NAN_BITS = np.uint64(0x7FF8000000000000)
_POWERS = np.array([float(f"1e{places}") for places in range(11)])
#: Whole numbers up to here are exact as floats.
_EXACT = 2.0**53
#: Decimals are looked for in so many numbers of a column, and used where this share of them has them.
_SAMPLE, _SHARE = 48, 0.8
_RAW, _DECIMAL, _PERCENT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class MarksFrame:
    """Stands in a record's text for the batch in the frame behind it. levels: of the order books, in all."""

    seq: int
    now_ns: int
    rows: int
    levels: int


def framed(marks: Marks) -> tuple[MarksFrame, bytes] | None:
    """A batch as a frame and what says so; None: it is too small, or misshapen, and is written out."""
    k = marks.rows.size
    names = ("rows", "venue_ns", "forward_kind", *_FLOATS)
    if any(np.shape(getattr(marks, name)) != (k,) for name in names):
        return None
    books = [marks.depth[row] for row in sorted(marks.depth)]
    sides = [side for book in books for side in book]
    if any(side.price.ndim != 1 or side.price.shape != side.size.shape for side in sides):
        return None
    lengths = np.array([side.price.size for side in sides], dtype=np.int64)
    levels = int(lengths.sum())
    if k + levels < NUMBERS_MIN:
        return None
    empty = np.empty(0)
    prices = np.concatenate([empty, *(side.price for side in sides)])
    sizes = np.concatenate([empty, *(side.size for side in sides)])
    parts = [struct.pack("<III", k, len(books), levels)]
    parts += [_whole_out(np.asarray(column, dtype=np.int64)) for column in (marks.rows, marks.venue_ns)]
    parts.append(np.asarray(marks.forward_kind, dtype=np.int8).tobytes())
    parts += [_floats_out(np.asarray(getattr(marks, name), dtype=np.float64)) for name in _FLOATS]
    parts += [_whole_out(np.array(sorted(marks.depth), dtype=np.int64)), _whole_out(lengths)]
    parts += [_floats_out(prices), _floats_out(sizes)]
    frame = _VERSION + zlib.compress(b"".join(parts), _LEVEL)
    return MarksFrame(marks.seq, marks.now_ns, k, levels), frame


def unframed(head: MarksFrame, frame: bytes, *, depth: bool = True) -> Marks:
    """The batch in a frame. depth: with its order books; whoever values a book alone needs none, and they are
    the most of the work.

    Raises:
        CodecError: it is none, or not the one that its record speaks of.
    """
    reader = _Reader(_unpacked(frame))
    k, books, levels = struct.unpack("<III", reader.take(12))
    if (k, levels) != (head.rows, head.levels):
        raise CodecError(f"a frame of {k} rows and {levels} levels, {head.rows} and {head.levels} are said")
    rows, venue_ns = _whole_in(reader, k), _whole_in(reader, k)
    forward_kind = np.frombuffer(reader.take(k), dtype=np.int8).copy()
    columns = {name: _floats_in(reader, k) for name in _FLOATS}
    keys, lengths = _whole_in(reader, books), _whole_in(reader, 2 * books)
    if (lengths < 0).any() or int(lengths.sum()) != levels:
        raise CodecError("a frame's books are not as long as it says")
    prices, sizes = _floats_in(reader, levels), _floats_in(reader, levels)
    if reader.left:
        raise CodecError(f"{reader.left} bytes too many in a frame")
    return Marks(
        seq=head.seq,
        now_ns=head.now_ns,
        rows=rows,
        venue_ns=venue_ns,
        forward_kind=forward_kind,
        depth=_books(keys, lengths, prices, sizes) if depth else {},
        **columns,
    )


def _books(
    keys: IntArray, lengths: IntArray, prices: FloatArray, sizes: FloatArray
) -> Mapping[int, tuple[Depth, Depth]]:
    ends = np.cumsum(lengths)
    sides = [
        Depth(prices[end - n : end], sizes[end - n : end])
        for n, end in zip(lengths.tolist(), ends.tolist(), strict=True)
    ]
    found = {key: (sides[2 * i], sides[2 * i + 1]) for i, key in enumerate(keys.tolist())}
    if len(found) != keys.size:
        raise CodecError("a frame has two books of one row")
    return found


# ------------------------------------------------------------------------------------------------------ bytes


def _unpacked(frame: bytes) -> bytes:
    if frame[:1] != _VERSION:
        raise CodecError(f"a frame of version {frame[:1].hex() or 'none'}")
    unpacker = zlib.decompressobj()
    try:
        payload = unpacker.decompress(frame[1:], PAYLOAD_BYTES_MAX)
    except zlib.error as error:
        raise CodecError(f"a frame that cannot be unpacked: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise CodecError("a frame that is cut off, too long, or followed by something else")
    return payload


class _Reader:
    """Bytes, taken from the front."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 0

    @property
    def left(self) -> int:
        return len(self._payload) - self._at

    def take(self, n: int) -> bytes:
        if not 0 <= n <= self.left:
            raise CodecError(f"a frame ends {n - self.left} bytes too early")
        self._at += n
        return self._payload[self._at - n : self._at]

    def array(self, dtype: str, n: int) -> NDArray[Any]:
        return np.frombuffer(self.take(n * np.dtype(dtype).itemsize), dtype=dtype)


def _planes(words: NDArray[Any]) -> bytes:
    """8-byte words byte plane by byte plane."""
    return words.astype("<u8").view(np.uint8).reshape(words.size, 8).T.tobytes()


def _words(reader: _Reader, n: int) -> NDArray[np.uint64]:
    planes = np.frombuffer(reader.take(8 * n), dtype=np.uint8).reshape(8, n)
    return np.ascontiguousarray(planes.T).view("<u8").reshape(n).astype(np.uint64)


def _whole_out(column: IntArray) -> bytes:
    """Whole numbers as differences, modulo 2^64: any bits come back."""
    bits = column.view(np.uint64)
    return _planes(np.diff(bits, prepend=np.uint64(0)))


def _whole_in(reader: _Reader, n: int) -> IntArray:
    return np.cumsum(_words(reader, n), dtype=np.uint64).view(np.int64)


def _floats_out(column: FloatArray) -> bytes:
    """tag, then by it: nothing but the words; or places, what is not NaN, exceptions, and whole numbers."""
    bits = np.ascontiguousarray(column).view(np.uint64)
    told: BoolArray = bits != _NAN_BITS
    form, places = _form(column[told])
    if form == _RAW:
        return bytes([_RAW]) + _planes(bits)
    whole, fits = _scaled(column[told], form, places)
    strange = np.flatnonzero(told)[~fits].astype("<u4")
    return b"".join(
        (
            struct.pack("<BBI", form, places, strange.size),
            np.packbits(told).tobytes(),
            strange.tobytes(),
            bits[strange].astype("<u8").tobytes(),
            _whole_out(whole[fits]),
        )
    )


def _floats_in(reader: _Reader, n: int) -> FloatArray:
    (form,) = reader.take(1)
    if form == _RAW:
        return _words(reader, n).view(np.float64)
    places, strangers = struct.unpack("<BI", reader.take(5))
    if form not in (_DECIMAL, _PERCENT) or places >= _POWERS.size:
        raise CodecError(f"a frame's column of form {form} with {places} places")
    told = np.unpackbits(reader.array("u1", (n + 7) // 8), count=n).astype(np.bool_)
    at, values = reader.array("<u4", strangers), reader.array("<u8", strangers)
    if (at >= n).any():
        raise CodecError("a frame's column has a number beyond its end")
    told[at] = False
    bits = np.full(n, _NAN_BITS, dtype=np.uint64)
    bits[at] = values
    whole = _whole_in(reader, int(told.sum()))
    bits[told] = _read_back(whole.astype(np.float64), form, places).view(np.uint64)
    return bits.view(np.float64)


def _form(values: FloatArray) -> tuple[int, int]:
    """The short form in which most of a column's numbers are exact, with the fewest places; else raw."""
    step = max(1, values.size // _SAMPLE)
    sample = values[::step]
    if not sample.size:
        return _DECIMAL, 0
    for form, most in ((_DECIMAL, _POWERS.size), (_PERCENT, 7)):
        for places in range(most):
            _, fits = _scaled(sample, form, places)
            if fits.mean() >= _SHARE:
                return form, places
    return _RAW, 0


def _scaled(values: FloatArray, form: int, places: int) -> tuple[IntArray, BoolArray]:
    """The whole numbers of a short form, and where they read back as what they were, to the bit."""
    factor = _POWERS[places] * (100.0 if form == _PERCENT else 1.0)
    with np.errstate(all="ignore"):
        rounded = np.rint(values * factor)
        small = np.abs(rounded) < _EXACT
        whole = np.where(small, rounded, 0.0).astype(np.int64)
    same = _read_back(whole.astype(np.float64), form, places).view(np.uint64)
    return whole, small & (same == np.ascontiguousarray(values).view(np.uint64))


def _read_back(whole: FloatArray, form: int, places: int) -> FloatArray:
    """Divisions alone, each rounded once: the same on every machine."""
    value: FloatArray = whole / _POWERS[places]
    return value / 100.0 if form == _PERCENT else value
