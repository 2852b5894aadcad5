"""The file of hard limits: read, refused, written, compared; loosened only by a restart with a reason."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.cli import main
from hedger.config import load
from hedger.limits_file import (
    built_in,
    check_restart,
    default_text,
    limits_text,
    load_limits,
    read_limits,
)
from hedger.settings import Settings
from pricing.errors import Exit, HedgerError, InputError
from risk.limit_changes import Comparison, LoosenedError, check_change, compare, entries
from risk.limit_codes import Code
from risk.limit_terms import RETIRED, GreekLimits, Limits, OrderLimits, PermissionLimits, Term, Tighter


def written(tmp_path: Path, text: str, name: str = "limits.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def parsed(text: str) -> Limits:
    return read_limits(tomllib.loads(text), "limits.toml")


def test_without_a_file_the_built_in_limits_hold_and_say_so() -> None:
    loaded = load_limits(None)
    assert loaded == built_in()
    assert loaded.source == "built-in"
    assert loaded.limits == Limits()
    assert load_limits(Path("")) == loaded
    assert Settings().limits_file == ""


def test_the_hash_is_that_of_the_files_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, "[order]\nnotional_usd_max = 1e5\n")
    loaded = load_limits(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.limits.order.notional_usd_max == 1e5
    assert loaded.limits.order.coin_max == Limits().order.coin_max


def test_a_table_of_one_coin_is_filled_up_from_that_of_all() -> None:
    found = parsed('[greeks."*"]\ndelta_usd_max = 7\n[greeks.BTC]\nvega_usd_per_point_max = 3\n')
    assert found.greeks_of("ETH") == replace(GreekLimits(), delta_usd_max=7.0)
    assert found.greeks_of("BTC") == replace(GreekLimits(), delta_usd_max=7.0, vega_usd_per_point_max=3.0)


def test_the_printed_file_is_read_as_what_was_printed() -> None:
    assert parsed(default_text()) == Limits()
    own = parsed(
        '[permission]\nvenues = ["okx", "deribit"]\n'
        "[greeks.BTC]\ndelta_usd_max = 1\n[rate.deribit]\nburst = 3\n"
    )
    again = parsed(limits_text(own))
    assert compare(own, again).same
    assert again == own


def test_every_key_of_the_printed_file_is_commented() -> None:
    keys = [line for line in default_text().splitlines() if "=" in line and not line.startswith("#")]
    assert len(keys) == sum(1 for _ in entries(Limits()))
    assert [line for line in keys if "  # " not in line] == []


BAD = [
    ("[order]\nnotional_usd = 1", "LIMITS_UNKNOWN_KEY", "order.notional_usd"),
    ("[orders]\nnotional_usd_max = 1", "LIMITS_UNKNOWN_KEY", "orders"),
    ("[greeks.BTC]\ndelta = 1", "LIMITS_UNKNOWN_KEY", "greeks.BTC.delta"),
    ("order = 1", "LIMITS_INVALID", "key order"),
    ("greeks = 1", "LIMITS_INVALID", "key greeks"),
    ("[greeks]\nBTC = 1", "LIMITS_INVALID", "greeks.BTC"),
    ("[order]\nnotional_usd_max = -1", "LIMITS_INVALID", "order.notional_usd_max"),
    ("[order]\nnotional_usd_max = nan", "LIMITS_INVALID", "order.notional_usd_max"),
    ("[order]\nnotional_usd_max = inf", "LIMITS_INVALID", "order.notional_usd_max"),
    ("[order]\nnotional_usd_max = true", "LIMITS_INVALID", "order.notional_usd_max"),
    ('[order]\nnotional_usd_max = "1"', "LIMITS_INVALID", "order.notional_usd_max"),
    ("[order]\nnotional_usd_max = 1" + "0" * 400, "LIMITS_INVALID", "order.notional_usd_max"),
    ("[order]\nopen_max = 1.5", "LIMITS_INVALID", "order.open_max"),
    ("[margin]\ninitial_share_max = 1.01", "LIMITS_INVALID", "margin.initial_share_max"),
    ("[permission]\nvenues = 'deribit'", "LIMITS_INVALID", "permission.venues"),
    ("[permission]\nvenues = [1]", "LIMITS_INVALID", "permission.venues"),
    ("[permission]\nkinds = ['swap']", "LIMITS_INVALID", "permission.kinds"),
    ("[budget]\nafter = 'go on'", "LIMITS_INVALID", "budget.after"),
    ("[self_trade]\nprevention_required = 1", "LIMITS_INVALID", "self_trade.prevention_required"),
    ("[order\n", "LIMITS_SYNTAX", "limits.toml"),
    ("x = 1" + "0" * 5000, "LIMITS_SYNTAX", "limits.toml"),
    ("x = " + "[" * 5000, "LIMITS_SYNTAX", "limits.toml"),
]


@pytest.mark.parametrize(("text", "code", "where"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_a_bad_file_is_refused_by_its_key(tmp_path: Path, text: str, code: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        load_limits(written(tmp_path, text))
    assert caught.value.code == code
    assert where in caught.value.where
    assert caught.value.exit_code is Exit.INVALID
    assert len(str(caught.value)) < 2_000


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(InputError, match="LIMITS_UNREADABLE"):
            load_limits(path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="LIMITS_SYNTAX"):
        load_limits(tmp_path / "binary")
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    with pytest.raises(InputError, match="LIMITS_TOO_LARGE"):
        load_limits(tmp_path / "large")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = [f.name for f in fields(Limits)]


@given(st.dictionaries(st.sampled_from([*NAMES, "x"]), values | st.dictionaries(st.sampled_from(
    ["*", "delta_usd_max", "venues", "after", "burst", "BTC"]), values, max_size=3), max_size=4))  # fmt: skip
def test_any_tree_is_limits_or_an_error_that_names_a_key(tree: Mapping[str, Any]) -> None:
    try:
        found = read_limits(tree, "limits.toml")
    except InputError as error:
        assert error.code.startswith("LIMITS_")
        return
    assert parsed(limits_text(found)) == found


def test_a_retired_key_is_refused_for_ever() -> None:
    """The list is empty as yet; the rule is tried with one key in it."""
    assert set(RETIRED) & {key for key, *_ in entries(Limits())} == set()
    retired = {"order.size_max": "use order.notional_usd_max, which is in USD"}
    with pytest.raises(InputError, match=r"LIMITS_RETIRED_KEY.*order\.size_max.*use order\.notional_usd_max"):
        read_limits({"order": {"size_max": 5}}, "limits.toml", retired)
    assert read_limits({"order": {"coin_max": 5}}, "limits.toml", retired).order.coin_max == 5.0


# ------------------------------------------------------------------------------------------------ changes


def toml(section: str, key: str, value: str) -> Limits:
    return parsed(f"[{section}]\n{key} = {value}\n")


#: section, key, a tighter value, a looser one
ORDERED = [
    ("order", "notional_usd_max", "1.0", "1e9"),
    ("order", "open_max", "99", "101"),
    ("order", "duplicate_window_s", "0.6", "0.4"),
    ("calendar", "expiry_block_s", "1801", "1799"),
    ("rate.deribit", "cancel_reserve", "6", "4"),
    ("rate.deribit", "window_s", "61", "59"),
    ("hedge", "progress_share_min", "0.02", "0.0"),
    ("margin", "unproven_venues", "[]", '["okx"]'),
    ("permission", "venues", '["okx"]', '["*"]'),
    ("permission", "kinds", '["spot"]', '["spot", "option", "future", "perpetual"]'),
    ("permission", "denied_symbols", '["A"]', "[]"),
    ("budget", "after", '"stop"', '"reduce_only"'),
    ("self_trade", "prevention_required", "true", "false"),
    ("greeks.BTC", "delta_usd_max", "1", "1e12"),
]


@pytest.mark.parametrize(("section", "key", "tight", "loose"), ORDERED, ids=[x[1] for x in ORDERED])
def test_each_kind_of_key_has_a_tighter_side(section: str, key: str, tight: str, loose: str) -> None:
    tighter, looser = toml(section, key, tight), toml(section, key, loose)
    name = f"{section}.{key}"
    if tighter != looser:
        assert compare(looser, tighter) == Comparison((name,), ())
        assert compare(tighter, looser) == Comparison((), (name,))
    assert compare(tighter, tighter).same


def test_names_that_change_places_and_a_key_without_an_order_count_as_loosened() -> None:
    okx, deribit = (toml("permission", "venues", f'["{x}"]') for x in ("okx", "deribit"))
    assert compare(okx, deribit).loosened == ("permission.venues",)
    moved = toml("calendar", "settlement_s", "0")
    assert (
        compare(Limits(), moved).loosened == compare(moved, Limits()).loosened == ("calendar.settlement_s",)
    )


def test_a_table_taken_away_is_compared_with_what_then_holds() -> None:
    own = parsed("[greeks.BTC]\ndelta_usd_max = 5\n")
    assert compare(own, Limits()) == Comparison((), ("greeks.BTC.delta_usd_max",))
    same = parsed('[greeks."*"]\ndelta_usd_max = 5\n[greeks.BTC]\ndelta_usd_max = 5\n')
    assert compare(own, same) == Comparison(("greeks.*.delta_usd_max",), ())


NUMBERS = [(k, v, t) for k, v, t in entries(Limits()) if t.tighter in (Tighter.LOWER, Tighter.HIGHER)]


@given(st.sampled_from(NUMBERS), st.integers(0, 10**6), st.integers(0, 10**6))
def test_of_two_numbers_exactly_one_is_tighter(entry: tuple[str, Any, Term], a: int, b: int) -> None:
    key, value, term = entry
    section, name = key.rsplit(".", 1)
    if "*" in section:
        section = section.replace("*", '"*"')
    top = min(term.most, 1e6)
    scaled = [type(value)(x / 1e6 * top) for x in (a, b)]
    one, two = (toml(section, name, str(x)) for x in scaled)
    there, back = compare(one, two), compare(two, one)
    assert (there.tightened, there.loosened) == (back.loosened, back.tightened)
    assert there.same == (scaled[0] == scaled[1])
    assert len(there.tightened) + len(there.loosened) <= 1


def test_only_a_restart_with_a_reason_loosens() -> None:
    tight, wide = replace(Limits(), order=OrderLimits(notional_usd_max=1.0)), Limits()
    for restart, reason in (
        (False, "a larger book since Monday"),
        (True, ""),
        (True, "  ok    "),
        (False, ""),
    ):
        with pytest.raises(LoosenedError) as caught:
            check_change(tight, wide, restart=restart, reason=reason)
        assert caught.value.exit_code is Exit.REFUSED
        assert "order.notional_usd_max" in str(caught.value)
    found = check_change(tight, wide, restart=True, reason="a larger book since Monday")
    assert found.loosened == ("order.notional_usd_max",)


def test_a_restart_is_compared_with_what_the_journal_says(tmp_path: Path) -> None:
    old = limits_text(Limits())
    path = written(tmp_path, "[order]\nnotional_usd_max = 7e6\ncoin_max = 2000\n[age]\nbook_s_max = 5\n")
    loose = load_limits(path)
    with pytest.raises(LoosenedError) as refused:
        check_restart(old, loose, "")
    error = refused.value
    assert error.exit_code is Exit.REFUSED
    assert "order.notional_usd_max 5000000 -> 7000000" in error.text()
    assert "order.coin_max 1000 -> 2000" in error.text()
    assert "age.book_s_max" not in error.text()
    assert "nothing was started" in error.text()
    assert "--reason" in error.text()
    found = check_restart(old, loose, "larger book since May")
    assert found == Comparison(("age.book_s_max",), ("order.coin_max", "order.notional_usd_max"))
    assert check_restart(limits_text(loose.limits), loose, "") == Comparison((), ())
    assert check_restart(None, loose, "") is None  # never started before


@pytest.mark.parametrize("then", ["", "[gone]\nkey = 1\n", "no toml", "[order]\ncoin_max = 'x'\n"])
def test_limits_that_cannot_be_compared_need_a_reason(then: str) -> None:
    with pytest.raises(LoosenedError, match="LIMITS_NOT_COMPARABLE") as refused:
        check_restart(then, built_in(), "because")
    assert refused.value.exit_code is Exit.REFUSED
    assert check_restart(then, built_in(), "after the upgrade") is None


def test_every_reason_code_is_printed_with_its_control(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["limits", "codes", "--json"]) == Exit.DONE
    rows = json.loads(capsys.readouterr().out)
    assert [row["code"] for row in rows] == [code.name for code in Code]
    assert {row["control"] for row in rows} == {f"C{i}" for i in range(21)}
    assert all(row["what"] and row["fix"] for row in rows)
    assert main(["limits", "codes"]) == Exit.DONE
    assert capsys.readouterr().out.count("\n") == len(rows)


def test_tightening_needs_nobody() -> None:
    wide = Limits()
    tight = replace(wide, permission=PermissionLimits(venues=frozenset({"okx"})))
    assert check_change(wide, tight, restart=False, reason="").tightened == ("permission.venues",)


def test_one_loosened_key_among_many_tightened_is_enough() -> None:
    new = replace(Limits(), order=OrderLimits(notional_usd_max=1.0, coin_max=2_000.0))
    with pytest.raises(LoosenedError, match=r"order\.coin_max"):
        check_change(Limits(), new, restart=False, reason="")


# --------------------------------------------------------------------------------------------------- verbs


def test_show_prints_the_default_which_is_a_valid_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["limits", "show"]) == 0
    text = capsys.readouterr().out
    assert text == default_text()
    path = written(tmp_path, text)
    assert main(["limits", "validate", str(path)]) == 0
    assert main(["limits", "compare", str(path), str(path)]) == 0
    assert capsys.readouterr().out == "valid\nthe same limits\n"


def test_show_takes_the_file_that_the_settings_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "[order]\ncoin_max = 3\n")
    config = written(tmp_path, 'limits_file = "limits.toml"\n', "config.toml")
    assert load(config).settings.limits_file == "limits.toml"
    assert main(["limits", "show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["limits"]["order.coin_max"] == 3.0
    assert document["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert main(["limits", "show", "--file", str(path)]) == 0
    assert parsed(capsys.readouterr().out).order.coin_max == 3.0


def test_validate_and_compare_say_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = written(tmp_path, "[order]\nnotional = 1\n", "bad.toml")
    assert main(["limits", "validate", str(bad), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is False
    assert "order.notional" in document["fault"]
    assert main(["limits", "validate", str(tmp_path / "absent.toml")]) == 2
    capsys.readouterr()
    one = written(tmp_path, "[order]\ncoin_max = 3\nopen_max = 9\n", "one.toml")
    two = written(tmp_path, "[order]\ncoin_max = 4\nopen_max = 8\n", "two.toml")
    assert main(["limits", "compare", str(one), str(two), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "tightened": ["order.open_max"],
        "loosened": ["order.coin_max"],
    }
    assert main(["limits", "compare", str(two), str(one)]) == 1
    assert capsys.readouterr().out.split() == ["tightened", "order.coin_max", "loosened", "order.open_max"]


def test_a_name_that_needs_quotes_is_written_with_them() -> None:
    odd = read_limits({"greeks": {'a "b".c': {"delta_usd_max": 1}}}, "tree")
    assert parsed(limits_text(odd)) == odd


def test_limits_error_is_one_a_person_can_mend() -> None:
    assert issubclass(LoosenedError, HedgerError)
