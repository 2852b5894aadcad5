"""Processes of a benchmark: listened to line by line, and ended with the block that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue


class Child:
    """A process and the lines it prints. Ended with the block that it was started in."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def say(self, words: str) -> None:
        """A line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def line(self, timeout_s: float) -> str | None:
        """The next line; None: none came."""
        try:
            return self._lines.get(timeout=timeout_s)
        except Empty:
            return None

    def newest(self) -> str | None:
        """The last line that is there; None: none is."""
        found = None
        while (line := self.line(0.001)) is not None:
            found = line
        return found

    def cpu_s(self) -> float:
        """CPU seconds it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Memory in RAM, MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1e3

    def end(self) -> None:
        """Ask it to stop, and see that it does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def child(*words: str) -> Iterator[Child]:
    """A process until the block ends."""
    started = Child(*words)
    try:
        yield started
    finally:
        started.end()
