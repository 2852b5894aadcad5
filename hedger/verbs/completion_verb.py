"""`hedger completion`: what a shell needs to complete the words of this command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hedger.verbs.flags import Commands, add_journal
from hedger.verbs.printing import show_json
from pricing.errors import Exit

if TYPE_CHECKING:
    from hedger.completion import Offers


def declare(commands: Commands) -> None:
    """The words of `completion`."""
    from hedger.completion import COINS, SHELLS

    text = 'print what completes these words in a shell: eval "$(hedger completion bash)"'
    words = add_journal(commands.add("completion", completion, text), f"of {COINS}: the engine's record")
    text = f"{COINS}: those of the journal, else those that the settings name; the scripts ask for them"
    words.add_argument("shell", choices=(*SHELLS, COINS), help=text)
    words.set_defaults(verbs=commands.subparsers)  # every verb's, also of those that are declared later


def completion(arguments: argparse.Namespace) -> Exit:
    """Print it."""
    from hedger.completion import COINS, helps_of, nodes, script

    if arguments.shell == COINS:
        found = _coins(arguments)
        if arguments.json:
            show_json({"coins": found})
        else:
            print("\n".join(found))
        return Exit.DONE
    verbs = arguments.verbs
    text = script(nodes(verbs.choices, helps_of(verbs), _offers()), arguments.shell)
    if arguments.json:
        show_json({"shell": arguments.shell, "script": text})
    else:
        print(text, end="")
    return Exit.DONE


def _offers() -> Offers:
    """What verbs take that their parsers do not list, since no verb's start may wait for it."""
    from hedger.completion import COINS
    from hedger.desk.stress_table import stresses
    from hedger.journal.entries import Kind
    from hedger.runs.venue_setup import CONNECTED

    return {
        "flatten": (COINS,),
        "hedge": (COINS,),
        "preview": (COINS,),
        "record --underlying": (COINS,),
        "record --venue": CONNECTED,
        "book fetch --venue": CONNECTED,
        "whatif --stress": ("all", *(stress.name for stress in stresses())),
        "journal show --kind": tuple(Kind),
    }


def _coins(arguments: argparse.Namespace) -> list[str]:
    """The coins of a journal's market; without a journal those that the settings name."""
    if not arguments.journal.exists():
        from hedger.config import load
        from hedger.settings import EVERY

        return sorted(set(load(arguments.config).settings.bands) - {EVERY})
    from hedger.verbs.journals import coins_of, opened

    with opened(arguments.journal, "no coin is named") as storage:
        return coins_of(storage)
