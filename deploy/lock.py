"""Cuts the image's two lock files out of requirements.lock: what the program needs, and what builds it.

    python deploy/lock.py            writes deploy/requirements.lock and deploy/build.lock
    python deploy/lock.py --check    exit 1 if they are not what it would write

requirements.lock also pins what tests, types and docs need, and none of that belongs beside keys. What does
is found from pyproject.toml through the metadata of what is installed, so it runs in the project's own .venv;
lines and hashes are those of requirements.lock, letter by letter.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
#: The image: CPython 3.11 on Linux; markers are read for it.
IMAGE = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux", "extra": ""}
IMAGE |= {"platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython"}


def blocks(text: str) -> dict[str, str]:
    """The requirements of a lock file by name, each with its hashes."""
    starts = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {canonicalize_name(block.split("==")[0]): block for block in starts if block.strip()}


def needed(wanted: list[str]) -> set[str]:
    """The names of these requirements and of all that they need in turn."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in wanted]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({**IMAGE, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for part in ("", *sorted(requirement.extras)):
            if (name, part) not in seen:
                seen.add((name, part))
                more = metadata.distribution(name).requires or []
                waiting += [(Requirement(text), part) for text in more]
    return found


def locks() -> dict[str, str]:
    """The two files as they must be."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    lock = blocks((ROOT / "requirements.lock").read_text("ascii"))
    wanted = {
        "requirements.lock": needed(project["project"]["dependencies"]),
        "build.lock": needed(project["build-system"]["requires"]),
    }
    return {name: "".join(lock[part] for part in sorted(parts)) for name, parts in wanted.items()}


def main() -> int:
    """Write the files, or look whether they stand as they must."""
    files = {ROOT / "deploy" / name: text for name, text in locks().items()}
    if "--check" in sys.argv[1:]:
        stale = [path.name for path, text in files.items() if path.read_text("ascii") != text]
        if stale:
            print(f"out of date: {', '.join(stale)}; run `python deploy/lock.py`", file=sys.stderr)
        return bool(stale)
    for path, text in files.items():
        path.write_text(text, "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
