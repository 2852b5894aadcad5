"""Files from outside, judged before they are loaded: regular, sized, with the right magic, and strict JSON.

A gigabyte of garbage is refused from its first and last bytes, without reading what lies between.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from pricing.errors import InputError

JSON_BYTES_MAX = 512 * 2**20
_PARQUET_MAGIC = b"PAR1"
_EDGE_BYTES = 4096
#: A decoder that is busy for longer is stuck.
_DECODE_S_MAX = 600.0

#: What polars raises on a damaged file; a panic of its reader is one of them.
PARQUET_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def refuse(code: str, what: str, path: Path, **details: Any) -> NoReturn:
    """Raise InputError about a file, named without its folders."""
    details.setdefault("not_done", "nothing was written")
    raise InputError(code, what, where=details.pop("where", path.name), **details)


def check_regular(path: Path) -> int:
    """Size of a file in bytes, once it is known to be a readable regular file.

    Raises:
        InputError: it is missing, a folder, a device, or unreadable.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            refuse("FILE_KIND", "not a regular file", path, allowed="a file", fix="name the file itself")
        with path.open("rb"):
            return status.st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        refuse(
            "FILE_UNREADABLE", "the file cannot be read", path, observed=reason, fix="check path and rights"
        )


def check_parquet(path: Path) -> None:
    """Refuse what is not a parquet file by its first and last bytes, before anything is loaded."""
    size = check_regular(path)
    head, tail = _edges(path, size, 4, 8)
    footer_bytes = int.from_bytes(tail[:4], "little") if len(tail) == 8 else -1
    sound = size >= 12 and head == _PARQUET_MAGIC and tail[4:] == _PARQUET_MAGIC
    if not sound or not 0 < footer_bytes <= size - 12:
        refuse(
            "FILE_MAGIC",
            "not a parquet file",
            path,
            observed=f"{size} bytes, first {head!r}, last {tail[4:]!r}",
            allowed="a parquet file: it begins and ends with PAR1 around its footer",
            fix="name the parquet file, or choose the --format that fits",
        )


def check_decodes(path: Path) -> None:
    """Read a parquet file once in a child process, and refuse it where that dies.

    A damaged page can abort the decoder's whole process, which no exception handler survives: better a
    child's than ours.
    """
    check_parquet(path)
    program = "import sys, polars; polars.read_parquet(sys.argv[1], glob=False)"
    child = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, check=False, timeout=_DECODE_S_MAX
    )
    if child.returncode != 0:
        last = child.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        refuse(
            "FILE_DAMAGED",
            "the parquet file cannot be decoded",
            path,
            observed=last[0] if last else f"the decoder died with status {child.returncode}",
            allowed="a parquet file whose pages decode",
            fix="fetch it again",
        )


def read_json(path: Path, bytes_max: int = JSON_BYTES_MAX) -> Any:
    """The JSON document in a file, by the letter of the standard.

    Refused: more than `bytes_max` bytes, invalid UTF-8, NaN or Infinity, numbers beyond a float, a key twice
    in one object, nesting beyond the interpreter's depth. Its edges are judged before the file is loaded.

    Raises:
        InputError: the file is not such a document.
    """
    size = check_regular(path)
    allowed = f"a JSON list or object of at most {bytes_max} bytes"
    if size > bytes_max:
        refuse(
            "FILE_SIZE",
            "the file is too large",
            path,
            observed=f"{size} bytes",
            allowed=allowed,
            fix="split it",
        )
    head, tail = (edge.strip() for edge in _edges(path, size, _EDGE_BYTES, _EDGE_BYTES))
    if head[:1] not in (b"[", b"{") or tail[-1:] not in (b"]", b"}"):
        refuse(
            "FILE_MAGIC",
            "not a JSON list or object" if size else "the file is empty",
            path,
            observed=f"{size} bytes, first {head[:8]!r}, last {tail[-8:]!r}",
            allowed=allowed,
            fix="name the JSON file, or choose the --format that fits",
        )
    return parse_json(read_text(path, bytes_max), path)


def read_text(path: Path, bytes_max: int = JSON_BYTES_MAX) -> str:
    """The text of a file in UTF-8.

    Raises:
        InputError: no regular file, too large, or not UTF-8.
    """
    size = check_regular(path)
    if size > bytes_max:
        allowed = f"at most {bytes_max} bytes"
        refuse("FILE_SIZE", "the file is too large", path, observed=f"{size} bytes", allowed=allowed)
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        refuse("FILE_UNREADABLE", "the file cannot be read", path, observed=error.strerror)
    except UnicodeDecodeError as error:
        refuse("FILE_TEXT", "invalid UTF-8", path, observed=f"byte {error.start}", allowed="UTF-8 text")


def parse_json(text: str, path: Path, where: str = "") -> Any:
    """A JSON document by the letter of the standard, as `read_json`; `where` names its place in the file.

    Raises:
        InputError: the text is not such a document.
    """
    place = {"where": f"{path.name}, {where}"} if where else {}
    try:
        return json.loads(
            text,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        allowed = "a list of flat objects"
        refuse("JSON_DEPTH", "nested too deeply", path, allowed=allowed, fix="check the source", **place)
    except ValueError as error:
        allowed = "standard JSON"
        refuse(
            "JSON_INVALID",
            "invalid JSON",
            path,
            observed=error,
            allowed=allowed,
            fix="correct the file",
            **place,
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _edges(path: Path, size: int, head_bytes: int, tail_bytes: int) -> tuple[bytes, bytes]:
    try:
        with path.open("rb") as file:
            head = file.read(head_bytes)
            file.seek(max(size - tail_bytes, 0))
            return head, file.read(tail_bytes)
    except OSError as error:
        refuse("FILE_UNREADABLE", "the file cannot be read", path, observed=error.strerror)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number beyond a float: {text[:40]}")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"integer beyond 64 bits: {text[:40]}")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} occurs twice in one object")
    return found
