"""Named stresses, shipped with the package: dated moves of index and vol in hedger/tables/stresses.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from pricing.errors import InputError
from risk.scenarios import Shock


@dataclass(frozen=True, slots=True)
class Stress:
    """A move that happened. first, last: ISO days. fall: by coin, a share. dvol: vol points before and at
    its high, None where there was no such index."""

    name: str
    title: str
    first: str
    last: str
    fall: Mapping[str, float]
    dvol: tuple[float, float] | None
    source: str

    def shock(self, underlying: str) -> Shock | None:
        """What it does to a coin; None where the table has no figure of it."""
        if underlying not in self.fall:
            return None
        points = 0.0 if self.dvol is None else (self.dvol[1] - self.dvol[0]) / 100.0
        return Shock(spot=self.fall[underlying], vol=points, term=points)


@lru_cache(maxsize=1)
def stresses() -> tuple[Stress, ...]:
    """All of them, oldest first.

    Raises:
        InputError: the shipped table is damaged.
    """
    place = resources.files("hedger") / "tables" / "stresses.toml"
    try:
        entries = tomllib.loads(place.read_text("utf-8"))["stress"]
        return tuple(
            Stress(
                name=entry["name"],
                title=entry["title"],
                first=entry["from"].isoformat(),
                last=entry["to"].isoformat(),
                fall={coin: float(share) for coin, share in entry["fall"].items()},
                dvol=(float(entry["dvol"][0]), float(entry["dvol"][1])) if "dvol" in entry else None,
                source=entry["source"],
            )
            for entry in entries
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise InputError(
            "STRESS_TABLE",
            "the shipped table of stresses is damaged",
            where="hedger/tables/stresses.toml",
            observed=error,
            fix="reinstall the package",
        ) from None


def chosen(word: str) -> tuple[Stress, ...]:
    """All of them, or the one of a name.

    Raises:
        InputError: there is none of that name.
    """
    found = tuple(stress for stress in stresses() if word in ("all", stress.name))
    if not found:
        raise InputError(
            "STRESS_UNKNOWN",
            "there is no such stress",
            where="--stress",
            observed=word,
            allowed=", ".join(["all", *(stress.name for stress in stresses())]),
            not_done="nothing was valued",
            fix="name one of them; your own are [[scenarios]] in config.toml",
        )
    return found
