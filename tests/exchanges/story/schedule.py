"""What goes wrong in a story, and when: drawn by seed, so that a story can be told again.

Each kind is a fault of the project's catalogue that needs sockets or processes. A kind that the exchange's
protocol cannot suffer is left out of its draw (`kinds_of`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.exchanges.faults import Act
from tests.exchanges.story.place import Place
from tests.exchanges.stranger import DISGUISES

#: Seconds with faults, from the moment at which the engine is armed.
FAULTS_S = (1.2, 2.2)
#: The same where one of two venues fails: long enough to hedge on the other meanwhile.
PAIR_S = (3.0, 4.5)
#: An order whose reply is late, or that comes late itself, is so late at most: sooner than it is given up.
LATE_S = 0.6
#: A channel is silent for so long, s, and its marks are known for so long: the least that a setting may be.
SILENT_S, MARK_AGE_S = 13.0, 6.0
#: A crash comes at one of so many steps of a life.
STEPS = 60


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to an exchange, the wire or the engine. verb: of `deeds.Deeds`; terms: its arguments."""

    at_s: float
    fault: str
    verb: str
    terms: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        told = ", ".join(f"{k}={v}" for k, v in self.terms)
        return f"{self.at_s:.2f} s {self.fault} {self.verb}({told})"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A seed's story. crash_at: steps at which the first lives end, 0 at none; options: they are traded
    too; pair: delta is hedged on two venues; fails: which of the cast suffers all of it; tls: every
    connection is encrypted; mark_age_s: after which its marks are not known any more, None: the product's
    own."""

    seed: int
    kinds: tuple[str, ...]
    deeds: tuple[Deed, ...]
    until_s: float
    crash_at: tuple[int, ...] = ()
    options: bool = False
    pair: bool = False
    fails: int = 0
    tls: bool = False
    mark_age_s: float | None = None


#: Two stories that are told of each exchange by the tests, and have every kind between them: faults of the
#: wire, and of clocks, processes and people.
OF_THE_WIRE = ("F1", "F3", "F5", "F6", "F7", "F9", "F11", "F15", "F16", "F26", "F31")
OF_LIVES = ("F2", "F4", "F8", "F10", "F12", "F18", "F19", "F22", "F24", "F25", "F27", "F28")

Maker = Callable[[random.Random, Place], list[Deed]]


def draw(
    seed: int,
    place: Place,
    only: tuple[str, ...] = (),
    *,
    second: Place | None = None,
    fails: int | None = None,
) -> Schedule:
    """The story of a seed. only: of these kinds, every one of them; second: there is another to hedge on, and
    one of the two fails (F34). fails: which one, 0 or 1; None: by lot."""
    dice = random.Random(f"{seed} {place.venue}")
    pair = second is not None
    if second is None:
        fails = 0
    elif fails is None:
        fails = random.Random(f"{seed} fails").randrange(2)
    if second is not None and fails:
        place = second
    kinds = kinds_of(place)
    if only:
        chosen = [kind for kind in kinds if kind in only]
    else:
        # in turn one that is certain, so that few stories try them all, and up to two by lot
        chosen = sorted({kinds[seed % len(kinds)], *dice.sample(kinds, dice.randint(0, 2))}, key=kinds.index)
        if dice.random() < 0.15 and "F28" not in chosen:
            chosen.append("F28")
    if pair:
        chosen = ["F34", *chosen[: seed % 2]] if not only else ["F34", *chosen]
    until_s = dice.uniform(*(PAIR_S if pair else FAULTS_S))
    deeds = [
        _at(deed, deed.at_s * until_s)
        for kind in chosen
        if kind in MAKERS
        for deed in MAKERS[kind](dice, place)
    ]
    crash_at = tuple(dice.randint(1, STEPS) for _ in range(dice.randint(1, 3))) if "F19" in chosen else ()
    if "F12" in chosen:
        deeds = [_not_before(deed) for deed in deeds]
    deeds.sort(key=lambda deed: deed.at_s)
    return Schedule(
        seed,
        tuple(chosen),
        tuple(deeds),
        until_s,
        crash_at,
        options=(seed % 4 == 0 or place.options) and not pair,
        pair=pair,
        fails=fails,
        tls="F26" in chosen,
    )


def silent(seed: int, place: Place) -> Schedule:
    """A story in which one public channel falls silent while its connection lives: no mark comes any more,
    and all else goes on, for several times as long as a mark is known (F16)."""
    drawn, until_s = draw(seed, place, ("F16",)), SILENT_S
    begin = _rule(0.5, "F16", Act.DROP, place.names.tickers, times=10**6)
    deeds = sorted((*drawn.deeds, begin), key=lambda deed: deed.at_s)
    return replace(drawn, deeds=tuple(deeds), until_s=until_s, mark_age_s=MARK_AGE_S)


def kinds_of(place: Place) -> list[str]:
    """The faults that this exchange can suffer, in the order of their numbers."""
    found = {"F19", *MAKERS} - {"F34"}
    if place.labels_repeat:
        found -= {"F10"}
    return sorted(found, key=lambda name: int(name[1:]))


def _not_before(deed: Deed) -> Deed:
    """A clock is set forward alone where others trade: what it stamps before the account with which the book
    began is in that account, as far as anybody can tell, and only a person can say that it is not."""
    if deed.verb != "skew":
        return deed
    return Deed(deed.at_s, deed.fault, deed.verb, (("seconds", abs(dict(deed.terms)["seconds"])),))


def _at(deed: Deed, at_s: float) -> Deed:
    return Deed(at_s, deed.fault, deed.verb, deed.terms)


def _deed(at: float, fault: str, verb: str, **terms: Any) -> Deed:
    """at: as a share of the time with faults."""
    return Deed(at, fault, verb, tuple(terms.items()))


def _rule(at: float, fault: str, act: Act, match: str, **terms: Any) -> Deed:
    return _deed(at, fault, "rule", act=act.value, match=match, **terms)


def _soon(dice: random.Random) -> float:
    return dice.uniform(0.0, 0.4)


def _when(dice: random.Random) -> float:
    return dice.uniform(0.1, 0.9)


def _ack_lost(dice: random.Random, place: Place) -> list[Deed]:
    acts = (Act.CUT_AFTER, Act.MUTE_AFTER)
    return [
        _rule(_soon(dice), "F1", dice.choice(acts), place.names.submit, skip=dice.randint(0, 2))
        for _ in range(2)
    ]


def _late(dice: random.Random, place: Place) -> list[Deed]:
    """The reply comes late, or the order itself; meanwhile lookups say that there is none."""
    names = place.names
    act = dice.choice((Act.WAIT_AFTER, Act.WAIT_BEFORE))
    late = dice.uniform(0.35, LATE_S)
    hidden = dice.choice((Act.EMPTY, Act.UNKNOWN_ORDER))
    return [
        _rule(_soon(dice), "F2", act, names.submit, skip=dice.randint(0, 2), seconds=late),
        _rule(0.0, "F2", hidden, names.lookup, times=dice.randint(1, 2)),
    ]


def _lost(dice: random.Random, place: Place) -> list[Deed]:
    acts = (Act.CUT_BEFORE, Act.MUTE_BEFORE)
    return [
        _rule(_soon(dice), "F3", dice.choice(acts), place.names.submit, skip=dice.randint(0, 2))
        for _ in range(2)
    ]


def _black_hole(dice: random.Random, place: Place) -> list[Deed]:
    return [_deed(_when(dice), "F4", "dark", seconds=dice.uniform(0.2, 0.8), cut=dice.random() < 0.7)]


def _disconnects(dice: random.Random, place: Place) -> list[Deed]:
    names = place.names
    deeds = [_deed(_when(dice), "F5", "cut") for _ in range(dice.randint(1, 2))]
    if dice.random() < 0.5:
        channel = dice.choice((names.fills, names.orders, names.books, names.tickers))
        act = dice.choice((Act.CUT, Act.CUT_BEHIND))
        deeds.append(_rule(_soon(dice), "F5", act, channel, skip=dice.randint(0, 20)))
    steps = [dice.choice(names.steps) for _ in range(dice.randint(0, 2))]
    return deeds + [_rule(0.0, "F5", Act.CUT_AFTER, step) for step in steps]


def _disorder(dice: random.Random, place: Place) -> list[Deed]:
    names = place.names
    channels = (names.fills, names.orders)
    acts = (Act.DUPLICATE, Act.REORDER, Act.DELAY)
    return [
        _rule(
            _soon(dice), "F6", dice.choice(acts), dice.choice(channels), times=dice.randint(1, 5), seconds=0.2
        )
        for _ in range(3)
    ]


def _fill_dropped(dice: random.Random, place: Place) -> list[Deed]:
    deeds = [_rule(_soon(dice), "F7", Act.DROP, place.names.fills, times=dice.randint(1, 6))]
    if dice.random() < 0.5:
        deeds.append(_rule(_soon(dice), "F7", Act.DROP, place.names.orders, times=dice.randint(1, 6)))
    return deeds


def _rates(dice: random.Random, place: Place) -> list[Deed]:
    names = place.names
    operations = (names.submit, names.cancel, names.lookup, *names.account)
    return [
        _rule(_soon(dice), "F8", dice.choice((Act.RATE, Act.RATE_KILL)), operation, times=dice.randint(1, 2))
        for operation in dice.sample(operations, 3)
    ]


def _server_errors(dice: random.Random, place: Place) -> list[Deed]:
    names = place.names
    acts = (Act.ERROR_BEFORE, Act.ERROR_AFTER, Act.HTML, Act.CUT_JSON)
    operations = (names.submit, names.submit, names.cancel, names.lookup, dice.choice(names.account))
    status = dice.choice((500, 502, 504))
    return [
        _rule(_soon(dice), "F9", dice.choice(acts), operation, skip=dice.randint(0, 2), status=status)
        for operation in operations
    ]


def _sent_twice(dice: random.Random, place: Place) -> list[Deed]:
    return [_rule(_soon(dice), "F10", Act.TWICE, place.names.submit, times=dice.randint(1, 3))]


def _races(dice: random.Random, place: Place) -> list[Deed]:
    """Resting orders fill while a cancel is on its way."""
    deeds = [_rule(_soon(dice), "F11", Act.WAIT_BEFORE, place.names.cancel, times=3, seconds=0.1)]
    return deeds + [_deed(_when(dice), "F11", "fill_resting", share=dice.uniform(0.2, 1.2)) for _ in range(6)]


def _others(dice: random.Random, place: Place) -> list[Deed]:
    """Somebody else, or the exchange itself, trades on the account, or moves its money."""
    why = ("manual", "adl", "liquidation", "bust")
    deeds = [
        _deed(_when(dice), "F12", "outside", lots=dice.randint(-200, 200) or 1, why=dice.choice(why))
        for _ in range(dice.randint(1, 3))
    ]
    if dice.random() < 0.4:
        deeds.append(_deed(_when(dice), "F12", "transfer", amount=str(dice.choice((-3, 2, 5)))))
    return deeds


def _books(dice: random.Random, place: Place) -> list[Deed]:
    names = place.names
    deeds = [
        _rule(
            _soon(dice), "F15", dice.choice((Act.DROP, Act.BREAK, Act.REORDER)), names.books, times=4, skip=n
        )
        for n in (0, dice.randint(1, 30))
    ]
    shape = dice.choice(("empty", "no_bids", "no_asks", "thin"))
    return [*deeds, _deed(_when(dice), "F15", "book", shape=shape)]


def _late_feed(dice: random.Random, place: Place) -> list[Deed]:
    names = place.names
    deeds = [
        _rule(_soon(dice), "F16", Act.DELAY, dice.choice((names.books, names.tickers)), times=3, seconds=0.2)
        for _ in range(2)
    ]
    return [*deeds, _deed(_when(dice), "F16", "burst", times=10)]


def _skew(dice: random.Random, place: Place) -> list[Deed]:
    first = dice.choice((-300.0, -30.0, -2.0, 2.0, 30.0, 300.0))
    deeds = [_deed(dice.uniform(0.1, 0.5), "F18", "skew", seconds=first)]
    deeds.append(_deed(dice.uniform(0.6, 0.9), "F18", "skew", seconds=0.0))
    if dice.random() < 0.5:
        deeds.append(_deed(dice.uniform(0.3, 0.7), "F18", "cut"))
    return deeds


def _second(dice: random.Random, place: Place) -> list[Deed]:
    return [_deed(dice.uniform(0.05, 0.4), "F22", "second_instance")]


def _revoked(dice: random.Random, place: Place) -> list[Deed]:
    deeds = [_deed(dice.uniform(0.2, 0.6), "F25", "revoke")]
    if dice.random() < 0.5:
        deeds.append(_deed(dice.uniform(0.65, 0.8), "F25", "cut"))
    return deeds


def _strangers(dice: random.Random, place: Place) -> list[Deed]:
    """Whoever asks is sent elsewhere; later somebody is at the address who cannot prove to be the venue."""
    names = place.names
    sent = ["connect", *names.tokens]
    if names.http:
        sent += [names.submit, *dice.sample((names.cancel, names.lookup, *names.account), 2)]
    deeds = [_rule(_soon(dice), "F26", Act.REDIRECT, what, skip=dice.randint(0, 1)) for what in sent]
    deeds.append(_deed(dice.uniform(0.1, 0.4), "F26", "cut"))
    more = {"how": dice.choice(DISGUISES), "seconds": dice.uniform(0.6, 1.1)}
    return [*deeds, _deed(dice.uniform(0.45, 0.7), "F26", "stranger", **more)]


def _two_builds(dice: random.Random, place: Place) -> list[Deed]:
    return [_deed(_when(dice), "F24", "other_build") for _ in range(dice.randint(1, 2))]


def _dead_man(dice: random.Random, place: Place) -> list[Deed]:
    return [_deed(_when(dice), "F27", "dead_man") for _ in range(3)]


def _kill(dice: random.Random, place: Place) -> list[Deed]:
    return [_deed(_when(dice), "F28", "kill")]


def _lies(dice: random.Random, place: Place) -> list[Deed]:
    acts = (Act.EMPTY, Act.STALE, Act.ERROR_BEFORE, Act.CUT_JSON)
    return [
        _rule(
            _soon(dice),
            "F31",
            dice.choice(acts),
            operation,
            skip=dice.randint(0, 3),
            times=dice.randint(1, 2),
        )
        for operation in dice.sample(place.names.account, min(2, len(place.names.account)))
    ]


def _one_of_two(dice: random.Random, place: Place) -> list[Deed]:
    """In the middle of hedging a venue fails: it is silent, or answers with errors, or takes orders and loses
    every answer; for most of the story."""
    names, begin = place.names, dice.uniform(0.02, 0.3)
    how = dice.choice(("dark", "cut", "errors", "lost"))
    if how == "dark":
        return [_deed(begin, "F34", "dark", seconds=dice.uniform(1.5, 2.5), cut=True)]
    if how == "cut":
        steps = [_rule(begin, "F34", Act.CUT_AFTER, step, times=8) for step in ("connect", names.submit)]
        return [*steps, *(_deed(begin + 0.1 * n, "F34", "cut") for n in range(3))]
    skip = dice.randint(0, 2)
    if how == "errors":
        acts = (Act.ERROR_BEFORE, Act.ERROR_AFTER, Act.HTML)
        asked = (names.lookup, names.cancel, *names.account)
        deeds = [_rule(begin, "F34", Act.ERROR_BEFORE, what, times=6, status=503) for what in asked]
        return [_rule(0.0, "F34", dice.choice(acts), names.submit, times=6, skip=skip, status=502), *deeds]
    act = dice.choice((Act.CUT_AFTER, Act.MUTE_AFTER))
    hidden = _rule(0.0, "F34", dice.choice((Act.EMPTY, Act.MUTE_BEFORE)), names.lookup, times=4)
    return [_rule(0.0, "F34", act, names.submit, times=6, skip=skip), hidden]


MAKERS: Mapping[str, Maker] = {
    "F1": _ack_lost,
    "F2": _late,
    "F3": _lost,
    "F4": _black_hole,
    "F5": _disconnects,
    "F6": _disorder,
    "F7": _fill_dropped,
    "F8": _rates,
    "F9": _server_errors,
    "F10": _sent_twice,
    "F11": _races,
    "F12": _others,
    "F15": _books,
    "F16": _late_feed,
    "F18": _skew,
    "F22": _second,
    "F24": _two_builds,
    "F25": _revoked,
    "F26": _strangers,
    "F27": _dead_man,
    "F28": _kill,
    "F31": _lies,
    "F34": _one_of_two,
}
