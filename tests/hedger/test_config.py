"""config.toml, environment and command line: one merged result, each value with its origin."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.config import CONFIG_BYTES_MAX, load, origins
from hedger.settings import Settings
from pricing.errors import InputError
from pricing.valuation import Numeraire
from tests.hedger.command_line import hedger, refused, strict_json

REPOSITORY = Path(__file__).resolve().parents[2] / "config.toml"


def config(folder: Path, text: str | bytes, name: str = "desk.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_repositorys_file_holds_the_built_in_defaults() -> None:
    loaded = load(REPOSITORY, env={})
    assert loaded.settings == Settings()
    tree = tomllib.loads(REPOSITORY.read_text("utf-8"))
    assert set(tree) == set(Settings.model_fields) - {
        "venues",  # in a comment: no account is anybody's default
        "fees",
    }  # fees: in a comment, since there is no default tier


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert not (tmp_path / "config.toml").exists()
    loaded = load(None, env={})
    assert loaded.settings == Settings()
    assert {origin for _, _, origin in origins(loaded)} == {"default"}


def test_the_file_in_the_folder_is_read_unless_another_is_named(tmp_path: Path) -> None:
    config(tmp_path, "age_s_max = 30", "config.toml")
    assert load(None, env={}).settings.age_s_max == 30.0
    assert load(config(tmp_path, "age_s_max = 40"), env={}).settings.age_s_max == 40.0


def test_command_line_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = config(tmp_path, 'numeraire = "USD"\nage_s_max = 1\ngamma_days_min = 3\n[solver]\ngap = 0.1\n')
    env = {"HEDGER__NUMERAIRE": "USD", "HEDGER__AGE_S_MAX": "2", "HEDGER__SOLVER__GAP": "0.01", "PATH": "x"}
    loaded = load(path, {"numeraire": "coin"}, env)
    assert loaded.settings.numeraire is Numeraire.COIN
    assert (loaded.settings.age_s_max, loaded.settings.solver.gap) == (2.0, 0.01)
    found = {key: origin for key, _, origin in origins(loaded)}
    assert found["numeraire"] == "command line"
    assert found["age_s_max"] == "environment HEDGER__AGE_S_MAX"
    assert found["solver.gap"] == "environment HEDGER__SOLVER__GAP"
    assert found["gamma_days_min"] == str(path)
    assert found["solver.columns"] == found["bands.*.delta_usd.trigger"] == "default"


def test_a_section_from_the_environment_replaces_the_files(tmp_path: Path) -> None:
    path = config(tmp_path, "[bands.BTC]\ndelta_usd = {trigger = [-9, 9], landing = [-1, 1]}\n")
    env = {
        "HEDGER__BANDS__BTC": json.dumps({"delta_usd": {"trigger": {"lower": -5}, "landing": {"lower": -2}}}),
        "HEDGER__UNIVERSE__DENY_SELL__KINDS": '["spot"]',
        "HEDGER__FEES__DERIBIT__OPTION__TAKER": "0.0002",
    }
    loaded = load(path, env=env)
    spec = loaded.settings.bands_of("BTC").delta_usd
    assert spec is not None
    assert (spec.trigger, spec.landing) == ((-5.0, math.inf), (-2.0, math.inf))
    found = {key: (value, origin) for key, value, origin in origins(loaded)}
    assert found["bands.BTC.delta_usd.trigger"] == ([-5.0, None], "environment HEDGER__BANDS__BTC")
    assert found["universe.deny_sell.kinds"] == (["spot"], "environment HEDGER__UNIVERSE__DENY_SELL__KINDS")
    assert found["fees.deribit.option.taker"][0] == "0.0002"
    assert "bands.BTC.vega_usd_per_point" not in found  # it inherits: null would say it has none


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("age_max = 1", "CONFIG_UNKNOWN_KEY", "key age_max"),
        ("[solver]\ngab = 1", "CONFIG_UNKNOWN_KEY", "key solver.gab"),
        ("[bands.BTC]\ndelta = 1", "CONFIG_UNKNOWN_KEY", "key bands.BTC.delta"),
        ('age_s_max = "600"', "CONFIG_INVALID", "key age_s_max"),
        ("age_s_max = true", "CONFIG_INVALID", "observed: True"),
        ("age_s_max = 1979-05-27", "CONFIG_INVALID", "key age_s_max"),
        ("age_s_max = -1", "CONFIG_INVALID", "allowed: Input should be greater than 0"),
        ("age_s_max = nan", "CONFIG_INVALID", "observed: nan"),
        ("solver = 3", "CONFIG_INVALID", "key solver"),
        ("[solver]\ngap = 2\ncolumns = 0", "CONFIG_INVALID", "1 more fault"),
        ("[missing]\nvol_min = 5", "CONFIG_INVALID", "vol_min 5 must not exceed vol_max 3"),
        (
            "bands = {BTC = {delta_usd = {trigger = [-1, 1], landing = [-1, 1]}}}",
            "CONFIG_INVALID",
            "inside trigger",
        ),
        ("age_s_max = 1\nage_s_max = 2\n", "CONFIG_SYNTAX", "line 2"),
        ("age_s_max = \n", "CONFIG_SYNTAX", "line 1"),
        ("a" * 5_000 + "\n", "CONFIG_SYNTAX", "line 1"),
        ("age_s_max = " + "9" * 5_000, "CONFIG_SYNTAX", "4300 digits"),
        ("a = " + "[" * 5_000, "CONFIG_SYNTAX", "desk.toml"),
        (b"\xff\xfe\x00", "CONFIG_UNREADABLE", "desk.toml"),
        (b"# " + b"x" * CONFIG_BYTES_MAX, "CONFIG_TOO_LARGE", "desk.toml"),
    ],
)
def test_a_bad_file_is_refused_with_key_value_and_remedy(
    text: str | bytes, code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, text)
    assert said in refused(hedger(capsys, "config", "show", "--config", path), code)
    # and the same by the verbs that trade on it, before they look at anything else
    refused(hedger(capsys, "plan", "--config", path, "--book", "none", "--market", "none", "--json"), code)


def test_a_place_without_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        refused(hedger(capsys, "config", "show", "--config", path), "CONFIG_UNREADABLE")
    sparse = tmp_path / "sparse.toml"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
    refused(hedger(capsys, "config", "show", "--config", sparse), "CONFIG_TOO_LARGE")
    refused(hedger(capsys, "config", "show", "--config", "/dev/zero"), "CONFIG_TOO_LARGE")


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_windows_files_are_read(start: bytes, end: bytes, tmp_path: Path) -> None:
    path = config(tmp_path, start + end.join([b"age_s_max = 1", b"[solver]", b"gap = 0.5", b""]))
    assert load(path, env={}).settings.solver.gap == 0.5


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"HEDGER__AGE_S_MAX": "ten"}, "CONFIG_INVALID"),
        ({"HEDGER__AGE_S_MAX": "NaN"}, "CONFIG_INVALID"),
        ({"HEDGER__AGE_S_MAX": "1e400"}, "CONFIG_INVALID"),
        ({"HEDGER__AGE_S_MAX": "9" * 5_000}, "CONFIG_INVALID"),
        ({"HEDGER__SOLVER": "[" * 100_000}, "CONFIG_INVALID"),
        ({"HEDGER__AGE_S_MAX__X": "1"}, "CONFIG_INVALID"),
        ({"HEDGER__": "1"}, "CONFIG_UNKNOWN_KEY"),
        ({"HEDGER__SOLVER__GAB": "1"}, "CONFIG_UNKNOWN_KEY"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_variable_is_named(env: dict[str, str], code: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(config(tmp_path, "age_s_max = 5"), env=env)
    assert caught.value.code == code
    assert next(iter(env)) in str(caught.value)


keys = st.sampled_from([*Settings.model_fields, "*", "BTC", "delta_usd", "trigger", "landing", "gap", "x y"])
values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats().map(lambda x: repr(x).replace("e+", "e"))
    | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5).map(
        json.dumps
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.lists(st.tuples(st.lists(keys, min_size=1, max_size=4), values), max_size=5), st.binary(max_size=4))
def test_any_file_is_settings_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[list[str], Any]], junk: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    text = "\n".join(f"{'.'.join(json.dumps(k) for k in key)} = {_toml(value)}" for key, value in lines)
    for content in (text.encode(), text.encode() + junk, junk):
        path.write_bytes(content)
        try:
            loaded = load(path, env={})
        except InputError as error:
            assert str(path) in str(error)
        else:
            strict_json(json.dumps([value for _, value, _ in origins(loaded)], allow_nan=False))


# -------------------------------------------------------------------------------------------------- the verbs


def test_show_prints_every_value_with_its_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, "[bands.ETH]\ndelta_usd = {trigger = {upper = 4}, landing = {upper = 2}}\n")
    ran = hedger(capsys, "config", "show", "--config", path, "--json")
    assert ran.code == 0
    rows = {row["key"]: row for row in ran.json}
    assert all(set(row) == {"key", "value", "origin"} for row in ran.json)
    assert rows["bands.ETH.delta_usd.trigger"] == {
        "key": "bands.ETH.delta_usd.trigger",
        "value": [None, 4.0],
        "origin": str(path),
    }
    assert rows["solver.gap"] == {"key": "solver.gap", "value": 1e-3, "origin": "default"}
    assert rows["numeraire"]["value"] == "USD"
    text = hedger(capsys, "config", "show", "--config", path).out
    assert f"bands.ETH.delta_usd.trigger = [null, 4.0]    # {path}" in text.splitlines()
    assert len(text.splitlines()) == len(rows)


def test_validate_says_that_no_table_of_a_venue_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    okx = config(tmp_path, 'run.feed = ["okx"]\npaper.margin = "standard"')
    ran = hedger(capsys, "config", "validate", "--config", okx)
    assert (ran.code, ran.out) == (0, "valid\n") and "no table of okx is known" in ran.err
    here = config(tmp_path, 'paper.margin = "standard"', "simulated.toml")
    assert hedger(capsys, "config", "validate", "--config", here).err == ""


def test_validate_tells_valid_from_invalid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = config(tmp_path, "age_s_max = 1"), config(tmp_path, "age_s_max = 0", "bad.toml")
    assert hedger(capsys, "config", "validate", "--config", good).out == "valid\n"
    assert hedger(capsys, "config", "validate", "--config", good, "--json").json == {
        "valid": True,
        "fault": None,
    }
    ran = hedger(capsys, "config", "validate", "--config", bad, "--json")
    assert ran.code == 1
    assert ran.json["valid"] is False
    assert ran.json["fault"].startswith("CONFIG_INVALID: ")
    assert hedger(capsys, "config", "validate", "--config", bad).code == 1
    refused(hedger(capsys, "config", "validate", "--config", tmp_path / "none"), "CONFIG_UNREADABLE")


def test_the_schema_describes_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    schema = hedger(capsys, "config", "schema", "--json").json
    assert schema == strict_json(hedger(capsys, "config", "schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    tree = tomllib.loads(REPOSITORY.read_text("utf-8"))
    assert faults(tree, schema, schema) == []
    tree["bands"]["BTC"] = {"delta_usd": {"trigger": {"lower": -1}, "landing": {"lower": -0.5}}}
    tree["fees"] = {"deribit": {"option": {"maker": "0.0001", "taker": 0.0003}}}
    assert faults(tree, schema, schema) == []
    for wrong in (
        {"age_s_max": "600"},
        {"age_s_max": 0},
        {"other": 1},
        {"solver": {"columns": 1.5}},
        {"numeraire": "EUR"},
        {"bands": {"*": {"delta_usd": {"trigger": [1], "landing": [0, 0]}}}},
        {"bands": {"*": {"delta_usd": {"trigger": {"low": 1}, "landing": [0, 0]}}}},
        {"universe": {"deny_buy": {"kinds": ["swap"]}}},
    ):
        assert faults(wrong, schema, schema), wrong


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "properties", "required",
    "additionalProperties", "propertyNames", "anyOf", "enum", "const", "items", "prefixItems", "minItems",
    "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern",
}  # fmt: skip


def faults(value: Any, schema: Any, root: Any) -> list[str]:
    """What a JSON Schema finds wrong with a value: as much of the standard as the house's schema uses."""
    if schema is True:
        return []
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in schema and all(faults(value, option, root) for option in schema["anyOf"]):
        return [f"{value!r}: none of the alternatives"]
    if "type" in schema:
        wanted = TYPES[schema["type"]]
        if not isinstance(value, wanted) or (isinstance(value, bool) and schema["type"] != "boolean"):
            return [f"{value!r} is no {schema['type']}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{value!r} is not among {schema['enum']}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, above = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)
        high, below = schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf)
        if not (low <= value <= high) or value <= above or value >= below:
            found.append(f"{value!r} is out of range")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            found.append(f"{value!r} has the wrong length")
        firsts = schema.get("prefixItems", [])
        rest = [schema["items"]] * (len(value) - len(firsts)) if "items" in schema else []
        for item, inner in zip(value, [*firsts, *rest], strict=False):
            found += faults(item, inner, root)
    if isinstance(value, dict):
        found += [f"{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
            found += [f"{name} is unknown"] if inner is False else faults(item, inner, root)
    return found
