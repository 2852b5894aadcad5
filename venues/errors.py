"""What can go wrong beyond the wall, sorted by what we do next.

VenueError
|-- Unreachable      retry later, with a pause; nothing was done, or it was only asked
|-- Refused          give up on this request: the venue understood and said no, in a code we know
|-- Ambiguous        reconcile: it may have happened; ask, never send again
|-- Untrusted        stop using that answer: it makes no sense
|   |-- Malformed    a field is missing, of the wrong type, or an impossible number
|   |-- NotTheVenue  wrong host, certificate or encryption, or a redirect: no outage, nothing is signed for it
|   '-- UnitsUnknown nobody has said what one order unit of it is
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


class Malformed(Untrusted):
    """A field of an answer is missing, of the wrong type, or an impossible number."""


class NotTheVenue(Untrusted):
    """Who is to be asked, or answers, is not the venue, or cannot prove it; waiting does not mend that."""


class UnitsUnknown(Untrusted):
    """An instrument whose order unit the unit table does not know; it is not traded."""


class Locked(VenueError):
    """The venue does not let us in any more."""
