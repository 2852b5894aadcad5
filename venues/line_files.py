"""Text files of one message a line, plain or gzip, read as a stream and never held whole."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from venues.source_files import check_regular, refuse

#: A recording of a day; a file that unpacks to more is not one.
UNPACKED_BYTES_MAX = 8 * 2**30
LINE_BYTES_MAX = 16 * 2**20
_GZIP_MAGIC = b"\x1f\x8b"


def lines_of(path: Path, *, ended: bool = False) -> Iterator[tuple[int, str]]:
    """(number from 1, text without white space around it) of every line.

    ended: the last line has its end as well. Cells that are cut short are read as others, 120 as 12: it is
    the end of the line alone that tells.

    Raises:
        InputError: no regular file, empty, a damaged archive, cut short, too large, or not UTF-8.
    """
    if check_regular(path) == 0:
        refuse("FILE_EMPTY", "the file is empty", path, allowed="one message a line")
    total = 0
    try:
        with _opened(path) as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                total += len(line)
                if len(line) > LINE_BYTES_MAX or total > UNPACKED_BYTES_MAX:
                    allowed = f"lines of at most {LINE_BYTES_MAX} bytes, {UNPACKED_BYTES_MAX} bytes unpacked"
                    refuse(
                        "FILE_SIZE", "too large", path, where=f"{path.name}, line {number}", allowed=allowed
                    )
                if ended and not line.endswith(b"\n"):
                    refuse(
                        "FILE_DAMAGED",
                        "the last line is cut short",
                        path,
                        where=f"{path.name}, line {number}",
                        observed="no end of line",
                        allowed="each line with its end, the last one too",
                        fix="fetch it again; where nothing of that line is lacking, end it",
                    )
                try:
                    yield number, line.decode("utf-8").strip()
                except UnicodeDecodeError as error:
                    observed = f"byte {error.start} of the line"
                    where = f"{path.name}, line {number}"
                    refuse(
                        "FILE_TEXT", "invalid UTF-8", path, where=where, observed=observed, allowed="UTF-8"
                    )
    except (OSError, EOFError, zlib.error) as error:
        refuse(
            "FILE_DAMAGED",
            "the file cannot be read to its end",
            path,
            observed=error,
            allowed="a whole file, plain or gzip",
            fix="fetch it again; of a recording cut short, unpack what there is and drop its last line",
        )


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")
