"""What the history checker says of a story, and what only this room can see.

The checker (`hedger.simulator.history`) gets the exchange's own log, the wire as the witness in the engine's
process saw it, the journal as exported, and the claims. Beside it six things are looked at here:

- I2 from outside: when an order came to the exchange its intent lay in the journal's file already;
- I8 for the parts of a quote: no order rests on a mark that is older than marks may be;
- I7 for adapters: no order is told to have ended as something that it did not end as at the exchange;
- what came of the letters of another build, by the journal (F24, `builds`);
- the journal decided again comes out the same, over every start in it (`hedger journal verify --replay`);
- whatever the processes left behind: no traceback, no secret (I13).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedger.config import load
from hedger.engine.router import DECIDED_S_MAX
from hedger.journal.journal import open_to_read
from hedger.limits_file import load_limits
from hedger.runs.refold import refold
from hedger.simulator.history import check, history_of
from hedger.simulator.history_lines import Terms, Violation
from hedger.simulator.minutes import record_line
from tests.exchanges.story import builds, config
from tests.exchanges.story.keeper import Keeper
from tests.exchanges.story.lines import facts, held_at
from tests.exchanges.story.stage import Stage, Told
from venues.orders import client_order_id

#: What balances may differ by: the last digits of fees and of marks. Where a person took the exchange's word
#: for a balance, marks of that moment are in it.
CASH_MAX = {"BTC": Decimal("0.0001"), "USDC": Decimal(5), "USDT": Decimal(5), "USD": Decimal(5)}
ACCEPTED = 1000
#: What an order's way from the event to the wire may add to a quote's age, s; and a turn of the loop.
AGE_SLACK_S = DECIDED_S_MAX + 0.5
#: And to a mark's: it is looked for once a second, and an order that was decided before leaves soon.
MARK_SLACK_S = 2.5


def judge(told: Told, stages: Sequence[Stage], keeper: Keeper, folder: Path) -> tuple[Violation, ...]:
    """Every violation in a story; counts its orders and executions."""
    own = [Violation("story", text) for text in keeper.own]
    if not keeper.journal.exists():
        err = folder / "err"
        said = err.read_text(errors="replace") if err.exists() else ""
        return (Violation("story", "there is no journal", (said[-3000:],)), *own)
    truth = {
        s.place.venue: [
            *held_at(s.host.exchange, s.first, s.place),
            *facts(s.place, s.host.exchange, s.first),
        ]
        for s in stages
    }
    file = folder / "wire.jsonl"
    wire = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    with closing(open_to_read(keeper.journal)) as storage:
        journal = [record_line(record) for record in storage.records()]
        strange = list(builds.what_came_of_them(storage))
        engine, genesis = storage.name.engine, storage.name.genesis.hex()
    accepted = any(deed.verb == "transfer" for deed in told.schedule.deeds)
    terms = Terms(
        position_max={
            (s.place.venue, _perpetual(s)): Decimal(config.POSITION_USD_MAX) / s.place.perpetual_usd
            for s in stages
            if s.place.perpetual
        },
        quote_age_s_max=config.BOOK_AGE_S_MAX + AGE_SLACK_S,
        ours=client_order_id(engine, 0, 0, 0).removesuffix("0-0-0"),
        cash_difference_max={c: x * (ACCEPTED if accepted else 1) for c, x in CASH_MAX.items()},
    )
    history = history_of(
        {venue: (json.dumps(line) for line in lines) for venue, lines in truth.items()},
        (json.dumps(line) for line in wire),
        journal,
        (json.dumps(claim) for claim in keeper.claims),
        genesis,
        terms,
    )
    told.orders = sum(f["what"] == "accepted" for lines in truth.values() for f in lines)
    told.fills = sum(f["what"] == "filled" for lines in truth.values() for f in lines)
    found = [*check(history), *strange, *marked(told, wire)]
    for venue, lines in truth.items():
        found += _on_record(lines, terms.ours)
        found += honest(venue, lines, wire, terms.ours)
    found += _left_behind(stages, folder)
    found += decided_again(keeper.journal, folder)
    return (*found, *own)


def decided_again(journal: Path, folder: Path) -> Iterator[Violation]:
    """Everything that decided is on record: the journal worked through the engine again gives the same."""
    settings = load(folder / "config.toml").settings
    again = refold(journal, None, settings, load_limits(folder / "limits.toml"))
    if not again.same:
        text = f"{len(again.different)} of {again.decisions} decisions come out otherwise"
        evidence = f"{again.starts} starts, events {again.different[:20]}, the same book: {again.same_book}"
        yield Violation("story", text, (evidence,))


def marked(told: Told, wire: list[dict[str, Any]]) -> Iterator[Violation]:
    """I8, by part: whatever the book beside it does, an old mark is not known."""
    if told.schedule.mark_age_s is None:
        return
    most_s = told.schedule.mark_age_s + MARK_SLACK_S
    for line in wire:
        if line["what"] == "submit" and (line["mark_age_s"] or 0.0) > most_s:
            text = f"{line['client_id']} leaves on a mark that is {line['mark_age_s']:.1f} s old"
            yield Violation("I8", text, (json.dumps(line),))


def _perpetual(stage: Stage) -> str:
    named = stage.place.symbol(stage.host.exchange.instruments[stage.place.perpetual])
    assert named is not None
    return named


def _on_record(lines: list[dict[str, Any]], ours: str) -> Iterator[Violation]:
    """I2, by the file: the intent was durable before the order came."""
    for fact in lines:
        if fact["what"] == "received" and fact["client_id"].startswith(ours) and not fact["on_record"]:
            text = f"{fact['client_id']} came to the exchange before its intent was on the disk"
            yield Violation("I2", text, (json.dumps(fact),))


def honest(
    venue: str, lines: list[dict[str, Any]], wire: list[dict[str, Any]], ours: str = ""
) -> Iterator[Violation]:
    """I7 for the adapter: how an order is told to have ended is how it ended."""
    ends: dict[str, tuple[str, Decimal]] = {}
    filled: dict[str, Decimal] = {}
    refused: set[str] = set()
    for fact in lines:
        name = fact["client_id"] if fact["what"] != "opened" else ""
        if fact["what"] == "accepted":
            ends[name] = ("open", Decimal(0))
        elif fact["what"] == "filled":
            filled[name] = filled.get(name, Decimal(0)) + Decimal(fact["quantity"])
            ends[name] = ("filled" if not Decimal(fact["left"]) else "open", filled[name])
        elif fact["what"] == "cancelled" and name:
            ends[name] = ("cancelled", filled.get(name, Decimal(0)))
            if fact["code"] == "post_only" and name not in filled:
                refused.add(
                    name
                )  # taken and put back at once: where that is how a venue refuses, it is a refusal
    for line in wire:
        if line["what"] != "told" or line["venue"] != venue or not line["client_id"].startswith(ours):
            continue  # the exchange's own orders have names, too
        state, how = line["state"], ends.get(line["client_id"])
        if state in ("rejected", "denied") and how is not None and line["client_id"] not in refused:
            yield Violation("I7", f"{line['client_id']} is told {state}, and was taken", (json.dumps(line),))
        elif state in ("filled", "cancelled", "expired"):
            there = how[0] if how is not None else "never there"
            same = there == ("cancelled" if state == "expired" else state)
            whole = line["filled"] is None or how is None or Decimal(line["filled"]) == how[1]
            if not same or not whole:
                text = f"{line['client_id']} is told {state} with {line['filled']}, and is {how}"
                yield Violation("I7", text, (json.dumps(line),))


def _left_behind(stages: Sequence[Stage], folder: Path) -> Iterator[Violation]:
    err = folder / "err"
    text = err.read_text(errors="replace") if err.exists() else ""
    if "Traceback" in text:
        at = text.index("Traceback")
        parts = (text[max(at - 200, 0) : at + 1200], text[at + 1200 : at + 2700])
        yield Violation("story", "a traceback", parts)
    told = ("key", "wallet")  # names of accounts are no secrets
    places = [stage.place for stage in stages]
    words = [x.words[name].removeprefix("0x") for x in places for name in x.secrets if name not in told]
    for file in folder.rglob("*"):
        if file.is_file() and any(word.encode() in file.read_bytes() for word in words):
            yield Violation("I13", f"the secret stands in {file.name}")
