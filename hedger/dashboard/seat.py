"""What the keys of control need of the terminal that they are pressed at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from textual.screen import Screen

from hedger.dashboard.control import Control
from hedger.dashboard.dialogs import Dialog
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import ScreenFrame
from hedger.dashboard.grid import Grid
from hedger.dashboard.keys import Action
from hedger.dashboard.kill_press import KillPress
from hedger.dashboard.reader_thread import Reader


@dataclass(slots=True)
class Pending:
    """What was left for the engine and is not answered yet. late: what becomes of it if that lasts; until_s:
    the moment at which that is said, by the monotonic clock."""

    what: str
    late: str
    until_s: float


class Seat(Protocol):
    """A terminal, as `control_keys`, `tickets` and `band_edit` see it. A protocol, though one class has it:
    that class imports those three, and its frame and screen have changed by the time a dialog is answered.

    labels: what is written on the key of each action. pending: what was left for the engine, by the command's
    id, until its answer is read.
    """

    frame: ScreenFrame | None
    labels: dict[str, str]
    pending: dict[str, Pending]
    kill_press: KillPress
    feed: Feed
    control: Control
    reader: Reader
    grid: Grid

    @property
    def actions(self) -> tuple[Action, ...]:
        """What its keys do."""
        ...

    @property
    def screen(self) -> Screen[Any]:
        """The screen or dialog on top."""
        ...

    def say(self, text: str, *, stays: bool = False) -> None:
        """A word in the last line, for a moment. stays: for longer, since it must be seen."""
        ...

    def warn(self, text: str) -> None:
        """A word in the last line that must be seen, and the bell."""
        ...

    def shout(self, title: str, text: str, seconds: float) -> None:
        """A word in the last line, and one over everything for so long."""
        ...

    def put(self, dialog: Dialog, answered: Callable[[str | None], None]) -> None:
        """A question over the screen; answered: takes what was said to it."""
        ...

    def lines(self) -> list[str]:
        """Everything in sight that is text."""
        ...
