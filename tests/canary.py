"""Secrets that are planted at the start of a test session, and a search for them in every byte it wrote.

Three places, as a desk keeps its keys: the environment, a file with mode 0600, the keyring. At the end every
file below the session's temporary folder is searched (journals, logs, tapes, command files, books, reports,
whatever a process that was started there wrote), and so is what tests printed, logged and failed with. The
place for temporary files, which all processes of the session inherit, is a folder of its own meanwhile, and
searched likewise. One finding fails the session. A secret is looked for as it stands and as base64,
hexadecimal, URL-quoted, escaped for JSON and as UTF-16, each in halves: a page of a database, a clipped line
or a column's width may have cut it. Columns of text in parquet files and what is packed by gzip or zip are
read first.

Only these words are searched for: a test that writes a secret on purpose uses another one.
"""

from __future__ import annotations

import base64
import errno
import gzip
import json
import logging
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from multiprocessing.util import get_temp_dir
from pathlib import Path
from urllib.parse import quote, quote_plus

import polars as pl
import pytest

from tests.planted import KEY, PASSPHRASE, SECRET, SIGNING_KEY, PlantedKeyring

ENVIRONMENT = "HEDGER_CANARY_SECRET"
FILE = "HEDGER_CANARY_FILE"
_BACKEND = "PYTHON_KEYRING_BACKEND"
#: Where this process and its children put temporary files, and where pytest keeps its own.
_TEMPORARY, _PYTEST_OWN = "TMPDIR", "PYTEST_DEBUG_TEMPROOT"

#: So many characters of a secret are one that has leaked.
_PART_MIN = 10
#: Of larger files with holes, what was written alone is searched; the block of `st_blocks`, whatever the file
#: system's own are.
_LARGE, _BLOCK = 64 * 2**20, 512
#: So much of what small cells hold is searched in one go.
_AT_ONCE = 4 * 2**20
_SQLITE = b"SQLite format 3\0"
_ZIPPED = (b"\x1f\x8b", b"PK\x03\x04")


