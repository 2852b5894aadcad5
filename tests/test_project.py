"""The project keeps its own promises: docstrings, clean lock files, a light first step."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pricing", "risk", "venues", "hedger")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = {"numpy", "scipy", "highspy", "polars", "pandas", "ccxt", "rich", "pydantic", "asyncio"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_ships_its_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def requirements(name: str) -> list[str]:
    """The requirements of a lock file, each with its continuation lines joined."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-bench.lock"])
def test_a_lock_pins_by_version_and_hash_and_names_no_place(name: str) -> None:
    pinned = re.compile(r"[a-z0-9-]+==[^ ;]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    lines = requirements(name)
    assert lines
    assert [line for line in lines if not pinned.fullmatch(line)] == []
    assert [line for line in lines if "/" in line or "@" in line] == []


def test_the_locks_agree() -> None:
    base, peers = (
        dict(line.split()[0].split("==") for line in requirements(name))
        for name in ("requirements.lock", "requirements-bench.lock")
    )
    shared = base.keys() & peers.keys()
    assert {name: peers[name] for name in shared} == {name: base[name] for name in shared}


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import json, sys\n"
        "from hedger.cli import main\n"
        "sys.argv = ['hedger', '-h']\n"
        "try:\n"
        "    code = main()\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        "roots = sorted({name.split('.')[0] for name in sys.modules})\n"
        "print(json.dumps([code or 0, roots]), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    code, modules = json.loads(ran.stderr.splitlines()[-1])
    assert code == 0
    assert "usage" in ran.stdout.lower()
    assert HEAVY.intersection(modules) == set()
