"""The settings that an engine ran with, read off its journal: those of each start, and every reload since.

A start writes down the settings that it was given, a `reload` the sections that it brought, and the decision
on it whether they were taken. So whoever reads a journal knows at every record what was in force, whatever
the settings file says today. Journals of older releases have the hash of the settings alone: there the
settings at hand stand in for them, and it is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hedger.core.events import Command, Verb
from hedger.core.reload import changed, differences
from hedger.desk.decided import decision_on
from hedger.journal.configuration import settings_of, settings_sha256
from hedger.journal.entries import Configuration, DecisionRecord, EventBody, Kind, Record, Word, read
from hedger.journal.storage import Storage
from hedger.settings import Settings

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InForce:
    """Settings from a moment on. how: "start" or "reload". sha256: of the settings in effect; wrote: as the
    journal has it, "" after a reload. known: they are those of the run. changes: keys that a reload changed,
    with both values."""

    now_ns: int
    how: str
    sha256: str
    wrote: str
    known: bool
    user: str
    reason: str
    changes: str = ""

    @property
    def told(self) -> str | None:
        """The hash, as far as it is known: of a start whose settings are not on record the one it wrote."""
        return self.sha256 if self.known else self.wrote or None


class SettingsInForce:
    """Told of records in order. settings: in force now; turns: since when which."""

    def __init__(self, at_hand: Settings) -> None:
        """at_hand: what stands in where a journal does not hold its settings."""
        self.settings = self._at_hand = at_hand
        self.turns: list[InForce] = []
        self._asked: dict[int, Command] = {}

    @property
    def waiting(self) -> bool:
        """Whether a reload waits for its decision."""
        return bool(self._asked)

    @property
    def told(self) -> str:
        """The hash of the settings in force now; "" where it is not known."""
        return (self.turns[-1].told or "") if self.turns else ""

    @property
    def since_ns(self) -> int:
        """Of the last start or reload, UTC; 0: none."""
        return self.turns[-1].now_ns if self.turns else 0

    @property
    def of_run(self) -> bool:
        """Whether the settings in force are those of the run: its journal holds them, and no engine has
        begun otherwise."""
        return not self.turns or self.turns[-1].known

    def take(self, record: Record, word: Word) -> None:
        """One record more; of decisions only those that follow a reload are of interest."""
        match word:
            case Configuration():
                self._started(record.now_ns, word)
            case EventBody(what=Command(verb=Verb.RELOAD) as command):
                self._asked[record.seq] = command
            case DecisionRecord(document=document):
                self._decided(record.now_ns, record.seq, document)

    def _started(self, now_ns: int, word: Configuration) -> None:
        self.settings = settings_of(word) or self._at_hand
        sha = settings_sha256(self.settings)
        known = sha == word.settings_sha256
        self.turns.append(InForce(now_ns, "start", sha, word.settings_sha256, known, word.user, word.reason))
        self._asked = {}

    def _decided(self, now_ns: int, seq: int, document: Tree) -> None:
        """A reload is in force where the decision on it says so."""
        command = self._asked.pop(seq, None)
        told = {action.get("code") for action in document.get("actions", ())}
        if command is None or "RELOADED" not in told:
            return
        known, changes = self.turns[-1].known if self.turns else False, ""
        try:
            new = changed(self.settings, command.argument)
        except ValueError:
            known = False  # taken then, and not understood now: another release, or other settings at hand
        else:
            before, after = (s.model_dump(mode="json") for s in (self.settings, new))
            changes, self.settings = "; ".join(differences(before, after)), new
        sha = settings_sha256(self.settings)
        self.turns.append(InForce(now_ns, "reload", sha, "", known, command.user, command.reason, changes))


def turns_of(storage: Storage) -> tuple[InForce, ...]:
    """Since when which settings are in force, from the last start on; without reading what lies between.

    Raises:
        StorageFailed: the journal cannot be read. CodecError: a record is not what it should be.
    """
    walk, first = SettingsInForce(Settings()), 1
    for record in storage.records(kinds=[Kind.CONFIGURATION]):
        first = record.number
    for record in storage.records(first, [Kind.CONFIGURATION, Kind.COMMAND]):
        walk.take(record, read(record))
        if walk.waiting:
            decision = decision_on(storage, record.seq, record.number)
            if decision is not None:
                walk.take(decision, read(decision))
    return tuple(walk.turns)
