"""Keys of venues: named in the configuration by reference, read at the last moment, shown to nobody.

    env:NAME                 an environment variable, taken out of the environment once it is read
    file:PATH                a file that nobody but its owner can read (mode 0600 or 0400), one secret
    keyring:SERVICE/USER     the desktop's keyring

A `Secret` has no text but `Secret(...)`: it cannot be formatted, pickled or logged by accident. What it holds
comes out of `reveal` alone, at the place that signs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, Self

import keyring
from keyring.errors import KeyringError

from pricing.errors import InputError

_BYTES_MAX = 16_384  # a private key in PEM is 3 kB


class Place(StrEnum):
    """Where a secret lies."""

    ENVIRONMENT = "env"
    FILE = "file"
    KEYRING = "keyring"


class Secret:
    """A text that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The secret itself: for signing, and for nothing else."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret lies; the reference itself is no secret."""

    place: Place
    name: str

    @classmethod
    def parse(cls, text: str, where: str = "") -> Self:
        """A reference as it stands in the configuration.

        >>> SecretRef.parse("env:DERIBIT_KEY").place.value
        'env'

        Raises:
            InputError: it is no reference. What stood there is not shown: it may be the secret itself.
        """
        place, colon, name = text.partition(":")
        if not colon or not name or place not in tuple(Place):
            raise InputError(
                "SECRET_REFERENCE",
                "not a reference to a secret",
                where=where,
                allowed="env:NAME, file:PATH or keyring:SERVICE/USER",
                fix="put the secret where the reference points; if it stood in the configuration, replace it",
            )
        return cls(Place(place), name)

    def __str__(self) -> str:
        return f"{self.place.value}:{self.name}"


def read_secret(ref: SecretRef, environment: MutableMapping[str, str] | None = None) -> Secret:
    """The secret behind a reference; one read from the environment is gone from it afterwards.

    Raises:
        InputError: there is none, it is empty, or others can read it.
    """
    value: str | None
    if ref.place is Place.ENVIRONMENT:
        value = (os.environ if environment is None else environment).pop(ref.name, None)
    else:
        value = _from_file(ref) if ref.place is Place.FILE else _from_keyring(ref)
    text = (value or "").strip()
    if not text:
        _refuse(ref, "there is no secret there", "a text with something in it")
    if not text.isprintable() and "-----BEGIN" not in text:
        _refuse(ref, "what is there is no text of one line", "one line, or a key in PEM")
    return Secret(text)


def read_secrets(
    refs: Mapping[str, str], where: str, environment: MutableMapping[str, str] | None = None
) -> dict[str, Secret]:
    """The secrets of a venue by what they are ("key", "secret", ...), from the configuration's references.

    Raises:
        InputError: as `SecretRef.parse` and `read_secret`.
    """
    parsed = {name: SecretRef.parse(text, f"{where}.{name}") for name, text in refs.items() if text}
    return {name: read_secret(ref, environment) for name, ref in parsed.items()}


def _from_file(ref: SecretRef) -> str:
    path = Path(ref.name).expanduser()
    try:
        # Opened first and looked at afterwards: what is checked is what is read.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        _refuse(ref, "the file cannot be opened", "a readable file", error.strerror or "")
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            _refuse(ref, "not a file", "a regular file")
        if info.st_mode & 0o077:
            observed = f"mode {stat.S_IMODE(info.st_mode):04o}"
            _refuse(ref, "others can read the file", "mode 0600 or 0400", observed, f"chmod 600 {path}")
        if info.st_uid != os.geteuid():
            _refuse(ref, "the file belongs to another user", "a file of the user who runs this")
        if info.st_size > _BYTES_MAX:
            _refuse(ref, "the file is too long for a secret", f"at most {_BYTES_MAX} bytes")
        content = os.read(handle, _BYTES_MAX)
    finally:
        os.close(handle)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        _refuse(ref, "the file is no text", "UTF-8")


def _from_keyring(ref: SecretRef) -> str | None:
    service, slash, user = ref.name.rpartition("/")
    if not slash or not service or not user:
        _refuse(ref, "not a name in the keyring", "keyring:SERVICE/USER")
    try:
        return keyring.get_password(service, user)
    except KeyringError as error:
        _refuse(ref, "the keyring does not answer", "an unlocked keyring", type(error).__name__)


def _refuse(ref: SecretRef, what: str, allowed: str, observed: str = "", fix: str = "") -> NoReturn:
    raise InputError(
        "SECRET",
        what,
        where=str(ref),
        observed=observed or None,
        allowed=allowed,
        not_done="no venue was called",
        fix=fix or "put the secret there, readable by its owner alone",
    ) from None
