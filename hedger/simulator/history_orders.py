"""What the history checker says of orders: sent once, written down first, never forgotten, dead after a kill.

Standard library alone, as all of the checker; see `hedger.simulator.history_lines`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal

from hedger.simulator.history_lines import (
    ENDED,
    History,
    Intent,
    Journal,
    Json,
    Place,
    Violation,
    Word,
    decimal,
    shown,
    sign,
)

S = 10**9
ZERO = Decimal(0)
#: What ends an order in a venue's own log.
NEVER = 1 << 63
#: States of an order that its venue has or had, and how long it keeps one after its end at least, seconds.
_THERE = frozenset({"open", "filled", "cancelled", "expired"})
KEPT_S_MIN = 1800
_LAST = frozenset({"rejected", "cancelled", "expired"})


class Evidence:
    """All that the journal holds about each of our orders, and what follows from it at any record."""

    def __init__(self, history: History, journal: Journal) -> None:
        self.terms = history.terms
        self.intents = {intent.client_id: intent for intent in journal.intents}
        self.words: dict[str, list[Word]] = defaultdict(list)
        for word in journal.words:
            self.words[word.client_id].append(word)
        self.fills: dict[str, list[tuple[int, Decimal]]] = defaultdict(list)
        for fill in journal.fills:
            self.fills[fill.client_id].append((fill.number, abs(fill.signed)))
        self.denials: dict[str, list[int]] = defaultdict(list)
        for line in history.wire:
            if line["what"] == "reply" and line.get("of") == "order" and line.get("outcome") == "never_had":
                self.denials[line["client_id"]].append(line["number"])

    def filled(self, client_id: str, number: int) -> Decimal:
        """What is known to have filled, up to a record: as booked, or as told where that is more."""
        booked = sum((q for n, q in self.fills[client_id] if n <= number), ZERO)
        told = [w.filled for w in self.words[client_id] if w.number <= number and w.filled is not None]
        return max([booked, *told])

    def ended(self, client_id: str, number: int) -> bool:
        """Whether the record up to a number proves that nothing more can come of an order."""
        intent = self.intents.get(client_id)
        whole = intent is not None and self.filled(client_id, number) >= intent.quantity
        return whole or any(
            w.ends and (not w.lost or self.lost(w)) for w in self.words[client_id] if w.number <= number
        )

    def lost(self, word: Word) -> bool:
        """Whether the venue itself had said often enough that it never had the order, and not a while before
        that it has it: that is a contradiction, and proves nothing."""
        often = bisect_left(self.denials[word.client_id], word.number) >= self.terms.not_found_min
        there = [
            w.now_ns
            for w in self.words[word.client_id]
            if w.number < word.number and not w.own and w.state in _THERE
        ]
        return often and (not there or word.now_ns - max(there) >= KEPT_S_MIN * S)

    def worst(self, client_id: str, number: int) -> Decimal:
        """What an order may come to at worst, as the record up to a number has it."""
        if self.ended(client_id, number):
            return self.filled(client_id, number)
        return self.intents[client_id].quantity


def one_order_per_intent(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I1: an intent is sent at most once and taken at most once, over all restarts; and as long as nobody can
    say what became of an order, what its leg sends besides does not come to more than the leg."""
    sent: dict[str, Json] = {}
    for line in history.wire:
        if line["what"] != "submit":
            continue
        client_id = line["client_id"]
        if client_id in sent:
            yield Violation("I1", f"{client_id} was sent twice", (shown(sent[client_id]), shown(line)))
        sent[client_id] = line
    for facts in history.truth.values():
        taken: dict[str, Json] = {}
        for fact in facts:
            if fact["what"] == "accepted":
                client_id = fact["client_id"]
                if client_id in taken:
                    lines = (shown(taken[client_id]), shown(fact))
                    yield Violation("I1", f"the venue has two orders of {client_id}", lines)
                taken[client_id] = fact
    yield from _legs(journal, evidence)


