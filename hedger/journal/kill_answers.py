"""What a running engine's journal says of a kill that was asked for: which venues have answered since.

Done it is when the engine says so (`KILL_CONFIRMED`: every venue has shown twice in a row that no order is
open). Until then a venue that has told nothing since may have anything open: what the engine holds of its own
orders is no word of the venue's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hedger.journal.entries import DecisionRecord, EventBody, Kind, read
from hedger.journal.storage import Storage
from venues.orders import AccountReport

_KINDS = (Kind.COMMAND, Kind.DECISION, Kind.ACKNOWLEDGEMENT)


@dataclass(slots=True, eq=False)
class KillAnswers:
    """id: of the command; number: of the record to begin at. seq: the event that the command became, None
    while the engine has not taken it. shown: by venue the open orders in its last account since, None while
    there is none. confirmed: whether the engine has said so since."""

    storage: Storage
    id: str
    number: int
    seq: int | None = None
    shown: dict[str, int | None] = field(default_factory=dict)
    confirmed: bool = False

    def look(self) -> None:
        """Read on.

        Raises:
            StorageFailed: the journal cannot be read. CodecError: a record is not what it should be.
        """
        for record in self.storage.records(self.number, _KINDS):
            self.number = record.number + 1
            if record.kind == Kind.COMMAND and record.key == self.id:
                self.seq = record.seq
            if self.seq is None or record.kind == Kind.COMMAND:
                continue
            word = read(record)
            if isinstance(word, DecisionRecord):
                self._decided(word, of_command=record.seq == self.seq)
            elif isinstance(word, EventBody) and isinstance(word.what, AccountReport):
                report = word.what
                self.shown[report.venue] = sum(not line.state.terminal for line in report.orders)

    def _decided(self, word: DecisionRecord, *, of_command: bool) -> None:
        for action in word.document.get("actions", ()):
            if of_command and action.get("action") == "cancel_all":
                self.shown.setdefault(str(action["venue"]), None)
            self.confirmed |= action.get("code") == "KILL_CONFIRMED"

    @property
    def silent(self) -> tuple[str, ...]:
        """The venues that have told nothing since."""
        return tuple(sorted(name for name, told in self.shown.items() if told is None))

    def against(self) -> tuple[str, ...]:
        """Why it is not confirmed, by venue."""
        if self.confirmed:
            return ()
        found = [f"{name} has not answered since" for name in self.silent]
        for name, told in sorted(self.shown.items()):
            if told is not None:
                what = (
                    f"shows {told} open orders" if told else "has not shown twice in a row that none is open"
                )
                found.append(f"{name} {what}")
        return tuple(found)
