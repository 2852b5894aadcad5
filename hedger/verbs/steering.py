"""`hedger arm reduce pause resume hedge flatten bands reload`: steer a running engine; the words of these,
and of `status orders preview kill unkill`.

They leave commands beside its journal. None of them talks to a venue, and none writes the journal while an
engine does. A command is done when the engine's journal has it: they wait.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hedger.verbs.asking import leave_wish, left, refusal, refuse_unknown_coin
from hedger.verbs.flags import Commands, add_journal, coin, not_negative
from hedger.verbs.kill_verb import kill, unkill
from hedger.verbs.orders_verb import orders
from hedger.verbs.preview_verb import preview
from hedger.verbs.printing import show_json
from hedger.verbs.status_verb import status
from pricing.errors import Exit, HedgerError, InputError


def declare(commands: Commands) -> None:
    """The words of `status`, `orders` and of every command."""
    words = add_journal(
        commands.add("status", status, "whether an engine runs, what it may do, where it stands")
    )
    words.add_argument(
        "--hedge", action="store_true", help="and what comes next and why: bands, last decisions"
    )
    _add_tape(words)
    words = add_journal(commands.add("orders", orders, "orders that may still be filled"))
    _add_tape(words)
    words.add_argument("--all", action="store_true", help="every order ever intended")
    words.add_argument("--unknown", action="store_true", help="only those whose fate nobody knows")
    for name, verb, text in (
        ("arm", command, "let a running engine send orders"),
        ("reduce", command, "let a running engine send only orders that lower risk"),
        ("pause", command, "no new hedges; checks and cancels go on"),
        ("resume", command, "end a pause"),
        ("preview", preview, "what a hedge would be now, of all or of one underlying; nothing is sent"),
        ("hedge", command, "hedge now, whatever the triggers say: every row outside its landing"),
        ("flatten", command, "plan the whole book, or one underlying, to zero"),
        ("bands", command, "set a row's band by hand; it stands over restarts until the file's own changes"),
        (
            "reload",
            reload,
            "let a running engine take its settings file anew; hard limits only change at a start",
        ),
        ("kill", kill, "stop sending at once and cancel everything; stays until unkill, over restarts"),
        ("unkill", unkill, "remove the kill latch; a running engine then observes until it is armed"),
    ):
        words = add_journal(commands.add(name, verb, text))
        words.set_defaults(wish=name)
        words.add_argument(
            "--reason",
            required=name in ("unkill", "bands"),
            type=_sentence if name in ("unkill", "bands") else str,
            default="",
            metavar="TEXT",
            help="why: kept in the record",
        )
        words.add_argument(
            "--wait-s", type=not_negative, default=10.0, metavar="S", help="for the answer (default 10)"
        )
        if name == "arm":
            words.add_argument(
                "--accept", dest="argument", action="store_const", const="accept",
                help="take the venues' word where their accounts differ from the book; needs --reason",
            )  # fmt: skip
        if name == "preview":
            words.add_argument("--flatten", action="store_true", help="what a flatten would be instead")
        if name in ("preview", "hedge", "flatten"):
            words.add_argument(
                "argument", nargs="?", type=coin, metavar="UNDERLYING", help="one coin alone (default: all)"
            )
        if name == "bands":
            words.add_argument(
                "argument", type=_band, metavar="ROW=LOW,HIGH/LOW,HIGH",
                help="a row, its trigger and the landing inside it, in the row's unit; ROW= takes the "
                "settings file's own again",
            )  # fmt: skip


def _add_tape(words: argparse.ArgumentParser) -> None:
    text = "of a replay's journal: where its marks lie"
    words.add_argument("--tape", type=Path, metavar="TAPE", help=text)


def _sentence(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a sentence, kept in the record; observed: none")
    return text


def _band(text: str) -> str:
    """A row and its band, as far as they can be judged without the engine's book."""
    from hedger.core.commands import parse_bands

    row, sets, band = text.partition("=")
    if not row.strip() or not sets or (band and parse_bands(band) is None):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no row with a landing inside a trigger; for example delta:BTC=-1.5,1.5/-0.7,0.7"
        )
    return text


def command(arguments: argparse.Namespace) -> Exit:
    """Leave a command for the engine, and wait until its journal has it and what it decided."""
    from hedger.core.events import Verb
    from hedger.journal.identity import Opened
    from hedger.journal.journal import open_to_read
    from hedger.journal.wishes import late_words

    verb = Verb(arguments.wish)
    if verb is Verb.ARM and arguments.argument and not arguments.reason:
        raise InputError(
            "REASON_NEEDED",
            "the book is changed to the venues' accounts by a person's word, which is kept with its reason",
            where="hedger arm --accept",
            observed="no --reason",
            allowed="a sentence",
            not_done="nothing was accepted, and the engine was not armed",
            fix="add --reason TEXT",
        )
    opened = Opened(arguments.journal)
    try:
        storage = open_to_read(arguments.journal)
    except HedgerError as error:
        if verb is not Verb.PAUSE:
            raise
        return _paused_unread(arguments, error)
    try:
        if verb in (Verb.HEDGE, Verb.FLATTEN):
            refuse_unknown_coin(storage, arguments.argument or "", verb)
        id, seq, decision = left(arguments, verb, storage, opened)
    finally:
        storage.close()
    refused = refusal(decision, verb)
    mode = None if decision is None else decision.get("mode")
    reason = "" if decision is None else str(decision.get("reason", ""))
    document = {"command": str(verb), "id": id, "taken": seq is not None, "seq": seq}
    document |= {"mode": mode, "reason": reason, "refused": refused}
    if arguments.json:
        show_json(document)
    elif seq is None:
        told = f"{verb}: sent to the engine, which has not taken it within {arguments.wait_s:g} s"
        print(told + late_words(verb))
    else:
        stands = "not told yet" if decision is None else f"{mode}{', paused' * bool(decision.get('paused'))}"
        print(f"{verb}: taken as event {seq}; mode {stands}" + (f": {reason}" * bool(reason)))
    if refused and not arguments.json:
        print(f"{refused['code']}: {refused['text']}", file=sys.stderr)
    if seq is None:
        return Exit.NEGATIVE
    not_armed = verb is Verb.ARM and mode not in (None, "armed")
    return Exit.REFUSED if not_armed or refused else Exit.DONE


def _paused_unread(arguments: argparse.Namespace, why: HedgerError) -> Exit:
    """A pause for an engine whose journal cannot be read here, as one of a newer build: it is left, and what
    became of it cannot be seen."""
    from hedger.core.events import Verb

    document = {"command": "pause", "id": leave_wish(arguments, Verb.PAUSE), "taken": False, "seq": None}
    if arguments.json:
        show_json(document | {"mode": None, "reason": why.text(), "refused": None})
    else:
        print(f"pause: sent to the engine; whether it was taken cannot be seen from here: {why}")
    return Exit.NEGATIVE


def reload(arguments: argparse.Namespace) -> Exit:
    """Look at the settings file, and ask the engine to take it as it is now; exit 3 where it does not."""
    from hedger.config import load
    from hedger.engine.reloading import sha256_of

    load(arguments.config)  # a file that cannot be read is none to ask for
    arguments.argument = sha256_of(arguments.config)
    return command(arguments)