def _legs(journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    tickets = [
        (line["seq"], line["number"], line["body"]["document"]["ticket"], line)
        for line in journal.decisions
        if (line["body"]["document"].get("ticket") or {}).get("legs")
    ]
    intents = sorted(journal.intents, key=lambda x: x.seq)
    at = 0
    parents: dict[tuple[str, str, str], tuple[Decimal, Json]] = {}
    children: dict[tuple[str, str, str], list[Intent]] = defaultdict(list)
    every: dict[tuple[int, str, str, str], list[Intent]] = defaultdict(list)
    for intent in intents:
        while at < len(tickets) and tickets[at][0] <= intent.seq:
            _, _, ticket, line = tickets[at]
            parents = {
                (leg["venue"], leg["symbol"], leg["side"]): (decimal(leg["quantity"]), line)
                for leg in ticket["legs"]
            }
            children = defaultdict(list)
            at += 1
        key = (*intent.at, intent.side)
        every[(intent.execution, *key)].append(intent)
        if key not in parents:
            yield from _unwound(intent, every, evidence)
            continue
        children[key].append(intent)
        parent, line = parents[key]
        total = sum((evidence.worst(x.client_id, intent.number - 1) for x in children[key][:-1]), ZERO)
        total += intent.quantity
        if total - parent > _taken_back(intent, every, evidence):
            what = f"the orders of {' '.join(key)} may come to {total}, its leg is for {parent}"
            yield Violation("I1", what, (shown(line), *(shown(x.line) for x in children[key])))


def _taken_back(
    intent: Intent, every: Mapping[tuple[int, str, str, str], list[Intent]], evidence: Evidence
) -> Decimal:
    """How much an execution has filled the other way round, which it may take back beside its legs."""
    other = "sell" if intent.side == "buy" else "buy"
    forth = every.get((intent.execution, *intent.at, other), [])
    return sum((evidence.filled(x.client_id, intent.number - 1) for x in forth), ZERO)


def _unwound(
    intent: Intent, every: Mapping[tuple[int, str, str, str], list[Intent]], evidence: Evidence
) -> Iterator[Violation]:
    """An order of no leg takes back what its execution has filled, and no more."""
    back = every[(intent.execution, *intent.at, intent.side)]
    filled = _taken_back(intent, every, evidence)
    total = sum((evidence.worst(x.client_id, intent.number - 1) for x in back[:-1]), ZERO) + intent.quantity
    if total > filled:
        what = f"{intent.client_id} belongs to no ticket, and takes back {total} of {filled} filled"
        yield Violation("I1", what, (shown(intent.line),))


def written_before_sent(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I2: every order that the venue saw, and every one that left, was durable here before."""
    for line in history.wire:
        if line["what"] != "submit":
            continue
        intent = evidence.intents.get(line["client_id"])
        if intent is None or intent.number > line["durable"]:
            yield Violation("I2", f"{line['client_id']} left before its intent was durable", (shown(line),))
        elif (intent.at, intent.side, intent.quantity) != (
            (line["venue"], line["symbol"]),
            line["side"],
            decimal(line["quantity"]),
        ):
            lines = (shown(line), shown(intent.line))
            yield Violation("I2", f"{line['client_id']} left as another order than the one written", lines)
    for facts in history.truth.values():
        for fact in facts:
            mine = fact.get("client_id", "").startswith(history.terms.ours)
            if fact["what"] == "received" and mine and fact["client_id"] not in evidence.intents:
                yield Violation("I2", f"the venue saw {fact['client_id']}, not on record", (shown(fact),))


def within_limits(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I5: at every order that the venue takes, its position and whatever is open there, and whatever is still
    on its way, stay within the limit if all of it fills.

    Trades of others on the account count from when the record has them: nobody can know of them before.
    """
    booked = {fill.trade: fill.number for fill in journal.fills}
    for venue, facts in history.truth.items():
        position: dict[Place, Decimal] = defaultdict(Decimal)
        strange: dict[Place, list[tuple[int, Decimal]]] = defaultdict(list)
        open_orders: dict[str, tuple[Place, Decimal]] = {}
        for fact in facts:
            at, what = (venue, fact.get("symbol", "")), fact["what"]
            if fact.get("position") is not None:
                position[at] = decimal(fact["position"])
            if what == "external":
                known = booked.get((venue, fact.get("trade_id", "")), NEVER)
                strange[at].append((known, decimal(fact["quantity"]) * sign(fact["side"])))
            client_id = fact.get("client_id", "")
            if what in ("accepted", "filled"):
                left = decimal(fact.get("left"))
                open_orders[client_id] = (at, left * sign(fact["side"]))
            elif what in _LAST:
                open_orders.pop(client_id, None)
            limit = history.terms.position_max.get(at)
            intent = evidence.intents.get(client_id)
            if what != "accepted" or limit is None or intent is None:
                continue
            unseen = sum((q for known, q in strange[at] if known > intent.number), ZERO)
            mine = [q for place, q in open_orders.values() if place == at and q * sign(fact["side"]) > 0]
            way = sign(fact["side"])
            worst = (position[at] - unseen + sum(mine, ZERO)) * way
            before = worst - abs(decimal(fact["left"]))
            if worst > limit and worst > abs(before):
                text = f"{' '.join(at)} may come to {worst * way}, allowed {limit}"
                yield Violation("I5", text, (shown(fact),))


def killed_is_killed(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I6: from the kill on nothing leaves, over restarts, until a person takes it back; all orders end."""
    spans = _kill_spans(history)
    ends = _ends(history)
    for begin_ns, end_ns, line in spans:
        grace_ns = begin_ns + round(history.terms.kill_grace_s * S)
        for sent in history.wire:
            if sent["what"] == "submit" and grace_ns < sent["time_ns"] < end_ns:
                name = sent["client_id"]
                yield Violation("I6", f"{name} left after the kill", (shown(line), shown(sent)))
        first, last = _known_from(history, journal, line, end_ns)
        for intent in journal.intents:
            if first < intent.number <= last:
                yield Violation("I6", f"{intent.client_id} was decided after the kill", (shown(intent.line),))
        deadline_ns = line.get("deadline_ns", begin_ns + round(history.terms.kill_s_max * S))
        for client_id, (from_ns, to_ns, fact) in ends.items():
            if from_ns < end_ns and deadline_ns < min(to_ns, end_ns):
                yield Violation("I6", f"{client_id} outlived the kill", (shown(line), shown(fact)))
        for claim in history.claims:
            there = claim["what"] in ("recovered", "steady", "final") and grace_ns < claim["time_ns"] < end_ns
            if there and claim["mode"] != "killed":
                text = f"the engine is {claim['mode']} with its latch set"
                yield Violation("I6", text, (shown(line), shown(claim)))


def _known_from(history: History, journal: Journal, line: Json, end_ns: int) -> tuple[int, int]:
    """Between which records an engine knew of a kill: from the command, or from its next start."""
    kills = [
        c["number"]
        for c in journal.commands
        if c["body"]["what"]["verb"] == "kill" and c["number"] > line["number"]
    ]
    starts = [
        c["number"] for c in history.claims if c["what"] == "recovered" and c["ordinal"] > line["ordinal"]
    ]
    ends = [c["number"] for c in history.claims if c["what"] == "unlatch" and c["time_ns"] == end_ns]
    return min(kills + starts, default=NEVER), min(ends, default=NEVER)


def _kill_spans(history: History) -> list[tuple[int, int, Json]]:
    """From each setting of the latch to its removal."""
    found: list[tuple[int, int, Json]] = []
    for claim in history.claims:
        if claim["what"] == "latch" and (not found or found[-1][1] <= claim["time_ns"]):
            found.append((claim["time_ns"], NEVER, claim))
        elif claim["what"] == "unlatch" and found:
            found[-1] = (found[-1][0], claim["time_ns"], found[-1][2])
    return found


def _ends(history: History) -> dict[str, tuple[int, int, Json]]:
    """From when to when each order was open at its venue."""
    found: dict[str, tuple[int, int, Json]] = {}
    for facts in history.truth.values():
        for fact in facts:
            client_id = fact.get("client_id", "")
            if fact["what"] == "accepted":
                found[client_id] = (fact["time_ns"], NEVER, fact)
            elif client_id in found and (
                fact["what"] in _LAST or (fact["what"] == "filled" and not decimal(fact.get("left")))
            ):
                if fact["what"] == "rejected":
                    continue  # a second arrival of the same order was refused
                found[client_id] = (found[client_id][0], fact["time_ns"], fact)
    return found


def nothing_forgotten(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I7: an order whose end is not proven stays in the engine's mind, over restarts; it is asked after; and
    no answer stands in the record that the venue never gave."""
    for claim in history.claims:
        if "orders" not in claim:
            continue
        upto = claim["number"]
        for intent in evidence.intents.values():
            if intent.number > upto or evidence.ended(intent.client_id, upto):
                continue
            state = claim["orders"].get(intent.client_id)
            if state is None or state in ENDED:
                text = f"{intent.client_id} is {state or 'forgotten'} without evidence"
                yield Violation("I7", text, (shown(intent.line), shown(claim)))
    for word in (w for words in evidence.words.values() for w in words):
        if word.lost and not evidence.lost(word):
            said = len(evidence.denials[word.client_id])
            text = f"{word.client_id} was given up for lost on {said} answers of the venue"
            yield Violation("I7", text)
    yield from _asked_after(history, evidence)
    yield from _answers(history, journal)
    yield from _words(history, journal)


def _asked_after(history: History, evidence: Evidence) -> Iterator[Violation]:
    """An order without an end is not left alone: it is asked after, cancelled, or the account is read."""
    last = next((c for c in reversed(history.claims) if c["what"] == "final"), None)
    if last is None:
        return
    patience = round(history.terms.ask_s_max * S)
    about: dict[str, int] = defaultdict(int)
    for line in history.wire:
        if line["what"] in ("ask_order", "cancel", "submit"):
            about[line["client_id"]] = line["time_ns"]
    for claim in history.claims:
        if "orders" not in claim or claim["time_ns"] > last["time_ns"] - patience:
            continue
        for client_id, intent in evidence.intents.items():
            if intent.number > claim["number"] or evidence.ended(client_id, last["number"]):
                continue
            if last["time_ns"] - about[client_id] > patience:
                text = f"nobody asked what became of {client_id} any more"
                yield Violation("I7", text, (shown(intent.line),))
        break


def _answers(history: History, journal: Journal) -> Iterator[Violation]:
    """Every account and every "never had it" in the record is one that came over the wire."""
    accounts: dict[str, int] = defaultdict(int)
    for line in history.wire:
        if line["what"] == "reply" and line.get("of") == "account" and line.get("outcome") == "report":
            accounts[line["venue"]] += 1
    seen: dict[str, int] = defaultdict(int)
    for line in journal.accounts:
        venue = line["body"]["what"]["venue"]
        seen[venue] += 1
        if seen[venue] > accounts[venue]:
            text = f"an account of {venue} is on record that the venue never told"
            yield Violation("I7", text, (shown(line),))


def _words(history: History, journal: Journal) -> Iterator[Violation]:
    """Every end of an order in the record is one that came over the wire; what never left may be denied."""
    told = {(w["client_id"], w["state"]) for w in history.wire if w["what"] == "told"}
    sent = {line["client_id"] for line in history.wire if line["what"] == "submit"}
    for word in journal.words:
        said = (word.client_id, word.state) in told or (word.state == "denied" and word.client_id not in sent)
        if word.update and word.state in ENDED and not word.lost and not said:
            text = f"{word.client_id} is {word.state} on record, and the venue never said so"
            yield Violation("I7", text)


def fresh_when_sent(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I8: no order leaves on quotes older than the limit, or takes what was not displayed."""
    limit = history.terms.quote_age_s_max
    for line in history.wire:
        if limit is not None and line["what"] == "submit":
            age = line.get("quote_age_s")
            if age is None or age > limit:
                text = f"{line['client_id']} left on quotes of {age} s, allowed {limit:g} s"
                yield Violation("I8", text, (shown(line),))
        takes = line["what"] == "submit" and line.get("takes")
        if takes and decimal(line["quantity"]) > decimal(line["displayed"]):
            text = f"{line['client_id']} takes {line['quantity']}, {line['displayed']} was displayed"
            yield Violation("I8", text, (shown(line),))


def reducing_reduces(history: History, journal: Journal, evidence: Evidence) -> Iterator[Violation]:
    """I9: nothing is decided to be sent where nothing may leave. That what leaves a reducing engine lowers
    the risk is the limits' own second reckoning: these lines hold no Greeks."""
    modes = {line["seq"]: line["body"]["document"] for line in journal.decisions}
    for intent in journal.intents:
        document = modes.get(intent.seq)
        if document is None:
            yield Violation("I9", f"{intent.client_id} belongs to no decision", (shown(intent.line),))
        elif document["mode"] not in ("armed", "reducing") or document["paused"]:
            text = f"{intent.client_id} was decided while {document['mode']}"
            yield Violation("I9", text, (shown(intent.line),))
