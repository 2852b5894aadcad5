"""The image, as far as it can be judged without building it: what it says, and its steps done here.

The Dockerfile is read word by word. Then its steps are done with the packages that are installed here: the
project is built from what is copied and from nothing else, and it runs beside the packages of the image's own
lock file and no others, as a user without a home.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction of the Dockerfile, its continuation lines joined."""

    word: str
    rest: str
    stage: int

    @property
    def flags(self) -> list[str]:
        return [part for part in self.rest.split() if part.startswith("--")]

    @property
    def names(self) -> list[str]:
        return [part for part in self.rest.split() if not part.startswith("--")]


def steps() -> list[Step]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found, stage = [], 0
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage += word == "FROM"
            found.append(Step(word, " ".join(rest.split()), stage))
    return found


STEPS = steps()
FINAL = [step for step in STEPS if step.stage == 2]


def copied() -> list[str]:
    """What leaves this tree for the builder."""
    own = [step for step in STEPS if step.word == "COPY" and "--from=build" not in step.flags]
    return [name.rstrip("/") for step in own for name in step.names[:-1]]


# --------------------------------------------------------------------------------------------- as it says


def test_it_runs_as_a_user_with_a_number_who_is_not_root() -> None:
    users = [step.rest for step in FINAL if step.word == "USER"]
    assert users == ["10001:10001"]
    after = FINAL[[step.word for step in FINAL].index("USER") :]
    assert [step.word for step in after if step.word in ("RUN", "COPY", "ADD")] == []


def test_nothing_is_fetched_but_what_has_a_hash() -> None:
    assert [step for step in STEPS if step.word == "ADD"] == []
    assert not any(re.search(r"https?:|curl|wget|apt|git clone", step.rest) for step in STEPS)
    commands = [part for step in STEPS if step.word == "RUN" for part in step.rest.split("&&")]
    pips = [part for part in commands if " install " in part and "pip" in part]
    assert len(pips) == 3
    for part in pips:
        assert ("--require-hashes" in part and "-r deploy/" in part) or "--no-index" in part
        assert "--no-deps" in part


def test_nothing_that_builds_stays() -> None:
    assert [step.rest for step in FINAL if step.word == "COPY"] == ["--from=build /opt/hedger /opt/hedger"]
    runs = " ".join(step.rest for step in FINAL if step.word == "RUN")
    assert "pip uninstall --yes --root-user-action ignore setuptools wheel pip" in runs
    assert not re.search(r"\binstall (?!-d)|gcc|make", runs.replace("pip uninstall", ""))
    assert "--without-pip" in next(step.rest for step in STEPS if step.word == "RUN")


def test_only_the_named_parts_of_the_tree_reach_the_builder() -> None:
    assert set(copied()) == {
        *("deploy/requirements.lock", "deploy/build.lock", "pyproject.toml", "README.md", "LICENSE"),
        *("pricing", "risk", "venues", "hedger"),
    }
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied())


def test_no_secret_is_in_it() -> None:
    secret = re.compile(r"key|secret|passw|token|credential", re.IGNORECASE)
    assert [step for step in STEPS if step.word in ("ENV", "ARG", "LABEL") and secret.search(step.rest)] == []
    files = [path for part in copied() for path in (ROOT / part).rglob("*")]
    assert [path for path in files if path.suffix in (".pem", ".env", ".key")] == []


def test_all_that_it_writes_is_in_the_volume_and_its_health_is_the_engines() -> None:
    said = {step.word: step.rest for step in FINAL}
    assert said["VOLUME"] == said["WORKDIR"] == "/var/lib/hedger"
    assert "NUMBA_CACHE_DIR=/var/lib/hedger/cache" in said["ENV"]
    assert "hedger status --json | grep -q '\"running\": true'" in said["HEALTHCHECK"]
    assert (said["ENTRYPOINT"], said["CMD"]) == ('["hedger"]', '["run"]')
    assert "--cap-drop ALL" in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_the_services_can_write_nowhere_else_and_are_not_restarted_by_themselves() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    assert services.keys() == {"engine", "alerts"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "ports", "environment", "user"} & service.keys()
        assert service["build"]["dockerfile"] == "deploy/Dockerfile"
    assert services["engine"]["restart"] == "no"


