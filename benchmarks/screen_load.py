"""What the terminal costs: `python -m benchmarks.screen_load [--seconds 20] [--size 200x60]`.

`hedger run` on the simulated market with a book of 400 option positions, a batch of marks a second, and
`hedger dashboard` on its journal in a pseudo-terminal, both as a desk has them. One line a panel: CPU of the
terminal's process as a share of one core, and what it wrote to the screen. The engine's own share stands
beside it. `hedger status` is told at the end: the engine went on.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from venues.simulated import SimulatedMarket

POSITIONS = 400
SEED = 7
#: Panels by their keys; the what-if ladder is another reckoning than the others.
PANELS = {"1": "risk", "2": "hedge", "3": "what-if", "4": "P&L", "5": "venues", "6": "orders", "7": "alerts"}
START_S_MAX = 60.0
#: At a start all is compiled and read for the first time, and a new panel is drawn anew: told apart.
WARM_S = 15.0
SETTLE_S = 3.0


class Screen:
    """A process at a pseudo-terminal, what it writes read away and counted."""

    def __init__(self, words: Sequence[str], folder: Path, size: tuple[int, int]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            words,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=env | {"TERM": "xterm-256color"},
        )
        os.close(theirs)
        self.written = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while found := os.read(self._ours, 65536):
                self.written += len(found)
        except OSError:  # it has ended
            pass

    def press(self, key: str) -> None:
        """A key."""
        os.write(self._ours, key.encode())


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_book(path: Path) -> None:
    """400 options of the market that the engine will have, every other one short, and coins."""
    universe = SimulatedMarket(SEED, time.time_ns()).universe
    lines = ["venue,symbol,quantity,average_price"]
    options = [x for x, is_option in zip(universe.listings, universe.is_option, strict=True) if is_option]
    for i, listing in enumerate(options[-POSITIONS:]):  # the nearest expiries may end meanwhile
        lines.append(f"{listing.venue},{listing.symbol},{'-' * (i % 2)}{listing.lot * 10},")
    venue = options[0].venue
    lines += [f"{venue},BTC,20,", f"{venue},ETH,300,"]
    path.write_text("\n".join(lines) + "\n")


@contextmanager
def running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process until the block ends."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Run both, look at one panel after the other."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=float, default=20.0, help="a panel is looked at for so long")
    words.add_argument("--size", default="200x60", help="columns x lines of the screen")
    words.add_argument("--panels", default="".join(PANELS), help="keys of the panels, such as 123")
    arguments = words.parse_args(argv)
    columns, rows = (int(part) for part in arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_book(folder / "book.csv")
        hedger = (sys.executable, "-m", "hedger")
        journal = ("--journal", str(folder / "journal"))
        engine = subprocess.Popen(
            (*hedger, "run", "--book", "book.csv", "--seed", str(SEED), "--no-watchdog", *journal),
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        with running(engine):
            end = time.monotonic() + START_S_MAX
            while not (folder / "journal.heartbeat").exists():
                if engine.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the engine did not start")
                time.sleep(0.2)  # the engine is another process: its sign of life is all that tells
            screen = Screen((*hedger, "dashboard", *journal), folder, (columns, rows))
            with running(screen.process):
                time.sleep(WARM_S)
                for key in arguments.panels:
                    _look(key, screen, engine.pid, arguments.seconds)
                screen.press("q")
                screen.process.wait(30.0)
        print(
            f"{POSITIONS} positions, {columns} x {rows}; the terminal ended with {screen.process.returncode}"
        )
    return 0


def _look(key: str, screen: Screen, engine: int, seconds: float) -> None:
    screen.press(key)
    time.sleep(SETTLE_S)
    pids = (screen.process.pid, engine)
    before, written, begun = [cpu_s(pid) for pid in pids], screen.written, time.monotonic()
    time.sleep(seconds)  # what is measured: the CPU that two processes take meanwhile
    lasted = time.monotonic() - begun
    theirs, engines = (100.0 * (cpu_s(pid) - x) / lasted for pid, x in zip(pids, before, strict=True))
    kb_per_s = (screen.written - written) / lasted / 1e3
    print(
        f"{PANELS[key]:<8} terminal {theirs:5.1f} % of a core, {kb_per_s:6.1f} kB/s; engine {engines:5.1f} %",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
