"""Which build of the program this is: its release, and a digest over the source that decides and sends.

Two processes that steer one account must be of one build (R11): a screen of last week's code beside an engine
of today's shows one thing and asks for another. The digest is over every module of the four packages, by name
and contents, so that a source tree, an installed package and an image of the same sources are one build; the
libraries are compared by themselves (`hedger doctor`). It takes some 20 ms, once a process, and is taken when
a process begins its work: sources that are exchanged on the disk later are not what it runs.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

from pricing.errors import InputError

PACKAGES = ("hedger", "pricing", "risk", "venues")
_DIGITS = 16


@cache
def this_build() -> str:
    """The build of this process, such as "0.1.0+5f0c...": release, and 16 hexadecimal digits of the digest.

    Raises:
        InputError: the sources are not there to be told apart.
    """
    return f"{release()}+{digest_of(Path(__file__).resolve().parent.parent)}"


def release() -> str:
    """The release as it was installed; "0" where the program runs without having been installed."""
    try:
        return metadata.version("hedger")
    except metadata.PackageNotFoundError:
        return "0"


def digest_of(folder: Path) -> str:
    """A digest over the modules of the four packages in a folder.

    Raises:
        InputError: one of the packages has none there.
    """
    whole = hashlib.sha256()
    for package in PACKAGES:
        files = sorted(
            (path.relative_to(folder).as_posix(), path) for path in (folder / package).rglob("*.py")
        )
        if not files:
            raise InputError(
                "BUILD_UNKNOWN",
                "the program cannot tell which build it is",
                where=str(folder / package),
                observed="no sources",
                allowed="the packages as they were installed",
                not_done="nothing was started",
                fix="install it anew",
            )
        for name, path in files:
            contents = path.read_bytes()
            whole.update(f"{name} {len(contents)}\n".encode())
            whole.update(contents)
    return whole.hexdigest()[:_DIGITS]
