"""From what the feed has read to what one screen shows: the header and one panel's sheet.

Only the panel in sight is made, and what it needs of valuations is made once for each batch of marks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hedger.dashboard.feed import Feed
from hedger.dashboard.header import Vitals, since_words
from hedger.dashboard.keys import LABELS
from hedger.dashboard.margin_maker import MarginMaker
from hedger.dashboard.panel_table import PANELS, Panel
from hedger.dashboard.panels import alerts, hedge, orders, pnl, risk, venues, whatif
from hedger.dashboard.panels.incomplete import texts
from hedger.dashboard.planner import Planner
from hedger.dashboard.sheet import Line, Section, Sheet, Tone
from hedger.desk.engine_state import EngineState, engine_state_of
from hedger.desk.hedging import Hedging, hedging_document
from hedger.desk.ladder import ladder_document
from hedger.desk.look import look_of
from hedger.desk.order_rows import order_rows
from hedger.desk.planned_hedge import Planned, basis_of
from hedger.desk.preview_text import legs_notional_usd
from hedger.desk.risk_tree import band_rows, risk_tree
from hedger.desk.stressed import hedge_document
from hedger.documents import missing_list
from hedger.journal.entries import Pause
from hedger.journal.kill_latch import Latched
from hedger.journal.rows import fill_row
from hedger.problem.snapshot import Snapshot
from pricing.daycount import iso
from pricing.errors import HedgerError

Json = dict[str, Any]
#: What is told of the venues, in the header too, is so old at most.
_VENUES_S = 0.5
#: What dialogs hang on, bands and indexes, is so old at most, whatever panel is in sight.
_VALUED_S = 0.5


@dataclass(frozen=True, slots=True)
class Want:
    """What is looked at. closed: keys of the tree whose children are hidden."""

    panel: Panel = Panel.RISK
    closed: frozenset[str] = frozenset()
    metric: str = "pnl"
    side: str = "unhedged"


@dataclass(frozen=True, slots=True)
class Frame:
    """One screen. For the dialogs: bands, by row; indexes, USD by underlying, as of the marks of marked_ns,
    UTC; empty and 0 while the book cannot be valued; held: positions by underlying. left_out: what is in none
    of the bands' figures. preview_usd: what the legs of the preview trade, None unknown. preview_quotes:
    their symbols and the stamps of their quotes, UTC, None where there is none; quote_age_s_max: of one that
    is traded on. document: what the sheet was made of, a part of what the panel's verb prints; None where
    there is nothing to show yet."""

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
    preview_quotes: tuple[tuple[str, int | None], ...] = ()
    quote_age_s_max: float = math.inf
    document: Json | None = None


class Painter:
    """Makes frames; remembers what has not changed since the last."""

    def __init__(self, feed: Feed, control: bool, keys: Mapping[str, str] = LABELS) -> None:
        """keys: what is written on the key of each action; a panel names those that may be used."""
        self._feed, self._control, self._labels = feed, control, keys
        self._keys = keys if control else {}
        self.planner, self.margins = Planner(), MarginMaker()
        self._snapshot: tuple[int, Snapshot | None, str] = (-1, None, "")
        self._marked_ns = 0
        self._valued_at = -math.inf
        self._venues: tuple[float, Json] | None = None
        self._sheet: tuple[float, tuple[Any, ...], Sheet, Json | None] | None = None

    def frame(self, want: Want) -> Frame:
        """What is to be shown now."""
        feed = self._feed.shown
        made = self._sheet
        now = time.monotonic()
        # what says that the journal is being read, or a hedge planned, does not stay after it was
        of = (want, feed.caught_up, self.planner.work.number, self.margins.work.number)
        if made is None or made[1] != of or now - made[0] >= PANELS[want.panel].every_s:
            made = (now, of, *self._made(want))
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
            preview=feed.decided.preview,
            marked_ns=self._marked_ns,
            replies=dict(feed.replies),
            left_out=texts(*_lacking(snapshot)),
            held={} if snapshot is None else _held(snapshot),
            preview_usd=_traded(feed.decided.preview, snapshot),
            preview_quotes=_quoted(feed.decided.preview, snapshot),
            quote_age_s_max=feed.follower.settings.traded_age_s_max(),
            document=made[3],
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

    def _made(self, want: Want) -> tuple[Sheet, Json | None]:
        """The sheet of the panel and its document; a fault of one leaves the others as they are."""
        feed = self._feed
        kind = PANELS[want.panel]
        if (kind.needs_all and feed.quick is not None) or (kind.needs_marks and not feed.shown.caught_up):
            return _words(f"reading the journal: {feed.head - feed.number} records to go"), None
        match want.panel:
            case Panel.RISK:
                snapshot = self.snapshot()
                if snapshot is None:
                    return self._nothing(), None
                tree = risk_tree(snapshot, feed.shown.follower.by_hand)
                return risk.sheet(tree, want.closed), tree
            case Panel.HEDGE:
                hedging = self.hedging()
                return hedge.sheet(hedging, self._keys), {"hedge": hedging}
            case Panel.WHAT_IF:
                return self._whatif(want)
            case Panel.PNL:
                document = None if feed.profit_fault else feed.profit.document()
                return pnl.sheet(document, feed.profit_fault), document
            case Panel.VENUES:
                health = self._venue_document(time.monotonic())
                return venues.sheet(health), health
            case Panel.ORDERS:
                rows, fills = self._order_rows(), [fill_row(report) for report in feed.shown.fills]
                at_ns = self._at_ns()
                document = {"at_ns": at_ns, "orders": rows, "fills": fills}
                return orders.sheet(rows, fills, at_ns), document
            case Panel.ALERTS:
                document = feed.alerts.document(self._at_ns(), feed.acknowledged, feed.latched)
                return alerts.sheet(document, self._keys), document

    def _nothing(self) -> Sheet:
        return _words(self._snapshot[2] or "the book cannot be valued yet: no mark has come")

    def hedging(self) -> Json:
        """What `hedger status --hedge` prints of it."""
        feed = self._feed.shown
        of = Hedging(
            feed.decided,
            self.snapshot() if feed.caught_up else None,
            self._order_rows(live=True),
            self._at_ns(),
            self._engine_state(),
            feed.follower.by_hand,
            self._snapshot[2],
        )
        return hedging_document(of)

    def _whatif(self, want: Want) -> tuple[Sheet, Json | None]:
        snapshot = self.snapshot()
        if snapshot is None:
            return self._nothing(), None
        found, side, words = self._hedge_beside(snapshot, want)
        plan = None if found is None else found.plan
        as_of, settings = iso(snapshot.market.now_ns), self._feed.shown.follower.settings
        begun = time.perf_counter()
        make = partial(ladder_document, snapshot, plan, want.metric, settings=settings)
        if want.metric == "margin":
            # of the book by identity: after a fill it is another one, of which no cell is known yet
            made = self.margins.ladder((snapshot.book, settings, side), found, as_of, make)
            if made is None or made.ladder is None:
                return _words("every cell is being revalued and margined" if made is None else made.why), None
            ladder, as_of, took_s = made.ladder, made.as_of, made.took_s
            # the hedge in the cells is told, not one that was planned since
            found, words = made.hedge, _means(made.hedge) or words
        else:
            ladder = make()
            took_s = time.perf_counter() - begun
        missing, bad_indexes = _lacking(snapshot)
        plan = None if found is None else found.plan
        document = {
            "as_of": as_of,
            "numeraire": str(snapshot.numeraire),
            "ladder": ladder,
            "hedge": None if plan is None else hedge_document(plan),
            "missing": missing,
            "bad_indexes": bad_indexes,
        }
        return whatif.sheet(ladder, missing, bad_indexes, side, words, as_of, 1000.0 * took_s), document

    def _hedge_beside(self, snapshot: Snapshot, want: Want) -> tuple[Planned | None, str, str]:
        """The hedge beside the book, which side of the ladder is shown, and which hedge is meant or why none
        is, in words. A hedge is planned once its side is asked for; until then the book stands alone."""
        follower = self._feed.shown.follower
        side, found = "unhedged", None
        words = f"{self._labels['side']} plans a hedge and shows the book after it; nothing is sent"
        if want.side == "hedged":
            found = self.planner.hedge(basis_of(follower, snapshot), lambda: look_of(follower))
            if found is None:
                words = "a hedge is being planned; these are the figures without it"
            elif found.plan is None:
                words = f"no hedge to show: {found.why}"
            else:
                side, words = "hedged", _means(found)
        return found, side, words

    def _order_rows(self, live: bool = False) -> list[Json]:
        """live: those alone that may still do something."""
        feed = self._feed.shown
        known = feed.orders.as_known(restarted=feed.pid is None).values()
        return order_rows([x for x in known if x.live or not live], feed.follower, self._at_ns())

    def _engine_state(self) -> EngineState:
        feed = self._feed.shown
        return engine_state_of(
            feed.decided.last,
            feed.venues.follower.mode,
            latched=feed.latched is not None,
            runs=feed.pid is not None,
            exchanged=self._feed.exchanged,
        )

    def _at_ns(self) -> int:
        """Ages count up to now while an engine runs, else up to its end."""
        feed = self._feed.shown
        return feed.ports.now_ns() if feed.pid is not None else feed.venues.follower.now_ns

    def _venue_document(self, now: float) -> Json:
        if self._venues is None or now - self._venues[0] >= _VENUES_S:
            at_ns, runs = self._at_ns(), self._feed.shown.pid is not None
            document = self._feed.shown.venues.document(at_ns, self._feed.ports.beat(), runs=runs)
            self._venues = (now, {"running": runs, **document})
        return self._venues[1]

    def _vitals(self, now: float) -> Vitals:
        feed = self._feed.shown
        document, at_ns = self._venue_document(now), self._at_ns()
        follower, engine_state, configuration = (
            feed.venues.follower,
            self._engine_state(),
            feed.configuration(),
        )
        oldest = [v["feed"]["oldest_held"] for v in document["venues"] if v["feed"]["oldest_held"]]
        known = [x for x in oldest if x["age_s"] is not None]
        worst = max(known, key=lambda x: float(x["age_s"]), default=None)
        if len(known) < len(oldest):
            worst = next(x for x in oldest if x["age_s"] is None)
        orders = feed.orders.as_known(restarted=feed.pid is None)
        live = [order for order in orders.values() if order.live]
        accounts = sorted({account for _, _, account in follower.book.positions} if follower.book else ())
        engine, unseen = document["engine"], feed.alerts.unseen(feed.acknowledged)
        # other ages stop with the engine; what the header says of the data must not look fresh for ever
        ended_s = max(feed.ports.now_ns() - at_ns, 0) / 1e9 if feed.pid is None else 0.0
        return Vitals(
            trading=feed.name.trading,
            engine=feed.name.engine,
            engine_state=engine_state,
            pid=feed.pid,
            account=", ".join(a or "not named" for a in accounts) or "none",
            settings_sha256=follower.in_force.told,
            limits_sha256=configuration.limits_sha256 if configuration else "",
            record=feed.number,
            behind=max(self._feed.head - self._feed.number, 0),
            seq=follower.seq,
            lag_s=(feed.ports.now_ns() - follower.now_ns) / 1e9 if follower.now_ns else None,
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
            by_whom=_by_whom(engine_state, feed.latched, follower.pause, at_ns),
        )


def _by_whom(engine_state: EngineState, latched: Latched | None, pause: Pause | None, now_ns: int) -> str:
    """Who brought the engine to where it stands, and when; a pause tells nothing of a kill."""
    if engine_state.latched and latched is not None:
        return since_words(latched.user, latched.set_ns, now_ns)
    if engine_state.words.endswith("PAUSED") and pause is not None:
        return since_words(pause.user, pause.now_ns, now_ns)
    return ""


def _means(found: Planned | None) -> str:
    """Which hedge is meant; "" where there is none."""
    if found is None or found.plan is None:
        return ""
    return whatif.means(hedge_document(found.plan), found.basis.marked_ns)


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
    return legs_notional_usd(legs, snapshot.market.universe, spot)


def _quoted(shown: tuple[int, Json] | None, snapshot: Snapshot | None) -> tuple[tuple[str, int | None], ...]:
    """The legs of the last preview and when they were quoted last, UTC; nothing where no book is valued."""
    if shown is None or snapshot is None:
        return ()
    market, found = snapshot.market, list[tuple[str, int | None]]()
    for leg in (shown[1]["preview"]["ticket"] or {}).get("legs", ()):
        at = market.universe.positions.get((leg["venue"], leg["symbol"]))
        quoted = at is not None and bool(market.quoted[at])
        found.append((leg["symbol"], int(market.venue_ns[at]) if quoted else None))
    return tuple(found)


def _words(text: str) -> Sheet:
    return (Section("", (), (Line("", (text,), Tone.WARN, (text,)),)),)
