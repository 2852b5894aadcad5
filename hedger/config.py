"""config.toml -> frozen settings. Precedence: command line > environment > file > default; origins are kept.

An environment variable sets a key by its path: `HEDGER__SOLVER__GAP=0.01` is `[solver] gap`.
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

from hedger.settings import Settings
from pricing.errors import InputError

ENV_PREFIX = "HEDGER__"
CONFIG_BYTES_MAX = 1 << 20


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
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            _put(tree, key.split("."), _env_value(text), name)
            origin[key] = f"environment {name}"
    for key, value in (overrides or {}).items():
        _put(tree, key.split("."), value, "the command line")
        origin[key] = "command line"
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise _config_error(error, origin, str(chosen)) from None
    return LoadedConfig(settings, origin)


def _read_toml(path: Path) -> dict[str, Any]:
    """The file as a tree of values."""
    try:
        if path.stat().st_size > CONFIG_BYTES_MAX:
            raise InputError(
                "CONFIG_TOO_LARGE",
                "not a configuration file",
                where=str(path),
                observed=f"{path.stat().st_size} bytes",
                allowed=f"at most {CONFIG_BYTES_MAX} bytes",
            )
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "CONFIG_UNREADABLE",
            "cannot read the configuration",
            where=str(path),
            observed=error,
            fix="give a readable file to --config",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            "CONFIG_SYNTAX",
            "not valid TOML",
            where=str(path),
            observed=error,
            fix="correct the line it names",
        ) from None


def _env_value(text: str) -> Any:
    """A value from the environment: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(tree: dict[str, Any], path: list[str], value: Any, source: str) -> None:
    """Set a nested key."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise InputError(
                "CONFIG_INVALID", "not a section", where=f"{source}, key {'.'.join(path)}", observed=tree
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
    parts = [str(part) for part in fault["loc"]]
    key = ".".join(parts)
    sources = [origin[k] for k in origin if k == key or k.startswith(key + ".") or key.startswith(k + ".")]
    unknown = fault["type"] == "extra_forbidden"
    more = f" (and {error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
    return InputError(
        "CONFIG_UNKNOWN_KEY" if unknown else "CONFIG_INVALID",
        "unknown key" if unknown else f"invalid value{more}",
        where=f"{sources[0] if sources else default_source}, key {key}",
        observed=fault["input"],
        allowed="the keys of `hedger config schema`" if unknown else fault["msg"],
        not_done="nothing was started",
        fix="remove or correct the key; `hedger config validate` checks again",
    )


def origins(loaded: LoadedConfig) -> list[tuple[str, Any, str]]:
    """(dotted key, value, origin) of every setting, defaults included."""
    values = loaded.settings.model_dump(mode="json")
    rows: list[tuple[str, Any, str]] = []
    for key in _leaves(values):
        value: Any = values
        for part in _split(key, values):
            value = value[part]
        came_from = [
            o
            for k, o in loaded.origin.items()
            if k == key or key.startswith(k + ".") or k.startswith(key + ".")
        ]
        rows.append((key, value, came_from[0] if came_from else "default"))
    return rows


def _split(key: str, tree: Mapping[str, Any]) -> list[str]:
    """Parts of a dotted key, where a name may itself hold dots."""
    for name, value in tree.items():
        if key == name:
            return [name]
        if key.startswith(name + ".") and isinstance(value, Mapping):
            return [name, *_split(key[len(name) + 1 :], value)]
    raise KeyError(key)
