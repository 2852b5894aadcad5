"""The secrets that a test session plants, and the keyring that holds one of them: light, for child processes.

Signs that every way of writing text changes are in them, so that more than one spelling is searched for.
"""

from __future__ import annotations

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

#: A key and a secret as a venue gives them, a passphrase, and a key that signs on a chain.
KEY = "canary-key-5d1f0a/Q+x="
SECRET = 'canary-secret-93be7c44/Zw+"7\\k='
PASSPHRASE = "canary-phrase-c2a60e/+!'0"
SIGNING_KEY = "0xc0ffee5eed93be7c44d1ab0115d1f0aa7e57c2a60e0b5e55ed0dec0de51eaf07"
SERVICE, USER = "hedger-canary", "desk"


class PlantedKeyring(KeyringBackend):
    """A desktop's keyring with one secret in it."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        """The planted one."""
        return SECRET if (service, username) == (SERVICE, USER) else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Nothing is put in."""
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        """Nothing is taken out."""
        raise PasswordDeleteError("nothing is taken out")
