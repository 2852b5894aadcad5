"""Settings and hard limits that cannot both hold are refused at the start, with both keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hedger.cli import main
from hedger.core.events import Command, Verb
from hedger.core.reload import UNREADABLE
from hedger.engine.reloading import read_again
from hedger.limits_file import LoadedLimits, built_in, read_limits
from hedger.runs.agreement import agreed, check_market, clashes, taken
from hedger.settings import Settings
from pricing.errors import Exit, InputError
from pricing.market import Market
from risk.limit_terms import Limits
from venues.simulated import SimulatedMarket

Tree = dict[str, Any]


def found(settings: Tree, limits: Tree, *, tape: bool = False) -> list[tuple[str, str]]:
    """(key of the settings, key of the limits) of every clash."""
    pairs = clashes(Settings.model_validate(settings), read_limits(limits, "limits.toml"), tape=tape)
    return [(clash.key, clash.limit) for clash in pairs]


def test_the_defaults_agree() -> None:
    assert found({}, {}) == found({}, {}, tape=True) == []


#: What clashes, by how little, and which keys say so: settings and limits on the edge, and one step beyond.
EDGES: list[tuple[str, Tree, Tree, Tree, Tree]] = [
    (
        "execution.touch_limit_bps / price.through_touch_bps_max",
        {"execution": {"touch_limit_bps": 20.0}},
        {"price": {"through_touch_bps_max": 20.0}},
        {"execution": {"touch_limit_bps": 20.1}},
        {"price": {"through_touch_bps_max": 20.0}},
    ),
    (
        "execution.touch_limit_bps / price.mid_bps_max",
        {},
        {"price": {"mid_bps_max": 50.0}},
        {},
        {"price": {"mid_bps_max": 49.0}},
    ),
    (
        "execution.touch_limit_bps / price.index_bps_max",
        {},
        {"price": {"index_bps_max": 50.0}},
        {},
        {"price": {"index_bps_max": 49.0}},
    ),
    (
        "execution.touch_limit_bps / price.last_fill_bps_max",
        {},
        {"price": {"last_fill_bps_max": 50.0}},
        {},
        {"price": {"last_fill_bps_max": 49.0}},
    ),
    (
        "execution.slice_interval_s / order.duplicate_window_s",
        {"execution": {"slice_interval_s": 0.5}},
        {},
        {"execution": {"slice_interval_s": 0.49}},
        {},
    ),
    (
        "execution.repeg_interval_s / order.duplicate_window_s",
        {"execution": {"passive_seconds": 3.0, "urgency": 1.0, "repeg_interval_s": 0.3}},  # it never rests
        {},
        {"execution": {"passive_seconds": 3.0, "urgency": 0.5, "repeg_interval_s": 0.3}},
        {},
    ),
    (
        "execution.slice_interval_s / rate.*.messages_max",
        {},
        {"rate": {"*": {"messages_max": 60, "window_s": 60.0}}},
        {},
        {"rate": {"*": {"messages_max": 59, "window_s": 60.0}}},
    ),
    (
        "execution.watch.order_age_s_max / order.age_s_max",
        {},
        {"order": {"age_s_max": 60.0}},
        {},
        {"order": {"age_s_max": 59.0}},
    ),
    (
        "execution.passive_seconds / order.age_s_max",
        {"execution": {"passive_seconds": 100.0, "urgency": 0.4}},
        {"order": {"age_s_max": 60.0}},
        {"execution": {"passive_seconds": 100.0, "urgency": 0.3}},
        {"order": {"age_s_max": 60.0}},
    ),
    (
        "execution.reconcile.every_s / age.positions_s_max",
        {"execution": {"reconcile": {"every_s": 120.0}}},
        {},
        {"execution": {"reconcile": {"every_s": 121.0}}},
        {},
    ),
    (
        "run.mark_every_s / age.book_s_max",
        {"run": {"mark_every_s": 10.0}},
        {},
        {"run": {"mark_every_s": 10.5}},
        {},
    ),
    (
        "paper.feed_ms / age.book_s_max",
        {"paper": {"feed_ms": 10_000.0}},
        {},
        {"paper": {"feed_ms": 10_001.0}},
        {},
    ),
    (
        "bands.BTC.delta_usd / greeks.*.delta_usd_max",
        {"bands": {"BTC": {"delta_usd": {"target": 100, "trigger": [-20, 20], "landing": [-10, 10]}}}},
        {"greeks": {"*": {"delta_usd_max": 90.0}}},
        {"bands": {"BTC": {"delta_usd": {"target": 101, "trigger": [-20, 20], "landing": [-10, 10]}}}},
        {"greeks": {"*": {"delta_usd_max": 90.0}}},
    ),
    (
        "universe / permission.kinds",
        {"universe": {"deny_buy": {"kinds": ["option"]}, "deny_sell": {"kinds": ["option"]}}},
        {"permission": {"kinds": ["spot", "perpetual", "future"]}},
        {"universe": {"deny_buy": {"kinds": ["option"]}}},
        {"permission": {"kinds": ["spot", "perpetual", "future"]}},
    ),
    (
        "universe / permission.denied_symbols",
        {"universe": {"allow_buy": {"symbols": ["X"]}, "allow_sell": {"symbols": ["X"]}}},
        {"permission": {"denied_symbols": ["Y"]}},
        {"universe": {"allow_buy": {"symbols": ["X"]}}},
        {"permission": {"denied_symbols": ["Y"]}},
    ),
    (
        "universe / permission.venues",
        {"run": {"feed": ["deribit"]}},
        {"permission": {"venues": ["deribit"]}},
        {"run": {"feed": ["deribit"]}},
        {"permission": {"venues": ["okx"]}},
    ),
    (
        " / order.notional_usd_max",
        {},
        {"order": {"notional_usd_max": 1.0}},
        {},
        {"order": {"notional_usd_max": 0.0}},
    ),
    (" / order.coin_max", {}, {"order": {"coin_max": 0.1}}, {}, {"order": {"coin_max": 0.0}}),
    (" / order.open_max", {}, {"order": {"open_max": 1}}, {}, {"order": {"open_max": 0}}),
    (" / order.open_venue_max", {}, {"order": {"open_venue_max": 1}}, {}, {"order": {"open_venue_max": 0}}),
    (" / repeat.fruitless_max", {}, {"repeat": {"fruitless_max": 1}}, {}, {"repeat": {"fruitless_max": 0}}),
    (
        " / rate.okx.burst",
        {},
        {"rate": {"okx": {"burst": 6, "cancel_reserve": 5}}},
        {},
        {"rate": {"okx": {"burst": 5, "cancel_reserve": 5}}},
    ),
    (
        " / rate.*.messages_max",
        {},
        {"rate": {"*": {"messages_max": 60}}},
        {},
        {"rate": {"*": {"messages_max": 0}}},
    ),
    (
        " / calendar.settlement_block_s",
        {},
        {"calendar": {"settlement_block_s": 43_199.0}},
        {},
        {"calendar": {"settlement_block_s": 43_200.0}},
    ),
]


@pytest.mark.parametrize(("keys", "ok", "ok_limits", "bad", "bad_limits"), EDGES, ids=[x[0] for x in EDGES])
def test_each_pair_at_its_edge_and_beyond(
    keys: str, ok: Tree, ok_limits: Tree, bad: Tree, bad_limits: Tree
) -> None:
    assert found(ok, ok_limits) == []
    key, limit = keys.split(" / ")
    assert found(bad, bad_limits)[0] == (key, limit)


def test_ages_of_the_limits_are_not_those_of_a_tape() -> None:
    slow = {"run": {"mark_every_s": 20.0}, "paper": {"feed_ms": 20_000.0}}
    assert len(found(slow, {})) == 2 and found(slow, {}, tape=True) == []


def test_a_market_that_cannot_meet_a_limit_of_size_or_depth() -> None:
    """The perpetual's order unit is a dollar, so what it shows needs no price."""
    source = SimulatedMarket(7)
    market = Market.empty(source.universe).apply(source.marks())
    shown = float(market.ask_size[market.universe.positions["simulated", "BTC-PERPETUAL"]])
    assert shown > 1e4

    def limits(**tables: Tree) -> LoadedLimits:
        return LoadedLimits(read_limits(tables, "limits.toml"), "limits.toml", "")

    check_market(market, Settings(), built_in())
    check_market(market, Settings(), limits(book={"depth_usd_min": shown / 2}))
    for key, tables in (
        ("book.depth_usd_min", {"book": {"depth_usd_min": 1e12}}),
        ("order.notional_usd_max", {"order": {"notional_usd_max": 1e-9}}),
        ("order.coin_max", {"order": {"coin_max": 1e-9}}),
    ):
        with pytest.raises(InputError, match="LIMITS_CLASH") as refused:
            check_market(market, Settings(), limits(**tables))
        assert f"limits.toml, key {key}" in refused.value.text()