def spellings(secret: str) -> frozenset[bytes]:
    """A secret as it may stand in a file, in halves.

    >>> b"canary-secret-93" in {s[:16] for s in spellings(SECRET)}
    True
    """
    plain = secret.encode()
    texts = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}
    found = {text.encode() for text in texts} | {secret.encode("utf-16-le"), secret.encode("utf-16-be")}
    found |= {plain.hex().encode(), plain.hex().upper().encode()}
    packable = [plain]
    if secret.startswith("0x"):  # its digits, in either case, and the bytes that they stand for
        digits = secret[2:]
        found |= {digits.encode(), digits.upper().encode(), bytes.fromhex(digits)}
        packable.append(bytes.fromhex(digits))
    for unpacked in packable:
        for ahead in range(3):  # where base64 begins in the middle of three bytes
            packed = base64.b64encode(b"\0" * ahead + unpacked)[(0, 2, 3)[ahead] :].rstrip(b"=")[:-1]
            found |= {packed, packed.translate(bytes.maketrans(b"+/", b"-_"))}
    halves = {half for word in found for half in (word[: len(word) // 2], word[len(word) // 2 :])}
    return frozenset(half for half in halves if len(half) >= _PART_MIN)


#: The name of each secret, and what is searched for.
WANTED = {
    name: spellings(secret)
    for name, secret in (
        ("key", KEY),
        ("secret", SECRET),
        ("passphrase", PASSPHRASE),
        ("signing key", SIGNING_KEY),
    )
}


def leaked(data: bytes | str) -> tuple[str, ...]:
    """The names of the secrets that stand in this, however they are spelt.

    >>> leaked("nothing"), leaked(f"x{SECRET}x"), leaked(base64.b64encode(SECRET.encode()))
    ((), ('secret',), ('secret',))
    """
    text = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return tuple(name for name, words in WANTED.items() if any(word in text for word in words))


def leaks_below(folder: Path) -> list[str]:
    """The files below a folder that a secret stands in, "path: which"; a file's name counts, too."""
    found = []
    for path in sorted(folder.rglob("*")):
        names = set(leaked(str(path.relative_to(folder))))
        if path.is_file() and not path.is_symlink():
            for part in _contents(path):
                names.update(leaked(part))
        if names:
            found.append(f"{path.relative_to(folder)}: {', '.join(sorted(names))}")
    return found


def _contents(path: Path) -> Iterator[bytes]:
    """A file as it stands, and what is packed in it."""
    try:
        info = path.stat()
        if (
            info.st_size > _LARGE and info.st_blocks * _BLOCK < info.st_size
        ):  # a gigabyte that nobody wrote takes minutes to search
            yield from _extents(path)
            return
        data = path.read_bytes()
    except OSError:  # a test took the right to read away from itself, or it is gone
        return
    yield data
    if path.suffix == ".parquet":
        yield from _columns(path)
    elif data.startswith(_SQLITE):
        yield from _cells(path)
    elif data.startswith(_ZIPPED):
        yield from _unpacked(path, data)


def _extents(path: Path) -> Iterator[bytes]:
    """What was written of a file with holes, each stretch by itself."""
    with path.open("rb", buffering=0) as file:
        end = 0
        while True:
            try:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but holes from here on
                    return
                raise
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            os.lseek(file.fileno(), begin, os.SEEK_SET)
            yield file.read(end - begin)


def _columns(path: Path) -> Iterator[bytes]:
    """Each text of a parquet file once; nothing of one that a test has damaged."""
    try:
        frame = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError):
        return
    for series in frame.select(pl.col(pl.String, pl.Categorical, pl.Binary)).get_columns():
        yield from _joined(v if isinstance(v, bytes) else str(v).encode() for v in series.unique().to_list())


def _cells(path: Path) -> Iterator[bytes]:
    """Each text of a database whole: in the file a long one is cut into pages."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
            base.text_factory = bytes
            tables = [
                row[0].decode() for row in base.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            for table in tables:
                rows = base.execute(f'SELECT * FROM "{table}"')
                yield from _joined(cell for row in rows for cell in row if isinstance(cell, bytes))
    except sqlite3.Error:  # damaged on purpose; its bytes were searched
        return


def _joined(values: Iterable[bytes]) -> Iterator[bytes]:
    """Values whole, some megabytes at a time: a search costs the same for ten bytes as for ten thousand."""
    held: list[bytes] = []
    size = 0
    with suppress(sqlite3.Error):  # damaged on purpose: what was read before counts
        for value in values:
            held.append(value)
            size += len(value)
            if size > _AT_ONCE:
                yield b"\n".join(held)
                held, size = [], 0
    yield b"\n".join(held)


def _unpacked(path: Path, data: bytes) -> Iterator[bytes]:
    try:
        if data.startswith(_ZIPPED[0]):
            yield gzip.decompress(data)
        else:
            with zipfile.ZipFile(path) as archive:
                yield from (archive.read(name) for name in archive.namelist())
    except (OSError, EOFError, zipfile.BadZipFile, RuntimeError):
        return


# -------------------------------------------------------------------------------------- the session's plugin


class Watch:
    """Plants the secrets, and fails a session that has written one down."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        names = (ENVIRONMENT, FILE, _BACKEND, _TEMPORARY, _PYTEST_OWN)
        self._before = {name: os.environ.get(name) for name in names}
        outside = os.environ.get(_PYTEST_OWN) or tempfile.gettempdir()
        self._vault = Path(tempfile.mkdtemp(prefix="vault-", dir=outside))  # searched by no session
        get_temp_dir()  # of sockets: who made it removes it when this process ends, which is later than we do
        self._temporary = Path(tempfile.mkdtemp(prefix="temporary-"))
        self._tempdir, tempfile.tempdir = tempfile.tempdir, str(self._temporary)
        self.found: list[str] = []
        file = self._vault / "secret"
        file.write_text(SECRET)
        file.chmod(0o600)
        os.environ |= {
            ENVIRONMENT: SECRET,
            FILE: str(file),
            _BACKEND: f"{PlantedKeyring.__module__}.{PlantedKeyring.__name__}",
            _TEMPORARY: str(self._temporary),
            _PYTEST_OWN: outside,
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What a test printed, logged, or failed with."""
        texts = [*(text for _, text in report.sections), report.longreprtext, report.nodeid]
        if names := leaked("\n".join(texts)):
            self.found.append(f"{report.nodeid}, output of its {report.when}: {', '.join(names)}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search what was written, before anything of it is removed."""
        if hasattr(session.config, "workerinput"):  # the session that sent this worker looks at its files
            return
        for folder in self._folders():
            self.found += [f"{folder.name}/{leak}" for leak in leaks_below(folder)]
        if self.found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where."""
        if self.found:
            terminalreporter.section("a planted secret was written down", red=True, bold=True)
            for line in self.found:
                terminalreporter.line(line)

    def pytest_unconfigure(self) -> None:
        """Leave the environment as it was."""
        shutil.rmtree(self._vault, ignore_errors=True)
        tempfile.tempdir = self._tempdir
        if not hasattr(self._config, "workerinput"):  # a worker's is searched by the session that sent it
            shutil.rmtree(self._temporary, ignore_errors=True)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _folders(self) -> Iterable[Path]:
        factory = getattr(self._config, "_tmp_path_factory", None)
        base = getattr(factory, "_basetemp", None)  # None: no test asked for a folder
        cache = self._config.rootpath / ".pytest_cache"
        places = (base, cache, self._temporary)
        return [folder for folder in places if folder is not None and folder.is_dir()]


def pytest_configure(config: pytest.Config) -> None:
    """Plant them."""
    if not config.pluginmanager.has_plugin("canary"):
        config.pluginmanager.register(Watch(config), "canary")


@pytest.fixture
def all_logged() -> Iterator[list[logging.LogRecord]]:
    """Every record that reaches a handler of the root logger while it and all it knows are at DEBUG."""
    records: list[logging.LogRecord] = []
    root, sink = logging.getLogger(), _Keep(records)
    level = root.level
    root.addHandler(sink)
    root.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.removeHandler(sink)
        root.setLevel(level)


class _Keep(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._records.append(record)
