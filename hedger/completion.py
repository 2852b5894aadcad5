"""Shell completion made of the parser itself, so that it cannot tell of other words than there are.

Pure: a parser in, a script out. A word is completed by the verb before it: its verbs, its flags, the values
of a flag that has choices, else the names of files. Coins are those of a journal or of the settings, so the
script asks the program for them, with the --journal and --config typed so far.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHELLS = ("bash", "zsh", "fish")
#: What `hedger completion` prints for the scripts, and what stands among offered words in its place.
COINS = "coins"
#: Offered words by place: a verb's words and a flag's name, or the verb's words alone for what follows it.
Offers = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Node:
    """A place of the command line. words: verbs so far, none at the start. verbs: what may follow, with its
    help, be it a verb or one of some words. flags: what may be said, with its help; choices: the values of
    those that have a list; switches: flags without a value; coins: whether one may follow."""

    words: tuple[str, ...]
    verbs: tuple[tuple[str, str], ...]
    flags: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    switches: frozenset[str]
    coins: bool = False

    @property
    def key(self) -> str:
        """The verbs in one word."""
        return " ".join(self.words)


def nodes(
    parsers: Mapping[str, argparse.ArgumentParser], helps: Mapping[str, str], offers: Offers
) -> Iterator[Node]:
    """Every place of a command line, from its start. parsers: of its verbs by name; helps: what they are.
    offers: words that the parser takes and does not list."""
    yield Node(
        (), tuple((name, helps.get(name, "")) for name in parsers), (("-h", "help"),), (), frozenset(("-h",))
    )
    for name, parser in parsers.items():
        yield from _inside(parser, (name,), offers)


def _inside(parser: argparse.ArgumentParser, words: tuple[str, ...], offers: Offers) -> Iterator[Node]:
    """A verb's place, and those of the verbs within it."""
    verbs: list[tuple[str, str]] = []
    flags: list[tuple[str, str]] = []
    choices: list[tuple[str, tuple[str, ...]]] = []
    switches: set[str] = set()
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # argparse has no public way to its own words
        if isinstance(action, argparse._SubParsersAction):
            verbs += [(name, helps_of(action).get(name, "")) for name in action.choices]
            below |= action.choices
        elif not action.option_strings and action.choices is not None:
            verbs += [(str(choice), "") for choice in action.choices]
        for flag in action.option_strings:
            flags.append((flag, (action.help or "").replace("%%", "%")))
            if action.nargs == 0:
                switches.add(flag)
            elif action.choices is not None:
                choices.append((flag, tuple(str(choice) for choice in action.choices)))
            elif offered := offers.get(" ".join((*words, flag))):
                choices.append((flag, tuple(offered)))
    coins = COINS in offers.get(" ".join(words), ())
    yield Node(words, tuple(verbs), tuple(flags), tuple(choices), frozenset(switches), coins)
    for name, inner in below.items():
        yield from _inside(inner, (*words, name), offers)


def helps_of(action: Any) -> dict[str, str]:
    """What each verb of a group is, as its help says. action: what `add_subparsers` gave."""
    return {choice.dest: choice.help or "" for choice in action._choices_actions}


def script(places: Iterable[Node], shell: str) -> str:
    """The completion of a shell. places: of `nodes`.

    Raises:
        ValueError: it is none of `SHELLS`.
    """
    found = list(places)
    match shell:
        case "bash":
            return _bash(found)
        case "zsh":
            return f"#compdef hedger\nautoload -U +X bashcompinit && bashcompinit\n{_bash(found)}"
        case "fish":
            return _fish(found)
    raise ValueError(f"{shell!r}: allowed are {', '.join(SHELLS)}")


