"""A newcomer's first run, timed: `python -m benchmarks.first_ticket [--here] [--warm]`.

What `make demo` starts once .venv stands, in a terminal of 132 x 40, from the moment the command is given:
when the screen stands, when each step of its story is told, and, from the engine's own journal, when the
first row is out, the first ticket made, the first leg filled and the first ticket verified. Installing is
left out.

By itself it clones what is committed into a new folder and compiles every kernel anew, as on the newcomer's
first day. `--here` takes the tree as it stands; `--warm` keeps the kernels that are compiled already, as on
the second day.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hedger.demo.tale import STEPS
from hedger.journal.entries import DecisionRecord, Kind, read
from hedger.journal.journal import open_to_read

ROOT = Path(__file__).resolve().parents[1]
LINES, COLUMNS = 40, 132
PATIENCE_S = 180.0
#: The screen's header; in text no program prints that otherwise.
_SCREEN = "no real money"


def main(words: Sequence[str] | None = None) -> int:
    """Run it and print what was seen."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--here", action="store_true", help="this tree as it stands, not a clone of it")
    flags.add_argument("--warm", action="store_true", help="with the kernels that are compiled already")
    flags.add_argument("--steps", type=int, default=4, metavar="N", help="of the story (default 4: verified)")
    given = flags.parse_args(words)
    if given.warm and not given.here:
        flags.error("a clone has nothing compiled: --warm needs --here")
    with tempfile.TemporaryDirectory(prefix="first-ticket-") as folder:
        tree = ROOT if given.here else cloned(Path(folder, "clone"))
        told, place, begun_ns = played(tree, Path(folder), given.warm, given.steps)
        recorded = on_record(place / "journal", begun_ns)
    for what, seconds in (*told.items(), *recorded.items()):
        print(f"{seconds:7.1f} s  {what}")
    return 0


def cloned(to: Path) -> Path:
    """A fresh clone of what is committed."""
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(to)], check=True)
    return to


def played(tree: Path, room: Path, warm: bool, steps: int) -> tuple[dict[str, float], Path, int]:
    """Play the demo up to a step and leave it: seconds to what is shown, its folder, when it began (UTC)."""
    environment = {**os.environ, "TERM": "xterm-256color", "TMPDIR": str(room), "PYTHONPATH": str(tree)}
    environment.pop("NO_COLOR", None)
    if not warm:
        environment["NUMBA_CACHE_DIR"] = str(room / "kernels")
    wanted = {f"told: {n}. {title}": f"DEMO {n}/" for n, (title, _) in enumerate(STEPS[:steps], 1)}
    wanted = {"the screen stands": _SCREEN, **wanted}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    began, begun_ns = time.monotonic(), time.time_ns()
    demo = subprocess.Popen(
        [sys.executable, "-m", "hedger", "demo"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tree, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    told: dict[str, float] = {}
    try:
        for what, word in wanted.items():
            _until(ours, word, began + PATIENCE_S)
            told[what] = time.monotonic() - began
        os.write(ours, b"q")
        _until(ours, "hedger init", time.monotonic() + PATIENCE_S)
        demo.wait(PATIENCE_S)
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGTERM)  # its engine ends with it
            demo.wait(PATIENCE_S)
        os.close(ours)
    (place,) = room.glob("hedger-demo-*")
    return told, place, begun_ns


def _until(terminal: int, word: str, end: float) -> None:
    """Read the terminal until a word was written."""
    seen = ""
    while word not in seen:
        if time.monotonic() > end:
            raise SystemExit(f"{word!r} was not seen in time; last: {seen[-500:]!r}")
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                seen = (seen + os.read(terminal, 65536).decode("utf-8", "replace"))[-200_000:]
            except OSError:  # the other end is closed
                raise SystemExit(f"it ended before {word!r} was seen; last: {seen[-500:]!r}") from None


def on_record(journal: Path, begun_ns: int) -> dict[str, float]:
    """Seconds to what the engine's decisions say, each the first time."""
    found: dict[str, float] = {}
    with closing(open_to_read(journal)) as storage:
        for record in storage.records(1, [Kind.DECISION, Kind.FILL]):
            entry = read(record)
            document: dict[str, Any] = dict(entry.document) if isinstance(entry, DecisionRecord) else {}
            happened = {
                "journal: a row is out": bool(document.get("breached")),
                "journal: the first ticket": bool(document.get("ticket")),
                "journal: the first fill": record.kind == Kind.FILL,
                "journal: the first ticket is verified": bool(document.get("verification")),
            }
            for what, yes in happened.items():
                if yes:
                    found.setdefault(what, (record.now_ns - begun_ns) / 1e9)
    return found


if __name__ == "__main__":
    sys.exit(main())
