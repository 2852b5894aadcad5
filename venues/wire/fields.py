"""Fields of one object that an exchange sent, each checked as it is taken.

Venues write numbers as JSON numbers or as text, and change from one to the other without notice: both are
read. Nothing else is: no NaN, no infinity, no thousands of digits, no number where a text must stand. A field
that must be there and is not is `Malformed`; one that may be missing is None or NaN, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NoReturn

import msgspec

from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from venues.errors import Malformed

NAN = math.nan
NS_PER_MS = NS_PER_SECOND // 1000
#: 2010 and 2100 in milliseconds: a stamp in another unit falls outside.
STAMP_MS_MIN, STAMP_MS_MAX = 1_262_304_000_000, 4_102_444_800_000
#: No figure of a venue is larger or finer, whatever it counts.
FIGURE_MAX = 1e18
_DIGITS_MAX = 28  # a Decimal of the ordinary context holds them all
_FINEST = -18
FINEST = 1e-18
#: Ids and names are short; a longer text is an attack or a fault.
TEXT_MAX = 256
ITEMS_MAX = 100_000

#: Of a level, for the reader that takes whole sides: texts or numbers, as the venue writes them.
Price = Annotated[float, msgspec.Meta(ge=FINEST, lt=FIGURE_MAX)]
Size = Annotated[float, msgspec.Meta(ge=0.0, lt=FIGURE_MAX)]
#: What a reader of texts raises over one that it cannot read: nesting without end is no JSON of a venue, nor
#: is text that cannot be written.
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError)
#: How venues write that nothing is left of a level.
_ZEROS = frozenset([0, "0", *("0." + "0" * places for places in range(1, 19))])


class _Side(msgspec.Struct):
    """Levels of a side; a struct, since the library learns a type once only where it is one."""

    levels: list[tuple[Price, Size]]


class _SideOfFours(msgspec.Struct):
    levels: list[tuple[Price, Size, Any, Any]]


class Wire:
    """A JSON object, and where it came from."""

    __slots__ = ("_item", "where")

    def __init__(self, item: object, where: str) -> None:
        self.where = where
        if not isinstance(item, dict):
            raise malformed(where, "not an object", item, "an object")
        self._item: dict[str, Any] = item

    @property
    def payload(self) -> dict[str, Any]:
        """The object as it came, for a reader that takes it whole."""
        return self._item

    def has(self, key: str) -> bool:
        """Whether there is something under a key: neither null nor an empty text."""
        value = self._item.get(key)
        return value is not None and value != ""

    def raw(self, key: str) -> object:
        """What stands there, unchecked."""
        return self._item.get(key)

    def text(self, key: str) -> str:
        """A text with something in it; required."""
        value = self._item.get(key)
        if not isinstance(value, str) or not value or len(value) > TEXT_MAX:
            self.refuse(key, "not a text", value, f"1 to {TEXT_MAX} characters")
        return value

    def text_or(self, key: str, otherwise: str) -> str:
        """A text, or what stands in for null, empty or absent."""
        return self.text(key) if self.has(key) else otherwise

    def told(self, key: str) -> str:
        """A text that may be empty, where a venue says so that there is none; but it must be there."""
        return "" if self._item.get(key) == "" else self.text(key)

    def name(self, key: str) -> str:
        """An id: a text, or a whole number where the venue counts; required."""
        value = self._item.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**24:
            return str(value)
        return self.text(key)

    def name_or(self, key: str, otherwise: str) -> str:
        """An id, or what stands in for null, empty or absent."""
        return self.name(key) if self.has(key) else otherwise

    def number(self, key: str) -> float:
        """A finite number; NaN where null, empty or absent."""
        value = self._item.get(key)
        if type(value) is float:  # the common case of a frame, taken first
            if -FIGURE_MAX < value < FIGURE_MAX:
                return value
        elif value is None or value == "":
            return NAN
        elif type(value) is int:
            if -FIGURE_MAX < value < FIGURE_MAX:
                return float(value)
        elif isinstance(value, str):
            return float(self.decimal(key))
        self.refuse(key, "not a number", value, f"a finite number, at most {FIGURE_MAX:.0e} in size")

    def positive(self, key: str) -> float:
        """A number above 0; NaN where null, empty, absent, or 0: so venues say that there is none."""
        value = self.number(key)
        if value > 0:
            return value
        if value < 0:
            self.refuse(key, "a negative number", value, "0 or above")
        return NAN

    def decimal(self, key: str) -> Decimal:
        """An exact number; required. A float is taken to the 18th place: venues reckon in doubles."""
        value = self._item.get(key)
        if isinstance(value, str):
            exact = _exact(value)
        elif type(value) is float:
            exact = _of_double(value)
        elif type(value) is int and abs(value) < 10**18:
            exact = _exact(repr(value))
        else:
            exact = None
        if exact is None:
            self.refuse(key, "not a number", value, f"a finite number of at most {_DIGITS_MAX} digits")
        return exact

    def above_zero(self, key: str) -> Decimal:
        """An exact number above 0; required."""
        value = self.decimal(key)
        if value <= 0:
            self.refuse(key, "not a number above 0", value, "above 0")
        return value

    def not_negative(self, key: str) -> Decimal:
        """An exact number, 0 or above; required."""
        value = self.decimal(key)
        if value < 0:
            self.refuse(key, "a negative number", value, "0 or above")
        return value

    def stamp_ns(self, key: str) -> int:
        """A time that the venue gives in milliseconds, as UTC nanoseconds; required."""
        value = self._item.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not STAMP_MS_MIN <= value <= STAMP_MS_MAX:
            self.refuse(key, "not a time", value, "milliseconds since 1970")
        return value * NS_PER_MS

    def stamp_ns_or(self, key: str, otherwise: int) -> int:
        """A time, or what stands in for null, empty or absent."""
        return self.stamp_ns(key) if self.has(key) else otherwise

    def whole(self, key: str) -> int:
        """A whole number; required."""
        value = self._item.get(key)
        if type(value) is not int or abs(value) >= 10**24:
            self.refuse(key, "not a whole number", value, "a whole number")
        return value

    def amount_or_none(self, key: str) -> Decimal | None:
        """An exact number above 0; None where none is told: a market order has no price, a combo's may be
        below 0."""
        value = self.decimal(key) if self.has(key) else None
        return value if value is not None and value > 0 else None

    def flag(self, key: str) -> bool:
        """True or false, as such or as text; required."""
        value = self._item.get(key)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value)
        if not isinstance(value, bool):
            self.refuse(key, "not true or false", value, "true or false")
        return value

    def side(self, key: str) -> Side:
        """Side of an order or an execution; required."""
        value = self._item.get(key)
        if not isinstance(value, str) or value.lower() not in ("buy", "sell"):
            self.refuse(key, "not a side", value, "buy or sell")
        return Side(value.lower())

    def nested(self, key: str) -> Wire:
        """The object under a key; required."""
        return Wire(self._item.get(key), f"{self.where}.{key}")

    def items(self, key: str) -> Iterator[Wire]:
        """The objects of the list under a key; required."""
        return items(self._item.get(key), f"{self.where}.{key}")

    def refuse(self, key: str, what: str, observed: object, allowed: str) -> NoReturn:
        """Raise `Malformed` about a field."""
        raise malformed(f"{self.where}.{key}", what, observed, allowed)


def items(value: object, where: str) -> Iterator[Wire]:
    """The objects of a list.

    Raises:
        Malformed: no list, or one of something else.
    """
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        raise malformed(where, "not a list", value, f"a list of at most {ITEMS_MAX} objects")
    return (Wire(item, f"{where}[{i}]") for i, item in enumerate(value))


def only(value: object, where: str) -> Wire:
    """The one object of a list.

    Raises:
        Malformed: no list, or not one object in it: an empty list is no word about what was asked for.
    """
    found = list(items(value, where))
    if len(found) != 1:
        raise malformed(where, "not one object", f"{len(found)}", "a list of one")
    return found[0]


def levels(value: object, where: str) -> list[tuple[float, float]]:
    """Levels [price, size, ...] of a side of an order book; further entries are not looked at.

    Raises:
        Malformed: no list of such, a price that is not above 0, or a negative size.
    """
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        raise malformed(where, "not a list of levels", value, "[[price, size], ...]")
    quick = _levels_at_once(value)
    if quick is not None:
        return quick
    found: list[tuple[float, float]] = []
    for level in value:
        if not isinstance(level, list | tuple) or not 2 <= len(level) <= 8:
            raise malformed(where, "not a level", level, "[price, size]")
        price, size = _figure(level[0]), _figure(level[1])
        if price is None or size is None or not price > 0 or not size >= 0:
            raise malformed(where, "not a level", level, "[price above 0, size]")
        found.append((price, size))
    return found


def _levels_at_once(value: list[Any]) -> list[tuple[float, float]] | None:
    """A side whose levels are as they nearly always are, read in one step; None: level by level, which also
    says what is wrong."""
    if not value:
        return []
    try:
        if type(value[0]) is list and len(value[0]) == 2:
            found = msgspec.convert({"levels": value}, _Side, strict=False).levels
        else:
            longer = msgspec.convert({"levels": value}, _SideOfFours, strict=False).levels
            found = [(price, size) for price, size, _, _ in longer]
    except msgspec.ValidationError:
        return None
    return found if no_silent_zero(found, value) else None


def no_silent_zero(found: list[tuple[float, float]], value: list[Any]) -> bool:
    """Whether no size of these levels became the 0 that takes a level away, because it is too fine to be a
    size; value: the levels as they came."""
    for (_, size), level in zip(found, value, strict=True):
        if size < FINEST and level[1] not in _ZEROS:
            return False
    return True


def malformed(where: str, what: str, observed: object, allowed: str) -> Malformed:
    """The error about something that an exchange sent; what was seen is cut short."""
    return Malformed(
        "MALFORMED",
        what,
        where=where[:200],
        observed=shown(observed),
        allowed=allowed,
        not_done="the message was not used",
    )


def shown(value: object) -> str:
    """A value for people, cut short; never the whole of a payload."""
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a whole number of more than 40 digits"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _figure(value: object) -> float | None:
    """A number of a level, as a float."""
    if type(value) is float or type(value) is int:
        return float(value) if -FIGURE_MAX < value < FIGURE_MAX else None
    exact = _exact(value) if isinstance(value, str) else None
    return None if exact is None else float(exact)


def _of_double(value: float) -> Decimal | None:
    """The shortest number that reads as this double, to the finest place; None as `_exact`.

    >>> _of_double(0.1), _of_double(0.0009995195350944155), _of_double(1e-19)
    (Decimal('0.1'), Decimal('0.000999519535094416'), None)
    """
    if not math.isfinite(value):
        return None
    shortest = Decimal(repr(value))
    exponent = shortest.as_tuple().exponent
    if isinstance(exponent, int) and exponent < _FINEST <= shortest.adjusted():
        shortest = shortest.quantize(Decimal(1).scaleb(_FINEST))
    return _exact(str(shortest))


def _exact(text: str) -> Decimal | None:
    """A number written as text; None where it is none, or too large, too fine or too long to be one."""
    if not text.isascii() or "_" in text or len(text) > 64 or text != text.strip():
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    if value == 0:
        return Decimal(0)
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # finite
    if len(value.as_tuple().digits) > _DIGITS_MAX or value.adjusted() >= 18 or exponent < _FINEST:
        return None
    return value
