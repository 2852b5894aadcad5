"""The process that starts commands outlives whoever asked for them and whatever they become."""

from __future__ import annotations

import signal
import subprocess
import time

from pricing.errors import Exit
from tests.warm import command


def test_it_outlives_commands_and_who_asked_for_them() -> None:
    """Killed at all kinds of moments: while it is asked, while they run, and as they end."""
    for wait_ms in range(0, 60, 3):
        asked = [subprocess.Popen([command(), "--version"], stdout=subprocess.DEVNULL) for _ in range(2)]
        time.sleep(wait_ms / 1000)
        asked[0].send_signal(signal.SIGKILL)
        assert asked[0].wait() in (-signal.SIGKILL, Exit.DONE) and asked[1].wait() == Exit.DONE
