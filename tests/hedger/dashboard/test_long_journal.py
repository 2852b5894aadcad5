"""A long journal: what is held and out is right at once, from its end; what needs all of it says so."""

from __future__ import annotations

import math
from pathlib import Path

from hedger.core.events import Verb
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.problem.snapshot import Snapshot
from tests.hedger.dashboard.made import HALF_S, Recorded, lived
from tests.hedger.rig import desk

#: Panels that the end of a journal is enough for, and those that need all of it.
OF_THE_END = (Panel.RISK, Panel.HEDGE, Panel.WHAT_IF, Panel.ORDERS)
OF_ALL = (Panel.PNL, Panel.VENUES, Panel.ALERTS)


def long_journal(path: Path) -> Recorded:
    """A life with fills, a command's bands and an order of unknown fate, and a quiet quarter of an hour."""
    rig = lived(path)
    for _ in range(12):
        rig.mark(60.0)
    return rig


def whole(feed: Feed) -> Feed:
    while True:
        feed.step()
        if feed.caught_up:
            return feed


def test_the_end_shows_what_the_whole_shows(tmp_path: Path) -> None:
    rig = long_journal(tmp_path / "j")
    rig.command(Verb.PREVIEW, "")
    rig.journal.close()
    now_ns = rig.now_ns + HALF_S
    all_of_it = whole(Feed(tmp_path / "j", desk(), Ports(lambda: now_ns)))
    begin = all_of_it.number - 15
    quick = whole(Feed(tmp_path / "j", desk(), Ports(lambda: now_ns), begin=begin))
    assert quick.number == all_of_it.number
    assert quick.follower.book == all_of_it.follower.book
    assert quick.follower.overrides == all_of_it.follower.overrides != {}
    assert quick.orders.orders == all_of_it.orders.orders
    assert any(str(order.state) == "unknown" for order in quick.orders.orders.values())
    for panel in OF_THE_END:
        one, other = (Painter(feed, control=False).frame(Want(panel)).sheet for feed in (quick, all_of_it))
        if panel is Panel.HEDGE:  # what was decided and asked before the end is not told
            one, other = one[1:3], other[1:3]
        if panel is Panel.WHAT_IF:  # how long it took stands in the first title
            one, other = one[1:], other[1:]
        assert one == other and one, panel


def test_what_needs_the_whole_waits_for_it_and_then_the_end_is_let_go(tmp_path: Path) -> None:
    rig = long_journal(tmp_path / "j")
    rig.journal.close()
    feed = Feed(tmp_path / "j", desk(), Ports(lambda: rig.now_ns + HALF_S), long=10)
    feed.head = feed._storage.head().number
    feed.quick = whole(Feed(tmp_path / "j", desk(), feed.ports, begin=feed._end()))
    painter = Painter(feed, control=False)
    for panel in OF_ALL:
        (section,) = painter.frame(Want(panel)).sheet
        assert section.lines[0].cells[0] == f"reading the journal: {feed.head} records to go"
    frame = painter.frame(Want(Panel.RISK))
    assert frame.facts.behind == feed.head and frame.facts.unknown == 1
    assert frame.bands["delta:BTC"]["trigger"] == [-0.05, 0.05]
    whole(feed)
    assert feed.quick is None and feed.shown is feed
    for panel in OF_ALL:
        assert "records to go" not in str(Painter(feed, control=False).frame(Want(panel)).sheet)


def test_the_end_begins_where_quotes_still_count(tmp_path: Path) -> None:
    rig = long_journal(tmp_path / "j")
    rig.journal.close()
    feed = Feed(tmp_path / "j", desk(), Ports(lambda: rig.now_ns), long=10)
    feed.step()
    assert feed._end() == 1  # shorter than what the end is at least
    records = list(feed._storage.records())
    begin = feed._end(least=3)
    since_ns = records[-1].now_ns - round((desk().age_s_max + 60.0) * 1e9)
    assert records[begin - 1].now_ns >= since_ns > records[begin - 2].now_ns
    assert feed._end(least=len(records) - begin + 5) == begin - 5


def test_a_preview_is_judged_by_the_prices_of_now_whatever_panel_is_in_sight(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    feed = Feed(tmp_path / "j", desk(), Ports(lambda: rig.now_ns))
    painter = Painter(whole(feed), control=True)
    old = painter.frame(Want(Panel.RISK))
    rig.mark(30.0)
    whole(feed)
    for panel in (Panel.PNL, Panel.VENUES, Panel.ORDERS, Panel.ALERTS):
        painter._valued_at = -math.inf  # as half a second later
        now = painter.frame(Want(panel))
        assert now.marked_ns == rig.now_ns > old.marked_ns
        assert now.indexes == dict(follower_snapshot(feed).spot) != old.indexes
        assert now.bands["delta:BTC"]["value"] != old.bands["delta:BTC"]["value"]
    # and what cannot be valued any more is no price: a hedge is not sent on it
    feed.follower.marked_ns, feed.number = 0, feed.number + 1
    painter._valued_at = -math.inf
    gone = painter.frame(Want(Panel.ORDERS))
    assert gone.indexes == {} and gone.marked_ns == 0
    rig.journal.close()


def follower_snapshot(feed: Feed) -> Snapshot:
    found = feed.follower.snapshot()
    assert found is not None
    return found
