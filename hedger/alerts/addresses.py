"""Sinks as apprise reaches them; https://github.com/caronc/apprise lists the addresses of a hundred services.

The address of a sink is a secret, since a token stands in it. It is read by reference, lives in a closure,
and is never shown; what the libraries say of their own accord, which holds addresses, goes nowhere.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from hedger.alerts.letters import Letter
from hedger.alerts.sinks import Address, Mark, Send
from hedger.core.actions import Severity
from hedger.sections.alerts import AlertsConfig
from pricing.errors import InputError
from venues.secrets import Secret, SecretRef, read_secret

_PLACES = ("env:", "file:", "keyring:")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
#: What apprise says of an answer that is none, without the rest of its words.
_STATUS = re.compile(r"error=(\d{3})\b")
#: Libraries whose words hold addresses.
_TALKERS = ("apprise", "urllib3", "requests")


def addresses(config: AlertsConfig, given: Sequence[str]) -> list[Address]:
    """The sinks of the configuration, then those of the command line.

    given: references, or addresses as they are.

    Raises:
        InputError: a reference that leads nowhere, or an address that apprise does not know.
    """
    _hush()
    found: list[Address] = []
    for number, sink in enumerate(config.sinks, 1):
        where = f"alerts.sinks[{number - 1}].url"
        secret = read_secret(SecretRef.parse(sink.url, where))
        severity = Severity(sink.severity_min)
        found.append(_address(len(found) + 1, secret, where, severity, sink.well, config))
    for text in given:
        plain = not text.startswith(_PLACES)
        secret = Secret(text) if plain else read_secret(SecretRef.parse(text, "--url"))
        found.append(_address(len(found) + 1, secret, "--url", Severity.WARNING, True, config))
    return found


def _address(
    number: int, secret: Secret, where: str, severity: Severity, well: bool, config: AlertsConfig
) -> Address:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of apprise's own imports
        import apprise

        plugin = apprise.Apprise.instantiate(secret.reveal())
    if plugin is None or not isinstance(plugin, apprise.NotifyBase):
        scheme = _SCHEME.match(secret.reveal())
        raise InputError(
            "ALERT_ADDRESS",
            "not an address that apprise can send to",
            where=where,
            observed=f"an address of {scheme[1].lower()}://" if scheme else "no address",
            allowed="an apprise URL, such as json://host/path, mailtos://.., tgram://..",
            not_done="nobody was told anything",
            fix="correct what the reference leads to; `apprise --details` lists every form",
        )
    plugin.socket_connect_timeout = plugin.socket_read_timeout = config.send_s_max
    kind = str(plugin.service_name or type(plugin).__name__)
    return Address(
        f"sink {number} ({kind})", _sender(plugin), severity, well, _marker(secret, severity, well)
    )


def _marker(secret: Secret, severity: Severity, well: bool) -> Mark:
    """What tells this sink, and what it wants to hear, from others."""

    def mark(salt: str) -> str:
        text = f"{secret.reveal()}\n{severity}\n{well}".encode()
        return hashlib.scrypt(text, salt=bytes.fromhex(salt), n=2**14, r=8, p=1, dklen=16).hex()

    return mark


def _sender(plugin: Any) -> Send:
    """What sends a letter by a plugin of apprise."""
    from apprise import NotifyFormat, NotifyType

    types = {
        Severity.NOTE: NotifyType.INFO,
        Severity.WARNING: NotifyType.WARNING,
        Severity.CRITICAL: NotifyType.FAILURE,
    }

    def send(letter: Letter) -> str:
        with _Listening() as heard:
            taken = plugin.notify(
                body=letter.body,
                title=letter.title,
                notify_type=types[letter.severity],
                body_format=NotifyFormat.TEXT,
            )
        return "" if taken else heard.reason or "it could not be reached"

    return send


class _Listening(logging.Handler):
    """Hears what apprise says in this thread, and keeps of it the number of an HTTP status."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        found = _STATUS.search(record.getMessage()) if record.thread == self._thread else None
        if found:
            self.reason = f"it answered {found[1]}"

    def __enter__(self) -> _Listening:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def _hush() -> None:
    """What these libraries say goes to nobody: addresses stand in it."""
    for name in _TALKERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
