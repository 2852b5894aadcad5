"""Keys: where they are read from, what is refused, and that no way of showing a thing shows them."""

from __future__ import annotations

import copy
import json
import os
import pickle
import traceback
from pathlib import Path

import pytest

from pricing.errors import InputError
from venues.deribit_session import Login
from venues.secrets import Secret, SecretRef, read_secret, read_secrets

CANARY = "canary-7f3a9c"


def written(folder: Path, text: str, mode: int = 0o600) -> SecretRef:
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return SecretRef.parse(f"file:{path}")


def test_a_secret_from_the_environment_is_gone_from_it() -> None:
    environment = {"HEDGER_KEY": f"  {CANARY}\n", "OTHER": "x"}
    assert read_secret(SecretRef.parse("env:HEDGER_KEY"), environment).reveal() == CANARY
    assert environment == {"OTHER": "x"}


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ours_alone_is_read(tmp_path: Path, mode: int) -> None:
    assert read_secret(written(tmp_path, f"{CANARY}\n", mode)).reveal() == CANARY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o610])
def test_a_file_that_others_can_read_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match="chmod 600") as caught:
        read_secret(written(tmp_path, CANARY, mode))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("content", ["", "   \n", f"{CANARY}\nsecond line", f"{CANARY}\x00"])
def test_what_is_no_secret_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError) as caught:
        read_secret(written(tmp_path, content))
    assert CANARY not in str(caught.value)


def test_a_key_in_pem_has_more_than_one_line(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    assert read_secret(written(tmp_path, pem)).reveal() == pem


def test_no_file_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    for name in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError):
            read_secret(SecretRef.parse(f"file:{name}"))
    with pytest.raises(InputError):
        read_secret(written(tmp_path, "x" * 20_000))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(InputError):
        read_secret(SecretRef.parse(f"file:{tmp_path / 'pipe'}"))


@pytest.mark.parametrize("text", [CANARY, "", "env:", "vault:x", "ENV:X"])
def test_what_is_no_reference_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InputError, match="SECRET_REFERENCE") as caught:
        SecretRef.parse(text, "venues.deribit.key")
    assert CANARY not in str(caught.value) and "venues.deribit.key" in str(caught.value)


def test_the_keyring_wants_service_and_user() -> None:
    with pytest.raises(InputError):
        read_secret(SecretRef.parse("keyring:only-a-service"))


def test_references_that_are_left_out_are_no_secrets() -> None:
    found = read_secrets({"key": "env:A", "passphrase": ""}, "venues.okx", {"A": CANARY})
    assert set(found) == {"key"} and found["key"].reveal() == CANARY


def test_no_way_of_showing_a_secret_shows_it() -> None:
    secret = Secret(CANARY)
    login = Login(secret, secret)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        repr(login),
        str([login]),
        f"{secret!r}",
    ]
    try:
        raise ValueError(login)
    except ValueError:
        shown.append(traceback.format_exc())
    assert all(CANARY not in text for text in shown)
    for write in (pickle.dumps, copy.deepcopy, copy.copy, json.dumps):
        with pytest.raises(TypeError):
            write(secret)
    with pytest.raises(TypeError):
        vars(secret)
