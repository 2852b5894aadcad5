"""A loopback Deribit beside the test, and the command line as a process: nothing here is patched."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hedger.cli import main
from tests.canary import leaked, leaks_below
from tests.exchanges.deribit import DEFAULT_SCOPES, deribit
from tests.exchanges.hyperliquid_words import WALLET
from tests.exchanges.server import Host, serve
from tests.exchanges.words import ApiKey
from tests.planted import KEY, PASSPHRASE, SECRET, SIGNING_KEY
from tests.warm import command

T = TypeVar("T")
#: What no byte that we write may contain.
CANARY_KEY, CANARY_SECRET = KEY, SECRET
PATIENCE_S = 60.0
WITHDRAWS = ("account:read_write", "trade:read_write", "wallet:read_write")


class Loopback:
    """An exchange in a thread of its own. Its state is only touched in that thread, by `do`."""

    def __init__(
        self,
        scopes: tuple[str, ...] = DEFAULT_SCOPES,
        step_s: float = 0.2,
        make: Callable[..., Any] = deribit,
        key: ApiKey | None = None,
    ) -> None:
        self._make, self._step_s = make, step_s
        self._key = key or ApiKey(CANARY_KEY, CANARY_SECRET, "desk", scopes=scopes)
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self.host: Host
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def do(self, what: Callable[[Host], T]) -> T:
        """Do something to the exchange, or look at it."""
        assert self._loop is not None

        async def work() -> T:
            return what(self.host)

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE_S)

    def close(self) -> None:
        """End it; raises what broke in it."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        dialect, world = self._make(key=self._key)
        async with serve(dialect) as host:
            self.host, self._loop = host, asyncio.get_running_loop()
            self._ready.set()
            while not self._stop.is_set():
                try:
                    await asyncio.wait_for(self._stop.wait(), self._step_s)
                except TimeoutError:
                    world.step(self._step_s)


@contextmanager
def loopback(scopes: tuple[str, ...] = DEFAULT_SCOPES) -> Iterator[Loopback]:
    """An exchange until the block ends."""
    exchange = Loopback(scopes)
    try:
        yield exchange
    finally:
        exchange.close()


def settings(folder: Path, url: str, *, run: str = "", top: str = "", keys: bool = True) -> Path:
    """A configuration of one venue, in a folder that nobody else can read. run, top: more of it."""
    folder.chmod(0o700)
    file = folder / "config.toml"
    names = 'key = "env:DESK_KEY"\nsecret = "env:DESK_SECRET"\n' if keys else ""
    file.write_text(f'{top}\n[run]\n{run}\n[venues.deribit]\nurl = "{url}"\n{names}')
    return file


def environment(secret: str = CANARY_SECRET) -> dict[str, str]:
    """Ours, with the keys of the account."""
    names = {"KEY": CANARY_KEY, "SECRET": secret, "PHRASE": PASSPHRASE, "SIGNING_KEY": SIGNING_KEY}
    names["WALLET"] = WALLET
    return {**os.environ, **{f"DESK_{name}": value for name, value in names.items()}}


def hedger(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One verb, to its end; what it wrote holds no secret."""
    ran = subprocess.run(
        [command(), *words],
        capture_output=True, text=True, timeout=PATIENCE_S, cwd=folder, env=env or environment(),
    )  # fmt: skip
    assert leaked(ran.stdout + ran.stderr) == ()
    assert "Traceback" not in ran.stderr
    return ran


def said(
    capsys: pytest.CaptureFixture[str], folder: Path, *words: str, secret: str = CANARY_SECRET
) -> subprocess.CompletedProcess[str]:
    """As `hedger`, in this process: a start costs more than most of what is looked at here."""
    capsys.readouterr()
    mask = os.umask(0o022)
    os.environ |= environment(secret)
    try:
        config = folder / "config.toml"
        more = ("--config", str(config)) if config.exists() else ()
        with chdir(folder):
            code = main([*words, *more])
    finally:
        os.umask(mask)
        for name in [name for name in os.environ if name.startswith("DESK_")]:
            del os.environ[name]
    out, err = capsys.readouterr()
    assert leaked(out + err) == ()
    return subprocess.CompletedProcess(words, code, out, err)


@contextmanager
def started(
    folder: Path, *words: str, warm: bool = False, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """One verb, running; gone when the block ends. What it writes goes to files in the folder.

    warm: it is forked, for a test that ends it in order or waits for its end (tests/warm.py).
    """
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            [*((command(),) if warm else (sys.executable, "-m", "hedger")), *words],
            stdout=out, stderr=err, text=True, cwd=folder, env=env or environment(),
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)


def document(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What --json printed."""
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def bytes_with_secrets(folder: Path) -> list[str]:
    """The files below a folder that a secret stands in."""
    return leaks_below(folder)
