"""The settings and the hard limits that a start writes on record: by one hash, as a text, and read again."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hedger.journal.entries import Configuration
from hedger.limits_file import LoadedLimits, built_in, read_limits
from hedger.settings import EVERY, Settings
from pricing.errors import InputError
from risk.limit_terms import Limits


def settings_sha256(settings: Settings) -> str:
    """The settings in effect by one hash: the same for whatever file, environment or defaults they came from,
    in whatever order they were written.

    Every key counts with its value, whether it was given or is the built-in one. An underlying's bands count
    as those of "*" with its own over them, and not at all where they are the same.
    """
    tree = settings.model_dump(mode="json", exclude={"bands"})
    every = _bands_in_effect(settings, EVERY)
    own = {name: _bands_in_effect(settings, name) for name in settings.bands if name != EVERY}
    tree["bands"] = {EVERY: every} | {name: bands for name, bands in own.items() if bands != every}
    return hashlib.sha256(_one_text(tree).encode()).hexdigest()


def settings_text(settings: Settings) -> str:
    """The settings that were given, as the JSON that `Settings` is read from again."""
    return _one_text(settings.model_dump(mode="json", exclude_unset=True))


def settings_of(word: Configuration) -> Settings | None:
    """The settings of a start; None where its record does not hold them, or this release cannot read them."""
    if not word.settings:
        return None
    try:
        return Settings.model_validate(json.loads(word.settings))
    except (ValidationError, ValueError, RecursionError):
        return None


def limits_on_record(word: Configuration) -> LoadedLimits | None:
    """The hard limits of a start, under the hash that it wrote of their file; None as for its settings."""
    if not word.limits:
        return None
    try:
        limits = read_limits(tomllib.loads(word.limits), "the journal")
    except (ValueError, RecursionError, InputError):
        return None
    if word.limits_sha256 == built_in().sha256 and limits != Limits():
        return None  # this release's text, and not what it says
    return LoadedLimits(limits, "the journal", word.limits_sha256)


def _bands_in_effect(settings: Settings, name: str) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for key in dict.fromkeys((EVERY, name)):
        bands = settings.bands[key]
        merged |= bands.model_dump(mode="json", include=bands.model_fields_set)
    return {key: value for key, value in merged.items() if value is not None and value != {}}


def _one_text(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))
