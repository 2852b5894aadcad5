"""Named stresses: dated moves of index and vol in hedger/tables/stresses.toml, which is shipped with the
package, and the scenarios of the desk's settings. One of the desk's takes the place of a dated one of its
name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from pricing.errors import InputError
from risk.scenarios import Scenario, Shock


@dataclass(frozen=True, slots=True)
class Stress:
    """A move that happened, or a scenario of the desk. first, last: ISO days, None of the desk's. fall: by
    coin, a share. dvol: vol points before and at its high, None where there was no such index. own: what the
    desk's does to every coin; None: it is a dated one."""

    name: str
    title: str
    first: str | None
    last: str | None
    fall: Mapping[str, float]
    dvol: tuple[float, float] | None
    source: str
    own: Shock | None = None

    def shock(self, underlying: str) -> Shock | None:
        """What it does to a coin; None where the table has no figure of it."""
        if self.own is not None:
            return self.own
        if underlying not in self.fall:
            return None
        points = 0.0 if self.dvol is None else (self.dvol[1] - self.dvol[0]) / 100.0
        return Shock(spot=self.fall[underlying], vol=points, term=points)

    @property
    def vol_points(self) -> float | None:
        """What it adds to the vol of 30 days at the money, points; None where none is on record."""
        if self.own is not None:
            return 100.0 * self.own.vol
        return None if self.dvol is None else self.dvol[1] - self.dvol[0]


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


def of_desk(scenario: Scenario) -> Stress:
    """A scenario of the desk's settings as a stress: the same shock, of every coin alike."""
    shock = scenario.shock
    moves = [f"spot {100 * shock.spot:+g} %", f"vol {100 * shock.vol:+g} points"]
    moves += [f"{name} {100 * x:+g} points" for name, x in (("skew", shock.skew), ("term", shock.term)) if x]
    moves += [f"{shock.hours:g} h later"] if shock.hours else []
    title = f"a scenario of the desk, of every coin: {', '.join(moves)}"
    return Stress(scenario.name, title, None, None, {}, None, "[[scenarios]] of the settings", shock)


def known(own: Iterable[Scenario] = ()) -> tuple[Stress, ...]:
    """All of them: dated ones, oldest first, and the desk's own in the order of its settings. own: those."""
    mine = {scenario.name: of_desk(scenario) for scenario in own}
    return (*(stress for stress in stresses() if stress.name not in mine), *mine.values())


def chosen(word: str, own: Iterable[Scenario] = ()) -> tuple[Stress, ...]:
    """All of them, or the one of a name. own: scenarios of the desk's settings.

    Raises:
        InputError: there is none of that name.
    """
    every = known(own)
    found = every if word == "all" else tuple(stress for stress in every if stress.name == word)
    if not found:
        raise InputError(
            "STRESS_UNKNOWN",
            "there is no such stress",
            where="--stress",
            observed=word,
            allowed=", ".join(["all", *(stress.name for stress in every)]),
            not_done="nothing was valued",
            fix="name one of them; one of your own is a [[scenarios]] of the settings: of --config, or those "
            "that the journal's engine runs with",
        )
    return found
