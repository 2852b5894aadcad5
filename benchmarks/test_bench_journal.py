"""What writing the journal costs: quiet turns held together, an order's turn with its sync, reading it back.

Run with `make bench`. The sync is the disk's and is shown apart, as a file of the same bytes with one fsync
each (the peer): no journal that keeps its promise can be faster than that. Every figure is per turn: an event
and its decision, with an intent where an order leaves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hedger.core.events import Event, Tick
from hedger.journal.entries import (
    Entry,
    Intent,
    JournalName,
    decision_entry,
    event_entry,
    intent_entry,
)
from hedger.journal.journal import Journal
from hedger.journal.recovery import recover
from hedger.journal.storage import MemoryDisk, MemoryStorage
from pricing.market import QUOTE_FIELDS, Marks
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, order

QUIET = "journal: 256 quiet turns and one sync, per turn"
SYNCED = "journal: one turn with an order, durable"
READ = "journal: recovery, per record"
TURNS = 256
#: Rows of an engine with two coins and their tenor buckets.
EXPOSURES = [[f"row{i}:BTC", 1234.5678 + i] for i in range(40)]


def quiet_turn(seq: int) -> tuple[Entry, ...]:
    """A look at the market: an event and what 40 rows came to."""
    now_ns = NOW_NS + seq
    document = {"seq": seq, "mode": "armed", "exposures": EXPOSURES, "actions": [], "reason": ""}
    decided = decision_entry(seq, now_ns, f"{seq:064x}", document, quiet=True)
    return event_entry(Event(seq, now_ns, seq, Tick())), decided


def order_turn(seq: int) -> tuple[Entry, ...]:
    """The same, with an order about to leave."""
    return *quiet_turn(seq), intent_entry(seq, NOW_NS + seq, Intent(order(seq), seq))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.open(tmp_path / "j", NAME)
    yield made
    made.close()


def quiet_turns(journal: Journal, seqs: Iterator[int]) -> None:
    for _ in range(TURNS):
        journal.append(*quiet_turn(next(seqs)))
    journal.sync()


@pytest.mark.benchmark(group=QUIET)
def test_ours_quiet(benchmark: BenchmarkFixture, journal: Journal) -> None:
    seqs = count()
    benchmark.extra_info["options"] = TURNS
    benchmark.pedantic(lambda: quiet_turns(journal, seqs), rounds=30, warmup_rounds=2)


@pytest.mark.benchmark(group=QUIET)
def test_memory_quiet(benchmark: BenchmarkFixture) -> None:
    """The same without a disk: what encoding and hashing cost."""
    journal, seqs = Journal(MemoryStorage(MemoryDisk(NAME))), count()
    benchmark.extra_info["options"] = TURNS
    benchmark.pedantic(lambda: quiet_turns(journal, seqs), rounds=30, warmup_rounds=2)


@pytest.mark.benchmark(group=SYNCED)
def test_ours_order(benchmark: BenchmarkFixture, journal: Journal) -> None:
    seqs = count()
    benchmark.pedantic(lambda: journal.append(*order_turn(next(seqs))), rounds=300, warmup_rounds=10)


@pytest.mark.benchmark(group=SYNCED)
def test_memory_order(benchmark: BenchmarkFixture) -> None:
    journal, seqs = Journal(MemoryStorage(MemoryDisk(NAME))), count()
    benchmark.pedantic(lambda: journal.append(*order_turn(next(seqs))), rounds=300, warmup_rounds=10)


@pytest.mark.benchmark(group=SYNCED)
def test_bare_fsync(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The same bytes appended to a file and one fsync."""
    content = b"".join(entry.body for entry in order_turn(0))
    descriptor = os.open(tmp_path / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(descriptor, content)
        os.fsync(descriptor)

    benchmark.pedantic(append, rounds=300, warmup_rounds=10)
    os.close(descriptor)


@pytest.mark.benchmark(group="journal: one batch of 1,600 quotes, encoded whole")
def test_ours_marks(benchmark: BenchmarkFixture) -> None:
    generator, n = np.random.default_rng(7), 1_600
    columns: dict[str, Any] = {name: generator.random(n) for name in QUOTE_FIELDS}
    marks = Marks(
        seq=1,
        now_ns=NOW_NS,
        rows=np.arange(n),
        venue_ns=np.full(n, NOW_NS),
        forward_kind=np.zeros(n, dtype=np.int8),
        **columns,
    )
    entry = benchmark(lambda: event_entry(Event(1, NOW_NS, 1, marks)))
    assert len(entry.body) < 100 * n * len(QUOTE_FIELDS)


@pytest.mark.benchmark(group=READ)
def test_ours_recovery(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", JournalName("paper", "k3x9"))
    for seq in range(5_000):
        journal.append(*quiet_turn(seq))
    journal.append(*order_turn(5_000))
    benchmark.extra_info["options"] = journal.head.number
    found = benchmark.pedantic(lambda: recover(journal.storage), rounds=5)
    assert (found.last_seq, len(found.orders)) == (5_000, 1)
    journal.close()
