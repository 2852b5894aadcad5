"""The fenced blocks of a page: what a reader would type, what is printed, which files are to be there.

Marks stand in a comment on the line before a block:

- `<!-- not run: why -->`: a reader may run it, a test cannot;
- `<!-- file: NAME -->`: the block is a file of that name;
- `<!-- exchange: VENUE -->`: it needs that exchange.

A comment of several lines that begins with `<!-- setup` holds shell lines too: a test runs them; a reader has
done them already and does not see them.

A `text` block behind a shell block is what that one prints, shortened where a line is `...`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SHELL = ("sh", "bash", "shell", "console")
_FENCE = re.compile(r"^( *)```(\w*)(?: title=.*)?\s*$")
_MARK = re.compile(r"^ *<!-- (not run|file|exchange): (.+?) -->$")
#: Between these lines of a comment: what a test must do first, and a reader has done already.
_SETUP, _SETUP_END = "<!-- setup", "-->"


@dataclass(slots=True)
class Block:
    """One block. marks: by their word; printed: what it should print, "" where nothing is said of it."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str]
    printed: str = ""

    @property
    def shell(self) -> bool:
        """Whether a reader would type it."""
        return self.language in SHELL

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, name: str) -> list[Block]:
    """All blocks of a page, in order."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    open_block: Block | None = None
    body: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence, mark = _FENCE.match(line), _MARK.match(line)
        if open_block is not None:
            hidden = open_block.language == _SETUP
            if line != _SETUP_END if hidden else fence is None or fence[2]:
                body.append(line)
                continue
            open_block.language = "sh" if hidden else open_block.language
            open_block.text = "\n".join(body) + "\n"
            if open_block.language == "text" and found and found[-1].shell and not found[-1].printed:
                found[-1].printed = open_block.text
            found.append(open_block)
            open_block, body = None, []
        elif fence is not None:
            open_block, marks = Block(name, number, fence[2], "", marks), {}
        elif line == _SETUP:
            open_block = Block(name, number, _SETUP, "", {})
        elif mark is not None:
            marks[mark[1]] = mark[2]
        elif line.strip():
            marks = {}
    if open_block is not None:
        raise ValueError(f"{open_block}: the block is never closed")
    return found


def lacking(printed: str, output: str) -> list[str]:
    """Words that a page says are printed, and that were not: numbers and lines of a table apart.

    >>> lacking("mode armed: 12\\n...\\nKILLED", "mode armed: 7")
    ['KILLED']
    """
    there = set(_words(output))
    return [word for word in dict.fromkeys(_words(printed)) if word not in there]


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]{3,}", text)
