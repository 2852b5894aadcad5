"""The demo's engine, a process of its own: what the demo's screen looks at, and what it starts and ends.

It is `hedger run` on paper with a story staged on the simulated market (`hedger.demo.stage`), slow
enough answers for people to follow, and an end by itself, should whoever started it be gone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from hedger.demo.stage import DEMO_STAGE
from hedger.limits_file import load_limits
from hedger.runs.launch import Ran, RunOptions
from hedger.runs.run import run
from hedger.sections.paper import PaperConfig, RunConfig
from hedger.settings import Settings
from pricing.errors import Exit, HedgerError

#: Orders and answers take so long that a leg can be seen to leave and to come back.
_WAY_MS = 150.0
#: It ends by itself after so many minutes.
MINUTES_MAX = 30.0
#: Until its journal is there, and until it has ended in order.
START_S_MAX = 60.0
#: Between two looks for the journal of an engine that starts, seconds.
LOOK_S = 0.05
END_S_MAX = 20.0


class EngineGone(HedgerError):
    """The demo's engine did not start, or has ended (exit 70)."""

    exit_code = Exit.INTERNAL


def run_demo_engine(journal: Path, seed: int, settings: Settings) -> Ran:
    """Run it: on paper and on the simulated market whatever the settings say of venues and limits.

    Raises:
        HedgerError: as `hedger.runs.run.run`.
    """
    paper = PaperConfig(order_ms=_WAY_MS, answer_ms=_WAY_MS)
    desk = settings.model_copy(update={"run": RunConfig(), "paper": paper, "limits_file": ""})
    options = RunOptions(
        journal,
        minutes=MINUTES_MAX,
        seed=seed,
        watchdog=False,
        reason="the demo",
        stage=DEMO_STAGE,
    )
    return run(options, desk, load_limits(None))


class DemoEngine:
    """The process of `hedger demo --engine`, and its journal. It is ended when the block is left."""

    def __init__(self, journal: Path, seed: int, config: Path | None) -> None:
        words = [sys.executable, "-m", "hedger", "demo", "--engine", str(journal), "--seed", str(seed)]
        words += [] if config is None else ["--config", str(config)]
        self.journal, self.log = journal, journal.with_suffix(".log")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self) -> DemoEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def wait_for(self, ready: Path) -> None:
        """Until a file of it has something in it.

        Raises:
            EngineGone: it ended, or it takes too long.
        """
        end = time.monotonic() + START_S_MAX
        while not (ready.exists() and ready.stat().st_size):
            if self._process.poll() is not None or time.monotonic() > end:
                raise EngineGone(
                    "DEMO_ENGINE",
                    "the demo's engine did not start",
                    where=self.log.name,
                    observed=self._last_words() or f"exit code {self._process.poll()}",
                    allowed=f"a journal within {START_S_MAX:g} s",
                    not_done="nothing was shown",
                    fix=f"read {self.log}, or try `hedger demo --headless`",
                )
            time.sleep(LOOK_S)

    def end(self) -> None:
        """Ask it to end in order; what does not is ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
