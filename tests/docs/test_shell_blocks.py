"""Every shell block of the README and the docs is run as it stands, each page in a folder of its own.

Blocks that need an exchange meet one on the loopback; those that a test cannot run carry their reason, here
for the README and in a comment for the docs, and are counted.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from docs.making.blocks import Block, blocks, lacking
from docs.making.scanning import ROOT
from tests.exchanges.hyperliquid_words import WALLET
from tests.hedger.verbs.places import PLACES
from tests.planted import KEY, PASSPHRASE, SECRET, SIGNING_KEY
from tests.warm import command

DOCS = ROOT / "docs"
PATIENCE_S = 100.0
#: Blocks of the README that are not run as they stand, by their first line. That page carries no marks.
README_NOT_RUN = {
    "make demo        # makes .venv from the lock, then runs the whole loop on a simulated market: "
    "no keys, no internet": "make is what runs this test; the verb behind it is run in the tutorial",
    ".venv/bin/hedger tape import chain.parquet --format deribit-chain --size-at-touch BTC=10,ETH=100 "
    "--out tape": "it needs a recorded chain; run below where there is one",
}
#: A README's blocks without a language: what begins so is typed.
_TYPED = ("make ", ".venv/bin/", "hedger ", "python -m ")
#: The page whose commands are the installed ones; other pages' are forked from a process with their imports.
INSTALLED = "docs/how-to/set-up.md"
#: How many blocks may be left out, so that the list cannot grow unseen.
NOT_RUN_MOST = 17


def pages() -> list[str]:
    return sorted(p.relative_to(ROOT).as_posix() for p in (*DOCS.rglob("*.md"), ROOT / "README.md"))


def shell_blocks(name: str) -> list[Block]:
    found = blocks(ROOT / name, name)
    if name == "README.md":
        for block in found:
            if block.language == "" and block.text.startswith(_TYPED):
                block.language = "sh"
                first = block.text.splitlines()[0]
                if first in README_NOT_RUN:
                    block.marks["not run"] = README_NOT_RUN[first]
    return found


#: Pages with something to run.
RUN = [name for name in pages() if any(b.shell and "not run" not in b.marks for b in shell_blocks(name))]


def test_what_is_not_run_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = [b for name in pages() for b in shell_blocks(name) if b.shell and "not run" in b.marks]
    with capsys.disabled():
        for block in left_out:
            print(f"\nnot run: {block}: {block.marks['not run']}", end="")
    assert all(len(block.marks["not run"]) > 10 for block in left_out)
    assert len(left_out) <= NOT_RUN_MOST
    typed = {b.text.splitlines()[0] for b in shell_blocks("README.md") if b.shell}
    assert set(README_NOT_RUN) <= typed, "the README has other blocks now"


@pytest.mark.parametrize("name", RUN)
def test_page(name: str, tmp_path: Path) -> None:
    ran, found = 0, shell_blocks(name)
    tmp_path.chmod(0o700)
    with ExitStack() as exchanges:
        env = environment(tmp_path, warm=name != INSTALLED)  # one page starts the command as a reader does
        for block in found:
            if "-STOP" in block.text:  # what is stopped must be the engine itself
                block.text = block.text.replace("hedger run", f"{Path(sys.executable).parent}/hedger run")
        for group in groups(found):
            for block in group:
                if "file" in block.marks:
                    (tmp_path / block.marks["file"]).write_text(block.text)
            typed = [b for b in group if b.shell and "not run" not in b.marks]
            for block in typed:
                if "exchange" in block.marks:
                    env |= exchanges.enter_context(exchange(block.marks["exchange"]))
            if typed:
                run(typed, tmp_path, env)
                ran += len(typed)
    assert ran


def groups(found: list[Block]) -> Iterator[list[Block]]:
    """Blocks that one shell runs, so that what a page leaves in the background lives from block to block.

    A file block or an exchange begins a new shell.
    """
    group: list[Block] = []
    for block in found:
        if group and ("file" in block.marks or "exchange" in block.marks):
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def run(typed: list[Block], folder: Path, env: Mapping[str, str]) -> None:
    """Run blocks in one shell; each must end well and print what the page says."""
    parts = [f"echo '\x02{n}'\n{block.text}" for n, block in enumerate(typed)]
    words = ["bash", "-euo", "pipefail", "-c", "\n".join(parts)]
    with subprocess.Popen(
        words, cwd=folder, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True,
    ) as shell:  # fmt: skip
        try:
            printed, _ = shell.communicate(timeout=PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):  # what a page leaves in the background ends with it
                os.killpg(shell.pid, signal.SIGKILL)
    outputs = re.split(r"\x02\d+\n", printed)[1:]
    assert shell.returncode == 0, f"{typed[max(len(outputs) - 1, 0)]}:\n{printed[-3000:]}"
    for block, output in zip(typed, outputs, strict=True):
        assert not lacking(block.printed, output), (
            f"{block}: {lacking(block.printed, output)}\n{output[-2000:]}"
        )


def environment(folder: Path, *, warm: bool = False) -> dict[str, str]:
    """The installed `hedger` on the path (warm: what stands for it), a home of its own, keys of nobody."""
    names = ("DERIBIT", "OKX", "BYBIT", "BINANCE", "HYPERLIQUID")
    keys = {f"{n}_KEY": KEY for n in names} | {f"{n}_SECRET": SECRET for n in names}
    keys |= {"OKX_PASSPHRASE": PASSPHRASE, "HYPERLIQUID_WALLET": WALLET, "HYPERLIQUID_SECRET": SIGNING_KEY}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if warm:
        path = os.pathsep.join([str(Path(command()).parent), path])
    kept = {k: v for k, v in os.environ.items() if k in ("LANG", "LC_ALL", "NUMBA_CACHE_DIR", "TMPDIR")}
    return {
        **kept,
        **keys,
        "PATH": path,
        "HOME": str(folder),
        "TERM": "dumb",
    }


@contextmanager
def exchange(venue: str) -> Iterator[dict[str, str]]:
    """An exchange on the loopback until the page ends, and where a configuration finds it."""
    spot = replace(PLACES["binanceusdm"], venue="binance")  # the same exchange, another part of it
    place = {**PLACES, "binance": spot}[venue]
    with place.opened() as opened:
        yield {f"HEDGER__VENUES__{venue.upper()}__URL": place.address(opened.host)}


def test_the_readme_imports_a_recorded_chain(tmp_path: Path) -> None:
    """The README's second block, on the chain of that month where recorded data lie beside the project."""
    data = os.environ.get("HEDGER_DATA")
    chain = Path(data or "/nowhere", "options", CHAIN)
    if data is None or not chain.is_file():
        pytest.skip(f"needs HEDGER_DATA with options/{CHAIN}")
    block = next(b for b in shell_blocks("README.md") if b.text.startswith(".venv/bin/hedger tape import"))
    book = next(b for b in blocks(ROOT / "README.md", "README.md") if b.text.startswith("venue,symbol"))
    (tmp_path / "book.csv").write_text(book.text)
    shutil.copy(chain, tmp_path / "chain.parquet")
    block.text = block.text.replace(".venv/bin/hedger", "hedger")
    run([block], tmp_path, environment(tmp_path, warm=True))


CHAIN = "deribit_chain_6h_2026-02.parquet"


def test_a_block_that_fails_or_prints_something_else_is_found(tmp_path: Path) -> None:
    good = Block("page", 1, "sh", "echo mode armed\n", {}, "mode armed: 12\n")
    for bad in (
        Block("page", 9, "sh", "false\n", {}),
        Block("page", 9, "sh", "echo mode observe\n", {}, "mode armed\n"),
        Block("page", 9, "sh", "nowhere-to-be-found | cat\n", {}),
    ):
        with pytest.raises(AssertionError, match="page:9"):
            run([good, bad], tmp_path, environment(tmp_path))
