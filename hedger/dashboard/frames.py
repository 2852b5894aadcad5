"""From what the feed has read to what one screen shows: the header and one panel's sheet.

Only the panel in sight is made, and what it needs of valuations is made once for each batch of marks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hedger.core.state import Mode
from hedger.dashboard.effects import PREVIEW_AGE_S_MAX
from hedger.dashboard.feed import Feed
from hedger.dashboard.header import Vitals
from hedger.dashboard.keys import LABELS
from hedger.dashboard.panels import alerts, hedge, orders, pnl, preview, risk, venues, whatif
from hedger.dashboard.panels.incomplete import texts
from hedger.dashboard.sheet import Line, Section, Sheet, Tone, age, counted
from hedger.dashboard.standing import Standing
from hedger.desk.holdings import after_legs, unhedged
from hedger.desk.ladder import ladder_of
from hedger.desk.risk_tree import band_rows, risk_tree
from hedger.documents import missing_list
from hedger.journal.export import fill_row, order_row
from hedger.problem.snapshot import Snapshot
from pricing.errors import HedgerError

Json = dict[str, Any]
NAMES = ("risk", "hedge", "what-if", "P&L", "venues", "orders", "alerts")
#: A panel is made again at most so often, seconds; the header at most four times a second.
EVERY_S = (0.5, 0.25, 2.0, 1.0, 1.0, 0.25, 0.5)
_HEADER_S = 0.5
#: What dialogs hang on, bands and indexes, is so old at most, whatever panel is in sight.
_VALUED_S = 0.5


@dataclass(frozen=True, slots=True)
class Want:
    """What is looked at. panel: 1 to 7. closed: keys of the tree whose children are hidden."""

    panel: int = 1
    closed: frozenset[str] = frozenset()
    metric: str = "pnl"
    side: str = "unhedged"


@dataclass(frozen=True, slots=True)
class Frame:
    """One screen. For the dialogs: bands, by row; indexes, USD by underlying, as of the marks of marked_ns,
    UTC; empty and 0 while the book cannot be valued; held: positions by underlying. left_out: what is in none
    of the bands' figures. preview_usd: what the legs of the preview trade, None unknown."""

    want: Want
    vitals: Vitals
    sheet: Sheet
    caught_up: bool
    bands: Mapping[str, Json] = field(default_factory=dict)
    indexes: Mapping[str, float] = field(default_factory=dict)
    preview: tuple[int, Json] | None = None
    marked_ns: int = 0
    replies: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    preview_usd: float | None = None


