"""`hedger config show | validate | schema`: the settings. Heavy imports stand inside the verb that needs
them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.verbs.flags import Commands
from hedger.verbs.printing import show_json
from pricing.errors import Exit, HedgerError, InputError

if TYPE_CHECKING:
    from hedger.runs.checks import Check


def declare(commands: Commands) -> None:
    """The words of `config`."""
    configs = commands.group("config", "the settings")
    configs.add("show", config_show, "the merged settings with the origin of each value")
    configs.add("validate", config_validate, "check the settings")
    configs.add("schema", config_schema, "JSON Schema of config.toml")


def config_show(arguments: argparse.Namespace) -> Exit:
    """The merged settings with the origin of each value."""
    from hedger.config import load, origins

    rows = origins(load(arguments.config))
    if arguments.json:
        show_json([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
    else:
        for key, value, origin in rows:
            print(f"{key} = {json.dumps(value)}    # {origin}")
    return Exit.DONE


def config_validate(arguments: argparse.Namespace) -> Exit:
    """Check the settings: 0 when valid, 1 with the fault on stdout when not, 2 without a file."""
    from hedger.config import load
    from hedger.limits_file import load_limits
    from hedger.runs.agreement import agreed
    from hedger.runs.checks import Finding
    from hedger.runs.venue_margin import check_paper_margin

    fault: HedgerError | None = None
    note: Check | None = None
    try:
        loaded = load(arguments.config)
        named = loaded.settings.limits_file
        agreed(loaded.settings, load_limits(Path(named) if named else None), loaded.origin)
        note = check_paper_margin(loaded.settings, time.time_ns())
    except InputError as error:
        if error.code == "CONFIG_UNREADABLE":
            raise
        fault = error
    if arguments.json:
        show_json({"valid": fault is None, "fault": str(fault) if fault else None})
    else:
        print(fault or "valid")
    if note is not None and note.finding is not Finding.GOOD:
        print(f"{note.finding}: {note.text}", file=sys.stderr)
    return Exit.NEGATIVE if fault else Exit.DONE


def config_schema(arguments: argparse.Namespace) -> Exit:
    """JSON Schema of config.toml."""
    from hedger.settings import Settings

    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    print(json.dumps(schema, allow_nan=False, indent=None if arguments.json else 2))
    return Exit.DONE
