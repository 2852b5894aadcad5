"""What can go wrong beyond the wall, sorted by what we do next.

VenueError
|-- Unreachable      retry later, with a pause; nothing was done, or it was only asked
|-- Refused          give up on this request: the venue understood and said no, in a code we know
|-- Ambiguous        reconcile: it may have happened; ask, never send again
|-- Untrusted        stop using that answer: it makes no sense (wrong type, impossible number)
'-- Locked           stop: keys revoked, account frozen; nobody but a person can mend it
"""

from __future__ import annotations

from pricing.errors import Exit, HedgerError


class VenueError(HedgerError):
    """Something beyond the wall (exit 4)."""

    exit_code = Exit.UNAVAILABLE


class Unreachable(VenueError):
    """No answer, and nothing was asked for that could have had an effect."""


class Refused(VenueError):
    """The venue understood and said no."""


class Ambiguous(VenueError):
    """It may have happened."""


class Untrusted(VenueError):
    """An answer that makes no sense."""


class Locked(VenueError):
    """The venue does not let us in any more."""
