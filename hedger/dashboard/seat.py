"""What the keys of control need of the terminal that they are pressed at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from textual.screen import Screen

from hedger.dashboard.control import Control
from hedger.dashboard.dialogs import Dialog
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Frame
from hedger.dashboard.grid import Grid
from hedger.dashboard.keys import Action
from hedger.dashboard.reading import Reader


class Seat(Protocol):
    """A terminal, as `steering`, `tickets` and `band_edit` see it.

    labels: what is written on the key of each action. pending: what was left for the engine, by the command's
    id, until its answer is read. killed_at: of the first press of the kill key, by a clock that only goes
    forward. killed: a press has killed, and the key was not let go since.
    """

    frame: Frame | None
    labels: dict[str, str]
    pending: dict[str, str]
    killed_at: float | None
    killed: bool
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

    def say(self, text: str) -> None:
        """A word in the last line."""
        ...

    def warn(self, text: str) -> None:
        """A word in the last line, and the bell."""
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