class Painter:
    """Makes frames; remembers what has not changed since the last."""

    def __init__(self, feed: Feed, control: bool, keys: Mapping[str, str] = LABELS) -> None:
        """keys: what is written on the key of each action; a panel names those that may be used."""
        self._feed, self._control, self._keys = feed, control, keys if control else {}
        self._snapshot: tuple[int, Snapshot | None, str] = (-1, None, "")
        self._marked_ns = 0
        self._valued_at = -math.inf
        self._venues: tuple[float, Json] | None = None
        self._sheet: tuple[float, tuple[Want, bool], Sheet] | None = None

    def frame(self, want: Want) -> Frame:
        """What is to be shown now."""
        feed = self._feed.shown
        made = self._sheet
        now = time.monotonic()
        of = (want, feed.caught_up)  # what says that the journal is being read does not stay after it was
        if made is None or made[1] != of or now - made[0] >= EVERY_S[want.panel - 1]:
            made = (now, of, self._made(want))
            self._sheet = made
        if feed.caught_up and now - self._valued_at >= _VALUED_S:
            self._valued_at = now
            self.snapshot()
        snapshot = self._snapshot[1]
        bands = (
            {}
            if snapshot is None
            else {row["row"]: row for row in band_rows(snapshot, feed.follower.by_hand)}
        )
        return Frame(
            want=want,
            vitals=self._vitals(now),
            sheet=made[2],
            caught_up=feed.caught_up,
            bands=bands,
            indexes={} if snapshot is None else dict(snapshot.spot),
            preview=feed.preview,
            marked_ns=self._marked_ns,
            replies=dict(feed.replies),
            left_out=texts(*_lacking(snapshot)),
            held={} if snapshot is None else _held(snapshot),
            preview_usd=_traded(feed.preview, snapshot),
        )

    # -------------------------------------------------------------------------------------------------- parts

    def snapshot(self) -> Snapshot | None:
        """The book valued at the last marks; None where it cannot be."""
        feed = self._feed.shown
        follower = feed.follower
        if self._snapshot[0] != feed.number:
            found, fault = None, ""
            try:
                found = follower.snapshot(bands=True)
            except HedgerError as error:
                fault = error.text()
            self._snapshot = (feed.number, found, fault)
            self._marked_ns = 0 if found is None else follower.marked_ns
        return self._snapshot[1]

    def _made(self, want: Want) -> Sheet:
        """The sheet of the panel; a fault of one leaves the others as they are."""
        feed = self._feed
        # the end of a long journal tells what is held and out, not what ever was: causes, counts, alerts
        all_needed = feed.quick is not None and want.panel in (4, 5, 7)
        if all_needed or (not feed.shown.caught_up and want.panel in (1, 3, 4)):
            return _words(f"reading the journal: {feed.head - feed.number} records to go")
        match want.panel:
            case 1:
                snapshot = self.snapshot()
                if snapshot is None:
                    return self._nothing()
                return risk.sheet(risk_tree(snapshot, feed.shown.follower.by_hand), want.closed)
            case 2:
                return self._hedge()
            case 3:
                return self._whatif(want)
            case 4:
                document = None if feed.profit_fault else feed.profit.shown()
                return pnl.sheet(document, feed.profit_fault)
            case 5:
                return venues.sheet(self._venue_document(time.monotonic()))
            case 6:
                return orders.sheet(
                    self._order_rows(), [fill_row(report) for report in feed.shown.fills], self._at_ns()
                )
            case _:
                document = feed.alerts.document(self._at_ns(), feed.acknowledged, feed.latched)
                return alerts.sheet(document, self._keys)

    def _nothing(self) -> Sheet:
        return _words(self._snapshot[2] or "the book cannot be valued yet: no mark has come")

    def _hedge(self) -> Sheet:
        feed = self._feed.shown
        snapshot = self.snapshot() if feed.caught_up else None
        rows = None if snapshot is None else band_rows(snapshot, feed.follower.by_hand)
        working = [row for row in self._order_rows() if row["live"]]
        missing, bad_indexes = _lacking(snapshot)
        return hedge.sheet(
            hedge.Hedging(
                rows,
                missing=missing,
                bad_indexes=bad_indexes,
                decision=feed.decision,
                asked=feed.asked,
                ticket=feed.ticket,
                working=working,
                decisions=tuple(feed.decisions),
                now_ns=self._at_ns(),
                latched=feed.latched is not None,
                keys=self._keys,
            )
        )

    def _whatif(self, want: Want) -> Sheet:
        snapshot, feed = self.snapshot(), self._feed.shown
        if snapshot is None:
            return self._nothing()
        name, legs, why_none = self._hedge_shown()
        begun = time.perf_counter()
        holdings = [unhedged(snapshot)]
        try:
            holdings += [after_legs(snapshot, legs)] if legs else []
        except KeyError:
            name, why_none = "", f"no hedge to show: {name} trades what is not on the market now"
        ladder = ladder_of(snapshot, holdings, want.metric)
        took_ms = 1000.0 * (time.perf_counter() - begun)
        as_of = feed.venues.document(self._at_ns())["as_of"]
        return whatif.sheet(
            ladder, *_lacking(snapshot), want.side, name, as_of, took_ms, self._keys, why_none
        )

    def _hedge_shown(self) -> tuple[str, list[Json], str]:
        """The ticket by which "hedged" is meant: its name, its legs, and why there is none.

        It is the last preview's, which the engine has made, as long as it is one of the book as it stands: a
        hedge that was sent since is in the book already, and would count twice.
        """
        feed = self._feed.shown
        if feed.preview is None:
            return "", [], ""
        number, decision = feed.preview
        shown, old_s = decision["preview"], (self._at_ns() - decision["now_ns"]) / 1e9
        legs = list((shown["ticket"] or {}).get("legs", ()))
        name = f"the preview of record {number}, {counted(len(legs), 'leg')}, {age(old_s)} old"
        sent = max(feed.filled, feed.ticket[0] if feed.ticket is not None else 0)
        why = ""
        if shown["scope"]:
            why = f"it is of {preview.asked_about(shown['scope'])}, not of a hedge of the book"
        elif not legs:
            why = "it has no legs"
        elif sent > number:
            why = "something was sent or filled since"
        elif old_s > PREVIEW_AGE_S_MAX:
            why = f"at most {PREVIEW_AGE_S_MAX:g} s count"
        return ("", [], f"no hedge to show: {name}: {why}") if why else (name, legs, "")

    def _order_rows(self) -> list[Json]:
        return [
            order_row(order) | {"reserved": str(order.reserved), "live": order.live}
            for order in self._feed.shown.orders.orders.values()
        ]

    def _at_ns(self) -> int:
        """Ages count up to now while an engine runs, else up to its end."""
        feed = self._feed.shown
        return feed.outside.now_ns() if feed.pid is not None else feed.venues.follower.now_ns

    def _venue_document(self, now: float) -> Json:
        if self._venues is None or now - self._venues[0] >= _HEADER_S:
            at_ns = self._at_ns()
            document = self._feed.shown.venues.document(at_ns, self._feed.outside.beat())
            self._venues = (now, {"running": self._feed.shown.pid is not None, **document})
        return self._venues[1]

    def _vitals(self, now: float) -> Vitals:
        feed = self._feed.shown
        document, at_ns = self._venue_document(now), self._at_ns()
        follower, decision, configuration = feed.venues.follower, feed.decision, feed.configuration()
        oldest = [v["feed"]["oldest_held"] for v in document["venues"] if v["feed"]["oldest_held"]]
        known = [x for x in oldest if x["age_s"] is not None]
        worst = max(known, key=lambda x: float(x["age_s"]), default=None)
        if len(known) < len(oldest):
            worst = next(x for x in oldest if x["age_s"] is None)
        live = [order for order in feed.orders.orders.values() if order.live]
        told = decision["mode"] if decision else follower.mode.mode if follower.mode else None
        accounts = sorted({account for _, _, account in follower.book.positions} if follower.book else ())
        engine, unseen = document["engine"], feed.alerts.unseen(feed.acknowledged)
        # other ages stop with the engine; what the header says of the data must not look fresh for ever
        ended_s = max(feed.outside.now_ns() - at_ns, 0) / 1e9 if feed.pid is None else 0.0
        return Vitals(
            trading=feed.name.trading,
            engine=feed.name.engine,
            standing=Standing(
                None if told is None else Mode(told),
                paused=bool(decision and decision["paused"]),
                latched=feed.latched is not None,
                runs=feed.pid is not None,
                exchanged=self._feed.exchanged,
            ),
            pid=feed.pid,
            account=", ".join(a or "not named" for a in accounts) or "none",
            settings_sha256=follower.in_force.told,
            limits_sha256=configuration.limits_sha256 if configuration else "",
            record=feed.number,
            behind=max(self._feed.head - self._feed.number, 0),
            seq=follower.seq,
            lag_s=(feed.outside.now_ns() - follower.now_ns) / 1e9 if follower.now_ns else None,
            newest_s=(at_ns - follower.marked_ns) / 1e9 if follower.marked_ns else None,
            oldest_s=None if worst is None or worst["age_s"] is None else worst["age_s"] + ended_s,
            oldest_symbol="" if worst is None else worst["symbol"],
            beat_s=None if engine is None or feed.pid is None else engine["beat_s"],
            clock_s=None if engine is None else engine["clock_stepped_s"],
            unknown=sum(str(order.state) == "unknown" for order in live),
            working=len(live),
            critical=unseen["critical"],
            grave=feed.alerts.grave(feed.acknowledged),
            warnings=unseen["warning"],
            at_hand=not follower.in_force.of_run,
            incomplete=len(texts(*_lacking(self._snapshot[1]))),
            fault=feed.fault or self._feed.fault,
            control=self._control,
        )


def _lacking(snapshot: Snapshot | None) -> tuple[list[Json], list[str]]:
    """What is in no figure: positions without a worth, and bad indexes."""
    if snapshot is None:
        return [], []
    return missing_list(snapshot), [reading.underlying for reading in snapshot.bad_indexes]


def _held(snapshot: Snapshot) -> dict[str, int]:
    """How many listings of each underlying are held."""
    held, universe = snapshot.quantities != 0, snapshot.market.universe
    return {name: int((held & universe.where_underlying(name)).sum()) for name in snapshot.underlyings}


def _traded(shown: tuple[int, Json] | None, snapshot: Snapshot | None) -> float | None:
    """What the legs of the last preview trade, USD; None where it is not known."""
    if shown is None or snapshot is None:
        return None
    asked = shown[1]["preview"]
    legs, spot = (asked["ticket"] or {}).get("legs", ()), {k: x for k, x in asked["indexes"] if x is not None}
    return preview.notional_usd(legs, snapshot.market.universe, spot)


def _words(text: str) -> Sheet:
    return (Section("", (), (Line("", (text,), Tone.WARN, (text,)),)),)
