"""Which build it is: the same sources are the same build wherever they lie, any other are another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import hedger
from hedger.build import PACKAGES, digest_of, release, this_build
from hedger.cli import main
from pricing.errors import InputError


def sources(folder: Path) -> Path:
    """Four small packages."""
    for package in PACKAGES:
        (folder / package / "inner").mkdir(parents=True)
        (folder / package / "__init__.py").write_text("a = 1\n")
        (folder / package / "inner" / "more.py").write_text(f"b = '{package}'\n")
    return folder


def test_a_copy_is_the_same_build_and_what_is_no_source_does_not_count(tmp_path: Path) -> None:
    first = sources(tmp_path / "one")
    shutil.copytree(first, tmp_path / "elsewhere" / "two")
    (tmp_path / "elsewhere" / "two" / "hedger" / "__pycache__").mkdir()
    (tmp_path / "elsewhere" / "two" / "hedger" / "__pycache__" / "more.cpython-311.pyc").write_bytes(b"x")
    (tmp_path / "elsewhere" / "two" / "hedger" / "notes.md").write_text("x")
    assert digest_of(tmp_path / "elsewhere" / "two") == digest_of(first)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_byte_a_name_or_a_module_more_is_another_build(tmp_path: Path, package: str) -> None:
    folder = sources(tmp_path)
    seen, file = {digest_of(folder)}, folder / package / "inner" / "more.py"
    file.write_text(file.read_text() + "#")
    seen.add(digest_of(folder))
    file.rename(file.with_name("other.py"))
    seen.add(digest_of(folder))
    (folder / package / "empty.py").touch()
    seen.add(digest_of(folder))
    assert len(seen) == 4


def test_what_moves_from_one_module_to_the_next_is_seen(tmp_path: Path) -> None:
    """Two files with the same bytes one after the other, parted elsewhere."""
    folder = sources(tmp_path)
    one, two = folder / "risk" / "inner" / "x.py", folder / "risk" / "inner" / "y.py"
    one.write_text("ab")
    two.write_text("c")
    before = digest_of(folder)
    one.write_text("a")
    two.write_text("bc")
    assert digest_of(folder) != before


def test_a_build_that_cannot_be_told_is_none(tmp_path: Path) -> None:
    folder = sources(tmp_path)
    shutil.rmtree(folder / "venues")
    with pytest.raises(InputError, match="BUILD_UNKNOWN"):
        digest_of(folder)


def test_this_build_is_of_the_sources_that_run(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(hedger.__file__).resolve().parent.parent
    assert this_build() == f"{release()}+{this_build().partition('+')[2]}"
    assert re.fullmatch(r"[0-9][0-9a-z.]*\+[0-9a-f]{16}", this_build())
    assert digest_of(root) == digest_of(root)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hedger {this_build()}\n"
