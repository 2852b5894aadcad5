"""`[alerts]`: whom people are told by, and that the engine beside it does not care."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hedger.core.reload import changes
from hedger.sections.alerts import AlertsConfig
from hedger.settings import Settings


def given(**keys: Any) -> Settings:
    return Settings.model_validate({"alerts": keys})


@pytest.mark.parametrize("url", ["", "json://host/token-4711", "file:", "token-4711", "env:"])
def test_a_sink_is_named_by_reference_and_what_is_none_is_not_shown(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        given(sinks=[{"url": url}])
    assert "token-4711" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "keys",
    [
        {"retry_s": 10.0, "retry_s_max": 5.0},
        {"again_min": 0.0},
        {"every_s": 0.0},
        {"sinks": [{"url": "env:A", "severity_min": "loud"}]},
        {"sinks": [{"url": "env:A"}] * 17},
        {"sinks": [{}]},
        {"unknown": 1},
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        given(**keys)


def test_the_plain_sink_gets_warnings_and_the_word_that_all_is_well() -> None:
    (sink,) = given(sinks=[{"url": "env:A"}]).alerts.sinks
    assert (sink.severity_min, sink.well) == ("warning", True)
    assert AlertsConfig().sinks == ()


def test_an_engine_takes_its_settings_anew_whatever_was_changed_for_the_alerts() -> None:
    old, new = Settings(), given(sinks=[{"url": "env:A"}], again_min=5.0)
    assert json.loads(changes(old, new)) == {}
    both = Settings.model_validate({"alerts": {"again_min": 5.0}, "solver": {"columns": 30}})
    assert json.loads(changes(old, both)).keys() == {"solver"}
