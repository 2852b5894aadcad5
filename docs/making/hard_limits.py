"""The pages on the hard limits: the file, and every reason why an order is refused."""

from __future__ import annotations

from docs.making.markdown import cell, code, page, table
from hedger.limits_file import default_text
from risk.limit_changes import entries
from risk.limit_codes import Code
from risk.limit_terms import Limits, Term, Tighter

_WAYS = {
    Tighter.LOWER: "lower",
    Tighter.HIGHER: "higher",
    Tighter.FEWER: "fewer names",
    Tighter.MORE: "more names",
    Tighter.TRUE: "true",
    Tighter.EARLIER: "earlier in the list of words",
    Tighter.FIXED: "none: any change loosens",
}


def make() -> str:
    """The page on the file."""
    rows = [
        (code(key), code(_value(value)), cell(_range(term)), _WAYS[term.tighter], cell(term.text))
        for key, value, term in entries(Limits())
    ]
    return page(
        "Hard limits",
        "What no order may exceed, whatever a plan says. They stand in a file of their own, named by "
        "`limits_file` in `config.toml`; `hedger limits show` prints the ones in force, `hedger limits "
        "validate "
        "FILE` checks a file, `hedger limits compare OLD NEW` says what became looser.\n\n"
        "Tightening holds at the next start without a word. Loosening needs `--reason` of `hedger run`, "
        "and the "
        "reason stays in the journal. A limit whose input is not known refuses: unknown is never zero.\n\n"
        'In lists `"*"` is every name. `[greeks.BTC]` changes one coin, `[rate.deribit]` one venue.',
        table(("key", "default", "range", "tighter is", "what it is, with its unit"), rows),
        "## The built-in limits as a file\n",
        f"```toml\n{default_text()}```",
    )


def make_codes() -> str:
    """The page on the reasons."""
    rows = [(code(x.name), x.control, cell(x.what), cell(x.fix)) for x in Code]
    return page(
        "Why an order is refused",
        "Every order is checked against all limits just before it leaves. The first reason below that "
        "holds is "
        "the code of the refusal, further ones are listed with it. Nothing is sent. `hedger limits codes` "
        "prints "
        "this list. Codes are stable: a script may rely on them.",
        table(("code", "control", "what is wrong", "the way out"), rows),
    )


def _value(value: object) -> object:
    return ", ".join(sorted(map(str, value))) or "none" if isinstance(value, frozenset) else value


def _range(term: Term) -> str:
    if term.words:
        return " ".join(term.words)
    if term.tighter not in (Tighter.LOWER, Tighter.HIGHER):
        return ""
    return f"from {term.least:g}" + (f" to {term.most:g}" if term.most < float("inf") else "")
