"""Words of the house as canonical JSON and back: what the journal hashes and what it is read from.

The form follows the annotations of the frozen dataclasses, so a word has one form and no other:

- a dataclass is an object of its fields; where one of several may stand, "type" names which;
- Decimals and Fractions are strings, exact; floats are the shortest text that reads back as the same number
  (`repr`), and "nan", "inf", "-inf" as strings, since JSON has no word for them;
- arrays are base64 of their little-endian bytes, so every bit of a NaN survives;
- mappings with text keys are objects, others lists of pairs, sorted;
- keys are sorted, no blanks, ASCII only: one text for one value on every machine.

Reading is strict: a field too many, a wrong type or an unknown word is an error, never a guess. A field that
is missing takes its default: records of older releases stay readable.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

#: Powers of ten that no amount has: it would be written out digit by digit, and no sum with it is exact.
EXPONENT_MAX = 300
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CodecError(ValueError):
    """A text that is no word of ours: where in it, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Both directions of one annotation: value -> JSON value, JSON value -> value."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def canonical(document: Any) -> bytes:
    """The one text of a JSON value.

    >>> canonical({"b": 1.0, "a": [None, "é"]})
    b'{"a":[null,"\\\\u00e9"],"b":1.0}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse(text: bytes) -> Any:
    """The JSON value of a canonical text.

    Raises:
        CodecError: it is not JSON, not canonical, or nested too deeply.
    """
    try:
        document = json.loads(text)
        same = canonical(document) == text
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from error
    if not same:
        raise CodecError("not in canonical form")
    return document


def dump(hint: Any, value: Any) -> bytes:
    """A value of an annotation as canonical text.

    >>> dump(Decimal, Decimal("1.10"))
    b'"1.10"'
    """
    return canonical(codec(hint).encode(value))


def load(hint: Any, text: bytes) -> Any:
    """The value that `dump` made a text of.

    Raises:
        CodecError: it is no such value.

    >>> load(tuple[float, ...], b'[1.0,"nan"]')
    (1.0, nan)
    """
    return codec(hint).decode(parse(text))


@cache
def codec(hint: Any) -> Codec:
    """The codec of an annotation; made once.

    Raises:
        TypeError: nothing is said about such values here.
    """
    origin = get_origin(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin in (Union, types.UnionType):
        return _union(get_args(hint))
    if origin is tuple:
        return _tuple(get_args(hint))
    if origin is np.ndarray:
        return _array(np.dtype(get_args(get_args(hint)[1])[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"no codec for {hint}")


def _expect(kind: type, name: str) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if type(value) is not kind:
            raise CodecError(f"{name} expected, found {_shown(value)}")
        return value

    return decode


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _float_out(value: float) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return number
    return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"


def _float_in(value: Any) -> float:
    if type(value) is float:
        return value
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    raise CodecError(f"a number with a point expected, found {_shown(value)}")


def _exact(kind: type[Decimal] | type[Fraction]) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        try:
            number = kind(value) if isinstance(value, str) else None
        except (InvalidOperation, ValueError, ZeroDivisionError):
            number = None
        beyond = isinstance(number, Decimal) and number.is_finite() and abs(number.adjusted()) > EXPONENT_MAX
        if number is None or beyond or str(number) != value:
            raise CodecError(f"an exact number as text expected, found {_shown(value)}")
        return number

    return decode


_PLAIN: dict[Any, Codec] = {
    type(None): Codec(lambda value: None, _expect(type(None), "null")),
    bool: Codec(bool, _expect(bool, "true or false")),
    int: Codec(int, _expect(int, "a whole number")),
    str: Codec(str, _expect(str, "text")),
    float: Codec(_float_out, _float_in),
    Decimal: Codec(str, _exact(Decimal)),
    Fraction: Codec(str, _exact(Fraction)),
}


def _enum(kind: type[Enum]) -> Codec:
    def decode(value: Any) -> Enum:
        if type(value) not in (str, int):
            raise CodecError(f"a {kind.__name__} expected, found {_shown(value)}")
        try:
            return kind(value)
        except ValueError as error:
            raise CodecError(f"a {kind.__name__} expected, found {_shown(value)}") from error

    return Codec(lambda value: kind(value).value, decode)


def _array(dtype: np.dtype[Any]) -> Codec:
    stored = dtype.newbyteorder("<")

    def encode(value: Any) -> str:
        row = np.asarray(value)
        if row.ndim != 1:
            raise TypeError(f"arrays of one dimension are recorded, this one has {row.ndim}")
        data = row.astype(stored, casting="same_kind", copy=False).tobytes()
        return base64.b64encode(data).decode("ascii")

    def decode(value: Any) -> Any:
        try:
            data = base64.b64decode(value, validate=True)
            return np.frombuffer(data, dtype=stored).astype(dtype)
        except (TypeError, ValueError, binascii.Error) as error:
            raise CodecError(f"an array of {dtype} expected, found {_shown(value)}") from error

    return Codec(encode, decode)


def _tuple(parts: tuple[Any, ...]) -> Codec:
    if len(parts) == 2 and parts[1] is Ellipsis:
        each = codec(parts[0])

        def decode_all(value: Any) -> tuple[Any, ...]:
            return tuple(_at(i, each.decode, x) for i, x in enumerate(_expect(list, "a list")(value)))

        return Codec(lambda value: [each.encode(x) for x in value], decode_all)
    codecs = [codec(part) for part in parts]

    def decode(value: Any) -> tuple[Any, ...]:
        if len(_expect(list, "a list")(value)) != len(codecs):
            raise CodecError(f"{len(codecs)} items expected, found {len(value)}")
        return tuple(_at(i, c.decode, x) for i, (c, x) in enumerate(zip(codecs, value, strict=True)))

    return Codec(lambda value: [c.encode(x) for c, x in zip(codecs, value, strict=True)], decode)


def _mapping(key: Any, item: Any) -> Codec:
    keys, items = codec(key), codec(item)
    if key is str:

        def decode_object(value: Any) -> dict[str, Any]:
            return {k: _at(k, items.decode, x) for k, x in _expect(dict, "an object")(value).items()}

        return Codec(lambda value: {str(k): items.encode(x) for k, x in value.items()}, decode_object)

    pairs = _tuple((tuple[key, item], Ellipsis))

    def encode(value: Any) -> list[Any]:
        return sorted(([keys.encode(k), items.encode(x)] for k, x in value.items()), key=lambda pair: pair[0])

    def decode(value: Any) -> dict[Any, Any]:
        found = dict(pairs.decode(value))
        if len(found) != len(value):
            raise CodecError("a key occurs twice")
        return found

    return Codec(encode, decode)


def _union(parts: tuple[Any, ...]) -> Codec:
    nullable = type(None) in parts
    some = tuple(part for part in parts if part is not type(None))
    inner = codec(some[0]) if len(some) == 1 else _tagged(some)
    if not nullable:
        return inner
    return Codec(
        lambda value: None if value is None else inner.encode(value),
        lambda value: None if value is None else inner.decode(value),
    )


def _tagged(parts: tuple[Any, ...]) -> Codec:
    """One of several dataclasses, told apart by its name under "type"."""
    codecs = {kind.__name__: codec(kind) for kind in parts}

    def encode(value: Any) -> dict[str, Any]:
        name = type(value).__name__
        if name not in codecs:
            raise TypeError(f"{name} is not one of {', '.join(codecs)}")
        return {"type": name, **codecs[name].encode(value)}

    def decode(value: Any) -> Any:
        name = _expect(dict, "an object")(value).get("type")
        if not isinstance(name, str) or name not in codecs:
            raise CodecError(f"type: one of {', '.join(codecs)} expected, found {_shown(name)}")
        return _at(name, codecs[name].decode, {k: x for k, x in value.items() if k != "type"})

    return Codec(encode, decode)


def _dataclass(kind: type) -> Codec:
    hints = get_type_hints(kind)
    parts = [(f.name, codec(hints[f.name])) for f in fields(kind)]
    by_name = dict(parts)
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise TypeError(f"a {kind.__name__} expected, found {type(value).__name__}")
        return {name: part.encode(getattr(value, name)) for name, part in parts}

    def decode(value: Any) -> Any:
        _expect(dict, f"a {kind.__name__}")(value)
        strange = sorted(value.keys() - by_name.keys())
        lacking = sorted(required - value.keys())
        if strange or lacking:
            raise CodecError(f"{kind.__name__}: lacking {lacking}, strange {strange}")
        decoded = {name: _at(name, by_name[name].decode, x) for name, x in value.items()}
        try:
            return kind(**decoded)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise CodecError(f"no {kind.__name__}: {error}") from error

    return Codec(encode, decode)


def _at(where: object, decode: Callable[[Any], Any], value: Any) -> Any:
    try:
        return decode(value)
    except CodecError as error:
        raise CodecError(f"{where}: {error}") from error