# --------------------------------------------------------------------------------------------- done here


def test_the_locks_are_cut_from_the_projects_own() -> None:
    words = [sys.executable, str(DEPLOY / "lock.py"), "--check"]
    assert subprocess.run(words, capture_output=True, text=True).stderr == ""


def pinned(name: str) -> list[str]:
    text = (DEPLOY / name).read_text("ascii")
    return re.findall(r"^([a-z0-9-]+)==", text, flags=re.MULTILINE)


def test_nothing_that_tests_or_builds_is_in_the_images_lock() -> None:
    beside = {
        "pytest",
        "mypy",
        "ruff",
        "hypothesis",
        "marimo",
        "mkdocs",
        "setuptools",
        "pip",
        "import-linter",
    }
    assert beside.isdisjoint(pinned("requirements.lock"))
    assert pinned("build.lock") == ["setuptools"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What /opt/hedger would hold: the packages of the lock, and the project built from what is copied."""
    room = tmp_path_factory.mktemp("image")
    source, out = room / "src", room / "lib"
    out.mkdir()
    for part in copied():
        to = source / part
        to.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, to, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(ROOT / part, to)
    words = [
        "-m",
        "pip",
        "wheel",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        "dist",
        ".",
    ]
    subprocess.run([sys.executable, *words], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("hedger-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(out)
    for name in pinned("requirements.lock"):
        found = metadata.distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (out / top).exists():
                (out / top).symlink_to(Path(str(found.locate_file(top))))
    return out


def run(image: Path, volume: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The program as the image runs it: no site-packages but the image's, no home, an empty environment."""
    environment = {
        "PYTHONPATH": str(image),
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(volume / "cache")),
        "MPLCONFIGDIR": str(volume),
        "HOME": "/nonexistent",
        "PATH": "/usr/bin:/bin",
    }
    program = [sys.executable, "-S", "-m", "hedger", *words]
    return subprocess.run(program, cwd=volume, env=environment, capture_output=True, text=True, timeout=120)


def test_the_images_packages_are_all_that_the_program_needs(image: Path, tmp_path: Path) -> None:
    every = (
        "import importlib, json, pathlib, pkgutil, sys\n"
        "ours = lambda p: pkgutil.walk_packages(p.__path__, p.__name__ + '.')\n"
        "import hedger, pricing, risk, venues\n"
        "names = [m.name for p in (hedger, pricing, risk, venues)\n"
        "         for m in ours(p) if not m.name.endswith('__main__')]\n"
        "for name in names: importlib.import_module(name)\n"
        "import apprise, keyring, textual, plotly, matplotlib\n"
        "print(json.dumps([len(names), sorted({str(pathlib.Path(m.__file__).is_relative_to(sys.argv[1]))\n"
        "                  for n, m in sys.modules.items() if n.split('.')[0] == 'hedger'})]))\n"
    )
    environment = {"PYTHONPATH": str(image), "HOME": "/nonexistent"}
    environment |= {"NUMBA_CACHE_DIR": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    words = [sys.executable, "-S", "-c", every, str(image)]
    ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    number, ours = json.loads(ran.stdout)
    assert number > 300
    assert ours == ["True"]


def test_the_program_runs_from_the_image_and_ships_its_tables(image: Path, tmp_path: Path) -> None:
    status = run(image, tmp_path, "status", "--json")
    assert (status.returncode, status.stdout) == (2, "")  # no journal: not healthy
    for package, name in (("hedger", "tables"), ("venues", "tables"), ("venues", "wire")):
        own = {path.name for path in (ROOT / package / name).glob("*.toml")}
        assert own and own == {path.name for path in (image / package / name).glob("*.toml")}
