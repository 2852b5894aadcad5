"""Fields of one JSON object, each checked as it is taken: a wrong one names its file, item and key."""

from __future__ import annotations

from typing import Any, NoReturn

from pricing.errors import InputError
from venues.source_tables import PRICE_MAX

#: No figure of a venue is larger, whatever it counts.
FIGURE_MAX = 1e15

_RANGES = {
    "any": f"any sign, at most {FIGURE_MAX:.0e} in size",
    "not negative": "0 or above",
    "positive": f"above 0 and at most {PRICE_MAX:.0e}",
}


class Fields:
    """A JSON object under its place in a file. Numbers must be JSON numbers; null means unknown."""

    def __init__(self, item: object, where: str) -> None:
        self.where = where
        if not isinstance(item, dict):
            self.refuse("", "not an object", item, "a ticker or order-book result")
        self._item: dict[str, Any] = item

    def text(self, key: str) -> str:
        """A text with something in it; required."""
        value = self._item.get(key)
        if not isinstance(value, str) or not value:
            self.refuse(key, "not a text", value, "a text")
        return value

    def text_or_none(self, key: str) -> str | None:
        """A text, or None where null or absent."""
        return None if self._item.get(key) is None else self.text(key)

    def number(self, key: str, allowed: str = "any", must_exist: bool = False) -> float | None:
        """A finite number, or None where null (or absent, unless `must_exist`).

        allowed: "any", "not negative", or "positive".
        """
        if must_exist and key not in self._item:
            self.refuse(key, "a field is missing", "absent", "a number, or null where unknown")
        value = self._item.get(key)
        return None if value is None else self.checked(key, value, allowed)

    def known(self, key: str, must_exist: bool = False) -> float | None:
        """A number not below 0, where 0 is the venue's way to say that there is none: None."""
        return self.number(key, "not negative", must_exist) or None

    def integer(self, key: str, lowest: int, highest: int) -> int:
        """A whole number within bounds; required."""
        value = self._item.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            self.refuse(key, "not a whole number in range", value, f"{lowest} to {highest}")
        return value

    def flag(self, key: str) -> bool:
        """True or false; required."""
        value = self._item.get(key)
        if not isinstance(value, bool):
            self.refuse(key, "not true or false", value, "true or false")
        return value

    def listed(self, key: str) -> list[Any]:
        """A list; required."""
        value = self._item.get(key)
        if not isinstance(value, list):
            self.refuse(key, "not a list", value, "a list")
        return value

    def nested(self, key: str) -> Fields:
        """The object under a key; an empty one where null or absent."""
        value = self._item.get(key)
        return Fields({} if value is None else value, f"{self.where}, key {key}")

    def ladder(self, key: str, falling: bool) -> list[tuple[float, float]]:
        """Levels [price, size] of one side of an order book, best first; empty where null or absent."""
        value = self._item.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(key, "not a list of levels", value, "[[price, size], ...]")
        levels: list[tuple[float, float]] = []
        for i, level in enumerate(value):
            place = f"{key}[{i}]"
            if not isinstance(level, list) or len(level) != 2:
                self.refuse(place, "not a level", level, "[price, size]")
            price, size = (self.checked(place, number, "positive") for number in level)
            if levels and (price >= levels[-1][0] if falling else price <= levels[-1][0]):
                self.refuse(place, "levels out of order", level, "each level worse than the one before")
            levels.append((price, size))
        return levels

    def written(self, key: str, allowed: str = "any") -> float | None:
        """A number that the venue writes as text; None where null, absent, empty, or its sign of infinity."""
        value = self._item.get(key)
        if value is None or value in ("", "∞", "-∞"):
            return None
        if not isinstance(value, str) or not value.isascii() or "_" in value:
            self.refuse(key, "not a number written as text", value, 'such as "0.25", or "" where unknown')
        try:
            number = float(value)
        except ValueError:
            self.refuse(key, "not a number written as text", value, 'such as "0.25", or "" where unknown')
        return self.checked(key, number, allowed)

    def written_known(self, key: str) -> float | None:
        """As `written`, where 0 is the venue's way to say that there is none: None."""
        return self.written(key, "not negative") or None

    def written_stamp(self, key: str, lowest: int, highest: int, unit: str) -> int:
        """A time that the venue writes as text: whole `unit` since 1970, within bounds; required."""
        text = self.text(key)
        # no stamp is longer, and int() refuses thousands of digits by an error of its own
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
        if value is None or not lowest <= value <= highest:
            self.refuse(key, "not a time", text, f"{unit} since 1970 as text")
        return value

    def has(self, key: str) -> bool:
        """Whether the object has the key."""
        return key in self._item

    def checked(self, key: str, value: object, allowed: str) -> float:
        """The value as a float, once it is a finite JSON number in its range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(key, "not a number", value, "a JSON number without quotes, or null")
        number = float(value)
        low = (allowed == "positive" and number <= 0) or (allowed == "not negative" and number < 0)
        large = not abs(number) <= FIGURE_MAX
        if large or low or (allowed == "positive" and number > PRICE_MAX):
            self.refuse(key, "a number out of range", value, f"finite, {_RANGES[allowed]}")
        return number

    def refuse(self, key: str, what: str, observed: object, allowed: str) -> NoReturn:
        """Raise InputError about a field."""
        shown = repr(observed)
        raise InputError(
            "SOURCE_VALUE",
            what,
            where=f"{self.where}, key {key}" if key else self.where,
            observed=shown if len(shown) <= 80 else shown[:77] + "...",
            allowed=allowed,
            not_done="nothing was written",
            fix="correct or drop the item at its source",
        )
