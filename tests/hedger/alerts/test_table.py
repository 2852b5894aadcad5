"""The list of alerts is all of them, and each says what to do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hedger.core.events import Verb
from hedger.desk.alert_table import ALERTS, BY_CODE, OWN, AlertKind

ROOT = Path(__file__).resolve().parents[3]
#: Codes that are put together when they are told, and what they can become.
PUT_TOGETHER = {
    "LINK_": {"LINK_UP", "LINK_DOWN", "LINK_DEGRADED"},
    "_INCOMPLETE": {"HEDGE_INCOMPLETE", "FLATTEN_INCOMPLETE"},
    "_REFUSED": {"HEDGE_REFUSED", "FLATTEN_REFUSED"},
}


def told() -> set[str]:
    """Every code that the deciding half tells, read off its source: the second argument of `turn.alert` and
    of `_refuse`, and what is bound to a name that stands there."""
    found: set[str] = set()
    for path in (ROOT / "hedger" / "core").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name == "alert" or (name == "_refuse" and len(call.args) == 3):
                found |= _codes(call.args[1], tree)
    return found


def _codes(word: ast.expr, tree: ast.Module) -> set[str]:
    match word:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr(values=parts):
            fixed = "".join(str(p.value) for p in parts if isinstance(p, ast.Constant))
            return PUT_TOGETHER[fixed]
        case ast.Name(id=name):
            pairs = (
                (target, node.value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Tuple)
                and isinstance(node.value, ast.Tuple)
                for target, node.value in [(node.targets[0], node.value)]
            )
            found = {
                value.value
                for targets, values in pairs
                for target, value in zip(targets.elts, values.elts, strict=False)
                if isinstance(target, ast.Name)
                and target.id == name
                and isinstance(value, ast.Constant)
                and isinstance(value.value, str)
            }
            # a function that hands its own argument on: its callers are looked at
            return found
        case _:
            raise AssertionError(ast.dump(word))


def test_every_alert_of_the_engine_is_in_the_list_and_the_list_has_no_others() -> None:
    codes = {kind.code for kind in ALERTS if not kind.own}
    assert told() == codes
    assert len(codes) > 40


def test_each_stands_once() -> None:
    assert len(BY_CODE) == len(ALERTS)
    assert {kind.code for kind in OWN} == {kind.code for kind in ALERTS if kind.own}


@pytest.mark.parametrize("kind", ALERTS, ids=lambda kind: kind.code)
def test_each_says_what_it_means_and_what_to_do(kind: AlertKind) -> None:
    for text in (kind.meaning, kind.action):
        assert text.endswith(".")
        assert text[0].isupper() or text[0] == "`"
    for code in kind.ends:
        assert BY_CODE[code].stands
        assert BY_CODE[code].subject == kind.subject


def test_commands_that_are_named_are_commands() -> None:
    import re

    from hedger.cli import build_parser

    help_text = build_parser().format_help()
    named = {word for kind in ALERTS for word in re.findall(r"`hedger ([a-z]+)", kind.action)}
    assert len(named) > 8
    assert {word for word in named if f" {word} " not in help_text} == set()
    assert {str(verb) for verb in (Verb.ARM, Verb.RESUME, Verb.UNKILL)} <= named
