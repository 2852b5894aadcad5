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

from hedger.dashboard.faults import failed_panel, internal
from hedger.dashboard.feed import Feed
from hedger.dashboard.header import HeaderFacts, since_words
from hedger.dashboard.keys import LABELS
from hedger.dashboard.margin_maker import MarginMaker
from hedger.dashboard.panel_table import PANELS, Panel
from hedger.dashboard.panels import alerts, hedge, orders, pnl, risk, venues, whatif
from hedger.dashboard.panels.incomplete import texts
from hedger.dashboard.planner import Planner
from hedger.dashboard.sheet import Line, Section, Sheet, Tone
from hedger.desk.decision_log import OnRecord
from hedger.desk.engine_state import EngineState, ended_in_order, engine_state_of
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
class ScreenFrame:
    """One screen. For the dialogs: bands, by row; indexes, USD by underlying, as of the marks of marked_ns,
    UTC; empty and 0 while the book cannot be valued; held: positions by underlying. left_out: what is in none
    of the bands' figures. preview_usd: what the legs of the preview trade, None unknown. preview_quotes:
    their symbols and the stamps of their quotes, UTC, None where there is none; quote_age_s_max: of one that
    is traded on. document: what the sheet was made of, a part of what the panel's verb prints; None where
    there is nothing to show yet."""

    want: Want
    facts: HeaderFacts
    sheet: Sheet
    caught_up: bool
    bands: Mapping[str, Json] = field(default_factory=dict)
    indexes: Mapping[str, float] = field(default_factory=dict)
    preview: OnRecord | None = None
    marked_ns: int = 0
    replies: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    preview_usd: float | None = None
    preview_quotes: tuple[tuple[str, int | None], ...] = ()
    quote_age_s_max: float = math.inf
    document: Json | None = None


@dataclass(frozen=True, slots=True)
class Valued:
    """The book at the marks of marked_ns, UTC. number: of the last record that was read, -1: none. snapshot:
    None where it cannot be valued; fault: why, "" before the first mark; failed: by a fault of ours."""

    number: int = -1
    snapshot: Snapshot | None = None
    fault: str = ""
    marked_ns: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Painted:
    """A panel as it was made last. at_s: when; of: what it is of, beside the record. document: as
    `ScreenFrame` has it. failed: it could not be made, and its sheet says so."""

    at_s: float
    of: tuple[Any, ...]
    sheet: Sheet
    document: Json | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class VenuesSeen:
    """What was told of the venues last, and when: at_s, of this process; at_ns, up to when ages are told."""

    at_s: float
    at_ns: int
    document: Json