def _bash(found: list[Node]) -> str:
    """A function that walks the words up to the cursor to the verb that they belong to."""
    lines = [
        '# Completion of hedger, made of its own command line: eval "$(hedger completion bash)"',
        "_hedger() {",
        '    local at="" word i words="" previous="${COMP_WORDS[COMP_CWORD-1]}" of=()',
        '    local here="${COMP_WORDS[COMP_CWORD]}"',
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        word="${COMP_WORDS[i]}"',
        '        case "$word" in --journal | --config) of+=("$word" "${COMP_WORDS[i + 1]}") ;; esac',
        '        case "$at/$word" in',
    ]
    for node in found:
        for verb, _ in node.verbs:
            inner = " ".join((*node.words, verb))
            lines.append(f"            {shlex.quote(f'{node.key}/{verb}')}) at={shlex.quote(inner)} ;;")
    lines += ["        esac", "    done", '    case "$at $previous" in']
    for node in found:
        listed = dict(node.choices)
        for flag, _ in node.flags:
            if flag in node.switches:
                continue
            # a value that is one of no list is a file's name more often than not: the shell's own completion
            lines.append(f"        {shlex.quote(f'{node.key} {flag}')}) words={_said(listed.get(flag, ()))}")
            lines.append('            COMPREPLY=($(compgen -W "$words" -- "$here")); return ;;')
    lines += ["    esac", '    case "$at" in']
    for node in found:
        names = [*(verb for verb, _ in node.verbs), *(flag for flag, _ in node.flags), *[COINS] * node.coins]
        lines.append(f"        {shlex.quote(node.key)}) words={_said(names)} ;;")
    lines += [
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$here"))',
        "}",
        "complete -o default -F _hedger hedger",
        "",
    ]
    return "\n".join(lines)


def _said(words: Sequence[str]) -> str:
    """Words as bash is to take them; coins are asked for as the key is pressed."""
    plain = shlex.quote(" ".join(word for word in words if word != COINS))
    asked = f'" $("${{COMP_WORDS[0]}}" completion {COINS} "${{of[@]}}" 2>/dev/null)"'
    return plain + asked if COINS in words else plain


def _fish(found: list[Node]) -> str:
    """A line for each verb and flag; which of them holds is asked of the words so far."""
    lines = [
        "# Completion of hedger, made of its own command line: hedger completion fish | source",
        "function __hedger_at",
        "    set -l at",
        "    for word in (commandline -opc)[2..-1]",
        '        switch "$at/$word"',
    ]
    for node in found:
        for verb, _ in node.verbs:
            inner = " ".join((*node.words, verb))
            lines.append(f"            case {_quoted(f'{node.key}/{verb}')}")
            lines.append(f"                set at {_quoted(inner)}")
    lines += ["        end", "    end", '    test "$at" = "$argv[1]"', "end", *_FISH_COINS]
    for node in found:
        at = f"__hedger_at {_quoted(node.key)}"
        start = f"complete -c hedger -n {_quoted(at)}"
        lines += [f"{start} -f -a {_quoted(verb)} -d {_quoted(help)}" for verb, help in node.verbs]
        lines += [f"{start} -f -a {_quoted(_FISH_ASKED)}"] * node.coins
        listed = dict(node.choices)
        for flag, help in node.flags:
            name = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            offered = (_FISH_ASKED if word == COINS else word for word in listed.get(flag, ()))
            values = f" -x -a {_quoted(' '.join(offered))}" if flag in listed else " -r"
            more = "" if flag in node.switches else values
            lines.append(f"{start} {name}{more} -d {_quoted(help)}")
    return "\n".join([*lines, ""])


_FISH_ASKED = "(__hedger_coins)"
_FISH_COINS = (
    "function __hedger_coins",
    "    set -l words (commandline -opc)",
    "    set -l of",
    "    for flag in --journal --config",
    "        if set -l i (contains -i -- $flag $words[1..-2])",
    "            set of $of $flag $words[(math $i + 1)]",
    "        end",
    "    end",
    f"    $words[1] completion {COINS} $of 2>/dev/null",
    "end",
)


def _quoted(text: str) -> str:
    """A word of fish, in which a backslash and a quote are written with a backslash before them."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
