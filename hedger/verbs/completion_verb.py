"""`hedger completion`: what a shell needs to complete the words of this command line."""

from __future__ import annotations

import argparse

from hedger.verbs.flags import Commands
from hedger.verbs.printing import show_json
from pricing.errors import Exit


def declare(commands: Commands) -> None:
    """The words of `completion`."""
    from hedger.completion import SHELLS

    text = 'print what completes these words in a shell: eval "$(hedger completion bash)"'
    words = commands.add("completion", completion, text)
    words.add_argument("shell", choices=SHELLS)
    words.set_defaults(verbs=commands.subparsers)  # every verb's, also of those that are declared later


def completion(arguments: argparse.Namespace) -> Exit:
    """Print it."""
    from hedger.completion import helps_of, nodes, script

    verbs = arguments.verbs
    text = script(nodes(verbs.choices, helps_of(verbs)), arguments.shell)
    if arguments.json:
        show_json({"shell": arguments.shell, "script": text})
    else:
        print(text, end="")
    return Exit.DONE
