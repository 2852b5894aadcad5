"""What the history checker says of the book and the record: each execution once, the position their sum, the
chain whole, and peace when the faults are over.

Standard library alone, as all of the checker; see `hedger.simulator.history_lines`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

from hedger.simulator.history_lines import History, Journal, Json, Place, Violation, decimal, shown, sign

ZERO = Decimal(0)


def booked_once(history: History, journal: Journal) -> Iterator[Violation]:
    """I3: every execution of the venue is booked exactly once, as it was."""
    booked = Counter(fill.trade for fill in journal.fills)
    for trade, n in booked.items():
        if n > 1:
            yield Violation("I3", f"{' '.join(trade)} is booked {n} times")
    there = {fill.trade: fill for fill in journal.fills}
    for venue, facts in history.truth.items():
        for fact in facts:
            if fact["what"] not in ("filled", "external") or not fact.get("trade_id"):
                continue
            fill = there.pop((venue, fact["trade_id"]), None)
            if fill is None:
                if _finished(history):
                    text = f"{venue} {fact['trade_id']} was never booked"
                    yield Violation("I3", text, (shown(fact),))
                continue
            told = (
                (venue, fact["symbol"]),
                decimal(fact["quantity"]) * sign(fact["side"]),
                decimal(fact["price"]),
                decimal(fact.get("fee")),
            )
            if told != (fill.at, fill.signed, fill.price, fill.fee):
                text = f"{venue} {fact['trade_id']} is booked as something else"
                yield Violation("I3", text, (shown(fact), shown(fill.line)))
    for trade, fill in there.items():
        yield Violation("I3", f"{' '.join(trade)} is booked and never was", (shown(fill.line),))


def _finished(history: History) -> bool:
    return any(claim["what"] == "final" for claim in history.claims)


def position_is_the_sum(history: History, journal: Journal) -> Iterator[Violation]:
    """I4: what the engine says it holds is its opening, its executions and its adjustments; in the end it is
    what the venue holds."""
    for claim in history.claims:
        if "positions" not in claim:
            continue
        expected = _folded(journal, claim["number"])
        said = {(venue, symbol): decimal(q) for venue, symbol, q in claim["positions"]}
        yield from _compare("the record adds up to", said, expected, claim)
        if claim["what"] == "final":
            yield from _compare("the venue holds", said, _held(history), claim)


def _folded(journal: Journal, number: int) -> dict[Place, Decimal]:
    """Positions by the journal, up to one of its records."""
    found = defaultdict(Decimal, journal.opening)
    for fill in journal.fills:
        if fill.number <= number and fill.held:
            found[fill.at] += fill.signed
    for line in journal.adjustments:
        if line["number"] <= number:
            body = line["body"]
            found[(body["venue"], body["symbol"])] += decimal(body["quantity"])
    return dict(found)


def _held(history: History) -> dict[Place, Decimal]:
    """Positions by the venues' own logs, at their ends."""
    found: dict[Place, Decimal] = {}
    for venue, facts in history.truth.items():
        for fact in facts:
            if fact.get("position") is not None and fact.get("symbol"):
                found[(venue, fact["symbol"])] = decimal(fact["position"])
    return found


def _compare(
    words: str, said: dict[Place, Decimal], expected: dict[Place, Decimal], claim: Json
) -> Iterator[Violation]:
    for at in sorted({*said, *expected}):
        mine, other = said.get(at, ZERO), expected.get(at, ZERO)
        if mine != other:
            text = f"{' '.join(at)} is {mine} to the engine, {words} {other}"
            yield Violation("I4", text, (shown({k: claim[k] for k in ("what", "time_ns", "seq")}),))


def chain_holds(history: History, journal: Journal) -> Iterator[Violation]:
    """I10: the chain is whole, a crash left a prefix of it, and it gives the same state when read again."""
    previous, number, hashes = history.genesis, 0, {}
    for line in history.journal:
        number += 1
        if line["number"] != number:
            yield Violation("I10", f"record {number} is missing", (shown(line),))
            number = line["number"]
        if previous and linked(previous, line) != line["hash"]:
            yield Violation("I10", f"record {number} does not follow from the one before", (shown(line),))
        previous = hashes[number] = line["hash"]
    states: dict[int, tuple[str, Json]] = {}
    for claim in history.claims:
        head = claim.get("head")
        if head:
            at, _, digest = head.partition(":")
            if int(at) and hashes.get(int(at)) != digest:
                text = f"record {at} was durable once and is another now, or gone"
                yield Violation("I10", text, (shown({k: claim[k] for k in ("what", "time_ns", "head")}),))
        if claim.get("state"):
            seq = claim["seq"]
            first = states.setdefault(seq, (claim["state"], claim))
            if first[0] != claim["state"]:
                names = (first[1]["what"], claim["what"])
                yield Violation("I10", f"after event {seq} the state is another as {names[0]} and {names[1]}")


def linked(previous: str, line: Json) -> str:
    """The hash that a record must have after another's: SHA-256 over that, the header and the body.

    >>> len(linked("", {"number": 1, "kind": "mode", "seq": 0, "now_ns": 0, "key": None, "body": {}}))
    64
    """
    header = [line["number"], line["kind"], line["seq"], line["now_ns"], line.get("key")]
    frame = (b"\n", bytes.fromhex(line["frame"])) if "frame" in line else ()
    parts = (bytes.fromhex(previous), _canonical(header), b"\n", _canonical(line["body"]), *frame)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def money_adds_up(history: History, journal: Journal) -> Iterator[Violation]:
    """I11: fees booked are fees charged; in the end balances are the venue's, within what is borne."""
    if not _finished(history):
        return
    charged: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for venue, facts in history.truth.items():
        for fact in facts:
            if fact["what"] in ("filled", "external") and fact.get("currency"):
                charged[(venue, fact["currency"])] += decimal(fact.get("fee"))
    booked: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in journal.fills:
        booked[(fill.at[0], fill.currency)] += fill.fee
    for key in sorted({*charged, *booked}):
        if charged[key] != booked[key]:
            text = f"fees on {' in '.join(key)} are {booked[key]} here and {charged[key]} there"
            yield Violation("I11", text)
    for claim in history.claims:
        if claim["what"] != "final" or "balances" not in claim or "venue_balances" not in claim:
            continue
        ours = {(v, c): decimal(x) for v, c, x in claim["balances"]}
        theirs = {(v, c): decimal(x) for v, c, x in claim["venue_balances"]}
        for key in sorted({*ours, *theirs}):
            allowed = history.terms.cash_difference_max.get(key[1], ZERO)
            difference = ours.get(key, ZERO) - theirs.get(key, ZERO)
            if abs(difference) > allowed:
                text = f"the balance on {' in '.join(key)} differs by {difference}, allowed {allowed}"
                yield Violation("I11", text)


def peace_after_faults(history: History, journal: Journal) -> Iterator[Violation]:
    """I12: so long after the last fault nothing is unknown, and the venues agree with the book; or a person
    was told why not. I17: an account told a second time changes nothing."""
    for claim in history.claims:
        if claim["what"] == "steady":
            for trouble in claim.get("troubles", ()):
                yield Violation("I12", trouble, (shown(claim),))
        elif claim["what"] == "again" and (claim.get("actions") or claim.get("changed")):
            text = f"the same account a second time led to {claim.get('actions') or claim.get('changed')}"
            yield Violation("I17", text)
