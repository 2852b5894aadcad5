"""Every code that the program can say, read from its source: errors, alerts, the doctor's findings.

A code stands as a text in capitals where an error is made, an alert is given or a helper is called that makes
one. Nothing is run: what is raised once a year is on the list like what is raised every day.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pricing", "risk", "venues", "hedger")
CODE = re.compile(r"(?=.{4})[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
#: At the head of a message that is no error object.
_HEAD = re.compile(rf"({CODE.pattern}): (.*)", re.DOTALL)
#: Codes of one word that are said at the head of a message alone. Any other word there is one where it is
#: raised, or given as a code in the same module: "WARNING: .." is none.
_HEADS = frozenset(("INTERNAL", "INTERRUPTED"))
#: Names of parameters that carry a code.
_PARAMETER = "code"
#: What a computed code can be: `*` stands for what the program puts in.
COMPUTED: Mapping[str, tuple[str, ...]] = {
    "LINK_*": ("LINK_UP", "LINK_DOWN", "LINK_DEGRADED"),
    "*_REFUSED": ("HEDGE_REFUSED", "FLATTEN_REFUSED"),
    "*_INCOMPLETE": ("HEDGE_INCOMPLETE", "FLATTEN_INCOMPLETE"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A code where it is said. how: the class of the error, "alert", "check" or "watchdog"; severity: of an
    alert; what: the words that go with it, parts put in at run time as `..`."""

    code: str
    how: str
    what: str
    file: str
    severity: str = ""


@dataclass(frozen=True, slots=True)
class _Taker:
    """A function or class whose argument at `position` is a code. how: what it makes."""

    position: int
    how: str


@cache
def trees() -> dict[str, ast.Module]:
    """Every module, by its path from the project's folder."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text("utf-8")) for file in files}


@cache
def nodes() -> dict[str, tuple[ast.AST, ...]]:
    """Every node of every module: walked once, looked through several times."""
    return {file: tuple(ast.walk(tree)) for file, tree in trees().items()}


@cache
def error_classes() -> dict[str, int]:
    """Every class of our errors with its exit code: its own, else that of what it is derived from.

    Raises ValueError on two error classes of one name: a page that goes by names would tell the exit of one.
    """
    from pricing.errors import Exit

    classes: dict[str, list[tuple[str, int | None]]] = {}
    for every in nodes().values():
        for node in every:
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                name = next(filter(None, map(_own_exit, node.body)), "")
                one = (bases[0] if bases else "", int(Exit[name]) if name else None)
                classes.setdefault(node.name, []).append(one)
    exits = {name: [_exit_of(one, classes) for one in of] for name, of in classes.items()}
    found = {name: [x for x in of if x is not None] for name, of in exits.items()}
    if twice := sorted(name for name, of in found.items() if len(of) > 1):
        raise ValueError(f"error classes of one name: {', '.join(twice)}; give each its own")
    return {name: of[0] for name, of in found.items() if of}


def _own_exit(statement: ast.stmt) -> str:
    """The name of the exit code that a class sets for itself."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="exit_code")], value=ast.Attribute(attr=name)):
            return name
    return ""


def _exit_of(
    one: tuple[str, int | None], classes: Mapping[str, Sequence[tuple[str, int | None]]]
) -> int | None:
    """The exit code of one class by its own or its base's; None: it is no error."""
    base, own = one
    if own is not None:
        return own
    return next((x for of in classes.get(base, ()) if (x := _exit_of(of, classes)) is not None), None)


@cache
def said() -> tuple[Said, ...]:
    """Every code of the source, with every place of it."""
    rows: list[Said] = []
    # what many modules call: venues.source_files.refuse, hedger.alerts' notices, what denies an order
    everywhere = {"refuse": _Taker(0, "InputError"), "Denied": _Taker(0, "message")}
    everywhere |= {name: _Taker(0, "notice") for name in ("Notice", "own_notice")}
    for file, tree in trees().items():
        every = nodes()[file]
        takers = _takers(every)
        takers |= {x: taker for x, taker in everywhere.items() if x not in takers or not takers[x].how}
        constants = _constants(tree)
        parts = {id(part) for node in every if isinstance(node, ast.JoinedStr) for part in node.values}
        raised = {id(x) for node in every if isinstance(node, ast.Raise) for x in ast.walk(node)}
        given = {
            x.code
            for node in every
            if isinstance(node, ast.Call)
            for x in _called(node, takers, constants, file)
        }
        for node in every:
            if isinstance(node, ast.ClassDef) and node.name in error_classes():
                own = {"__init__": _Taker(0, node.name)}
                rows += (
                    x for n in ast.walk(node) if isinstance(n, ast.Call) for x in _called(n, own, {}, file)
                )
            elif isinstance(node, ast.Call):
                rows += _called(node, takers, constants, file)
            elif isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts:
                rows += (x for x in _headed(node, file) if id(node) in raised or _is_code(x.code, given))
            elif isinstance(node, ast.Assign):
                rows += _assigned(node, file)
    return tuple(dict.fromkeys(rows))


