"""What fails in one part of the screen, in words: the rest goes on, as a trader needs the kill key more."""

from __future__ import annotations

from hedger.dashboard.sheet import Line, Section, Sheet, Tone
from pricing.errors import printable


def internal(error: Exception) -> str:
    """A fault of the program in words, as it stands in a line.

    >>> internal(ValueError("no shape"))
    'INTERNAL ValueError: no shape'
    """
    return f"INTERNAL {type(error).__name__}: {printable(str(error))}"


def failed_panel(error: Exception) -> Sheet:
    """In the place of a panel that could not be made: no figure of it, for none is known."""
    what, rest = f"this panel failed: {internal(error)}", "the other panels and keys go on"
    lines = (
        Line("failed", (what,), Tone.BAD, (f"{what}; {rest}",)),
        Line("", (f"{rest}; this is a fault of the program, please report it",), Tone.WARN),
    )
    return (Section("", (), lines),)
