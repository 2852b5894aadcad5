"""Arguments of a notebook's calls, which no command line has checked: what is wrong is said as by a verb."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pricing.errors import InputError


def no_argument(name: str, given: object, allowed: str, code: str = "USAGE") -> InputError:
    """What is said of an argument that cannot be used."""
    return InputError(
        code,
        "an argument that cannot be used",
        where=name,
        observed=repr(given),
        allowed=allowed,
        not_done="nothing was read",
        fix="correct the argument",
    )


def needed_path(name: str, given: object) -> Path:
    """A path.

    Raises:
        InputError: it is none; so below.
    """
    if not isinstance(given, str | Path) or "\0" in str(given):
        raise no_argument(name, given, "a path: text, or a pathlib.Path")
    return Path(given)


def path_or_none(name: str, given: object) -> Path | None:
    """A path that may be left out."""
    return None if given is None else needed_path(name, given)


def word_or_none(name: str, given: object, allowed: str) -> str | None:
    """Text that may be left out, not empty."""
    if given is not None and not (isinstance(given, str) and given):
        raise no_argument(name, given, allowed)
    return given


def texts(name: str, given: object, allowed: str) -> tuple[str, ...]:
    """Several texts, none of which is one text: that would be its letters."""
    found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else (None,)
    if not all(isinstance(x, str) for x in found):
        raise no_argument(name, given, allowed)
    return tuple(map(str, found))


def numbers(name: str, given: object, allowed: str) -> tuple[float, ...]:
    """Several numbers, of a list, an array or a series; none where there are none."""
    if given is None:
        return ()
    found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else (None,)
    try:
        if any(isinstance(x, str | bytes | bool) for x in found):
            raise TypeError
        return tuple(map(float, found))
    except (TypeError, ValueError, OverflowError):
        raise no_argument(name, given, allowed) from None


def yes_or_no(name: str, given: object) -> bool:
    """True or False, and nothing that only counts as one of them."""
    if not isinstance(given, bool):
        raise no_argument(name, given, "True or False")
    return given
