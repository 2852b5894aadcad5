"""What all tests share: the market data that lie outside the tree, and how hypothesis draws."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hedger.runs.lasting import set_aside

settings.register_profile(
    "here",
    deadline=None,  # a shared machine is slow at times; no test asserts a time
    max_examples=100,
    database=None,  # a failure prints its example; nothing is kept between runs
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure(config: pytest.Config) -> None:
    """Every session plants secrets, and fails if one of them was written down anywhere.

    What it runs has a pipe's width: readline in the process that starts the workers tells them a terminal's.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    config.pluginmanager.import_plugin("tests.canary")


def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors: for nearly half of their time tests wait for processes and exchanges."""
    return 2 * (os.cpu_count() or 1)


#: Where tests start processes and exchanges, and wait for them more than they compute.
_WAITING = ("tests/docs/", "tests/exchanges/", "tests/hedger/engine/", "tests/hedger/verbs/", "tests/story/")
#: By then, of a session's tests, the last file of those has begun: no worker is alone with one at the end.
_BEGUN_BY = 0.8


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait among those that compute, so that some worker always computes."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    names = sorted(files, key=lambda name: name.rpartition("/")[2])  # no folder has all its files in a row
    waiting = [name for name in names if name.startswith(_WAITING)]
    place = {name: _BEGUN_BY * at / len(waiting) for at, name in enumerate(waiting)}
    others, before = [name for name in files if name not in place], 0
    total = sum(len(files[name]) for name in others)
    for name in others:
        place[name] = before / total
        before += len(files[name])
    items[:] = [item for name in sorted(place, key=place.__getitem__) for item in files[name]]


@pytest.fixture(scope="session", autouse=True)
def _what_lasts() -> Iterator[None]:
    """The session's tests are what lasts: nobody looks them over again, and no run that a test starts in this
    process begins with that."""
    with set_aside():
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder HEDGER_DATA names; the test is skipped, with the reason, where it is not set."""
    named = os.environ.get("HEDGER_DATA")
    if not named:
        pytest.skip("HEDGER_DATA is not set: the shared market data is absent")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"HEDGER_DATA names {named}, which is not a folder; unset it or name the shared data")
    return folder
