"""The places that are told. Each waits for itself alone: a dead or slow one holds up nobody.

A letter is sent in a thread of its own, and the loop only looks whether that has ended. What does not end
within `send_s_max` counts as failed and is left to itself; while too many such threads hang, nothing more is
sent there. A letter that failed is sent again, with what came meanwhile, after `retry_s`, doubling up to
`retry_s_max`. What waits is bounded: the least grave and oldest are dropped first, and their number is told.
An address is never written anywhere: a sink is called by its number and its kind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hedger.alerts.letters import Letter, letter
from hedger.alerts.notices import Message, Why, rank
from hedger.core.actions import Severity
from hedger.journal.entries import JournalName
from hedger.sections.alerts import AlertsConfig
from pricing.daycount import NS_PER_SECOND

#: Sends a letter and waits for the answer; "" where it was taken, else why not, without an address.
Send = Callable[[Letter], str]

#: A salt to what tells an address from others and does not say what it is.
Mark = Callable[[str], str]


def _no_mark(salt: str) -> str:
    return ""


#: So many messages wait for a sink at most.
WAITING_MAX = 200
#: So many threads of one sink may hang.
HANGING_MAX = 3


@dataclass(frozen=True, slots=True)
class Address:
    """Where a sink is, as far as it may be said. name: its number and kind, such as "sink 1 (json)". mark: by
    a salt what the address is known by later on; "" where nothing may be kept of it."""

    name: str
    send: Send = field(repr=False)
    severity_min: Severity = Severity.WARNING
    well: bool = True
    mark: Mark = field(default=_no_mark, repr=False)


@dataclass(slots=True, eq=False)
class _Attempt:
    """A letter on its way. answer: None while nobody has answered."""

    messages: list[Message]
    dropped: int
    began_ns: int
    answer: str | None = None

    def go(self, send: Send, text: Letter) -> None:
        """Send, and note the answer; whatever goes wrong is one."""
        try:
            self.answer = send(text)
        except Exception as error:  # a sink's library may raise anything; its text may hold the address
            self.answer = f"it failed with {type(error).__name__}"


class Sink:
    """One place. down: why it takes nothing, "" while it does. sent, failed: letters so far."""

    def __init__(self, address: Address, name: JournalName, config: AlertsConfig) -> None:
        self.address, self._name = address, name
        self.down = ""
        self.sent = self.failed = self.dropped = 0
        self._config = config
        self._waiting: list[Message] = []
        self._lost = 0
        self._attempt: _Attempt | None = None
        self._hanging: list[_Attempt] = []
        self._failures = 0
        self._next_ns = 0

    @property
    def waiting(self) -> int:
        """Messages that were not taken yet."""
        return len(self._waiting) + (len(self._attempt.messages) if self._attempt else 0)

    def left(self) -> tuple[tuple[Message, ...], int]:
        """Messages that were not taken yet, those on their way first, and how many were dropped untold."""
        attempt = self._attempt
        on_the_way, lost = ([], 0) if attempt is None else (attempt.messages, attempt.dropped)
        return (*on_the_way, *self._waiting), lost + self._lost

    def resume(self, messages: Sequence[Message], lost: int) -> None:
        """What an earlier process left untold."""
        self._waiting = [*messages, *self._waiting]
        self._lost += lost
        self._shorten()

    def offer(self, messages: Sequence[Message]) -> None:
        """Messages to be told, as far as this sink wants them."""
        self._waiting += [m for m in messages if self._wants(m)]
        self._shorten()

    def pump(self, now_ns: int) -> None:
        """See what became of the last letter, and send the next where it is time. now_ns: monotonic."""
        self._hanging = [attempt for attempt in self._hanging if attempt.answer is None]
        attempt = self._attempt
        if attempt is not None:
            if attempt.answer is not None:
                self._attempt = None
                self._ended(attempt, attempt.answer, now_ns)
            elif now_ns - attempt.began_ns >= self._config.send_s_max * NS_PER_SECOND:
                self._attempt = None
                self._hanging.append(attempt)
                self._ended(attempt, f"no answer within {self._config.send_s_max:g} s", now_ns)
            return
        if self._waiting and now_ns >= self._next_ns and len(self._hanging) < HANGING_MAX:
            self._begin(now_ns)

    def _wants(self, message: Message) -> bool:
        if message.why is Why.WELL:
            return self.address.well
        return rank(message.notice.severity) >= rank(self.address.severity_min)

    def _begin(self, now_ns: int) -> None:
        attempt = _Attempt(self._waiting, self._lost, now_ns)
        self._waiting, self._lost, self._attempt = [], 0, attempt
        text = letter(self._name, attempt.messages, attempt.dropped)
        thread = threading.Thread(target=attempt.go, args=(self.address.send, text), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads are to be had
            attempt.answer = "no thread could be started"

    def _ended(self, attempt: _Attempt, answer: str, now_ns: int) -> None:
        if not answer:
            self.sent += 1
            self.down, self._failures, self._next_ns = "", 0, 0
            return
        self.failed += 1
        self.down = answer
        wait_s = min(self._config.retry_s * 2.0 ** min(self._failures, 30), self._config.retry_s_max)
        self._failures += 1
        self._next_ns = now_ns + round(wait_s * NS_PER_SECOND)
        self._waiting = attempt.messages + self._waiting
        self._lost += attempt.dropped
        self._shorten()

    def _shorten(self) -> None:
        """Drop what is too much: the least grave first, of those the oldest."""
        over = len(self._waiting) - WAITING_MAX
        if over > 0:
            by_grace = sorted(range(len(self._waiting)), key=lambda i: rank(self._waiting[i].notice.severity))
            gone = set(by_grace[:over])
            self._waiting = [m for i, m in enumerate(self._waiting) if i not in gone]
            self._lost += over
            self.dropped += over
