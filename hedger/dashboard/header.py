"""The header in words: what am I, what is out, is everything alive. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hedger.core.state import Mode
from hedger.dashboard.sheet import Tone
from hedger.desk.engine_state import EngineState
from hedger.figures import age
from pricing.daycount import iso

BANNERS = {
    "live": "LIVE  REAL MONEY",
    "testnet": "TESTNET  no real money",
    "paper": "PAPER  no real money",
    "replay": "REPLAY  the past",
}
#: Instead of a banner, once another journal lies where the one on the screen was.
EXCHANGED = "NOT THE JOURNAL THAT LIES HERE NOW"
#: Of an engine that runs and gives no sign of life: what stands beside is of before.
SILENT = "ENGINE SILENT"
#: How far before the record a clock may be: two processes of one machine read it a moment apart.
BEHIND_S_MAX = 1.0
#: Columns and lines below which no dialog that asks is shown: it would be answered unseen.
LEAST = (80, 22)
#: Characters of a name in the first line, which must hold the state of the engine and whether it runs.
USER_MAX = 16


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the header tells. trading: "live", "testnet", "paper" or "replay". engine_state: of its engine.

    Ages in seconds, None unknown. oldest_s: of the oldest quote held. behind: records not read yet. critical,
    warnings: alerts that nobody has acknowledged; grave: critical ones of them that are not over. at_hand:
    the settings of the run are not on record, and others stand in for them. untold: its marks are not at
    hand. unaged: ages of data and sign of life could not be made. incomplete: positions without a worth and
    bad indexes. failed: parts of the screen that failed, "" while none has. silent_s: for so
    long the engine has given no sign of life, 0: it gives them. by_whom: who has killed or paused it and
    when, "" where nobody has.
    """

    trading: str
    engine: str
    engine_state: EngineState
    pid: int | None
    account: str
    settings_sha256: str
    limits_sha256: str
    record: int
    behind: int
    seq: int
    lag_s: float | None
    newest_s: float | None
    oldest_s: float | None
    oldest_symbol: str
    beat_s: float | None
    clock_s: float | None
    unknown: int
    working: int
    critical: int
    warnings: int
    grave: int
    incomplete: int = 0
    at_hand: bool = False
    untold: bool = False
    unaged: bool = False
    failed: str = ""
    fault: str = ""
    control: bool = False
    silent_s: float = 0.0
    by_whom: str = ""


def since_words(user: str, since_ns: int, now_ns: int) -> str:
    """By whom and since when (UTC, 0 unknown), as it goes on after "PAUSED" or "KILLED"; with the day where
    that is another one.

    >>> day = 86_400 * 10**9
    >>> since_words("ann", day, day), since_words("ann", day, 2 * day), since_words("", 0, day)
    (' by ann 00:00Z', ' by ann 01-02 00:00Z', '')
    """
    who = user[:USER_MAX]
    if not since_ns:
        return who and f" by {who}"
    then, now = iso(since_ns), iso(now_ns)
    day = "" if then[:10] == now[:10] else f"{then[5:10]} "
    return f" by {who or 'nobody named'} {day}{then[11:16]}Z"


def header(s: HeaderFacts) -> tuple[tuple[str, Tone], ...]:
    """Three lines, the first of them what must be seen at once; the most urgent words stand first in each."""
    runs = f"process {s.pid}" if s.pid is not None else "NO ENGINE RUNS"
    right = "control" if s.control else "read-only"
    silent = f"{SILENT} {age(s.silent_s)}, " if s.silent_s else ""
    state = f"{silent}{s.engine_state.words}{s.by_whom}"
    first = f"{BANNERS.get(s.trading, s.trading.upper())} | {state} | {runs} | {right}"
    first += f" | engine {s.engine}"
    if s.engine_state.exchanged:
        first = f"{EXCHANGED}: leave and start again | it was {s.trading}, engine {s.engine}"
    lacking = f" | INCOMPLETE {s.incomplete}" if s.incomplete else ""
    over = f" ({s.critical - s.grave} over)" if s.critical > s.grave else ""
    second = f"UNKNOWN orders {s.unknown}{lacking} | working {s.working} | critical {s.critical}{over}, "
    second += f"warnings {s.warnings} | {_data(s)}"
    if s.failed:
        second = f"FAILED: {s.failed} | {second}"
    if s.fault:
        second = f"NOT READING: {s.fault}"
    elif s.behind:
        second = f"READING the journal: {s.behind} records to go | {second}"
    config = (s.settings_sha256[:8] or "?") + " NOT ON RECORD" * s.at_hand
    beat = "no beat" if s.beat_s is None and not s.unaged else f"beat {age(s.beat_s)}"
    third = (
        f"journal {age(s.lag_s)} ago, {beat} | account {s.account} | config "
        f"{config} | limits {s.limits_sha256[:8] or 'none'} | event {s.seq} | clock "
        f"moved {age(s.clock_s)} | record {s.record}"
    )
    return (
        (first, Tone.BAD if s.engine_state.exchanged else _state_tone(s)),
        (second, _out_tone(s)),
        (third, _lag_tone(s)),
    )


