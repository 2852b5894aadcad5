"""What `hedger alerts` sees by itself: the process, its files, its mode, its marks, the sinks."""

from __future__ import annotations

from hedger.core.actions import Severity
from hedger.desk.alert_kinds.kind import CRITICAL, WARNING, AlertKind

TITLE = "The process, its files and its modes"


def _own(code: str, severity: Severity, meaning: str, action: str, *, repeats: bool = True) -> AlertKind:
    return AlertKind(code, severity, meaning, action, own=True, stands=True, repeats=repeats)


KINDS = (
    _own(
        "ENGINE_DEAD",
        CRITICAL,
        "The engine's process is gone and did not end in order. Orders may rest at venues until their dead "
        "man's switch fires; nothing hedges.",
        "Look at the venue's own screen for open orders. Start the engine again: it recovers from the "
        "journal and reconciles before it may be armed. Do not start a second journal.",
    ),
    _own(
        "ENGINE_SILENT",
        CRITICAL,
        "The engine holds its journal and gives no sign of life: its loop hangs or the process is stopped.",
        "`hedger kill` sets the latch; a hanging engine cancels nothing. End its process and `hedger kill` "
        "once more: then it cancels on the venues by a session of its own. Look at its log, start again.",
    ),
    _own(
        "ENGINE_ENDED",
        WARNING,
        "The engine has ended in order. Nothing hedges from now on.",
        "If nobody meant it, start it again. Live it arms itself once the accounts agree; on paper it "
        "observes until `hedger arm`, or arms at once with `--arm`.",
        repeats=False,
    ),
    _own(
        "ENGINE_ABSENT",
        WARNING,
        "No engine writes this journal, and none has left a sign of life beside it.",
        "Start the engine, or name the right file with --journal.",
        repeats=False,
    ),
    _own(
        "KILLED",
        CRITICAL,
        "The kill latch is set: nothing new leaves, everything open is cancelled. It outlives restarts.",
        "Find out why (`hedger status` says who set it). Check that `hedger orders` and the venue show "
        "nothing open. Then `hedger unkill --reason ...` and `hedger arm`.",
    ),
    _own(
        "MODE_HALTED",
        CRITICAL,
        "The engine has stopped sending by itself. It goes on watching, cancelling and reconciling.",
        "`hedger status` gives the reason. Mend it, then `hedger arm`; the book is not hedged until then.",
    ),
    _own(
        "MODE_REDUCING",
        WARNING,
        "The engine sends only orders that reduce what is held.",
        "`hedger status` gives the reason. `hedger arm` lifts it.",
    ),
    _own(
        "MODE_PAUSED",
        WARNING,
        "Paused: no new hedges. Checks and cancels go on.",
        "`hedger resume` when it is safe; `hedger status` says who paused it and why.",
    ),
    _own(
        "JOURNAL_UNREADABLE",
        CRITICAL,
        "The journal cannot be read any further; what the engine tells from here on is not seen.",
        "`hedger journal verify` says how far it is sound. Keep the file and its -wal. Check the disk.",
    ),
    _own(
        "JOURNAL_REPLACED",
        CRITICAL,
        "The journal was moved or replaced while it was read: nothing that a new one holds is seen.",
        "End `hedger alerts` and start it on the journal that the engine writes. Never move one in use.",
    ),
    _own(
        "MARKS_OLD",
        CRITICAL,
        "The market has not been heard of for longer than marks_s_max: the book is not valued, hedges wait.",
        "`hedger venues` shows which feed is silent. Check the venue's status page and the network; hedge by "
        "hand if the market moves.",
    ),
    _own(
        "PNL_NOT_WATCHED",
        WARNING,
        "The book cannot be valued here, so `hedger alerts` tells neither P&L without a cause nor old marks.",
        "Mend what the text names. The engine's own breaker on P&L goes on. `alerts.unexplained = false` "
        "says that this is meant, as for a replay, whose marks lie on a tape.",
        repeats=False,
    ),
    _own(
        "DISK_LOW",
        CRITICAL,
        "Little space is left beside the journal. An engine that cannot write stops sending.",
        "Make room on that disk; old journals and reports may be moved away, never the one in use.",
    ),
    _own(
        "SINK_DOWN",
        WARNING,
        "One of the places that alerts go to does not take them.",
        "Check its address and the service behind it. What waits is sent as soon as it answers.",
        repeats=False,
    ),
)