class Painter:
    """Makes frames; remembers what has not changed since the last."""

    def __init__(self, feed: Feed, control: bool, keys: Mapping[str, str] = LABELS) -> None:
        """keys: what is written on the key of each action; a panel names those that may be used."""
        self._feed, self._control, self._labels = feed, control, keys
        self._keys = keys if control else {}
        self.planner, self.margins = Planner(), MarginMaker()
        self._valued, self._valued_at = Valued(), -math.inf
        self._venues: VenuesSeen | None = None
        self._painted: Painted | None = None

    def frame(self, want: Want) -> ScreenFrame:
        """What is to be shown now."""
        shown = self._feed.shown
        painted = self._painted
        now = time.monotonic()
        # what says that the journal is being read, or a hedge planned, does not stay after it was
        of = (want, shown.caught_up, self.planner.work.number, self.margins.work.number)
        if painted is None or painted.of != of or now - painted.at_s >= PANELS[want.panel].every_s:
            painted = self._paint(want, now, of)
            self._painted = painted
        if shown.caught_up and now - self._valued_at >= _VALUED_S:
            self._valued_at = now
            self.snapshot()
        failed = [f"panel {want.panel:d}"] if painted.failed else []
        failed += ["the book's valuation"] if self._valued.failed else []
        for_dialogs = self._for_dialogs(failed)
        return ScreenFrame(
            want=want,
            facts=self._facts(now, failed),
            sheet=painted.sheet,
            caught_up=shown.caught_up,
            preview=shown.decided.preview,
            replies=dict(shown.replies),
            quote_age_s_max=shown.follower.settings.traded_age_s_max(),
            document=painted.document,
            **for_dialogs,
        )

    # -------------------------------------------------------------------------------------------------- parts

    def snapshot(self) -> Snapshot | None:
        """The book valued at the last marks; None where it cannot be."""
        shown = self._feed.shown
        follower = shown.follower
        if self._valued.number != shown.number:
            found, fault = None, follower.untold
            failed = False
            try:
                found = follower.snapshot(bands=True)
            except HedgerError as error:
                fault = error.text()
            except Exception as error:  # what is not of the book goes on without it
                fault, failed = internal(error), True
            marked_ns = 0 if found is None else follower.marked_ns
            self._valued = Valued(shown.number, found, fault, marked_ns, failed)
        return self._valued.snapshot

    def _for_dialogs(self, failed: list[str]) -> Json:
        """What dialogs hang on, as `ScreenFrame` has it; nothing while the book cannot be valued, nor where
        it fails, which is added to what failed: without it they send nothing that they could not judge."""
        snapshot, shown = self._valued.snapshot, self._feed.shown
        if snapshot is None:
            return {}
        preview = shown.decided.preview
        try:
            return {
                "bands": {row["row"]: row for row in band_rows(snapshot, shown.follower.by_hand)},
                "indexes": dict(snapshot.spot),
                "marked_ns": self._valued.marked_ns,
                "left_out": texts(*_lacking(snapshot)),
                "held": _held(snapshot),
                "preview_usd": _traded(preview, snapshot),
                "preview_quotes": _quoted(preview, snapshot),
            }
        except Exception as error:  # header and kill key go on without the dialogs
            failed.append(f"what dialogs need ({internal(error)})")
            return {}

    def _paint(self, want: Want, now: float, of: tuple[Any, ...]) -> Painted:
        """The panel; one that fails says so in its place, and the others, header and keys go on."""
        try:
            return Painted(now, of, *self._made(want))
        except Exception as error:  # whatever it is, it is of this panel alone
            return Painted(now, of, failed_panel(error), None, failed=True)

    def _made(self, want: Want) -> tuple[Sheet, Json | None]:
        """The sheet of the panel and its document."""
        whole, shown = self._feed, self._feed.shown
        kind = PANELS[want.panel]
        if (kind.needs_all and whole.quick is not None) or (kind.needs_marks and not shown.caught_up):
            return _words(f"reading the journal: {whole.head - whole.number} records to go"), None
        match want.panel:
            case Panel.RISK:
                snapshot = self.snapshot()
                if snapshot is None:
                    return self._nothing(), None
                tree = risk_tree(snapshot, shown.follower.by_hand)
                return risk.sheet(tree, want.closed), tree
            case Panel.HEDGE:
                hedging = self.hedging()
                return hedge.sheet(hedging, self._keys), {"hedge": hedging}
            case Panel.WHAT_IF:
                return self._whatif(want)
            case Panel.PNL:
                document = None if whole.profit_fault else whole.profit.document()
                return pnl.sheet(document, whole.profit_fault), document
            case Panel.VENUES:
                health = self._venues_seen(time.monotonic()).document
                return venues.sheet(health), health
            case Panel.ORDERS:
                rows, fills = self._order_rows(), [fill_row(report) for report in shown.fills]
                at_ns = self._at_ns()
                document = {"at_ns": at_ns, "orders": rows, "fills": fills}
                return orders.sheet(rows, fills, at_ns), document
            case Panel.ALERTS:
                document = whole.alerts.document(self._at_ns(), whole.acknowledged, whole.latched)
                return alerts.sheet(document, self._keys), document

    def _nothing(self) -> Sheet:
        return _words(self._valued.fault or "the book cannot be valued yet: no mark has come")

    def hedging(self) -> Json:
        """What `hedger status --hedge` prints of it."""
        shown = self._feed.shown
        of = Hedging(
            shown.decided,
            self.snapshot() if shown.caught_up else None,
            self._order_rows(live=True),
            self._at_ns(),
            self._engine_state(),
            shown.follower.by_hand,
            self._valued.fault,
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
        shown = self._feed.shown
        known = shown.orders.as_known(restarted=shown.pid is None).values()
        return order_rows([x for x in known if x.live or not live], shown.follower, self._at_ns())

    def _engine_state(self) -> EngineState:
        whole, shown = self._feed, self._feed.shown
        follower = shown.venues.follower
        died = (
            shown.pid is None
            and shown.name.trading != "replay"  # which no engine of its own writes
            and ended_in_order(follower.mode, shown.ports.beat(), follower.in_force.since_ns) is False
        )
        return engine_state_of(
            shown.decided.last,
            follower.mode,
            latched=shown.latched is not None,
            runs=shown.pid is not None,
            exchanged=whole.exchanged,
            died=died,
        )

    def _at_ns(self) -> int:
        """Ages count up to now while an engine runs, else up to its end."""
        shown = self._feed.shown
        return shown.ports.now_ns() if shown.pid is not None else shown.venues.follower.now_ns

    def _venues_seen(self, now: float) -> VenuesSeen:
        if self._venues is None or now - self._venues.at_s >= _VENUES_S:
            shown = self._feed.shown
            at_ns, runs = self._at_ns(), shown.pid is not None
            document = shown.venues.document(at_ns, shown.ports.beat(), runs=runs)
            self._venues = VenuesSeen(now, at_ns, {"running": runs, **document})
        return self._venues

    def _facts(self, now: float, failed: list[str]) -> HeaderFacts:
        """failed: what of the screen could not be made; what of the venues cannot is added here."""
        whole, shown = self._feed, self._feed.shown
        at_ns, unaged = self._at_ns(), False
        told_ns = at_ns
        try:
            seen = self._venues_seen(now)
            told_ns, document = seen.at_ns, seen.document
        except Exception as error:  # what is told of orders, alerts and the engine does not hang on it
            failed.append(f"ages of the venues ({internal(error)})")
            document, unaged = {"venues": [], "engine": None}, True
        follower, engine_state, configuration = (
            shown.venues.follower,
            self._engine_state(),
            shown.configuration(),
        )
        oldest = [v["feed"]["oldest_held"] for v in document["venues"] if v["feed"]["oldest_held"]]
        known = [x for x in oldest if x["age_s"] is not None]
        worst = max(known, key=lambda x: float(x["age_s"]), default=None)
        if len(known) < len(oldest):
            worst = next(x for x in oldest if x["age_s"] is None)
        orders = shown.orders.as_known(restarted=shown.pid is None)
        live = [order for order in orders.values() if order.live]
        accounts = sorted({account for _, _, account in follower.book.positions} if follower.book else ())
        engine, unseen = document["engine"], shown.alerts.unseen(shown.acknowledged)
        # other ages stop with the engine; what the header says of the data must not look fresh for ever
        ended_s = max(shown.ports.now_ns() - told_ns, 0) / 1e9 if shown.pid is None else 0.0
        return HeaderFacts(
            trading=shown.name.trading,
            engine=shown.name.engine,
            engine_state=engine_state,
            pid=shown.pid,
            account=", ".join(a or "not named" for a in accounts) or "none",
            settings_sha256=follower.in_force.told,
            limits_sha256=configuration.limits_sha256 if configuration else "",
            record=shown.number,
            behind=max(whole.head - whole.number, 0),
            seq=follower.seq,
            lag_s=(shown.ports.now_ns() - follower.now_ns) / 1e9 if follower.now_ns else None,
            newest_s=(at_ns - follower.marked_ns) / 1e9 if follower.marked_ns else None,
            oldest_s=None if worst is None or worst["age_s"] is None else worst["age_s"] + ended_s,
            oldest_symbol="" if worst is None else worst["symbol"],
            beat_s=None if engine is None or shown.pid is None else engine["beat_s"],
            clock_s=None if engine is None else engine["clock_stepped_s"],
            unknown=sum(str(order.state) == "unknown" for order in live),
            working=len(live),
            critical=unseen["critical"],
            grave=shown.alerts.grave(shown.acknowledged),
            warnings=unseen["warning"],
            at_hand=not follower.in_force.of_run,
            untold=bool(follower.untold),
            unaged=unaged,
            failed=", ".join(failed),
            incomplete=len(texts(*_lacking(self._valued.snapshot))),
            fault=shown.fault or whole.fault,
            control=self._control,
            silent_s=0.0 if shown.kill_confirmed else whole.silent_s(),
            by_whom=_by_whom(engine_state, shown.latched, follower.pause, at_ns),
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


def _traded(preview: OnRecord | None, snapshot: Snapshot | None) -> float | None:
    """What the legs of the last preview trade, USD; None where it is not known."""
    if preview is None or snapshot is None:
        return None
    asked = preview.document["preview"]
    legs, spot = (asked["ticket"] or {}).get("legs", ()), {k: x for k, x in asked["indexes"] if x is not None}
    return legs_notional_usd(legs, snapshot.market.universe, spot)


def _quoted(preview: OnRecord | None, snapshot: Snapshot | None) -> tuple[tuple[str, int | None], ...]:
    """The legs of the last preview and when they were quoted last, UTC; nothing where no book is valued."""
    if preview is None or snapshot is None:
        return ()
    market, found = snapshot.market, list[tuple[str, int | None]]()
    for leg in (preview.document["preview"]["ticket"] or {}).get("legs", ()):
        at = market.universe.positions.get((leg["venue"], leg["symbol"]))
        quoted = at is not None and bool(market.quoted[at])
        found.append((leg["symbol"], int(market.venue_ns[at]) if quoted else None))
    return tuple(found)


def _words(text: str) -> Sheet:
    return (Section("", (), (Line("", (text,), Tone.WARN, (text,)),)),)