def header_small(s: HeaderFacts, keys: str) -> tuple[tuple[str, Tone], ...]:
    """Instead of it where a screen is too small: mode and state, shortened, first. keys: those that act."""
    state = f"{SILENT}, " * bool(s.silent_s) + _short(s.engine_state)
    state = EXCHANGED if s.engine_state.exchanged else state
    tone = Tone.BAD if s.engine_state.exchanged else _state_tone(s)
    least = f"too small, min {LEAST[0]}x{LEAST[1]}"
    return (f"{s.trading.upper()} {state}", tone), (least, Tone.WARN), (keys, Tone.DIM)


def too_small(width: int, height: int) -> bool:
    """Whether a screen cannot hold header, a dialog's text, field and note in sight.

    >>> too_small(80, 24), too_small(79, 24), too_small(80, 21)
    (False, True, True)
    """
    return width < LEAST[0] or height < LEAST[1]


def _short(engine_state: EngineState) -> str:
    """Where the engine stands in one word: the gravest of them."""
    first, _, rest = engine_state.words.partition(", ")
    graver = engine_state.killed or engine_state.mode is Mode.HALTED
    return rest if rest == "PAUSED" and not graver else first


def _data(s: HeaderFacts) -> str:
    """How old the oldest quote is of what is held."""
    if s.untold:
        return "marks lie on a tape: --tape"
    if s.unaged:
        return "age of the data unknown"
    if not s.oldest_symbol:
        return "nothing is held"
    if s.oldest_s is None:
        return f"no quote yet of {s.oldest_symbol}"
    return f"data {age(s.oldest_s)} old {s.oldest_symbol}"


#: What the last line tells of the keys, the most needed first, and what each is for.
_LOOKS = (("help", "keys"), ("quit", "leave"), ("filter", "filter"), ("palette", "actions"))
_STEERS = (
    ("help", "keys"),
    ("preview", "preview"),
    ("pause", "pause"),
    ("resume", "resume"),
    ("bands", "band"),
    ("reduce", "reduce"),
    ("flatten", "flatten"),
    ("quit", "leave"),
)
_SMALL = (("pause", "pause"), ("quit", "leave"), ("help", "keys"))


def hints(keys: Mapping[str, str], control: bool, width: int, small: bool = False) -> str:
    """The keys in one line, those that this terminal has. keys: what is written on the key of each action;
    small: only those that act where the screen is too small for anything else.

    >>> hints({"help": "?", "quit": "q", "filter": "/", "palette": ":", "kill": "K"}, False, 40)
    '? keys  q leave  / filter  : actions'
    """
    told = _SMALL[not control :] if small else _STEERS if control else _LOOKS
    words = [f"{keys[name]} {word}" for name, word in told]
    if control:
        kill = keys["kill"]
        words.insert(0, f"{kill}{kill} kill" if len(kill) == 1 else f"{kill} twice kills")
    for gap in ("  ", " "):
        if len(gap.join(words)) <= width:
            return gap.join(words)
    while words and len(" ".join(words)) > width:
        words.pop()
    return " ".join(words)


def tabs(names: Sequence[str], panel: int) -> str:
    """The names of the panels, the one in sight between brackets."""
    return "".join(f"[{i} {name}]" if i == panel else f" {i} {name} " for i, name in enumerate(names, 1))


def _state_tone(s: HeaderFacts) -> Tone:
    if s.pid is None or s.silent_s or s.engine_state.killed or s.engine_state.mode is Mode.HALTED:
        return Tone.BAD
    return Tone.GOOD if s.engine_state.mode is Mode.ARMED and not s.engine_state.paused else Tone.WARN


def _out_tone(s: HeaderFacts) -> Tone:
    if s.unknown or s.grave or s.fault or s.failed or s.incomplete:
        return Tone.BAD
    return Tone.WARN if s.critical or s.warnings or s.behind else Tone.PLAIN


def _lag_tone(s: HeaderFacts) -> Tone:
    if s.lag_s is not None and s.lag_s < -BEHIND_S_MAX:
        return Tone.BAD  # the clock runs behind the record: no age on the screen is one
    return Tone.BAD if s.pid is not None and (s.lag_s is None or s.lag_s > 10.0) else Tone.DIM
