"""The gate that every key of the terminal goes through before anybody has it: what steers counts only where
it came alone, and nothing is done that could not be seen. How fast keys may come stands in `pace`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.app import App
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input

from hedger.dashboard.keys import Action, textual_key, textual_keys
from hedger.dashboard.kill_press import KillPress
from hedger.dashboard.pace import APART_S, Pace

#: What does something in a dialog, beside the keys of control.
_ANSWERS = ("enter", "y")
#: What its keys do where the screen is too small to show what they do, beside what moves.
_WHEN_SMALL = ("pause", "kill", "quit", "help", "back", "up", "down", "page_up", "page_down")


def _came_at(key: events.Key) -> float:
    return key.time


@dataclass(frozen=True, slots=True)
class Arrival:
    """came_at: seconds at which a key came, by a clock that only goes forward. hold_s: so long a key that
    steers waits for another one."""

    came_at: Callable[[events.Key], float] = _came_at
    hold_s: float = APART_S


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind the gate. act: does what a key does. say: a word in the last line. small: whether
    the screen is too small to show what a key does; leave_unseen: leaves what could not be read there."""

    act: Callable[[events.Key], Awaitable[None]]
    say: Callable[[str], None]
    small: Callable[[], bool]
    leave_unseen: Callable[[], None]


class KeyGate:
    """Holds the keys that steer until it is known whether they may. kill_keys: as the terminal library names
    them."""

    def __init__(
        self,
        app: App[Any],
        actions: Sequence[Action],
        kill_press: KillPress,
        behind: Behind,
        arrival: Arrival,
    ) -> None:
        """app: whose focus and dialogs tell what a key would do."""
        self._app, self._kill_press, self._behind, self.arrival = app, kill_press, behind, arrival
        self.kill_keys = textual_keys(actions, "kill")
        self._steering = _named(a for a in actions if a.control or a.name == "export")
        self._unseen = _named(a for a in actions if a.name not in _WHEN_SMALL)
        self._pace = Pace[events.Key]()
        self._let_go: Timer | None = None

    @property
    def holds(self) -> bool:
        """Whether a key is held, because others may follow it."""
        return bool(self._pace.held)

    async def came(self, key: events.Key) -> None:
        """A key has come: it is let through, held until it is known that it came alone, or left out."""
        at_s = self.arrival.came_at(key)
        counted, crowded = self._pace.followed(key.key, at_s)
        await self._press(counted)
        steers = self._steers(key)
        alone = self._pace.alone(key.key, at_s)
        if key.key in self.kill_keys and self._kill_press.held_on(at_s):
            return
        if crowded or (steers and not alone):
            told = ", ".join(dict.fromkeys(each.key for each in [*crowded, key] if each is not key or steers))
            self._behind.say(f"{told} came at once with other keys, as in a paste: press it again")
        if not steers:
            await self._take(key)
        elif alone:
            self._pace.held.append(key)
            if self._let_go is not None:
                self._let_go.stop()
            self._let_go = self._app.set_timer(self.arrival.hold_s, self.release)

    async def release(self) -> None:
        """Nothing has followed what is held."""
        await self._press(self._pace.released())

    async def _press(self, keys: list[events.Key]) -> None:
        """Keys that were held, as if they came now: presses of one key that came together, which are one, and
        two of the kill key, which two make."""
        for key in keys[:2]:
            if key is keys[0] or (key.key in self.kill_keys and not self._kill_press.killed):
                await self._take(key)

    async def _take(self, key: events.Key) -> None:
        """Let a key through, unless what it does could not be seen."""
        if self._behind.small():
            self._behind.leave_unseen()
            if key.key in self._unseen:
                self._behind.say("too small for this key")
                return
        await self._behind.act(key)

    def _steers(self, key: events.Key) -> bool:
        """Whether a key may do something to the engine, or leave files, here and now."""
        if key.key in self.kill_keys:
            return True
        if isinstance(self._app.focused, Input) and key.is_printable:
            return False  # it is typed
        answers = _ANSWERS if isinstance(self._app.screen, ModalScreen) else ()
        return key.key in answers or key.key in self._steering


def _named(actions: Iterable[Action]) -> frozenset[str]:
    """The keys of actions as the terminal library names them."""
    return frozenset(textual_key(key) for action in actions for key in action.keys)
