"""The page on config.toml: every key of the schema with type, default and range, and the file's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from docs.making.markdown import cell, code, page, table
from docs.making.scanning import ROOT
from hedger.settings import Settings

FILE = ROOT / "config.toml"
#: What a name that a desk gives is called in a key.
NAMES = {"bands": "COIN", "fees": "VENUE", "venues": "VENUE", "balance_min": "VENUE", "fixed_usd_of": "VENUE"}
_KEY = re.compile(r"(?P<off># )?(?P<key>[a-z][a-z0-9_]*) *= *(?P<rest>.*)")
_TABLE = re.compile(r"(?:# )?\[\[?(?P<name>[^\]=]+)\]\]?")
#: What precedes the comment of a line: texts in quotes may hold a sharp.
_COMMENT = re.compile(r"""^(?:[^"#]|"[^"]*")*# ?(.*)$""")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the schema has it."""

    path: tuple[str, ...]
    kind: str
    default: str
    bounds: str


@dataclass(slots=True)
class Words:
    """What the file says: of keys by their last two parts, of tables in the block above each."""

    of_key: dict[tuple[str, str], str] = field(default_factory=dict)
    of_table: dict[str, str] = field(default_factory=dict)


def all_keys() -> list[Key]:
    """Every key, in the order of the schema."""
    schema = Settings.model_json_schema()
    found = _walk(schema, (), schema["$defs"], ())
    return list(dict.fromkeys(Key(_of_any_row(k.path), k.kind, k.default, k.bounds) for k in found))


def _of_any_row(path: tuple[str, ...]) -> tuple[str, ...]:
    """The rows' tables are alike, but for that of delta: they are told once."""
    alike = (
        path[0] == "bands" and len(path) > 3 and path[2] not in ("delta_usd", "vega_buckets_usd_per_point")
    )
    return (*path[:2], "ROW", *path[3:]) if alike else path


def _walk(
    node: Mapping[str, Any], path: tuple[str, ...], definitions: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[Key]:
    for name, part in node.get("properties", {}).items():
        yield from _key(part, (*path, name), definitions, above)


def _key(
    part: Mapping[str, Any], path: tuple[str, ...], definitions: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[Key]:
    """A key, and those below it; a definition inside itself is not opened a second time."""
    below = list(_below(part, path, definitions, above))
    opened = [key for inner, at, names in below for key in _walk(inner, at, definitions, names)]
    if not opened:
        yield Key(path, _kind(part, definitions), _default(part), _bounds(part, definitions))
        return
    whole = part.get("type") == "array" or any(x.get("type") == "array" for x in part.get("anyOf", ()))
    if whole and "items" not in part:
        yield Key(path, _kind(part, definitions), _default(part), "")
    yield from dict.fromkeys(opened)


def _below(
    part: Mapping[str, Any], path: tuple[str, ...], definitions: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...], tuple[str, ...]]]:
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[1]
        if name not in above:
            yield definitions[name], path, (*above, name)
    elif isinstance(part.get("additionalProperties"), Mapping):
        yield from _below(part["additionalProperties"], (*path, _name(path)), definitions, above)
    elif part.get("type") == "array" and "items" in part:
        yield from _below(part["items"], (*path[:-1], f"{path[-1]}[]"), definitions, above)
    for other in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _below(other, path, definitions, above)


def _name(path: tuple[str, ...]) -> str:
    if path[-1] == "VENUE":
        return "KIND"
    return NAMES.get(path[-1].removesuffix("[]"), "NAME")


def _kind(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The type in words."""
    if "$ref" in part:
        return _kind(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
    if "enum" in part:
        return "one of " + ", ".join(json.dumps(word) for word in part["enum"])
    if "const" in part:
        return json.dumps(part["const"])
    others = [x for x in (*part.get("anyOf", ()), *part.get("oneOf", ())) if x.get("type") != "null"]
    if others:
        return " or ".join(dict.fromkeys(_kind(x, definitions) for x in others))
    match part.get("type"):
        case "array" if "prefixItems" in part:
            return "[low, high]"
        case "array":
            return f"list of {_kind(part.get('items', {}), definitions)}"
        case "object" if isinstance(part.get("additionalProperties"), Mapping):
            return f"table of {_kind(part['additionalProperties'], definitions)}"
        case "object":
            return "table"
        case "integer":
            return "whole number"
        case "boolean":
            return "true or false"
        case "string":
            return {"date-time": "time"}.get(part.get("format", ""), "text")
    return str(part.get("type", "any"))


def _default(part: Mapping[str, Any]) -> str:
    if "default" not in part or part["default"] is None:
        return ""
    return json.dumps(part["default"])


def _bounds(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The range in words, of the first alternative that has one."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{text} {part[key]:g}" for key, text in words.items() if key in part]
    if "minItems" in part and "prefixItems" not in part:
        found.append(f"at least {part['minItems']}")
    if found:
        return " ".join(found)
    for other in part.get("anyOf", ()):
        if bounds := _bounds(other, definitions):
            return bounds
    return ""


def words(text: str) -> Words:
    """The comments of a configuration file."""
    found, section, last = Words(), "", ("", "")
    block: list[str] = []
    for line in text.splitlines():
        table_line, key_line = _TABLE.fullmatch(line.split("  #")[0].strip()), _KEY.match(line)
        if not line.strip():
            block = []
        elif table_line is not None:
            section = table_line["name"].replace('"', "")
            found.of_table[section] = "\n".join(block)
            block = []
        elif key_line is not None and not (key_line["off"] and block):
            last = (section.rsplit(".", 1)[-1], key_line["key"])
            comment = _COMMENT.match(key_line["rest"])
            found.of_key[last] = comment[1].strip() if comment else ""
        elif line.startswith((" ", "#    ")) and last in found.of_key and not block:
            found.of_key[last] += " " + line.strip(" #")
        elif line.startswith("#"):
            block.append(line.removeprefix("#").removeprefix(" "))
    return found


def _said(key: Key, told: Words) -> str:
    """What the file says of a key; the same words hold for the tables of other coins and venues."""
    name = key.path[-1].removesuffix("[]")
    for depth in range(len(key.path) - 1, -1, -1):
        table_name = key.path[depth - 1].removesuffix("[]") if depth else ""
        for place in (table_name, {"COIN": "*", "VENUE": "deribit", "KIND": "option"}.get(table_name, "")):
            if text := told.of_key.get((place, name)):
                return text
    return ""


def make() -> str:
    """The page."""
    told = words(FILE.read_text("utf-8"))
    parts = [
        "`config.toml` is the one file that a desk edits. Every key may be left out. Unknown keys are "
        "refused, "
        "with the key and what is allowed (exit 2). `hedger config show` prints the merged result with the "
        "origin "
        "of each value, `hedger config validate` checks it. An environment variable sets a key by its path: "
        "`HEDGER__SOLVER__GAP=0.01` is `gap` in `[solver]`.\n\n"
        "COIN, VENUE, KIND and NAME stand for names; `*` is every coin; `[]` is a list of tables. ROW is "
        "`gamma_usd_per_1pct`, `gamma_expiring_usd_per_1pct`, `vega_usd_per_point`, "
        "`vega_weighted_usd_per_point` "
        "or `theta_usd_per_day`.",
    ]
    sections: dict[str, list[Key]] = {}
    for key in all_keys():
        top = key.path[0].removesuffix("[]") if len(key.path) > 1 else ""
        sections.setdefault(top, []).append(key)
    for section, held in sections.items():
        parts.append(f"## `[{section}]`\n" if section else "## Without a section\n")
        blocks = [t for name, t in told.of_table.items() if t and name.split(".")[0] == section and section]
        parts += [f"```text\n{block}\n```\n" for block in blocks]
        above = "see above" if blocks else ""
        rows = [
            (
                code(".".join(k.path)),
                cell(k.kind),
                code(k.default),
                cell(k.bounds),
                cell(_said(k, told) or above),
            )
            for k in held
        ]
        parts.append(table(("key", "type", "default", "range", "what it is, with its unit"), rows))
    return page("Configuration", *parts)
