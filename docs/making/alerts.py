"""The runbook's list: every alert with what it means and what to do, from the table that sends them."""

from __future__ import annotations

from collections.abc import Mapping

from docs.making.markdown import cell, code, page, table
from hedger.desk.alert_kinds import GROUPS
from hedger.desk.alert_kinds.kind import AlertKind

#: The page that goes through it step by step, where there is one.
STEPS: Mapping[str, tuple[str, ...]] = {
    "kill": ("KILLED", "KILL_CONFIRMED", "UNKILL_REFUSED"),
    "engine": (
        "ENGINE_DEAD", "ENGINE_SILENT", "ENGINE_ENDED", "ENGINE_ABSENT", "MODE_HALTED", "MODE_PAUSED",
        "MODE_REDUCING", "ARM_REFUSED", "BUILD_REFUSED", "COMMAND_LATE",
    ),
    "unknown-order": (
        "ORDER_UNKNOWN", "ORDER_CONTRADICTED", "FILLS_OWED", "ORDER_LOST", "ORDER_BACK",
        "ORDER_NOT_ON_RECORD", "LATE_FILL", "FILL_OF_FORGOTTEN_ORDER",
    ),
    "reconciliation": (
        "DRIFT", "DRIFT_OVER", "EXTERNAL", "EXTERNAL_ORDER", "ORDER_AMENDED", "NOT_ACCEPTED",
        "TRADE_WITHOUT_ID", "TRADE_TOO_OLD", "TRADE_MISDATED", "ACCOUNT_MISDATED", "OTHER_ENGINE", "OVERFILL",
        "FILL_BEYOND_ORDER", "BALANCE_UNPRICED",
    ),
    "frozen-venue": (
        "LINK_DOWN", "LINK_DEGRADED", "LINK_UP", "VENUE_EVENT", "ACCOUNT_UNANSWERED", "KEY_REFUSED",
        "DEAD_MAN_OFF", "DEAD_MAN_ON", "ACCOUNT_MODE", "ACCOUNT_MODE_OVER", "LISTING_CHANGED",
        "LISTING_TERMS",
    ),
    "stale-data": ("MARKS_OLD", "MARKS_INVALID", "BOOK_NOT_VALUED", "DELIVERY_ABSURD"),
    "unexplained-pnl": ("PNL_UNEXPLAINED", "PNL_EXPLAINED", "PNL_NOT_TAKEN_APART", "PNL_NOT_WATCHED"),
    "disk": ("DISK_LOW", "JOURNAL_UNREADABLE", "JOURNAL_REPLACED"),
    "not-hedged": (
        "NOT_HEDGED", "ROW_HELD", "PLAN_FAILED", "LEGS_LEFT", "ORDER_DENIED", "ORDER_HELD", "PAUSED",
        "HEDGE_INCOMPLETE", "FLATTEN_INCOMPLETE", "LISTING_ASIDE",
    ),
    "bands": ("BAND_BY_HAND", "BAND_BY_FILE", "BAND_NARROW"),
}  # fmt: skip


def steps_of(alert: str) -> str:
    """The page with the steps for an alert; "" where its own lines are enough."""
    return next((name for name, alerts in STEPS.items() if alert in alerts), "")


def make() -> str:
    """The page."""
    parts = [
        "What a running engine, and `hedger alerts` beside it, tells a person. An alert *stands* until "
        "something "
        "takes it back, and is told again meanwhile; all others *happen*. Severity: `critical` somebody "
        "looks at once, "
        "`warning` today, `note` nobody has to.\n\n"
        "First of all, whatever the alert: `hedger status` says mode, reason and what is out; `hedger "
        "orders` what may "
        "still fill. When in doubt, `hedger kill` from any shell: nothing new leaves, everything open is "
        "cancelled.\n\n"
        "`ALL_WELL` is no alert: it comes every `alerts.well_h` hours, so that silence means that "
        "something is wrong.",
    ]
    for title, kinds in GROUPS.items():
        parts.append(f"## {title}\n")
        parts.append(
            table(
                ("alert", "severity", "means", "do"),
                [(_anchored(k), str(k.severity), cell(k.meaning), _do(k)) for k in kinds],
            )
        )
    return page("Runbook: every alert", *parts)


def _anchored(kind: AlertKind) -> str:
    anchor = kind.code.lower().replace("_", "-")
    return f'<span id="{anchor}"></span>{code(kind.code)}' + (" (stands)" if kind.stands else "")


def _do(kind: AlertKind) -> str:
    steps = steps_of(kind.code)
    return _plain(kind.action) + (f" [Step by step]({steps}.md)" if steps else "")


def _plain(text: str) -> str:
    """Markdown's own backticks are kept, what is in them too."""
    return "".join(
        code(part) if place % 2 else cell(f"|{part}|")[2:-2] for place, part in enumerate(text.split("`"))
    )
