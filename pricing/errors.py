"""The one error that a user's data can cause, with everything the user needs to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line; a supervisor must not restart on INVALID, REFUSED or UNRECONCILED."""

    DONE = 0
    NEGATIVE = 1
    INVALID = 2
    REFUSED = 3
    UNAVAILABLE = 4
    UNRECONCILED = 5
    INTERNAL = 70
    OUTPUT = 74
    INTERRUPTED = 130
    TERMINATED = 143


def printable(text: str) -> str:
    r"""A text on one line that steers no terminal, whatever a file or a venue put into it.

    >>> printable("a\x1b[2J\nb")
    'a [2J b'
    """
    return "".join(c if c.isprintable() else " " for c in text)


class HedgerError(Exception):
    """Something a person can mend: what, where, observed, allowed, what was not done, how to fix it.

    >>> print(HedgerError("BOOK_QUANTITY", "quantity is not a number", where="book.csv, line 3",
    ...                   observed="ten", allowed="a decimal number", fix="correct the cell"))
    BOOK_QUANTITY: quantity is not a number, where: book.csv, line 3, observed: ten, \
allowed: a decimal number; nothing was done; fix: correct the cell
    """

    exit_code = Exit.INTERNAL

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: str = "",
        observed: object = None,
        allowed: str = "",
        not_done: str = "nothing was done",
        fix: str = "",
    ) -> None:
        self.code = code
        self.what = what
        self.where = where
        self.observed = observed
        self.allowed = allowed
        self.not_done = not_done
        self.fix = fix
        super().__init__(self.text())

    def text(self) -> str:
        """The message on one printable line, parts without content left out."""
        head = f"{self.code}: {self.what}"
        if self.where:
            head += f", where: {self.where}"
        if self.observed is not None:
            head += f", observed: {str(self.observed)[:200]}"
        if self.allowed:
            head += f", allowed: {self.allowed}"
        parts = [head, self.not_done]
        if self.fix:
            parts.append(f"fix: {self.fix}")
        return printable("; ".join(parts))


class InputError(HedgerError):
    """A command, configuration or input file is invalid; nothing was started (exit 2)."""

    exit_code = Exit.INVALID


def refuse_repeated(header: Sequence[str], where: str, not_done: str) -> None:
    """Refuse a table with two columns of one name, by the names as its file has them: a reader would rename
    one of them or leave it out, and use the other. Columns without a name are nobody's.

    Raises:
        InputError: there are two.
    """
    names = [name.strip() for name in header]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise InputError(
            "COLUMN_TWICE",
            "two columns have one name",
            where=where,
            observed=named(twice, 20),
            allowed="each name once",
            not_done=not_done,
            fix="leave out the column that is not meant",
        )


def seen(value: object) -> object:
    """A value of a settings file as an error may show it: a table, or a list of more than plain values, may
    hold anything, such as a secret in the wrong section.

    >>> seen("paper"), seen([1, 2]), seen({"secret": "x"}), seen([{"secret": "x"}])
    ('paper', [1, 2], 'a table', 'a list')
    """
    if isinstance(value, dict):
        return "a table"
    nested = isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    return "a list" if nested else value


def named(words: Sequence[str], most: int, between: str = ", ") -> str:
    """So many words of a list, and how many more there are.

    >>> named(["a", "b", "c"], 2), named(["a", "b"], 2)
    ('a, b and 1 more', 'a, b')
    """
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more
