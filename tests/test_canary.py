"""The search for planted secrets bites: a session that writes one down in any way fails and says where."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import keyring
import pytest

from tests.canary import ENVIRONMENT, FILE, leaked, leaks_below
from tests.planted import KEY, PASSPHRASE, SECRET, SERVICE, SIGNING_KEY, USER
from venues.secrets import SecretRef, read_secret

_HEAD = """
import base64, gzip, json, logging, os, sqlite3
from urllib.parse import quote
import polars as pl
from tests.planted import *
"""

#: How each test of a session of its own writes a secret down.
LEAKS = {
    "file": "(tmp_path / 'log').write_text(SECRET)",
    "middle": "(tmp_path / 'log').write_bytes(os.urandom(5000) + KEY.encode() + os.urandom(5000))",
    "half": "(tmp_path / 'log').write_text(SECRET[:18])",
    "base64": "(tmp_path / 'log').write_bytes(base64.b64encode(b'Basic ' + SECRET.encode()))",
    "hex": "(tmp_path / 'log').write_text(SECRET.encode().hex())",
    "quoted": "(tmp_path / 'log').write_text(quote(PASSPHRASE, safe=''))",
    "json": "(tmp_path / 'log').write_text(json.dumps({'error': SECRET}))",
    "signing key": "(tmp_path / 'log').write_bytes(bytes.fromhex(SIGNING_KEY[2:]))",
    "gzip": "(tmp_path / 'log.gz').write_bytes(gzip.compress(SECRET.encode()))",
    "parquet": "pl.DataFrame({'symbol': ['x' * 50, SECRET]}).write_parquet(tmp_path / 'q.parquet')",
    "database": (
        "c = sqlite3.connect(tmp_path / 'j'); c.execute('CREATE TABLE t (body TEXT)');"
        " c.execute('INSERT INTO t VALUES (?)', ('y' * 9000 + SECRET,)); c.commit(); c.close()"
    ),
    "holes": (
        "f = (tmp_path / 'log').open('wb'); f.truncate(2**32); f.seek(2**31 + 5000);"
        " f.write(SECRET.encode()); f.close()"
    ),
    "name": "(tmp_path / KEY.replace('/', '')).touch()",
    "printed": "print(SECRET)",
    "logged": "logging.getLogger('ccxt').warning('headers %s', {'key': KEY})",
    "child": "os.system('echo $HEDGER_CANARY_SECRET')",
    "elsewhere": "os.system(f'echo $HEDGER_CANARY_SECRET > $TMPDIR/{tmp_path.name}')",
    "traceback": "login = SECRET; raise ValueError(login)",
}


def session(text: str) -> subprocess.CompletedProcess[str]:
    """A test session of its own, whose files lie where no other session looks."""
    with tempfile.TemporaryDirectory() as folder:
        tests = Path(folder) / "test_leaks.py"
        tests.write_text(text)
        words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.canary", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*words, "-c", os.devnull, "--rootdir", folder, "--basetemp", f"{folder}/base", str(tests)],
            capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1],
        )  # fmt: skip


def test_a_session_that_writes_a_secret_down_fails_and_says_where() -> None:
    lines = [_HEAD]
    for number, leak in enumerate(LEAKS.values()):
        lines.append(f"def test_{number:02}(tmp_path):\n    {leak}")
    ran = session("\n".join(lines) + "\n")
    assert ran.returncode == 1
    _, head, told = ran.stdout.partition("a planted secret was written down")
    assert head, ran.stdout + ran.stderr
    lines = told.splitlines()
    missed = [
        name
        for number, name in enumerate(LEAKS)
        if not any(f"test_{number:02}" in line and ": " in line for line in lines)
    ]
    assert missed == []


def test_one_leak_is_enough_and_none_is_none() -> None:
    quiet = "def test_quiet(tmp_path):\n    (tmp_path / 'log').write_text('Secret(...)')\n"
    loud = f"{_HEAD}\ndef test_loud(tmp_path):\n    {LEAKS['file']}\n"
    assert session(quiet).returncode == 0
    ran = session(loud)
    assert ran.returncode == 1 and "1 passed" in ran.stdout


@pytest.mark.parametrize(
    "secret", [KEY, SECRET, PASSPHRASE, SIGNING_KEY], ids=["key", "secret", "phrase", "sign"]
)
def test_every_spelling_is_found_wherever_it_begins(secret: str) -> None:
    plain = secret.encode()
    for spelt in (
        secret,
        json.dumps([secret]),
        quote(secret),
        repr([secret]),
        plain.hex(),
        plain.hex().upper(),
    ):
        assert leaked(f"x{spelt}x"), spelt
    for ahead in range(6):
        packed = base64.b64encode(b"u" * ahead + plain + b"v" * ahead)
        assert leaked(packed) and leaked(packed.translate(bytes.maketrans(b"+/", b"-_"))), ahead
    assert leaked(secret.encode("utf-16")) and not leaked(secret[:6])


def test_what_is_planted_is_read_from_all_three_places_and_stays_there(tmp_path: Path) -> None:
    kept = os.environ[ENVIRONMENT]
    for ref in (f"file:{os.environ[FILE]}", f"keyring:{SERVICE}/{USER}"):
        assert read_secret(SecretRef.parse(ref)).reveal() == SECRET
    environment = {ENVIRONMENT: kept}
    assert read_secret(SecretRef.parse(f"env:{ENVIRONMENT}"), environment).reveal() == SECRET
    assert environment == {} and type(keyring.get_keyring()).__module__ == "tests.planted"
    assert leaks_below(tmp_path) == []