# ------------------------------------------------------------------------------------------- by the command


@pytest.mark.parametrize("verb", ["run", "replay"])
def test_a_start_is_refused_before_anything_is_written(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, limits, journal = tmp_path / "desk.toml", tmp_path / "limits.toml", tmp_path / "j"
    limits.write_text("[order]\nduplicate_window_s = 2.0\n")
    config.write_text(f'limits_file = "{limits}"\n[execution]\nslice_interval_s = 1.5\n')
    more = ["--no-watchdog"] if verb == "run" else [str(tmp_path), "--book", str(tmp_path / "b.csv")]
    code = main([verb, *more, "--journal", str(journal), "--config", str(config)])
    told = capsys.readouterr()
    assert code == Exit.INVALID and told.out == "" and not journal.exists()
    assert told.err.startswith("LIMITS_CLASH: ") and "Traceback" not in told.err
    assert f"{config}, key execution.slice_interval_s" in told.err
    assert f"{limits}, key order.duplicate_window_s" in told.err
    assert "observed: 1.5 s, the limit 2 s" in told.err and "at least 2 s" in told.err
    assert "nothing was started" in told.err


def test_validate_says_so_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "desk.toml"
    config.write_text("[execution]\ntouch_limit_bps = 51.0\n")
    assert main(["config", "validate", "--json", "--config", str(config)]) == Exit.NEGATIVE
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is False and document["fault"].startswith("LIMITS_CLASH")


def test_a_reload_that_would_clash_is_refused_and_on_record(tmp_path: Path) -> None:
    """The limits of a running engine stand: settings that they would refuse every order of do not come in."""
    config = tmp_path / "config.toml"
    config.write_text("[execution]\ntouch_limit_bps = 51.0\n")

    def prepared(settings: Settings) -> Settings:
        return taken(built_in(), settings)

    asked = read_again(config, prepared, Command("1", Verb.RELOAD, "desk", "wider", ""), Settings())
    assert "LIMITS_CLASH" in json.loads(asked.argument)[UNREADABLE]
    config.write_text("[execution]\ntouch_limit_bps = 49.0\n")
    asked = read_again(config, prepared, Command("2", Verb.RELOAD, "desk", "closer", ""), Settings())
    assert json.loads(asked.argument) == {"execution": {"touch_limit_bps": 49.0}}


def test_agreed_gives_the_settings_back() -> None:
    settings = Settings()
    assert agreed(settings, LoadedLimits(Limits(), "built-in", "")) is settings


@pytest.mark.parametrize(
    ("limit_s", "stall_s", "refused"),
    [(1.0, 5.0, False), (1.26, 5.0, True), (1.26, 0.0, False), (0.5, 3.0, False)],
)
def test_a_solver_that_could_outlast_the_watchdog_is_refused(
    limit_s: float, stall_s: float, refused: bool
) -> None:
    """A plan is 2.5 times the limit of work, and 1.5 times of clock: 1.26 s make 5.04."""
    stall = {"watchdog": {"stall_s_max": stall_s}}
    settings = Settings.model_validate({"solver": {"time_limit_s": limit_s}, "run": stall})
    limits = LoadedLimits(Limits(), "built-in", "")
    if refused:
        with pytest.raises(InputError, match="SOLVER_TOO_LONG") as raised:
            agreed(settings, limits)
        assert "key solver.time_limit_s" in raised.value.text()
        assert "run.watchdog.stall_s_max = 5 s" in raised.value.text()
    else:
        assert agreed(settings, limits) is settings
    assert agreed(settings, limits, tape=True) is settings  # of a tape nobody watches