def _takers(every: Iterable[ast.AST]) -> dict[str, _Taker]:
    """What takes a code: error classes, alerts, and the functions of this module that pass one on."""
    found = {name: _Taker(0, name) for name in error_classes()}
    found |= {"Alert": _Taker(1, "alert"), "alert": _Taker(1, "alert"), "bad": _Taker(1, "check")}
    found["Check"] = _Taker(4, "check")
    for node in every:
        if isinstance(node, ast.FunctionDef) and node.name not in found:
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
            if _PARAMETER in names:
                found[node.name] = _Taker(names.index(_PARAMETER), _made(node))
        elif isinstance(node, ast.ClassDef) and node.name not in found:
            fields = [
                s.target.id
                for s in node.body
                if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
            ]
            if _PARAMETER in fields:
                found[node.name] = _Taker(
                    fields.index(_PARAMETER), "watchdog" if node.name == "Finding" else ""
                )
    return found


def _made(function: ast.FunctionDef) -> str:
    """The class of the error that a function makes; "" where it makes none, or one that is handed in."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in error_classes():
                return name
            if name in ("alert", "Alert", "_refuse"):
                return "alert"
            if name in ("Check", "bad"):
                return "check"
    return ""


def _constants(tree: ast.Module) -> dict[str, str]:
    """Names of a module that stand for one text."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _called(
    call: ast.Call, takers: Mapping[str, _Taker], constants: Mapping[str, str], file: str
) -> Iterator[Said]:
    taker = takers.get(_name(call.func))
    if taker is None:
        return
    given = call.args[taker.position] if len(call.args) > taker.position else None
    for keyword in call.keywords:
        if keyword.arg == _PARAMETER:
            given = keyword.value
    handed = [_name(a) for a in call.args if _name(a) in error_classes()]
    how = taker.how or (handed[0] if handed else "")
    for code in _codes(given, constants):
        after = call.args[taker.position + 1 :] if given in call.args else call.args[:1]
        what = next((text for a in after if (text := _text(a))), "")
        severity = next((a.attr.lower() for a in _parts(call.args[:1]) if isinstance(a, ast.Attribute)), "")
        severity = severity if how == "alert" and severity in ("note", "warning", "critical") else ""
        if how == "alert" and not severity:
            severity = "warning"  # a refusal of a wish
        if how:
            yield Said(code, how, what, file, severity)


def _parts(nodes: list[ast.expr]) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)


def _codes(node: ast.expr | None, constants: Mapping[str, str]) -> Iterator[str]:
    """The codes that an argument can be."""
    match node:
        case ast.Constant(value=str(text)) if CODE.fullmatch(text):
            yield text
        case ast.Name(id=name) if CODE.fullmatch(constants.get(name, "")):
            yield constants[name]
        case ast.IfExp(body=one, orelse=other):
            yield from _codes(one, constants)
            yield from _codes(other, constants)
        case ast.JoinedStr():
            pattern = _joined(node, "*")
            yield from COMPUTED.get(pattern, (pattern,))


def _is_code(word: str, given: Set[str]) -> bool:
    """Whether a word at the head of a text is a code. given: those that the module gives as such."""
    return "_" in word or word in _HEADS or word in given


def _headed(node: ast.Constant | ast.JoinedStr, file: str) -> Iterator[Said]:
    """A message that begins with its code: refused work of a running engine, or of the whole program."""
    found = _HEAD.fullmatch(_text(node))
    if found:
        yield Said(found[1], "message", found[2], file)


def _assigned(node: ast.Assign, file: str) -> Iterator[Said]:
    """`code, text = "X", "..."`: an alert that is given a line later."""
    match node:
        case ast.Assign(
            targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])],
            value=ast.Tuple(elts=[ast.Constant(value=str(code)), what, *_]),
        ) if CODE.fullmatch(code):
            yield Said(code, "alert", _text(what), file, "warning")


def _text(node: ast.AST) -> str:
    """A text as written; what is put in at run time as `..`."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BoolOp(values=[*_, last]):
            return _text(last)
        case ast.JoinedStr():
            return _joined(node, "..")
    return ""


def _joined(node: ast.JoinedStr, gap: str) -> str:
    """A formatted text, with the gap for each value that is put in at run time."""
    return "".join(str(p.value) if isinstance(p, ast.Constant) else gap for p in node.values)


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
