"""The three standard streams of a verb: one that is missing or cannot be written to stops no command.

A verb that has been taken must run to its end, whatever becomes of what it prints: a kill that fails where
its log is full would leave orders open. So what cannot be written is dropped, and said at the end. A reader
that goes away (`| head`) is no fault and ends the verb, as everywhere.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from pricing.errors import Exit, HedgerError


class OutputFailed(HedgerError):
    """A verb ran to its end, and what it printed could not be written (exit 74, as sysexits.h has it)."""

    exit_code = Exit.OUTPUT


class _Patient(io.FileIO):
    """A standard stream that drops what cannot be written, and keeps why."""

    failed: OSError | None = None

    def write(self, data: bytes) -> int:  # type: ignore[override]  # of any buffer, as FileIO
        """As FileIO, which a full disk stops."""
        if self.failed is None:
            try:
                return super().write(data)
            except BrokenPipeError:
                raise
            except OSError as error:
                self.failed = error
        return len(data)


def guard() -> None:
    """Open what is missing of the standard streams, and let no failure of one end the verb."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        # a journal opened on a free number would take what other code prints there
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
        sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  # for the life of the process
        sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # as above
        sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115  # as above
    sys.stdout, sys.stderr = _patient(sys.stdout, 1), _patient(sys.stderr, 2)


def check_output() -> None:
    """What was printed is written now.

    Raises:
        OutputFailed: some of it could not be. BrokenPipeError: the reader went away.
    """
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    if isinstance(raw, _Patient) and raw.failed is not None:
        raise OutputFailed(
            "OUTPUT_FAILED",
            "the output could not be written",
            where="standard output",
            observed=raw.failed.strerror,
            allowed="a place with rights and room",
            not_done="the command was taken and ran to its end; what it printed is not whole",
            fix="print elsewhere; `hedger status` says where an engine stands",
        )


def _raw(stream: object) -> object:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _patient(stream: TextIO, number: int) -> TextIO:
    """A stream that is the process's own, made patient; any other, as tests put there, as it is."""
    raw = _raw(stream)
    if not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO or raw.fileno() != number:
        return stream
    stream.flush()
    patient = _Patient(number, "w", closefd=False)
    return io.TextIOWrapper(
        patient if stream.write_through else io.BufferedWriter(patient),  # type: ignore[type-var]  # as the one that is replaced
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
