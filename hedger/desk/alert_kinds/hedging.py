"""Told by the engine: marks, plans, hedges, P&L and commands."""

from __future__ import annotations

from hedger.desk.alert_kinds.kind import CRITICAL, NOTE, WARNING, AlertKind

TITLE = "Marks, plans, hedges, P&L and commands"
KINDS = (
    AlertKind(
        "MARKS_INVALID",
        WARNING,
        "A batch of marks was thrown away: it was not sound.",
        "If it comes often, look at that feed: `hedger venues`.",
    ),
    AlertKind(
        "BOOK_NOT_VALUED",
        CRITICAL,
        "The book cannot be valued; an armed engine halts.",
        "`hedger risk` names the position and why. Mend its mark or the book, then `hedger arm`.",
        stands=True,
    ),
    AlertKind(
        "ROW_HELD",
        WARNING,
        "Several attempts on a row did not bring it in (`policy.attempts_max`). It stays outside its band, "
        "and no other is made before the time that the text says.",
        "Read why the last one ended, in the text or by `hedger status`, and mend that. Hedge by hand if the "
        "market moves.",
    ),
    AlertKind(
        "NOT_HEDGED",
        WARNING,
        "A hedge is due and none is made.",
        "Mend what the text names. Hedge by hand if it lasts and the market moves.",
    ),
    AlertKind(
        "PLAN_FAILED",
        CRITICAL,
        "No plan could be made: a fault of the data or the program.",
        "Hedge by hand meanwhile; keep the journal, it holds everything that led there.",
    ),
    AlertKind(
        "LEGS_LEFT",
        CRITICAL,
        "A hedge ended in the middle: legs are done that leave the book further out than before.",
        "Do the way back or the rest by hand, or `hedger flatten`. The text lists the legs.",
    ),
    AlertKind(
        "HEDGED",
        NOTE,
        "What was asked for is done: every row is inside its landing.",
        "Nothing.",
    ),
    AlertKind(
        "HEDGE_INCOMPLETE",
        WARNING,
        "A hedge that a person asked for could not be finished.",
        "Mend what the text names and ask again, or hedge the rest by hand.",
    ),
    AlertKind(
        "FLATTEN_INCOMPLETE",
        WARNING,
        "A flatten came as near as whole lots or the rules allow; the text lists what is left.",
        "Ask again later, or close the rest by hand.",
    ),
    AlertKind("FLATTENED", NOTE, "A flatten is done: every row is flat.", "Nothing."),
    AlertKind(
        "PNL_UNEXPLAINED",
        CRITICAL,
        "A part of the day's P&L has no cause. Beyond what [pnl] bears it is a warning; beyond "
        "[execution.watch] the engine reduces, and at the next look halts.",
        "`hedger pnl` shows the day by cause. Look for trades not booked, a wrong mark, a wrong position: "
        "`hedger book fetch` and compare. If the engine has halted, `hedger arm` begins its sum anew.",
        stands=True,
    ),
    AlertKind(
        "PNL_EXPLAINED",
        NOTE,
        "The P&L that nothing explains is back within bounds.",
        "Nothing.",
        ends=("PNL_UNEXPLAINED",),
    ),
    AlertKind(
        "PNL_NOT_TAKEN_APART",
        WARNING,
        "A stretch of P&L could not be taken apart and is not watched.",
        "Look in `hedger pnl` at what its causes leave over. Mend what the text names, such as a fee in a "
        "currency without an index.",
    ),
    AlertKind(
        "BUILD_REFUSED",
        WARNING,
        "A command of another build of the program than the engine's was not obeyed; nothing has changed.",
        "`hedger status` names the engine's build: send it from that one. `pause` and `kill` work from any.",
    ),
    AlertKind(
        "COMMAND_LATE",
        WARNING,
        "A command that trades, or frees the engine to, was taken only after its sender had stopped waiting; "
        "it was not obeyed, and nothing has changed.",
        "Look at the book as it is now, then ask again if it is still wanted. If it comes often the engine "
        "stalls: `hedger venues` and its log.",
    ),
    AlertKind(
        "BAND_BY_HAND",
        NOTE,
        "The engine has started and a band that a person set stands; the text names both, it and the file's.",
        "Nothing, if it is still wanted; `hedger bands ROW=` takes the file's again.",
    ),
    AlertKind(
        "BAND_BY_FILE",
        WARNING,
        "The settings file says something else of a row than when a person set its band: the file is "
        "followed again. The text names all three.",
        "Set it anew by `hedger bands` where the file is not what is wanted.",
    ),
    AlertKind(
        "BAND_NARROW",
        WARNING,
        "The engine was armed, or took settings anew, with a band whose landing lies less than one smallest "
        "trade inside its trigger: what was hedged may be outside again at once.",
        "Widen the trigger or narrow the landing in the settings file, then `hedger reload`.",
    ),
    AlertKind("RELOADED", NOTE, "The settings were taken anew; the text lists what changed.", "Nothing."),
    *(
        AlertKind(
            f"{verb}_REFUSED",
            WARNING,
            f"The engine did not obey the command `{verb.lower()}`; nothing has changed.",
            "Mend what the text names, then ask again.",
        )
        for verb in ("ARM", "HEDGE", "FLATTEN", "UNKILL", "BANDS", "RELOAD")
    ),
)
