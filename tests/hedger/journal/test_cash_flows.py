"""Funding and settlements are keyed: the journal takes each once, and a second one stops the engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.journal.entries import adjustment_entry
from hedger.journal.journal import Journal
from hedger.journal.recovery import recover
from hedger.journal.storage import JournalConflict
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, opening

HOUR = 3600 * 10**9


def funding(hour: int, key: bool = True) -> Adjustment:
    named = f"funding|deribit||BTC|{hour * HOUR}" if key else ""
    return Adjustment(
        AdjustmentKind.FUNDING, "deribit", "", currency="BTC", amount=Decimal("-0.001"), key=named
    )


def test_an_hours_funding_is_taken_once(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", NAME)
    journal.append(*opening())
    journal.append(adjustment_entry(0, NOW_NS, funding(1)))
    journal.append(adjustment_entry(1, NOW_NS, funding(2)))
    with pytest.raises(JournalConflict, match="JOURNAL_TWICE"):
        journal.append(adjustment_entry(2, NOW_NS, funding(2)))
    assert journal.broken
    journal.close()
    again = Journal.open(tmp_path / "j", NAME)
    assert recover(again.storage).ledger == (funding(1), funding(2))
    again.close()


def test_what_has_no_key_may_come_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", NAME)
    journal.append(*opening())
    for seq in range(2):
        journal.append(adjustment_entry(seq, NOW_NS, funding(1, key=False)))
    assert len(recover(journal.storage).ledger) == 2
    journal.close()
