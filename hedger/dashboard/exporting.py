"""What a panel shows, as files: as JSON, of the document that the panel's command prints, the part that the
panel shows, each figure at its place and unrounded; and its lines as CSV.

Beside the journal, or where no file may be made there in the working directory. No file is ever written over.
"""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from hedger.dashboard.frames import ScreenFrame, Want
from hedger.dashboard.panel_table import PANELS, Panel
from hedger.dashboard.sheet import Sheet
from pricing.daycount import NS_PER_SECOND


def command_of(want: Want) -> str:
    """What prints all that a panel shows a part of, without the program's name."""
    command = PANELS[want.panel].command
    if want.panel is Panel.WHAT_IF:
        command += f" --metric {want.metric}" + " --hedged" * (want.side == "hedged")
    return f"{command} --json"


def export(journal: Path, frame: ScreenFrame, now_ns: int) -> str:
    """Write a frame's panel; what was written, or why nothing was, in words. now_ns: UTC, for the name."""
    at = datetime.fromtimestamp(now_ns // NS_PER_SECOND, UTC)
    stem = f"{journal.name}-{PANELS[frame.want.panel].stem}-{at:%Y%m%dT%H%M%SZ}"
    text = json.dumps(frame.document, indent=1, allow_nan=False) + "\n"
    why = ""
    for folder in (journal.parent, Path()):
        try:
            folder = folder.absolute()
            written = _new_files(folder, stem, {"json": text, "csv": as_csv(frame.sheet)})
        except OSError as error:
            why = error.strerror or str(error)
            continue
        part_of = command_of(frame.want)
        return f"written: {written[0]} and {written[1].name}; all of it: hedger {part_of}"
    return f"NOT WRITTEN, neither beside the journal nor in the working directory: {why}"


def as_csv(sheet: Sheet) -> str:
    """The lines of a sheet: before each its section; the names of the columns above them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for section in sheet:
        if section.columns:
            writer.writerow(["section", *(column.title for column in section.columns)])
        writer.writerows([section.title, *(cell.strip() for cell in line.cells)] for line in section.lines)
    return out.getvalue()


def _new_files(folder: Path, stem: str, texts: dict[str, str]) -> list[Path]:
    """Files of one name with these endings, none of which was there before."""
    for n in count(1):
        name = stem if n == 1 else f"{stem}-{n}"
        paths = [folder / f"{name}.{ending}" for ending in texts]
        if any(path.exists() for path in paths):
            continue
        try:
            for path, text in zip(paths, texts.values(), strict=True):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
        except FileExistsError:  # somebody else's, made this very moment
            continue
        return paths
    raise AssertionError("unreachable: there is always a next number")
