"""The end of a journal, read without all that lies before it: what the market is now, and since when."""

from __future__ import annotations

from itertools import islice

from hedger.desk.decided import decision_on
from hedger.desk.follow import Fetch, Follower
from hedger.journal.entries import Kind
from hedger.journal.storage import Storage
from hedger.settings import Settings

#: Kinds that book, orders and settings hang on; before the end the others are passed over.
BEFORE_END = tuple(kind for kind in Kind if kind not in (Kind.EVENT, Kind.DECISION))


def first_since(storage: Storage, since_ns: int, most: int) -> int:
    """The first record of a moment or later, at most `most`: by halves, since numbers and times rise
    together.

    Raises:
        StorageFailed: it cannot be read.
    """
    low, high = 1, max(most, 1)
    while low < high:
        middle = (low + high) // 2
        (at,) = islice(storage.records(middle), 1)
        low, high = (low, middle) if at.now_ns >= since_ns else (middle + 1, high)
    return low


def follower_at_end(storage: Storage, fetch: Fetch) -> Follower:
    """Who knows the market as it stands, as far as its quotes are not too old, and the settings in force.

    Raises:
        StorageFailed, CodecError: it cannot be read.
        InputError: its marks lie on a tape, and none is at hand.
    """
    follower, head = Follower(Settings(), fetch, depth=False), storage.head().number
    last = next(storage.records(head), None) if head else None
    if last is None:
        return follower
    for record in storage.records(kinds=(Kind.LISTINGS, Kind.CONFIGURATION, Kind.COMMAND)):
        follower.take(record)
        answer = None
        if record.kind == Kind.COMMAND:
            answer = decision_on(storage, record.seq, record.number)
        if answer is not None:
            follower.take(answer)
    since_ns = last.now_ns - round(follower.settings.age_s_max * 1e9)
    for record in storage.records(first_since(storage, since_ns, head), [Kind.EVENT]):
        follower.take(record)
    return follower
