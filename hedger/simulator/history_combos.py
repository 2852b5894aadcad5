"""Combos in a history: what venue and wire say of one under its one id, said of each of its legs instead.

The other checks know orders of one contract each. A leg has an id of its own in the record, and left as part
of its combo; so lines that name a combo are taken apart before anything is checked, by what the record says
that the combo was. What names a combo that is on no record stays as it is, and is found to be no order of
ours.

Standard library alone, as all of the checker; see `hedger.simulator.history_lines`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from hedger.simulator.history_lines import (
    Booked,
    History,
    Intent,
    Journal,
    Json,
    Violation,
    Word,
    decimal,
    shown,
)

#: Intents of each combo, by its id.
Combos = Mapping[str, list[Intent]]


def leg_by_leg(history: History, journal: Journal) -> tuple[History, Journal]:
    """The same history, and the journal of it, with every word about a combo said of its legs."""
    combos = _combos(journal)
    if not combos:
        return history, journal
    truth = {venue: tuple(_apart(facts, combos)) for venue, facts in history.truth.items()}
    fills = [replace(f, client_id=_leg(combos, f.client_id, f.at[1])) for f in journal.fills]
    words = [each for word in journal.words for each in _words(word, combos)]
    words += _implied(fills, combos)
    told = replace(history, truth=truth, wire=tuple(_apart(history.wire, combos)))
    return told, replace(journal, fills=fills, words=words)


def _combos(journal: Journal) -> Combos:
    found: dict[str, list[Intent]] = defaultdict(list)
    for intent in journal.intents:
        if intent.combo:
            found[intent.combo].append(intent)
    return found


def _apart(lines: Iterable[Json], combos: Combos) -> Iterator[Json]:
    """Lines that name a combo: of one contract under its leg's id, of none once for each leg."""
    for line in lines:
        client_id, symbol = line.get("client_id", ""), line.get("symbol", "")
        if client_id not in combos:
            yield line
        elif symbol:
            yield {**line, "client_id": _leg(combos, client_id, symbol)}
        else:
            yield from ({**line, "client_id": intent.client_id} for intent in combos[client_id])


def _leg(combos: Combos, client_id: str, symbol: str) -> str:
    """The id of a combo's leg on a contract; the combo's where it has none there."""
    return next((x.client_id for x in combos.get(client_id, ()) if x.at[1] == symbol), client_id)


def _words(word: Word, combos: Combos) -> Iterator[Word]:
    """What a record says of a combo, units of it as each leg's own. Our own verdicts name legs already."""
    legs = combos.get(word.client_id)
    if legs is None or word.own:
        yield word
        return
    for intent in legs:
        filled = None if word.filled is None else word.filled * intent.ratio
        yield replace(word, client_id=intent.client_id, filled=filled)


def _implied(fills: Iterable[Booked], combos: Combos) -> Iterator[Word]:
    """What an execution of one leg says of the others: the venue has the combo, and filled them as far."""
    legs = {intent.client_id: intent for intents in combos.values() for intent in intents}
    total: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        leg = legs.get(fill.client_id)
        if leg is None:
            continue
        total[fill.client_id] += abs(fill.signed)
        for other in combos[leg.combo]:
            if other is not leg:
                filled = total[fill.client_id] / leg.ratio * other.ratio
                yield Word(fill.number, fill.seq, fill.now_ns, other.client_id, "open", filled)


def in_ratio(history: History, journal: Journal) -> Iterator[Violation]:
    """I4, of combos: what a venue filled of one it filled of every leg, in the ratio. That it is booked so is
    for I3: every execution, once."""
    there: dict[str, Decimal] = defaultdict(Decimal)
    for facts in history.truth.values():
        for fact in facts:
            if fact["what"] == "filled":
                there[fact["client_id"]] += decimal(fact["quantity"])
    for combo, legs in _combos(journal).items():
        units = {there[leg.client_id] / leg.ratio for leg in legs}
        if len(units) > 1:
            lines = tuple(shown(leg.line) for leg in legs)
            text = (
                f"the venue filled {combo} by halves: {', '.join(map(str, sorted(units)))} units of its legs"
            )
            yield Violation("I4", text, lines)
