"""`hedger limits show | validate | compare | codes`: the hard limits, which stand in a file of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from hedger.text_width import commented
from hedger.verbs.flags import Commands
from hedger.verbs.printing import room, say, show_json
from pricing.errors import Exit, HedgerError, InputError


def declare(commands: Commands) -> None:
    """The words of `limits`."""
    limits = commands.group("limits", "the hard limits, a file of their own")
    words = limits.add("show", limits_show, "the hard limits in force, as a commented file")
    words.add_argument("--file", type=Path, metavar="FILE", help="default: limits_file of the settings")
    words = limits.add("validate", limits_validate, "check a file of hard limits")
    words.add_argument("file", type=Path, metavar="FILE")
    words = limits.add("compare", limits_compare, "what a new file tightens and loosens")
    words.add_argument("old", type=Path, metavar="OLD")
    words.add_argument("new", type=Path, metavar="NEW")
    limits.add("codes", limits_codes, "every reason why an order is not let out")


def limits_show(arguments: argparse.Namespace) -> Exit:
    """The limits in force, as a commented file; those of --file, else of limits_file, else the built-in."""
    from hedger.config import load
    from hedger.limits_file import default_text, limits_document, limits_text, load_limits

    path: Path | None = arguments.file
    if path is None:
        named = load(arguments.config).settings.limits_file
        path = Path(named) if named else None
    loaded = load_limits(path)
    if arguments.json:
        show_json(limits_document(loaded))
    else:
        text = default_text() if path is None else limits_text(loaded.limits)
        width = room()
        for line in text.splitlines():
            print("\n".join(commented(line, width)))
    return Exit.DONE


def limits_validate(arguments: argparse.Namespace) -> Exit:
    """Check a file of limits: 0 when valid, 1 with the fault on stdout when not, 2 without a file."""
    from hedger.limits_file import load_limits

    fault: HedgerError | None = None
    try:
        load_limits(arguments.file)
    except InputError as error:
        if error.code == "LIMITS_UNREADABLE":
            raise
        fault = error
    if arguments.json:
        show_json({"valid": fault is None, "fault": str(fault) if fault else None})
    else:
        say(str(fault or "valid"))
    return Exit.NEGATIVE if fault else Exit.DONE


def limits_compare(arguments: argparse.Namespace) -> Exit:
    """What a new file tightens and loosens against an old one: 1 where it loosens something."""
    from hedger.limits_file import load_limits
    from risk.limit_changes import compare

    found = compare(load_limits(arguments.old).limits, load_limits(arguments.new).limits)
    if arguments.json:
        show_json({"tightened": found.tightened, "loosened": found.loosened})
    else:
        for word, keys in (("tightened", found.tightened), ("loosened", found.loosened)):
            for key in keys:
                say(f"{word}  {key}")
        if found.same:
            print("the same limits")
    return Exit.NEGATIVE if found.loosened else Exit.DONE


def limits_codes(arguments: argparse.Namespace) -> Exit:
    """Every reason code with its control C1 to C20, what it means, and the way out."""
    from risk.limit_codes import Code

    rows = [{"code": code.name, "control": code.control, "what": code.what, "fix": code.fix} for code in Code]
    if arguments.json:
        show_json(rows)
    else:
        for row in rows:
            say(f"{row['control']:<4} {row['code']:<30} {row['what']}; {row['fix']}")
    return Exit.DONE
