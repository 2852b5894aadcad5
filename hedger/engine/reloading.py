"""The settings file read again for a running engine: from a `reload` in the letter box to one in the record.

Whoever asks has looked at the file and says which contents he saw, by their SHA-256: a file that is being
written, or has been changed since, is another one, and nothing of it is taken. Whatever is wrong with it
becomes a command as well, so that the record shows that somebody asked and why nothing came of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hedger.config import load
from hedger.core.events import Command
from hedger.core.reload import UNREADABLE, changes
from hedger.settings import Settings
from pricing.errors import HedgerError

#: Where the settings are when nobody says otherwise.
CONFIG_FILE = Path("config.toml")
#: A `reload` from the letter box and the settings in force, to one for the record.
Reload = Callable[[Command, Settings], Command]


def sha256_of(path: Path | None) -> str:
    """Of the settings file's contents; "" where there is none.

    Raises:
        OSError: it cannot be read.
    """
    chosen = CONFIG_FILE if path is None else path
    if path is None and not chosen.exists():
        return ""
    return hashlib.sha256(chosen.read_bytes()).hexdigest()


def read_again(
    path: Path | None, prepared: Callable[[Settings], Settings], command: Command, running: Settings
) -> Command:
    """A `reload` with what the file says now. prepared: what a start makes of settings that it was given, or
    why it would refuse them."""
    try:
        before = sha256_of(path)
        wanted = prepared(load(path).settings)
        same = before == sha256_of(path)
    except HedgerError as error:
        return _refused(command, error.text())
    except OSError as error:
        return _refused(command, f"CONFIG_UNREADABLE: {error}")
    if not same or command.argument not in ("", before):
        text = f"SHA-256 {before[:16]}, looked at was {command.argument[:16]}"
        return _refused(command, f"CONFIG_CHANGED: the file is another one: {text}; look at it and ask again")
    return replace(command, argument=changes(running, wanted))


def no_file(command: Command, running: Settings) -> Command:
    """For an engine that was not started from a file."""
    return _refused(command, "RELOAD_NO_FILE: this engine was not started from a settings file")


def _refused(command: Command, text: str) -> Command:
    return replace(command, argument=json.dumps({UNREADABLE: text}))
