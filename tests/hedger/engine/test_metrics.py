"""The list of metrics, the page, the dashboard and the rules speak of the same metrics."""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hedger.core.glance import Glance
from hedger.core.state import Mode
from hedger.desk.alert_kinds import BY_CODE
from hedger.engine.metrics import LABELS, exposition, samples_of
from hedger.engine.metrics_table import BY_NAME, METRICS, Metric
from hedger.problem.later import Later
from hedger.problem.snapshot import Snapshot
from tests.hedger.core.test_glance import mixed, perpetuals, quoted
from tests.hedger.rig import Rig
from venues.orders import OrderState

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
NAME = re.compile(r"\bhedger_[a-z_]+")
#: `metric{label="value",..}` in a query.
SELECTED = re.compile(r"(hedger_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)=~?\"([^\"]*)\"")


def counted() -> list[str]:
    """The names of `Service.counts`, read off its source."""
    tree = ast.parse((ROOT / "hedger/engine/service.py").read_text("utf-8"))
    (method,) = (x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef) and x.name == "counts")
    (names,) = (x for x in ast.walk(method) if isinstance(x, ast.Dict))
    return [str(ast.literal_eval(key)) for key in names.keys if key is not None]


def rig() -> Rig:
    made = Rig({"BTC-PERPETUAL": "-200000"}).armed()
    made.mark(1.0)
    return made


def page(made: Rig) -> list[str]:
    counts = {name: 3.0 for name in counted()}
    return exposition(samples_of(made.state, counts, made.state.monotonic_ns)).decode().splitlines()


def test_the_page_tells_every_metric_of_the_list_with_its_type_and_meaning() -> None:
    lines = page(rig())
    types = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    assert types == {metric.name: metric.type for metric in METRICS}
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.meaning}" in lines


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_asks(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert set(metric.labels) <= LABELS
    assert metric.unit and metric.meaning and "\n" not in metric.meaning
    for ending, unit in (("_seconds", "s"), ("_usd", "USD")):
        assert metric.name.endswith(ending) == (metric.unit == unit)


def edges(made: Rig) -> dict[str, float]:
    """What is told of the rows and their edges."""
    told = (line.rsplit(" ", 1) for line in page(made) if line.startswith(("hedger_band", "hedger_exposure")))
    return {key: float(x) for key, x in told}


def never() -> Snapshot:
    raise AssertionError("a full look was made, and the loop waits for it")


def test_at_a_glance_rows_and_edges_are_those_of_the_full_look_and_no_full_look_is_made() -> None:
    made = mixed()
    made.mark(1.0)
    quoted(made, perpetuals(made)[:1], factor=1.0001)
    glance = made.state.seen
    assert isinstance(glance, Glance)
    made.state = replace(made.state, seen=replace(glance, snapshot=Later(never)))
    told = edges(made)
    snapshot = glance.snapshot.get()  # the full look
    bands, rows, value = snapshot.bands, snapshot.exposure.rows, snapshot.exposure.value.tolist()
    sides = ("lower", bands.trigger_lower.tolist()), ("upper", bands.trigger_upper.tolist())
    expected = {f'hedger_exposure{{row="{row}"}}': x for row, x in zip(rows, value, strict=True)}
    for kind, side in sides:
        told_of = {row: edge for row, edge in zip(rows, side, strict=True) if math.isfinite(edge)}
        expected |= {f'hedger_band{{row="{row}",kind="{kind}"}}': edge for row, edge in told_of.items()}
    assert told.keys() == expected.keys()
    assert len(told) > 2 * len(rows)
    for key, x in expected.items():
        assert told[key] == pytest.approx(x, rel=1e-9, abs=1e-6), key


# ----------------------------------------------------------------------------------- dashboard and rules


def queries() -> list[str]:
    board: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [*found, *(v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query")]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


VALUES = {
    "mode": {str(mode) for mode in Mode},
    "state": {str(state) for state in OrderState if not state.terminal},
    "kind": {"lower", "upper"},
}


@pytest.mark.parametrize("query", [*queries(), *(rule["expr"] for rule in rules())])
def test_every_query_names_metrics_and_labels_that_exist(query: str) -> None:
    assert set(NAME.findall(query)) <= BY_NAME.keys()
    for name, inside in SELECTED.findall(query):
        for label, value in LABEL.findall(inside):
            assert label in (*BY_NAME[name].labels, "job")
            assert value in VALUES.get(label, {value})


def test_every_metric_is_on_the_dashboard_or_could_not_be_missed() -> None:
    shown = {name for query in queries() for name in NAME.findall(query)}
    assert BY_NAME.keys() - shown == set()


def test_rows_that_the_dashboard_asks_for_are_rows_of_a_book() -> None:
    made = rig()
    assert made.state.snapshot is not None
    rows = made.state.snapshot.exposure.rows
    asked = {pattern for query in queries() for pattern in re.findall(r'row=~"([^"]+)"', query)}
    assert len(asked) == 5
    assert [pattern for pattern in asked if not any(re.fullmatch(pattern, row) for row in rows)] == []


def test_panels_do_not_overlap_and_each_has_a_title() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert panel["title"] and at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_rule_is_an_alert_of_the_list() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] == str(BY_CODE[rule["alert"]].severity)
        assert rule["annotations"]["summary"]
    assert len({rule["alert"] for rule in rules()}) == len(rules())
