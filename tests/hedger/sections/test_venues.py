"""`[venues.NAME]`: references alone, and an inline secret that nobody is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from hedger.config import load, origins
from hedger.limits_file import load_limits
from pricing.errors import InputError

CANARY = "canary-7f3a9c"
REPOSITORY = Path(__file__).resolve().parents[3] / "config.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_references_are_kept_as_they_stand(tmp_path: Path) -> None:
    text = '[venues.okx]\nkey = "env:A"\nsecret = "file:~/k"\npassphrase = "keyring:hedger/okx"\n'
    loaded = load(written(tmp_path, text), env={})
    venue = loaded.settings.venues["okx"]
    assert (venue.key, venue.secret, venue.passphrase) == ("env:A", "file:~/k", "keyring:hedger/okx")
    assert ("venues.okx.key", "env:A") in [(key, value) for key, value, _ in origins(loaded)]


@pytest.mark.parametrize(
    "text",
    [
        f'[venues.deribit]\nsecret = "{CANARY}"\n',
        f'[venues.deribit]\nkey = "env:"\nsecret = "{CANARY}"\n',
        f'[venues.deribit]\napi_secret = "{CANARY}"\n',
        f'[venues.deribit]\nsecret = ["{CANARY}"]\n',
        f'[venues.nobody]\nsecret = "{CANARY}"\n',
        f'[venues]\nderibit = "{CANARY}"\n',
        f'venues = "{CANARY}"\n',
    ],
)
def test_what_may_be_a_secret_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, text), env={})
    assert CANARY not in str(caught.value) and CANARY not in repr(caught.value.__dict__)


@pytest.mark.parametrize(
    "text",
    [
        f'secret = "{CANARY}"\n',
        f'[run]\nsecret = "{CANARY}"\n',
        f'[run.key]\nsecret = "{CANARY}"\n',
        f'[run]\nmode = {{secret = "{CANARY}"}}\n',
        f'[deribit]\nsecret = "{CANARY}"\n',
        f'[limits]\napikey = "{CANARY}"\n',
        f'[solver]\napi = ["{CANARY}"]\n',
        f'[solver]\ngap = {{secret = "{CANARY}"}}\n',
        f'[[bands]]\nsecret = "{CANARY}"\n',
        f'[bands.BTC]\nsecret = "{CANARY}"\n',
        f'[venues.deribit]\nurl = "ws://user:{CANARY}@127.0.0.1:1/ws"\n',
        f'[venues.deribit]\nurl = "ws://{CANARY}@127.0.0.1:1/ws"\n',
        f'[venues.deribit]\nhosts = ["user:{CANARY}@127.0.0.1"]\n',
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, text), env={})
    assert CANARY not in str(caught.value) and CANARY not in repr(caught.value.__dict__)


@pytest.mark.parametrize(
    "text",
    [
        f'secret = "{CANARY}"\n',
        f'[order]\nsecret = "{CANARY}"\n',
        f'order = [{{s = "{CANARY}"}}]\n',
        f'[permission]\nkinds = {{s = "{CANARY}"}}\n',
        f'[rate]\nderibit = [["{CANARY}"]]\n',
    ],
)
def test_a_secret_in_the_limits_file_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as caught:
        load_limits(written(tmp_path, text))
    assert CANARY not in str(caught.value) and CANARY not in repr(caught.value.__dict__)


def test_a_secret_below_which_the_environment_names_a_key_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, f'secret = "{CANARY}"\n'), env={"HEDGER__SECRET__KEY": "1"})
    assert CANARY not in str(caught.value)


def test_the_environment_shows_none_either() -> None:
    for env in (
        {"HEDGER__VENUES__DERIBIT__SECRET": CANARY},
        {"HEDGER__VENUES__DERIBIT": CANARY, "HEDGER__VENUES__DERIBIT__KEY": "env:A"},
    ):
        with pytest.raises(InputError) as caught:
            load(REPOSITORY, env=env)
        assert CANARY not in str(caught.value)


def test_the_example_in_the_repository_is_a_section_with_the_defaults(tmp_path: Path) -> None:
    lines = REPOSITORY.read_text("utf-8").splitlines()
    start = lines.index("# [venues.deribit]")
    example = [line.removeprefix("# ") for line in lines[start : start + 23]]
    given = load(written(tmp_path, "\n".join(example)), env={}).settings.venues["deribit"]
    default = load(written(tmp_path, "[venues.deribit]\n"), env={}).settings.venues["deribit"]
    changed = {k for k, v in given.model_dump().items() if v != default.model_dump()[k]}
    ages = {f"{part}_age_s_max" for part in ("mark", "vol", "forward", "index", "funding")}
    assert changed == ages | {"key", "secret", "order_rate", "order_burst", "request_pause_ms"}
    assert given.model_fields_set == set(default.model_dump())
