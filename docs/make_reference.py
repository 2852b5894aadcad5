"""Write the reference pages anew from the code: `python -m docs.make_reference`; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.making import (
    alerts,
    codes,
    command_line,
    configuration,
    documents,
    hard_limits,
    key_rights,
    metrics,
    record,
    screen_keys,
)

#: Pages of what was seen on a run: two versions are the same where they tell the same, types apart.
SAME: Mapping[str, Callable[[str, str], bool]] = {"reference/json.md": documents.same}

FOLDER = Path(__file__).resolve().parent
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/configuration.md": configuration.make,
    "reference/limits.md": hard_limits.make,
    "reference/limit-codes.md": hard_limits.make_codes,
    "reference/commands.md": command_line.make,
    "reference/error-codes.md": codes.make,
    "reference/keys.md": key_rights.make,
    "reference/screen-keys.md": screen_keys.make,
    "reference/journal.md": record.make,
    "reference/metrics.md": metrics.make,
    "reference/json.md": documents.make,
    "runbook/index.md": alerts.make,
}


def main() -> int:
    """Write what has changed; 1 with --check where something has."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not current")
    words.add_argument("pages", nargs="*", help=f"only these of {', '.join(PAGES)}")
    given = words.parse_args()
    stale = []
    for name in given.pages or PAGES:
        text, file = PAGES[name](), FOLDER / name
        old = file.read_text("utf-8") if file.is_file() else ""
        if old == text or (old and name in SAME and SAME[name](old, text)):
            continue
        stale.append(name)
        if not given.check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, "utf-8")
    print("\n".join(stale) or "every page is current", file=sys.stderr)
    return int(bool(stale) and given.check)


if __name__ == "__main__":
    sys.exit(main())
