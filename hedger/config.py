"""config.toml -> frozen settings. Precedence: command line > environment > file > default; origins are kept.

An environment variable sets a key by its path: `HEDGER__SOLVER__GAP=0.01` is `[solver] gap`,
`HEDGER__BANDS__BTC='{...}'` is `[bands.BTC]`.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hedger.settings import EVERY, Settings
from pricing.errors import InputError, seen

ENV_PREFIX = "HEDGER__"
CONFIG_BYTES_MAX = 1 << 20
#: Sections whose values are never shown in an error; those of unknown keys are not either: a secret that
#: stands in the wrong section is a secret still.
_SECRET_SECTIONS = (("venues",), ("alerts",))
_HIDDEN = "not shown"


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings and, by dotted key, where each value came from."""

    settings: Settings
    origin: Mapping[str, str]


def load(
    path: Path | None, overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Merge defaults, file, environment and command line.

    Args:
        path: the file; None: `./config.toml` if it exists, else built-in defaults only.
        overrides: values from the command line by dotted key. env: the environment (default: the process's).

    Raises:
        InputError: unreadable file, unknown key, wrong type or value outside its range.
    """
    chosen = path if path is not None else Path("config.toml")
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if path is not None or chosen.is_file():
        tree = _read_toml(chosen)
        for key in _leaves(tree):
            origin[key] = str(chosen)
    for name, text in sorted((os.environ if env is None else env).items()):
        if name.startswith(ENV_PREFIX):
            path_to = _env_path(name)
            _put(tree, path_to, _env_value(text), name)
            _note(origin, ".".join(path_to), f"environment {name}")
    for key, value in (overrides or {}).items():
        _put(tree, key.split("."), value, "the command line")
        _note(origin, key, "command line")
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise _config_error(error, origin, str(chosen)) from None
    return LoadedConfig(settings, origin)


def _read_toml(path: Path) -> dict[str, Any]:
    """The file as a tree of values."""
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
        if len(content) > CONFIG_BYTES_MAX:
            raise InputError(
                "CONFIG_TOO_LARGE",
                "not a configuration file",
                where=str(path),
                observed=f"more than {CONFIG_BYTES_MAX} bytes",
                allowed=f"at most {CONFIG_BYTES_MAX} bytes",
                not_done="nothing was started",
                fix="give the TOML file of settings to --config",
            )
        return tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "CONFIG_UNREADABLE",
            "cannot read the configuration",
            where=str(path),
            observed=error,
            allowed="a text file in UTF-8",
            not_done="nothing was started",
            fix="give a readable file to --config",
        ) from None
    except (ValueError, RecursionError) as error:
        # not TOMLDecodeError alone: a number of 5,000 digits or a thousand brackets raise others
        raise InputError(
            "CONFIG_SYNTAX",
            "not valid TOML",
            where=str(path),
            observed=error,
            allowed="TOML",
            not_done="nothing was started",
            fix="correct the line it names",
        ) from None


def _env_value(text: str) -> Any:
    """A value from the environment: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _env_path(name: str) -> list[str]:
    """The key an environment variable sets: lower case, but for the underlying of a band (`bands.BTC`)."""
    parts = name.removeprefix(ENV_PREFIX).lower().split("__")
    if parts[0] == "bands" and len(parts) > 1:
        parts[1] = parts[1].upper()
    return parts


def _note(origin: dict[str, str], key: str, source: str) -> None:
    """Record where a key, and with it all keys below it, came from."""
    for below in [k for k in origin if k == key or k.startswith(key + ".")]:
        del origin[below]
    origin[key] = source


def _put(tree: dict[str, Any], path: list[str], value: Any, source: str) -> None:
    """Set a nested key."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise InputError(
                "CONFIG_INVALID",
                "a key below something that is no section",
                where=f"{source}, key {'.'.join(path)}",
                observed=f"{part}, whose value is {_HIDDEN}",
                allowed="the keys of `hedger config schema`",
                not_done="nothing was started",
                fix="unset the variable, or correct the section",
            )
    tree[path[-1]] = value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys of all values that are not tables."""
    keys: list[str] = []
    for name, value in tree.items():
        keys += _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [prefix + name]
    return keys


def _config_error(error: ValidationError, origin: Mapping[str, str], default_source: str) -> InputError:
    """The first fault of a validation, with file, key, value and what is allowed."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"])
    source = _origin_of(key, origin) or default_source
    unknown = fault["type"] == "extra_forbidden"
    more = f" (and {error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
    return InputError(
        "CONFIG_UNKNOWN_KEY" if unknown else "CONFIG_INVALID",
        "unknown key" if unknown else f"invalid value{more}",
        where=f"{source}, key {key}",
        # what stands in the place of a key may be the key itself
        observed=_HIDDEN if unknown or fault["loc"][:1] in _SECRET_SECTIONS else seen(fault["input"]),
        allowed="the keys of `hedger config schema`"
        if unknown
        else fault["msg"].removeprefix("Value error, "),
        not_done="nothing was started",
        fix="remove or correct the key; `hedger config validate` checks again",
    )


def origins(loaded: LoadedConfig) -> list[tuple[str, Any, str]]:
    """(dotted key, value, origin) of every setting, defaults included; of an underlying's bands only the keys
    it sets itself."""
    settings = loaded.settings
    values = settings.model_dump(mode="json")
    values["bands"] = {
        name: own.model_dump(mode="json", include=None if name == EVERY else own.model_fields_set)
        for name, own in settings.bands.items()
    }
    rows: list[tuple[str, Any, str]] = []
    for key in _leaves(values):
        value: Any = values
        for part in _split(key, values):
            value = value[part]
        rows.append((key, value, _origin_of(key, loaded.origin) or "default"))
    return rows


def _origin_of(key: str, origin: Mapping[str, str]) -> str | None:
    """Where a value came from: noted for the key, for what holds it, or for a part of it (the last)."""
    above = [k for k in origin if k == key or key.startswith(k + ".")]
    below = [k for k in origin if k.startswith(key + ".")]
    return origin[max(above, key=len)] if above else origin[below[-1]] if below else None


def _split(key: str, tree: Mapping[str, Any]) -> list[str]:
    """Parts of a dotted key, where a name may itself hold dots."""
    for name, value in tree.items():
        if key == name:
            return [name]
        if key.startswith(name + ".") and isinstance(value, Mapping):
            return [name, *_split(key[len(name) + 1 :], value)]
    raise KeyError(key)
