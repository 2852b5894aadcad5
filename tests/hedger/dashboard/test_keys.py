"""The keys and the file that maps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.making.blocks import blocks
from docs.making.scanning import ROOT
from hedger.dashboard.calls import CALLS
from hedger.dashboard.keys import ACTIONS, is_key, load_keys, textual_key
from pricing.errors import InputError


def test_no_key_does_two_things_and_every_action_is_one() -> None:
    keys = [textual_key(key) for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))
    assert {action.name for action in ACTIONS} == set(CALLS)


def test_every_key_of_ours_is_one_that_terminals_have() -> None:
    assert all(is_key(key) for action in ACTIONS for key in action.keys)


def test_a_file_maps_some_and_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text('[keys]\nfilter = "ctrl+f"\nup = ["up", "i"]\n')
    found = {action.name: action.keys for action in load_keys(file)}
    assert found["filter"] == ("ctrl+f",) and found["up"] == ("up", "i") and found["kill"] == ("K",)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[keys]\nfly = 'x'\n", "fly"),
        ("[keys]\nhelp = 'K'\n", "one key would do two things"),
        ("[keys]\nhelp = 3\n", "no key"),
        ("[keys]\nkill = 'notakey'\n", "no terminal has such a key"),
        ("[keys]\nkill = ['K', 'Ctrl+K']\n", "Ctrl+K"),
        ("[other]\n", "no file of keys"),
        ("not toml", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(InputError, match="KEYS_FILE") as told:
        load_keys(file)
    assert word in str(told.value)


def test_the_example_of_the_docs_is_a_file_of_keys(tmp_path: Path) -> None:
    page = "docs/how-to/screen.md"
    (example,) = (b for b in blocks(ROOT / page, page) if b.marks.get("file") == "keys.toml")
    file = tmp_path / "keys.toml"
    file.write_text(example.text)
    found = {action.name: action.keys for action in load_keys(file)}
    assert (found["filter"], found["up"], found["kill"]) == (("ctrl+f",), ("up", "i"), ("K", "f12"))
    assert found["down"] == ("down", "j")  # what is not named keeps its key


def test_the_reference_has_every_action_with_its_keys() -> None:
    text = (ROOT / "docs/reference/screen-keys.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:3]] for line in text.splitlines() if line[:3] == "| `"
    ]
    assert sorted(rows) == sorted(
        [f"`{action.name}`", " ".join(f"`{key}`" for key in action.keys)] for action in ACTIONS
    )
